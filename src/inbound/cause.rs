//! Why a letter came back: what the codes and words of a report say of the recipient.
//!
//! Hard is only what says that the mailbox, or its whole domain, is not there: the code x.1.1 and
//! its like, or such words at RCPT. The same words after DATA come from filters, and words about the
//! sender, a full or a disabled mailbox, or a policy are about something else: in doubt a report
//! suppresses nobody.

use crate::feedback::verdict::{Class, Stage, Verdict, read_reply};
use crate::inbound::phrases::{
    DISABLED, FULL, NETWORK, NO_HOST, NOBODY, NOBODY_SURE, REFUSED, SENDER, TOLD, TOO_LARGE,
};
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
