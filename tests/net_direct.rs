//! Direct delivery between a scripted DNS server and mail servers of several providers, all on the
//! loopback: 127.0.1.x is a host each, on one port.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail by panicking, as it does"
)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, MX};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tradewind::book::contact::{ContactId, Day};
use tradewind::book::tag::TagId;
use tradewind::feedback::entry::LetterId;
use tradewind::feedback::verdict::{Class, Verdict};
use tradewind::net::carry::{Ask, Job};
use tradewind::net::crowd::Crowd;
use tradewind::net::direct::Setup;
use tradewind::net::dispatch::{Dispatch, Transport};
use tradewind::net::lane::Limits;
use tradewind::net::mx::{Asking, Mx};
use tradewind::net::relay::{Relay, Timeouts, TlsLevel};
use tradewind::net::sink::Sink;
use tradewind::net::smtp::Envelope;
use tradewind::typedways::ProvidersFile;

/// `name MX preference host`, `name A address`, `name FAIL` or `name SILENT`; a name that is not
/// here does not exist.
const ZONE: &str = "
    good.example MX 10 mx1.one.example
    good.example MX 20 mx2.one.example
    also-good.example MX 10 mx1.one.example
    other.example MX 10 in.two.example
    half-dead.example MX 10 gone.three.example
    half-dead.example MX 20 mx1.one.example
    dead.example MX 10 gone.three.example
    null.example MX 0 .
    fail.example FAIL
    silent.example SILENT
    implicit.example A 127.0.1.1
    no-mail.example TXT
    bogus.example MX 10 bogus.four.example
    loop.example MX 10 us.example
    loop.example MX 20 mx1.one.example
    no-address.example MX 10 nowhere.four.example
    tar.example MX 10 in.tar.example
    mx1.one.example A 127.0.1.1
    mx2.one.example A 127.0.1.2
    in.two.example A 127.0.1.3
    gone.three.example A 127.0.1.9
    bogus.four.example A 10.1.2.3
    in.tar.example A 127.0.1.4
";

/// Answers from [`ZONE`] until it is dropped; counts what it is asked.
async fn dns() -> (SocketAddr, Arc<Mutex<BTreeMap<String, usize>>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    let asked: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut bytes = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            let query = Message::from_vec(&bytes[..length]).unwrap();
            let name = query.queries[0].name().to_ascii();
            *count.lock().unwrap().entry(name).or_default() += 1;
            if let Some(reply) = answer(&query) {
                socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
            }
        }
    });
    (addr, asked)
}

fn answer(query: &Message) -> Option<Message> {
    let asked = &query.queries[0];
    let mut reply = Message::response(query.metadata.id, OpCode::Query);
    reply.metadata.recursion_available = true;
    reply.add_query(asked.clone());
    let name = asked.name().to_ascii().to_lowercase();
    let mut known = false;
    for line in ZONE.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        if line.first().is_none_or(|first| format!("{first}.") != name) {
            continue;
        }
        known = true;
        let data = match (line[1], asked.query_type()) {
            ("FAIL", _) => {
                reply.metadata.response_code = ResponseCode::ServFail;
                return Some(reply);
            }
            ("SILENT", _) => return None,
            ("MX", RecordType::MX) => {
                let host = if line[3] == "." { ".".to_owned() } else { format!("{}.", line[3]) };
                RData::MX(MX::new(line[2].parse().unwrap(), Name::from_ascii(host).unwrap()))
            }
            ("A", RecordType::A) => RData::A(A(line[2].parse().unwrap())),
            _ => continue,
        };
        reply.add_answer(Record::from_rdata(asked.name().clone(), 60, data));
    }
    if !known {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    Some(reply)
}

/// What arrived where: `host-number recipient`, sorted.
type Arrived = Arc<Mutex<Vec<String>>>;

/// Sinks on 127.0.1.1 to 127.0.1.3, all on one port.
async fn hosts() -> (u16, Arrived) {
    let arrived: Arrived = Arc::default();
    'ports: loop {
        let mut port = 0;
        let mut sinks = Vec::new();
        for host in 1..=3 {
            let Ok(sink) = Sink::bind((Ipv4Addr::new(127, 0, 1, host), port).into()).await else {
                continue 'ports;
            };
            port = sink.addr().port();
            sinks.push((host, sink));
        }
        for (host, sink) in sinks {
            let arrived = Arc::clone(&arrived);
            tokio::spawn(sink.run(CancellationToken::new(), move |letter| {
                arrived.lock().unwrap().push(format!("{host} {}", letter.to[0]));
                Ok(())
            }));
        }
        return (port, arrived);
    }
}

struct World {
    dispatch: Dispatch,
    settled: Arc<Mutex<BTreeMap<u32, Verdict>>>,
    crowd: Arc<Crowd>,
    arrived: Arrived,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
    port: u16,
    stop: CancellationToken,
    sent: u32,
}

const PACE: &str = "
    [other]
    connections = 2
    messages_per_connection = 10
    [[provider]]
    name = \"one\"
    mx = [\".one.example\"]
    connections = 1
    messages_per_connection = 3
";

impl World {
    async fn new() -> Self {
        let ((server, asked), (port, arrived)) = (dns().await, hosts().await);
        let providers: ProvidersFile = toml::from_str(PACE).unwrap();
        let asking = Asking {
            servers: vec![server],
            timeout: Duration::from_millis(150),
            allow: vec!["127.0.0.0/8".parse().unwrap()],
            only_allowed: true,
            port,
            own_name: "us.example".to_owned(),
        };
        let crowd: Arc<Crowd> = Arc::default();
        let (_, providers) = watch::channel(Arc::new(providers));
        let limits = Limits::default();
        let timeouts = Timeouts { connect: Duration::from_secs(2), ..Timeouts::default() };
        let setup = Setup {
            mx: Arc::new(Mx::new(asking).unwrap()),
            manner: Relay {
                host: String::new(),
                port,
                ehlo: "us.example".to_owned(),
                tls: TlsLevel::Opportunistic,
                login: None,
                timeouts,
            },
            connections: 50,
            providers,
            crowd: Arc::clone(&crowd),
            idle: limits.idle,
            stop: Duration::from_secs(3600),
            drain: Duration::from_millis(300),
            queue_max: 1_000,
        };
        let settled: Arc<Mutex<BTreeMap<u32, Verdict>>> = Arc::default();
        let stop = CancellationToken::new();
        let desk = desk(Arc::clone(&settled));
        let transport = Transport::Direct(Box::new(setup));
        let limits = Limits { queue_max: 1_000, ..limits };
        let dispatch = Dispatch::start(transport, limits, desk, stop.clone());
        Self { dispatch, settled, crowd, arrived, asked, port, stop, sent: 0 }
    }

    async fn send(&mut self, to: &str) -> u32 {
        self.sent += 1;
        let letter = LetterId { contact: ContactId(self.sent), tag: TagId(1), due: Day(20_000) };
        let envelope = Envelope { from: "lin@us.example".to_owned(), to: to.to_owned() };
        let message = format!("Subject: {}\r\n\r\nHello.\r\n", self.sent).into_bytes();
        self.dispatch.submit(Job { letter, attempt: 1, envelope, message }).await.unwrap();
        self.sent
    }

    async fn quiet(&self) {
        self.dispatch.in_flight().wait_for(|moving| *moving == 0).await.unwrap();
    }

    fn verdict(&self, number: u32) -> Verdict {
        self.settled.lock().unwrap()[&number].clone()
    }

    /// The hosts that a recipient's letters came to.
    fn came_to(&self, to: &str) -> Vec<String> {
        let arrived = self.arrived.lock().unwrap();
        let at = |line: &String| {
            line.split_once(' ').filter(|(_, who)| *who == to).map(|it| it.0.to_owned())
        };
        arrived.iter().filter_map(at).collect()
    }
}

/// Grants every claim and writes down every verdict.
fn desk(settled: Arc<Mutex<BTreeMap<u32, Verdict>>>) -> mpsc::Sender<Ask> {
    let (sender, mut asks) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(ask) = asks.recv().await {
            match ask {
                Ask::Claim { reply, .. } => drop(reply.send(Ok(()))),
                Ask::Settle { letter, verdict, reply, .. } => {
                    let before = settled.lock().unwrap().insert(letter.contact.0, verdict);
                    assert!(before.is_none(), "{letter} settled twice");
                    reply.send(()).unwrap();
                }
            }
        }
    });
    sender
}

#[tokio::test]
async fn dns_decides_where_letters_go_and_what_becomes_of_them() {
    let mut world = World::new().await;
    let cases: [(&str, &[&str], Option<Class>); 12] = [
        ("good", &["1"], None),
        ("also-good", &["1"], None),
        ("other", &["3"], None),
        ("half-dead", &["1"], None),
        ("implicit", &["1"], None),
        ("dead", &[], Some(Class::Network)),
        ("fail", &[], Some(Class::Network)),
        ("silent", &[], Some(Class::Network)),
        ("loop", &[], Some(Class::Network)),
        ("bogus", &[], Some(Class::Network)),
        ("no-mail", &[], Some(Class::BadDomain)),
        ("unknown", &[], Some(Class::BadDomain)),
    ];
    let mut sent = Vec::new();
    for (domain, ..) in cases {
        sent.push(world.send(&format!("ann@{domain}.example")).await);
    }
    let null = world.send("ann@null.example").await;
    let no_address = world.send("ann@no-address.example").await;
    world.quiet().await;
    for ((domain, hosts, trouble), number) in cases.into_iter().zip(sent) {
        assert_eq!(world.came_to(&format!("ann@{domain}.example")), hosts, "{domain}");
        match (world.verdict(number), trouble) {
            (Verdict::Accepted { .. }, None) => (),
            (Verdict::Deferred { class, .. }, Some(expected)) => {
                assert_eq!(class, expected, "{domain}");
            }
            (verdict, _) => panic!("{domain}: {verdict:?}"),
        }
    }
    assert!(matches!(world.verdict(null), Verdict::Refused { class: Class::BadDomain, .. }));
    assert!(matches!(world.verdict(no_address), Verdict::Deferred { class: Class::BadDomain, .. }));
}

#[tokio::test]
async fn a_name_is_asked_for_once() {
    let mut world = World::new().await;
    for _ in 0..20 {
        world.send("ann@good.example").await;
    }
    world.quiet().await;
    let asked = world.asked.lock().unwrap().clone();
    assert_eq!(asked["good.example."], 1, "{asked:?}");
    assert_eq!(world.came_to("ann@good.example").len(), 20);
}

#[tokio::test]
async fn who_never_answers_holds_up_nobody_else() {
    let mut world = World::new().await;
    // Takes connections and says nothing.
    let tar = TcpListener::bind((Ipv4Addr::new(127, 0, 1, 4), world.port)).await.unwrap();
    for _ in 0..150 {
        world.send("ann@tar.example").await;
    }
    let mut others = Vec::new();
    for n in 0..60 {
        let domain = ["good", "other"][n % 2];
        others.push(world.send(&format!("ann@{domain}.example")).await);
    }
    world.dispatch.in_flight().wait_for(|moving| *moving == 150).await.unwrap();
    for number in others {
        assert!(matches!(world.verdict(number), Verdict::Accepted { .. }), "{number}");
    }
    assert!(world.crowd.holds("tar.example"), "more letters for it wait in the plan");
    assert!(!world.crowd.holds("good.example"));
    world.stop.cancel();
    let back = world.dispatch.join().await;
    assert_eq!(back.len(), 150, "never claimed: to be sent later");
    drop(tar);
}

#[tokio::test]
async fn a_provider_that_says_too_fast_is_left_alone() {
    let mut world = World::new().await;
    let peer = TcpListener::bind((Ipv4Addr::new(127, 0, 1, 4), world.port)).await.unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = peer.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            stream.write_all(b"421 4.7.28 Unusual rate of mail, try later\r\n").await.unwrap();
        }
    });
    let first = world.send("ann@tar.example").await;
    world.quiet().await;
    let verdict = world.verdict(first);
    assert!(matches!(verdict, Verdict::Deferred { class: Class::Rate, .. }), "{verdict:?}");
    world.send("bob@tar.example").await;
    let free = world.send("ann@good.example").await;
    world.dispatch.in_flight().wait_for(|moving| *moving == 1).await.unwrap();
    assert!(matches!(world.verdict(free), Verdict::Accepted { .. }), "the other did not wait");
    world.stop.cancel();
    assert_eq!(world.dispatch.join().await.len(), 1, "the second waited");
    assert_eq!(calls.load(Ordering::SeqCst), 1, "nobody called in the meantime");
}

/// Runs the real thing in `dir`, whose configuration delivers directly; its JSON answer.
fn tradewind(dir: &Path, words: &[&str]) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_tradewind"))
        .current_dir(dir)
        .env_remove("TRADEWIND_CONFIG")
        .args(words)
        .args(["--store", "store", "--json"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), serde_json::from_str(&text).unwrap())
}

fn configure(dir: &Path, mx: &str) {
    let home = env!("CARGO_MANIFEST_DIR");
    let config = std::fs::read_to_string(format!("{home}/config/quickstart.toml")).unwrap();
    let config = config
        .replace("\"templates\"", &format!("\"{home}/config/templates\""))
        .replace("transport = \"maildir\"", "transport = \"mx\"");
    std::fs::write(dir.join("tradewind.toml"), format!("{config}\n[mx]\n{mx}\n")).unwrap();
}

const CLOCK: [&str; 2] = ["--clock", "2024-09-05T09:00:00+08:00"];

#[test]
fn a_rehearsal_writes_only_to_the_loopback() {
    let dir = tempfile::tempdir().unwrap();
    for mx in [
        "",
        "sink = true\nallow = [\"127.0.0.0/8\"]",
        "servers = [\"127.0.0.1:53\"]\nallow = [\"127.0.0.0/8\"]",
        "servers = [\"127.0.0.1:53\"]\nallow = [\"10.0.0.0/8\"]\nsink = true",
        "servers = [\"9.9.9.9:53\"]\nallow = [\"127.0.0.0/8\"]\nsink = true",
    ] {
        configure(dir.path(), mx);
        let _ = tradewind(dir.path(), &["init"]);
        let (code, answer) = tradewind(dir.path(), &[&["run"][..], &CLOCK].concat());
        assert_eq!(code, 78, "{mx}: {answer}");
        assert!(answer.to_string().contains("rehearsal"), "{mx}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_delivers_and_a_domain_is_gone_on_the_second_day() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let ((server, _), (port, arrived)) = (dns().await, hosts().await);
    let mx = "allow = [\"127.0.0.0/8\"]\nsink = true";
    configure(dir, &format!("servers = [\"{server}\"]\nport = {port}\n{mx}"));
    let list = "email\nann@good.example\nbob@other.example\neve@unknown.example\n";
    std::fs::write(dir.join("list.csv"), list).unwrap();
    assert_eq!(tradewind(dir, &[&["init"][..], &CLOCK].concat()).0, 0);
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_tradewind"))
        .current_dir(dir)
        .args([&["run", "--store", "store"][..], &CLOCK].concat())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let play = tokio::task::spawn_blocking({
        let dir = dir.to_owned();
        move || {
            while std::os::unix::net::UnixStream::connect(dir.join("store/control.sock")).is_err() {
                std::thread::yield_now();
            }
            let tag = "英语-工程设备经销商-营销05";
            let (code, told) = tradewind(&dir, &["import", "list.csv", "--tag", tag]);
            assert_eq!(code, 0, "{told}");
            let (_, day) = tradewind(&dir, &["clock", "--to", "2024-09-05T12:00:00+08:00"]);
            let (_, first) = tradewind(&dir, &["show", "eve@unknown.example"]);
            tradewind(&dir, &["clock", "--to", "2024-09-06T12:00:00+08:00"]);
            let (_, second) = tradewind(&dir, &["show", "eve@unknown.example"]);
            (day, first, second)
        }
    });
    let played = play.await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let (day, first, second) = played.unwrap();
    let mut letters = arrived.lock().unwrap().clone();
    letters.sort();
    assert_eq!(letters, ["1 ann@good.example", "3 bob@other.example"], "{day}");
    assert_eq!(first["suppressed"], false, "{first}");
    assert!(first.to_string().contains("NXDOMAIN"), "{first}");
    assert_eq!(second["suppressed"], true, "{second}");
}

#[test]
fn the_shipped_providers_are_readable() {
    let text = include_str!("../config/providers.toml");
    let file: ProvidersFile = toml::from_str(text).unwrap();
    assert!(file.provider.len() > 10);
    assert!(
        file.provider.iter().all(|provider| provider.mx.iter().all(|end| end.starts_with('.')))
    );
    assert!(
        toml::from_str::<ProvidersFile>(&text.replace("connections =", "connection =")).is_err()
    );
}
