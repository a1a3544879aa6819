//! The directory of a store: whose it is, who holds it, and what can be wrong with it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::store::journal::JournalError;
use crate::store::pages::PagesError;

/// The first line of the identity file.
const IDENTITY: &str = "tradewind store 1";
const IDENTITY_FILE: &str = "store-id";

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
            Self::Missing(_) | Self::Foreign { .. } | Self::Journal(_) => 78,
            Self::Exists(_) => 73,
            Self::Locked { .. } => 75,
            Self::Pages(_) | Self::Io { .. } => 74,
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
            Self::Exists(_) => "use it as it is, or name another directory".to_owned(),
            Self::Foreign { .. } => {
                "name the right directory, or use the tradewind version that wrote it".to_owned()
            }
            Self::Locked { .. } => {
                "wait for that process, or ask the daemon over its control socket".to_owned()
            }
            Self::Journal(_) => {
                "do not delete anything: restore the journal from its backup or mirror".to_owned()
            }
            Self::Pages(_) => "check disk space and permissions, then start again".to_owned(),
            Self::Io { .. } => "check permissions, free space and the disk itself".to_owned(),
        }
    }
}

/// Writes the identity of a new store; when this returns, it is on disk.
///
/// # Errors
/// When there is one already, or the disk refuses.
pub fn write_identity(dir: &Path, id: [u8; 16]) -> Result<(), StoreError> {
    let path = dir.join(IDENTITY_FILE);
    let text = format!("{IDENTITY}\n{}\n", data_encoding::HEXLOWER.encode(&id));
    let write = || -> io::Result<()> {
        let mut file = File::create_new(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        File::open(dir)?.sync_all()
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

/// A file that only those who must may read.
///
/// # Errors
/// When it cannot be read, or its mode has one of the bits in `refused`.
pub fn read_secret(path: &Path, refused: u32) -> Result<String, SecretError> {
    let mut file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    if mode & refused != 0 {
        return Err(SecretError::Open { mode, sound: mode & !refused });
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Why a secret is not used. Never says what the file holds.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Others than its owner can get at it.
    #[error("others may read or write this secret (mode {mode:04o})")]
    Open {
        /// Its mode.
        mode: u32,
        /// The mode without what is refused.
        sound: u32,
    },
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl SecretError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self, path: &Path) -> String {
        match self {
            Self::Open { sound, .. } => format!(
                "chmod {sound:04o} {}; if strangers have accounts here, change the secret too",
                path.display()
            ),
            Self::Io(_) => "let the daemon's user, and nobody else, read it".to_owned(),
        }
    }
}

/// Whether the directory holds a store, or the beginnings of one.
#[must_use]
pub fn is_taken(dir: &Path) -> bool {
    dir.join(IDENTITY_FILE).exists() || dir.join("journal").exists()
}

/// Puts the memory aside, to be rebuilt; an older one that was put aside goes.
///
/// # Errors
/// When the disk refuses.
pub fn set_aside(dir: &Path) -> Result<(), StoreError> {
    let sled = dir.join("sled");
    let aside = dir.join("sled.damaged");
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(|error| at(&aside, error))?;
    }
    if sled.exists() {
        fs::rename(&sled, &aside).map_err(|error| at(&sled, error))?;
    }
    Ok(())
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
            return Err(StoreError::Missing(dir.to_owned()));
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
