//! What contacts did and what was done to them: last days and numbers of days, twelve bytes each,
//! and who did what on each of the last days.
//!
//! A second open on one day counts once, and so does one that is told late: counts, last days and
//! the sets per day agree by construction.

use std::collections::BTreeMap;

use crate::book::contact::{Act, ContactId, Day};
use crate::book::set::ContactSet;
use crate::book::view::COUNT_DAYS_MAX;

/// The columns of all contacts and the sets of the last days.
#[derive(Debug, Default, PartialEq)]
pub struct Acts {
    lasts: [Vec<u16>; 4],
    counts: [Vec<u8>; 4],
    days: BTreeMap<(Day, Act), ContactSet>,
}

/// A contact's row: last days of open, click, reply and touch; numbers of letters, opens, clicks
/// and replies.
pub type ActRow = ([u16; 4], [u8; 4]);

/// Where the last day of an act stands; that of letters is with the gap's columns.
fn last_at(act: Act) -> Option<usize> {
    match act {
        Act::Letter => None,
        Act::Open => Some(0),
        Act::Click => Some(1),
        Act::Reply => Some(2),
        Act::Touch => Some(3),
    }
}

/// Where the number of days stands; nobody counts touches.
fn count_at(act: Act) -> Option<usize> {
    match act {
        Act::Letter => Some(0),
        Act::Open => Some(1),
        Act::Click => Some(2),
        Act::Reply => Some(3),
        Act::Touch => None,
    }
}

/// The first day that a count can reach back to.
fn oldest(today: Day) -> (Day, Act) {
    (today.plus(-i32::from(COUNT_DAYS_MAX)), Act::Letter)
}

impl Acts {
    /// Makes room for one more contact.
    pub fn push(&mut self) {
        self.lasts.iter_mut().for_each(|column| column.push(0));
        self.counts.iter_mut().for_each(|column| column.push(0));
    }

    /// Notes that `act` happened on `day`; `last` is its last day so far. Days never go back, so
    /// that an earlier one is a late word about a day that counted already.
    pub fn note(&mut self, act: Act, id: ContactId, day: Day, last: Option<Day>) {
        if last.is_some_and(|last| last >= day) {
            return;
        }
        let at = id.0 as usize;
        if let Some(cell) = last_at(act).and_then(|n| self.lasts.get_mut(n)?.get_mut(at)) {
            *cell = day.0;
        }
        if let Some(cell) = count_at(act).and_then(|n| self.counts.get_mut(n)?.get_mut(at)) {
            *cell = cell.saturating_add(1);
            self.days.entry((day, act)).or_default().insert(id);
        }
    }

    /// The last day of any act but letters.
    #[must_use]
    pub fn last(&self, act: Act, id: ContactId) -> Option<Day> {
        let day = self.lasts.get(last_at(act)?)?.get(id.0 as usize)?;
        (*day > 0).then_some(Day(*day))
    }

    /// On how many days it happened.
    #[must_use]
    pub fn count(&self, act: Act, id: ContactId) -> u8 {
        let cell = count_at(act).and_then(|n| self.counts.get(n)?.get(id.0 as usize));
        cell.copied().unwrap_or(0)
    }

    /// Who did it on a day.
    #[must_use]
    pub fn on(&self, act: Act, day: Day) -> Option<&ContactSet> {
        self.days.get(&(day, act))
    }

    /// Takes the set of a day back from disk.
    pub fn put_day(&mut self, act: Act, day: Day, set: ContactSet) {
        self.days.insert((day, act), set);
    }

    /// Forgets who did what on days that no count reaches back to.
    pub fn forget_before(&mut self, today: Day) {
        self.days = self.days.split_off(&oldest(today));
    }

    /// A contact's row, to be written.
    #[must_use]
    pub fn row(&self, id: ContactId) -> ActRow {
        let at = id.0 as usize;
        (
            self.lasts.each_ref().map(|column| column.get(at).copied().unwrap_or(0)),
            self.counts.each_ref().map(|column| column.get(at).copied().unwrap_or(0)),
        )
    }

    /// Takes a row back from disk.
    pub fn set_row(&mut self, id: ContactId, (lasts, counts): ActRow) {
        let at = id.0 as usize;
        for (column, day) in self.lasts.iter_mut().zip(lasts) {
            if let Some(cell) = column.get_mut(at) {
                *cell = day;
            }
        }
        for (column, count) in self.counts.iter_mut().zip(counts) {
            if let Some(cell) = column.get_mut(at) {
                *cell = count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_once() {
        let (mut acts, id) = (Acts::default(), ContactId(0));
        acts.push();
        for day in [10, 10, 12, 11, 12] {
            let last = acts.last(Act::Open, id);
            acts.note(Act::Open, id, Day(day), last);
        }
        assert_eq!((acts.last(Act::Open, id), acts.count(Act::Open, id)), (Some(Day(12)), 2));
        assert_eq!(acts.on(Act::Open, Day(11)), None);
        assert!(acts.on(Act::Open, Day(12)).unwrap().contains(id));
        let mut read = Acts::default();
        read.push();
        read.set_row(id, acts.row(id));
        assert_eq!(read.row(id), acts.row(id));
        acts.forget_before(Day(12 + COUNT_DAYS_MAX));
        assert_eq!((acts.on(Act::Open, Day(10)), acts.days.len()), (None, 1));
    }
}
