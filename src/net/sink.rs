//! A mail server that keeps what it is given: for quickstart, drills and tests.
//!
//! It speaks enough ESMTP for any client, never talks to another machine, and misbehaves on
//! request: a recipient such as `defer-once.ann@x` is deferred once ([`Act`]).

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const CONNECTIONS_MAX: usize = 200;
const COMMAND_BYTES_MAX: u64 = 2048;
const MESSAGE_BYTES_MAX: usize = 32 << 20;
/// As EHLO shows them; the size is [`MESSAGE_BYTES_MAX`].
const EXTENSIONS: &[&str] =
    &["PIPELINING", "SIZE 33554432", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"];
const RECIPIENTS_MAX: usize = 100;
/// Remembered by `defer-once`.
const DEFERRED_MAX: usize = 100_000;
const IDLE: Duration = Duration::from_secs(300);
/// How long `slow` takes over its answers.
const SLOW: Duration = Duration::from_secs(1);

/// One letter as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The return path, without angle brackets.
    pub from: String,
    /// The recipients, without angle brackets.
    pub to: Vec<String>,
    /// The message, to the byte, dots unstuffed.
    pub message: Vec<u8>,
}

/// What the sink does with a recipient, by the beginning of its local part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Takes the letter.
    Accept,
    /// `refuse.`: 550 5.1.1 to RCPT.
    Refuse,
    /// `refuse-late.`: 554 5.7.1 to the final dot.
    RefuseLate,
    /// `defer.`: 451 4.7.1 to RCPT, every time.
    Defer,
    /// `defer-once.`: 451 4.7.1 to the first RCPT, then takes the letter.
    DeferOnce,
    /// `busy.`: 421 to RCPT, and hangs up.
    Busy,
    /// `cut-before-dot.`: hangs up in the middle of the message.
    CutBeforeDot,
    /// `cut-after-dot.`: keeps the letter and hangs up instead of saying so.
    CutAfterDot,
    /// `slow.`: takes the letter a second late.
    Slow,
}

impl Act {
    /// What `refuse.ann@example.com` asks for.
    #[must_use]
    pub fn of(address: &str) -> Self {
        match address.split_once('.').map_or("", |(act, _)| act) {
            "refuse" => Self::Refuse,
            "refuse-late" => Self::RefuseLate,
            "defer" => Self::Defer,
            "defer-once" => Self::DeferOnce,
            "busy" => Self::Busy,
            "cut-before-dot" => Self::CutBeforeDot,
            "cut-after-dot" => Self::CutAfterDot,
            "slow" => Self::Slow,
            _ => Self::Accept,
        }
    }
}

/// A listener on the loopback interface.
pub struct Sink {
    listener: TcpListener,
    addr: SocketAddr,
    extensions: &'static [&'static str],
    accepted: Arc<AtomicU64>,
}

impl Sink {
    /// Listens on a loopback address; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address is not loopback (the sink takes mail for anybody), or is in use.
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        if !addr.ip().is_loopback() {
            let why = format!("{addr} is not a loopback address; the sink listens on no other");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        Ok(Self { listener, addr, extensions: EXTENSIONS, accepted: Arc::default() })
    }

    /// Offers no extension, as an old server would.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.extensions = &[];
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many letters were kept so far; counts on while [`Self::run`] runs.
    #[must_use]
    pub fn accepted(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.accepted)
    }

    /// Takes letters until `shutdown`, then ends what is idle and gives a message that is on its
    /// way one more second.
    ///
    /// `on_letter` may block; the letter is acknowledged when it returns, deferred if it fails.
    pub async fn run<F>(self, shutdown: CancellationToken, on_letter: F)
    where
        F: Fn(Received) -> io::Result<()> + Send + Sync + 'static,
    {
        const GRACE: Duration = Duration::from_secs(1);
        let desk = Arc::new(Desk {
            on_letter,
            extensions: self.extensions,
            accepted: self.accepted,
            deferred: Mutex::default(),
            shutdown: shutdown.clone(),
        });
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut talks = JoinSet::new();
        loop {
            let arrived = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(_) = talks.join_next() => continue,
                arrived = self.listener.accept() => arrived,
            };
            let Ok((stream, _)) = arrived else { continue };
            let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                // Dropped without a word: a client that opens hundreds is out of order.
                continue;
            };
            let desk = Arc::clone(&desk);
            talks.spawn(async move {
                // A client that breaks off is none of our trouble.
                let _ = talk(stream, &desk).await;
                drop(place);
            });
        }
        let ended = async { while talks.join_next().await.is_some() {} };
        // Who has not ended by then is cut off when `talks` is dropped.
        let _ = timeout(GRACE, ended).await;
    }
}

/// What all conversations share.
struct Desk<F> {
    on_letter: F,
    extensions: &'static [&'static str],
    accepted: Arc<AtomicU64>,
    deferred: Mutex<HashSet<String>>,
    shutdown: CancellationToken,
}

impl<F> Desk<F> {
    /// Whether this recipient was not deferred yet.
    fn first_time(&self, address: &str) -> bool {
        let mut deferred = self.deferred.lock().unwrap_or_else(PoisonError::into_inner);
        deferred.len() < DEFERRED_MAX && deferred.insert(address.to_owned())
    }
}

/// What has been said so far in one transaction.
#[derive(Default)]
struct Transaction {
    from: Option<String>,
    to: Vec<String>,
}

impl Transaction {
    fn act(&self) -> Act {
        self.to.first().map_or(Act::Accept, |to| Act::of(to))
    }
}

/// What a command is answered with.
enum Answer {
    Say(&'static str),
    Take,
    Leave(&'static str),
}

async fn talk<F>(stream: TcpStream, desk: &Arc<Desk<F>>) -> io::Result<()>
where
    F: Fn(Received) -> io::Result<()> + Send + Sync + 'static,
{
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut open = Transaction::default();
    let mut replies = Vec::new();
    say(&mut replies, "220 sink.invalid ESMTP: keeps everything, sends nothing");
    loop {
        if reader.buffer().is_empty() {
            flush(&mut writer, &mut replies).await?;
        }
        let command = tokio::select! {
            biased;
            command = read_command(&mut reader) => command?,
            () = desk.shutdown.cancelled() => {
                say(&mut replies, "421 4.3.2 closing");
                return flush(&mut writer, &mut replies).await;
            }
        };
        let Some(command) = command else { return Ok(()) };
        match answer(&command, &mut open, desk, &mut replies) {
            Answer::Say(reply) => say(&mut replies, reply),
            Answer::Leave(reply) => {
                say(&mut replies, reply);
                return flush(&mut writer, &mut replies).await;
            }
            Answer::Take => {
                say(&mut replies, "354 end with a dot");
                flush(&mut writer, &mut replies).await?;
                let done = std::mem::take(&mut open);
                let Some(reply) = take(&mut reader, done, desk).await? else { return Ok(()) };
                say(&mut replies, reply);
            }
        }
    }
}

fn say(replies: &mut Vec<u8>, reply: &str) {
    replies.extend_from_slice(reply.as_bytes());
    replies.extend_from_slice(b"\r\n");
}

async fn flush(writer: &mut OwnedWriteHalf, replies: &mut Vec<u8>) -> io::Result<()> {
    writer.write_all(replies).await?;
    replies.clear();
    Ok(())
}

/// One line without its CRLF; `None` when the client is gone, silent or out of bounds.
async fn read_command(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut bounded = reader.take(COMMAND_BYTES_MAX);
    let Ok(read) = timeout(IDLE, bounded.read_until(b'\n', &mut line)).await else {
        return Ok(None);
    };
    read?;
    let Some(text) = line.strip_suffix(b"\n") else { return Ok(None) };
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Ok(Some(String::from_utf8_lossy(text).into_owned()))
}

fn answer<F>(
    command: &str,
    open: &mut Transaction,
    desk: &Desk<F>,
    replies: &mut Vec<u8>,
) -> Answer {
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    match (verb.to_ascii_uppercase().as_str(), &open.from) {
        ("EHLO", _) => {
            *open = Transaction::default();
            say(replies, "250-sink.invalid");
            for extension in desk.extensions {
                say(replies, &format!("250-{extension}"));
            }
            Answer::Say("250 HELP")
        }
        ("HELO", _) => {
            *open = Transaction::default();
            Answer::Say("250 sink.invalid")
        }
        ("MAIL", Some(_)) => Answer::Say("503 5.5.1 one letter at a time"),
        ("MAIL", None) => match path(rest, "FROM:") {
            Some(from) => {
                open.from = Some(from);
                Answer::Say("250 2.1.0 Ok")
            }
            None => Answer::Say("501 5.5.4 MAIL FROM:<address>"),
        },
        ("RCPT" | "DATA", None) => Answer::Say("503 5.5.1 MAIL first"),
        ("RCPT", Some(_)) => recipient(rest, open, desk),
        ("DATA", Some(_)) if open.to.is_empty() => Answer::Say("554 5.5.1 no valid recipients"),
        ("DATA", Some(_)) => Answer::Take,
        ("RSET", _) => {
            *open = Transaction::default();
            Answer::Say("250 2.0.0 Ok")
        }
        ("NOOP", _) => Answer::Say("250 2.0.0 Ok"),
        ("QUIT", _) => Answer::Leave("221 2.0.0 Bye"),
        _ => Answer::Say("502 5.5.2 not known here"),
    }
}

fn recipient<F>(rest: &str, open: &mut Transaction, desk: &Desk<F>) -> Answer {
    let Some(to) = path(rest, "TO:").filter(|to| !to.is_empty()) else {
        return Answer::Say("501 5.5.4 RCPT TO:<address>");
    };
    match Act::of(&to) {
        _ if open.to.len() >= RECIPIENTS_MAX => Answer::Say("452 4.5.3 too many recipients"),
        Act::Refuse => Answer::Say("550 5.1.1 user unknown"),
        Act::Defer => Answer::Say("451 4.7.1 greylisted, try again later"),
        Act::DeferOnce if desk.first_time(&to) => {
            Answer::Say("451 4.7.1 greylisted, try again later")
        }
        Act::Busy => Answer::Leave("421 4.3.2 busy, closing"),
        _ => {
            open.to.push(to);
            Answer::Say("250 2.1.5 Ok")
        }
    }
}

/// What stands between the angle brackets of `FROM:<ann@x> SIZE=3`.
fn path(rest: &str, word: &str) -> Option<String> {
    let (head, rest) = rest.split_at_checked(word.len())?;
    let address = rest.trim_start().strip_prefix('<')?.split_once('>')?.0;
    head.eq_ignore_ascii_case(word).then(|| address.to_owned())
}

/// Reads a message and keeps it; `None` hangs up.
async fn take<F>(
    reader: &mut BufReader<OwnedReadHalf>,
    done: Transaction,
    desk: &Arc<Desk<F>>,
) -> io::Result<Option<&'static str>>
where
    F: Fn(Received) -> io::Result<()> + Send + Sync + 'static,
{
    let act = done.act();
    if act == Act::CutBeforeDot {
        reader.fill_buf().await?;
        return Ok(None);
    }
    let Some(message) = read_message(reader).await? else { return Ok(None) };
    if message.len() > MESSAGE_BYTES_MAX {
        return Ok(Some("552 5.3.4 message too big"));
    }
    match act {
        Act::RefuseLate => return Ok(Some("554 5.7.1 not wanted")),
        Act::Slow => tokio::time::sleep(SLOW).await,
        _ => (),
    }
    let received = Received { from: done.from.unwrap_or_default(), to: done.to, message };
    let keeper = Arc::clone(desk);
    let kept = tokio::task::spawn_blocking(move || (keeper.on_letter)(received)).await;
    if !matches!(kept, Ok(Ok(()))) {
        return Ok(Some("451 4.3.0 could not be kept"));
    }
    desk.accepted.fetch_add(1, Ordering::SeqCst);
    Ok((act != Act::CutAfterDot).then_some("250 2.0.0 Ok: kept"))
}

/// Up to the dot, which is CRLF, dot, CRLF and nothing else. What is too big is read to its end
/// but not kept whole. `None` when the client is gone or silent.
async fn read_message(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<u8>>> {
    const PIECE_BYTES_MAX: u64 = 64 << 10;
    let mut message = Vec::new();
    let (mut at_line_start, mut after_cr) = (true, false);
    let mut piece = Vec::new();
    loop {
        piece.clear();
        let mut bounded = (&mut *reader).take(PIECE_BYTES_MAX);
        let Ok(read) = timeout(IDLE, bounded.read_until(b'\n', &mut piece)).await else {
            return Ok(None);
        };
        if read? == 0 {
            return Ok(None);
        }
        if at_line_start && piece == b".\r\n" {
            return Ok(Some(message));
        }
        let stuffed = at_line_start && piece.first() == Some(&b'.');
        // A line longer than a piece may be cut between its CR and its LF.
        at_line_start = piece.ends_with(b"\r\n") || (after_cr && piece == b"\n");
        after_cr = piece.ends_with(b"\r");
        if message.len() <= MESSAGE_BYTES_MAX {
            message.extend(piece.iter().skip(usize::from(stuffed)));
        }
    }
}
