//! The language of views (DESIGN §5): who is meant, as a tree of conditions.
//!
//! Text is literal and compared in lower case, of any script. What a condition looks at is either
//! kept as a set (tags, owners), judged once per contact (address, attributes: see `leaf`), or
//! counted per contact (letters, opens).

use std::cmp::Ordering;
use std::fmt;

use chrono::NaiveDate;

use crate::book::contact::{Act, Day};
use crate::book::label::LabelKind;
use crate::book::tag::Tag;

/// Who is in a view.
#[derive(Clone, Debug, PartialEq)]
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
    /// Belongs to one of these companies, by their keys.
    Company(Vec<String>),
    /// A field or column of the saved search reads so.
    Attr {
        /// `name`, `company`, `country`, `language`, `title`, `source`, or a column's header.
        name: String,
        /// How.
        test: Test,
    },
    /// Did something on so many days.
    Count {
        /// What.
        act: Act,
        /// How the number of days compares.
        op: Op,
        /// With this.
        number: u8,
        /// Only today and so many days before.
        within_days: Option<u16>,
    },
    /// Did something last at such a time.
    Last {
        /// What.
        act: Act,
        /// When.
        when: When,
    },
    /// Was first seen at such a time.
    Created(When),
    /// Has one of these owners (or stages); an empty list means any at all.
    Label {
        /// Which.
        kind: LabelKind,
        /// Any of these.
        values: Vec<String>,
    },
    /// Anybody of the same company matches.
    CompanyHas(Box<Self>),
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

/// How two things compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// What a cell is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A text.
    Text(String),
    /// A number: cells that are none never match.
    Number(f64),
    /// A date: cells that are none never match.
    Date(NaiveDate),
}

/// How a cell must read.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// It is one of these.
    OneOf(Vec<Cell>),
    /// It is none of these; a missing one is none of them.
    NoneOf(Vec<Cell>),
    /// It compares so with a number or a date.
    Compares(Op, Cell),
    /// One of these texts stands there.
    Text(TextAt, Vec<String>),
    /// It is there at all.
    Exists,
}

/// When something happened last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It never did.
    Never,
    /// More than so many days ago.
    BeforeDays(u16),
    /// Today, or at most so many days ago.
    WithinDays(u16),
    /// On a day that compares so.
    Day(Op, Day),
}

impl Op {
    /// Whether a comparison came out so.
    #[must_use]
    pub fn holds(self, found: Ordering) -> bool {
        match self {
            Self::Eq => found.is_eq(),
            Self::Ne => found.is_ne(),
            Self::Lt => found.is_lt(),
            Self::Le => found.is_le(),
            Self::Gt => found.is_gt(),
            Self::Ge => found.is_ge(),
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Eq, Self::Ne, Self::Lt, Self::Le, Self::Gt, Self::Ge]
            .into_iter()
            .find(|op| op.as_str() == text)
    }
}

impl TextAt {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starts => "starts_with",
            Self::Ends => "ends_with",
            Self::Contains => "contains",
            Self::Equals => "equals",
        }
    }

    /// Whether `value` stands there in `text`; both in lower case.
    #[must_use]
    pub fn finds(self, value: &str, text: &str) -> bool {
        match self {
            Self::Starts => text.starts_with(value),
            Self::Ends => text.ends_with(value),
            Self::Contains => text.contains(value),
            Self::Equals => text == value,
        }
    }
}

impl When {
    /// Whether the last time was then; `None`: there was none.
    #[must_use]
    pub fn holds(self, last: Option<Day>, today: Day) -> bool {
        match (self, last) {
            (Self::Never, last) => last.is_none(),
            (Self::BeforeDays(days), Some(last)) => today.since(last) > i32::from(days),
            (Self::WithinDays(days), Some(last)) => today.since(last) <= i32::from(days),
            (Self::Day(op, day), Some(last)) => op.holds(last.cmp(&day)),
            (Self::Day(op, _), None) => op == Op::Ne,
            (Self::BeforeDays(_) | Self::WithinDays(_), None) => false,
        }
    }
}

impl TagMatch {
    /// The same in lower case.
    #[must_use]
    pub fn folded(&self) -> Self {
        match self {
            Self::Name(name) => Self::Name(name.to_lowercase()),
            Self::Prefix(prefix) => Self::Prefix(prefix.to_lowercase()),
            Self::Group(group) => Self::Group(group.to_lowercase()),
        }
    }

    /// Whether the tag is meant; `self` is in lower case.
    #[must_use]
    pub fn means(&self, tag: &Tag) -> bool {
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

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Prefix(text) | Self::Group(text) => text,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Date(date) => write!(f, "{date}"),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(cells) => write!(f, "= {}", joined(cells, " or ")),
            Self::NoneOf(cells) => write!(f, "!= {}", joined(cells, " or ")),
            Self::Compares(op, cell) => write!(f, "{} {cell}", op.as_str()),
            Self::Text(at, values) => write!(f, "{} {}", at.as_str(), quoted(values)),
            Self::Exists => f.write_str("exists"),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::BeforeDays(days) => write!(f, "more than {days} days ago"),
            Self::WithinDays(days) => write!(f, "within {days} days"),
            Self::Day(op, day) => write!(f, "{} {day}", op.as_str()),
        }
    }
}

/// One condition in words; `any`, `all`, `not` and `company_has` show only what they are, their
/// parts are shown by whoever walks the tree.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(_) => f.write_str("any of"),
            Self::All(_) => f.write_str("all of"),
            Self::Not(_) => f.write_str("not"),
            Self::CompanyHas(_) => f.write_str("company has"),
            Self::Tag(TagMatch::Name(name)) => write!(f, "tag {name:?}"),
            Self::Tag(TagMatch::Prefix(name)) => write!(f, "tag \"{name}*\""),
            Self::Tag(TagMatch::Group(name)) => write!(f, "tag_group {name:?}"),
            Self::Address { at, values } => write!(f, "address {} {}", at.as_str(), quoted(values)),
            Self::Domain { at, values } => write!(f, "domain {} {}", at.as_str(), quoted(values)),
            Self::Company(values) => write!(f, "company {}", quoted(values)),
            Self::Attr { name, test } => write!(f, "attr {name:?} {test}"),
            Self::Count { act, op, number, within_days } => {
                write!(f, "{} {} {number}", act.plural(), op.as_str())?;
                within_days.map_or(Ok(()), |days| write!(f, " within {days} days"))
            }
            Self::Last { act, when } => write!(f, "last_{} {when}", act.past()),
            Self::Created(when) => write!(f, "created {when}"),
            Self::Label { kind, values } if values.is_empty() => write!(f, "{kind} exists"),
            Self::Label { kind, values } => write!(f, "{kind} {}", quoted(values)),
            Self::View(name) => write!(f, "view {name:?}"),
        }
    }
}

fn joined<T: fmt::Display>(list: &[T], with: &str) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(with)
}

fn quoted(values: &[String]) -> String {
    values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" or ")
}

impl Condition {
    /// The conditions it is made of.
    #[must_use]
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Any(parts) | Self::All(parts) => parts,
            Self::Not(part) | Self::CompanyHas(part) => std::slice::from_ref(part),
            _ => &[],
        }
    }
}
