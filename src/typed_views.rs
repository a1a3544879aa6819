//! The views of the configuration file as typed.
#![expect(missing_docs, reason = "the keys are documented in config/quickstart.toml, their place")]

use serde::Deserialize;

use crate::book::view::{Condition, TagMatch, TextAt};

/// One of `[[views]]`: a name and exactly one condition.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawView {
    pub name: String,
    pub any: Option<Vec<RawCondition>>,
    pub all: Option<Vec<RawCondition>>,
    pub not: Option<Box<RawCondition>>,
    pub tag: Option<OneOrMany>,
    pub tag_group: Option<OneOrMany>,
    pub address: Option<RawText>,
    pub domain: Option<RawText>,
    pub view: Option<String>,
}

impl RawView {
    /// Its conditions; there must be one.
    #[must_use]
    pub fn conditions(self) -> Vec<RawCondition> {
        let all = [
            self.any.map(RawCondition::Any),
            self.all.map(RawCondition::All),
            self.not.map(RawCondition::Not),
            self.tag.map(RawCondition::Tag),
            self.tag_group.map(RawCondition::TagGroup),
            self.address.map(RawCondition::Address),
            self.domain.map(RawCondition::Domain),
            self.view.map(RawCondition::View),
        ];
        all.into_iter().flatten().collect()
    }
}

/// A condition of a view.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum RawCondition {
    Any(Vec<RawCondition>),
    All(Vec<RawCondition>),
    Not(Box<RawCondition>),
    Tag(OneOrMany),
    TagGroup(OneOrMany),
    Address(RawText),
    Domain(RawText),
    View(String),
}

/// One text, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Where in a text a value must stand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum RawText {
    StartsWith(OneOrMany),
    EndsWith(OneOrMany),
    Contains(OneOrMany),
    Equals(OneOrMany),
}

impl OneOrMany {
    /// As a list.
    #[must_use]
    pub fn list(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

impl From<RawCondition> for Condition {
    fn from(raw: RawCondition) -> Self {
        let all = |list: Vec<RawCondition>| list.into_iter().map(Self::from).collect();
        let any_of = |mut list: Vec<Condition>| match list.len() {
            1 => list.swap_remove(0),
            _ => Condition::Any(list),
        };
        match raw {
            RawCondition::Any(list) => Condition::Any(all(list)),
            RawCondition::All(list) => Condition::All(all(list)),
            RawCondition::Not(inner) => Condition::Not(Box::new(Self::from(*inner))),
            RawCondition::Tag(tags) => any_of(tags.list().into_iter().map(tag).collect()),
            RawCondition::TagGroup(groups) => any_of(
                groups
                    .list()
                    .into_iter()
                    .map(|group| Condition::Tag(TagMatch::Group(group)))
                    .collect(),
            ),
            RawCondition::Address(raw) => {
                let (at, values) = text(raw);
                Condition::Address { at, values }
            }
            RawCondition::Domain(raw) => {
                let (at, values) = text(raw);
                Condition::Domain { at, values }
            }
            RawCondition::View(name) => Condition::View(name),
        }
    }
}

fn tag(name: String) -> Condition {
    Condition::Tag(match name.strip_suffix('*') {
        Some(prefix) => TagMatch::Prefix(prefix.to_owned()),
        None => TagMatch::Name(name),
    })
}

fn text(raw: RawText) -> (TextAt, Vec<String>) {
    match raw {
        RawText::StartsWith(values) => (TextAt::Starts, values.list()),
        RawText::EndsWith(values) => (TextAt::Ends, values.list()),
        RawText::Contains(values) => (TextAt::Contains, values.list()),
        RawText::Equals(values) => (TextAt::Equals, values.list()),
    }
}
