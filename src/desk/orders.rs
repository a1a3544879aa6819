//! Orders: what a person changes by hand. Every one is an entry; nothing is taken out of history.

use serde_json::{Value, json};

use crate::book::address::Address;
use crate::book::contact::{Card, CompanyNo, ContactId, Day, Kind, Moment};
use crate::book::domain;
use crate::book::tag::TagId;
use crate::control::Failure;
use crate::desk::care::Whom;
use crate::desk::keeper::Keeper;
use crate::feedback::entry::{By, Cause, Target, What};
use crate::store::columns::Hash96;

impl Keeper {
    /// The contact with this address, as typed.
    ///
    /// # Errors
    /// 65 when it is no address, 66 when nobody has it.
    pub fn contact_id(&self, typed: &str) -> Result<ContactId, Failure> {
        let parsed = parse(typed)?;
        self.store.state().find(&parsed.key()).ok_or_else(|| {
            Failure::new(
                66,
                format!("no contact has the address {parsed}"),
                "check the spelling; `tradewind imports` lists what was brought in",
            )
        })
    }

    /// Gives a tag to contacts; answers how many had it not before.
    ///
    /// # Errors
    /// When the tag or an address is wrong: then nobody is tagged.
    pub fn give_tag(
        &mut self,
        whom: &Whom,
        typed: &str,
        who: &str,
        now: Moment,
    ) -> Result<Value, Failure> {
        let contacts = self.meant(whom, now)?;
        let all = contacts.len() as u64;
        let tag = self.tag(typed, now)?;
        let day = self.day_of(now);
        let mut tagged = 0_u64;
        for contact in contacts {
            if self.has_tag(contact, tag) {
                continue;
            }
            let by = By::Person(who.to_owned());
            self.store.record(now, What::Tagged { contact, tag, day, by })?;
            tagged += 1;
        }
        self.stale = true;
        Ok(json!({ "tagged": tagged, "known": all - tagged }))
    }

    /// Takes a tag back, as a correction.
    ///
    /// # Errors
    /// When the tag or an address is wrong: then nothing is taken back.
    pub fn take_tag(
        &mut self,
        whom: &Whom,
        typed: &str,
        (who, reason): (&str, &str),
        now: Moment,
    ) -> Result<Value, Failure> {
        let contacts = self.meant(whom, now)?;
        let tag = self.tag(typed, now)?;
        let mut untagged = 0_u64;
        for contact in contacts {
            if !self.has_tag(contact, tag) {
                continue;
            }
            let (by, reason) = (By::Person(who.to_owned()), reason.to_owned());
            self.store.record(now, What::Untagged { contact, tag, by, reason })?;
            untagged += 1;
        }
        self.stale = true;
        Ok(json!({ "untagged": untagged }))
    }

    fn has_tag(&self, contact: ContactId, tag: TagId) -> bool {
        self.store.state().members(tag).is_some_and(|members| members.contains(contact))
    }

    /// Suppresses addresses and `@domains`.
    ///
    /// # Errors
    /// When one is neither: then nothing is suppressed.
    pub fn suppress(
        &mut self,
        targets: &[String],
        reason: &str,
        now: Moment,
    ) -> Result<Value, Failure> {
        let parsed = targets.iter().map(|one| aim(one)).collect::<Result<Vec<_>, _>>()?;
        let mut suppressed = 0_u64;
        for target in parsed {
            suppressed += match target {
                Aim::Address(address) => self.suppress_address(&address, reason, now)?,
                Aim::Domain(domain) => self.suppress_domain(&domain, reason, now)?,
            };
        }
        self.stale = true;
        Ok(json!({ "suppressed": suppressed, "targets": targets.len() }))
    }

    fn suppress_address(
        &mut self,
        address: &Address,
        reason: &str,
        now: Moment,
    ) -> Result<u64, Failure> {
        let contact = match self.store.state().find(&address.key()) {
            Some(known) => known,
            None => self.shadow(address, now)?,
        };
        let state = self.store.state();
        if state.suppressed.contains(contact) && !state.by_domain.contains(contact) {
            return Ok(0);
        }
        let note = reason.trim_start_matches('@').to_owned();
        let target = Target::Contact(contact);
        self.store.record(now, What::Suppressed { target, cause: Cause::Operator, note })?;
        Ok(1)
    }

    /// An address that is known only by its suppression: no rank, no tag.
    fn shadow(&mut self, address: &Address, now: Moment) -> Result<ContactId, Failure> {
        let key = self.config.companies.of(address).into_string();
        let state = self.store.state();
        let contact = ContactId(state.contacts.len());
        let company = state.companies.find(Hash96::of(&key));
        let what = What::Imported {
            contact,
            address: address.as_str().to_owned(),
            company: company.unwrap_or(CompanyNo(state.companies.len())),
            company_key: company.is_none().then_some(key),
            kind: Kind::Precise,
            rank: 0,
            day: self.day_of(now),
            import: 0,
            tags: Vec::new(),
            card: Card::default(),
        };
        self.store.record(now, what)?;
        Ok(contact)
    }

    fn suppress_domain(&mut self, domain: &str, reason: &str, now: Moment) -> Result<u64, Failure> {
        if self.store.state().domains.contains_key(domain) {
            return Ok(0);
        }
        let target = Target::Domain(domain.to_owned());
        let note = reason.to_owned();
        self.store.record(now, What::Suppressed { target, cause: Cause::Operator, note })?;
        for contact in self.in_domain(domain)? {
            if self.store.state().suppressed.contains(contact) {
                continue;
            }
            let target = Target::Contact(contact);
            let note = format!("@{domain}");
            self.store.record(now, What::Suppressed { target, cause: Cause::Operator, note })?;
        }
        Ok(1)
    }

    /// Everybody at a domain or below it.
    fn in_domain(&self, domain: &str) -> Result<Vec<ContactId>, Failure> {
        let mut found = Vec::new();
        self.store.each_contact(|id, address| {
            let host = address.rsplit_once('@').map_or("", |(_, host)| host);
            let below = host
                .strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            if below {
                found.push(id);
            }
        })?;
        Ok(found)
    }

    /// Who is suppressed for a domain alone, with no other suppressed domain above her.
    fn only_below(
        &self,
        domain: &str,
        left: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<ContactId>, Failure> {
        let mut only = Vec::new();
        for id in self.in_domain(domain)? {
            if !self.store.state().by_domain.contains(id) {
                continue;
            }
            let contact = self.store.contact(id)?;
            let other =
                contact.and_then(|contact| self.suppressed_domain(contact.address.domain(), left));
            if other.is_none() {
                only.push(id);
            }
        }
        Ok(only)
    }

    /// Takes suppressions back, as a correction.
    ///
    /// # Errors
    /// When a target is not suppressed: then nothing is taken back.
    pub fn unsuppress(
        &mut self,
        targets: &[String],
        reason: &str,
        now: Moment,
    ) -> Result<Value, Failure> {
        let mut removed = Vec::new();
        for typed in targets {
            let not_there =
                || Failure::new(66, format!("{typed} is not on the suppression list"), "check it");
            match aim(typed)? {
                Aim::Domain(domain) => {
                    if !self.store.state().domains.contains_key(&domain) {
                        return Err(not_there());
                    }
                    let gone = |other: &str| removed.contains(&Target::Domain(other.to_owned()));
                    let left = |other: &str| other != domain && !gone(other);
                    let only = self.only_below(&domain, &left)?;
                    removed.extend(only.into_iter().map(Target::Contact));
                    removed.push(Target::Domain(domain));
                }
                Aim::Address(address) => {
                    let id = self.store.state().find(&address.key());
                    let id = id.filter(|id| self.store.state().suppressed.contains(*id));
                    let id = id.ok_or_else(not_there)?;
                    let gone = |other: &str| removed.contains(&Target::Domain(other.to_owned()));
                    if let Some(domain) = self.suppressed_domain(address.domain(), &|d| !gone(d)) {
                        let why = format!("{typed} is below @{domain}, which is suppressed");
                        let fix = "take the whole domain off the list, or leave it";
                        return Err(Failure::new(65, why, fix));
                    }
                    removed.push(Target::Contact(id));
                }
            }
        }
        for target in removed {
            let reason = reason.to_owned();
            self.store.record(now, What::Unsuppressed { target, reason })?;
        }
        self.stale = true;
        Ok(json!({ "removed": targets.len() }))
    }

    /// Writes a note on a contact.
    ///
    /// # Errors
    /// When there is no such contact.
    pub fn note(
        &mut self,
        typed: &str,
        text: &str,
        who: &str,
        now: Moment,
    ) -> Result<Value, Failure> {
        let contact = self.contact_id(typed)?;
        let (by, text) = (By::Person(who.to_owned()), text.to_owned());
        self.store.record(now, What::Noted { contact, day: self.day_of(now), by, text })?;
        Ok(json!({ "noted": typed }))
    }

    /// Stops, or goes on, writing letters; durable, and said once only.
    ///
    /// # Errors
    /// When the store fails.
    pub fn pause(&mut self, stop: bool, who: &str, now: Moment) -> Result<Value, Failure> {
        if self.store.state().paused != stop {
            let by = By::Person(who.to_owned());
            let what = if stop { What::Paused { by } } else { What::Resumed { by } };
            self.store.record(now, what)?;
            self.stale = true;
            self.resting.clear();
        }
        Ok(json!({ "paused": stop }))
    }
}

impl Keeper {
    /// Stops a batch until it is released; says how long that may last.
    ///
    /// # Errors
    /// When it is no batch tag of a declared audience.
    pub fn hold(
        &mut self,
        batch: &str,
        reason: &str,
        who: &str,
        now: Moment,
    ) -> Result<Value, Failure> {
        let tag = self.batch(batch, now)?;
        let (by, reason) = (By::Person(who.to_owned()), reason.to_owned());
        self.store.record(now, What::BatchHeld { tag, by, reason })?;
        self.stale = true;
        let days = self.config.carry_days_max;
        Ok(json!({
            "held": self.tag_name(tag),
            "note": format!("its letters are carried for {days} days; held longer, they wait for \
                             their next round"),
        }))
    }

    /// Lets a batch go on.
    ///
    /// # Errors
    /// When it is no batch, or not held.
    pub fn release(&mut self, batch: &str, who: &str, now: Moment) -> Result<Value, Failure> {
        let tag = self.batch(batch, now)?;
        if !self.store.state().held.contains(&tag) {
            return Err(Failure::new(66, format!("{batch} is not held"), "see `plan`"));
        }
        self.store.record(now, What::BatchReleased { tag, by: By::Person(who.to_owned()) })?;
        self.stale = true;
        self.resting.clear();
        Ok(json!({ "released": self.tag_name(tag) }))
    }

    /// Lets a large round go out.
    ///
    /// # Errors
    /// When it is no batch, or does not fall due on that day.
    pub fn approve(
        &mut self,
        batch: &str,
        due: Day,
        who: &str,
        now: Moment,
    ) -> Result<Value, Failure> {
        let tag = self.batch(batch, now)?;
        let calendar = self.config.cadence.due(due);
        let state = self.store.state();
        let parts = state.tag(tag).and_then(|tag| tag.batch.as_ref());
        if parts.is_none_or(|batch| !calendar.contains(&(batch.kind, batch.no))) {
            let fix = "name the day it falls due with --date; `plan --date D` lists what is due";
            return Err(Failure::new(66, format!("{batch} does not fall due on {due}"), fix));
        }
        self.store.record(now, What::RoundApproved { tag, due, by: By::Person(who.to_owned()) })?;
        self.stale = true;
        Ok(json!({ "approved": self.tag_name(tag), "date": due.to_string() }))
    }

    fn batch(&mut self, typed: &str, now: Moment) -> Result<TagId, Failure> {
        let tag = self.tag(typed, now)?;
        if self.store.state().tag(tag).is_none_or(|tag| tag.batch.is_none()) {
            let fix = "name a batch, as 英语-工程设备经销商-营销05";
            return Err(Failure::new(65, format!("{typed} is no batch"), fix));
        }
        Ok(tag)
    }
}

enum Aim {
    Address(Address),
    Domain(String),
}

fn aim(typed: &str) -> Result<Aim, Failure> {
    let typed = typed.trim();
    match typed.strip_prefix('@') {
        None => parse(typed).map(Aim::Address),
        Some(name) => domain::parse(name).map(Aim::Domain).map_err(|error| {
            Failure::new(65, format!("{typed}: {error}"), "write a domain as @acme.example")
        }),
    }
}

fn parse(typed: &str) -> Result<Address, Failure> {
    match Address::parse(typed.trim()) {
        Ok(parsed) => Ok(parsed.address),
        Err(error) => {
            Err(Failure::new(65, format!("{typed:?}: {error}"), "write it as ann@acme.example"))
        }
    }
}
