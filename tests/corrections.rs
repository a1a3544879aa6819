//! Corrections of the book: suppression taken back, shadows adopted, tags replaced, edges of the
//! calendar and of the clock.

#[path = "common/keeper.rs"]
mod keeper;

use keeper::{House, accepted, at, deferred, staff};
use serde_json::json;

const M05: &str = "英语-工程设备经销商-营销05";
const M06: &str = "英语-工程设备经销商-营销06";

fn one(address: &str) -> Vec<String> {
    vec![address.to_owned()]
}

#[test]
fn an_address_suppressed_before_it_was_known_is_a_newcomer_when_it_is_released() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    let suppress = |command: &str, target: &str| json!({ "command": command, "targets": [target], "reason": "list" });
    house.ask(suppress("suppress", "p02@one.example"));
    house.ask(suppress("suppress", "@two.example"));
    let first = house.import(M05, &staff("one", 3));
    assert_eq!((&first["new"], &first["suppressed"]), (&json!(2), &json!(1)), "{first}");
    let second = house.import(M05, &[staff("two", 1), one("a@sub.two.example")].concat());
    assert_eq!((&second["new"], &second["suppressed"]), (&json!(0), &json!(2)), "{second}");
    assert_eq!(house.ask(json!({ "command": "contacts" }))["contacts"], 2);
    house.ask(suppress("suppress-remove", "p02@one.example"));
    let third = house.import(M05, &staff("one", 3));
    assert_eq!((&third["new"], &third["known"]), (&json!(1), &json!(2)), "{third}");
    let shown = house.ask(json!({ "command": "show", "address": "p02@one.example" }));
    assert_eq!(shown["tags"], json!([M05]), "{shown}");
    house.restart();
    let plan = house.ask(json!({ "command": "plan", "list": true }));
    let ranks: Vec<u64> =
        plan.as_array().unwrap().iter().map(|line| line["rank"].as_u64().unwrap()).collect();
    assert_eq!(ranks.len(), 3, "{plan}");
    assert!(ranks.contains(&1) && ranks.contains(&2) && ranks.contains(&3), "{plan}");
    house.accept("2024-09-05T12:00");
    assert_eq!(house.got.len(), 3);
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn an_unsubscribe_outlives_the_release_of_its_domain() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    house.import(M05, &staff("one", 2));
    house.accept("2024-09-05T12:00");
    let order = |house: &mut House, command: &str, target: &str| {
        house.ask(json!({ "command": command, "targets": [target], "reason": "x" }))
    };
    order(&mut house, "suppress", "@one.example");
    let state = house.keeper().store.state();
    let ((due, tag), round) = state.rounds.iter().next().unwrap();
    let contact = round.done.iter().next().unwrap();
    let letter = tradewind::feedback::entry::LetterId { contact, tag: *tag, due: *due };
    let now = house.now;
    house.keeper().unsubscribed(letter, tradewind::feedback::entry::Via::OneClick, now).unwrap();
    house.keeper().store.commit().unwrap();
    order(&mut house, "suppress-remove", "@one.example");
    house.restart();
    house.accept("2024-10-05T21:00");
    assert_eq!(house.mailed("2024-10-05").len(), 1);
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn a_replaced_tag_is_a_correction_and_leaves_the_plan() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    house.import(M05, &staff("one", 2));
    house.now = at("2024-09-05T08:00");
    house.pass(0, &mut |_| accepted());
    let begin = json!({ "tag": M06, "mode": "update", "tags": "replace", "cap": 0 });
    let summary = house.import_with(begin, &staff("one", 1));
    assert_eq!(summary["updated"], 1, "{summary}");
    house.accept("2024-09-06T21:00");
    assert_eq!(house.mailed("2024-09-05"), ["p02@one.example".to_owned()].into());
    assert_eq!(house.mailed("2024-09-06"), ["p01@one.example".to_owned()].into());
    let shown = house.ask(json!({ "command": "show", "address": "p01@one.example" }));
    let kinds: Vec<&str> =
        shown["timeline"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"untagged"), "{kinds:?}");
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn carry_over_goes_out_on_the_31st_and_into_the_next_month() {
    let limits = [("company_per_day_max = 20", "company_per_day_max = 2")];
    let mut house = House::new("2024-08-30T07:00", &limits);
    house.import("英语-工程设备经销商-营销30", &staff("one", 5));
    house.accept("2024-09-02T21:00");
    for (day, count) in [("2024-08-30", 2), ("2024-08-31", 2), ("2024-09-01", 1)] {
        assert_eq!(house.mailed(day).len(), count, "{day}");
    }
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn a_day_cap_carries_too() {
    let limits = [("silent_gap_days_min = 21", "silent_gap_days_min = 21\nday_max = 3")];
    let mut house = House::new("2024-09-05T07:00", &limits);
    house.import(M05, &(1..=7).map(|n| format!("a@c{n}.example")).collect::<Vec<_>>());
    house.now = at("2024-09-05T08:00");
    house.pass(1, &mut |_| accepted());
    house.restart();
    house.accept("2024-09-07T21:00");
    for (day, count) in [("2024-09-05", 3), ("2024-09-06", 3), ("2024-09-07", 1)] {
        assert_eq!(house.mailed(day).len(), count, "{day}");
    }
}

#[test]
fn a_window_that_dst_skips_opens_at_the_next_minute() {
    let zone = [
        ("zone = \"Asia/Shanghai\"", "zone = \"Europe/Berlin\""),
        ("window = \"08:00-20:00\"", "window = \"02:30-02:45\""),
    ];
    // 02:30 does not exist on 31 March 2024, and the hours of that day are over before they begin.
    let mut house = House::new("2024-03-30T12:00", &zone);
    house.import("英语-工程设备经销商-阅读10", &staff("one", 2));
    house.import("英语-工程设备经销商-营销30", &staff("two", 2));
    house.accept("2024-04-02T23:00");
    // Tagged after the window of the 30th: carried over the 31st, out on the 1st.
    assert_eq!(house.mailed("2024-03-31").len() + house.mailed("2024-04-01").len(), 4);
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn a_letter_lives_two_days_and_then_expires() {
    let mut house = House::new("2024-09-05T08:00", &[]);
    house.import(M05, &staff("one", 1));
    house.live("2024-09-08T21:00", &mut |_| deferred());
    let days: std::collections::BTreeSet<_> = house.got.iter().map(|got| got.day).collect();
    assert!(days.len() <= 3 && house.got.len() > 5, "{}", house.got.len());
    let report = house.ask(json!({ "command": "report", "from": "2024-09-05" }));
    assert_eq!(report["totals"]["expired"], 1, "{report}");
    let messages: std::collections::BTreeSet<_> =
        house.got.iter().map(|got| got.message.as_str()).collect();
    assert_eq!(messages.len(), 1);
    assert_eq!(house.keeper().store.state().living.len(), 0);
    house.accept("2024-10-05T21:00");
    assert_eq!(house.mailed("2024-10-05").len(), 1);
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn an_earlier_day_writes_nothing_until_it_is_reached() {
    let mut house = House::new("2024-09-05T07:00", &[]);
    house.import(M05, &staff("one", 2));
    house.import(M06, &staff("two", 2));
    house.now = at("2024-09-06T09:00");
    let mut first = true;
    house.pass(2, &mut |_| if std::mem::take(&mut first) { deferred() } else { accepted() });
    house.now = at("2024-09-05T10:00");
    house.accept("2024-09-05T20:30");
    assert_eq!(house.got.len(), 2);
    house.now = at("2024-09-06T10:00");
    house.accept("2024-09-06T20:30");
    assert_eq!(house.violations(), json!([]));
}

#[test]
fn readers_move_after_hours_when_so_configured() {
    let promote = [("[cadence]", "[cadence]\npromote = \"after-hours:30\"")];
    let mut house = House::new("2024-09-05T07:00", &promote);
    house.import(M05, &staff("one", 1));
    house.accept("2024-09-05T12:00");
    let state = house.keeper().store.state();
    let ((due, tag), round) = state.rounds.iter().next().unwrap();
    let contact = round.done.iter().next().unwrap();
    let letter = tradewind::feedback::entry::LetterId { contact, tag: *tag, due: *due };
    let agent = "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0";
    let now = house.now;
    house.keeper().opened(letter, agent, false, now).unwrap();
    house.accept("2024-09-06T17:00");
    let tags = |house: &mut House| {
        let tags = house.ask(json!({ "command": "tags" }));
        tags["tags"]["英语-工程设备经销商-阅读05"].as_u64()
    };
    assert_eq!(tags(&mut house), None);
    house.accept("2024-09-06T18:30");
    assert_eq!(tags(&mut house), Some(1));
}
