//! The command line as a script meets it: exit codes, one JSON object, errors with a fix.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/quickstart.toml");

fn tradewind(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind"));
    command.current_dir(dir).env_remove("TRADEWIND_CONFIG").args(words).stdin(Stdio::null());
    command
}

fn run(dir: &Path, words: &[&str]) -> Output {
    tradewind(dir, words).output().unwrap()
}

/// The exit code, and the one JSON object on standard output.
fn json(dir: &Path, words: &[&str]) -> (i32, Value) {
    let output = run(dir, words);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{words:?}: {text}");
    (output.status.code().unwrap(), serde_json::from_str(&text).unwrap())
}

#[test]
fn failures_have_a_code_a_message_and_a_fix() {
    let dir = tempfile::tempdir().unwrap();
    let stored = ["--config", CONFIG, "--store", "nowhere", "--json"];
    let with = |words: &[&'static str]| [words, &stored].concat();
    for (words, code, said) in [
        (vec!["plan", "--json"], 78, "there is no configuration"),
        (vec!["--json", "plan", "--config", "no.toml"], 78, "no.toml"),
        (vec!["--json", "imprt"], 64, "imprt"),
        (vec!["plan", "--dat", "2024-09-05", "--json"], 64, "--dat"),
        (with(&["run", "--clock-speed", "60"]), 64, "--clock-speed"),
        (with(&["report", "--from", "2024-09-05", "--to", "2024-09-04"]), 64, "lies before"),
        (with(&["tag", "-", "同行"]), 65, "no address"),
        (with(&["import", "-", "--tag", "同行", "--tags", "replace"]), 64, "--tags replace"),
        (with(&["plan"]), 78, "nowhere"),
        (with(&["status"]), 78, "nowhere"),
        (with(&["import", "-"]), 78, "nowhere"),
        (with(&["audit"]), 78, "nowhere"),
        (with(&["run", "--clock", "2024-09-05T09:00:00+08:00"]), 78, "nowhere"),
    ] {
        let (exit, answer) = json(dir.path(), &words);
        let error = &answer["error"];
        assert_eq!((exit, &error["code"]), (code, &Value::from(code)), "{words:?}: {answer}");
        assert!(error["message"].as_str().unwrap().contains(said), "{words:?}: {answer}");
        assert!(!error["fix"].as_str().unwrap().is_empty(), "{words:?}: {answer}");
    }
    assert!(!dir.path().join("nowhere").exists(), "a missing store was made");
}

#[test]
fn people_read_errors_on_standard_error() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &["plan"]);
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("tradewind: there is no configuration"), "{text}");
    assert!(text.contains("\n  fix: give one with --config"), "{text}");
}

#[test]
fn a_store_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let words = ["--config", CONFIG, "init", "--store", "store", "--json"];
    let (code, made) = json(dir.path(), &words);
    assert_eq!((code, made["store"].as_str()), (0, Some("store")), "{made}");
    let (code, refused) = json(dir.path(), &words);
    assert!(code == 73 || code == 78, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("store"), "{refused}");
}

#[test]
fn a_reader_who_goes_away_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    for words in [["--help"].as_slice(), &["import", "--help"], &["--json", "plan"]] {
        let mut child = tradewind(dir.path(), words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut told = String::new();
        child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert!(!told.contains("panicked"), "{words:?}: {told}");
        let code = child.wait().unwrap().code();
        assert!(code == Some(0) || words.contains(&"plan") && code == Some(78), "{code:?}");
    }
}

#[test]
fn the_sink_keeps_letters_as_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink =
        tradewind(dir.path(), &["sink", "letters"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut addr = String::new();
    BufReader::new(sink.stdout.take().unwrap()).read_line(&mut addr).unwrap();
    let mut talk = TcpStream::connect(addr.trim()).unwrap();
    talk.write_all(
        b"HELO x\r\nMAIL FROM:<b@x.example>\r\nRCPT TO:<a@y.example>\r\nDATA\r\n\
          Subject: s\r\n\r\n..hello\r\n.\r\nQUIT\r\n",
    )
    .unwrap();
    let mut said = String::new();
    talk.read_to_string(&mut said).unwrap();
    sink.kill().unwrap();
    sink.wait().unwrap();
    assert!(said.contains("\r\n221 "), "{said}");
    let kept = std::fs::read_to_string(dir.path().join("letters/00000000.eml")).unwrap();
    assert!(kept.starts_with("Return-Path: <b@x.example>\r\nDelivered-To: a@y.example\r\n"));
    assert!(kept.ends_with("Subject: s\r\n\r\n.hello\r\n"), "{kept}");
}
