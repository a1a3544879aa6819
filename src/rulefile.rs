//! The file of rules: TOML as typed, then rules as they are meant.

use std::collections::BTreeSet;

use regex_lite::RegexBuilder;
use serde::Deserialize;

use crate::feedback::keyword::{Priority, Rule, When};
use crate::feedback::verdict::AutoKind;

/// The rules that hold when the configuration names none.
pub const SHIPPED: &str = include_str!("../config/rules.toml");
/// Rules in a file.
const RULES_MAX: usize = 500;
/// A compiled pattern is no larger (bytes).
const PATTERN_BYTES_MAX: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    when: RawWhen,
    #[serde(default, rename = "if")]
    condition: RawIf,
    then: RawThen,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawWhen {
    Replied,
    AutoReply,
    Bounced,
    Complained,
    Unsubscribed,
    Opened,
    Clicked,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawIf {
    words: Vec<String>,
    pattern: Option<String>,
    language: Vec<String>,
    kind: Option<RawKind>,
    hard: Option<bool>,
    times: u32,
    view: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    Vacation,
    Left,
    Ticket,
    Other,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawThen {
    tag: Option<String>,
    #[serde(default)]
    propose: bool,
    note: Option<String>,
    priority: Option<RawPriority>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawPriority {
    Low,
    Normal,
    High,
}

/// Reads a file of rules; the order of the file is the order in which they fire.
///
/// # Errors
/// What is wrong, with the rule's name or TOML's line.
pub fn parse(text: &str) -> Result<Vec<Rule>, String> {
    let file: File =
        toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    if file.rule.len() > RULES_MAX {
        return Err(format!("{} rules; at most {RULES_MAX} are taken", file.rule.len()));
    }
    let mut names = BTreeSet::new();
    for raw in &file.rule {
        if raw.name.trim().is_empty() || !names.insert(raw.name.clone()) {
            return Err(format!("rule {:?}: every rule needs a name of its own", raw.name));
        }
    }
    file.rule.into_iter().map(meant).collect()
}

fn meant(raw: Raw) -> Result<Rule, String> {
    let Raw { name, when, condition, then } = raw;
    let pattern = match &condition.pattern {
        None => None,
        Some(text) => {
            let mut builder = RegexBuilder::new(text);
            let built = builder.case_insensitive(true).size_limit(PATTERN_BYTES_MAX).build();
            Some(built.map_err(|error| format!("rule {name:?}: pattern {text:?}: {error}"))?)
        }
    };
    if then.tag.is_none() && then.note.is_none() && then.priority.is_none() {
        return Err(format!("rule {name:?} does nothing: give it a tag, note or priority"));
    }
    Ok(Rule {
        when: match when {
            RawWhen::Replied => When::Replied,
            RawWhen::AutoReply => When::AutoReplied,
            RawWhen::Bounced => When::Bounced,
            RawWhen::Complained => When::Complained,
            RawWhen::Unsubscribed => When::Unsubscribed,
            RawWhen::Opened => When::Opened,
            RawWhen::Clicked => When::Clicked,
        },
        words: condition.words.iter().map(|word| word.trim().to_lowercase()).collect(),
        pattern,
        languages: condition.language,
        kind: condition.kind.map(|kind| match kind {
            RawKind::Vacation => AutoKind::Vacation,
            RawKind::Left => AutoKind::Left,
            RawKind::Ticket => AutoKind::Ticket,
            RawKind::Other => AutoKind::Other,
        }),
        hard: condition.hard,
        times: condition.times,
        view: condition.view,
        tag: then.tag,
        propose: then.propose,
        note: then.note,
        priority: then.priority.map(|priority| match priority {
            RawPriority::Low => Priority::Low,
            RawPriority::Normal => Priority::Normal,
            RawPriority::High => Priority::High,
        }),
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_hold_together() {
        let rules = parse(SHIPPED).unwrap();
        assert!(rules.iter().any(|rule| rule.tag.as_deref() == Some("询盘")));
        assert!(rules.iter().any(|rule| rule.kind == Some(AutoKind::Left)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (text, said) in [
            ("[[rule]]\nname = 'a'\nwhen = 'replied'\nthen = {}", "does nothing"),
            ("[[rule]]\nname = ''\nwhen = 'replied'\nthen = { note = 'x' }", "name of its own"),
            ("[[rule]]\nname = 'a'\nwhen = 'tagged'\nthen = { note = 'x' }", "unknown variant"),
            (
                "[[rule]]\nname = 'a'\nwhen = 'replied'\nif = { pattern = '(' }\nthen = { note = 'x' }",
                "pattern",
            ),
        ] {
            assert!(parse(text).unwrap_err().contains(said), "{text}");
        }
    }
}
