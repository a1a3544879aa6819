//! What is wrong with a configuration, and on which line.

use std::fs;
use std::path::{Path, PathBuf};

use crate::misread;

/// What is wrong with a configuration, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// The file, with line and column where they are known.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// A file's text; `fix` is for one that cannot be read at all.
///
/// # Errors
/// When it cannot be read, or is no UTF-8.
pub fn read(file: &Path, fix: &str) -> Result<String, ConfigError> {
    let wrong = |place, message, fix: &str| ConfigError { place, message, fix: fix.to_owned() };
    let name = file.display().to_string();
    let bytes = fs::read(file)
        .map_err(|error| wrong(name.clone(), format!("cannot be read: {error}"), fix))?;
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = sound.iter().filter(|byte| **byte == b'\n').count() + 1;
        wrong(format!("{name}:{line}"), "this is no UTF-8".to_owned(), "save the file as UTF-8")
    })
}

/// From what was typed to what it means; knows file and text, for its errors.
#[derive(Clone, Copy, Debug)]
pub struct Meaning<'a> {
    /// The configuration file.
    pub file: &'a Path,
    /// What is written there.
    pub text: &'a str,
}

/// Where a typed value stands: the keys that lead to it, and the value itself, if there is one to
/// look for below them.
pub type Spot<'a> = (&'a [&'a str], &'a str);

impl Meaning<'_> {
    /// An error of this file.
    #[must_use]
    pub fn wrong(&self, at: Spot<'_>, message: impl std::fmt::Display, fix: &str) -> ConfigError {
        let file = self.file.display();
        let line = misread::line_of(self.text, at.0, Some(at.1).filter(|value| !value.is_empty()));
        ConfigError {
            place: line.map_or_else(|| file.to_string(), |line| format!("{file}:{line}")),
            message: message.to_string(),
            fix: fix.to_owned(),
        }
    }

    /// A path of the configuration: it starts at the file.
    #[must_use]
    pub fn beside(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }
}
