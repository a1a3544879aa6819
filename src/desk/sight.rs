//! Sight: views as they hold now, explained, and conditions that are typed once.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::book::condition::Condition;
use crate::book::contact::{ContactId, Day, Moment};
use crate::book::leaf::Leaf;
use crate::book::set::ContactSet;
use crate::book::view::{View, ViewError, Views};
use crate::conditions;
use crate::control::{Answer, Failure};
use crate::desk::keeper::Keeper;
use crate::store::seen::Supposed;

/// The name of a condition typed on the command line.
const TYPED: &str = "--where";
/// Domains shown as examples of an accident.
const SHOWN: usize = 3;

/// Which contacts are meant.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Those of a view.
    pub view: Option<String>,
    /// Those with a tag.
    pub tag: Option<String>,
    /// Those for whom a typed condition holds.
    pub condition: Option<String>,
}

impl Keeper {
    /// Who of `within` is in a view today.
    ///
    /// # Errors
    /// When there is no such view.
    pub fn view(&self, name: &str, within: &ContactSet, today: Day) -> Result<ContactSet, Failure> {
        let found = self.seen(&self.config.views, (name, within, today), &HashMap::new());
        found.map_err(|error| view_failure(&error))
    }

    /// Who of `within` is in one of `views`; `more` holds leaves that the store does not watch.
    fn seen(
        &self,
        views: &Views,
        (name, within, today): (&str, &ContactSet, Day),
        more: &HashMap<String, ContactSet>,
    ) -> Result<ContactSet, ViewError> {
        let state = self.store.state();
        let (tags, members, last) = (&state.tags, &state.members, &state.contacts.last);
        self.store.supposed(views, (name, within), &Supposed { today, tags, members, last, more })
    }

    /// Everybody but addresses known only by their suppression.
    #[must_use]
    pub fn everybody(&self) -> ContactSet {
        let state = self.store.state();
        ContactSet::all(state.contacts.len()).minus(&state.shadows)
    }

    /// The contacts of a choice.
    ///
    /// # Errors
    /// When it names what is not there, or its condition cannot be read.
    pub fn chosen(&self, choice: &Choice, now: Moment) -> Result<ContactSet, Failure> {
        let state = self.store.state();
        let today = self.day_of(now);
        let mut chosen = self.everybody();
        if let Some(name) = &choice.tag {
            let known = state.tag_named(name).and_then(|tag| state.members(tag.id));
            match known {
                Some(members) => chosen.keep(members),
                None if self.config.group_of(name).is_some() => chosen = ContactSet::new(),
                None => {
                    let fix = "`tradewind tags` lists all tags";
                    return Err(Failure::new(66, format!("nobody has a tag {name:?}"), fix));
                }
            }
        }
        if let Some(name) = &choice.view {
            chosen = self.view(name, &chosen, today)?;
        }
        if let Some(typed) = &choice.condition {
            let condition = self.typed(typed)?;
            let views = self.with_condition(TYPED, condition)?;
            let more = self.missing(&views)?;
            let found = self.seen(&views, (TYPED, &chosen, today), &more);
            chosen = found.map_err(|error| view_failure(&error))?;
        }
        Ok(chosen)
    }

    /// A condition as typed on the command line.
    fn typed(&self, typed: &str) -> Result<Condition, Failure> {
        // What the store knows may be asked for, declared or not.
        let mut groups = self.config.groups.clone();
        for tag in self.store.state().tags.iter().filter(|tag| tag.batch.is_none()) {
            let names = groups.entry(tag.group.clone()).or_default();
            if !names.contains(&tag.name) {
                names.push(tag.name.clone());
            }
        }
        let mut words = self.config.words();
        words.groups = &groups;
        conditions::condition(typed, &words).map_err(|fault| {
            Failure::new(64, format!("--where {typed:?}: {}", fault.message), fault.fix)
        })
    }

    fn with_condition(&self, name: &str, condition: Condition) -> Result<Views, Failure> {
        let view = View { name: name.to_owned(), condition };
        self.config.views.with([view]).map_err(|error| view_failure(&error))
    }

    /// Sets for leaves that nobody watches.
    fn missing(&self, views: &Views) -> Result<HashMap<String, ContactSet>, Failure> {
        let unknown: Vec<Leaf> =
            views.leaves().filter(|leaf| self.store.leaf(leaf.key()).is_none()).cloned().collect();
        let sets = self.store.search(&unknown)?;
        Ok(unknown.iter().map(|leaf| leaf.key().to_owned()).zip(sets).collect())
    }

    /// How many a choice holds, or one line each.
    ///
    /// # Errors
    /// As [`Self::chosen`].
    pub fn contacts(&self, choice: &Choice, list: bool, now: Moment) -> Result<Answer, Failure> {
        let chosen = self.chosen(choice, now)?;
        if !list {
            return Ok(Answer::One(json!({ "contacts": chosen.len() })));
        }
        let line = |id: ContactId| Ok(Value::Object(self.brief(id)?));
        chosen.iter().map(line).collect::<Result<Vec<_>, Failure>>().map(Answer::Lines)
    }

    /// All views with their sizes and what excludes by them.
    ///
    /// # Errors
    /// When a view cannot be evaluated.
    pub fn all_views(&self, now: Moment) -> Result<Value, Failure> {
        let (everybody, today) = (self.everybody(), self.day_of(now));
        let config = &self.config;
        let one = |name: &str| {
            let mut excluded = Vec::new();
            for (batches, list) in
                [("silent", &config.exclude_silent), ("reading", &config.exclude_reading)]
            {
                if list.iter().any(|view| view == name) {
                    excluded.push(batches);
                }
            }
            let count = self.view(name, &everybody, today)?.len();
            Ok(json!({ "view": name, "contacts": count, "excluded_from": excluded }))
        };
        let views = config.views.names().map(one).collect::<Result<Vec<_>, Failure>>()?;
        Ok(json!({ "views": views }))
    }

    /// What a view is made of, how many each part holds, and what it hits by accident.
    ///
    /// # Errors
    /// When there is no such view.
    pub fn explain_view(&self, name: &str, now: Moment) -> Result<Value, Failure> {
        let today = self.day_of(now);
        let everybody = self.everybody();
        let condition = self.config.views.condition(name).map_err(|error| view_failure(&error))?;
        let mut parts = Vec::new();
        flatten(condition, 0, &mut parts);
        let named = |n: usize| format!("--part {n}");
        let numbered = parts.iter().enumerate();
        let views =
            numbered.map(|(n, (_, part))| View { name: named(n), condition: (*part).clone() });
        let views = self.config.views.with(views).map_err(|error| view_failure(&error))?;
        let mut shown = Vec::with_capacity(parts.len());
        for (n, (depth, part)) in parts.iter().enumerate() {
            let found = self.seen(&views, (&named(n), &everybody, today), &HashMap::new());
            let count = found.map_err(|error| view_failure(&error))?.len();
            let indent = "  ".repeat(*depth);
            shown.push(json!({ "condition": format!("{indent}{part}"), "contacts": count }));
        }
        let count = self.view(name, &everybody, today)?.len();
        let alone = Views::new(&[View { name: name.to_owned(), condition: condition.clone() }]);
        let accidents = match &alone {
            Ok(alone) => self.accidents(alone)?,
            // It names other views, whose accidents are told with theirs.
            Err(_) => Vec::new(),
        };
        Ok(json!({ "view": name, "contacts": count, "parts": shown, "accidents": accidents }))
    }

    /// Suffixes of views that hit in the middle of a name, as `qq.com` hits `myqq.com`.
    ///
    /// # Errors
    /// When the book cannot be read.
    pub fn accidents(&self, views: &Views) -> Result<Vec<Value>, Failure> {
        let mut told = Vec::new();
        for leaf in views.leaves() {
            let Some(set) = self.store.leaf(leaf.key()) else { continue };
            if !leaf.may_hit_by_accident() {
                continue;
            }
            let mut hits: HashMap<String, (u64, Vec<String>)> = HashMap::new();
            for id in set.iter() {
                let Some(contact) = self.store.contact(id)? else { continue };
                let Some(value) = leaf.hits_by_accident(&contact.address.key()) else { continue };
                let (count, domains) = hits.entry(value.to_owned()).or_default();
                *count += 1;
                let domain = contact.address.domain();
                if domains.len() < SHOWN && !domains.iter().any(|seen| seen == domain) {
                    domains.push(domain.to_owned());
                }
            }
            let mut hits: Vec<_> = hits.into_iter().collect();
            hits.sort();
            told.extend(hits.into_iter().map(|(value, (count, domains))| {
                let mut one = Map::new();
                one.insert("suffix".to_owned(), json!(value));
                one.insert("contacts".to_owned(), json!(count));
                one.insert("domains".to_owned(), json!(domains));
                one.insert("fix".to_owned(), json!(format!("write \"@{value}\" and \".{value}\"")));
                Value::Object(one)
            }));
        }
        Ok(told)
    }
}

/// A condition and everything in it, outermost first, with its depth.
fn flatten<'a>(condition: &'a Condition, depth: usize, into: &mut Vec<(usize, &'a Condition)>) {
    into.push((depth, condition));
    for part in condition.parts() {
        flatten(part, depth + 1, into);
    }
}

/// A view that cannot be evaluated.
#[must_use]
pub fn view_failure(error: &ViewError) -> Failure {
    Failure::new(66, error.to_string(), "declare it under [[views]], or correct the name")
}
