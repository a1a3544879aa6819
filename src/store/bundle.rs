//! One page of contacts that changed, as the entries that made them.
//!
//! An import fills page after page and looks into none of them: their records stay packed, ready to
//! be written. Only a page that is corrected is taken apart.

use std::borrow::Cow;

use crate::book::address::Address;
use crate::book::contact::Contact;
use crate::feedback::entry::{Entry, What};
use crate::store::record;

/// What an entry that is taken apart is taken to need.
pub const LOOSE_BYTES: usize = 500;

/// A page of contacts, in id order.
#[derive(Debug)]
pub enum Bundle {
    /// Records one after the other, and how many.
    Packed(usize, Vec<u8>),
    /// Entries that may be changed.
    Loose(Vec<Entry>),
}

impl Bundle {
    /// A page as it was kept: to be changed, or, when it is empty, to be filled.
    #[must_use]
    pub fn of(entries: Vec<Entry>) -> Self {
        if entries.is_empty() { Self::Packed(0, Vec::new()) } else { Self::Loose(entries) }
    }

    /// Puts an entry into its slot: the next one, or one that is taken. Returns the bytes it took,
    /// roughly.
    pub fn put(&mut self, slot: usize, entry: &Entry) -> usize {
        match self {
            Self::Packed(count, bytes) if slot >= *count => {
                let before = bytes.len();
                record::encode(entry, bytes);
                *count += 1;
                bytes.len() - before
            }
            _ => {
                let entries = self.loosen();
                match entries.get_mut(slot) {
                    Some(old) => old.clone_from(entry),
                    None => entries.push(entry.clone()),
                }
                LOOSE_BYTES
            }
        }
    }

    /// The entry of a slot, to be changed.
    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Entry> {
        self.loosen().get_mut(slot)
    }

    /// The entry of a slot.
    #[must_use]
    pub fn get(&self, slot: usize) -> Option<Entry> {
        match self {
            Self::Packed(_, bytes) => entry_at(bytes, slot),
            Self::Loose(entries) => entries.get(slot).cloned(),
        }
    }

    /// All entries.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        match self {
            Self::Packed(_, bytes) => unpacked(bytes).collect(),
            Self::Loose(entries) => entries.clone(),
        }
    }

    /// Their records, one after the other.
    #[must_use]
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Packed(_, bytes) => Cow::Borrowed(bytes),
            Self::Loose(entries) => {
                let mut bytes = Vec::new();
                entries.iter().for_each(|entry| record::encode(entry, &mut bytes));
                Cow::Owned(bytes)
            }
        }
    }

    fn loosen(&mut self) -> &mut Vec<Entry> {
        if let Self::Packed(..) = self {
            *self = Self::Loose(self.entries());
        }
        match self {
            Self::Loose(entries) => entries,
            Self::Packed(..) => unreachable!("it was taken apart above"),
        }
    }
}

/// The entry of the record in a slot; the ones before it are only passed over.
#[must_use]
pub fn entry_at(mut bytes: &[u8], slot: usize) -> Option<Entry> {
    for _ in 0..slot {
        bytes = record::skip(bytes)?;
    }
    record::decode(&mut bytes).ok()
}

/// The entries of records that this very process packed.
fn unpacked(mut bytes: &[u8]) -> impl Iterator<Item = Entry> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        Some(record::decode(&mut bytes).expect("the record was encoded in memory"))
    })
}

/// The contact that an entry made.
#[must_use]
pub fn contact(entry: &Entry) -> Option<Contact> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::contact::{Card, CompanyNo, ContactId, Day, Kind, Moment};

    fn entry(id: u32, name: &str) -> Entry {
        let what = What::Imported {
            contact: ContactId(id),
            address: format!("p{id}@acme.example"),
            company: CompanyNo(0),
            company_key: None,
            kind: Kind::Precise,
            rank: 1,
            day: Day(20_000),
            import: 1,
            tags: Vec::new(),
            card: Card { name: name.to_owned(), ..Card::default() },
        };
        Entry { at: Moment(7), what }
    }

    #[test]
    fn packed_or_loose_a_page_reads_the_same() {
        let (mut packed, mut loose) = (Bundle::of(Vec::new()), Bundle::of(vec![entry(0, "a")]));
        packed.put(0, &entry(0, "a"));
        for bundle in [&mut packed, &mut loose] {
            bundle.put(1, &entry(1, "b"));
            bundle.put(2, &entry(2, "c"));
        }
        assert!(matches!(packed, Bundle::Packed(3, _)) && matches!(loose, Bundle::Loose(_)));
        assert_eq!(packed.bytes(), loose.bytes());
        assert_eq!(packed.entries(), loose.entries());
        assert_eq!((packed.get(0), packed.get(2)), (Some(entry(0, "a")), Some(entry(2, "c"))));
        assert_eq!((packed.get(3), loose.get(3)), (None, None));
        packed.put(1, &entry(1, "x"));
        *loose.get_mut(1).unwrap() = entry(1, "x");
        assert_eq!(packed.get(1), Some(entry(1, "x")));
        assert_eq!(packed.bytes(), loose.bytes());
    }
}
