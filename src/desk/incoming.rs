//! Mail that came in: what it is, which letter it is about, and what is done about it.

use serde_json::{Value, json};

use crate::feedback::entry::AutoKind;
use crate::feedback::verdict::Class;
use crate::inbound::bounce::Recipient;
use crate::inbound::reading::Reading;

/// The contract's line of one message.
#[must_use]
pub fn line(file: &str, reading: &Reading, letter: Option<Value>) -> Value {
    let told = reading.recipients.iter().map(recipient);
    let named = reading.addresses.iter().map(|address| {
        json!({
            "address": address, "status": null, "reply": null, "class": null, "hard": false,
        })
    });
    let recipients: Vec<Value> = told.chain(named).collect();
    json!({
        "file": file,
        "kind": reading.kind.as_str(),
        "letter": letter,
        "recipients": recipients,
        "feedback": reading.feedback,
        "language": reading.language,
        "reason": reason(reading),
    })
}

fn recipient(recipient: &Recipient) -> Value {
    json!({
        "address": recipient.address,
        "status": recipient.status.to_string(),
        "reply": recipient.reply.map(|code| code.to_string()),
        "class": class_word(recipient.class),
        "hard": recipient.hard,
    })
}

fn reason(reading: &Reading) -> String {
    match &reading.auto {
        None => reading.reason.clone(),
        Some(auto) => {
            let until = auto.until.map_or_else(String::new, |day| format!(" until {day}"));
            format!("{}{until}, by {}", auto_word(auto.kind), auto.sign)
        }
    }
}

/// A kind of auto-reply as it is shown.
#[must_use]
pub fn auto_word(kind: AutoKind) -> &'static str {
    match kind {
        AutoKind::Vacation => "vacation",
        AutoKind::Left => "left",
        AutoKind::Ticket => "ticket",
        AutoKind::Other => "auto-reply",
    }
}

/// A class of trouble as it is shown (DESIGN §8).
#[must_use]
pub fn class_word(class: Class) -> &'static str {
    match class {
        Class::InvalidRecipient => "invalid-recipient",
        Class::Inactive => "inactive",
        Class::BadDomain => "bad-domain",
        Class::Quota => "quota",
        Class::Rate => "rate",
        Class::Greylist => "greylist",
        Class::Policy => "policy",
        Class::Spam => "spam",
        Class::Auth => "auth",
        Class::Message => "message",
        Class::Network => "network",
        Class::Protocol => "protocol",
        Class::Other => "other",
    }
}
