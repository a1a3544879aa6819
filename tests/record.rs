//! The bytes of every kind of entry: they come back as they were, other bytes never panic, and the
//! format does not change unnoticed.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use tradewind::book::contact::{Card, CompanyNo, ContactId, Day, Kind, Moment};
use tradewind::book::label::LabelKind;
use tradewind::book::tag::{SeriesKind, TagId};
use tradewind::cadence::intake::ImportCounts;
use tradewind::feedback::entry::{By, Cause, Entry, LetterId, RoundRecord, Target, Via, What};
use tradewind::feedback::open::OpenClass;
use tradewind::feedback::verdict::Class;
use tradewind::store::record::{RecordError, decode, encode};

const CLASSES: [Class; 13] = [
    Class::InvalidRecipient,
    Class::Inactive,
    Class::BadDomain,
    Class::Quota,
    Class::Rate,
    Class::Greylist,
    Class::Policy,
    Class::Spam,
    Class::Auth,
    Class::Message,
    Class::Network,
    Class::Protocol,
    Class::Other,
];
const OPEN_CLASSES: [OpenClass; 5] = [
    OpenClass::Human,
    OpenClass::ProxyHuman,
    OpenClass::Prefetch,
    OpenClass::Machine,
    OpenClass::Unknown,
];
const CAUSES: [Cause; 5] =
    [Cause::Unsubscribed, Cause::Complained, Cause::HardBounce, Cause::Operator, Cause::Erased];

fn contact() -> impl Strategy<Value = ContactId> + Clone {
    any::<u32>().prop_map(ContactId)
}

fn tag() -> impl Strategy<Value = TagId> + Clone {
    any::<u16>().prop_map(TagId)
}

fn day() -> impl Strategy<Value = Day> + Clone {
    any::<u16>().prop_map(Day)
}

fn moment() -> impl Strategy<Value = Moment> {
    any::<i64>().prop_map(Moment)
}

fn company() -> impl Strategy<Value = CompanyNo> {
    any::<u32>().prop_map(CompanyNo)
}

fn letter() -> impl Strategy<Value = LetterId> + Clone {
    (contact(), tag(), day()).prop_map(|(contact, tag, due)| LetterId { contact, tag, due })
}

fn text() -> impl Strategy<Value = String> + Clone {
    prop_oneof![Just(String::new()), any::<String>(), Just("营销💬".repeat(60))]
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![
        text().prop_map(By::Person),
        text().prop_map(By::Rule),
        any::<u32>().prop_map(By::Import)
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![contact().prop_map(Target::Contact), text().prop_map(Target::Domain)]
}

fn class() -> impl Strategy<Value = Class> {
    select(&CLASSES[..])
}

fn open_class() -> impl Strategy<Value = OpenClass> {
    select(&OPEN_CLASSES[..])
}

fn card() -> impl Strategy<Value = Card> {
    let named = (text(), text(), text(), text(), text(), text());
    (named, vec((text(), text()), 0..4)).prop_map(|(named, attributes)| {
        let (name, company, country, language, title, source) = named;
        Card { name, company, country, language, title, source, attributes }
    })
}

fn counts() -> impl Strategy<Value = ImportCounts> {
    any::<[u64; 8]>().prop_map(
        |[rows, new, known, updated, over_cap, suppressed, duplicate, invalid]| ImportCounts {
            rows,
            new,
            known,
            updated,
            over_cap,
            suppressed,
            duplicate,
            invalid,
        },
    )
}

fn rounds() -> impl Strategy<Value = Vec<RoundRecord>> {
    let round = (tag(), day(), vec((text(), any::<Vec<u8>>()), 0..3));
    vec(round.prop_map(|(tag, due, outcomes)| RoundRecord { tag, due, outcomes }), 0..3)
}

fn batch() -> impl Strategy<Value = Option<(String, SeriesKind, String, u8)>> {
    let kind = select(&[SeriesKind::Marketing, SeriesKind::Reading][..]);
    option::of((text(), kind, text(), any::<u8>()))
}

fn imported() -> impl Strategy<Value = What> {
    let who = (contact(), text(), company(), option::of(text()));
    let kind = select(&[Kind::Precise, Kind::Ordinary][..]);
    let place = (kind, any::<u32>(), day(), any::<u32>(), vec(tag(), 0..4));
    (who, place, card()).prop_map(|(who, place, card)| {
        let (contact, address, company, company_key) = who;
        let (kind, rank, day, import, tags) = place;
        What::Imported {
            contact,
            address,
            company,
            company_key,
            kind,
            rank,
            day,
            import,
            tags,
            card,
        }
    })
}

fn book() -> BoxedStrategy<What> {
    prop_oneof![
        any::<[u8; 16]>().prop_map(|store| What::StoreCreated { store }),
        (tag(), text(), text(), batch()).prop_map(|(tag, name, group, batch)| What::TagDeclared {
            tag,
            name,
            group,
            batch
        }),
        (any::<u32>(), text(), text(), option::of(tag()))
            .prop_map(|(import, who, file, tag)| What::ImportBegan { import, who, file, tag }),
        imported(),
        (contact(), any::<u32>(), card()).prop_map(|(contact, import, card)| What::Updated {
            contact,
            import,
            card
        }),
        (any::<u32>(), counts()).prop_map(|(import, counts)| What::ImportEnded { import, counts }),
        (contact(), tag(), day(), by()).prop_map(|(contact, tag, day, by)| What::Tagged {
            contact,
            tag,
            day,
            by
        }),
        (contact(), tag(), by(), text()).prop_map(|(contact, tag, by, reason)| What::Untagged {
            contact,
            tag,
            by,
            reason
        }),
        (target(), select(&CAUSES[..]), text())
            .prop_map(|(target, cause, note)| What::Suppressed { target, cause, note }),
        (target(), text()).prop_map(|(target, reason)| What::Unsuppressed { target, reason }),
    ]
    .boxed()
}

fn claimed() -> impl Strategy<Value = What> {
    let facts = (any::<u16>(), any::<bool>(), any::<u64>(), any::<bool>());
    (letter(), day(), company(), facts).prop_map(|(letter, day, company, facts)| {
        let (attempt, counts, template, rehearsal) = facts;
        What::Claimed { letter, day, company, attempt, counts, template, rehearsal }
    })
}

fn delivery() -> BoxedStrategy<What> {
    prop_oneof![
        day().prop_map(|day| What::DayOpened { day }),
        (day(), rounds()).prop_map(|(day, rounds)| What::PlanFrozen { day, rounds }),
        (day(), rounds()).prop_map(|(day, rounds)| What::DayClosed { day, rounds }),
        claimed(),
        (any::<u64>(), text(), text()).prop_map(|(hash, name, source)| What::TemplateKept {
            hash,
            name,
            source
        }),
        (letter(), text()).prop_map(|(letter, reply)| What::Accepted { letter, reply }),
        (letter(), moment(), class(), text()).prop_map(|(letter, until, class, reply)| {
            What::Deferred { letter, until, class, reply }
        }),
        (letter(), class(), text()).prop_map(|(letter, class, reply)| What::Refused {
            letter,
            class,
            reply
        }),
        (letter(), text()).prop_map(|(letter, why)| What::Unknown { letter, why }),
        (letter(), text()).prop_map(|(letter, reason)| What::Withdrawn { letter, reason }),
    ]
    .boxed()
}

fn feedback() -> BoxedStrategy<What> {
    let via = select(&[Via::OneClick, Via::Page, Via::Mail][..]);
    prop_oneof![
        letter().prop_map(|letter| What::Expired { letter }),
        (letter(), open_class(), text(), day())
            .prop_map(|(letter, class, reason, day)| What::Opened { letter, class, reason, day }),
        (letter(), any::<u16>(), open_class(), day())
            .prop_map(|(letter, link, class, day)| What::Clicked { letter, link, class, day }),
        (contact(), option::of(letter()), via)
            .prop_map(|(contact, letter, via)| What::Unsubscribed { contact, letter, via }),
        by().prop_map(|by| What::Paused { by }),
        by().prop_map(|by| What::Resumed { by }),
        (contact(), day(), by(), text()).prop_map(|(contact, day, by, text)| What::Noted {
            contact,
            day,
            by,
            text
        }),
        (contact(), select(&[LabelKind::Owner, LabelKind::Stage][..]), text(), day(), by())
            .prop_map(|(contact, kind, value, day, by)| What::Labelled {
                contact,
                kind,
                value,
                day,
                by
            }),
        (tag(), by(), text()).prop_map(|(tag, by, reason)| What::BatchHeld { tag, by, reason }),
        (tag(), by()).prop_map(|(tag, by)| What::BatchReleased { tag, by }),
        (tag(), day(), by()).prop_map(|(tag, due, by)| What::RoundApproved { tag, due, by }),
    ]
    .boxed()
}

fn entry() -> impl Strategy<Value = Entry> {
    let what = prop_oneof![10 => book(), 10 => delivery(), 12 => feedback()];
    (moment(), what).prop_map(|(at, what)| Entry { at, what })
}

proptest! {
    #[test]
    fn entries_come_back_as_they_were(entries in vec(entry(), 1..8)) {
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| encode(entry, &mut bytes));
        let mut rest = bytes.as_slice();
        for entry in &entries {
            prop_assert_eq!(&decode(&mut rest).unwrap(), entry);
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() && decode(&mut rest).is_ok() {}
    }

    #[test]
    fn no_change_of_a_record_makes_it_panic(
        entry in entry(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        encode(&entry, &mut bytes);
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
            prop_assert_eq!(decode(&mut bytes.as_slice()), Err(RecordError::Short));
        } else {
            bytes[at] = byte;
            let before = bytes.as_slice();
            let mut rest = before;
            if decode(&mut rest).is_err() {
                prop_assert_eq!(rest, before);
            }
        }
    }
}

/// One entry of every kind, in the order of their numbers, and its bytes.
#[expect(clippy::too_many_lines, reason = "one table of all kinds")]
fn golden() -> Vec<(What, &'static str)> {
    let letter = LetterId { contact: ContactId(300), tag: TagId(3), due: Day(19971) };
    let (contact, tag, day) = (ContactId(300), TagId(3), Day(19971));
    let text = |text: &str| text.to_owned();
    let rounds = vec![RoundRecord { tag, due: day, outcomes: vec![(text("send"), vec![1, 200])] }];
    let card = Card {
        name: text("Ann"),
        company: text("Acme"),
        country: text("FR"),
        language: text("法语"),
        title: text("CEO"),
        source: text("s"),
        attributes: vec![(text("k"), text("v"))],
    };
    let counts = ImportCounts {
        rows: 300,
        new: 1,
        known: 2,
        updated: 3,
        over_cap: 4,
        suppressed: 5,
        duplicate: 6,
        invalid: 7,
    };
    vec![
        (What::StoreCreated { store: [7; 16] }, "170180c4c7feb76407070707070707070707070707070707"),
        (
            What::TagDeclared {
                tag,
                name: text("英语-a-营销01"),
                group: text("marketing"),
                batch: Some((text("英语-a"), SeriesKind::Marketing, text("营销"), 1)),
            },
            "370280c4c7feb7640311e88bb1e8afad2d612de890a5e994803031096d61726b6574696e670108e88bb1e8afad2d610106e890a5e9948001",
        ),
        (
            What::ImportBegan { import: 1, who: text("op"), file: text("-"), tag: Some(tag) },
            "0f0380c4c7feb76401026f70012d0103",
        ),
        (
            What::Imported {
                contact,
                address: text("Ann@acme.example"),
                company: CompanyNo(70000),
                company_key: Some(text("acme.example")),
                kind: Kind::Ordinary,
                rank: 11,
                day,
                import: 1,
                tags: vec![tag, TagId(4)],
                card: card.clone(),
            },
            "520480c4c7feb764ac0210416e6e4061636d652e6578616d706c65f0a204010c61636d652e6578616d706c65020b839c010102030403416e6e0441636d6502465206e6b395e8afad0343454f017301016b0176",
        ),
        (
            What::Updated { contact, import: 2, card },
            "280580c4c7feb764ac020203416e6e0441636d6502465206e6b395e8afad0343454f017301016b0176",
        ),
        (What::ImportEnded { import: 1, counts }, "110680c4c7feb76401ac0201020304050607"),
        (
            What::Tagged { contact, tag, day, by: By::Rule(text("read")) },
            "130780c4c7feb764ac0203839c01020472656164",
        ),
        (
            What::Untagged { contact, tag, by: By::Person(text("op")), reason: text("x") },
            "100880c4c7feb764ac020301026f700178",
        ),
        (
            What::Suppressed {
                target: Target::Domain(text("acme.example")),
                cause: Cause::Operator,
                note: text("n"),
            },
            "180980c4c7feb764020c61636d652e6578616d706c6504016e",
        ),
        (
            What::Unsuppressed { target: Target::Contact(contact), reason: text("r") },
            "0c0a80c4c7feb76401ac020172",
        ),
        (What::DayOpened { day }, "0a0b80c4c7feb764839c01"),
        (
            What::PlanFrozen { day, rounds: rounds.clone() },
            "180c80c4c7feb764839c010103839c01010473656e640201c8",
        ),
        (What::DayClosed { day, rounds }, "180d80c4c7feb764839c010103839c01010473656e640201c8"),
        (
            What::Claimed {
                letter,
                day,
                company: CompanyNo(70000),
                attempt: 2,
                counts: true,
                template: u64::MAX,
                rehearsal: false,
            },
            "200e80c4c7feb764ac0203839c01839c01f0a2040201ffffffffffffffffff0100",
        ),
        (
            What::TemplateKept { hash: 9, name: text("a.txt"), source: text("Hi") },
            "110f80c4c7feb7640905612e747874024869",
        ),
        (
            What::Accepted { letter, reply: text("250 ok") },
            "141080c4c7feb764ac0203839c0106323530206f6b",
        ),
        (
            What::Deferred {
                letter,
                until: Moment(-1),
                class: Class::Greylist,
                reply: text("451"),
            },
            "131180c4c7feb764ac0203839c01010603343531",
        ),
        (
            What::Refused { letter, class: Class::Other, reply: text("550") },
            "121280c4c7feb764ac0203839c010d03353530",
        ),
        (What::Unknown { letter, why: text("cut") }, "111380c4c7feb764ac0203839c0103637574"),
        (
            What::Withdrawn { letter, reason: text("suppressed") },
            "181480c4c7feb764ac0203839c010a73757070726573736564",
        ),
        (What::Expired { letter }, "0d1580c4c7feb764ac0203839c01"),
        (
            What::Opened { letter, class: OpenClass::ProxyHuman, reason: text("gmail"), day },
            "171680c4c7feb764ac0203839c010205676d61696c839c01",
        ),
        (
            What::Clicked { letter, link: 2, class: OpenClass::Human, day },
            "121780c4c7feb764ac0203839c010201839c01",
        ),
        (
            What::Unsubscribed { contact, letter: Some(letter), via: Via::OneClick },
            "111880c4c7feb764ac0201ac0203839c0101",
        ),
        (What::Paused { by: By::Import(5) }, "091980c4c7feb7640305"),
        (What::Resumed { by: By::Person(text("op")) }, "0b1a80c4c7feb76401026f70"),
        (
            What::Noted { contact, day, by: By::Person(text("op")), text: text("n") },
            "121b80c4c7feb764ac02839c0101026f70016e",
        ),
        (
            What::BatchHeld { tag, by: By::Person(text("op")), reason: text("p") },
            "0e1c80c4c7feb7640301026f700170",
        ),
        (What::BatchReleased { tag, by: By::Person(text("op")) }, "0c1d80c4c7feb7640301026f70"),
        (
            What::RoundApproved { tag, due: day, by: By::Person(text("op")) },
            "0f1e80c4c7feb76403839c0101026f70",
        ),
        (
            What::Limited {
                company_per_day_max: 20,
                contact_gap_days_min: 7,
                silent_gap_days_min: 21,
            },
            "0a1f80c4c7feb764140715",
        ),
        (
            What::Labelled {
                contact,
                kind: LabelKind::Owner,
                value: text("wang"),
                day,
                by: By::Person(text("op")),
            },
            "162080c4c7feb764ac02010477616e67839c0101026f70",
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_format_stays_what_it_is() {
    let mut last = 0;
    for (what, expected) in golden() {
        let entry = Entry { at: Moment(1_725_501_600_000), what };
        let mut bytes = Vec::new();
        encode(&entry, &mut bytes);
        last += 1;
        let kind_at = if bytes[0] < 0x80 { 1 } else { 2 };
        assert_eq!(bytes[kind_at], last, "kinds are numbered in this order");
        assert_eq!(hex(&bytes), expected, "{:?}", entry.what);
        assert_eq!(decode(&mut bytes.as_slice()).unwrap(), entry);
    }
    let mut next: &[u8] = &[2, last + 1, 0];
    assert_eq!(decode(&mut next), Err(RecordError::Newer(last + 1)), "the table misses a kind");
}

#[test]
fn codes_are_told_apart() {
    let letter = LetterId { contact: ContactId(0), tag: TagId(0), due: Day(0) };
    let code = |what| {
        let mut bytes = Vec::new();
        encode(&Entry { at: Moment(0), what }, &mut bytes);
        bytes
    };
    for (n, class) in (1..).zip(CLASSES) {
        let bytes = code(What::Refused { letter, class, reply: String::new() });
        assert_eq!(bytes, [7, 18, 0, 0, 0, 0, n, 0], "{class:?}");
    }
    for (n, class) in (1..).zip(OPEN_CLASSES) {
        let bytes = code(What::Clicked { letter, link: 0, class, day: Day(0) });
        assert_eq!(bytes, [8, 23, 0, 0, 0, 0, 0, n, 0], "{class:?}");
    }
    for (n, cause) in (1..).zip(CAUSES) {
        let target = Target::Contact(ContactId(0));
        let bytes = code(What::Suppressed { target, cause, note: String::new() });
        assert_eq!(bytes, [6, 9, 0, 1, 0, n, 0], "{cause:?}");
    }
    for (n, kind) in (1..).zip([LabelKind::Owner, LabelKind::Stage]) {
        let (contact, by) = (ContactId(0), By::Import(0));
        let bytes = code(What::Labelled { contact, kind, value: String::new(), day: Day(0), by });
        assert_eq!(bytes, [8, 32, 0, 0, n, 0, 0, 3, 0], "{kind:?}");
    }
    for (n, via) in (1..).zip([Via::OneClick, Via::Page, Via::Mail]) {
        let bytes = code(What::Unsubscribed { contact: ContactId(0), letter: None, via });
        assert_eq!(bytes, [5, 24, 0, 0, 0, n], "{via:?}");
    }
}

#[test]
fn what_is_no_record_is_named() {
    for (bytes, expected) in [
        (&[][..], RecordError::Short),
        (&[5, 11, 0], RecordError::Short),
        (&[2, 99, 0], RecordError::Newer(99)),
        (&[4, 11, 0, 1, 9], RecordError::Long { kind: 11, bytes: 1 }),
        (&[5, 11, 0, 0xff, 0xff, 0x7f], RecordError::Range),
        (&[3, 25, 0, 9], RecordError::Code { what: "author", code: 9 }),
        (&[5, 25, 0, 1, 1, 0xff], RecordError::Text),
        (&[0xff; 11], RecordError::Range),
        (&[8, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f], RecordError::Short),
    ] {
        assert_eq!(decode(&mut &*bytes), Err(expected), "{bytes:?}");
    }
}
