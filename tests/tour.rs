//! The shipped configuration as it is, by the words of the README: a store made by the real clock,
//! a rehearsal on it, letters as files.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const HOME: &str = env!("CARGO_MANIFEST_DIR");

fn tradewind(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind"));
    command.current_dir(dir).stdin(Stdio::null());
    command.arg("--config").arg(Path::new(HOME).join("config/quickstart.toml"));
    command.args(["--store", "tour", "--json"]).args(words);
    command
}

fn ask(dir: &Path, words: &[&str]) -> Value {
    let output = tradewind(dir, words).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words:?}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|err| panic!("{words:?}: {err}: {text}"))
}

struct Daemon(Child);

impl Daemon {
    /// Runs when this returns: its socket is there.
    fn start(dir: &Path, clock: &str) -> Self {
        let mut child = tradewind(dir, &["run", "--clock", clock]).spawn().unwrap();
        let socket = dir.join("tour/control.sock");
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the daemon ended");
            std::thread::yield_now();
        }
        Self(child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_readme_tour_goes_as_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    ask(dir, &["init"]);
    let daemon = Daemon::start(dir, "2024-09-05T09:00:00+08:00");
    let sample = Path::new(HOME).join("config/sample-search.csv");
    let sample = sample.to_str().unwrap();
    let tag = "英语-工程设备经销商-营销05";
    let words = ["import", sample, "--tag", tag, "--spread", "--verdicts", "verdicts.csv"];
    let summary = ask(dir, &words);
    let verdicts = std::fs::read_to_string(dir.join("verdicts.csv")).unwrap();
    assert_eq!(verdicts.lines().count() as u64, summary["rows"].as_u64().unwrap() + 1);
    let plan = ask(dir, &["plan"]);
    assert_eq!(plan["date"], "2024-09-05", "{plan}");
    ask(dir, &["clock", "--to", "2024-09-05T10:00:00+08:00"]);
    let status = ask(dir, &["status"]);
    assert!(status["accepted"].as_u64().unwrap() > 0, "{status}");
    assert_eq!(status["accepted"], plan["send"], "{status}");
    let letters = std::fs::read_dir(dir.join("tour/maildir/new")).unwrap().count();
    assert_eq!(letters as u64, status["accepted"].as_u64().unwrap());
    drop(daemon);

    // Without a daemon the commands open the store themselves, at the rehearsal's last instant.
    let alone = ask(dir, &["status"]);
    assert_eq!((&alone["date"], &alone["accepted"]), (&status["date"], &status["accepted"]));
    assert_eq!(ask(dir, &["audit"])["violations"], Value::Array(Vec::new()));
    let known = ask(dir, &words);
    assert_eq!(known["new"], 0, "{known}");
}
