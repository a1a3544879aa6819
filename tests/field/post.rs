//! A mail server of the tests' own, that can be told to keep a recipient waiting, or to come later.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// What happens to a recipient's next RCPT.
pub(crate) enum Turn {
    /// 451, once.
    Later,
    /// The answer waits: the first channel says so, the second lets it go on.
    Wait(Sender<()>, Receiver<()>),
}

/// A server on the loopback, until the test ends.
#[derive(Clone)]
pub(crate) struct Post {
    /// Its port.
    pub(crate) port: u16,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    turns: Arc<Mutex<HashMap<String, Turn>>>,
}

impl Post {
    /// Begins to listen.
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let post = Self { port, kept: Arc::default(), turns: Arc::default() };
        let own = post.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.talk(stream));
            }
        });
        post
    }

    /// The letters that were taken.
    pub(crate) fn kept(&self) -> Vec<Vec<u8>> {
        self.kept.lock().unwrap().clone()
    }

    /// A recipient is to come later, once.
    pub(crate) fn later(&self, address: &str) {
        self.turns.lock().unwrap().insert(address.to_owned(), Turn::Later);
    }

    /// A recipient is kept waiting once, until told: who asks, and how to let her go on.
    pub(crate) fn wait(&self, address: &str) -> (Receiver<()>, Sender<()>) {
        let (says, told) = channel();
        let (go, going) = channel();
        self.turns.lock().unwrap().insert(address.to_owned(), Turn::Wait(says, going));
        (told, go)
    }

    fn talk(&self, stream: TcpStream) {
        let mut out = stream.try_clone().unwrap();
        let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes()).is_ok();
        let mut lines = BufReader::new(stream);
        say("220 post.example ESMTP");
        loop {
            let mut line = Vec::new();
            if lines.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            let said = match verb.as_str() {
                "RCPT" => say(self.recipient(&line)),
                "DATA" => {
                    say("354 go on");
                    match body(&mut lines) {
                        Some(letter) => {
                            self.kept.lock().unwrap().push(letter);
                            say("250 2.0.0 taken")
                        }
                        None => return,
                    }
                }
                "QUIT" => {
                    say("221 2.0.0 bye");
                    return;
                }
                _ => say("250 2.0.0 ok"),
            };
            if !said {
                return;
            }
        }
    }

    fn recipient(&self, line: &str) -> &'static str {
        let address = line.split(['<', '>']).nth(1).unwrap_or_default();
        let turn = self.turns.lock().unwrap().remove(address);
        match turn {
            Some(Turn::Later) => return "451 4.2.0 come later",
            Some(Turn::Wait(says, going)) => {
                let _ = says.send(());
                let _ = going.recv();
            }
            None => (),
        }
        "250 2.1.5 ok"
    }
}

/// The message up to the final dot; none if the client goes away before it.
fn body(lines: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut letter = Vec::new();
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return None;
        }
        if line == b".\r\n" {
            return Some(letter);
        }
        letter.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
