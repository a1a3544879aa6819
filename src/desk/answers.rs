//! Answers: every request of an operator, done or looked up.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::book::contact::{Day, Moment};
use crate::book::label::LabelKind;
use crate::cadence::intake::ImportCounts;
use crate::control::{Answer, Failure, ImportBegin, Request};
use crate::desk::care::Whom;
use crate::desk::keeper::Keeper;
use crate::desk::sight::Choice;
use crate::desk::tell::cause_word;
use crate::desk::world::Shares;
use crate::feedback::entry::What;
use crate::letter::lint::{self, Level};
use crate::store::audit::{self, Rules};
use crate::store::facts::{Counts, RoundState};

impl Keeper {
    /// Does or looks up what is asked, and makes it durable. Reloading and the clock are the
    /// daemon's.
    pub fn answer(&mut self, request: Request, who: &str, now: Moment) -> Answer {
        let answer = match self.respond(request, who, now) {
            Ok(answer) => answer,
            Err(failure) => return Answer::Failed(failure),
        };
        match self.store.commit() {
            Ok(()) => answer,
            Err(error) => Answer::Failed(error.into()),
        }
    }

    /// As [`Self::answer`], durable with the next commit.
    ///
    /// # Errors
    /// Whatever stands in the way.
    pub fn respond(&mut self, request: Request, who: &str, now: Moment) -> Result<Answer, Failure> {
        let day = |date: Option<chrono::NaiveDate>, keeper: &Self| {
            date.map_or_else(|| keeper.day_of(now), Day::from_date)
        };
        let one = |value: Value| Ok(Answer::One(value));
        match request {
            Request::ImportBegin(begin) => {
                let begin = ImportBegin {
                    who: if begin.who.is_empty() { who.to_owned() } else { begin.who },
                    ..begin
                };
                one(json!({ "import": self.begin_import(&begin, now)? }))
            }
            Request::ImportRows { import, rows } => {
                one(json!({ "verdicts": self.import_rows(import, rows, now)? }))
            }
            Request::ImportEnd { import } => {
                let (counts, placed) = self.end_import(import, now)?;
                let mut summary = counted(&counts);
                summary.insert("placed".to_owned(), json!(placed));
                one(Value::Object(summary))
            }
            Request::Imports {} => one(json!({ "imports": self.imports() })),
            Request::Plan { date, list: true } => {
                let day = day(date, self);
                Ok(Answer::Lines(self.plan_lines(day, now)?))
            }
            Request::Plan { date, list: false } => {
                let day = day(date, self);
                one(self.plan_summary(day, now)?)
            }
            Request::Status {} => one(self.status(now)?),
            Request::Show { address } => one(self.show(&address)?),
            Request::Why { address, date } => {
                let day = day(date, self);
                one(self.why(&address, day, now)?)
            }
            Request::Report { from, to } => {
                let to = to.or(from);
                let (from, to) = (day(from.or(to), self), day(to, self));
                one(self.report(from, to, now)?)
            }
            Request::Audit {} => self.audit(),
            other => self.respond_to_orders(other, who, now),
        }
    }

    fn respond_to_orders(
        &mut self,
        request: Request,
        who: &str,
        now: Moment,
    ) -> Result<Answer, Failure> {
        let value = match request {
            Request::Tag { addresses, view, condition, tag } => {
                self.give_tag(&Whom { addresses, view, condition }, &tag, who, now)?
            }
            Request::Untag { addresses, view, condition, tag, reason } => {
                self.take_tag(&Whom { addresses, view, condition }, &tag, (who, &reason), now)?
            }
            Request::Assign { addresses, view, condition, owner } => {
                let whom = Whom { addresses, view, condition };
                self.label(&whom, (LabelKind::Owner, &owner), who, now)?
            }
            Request::Stage { addresses, view, condition, stage } => {
                let whom = Whom { addresses, view, condition };
                self.label(&whom, (LabelKind::Stage, &stage), who, now)?
            }
            Request::Tags { unused, similar } => self.tag_library(unused, similar),
            Request::View { name: None, .. } => self.all_views(now)?,
            Request::View { name: Some(name), explain: true, .. } => {
                self.explain_view(&name, now)?
            }
            Request::View { name, list, .. } => {
                return self.contacts(&Choice { view: name, ..Choice::default() }, list, now);
            }
            Request::Pools { overdue: true } => return self.overdue_lines(now),
            Request::Pools { overdue: false } => self.pools(now)?,
            Request::Contacts { view, tag, condition, list } => {
                return self.contacts(&Choice { view, tag, condition }, list, now);
            }
            Request::Suppress { targets, reason } => self.suppress(&targets, &reason, now)?,
            Request::SuppressList {} => return Ok(Answer::Lines(self.suppressions()?)),
            Request::SuppressRemove { targets, reason } => {
                self.unsuppress(&targets, &reason, now)?
            }
            Request::Note { address, text } => self.note(&address, &text, who, now)?,
            Request::Pause {} => self.pause(true, who, now)?,
            Request::Resume {} => self.pause(false, who, now)?,
            Request::Hold { batch, reason } => self.hold(&batch, &reason, who, now)?,
            Request::Release { batch } => self.release(&batch, who, now)?,
            Request::Approve { batch, date } => {
                let day = date.map_or_else(|| self.day_of(now), Day::from_date);
                self.approve(&batch, day, who, now)?
            }
            Request::Check {} => return self.check(),
            Request::Inbound { file, mail, how } => self.inbound(&file, &mail, how, now)?,
            Request::Inbox { address } => return self.inbox(address.as_deref()),
            Request::InboxDone { address, tag, suppress } => {
                self.decide(&address, tag.as_deref(), suppress, (who, now))?
            }
            Request::RulesDryRun { from } => return self.rules_dry_run(from),
            Request::Forecast { days, opens, replies, seed } => {
                let opens = opens.unwrap_or_else(|| self.opens_so_far());
                self.forecast(days, Shares { opens, replies, seed }, now)?
            }
            _ => {
                return Err(Failure::new(
                    75,
                    "only a running daemon can do that",
                    "start it with `tradewind run --config FILE`",
                ));
            }
        };
        Ok(Answer::One(value))
    }

    fn imports(&self) -> Vec<Value> {
        let state = self.store.state();
        let one = |(at, import): (usize, &crate::store::facts::ImportState)| {
            let mut shown = import.counts.as_ref().map(counted).unwrap_or_default();
            shown.insert("import".to_owned(), json!(at + 1));
            shown.insert("at".to_owned(), json!(self.time(import.at)));
            shown.insert("who".to_owned(), json!(import.who));
            shown.insert("file".to_owned(), json!(import.file));
            shown.insert("tag".to_owned(), json!(import.tag.map(|tag| self.tag_name(tag))));
            shown.insert("finished".to_owned(), json!(import.counts.is_some()));
            Value::Object(shown)
        };
        state.imports.iter().enumerate().map(one).collect()
    }

    /// The day at a glance.
    fn status(&mut self, now: Moment) -> Result<Value, Failure> {
        let today = self.day_of(now);
        let rounds = self.rounds_of(today, now)?;
        let state = self.store.state();
        let settled = match state.today.day {
            Some(day) if day == today => state.today.settled,
            _ => Counts::default(),
        };
        let (mut deferred, mut in_conversation) = (0_u64, 0_u64);
        for living in state.living.values() {
            *(if living.until.is_some() { &mut deferred } else { &mut in_conversation }) += 1;
        }
        let mut waiting = 0;
        for round in &rounds {
            let done = state.rounds.get(&(round.due, round.tag));
            let left = done.map_or_else(|| round.send.clone(), |r| round.send.minus(&r.done));
            waiting += left.len();
        }
        let remaining = waiting + in_conversation;
        let Counts { accepted, refused, unknown, withdrawn, expired, .. } = settled;
        let ended: u64 =
            [accepted, refused, unknown, withdrawn, expired].into_iter().map(u64::from).sum();
        let word = match (self.http.is_some(), state.paused) {
            (_, true) => "paused",
            (true, false) => "running",
            (false, false) => "stopped",
        };
        Ok(json!({
            "state": word,
            "date": today.to_string(),
            "now": self.time(now),
            "http": self.http.map(|http| http.to_string()),
            "planned": ended + deferred + remaining,
            "accepted": accepted,
            "deferred": deferred,
            "refused": refused,
            "unknown": unknown,
            "withdrawn": withdrawn,
            "expired": expired,
            "remaining": remaining,
            "contacts": state.contacts.len(),
            "suppressed": state.suppressed.len(),
        }))
    }

    /// Who was written to in the rounds of a span of days, and why the others were not.
    fn report(&mut self, from: Day, to: Day, now: Moment) -> Result<Value, Failure> {
        let mut lines = Vec::new();
        let mut all = Map::new();
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        for number in from.0..=to.0 {
            let day = Day(number);
            let rounds = self.rounds_of(day, now)?;
            for round in rounds.iter().filter(|round| round.due == day) {
                let held = self.store.state().rounds.get(&(round.due, round.tag));
                let mut line = told(held.unwrap_or(&RoundState::default()));
                for (name, value) in &line {
                    let sum = all.get(name).and_then(Value::as_u64).unwrap_or(0);
                    all.insert(name.clone(), json!(sum + value.as_u64().unwrap_or(0)));
                }
                for (why, count) in round.reasons() {
                    *reasons.entry(why).or_default() += count;
                }
                line.insert("date".to_owned(), json!(day.to_string()));
                line.insert("batch".to_owned(), json!(self.tag_name(round.tag)));
                line.insert("targets".to_owned(), json!(round.targets()));
                line.insert("reasons".to_owned(), json!(round.reasons()));
                lines.push(Value::Object(line));
            }
        }
        Ok(json!({
            "from": from.to_string(),
            "to": to.to_string(),
            "rounds": lines,
            "totals": all,
            "reasons": reasons,
        }))
    }

    /// Of a thousand accepted letters, how many a person opened so far.
    fn opens_so_far(&self) -> u32 {
        let (mut accepted, mut opened) = (0_u64, 0_u64);
        for round in self.store.state().rounds.values() {
            accepted += u64::from(round.counts.accepted);
            opened += round.readers.len();
        }
        let share = (opened * 1000).checked_div(accepted).unwrap_or(0);
        u32::try_from(share).unwrap_or(1000).min(1000)
    }

    fn audit(&mut self) -> Result<Answer, Failure> {
        self.store.commit()?;
        let limits = &self.config.limits;
        let rules = Rules {
            company_per_day_max: limits.company_per_day_max,
            contact_gap_days_min: limits.contact_gap_days_min,
            silent_gap_days_min: limits.silent_gap_days_min,
        };
        let journal = self.store.dir().join("journal");
        let found = audit::audit(&journal, rules)
            .map_err(crate::store::site::StoreError::from)
            .map_err(Failure::from)?;
        let violations: Vec<Value> = found
            .violations
            .iter()
            .map(|one| {
                json!({
                    "kind": one.kind,
                    "detail": one.detail,
                    "sequence": one.seq,
                    "at": self.time(one.at),
                })
            })
            .collect();
        let clean = violations.is_empty();
        let value = json!({
            "letters": found.letters,
            "entries": found.entries,
            "violations": violations,
            "unlisted": found.unlisted,
        });
        Ok(if clean { Answer::One(value) } else { Answer::Bad(value) })
    }

    fn suppressions(&self) -> Result<Vec<Value>, Failure> {
        let state = self.store.state();
        let domains = state.domains.iter().map(|(domain, note)| {
            json!({ "domain": format!("@{domain}"), "cause": "operator", "reason": note })
        });
        let mut lines: Vec<Value> = domains.collect();
        for id in state.suppressed.minus(&state.by_domain).iter() {
            let Some(contact) = self.store.contact(id)? else { continue };
            let timeline = self.store.timeline(id)?;
            let last = timeline.iter().rev().find_map(|entry| match &entry.what {
                What::Suppressed { cause, note, .. } => {
                    Some((entry.at, cause_word(*cause), note.clone()))
                }
                What::Unsubscribed { .. } => Some((entry.at, "unsubscribed", String::new())),
                _ => None,
            });
            let (at, cause, reason) = last.unwrap_or((contact.created, "operator", String::new()));
            lines.push(json!({
                "address": contact.address.as_str(),
                "cause": cause,
                "reason": reason,
                "at": self.time(at),
            }));
        }
        Ok(lines)
    }

    /// Looks over configuration and templates.
    fn check(&self) -> Result<Answer, Failure> {
        let mut findings = Vec::new();
        for template in self.config.templates.iter() {
            findings.extend(lint::check(template, None));
        }
        let unusable = findings.iter().any(|finding| matches!(finding.level, Level::Error));
        let mut shown: Vec<Value> = findings
            .iter()
            .map(|finding| {
                json!({
                    "file": finding.file,
                    "line": finding.line,
                    "level": match finding.level { Level::Error => "error", Level::Warning => "warning" },
                    "message": finding.what,
                    "fix": finding.fix,
                })
            })
            .collect();
        for accident in self.accidents(&self.config.views)? {
            let told = |key: &str| accident.get(key).map(Value::to_string).unwrap_or_default();
            let message = format!(
                "suffix {} hits {} contacts of other names, as {}",
                told("suffix"),
                told("contacts"),
                told("domains")
            );
            let fix = accident.get("fix").cloned();
            let file = self.config.file.display().to_string();
            let level = "warning";
            shown.push(json!({ "file": file, "level": level, "message": message, "fix": fix }));
        }
        let uncovered: Vec<&str> = self
            .config
            .audiences
            .iter()
            .filter(|audience| {
                !self.config.templates.iter().any(|template| template.audience() == *audience)
            })
            .map(|audience| audience.as_str())
            .collect();
        let value = json!({
            "config": self.config.file.display().to_string(),
            "store": self.config.store.display().to_string(),
            "contacts": self.store.state().contacts.len(),
            "templates": self.config.templates.iter().map(|t| t.name()).collect::<Vec<_>>(),
            "audiences_without_template": uncovered,
            "findings": shown,
            "ok": !unusable,
        });
        Ok(if unusable { Answer::Bad(value) } else { Answer::One(value) })
    }
}

fn counted(counts: &ImportCounts) -> Map<String, Value> {
    let ImportCounts { rows, new, known, updated, over_cap, suppressed, duplicate, invalid } =
        counts;
    let pairs = [
        ("rows", rows),
        ("new", new),
        ("known", known),
        ("updated", updated),
        ("over_cap", over_cap),
        ("suppressed", suppressed),
        ("duplicate", duplicate),
        ("invalid", invalid),
    ];
    pairs.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect()
}

fn told(round: &RoundState) -> Map<String, Value> {
    let counts = &round.counts;
    let pairs = [
        ("claimed", u64::from(counts.claimed)),
        ("accepted", u64::from(counts.accepted)),
        ("deferrals", u64::from(counts.deferred)),
        ("refused", u64::from(counts.refused)),
        ("unknown", u64::from(counts.unknown)),
        ("withdrawn", u64::from(counts.withdrawn)),
        ("expired", u64::from(counts.expired)),
        ("opened", round.readers.len()),
        ("machine_opens", round.machines.len()),
        ("clicked", u64::from(counts.clicked)),
        ("unsubscribed", u64::from(counts.unsubscribed)),
        ("promoted", round.promoted.len()),
    ];
    pairs.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect()
}
