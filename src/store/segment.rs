//! One segment file of the journal: its header, its frames, and what can be wrong with them.
//!
//! A segment is a header of 40 bytes and frames; a frame is a head of 20 bytes and the records of
//! one commit. Numbers are little endian. `reference/sled.md` §5.4 (7) says why every frame has a
//! sequence and a checksum of its own: a roll-back must be seen, never guessed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A frame's entries in bytes: what a reader holds at once. A larger commit becomes several frames,
/// each durable before the next is written.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// Magic, version u32, store id, first sequence u64, CRC-32 of all that: in every version.
pub(crate) const HEADER: usize = 40;
/// Bytes of entries u32, first sequence u64, count u32, CRC-32 of all that and the entries.
pub(crate) const HEAD: usize = 20;
const MAGIC: &[u8; 8] = b"twjourn\n";
const VERSION: u32 = 1;
const READ_BUFFER_BYTES: usize = 256 << 10;

/// What is wrong with a segment, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The operating system refused.
    #[error("{path}: cannot {doing}: {source}; {}", remedy(.source))]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Bytes are not what was written.
    #[error(
        "{path}: damaged at byte {offset}: expected {expected}; nothing was changed, restore this \
         file from a backup"
    )]
    Damaged {
        /// Which segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What should be there.
        expected: String,
    },
    /// Whole entries are missing, or stand twice.
    #[error(
        "{path}: at byte {offset}: expected entry {expected}, found entry {found}; put the missing \
         segment back or restore from a backup"
    )]
    Gap {
        /// Which segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// The sequence that should be there.
        expected: u64,
        /// The sequence that is.
        found: u64,
    },
    /// A segment of another store.
    #[error(
        "{path}: belongs to store {}, not to {}; move it away",
        data_encoding::HEXLOWER.encode(.found),
        data_encoding::HEXLOWER.encode(.expected)
    )]
    Foreign {
        /// Which segment.
        path: PathBuf,
        /// This store.
        expected: [u8; 16],
        /// That store.
        found: [u8; 16],
    },
    /// A format this version does not know.
    #[error("{path}: format {version} was written by a newer tradewind, use that one")]
    Newer {
        /// Which segment.
        path: PathBuf,
        /// Its format.
        version: u32,
    },
}

/// What to do about a refusal of the operating system.
fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on that disk and start again; nothing that was answered is lost"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "it must be writable by the store's owner"
        }
        // ENFILE and EMFILE have no kind of their own yet.
        _ if matches!(source.raw_os_error(), Some(23 | 24)) => {
            "raise the limit of open files (LimitNOFILE, ulimit -n)"
        }
        _ => "look into the kernel log (dmesg) for the health of that disk",
    }
}

/// Says which file and what was tried.
pub(crate) fn io_error(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> SegmentError {
    move |source| SegmentError::Io { path: path.to_owned(), doing, source }
}

/// Says which entry was found in the place of another.
pub(crate) fn gap(path: &Path, offset: u64, expected: u64, found: u64) -> SegmentError {
    SegmentError::Gap { path: path.to_owned(), offset, expected, found }
}

/// A segment by its name, `seg-<first sequence, 16 hex digits>.twj`.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) first: u64,
}

/// All segments of a directory, in order. Other files are no business of ours.
pub(crate) fn list(dir: &Path) -> Result<Vec<Segment>, SegmentError> {
    let mut segments = Vec::new();
    for file in fs::read_dir(dir).map_err(io_error(dir, "read"))? {
        let path = file.map_err(io_error(dir, "read"))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let hex = name.strip_prefix("seg-").and_then(|rest| rest.strip_suffix(".twj"));
        match hex.map(|hex| (hex.len(), u64::from_str_radix(hex, 16))) {
            Some((16, Ok(first))) => segments.push(Segment { path, first }),
            _ => continue,
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// Makes a segment with its header; when this returns, both file and name are on disk.
pub(crate) fn create(
    dir: &Path,
    store: [u8; 16],
    first: u64,
) -> Result<(PathBuf, File), SegmentError> {
    let path = dir.join(format!("seg-{first:016x}.twj"));
    let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path);
    let mut file = file.map_err(io_error(&path, "make the segment"))?;
    let written = file.write_all(&header(store, first)).and_then(|()| file.sync_all());
    written.map_err(io_error(&path, "write the header"))?;
    sync_dir(dir)?;
    Ok((path, file))
}

/// Makes new and removed names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), SegmentError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error(dir, "sync the directory"))
}

fn header(store: [u8; 16], first: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&store);
    bytes.extend_from_slice(&first.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    bytes: u32,
    /// Sequence of the first entry.
    pub(crate) first: u64,
    /// How many entries.
    pub(crate) count: u32,
    crc: u32,
}

impl Head {
    /// Fills in the first [`HEAD`] bytes of a frame, which were kept free for it.
    pub(crate) fn seal(frame: &mut [u8], first: u64, count: u32) {
        let Some((place, entries)) = frame.split_first_chunk_mut::<HEAD>() else { return };
        let bytes = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let mut head = Self { bytes, first, count, crc: 0 };
        head.crc = head.checksum(entries);
        let (whole, crc) = (head.unchecked(), head.crc.to_le_bytes());
        for (to, from) in place.iter_mut().zip(whole.iter().chain(&crc)) {
            *to = *from;
        }
    }

    /// The head at the front of `bytes`, if it is long enough.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (length, bytes) = bytes.split_first_chunk()?;
        let (first, bytes) = bytes.split_first_chunk()?;
        let (count, bytes) = bytes.split_first_chunk()?;
        Some(Self {
            bytes: u32::from_le_bytes(*length),
            first: u64::from_le_bytes(*first),
            count: u32::from_le_bytes(*count),
            crc: u32::from_le_bytes(*bytes.first_chunk()?),
        })
    }

    /// All of it but the checksum.
    fn unchecked(self) -> Vec<u8> {
        let (bytes, first) = (self.bytes.to_le_bytes(), self.first.to_le_bytes());
        bytes.into_iter().chain(first).chain(self.count.to_le_bytes()).collect()
    }

    fn checksum(self, entries: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.unchecked());
        crc.update(entries);
        crc.finalize()
    }

    /// Whether the head alone can be that of a frame in the `left` bytes of a segment.
    fn fits(self, left: u64) -> bool {
        let bytes = self.bytes as usize;
        self.count > 0 && bytes <= FRAME_BYTES_MAX && (HEAD + bytes) as u64 <= left
    }

    fn end(self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }
}

/// Walks through the frames of one segment, one of them in memory at a time.
#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) path: PathBuf,
    file: BufReader<File>,
    /// As it was when the file was opened: what is appended meanwhile is not seen.
    length: u64,
    /// Where the next frame begins.
    pub(crate) offset: u64,
    /// The store the segment belongs to.
    pub(crate) store: [u8; 16],
    /// The sequence the next frame must begin with.
    pub(crate) next: u64,
    /// The entries of the frame last read.
    pub(crate) entries: Vec<u8>,
}

impl Frames {
    /// Opens a segment that must begin with entry `next` of `store` (`None`: of any).
    pub(crate) fn open(
        segment: &Segment,
        next: u64,
        store: Option<[u8; 16]>,
    ) -> Result<Self, SegmentError> {
        let path = segment.path.clone();
        let file = File::open(&path).map_err(io_error(&path, "open"))?;
        let length = file.metadata().map_err(io_error(&path, "open"))?.len();
        let mut file = BufReader::with_capacity(READ_BUFFER_BYTES, file);
        let damaged = |expected: String| {
            Err(SegmentError::Damaged { path: path.clone(), offset: 0, expected })
        };
        if length < HEADER as u64 {
            return damaged(format!("a header of {HEADER} bytes, the file has {length}"));
        }
        let mut bytes = [0; HEADER];
        file.read_exact(&mut bytes).map_err(io_error(&path, "read"))?;
        let Some((version, found, first)) = read_header(&bytes) else {
            return damaged("a segment header and its checksum".to_owned());
        };
        if version != VERSION {
            return Err(SegmentError::Newer { path, version });
        }
        match store {
            Some(expected) if expected != found => {
                return Err(SegmentError::Foreign { path, expected, found });
            }
            _ => {}
        }
        if first != segment.first {
            return damaged(format!(
                "the header to begin with entry {}, not {first}",
                segment.first
            ));
        }
        if first != next {
            return Err(gap(&path, 0, next, first));
        }
        Ok(Self {
            path,
            file,
            length,
            offset: HEADER as u64,
            store: found,
            next,
            entries: Vec::new(),
        })
    }

    /// Reads and checks the next frame into [`Self::entries`]; `None` at the end of the segment.
    /// Frames that end below `from` are stepped over by their heads, and `entries` is left empty.
    pub(crate) fn step(&mut self, from: u64) -> Result<Option<Head>, SegmentError> {
        self.entries.clear();
        let left = self.left();
        if left == 0 {
            return Ok(None);
        }
        if left < HEAD as u64 {
            return Err(self.damaged(&format!("a frame head of {HEAD} bytes, {left} are left")));
        }
        let mut bytes = [0; HEAD];
        self.file.read_exact(&mut bytes).map_err(io_error(&self.path, "read"))?;
        let Some(head) = Head::read(&bytes).filter(|head| head.fits(left)) else {
            return Err(self.damaged(&format!("a frame in the {left} bytes that are left")));
        };
        if head.first == self.next && head.end() <= from {
            let over = self.file.seek_relative(i64::from(head.bytes));
            over.map_err(io_error(&self.path, "read"))?;
        } else {
            self.entries.resize(head.bytes as usize, 0);
            self.file.read_exact(&mut self.entries).map_err(io_error(&self.path, "read"))?;
            if head.checksum(&self.entries) != head.crc {
                return Err(self.damaged(&format!("a frame with checksum {:08x}", head.crc)));
            }
            if head.first != self.next {
                return Err(gap(&self.path, self.offset, self.next, head.first));
            }
        }
        self.offset += HEAD as u64 + u64::from(head.bytes);
        self.next = head.end();
        Ok(Some(head))
    }

    /// Whether a whole later frame lies behind the place where [`Self::step`] failed: then that
    /// place is damage and no torn tail, since at most one frame is ever unsynced.
    pub(crate) fn goes_on(&mut self) -> Result<bool, SegmentError> {
        let mut rest = vec![0; usize::try_from(self.left()).unwrap_or(usize::MAX)];
        self.file
            .seek(io::SeekFrom::Start(self.offset))
            .and_then(|_| self.file.read_exact(&mut rest))
            .map_err(io_error(&self.path, "read"))?;
        Ok((1..rest.len()).any(|at| {
            let bytes = rest.get(at..).unwrap_or_default();
            let head = Head::read(bytes).filter(|head| head.fits(bytes.len() as u64));
            head.is_some_and(|head| {
                let entries = bytes.get(HEAD..HEAD + head.bytes as usize).unwrap_or_default();
                // A first look at the sequence spares nearly all checksums.
                (self.next + 1..self.next.saturating_add(1 << 32)).contains(&head.first)
                    && head.checksum(entries) == head.crc
            })
        }))
    }

    /// How many bytes follow the last good frame.
    pub(crate) fn left(&self) -> u64 {
        self.length - self.offset
    }

    /// Says that something else should be where the next frame begins.
    pub(crate) fn damaged(&self, expected: &str) -> SegmentError {
        let (path, offset) = (self.path.clone(), self.offset);
        SegmentError::Damaged { path, offset, expected: expected.to_owned() }
    }
}

/// The length of a segment whose header never reached the disk, as a crash leaves it that cut off
/// [`create`]: no frame was ever written to it. `None` for any other segment.
pub(crate) fn headless(segment: &Segment) -> Result<Option<u64>, SegmentError> {
    let read = || -> io::Result<Option<u64>> {
        let mut file = File::open(&segment.path)?;
        let length = file.metadata()?.len();
        if length > HEADER as u64 {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(HEADER);
        file.read_to_end(&mut bytes)?;
        let header = bytes.first_chunk().and_then(read_header);
        Ok(header.is_none().then_some(length))
    };
    read().map_err(io_error(&segment.path, "read"))
}

/// Version, store and first sequence; `None` when the checksum is wrong.
fn read_header(bytes: &[u8; HEADER]) -> Option<(u32, [u8; 16], u64)> {
    let (checked, crc) = bytes.split_last_chunk()?;
    let rest = checked.strip_prefix(MAGIC)?;
    let (version, rest) = rest.split_first_chunk()?;
    let (store, rest) = rest.split_first_chunk()?;
    let first = u64::from_le_bytes(*rest.first_chunk()?);
    let sound = crc32fast::hash(checked) == u32::from_le_bytes(*crc);
    sound.then_some((u32::from_le_bytes(*version), *store, first))
}
