//! Imports: rows of a saved search, judged against the book and placed into batches.

use std::collections::{BTreeMap, HashMap};

use crate::book::address::Address;
use crate::book::contact::{Card, CompanyNo, ContactId, Kind, Moment};
use crate::book::language;
use crate::book::tag::{BatchTag, TagId};
use crate::cadence::intake::{
    ImportCounts, Judged, Known, Mode, Newcomer, Place, Run, Settings, Standing, Start, TagsChange,
    TagsMode, Verdict, merged,
};
use crate::control::{Failure, ImportBegin, ImportRow};
use crate::desk::importing::Running;
use crate::desk::keeper::Keeper;
use crate::feedback::entry::{By, What};
use crate::store::columns::Hash96;
use crate::store::state::stored_key;

/// What became of a row: its line, the verdict's word, and a detail (a repair, or why it is invalid).
pub type RowVerdict = (u64, &'static str, String);

/// A row with its address parsed and its company found.
struct Found {
    address: Address,
    hash: Hash96,
    company_key: String,
    company: Option<CompanyNo>,
    contact: Option<ContactId>,
    kind: Kind,
    card: Card,
    tags: Vec<TagId>,
}

impl Keeper {
    /// Begins an import; answers its number.
    ///
    /// # Errors
    /// When the tag, the mode or a combination of options makes no sense.
    pub fn begin_import(&mut self, begin: &ImportBegin, now: Moment) -> Result<u32, Failure> {
        let (mode, tags) = modes(begin)?;
        let tag = begin.tag.as_deref().map(|typed| self.tag(typed, now)).transpose()?;
        let batch =
            tag.and_then(|tag| self.store.state().tag(tag)).and_then(|tag| tag.batch.clone());
        if begin.spread && batch.is_none() {
            return Err(Failure::new(
                64,
                "--spread fills one batch after the other, and needs a batch tag",
                "name the first batch, as --tag 英语-工程设备经销商-营销05 --spread",
            ));
        }
        let cycle = |batch: &BatchTag| self.config.cadence.series.cycle(batch.kind);
        let settings = Settings {
            mode,
            tags,
            cap: Settings::cap(begin.cap, batch.is_some()),
            spread: begin.spread,
            start: batch.as_ref().map(|batch| Start { no: batch.no, cycle: cycle(batch) }),
            language: batch
                .as_ref()
                .map_or_else(String::new, |batch| batch.audience.language().to_owned()),
            force: begin.force,
        };
        let import = u32::try_from(self.store.state().imports.len()).unwrap_or(u32::MAX) + 1;
        let who = if begin.who.is_empty() { "operator".to_owned() } else { begin.who.clone() };
        let file = begin.file.clone();
        self.store.record(now, What::ImportBegan { import, who, file, tag })?;
        let running = Running {
            number: import,
            now,
            today: self.day_of(now),
            quiet: begin.quiet,
            run: Run::new(settings),
            tag,
            batch,
            mode,
            counts: ImportCounts::default(),
            placed: BTreeMap::new(),
            typed: HashMap::new(),
            rooms: HashMap::new(),
        };
        self.running.insert(import, running);
        Ok(import)
    }

    /// Judges a stretch of rows, in file order; a quiet import hears of the invalid ones only.
    /// Durable with the next commit.
    ///
    /// # Errors
    /// When the import is not under way, or the store fails.
    pub fn import_rows(
        &mut self,
        import: u32,
        rows: Vec<ImportRow>,
        now: Moment,
    ) -> Result<Vec<RowVerdict>, Failure> {
        let Some(mut running) = self.running.remove(&import) else {
            return Err(Failure::new(
                65,
                format!("import {import} is not under way"),
                "begin it again: what was judged stays, the rest follows",
            ));
        };
        running.now = now;
        running.today = self.day_of(now);
        let mut verdicts = Vec::new();
        for row in rows {
            let line = row.line;
            let (word, detail) = self.import_row(&mut running, row)?;
            if !running.quiet || word == "invalid" {
                verdicts.push((line, word, detail));
            }
        }
        self.stale = true;
        self.running.insert(import, running);
        Ok(verdicts)
    }

    /// Ends an import; answers its counts and how many contacts each tag was given to.
    ///
    /// # Errors
    /// When the import is not under way, or the store fails.
    pub fn end_import(
        &mut self,
        import: u32,
        now: Moment,
    ) -> Result<(ImportCounts, BTreeMap<String, u64>), Failure> {
        let Some(running) = self.running.remove(&import) else {
            return Err(Failure::new(65, format!("import {import} is not under way"), "begin it"));
        };
        let counts = running.counts;
        self.store.record(now, What::ImportEnded { import, counts })?;
        let state = self.store.state();
        let name = |tag: TagId| state.tag(tag).map(|tag| tag.name.clone()).unwrap_or_default();
        let placed = running.placed.into_iter().map(|(tag, count)| (name(tag), count)).collect();
        Ok((counts, placed))
    }

    fn import_row(
        &mut self,
        running: &mut Running,
        row: ImportRow,
    ) -> Result<(&'static str, String), Failure> {
        let rank = row.rank;
        let (found, repaired) = match self.find(running, row) {
            Ok(found) => found,
            Err(Unfit::Row(why)) => {
                running.counts.add(&Verdict::Invalid(String::new()));
                return Ok(("invalid", why));
            }
            Err(Unfit::Store(failure)) => return Err(failure),
        };
        let judged = self.judge_row(running, &found, rank)?;
        running.counts.add(&judged.verdict);
        let detail = match &judged.verdict {
            Verdict::New | Verdict::Known | Verdict::Updated => repaired,
            Verdict::OverCap | Verdict::Suppressed | Verdict::Duplicate => String::new(),
            Verdict::Invalid(why) => why.clone(),
        };
        self.enter(running, found, &judged)?;
        Ok((judged.verdict.word(), detail))
    }

    fn find(&mut self, running: &mut Running, row: ImportRow) -> Result<(Found, String), Unfit> {
        if let Some(fault) = row.fault {
            return Err(Unfit::Row(fault));
        }
        let parsed = Address::parse(&row.address)
            .map_err(|error| Unfit::Row(format!("{error} ({:?})", clip(&row.address))))?;
        let mut tags = Vec::with_capacity(row.tags.len());
        for typed in row.tags {
            tags.push(self.row_tag(running, typed)?);
        }
        let kind = match row.kind.as_deref() {
            Some("ordinary") => Kind::Ordinary,
            _ => Kind::Precise,
        };
        let address = parsed.address;
        let company_key = self.config.companies.of(&address).into_string();
        let state = self.store.state();
        let hash = Hash96::of(&stored_key(address.as_str()));
        let found = Found {
            hash,
            company: state.companies.find(Hash96::of(&company_key)),
            contact: state.contacts.find(hash),
            card: Card {
                name: if row.name.is_empty() { parsed.name.unwrap_or_default() } else { row.name },
                company: row.company,
                country: row.country,
                language: row.language,
                title: row.title,
                source: row.source,
                attributes: row.attributes,
            },
            address,
            company_key,
            kind,
            tags,
        };
        Ok((found, parsed.repair.map(|repair| repair.to_string()).unwrap_or_default()))
    }

    /// The number of a tag that a row names; most rows name the same few.
    fn row_tag(&mut self, running: &mut Running, typed: String) -> Result<TagId, Unfit> {
        if let Some(known) = running.typed.get(&typed) {
            return Ok(*known);
        }
        let tag = self.tag(&typed, running.now).map_err(|failure| match failure.code {
            65 => Unfit::Row(failure.message),
            _ => Unfit::Store(failure),
        })?;
        running.typed.insert(typed, tag);
        Ok(tag)
    }

    fn judge_row(
        &self,
        running: &mut Running,
        found: &Found,
        rank: Option<u32>,
    ) -> Result<Judged, Failure> {
        let state = self.store.state();
        let known = match found.contact.filter(|id| !state.shadows.contains(*id)) {
            Some(id) => Some(self.known(running, found, id)?),
            None => None,
        };
        let suppressed = found.contact.is_some_and(|id| state.suppressed.contains(id))
            || self.suppressed_domain(found.address.domain(), &|_| true).is_some();
        let highest =
            found.company.map_or(0, |company| state.companies.top_rank(company, found.kind));
        let newcomer = Newcomer {
            key: found.hash.high,
            company: Hash96::of(&found.company_key).high,
            kind: found.kind,
            rank,
            language: &found.card.language,
        };
        let names = |name: &str| language::code(name).map(ToOwned::to_owned);
        let (company, kind) = (found.company, found.kind);
        let Running { run, batch, rooms, .. } = running;
        let room = |no: u8| {
            let (Some(batch), Some(company)) = (&*batch, company) else { return 0 };
            *rooms
                .entry((company, kind, no))
                .or_insert_with(|| self.holds(company, kind, &batch.with_no(no)))
        };
        Ok(run.judge(&newcomer, &names, || Standing { suppressed, known, highest }, room))
    }

    /// How many of a company and kind a batch holds.
    fn holds(&self, company: CompanyNo, kind: Kind, batch: &BatchTag) -> u32 {
        let state = self.store.state();
        let Some(tag) = state.tag_named(&batch.to_string()) else { return 0 };
        let Some(members) = state.members(tag.id) else { return 0 };
        let everybody = state.contacts.of_company(company, &state.companies);
        let held = everybody.filter(|id| {
            members.contains(*id) && state.contacts.row(*id).is_some_and(|row| row.kind == kind)
        });
        u32::try_from(held.count()).unwrap_or(u32::MAX)
    }

    fn known(&self, running: &Running, found: &Found, id: ContactId) -> Result<Known, Failure> {
        let state = self.store.state();
        let has = |tag: TagId| state.members(tag).is_some_and(|members| members.contains(id));
        let same_series = |tag: &crate::book::tag::Tag| match (&tag.batch, &running.batch) {
            (Some(has), Some(aim)) => has.audience == aim.audience && has.kind == aim.kind,
            _ => false,
        };
        let differs = running.mode != Mode::New
            && self
                .store
                .contact(id)?
                .is_some_and(|contact| merged(&contact.card, &found.card).is_some());
        Ok(Known {
            rank: state.contacts.row(id).map_or(0, |row| row.rank),
            differs,
            lacks_row_tag: found.tags.iter().any(|tag| !has(*tag)),
            has_tag: running.tag.is_some_and(has),
            has_batch: running.batch.is_some() && state.tags_of(id).any(same_series),
            has_others: state
                .tags_of(id)
                .any(|tag| Some(tag.id) != running.tag && !found.tags.contains(&tag.id)),
        })
    }

    /// The suppressed domain that a domain is, or belongs to, among those that `counts` lets count.
    #[must_use]
    pub fn suppressed_domain(&self, domain: &str, counts: &dyn Fn(&str) -> bool) -> Option<&str> {
        let domains = &self.store.state().domains;
        if domains.is_empty() {
            return None;
        }
        let parents = std::iter::successors(Some(domain), |rest| {
            rest.split_once('.').map(|(_, parent)| parent)
        });
        let known = parents.filter_map(|part| domains.get_key_value(part));
        known.map(|(domain, _)| domain.as_str()).find(|domain| counts(domain))
    }

    /// Writes down what was judged.
    fn enter(
        &mut self,
        running: &mut Running,
        found: Found,
        judged: &Judged,
    ) -> Result<(), Failure> {
        let mut tags = Vec::with_capacity(found.tags.len() + 1);
        if judged.tags != TagsChange::None {
            let aim = self.aim(running, judged.place)?;
            tags.extend(aim);
            tags.extend(found.tags.iter().filter(|tag| Some(**tag) != aim));
        }
        for tag in &tags {
            *running.placed.entry(*tag).or_default() += 1;
        }
        match (&judged.verdict, found.contact) {
            (Verdict::New, _) => self.enter_new(running, found, judged.rank, tags),
            (Verdict::Updated, Some(contact)) => {
                if judged.card {
                    let held = self.store.contact(contact)?;
                    let card = held.and_then(|held| merged(&held.card, &found.card));
                    if let Some(card) = card {
                        let import = running.number;
                        self.store.record(running.now, What::Updated { contact, import, card })?;
                    }
                }
                self.retag(running, contact, &tags, judged.tags)
            }
            _ => Ok(()),
        }
    }

    /// The import's tag as the judge placed it, declared when it is new.
    fn aim(&mut self, running: &Running, place: Place) -> Result<Option<TagId>, Failure> {
        match (place, &running.batch) {
            (Place::None, _) => Ok(None),
            (Place::Batch(no), Some(batch)) if no != batch.no => {
                self.tag(&batch.with_no(no).to_string(), running.now).map(Some)
            }
            (Place::Tag | Place::Batch(_), _) => Ok(running.tag),
        }
    }

    fn enter_new(
        &mut self,
        running: &Running,
        found: Found,
        rank: u32,
        tags: Vec<TagId>,
    ) -> Result<(), Failure> {
        let now = running.now;
        let state = self.store.state();
        let next = CompanyNo(state.companies.len());
        // Rows before this one may have brought the company in.
        let company = state.companies.find(Hash96::of(&found.company_key));
        let contact = found.contact.unwrap_or(ContactId(state.contacts.len()));
        let what = What::Imported {
            contact,
            address: found.address.into_string(),
            company: company.unwrap_or(next),
            company_key: company.is_none().then_some(found.company_key),
            kind: found.kind,
            rank,
            day: running.today,
            import: running.number,
            tags,
            card: found.card,
        };
        self.store.record(now, what)?;
        Ok(())
    }

    fn retag(
        &mut self,
        running: &Running,
        contact: ContactId,
        tags: &[TagId],
        change: TagsChange,
    ) -> Result<(), Failure> {
        let (import, now, day) = (running.number, running.now, running.today);
        let state = self.store.state();
        let held: Vec<TagId> = state.tags_of(contact).map(|tag| tag.id).collect();
        if change == TagsChange::Replace {
            for tag in held.iter().filter(|tag| !tags.contains(tag)) {
                let reason = format!("replaced by import {import}");
                let by = By::Import(import);
                self.store.record(now, What::Untagged { contact, tag: *tag, by, reason })?;
            }
        }
        for tag in tags.iter().filter(|tag| !held.contains(tag)) {
            let by = By::Import(import);
            self.store.record(now, What::Tagged { contact, tag: *tag, day, by })?;
        }
        Ok(())
    }
}

/// Why a row goes no further.
enum Unfit {
    /// The row's own fault.
    Row(String),
    /// Ours.
    Store(Failure),
}

fn modes(begin: &ImportBegin) -> Result<(Mode, TagsMode), Failure> {
    let mode = match begin.mode.as_deref() {
        None => Mode::New,
        Some(word) => Mode::parse(word).ok_or_else(|| {
            Failure::new(64, format!("--mode {word}"), "write new, update or upsert")
        })?,
    };
    let tags = match begin.tags.as_deref() {
        None => mode.default_tags(),
        Some(word) => TagsMode::parse(word).ok_or_else(|| {
            Failure::new(64, format!("--tags {word}"), "write keep, append or replace")
        })?,
    };
    Ok((mode, tags))
}

/// The start of a cell, for a message.
fn clip(cell: &str) -> String {
    cell.chars().take(60).collect()
}
