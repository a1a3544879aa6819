//! sled, kept in bounds: the memory we query, never the truth.
//!
//! One tree; every change of the memory is one atomic batch that also carries `applied`, the last
//! journal sequence it holds. What is stored under a name is a blob: compressed when that helps,
//! checksummed, and cut into values below 4 KiB, because larger ones end in blob files that are
//! never synced. sled may panic on damaged files: every call is made behind [`guarded`], and the
//! answer to any trouble is to set the directory aside and rebuild it from the journal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Bytes of payload in one sled value.
const SLICE_MAX: usize = 3_900;
/// Version of everything stored under names; a store with another one is rebuilt.
const FORMAT: u8 = 4;
const APPLIED: &[u8] = b"!applied";
const OWNER: &[u8] = b"!owner";

/// Why the memory cannot be used; the journal can always rebuild it.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    /// sled says so.
    #[error("sled: {0}")]
    Sled(#[from] sled::Error),
    /// sled panicked.
    #[error("sled panicked: {0}")]
    Panicked(String),
    /// What was read is not what was written.
    #[error("sled holds a damaged value under {0}")]
    Damaged(String),
    /// The system gives no thread to write with.
    #[error("no thread to write the memory with: {0}")]
    Thread(std::io::Error),
    /// Written by another version, or for another store.
    #[error("sled holds the memory of another store or version")]
    Foreign,
}

impl PagesError {
    /// Whether what is on disk cannot be used any more; else the disk refused for now.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Sled(error) => !matches!(error, sled::Error::Io(_)),
            Self::Thread(_) => false,
            Self::Panicked(_) | Self::Damaged(_) | Self::Foreign => true,
        }
    }
}

/// An open sled memory.
#[derive(Clone, Debug)]
pub struct Pages {
    db: sled::Db,
}

/// Changes that become visible together.
#[derive(Debug, Default)]
pub struct Changes {
    puts: Vec<(Vec<u8>, Vec<u8>)>,
    cleared: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of payload so far.
    pub bytes: usize,
}

impl Changes {
    /// Puts a blob under a name (not longer than a few bytes).
    pub fn put(&mut self, name: &[u8], payload: &[u8]) {
        let packed = lz4_flex::compress_prepend_size(payload);
        let (flag, body) =
            if packed.len() < payload.len() { (1_u8, packed.as_slice()) } else { (0_u8, payload) };
        let slices = body.len().div_ceil(SLICE_MAX).max(1);
        let count = u16::try_from(slices).unwrap_or(u16::MAX).to_be_bytes();
        self.bytes += body.len();
        for at in 0..slices {
            let slice = body.chunks(SLICE_MAX).nth(at).unwrap_or_default();
            let mut value = Vec::with_capacity(slice.len() + 7);
            value.push(flag);
            value.extend_from_slice(&count);
            let key = slice_key(name, at);
            value.extend_from_slice(&sum(&value, &key, slice).to_be_bytes());
            value.extend_from_slice(slice);
            self.puts.push((key, value));
        }
    }

    /// Takes away everything that was named from `from` on and before `to`; what is put under such a
    /// name with these changes stays.
    pub fn clear(&mut self, from: &[u8], to: &[u8]) {
        self.cleared.push((from.to_vec(), to.to_vec()));
    }
}

fn sum(head: &[u8], key: &[u8], slice: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(head);
    sum.update(key);
    sum.update(slice);
    sum.finalize()
}

fn slice_key(name: &[u8], at: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 2);
    key.extend_from_slice(name);
    key.extend_from_slice(&u16::try_from(at).unwrap_or(u16::MAX).to_be_bytes());
    key
}

impl Pages {
    /// Opens (or makes) the memory of store `owner` in `dir`.
    ///
    /// # Errors
    /// Any [`PagesError`]: set the directory aside and rebuild.
    pub fn open(dir: &Path, owner: [u8; 16], cache_bytes: u64) -> Result<Self, PagesError> {
        remove_unfinished_snapshots(dir);
        let db = guarded(|| {
            sled::Config::new()
                .path(dir)
                .cache_capacity(cache_bytes)
                .flush_every_ms(Some(1_000))
                .open()
        })?;
        let pages = Self { db };
        let mut mark = vec![FORMAT];
        mark.extend_from_slice(&owner);
        match guarded(|| pages.db.get(OWNER))? {
            Some(found) if found != mark.as_slice() => Err(PagesError::Foreign),
            Some(_) => Ok(pages),
            None if !pages.db.is_empty() => Err(PagesError::Foreign),
            None => {
                guarded(|| pages.db.insert(OWNER, mark.clone()))?;
                Ok(pages)
            }
        }
    }

    /// The last journal sequence whose effect is in here; 0 for an empty memory.
    ///
    /// # Errors
    /// When sled cannot read, or the number is damaged.
    pub fn applied(&self) -> Result<u64, PagesError> {
        let Some(value) = guarded(|| self.db.get(APPLIED))? else { return Ok(0) };
        let (number, crc) = value.split_first_chunk::<8>().ok_or_else(|| damaged(APPLIED))?;
        if crc != sum(&[], APPLIED, number).to_be_bytes() {
            return Err(damaged(APPLIED));
        }
        Ok(u64::from_be_bytes(*number))
    }

    /// Makes changes visible, all or none, together with the sequence they reach to.
    ///
    /// # Errors
    /// When sled cannot write (a full disk is sticky until the process ends).
    pub fn write(&self, changes: Changes, applied: u64) -> Result<(), PagesError> {
        let mut batch = sled::Batch::default();
        for (from, to) in changes.cleared {
            let keys =
                guarded(|| self.db.range(from..to).keys().collect::<sled::Result<Vec<_>>>())?;
            keys.into_iter().for_each(|key| batch.remove(key));
        }
        changes.puts.into_iter().for_each(|(key, value)| batch.insert(key, value));
        let number = applied.to_be_bytes();
        let crc = sum(&[], APPLIED, &number).to_be_bytes();
        batch.insert(APPLIED, [number.as_slice(), &crc].concat());
        guarded(|| self.db.apply_batch(batch))
    }

    /// Waits until sled has handed its log to the disk.
    ///
    /// # Errors
    /// When sled cannot write.
    pub fn flush(&self) -> Result<(), PagesError> {
        guarded(|| self.db.flush().map(|_| ()))
    }

    /// The blob under a name.
    ///
    /// # Errors
    /// When sled cannot read, or the value is damaged.
    pub fn get(&self, name: &[u8]) -> Result<Option<Vec<u8>>, PagesError> {
        let Some(first) = guarded(|| self.db.get(slice_key(name, 0)))? else { return Ok(None) };
        let (flag, count, slice) = unwrap_value(&slice_key(name, 0), &first)?;
        let mut body = slice.to_vec();
        for at in 1..usize::from(count) {
            let next = guarded(|| self.db.get(slice_key(name, at)))?;
            let next = next.ok_or_else(|| damaged(name))?;
            body.extend_from_slice(unwrap_value(&slice_key(name, at), &next)?.2);
        }
        unpack(name, flag, body).map(Some)
    }

    /// All blobs whose name begins with `prefix` and has `length` bytes, in order of their names.
    ///
    /// # Errors
    /// From `each`, or when sled cannot read, or a value is damaged.
    pub fn scan<E: From<PagesError>>(
        &self,
        prefix: &[u8],
        length: usize,
        mut each: impl FnMut(&[u8], Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut iter = self.db.scan_prefix(prefix);
        let mut open: Option<Blob> = None;
        while let Some(found) = guarded_next(&mut iter) {
            let (key, value) = found?;
            let Some((name, slice_no)) = key.split_at_checked(length) else { continue };
            let Some(slice_no) = slice_no.first_chunk::<2>().copied().map(u16::from_be_bytes)
            else {
                continue;
            };
            let (flag, count, slice) = unwrap_value(&key, &value)?;
            if slice_no == 0 {
                if let Some(whole) = open.take() {
                    each(&whole.name.clone(), whole.unpack()?)?;
                }
                let name = name.to_vec();
                open = Some(Blob { name, flag, count, slices: 1, body: slice.to_vec() });
            } else if let Some(blob) = open.as_mut().filter(|blob| blob.name == name) {
                // Slices beyond the count are left over from a longer blob of this name.
                if slice_no < blob.count {
                    blob.slices += 1;
                    blob.body.extend_from_slice(slice);
                }
            } else {
                return Err(damaged(name).into());
            }
        }
        if let Some(whole) = open {
            each(&whole.name.clone(), whole.unpack()?)?;
        }
        Ok(())
    }
}

/// A blob on its way out of a scan.
struct Blob {
    name: Vec<u8>,
    flag: u8,
    count: u16,
    slices: u16,
    body: Vec<u8>,
}

impl Blob {
    fn unpack(self) -> Result<Vec<u8>, PagesError> {
        if self.slices != self.count {
            return Err(damaged(&self.name));
        }
        unpack(&self.name, self.flag, self.body)
    }
}

fn unwrap_value<'a>(key: &[u8], value: &'a [u8]) -> Result<(u8, u16, &'a [u8]), PagesError> {
    let head = value.first_chunk::<7>().ok_or_else(|| damaged(key))?;
    let [flag, high, low, a, b, c, d] = *head;
    let slice = value.get(7..).unwrap_or_default();
    if sum(&[flag, high, low], key, slice) != u32::from_be_bytes([a, b, c, d]) {
        return Err(damaged(key));
    }
    Ok((flag, u16::from_be_bytes([high, low]), slice))
}

fn unpack(name: &[u8], flag: u8, body: Vec<u8>) -> Result<Vec<u8>, PagesError> {
    match flag {
        0 => Ok(body),
        _ => lz4_flex::decompress_size_prepended(&body).map_err(|_| damaged(name)),
    }
}

fn damaged(name: &[u8]) -> PagesError {
    PagesError::Damaged(String::from_utf8_lossy(name).escape_default().to_string())
}

/// A kill while sled writes its snapshot leaves `snap.*.generating`, and every later open fails
/// (sled #1527); without the file it replays its log.
fn remove_unfinished_snapshots(dir: &Path) {
    let Ok(files) = std::fs::read_dir(dir) else { return };
    for file in files.flatten() {
        if file.file_name().to_string_lossy().ends_with(".generating") {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// Calls into sled; a panic in there becomes an error.
fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, PagesError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => Ok(result?),
        Err(panic) => Err(PagesError::Panicked(told(&*panic))),
    }
}

fn guarded_next(iter: &mut sled::Iter) -> Option<Result<(sled::IVec, sled::IVec), PagesError>> {
    match catch_unwind(AssertUnwindSafe(|| iter.next())) {
        Ok(found) => found.map(|result| result.map_err(PagesError::from)),
        Err(panic) => Some(Err(PagesError::Panicked(told(&*panic)))),
    }
}

fn told(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that do not compress.
    fn noise(length: usize) -> Vec<u8> {
        let hash = |n: usize| xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes()).to_le_bytes();
        (0..length.div_ceil(8)).flat_map(hash).take(length).collect()
    }

    #[test]
    fn a_blob_that_shrinks_is_read_without_its_old_slices() {
        let dir = tempfile::tempdir().unwrap();
        let pages = Pages::open(dir.path(), [1; 16], 1 << 20).unwrap();
        for (n, length) in (1..).zip([3 * SLICE_MAX, 0, 2 * SLICE_MAX + 1, 10, SLICE_MAX + 1]) {
            let mut changes = Changes::default();
            changes.put(b"r1", &noise(length));
            changes.put(b"r2", &noise(5));
            pages.write(changes, n).unwrap();
            assert_eq!(pages.get(b"r1").unwrap(), Some(noise(length)));
            let mut found = Vec::new();
            let scanned = pages.scan(b"r", 2, |name, bytes| {
                found.push((name.to_vec(), bytes));
                Ok::<(), PagesError>(())
            });
            scanned.unwrap();
            let expected = [(b"r1".to_vec(), noise(length)), (b"r2".to_vec(), noise(5))];
            assert_eq!(found, expected);
            assert_eq!(pages.applied().unwrap(), n);
        }
    }
}
