//! What happens between the plan and the claim: an unsubscribe, a suppression, a tag.

use crate::stage::{EN, Stage};

/// Ann was written to in August's reading batch; on the 10th of September she is planned again,
/// and everything is held.
fn held() -> Stage {
    let stage = Stage::running("2024-08-31 07:00");
    let who = "ann@acme.example\nbob@acme.example\n";
    stage.import(who, &["--tag", &format!("{EN}-阅读10")]);
    stage.to("2024-09-10 09:00");
    assert_eq!(stage.letters().len(), 2);
    stage.to("2024-09-19 23:00");
    stage.ask(&["pause"]);
    stage.to("2024-09-20 09:00");
    let (send, reasons) = stage.plan("2024-09-20");
    assert_eq!((send, reasons.get("held")), (0, Some(&2)));
    stage
}

/// Lets the rest go, and sees that Bob was written to and Ann was not, for `reason`.
fn released(stage: &Stage, reason: &str) {
    stage.ask(&["resume"]);
    stage.to("2024-09-20 10:00");
    assert_eq!(stage.why("bob@acme.example", "2024-09-20").1, "accepted");
    assert_eq!(stage.letters().len(), 3);
    let skipped = ("skip".to_owned(), reason.to_owned());
    assert_eq!(stage.why("ann@acme.example", "2024-09-20"), skipped);
    stage.to("2024-09-21 09:00");
    assert_eq!(stage.why("ann@acme.example", "2024-09-20"), skipped, "of the day as recorded");
    stage.is_clean();
}

#[test]
fn an_unsubscribe_stops_the_letter() {
    let stage = held();
    let letter = stage.letter_to("ann@acme.example");
    stage.leave(&letter);
    stage.leave(&letter);
    let shown = stage.ask(&["show", "ann@acme.example"]);
    assert_eq!(shown["suppressed"], true, "{shown}");
    let gone = stage.timeline("ann@acme.example");
    assert_eq!(gone.iter().filter(|kind| *kind == "unsubscribed").count(), 1, "{gone:?}");
    released(&stage, "suppressed");
}

#[test]
fn a_suppression_stops_the_letter() {
    let stage = held();
    stage.ask(&["suppress", "ann@acme.example", "--reason", "asked by phone"]);
    released(&stage, "suppressed");
}

#[test]
fn an_inquiry_stops_the_letter() {
    let stage = held();
    stage.ask(&["tag", "ann@acme.example", "💬询盘"]);
    released(&stage, "view:意向客户");
}

#[test]
fn a_tag_taken_back_lets_her_go_again() {
    let stage = held();
    stage.ask(&["tag", "ann@acme.example", "💬询盘"]);
    stage.to("2024-09-20 09:30");
    let why = stage.why("ann@acme.example", "2024-09-20").1;
    assert_eq!(why, "view:意向客户");
    stage.ask(&["untag", "ann@acme.example", "💬询盘", "--reason", "mixed up"]);
    stage.ask(&["resume"]);
    stage.to("2024-09-30 10:00");
    assert_eq!(stage.why("ann@acme.example", "2024-09-30").1, "accepted");
}

#[test]
fn who_unsubscribes_after_a_refused_import_stays_out() {
    let stage = held();
    stage.leave(&stage.letter_to("ann@acme.example"));
    let again = stage.import("Ann@ACME.example", &["--tag", &format!("{EN}-营销21")]);
    assert_eq!((&again["suppressed"], &again["new"]), (&1.into(), &0.into()), "{again}");
    let lines = stage.lines(&["suppress", "list"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["address"], "ann@acme.example");
}
