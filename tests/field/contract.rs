//! The contract that scripts rely on: keys, exit codes, flags.

use serde_json::Value;

use crate::stage::{EN, Stage};

/// The object has these keys at least.
fn has(value: &Value, keys: &str) {
    for key in keys.split_whitespace() {
        assert!(value.get(key).is_some(), "no {key} in {value}");
    }
}

#[test]
fn every_command_answers_with_its_keys() {
    let stage = Stage::running("2024-09-05 07:00");
    let tag = format!("{EN}-营销05");
    has(
        &stage.import("ann@acme.example\nbob@acme.example\n", &["--tag", &tag]),
        "rows new known updated over_cap suppressed duplicate invalid placed seconds",
    );
    let ann = "ann@acme.example";
    let status = "state date http planned accepted deferred refused unknown withdrawn expired \
                  remaining";
    for (words, keys) in [
        (vec!["plan", "--date", "2024-09-05"], "date due send reasons"),
        (vec!["status"], status),
        (vec!["show", ann], "address id company tags suppressed timeline"),
        (vec!["why", ann, "--date", "2024-09-05"], "address date outcome reason detail"),
        (vec!["report"], "rounds totals"),
        (vec!["report", "--from", "2024-09-01", "--to", "2024-09-05"], "from to"),
        (vec!["audit"], "letters violations"),
        (vec!["tag", ann, "同行"], "tagged"),
        (vec!["untag", ann, "同行", "--reason", "mixed up"], "untagged"),
        (vec!["tags"], "tags"),
        (vec!["contacts", "--tag", &tag], "contacts"),
        (vec!["contacts", "--view", "不发邮箱"], "contacts"),
        (vec!["imports"], "imports"),
        (vec!["suppress", "@gone.example", "--reason", "asked"], "suppressed"),
        (vec!["suppress", "remove", "@gone.example", "--reason", "asked"], "removed"),
        (vec!["note", ann, "met at the fair"], "noted"),
        (vec!["pause"], "paused"),
        (vec!["resume"], "paused"),
        (vec!["check"], "findings"),
        (vec!["reload"], "reloaded"),
        (vec!["clock"], "now"),
    ] {
        has(&stage.ask(&words), keys);
    }
    let plan = stage.ask(&["plan"]);
    has(&plan["due"][0], "batch targets send reasons");
    for line in stage.lines(&["plan", "--list"]) {
        has(&line, "address company batch outcome reason rank");
    }
    assert_eq!(stage.lines(&["contacts", "--tag", &tag, "--list"]).len(), 2);
    stage.to("2024-09-05 09:00");
    let status = stage.ask(&["status"]);
    let sum = "accepted deferred refused unknown withdrawn expired remaining".split(' ');
    let sum: u64 = sum.map(|key| status[key].as_u64().unwrap()).sum();
    assert_eq!(status["planned"], sum, "{status}");
    for event in stage.ask(&["show", ann])["timeline"].as_array().unwrap() {
        has(event, "at kind");
        let at = event["at"].as_str().unwrap();
        assert!(at.starts_with("2024-09-05T") && at.ends_with("+08:00"), "{event}");
    }
    let kinds = ["imported", "tagged", "untagged", "noted", "claimed", "accepted"];
    assert_eq!(stage.timeline(ann), kinds);
}

#[test]
fn a_failed_command_says_what_and_how_to_mend_it() {
    let stage = Stage::running("2024-09-05 07:00");
    stage.import("ann@acme.example", &["--tag", &format!("{EN}-营销05")]);
    for (words, code) in [
        (vec!["show", "eve@acme.example"], 66),
        (vec!["show", "no address"], 65),
        (vec!["tag", "ann@acme.example", "no-such-tag"], 65),
        (vec!["tag", "eve@acme.example", "同行"], 66),
        (vec!["tag", "ann@acme.example", "日语-工程设备经销商-营销05"], 65),
        (vec!["import", "-", "--tag", "no-such-tag"], 65),
        (vec!["import", "no-such-file.csv"], 66),
        (vec!["import", "/dev/null", "--tag", "同行"], 65),
        (vec!["contacts", "--view", "no such view"], 66),
        (vec!["contacts", "--tag", "no such tag"], 66),
        (vec!["suppress", "remove", "ann@acme.example", "--reason", "x"], 66),
        (vec!["clock", "--to", "2024-09-04T09:00:00+08:00"], 64),
        (vec!["plan", "--date", "5 September"], 64),
        (vec!["report", "--from", "2024-09-05", "--to", "2024-09-01"], 64),
        (vec!["frobnicate"], 64),
    ] {
        let (exit, value) = stage.try_ask(&words);
        let error = &value["error"];
        assert_eq!((exit, &error["code"]), (code, &code.into()), "{words:?}: {value}");
        for key in ["message", "fix"] {
            assert!(!error[key].as_str().unwrap().is_empty(), "{words:?}: {value}");
        }
    }
}

#[test]
fn flags_stand_before_or_after_the_command() {
    let stage = Stage::new();
    let config = stage.config().to_str().unwrap().to_owned();
    let store = stage.dir().join("store");
    for words in [
        ["--json", "--config", &config, "--store", store.to_str().unwrap(), "tags"],
        ["tags", "--json", "--config", &config, "--store", store.to_str().unwrap()],
        ["--store", store.to_str().unwrap(), "tags", "--config", &config, "--json"],
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tradewind"));
        let output = command.current_dir(stage.dir()).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        has(&value, "tags groups");
    }
}

#[test]
fn a_missing_store_is_never_made() {
    let stage = Stage::new();
    let clock = "2024-09-05T09:00:00+08:00";
    std::fs::remove_dir_all(stage.dir().join("store")).unwrap();
    for words in [
        vec!["run", "--clock", clock],
        vec!["import", "/dev/null"],
        vec!["plan"],
        vec!["status"],
        vec!["show", "ann@acme.example"],
        vec!["why", "ann@acme.example"],
        vec!["report"],
        vec!["audit"],
        vec!["tag", "ann@acme.example", "同行"],
        vec!["untag", "ann@acme.example", "同行", "--reason", "x"],
        vec!["tags"],
        vec!["contacts", "--view", "不发邮箱"],
        vec!["imports"],
        vec!["suppress", "ann@acme.example", "--reason", "x"],
        vec!["suppress", "list"],
        vec!["suppress", "export"],
        vec!["suppress", "remove", "ann@acme.example", "--reason", "x"],
        vec!["note", "ann@acme.example", "x"],
        vec!["pause"],
        vec!["resume"],
        vec!["check"],
    ] {
        let (code, value) = stage.try_ask(&words);
        assert_eq!((code, &value["error"]["code"]), (78, &78.into()), "{words:?}: {value}");
        let message = value["error"]["message"].as_str().unwrap();
        assert!(message.contains("store"), "{words:?}: {value}");
    }
    assert!(!stage.dir().join("store").exists());
}
