//! Letters as files: the transport that is the default, so that nothing leaves by accident.
//!
//! A Maildir is `tmp`, `new` and `cur`. A letter is written to `tmp`; linking it into `new` is its
//! final dot. The name comes from the letter alone, so no crash can make a second file of it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::feedback::verdict::{Class, Verdict};
use crate::net::smtp::{ClaimRefused, Outcome, Sent};

/// A Maildir that exists.
#[derive(Clone, Debug)]
pub struct Maildir {
    root: Arc<Path>,
}

impl Maildir {
    /// Makes the directories where they are missing.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn open(root: &Path) -> io::Result<Self> {
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(root.join(part))?;
        }
        Ok(Self { root: Arc::from(root) })
    }

    /// Delivers one message as `new/NAME`, on disk when it returns. `claim` is awaited before it
    /// appears there. A file of that name that is there already is the same letter: accepted.
    pub async fn deliver<F>(&self, name: &str, message: Vec<u8>, claim: F) -> Sent
    where
        F: Future<Output = Result<(), ClaimRefused>>,
    {
        let (tmp, new) = (self.place("tmp", name), self.place("new", name));
        let written = spawn_blocking({
            let tmp = tmp.clone();
            move || write(&tmp, &message)
        });
        let (written, claimed) = tokio::join!(written, claim);
        let outcome = match (written, claimed) {
            (_, Err(ClaimRefused(reason))) => {
                // Left behind it would only be overwritten by the next attempt.
                let _ = spawn_blocking(move || fs::remove_file(tmp)).await;
                Outcome::Withheld(reason)
            }
            (Ok(Ok(())), Ok(())) => {
                Outcome::Verdict(match spawn_blocking(move || link(&tmp, &new)).await {
                    Ok(Ok(reply)) => Verdict::Accepted { reply },
                    Ok(Err(error)) => deferred(&error),
                    Err(error) => Verdict::Unknown { why: error.to_string() },
                })
            }
            (Ok(Err(error)), Ok(())) => Outcome::Verdict(deferred(&error)),
            (Err(error), Ok(())) => Outcome::Verdict(deferred(&io::Error::other(error))),
        };
        Sent { outcome, claimed: true }
    }

    fn place(&self, part: &str, name: &str) -> PathBuf {
        self.root.join(part).join(name)
    }
}

fn write(tmp: &Path, message: &[u8]) -> io::Result<()> {
    let mut file = File::create(tmp)?;
    file.write_all(message)?;
    file.sync_all()
}

/// The dot: unlike a rename, a link never replaces what is there.
fn link(tmp: &Path, new: &Path) -> io::Result<String> {
    let name = new.file_name().unwrap_or_default().display();
    let reply = match fs::hard_link(tmp, new) {
        Ok(()) => format!("new/{name}"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            format!("new/{name} was there already")
        }
        Err(error) => return Err(error),
    };
    if let Some(dir) = new.parent() {
        File::open(dir)?.sync_all()?;
    }
    fs::remove_file(tmp)?;
    Ok(reply)
}

fn deferred(error: &io::Error) -> Verdict {
    Verdict::Deferred { class: Class::Other, reply: format!("maildir: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(root: &Path, part: &str) -> Vec<String> {
        let found = fs::read_dir(root.join(part)).unwrap();
        found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_letter_is_one_file_however_often_it_is_delivered() {
        let root = tempfile::tempdir().unwrap();
        let maildir = Maildir::open(root.path()).unwrap();
        for reply in ["new/a.1", "new/a.1 was there already"] {
            let sent = maildir.deliver("a.1", b"Hello\r\n".to_vec(), async { Ok(()) }).await;
            let verdict = Verdict::Accepted { reply: reply.to_owned() };
            assert_eq!(sent, Sent { outcome: Outcome::Verdict(verdict), claimed: true });
        }
        assert_eq!(names(root.path(), "new"), ["a.1"]);
        assert_eq!(fs::read(root.path().join("new/a.1")).unwrap(), b"Hello\r\n");
        assert!(names(root.path(), "tmp").is_empty());
    }

    #[tokio::test]
    async fn without_its_claim_a_letter_does_not_appear() {
        let root = tempfile::tempdir().unwrap();
        let maildir = Maildir::open(root.path()).unwrap();
        let refused = async {
            assert!(names(root.path(), "new").is_empty(), "there before its claim");
            Err(ClaimRefused("suppressed".to_owned()))
        };
        let sent = maildir.deliver("a.1", b"Hello\r\n".to_vec(), refused).await;
        assert_eq!(sent.outcome, Outcome::Withheld("suppressed".to_owned()));
        assert!(names(root.path(), "new").is_empty() && names(root.path(), "tmp").is_empty());
    }

    #[tokio::test]
    async fn a_directory_that_went_away_defers() {
        let root = tempfile::tempdir().unwrap();
        let maildir = Maildir::open(root.path()).unwrap();
        fs::remove_dir(root.path().join("tmp")).unwrap();
        let sent = maildir.deliver("a.1", Vec::new(), async { Ok(()) }).await;
        assert!(matches!(sent.outcome, Outcome::Verdict(Verdict::Deferred { .. })), "{sent:?}");
    }
}
