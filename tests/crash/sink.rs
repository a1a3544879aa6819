//! A mail server with a memory of its own, that can be held at DATA or before it answers the dot.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// Long enough for anything that still moves.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Listens for as long as the process lives.
pub(crate) struct Sink {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    /// Recipient and message of every letter whose dot arrived.
    letters: Vec<(String, String)>,
    /// Conversations open.
    talks: usize,
    /// So many more DATA, or dots, are answered; then they wait.
    data_left: Option<u32>,
    dots_left: Option<u32>,
    /// How many wait now.
    data_held: u32,
    dots_held: u32,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn wait(&self, until: impl Fn(&Inner) -> bool) -> bool {
        let waiting = |inner: &mut Inner| !until(inner);
        let (_inner, late) =
            self.changed.wait_timeout_while(self.lock(), PATIENCE, waiting).unwrap();
        !late.timed_out()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let told = change(&mut self.lock());
        self.changed.notify_all();
        told
    }
}

/// Counts one down; true when there are none left.
fn is_spent(left: &mut Option<u32>) -> bool {
    match left {
        None => false,
        Some(0) => true,
        Some(left) => {
            *left -= 1;
            false
        }
    }
}

impl Sink {
    pub(crate) fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sink = Self { addr: listener.local_addr().unwrap(), shared: Arc::default() };
        let shared = Arc::clone(&sink.shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                shared.change(|inner| inner.talks += 1);
                thread::spawn(move || {
                    talk(&stream, &shared);
                    shared.change(|inner| inner.talks -= 1);
                });
            }
        });
        sink
    }

    /// Every letter that arrived: recipient and message.
    pub(crate) fn letters(&self) -> Vec<(String, String)> {
        self.shared.lock().letters.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.lock().letters.len()
    }

    /// Waits until `count` letters are here.
    pub(crate) fn wait_for(&self, count: usize) -> bool {
        self.shared.wait(|inner| inner.letters.len() >= count)
    }

    /// Answers so many more DATA, then holds the others.
    pub(crate) fn hold_data(&self, left: u32) {
        self.shared.change(|inner| inner.data_left = Some(left));
    }

    pub(crate) fn wait_held_data(&self, count: u32) -> bool {
        self.shared.wait(|inner| inner.data_held >= count)
    }

    /// Answers so many more dots, then keeps the letters without saying so.
    pub(crate) fn hold_dots(&self, left: u32) {
        self.shared.change(|inner| inner.dots_left = Some(left));
    }

    pub(crate) fn wait_held_dot(&self) -> bool {
        self.shared.wait(|inner| inner.dots_held >= 1)
    }

    /// Holds nobody any more.
    pub(crate) fn release(&self) {
        self.shared.change(|inner| (inner.data_left, inner.dots_left) = (None, None));
    }

    /// Waits until the last conversation of a daemon that was killed has been read to its end: from
    /// then on the record is whole.
    pub(crate) fn read_out(&self) {
        self.release();
        assert!(self.shared.wait(|inner| inner.talks == 0), "a conversation does not end");
    }
}

/// One conversation, until either side goes away.
fn talk(stream: &TcpStream, shared: &Shared) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let say = |text: &str| (&mut &*stream).write_all(text.as_bytes()).ok();
    let mut lines = BufReader::new(stream);
    let mut recipient = String::new();
    say("220 sink.invalid ESMTP\r\n")?;
    loop {
        let line = line(&mut lines)?;
        match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => say("250-sink.invalid\r\n250-PIPELINING\r\n250 8BITMIME\r\n")?,
            "RCPT" => {
                recipient = line.split(['<', '>']).nth(1)?.to_owned();
                say("250 2.1.5 Ok\r\n")?;
            }
            "DATA" => {
                if shared.change(|inner| is_spent(&mut inner.data_left)) {
                    shared.change(|inner| inner.data_held += 1);
                    shared.wait(|inner| inner.data_left.is_none());
                    shared.change(|inner| inner.data_held -= 1);
                }
                say("354 go on\r\n")?;
                let message = message(&mut lines)?;
                let held = shared.change(|inner| {
                    inner.letters.push((recipient.clone(), message));
                    is_spent(&mut inner.dots_left)
                });
                if held {
                    shared.change(|inner| inner.dots_held += 1);
                    shared.wait(|inner| inner.dots_left.is_none());
                    shared.change(|inner| inner.dots_held -= 1);
                }
                say("250 2.0.0 Ok\r\n")?;
            }
            "QUIT" => return say("221 2.0.0 Bye\r\n"),
            _ => say("250 2.0.0 Ok\r\n")?,
        }
    }
}

fn line(lines: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut line = String::new();
    lines.read_line(&mut line).ok()?;
    line.ends_with("\r\n").then_some(line)
}

/// Up to the dot; `None` if that never comes.
fn message(lines: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut message = String::new();
    loop {
        let line = line(lines)?;
        if line == ".\r\n" {
            return Some(message);
        }
        message.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
