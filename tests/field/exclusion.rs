//! The guide's own example: the first of September 2024, silent and reading, with what each leaves
//! out.

use crate::stage::{EN, FR, Stage};

#[test]
fn the_first_of_september_goes_as_the_guide_shows() {
    let stage = Stage::running("2024-09-01 07:00");
    let silent = "silent@a.example\nreader@b.example\nasks@c.example\nrival@d.example\n\
                  noreply@e.example\nann@firm.cn\nann@mit.edu\nsales@f.example\ninfo@g.example\n";
    stage.import(silent, &["--tag", &format!("{EN}-营销01")]);
    let readers = "reads@h.example\nbuys@i.example\nleft@j.example\nhr@k.example\n";
    stage.import(readers, &["--tag", &format!("{EN}-阅读01")]);
    stage.import("jean@l.example\n", &["--tag", &format!("{FR}-营销01")]);
    stage.import("marie@m.example\n", &["--tag", &format!("{FR}-阅读01")]);
    stage.import("demain@n.example\n", &["--tag", &format!("{FR}-营销02")]);
    let reading = format!("{EN}-阅读05");
    for (address, tag) in [
        ("reader@b.example", reading.as_str()),
        ("asks@c.example", "💬询盘"),
        ("rival@d.example", "❌同行"),
        ("buys@i.example", "💰成交"),
        ("left@j.example", "🚫退订"),
    ] {
        assert_eq!(stage.ask(&["tag", address, tag])["tagged"], 1, "{address}");
    }
    stage.to("2024-09-01 12:00");

    let letters = stage.letters();
    let to: Vec<&str> = letters.iter().map(|letter| letter.to.as_str()).collect();
    let expected = [
        "info@g.example",
        "jean@l.example",
        "marie@m.example",
        "reads@h.example",
        "sales@f.example",
        "silent@a.example",
    ];
    assert_eq!(to, expected);
    let subject = |to: &str| stage.letter_to(to).subject;
    let four = ["silent@a.example", "reads@h.example", "jean@l.example", "marie@m.example"];
    let subjects: std::collections::BTreeSet<String> = four.map(subject).into();
    assert_eq!(subjects.len(), 4, "each audience and series has its own letter: {subjects:?}");

    for (address, reason) in [
        ("reader@b.example", "view:阅读客户"),
        ("asks@c.example", "view:意向客户"),
        ("rival@d.example", "view:风险客户"),
        ("noreply@e.example", "view:不发邮箱"),
        ("ann@firm.cn", "view:不发邮箱"),
        ("ann@mit.edu", "view:不发邮箱"),
        ("buys@i.example", "view:意向客户"),
        ("left@j.example", "view:风险客户"),
        ("hr@k.example", "view:不发邮箱"),
        ("demain@n.example", "not-due"),
    ] {
        let skip = ("skip".to_owned(), reason.to_owned());
        assert_eq!(stage.why(address, "2024-09-01"), skip, "{address}");
    }
    let plan = stage.ask(&["plan"]);
    let rounds: Vec<(String, u64, u64)> = plan["due"]
        .as_array()
        .unwrap()
        .iter()
        .map(|round| {
            let count = |key: &str| round[key].as_u64().unwrap();
            (round["batch"].as_str().unwrap().to_owned(), count("targets"), count("send"))
        })
        .collect();
    for (batch, targets, send) in [
        (format!("{EN}-营销01"), 9, 3),
        (format!("{EN}-阅读01"), 4, 1),
        (format!("{FR}-营销01"), 1, 1),
        (format!("{FR}-阅读01"), 1, 1),
    ] {
        assert!(rounds.contains(&(batch.clone(), targets, send)), "{batch}: {plan}");
    }
    assert_eq!(rounds.len(), 4, "{plan}");
    stage.is_clean();
}
