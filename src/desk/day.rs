//! The life of a day: opened at midnight, planned when its window opens, worked off, closed.
//!
//! Whatever changes the book while the window is open is judged anew, and appended: who is planned
//! keeps her place (DESIGN §6). What a closed day left behind is recorded with its first reasons, so
//! that what carries goes out on following days and every "why" has an answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::book::contact::{CompanyNo, ContactId, Day, Moment};
use crate::book::set::ContactSet;
use crate::book::tag::{SeriesKind, TagId};
use crate::cadence::plan::{self, Book, Limits, Plan, Round};
use crate::cadence::reason::Reason;
use crate::control::Failure;
use crate::desk::dayplan::{DayPlan, Due, RoundPlan};
use crate::desk::keeper::Keeper;
use crate::feedback::entry::{By, RoundRecord, What};
use crate::feedback::open::OpenClass;
use crate::feedback::rule::{PendingOpen, Promote, Readers};
use crate::store::ledger;

impl Keeper {
    /// Does everything that is due at `now`: opens days, moves readers, plans, ends old letters.
    ///
    /// # Errors
    /// When the store fails; nothing more may be sent then.
    pub fn tick(&mut self, now: Moment) -> Result<(), Failure> {
        self.open_days(now)?;
        let today = self.day_of(now);
        if self.store.state().opened != Some(today) {
            return Ok(());
        }
        if matches!(self.config.promote, Promote::AfterHours(_)) {
            self.promote(today, now)?;
        }
        self.expire(now)?;
        let (opens, closes) = self.hours(today);
        if now < opens {
            return Ok(());
        }
        if self.day.as_ref().is_none_or(|plan| plan.day != today) {
            self.freeze(today, now)?;
        }
        let open = now < closes;
        if std::mem::take(&mut self.stale) && open {
            self.refresh(now, true)?;
        }
        if !open && self.day.as_ref().is_some_and(|plan| !plan.closed) {
            self.refresh(now, false)?;
        }
        Ok(())
    }

    /// When the window of a day opens and closes; both are the day's end on a day without one.
    #[must_use]
    pub fn hours(&self, day: Day) -> (Moment, Moment) {
        let zone = self.config.zone;
        let end = zone.start_of(day.plus(1));
        let window = self.config.hours.of(day);
        window.map_or((end, end), |window| (window.opens(zone, day), window.closes(zone, day)))
    }

    /// Whether letters may leave at any hour of a day.
    #[must_use]
    pub fn opens_on(&self, day: Day) -> bool {
        let (opens, closes) = self.hours(day);
        opens < closes
    }

    /// Whether letters may leave now.
    #[must_use]
    pub fn is_open(&self, now: Moment) -> bool {
        let (opens, closes) = self.hours(self.day_of(now));
        opens <= now && now < closes
    }

    /// The next instant after `now` at which something falls due.
    #[must_use]
    pub fn next_timer(&self, now: Moment) -> Moment {
        let today = self.day_of(now);
        let tomorrow = self.config.zone.start_of(today.plus(1));
        let (opens, closes) = self.hours(today);
        let (opens_next, _) = self.hours(today.plus(1));
        let mut instants = vec![tomorrow, opens, closes];
        let state = self.store.state();
        instants.extend(state.living.values().filter_map(|living| living.until).map(|until| {
            let (opens, closes) = self.hours(self.day_of(until));
            if until < opens {
                opens
            } else if until >= closes {
                opens_next.max(self.hours(self.day_of(until).plus(1)).0)
            } else {
                until
            }
        }));
        if let Promote::AfterHours(hours) = self.config.promote {
            let ripe = |(_, at): &(Day, Moment)| at.plus_seconds(i64::from(hours) * 3600);
            instants.extend(state.pending.values().map(ripe));
        }
        instants.into_iter().filter(|at| *at > now).min().unwrap_or(tomorrow)
    }

    /// Opens today, and the days that were missed, at most `carry_days_max` back.
    fn open_days(&mut self, now: Moment) -> Result<(), Failure> {
        let today = self.day_of(now);
        let back = today.plus(-i32::from(self.config.carry_days_max));
        let first = match self.store.state().opened {
            Some(opened) if opened >= today => return Ok(()),
            Some(opened) => opened.plus(1).max(back),
            None => today,
        };
        for day in first.0..=today.0 {
            let day = Day(day);
            self.close_day(now)?;
            self.promote(day, now)?;
            self.store.record(now, What::DayOpened { day })?;
            self.day = None;
            self.stale = true;
        }
        Ok(self.store.commit()?)
    }

    /// Closes the opened day, if it is not closed yet: who was planned and not claimed stopped at
    /// the window.
    fn close_day(&mut self, now: Moment) -> Result<(), Failure> {
        let Some(day) = self.store.state().opened else { return Ok(()) };
        if self.store.state().closed.as_ref().is_some_and(|(closed, _)| *closed >= day) {
            return Ok(());
        }
        if self.day.as_ref().is_none_or(|plan| plan.day != day) {
            self.day = Some(self.restored(day));
        }
        self.refresh(now, false)?;
        let Some(plan) = self.day.take() else { return Ok(()) };
        let rounds = plan.rounds.iter().map(RoundPlan::record).collect();
        self.store.record(now, What::DayClosed { day, rounds })?;
        Ok(())
    }

    /// Gives the reading tags that opens have earned.
    fn promote(&mut self, day: Day, now: Moment) -> Result<(), Failure> {
        let state = self.store.state();
        if state.pending.is_empty() {
            return Ok(());
        }
        let opens: Vec<PendingOpen> = state
            .pending
            .iter()
            .map(|((contact, tag), (day, at))| PendingOpen {
                contact: *contact,
                tag: *tag,
                class: OpenClass::Human,
                day: *day,
                at: *at,
            })
            .collect();
        let readers = Readers {
            promote: self.config.promote,
            cadence: &self.config.cadence,
            tags: &state.tags,
            is_reader: &|contact, audience| state.reads(contact, audience),
        };
        for promotion in readers.promotions(&opens, day, now) {
            let tag = self.tag(&promotion.tag.to_string(), now)?;
            let by = By::Rule("reading".to_owned());
            let contact = promotion.contact;
            self.store.record(now, What::Tagged { contact, tag, day, by })?;
        }
        Ok(())
    }

    /// Ends letters that are too old for another attempt.
    fn expire(&mut self, now: Moment) -> Result<(), Failure> {
        let today = self.day_of(now);
        let carry = i32::from(self.config.carry_days_max);
        let old: Vec<_> = self
            .store
            .state()
            .living
            .values()
            .filter(|living| living.until.is_some())
            .filter(|living| {
                today.since(living.letter.due) > carry
                    || now > living.first_at.plus_seconds(48 * 3600)
            })
            .map(|living| living.letter)
            .collect();
        for letter in old {
            self.store.record(now, What::Expired { letter })?;
        }
        Ok(self.store.commit()?)
    }

    /// Plans the day for the first time, or takes its plan up again after a restart.
    fn freeze(&mut self, day: Day, now: Moment) -> Result<(), Failure> {
        let known = self.store.state().frozen.as_ref().is_some_and(|(frozen, _)| *frozen == day);
        self.day = Some(self.restored(day));
        let (_, closes) = self.hours(day);
        self.refresh(now, now < closes)?;
        if let Some(plan) = self.day.as_ref().filter(|_| !known) {
            let rounds = plan.rounds.iter().map(RoundPlan::record).collect();
            self.store.record(now, What::PlanFrozen { day, rounds })?;
            self.store.commit()?;
        }
        Ok(())
    }

    /// The frozen plan of a day as the store holds it, without a queue.
    fn restored(&self, day: Day) -> DayPlan {
        let mut plan = DayPlan::empty(day);
        let state = self.store.state();
        let Some((_, rounds)) = state.frozen.as_ref().filter(|(frozen, _)| *frozen == day) else {
            return plan;
        };
        for record in rounds {
            let Some(kind) = self.kind_of(record.tag) else { continue };
            let (tag, due) = (record.tag, record.due);
            let mut round =
                RoundPlan { tag, kind, due, outcomes: Vec::new(), send: ContactSet::new() };
            for (outcome, bytes) in &record.outcomes {
                let who = ContactSet::from_bytes(bytes).unwrap_or_default();
                match Reason::parse(outcome) {
                    Some(reason) => round.put(&reason, &who),
                    None => round.send.add(&who),
                }
            }
            plan.rounds.push(round);
        }
        plan
    }

    /// Judges everybody who is not judged yet, and those whose reason may have passed. With `open`
    /// false the day is over: whoever was stopped keeps the reason, whoever is still queued stops at
    /// the window.
    fn refresh(&mut self, now: Moment, open: bool) -> Result<(), Failure> {
        let Some(mut day) = self.day.take() else { return Ok(()) };
        if !open {
            day.queue.clear();
            day.queued = ContactSet::new();
            day.closed = true;
        }
        let mut asked = self.due(day.day);
        for due in &mut asked {
            let done = self.done(due.tag, due.due);
            let round = day.rounds.iter().find(|r| r.tag == due.tag && r.due == due.due);
            let Some(round) = round else { continue };
            let mut settled = round.send.and(&done.or(&day.queued));
            for (_, who) in round.outcomes.iter().filter(|(why, _)| !(open && why.carries())) {
                settled.add(who);
            }
            due.targets.subtract(&settled);
        }
        asked.retain(|due| !due.targets.is_empty());
        let plan = self.judge(day.day, &asked, open, Some(&day))?;
        day.take(&plan, &asked);
        self.day = Some(day);
        let _ = now;
        Ok(())
    }

    /// The rounds that go out on a day: those due, and those carried into it.
    #[must_use]
    pub fn due(&self, day: Day) -> Vec<Due> {
        let mut rounds: BTreeMap<(Day, TagId), Due> = BTreeMap::new();
        let state = self.store.state();
        let due = self.config.cadence.due(day);
        for tag in &state.tags {
            let Some(batch) = &tag.batch else { continue };
            if due.contains(&(batch.kind, batch.no)) {
                let targets = state.members_by(tag.id, day);
                rounds.insert(
                    (day, tag.id),
                    Due { tag: tag.id, kind: batch.kind, due: day, targets },
                );
            }
        }
        for carried in self.carried_into(day) {
            rounds.insert((carried.due, carried.tag), carried);
        }
        rounds.into_values().filter(|round| !round.targets.is_empty()).collect()
    }

    /// What the last closed day left to this one.
    #[must_use]
    pub fn carried_into(&self, day: Day) -> Vec<Due> {
        let Some((closed, rounds)) = &self.store.state().closed else { return Vec::new() };
        if *closed >= day {
            return Vec::new();
        }
        let alive =
            |record: &&RoundRecord| day.since(record.due) <= i32::from(self.config.carry_days_max);
        let carried = rounds.iter().filter(alive).filter_map(|record| {
            let sets: Vec<(&str, ContactSet)> = record
                .outcomes
                .iter()
                .map(|(why, who)| (why.as_str(), ContactSet::from_bytes(who).unwrap_or_default()))
                .collect();
            let outcomes = sets.iter().map(|(why, who)| (*why, who));
            let mut targets = plan::carried(outcomes, &self.done(record.tag, record.due));
            targets.keep(self.store.state().members(record.tag)?);
            let kind = self.kind_of(record.tag)?;
            Some(Due { tag: record.tag, kind, due: record.due, targets })
        });
        carried.collect()
    }

    fn kind_of(&self, tag: TagId) -> Option<SeriesKind> {
        self.store.state().tag(tag)?.batch.as_ref().map(|batch| batch.kind)
    }

    fn done(&self, tag: TagId, due: Day) -> ContactSet {
        let round = self.store.state().rounds.get(&(due, tag));
        round.map(|round| round.done.clone()).unwrap_or_default()
    }

    /// Asks the planner about these rounds, as of the state and of what is planned already. A round
    /// that would be larger than `approve_above` is held until it is approved.
    ///
    /// # Errors
    /// When a view cannot be evaluated or a timeline not read.
    pub fn judge(
        &self,
        day: Day,
        asked: &[Due],
        open: bool,
        planned: Option<&DayPlan>,
    ) -> Result<Plan, Failure> {
        let sight = self.sight(day, asked, open, planned)?;
        let plan = self.ask(&sight, &BTreeSet::new());
        let Some(most) = self.config.approve_above else { return Ok(plan) };
        let large = plan.rounds.iter().filter(|round| {
            let before = planned.and_then(|plan| plan.round(round.tag, round.due));
            let before = before.map_or(0, |round| round.send.len());
            let key = (round.due, round.tag);
            !round.send.is_empty()
                && round.send.len() + before > u64::from(most)
                && !self.store.state().approved.contains(&key)
        });
        let large: BTreeSet<(Day, TagId)> = large.map(|round| (round.due, round.tag)).collect();
        if large.is_empty() { Ok(plan) } else { Ok(self.ask(&sight, &large)) }
    }

    /// Everything the planner is to be told, but which rounds are too large.
    fn sight<'a>(
        &self,
        day: Day,
        asked: &'a [Due],
        open: bool,
        planned: Option<&DayPlan>,
    ) -> Result<Sight<'a>, Failure> {
        let state = self.store.state();
        let nobody = ContactSet::new();
        let queued = planned.map_or(&nobody, |plan| &plan.queued);
        let is_today = state.today.day == Some(day);
        let mut already = if is_today { state.today.claimed.clone() } else { ContactSet::new() };
        already.add(queued);
        let mut taken = if is_today { state.today.by_company.clone() } else { HashMap::new() };
        for row in queued.iter().filter_map(|id| state.contacts.row(id)) {
            *taken.entry(row.company).or_default() += 1;
        }
        let mut rounds = Vec::with_capacity(asked.len());
        for due in asked {
            rounds.push(Seen {
                due,
                done: self.done(due.tag, due.due),
                exclusions: self.exclusions(due.kind, &due.targets, day)?,
                closed: self.closed_on(day, &due.targets)?,
                audience_left: self.audience_left(due.tag, &already),
            });
        }
        Ok(Sight { day, open, already, taken, rounds })
    }

    fn ask(&self, sight: &Sight<'_>, large: &BTreeSet<(Day, TagId)>) -> Plan {
        let state = self.store.state();
        let rounds: Vec<Round<'_>> = sight
            .rounds
            .iter()
            .map(|seen| Round {
                tag: seen.due.tag,
                kind: seen.due.kind,
                due: seen.due.due,
                targets: &seen.due.targets,
                done: &seen.done,
                exclusions: seen
                    .exclusions
                    .iter()
                    .map(|(name, who)| (name.as_str(), who))
                    .collect(),
                held: state.paused
                    || state.held.contains(&seen.due.tag)
                    || large.contains(&(seen.due.due, seen.due.tag)),
                has_template: self.has_template(seen.due),
                window_open: sight.open,
                closed: &seen.closed,
                audience_left: seen.audience_left,
            })
            .collect();
        let spent = u32::try_from(sight.already.len()).unwrap_or(u32::MAX);
        let left = |most: Option<u32>| most.map(|most| most.saturating_sub(spent));
        let limits = Limits {
            day_left: left(self.config.day_max),
            sender_left: left(self.config.sender_day_max),
            ..self.config.limits
        };
        let book = Book {
            suppressed: &state.suppressed,
            waiting: &state.waiting,
            in_flight: &ledger::in_flight(state),
            already_today: &sight.already,
            last: &state.contacts.last,
            last_silent: &state.contacts.last_silent,
            company: &state.contacts.company,
            rank: &state.contacts.rank,
            company_taken: &|company| sight.taken.get(&company).copied().unwrap_or(0),
            first_given: &|contact, tags| self.first_given(contact, tags),
        };
        plan::plan(sight.day, &rounds, &book, &limits)
    }

    /// Who of `within` is where a day is a holiday.
    ///
    /// # Errors
    /// When a view cannot be evaluated.
    pub fn closed_on(&self, day: Day, within: &ContactSet) -> Result<ContactSet, Failure> {
        let mut closed = ContactSet::new();
        for (view, days) in &self.config.closed {
            if days.contains(&day) {
                closed.add(&self.view(view, within, day)?);
            }
        }
        Ok(closed)
    }

    /// The audience of a batch, and what is left of its letters of the day.
    fn audience_left(&self, tag: TagId, already: &ContactSet) -> Option<(u16, u32)> {
        let state = self.store.state();
        let audience = &state.tag(tag)?.batch.as_ref()?.audience;
        let limits = self.config.audience_day_max.iter().enumerate();
        let (number, most) = limits
            .filter(|(_, (of, _))| of == audience)
            .map(|(at, (_, most))| (at, *most))
            .next()?;
        let mut spent = ContactSet::new();
        for (tag, members) in state.tags.iter().zip(&state.members) {
            if tag.batch.as_ref().is_some_and(|batch| batch.audience == *audience) {
                spent.add(&members.and(already));
            }
        }
        let spent = u32::try_from(spent.len()).unwrap_or(u32::MAX);
        Some((u16::try_from(number).ok()?, most.saturating_sub(spent)))
    }

    fn has_template(&self, due: &Due) -> bool {
        let tag = self.store.state().tag(due.tag);
        tag.and_then(|tag| tag.batch.as_ref()).is_some_and(|batch| {
            self.config.templates.pick(&batch.audience, batch.kind, ContactId(0), due.due).is_some()
        })
    }

    /// Which of these tags a contact was given first.
    #[must_use]
    pub fn first_given(&self, contact: ContactId, tags: &[TagId]) -> TagId {
        let timeline = self.store.timeline(contact).unwrap_or_default();
        let given = timeline.iter().flat_map(|entry| match &entry.what {
            What::Imported { tags, .. } => tags.clone(),
            What::Tagged { tag, .. } => vec![*tag],
            _ => Vec::new(),
        });
        let first = given.into_iter().find(|tag| tags.contains(tag));
        first.or_else(|| tags.first().copied()).unwrap_or(TagId(0))
    }
}

/// What the planner is told of a day.
struct Sight<'a> {
    day: Day,
    open: bool,
    /// Claimed today, or queued.
    already: ContactSet,
    /// The same by company, in units of the cap.
    taken: HashMap<CompanyNo, u32>,
    rounds: Vec<Seen<'a>>,
}

/// What the planner is told of a round.
struct Seen<'a> {
    due: &'a Due,
    done: ContactSet,
    exclusions: Vec<(String, ContactSet)>,
    closed: ContactSet,
    audience_left: Option<(u16, u32)>,
}
