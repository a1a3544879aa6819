//! What is kept in memory of every contact and company: a few dozen bytes each, in columns.
//!
//! Addresses and company keys themselves stay on disk; memory knows them by a 96-bit hash (at ten
//! million of them the chance of any two colliding is below 1e-15), so that a million contacts fit
//! in some tens of megabytes.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_128;

use crate::book::contact::{CompanyNo, ContactId, Day, Kind};

/// 96 bits of an address key or company key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash96 {
    /// The part that finds the slot.
    pub high: u64,
    /// The part that settles it.
    pub low: u32,
}

impl Hash96 {
    /// The hash of a key (an address in lower case, or a company key).
    #[must_use]
    pub fn of(key: &str) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = xxh3_128(key.as_bytes()).to_be_bytes();
        Self {
            high: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            low: u32::from_be_bytes([i, j, k, l]),
        }
    }
}

/// Numbers for keys: dense, in order of first appearance.
#[derive(Debug, Default)]
struct Numbered {
    /// The hashes, their parts apart: together they would be padded to 16 bytes.
    high: Vec<u64>,
    low: Vec<u32>,
    index: HashTable<u32>,
}

/// The index follows from the hashes.
impl PartialEq for Numbered {
    fn eq(&self, other: &Self) -> bool {
        (&self.high, &self.low) == (&other.high, &other.low)
    }
}

impl Numbered {
    /// Makes room for `count` in all, and no more than that.
    fn reserve(&mut self, count: usize) {
        let more = count.saturating_sub(self.high.len());
        self.high.reserve_exact(more);
        self.low.reserve_exact(more);
        let high = &self.high;
        self.index.reserve(more, |n| high.get(*n as usize).copied().unwrap_or(0));
    }

    fn find(&self, hash: Hash96) -> Option<u32> {
        let is = |n: &u32| self.hash(*n) == Some(hash);
        self.index.find(hash.high, is).copied()
    }

    /// Gives the next number to `hash`.
    fn push(&mut self, hash: Hash96) -> u32 {
        let number = u32::try_from(self.high.len()).expect("fewer than 2^32 contacts");
        self.high.push(hash.high);
        self.low.push(hash.low);
        let high = &self.high;
        let rehash = |n: &u32| high.get(*n as usize).copied().unwrap_or(0);
        self.index.insert_unique(hash.high, number, rehash);
        number
    }

    fn hash(&self, number: u32) -> Option<Hash96> {
        let at = number as usize;
        Some(Hash96 { high: *self.high.get(at)?, low: *self.low.get(at)? })
    }

    fn len(&self) -> u32 {
        u32::try_from(self.high.len()).unwrap_or(u32::MAX)
    }
}

/// "Nobody": the end of a chain of contacts.
const NOBODY: u32 = u32::MAX;

/// The fixed facts of a contact, as one chunk row holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactRow {
    /// Hash of its address key.
    pub hash: Hash96,
    /// Its company.
    pub company: CompanyNo,
    /// Its rank within (company, kind); 0 for an address known only by its suppression.
    pub rank: u32,
    /// The day it was first seen.
    pub created: Day,
    /// 精准 or 普通.
    pub kind: Kind,
}

/// The columns of all contacts.
#[derive(Debug, Default, PartialEq)]
pub struct Contacts {
    keys: Numbered,
    /// Company number by contact.
    pub company: Vec<u32>,
    /// Rank by contact.
    pub rank: Vec<u32>,
    created: Vec<u16>,
    kind: Vec<Kind>,
    /// Last day accepted or unknown, by contact; 0 is never.
    pub last: Vec<u16>,
    /// The same for letters of marketing batches.
    pub last_silent: Vec<u16>,
    /// The next older contact of the same company.
    sibling: Vec<u32>,
}

impl Contacts {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for `count` contacts in all, and no more than that.
    pub fn reserve(&mut self, count: u32) {
        let more = count.saturating_sub(self.len()) as usize;
        self.keys.reserve(count as usize);
        self.company.reserve_exact(more);
        self.rank.reserve_exact(more);
        self.created.reserve_exact(more);
        self.kind.reserve_exact(more);
        self.last.reserve_exact(more);
        self.last_silent.reserve_exact(more);
        self.sibling.reserve_exact(more);
    }

    /// Whoever has this address hash.
    #[must_use]
    pub fn find(&self, hash: Hash96) -> Option<ContactId> {
        self.keys.find(hash).map(ContactId)
    }

    /// The fixed facts of a contact.
    #[must_use]
    pub fn row(&self, id: ContactId) -> Option<ContactRow> {
        let at = id.0 as usize;
        Some(ContactRow {
            hash: self.keys.hash(id.0)?,
            company: CompanyNo(*self.company.get(at)?),
            rank: *self.rank.get(at)?,
            created: Day(*self.created.get(at)?),
            kind: *self.kind.get(at)?,
        })
    }

    /// Last day written to: accepted or unknown.
    #[must_use]
    pub fn last_day(&self, id: ContactId) -> Option<Day> {
        self.last.get(id.0 as usize).filter(|day| **day > 0).map(|day| Day(*day))
    }

    /// Notes that a letter of `day` was accepted, or may have been.
    pub fn wrote(&mut self, id: ContactId, day: Day, silent: bool) {
        let at = id.0 as usize;
        if let Some(last) = self.last.get_mut(at) {
            *last = day.0.max(*last);
        }
        if let Some(last) = self.last_silent.get_mut(at).filter(|_| silent) {
            *last = day.0.max(*last);
        }
    }

    /// Sets the two moving facts (when they are read back from disk).
    pub fn set_last(&mut self, id: ContactId, last: u16, last_silent: u16) {
        let at = id.0 as usize;
        if let (Some(a), Some(b)) = (self.last.get_mut(at), self.last_silent.get_mut(at)) {
            (*a, *b) = (last, last_silent);
        }
    }

    /// The two moving facts.
    #[must_use]
    pub fn lasts(&self, id: ContactId) -> (u16, u16) {
        let at = id.0 as usize;
        let read = |column: &[u16]| column.get(at).copied().unwrap_or(0);
        (read(&self.last), read(&self.last_silent))
    }

    /// Adds a contact with the next number, before its siblings in `companies`.
    pub fn push(&mut self, row: ContactRow, companies: &mut Companies) -> ContactId {
        let id = self.keys.push(row.hash);
        self.company.push(row.company.0);
        self.rank.push(row.rank);
        self.created.push(row.created.0);
        self.kind.push(row.kind);
        self.last.push(0);
        self.last_silent.push(0);
        self.sibling.push(companies.lead(row.company, id));
        ContactId(id)
    }

    /// Gives a rank to an address that was known only by its suppression.
    pub fn adopt(&mut self, id: ContactId, rank: u32, kind: Kind, created: Day) {
        let at = id.0 as usize;
        let cells = (self.rank.get_mut(at), self.kind.get_mut(at), self.created.get_mut(at));
        if let (Some(a), Some(b), Some(c)) = cells {
            (*a, *b, *c) = (rank, kind, created.0);
        }
    }

    /// Everybody of a company, newest first.
    pub fn of_company<'a>(
        &'a self,
        company: CompanyNo,
        companies: &Companies,
    ) -> impl Iterator<Item = ContactId> + 'a {
        let first = companies.newest(company);
        std::iter::successors(first, |id| {
            self.sibling.get(*id as usize).copied().filter(|next| *next != NOBODY)
        })
        .map(ContactId)
    }
}

/// The facts of a company, as one chunk row holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompanyRow {
    /// Hash of its key.
    pub hash: Hash96,
    /// Highest rank given so far: 精准, 普通.
    pub ranks: [u32; 2],
}

/// The columns of all companies.
#[derive(Debug, Default, PartialEq)]
pub struct Companies {
    keys: Numbered,
    ranks: Vec<[u32; 2]>,
    newest: Vec<u32>,
}

impl Companies {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for `count` companies in all, and no more than that.
    pub fn reserve(&mut self, count: u32) {
        let more = count.saturating_sub(self.len()) as usize;
        self.keys.reserve(count as usize);
        self.ranks.reserve_exact(more);
        self.newest.reserve_exact(more);
    }

    /// The company with this key's hash.
    #[must_use]
    pub fn find(&self, hash: Hash96) -> Option<CompanyNo> {
        self.keys.find(hash).map(CompanyNo)
    }

    /// Adds a company with the next number.
    pub fn push(&mut self, row: CompanyRow) -> CompanyNo {
        self.ranks.push(row.ranks);
        self.newest.push(NOBODY);
        CompanyNo(self.keys.push(row.hash))
    }

    /// The facts of a company.
    #[must_use]
    pub fn row(&self, no: CompanyNo) -> Option<CompanyRow> {
        let at = no.0 as usize;
        Some(CompanyRow { hash: self.keys.hash(no.0)?, ranks: *self.ranks.get(at)? })
    }

    /// Highest rank given so far in (company, kind); 0 when none.
    #[must_use]
    pub fn top_rank(&self, no: CompanyNo, kind: Kind) -> u32 {
        let [precise, ordinary] = self.ranks.get(no.0 as usize).copied().unwrap_or_default();
        match kind {
            Kind::Precise => precise,
            Kind::Ordinary => ordinary,
        }
    }

    /// Notes that `rank` was given.
    pub fn give_rank(&mut self, no: CompanyNo, kind: Kind, rank: u32) {
        let Some([precise, ordinary]) = self.ranks.get_mut(no.0 as usize) else { return };
        let top = match kind {
            Kind::Precise => precise,
            Kind::Ordinary => ordinary,
        };
        *top = rank.max(*top);
    }

    /// Makes `contact` the newest of its company and says who was.
    fn lead(&mut self, company: CompanyNo, contact: u32) -> u32 {
        self.newest
            .get_mut(company.0 as usize)
            .map_or(NOBODY, |newest| std::mem::replace(newest, contact))
    }

    fn newest(&self, company: CompanyNo) -> Option<u32> {
        self.newest.get(company.0 as usize).copied().filter(|id| *id != NOBODY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_found_by_address_and_by_company() {
        let (mut contacts, mut companies) = (Contacts::default(), Companies::default());
        let acme = companies.push(CompanyRow { hash: Hash96::of("acme.example"), ranks: [0, 0] });
        let row = |key: &str| ContactRow {
            hash: Hash96::of(key),
            company: acme,
            rank: 1,
            created: Day(20_000),
            kind: Kind::Precise,
        };
        for n in 0..1000 {
            let id = contacts.push(row(&format!("p{n}@acme.example")), &mut companies);
            assert_eq!(id, ContactId(n));
        }
        for n in 0..1000 {
            let key = format!("p{n}@acme.example");
            assert_eq!(contacts.find(Hash96::of(&key)), Some(ContactId(n)));
        }
        assert_eq!(contacts.find(Hash96::of("nobody@acme.example")), None);
        assert_eq!(companies.find(Hash96::of("acme.example")), Some(acme));
        assert_eq!(contacts.of_company(acme, &companies).count(), 1000);
        assert_eq!(contacts.of_company(acme, &companies).next(), Some(ContactId(999)));
    }
}
