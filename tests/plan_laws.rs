//! The laws of the day plan over random days, against a naive planner that shares no code with it,
//! and the carry-over lived through day by day.

use std::collections::{HashMap, HashSet};

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use tradewind::book::contact::{ContactId, Day};
use tradewind::book::set::ContactSet;
use tradewind::book::tag::{SeriesKind, TagId};
use tradewind::cadence::plan::{Book, Limits, Outcome, Plan, Round, carried, plan};
use tradewind::cadence::reason::Reason;

const TODAY: Day = Day(20_000);
const VIEWS: [&str; 2] = ["意向客户", "风险客户"];

/// One contact of a random day. Bits: of `member`, `done`, `views[v]` one per round; of `flags`
/// suppressed, waiting, in flight, already today.
#[derive(Clone, Debug)]
struct Person {
    company: u32,
    rank: u32,
    /// Days since the last letter, and the last silent one; 0 = never.
    ago: (u16, u16),
    flags: u8,
    member: u8,
    done: u8,
    views: [u8; 2],
    /// The round whose tag she was given first comes last in this rotation.
    first: usize,
}

#[derive(Clone, Debug)]
struct Batch {
    reading: bool,
    late: u16,
    held: bool,
    has_template: bool,
    window_open: bool,
}

#[derive(Clone, Debug)]
struct World {
    people: Vec<Person>,
    batches: Vec<Batch>,
    taken: Vec<u32>,
    limits: Limits,
    /// What is left to the audience of even and of odd batches.
    audiences: [Option<u32>; 2],
}

/// Per person and batch, as text.
type Outcomes = HashMap<(usize, usize), String>;

fn rarely() -> impl Strategy<Value = u8> {
    (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(a, b, c)| a & b & c)
}

fn people() -> impl Strategy<Value = Person> {
    let ago = (0..10_u16, 0..26_u16).prop_map(|(any, silent)| (any, silent.max(any)));
    ((0..4_u32, 0..6_u32, ago, rarely()), (any::<u8>(), rarely(), [rarely(), rarely()], 0..4_usize))
        .prop_map(|((company, rank, ago, flags), (member, done, views, first))| Person {
            company,
            rank,
            ago,
            flags,
            member,
            done,
            views,
            first,
        })
}

fn worlds() -> impl Strategy<Value = World> {
    let batch = (any::<bool>(), 0..3_u16, 0..10_u8).prop_map(|(reading, late, odd)| Batch {
        reading,
        late,
        held: odd == 0,
        has_template: odd != 1,
        window_open: odd != 2,
    });
    let left = || proptest::option::of(0..20_u32);
    let limits = (0..6_u32, left(), left()).prop_map(|(cap, sender_left, day_left)| Limits {
        company_per_day_max: cap,
        sender_left,
        day_left,
        ..Limits::default()
    });
    (
        proptest::collection::vec(people(), 0..60),
        proptest::collection::vec(batch, 1..5),
        proptest::collection::vec(0..4_u32, 4),
        limits,
        [left(), left()],
    )
        .prop_map(|(people, batches, taken, limits, audiences)| World {
            people,
            batches,
            taken,
            limits,
            audiences,
        })
}

impl World {
    fn set(&self, is_in: impl Fn(&Person) -> bool) -> ContactSet {
        let ids = self.people.iter().zip(0..).filter(|(person, _)| is_in(person));
        ids.map(|(_, id)| ContactId(id)).collect()
    }

    fn plan(&self) -> Plan {
        let bit = |n: usize| move |bits: u8| bits >> n & 1 == 1;
        let count = self.batches.len();
        let members: Vec<_> = (0..count).map(|n| self.set(|p| bit(n)(p.member))).collect();
        let done: Vec<_> = (0..count).map(|n| self.set(|p| bit(n)(p.done))).collect();
        let views: Vec<[ContactSet; 2]> =
            (0..count).map(|n| [0, 1].map(|v| self.set(|p| bit(n)(*one(&p.views, v))))).collect();
        let closed = self.set(|person| person.flags >> 4 & 1 == 1);
        let rounds: Vec<Round<'_>> = self
            .batches
            .iter()
            .enumerate()
            .map(|(n, batch)| Round {
                tag: tag(n),
                kind: kind(batch),
                due: TODAY.plus(-i32::from(batch.late)),
                targets: one(&members, n),
                done: one(&done, n),
                exclusions: VIEWS.into_iter().zip(one(&views, n)).collect(),
                held: batch.held,
                has_template: batch.has_template,
                window_open: batch.window_open,
                closed: &closed,
                audience_left: one(&self.audiences, n % 2)
                    .map(|left| (u16::try_from(n % 2).expect("0 or 1"), left)),
            })
            .collect();
        let day_of = |ago: u16| if ago == 0 { 0 } else { TODAY.0 - ago };
        let flags: Vec<_> = (0..4).map(|n| self.set(|p| bit(n)(p.flags))).collect();
        let column = |of: fn(&Person) -> u32| self.people.iter().map(of).collect::<Vec<_>>();
        let last: Vec<u16> = self.people.iter().map(|p| day_of(p.ago.0)).collect();
        let last_silent: Vec<u16> = self.people.iter().map(|p| day_of(p.ago.1)).collect();
        let book = Book {
            suppressed: one(&flags, 0),
            waiting: one(&flags, 1),
            in_flight: one(&flags, 2),
            already_today: one(&flags, 3),
            last: &last,
            last_silent: &last_silent,
            company: &column(|p| p.company),
            rank: &column(|p| p.rank),
            company_taken: &|company| *one(&self.taken, index(company.0)),
            first_given: &|contact, tags| self.first_given(index(contact.0), tags),
        };
        plan(TODAY, &rounds, &book, &self.limits)
    }

    fn first_given(&self, person: usize, tags: &[TagId]) -> TagId {
        let first = one(&self.people, person).first;
        let age = |tag: &TagId| (usize::from(tag.0) + first) % 4;
        *tags.iter().min_by_key(|tag| age(tag)).expect("asked about some tags")
    }

    /// The naive planner: (person, batch) -> outcome, and the sending order.
    fn naive(&self) -> (Outcomes, Vec<(usize, usize)>) {
        let mut outcomes = HashMap::new();
        let mut sending: Vec<(usize, usize)> = Vec::new();
        for (who, person) in self.people.iter().enumerate() {
            let mut through = Vec::new();
            for (n, batch) in self.batches.iter().enumerate() {
                if person.member >> n & 1 == 0 || person.done >> n & 1 == 1 {
                    continue;
                }
                match own_reason(person, n, batch) {
                    Some(reason) => _ = outcomes.insert((who, n), reason),
                    None => through.push(n),
                }
            }
            let preference = |n: &usize| {
                let batch = one(&self.batches, *n);
                (!batch.reading, TODAY.0 - batch.late)
            };
            let Some(best) = through.iter().map(preference).min() else { continue };
            let alike: Vec<TagId> =
                through.iter().filter(|n| preference(n) == best).map(|n| tag(*n)).collect();
            let first = self.first_given(who, &alike);
            for n in through {
                if tag(n) == first {
                    sending.push((who, n));
                } else {
                    outcomes.insert((who, n), "other-batch".to_owned());
                }
            }
        }
        let last = |who: usize| match one(&self.people, who).ago.0 {
            0 => 0,
            ago => TODAY.0 - ago,
        };
        let due = |n: usize| TODAY.0 - one(&self.batches, n).late;
        let rank = |who: usize| one(&self.people, who).rank;
        sending.sort_by_key(|(who, n)| (due(*n), last(*who), rank(*who), *who));
        let mut taken = self.taken.clone();
        sending.retain(|(who, n)| {
            let company = index(one(&self.people, *who).company);
            let taken = taken.get_mut(company).expect("four companies");
            *taken += 1;
            let has_room = *taken <= self.limits.company_per_day_max;
            if !has_room {
                outcomes.insert((*who, *n), "company-cap".to_owned());
            }
            has_room
        });
        sending.sort_by_key(|(who, n)| {
            (due(*n), !one(&self.batches, *n).reading, last(*who), rank(*who), *who)
        });
        let mut used = [0_u32; 2];
        sending.retain(|(who, n)| {
            let used = used.get_mut(n % 2).expect("two audiences");
            *used += 1;
            let has_room = one(&self.audiences, n % 2).is_none_or(|left| *used <= left);
            if !has_room {
                outcomes.insert((*who, *n), "day-cap".to_owned());
            }
            has_room
        });
        for (left, reason) in
            [(self.limits.sender_left, "sender-cap"), (self.limits.day_left, "day-cap")]
        {
            while left.is_some_and(|left| sending.len() > index(left)) {
                let stopped = sending.pop().expect("longer than something");
                outcomes.insert(stopped, reason.to_owned());
            }
        }
        outcomes.extend(sending.iter().map(|sent| (*sent, "send".to_owned())));
        (outcomes, sending)
    }
}

fn own_reason(person: &Person, n: usize, batch: &Batch) -> Option<String> {
    let flag = |bit: u8| person.flags >> bit & 1 == 1;
    let view = |v: usize| one(&person.views, v) >> n & 1 == 1;
    let (ago, ago_silent) = person.ago;
    let too_soon = (1..7).contains(&ago) || (!batch.reading && (1..21).contains(&ago_silent));
    let (first, second) = (format!("view:{}", one(&VIEWS, 0)), format!("view:{}", one(&VIEWS, 1)));
    let reasons = [
        (flag(0), "suppressed"),
        (flag(1), "waiting"),
        (view(0), &first),
        (view(1), &second),
        (flag(2), "in-flight"),
        (flag(3), "already-today"),
        (too_soon, "gap"),
        (batch.held, "held"),
        (!batch.has_template, "no-template"),
        (!batch.window_open || flag(4), "window"),
    ];
    reasons.into_iter().find(|(holds, _)| *holds).map(|(_, reason)| reason.to_owned())
}

fn one<T>(of: &[T], place: usize) -> &T {
    of.get(place).expect("within the test's own bounds")
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("small")
}

fn tag(n: usize) -> TagId {
    TagId(u16::try_from(n).expect("few"))
}

fn kind(batch: &Batch) -> SeriesKind {
    if batch.reading { SeriesKind::Reading } else { SeriesKind::Marketing }
}

proptest! {
    #[test]
    fn the_plan_equals_a_naive_one(world in worlds()) {
        let planned = world.plan();
        let (outcomes, order) = world.naive();
        let mut found = HashMap::new();
        for round in &planned.rounds {
            for who in 0..world.people.len() {
                let contact = ContactId(u32::try_from(who).unwrap());
                if let Some(outcome) = round.outcome(contact) {
                    found.insert((who, usize::from(round.tag.0)), outcome.to_string());
                }
            }
        }
        prop_assert_eq!(&found, &outcomes);
        let found: Vec<(usize, usize)> = planned
            .order
            .iter()
            .map(|(who, n)| (index(who.0), usize::from(planned.rounds[*n].tag.0)))
            .collect();
        prop_assert_eq!(found, order);
        prop_assert_eq!(planned, world.plan());
    }

    #[test]
    fn the_laws_hold(world in worlds()) {
        let planned = world.plan();
        let mut companies: HashMap<u32, u32> = HashMap::new();
        let mut written = HashSet::new();
        for round in &planned.rounds {
            let n = usize::from(round.tag.0);
            let judged = world.people.iter().filter(|p| p.member >> n & !(p.done >> n) & 1 == 1);
            prop_assert_eq!(round.targets(), judged.count() as u64, "one outcome for everybody");
            let parts: Vec<&ContactSet> =
                round.outcomes.iter().map(|(_, who)| who).chain([&round.send]).collect();
            for (n, part) in parts.iter().enumerate() {
                prop_assert!(parts[n + 1..].iter().all(|other| part.and(other).is_empty()));
            }
            let reasons: HashSet<&Reason> = round.outcomes.iter().map(|(why, _)| why).collect();
            prop_assert_eq!(reasons.len(), round.outcomes.len());
            prop_assert!(round.outcomes.iter().all(|(_, who)| !who.is_empty()));
            for contact in round.send.iter() {
                let person = &world.people[index(contact.0)];
                prop_assert!(person.member >> n & 1 == 1 && person.done >> n & 1 == 0);
                prop_assert!(person.flags & 15 == 0 && (person.views[0] | person.views[1]) >> n & 1 == 0);
                prop_assert!(written.insert(contact), "nobody twice");
                *companies.entry(person.company).or_default() += 1;
            }
        }
        for (company, sent) in companies {
            prop_assert!(sent + world.taken[index(company)] <= world.limits.company_per_day_max);
        }
        let ordered: HashSet<ContactId> = planned.order.iter().map(|(who, _)| *who).collect();
        prop_assert_eq!(&ordered, &written);
        prop_assert_eq!(planned.order.len(), written.len());
        for contact in (0..60).map(ContactId) {
            let sent = planned.why(contact).is_some_and(|(_, why)| why == Outcome::Send);
            prop_assert_eq!(sent, written.contains(&contact));
            prop_assert_eq!(planned.why(contact).is_none(), planned.outcomes(contact).is_empty());
        }
    }
}

#[test]
fn reasons_read_back() {
    let reasons = [
        (Reason::Suppressed, "suppressed", false),
        (Reason::Waiting, "waiting", false),
        (Reason::View("不发邮箱".to_owned()), "view:不发邮箱", false),
        (Reason::InFlight, "in-flight", false),
        (Reason::AlreadyToday, "already-today", false),
        (Reason::Gap, "gap", false),
        (Reason::Held, "held", true),
        (Reason::NoTemplate, "no-template", false),
        (Reason::Window, "window", true),
        (Reason::OtherBatch, "other-batch", false),
        (Reason::CompanyCap, "company-cap", true),
        (Reason::SenderCap, "sender-cap", true),
        (Reason::ProviderCap, "provider-cap", true),
        (Reason::DayCap, "day-cap", true),
    ];
    for (reason, text, carries) in reasons {
        assert_eq!(reason.to_string(), text);
        assert_eq!(Reason::parse(text), Some(reason.clone()));
        assert_eq!(reason.carries(), carries, "{text}");
    }
    assert_eq!(Reason::parse("send"), None);
}

/// One company and one marketing batch, lived through day by day with carry-over.
struct Life {
    day: Day,
    targets: ContactSet,
    last: Vec<u16>,
    /// What is carried, by the day it was due.
    open: Vec<(Day, ContactSet)>,
}

impl Life {
    fn new(count: u32) -> Self {
        let last = vec![0; index(count)];
        Self { day: TODAY, targets: ContactSet::all(count), last, open: Vec::new() }
    }

    /// Lives one day; returns who was written to, in order.
    fn live(&mut self, is_due: bool) -> Vec<ContactId> {
        let nobody = ContactSet::new();
        self.open.retain(|(due, _)| self.day.since(*due) <= 7);
        if is_due {
            self.open.push((self.day, self.targets.clone()));
        }
        let round = |(due, targets)| Round {
            tag: TagId(0),
            kind: SeriesKind::Marketing,
            due,
            targets,
            done: &nobody,
            exclusions: Vec::new(),
            held: false,
            has_template: true,
            window_open: true,
            closed: &nobody,
            audience_left: None,
        };
        let rounds: Vec<Round<'_>> =
            self.open.iter().map(|(due, who)| round((*due, who))).collect();
        let columns = vec![7; self.last.len()];
        let ranks: Vec<u32> = (1..).take(self.last.len()).collect();
        let book = Book {
            suppressed: &nobody,
            waiting: &nobody,
            in_flight: &nobody,
            already_today: &nobody,
            last: &self.last,
            last_silent: &self.last,
            company: &columns,
            rank: &ranks,
            company_taken: &|_| 0,
            first_given: &|_, tags| *tags.first().expect("some"),
        };
        let planned = plan(self.day, &rounds, &book, &Limits::default());
        let sent: Vec<ContactId> = planned.order.iter().map(|(contact, _)| *contact).collect();
        for contact in &sent {
            *self.last.get_mut(index(contact.0)).expect("a contact") = self.day.0;
        }
        let claimed = sent.iter().copied().collect();
        self.open = planned
            .rounds
            .iter()
            .map(|round| {
                let texts: Vec<(String, &ContactSet)> =
                    round.outcomes.iter().map(|(why, who)| (why.to_string(), who)).collect();
                let recorded = texts.iter().map(|(why, who)| (why.as_str(), *who));
                (round.due, carried(recorded.chain([("send", &round.send)]), &claimed))
            })
            .collect();
        self.day = self.day.plus(1);
        sent
    }
}

#[test]
fn thirty_of_one_company_are_twenty_today_and_ten_tomorrow() {
    let mut life = Life::new(30);
    assert_eq!(life.live(true), (0..20).map(ContactId).collect::<Vec<_>>(), "by rank");
    assert_eq!(life.live(false), (20..30).map(ContactId).collect::<Vec<_>>());
    assert_eq!(life.live(false), []);
}

#[test]
fn three_hundred_of_one_company_are_written_within_two_rounds() {
    let mut life = Life::new(300);
    let mut written = HashSet::new();
    for n in 0..38 {
        let sent = life.live(n % 30 == 0);
        assert!(sent.len() <= 20);
        assert_eq!(sent.is_empty(), (8..30).contains(&n), "day {n}: eight days a round");
        let fresh = sent.into_iter().filter(|contact| written.insert(*contact)).count();
        assert!(n < 30 || written.len() == 300 || fresh == 20, "day {n}: the unwritten go first");
    }
    assert_eq!(written.len(), 300);
}

#[test]
fn a_stop_of_the_daemon_carries_who_was_planned() {
    let set = |ids: &[u32]| ids.iter().map(|id| ContactId(*id)).collect::<ContactSet>();
    let (send, gap, cap) = (set(&[1, 2, 3]), set(&[4]), set(&[5]));
    let recorded = [("send", &send), ("gap", &gap), ("company-cap", &cap)];
    assert_eq!(carried(recorded, &set(&[1])), set(&[2, 3, 5]));
}
