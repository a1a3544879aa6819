//! Recipients by the shape of the lines that name them, and what is said of each.

use crate::inbound::report::{mailbox, statuses};

/// Words of a report that are kept for one recipient (bytes).
pub const WORDS_BYTES_MAX: usize = 8 << 10;

/// What the text says of an address: its block, and every other line that names it.
#[must_use]
pub fn about(address: &str, report: &str) -> String {
    let lower = address.to_lowercase();
    let block = blocks(report, &[])
        .into_iter()
        .find(|(found, _)| found.eq_ignore_ascii_case(address))
        .map(|(_, words)| words);
    let mut words = block.unwrap_or_default();
    let lines: Vec<&str> = report.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        if line.to_lowercase().contains(&lower) && words.len() < WORDS_BYTES_MAX {
            let around = lines.get(at..(at + 3).min(lines.len())).unwrap_or_default();
            words.push('\n');
            words.push_str(&around.join("\n"));
        }
    }
    // What was said to the server stands apart in transcripts (`>>> RCPT To:`).
    for line in report.lines().filter(|line| line.contains(">>> ") || line.contains("<<< ")) {
        if words.len() < WORDS_BYTES_MAX {
            words.push('\n');
            words.push_str(line);
        }
    }
    words
}

/// Finds an address in a line.
type Way = fn(&str) -> Option<String>;

/// Addresses and what is said of each. `known` are believed wherever they stand.
#[must_use]
pub fn blocks(report: &str, known: &[String]) -> Vec<(String, String)> {
    let ways: [(Way, bool); 3] = [(at_start, false), (in_transcript, true), (after_phrase, false)];
    let is_known = |address: &String| {
        known.is_empty() || known.iter().any(|one| one.eq_ignore_ascii_case(address))
    };
    // In transcripts what is said of an address stands before it.
    for (way, before) in ways {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut words = String::new();
        for line in report.lines() {
            match way(line).filter(is_known) {
                Some(address) if before => {
                    let said = std::mem::take(&mut words);
                    found.push((address, format!("{line}\n{said}")));
                }
                Some(address) => found.push((address, line.to_owned())),
                None if before => {
                    words.push_str(line);
                    words.push('\n');
                }
                None => {
                    if let Some((_, words)) = found.last_mut()
                        && words.len() < WORDS_BYTES_MAX
                    {
                        words.push('\n');
                        words.push_str(line);
                    }
                }
            }
        }
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// `<ann@acme.example>:`, `ann@acme.example`, `ann@acme.example... User unknown`.
fn at_start(line: &str) -> Option<String> {
    let line = line.trim_start_matches([' ', '\t', '>', '*', '-', '|', '\u{3000}']).trim_end();
    let (address, rest) = leading(line)?;
    let rest = rest.trim_start();
    let lower = rest.to_lowercase();
    let follows = rest.is_empty()
        || rest.starts_with([':', '(', '[', ',', ';', '<', '-', '='])
        || rest.starts_with("...")
        || [
            "on ", "invalid", "unknown", "user", "mailbox", "was ", "is ", "has ", "could",
            "failed",
        ]
        .iter()
        .any(|word| lower.starts_with(word));
    follows.then_some(address)
}

/// The address a line begins with, in angle brackets or bare.
fn leading(line: &str) -> Option<(String, &str)> {
    if let Some(inner) = line.strip_prefix('<') {
        let (address, rest) = inner.split_once('>')?;
        return Some((mailbox(address)?, rest));
    }
    let mut end =
        line.find(|c: char| c.is_whitespace() || "<>()[],;\"".contains(c)).unwrap_or(line.len());
    let word = line.get(..end)?;
    if let Some(dots) = word.find("...") {
        end = dots;
    }
    let word = line.get(..end)?;
    let bare = word.trim_end_matches([':', '.', '\'', '!', '?']);
    let rest = line.get(bare.len()..)?;
    let address = mailbox(bare)?;
    // An address as the display name of another.
    match rest.trim_start().strip_prefix('<').and_then(|inner| inner.split_once('>')) {
        Some((inner, rest)) if mailbox(inner).is_some() => Some((mailbox(inner)?, rest)),
        _ => Some((address, rest)),
    }
}

/// `550 5.1.1 <ann@acme.example>... User unknown`: what is said of it stands before.
fn in_transcript(line: &str) -> Option<String> {
    let line = line.trim_start_matches([' ', '\t', '>']);
    let (code, mut rest) = line.split_at_checked(3)?;
    let refusal = code.bytes().all(|b| b.is_ascii_digit()) && code.starts_with(['4', '5']);
    if !refusal {
        return None;
    }
    rest = rest.trim_start_matches([' ', '-']);
    if let Some((first, after)) = rest.split_once(' ')
        && statuses(first).next().is_some()
    {
        rest = after;
    }
    let (address, rest) = leading(rest)?;
    (rest.starts_with("...") || rest.starts_with(':')).then_some(address)
}

/// Phrases that come before the address of whoever was not reached, lower case.
const PHRASES: &[&str] = &[
    "your mail to",
    "your message to",
    "your email to",
    "message to",
    "mail to",
    "delivered to",
    "deliver to",
    "delivery to",
    "undeliverable to",
    "sent to",
    "send to",
    "errors:",
    "recipient:",
    "recipients:",
    "userid:",
    "user:",
    "user",
    "address:",
    "addresses:",
    "address",
    "allowed size:",
    "attempts:",
    "delivery failed:",
    "failed:",
    "quota:",
    "rcpt to:",
    "recipient",
    "mailbox:",
    "mailbox",
    "account",
    "to:",
];

/// An address in angle brackets or quotes, or bare, right after such a phrase.
fn after_phrase(line: &str) -> Option<String> {
    let lower = line.to_lowercase();
    if lower.len() != line.len() {
        return None;
    }
    PHRASES.iter().find_map(|phrase| {
        lower.match_indices(phrase).find_map(|(at, found)| {
            let rest = line.get(at + found.len()..)?;
            let rest = rest.trim_start_matches([' ', '\t', ':', '"', '\'', '(', '[']);
            leading(rest).map(|(address, _)| address)
        })
    })
}
