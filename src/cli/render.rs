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
    let what = if outcome == "send" { "is written to" } else { "is not written to" };
    let because = sentence(&reason).map_or_else(String::new, |said| format!(": {said}"));
    let mut text = format!("{address} {what} on {date}{because}");
    if !reason.is_empty() {
        text.push_str(&format!(" ({reason})"));
    }
    text.push('\n');
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
        Value::Object(object) => joined(
            ordered(object.keys())
                .into_iter()
                .map(|key| format!("{key} {}", object.get(key).map_or_else(String::new, cell))),
        ),
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plan_is_a_table_of_batches_and_reasons() {
        let text = one(
            Face::Plan,
            &json!({"date": "2024-09-05", "send": 12, "reasons": {"company-cap": 2, "gap": 1},
            "due": [
                {"batch": "英语-工程设备经销商-营销05", "targets": 13, "send": 10,
                 "reasons": {"company-cap": 2, "gap": 1}},
                {"batch": "英语-工程设备经销商-阅读05", "targets": 2, "send": 2, "reasons": {}},
            ]}),
        );
        assert_eq!(
            text,
            "2024-09-05: 12 letters\n\n \
             batch                       reasons               targets  send\n \
             英语-工程设备经销商-营销05  company-cap 2, gap 1       13    10\n \
             英语-工程设备经销商-阅读05                              2     2\n\n\
             not written to, over all batches: company-cap 2, gap 1\n"
        );
        let text = one(Face::Plan, &json!({"date": "2024-08-31", "send": 0, "due": []}));
        assert_eq!(text, "2024-08-31: 0 letters, no batch is due\n");
    }

    #[test]
    fn why_is_one_sentence_and_its_detail() {
        let text = one(
            Face::Why,
            &json!({"address": "ann@acme.example", "date": "2024-09-05", "outcome": "skip",
                "reason": "company-cap", "detail": "20 of 20 letters to acme.example"}),
        );
        assert_eq!(
            text,
            "ann@acme.example is not written to on 2024-09-05: the company had its letters of that \
             day (company-cap)\n  20 of 20 letters to acme.example\n"
        );
        let text = one(
            Face::Why,
            &json!({"address": "a@b.example", "date": "2024-09-05", "outcome": "send",
                "reason": null, "detail": null}),
        );
        assert_eq!(text, "a@b.example is written to on 2024-09-05\n");
    }

    #[test]
    fn a_contact_is_lines_and_a_timeline() {
        let text = one(
            Face::Show,
            &json!({"address": "a@b.example", "id": 7, "company": "b.example",
                "tags": ["x", "y"], "suppressed": false,
                "timeline": [{"at": "2024-09-05T09:00:00+08:00", "kind": "imported", "import": 1},
                             {"at": "2024-09-05T10:00:00+08:00", "kind": "accepted"}]}),
        );
        assert_eq!(
            text,
            "a@b.example\n id          7\n company     b.example\n suppressed  no\n \
             tags        x, y\n\n \
             at                         kind      detail\n \
             2024-09-05T09:00:00+08:00  imported  import 1\n \
             2024-09-05T10:00:00+08:00  accepted\n"
        );
    }

    #[test]
    fn an_audit_says_it_first() {
        let clean = one(Face::Audit, &json!({"letters": 1, "violations": []}));
        assert_eq!(clean, "1 letter, no violation\n");
        let bad = one(Face::Audit, &json!({"letters": 9, "violations": ["twice: a@b.example"]}));
        assert_eq!(bad, "9 letters, 1 violation:\n  twice: a@b.example\n");
    }

    #[test]
    fn lists_are_tables_and_strange_keys_are_kept() {
        let text =
            lines(&[json!({"tag": "询盘", "count": 2, "zeal": true}), json!({"tag": "同行"})]);
        assert_eq!(text, " tag   count  zeal\n 询盘      2  yes\n 同行\n");
        assert_eq!(lines(&[]), "none\n");
    }

    #[test]
    fn a_report_shows_what_there_is() {
        let text = one(
            Face::Report,
            &json!({"from": "2024-09-05", "to": "2024-09-06", "reasons": {"gap": 2},
                "totals": {"accepted": 5, "refused": 0},
                "rounds": [{"date": "2024-09-05", "batch": "英语-a-营销05", "targets": 7,
                    "accepted": 5, "refused": 0, "reasons": {"gap": 2}}]}),
        );
        assert_eq!(
            text,
            "2024-09-05 to 2024-09-06: 1 round\n\n \
             date        batch          reasons  targets  accepted\n \
             2024-09-05  英语-a-营销05  gap 2          7         5\n\n \
             in all          accepted 5\n not written to  gap 2\n"
        );
    }

    #[test]
    fn tags_stand_by_group() {
        let text = one(
            Face::Tags,
            &json!({"tags": {"询盘": 2, "同行": 0}, "groups": {"询盘": "intention", "同行": "risk"}}),
        );
        assert_eq!(
            text,
            " group      tag   contacts\n intention  询盘         2\n risk       同行         0\n"
        );
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let text = one(Face::Plain, &json!({"name": "a\u{1b}[2Jb\nc"}));
        assert_eq!(text, " name  a [2Jb c\n");
    }
}
