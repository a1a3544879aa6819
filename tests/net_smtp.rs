//! One SMTP conversation against the sink, and against peers that misbehave by script.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail by panicking, as it does")]

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::{Strategy, any, prop, prop_assert_eq};
use proptest::test_runner::{Config, TestRunner};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tradewind::feedback::verdict::{Class, Verdict};
use tradewind::net::relay::{Login, Relay, TlsLevel};
use tradewind::net::sink::{Received, Sink};
use tradewind::net::smtp::{ClaimRefused, Envelope, Outcome, Sent, Session};

#[path = "common/relay.rs"]
mod relay;

use relay::relay;

const BODY: &[u8] = b"Subject: hello\r\n\r\n.hidden\r\n..\r\n.\r\nend\r\n";

fn to(recipient: &str) -> Envelope {
    Envelope { from: "sender@example.com".to_owned(), to: recipient.to_owned() }
}

async fn granted() -> Result<(), ClaimRefused> {
    Ok(())
}

/// As the tables below spell it: `accepted`, `deferred Rate`, `refused Auth`, `unknown`, `withheld`.
fn fate(sent: &Sent) -> String {
    match &sent.outcome {
        Outcome::Verdict(Verdict::Accepted { .. }) => "accepted".to_owned(),
        Outcome::Verdict(Verdict::Deferred { class, .. }) => format!("deferred {class:?}"),
        Outcome::Verdict(Verdict::Refused { class, .. }) => format!("refused {class:?}"),
        Outcome::Verdict(Verdict::Unknown { .. }) => "unknown".to_owned(),
        Outcome::Withheld(_) => "withheld".to_owned(),
    }
}

/// A running sink and what it was given.
struct Kept {
    addr: SocketAddr,
    letters: Arc<Mutex<Vec<Received>>>,
    stop: CancellationToken,
    run: JoinHandle<()>,
}

impl Kept {
    async fn start(prepare: impl FnOnce(Sink) -> Sink) -> Self {
        let sink = prepare(Sink::bind(([127, 0, 0, 1], 0).into()).await.unwrap());
        let (addr, letters, stop) = (sink.addr(), Arc::default(), CancellationToken::new());
        let kept: Arc<Mutex<Vec<Received>>> = Arc::clone(&letters);
        let run = tokio::spawn(sink.run(stop.clone(), move |letter| {
            kept.lock().unwrap().push(letter);
            Ok(())
        }));
        Self { addr, letters, stop, run }
    }

    fn letters(&self) -> Vec<Received> {
        self.letters.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn every_fate_the_sink_can_give() {
    let cases = [
        ("ann@example.com", "accepted", true, 1),
        ("refuse.ann@example.com", "refused InvalidRecipient", true, 0),
        ("refuse-late.ann@example.com", "refused Policy", true, 0),
        ("defer.ann@example.com", "deferred Greylist", true, 0),
        ("busy.ann@example.com", "deferred Network", false, 0),
        ("cut-before-dot.ann@example.com", "deferred Network", false, 0),
        ("cut-after-dot.ann@example.com", "unknown", false, 1),
        ("gr\u{fc}n@example.com", "accepted", true, 1),
        ("a b@example.com", "refused Message", true, 0),
        ("a@b>\r\nRCPT TO:<c@d", "refused Message", true, 0),
    ];
    for pipelining in [true, false] {
        for (recipient, expected, usable, kept) in cases {
            if !pipelining && !recipient.is_ascii() {
                continue;
            }
            let sink = Kept::start(|sink| if pipelining { sink } else { sink.plain() }).await;
            let mut session = Session::connect(&relay(sink.addr)).await.unwrap();
            let sent = session.send(&to(recipient), BODY, granted()).await;
            // The dot may cross the peer's hanging up: then it is unknown, rightly.
            let crossed = recipient.starts_with("cut-before") && fate(&sent) == "unknown";
            assert!(fate(&sent) == expected || crossed, "{recipient}: {sent:?}");
            assert_eq!(session.usable(), usable, "{recipient}");
            assert_eq!(sink.letters().len(), kept, "{recipient}");
            if usable {
                // A clean refusal leaves the session good for the next letter.
                let sent = session.send(&to("next@example.com"), BODY, granted()).await;
                assert_eq!(fate(&sent), "accepted", "after {recipient}");
                let last = sink.letters().pop().unwrap();
                assert_eq!(
                    (last.from, last.to),
                    ("sender@example.com".into(), vec!["next@example.com".into()])
                );
                assert_eq!(last.message, BODY);
            }
        }
    }
}

#[tokio::test]
async fn deferred_once_is_accepted_the_second_time() {
    let sink = Kept::start(|sink| sink).await;
    let mut session = Session::connect(&relay(sink.addr)).await.unwrap();
    for expected in ["deferred Greylist", "accepted", "accepted"] {
        let sent = session.send(&to("defer-once.ann@example.com"), BODY, granted()).await;
        assert_eq!(fate(&sent), expected);
    }
    session.quit().await;
    sink.stop.cancel();
    sink.run.await.unwrap();
}

#[tokio::test]
async fn a_plain_peer_cannot_take_what_needs_an_extension() {
    let sink = Kept::start(Sink::plain).await;
    let mut session = Session::connect(&relay(sink.addr)).await.unwrap();
    let address = session.send(&to("gr\u{fc}n@example.com"), BODY, granted()).await;
    let message = session.send(&to("ann@example.com"), "gr\u{fc}n\r\n".as_bytes(), granted()).await;
    for sent in [address, message] {
        assert_eq!((fate(&sent).as_str(), sent.claimed), ("refused Message", false));
    }
    assert!(session.usable());
}

#[tokio::test]
async fn bare_line_ends_are_not_sent() {
    let sink = Kept::start(|sink| sink).await;
    let mut session = Session::connect(&relay(sink.addr)).await.unwrap();
    for body in ["a\n.\r\nMAIL FROM:<x@y>\r\n", "a\r.\r\n", "a\n.\n", "a\r"] {
        let sent = session.send(&to("ann@example.com"), body.as_bytes(), granted()).await;
        assert_eq!(fate(&sent), "refused Message", "{body:?}");
    }
    assert!(sink.letters().is_empty());
}

#[tokio::test]
async fn without_its_claim_no_letter_gets_its_dot() {
    let sink = Kept::start(|sink| sink).await;
    let mut session = Session::connect(&relay(sink.addr)).await.unwrap();
    let refused = async { Err(ClaimRefused("suppressed".to_owned())) };
    let sent = session.send(&to("ann@example.com"), BODY, refused).await;
    assert_eq!((fate(&sent).as_str(), sent.claimed), ("withheld", true));
    assert!(!session.usable());
    drop(session);
    // Once it has stopped nothing can arrive any more.
    sink.stop.cancel();
    sink.run.await.unwrap();
    assert!(sink.letters.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_claim_is_not_asked_for_who_is_refused() {
    let sink = Kept::start(|sink| sink).await;
    let mut session = Session::connect(&relay(sink.addr)).await.unwrap();
    let claim = async { panic!("asked for the claim of a letter nobody wants") };
    let sent = session.send(&to("refuse.ann@example.com"), BODY, claim).await;
    assert!(!sent.claimed);
}

#[tokio::test]
async fn the_sink_stays_at_home() {
    let error = Sink::bind(([0, 0, 0, 0], 0).into()).await.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let sink = Sink::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let (addr, accepted, stop) = (sink.addr(), sink.accepted(), CancellationToken::new());
    let run = tokio::spawn(sink.run(stop.clone(), |_| Err(io::Error::other("disk full"))));
    let mut session = Session::connect(&relay(addr)).await.unwrap();
    let sent = session.send(&to("ann@example.com"), BODY, granted()).await;
    assert_eq!(fate(&sent), "deferred Other", "what is not kept is not acknowledged");
    assert_eq!(accepted.load(Ordering::SeqCst), 0);
    stop.cancel();
    run.await.unwrap();
}

#[test]
fn any_body_arrives_as_it_was_sent() {
    let runtime = Runtime::new().unwrap();
    let sink = runtime.block_on(Kept::start(|sink| sink));
    let mut session = runtime.block_on(Session::connect(&relay(sink.addr))).unwrap();
    let line = prop::collection::vec(
        any::<u8>().prop_map(|b| match b {
            b'\r' | b'\n' => b'.',
            b if b < 64 => b'.',
            b => b,
        }),
        0..9,
    );
    let body = prop::collection::vec(line, 0..9)
        .prop_map(|lines| lines.into_iter().flat_map(|l| [l, b"\r\n".to_vec()].concat()).collect());
    let mut runner = TestRunner::new(Config::with_cases(300));
    let check = |body: Vec<u8>| {
        let sent = runtime.block_on(session.send(&to("ann@example.com"), &body, granted()));
        prop_assert_eq!(fate(&sent), "accepted");
        prop_assert_eq!(sink.letters().pop().unwrap().message, body);
        Ok(())
    };
    let check = Mutex::new(check);
    runner.run(&body, |body| (check.lock().unwrap())(body)).unwrap();
}

/// Plays a peer: `S:` says, `C:` waits for a line that begins so, `D:` reads up to the dot,
/// `B:` reads one line of the body, `Z:` stays silent until the client is gone. Then it hangs up.
async fn peer(script: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let play = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (reader, mut writer) = stream.split();
        let mut reader = BufReader::new(reader);
        let mut heard = String::new();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (who, text) = line.split_once(':').unwrap();
            let text = text.trim_start();
            match who {
                "S" => writer.write_all(format!("{text}\r\n").as_bytes()).await.unwrap(),
                "C" => {
                    let mut got = String::new();
                    reader.read_line(&mut got).await.unwrap();
                    assert!(got.starts_with(text), "{got:?} is not {text:?}");
                    heard += &got;
                }
                "B" => {
                    reader.read_line(&mut heard).await.unwrap();
                }
                "D" => {
                    while !heard.ends_with("\r\n.\r\n") {
                        assert!(reader.read_line(&mut heard).await.unwrap() != 0, "{heard}");
                    }
                }
                _ => {
                    reader.read_to_string(&mut heard).await.unwrap();
                }
            }
        }
        heard
    });
    (addr, play)
}

const HELLO: &str = "S: 220 hi\nC: EHLO\nS: 250-peer\nS: 250 ENHANCEDSTATUSCODES\n";
const PIPE: &str = "S: 220 hi\nC: EHLO\nS: 250-peer\nS: 250 PIPELINING\n";
/// Greeting and capabilities, the rest of the dialogue, the fate, whether the session survives.
const DIALOGUES: &[(&str, &str, &str, bool)] = &[
    (HELLO, "C: MAIL\nS: 421 4.3.2 closing", "deferred Network", false),
    (HELLO, "C: MAIL\nS: 250 ok\nC: RCPT\nS: 421 4.3.2 closing", "deferred Network", false),
    (
        HELLO,
        "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 421 4.3.2 closing",
        "deferred Network",
        false,
    ),
    (
        HELLO,
        "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nD:\nS: 421 4.3.2 closing",
        "deferred Network",
        false,
    ),
    (
        HELLO,
        "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nB:\nS: 421 4.3.2 closing",
        "deferred Network",
        false,
    ),
    (
        HELLO,
        "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nB:\nS: 552 5.3.4 too big",
        "refused Message",
        false,
    ),
    (
        HELLO,
        "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nD:\nS: 354 again",
        "unknown",
        false,
    ),
    (
        HELLO,
        "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nD:\nS: what?",
        "unknown",
        false,
    ),
    (HELLO, "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nD:", "unknown", false),
    (HELLO, "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nD:\nZ:", "unknown", false),
    (
        HELLO,
        "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nD:\nS: 451 4.3.0 no\nZ:",
        "deferred Other",
        true,
    ),
    (
        HELLO,
        "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 451 4.3.0 no\nC: RSET\nS: 250 ok\nZ:",
        "deferred Other",
        true,
    ),
    (HELLO, "C: MAIL\nS: 550 5.7.1 not you\nC: RSET\nS: 250 ok\nZ:", "refused Policy", true),
    (
        HELLO,
        "C: MAIL\nS: 250 ok\nC: RCPT\nS: 550 5.1.1 no\nC: RSET\nS: 500 eh",
        "refused InvalidRecipient",
        false,
    ),
    (HELLO, "C: MAIL\nS: 250 ok\nC: RCPT\nZ:", "deferred Network", false),
    (HELLO, "C: MAIL\nS: gibberish", "deferred Protocol", false),
    (HELLO, "S: 421 4.4.2 idle for too long", "deferred Network", false),
    (HELLO, "", "deferred Network", false),
    // Pipelined: the three answers come together, whatever they are.
    (
        PIPE,
        "C: MAIL\nC: RCPT\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nD:\nS: 250 2.0.0 ok\nZ:",
        "accepted",
        true,
    ),
    (
        PIPE,
        "C: MAIL\nC: RCPT\nC: DATA\nS: 250 ok\nS: 550 5.1.1 no\nS: 503 5.5.1 no\nC: RSET\nS: 250 ok\nZ:",
        "refused InvalidRecipient",
        true,
    ),
    (
        PIPE,
        "C: MAIL\nC: RCPT\nC: DATA\nS: 250 ok\nS: 550 5.1.1 no\nS: 354 go\nC: .\nS: 554 none\nC: RSET\nS: 250 ok\nZ:",
        "refused InvalidRecipient",
        true,
    ),
    (
        PIPE,
        "C: MAIL\nC: RCPT\nC: DATA\nS: 550 5.7.1 not you\nS: 503 no\nS: 503 no\nC: RSET\nS: 250 ok\nZ:",
        "refused Policy",
        true,
    ),
    (PIPE, "C: MAIL\nC: RCPT\nC: DATA\nS: 450 4.7.1 later", "deferred Policy", false),
    (PIPE, "C: MAIL\nC: RCPT\nC: DATA\nS: 250 ok\nS: 421 4.3.2 busy", "deferred Network", false),
    // An old server that does not know EHLO.
    (
        "S: 220 hi\nC: EHLO\nS: 502 eh\nC: HELO\nS: 250 ok\n",
        "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nD:\nS: 250 ok\nZ:",
        "accepted",
        true,
    ),
];

#[tokio::test]
async fn peers_that_misbehave() {
    for &(hello, dialogue, expected, usable) in DIALOGUES {
        let (addr, play) = peer(String::leak([hello, dialogue].concat())).await;
        let mut relay = relay(addr);
        if dialogue.ends_with("Z:") && !usable {
            // This peer is never going to answer.
            relay.timeouts.command = Duration::from_millis(300);
            relay.timeouts.dot = Duration::from_millis(300);
        }
        let mut session = Session::connect(&relay).await.unwrap();
        // The claim takes until a peer that breaks off in the body has done so.
        let (hang, up) = oneshot::channel::<()>();
        let waits = dialogue.contains("B:");
        let play = tokio::spawn(async move {
            let heard = play.await.unwrap();
            drop(hang);
            heard
        });
        let claim = async move {
            if waits {
                up.await.unwrap_err();
            }
            Ok(())
        };
        let sent = session.send(&to("ann@example.com"), BODY, claim).await;
        assert_eq!(fate(&sent), expected, "{dialogue}");
        assert_eq!(session.usable(), usable, "{dialogue}");
        drop(session);
        play.await.unwrap();
    }
}

#[tokio::test]
async fn peers_that_are_not_there_for_us() {
    let cases = [
        ("S: 554 5.7.1 go away", Class::Policy),
        ("S: 421 4.7.0 too many connections", Class::Rate),
        ("S: HTTP/1.1 400 Bad Request", Class::Network),
        ("", Class::Network),
        ("Z:", Class::Network),
        ("S: 220 hi\nC: EHLO\nZ:", Class::Network),
        ("S: 220 hi\nC: EHLO\nS: 421 busy", Class::Network),
        ("S: 220 hi\nC: EHLO\nS: 500 eh\nC: HELO\nS: 500 eh", Class::Protocol),
    ];
    for (script, class) in cases {
        let (addr, play) = peer(script).await;
        let mut relay = relay(addr);
        if script.ends_with("Z:") {
            relay.timeouts.command = Duration::from_millis(300);
        }
        let failure = Session::connect(&relay).await.err().expect(script);
        assert_eq!(failure.class, class, "{script}: {failure}");
        play.await.unwrap();
    }
    let (addr, play) = peer("S: 220 hi\nC: EHLO\nS: 250 no TLS here\nZ:").await;
    let strict = Relay { tls: TlsLevel::Required, ..relay(addr) };
    assert_eq!(Session::connect(&strict).await.err().unwrap().class, Class::Auth);
    play.await.unwrap();
}

#[tokio::test]
async fn a_login_is_sent_and_its_refusal_is_about_us() {
    let hello = "S: 220 hi\nC: EHLO\nS: 250-peer\nS: 250 AUTH CRAM-MD5 LOGIN PLAIN\n";
    // base64 of NUL, user, NUL, secret.
    let plain = "C: AUTH PLAIN AHVzZXIAc2VjcmV0\r\n";
    let cases = [
        ([hello, plain, "S: 235 2.7.0 welcome\nZ:"].concat(), None),
        ([hello, plain, "S: 535 5.7.8 no\nZ:"].concat(), Some(Class::Auth)),
        ("S: 220 hi\nC: EHLO\nS: 250 no login here\nZ:".to_owned(), Some(Class::Auth)),
    ];
    for (script, class) in cases {
        let (addr, play) = peer(String::leak(script)).await;
        let login = Login { user: "user".to_owned(), secret: "secret".to_owned() };
        assert!(!format!("{login:?}").contains("secret"), "{login:?}");
        let session = Session::connect(&Relay { login: Some(login), ..relay(addr) }).await;
        assert_eq!(session.as_ref().err().map(|failure| failure.class), class);
        drop(session);
        play.await.unwrap();
    }
}

/// Greets, goes over to TLS with a certificate nobody vouches for, and tells what it heard there.
async fn secure_peer() -> (SocketAddr, JoinHandle<String>) {
    let cert = CertificateDer::from_pem_slice(include_bytes!("data/peer.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("data/peer.key")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let play = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (reader, mut writer) = stream.split();
        let mut lines = BufReader::new(reader).lines();
        for reply in ["220 hi\r\n", "250-peer\r\n250 STARTTLS\r\n"] {
            writer.write_all(reply.as_bytes()).await.unwrap();
            lines.next_line().await.unwrap();
        }
        writer.write_all(b"220 go\r\n").await.unwrap();
        let Ok(stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await else {
            return "no TLS".to_owned();
        };
        let mut stream = BufReader::new(stream);
        let mut heard = String::new();
        // A client that did not like the certificate is gone already.
        let _ = stream.read_line(&mut heard).await;
        let _ = stream.write_all(b"250 secure\r\n").await;
        heard
    });
    (addr, play)
}

#[tokio::test]
async fn opportunistic_takes_any_certificate_and_required_does_not() {
    for (level, heard, class) in [
        (TlsLevel::Opportunistic, "EHLO client.example\r\n", None),
        (TlsLevel::Required, "", Some(Class::Network)),
    ] {
        let (addr, play) = secure_peer().await;
        let relay = Relay { host: "localhost".to_owned(), tls: level, ..relay(addr) };
        let session = Session::connect(&relay).await;
        assert_eq!(session.as_ref().err().map(|failure| failure.class), class, "{level:?}");
        drop(session);
        let got = play.await.unwrap();
        assert!(got == heard || class.is_some() && got == "no TLS", "{level:?}: {got:?}");
    }
}
