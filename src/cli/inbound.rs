//! `inbound`, `inbox` and `rules`: messages from a pipe, files, an mbox or a Maildir, each explained
//! or taken in; who waits; what rules would do.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use serde_json::Value;

use crate::cli::args::Globals;
use crate::cli::backend::{self, Backend};
use crate::cli::mailargs::{InboundArgs, InboxWhat, MailCommand, RulesWhat};
use crate::control::{Answer, Failure, Request, Taking};
use crate::desk::incoming;
use crate::inbound::mail::{MESSAGE_BYTES_MAX, Mail, MailError};
use crate::inbound::reading;

/// So much of a message goes to the store: what lies beyond are attachments (bytes).
const SENT_BYTES_MAX: usize = 10 << 20;

/// Runs one of these commands.
///
/// # Errors
/// 65 for what is no message at all, 66 for what is not there, 75 to try again.
pub fn run(globals: &Globals, command: MailCommand) -> Result<Answer, Failure> {
    match command {
        MailCommand::Inbound(args) => inbound(globals, &args),
        MailCommand::Inbox(args) => {
            let request = match args.what.unwrap_or(InboxWhat::List) {
                InboxWhat::List => Request::Inbox { address: None },
                InboxWhat::Show { address } => Request::Inbox { address: Some(address) },
                InboxWhat::Done(done) => Request::InboxDone {
                    address: done.address,
                    tag: done.tag,
                    suppress: done.suppress,
                },
            };
            Ok(Backend::open(globals)?.ask(request))
        }
        MailCommand::Rules(args) => match args.what {
            RulesWhat::DryRun { from } => {
                Ok(Backend::open(globals)?.ask(Request::RulesDryRun { from }))
            }
            RulesWhat::Test => {
                let bytes = read_all(&mut io::stdin().lock())?;
                Ok(Backend::open(globals)?.ask(request("-", &bytes, Taking::Rules)))
            }
        },
    }
}

fn request(file: &str, bytes: &[u8], how: Taking) -> Request {
    let sent = bytes.get(..bytes.len().min(SENT_BYTES_MAX)).unwrap_or_default();
    Request::Inbound { file: file.to_owned(), mail: BASE64.encode(sent), how }
}

/// What is taken in is durable before its line is printed, and moved only after that.
fn inbound(globals: &Globals, args: &InboundArgs) -> Result<Answer, Failure> {
    let mut desk = match args.explain {
        true => Desk::to_explain(globals),
        false => Desk { backend: Some(opened(globals)?), how: Taking::Take },
    };
    let mut refused = None;
    let mut lines = Vec::new();
    each(args, &mut |name, bytes, path| {
        match desk.line(name, bytes) {
            Ok(line) => lines.push(line),
            Err(failure) if failure.code == 65 => refused = Some(failure),
            Err(failure) => return Err(failure),
        }
        match path {
            Some(path) if !args.explain => move_on(path),
            _ => Ok(()),
        }
    })
    .or_else(|failure| {
        // What was taken in so far is told; the rest comes again.
        print(globals, &lines).and(Err(failure))
    })?;
    match refused {
        Some(failure) => print(globals, &lines).and(Err(failure)),
        None => Ok(one_or_many(lines)),
    }
}

fn one_or_many(mut lines: Vec<Value>) -> Answer {
    match lines.len() {
        1 => Answer::One(lines.swap_remove(0)),
        _ => Answer::Lines(lines),
    }
}

fn print(globals: &Globals, lines: &[Value]) -> Result<(), Failure> {
    if !globals.json {
        return Ok(());
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
    written.and_then(|()| out.flush()).map_err(|err| {
        Failure::new(74, format!("cannot write the answer: {err}"), "see where it goes")
    })
}

/// A store that is locked, broken or not there is no reason to bounce a message: try again later.
fn opened(globals: &Globals) -> Result<Backend, Failure> {
    Backend::open(globals).map_err(|failure| Failure { code: 75, ..failure })
}

/// Who reads messages: the store, or this command alone.
struct Desk {
    backend: Option<Backend>,
    how: Taking,
}

impl Desk {
    /// Letters are named where there is a store; what a message is can be said without one.
    fn to_explain(globals: &Globals) -> Self {
        let configured = globals.config.is_some() || backend::config_file(globals).is_ok();
        let backend = if configured { Backend::open(globals).ok() } else { None };
        Self { backend, how: Taking::Explain }
    }

    fn line(&mut self, name: &str, bytes: &[u8]) -> Result<Value, Failure> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Ok(incoming::other(name, &MailError::TooLarge.to_string()));
        }
        match &mut self.backend {
            Some(backend) => match backend.ask(request(name, bytes, self.how)) {
                Answer::One(line) => Ok(line),
                Answer::Failed(failure) => Err(match failure.code {
                    65 => failure,
                    _ => Failure { code: 75, ..failure },
                }),
                other => {
                    Err(Failure::new(75, format!("unexpected answer: {other:?}"), "report it"))
                }
            },
            None => explain(name, bytes),
        }
    }
}

fn explain(name: &str, bytes: &[u8]) -> Result<Value, Failure> {
    match Mail::parse(bytes) {
        Ok(mail) => Ok(incoming::line(name, &reading::read(&mail, None), None)),
        Err(error @ MailError::NotAMessage) => {
            Err(Failure::new(65, format!("{name}: {error}"), "see who delivers it"))
        }
        Err(error) => Ok(incoming::other(name, &error.to_string())),
    }
}

/// Told each message: its name, its bytes, and its file when it is one of a Maildir's `new`.
type Take<'a> = &'a mut dyn FnMut(&str, &[u8], Option<&Path>) -> Result<(), Failure>;

fn each(args: &InboundArgs, take: Take<'_>) -> Result<(), Failure> {
    if let Some(mbox) = &args.mbox {
        let bytes = fs::read(mbox).map_err(|err| unreadable(mbox, &err))?;
        let name = mbox.display().to_string();
        return messages(&bytes).iter().try_for_each(|message| take(&name, message, None));
    }
    if let Some(dir) = &args.maildir {
        for path in maildir(dir, args.explain)? {
            take(&path.display().to_string(), &read_file(&path)?, Some(&path))?;
        }
        return Ok(());
    }
    if args.files.is_empty() {
        return take("-", &read_all(&mut io::stdin().lock())?, None);
    }
    for path in &args.files {
        let name = path.display().to_string();
        let bytes = if name == "-" { read_all(&mut io::stdin().lock())? } else { read_file(path)? };
        take(&name, &bytes, None)?;
    }
    Ok(())
}

/// The messages of `new`, and of `cur` where nothing is moved; by name, which begins with the time.
fn maildir(dir: &Path, both: bool) -> Result<Vec<PathBuf>, Failure> {
    let folders = if both { ["cur", "new"].as_slice() } else { &["new"] };
    let mut found = Vec::new();
    for folder in folders {
        let folder = dir.join(folder);
        let entries = fs::read_dir(&folder).map_err(|err| unreadable(&folder, &err))?;
        found.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()));
    }
    found.sort();
    Ok(found)
}

/// From `new` to `cur`, marked as seen.
fn move_on(path: &Path) -> Result<(), Failure> {
    let (Some(name), Some(dir)) = (path.file_name(), path.parent().and_then(Path::parent)) else {
        return Ok(());
    };
    let mut seen = OsString::from(name);
    if !name.to_string_lossy().contains(":2,") {
        seen.push(":2,S");
    }
    fs::rename(path, dir.join("cur").join(seen)).map_err(|err| {
        let fix = "make the Maildir writable for this user";
        Failure::new(75, format!("cannot move {}: {err}", path.display()), fix)
    })
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
