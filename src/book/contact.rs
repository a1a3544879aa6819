//! A contact: one address we know, the company it belongs to, and the columns of its saved search.
//!
//! Ids are dense and never reused, so that sets of contacts are bitmaps and columns are arrays.

use std::fmt;

use crate::book::address::Address;

/// A contact's number: dense from 0, in order of first appearance, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactId(pub u32);

/// A company's number: dense from 0, in order of first appearance, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompanyNo(pub u32);

/// A calendar day in the configured zone, as days since 1970-01-01 (reaches the year 2149).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u16);

impl Day {
    /// The day of a calendar date; dates outside 1970..=2149 are clamped to that range.
    #[must_use]
    pub fn from_date(date: chrono::NaiveDate) -> Self {
        let days = date.signed_duration_since(chrono::NaiveDate::default()).num_days();
        Self(u16::try_from(days.clamp(0, i64::from(u16::MAX))).unwrap_or(u16::MAX))
    }

    /// The calendar date of this day.
    #[must_use]
    pub fn date(self) -> chrono::NaiveDate {
        chrono::NaiveDate::default() + chrono::Duration::days(i64::from(self.0))
    }

    /// The day `days` later (earlier when negative), clamped to the range of the type.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        let moved = (i32::from(self.0) + days).clamp(0, i32::from(u16::MAX));
        Self(u16::try_from(moved).unwrap_or(u16::MAX))
    }

    /// Days from `earlier` to this one; negative when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> i32 {
        i32::from(self.0) - i32::from(earlier.0)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date().format("%Y-%m-%d"))
    }
}

/// An instant, as milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl Moment {
    /// The moment of a chrono instant.
    #[must_use]
    pub fn from_utc(at: chrono::DateTime<chrono::Utc>) -> Self {
        Self(at.timestamp_millis())
    }

    /// This moment as a chrono instant (the epoch when out of chrono's range).
    #[must_use]
    pub fn utc(self) -> chrono::DateTime<chrono::Utc> {
        chrono::DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }

    /// The moment `seconds` later.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }
}

/// What is counted of a contact, by days on which it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// A letter was accepted, or may have been.
    Letter,
    /// A letter was opened, as a human or by a human's proxy.
    Open,
    /// A link was followed by a human.
    Click,
    /// An answer came that a person wrote.
    Reply,
    /// A person of ours tagged, noted, assigned or staged the contact.
    Touch,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Letter, Self::Open, Self::Click, Self::Reply, Self::Touch];

    /// As conditions count it: `letters`, `opens`, …
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Letter => "letters",
            Self::Open => "opens",
            Self::Click => "clicks",
            Self::Reply => "replies",
            Self::Touch => "touches",
        }
    }

    /// As conditions name its last time: `last_sent`, `last_opened`, …
    #[must_use]
    pub fn past(self) -> &'static str {
        match self {
            Self::Letter => "sent",
            Self::Open => "opened",
            Self::Click => "clicked",
            Self::Reply => "replied",
            Self::Touch => "touched",
        }
    }
}

/// What the saved search calls the address: 精准 (a person) or 普通 (ordinary). Ranked and capped
/// apart (seed FAQ "域名提取上限").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 精准: the default.
    #[default]
    Precise,
    /// 普通.
    Ordinary,
}

/// What a row of a saved search says about a contact, beside address and tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// The person's name; empty when unknown.
    pub name: String,
    /// The company's name as the row gives it; never widens a cap.
    pub company: String,
    /// Country as given.
    pub country: String,
    /// Language as given.
    pub language: String,
    /// Job title.
    pub title: String,
    /// Where the row came from.
    pub source: String,
    /// Any other column: (header, value), in file order.
    pub attributes: Vec<(String, String)>,
}

impl Card {
    /// The named fields with their English template names, in the order they are shown.
    #[must_use]
    pub fn fields(&self) -> [(&'static str, &str); 6] {
        [
            ("name", &self.name),
            ("company", &self.company),
            ("country", &self.country),
            ("language", &self.language),
            ("title", &self.title),
            ("source", &self.source),
        ]
    }
}

/// One contact as the book holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its number.
    pub id: ContactId,
    /// Its address.
    pub address: Address,
    /// Its company's number.
    pub company: CompanyNo,
    /// 精准 or 普通.
    pub kind: Kind,
    /// Place within (company, kind), from 1; 0 for an address known only by its suppression.
    pub rank: u32,
    /// When it was first seen.
    pub created: Moment,
    /// The import that brought it (0: none).
    pub import: u32,
    /// The row's other columns.
    pub card: Card,
}
