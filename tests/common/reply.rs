//! A reply, as the journal holds it.

use tradewind::book::contact::{ContactId, Day};
use tradewind::feedback::entry::What;

/// A reply of a few words.
pub(crate) fn reply(contact: ContactId, day: Day) -> What {
    What::Replied {
        contact,
        letter: None,
        from: String::new(),
        subject: String::new(),
        language: String::new(),
        text: "price?".to_owned(),
        files: Vec::new(),
        mail: 1,
        day,
    }
}
