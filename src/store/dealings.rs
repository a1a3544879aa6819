//! Dealings: what the state knows of a contact beside tags and letters.

use crate::book::contact::{Act, ContactId, Day};
use crate::book::label::{Label, LabelKind};
use crate::feedback::entry::{By, What};
use crate::feedback::open::OpenClass;
use crate::store::state::State;

impl State {
    /// When a contact did something last.
    #[must_use]
    pub fn last(&self, act: Act, contact: ContactId) -> Option<Day> {
        match act {
            Act::Letter => self.contacts.last_day(contact),
            act => self.acts.last(act, contact),
        }
    }

    /// The contact's owner or stage.
    #[must_use]
    pub fn label_of(&self, kind: LabelKind, contact: ContactId) -> Option<&str> {
        let has = |label: &&Label| label.kind == kind && label.members.contains(contact);
        self.labels.iter().find(has).map(|label| label.value.as_str())
    }

    /// Folds in what they did beside opening letters, and what was done about them.
    pub(crate) fn deal(&mut self, what: &What) {
        match what {
            What::Clicked { letter, class, day, .. } => {
                self.round(*letter).counts.clicked += 1;
                if matches!(class, OpenClass::Human | OpenClass::ProxyHuman) {
                    self.did(Act::Click, letter.contact, *day);
                }
            }
            What::Replied { contact, day, .. } => {
                self.did(Act::Reply, *contact, *day);
                self.waiting.insert(*contact);
            }
            What::Noted { contact, day, by, .. } => self.touched(*contact, *day, by),
            What::Labelled { contact, kind, value, day, by } => {
                self.label(*contact, *kind, value);
                self.touched(*contact, *day, by);
            }
            _ => (),
        }
    }

    /// Notes that a person of ours did something about a contact; rules and imports do not count.
    pub(crate) fn touched(&mut self, contact: ContactId, day: Day, by: &By) {
        if matches!(by, By::Person(_)) {
            self.did(Act::Touch, contact, day);
        }
    }

    /// Notes an act of a day.
    pub(crate) fn did(&mut self, act: Act, contact: ContactId, day: Day) {
        let last = self.last(act, contact);
        self.acts.note(act, contact, day, last);
    }

    /// Gives a label in the place of the one of its kind.
    pub(crate) fn label(&mut self, contact: ContactId, kind: LabelKind, value: &str) {
        for label in self.labels.iter_mut().filter(|label| label.kind == kind) {
            label.members.remove(contact);
        }
        if value.is_empty() {
            return;
        }
        let known = self.labels.iter_mut().find(|label| label.is(kind, value));
        match known {
            Some(label) => {
                label.members.insert(contact);
            }
            None => self.labels.push(Label {
                kind,
                value: value.to_owned(),
                members: std::iter::once(contact).collect(),
            }),
        }
    }
}
