//! The first thing a stranger runs: it must end well and leave nothing behind.

use std::process::Command;

#[test]
fn it_ends_well_and_leaves_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tradewind"))
        .args(["quickstart", "--json"])
        .current_dir("/")
        .env("TMPDIR", temp.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{summary}\n{told}");
    let count = |key: &str| summary[key].as_u64().unwrap();
    assert!(count("imported") >= 100 && count("accepted") >= 100, "{summary}");
    assert_eq!(count("at_sink"), count("accepted"), "{summary}");
    assert_eq!((count("opened"), count("unsubscribed")), (3, 1), "{summary}");
    assert!(count("promoted") >= 1 && count("violations") == 0, "{summary}");
    assert_eq!(temp.path().read_dir().unwrap().count(), 0, "{told}");
}
