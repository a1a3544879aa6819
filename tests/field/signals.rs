//! What the daemon does when it is signalled.

use crate::stage::{EN, Stage};

#[test]
fn hangup_takes_a_good_configuration_and_keeps_the_old_one_for_a_bad_one() {
    let mut stage = Stage::with_own_config();
    stage.start("2024-09-05 07:00");
    stage.import("ann@acme.example", &["--tag", &format!("{EN}-营销05")]);
    assert_eq!(stage.try_ask(&["tag", "ann@acme.example", "客服"]).0, 65);
    stage.rewrite("[\"不发\"]", "[\"不发\", \"客服\"]");
    stage.rewrite("[limits]\n", "[limits]\nno_such_key = 1\n");
    stage.signal("HUP");
    let kept = stage.told("kept the old configuration");
    assert!(kept.contains("own.toml:") && kept.contains("limits.no_such_key"), "{kept}");
    assert_eq!(stage.try_ask(&["tag", "ann@acme.example", "客服"]).0, 65);
    let (code, refused) = stage.try_ask(&["reload"]);
    assert_eq!((code, &refused["error"]["code"]), (78, &78.into()), "{refused}");

    stage.rewrite("no_such_key = 1\n", "");
    stage.signal("HUP");
    stage.told("configuration reloaded");
    assert_eq!(stage.ask(&["tag", "ann@acme.example", "客服"])["tagged"], 1);
    // The view of that group holds her now.
    stage.to("2024-09-05 09:00");
    assert_eq!(stage.why("ann@acme.example", "2024-09-05").1, "view:不发邮箱");
    assert_eq!(stage.letters().len(), 0);
}

#[test]
fn term_drains_and_what_was_done_stays() {
    let mut stage = Stage::running("2024-09-05 07:00");
    stage.import("ann@acme.example", &["--tag", &format!("{EN}-营销05")]);
    stage.to("2024-09-05 09:00");
    stage.stop();
    assert!(!stage.dir().join("store/control.sock").exists());
    let status = stage.ask(&["status"]);
    assert_eq!((&status["state"], &status["accepted"]), (&"stopped".into(), &1.into()), "{status}");
    stage.start("2024-09-05 10:00");
    stage.to("2024-09-05 21:00");
    assert_eq!(stage.letters().len(), 1);
    stage.is_clean();
}

#[test]
fn usr1_tells_and_usr2_pauses_across_restarts() {
    let mut stage = Stage::running("2024-09-05 07:00");
    stage.import("ann@acme.example", &["--tag", &format!("{EN}-营销05")]);
    stage.signal("USR1");
    assert!(stage.told("status=").contains("2024-09-05"));
    stage.signal("USR2");
    stage.told("USR2");
    assert_eq!(stage.ask(&["status"])["state"], "paused");
    stage.to("2024-09-05 09:00");
    stage.stop();
    stage.start("2024-09-05 10:00");
    stage.to("2024-09-05 11:00");
    assert_eq!(stage.ask(&["status"])["state"], "paused");
    assert_eq!(stage.letters().len(), 0);
    stage.signal("USR2");
    stage.told("USR2");
    stage.to("2024-09-05 12:00");
    assert_eq!(stage.letters().len(), 1);
}
