//! Which template a contact gets: the variants of one audience and series take turns.
//!
//! A contact begins with a variant drawn from the hash of its number, and moves one variant on with
//! every round; so each variant has its share of every round, each contact sees all of them in
//! turn, and the same round gives the same variant again without being remembered.

use chrono::Datelike;
use xxhash_rust::xxh3::xxh3_64;

use crate::book::contact::{ContactId, Day};
use crate::book::tag::{Audience, SeriesKind};
use crate::letter::template::Template;

/// All templates, by audience and series.
#[derive(Debug)]
pub struct Templates {
    groups: Vec<Group>,
}

/// The variants for one audience and series, in order of their files.
#[derive(Debug)]
struct Group {
    audience: Audience,
    kind: SeriesKind,
    variants: Vec<Template>,
    weight: u32,
}

impl Templates {
    /// Puts variants together. The order given does not matter.
    #[must_use]
    pub fn new(mut templates: Vec<Template>) -> Self {
        templates.sort_by(|a, b| a.file().cmp(b.file()));
        let mut groups: Vec<Group> = Vec::new();
        for template in templates {
            let (audience, kind) = (template.audience().clone(), template.kind());
            let weight = u32::from(template.weight());
            match groups.iter_mut().find(|group| group.is_for(&audience, kind)) {
                Some(group) => {
                    group.weight = group.weight.saturating_add(weight);
                    group.variants.push(template);
                }
                None => groups.push(Group { audience, kind, variants: vec![template], weight }),
            }
        }
        Self { groups }
    }

    /// The template for a contact in the round that fell due on `due`; `None` when there is none
    /// for that very audience and series: a near miss is never used (DESIGN §1 I5).
    #[must_use]
    pub fn pick(
        &self,
        audience: &Audience,
        kind: SeriesKind,
        contact: ContactId,
        due: Day,
    ) -> Option<&Template> {
        let group = self.groups.iter().find(|group| group.is_for(audience, kind))?;
        let weight = u64::from(group.weight);
        let start = xxh3_64(&contact.0.to_be_bytes()) % weight;
        let mut place = (start + round(kind, due) % weight) % weight;
        group.variants.iter().find(|template| {
            let share = u64::from(template.weight());
            let here = place < share;
            place = place.saturating_sub(share);
            here
        })
    }

    /// Whether there is any template for an audience and series.
    #[must_use]
    pub fn has(&self, audience: &Audience, kind: SeriesKind) -> bool {
        self.groups.iter().any(|group| group.is_for(audience, kind))
    }

    /// The template whose source has this hash.
    #[must_use]
    pub fn by_hash(&self, hash: u64) -> Option<&Template> {
        self.iter().find(|template| template.hash() == hash)
    }

    /// All templates: by audience and series, then by file.
    pub fn iter(&self) -> impl Iterator<Item = &Template> {
        self.groups.iter().flat_map(|group| &group.variants)
    }
}

impl Group {
    fn is_for(&self, audience: &Audience, kind: SeriesKind) -> bool {
        self.kind == kind && self.audience == *audience
    }
}

/// The number of a round: one more each month (marketing) or each ten days of it (reading).
fn round(kind: SeriesKind, due: Day) -> u64 {
    let date = due.date();
    let month = u64::from(date.year().unsigned_abs()) * 12 + u64::from(date.month0());
    match kind {
        SeriesKind::Marketing => month,
        SeriesKind::Reading => month * 3 + u64::from((date.day0() / 10).min(2)),
    }
}
