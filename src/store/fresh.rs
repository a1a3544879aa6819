//! What the memory has not been told yet: pages and chunks that changed since the last write.
//!
//! Contacts live in pages of [`CONTACTS_PER_PAGE`], their events in pages of [`EVENTS_PAGE`] per
//! day, columns and sets in chunks: never a key per contact or per event.

use std::borrow::Cow;
use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet};

use crate::book::contact::{Act, Card, CompanyNo, ContactId, Day};
use crate::book::set::ContactSet;
use crate::book::tag::TagId;
use crate::feedback::entry::{Entry, LetterId, Target, What};
use crate::store::bundle::{Bundle, LOOSE_BYTES};
use crate::store::names;
use crate::store::pages::{Changes, Pages, PagesError};
use crate::store::record::{self, Field};
use crate::store::snapshot;
use crate::store::state::{MEMORY_DAYS, State};

/// Contacts in one page (32 of 400 bytes compress to less than two sled values).
pub const CONTACTS_PER_PAGE: u32 = 32;
/// Contacts whose events of a day share one page.
pub const EVENTS_PAGE: u32 = 512;
/// Company keys in one page.
pub const NAMES_PER_PAGE: u32 = 128;
/// Rows of fixed facts in one chunk (23 bytes each).
pub const ROWS_PER_CHUNK: u32 = 160;
/// Rows of moving facts in one chunk (16 bytes each).
pub const LASTS_PER_CHUNK: u32 = 240;
/// Company rows in one chunk (20 bytes each).
pub const FIRMS_PER_CHUNK: u32 = 180;
/// Ids in one chunk of a set: at most 4 KiB of bits.
pub const SET_CHUNK: u32 = 30_000;

/// Sets that are no tag's, by the code they are stored under (tags use their own number).
pub const SUPPRESSED: u16 = 0xfff0;
/// Those suppressed only by their domain.
pub const BY_DOMAIN: u16 = 0xfff1;
/// Addresses known only by their suppression.
pub const SHADOWS: u16 = 0xfff2;
/// Those waiting for a person.
pub const WAITING: u16 = 0xfff3;
/// Owners and stages, by their number, up to [`SUPPRESSED`]; tags end below.
pub const LABELS: u16 = 0xf000;

/// A name and what is to be kept under it.
pub type Blob = (Vec<u8>, Vec<u8>);

/// What was there before: sled, and in front of it what is on its way there.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// Changes that are being written.
    pub leaving: Option<&'a Fresh>,
    /// sled.
    pub pages: &'a Pages,
}

impl Kept<'_> {
    /// A page of contacts.
    ///
    /// # Errors
    /// When sled cannot read, or the page is damaged.
    pub fn contacts(&self, page: u32) -> Result<Vec<Entry>, PagesError> {
        let bytes = self.records(page)?;
        decode_entries(&bytes).ok_or_else(|| PagesError::Damaged(format!("contacts {page}")))
    }

    /// A page of contacts, as the records that made them; empty when there is none.
    ///
    /// # Errors
    /// When sled cannot read.
    pub fn records(&self, page: u32) -> Result<Vec<u8>, PagesError> {
        match self.leaving.and_then(|fresh| fresh.contacts.get(&page)) {
            Some(bundle) => Ok(bundle.bytes().into_owned()),
            None => Ok(self.pages.get(&names::name(b'c', page))?.unwrap_or_default()),
        }
    }

    /// A page of company keys.
    ///
    /// # Errors
    /// When sled cannot read, or the page is damaged.
    pub fn names(&self, page: u32) -> Result<Vec<String>, PagesError> {
        if let Some(names) = self.leaving.and_then(|fresh| fresh.names.get(&page)) {
            return Ok(names.clone());
        }
        let Some(bytes) = self.pages.get(&names::name(b'n', page))? else { return Ok(Vec::new()) };
        let names = Vec::get(&mut bytes.as_slice());
        names.map_err(|_| PagesError::Damaged(format!("companies {page}")))
    }

    /// One company key.
    ///
    /// # Errors
    /// When sled cannot read, or the page is damaged.
    pub fn name(&self, page: u32, slot: usize) -> Result<Option<String>, PagesError> {
        if let Some(names) = self.leaving.and_then(|fresh| fresh.names.get(&page)) {
            return Ok(names.get(slot).cloned());
        }
        let Some(bytes) = self.pages.get(&names::name(b'n', page))? else { return Ok(None) };
        let damaged = || PagesError::Damaged(format!("companies {page}"));
        let mut rest = bytes.as_slice();
        let count = usize::get(&mut rest).map_err(|_| damaged())?;
        if slot >= count {
            return Ok(None);
        }
        for _ in 0..slot {
            // A text is passed over as a record is: both carry their length before them.
            rest = record::skip(rest).ok_or_else(damaged)?;
        }
        String::get(&mut rest).map(Some).map_err(|_| damaged())
    }

    /// What a closed day left behind, as its entry.
    ///
    /// # Errors
    /// When sled cannot read.
    pub fn day(&self, day: Day) -> Result<Option<Cow<'_, [u8]>>, PagesError> {
        if let Some(bytes) = self.leaving.and_then(|fresh| fresh.days.get(&day)) {
            return Ok(Some(Cow::Borrowed(bytes)));
        }
        Ok(self.pages.get(&names::day_name(day))?.map(Cow::Owned))
    }
}

/// Changes since the last write.
#[derive(Debug, Default)]
pub struct Fresh {
    /// Whole pages of contacts, as the entries that made them.
    pub contacts: BTreeMap<u32, Bundle>,
    /// Whole pages of company keys.
    pub names: BTreeMap<u32, Vec<String>>,
    /// Events by (page, day of the event): sequence and entry, one after the other.
    pub events: BTreeMap<(u32, u16), Vec<u8>>,
    /// Closed days.
    pub days: BTreeMap<Day, Vec<u8>>,
    rows: BTreeSet<u32>,
    lasts: BTreeSet<u32>,
    firms: BTreeSet<u32>,
    sets: BTreeSet<(u16, u32)>,
    /// Chunks of who was tagged on a day.
    recent: BTreeSet<(Day, TagId, u32)>,
    /// The day that was opened last: what was tagged or done long before is not asked about again.
    opened: Option<Day>,
    /// Chunks of address-pattern sets, by number of the pattern.
    pub leaves: BTreeSet<(usize, u32)>,
    rounds: BTreeSet<(Day, TagId)>,
    acts: BTreeSet<(Day, Act)>,
    /// Entries since the last write.
    pub entries: u64,
    /// Bytes held, roughly.
    pub bytes: usize,
}

impl Fresh {
    /// Notes what an entry is about to change and does not name, before the state folds it in.
    pub fn foresee(&mut self, entry: &Entry, state: &State) {
        match &entry.what {
            // Opens that lead to this reading tag settle in the rounds that the contact read.
            What::Tagged { contact, .. } | What::Imported { contact, .. }
                if state.is_pending(*contact) =>
            {
                let rounds = state.rounds.iter();
                let read = rounds.filter(|(_, round)| round.readers.contains(*contact));
                self.rounds.extend(read.map(|(key, _)| *key));
            }
            What::Accepted { letter, .. } | What::Unknown { letter, .. } => {
                let living = state.living.get(&letter.contact);
                self.acts.extend(living.map(|living| (living.day, Act::Letter)));
            }
            What::Labelled { contact, .. } => {
                // One more than there are: the label may be a new one.
                let labels = u16::try_from(state.labels.len()).unwrap_or(u16::MAX - LABELS);
                let codes = LABELS..=LABELS + labels;
                self.sets.extend(codes.map(|code| (code, contact.0 / SET_CHUNK)));
            }
            What::Untagged { contact, tag, .. } => {
                let days = state.recent.keys();
                self.recent.extend(days.map(|day| (*day, *tag, contact.0 / SET_CHUNK)));
            }
            What::DayOpened { day } => self.rounds.extend(state.forgotten_on(*day)),
            _ => (),
        }
    }

    /// Notes what an entry changes, after the state has folded it in.
    ///
    /// # Errors
    /// When a page that must be completed cannot be read.
    pub fn note(&mut self, seq: u64, entry: &Entry, kept: Kept<'_>) -> Result<(), PagesError> {
        self.entries += 1;
        match &entry.what {
            What::Imported { contact, company, company_key, day, tags, .. } => {
                self.put_contact(*contact, entry, kept)?;
                if let Some(key) = company_key {
                    self.put_name(*company, key, kept)?;
                }
                self.rows.insert(contact.0 / ROWS_PER_CHUNK);
                self.lasts.insert(contact.0 / LASTS_PER_CHUNK);
                self.firms.insert(company.0 / FIRMS_PER_CHUNK);
                self.sets.insert((SHADOWS, contact.0 / SET_CHUNK));
                tags.iter().for_each(|tag| self.tagged(*contact, *tag, *day));
                return Ok(());
            }
            What::Updated { contact, card, .. } => self.change_card(*contact, card, kept)?,
            What::Tagged { contact, tag, day, .. } => self.tagged(*contact, *tag, *day),
            What::Untagged { contact, tag, .. } => {
                self.sets.insert((tag.0, contact.0 / SET_CHUNK));
                self.lasts.insert(contact.0 / LASTS_PER_CHUNK);
            }
            What::Noted { contact, .. } => {
                self.lasts.insert(contact.0 / LASTS_PER_CHUNK);
            }
            What::Labelled { contact, .. } => {
                self.lasts.insert(contact.0 / LASTS_PER_CHUNK);
            }
            What::Replied { contact, day, .. } => {
                self.sets.insert((WAITING, contact.0 / SET_CHUNK));
                self.acted(Act::Reply, *contact, *day);
            }
            What::DayOpened { day } => self.opened = Some(*day),
            What::Suppressed { target: Target::Contact(contact), .. }
            | What::Unsuppressed { target: Target::Contact(contact), .. } => {
                self.suppression(*contact);
            }
            What::Unsubscribed { contact, letter, .. } => {
                self.suppression(*contact);
                self.round(*letter);
            }
            What::StoppedFor { contact, .. } | What::Decided { contact, .. } => {
                self.sets.insert((WAITING, contact.0 / SET_CHUNK));
            }
            What::Accepted { letter, .. } | What::Unknown { letter, .. } => {
                self.lasts.insert(letter.contact.0 / LASTS_PER_CHUNK);
                self.round(Some(*letter));
            }
            What::Opened { letter, day, .. } => self.acted_on(Act::Open, *letter, *day),
            What::Clicked { letter, day, .. } => self.acted_on(Act::Click, *letter, *day),
            What::Claimed { letter, .. }
            | What::Deferred { letter, .. }
            | What::Refused { letter, .. }
            | What::Withdrawn { letter, .. }
            | What::Expired { letter } => self.round(Some(*letter)),
            What::DayClosed { day, .. } => {
                let mut bytes = Vec::new();
                record::encode(entry, &mut bytes);
                self.bytes += bytes.len();
                self.days.insert(*day, bytes);
            }
            _ => (),
        }
        self.event(seq, entry);
        Ok(())
    }

    fn event(&mut self, seq: u64, entry: &Entry) {
        let Some(contact) = entry.what.contact() else { return };
        let page =
            self.events.entry((contact.0 / EVENTS_PAGE, names::utc_day(entry.at))).or_default();
        let before = page.len();
        seq.put(page);
        record::encode(entry, page);
        self.bytes += page.len() - before;
    }

    fn acted_on(&mut self, act: Act, letter: LetterId, day: Day) {
        self.acted(act, letter.contact, day);
        self.round(Some(letter));
    }

    fn acted(&mut self, act: Act, contact: ContactId, day: Day) {
        self.lasts.insert(contact.0 / LASTS_PER_CHUNK);
        self.acts.insert((day, act));
    }

    fn tagged(&mut self, contact: ContactId, tag: TagId, day: Day) {
        self.sets.insert((tag.0, contact.0 / SET_CHUNK));
        self.recent.insert((day, tag, contact.0 / SET_CHUNK));
    }

    fn suppression(&mut self, contact: ContactId) {
        self.sets.insert((SUPPRESSED, contact.0 / SET_CHUNK));
        self.sets.insert((BY_DOMAIN, contact.0 / SET_CHUNK));
    }

    fn round(&mut self, letter: Option<LetterId>) {
        if let Some(letter) = letter {
            self.rounds.insert((letter.due, letter.tag));
        }
    }

    fn page_of(&mut self, page: u32, kept: Kept<'_>) -> Result<&mut Bundle, PagesError> {
        Ok(match self.contacts.entry(page) {
            Place::Occupied(held) => held.into_mut(),
            Place::Vacant(free) => {
                let entries = kept.contacts(page)?;
                self.bytes += entries.len() * LOOSE_BYTES;
                free.insert(Bundle::of(entries))
            }
        })
    }

    fn put_contact(
        &mut self,
        id: ContactId,
        entry: &Entry,
        kept: Kept<'_>,
    ) -> Result<(), PagesError> {
        let slot = (id.0 % CONTACTS_PER_PAGE) as usize;
        let page = self.page_of(id.0 / CONTACTS_PER_PAGE, kept)?;
        let added = page.put(slot, entry);
        self.bytes += added;
        Ok(())
    }

    fn change_card(&mut self, id: ContactId, new: &Card, kept: Kept<'_>) -> Result<(), PagesError> {
        let slot = (id.0 % CONTACTS_PER_PAGE) as usize;
        let page = self.page_of(id.0 / CONTACTS_PER_PAGE, kept)?;
        if let Some(Entry { what: What::Imported { card, .. }, .. }) = page.get_mut(slot) {
            *card = new.clone();
        }
        Ok(())
    }

    fn put_name(&mut self, no: CompanyNo, key: &str, kept: Kept<'_>) -> Result<(), PagesError> {
        let page = no.0 / NAMES_PER_PAGE;
        let names = match self.names.entry(page) {
            Place::Occupied(held) => held.into_mut(),
            Place::Vacant(free) => free.insert(kept.names(page)?),
        };
        names.push(key.to_owned());
        self.bytes += key.len() + 24;
        Ok(())
    }

    /// What it holds itself, put into a batch of changes; `seq` is the last sequence they hold.
    pub fn put_into(&self, changes: &mut Changes, seq: u64) {
        for (page, contacts) in &self.contacts {
            changes.put(&names::name(b'c', *page), &contacts.bytes());
        }
        for (page, names) in &self.names {
            let mut bytes = Vec::new();
            names.put(&mut bytes);
            changes.put(&names::name(b'n', *page), &bytes);
        }
        for ((page, day), bytes) in &self.events {
            let mut key = names::name(b'e', *page);
            key.extend_from_slice(&day.to_be_bytes());
            key.extend_from_slice(&seq.to_be_bytes());
            changes.put(&key, bytes);
        }
        for (day, bytes) in &self.days {
            changes.put(&names::day_name(*day), bytes);
        }
        if let Some(day) = self.opened {
            changes.clear(b"q", &names::day_of_tags(day.plus(-MEMORY_DAYS)));
            changes.clear(b"a", &names::acts_before(day));
        }
    }

    /// What it knows to have changed in the state, as blobs with their names; `leaves` are the sets
    /// of address patterns, by hash.
    #[must_use]
    pub fn of_state(&self, state: &State, leaves: &[(u64, &ContactSet)]) -> Vec<Blob> {
        let mut blobs = Vec::new();
        self.put_columns(state, &mut blobs);
        for (code, chunk) in &self.sets {
            if let Some(set) = set_by_code(state, *code) {
                blobs.push((names::set_name(*code, *chunk), chunk_of(set, *chunk)));
            }
        }
        for (day, tag, chunk) in &self.recent {
            let tagged = state.recent.get(day).and_then(|tags| tags.get(tag));
            if let Some(set) = tagged {
                blobs.push((names::recent_name(*day, *tag, *chunk), chunk_of(set, *chunk)));
            }
        }
        for (at, chunk) in &self.leaves {
            if let Some((hash, set)) = leaves.get(*at) {
                blobs.push((names::leaf_name(*hash, *chunk), chunk_of(set, *chunk)));
            }
        }
        for key in &self.rounds {
            if let Some(round) = state.rounds.get(key) {
                let mut name = vec![b'r'];
                name.extend_from_slice(&key.0.0.to_be_bytes());
                name.extend_from_slice(&key.1.0.to_be_bytes());
                blobs.push((name, snapshot::save_round(round)));
            }
        }
        for (day, act) in &self.acts {
            if let Some(set) = state.acts.on(*act, *day) {
                blobs.push((names::act_name(*day, *act), set.to_bytes()));
            }
        }
        blobs.push((b"s".to_vec(), snapshot::save(state)));
        blobs
    }

    fn put_columns(&self, state: &State, blobs: &mut Vec<Blob>) {
        for chunk in &self.rows {
            let mut bytes = Vec::with_capacity(4096);
            for id in span(*chunk, ROWS_PER_CHUNK, state.contacts.len()) {
                if let Some(row) = state.contacts.row(ContactId(id)) {
                    bytes.extend_from_slice(&row.hash.high.to_be_bytes());
                    bytes.extend_from_slice(&row.hash.low.to_be_bytes());
                    bytes.extend_from_slice(&row.company.0.to_be_bytes());
                    bytes.extend_from_slice(&row.rank.to_be_bytes());
                    bytes.extend_from_slice(&row.created.0.to_be_bytes());
                    row.kind.put(&mut bytes);
                }
            }
            blobs.push((names::name(b'f', *chunk), bytes));
        }
        for chunk in &self.lasts {
            let mut bytes = Vec::with_capacity(4096);
            for id in span(*chunk, LASTS_PER_CHUNK, state.contacts.len()) {
                let (last, last_silent) = state.contacts.lasts(ContactId(id));
                bytes.extend_from_slice(&last.to_be_bytes());
                bytes.extend_from_slice(&last_silent.to_be_bytes());
                let (lasts, counts) = state.acts.row(ContactId(id));
                lasts.iter().for_each(|last| bytes.extend_from_slice(&last.to_be_bytes()));
                bytes.extend_from_slice(&counts);
            }
            blobs.push((names::name(b'g', *chunk), bytes));
        }
        for chunk in &self.firms {
            let mut bytes = Vec::with_capacity(4096);
            for no in span(*chunk, FIRMS_PER_CHUNK, state.companies.len()) {
                if let Some(row) = state.companies.row(CompanyNo(no)) {
                    let [precise, ordinary] = row.ranks;
                    bytes.extend_from_slice(&row.hash.high.to_be_bytes());
                    bytes.extend_from_slice(&row.hash.low.to_be_bytes());
                    bytes.extend_from_slice(&precise.to_be_bytes());
                    bytes.extend_from_slice(&ordinary.to_be_bytes());
                }
            }
            blobs.push((names::name(b'k', *chunk), bytes));
        }
    }
}

fn span(chunk: u32, size: u32, end: u32) -> std::ops::Range<u32> {
    let from = chunk.saturating_mul(size);
    from..from.saturating_add(size).min(end).max(from)
}

fn chunk_of(set: &ContactSet, chunk: u32) -> Vec<u8> {
    let from = chunk.saturating_mul(SET_CHUNK);
    set.between(from, from.saturating_add(SET_CHUNK)).to_bytes()
}

fn set_by_code(state: &State, code: u16) -> Option<&ContactSet> {
    match code {
        SUPPRESSED => Some(&state.suppressed),
        BY_DOMAIN => Some(&state.by_domain),
        SHADOWS => Some(&state.shadows),
        WAITING => Some(&state.waiting),
        label if label >= LABELS => {
            state.labels.get(usize::from(label - LABELS)).map(|label| &label.members)
        }
        tag => state.members(TagId(tag)),
    }
}

/// Entries one after the other.
#[must_use]
pub fn decode_entries(mut bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        entries.push(record::decode(&mut bytes).ok()?);
    }
    Some(entries)
}
