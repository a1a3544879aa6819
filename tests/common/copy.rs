//! A copy of a directory: what is planted or broken there leaves the original alone.

use std::fs;
use std::path::Path;

/// Copies files and directories, and nothing else.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(file.file_name());
        match file.file_type().unwrap() {
            kind if kind.is_dir() => copy_dir(&file.path(), &target),
            kind if kind.is_file() => drop(fs::copy(file.path(), target).unwrap()),
            _ => (),
        }
    }
}
