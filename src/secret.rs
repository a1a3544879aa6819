//! Secrets: files that the daemon may read, and nobody else; or credentials that systemd hands over
//! (`LoadCredential=`), named `credential:NAME`.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Why a secret is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is not there, or not readable.
    #[error("{path}: {error}", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Others may read or write it.
    #[error("{path} is open to others: its mode is {mode:03o}", path = path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// No service manager handed over credentials, or this is no name of one.
    #[error("no credential {0:?} was handed over by systemd")]
    NoCredential(String),
}

impl SecretError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "let the daemon, and nobody else, read it",
            Self::Open { .. } => "chmod 600 it, and give it to the daemon's user",
            Self::NoCredential(_) => "add LoadCredential=NAME:FILE to the unit, or name a file",
        }
    }
}

/// Reads a secret: `credential:NAME`, or a path that begins at `base`.
///
/// # Errors
/// When it is not there, or not secret.
pub fn read(named: &Path, base: &Path) -> Result<String, SecretError> {
    const OTHERS: u32 = 0o077;
    // With an access list, which is how systemd grants a credential, the group's bits are its mask.
    const OTHERS_BEYOND_THE_LIST: u32 = 0o037;
    let credential = named.to_str().and_then(|named| named.strip_prefix("credential:"));
    let (path, forbidden) = match credential {
        Some(name) => (credential_file(name)?, OTHERS_BEYOND_THE_LIST),
        None => (base.join(named), OTHERS),
    };
    let unreadable = |error| SecretError::Unreadable { path: path.clone(), error };
    let mut file = File::open(&path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & forbidden != 0 {
        return Err(SecretError::Open { path, mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

fn credential_file(name: &str) -> Result<PathBuf, SecretError> {
    let dir = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let plain = !name.is_empty() && !name.contains('/') && name != "..";
    dir.filter(|_| plain)
        .map(|dir| dir.join(name))
        .ok_or_else(|| SecretError::NoCredential(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn only_what_is_secret_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "hush").unwrap();
        for (mode, good) in
            [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let read = read(Path::new("key"), dir.path());
            assert_eq!(read.is_ok(), good, "{mode:o}: {read:?}");
        }
    }

    #[test]
    fn a_name_of_a_credential_is_no_path() {
        for name in ["credential:", "credential:../key", "credential:a/b"] {
            let refused = read(Path::new(name), Path::new("/"));
            assert!(matches!(refused, Err(SecretError::NoCredential(_))), "{name}");
        }
    }
}
