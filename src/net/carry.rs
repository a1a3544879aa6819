//! One letter carried from claim to verdict, over one connection or into the maildir.
//!
//! Before the dot the desk is asked for the claim, afterwards it is handed the verdict; the letter
//! is done with only when that is recorded. Nothing here knows of the store.

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::feedback::entry::LetterId;
use crate::feedback::verdict::{Class, Verdict};
use crate::net::maildir::Maildir;
use crate::net::mx::{Exchanges, Mx};
use crate::net::relay::{Failure, Relay};
use crate::net::smtp::{ClaimRefused, Envelope, Outcome, Progress, Sent, Session};
use crate::net::throttle::Pacer;

/// One letter to carry, composed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Which letter.
    pub letter: LetterId,
    /// 1 for the first attempt.
    pub attempt: u16,
    /// Return path and recipient.
    pub envelope: Envelope,
    /// The message: CRLF lines, ended by CRLF.
    pub message: Vec<u8>,
}

/// What is asked of whoever keeps the ledger. A reply that is dropped unanswered means that nothing
/// can be recorded any more: nothing more is sent.
#[derive(Debug)]
pub enum Ask {
    /// May this letter's dot be written? Answered when the claim is durable, or with the reason why
    /// not; then the letter is done with and no `Settle` follows.
    Claim {
        /// Which letter.
        letter: LetterId,
        /// Which attempt.
        attempt: u16,
        /// Go, or why not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// This is what became of it. Answered when it is recorded.
    Settle {
        /// Which letter.
        letter: LetterId,
        /// Which attempt.
        attempt: u16,
        /// Whether its claim was asked for; false when it failed before its body was sent.
        claimed: bool,
        /// How the attempt ended.
        verdict: Verdict,
        /// Recorded.
        reply: oneshot::Sender<()>,
    },
}

/// The desk, and the word to break off what is not done when the drain has lasted long enough.
#[derive(Clone)]
pub struct Office {
    /// Where claims and verdicts go.
    pub desk: mpsc::Sender<Ask>,
    /// Break off.
    pub give_up: CancellationToken,
}

/// Where letters go by.
pub enum Way {
    /// Into files.
    Maildir(Maildir),
    /// To a relay, at its pace.
    Relay(Box<Relay>, Pacer),
    /// To the hosts of a domain.
    Mx(Arc<Direct>, Arc<Exchanges>),
}

impl Way {
    /// To a relay, at most so many letters a second.
    #[must_use]
    pub fn to(relay: Relay, messages_per_second: Option<NonZeroU32>) -> Self {
        Self::Relay(Box::new(relay), Pacer::new(messages_per_second))
    }

    fn pacer(&self) -> &Pacer {
        static NONE: LazyLock<Pacer> = LazyLock::new(|| Pacer::new(None));
        match self {
            Self::Maildir(_) => &NONE,
            Self::Relay(_, pacer) => pacer,
            Self::Mx(direct, _) => &direct.messages,
        }
    }

    async fn connect(&self, job: &Job) -> Result<Session, Failure> {
        match self {
            Self::Maildir(_) => Err(no_path("maildir", Class::Other, "is no mail server")),
            Self::Relay(relay, _) => Session::connect(relay).await,
            Self::Mx(direct, exchanges) => {
                direct.connects.ready().await;
                direct.connect(exchanges, u64::from_be_bytes(job.letter.to_bytes())).await
            }
        }
    }
}

/// How one provider is spoken to.
pub struct Direct {
    /// Who knows its hosts' addresses.
    pub mx: Arc<Mx>,
    /// How to speak to any of its hosts.
    pub manner: Relay,
    /// Letters a second.
    pub messages: Pacer,
    /// Connections a minute.
    pub connects: Pacer,
}

impl Direct {
    /// The first host that takes us: by preference, equals shuffled. A host that answers with a
    /// refusal has answered for the others.
    async fn connect(&self, exchanges: &Exchanges, seed: u64) -> Result<Session, Failure> {
        const TRIES_MAX: usize = 5;
        let mut last = None;
        let mut tries = 0;
        for host in exchanges.order(seed) {
            let addresses = match self.mx.addresses(host).await {
                Ok(addresses) => addresses,
                Err(no_way) => {
                    if let Verdict::Deferred { class, reply } = no_way.verdict() {
                        last = last.or(Some(no_path(host, class, &reply)));
                    }
                    continue;
                }
            };
            for address in addresses.into_iter().take(TRIES_MAX.saturating_sub(tries)) {
                tries += 1;
                let relay = Relay { host: host.to_owned(), ..self.manner.clone() };
                match Session::connect_to(&relay, &[address]).await {
                    Err(failure) if failure.class == Class::Network => {
                        self.mx.is_dead(address);
                        last = Some(failure);
                    }
                    answered => return answered,
                }
            }
        }
        Err(last.unwrap_or_else(|| no_path(&exchanges.site(), Class::Network, "no host to try")))
    }
}

fn no_path(host: &str, class: Class, reply: &str) -> Failure {
    Failure { host: host.to_owned(), class, reply: reply.to_owned() }
}

/// An open session and how many letters went over it.
pub struct Held {
    /// The session.
    pub session: Session,
    /// Letters so far.
    pub letters: u32,
}

/// How carrying ended, for the queue.
pub enum End {
    /// The ledger knows; with the class of the trouble when the letter was not taken.
    Settled(Option<Class>),
    /// The claim was refused, in these words.
    Withheld(String),
    /// Broken off before the claim: to be sent later.
    Returned(Job),
    /// There is no connection to be had: the letter is as it was.
    NoPath(Job, Failure),
    /// The ledger does not answer: nothing more may be sent.
    Unrecorded,
}

/// Carries one letter, over the session held if there is one. Gives back the session if it is good
/// for another letter.
pub async fn carry(
    way: &Way,
    held: Option<Held>,
    job: Job,
    office: &Office,
) -> (Option<Held>, End) {
    let Office { desk, give_up } = office;
    match way {
        Way::Maildir(maildir) => {
            let Job { letter, attempt, message, .. } = job;
            let asking = claim(desk, letter, attempt);
            let sent = maildir.deliver(&letter.to_string(), message, asking).await;
            (None, finish(sent, letter, attempt, desk).await)
        }
        Way::Relay(..) | Way::Mx(..) => {
            let mut held = held;
            let pacer = way.pacer();
            tokio::select! {
                biased;
                () = give_up.cancelled() => return (held, End::Returned(job)),
                () = pacer.ready() => (),
            }
            match converse(way, &mut held, &job, office).await {
                Ok(Some(sent)) => {
                    let Job { letter, attempt, .. } = job;
                    let held = held.filter(|held| held.session.usable());
                    (held, finish(sent, letter, attempt, desk).await)
                }
                Ok(None) => (None, End::Returned(job)),
                Err(failure) => (None, End::NoPath(job, failure)),
            }
        }
    }
}

/// Hands the desk a verdict.
pub async fn settle(
    desk: &mpsc::Sender<Ask>,
    (letter, attempt): (LetterId, u16),
    claimed: bool,
    verdict: Verdict,
) -> End {
    let (reply, recorded) = oneshot::channel();
    let trouble = match &verdict {
        Verdict::Deferred { class, .. } | Verdict::Refused { class, .. } => Some(*class),
        Verdict::Accepted { .. } | Verdict::Unknown { .. } => None,
    };
    let told = desk.send(Ask::Settle { letter, attempt, claimed, verdict, reply }).await;
    match (told, recorded.await) {
        (Ok(()), Ok(())) => End::Settled(trouble),
        _ => End::Unrecorded,
    }
}

/// Sends the letter over the held session, or over a new one. `None`: given up before the claim.
async fn converse(
    way: &Way,
    held: &mut Option<Held>,
    job: &Job,
    Office { desk, give_up }: &Office,
) -> Result<Option<Sent>, Failure> {
    let mut reused = held.is_some();
    loop {
        let open = match held {
            Some(open) => open,
            None => tokio::select! {
                biased;
                () = give_up.cancelled() => return Ok(None),
                session = way.connect(job) => held.insert(Held { session: session?, letters: 0 }),
            },
        };
        let asking = claim(desk, job.letter, job.attempt);
        let sent = tokio::select! {
            biased;
            sent = open.session.send(&job.envelope, &job.message, asking) => Some(sent),
            () = give_up.cancelled() => None,
        };
        let Some(sent) = sent else { return Ok(given_up(open.session.progress())) };
        open.letters += 1;
        // The peer may close an idle session, or one it finds too long, at any time: that says
        // nothing about this letter.
        let stale = reused && !sent.claimed && !open.session.usable();
        if stale && matches!(sent.outcome, Outcome::Verdict(Verdict::Deferred { .. })) {
            *held = None;
            reused = false;
            continue;
        }
        return Ok(Some(sent));
    }
}

fn given_up(progress: Progress) -> Option<Sent> {
    let verdict = match progress {
        Progress::Unclaimed => return None,
        Progress::Claimed => {
            let reply = "broken off before the dot: the drain was over".to_owned();
            Verdict::Deferred { class: Class::Network, reply }
        }
        Progress::Dotted => {
            let why = "broken off before the peer answered: the drain was over".to_owned();
            Verdict::Unknown { why }
        }
    };
    Some(Sent { outcome: Outcome::Verdict(verdict), claimed: true })
}

async fn finish(sent: Sent, letter: LetterId, attempt: u16, desk: &mpsc::Sender<Ask>) -> End {
    match sent.outcome {
        Outcome::Verdict(verdict) => settle(desk, (letter, attempt), sent.claimed, verdict).await,
        Outcome::Withheld(_) if desk.is_closed() => End::Unrecorded,
        Outcome::Withheld(reason) => End::Withheld(reason),
    }
}

async fn claim(
    desk: &mpsc::Sender<Ask>,
    letter: LetterId,
    attempt: u16,
) -> Result<(), ClaimRefused> {
    let (reply, answer) = oneshot::channel();
    let asked = desk.send(Ask::Claim { letter, attempt, reply }).await;
    let silent = || ClaimRefused("the ledger does not answer".to_owned());
    asked.map_err(|_| silent())?;
    answer.await.map_err(|_| silent())?.map_err(ClaimRefused)
}
