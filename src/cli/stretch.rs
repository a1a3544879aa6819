//! Stretches of an import: rows as the desk wants them, so many at a time.
//!
//! They are read on a thread of its own, one ahead of what is being judged.

use std::io;
use std::mem::take;
use std::sync::mpsc::{Receiver, sync_channel};

use crate::book::contact::{Card, Kind};
use crate::cadence::rows::Row;
use crate::control::ImportRow;

/// Rows of one stretch at most.
const STRETCH_ROWS: usize = 4_000;
/// Bytes of one stretch, more or less, at most: far below what the socket takes.
const STRETCH_BYTES: usize = 2 * 1024 * 1024;

/// Reads on a thread of its own, one stretch ahead of what is being judged. It ends with the input,
/// or when nobody wants another stretch.
#[must_use]
pub fn stretches(
    rows: impl Iterator<Item = io::Result<Row>> + Send + 'static,
) -> Receiver<io::Result<Vec<ImportRow>>> {
    let (filled, stretches) = sync_channel(1);
    std::thread::spawn(move || {
        let mut stretch = Stretch::default();
        for row in rows {
            let row = match row {
                Ok(row) => row,
                Err(err) => {
                    // What was read before the input failed is imported first.
                    let _ = filled.send(Ok(stretch.rows)).and_then(|()| filled.send(Err(err)));
                    return;
                }
            };
            if stretch.push(wanted(row)) && filled.send(Ok(take(&mut stretch).rows)).is_err() {
                return;
            }
        }
        if !stretch.rows.is_empty() {
            let _ = filled.send(Ok(stretch.rows));
        }
    });
    stretches
}

/// Rows on their way into one request.
#[derive(Default)]
struct Stretch {
    rows: Vec<ImportRow>,
    bytes: usize,
}

impl Stretch {
    /// Takes one more row; true when it is time to send.
    fn push(&mut self, row: ImportRow) -> bool {
        let pairs = row.attributes.iter().map(|(key, value)| key.len() + value.len());
        let texts = [&row.address, &row.name, &row.company, &row.country, &row.title, &row.source];
        self.bytes += 64 + texts.map(String::len).iter().sum::<usize>() + pairs.sum::<usize>();
        self.rows.push(row);
        self.rows.len() >= STRETCH_ROWS || self.bytes >= STRETCH_BYTES
    }
}

/// A row as the desk wants it.
#[must_use]
pub fn wanted(row: Row) -> ImportRow {
    let line = row.line;
    let cells = match row.cells {
        Ok(cells) => cells,
        Err(fault) => {
            return ImportRow { line, fault: Some(fault.to_string()), ..ImportRow::default() };
        }
    };
    let kind = cells.kind.map(|kind| match kind {
        Kind::Precise => "precise".to_owned(),
        Kind::Ordinary => "ordinary".to_owned(),
    });
    let Card { name, company, country, language, title, source, attributes } = cells.card;
    ImportRow {
        line,
        fault: None,
        address: cells.address,
        kind,
        rank: cells.rank,
        tags: cells.tags,
        name,
        company,
        country,
        language,
        title,
        source,
        attributes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_rows_make_short_stretches() {
        let mut stretch = Stretch::default();
        let long = || ImportRow {
            attributes: vec![("note".to_owned(), "x".repeat(1024 * 1024))],
            ..ImportRow::default()
        };
        assert!(!stretch.push(long()));
        assert!(stretch.push(long()));
    }
}
