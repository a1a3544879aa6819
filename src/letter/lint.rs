//! What is wrong with a template before anybody gets it: what receivers refuse or file as spam, and
//! what the law asks for.
//!
//! The lines are those of the bulk-sender rules of Gmail, Yahoo and Microsoft (2024-2026): a visible
//! unsubscribe link, no false `Re:`, headers that fit, no mass of links and pictures.

use crate::book::language;
use crate::letter::speech;
use crate::letter::template::{Template, is_loosely};
use crate::letter::template_file::{Part, Source};

/// RFC 5322 §2.1.1: characters in a line without its CRLF.
const HEADER_BYTES_MAX: usize = 998;
/// Gmail cuts what is longer ("message clipped").
const BODY_BYTES_MAX: usize = 100_000;
const LINKS_MAX: usize = 8;
const IMAGES_MAX: usize = 5;
/// Beginnings that claim an earlier letter, in the languages mail programs write them.
const REPLY_MARKS: &[&str] = &[
    "re", "fw", "fwd", "aw", "wg", "tr", "rv", "sv", "vs", "回复", "回覆", "答复", "转发", "轉寄",
];
/// Words of a postal address in the languages we ship templates for.
const STREETS: &[&str] = &[
    "street",
    "st.",
    "road",
    "rd",
    "avenue",
    "ave",
    "box",
    "lane",
    "rue",
    "route",
    "boulevard",
    "straße",
    "strasse",
    "calle",
    "via",
    "路",
    "街",
    "号",
];

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The template's file.
    pub file: String,
    /// Line in the file, from 1.
    pub line: usize,
    /// Whether it stops us.
    pub level: Level,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing is sent with this template.
    Error,
    /// It may be sent.
    Warning,
}

/// Everything wrong with a template. `columns` are the headers the book knows, `None` when there is
/// no book at hand.
#[must_use]
pub fn check(template: &Template, columns: Option<&[&str]>) -> Vec<Finding> {
    let mut sink = Sink { template, findings: Vec::new() };
    for source in template.parts() {
        match source.part {
            Part::Subject => subject(&mut sink, source),
            Part::Text | Part::Html => body(&mut sink, source),
        }
    }
    spoken_language(&mut sink);
    postal_address(&mut sink);
    variables(&mut sink, columns);
    sink.findings
}

struct Sink<'a> {
    template: &'a Template,
    findings: Vec<Finding>,
}

impl Sink<'_> {
    fn error(&mut self, line: usize, what: impl Into<String>, fix: &str) {
        self.add(Level::Error, line, what.into(), fix);
    }

    fn warn(&mut self, line: usize, what: impl Into<String>, fix: &str) {
        self.add(Level::Warning, line, what.into(), fix);
    }

    fn add(&mut self, level: Level, line: usize, what: String, fix: &str) {
        let file = self.template.file().to_owned();
        self.findings.push(Finding { file, line, level, what, fix: fix.to_owned() });
    }
}

fn subject(sink: &mut Sink<'_>, source: &Source) {
    let line = source.line;
    let text = source.text.trim().to_lowercase();
    if text.is_empty() {
        sink.error(line, "the subject is empty", "write one");
    }
    let mark = text.split([':', '：']).next().unwrap_or_default();
    let mark = mark.split('[').next().unwrap_or_default().trim();
    if text.contains([':', '：']) && REPLY_MARKS.contains(&mark) {
        let what = "the subject claims to answer or forward an earlier letter";
        sink.error(line, what, "take the Re: or Fwd: away: receivers refuse it");
    }
    let name = sink.template.sender_name().unwrap_or_default();
    if source.text.len() > HEADER_BYTES_MAX || name.len() > HEADER_BYTES_MAX {
        sink.error(line, "a header is longer than 998 bytes", "shorten subject and from_name");
    }
}

fn body(sink: &mut Sink<'_>, source: &Source) {
    let Source { part, line, text } = source;
    let (part, line) = (*part, *line);
    let called = if part == Part::Html { "HTML" } else { "text" };
    if !sink.template.variables(part).any(|name| name == "unsubscribe_url") {
        let what = format!("the {called} has no unsubscribe link");
        sink.error(line, what, "put {{ unsubscribe_url }} where everybody sees it");
    }
    if text.len() > BODY_BYTES_MAX {
        let what = format!("the {called} is {} bytes long", text.len());
        sink.warn(line, what, "stay below 100,000: Gmail cuts the rest, unsubscribe link and all");
    }
    let lower = text.to_lowercase();
    let links = match part {
        Part::Html => lower.matches("<a ").count(),
        Part::Subject | Part::Text => {
            lower.matches("http://").count() + lower.matches("https://").count()
        }
    };
    if links > LINKS_MAX {
        sink.warn(
            line,
            format!("the {called} has {links} links"),
            "keep to 8: more looks like spam",
        );
    }
    let images = lower.matches("<img").count();
    if images > IMAGES_MAX {
        let what = format!("the {called} has {images} pictures");
        sink.warn(line, what, "keep to 5: more looks like spam");
    }
    for tag in ["<script", "<form", "<iframe", "javascript:"] {
        if lower.contains(tag) {
            let what = format!("the {called} holds {tag}");
            sink.error(line, what, "take it away: mail programs refuse it");
        }
    }
}

/// The body must be in the language of its audience, where a library can tell (DESIGN §1 I5).
fn spoken_language(sink: &mut Sink<'_>) {
    let template = sink.template;
    let declared = template.audience().language();
    let Some(wanted) = language::code(declared).filter(|_| template.check_language()) else {
        return;
    };
    for source in template.parts().filter(|source| source.part == Part::Text) {
        let found = speech::language(&speech::without_holes(&source.text));
        if let Some(found) = found.filter(|found| *found != wanted) {
            let what = format!(
                "the audience {} reads {declared} ({wanted}), but the text is in another language \
                 ({found})",
                template.audience()
            );
            let fix = "send it to its own audience, or say check_language = false if it is right";
            sink.error(source.line, what, fix);
        }
    }
}

/// Trade mail must say where its sender sits (CAN-SPAM §5(a)(5), EU directive 2000/31 art. 5).
fn postal_address(sink: &mut Sink<'_>) {
    let Some(Source { line: first, text, .. }) =
        sink.template.parts().find(|source| source.part == Part::Text)
    else {
        return;
    };
    let is_address = |line: &str| {
        let line = line.to_lowercase();
        let words = || line.split(|c: char| c.is_whitespace() || c == ',');
        let street = words().any(|word| STREETS.contains(&word))
            || STREETS.iter().any(|word| !word.is_ascii() && line.contains(word));
        let number = words().any(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            || (!line.is_ascii() && line.contains(|c: char| c.is_ascii_digit()));
        number && (street || line.matches([',', '，']).count() >= 2)
    };
    if !text.lines().any(is_address) {
        let last = first + text.trim_end().lines().count().saturating_sub(1);
        let fix = "sign with the company's street, number, town and country on one line";
        sink.warn(last, "no postal address of the sender was found", fix);
    }
}

fn variables(sink: &mut Sink<'_>, columns: Option<&[&str]>) {
    let template = sink.template;
    let mut names: Vec<&str> = template.attributes().collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let known = |header: &&str| *header == name || is_loosely(header, name);
        if columns.is_some_and(|columns| columns.iter().any(known)) {
            continue;
        }
        let line = template.parts().find_map(|source| {
            source.text.lines().position(|line| line.contains(name)).map(|at| source.line + at)
        });
        let what = match columns {
            Some(_) => format!("attribute {name:?} is unknown: no contact has such a column"),
            None => format!("{name:?} is no field of ours: it must be a column of every import"),
        };
        sink.warn(line.unwrap_or(1), what, "correct the name, or give it | default(\"…\")");
    }
}
