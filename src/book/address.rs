//! An address, parsed once.

use std::fmt;

/// A mailbox: local part as typed, domain in lower-case A-labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    text: Box<str>,
    at: usize,
}

impl Address {
    /// The part before the `@`, as typed.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// The part after the `@`: lower-case, A-labels, no trailing dot.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// `local@domain`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What two spellings of one mailbox share: the whole address in lower case.
    #[must_use]
    pub fn key(&self) -> String {
        self.text.to_lowercase()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
