//! Both ends of the unix socket: [`crate::control`]'s requests and answers as HTTP/1.1, so that
//! the CLI, scripts and `curl --unix-socket` speak one protocol.
//!
//! `POST /v1/ask` with a JSON object; 200 with one object, or with one per line
//! (`application/x-ndjson`); a bad finding is 200 with `x-tradewind-exit: 1`, a failure a 4xx or
//! 5xx with the error object. One connection is one session: what it began and did not end, such
//! as an import, is dropped when it closes, so the server says when that is.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::{Answer, Failure, Request};

/// Where requests are posted.
pub const ASK_PATH: &str = "/v1/ask";
/// The exit code a CLI should end with, when it is not 0.
pub const EXIT_HEADER: &str = "x-tradewind-exit";
/// Bytes of one request at most.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a socket's path at most (`sun_path` holds 108 with its NUL; unix(7)).
pub const PATH_BYTES_MAX: usize = 107;
/// Connections served at once.
const CONNECTIONS_MAX: usize = 64;
/// Bytes of one piece of a list.
const PIECE_BYTES: usize = 64 * 1024;
const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";

/// Who is at the other end, as the kernel says (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The user.
    pub uid: u32,
    /// The process, where the kernel knows it.
    pub pid: Option<i32>,
}

impl Peer {
    /// The account's name where /etc/passwd has one, else its number.
    #[must_use]
    pub fn account(&self) -> String {
        let uid = self.uid.to_string();
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == uid).then(|| name.to_owned())
        });
        name.unwrap_or(uid)
    }
}

/// What the server hands to the daemon.
#[derive(Debug)]
pub enum Call {
    /// A request; whoever serves it answers through `reply`.
    Ask(Ask),
    /// A session closed: drop what it left half done.
    Ended {
        /// The session.
        session: u64,
    },
}

/// One request of one session.
#[derive(Debug)]
pub struct Ask {
    /// What is asked.
    pub request: Request,
    /// By whom.
    pub peer: Peer,
    /// On which connection; numbers are never used twice in one process.
    pub session: u64,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
}

/// Binds the socket (mode 0660), taking the place of one that nobody listens on.
///
/// # Errors
/// 78 for a path the kernel could not hold, 75 if somebody listens there already, 73 otherwise.
pub fn bind(path: &Path) -> Result<UnixListener, Failure> {
    refuse_long(path)?;
    let cannot = |err: io::Error| {
        Failure::new(
            73,
            format!("cannot listen on {}: {err}", path.display()),
            "make its directory writable for this user, or start as the store's owner",
        )
    };
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(Failure::new(
                75,
                format!("somebody listens on {} already", path.display()),
                "stop the other daemon first; `tradewind status` names it",
            ));
        }
        fs::remove_file(path).map_err(cannot)?;
    }
    let listener = UnixListener::bind(path).map_err(cannot)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(cannot)?;
    Ok(listener)
}

/// Serves the socket until `shutdown`, then lets every begun request finish.
pub async fn serve(listener: UnixListener, calls: mpsc::Sender<Call>, shutdown: CancellationToken) {
    let owner = own_uid();
    let sessions = TaskTracker::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut session = 0_u64;
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                session += 1;
                let line = Line::new(&stream, owner, session, calls.clone());
                let shutdown = shutdown.clone();
                sessions.spawn(async move {
                    line.run(stream, shutdown).await;
                    drop(permit);
                });
            }
            Err(err) => {
                // Out of file descriptors, most likely: waiting is all that helps.
                tracing::warn!(%err, "control socket: accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // From here on nobody new is let in, nor left waiting at a door that will not open.
    if let Some(path) = listener.local_addr().ok().as_ref().and_then(|addr| addr.as_pathname()) {
        let _ = fs::remove_file(path);
    }
    drop(listener);
    sessions.close();
    sessions.wait().await;
}

async fn accept(
    listener: &UnixListener,
    room: &Arc<Semaphore>,
) -> io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

/// The user this process runs as: what a socket of its own says about its peer.
fn own_uid() -> Option<u32> {
    let (here, _there) = UnixStream::pair().ok()?;
    here.peer_cred().ok().map(|cred| cred.uid())
}

/// One connection, seen from the server.
#[derive(Clone)]
struct Line {
    peer: Option<Peer>,
    allowed: bool,
    session: u64,
    calls: mpsc::Sender<Call>,
}

impl Line {
    fn new(
        stream: &UnixStream,
        owner: Option<u32>,
        session: u64,
        calls: mpsc::Sender<Call>,
    ) -> Self {
        let peer = stream.peer_cred().ok().map(|cred| Peer { uid: cred.uid(), pid: cred.pid() });
        let allowed = peer.is_some_and(|peer| peer.uid == 0 || Some(peer.uid) == owner);
        Self { peer, allowed, session, calls }
    }

    async fn run(self, stream: UnixStream, shutdown: CancellationToken) {
        let service = service_fn(|request| {
            let line = self.clone();
            async move { Ok::<_, Infallible>(respond(line.answer(request).await)) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(err) = ended {
            tracing::debug!(session = self.session, %err, "control socket: session broke off");
        }
        // A daemon that no longer listens has nothing half done left.
        let _ = self.calls.send(Call::Ended { session: self.session }).await;
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> Answer {
        match self.ask(request).await {
            Ok(answer) => answer,
            Err(failure) => Answer::Failed(failure),
        }
    }

    async fn ask(&self, request: hyper::Request<Incoming>) -> Result<Answer, Failure> {
        let peer = self.peer.filter(|_| self.allowed).ok_or_else(|| {
            Failure::new(
                77,
                "only the store's owner and root may give orders",
                "run the command as the user the daemon runs as",
            )
        })?;
        if request.uri().path() != ASK_PATH || request.method() != Method::POST {
            return Err(Failure::new(
                64,
                format!("there is no {} {}", request.method(), request.uri().path()),
                format!("POST {ASK_PATH} with a JSON object that names its \"command\""),
            ));
        }
        let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX);
        let body = body.collect().await.map_err(|err| {
            Failure::new(
                65,
                format!("the request could not be read: {err}"),
                format!("send at most {REQUEST_BYTES_MAX} bytes at a time"),
            )
        })?;
        let request = serde_json::from_slice(&body.to_bytes()).map_err(|err| {
            Failure::new(
                64,
                format!("not a request: {err}"),
                "send what the CLI sends: {\"command\":\"status\"} for one",
            )
        })?;
        let (reply, answer) = oneshot::channel();
        let ask = Ask { request, peer, session: self.session, reply };
        self.calls.send(Call::Ask(ask)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }
}

fn stopping() -> Failure {
    Failure::new(75, "the daemon is stopping", "ask again when it has stopped or restarted")
}

fn respond(answer: Answer) -> Response<Payload> {
    let exit = answer.exit_code();
    let (status, kind, payload) = match answer {
        Answer::One(value) | Answer::Bad(value) => {
            (StatusCode::OK, JSON, Payload::Whole(Some(line_of(&value))))
        }
        Answer::Lines(lines) => (StatusCode::OK, NDJSON, Payload::Lines(lines.into_iter())),
        Answer::Failed(failure) => {
            (status_of(&failure), JSON, Payload::Whole(Some(line_of(&failure.to_json()))))
        }
    };
    let mut response = Response::new(payload);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if exit != 0 {
        headers.insert(EXIT_HEADER, HeaderValue::from(u16::from(exit)));
    }
    response
}

/// The HTTP status nearest to a sysexits code.
fn status_of(failure: &Failure) -> StatusCode {
    match failure.code {
        64 | 65 => StatusCode::BAD_REQUEST,
        66 => StatusCode::NOT_FOUND,
        77 => StatusCode::FORBIDDEN,
        75 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn line_of(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}

/// A body: one object, or the lines of a list, written piece by piece as they are taken.
enum Payload {
    Whole(Option<Bytes>),
    Lines(std::vec::IntoIter<Value>),
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.get_mut() {
            Self::Whole(bytes) => bytes.take(),
            Self::Lines(lines) => piece_of(lines),
        };
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn piece_of(lines: &mut std::vec::IntoIter<Value>) -> Option<Bytes> {
    let mut piece = String::new();
    while piece.len() < PIECE_BYTES
        && let Some(line) = lines.next()
    {
        piece.push_str(&line.to_string());
        piece.push('\n');
    }
    Some(Bytes::from(piece)).filter(|piece| !piece.is_empty())
}

/// The CLI's end: one connection, kept open from the first request to the last.
#[derive(Debug)]
pub struct Client {
    runtime: tokio::runtime::Runtime,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects; `None` if nobody listens there.
    ///
    /// # Errors
    /// 78 for a path the kernel could not hold, 77 if this user may not connect, 74 otherwise.
    pub fn connect(path: &Path) -> Result<Option<Self>, Failure> {
        refuse_long(path)?;
        let broken = |err: &dyn std::fmt::Display| {
            Failure::new(
                74,
                format!("cannot talk to {}: {err}", path.display()),
                "see whether the daemon is well: `systemctl status tradewind`, its log",
            )
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|err| broken(&err))?;
        let stream = match runtime.block_on(UnixStream::connect(path)) {
            Ok(stream) => stream,
            Err(err) if nobody(&err) => return Ok(None),
            Err(err) if err.kind() == io::ErrorKind::PermissionDenied => {
                return Err(Failure::new(
                    77,
                    format!("this user may not connect to {}", path.display()),
                    "run the command as the user the daemon runs as",
                ));
            }
            Err(err) => return Err(broken(&err)),
        };
        let (sender, connection) = runtime
            .block_on(hyper::client::conn::http1::handshake(TokioIo::new(stream)))
            .map_err(|err| broken(&err))?;
        runtime.spawn(connection);
        Ok(Some(Self { runtime, sender }))
    }

    /// Asks one thing and waits for its answer.
    pub fn ask(&mut self, request: &Request) -> Answer {
        let asked = serde_json::to_vec(request).map_err(|err| unheard(&err)).and_then(|body| {
            self.runtime.block_on(exchange(&mut self.sender, body)).map_err(|err| unheard(&*err))
        });
        asked.unwrap_or_else(Answer::Failed)
    }
}

fn nobody(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn unheard(err: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        75,
        format!("the daemon hung up before it answered: {err}"),
        "run the command again; whatever was answered before is kept",
    )
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(sender: &mut SendRequest<Full<Bytes>>, body: Vec<u8>) -> Result<Answer, Broken> {
    sender.ready().await?;
    let request = hyper::Request::post(ASK_PATH)
        .header(HOST, "tradewind")
        .header(CONTENT_TYPE, JSON)
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    if head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == NDJSON) {
        let lines = serde_json::Deserializer::from_slice(&body).into_iter();
        return Ok(Answer::Lines(lines.collect::<Result<_, _>>()?));
    }
    let value: Value = serde_json::from_slice(&body)?;
    Ok(match Failure::from_json(&value) {
        Some(failure) if !head.status.is_success() => Answer::Failed(failure),
        _ if head.headers.contains_key(EXIT_HEADER) => Answer::Bad(value),
        _ => Answer::One(value),
    })
}

fn refuse_long(path: &Path) -> Result<(), Failure> {
    let length = path.as_os_str().as_bytes().len();
    if length <= PATH_BYTES_MAX {
        return Ok(());
    }
    Err(Failure::new(
        78,
        format!(
            "the socket's path has {length} bytes, the kernel takes {PATH_BYTES_MAX}: {}",
            path.display()
        ),
        "give the store a shorter path (--store, or `store` in the configuration)",
    ))
}
