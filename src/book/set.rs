//! Sets of contacts as compressed bitmaps: the only set algebra in the crate.

use roaring::RoaringBitmap;

use crate::book::contact::ContactId;

/// A set of contacts. Iterates in id order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContactSet(RoaringBitmap);

impl ContactSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All contacts with an id below `count`.
    #[must_use]
    pub fn all(count: u32) -> Self {
        let mut bits = RoaringBitmap::new();
        bits.insert_range(0..count);
        Self(bits)
    }

    /// Adds one contact; true if it was not there.
    pub fn insert(&mut self, id: ContactId) -> bool {
        self.0.insert(id.0)
    }

    /// Takes one contact out; true if it was there.
    pub fn remove(&mut self, id: ContactId) -> bool {
        self.0.remove(id.0)
    }

    /// Whether the contact is in the set.
    #[must_use]
    pub fn contains(&self, id: ContactId) -> bool {
        self.0.contains(id.0)
    }

    /// How many contacts.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether nobody is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everybody in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self(&self.0 | &other.0)
    }

    /// Everybody in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(&self.0 & &other.0)
    }

    /// Everybody here who is not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    /// Adds everybody of `other`.
    pub fn add(&mut self, other: &Self) {
        self.0 |= &other.0;
    }

    /// Takes everybody of `other` out.
    pub fn subtract(&mut self, other: &Self) {
        self.0 -= &other.0;
    }

    /// Keeps only who is in `other` too.
    pub fn keep(&mut self, other: &Self) {
        self.0 &= &other.0;
    }

    /// Those with an id in `from..to`.
    #[must_use]
    pub fn between(&self, from: u32, to: u32) -> Self {
        let mut span = RoaringBitmap::new();
        span.insert_range(from..to);
        Self(&self.0 & span)
    }

    /// The contacts in id order.
    pub fn iter(&self) -> impl Iterator<Item = ContactId> + '_ {
        self.0.iter().map(ContactId)
    }

    /// The portable roaring serialisation (the format of the Roaring specification).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.serialized_size());
        match self.0.serialize_into(&mut bytes) {
            Ok(()) => bytes,
            Err(_) => unreachable!("writing to a Vec cannot fail"),
        }
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` when the bytes are damaged.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        RoaringBitmap::deserialize_from(bytes).ok().map(Self)
    }
}

impl FromIterator<ContactId> for ContactSet {
    fn from_iter<I: IntoIterator<Item = ContactId>>(ids: I) -> Self {
        Self(ids.into_iter().map(|id| id.0).collect())
    }
}
