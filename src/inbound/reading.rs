//! What a message that came in means: one decision, in the order of DESIGN §9.
//!
//! Complaint, delivery report, bounce in plain words, auto-reply, unsubscribe wish, human reply;
//! what is none of these is said to be other. The first that holds counts, and says why.

use crate::inbound::autoreply::{self, Auto};
use crate::inbound::bounce::{self, Recipient};
use crate::inbound::clue::Way;
use crate::inbound::mail::Mail;
use crate::inbound::notice;
use crate::inbound::quote;
use crate::inbound::report::{Fate, groups, mailbox};
use crate::inbound::tongue;
use crate::inbound::wish;

/// Own words of a reply that are kept (bytes).
const OWN_BYTES_MAX: usize = 16 << 10;

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Somebody pressed "spam".
    Complaint,
    /// A letter came back.
    Bounce,
    /// A letter is still being tried.
    Delayed,
    /// A letter arrived, says a report.
    Delivered,
    /// A machine answers for a person.
    AutoReply,
    /// Somebody asks to be left alone.
    Unsubscribe,
    /// A person wrote.
    Reply,
    /// None of these.
    Other,
}

impl Kind {
    /// As the contract spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complaint => "complaint",
            Self::Bounce => "bounce",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::AutoReply => "auto-reply",
            Self::Unsubscribe => "unsubscribe",
            Self::Reply => "reply",
            Self::Other => "other",
        }
    }
}

/// A message, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it is.
    pub kind: Kind,
    /// Whom it is about: recipients of a report, or whoever wrote.
    pub recipients: Vec<Recipient>,
    /// Addresses alone, of a complaint or a wish.
    pub addresses: Vec<String>,
    /// The feedback type of a complaint (RFC 5965).
    pub feedback: Option<String>,
    /// The auto-reply.
    pub auto: Option<Auto>,
    /// The language of what was written, ISO 639-1.
    pub language: Option<&'static str>,
    /// The writer's own words.
    pub own: String,
    /// Why it is what it is.
    pub reason: String,
}

impl Reading {
    fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            recipients: Vec::new(),
            addresses: Vec::new(),
            feedback: None,
            auto: None,
            language: None,
            own: String::new(),
            reason: reason.into(),
        }
    }
}

/// What a message means. `found` says how it shows one of our letters, if it does.
#[must_use]
pub fn read(mail: &Mail, found: Option<Way>) -> Reading {
    let mut reading = by_machine(mail, found).unwrap_or_else(|| by_person(mail, found));
    if matches!(reading.kind, Kind::AutoReply | Kind::Unsubscribe | Kind::Reply | Kind::Other) {
        reading.own = crate::inbound::mail::clipped(&quote::own(&mail.text), OWN_BYTES_MAX);
        reading.language = tongue::of(&reading.own);
    }
    reading
}

fn by_machine(mail: &Mail, found: Option<Way>) -> Option<Reading> {
    if let Some(complaint) = complaint(mail) {
        return Some(complaint);
    }
    if mail.header("x-apple-unsubscribe").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        let mut reading = Reading::new(Kind::Unsubscribe, "X-Apple-Unsubscribe");
        reading.feedback = Some("opt-out".to_owned());
        reading.addresses.push(mail.from.clone());
        return Some(reading);
    }
    let recipients = bounce::read(mail);
    if let Some(first) = recipients.first() {
        let all = |fate: Fate| recipients.iter().all(|one| one.fate == fate);
        let kind = if all(Fate::Delivered) {
            Kind::Delivered
        } else if recipients.iter().any(|one| one.fate == Fate::Failed) {
            Kind::Bounce
        } else {
            Kind::Delayed
        };
        let how = if mail.status_parts.is_empty() { "words of a mail system" } else { "RFC 3464" };
        let mut reading = Reading::new(kind, format!("{how}: {}", first.words));
        reading.recipients = recipients;
        return Some(reading);
    }
    if found == Some(Way::UnsubscribeAddress) {
        let mut reading = Reading::new(Kind::Unsubscribe, "mail to the unsubscribe address");
        reading.addresses.push(mail.from.clone());
        return Some(reading);
    }
    let auto = autoreply::read(mail)?;
    let mut reading = Reading::new(Kind::AutoReply, auto.sign.clone());
    reading.addresses.push(mail.from.clone());
    reading.auto = Some(auto);
    Some(reading)
}

fn by_person(mail: &Mail, found: Option<Way>) -> Reading {
    let own = quote::own(&mail.text);
    let about = |kind, reason: String| {
        let mut reading = Reading::new(kind, reason);
        if !mail.from.is_empty() {
            reading.addresses.push(mail.from.clone());
        }
        reading
    };
    if let Some(why) = impersonal(mail) {
        return about(Kind::Other, why);
    }
    if let Some(word) = wish::read(&mail.subject, &own) {
        return about(Kind::Unsubscribe, format!("asks to be left alone: {word:?}"));
    }
    match found {
        Some(way) => about(Kind::Reply, format!("a person's reply, by the {}", way.as_str())),
        None => about(Kind::Reply, "written by a person".to_owned()),
    }
}

/// Mail of lists, robots and mail systems: nobody waits for an answer to it.
fn impersonal(mail: &Mail) -> Option<String> {
    let local = mail.from.split('@').next().unwrap_or_default().to_lowercase();
    if mail.from.is_empty() {
        return Some("nobody is named in From".to_owned());
    }
    if bounce::is_report(mail) {
        return Some("a report of a mail system that names no recipient".to_owned());
    }
    let names = [
        "mailer-daemon",
        "postmaster",
        "noreply",
        "no-reply",
        "no_reply",
        "donotreply",
        "do-not-reply",
    ];
    if names.contains(&local.as_str()) {
        return Some(format!("from {local}"));
    }
    if let Some(header) =
        ["list-id", "list-unsubscribe", "feedback-id", "x-mailing-list", "x-ml-name"]
            .iter()
            .find(|name| mail.header(name).is_some())
    {
        return Some(format!("mail of a list: {header}"));
    }
    let precedence = mail.header("precedence").unwrap_or_default().to_lowercase();
    if ["bulk", "list", "junk"].contains(&precedence.as_str()) {
        return Some(format!("precedence: {precedence}"));
    }
    mail.header("return-path").filter(|path| *path == "<>").map(|_| "null return path".to_owned())
}

/// A complaint: RFC 5965, or in the older ways of Hotmail.
fn complaint(mail: &Mail) -> Option<Reading> {
    let original = mail.original.as_deref();
    if let Some((kind, addresses)) = notice::complaint(mail) {
        let mut reading = Reading::new(Kind::Complaint, "notification in JSON");
        reading.feedback = Some(kind);
        reading.addresses = addresses;
        return Some(reading);
    }
    let named = mail.header("content-type").is_some_and(|kind| kind.contains("feedback-report"));
    // Some write the report into the text instead of a part of its own.
    let parts = mail.feedback_parts.iter().chain(named.then_some(&mail.text));
    let report = parts.into_iter().find_map(|part| {
        let report: Vec<_> = groups(part);
        report.iter().any(|group| group.get("feedback-type").is_some()).then_some(report)
    });
    let subject = mail.subject.to_lowercase();
    let hotmail = subject.starts_with("complaint about message from") && original.is_some();
    if report.is_none() && !hotmail {
        return None;
    }
    let mut reading = Reading::new(Kind::Complaint, "");
    let mut kind = "abuse".to_owned();
    for group in report.iter().flatten() {
        if let Some(named) = group.get("feedback-type") {
            kind = named.trim().to_lowercase();
        }
        let fields = ["original-rcpt-to", "removal-recipient", "original-recipient"];
        let named = fields.iter().flat_map(|field| group.all(field));
        reading.addresses.extend(named.flat_map(|field| field.split(',')).filter_map(mailbox));
    }
    // Authentication reports (RFC 6591) are about a forged letter, not from an annoyed reader.
    if kind == "auth-failure" || kind == "dmarc" {
        return Some(Reading::new(Kind::Other, format!("feedback report: {kind}")));
    }
    if reading.addresses.is_empty() {
        let names =
            ["x-hmxmroriginalrecipient", "x-original-to", "delivered-to", "x-rcpt-to", "to"];
        let named = names.iter().find_map(|name| {
            let field = original?.header(name)?;
            let all: Vec<String> = field.split(',').filter_map(mailbox).collect();
            (!all.is_empty()).then_some(all)
        });
        reading.addresses = named.unwrap_or_default();
    }
    reading.addresses.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    if kind == "not-spam" {
        reading.kind = Kind::Other;
    }
    reading.reason = if report.is_some() { "RFC 5965".to_owned() } else { mail.subject.clone() };
    reading.feedback = Some(kind);
    Some(reading)
}
