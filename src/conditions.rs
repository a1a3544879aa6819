//! Conditions as typed in TOML: every mistake names its place and what to write instead.
//!
//! Read by hand from the document's own tree, because only that knows where each value stands. The
//! same reader serves `[[views]]` in a configuration and `--where` on the command line.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::NaiveDate;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::book::address::Address;
use crate::book::company::Companies;
use crate::book::condition::{Cell, Condition, Op, TagMatch, Test, TextAt, When};
use crate::book::contact::{Act, Day};
use crate::book::label::LabelKind;
use crate::book::leaf;
use crate::book::spelling;
use crate::book::tag::{Audience, Series, SeriesKind, TagName};
use crate::book::view::{COUNT_DAYS_MAX, COUNT_MAX, View};
use crate::cadence::columns::Columns;

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
const TEXTS: &[&str] = &["starts_with", "ends_with", "contains", "equals"];
const TIMES: &[&str] = &["before_days", "within_days", "never", "=", "!=", "<", "<=", ">", ">="];
const COUNTS: &[&str] = &["=", "!=", "<", "<=", ">", ">=", "within_days"];
const TESTS: &[&str] =
    &["=", "!=", "<", "<=", ">", ">=", "equals", "contains", "starts_with", "ends_with", "exists"];
/// Conditions in one another at most.
const DEPTH_MAX: usize = 32;

/// What is wrong, where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the text, in bytes.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub fix: String,
}

impl Fault {
    /// The line it is in, from 1.
    #[must_use]
    pub fn line(&self, text: &str) -> usize {
        let before = text.as_bytes().iter().take(self.at);
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}

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

fn fault(span: &Range<usize>, message: impl Into<String>, fix: impl Into<String>) -> Fault {
    Fault { at: span.start, message: message.into(), fix: fix.into() }
}

/// "did you mean", and everything that could be.
fn known(typed: &str, words: &[&str]) -> String {
    let list = words.join(", ");
    match spelling::like(typed, words.iter().copied()) {
        Some(near) => format!("did you mean {near:?}? known are: {list}"),
        None => format!("known are: {list}"),
    }
}

type Value<'i> = Spanned<DeValue<'i>>;

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

fn not_text(value: &Value<'_>) -> Fault {
    let found = value.get_ref().type_str();
    fault(&value.span(), format!("a text is needed, this is a {found}"), "put it in quotes")
}

/// Each text of one text or a list of them.
fn each<T>(
    value: &Value<'_>,
    mut read: impl FnMut(&str, &Range<usize>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut one = |value: &Value<'_>| match value.get_ref() {
        DeValue::String(text) => read(text, &value.span()),
        _ => Err(not_text(value)),
    };
    match value.get_ref() {
        DeValue::Array(list) if list.is_empty() => {
            Err(fault(&value.span(), "an empty list matches nobody", "name at least one"))
        }
        DeValue::Array(list) => list.iter().map(one).collect(),
        _ => Ok(vec![one(value)?]),
    }
}

fn texts(value: &Value<'_>) -> Result<Vec<String>, Fault> {
    each(value, |text, span| match text.is_empty() {
        true => Err(fault(span, "an empty text is found in every text", "take it out")),
        false => Ok(text.to_owned()),
    })
}

/// The one entry of a table beside `but`, which must be one of `words`.
fn only<'t, 'i>(
    table: &'t DeTable<'i>,
    span: &Range<usize>,
    but: &str,
    words: &[&'static str],
) -> Result<(&'static str, &'t Value<'i>), Fault> {
    let mut found = None;
    for (key, value) in table.iter().filter(|(key, _)| key.get_ref() != but) {
        let Some(word) = words.iter().find(|word| **word == key.get_ref().as_ref()) else {
            let message = format!("there is no operator {:?} here", key.get_ref());
            return Err(fault(&key.span(), message, known(key.get_ref(), words)));
        };
        if found.replace((*word, value)).is_some() {
            let fix = "write one; join two conditions by all = [{ … }, { … }]";
            return Err(fault(&key.span(), "two operators stand here", fix));
        }
    }
    found.ok_or_else(|| {
        let fix = format!("write one of: {}", words.join(", "));
        fault(span, "an operator is missing", fix)
    })
}

fn text_at(word: &str) -> Option<TextAt> {
    [TextAt::Starts, TextAt::Ends, TextAt::Contains, TextAt::Equals]
        .into_iter()
        .find(|at| at.as_str() == word)
}

fn text(value: &Value<'_>) -> Result<(TextAt, Vec<String>), Fault> {
    let DeValue::Table(table) = value.get_ref() else {
        let fix = "write it as { ends_with = [\".cn\"] }";
        return Err(fault(&value.span(), "where must the text stand?", fix));
    };
    let (word, values) = only(table, &value.span(), "", TEXTS)?;
    Ok((text_at(word).unwrap_or(TextAt::Equals), texts(values)?))
}

fn company<'t, 'i>(value: &'t Value<'i>) -> Result<&'t Value<'i>, Fault> {
    match value.get_ref() {
        DeValue::Table(table) => {
            only(table, &value.span(), "", &["=", "equals"]).map(|(_, values)| values)
        }
        _ => Ok(value),
    }
}

fn source(value: &Value<'_>) -> Result<Test, Fault> {
    match value.get_ref() {
        DeValue::Table(_) => text(value).map(|(at, values)| Test::Text(at, values)),
        _ => Ok(Test::OneOf(texts(value)?.into_iter().map(Cell::Text).collect())),
    }
}

fn label(kind: LabelKind, value: &Value<'_>, known_ones: &[String]) -> Result<Condition, Fault> {
    if let DeValue::Table(table) = value.get_ref() {
        let any = Condition::Label { kind, values: Vec::new() };
        return match only(table, &value.span(), "", &["exists"])?.1.get_ref() {
            DeValue::Boolean(true) => Ok(any),
            DeValue::Boolean(false) => Ok(Condition::Not(Box::new(any))),
            _ => Err(fault(&value.span(), "exists is true or false", "write { exists = true }")),
        };
    }
    let one = |text: &str, span: &Range<usize>| {
        let same = |known: &String| known.to_lowercase() == text.to_lowercase();
        if text.is_empty() || !(known_ones.is_empty() || known_ones.iter().any(same)) {
            let words: Vec<&str> = known_ones.iter().map(String::as_str).collect();
            return Err(fault(span, format!("there is no {kind} {text:?}"), known(text, &words)));
        }
        Ok(text.to_owned())
    };
    Ok(Condition::Label { kind, values: each(value, one)? })
}

/// One cell or a list of them.
fn cells(value: &Value<'_>) -> Result<Vec<Cell>, Fault> {
    match value.get_ref() {
        DeValue::Array(list) => list.iter().map(cell).collect(),
        _ => Ok(vec![cell(value)?]),
    }
}

fn cell(value: &Value<'_>) -> Result<Cell, Fault> {
    match value.get_ref() {
        DeValue::String(text) => Ok(Cell::Text(text.clone().into_owned())),
        _ => measure(value),
    }
}

/// A number or a date.
fn measure(value: &Value<'_>) -> Result<Cell, Fault> {
    let number = |text: &str| text.replace('_', "").parse().ok().map(Cell::Number);
    let found = match value.get_ref() {
        DeValue::Integer(_) => integer(value).ok().and_then(|n| number(&n.to_string())),
        DeValue::Float(float) => number(float.as_str()).filter(|_| float.as_str().is_ascii()),
        DeValue::Datetime(_) => date(value).map(Cell::Date),
        DeValue::String(text) => leaf::date_in(text).map(Cell::Date),
        _ => None,
    };
    found.ok_or_else(|| {
        let fix = "write a number without quotes, or a date as 2024-09-05";
        fault(&value.span(), "a number or a date is needed here", fix)
    })
}

fn date(value: &Value<'_>) -> Option<NaiveDate> {
    match value.get_ref() {
        DeValue::Datetime(found) => {
            let date = found.date?;
            NaiveDate::from_ymd_opt(i32::from(date.year), date.month.into(), date.day.into())
        }
        DeValue::String(text) => leaf::date_in(text),
        _ => None,
    }
}

fn integer(value: &Value<'_>) -> Result<i64, Fault> {
    let found = match value.get_ref() {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    };
    found.ok_or_else(|| {
        let found = value.get_ref().type_str();
        fault(&value.span(), format!("a whole number is needed, this is a {found}"), "write one")
    })
}

fn whole<T: TryFrom<i64>>(value: &Value<'_>, max: i64) -> Result<T, Fault> {
    let number = integer(value)?;
    let fits = (0..=max).contains(&number).then(|| T::try_from(number).ok()).flatten();
    fits.ok_or_else(|| {
        fault(&value.span(), format!("{number} is not in 0 to {max}"), format!("write 0 to {max}"))
    })
}

/// `{ ">=" = 2, within_days = 30 }`
fn count(act: Act, value: &Value<'_>) -> Result<Condition, Fault> {
    let fix = format!("write {} = {{ \">=\" = 2, within_days = 30 }}", act.plural());
    let DeValue::Table(table) = value.get_ref() else {
        return Err(fault(&value.span(), "a count needs a comparison", fix));
    };
    let days = table.iter().find(|(key, _)| key.get_ref() == "within_days");
    let within_days = days.map(|(_, days)| whole(days, COUNT_DAYS_MAX.into())).transpose();
    let within_days = within_days.map_err(|wrong| {
        let fix =
            format!("counts reach {COUNT_DAYS_MAX} days back; last_{} reaches further", act.past());
        Fault { fix, ..wrong }
    })?;
    let (word, number) = only(table, &value.span(), "within_days", COUNTS)?;
    let op = Op::parse(word).ok_or_else(|| fault(&value.span(), "a comparison is missing", fix))?;
    Ok(Condition::Count { act, op, number: whole(number, COUNT_MAX.into())?, within_days })
}

/// `"never"`, `{ before_days = 90 }`, `{ ">=" = 2024-09-01 }`
fn when(value: &Value<'_>, may_never: bool) -> Result<When, Fault> {
    let fix =
        "write { before_days = 90 }, { within_days = 30 }, { \">=\" = 2024-09-01 } or \"never\"";
    let table = match value.get_ref() {
        DeValue::String(word) if word == "never" && may_never => return Ok(When::Never),
        DeValue::Table(table) => table,
        _ => return Err(fault(&value.span(), "when?", fix)),
    };
    let (word, with) = only(table, &value.span(), "", TIMES)?;
    let days = || whole::<u16>(with, 65_000);
    match (word, Op::parse(word)) {
        ("before_days", _) => Ok(When::BeforeDays(days()?)),
        ("within_days", _) => Ok(When::WithinDays(days()?)),
        (_, Some(op)) => {
            let date = date(with).ok_or_else(|| fault(&with.span(), "a date is needed", fix))?;
            Ok(When::Day(op, Day::from_date(date)))
        }
        _ if with.get_ref().as_bool() == Some(true) && may_never => Ok(When::Never),
        _ => Err(fault(&with.span(), "never is true, or left out", fix)),
    }
}
