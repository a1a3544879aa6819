//! Notifications of a sending service in JSON, sent on as mail: Amazon SES by way of SNS.

use serde_json::Value;

use crate::inbound::mail::Mail;
use crate::inbound::report::Fate;

/// A notification about recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What became of the letter.
    pub fate: Fate,
    /// To whom.
    pub told: Vec<Told>,
}

/// What is said of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The address.
    pub address: String,
    /// The status code.
    pub status: String,
    /// What the server said.
    pub words: String,
}

/// The bounce or delivery that a message notifies of.
#[must_use]
pub fn read(mail: &Mail) -> Option<Notice> {
    let (kind, value) = value(mail)?;
    let text = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    match kind.as_str() {
        "bounce" => {
            let bounce = value.get("bounce")?;
            let passing = text(bounce, "bounceType").eq_ignore_ascii_case("transient");
            let status = if passing { "4.0.0" } else { "5.0.0" };
            let told = bounce.get("bouncedRecipients")?.as_array()?.iter().map(|one| Told {
                address: text(one, "emailAddress"),
                status: Some(text(one, "status"))
                    .filter(|s| !s.is_empty())
                    .unwrap_or(status.into()),
                words: text(one, "diagnosticCode"),
            });
            Some(Notice { fate: Fate::Failed, told: told.collect() })
        }
        "delivery" => {
            let delivery = value.get("delivery")?;
            let words = text(delivery, "smtpResponse");
            let told = delivery.get("recipients")?.as_array()?.iter().map(|one| Told {
                address: one.as_str().unwrap_or_default().to_owned(),
                status: words.clone(),
                words: words.clone(),
            });
            Some(Notice { fate: Fate::Delivered, told: told.collect() })
        }
        _ => None,
    }
}

/// The feedback type and the addresses of a complaint.
#[must_use]
pub fn complaint(mail: &Mail) -> Option<(String, Vec<String>)> {
    let (kind, value) = value(mail)?;
    if kind != "complaint" {
        return None;
    }
    let complaint = value.get("complaint")?;
    let all = complaint.get("complainedRecipients")?.as_array()?.iter();
    let addresses = all.filter_map(|one| Some(one.get("emailAddress")?.as_str()?.to_owned()));
    let kind = complaint.get("complaintFeedbackType").and_then(Value::as_str).unwrap_or("abuse");
    Some((kind.to_owned(), addresses.collect()))
}

/// The JSON object a message begins with, when it notifies of something, and of what.
fn value(mail: &Mail) -> Option<(String, Value)> {
    let text = mail.text.trim_start();
    if !text.starts_with('{') || !text.contains("notificationType") {
        return None;
    }
    let joined = text.replace(['\r', '\n'], "");
    let mut values = serde_json::Deserializer::from_str(&joined).into_iter::<Value>();
    let mut value = values.next()?.ok()?;
    // Without raw delivery SNS wraps the notification in a text.
    if let Some(inner) = value.get("Message").and_then(Value::as_str) {
        value = serde_json::from_str(inner).ok()?;
    }
    let kind = value.get("notificationType")?.as_str()?.to_lowercase();
    Some((kind, value))
}
