//! The store: journal, memory and state as one. Synchronous; one thread owns it.
//!
//! A change is an [`Entry`]: [`Store::record`] gives it a sequence and folds it in, and
//! [`Store::commit`] makes everything recorded since the last commit durable with one write and one
//! sync. Only then may anybody be answered.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, hash_map};
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::book::contact::{Card, CompanyNo, Contact, ContactId, Moment};
use crate::book::leaf::Leaf;
use crate::book::set::ContactSet;
use crate::feedback::entry::{Entry, What};
use crate::store::bundle;
use crate::store::fresh::{CONTACTS_PER_PAGE, Fresh, NAMES_PER_PAGE, SET_CHUNK};
use crate::store::journal::{Journal, Reader, TornTail};
use crate::store::load;
use crate::store::pages::{Pages, PagesError};
use crate::store::site::{self, StoreError};
use crate::store::state::{State, stored_key};
use crate::store::watch::Watch;
use crate::store::writer::Writer;

/// sled's own cache; the pages that are asked for again and again are few.
const SLED_CACHE_BYTES: u64 = 4 << 20;
/// The memory is written when this much of it is fresh: bounds both RAM and the replay at a start.
const FRESH_BYTES_MAX: usize = 8 << 20;
/// And at the latest after so many entries.
const FRESH_ENTRIES_MAX: u64 = 200_000;
/// Pages of contacts kept at hand.
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

/// An open store.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    journal: Journal,
    pub(crate) writer: Writer,
    pub(crate) state: State,
    pub(crate) fresh: Fresh,
    watched: Watch,
    /// Pages of contacts that were asked about lately.
    cache: RefCell<HashMap<u32, Vec<u8>>>,
    dirty: bool,
    /// What failed: from then on nothing is taken and nothing is committed.
    failed: OnceCell<String>,
    _lock: File,
}

impl Store {
    /// Makes a new, empty store, and has it furnished with what else belongs to one. It counts as
    /// made from its identity on, which comes last: killed before, it can be made again.
    ///
    /// # Errors
    /// When there is one already, or the directory cannot be written.
    pub fn init(
        dir: &Path,
        now: Moment,
        id: [u8; 16],
        furnish: impl FnOnce() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        site::make_dir(dir).map_err(|error| site::at(dir, error))?;
        let _lock = site::lock(dir)?;
        site::clear_beginnings(dir)?;
        let mut journal = Journal::create(&dir.join("journal"), id)?;
        journal.push(&Entry { at: now, what: What::StoreCreated { store: id } });
        journal.commit()?;
        furnish()?;
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
        // No memory is touched for a journal that is not there or not ours.
        Reader::open(&dir.join("journal"))?;
        let lost = !dir.join("sled").exists();
        let (known, remembered) = match site::condemned(dir) {
            Some(why) => (0, Err(why)),
            None => remember(dir, id, &leaves),
        };
        let (journal, opened) = Journal::open(&dir.join("journal"), known)?;
        if journal.store() != id {
            let why = "names another store than the segments in journal".to_owned();
            return Err(StoreError::Foreign { path: dir.join("store-id"), why });
        }
        opening.torn = opened.torn;
        if lost && opened.last > 1 {
            opening.rebuilt = Some("sled is not there".to_owned());
        }
        let Remembered { pages, state, watched, applied } = match remembered {
            Ok(remembered) => remembered,
            Err(why) => {
                opening.rebuilt = Some(why);
                site::set_aside(dir)?;
                let pages = Pages::open(&dir.join("sled"), id, SLED_CACHE_BYTES)?;
                Remembered::nothing(pages)
            }
        };
        let mut store = Self {
            dir: dir.to_owned(),
            journal,
            writer: Writer::new(pages),
            state,
            fresh: Fresh::default(),
            watched,
            cache: RefCell::default(),
            dirty: false,
            failed: OnceCell::new(),
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
        self.is_sound()?;
        let entry = Entry { at, what };
        let seq = self.journal.push(&entry);
        self.dirty = true;
        let folded = self.fold(seq, &entry);
        self.noted(folded)?;
        Ok(seq)
    }

    /// # Errors
    /// What failed before.
    fn is_sound(&self) -> Result<(), StoreError> {
        let failed = |why: &String| StoreError::Failed { dir: self.dir.clone(), why: why.clone() };
        self.failed.get().map_or(Ok(()), |why| Err(failed(why)))
    }

    /// Notes a failure: what is in memory is no longer what the journal says, or not to be read.
    pub(crate) fn noted<T>(
        &self,
        result: Result<T, impl Into<StoreError>>,
    ) -> Result<T, StoreError> {
        result.map_err(|error| {
            let error = error.into();
            if let StoreError::Pages(why) = &error
                && why.is_damage()
            {
                site::condemn(&self.dir, why);
            }
            // Only the first failure says why.
            let _ = self.failed.set(error.to_string());
            error
        })
    }

    /// Whether the memory was found damaged while it was used: opened again, it is rebuilt.
    #[must_use]
    pub fn is_condemned(&self) -> bool {
        self.failed.get().is_some() && site::condemned(&self.dir).is_some()
    }

    /// Makes everything recorded durable. After an error the store must not be used any more.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        self.is_sound()?;
        if !self.dirty {
            return Ok(());
        }
        let committed = self.journal.commit();
        let seq = self.noted(committed)?;
        self.dirty = false;
        let written = self.writer.look();
        self.noted(written)?;
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
        let flushed = self.writer.flush();
        self.noted(flushed)
    }

    fn is_full(&self) -> bool {
        self.fresh.bytes >= FRESH_BYTES_MAX || self.fresh.entries >= FRESH_ENTRIES_MAX
    }

    fn settle_to(&mut self, seq: u64) -> Result<(), StoreError> {
        let mut blobs = self.fresh.of_state(&self.state, &self.watched.sets());
        blobs.push((b"L".to_vec(), self.watched.hashes()));
        let mut cache = self.cache.borrow_mut();
        for page in self.fresh.contacts.keys() {
            cache.remove(page);
        }
        Ok(self.writer.begin(std::mem::take(&mut self.fresh), blobs, seq)?)
    }

    fn fold(&mut self, seq: u64, entry: &Entry) -> Result<(), StoreError> {
        self.fresh.foresee(entry, &self.state);
        self.state.apply(entry);
        self.fresh.note(seq, entry, self.writer.kept())?;
        match &entry.what {
            What::Imported { contact, address, card, .. } => {
                self.judge(*contact, &stored_key(address), card);
            }
            What::Updated { contact, card, .. } if self.watched.reads_cards() => {
                let Some(held) = self.contact(*contact)? else { return Ok(()) };
                self.judge(*contact, &held.address.key(), card);
            }
            _ => {}
        }
        Ok(())
    }

    fn judge(&mut self, contact: ContactId, key: &str, card: &Card) {
        for number in self.watched.judge(contact, key, card) {
            self.fresh.leaves.insert((number, contact.0 / SET_CHUNK));
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
        // Searched before anything changes: a leaf without its set would exclude nobody.
        let found = self.search(&self.watched.unknown(&leaves))?;
        if !self.watched.replace(leaves, found) {
            return Ok(());
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
        self.watched.leaf(key)
    }

    /// One contact.
    ///
    /// # Errors
    /// When its page cannot be read.
    pub fn contact(&self, id: ContactId) -> Result<Option<Contact>, StoreError> {
        Ok(self.first(id)?.as_ref().and_then(bundle::contact))
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
        Ok(self.noted(self.writer.kept().name(page, slot))?.unwrap_or_default())
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
                Some(bundle) => bundle.entries(),
                None => self.noted(self.writer.kept().contacts(page))?,
            };
            for entry in entries {
                if let What::Imported { contact, address, card, .. } = &entry.what {
                    each(*contact, address, card);
                }
            }
        }
        Ok(())
    }

    /// The entry that made a contact.
    pub(crate) fn first(&self, id: ContactId) -> Result<Option<Entry>, StoreError> {
        if id.0 >= self.state.contacts.len() {
            return Ok(None);
        }
        let page = id.0 / CONTACTS_PER_PAGE;
        let slot = (id.0 % CONTACTS_PER_PAGE) as usize;
        if let Some(bundle) = self.fresh.contacts.get(&page) {
            return Ok(bundle.get(slot));
        }
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= CACHED_PAGES_MAX && !cache.contains_key(&page) {
            cache.clear();
        }
        let records = match cache.entry(page) {
            hash_map::Entry::Occupied(held) => held.into_mut(),
            hash_map::Entry::Vacant(free) => {
                free.insert(self.noted(self.writer.kept().records(page))?)
            }
        };
        let damaged = || PagesError::Damaged(format!("contacts {page}"));
        self.noted(bundle::entry_at(records, slot).ok_or_else(damaged)).map(Some)
    }
}

/// The memory, and what is loaded from it.
struct Remembered {
    pages: Pages,
    state: State,
    watched: Watch,
    applied: u64,
}

impl Remembered {
    fn nothing(pages: Pages) -> Self {
        Self { pages, state: State::default(), watched: Watch::default(), applied: 0 }
    }
}

/// Opens the memory and loads what it holds, or says why it must be rebuilt; and up to which entry
/// it knows the journal as committed, damaged or not.
fn remember(dir: &Path, id: [u8; 16], leaves: &[Leaf]) -> (u64, Result<Remembered, String>) {
    let opened = Pages::open(&dir.join("sled"), id, SLED_CACHE_BYTES)
        .and_then(|pages| Ok((pages.applied()?, pages)));
    match opened {
        Err(why) => (0, Err(why.to_string())),
        Ok((0, pages)) => (0, Ok(Remembered::nothing(pages))),
        Ok((applied, pages)) => {
            let loaded = recall(pages, applied, leaves).map_err(|why| why.to_string());
            (applied, loaded)
        }
    }
}

fn recall(pages: Pages, applied: u64, leaves: &[Leaf]) -> Result<Remembered, PagesError> {
    let state = load::load(&pages)?;
    let watched = Watch::recall(&pages, leaves)?;
    Ok(Remembered { pages, state, watched, applied })
}
