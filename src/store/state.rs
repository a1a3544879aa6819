//! The state: a fold of entries, kept in memory. Names, columns and histories stay on disk.
//!
//! [`State::apply`] is the only way the state changes; it asks nobody (no clock, no configuration,
//! no disk), so a replay of the journal gives the same state to the last bit.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::book::address::Address;
use crate::book::contact::{Act, ContactId, Day, Moment};
use crate::book::label::Label;
use crate::book::set::ContactSet;
use crate::book::tag::{Audience, BatchTag, SeriesKind, Tag, TagId};
use crate::feedback::entry::{Cause, Entry, LetterId, RoundRecord, Target, What};
use crate::feedback::open::OpenClass;
use crate::store::acts::Acts;
use crate::store::columns::{Companies, CompanyRow, ContactRow, Contacts, Hash96};
use crate::store::facts::{ClockKind, Counts, ImportState, InForce, Living, RoundState, Today};

/// Days for which the state keeps who was tagged on which day, and who was claimed in which round:
/// as long as anything may carry over, and a week to spare.
pub const MEMORY_DAYS: i32 = 21;

/// Everything the fold of the journal knows, but names, columns and histories.
#[derive(Debug, Default, PartialEq)]
pub struct State {
    /// The id that journal and sled share.
    pub store: [u8; 16],
    /// The contacts' columns.
    pub contacts: Contacts,
    /// The companies' columns.
    pub companies: Companies,
    /// All tags, by number.
    pub tags: Vec<Tag>,
    /// Tags by name.
    pub tag_names: HashMap<String, TagId>,
    /// Who has a tag, by its number.
    pub members: Vec<ContactSet>,
    /// Who was tagged on which of the last days.
    pub recent: BTreeMap<Day, BTreeMap<TagId, ContactSet>>,
    /// Owners and stages, in order of first use.
    pub labels: Vec<Label>,
    /// Letters, opens, clicks, replies and touches by contact and day.
    pub acts: Acts,
    /// Never to be written to.
    pub suppressed: ContactSet,
    /// Of these, only because of their domain.
    pub by_domain: ContactSet,
    /// Suppressed domains, and in whose words.
    pub domains: BTreeMap<String, String>,
    /// Addresses known only by their suppression.
    pub shadows: ContactSet,
    /// Waiting for a person's decision.
    pub waiting: ContactSet,
    /// Letters without an end.
    pub living: BTreeMap<ContactId, Living>,
    /// The day that was opened last.
    pub opened: Option<Day>,
    /// The day that was closed last, and what was not written then.
    pub closed: Option<(Day, Vec<RoundRecord>)>,
    /// The plan of the opened day, once it was frozen.
    pub frozen: Option<(Day, Vec<RoundRecord>)>,
    /// What the day has seen.
    pub today: Today,
    /// All rounds that ever had a letter.
    pub rounds: BTreeMap<(Day, TagId), RoundState>,
    /// First human opens of marketing letters that did not lead to a reading tag yet.
    pub pending: BTreeMap<(ContactId, TagId), (Day, Moment)>,
    /// All imports, from number 1.
    pub imports: Vec<ImportState>,
    /// Templates that letters were claimed with: hash to name and source.
    pub templates: BTreeMap<u64, (String, String)>,
    /// Told to stop writing.
    pub paused: bool,
    /// Batches that are stopped.
    pub held: BTreeSet<TagId>,
    /// Rounds that may go out although they are large.
    pub approved: BTreeSet<(Day, TagId)>,
    /// The limits of the last claim.
    pub in_force: Option<InForce>,
    /// Which clock claims were made by.
    pub clock: ClockKind,
    /// The latest instant of any entry.
    pub last_at: Moment,
}

impl State {
    /// Whoever has this address key (lower case).
    #[must_use]
    pub fn find(&self, key: &str) -> Option<ContactId> {
        self.contacts.find(Hash96::of(key))
    }

    /// A tag by its whole name.
    #[must_use]
    pub fn tag_named(&self, name: &str) -> Option<&Tag> {
        self.tag(*self.tag_names.get(name)?)
    }

    /// A tag by its number.
    #[must_use]
    pub fn tag(&self, id: TagId) -> Option<&Tag> {
        self.tags.get(usize::from(id.0))
    }

    /// Who has a tag.
    #[must_use]
    pub fn members(&self, id: TagId) -> Option<&ContactSet> {
        self.members.get(usize::from(id.0))
    }

    /// The numbers of a contact's tags.
    pub fn tags_of(&self, id: ContactId) -> impl Iterator<Item = &Tag> + '_ {
        self.tags
            .iter()
            .zip(&self.members)
            .filter(move |(_, members)| members.contains(id))
            .map(|(tag, _)| tag)
    }

    /// Whether the contact has any reading tag of `audience`.
    #[must_use]
    pub fn reads(&self, id: ContactId, audience: &Audience) -> bool {
        self.tags_of(id).any(|tag| {
            tag.batch.as_ref().is_some_and(|batch| {
                batch.kind == SeriesKind::Reading && batch.audience == *audience
            })
        })
    }

    /// Who had `tag` when `day` ended.
    #[must_use]
    pub fn members_by(&self, tag: TagId, day: Day) -> ContactSet {
        let mut set = self.members(tag).cloned().unwrap_or_default();
        for later in self.recent.range(day.plus(1)..).filter_map(|(_, tags)| tags.get(&tag)) {
            set.subtract(later);
        }
        set
    }

    /// Folds one entry in. Applying an entry twice is the caller's mistake: entries are numbered.
    #[expect(clippy::too_many_lines, reason = "one arm for each thing that can happen")]
    pub fn apply(&mut self, entry: &Entry) {
        // A store is made by the real clock even when it is made for a rehearsal.
        if !matches!(entry.what, What::StoreCreated { .. }) {
            self.last_at = self.last_at.max(entry.at);
        }
        match &entry.what {
            What::StoreCreated { store } => self.store = *store,
            What::TagDeclared { tag, name, group, batch } => {
                self.declare(*tag, name, group, batch.as_ref());
            }
            What::ImportBegan { who, file, tag, .. } => self.imports.push(ImportState {
                at: entry.at,
                who: who.clone(),
                file: file.clone(),
                tag: *tag,
                counts: None,
            }),
            What::ImportEnded { import, counts } => {
                if let Some(import) = self.imports.get_mut((*import as usize).saturating_sub(1)) {
                    import.counts = Some(*counts);
                }
            }
            What::Imported { .. } => self.imported(&entry.what),
            What::Tagged { contact, tag, day, by } => {
                self.tagged(*contact, *tag, *day);
                self.touched(*contact, *day, by);
            }
            What::Untagged { contact, tag, .. } => self.untagged(*contact, *tag),
            What::Suppressed { target, cause, note } => self.suppress(target, *cause, note),
            What::Unsuppressed { target, .. } => self.unsuppress(target),
            What::DayOpened { day } => self.open_day(*day),
            What::PlanFrozen { day, rounds } => self.frozen = Some((*day, rounds.clone())),
            What::DayClosed { day, rounds } => {
                self.closed = Some((*day, rounds.clone()));
                self.frozen = None;
            }
            What::TemplateKept { hash, name, source } => {
                self.templates.insert(*hash, (name.clone(), source.clone()));
            }
            What::Opened { letter, class, day, .. } => self.read(*letter, *class, *day, entry.at),
            what @ (What::Clicked { .. }
            | What::Replied { .. }
            | What::Noted { .. }
            | What::Labelled { .. }) => self.deal(what),
            What::Unsubscribed { contact, letter, .. } => {
                self.suppress(&Target::Contact(*contact), Cause::Unsubscribed, "");
                if let Some(letter) = letter {
                    self.round(*letter).counts.unsubscribed += 1;
                }
            }
            What::Paused { .. } => self.paused = true,
            What::Resumed { .. } => self.paused = false,
            What::BatchHeld { tag, .. } => {
                self.held.insert(*tag);
            }
            What::BatchReleased { tag, .. } => {
                self.held.remove(tag);
            }
            What::RoundApproved { tag, due, .. } => {
                self.approved.insert((*due, *tag));
            }
            What::StoppedFor { contact, .. } => {
                self.waiting.insert(*contact);
            }
            What::Decided { contact, .. } => {
                self.waiting.remove(*contact);
            }
            What::Limited { company_per_day_max, contact_gap_days_min, silent_gap_days_min } => {
                self.in_force = Some(InForce {
                    company_per_day_max: *company_per_day_max,
                    contact_gap_days_min: *contact_gap_days_min,
                    silent_gap_days_min: *silent_gap_days_min,
                });
            }
            What::Updated { .. } => (),
            what => self.letter(entry.at, what),
        }
    }

    fn declare(
        &mut self,
        id: TagId,
        name: &str,
        group: &str,
        batch: Option<&(String, SeriesKind, String, u8)>,
    ) {
        let batch = batch.and_then(|(audience, kind, series, no)| {
            let audience = Audience::parse(audience)?;
            Some(BatchTag { audience, kind: *kind, series: series.clone(), no: *no })
        });
        self.tag_names.insert(name.to_owned(), id);
        self.tags.push(Tag { id, name: name.to_owned(), group: group.to_owned(), batch });
        self.members.push(ContactSet::new());
    }

    fn imported(&mut self, what: &What) {
        let What::Imported {
            contact, address, company, company_key, kind, rank, day, tags, ..
        } = what
        else {
            return;
        };
        if let Some(key) = company_key {
            self.companies.push(CompanyRow { hash: Hash96::of(key), ranks: [0, 0] });
        }
        if contact.0 < self.contacts.len() {
            self.contacts.adopt(*contact, *rank, *kind, *day);
            self.shadows.remove(*contact);
        } else {
            let hash = Hash96::of(&stored_key(address));
            let row =
                ContactRow { hash, company: *company, rank: *rank, created: *day, kind: *kind };
            self.contacts.push(row, &mut self.companies);
            self.acts.push();
        }
        if *rank == 0 {
            self.shadows.insert(*contact);
        }
        self.companies.give_rank(*company, *kind, *rank);
        for tag in tags {
            self.tagged(*contact, *tag, *day);
        }
    }

    fn tagged(&mut self, contact: ContactId, tag: TagId, day: Day) {
        let Some(members) = self.members.get_mut(usize::from(tag.0)) else { return };
        members.insert(contact);
        self.recent.entry(day).or_default().entry(tag).or_default().insert(contact);
        let reading = self
            .tag(tag)
            .and_then(|tag| tag.batch.as_ref())
            .filter(|batch| batch.kind == SeriesKind::Reading && !self.pending.is_empty())
            .map(|batch| batch.audience.clone());
        if let Some(audience) = reading {
            self.settle_pending(contact, &audience);
        }
    }

    /// A reading tag was given: the opens that wait for one, and led here, have had their effect.
    fn settle_pending(&mut self, contact: ContactId, audience: &Audience) {
        let range = (contact, TagId(0))..=(contact, TagId(u16::MAX));
        let led: Vec<(ContactId, TagId)> = self
            .pending
            .range(range)
            .map(|(key, _)| *key)
            .filter(|(_, tag)| {
                self.tag(*tag)
                    .and_then(|tag| tag.batch.as_ref())
                    .is_some_and(|batch| batch.audience == *audience)
            })
            .collect();
        for key in led {
            self.pending.remove(&key);
            let newest = self
                .rounds
                .iter_mut()
                .rev()
                .find(|((_, tag), round)| *tag == key.1 && round.readers.contains(contact));
            if let Some((_, round)) = newest {
                round.promoted.insert(contact);
            }
        }
    }

    fn untagged(&mut self, contact: ContactId, tag: TagId) {
        if let Some(members) = self.members.get_mut(usize::from(tag.0)) {
            members.remove(contact);
        }
        for tags in self.recent.values_mut() {
            if let Some(set) = tags.get_mut(&tag) {
                set.remove(contact);
            }
        }
    }

    fn suppress(&mut self, target: &Target, cause: Cause, note: &str) {
        match target {
            Target::Contact(contact) => {
                let fresh = self.suppressed.insert(*contact);
                let for_domain = cause == Cause::Operator && note.starts_with('@');
                if fresh && for_domain {
                    self.by_domain.insert(*contact);
                } else if !for_domain {
                    self.by_domain.remove(*contact);
                }
            }
            Target::Domain(domain) => {
                self.domains.insert(domain.clone(), note.to_owned());
            }
        }
    }

    fn unsuppress(&mut self, target: &Target) {
        match target {
            Target::Contact(contact) => {
                self.suppressed.remove(*contact);
                self.by_domain.remove(*contact);
            }
            Target::Domain(domain) => {
                self.domains.remove(domain);
            }
        }
    }

    /// Whether an open of this contact waits for a reading tag.
    #[must_use]
    pub fn is_pending(&self, contact: ContactId) -> bool {
        let all = (contact, TagId(0))..=(contact, TagId(u16::MAX));
        self.pending.range(all).next().is_some()
    }

    /// The rounds whose letters need not be remembered one by one when `day` opens.
    pub fn forgotten_on(&self, day: Day) -> impl Iterator<Item = (Day, TagId)> + '_ {
        let old = self.rounds.range(..(day.plus(-MEMORY_DAYS), TagId(0)));
        old.filter(|(_, round)| !round.done.is_empty()).map(|(key, _)| *key)
    }

    fn open_day(&mut self, day: Day) {
        self.acts.forget_before(day);
        self.opened = Some(day);
        self.frozen = None;
        self.recent = self.recent.split_off(&day.plus(-MEMORY_DAYS));
        self.approved = self.approved.split_off(&(day.plus(-MEMORY_DAYS), TagId(0)));
        for key in self.forgotten_on(day).collect::<Vec<_>>() {
            self.rounds.entry(key).or_default().done = ContactSet::new();
        }
        self.turn_to(day);
    }

    /// Begins the counts of a new day; an earlier day than today's leaves them alone.
    fn turn_to(&mut self, day: Day) {
        if self.today.day.is_none_or(|today| today < day) {
            self.today = Today { day: Some(day), ..Today::default() };
        }
    }

    /// A round, begun when it is new.
    pub(crate) fn round(&mut self, letter: LetterId) -> &mut RoundState {
        self.rounds.entry((letter.due, letter.tag)).or_default()
    }

    fn letter(&mut self, at: Moment, what: &What) {
        match what {
            What::Claimed { .. } => self.claimed(at, what),
            What::Accepted { letter, .. } => {
                self.wrote(*letter);
                self.settle(*letter, |counts| counts.accepted += 1);
            }
            What::Unknown { letter, .. } => {
                self.wrote(*letter);
                self.settle(*letter, |counts| counts.unknown += 1);
            }
            What::Deferred { letter, until, .. } => {
                if let Some(living) = self.living.get_mut(&letter.contact) {
                    living.until = Some(*until);
                }
                self.round(*letter).counts.deferred += 1;
            }
            What::Refused { letter, .. } => self.settle(*letter, |counts| counts.refused += 1),
            What::Withdrawn { letter, .. } => {
                self.round(*letter).done.insert(letter.contact);
                self.settle(*letter, |counts| counts.withdrawn += 1);
            }
            What::Expired { letter } => self.settle(*letter, |counts| counts.expired += 1),
            _ => (),
        }
    }

    fn claimed(&mut self, at: Moment, what: &What) {
        let What::Claimed { letter, day, company, attempt, counts, template, rehearsal } = what
        else {
            return;
        };
        self.turn_to(*day);
        self.today.claimed.insert(letter.contact);
        if *counts {
            *self.today.by_company.entry(*company).or_default() += 1;
        }
        let round = self.round(*letter);
        round.done.insert(letter.contact);
        if *attempt == 1 {
            round.counts.claimed += 1;
        }
        let first_at = self
            .living
            .get(&letter.contact)
            .filter(|living| living.letter == *letter)
            .map_or(at, |living| living.first_at);
        self.living.insert(
            letter.contact,
            Living {
                letter: *letter,
                first_at,
                attempts: *attempt,
                until: None,
                day: *day,
                template: *template,
            },
        );
        self.clock = if *rehearsal { ClockKind::Rehearsal } else { ClockKind::Real };
    }

    fn wrote(&mut self, letter: LetterId) {
        let Some(living) = self.living.get(&letter.contact).filter(|l| l.letter == letter) else {
            return;
        };
        let day = living.day;
        let silent = self
            .tag(letter.tag)
            .and_then(|tag| tag.batch.as_ref())
            .is_some_and(|batch| batch.kind == SeriesKind::Marketing);
        self.did(Act::Letter, letter.contact, day);
        self.contacts.wrote(letter.contact, day, silent);
    }

    fn settle(&mut self, letter: LetterId, count: fn(&mut Counts)) {
        if self.living.get(&letter.contact).is_some_and(|living| living.letter == letter) {
            self.living.remove(&letter.contact);
        }
        count(&mut self.today.settled);
        count(&mut self.round(letter).counts);
    }

    fn read(&mut self, letter: LetterId, class: OpenClass, day: Day, at: Moment) {
        let human = matches!(class, OpenClass::Human | OpenClass::ProxyHuman);
        let round = self.round(letter);
        if !human {
            if !round.readers.contains(letter.contact) {
                round.machines.insert(letter.contact);
            }
            return;
        }
        round.readers.insert(letter.contact);
        round.machines.remove(letter.contact);
        self.did(Act::Open, letter.contact, day);
        let Some(batch) = self.tag(letter.tag).and_then(|tag| tag.batch.clone()) else { return };
        if batch.kind == SeriesKind::Marketing && !self.reads(letter.contact, &batch.audience) {
            self.pending.entry((letter.contact, letter.tag)).or_insert((day, at));
        }
    }
}

/// The key of an address as entries hold it; most are their own.
#[must_use]
pub fn stored_key(address: &str) -> Cow<'_, str> {
    if address.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return Cow::Borrowed(address);
    }
    Cow::Owned(Address::stored(address).map(|address| address.key()).unwrap_or_default())
}
