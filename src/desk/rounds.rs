//! The rounds of any day, past, present or to come, in one shape; and the one answer to "why".

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::book::contact::{ContactId, Day, Moment};
use crate::book::set::ContactSet;
use crate::book::tag::{SeriesKind, TagId};
use crate::control::Failure;
use crate::desk::day::withdrawn;
use crate::desk::dayplan::RoundPlan;
use crate::desk::keeper::Keeper;
use crate::feedback::entry::{Entry, RoundRecord, What};

/// One round of a day, as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The batch.
    pub tag: TagId,
    /// The day it fell due.
    pub due: Day,
    /// Who is, or was, written to.
    pub send: ContactSet,
    /// Everybody else, by reason as DESIGN §6 spells it.
    pub skipped: Vec<(String, ContactSet)>,
}

impl Shown {
    fn of_plan(round: &RoundPlan) -> Self {
        let skipped = round.outcomes.iter().map(|(why, who)| (why.to_string(), who.clone()));
        let (tag, due, send) = (round.tag, round.due, round.send.clone());
        Self { tag, due, send, skipped: skipped.collect() }
    }

    fn of_record(record: &RoundRecord) -> Self {
        let mut shown =
            Self { tag: record.tag, due: record.due, send: ContactSet::new(), skipped: Vec::new() };
        for (outcome, bytes) in &record.outcomes {
            let who = ContactSet::from_bytes(bytes).unwrap_or_default();
            match outcome.as_str() {
                "send" => shown.send = who,
                _ => shown.skipped.push((outcome.clone(), who)),
            }
        }
        shown
    }

    /// Everybody in it.
    #[must_use]
    pub fn targets(&self) -> u64 {
        self.send.len() + self.skipped.iter().map(|(_, who)| who.len()).sum::<u64>()
    }

    /// Reasons and their numbers.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<String, u64> {
        self.skipped.iter().map(|(why, who)| (why.clone(), who.len())).collect()
    }

    /// `send`, or the reason; `None` for who is not in the round.
    #[must_use]
    pub fn outcome(&self, id: ContactId) -> Option<&str> {
        if self.send.contains(id) {
            return Some("send");
        }
        self.skipped.iter().find(|(_, who)| who.contains(id)).map(|(why, _)| why.as_str())
    }
}

impl Keeper {
    /// The rounds of a day: as recorded when it was lived through, else as planned.
    ///
    /// # Errors
    /// When the store cannot be read or a view not evaluated.
    pub fn rounds_of(&mut self, day: Day, now: Moment) -> Result<Vec<Shown>, Failure> {
        if let Some(plan) = self.day.as_ref().filter(|plan| plan.day == day) {
            return Ok(plan.rounds.iter().map(Shown::of_plan).collect());
        }
        if let Some(records) = self.store.closed_day(day)? {
            return Ok(records.iter().map(Shown::of_record).collect());
        }
        if self.store.state().frozen.as_ref().is_some_and(|(frozen, _)| *frozen == day) {
            self.take_up(day, now)?;
            return self.rounds_of(day, now);
        }
        let plan = self.plan_ahead(day, now)?;
        let mut rounds: Vec<Shown> = plan
            .rounds
            .into_iter()
            .map(|planned| Shown {
                tag: planned.tag,
                due: planned.due,
                send: planned.send,
                skipped: planned
                    .outcomes
                    .into_iter()
                    .map(|(why, who)| (why.to_string(), who))
                    .collect(),
            })
            .collect();
        rounds.sort_by_key(|round| (round.due, round.tag));
        Ok(rounds)
    }

    /// The plan of a day, counted.
    ///
    /// # Errors
    /// As [`Self::rounds_of`].
    pub fn plan_summary(&mut self, day: Day, now: Moment) -> Result<Value, Failure> {
        let rounds = self.rounds_of(day, now)?;
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        let mut due = Vec::new();
        for round in &rounds {
            for (why, count) in round.reasons() {
                *all.entry(why).or_default() += count;
            }
            due.push(json!({
                "batch": self.tag_name(round.tag),
                "due": round.due.to_string(),
                "targets": round.targets(),
                "send": round.send.len(),
                "reasons": round.reasons(),
            }));
        }
        let send: u64 = rounds.iter().map(|round| round.send.len()).sum();
        Ok(json!({ "date": day.to_string(), "due": due, "send": send, "reasons": all }))
    }

    /// The plan of a day, a line per contact and batch.
    ///
    /// # Errors
    /// As [`Self::rounds_of`].
    pub fn plan_lines(&mut self, day: Day, now: Moment) -> Result<Vec<Value>, Failure> {
        let mut lines = Vec::new();
        for round in self.rounds_of(day, now)? {
            let batch = self.tag_name(round.tag);
            for id in round.send.iter() {
                lines.push(self.plan_line(id, &batch, None)?);
            }
            for (why, who) in &round.skipped {
                for id in who.iter() {
                    lines.push(self.plan_line(id, &batch, Some(why))?);
                }
            }
        }
        Ok(lines)
    }

    fn plan_line(&self, id: ContactId, batch: &str, why: Option<&str>) -> Result<Value, Failure> {
        let contact = self.store.contact(id)?;
        let company = contact.as_ref().map(|contact| self.store.company_key(contact.company));
        Ok(json!({
            "address": contact.as_ref().map(|contact| contact.address.as_str()),
            "company": company.transpose()?,
            "batch": batch,
            "outcome": if why.is_none() { "send" } else { "skip" },
            "reason": why,
            "rank": contact.as_ref().map(|contact| contact.rank),
        }))
    }

    /// A tag's whole name.
    #[must_use]
    pub fn tag_name(&self, tag: TagId) -> String {
        self.store.state().tag(tag).map(|tag| tag.name.clone()).unwrap_or_default()
    }

    /// The one answer for a contact and a day.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn why(&mut self, typed: &str, day: Day, now: Moment) -> Result<Value, Failure> {
        let id = match self.contact_id(typed) {
            Ok(id) => id,
            Err(failure) if failure.code == 66 => {
                return Ok(answer(typed, day, "skip", Some("no-such-contact"), failure.message));
            }
            Err(failure) => return Err(failure),
        };
        let timeline = self.store.timeline(id)?;
        if let Some((outcome, fate, detail)) = self.fate(&timeline, day) {
            return Ok(answer(typed, day, outcome, Some(&fate), detail));
        }
        let rounds = self.rounds_of(day, now)?;
        let hers: Vec<(&Shown, &str)> =
            rounds.iter().filter_map(|round| Some((round, round.outcome(id)?))).collect();
        if let Some((round, _)) = hers.iter().find(|(_, outcome)| *outcome == "send") {
            let withdrawn = withdrawn(&timeline, round.tag, round.due);
            let batch = self.tag_name(round.tag);
            return Ok(match withdrawn {
                Some(reason) => answer(typed, day, "skip", Some(reason), batch),
                None => answer(typed, day, "send", None, batch),
            });
        }
        let kind = |round: &Shown| self.silent(round.tag);
        let first = hers
            .iter()
            .filter(|(_, outcome)| *outcome != "other-batch")
            .min_by_key(|(round, _)| (kind(round), round.due))
            .or_else(|| hers.first());
        if let Some((round, reason)) = first {
            let detail = self.detail(id, round, reason, day);
            return Ok(answer(typed, day, "skip", Some(reason), detail));
        }
        Ok(answer(typed, day, "skip", Some("not-due"), self.next_due(id, day)))
    }

    fn silent(&self, tag: TagId) -> bool {
        let batch = self.store.state().tag(tag).and_then(|tag| tag.batch.as_ref());
        batch.is_none_or(|batch| batch.kind == SeriesKind::Marketing)
    }

    /// What became of the letter that was claimed for a day, before it was claimed again.
    fn fate(&self, timeline: &[Entry], day: Day) -> Option<(&'static str, String, String)> {
        let claims = timeline.iter().enumerate().filter_map(|(at, entry)| match &entry.what {
            What::Claimed { letter, day: claimed, .. } if *claimed == day => Some((at, *letter)),
            _ => None,
        });
        let (at, letter) = claims.max_by_key(|(at, _)| *at)?;
        let again = |entry: &&Entry| matches!(&entry.what, What::Claimed { letter: of, .. } if *of == letter);
        let after = timeline.iter().skip(at + 1).take_while(|entry| !again(entry));
        let end = after.filter_map(|entry| {
            let (of, end) = match &entry.what {
                What::Accepted { letter, reply } => {
                    (letter, ("mailed", "accepted", reply.as_str()))
                }
                What::Deferred { letter, reply, .. } => (letter, ("mailed", "deferred", &**reply)),
                What::Refused { letter, reply, .. } => (letter, ("mailed", "refused", &**reply)),
                What::Unknown { letter, why } => (letter, ("mailed", "unknown", &**why)),
                What::Withdrawn { letter, reason } => (letter, ("skip", &**reason, "withdrawn")),
                What::Expired { letter } => (letter, ("skip", "expired", "too old to try again")),
                _ => return None,
            };
            (*of == letter).then_some(end)
        });
        let batch = self.tag_name(letter.tag);
        Some(match end.last() {
            Some((outcome, why, words)) => (outcome, why.to_owned(), format!("{batch}: {words}")),
            None => ("mailed", "in-flight".to_owned(), batch),
        })
    }

    /// The facts behind a reason.
    fn detail(&self, id: ContactId, round: &Shown, reason: &str, day: Day) -> String {
        let batch = self.tag_name(round.tag);
        let state = self.store.state();
        match reason {
            "gap" => {
                let (last, silent) = state.contacts.lasts(id);
                let what = if self.silent(round.tag) && silent == last { "silent " } else { "" };
                let days = day.since(Day(last));
                format!("{batch}: last {what}letter on {}, {days} days before", Day(last))
            }
            "company-cap" => {
                let max = self.config.limits.company_per_day_max;
                format!("{batch}: her company has its {max} letters of the day; carried over")
            }
            "no-template" => format!("{batch}: no template for this audience and series"),
            "window" | "held" => format!("{batch}: carried over"),
            _ => batch,
        }
    }

    /// When any of a contact's batches falls due next.
    fn next_due(&self, id: ContactId, after: Day) -> String {
        let state = self.store.state();
        let next = state
            .tags_of(id)
            .filter_map(|tag| {
                let batch = tag.batch.as_ref()?;
                let due = self.config.cadence.next_due(batch.kind, batch.no, after)?;
                Some((due, tag.name.as_str()))
            })
            .min();
        match next {
            Some((due, batch)) => format!("{batch} falls due on {due}"),
            None => "the contact is in no batch".to_owned(),
        }
    }
}

fn answer(
    address: &str,
    day: Day,
    outcome: &str,
    reason: Option<&str>,
    detail: impl Into<String>,
) -> Value {
    let mut map = Map::new();
    map.insert("address".to_owned(), json!(address));
    map.insert("date".to_owned(), json!(day.to_string()));
    map.insert("outcome".to_owned(), json!(outcome));
    map.insert("reason".to_owned(), json!(reason));
    map.insert("detail".to_owned(), json!(detail.into()));
    Value::Object(map)
}
