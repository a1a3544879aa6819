//! The first sheet of an XLSX workbook, as records.
//!
//! A workbook can only be read whole, so it is bounded before and while it is unpacked: a few
//! kilobytes of zip can claim, or be, gigabytes. The sizes the zip declares are added up first; then
//! every part is unpacked once into nothing, because what is declared may be a lie; then the text
//! taken out of cells is counted, because one shared text may stand in a million cells.

use std::io::{self, Cursor, Read};

use calamine::{DataRef, Reader, Xlsx};
use csv::StringRecord;
use zip::ZipArchive;

use crate::cadence::fault::Unreadable;

/// Most bytes of a workbook, packed, unpacked, and as text: 64 MiB.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most columns looked at.
const COLUMNS_MAX: u32 = 1000;
/// What every zip begins with.
pub const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// The records of a sheet, each with the number of its row; all as wide as the first.
pub type Sheet = Vec<(u64, StringRecord)>;

/// Reads the first sheet of the workbook that `first` is the beginning of and `rest` the rest.
///
/// # Errors
/// [`Unreadable`] when it is no workbook, is too large, or `rest` fails.
pub fn read(first: Vec<u8>, rest: impl Read) -> Result<Sheet, Unreadable> {
    let mut packed = first;
    rest.take(BYTES_MAX + 1).read_to_end(&mut packed)?;
    if packed.len() as u64 > BYTES_MAX {
        return Err(too_large());
    }
    refuse_bombs(&packed)?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(packed)).map_err(broken)?;
    let name = book.sheet_names().into_iter().next();
    let name = name.ok_or_else(|| Unreadable::Workbook("it has no sheet".to_owned()))?;
    records(&mut book, &name)
}

fn refuse_bombs(packed: &[u8]) -> Result<(), Unreadable> {
    let mut zip = ZipArchive::new(Cursor::new(packed)).map_err(broken)?;
    if zip.decompressed_size().is_none_or(|size| size > u128::from(BYTES_MAX)) {
        return Err(too_large());
    }
    let mut left = BYTES_MAX;
    for part in 0..zip.len() {
        let part = zip.by_index(part).map_err(broken)?;
        let unpacked = io::copy(&mut part.take(left + 1), &mut io::sink()).map_err(broken)?;
        left = left.checked_sub(unpacked).ok_or_else(too_large)?;
    }
    Ok(())
}

fn records<R: Read + io::Seek>(book: &mut Xlsx<R>, name: &str) -> Result<Sheet, Unreadable> {
    let mut cells = book.worksheet_cells_reader(name).map_err(broken)?;
    let mut sheet = Sheet::new();
    let mut row: Vec<String> = Vec::new();
    let mut row_no = 0;
    let mut left = BYTES_MAX;
    while let Some(cell) = cells.next_cell().map_err(broken)? {
        let (at, column) = cell.get_position();
        if at != row_no {
            close_row(&mut sheet, row_no, &mut row);
            row_no = at;
        }
        let text = text(cell.get_value());
        if text.trim().is_empty() || column >= COLUMNS_MAX {
            continue;
        }
        // What a cell costs beside its text: its length and place, in every record.
        let blanks = (column as usize).saturating_sub(row.len());
        let cost = (text.len() + 8 * (blanks + 1)) as u64;
        left = left.checked_sub(cost).ok_or_else(too_large)?;
        if row.len() <= column as usize {
            row.resize(column as usize + 1, String::new());
        }
        if let Some(slot) = row.get_mut(column as usize) {
            *slot = text;
        }
    }
    close_row(&mut sheet, row_no, &mut row);
    Ok(sheet)
}

/// Rows shorter than the first were left empty at their end; rows without anything are no rows.
fn close_row(sheet: &mut Sheet, row_no: u32, row: &mut Vec<String>) {
    if !row.is_empty() {
        let width = sheet.first().map_or(0, |(_, header)| header.len());
        row.resize(row.len().max(width), String::new());
        sheet.push((u64::from(row_no) + 1, row.iter().collect()));
        row.clear();
    }
}

fn text(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(truth) => truth.to_string(),
        DataRef::DateTime(at) if at.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = at.to_ymd_hms_milli();
            match (hour, minute, second) {
                (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"),
            }
        }
        DataRef::DateTime(span) => span.as_f64().to_string(),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::Error(_) | DataRef::Empty => String::new(),
    }
}

fn broken(err: impl std::fmt::Display) -> Unreadable {
    Unreadable::Workbook(err.to_string())
}

fn too_large() -> Unreadable {
    Unreadable::WorkbookSize { mib: BYTES_MAX / (1024 * 1024) }
}
