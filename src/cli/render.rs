//! What people see: the answers' JSON as sentences, aligned lines and tables.
//!
//! Plain text without colour, so that a pipe, a log and `NO_COLOR` need no second form. Whatever an
//! answer holds is shown: keys this file does not know come last, as they are.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Map, Value};

/// Which answer it is, where it is more than keys and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// The plan of a day.
    Plan,
    /// One contact and its timeline.
    Show,
    /// One contact and one day.
    Why,
    /// The proof of the invariants.
    Audit,
    /// Counts by batch.
    Report,
    /// All tags.
    Tags,
    /// Simulated days.
    Forecast,
    /// Anything else.
    Plain,
}

/// The order in which keys are shown; JSON objects have none.
const ORDER: &[&str] = &[
    "address",
    "import",
    "id",
    "at",
    "date",
    "now",
    "from",
    "to",
    "kind",
    "batch",
    "group",
    "tag",
    "name",
    "company",
    "domain",
    "outcome",
    "reason",
    "reasons",
    "cause",
    "detail",
    "rank",
    "state",
    "http",
    "file",
    "line",
    "level",
    "message",
    "fix",
    "who",
    "mode",
    "rows",
    "targets",
    "send",
    "new",
    "known",
    "updated",
    "over_cap",
    "suppressed",
    "duplicate",
    "invalid",
    "placed",
    "planned",
    "claimed",
    "accepted",
    "deferred",
    "deferrals",
    "refused",
    "unknown",
    "withdrawn",
    "expired",
    "remaining",
    "opened",
    "machine_opens",
    "clicked",
    "replied",
    "unsubscribed",
    "complained",
    "bounced",
    "promoted",
    "seconds",
    "count",
    "ok",
    "config",
    "store",
    "contacts",
    "templates",
    "tags",
    "due",
    "rounds",
    "totals",
    "letters",
    "violations",
    "findings",
    "timeline",
];

/// One object, for people; ends with a line feed.
#[must_use]
pub fn one(face: Face, answer: &Value) -> String {
    let Value::Object(object) = answer else { return format!("{}\n", cell(answer)) };
    match face {
        Face::Plan => plan(object),
        Face::Show => show(object),
        Face::Why => why(object),
        Face::Audit => audit(object),
        Face::Report => report(object),
        Face::Tags => tags(object),
        Face::Forecast => forecast(object),
        Face::Plain => plain(object),
    }
}

/// One line per object, as a table; a contact's card is for `show`.
#[must_use]
pub fn lines(answers: &[Value]) -> String {
    if answers.is_empty() { "none\n".to_owned() } else { table(answers, |key| key != "card") }
}

fn plan(plan: &Map<String, Value>) -> String {
    let due: Vec<Value> = plan.get("due").and_then(Value::as_array).cloned().unwrap_or_default();
    let send = plan.get("send").and_then(Value::as_u64).unwrap_or_default();
    let mut text = format!("{}: {}", text_of(plan, "date"), counted(send, "letter", "letters"));
    text.push_str(if due.is_empty() { ", no batch is due\n" } else { "\n" });
    if !due.is_empty() {
        text.push('\n');
        text.push_str(&table(&due, |_| true));
    }
    if let Some(reasons) = plan.get("reasons").filter(|reasons| *reasons != &Value::Null)
        && due.len() > 1
    {
        text.push_str(&format!("\nnot written to, over all batches: {}\n", cell(reasons)));
    }
    text.push_str(&rest(plan, &["date", "due", "send", "reasons"]));
    text
}

fn show(contact: &Map<String, Value>) -> String {
    let mut text = format!("{}\n", text_of(contact, "address"));
    text.push_str(&rest(contact, &["address", "timeline"]));
    let timeline = contact.get("timeline").and_then(Value::as_array);
    let events: Vec<Value> = timeline.into_iter().flatten().map(event).collect();
    if !events.is_empty() {
        text.push('\n');
        text.push_str(&table(&events, |_| true));
    }
    text
}

/// A bar a day, and the pools at its end.
fn forecast(answer: &Map<String, Value>) -> String {
    const BAR: u64 = 30;
    let days: Vec<Value> =
        answer.get("days").and_then(Value::as_array).cloned().unwrap_or_default();
    let number = |day: &Value, key: &str| day.get(key).and_then(Value::as_u64).unwrap_or_default();
    let most = days.iter().map(|day| number(day, "send")).max().unwrap_or_default().max(1);
    let shown = days.iter().map(|day| {
        let length = (number(day, "send") * BAR).div_ceil(most);
        let bar = "█".repeat(usize::try_from(length).unwrap_or_default());
        serde_json::json!({
            "date": day.get("date"),
            "send": day.get("send"),
            " ": bar,
            "carried": day.get("carried"),
            "silent": day.get("silent"),
            "reading": day.get("reading"),
            "waiting": day.get("waiting"),
            "reasons": day.get("reasons"),
        })
    });
    let table = table(&shown.collect::<Vec<_>>(), |_| true);
    format!("{table}{}", rest(answer, &["days", "from"]))
}

/// One event of a timeline: when, what, and all else in one column.
fn event(event: &Value) -> Value {
    let Value::Object(event) = event else { return event.clone() };
    let others = event
        .iter()
        .filter(|(key, value)| !matches!(key.as_str(), "at" | "kind") && !value.is_null());
    let others: Map<String, Value> = others.map(|(k, v)| (k.clone(), v.clone())).collect();
    serde_json::json!({
        "at": text_of(event, "at"),
        "kind": text_of(event, "kind"),
        "detail": cell(&Value::Object(others)),
    })
}

fn why(answer: &Map<String, Value>) -> String {
    let (address, date) = (text_of(answer, "address"), text_of(answer, "date"));
    let (outcome, reason) = (text_of(answer, "outcome"), text_of(answer, "reason"));
    let what = match outcome.as_str() {
        "mailed" => "was written to",
        "send" => "is written to",
        _ => "is not written to",
    };
    let because = match (reason.as_str(), sentence(&reason)) {
        ("", _) => String::new(),
        (_, None) => format!(": {reason}"),
        (_, Some(said)) => format!(": {said} ({reason})"),
    };
    let mut text = format!("{address} {what} on {date}{because}\n");
    let detail = text_of(answer, "detail");
    if !detail.is_empty() {
        text.push_str(&format!("  {detail}\n"));
    }
    text.push_str(&rest(answer, &["address", "date", "outcome", "reason", "detail"]));
    text
}

/// A reason of DESIGN §6 in words.
fn sentence(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "suppressed" => "asked not to be, bounced or complained",
        "waiting" => "replied, and a person has to decide first",
        "in-flight" => "an earlier letter is still on its way",
        "already-today" => "had a letter that day already",
        "gap" => "the last letter is too recent",
        "held" => "the batch is held",
        "no-template" => "there is no template for that language and audience",
        "window" => "the sending window was closed",
        "other-batch" => "another due batch writes the letter",
        "company-cap" => "the company had its letters of that day",
        "sender-cap" => "the sender had its letters of that day",
        "provider-cap" => "the provider had its letters of that day",
        "day-cap" => "all letters of that day are spent",
        "not-due" => "no batch of this contact is due that day",
        "no-such-contact" => "nobody by that address is in the store",
        view if view.starts_with("view:") => "an exclusion view holds this contact",
        _ => return None,
    })
}

fn audit(audit: &Map<String, Value>) -> String {
    let letters = audit.get("letters").and_then(Value::as_u64).unwrap_or_default();
    let letters = counted(letters, "letter", "letters");
    let violations: Vec<&Value> =
        audit.get("violations").and_then(Value::as_array).into_iter().flatten().collect();
    let found = size(&violations);
    let mut text = if violations.is_empty() {
        format!("{letters}, no violation\n")
    } else {
        format!("{letters}, {}:\n", counted(found, "violation", "violations"))
    };
    for violation in violations {
        text.push_str(&format!("  {}\n", cell(violation)));
    }
    text.push_str(&rest(audit, &["letters", "violations"]));
    text
}

fn report(report: &Map<String, Value>) -> String {
    let (from, to) = (text_of(report, "from"), text_of(report, "to"));
    let span = if from == to { from } else { format!("{from} to {to}") };
    let rounds = report.get("rounds").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut text = format!("{span}: {}\n", counted(size(&rounds), "round", "rounds"));
    if !rounds.is_empty() {
        // Columns of nothing but zeros tell nothing.
        let told = |key: &str| rounds.iter().any(|row| row.get(key).is_some_and(|v| v != 0));
        text.push_str(&format!("\n{}\n", table(&rounds, told)));
    }
    let totals: Map<String, Value> = match report.get("totals") {
        Some(Value::Object(totals)) => totals.clone().into_iter().filter(|(_, v)| v != 0).collect(),
        _ => Map::new(),
    };
    let pairs =
        [("in all", cell(&Value::Object(totals))), ("not written to", text_of(report, "reasons"))];
    text.push_str(&aligned(pairs.into_iter().filter(|(_, value)| !value.is_empty())));
    text.push_str(&rest(report, &["from", "to", "rounds", "totals", "reasons"]));
    text
}

/// `{"tags": {TAG: count}, "groups": {TAG: GROUP}}`, by group.
fn tags(answer: &Map<String, Value>) -> String {
    let (Some(Value::Object(tags)), Some(groups)) = (answer.get("tags"), answer.get("groups"))
    else {
        return plain(answer);
    };
    let group = |tag: &String| groups.get(tag).map_or_else(String::new, cell);
    let mut rows: Vec<(String, &String, &Value)> =
        tags.iter().map(|(tag, count)| (group(tag), tag, count)).collect();
    rows.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let rows: Vec<Value> = rows
        .into_iter()
        .map(|(group, tag, count)| serde_json::json!({"group": group, "tag": tag, "contacts": count}))
        .collect();
    lines(&rows) + &rest(answer, &["tags", "groups"])
}

/// Single values as aligned lines, then each list of objects as a table of its own.
fn plain(object: &Map<String, Value>) -> String {
    rest(object, &[])
}

/// [`plain`], without the keys shown before.
fn rest(object: &Map<String, Value>, shown: &[&str]) -> String {
    let keys: Vec<&String> =
        ordered(object.keys()).into_iter().filter(|key| !shown.contains(&key.as_str())).collect();
    let single = keys.iter().filter(|key| !object.get(**key).is_some_and(is_table));
    let mut text = aligned(single.filter_map(|key| Some((key.as_str(), cell(object.get(*key)?)))));
    for key in keys {
        let Some(Value::Array(rows)) = object.get(key).filter(|value| is_table(value)) else {
            continue;
        };
        text.push_str(&format!("\n{key}\n{}", table(rows, |_| true)));
    }
    text
}

fn is_table(value: &Value) -> bool {
    matches!(value, Value::Array(rows) if rows.first().is_some_and(Value::is_object))
}

fn aligned<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut table = bare();
    for (key, value) in pairs {
        table.add_row([key.replace('_', " "), value]);
    }
    printed(&table)
}

fn table(rows: &[Value], wanted: impl Fn(&str) -> bool) -> String {
    let keys = rows.iter().filter_map(Value::as_object).flat_map(Map::keys);
    let keys = ordered(keys.filter(|key| wanted(key)));
    let mut table = bare();
    table.set_header(keys.iter().map(|key| key.replace('_', " ")));
    for row in rows {
        table.add_row(keys.iter().map(|key| row.get(*key).map_or_else(String::new, cell)));
    }
    for (key, column) in keys.iter().zip(table.column_iter_mut()) {
        if rows.iter().all(|row| row.get(*key).is_none_or(Value::is_number)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    printed(&table)
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn printed(table: &Table) -> String {
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.filter(|line| line.len() > 1).collect()
}

/// Keys once each: the known ones in [`ORDER`], then the others as they come.
fn ordered<'a>(keys: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let mut once: Vec<&String> = Vec::new();
    for key in keys {
        if !once.contains(&key) {
            once.push(key);
        }
    }
    once.sort_by_key(|key| ORDER.iter().position(|known| known == key).unwrap_or(ORDER.len()));
    once
}

/// A value in one line: lists joined by commas, objects as `key value`.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        // What came from outside may hold control characters that would steer the terminal.
        Value::String(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => joined(values.iter().map(cell)),
        Value::Object(object) => {
            joined(ordered(object.keys()).into_iter().map(|key| match object.get(key) {
                Some(inner @ Value::Object(_)) => format!("{key} ({})", cell(inner)),
                inner => format!("{key} {}", inner.map_or_else(String::new, cell)),
            }))
        }
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn text_of(object: &Map<String, Value>, key: &str) -> String {
    object.get(key).map_or_else(String::new, cell)
}

fn size<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
