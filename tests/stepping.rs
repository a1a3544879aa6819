//! The daemon on a stepped clock when things go wrong: no relay, a reload that cannot be.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const HOME: &str = env!("CARGO_MANIFEST_DIR");
const M05: &str = "英语-工程设备经销商-营销05";

struct Place(tempfile::TempDir);

impl Place {
    fn new(replacements: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.configure(replacements);
        place.ask(&["init"], "");
        place
    }

    fn configure(&self, replacements: &[(&str, &str)]) {
        let shipped = Path::new(HOME).join("config");
        let mut text = std::fs::read_to_string(shipped.join("quickstart.toml")).unwrap();
        let templates = format!("templates = {:?}", shipped.join("templates"));
        for (old, new) in replacements.iter().chain(&[("templates = \"templates\"", &*templates)]) {
            assert!(text.contains(old), "{old}");
            text = text.replace(old, new);
        }
        std::fs::write(self.0.path().join("tradewind.toml"), text).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind"));
        command.current_dir(self.0.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.args(["--config", "tradewind.toml", "--store", "store", "--json"]).args(words);
        command
    }

    fn ask(&self, words: &[&str], input: &str) -> Value {
        let mut child = self.command(words).stdin(Stdio::piped()).spawn().unwrap();
        // A command that failed does not read to the end.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&text).unwrap_or_else(|err| panic!("{words:?}: {err}: {text}"))
    }

    fn daemon(&self, words: &[&str]) -> Daemon {
        let words = [&["run"], words].concat();
        let mut child = self.command(&words).stdin(Stdio::null()).spawn().unwrap();
        let socket = self.0.path().join("store/control.sock");
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the daemon ended");
            std::thread::yield_now();
        }
        Daemon(child)
    }
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn relay(port: u16) -> String {
    let relay =
        "transport = \"relay\"\n\n[[relay]]\nhost = \"127.0.0.1\"\nsink = true\ntls = \"none\"";
    format!("{relay}\nport = {port}\n")
}

/// Moves the relay's table behind the plain keys.
fn with_relay(port: u16) -> [(String, String); 2] {
    let both = relay(port);
    let (key, table) = both.split_once("\n\n").unwrap();
    [
        ("transport = \"maildir\"".to_owned(), key.to_owned()),
        ("[http]".to_owned(), format!("{table}\n[http]")),
    ]
}

fn sum(status: &Value) -> u64 {
    let parts = ["accepted", "deferred", "refused", "unknown", "withdrawn", "expired", "remaining"];
    parts.iter().map(|part| status[*part].as_u64().unwrap()).sum()
}

#[test]
fn a_step_ends_though_no_relay_answers_and_the_letters_go_when_one_does() {
    // A port that nobody listens on: it was free a moment ago and is not reused at once.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let owned = with_relay(port);
    let pairs: Vec<(&str, &str)> = owned.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let place = Place::new(&pairs);
    let daemon = place.daemon(&["--clock", "2024-09-05T09:00:00+08:00"]);
    let rows = "a@one.example\nb@one.example\nc@two.example\n";
    place.ask(&["import", "-", "--tag", M05], rows);
    let stepped = place.ask(&["clock", "--to", "2024-09-05T09:30:00+08:00"], "");
    assert_eq!(stepped["now"], "2024-09-05T09:30:00+08:00", "{stepped}");
    let status = place.ask(&["status"], "");
    assert_eq!((&status["accepted"], &status["planned"]), (&0.into(), &3.into()), "{status}");
    assert_eq!(sum(&status), 3, "{status}");
    let sink = Command::new(env!("CARGO_BIN_EXE_tradewind"))
        .current_dir(place.0.path())
        .args(["sink", "letters", "--port", &port.to_string()])
        .stdout(Stdio::null())
        .spawn();
    let mut sink = Daemon(sink.unwrap());
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(sink.0.try_wait().unwrap().is_none(), "the sink ended");
        std::thread::yield_now();
    }
    place.ask(&["clock", "--to", "2024-09-05T19:00:00+08:00"], "");
    let status = place.ask(&["status"], "");
    assert_eq!((&status["accepted"], sum(&status)), (&3.into(), 3), "{status}");
    let audit = place.ask(&["audit"], "");
    assert_eq!(audit["violations"], Value::Array(Vec::new()), "{audit}");
    drop(daemon);
}

#[test]
fn a_reload_of_another_transport_is_refused_and_the_rest_of_it_too() {
    let place = Place::new(&[]);
    let _daemon = place.daemon(&["--clock", "2024-09-05T09:00:00+08:00"]);
    let owned = with_relay(9);
    let mut pairs: Vec<(&str, &str)> =
        owned.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    pairs.push(("company_per_day_max = 20", "company_per_day_max = 1"));
    place.configure(&pairs);
    let refused = place.ask(&["reload"], "");
    assert_eq!(refused["error"]["code"], 78, "{refused}");
    place.ask(&["import", "-", "--tag", M05], "a@one.example\nb@one.example\n");
    place.ask(&["clock", "--to", "2024-09-05T10:00:00+08:00"], "");
    assert_eq!(place.ask(&["status"], "")["accepted"], 2);
    place.configure(&[("company_per_day_max = 20", "company_per_day_max = 1")]);
    let taken = place.ask(&["reload"], "");
    assert_eq!(taken["reloaded"], true, "{taken}");
    let audit = place.ask(&["audit"], "");
    assert_eq!(audit["violations"], Value::Array(Vec::new()), "{audit}");
}

#[test]
fn a_running_clock_writes_by_itself_and_steps_as_well() {
    let place = Place::new(&[]);
    let words = ["--clock", "2024-09-05T07:00:00+08:00", "--clock-speed", "3600"];
    let _daemon = place.daemon(&words);
    place.ask(&["import", "-", "--tag", "英语-工程设备经销商-营销06"], "a@one.example\n");
    place.ask(&["clock", "--to", "2024-09-06T07:00:00+08:00"], "");
    while place.ask(&["status"], "")["accepted"] != 1 {
        std::thread::yield_now();
    }
    let why = place.ask(&["why", "a@one.example", "--date", "2024-09-06"], "");
    assert_eq!((&why["outcome"], &why["reason"]), (&"mailed".into(), &"accepted".into()), "{why}");
}

#[test]
fn a_full_disk_ends_the_daemon_and_loses_nothing_that_was_answered() {
    let place = Place::new(&[]);
    let run = place.command(&["run", "--clock", "2024-09-05T09:00:00+08:00"]);
    // The signal is ignored, so that a write past the limit fails as on a full disk.
    let mut limited = Command::new("bash");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1500; exec \"$@\"", "limited"]);
    limited.arg(run.get_program()).args(run.get_args()).current_dir(place.0.path());
    limited.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut daemon = Daemon(limited.spawn().unwrap());
    let socket = place.0.path().join("store/control.sock");
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(daemon.0.try_wait().unwrap().is_none(), "the daemon ended");
        std::thread::yield_now();
    }
    let rows = |from: u32, to: u32| -> String {
        (from..to).map(|n| format!("somebody-with-a-long-name-{n}@company-{n}.example\n")).collect()
    };
    let first = place.ask(&["import", "-", "--tag", M05], &rows(0, 100));
    assert_eq!(first["new"], 100, "{first}");
    let failed = place.ask(&["import", "-", "--tag", M05], &rows(100, 40_000));
    assert!(failed["error"]["code"].as_u64().unwrap() >= 64, "{failed}");
    let code = daemon.0.wait().unwrap().code();
    assert!(code.is_some_and(|code| code != 0), "{code:?}");
    let known = place.ask(&["import", "-", "--tag", M05], &rows(0, 100));
    assert_eq!(known["known"], 100, "{known}");
    let audit = place.ask(&["audit"], "");
    assert_eq!(audit["violations"], Value::Array(Vec::new()), "{audit}");
}
