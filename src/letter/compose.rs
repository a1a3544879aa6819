//! A message: the bytes of a rendered letter as they travel (RFC 5322, MIME 7-bit clean, CRLF only).
//!
//! The same letter gives the same bytes, for every attempt must send the same: nothing here is
//! random and no clock is read. Texts (subject, names, bodies) may hold anything and are cleaned;
//! what must stand exactly as it is (addresses, URLs, ids) is refused when it cannot.
//!
//! Return path and dot-stuffing belong to the transport, signatures to `sign`.

use std::borrow::Cow;

use chrono::{DateTime, FixedOffset};
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use mail_builder::mime::MimePart;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::book::tag::Audience;
use crate::letter::template::{Rendered, escape, one_line};

/// What stands unfolded on one line, leaving room for its header's name (RFC 5322 §2.1.1: 998).
const ATOM_BYTES_MAX: usize = 900;
/// Names and subjects are cut here; a line of a header may be folded, but no reader shows more.
const TEXT_BYTES_MAX: usize = 2000;
/// Headers we write ourselves, or that only a mail server may write.
const OURS: &[&str] = &[
    "from",
    "to",
    "cc",
    "bcc",
    "sender",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "feedback-id",
    "return-path",
    "received",
    "dkim-signature",
    "authentication-results",
];

/// A name and an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mailbox<'a> {
    /// Shown instead of the address; may be empty.
    pub name: &'a str,
    /// `local@domain`, in ASCII.
    pub address: &'a str,
}

/// All that a message says beside its letter.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The sender.
    pub from: Mailbox<'a>,
    /// The contact.
    pub to: Mailbox<'a>,
    /// `id@domain`, without angle brackets; the same for every attempt.
    pub message_id: &'a str,
    /// When the letter was first claimed, in the configured zone.
    pub date: DateTime<FixedOffset>,
    /// Whom the letter is for: the mailing list, to receivers (RFC 2919).
    pub audience: &'a Audience,
    /// The letter's language as a code (`fr`), when known.
    pub language: Option<&'a str>,
    /// Takes the one-click POST of RFC 8058.
    pub unsubscribe_url: &'a str,
    /// A whole `mailto:` URI that unsubscribes.
    pub unsubscribe_mailto: Option<&'a str>,
    /// The picture that tells of an opening.
    pub pixel_url: Option<&'a str>,
    /// Gmail's `a:b:c:SenderId`; the same for many letters.
    pub feedback_id: Option<&'a str>,
    /// Further headers from the configuration, such as Reply-To.
    pub extra: &'a [(&'a str, &'a str)],
}

/// Why no message can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// A character that would break the header.
    #[error(
        "{header}: {value:?} holds a blank, a bracket, a control or non-ASCII character; correct it"
    )]
    Character {
        /// Which header.
        header: &'static str,
        /// The value.
        value: String,
    },
    /// Too long for one line, or empty.
    #[error("{header}: {bytes} bytes, must be 1 to 900; shorten it")]
    Length {
        /// Which header.
        header: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// A header of the configuration that we write ourselves, twice the same, or no header name.
    #[error("header {0:?} cannot be added: ours, there twice, or not a name; take it away")]
    Extra(String),
}

/// Writes the message: `multipart/alternative` when the letter has HTML or a pixel, else plain text.
///
/// # Errors
/// An address, id or URL that cannot stand in a header as it is, or an extra header that is ours.
pub fn compose(letter: &Rendered, envelope: &Envelope<'_>) -> Result<Vec<u8>, ComposeError> {
    let message_id = exact("Message-ID", envelope.message_id, is_address)?;
    let date = envelope.date.format("%a, %d %b %Y %H:%M:%S %z").to_string();
    let subject = clipped(&letter.subject);
    let mut message = MessageBuilder::new()
        .from(mailbox("From", &envelope.from)?)
        .to(mailbox("To", &envelope.to)?)
        .subject(Text::new(subject))
        .header("Date", Raw::new(date))
        .message_id(MessageId::new(message_id))
        .header("List-Id", Raw::new(list_id(envelope)))
        .header("List-Unsubscribe", Raw::new(list_unsubscribe(envelope)?))
        .header("List-Unsubscribe-Post", Raw::new("List-Unsubscribe=One-Click"));
    if let Some(id) = envelope.feedback_id {
        message = message.header("Feedback-ID", Raw::new(exact("Feedback-ID", id, is_graphic)?));
    }
    for (name, value) in extra(envelope.extra)? {
        message = message.header(name, Text::new(value));
    }
    let mut bytes = Vec::new();
    message.body(body(letter, envelope)?).serialize(&mut bytes);
    Ok(bytes)
}

fn mailbox<'a>(header: &'static str, mailbox: &Mailbox<'a>) -> Result<Address<'a>, ComposeError> {
    let address = exact(header, mailbox.address, is_address)?;
    let name = clipped(mailbox.name);
    Ok(Address::new_address((!name.is_empty()).then_some(name), address))
}

/// `<0f3c….example.com>`: the audience's hash below the sender's domain, so that filters survive a new
/// template, series or batch. The audience's name is ours alone: the contact is not shown our files.
fn list_id(envelope: &Envelope<'_>) -> String {
    let domain = envelope.from.address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let hash = xxh3_64(envelope.audience.as_str().as_bytes());
    format!("<{hash:016x}.{domain}>")
}

fn list_unsubscribe(envelope: &Envelope<'_>) -> Result<String, ComposeError> {
    let url = exact("List-Unsubscribe", envelope.unsubscribe_url, is_graphic)?;
    Ok(match envelope.unsubscribe_mailto {
        Some(uri) => {
            let uri = exact("List-Unsubscribe", uri, is_graphic)?;
            format!("<{url}>, <{uri}>")
        }
        None => format!("<{url}>"),
    })
}

/// The configured headers, cleaned.
fn extra<'a>(headers: &[(&'a str, &'a str)]) -> Result<Vec<(&'a str, Cow<'a, str>)>, ComposeError> {
    let mut seen: Vec<String> = Vec::with_capacity(headers.len());
    let mut clean = Vec::with_capacity(headers.len());
    for &(name, value) in headers {
        let lower = name.to_ascii_lowercase();
        let is_name = (1..=70).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let is_ours = OURS.contains(&lower.as_str()) || lower.starts_with("content-");
        if !is_name || is_ours || seen.contains(&lower) {
            return Err(ComposeError::Extra(name.to_owned()));
        }
        seen.push(lower);
        clean.push((name, clipped(value)));
    }
    Ok(clean)
}

fn body<'a>(letter: &'a Rendered, envelope: &Envelope<'a>) -> Result<MimePart<'a>, ComposeError> {
    let language = match envelope.language {
        Some(code) => {
            Some(exact("Content-Language", code, |b| b.is_ascii_alphanumeric() || b == b'-')?)
        }
        None => None,
    };
    let pixel = match envelope.pixel_url {
        Some(url) => Some(exact("pixel URL", url, is_graphic)?),
        None => None,
    };
    let part = |kind: &'static str, content: String| {
        let part = MimePart::new(kind, content);
        match language {
            Some(code) => part.language(code),
            None => part,
        }
    };
    let text = part("text/plain", wire_lines(&letter.text));
    let html = match (&letter.html, pixel) {
        (None, None) => return Ok(text),
        (Some(html), None) => wire_lines(html),
        (Some(html), Some(url)) => wire_lines(&with_pixel(html, url)),
        (None, Some(url)) => wire_lines(&with_pixel(&html_of(&letter.text, language), url)),
    };
    let boundary = boundary(letter, envelope.message_id);
    let kind = ContentType::new("multipart/alternative").attribute("boundary", boundary);
    Ok(MimePart::new(kind, vec![text, part("text/html", html)]))
}

/// The line between the parts: the same for the same letter. `=_` stands in no encoded body, and
/// no plain one can hold its own hash.
fn boundary(letter: &Rendered, message_id: &str) -> String {
    let mut hash = Xxh3::new();
    for text in [message_id, &letter.text, letter.html.as_deref().unwrap_or_default()] {
        hash.update(text.as_bytes());
        hash.update(&[0]);
    }
    format!("=_{:032x}", hash.digest128())
}

/// `value`, if it may stand in a header as it is.
fn exact<'a>(
    header: &'static str,
    value: &'a str,
    allowed: fn(u8) -> bool,
) -> Result<&'a str, ComposeError> {
    if value.is_empty() || value.len() > ATOM_BYTES_MAX {
        return Err(ComposeError::Length { header, bytes: value.len() });
    }
    if !value.bytes().all(allowed) {
        return Err(ComposeError::Character { header, value: value.to_owned() });
    }
    Ok(value)
}

fn is_graphic(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'\\')
}

/// RFC 5322 dot-atoms and domain literals; quoted local parts are nobody's in practice.
fn is_address(byte: u8) -> bool {
    is_graphic(byte) && !matches!(byte, b',' | b';' | b'(' | b')')
}

/// One line, at most [`TEXT_BYTES_MAX`] long.
fn clipped(text: &str) -> Cow<'_, str> {
    let mut line = one_line(text);
    if line.len() > TEXT_BYTES_MAX {
        let cut = line.floor_char_boundary(TEXT_BYTES_MAX);
        line.to_mut().truncate(cut);
    }
    line
}

/// Every line ended by CRLF, no other control characters but tabs.
fn wire_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 32 + 2);
    let mut after_cr = false;
    for c in text.chars() {
        match c {
            '\n' if after_cr => (),
            '\r' | '\n' => out.push_str("\r\n"),
            '\t' => out.push(c),
            _ if c.is_ascii_control() => (),
            _ => out.push(c),
        }
        after_cr = c == '\r';
    }
    if !out.ends_with("\r\n") {
        out.push_str("\r\n");
    }
    out
}

/// The picture stands at the end of the body: it does not hold up what is to be read.
fn with_pixel(html: &str, url: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let end = lower.rfind("</body").unwrap_or(html.len());
    let (before, after) = html.split_at_checked(end).unwrap_or((html, ""));
    let url = escape(url);
    let style = "display:block;border:0";
    format!(
        "{before}<img src=\"{url}\" width=\"1\" height=\"1\" alt=\"\" style=\"{style}\">\n{after}"
    )
}

/// A page that reads like the text: paragraphs, line breaks, links.
fn html_of(text: &str, language: Option<&str>) -> String {
    let text = text.replace("\r\n", "\n");
    let lang = language.map_or_else(String::new, |code| format!(" lang=\"{code}\""));
    let mut html =
        format!("<!DOCTYPE html>\n<html{lang}>\n<head><meta charset=\"utf-8\"></head>\n<body>\n");
    let paragraphs = text.split("\n\n").map(|block| block.trim_matches('\n'));
    for block in paragraphs.filter(|block| !block.trim().is_empty()) {
        let lines: Vec<String> = block.lines().map(linked).collect();
        html.push_str("<p>");
        html.push_str(&lines.join("<br>\n"));
        html.push_str("</p>\n");
    }
    html.push_str("</body>\n</html>\n");
    html
}

/// A line, escaped, its web addresses made links.
fn linked(line: &str) -> String {
    let mut html = String::with_capacity(line.len() + 32);
    for word in line.split_inclusive(' ') {
        let bare = word.trim_matches(|c: char| " .,;:!?()<>\"'".contains(c));
        if bare.starts_with("https://") || bare.starts_with("http://") {
            let link = format!("<a href=\"{0}\">{0}</a>", escape(bare));
            let (before, after) = word.split_once(bare).unwrap_or(("", ""));
            html.push_str(&escape(before));
            html.push_str(&link);
            html.push_str(&escape(after));
        } else {
            html.push_str(&escape(word));
        }
    }
    html
}
