//! Tags: append-only labels in groups; batch tags say on which day of the round somebody is written
//! to.
//!
//! The grammar is the seed's (客户管理篇 二.3): `{language}-{audience}-{series}{NN}`, NN always of two
//! digits. The language holds no `-`, the audience may, the series is any text that is configured.

use std::fmt;

/// A tag's number in one store: dense from 0, in order of first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagId(pub u16);

/// Which rhythm a batch follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeriesKind {
    /// 营销: the silent, once a month.
    Marketing,
    /// 阅读: those who read, every ten days.
    Reading,
}

impl SeriesKind {
    /// The group that its batch tags belong to.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Marketing => "marketing",
            Self::Reading => "reading",
        }
    }
}

/// `{language}-{audience}`: whom a template is for. The language is what stands before the first
/// `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Audience(String);

impl Audience {
    /// Reads `英语-工程设备经销商`; `None` unless both sides of the first `-` hold something.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (language, name) = text.split_once('-')?;
        let clean = |part: &str| !part.is_empty() && part.trim() == part && !has_control(part);
        (clean(language) && clean(name)).then(|| Self(text.to_owned()))
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first `-`, e.g. `英语`.
    #[must_use]
    pub fn language(&self) -> &str {
        self.0.split_once('-').map_or("", |(language, _)| language)
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The configured series: their names and how many batches a cycle has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Names of the marketing series; the first is used for new tags.
    pub marketing: Vec<String>,
    /// Names of the reading series; the first is used for new tags.
    pub reading: Vec<String>,
    /// Batches in a marketing cycle (30).
    pub marketing_cycle: u8,
    /// Batches in a reading cycle (10).
    pub reading_cycle: u8,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            marketing: vec!["营销".to_owned(), "marketing".to_owned()],
            reading: vec!["阅读".to_owned(), "reading".to_owned()],
            marketing_cycle: 30,
            reading_cycle: 10,
        }
    }
}

impl Series {
    /// How many batches a cycle of `kind` has.
    #[must_use]
    pub fn cycle(&self, kind: SeriesKind) -> u8 {
        match kind {
            SeriesKind::Marketing => self.marketing_cycle,
            SeriesKind::Reading => self.reading_cycle,
        }
    }

    fn names(&self, kind: SeriesKind) -> &[String] {
        match kind {
            SeriesKind::Marketing => &self.marketing,
            SeriesKind::Reading => &self.reading,
        }
    }

    /// The kind and the name of the series that `text` ends in, with what stands before it.
    fn strip<'a>(&self, text: &'a str) -> Option<(&'a str, SeriesKind, &'a str)> {
        [SeriesKind::Marketing, SeriesKind::Reading].into_iter().find_map(|kind| {
            self.names(kind).iter().find_map(|name| {
                let rest = text.strip_suffix(name.as_str())?.strip_suffix('-')?;
                Some((rest, kind, &text[rest.len() + 1..]))
            })
        })
    }
}

/// A batch tag, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchTag {
    /// Whom it is for.
    pub audience: Audience,
    /// Which rhythm.
    pub kind: SeriesKind,
    /// The series' name as written in the tag.
    pub series: String,
    /// Which batch of the cycle, from 1.
    pub no: u8,
}

impl BatchTag {
    /// The same audience's batch `no` of the same series.
    #[must_use]
    pub fn with_no(&self, no: u8) -> Self {
        Self { no, ..self.clone() }
    }
}

impl fmt::Display for BatchTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}{:02}", self.audience, self.series, self.no)
    }
}

/// What a typed tag turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagName {
    /// `英语-工程设备经销商-营销01`.
    Batch(BatchTag),
    /// `英语-工程设备经销商-营销`: the batch of today, to be completed.
    BatchOfToday(BatchTag),
    /// Any other name, e.g. `💬询盘`.
    Plain(String),
}

/// Why a typed tag cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Nothing but blanks.
    #[error("an empty tag")]
    Empty,
    /// Control characters, or longer than 200 bytes.
    #[error("tag {0:?} holds control characters or is longer than 200 bytes")]
    Unprintable(String),
    /// Series and number, but the number is not of two digits.
    #[error("tag {tag:?}: the batch number must have two digits, 01 to {last:02}")]
    Digits {
        /// As typed.
        tag: String,
        /// Last batch of that cycle.
        last: u8,
    },
    /// Series and two digits, but outside the cycle.
    #[error("tag {tag:?}: there is no batch {no:02}, the cycle ends at {last:02}")]
    Range {
        /// As typed.
        tag: String,
        /// The number found.
        no: u8,
        /// Last batch of that cycle.
        last: u8,
    },
    /// A series, but no `{language}-{audience}` before it.
    #[error(
        "tag {0:?}: a batch tag is {{language}}-{{audience}}-{{series}}NN, as 英语-工程设备经销商-营销01"
    )]
    Audience(String),
}

impl TagName {
    /// Reads a tag as typed.
    ///
    /// # Errors
    /// A [`TagError`] when the text is no tag, or looks like a batch tag and is not one.
    pub fn parse(typed: &str, series: &Series) -> Result<Self, TagError> {
        let text = typed.trim();
        if text.is_empty() {
            return Err(TagError::Empty);
        }
        if text.len() > 200 || has_control(text) {
            return Err(TagError::Unprintable(text.to_owned()));
        }
        let stem = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &text[stem.len()..];
        let Some((before, kind, name)) = series.strip(stem) else {
            return Ok(Self::Plain(text.to_owned()));
        };
        let audience =
            Audience::parse(before).ok_or_else(|| TagError::Audience(text.to_owned()))?;
        let last = series.cycle(kind);
        let tag = |no| BatchTag { audience, kind, series: name.to_owned(), no };
        if digits.is_empty() {
            return Ok(Self::BatchOfToday(tag(0)));
        }
        let no = match digits.parse::<u8>() {
            Ok(no) if digits.len() == 2 => no,
            _ => return Err(TagError::Digits { tag: text.to_owned(), last }),
        };
        if no == 0 || no > last {
            return Err(TagError::Range { tag: text.to_owned(), no, last });
        }
        Ok(Self::Batch(tag(no)))
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// A tag as one store knows it. Which group a tag is in was decided when it was first used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its number.
    pub id: TagId,
    /// Its whole name.
    pub name: String,
    /// The group (folder) it belongs to: `marketing`, `reading`, `intention`, `risk`, …
    pub group: String,
    /// Taken apart, when it is a batch tag.
    pub batch: Option<BatchTag>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_of_tags() {
        let series = Series::default();
        let parsed = |text: &str| match TagName::parse(text, &series) {
            Ok(TagName::Batch(tag)) => format!("{} {:?} {}", tag.audience, tag.kind, tag.no),
            Ok(TagName::BatchOfToday(tag)) => format!("{} {:?} today", tag.audience, tag.kind),
            Ok(TagName::Plain(name)) => format!("plain {name}"),
            Err(err) => err.to_string(),
        };
        for (text, expected) in [
            ("英语-工程设备经销商-营销01", "英语-工程设备经销商 Marketing 1"),
            ("英语-工程-设备-阅读10", "英语-工程-设备 Reading 10"),
            ("en-dealers-marketing30", "en-dealers Marketing 30"),
            ("英语-工程设备经销商-营销", "英语-工程设备经销商 Marketing today"),
            ("💬询盘", "plain 💬询盘"),
            ("3C产品2024", "plain 3C产品2024"),
            ("  ", "an empty tag"),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
        for (text, part) in [
            ("英语-工程设备经销商-营销1", "two digits"),
            ("英语-工程设备经销商-营销001", "two digits"),
            ("英语-工程设备经销商-营销31", "no batch 31"),
            ("英语-工程设备经销商-阅读11", "no batch 11"),
            ("英语-工程设备经销商-营销00", "no batch 00"),
            ("英语-营销01", "a batch tag is"),
        ] {
            assert!(parsed(text).contains(part), "{text}: {}", parsed(text));
        }
    }
}
