//! What can be wrong with a saved search: with the whole input, or with one row of it.
//!
//! An unreadable input stops the import before anything is kept; a faulty row is judged `invalid`
//! and reading goes on. Either says what is wrong and what to do about it.

use std::io;

/// Why no row at all can be read from an input.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not one byte, or only blanks: most often the command before the pipe failed.
    #[error("the input is empty: look whether the command before the pipe failed")]
    Empty,
    /// NULs and control characters: no text, no workbook.
    #[error("the input is binary: save it as CSV (UTF-8), JSON lines or XLSX")]
    Binary,
    /// One JSON array instead of one object per line.
    #[error("the input is one JSON array: write one object per line, as `jq -c '.[]'` does")]
    JsonArray,
    /// The first line holds an address and other columns, so it is no header.
    #[error(
        "line {line} holds an address and {columns} columns, but no names: put a header line above it, as email,name,company"
    )]
    NoHeader {
        /// Where.
        line: u64,
        /// How many columns it has.
        columns: usize,
    },
    /// A header, but no column of addresses.
    #[error(
        "line {line}: no column of addresses among {found}: name one of them email, mail or 邮箱 (电子邮件, 邮件地址, 邮箱地址), or map it with HEADER=email"
    )]
    NoAddressColumn {
        /// Where the header is.
        line: u64,
        /// The columns' names, with commas between.
        found: String,
    },
    /// A header of too many columns.
    #[error("line {line}: {found} columns, at most {max}: is the delimiter right?")]
    Columns {
        /// Where the header is.
        line: u64,
        /// How many it has.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// The header line itself is faulty.
    #[error("line {line}: the header cannot be read: {fault}")]
    Header {
        /// Where it begins.
        line: u64,
        /// What is wrong with it.
        fault: RowFault,
    },
    /// A mapping to a field that does not exist.
    #[error(
        "mapping {header}={field}: there is no field {field:?}: use email, name, first_name, last_name, company, domain, country, language, title, kind, rank, source or tags"
    )]
    MapField {
        /// The column it was to be.
        header: String,
        /// The field asked for.
        field: String,
    },
    /// A mapping of a column that the input does not have.
    #[error("mapping {header}: no such column among {found}: write it as the header does")]
    MapHeader {
        /// The column asked for.
        header: String,
        /// The columns' names, with commas between.
        found: String,
    },
    /// A workbook that cannot be opened or has no sheet.
    #[error("the XLSX cannot be read ({0}): convert it to CSV")]
    Workbook(String),
    /// A workbook larger than we read whole.
    #[error("the XLSX unpacks to more than {mib} MiB: convert it to CSV")]
    WorkbookSize {
        /// The limit.
        mib: u64,
    },
    /// The input failed while its beginning was read.
    #[error("the input cannot be read: {0}")]
    Input(#[from] io::Error),
}

/// Why one row cannot be judged by its address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// Longer than the limit on records.
    #[error("longer than {max} bytes: close the quote or end the line that is missing here")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// Another number of fields than the header has.
    #[error("{found} fields where the header names {expected}: quote cells that hold a delimiter")]
    Width {
        /// Fields of this row.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
    /// A quote opened here is not closed properly.
    #[error("a quote opens here and never closes: close it, or double it (\"\") if it is meant")]
    Quote,
    /// Bytes that are no text in the encoding of the input.
    #[error(
        "bytes that are no {encoding}: save the whole file in one encoding, e.g. with iconv -t UTF-8"
    )]
    Bytes {
        /// The encoding the input was found to have.
        encoding: &'static str,
    },
    /// Not a JSON object.
    #[error("no JSON object ({reason}): write one object per line")]
    Json {
        /// What the parser says, with the column.
        reason: String,
    },
    /// No address in the row.
    #[error("no address: fill the address column, or remove the row")]
    NoAddress,
    /// A cell over the limit.
    #[error("column {column}: {bytes} bytes in one cell, at most {max}: shorten it")]
    Cell {
        /// Which column.
        column: String,
        /// Its size.
        bytes: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// A NUL anywhere, or a line break in a name.
    #[error("column {column}: a line break or NUL inside: remove it")]
    Control {
        /// Which column.
        column: String,
    },
    /// Neither 精准 nor 普通.
    #[error("column {column}: {value:?} is no kind: write 精准 (precise) or 普通 (ordinary)")]
    Kind {
        /// Which column.
        column: String,
        /// What stands there.
        value: String,
    },
    /// No whole number above 0.
    #[error("column {column}: {value:?} is no rank: write a whole number from 1")]
    Rank {
        /// Which column.
        column: String,
        /// What stands there.
        value: String,
    },
}
