//! The watched Maildir: what a mail system puts into `new` is taken in, then moved to `cur`.
//!
//! The move comes after the answer, and the answer after the entries are durable: a crash between
//! the two has the message read again, and the store knows it.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::BASE64;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::control::{Answer, Request, Taking};
use crate::socket::{Ask, Call, Peer};

/// How often the directory is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// So much of a message is read: what lies beyond are attachments (bytes).
const READ_BYTES_MAX: u64 = 10 << 20;
/// Messages taken in one look; the next look takes more.
const MESSAGES_MAX: usize = 500;

/// Begins to watch, if there is anything to.
pub fn start(dir: Option<&Path>, calls: &mpsc::Sender<Call>, quit: &CancellationToken) {
    if let Some(dir) = dir {
        tokio::spawn(watch(dir.to_owned(), calls.clone(), quit.clone()));
    }
}

/// Watches until it is told to quit.
async fn watch(dir: PathBuf, calls: mpsc::Sender<Call>, quit: CancellationToken) {
    let mut told = false;
    loop {
        match look(&dir).await {
            Ok(found) => {
                told = false;
                for path in found {
                    let taken = tokio::select! {
                        () = quit.cancelled() => return,
                        taken = take(&path, &calls) => taken,
                    };
                    if taken {
                        move_on(&path).await;
                    }
                }
            }
            // Said once: the directory may come with its disk.
            Err(error) if !told => {
                warn!(dir = %dir.display(), %error, "the watched Maildir cannot be read");
                told = true;
            }
            Err(_) => (),
        }
        tokio::select! {
            () = quit.cancelled() => return,
            () = sleep(EVERY) => (),
        }
    }
}

/// The messages of `new`, oldest name first.
async fn look(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let new = dir.join("new");
    let looking = tokio::task::spawn_blocking(move || {
        let found = fs::read_dir(new)?.flatten().map(|entry| entry.path());
        let mut found: Vec<PathBuf> = found.filter(|path| path.is_file()).collect();
        found.sort();
        found.truncate(MESSAGES_MAX);
        Ok(found)
    });
    looking.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// Whether a message needs to be read no more.
async fn take(path: &Path, calls: &mpsc::Sender<Call>) -> bool {
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        fs::File::open(file)?.take(READ_BYTES_MAX).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = match reading.await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            warn!(file = %path.display(), %error, "cannot be read");
            return false;
        }
        Err(_) => return false,
    };
    let name = path.display().to_string();
    let request =
        Request::Inbound { file: name.clone(), mail: BASE64.encode(&bytes), how: Taking::Take };
    let (reply, answer) = oneshot::channel();
    let peer = Peer { uid: 0, pid: None };
    let ask = Call::Ask(Ask { request, peer, session: 0, reply });
    if calls.send(ask).await.is_err() {
        return false;
    }
    match answer.await {
        Ok(Answer::One(line)) => {
            let kind = line.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default();
            info!(file = name, kind, "taken in");
            true
        }
        Ok(Answer::Failed(failure)) if failure.code == 65 => {
            warn!(message = failure.message, "set aside");
            true
        }
        Ok(answer) => {
            warn!(file = name, ?answer, "not taken in: tried again");
            false
        }
        Err(_) => false,
    }
}

/// From `new` to `cur`, marked as seen.
async fn move_on(path: &Path) {
    let from = path.to_owned();
    let moving = tokio::task::spawn_blocking(move || {
        let (Some(name), Some(dir)) = (from.file_name(), from.parent().and_then(Path::parent))
        else {
            return Ok(());
        };
        let mut seen = OsString::from(name);
        seen.push(":2,S");
        fs::rename(&from, dir.join("cur").join(seen))
    });
    if let Ok(Err(error)) = moving.await {
        warn!(file = %path.display(), %error, "cannot be moved to cur: read again");
    }
}
