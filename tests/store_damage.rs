//! What can befall a store's directory: each is mended from the journal and said, or refused and
//! said, and never taken for an empty book.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

#[path = "common/copy.rs"]
mod copy;
#[path = "common/place.rs"]
mod place;

use copy::copy_dir;
use place::{Answered, Place};

/// Bits flipped in sled's log, one at a time.
const FLIPS: usize = 10;
const SHOWN: &str = "ann.abbott@northgate-machinery.example";

/// A store after a day with letters, its daemon stopped in order, so that sled holds all of it.
fn a_day() -> Place {
    let place = Place::new(None);
    place.ask(&["init"]).good();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/config/sample-search.csv");
    fs::copy(sample, place.path().join("search.csv")).unwrap();
    let mut daemon = place.start("2024-09-05T07:00:00+08:00");
    let tag = "英语-工程设备经销商-营销05";
    place.ask(&["import", "search.csv", "--tag", tag, "--spread"]).good();
    place.ask(&["clock", "--to", "2024-09-05T20:30:00+08:00"]).good();
    place.ask(&["suppress", "@lakeshore-parts.example", "--reason", "asked"]).good();
    let order = format!("kill -TERM {}", daemon.child.id());
    assert!(Command::new("sh").arg("-c").arg(order).status().unwrap().success());
    assert!(daemon.child.wait().unwrap().success(), "{}", daemon.log());
    place
}

/// What the store says of itself, and what was told about how it was found.
fn said(place: &Place, store: &str) -> (Vec<Value>, String) {
    let mut told = String::new();
    let questions: [&[&str]; 5] =
        [&["show", SHOWN], &["plan"], &["status"], &["tags"], &["plan", "--date", "2024-10-06"]];
    let answers = questions.map(|words| {
        let answered = place.ask_of(store, words);
        told.push_str(&answered.told);
        answered.good()
    });
    (answers.into(), told)
}

fn copied(place: &Place, name: &str) -> PathBuf {
    let copy = place.path().join(name);
    let _ = fs::remove_dir_all(&copy);
    copy_dir(&place.store(), &copy);
    copy
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn segment(store: &Path) -> PathBuf {
    store.join("journal/seg-0000000000000001.twj")
}

#[track_caller]
fn refused(answered: &Answered, code: i32, words: &[&str]) {
    let error = &answered.json["error"];
    assert_eq!(answered.code, code, "{answered:?}");
    let text = format!("{} {}", error["message"], error["fix"]);
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
    assert!(!error["fix"].as_str().unwrap().is_empty(), "{answered:?}");
}

#[test]
fn a_lost_or_damaged_memory_is_rebuilt_and_tells_the_same() {
    let place = a_day();
    let (before, told) = said(&place, "store");
    assert_eq!(told, "", "a store in order has nothing to tell");
    let db = fs::read(place.store().join("sled/db")).unwrap();
    let used = db.iter().rposition(|byte| *byte != 0).unwrap();

    let lost = copied(&place, "lost");
    fs::remove_dir_all(lost.join("sled")).unwrap();
    let (after, told) = said(&place, "lost");
    assert_eq!(after, before);
    assert_eq!(told.matches("rebuilt from the journal").count(), 1, "{told}");

    for (n, keep) in [0, 100, used / 2, used - 10].into_iter().enumerate() {
        let name = format!("short{n}");
        let copy = copied(&place, &name);
        fs::write(copy.join("sled/db"), &db[..keep]).unwrap();
        assert_eq!(said(&place, &name).0, before, "{keep} bytes of {used} left");
    }

    let mut rebuilt = 0;
    for n in 0..FLIPS {
        let name = format!("flip{n}");
        let copy = copied(&place, &name);
        let at = used * n / FLIPS + 7;
        flip(&copy.join("sled/db"), at);
        let (after, told) = said(&place, &name);
        assert_eq!(after, before, "a bit at {at}: {told}");
        rebuilt += usize::from(told.contains("rebuilt from the journal"));
        fs::remove_dir_all(copy).unwrap();
    }
    println!(
        "{FLIPS} flipped bits in sled's log: {rebuilt} rebuilt, the others in what is not read"
    );
    assert!(rebuilt > 0, "nothing was said");
    for file in fs::read_dir(place.store().join("sled")).unwrap().map(Result::unwrap) {
        let (name, length) = (file.file_name(), file.metadata().unwrap().len());
        if file.file_type().unwrap().is_file() && name != "db" && length > 0 {
            let copy = copied(&place, "other");
            let at = usize::try_from(length / 2).unwrap();
            flip(&copy.join("sled").join(&name), at);
            assert_eq!(said(&place, "other").0, before, "{name:?} at {at}");
        }
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let place = a_day();
    let before = said(&place, "store").0;
    place.ask_of("stranger", &["init"]).good();
    let stranger = place.path().join("stranger");

    // The journal of an older backup: sled knows more as committed.
    let copy = copied(&place, "behind");
    let bytes = fs::read(segment(&copy)).unwrap();
    let whole = fs::read(segment(&stranger)).unwrap();
    fs::write(segment(&copy), &bytes[..whole.len()]).unwrap();
    for _ in 0..2 {
        refused(&place.ask_of("behind", &["status"]), 78, &["known as committed", "backup"]);
    }
    assert!(copy.join("sled/db").exists() && !copy.join("sled.damaged").exists());

    // The journal of another store, with and without the memory of this one.
    let copy = copied(&place, "mixed");
    fs::copy(segment(&stranger), segment(&copy)).unwrap();
    refused(&place.ask_of("mixed", &["status"]), 78, &["journal"]);
    fs::remove_dir_all(copy.join("sled")).unwrap();
    refused(&place.ask_of("mixed", &["status"]), 78, &["another store"]);

    // No journal at all, and no identity: the store is there, and parts of it are not.
    let copy = copied(&place, "halved");
    fs::rename(copy.join("journal"), copy.join("elsewhere")).unwrap();
    refused(&place.ask_of("halved", &["status"]), 78, &["no journal", "mounted"]);
    assert!(!copy.join("journal").exists() && copy.join("sled/db").exists());
    fs::rename(copy.join("elsewhere"), copy.join("journal")).unwrap();
    fs::remove_file(copy.join("store-id")).unwrap();
    refused(&place.ask_of("halved", &["status"]), 78, &["store-id", "missing"]);
    refused(&place.ask_of("halved", &["init"]), 78, &["store-id", "missing"]);
    fs::copy(place.store().join("store-id"), copy.join("store-id")).unwrap();
    fs::remove_file(copy.join("token-keys")).unwrap();
    refused(&place.ask_of("halved", &["status"]), 78, &["token-keys", "backup"]);

    // The memory of another store is nothing but stale.
    let copy = copied(&place, "adopted");
    let imported = place.ask_of("stranger", &["suppress", "a@b.example", "--reason", "x"]);
    imported.good();
    fs::remove_dir_all(copy.join("sled")).unwrap();
    copy_dir(&stranger.join("sled"), &copy.join("sled"));
    let (after, told) = said(&place, "adopted");
    assert_eq!(after, before);
    assert!(told.contains("rebuilt from the journal") && told.contains("another store"), "{told}");
}

#[test]
fn a_torn_tail_is_cut_off_and_said() {
    let place = a_day();
    let before = said(&place, "store").0;
    let copy = copied(&place, "torn");
    let mut journal = OpenOptions::new().append(true).open(segment(&copy)).unwrap();
    journal.write_all(&[9; 33]).unwrap();
    drop(journal);
    let (after, told) = said(&place, "torn");
    assert_eq!(after, before);
    let said = told.lines().filter(|line| line.contains("cut off 33 bytes"));
    assert_eq!(said.count(), 1, "{told}");
}

#[test]
fn damage_in_the_middle_stops_with_its_place() {
    let place = a_day();
    let length = fs::metadata(segment(&place.store())).unwrap().len();
    for part in [3, 5, 8] {
        let copy = copied(&place, "damaged");
        let at = usize::try_from(length).unwrap() * part / 10;
        flip(&segment(&copy), at);
        let bytes = fs::read(segment(&copy)).unwrap();
        let words = ["seg-0000000000000001.twj", "damaged at byte ", "backup"];
        for command in [&["status"][..], &["audit"], &["run", "--clock", "2024-09-06T00:00:00Z"]] {
            let answered = place.ask_of("damaged", command);
            refused(&answered, 78, &words);
            let text = answered.json["error"]["message"].as_str().unwrap().to_owned();
            let (_, rest) = text.split_once("damaged at byte ").unwrap();
            let told: usize = rest.split(':').next().unwrap().parse().unwrap();
            assert!(told <= at && at < told + 200_000, "{told} told, {at} flipped");
        }
        assert!(fs::read(segment(&copy)).unwrap() == bytes, "something was changed");
    }
}

#[test]
fn a_store_has_one_daemon() {
    let place = Place::new(None);
    place.ask(&["init"]).good();
    let daemon = place.start("2024-09-05T07:00:00+08:00");
    let pid = daemon.child.id().to_string();
    let second = place.ask(&["run", "--clock", "2024-09-05T07:00:00+08:00"]);
    refused(&second, 75, &[&pid]);
    // Without its socket the first one cannot be asked, but it holds the store all the same.
    fs::remove_file(place.store().join("control.sock")).unwrap();
    refused(&place.ask(&["status"]), 75, &[&pid]);
}

#[test]
fn a_killed_init_can_be_run_again() {
    let place = Place::new(None);
    place.ask_of("whole", &["init"]).good();
    let whole = place.path().join("whole");
    refused(&place.ask_of("whole", &["init"]), 73, &["whole"]);
    let frames = fs::read(segment(&whole)).unwrap();
    let stages: [(&str, Option<&[u8]>, bool); 6] = [
        ("empty", None, false),
        ("headless", Some(&[]), false),
        ("cut", Some(&frames[..17]), false),
        ("headed", Some(&frames[..40]), false),
        ("torn", Some(&frames[..50]), false),
        ("unnamed", Some(&frames), true),
    ];
    for (name, journal, keys) in stages {
        let dir = place.path().join(name);
        fs::create_dir_all(dir.join("journal")).unwrap();
        if let Some(bytes) = journal {
            fs::write(segment(&dir), bytes).unwrap();
        }
        if keys {
            fs::copy(whole.join("token-keys"), dir.join("token-keys")).unwrap();
        }
        refused(&place.ask_of(name, &["status"]), 78, &["cut off", "tradewind init"]);
        place.ask_of(name, &["init"]).good();
        place.ask_of(name, &["status"]).good();
    }
    // And as it comes: killed at once, a little later, and so on until it gets through.
    let (mut again, mut finished) = (0, false);
    for n in 0_u32.. {
        let store = format!("killed{n}");
        let mut init = place.command_on(&store, &["init"]);
        let mut init = init.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::park_timeout(std::time::Duration::from_millis(u64::from(n)));
        let _ = init.kill();
        init.wait().unwrap();
        let asked = place.ask_of(&store, &["status"]);
        if asked.code == 0 {
            finished = true;
        } else {
            again += 1;
            assert_eq!(asked.code, 78, "{asked:?}");
            place.ask_of(&store, &["init"]).good();
            place.ask_of(&store, &["status"]).good();
        }
        if finished || n > 300 {
            break;
        }
    }
    println!("{again} killed inits were run again");
    assert!(again > 0 && finished, "{again} again");
}
