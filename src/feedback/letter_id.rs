//! How a letter's id is written: eight bytes in tokens, a text in Message-IDs and file names.

use std::fmt;

use crate::book::contact::{ContactId, Day};
use crate::book::tag::TagId;
use crate::feedback::entry::LetterId;

impl LetterId {
    /// The eight bytes that tokens and Message-IDs carry (big endian: contact, tag, due).
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        let [a, b, c, d] = self.contact.0.to_be_bytes();
        let [e, f] = self.tag.0.to_be_bytes();
        let [g, h] = self.due.0.to_be_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// Reads [`Self::to_bytes`].
    #[must_use]
    pub fn from_bytes([a, b, c, d, e, f, g, h]: [u8; 8]) -> Self {
        Self {
            contact: ContactId(u32::from_be_bytes([a, b, c, d])),
            tag: TagId(u16::from_be_bytes([e, f])),
            due: Day(u16::from_be_bytes([g, h])),
        }
    }
}

/// As in Message-IDs and file names: `00000012.0003.20240905` (contact and tag in hexadecimal).
impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{:04x}.{}", self.contact.0, self.tag.0, self.due.date().format("%Y%m%d"))
    }
}
