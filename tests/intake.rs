//! The judge of saved searches, against the tables of the seed and a book of a few lines.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use tradewind::book::contact::{Card, Kind};
use tradewind::book::language;
use tradewind::cadence::intake::{
    ImportCounts, Judged, Known, Mode, Newcomer, Place, Run, Settings, Standing, Start, TagsChange,
    TagsMode, Verdict, merged,
};

/// One address of a test: which of which company.
#[derive(Clone, Copy, Debug)]
struct Person {
    key: u64,
    company: u64,
    kind: Kind,
    rank: Option<u32>,
}

fn person(company: u64, no: u64) -> Person {
    Person { key: company * 1000 + no, company, kind: Kind::Precise, rank: None }
}

fn people(count: u64) -> Vec<Person> {
    (1..=count).map(|no| person(7, no)).collect()
}

/// What the store will be: contacts, and who holds which batch.
#[derive(Clone, Default)]
struct Book {
    contacts: HashMap<u64, (u64, Kind, u32)>,
    batches: HashMap<u64, HashSet<u8>>,
    suppressed: HashSet<u64>,
}

impl Book {
    fn standing(&self, who: &Person, settings: &Settings) -> Standing {
        let start = settings.start.map_or(0, |start| start.no);
        let batches = self.batches.get(&who.key);
        let known = self.contacts.get(&who.key).map(|(_, _, rank)| Known {
            rank: *rank,
            has_tag: batches.is_some_and(|held| held.contains(&start)),
            has_batch: batches.is_some_and(|held| !held.is_empty()),
            ..Known::default()
        });
        let same = self.contacts.values().filter(|(c, k, _)| (*c, *k) == (who.company, who.kind));
        let highest = same.map(|(_, _, rank)| *rank).max().unwrap_or(0);
        Standing { suppressed: self.suppressed.contains(&who.key), known, highest }
    }

    fn room(&self, who: &Person, no: u8) -> u32 {
        let holds = |key: &u64| self.batches.get(key).is_some_and(|held| held.contains(&no));
        let same = |(key, (c, k, _)): (&u64, &(u64, Kind, u32))| {
            (*c, *k) == (who.company, who.kind) && holds(key)
        };
        self.contacts.iter().filter(|contact| same(*contact)).count().try_into().expect("few")
    }

    fn apply(&mut self, who: &Person, judged: &Judged) {
        if judged.verdict == Verdict::New {
            self.contacts.insert(who.key, (who.company, who.kind, judged.rank));
        }
        if let Place::Batch(no) = judged.place {
            self.batches.entry(who.key).or_default().insert(no);
        }
    }

    /// Judges a file, the book growing row by row, or in one step at its end.
    fn import_in(&mut self, file: &[Person], settings: &Settings, at_once: bool) -> Vec<Judged> {
        let mut run = Run::new(settings.clone());
        let mut judged = Vec::new();
        let mut seen = self.clone();
        for who in file {
            let Person { key, company, kind, rank } = *who;
            let row = Newcomer { key, company, kind, rank, language: "" };
            let one = run.judge(
                &row,
                &|_| None,
                || seen.standing(who, settings),
                |no| seen.room(who, no),
            );
            self.apply(who, &one);
            if at_once {
                seen.apply(who, &one);
            }
            judged.push(one);
        }
        judged
    }

    fn import(&mut self, file: &[Person], settings: &Settings) -> Vec<Judged> {
        let mut late = self.clone();
        let judged = self.import_in(file, settings, true);
        assert_eq!(judged, late.import_in(file, settings, false), "it matters when rows are kept");
        judged
    }
}

fn settings(cap: u32, no: u8) -> Settings {
    Settings {
        mode: Mode::New,
        tags: Mode::New.default_tags(),
        cap: Settings::cap(Some(cap), true),
        spread: false,
        start: Some(Start { no, cycle: 30 }),
        language: "英语".to_owned(),
        force: false,
    }
}

fn spread(cap: u32, no: u8) -> Settings {
    Settings { spread: true, ..settings(cap, no) }
}

/// How many were placed in which batch.
fn placed(judged: &[Judged]) -> Vec<(u8, u32)> {
    let mut counts = BTreeMap::new();
    for one in judged {
        if let Place::Batch(no) = one.place {
            *counts.entry(no).or_default() += 1;
        }
    }
    counts.into_iter().collect()
}

fn ranks(judged: &[Judged]) -> Vec<u32> {
    judged.iter().filter(|one| one.verdict == Verdict::New).map(|one| one.rank).collect()
}

fn counts(judged: &[Judged]) -> ImportCounts {
    let mut counts = ImportCounts::default();
    judged.iter().for_each(|one| counts.add(&one.verdict));
    counts
}

#[test]
fn a_higher_cap_takes_exactly_the_next_ranks() {
    let mut book = Book::default();
    for (cap, no, expected) in [
        (10, 5, 1..=10),
        (20, 6, 11..=20),
        (30, 7, 21..=30),
        (40, 8, 31..=40),
        (50, 9, 41..=50),
        (60, 10, 51..=58),
    ] {
        let expected: Vec<u32> = expected.collect();
        let judged = book.import(&people(58), &settings(cap, no));
        let count = u32::try_from(expected.len()).unwrap();
        assert_eq!(ranks(&judged), expected);
        assert_eq!(placed(&judged), [(no, count)]);
        let counts = counts(&judged);
        assert_eq!(counts.known, u64::from(expected[0] - 1));
        assert_eq!(counts.new + counts.known + counts.over_cap, 58);
    }
}

#[test]
fn spread_fills_by_room() {
    let judged = Book::default().import(&people(58), &spread(10, 5));
    assert_eq!(placed(&judged), [(5, 10), (6, 10), (7, 10), (8, 10), (9, 10), (10, 8)]);
    assert_eq!(ranks(&judged), (1..=58).collect::<Vec<_>>());

    // Around the end of the cycle, past what other imports filled.
    let mut book = Book::default();
    let others: Vec<_> = (101..=112).map(|no| person(7, no)).collect();
    book.import(&others, &spread(7, 30));
    let judged = book.import(&people(20), &spread(7, 29));
    assert_eq!(placed(&judged), [(1, 2), (2, 7), (3, 4), (29, 7)]);

    // Each batch once, then over-cap, and for good.
    let mut book = Book::default();
    let judged = book.import(&people(40), &spread(1, 12));
    assert_eq!(placed(&judged), (1..=30).map(|no| (no, 1)).collect::<Vec<_>>());
    assert!(judged[..30].iter().all(|one| one.verdict == Verdict::New));
    assert!(judged[30..].iter().all(|one| one.verdict == Verdict::OverCap));
    assert_eq!(counts(&book.import(&people(40), &spread(1, 12))).over_cap, 10);
}

#[test]
fn an_interrupted_spread_goes_on_where_it_was() {
    let mut book = Book::default();
    book.import(&people(58)[..25], &spread(10, 5));
    let judged = book.import(&people(58), &spread(10, 5));
    assert_eq!(placed(&judged), [(7, 5), (8, 10), (9, 10), (10, 8)]);
    assert_eq!((ranks(&judged)[0], counts(&judged).known), (26, 25));
}

#[test]
fn kinds_and_companies_are_counted_apart() {
    let file: Vec<_> = (0..90)
        .map(|no| Person {
            kind: if no % 2 == 0 { Kind::Precise } else { Kind::Ordinary },
            ..person(no % 3, no)
        })
        .collect();
    let judged = Book::default().import(&file, &settings(10, 5));
    assert_eq!(placed(&judged), [(5, 60)]);
    for company in 0..3 {
        for kind in [Kind::Precise, Kind::Ordinary] {
            let own = |(who, _): &(&Person, &Judged)| (who.company, who.kind) == (company, kind);
            let own = file.iter().zip(&judged).filter(own).map(|(_, one)| one.clone());
            assert_eq!(ranks(&own.collect::<Vec<_>>()), (1..=10).collect::<Vec<_>>());
        }
    }
}

#[test]
fn the_rank_column_wins() {
    let ranked = |ranks: &[u32]| -> Vec<_> {
        let rank = |rank: &u32| if *rank == 0 { None } else { Some(*rank) };
        let people = people(ranks.len() as u64).into_iter().zip(ranks);
        people.map(|(who, given)| Person { rank: rank(given), ..who }).collect()
    };
    for (name, given, cap, expected) in [
        ("backwards", &[12, 11, 10, 9][..], 10, &[10, 9][..]),
        ("far ones do not raise the next", &[99, 0, 0, 98, 0], 3, &[1, 2, 3]),
        ("kept ones do", &[5, 0, 0], 6, &[5, 6]),
        ("equal ranks by file order", &[1, 1, 2, 2, 2, 3], 3, &[1, 1, 2]),
        ("no cap", &[500, 0, 7], 0, &[500, 501, 7]),
    ] {
        let mut book = Book::default();
        let judged = book.import(&ranked(given), &settings(cap, 5));
        assert_eq!(ranks(&judged), expected, "{name}");
        let again = counts(&book.import(&ranked(given), &settings(cap, 5)));
        assert_eq!((again.new, again.known), (0, expected.len() as u64), "{name}");
    }
    let all: Vec<u32> = (1..=58).rev().collect();
    let mut book = Book::default();
    book.import(&ranked(&all), &settings(10, 5));
    let mut next = ranks(&book.import(&ranked(&all), &settings(20, 6)));
    next.sort_unstable();
    assert_eq!(next, (11..=20).collect::<Vec<_>>());
}

#[test]
fn duplicates_suppressed_and_strangers() {
    let mut book = Book::default();
    let file = people(12);
    book.suppressed.insert(file[1].key);
    let twice = [&file[..], &file[..3]].concat();
    let judged = book.import(&twice, &settings(10, 5));
    let verdicts: Vec<_> = judged.iter().map(|one| one.verdict.to_string()).collect();
    assert_eq!(verdicts[..3], ["new", "suppressed", "new"]);
    assert_eq!(
        verdicts[10..],
        ["new", "over-cap", "duplicate-in-file", "duplicate-in-file", "duplicate-in-file"]
    );
    let update = Settings { mode: Mode::Update, ..settings(10, 5) };
    let judged = Book::default().import(&file[..1], &update);
    assert_eq!(judged[0].verdict.to_string(), "invalid(unknown, and --mode update adds nobody)");
    assert_eq!(judged[0].place, Place::None);
}

#[test]
fn what_becomes_of_the_known() {
    let known = Known { rank: 3, ..Known::default() };
    let held = Known { has_tag: true, has_batch: true, ..known };
    let differs = Known { differs: true, ..held };
    let (none, add, replace) = (TagsChange::None, TagsChange::Add, TagsChange::Replace);
    for (mode, tags, known, verdict, change, card) in [
        (Mode::New, TagsMode::Keep, known, Verdict::Known, none, false),
        (Mode::New, TagsMode::Keep, differs, Verdict::Known, none, false),
        (Mode::New, TagsMode::Append, known, Verdict::Updated, add, false),
        (Mode::New, TagsMode::Append, differs, Verdict::Known, none, false),
        (Mode::Update, TagsMode::Keep, differs, Verdict::Updated, none, true),
        (Mode::Upsert, TagsMode::Append, held, Verdict::Known, none, false),
        (
            Mode::Upsert,
            TagsMode::Append,
            Known { lacks_row_tag: true, ..held },
            Verdict::Updated,
            add,
            false,
        ),
        (Mode::Upsert, TagsMode::Replace, held, Verdict::Known, none, false),
        (
            Mode::Upsert,
            TagsMode::Replace,
            Known { has_others: true, ..held },
            Verdict::Updated,
            replace,
            false,
        ),
    ] {
        let mut run = Run::new(Settings { mode, tags, ..settings(1, 5) });
        let row = Newcomer { key: 1, company: 1, kind: Kind::Precise, rank: Some(9), language: "" };
        let standing = || Standing { known: Some(known), ..Standing::default() };
        let judged = run.judge(&row, &|_| None, standing, |_| 0);
        assert_eq!(
            (judged.verdict, judged.tags, judged.card),
            (verdict, change, card),
            "{mode:?} {tags:?} {known:?}"
        );
        assert_eq!(judged.rank, 3);
        if change == replace {
            assert_eq!(judged.place, Place::Batch(5), "what is held and meant to stay");
        }
    }
}

#[test]
fn a_row_in_another_language_is_invalid() {
    let names = |name: &str| language::code(name).map(str::to_owned);
    for (language, force, expected) in [
        ("", false, "new"),
        ("English", false, "new"),
        ("法语", false, "invalid(language)"),
        ("法语", true, "new"),
    ] {
        let mut run = Run::new(Settings { force, ..settings(10, 5) });
        let row = Newcomer { key: 1, company: 1, kind: Kind::Precise, rank: None, language };
        let judged = run.judge(&row, &names, Standing::default, |_| 0);
        assert_eq!(judged.verdict.to_string(), expected, "{language}");
        let english = Newcomer { language: "en", ..row };
        let again = run.judge(&english, &names, Standing::default, |_| 0);
        let expected = if expected == "new" { "duplicate-in-file" } else { "new" };
        assert_eq!(again.verdict.to_string(), expected, "{language}");
    }
}

#[test]
fn words_caps_and_plain_tags() {
    for (word, mode) in [
        ("new", Mode::New),
        ("仅新增", Mode::New),
        ("仅更新", Mode::Update),
        ("upsert", Mode::Upsert),
    ] {
        assert_eq!(Mode::parse(word), Some(mode));
    }
    for (word, tags) in
        [("无操作", TagsMode::Keep), ("追加", TagsMode::Append), ("replace", TagsMode::Replace)]
    {
        assert_eq!(TagsMode::parse(word), Some(tags));
    }
    assert_eq!((Mode::parse("neu"), TagsMode::parse("")), (None, None));
    assert_eq!(Mode::Update.default_tags(), TagsMode::Append);
    let caps = [(None, true), (None, false), (Some(0), true), (Some(20), false)];
    assert_eq!(
        caps.map(|(given, batch)| Settings::cap(given, batch)),
        [Some(10), None, None, Some(20)]
    );
    let plain = Settings { start: None, cap: None, spread: true, ..settings(10, 5) };
    let judged = Book::default().import(&people(30), &plain);
    assert!(judged.iter().all(|one| one.place == Place::Tag && one.verdict == Verdict::New));
}

#[test]
fn cards_are_merged() {
    let card = |name: &str, pairs: &[(&str, &str)]| Card {
        name: name.to_owned(),
        attributes: pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        ..Card::default()
    };
    let old = card("Ann", &[("x", "1"), ("y", "2")]);
    assert_eq!(merged(&old, &card("", &[("y", "2")])), None);
    let new = merged(&old, &card("Ann Lee", &[("z", "3"), ("x", "4")]));
    assert_eq!(new, Some(card("Ann Lee", &[("x", "4"), ("y", "2"), ("z", "3")])));
}

proptest! {
    /// The same file again is all known; a batch never holds more than the cap of a company and
    /// kind; no rank of unranked people is given twice.
    #[test]
    fn the_same_file_twice_changes_nothing(
        file in prop::collection::vec((0_u64..4, 0_u64..60, any::<bool>(), prop::option::of(1_u32..30)), 0..200),
        cap in 0_u32..12,
        no in 1_u8..=30,
        fills: bool,
        mode in prop::sample::select(vec![Mode::New, Mode::Upsert]),
        cut in 0_usize..200,
    ) {
        let file: Vec<_> = file.into_iter().map(|(company, no, precise, rank)| {
            let kind = if precise { Kind::Precise } else { Kind::Ordinary };
            Person { kind, rank, key: person(company, no).key * 2 + u64::from(precise), company }
        }).collect();
        let settings = Settings { mode, tags: mode.default_tags(), spread: fills, ..settings(cap, no) };
        let mut book = Book::default();
        let first = counts(&book.import(&file, &settings));
        let second = counts(&book.import(&file, &settings));
        prop_assert_eq!((second.new, second.updated, second.known), (0, 0, first.new));
        prop_assert_eq!(first.over_cap, second.over_cap);
        let mut killed = Book::default();
        killed.import(&file[..cut.min(file.len())], &settings);
        killed.import(&file, &settings);
        prop_assert_eq!(&killed.contacts, &book.contacts);
        if cap > 0 {
            for who in &file {
                for no in 1..=30 {
                    prop_assert!(book.room(who, no) <= cap);
                }
            }
        }
    }
}
