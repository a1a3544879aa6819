//! Who opens moves to the reading batch on the next Monday, and is written to every ten days.

use crate::stage::{BROWSER, EN, Stage};

const ANN: &str = "ann@acme.example";
const BOB: &str = "bob@acme.example";

/// On Saturday the 21st of September, 2024, both were written to in 营销21.
fn saturday() -> Stage {
    let stage = Stage::running("2024-09-21 07:00");
    stage.import(&format!("{ANN}\n{BOB}\n"), &["--tag", &format!("{EN}-营销21")]);
    stage.to("2024-09-21 08:00");
    assert_eq!(stage.letters().len(), 2);
    stage
}

fn tagged(stage: &Stage) -> Vec<String> {
    let tags = stage.tags(ANN).into_iter();
    tags.map(|tag| tag.replace(&format!("{EN}-"), "")).collect()
}

#[test]
fn who_opens_is_a_reader_from_monday_on() {
    let stage = saturday();
    stage.to("2024-09-21 09:00");
    let letter = stage.letter_to(ANN);
    stage.open(&letter);
    stage.open(&letter);
    assert!(stage.timeline(ANN).contains(&"opened".to_owned()));
    stage.to("2024-09-22 23:59");
    assert_eq!(tagged(&stage), ["营销21"]);
    stage.to("2024-09-23 00:00");
    assert_eq!(tagged(&stage), ["营销21", "阅读01"], "the marketing tag stays");
    assert_eq!(stage.tags(BOB), [format!("{EN}-营销21")]);

    // Reading on the 1st, 11th and 21st; the silent batch of the 21st leaves her out.
    stage.to("2024-10-21 21:00");
    for day in ["2024-10-01", "2024-10-11", "2024-10-21"] {
        let why = stage.ask(&["why", ANN, "--date", day]);
        assert_eq!(why["reason"], "accepted", "{why}");
        assert!(why["detail"].as_str().unwrap().contains("阅读01"), "{why}");
    }
    let silent = stage.lines(&["plan", "--date", "2024-10-21", "--list"]);
    let hers = silent.iter().filter(|line| line["address"] == ANN);
    let hers: Vec<(&str, Option<&str>)> =
        hers.map(|line| (line["batch"].as_str().unwrap(), line["reason"].as_str())).collect();
    let (silent, reading) = (format!("{EN}-营销21"), format!("{EN}-阅读01"));
    assert_eq!(hers, [(&*silent, Some("view:阅读客户")), (&*reading, None)]);
    let shown = stage.ask(&["show", ANN]);
    let reading = shown["timeline"].as_array().unwrap().iter().filter(|e| e["kind"] == "tagged");
    assert_eq!(reading.count(), 1, "{shown}");
    assert_eq!(stage.why(BOB, "2024-10-21").1, "accepted");
    stage.is_clean();
}

#[test]
fn a_reading_letter_opened_moves_nobody() {
    let stage = Stage::running("2024-09-12 07:00");
    stage.import(ANN, &["--tag", &format!("{EN}-阅读02")]);
    stage.to("2024-09-12 09:30");
    stage.open(&stage.letter_to(ANN));
    stage.to("2024-09-20 09:00");
    assert_eq!(tagged(&stage), ["阅读02"]);
}

#[test]
fn a_missed_monday_is_made_up_at_start() {
    let mut stage = saturday();
    stage.to("2024-09-21 09:00");
    stage.open(&stage.letter_to(ANN));
    stage.stop();
    assert_eq!(tagged(&stage), ["营销21"]);
    stage.start("2024-10-01 07:00");
    assert_eq!(tagged(&stage), ["营销21", "阅读01"]);
    stage.to("2024-10-01 09:00");
    assert_eq!(stage.why(ANN, "2024-10-01").1, "accepted", "before that day's plan");
    stage.is_clean();
}

#[test]
fn machines_and_strangers_move_nobody() {
    let stage = saturday();
    let letter = stage.letter_to(ANN);
    stage.open(&letter);
    stage.to("2024-09-21 09:00");
    assert_eq!(stage.http("HEAD", &letter.pixel, BROWSER), "HTTP/1.1 200 OK");
    let forged = letter.pixel.replacen("/o/AQ", "/o/Ag", 1);
    assert_eq!(stage.http("GET", &forged, BROWSER), "HTTP/1.1 200 OK");
    let shown = stage.ask(&["show", ANN]);
    let opened = shown["timeline"].as_array().unwrap().iter().filter(|e| e["kind"] == "opened");
    let classes: Vec<&str> = opened.map(|e| e["class"].as_str().unwrap()).collect();
    assert_eq!(classes, ["machine"], "at the very second of its acceptance");
    stage.to("2024-09-24 09:00");
    assert_eq!(tagged(&stage), ["营销21"]);
    // An open of any age counts; a week later she moves.
    stage.open(&letter);
    stage.to("2024-09-30 00:00");
    assert_eq!(tagged(&stage), ["营销21", "阅读01"]);
}
