//! The plan of a day: for everybody in every due batch, `send` or the first reason why not.
//!
//! Pure (DESIGN §6): the same day, sets, tallies and limits give the same plan, so that any day can
//! be planned again and explained. What a batch cannot do is judged before any cap, so it takes
//! nobody's place. Set reasons are set algebra; only who survives them is looked at one by one.

use std::collections::HashMap;
use std::fmt;

use crate::book::contact::{CompanyNo, ContactId, Day};
use crate::book::set::ContactSet;
use crate::book::tag::{SeriesKind, TagId};
use crate::cadence::reason::Reason;

/// What a day is to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The rounds in order of preference: reading before silent, then the earliest due, then tag.
    pub rounds: Vec<Planned>,
    /// Whom to write to, in sending order, with the place of her round in `rounds`: the earliest due
    /// first (so carried before today's), reading before silent, then whose last letter is oldest,
    /// then rank, then number. Ranks before numbers also spread a company's letters over the day.
    pub order: Vec<(ContactId, usize)>,
}

/// One round as planned. Everybody to be judged is in `send` or in exactly one outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The batch.
    pub tag: TagId,
    /// Its rhythm.
    pub kind: SeriesKind,
    /// The day it fell due.
    pub due: Day,
    /// Who is not written to, by first reason, in the order of DESIGN §6; no set is empty.
    pub outcomes: Vec<(Reason, ContactSet)>,
    /// Who is written to.
    pub send: ContactSet,
}

/// What became of one contact in one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// She is written to.
    Send,
    /// She is not.
    Skip(&'a Reason),
}

/// One batch that goes out today: due today, or due earlier and carried.
pub struct Round<'a> {
    /// The batch.
    pub tag: TagId,
    /// Its rhythm.
    pub kind: SeriesKind,
    /// The day it fell due; before the plan's day for a carried round.
    pub due: Day,
    /// Holders of the tag; of a carried round, who was carried.
    pub targets: &'a ContactSet,
    /// Who was claimed in this round already and is not judged again.
    pub done: &'a ContactSet,
    /// The exclusion views in configured order: the name, and who of the targets is in it.
    pub exclusions: Vec<(&'a str, &'a ContactSet)>,
    /// Whether somebody holds the batch.
    pub held: bool,
    /// Whether a template is declared for it.
    pub has_template: bool,
    /// Whether the hours of sending still come, or last.
    pub window_open: bool,
    /// Who is not to be written to today although the hours last: a holiday where they are.
    pub closed: &'a ContactSet,
    /// What is left of the audience's letters of the day, and which audience (any number that its
    /// rounds share); `None` for no limit.
    pub audience_left: Option<(u16, u32)>,
}

/// What is known of contacts and companies. Slices are indexed by contact number.
pub struct Book<'a> {
    /// Never to be written to: by contact or by domain.
    pub suppressed: &'a ContactSet,
    /// A human reply is undecided.
    pub waiting: &'a ContactSet,
    /// Has a living letter.
    pub in_flight: &'a ContactSet,
    /// Was claimed on the plan's day.
    pub already_today: &'a ContactSet,
    /// The last day a letter was accepted or became unknown ([`Day`]; 0 or missing: never).
    pub last: &'a [u16],
    /// The same of letters of marketing batches only.
    pub last_silent: &'a [u16],
    /// Company numbers. Contacts without one count as one company: too few letters, never too many.
    pub company: &'a [u32],
    /// Ranks within company and kind.
    pub rank: &'a [u32],
    /// Letters claimed on the plan's day per company.
    pub company_taken: &'a dyn Fn(CompanyNo) -> u32,
    /// Which of these tags was given first; asked only for who is in several like rounds.
    pub first_given: &'a dyn Fn(ContactId, &[TagId]) -> TagId,
}

/// The limits of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Letters per company and calendar day.
    pub company_per_day_max: u32,
    /// Days from any letter to the next: 7 = written on day d, again on d+7 at the earliest.
    pub contact_gap_days_min: u16,
    /// Days from a letter of a marketing batch to the next of a marketing batch (DESIGN I1: two
    /// marketing tags do not double the rhythm); letters of reading batches do not count here.
    pub silent_gap_days_min: u16,
    /// What is left of the sender identity's letters of the day; `None` for no limit.
    pub sender_left: Option<u32>,
    /// What is left of the house's letters of the day; `None` for no limit.
    pub day_left: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            company_per_day_max: 20,
            contact_gap_days_min: 7,
            silent_gap_days_min: 21,
            sender_left: None,
            day_left: None,
        }
    }
}

/// Plans one day.
#[must_use]
pub fn plan(day: Day, rounds: &[Round<'_>], book: &Book<'_>, limits: &Limits) -> Plan {
    let allowances: Allowances = rounds
        .iter()
        .filter_map(|round| Some(((round.tag, round.due), round.audience_left?)))
        .collect();
    let mut rounds: Vec<Planned> =
        rounds.iter().map(|round| judge(day, round, book, limits)).collect();
    rounds.sort_by_key(|round| (round.preference(), round.tag));
    one_batch_each(&mut rounds, book);
    let letters = letters(&rounds, book);
    let letters = cap_companies(letters, &mut rounds, book, limits);
    let letters = cap_audiences(letters, &allowances, &mut rounds);
    let letters = cap(letters, limits.sender_left, &Reason::SenderCap, &mut rounds);
    let letters = cap(letters, limits.day_left, &Reason::DayCap, &mut rounds);
    let order = letters.iter().map(|letter| (letter.contact(), letter.round())).collect();
    Plan { rounds, order }
}

/// Who of a day's record goes out on following days: who stopped at a reason that carries, and whom
/// a stop of the daemon left planned (`send`) but unclaimed. `outcomes` are (outcome, who) as
/// recorded.
#[must_use]
pub fn carried<'a>(
    outcomes: impl IntoIterator<Item = (&'a str, &'a ContactSet)>,
    claimed: &ContactSet,
) -> ContactSet {
    let mut carried = ContactSet::new();
    for (outcome, who) in outcomes {
        if outcome == "send" || Reason::parse(outcome).is_some_and(|reason| reason.carries()) {
            carried.add(who);
        }
    }
    carried.subtract(claimed);
    carried
}

impl Plan {
    /// What became of a contact in each of her rounds, in order of preference.
    #[must_use]
    pub fn outcomes(&self, contact: ContactId) -> Vec<(&Planned, Outcome<'_>)> {
        let hers = |round| Some((round, Planned::outcome(round, contact)?));
        self.rounds.iter().filter_map(hers).collect()
    }

    /// The one answer for a contact: `send` if she is written to; else her first round's reason, but
    /// never that she goes out elsewhere, for she does not. `None` if she is in no round.
    #[must_use]
    pub fn why(&self, contact: ContactId) -> Option<(&Planned, Outcome<'_>)> {
        let all = self.outcomes(contact);
        let send = all.iter().find(|(_, outcome)| *outcome == Outcome::Send);
        let own = || all.iter().find(|(_, outcome)| *outcome != Outcome::Skip(&Reason::OtherBatch));
        send.or_else(own).or_else(|| all.first()).copied()
    }
}

impl Planned {
    /// What became of a contact in this round; `None` if she is not in it.
    #[must_use]
    pub fn outcome(&self, contact: ContactId) -> Option<Outcome<'_>> {
        if self.send.contains(contact) {
            return Some(Outcome::Send);
        }
        let skip = self.outcomes.iter().find(|(_, who)| who.contains(contact));
        skip.map(|(reason, _)| Outcome::Skip(reason))
    }

    /// Everybody who was judged.
    #[must_use]
    pub fn targets(&self) -> u64 {
        self.send.len() + self.outcomes.iter().map(|(_, who)| who.len()).sum::<u64>()
    }

    /// Which of a contact's rounds comes first; what is equal is decided by the tag given first.
    fn preference(&self) -> (bool, Day) {
        (self.kind == SeriesKind::Marketing, self.due)
    }

    fn stop(&mut self, reason: Reason, who: ContactSet) {
        if who.is_empty() {
            return;
        }
        self.send.subtract(&who);
        match self.outcomes.last_mut() {
            Some((last, stopped)) if *last == reason => stopped.add(&who),
            _ => self.outcomes.push((reason, who)),
        }
    }
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send => f.write_str("send"),
            Self::Skip(reason) => write!(f, "{reason}"),
        }
    }
}

/// The reasons that one batch knows by itself.
fn judge(day: Day, round: &Round<'_>, book: &Book<'_>, limits: &Limits) -> Planned {
    let mut planned = Planned {
        tag: round.tag,
        kind: round.kind,
        due: round.due,
        outcomes: Vec::new(),
        send: round.targets.minus(round.done),
    };
    let before = [(Reason::Suppressed, book.suppressed), (Reason::Waiting, book.waiting)];
    let views = round.exclusions.iter().map(|(name, who)| (Reason::View((*name).to_owned()), *who));
    let after = [(Reason::InFlight, book.in_flight), (Reason::AlreadyToday, book.already_today)];
    for (reason, set) in before.into_iter().chain(views).chain(after) {
        let who = planned.send.and(set);
        planned.stop(reason, who);
    }
    let too_soon = |last: &[u16], contact: ContactId, gap: u16| {
        let last = at(last, contact).unwrap_or(0);
        last != 0 && u32::from(day.0) < u32::from(last) + u32::from(gap)
    };
    let silent = round.kind == SeriesKind::Marketing;
    let gap = planned.send.iter().filter(|contact| {
        too_soon(book.last, *contact, limits.contact_gap_days_min)
            || (silent && too_soon(book.last_silent, *contact, limits.silent_gap_days_min))
    });
    let gap = gap.collect();
    planned.stop(Reason::Gap, gap);
    for (reason, stops) in [
        (Reason::Held, round.held),
        (Reason::NoTemplate, !round.has_template),
        (Reason::Window, !round.window_open),
    ] {
        if stops {
            let everybody = planned.send.clone();
            planned.stop(reason, everybody);
        }
    }
    let closed = planned.send.and(round.closed);
    planned.stop(Reason::Window, closed);
    planned
}

/// Leaves each contact to the first round that would send; `rounds` are in order of preference.
fn one_batch_each(rounds: &mut [Planned], book: &Book<'_>) {
    let mut taken = ContactSet::new();
    for alike in rounds.chunk_by_mut(|a, b| a.preference() == b.preference()) {
        for round in alike.iter_mut() {
            let elsewhere = round.send.and(&taken);
            round.stop(Reason::OtherBatch, elsewhere);
        }
        let mut twice = ContactSet::new();
        for round in alike.iter() {
            twice.add(&round.send.and(&taken));
            taken.add(&round.send);
        }
        let chosen: HashMap<ContactId, usize> =
            twice.iter().map(|contact| (contact, first_given(contact, alike, book))).collect();
        for (place, round) in alike.iter_mut().enumerate() {
            let elsewhere = round.send.and(&twice);
            let elsewhere =
                elsewhere.iter().filter(|contact| chosen.get(contact) != Some(&place)).collect();
            round.stop(Reason::OtherBatch, elsewhere);
        }
    }
}

/// The place among like rounds of the one whose tag a contact was given first.
fn first_given(contact: ContactId, alike: &[Planned], book: &Book<'_>) -> usize {
    let hers = || alike.iter().enumerate().filter(|(_, round)| round.send.contains(contact));
    let tags: Vec<TagId> = hers().map(|(_, round)| round.tag).collect();
    let first = (book.first_given)(contact, &tags);
    let found = hers().find(|(_, round)| round.tag == first).or_else(|| hers().next());
    found.map_or(0, |(place, _)| place)
}

/// One letter that the rounds would send, packed so that sorting a day's letters is cheap. Its order
/// is the sending order: due, silent, last letter, rank, contact; last comes the round's place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Letter(u128);

impl Letter {
    fn new(contact: ContactId, (place, round): (usize, &Planned), book: &Book<'_>) -> Self {
        let [a, b] = round.due.0.to_be_bytes();
        let silent = u8::from(round.kind == SeriesKind::Marketing);
        let [c, d] = at(book.last, contact).unwrap_or(0).to_be_bytes();
        let [e, f, g, h] = at(book.rank, contact).unwrap_or(u32::MAX).to_be_bytes();
        let [i, j, k, l] = contact.0.to_be_bytes();
        let [.., m, n, o] = place.to_be_bytes();
        Self(u128::from_be_bytes([a, b, silent, c, d, e, f, g, h, i, j, k, l, m, n, o]))
    }

    /// Whose turn it is within a company: the sending order, but reading is not before silent.
    fn turn(self) -> u128 {
        self.0 & !(0xff << 104)
    }

    fn contact(self) -> ContactId {
        let [_, _, _, _, _, _, _, _, _, i, j, k, l, ..] = self.0.to_be_bytes();
        ContactId(u32::from_be_bytes([i, j, k, l]))
    }

    fn round(self) -> usize {
        let [.., m, n, o] = self.0.to_be_bytes();
        usize::try_from(u32::from_be_bytes([0, m, n, o])).unwrap_or(usize::MAX)
    }
}

/// The letters of all rounds.
fn letters(rounds: &[Planned], book: &Book<'_>) -> Vec<Letter> {
    let count: u64 = rounds.iter().map(|round| round.send.len()).sum();
    let mut letters = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for round in rounds.iter().enumerate() {
        letters.extend(round.1.send.iter().map(|contact| Letter::new(contact, round, book)));
    }
    letters
}

/// Shares each company's places of the day over all rounds; returns who has one, in sending order.
fn cap_companies(
    mut letters: Vec<Letter>,
    rounds: &mut [Planned],
    book: &Book<'_>,
    limits: &Limits,
) -> Vec<Letter> {
    // Company and place in `letters`, as one number: what is sorted is a quarter of what it is about.
    let company = |letter: &Letter| at(book.company, letter.contact()).unwrap_or(u32::MAX);
    let numbered = letters.iter().zip(0_u32..);
    let mut keys: Vec<u64> =
        numbered.map(|(letter, n)| u64::from(company(letter)) << 32 | u64::from(n)).collect();
    keys.sort_unstable();
    let split = |key: u64| {
        let [a, b, c, d, e, f, g, h] = key.to_be_bytes();
        (CompanyNo(u32::from_be_bytes([a, b, c, d])), u32::from_be_bytes([e, f, g, h]))
    };
    let letter = |key: &u64| letters.get(usize::try_from(split(*key).1).ok()?).copied();
    let mut stopped = Vec::new();
    for colleagues in keys.chunk_by(|a, b| a >> 32 == b >> 32) {
        let Some((company, _)) = colleagues.first().copied().map(split) else { continue };
        let room = limits.company_per_day_max.saturating_sub((book.company_taken)(company));
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if colleagues.len() > room {
            let mut turns: Vec<Letter> = colleagues.iter().filter_map(letter).collect();
            turns.sort_unstable_by_key(|letter| letter.turn());
            stopped.extend(turns.iter().skip(room));
        }
    }
    letters.sort_unstable();
    stopped.sort_unstable();
    let mut without = stopped.iter().peekable();
    letters.retain(|letter| without.next_if_eq(&letter).is_none());
    stop_all(stopped, &Reason::CompanyCap, rounds);
    letters
}

/// What is left to the audience of each limited round: which audience, and how many letters.
type Allowances = HashMap<(TagId, Day), (u16, u32)>;

/// Keeps each audience's first letters of the sending order.
fn cap_audiences(
    letters: Vec<Letter>,
    allowances: &Allowances,
    rounds: &mut [Planned],
) -> Vec<Letter> {
    if allowances.is_empty() {
        return letters;
    }
    let mut used: HashMap<u16, u32> = HashMap::new();
    let (kept, stopped) = letters.into_iter().partition(|letter| {
        let round = rounds.get(letter.round()).map(|round| (round.tag, round.due));
        let Some((audience, left)) = round.and_then(|key| allowances.get(&key)) else {
            return true;
        };
        let used = used.entry(*audience).or_default();
        *used += 1;
        *used <= *left
    });
    stop_all(stopped, &Reason::DayCap, rounds);
    kept
}

/// Keeps the first `left` letters of the sending order.
fn cap(
    mut letters: Vec<Letter>,
    left: Option<u32>,
    reason: &Reason,
    rounds: &mut [Planned],
) -> Vec<Letter> {
    let left = left.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX);
    let stopped = letters.split_off(left.min(letters.len()));
    stop_all(stopped, reason, rounds);
    letters
}

fn stop_all(mut stopped: Vec<Letter>, reason: &Reason, rounds: &mut [Planned]) {
    stopped.sort_unstable_by_key(|letter| (letter.round(), letter.contact()));
    for letters in stopped.chunk_by(|a, b| a.round() == b.round()) {
        let round = letters.first().and_then(|letter| rounds.get_mut(letter.round()));
        if let Some(round) = round {
            round.stop(reason.clone(), letters.iter().map(|letter| letter.contact()).collect());
        }
    }
}

fn at<T: Copy>(column: &[T], contact: ContactId) -> Option<T> {
    column.get(usize::try_from(contact.0).ok()?).copied()
}
