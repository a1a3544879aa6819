//! Days to come, simulated: the very planner, over a copy of what the book knows.
//!
//! Every planned letter is accepted on its day; what carries is carried; of those written to, a share
//! opens and a share replies, drawn by a hash of seed, contact and day, so that the same seed gives
//! the same days. With both shares at nought this is what a later day's plan is (DESIGN §6).

use std::collections::{BTreeMap, HashMap};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::book::contact::{CompanyNo, ContactId, Day, Moment};
use crate::book::set::ContactSet;
use crate::book::tag::{SeriesKind, Tag, TagId};
use crate::cadence::plan::{self, Book, Limits, Plan, Round};
use crate::control::Failure;
use crate::desk::dayplan::Due;
use crate::desk::keeper::Keeper;
use crate::desk::sight::view_failure;
use crate::feedback::open::OpenClass;
use crate::feedback::rule::{PendingOpen, Readers};
use crate::store::ledger;
use crate::store::seen::Supposed;

/// Of a thousand letters, how many are opened by people and how many answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Opened.
    pub opens: u32,
    /// Answered: the contact becomes a person's business.
    pub replies: u32,
    /// What the draws depend on.
    pub seed: u64,
}

/// A simulated stretch of days.
pub struct World<'a> {
    keeper: &'a Keeper,
    shares: Shares,
    /// The day that is planned next.
    day: Day,
    /// The day the simulation began: what the store knows of it counts.
    first: Day,
    open_today: bool,
    tags: Vec<Tag>,
    members: Vec<ContactSet>,
    last: Vec<u16>,
    last_silent: Vec<u16>,
    waiting: ContactSet,
    done: HashMap<(TagId, Day), ContactSet>,
    carried: Vec<Due>,
    pending: BTreeMap<(ContactId, TagId), Day>,
}

impl<'a> World<'a> {
    /// Begins with the day of `now` as things stand.
    #[must_use]
    pub fn new(keeper: &'a Keeper, now: Moment, shares: Shares) -> Self {
        let today = keeper.day_of(now);
        let state = keeper.store.state();
        let mut world = Self {
            keeper,
            shares,
            day: today,
            first: today,
            // Whom the window stops today is carried into tomorrow.
            open_today: now < keeper.hours(today).1,
            tags: state.tags.clone(),
            members: state.members.clone(),
            last: state.contacts.last.clone(),
            last_silent: state.contacts.last_silent.clone(),
            waiting: state.waiting.clone(),
            done: HashMap::new(),
            carried: keeper.carried_into(today),
            pending: state.pending.iter().map(|(key, (day, _))| (*key, *day)).collect(),
        };
        // What is claimed and not ended counts as accepted.
        for living in state.living.values() {
            let silent = world.kind(living.letter.tag) == Some(SeriesKind::Marketing);
            world.wrote(living.letter.contact, living.day, silent);
        }
        world
    }

    /// A past day that was never lived through: today's book, without the letters that came after.
    #[must_use]
    pub fn past(keeper: &'a Keeper, day: Day) -> Self {
        let begin = keeper.config.zone.start_of(day);
        let mut world = Self::new(keeper, begin, Shares::default());
        world.carried.clear();
        for last in world.last.iter_mut().chain(&mut world.last_silent) {
            if *last > day.0 {
                *last = 0;
            }
        }
        world
    }

    /// The day that is planned next.
    #[must_use]
    pub fn day(&self) -> Day {
        self.day
    }

    /// How many a tag group holds: (tag by tag, each contact once), and of them who is not in any
    /// of `without`.
    #[must_use]
    pub fn group(&self, group: &str) -> ContactSet {
        let mut all = ContactSet::new();
        for (tag, members) in self.tags.iter().zip(&self.members) {
            if tag.group == group {
                all.add(members);
            }
        }
        all
    }

    /// Those who wait for a person.
    #[must_use]
    pub fn waiting(&self) -> &ContactSet {
        &self.waiting
    }

    /// Plans the next day and takes it for done.
    ///
    /// # Errors
    /// When a view cannot be evaluated.
    pub fn step(&mut self) -> Result<Plan, Failure> {
        let plan = self.plan()?;
        self.accept(&plan);
        self.day = self.day.plus(1);
        Ok(plan)
    }

    /// The plan of the next day.
    ///
    /// # Errors
    /// When a view cannot be evaluated.
    pub fn plan(&mut self) -> Result<Plan, Failure> {
        if self.day > self.first {
            self.promote();
        }
        let rounds = self.due();
        let exclusions =
            rounds.iter().map(|due| self.exclusions(due)).collect::<Result<Vec<_>, Failure>>()?;
        let done: Vec<ContactSet> = rounds.iter().map(|due| self.done(due)).collect();
        let closed = rounds
            .iter()
            .map(|due| self.keeper.closed_on(self.day, &due.targets))
            .collect::<Result<Vec<_>, Failure>>()?;
        let state = self.keeper.store.state();
        let open = match self.day == self.first {
            true => self.open_today,
            false => self.keeper.opens_on(self.day),
        };
        let asked: Vec<Round<'_>> = rounds
            .iter()
            .zip(&exclusions)
            .zip(&done)
            .zip(&closed)
            .map(|(((due, exclusions), done), closed)| Round {
                tag: due.tag,
                kind: due.kind,
                due: due.due,
                targets: &due.targets,
                done,
                exclusions: exclusions.iter().map(|(name, who)| (name.as_str(), who)).collect(),
                held: state.paused || state.held.contains(&due.tag),
                has_template: self.has_template(due),
                window_open: open,
                closed,
                audience_left: self.audience_left(due.tag),
            })
            .collect();
        Ok(self.ask(&asked))
    }

    fn ask(&self, rounds: &[Round<'_>]) -> Plan {
        let state = self.keeper.store.state();
        let is_today = state.today.day == Some(self.day);
        let nobody = ContactSet::new();
        let already = if is_today { &state.today.claimed } else { &nobody };
        let in_flight =
            if self.day == self.first { ledger::in_flight(state) } else { nobody.clone() };
        let taken = |company: CompanyNo| {
            let claimed = state.today.by_company.get(&company).filter(|_| is_today);
            claimed.copied().unwrap_or(0)
        };
        let spent = u32::try_from(already.len()).unwrap_or(u32::MAX);
        let config = &self.keeper.config;
        let limits = Limits {
            day_left: config.day_max.map(|max| max.saturating_sub(spent)),
            sender_left: config.sender_day_max.map(|max| max.saturating_sub(spent)),
            ..config.limits
        };
        let book = Book {
            suppressed: &state.suppressed,
            waiting: &self.waiting,
            in_flight: &in_flight,
            already_today: already,
            last: &self.last,
            last_silent: &self.last_silent,
            company: &state.contacts.company,
            rank: &state.contacts.rank,
            company_taken: &taken,
            first_given: &|contact, tags| self.keeper.first_given(contact, tags),
        };
        plan::plan(self.day, rounds, &book, &limits)
    }

    /// The rounds of the day: due by the calendar, and carried into it.
    fn due(&mut self) -> Vec<Due> {
        let calendar = self.keeper.config.cadence.due(self.day);
        let state = self.keeper.store.state();
        let mut rounds: Vec<Due> = Vec::new();
        for (tag, members) in self.tags.iter().zip(&self.members) {
            let Some(batch) = &tag.batch else { continue };
            if calendar.contains(&(batch.kind, batch.no)) {
                let targets = members.minus(&state.shadows);
                rounds.push(Due { tag: tag.id, kind: batch.kind, due: self.day, targets });
            }
        }
        rounds.append(&mut self.carried);
        rounds.retain(|round| !round.targets.is_empty());
        rounds
    }

    fn exclusions(&self, due: &Due) -> Result<Vec<(String, ContactSet)>, Failure> {
        let config = &self.keeper.config;
        let supposed = Supposed {
            today: self.day,
            tags: &self.tags,
            members: &self.members,
            last: &self.last,
            more: &HashMap::new(),
        };
        let each = config.exclusions(due.kind).iter().map(|name| {
            let who = self.keeper.store.supposed(&config.views, (name, &due.targets), &supposed);
            who.map(|who| (name.clone(), who)).map_err(|error| view_failure(&error))
        });
        each.collect()
    }

    fn done(&self, due: &Due) -> ContactSet {
        let held = self.keeper.store.state().rounds.get(&(due.due, due.tag));
        let mut done = held.map(|round| round.done.clone()).unwrap_or_default();
        if let Some(more) = self.done.get(&(due.tag, due.due)) {
            done.add(more);
        }
        done
    }

    fn has_template(&self, due: &Due) -> bool {
        let batch = self.tags.get(usize::from(due.tag.0)).and_then(|tag| tag.batch.as_ref());
        batch.is_some_and(|batch| self.keeper.config.templates.has(&batch.audience, batch.kind))
    }

    /// A whole day's letters of the audience: today's own are counted by the keeper.
    fn audience_left(&self, tag: TagId) -> Option<(u16, u32)> {
        let audience = &self.tags.get(usize::from(tag.0))?.batch.as_ref()?.audience;
        self.keeper.config.audience_limit(audience)
    }

    fn kind(&self, tag: TagId) -> Option<SeriesKind> {
        self.tags.get(usize::from(tag.0))?.batch.as_ref().map(|batch| batch.kind)
    }

    /// Everybody planned was written to; what carries is carried; some open, some reply.
    fn accept(&mut self, plan: &Plan) {
        let tomorrow = self.day.plus(1);
        let carry = i32::from(self.keeper.config.carry_days_max);
        for round in &plan.rounds {
            let silent = round.kind == SeriesKind::Marketing;
            for id in round.send.iter() {
                self.wrote(id, self.day, silent);
                self.react(id, round.tag, silent);
            }
            self.done.entry((round.tag, round.due)).or_default().add(&round.send);
            let mut targets = ContactSet::new();
            for (_, who) in round.outcomes.iter().filter(|(reason, _)| reason.carries()) {
                targets.add(who);
            }
            if tomorrow.since(round.due) <= carry && !targets.is_empty() {
                let (tag, kind, due) = (round.tag, round.kind, round.due);
                self.carried.push(Due { tag, kind, due, targets });
            }
        }
        self.done.retain(|(_, due), _| tomorrow.since(*due) <= carry);
    }

    fn wrote(&mut self, id: ContactId, day: Day, silent: bool) {
        let at = id.0 as usize;
        if let Some(last) = self.last.get_mut(at) {
            *last = day.0.max(*last);
        }
        if let Some(last) = self.last_silent.get_mut(at).filter(|_| silent) {
            *last = day.0.max(*last);
        }
    }

    /// Whether a draw out of a thousand for a contact and the day falls below `share`.
    fn drawn(&self, id: ContactId, what: u8, share: u32) -> bool {
        let [a, b, c, d] = id.0.to_be_bytes();
        let [e, f] = self.day.0.to_be_bytes();
        let draw = xxh3_64_with_seed(&[a, b, c, d, e, f, what], self.shares.seed);
        draw % 1000 < u64::from(share)
    }

    fn react(&mut self, id: ContactId, tag: TagId, silent: bool) {
        if silent && self.drawn(id, b'o', self.shares.opens) {
            self.pending.entry((id, tag)).or_insert(self.day);
        }
        if self.drawn(id, b'r', self.shares.replies) {
            self.waiting.insert(id);
        }
    }

    /// Gives the reading tags that opens have earned by the day's beginning.
    fn promote(&mut self) {
        let opens: Vec<PendingOpen> = self
            .pending
            .iter()
            .map(|((contact, tag), day)| PendingOpen {
                contact: *contact,
                tag: *tag,
                class: OpenClass::Human,
                day: *day,
                at: self.keeper.config.zone.start_of(*day),
            })
            .collect();
        let now: Moment = self.keeper.config.zone.start_of(self.day);
        let promote = self.keeper.config.promote;
        let promotions = Readers {
            promote,
            cadence: &self.keeper.config.cadence,
            tags: &self.tags,
            is_reader: &|contact, audience| {
                self.tags.iter().zip(&self.members).any(|(tag, members)| {
                    tag.batch.as_ref().is_some_and(|batch| {
                        batch.kind == SeriesKind::Reading && batch.audience == *audience
                    }) && members.contains(contact)
                })
            },
        }
        .promotions(&opens, self.day, now);
        for open in opens.iter().filter(|open| promote.is_ripe(open, self.day, now)) {
            self.pending.remove(&(open.contact, open.tag));
        }
        for promotion in promotions {
            let name = promotion.tag.to_string();
            let known = self.tags.iter().position(|tag| tag.name == name);
            let place = known.unwrap_or_else(|| {
                let id = TagId(u16::try_from(self.tags.len()).unwrap_or(u16::MAX));
                let (group, batch) = ("reading".to_owned(), Some(promotion.tag.clone()));
                self.tags.push(Tag { id, name, group, batch });
                self.members.push(ContactSet::new());
                self.tags.len() - 1
            });
            if let Some(members) = self.members.get_mut(place) {
                members.insert(promotion.contact);
            }
        }
    }
}
