//! Input that nobody here wrote: the maintainers of Debian's packages, and files as other tools
//! write them, by pipe through the real binary.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use common::{HOME, Place, skip, tool};
use serde_json::Value;

/// What comes out of a command.
fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Every `Name <address>` line a machine's own package lists hold.
#[test]
fn the_maintainers_of_debian() {
    let Some(apt) = tool("apt-cache") else {
        return skip("the_maintainers_of_debian", "no apt-cache: this is no Debian");
    };
    let available = String::from_utf8(output(Command::new(apt).arg("dumpavail"))).unwrap();
    let lines: Vec<&str> =
        available.lines().filter_map(|line| line.strip_prefix("Maintainer: ")).collect();
    if lines.len() < 1000 {
        return skip("the_maintainers_of_debian", "no package lists: run apt-get update");
    }
    let place = Place::new();
    place.ask(&["init"]);
    let words = ["import", "-", "--verdicts", "verdicts.csv"];
    let summary = place.ask_piped(&words, (lines.join("\n") + "\n").as_bytes());
    let count = |key: &str| usize::try_from(summary[key].as_u64().unwrap()).unwrap();
    assert_eq!(count("rows"), lines.len(), "{summary}");

    // What a reader with other eyes finds between the angle brackets, whatever the case.
    let one = |line: &&&str| line.matches('@').count() == 1 && line.contains('<');
    let plain = lines.iter().filter(one).filter_map(|line| {
        let (_, rest) = line.split_once('<')?;
        Some(rest.split_once('>')?.0.trim().to_lowercase())
    });
    let plain: BTreeSet<String> = plain.collect();
    assert!(plain.len() > 100, "{}", plain.len());
    let verdicts = std::fs::read_to_string(place.path("verdicts.csv")).unwrap();
    let judged: Vec<csv::StringRecord> =
        csv::Reader::from_reader(verdicts.as_bytes()).records().map(Result::unwrap).collect();
    assert_eq!(judged.len(), lines.len());
    for (line, row) in lines.iter().zip(&judged) {
        assert_eq!(&row[1], *line, "the verdicts are in order, and name what they judge");
        let refused = &row[2] == "invalid";
        assert!(!refused || !one(&line) || !row[3].is_empty(), "{row:?}");
        assert!(refused || line.matches('@').count() == 1, "{row:?}");
    }
    let refused = judged.iter().filter(|row| &row[2] == "invalid").count();
    assert!(refused * 100 < lines.len(), "{refused} of {} refused", lines.len());
    assert_eq!(count("new") + count("duplicate") + count("invalid"), lines.len(), "{summary}");
    // A few spell one mailbox twice, or are refused; no address was made up or dropped.
    let taken = count("new");
    assert!(taken <= plain.len() && taken + refused >= plain.len(), "{taken} of {}", plain.len());

    let (name, rest) = lines.iter().filter(one).find_map(|line| line.split_once(" <")).unwrap();
    let shown = place.ask(&["show", rest.split_once('>').unwrap().0]);
    assert!(!shown["timeline"].as_array().unwrap().is_empty(), "{name}: {shown}");
}

/// The same search in the encoding Chinese tools write, made by iconv.
#[test]
fn a_csv_by_iconv() {
    let Some(iconv) = tool("iconv") else { return skip("a_csv_by_iconv", "no iconv") };
    let sample = Path::new(HOME).join("config/sample-search.csv");
    let rows = |encoding: &str| {
        let place = Place::new();
        place.ask(&["init"]);
        let mut command = Command::new(&iconv);
        let bytes = output(command.args(["-f", "UTF-8", "-t", encoding]).arg(&sample));
        let words = ["import", "-", "--verdicts", "verdicts.csv"];
        let mut summary = place.ask_piped(&words, &bytes);
        summary["seconds"] = Value::Null;
        let verdicts = std::fs::read_to_string(place.path("verdicts.csv")).unwrap();
        (summary, verdicts, bytes)
    };
    let (summary, verdicts, bytes) = rows("UTF-8");
    assert!(summary["new"].as_u64().unwrap() > 50, "{summary}");
    for encoding in ["GB18030", "UTF-16LE", "UTF-16"] {
        let (other, other_verdicts, other_bytes) = rows(encoding);
        assert_ne!(bytes, other_bytes);
        assert_eq!((&other, &other_verdicts), (&summary, &verdicts), "{encoding}");
    }
}

/// A GB18030 CSV, and a workbook by openpyxl, as `tests/data` keeps them.
#[test]
fn files_of_other_tools() {
    for (file, new, known) in
        [("saved-search.gb18030.csv", 2, "安娜"), ("saved-search.xlsx", 3, "ann@acme.example")]
    {
        let place = Place::new();
        place.ask(&["init"]);
        let path = Path::new(HOME).join("tests/data").join(file);
        let summary = place.ask(&["import", path.to_str().unwrap()]);
        assert_eq!(summary["new"], new, "{file}: {summary}");
        let shown = place.ask(&["show", "ann@acme.example"]);
        assert!(shown.to_string().contains(known), "{file}: {shown}");
    }
}
