//! The plan of a day in work: who is judged how, and who is next.

use std::collections::VecDeque;

use crate::book::contact::{ContactId, Day};
use crate::book::set::ContactSet;
use crate::book::tag::{SeriesKind, TagId};
use crate::cadence::plan::Plan;
use crate::cadence::reason::Reason;
use crate::feedback::entry::RoundRecord;

/// The plan of the day in work.
#[derive(Debug)]
pub struct DayPlan {
    /// Which day.
    pub day: Day,
    /// Its rounds.
    pub rounds: Vec<RoundPlan>,
    /// Whom to write to next, with the place of her round.
    pub queue: VecDeque<(ContactId, usize)>,
    /// Everybody in the queue, and whose letter was handed out and is not claimed yet.
    pub queued: ContactSet,
    /// Whether the window has closed.
    pub closed: bool,
}

/// One round of the day in work.
#[derive(Clone, Debug)]
pub struct RoundPlan {
    /// The batch.
    pub tag: TagId,
    /// Its rhythm.
    pub kind: SeriesKind,
    /// The day it fell due.
    pub due: Day,
    /// Who is not written to, by reason.
    pub outcomes: Vec<(Reason, ContactSet)>,
    /// Who is, or was, written to.
    pub send: ContactSet,
}

impl RoundPlan {
    /// Everybody who was judged.
    #[must_use]
    pub fn judged(&self) -> ContactSet {
        let mut all = self.send.clone();
        self.outcomes.iter().for_each(|(_, who)| all.add(who));
        all
    }

    /// The reason for a contact who is not written to.
    #[must_use]
    pub fn reason(&self, id: ContactId) -> Option<&Reason> {
        self.outcomes.iter().find(|(_, who)| who.contains(id)).map(|(reason, _)| reason)
    }

    /// Takes everybody of `who` out, wherever they are.
    pub fn forget(&mut self, who: &ContactSet) {
        self.send.subtract(who);
        self.outcomes.iter_mut().for_each(|(_, set)| set.subtract(who));
        self.outcomes.retain(|(_, set)| !set.is_empty());
    }

    /// Puts contacts under a reason, beside those already there.
    pub fn put(&mut self, reason: &Reason, who: &ContactSet) {
        if who.is_empty() {
            return;
        }
        match self.outcomes.iter_mut().find(|(known, _)| known == reason) {
            Some((_, set)) => set.add(who),
            None => self.outcomes.push((reason.clone(), who.clone())),
        }
    }

    /// As it is written down.
    #[must_use]
    pub fn record(&self) -> RoundRecord {
        let mut outcomes = Vec::with_capacity(self.outcomes.len() + 1);
        if !self.send.is_empty() {
            outcomes.push(("send".to_owned(), self.send.to_bytes()));
        }
        outcomes.extend(self.outcomes.iter().map(|(why, who)| (why.to_string(), who.to_bytes())));
        RoundRecord { tag: self.tag, due: self.due, outcomes }
    }
}

/// A round to be planned.
#[derive(Clone, Debug)]
pub struct Due {
    /// The batch.
    pub tag: TagId,
    /// Its rhythm.
    pub kind: SeriesKind,
    /// The day it fell due.
    pub due: Day,
    /// Who is to be judged.
    pub targets: ContactSet,
}

impl DayPlan {
    /// A day with nothing planned yet.
    #[must_use]
    pub fn empty(day: Day) -> Self {
        Self {
            day,
            rounds: Vec::new(),
            queue: VecDeque::new(),
            queued: ContactSet::new(),
            closed: false,
        }
    }

    /// The next contact to write to; she counts as queued until her letter is claimed or dropped.
    pub fn pop(&mut self) -> Option<(ContactId, TagId, Day)> {
        let (contact, place) = self.queue.pop_front()?;
        self.rounds.get(place).map(|round| (contact, round.tag, round.due))
    }

    /// Puts a contact back whose letter was handed out and never claimed.
    pub fn push_back(&mut self, contact: ContactId, tag: TagId, due: Day) {
        let place = self.rounds.iter().position(|round| round.tag == tag && round.due == due);
        if let Some(place) = place.filter(|_| self.queued.contains(contact)) {
            self.queue.push_front((contact, place));
        }
    }

    /// One of its rounds.
    #[must_use]
    pub fn round(&self, tag: TagId, due: Day) -> Option<&RoundPlan> {
        self.rounds.iter().find(|round| round.tag == tag && round.due == due)
    }

    /// Puts a contact back whose letter has to wait for others of its domain.
    pub fn put_last(&mut self, contact: ContactId, tag: TagId, due: Day) {
        let place = self.rounds.iter().position(|round| round.tag == tag && round.due == due);
        if let Some(place) = place.filter(|_| self.queued.contains(contact)) {
            self.queue.push_back((contact, place));
        }
    }

    /// Nobody of `who` is written to in a round any more, nor counted in it.
    pub fn leave_out(&mut self, tag: TagId, due: Day, who: &ContactSet) {
        if who.is_empty() {
            return;
        }
        let Some(place) = self.rounds.iter().position(|r| r.tag == tag && r.due == due) else {
            return;
        };
        let queued = &mut self.queued;
        self.queue.retain(|(contact, at)| {
            let stays = *at != place || !who.contains(*contact);
            if !stays {
                queued.remove(*contact);
            }
            stays
        });
        if let Some(round) = self.rounds.get_mut(place) {
            round.forget(who);
        }
    }

    /// A contact's letter was claimed.
    pub fn claimed(&mut self, contact: ContactId) {
        self.queued.remove(contact);
    }

    /// A planned contact is not written to after all.
    pub fn drop_contact(&mut self, contact: ContactId, tag: TagId, due: Day, reason: &Reason) {
        let only: ContactSet = std::iter::once(contact).collect();
        self.queued.remove(contact);
        for round in self.rounds.iter_mut().filter(|r| r.tag == tag && r.due == due) {
            round.forget(&only);
            round.put(reason, &only);
        }
    }

    /// Takes over what the planner says of those it was asked about.
    pub fn take(&mut self, plan: &Plan, asked: &[Due]) {
        for due in asked {
            let place = self.place(due);
            if let Some(round) = self.rounds.get_mut(place) {
                round.forget(&due.targets);
            }
        }
        for planned in &plan.rounds {
            let place =
                self.rounds.iter().position(|r| r.tag == planned.tag && r.due == planned.due);
            let Some(round) = place.and_then(|place| self.rounds.get_mut(place)) else { continue };
            for (reason, who) in &planned.outcomes {
                let elsewhere = match reason {
                    Reason::AlreadyToday => who.and(&self.queued),
                    _ => ContactSet::new(),
                };
                round.put(&Reason::OtherBatch, &elsewhere);
                round.put(reason, &who.minus(&elsewhere));
            }
            round.send.add(&planned.send);
        }
        for (contact, planned) in &plan.order {
            let Some(planned) = plan.rounds.get(*planned) else { continue };
            let place =
                self.rounds.iter().position(|r| r.tag == planned.tag && r.due == planned.due);
            if let Some(place) = place.filter(|_| self.queued.insert(*contact)) {
                self.queue.push_back((*contact, place));
            }
        }
    }

    /// The place of a round, which is made when it is not there.
    pub fn place(&mut self, due: &Due) -> usize {
        let known = self.rounds.iter().position(|r| r.tag == due.tag && r.due == due.due);
        known.unwrap_or_else(|| {
            self.rounds.push(RoundPlan {
                tag: due.tag,
                kind: due.kind,
                due: due.due,
                outcomes: Vec::new(),
                send: ContactSet::new(),
            });
            self.rounds.len() - 1
        })
    }
}
