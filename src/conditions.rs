//! Conditions as typed in TOML: every mistake names its place and what to write instead.
//!
//! Read by hand from the document's own tree, because only that knows where each value stands. The
//! same reader serves `[[views]]` in a configuration and `--where` on the command line.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::book::address::Address;
use crate::book::company::Companies;
use crate::book::condition::{Condition, Op, TagMatch, Test, TextAt};
use crate::book::contact::Act;
use crate::book::label::LabelKind;
use crate::book::spelling;
use crate::book::tag::{Audience, Series, SeriesKind, TagName};
use crate::book::view::View;
use crate::cadence::columns::Columns;
use crate::values::{
    Fault, Value, cells, company, count, each, fault, known, label, measure, not_text, only,
    source, text, text_at, texts, when,
};

/// What may stand in a condition.
const CONDITIONS: &[&str] = &[
    "any",
    "all",
    "not",
    "tag",
    "tag_group",
    "address",
    "domain",
    "company",
    "attr",
    "letters",
    "opens",
    "clicks",
    "replies",
    "last_sent",
    "last_opened",
    "last_clicked",
    "last_replied",
    "last_touched",
    "source",
    "owner",
    "stage",
    "created",
    "company_has",
    "view",
];
const TESTS: &[&str] =
    &["=", "!=", "<", "<=", ">", ">=", "equals", "contains", "starts_with", "ends_with", "exists"];
/// Conditions in one another at most.
const DEPTH_MAX: usize = 32;

/// What conditions may name.
pub struct Words<'a> {
    /// Declared groups and their tags.
    pub groups: &'a BTreeMap<String, Vec<String>>,
    /// Whether tags need not be declared.
    pub allow_new: bool,
    /// Declared audiences.
    pub audiences: &'a [Audience],
    /// Declared stages; none: any may be named.
    pub stages: &'a [String],
    /// How batch tags are read.
    pub series: &'a Series,
    /// How companies are told apart.
    pub companies: &'a Companies,
}

/// Views as they were read, and where what they name stands.
#[derive(Debug, Default)]
pub struct ReadViews {
    /// The views, in order.
    pub views: Vec<View>,
    /// Where each begins.
    pub spots: Vec<usize>,
    /// Which views are named, and where.
    pub mentions: Vec<(String, usize)>,
}

/// Reads `[[views]]` of a document; a document without any has none.
///
/// # Errors
/// The first [`Fault`].
pub fn views(text: &str, words: &Words<'_>) -> Result<ReadViews, Fault> {
    let document = parse(text)?;
    let mut reader = Reader { words, mentions: Vec::new(), depth: 0 };
    let mut read = ReadViews::default();
    let Some((_, listed)) = document.iter().find(|(key, _)| key.get_ref() == "views") else {
        return Ok(read);
    };
    let fix = "write each view as [[views]] with a name and one condition";
    let DeValue::Array(list) = listed.get_ref() else {
        return Err(fault(&listed.span(), "views must be a list of tables", fix));
    };
    for one in list {
        let DeValue::Table(table) = one.get_ref() else {
            return Err(fault(&one.span(), "a view must be a table", fix));
        };
        read.views.push(reader.view(table, &one.span())?);
        read.spots.push(one.span().start);
    }
    read.mentions = reader.mentions;
    Ok(read)
}

/// Reads one condition, as `--where` takes it: `tag = "询盘"` or `{ tag = "询盘" }`.
///
/// # Errors
/// The first [`Fault`].
pub fn condition(text: &str, words: &Words<'_>) -> Result<Condition, Fault> {
    let braced = text.trim_start().starts_with('{');
    let wrapped = if braced { format!("where = {text}") } else { text.to_owned() };
    let document = parse(&wrapped)?;
    let mut reader = Reader { words, mentions: Vec::new(), depth: 0 };
    let all = 0..text.len();
    match document.iter().next() {
        Some((_, value)) if braced => reader.condition(value),
        _ => reader.table(&document, &all, &[]),
    }
}

fn parse(text: &str) -> Result<DeTable<'_>, Fault> {
    DeTable::parse(text).map(Spanned::into_inner).map_err(|error| Fault {
        at: error.span().map_or(0, |span| span.start),
        message: error.message().to_owned(),
        fix: "correct the TOML there".to_owned(),
    })
}

struct Reader<'a> {
    words: &'a Words<'a>,
    mentions: Vec<(String, usize)>,
    depth: usize,
}

impl Reader<'_> {
    fn view(&mut self, table: &DeTable<'_>, span: &Range<usize>) -> Result<View, Fault> {
        let name = table.iter().find(|(key, _)| key.get_ref() == "name");
        let Some((_, name)) = name else {
            return Err(fault(span, "a view has no name", "give it one: name = \"…\""));
        };
        let name = match name.get_ref() {
            DeValue::String(text) if !text.trim().is_empty() => text.clone().into_owned(),
            _ => return Err(fault(&name.span(), "a view's name must be a text", "write a text")),
        };
        Ok(View { condition: self.table(table, span, &["name"])?, name })
    }

    /// The one condition of a table.
    fn table(
        &mut self,
        table: &DeTable<'_>,
        span: &Range<usize>,
        beside: &[&str],
    ) -> Result<Condition, Fault> {
        let mut parts = table.iter().filter(|(key, _)| !beside.contains(&key.get_ref().as_ref()));
        let one = "write exactly one condition; join several by any = [{ … }, { … }] or all = […]";
        let Some((key, value)) = parts.next() else {
            return Err(fault(span, "there is no condition", one));
        };
        if let Some((second, _)) = parts.next() {
            let both = format!("both {:?} and {:?} stand here", key.get_ref(), second.get_ref());
            return Err(fault(&second.span(), both, one));
        }
        self.one(key, value)
    }

    fn condition(&mut self, value: &Value<'_>) -> Result<Condition, Fault> {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, &value.span(), &[]),
            other => Err(fault(
                &value.span(),
                format!("a condition must be a table, not a {}", other.type_str()),
                "write it in braces, as { tag = \"询盘\" }",
            )),
        }
    }

    fn nested(&mut self, value: &Value<'_>) -> Result<Box<Condition>, Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("conditions stand more than {DEPTH_MAX} deep in one another");
            return Err(fault(&value.span(), message, "give the inner ones a view of their own"));
        }
        let condition = self.condition(value);
        self.depth -= 1;
        condition.map(Box::new)
    }

    fn list(&mut self, value: &Value<'_>) -> Result<Vec<Condition>, Fault> {
        match value.get_ref() {
            DeValue::Array(list) => list.iter().map(|one| Ok(*self.nested(one)?)).collect(),
            _ => Err(fault(&value.span(), "a list is needed", "write [{ … }, { … }]")),
        }
    }

    fn one(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Value<'_>,
    ) -> Result<Condition, Fault> {
        let span = key.span();
        Ok(match key.get_ref().as_ref() {
            "any" => Condition::Any(self.list(value)?),
            "all" => Condition::All(self.list(value)?),
            "not" => Condition::Not(self.nested(value)?),
            "company_has" => Condition::CompanyHas(self.nested(value)?),
            "tag" => any_of(each(value, |name, span| self.tag(name, span))?),
            "tag_group" => any_of(each(value, |name, span| self.group(name, span))?),
            "address" => {
                let (at, values) = text(value)?;
                Condition::Address { at, values }
            }
            "domain" => {
                let (at, values) = text(value)?;
                Condition::Domain { at, values }
            }
            "company" => {
                Condition::Company(each(company(value)?, |typed, span| self.company(typed, span))?)
            }
            "attr" => self.attribute(value)?,
            "source" => Condition::Attr { name: "source".to_owned(), test: source(value)? },
            "owner" => label(LabelKind::Owner, value, &[])?,
            "stage" => label(LabelKind::Stage, value, self.words.stages)?,
            "created" => Condition::Created(when(value, false)?),
            "view" => match value.get_ref() {
                DeValue::String(name) => {
                    self.mentions.push((name.clone().into_owned(), value.span().start));
                    Condition::View(name.clone().into_owned())
                }
                _ => return Err(not_text(value)),
            },
            other => {
                let act =
                    |name: fn(Act) -> String| Act::ALL.into_iter().find(|a| name(*a) == other);
                match (
                    act(|act| act.plural().to_owned()),
                    act(|act| format!("last_{}", act.past())),
                ) {
                    (Some(act), _) if act != Act::Touch => count(act, value)?,
                    (_, Some(act)) => Condition::Last { act, when: when(value, true)? },
                    _ => {
                        let message = format!("there is no condition {other:?}");
                        return Err(fault(&span, message, known(other, CONDITIONS)));
                    }
                }
            }
        })
    }

    fn tag(&self, name: &str, span: &Range<usize>) -> Result<Condition, Fault> {
        let words = self.words;
        let declared = || words.groups.values().flatten().map(String::as_str);
        if let Some(prefix) = name.strip_suffix('*') {
            let folded = prefix.to_lowercase();
            let begins = |text: &str| text.to_lowercase().starts_with(&folded);
            let series = words.series.marketing.iter().chain(&words.series.reading);
            let fits = words.allow_new
                || declared().any(begins)
                || series
                    .clone()
                    .any(|series| begins(series) || folded.starts_with(&series.to_lowercase()))
                || words.audiences.iter().any(|audience| {
                    begins(audience.as_str())
                        || folded.starts_with(&audience.as_str().to_lowercase())
                });
            if !fits || prefix.is_empty() {
                let message = format!("no declared tag begins with {prefix:?}");
                return Err(fault(
                    span,
                    message,
                    "declare tags under [tags.groups], or correct it",
                ));
            }
            return Ok(Condition::Tag(TagMatch::Prefix(prefix.to_owned())));
        }
        match TagName::parse(name, words.series) {
            Ok(TagName::Plain(plain)) => {
                let same = |tag: &str| tag.to_lowercase() == plain.to_lowercase();
                if !words.allow_new && !declared().any(same) {
                    let near = spelling::like(&plain, declared());
                    let near =
                        near.map_or_else(String::new, |near| format!("did you mean {near:?}? "));
                    let fix = format!("{near}tags are declared under [tags.groups]");
                    return Err(fault(span, format!("tag {plain:?} is not declared"), fix));
                }
            }
            Ok(TagName::Batch(batch)) => {
                if !words.audiences.contains(&batch.audience) {
                    let message = format!("audience {} is not declared", batch.audience);
                    return Err(fault(span, message, "add it to `audiences`, or correct the tag"));
                }
            }
            Ok(TagName::BatchOfToday(batch)) => {
                let fix = format!("write {name}* for all of them");
                let message = format!("tag {:?} names no batch", batch.with_no(0).series);
                return Err(fault(span, message, fix));
            }
            Err(error) => return Err(fault(span, error.to_string(), "correct the tag's name")),
        }
        Ok(Condition::Tag(TagMatch::Name(name.trim().to_owned())))
    }

    fn group(&self, name: &str, span: &Range<usize>) -> Result<Condition, Fault> {
        let kinds = [SeriesKind::Marketing, SeriesKind::Reading].map(SeriesKind::group);
        let mut groups: Vec<&str> =
            kinds.into_iter().chain(self.words.groups.keys().map(String::as_str)).collect();
        if self.words.allow_new {
            groups.push("other");
        }
        if !groups.iter().any(|group| group.to_lowercase() == name.to_lowercase()) {
            let message = format!("there is no tag group {name:?}");
            return Err(fault(span, message, known(name, &groups)));
        }
        Ok(Condition::Tag(TagMatch::Group(name.to_owned())))
    }

    /// The key of a company, named by its domain or, for free mail, by the address.
    fn company(&self, typed: &str, span: &Range<usize>) -> Result<String, Fault> {
        let fix = "name it by its domain, as acme.example";
        let address = match typed.contains('@') {
            true => typed.to_owned(),
            false if self.words.companies.is_free(&typed.to_lowercase()) => {
                let message = format!("{typed} gives mailboxes to everybody: it is no company");
                return Err(fault(span, message, "use domain = { equals = … } instead"));
            }
            false => format!("x@{typed}"),
        };
        let parsed = Address::parse(&address)
            .map_err(|error| fault(span, format!("company {typed:?}: {error}"), fix))?;
        Ok(self.words.companies.of(&parsed.address).into_string())
    }

    fn attribute(&self, value: &Value<'_>) -> Result<Condition, Fault> {
        let fix = "write attr = { name = \"country\", \"=\" = \"DE\" }";
        let DeValue::Table(table) = value.get_ref() else {
            return Err(fault(&value.span(), "attr needs a name and a comparison", fix));
        };
        let name = table.iter().find(|(key, _)| key.get_ref() == "name").map(|(_, name)| name);
        let Some(DeValue::String(name)) = name.map(Spanned::get_ref) else {
            return Err(fault(&value.span(), "attr needs a name: that of a field or column", fix));
        };
        let name = Columns::card_field(name).map_or_else(|| name.trim().to_owned(), str::to_owned);
        let (op, with) = only(table, &value.span(), "name", TESTS)?;
        let test = match (op, with.get_ref()) {
            ("exists", DeValue::Boolean(true)) => Test::Exists,
            ("exists", DeValue::Boolean(false)) => {
                let exists = Condition::Attr { name, test: Test::Exists };
                return Ok(Condition::Not(Box::new(exists)));
            }
            ("exists", _) => return Err(fault(&with.span(), "exists is true or false", fix)),
            ("=" | "equals", _) => Test::OneOf(cells(with)?),
            ("!=", _) => Test::NoneOf(cells(with)?),
            (op, _) => match (Op::parse(op), text_at(op)) {
                (Some(op), _) => Test::Compares(op, measure(with)?),
                (_, at) => Test::Text(at.unwrap_or(TextAt::Contains), texts(with)?),
            },
        };
        Ok(Condition::Attr { name, test })
    }
}

fn any_of(mut list: Vec<Condition>) -> Condition {
    if list.len() == 1 { list.swap_remove(0) } else { Condition::Any(list) }
}
