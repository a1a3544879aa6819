//! The audit against planted violations: each is found and named, and a clean journal has none.

use tradewind::book::contact::{Card, CompanyNo, ContactId, Day, Kind, Moment};
use tradewind::book::tag::{SeriesKind, TagId};
use tradewind::feedback::entry::{Cause, Entry, LetterId, Target, Via, What};
use tradewind::feedback::verdict::Class;
use tradewind::store::audit::{Audit, Rules, audit};
use tradewind::store::journal::Journal;

const RULES: Rules =
    Rules { company_per_day_max: 20, contact_gap_days_min: 7, silent_gap_days_min: 21 };
/// Tags: two marketing batches, a reading batch, and one that is no batch.
const M1: u16 = 0;
const M2: u16 = 1;
const R1: u16 = 2;
const PLAIN: u16 = 3;

fn letter(contact: u32, tag: u16, due: u16) -> LetterId {
    LetterId { contact: ContactId(contact), tag: TagId(tag), due: Day(due) }
}

/// Contacts 0 to 29 of company 0 below acme.example, 30 to 49 of companies of their own.
fn book() -> Vec<What> {
    let series = |kind, no| Some(("英语-a".to_owned(), kind, "s".to_owned(), no));
    let tags = [
        (M1, series(SeriesKind::Marketing, 1)),
        (M2, series(SeriesKind::Marketing, 2)),
        (R1, series(SeriesKind::Reading, 1)),
        (PLAIN, None),
    ];
    let declared = tags.into_iter().map(|(tag, batch)| What::TagDeclared {
        tag: TagId(tag),
        name: format!("tag {tag}"),
        group: "g".to_owned(),
        batch,
    });
    let imported = (0..50).map(|n| What::Imported {
        contact: ContactId(n),
        address: match n {
            0..30 => format!("p{n}@Sales.acme.example"),
            _ => format!("p{n}@c{n}.example"),
        },
        company: CompanyNo(if n < 30 { 0 } else { n }),
        company_key: None,
        kind: Kind::Precise,
        rank: n + 1,
        day: Day(100),
        import: 0,
        tags: vec![TagId(M1)],
        card: Card::default(),
    });
    declared.chain(imported).collect()
}

fn attempt(letter: LetterId, day: u16, attempt: u16, counts: bool) -> What {
    let company = CompanyNo(if letter.contact.0 < 30 { 0 } else { letter.contact.0 });
    let (template, rehearsal) = (1, true);
    What::Claimed { letter, day: Day(day), company, attempt, counts, template, rehearsal }
}

fn claim(letter: LetterId, day: u16) -> What {
    attempt(letter, day, 1, true)
}

fn accepted(letter: LetterId) -> What {
    What::Accepted { letter, reply: "250".to_owned() }
}

fn refused(letter: LetterId) -> What {
    What::Refused { letter, class: Class::Quota, reply: "552".to_owned() }
}

fn unknown(letter: LetterId) -> What {
    What::Unknown { letter, why: "cut".to_owned() }
}

fn deferred(letter: LetterId) -> What {
    let (until, class, reply) = (Moment(0), Class::Greylist, "451".to_owned());
    What::Deferred { letter, until, class, reply }
}

fn withdrawn(letter: LetterId) -> What {
    What::Withdrawn { letter, reason: "suppressed".to_owned() }
}

fn suppressed(target: Target) -> What {
    What::Suppressed { target, cause: Cause::Operator, note: String::new() }
}

fn unsuppressed(target: Target) -> What {
    What::Unsuppressed { target, reason: String::new() }
}

fn unsubscribed(contact: u32) -> What {
    What::Unsubscribed { contact: ContactId(contact), letter: None, via: Via::Page }
}

fn domain(name: &str) -> Target {
    Target::Domain(name.to_owned())
}

fn one(contact: u32) -> Target {
    Target::Contact(ContactId(contact))
}

/// A letter claimed on its due day and accepted.
fn sent(contact: u32, tag: u16, day: u16) -> Vec<What> {
    let letter = letter(contact, tag, day);
    vec![claim(letter, day), accepted(letter)]
}

fn judged(planted: Vec<What>) -> Audit {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = Journal::create(dir.path(), [1; 16]).expect("create");
    for (n, what) in (0..).zip(book().into_iter().chain(planted)) {
        journal.push(&Entry { at: Moment(n), what });
    }
    journal.commit().expect("commit");
    audit(dir.path(), RULES).expect("readable")
}

/// Kinds of the violations, each with the place of its entry among those planted, from 0.
fn kinds(planted: Vec<What>) -> Vec<(String, u64)> {
    let before = book().len() as u64 + 1;
    let found = judged(planted).violations;
    found.into_iter().map(|violation| (violation.kind, violation.seq - before)).collect()
}

fn all(parts: &[Vec<What>]) -> Vec<What> {
    parts.concat()
}

#[test]
fn clean_journals_have_no_violations() {
    let a = letter(1, M1, 100);
    let b = letter(31, M1, 100);
    for (name, planted) in [
        ("nothing", vec![]),
        ("twenty of a company, and more the next day", {
            let first = (0..20).flat_map(|n| sent(n, M1, 100));
            first.chain((20..30).flat_map(|n| sent(n, M1, 101))).collect()
        }),
        ("a reading letter a week after a silent one", all(&[sent(1, M1, 100), sent(1, R1, 107)])),
        ("a silent letter a week after a reading one", all(&[sent(1, R1, 100), sent(1, M1, 107)])),
        ("the next silent one", all(&[sent(1, M1, 100), sent(1, M2, 121)])),
        (
            "a refused one counts for no gap",
            all(&[vec![claim(a, 100), refused(a)], sent(1, M2, 101)]),
        ),
        (
            "retried on the same day and the next",
            vec![
                claim(a, 100),
                deferred(a),
                attempt(a, 100, 2, false),
                deferred(a),
                attempt(a, 101, 3, true),
                deferred(a),
                attempt(a, 101, 4, false),
                accepted(a),
            ],
        ),
        (
            "withdrawn between attempts",
            vec![claim(a, 100), deferred(a), unsubscribed(1), withdrawn(a)],
        ),
        ("withdrawn before any claim", vec![unsubscribed(1), withdrawn(a)]),
        (
            "expired, and the next round",
            all(&[vec![claim(a, 100), deferred(a), What::Expired { letter: a }], sent(1, M2, 103)]),
        ),
        ("excluded and let in again", {
            let let_in = vec![
                suppressed(one(31)),
                suppressed(domain("example")),
                unsuppressed(domain("example")),
                unsuppressed(one(31)),
            ];
            all(&[let_in, vec![claim(b, 100), accepted(b)]])
        }),
        (
            "another domain, and no whole label",
            all(&[
                vec![suppressed(domain("acme.example")), suppressed(domain("1.example"))],
                sent(31, M1, 100),
            ]),
        ),
        ("unsubscribed after the claim", vec![claim(a, 100), unsubscribed(1), accepted(a)]),
    ] {
        assert_eq!(kinds(planted), [], "{name}");
    }
    let audit = judged(all(&[sent(1, M1, 100), sent(2, M1, 100)]));
    assert_eq!((audit.entries, audit.letters, audit.unlisted), (book().len() as u64 + 4, 2, 0));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn every_planted_violation_is_named() {
    let a = letter(1, M1, 100);
    let b = letter(1, M2, 100);
    let retry = |letter| attempt(letter, 100, 2, false);
    for (name, planted, expected) in [
        (
            "a second claim the same day",
            vec![claim(a, 100), refused(a), claim(b, 100)],
            vec![("twice-a-day", 2)],
        ),
        (
            "a 21st for a company",
            (0..21).flat_map(|n| sent(n, M1, 100)).collect(),
            vec![("company-cap", 40)],
        ),
        (
            "a retry on a later day above the cap",
            all(&[
                vec![claim(letter(29, M1, 99), 99), deferred(letter(29, M1, 99))],
                (0..20).flat_map(|n| sent(n, M1, 100)).collect(),
                vec![attempt(letter(29, M1, 99), 100, 2, true)],
            ]),
            vec![("company-cap", 42)],
        ),
        (
            "a retry that dodges the next day's cap",
            vec![claim(a, 100), deferred(a), attempt(a, 101, 2, false)],
            vec![("uncounted", 2)],
        ),
        ("after an unsubscribe", vec![unsubscribed(1), claim(a, 100)], vec![("suppressed", 1)]),
        ("after a suppression", vec![suppressed(one(1)), claim(a, 100)], vec![("suppressed", 1)]),
        (
            "a retry after an unsubscribe",
            vec![claim(a, 100), deferred(a), unsubscribed(1), retry(a)],
            vec![("suppressed", 3)],
        ),
        (
            "below a suppressed domain",
            vec![suppressed(domain("ACME.example")), claim(a, 100)],
            vec![("suppressed", 1)],
        ),
        (
            "only one of two suppressions taken back",
            vec![
                suppressed(domain("example")),
                suppressed(domain("sales.acme.example")),
                unsuppressed(domain("example")),
                claim(a, 100),
            ],
            vec![("suppressed", 3)],
        ),
        ("six days", all(&[sent(1, M1, 100), sent(1, R1, 106)]), vec![("gap", 2)]),
        (
            "six days after an unknown",
            all(&[vec![claim(a, 100), unknown(a)], sent(1, R1, 106)]),
            vec![("gap", 2)],
        ),
        ("silent after twenty days", all(&[sent(1, M1, 100), sent(1, M2, 120)]), vec![("gap", 2)]),
        (
            "silent, reading, silent",
            all(&[sent(1, M1, 100), sent(1, R1, 110), sent(1, M2, 120)]),
            vec![("gap", 4)],
        ),
        (
            "the day goes back",
            all(&[sent(31, M1, 100), sent(32, M1, 99), sent(33, M1, 100)]),
            vec![("day-went-back", 2)],
        ),
        (
            "accepted twice",
            all(&[sent(1, M1, 100), vec![accepted(a)]]),
            vec![("accepted-twice", 2)],
        ),
        (
            "refused after accepted",
            all(&[sent(1, M1, 100), vec![refused(a)]]),
            vec![("settled-twice", 2)],
        ),
        (
            "resent after unknown",
            vec![claim(a, 100), unknown(a), claim(a, 130), accepted(a)],
            vec![("unknown-resent", 2)],
        ),
        (
            "resent after unknown, as a retry, other letters between",
            all(&[
                vec![claim(a, 100), unknown(a)],
                sent(1, M2, 130),
                vec![attempt(a, 160, 2, true)],
            ]),
            vec![("other-letter", 4), ("unknown-resent", 4)],
        ),
        (
            "resent after accepted",
            all(&[sent(1, M1, 100), vec![claim(a, 130)]]),
            vec![("sent-again", 2)],
        ),
        ("accepted unclaimed", vec![accepted(a)], vec![("outcome-without-claim", 0)]),
        (
            "deferred twice",
            vec![claim(a, 100), deferred(a), deferred(a)],
            vec![("outcome-without-claim", 2)],
        ),
        (
            "accepted while waiting",
            vec![claim(a, 100), deferred(a), accepted(a)],
            vec![("outcome-without-claim", 2)],
        ),
        (
            "claimed again before the end",
            vec![claim(a, 100), retry(a)],
            vec![("claim-unsettled-twice", 1)],
        ),
        (
            "another letter while one is under way",
            vec![claim(a, 100), deferred(a), claim(letter(1, M2, 101), 101)],
            vec![("two-letters", 2)],
        ),
        (
            "a retry with another letter",
            vec![claim(a, 100), deferred(a), attempt(b, 101, 2, true)],
            vec![("other-letter", 2)],
        ),
        ("a retry of nothing", vec![attempt(a, 100, 2, true)], vec![("other-letter", 0)]),
        ("a stranger", vec![claim(letter(99, M1, 100), 100)], vec![("no-such-contact", 0)]),
        ("a strange tag", vec![claim(letter(1, 99, 100), 100)], vec![("no-such-tag", 0)]),
        (
            "a real claim in a rehearsal",
            all(&[
                sent(31, M1, 100),
                vec![What::Claimed {
                    letter: letter(32, M1, 100),
                    day: Day(100),
                    company: CompanyNo(32),
                    attempt: 1,
                    counts: true,
                    template: 1,
                    rehearsal: false,
                }],
            ]),
            vec![("rehearsal", 2)],
        ),
    ] {
        let expected: Vec<_> =
            expected.into_iter().map(|(kind, at)| (kind.to_owned(), at)).collect();
        assert_eq!(kinds(planted), expected, "{name}");
    }
}
