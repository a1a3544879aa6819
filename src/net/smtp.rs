//! One SMTP conversation: dial, greet, secure, log in, and hand over letters one by one.
//!
//! mail-send dials, negotiates and logs in. The transaction is ours, for three reasons: its own
//! never pipelines, it loses bytes of a reply that comes late or together with another, and it
//! writes the body and the final dot in one go, while we must put the durable claim between the
//! two (DESIGN §8). Until the dot is written a peer must discard what it got (RFC 5321 §4.1.1.4);
//! from then on nobody but its reply can tell.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use mail_send::smtp::AssertReply;
use mail_send::smtp::tls::build_tls_connector;
use mail_send::{Credentials, SmtpClient};
use smtp_proto::{
    AUTH_LOGIN, AUTH_PLAIN, EXT_8BIT_MIME, EXT_PIPELINING, EXT_SIZE, EXT_SMTP_UTF8, EXT_START_TLS,
    EhloResponse, Response,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::feedback::verdict::{Class, Stage, Verdict, read_reply};
use crate::net::relay::{Failure, Login, Relay, Timeouts, TlsLevel};
use crate::net::wire::{
    Trouble, Wire, any_certificate, breaks_command, has_bare_cr_or_lf, stuffed,
};

/// How long a peer that is about to hang up may take over its last words.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who a letter is from and for, as the peer is told; never what its headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Return path; empty for the null sender.
    pub from: String,
    /// The one recipient.
    pub to: String,
}

/// Why a letter must not go out after all, in the words of whoever keeps the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRefused(pub String);

/// What became of a letter in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer or the network had its say.
    Verdict(Verdict),
    /// The claim was refused: the peer never got the dot.
    Withheld(String),
}

/// What became of a letter, and whether its claim was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What became of it.
    pub outcome: Outcome,
    /// Whether the claim was asked for: what is claimed must be settled.
    pub claimed: bool,
}

/// A conversation with one peer, greeted and ready for letters.
pub struct Session {
    wire: Wire,
    hello: EhloResponse<String>,
    timeouts: Timeouts,
    /// Nothing is owed by either side: only then may another letter go.
    usable: bool,
    progress: Progress,
}

/// How far the letter at hand has got; read when the conversation was given up from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The claim was not asked for.
    Unclaimed,
    /// The claim was asked for, the dot was not written.
    Claimed,
    /// The dot was written, or part of it.
    Dotted,
}

impl Session {
    /// Dials a relay and says hello, with as much TLS and login as it is configured for.
    ///
    /// # Errors
    /// When no address answers in time, or the peer refuses greeting, TLS or login.
    pub async fn connect(relay: &Relay) -> Result<Self, Failure> {
        let host = format!("{}:{}", relay.host, relay.port);
        let connected = async { dial(relay, &resolve(relay).await?).await };
        connected.await.map_err(|Trouble { class, reply }| Failure { host, class, reply })
    }

    /// As [`Self::connect`], with the relay's addresses known.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_to(relay: &Relay, addresses: &[SocketAddr]) -> Result<Self, Failure> {
        let host = format!("{}:{}", relay.host, relay.port);
        let dialled = dial(relay, addresses).await;
        dialled.map_err(|Trouble { class, reply }| Failure { host, class, reply })
    }

    /// Whether another letter may go over this session.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.usable
    }

    /// How far the last letter got.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Hands over one letter. `claim` is awaited while the body travels and before the final dot:
    /// when it refuses, the connection is dropped and the peer must discard what it got.
    ///
    /// Dropping the returned future leaves the session unusable; [`Self::progress`] then tells how
    /// far the letter had got.
    pub async fn send<F>(&mut self, envelope: &Envelope, message: &[u8], claim: F) -> Sent
    where
        F: Future<Output = Result<(), ClaimRefused>>,
    {
        self.progress = Progress::Unclaimed;
        if let Some(why) = self.unfit(envelope, message) {
            let verdict = Verdict::Refused { class: Class::Message, reply: why };
            return Sent { outcome: Outcome::Verdict(verdict), claimed: false };
        }
        if !std::mem::take(&mut self.usable) {
            let reply = "the conversation is over".to_owned();
            let verdict = Verdict::Deferred { class: Class::Network, reply };
            return Sent { outcome: Outcome::Verdict(verdict), claimed: false };
        }
        let outcome = match self.transact(envelope, message, claim).await {
            Ok(outcome) => outcome,
            Err(trouble) => Outcome::Verdict(self.cut_off(trouble)),
        };
        Sent { outcome, claimed: self.progress != Progress::Unclaimed }
    }

    /// Says good-bye; the peer's answer is not waited for longer than a moment.
    pub async fn quit(mut self) {
        if self.usable && self.wire.write(b"QUIT\r\n", PATIENCE).await.is_ok() {
            // Nothing hangs on the answer.
            let _ = self.wire.reply(PATIENCE).await;
        }
    }

    /// Why this letter cannot be put to this peer at all.
    fn unfit(&self, envelope: &Envelope, message: &[u8]) -> Option<String> {
        let Envelope { from, to } = envelope;
        if let Some(address) = [from, to].into_iter().find(|address| breaks_command(address)) {
            return Some(format!("{address:?} cannot be written into an SMTP command"));
        }
        let ascii = from.is_ascii() && to.is_ascii();
        if !ascii && !self.offers(EXT_SMTP_UTF8) {
            return Some("the address needs SMTPUTF8 and the relay does not offer it".to_owned());
        }
        if !message.is_ascii() && !self.offers(EXT_8BIT_MIME) {
            return Some("the message needs 8BITMIME and the relay does not offer it".to_owned());
        }
        if self.offers(EXT_SIZE) && self.hello.size != 0 && message.len() > self.hello.size {
            let (bytes, most) = (message.len(), self.hello.size);
            return Some(format!("the message has {bytes} bytes and the relay takes {most}"));
        }
        has_bare_cr_or_lf(message).then(|| "the message has a bare CR or LF".to_owned())
    }

    fn offers(&self, extension: u32) -> bool {
        self.hello.has_capability(extension)
    }

    async fn transact<F>(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
        claim: F,
    ) -> Result<Outcome, Trouble>
    where
        F: Future<Output = Result<(), ClaimRefused>>,
    {
        if self.wire.peer_spoke().await? {
            // Nobody asked it anything: it is closing, for being idle too long or too busy.
            return Ok(Outcome::Verdict(self.farewell(Stage::Greeting).await?));
        }
        if let Some(verdict) = self.open(envelope, message).await? {
            return Ok(Outcome::Verdict(verdict));
        }
        self.progress = Progress::Claimed;
        let (body, dot) = stuffed(message);
        let patience = self.timeouts.body;
        let (written, claimed) = tokio::join!(self.wire.write(&body, patience), claim);
        if let Err(ClaimRefused(reason)) = claimed {
            return Ok(Outcome::Withheld(reason));
        }
        if written.is_err() || self.wire.peer_spoke().await? {
            // It hung up in the middle of the body; what it said first is the better reason.
            return Ok(Outcome::Verdict(self.farewell(Stage::Data).await?));
        }
        self.progress = Progress::Dotted;
        self.wire.write(dot, self.timeouts.body).await?;
        let reply = self.wire.reply(self.timeouts.dot).await?;
        let verdict = read(&reply, Stage::Dot);
        self.usable = reply.code != 421 && !matches!(verdict, Verdict::Unknown { .. });
        Ok(Outcome::Verdict(verdict))
    }

    /// MAIL, RCPT and DATA, in one write when the peer allows it (RFC 2920). `None`: go ahead.
    async fn open(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
    ) -> Result<Option<Verdict>, Trouble> {
        let commands = self.commands(envelope, message);
        let pipelined = self.offers(EXT_PIPELINING);
        if pipelined {
            self.wire.write(commands.concat().as_bytes(), self.timeouts.command).await?;
        }
        let mut refusal = None;
        for (command, stage) in commands.iter().zip([Stage::Mail, Stage::Rcpt, Stage::Data]) {
            if !pipelined {
                self.wire.write(command.as_bytes(), self.timeouts.command).await?;
            }
            let reply = match self.wire.reply(self.timeouts.command).await {
                Ok(reply) => reply,
                // Cut off after a refusal: that is still what it had to say.
                Err(trouble) => return refusal.map(Some).ok_or(trouble),
            };
            if reply.code == 421 || !matches!(reply.code, 200..=299 | 354 | 400..=599) {
                return Ok(refusal.or_else(|| Some(not_now(&reply, stage))));
            }
            let granted = match stage {
                Stage::Data => reply.code == 354,
                _ => reply.code < 300,
            };
            if granted && stage == Stage::Data && refusal.is_some() && !self.send_nothing().await {
                return Ok(refusal);
            }
            if !granted {
                refusal = refusal.or_else(|| Some(not_now(&reply, stage)));
            }
            if refusal.is_some() && !pipelined {
                break;
            }
        }
        if refusal.is_some() {
            self.reset().await;
        }
        Ok(refusal)
    }

    /// For a peer that wants a message though nobody is left to get it (RFC 2920 §3.1).
    async fn send_nothing(&mut self) -> bool {
        self.wire.write(b".\r\n", self.timeouts.command).await.is_ok()
            && self.wire.reply(self.timeouts.dot).await.is_ok()
    }

    fn commands(&self, Envelope { from, to }: &Envelope, message: &[u8]) -> [String; 3] {
        let mut mail = format!("MAIL FROM:<{from}>");
        if self.offers(EXT_SIZE) {
            mail.push_str(&format!(" SIZE={}", message.len()));
        }
        if !message.is_ascii() {
            mail.push_str(" BODY=8BITMIME");
        }
        if !(from.is_ascii() && to.is_ascii()) {
            mail.push_str(" SMTPUTF8");
        }
        [mail + "\r\n", format!("RCPT TO:<{to}>\r\n"), "DATA\r\n".to_owned()]
    }

    /// Ends a transaction that came to nothing; what goes wrong here only costs the session.
    async fn reset(&mut self) {
        if self.wire.write(b"RSET\r\n", self.timeouts.command).await.is_ok() {
            let reply = self.wire.reply(self.timeouts.command).await;
            self.usable = reply.is_ok_and(|reply| reply.code == 250);
        }
    }

    /// The peer's last words before it hangs up, or that it had none.
    async fn farewell(&mut self, stage: Stage) -> Result<Verdict, Trouble> {
        let reply = self.wire.reply(self.timeouts.command.min(PATIENCE)).await?;
        Ok(not_now(&reply, stage))
    }

    /// What a broken conversation means for the letter at hand.
    fn cut_off(&self, Trouble { class, reply }: Trouble) -> Verdict {
        match self.progress {
            Progress::Dotted => Verdict::Unknown { why: reply },
            Progress::Unclaimed | Progress::Claimed => Verdict::Deferred { class, reply },
        }
    }
}

/// What a reply means that does not let us go on: never accepted, whatever its code.
fn not_now(reply: &Response<String>, stage: Stage) -> Verdict {
    match read(reply, stage) {
        Verdict::Accepted { reply } => Verdict::Deferred { class: Class::Protocol, reply },
        verdict => verdict,
    }
}

fn read(reply: &Response<String>, stage: Stage) -> Verdict {
    read_reply(reply.code, reply.esc, &reply.message, stage)
}

fn trouble(reply: &Response<String>, stage: Stage) -> Trouble {
    match not_now(reply, stage) {
        Verdict::Deferred { class, reply } | Verdict::Refused { class, reply } => {
            Trouble { class, reply }
        }
        Verdict::Accepted { reply } | Verdict::Unknown { why: reply } => {
            Trouble { class: Class::Protocol, reply }
        }
    }
}

fn broken(error: mail_send::Error, stage: Stage) -> Trouble {
    use mail_send::Error as E;
    match error {
        E::UnexpectedReply(reply) | E::AuthenticationFailed(reply) => trouble(&reply, stage),
        E::Timeout => Trouble::network(format!("no answer in time ({stage:?})")),
        E::UnparseableReply => Trouble::network(format!("hung up or spoke no SMTP ({stage:?})")),
        E::UnsupportedAuthMechanism => Trouble {
            class: Class::Auth,
            reply: "the relay offers neither AUTH PLAIN nor LOGIN".to_owned(),
        },
        other => Trouble::network(other),
    }
}

/// With TLS that is better than none but not to be had, once more without it: the peer cannot take
/// back its STARTTLS otherwise.
async fn dial(relay: &Relay, addresses: &[SocketAddr]) -> Result<Session, Trouble> {
    if breaks_command(&relay.ehlo) {
        return Err(Trouble::network(format!("{:?} cannot be an EHLO name", relay.ehlo)));
    }
    match greeted(relay, relay.tls, addresses).await {
        Err(Dialled(_, true)) if relay.tls == TlsLevel::Opportunistic => {
            greeted(relay, TlsLevel::None, addresses).await
        }
        first => first,
    }
    .map_err(|Dialled(trouble, _)| trouble)
}

/// Why a peer was not reached, and whether TLS had been begun.
struct Dialled(Trouble, bool);

impl From<Trouble> for Dialled {
    fn from(trouble: Trouble) -> Self {
        Self(trouble, false)
    }
}

async fn greeted(
    relay: &Relay,
    level: TlsLevel,
    addresses: &[SocketAddr],
) -> Result<Session, Dialled> {
    let mut client = reach(relay, addresses).await?;
    let greeting = timeout(relay.timeouts.command, client.read())
        .await
        .map_err(|_| Trouble::network("no greeting in time"))?
        .map_err(|error| broken(error, Stage::Greeting))?;
    if greeting.code != 220 {
        return Err(trouble(&greeting, Stage::Greeting).into());
    }
    let hello = greet(&mut client, relay).await?;
    let loopback = client.stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
    let connector = match level {
        TlsLevel::None => None,
        TlsLevel::Opportunistic if !hello.has_capability(EXT_START_TLS) => None,
        TlsLevel::Opportunistic => Some(any_certificate()?),
        TlsLevel::Required if !hello.has_capability(EXT_START_TLS) => {
            let reply = "TLS is required and the relay does not offer STARTTLS".to_owned();
            return Err(Trouble { class: Class::Auth, reply }.into());
        }
        TlsLevel::Required => Some(known_certificate()?),
    };
    let Some(connector) = connector else {
        let hello = log_in(&mut client, relay, hello, loopback).await?;
        return Ok(session(Either::Left(client.stream), hello, relay));
    };
    let securing = timeout(relay.timeouts.command, client.start_tls(connector, &relay.host)).await;
    let secured = securing.unwrap_or(Err(mail_send::Error::Timeout));
    let mut client = secured.map_err(|error| Dialled(broken(error, Stage::Hello), true))?;
    let hello = greet(&mut client, relay).await?;
    let hello = log_in(&mut client, relay, hello, true).await?;
    Ok(session(Either::Right(client.stream), hello, relay))
}

fn session(
    stream: Either<TcpStream, TlsStream<TcpStream>>,
    hello: EhloResponse<String>,
    relay: &Relay,
) -> Session {
    Session {
        wire: Wire::new(stream),
        hello,
        timeouts: relay.timeouts,
        usable: true,
        progress: Progress::Unclaimed,
    }
}

/// The addresses of the relay, IPv4 first.
async fn resolve(relay: &Relay) -> Result<Vec<SocketAddr>, Trouble> {
    let found = timeout(relay.timeouts.connect, lookup_host((relay.host.as_str(), relay.port)))
        .await
        .map_err(|_| Trouble::network("its name was not found in time"))?
        .map_err(Trouble::network)?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

/// The first of the addresses that answers.
async fn reach(relay: &Relay, addresses: &[SocketAddr]) -> Result<SmtpClient<TcpStream>, Trouble> {
    let Timeouts { connect, command, .. } = relay.timeouts;
    let mut last = Trouble::network("its name has no address");
    for address in addresses {
        match SmtpClient::connect(*address, connect).await {
            Ok(mut client) => {
                // Without it Nagle and delayed ACKs cost 40 ms a letter.
                client.stream.set_nodelay(true).map_err(Trouble::network)?;
                client.timeout = command;
                return Ok(client);
            }
            Err(error) => last = broken(error, Stage::Greeting),
        }
    }
    Err(last)
}

/// EHLO, or HELO for a peer that does not know EHLO.
async fn greet<S>(
    client: &mut SmtpClient<S>,
    relay: &Relay,
) -> Result<EhloResponse<String>, Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match client.ehlo(&relay.ehlo).await {
        Ok(hello) => Ok(hello),
        Err(mail_send::Error::UnexpectedReply(reply)) if reply.code / 100 == 5 => {
            let helo = client.cmd(format!("HELO {}\r\n", relay.ehlo)).await;
            helo.and_then(AssertReply::into_positive_completion)
                .map(|_| EhloResponse::default())
                .map_err(|error| broken(error, Stage::Hello))
        }
        Err(error) => Err(broken(error, Stage::Hello)),
    }
}

/// Logs in when the relay is configured with a login; never over clear text to another machine.
async fn log_in<S>(
    client: &mut SmtpClient<S>,
    relay: &Relay,
    mut hello: EhloResponse<String>,
    private: bool,
) -> Result<EhloResponse<String>, Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(Login { user, secret }) = &relay.login else { return Ok(hello) };
    if !private {
        let reply = "no login over clear text: set tls to required or opportunistic".to_owned();
        return Err(Trouble { class: Class::Auth, reply });
    }
    hello.auth_mechanisms &= AUTH_PLAIN | AUTH_LOGIN;
    let credentials = Credentials::Plain { username: user.as_str(), secret: secret.as_str() };
    match client.authenticate(&credentials, &hello).await {
        Ok(_) => Ok(hello),
        Err(error) => Err(broken(error, Stage::Auth)),
    }
}

/// Reading the machine's roots takes milliseconds: once for all sessions.
fn known_certificate() -> Result<&'static TlsConnector, Trouble> {
    static CONNECTOR: LazyLock<Result<TlsConnector, String>> =
        LazyLock::new(|| build_tls_connector(false));
    CONNECTOR.as_ref().map_err(Trouble::network)
}
