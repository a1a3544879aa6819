//! The truth on disk: entries in append-only segment files, one frame and one `fdatasync` per group
//! commit.
//!
//! sled alone may lose what it was told to flush (`reference/sled.md` §2b), so nothing is answered
//! before it is here, and everything else can be rebuilt from here. Sequences count entries from 1.
//! Since at most one frame is ever unsynced, a crash can tear only the last one: that is cut off,
//! and said so. Any other damage stops here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::feedback::entry::Entry;
use crate::store::record::{RecordError, decode, encode};
use crate::store::segment::{
    self, FRAME_BYTES_MAX, Frames, HEAD, HEADER, Head, Segment, SegmentError, gap, io_error, list,
    sync_dir,
};

/// A segment is rolled before it grows over this many bytes: small enough to copy, check and
/// compress one at a time, large enough that a hundred million entries stay a few hundred files.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// What is wrong with a journal, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// No segment: an unmounted disk looks like this, so it is never taken for an empty journal.
    #[error("{0}: there is no journal here; is the disk mounted? `init` makes a new store")]
    Missing(PathBuf),
    /// A journal was to be made where one is.
    #[error("{0}: there is a journal already; choose another store directory")]
    Exists(PathBuf),
    /// Damage, gaps, foreign files, newer formats, and refusals of the operating system.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// Somebody knows more as committed than is here.
    #[error(
        "{dir}: the journal ends at entry {last}, but entry {known} is known as committed: the \
         journal is damaged or foreign; restore it, nothing is rebuilt from it"
    )]
    Behind {
        /// The journal.
        dir: PathBuf,
        /// The highest sequence known as committed.
        known: u64,
        /// The journal's last.
        last: u64,
    },
    /// A frame is sound, but a record in it cannot be read.
    #[error("{path}: entry {sequence}, in the frame that ends at byte {end}: {source}")]
    Record {
        /// Which segment.
        path: PathBuf,
        /// Where its frame ends.
        end: u64,
        /// Which entry.
        sequence: u64,
        /// Why.
        source: RecordError,
    },
    /// One entry is larger than a frame may be.
    #[error("{path}: an entry of {bytes} bytes is larger than a frame may be; it was not written")]
    TooLarge {
        /// The segment.
        path: PathBuf,
        /// Its size.
        bytes: usize,
    },
    /// A write failed before: what is on disk is not known until the journal is opened again.
    #[error("{0}: an earlier write failed, nothing more is written; mend the disk and start again")]
    Poisoned(PathBuf),
}

/// What a crash left behind the last whole frame, cut off on opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// In which segment.
    pub segment: PathBuf,
    /// From where.
    pub offset: u64,
    /// How much.
    pub bytes: u64,
}

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What was cut off.
    pub torn: Option<TornTail>,
    /// The last committed sequence; 0 when there is none.
    pub last: u64,
}

/// The journal, open for append. One owner: whoever holds the store's lock.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    store: [u8; 16],
    segment_bytes_max: u64,
    tail: Tail,
    committed: u64,
    pushed: u64,
    /// Frames of the next commit that are full.
    full: Vec<(u64, Vec<u8>)>,
    /// The frame being filled, room for its head kept free, and how many entries it has.
    frame: Vec<u8>,
    count: u32,
    poisoned: bool,
}

/// The segment in use, and its length.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Journal {
    /// Makes an empty journal; when this returns, it is on disk.
    ///
    /// # Errors
    /// [`JournalError::Exists`], or a refusal of the operating system.
    pub fn create(dir: &Path, store: [u8; 16]) -> Result<Self, JournalError> {
        fs::create_dir_all(dir).map_err(io_error(dir, "make the directory"))?;
        if !list(dir)?.is_empty() {
            return Err(JournalError::Exists(dir.to_owned()));
        }
        let (path, file) = segment::create(dir, store, 1)?;
        sync_dir(&dir.join(".."))?;
        Ok(Self::appending(dir, store, Tail { path, file, bytes: HEADER as u64 }, 0))
    }

    /// Opens a journal for append, cutting off a torn tail. `known` is the highest sequence that
    /// anybody knows as committed (0: nobody knows any): up to it nothing is ever cut off.
    ///
    /// All headers and frame heads are checked, and the checksums of the last segment; those of
    /// older segments are checked when they are read.
    ///
    /// # Errors
    /// Anything a [`JournalError`] can say; on an error nothing was changed.
    pub fn open(dir: &Path, known: u64) -> Result<(Self, Opened), JournalError> {
        let mut segments = present(dir)?;
        let headless = match segments.as_slice() {
            [_, .., newest] => segment::headless(newest)?,
            _ => None,
        };
        let headless = headless.and_then(|bytes| Some((segments.pop()?, bytes)));
        let (frames, mut torn) = scan(dir, &segments, headless.is_none())?;
        let last = frames.next - 1;
        if known > last {
            return match torn {
                Some(_) => Err(frames.damaged(&format!("entries up to {known}")).into()),
                None => Err(JournalError::Behind { dir: dir.to_owned(), known, last }),
            };
        }
        if let Some((Segment { path, first }, bytes)) = headless {
            if first != frames.next {
                return Err(gap(&path, 0, frames.next, first).into());
            }
            fs::remove_file(&path).map_err(io_error(&path, "remove"))?;
            torn = Some(TornTail { segment: path, offset: 0, bytes });
        } else if let Some(TornTail { segment, offset, .. }) = &torn {
            let file = OpenOptions::new().write(true).open(segment);
            file.and_then(|file| file.set_len(*offset))
                .map_err(io_error(segment, "cut off a torn tail"))?;
        }
        let (path, bytes, store) = (frames.path, frames.offset, frames.store);
        // What a killed process wrote and did not sync counts from now on: make it durable first.
        let file = OpenOptions::new().append(true).open(&path);
        let file = file.and_then(|file| file.sync_all().map(|()| file));
        let file = file.map_err(io_error(&path, "open for append"))?;
        sync_dir(dir)?;
        let journal = Self::appending(dir, store, Tail { path, file, bytes }, last);
        Ok((journal, Opened { torn, last }))
    }

    fn appending(dir: &Path, store: [u8; 16], tail: Tail, last: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            store,
            segment_bytes_max: SEGMENT_BYTES_MAX,
            tail,
            committed: last,
            pushed: last,
            full: Vec::new(),
            frame: vec![0; HEAD],
            count: 0,
            poisoned: false,
        }
    }

    /// Rolls segments at another size than [`SEGMENT_BYTES_MAX`].
    #[must_use]
    pub fn with_segment_bytes_max(self, segment_bytes_max: u64) -> Self {
        Self { segment_bytes_max, ..self }
    }

    /// The id that every segment carries.
    #[must_use]
    pub fn store(&self) -> [u8; 16] {
        self.store
    }

    /// The last committed sequence; 0 when there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.committed
    }

    /// Takes an entry into the next commit and returns its sequence. Nothing is written yet.
    pub fn push(&mut self, entry: &Entry) -> u64 {
        let mark = self.frame.len();
        encode(entry, &mut self.frame);
        if self.frame.len() - HEAD > FRAME_BYTES_MAX && self.count > 0 {
            let record = self.frame.split_off(mark);
            self.seal();
            self.frame.extend_from_slice(&record);
        }
        self.count += 1;
        self.pushed += 1;
        self.pushed
    }

    /// Writes what was pushed as one frame and syncs it; when this returns, it is on disk. Returns
    /// the last committed sequence.
    ///
    /// # Errors
    /// A refusal of the operating system, or [`JournalError::TooLarge`]; after either, every later
    /// call fails with [`JournalError::Poisoned`].
    pub fn commit(&mut self) -> Result<u64, JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned(self.tail.path.clone()));
        }
        if self.count > 0 {
            self.seal();
        }
        self.poisoned = true;
        for (first, frame) in std::mem::take(&mut self.full) {
            self.write(first, &frame)?;
        }
        self.poisoned = false;
        self.committed = self.pushed;
        Ok(self.committed)
    }

    /// Entries from sequence `from` on, up to the last one committed by now.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn read_from(&self, from: u64) -> Result<Entries, JournalError> {
        Entries::new(&self.dir, from, Some(self.committed))
    }

    /// Finishes the frame being filled and begins another.
    fn seal(&mut self) {
        let mut frame = std::mem::replace(&mut self.frame, vec![0; HEAD]);
        let first = self.pushed + 1 - u64::from(self.count);
        Head::seal(&mut frame, first, self.count);
        self.full.push((first, frame));
        self.count = 0;
    }

    fn write(&mut self, first: u64, frame: &[u8]) -> Result<(), JournalError> {
        let bytes = frame.len() - HEAD;
        if bytes > FRAME_BYTES_MAX {
            return Err(JournalError::TooLarge { path: self.tail.path.clone(), bytes });
        }
        let length = frame.len() as u64;
        let used = self.tail.bytes > HEADER as u64;
        if used && self.tail.bytes + length > self.segment_bytes_max {
            let (path, file) = segment::create(&self.dir, self.store, first)?;
            self.tail = Tail { path, file, bytes: HEADER as u64 };
        }
        let Tail { path, file, bytes } = &mut self.tail;
        file.write_all(frame)
            .and_then(|()| file.sync_data())
            .map_err(io_error(path, "write a commit"))?;
        *bytes += length;
        Ok(())
    }
}

/// A journal that is only read, as it lies there: a torn tail is passed over, not cut off, so that
/// it may be read while its owner appends.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
}

impl Reader {
    /// Finds the journal in `dir`.
    ///
    /// # Errors
    /// [`JournalError::Missing`], a gap when its first segment is gone, or a refusal of the
    /// operating system.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        present(dir).map(|_| Self { dir: dir.to_owned() })
    }

    /// Entries from sequence `from` on.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read_from(&self, from: u64) -> Result<Entries, JournalError> {
        Entries::new(&self.dir, from, None)
    }
}

/// Entries with their sequences, one frame in memory at a time. Ends after the first error.
#[derive(Debug)]
pub struct Entries {
    dir: PathBuf,
    segments: std::vec::IntoIter<Segment>,
    frames: Option<Frames>,
    store: Option<[u8; 16]>,
    from: u64,
    /// The last committed sequence; `None` when nobody knows and the tail may be torn.
    until: Option<u64>,
    /// The sequence of the next entry, where it begins in the frame in memory, and how many are left
    /// there.
    sequence: u64,
    at: usize,
    left: u32,
    ended: bool,
}

impl Entries {
    fn new(dir: &Path, from: u64, until: Option<u64>) -> Result<Self, JournalError> {
        let mut segments = present(dir)?;
        let below = segments.iter().filter(|segment| segment.first <= from).count();
        segments.drain(..below.saturating_sub(1));
        let sequence = segments.first().map_or(1, |segment| segment.first);
        let (dir, segments) = (dir.to_owned(), segments.into_iter());
        let (frames, store, at, left, ended) = (None, None, 0, 0, false);
        Ok(Self { dir, segments, frames, store, from, until, sequence, at, left, ended })
    }

    fn step(&mut self) -> Result<Option<(u64, Entry)>, JournalError> {
        while self.until.is_none_or(|until| self.sequence <= until) {
            let Some(frames) = self.frames.as_ref().filter(|_| self.left > 0) else {
                if self.next_frame()? {
                    continue;
                }
                let (dir, last) = (self.dir.clone(), self.sequence - 1);
                let behind = |known| Err(JournalError::Behind { dir, known, last });
                return self.until.map_or(Ok(None), behind);
            };
            let mut rest = frames.entries.get(self.at..).unwrap_or_default();
            let sequence = self.sequence;
            let entry = decode(&mut rest).map_err(|source| JournalError::Record {
                path: frames.path.clone(),
                end: frames.offset,
                sequence,
                source,
            })?;
            self.at = frames.entries.len() - rest.len();
            self.left -= 1;
            self.sequence += 1;
            if self.left == 0 && !rest.is_empty() {
                return Err(frames.damaged("no more entries than the frame before says").into());
            }
            if sequence >= self.from {
                return Ok(Some((sequence, entry)));
            }
        }
        Ok(None)
    }

    /// Steps to the next frame, of this segment or the next one; false at the end of the journal.
    fn next_frame(&mut self) -> Result<bool, JournalError> {
        let newest = self.segments.as_slice().is_empty();
        let Some(frames) = &mut self.frames else { return self.next_segment() };
        match frames.step(self.from) {
            Ok(Some(head)) => {
                let stepped_over = frames.entries.is_empty();
                self.sequence = if stepped_over { frames.next } else { head.first };
                self.left = if stepped_over { 0 } else { head.count };
                self.at = 0;
                Ok(true)
            }
            Ok(None) => {
                self.frames = None;
                self.next_segment()
            }
            Err(SegmentError::Damaged { .. })
                if newest && self.until.is_none() && !frames.goes_on()? =>
            {
                Ok(false)
            }
            Err(err) => Err(err.into()),
        }
    }

    fn next_segment(&mut self) -> Result<bool, JournalError> {
        let Some(segment) = self.segments.next() else { return Ok(false) };
        let newest = self.segments.as_slice().is_empty() && segment.first > 1;
        if newest && self.until.is_none() && segment::headless(&segment)?.is_some() {
            return Ok(false);
        }
        let frames = Frames::open(&segment, self.sequence, self.store)?;
        self.store = Some(frames.store);
        self.frames = Some(frames);
        Ok(true)
    }
}

impl Iterator for Entries {
    type Item = Result<(u64, Entry), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let step = self.step().transpose();
        self.ended = !matches!(step, Some(Ok(_)));
        step
    }
}

/// The segments of a journal that must be there, from the first one on.
fn present(dir: &Path) -> Result<Vec<Segment>, JournalError> {
    let segments = match list(dir) {
        Err(SegmentError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Vec::new()
        }
        listed => listed?,
    };
    match segments.first() {
        None => Err(JournalError::Missing(dir.to_owned())),
        Some(Segment { first: 1, .. }) => Ok(segments),
        Some(Segment { path, first }) => Err(gap(path, 0, 1, *first).into()),
    }
}

/// Walks through all segments. Leaves the last one at the end of its last good frame, and says what
/// follows if that can be a torn tail: it can be one only where the journal is `open_ended`.
fn scan(
    dir: &Path,
    segments: &[Segment],
    open_ended: bool,
) -> Result<(Frames, Option<TornTail>), JournalError> {
    let (mut next, mut store) = (1, None);
    for (n, segment) in segments.iter().enumerate() {
        let newest = n + 1 == segments.len();
        let mut frames = Frames::open(segment, next, store)?;
        let torn = walk(&mut frames, newest && open_ended)?;
        if newest {
            return Ok((frames, torn));
        }
        (next, store) = (frames.next, Some(frames.store));
    }
    Err(JournalError::Missing(dir.to_owned()))
}

fn walk(frames: &mut Frames, open_ended: bool) -> Result<Option<TornTail>, JournalError> {
    let checked_from = if open_ended { 0 } else { u64::MAX };
    loop {
        match frames.step(checked_from) {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(None),
            Err(SegmentError::Damaged { .. }) if open_ended && !frames.goes_on()? => {
                let segment = frames.path.clone();
                let (offset, bytes) = (frames.offset, frames.left());
                return Ok(Some(TornTail { segment, offset, bytes }));
            }
            Err(err) => return Err(err.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::contact::{Day, Moment};
    use crate::feedback::entry::What;

    #[test]
    fn a_failed_write_is_final() {
        let dir = tempfile::tempdir().unwrap();
        let entry = Entry { at: Moment(0), what: What::DayOpened { day: Day(1) } };
        let mut journal = Journal::create(dir.path(), [1; 16]).unwrap();
        journal.push(&entry);
        assert_eq!(journal.commit().unwrap(), 1);
        let whole = std::mem::replace(
            &mut journal.tail.file,
            OpenOptions::new().write(true).open("/dev/full").unwrap(),
        );
        assert_eq!(journal.push(&entry), 2);
        let told = journal.commit().unwrap_err().to_string();
        assert!(told.contains("seg-0000000000000001.twj: cannot write a commit"), "{told}");
        assert!(told.contains("make room"), "{told}");
        journal.tail.file = whole;
        assert!(matches!(journal.commit(), Err(JournalError::Poisoned(_))));
        assert_eq!(journal.last(), 1);
        assert_eq!(Journal::open(dir.path(), 1).unwrap().1, Opened { torn: None, last: 1 });
    }
}
