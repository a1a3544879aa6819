//! What falls due on which day of the month: as planned, and with the days lived through.

use crate::stage::{EN, Stage};

/// The batches of a day's plan.
fn due(stage: &Stage, date: &str) -> Vec<String> {
    let plan = stage.ask(&["plan", "--date", date]);
    let due = plan["due"].as_array().unwrap().iter();
    due.map(|round| round["batch"].as_str().unwrap().replace(&format!("{EN}-"), "")).collect()
}

/// One contact, of a company of her own, in each batch.
fn one_in_each(stage: &Stage) {
    for (series, last) in [("营销", 30), ("阅读", 10)] {
        for no in 1..=last {
            let who = format!("{series}{no}@firm{no}.example").replace("营销", "m");
            let tag = format!("{EN}-{series}{no:02}");
            stage.import(&who.replace("阅读", "r"), &["--tag", &tag]);
        }
    }
}

/// The days on which a contact's letters were claimed.
fn days(stage: &Stage, address: &str) -> Vec<String> {
    let shown = stage.ask(&["show", address]);
    let claims = shown["timeline"].as_array().unwrap().iter();
    let claims = claims.filter(|event| event["kind"] == "claimed");
    claims.map(|event| event["day"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_plan_of_every_day_is_the_guides() {
    let stage = Stage::running("2024-01-01 09:00");
    one_in_each(&stage);
    // A leap year's February, and a month of thirty-one days.
    for (month, days) in [("2024-01", 31), ("2024-02", 29)] {
        for day in 1..=days {
            let date = format!("{month}-{day:02}");
            let mut expected = Vec::new();
            if day <= 30 {
                expected = vec![format!("营销{day:02}"), format!("阅读{:02}", (day - 1) % 10 + 1)];
            }
            assert_eq!(due(&stage, &date), expected, "{date}");
        }
    }
    assert_eq!(due(&stage, "2024-03-01"), ["营销01", "阅读01"], "February's 30 has no day");
}

#[test]
fn a_month_lived_through_writes_on_those_days_only() {
    let stage = Stage::running("2024-08-01 00:30");
    one_in_each(&stage);
    stage.to("2024-09-01 07:00");
    for (address, expected) in [
        ("m9@firm9.example", ["2024-08-09"].as_slice()),
        ("m30@firm30.example", &["2024-08-30"]),
        ("m1@firm1.example", &["2024-08-01"]),
        ("r9@firm9.example", &["2024-08-09", "2024-08-19", "2024-08-29"]),
        ("r1@firm1.example", &["2024-08-01", "2024-08-11", "2024-08-21"]),
        ("r10@firm10.example", &["2024-08-10", "2024-08-20", "2024-08-30"]),
    ] {
        assert_eq!(days(&stage, address), expected, "{address}");
    }
    assert_eq!(stage.letters().len(), 30 + 3 * 10);
    let last = stage.ask(&["report", "--date", "2024-08-31"]);
    assert_eq!(last["rounds"], serde_json::json!([]), "{last}");
    stage.is_clean();
}

#[test]
fn nobody_is_tagged_to_a_day_without_a_batch() {
    let stage = Stage::running("2024-08-31 09:00");
    for (series, expected) in [("营销", "营销01"), ("阅读", "阅读01")] {
        let summary = stage.import(
            &format!("ann@{}.example", if series == "营销" { "north" } else { "south" }),
            &["--tag", &format!("{EN}-{series}")],
        );
        assert_eq!(summary["placed"][format!("{EN}-{expected}")], 1, "{summary}");
    }
    stage.to("2024-08-31 23:00");
    assert_eq!(stage.letters().len(), 0, "nothing goes out on the 31st");
    stage.to("2024-09-01 09:00");
    assert_eq!(stage.letters().len(), 2);
    let today = stage.import("bob@west.example", &["--tag", &format!("{EN}-营销")]);
    assert_eq!(today["placed"][format!("{EN}-营销01")], 1, "{today}");
}
