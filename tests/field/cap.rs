//! Twenty letters a day to a company, the rest on following days, and nobody forgotten.

use std::collections::BTreeMap;

use crate::stage::{EN, Stage, people};

/// How many letters were claimed on each day.
fn by_day(stage: &Stage, addresses: &str) -> BTreeMap<String, u32> {
    let mut days = BTreeMap::new();
    for address in addresses.lines() {
        let shown = stage.ask(&["show", address]);
        for event in shown["timeline"].as_array().unwrap() {
            if event["kind"] == "claimed" {
                *days.entry(event["day"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
    days
}

#[test]
fn thirty_due_on_one_day_are_twenty_and_ten() {
    let stage = Stage::running("2024-09-05 07:00");
    let all = people(1..=30, "acme.example");
    let tag = format!("{EN}-营销05");
    let summary = stage.import(&all, &["--tag", &tag, "--cap", "0"]);
    assert_eq!(summary["new"], 30, "{summary}");
    let (send, reasons) = stage.plan("2024-09-05");
    assert_eq!((send, reasons.get("company-cap")), (20, Some(&10)));
    assert_eq!(stage.plan("2024-09-06").0, 10, "the plan of tomorrow knows what is carried");

    stage.to("2024-09-05 21:00");
    assert_eq!(stage.letters().len(), 20);
    assert_eq!(stage.why("p020@acme.example", "2024-09-05").1, "accepted");
    let capped = ("skip".to_owned(), "company-cap".to_owned());
    assert_eq!(stage.why("p021@acme.example", "2024-09-05"), capped);

    stage.to("2024-09-06 12:00");
    assert_eq!(stage.letters().len(), 30);
    let status = stage.ask(&["status"]);
    assert_eq!((&status["accepted"], &status["planned"]), (&10.into(), &10.into()), "{status}");
    let plan = stage.ask(&["plan"]);
    let round = &plan["due"][0];
    assert_eq!((&round["batch"], &round["due"]), (&tag.into(), &"2024-09-05".into()), "{plan}");
    assert_eq!(stage.why("p021@acme.example", "2024-09-06").1, "accepted");
    // The day that was is as it was recorded.
    assert_eq!(stage.plan("2024-09-05").0, 20);
    stage.to("2024-09-12 21:00");
    assert_eq!(stage.letters().len(), 30);
    stage.is_clean();
}

#[test]
fn three_hundred_of_one_company_are_all_written_in_two_rounds() {
    let mut stage = Stage::running("2024-09-01 07:00");
    let all = people(1..=300, "acme.example");
    stage.import(&all, &["--tag", &format!("{EN}-营销01"), "--cap", "0"]);
    // Its own day and seven of carry-over.
    stage.to("2024-09-30 23:00");
    assert_eq!(stage.letters().len(), 160);
    let waits = ("skip".to_owned(), "not-due".to_owned());
    assert_eq!(stage.why("p300@acme.example", "2024-09-09"), waits);
    stage.to("2024-10-31 23:00");
    // 140 who were never written to come first; then twenty of those who were.
    let letters = stage.letters();
    assert_eq!(letters.len(), 320);
    let names: std::collections::BTreeSet<&str> =
        letters.iter().map(|letter| letter.to.as_str()).collect();
    assert_eq!(names.len(), 300);
    stage.is_clean();
    stage.stop();
    let days = by_day(&stage, &people(1..=20, "acme.example"));
    assert_eq!(days, [("2024-09-01".to_owned(), 20), ("2024-10-08".to_owned(), 20)].into());
}

#[test]
fn caps_of_several_batches_are_one_and_the_carried_go_first() {
    let stage = Stage::running("2024-09-05 07:00");
    let first = people(1..=25, "acme.example");
    let second = people(101..=125, "acme.example");
    stage.import(&first, &["--tag", &format!("{EN}-营销05"), "--cap", "0"]);
    stage.import(&second, &["--tag", &format!("{EN}-营销06"), "--cap", "0"]);
    stage.to("2024-09-08 12:00");
    let written = by_day(&stage, &(first + &second));
    let day = |d: u32, n: u32| (format!("2024-09-{d:02}"), n);
    assert_eq!(written, [day(5, 20), day(6, 20), day(7, 10)].into());
    for address in ["p021@acme.example", "p025@acme.example"] {
        assert_eq!(stage.why(address, "2024-09-06").1, "accepted", "{address}");
    }
    stage.is_clean();
}
