//! Care: owners, stages, the tag library, and the five pools with their movement.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::book::contact::{Act, ContactId, Day, Moment};
use crate::book::label::LabelKind;
use crate::book::set::ContactSet;
use crate::book::spelling;
use crate::control::{Answer, Failure};
use crate::desk::keeper::Keeper;
use crate::desk::sight::{Choice, view_failure};
use crate::feedback::entry::{By, Entry, Target, What};
use crate::store::seen::Supposed;

/// Whom an order is about: addresses, and everybody of a choice.
#[derive(Clone, Debug, Default)]
pub struct Whom {
    /// As typed.
    pub addresses: Vec<String>,
    /// Those of a view.
    pub view: Option<String>,
    /// Those for whom a condition holds.
    pub condition: Option<String>,
}

/// The pools, first come first served: who is in risk is in no other.
const POOLS: [&str; 5] = ["risk", "intention", "do-not-send", "reading", "silent"];

impl Keeper {
    /// Everybody that an order is about, in order of their ids after those named by address.
    ///
    /// # Errors
    /// When an address is unknown or the choice cannot be read: then nothing is done.
    pub fn meant(&self, whom: &Whom, now: Moment) -> Result<Vec<ContactId>, Failure> {
        let each = whom.addresses.iter().map(|typed| self.contact_id(typed));
        let mut contacts = each.collect::<Result<Vec<_>, Failure>>()?;
        if whom.view.is_some() || whom.condition.is_some() {
            let choice =
                Choice { view: whom.view.clone(), tag: None, condition: whom.condition.clone() };
            contacts.extend(self.chosen(&choice, now)?.iter());
        }
        Ok(contacts)
    }

    /// Gives an owner or a stage in the place of the one before; empty takes it away.
    ///
    /// # Errors
    /// When the stage is not declared or an address is unknown: then nothing changes.
    pub fn label(
        &mut self,
        whom: &Whom,
        (kind, value): (LabelKind, &str),
        who: &str,
        now: Moment,
    ) -> Result<Value, Failure> {
        let value = value.trim();
        let stages = &self.config.stages;
        let same = |stage: &&String| stage.to_lowercase() == value.to_lowercase();
        let declared = stages.iter().find(same).map_or(value, String::as_str).to_owned();
        if kind == LabelKind::Stage
            && !(value.is_empty() || stages.is_empty() || stages.contains(&declared))
        {
            let near = spelling::like(value, stages.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("did you mean {near:?}? "));
            let fix = format!("{near}declared under care.stages are: {}", stages.join(", "));
            return Err(Failure::new(65, format!("there is no stage {value:?}"), fix));
        }
        let contacts = self.meant(whom, now)?;
        let (day, all) = (self.day_of(now), contacts.len() as u64);
        let mut changed = 0_u64;
        for contact in contacts {
            let held = self.store.state().label_of(kind, contact).unwrap_or_default();
            if held.to_lowercase() == declared.to_lowercase() {
                continue;
            }
            let (by, value) = (By::Person(who.to_owned()), declared.clone());
            self.store.record(now, What::Labelled { contact, kind, value, day, by })?;
            changed += 1;
        }
        self.stale = true;
        let word = if kind == LabelKind::Owner { "assigned" } else { "staged" };
        Ok(json!({ word: changed, "known": all - changed }))
    }

    /// All tags with their groups and counts; only the unused ones, or pairs spelt nearly alike.
    #[must_use]
    pub fn tag_library(&self, unused: bool, similar: bool) -> Value {
        let state = self.store.state();
        let mut tags: HashMap<&str, (&str, u64)> = HashMap::new();
        for (group, names) in &self.config.groups {
            tags.extend(names.iter().map(|name| (name.as_str(), (group.as_str(), 0))));
        }
        for (tag, members) in state.tags.iter().zip(&state.members) {
            tags.insert(&tag.name, (&tag.group, members.len()));
        }
        if similar {
            let plain = tags
                .keys()
                .filter(|name| state.tag_named(name).is_none_or(|tag| tag.batch.is_none()));
            let mut plain: Vec<&str> = plain.copied().collect();
            plain.sort_unstable();
            let mut pairs = Vec::new();
            for (n, one) in plain.iter().enumerate() {
                for other in plain.iter().skip(n + 1).filter(|other| alike(one, other)) {
                    let count = |name: &str| tags.get(name).map_or(0, |(_, count)| *count);
                    pairs.push(json!({
                        "tag": one, "contacts": count(one),
                        "like": other, "contacts_of_like": count(other),
                    }));
                }
            }
            return json!({ "similar": pairs });
        }
        tags.retain(|_, (_, count)| !unused || *count == 0);
        json!({
            "tags": tags.iter().map(|(name, (_, count))| (*name, *count)).collect::<HashMap<_, _>>(),
            "groups": tags.iter().map(|(name, (group, _))| (*name, *group)).collect::<HashMap<_, _>>(),
        })
    }

    /// The five pools: how many, and how many came and left today.
    ///
    /// # Errors
    /// When the store cannot be read or a view not evaluated.
    pub fn pools(&self, now: Moment) -> Result<Value, Failure> {
        let today = self.day_of(now);
        let state = self.store.state();
        let everybody = self.everybody();
        let today_sets = Held {
            members: &state.members,
            suppressed: &state.suppressed,
            waiting: &state.waiting,
        };
        let pools = self.divided(&everybody, today_sets, today)?;
        let before = self.this_morning(today)?;
        let morning = Held {
            members: &before.members,
            suppressed: &before.suppressed,
            waiting: &before.waiting,
        };
        let pools_before = self.divided(&everybody.minus(&before.newcomers), morning, today)?;
        let mut pooled = ContactSet::new();
        let mut shown = Vec::with_capacity(POOLS.len());
        for ((name, is), was) in POOLS.iter().zip(&pools).zip(&pools_before).rev() {
            pooled.add(is);
            shown.push(json!({
                "pool": name,
                "contacts": is.len(),
                "came": is.minus(was).len(),
                "left": was.minus(is).len(),
            }));
        }
        let intention = pools.get(1).cloned().unwrap_or_default();
        Ok(json!({
            "date": today.to_string(),
            "pools": shown,
            "in_no_pool": everybody.minus(&pooled).len(),
            "overdue": self.overdue(&intention, today).len(),
            "overdue_days": self.config.overdue_days,
        }))
    }

    /// Intention contacts that nobody of ours touched for too long, longest first.
    ///
    /// # Errors
    /// As [`Self::pools`].
    pub fn overdue_lines(&self, now: Moment) -> Result<Answer, Failure> {
        let today = self.day_of(now);
        let state = self.store.state();
        let (members, suppressed) = (&state.members, &state.suppressed);
        let held = Held { members, suppressed, waiting: &state.waiting };
        let pools = self.divided(&self.everybody(), held, today)?;
        let intention = pools.get(1).cloned().unwrap_or_default();
        let mut overdue = self.overdue(&intention, today);
        overdue.sort_by_key(|(id, days)| (std::cmp::Reverse(*days), *id));
        let mut lines = Vec::with_capacity(overdue.len());
        for (id, days) in overdue {
            let mut line = self.brief(id)?;
            line.insert("untouched_days".to_owned(), json!(days));
            lines.push(Value::Object(line));
        }
        Ok(Answer::Lines(lines))
    }

    /// Who was touched, or came, longer ago than is allowed, and how many days that is.
    fn overdue(&self, intention: &ContactSet, today: Day) -> Vec<(ContactId, i32)> {
        let state = self.store.state();
        let since = |id| {
            let touched = state.last(Act::Touch, id);
            let created = state.contacts.row(id).map(|row| row.created);
            today.since(touched.max(created).unwrap_or(today))
        };
        let all = intention.iter().map(|id| (id, since(id)));
        all.filter(|(_, days)| *days > i32::from(self.config.overdue_days)).collect()
    }

    /// `everybody` by pool, in the order of [`POOLS`].
    fn divided(
        &self,
        everybody: &ContactSet,
        held: Held<'_>,
        today: Day,
    ) -> Result<Vec<ContactSet>, Failure> {
        let state = self.store.state();
        let group = |name: &str| {
            let mut all = ContactSet::new();
            let tags = state.tags.iter().zip(held.members);
            tags.filter(|(tag, _)| tag.group == name).for_each(|(_, members)| all.add(members));
            all
        };
        let supposed = Supposed {
            today,
            tags: &state.tags,
            members: held.members,
            last: &state.contacts.last,
            more: &HashMap::new(),
        };
        let mut unwanted = held.suppressed.or(&group("do-not-send"));
        let config = &self.config;
        let always = config.exclude_silent.iter().filter(|v| config.exclude_reading.contains(v));
        for view in always {
            let found = self.store.supposed(&config.views, (view, everybody), &supposed);
            unwanted.add(&found.map_err(|error| view_failure(&error))?);
        }
        let mut rest = everybody.clone();
        let pools = [
            group("risk"),
            group("intention").or(held.waiting),
            unwanted,
            group("reading"),
            group("marketing"),
        ];
        Ok(pools
            .into_iter()
            .map(|pool| {
                let taken = pool.and(&rest);
                rest.subtract(&taken);
                taken
            })
            .collect())
    }

    /// Tags, suppressions and waiting as they were when the day began: today's entries undone.
    fn this_morning(&self, today: Day) -> Result<Morning, Failure> {
        let state = self.store.state();
        let mut morning = Morning {
            members: state.members.clone(),
            suppressed: state.suppressed.clone(),
            waiting: state.waiting.clone(),
            newcomers: ContactSet::new(),
        };
        for entry in self.store.events_since(self.config.zone.start_of(today))?.iter().rev() {
            morning.undo(entry);
        }
        let ids = (0..state.contacts.len()).map(ContactId);
        let fresh = |id: &ContactId| state.contacts.row(*id).is_some_and(|r| r.created >= today);
        morning.newcomers = ids.filter(fresh).collect();
        Ok(morning)
    }
}

/// What pools are told by.
#[derive(Clone, Copy)]
struct Held<'a> {
    members: &'a [ContactSet],
    suppressed: &'a ContactSet,
    waiting: &'a ContactSet,
}

/// The same at the beginning of the day.
struct Morning {
    members: Vec<ContactSet>,
    suppressed: ContactSet,
    waiting: ContactSet,
    newcomers: ContactSet,
}

impl Morning {
    fn undo(&mut self, entry: &Entry) {
        match &entry.what {
            What::Tagged { contact, tag, .. } => {
                if let Some(members) = self.members.get_mut(usize::from(tag.0)) {
                    members.remove(*contact);
                }
            }
            What::Untagged { contact, tag, .. } => {
                if let Some(members) = self.members.get_mut(usize::from(tag.0)) {
                    members.insert(*contact);
                }
            }
            What::Suppressed { target: Target::Contact(contact), .. }
            | What::Unsubscribed { contact, .. } => {
                self.suppressed.remove(*contact);
            }
            What::Unsuppressed { target: Target::Contact(contact), .. } => {
                self.suppressed.insert(*contact);
            }
            What::Replied { contact, .. } | What::StoppedFor { contact, .. } => {
                self.waiting.remove(*contact);
            }
            _ => (),
        }
    }
}

/// Whether two tags are the same but for case, blanks and symbols, or differ by one letter of many.
fn alike(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect::<String>()
    };
    let (a, b) = (plain(one), plain(other));
    let long = a.chars().count().min(b.chars().count()) >= 4;
    (!a.is_empty() && a == b) || (long && spelling::distance(&a, &b) == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_are_alike() {
        for (one, other, expected) in [
            ("询盘", "💬询盘", true),
            ("VIP", "vip ", true),
            ("询盘", "样品", false),
            ("dealer", "dealers", true),
            ("A级", "B级", false),
            ("❌", "🚫", false),
        ] {
            assert_eq!(alike(one, other), expected, "{one} {other}");
        }
    }
}
