//! What the planner is told, and what it says: rounds as of the state and of what is planned.

use std::collections::{BTreeSet, HashMap};

use crate::book::contact::{CompanyNo, ContactId, Day};
use crate::book::set::ContactSet;
use crate::book::tag::TagId;
use crate::cadence::plan::{self, Book, Limits, Plan, Round};
use crate::control::Failure;
use crate::desk::dayplan::{DayPlan, Due};
use crate::desk::keeper::Keeper;
use crate::feedback::entry::What;
use crate::store::ledger;

impl Keeper {
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
        let (number, most) = self.config.audience_limit(audience)?;
        let mut spent = ContactSet::new();
        for (tag, members) in state.tags.iter().zip(&state.members) {
            if tag.batch.as_ref().is_some_and(|batch| batch.audience == *audience) {
                spent.add(&members.and(already));
            }
        }
        let spent = u32::try_from(spent.len()).unwrap_or(u32::MAX);
        Some((number, most.saturating_sub(spent)))
    }

    fn has_template(&self, due: &Due) -> bool {
        let tag = self.store.state().tag(due.tag);
        tag.and_then(|tag| tag.batch.as_ref())
            .is_some_and(|batch| self.config.templates.has(&batch.audience, batch.kind))
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
