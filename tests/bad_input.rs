//! Bad input, as people really have it: every one is answered by what is wrong, where, and what to
//! do, with the right exit code; nothing is half done and nothing panics.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use common::Place;
use serde_json::{Value, json};

const CONFIG: &str = "quickstart.toml";
const LETTER: &str = "templates/英语-工程设备经销商-营销.letter";
const TAG: &str = "英语-工程设备经销商-营销05";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A command that fails, for people: the message and the fix.
fn failure(what: &str, output: &Output, code: i32) -> (String, String) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{what}: {said}{}", text(&output.stdout));
    assert!(!said.contains("panicked"), "{what}: {said}");
    assert!(output.stdout.is_empty(), "{what}: {}", text(&output.stdout));
    let said = said.strip_prefix("tradewind: ").unwrap_or_else(|| panic!("{what}: {said}"));
    let (message, fix) = said.split_once("\n  fix: ").unwrap_or_else(|| panic!("{what}: {said}"));
    assert!(!fix.trim().is_empty(), "{what}: {said}");
    (message.to_owned(), fix.to_owned())
}

/// A saved search that cannot be read at all: nothing of it may stay.
#[test]
fn inputs_that_are_no_saved_search() {
    let place = Place::new();
    place.ask(&["init"]);
    place.write("verdicts.csv", "of the import before\n");
    fs::create_dir(place.path("folder")).unwrap();
    let binary: Vec<u8> = (0..4000_u32).map(|n| u8::try_from(n * 7 % 256).unwrap()).collect();
    let endless = "x".repeat(3_000_000);
    let workbook = fs::read(format!("{}/tests/data/saved-search.xlsx", common::HOME)).unwrap();
    for (name, input, code, message, fix) in [
        ("none", &b""[..], 65, "input: the input is empty", "the command before the pipe"),
        ("blanks", b" \n\n", 65, "the input is empty", "the command before the pipe"),
        ("binary", &binary, 65, "the input is binary", "save it as CSV (UTF-8)"),
        ("header", b"name,city\nAnn,Lyon\n", 65, "line 1: no column of addresses", "HEADER=email"),
        ("headless", b"a@b.example,Ann\n", 65, "line 1 holds an address", "email,name,company"),
        ("endless", endless.as_bytes(), 65, "line 1: the header cannot be read", "end the line"),
        ("array", b"[{\"email\":\"a@b.example\"}]", 65, "one JSON array", "one object per line"),
        ("cut xlsx", &workbook[..3000], 65, "the XLSX cannot be read", "convert it to CSV"),
    ] {
        let output = place.piped(&["import", "-", "--verdicts", "verdicts.csv"], input);
        let (said, told) = failure(name, &output, code);
        assert!(said.starts_with("standard input: ") && said.contains(message), "{name}: {said}");
        assert!(told.contains(fix), "{name}: {told}");
    }
    for (file, message) in
        [("folder", "folder: is a directory"), ("absent.csv", "absent.csv: No such file")]
    {
        let output = place.command(&["import", file]).output().unwrap();
        let (said, _) = failure(file, &output, 66);
        assert!(said.contains(message), "{file}: {said}");
    }
    untouched(&place);
}

/// Nobody came in, no import was noted, and the file of verdicts is as it was.
fn untouched(place: &Place) {
    assert_eq!(place.ask(&["imports"]), json!({"imports": []}), "an import began");
    assert_eq!(place.ask(&["check"]).get("contacts"), Some(&json!(0)));
    assert_eq!(fs::read_to_string(place.path("verdicts.csv")).unwrap(), "of the import before\n");
}

#[test]
fn orders_that_make_no_sense() {
    let place = Place::new();
    place.ask(&["init"]);
    place.write("verdicts.csv", "of the import before\n");
    let row = b"email\nann@acme.example\n";
    for (words, code, message, fix) in [
        (&["--tag", "新标签"][..], 65, "tag \"新标签\" is not declared", "[tags.groups]"),
        (
            &["--tag", "德语-工程设备经销商-营销05"],
            65,
            "德语-工程设备经销商 is not declared",
            "audiences",
        ),
        (&["--tag", "英语-工程设备经销商-营销99"], 65, "no batch 99, the cycle ends at 30", "tag"),
        (&["--tag", "英语-工程设备经销商-营销5"], 65, "two digits", "tag"),
        (&["--map", "Kontakt=email"], 65, "mapping Kontakt: no such column among email", "header"),
        (&["--map", "email=emial"], 65, "there is no field \"emial\"", "use email, name"),
        (&["--verdicts", "absent/v.csv"], 73, "absent/v.csv: No such file", "may write"),
        (&["--verdicts", "templates"], 73, "templates: Is a directory", "may write"),
    ] {
        let own = words.contains(&"--verdicts");
        let usual: &[&str] = if own { &[] } else { &["--verdicts", "verdicts.csv"] };
        let words = [&["import", "-"], usual, words].concat();
        let (said, told) = failure(&words.join(" "), &place.piped(&words, row), code);
        assert!(said.contains(message), "{words:?}: {said}");
        assert!(told.contains(fix), "{words:?}: {told}");
    }
    for (words, said) in [
        (&["import", "--cap", "-1"][..], "'-1' for '--cap <N>'"),
        (&["import", "--cap", "many"], "'many' for '--cap <N>'"),
        (&["plan", "--date", "2024-13-01"], "YYYY-MM-DD"),
        (&["run", "--clock", "noon"], "RFC 3339"),
        (&["run", "--clock", "2024-09-05T09:00:00+08:00", "--clock-speed", "-3"], "--clock-speed"),
        (&["sink", "letters", "--port", "-1"], "--port"),
    ] {
        let output = place.command(words).output().unwrap();
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{words:?}: {told}");
        assert!(told.contains(said), "{words:?}: {told}");
        let output = place.command(words).arg("--json").output().unwrap();
        let error: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(error["error"]["code"], 64, "{error}");
    }
    untouched(&place);
}

/// A bad row costs itself and is told with its line; the rows around it come in.
#[test]
fn rows_that_are_broken() {
    let long = format!("email,name\nbob@b.example,{}\ncyd@c.example,Cyd\n", "x".repeat(1_100_000));
    for (name, input, new, invalid, said) in [
        (
            "cut in a quote",
            "email,name\nann@a.example,Ann\nbob@b.example,\"Bo",
            1,
            1,
            "3: a quote opens",
        ),
        ("cut in a row", "email,name,city\nann@a.example,A,B\nbob@b.ex", 1, 1, "3: 1 fields where"),
        ("a line of 1 MB", &long, 1, 1, "2: longer than 1048576 bytes"),
        ("no address", "email\nann@a.example\nAnn Lee\n", 1, 1, "3: no @"),
        (
            "a bad kind",
            "email,类型\nann@a.example,别的\n",
            0,
            1,
            "2: column 类型: \"别的\" is no kind",
        ),
        ("broken JSON", "{\"email\":\"a@b.example\"}\n{\"email\":\n", 1, 1, "2: no JSON object"),
    ] {
        let place = Place::new();
        place.ask(&["init"]);
        place.write("list.csv", input);
        let words = ["import", "list.csv", "--verdicts", "verdicts.csv", "--json"];
        let output = place.command(&words).output().unwrap();
        let told = text(&output.stderr);
        // All of it bad is a bad finding; some of it is told, and the rest taken.
        assert_eq!(output.status.code(), Some(i32::from(new == 0)), "{name}: {told}");
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&summary["new"], &summary["invalid"]),
            (&new.into(), &invalid.into()),
            "{name}"
        );
        assert!(told.contains(&format!("tradewind: list.csv:{said}")), "{name}: {told}");
        let verdicts = fs::read_to_string(place.path("verdicts.csv")).unwrap();
        assert!(verdicts.contains(",invalid,"), "{name}: {verdicts}");
    }
}

#[test]
fn many_bad_rows_are_told_in_few_words() {
    let place = Place::new();
    place.ask(&["init"]);
    let input = "email\nann@a.example\n".to_owned() + &"nobody\n".repeat(5000);
    let output = place.piped(&["import", "-"], input.as_bytes());
    let told = text(&output.stderr);
    assert_eq!((output.status.code(), told.lines().count()), (Some(0), 6), "{told}");
    assert!(told.starts_with("tradewind: standard input:3: no @"), "{told}");
    assert!(told.contains("4995 more invalid rows; --verdicts FILE"), "{told}");
}

/// File, text to find, text to put there, place told, part of the message, part of the fix.
const WRONG: &[[&str; 6]] = &[
    [
        CONFIG,
        "company_per_day_max",
        "company_per_day_mx",
        "33:1",
        "\"limits.company_per_day_mx\"",
        "\"company_per_day_max\"?",
    ],
    [CONFIG, "[http]", "[htpp]", "22:2", "no key \"htpp\"", "\"http\"?"],
    [
        CONFIG,
        "tag_group = \"intention\"",
        "tag_grup = \"x\"",
        "51:1",
        "no condition \"tag_grup\"",
        "\"tag_group\"?",
    ],
    [CONFIG, "starts_with", "start_with", "60:17", "\"start_with\"", "\"starts_with\"?"],
    [
        CONFIG,
        "max = 20",
        "max = \"20\"",
        "33:23",
        "limits.company_per_day_max: ",
        "from 0 to 4294967295",
    ],
    [
        CONFIG,
        "max = 20",
        "max = -1",
        "33:23",
        "limits.company_per_day_max: ",
        "from 0 to 4294967295",
    ],
    [
        CONFIG,
        "Asia/Shanghai",
        "Asia/Shangai",
        "5:8",
        "no time zone \"Asia/Shangai\"",
        "\"Asia/Shanghai\"?",
    ],
    [CONFIG, "zone = ", "# ", "1:1", "\"zone\" is missing", "zone = "],
    [CONFIG, "[cadence]", "[cadence", "27:9", "unclosed table", "]"],
    [
        CONFIG,
        "[cadence]",
        "[cadence]\nmode = \"daily\"",
        "28:8",
        "cadence.mode: \"daily\"",
        "calendar, rolling",
    ],
    [
        CONFIG,
        "silent = [\"阅读客户\"",
        "silent = [\"阅读客人\"",
        "69",
        "view \"阅读客人\"",
        "\"阅读客户\"?",
    ],
    [
        CONFIG,
        "{ tag_group = \"do-not-send\" }",
        "{ view = \"无\" }",
        "64:12",
        "view \"无\"",
        "[[views]]",
    ],
    [
        CONFIG,
        "transport = \"maildir\"",
        "transport = \"smtp\"",
        "16:13",
        "transport: \"smtp\"",
        "maildir, relay",
    ],
    [
        CONFIG,
        "transport = \"maildir\"",
        "transport = \"relay\"",
        "16",
        "without a [[relay]]",
        "host",
    ],
    [CONFIG, "\"templates\"", "\"tmplates\"", "12", "tmplates cannot be read: No such", "*.letter"],
    [CONFIG, "08:00-20:00", "8-20", "29", "cadence.window = \"8-20\"", "09:00-18:00"],
    [CONFIG, "@tradewind.example", "@", "20", "sender.address", "ann@acme.example"],
    [CONFIG, "127.0.0.1:0", "localhost", "25:10", "http.listen", "127.0.0.1:8025"],
    [
        CONFIG,
        "\"英语-工程设备经销商\", ",
        "\"英语\", ",
        "9",
        "audiences: \"英语\"",
        "{language}-{name}",
    ],
    [LETTER, "series =", "serie =", "", "serie", "series"],
    [LETTER, "Dear {{ name", "Dear {{ name {{", "", "syntax error", "line"],
];

#[test]
fn configurations_that_are_wrong() {
    for [file, from, to, spot, message, fix] in WRONG.iter().copied() {
        let place = Place::new();
        place.ask(&["init"]);
        place.edit(file, from, to);
        let output = place.command(&["check"]).output().unwrap();
        let (said, told) = failure(to, &output, 78);
        let start = if file == CONFIG { format!("{file}:{spot}: ") } else { file.to_owned() };
        assert!(said.starts_with(&start), "{to}: {said}");
        assert!(said.matches(file).count() == 1, "{to}: {said}");
        assert!(said.contains(message), "{to}: {said}");
        assert!(told.contains(fix), "{to}: {told}");
    }
}

#[test]
fn files_that_cannot_be_configurations() {
    for (file, bytes, message) in [
        (CONFIG, Some(&b"zone = \"UTC\"\n\xFF\xFE"[..]), "quickstart.toml:2: this is no UTF-8"),
        (LETTER, Some(b"+++\n\xFF\n+++\n"), "营销.letter:2: this is no UTF-8"),
        (LETTER, Some(b""), "营销.letter:1: "),
        (LETTER, None, "营销.letter: cannot be read: Is a directory"),
        (CONFIG, None, "quickstart.toml: cannot be read: Is a directory"),
    ] {
        let place = Place::new();
        place.ask(&["init"]);
        fs::remove_file(place.path(file)).unwrap();
        match bytes {
            Some(bytes) => place.write(file, bytes),
            None => fs::create_dir(place.path(file)).unwrap(),
        }
        let (said, _) = failure(message, &place.command(&["check"]).output().unwrap(), 78);
        assert!(said.contains(message), "{said}");
    }
}

#[test]
fn a_port_in_use() {
    let place = Place::new();
    place.ask(&["init"]);
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = held.local_addr().unwrap().to_string();
    place.edit(CONFIG, "127.0.0.1:0", &addr);
    let output = place.command(&["run", "--clock", "2024-09-05T09:00:00+08:00"]).output().unwrap();
    let (said, fix) = failure("port", &output, 73);
    assert!(said.contains(&format!("cannot listen on {addr}: Address already in use")), "{said}");
    assert!(fix.contains("http.listen"), "{fix}");
    place.edit(CONFIG, &addr, "127.0.0.1:0");
    assert_eq!(place.ask_piped(&["import", "-", "--tag", TAG], b"a@b.example\n")["new"], 1);
}
