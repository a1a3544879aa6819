//! An import under way: what must be remembered from one stretch of rows to the next.

use std::collections::{BTreeMap, HashMap};

use crate::book::contact::{CompanyNo, Day, Kind, Moment};
use crate::book::tag::{BatchTag, TagId};
use crate::cadence::intake::ImportCounts;
use crate::cadence::intake::{Mode, Run};

/// An import under way.
pub struct Running {
    /// Its number.
    pub number: u32,
    /// When the rows at hand came.
    pub now: Moment,
    /// The day of that moment.
    pub today: Day,
    /// Only the verdicts of invalid rows are asked for.
    pub quiet: bool,
    /// The judge, and what it must remember.
    pub run: Run,
    /// The tag it gives.
    pub tag: Option<TagId>,
    /// The same, taken apart, when it is a batch tag.
    pub batch: Option<BatchTag>,
    /// What becomes of known and unknown addresses.
    pub mode: Mode,
    /// What it did so far.
    pub counts: ImportCounts,
    /// Contacts given each tag so far.
    pub placed: BTreeMap<TagId, u64>,
    /// Tags that rows named so far, as typed.
    pub typed: HashMap<String, TagId>,
    /// Contacts of (company, kind, batch number) that the book held when first asked.
    pub rooms: HashMap<(CompanyNo, Kind, u8), u32>,
}
