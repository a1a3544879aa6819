//! Several batches for one person, batches nobody may send, and other calendars than the guide's.

use crate::stage::{EN, FR, Stage, people};

/// The days on which a contact's letters were claimed, and their batches.
fn claims(stage: &Stage, address: &str) -> Vec<(String, String)> {
    let shown = stage.ask(&["show", address]);
    let claims = shown["timeline"].as_array().unwrap().iter();
    let claims = claims.filter(|event| event["kind"] == "claimed");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    claims.map(|event| (text(&event["day"]), text(&event["letter"]["batch"]))).collect()
}

#[test]
fn one_of_two_due_batches_goes_out_the_one_given_first() {
    let stage = Stage::running("2024-09-05 07:00");
    let (en, fr) = (format!("{EN}-营销05"), format!("{FR}-营销05"));
    // Declared the other way round, so that the order of tags does not decide.
    stage.import("x@other.example", &["--tag", &en]);
    stage.import("ann@acme.example", &["--tag", &fr]);
    stage.ask(&["tag", "ann@acme.example", &en]);
    stage.to("2024-09-05 12:00");
    assert_eq!(claims(&stage, "ann@acme.example"), [("2024-09-05".to_owned(), fr)]);
    let (send, reasons) = stage.plan("2024-09-05");
    assert_eq!((send, reasons.get("other-batch")), (2, Some(&1)), "{reasons:?}");
    assert_eq!(stage.letters().len(), 2);
    stage.is_clean();
}

#[test]
fn two_marketing_tags_do_not_double_the_rhythm() {
    let stage = Stage::running("2024-09-05 07:00");
    let tags = [5, 15, 25, 26].map(|no| format!("{EN}-营销{no:02}"));
    stage.import("ann@acme.example", &["--tag", &tags[0]]);
    for tag in tags.iter().skip(1) {
        stage.ask(&["tag", "ann@acme.example", tag]);
    }
    stage.to("2024-10-01 07:00");
    let day = |text: &str, tag: &String| (text.to_owned(), tag.clone());
    // 21 days after the 5th is the 26th.
    let expected = [day("2024-09-05", &tags[0]), day("2024-09-26", &tags[3])];
    assert_eq!(claims(&stage, "ann@acme.example"), expected);
    assert_eq!(stage.why("ann@acme.example", "2024-09-25").1, "gap");
    stage.is_clean();
}

#[test]
fn what_is_tagged_after_the_window_goes_out_tomorrow() {
    let stage = Stage::running("2024-09-05 19:00");
    let tag = format!("{EN}-营销05");
    stage.import("ann@acme.example", &["--tag", &tag]);
    stage.to("2024-09-05 20:30");
    assert_eq!(stage.letters().len(), 1, "found today, written today");
    stage.import("bob@acme.example", &["--tag", &tag]);
    stage.to("2024-09-05 23:00");
    assert_eq!(stage.letters().len(), 1);
    stage.to("2024-09-06 08:00");
    assert_eq!(stage.letters().len(), 2);
    assert_eq!(stage.why("bob@acme.example", "2024-09-05").1, "window");
    assert_eq!(stage.why("bob@acme.example", "2024-09-06").1, "accepted");
}

#[test]
fn a_batch_without_a_template_takes_nobodys_place() {
    let mut stage = Stage::with_own_config();
    stage.rewrite("\"法语-工程设备经销商\"]", "\"法语-工程设备经销商\", \"德语-工程设备经销商\"]");
    stage.start("2024-09-05 07:00");
    let german = people(1..=20, "acme.example");
    stage.import(&german, &["--tag", "德语-工程设备经销商-营销05", "--cap", "0"]);
    let english = people(21..=40, "acme.example");
    stage.import(&english, &["--tag", &format!("{EN}-营销05"), "--cap", "0"]);
    stage.to("2024-09-05 12:00");
    let to: Vec<String> = stage.letters().into_iter().map(|letter| letter.to).collect();
    assert_eq!(to, english.lines().collect::<Vec<_>>());
    assert_eq!(stage.why("p001@acme.example", "2024-09-05").1, "no-template");
    let refused = stage.command(&["import", "/dev/null", "--tag", "日语-工程设备经销商-营销05"]);
    let mut refused = refused;
    assert_eq!(refused.output().unwrap().status.code(), Some(65));
}

#[test]
fn the_last_day_of_february_may_take_what_it_has_no_day_for() {
    let mut stage = Stage::with_own_config();
    stage.rewrite("[cadence]\n", "[cadence]\nshort_month = \"last-day\"\n");
    stage.start("2023-02-27 07:00");
    for no in 27..=30 {
        stage.import(&format!("m{no}@firm{no}.example"), &["--tag", &format!("{EN}-营销{no}")]);
    }
    stage.to("2023-03-02 07:00");
    for (no, day) in [(27, "27"), (28, "28"), (29, "28"), (30, "28")] {
        let expected = [(format!("2023-02-{day}"), format!("{EN}-营销{no}"))];
        assert_eq!(claims(&stage, &format!("m{no}@firm{no}.example")), expected);
    }
}

#[test]
fn a_rolling_cycle_knows_no_months() {
    let mut stage = Stage::with_own_config();
    stage.rewrite("[cadence]\n", "[cadence]\nmode = \"rolling\"\nepoch = \"2024-08-30\"\n");
    stage.start("2024-08-31 07:00");
    let summary = stage.import("ann@acme.example", &["--tag", &format!("{EN}-营销")]);
    assert_eq!(summary["placed"][format!("{EN}-营销02")], 1, "{summary}");
    stage.to("2024-10-31 07:00");
    let batch = format!("{EN}-营销02");
    let expected =
        ["2024-08-31", "2024-09-30", "2024-10-30"].map(|d| (d.to_owned(), batch.clone()));
    assert_eq!(claims(&stage, "ann@acme.example"), expected);
    stage.is_clean();
}

#[test]
fn spreading_goes_once_around_the_cycle() {
    let stage = Stage::running("2024-09-05 07:00");
    let from = format!("{EN}-营销29");
    let all = people(1..=320, "acme.example");
    let summary = stage.import(&all, &["--tag", &from, "--spread"]);
    assert_eq!((&summary["new"], &summary["over_cap"]), (&300.into(), &20.into()), "{summary}");
    assert_eq!(summary["placed"].as_object().unwrap().len(), 30, "{summary}");
    let first = stage.holders(&format!("{EN}-营销01"));
    assert_eq!(first, people(21..=30, "acme.example").lines().collect::<Vec<_>>());
}
