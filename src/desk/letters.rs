//! Letters: handed out as drafts, claimed, settled, and what their readers do.

use std::sync::Arc;

use crate::book::contact::{ContactId, Moment};
use crate::cadence::plan::Limits;
use crate::cadence::reason::Reason;
use crate::control::Failure;
use crate::desk::draft::Draft;
use crate::desk::keeper::Keeper;
use crate::feedback::entry::{Cause, LetterId, Target, Via, What};
use crate::feedback::keyword::When;
use crate::feedback::open::{Fetch, OpenClass};
use crate::feedback::verdict::{Class, Verdict, next_attempt};
use crate::letter::template::Template;
use crate::net::crowd::Crowd;
use crate::store::facts::InForce;
use crate::store::ledger::{self, Claiming, Refusal};

/// Letters to crowded domains looked at in one go: more are for another time.
const CROWDED_MAX: usize = 200;

impl Keeper {
    /// Up to `room` letters to send now: retries that are due first, then the day's plan, without
    /// those whose domains are crowded.
    ///
    /// # Errors
    /// When the store fails.
    pub fn hand_out(
        &mut self,
        now: Moment,
        room: usize,
        crowd: &Crowd,
    ) -> Result<Vec<Draft>, Failure> {
        let mut ready = Vec::new();
        let state = self.store.state();
        // A clock or a zone that shows an earlier day again has no plan and no attempts.
        let lived = state.opened == Some(self.day_of(now));
        if !lived || state.paused || !self.is_open(now) {
            return Ok(ready);
        }
        let due: Vec<LetterId> = self
            .store
            .state()
            .living
            .values()
            .filter(|living| living.until.is_some_and(|until| until <= now))
            .map(|living| living.letter)
            .filter(|letter| !self.retrying.contains(letter) && !self.resting.contains(letter))
            .take(room)
            .collect();
        for letter in due {
            if let Some(one) = self.prepare(letter, now)? {
                self.retrying.insert(letter);
                ready.push(one);
            }
        }
        let mut crowded = 0;
        while ready.len() < room && crowded < CROWDED_MAX {
            let Some((contact, tag, due)) = self.day.as_mut().and_then(|day| day.pop()) else {
                break;
            };
            match self.prepare(LetterId { contact, tag, due }, now)? {
                Some(draft) if crowd.holds(draft.contact.address.domain()) => {
                    crowded += 1;
                    self.composed.remove(&draft.letter);
                    if let Some(day) = &mut self.day {
                        day.put_last(contact, tag, due);
                    }
                }
                draft => ready.extend(draft),
            }
        }
        self.store.commit()?;
        Ok(ready)
    }

    /// Drafts a letter; one that cannot be drafted ends here, with the reason on its timeline.
    fn prepare(&mut self, letter: LetterId, now: Moment) -> Result<Option<Draft>, Failure> {
        match self.draft(letter, now)? {
            Ok(draft) => {
                if draft.attempt == 1 {
                    // Kept now: a reload may come before the claim.
                    self.keep_template(draft.template, now)?;
                    self.composed.insert(letter, (draft.template, now));
                }
                Ok(Some(draft))
            }
            Err(why) => self.unfit(letter, &why, now).map(|()| None),
        }
    }

    /// A letter that cannot be composed ends, with the reason on its timeline.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unfit(&mut self, letter: LetterId, why: &str, now: Moment) -> Result<(), Failure> {
        self.retrying.remove(&letter);
        self.composed.remove(&letter);
        let reason = format!("{}: {why}", Reason::NoTemplate);
        let retried = self.store.state().living.contains_key(&letter.contact);
        self.store.record(now, What::Withdrawn { letter, reason })?;
        if !retried {
            self.drop_from_plan(letter, &Reason::NoTemplate);
        }
        Ok(())
    }

    fn drop_from_plan(&mut self, letter: LetterId, reason: &Reason) {
        if let Some(day) = &mut self.day {
            day.drop_contact(letter.contact, letter.tag, letter.due, reason);
        }
    }

    /// A letter as it would leave now, to be composed; the inner error says why there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn draft(
        &mut self,
        letter: LetterId,
        now: Moment,
    ) -> Result<Result<Draft, String>, Failure> {
        let Some(contact) = self.store.contact(letter.contact)? else {
            return Ok(Err("no such contact".to_owned()));
        };
        let state = self.store.state();
        let living = state.living.get(&letter.contact).filter(|living| living.letter == letter);
        let (date, attempt) =
            living.map_or((now, 1), |living| (living.first_at, living.attempts.saturating_add(1)));
        let kept = living.map(|living| living.template);
        let Some(batch) = state.tag(letter.tag).and_then(|tag| tag.batch.clone()) else {
            return Ok(Err("no such batch".to_owned()));
        };
        let picked =
            self.config.templates.pick(&batch.audience, batch.kind, letter.contact, letter.due);
        let Some(template) = kept.or_else(|| picked.map(Template::hash)) else {
            return Ok(Err("no template".to_owned()));
        };
        Ok(Ok(Draft {
            letter,
            attempt,
            date,
            contact,
            batch,
            kept: self.old_template(template),
            template,
            config: Arc::clone(&self.config),
            keys: Arc::clone(&self.keys),
            public_url: self.public_url(),
        }))
    }

    /// How recipients reach the endpoint.
    fn public_url(&self) -> Arc<str> {
        match (&self.config.http.public_url, self.http) {
            (Some(url), _) => url.as_str().into(),
            (None, Some(bound)) => format!("http://{bound}").into(),
            (None, None) => format!("http://{}", self.config.http.listen).into(),
        }
    }

    /// A template that letters were claimed with and that is no longer configured as it was.
    fn old_template(&mut self, hash: u64) -> Option<Arc<Template>> {
        if self.config.templates.by_hash(hash).is_some() {
            return None;
        }
        if let Some(old) = self.old_templates.get(&hash) {
            return Some(Arc::clone(old));
        }
        let (name, source) = self.store.state().templates.get(&hash)?;
        let parsed = Template::parse(name, source, &self.config.cadence.series).ok()?;
        let parsed = Arc::new(parsed);
        self.old_templates.insert(hash, Arc::clone(&parsed));
        Some(parsed)
    }

    /// Claims a letter's next attempt: recorded, durable with the next commit.
    ///
    /// # Errors
    /// The outer one when the store fails; the inner one says why the letter must not leave.
    pub fn claim(&mut self, letter: LetterId, now: Moment) -> Result<Result<(), String>, Failure> {
        let Some(batch) = self.store.state().tag(letter.tag).and_then(|tag| tag.batch.clone())
        else {
            return Ok(Err("no such batch".to_owned()));
        };
        let living = self.store.state().living.get(&letter.contact);
        let kept = living.filter(|living| living.letter == letter).map(|living| living.template);
        let picked =
            self.config.templates.pick(&batch.audience, batch.kind, letter.contact, letter.due);
        let composed = self.composed.get(&letter).copied();
        let template = kept
            .or(composed.map(|(template, _)| template))
            .or_else(|| picked.map(Template::hash))
            .unwrap_or(0);
        let claiming = Claiming {
            now,
            day: self.day_of(now),
            limits: &self.config.limits,
            excluded: self.excluded(batch.kind, letter.contact, self.day_of(now))?,
            open: self.is_open(now) && !self.is_closed_for(letter.contact, now)?,
            held: self.store.state().held.contains(&letter.tag),
            template,
            rehearsal: self.rehearsal,
        };
        match ledger::claim(self.store.state(), letter, &claiming) {
            Ok(claim) => {
                self.keep_template(template, now)?;
                self.keep_limits(now)?;
                // The claim is of the moment that is in the letter's Date: every attempt has it.
                let date = composed.filter(|_| kept.is_none()).map_or(now, |(_, date)| date);
                self.composed.remove(&letter);
                self.store.record(date, claim)?;
                if let Some(day) = &mut self.day {
                    day.claimed(letter.contact);
                }
                Ok(Ok(()))
            }
            Err(refusal) => {
                self.withhold(letter, &refusal, now)?;
                Ok(Err(refusal.text()))
            }
        }
    }

    fn is_closed_for(&self, contact: ContactId, now: Moment) -> Result<bool, Failure> {
        let only = std::iter::once(contact).collect();
        Ok(!self.closed_on(self.day_of(now), &only)?.is_empty())
    }

    fn keep_template(&mut self, hash: u64, now: Moment) -> Result<(), Failure> {
        if self.store.state().templates.contains_key(&hash) {
            return Ok(());
        }
        let Some(template) = self.config.templates.by_hash(hash) else { return Ok(()) };
        let (name, source) = (template.name().to_owned(), template.source().to_owned());
        self.store.record(now, What::TemplateKept { hash, name, source })?;
        Ok(())
    }

    /// Writes down by which limits letters are claimed from now on, when they have changed.
    fn keep_limits(&mut self, now: Moment) -> Result<(), Failure> {
        let Limits { company_per_day_max, contact_gap_days_min, silent_gap_days_min, .. } =
            self.config.limits;
        let limits = InForce { company_per_day_max, contact_gap_days_min, silent_gap_days_min };
        if self.store.state().in_force != Some(limits) {
            let what =
                What::Limited { company_per_day_max, contact_gap_days_min, silent_gap_days_min };
            self.store.record(now, what)?;
        }
        Ok(())
    }

    /// A letter that may not be claimed: it ends when its contact is excluded, else it waits.
    fn withhold(&mut self, letter: LetterId, why: &Refusal, now: Moment) -> Result<(), Failure> {
        self.retrying.remove(&letter);
        self.composed.remove(&letter);
        let state = self.store.state();
        let living = state.living.get(&letter.contact).filter(|living| living.letter == letter);
        let done = state.rounds.get(&(letter.due, letter.tag));
        let done = done.is_some_and(|round| round.done.contains(letter.contact));
        let retried = living.is_some_and(|living| living.until.is_some_and(|until| until <= now));
        if done && !retried {
            // Another copy, handed out before, was claimed: what becomes of that one counts.
            if let Some(day) = &mut self.day {
                day.claimed(letter.contact);
            }
            return Ok(());
        }
        if why.ends() {
            self.store.record(now, What::Withdrawn { letter, reason: why.text() })?;
        } else if retried && *why == Refusal::NotLiving {
            let reason = "not-due".to_owned();
            self.store.record(now, What::Withdrawn { letter, reason })?;
        } else if retried {
            self.resting.insert(letter);
        }
        self.stale = true;
        if retried {
            return Ok(());
        }
        match why {
            Refusal::Reason(reason) => self.drop_from_plan(letter, reason),
            Refusal::Paused => {
                if let Some(day) = &mut self.day {
                    day.push_back(letter.contact, letter.tag, letter.due);
                }
            }
            Refusal::NotLiving | Refusal::DayWentBack => {
                if let Some(day) = &mut self.day {
                    day.claimed(letter.contact);
                }
            }
        }
        Ok(())
    }

    /// A letter comes back that was handed out and never claimed: it is sent later.
    pub fn give_back(&mut self, letter: LetterId) {
        self.retrying.remove(&letter);
        self.composed.remove(&letter);
        if let Some(day) = &mut self.day {
            day.push_back(letter.contact, letter.tag, letter.due);
        }
    }

    /// Records what became of an attempt. One that failed before its claim was asked for is claimed
    /// here, so that its unit of the cap is taken whatever the answer was.
    ///
    /// # Errors
    /// When the store fails: nothing more may be sent.
    pub fn settle(
        &mut self,
        letter: LetterId,
        claimed: bool,
        verdict: Verdict,
        now: Moment,
    ) -> Result<(), Failure> {
        if !claimed && self.claim(letter, now)?.is_err() {
            return Ok(());
        }
        self.retrying.remove(&letter);
        let Some(living) = self.store.state().living.get(&letter.contact).cloned() else {
            return Ok(());
        };
        let what = match verdict {
            Verdict::Accepted { reply } => {
                self.remember_accepted(letter, now);
                What::Accepted { letter, reply }
            }
            Verdict::Unknown { why } => What::Unknown { letter, why },
            Verdict::Refused { class, reply } => {
                return self.refused(letter, class, reply, now);
            }
            // A domain that is gone on two days is gone; on one day it may be a mishap of DNS.
            Verdict::Deferred { class: Class::BadDomain, reply }
                if self.day_of(living.first_at) < self.day_of(now) =>
            {
                return self.refused(letter, Class::BadDomain, reply, now);
            }
            Verdict::Deferred { class, reply } => {
                let seed = u64::from_be_bytes(letter.to_bytes());
                match next_attempt(living.attempts, living.first_at, now, seed) {
                    Some(until) => What::Deferred { letter, until, class, reply },
                    None => What::Expired { letter },
                }
            }
        };
        self.store.record(now, what)?;
        Ok(())
    }

    fn refused(
        &mut self,
        letter: LetterId,
        class: Class,
        reply: String,
        now: Moment,
    ) -> Result<(), Failure> {
        self.store.record(now, What::Refused { letter, class, reply: reply.clone() })?;
        if class.suppresses() {
            let (target, cause) = (Target::Contact(letter.contact), Cause::HardBounce);
            self.store.record(now, What::Suppressed { target, cause, note: reply })?;
        }
        Ok(())
    }

    /// Keeps the last hour's acceptances, to tell scanners by their haste.
    fn remember_accepted(&mut self, letter: LetterId, now: Moment) {
        const KEPT_MAX: usize = 50_000;
        if self.accepted_at.len() >= KEPT_MAX {
            let recent = now.plus_seconds(-3600);
            self.accepted_at.retain(|_, at| *at > recent);
        }
        if self.accepted_at.len() < KEPT_MAX {
            self.accepted_at.insert(letter, now);
        }
    }

    /// A pixel was fetched.
    ///
    /// # Errors
    /// When the store fails.
    pub fn opened(
        &mut self,
        letter: LetterId,
        user_agent: &str,
        head: bool,
        now: Moment,
    ) -> Result<(), Failure> {
        if head || !self.is_letter(letter) {
            return Ok(());
        }
        let since_accepted_ms = self.accepted_at.get(&letter).map(|at| now.0 - at.0);
        let fetch = Fetch { user_agent, head, since_accepted_ms };
        let (class, reason) = self.open_rules.classify(&fetch);
        let reason = reason.to_owned();
        let day = self.day_of(now);
        self.store.record(now, What::Opened { letter, class, reason, day })?;
        match class {
            OpenClass::Human | OpenClass::ProxyHuman => {
                self.fire_on_count(letter.contact, When::Opened, now)
            }
            _ => Ok(()),
        }
    }

    /// Somebody asked to be left alone; asking again changes nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unsubscribed(&mut self, letter: LetterId, via: Via, now: Moment) -> Result<(), Failure> {
        if !self.is_letter(letter) {
            return Ok(());
        }
        let contact = letter.contact;
        let state = self.store.state();
        if state.suppressed.contains(contact) && !state.by_domain.contains(contact) {
            return Ok(());
        }
        self.store.record(now, What::Unsubscribed { contact, letter: Some(letter), via })?;
        self.stale = true;
        let leave = self.config.group_of("退订").map(|_| "退订");
        if let Some(name) = leave {
            self.give_rule_tag(contact, name, "unsubscribed", now)?;
        }
        Ok(())
    }

    /// Gives a tag in the name of a rule; once is enough.
    ///
    /// # Errors
    /// When there is no such tag, or the store fails.
    pub fn give_rule_tag(
        &mut self,
        contact: ContactId,
        name: &str,
        rule: &str,
        now: Moment,
    ) -> Result<(), Failure> {
        let tag = self.tag(name, now)?;
        let members = self.store.state().members(tag);
        if members.is_some_and(|members| members.contains(contact)) {
            return Ok(());
        }
        let by = crate::feedback::entry::By::Rule(rule.to_owned());
        let day = self.day_of(now);
        self.store.record(now, What::Tagged { contact, tag, day, by })?;
        Ok(())
    }

    /// Whether the token of a letter is about a contact and a batch of this store.
    #[must_use]
    pub fn is_letter(&self, letter: LetterId) -> bool {
        let state = self.store.state();
        letter.contact.0 < state.contacts.len() && state.tag(letter.tag).is_some()
    }
}
