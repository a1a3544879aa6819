//! The life of a day: opened at midnight, planned when its window opens, worked off, closed.
//!
//! Whatever changes the book while the window is open is judged anew, and appended: who is planned
//! keeps her place (DESIGN §6). What a closed day left behind is recorded with its first reasons, so
//! that what carries goes out on following days and every "why" has an answer.

use std::collections::BTreeMap;

use crate::book::contact::{ContactId, Day, Moment};
use crate::book::set::ContactSet;
use crate::book::tag::{SeriesKind, TagId};
use crate::cadence::plan;
use crate::cadence::reason::Reason;
use crate::control::Failure;
use crate::desk::dayplan::{DayPlan, Due, RoundPlan};
use crate::desk::keeper::Keeper;
use crate::feedback::entry::{By, Entry, RoundRecord, What};
use crate::feedback::open::OpenClass;
use crate::feedback::rule::{PendingOpen, Promote, Readers};

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
        let closing = !open && self.day.as_ref().is_some_and(|plan| !plan.closed);
        // Who comes after the window is judged as well: she waits, and has an answer.
        if std::mem::take(&mut self.stale) || closing {
            self.refresh(open)?;
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
            self.resting.clear();
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
            self.day = Some(self.restored(day)?);
        }
        self.refresh(false)?;
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
            // Of an audience that is no longer declared nobody is written to: she waits.
            let tag = match self.tag(&promotion.tag.to_string(), now) {
                Err(failure) if failure.code == 65 => continue,
                tag => tag?,
            };
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
        self.take_up(day, now)?;
        self.stale = false;
        if let Some(plan) = self.day.as_ref().filter(|_| !known) {
            let rounds = plan.rounds.iter().map(RoundPlan::record).collect();
            self.store.record(now, What::PlanFrozen { day, rounds })?;
            self.store.commit()?;
        }
        Ok(())
    }

    /// Takes a day into work as the store holds it and things stand now.
    ///
    /// # Errors
    /// When a view cannot be evaluated or a timeline not read.
    pub fn take_up(&mut self, day: Day, now: Moment) -> Result<(), Failure> {
        self.day = Some(self.restored(day)?);
        let (_, closes) = self.hours(day);
        self.refresh(now < closes)
    }

    /// The plan of a day as the store holds it, without a queue: as it was frozen, and what became
    /// of everybody since.
    fn restored(&self, day: Day) -> Result<DayPlan, Failure> {
        let mut plan = self.frozen(day);
        for due in self.due(day) {
            plan.place(&due);
        }
        let state = self.store.state();
        for round in &mut plan.rounds {
            let done = self.done(round.tag, round.due);
            let mut targets = round.judged();
            if round.due == day {
                targets.add(&state.members_by(round.tag, day));
            }
            let done = targets.and(&done);
            let claimed = match state.today.day == Some(day) {
                true => done.and(&state.today.claimed),
                false => done.clone(),
            };
            round.forget(&done);
            round.send.add(&claimed);
            for id in done.minus(&claimed).iter() {
                let reason = self.withdrawn_for(id, round)?;
                round.put(&reason, &std::iter::once(id).collect());
            }
        }
        plan.rounds.retain(|round| !round.judged().is_empty());
        Ok(plan)
    }

    /// Why a letter was withdrawn from a round before it was claimed.
    fn withdrawn_for(&self, id: ContactId, round: &RoundPlan) -> Result<Reason, Failure> {
        let timeline = self.store.timeline(id)?;
        let words = withdrawn(&timeline, round.tag, round.due);
        Ok(words.and_then(Reason::parse).unwrap_or(Reason::Suppressed))
    }

    fn frozen(&self, day: Day) -> DayPlan {
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
    fn refresh(&mut self, open: bool) -> Result<(), Failure> {
        let Some(mut day) = self.day.take() else { return Ok(()) };
        if !open {
            day.queue.clear();
            day.queued = ContactSet::new();
            day.closed = true;
        }
        self.leave_out_untagged(&mut day);
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
        Ok(())
    }

    /// Whose tag was taken back is in no round of it, unless her letter was claimed before.
    fn leave_out_untagged(&self, day: &mut DayPlan) {
        let rounds: Vec<(TagId, Day)> = day.rounds.iter().map(|r| (r.tag, r.due)).collect();
        for (place, (tag, due)) in rounds.into_iter().enumerate() {
            let Some(members) = self.store.state().members(tag) else { continue };
            let Some(round) = day.rounds.get(place) else { continue };
            let gone = round.judged().minus(members).minus(&self.done(tag, due));
            day.leave_out(tag, due, &gone);
        }
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

    /// Whose letter of a round was claimed or withdrawn.
    #[must_use]
    pub fn done(&self, tag: TagId, due: Day) -> ContactSet {
        let round = self.store.state().rounds.get(&(due, tag));
        round.map(|round| round.done.clone()).unwrap_or_default()
    }
}

/// The reason for which a letter was withdrawn from a round, as DESIGN §6 spells it.
#[must_use]
pub fn withdrawn(timeline: &[Entry], tag: TagId, due: Day) -> Option<&str> {
    timeline.iter().rev().find_map(|entry| match &entry.what {
        What::Withdrawn { letter, reason } if letter.tag == tag && letter.due == due => {
            // Details follow after a colon and a space; `view:NAME` has none.
            Some(reason.split_once(": ").map_or(reason.as_str(), |(reason, _)| reason))
        }
        _ => None,
    })
}
