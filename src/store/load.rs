//! Reads the state back from the memory, at a start.

use crate::book::contact::{CompanyNo, ContactId, Day, Kind};
use crate::book::set::ContactSet;
use crate::book::tag::TagId;
use crate::feedback::entry::Entry;
use crate::store::columns::{CompanyRow, ContactRow, Hash96};
use crate::store::fresh::{
    BY_DOMAIN, FIRMS_PER_CHUNK, LABELS, LASTS_PER_CHUNK, ROWS_PER_CHUNK, SHADOWS, SUPPRESSED,
    WAITING,
};
use crate::store::names;
use crate::store::pages::{Pages, PagesError};
use crate::store::record::{self, Field};
use crate::store::snapshot;
use crate::store::state::State;

/// The state that the memory holds.
///
/// # Errors
/// When sled cannot read or anything is damaged: rebuild from the journal.
pub fn load(pages: &Pages) -> Result<State, PagesError> {
    let mut state = State::default();
    let small = pages.get(b"s")?.ok_or_else(|| PagesError::Damaged("s".to_owned()))?;
    snapshot::load(&small, &mut state).map_err(|_| PagesError::Damaged("s".to_owned()))?;
    pages.scan(b"k", 5, |name, bytes| {
        companies(name, &bytes, &mut state).ok_or_else(|| bad(name))
    })?;
    pages
        .scan(b"f", 5, |name, bytes| contacts(name, &bytes, &mut state).ok_or_else(|| bad(name)))?;
    pages.scan(b"g", 5, |name, bytes| lasts(name, &bytes, &mut state).ok_or_else(|| bad(name)))?;
    pages.scan(b"b", 7, |name, bytes| set(name, &bytes, &mut state).ok_or_else(|| bad(name)))?;
    pages.scan(b"q", 9, |name, bytes| tagged(name, &bytes, &mut state).ok_or_else(|| bad(name)))?;
    pages.scan(b"r", 5, |name, bytes| round(name, &bytes, &mut state).ok_or_else(|| bad(name)))?;
    pages.scan(b"a", 4, |name, bytes| act(name, &bytes, &mut state).ok_or_else(|| bad(name)))?;
    Ok(state)
}

/// The set of an address pattern, when the memory keeps one under this hash.
///
/// # Errors
/// When sled cannot read or a chunk is damaged.
pub fn leaf(pages: &Pages, hash: u64) -> Result<ContactSet, PagesError> {
    let mut prefix = vec![b'l'];
    prefix.extend_from_slice(&hash.to_be_bytes());
    let mut whole = ContactSet::new();
    pages.scan(&prefix, 13, |name, bytes| {
        whole.add(&ContactSet::from_bytes(&bytes).ok_or_else(|| bad(name))?);
        Ok::<(), PagesError>(())
    })?;
    Ok(whole)
}

fn bad(name: &[u8]) -> PagesError {
    PagesError::Damaged(String::from_utf8_lossy(name).escape_default().to_string())
}

fn number(name: &[u8], at: usize) -> Option<u32> {
    name.get(at..)?.first_chunk::<4>().copied().map(u32::from_be_bytes)
}

fn short(name: &[u8], at: usize) -> Option<u16> {
    name.get(at..)?.first_chunk::<2>().copied().map(u16::from_be_bytes)
}

/// Rows have no numbers of their own: a chunk must begin where the one before ended.
fn follows(name: &[u8], size: u32, so_far: u32) -> Option<()> {
    (number(name, 1)?.checked_mul(size)? == so_far).then_some(())
}

fn companies(name: &[u8], bytes: &[u8], state: &mut State) -> Option<()> {
    follows(name, FIRMS_PER_CHUNK, state.companies.len())?;
    let (rows, rest) = bytes.as_chunks::<20>();
    for row in rows {
        let hash = hash(row)?;
        let ranks = [number(row, 12)?, number(row, 16)?];
        state.companies.push(CompanyRow { hash, ranks });
    }
    rest.is_empty().then_some(())
}

fn contacts(name: &[u8], bytes: &[u8], state: &mut State) -> Option<()> {
    follows(name, ROWS_PER_CHUNK, state.contacts.len())?;
    let (rows, rest) = bytes.as_chunks::<23>();
    for row in rows {
        let row = ContactRow {
            hash: hash(row)?,
            company: CompanyNo(number(row, 12)?),
            rank: number(row, 16)?,
            created: Day(short(row, 20)?),
            kind: Kind::get(&mut row.get(22..)?).ok()?,
        };
        state.contacts.push(row, &mut state.companies);
        state.acts.push();
    }
    rest.is_empty().then_some(())
}

fn hash(row: &[u8]) -> Option<Hash96> {
    let high = row.first_chunk::<8>().copied().map(u64::from_be_bytes)?;
    Some(Hash96 { high, low: number(row, 8)? })
}

fn lasts(name: &[u8], bytes: &[u8], state: &mut State) -> Option<()> {
    let first = number(name, 1)?.checked_mul(LASTS_PER_CHUNK)?;
    let (rows, rest) = bytes.as_chunks::<16>();
    for (id, row) in (first..).map(ContactId).zip(rows) {
        state.contacts.set_last(id, short(row, 0)?, short(row, 2)?);
        let lasts = [short(row, 4)?, short(row, 6)?, short(row, 8)?, short(row, 10)?];
        state.acts.set_row(id, (lasts, *row.last_chunk()?));
    }
    rest.is_empty().then_some(())
}

fn set(name: &[u8], bytes: &[u8], state: &mut State) -> Option<()> {
    let chunk = ContactSet::from_bytes(bytes)?;
    let whole = match short(name, 1)? {
        SUPPRESSED => &mut state.suppressed,
        BY_DOMAIN => &mut state.by_domain,
        SHADOWS => &mut state.shadows,
        WAITING => &mut state.waiting,
        label if label >= LABELS => &mut state.labels.get_mut(usize::from(label - LABELS))?.members,
        tag => state.members.get_mut(usize::from(tag))?,
    };
    whole.add(&chunk);
    Some(())
}

fn act(name: &[u8], bytes: &[u8], state: &mut State) -> Option<()> {
    let act = names::act_of(*name.get(3)?)?;
    state.acts.put_day(act, Day(short(name, 1)?), ContactSet::from_bytes(bytes)?);
    Some(())
}

/// Who was tagged on one of the last days.
fn tagged(name: &[u8], bytes: &[u8], state: &mut State) -> Option<()> {
    let (day, tag) = (Day(short(name, 1)?), TagId(short(name, 3)?));
    let chunk = ContactSet::from_bytes(bytes)?;
    state.recent.entry(day).or_default().entry(tag).or_default().add(&chunk);
    Some(())
}

fn round(name: &[u8], bytes: &[u8], state: &mut State) -> Option<()> {
    let key = (Day(short(name, 1)?), TagId(short(name, 3)?));
    state.rounds.insert(key, snapshot::load_round(bytes).ok()?);
    Some(())
}

/// Events one after the other, with their sequences; those of contacts that are wanted.
#[must_use]
pub fn events(
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
