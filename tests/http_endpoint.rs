//! The public endpoint over real sockets: every route, bad tokens, floods, and a store that fails.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tradewind::feedback::entry::Via;
use tradewind::letter::token::{Keys, TokenKind};
use tradewind::net::http::{AGENT_LEN_MAX, Endpoint, Hit, HitKind, Limits, PIXEL, serve};

const LETTER: [u8; 8] = [0, 0, 0, 18, 0, 3, 0x4e, 1];

/// How the store behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Store {
    Records,
    Refuses,
    DropsTheReply,
    NeverReplies,
    IsGone,
}

/// What the store was told: kind, letter, user agent, HEAD.
type Told = Arc<Mutex<Vec<(HitKind, [u8; 8], String, bool)>>>;

struct House {
    addr: SocketAddr,
    endpoint: Arc<Endpoint>,
    told: Told,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

fn keys() -> Keys {
    Keys::new(vec![(1, [7; 32])]).unwrap()
}

fn pixel() -> String {
    format!("/o/{}.gif", keys().sign(TokenKind::Open, LETTER))
}

fn unsubscribe() -> String {
    format!("/u/{}", keys().sign(TokenKind::Unsubscribe, LETTER))
}

async fn house(store: Store, limits: Limits) -> House {
    let (hits, mut inbox) = mpsc::channel::<Hit>(16);
    let told = Told::default();
    let writes = Arc::clone(&told);
    tokio::spawn(async move {
        let mut held = Vec::new();
        if store == Store::IsGone {
            return;
        }
        while let Some(hit) = inbox.recv().await {
            writes.lock().unwrap().push((hit.kind, hit.letter, hit.user_agent, hit.head));
            match store {
                Store::Records => drop(hit.reply.send(true)),
                Store::Refuses => drop(hit.reply.send(false)),
                Store::NeverReplies => held.push(hit.reply),
                Store::DropsTheReply | Store::IsGone => (),
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let endpoint = Arc::new(Endpoint::new(Arc::new(keys()), hits, limits));
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve(listener, Arc::clone(&endpoint), shutdown.clone()));
    House { addr, endpoint, told, shutdown, task }
}

impl House {
    /// Sends `raw` and reads until the other side closes.
    async fn raw(&self, raw: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        // It may hang up while we still talk.
        let _sent = stream.write_all(raw).await;
        let mut answer = Vec::new();
        let _ended = stream.read_to_end(&mut answer).await;
        answer.iter().map(|b| char::from(*b)).collect()
    }

    /// Status, head in lower case without the date, and body.
    async fn ask(&self, method: &str, path: &str, more: &str, body: &str) -> (u16, String, String) {
        let length = body.len();
        let raw = format!(
            "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{more}\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let answer = self.raw(raw.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let head = head.to_lowercase();
        let lines: Vec<&str> = head.split("\r\n").filter(|l| !l.starts_with("date:")).collect();
        (status, lines.join("\n"), body.to_owned())
    }

    fn told(&self) -> Vec<(HitKind, [u8; 8], String, bool)> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

fn as_chars(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

#[tokio::test]
async fn the_pixel_is_a_pixel_and_is_recorded_first() {
    let house = house(Store::Records, Limits::default()).await;
    let (status, head, body) = house.ask("GET", &pixel(), "User-Agent: Tëst/1\r\n", "").await;
    assert_eq!((status, body), (200, as_chars(PIXEL)));
    for line in
        ["content-type: image/gif", "content-length: 43", "cache-control: no-store, private"]
    {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(!head.contains("cookie"), "{head}");
    assert_eq!(house.told(), [(HitKind::Open, LETTER, "Tëst/1".to_owned(), false)]);
    let (status, _, body) = house.ask("GET", &format!("{}?x=1", pixel()), "", "").await;
    assert_eq!((status, body, house.told().len()), (200, as_chars(PIXEL), 1));
    assert_eq!(house.endpoint.lost(), 0);
}

#[tokio::test]
async fn head_is_told_as_head() {
    let house = house(Store::Records, Limits::default()).await;
    let (status, head, body) = house.ask("HEAD", &pixel(), "", "").await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert!(head.contains("content-length: 43"), "{head}");
    assert_eq!(house.told(), [(HitKind::Open, LETTER, String::new(), true)]);
    let (status, _, body) = house.ask("HEAD", &unsubscribe(), "", "").await;
    assert_eq!((status, body.as_str(), house.told()), (200, "", vec![]));
}

#[tokio::test]
async fn bad_tokens_look_like_good_ones() {
    let house = house(Store::Records, Limits::default()).await;
    let swapped = keys().sign(TokenKind::Unsubscribe, LETTER);
    let foreign = Keys::new(vec![(1, [8; 32])]).unwrap().sign(TokenKind::Open, LETTER);
    let good = house.ask("GET", &pixel(), "", "").await;
    house.told();
    for token in [swapped.as_str(), &foreign, "", "x", "../../etc/passwd", "%00", &pixel()[3..30]] {
        let bad = house.ask("GET", &format!("/o/{token}.gif"), "", "").await;
        assert_eq!(bad, good, "{token}");
    }
    let swapped = keys().sign(TokenKind::Open, LETTER);
    for (method, body) in [("GET", ""), ("POST", "List-Unsubscribe=One-Click")] {
        let good = house.ask(method, &unsubscribe(), "", body).await;
        house.told();
        for token in [swapped.as_str(), &foreign, "", "x"] {
            let bad = house.ask(method, &format!("/u/{token}"), "", body).await;
            assert_eq!(bad, good, "{method} {token}");
        }
    }
    assert_eq!(house.told(), []);
}

#[tokio::test]
async fn unsubscribe_asks_on_get_and_acts_on_post() {
    let house = house(Store::Records, Limits::default()).await;
    let (status, head, body) = house.ask("GET", &unsubscribe(), "", "").await;
    assert_eq!((status, house.told()), (200, vec![]), "GET never unsubscribes");
    assert!(body.contains("<form method=\"post\">") && body.contains("lang=\"en\""), "{body}");
    for line in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(!head.contains("cookie") && !body.contains("<script"), "{head}\n{body}");
    let (_, _, french) = house.ask("GET", &unsubscribe(), "Accept-Language: fr-FR\r\n", "").await;
    assert!(french.contains("lang=\"fr\""), "{french}");

    let multipart = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\n\
                     One-Click\r\n--b--\r\n";
    let cases = [
        (Via::OneClick, "application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"),
        (Via::OneClick, "multipart/form-data; boundary=b", multipart),
        (Via::OneClick, "text/plain", ""),
        (Via::Page, "application/x-www-form-urlencoded", "from=page"),
        (Via::Page, "application/x-www-form-urlencoded", "from=page"),
    ];
    for (via, kind, post) in cases {
        let more = format!("Content-Type: {kind}\r\n");
        let (status, head, body) = house.ask("POST", &unsubscribe(), &more, post).await;
        assert_eq!(status, 200, "{post}");
        assert!(!head.contains("location:") && !body.contains("<form"), "{head}\n{body}");
        assert_eq!(house.told(), [(HitKind::Unsubscribe(via), LETTER, String::new(), false)]);
    }
}

#[tokio::test]
async fn everything_else_is_not_found() {
    let house = house(Store::Records, Limits::default()).await;
    let (pixel, unsubscribe) = (pixel(), unsubscribe());
    let click = format!("/c/{}", keys().sign(TokenKind::Click, LETTER));
    for (method, path, want) in [
        ("GET", "/healthz", 200),
        ("GET", "/", 404),
        ("GET", "/o", 404),
        ("GET", "/healthz/", 404),
        ("POST", "/healthz", 404),
        ("GET", &click, 404),
        ("POST", &pixel, 404),
        ("PUT", &unsubscribe, 404),
        ("OPTIONS", "*", 404),
        ("GET", "http://h/healthz", 200),
    ] {
        let (status, ..) = house.ask(method, path, "", "").await;
        assert_eq!(status, want, "{method} {path}");
    }
    assert_eq!(house.told(), []);
}

#[tokio::test]
async fn a_store_that_fails_costs_the_open_but_never_the_wish() {
    let short = Duration::from_millis(50);
    let limits = Limits { open_timeout: short, unsubscribe_timeout: short, ..Limits::default() };
    for store in [Store::Refuses, Store::DropsTheReply, Store::NeverReplies, Store::IsGone] {
        let house = house(store, limits).await;
        let (status, _, body) = house.ask("GET", &pixel(), "", "").await;
        assert_eq!((status, body, house.endpoint.lost()), (200, as_chars(PIXEL), 1), "{store:?}");
        let (status, head, body) = house.ask("POST", &unsubscribe(), "", "from=page").await;
        assert_eq!(status, 503, "{store:?}");
        assert!(head.contains("retry-after:") && body.contains("<form"), "{head}\n{body}");
        assert_eq!(house.endpoint.lost(), 1, "an unsubscribe answered 503 is not lost");
        let (status, ..) = house.ask("GET", "/healthz", "", "").await;
        assert_eq!(status, if store == Store::IsGone { 503 } else { 200 });
    }
}

#[tokio::test]
async fn heads_and_bodies_are_bounded() {
    let house = house(Store::Records, Limits::default()).await;
    let long = "x".repeat(2_000);
    let (status, ..) = house.ask("GET", &pixel(), &format!("User-Agent: {long}\r\n"), "").await;
    let [(_, _, agent, _)] = house.told().try_into().unwrap();
    assert_eq!((status, agent.len()), (200, AGENT_LEN_MAX));
    let wide = "é".repeat(200);
    house.ask("GET", &pixel(), &format!("User-Agent: x{wide}\r\n"), "").await;
    let [(_, _, agent, _)] = house.told().try_into().unwrap();
    assert_eq!(agent.len(), AGENT_LEN_MAX - 1, "cut between characters");

    let (status, ..) =
        house.ask("GET", &pixel(), &format!("X: {}\r\n", "x".repeat(17_000)), "").await;
    assert_eq!(status, 431);
    let (status, ..) = house.ask("POST", &unsubscribe(), "", &"x".repeat(8_192)).await;
    assert_eq!((status, house.told().len()), (200, 1));
    let (status, ..) = house.ask("POST", &unsubscribe(), "", &"x".repeat(8_193)).await;
    assert_eq!(status, 413);
    let chunk = format!("2000\r\n{}\r\n", "x".repeat(0x2000));
    let head = format!("POST {} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked", unsubscribe());
    house.raw(format!("{head}\r\n\r\n{}0\r\n\r\n", chunk.repeat(64)).as_bytes()).await;
    assert_eq!(house.told(), []);
}

#[tokio::test]
async fn the_slow_are_let_go() {
    let short = Duration::from_millis(50);
    let limits = Limits { head_timeout: short, body_timeout: short, ..Limits::default() };
    let house = house(Store::Records, limits).await;
    let nonsense = ["\r\n\r\n", "\0\0\0\0\n\n\n", "GET\r\n\r\n", "\x16\x03\x01\x02\0\x01\0\x01"];
    let started = ["", "GET /o/", "GET /healthz HTTP/1.1\r\nHost: h\r\n"];
    for started in started.into_iter().chain(nonsense) {
        let mut stream = TcpStream::connect(house.addr).await.unwrap();
        stream.write_all(started.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ended = stream.read_to_string(&mut answer).await;
        assert!(!answer.contains("200 OK"), "{started:?}: {answer}");
    }
    // After an answer the connection may idle as long as a head may take, and no longer.
    let mut stream = TcpStream::connect(house.addr).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("200 OK"), "{answer}");
    let head =
        format!("POST {} HTTP/1.1\r\nHost: h\r\nContent-Length: 26\r\n\r\nList", unsubscribe());
    assert!(house.raw(head.as_bytes()).await.contains("408 Request Timeout"));
    assert_eq!(house.told(), []);
}

#[tokio::test]
async fn who_hangs_up_early_has_looked_all_the_same() {
    let house = house(Store::Records, Limits::default()).await;
    let mut stream = TcpStream::connect(house.addr).await.unwrap();
    stream
        .write_all(format!("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", pixel()).as_bytes())
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.ends_with(PIXEL));
    assert_eq!(house.told().len(), 1);
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let house = house(Store::Records, Limits::default()).await;
    let one = format!("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", pixel());
    let last = "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = house.raw(format!("{}{last}", one.repeat(50)).as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 51);
    assert_eq!(house.told().len(), 50);
}

#[tokio::test]
async fn strays_are_limited_and_readers_never() {
    let one = NonZeroU32::MIN;
    let burst = NonZeroU32::new(3).unwrap();
    let limits = Limits { strays_per_second: one, strays_burst: burst, ..Limits::default() };
    let house = house(Store::Records, limits).await;
    let mut refused = 0;
    for _ in 0..20 {
        let (status, ..) = house.ask("GET", "/o/x.gif", "", "").await;
        refused += usize::from(status == 429);
        for path in [pixel(), "/healthz".to_owned()] {
            let (status, ..) = house.ask("GET", &path, "", "").await;
            assert_eq!(status, 200, "{path}");
        }
    }
    assert!((10..=17).contains(&refused), "{refused}");
    // Behind a proxy on this machine, everybody is counted for himself, by the proxy's word only.
    let (status, ..) = house.ask("GET", "/o/x.gif", "X-Forwarded-For: 192.0.2.7\r\n", "").await;
    assert_eq!(status, 200);
    let mut refused = 0;
    for n in 0..10 {
        let more = format!("X-Forwarded-For: 198.51.100.{n}, 2001:db8::{n}\r\n");
        let (status, ..) = house.ask("GET", "/o/x.gif", &more, "").await;
        refused += usize::from(status == 429);
    }
    assert!(0 < refused, "one /64 is one peer");
    assert_eq!(house.told().len(), 20);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let limits = Limits { connections_max: 2, ..Limits::default() };
    let house = house(Store::Records, limits).await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(house.addr).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        stream.read_u8().await.unwrap();
        idle.push(stream);
    }
    let path = pixel();
    let mut third = pin!(house.ask("GET", &path, "", ""));
    assert!(timeout(Duration::from_millis(50), third.as_mut()).await.is_err());
    assert_eq!(house.told(), []);
    drop(idle);
    assert_eq!((third.await.0, house.told().len()), (200, 1));
}

#[tokio::test]
async fn shutdown_finishes_what_is_under_way() {
    let short = Duration::from_millis(50);
    let limits = Limits { open_timeout: short, ..Limits::default() };
    let house = house(Store::NeverReplies, limits).await;
    let idle = TcpStream::connect(house.addr).await.unwrap();
    let path = pixel();
    let (answer, ()) = tokio::join!(house.ask("GET", &path, "", ""), async {
        while house.told.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        house.shutdown.cancel();
    });
    assert_eq!(answer.0, 200);
    house.task.await.unwrap();
    assert!(TcpStream::connect(house.addr).await.is_err(), "the listener is closed");
    drop(idle);
}
