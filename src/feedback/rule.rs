//! Rules: what a thing that happened does to the book. First cut: readers move to a reading batch.
//!
//! DESIGN §3 "Reading tag": a human open of a letter of 营销NN gives 阅读((NN-1) mod 10 + 1) of the
//! same language and audience, once, at the start of the next ISO week. A Monday missed is made up
//! because ripeness asks for "not before", never for "today is Monday". The marketing tag stays.

use std::collections::HashSet;

use crate::book::contact::{ContactId, Day, Moment};
use crate::book::tag::{Audience, BatchTag, Series, SeriesKind, Tag, TagId};
use crate::cadence::calendar::{Cadence, week_start};
use crate::feedback::open::OpenClass;

/// When a reader moves (`reading.promote`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Promote {
    /// At the start of the ISO week after that of the open.
    #[default]
    NextWeek,
    /// So many hours after the open.
    AfterHours(u32),
}

/// An open that nobody has drawn a conclusion from yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingOpen {
    /// Who opened.
    pub contact: ContactId,
    /// The batch of the letter.
    pub tag: TagId,
    /// By what it was opened.
    pub class: OpenClass,
    /// The day of the open, in the zone of that time.
    pub day: Day,
    /// The moment of the open.
    pub at: Moment,
}

/// A reading tag to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// To whom.
    pub contact: ContactId,
    /// Which.
    pub tag: BatchTag,
}

impl Promote {
    /// Whether the time of an open has come; a ripe open is done with, tag or no tag.
    #[must_use]
    pub fn is_ripe(self, open: &PendingOpen, today: Day, now: Moment) -> bool {
        match self {
            Self::NextWeek => week_start(today) > week_start(open.day),
            Self::AfterHours(hours) => now >= open.at.plus_seconds(i64::from(hours) * 3600),
        }
    }
}

/// What the promotion rule looks things up in.
pub struct Readers<'a> {
    /// When they move.
    pub promote: Promote,
    /// The calendar that leads from a marketing number to a reading number.
    pub cadence: &'a Cadence,
    /// The store's tags, by their number.
    pub tags: &'a [Tag],
    /// Whether a contact has a reading tag of that audience already.
    pub is_reader: &'a dyn Fn(ContactId, &Audience) -> bool,
}

impl Readers<'_> {
    /// The reading tags that ripe opens earn, first open first. Nobody gets a second reading tag of
    /// one audience; letters of reading batches and machines' opens earn none.
    #[must_use]
    pub fn promotions(&self, opens: &[PendingOpen], today: Day, now: Moment) -> Vec<Promotion> {
        let mut ripe: Vec<&PendingOpen> = opens
            .iter()
            .filter(|open| matches!(open.class, OpenClass::Human | OpenClass::ProxyHuman))
            .filter(|open| self.promote.is_ripe(open, today, now))
            .collect();
        ripe.sort_by_key(|open| (open.at, open.contact, open.tag));
        let mut given: HashSet<(ContactId, &Audience)> = HashSet::new();
        let mut promotions = Vec::new();
        for open in ripe {
            let Some(batch) = self.batch(open.tag) else { continue };
            let is_new = batch.kind == SeriesKind::Marketing
                && !(self.is_reader)(open.contact, &batch.audience)
                && given.insert((open.contact, &batch.audience));
            if is_new {
                let tag = BatchTag {
                    audience: batch.audience.clone(),
                    kind: SeriesKind::Reading,
                    series: reading_name(&self.cadence.series, &batch.series),
                    no: self.cadence.reading_of(batch.no),
                };
                promotions.push(Promotion { contact: open.contact, tag });
            }
        }
        promotions
    }

    fn batch(&self, id: TagId) -> Option<&BatchTag> {
        let by_place = self.tags.get(usize::from(id.0)).filter(|tag| tag.id == id);
        by_place.or_else(|| self.tags.iter().find(|tag| tag.id == id))?.batch.as_ref()
    }
}

/// The reading series that stands where `marketing` stands in the configuration, so that
/// `en-dealers-marketing01` leads to `en-dealers-reading01`; else the first.
fn reading_name(series: &Series, marketing: &str) -> String {
    let place = series.marketing.iter().position(|name| name == marketing).unwrap_or(0);
    let name = series.reading.get(place).or_else(|| series.reading.first());
    name.cloned().unwrap_or_else(|| "阅读".to_owned())
}
