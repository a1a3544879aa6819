//! The stage of a rehearsal: a throw-away directory with a mail server and a daemon in it, both as
//! processes of their own, spoken to only by socket, SMTP and HTTP.
//!
//! Whatever happens, the processes end and the directory goes when the stage is struck: at the end,
//! on an error, on Ctrl-C; unless it is to be kept.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use mail_parser::MessageParser;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::backend::SOCKET;
use crate::control::{Answer, Failure, Request};
use crate::net::sink::{Received, Sink};
use crate::socket::Client;

/// How long the daemon may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How often to look whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long one HTTP request may take.
const FETCH_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of the daemon's log that an error shows.
const LOG_TAIL_BYTES: usize = 1_500;

/// A daemon and a mail server, ready.
#[derive(Debug)]
pub struct Stage {
    props: Arc<Mutex<Props>>,
    dir: PathBuf,
    sink: SocketAddr,
    client: Client,
    runtime: Runtime,
}

/// What has to be cleared away.
#[derive(Debug)]
struct Props {
    dir: PathBuf,
    keep: bool,
    /// The mail server, then the daemon.
    actors: Vec<Child>,
}

impl Props {
    fn strike(&mut self) {
        // Killed, not stopped: the store is made for worse, and it goes away anyway.
        for mut actor in self.actors.drain(..).rev() {
            let _ = actor.kill();
            let _ = actor.wait();
        }
        if !self.keep {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

impl Drop for Props {
    fn drop(&mut self) {
        self.strike();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        locked(&self.props).strike();
    }
}

/// A letter as it arrived at the mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The envelope's recipient.
    pub to: String,
    /// The subject, decoded.
    pub subject: String,
    /// Path of the pixel it shows.
    pub pixel: Option<String>,
    /// Path of its one-click unsubscribe.
    pub unsubscribe: Option<String>,
}

impl Stage {
    /// Sets the stage and starts both processes; `files` are the configuration's, by relative path,
    /// and may depend on where the mail server listens.
    ///
    /// # Errors
    /// 73 if the directory cannot be made, 70 if a process does not come up: with the end of its log.
    pub fn set(
        keep: bool,
        clock: &str,
        files: impl FnOnce(SocketAddr) -> Result<Vec<(String, String)>, Failure>,
    ) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let dir = make_dir()?;
        let props = Props { dir: dir.clone(), keep, actors: Vec::new() };
        let props = Arc::new(Mutex::new(props));
        runtime.spawn(strike_on_interrupt(Arc::clone(&props)));
        // A process is started under the lock, so that none is forgotten when a signal comes.
        let sink = {
            let mut props = locked(&props);
            let (server, sink) = start_sink(&dir.join("letters"))?;
            props.actors.push(server);
            sink
        };
        for (name, text) in files(sink)? {
            write(&dir.join(name), &text)?;
        }
        finish(tradewind(&dir)?.arg("init"), "")?;
        let started = {
            let mut props = locked(&props);
            start_daemon(&dir, clock).map(|daemon| props.actors.push(daemon))
        };
        let client = started.and_then(|()| ready(&dir, &props, &runtime))?;
        Ok(Self { props, dir, sink, client, runtime })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the mail server listens.
    #[must_use]
    pub fn sink(&self) -> SocketAddr {
        self.sink
    }

    /// Asks the daemon over its socket.
    ///
    /// # Errors
    /// Its failure.
    pub fn ask(&mut self, request: &Request) -> Result<Value, Failure> {
        match self.client.ask(request) {
            Answer::One(value) | Answer::Bad(value) => Ok(value),
            Answer::Lines(lines) => Ok(Value::Array(lines)),
            Answer::Failed(failure) => Err(failure),
        }
    }

    /// Runs a command of ours as its own process, with `input` piped in.
    ///
    /// # Errors
    /// Its failure.
    pub fn pipe(&self, words: &[&str], input: &str) -> Result<Value, Failure> {
        finish(tradewind(&self.dir)?.args(words), input)
    }

    /// The letters that arrived, in order.
    ///
    /// # Errors
    /// 74 if they cannot be read.
    pub fn letters(&self) -> Result<Vec<Letter>, Failure> {
        let dir = self.dir.join("letters");
        let broken = |err: io::Error| io_failure("read the letters in", &dir, &err);
        let entries = fs::read_dir(&dir).map_err(broken)?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut paths: Vec<PathBuf> = paths.collect::<Result<_, _>>().map_err(broken)?;
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "eml"));
        paths.sort();
        let read = |path| fs::read(path).map(|message| Letter::read(&message)).map_err(broken);
        paths.into_iter().filter_map(|path| read(path).transpose()).collect()
    }

    /// One HTTP request as a mail program would make it; its status.
    ///
    /// # Errors
    /// 74 if nobody answers in time.
    pub fn fetch(&self, to: SocketAddr, request: hyper::Request<String>) -> Result<u16, Failure> {
        let what = format!("{} http://{to}{}", request.method(), request.uri());
        let answered = async { tokio::time::timeout(FETCH_WITHIN, fetch(to, request)).await? };
        self.runtime.block_on(answered).map_err(|err| {
            Failure::new(74, format!("{what}: {err}"), "see daemon.log for what the daemon says")
        })
    }

    /// Leaves both processes running; their numbers, mail server first.
    pub fn leave(self) -> Vec<u32> {
        let mut props = locked(&self.props);
        props.keep = true;
        props.actors.drain(..).map(|actor| actor.id()).collect()
    }
}

impl Letter {
    /// `None` only for an empty message: mail-parser makes something of everything else.
    fn read(message: &[u8]) -> Option<Self> {
        let parsed = MessageParser::default().parse(message)?;
        let header = |name: &'static str| parsed.header_raw(name).unwrap_or_default();
        let html = parsed.body_html(0).unwrap_or_default();
        let links = header("List-Unsubscribe");
        Some(Self {
            to: header("Delivered-To").trim().to_owned(),
            subject: parsed.subject().unwrap_or_default().to_owned(),
            pixel: path_with(&html, "/o/"),
            unsubscribe: path_with(links, "/u/"),
        })
    }
}

/// The path of the first URL in `text` that goes on with `mark` after its host.
fn path_with(text: &str, mark: &str) -> Option<String> {
    text.match_indices("://").find_map(|(at, scheme)| {
        let url = text.get(at + scheme.len()..)?;
        let path = url.get(url.find('/')?..)?;
        let end = path.find(|c: char| matches!(c, '"' | '\'' | '<' | '>') || c.is_whitespace());
        path.starts_with(mark).then(|| path.get(..end.unwrap_or(path.len())).map(str::to_owned))?
    })
}

/// Serves as the mail server of a stage: keeps every letter as a file in `dir`, says on standard
/// output where it listens, and runs until it is killed.
///
/// # Errors
/// 73 for a directory or port that cannot be had.
pub fn keep_letters(dir: &Path, port: u16) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|err| io_failure("create", dir, &err))?;
    let kept = fs::read_dir(dir).map_err(|err| io_failure("read", dir, &err))?.count();
    let number = AtomicU64::new(u64::try_from(kept).unwrap_or_default());
    let home = dir.to_path_buf();
    let keep = move |letter: Received| keep_letter(&home, &number, &letter);
    runtime()?.block_on(async {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let sink = Sink::bind(addr).await.map_err(|err| {
            let fix = "name another port with --port, or none";
            Failure::new(73, format!("cannot listen on {addr}: {err}"), fix)
        })?;
        // Whoever started us may not care to know.
        let _ = writeln!(io::stdout(), "{}", sink.addr());
        sink.run(CancellationToken::new(), keep).await;
        Ok(())
    })
}

/// One letter as a mail drop writes it: the envelope as headers on top.
fn keep_letter(dir: &Path, number: &AtomicU64, letter: &Received) -> io::Result<()> {
    let name = format!("{:08}", number.fetch_add(1, Ordering::Relaxed));
    let (part, whole) = (dir.join(format!("{name}.part")), dir.join(format!("{name}.eml")));
    let mut file = File::create(&part)?;
    write!(file, "Return-Path: <{}>\r\n", letter.from)?;
    write!(file, "Delivered-To: {}\r\n", letter.to.join(", "))?;
    file.write_all(&letter.message)?;
    fs::rename(part, whole)
}

fn make_dir() -> Result<PathBuf, Failure> {
    const TRIES: u32 = 100;
    let base = std::env::temp_dir();
    let mut last = None;
    for n in 0..TRIES {
        let dir = base.join(format!("tradewind-{}-{n}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => last = Some(err),
            Err(err) => return Err(io_failure("create", &dir, &err)),
        }
    }
    let err = last.unwrap_or_else(|| io::Error::other("no name is free"));
    Err(io_failure("create a directory in", &base, &err))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, text)).map_err(|err| io_failure("write", path, &err))
}

/// This very program, on the stage's configuration and store.
fn tradewind(dir: &Path) -> Result<Command, Failure> {
    let mut command = this_program()?;
    command.arg("--config").arg(dir.join("quickstart.toml"));
    command.arg("--store").arg(dir.join("store"));
    Ok(command)
}

fn this_program() -> Result<Command, Failure> {
    let program = std::env::current_exe().map_err(|err| {
        Failure::new(70, format!("cannot find this program: {err}"), "start it by its full path")
    })?;
    Ok(Command::new(program))
}

fn start_sink(letters: &Path) -> Result<(Child, SocketAddr), Failure> {
    let mut command = this_program()?;
    command.arg("sink").arg(letters).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = spawn(&mut command)?;
    let mut line = String::new();
    let read = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
    match (read, line.trim().parse()) {
        (Some(Ok(_)), Ok(addr)) => Ok((child, addr)),
        _ => {
            let _ = child.kill();
            let _ = child.wait();
            let message = "the mail server did not come up";
            Err(Failure::new(70, message, "see what it said above"))
        }
    }
}

fn start_daemon(dir: &Path, clock: &str) -> Result<Child, Failure> {
    let path = dir.join("daemon.log");
    let log = File::create(&path).map_err(|err| io_failure("write", &path, &err))?;
    let mut command = tradewind(dir)?;
    command.args(["run", "--clock", clock]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    spawn(&mut command)
}

fn spawn(command: &mut Command) -> Result<Child, Failure> {
    command.spawn().map_err(|err| {
        Failure::new(70, format!("cannot start {command:?}: {err}"), "start it by its full path")
    })
}

/// Runs a command to its end and reads its one JSON object.
fn finish(command: &mut Command, input: &str) -> Result<Value, Failure> {
    let mut child = spawn(command.arg("--json").stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Who does not read to the end says so by its exit.
        let _ = stdin.write_all(input.as_bytes());
    }
    let broken = |what: String| Failure::new(70, what, "this is a fault of tradewind: report it");
    let output = child.wait_with_output().map_err(|err| broken(format!("{command:?}: {err}")))?;
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|err| broken(format!("{command:?} answered no JSON: {err}")))?;
    match Failure::from_json(&answer) {
        Some(failure) => Err(failure),
        None if output.status.success() => Ok(answer),
        None => Err(broken(format!("{command:?}: {}", output.status))),
    }
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|err| Failure::new(71, format!("cannot start a thread: {err}"), "see `ulimit -u`"))
}

/// Waits until the daemon answers.
fn ready(dir: &Path, props: &Mutex<Props>, runtime: &Runtime) -> Result<Client, Failure> {
    let socket = dir.join("store").join(SOCKET);
    let log = dir.join("daemon.log");
    let started = Instant::now();
    while started.elapsed() < READY_WITHIN {
        if let Some(mut client) = Client::connect(&socket)? {
            return match client.ask(&Request::Status {}) {
                Answer::Failed(failure) => Err(failure),
                _ => Ok(client),
            };
        }
        let mut daemon = locked(props);
        let ended = daemon.actors.last_mut().and_then(|daemon| daemon.try_wait().ok().flatten());
        drop(daemon);
        if let Some(status) = ended {
            return Err(silent(&format!("the daemon ended ({status})"), &log));
        }
        runtime.block_on(async { tokio::time::sleep(LOOK_EVERY).await });
    }
    Err(silent(&format!("the daemon did not answer within {READY_WITHIN:?}"), &log))
}

fn silent(what: &str, log: &Path) -> Failure {
    let text = fs::read(log).unwrap_or_default();
    let tail = text.get(text.len().saturating_sub(LOG_TAIL_BYTES)..).unwrap_or_default();
    let tail = String::from_utf8_lossy(tail);
    Failure::new(
        70,
        format!("{what}; its log ends:\n{}", tail.trim_end()),
        "report it, log and all",
    )
}

async fn strike_on_interrupt(props: Arc<Mutex<Props>>) {
    /// As shells report a process that a signal ended: 128 and its number.
    const INTERRUPTED: i32 = 130;
    const TERMINATED: i32 = 143;
    let (Ok(mut int), Ok(mut term)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let code = tokio::select! {
        _ = int.recv() => INTERRUPTED,
        _ = term.recv() => TERMINATED,
    };
    locked(&props).strike();
    std::process::exit(code);
}

fn locked(props: &Mutex<Props>) -> std::sync::MutexGuard<'_, Props> {
    props.lock().unwrap_or_else(PoisonError::into_inner)
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn fetch(to: SocketAddr, request: hyper::Request<String>) -> Result<u16, Broken> {
    let stream = tokio::net::TcpStream::connect(to).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let talk = tokio::spawn(connection);
    let response = sender.send_request(request.map(|body| Full::new(Bytes::from(body)))).await?;
    let status = response.status().as_u16();
    response.into_body().collect().await?;
    drop(sender);
    talk.await??;
    Ok(status)
}

fn io_failure(what: &str, path: &Path, err: &io::Error) -> Failure {
    let code = if matches!(what, "read" | "read the letters in") { 74 } else { 73 };
    let fix = "see that the directory exists, has room, and belongs to this user";
    Failure::new(code, format!("cannot {what} {}: {err}", path.display()), fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_gives_up_its_links() {
        let message = "Return-Path: <b@x.example>\r\nDelivered-To: ann@acme.example\r\n\
            Subject: =?utf-8?Q?Pi=C3=A8ces?=\r\n\
            List-Unsubscribe: <http://127.0.0.1:8/u/TOKEN-2>,\r\n <mailto:u@x.example>\r\n\
            MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n\
            <a href=3D\"http://x.example/p\">x</a><img src=3D\"http://127.0.0.1:8/o/TOK=\r\n\
            EN.gif\" alt=3D\"\">\r\n";
        assert_eq!(
            Letter::read(message.as_bytes()),
            Some(Letter {
                to: "ann@acme.example".to_owned(),
                subject: "Pièces".to_owned(),
                pixel: Some("/o/TOKEN.gif".to_owned()),
                unsubscribe: Some("/u/TOKEN-2".to_owned()),
            })
        );
        assert_eq!(Letter::read(b""), None);
    }

    #[test]
    fn the_stage_is_cleared_away() {
        let dir = make_dir().unwrap();
        write(&dir.join("a/b.toml"), "x = 1").unwrap();
        let actor = Command::new("sleep").arg("600").spawn().unwrap();
        drop(Props { dir: dir.clone(), keep: false, actors: vec![actor] });
        assert!(!dir.exists());
    }

    #[test]
    fn letters_are_kept_whole_under_their_envelope() {
        let dir = tempfile::tempdir().unwrap();
        let letter = Received {
            from: "b@x.example".to_owned(),
            to: vec!["a@y.example".to_owned()],
            message: b"Subject: s\r\n\r\nhello\r\n".to_vec(),
        };
        let number = AtomicU64::new(0);
        keep_letter(dir.path(), &number, &letter).unwrap();
        keep_letter(dir.path(), &number, &letter).unwrap();
        let text = fs::read_to_string(dir.path().join("00000001.eml")).unwrap();
        assert_eq!(
            text,
            "Return-Path: <b@x.example>\r\nDelivered-To: a@y.example\r\nSubject: s\r\n\r\nhello\r\n"
        );
    }
}
