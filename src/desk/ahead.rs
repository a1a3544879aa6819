//! Days to come: the planner run over the days between, all letters accepted, nobody opening.

use crate::book::contact::{ContactId, Day, Moment};
use crate::book::set::ContactSet;
use crate::book::tag::{SeriesKind, TagId};
use crate::cadence::plan::{self, Plan, Reason};
use crate::control::Failure;
use crate::desk::dayplan::Due;
use crate::desk::keeper::Keeper;

/// What a simulated stretch of days has done so far, over the state as it is.
struct Ahead {
    last: Vec<u16>,
    last_silent: Vec<u16>,
    /// Who was written to in a round of these days.
    done: Vec<((TagId, Day), ContactSet)>,
    /// What the simulated day before left over.
    carried: Vec<Due>,
}

impl Keeper {
    /// The plan of any day, by its calendar: today's as things stand, a later one after the days
    /// between. `None` for the carried rounds of a day that was never opened.
    ///
    /// # Errors
    /// When a view cannot be evaluated.
    pub fn plan_ahead(&self, today: Day, day: Day, now: Moment) -> Result<Plan, Failure> {
        if day < today {
            return self.judge(day, &self.by_calendar(day), true, &ContactSet::new());
        }
        // Whom the window stops today goes out tomorrow.
        let open = now < self.hours(today).1;
        let first = self.judge(today, &self.due(today), open, &ContactSet::new())?;
        if day == today {
            return Ok(first);
        }
        let state = self.store.state();
        let mut ahead = Ahead {
            last: state.contacts.last.clone(),
            last_silent: state.contacts.last_silent.clone(),
            done: Vec::new(),
            carried: Vec::new(),
        };
        // What is under way counts as accepted.
        for living in state.living.values() {
            ahead.wrote(living.letter.contact, living.day, self.is_silent(living.letter.tag));
        }
        ahead.accept(&first, today, self.config.carry_days_max);
        for number in today.plus(1).0..=day.0 {
            let at = Day(number);
            let mut asked = self.by_calendar(at);
            asked.extend(std::mem::take(&mut ahead.carried));
            ahead.leave_out_done(&mut asked);
            let columns = (ahead.last.as_slice(), ahead.last_silent.as_slice());
            let plan = self.judge_with(at, &asked, columns)?;
            if at == day {
                return Ok(plan);
            }
            ahead.accept(&plan, at, self.config.carry_days_max);
        }
        Ok(Plan::default())
    }

    fn is_silent(&self, tag: TagId) -> bool {
        let batch = self.store.state().tag(tag).and_then(|tag| tag.batch.as_ref());
        batch.is_some_and(|batch| batch.kind == SeriesKind::Marketing)
    }

    /// The rounds that fall due on a day, with everybody who holds the tag by then.
    #[must_use]
    pub fn by_calendar(&self, day: Day) -> Vec<Due> {
        let due = self.config.cadence.due(day);
        let state = self.store.state();
        let rounds = state.tags.iter().filter_map(|tag| {
            let batch = tag.batch.as_ref().filter(|b| due.contains(&(b.kind, b.no)))?;
            let targets = state.members_by(tag.id, day);
            Some(Due { tag: tag.id, kind: batch.kind, due: day, targets })
        });
        rounds.filter(|round| !round.targets.is_empty()).collect()
    }
}

impl Ahead {
    fn wrote(&mut self, id: ContactId, day: Day, silent: bool) {
        let at = id.0 as usize;
        if let Some(last) = self.last.get_mut(at) {
            *last = day.0;
        }
        if let Some(last) = self.last_silent.get_mut(at).filter(|_| silent) {
            *last = day.0;
        }
    }

    fn leave_out_done(&self, asked: &mut Vec<Due>) {
        for due in asked.iter_mut() {
            let key = (due.tag, due.due);
            for (_, done) in self.done.iter().filter(|(round, _)| *round == key) {
                due.targets.subtract(done);
            }
        }
        asked.retain(|due| !due.targets.is_empty());
    }

    /// Takes a planned day for done: everybody planned was written to, what carries is carried.
    fn accept(&mut self, plan: &Plan, day: Day, carry_days_max: u16) {
        for round in &plan.rounds {
            let silent = round.kind == SeriesKind::Marketing;
            for id in round.send.iter() {
                self.wrote(id, day, silent);
            }
            self.done.push(((round.tag, round.due), round.send.clone()));
            let left: Vec<(String, ContactSet)> = round
                .outcomes
                .iter()
                .filter(|(reason, _)| Reason::carries(reason))
                .map(|(reason, who)| (reason.to_string(), who.clone()))
                .collect();
            let outcomes = left.iter().map(|(why, who)| (why.as_str(), who));
            let targets = plan::carried(outcomes, &ContactSet::new());
            let alive = day.plus(1).since(round.due) <= i32::from(carry_days_max);
            if alive && !targets.is_empty() {
                let (tag, kind, due) = (round.tag, round.kind, round.due);
                self.carried.push(Due { tag, kind, due, targets });
            }
        }
    }
}
