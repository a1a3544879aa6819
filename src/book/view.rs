//! Views: named conditions over contacts, always live, that batches exclude by.
//!
//! First cut of the language (DESIGN §5): tags, addresses, domains, and other views, under `any`,
//! `all` and `not`. Text is literal and compared in lower case. What looks at the text of an address
//! is a *leaf*: whoever holds the addresses judges each contact once and keeps a set per leaf, so
//! that evaluating a view is set algebra whose cost follows the contacts asked about, not the book.

use std::collections::HashMap;
use std::sync::Arc;

use crate::book::set::ContactSet;
use crate::book::tag::{Tag, TagId};

/// All views of a configuration, checked and ready to be evaluated.
#[derive(Clone, Debug, Default)]
pub struct Views {
    names: Vec<String>,
    nodes: HashMap<String, Arc<Node>>,
    leaves: Vec<AddressLeaf>,
}

/// One view as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its name, as reasons and other views spell it.
    pub name: String,
    /// Who is in it.
    pub condition: Condition,
}

/// Who is in a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// At least one holds; an empty list holds for nobody.
    Any(Vec<Self>),
    /// Each holds; an empty list holds for everybody.
    All(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// Has such a tag.
    Tag(TagMatch),
    /// The whole address reads so.
    Address {
        /// Where the value must stand.
        at: TextAt,
        /// Any of these.
        values: Vec<String>,
    },
    /// The part after the `@` reads so.
    Domain {
        /// Where the value must stand.
        at: TextAt,
        /// Any of these.
        values: Vec<String>,
    },
    /// Is in another view.
    View(String),
}

/// Which tags are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagMatch {
    /// The tag of this name.
    Name(String),
    /// Tags whose name, or whose `{series}{NN}` for a batch tag, begins so: `阅读` is the `阅读*` of
    /// the seed, which means `英语-工程设备经销商-阅读01` too.
    Prefix(String),
    /// All tags of this group.
    Group(String),
}

/// Where in a text a value must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextAt {
    /// At its beginning.
    Starts,
    /// At its end.
    Ends,
    /// Anywhere.
    Contains,
    /// It is the whole text.
    Equals,
}

/// Why views cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// Two views of one name.
    #[error("view {0:?} is declared twice; rename one of them")]
    Twice(String),
    /// A condition names a view that is not declared.
    #[error("view {view:?} names view {named:?}, which is not declared; declared are: {declared}")]
    Unknown {
        /// Where it is named.
        view: String,
        /// The name.
        named: String,
        /// What could have been meant.
        declared: String,
    },
    /// Views that lead back to themselves.
    #[error("views name each other in a circle: {0}; take one of the names out")]
    Cycle(String),
    /// An empty text stands in every text: it would exclude everybody.
    #[error("view {0:?} compares with an empty text, which is found in every one; take it out")]
    Empty(String),
    /// Asked for a view that is not declared.
    #[error("there is no view {named:?}; declared are: {declared}")]
    NoSuchView {
        /// The name.
        named: String,
        /// What could have been meant.
        declared: String,
    },
    /// Nobody keeps the set of this leaf: guessing "nobody" would mail the excluded.
    #[error("no set is kept for the condition `{0}`; index the addresses of all leaves first")]
    Unindexed(String),
}

/// What an evaluation looks things up in.
pub struct Facts<'a> {
    /// The store's tags.
    pub tags: &'a [Tag],
    /// Who holds a tag; `None` for nobody.
    pub tag_set: &'a dyn Fn(TagId) -> Option<&'a ContactSet>,
    /// Who matches a leaf, by [`AddressLeaf::key`].
    pub leaf_set: &'a dyn Fn(&str) -> Option<&'a ContactSet>,
}

/// A condition on the text of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressLeaf {
    key: String,
    domain_only: bool,
    at: TextAt,
    values: Vec<String>,
}

impl AddressLeaf {
    fn new(domain_only: bool, at: TextAt, values: &[String]) -> Self {
        let mut values: Vec<String> = values.iter().map(|value| value.to_lowercase()).collect();
        values.sort_unstable();
        values.dedup();
        let part = if domain_only { "domain" } else { "address" };
        let place = match at {
            TextAt::Starts => "starts_with",
            TextAt::Ends => "ends_with",
            TextAt::Contains => "contains",
            TextAt::Equals => "equals",
        };
        Self { key: format!("{part} {place} {values:?}"), domain_only, at, values }
    }

    /// The leaf's name: the same for the same condition, whatever the order and case of its values.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it holds for an address, given as [`crate::book::address::Address::key`].
    #[must_use]
    pub fn matches(&self, address_key: &str) -> bool {
        let domain = || address_key.rsplit_once('@').map_or("", |(_, domain)| domain);
        let text = if self.domain_only { domain() } else { address_key };
        self.values.iter().any(|value| match self.at {
            TextAt::Starts => text.starts_with(value),
            TextAt::Ends => text.ends_with(value),
            TextAt::Contains => text.contains(value),
            TextAt::Equals => text == value,
        })
    }
}

/// A condition with its text in lower case and its views looked up.
#[derive(Clone, Debug)]
enum Node {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Tag(TagMatch),
    Leaf(AddressLeaf),
    View(Arc<Self>),
}

impl Views {
    /// Checks the views of a configuration.
    ///
    /// # Errors
    /// [`ViewError`] when a name is declared twice, unknown, or part of a circle, or a text is empty.
    pub fn new(views: &[View]) -> Result<Self, ViewError> {
        let mut declared = HashMap::with_capacity(views.len());
        for view in views {
            if declared.insert(view.name.as_str(), &view.condition).is_some() {
                return Err(ViewError::Twice(view.name.clone()));
            }
        }
        let names = views.iter().map(|view| view.name.clone()).collect();
        let mut checker =
            Checker { declared, path: Vec::new(), done: Self { names, ..Self::default() } };
        for view in views {
            checker.view(&view.name)?;
        }
        Ok(checker.done)
    }

    /// The views' names in configured order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Every condition on addresses that some view has, each once.
    pub fn leaves(&self) -> impl Iterator<Item = &AddressLeaf> {
        self.leaves.iter()
    }

    /// Who of `within` is in the view.
    ///
    /// # Errors
    /// [`ViewError::NoSuchView`], or [`ViewError::Unindexed`] when `facts` lacks a leaf.
    pub fn eval(
        &self,
        name: &str,
        within: &ContactSet,
        facts: &Facts<'_>,
    ) -> Result<ContactSet, ViewError> {
        self.node(name)?.within(within, facts)
    }

    /// Whether one contact is in the view, by its address ([`crate::book::address::Address::key`])
    /// and its tags: what [`Self::eval`] must agree with.
    ///
    /// # Errors
    /// [`ViewError::NoSuchView`].
    pub fn holds(&self, name: &str, address_key: &str, tags: &[&Tag]) -> Result<bool, ViewError> {
        Ok(self.node(name)?.holds(address_key, tags))
    }

    fn node(&self, name: &str) -> Result<&Node, ViewError> {
        self.nodes.get(name).map(AsRef::as_ref).ok_or_else(|| ViewError::NoSuchView {
            named: name.to_owned(),
            declared: self.names.join(", "),
        })
    }
}

impl Node {
    fn within(&self, within: &ContactSet, facts: &Facts<'_>) -> Result<ContactSet, ViewError> {
        match self {
            Self::Any(parts) => {
                let (mut found, mut rest) = (ContactSet::new(), within.clone());
                for part in parts {
                    let more = part.within(&rest, facts)?;
                    rest.subtract(&more);
                    found.add(&more);
                }
                Ok(found)
            }
            Self::All(parts) => {
                parts.iter().try_fold(within.clone(), |rest, part| part.within(&rest, facts))
            }
            Self::Not(part) => Ok(within.minus(&part.within(within, facts)?)),
            Self::Tag(wanted) => {
                let mut found = ContactSet::new();
                for tag in facts.tags.iter().filter(|tag| wanted.means(tag)) {
                    if let Some(holders) = (facts.tag_set)(tag.id) {
                        found.add(&holders.and(within));
                    }
                }
                Ok(found)
            }
            Self::Leaf(leaf) => (facts.leaf_set)(leaf.key())
                .map(|matching| matching.and(within))
                .ok_or_else(|| ViewError::Unindexed(leaf.key().to_owned())),
            Self::View(other) => other.within(within, facts),
        }
    }

    fn holds(&self, address_key: &str, tags: &[&Tag]) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.holds(address_key, tags)),
            Self::All(parts) => parts.iter().all(|part| part.holds(address_key, tags)),
            Self::Not(part) => !part.holds(address_key, tags),
            Self::Tag(wanted) => tags.iter().any(|tag| wanted.means(tag)),
            Self::Leaf(leaf) => leaf.matches(address_key),
            Self::View(other) => other.holds(address_key, tags),
        }
    }
}

impl TagMatch {
    fn folded(&self) -> Self {
        match self {
            Self::Name(name) => Self::Name(name.to_lowercase()),
            Self::Prefix(prefix) => Self::Prefix(prefix.to_lowercase()),
            Self::Group(group) => Self::Group(group.to_lowercase()),
        }
    }

    /// Whether the tag is meant; `self` is in lower case.
    fn means(&self, tag: &Tag) -> bool {
        match self {
            Self::Name(name) => tag.name.to_lowercase() == *name,
            Self::Group(group) => tag.group.to_lowercase() == *group,
            Self::Prefix(prefix) => {
                tag.name.to_lowercase().starts_with(prefix)
                    || tag.batch.as_ref().is_some_and(|batch| {
                        format!("{}{:02}", batch.series.to_lowercase(), batch.no)
                            .starts_with(prefix)
                    })
            }
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Prefix(text) | Self::Group(text) => text,
        }
    }
}

/// Turns conditions into nodes, a view before those that name it.
struct Checker<'a> {
    declared: HashMap<&'a str, &'a Condition>,
    path: Vec<String>,
    done: Views,
}

impl Checker<'_> {
    fn view(&mut self, name: &str) -> Result<Arc<Node>, ViewError> {
        if let Some(node) = self.done.nodes.get(name) {
            return Ok(Arc::clone(node));
        }
        if let Some(first) = self.path.iter().position(|passed| passed == name) {
            let circle = self.path.iter().skip(first).map(String::as_str).chain([name]);
            return Err(ViewError::Cycle(circle.collect::<Vec<_>>().join(" -> ")));
        }
        let Some(condition) = self.declared.get(name).copied() else {
            return Err(ViewError::Unknown {
                view: self.here(),
                named: name.to_owned(),
                declared: self.done.names.join(", "),
            });
        };
        self.path.push(name.to_owned());
        let node = Arc::new(self.condition(condition)?);
        self.path.pop();
        self.done.nodes.insert(name.to_owned(), Arc::clone(&node));
        Ok(node)
    }

    fn condition(&mut self, condition: &Condition) -> Result<Node, ViewError> {
        Ok(match condition {
            Condition::Any(parts) => Node::Any(self.conditions(parts)?),
            Condition::All(parts) => Node::All(self.conditions(parts)?),
            Condition::Not(part) => Node::Not(Box::new(self.condition(part)?)),
            Condition::Tag(wanted) if wanted.text().is_empty() => {
                return Err(ViewError::Empty(self.here()));
            }
            Condition::Tag(wanted) => Node::Tag(wanted.folded()),
            Condition::Address { at, values } => self.leaf(AddressLeaf::new(false, *at, values))?,
            Condition::Domain { at, values } => self.leaf(AddressLeaf::new(true, *at, values))?,
            Condition::View(other) => Node::View(self.view(other)?),
        })
    }

    fn conditions(&mut self, parts: &[Condition]) -> Result<Vec<Node>, ViewError> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    fn leaf(&mut self, leaf: AddressLeaf) -> Result<Node, ViewError> {
        if leaf.values.iter().any(String::is_empty) {
            return Err(ViewError::Empty(self.here()));
        }
        if !self.done.leaves.contains(&leaf) {
            self.done.leaves.push(leaf.clone());
        }
        Ok(Node::Leaf(leaf))
    }

    fn here(&self) -> String {
        self.path.last().cloned().unwrap_or_default()
    }
}
