//! What entries and contacts look like from outside: the JSON of `show` and its timeline.

use serde_json::{Map, Value, json};

use crate::book::contact::{ContactId, Moment};
use crate::book::label::LabelKind;
use crate::control::Failure;
use crate::desk::keeper::Keeper;
use crate::feedback::entry::{By, Cause, Entry, LetterId, Via, What};
use crate::feedback::verdict::{AutoKind, Class};

impl Keeper {
    /// An instant in the configured zone, RFC 3339.
    #[must_use]
    pub fn time(&self, at: Moment) -> String {
        at.utc().with_timezone(&self.config.zone.0).to_rfc3339()
    }

    /// A contact with everything that happened to it.
    ///
    /// # Errors
    /// When there is no such contact, or the store cannot be read.
    pub fn show(&self, typed: &str) -> Result<Value, Failure> {
        let id = self.contact_id(typed)?;
        let mut shown = self.brief(id)?;
        let events = self.store.timeline(id)?;
        let timeline: Vec<Value> = events.iter().map(|entry| self.event(entry)).collect();
        shown.insert("timeline".to_owned(), Value::Array(timeline));
        Ok(Value::Object(shown))
    }

    /// A contact without its history.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn brief(&self, id: ContactId) -> Result<Map<String, Value>, Failure> {
        let state = self.store.state();
        let mut shown = Map::new();
        let Some(contact) = self.store.contact(id)? else { return Ok(shown) };
        let tags: Vec<&str> = state.tags_of(id).map(|tag| tag.name.as_str()).collect();
        shown.insert("address".to_owned(), json!(contact.address.as_str()));
        shown.insert("id".to_owned(), json!(id.0));
        shown.insert("company".to_owned(), json!(self.store.company_key(contact.company)?));
        shown.insert("tags".to_owned(), json!(tags));
        shown.insert("suppressed".to_owned(), json!(state.suppressed.contains(id)));
        shown.insert("rank".to_owned(), json!(contact.rank));
        for kind in [LabelKind::Owner, LabelKind::Stage] {
            if let Some(label) = state.label_of(kind, id) {
                shown.insert(kind.to_string(), json!(label));
            }
        }
        let fields = contact.card.fields();
        let given: Map<String, Value> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .chain(contact.card.attributes.iter().map(|(name, value)| (name.clone(), json!(value))))
            .filter(|(_, value)| value != "")
            .collect();
        shown.insert("card".to_owned(), Value::Object(given));
        Ok(shown)
    }

    /// One entry of a timeline.
    #[must_use]
    pub fn event(&self, entry: &Entry) -> Value {
        let mut event = Map::new();
        event.insert("at".to_owned(), json!(self.time(entry.at)));
        event.insert("kind".to_owned(), json!(entry.what.kind()));
        let mut add = |name: &str, value: Value| {
            event.insert(name.to_owned(), value);
        };
        match &entry.what {
            What::Imported { import, tags, rank, .. } => {
                let names: Vec<String> = tags.iter().map(|tag| self.tag_name(*tag)).collect();
                add("import", json!(import));
                add("tags", json!(names));
                add("rank", json!(rank));
            }
            What::Updated { import, .. } => add("import", json!(import)),
            What::Tagged { tag, day, by, .. } => {
                add("tag", json!(self.tag_name(*tag)));
                add("day", json!(day.to_string()));
                add("by", json!(author(by)));
            }
            What::Untagged { tag, by, reason, .. } => {
                add("tag", json!(self.tag_name(*tag)));
                add("by", json!(author(by)));
                add("reason", json!(reason));
            }
            What::Suppressed { cause, note, .. } => {
                add("cause", json!(cause_word(*cause)));
                add("reason", json!(note));
            }
            What::Unsuppressed { reason, .. } => {
                add("text", json!(format!("taken off the suppression list: {reason}")));
            }
            What::Unsubscribed { letter, via, .. } => {
                add("via", json!(via_word(*via)));
                if let Some(letter) = letter {
                    add("letter", self.letter(*letter));
                }
            }
            What::Labelled { kind, value, by, .. } => {
                add(&kind.to_string(), json!(value));
                add("by", json!(author(by)));
            }
            What::Noted { by, text, .. } => {
                add("by", json!(author(by)));
                add("text", json!(text));
            }
            what => self.letter_event(what, &mut add),
        }
        Value::Object(event)
    }

    fn letter_event(&self, what: &What, add: &mut dyn FnMut(&str, Value)) {
        match what {
            What::Claimed { letter, day, attempt, template, .. } => {
                add("letter", self.letter(*letter));
                add("day", json!(day.to_string()));
                add("attempt", json!(attempt));
                let state = self.store.state();
                let name = state.templates.get(template).map(|(name, _)| name.as_str());
                add("template", json!(name));
            }
            What::Accepted { letter, reply } => {
                add("letter", self.letter(*letter));
                add("reply", json!(reply));
            }
            What::Deferred { letter, until, class, reply } => {
                add("letter", self.letter(*letter));
                add("until", json!(self.time(*until)));
                add("class", json!(format!("{class:?}")));
                add("reply", json!(reply));
            }
            What::Refused { letter, class, reply } => {
                add("letter", self.letter(*letter));
                add("class", json!(format!("{class:?}")));
                add("reply", json!(reply));
            }
            What::Unknown { letter, why } => {
                add("letter", self.letter(*letter));
                add("reason", json!(why));
            }
            What::Withdrawn { letter, reason } => {
                add("letter", self.letter(*letter));
                add("reason", json!(reason));
            }
            What::Expired { letter } => add("letter", self.letter(*letter)),
            What::Opened { letter, class, reason, .. } => {
                add("letter", self.letter(*letter));
                add("class", json!(class.as_str()));
                add("reason", json!(reason));
            }
            What::Clicked { letter, link, class, .. } => {
                add("letter", self.letter(*letter));
                add("link", json!(link));
                add("class", json!(class.as_str()));
            }
            what => self.answer_event(what, add),
        }
    }

    fn answer_event(&self, what: &What, add: &mut dyn FnMut(&str, Value)) {
        let mut about = |letter: &Option<LetterId>| {
            add("letter", letter.map_or(Value::Null, |letter| self.letter(letter)));
        };
        match what {
            What::Bounced { letter, hard, status, class, words, .. } => {
                about(letter);
                add("hard", json!(hard));
                add("status", json!(status));
                add("class", json!(class_word(*class)));
                add("reason", json!(words));
            }
            What::Complained { letter, feedback, .. } => {
                about(letter);
                add("feedback", json!(feedback));
            }
            What::Replied { letter, from, subject, language, text, files, .. } => {
                about(letter);
                add("from", json!(from));
                add("subject", json!(subject));
                add("language", json!(language));
                add("text", json!(text));
                add("files", json!(files));
            }
            What::AutoReplied { letter, kind, until, text, .. } => {
                about(letter);
                add("auto", json!(auto_word(*kind)));
                add("until", json!(until.map(|day| day.to_string())));
                add("text", json!(text));
            }
            What::StoppedFor { because, .. } => {
                let wrote = self.store.contact(*because).ok().flatten();
                add("because", json!(wrote.map(|one| one.address.as_str().to_owned())));
            }
            What::Decided { by, how, .. } => {
                add("by", json!(author(by)));
                add("decision", json!(how));
            }
            _ => (),
        }
    }

    /// A letter as it is shown.
    #[must_use]
    pub fn letter(&self, letter: LetterId) -> Value {
        json!({ "batch": self.tag_name(letter.tag), "due": letter.due.to_string() })
    }
}

/// Who or what did something, as it is shown.
#[must_use]
pub fn author(by: &By) -> String {
    match by {
        By::Person(name) => name.clone(),
        By::Rule(name) => format!("rule {name}"),
        By::Import(number) => format!("import {number}"),
    }
}

/// A kind of auto-reply as it is shown.
#[must_use]
pub fn auto_word(kind: AutoKind) -> &'static str {
    match kind {
        AutoKind::Vacation => "vacation",
        AutoKind::Left => "left",
        AutoKind::Ticket => "ticket",
        AutoKind::Other => "auto-reply",
    }
}

/// A class of trouble as reports of bounces show it (DESIGN §8).
#[must_use]
pub fn class_word(class: Class) -> &'static str {
    match class {
        Class::InvalidRecipient => "invalid-recipient",
        Class::Inactive => "inactive",
        Class::BadDomain => "bad-domain",
        Class::Quota => "quota",
        Class::Rate => "rate",
        Class::Greylist => "greylist",
        Class::Policy => "policy",
        Class::Spam => "spam",
        Class::Auth => "auth",
        Class::Message => "message",
        Class::Network => "network",
        Class::Protocol => "protocol",
        Class::Other => "other",
    }
}

/// A cause as it is shown.
#[must_use]
pub fn cause_word(cause: Cause) -> &'static str {
    match cause {
        Cause::Unsubscribed => "unsubscribed",
        Cause::Complained => "complained",
        Cause::HardBounce => "hard-bounce",
        Cause::Operator => "operator",
        Cause::Erased => "erased",
    }
}

fn via_word(via: Via) -> &'static str {
    match via {
        Via::OneClick => "one-click",
        Via::Page => "page",
        Via::Mail => "mail",
    }
}
