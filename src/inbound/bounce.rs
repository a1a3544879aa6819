//! Letters that came back: per recipient what the report says, from field groups where there are
//! any, else from the words of the mail system.
//!
//! The words are read by shape, not by product: a recipient stands at the start of a line or after a
//! phrase that says whom the letter did not reach, and what is said of it follows. That covers qmail,
//! Postfix, Exim, sendmail, Exchange, Notes, Gmail, Yahoo and the many that write like one of them.

use crate::feedback::verdict::Class;
use crate::inbound::cause::{Evidence, judge};
use crate::inbound::lines::{WORDS_BYTES_MAX, about, blocks};
use crate::inbound::mail::{Mail, clipped};
use crate::inbound::notice;
use crate::inbound::quote;
use crate::inbound::report::{Fate, Group, Status, groups, mailbox, replies, statuses};

/// Recipients of one report that are told of.
const RECIPIENTS_MAX: usize = 200;

/// What a report says of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The address, as the report spells it.
    pub address: String,
    /// What became of it.
    pub fate: Fate,
    /// The code in the report; x.0.0 when it names none.
    pub status: Status,
    /// The reply code of the server that was asked.
    pub reply: Option<u16>,
    /// What kind of trouble.
    pub class: Class,
    /// Whether the mailbox is gone for good.
    pub hard: bool,
    /// The words, on one line.
    pub words: String,
}

/// The recipients of a bounce; empty when this is none.
#[must_use]
pub fn read(mail: &Mail) -> Vec<Recipient> {
    let noticed = notified(mail);
    if !noticed.is_empty() {
        return noticed;
    }
    let found = read_one(mail);
    if !found.is_empty() || !speaks_of_bounces(mail) {
        return found;
    }
    // Forwarded by hand, or wrapped by a gateway: the report is what is quoted.
    let unquoted = quote::unquoted(&mail.text);
    if let Some(inner) = Mail::quoted(&unquoted) {
        let found = read_one(&inner);
        if !found.is_empty() {
            return found;
        }
    }
    match &mail.original {
        Some(inner) if is_report(inner) => read_one(inner),
        _ if is_report(mail) => told(mail, &unquoted),
        _ => Vec::new(),
    }
}

fn read_one(mail: &Mail) -> Vec<Recipient> {
    let (report, below) = quote::parted(&mail.text);
    let all: String = mail.status_parts.join("\n\n");
    let structured = fielded(&groups(&all), report, mail);
    if !structured.is_empty() || !is_report(mail) {
        return structured;
    }
    let loose: Vec<Group> = groups(report).into_iter().filter(is_recipient_group).collect();
    let structured = fielded(&loose, report, mail);
    if !structured.is_empty() {
        return structured;
    }
    let told = told(mail, report);
    if !told.is_empty() {
        return told;
    }
    // A gateway that pastes the report it got: what is quoted is a report of its own.
    let inner = below.and_then(Mail::quoted).filter(is_report);
    match inner.as_ref().or(mail.original.as_deref()) {
        Some(inner) if is_report(inner) => inner_report(inner),
        _ => by_original(mail, report),
    }
}

/// The report inside a report; no deeper.
fn inner_report(inner: &Mail) -> Vec<Recipient> {
    let (report, _) = quote::parted(&inner.text);
    let structured = fielded(&groups(&inner.status_parts.join("\n\n")), report, inner);
    if structured.is_empty() { told(inner, report) } else { structured }
}

fn is_recipient_group(group: &Group) -> bool {
    group.get("final-recipient").is_some() || group.get("original-recipient").is_some()
}

/// Whether a mail system wrote this to say that a letter did not arrive: never by the text alone.
#[must_use]
pub fn is_report(mail: &Mail) -> bool {
    if !mail.status_parts.is_empty() || mail.header("x-failed-recipients").is_some() {
        return true;
    }
    if mail.kind == "multipart/report" && mail.feedback_parts.is_empty() {
        return true;
    }
    let from = mail.from.to_lowercase();
    let raw = mail.header("from").unwrap_or_default().to_lowercase();
    let local = from.split('@').next().unwrap_or_default();
    let by_daemon = ["mailer-daemon", "postmaster", "post_master", "mail-daemon", "mailerdaemon"]
        .iter()
        .any(|name| local.contains(name) || raw.contains(name))
        || ["mail delivery", "mail deliver system", "mail administrator", "delivery subsystem"]
            .iter()
            .any(|name| raw.contains(name));
    let null_path = mail.header("return-path").is_some_and(|path| path.trim() == "<>");
    let machine = mail.header("auto-submitted").is_some_and(|how| how.starts_with("auto-gen"))
        || local.starts_with("no-reply")
        || local.starts_with("noreply");
    let named = speaks_of_bounces(mail);
    let said = by_daemon && (!machine_reply(mail) || local.contains("mailer-daemon"));
    said || (named && (null_path || machine)) || delivery_words(mail, machine)
}

/// An auto-reply that a mail system sends in a person's name.
fn machine_reply(mail: &Mail) -> bool {
    mail.header("auto-submitted").is_some_and(|how| how.starts_with("auto-rep"))
}

fn delivery_words(mail: &Mail, machine: bool) -> bool {
    let lower = mail.text.to_lowercase();
    machine && ["could not be delivered to:", "undeliverable"].iter().any(|w| lower.contains(w))
}

fn speaks_of_bounces(mail: &Mail) -> bool {
    let subject = mail.subject.to_lowercase();
    SUBJECTS.iter().any(|phrase| subject.contains(phrase))
}

/// Subjects of reports, lower case.
const SUBJECTS: &[&str] = &[
    "undeliver",
    "returned mail",
    "returned to sender",
    "returning to sender",
    "returning message to sender",
    "failure notice",
    "delivery status notification",
    "delivery notification",
    "delivery failure",
    "delivery failed",
    "delivery has failed",
    "delivery problem",
    "delivery error",
    "mail failure",
    "mail failed",
    "mail system error",
    "mail error",
    "could not be delivered",
    "couldn't be delivered",
    "error sending your mail",
    "non delivery",
    "nondeliver",
    "non-deliver",
    "message not delivered",
    "delayed mail",
    "warning: could not send",
    "unzustellbar",
    "nicht zugestellt",
    "non remis",
    "échec de la remise",
    "impossible de remettre",
    "no se puede entregar",
    "no se pudo entregar",
    "error de entrega",
    "non recapitabile",
    "mancata consegna",
    "não entregue",
    "onbestelbaar",
    "niet bezorgd",
    "olevererbart",
    "kunde inte levereras",
    "kan ikke leveres",
    "ei voitu toimittaa",
    "niedostarcz",
    "nedoruč",
    "kézbesíthetetlen",
    "не доставлено",
    "недоставлен",
    "teslim edilemedi",
    "配信不能",
    "配信できません",
    "配達不能",
    "送信できません",
    "退信",
    "退件",
    "无法送达",
    "無法傳遞",
    "投递失败",
    "발송 실패",
    "배달되지",
];

/// Recipients of a notification in JSON (Amazon SES by way of SNS).
fn notified(mail: &Mail) -> Vec<Recipient> {
    let Some(notice) = notice::read(mail) else { return Vec::new() };
    let told = notice.told.into_iter().take(RECIPIENTS_MAX).map(|told| {
        let stated = statuses(&told.status).next().map(|(_, status)| status);
        let codes = Codes { stated, said: &told.words, nearby: "", comment: &told.status };
        codes.recipient(told.address, notice.fate)
    });
    told.collect()
}

/// Recipients of field groups; what the human part says of them is the second source.
fn fielded(groups: &[Group], report: &str, mail: &Mail) -> Vec<Recipient> {
    let mut found: Vec<Recipient> = Vec::new();
    for group in groups.iter().filter(|group| is_recipient_group(group)) {
        let names = ["final-recipient", "original-recipient", "x-actual-recipient"];
        let Some(address) = names.iter().find_map(|name| mailbox(group.get(name)?)) else {
            continue;
        };
        if found.len() >= RECIPIENTS_MAX {
            break;
        }
        let field = group.get("status").unwrap_or_default();
        let stated = statuses(field).next().map(|(_, status)| status);
        let said: Vec<&str> =
            group.all("diagnostic-code").chain(group.all("x-powermta-bouncecategory")).collect();
        let said = said.join("\n");
        let mut nearby = if groups.len() > 40 { String::new() } else { about(&address, report) };
        if groups.iter().filter(|group| is_recipient_group(group)).count() == 1 {
            nearby.push('\n');
            nearby.push_str(report);
        }
        let action = group.get("action").unwrap_or_default().to_lowercase();
        let fate = fate(&action, stated, mail);
        let codes = Codes { stated, said: &said, nearby: &nearby, comment: field };
        found.push(codes.recipient(address, fate));
    }
    found
}

fn fate(action: &str, stated: Option<Status>, mail: &Mail) -> Fate {
    match action.split_whitespace().next().unwrap_or_default() {
        "delayed" => Fate::Delayed,
        "delivered" | "relayed" | "expanded" => Fate::Delivered,
        "failed" | "failure" | "expired" => Fate::Failed,
        _ if stated.is_some_and(|status| status.0 == 2) => Fate::Delivered,
        _ if says_delayed(mail) => Fate::Delayed,
        _ => Fate::Failed,
    }
}

fn says_delayed(mail: &Mail) -> bool {
    let subject = mail.subject.to_lowercase();
    let text = quote::parted(&mail.text).0.to_lowercase();
    ["delay", "warning", "still being retried", "verzöger", "retardé"]
        .iter()
        .any(|word| subject.contains(word))
        || ["this is a warning", "will be retried", "only a temporary failure", "do not need to re"]
            .iter()
            .any(|word| text.contains(word))
}

/// Where the codes of one recipient are looked for, in this order: what the server said, what the
/// report states, what its human part says.
struct Codes<'a> {
    stated: Option<Status>,
    said: &'a str,
    nearby: &'a str,
    comment: &'a str,
}

impl Codes<'_> {
    fn recipient(&self, address: String, fate: Fate) -> Recipient {
        // A comment beside the code explains the code alone; the server's own words go before it.
        let comment = if self.said.trim().is_empty() { self.comment } else { "" };
        let words = [self.said, comment, self.nearby].join("\n");
        let reply = reply_of(self.said).or_else(|| reply_of(self.nearby));
        let status = self.status(reply);
        let words: Vec<&str> = words.split_whitespace().collect();
        let lower = clipped(&words.join(" "), WORDS_BYTES_MAX).to_lowercase();
        let delayed = fate == Fate::Delayed;
        let named = self.said.to_lowercase().contains(&address.to_lowercase())
            && reply_of(self.said).is_some();
        let (class, hard) = match fate {
            Fate::Delivered => (Class::Other, false),
            _ => judge(Evidence { words: &lower, status, reply, delayed, named }),
        };
        let vague = match (fate, reply) {
            (Fate::Delivered, _) => Status(2, 0, 0),
            (Fate::Delayed, None) | (_, Some(400..=499)) => Status(4, 0, 0),
            _ => Status(5, 0, 0),
        };
        let shown = if self.said.trim().is_empty() { self.nearby } else { self.said };
        Recipient {
            address,
            fate,
            status: status.unwrap_or(vague),
            reply,
            class,
            hard,
            words: one_line(shown),
        }
    }

    fn status(&self, reply: Option<u16>) -> Option<Status> {
        let own = |text: &str| {
            let all: Vec<Status> =
                statuses(text).map(|(_, status)| status).filter(|s| s.0 != 2).take(50).collect();
            all.iter().find(|status| !status.is_vague()).or(all.first()).copied()
        };
        let heard = own(self.said);
        let sure = |status: &Status| !status.is_vague();
        // A server that names a class in its code and another in its reply means the code.
        heard
            .filter(sure)
            .or_else(|| self.stated.filter(sure))
            .or_else(|| own(self.nearby).filter(sure))
            .or(self.stated)
            .or(heard)
            .or_else(|| own(self.nearby))
            .or_else(|| reply.map(|code| Status(if code < 500 { 4 } else { 5 }, 0, 0)))
    }
}

/// The reply code: the one next to a status code before any other.
fn reply_of(text: &str) -> Option<u16> {
    let beside = |at: usize| {
        let rest = text.get(at + 3..).unwrap_or_default();
        statuses(clipped(rest, 24).as_str()).next().is_some_and(|(far, _)| far <= 3)
    };
    let mut all = replies(text).take(50);
    let first = all.next()?;
    if beside(first.0) {
        return Some(first.1);
    }
    Some(all.find(|(at, code)| beside(*at) && *code >= first.1).unwrap_or(first).1)
}

/// One line of a report, as it is kept and shown.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    clipped(&words.join(" "), 500)
}

/// Recipients by the words alone.
fn told(mail: &Mail, report: &str) -> Vec<Recipient> {
    let failed = named_by_header(mail);
    let blocks = match blocks(report, &failed) {
        found if !found.is_empty() => found,
        _ => failed.into_iter().map(|address| (address, report.to_owned())).collect(),
    };
    recipients(mail, report, blocks)
}

fn recipients(mail: &Mail, report: &str, blocks: Vec<(String, String)>) -> Vec<Recipient> {
    let only = blocks.len() == 1;
    let delayed = says_delayed(mail);
    let mut found: Vec<Recipient> = Vec::new();
    for (address, words) in blocks.into_iter().take(RECIPIENTS_MAX) {
        if found.iter().any(|known| known.address.eq_ignore_ascii_case(&address)) {
            continue;
        }
        let codeless = reply_of(&words).is_none() && statuses(&words).next().is_none();
        let nearby = match (only, codeless) {
            (true, _) => format!("{words}\n{report}"),
            (false, true) => about(&address, report),
            (false, false) => words.clone(),
        };
        let fate = if delayed { Fate::Delayed } else { Fate::Failed };
        let codes = Codes { stated: None, said: "", nearby: &nearby, comment: "" };
        let mut recipient = codes.recipient(address, fate);
        recipient.words = one_line(&words);
        found.push(recipient);
    }
    found
}

fn named_by_header(mail: &Mail) -> Vec<String> {
    let fields = mail.all("x-failed-recipients").flat_map(|field| field.split(','));
    fields.filter_map(mailbox).take(RECIPIENTS_MAX).collect()
}

/// The recipient of the original, when it has exactly one and the report names nobody.
fn by_original(mail: &Mail, report: &str) -> Vec<Recipient> {
    let inline = quote::parted(&mail.text).1.and_then(Mail::quoted);
    let Some(original) = mail.original.as_deref().or(inline.as_ref()) else { return Vec::new() };
    let to: Vec<String> = ["x-original-to", "delivered-to", "to"]
        .iter()
        .find_map(|name| {
            let all: Vec<String> = original.header(name)?.split(',').filter_map(mailbox).collect();
            (all.len() == 1).then_some(all)
        })
        .unwrap_or_default();
    let blocks = to.into_iter().map(|address| (address, report.to_owned())).collect();
    recipients(mail, report, blocks)
}
