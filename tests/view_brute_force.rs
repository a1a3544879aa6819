//! Views against brute force: sets that the store keeps over a random history, and an evaluator that
//! reads plain records, one contact after the other.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a helper that fails is a test that fails"
)]

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{
    BoxedStrategy, Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::select;
use tradewind::book::condition::{Cell, Condition, Op, TagMatch, Test, TextAt, When};
use tradewind::book::contact::{Act, Card, CompanyNo, ContactId, Day, Kind, Moment};
use tradewind::book::label::LabelKind;
use tradewind::book::leaf::Leaf;
use tradewind::book::set::ContactSet;
use tradewind::book::tag::{SeriesKind, TagId};
use tradewind::book::view::{View, Views};
use tradewind::feedback::entry::{By, LetterId, What};
use tradewind::feedback::open::OpenClass;
use tradewind::store::db::Store;
use tradewind::store::seen::Supposed;

#[path = "common/reply.rs"]
mod reply;

use reply::reply;

const FIRST: u16 = 20_000;
const PEOPLE: [(&str, &str); 7] = [
    ("HR@a.example", "a.example"),
    ("x@a.example", "a.example"),
    ("b@b.example", "b.example"),
    ("chr@shop.a.example", "a.example"),
    ("x@ÄÖ.example", "äö.example"),
    ("hr@myqq.com", "myqq.com"),
    ("z@b.example", "b.example"),
];
/// Name, group, and batch as (series, number).
type TagRow = (&'static str, &'static str, Option<(&'static str, u8)>);
const TAGS: [TagRow; 5] = [
    ("英语-设备-营销01", "marketing", Some(("营销", 1))),
    ("英语-设备-阅读01", "reading", Some(("阅读", 1))),
    ("💬询盘", "intention", None),
    ("VIP", "own", None),
    ("同行", "risk", None),
];

/// One contact, told plainly.
#[derive(Clone, Debug, Default)]
struct Person {
    address: String,
    company: String,
    card: Vec<(String, String)>,
    tags: BTreeSet<usize>,
    created: u16,
    owner: String,
    stage: String,
    days: HashMap<&'static str, BTreeSet<u16>>,
}

#[derive(Clone, Debug)]
enum Event {
    Arrive(u8, u8),
    Change(u8, u8),
    Tag(u8, u8, bool),
    Untag(u8, u8),
    Letter(u8),
    Open(u8, bool),
    Click(u8, bool),
    Reply(u8),
    Note(u8),
    Label(u8, bool, u8),
    Days(u8),
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let who = || 0..7_u8;
    let event = prop_oneof![
        6 => (who(), any::<u8>()).prop_map(|(n, card)| Event::Arrive(n, card)),
        1 => (who(), any::<u8>()).prop_map(|(n, card)| Event::Change(n, card)),
        4 => (who(), 0..5_u8, any::<bool>()).prop_map(|(n, tag, by)| Event::Tag(n, tag, by)),
        1 => (who(), 0..5_u8).prop_map(|(n, tag)| Event::Untag(n, tag)),
        3 => who().prop_map(Event::Letter),
        3 => (who(), any::<bool>()).prop_map(|(n, human)| Event::Open(n, human)),
        2 => (who(), any::<bool>()).prop_map(|(n, human)| Event::Click(n, human)),
        2 => who().prop_map(Event::Reply),
        1 => who().prop_map(Event::Note),
        2 => (who(), any::<bool>(), 0..3_u8).prop_map(|(n, kind, v)| Event::Label(n, kind, v)),
        5 => select(&[1_u8, 1, 7, 30, 60][..]).prop_map(Event::Days),
        1 => Just(Event::Restart),
    ];
    vec(event, 1..60)
}

fn card(code: u8) -> Vec<(String, String)> {
    let countries = ["", "DE", "Österreich"];
    let sizes = ["", "7", "50.5", "many"];
    let founded = ["", "1999-05-01", "2024/9/5", "unknown"];
    let pick = |list: &[&str], by: u8| list[usize::from(by) % list.len()].to_owned();
    vec![
        ("country".to_owned(), pick(&countries, code)),
        ("Employees".to_owned(), pick(&sizes, code / 3)),
        ("成立".to_owned(), pick(&founded, code / 12)),
        ("source".to_owned(), pick(&["", "Fair 2024", "web"], code / 48)),
    ]
}

fn as_card(pairs: &[(String, String)]) -> Card {
    let mut card = Card::default();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        match name.as_str() {
            "country" => card.country = value.clone(),
            "source" => card.source = value.clone(),
            _ => card.attributes.push((name.clone(), value.clone())),
        }
    }
    card
}

/// How often within how many days, and nothing else: met to the day and to the number.
fn counts() -> impl Strategy<Value = Condition> {
    let act = select(&[Act::Letter, Act::Open, Act::Click, Act::Reply][..]);
    let op = select(&[Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge][..]);
    let days = option::weighted(0.8, select(&[1_u16, 7, 8, 30, 37, 60][..]));
    (act, op, 0..3_u8, days).prop_map(|(act, op, number, within_days)| Condition::Count {
        act,
        op,
        number,
        within_days,
    })
}

fn conditions() -> BoxedStrategy<Condition> {
    let texts = |words: &'static [&'static str]| vec(select(words).prop_map(str::to_owned), 1..3);
    let at = || select(&[TextAt::Starts, TextAt::Ends, TextAt::Contains, TextAt::Equals][..]);
    let op = || select(&[Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge][..]);
    // Sums of the steps in which days pass, so that limits are met to the day.
    let days = || select(&[0_u16, 1, 2, 7, 8, 9, 30, 31, 37, 60, 67][..]);
    let when = || {
        prop_oneof![
            Just(When::Never),
            days().prop_map(When::BeforeDays),
            days().prop_map(When::WithinDays),
            (op(), days()).prop_map(|(op, day)| When::Day(op, Day(FIRST + day))),
        ]
    };
    let date = |y| Cell::Date(NaiveDate::from_ymd_opt(y, 5, 1).expect("a date"));
    let cell = select(vec![
        Cell::Text("de".to_owned()),
        Cell::Text("ÖSTERREICH".to_owned()),
        Cell::Text("many".to_owned()),
        Cell::Number(7.0),
        Cell::Number(50.0),
        date(1999),
        date(2010),
    ]);
    let order = select(&[Op::Lt, Op::Le, Op::Gt, Op::Ge][..]);
    let measure = select(vec![Cell::Number(7.0), Cell::Number(50.0), date(1999), date(2010)]);
    let test = prop_oneof![
        vec(cell.clone(), 1..3).prop_map(Test::OneOf),
        vec(cell, 1..3).prop_map(Test::NoneOf),
        (order, measure).prop_map(|(op, cell)| Test::Compares(op, cell)),
        (at(), texts(&["D", "reich", "fair", "1999"])).prop_map(|(at, v)| Test::Text(at, v)),
        Just(Test::Exists),
    ];
    let name = select(&["country", "employees", "成立", "source", "nothing"][..]);
    let countable = select(&[Act::Letter, Act::Open, Act::Click, Act::Reply][..]);
    let tag = prop_oneof![
        select(&["vip", "💬询盘", "阅读01"][..]).prop_map(|t| TagMatch::Name(t.to_owned())),
        select(&["阅读", "英语", "v"][..]).prop_map(|t| TagMatch::Prefix(t.to_owned())),
        select(&["Marketing", "risk"][..]).prop_map(|t| TagMatch::Group(t.to_owned())),
    ];
    let leaf = prop_oneof![
        tag.prop_map(Condition::Tag),
        (at(), texts(&["hr@", "A.example", "x", "qq.com"]))
            .prop_map(|(at, values)| Condition::Address { at, values }),
        (at(), texts(&["a.Example", "b", "com"]))
            .prop_map(|(at, values)| Condition::Domain { at, values }),
        texts(&["a.example", "B.example", "none.example"]).prop_map(Condition::Company),
        (name, test).prop_map(|(name, test)| Condition::Attr { name: name.to_owned(), test }),
        (countable, op(), 0..4_u8, option::of(days())).prop_map(
            |(act, op, number, within_days)| { Condition::Count { act, op, number, within_days } }
        ),
        (select(&Act::ALL[..]), when()).prop_map(|(act, when)| Condition::Last { act, when }),
        when().prop_map(Condition::Created),
        (any::<bool>(), vec(select(&["WANG", "li"][..]).prop_map(str::to_owned), 0..2)).prop_map(
            |(owner, values)| {
                let kind = if owner { LabelKind::Owner } else { LabelKind::Stage };
                Condition::Label { kind, values }
            }
        ),
        (0..2_u8).prop_map(|n| Condition::View(format!("v{n}"))),
    ];
    let nested = leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Condition::Any),
            vec(inner.clone(), 0..3).prop_map(Condition::All),
            inner.clone().prop_map(|part| Condition::Not(Box::new(part))),
            inner.prop_map(|part| Condition::CompanyHas(Box::new(part))),
        ]
    });
    nested.boxed()
}

/// A store and, beside it, everybody told plainly.
struct Twin {
    dir: tempfile::TempDir,
    store: Option<Store>,
    leaves: Vec<Leaf>,
    people: Vec<Person>,
    ids: HashMap<u8, usize>,
    companies: Vec<String>,
    today: u16,
}

impl Twin {
    fn new(leaves: Vec<Leaf>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("store");
        Store::init(&home, Moment(0), [7; 16], || Ok(())).unwrap();
        let (store, _) = Store::open(&home, leaves.clone(), &mut |_| ()).unwrap();
        let mut twin = Self {
            dir,
            store: Some(store),
            leaves,
            people: Vec::new(),
            ids: HashMap::new(),
            companies: Vec::new(),
            today: FIRST,
        };
        for (n, (name, group, batch)) in (0..).zip(TAGS) {
            let kind = if group == "reading" { SeriesKind::Reading } else { SeriesKind::Marketing };
            let batch =
                batch.map(|(series, no)| ("英语-设备".to_owned(), kind, series.to_owned(), no));
            let (name, group) = (name.to_owned(), group.to_owned());
            twin.record(What::TagDeclared { tag: TagId(n), name, group, batch });
        }
        twin
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn record(&mut self, what: What) {
        let at = Moment(i64::from(self.today) * 86_400_000);
        self.store.as_mut().unwrap().record(at, what).unwrap();
    }

    fn id(&self, n: u8) -> Option<(usize, ContactId)> {
        self.ids.get(&n).map(|at| (*at, ContactId(u32::try_from(*at).unwrap())))
    }

    fn did(&mut self, at: usize, what: &'static str) {
        let day = self.today;
        self.people[at].days.entry(what).or_default().insert(day);
    }

    fn live(&mut self, event: &Event) {
        let day = Day(self.today);
        let by = || By::Person("op".to_owned());
        match *event {
            Event::Arrive(n, code) if !self.ids.contains_key(&n) => self.arrive(n, code),
            Event::Days(days) => {
                self.today += u16::from(days);
                self.record(What::DayOpened { day: Day(self.today) });
            }
            Event::Restart => {
                let mut store = self.store.take().unwrap();
                store.settle().unwrap();
                drop(store);
                let home = self.dir.path().join("store");
                let (store, opening) =
                    Store::open(&home, self.leaves.clone(), &mut |_| ()).unwrap();
                assert_eq!((opening.replayed, opening.rebuilt), (0, None));
                self.store = Some(store);
            }
            Event::Change(n, code) => {
                let Some((at, contact)) = self.id(n) else { return };
                self.people[at].card = card(code);
                self.record(What::Updated { contact, import: 0, card: as_card(&card(code)) });
            }
            Event::Tag(n, tag, person) => {
                let Some((at, contact)) = self.id(n) else { return };
                self.people[at].tags.insert(usize::from(tag));
                let by = if person { by() } else { By::Rule("r".to_owned()) };
                if person {
                    self.did(at, "touched");
                }
                self.record(What::Tagged { contact, tag: TagId(tag.into()), day, by });
            }
            Event::Untag(n, tag) => {
                let Some((at, contact)) = self.id(n) else { return };
                self.people[at].tags.remove(&usize::from(tag));
                let (tag, reason) = (TagId(tag.into()), String::new());
                self.record(What::Untagged { contact, tag, by: by(), reason });
            }
            Event::Note(n) => {
                let Some((at, contact)) = self.id(n) else { return };
                self.did(at, "touched");
                self.record(What::Noted { contact, day, by: by(), text: String::new() });
            }
            Event::Label(n, owner, value) => {
                let Some((at, contact)) = self.id(n) else { return };
                self.did(at, "touched");
                let value = ["", "Wang", "LI"][usize::from(value)].to_owned();
                let (person, kind) = (&mut self.people[at], LabelKind::Stage);
                let kind = if owner { LabelKind::Owner } else { kind };
                *(if owner { &mut person.owner } else { &mut person.stage }) = value.clone();
                self.record(What::Labelled { contact, kind, value, day, by: by() });
            }
            ref event => self.correspond(event, day),
        }
    }

    fn correspond(&mut self, event: &Event, day: Day) {
        let class = |human: bool| if human { OpenClass::Human } else { OpenClass::Machine };
        let (n, did) = match *event {
            Event::Letter(n) => (n, Some("sent")),
            Event::Open(n, human) => (n, human.then_some("opened")),
            Event::Click(n, human) => (n, human.then_some("clicked")),
            Event::Reply(n) => (n, Some("replied")),
            _ => return,
        };
        let Some((at, contact)) = self.id(n) else { return };
        if let Some(did) = did {
            self.did(at, did);
        }
        let letter = LetterId { contact, tag: TagId(0), due: day };
        match *event {
            Event::Letter(_) => {
                let company = CompanyNo(0);
                self.record(What::Claimed {
                    letter,
                    day,
                    company,
                    attempt: 1,
                    counts: true,
                    template: 0,
                    rehearsal: true,
                });
                self.record(What::Accepted { letter, reply: String::new() });
            }
            Event::Open(_, human) => {
                let (class, reason) = (class(human), String::new());
                self.record(What::Opened { letter, class, reason, day });
            }
            Event::Click(_, human) => {
                self.record(What::Clicked { letter, link: 0, class: class(human), day });
            }
            _ => self.record(reply(contact, day)),
        }
    }

    fn arrive(&mut self, n: u8, code: u8) {
        let (address, key) = PEOPLE[usize::from(n)];
        let known = self.companies.iter().position(|known| known == key);
        let company = known.unwrap_or(self.companies.len());
        if known.is_none() {
            self.companies.push(key.to_owned());
        }
        let contact = ContactId(u32::try_from(self.people.len()).unwrap());
        self.ids.insert(n, self.people.len());
        let parsed = tradewind::book::address::Address::parse(address).unwrap().address;
        self.people.push(Person {
            address: parsed.as_str().to_owned(),
            company: key.to_owned(),
            card: card(code),
            created: self.today,
            ..Person::default()
        });
        self.record(What::Imported {
            contact,
            address: parsed.as_str().to_owned(),
            company: CompanyNo(u32::try_from(company).unwrap()),
            company_key: known.is_none().then(|| key.to_owned()),
            kind: Kind::Precise,
            rank: 1,
            day: Day(self.today),
            import: 0,
            tags: Vec::new(),
            card: as_card(&card(code)),
        });
    }

    fn kept(&self, views: &Views, name: &str) -> Vec<u32> {
        let state = self.store().state();
        let everybody = ContactSet::all(state.contacts.len());
        let supposed = Supposed {
            today: Day(self.today),
            tags: &state.tags,
            members: &state.members,
            last: &state.contacts.last,
            more: &HashMap::new(),
        };
        let set = self.store().supposed(views, (name, &everybody), &supposed).unwrap();
        set.iter().map(|id| id.0).collect()
    }

    fn brute(&self, views: &[View], condition: &Condition) -> Vec<u32> {
        (0..)
            .zip(&self.people)
            .filter(|(_, person)| self.holds(views, condition, person))
            .map(|(n, _)| n)
            .collect()
    }

    fn holds(&self, views: &[View], condition: &Condition, person: &Person) -> bool {
        let address = person.address.to_lowercase();
        match condition {
            Condition::Any(parts) => parts.iter().any(|part| self.holds(views, part, person)),
            Condition::All(parts) => parts.iter().all(|part| self.holds(views, part, person)),
            Condition::Not(part) => !self.holds(views, part, person),
            Condition::CompanyHas(part) => self
                .people
                .iter()
                .filter(|other| other.company == person.company)
                .any(|other| self.holds(views, part, other)),
            Condition::View(name) => {
                let view = views.iter().find(|view| view.name == *name).unwrap();
                self.holds(views, &view.condition, person)
            }
            Condition::Tag(wanted) => person.tags.iter().any(|tag| tagged(wanted, *tag)),
            Condition::Address { at, values } => stands(*at, values, &address),
            Condition::Domain { at, values } => {
                stands(*at, values, address.split('@').nth(1).unwrap())
            }
            Condition::Company(keys) => {
                keys.iter().any(|key| key.to_lowercase() == person.company.to_lowercase())
            }
            Condition::Attr { name, test } => {
                let cell = person.card.iter().find(|(header, _)| header.to_lowercase() == *name);
                tested(test, cell.map_or("", |(_, value)| value))
            }
            Condition::Count { act, op, number, within_days } => {
                let days = person.days.get(act.past()).cloned().unwrap_or_default();
                let from = within_days.map_or(0, |days| self.today - days);
                let count = days.iter().filter(|day| **day >= from).count();
                ordered(*op, count, usize::from(*number))
            }
            Condition::Last { act, when } => {
                let days = person.days.get(act.past());
                self.was(*when, days.and_then(|days| days.last().copied()))
            }
            Condition::Created(when) => self.was(*when, Some(person.created)),
            Condition::Label { kind, values } => {
                let label = match kind {
                    LabelKind::Owner => &person.owner,
                    LabelKind::Stage => &person.stage,
                };
                let same = |one: &String| one.to_lowercase() == label.to_lowercase();
                !label.is_empty() && (values.is_empty() || values.iter().any(same))
            }
        }
    }

    fn was(&self, when: When, last: Option<u16>) -> bool {
        match (when, last) {
            (When::Never, last) => last.is_none(),
            (When::BeforeDays(days), Some(last)) => self.today - last > days,
            (When::WithinDays(days), Some(last)) => self.today - last <= days,
            (When::Day(op, day), Some(last)) => ordered(op, last, day.0),
            (When::Day(op, _), None) => op == Op::Ne,
            (_, None) => false,
        }
    }
}

fn tagged(wanted: &TagMatch, tag: usize) -> bool {
    let (name, group, batch) = TAGS[tag];
    let short = batch.map_or(String::new(), |(series, no)| format!("{series}{no:02}"));
    match wanted {
        TagMatch::Name(text) => name.to_lowercase() == text.to_lowercase(),
        TagMatch::Group(text) => group.to_lowercase() == text.to_lowercase(),
        TagMatch::Prefix(text) => {
            name.to_lowercase().starts_with(text) || short.starts_with(text.as_str())
        }
    }
}

fn stands(at: TextAt, values: &[String], text: &str) -> bool {
    let text = text.to_lowercase();
    values.iter().map(|value| value.to_lowercase()).any(|value| {
        let places: Vec<usize> = text.match_indices(&value).map(|(place, _)| place).collect();
        match at {
            TextAt::Starts => places.contains(&0),
            TextAt::Ends => text
                .len()
                .checked_sub(value.len())
                .is_some_and(|end| text.is_char_boundary(end) && text[end..] == value),
            TextAt::Contains => !places.is_empty(),
            TextAt::Equals => text == value,
        }
    })
}

fn ordered<T: PartialOrd + Copy>(op: Op, a: T, b: T) -> bool {
    match op {
        Op::Eq => a == b,
        Op::Ne => a != b,
        Op::Lt => a < b,
        Op::Le => a <= b,
        Op::Gt => a > b,
        Op::Ge => a >= b,
    }
}

fn tested(test: &Test, cell: &str) -> bool {
    let is = |op: Op, with: &Cell| match with {
        _ if cell.is_empty() => false,
        Cell::Text(text) => ordered(op, cell.to_lowercase().as_str(), text.to_lowercase().as_str()),
        Cell::Number(number) => {
            let found: Result<f64, _> = cell.parse();
            found.is_ok_and(|found| ordered(op, found, *number))
        }
        Cell::Date(date) => {
            let found: Option<NaiveDate> = cell.replace('/', "-").parse().ok();
            found.is_some_and(|found| ordered(op, found, *date))
        }
    };
    match test {
        Test::Exists => !cell.is_empty(),
        Test::OneOf(cells) => cells.iter().any(|with| is(Op::Eq, with)),
        Test::NoneOf(cells) => !cells.iter().any(|with| is(Op::Eq, with)),
        Test::Compares(op, with) => is(*op, with),
        Test::Text(at, values) => !cell.is_empty() && stands(*at, values, cell),
    }
}

proptest! {
    // Each case is some sixty steps and twice as many comparisons.
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn sets_equal_brute_force(
        early in conditions(),
        late in prop_oneof![conditions(), counts()],
        history in events(),
        later in events(),
    ) {
        let view = |name: &str, condition| View { name: name.to_owned(), condition };
        let reading = Condition::Tag(TagMatch::Group("reading".to_owned()));
        let mut views = vec![
            view("early", early.clone()),
            view("v0", reading),
            view("v1", Condition::Not(Box::new(Condition::View("v0".to_owned())))),
        ];
        let first = Views::new(&views).unwrap();
        let mut twin = Twin::new(first.leaves().cloned().collect());
        for event in &history {
            twin.live(event);
            prop_assert_eq!(twin.kept(&first, "early"), twin.brute(&views, &early));
        }
        // A reload brings a view more; nothing is told again.
        views.push(view("late", late.clone()));
        let second = Views::new(&views).unwrap();
        twin.leaves = second.leaves().cloned().collect();
        let leaves = twin.leaves.clone();
        twin.store.as_mut().unwrap().watch(leaves).unwrap();
        for event in later.iter().chain([&Event::Restart]) {
            twin.live(event);
            prop_assert_eq!(twin.kept(&second, "early"), twin.brute(&views, &early));
            prop_assert_eq!(twin.kept(&second, "late"), twin.brute(&views, &late));
        }
    }
}
