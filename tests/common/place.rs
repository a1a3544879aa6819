//! A throw-away directory with a configuration and a store, and the real binary run on them.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
const MAILDIR: &str = "transport = \"maildir\"";

/// The directory; gone when dropped.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) code: i32,
    pub(crate) json: Value,
    pub(crate) told: String,
}

impl Answered {
    /// What it answered, if it went well.
    #[track_caller]
    pub(crate) fn good(self) -> Value {
        assert_eq!(self.code, 0, "{}\n{}", self.json, self.told);
        self.json
    }
}

impl Place {
    /// The shipped configuration, with another transport in the place of the maildir, if given.
    pub(crate) fn new(transport: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = fs::read_to_string(Path::new(SHIPPED).join("quickstart.toml")).unwrap();
        let (before, after) = config.split_once(MAILDIR).unwrap();
        let (line, end) = match transport {
            None => (MAILDIR, ""),
            Some(relay) => ("transport = \"relay\"", relay),
        };
        let config = format!("{before}{line}{after}\n{end}\n");
        fs::write(dir.path().join("tw.toml"), config).unwrap();
        fs::create_dir(dir.path().join("templates")).unwrap();
        for file in fs::read_dir(Path::new(SHIPPED).join("templates")).unwrap() {
            let from = file.unwrap().path();
            let to = dir.path().join("templates").join(from.file_name().unwrap());
            fs::copy(from, to).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    pub(crate) fn command_on(&self, store: &str, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind"));
        command.current_dir(self.path()).stdin(Stdio::null());
        command.args(["--config", "tw.toml", "--store", store, "--json"]).args(words);
        command
    }

    pub(crate) fn ask(&self, words: &[&str]) -> Answered {
        self.ask_of("store", words)
    }

    /// Asks another store beside this place's own.
    pub(crate) fn ask_of(&self, store: &str, words: &[&str]) -> Answered {
        let output = self.command_on(store, words).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answered { code: output.status.code().unwrap_or(-1), json, told }
    }

    /// Starts a daemon whose log is a file; it may not be ready yet.
    pub(crate) fn spawn(&self, clock: &str) -> Daemon {
        let log = self.path().join("daemon.log");
        let mut command = self.command_on("store", &["run", "--clock", clock]);
        let child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        Daemon { child, log, socket: self.store().join("control.sock") }
    }

    /// Starts a daemon and waits until it takes orders.
    pub(crate) fn start(&self, clock: &str) -> Daemon {
        let mut daemon = self.spawn(clock);
        while UnixStream::connect(&daemon.socket).is_err() {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {}", daemon.log());
            std::thread::yield_now();
        }
        daemon
    }
}

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    log: PathBuf,
    socket: PathBuf,
}

impl Daemon {
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}
