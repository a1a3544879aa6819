//! The stage: a store of its own, a daemon on a rehearsal clock, and a recipient's browser.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use mail_parser::MessageParser;
use serde_json::Value;

use crate::post::Post;

/// The audience of English-speaking dealers.
pub(crate) const EN: &str = "英语-工程设备经销商";
/// The audience of French-speaking dealers.
pub(crate) const FR: &str = "法语-工程设备经销商";
/// What a person's browser calls itself.
pub(crate) const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0";

/// One store, with or without its daemon.
pub(crate) struct Stage {
    dir: tempfile::TempDir,
    config: PathBuf,
    daemon: Option<(Child, BufReader<ChildStderr>)>,
    post: Option<Post>,
}

/// One letter as its recipient has it.
pub(crate) struct Letter {
    /// Recipient's address.
    pub(crate) to: String,
    /// Its subject.
    pub(crate) subject: String,
    /// Path of the pixel.
    pub(crate) pixel: String,
    /// Path of the one-click unsubscribe.
    pub(crate) leave: String,
}

/// Whole contents of a list of numbered addresses.
pub(crate) fn people(numbers: std::ops::RangeInclusive<u32>, domain: &str) -> String {
    numbers.map(|n| format!("p{n:03}@{domain}\n")).collect()
}

/// An instant of the configured zone: `2024-09-05 09:00`.
fn instant(at: &str) -> String {
    format!("{}:00+08:00", at.replace(' ', "T"))
}

impl Stage {
    /// A fresh store under the shipped configuration.
    pub(crate) fn new() -> Self {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/quickstart.toml");
        Self::with(shipped, tempfile::tempdir().unwrap())
    }

    /// A fresh store under a copy of the shipped configuration that a test may change.
    pub(crate) fn with_own_config() -> Self {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let dir = tempfile::tempdir().unwrap();
        let templates = dir.path().join("templates");
        fs::create_dir(&templates).unwrap();
        for file in shipped.join("templates").read_dir().unwrap().map(Result::unwrap) {
            fs::copy(file.path(), templates.join(file.file_name())).unwrap();
        }
        let config = dir.path().join("own.toml");
        fs::copy(shipped.join("quickstart.toml"), &config).unwrap();
        Self::with(config, dir)
    }

    fn with(config: PathBuf, dir: tempfile::TempDir) -> Self {
        let stage = Self { dir, config, daemon: None, post: None };
        stage.ask(&["init"]);
        stage
    }

    /// A fresh store whose daemon runs since `at`.
    pub(crate) fn running(at: &str) -> Self {
        let mut stage = Self::new();
        stage.start(at);
        stage
    }

    /// A fresh store whose daemon runs since `at` and hands its letters to a mail server.
    pub(crate) fn relayed(at: &str) -> (Self, Post) {
        let mut stage = Self::with_own_config();
        let post = Post::open();
        let relay = format!(
            "transport = \"relay\"\n[[relay]]\nhost = \"127.0.0.1\"\nport = {}\nsink = true\n",
            post.port
        );
        stage.rewrite("transport = \"maildir\"\n", &relay);
        stage.post = Some(post.clone());
        stage.start(at);
        (stage, post)
    }

    /// Puts other words into the configuration.
    pub(crate) fn rewrite(&self, words: &str, others: &str) {
        let text = fs::read_to_string(&self.config).unwrap();
        assert!(text.contains(words), "{words}");
        fs::write(&self.config, text.replace(words, others)).unwrap();
    }

    /// Where everything is.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration in force.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// A command on this stage.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind"));
        command.current_dir(self.dir()).stdin(Stdio::null()).stderr(Stdio::piped());
        command.arg("--config").arg(&self.config).args(["--store", "store", "--json"]).args(words);
        command
    }

    /// Starts the daemon; it runs when this returns.
    pub(crate) fn start(&mut self, at: &str) {
        self.start_with(&["run", "--clock", &instant(at)]);
    }

    /// Starts the daemon on the real clock.
    pub(crate) fn start_really(&mut self) {
        self.start_with(&["run"]);
    }

    fn start_with(&mut self, words: &[&str]) {
        let mut child = self.command(words).spawn().unwrap();
        let told = BufReader::new(child.stderr.take().unwrap());
        let socket = self.dir().join("store/control.sock");
        while UnixStream::connect(&socket).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the daemon ended");
            std::thread::yield_now();
        }
        self.daemon = Some((child, told));
    }

    /// Sends the daemon a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.daemon.as_ref().unwrap().0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Reads the daemon's log up to a line with `words` in it; answers that line.
    pub(crate) fn told(&mut self, words: &str) -> String {
        let (_, log) = self.daemon.as_mut().unwrap();
        let mut line = String::new();
        while log.read_line(&mut line).unwrap() > 0 {
            if line.contains(words) {
                return line;
            }
            line.clear();
        }
        panic!("the daemon ended and never said {words:?}");
    }

    /// Waits for the daemon's own end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.daemon.take().unwrap().0.wait().unwrap()
    }

    /// Ends the daemon as systemd would.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        assert!(self.ended().success());
    }

    /// Steps the clock.
    pub(crate) fn to(&self, at: &str) {
        self.ask(&["clock", "--to", &instant(at)]);
    }

    /// The exit code, and the one JSON object.
    pub(crate) fn try_ask(&self, words: &[&str]) -> (i32, Value) {
        let output = self.command(words).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{words:?}: {text}");
        (output.status.code().unwrap(), serde_json::from_str(&text).unwrap())
    }

    /// The one JSON object of a command that ends well.
    pub(crate) fn ask(&self, words: &[&str]) -> Value {
        let (code, value) = self.try_ask(words);
        assert_eq!(code, 0, "{words:?}: {value}");
        value
    }

    /// The JSON lines of a command that ends well.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<Value> {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Pipes a saved search into an import.
    pub(crate) fn import(&self, text: &str, words: &[&str]) -> Value {
        let words = [&["import", "-"], words].concat();
        let mut command = self.command(&words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {told}");
        serde_json::from_str(&told).unwrap()
    }

    /// Outcome and reason of a contact and a day.
    pub(crate) fn why(&self, address: &str, date: &str) -> (String, String) {
        let why = self.ask(&["why", address, "--date", date]);
        let text = |key: &str| why[key].as_str().unwrap_or_default().to_owned();
        (text("outcome"), text("reason"))
    }

    /// How many a plan writes to, and the reasons of the others.
    pub(crate) fn plan(&self, date: &str) -> (u64, BTreeMap<String, u64>) {
        let plan = self.ask(&["plan", "--date", date]);
        let reasons = plan["reasons"].as_object().unwrap().iter();
        let reasons = reasons.map(|(why, count)| (why.clone(), count.as_u64().unwrap()));
        (plan["send"].as_u64().unwrap(), reasons.collect())
    }

    /// The tags of a contact, sorted.
    pub(crate) fn tags(&self, address: &str) -> Vec<String> {
        let shown = self.ask(&["show", address]);
        let tags = shown["tags"].as_array().unwrap().iter();
        let mut tags: Vec<String> = tags.map(|tag| tag.as_str().unwrap().to_owned()).collect();
        tags.sort();
        tags
    }

    /// The kinds of a contact's timeline.
    pub(crate) fn timeline(&self, address: &str) -> Vec<String> {
        let shown = self.ask(&["show", address]);
        let events = shown["timeline"].as_array().unwrap().iter();
        events.map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
    }

    /// The addresses that have a tag, in order of their ranks as they came.
    pub(crate) fn holders(&self, tag: &str) -> Vec<String> {
        let lines = self.lines(&["contacts", "--tag", tag, "--list"]);
        lines.iter().map(|one| one["address"].as_str().unwrap().to_owned()).collect()
    }

    /// The letters that have left so far, by recipient.
    pub(crate) fn letters(&self) -> Vec<Letter> {
        let files = self.dir().join("store/maildir/new").read_dir().into_iter().flatten();
        let files = files.map(|file| fs::read(file.unwrap().path()).unwrap());
        let posted = self.post.iter().flat_map(Post::kept);
        let mut letters: Vec<Letter> = files.chain(posted).map(|bytes| letter(&bytes)).collect();
        letters.sort_by(|a, b| a.to.cmp(&b.to));
        letters
    }

    /// The one letter to an address.
    pub(crate) fn letter_to(&self, address: &str) -> Letter {
        let mut hers: Vec<Letter> =
            self.letters().into_iter().filter(|one| one.to == address).collect();
        assert_eq!(hers.len(), 1, "letters to {address}");
        hers.remove(0)
    }

    /// One HTTP request to the public endpoint; answers the status line.
    pub(crate) fn http(&self, method: &str, path: &str, agent: &str) -> String {
        let bound = self.ask(&["status"])["http"].as_str().unwrap().to_owned();
        let mut stream = TcpStream::connect(&bound).unwrap();
        let body = if method == "POST" { "List-Unsubscribe=One-Click" } else { "" };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {bound}\r\nUser-Agent: {agent}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    }

    /// A person opens her letter.
    pub(crate) fn open(&self, letter: &Letter) {
        assert_eq!(self.http("GET", &letter.pixel, BROWSER), "HTTP/1.1 200 OK");
    }

    /// A person's mail program unsubscribes her with one click.
    pub(crate) fn leave(&self, letter: &Letter) {
        assert_eq!(self.http("POST", &letter.leave, BROWSER), "HTTP/1.1 200 OK");
    }

    /// The audit finds nothing.
    pub(crate) fn is_clean(&self) {
        assert_eq!(self.ask(&["audit"])["violations"], Value::Array(Vec::new()));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.daemon.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn letter(bytes: &[u8]) -> Letter {
    let parsed = MessageParser::default().parse(bytes).unwrap();
    let html = parsed.body_html(0).unwrap();
    let url = html.split('"').find(|url| url.starts_with("http") && url.ends_with(".gif")).unwrap();
    let leave = parsed.header_raw("List-Unsubscribe").unwrap();
    let leave = leave.split(['<', '>']).find(|part| part.starts_with("http")).unwrap();
    let path = |url: &str| format!("/{}", url.splitn(4, '/').nth(3).unwrap());
    Letter {
        to: parsed.to().unwrap().first().unwrap().address().unwrap().to_owned(),
        subject: parsed.subject().unwrap().to_owned(),
        pixel: path(url),
        leave: path(leave),
    }
}
