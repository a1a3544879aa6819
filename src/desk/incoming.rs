//! Mail that came in, as it is told: one line per message (issue 6, "The contract").

use serde_json::{Value, json};

use crate::desk::tell::{auto_word, class_word};
use crate::inbound::bounce::Recipient;
use crate::inbound::reading::Reading;

/// The contract's line of one message.
#[must_use]
pub fn line(file: &str, reading: &Reading, letter: Option<&Value>) -> Value {
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

/// The line of a message that says nothing to us.
#[must_use]
pub fn other(file: &str, reason: &str) -> Value {
    json!({
        "file": file, "kind": "other", "letter": null, "recipients": [], "feedback": null,
        "language": null, "reason": reason,
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
