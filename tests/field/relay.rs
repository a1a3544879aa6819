//! The same over SMTP, to a server that is not ours: caps, reading, and an unsubscribe between the
//! plan and the claim.

use std::process::Stdio;

use crate::stage::{EN, Stage, people};

const ANN: &str = "ann@acme.example";

#[test]
fn twenty_go_and_ten_are_carried() {
    let (stage, _) = Stage::relayed("2024-09-05 07:00");
    let all = people(1..=30, "acme.example");
    stage.import(&all, &["--tag", &format!("{EN}-营销05"), "--cap", "0"]);
    stage.to("2024-09-05 21:00");
    assert_eq!(stage.letters().len(), 20);
    stage.to("2024-09-06 21:00");
    let letters = stage.letters();
    let to: Vec<&str> = letters.iter().map(|letter| letter.to.as_str()).collect();
    assert_eq!(to, all.lines().collect::<Vec<_>>(), "each of them once");
    assert_eq!(stage.ask(&["status"])["accepted"], 10);
    stage.is_clean();
}

#[test]
fn a_reader_of_the_twenty_first_moves_to_the_first() {
    let (stage, _) = Stage::relayed("2024-09-21 07:00");
    stage.import(ANN, &["--tag", &format!("{EN}-营销21")]);
    stage.to("2024-09-21 09:00");
    stage.open(&stage.letter_to(ANN));
    stage.to("2024-09-23 00:00");
    assert_eq!(stage.tags(ANN), [format!("{EN}-营销21"), format!("{EN}-阅读01")]);
}

/// Ann has a letter from which she can unsubscribe, and her next one is ready to leave.
fn before_the_second_letter() -> (Stage, crate::post::Post) {
    let (stage, post) = Stage::relayed("2024-09-10 07:00");
    stage.import(ANN, &["--tag", &format!("{EN}-阅读10")]);
    stage.to("2024-09-20 07:59");
    assert_eq!(stage.letters().len(), 1);
    (stage, post)
}

/// She was not written to a second time, and everything says why.
fn left_in_peace(stage: &Stage, kinds: &[&str]) {
    assert_eq!(stage.letters().len(), 1);
    let shown = stage.ask(&["show", ANN]);
    let timeline = shown["timeline"].as_array().unwrap();
    let end: Vec<&str> = timeline
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .skip_while(|kind| *kind != "accepted")
        .skip(1)
        .filter(|kind| *kind != "tagged")
        .collect();
    assert_eq!(end, kinds, "{shown}");
    let withdrawn = timeline.iter().find(|event| event["kind"] == "withdrawn").unwrap();
    assert_eq!(withdrawn["reason"], "suppressed", "{withdrawn}");
    let suppressed = ("skip".to_owned(), "suppressed".to_owned());
    assert_eq!(stage.why(ANN, "2024-09-20"), suppressed);
    let status = stage.ask(&["status"]);
    assert_eq!((&status["withdrawn"], &status["planned"]), (&1.into(), &1.into()), "{status}");
    stage.to("2024-09-21 09:00");
    assert_eq!(stage.letters().len(), 1);
    assert_eq!(stage.why(ANN, "2024-09-20"), suppressed);
    stage.is_clean();
}

#[test]
fn an_unsubscribe_in_the_middle_of_the_conversation_stops_the_letter() {
    let (stage, post) = before_the_second_letter();
    let letter = stage.letter_to(ANN);
    let (asked, go) = post.wait(ANN);
    let mut clock = stage.command(&["clock", "--to", "2024-09-20T09:00:00+08:00"]);
    let mut clock = clock.stdout(Stdio::null()).spawn().unwrap();
    asked.recv().unwrap();
    stage.leave(&letter);
    go.send(()).unwrap();
    assert!(clock.wait().unwrap().success());
    left_in_peace(&stage, &["unsubscribed", "withdrawn"]);
}

#[test]
fn an_unsubscribe_before_a_further_attempt_ends_the_letter() {
    let (stage, post) = before_the_second_letter();
    post.later(ANN);
    stage.to("2024-09-20 08:01");
    let status = stage.ask(&["status"]);
    assert_eq!((&status["deferred"], &status["planned"]), (&1.into(), &1.into()), "{status}");
    stage.leave(&stage.letter_to(ANN));
    stage.to("2024-09-20 09:00");
    left_in_peace(&stage, &["claimed", "deferred", "unsubscribed", "withdrawn"]);
}

#[test]
fn who_is_to_come_later_gets_her_letter_once() {
    let (stage, post) = before_the_second_letter();
    post.later(ANN);
    stage.to("2024-09-20 08:01");
    assert_eq!(stage.why(ANN, "2024-09-20").1, "deferred");
    stage.to("2024-09-20 12:00");
    assert_eq!(stage.letters().len(), 2);
    assert_eq!(stage.why(ANN, "2024-09-20").1, "accepted");
    let (first, second) = (post.kept(), stage.timeline(ANN));
    assert_eq!(first.len(), 2);
    let end: Vec<&str> = second.iter().rev().take(4).map(String::as_str).collect();
    assert_eq!(end, ["accepted", "claimed", "deferred", "claimed"]);
    stage.is_clean();
}

#[test]
fn a_place_that_becomes_free_is_filled_again() {
    let (stage, post) = Stage::relayed("2024-09-05 07:00");
    let all = people(1..=30, "acme.example");
    stage.import(&all, &["--tag", &format!("{EN}-营销05"), "--cap", "0"]);
    let (asked, go) = post.wait("p007@acme.example");
    let mut clock = stage.command(&["clock", "--to", "2024-09-05T09:00:00+08:00"]);
    let mut clock = clock.stdout(Stdio::null()).spawn().unwrap();
    asked.recv().unwrap();
    stage.ask(&["suppress", "p007@acme.example", "--reason", "asked by phone"]);
    go.send(()).unwrap();
    assert!(clock.wait().unwrap().success());
    let to: Vec<String> = stage.letters().into_iter().map(|letter| letter.to).collect();
    let mut expected: Vec<&str> = all.lines().take(21).collect();
    expected.retain(|one| *one != "p007@acme.example");
    assert_eq!(to, expected);
    stage.to("2024-09-06 09:00");
    assert_eq!(stage.letters().len(), 29);
    stage.is_clean();
}

#[test]
fn a_stop_lets_conversations_end_and_the_rest_goes_later() {
    let (mut stage, post) = Stage::relayed("2024-09-05 07:00");
    let all = people(1..=20, "acme.example");
    stage.import(&all, &["--tag", &format!("{EN}-营销05"), "--cap", "0"]);
    let (asked, go) = post.wait("p001@acme.example");
    let mut clock = stage.command(&["clock", "--to", "2024-09-05T09:00:00+08:00"]);
    let mut clock = clock.stdout(Stdio::null()).spawn().unwrap();
    asked.recv().unwrap();
    stage.signal("TERM");
    go.send(()).unwrap();
    assert!(stage.ended().success());
    // Told to try again, unless it was through before.
    assert!(matches!(clock.wait().unwrap().code(), Some(0 | 75)));
    assert!(stage.letters().iter().any(|letter| letter.to == "p001@acme.example"));
    let status = stage.ask(&["status"]);
    assert_eq!(status["unknown"], 0, "{status}");
    stage.start("2024-09-05 10:00");
    stage.to("2024-09-05 11:00");
    let to: Vec<String> = stage.letters().into_iter().map(|letter| letter.to).collect();
    assert_eq!(to, all.lines().collect::<Vec<_>>(), "each of them once");
    stage.is_clean();
}
