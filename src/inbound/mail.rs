//! A message that came in, opened: its headers, what a person or a machine wrote in it, the field
//! groups of reports, and the original it quotes. The only file that names the MIME parser.
//!
//! Everything is bounded before it is looked at: a stranger chose these bytes.

use chrono::NaiveDate;
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};

/// Messages above this are not looked at (bytes).
pub const MESSAGE_BYTES_MAX: usize = 25 << 20;
/// So much text of a message is looked at (bytes of UTF-8).
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// Embedded messages are opened so deep.
const DEPTH_MAX: u8 = 3;
/// Mentions of embedded messages above which a message is not parsed: each is a level that the
/// parser nests, and no honest report has so many.
const NESTING_MAX: usize = 64;
/// Parts that are looked at.
const PARTS_MAX: usize = 200;
/// Headers that are looked at, and how much of each.
const HEADERS_MAX: usize = 400;
const HEADER_BYTES_MAX: usize = 8 << 10;
/// Files that are named.
const FILES_MAX: usize = 50;

/// Why bytes cannot be read as a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// No header is there.
    #[error("this is not a message: it has no header; pipe in a whole message as it was received")]
    NotAMessage,
    /// Larger than is looked at.
    #[error("over {} MiB: not looked at", MESSAGE_BYTES_MAX >> 20)]
    TooLarge,
    /// Messages within messages beyond reason.
    #[error("more than {NESTING_MAX} messages within messages: not looked at")]
    TooDeep,
}

/// A file that came with a message: named and sized, never opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// As the sender calls it; empty when it has no name.
    pub name: String,
    /// Its media type, as claimed.
    pub kind: String,
    /// Decoded size.
    pub bytes: u64,
}

/// A message, opened.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    headers: Vec<(String, String)>,
    /// The subject, decoded.
    pub subject: String,
    /// The address of From; empty when there is none.
    pub from: String,
    /// The display name of From.
    pub from_name: String,
    /// The day of Date, as its writer counts days.
    pub sent: Option<NaiveDate>,
    /// The media type of the whole, lower case.
    pub kind: String,
    /// What is written in it: plain text, or HTML as text where there is no other.
    pub text: String,
    /// Delivery reports (RFC 3464), as they stand.
    pub status_parts: Vec<String>,
    /// Complaint reports (RFC 5965), as they stand.
    pub feedback_parts: Vec<String>,
    /// The message, or the headers of it, that comes with a report.
    pub original: Option<Box<Mail>>,
    /// Files.
    pub files: Vec<Attached>,
}

impl Mail {
    /// Opens a message. A line `From …` of an mbox before the first header is passed over.
    ///
    /// # Errors
    /// When it is no message, or beyond a limit.
    pub fn parse(bytes: &[u8]) -> Result<Self, MailError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(MailError::TooLarge);
        }
        let bytes = without_envelope_line(bytes);
        if nesting(bytes) > NESTING_MAX {
            return Err(MailError::TooDeep);
        }
        let message = MessageParser::default().parse(bytes).ok_or(MailError::NotAMessage)?;
        let mail = Self::open(&message, DEPTH_MAX);
        let known = ["from", "to", "subject", "date", "received", "return-path", "message-id"];
        if known.iter().all(|name| mail.header(name).is_none()) {
            return Err(MailError::NotAMessage);
        }
        Ok(mail)
    }

    /// Opens text that is a message, or the headers of one, inside another.
    #[must_use]
    pub fn quoted(text: &str) -> Option<Self> {
        Self::parse(text.trim_start().as_bytes()).ok()
    }

    fn open(message: &Message<'_>, depth: u8) -> Self {
        let root = message.root_part();
        let kind = root.content_type().map(|kind| {
            let subtype = kind.subtype().unwrap_or_default();
            format!("{}/{subtype}", kind.ctype()).to_lowercase()
        });
        let from = message.from().and_then(|from| from.first());
        let mut mail = Self {
            headers: headers(message),
            subject: clipped(message.subject().unwrap_or_default(), HEADER_BYTES_MAX),
            from: from.and_then(|from| from.address()).unwrap_or_default().trim().to_owned(),
            from_name: from.and_then(|from| from.name()).unwrap_or_default().to_owned(),
            sent: message.date().and_then(|date| {
                let (month, day) = (u32::from(date.month), u32::from(date.day));
                NaiveDate::from_ymd_opt(i32::from(date.year), month, day)
            }),
            kind: kind.unwrap_or_else(|| "text/plain".to_owned()),
            ..Self::default()
        };
        let mut html = String::new();
        for part in message.parts.iter().take(PARTS_MAX) {
            mail.take(part, &mut html, depth);
        }
        if mail.text.trim().is_empty() {
            let html = clipped(&html, 4 * TEXT_BYTES_MAX);
            mail.text = clipped(&mail_parser::decoders::html::html_to_text(&html), TEXT_BYTES_MAX);
        }
        if mail.text.trim().is_empty() && mail.status_parts.is_empty() {
            // Broken structure: the body as it stands is better than nothing.
            let body = message.raw_message().get(root.offset_body as usize..).unwrap_or_default();
            let body = body.get(..body.len().min(TEXT_BYTES_MAX)).unwrap_or_default();
            mail.text = clipped(&String::from_utf8_lossy(body), TEXT_BYTES_MAX);
        }
        mail
    }

    fn take(&mut self, part: &mail_parser::MessagePart<'_>, html: &mut String, depth: u8) {
        let is = |kind: &str, subtype: &str| part.is_content_type(kind, subtype);
        let attached = part.content_disposition().is_some_and(|how| how.ctype() == "attachment");
        let status = is("message", "delivery-status") || is("message", "global-delivery-status");
        let headers_only = is("text", "rfc822-headers")
            || is("message", "rfc822-headers")
            || is("message", "global-headers");
        if status || is("message", "feedback-report") {
            let text = clipped(&String::from_utf8_lossy(part.contents()), TEXT_BYTES_MAX);
            let parts = if status { &mut self.status_parts } else { &mut self.feedback_parts };
            parts.push(text);
            return;
        }
        match &part.body {
            PartType::Message(message) => {
                if self.original.is_none() && depth > 0 {
                    self.original = Some(Box::new(Self::open(message, depth - 1)));
                }
            }
            PartType::Text(_) | PartType::Binary(_) if headers_only => {
                let text = String::from_utf8_lossy(part.contents());
                if self.original.is_none() {
                    self.original = Self::quoted(&clipped(&text, TEXT_BYTES_MAX)).map(Box::new);
                }
            }
            PartType::Text(text) if !attached => append(&mut self.text, text),
            PartType::Html(text) if !attached => append(html, text),
            PartType::Multipart(_) => (),
            _ => self.name_file(part),
        }
    }

    fn name_file(&mut self, part: &mail_parser::MessagePart<'_>) {
        if self.files.len() >= FILES_MAX {
            return;
        }
        let kind = part.content_type().map(|kind| {
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_lowercase()
        });
        self.files.push(Attached {
            name: clipped(part.attachment_name().unwrap_or_default(), 200),
            kind: clipped(&kind.unwrap_or_default(), 100),
            bytes: part.contents().len() as u64,
        });
    }

    /// The first header of that name (lower case), unfolded and trimmed, not decoded.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// All headers of that name (lower case).
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// All headers, names in lower case, in order.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }
}

fn headers(message: &Message<'_>) -> Vec<(String, String)> {
    let raw = message.headers_raw().take(HEADERS_MAX);
    raw.map(|(name, value)| {
        let value = clipped(value, HEADER_BYTES_MAX);
        let words: Vec<&str> = value.split_whitespace().collect();
        (name.to_ascii_lowercase(), words.join(" "))
    })
    .collect()
}

fn append(to: &mut String, text: &str) {
    if !to.is_empty() && !to.ends_with('\n') {
        to.push('\n');
    }
    let room = TEXT_BYTES_MAX.saturating_sub(to.len());
    to.push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
}

/// At most `bytes` of a text, cut between characters.
#[must_use]
pub fn clipped(text: &str, bytes: usize) -> String {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default().to_owned()
}

/// `From ann@acme.example Mon Sep  2 …`, as mbox files and some delivery programs put it first.
fn without_envelope_line(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len());
    let bytes = bytes.get(start..).unwrap_or_default();
    let quoted = bytes.strip_prefix(b">").unwrap_or(bytes);
    if !quoted.starts_with(b"From ") {
        return bytes;
    }
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    bytes.get(end..).unwrap_or_default()
}

/// How often the bytes speak of an embedded message.
fn nesting(bytes: &[u8]) -> usize {
    let wanted = b"message/";
    let marks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    marks
        .filter(|(at, _)| {
            let from = (at + 1).saturating_sub(wanted.len());
            bytes.get(from..=*at).is_some_and(|word| word.eq_ignore_ascii_case(wanted))
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_said_to_be_none() {
        for bytes in [b"".as_slice(), b"\n\n", b"hello\n", b"\x00\xff\xfe", b"x: y\n\nz"] {
            assert_eq!(Mail::parse(bytes).unwrap_err(), MailError::NotAMessage, "{bytes:?}");
        }
        let mut nested = b"From: a@b.example\n".to_vec();
        nested.extend(b"Content-Type: message/rfc822\n\n".repeat(100_000));
        assert_eq!(Mail::parse(&nested).unwrap_err(), MailError::TooDeep);
        assert_eq!(
            Mail::parse(&vec![b'x'; MESSAGE_BYTES_MAX + 1]).unwrap_err(),
            MailError::TooLarge
        );
    }

    #[test]
    fn an_mbox_line_is_passed_over_and_words_are_decoded() {
        let mail = Mail::parse(
            b"From ann@acme.example Mon Sep  2 09:00:00 2024\r\nFrom: =?gb18030?B?sK4=?= \
              <ann@acme.example>\r\nSubject: =?utf-8?Q?Pi=C3=A8ces?=\r\nAuto-Submitted:\r\n \
              auto-replied\r\nContent-Type: text/html\r\n\r\n<p>one<br>two</p>",
        )
        .unwrap();
        assert_eq!((mail.from.as_str(), mail.subject.as_str()), ("ann@acme.example", "Pièces"));
        assert_eq!(mail.from_name, "爱");
        assert_eq!(mail.header("auto-submitted"), Some("auto-replied"));
        assert_eq!(mail.text.trim(), "one\ntwo");
    }
}
