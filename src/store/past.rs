//! The past, read back: timelines, a day's events, closed days.

use std::borrow::Cow;

use crate::book::contact::{ContactId, Day, Moment};
use crate::feedback::entry::{Entry, RoundRecord, What};
use crate::store::db::Store;
use crate::store::fresh::EVENTS_PAGE;
use crate::store::load;
use crate::store::names;
use crate::store::pages::PagesError;
use crate::store::record;
use crate::store::site::StoreError;

impl Store {
    /// What happened to a contact, in order: how it came first.
    ///
    /// # Errors
    /// When its pages cannot be read.
    pub fn timeline(&self, id: ContactId) -> Result<Vec<Entry>, StoreError> {
        let page = id.0 / EVENTS_PAGE;
        let mut events: Vec<(u64, Entry)> = Vec::new();
        let mut take = |bytes: &[u8]| {
            let found = load::events(bytes, |whose| whose == Some(id));
            events.extend(found.ok_or_else(|| PagesError::Damaged(format!("events {page}")))?);
            Ok::<(), PagesError>(())
        };
        let kept = self.writer.kept();
        let scanned = kept.pages.scan(&names::name(b'e', page), 15, |_, bytes| take(&bytes));
        self.noted(scanned)?;
        for fresh in kept.leaving.into_iter().chain([&self.fresh]) {
            for (_, bytes) in fresh.events.range((page, 0)..=(page, u16::MAX)) {
                take(bytes)?;
            }
        }
        // What is on its way to sled may be there already.
        events.sort_by_key(|(seq, _)| *seq);
        events.dedup_by_key(|(seq, _)| *seq);
        let mut all: Vec<Entry> = self.first(id)?.into_iter().collect();
        all.extend(events.into_iter().map(|(_, entry)| entry));
        all.sort_by_key(|entry| entry.at);
        Ok(all)
    }

    /// What a closed day left behind.
    ///
    /// # Errors
    /// When its page cannot be read.
    pub fn closed_day(&self, day: Day) -> Result<Option<Vec<RoundRecord>>, StoreError> {
        let kept = self.writer.kept();
        let bytes = match self.fresh.days.get(&day) {
            Some(bytes) => Some(Cow::Borrowed(bytes.as_slice())),
            None => self.noted(kept.day(day))?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        match record::decode(&mut &*bytes) {
            Ok(Entry { what: What::DayClosed { rounds, .. }, .. }) => Ok(Some(rounds)),
            _ => self.noted(Err(PagesError::Damaged(format!("day {day}")))),
        }
    }

    /// What happened to contacts from an instant on, imports apart, in order.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub fn events_since(&self, at: Moment) -> Result<Vec<Entry>, StoreError> {
        let (first, last) = (names::utc_day(at), names::utc_day(self.state.last_at));
        let mut found = Vec::new();
        let mut take = |bytes: &[u8]| {
            let events = load::events(bytes, |_| true);
            found.extend(events.ok_or_else(|| PagesError::Damaged("events".to_owned()))?);
            Ok::<(), PagesError>(())
        };
        let kept = self.writer.kept();
        for page in 0..self.state.contacts.len().div_ceil(EVENTS_PAGE) {
            for day in first..=last {
                let mut name = names::name(b'e', page);
                name.extend_from_slice(&day.to_be_bytes());
                self.noted(kept.pages.scan(&name, 15, |_, bytes| take(&bytes)))?;
                for fresh in kept.leaving.into_iter().chain([&self.fresh]) {
                    if let Some(bytes) = fresh.events.get(&(page, day)) {
                        take(bytes)?;
                    }
                }
            }
        }
        found.retain(|(_, entry)| entry.at >= at);
        // What is on its way to sled may be there already.
        found.sort_by_key(|(seq, _)| *seq);
        found.dedup_by_key(|(seq, _)| *seq);
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }
}
