//! The leaves that views are made of, and who matches each of them.

use crate::book::contact::{Card, ContactId};
use crate::book::leaf::Leaf;
use crate::book::set::ContactSet;
use crate::store::load;
use crate::store::pages::{Pages, PagesError};
use crate::store::record::Field;

/// One leaf and who matches it.
#[derive(Debug)]
struct Watched {
    hash: u64,
    leaf: Leaf,
    set: ContactSet,
}

/// All leaves that are watched.
#[derive(Debug, Default)]
pub struct Watch {
    list: Vec<Watched>,
}

impl Watch {
    /// Those of `leaves` that the memory keeps.
    ///
    /// # Errors
    /// When sled cannot read or a chunk is damaged.
    pub fn recall(pages: &Pages, leaves: &[Leaf]) -> Result<Self, PagesError> {
        let kept = pages.get(b"L")?.unwrap_or_default();
        let kept = Vec::<u64>::get(&mut kept.as_slice()).unwrap_or_default();
        let mut list = Vec::new();
        for leaf in leaves {
            let hash = hash_of(leaf);
            if kept.contains(&hash) {
                let set = load::leaf(pages, hash)?;
                list.push(Watched { hash, leaf: leaf.clone(), set });
            }
        }
        Ok(Self { list })
    }

    /// The hashes of all leaves, as [`Self::recall`] asks for them.
    #[must_use]
    pub fn hashes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.list.iter().map(|watched| watched.hash).collect::<Vec<_>>().put(&mut bytes);
        bytes
    }

    /// Hash and set of every leaf, in order.
    #[must_use]
    pub fn sets(&self) -> Vec<(u64, &ContactSet)> {
        self.list.iter().map(|watched| (watched.hash, &watched.set)).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether any of them looks at columns.
    #[must_use]
    pub fn reads_cards(&self) -> bool {
        self.list.iter().any(|watched| watched.leaf.reads_card())
    }

    /// Puts a contact into the sets of the leaves it matches, and out of the others; answers the
    /// numbers of the leaves whose set changed.
    pub fn judge(&mut self, contact: ContactId, key: &str, card: &Card) -> Vec<usize> {
        let mut changed = Vec::new();
        for (number, watched) in self.list.iter_mut().enumerate() {
            let moved = match watched.leaf.matches(key, card) {
                true => watched.set.insert(contact),
                false => watched.set.remove(contact),
            };
            changed.extend(moved.then_some(number));
        }
        changed
    }

    /// Those of `leaves` that are not watched yet.
    #[must_use]
    pub fn unknown(&self, leaves: &[Leaf]) -> Vec<Leaf> {
        let known = |leaf: &Leaf| self.list.iter().any(|watched| watched.leaf == *leaf);
        leaves.iter().filter(|leaf| !known(leaf)).cloned().collect()
    }

    /// Watches `leaves` and no others from now on; `found` are the sets of those that were unknown,
    /// in order. True when anything changed.
    pub fn replace(&mut self, leaves: Vec<Leaf>, found: Vec<ContactSet>) -> bool {
        let changed = !found.is_empty() || leaves.len() != self.list.len();
        let mut old = std::mem::take(&mut self.list);
        let mut found = found.into_iter();
        for leaf in leaves {
            if let Some(at) = old.iter().position(|watched| watched.leaf == leaf) {
                self.list.push(old.swap_remove(at));
            } else if let Some(set) = found.next() {
                self.list.push(Watched { hash: hash_of(&leaf), leaf, set });
            }
        }
        changed
    }

    /// Who matches a leaf, by its key.
    #[must_use]
    pub fn leaf(&self, key: &str) -> Option<&ContactSet> {
        self.list.iter().find(|watched| watched.leaf.key() == key).map(|watched| &watched.set)
    }
}

fn hash_of(leaf: &Leaf) -> u64 {
    xxhash_rust::xxh3::xxh3_64(leaf.key().as_bytes())
}
