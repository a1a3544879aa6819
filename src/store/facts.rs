//! What the state is made of: letters that live, the day, rounds, imports.

use std::collections::HashMap;

use crate::book::contact::{CompanyNo, Day, Moment};
use crate::book::set::ContactSet;
use crate::book::tag::TagId;
use crate::cadence::intake::ImportCounts;
use crate::feedback::entry::LetterId;

/// A letter that was claimed and has no end yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// Which.
    pub letter: LetterId,
    /// The first claim: the letter's Date.
    pub first_at: Moment,
    /// Attempts so far.
    pub attempts: u16,
    /// Not to be tried before; `None` while an attempt is under way.
    pub until: Option<Moment>,
    /// The day its last claim counts for.
    pub day: Day,
    /// Hash of the template's source.
    pub template: u64,
}

/// What the current day has seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Today {
    /// Which day; the highest a letter was ever claimed for.
    pub day: Option<Day>,
    /// Who was claimed for it.
    pub claimed: ContactSet,
    /// Claims by company, in units of the cap.
    pub by_company: HashMap<CompanyNo, u32>,
    /// Outcomes settled while it lasted.
    pub settled: Counts,
}

/// Outcomes, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Letters claimed for the first time.
    pub claimed: u32,
    /// Accepted by the peer.
    pub accepted: u32,
    /// Deferrals (one letter may have several).
    pub deferred: u32,
    /// Refused.
    pub refused: u32,
    /// Cut off after the dot.
    pub unknown: u32,
    /// Excluded after they were planned.
    pub withdrawn: u32,
    /// Too old for another attempt.
    pub expired: u32,
    /// Unsubscribes by way of a letter.
    pub unsubscribed: u32,
    /// Links followed.
    pub clicked: u32,
}

/// One round: a batch on the day it fell due.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoundState {
    /// Outcomes.
    pub counts: Counts,
    /// Whose letter of this round was claimed or withdrawn: never planned again in it.
    pub done: ContactSet,
    /// Who opened it, as a human or by a human's proxy.
    pub readers: ContactSet,
    /// For whom only machines, or nobody knows who, fetched the pixel.
    pub machines: ContactSet,
    /// Who was moved to a reading batch by it.
    pub promoted: ContactSet,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportState {
    /// When it began.
    pub at: Moment,
    /// Who ran it.
    pub who: String,
    /// File name, or `-`.
    pub file: String,
    /// The tag it was asked to give.
    pub tag: Option<TagId>,
    /// What it did; `None` while it runs, and for ever when it was killed.
    pub counts: Option<ImportCounts>,
}

/// What letters are claimed within, as it was last recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Letters per company and day, at most.
    pub company_per_day_max: u32,
    /// Days between two letters, at least.
    pub contact_gap_days_min: u16,
    /// Days between two silent letters, at least.
    pub silent_gap_days_min: u16,
}

/// Which clock the store's letters were claimed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockKind {
    /// Nothing was claimed yet.
    #[default]
    Unset,
    /// The real one.
    Real,
    /// A rehearsal clock.
    Rehearsal,
}
