//! A configuration and a store of one test's own, worked by the real program without a daemon.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![allow(clippy::allow_attributes, dead_code, reason = "every test takes what it needs of this")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

const HOME: &str = env!("CARGO_MANIFEST_DIR");

/// A desk: `tradewind.toml`, `views.toml`, the letters of the house, and a store once `init` made it.
pub(crate) struct Desk {
    pub(crate) dir: tempfile::TempDir,
    /// The instant all commands take for now.
    pub(crate) clock: String,
}

impl Desk {
    /// With the house's configuration, its views included, and `more` at the end.
    pub(crate) fn new(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let house = Path::new(HOME).join("config");
        let quickstart = std::fs::read_to_string(house.join("quickstart.toml")).unwrap();
        let before_views = quickstart.split("# The views of the field guide").next().unwrap();
        let templates = house.join("templates");
        let include = "include = \"views.toml\"\n\n[sender]";
        let text = before_views
            .replace("templates = \"templates\"", &format!("templates = {templates:?}"))
            .replacen("[sender]", include, 1);
        std::fs::write(dir.path().join("tradewind.toml"), format!("{text}\n{more}")).unwrap();
        std::fs::copy(house.join("views.toml"), dir.path().join("views.toml")).unwrap();
        Self { dir, clock: "2024-09-05T09:00:00+08:00".to_owned() }
    }

    /// With a store.
    pub(crate) fn open(more: &str) -> Self {
        let desk = Self::new(more);
        desk.ask(&["init"]);
        desk
    }

    /// One command: exit code and standard output.
    pub(crate) fn run(&self, words: &[&str], stdin: &str) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind"));
        command.current_dir(self.dir.path()).env_remove("TRADEWIND_CONFIG");
        command.args(["--config", "tradewind.toml", "--store", "store", "--json"]);
        command.args(["--clock", &self.clock]).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that fails early does not read.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked"), "{words:?}: {errors}");
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    /// The one object a command that succeeds answers.
    pub(crate) fn ask(&self, words: &[&str]) -> Value {
        self.pipe(words, "")
    }

    /// The same with something on standard input.
    pub(crate) fn pipe(&self, words: &[&str], stdin: &str) -> Value {
        let (code, text) = self.run(words, stdin);
        assert_eq!(code, 0, "{words:?}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|err| panic!("{words:?}: {err}: {text}"))
    }

    /// One object per line.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<Value> {
        let (code, text) = self.run(words, "");
        assert_eq!(code, 0, "{words:?}: {text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The addresses of a listing.
    pub(crate) fn addresses(&self, words: &[&str]) -> Vec<String> {
        let lines = self.lines(words);
        lines.iter().map(|line| line["address"].as_str().unwrap().to_owned()).collect()
    }

    /// A command that must fail: code, message and fix.
    pub(crate) fn refused(&self, words: &[&str]) -> (i32, String, String) {
        let (code, text) = self.run(words, "");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let error = answer.get("error").unwrap();
        let text =
            |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        (code, text("message"), text("fix"))
    }
}
