//! The dispatcher between a desk that keeps count and loopback sinks.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail by panicking, as it does")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tradewind::book::contact::{ContactId, Day};
use tradewind::book::tag::TagId;
use tradewind::feedback::entry::LetterId;
use tradewind::feedback::verdict::{Class, Verdict};
use tradewind::net::carry::{Ask, Job};
use tradewind::net::dispatch::{Dispatch, Transport};
use tradewind::net::lane::{Limits, Route};
use tradewind::net::maildir::Maildir;
use tradewind::net::sink::Sink;
use tradewind::net::smtp::Envelope;

#[path = "common/relay.rs"]
mod relay;

use relay::relay;

fn letter(n: u32) -> LetterId {
    LetterId { contact: ContactId(n), tag: TagId(1), due: Day(20_000) }
}

fn job(n: u32, local: &str) -> Job {
    let to = format!("{local}{n}@example.com");
    let message = format!("Subject: {n}\r\n\r\nHello {n}.\r\n").into_bytes();
    let envelope = Envelope { from: "sender@example.com".to_owned(), to };
    Job { letter: letter(n), attempt: 1, envelope, message }
}

fn route(addr: SocketAddr, connections: usize) -> Route {
    Route {
        relay: relay(addr),
        weight: NonZeroU32::MIN,
        connections: NonZeroUsize::new(connections).unwrap(),
        messages_per_connection_max: NonZeroU32::new(30).unwrap(),
        messages_per_second: None,
    }
}

/// What the ledger would know.
#[derive(Default)]
struct Book {
    claims: Vec<LetterId>,
    settled: BTreeMap<LetterId, (bool, Verdict)>,
}

/// How a desk behaves: which claims it refuses, and after how many verdicts it breaks.
struct Desk {
    refuses: fn(u32) -> bool,
    breaks_after: usize,
    /// Grants no claim before this.
    gate: Option<Arc<Notify>>,
}

const GOOD: Desk = Desk { refuses: |_| false, breaks_after: usize::MAX, gate: None };

impl Desk {
    fn open(self) -> (mpsc::Sender<Ask>, Arc<Mutex<Book>>) {
        let (sender, mut asks) = mpsc::channel(8);
        let book: Arc<Mutex<Book>> = Arc::default();
        let ours = Arc::clone(&book);
        tokio::spawn(async move {
            while let Some(ask) = asks.recv().await {
                match ask {
                    Ask::Claim { letter, reply, .. } if (self.refuses)(letter.contact.0) => {
                        reply.send(Err("suppressed".to_owned())).unwrap();
                    }
                    Ask::Claim { letter, reply, .. } => {
                        ours.lock().unwrap().claims.push(letter);
                        if let Some(gate) = self.gate.clone() {
                            tokio::spawn(async move {
                                gate.notified().await;
                                reply.send(Ok(()))
                            });
                            continue;
                        }
                        // Nobody listens any more when the drain was over first.
                        let _ = reply.send(Ok(()));
                    }
                    Ask::Settle { letter, claimed, verdict, reply, .. } => {
                        let mut book = ours.lock().unwrap();
                        if book.settled.len() == self.breaks_after {
                            continue;
                        }
                        let before = book.settled.insert(letter, (claimed, verdict));
                        assert!(before.is_none(), "{letter} settled twice");
                        drop(book);
                        reply.send(()).unwrap();
                    }
                }
            }
        });
        (sender, book)
    }
}

/// A sink that counts how often each Subject arrived.
struct Counting {
    addr: SocketAddr,
    seen: Arc<Mutex<BTreeMap<String, usize>>>,
    stop: CancellationToken,
    run: JoinHandle<()>,
}

impl Counting {
    async fn start(addr: SocketAddr) -> Self {
        let sink = Sink::bind(addr).await.unwrap();
        let (addr, stop) = (sink.addr(), CancellationToken::new());
        let seen: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let ours = Arc::clone(&seen);
        let run = tokio::spawn(sink.run(stop.clone(), move |letter| {
            let text = String::from_utf8(letter.message).unwrap();
            *ours.lock().unwrap().entry(text.lines().next().unwrap().to_owned()).or_default() += 1;
            Ok(())
        }));
        Self { addr, seen, stop, run }
    }

    async fn anywhere() -> Self {
        Self::start(([127, 0, 0, 1], 0).into()).await
    }

    fn seen(&self) -> BTreeMap<String, usize> {
        self.seen.lock().unwrap().clone()
    }
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn quiet(dispatch: &Dispatch) {
    dispatch.in_flight().wait_for(|moving| *moving == 0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_letters_arrive_once() {
    let sink = Counting::anywhere().await;
    let (desk, book) = Desk { refuses: |n| n % 10 == 7, ..GOOD }.open();
    let transport = Transport::Relays(vec![route(sink.addr, 4)]);
    let dispatch = Dispatch::start(transport, Limits::default(), desk, CancellationToken::new());
    for n in 0..1000 {
        dispatch.submit(job(n, "ann")).await.unwrap();
    }
    quiet(&dispatch).await;
    assert!(dispatch.join().await.is_empty());
    let (seen, book) = (sink.seen(), std::mem::take(&mut *book.lock().unwrap()));
    assert_eq!((seen.len(), book.claims.len(), book.settled.len()), (900, 900, 900));
    assert!(seen.values().all(|count| *count == 1));
    assert!(!seen.contains_key("Subject: 7"), "sent without its claim");
    let accepted = |(claimed, verdict): &(bool, Verdict)| {
        *claimed && matches!(verdict, Verdict::Accepted { .. })
    };
    assert!(book.settled.values().all(accepted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_maildir_gets_every_letter_once() {
    let root = tempfile::tempdir().unwrap();
    let maildir = Maildir::open(root.path()).unwrap();
    let (desk, book) = Desk { refuses: |n| n % 10 == 7, ..GOOD }.open();
    let transport = Transport::Maildir(maildir, NonZeroUsize::new(4).unwrap());
    let dispatch = Dispatch::start(transport, Limits::default(), desk, CancellationToken::new());
    for n in 0..200 {
        dispatch.submit(job(n, "ann")).await.unwrap();
    }
    quiet(&dispatch).await;
    assert_eq!(std::fs::read_dir(root.path().join("new")).unwrap().count(), 180);
    assert_eq!(std::fs::read_dir(root.path().join("tmp")).unwrap().count(), 0);
    assert_eq!(book.lock().unwrap().settled.len(), 180);
}

#[tokio::test]
async fn verdicts_are_told_as_they_are() {
    let sink = Counting::anywhere().await;
    let (desk, book) = GOOD.open();
    let transport = Transport::Relays(vec![route(sink.addr, 2)]);
    let dispatch = Dispatch::start(transport, Limits::default(), desk, CancellationToken::new());
    let locals = ["ann", "refuse.ann", "defer.ann", "cut-after-dot.ann", "busy.ann", "a b", "bob"];
    for (n, local) in (0..).zip(locals) {
        dispatch.submit(job(n, local)).await.unwrap();
    }
    quiet(&dispatch).await;
    let book = std::mem::take(&mut *book.lock().unwrap());
    let found = book.settled.values().map(|(claimed, verdict)| match verdict {
        Verdict::Accepted { .. } => (*claimed, "accepted", None),
        Verdict::Deferred { class, .. } => (*claimed, "deferred", Some(*class)),
        Verdict::Refused { class, .. } => (*claimed, "refused", Some(*class)),
        Verdict::Unknown { .. } => (*claimed, "unknown", None),
    });
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            (true, "accepted", None),
            (false, "refused", Some(Class::InvalidRecipient)),
            (false, "deferred", Some(Class::Greylist)),
            (true, "unknown", None),
            (false, "deferred", Some(Class::Network)),
            (false, "refused", Some(Class::Message)),
            (true, "accepted", None),
        ]
    );
}

#[tokio::test]
async fn a_dead_relay_costs_one_letter_a_rest() {
    let (desk, book) = GOOD.open();
    let limits = Limits {
        rest_min: Duration::from_secs(3600),
        rest_max: Duration::MAX,
        ..Limits::default()
    };
    let shutdown = CancellationToken::new();
    let transport = Transport::Relays(vec![route(nobody().await, 4)]);
    let dispatch = Dispatch::start(transport, limits, desk, shutdown.clone());
    let mut moving = dispatch.in_flight();
    for n in 0..20 {
        dispatch.submit(job(n, "ann")).await.unwrap();
    }
    moving.wait_for(|moving| *moving == 19).await.unwrap();
    shutdown.cancel();
    assert_eq!(dispatch.join().await, (1..20).map(letter).collect::<Vec<_>>());
    let book = std::mem::take(&mut *book.lock().unwrap());
    assert!(book.claims.is_empty());
    let (claimed, verdict) = &book.settled[&letter(0)];
    assert!(!claimed && matches!(verdict, Verdict::Deferred { class: Class::Network, .. }));
    assert_eq!(book.settled.len(), 1);
}

#[tokio::test]
async fn a_relay_that_is_down_is_stood_in_for() {
    let sink = Counting::anywhere().await;
    let (desk, book) = GOOD.open();
    let limits = Limits { rest_min: Duration::from_secs(3600), ..Limits::default() };
    let dead = Route { weight: NonZeroU32::new(100).unwrap(), ..route(nobody().await, 4) };
    let transport = Transport::Relays(vec![dead, route(sink.addr, 2)]);
    let dispatch = Dispatch::start(transport, limits, desk, CancellationToken::new());
    for n in 0..100 {
        dispatch.submit(job(n, "ann")).await.unwrap();
    }
    quiet(&dispatch).await;
    assert_eq!((sink.seen().len(), book.lock().unwrap().claims.len()), (100, 100));
}

#[tokio::test]
async fn a_session_the_peer_has_closed_costs_nothing() {
    let (desk, book) = GOOD.open();
    let limits = Limits { idle: Duration::from_secs(3600), ..Limits::default() };
    let first = Counting::anywhere().await;
    let transport = Transport::Relays(vec![route(first.addr, 1)]);
    let dispatch = Dispatch::start(transport, limits, desk, CancellationToken::new());
    dispatch.submit(job(0, "ann")).await.unwrap();
    quiet(&dispatch).await;
    first.stop.cancel();
    first.run.await.unwrap();
    let second = Counting::start(first.addr).await;
    dispatch.submit(job(1, "ann")).await.unwrap();
    quiet(&dispatch).await;
    assert_eq!(second.seen().keys().collect::<Vec<_>>(), ["Subject: 1"]);
    let book = std::mem::take(&mut *book.lock().unwrap());
    assert!(book.settled.values().all(|(_, v)| matches!(v, Verdict::Accepted { .. })));
    assert_eq!(book.claims.len(), 2);
}

#[tokio::test]
async fn nothing_more_is_sent_when_verdicts_cannot_be_recorded() {
    let sink = Counting::anywhere().await;
    let (desk, book) = Desk { breaks_after: 3, ..GOOD }.open();
    let transport = Transport::Relays(vec![route(sink.addr, 1)]);
    let dispatch = Dispatch::start(transport, Limits::default(), desk, CancellationToken::new());
    for n in 0..20 {
        if dispatch.submit(job(n, "ann")).await.is_err() {
            break;
        }
    }
    let returned = dispatch.join().await;
    assert_eq!((sink.seen().len(), book.lock().unwrap().settled.len()), (4, 3));
    assert_eq!(returned, (4..20).map(letter).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_drain_settles_what_is_claimed_and_returns_the_rest() {
    let sink = Counting::anywhere().await;
    let gate = Arc::new(Notify::new());
    let (desk, book) = Desk { gate: Some(Arc::clone(&gate)), ..GOOD }.open();
    let shutdown = CancellationToken::new();
    let limits = Limits { drain: Duration::from_millis(30), ..Limits::default() };
    let transport = Transport::Relays(vec![route(sink.addr, 1)]);
    let dispatch = Dispatch::start(transport, limits, desk, shutdown.clone());
    for n in 0..3 {
        dispatch.submit(job(n, "ann")).await.unwrap();
    }
    // The first letter waits for its claim for ever.
    while book.lock().unwrap().claims.is_empty() {
        tokio::task::yield_now().await;
    }
    let moving = dispatch.in_flight();
    shutdown.cancel();
    assert_eq!(dispatch.join().await, [letter(1), letter(2)]);
    assert_eq!(*moving.borrow(), 0);
    let book = std::mem::take(&mut *book.lock().unwrap());
    let (claimed, verdict) = &book.settled[&letter(0)];
    assert!(*claimed && matches!(verdict, Verdict::Deferred { class: Class::Network, .. }));
    assert!(sink.seen().is_empty());
}

#[tokio::test]
async fn a_letter_past_its_dot_is_unknown_when_the_drain_is_over() {
    let sink = Counting::anywhere().await;
    let (desk, book) = GOOD.open();
    let shutdown = CancellationToken::new();
    let limits = Limits { drain: Duration::from_millis(500), ..Limits::default() };
    let transport = Transport::Relays(vec![route(sink.addr, 1)]);
    let dispatch = Dispatch::start(transport, limits, desk, shutdown.clone());
    dispatch.submit(job(0, "slow.ann")).await.unwrap();
    while book.lock().unwrap().claims.is_empty() {
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    assert!(dispatch.join().await.is_empty());
    let book = std::mem::take(&mut *book.lock().unwrap());
    assert!(matches!(book.settled[&letter(0)], (true, Verdict::Unknown { .. })));
}
