//! `inbound`: messages from a pipe, files, an mbox or a Maildir, each explained or taken in.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::args::{Globals, InboundArgs};
use crate::control::{Answer, Failure};
use crate::desk::incoming;
use crate::inbound::mail::{MESSAGE_BYTES_MAX, Mail, MailError};
use crate::inbound::reading;

/// Runs it. What is taken in is durable before its line is printed.
///
/// # Errors
/// 65 when something is no message at all, 66 for a file that is not there, 75 to try again.
pub fn run(globals: &Globals, args: &InboundArgs) -> Result<Answer, Failure> {
    let mut lines = Vec::new();
    let mut refused = None;
    let mut take = |name: &str, bytes: &[u8]| {
        match explain(name, bytes) {
            Ok(line) => lines.push(line),
            Err(MailError::NotAMessage) => refused = Some(name.to_owned()),
            Err(error) => lines.push(other(name, &error.to_string())),
        }
        Ok(())
    };
    each(args, &mut take)?;
    let _ = globals;
    match refused {
        None => Ok(Answer::Lines(lines)),
        Some(name) => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            for line in &lines {
                let _ = writeln!(out, "{line}");
            }
            let _ = out.flush();
            Err(not_a_message(&name))
        }
    }
}

fn explain(name: &str, bytes: &[u8]) -> Result<Value, MailError> {
    let mail = Mail::parse(bytes)?;
    Ok(incoming::line(name, &reading::read(&mail, None), None))
}

fn other(name: &str, reason: &str) -> Value {
    json!({
        "file": name, "kind": "other", "letter": null, "recipients": [], "feedback": null,
        "language": null, "reason": reason,
    })
}

fn not_a_message(name: &str) -> Failure {
    Failure::new(65, format!("{name}: {}", MailError::NotAMessage), "see what delivers to it")
}

type Take<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<(), Failure>;

fn each(args: &InboundArgs, take: Take<'_>) -> Result<(), Failure> {
    if let Some(mbox) = &args.mbox {
        let bytes = fs::read(mbox).map_err(|err| unreadable(mbox, &err))?;
        let name = mbox.display().to_string();
        return messages(&bytes).iter().try_for_each(|message| take(&name, message));
    }
    if let Some(dir) = &args.maildir {
        for path in maildir(dir)? {
            take(&path.display().to_string(), &read_file(&path)?)?;
        }
        return Ok(());
    }
    if args.files.is_empty() {
        return take("-", &read_all(&mut io::stdin().lock())?);
    }
    for path in &args.files {
        let name = path.display().to_string();
        let bytes = if name == "-" { read_all(&mut io::stdin().lock())? } else { read_file(path)? };
        take(&name, &bytes)?;
    }
    Ok(())
}

/// The messages of both folders, oldest name first.
fn maildir(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for folder in ["cur", "new"] {
        let folder = dir.join(folder);
        let entries = fs::read_dir(&folder).map_err(|err| unreadable(&folder, &err))?;
        found.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()));
    }
    found.sort();
    Ok(found)
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut file = fs::File::open(path).map_err(|err| unreadable(path, &err))?;
    read_all(&mut file)
}

/// One byte beyond the limit tells that it is passed; the rest is read and let go, because whoever
/// delivers by a pipe takes a closed one for a failure.
fn read_all(from: &mut dyn Read) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let limit = MESSAGE_BYTES_MAX as u64 + 1;
    let read = from.take(limit).read_to_end(&mut bytes);
    read.and_then(|_| io::copy(from, &mut io::sink()))
        .map_err(|err| Failure::new(75, format!("cannot read the message: {err}"), "try again"))?;
    Ok(bytes)
}

fn unreadable(path: &Path, err: &io::Error) -> Failure {
    Failure::new(66, format!("{}: {err}", path.display()), "name files that this user can read")
}

/// The messages of an mbox: `From ` at the start of a line after an empty one begins the next.
fn messages(mbox: &[u8]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut empty = true;
    for line in mbox.split_inclusive(|byte| *byte == b'\n') {
        if empty && line.starts_with(b"From ") {
            found.push(Vec::new());
        } else if let Some(message) = found.last_mut() {
            let quoted = line.iter().take_while(|byte| **byte == b'>').count();
            let body = line.get(quoted..).unwrap_or_default();
            let cut = usize::from(quoted > 0 && body.starts_with(b"From "));
            message.extend_from_slice(line.get(cut..).unwrap_or_default());
        }
        empty = line.iter().all(u8::is_ascii_whitespace);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mbox_is_parted_where_messages_begin() {
        let mbox =
            b"From a Mon\nSubject: 1\n\nhello\n>From here\n\nFrom b Tue\nSubject: 2\n\nFrom\n";
        let found = messages(mbox);
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with(b"hello\nFrom here\n\n"));
        assert!(found[1].starts_with(b"Subject: 2"));
    }
}
