//! A letter on its way from the plan to the wire: all that its bytes are made of, so that they can
//! be made on any thread, without the keeper.

use std::sync::Arc;

use chrono::TimeZone;

use crate::book::contact::{Contact, Moment};
use crate::book::tag::BatchTag;
use crate::config::Config;
use crate::feedback::entry::LetterId;
use crate::letter::compose::{Envelope, Mailbox, compose};
use crate::letter::sign::{DkimKey, sign};
use crate::letter::template::{Template, Vars};
use crate::letter::token::{Keys, TokenKind};

/// A letter to be composed and signed.
#[derive(Debug)]
pub struct Draft {
    /// Which.
    pub letter: LetterId,
    /// Which attempt.
    pub attempt: u16,
    /// When its first attempt was: its Date.
    pub date: Moment,
    /// To whom.
    pub contact: Contact,
    /// Of which batch.
    pub batch: BatchTag,
    /// What the store kept from the first attempt, when the configuration has another by now.
    pub kept: Option<Arc<Template>>,
    /// The hash of the template in the configuration, else.
    pub template: u64,
    /// Who writes, how, and with which keys.
    pub config: Arc<Config>,
    /// What its tokens are signed with.
    pub keys: Arc<Keys>,
    /// How recipients reach the endpoint.
    pub public_url: Arc<str>,
}

/// One letter, ready to leave.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Which.
    pub letter: LetterId,
    /// Which attempt.
    pub attempt: u16,
    /// Its recipient, `local@domain`.
    pub to: String,
    /// Where its bounces go.
    pub return_path: String,
    /// Its bytes.
    pub message: Vec<u8>,
}

impl Draft {
    /// The exact bytes: the same for the same draft.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn compose(&self) -> Result<Ready, String> {
        let unsigned = self.unsigned()?;
        let keys: Vec<&DkimKey> = self.config.dkim.iter().collect();
        let seconds = self.date.utc().timestamp();
        let message = sign(&keys, &unsigned, seconds).map_err(|error| error.to_string())?;
        Ok(Ready {
            letter: self.letter,
            attempt: self.attempt,
            to: self.contact.address.as_str().to_owned(),
            return_path: self.return_path(),
            message,
        })
    }

    /// Where the letter's bounces go: with VERP an address that nobody else's bounces go to.
    fn return_path(&self) -> String {
        let sender = &self.config.sender;
        let path = sender.return_path.as_ref().unwrap_or(&sender.address);
        match path.rsplit_once('@') {
            Some((local, domain)) if sender.verp => {
                let token = self.keys.sign_mail(TokenKind::Bounce, self.letter.to_bytes());
                format!("{local}+{token}@{domain}")
            }
            _ => path.clone(),
        }
    }

    fn unsigned(&self) -> Result<Vec<u8>, String> {
        let configured = self.config.templates.by_hash(self.template);
        let template = self.kept.as_deref().or(configured).ok_or("no template")?;
        let (sender, contact, keys) = (&self.config.sender, &self.contact, &self.keys);
        let (letter, base) = (self.letter, &self.public_url);
        let id = letter.to_bytes();
        let unsubscribe = format!("{base}/u/{}", keys.sign(TokenKind::Unsubscribe, id));
        let pixel = format!("{base}/o/{}.gif", keys.sign(TokenKind::Open, id));
        let batch_name = self.batch.to_string();
        let vars = Vars {
            address: contact.address.as_str(),
            card: &contact.card,
            sender: template.sender_name().unwrap_or(&sender.name),
            batch: &batch_name,
            unsubscribe_url: &unsubscribe,
        };
        let rendered = template.render(&vars).map_err(|error| error.to_string())?;
        let (_, domain) = sender.address.rsplit_once('@').unwrap_or(("", "localhost"));
        let message_id = format!("{letter}.{}@{domain}", keys.sign_mail(TokenKind::Open, id));
        let mailto = sender.unsubscribe_mailto.as_ref().map(|to| {
            format!("mailto:{to}?subject={}", keys.sign_mail(TokenKind::Unsubscribe, id))
        });
        let zone = self.config.zone.0;
        let date = zone.from_utc_datetime(&self.date.utc().naive_utc()).fixed_offset();
        let envelope = Envelope {
            from: Mailbox {
                name: template.sender_name().unwrap_or(&sender.name),
                address: &sender.address,
            },
            to: Mailbox { name: &contact.card.name, address: contact.address.as_str() },
            message_id: &message_id,
            date,
            audience: &self.batch.audience,
            language: None,
            unsubscribe_url: &unsubscribe,
            unsubscribe_mailto: mailto.as_deref(),
            pixel_url: self.config.http.track_opens.then_some(pixel.as_str()),
            feedback_id: None,
            extra: &[],
        };
        compose(&rendered, &envelope).map_err(|error| error.to_string())
    }
}
