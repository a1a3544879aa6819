//! Text to records: finds where a record of CSV, or a plain line, begins and ends.
//!
//! The usual readers take everything up to the end of the file into one record when a quote is left
//! open. Here a record has a longest length, and one that is not properly quoted costs its first
//! line only: reading goes on with the next.

use std::io::{self, Read};

use csv::StringRecord;

use crate::cadence::decode::Text;
use crate::cadence::fault::RowFault;

/// A stream of records.
pub struct Records<R> {
    text: Text<R>,
    delimiter: Option<u8>,
    max: usize,
    line: u64,
    width: usize,
    record: StringRecord,
}

/// One record: the line it begins on, and its fields.
pub type Numbered<'a> = (u64, Result<&'a StringRecord, RowFault>);

impl<R: Read> Records<R> {
    /// Reads `text` in records of at most `max` bytes: CSV with that delimiter, or, without one,
    /// lines of one field each.
    #[must_use]
    pub fn new(text: Text<R>, delimiter: Option<u8>, max: usize) -> Self {
        Self { text, delimiter, max, line: 1, width: 1, record: StringRecord::new() }
    }

    /// Reads what follows with another delimiter.
    pub fn set_delimiter(&mut self, delimiter: Option<u8>) {
        self.delimiter = delimiter;
    }

    /// Empty records of up to `width` fields are left out from here on.
    pub fn set_width(&mut self, width: usize) {
        self.width = width;
    }

    /// The line that is read next.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The lines decoded so far and not yet read, the last of them perhaps cut; what is no text is
    /// replaced.
    #[must_use]
    pub fn peek(&self) -> String {
        String::from_utf8_lossy(self.text.window()).into_owned()
    }

    /// Reads on until at least one whole line is decoded, the record limit is passed or the input
    /// ends; blank lines before it are skipped.
    ///
    /// # Errors
    /// Those of the input.
    pub fn skip_blank(&mut self) -> io::Result<()> {
        loop {
            let window = self.text.window();
            let content = window.iter().position(|b| !b.is_ascii_whitespace());
            let blank = window.get(..content.unwrap_or(window.len())).unwrap_or_default();
            let whole = blank.iter().rposition(|b| is_end(*b)).map_or(0, |at| at + 1);
            self.eat(whole);
            let window = self.text.window();
            let enough = content.is_some() && window.iter().any(|b| is_end(*b));
            if enough || window.len() > self.max || !self.text.fill()? {
                return Ok(());
            }
        }
    }

    /// The next record that holds anything.
    ///
    /// # Errors
    /// Those of the input.
    pub fn read(&mut self) -> io::Result<Option<Numbered<'_>>> {
        loop {
            let line = self.line;
            let window = self.text.window();
            let fault = match extent(window, self.delimiter) {
                Extent::Whole { length, next } if length > self.max => {
                    self.eat(next);
                    RowFault::TooLong { max: self.max }
                }
                Extent::Whole { length, next } => {
                    let body = window.get(..length).unwrap_or_default();
                    let read = split(body, self.delimiter, &mut self.record);
                    self.eat(next);
                    if read.is_err() {
                        RowFault::Bytes { encoding: self.text.encoding() }
                    } else if self.is_blank() {
                        continue;
                    } else {
                        return Ok(Some((line, Ok(&self.record))));
                    }
                }
                Extent::Stray => {
                    self.skip_line()?;
                    RowFault::Quote
                }
                Extent::More { .. } if window.len() > self.max => {
                    let fault = self.too_long();
                    self.skip_line()?;
                    fault
                }
                Extent::More { quoted } => {
                    if self.text.fill()? {
                        continue;
                    }
                    if self.text.window().is_empty() {
                        return Ok(None);
                    }
                    if !quoted {
                        self.text.end_line();
                        continue;
                    }
                    self.skip_line()?;
                    RowFault::Quote
                }
            };
            return Ok(Some((line, Err(fault))));
        }
    }

    /// Nothing but delimiters, and no more of them than the header has: spreadsheets write such.
    fn is_blank(&self) -> bool {
        self.record.len() <= self.width && self.record.iter().all(|cell| cell.trim().is_empty())
    }

    /// An unclosed quote when more than a line was taken in, else a line without end.
    fn too_long(&self) -> RowFault {
        if self.text.window().iter().any(|b| is_end(*b)) {
            RowFault::Quote
        } else {
            RowFault::TooLong { max: self.max }
        }
    }

    /// Drops everything up to the next line, however long this one is.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            if let Extent::Whole { next, .. } = extent(self.text.window(), None) {
                self.eat(next);
                return Ok(());
            }
            let left = self.text.window();
            // A CR at the very end may be half of CR LF.
            let keep = usize::from(left.last() == Some(&b'\r'));
            self.text.consume(left.len() - keep);
            if !self.text.fill()? {
                self.text.consume(keep);
                return Ok(());
            }
        }
    }

    /// Consumes whole lines and counts them.
    fn eat(&mut self, bytes: usize) {
        let eaten = self.text.window().get(..bytes).unwrap_or_default();
        self.line += line_ends(eaten);
        self.text.consume(bytes);
    }
}

/// Where a record ends.
enum Extent {
    /// After `length` bytes; the next begins at `next`.
    Whole { length: usize, next: usize },
    /// Not in this window.
    More { quoted: bool },
    /// Quoted over several lines, and text follows the closing quote: it opened by mistake.
    Stray,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    QuoteSeen,
}

fn extent(window: &[u8], delimiter: Option<u8>) -> Extent {
    let end = window.iter().position(|b| is_end(*b));
    let line = window.get(..end.unwrap_or(window.len())).unwrap_or_default();
    match delimiter.filter(|_| line.contains(&b'"')) {
        Some(delimiter) => quoted_extent(window, delimiter),
        None => end.map_or(Extent::More { quoted: false }, |at| ended(window, at)),
    }
}

fn quoted_extent(window: &[u8], delimiter: u8) -> Extent {
    let mut state = State::FieldStart;
    let mut lines = false;
    for (at, byte) in window.iter().enumerate() {
        state = match (state, *byte) {
            (State::Quoted, b'"') => State::QuoteSeen,
            (State::Quoted, b) => {
                lines |= is_end(b);
                State::Quoted
            }
            (State::QuoteSeen | State::FieldStart, b'"') => State::Quoted,
            (_, b) if is_end(b) => return ended(window, at),
            (_, b) if b == delimiter => State::FieldStart,
            (State::QuoteSeen, b) if lines && b != b' ' => return Extent::Stray,
            _ => State::Plain,
        };
    }
    Extent::More { quoted: state == State::Quoted }
}

/// The record that ends at the CR, LF or CR LF at `at`.
fn ended(window: &[u8], at: usize) -> Extent {
    match (window.get(at), window.get(at + 1)) {
        (Some(b'\r'), None) => Extent::More { quoted: false },
        (Some(b'\r'), Some(b'\n')) => Extent::Whole { length: at, next: at + 2 },
        _ => Extent::Whole { length: at, next: at + 1 },
    }
}

fn split(
    body: &[u8],
    delimiter: Option<u8>,
    record: &mut StringRecord,
) -> Result<(), std::str::Utf8Error> {
    let text = std::str::from_utf8(body)?;
    record.clear();
    let Some(delimiter) = delimiter else {
        record.push_field(text);
        return Ok(());
    };
    let delimiter = char::from(delimiter);
    if !text.contains('"') {
        text.split(delimiter).for_each(|cell| record.push_field(cell));
        return Ok(());
    }
    let mut rest = Some(text);
    while let Some(text) = rest {
        rest = match text.strip_prefix('"') {
            Some(inner) => quoted_cell(inner, delimiter, record),
            None => match text.split_once(delimiter) {
                Some((cell, after)) => {
                    record.push_field(cell);
                    Some(after)
                }
                None => {
                    record.push_field(text);
                    None
                }
            },
        };
    }
    Ok(())
}

/// Reads a cell whose opening quote is taken off; what follows its delimiter, if there is one.
fn quoted_cell<'a>(inner: &'a str, delimiter: char, record: &mut StringRecord) -> Option<&'a str> {
    let mut cell = String::new();
    let mut rest = inner;
    while let Some((before, after)) = rest.split_once('"') {
        cell.push_str(before);
        rest = after;
        let Some(escaped) = after.strip_prefix('"') else { break };
        cell.push('"');
        rest = escaped;
    }
    let (tail, next) =
        rest.split_once(delimiter).map_or((rest, None), |(tail, next)| (tail, Some(next)));
    cell.push_str(tail);
    record.push_field(&cell);
    next
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Counts LF, CR LF and lone CR.
fn line_ends(text: &[u8]) -> u64 {
    let feeds = text.iter().filter(|b| **b == b'\n').count();
    let lone = match text.contains(&b'\r') {
        true => {
            text.split(|b| *b == b'\r').skip(1).filter(|rest| rest.first() != Some(&b'\n')).count()
        }
        false => 0,
    };
    (feeds + lone) as u64
}
