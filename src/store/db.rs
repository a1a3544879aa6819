//! The store: journal, memory and state as one. Synchronous; one thread owns it.
//!
//! A change is an [`Entry`]: [`Store::record`] gives it a sequence and folds it in, and
//! [`Store::commit`] makes everything recorded since the last commit durable with one write and one
//! sync. Only then may anybody be answered.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::book::address::Address;
use crate::book::contact::{Card, CompanyNo, Contact, ContactId, Day, Moment};
use crate::book::leaf::Leaf;
use crate::book::set::ContactSet;
use crate::feedback::entry::{Entry, RoundRecord, What};
use crate::store::fresh::{self, CONTACTS_PER_PAGE, EVENTS_PAGE, Fresh, NAMES_PER_PAGE, SET_CHUNK};
use crate::store::journal::{Journal, Reader, TornTail};
use crate::store::load;
use crate::store::pages::{Pages, PagesError};
use crate::store::record::{self, Field};
use crate::store::site::{self, StoreError};
use crate::store::state::{State, stored_key};

/// sled's own cache; the pages that are asked for again and again are few.
const SLED_CACHE_BYTES: u64 = 16 << 20;
/// The memory is written when this much of it is fresh: bounds both RAM and the replay at a start.
const FRESH_BYTES_MAX: usize = 8 << 20;
/// And at the latest after so many entries.
const FRESH_ENTRIES_MAX: u64 = 200_000;
/// Decoded pages kept at hand.
const CACHED_PAGES_MAX: usize = 64;

/// What was found at an open, for the log.
#[derive(Debug, Default)]
pub struct Opening {
    /// A torn tail that was cut off.
    pub torn: Option<TornTail>,
    /// Why the memory was rebuilt from the journal.
    pub rebuilt: Option<String>,
    /// Entries replayed.
    pub replayed: u64,
}

/// One leaf and who matches it.
#[derive(Debug)]
struct Watched {
    hash: u64,
    leaf: Leaf,
    set: ContactSet,
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    journal: Journal,
    pages: Pages,
    state: State,
    fresh: Fresh,
    watched: Vec<Watched>,
    cache: RefCell<HashMap<u32, Arc<Vec<Entry>>>>,
    dirty: bool,
    _lock: File,
}

impl Store {
    /// Makes a new, empty store.
    ///
    /// # Errors
    /// When there is one already, or the directory cannot be written.
    pub fn init(dir: &Path, now: Moment, id: [u8; 16]) -> Result<(), StoreError> {
        if site::is_taken(dir) {
            return Err(StoreError::Exists(dir.to_owned()));
        }
        fs::create_dir_all(dir).map_err(|error| site::at(dir, error))?;
        let mut journal = Journal::create(&dir.join("journal"), id)?;
        journal.push(&Entry { at: now, what: What::StoreCreated { store: id } });
        journal.commit()?;
        site::write_identity(dir, id)
    }

    /// Opens a store that exists, replaying what the memory does not hold yet.
    ///
    /// `leaves` are the leaves of the configured views; `progress` is told how many
    /// entries were replayed.
    ///
    /// # Errors
    /// When it is missing, foreign, locked or damaged: never a silent new one.
    pub fn open(
        dir: &Path,
        leaves: Vec<Leaf>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(Self, Opening), StoreError> {
        let id = site::identity(dir)?;
        let lock = site::lock(dir)?;
        let mut opening = Opening::default();
        let (pages, state, watched, applied) = match remember(dir, id, &leaves) {
            Ok(found) => found,
            Err(why) => {
                opening.rebuilt = Some(why.to_string());
                site::set_aside(dir)?;
                remember(dir, id, &leaves)?
            }
        };
        let (journal, opened) = Journal::open(&dir.join("journal"), applied)?;
        opening.torn = opened.torn;
        let mut store = Self {
            dir: dir.to_owned(),
            journal,
            pages,
            state,
            fresh: Fresh::default(),
            watched,
            cache: RefCell::default(),
            dirty: false,
            _lock: lock,
        };
        for found in Reader::open(&dir.join("journal"))?.read_from(applied + 1)? {
            let (seq, entry) = found?;
            store.fold(seq, &entry)?;
            opening.replayed += 1;
            if store.is_full() {
                store.settle_to(seq)?;
                progress(opening.replayed);
            }
        }
        store.watch(leaves)?;
        Ok((store, opening))
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Everything the fold of its entries knows.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Records an entry: part of the next [`Self::commit`], and folded in at once.
    ///
    /// # Errors
    /// When a page that must be completed cannot be read.
    pub fn record(&mut self, at: Moment, what: What) -> Result<u64, StoreError> {
        let entry = Entry { at, what };
        let seq = self.journal.push(&entry);
        self.dirty = true;
        self.fold(seq, &entry)?;
        Ok(seq)
    }

    /// Makes everything recorded durable. After an error the store must not be used any more.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if !std::mem::take(&mut self.dirty) {
            return Ok(());
        }
        let seq = self.journal.commit()?;
        if self.is_full() { self.settle_to(seq) } else { Ok(()) }
    }

    /// Writes the memory, so that the next start has nothing to replay.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        self.commit()?;
        if self.fresh.entries > 0 {
            let seq = self.journal.last();
            self.settle_to(seq)?;
        }
        Ok(self.pages.flush()?)
    }

    fn is_full(&self) -> bool {
        self.fresh.bytes >= FRESH_BYTES_MAX || self.fresh.entries >= FRESH_ENTRIES_MAX
    }

    fn settle_to(&mut self, seq: u64) -> Result<(), StoreError> {
        let sets: Vec<(u64, ContactSet)> =
            self.watched.iter().map(|watched| (watched.hash, watched.set.clone())).collect();
        let mut changes = self.fresh.changes(seq, &self.state, &sets);
        let mut hashes = Vec::new();
        self.watched.iter().map(|watched| watched.hash).collect::<Vec<_>>().put(&mut hashes);
        changes.put(b"L", &hashes);
        self.pages.write(changes, seq)?;
        let touched = std::mem::take(&mut self.fresh);
        let mut cache = self.cache.borrow_mut();
        for page in touched.contacts.keys() {
            cache.remove(page);
        }
        Ok(())
    }

    fn fold(&mut self, seq: u64, entry: &Entry) -> Result<(), StoreError> {
        self.state.apply(entry);
        self.fresh.note(seq, entry, &self.state, &self.pages)?;
        match &entry.what {
            What::Imported { contact, address, card, .. } => {
                self.judge(*contact, &stored_key(address), card, false);
            }
            What::Updated { contact, card, .. }
                if self.watched.iter().any(|watched| watched.leaf.reads_card()) =>
            {
                let Some(held) = self.contact(*contact)? else { return Ok(()) };
                self.judge(*contact, &held.address.key(), card, true);
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts a contact into the sets of the leaves it matches, and out of the others.
    fn judge(&mut self, contact: ContactId, key: &str, card: &Card, only_cards: bool) {
        for (number, watched) in self.watched.iter_mut().enumerate() {
            if only_cards && !watched.leaf.reads_card() {
                continue;
            }
            let changed = match watched.leaf.matches(key, card) {
                true => watched.set.insert(contact),
                false => watched.set.remove(contact),
            };
            if changed {
                self.fresh.leaves.insert((number, contact.0 / SET_CHUNK));
            }
        }
    }

    /// Who matches each of these leaves, by one search of the whole book.
    ///
    /// # Errors
    /// When the book cannot be read.
    pub fn search(&self, leaves: &[Leaf]) -> Result<Vec<ContactSet>, StoreError> {
        let mut sets = vec![ContactSet::new(); leaves.len()];
        if leaves.is_empty() {
            return Ok(sets);
        }
        self.each_card(|id, address, card| {
            let key = stored_key(address);
            for (leaf, set) in leaves.iter().zip(&mut sets) {
                if leaf.matches(&key, card) {
                    set.insert(id);
                }
            }
        })?;
        Ok(sets)
    }

    /// Watches these leaves from now on; those not watched before are searched for in the whole
    /// book.
    ///
    /// # Errors
    /// When the book cannot be read.
    pub fn watch(&mut self, leaves: Vec<Leaf>) -> Result<(), StoreError> {
        let mut old = std::mem::take(&mut self.watched);
        let mut unknown = Vec::new();
        for leaf in leaves {
            let hash = hash_of(&leaf);
            if let Some(at) = old.iter().position(|watched| watched.hash == hash) {
                self.watched.push(old.swap_remove(at));
            } else {
                unknown.push((self.watched.len(), leaf.clone()));
                self.watched.push(Watched { hash, leaf, set: ContactSet::new() });
            }
        }
        if unknown.is_empty() && old.is_empty() {
            return Ok(());
        }
        let (places, leaves): (Vec<usize>, Vec<Leaf>) = unknown.into_iter().unzip();
        for (at, set) in places.into_iter().zip(self.search(&leaves)?) {
            if let Some(new) = self.watched.get_mut(at) {
                new.set = set;
            }
        }
        let chunks = self.state.contacts.len().div_ceil(SET_CHUNK);
        for number in 0..self.watched.len() {
            self.fresh.leaves.extend((0..chunks).map(|chunk| (number, chunk)));
        }
        self.fresh.entries = self.fresh.entries.max(1);
        Ok(())
    }

    /// Who matches a leaf, by its key.
    #[must_use]
    pub fn leaf(&self, key: &str) -> Option<&ContactSet> {
        self.watched.iter().find(|watched| watched.leaf.key() == key).map(|watched| &watched.set)
    }

    /// One contact.
    ///
    /// # Errors
    /// When its page cannot be read.
    pub fn contact(&self, id: ContactId) -> Result<Option<Contact>, StoreError> {
        let slot = (id.0 % CONTACTS_PER_PAGE) as usize;
        let page = self.page(id.0 / CONTACTS_PER_PAGE)?;
        Ok(page.get(slot).and_then(as_contact))
    }

    /// A company's key.
    ///
    /// # Errors
    /// When its page cannot be read.
    pub fn company_key(&self, no: CompanyNo) -> Result<String, StoreError> {
        let page = no.0 / NAMES_PER_PAGE;
        let slot = (no.0 % NAMES_PER_PAGE) as usize;
        if let Some(names) = self.fresh.names.get(&page) {
            return Ok(names.get(slot).cloned().unwrap_or_default());
        }
        Ok(fresh::read_names(page, &self.pages)?.into_iter().nth(slot).unwrap_or_default())
    }

    /// Calls `each` with every contact and its address, in id order.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub fn each_contact(&self, mut each: impl FnMut(ContactId, &str)) -> Result<(), StoreError> {
        self.each_card(|id, address, _| each(id, address))
    }

    /// As [`Self::each_contact`], with the columns.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub fn each_card(
        &self,
        mut each: impl FnMut(ContactId, &str, &Card),
    ) -> Result<(), StoreError> {
        for page in 0..self.state.contacts.len().div_ceil(CONTACTS_PER_PAGE) {
            let entries = match self.fresh.contacts.get(&page) {
                Some(entries) => entries,
                None => &fresh::read_contacts(page, &self.pages)?,
            };
            for entry in entries {
                if let What::Imported { contact, address, card, .. } = &entry.what {
                    each(*contact, address, card);
                }
            }
        }
        Ok(())
    }

    /// What happened to a contact, in order: how it came first.
    ///
    /// # Errors
    /// When its pages cannot be read.
    pub fn timeline(&self, id: ContactId) -> Result<Vec<Entry>, StoreError> {
        let page = id.0 / EVENTS_PAGE;
        let mut events: Vec<(u64, Entry)> = Vec::new();
        let mut take = |bytes: &[u8]| {
            let found = decode_events(bytes, |whose| whose == Some(id));
            events.extend(found.ok_or_else(|| PagesError::Damaged(format!("events {page}")))?);
            Ok::<(), PagesError>(())
        };
        self.pages.scan(&fresh::name(b'e', page), 15, |_, bytes| take(&bytes))?;
        for (_, bytes) in self.fresh.events.range((page, 0)..=(page, u16::MAX)) {
            take(bytes)?;
        }
        events.sort_by_key(|(seq, _)| *seq);
        let slot = (id.0 % CONTACTS_PER_PAGE) as usize;
        let first = self.page(id.0 / CONTACTS_PER_PAGE)?.get(slot).cloned();
        let mut all: Vec<Entry> = first.into_iter().collect();
        all.extend(events.into_iter().map(|(_, entry)| entry));
        all.sort_by_key(|entry| entry.at);
        Ok(all)
    }

    /// What happened to contacts from an instant on, imports apart, in order.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub fn events_since(&self, at: Moment) -> Result<Vec<Entry>, StoreError> {
        let first = fresh::utc_day(at);
        let last = fresh::utc_day(self.state.last_at);
        let mut found = Vec::new();
        for page in 0..self.state.contacts.len().div_ceil(EVENTS_PAGE) {
            for day in first..=last {
                let mut take = |bytes: &[u8]| {
                    let events = decode_events(bytes, |_| true);
                    found.extend(events.ok_or_else(|| PagesError::Damaged("events".to_owned()))?);
                    Ok::<(), PagesError>(())
                };
                let mut name = fresh::name(b'e', page);
                name.extend_from_slice(&day.to_be_bytes());
                self.pages.scan(&name, 15, |_, bytes| take(&bytes))?;
                if let Some(bytes) = self.fresh.events.get(&(page, day)) {
                    take(bytes)?;
                }
            }
        }
        found.retain(|(_, entry)| entry.at >= at);
        found.sort_by_key(|(seq, _)| *seq);
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }

    /// What a closed day left behind.
    ///
    /// # Errors
    /// When its page cannot be read.
    pub fn closed_day(&self, day: Day) -> Result<Option<Vec<RoundRecord>>, StoreError> {
        let bytes = match self.fresh.days.get(&day) {
            Some(bytes) => Some(bytes.clone()),
            None => self.pages.get(&fresh::day_name(day))?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        match record::decode(&mut bytes.as_slice()) {
            Ok(Entry { what: What::DayClosed { rounds, .. }, .. }) => Ok(Some(rounds)),
            _ => Err(PagesError::Damaged(format!("day {day}")).into()),
        }
    }

    fn page(&self, page: u32) -> Result<Arc<Vec<Entry>>, StoreError> {
        if let Some(entries) = self.fresh.contacts.get(&page) {
            return Ok(Arc::new(entries.clone()));
        }
        let mut cache = self.cache.borrow_mut();
        if let Some(entries) = cache.get(&page) {
            return Ok(Arc::clone(entries));
        }
        if cache.len() >= CACHED_PAGES_MAX {
            cache.clear();
        }
        let entries = Arc::new(fresh::read_contacts(page, &self.pages)?);
        cache.insert(page, Arc::clone(&entries));
        Ok(entries)
    }
}

fn decode_events(
    mut bytes: &[u8],
    wanted: impl Fn(Option<ContactId>) -> bool,
) -> Option<Vec<(u64, Entry)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let seq = u64::get(&mut bytes).ok()?;
        let entry = record::decode(&mut bytes).ok()?;
        if wanted(entry.what.contact()) {
            found.push((seq, entry));
        }
    }
    Some(found)
}

fn as_contact(entry: &Entry) -> Option<Contact> {
    let What::Imported { contact, address, company, kind, rank, import, card, .. } = &entry.what
    else {
        return None;
    };
    Some(Contact {
        id: *contact,
        address: Address::stored(address)?,
        company: *company,
        kind: *kind,
        rank: *rank,
        created: entry.at,
        import: *import,
        card: card.clone(),
    })
}

type Remembered = (Pages, State, Vec<Watched>, u64);

/// Opens the memory and loads what it holds; an empty one holds nothing up to sequence 0.
fn remember(dir: &Path, id: [u8; 16], leaves: &[Leaf]) -> Result<Remembered, PagesError> {
    let pages = Pages::open(&dir.join("sled"), id, SLED_CACHE_BYTES)?;
    let applied = pages.applied()?;
    if applied == 0 {
        return Ok((pages, State::default(), Vec::new(), 0));
    }
    let state = load::load(&pages)?;
    let kept = pages.get(b"L")?.unwrap_or_default();
    let kept = Vec::<u64>::get(&mut kept.as_slice()).unwrap_or_default();
    let mut watched = Vec::new();
    for leaf in leaves {
        let hash = hash_of(leaf);
        if kept.contains(&hash) {
            let set = load::leaf(&pages, hash)?;
            watched.push(Watched { hash, leaf: leaf.clone(), set });
        }
    }
    Ok((pages, state, watched, applied))
}

fn hash_of(leaf: &Leaf) -> u64 {
    xxhash_rust::xxh3::xxh3_64(leaf.key().as_bytes())
}
