//! What the memory has not been told yet: pages and chunks that changed since the last write.
//!
//! Contacts live in pages of [`CONTACTS_PER_PAGE`], their events in pages of [`EVENTS_PAGE`] per
//! day, columns and sets in chunks: never a key per contact or per event.

use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet};

use crate::book::contact::{Act, CompanyNo, ContactId, Day, Moment};
use crate::book::set::ContactSet;
use crate::book::tag::TagId;
use crate::feedback::entry::{Entry, LetterId, Target, What};
use crate::store::pages::{Changes, Pages, PagesError};
use crate::store::record::{self, Field};
use crate::store::snapshot;
use crate::store::state::State;

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
/// What a contact held in memory is counted as.
const CONTACT_BYTES: usize = 200;
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

/// Changes since the last write.
#[derive(Debug, Default)]
pub struct Fresh {
    /// Whole pages of contacts, as the entries that made them.
    pub contacts: BTreeMap<u32, Vec<Entry>>,
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
    /// Chunks of address-pattern sets, by number of the pattern.
    pub leaves: BTreeSet<(usize, u32)>,
    rounds: BTreeSet<(Day, TagId)>,
    acts: BTreeSet<(Day, Act)>,
    gone: BTreeSet<(Day, Act, usize)>,
    /// Entries since the last write.
    pub entries: u64,
    /// Bytes held, roughly.
    pub bytes: usize,
}

impl Fresh {
    /// Notes what an entry is about to change and does not name, before the state folds it
    /// in.
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
            What::DayOpened { day } => {
                self.rounds.extend(state.forgotten_on(*day));
                self.gone.extend(state.acts.forgotten_on(*day));
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
            _ => (),
        }
    }

    /// Notes what an entry changes, after the state has folded it in.
    ///
    /// # Errors
    /// When a page that must be completed cannot be read.
    pub fn note(&mut self, seq: u64, entry: &Entry, pages: &Pages) -> Result<(), PagesError> {
        self.entries += 1;
        match &entry.what {
            What::Imported { contact, company, company_key, tags, .. } => {
                self.put_contact(*contact, entry.clone(), pages)?;
                if let Some(key) = company_key {
                    self.put_name(*company, key, pages)?;
                }
                self.rows.insert(contact.0 / ROWS_PER_CHUNK);
                self.lasts.insert(contact.0 / LASTS_PER_CHUNK);
                self.firms.insert(company.0 / FIRMS_PER_CHUNK);
                self.sets.insert((SHADOWS, contact.0 / SET_CHUNK));
                for tag in tags {
                    self.sets.insert((tag.0, contact.0 / SET_CHUNK));
                }
                return Ok(());
            }
            What::Updated { contact, card, .. } => self.change_card(*contact, card, pages)?,
            What::Tagged { contact, tag, .. } | What::Untagged { contact, tag, .. } => {
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
            What::Suppressed { target: Target::Contact(contact), .. }
            | What::Unsuppressed { target: Target::Contact(contact), .. } => {
                self.suppression(*contact);
            }
            What::Unsubscribed { contact, letter, .. } => {
                self.suppression(*contact);
                self.round(*letter);
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
        let page = self.events.entry((contact.0 / EVENTS_PAGE, utc_day(entry.at))).or_default();
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

    fn suppression(&mut self, contact: ContactId) {
        self.sets.insert((SUPPRESSED, contact.0 / SET_CHUNK));
        self.sets.insert((BY_DOMAIN, contact.0 / SET_CHUNK));
    }

    fn round(&mut self, letter: Option<LetterId>) {
        if let Some(letter) = letter {
            self.rounds.insert((letter.due, letter.tag));
        }
    }

    fn page_of(&mut self, page: u32, pages: &Pages) -> Result<&mut Vec<Entry>, PagesError> {
        Ok(match self.contacts.entry(page) {
            Place::Occupied(held) => held.into_mut(),
            Place::Vacant(free) => {
                let entries = read_contacts(page, pages)?;
                self.bytes += entries.len() * CONTACT_BYTES;
                free.insert(entries)
            }
        })
    }

    fn put_contact(
        &mut self,
        id: ContactId,
        entry: Entry,
        pages: &Pages,
    ) -> Result<(), PagesError> {
        self.bytes += CONTACT_BYTES;
        let slot = (id.0 % CONTACTS_PER_PAGE) as usize;
        let page = self.page_of(id.0 / CONTACTS_PER_PAGE, pages)?;
        match page.get_mut(slot) {
            Some(old) => *old = entry,
            None => page.push(entry),
        }
        Ok(())
    }

    fn change_card(
        &mut self,
        id: ContactId,
        new: &crate::book::contact::Card,
        pages: &Pages,
    ) -> Result<(), PagesError> {
        let slot = (id.0 % CONTACTS_PER_PAGE) as usize;
        let page = self.page_of(id.0 / CONTACTS_PER_PAGE, pages)?;
        if let Some(Entry { what: What::Imported { card, .. }, .. }) = page.get_mut(slot) {
            *card = new.clone();
        }
        Ok(())
    }

    fn put_name(&mut self, no: CompanyNo, key: &str, pages: &Pages) -> Result<(), PagesError> {
        let page = no.0 / NAMES_PER_PAGE;
        let names = match self.names.entry(page) {
            Place::Occupied(held) => held.into_mut(),
            Place::Vacant(free) => free.insert(read_names(page, pages)?),
        };
        names.push(key.to_owned());
        self.bytes += key.len() + 24;
        Ok(())
    }

    /// Everything as one batch of changes; `seq` is the last sequence they hold.
    #[must_use]
    pub fn changes(&self, seq: u64, state: &State, leaves: &[(u64, ContactSet)]) -> Changes {
        let mut changes = Changes::default();
        for (page, contacts) in &self.contacts {
            let mut bytes = Vec::new();
            contacts.iter().for_each(|entry| record::encode(entry, &mut bytes));
            changes.put(&name(b'c', *page), &bytes);
        }
        for (page, names) in &self.names {
            let mut bytes = Vec::new();
            names.put(&mut bytes);
            changes.put(&name(b'n', *page), &bytes);
        }
        for ((page, day), bytes) in &self.events {
            let mut key = name(b'e', *page);
            key.extend_from_slice(&day.to_be_bytes());
            key.extend_from_slice(&seq.to_be_bytes());
            changes.put(&key, bytes);
        }
        for (day, bytes) in &self.days {
            changes.put(&day_name(*day), bytes);
        }
        self.put_columns(state, &mut changes);
        for (code, chunk) in &self.sets {
            if let Some(set) = set_by_code(state, *code) {
                changes.put(&set_name(*code, *chunk), &chunk_of(set, *chunk));
            }
        }
        for (at, chunk) in &self.leaves {
            if let Some((hash, set)) = leaves.get(*at) {
                changes.put(&leaf_name(*hash, *chunk), &chunk_of(set, *chunk));
            }
        }
        for key in &self.rounds {
            if let Some(round) = state.rounds.get(key) {
                let mut name = vec![b'r'];
                name.extend_from_slice(&key.0.0.to_be_bytes());
                name.extend_from_slice(&key.1.0.to_be_bytes());
                changes.put(&name, &snapshot::save_round(round));
            }
        }
        for (day, act) in &self.acts {
            if let Some(set) = state.acts.on(*act, *day) {
                changes.put(&act_name(*day, *act), &set.to_bytes());
            }
        }
        for (day, act, bytes) in &self.gone {
            changes.remove(&act_name(*day, *act), *bytes);
        }
        changes.put(b"s", &snapshot::save(state));
        changes
    }

    fn put_columns(&self, state: &State, changes: &mut Changes) {
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
            changes.put(&name(b'f', *chunk), &bytes);
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
            changes.put(&name(b'g', *chunk), &bytes);
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
            changes.put(&name(b'k', *chunk), &bytes);
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

/// The day that an event's page is filed under.
#[must_use]
pub fn utc_day(at: Moment) -> u16 {
    u16::try_from(at.0.div_euclid(86_400_000).max(0)).unwrap_or(u16::MAX)
}

/// The name of page or chunk `number` of a kind.
#[must_use]
pub fn name(kind: u8, number: u32) -> Vec<u8> {
    let mut name = vec![kind];
    name.extend_from_slice(&number.to_be_bytes());
    name
}

/// The name of who did something on a day.
#[must_use]
pub fn act_name(day: Day, act: Act) -> Vec<u8> {
    let mut name = vec![b'a'];
    name.extend_from_slice(&day.0.to_be_bytes());
    name.push(act_code(act));
    name
}

fn act_code(act: Act) -> u8 {
    match act {
        Act::Letter => 1,
        Act::Open => 2,
        Act::Click => 3,
        Act::Reply => 4,
        Act::Touch => 5,
    }
}

/// Reads what [`act_name`] ends in.
#[must_use]
pub fn act_of(code: u8) -> Option<Act> {
    Act::ALL.into_iter().find(|act| act_code(*act) == code)
}

/// The name of a closed day.
#[must_use]
pub fn day_name(day: Day) -> Vec<u8> {
    let mut name = vec![b'd'];
    name.extend_from_slice(&day.0.to_be_bytes());
    name
}

fn set_name(code: u16, chunk: u32) -> Vec<u8> {
    let mut name = vec![b'b'];
    name.extend_from_slice(&code.to_be_bytes());
    name.extend_from_slice(&chunk.to_be_bytes());
    name
}

fn leaf_name(hash: u64, chunk: u32) -> Vec<u8> {
    let mut name = vec![b'l'];
    name.extend_from_slice(&hash.to_be_bytes());
    name.extend_from_slice(&chunk.to_be_bytes());
    name
}

/// A page of contacts as it stands in sled.
///
/// # Errors
/// When sled cannot read, or the page is damaged.
pub fn read_contacts(page: u32, pages: &Pages) -> Result<Vec<Entry>, PagesError> {
    let Some(bytes) = pages.get(&name(b'c', page))? else { return Ok(Vec::new()) };
    decode_entries(&bytes).ok_or_else(|| PagesError::Damaged(format!("contacts {page}")))
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

/// A page of company keys as it stands in sled.
///
/// # Errors
/// When sled cannot read, or the page is damaged.
pub fn read_names(page: u32, pages: &Pages) -> Result<Vec<String>, PagesError> {
    let Some(bytes) = pages.get(&name(b'n', page))? else { return Ok(Vec::new()) };
    Vec::get(&mut bytes.as_slice()).map_err(|_| PagesError::Damaged(format!("companies {page}")))
}
