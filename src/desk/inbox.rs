//! The inbox: whose reply waits for a person, and what the person decides.
//!
//! Nothing but a decision ends the waiting; the decision is an entry like any other.

use serde_json::{Value, json};

use crate::book::contact::{ContactId, Day, Moment};
use crate::control::{Answer, Failure};
use crate::desk::care::Whom;
use crate::desk::keeper::Keeper;
use crate::feedback::entry::{By, Cause, Entry, Target, What};
use crate::feedback::keyword::{Happening, When};
use crate::store::journal::Reader;

/// Words of a reply in the list (characters).
const GLANCE_CHARS: usize = 160;

impl Keeper {
    /// Who waits, the urgent and the oldest first; or all about one of them.
    ///
    /// # Errors
    /// 66 when the one named does not wait.
    pub fn inbox(&self, typed: Option<&str>) -> Result<Answer, Failure> {
        if let Some(typed) = typed {
            let id = self.who_waits(typed)?;
            return Ok(Answer::One(self.waiting_line(id, usize::MAX)?.1));
        }
        let ids: Vec<ContactId> = self.store.state().waiting.iter().collect();
        let mut lines = Vec::with_capacity(ids.len());
        for id in ids {
            lines.push(self.waiting_line(id, GLANCE_CHARS)?);
        }
        lines.sort_by_key(|(order, _)| *order);
        Ok(Answer::Lines(lines.into_iter().map(|(_, line)| line).collect()))
    }

    fn who_waits(&self, typed: &str) -> Result<ContactId, Failure> {
        let id = self.contact_id(typed)?;
        if self.store.state().waiting.contains(id) {
            return Ok(id);
        }
        let fix = "`tradewind inbox` lists who does";
        Err(Failure::new(66, format!("{typed} does not wait for a decision"), fix))
    }

    fn waiting_line(&self, id: ContactId, chars: usize) -> Result<((u8, Moment), Value), Failure> {
        let timeline = self.store.timeline(id)?;
        let begun = timeline.iter().rposition(|entry| matches!(entry.what, What::Decided { .. }));
        let open = timeline.get(begun.map_or(0, |at| at + 1)..).unwrap_or_default();
        let rules = |prefix: &str| -> Vec<String> {
            let noted = open.iter().filter_map(|entry| match &entry.what {
                What::Noted { by: By::Rule(_), text, .. } => text.strip_prefix(prefix),
                _ => None,
            });
            noted.map(str::to_owned).collect()
        };
        let priorities = rules("priority ");
        let priority = ["high", "low"]
            .into_iter()
            .find(|word| priorities.iter().any(|one| one == word))
            .unwrap_or("normal");
        let wrote = open.iter().find(|entry| is_wait(entry));
        let since = wrote.map_or(Moment(0), |entry| entry.at);
        let last = open.iter().rev().find(|entry| matches!(entry.what, What::Replied { .. }));
        let mut line = self.brief(id)?;
        line.insert("since".to_owned(), json!(self.time(since)));
        line.insert("priority".to_owned(), json!(priority));
        line.insert("proposals".to_owned(), json!(rules("proposes ")));
        if let Some(Entry { what: What::Replied { subject, language, text, files, .. }, .. }) = last
        {
            let text: String = text.chars().take(chars).collect();
            line.insert("subject".to_owned(), json!(subject));
            line.insert("language".to_owned(), json!(language));
            line.insert("text".to_owned(), json!(text));
            line.insert("files".to_owned(), json!(files));
        }
        if chars == usize::MAX {
            let events: Vec<Value> = open.iter().map(|entry| self.event(entry)).collect();
            line.insert("timeline".to_owned(), Value::Array(events));
        }
        let order = match priority {
            "high" => 0,
            "low" => 2,
            _ => 1,
        };
        Ok(((order, since), Value::Object(line)))
    }

    /// A person's decision; with `resume` colleagues that waited for the same reply go on as well.
    ///
    /// # Errors
    /// 66 when nobody waits there; a tag that is not declared leaves everything as it was.
    pub fn decide(
        &mut self,
        typed: &str,
        tag: Option<&str>,
        suppress: bool,
        (who, now): (&str, Moment),
    ) -> Result<Value, Failure> {
        let contact = self.who_waits(typed)?;
        let by = By::Person(who.to_owned());
        let how = match (tag, suppress) {
            (Some(tag), _) => {
                let whom = Whom { addresses: vec![typed.to_owned()], view: None, condition: None };
                self.give_tag(&whom, tag, who, now)?;
                format!("tag {tag}")
            }
            (None, true) => {
                let (target, cause) = (Target::Contact(contact), Cause::Operator);
                let note = "decided in the inbox".to_owned();
                self.store.record(now, What::Suppressed { target, cause, note })?;
                "suppress".to_owned()
            }
            (None, false) => "resume".to_owned(),
        };
        let mut released = vec![contact];
        if how == "resume" {
            released.extend(self.stopped_for(contact)?);
        }
        for contact in &released {
            let (contact, by, how) = (*contact, by.clone(), how.clone());
            self.store.record(now, What::Decided { contact, by, how })?;
        }
        self.stale = true;
        Ok(json!({ "address": typed, "decision": how, "released": released.len() }))
    }

    /// Who waits only because of one's reply.
    fn stopped_for(&self, because: ContactId) -> Result<Vec<ContactId>, Failure> {
        let mut found = Vec::new();
        let waiting: Vec<ContactId> = self.store.state().waiting.iter().collect();
        for id in waiting.into_iter().filter(|id| *id != because) {
            let timeline = self.store.timeline(id)?;
            let last = timeline.iter().rev().find(|entry| is_wait(entry));
            let own = matches!(
                last.map(|entry| &entry.what),
                Some(What::StoppedFor { because: other, .. }) if *other == because
            );
            if own {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// What the rules as they are now would do about the replies since a day: one line each.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn rules_dry_run(&mut self, from: Option<chrono::NaiveDate>) -> Result<Answer, Failure> {
        self.store.commit()?;
        let from = from.map(Day::from_date);
        let journal = self.store.dir().join("journal");
        let failed = |error| Failure::from(crate::store::site::StoreError::from(error));
        let mut lines = Vec::new();
        for found in Reader::open(&journal).map_err(failed)?.read_from(1).map_err(failed)? {
            let (_, entry) = found.map_err(failed)?;
            if from.is_some_and(|from| self.day_of(entry.at) < from) {
                continue;
            }
            let Some((when, text, language, kind)) = heard(&entry.what) else { continue };
            let Some(contact) = entry.what.contact() else { continue };
            let only = std::iter::once(contact).collect();
            let today = self.day_of(entry.at);
            let inside =
                |view: &str| self.view(view, &only, today).is_ok_and(|set| set.contains(contact));
            let hard = matches!(entry.what, What::Bounced { hard: true, .. });
            let language = Some(language.as_str()).filter(|code| !code.is_empty());
            let happening =
                Happening { when, text: &text, language, kind, hard, times: 1, in_view: &inside };
            let fired = self.config.rules.iter().filter(|rule| rule.fires(&happening));
            let fired: Vec<Value> = fired.map(crate::desk::effects::told).collect();
            if fired.is_empty() {
                continue;
            }
            let address = self.store.contact(contact)?.map(|one| one.address.as_str().to_owned());
            lines.push(json!({ "at": self.time(entry.at), "address": address, "rules": fired }));
        }
        Ok(Answer::Lines(lines))
    }
}

fn is_wait(entry: &Entry) -> bool {
    matches!(entry.what, What::Replied { .. } | What::StoppedFor { .. })
}

type Heard = (When, String, String, Option<crate::feedback::verdict::AutoKind>);

/// What rules hear of an entry.
fn heard(what: &What) -> Option<Heard> {
    let none = String::new;
    match what {
        What::Replied { subject, text, language, .. } => {
            Some((When::Replied, format!("{subject}\n{text}"), language.clone(), None))
        }
        What::AutoReplied { kind, text, .. } => {
            Some((When::AutoReplied, text.clone(), none(), Some(*kind)))
        }
        What::Bounced { words, letter: Some(_), .. } => {
            Some((When::Bounced, words.clone(), none(), None))
        }
        What::Complained { letter: Some(_), .. } => Some((When::Complained, none(), none(), None)),
        What::Unsubscribed { .. } => Some((When::Unsubscribed, none(), none(), None)),
        _ => None,
    }
}
