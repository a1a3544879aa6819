//! Why a letter came back: what the codes and words of a report say of the recipient.
//!
//! Hard is only what says that the mailbox, or its whole domain, is not there: the code x.1.1 and
//! its like, or such words at RCPT. The same words after DATA come from filters, and words about the
//! sender, a full or a disabled mailbox, or a policy are about something else: in doubt a report
//! suppresses nobody.

use crate::feedback::verdict::{Class, Stage, Verdict, read_reply};
use crate::inbound::report::Status;

/// Everything a report says of one recipient.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Its words, lower case.
    pub words: &'a str,
    /// Its status code, if it names one.
    pub status: Option<Status>,
    /// The reply code of the server it asked.
    pub reply: Option<u16>,
    /// Whether it says that the letter is still being tried.
    pub delayed: bool,
    /// Whether the server's reply names the recipient, as answers to RCPT do.
    pub named: bool,
}

/// The class of trouble, and whether the mailbox is gone for good.
#[must_use]
pub fn judge(evidence: Evidence<'_>) -> (Class, bool) {
    let stage = stage(evidence.words);
    let gone = gone(evidence, stage);
    if let Some(class) = gone {
        return (class, true);
    }
    let Status(class, subject, detail) = evidence.status.unwrap_or(Status(0, 0, 0));
    let small = |n: u16| u8::try_from(n).ok().filter(|n| *n < 100).unwrap_or(255);
    let passing = evidence.delayed || class == 4;
    let reply = evidence.reply.unwrap_or(if passing { 451 } else { 550 });
    let words: String = evidence.words.chars().take(2_000).collect();
    let enhanced = [class, small(subject), small(detail)];
    let class = match read_reply(reply, enhanced, &words, stage.unwrap_or(Stage::Dot)) {
        Verdict::Deferred { class, .. } | Verdict::Refused { class, .. } => class,
        Verdict::Accepted { .. } | Verdict::Unknown { .. } => Class::Other,
    };
    let is = |list: &[&str]| has(evidence.words, list);
    let class = match class {
        _ if is(FULL) => Class::Quota,
        _ if is(DISABLED) => Class::Inactive,
        Class::Other if is(TOO_LARGE) => Class::Message,
        Class::Other if is(NETWORK) => Class::Network,
        Class::Other if is(REFUSED) => Class::Policy,
        class => class,
    };
    (class, false)
}

fn gone(evidence: Evidence<'_>, stage: Option<Stage>) -> Option<Class> {
    let words = evidence.words;
    let is = |list: &[&str]| has(words, list);
    let permanent = match (evidence.status, evidence.reply) {
        (Some(status), _) => status.0 == 5,
        (None, Some(reply)) => reply >= 500,
        (None, None) => true,
    };
    if evidence.delayed || !permanent {
        return None;
    }
    let elsewhere = matches!(stage, Some(Stage::Greeting | Stage::Hello | Stage::Mail));
    if elsewhere || is(FULL) || is(DISABLED) || is(TOO_LARGE) || about_sender(words) {
        return None;
    }
    let code = evidence.status.map(|status| (status.1, status.2));
    match code {
        Some((1, 10)) if !is(&["recipientnotfound"]) => return Some(Class::BadDomain),
        Some((1, 1)) if !is(REFUSED) || is(NOBODY_SURE) => return Some(Class::InvalidRecipient),
        Some((1, 0 | 3 | 4)) if !is(REFUSED) && (is(NOBODY) || is(&["address rejected"])) => {
            return Some(Class::InvalidRecipient);
        }
        Some((1, 6)) => return Some(Class::InvalidRecipient),
        Some((1, 7 | 8)) => return None,
        Some((1, 2) | (4, 4)) if !is(NETWORK) => return Some(Class::BadDomain),
        Some((3, 2)) if evidence.reply == Some(521) => return Some(Class::BadDomain),
        _ => (),
    }
    if is(NOBODY_SURE) {
        return Some(Class::InvalidRecipient);
    }
    if is(NO_HOST) && !is(NETWORK) {
        return Some(Class::BadDomain);
    }
    let at_rcpt = match (stage, code) {
        (Some(stage), _) => stage == Stage::Rcpt,
        (None, Some((2, _))) => false,
        (None, _) => evidence.named,
    };
    (at_rcpt && !is(REFUSED) && is(NOBODY)).then_some(Class::InvalidRecipient)
}

/// The command of the conversation that was refused, as reports tell it.
fn stage(words: &str) -> Option<Stage> {
    let told = TOLD.iter().filter_map(|(phrase, stage)| Some((words.rfind(phrase)?, *stage)));
    told.max_by_key(|(at, _)| *at).map(|(_, stage)| stage)
}

fn about_sender(words: &str) -> bool {
    has(words, SENDER)
        || (words.contains("sender")
            && has(
                words,
                &["sender rejected", "sender address", "address of sender", "sender domain"],
            ))
}

fn has(words: &str, list: &[&str]) -> bool {
    list.iter().any(|phrase| words.contains(phrase))
}

/// How reports name the command (Postfix, Exim, qmail, Gmail, Yahoo, DMA, sendmail, Exchange, …).
const TOLD: &[(&str, Stage)] = &[
    ("in reply to rcpt to", Stage::Rcpt),
    ("after rcpt to", Stage::Rcpt),
    (">>> rcpt to", Stage::Rcpt),
    ("did not like our rcpt to", Stage::Rcpt),
    ("does not like recipient", Stage::Rcpt),
    ("[rcpt_to]", Stage::Rcpt),
    ("step: rcpt", Stage::Rcpt),
    ("rcpt to command", Stage::Rcpt),
    ("rcpt command", Stage::Rcpt),
    ("(state 14)", Stage::Rcpt),
    ("in reply to end of data", Stage::Dot),
    ("in reply to data", Stage::Dot),
    ("after end of data", Stage::Dot),
    ("after data", Stage::Dot),
    (">>> data", Stage::Dot),
    ("after i sent the message", Stage::Dot),
    ("did not like our data", Stage::Dot),
    ("did not like our eom", Stage::Dot),
    ("[data]", Stage::Dot),
    ("step: data", Stage::Dot),
    ("smtp command data", Stage::Dot),
    ("(data", Stage::Dot),
    ("for text command", Stage::Dot),
    ("for data command", Stage::Dot),
    ("(state 17)", Stage::Dot),
    ("(state 18)", Stage::Dot),
    ("in reply to mail from", Stage::Mail),
    ("after mail from", Stage::Mail),
    (">>> mail from", Stage::Mail),
    ("did not like our mail from", Stage::Mail),
    ("sender was rejected", Stage::Mail),
    ("[mail_from]", Stage::Mail),
    ("(state 13)", Stage::Mail),
    ("in reply to helo", Stage::Hello),
    ("in reply to ehlo", Stage::Hello),
    (">>> ehlo", Stage::Hello),
    (">>> helo", Stage::Hello),
    ("after initial connection", Stage::Greeting),
    ("refused to talk to me", Stage::Greeting),
    ("but greeting failed", Stage::Greeting),
];

/// Said of a mailbox that is not there, whatever the command.
const NOBODY_SURE: &[&str] = &[
    "recipient address rejected: access denied",
    "recipientnotfound",
    "recipnotfound",
    "has been replaced by",
    "recipient name is not recognized",
    "not listed in domino directory",
    "not listed in public name",
    "no longer on server",
    "requested action not taken: mailbox unavailable",
    "please check if address is correct",
    "no such user here",
    "deactivated mailbox",
    "ディレクトリのリストにありません",
    "用户不存在",
    "收件人不存在",
    "邮箱不存在",
    "bad-mailbox",
    "destinataire invalide",
];

/// Said of a mailbox that is not there: believed at RCPT.
const NOBODY: &[&str] = &[
    "user unknown",
    "unknown user",
    "user is unknown",
    "unknown recipient",
    "recipient unknown",
    "unknown address",
    "address unknown",
    "unknown mailbox",
    "unknown local",
    "unknown account",
    "unknown login",
    "unrouteable address",
    "unroutable address",
    "no such user",
    "no such recipient",
    "no such mailbox",
    "no such person",
    "no such address",
    "no such account",
    "no such local user",
    "no such contact",
    "no mailbox",
    "no account",
    "no recipient",
    "no user",
    "nobody by that name",
    "no one by that name",
    "no matches to address",
    "user not found",
    "user doesn't exist",
    "mailbox not found",
    "mailbox unavailable",
    "mailbox invalid",
    "recipient not exist",
    "recipient not found",
    "address not found",
    "account not found",
    "not found on this server",
    "could not be found",
    "couldn't be found",
    "wasn't found",
    "not a known user",
    "not a valid user",
    "not a valid mailbox",
    "not a valid recipient",
    "not a recognized",
    "not a local address",
    "is not a registered",
    "is not local",
    "not our customer",
    "not our user",
    "not known here",
    "not exist",
    "doesn't exist",
    "doesn't have a",
    "does not have an account",
    "has no mailbox",
    "nonexistent",
    "non-existent",
    "bad destination",
    "bad address",
    "bad recipient",
    "invalid recipient",
    "invalid mailbox",
    "invalid user",
    "invalid address",
    "invalid local",
    "invalid final delivery",
    "incorrect address",
    "inactive email address",
    "recipient address rejected.",
    "recipient rejected",
    "rejected address",
    "this address no longer",
    "email address no longer",
    "no longer valid",
    "no longer accepts mail",
    "has left",
    "usuario desconocido",
    "usuario no existe",
    "utente sconosciuto",
    "utilisateur inconnu",
    "destinatario desconocido",
    "empfänger unbekannt",
    "benutzer unbekannt",
    "пользователь не найден",
    "нет такого пользователя",
];

/// Said of a domain that is not there, or takes no mail (RFC 7505).
const NO_HOST: &[&str] = &[
    "bad-domain",
    "host unknown",
    "unknown host",
    "host or domain name not found",
    "host not found",
    "no such domain",
    "no such host",
    "unknown domain",
    "domain unknown",
    "domain not found",
    "domain name not found",
    "domain does not exist",
    "domain doesn't exist",
    "non-existent domain",
    "nonexistent domain",
    "nxdomain",
    "couldn't find any host",
    "couldn't find a mail exchanger",
    "no mx record found",
    "domain does not accept mail",
    "indicated no smtp service",
    "no mail exchanger",
    "null mx",
    "nullmx",
    "unrouteable mail domain",
    "unrouteable domain",
    "illegal host/domain",
    "address contains a bad domain",
    "not receiving any emails",
    "mail server not found",
    "name or service not known",
    "no address associated with hostname",
    "doesn't receive email",
    "does not receive email",
    "does not accept mail",
    "do not accept mail",
    "does not accept email",
];

/// Said of a mailbox that is full.
const FULL: &[&str] = &[
    "mailbox full",
    "mailbox is full",
    "mailbox for user is full",
    "mailbox size limit",
    "mailbox has exceeded",
    "mailbox exceeds",
    "mailbox exceeded",
    "mailbox storage",
    "mailbox over",
    "mail box full",
    "quota",
    "out of storage",
    "storage limit",
    "disk space",
    "disc space",
    "disk full",
    "inbox is full",
    "insufficient space",
    "not enough space",
    "not enough storage",
    "too much mail data",
    "user is full",
    "account is full",
    "exceeded the local limit",
    "allowed size",
    "maximum mailbox",
    "maildir over",
    "allocated storage",
    "box pleine",
    "bal pleine",
    "buzón lleno",
    "casilla llena",
    "postfach ist voll",
    "casella piena",
    "ящик переполнен",
    "邮箱已满",
    "空间不足",
];

/// Said of a mailbox that is there and switched off.
const DISABLED: &[&str] = &[
    "disabled",
    "suspended",
    "deactivated",
    "account inactive",
    "account is inactive",
    "user inactive",
    "mailbox inactive",
    "inactive user",
    "account expired",
    "mailbox expired",
    "account closed",
    "account is closed",
    "account that is not",
    "account has been",
    "account locked",
    "account is locked",
    "mailbox is locked",
    "mailbox locked",
    "mailbox is frozen",
    "mailbox frozen",
    "currently unavailable",
    "temporarily unavailable",
    "not active",
    "is inactive on",
    "has discontinued",
    "发送冻结",
    "帐号已被",
];

/// Said of the letter's size or form.
const TOO_LARGE: &[&str] = &[
    "message size",
    "message too",
    "message is too",
    "message length",
    "mail size",
    "size limit exceeded",
    "exceeds size",
    "exceeds maximum",
    "exceeds fixed",
    "too large",
    "too big",
    "too long",
];

/// Said of us: address, domain or name of the sender.
const SENDER: &[&str] = &[
    "domain of sender",
    "sender verify failed",
    "sender verification",
    "sender unknown",
    "sender rejected",
    "sender is rejected",
    "sender denied",
    "sender not",
    "invalid sender",
    "unknown sender",
    "bad sender",
    "unresolvable sender",
    "return-path",
    "from address",
    "envelope from",
    "mailfrom",
    "mail from not",
    "verification failed for",
    "not a member",
    "from: domain",
];

/// Said of rules, lists and filters.
const REFUSED: &[&str] = &[
    "relay",
    "blocked",
    "blacklist",
    "black list",
    "blocklist",
    "block list",
    "spam",
    "banned",
    "policy",
    "policies",
    "denied",
    "not allowed",
    "not permitted",
    "not authorized",
    "unauthorized",
    "prohibited",
    "reputation",
    "dnsbl",
    "rbl",
    "spf",
    "dkim",
    "dmarc",
    "reverse dns",
    "dns ptr",
    "ptr record",
    "authentication",
    "greylist",
    "rate limit",
    "too many",
    "recipient preferences",
    "content rejected",
    "virus",
    "forged",
];

/// Said of the way there.
const NETWORK: &[&str] = &[
    "timed out",
    "timeout",
    "time out",
    "connection refused",
    "connection reset",
    "connection dropped",
    "no route to host",
    "network error",
    "network is unreachable",
    "network unreachable",
    "hop count",
    "too many hops",
    "mail loop",
    "loops back",
    "routing loop",
    "loop detected",
    "dns error",
    "dns query failed",
    "dns lookup",
    "expired",
    "too long in queue",
    "in the queue too long",
    "retry time not reached",
    "retry timeout",
    "couldn't connect",
    "could not connect",
    "unable to connect",
    "host not reachable",
    "host is unreachable",
    "lost connection",
    "connect to",
    "try again",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mailbox_makes_it_hard() {
        let status =
            |text: &str| crate::inbound::report::statuses(text).next().map(|(_, status)| status);
        for (words, hard, class) in [
            ("550 5.1.1 sorry (in reply to rcpt to command)", true, Class::InvalidRecipient),
            ("550 user unknown (in reply to rcpt to command)", true, Class::InvalidRecipient),
            ("550 user unknown (in reply to end of data command)", false, Class::InvalidRecipient),
            (
                "450 4.1.1 user unknown (in reply to rcpt to command)",
                false,
                Class::InvalidRecipient,
            ),
            ("552 5.2.2 mailbox full, no such user", false, Class::Quota),
            ("550 5.1.1 this account is disabled", false, Class::Inactive),
            ("550 5.1.10 null mx", true, Class::BadDomain),
            ("host unknown", true, Class::BadDomain),
            ("553 5.1.8 domain of sender address does not exist", false, Class::Policy),
            ("550 5.7.1 relay access denied", false, Class::Policy),
            ("550 5.1.1 address listed in a dnsbl, blocked", false, Class::InvalidRecipient),
        ] {
            let reply = crate::inbound::report::replies(words).next().map(|(_, code)| code);
            let evidence =
                Evidence { words, status: status(words), reply, delayed: false, named: false };
            assert_eq!(judge(evidence), (class, hard), "{words}");
            assert!(!judge(Evidence { delayed: true, ..evidence }).1, "{words}");
        }
    }
}
