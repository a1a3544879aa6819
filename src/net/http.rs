//! The public endpoint: the pixel, the unsubscribe page, and nothing else.
//!
//! Anybody can reach it, so everything is bounded (bytes, time, connections), and a bad token gets
//! the answer of a good one. It knows nothing of the store: what it sees it sends as [`Hit`]s, and
//! it waits until a hit is recorded before it answers, so that what was answered is never lost.
//! A pixel is always answered, though: a letter with a broken image helps nobody. TLS is the
//! business of the reverse proxy in front.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::feedback::entry::Via;
use crate::letter::token::{Keys, TokenKind};
use crate::net::page::{BUTTON, Language, Page, html};

/// The transparent pixel: one dot, 43 bytes, GIF89a.
pub const PIXEL: &[u8; 43] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0\
    ,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// What somebody did with a token of ours. Whoever takes it answers on `reply`.
#[derive(Debug)]
pub struct Hit {
    /// What.
    pub kind: HitKind,
    /// The letter, as the token names it.
    pub letter: [u8; 8],
    /// The user agent, at most [`AGENT_LEN_MAX`] bytes; empty when there was none.
    pub user_agent: String,
    /// Whether the method was HEAD, which never counts.
    pub head: bool,
    /// True once it is durable; false, or dropped, when it could not be recorded.
    pub reply: oneshot::Sender<bool>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HitKind {
    /// The pixel was fetched.
    Open,
    /// The unsubscribe address was posted to; never merely fetched.
    Unsubscribe(Via),
}

/// Longest user agent that is passed on, in bytes.
pub const AGENT_LEN_MAX: usize = 300;

/// How much of everything a stranger may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections_max: usize,
    /// Bytes of a request's head. At least 8192.
    pub head_bytes_max: usize,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// For the head of a request to arrive, also the first of an idle connection.
    pub head_timeout: Duration,
    /// For the body of a request to arrive.
    pub body_timeout: Duration,
    /// For a connection, however busy.
    pub connection_timeout: Duration,
    /// For a pixel to be recorded, before it is answered all the same.
    pub open_timeout: Duration,
    /// For an unsubscribe to be recorded, before it is answered 503.
    pub unsubscribe_timeout: Duration,
    /// Requests without a valid token per second and peer (an IPv6 peer is its /64).
    pub strays_per_second: NonZeroU32,
    /// How many of those at once.
    pub strays_burst: NonZeroU32,
    /// Peers remembered for that; when there are more, strays of further peers are turned away.
    pub stray_peers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            head_bytes_max: 16 * 1024,
            body_bytes_max: 8 * 1024,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            connection_timeout: Duration::from_secs(300),
            open_timeout: Duration::from_secs(2),
            unsubscribe_timeout: Duration::from_secs(5),
            strays_per_second: const { NonZeroU32::new(10).expect("not zero") },
            strays_burst: const { NonZeroU32::new(100).expect("not zero") },
            stray_peers_max: 100_000,
        }
    }
}

/// Answers requests; [`serve`] puts it on a listener.
#[derive(Debug)]
pub struct Endpoint {
    keys: Arc<Keys>,
    hits: mpsc::Sender<Hit>,
    limits: Limits,
    strays: DefaultKeyedRateLimiter<IpAddr>,
    lost: AtomicU64,
}

/// A path we answer.
enum Route<'a> {
    Pixel(&'a str),
    Unsubscribe(&'a str),
    Health,
}

/// Who or what asks, and for which letter.
struct Visit {
    letter: Option<[u8; 8]>,
    user_agent: String,
    language: Language,
}

/// How often peers that were quiet are forgotten.
const SWEEP: Duration = Duration::from_secs(10);
/// Pause after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers on `listener` until `shutdown`, then lets the requests under way finish and returns.
pub async fn serve(listener: TcpListener, endpoint: Arc<Endpoint>, shutdown: CancellationToken) {
    let mut conversations = JoinSet::new();
    let mut sweep = interval(SWEEP);
    loop {
        let room = conversations.len() < endpoint.limits.connections_max;
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = conversations.join_next() => (),
            _ = sweep.tick() => endpoint.sweep(),
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, peer)) => {
                    let (endpoint, shutdown) = (Arc::clone(&endpoint), shutdown.clone());
                    conversations.spawn(converse(stream, peer, endpoint, shutdown));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    while conversations.join_next().await.is_some() {}
}

/// One connection. That it broke is the stranger's business.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    endpoint: Arc<Endpoint>,
    shutdown: CancellationToken,
) {
    // A small answer must not wait for the acknowledgement of the one before (Nagle).
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let limits = endpoint.limits;
    let service = service_fn(|request| async {
        Ok::<_, Infallible>(endpoint.respond(peer.ip(), request).await)
    });
    // Half close: who hangs up early has looked, or unsubscribed, all the same.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes_max)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shutdown.cancelled() => (),
        () = sleep(limits.connection_timeout) => (),
    }
    connection.as_mut().graceful_shutdown();
    let last_words = limits.body_timeout + limits.unsubscribe_timeout.max(limits.open_timeout);
    let _ended = timeout(last_words, connection).await;
}

impl Endpoint {
    /// Tokens are verified with `keys`; what is seen goes to `hits`.
    #[must_use]
    pub fn new(keys: Arc<Keys>, hits: mpsc::Sender<Hit>, limits: Limits) -> Self {
        let quota = Quota::per_second(limits.strays_per_second).allow_burst(limits.strays_burst);
        let strays = RateLimiter::keyed(quota);
        Self { keys, hits, limits, strays, lost: AtomicU64::new(0) }
    }

    /// Opens that were answered and could not be recorded (or not in time).
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Answers one request of `peer`, within the limits.
    pub async fn respond<B>(&self, peer: IpAddr, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let route = Route::of(head.uri.path());
        let letter = route.as_ref().and_then(|route| route.letter(&self.keys));
        let stray = letter.is_none() && !matches!(route, Some(Route::Health));
        if stray && self.is_too_many(caller(peer, &head.headers)) {
            return plain(StatusCode::TOO_MANY_REQUESTS);
        }
        let visit = Visit::new(letter, &head.headers);
        match (route, &head.method) {
            (Some(Route::Pixel(_)), &Method::GET) => self.pixel(visit, false).await,
            (Some(Route::Pixel(_)), &Method::HEAD) => self.pixel(visit, true).await,
            (Some(Route::Unsubscribe(_)), &Method::GET | &Method::HEAD) => {
                page(StatusCode::OK, Page::Ask, visit.language)
            }
            (Some(Route::Unsubscribe(_)), &Method::POST) => match self.body(body).await {
                Ok(body) => self.unsubscribe(visit, &body).await,
                Err(status) => plain(status),
            },
            (Some(Route::Health), &Method::GET | &Method::HEAD) => self.health(),
            _ => plain(StatusCode::NOT_FOUND),
        }
    }

    async fn body<B>(&self, body: B) -> Result<Bytes, StatusCode>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let whole = Limited::new(body, self.limits.body_bytes_max).collect();
        match timeout(self.limits.body_timeout, whole).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(err)) if err.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
            Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
            Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
        }
    }

    /// Always the same answer, whatever the token and whether or not it could be recorded.
    async fn pixel(&self, visit: Visit, head: bool) -> Response<Full<Bytes>> {
        if let Some(letter) = visit.letter {
            let recorded = self.record(HitKind::Open, letter, visit.user_agent, head);
            if timeout(self.limits.open_timeout, recorded).await != Ok(true) {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        let mut response = Response::new(Full::new(Bytes::from_static(PIXEL)));
        dress(response.headers_mut(), "image/gif");
        response
    }

    /// Whoever posts here wants no more letters, whatever the body. Our own button says that it is
    /// ours; everything else is a mail program (RFC 8058: urlencoded or multipart).
    async fn unsubscribe(&self, visit: Visit, body: &[u8]) -> Response<Full<Bytes>> {
        let via = if body == BUTTON.as_bytes() { Via::Page } else { Via::OneClick };
        let kind = HitKind::Unsubscribe(via);
        let done = match visit.letter {
            Some(letter) => {
                let recorded = self.record(kind, letter, visit.user_agent, false);
                timeout(self.limits.unsubscribe_timeout, recorded).await
            }
            None => Ok(true),
        };
        if done == Ok(true) {
            return page(StatusCode::OK, Page::Done, visit.language);
        }
        unrecorded(visit.language)
    }

    /// Whether opens and unsubscribes have somewhere to go.
    fn health(&self) -> Response<Full<Bytes>> {
        let closed = self.hits.is_closed();
        plain(if closed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK })
    }

    /// True once it is durable.
    async fn record(&self, kind: HitKind, letter: [u8; 8], user_agent: String, head: bool) -> bool {
        let (reply, recorded) = oneshot::channel();
        let hit = Hit { kind, letter, user_agent, head, reply };
        self.hits.send(hit).await.is_ok() && recorded.await == Ok(true)
    }

    fn is_too_many(&self, peer: IpAddr) -> bool {
        self.limits.stray_peers_max <= self.strays.len() || self.strays.check_key(&peer).is_err()
    }

    fn sweep(&self) {
        self.strays.retain_recent();
        self.strays.shrink_to_fit();
    }
}

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Option<Self> {
        if let Some(name) = path.strip_prefix("/o/") {
            return Some(Self::Pixel(name.strip_suffix(".gif").unwrap_or(name)));
        }
        if let Some(token) = path.strip_prefix("/u/") {
            return Some(Self::Unsubscribe(token));
        }
        (path == "/healthz").then_some(Self::Health)
    }

    /// The letter, if the token is ours and meant for this route.
    fn letter(&self, keys: &Keys) -> Option<[u8; 8]> {
        let (token, meant) = match self {
            Self::Pixel(token) => (token, TokenKind::Open),
            Self::Unsubscribe(token) => (token, TokenKind::Unsubscribe),
            Self::Health => return None,
        };
        let (kind, letter) = keys.verify(token)?;
        (kind == meant).then_some(letter)
    }
}

impl Visit {
    fn new(letter: Option<[u8; 8]>, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
        let mut user_agent = String::from_utf8_lossy(text(header::USER_AGENT)).into_owned();
        user_agent.truncate(user_agent.floor_char_boundary(AGENT_LEN_MAX));
        let languages = str::from_utf8(text(header::ACCEPT_LANGUAGE)).unwrap_or_default();
        Self { letter, user_agent, language: Language::accepted(languages) }
    }
}

/// Who to count a stray for: the peer, or who a reverse proxy on this machine says it was. Only
/// the last name of `X-Forwarded-For` is the proxy's own word.
fn caller(peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let forwarded = headers.get_all("x-forwarded-for").into_iter().next_back();
    let named = forwarded
        .filter(|_| peer.to_canonical().is_loopback())
        .and_then(|list| list.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    match named.unwrap_or(peer).to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn page(status: StatusCode, page: Page, language: Language) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(html(page, language))));
    *response.status_mut() = status;
    dress(response.headers_mut(), "text/html; charset=utf-8");
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                  base-uri 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::VARY, "accept-language"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The wish could not be recorded: mail programs may come back, people get the button again.
fn unrecorded(language: Language) -> Response<Full<Bytes>> {
    let mut response = page(StatusCode::SERVICE_UNAVAILABLE, Page::Failed, language);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    response
}

/// The status in words, as text.
fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let words = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from_static(words.as_bytes())));
    *response.status_mut() = status;
    dress(response.headers_mut(), "text/plain");
    response
}

fn dress(headers: &mut HeaderMap, kind: &'static str) {
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store, private"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
