//! What tests of the real binary share: a place of its own with the shipped configuration, commands
//! in it, the daemon on a rehearsal clock, and the rule for tools that are not there.
#![allow(dead_code, unreachable_pub, reason = "every test takes what it needs of this")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

pub const HOME: &str = env!("CARGO_MANIFEST_DIR");

/// A directory with a copy of the shipped configuration; the store is `store` in it.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// Without a store; `tradewind init` makes one.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let templates = dir.path().join("templates");
        fs::create_dir(&templates).unwrap();
        let shipped = Path::new(HOME).join("config");
        fs::copy(shipped.join("quickstart.toml"), dir.path().join("quickstart.toml")).unwrap();
        for letter in fs::read_dir(shipped.join("templates")).unwrap() {
            let letter = letter.unwrap();
            fs::copy(letter.path(), templates.join(letter.file_name())).unwrap();
        }
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Puts one text for another in a file; it must be there.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from:?}");
        self.write(name, text.replacen(from, to, 1));
    }

    /// Sends letters to a relay on the loopback that keeps them.
    pub fn relay(&self, port: u16) {
        self.edit("quickstart.toml", "transport = \"maildir\"", "transport = \"relay\"");
        let config = fs::read_to_string(self.path("quickstart.toml")).unwrap();
        let relay = format!("\n[[relay]]\nhost = \"127.0.0.1\"\nport = {port}\nsink = true\n");
        self.write("quickstart.toml", config + &relay);
    }

    /// A command on this place's configuration and store, its input empty.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind"));
        command.current_dir(self.dir.path()).stdin(Stdio::null()).env_remove("TRADEWIND_CONFIG");
        command.args(["--config", "quickstart.toml", "--store", "store"]).args(words);
        command
    }

    /// Runs a command with `input` piped in.
    pub fn piped(&self, words: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // A command that ends before it has read everything is not this helper's to judge.
            scope.spawn(move || pipe.write_all(input).ok());
            child.wait_with_output().unwrap()
        })
    }

    /// The one JSON object a command answers; it must succeed.
    pub fn ask(&self, words: &[&str]) -> Value {
        answer(words, &self.command(words).arg("--json").output().unwrap())
    }

    /// As [`Self::ask`], with `input` piped in.
    pub fn ask_piped(&self, words: &[&str], input: &[u8]) -> Value {
        let words = [words, &["--json"]].concat();
        answer(&words, &self.piped(&words, input))
    }
}

fn answer(words: &[&str], output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {text}{told}");
    serde_json::from_str(&text).unwrap_or_else(|err| panic!("{words:?}: {err}: {text}{told}"))
}

/// A process that ends with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the daemon on a rehearsal clock and returns when it answers.
pub fn daemon(place: &Place, clock: &str) -> Running {
    started(place, place.command(&["run", "--clock", clock]))
}

/// Starts a daemon by this command and returns when it answers.
pub fn started(place: &Place, mut run: Command) -> Running {
    let mut daemon = Running(run.spawn().unwrap());
    let socket = place.path("store/control.sock");
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(daemon.0.try_wait().unwrap().is_none(), "the daemon ended");
        std::thread::yield_now();
    }
    daemon
}

/// A tool as Debian installs it, in the path or where only root looks.
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/usr/lib/postfix/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).map(|dir| dir.join(name)).find(|at| at.is_file())
}

/// Says that a test cannot be done here; fails where every test must be.
#[expect(clippy::print_stderr, reason = "whoever runs the tests must see it")]
pub fn skip(name: &str, why: &str) {
    assert!(std::env::var_os("TRADEWIND_NO_SKIP").is_none_or(|set| set != "1"), "{name}: {why}");
    eprintln!("skipped: {name}: {why}");
}
