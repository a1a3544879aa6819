//! Files that hold secrets: read only while nobody reads them who must not. `credential:NAME` names
//! one that systemd hands over (`LoadCredential=`).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Mode bits refused on a secret of our own.
pub const OWNERS_ONLY: u32 = 0o077;
/// Mode bits refused on a secret that root hands to a service by its group.
pub const GROUP_MAY_READ: u32 = 0o027;

/// Why a secret is not used. Never says what the file holds.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Others can get at it.
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

/// The file that a configuration names: a path that begins at `base`, or `credential:NAME`; without
/// credentials that path does not exist.
#[must_use]
pub fn locate(named: &Path, base: &Path) -> PathBuf {
    let name = named.to_str().and_then(|named| named.strip_prefix("credential:"));
    let Some(name) = name.filter(|name| !name.contains('/') && *name != "..") else {
        return base.join(named);
    };
    let dir = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    dir.map_or_else(|| base.join(named), |dir| dir.join(name))
}

/// What a file holds whose mode has none of the bits `refused`.
///
/// # Errors
/// When it has one of them, or cannot be read.
pub fn read(path: &Path, refused: u32) -> Result<String, SecretError> {
    let mut file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    if mode & refused != 0 {
        return Err(SecretError::Open { mode, sound: mode & !refused });
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}
