//! The company of an address: whose mailbox it is, for caps that count per company.
//!
//! At a free-mail service or an access provider nobody speaks for a company, so the address is its
//! own. Everywhere else the company is the registrable domain by the whole Public Suffix List (the
//! private section too: `acme.uk.com` and `beta.uk.com` are two owners).
//!
//! The table of free-mail domains is `config/freemail.txt` (generated) as corrected by
//! `config/freemail-overlay.txt` (ours), compiled in; an operator's configuration adds and removes.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::LazyLock;

use crate::book::address::Address;
use crate::book::domain::{self, DomainError};

/// What the mailboxes of one company share: a domain, or the address itself where there is no
/// company.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompanyKey(String);

impl CompanyKey {
    /// The domain in lower-case A-labels, or the lower-case address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As owned text, to be stored.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for CompanyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How domains make companies: the built-in table and what the configuration says on top.
#[derive(Clone, Debug, Default)]
pub struct Companies {
    /// From domain to company, targets resolved.
    aliases: HashMap<String, String>,
    free: HashSet<String>,
    not_free: HashSet<String>,
}

/// Why the configured companies cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompanyError {
    /// Not a domain.
    #[error("{domain:?}: {reason}")]
    Domain {
        /// As typed.
        domain: String,
        /// What is wrong with it.
        reason: DomainError,
    },
    /// One domain both added to and removed from the free-mail table.
    #[error("{0:?} is listed both as free-mail and as not free-mail: keep one")]
    Contradiction(String),
    /// An alias that would make a company of a free-mail service.
    #[error(
        "alias {0:?}: a free-mail domain is no company; if it is one, list it as not free-mail"
    )]
    FreeAlias(String),
    /// Two aliases for one domain.
    #[error("alias {0:?} is given twice with different companies: keep one")]
    Twice(String),
    /// Aliases that lead back to themselves.
    #[error("alias {0:?} leads back to itself: let all domains of a company name the same one")]
    Cycle(String),
}

impl Companies {
    /// The built-in table with an operator's `aliases` (from domain, to domain), `free` domains
    /// added and `not_free` ones removed.
    ///
    /// An alias moves a registrable domain, or one exact domain below it, to the company of its
    /// target; chains are followed.
    ///
    /// # Errors
    /// A [`CompanyError`] that names the domain at fault.
    pub fn new(
        aliases: &[(String, String)],
        free: &[String],
        not_free: &[String],
    ) -> Result<Self, CompanyError> {
        let mut companies =
            Self { aliases: HashMap::new(), free: domains(free)?, not_free: domains(not_free)? };
        if let Some(both) = companies.free.intersection(&companies.not_free).min() {
            return Err(CompanyError::Contradiction(both.clone()));
        }
        let mut steps = HashMap::new();
        for (from, to) in aliases {
            let (from, to) = (named(from)?, named(to)?);
            if let Some(free) =
                [&from, &to].into_iter().find(|d| companies.own_company(d).is_none())
            {
                return Err(CompanyError::FreeAlias(free.clone()));
            }
            if steps.insert(from.clone(), to.clone()).is_some_and(|before| before != to) {
                return Err(CompanyError::Twice(from));
            }
        }
        companies.aliases = resolved(&steps)?;
        Ok(companies)
    }

    /// The company of `address`.
    #[must_use]
    pub fn of(&self, address: &Address) -> CompanyKey {
        let domain = address.domain();
        CompanyKey(match self.own_company(domain) {
            None => address.key(),
            Some(own) => step(&self.aliases, domain, own).unwrap_or(own).to_owned(),
        })
    }

    /// Whether mailboxes at `domain`, in any spelling, belong to persons and not to a company.
    #[must_use]
    pub fn is_free(&self, domain: &str) -> bool {
        domain::parse(domain).is_ok_and(|domain| self.own_company(&domain).is_none())
    }

    /// The company that `domain` alone makes, aliases aside; `None` at a free-mail service. A name
    /// exactly listed by the operator goes before what its registrable domain says.
    fn own_company<'a>(&self, domain: &'a str) -> Option<&'a str> {
        if self.free.contains(domain) {
            return None;
        }
        if self.not_free.contains(domain) {
            let registrable = registrable(domain);
            return Some(if self.listed(registrable) { domain } else { registrable });
        }
        if FREE_MAIL.contains(domain) {
            return None;
        }
        let registrable = registrable(domain);
        (registrable == domain || !self.listed(registrable)).then_some(registrable)
    }

    fn listed(&self, domain: &str) -> bool {
        self.free.contains(domain)
            || (FREE_MAIL.contains(domain) && !self.not_free.contains(domain))
    }
}

/// The built-in table: the generated list with the overlay's `+` and `-` lines applied.
static FREE_MAIL: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let list = include_str!("../../config/freemail.txt");
    let overlay = include_str!("../../config/freemail-overlay.txt");
    let mut table: HashSet<&'static str> = entries(list).collect();
    for line in entries(overlay) {
        if let Some(domain) = line.strip_prefix('+') {
            table.insert(domain);
        } else if let Some(domain) = line.strip_prefix('-') {
            table.remove(domain);
        }
    }
    table
});

/// Lines without comments and blanks.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split('#').next().unwrap_or(line).trim()).filter(|l| !l.is_empty())
}

/// The domain somebody registered; the whole domain if it is a suffix itself. Below a suffix that the
/// list does not know, the list's own default rule `*` holds: too few companies, never too many.
fn registrable(domain: &str) -> &str {
    psl::domain(domain.as_bytes())
        .and_then(|found| domain.get(domain.len().checked_sub(found.as_bytes().len())?..))
        .unwrap_or(domain)
}

/// Where `aliases` lead from an exact domain or else from its registrable one.
fn step<'a>(aliases: &'a HashMap<String, String>, domain: &str, own: &str) -> Option<&'a str> {
    if aliases.is_empty() {
        return None;
    }
    aliases.get(domain).or_else(|| aliases.get(own)).map(String::as_str)
}

/// Every alias with the end of its chain.
fn resolved(steps: &HashMap<String, String>) -> Result<HashMap<String, String>, CompanyError> {
    let end_of = |from: &String| {
        let mut here = from.as_str();
        for _ in 0..=steps.len() {
            match step(steps, here, registrable(here)) {
                Some(next) => here = next,
                None => return Ok((from.clone(), registrable(here).to_owned())),
            }
        }
        Err(CompanyError::Cycle(from.clone()))
    };
    let mut froms: Vec<_> = steps.keys().collect();
    froms.sort_unstable();
    froms.into_iter().map(end_of).collect()
}

fn named(typed: &str) -> Result<String, CompanyError> {
    domain::parse(typed).map_err(|reason| CompanyError::Domain { domain: typed.to_owned(), reason })
}

fn domains(typed: &[String]) -> Result<HashSet<String>, CompanyError> {
    typed.iter().map(|typed| named(typed)).collect()
}
