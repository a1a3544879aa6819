//! The calendar against the seed's tables, zones against the days on which clocks change, and who
//! is promoted when.

use chrono::{NaiveDate, NaiveTime};
use tradewind::book::contact::{ContactId, Day, Moment};
use tradewind::book::tag::{Audience, Series, SeriesKind, Tag, TagId, TagName};
use tradewind::cadence::calendar::{
    Cadence, CadenceMode, ShortMonth, Window, WindowError, Zone, week_start,
};
use tradewind::feedback::open::OpenClass;
use tradewind::feedback::rule::{PendingOpen, Promote, Readers};

use SeriesKind::{Marketing, Reading};

fn day(text: &str) -> Day {
    Day::from_date(text.parse::<NaiveDate>().expect(text))
}

fn moment(text: &str) -> Moment {
    Moment::from_utc(text.parse().expect(text))
}

fn calendar(short_month: ShortMonth) -> Cadence {
    Cadence { mode: CadenceMode::Calendar { short_month }, series: Series::default() }
}

fn rolling(epoch: &str) -> Cadence {
    Cadence { mode: CadenceMode::Rolling { epoch: day(epoch) }, series: Series::default() }
}

/// The days of a year on which a batch is due.
fn due_days(cadence: &Cadence, year: i32, kind: SeriesKind, no: u8) -> Vec<String> {
    let first = Day::from_date(NaiveDate::from_ymd_opt(year, 1, 1).expect("a year"));
    let days =
        (0..366).map(|n| first.plus(n)).filter(|d| d.to_string().starts_with(&year.to_string()));
    days.filter(|d| cadence.due(*d).contains(&(kind, no)))
        .map(|d| d.to_string().split_off(5))
        .collect()
}

#[test]
fn the_seeds_tables() {
    let cadence = calendar(ShortMonth::Skip);
    for no in 1..=28 {
        let days = due_days(&cadence, 2024, Marketing, no);
        let expected: Vec<String> = (1..=12).map(|month| format!("{month:02}-{no:02}")).collect();
        assert_eq!(days, expected, "营销{no:02}");
    }
    for no in 1..=10 {
        for month in 1..=12 {
            let days = due_days(&cadence, 2024, Reading, no);
            let days: Vec<&str> =
                days.iter().filter_map(|d| d.strip_prefix(&format!("{month:02}-"))).collect();
            let mut expected: Vec<String> = [0, 10, 20].map(|n| format!("{:02}", no + n)).into();
            expected.retain(|d| month != 2 || d.as_str() < "30");
            assert_eq!(days, expected, "阅读{no:02} in month {month}");
        }
    }
}

#[test]
fn odd_days() {
    let skip = calendar(ShortMonth::Skip);
    let last = calendar(ShortMonth::LastDay);
    type Due<'a> = &'a [(SeriesKind, u8)];
    let cases: &[(&Cadence, &str, Due<'_>)] = &[
        (&skip, "2024-09-09", &[(Marketing, 9), (Reading, 9)]),
        (&skip, "2024-09-30", &[(Marketing, 30), (Reading, 10)]),
        (&skip, "2024-08-31", &[]),
        (&last, "2024-08-31", &[]),
        (&last, "2024-09-30", &[(Marketing, 30), (Reading, 10)]),
        (&skip, "2023-02-28", &[(Marketing, 28), (Reading, 8)]),
        (&skip, "2024-02-28", &[(Marketing, 28), (Reading, 8)]),
        (&skip, "2024-02-29", &[(Marketing, 29), (Reading, 9)]),
        (
            &last,
            "2023-02-28",
            &[
                (Marketing, 28),
                (Marketing, 29),
                (Marketing, 30),
                (Reading, 8),
                (Reading, 9),
                (Reading, 10),
            ],
        ),
        (&last, "2024-02-28", &[(Marketing, 28), (Reading, 8)]),
        (&last, "2024-02-29", &[(Marketing, 29), (Marketing, 30), (Reading, 9), (Reading, 10)]),
        (&rolling("2024-09-01"), "2024-09-01", &[(Marketing, 1), (Reading, 1)]),
        (&rolling("2024-09-01"), "2024-10-01", &[(Marketing, 1), (Reading, 1)]),
        (&rolling("2024-09-01"), "2024-10-31", &[(Marketing, 1), (Reading, 1)]),
        (&rolling("2024-09-01"), "2024-09-11", &[(Marketing, 11), (Reading, 1)]),
        (&rolling("2024-09-01"), "2024-08-31", &[(Marketing, 30), (Reading, 10)]),
    ];
    for (cadence, on, expected) in cases {
        assert_eq!(cadence.due(day(on)), *expected, "{on} {:?}", cadence.mode);
    }
}

#[test]
fn other_cycles() {
    let series = Series { marketing_cycle: 20, reading_cycle: 7, ..Series::default() };
    let mode = CadenceMode::Calendar { short_month: ShortMonth::Skip };
    let cadence = Cadence { mode, series };
    assert_eq!(cadence.due(day("2024-09-20")), [(Marketing, 20), (Reading, 6)]);
    assert_eq!(cadence.due(day("2024-09-21")), [(Reading, 7)]);
    assert_eq!(cadence.batch_of_today(day("2024-09-21"), Marketing), 1);
    assert_eq!(cadence.reading_of(20), 6);
    let empty = Series { marketing_cycle: 0, reading_cycle: 0, ..Series::default() };
    let cadence = Cadence { mode: CadenceMode::Rolling { epoch: Day(0) }, series: empty };
    assert_eq!(cadence.due(Day(9)), [(Marketing, 1), (Reading, 1)], "no division by zero");
}

#[test]
fn todays_batch_and_the_next_round() {
    let skip = calendar(ShortMonth::Skip);
    assert_eq!(skip.batch_of_today(day("2024-08-31"), Marketing), 1);
    assert_eq!(skip.batch_of_today(day("2024-08-31"), Reading), 1);
    assert_eq!(skip.batch_of_today(day("2024-09-29"), Marketing), 29);
    assert_eq!(skip.batch_of_today(day("2024-09-29"), Reading), 9);
    let last = calendar(ShortMonth::LastDay);
    assert_eq!(last.batch_of_today(day("2023-02-28"), Marketing), 28, "the day's own number");
    assert_eq!(rolling("2024-09-01").batch_of_today(day("2024-10-31"), Marketing), 1);
    for (cadence, kind, no, after, expected) in [
        (&skip, Marketing, 9, "2024-09-09", Some("2024-10-09")),
        (&skip, Marketing, 9, "2024-09-08", Some("2024-09-09")),
        (&skip, Reading, 9, "2024-09-09", Some("2024-09-19")),
        (&skip, Marketing, 30, "2023-01-30", Some("2023-03-30")),
        (&skip, Marketing, 31, "2023-01-30", None),
        (&last, Marketing, 30, "2023-01-30", Some("2023-02-28")),
        (&rolling("2024-09-01"), Marketing, 30, "2024-09-30", Some("2024-10-30")),
    ] {
        assert_eq!(
            cadence.next_due(kind, no, day(after)),
            expected.map(day),
            "{kind:?}{no} {after}"
        );
    }
    assert_eq!([1, 11, 21, 10, 30, 9].map(|no| skip.reading_of(no)), [1, 1, 1, 10, 10, 9]);
    assert_eq!(week_start(day("2024-09-08")), day("2024-09-02"), "Sunday");
    assert_eq!(week_start(day("2024-09-09")), day("2024-09-09"), "Monday");
    assert_eq!(week_start(day("2025-01-01")), day("2024-12-30"), "over New Year");
}

#[test]
fn the_edges_of_days_and_windows() {
    let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").unwrap();
    for (zone, on, at, expected, why) in [
        (chrono_tz::Asia::Shanghai, "2024-09-05", "09:00", "2024-09-05T01:00:00Z", "plain"),
        (chrono_tz::Europe::Berlin, "2024-03-31", "02:30", "2024-03-31T01:00:00Z", "skipped"),
        (chrono_tz::Europe::Berlin, "2024-10-27", "02:30", "2024-10-27T00:30:00Z", "twice"),
        (chrono_tz::America::Santiago, "2024-09-08", "00:00", "2024-09-08T04:00:00Z", "no 00:00"),
        (chrono_tz::America::Havana, "2024-11-03", "00:00", "2024-11-03T04:00:00Z", "two 00:00"),
        (chrono_tz::Pacific::Apia, "2011-12-30", "12:00", "2011-12-30T10:00:00Z", "no such day"),
        (chrono_tz::Australia::Lord_Howe, "2024-10-06", "02:10", "2024-10-05T15:30:00Z", "half"),
    ] {
        let found = Zone(zone).at(day(on), time(at));
        assert_eq!(found.utc().to_rfc3339(), expected.replace('Z', "+00:00"), "{zone} {why}");
    }
    for zone in [chrono_tz::Asia::Shanghai, chrono_tz::Europe::Berlin, chrono_tz::America::Santiago]
    {
        let zone = Zone(zone);
        for today in (0..800).map(|n| day("2023-06-01").plus(n)) {
            let start = zone.start_of(today);
            assert_eq!(zone.day_of(start), today);
            assert_eq!(zone.day_of(Moment(start.0 - 1)), today.plus(-1));
        }
    }
    let zone = Zone(chrono_tz::Asia::Shanghai);
    let office = Window::parse("09:00", "18:00").unwrap();
    let late = Window::parse("20:00", "24:00").unwrap();
    for (window, at, open) in [
        (office, "2024-09-05T00:59:59Z", false),
        (office, "2024-09-05T01:00:00Z", true),
        (office, "2024-09-05T09:59:59Z", true),
        (office, "2024-09-05T10:00:00Z", false),
        (late, "2024-09-05T15:59:59Z", true),
        (late, "2024-09-05T16:00:00Z", false),
        (Window::default(), "2024-09-05T16:00:00Z", true),
    ] {
        assert_eq!(window.contains(zone, moment(at)), open, "{window:?} {at}");
    }
    assert_eq!(late.closes(zone, day("2024-09-05")), zone.start_of(day("2024-09-06")));
    assert!(matches!(Window::parse("9 Uhr", "18:00"), Err(WindowError::Time(_))));
    assert!(matches!(Window::parse("24:00", "24:00"), Err(WindowError::Time(_))));
    assert!(matches!(Window::parse("18:00", "18:00"), Err(WindowError::Order { .. })));
    assert_eq!(Window::parse("00:00", "24:00").unwrap(), Window::default());
}

fn tag(id: u16, name: &str) -> Tag {
    let batch = match TagName::parse(name, &Series::default()) {
        Ok(TagName::Batch(batch)) => Some(batch),
        _ => None,
    };
    Tag { id: TagId(id), name: name.to_owned(), group: String::new(), batch }
}

#[test]
fn readers_move_next_monday_and_once() {
    let cadence = calendar(ShortMonth::Skip);
    let tags = [
        tag(0, "英语-工程-营销21"),
        tag(1, "英语-工程-营销02"),
        tag(2, "法语-工程-营销01"),
        tag(3, "英语-工程-阅读05"),
        tag(4, "en-dealers-marketing13"),
        tag(5, "💬询盘"),
    ];
    let open = |contact, tag, class, at: &str| PendingOpen {
        contact: ContactId(contact),
        tag: TagId(tag),
        class,
        day: Zone(chrono_tz::UTC).day_of(moment(at)),
        at: moment(at),
    };
    let opens = [
        open(1, 1, OpenClass::Human, "2024-09-06T10:00:00Z"),
        open(1, 0, OpenClass::Human, "2024-09-04T10:00:00Z"),
        open(1, 2, OpenClass::Human, "2024-09-08T23:59:00Z"),
        open(2, 0, OpenClass::Machine, "2024-09-04T10:00:00Z"),
        open(3, 0, OpenClass::Prefetch, "2024-09-04T10:00:00Z"),
        open(4, 3, OpenClass::Human, "2024-09-04T10:00:00Z"),
        open(5, 4, OpenClass::ProxyHuman, "2024-09-04T10:00:00Z"),
        open(6, 0, OpenClass::Human, "2024-09-04T10:00:00Z"),
        open(7, 5, OpenClass::Human, "2024-09-04T10:00:00Z"),
        open(8, 0, OpenClass::Human, "2024-09-09T00:00:00Z"),
        open(9, 99, OpenClass::Human, "2024-09-04T10:00:00Z"),
    ];
    let is_reader = |contact: ContactId, audience: &Audience| {
        contact == ContactId(6) && audience.as_str() == "英语-工程"
    };
    let given = |promote, now: &str| {
        let readers = Readers { promote, cadence: &cadence, tags: &tags, is_reader: &is_reader };
        let today = Zone(chrono_tz::UTC).day_of(moment(now));
        let promotions = readers.promotions(&opens, today, moment(now));
        promotions.iter().map(|p| format!("{} {}", p.contact.0, p.tag)).collect::<Vec<_>>()
    };
    assert_eq!(given(Promote::NextWeek, "2024-09-08T23:59:59Z"), [""; 0]);
    let monday = ["1 英语-工程-阅读01", "5 en-dealers-reading03", "1 法语-工程-阅读01"];
    assert_eq!(given(Promote::NextWeek, "2024-09-09T00:00:00Z"), monday);
    assert_eq!(given(Promote::NextWeek, "2024-09-12T00:00:00Z"), monday, "a Monday missed");
    let later = given(Promote::NextWeek, "2025-03-01T00:00:00Z");
    assert_eq!(later.last().map(String::as_str), Some("8 英语-工程-阅读01"), "of any age");
    assert_eq!(given(Promote::AfterHours(24), "2024-09-05T09:59:59Z"), [""; 0]);
    assert_eq!(given(Promote::AfterHours(24), "2024-09-05T10:00:00Z"), monday[..2]);
}
