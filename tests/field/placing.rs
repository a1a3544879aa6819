//! Where newcomers go: caps, spreading, ranks, as the field guide's tables have it.

use crate::stage::{EN, FR, Stage, people};

#[test]
fn fifty_eight_addresses_spread_as_the_guide_has_it() {
    let stage = Stage::running("2024-07-05 09:00");
    let from = format!("{FR}-营销05");
    let summary = stage.import(&people(1..=58, "grande.example"), &["--tag", &from, "--spread"]);
    assert_eq!((&summary["rows"], &summary["new"]), (&58.into(), &58.into()), "{summary}");
    let table =
        [(5, 1..=10), (6, 11..=20), (7, 21..=30), (8, 31..=40), (9, 41..=50), (10, 51..=58)];
    assert_eq!(summary["placed"].as_object().unwrap().len(), table.len(), "{summary}");
    for (no, ranks) in table {
        let tag = format!("{FR}-营销{no:02}");
        let expected: Vec<String> =
            people(ranks, "grande.example").lines().map(Into::into).collect();
        assert_eq!(stage.holders(&tag), expected, "{tag}");
        assert_eq!(summary["placed"][&tag], expected.len(), "{summary}");
    }
}

#[test]
fn a_higher_cap_takes_the_next_ranks() {
    let stage = Stage::running("2024-07-05 09:00");
    let all = people(1..=58, "grande.example");
    for (no, cap, took) in [(5, "10", 1..=10), (6, "20", 11..=20), (7, "30", 21..=30)] {
        let tag = format!("{FR}-营销{no:02}");
        let summary = stage.import(&all, &["--tag", &tag, "--cap", cap]);
        let known = took.start() - 1;
        let over = 58 - took.end();
        assert_eq!(
            (&summary["new"], &summary["known"], &summary["over_cap"]),
            (&10.into(), &known.into(), &over.into()),
            "{summary}"
        );
        let expected: Vec<String> =
            people(took, "grande.example").lines().map(Into::into).collect();
        assert_eq!(stage.holders(&tag), expected, "{tag}");
    }
}

#[test]
fn exact_and_ordinary_addresses_are_counted_apart() {
    let stage = Stage::running("2024-07-05 09:00");
    let mut csv = "邮箱,类型\n".to_owned();
    for n in 1..=15 {
        csv += &format!("exact{n:02}@acme.example,精准\nplain{n:02}@acme.example,普通\n");
    }
    let tag = format!("{EN}-营销05");
    let summary = stage.import(&csv, &["--tag", &tag]);
    assert_eq!((&summary["new"], &summary["over_cap"]), (&20.into(), &10.into()), "{summary}");
    let holders = stage.holders(&tag);
    for kind in ["exact", "plain"] {
        let of_kind = holders.iter().filter(|one| one.starts_with(kind)).count();
        assert_eq!(of_kind, 10, "{holders:?}");
        assert!(!holders.contains(&format!("{kind}11@acme.example")), "{holders:?}");
    }
    let next = stage.import(&csv, &["--tag", &format!("{EN}-营销06"), "--cap", "20"]);
    assert_eq!((&next["new"], &next["known"]), (&10.into(), &20.into()), "{next}");
}

#[test]
fn people_at_a_mail_service_are_no_colleagues() {
    let stage = Stage::running("2024-07-05 09:00");
    let tag = format!("{EN}-营销05");
    let summary = stage.import(&people(1..=10, "gmail.com"), &["--tag", &tag, "--cap", "1"]);
    assert_eq!((&summary["new"], &summary["over_cap"]), (&10.into(), &0.into()), "{summary}");
    let companies: std::collections::BTreeSet<String> = stage
        .lines(&["contacts", "--tag", &tag, "--list"])
        .iter()
        .map(|one| one["company"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(companies.len(), 10, "{companies:?}");
    // The same cap at a company takes one.
    let firm = stage.import(&people(1..=10, "acme.example"), &["--tag", &tag, "--cap", "1"]);
    assert_eq!((&firm["new"], &firm["over_cap"]), (&1.into(), &9.into()), "{firm}");
}
