//! Labels: who looks after a contact and how far it has come; one of each kind at a time.
//!
//! Unlike tags they are replaced, and the history keeps what they were.

use std::fmt;

use crate::book::set::ContactSet;

/// What a label says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelKind {
    /// Who of ours looks after the contact.
    Owner,
    /// How far it has come.
    Stage,
}

impl fmt::Display for LabelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "owner",
            Self::Stage => "stage",
        })
    }
}

/// A label and who has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// What it says.
    pub kind: LabelKind,
    /// As it was first spelt.
    pub value: String,
    /// Who has it now.
    pub members: ContactSet,
}

impl Label {
    /// Whether it is meant by a value, whatever its case.
    #[must_use]
    pub fn is(&self, kind: LabelKind, value: &str) -> bool {
        self.kind == kind && self.value.to_lowercase() == value.to_lowercase()
    }
}
