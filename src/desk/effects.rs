//! What mail that came in does to the book: entries, and the rules of the house on top.
//!
//! A report acts only by a token of ours: whoever forges one without it suppresses nobody. Without a
//! token a report is kept on the timeline of whoever it names, and that is all.

use serde_json::{Value, json};

use crate::book::address::Address;
use crate::book::contact::{ContactId, Day, Moment};
use crate::control::{Failure, Taking};
use crate::desk::incoming;
use crate::desk::keeper::Keeper;
use crate::feedback::entry::{By, Cause, LetterId, Target, Via, What};
use crate::feedback::keyword::{Happening, Rule, When};
use crate::feedback::open::OpenClass;
use crate::inbound::bounce::Recipient;
use crate::inbound::clue::{self, Way};
use crate::inbound::mail::{Mail, MailError, clipped};
use crate::inbound::reading::{self, Kind, Reading};
use crate::inbound::report::Fate;
use crate::typed::ReplyStops;

/// Own words of a message that an entry keeps (bytes).
const TEXT_BYTES_MAX: usize = 4 << 10;
/// Colleagues that one reply stops at most.
const COLLEAGUES_MAX: usize = 10_000;

/// A message, as its effects see it.
struct Incoming<'a> {
    mail: &'a Mail,
    reading: &'a Reading,
    /// The letter that our token names.
    letter: Option<LetterId>,
    /// Tells the same message when it comes again.
    hash: u64,
    now: Moment,
}

/// What rules are asked about.
struct Heard<'a> {
    when: When,
    text: &'a str,
    times: u32,
    reading: Option<&'a Reading>,
    /// The day it counts for.
    today: Day,
}

impl Keeper {
    /// Takes in, explains, or tries the rules on one message; `encoded` is base64.
    ///
    /// # Errors
    /// 65 when it is not a message at all, and whatever makes the store fail.
    pub fn inbound(
        &mut self,
        file: &str,
        encoded: &str,
        how: Taking,
        now: Moment,
    ) -> Result<Value, Failure> {
        let bytes = data_encoding::BASE64.decode(encoded.as_bytes()).map_err(|error| {
            Failure::new(64, format!("mail is not base64: {error}"), "send what the CLI sends")
        })?;
        let mail = match Mail::parse(&bytes) {
            Ok(mail) => mail,
            Err(error @ MailError::NotAMessage) => {
                return Err(Failure::new(65, format!("{file}: {error}"), "see who delivers it"));
            }
            Err(error) => return Ok(incoming::other(file, &error.to_string())),
        };
        let found = clue::find(&mail, &self.keys).filter(|(letter, _)| self.is_letter(*letter));
        let reading = reading::read(&mail, found.map(|(_, way)| way));
        let letter = found.map(|(letter, _)| letter);
        let about = match letter {
            Some(letter) => Some(self.letter_line(letter, found.map(|(_, way)| way))?),
            None => None,
        };
        let line = incoming::line(file, &reading, about.as_ref());
        let hash = fingerprint(&mail, letter);
        let incoming = Incoming { mail: &mail, reading: &reading, letter, hash, now };
        match how {
            Taking::Explain => Ok(line),
            Taking::Rules => self.tried(line, &incoming),
            Taking::Take => {
                self.take_in(&incoming)?;
                Ok(line)
            }
        }
    }

    fn letter_line(&self, letter: LetterId, way: Option<Way>) -> Result<Value, Failure> {
        let contact = self.store.contact(letter.contact)?;
        let mut line = self.letter(letter);
        if let Some(line) = line.as_object_mut() {
            let address = contact.map(|contact| contact.address.as_str().to_owned());
            line.insert("address".to_owned(), json!(address));
            line.insert("by".to_owned(), json!(way.map(Way::as_str)));
        }
        Ok(line)
    }

    /// What the rules would do about a message.
    fn tried(&self, line: Value, incoming: &Incoming<'_>) -> Result<Value, Failure> {
        let contact = self.writer(incoming);
        let happening = happening(incoming.reading);
        let text = text_of(incoming);
        let rules = match happening {
            None => Vec::new(),
            Some(when) => {
                let (reading, today) = (Some(incoming.reading), self.day_of(incoming.now));
                let heard = Heard { when, text: &text, times: 1, reading, today };
                let firing = self.firing(contact, &heard)?;
                firing.iter().map(told).collect()
            }
        };
        let mut line = line;
        if let Some(line) = line.as_object_mut() {
            line.insert("rules".to_owned(), Value::Array(rules));
        }
        Ok(line)
    }

    fn take_in(&mut self, incoming: &Incoming<'_>) -> Result<(), Failure> {
        match incoming.reading.kind {
            Kind::Bounce => self.bounced(incoming),
            Kind::Complaint => self.complained(incoming),
            Kind::AutoReply => self.auto_replied(incoming),
            Kind::Unsubscribe => self.wished(incoming),
            Kind::Reply => self.replied(incoming),
            // Still on its way, arrived, or nobody's: nothing follows.
            Kind::Delayed | Kind::Delivered | Kind::Other => Ok(()),
        }
    }

    /// Who a message is from or about: our token before any address.
    fn writer(&self, incoming: &Incoming<'_>) -> Option<ContactId> {
        incoming.letter.map(|letter| letter.contact).or_else(|| self.known_at(&incoming.mail.from))
    }

    fn known_at(&self, address: &str) -> Option<ContactId> {
        let parsed = Address::parse(address).ok()?;
        self.store.state().find(&parsed.address.key())
    }

    /// Whether this very message was taken in before: an MDA may deliver it twice.
    fn was_taken(&self, contact: ContactId, hash: u64) -> Result<bool, Failure> {
        let timeline = self.store.timeline(contact)?;
        Ok(timeline.iter().any(|entry| match &entry.what {
            What::Bounced { mail, .. }
            | What::Complained { mail, .. }
            | What::Replied { mail, .. }
            | What::AutoReplied { mail, .. } => *mail == hash,
            _ => false,
        }))
    }

    fn bounced(&mut self, incoming: &Incoming<'_>) -> Result<(), Failure> {
        let failed: Vec<&Recipient> =
            incoming.reading.recipients.iter().filter(|one| one.fate == Fate::Failed).collect();
        let Some(letter) = incoming.letter else {
            for one in failed {
                if let Some(contact) = self.known_at(&one.address) {
                    self.record_bounce(contact, one, incoming)?;
                }
            }
            return Ok(());
        };
        let contact = letter.contact;
        let own = failed.iter().find(|one| self.known_at(&one.address) == Some(contact));
        // A forwarder's target has another address; the letter is still hers.
        let Some(one) = own.or_else(|| failed.first().filter(|_| failed.len() == 1)) else {
            return Ok(());
        };
        if !self.record_bounce(contact, one, incoming)? {
            return Ok(());
        }
        if one.hard {
            let note = format!("{} {}", one.status, one.words);
            self.end(contact, Cause::HardBounce, &note, incoming.now)?;
        }
        self.fire(contact, When::Bounced, &one.words, incoming)
    }

    fn record_bounce(
        &mut self,
        contact: ContactId,
        one: &Recipient,
        incoming: &Incoming<'_>,
    ) -> Result<bool, Failure> {
        if self.was_taken(contact, incoming.hash)? {
            return Ok(false);
        }
        let what = What::Bounced {
            contact,
            letter: incoming.letter,
            hard: one.hard,
            status: one.status.to_string(),
            class: one.class,
            words: one.words.clone(),
            mail: incoming.hash,
        };
        self.store.record(incoming.now, what)?;
        Ok(true)
    }

    fn complained(&mut self, incoming: &Incoming<'_>) -> Result<(), Failure> {
        let named = || incoming.reading.addresses.iter().find_map(|address| self.known_at(address));
        let contact = incoming.letter.map(|letter| letter.contact).or_else(named);
        let Some(contact) = contact else { return Ok(()) };
        if self.was_taken(contact, incoming.hash)? {
            return Ok(());
        }
        let feedback = incoming.reading.feedback.clone().unwrap_or_default();
        let letter = incoming.letter;
        let what = What::Complained { contact, letter, feedback, mail: incoming.hash };
        self.store.record(incoming.now, what)?;
        if letter.is_none() {
            return Ok(());
        }
        self.end(contact, Cause::Complained, &incoming.reading.reason, incoming.now)?;
        self.leave(contact, "complaint", incoming.now)?;
        self.fire(contact, When::Complained, "", incoming)
    }

    /// Never again, unless that is settled already.
    fn end(
        &mut self,
        contact: ContactId,
        cause: Cause,
        note: &str,
        now: Moment,
    ) -> Result<(), Failure> {
        let state = self.store.state();
        if state.suppressed.contains(contact) && !state.by_domain.contains(contact) {
            return Ok(());
        }
        let note = note.trim_start_matches('@').to_owned();
        self.store
            .record(now, What::Suppressed { target: Target::Contact(contact), cause, note })?;
        self.stale = true;
        Ok(())
    }

    /// The tag of those who want no mail, where the house has one.
    fn leave(&mut self, contact: ContactId, rule: &str, now: Moment) -> Result<(), Failure> {
        if self.config.group_of("退订").is_none() {
            return Ok(());
        }
        self.give_rule_tag(contact, "退订", rule, now)
    }

    fn wished(&mut self, incoming: &Incoming<'_>) -> Result<(), Failure> {
        let from = self.known_at(&incoming.mail.from);
        let about = incoming.letter.map(|letter| letter.contact);
        let mut both: Vec<ContactId> = about.into_iter().chain(from).collect();
        both.dedup();
        for contact in both {
            let state = self.store.state();
            if state.suppressed.contains(contact) && !state.by_domain.contains(contact) {
                continue;
            }
            let letter = incoming.letter.filter(|letter| letter.contact == contact);
            let what = What::Unsubscribed { contact, letter, via: Via::Mail };
            self.store.record(incoming.now, what)?;
            self.stale = true;
            self.leave(contact, "unsubscribed", incoming.now)?;
            self.fire(contact, When::Unsubscribed, &text_of(incoming), incoming)?;
        }
        Ok(())
    }

    fn auto_replied(&mut self, incoming: &Incoming<'_>) -> Result<(), Failure> {
        let (Some(contact), Some(auto)) = (self.writer(incoming), &incoming.reading.auto) else {
            return Ok(());
        };
        if self.was_taken(contact, incoming.hash)? {
            return Ok(());
        }
        let what = What::AutoReplied {
            contact,
            letter: incoming.letter,
            kind: auto.kind,
            until: auto.until.map(Day::from_date),
            text: clipped(&incoming.reading.own, TEXT_BYTES_MAX),
            mail: incoming.hash,
        };
        self.store.record(incoming.now, what)?;
        self.fire(contact, When::AutoReplied, &text_of(incoming), incoming)
    }

    fn replied(&mut self, incoming: &Incoming<'_>) -> Result<(), Failure> {
        let Some(contact) = self.writer(incoming) else { return Ok(()) };
        if self.was_taken(contact, incoming.hash)? {
            return Ok(());
        }
        let (mail, reading) = (incoming.mail, incoming.reading);
        let files = mail.files.iter().map(|f| (f.name.clone(), f.kind.clone(), f.bytes));
        let what = What::Replied {
            contact,
            letter: incoming.letter,
            from: clipped(&mail.from, 254),
            subject: clipped(&mail.subject, 500),
            language: reading.language.unwrap_or_default().to_owned(),
            text: clipped(&reading.own, TEXT_BYTES_MAX),
            files: files.collect(),
            mail: incoming.hash,
            day: self.day_of(incoming.now),
        };
        self.store.record(incoming.now, what)?;
        self.stale = true;
        if self.config.inbound.reply_stops == ReplyStops::Company {
            self.stop_colleagues(contact, incoming.now)?;
        }
        self.fire(contact, When::Replied, &text_of(incoming), incoming)
    }

    fn stop_colleagues(&mut self, because: ContactId, now: Moment) -> Result<(), Failure> {
        let state = self.store.state();
        let Some(row) = state.contacts.row(because) else { return Ok(()) };
        let all = state.contacts.of_company(row.company, &state.companies);
        let others = all.filter(|id| *id != because && !state.waiting.contains(*id));
        let colleagues: Vec<ContactId> = others.take(COLLEAGUES_MAX).collect();
        for contact in colleagues {
            self.store.record(now, What::StoppedFor { contact, because })?;
        }
        Ok(())
    }

    /// The rules that fire, in their order.
    fn firing(&self, contact: Option<ContactId>, heard: &Heard<'_>) -> Result<Vec<Rule>, Failure> {
        let only = contact.into_iter().collect();
        let mut views = Vec::new();
        for rule in self.config.rules.iter().filter(|rule| rule.when == heard.when) {
            if let (Some(view), Some(contact)) = (&rule.view, contact) {
                let inside = self.view(view, &only, heard.today)?.contains(contact);
                views.push((view.clone(), inside));
            }
        }
        let happening = Happening {
            when: heard.when,
            text: heard.text,
            language: heard.reading.and_then(|reading| reading.language),
            kind: heard.reading.and_then(|reading| Some(reading.auto.as_ref()?.kind)),
            hard: heard
                .reading
                .is_some_and(|reading| reading.recipients.iter().any(|one| one.hard)),
            times: heard.times,
            in_view: &|name| views.iter().any(|(view, inside)| view == name && *inside),
        };
        Ok(self.config.rules.iter().filter(|rule| rule.fires(&happening)).cloned().collect())
    }

    /// Does what the rules say; every action is an entry under the rule's name.
    fn fire(
        &mut self,
        contact: ContactId,
        when: When,
        text: &str,
        incoming: &Incoming<'_>,
    ) -> Result<(), Failure> {
        let today = self.day_of(incoming.now);
        let heard = Heard { when, text, times: 1, reading: Some(incoming.reading), today };
        for rule in self.firing(Some(contact), &heard)? {
            self.apply(contact, &rule, incoming.now)?;
        }
        Ok(())
    }

    /// Rules about how often somebody opened or clicked: called after each such entry of a person.
    ///
    /// # Errors
    /// When the store fails.
    pub fn fire_on_count(
        &mut self,
        contact: ContactId,
        when: When,
        now: Moment,
    ) -> Result<(), Failure> {
        if !self.config.rules.iter().any(|rule| rule.when == when) {
            return Ok(());
        }
        let timeline = self.store.timeline(contact)?;
        let human = |class: OpenClass| matches!(class, OpenClass::Human | OpenClass::ProxyHuman);
        let count = timeline.iter().filter(|entry| match (&entry.what, when) {
            (What::Opened { class, .. }, When::Opened)
            | (What::Clicked { class, .. }, When::Clicked) => human(*class),
            _ => false,
        });
        let times = u32::try_from(count.count()).unwrap_or(u32::MAX);
        let heard = Heard { when, text: "", times, reading: None, today: self.day_of(now) };
        for rule in self.firing(Some(contact), &heard)? {
            // It stays true with every further open: said and done once.
            let done = timeline.iter().any(|entry| match &entry.what {
                What::Tagged { by: By::Rule(name), .. }
                | What::Noted { by: By::Rule(name), .. } => *name == rule.name,
                _ => false,
            });
            if !done {
                self.apply(contact, &rule, now)?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, contact: ContactId, rule: &Rule, now: Moment) -> Result<(), Failure> {
        let mut notes = Vec::new();
        if let Some(tag) = &rule.tag {
            // A rule that cannot be obeyed must not have the message delivered again for ever.
            let given = !rule.propose
                && self.config.group_of(tag).is_some()
                && self.give_rule_tag(contact, tag, &rule.name, now).is_ok();
            if rule.propose {
                notes.push(format!("proposes {tag}"));
            } else if !given {
                notes.push(format!("tag {tag} is not declared under [tags.groups]: not given"));
            }
        }
        if let Some(priority) = rule.priority {
            notes.push(format!("priority {}", priority.as_str()));
        }
        notes.extend(rule.note.clone());
        for text in notes {
            let by = By::Rule(rule.name.clone());
            let day = self.day_of(now);
            self.store.record(now, What::Noted { contact, by, text, day })?;
        }
        self.stale = true;
        Ok(())
    }
}

/// What rules call a kind of message.
fn happening(reading: &Reading) -> Option<When> {
    match reading.kind {
        Kind::Complaint => Some(When::Complained),
        Kind::Bounce => Some(When::Bounced),
        Kind::AutoReply => Some(When::AutoReplied),
        Kind::Unsubscribe => Some(When::Unsubscribed),
        Kind::Reply => Some(When::Replied),
        Kind::Delayed | Kind::Delivered | Kind::Other => None,
    }
}

/// A rule that fires, as it is told.
pub fn told(rule: &Rule) -> Value {
    json!({
        "rule": rule.name,
        "when": rule.when.as_str(),
        "tag": rule.tag,
        "propose": rule.propose,
        "note": rule.note,
        "priority": rule.priority.map(crate::feedback::keyword::Priority::as_str),
    })
}

fn text_of(incoming: &Incoming<'_>) -> String {
    match incoming.reading.recipients.first() {
        Some(recipient) => recipient.words.clone(),
        None => format!("{}\n{}", own_subject(&incoming.mail.subject), incoming.reading.own),
    }
}

/// A subject that only answers ours says nothing of what she wants.
fn own_subject(subject: &str) -> &str {
    let answers = subject.split_once([':', '：']).is_some_and(|(prefix, _)| {
        (1..=6).contains(&prefix.trim().chars().count()) && !prefix.contains(' ')
    });
    if answers { "" } else { subject }
}

/// The same for the same message, whatever way it came; a copy without our token is another one, so
/// that nobody hides a true report behind a forged one.
fn fingerprint(mail: &Mail, letter: Option<LetterId>) -> u64 {
    let id = mail.header("message-id").unwrap_or_default();
    let date = mail.header("date").unwrap_or_default();
    let parts = [id, date, &mail.from, &mail.subject, &mail.text];
    let status = mail.status_parts.iter().chain(&mail.feedback_parts).map(String::as_str);
    let letter = letter.map_or_else(String::new, |letter| letter.to_string());
    let all: Vec<&str> = parts.into_iter().chain(status).chain([letter.as_str()]).collect();
    xxhash_rust::xxh3::xxh3_64(all.join("\0").as_bytes())
}
