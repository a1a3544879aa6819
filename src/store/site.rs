//! The directory of a store: whose it is, who holds it, and what can be wrong with it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::feedback::entry::{Entry, What};
use crate::store::journal::{JournalError, Reader};
use crate::store::pages::PagesError;
use crate::store::segment::{HEADER, SegmentError};

/// The first line of the identity file.
const IDENTITY: &str = "tradewind store 1";
const IDENTITY_FILE: &str = "store-id";
/// Beside the memory when it is to be rebuilt.
const CONDEMNED: &str = "sled.condemned";

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("no store at {0}")]
    Missing(PathBuf),
    /// `init` on something that is there already.
    #[error("{0} holds a store already")]
    Exists(PathBuf),
    /// The identity file says something else.
    #[error("{path}: {why}")]
    Foreign {
        /// The identity file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// `init` was killed before the store was made.
    #[error("{0}: `init` was cut off before this store was made; nothing was kept in it yet")]
    Unfinished(PathBuf),
    /// Something failed before, and what is in memory is not what is on disk.
    #[error("{dir}: nothing more is written after a failure: {why}")]
    Failed {
        /// The store.
        dir: PathBuf,
        /// What failed.
        why: String,
    },
    /// Another process holds it.
    #[error("the store {path} is in use by process {holder}")]
    Locked {
        /// The store.
        path: PathBuf,
        /// The holder's process id, as it wrote it down.
        holder: String,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The memory, after it was rebuilt once and failed again.
    #[error("{0}")]
    Pages(#[from] PagesError),
    /// A file.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl StoreError {
    /// The exit code, after sysexits(3).
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Missing(_) | Self::Unfinished(_) | Self::Foreign { .. } => 78,
            Self::Journal(error) if is_refusal(error) => 74,
            Self::Journal(_) => 78,
            Self::Exists(_) => 73,
            Self::Locked { .. } => 75,
            Self::Pages(_) | Self::Failed { .. } | Self::Io { .. } => 74,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::Missing(path) => format!(
                "check that its disk is mounted; only if this is a first start, make one with \
                 `tradewind init --store {}`",
                path.display()
            ),
            Self::Unfinished(path) => {
                format!("run `tradewind init --store {}` once more", path.display())
            }
            Self::Exists(_) => "use it as it is, or name another directory".to_owned(),
            Self::Foreign { .. } => {
                "name the right directory, or use the tradewind version that wrote it".to_owned()
            }
            Self::Locked { .. } => {
                "wait for that process, or ask the daemon over its control socket".to_owned()
            }
            Self::Journal(error) if is_refusal(error) => {
                "make room on the disk, or mend it, and start again: what was answered is kept"
                    .to_owned()
            }
            Self::Journal(_) => {
                "do not delete anything: restore the journal from its backup or mirror".to_owned()
            }
            Self::Pages(error) if error.is_damage() => {
                "start again: it is rebuilt from the journal".to_owned()
            }
            Self::Pages(_) => "check disk space and permissions, then start again".to_owned(),
            Self::Failed { .. } => "mend what failed, and start again".to_owned(),
            Self::Io { .. } => "check permissions, free space and the disk itself".to_owned(),
        }
    }
}

/// Whether the operating system refused, and what is on disk may be in order.
fn is_refusal(error: &JournalError) -> bool {
    matches!(error, JournalError::Segment(SegmentError::Io { .. }) | JournalError::Poisoned(_))
}

/// Writes the identity of a new store, whole or not at all; when this returns, it is on disk.
///
/// # Errors
/// When the disk refuses.
pub fn write_identity(dir: &Path, id: [u8; 16]) -> Result<(), StoreError> {
    let path = dir.join(IDENTITY_FILE);
    let text = format!("{IDENTITY}\n{}\n", data_encoding::HEXLOWER.encode(&id));
    let write = || -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(dir)?.sync_all()?;
        File::open(dir.join(".."))?.sync_all()
    };
    write().map_err(|error| at(&path, error))
}

/// Makes the directory, for its owner only: it will hold who is written to. One that is there
/// already stays as open as it is.
///
/// # Errors
/// When the disk refuses.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        made => made,
    }
}

/// Clears the beginnings of a store out of the way, as a killed `init` leaves them.
///
/// # Errors
/// When there is a store, or anything a store may have left: that is never cleared away.
pub fn clear_beginnings(dir: &Path) -> Result<(), StoreError> {
    if dir.join(IDENTITY_FILE).exists() {
        return Err(StoreError::Exists(dir.to_owned()));
    }
    if dir.join("sled").exists() || !is_beginning(&dir.join("journal")) {
        return Err(bereft(dir));
    }
    let journal = dir.join("journal");
    match fs::remove_dir_all(&journal) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&journal, error)),
        _ => Ok(()),
    }
}

/// A store that lost its identity.
fn bereft(dir: &Path) -> StoreError {
    let why = "is missing, but there are the journal or the memory of a store";
    StoreError::Foreign { path: dir.join(IDENTITY_FILE), why: why.to_owned() }
}

/// Whether a journal holds nothing, or only that its store was made.
fn is_beginning(journal: &Path) -> bool {
    let entries = Reader::open(journal).and_then(|reader| reader.read_from(1));
    let mut entries = match entries {
        Err(JournalError::Missing(_)) => return true,
        Err(_) => return false,
        Ok(entries) => entries,
    };
    match entries.next() {
        None => true,
        Some(Ok((_, Entry { what: What::StoreCreated { .. }, .. }))) => entries.next().is_none(),
        Some(Ok(_)) => false,
        // Not even its header was written whole.
        Some(Err(_)) => bytes_in(journal).is_ok_and(|bytes| bytes <= HEADER as u64),
    }
}

fn bytes_in(dir: &Path) -> io::Result<u64> {
    fs::read_dir(dir)?.map(|file| Ok(file?.metadata()?.len())).sum()
}

/// Remembers that the memory is damaged: the next start rebuilds it.
pub fn condemn(dir: &Path, why: &PagesError) {
    // Whoever comes next finds the damage by itself if this cannot be written.
    let _ = fs::write(dir.join(CONDEMNED), why.to_string());
}

/// Why the memory is to be rebuilt, when it was found damaged.
#[must_use]
pub fn condemned(dir: &Path) -> Option<String> {
    fs::read(dir.join(CONDEMNED)).ok().map(|why| String::from_utf8_lossy(&why).into_owned())
}

/// Puts the memory aside, to be rebuilt; an older one that was put aside goes.
///
/// # Errors
/// When the disk refuses.
pub fn set_aside(dir: &Path) -> Result<(), StoreError> {
    let mark = dir.join(CONDEMNED);
    let sled = dir.join("sled");
    let aside = dir.join("sled.damaged");
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(|error| at(&aside, error))?;
    }
    if sled.exists() {
        fs::rename(&sled, &aside).map_err(|error| at(&sled, error))?;
    }
    match fs::remove_file(&mark) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&mark, error)),
        _ => Ok(()),
    }
}

/// The id of the store in a directory.
///
/// # Errors
/// When there is none, or it was written by another version.
pub fn identity(dir: &Path) -> Result<[u8; 16], StoreError> {
    let path = dir.join(IDENTITY_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(match is_beginning(&dir.join("journal")) {
                _ if dir.join("sled").exists() => bereft(dir),
                false => bereft(dir),
                true if dir.join("journal").exists() => StoreError::Unfinished(dir.to_owned()),
                true => StoreError::Missing(dir.to_owned()),
            });
        }
        Err(error) => return Err(at(&path, error)),
    };
    let foreign = |why: &str| StoreError::Foreign { path: path.clone(), why: why.to_owned() };
    let (head, id) = text.trim_end().split_once('\n').ok_or_else(|| foreign("not two lines"))?;
    if head != IDENTITY {
        return Err(foreign(&format!("says {head:?}, this version writes {IDENTITY:?}")));
    }
    let id = data_encoding::HEXLOWER.decode(id.as_bytes()).ok();
    id.and_then(|id| <[u8; 16]>::try_from(id).ok()).ok_or_else(|| foreign("holds no store id"))
}

/// Takes the store for this process alone, for as long as the file lives.
///
/// # Errors
/// When another process holds it: names it.
pub fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let mut options = File::options();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| at(&path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
            let holder = if holder.is_empty() { "(not told yet)".to_owned() } else { holder };
            return Err(StoreError::Locked { path: dir.to_owned(), holder });
        }
        Err(fs::TryLockError::Error(error)) => return Err(at(&path, error)),
    }
    file.set_len(0).map_err(|error| at(&path, error))?;
    writeln!(file, "{}", std::process::id()).map_err(|error| at(&path, error))?;
    Ok(file)
}

/// An error of the system, with its file.
#[must_use]
pub fn at(path: &Path, error: io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), error }
}
