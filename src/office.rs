//! The keeper's thread: errands in, answers out once their effect is durable.
//!
//! Errands that wait while the disk syncs are done together with the next sync: group commit without
//! a timer. When the store fails nobody is answered any more, and the daemon ends.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::book::contact::Moment;
use crate::config::Config;
use crate::control::{Answer, Failure, Request};
use crate::desk::draft::Draft;
use crate::desk::keeper::Keeper;
use crate::feedback::entry::LetterId;
use crate::feedback::verdict::Verdict;
use crate::net::carry::Ask as DeskAsk;
use crate::net::crowd::Crowd;
use crate::net::http::{Hit, HitKind};

/// Errands done with one sync at most.
const GROUP_MAX: usize = 2_000;

/// One thing to do, and whom to tell.
pub enum Errand {
    /// An operator's request.
    Ask {
        /// What is asked.
        request: Request,
        /// By whom.
        who: String,
        /// The answer.
        reply: oneshot::Sender<Answer>,
    },
    /// May this letter leave?
    Claim {
        /// Which.
        letter: LetterId,
        /// Go, or why not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// What became of an attempt.
    Settle {
        /// Which letter.
        letter: LetterId,
        /// Whether its claim was asked for.
        claimed: bool,
        /// How it ended.
        verdict: Verdict,
        /// Recorded.
        reply: oneshot::Sender<()>,
    },
    /// Somebody fetched a pixel or unsubscribed.
    Hit(Hit),
    /// Does what is due, and hands out letters.
    Tick {
        /// How many letters at most.
        room: usize,
        /// Whose letters wait.
        crowd: Arc<Crowd>,
        /// Letters to compose and send, and the next instant at which something falls due.
        reply: oneshot::Sender<(Vec<Draft>, Moment)>,
    },
    /// Letters that were handed out and not claimed.
    GiveBack(Vec<LetterId>),
    /// A letter that could not be composed.
    Unfit {
        /// Which.
        letter: LetterId,
        /// Why.
        why: String,
        /// Recorded.
        reply: oneshot::Sender<()>,
    },
    /// Imports that their clients left half done.
    Forget(Vec<u32>),
    /// Another configuration.
    Reconfigure {
        /// Which.
        config: Arc<Config>,
        /// Taken, or why not.
        reply: oneshot::Sender<Result<(), Failure>>,
    },
}

impl From<DeskAsk> for Errand {
    fn from(ask: DeskAsk) -> Self {
        match ask {
            DeskAsk::Claim { letter, reply, .. } => Self::Claim { letter, reply },
            DeskAsk::Settle { letter, claimed, verdict, reply, .. } => {
                Self::Settle { letter, claimed, verdict, reply }
            }
        }
    }
}

/// What is told once the group is durable.
enum Told {
    Answer(oneshot::Sender<Answer>, Answer),
    Claim(oneshot::Sender<Result<(), String>>, Result<(), String>),
    Settled(oneshot::Sender<()>),
    Hit(oneshot::Sender<bool>),
    Letters(oneshot::Sender<(Vec<Draft>, Moment)>, (Vec<Draft>, Moment)),
    Taken(oneshot::Sender<Result<(), Failure>>, Result<(), Failure>),
}

impl Told {
    fn tell(self) {
        // Whoever asked may be gone: then nobody is to be told.
        match self {
            Self::Answer(to, answer) => drop(to.send(answer)),
            Self::Claim(to, answer) => drop(to.send(answer)),
            Self::Settled(to) => drop(to.send(())),
            Self::Hit(to) => drop(to.send(true)),
            Self::Letters(to, letters) => drop(to.send(letters)),
            Self::Taken(to, answer) => drop(to.send(answer)),
        }
    }
}

/// The keeper on a thread of its own.
#[derive(Debug)]
pub struct Office {
    errands: Sender<(Moment, Errand)>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Office {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(mut keeper: Keeper) -> std::io::Result<Self> {
        let (errands, inbox) = channel();
        let thread = std::thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            let result = work(&mut keeper, &inbox);
            // Said at once: the memory may take its time to let go of a bad disk.
            if let Err(Failure { message, fix, .. }) = &result {
                tracing::error!(message, fix, "the store has failed");
            }
            result
        })?;
        Ok(Self { errands, thread })
    }

    /// Sends an errand, with the time at which it is done. False when the keeper has failed.
    pub fn send(&self, now: Moment, errand: Errand) -> bool {
        self.errands.send((now, errand)).is_ok()
    }

    /// Whether the keeper still works.
    #[must_use]
    pub fn works(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Waits for what was sent, writes the memory, and ends.
    ///
    /// # Errors
    /// What made the store fail, if anything did.
    pub fn stop(self) -> Result<(), Failure> {
        drop(self.errands);
        self.thread.join().unwrap_or_else(|_| {
            Err(Failure::new(70, "the keeper panicked", "report it, with the log"))
        })
    }
}

fn work(keeper: &mut Keeper, inbox: &Receiver<(Moment, Errand)>) -> Result<(), Failure> {
    let mut told = Vec::new();
    while let Ok((now, errand)) = inbox.recv() {
        told.extend(done(keeper, now, errand)?);
        for (now, errand) in inbox.try_iter().take(GROUP_MAX) {
            told.extend(done(keeper, now, errand)?);
        }
        keeper.store.commit()?;
        told.drain(..).for_each(Told::tell);
    }
    Ok(keeper.store.settle()?)
}

/// Does one errand; what is to be told waits for the commit.
fn done(keeper: &mut Keeper, now: Moment, errand: Errand) -> Result<Option<Told>, Failure> {
    Ok(Some(match errand {
        Errand::Ask { request, who, reply } => {
            let answer = keeper.respond(request, &who, now).unwrap_or_else(Answer::Failed);
            Told::Answer(reply, answer)
        }
        Errand::Claim { letter, reply } => Told::Claim(reply, keeper.claim(letter, now)?),
        Errand::Settle { letter, claimed, verdict, reply } => {
            keeper.settle(letter, claimed, verdict, now)?;
            Told::Settled(reply)
        }
        Errand::Unfit { letter, why, reply } => {
            keeper.unfit(letter, &why, now)?;
            Told::Settled(reply)
        }
        Errand::Hit(hit) => {
            let letter = LetterId::from_bytes(hit.letter);
            match hit.kind {
                HitKind::Open => keeper.opened(letter, &hit.user_agent, hit.head, now)?,
                HitKind::Unsubscribe(via) => keeper.unsubscribed(letter, via, now)?,
            }
            Told::Hit(hit.reply)
        }
        Errand::Tick { room, crowd, reply } => {
            keeper.tick(now)?;
            let letters = keeper.hand_out(now, room, &crowd)?;
            let next = keeper.next_timer(now);
            Told::Letters(reply, (letters, next))
        }
        Errand::GiveBack(letters) => {
            letters.into_iter().for_each(|letter| keeper.give_back(letter));
            return Ok(None);
        }
        Errand::Forget(imports) => {
            imports.iter().for_each(|import| drop(keeper.running.remove(import)));
            return Ok(None);
        }
        Errand::Reconfigure { config, reply } => {
            let taken = keeper.reconfigure(config);
            Told::Taken(reply, taken)
        }
    }))
}
