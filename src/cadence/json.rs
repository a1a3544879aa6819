//! One JSON line: an object's keys and values, as text, in the order they are written in.

use std::fmt;

use csv::StringRecord;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::cadence::fault::RowFault;

/// Puts the keys of the object on `line` into `keys` and their values into `values`: texts as they
/// are, numbers and booleans as written, null as nothing, lists with `;` between, objects as JSON.
///
/// # Errors
/// [`RowFault::Json`] when the line holds anything but one object.
pub fn object(
    line: &str,
    keys: &mut StringRecord,
    values: &mut StringRecord,
) -> Result<(), RowFault> {
    keys.clear();
    values.clear();
    let mut reader = serde_json::Deserializer::from_str(line);
    let read = reader.deserialize_map(Pairs { keys, values }).and_then(|()| reader.end());
    read.map_err(|err| RowFault::Json { reason: reason(&err) })
}

/// What the parser says; its line is always 1 and would mislead.
fn reason(err: &serde_json::Error) -> String {
    let text = err.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("{what} at column {}", err.column())
}

struct Pairs<'a> {
    keys: &'a mut StringRecord,
    values: &'a mut StringRecord,
}

impl<'de> Visitor<'de> for Pairs<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            self.keys.push_field(&key);
            self.values.push_field(&text(value));
        }
        Ok(())
    }
}

fn text(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Array(items) => items.into_iter().map(text).collect::<Vec<_>>().join(";"),
        other => other.to_string(),
    }
}
