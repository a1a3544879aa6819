//! What the store tells views: sets, columns and counts as they are, or as one supposes them to be.

use std::collections::HashMap;

use crate::book::contact::{Act, ContactId, Day};
use crate::book::set::ContactSet;
use crate::book::tag::Tag;
use crate::book::view::{Facts, ViewError, Views};
use crate::store::columns::Hash96;
use crate::store::db::Store;

/// What an evaluation takes for given.
#[derive(Clone, Copy)]
pub struct Supposed<'a> {
    /// The day.
    pub today: Day,
    /// All tags, by number.
    pub tags: &'a [Tag],
    /// Who has them.
    pub members: &'a [ContactSet],
    /// The last day each contact was written to; 0 is never.
    pub last: &'a [u16],
    /// Leaves that the store does not watch.
    pub more: &'a HashMap<String, ContactSet>,
}

impl Store {
    /// Who of `within` is in one of `views`, supposing some things to be otherwise than they are.
    ///
    /// # Errors
    /// As [`Views::eval`].
    pub fn supposed(
        &self,
        views: &Views,
        (name, within): (&str, &ContactSet),
        supposed: &Supposed<'_>,
    ) -> Result<ContactSet, ViewError> {
        let Supposed { today, tags, members, last, more } = *supposed;
        let state = self.state();
        let row = |id: ContactId| state.contacts.row(id);
        let last_of = |act, id: ContactId| match act {
            Act::Letter => last.get(id.0 as usize).filter(|day| **day > 0).map(|day| Day(*day)),
            act => state.acts.last(act, id),
        };
        let facts = Facts {
            today,
            tags,
            tag_set: &|tag| members.get(usize::from(tag.0)),
            leaf_set: &|key| self.leaf(key).or_else(|| more.get(key)),
            labels: &state.labels,
            acts: &|act, id| (last_of(act, id), state.acts.count(act, id)),
            acted: &|act, day| state.acts.on(act, day),
            created: &|id| row(id).map(|row| row.created),
            company: &|id| row(id).map(|row| row.company),
            company_named: &|key| state.companies.find(Hash96::of(key)),
            colleagues: &|no| state.contacts.of_company(no, &state.companies).collect(),
        };
        views.eval(name, within, &facts)
    }
}
