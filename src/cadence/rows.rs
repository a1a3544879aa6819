//! The rows of a saved search: CSV, JSON lines, XLSX or bare addresses, read one after another.
//!
//! The format is found by looking, memory stays bounded however large the input is (a workbook
//! excepted, which is bounded by its size), and one bad row never costs the next.

use std::io::{self, Read};

use csv::StringRecord;

use crate::cadence::columns::{Cells, Columns};
use crate::cadence::decode::{Text, read_block};
use crate::cadence::fault::{RowFault, Unreadable};
use crate::cadence::json;
use crate::cadence::records::Records;
use crate::cadence::sheet::{self, Sheet, ZIP_MAGIC};

/// How to read an input where looking at it is not enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// (column, field): what a column means, before its name is looked up.
    pub map: Vec<(String, String)>,
    /// The delimiter, an ASCII character; found by looking when not given.
    pub delimiter: Option<u8>,
    /// Longest record, in bytes.
    pub record_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { map: Vec::new(), delimiter: None, record_bytes_max: 1024 * 1024 }
    }
}

/// One row and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line of the file (the row of the sheet), from 1.
    pub line: u64,
    /// What it says, or what is wrong with it.
    pub cells: Result<Cells, RowFault>,
}

/// The rows of an input. Once it yields an error, which is one of the input itself, it has ended.
pub struct Rows<R> {
    source: Source<R>,
    map: Vec<(String, String)>,
}

enum Source<R> {
    Table(Records<R>, Columns),
    /// With the columns of the last object, and their keys: most lines have the same.
    Objects {
        lines: Records<R>,
        keys: StringRecord,
        columns: Option<Columns>,
    },
    Sheet(std::vec::IntoIter<(u64, StringRecord)>, Columns),
    Ended,
}

impl<R: Read> Rows<R> {
    /// Finds out what `input` is and reads its header.
    ///
    /// # Errors
    /// [`Unreadable`] when it holds no rows that can be read.
    pub fn open(mut input: R, options: &Options) -> Result<Self, Unreadable> {
        Columns::check(&options.map)?;
        let map = options.map.clone();
        let mut first = Vec::new();
        read_block(&mut input, &mut first)?;
        if first.starts_with(ZIP_MAGIC) {
            let source = workbook(sheet::read(first, input)?, &map)?;
            return Ok(Self { source, map });
        }
        let text = Text::new(&first, input).ok_or(Unreadable::Binary)?;
        let mut lines = Records::new(text, None, options.record_bytes_max);
        lines.skip_blank()?;
        let begin = lines.peek();
        let source = match begin.trim_start().chars().next() {
            None => return Err(Unreadable::Empty),
            Some('[') => return Err(Unreadable::JsonArray),
            Some('{') => Source::Objects { lines, keys: StringRecord::new(), columns: None },
            Some(_) => table(lines, &begin, options)?,
        };
        Ok(Self { source, map })
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match &mut self.source {
            Source::Table(records, columns) => records.read().map(|record| {
                let (line, record) = record?;
                Some(Row { line, cells: record.and_then(|record| columns.cells(record)) })
            }),
            Source::Objects { lines, keys, columns } => lines.read().map(|record| {
                let (line, record) = record?;
                let text = |record: &StringRecord| record.get(0).unwrap_or_default().to_owned();
                let cells = record.map(text).and_then(|t| object(&t, keys, columns, &self.map));
                Some(Row { line, cells })
            }),
            Source::Sheet(rows, columns) => {
                Ok(rows.next().map(|(line, row)| Row { line, cells: columns.cells(&row) }))
            }
            Source::Ended => Ok(None),
        };
        if row.is_err() {
            self.source = Source::Ended;
        }
        row.transpose()
    }
}

fn object(
    text: &str,
    keys: &mut StringRecord,
    columns: &mut Option<Columns>,
    map: &[(String, String)],
) -> Result<Cells, RowFault> {
    let (mut found, mut values) = (StringRecord::new(), StringRecord::new());
    json::object(text, &mut found, &mut values)?;
    if let Some(columns) = columns.as_ref().filter(|_| found == *keys) {
        return columns.cells(&values);
    }
    let new = Columns::of_keys(&found, map)?;
    let cells = new.cells(&values);
    *keys = found;
    *columns = Some(new);
    cells
}

fn workbook<R>(sheet: Sheet, map: &[(String, String)]) -> Result<Source<R>, Unreadable> {
    let bare = sheet.iter().all(|(_, row)| row.len() == 1)
        && sheet.first().is_some_and(|(_, row)| row.iter().any(|cell| cell.contains('@')));
    let mut rows = sheet.into_iter();
    if bare {
        return Ok(Source::Sheet(rows, Columns::bare()));
    }
    let (line, header) = rows.next().ok_or(Unreadable::Empty)?;
    Ok(Source::Sheet(rows, Columns::of(line, &header, map)?))
}

/// CSV or bare addresses, by the first line.
fn table<R: Read>(
    mut records: Records<R>,
    begin: &str,
    options: &Options,
) -> Result<Source<R>, Unreadable> {
    let mut lines = begin.trim_start().split(['\n', '\r']);
    let head = lines.next().unwrap_or_default();
    let asked = options.delimiter.is_some() || !options.map.is_empty();
    let delimiter = options.delimiter.or_else(|| delimiter(head));
    if !asked && head.contains('@') {
        let cells = head.trim_end_matches([',', ';', '\t', ' ']);
        let columns = delimiter.map_or(1, |d| cells.split(char::from(d)).count());
        return match columns {
            2.. if !head.contains('<') => {
                Err(Unreadable::NoHeader { line: records.line(), columns })
            }
            _ => Ok(Source::Table(records, Columns::bare())),
        };
    }
    let single = !asked && delimiter.is_none() && !Columns::names_addresses(head.trim_matches('"'));
    if single && lines.any(|line| line.contains('@')) {
        return Ok(Source::Table(records, Columns::bare()));
    }
    records.set_delimiter(Some(delimiter.unwrap_or(b',')));
    let (line, header) = records.read()?.ok_or(Unreadable::Empty)?;
    let header = header.map_err(|fault| Unreadable::Header { line, fault })?;
    let width = header.len();
    let columns = Columns::of(line, header, &options.map)?;
    records.set_width(width);
    Ok(Source::Table(records, columns))
}

/// The delimiter that stands most often outside quotes; `None` if none of them does.
fn delimiter(head: &str) -> Option<u8> {
    // Every other part lies between quotes.
    let plain: String = head.split('"').step_by(2).collect();
    let count = |d: u8| plain.bytes().filter(|b| *b == d).count();
    [b'\t', b';', b','].into_iter().max_by_key(|d| count(*d)).filter(|d| count(*d) > 0)
}
