//! Values as typed in a condition: texts, numbers, dates and comparisons, each with its place.

use std::ops::Range;

use chrono::NaiveDate;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::book::condition::{Cell, Condition, Op, Test, TextAt, When};
use crate::book::contact::{Act, Day};
use crate::book::label::LabelKind;
use crate::book::leaf;
use crate::book::spelling;
use crate::book::view::{COUNT_DAYS_MAX, COUNT_MAX};

const TEXTS: &[&str] = &["starts_with", "ends_with", "contains", "equals"];
const TIMES: &[&str] = &["before_days", "within_days", "never", "=", "!=", "<", "<=", ">", ">="];
const COUNTS: &[&str] = &["=", "!=", "<", "<=", ">", ">=", "within_days"];

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

/// A value and where it stands.
pub(crate) type Value<'i> = Spanned<DeValue<'i>>;

pub(crate) fn fault(
    span: &Range<usize>,
    message: impl Into<String>,
    fix: impl Into<String>,
) -> Fault {
    Fault { at: span.start, message: message.into(), fix: fix.into() }
}

/// "did you mean", and everything that could be.
pub(crate) fn known(typed: &str, words: &[&str]) -> String {
    let list = words.join(", ");
    match spelling::like(typed, words.iter().copied()) {
        Some(near) => format!("did you mean {near:?}? known are: {list}"),
        None => format!("known are: {list}"),
    }
}

pub(crate) fn not_text(value: &Value<'_>) -> Fault {
    let found = value.get_ref().type_str();
    fault(&value.span(), format!("a text is needed, this is a {found}"), "put it in quotes")
}

/// Each text of one text or a list of them.
pub(crate) fn each<T>(
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

pub(crate) fn texts(value: &Value<'_>) -> Result<Vec<String>, Fault> {
    each(value, |text, span| match text.is_empty() {
        true => Err(fault(span, "an empty text is found in every text", "take it out")),
        false => Ok(text.to_owned()),
    })
}

/// The one entry of a table beside `but`, which must be one of `words`.
pub(crate) fn only<'t, 'i>(
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

pub(crate) fn text_at(word: &str) -> Option<TextAt> {
    [TextAt::Starts, TextAt::Ends, TextAt::Contains, TextAt::Equals]
        .into_iter()
        .find(|at| at.as_str() == word)
}

pub(crate) fn text(value: &Value<'_>) -> Result<(TextAt, Vec<String>), Fault> {
    let DeValue::Table(table) = value.get_ref() else {
        let fix = "write it as { ends_with = [\".cn\"] }";
        return Err(fault(&value.span(), "where must the text stand?", fix));
    };
    let (word, values) = only(table, &value.span(), "", TEXTS)?;
    Ok((text_at(word).unwrap_or(TextAt::Equals), texts(values)?))
}

pub(crate) fn company<'t, 'i>(value: &'t Value<'i>) -> Result<&'t Value<'i>, Fault> {
    match value.get_ref() {
        DeValue::Table(table) => {
            only(table, &value.span(), "", &["=", "equals"]).map(|(_, values)| values)
        }
        _ => Ok(value),
    }
}

pub(crate) fn source(value: &Value<'_>) -> Result<Test, Fault> {
    match value.get_ref() {
        DeValue::Table(_) => text(value).map(|(at, values)| Test::Text(at, values)),
        _ => Ok(Test::OneOf(texts(value)?.into_iter().map(Cell::Text).collect())),
    }
}

pub(crate) fn label(
    kind: LabelKind,
    value: &Value<'_>,
    known_ones: &[String],
) -> Result<Condition, Fault> {
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
pub(crate) fn cells(value: &Value<'_>) -> Result<Vec<Cell>, Fault> {
    match value.get_ref() {
        DeValue::Array(list) => list.iter().map(cell).collect(),
        _ => Ok(vec![cell(value)?]),
    }
}

pub(crate) fn cell(value: &Value<'_>) -> Result<Cell, Fault> {
    match value.get_ref() {
        DeValue::String(text) => Ok(Cell::Text(text.clone().into_owned())),
        _ => measure(value),
    }
}

/// A number or a date.
pub(crate) fn measure(value: &Value<'_>) -> Result<Cell, Fault> {
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

pub(crate) fn date(value: &Value<'_>) -> Option<NaiveDate> {
    match value.get_ref() {
        DeValue::Datetime(found) => {
            let date = found.date?;
            NaiveDate::from_ymd_opt(i32::from(date.year), date.month.into(), date.day.into())
        }
        DeValue::String(text) => leaf::date_in(text),
        _ => None,
    }
}

pub(crate) fn integer(value: &Value<'_>) -> Result<i64, Fault> {
    let found = match value.get_ref() {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    };
    found.ok_or_else(|| {
        let found = value.get_ref().type_str();
        fault(&value.span(), format!("a whole number is needed, this is a {found}"), "write one")
    })
}

pub(crate) fn whole<T: TryFrom<i64>>(value: &Value<'_>, max: i64) -> Result<T, Fault> {
    let number = integer(value)?;
    let fits = (0..=max).contains(&number).then(|| T::try_from(number).ok()).flatten();
    fits.ok_or_else(|| {
        fault(&value.span(), format!("{number} is not in 0 to {max}"), format!("write 0 to {max}"))
    })
}

/// `{ ">=" = 2, within_days = 30 }`
pub(crate) fn count(act: Act, value: &Value<'_>) -> Result<Condition, Fault> {
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
pub(crate) fn when(value: &Value<'_>, may_never: bool) -> Result<When, Fault> {
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
