//! What is wrong with a TOML text, in words: the line, the key, and what was probably meant.
//!
//! The parser says what it expected; whoever typed the file asks where, and how to spell it.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::book::spelling::distance;

/// Names listed in a fix at most.
const LISTED_MAX: usize = 20;

/// A fault of a TOML text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    /// Where, from 1.
    pub line: usize,
    /// Where in the line, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

impl Misread {
    /// Puts the parser's error into words.
    #[must_use]
    pub fn of(text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().unwrap_or_default().start;
        let (line, column) = place(text, at);
        let key = DeTable::parse(text).ok().and_then(|table| key_at(table.get_ref(), at));
        let (message, fix) = words(error.message(), key.as_deref());
        Self { line, column, message, fix }
    }
}

/// The line where `keys` lead, or, below it, where `value` stands first; `None` if nowhere.
#[must_use]
pub fn line_of(text: &str, keys: &[&str], value: Option<&str>) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let (first, rest) = keys.split_first()?;
    let mut found = table.get_ref().get(*first)?;
    for key in rest {
        let Some(next) = found.get_ref().as_table().and_then(|table| table.get(*key)) else {
            break;
        };
        found = next;
    }
    let span = value.and_then(|value| span_of(found, value)).unwrap_or_else(|| found.span());
    Some(place(text, span.start).0)
}

/// The name that `typed` was probably meant to be.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = 1 + typed.chars().count() / 4;
    let near = names.into_iter().map(|name| (distance(typed, name), name));
    near.filter(|(steps, _)| *steps <= far).min_by_key(|(steps, _)| *steps).map(|(_, name)| name)
}

/// Line and column of a byte of a text, in characters, from 1.
#[must_use]
pub fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The dotted key whose value or name stands at `at`.
fn key_at(table: &DeTable<'_>, at: usize) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref();
        match below(value, at) {
            Some(rest) => Some(format!("{name}.{rest}")),
            None => holds(&key.span(), at)
                .then(|| name.to_string())
                .or_else(|| holds(&value.span(), at).then(|| name.to_string())),
        }
    })
}

fn below(value: &Spanned<DeValue<'_>>, at: usize) -> Option<String> {
    match value.get_ref() {
        DeValue::Table(table) => key_at(table, at),
        DeValue::Array(list) => list.iter().find_map(|item| below(item, at)),
        _ => None,
    }
}

fn holds(span: &Range<usize>, at: usize) -> bool {
    span.contains(&at)
}

fn span_of(found: &Spanned<DeValue<'_>>, value: &str) -> Option<Range<usize>> {
    match found.get_ref() {
        DeValue::String(text) if text.as_ref() == value => Some(found.span()),
        DeValue::Array(list) => list.iter().find_map(|item| span_of(item, value)),
        DeValue::Table(table) => table.iter().find_map(|(key, item)| {
            if key.get_ref().as_ref() == value { Some(key.span()) } else { span_of(item, value) }
        }),
        _ => None,
    }
}

/// The message and the fix for what the parser said of `key`.
fn words(said: &str, key: Option<&str>) -> (String, String) {
    let of_key = |what: String| key.map_or_else(|| what.clone(), |key| format!("{key}: {what}"));
    let quoted: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
    let (typed, names) = quoted.split_first().map_or(("", [].as_slice()), |(t, n)| (*t, n));
    if said.starts_with("unknown field") {
        return (format!("there is no key {:?}", key.unwrap_or(typed)), spelt(typed, names));
    }
    if said.starts_with("unknown variant") {
        return (of_key(format!("{typed:?} is not known here")), spelt(typed, names));
    }
    if said.starts_with("missing field") {
        let fix = format!("add it, as `{typed} = …`; config/quickstart.toml shows how");
        return (format!("the key {typed:?} is missing"), fix);
    }
    if let Some(zone) = said.strip_prefix("failed to parse timezone: ") {
        let zone = zone.trim_matches('\'');
        let near = nearest(zone, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let fix = match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => "write an IANA name, as \"Asia/Shanghai\"".to_owned(),
        };
        return (of_key(format!("there is no time zone {zone:?}")), fix);
    }
    if said.contains("socket address") {
        let fix = "write IP address and port, as \"127.0.0.1:8025\"";
        return (of_key("no address to listen on".to_owned()), fix.to_owned());
    }
    if said.contains("untagged enum OneOrMany") {
        let fix = "write \"…\", or [\"…\", \"…\"]";
        return (of_key("neither a text nor a list of texts".to_owned()), fix.to_owned());
    }
    if said.contains("untagged enum RawWindow") {
        let fix = "write \"09:00-18:00\", or { mon = \"09:00-18:00\", sat = \"closed\" }";
        return (of_key("neither hours nor days with hours".to_owned()), fix.to_owned());
    }
    match said.split_once(", expected ") {
        Some((what, expected)) => (of_key(what.to_owned()), format!("write {}", plain(expected))),
        None => (
            of_key(said.trim_end().replace('\n', ", ")),
            "correct that line; config/quickstart.toml shows how".to_owned(),
        ),
    }
}

fn spelt(typed: &str, names: &[&str]) -> String {
    if let Some(near) = nearest(typed, names.iter().copied()) {
        return format!("did you mean {near:?}?");
    }
    let listed: Vec<&str> = names.iter().take(LISTED_MAX).copied().collect();
    format!("write one of {}", listed.join(", "))
}

/// What Rust expects, for those who do not write Rust.
fn plain(expected: &str) -> String {
    let most = match expected {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" => u64::MAX,
        "a nonzero u32" => return "a whole number from 1, without quotes".to_owned(),
        "a string" => return "a text in quotes".to_owned(),
        "a sequence" => return "a list, as [\"…\", \"…\"]".to_owned(),
        "a boolean" => return "true or false, without quotes".to_owned(),
        other => return other.to_owned(),
    };
    format!("a whole number from 0 to {most}, without quotes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::typed::Raw;

    #[test]
    fn near_names_are_offered() {
        assert_eq!(nearest("zonne", ["store", "zone"]), Some("zone"));
        assert_eq!(nearest("zonne", ["limits"]), None);
    }

    #[test]
    fn lines_of_keys_and_values() {
        let text = "a = 1\n[b]\nc = [\n  \"x\",\n  \"y\",\n]\n[[d]]\nname = \"n\"\n";
        for (keys, value, line) in [
            (&["a"][..], None, Some(1)),
            (&["b", "c"], None, Some(3)),
            (&["b", "c"], Some("y"), Some(5)),
            (&["b", "c"], Some("absent"), Some(3)),
            (&["d"], Some("n"), Some(8)),
            (&["e"], None, None),
        ] {
            assert_eq!(line_of(text, keys, value), line, "{keys:?} {value:?}");
        }
    }

    #[test]
    fn every_error_of_the_parser_is_put_into_words() {
        for (text, line, column, message, fix) in [
            ("zonne = 1", 1, 1, "there is no key \"zonne\"", "did you mean \"zone\"?"),
            ("[limits]\nday_mx = 1", 2, 1, "no key \"limits.day_mx\"", "did you mean \"day_max\"?"),
            ("zone = \"Asia/Shangai\"", 1, 8, "zone: there is no time zone", "Asia/Shanghai"),
            ("zone = \"Nowhere\"", 1, 8, "no time zone \"Nowhere\"", "IANA"),
            (
                "[limits]\nday_max = \"9\"",
                2,
                11,
                "limits.day_max: invalid type",
                "from 0 to 4294967295",
            ),
            ("transport = \"smtp\"", 1, 13, "transport: \"smtp\" is not known", "maildir, relay"),
            ("[http]\nlisten = \"x\"", 2, 10, "http.listen: no address", "127.0.0.1:8025"),
            ("include = 3", 1, 11, "include: neither a text", "[\"…\", \"…\"]"),
            ("audiences = 3", 1, 13, "audiences: invalid type", "a list"),
            ("[cadence]\nwindow = 9", 2, 10, "cadence.window: neither hours", "09:00-18:00"),
            ("[cadence", 1, 9, "unclosed table", "]"),
            ("", 1, 1, "the key \"zone\" is missing", "`zone = …`"),
        ] {
            let error = toml::from_str::<Raw>(text).err().unwrap();
            let misread = Misread::of(text, &error);
            assert_eq!((misread.line, misread.column), (line, column), "{text}: {misread:?}");
            assert!(misread.message.contains(message), "{text}: {misread:?}");
            assert!(misread.fix.contains(fix), "{text}: {misread:?}");
        }
    }
}
