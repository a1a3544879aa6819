//! Domains whose letters queue up already: no more are handed out for them until the queue is
//! shorter, so that whoever is slow holds up nobody else.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The domains.
#[derive(Debug, Default)]
pub struct Crowd {
    domains: Mutex<HashSet<String>>,
}

impl Crowd {
    /// Whether letters to this domain must wait in the plan.
    #[must_use]
    pub fn holds(&self, domain: &str) -> bool {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner).contains(domain)
    }

    /// No more letters to this domain.
    pub fn add(&self, domain: &str) {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        if !domains.contains(domain) {
            domains.insert(domain.to_owned());
        }
    }

    /// Letters to these domains again.
    pub fn remove<'a>(&self, gone: impl IntoIterator<Item = &'a str>) {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        for domain in gone {
            domains.remove(domain);
        }
    }
}
