//! A day taken up again: its frozen plan, and what became of everybody since.
//!
//! After a restart, and for a command without a daemon, the plan of the day in work is what the store
//! holds of it: whoever was claimed since it was frozen is written to, whoever was withdrawn is not.

use crate::book::contact::{ContactId, Day, Moment};
use crate::book::set::ContactSet;
use crate::book::tag::{SeriesKind, TagId};
use crate::cadence::reason::Reason;
use crate::control::Failure;
use crate::desk::dayplan::{DayPlan, RoundPlan};
use crate::desk::keeper::Keeper;
use crate::feedback::entry::{Entry, What};

impl Keeper {
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
    ///
    /// # Errors
    /// When a timeline cannot be read.
    pub fn restored(&self, day: Day) -> Result<DayPlan, Failure> {
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

    /// The rhythm of a batch tag.
    #[must_use]
    pub fn kind_of(&self, tag: TagId) -> Option<SeriesKind> {
        self.store.state().tag(tag)?.batch.as_ref().map(|batch| batch.kind)
    }

    /// Who was claimed or withdrawn in a round.
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
