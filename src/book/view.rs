//! Views: named conditions over contacts, always live, that batches exclude by.
//!
//! Evaluating a view is set algebra over what is kept up to date elsewhere: sets of tags, labels and
//! leaves, counts and days per contact. Its cost follows the contacts asked about, not the book.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::book::condition::{Condition, Op, TagMatch, When};
use crate::book::contact::{Act, CompanyNo, ContactId, Day};
use crate::book::label::{Label, LabelKind};
use crate::book::leaf::Leaf;
use crate::book::set::ContactSet;
use crate::book::tag::{Tag, TagId};

/// Days before today for which it is known who did what on which day: the most that
/// `within_days` of a count may reach back.
pub const COUNT_DAYS_MAX: u16 = 92;
/// The highest number a count can be compared with; more days than that are not told apart.
pub const COUNT_MAX: u8 = 250;

/// All views of a configuration, checked and ready to be evaluated.
#[derive(Clone, Debug, Default)]
pub struct Views {
    views: Vec<View>,
    nodes: HashMap<String, Arc<Node>>,
    leaves: Vec<Leaf>,
}

/// One view as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its name, as reasons and other views spell it.
    pub name: String,
    /// Who is in it.
    pub condition: Condition,
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
    #[error("no set is kept for the condition `{0}`; index the contacts of all leaves first")]
    Unindexed(String),
}

/// What an evaluation looks things up in.
pub struct Facts<'a> {
    /// The day that `within_days` and `before_days` count from.
    pub today: Day,
    /// The store's tags.
    pub tags: &'a [Tag],
    /// Who holds a tag; `None` for nobody.
    pub tag_set: &'a dyn Fn(TagId) -> Option<&'a ContactSet>,
    /// Who matches a leaf, by [`Leaf::key`].
    pub leaf_set: &'a dyn Fn(&str) -> Option<&'a ContactSet>,
    /// Owners and stages.
    pub labels: &'a [Label],
    /// The last day of an act, and on how many days it happened.
    pub acts: &'a dyn Fn(Act, ContactId) -> (Option<Day>, u8),
    /// Who did it on a day, for the last [`COUNT_DAYS_MAX`] days; `None` for nobody.
    pub acted: &'a dyn Fn(Act, Day) -> Option<&'a ContactSet>,
    /// The day a contact was first seen.
    pub created: &'a dyn Fn(ContactId) -> Option<Day>,
    /// A contact's company.
    pub company: &'a dyn Fn(ContactId) -> Option<CompanyNo>,
    /// The company with a key.
    pub company_named: &'a dyn Fn(&str) -> Option<CompanyNo>,
    /// Everybody of a company.
    pub colleagues: &'a dyn Fn(CompanyNo) -> Vec<ContactId>,
}

/// A condition with its text in lower case and its views looked up.
#[derive(Clone, Debug)]
enum Node {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Tag(TagMatch),
    Leaf(Leaf),
    Company(Vec<String>),
    Count { act: Act, op: Op, number: u8, within_days: Option<u16> },
    Last(Act, When),
    Created(When),
    Label(LabelKind, Vec<String>),
    CompanyHas(Box<Self>),
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
        let done = Self { views: views.to_vec(), ..Self::default() };
        let mut checker = Checker { declared, path: Vec::new(), done };
        for view in views {
            checker.view(&view.name)?;
        }
        Ok(checker.done)
    }

    /// These views and more.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(&self, more: impl IntoIterator<Item = View>) -> Result<Self, ViewError> {
        let all: Vec<View> = self.views.iter().cloned().chain(more).collect();
        Self::new(&all)
    }

    /// The views' names in configured order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.views.iter().map(|view| view.name.as_str())
    }

    /// What a view was configured as.
    ///
    /// # Errors
    /// [`ViewError::NoSuchView`].
    pub fn condition(&self, name: &str) -> Result<&Condition, ViewError> {
        let found = self.views.iter().find(|view| view.name == name);
        found.map(|view| &view.condition).ok_or_else(|| self.no_such(name))
    }

    /// Every leaf that some view has, each once.
    pub fn leaves(&self) -> impl Iterator<Item = &Leaf> {
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
        self.nodes.get(name).ok_or_else(|| self.no_such(name))?.within(within, facts)
    }

    fn no_such(&self, name: &str) -> ViewError {
        ViewError::NoSuchView { named: name.to_owned(), declared: self.declared() }
    }

    fn declared(&self) -> String {
        self.names().collect::<Vec<_>>().join(", ")
    }
}

impl Node {
    fn within(&self, within: &ContactSet, facts: &Facts<'_>) -> Result<ContactSet, ViewError> {
        let pick = |wanted: &dyn Fn(ContactId) -> bool| {
            within.iter().filter(|id| wanted(*id)).collect::<ContactSet>()
        };
        Ok(match self {
            Self::Any(parts) => {
                let (mut found, mut rest) = (ContactSet::new(), within.clone());
                for part in parts {
                    let more = part.within(&rest, facts)?;
                    rest.subtract(&more);
                    found.add(&more);
                }
                found
            }
            Self::All(parts) => {
                return parts
                    .iter()
                    .try_fold(within.clone(), |rest, part| part.within(&rest, facts));
            }
            Self::Not(part) => within.minus(&part.within(within, facts)?),
            Self::Tag(wanted) => {
                let tags = facts.tags.iter().filter(|tag| wanted.means(tag));
                united(tags.filter_map(|tag| (facts.tag_set)(tag.id)), within)
            }
            Self::Label(kind, values) => {
                let labels = facts.labels.iter().filter(|label| {
                    label.kind == *kind
                        && (values.is_empty() || values.iter().any(|one| label.is(*kind, one)))
                });
                united(labels.map(|label| &label.members), within)
            }
            Self::Leaf(leaf) => (facts.leaf_set)(leaf.key())
                .ok_or_else(|| ViewError::Unindexed(leaf.key().to_owned()))?
                .and(within),
            Self::Company(keys) => {
                let companies = keys.iter().filter_map(|key| (facts.company_named)(key));
                let mut people: Vec<ContactId> =
                    companies.flat_map(|company| (facts.colleagues)(company)).collect();
                people.sort_unstable();
                people.into_iter().collect::<ContactSet>().and(within)
            }
            Self::Count { act, op, number, within_days: Some(days) } => {
                counted_within(*days, (*act, *op, *number), within, facts)
            }
            Self::Count { act, op, number, within_days: None } => {
                pick(&|id| op.holds((facts.acts)(*act, id).1.cmp(number)))
            }
            Self::Last(act, when) => pick(&|id| when.holds((facts.acts)(*act, id).0, facts.today)),
            Self::Created(when) => pick(&|id| when.holds((facts.created)(id), facts.today)),
            Self::CompanyHas(part) => return colleagues_of(part, within, facts),
            Self::View(other) => return other.within(within, facts),
        })
    }
}

fn united<'a>(sets: impl Iterator<Item = &'a ContactSet>, within: &ContactSet) -> ContactSet {
    let mut found = ContactSet::new();
    for set in sets {
        found.add(&set.and(within));
    }
    found
}

/// Who did `act` on so many of the last days, by layers: the n-th layer holds who did it on more
/// than n days.
fn counted_within(
    days: u16,
    (act, op, number): (Act, Op, u8),
    within: &ContactSet,
    facts: &Facts<'_>,
) -> ContactSet {
    let number = usize::from(number);
    let mut layers = vec![ContactSet::new(); number + 1];
    for back in 0..=i32::from(days) {
        let Some(set) = (facts.acted)(act, facts.today.plus(-back)) else { continue };
        let mut rest = set.and(within);
        for layer in &mut layers {
            if rest.is_empty() {
                break;
            }
            let again = layer.and(&rest);
            layer.add(&rest);
            rest = again;
        }
    }
    let at_least = |count: usize| match count.checked_sub(1) {
        None => within.clone(),
        Some(below) => layers.get(below).cloned().unwrap_or_default(),
    };
    match op {
        Op::Ge => at_least(number),
        Op::Gt => at_least(number + 1),
        Op::Lt => within.minus(&at_least(number)),
        Op::Le => within.minus(&at_least(number + 1)),
        Op::Eq => at_least(number).minus(&at_least(number + 1)),
        Op::Ne => within.minus(&at_least(number).minus(&at_least(number + 1))),
    }
}

/// Who of `within` has a colleague, or is one, that matches.
fn colleagues_of(
    part: &Node,
    within: &ContactSet,
    facts: &Facts<'_>,
) -> Result<ContactSet, ViewError> {
    let companies: HashSet<CompanyNo> =
        within.iter().filter_map(|id| (facts.company)(id)).collect();
    let mut people: Vec<ContactId> =
        companies.iter().flat_map(|company| (facts.colleagues)(*company)).collect();
    people.sort_unstable();
    let found = part.within(&people.into_iter().collect(), facts)?;
    let companies: HashSet<CompanyNo> = found.iter().filter_map(|id| (facts.company)(id)).collect();
    let meant = |id: &ContactId| (facts.company)(*id).is_some_and(|no| companies.contains(&no));
    Ok(within.iter().filter(meant).collect())
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
                declared: self.done.declared(),
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
            Condition::CompanyHas(part) => Node::CompanyHas(Box::new(self.condition(part)?)),
            Condition::Tag(wanted) if wanted.text().is_empty() => {
                return Err(ViewError::Empty(self.here()));
            }
            Condition::Tag(wanted) => Node::Tag(wanted.folded()),
            Condition::Address { at, values } => self.leaf(Leaf::address(*at, values))?,
            Condition::Domain { at, values } => self.leaf(Leaf::domain(*at, values))?,
            Condition::Attr { name, test } => self.leaf(Leaf::column(name, test))?,
            Condition::Company(keys) => {
                Node::Company(keys.iter().map(|key| key.to_lowercase()).collect())
            }
            Condition::Count { act, op, number, within_days } => Node::Count {
                act: *act,
                op: *op,
                number: *number.min(&COUNT_MAX),
                within_days: within_days.map(|days| days.min(COUNT_DAYS_MAX)),
            },
            Condition::Last { act, when } => Node::Last(*act, *when),
            Condition::Created(when) => Node::Created(*when),
            Condition::Label { kind, values } => Node::Label(*kind, values.clone()),
            Condition::View(other) => Node::View(self.view(other)?),
        })
    }

    fn conditions(&mut self, parts: &[Condition]) -> Result<Vec<Node>, ViewError> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    fn leaf(&mut self, leaf: Leaf) -> Result<Node, ViewError> {
        if leaf.is_empty() {
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
