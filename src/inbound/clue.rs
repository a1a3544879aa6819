//! Which of our letters a message is about: tokens that only we can have written.
//!
//! Three places carry one: the address a bounce goes to (VERP), our Message-ID in In-Reply-To,
//! References or the embedded original, and the unsubscribe address or link. What carries none, or
//! one that does not verify, is about no letter, whatever it claims.

use crate::feedback::entry::LetterId;
use crate::inbound::mail::Mail;
use crate::inbound::quote;
use crate::letter::token::{Keys, MAIL_LEN, TokenKind, WEB_LEN};

/// How a letter was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The address the message came to: the return path of the letter.
    ReturnPath,
    /// The unsubscribe address of the letter.
    UnsubscribeAddress,
    /// The message it answers.
    InReplyTo,
    /// The letter itself, or its headers, inside.
    Original,
}

impl Way {
    /// As reasons name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReturnPath => "return path",
            Self::UnsubscribeAddress => "unsubscribe address",
            Self::InReplyTo => "message it answers",
            Self::Original => "original inside",
        }
    }
}

/// Headers that name whom a message was delivered to.
const ADDRESSED: &[&str] = &[
    "to",
    "cc",
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "x-envelope-to",
    "x-failed-recipients",
];

/// The letter a message is about, and how it shows.
#[must_use]
pub fn find(mail: &Mail, keys: &Keys) -> Option<(LetterId, Way)> {
    let addressed = || ADDRESSED.iter().flat_map(|name| mail.all(name));
    if let Some(letter) = addressed().find_map(|to| in_mail(to, keys, TokenKind::Bounce)) {
        return Some((letter, Way::ReturnPath));
    }
    let wished = addressed().chain(std::iter::once(mail.subject.as_str()));
    if let Some(letter) =
        wished.into_iter().find_map(|to| in_mail(to, keys, TokenKind::Unsubscribe))
    {
        return Some((letter, Way::UnsubscribeAddress));
    }
    let answered = ["in-reply-to", "references"];
    let mut answered = answered.iter().flat_map(|name| mail.all(name));
    if let Some(letter) = answered.find_map(|ids| in_mail(ids, keys, TokenKind::Open)) {
        return Some((letter, Way::InReplyTo));
    }
    let mut embedded = mail.original.as_deref();
    while let Some(original) = embedded {
        if let Some(letter) = of_original(original, keys) {
            return Some((letter, Way::Original));
        }
        embedded = original.original.as_deref();
    }
    let inline = quote::parted(&mail.text).1.and_then(Mail::quoted)?;
    of_original(&inline, keys).map(|letter| (letter, Way::Original))
}

/// The letter that this message is, by its own headers.
fn of_original(original: &Mail, keys: &Keys) -> Option<LetterId> {
    let by_id = original.header("message-id").and_then(|id| in_mail(id, keys, TokenKind::Open));
    let by_path = || {
        let path = original.header("return-path")?;
        in_mail(path, keys, TokenKind::Bounce)
    };
    let by_link = || {
        let links = original.header("list-unsubscribe")?;
        in_web(links, keys, TokenKind::Unsubscribe)
            .or_else(|| in_mail(links, keys, TokenKind::Unsubscribe))
    };
    by_id.or_else(by_path).or_else(by_link)
}

/// The first mail token of that kind in a text.
fn in_mail(text: &str, keys: &Keys, kind: TokenKind) -> Option<LetterId> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter(|word| word.len() == MAIL_LEN)
        .find_map(|word| of_kind(keys.verify_mail(word), kind))
}

/// The first web token of that kind in a text.
fn in_web(text: &str, keys: &Keys, kind: TokenKind) -> Option<LetterId> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    words.filter(|word| word.len() == WEB_LEN).find_map(|word| of_kind(keys.verify(word), kind))
}

fn of_kind(found: Option<(TokenKind, [u8; 8])>, kind: TokenKind) -> Option<LetterId> {
    found.filter(|(own, _)| *own == kind).map(|(_, letter)| LetterId::from_bytes(letter))
}
