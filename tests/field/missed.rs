//! Days that a stopped daemon missed, and the one answer to "why" for any day.

use crate::stage::{EN, Stage, people};

#[test]
fn a_week_of_missed_days_is_made_up_oldest_first_within_caps() {
    let mut stage = Stage::running("2024-09-01 07:00");
    for no in 2..=12 {
        let who = people(no * 100 + 1..=no * 100 + 8, "acme.example");
        stage.import(&who, &["--tag", &format!("{EN}-营销{no:02}"), "--cap", "0"]);
    }
    stage.to("2024-09-01 21:00");
    stage.stop();
    // The 4th to the 10th are opened, with today; the 2nd and the 3rd are too far back.
    stage.start("2024-09-11 07:00");
    stage.to("2024-09-11 12:00");
    let first: Vec<String> = stage.letters().into_iter().map(|letter| letter.to).collect();
    let expected: Vec<String> = (people(401..=408, "acme.example")
        + &people(501..=508, "acme.example")
        + &people(601..=604, "acme.example"))
        .lines()
        .map(Into::into)
        .collect();
    assert_eq!(first, expected);
    for (address, day, reason) in [
        ("p201@acme.example", "2024-09-11", "not-due"),
        ("p401@acme.example", "2024-09-11", "accepted"),
        ("p401@acme.example", "2024-09-04", "window"),
        ("p605@acme.example", "2024-09-11", "company-cap"),
        ("p1101@acme.example", "2024-09-11", "company-cap"),
    ] {
        assert_eq!(stage.why(address, day).1, reason, "{address} on {day}");
    }
    stage.to("2024-09-20 12:00");
    // 4th to 12th, eight each: all made up within their seven days.
    assert_eq!(stage.letters().len(), 9 * 8);
    stage.is_clean();
}

#[test]
fn who_was_tagged_after_a_missed_day_is_not_in_it() {
    let mut stage = Stage::running("2024-09-03 07:00");
    stage.to("2024-09-03 09:00");
    stage.stop();
    // Without a daemon the store is opened by the command, at the clock given.
    let clock = ["--clock", "2024-09-06T09:00:00+08:00"];
    let tag = format!("{EN}-营销05");
    stage.import("ann@acme.example", &[&["--tag", &tag], clock.as_slice()].concat());
    stage.start("2024-09-07 07:00");
    stage.to("2024-09-07 12:00");
    assert_eq!(stage.letters().len(), 0);
    let why = stage.ask(&["why", "ann@acme.example", "--date", "2024-09-07"]);
    assert_eq!(why["reason"], "not-due", "{why}");
    assert!(why["detail"].as_str().unwrap().contains("2024-10-05"), "{why}");
}

#[test]
fn no_day_before_the_first_run_is_opened() {
    let stage = Stage::new();
    let clock = ["--clock", "2024-09-04T09:00:00+08:00"];
    let tag = format!("{EN}-营销05");
    stage.import("ann@acme.example", &[&["--tag", &tag], clock.as_slice()].concat());
    let mut stage = stage;
    stage.start("2024-09-06 07:00");
    stage.to("2024-09-06 12:00");
    assert_eq!(stage.letters().len(), 0);
}

#[test]
fn every_day_has_its_answer() {
    let stage = Stage::running("2024-09-05 07:00");
    stage.import("ann@acme.example", &["--tag", &format!("{EN}-营销05")]);
    stage.import("bob@acme.example", &["--tag", &format!("{EN}-营销25")]);
    stage.import("hr@acme.example", &["--tag", &format!("{EN}-营销05")]);
    stage.import("nobody@example.com", &["--tag", "同行"]);
    stage.to("2024-09-06 09:00");
    for (address, date, outcome, reason) in [
        ("ann@acme.example", "2024-09-05", "mailed", "accepted"),
        ("ann@acme.example", "2024-09-06", "skip", "not-due"),
        ("ann@acme.example", "2024-10-05", "send", ""),
        ("bob@acme.example", "2024-09-25", "send", ""),
        ("bob@acme.example", "2024-08-25", "send", ""),
        ("hr@acme.example", "2024-09-05", "skip", "view:不发邮箱"),
        ("hr@acme.example", "2024-10-05", "skip", "view:不发邮箱"),
        ("nobody@example.com", "2024-09-06", "skip", "not-due"),
        ("eve@acme.example", "2024-09-05", "skip", "no-such-contact"),
    ] {
        let expected = (outcome.to_owned(), reason.to_owned());
        assert_eq!(stage.why(address, date), expected, "{address} on {date}");
    }
    let next = stage.ask(&["why", "ann@acme.example"]);
    assert!(next["detail"].as_str().unwrap().contains("2024-10-05"), "{next}");
    assert_eq!(stage.plan("2024-09-05").0, 1, "a past day, as recorded");
    assert_eq!(stage.plan("2024-08-25").0, 1, "a past day never opened");
    assert_eq!(stage.plan("2024-09-25").0, 1, "a day to come");
    // The letter of the 5th keeps the other day of the same month apart by its gap.
    stage.ask(&["tag", "ann@acme.example", &format!("{EN}-营销10")]);
    assert_eq!(stage.why("ann@acme.example", "2024-09-10").1, "gap");
}
