//! The life of days as recipients see it: withdrawals, retries, restarts, corrections.

#[path = "common/keeper.rs"]
mod keeper;

use keeper::{House, accepted, at, deferred, staff};
use serde_json::json;
use tradewind::book::contact::Day;
use tradewind::book::tag::TagId;
use tradewind::desk::draft::Ready;
use tradewind::feedback::entry::LetterId;
use tradewind::store::facts::RoundState;

const M05: &str = "英语-工程设备经销商-营销05";
const M06: &str = "英语-工程设备经销商-营销06";
const M20: &str = "英语-工程设备经销商-营销20";
const M07: &str = "英语-工程设备经销商-营销07";

#[test]
fn a_withdrawal_between_plan_and_claim_is_no_violation() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    house.import(M05, &staff("one", 3));
    house.now = at("2024-09-05T08:00");
    house.pass(0, &mut |_| accepted());
    house.ask(json!({ "command": "suppress", "targets": ["p02@one.example"], "reason": "call" }));
    house.accept("2024-09-05T21:00");
    assert_eq!(house.mailed("2024-09-05").len(), 2);
    assert_eq!(house.violations(), json!([]));
    let status = house.ask(json!({ "command": "status" }));
    assert_eq!((&status["withdrawn"], &status["planned"]), (&json!(1), &json!(3)), "{status}");
    assert_eq!(house.why("p02@one.example", "2024-09-05"), ("skip".into(), "suppressed".into()));
}

#[test]
fn a_retry_that_must_wait_does_not_spin() {
    let mut house = House::new("2024-09-05T19:00", &[]);
    house.import(M05, &staff("one", 1));
    // Tried at the end of the day, and again on a day on which her company has had its letters.
    house.live("2024-09-05T19:40", &mut |_| deferred());
    house.import(M06, &(2..=30).map(|n| format!("p{n:02}@one.example")).collect::<Vec<_>>());
    house.live("2024-09-05T23:00", &mut |_| deferred());
    house.live("2024-09-06T08:00", &mut |ready| {
        if ready.to.starts_with("p01@") { deferred() } else { accepted() }
    });
    house.configure(&[("company_per_day_max = 20", "company_per_day_max = 1")]);
    house.reload();
    house.accept("2024-09-09T21:00");
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn a_retry_waits_for_a_place_of_its_company() {
    let limits = [("company_per_day_max = 20", "company_per_day_max = 2")];
    let mut house = House::new("2024-09-05T12:00", &limits);
    house.import(M05, &staff("one", 1));
    let mut first = |ready: &Ready| {
        if ready.to.starts_with("p01@") { deferred() } else { accepted() }
    };
    // Attempts at 12:00 … about 19:45; the next one falls into the next afternoon's window only
    // when the day's places are gone.
    house.live("2024-09-05T20:30", &mut first);
    house.import(M06, &staff("one", 5)[1..]);
    let until = |house: &mut House| {
        house.keeper().store.state().living.values().next().map(|living| living.until)
    };
    let due = until(&mut house);
    assert!(due.is_some());
    house.live("2024-09-07T07:00", &mut first);
    for day in ["2024-09-05", "2024-09-06"] {
        assert!(house.mailed(day).len() <= 2, "{day}");
    }
    house.accept("2024-09-12T21:00");
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn an_untagged_contact_is_in_no_plan() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    house.import(M05, &staff("one", 3));
    house.now = at("2024-09-05T08:00");
    house.pass(0, &mut |_| accepted());
    let untag = json!({ "command": "untag", "addresses": ["p02@one.example"], "tag": M05,
        "reason": "wrong" });
    house.ask(untag);
    house.accept("2024-09-05T12:00");
    assert_eq!(house.mailed("2024-09-05").len(), 2);
    let status = house.ask(json!({ "command": "status" }));
    assert_eq!(status["remaining"], 0, "{status}");
    assert_eq!(house.why("p02@one.example", "2024-09-05"), ("skip".into(), "not-due".into()));
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn a_letter_whose_tag_was_taken_back_ends() {
    let mut house = House::new("2024-09-05T09:00", &[]);
    house.import(M05, &staff("one", 1));
    house.live("2024-09-05T09:01", &mut |_| deferred());
    let untag = json!({ "command": "untag", "addresses": ["p01@one.example"], "tag": M05,
        "reason": "wrong" });
    house.ask(untag);
    house.accept("2024-09-05T12:00");
    let status = house.ask(json!({ "command": "status" }));
    assert_eq!((&status["withdrawn"], &status["deferred"]), (&json!(1), &json!(0)), "{status}");
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn a_retry_is_the_same_letter_to_the_last_byte() {
    let mut house = House::new("2024-09-05T09:00", &[]);
    house.import(M05, &staff("one", 8));
    let now = house.now;
    house.keeper().tick(now).unwrap();
    // Composed now, claimed a little later, as over a slow connection.
    let ready = house.hand_out(50);
    let claimed = now.plus_seconds(3);
    for one in &ready {
        house.keeper().claim(one.letter, claimed).unwrap().unwrap();
        house.keeper().settle(one.letter, true, deferred(), claimed).unwrap();
    }
    // A second variant comes, and a card changes.
    let templates = house.dir.path().join("templates");
    let file = templates.join("英语-工程设备经销商-营销.letter");
    let text = std::fs::read_to_string(&file).unwrap();
    let other = text.replace("Kind regards", "Best regards").replace("en-dealers", "en-b-dealers");
    std::fs::write(templates.join("a-other.letter"), other).unwrap();
    house.reload();
    house.accept("2024-09-05T12:00");
    assert_eq!(house.got.len(), 8);
    for got in &house.got {
        let before = ready.iter().find(|one| one.to == got.to).unwrap();
        assert_eq!(String::from_utf8_lossy(&before.message), got.message);
    }
}

#[test]
fn a_template_changed_between_composing_and_claiming_is_kept_as_it_was() {
    let mut house = House::new("2024-09-05T09:00", &[]);
    house.import(M05, &staff("one", 1));
    let now = house.now;
    house.keeper().tick(now).unwrap();
    let ready = house.hand_out(50);
    let file = house.dir.path().join("templates/英语-工程设备经销商-营销.letter");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("Kind regards", "Best regards")).unwrap();
    house.reload();
    for one in &ready {
        house.keeper().claim(one.letter, now).unwrap().unwrap();
        house.keeper().settle(one.letter, true, deferred(), now).unwrap();
    }
    house.accept("2024-09-05T12:00");
    assert_eq!(String::from_utf8_lossy(&ready[0].message), house.got[0].message);
}

#[test]
fn an_address_below_a_suppressed_domain_stays_suppressed() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    house.import(M05, &staff("one", 2));
    house.import(M05, &["a@sub.one.example".to_owned()]);
    let mut order = |command: &str, target: &str| {
        house.ask(json!({ "command": command, "targets": [target], "reason": "test" }))
    };
    order("suppress", "@one.example");
    order("suppress", "@sub.one.example");
    assert!(order("suppress-remove", "p01@one.example")["error"].is_string());
    order("suppress-remove", "@sub.one.example");
    house.accept("2024-09-05T12:00");
    assert!(house.got.is_empty(), "{:?}", house.got);
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn a_reader_of_an_audience_no_longer_declared_stops_nothing() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    house.import(M05, &staff("one", 1));
    house.import("法语-工程设备经销商-营销05", &staff("deux", 1));
    house.accept("2024-09-05T12:00");
    let rounds = &house.keeper().store.state().rounds;
    let letter = |((due, tag), round): (&(Day, TagId), &RoundState)| LetterId {
        contact: round.done.iter().next().unwrap(),
        tag: *tag,
        due: *due,
    };
    let letters: Vec<LetterId> = rounds.iter().map(letter).collect();
    let (now, agent) = (at("2024-09-05T13:00"), "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0");
    assert_eq!(letters.len(), 2);
    for letter in letters {
        house.keeper().opened(letter, agent, false, now).unwrap();
    }
    house.keeper().store.commit().unwrap();
    house.configure(&[(", \"法语-工程设备经销商\"]", "]")]);
    for file in ["营销", "阅读"] {
        let file = format!("templates/法语-工程设备经销商-{file}.letter");
        std::fs::remove_file(house.dir.path().join(file)).unwrap();
    }
    house.restart();
    house.accept("2024-09-09T12:00");
    let tags = house.ask(json!({ "command": "tags" }));
    assert_eq!(tags["tags"]["英语-工程设备经销商-阅读05"], 1, "{tags}");
}

#[test]
fn a_restart_in_the_middle_of_the_day_keeps_the_plan() {
    let limits = [("company_per_day_max = 20", "company_per_day_max = 5")];
    let mut house = House::new("2024-09-05T07:00", &limits);
    house.import(M05, &staff("one", 8));
    house.now = at("2024-09-05T08:00");
    house.pass(3, &mut |_| accepted());
    // One place is freed, and taken by who was capped; somebody is found during the day.
    house.ask(json!({ "command": "suppress", "targets": ["p05@one.example"], "reason": "call" }));
    house.import(M05, &staff("two", 2));
    house.accept("2024-09-05T09:00");
    let before = house.ask(json!({ "command": "plan" }));
    house.restart();
    let offline = house.ask(json!({ "command": "plan" }));
    assert_eq!(before, offline);
    house.accept("2024-09-05T10:00");
    let after = house.ask(json!({ "command": "plan" }));
    assert_eq!(before, after);
    assert_eq!(before["due"][0]["targets"], 10, "{before}");
    assert_eq!(before["due"][0]["send"], 7, "{before}");
    house.accept("2024-09-06T07:00");
    assert_eq!(house.ask(json!({ "command": "plan", "date": "2024-09-05" })), before);
}

#[test]
fn who_comes_after_the_window_waits_for_the_next_day() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    house.import(M05, &staff("one", 1));
    house.accept("2024-09-05T21:00");
    house.import(M05, &staff("two", 1));
    house.accept("2024-09-05T22:00");
    assert_eq!(house.why("p01@two.example", "2024-09-05"), ("skip".into(), "window".into()));
    let ahead = house.ask(json!({ "command": "plan", "date": "2024-09-06" }));
    assert_eq!(ahead["send"], 1, "{ahead}");
    house.accept("2024-09-06T21:00");
    assert_eq!(house.mailed("2024-09-06").len(), 1);
}

#[test]
fn a_lowered_cap_does_not_condemn_the_past() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    house.import(M05, &staff("one", 20));
    house.accept("2024-09-05T21:00");
    assert_eq!(house.mailed("2024-09-05").len(), 20);
    house.configure(&[("company_per_day_max = 20", "company_per_day_max = 3")]);
    house.reload();
    assert_eq!(house.violations(), json!([]));
    house.import(M06, &staff("two", 5));
    house.accept("2024-09-06T21:00");
    assert_eq!(house.mailed("2024-09-06").len(), 3);
    assert_eq!(house.violations(), json!([]));
    house.restart();
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn a_letter_that_cannot_be_written_says_no_template() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    let file = house.dir.path().join("templates/英语-工程设备经销商-营销.letter");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("Kind regards", "{{ machine }} regards")).unwrap();
    house.reload();
    house.import(M05, &staff("one", 2));
    house.accept("2024-09-05T12:00");
    assert!(house.got.is_empty());
    assert_eq!(house.why("p01@one.example", "2024-09-05"), ("skip".into(), "no-template".into()));
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn a_pause_of_days_carries_and_then_waits_for_the_next_round() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    house.import(M05, &staff("one", 1));
    house.import(M07, &staff("two", 1));
    house.ask(json!({ "command": "pause" }));
    house.accept("2024-09-13T09:00");
    assert!(house.got.is_empty());
    house.ask(json!({ "command": "resume" }));
    house.accept("2024-09-14T21:00");
    // The 5th lies eight days back and waits for October; the 7th is carried.
    assert_eq!(house.mailed("2024-09-13"), ["p01@two.example".to_owned()].into());
    house.accept("2024-10-06T21:00");
    assert_eq!(house.mailed("2024-10-05"), ["p01@one.example".to_owned()].into());
    assert_eq!(house.violations(), json!([]));
}

/// Every day of a month, as planned on its first day and as it then was.
#[test]
fn the_month_goes_as_it_was_planned_on_its_first_day() {
    let limits = [("company_per_day_max = 20", "company_per_day_max = 4")];
    let mut house = House::new("2024-08-25T07:00", &limits);
    let audience = "英语-工程设备经销商";
    // Letters of the week before, so that some have a gap, and readers among the silent.
    house.import("英语-工程设备经销商-营销27", &staff("old", 3));
    house.import("英语-工程设备经销商-阅读08", &staff("read", 6));
    house.accept("2024-08-31T23:00");
    for no in [1, 3, 4, 5, 9, 10, 28, 29, 30] {
        house.import(&format!("{audience}-营销{no:02}"), &staff("big", 9 + no));
        house.import(&format!("{audience}-营销{no:02}"), &staff(&format!("c{no}"), 3));
    }
    // Two batches each, in one series and in both; some tagged again within the gaps.
    house.import_with(
        json!({ "tag": format!("{audience}-营销06"), "cap": 0, "tags": "append" }),
        &staff("old", 3),
    );
    house.import_with(
        json!({ "tag": format!("{audience}-营销20"), "cap": 0, "tags": "append" }),
        &staff("c5", 3),
    );
    house.import_with(
        json!({ "tag": format!("{audience}-阅读05"), "cap": 0, "tags": "append" }),
        &staff("c9", 2),
    );
    house.import_with(json!({ "tag": "成交", "tags": "append" }), &staff("c28", 1));
    house.ask(json!({ "command": "suppress", "targets": ["p02@c29.example"], "reason": "call" }));
    house.accept("2024-09-01T07:00");
    let lines = |house: &mut House, date: &str| {
        let lines = house.ask(json!({ "command": "plan", "date": date, "list": true }));
        let line = |line: &serde_json::Value| {
            let word = |key: &str| line[key].as_str().unwrap_or("send").to_owned();
            (word("address"), word("batch"), word("reason"))
        };
        let mut lines: Vec<_> = lines.as_array().unwrap().iter().map(line).collect();
        lines.sort();
        lines
    };
    let dates: Vec<String> = (1..=30).map(|d| format!("2024-09-{d:02}")).collect();
    let planned: Vec<_> = dates.iter().map(|date| lines(&mut house, date)).collect();
    assert!(planned.iter().flatten().any(|(.., why)| why == "company-cap"));
    assert!(planned.iter().flatten().any(|(.., why)| why == "gap"));
    house.accept("2024-10-01T07:00");
    for (date, planned) in dates.iter().zip(planned) {
        assert_eq!(lines(&mut house, date), planned, "{date}");
        let send = planned.into_iter().filter(|(.., why)| why == "send");
        let send: std::collections::BTreeSet<String> = send.map(|(to, ..)| to).collect();
        assert_eq!(house.mailed(date), send, "{date}");
    }
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn a_plan_made_in_the_middle_of_a_day_counts_what_is_under_way() {
    let mut house = House::new("2024-09-05T09:00", &[]);
    house.import(M05, &staff("one", 1));
    house.import_with(json!({ "tag": M20, "cap": 0, "tags": "append" }), &staff("one", 1));
    house.live("2024-09-05T10:00", &mut |_| deferred());
    let october = house.ask(json!({ "command": "plan", "date": "2024-10-05" }));
    assert_eq!(october["due"][0]["send"], 1, "{october}");
    let soon = house.ask(json!({ "command": "plan", "date": "2024-09-20" }));
    assert_eq!(soon["reasons"], json!({ "gap": 1 }), "{soon}");
}

#[test]
fn missed_days_are_made_up_oldest_first() {
    let mut house = House::new("2024-09-03T07:00", &[]);
    house.import(M05, &staff("one", 15));
    house.import(M06, &staff("one", 30)[15..]);
    house.accept("2024-09-04T21:00");
    house.restart();
    // Nobody was at home on the 5th and 6th.
    house.now = at("2024-09-07T09:00");
    house.accept("2024-09-07T21:00");
    let first = house.mailed("2024-09-07");
    assert_eq!(first.len(), 20);
    assert!(staff("one", 15).iter().all(|address| first.contains(address)), "{first:?}");
    house.accept("2024-09-08T21:00");
    assert_eq!(house.mailed("2024-09-08").len(), 10);
    assert_eq!(house.why("p30@one.example", "2024-09-07"), ("skip".into(), "company-cap".into()));
    assert_eq!(house.why("p30@one.example", "2024-09-06"), ("skip".into(), "window".into()));
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn days_before_the_first_run_are_never_opened() {
    let mut house = House::new("2024-09-07T07:00", &[]);
    house.import(M05, &staff("one", 3));
    house.accept("2024-09-20T21:00");
    assert!(house.got.is_empty());
}

#[test]
fn restarts_at_every_step_lose_and_double_nobody() {
    let limits = [("company_per_day_max = 20", "company_per_day_max = 4")];
    let mut house = House::new("2024-09-05T08:00", &limits);
    house.import(M05, &staff("one", 10));
    house.import(M06, &staff("two", 6));
    let mut turn = 0;
    for day in 5..=9 {
        for hour in 8..=21 {
            house.now = at(&format!("2024-09-{day:02}T{hour:02}:00"));
            house.restart();
            house.pass(1, &mut |_| {
                turn += 1;
                if turn % 3 == 0 { deferred() } else { accepted() }
            });
        }
    }
    house.accept("2024-09-12T21:00");
    let mut all: Vec<&str> =
        house.got.iter().filter(|got| got.attempt == 1).map(|got| got.to.as_str()).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!((count, all.len()), (16, 16));
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn an_unknown_letter_is_not_sent_again_and_counts() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    house.import(M05, &staff("one", 1));
    house.now = at("2024-09-05T08:00");
    let now = house.now;
    house.keeper().tick(now).unwrap();
    let ready = house.hand_out(9);
    house.keeper().claim(ready[0].letter, now).unwrap().unwrap();
    house.keeper().store.commit().unwrap();
    house.restart();
    house.accept("2024-09-20T21:00");
    assert!(house.got.is_empty());
    assert_eq!(house.why("p01@one.example", "2024-09-05"), ("mailed".into(), "unknown".into()));
    assert_eq!(house.violations(), json!([]));
}

/// Hours without a night: a letter may wait in a slow queue over midnight, and be planned again.
#[test]
fn a_letter_handed_out_twice_over_midnight_leaves_once() {
    let hours = [("window = \"08:00-20:00\"", "window = \"00:00-24:00\"")];
    for suppressed in [false, true] {
        let mut house = House::new("2024-09-05T23:59", &hours);
        house.import(M05, &staff("one", 1));
        let now = house.now;
        house.keeper().tick(now).unwrap();
        let first = house.hand_out(9);
        house.now = at("2024-09-06T00:00");
        let now = house.now;
        house.keeper().tick(now).unwrap();
        let second = house.hand_out(9);
        assert_eq!((first.len(), second.len()), (1, 1));
        let letter = first[0].letter;
        house.keeper().claim(letter, now).unwrap().unwrap();
        let verdict = if suppressed { accepted() } else { deferred() };
        house.keeper().settle(letter, true, verdict, now).unwrap();
        if suppressed {
            let one = ["p01@one.example"];
            house.ask(json!({ "command": "suppress", "targets": one, "reason": "call" }));
        }
        assert!(house.keeper().claim(letter, now).unwrap().is_err());
        assert_eq!(house.why("p01@one.example", "2024-09-06").0, "mailed");
        let plan = house.ask(json!({ "command": "plan", "date": "2024-09-06" }));
        assert_eq!((&plan["send"], &plan["reasons"]), (&json!(1), &json!({})), "{plan}");
        house.accept("2024-09-06T12:00");
        assert_eq!(house.got.len(), usize::from(!suppressed));
        assert_eq!(house.violations(), json!([]));
    }
}

#[test]
fn a_batch_held_in_the_middle_of_the_day_comes_to_rest_and_goes_on() {
    let mut house = House::new("2024-09-05T08:00", &[]);
    house.import(M05, &staff("one", 3));
    let mut first = true;
    house.pass(1, &mut |_| if std::mem::take(&mut first) { deferred() } else { accepted() });
    house.ask(json!({ "command": "hold", "batch": M05, "reason": "price list" }));
    house.accept("2024-09-05T12:00");
    assert_eq!(house.got.len(), 1);
    assert_eq!(house.why("p03@one.example", "2024-09-05"), ("skip".into(), "held".into()));
    house.ask(json!({ "command": "release", "batch": M05 }));
    house.accept("2024-09-05T20:00");
    assert_eq!(house.mailed("2024-09-05").len(), 3);
    assert_eq!(house.got.len(), 4);
    assert_eq!(house.violations(), json!([]));
}
