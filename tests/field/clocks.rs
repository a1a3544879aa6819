//! A store is rehearsed in or real, never both.

use crate::stage::{EN, Stage};

/// Refused with 78 and a fix, about the clock.
fn refused(stage: &Stage, words: &[&str]) {
    let (code, value) = stage.try_ask(words);
    let error = &value["error"];
    assert_eq!((code, &error["code"]), (78, &78.into()), "{words:?}: {value}");
    assert!(error["message"].as_str().unwrap().contains("clock"), "{words:?}: {value}");
}

#[test]
fn a_rehearsed_store_refuses_the_real_clock() {
    let mut stage = Stage::running("2024-09-05 07:00");
    stage.import("ann@acme.example", &["--tag", &format!("{EN}-营销05")]);
    stage.to("2024-09-05 09:00");
    stage.stop();
    refused(&stage, &["run"]);
    // Commands take the rehearsal's last instant for now.
    assert_eq!(stage.ask(&["status"])["date"], "2024-09-05");
    assert_eq!(stage.ask(&["plan"])["date"], "2024-09-05");
}

#[test]
fn a_real_store_refuses_a_rehearsal() {
    let mut stage = Stage::with_own_config();
    stage.rewrite("window = \"08:00-20:00\"", "window = \"00:00-24:00\"");
    // Every day of a rolling cycle has its batch.
    stage.rewrite("[cadence]\n", "[cadence]\nmode = \"rolling\"\nepoch = \"2024-01-01\"\n");
    stage.start_really();
    stage.import("ann@acme.example", &["--tag", &format!("{EN}-营销")]);
    while stage.ask(&["status"])["accepted"] != 1 {
        std::thread::yield_now();
    }
    let (code, value) = stage.try_ask(&["clock", "--to", "2034-09-05T09:00:00+08:00"]);
    assert_eq!((code, &value["error"]["code"]), (64, &64.into()), "{value}");
    stage.stop();
    let clock = ["--clock", "2034-09-05T09:00:00+08:00"];
    for words in [["run"].as_slice(), &["plan"], &["status"], &["tags"]] {
        refused(&stage, &[words, clock.as_slice()].concat());
    }
    stage.is_clean();
}
