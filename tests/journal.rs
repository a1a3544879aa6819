//! The journal on disk: what is committed stays, what is torn is cut off, what is damaged is named.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use tradewind::book::contact::{Day, Moment};
use tradewind::feedback::entry::{By, Entry, What};
use tradewind::store::journal::{Journal, JournalError, Opened, Reader, TornTail};
use tradewind::store::segment::{FRAME_BYTES_MAX, SegmentError};

const STORE: [u8; 16] = [0xAB; 16];
const HEADER: usize = 40;

fn entry(n: u64) -> Entry {
    let what = match n % 3 {
        0 => What::DayOpened { day: Day(7) },
        1 => What::Paused { by: By::Person("x".repeat(usize::try_from(n % 50).expect("small"))) },
        _ => What::Resumed { by: By::Rule("r".to_owned()) },
    };
    Entry { at: Moment(i64::try_from(n).expect("small")), what }
}

fn segment(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("seg-{first:016x}.twj"))
}

/// Pushes entries up to each sequence of `commits` and commits there.
fn write(journal: &mut Journal, commits: &[u64]) {
    commits.iter().for_each(|last| append(journal, *last));
}

fn append(journal: &mut Journal, last: u64) {
    for n in journal.last() + 1..=last {
        assert_eq!(journal.push(&entry(n)), n);
    }
    assert_eq!(journal.commit().expect("commit"), last);
}

/// A journal of one segment with these commits, and where each frame ends.
fn one_segment(commits: &[u64]) -> (TempDir, Vec<usize>) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = Journal::create(dir.path(), STORE).expect("create");
    let ends = commits.iter().map(|last| {
        append(&mut journal, *last);
        fs::read(segment(dir.path(), 1)).expect("the segment").len()
    });
    let ends = ends.collect();
    (dir, ends)
}

fn read(dir: &Path, from: u64) -> Result<Vec<u64>, JournalError> {
    let mut sequences = Vec::new();
    for item in Reader::open(dir)?.read_from(from)? {
        let (n, found) = item?;
        assert_eq!(found, entry(n));
        sequences.push(n);
    }
    Ok(sequences)
}

fn told(result: Result<(Journal, Opened), JournalError>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn what_is_committed_is_read_back_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), STORE).unwrap().with_segment_bytes_max(300);
    write(&mut journal, &[1, 2, 10, 11, 40, 40, 41, 60, 61, 62, 63, 64, 65, 66, 90]);
    assert!(fs::read_dir(dir.path()).unwrap().count() > 5, "rolled over");
    for from in 0..=92 {
        let expected: Vec<u64> = (from.max(1)..=90).collect();
        assert_eq!(read(dir.path(), from).unwrap(), expected, "from {from}");
        let own = journal.read_from(from).unwrap().map(|item| item.unwrap().0);
        assert_eq!(own.collect::<Vec<_>>(), expected, "from {from}");
    }
    journal.push(&entry(91));
    assert_eq!(journal.read_from(91).unwrap().count(), 0, "pushed is not committed");
    drop(journal);
    for known in [0, 1, 89, 90] {
        let (journal, opened) = Journal::open(dir.path(), known).unwrap();
        assert_eq!(opened, Opened { torn: None, last: 90 });
        assert_eq!(journal.store(), STORE);
    }
    let (mut journal, _) = Journal::open(dir.path(), 90).unwrap();
    append(&mut journal, 95);
    assert_eq!(read(dir.path(), 88).unwrap(), (88..=95).collect::<Vec<_>>());
}

#[test]
fn an_own_reader_sees_no_more_than_was_committed_when_it_began() {
    let (dir, _) = one_segment(&[3]);
    let (mut journal, _) = Journal::open(dir.path(), 3).unwrap();
    let began = journal.read_from(1).unwrap();
    append(&mut journal, 5);
    assert_eq!(began.count(), 3);
}

#[test]
fn a_torn_tail_is_cut_off_at_every_byte() {
    let (dir, ends) = one_segment(&[4, 5, 9]);
    let path = segment(dir.path(), 1);
    let whole = fs::read(&path).unwrap();
    for cut in ends[1]..whole.len() {
        for zeros in [0, 3, 5000] {
            let mut torn = whole[..cut].to_vec();
            torn.resize(cut + zeros, 0);
            fs::write(&path, &torn).unwrap();
            assert_eq!(read(dir.path(), 1).unwrap(), [1, 2, 3, 4, 5], "reader at {cut}");
            if torn.len() > ends[1] {
                let text = told(Journal::open(dir.path(), 6));
                assert!(text.contains(&format!("damaged at byte {}", ends[1])), "{text}");
                assert_eq!(fs::read(&path).unwrap(), torn, "nothing was changed");
            }
            let (mut journal, opened) = Journal::open(dir.path(), 5).unwrap();
            let bytes = (torn.len() - ends[1]) as u64;
            let tail = TornTail { segment: path.clone(), offset: ends[1] as u64, bytes };
            assert_eq!(opened, Opened { torn: (bytes > 0).then_some(tail), last: 5 });
            append(&mut journal, 7);
            assert_eq!(read(dir.path(), 1).unwrap(), [1, 2, 3, 4, 5, 6, 7]);
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_damage_or_a_torn_tail() {
    let (dir, ends) = one_segment(&[4, 5, 9]);
    let path = segment(dir.path(), 1);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            fs::write(&path, &flipped).unwrap();
            assert!(Journal::open(dir.path(), 9).is_err(), "known, byte {at}");
            let opened = Journal::open(dir.path(), 0).map(|(_, opened)| opened);
            let reader = read(dir.path(), 1);
            if at < ends[1] {
                let err = opened.unwrap_err();
                assert!(matches!(err, JournalError::Segment(_)), "byte {at}: {err}");
                assert!(reader.is_err(), "byte {at}");
            } else {
                let opened = opened.unwrap();
                assert_eq!((opened.last, opened.torn.unwrap().offset), (5, ends[1] as u64));
                assert_eq!(reader.unwrap(), [1, 2, 3, 4, 5]);
            }
        }
    }
}

/// Three segments of two frames each (the last of one), and their first sequences.
fn three_segments() -> (TempDir, [u64; 3]) {
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Journal::create(dir.path(), STORE).expect("create");
    let mut journal = journal.with_segment_bytes_max(180);
    write(&mut journal, &[4, 9, 14, 19]);
    let mut names: Vec<_> = fs::read_dir(dir.path())
        .expect("a directory")
        .map(|file| file.expect("a file").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    let firsts = names.iter().map(|n| u64::from_str_radix(&n[4..20], 16).expect("hex"));
    let firsts = firsts.collect::<Vec<_>>().try_into().expect("three segments");
    (dir, firsts)
}

#[test]
fn damage_in_an_older_segment_is_never_a_torn_tail() {
    let (dir, [_, second, third]) = three_segments();
    let path = segment(dir.path(), second);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(&path, &flipped).unwrap();
        assert!(read(dir.path(), 1).is_err(), "byte {at}");
        fs::write(&path, &whole[..at]).unwrap();
        assert!(read(dir.path(), 1).is_err(), "cut at {at}");
        assert!(Journal::open(dir.path(), 0).is_err(), "cut at {at}");
        assert_eq!(read(dir.path(), third).unwrap().len() as u64, 20 - third, "not asked for");
    }
}

#[test]
fn missing_and_foreign_segments_are_named() {
    let (dir, [first, second, third]) = three_segments();
    let moved = dir.path().join("elsewhere");
    for (gone, named) in [(first, second), (second, third)] {
        fs::rename(segment(dir.path(), gone), &moved).unwrap();
        let text = told(Journal::open(dir.path(), 0));
        assert!(text.contains(&format!("seg-{named:016x}.twj")), "{text}");
        assert!(text.contains(&format!("expected entry {gone}, found entry {named}")), "{text}");
        assert!(read(dir.path(), 1).is_err());
        fs::rename(&moved, segment(dir.path(), gone)).unwrap();
    }
    fs::rename(segment(dir.path(), third), &moved).unwrap();
    let text = told(Journal::open(dir.path(), 19));
    assert!(text.contains("damaged or foreign"), "{text}");
    assert!(text.contains("entry 19 is known"), "{text}");
    fs::rename(&moved, segment(dir.path(), second + 1)).unwrap();
    let text = told(Journal::open(dir.path(), 0));
    assert!(text.contains(&format!("begin with entry {}", second + 1)), "{text}");
    fs::remove_file(segment(dir.path(), second + 1)).unwrap();

    let other = tempfile::tempdir().unwrap();
    let journal = Journal::create(other.path(), [0xCD; 16]).unwrap();
    write(&mut journal.with_segment_bytes_max(180), &[4, 9, 14, 19]);
    fs::copy(segment(other.path(), third), segment(dir.path(), third)).unwrap();
    let text = told(Journal::open(dir.path(), 0));
    assert!(text.contains(&"cd".repeat(16)) && text.contains(&"ab".repeat(16)), "{text}");
    assert!(read(dir.path(), 1).is_err());
}

#[test]
fn a_newer_format_is_refused() {
    let (dir, _) = one_segment(&[1]);
    let path = segment(dir.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    let crc = crc32fast::hash(&bytes[..36]);
    bytes[36..40].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let text = told(Journal::open(dir.path(), 0));
    assert!(text.contains("format 2 was written by a newer tradewind"), "{text}");
}

#[test]
fn a_segment_that_was_being_made_is_a_torn_tail() {
    let (dir, [.., third]) = three_segments();
    let path = segment(dir.path(), third);
    let header = fs::read(&path).unwrap()[..HEADER].to_vec();
    let last = third - 1;
    for cut in 0..=HEADER {
        for bytes in [header[..cut].to_vec(), vec![0; cut]] {
            fs::write(&path, &bytes).unwrap();
            assert_eq!(read(dir.path(), 1).unwrap().len() as u64, last, "reader at {cut}");
            assert!(Journal::open(dir.path(), third).is_err(), "known, at {cut}");
            assert!(path.exists());
            let (mut journal, opened) = Journal::open(dir.path(), last).unwrap();
            assert_eq!(opened.last, last);
            assert_eq!(opened.torn.is_some(), bytes != header, "at {cut}");
            assert_eq!(path.exists(), bytes == header);
            append(&mut journal, last + 2);
            drop(journal);
            assert_eq!(read(dir.path(), 1).unwrap().len() as u64, last + 2);
            truncate_to(dir.path(), last, third);
        }
    }
    fs::write(segment(dir.path(), third + 5), b"").unwrap();
    assert!(Journal::open(dir.path(), 0).is_err(), "not the next one");
    fs::remove_file(segment(dir.path(), third + 5)).unwrap();
    let mut longer = header;
    longer[20] ^= 1;
    longer.extend_from_slice(b"frames were here");
    fs::write(&path, longer).unwrap();
    assert!(Journal::open(dir.path(), 0).is_err(), "a header that was whole once");
}

#[test]
fn a_frame_has_a_largest_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), STORE).unwrap();
    let large =
        |bytes| Entry { at: Moment(0), what: What::Paused { by: By::Rule("x".repeat(bytes)) } };
    let two_thirds = large(FRAME_BYTES_MAX / 3 * 2);
    journal.push(&two_thirds);
    journal.push(&two_thirds);
    assert_eq!(journal.commit().unwrap(), 2, "two frames, and two segments");
    assert!(segment(dir.path(), 2).exists());
    journal.push(&large(FRAME_BYTES_MAX));
    assert!(matches!(journal.commit(), Err(JournalError::TooLarge { .. })));
    assert!(matches!(journal.commit(), Err(JournalError::Poisoned(_))));
    let (journal, opened) = Journal::open(dir.path(), 2).unwrap();
    assert_eq!(opened, Opened { torn: None, last: 2 });
    assert!(journal.read_from(1).unwrap().all(|item| item.unwrap().1 == two_thirds));
}

/// Takes back what was appended after `last`.
fn truncate_to(dir: &Path, last: u64, third: u64) {
    if segment(dir, third).exists() {
        return;
    }
    let (fresh, [_, second, _]) = three_segments();
    fs::copy(segment(fresh.path(), second), segment(dir, second)).expect("a copy");
    assert_eq!(read(dir, 1).expect("sound").len() as u64, last);
}

#[test]
fn what_is_not_there_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    for missing in [dir.path().join("no"), dir.path().to_owned()] {
        assert!(matches!(Journal::open(&missing, 0), Err(JournalError::Missing(_))));
        assert!(matches!(Reader::open(&missing), Err(JournalError::Missing(_))));
    }
    let made = dir.path().join("a/journal");
    drop(Journal::create(&made, STORE).unwrap());
    assert!(matches!(Journal::create(&made, STORE), Err(JournalError::Exists(_))));
    assert_eq!(Journal::open(&made, 0).unwrap().1, Opened { torn: None, last: 0 });
    assert!(matches!(Journal::open(&made, 1), Err(JournalError::Behind { known: 1, .. })));
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Journal::create(&file, STORE).unwrap_err();
    assert!(matches!(refused, JournalError::Segment(SegmentError::Io { .. })), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any commits, any segment size, any crash: what was committed before the torn frame is there,
    /// in order, and the journal goes on.
    #[test]
    fn any_crash_keeps_what_was_committed(
        groups in prop::collection::vec(1_u64..20, 1..12),
        segment_bytes_max in 60_u64..2000,
        cut in 0_usize..400,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), STORE).unwrap();
        let mut journal = journal.with_segment_bytes_max(segment_bytes_max);
        let mut committed = vec![0];
        for group in groups {
            let last = journal.last() + group;
            append(&mut journal, last);
            committed.push(journal.last());
        }
        drop(journal);
        let newest = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path()).max().unwrap();
        let bytes = fs::read(&newest).unwrap();
        let keep = bytes.len().saturating_sub(cut).max(HEADER);
        fs::write(&newest, &bytes[..keep]).unwrap();
        let (mut journal, opened) = Journal::open(dir.path(), 0).unwrap();
        prop_assert!(committed.contains(&opened.last));
        prop_assert!(cut > 0 || opened.last == *committed.last().unwrap());
        append(&mut journal, opened.last + 3);
        let expected: Vec<u64> = (1..=opened.last + 3).collect();
        prop_assert_eq!(read(dir.path(), 1).unwrap(), expected);
    }
}
