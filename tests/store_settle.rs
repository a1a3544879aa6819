//! The memory against the journal: whatever is recorded, settled to sled at any point and opened
//! again, is what one fold of all entries gives, to the last bit.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use tradewind::book::condition::{Condition, TextAt};
use tradewind::book::contact::{Card, CompanyNo, ContactId, Day, Kind, Moment};
use tradewind::book::label::LabelKind;
use tradewind::book::leaf::Leaf;
use tradewind::book::set::ContactSet;
use tradewind::book::tag::{SeriesKind, TagId};
use tradewind::book::view::{View, Views};
use tradewind::cadence::intake::ImportCounts;
use tradewind::feedback::entry::{By, Cause, Entry, LetterId, RoundRecord, Target, Via, What};
use tradewind::feedback::open::OpenClass;
use tradewind::feedback::verdict::Class;
use tradewind::store::db::Store;
use tradewind::store::state::{State, stored_key};

#[path = "common/reply.rs"]
mod reply;

use reply::reply;

const BEGIN: Day = Day(20_000);
const ID: [u8; 16] = [7; 16];

/// A step of a random history: numbers choose among what there is by then.
#[derive(Clone, Debug)]
enum Step {
    People { count: u32, company: u32, tag: u16 },
    Shadow,
    Adopt { who: u32, tag: u16 },
    Update { who: u32 },
    Declare { kind: Option<SeriesKind> },
    Tag { who: u32, tag: u16 },
    Untag { who: u32, tag: u16 },
    Suppress { who: u32, cause: Cause, domain: bool },
    Unsuppress { who: u32, domain: bool },
    Open { days: u16 },
    Freeze,
    Close,
    Claim { letter: (u32, u16, u16), attempt: u16, real: bool },
    End { letter: (u32, u16, u16), how: u8 },
    Read { letter: (u32, u16, u16), class: OpenClass },
    Follow { letter: (u32, u16, u16) },
    Leave { letter: (u32, u16, u16), named: bool },
    Template { hash: u64 },
    Pause { on: bool },
    Hold { tag: u16, on: bool },
    Approve { tag: u16, back: u16 },
    Import { ends: bool },
    Note { who: u32 },
    Commit,
    Settle,
    Reopen { leaves: bool },
}

fn letter() -> impl Strategy<Value = (u32, u16, u16)> {
    (0..40_u32, 0..8_u16, 0..30_u16)
}

fn step() -> impl Strategy<Value = Step> {
    use OpenClass::{Human, Machine, Prefetch, ProxyHuman, Unknown};
    let who = 0..40_u32;
    let tag = 0..8_u16;
    let kinds = vec![None, Some(SeriesKind::Marketing), Some(SeriesKind::Reading)];
    let causes = vec![Cause::Operator, Cause::Unsubscribed, Cause::HardBounce];
    prop_oneof![
        3 => (select(vec![1, 2, 7, 170]), 0..30_u32, tag.clone())
            .prop_map(|(count, company, tag)| Step::People { count, company, tag }),
        1 => Just(Step::Shadow),
        1 => (who.clone(), tag.clone()).prop_map(|(who, tag)| Step::Adopt { who, tag }),
        1 => who.clone().prop_map(|who| Step::Update { who }),
        2 => select(kinds).prop_map(|kind| Step::Declare { kind }),
        4 => (who.clone(), tag.clone()).prop_map(|(who, tag)| Step::Tag { who, tag }),
        2 => (who.clone(), tag).prop_map(|(who, tag)| Step::Untag { who, tag }),
        2 => (who.clone(), select(causes), any::<bool>())
            .prop_map(|(who, cause, domain)| Step::Suppress { who, cause, domain }),
        1 => (who.clone(), any::<bool>())
            .prop_map(|(who, domain)| Step::Unsuppress { who, domain }),
        2 => (1..30_u16).prop_map(|days| Step::Open { days }),
        1 => Just(Step::Freeze),
        1 => Just(Step::Close),
        5 => (letter(), 1..3_u16, any::<bool>())
            .prop_map(|(letter, attempt, real)| Step::Claim { letter, attempt, real }),
        6 => (letter(), 0..6_u8).prop_map(|(letter, how)| Step::End { letter, how }),
        5 => (letter(), select(vec![Human, Human, ProxyHuman, Prefetch, Machine, Unknown]))
            .prop_map(|(letter, class)| Step::Read { letter, class }),
        1 => letter().prop_map(|letter| Step::Follow { letter }),
        1 => (letter(), any::<bool>()).prop_map(|(letter, named)| Step::Leave { letter, named }),
        1 => (0..4_u64).prop_map(|hash| Step::Template { hash }),
        1 => any::<bool>().prop_map(|on| Step::Pause { on }),
        1 => (0..8_u16, any::<bool>()).prop_map(|(tag, on)| Step::Hold { tag, on }),
        1 => (0..8_u16, 0..30_u16).prop_map(|(tag, back)| Step::Approve { tag, back }),
        1 => any::<bool>().prop_map(|ends| Step::Import { ends }),
        1 => who.prop_map(|who| Step::Note { who }),
        2 => Just(Step::Commit),
        2 => Just(Step::Settle),
        2 => any::<bool>().prop_map(|leaves| Step::Reopen { leaves }),
    ]
}

/// Makes entries of steps, and remembers naively what the store must tell.
#[derive(Default)]
struct Author {
    entries: Vec<Entry>,
    /// By contact: the entry that made it, and its events.
    people: Vec<(Entry, Vec<Entry>)>,
    companies: Vec<String>,
    tags: u16,
    imports: u32,
    day: u16,
    closed: BTreeMap<Day, Vec<RoundRecord>>,
}

impl Author {
    fn who(&self, who: u32) -> Option<ContactId> {
        let count = u32::try_from(self.people.len()).expect("few");
        // A few at both ends, so that the same ones meet again and the last chunks change too.
        let id = if who.is_multiple_of(3) { count.checked_sub(1 + who / 3)? } else { who };
        (id < count).then_some(ContactId(id))
    }

    fn tag(&self, tag: u16) -> Option<TagId> {
        (tag < self.tags).then_some(TagId(tag))
    }

    fn letter(&self, (who, tag, back): (u32, u16, u16)) -> Option<LetterId> {
        let due = Day(BEGIN.0 + self.day).plus(-i32::from(back));
        Some(LetterId { contact: self.who(who)?, tag: self.tag(tag)?, due })
    }

    fn import(&mut self, contact: u32, address: String, company: u32, tags: Vec<TagId>) -> What {
        let company = company.min(u32::try_from(self.companies.len()).expect("few"));
        let fresh = company as usize == self.companies.len();
        let key = format!("c{company}.example");
        if fresh {
            self.companies.push(key.clone());
        }
        What::Imported {
            contact: ContactId(contact),
            address,
            company: CompanyNo(company),
            company_key: fresh.then_some(key),
            kind: if contact.is_multiple_of(2) { Kind::Precise } else { Kind::Ordinary },
            rank: contact % 50,
            day: Day(BEGIN.0 + self.day),
            import: self.imports,
            tags,
            card: Card { name: format!("n{contact}"), ..Card::default() },
        }
    }

    /// What a step records; nothing when there is nobody to do it to.
    fn write(&mut self, step: &Step) -> Vec<What> {
        match step {
            Step::People { count, company, tag } => {
                let first = u32::try_from(self.people.len()).expect("few");
                let tags: Vec<TagId> = self.tag(*tag).into_iter().collect();
                let address = |n: u32| {
                    let local = if n.is_multiple_of(2) { "hr" } else { "x" };
                    format!("{local}{n}@c{company}.example")
                };
                let mut all = Vec::new();
                for n in first..first + count {
                    all.push(self.import(n, address(n), *company, tags.clone()));
                }
                all
            }
            Step::Shadow => {
                let next = u32::try_from(self.people.len()).expect("few");
                let mut made = self.import(next, format!("s{next}@c0.example"), 0, Vec::new());
                if let What::Imported { rank, .. } = &mut made {
                    *rank = 0;
                }
                vec![made]
            }
            Step::Adopt { who, tag } => {
                let tags: Vec<TagId> = self.tag(*tag).into_iter().collect();
                let Some(ContactId(id)) = self.who(*who) else { return Vec::new() };
                let (was, _) = self.people.get(id as usize).expect("known");
                let What::Imported { address, company, .. } = was.what.clone() else { panic!() };
                vec![self.import(id, address, company.0, tags)]
            }
            Step::Update { who } => {
                let card = Card { title: format!("t{}", self.entries.len()), ..Card::default() };
                let of = |contact| What::Updated { contact, import: 1, card };
                self.who(*who).map(of).into_iter().collect()
            }
            _ => self.write_marks(step),
        }
    }

    fn write_marks(&mut self, step: &Step) -> Vec<What> {
        let today = Day(BEGIN.0 + self.day);
        let by = || By::Rule("r".to_owned());
        match step {
            Step::Declare { kind } => {
                self.tags += 1;
                let (no, name) = (self.tags, format!("tag {}", self.tags));
                let batch = kind.map(|kind| {
                    let audience = if no.is_multiple_of(2) { "英语-a" } else { "法语-a" };
                    let audience = audience.to_owned();
                    (audience, kind, "s".to_owned(), u8::try_from(no % 30 + 1).expect("small"))
                });
                vec![What::TagDeclared { tag: TagId(no - 1), name, group: "g".to_owned(), batch }]
            }
            Step::Tag { who, tag } => match (self.who(*who), self.tag(*tag)) {
                (Some(contact), Some(tag)) => {
                    vec![What::Tagged { contact, tag, day: today, by: by() }]
                }
                _ => Vec::new(),
            },
            Step::Untag { who, tag } => match (self.who(*who), self.tag(*tag)) {
                (Some(contact), Some(tag)) => {
                    vec![What::Untagged { contact, tag, by: by(), reason: "w".to_owned() }]
                }
                _ => Vec::new(),
            },
            Step::Suppress { who, cause, domain } => {
                let note = if *domain { "@c.example".to_owned() } else { "asked".to_owned() };
                let mut all: Vec<What> = Vec::new();
                if *domain {
                    let target = Target::Domain(format!("c{}.example", who % 5));
                    all.push(What::Suppressed { target, cause: *cause, note: note.clone() });
                }
                all.extend(self.who(*who).map(|contact| {
                    let target = Target::Contact(contact);
                    What::Suppressed { target, cause: *cause, note }
                }));
                all
            }
            Step::Unsuppress { who, domain } => {
                let target = match self.who(*who) {
                    Some(contact) if !domain => Target::Contact(contact),
                    _ => Target::Domain(format!("c{}.example", who % 5)),
                };
                vec![What::Unsuppressed { target, reason: "w".to_owned() }]
            }
            Step::Open { days } => {
                self.day += days;
                vec![What::DayOpened { day: Day(BEGIN.0 + self.day) }]
            }
            Step::Freeze => vec![What::PlanFrozen { day: today, rounds: rounds(today) }],
            Step::Close => {
                self.closed.insert(today, rounds(today));
                vec![What::DayClosed { day: today, rounds: rounds(today) }]
            }
            _ => self.write_letters(step),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm a kind of letter")]
    fn write_letters(&mut self, step: &Step) -> Vec<What> {
        let today = Day(BEGIN.0 + self.day);
        let by = By::Person("p".to_owned());
        let one = |what: Option<What>| what.into_iter().collect();
        match step {
            Step::Claim { letter, attempt, real } => {
                one(self.letter(*letter).map(|letter| What::Claimed {
                    letter,
                    day: today,
                    company: CompanyNo(letter.contact.0 % 3),
                    attempt: *attempt,
                    counts: *attempt == 1,
                    template: 3,
                    rehearsal: !real,
                }))
            }
            Step::End { letter, how } => one(self.letter(*letter).map(|letter| match how {
                0 => What::Accepted { letter, reply: "250".to_owned() },
                1 => What::Unknown { letter, why: "cut".to_owned() },
                2 => What::Refused { letter, class: Class::Quota, reply: "552".to_owned() },
                3 => What::Withdrawn { letter, reason: "suppressed".to_owned() },
                4 => What::Expired { letter },
                _ => What::Deferred {
                    letter,
                    until: Moment(9),
                    class: Class::Greylist,
                    reply: "451".to_owned(),
                },
            })),
            Step::Read { letter, class } => one(self.letter(*letter).map(|letter| What::Opened {
                letter,
                class: *class,
                reason: "r".to_owned(),
                day: today,
            })),
            Step::Follow { letter } => one(self.letter(*letter).map(|letter| What::Clicked {
                letter,
                link: 1,
                class: OpenClass::Human,
                day: today,
            })),
            Step::Leave { letter, named } => one(self.letter(*letter).map(|letter| {
                let (contact, letter) = (letter.contact, named.then_some(letter));
                What::Unsubscribed { contact, letter, via: Via::OneClick }
            })),
            Step::Template { hash } => vec![What::TemplateKept {
                hash: *hash,
                name: format!("{hash}.letter"),
                source: "s".repeat(5_000),
            }],
            Step::Hold { tag, on } => one(self.tag(*tag).map(|tag| match on {
                true => What::BatchHeld { tag, by, reason: "w".to_owned() },
                false => What::BatchReleased { tag, by },
            })),
            Step::Approve { tag, back } => one(self.tag(*tag).map(|tag| {
                let due = today.plus(-i32::from(*back));
                What::RoundApproved { tag, due, by }
            })),
            Step::Pause { on: true } => vec![What::Paused { by }],
            Step::Pause { on: false } => vec![What::Resumed { by }],
            Step::Import { ends: false } => {
                self.imports += 1;
                let (who, file) = ("w".to_owned(), "f.csv".to_owned());
                vec![What::ImportBegan { import: self.imports, who, file, tag: self.tag(0) }]
            }
            Step::Import { ends: true } => {
                let counts = ImportCounts { rows: 3, known: 2, ..ImportCounts::default() };
                let import = self.imports;
                one((import > 0).then_some(What::ImportEnded { import, counts }))
            }
            Step::Note { who } => self.who(*who).map_or_else(Vec::new, |contact| {
                let kind = if who % 2 == 0 { LabelKind::Owner } else { LabelKind::Stage };
                let value =
                    ["", "wang", "li"].map(str::to_owned).into_iter().nth((who % 3) as usize);
                let (value, day) = (value.unwrap_or_default(), today);
                let text = "called".to_owned();
                vec![
                    What::Noted { contact, day, by: by.clone(), text },
                    What::Labelled { contact, kind, value, day, by },
                    reply(contact, day),
                ]
            }),
            _ => Vec::new(),
        }
    }

    /// Keeps an entry as a naive store would.
    fn keep(&mut self, entry: Entry) {
        self.entries.push(entry.clone());
        let Some(contact) = entry.what.contact() else { return };
        let known = self.people.get_mut(contact.0 as usize);
        match (&entry.what, known) {
            (What::Imported { .. }, Some((first, _))) => *first = entry,
            (What::Imported { .. }, None) => self.people.push((entry, Vec::new())),
            (What::Updated { card: new, .. }, Some((first, events))) => {
                if let What::Imported { card, .. } = &mut first.what {
                    *card = new.clone();
                }
                events.push(entry);
            }
            (_, Some((_, events))) => events.push(entry),
            (_, None) => panic!("an entry about nobody"),
        }
    }
}

fn rounds(day: Day) -> Vec<RoundRecord> {
    let who: ContactSet = (0..day.0 % 7).map(|n| ContactId(u32::from(n))).collect();
    vec![RoundRecord {
        tag: TagId(0),
        due: day,
        outcomes: vec![("gap".to_owned(), who.to_bytes())],
    }]
}

/// Address patterns as a configuration with one, or with both.
fn leaves(both: bool) -> Vec<Leaf> {
    let view = |name: &str, at, values: &[&str]| View {
        name: name.to_owned(),
        condition: Condition::Address {
            at,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        },
    };
    let mut views = vec![view("a", TextAt::Starts, &["hr"])];
    if both {
        views.insert(0, view("b", TextAt::Ends, &["c1.example", "c2.example"]));
    }
    Views::new(&views).expect("views").leaves().cloned().collect()
}

fn check(store: &Store, author: &Author, both: bool) -> Result<(), TestCaseError> {
    let mut state = State::default();
    let first = Entry { at: Moment(0), what: What::StoreCreated { store: ID } };
    std::iter::once(&first).chain(&author.entries).for_each(|entry| state.apply(entry));
    prop_assert_eq!(store.state(), &state);
    // Of thousands, some of every page.
    let apart = author.people.len() / 1_000 * 7 + 1;
    for (id, (first, events)) in (0..).map(ContactId).zip(&author.people).step_by(apart) {
        let mut all = vec![first.clone()];
        all.extend(events.iter().cloned());
        all.sort_by_key(|entry| entry.at);
        prop_assert_eq!(store.timeline(id).expect("readable"), all);
        let What::Imported { address, card, rank, .. } = &first.what else { panic!() };
        let found = store.contact(id).expect("readable").expect("known");
        prop_assert_eq!((found.address.as_str(), &found.card), (address.as_str(), card));
        prop_assert_eq!(found.rank, *rank);
        prop_assert_eq!(state.find(&stored_key(address)), Some(id));
    }
    for (no, key) in (0..).map(CompanyNo).zip(&author.companies) {
        prop_assert_eq!(&store.company_key(no).expect("readable"), key);
    }
    for (day, rounds) in &author.closed {
        let kept = store.closed_day(*day).expect("readable");
        prop_assert_eq!(kept.as_ref(), Some(rounds));
    }
    for leaf in leaves(both) {
        let matching: ContactSet = (0..)
            .map(ContactId)
            .zip(&author.people)
            .filter(|(_, (first, _))| match &first.what {
                What::Imported { address, .. } => {
                    leaf.matches(&stored_key(address), &Card::default())
                }
                _ => false,
            })
            .map(|(id, _)| id)
            .collect();
        prop_assert_eq!(store.leaf(leaf.key()), Some(&matching));
    }
    Ok(())
}

fn play(steps: &[Step]) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("store");
    Store::init(&dir, Moment(0), ID, || Ok(())).expect("init");
    let open = |both| {
        let (store, opening) = Store::open(&dir, leaves(both), &mut |_| ()).expect("open");
        assert!(opening.rebuilt.is_none() && opening.torn.is_none(), "{opening:?}");
        store
    };
    let mut both = false;
    let mut store = open(both);
    let mut author = Author::default();
    for (n, step) in (1..).zip(steps) {
        for what in author.write(step) {
            let entry = Entry { at: Moment(n * 40_000_000), what };
            store.record(entry.at, entry.what.clone()).expect("recorded");
            author.keep(entry);
        }
        match step {
            Step::Commit => store.commit().expect("committed"),
            Step::Settle => store.settle().expect("settled"),
            Step::Reopen { leaves } => {
                store.commit().expect("committed");
                drop(store);
                both = *leaves;
                store = open(both);
                check(&store, &author, both)?;
            }
            _ => (),
        }
    }
    check(&store, &author, both)?;
    store.settle().expect("settled");
    drop(store);
    check(&open(both), &author, both)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_settled_and_opened_again_is_the_fold_of_all_entries(
        steps in prop::collection::vec(step(), 10..120),
    ) {
        play(&steps)?;
    }
}

/// Over several chunks of everything: a round and a set that grow, and shrink again.
#[test]
fn what_shrinks_leaves_nothing_behind() {
    let letter = |n: u32| (n, 0, 0);
    let mut steps = vec![
        Step::Declare { kind: Some(SeriesKind::Marketing) },
        Step::Declare { kind: None },
        Step::Open { days: 1 },
    ];
    steps.extend(std::iter::repeat_n(Step::People { count: 170, company: 1, tag: 1 }, 60));
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("store");
    Store::init(&dir, Moment(0), ID, || Ok(())).expect("init");
    let mut author = Author::default();
    let mut store = Store::open(&dir, leaves(false), &mut |_| ()).expect("open").0;
    let record = |store: &mut Store, author: &mut Author, what: What| {
        let entry = Entry { at: Moment(1), what };
        store.record(entry.at, entry.what.clone()).expect("recorded");
        author.keep(entry);
    };
    for what in steps
        .iter()
        .flat_map(|step| {
            let made = author.write(step);
            for what in &made {
                author.keep(Entry { at: Moment(1), what: what.clone() });
            }
            made
        })
        .collect::<Vec<_>>()
    {
        store.record(Moment(1), what).expect("recorded");
    }
    // Every second and every third: what compresses badly.
    let some: Vec<ContactId> = (0..10_200)
        .filter(|n| (n * 2_654_435_761_u64) % 1_000 < 470)
        .map(|n| ContactId(u32::try_from(n).expect("small")))
        .collect();
    let due = author.letter(letter(1)).expect("there").due;
    for contact in &some {
        let (contact, tag) = (*contact, TagId(0));
        let letter = LetterId { contact, tag, due };
        record(&mut store, &mut author, What::Withdrawn { letter, reason: "r".to_owned() });
        let by = By::Rule("r".to_owned());
        record(
            &mut store,
            &mut author,
            What::Untagged { contact, tag: TagId(1), by, reason: "r".to_owned() },
        );
    }
    store.settle().expect("settled");
    // A month later the round forgets whose letters it had, and everybody has the tag again.
    record(&mut store, &mut author, What::DayOpened { day: due.plus(30) });
    for contact in &some {
        let by = By::Rule("r".to_owned());
        let tagged = What::Tagged { contact: *contact, tag: TagId(1), day: due.plus(-1), by };
        record(&mut store, &mut author, tagged);
    }
    store.settle().expect("settled");
    drop(store);
    let (store, opening) = Store::open(&dir, leaves(false), &mut |_| ()).expect("open");
    assert_eq!(opening.rebuilt, None);
    assert_eq!(opening.replayed, 0);
    check(&store, &author, false).expect("the same");
}
