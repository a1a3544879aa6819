//! The control socket: both real ends, and a fake daemon between them.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tradewind::control::{Answer, Failure, Request};
use tradewind::socket::{Call, Client, EXIT_HEADER, bind, serve};

/// A daemon that answers by command, on a thread of its own; tells which sessions ended.
struct Fake {
    dir: tempfile::TempDir,
    shutdown: CancellationToken,
    thread: Option<std::thread::JoinHandle<Vec<u64>>>,
}

impl Fake {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            { runtime }.enable_all().build().unwrap().block_on(async move {
                let listener = bind(&path).unwrap();
                ready.send(()).unwrap();
                let (calls, mut inbox) = mpsc::channel(4);
                let server = tokio::spawn(serve(listener, calls, token));
                let mut ended = Vec::new();
                while let Some(call) = inbox.recv().await {
                    match call {
                        Call::Ask(ask) => drop(ask.reply.send(reply(&ask.request))),
                        Call::Ended { session } => ended.push(session),
                    }
                }
                server.await.unwrap();
                ended
            })
        });
        is_ready.recv().unwrap();
        Self { dir, shutdown, thread: Some(thread) }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    fn stop(mut self) -> Vec<u64> {
        self.shutdown.cancel();
        self.thread.take().unwrap().join().unwrap()
    }
}

fn reply(request: &Request) -> Answer {
    match request {
        Request::Status {} => Answer::One(json!({"state": "running"})),
        Request::Tags { .. } => {
            Answer::Lines((0..20_000).map(|n| json!({"tag": "营销", "n": n})).collect())
        }
        Request::Audit {} => Answer::Bad(json!({"letters": 1, "violations": ["twice"]})),
        _ => Answer::Failed(Failure::new(66, "no such contact", "see `contacts`")),
    }
}

#[test]
fn every_answer_crosses_the_socket_whole() {
    let fake = Fake::start();
    let mut client = Client::connect(&fake.path()).unwrap().unwrap();
    for request in [
        Request::Status {},
        Request::Tags { unused: false, similar: false },
        Request::Audit {},
        Request::Imports {},
    ] {
        assert_eq!(client.ask(&request), reply(&request));
    }
    drop(client);
    let mut second = Client::connect(&fake.path()).unwrap().unwrap();
    assert_eq!(second.ask(&Request::Status {}).exit_code(), 0);
    let path = fake.path();
    assert_eq!(fake.stop(), vec![1, 2]);
    assert!(!path.exists());
    assert_eq!(second.ask(&Request::Status {}).exit_code(), 75);
}

#[test]
fn the_socket_is_for_its_owner_and_group() {
    let fake = Fake::start();
    let mode = fs::metadata(fake.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    fake.stop();
}

#[test]
fn nobody_there_is_no_failure_and_a_stale_socket_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    assert!(Client::connect(&path).unwrap().is_none());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(Client::connect(&path).unwrap().is_none());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let listener = bind(&path).unwrap();
    assert_eq!(bind(&path).unwrap_err().code, 75);
    drop(listener);
}

#[test]
fn a_path_too_long_is_refused_by_name() {
    let path = Path::new("/tmp").join("x".repeat(103));
    let failure = Client::connect(&path).unwrap_err();
    assert_eq!(failure.code, 78);
    assert!(failure.message.contains("108 bytes") && failure.message.contains("xxx"));
    assert!(Client::connect(&Path::new("/tmp").join("x".repeat(102))).unwrap().is_none());
}

#[test]
fn what_is_no_request_is_told_so() {
    let fake = Fake::start();
    let raw = |text: &str| {
        let mut stream = std::os::unix::net::UnixStream::connect(fake.path()).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let post = |body: &str| {
        raw(&format!(
            "POST /v1/ask HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    for (answer, status, word) in [
        (post("{\"command\":\"statu\"}"), 400, "not a request"),
        (post("\u{0}"), 400, "not a request"),
        (post("{\"command\":\"imports\"}"), 404, "no such contact"),
        (raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 400, "there is no GET"),
    ] {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains(word) && answer.contains(EXIT_HEADER), "{answer}");
    }
    fake.stop();
}
