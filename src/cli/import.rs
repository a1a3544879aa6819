//! `import`: reads a saved search, sends it in stretches, and writes down what came of every row.
//!
//! Rows are streamed: whatever the size of the file, one stretch is in memory. A stretch is
//! answered when it is durable, so an interrupted import leaves a prefix of the file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::cadence::fault::Unreadable;
use crate::cadence::rows::{Options, Rows};
use crate::cli::args::{ImportArgs, Mode, TagMode};
use crate::cli::backend::{Backend, account, tell};
use crate::cli::stretch::stretches;
use crate::control::{Answer, Failure, ImportBegin, ImportRow, Request};

/// Invalid rows told one by one; the file of `--verdicts` has all of them.
const TOLD_MAX: usize = 5;
/// Asks for `--yes` where it is needed.
///
/// # Errors
/// 64 if it is and was not given.
pub fn refuse_rash(args: &ImportArgs) -> Result<(), Failure> {
    if args.tags == Some(TagMode::Replace) && !args.yes {
        return Err(Failure::new(
            64,
            "--tags replace puts the new tag in place of all others",
            "add --yes if that is what you want (history keeps the old ones), or --tags append",
        ));
    }
    Ok(())
}

/// Imports one file or standard input; answers the summary, as a bad finding when there were rows
/// and every one of them was invalid. The first invalid rows are told on standard error.
///
/// # Errors
/// 65 for an input that is no saved search, 66 for a file that is not there, 73 if the verdicts
/// cannot be written, and what the backend says.
pub fn run(backend: &mut Backend, args: &ImportArgs) -> Result<Answer, Failure> {
    let (input, bar) = open(&args.file)?;
    let rows = rows(bar.wrap_read(input), args)?;
    let verdicts = args.verdicts.as_deref().map(Verdicts::open).transpose()?;
    let mut ask = |request| backend.ask(request);
    let mut course = Course {
        ask: &mut ask,
        verdicts,
        bar,
        file: named(args),
        rows: 0,
        invalid: Invalid::default(),
    };
    let answer = course.run(begin(args), stretches(rows));
    course.bar.finish_and_clear();
    course.invalid.tell(&course.file);
    answer
}

/// The input, for messages.
fn named(args: &ImportArgs) -> String {
    match args.file.to_string_lossy() {
        stdin if stdin == "-" => "standard input".to_owned(),
        file => file.into_owned(),
    }
}

/// Finds out what the input is and reads it row by row.
fn rows<R: Read>(input: R, args: &ImportArgs) -> Result<Rows<R>, Failure> {
    let options = Options { map: args.map.clone(), ..Options::default() };
    Rows::open(input, &options).map_err(|err| {
        let file = named(args);
        if let Unreadable::Input(err) = &err {
            return unread(&file, err);
        }
        // Its last part says what to do.
        let text = err.to_string();
        let (what, fix) = text.rsplit_once(": ").unwrap_or((&text, "save it as CSV (UTF-8)"));
        Failure::new(65, format!("{file}: {what}"), fix)
    })
}

fn unread(file: &str, err: &io::Error) -> Failure {
    let fix = "see whether the disk or the command before the pipe failed, and import again";
    Failure::new(74, format!("{file}: reading failed: {err}"), fix)
}

fn begin(args: &ImportArgs) -> ImportBegin {
    let mode = match args.mode {
        Mode::New => "new",
        Mode::Update => "update",
        Mode::Upsert => "upsert",
    };
    let tags = args.tags.map(|tags| match tags {
        TagMode::Keep => "keep",
        TagMode::Append => "append",
        TagMode::Replace => "replace",
    });
    ImportBegin {
        file: args.file.to_string_lossy().into_owned(),
        who: account(),
        tag: args.tag.clone(),
        cap: args.cap,
        spread: args.spread,
        mode: Some(mode.to_owned()),
        tags: tags.map(str::to_owned),
        force: args.force,
        quiet: args.verdicts.is_none(),
    }
}

fn open(file: &Path) -> Result<(Box<dyn Read + Send>, ProgressBar), Failure> {
    if file.as_os_str() == "-" {
        let bar = ProgressBar::new_spinner();
        return Ok((Box::new(io::stdin()), styled(bar, "{spinner} {bytes} {msg}")));
    }
    let cannot = |err: io::Error| {
        let fix = "name a file this user may read, or pipe it in with -";
        Failure::new(66, format!("cannot read {}: {err}", file.display()), fix)
    };
    let opened = File::open(file).map_err(cannot)?;
    let about = opened.metadata().map_err(cannot)?;
    if about.is_dir() {
        return Err(cannot(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let bar = ProgressBar::new(about.len());
    Ok((Box::new(opened), styled(bar, "{bar:30} {percent:>3} %  {msg}  {eta} left")))
}

/// Indicatif draws on standard error, and only where that is a terminal.
fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// One import under way.
struct Course<'a> {
    ask: &'a mut dyn FnMut(Request) -> Answer,
    verdicts: Option<Verdicts>,
    bar: ProgressBar,
    file: String,
    rows: usize,
    invalid: Invalid,
}

/// Rows that could not be taken.
#[derive(Default)]
struct Invalid {
    rows: usize,
    /// Line and fault of the first.
    first: Vec<(u64, String)>,
}

impl Invalid {
    fn note(&mut self, answer: &Value) {
        let verdicts = answer.get("verdicts").and_then(Value::as_array);
        for verdict in verdicts.into_iter().flatten() {
            if verdict.get(1).is_none_or(|word| word != "invalid") {
                continue;
            }
            self.rows += 1;
            if self.first.len() < TOLD_MAX {
                let line = verdict.get(0).and_then(Value::as_u64).unwrap_or_default();
                let fault = verdict.get(2).and_then(Value::as_str).unwrap_or_default();
                self.first.push((line, fault.to_owned()));
            }
        }
    }

    fn tell(&self, file: &str) {
        for (line, fault) in &self.first {
            tell(&format_args!("{file}:{line}: {fault}"));
        }
        let more = self.rows - self.first.len();
        if more > 0 {
            tell(&format_args!("{more} more invalid rows; --verdicts FILE lists every row"));
        }
    }
}

impl Course<'_> {
    fn run(
        &mut self,
        begin: ImportBegin,
        stretches: impl IntoIterator<Item = io::Result<Vec<ImportRow>>>,
    ) -> Result<Answer, Failure> {
        let started = Instant::now();
        let begun = self.order(Request::ImportBegin(begin))?;
        let import =
            begun.get("import").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let import = import.ok_or_else(|| strange("an import without a number", &begun))?;
        if let Some(verdicts) = &mut self.verdicts {
            verdicts.begin()?;
        }
        for stretch in stretches {
            let rows = stretch.map_err(|err| unread(&self.file, &err))?;
            self.send(import, rows)?;
        }
        if let Some(verdicts) = &mut self.verdicts {
            verdicts.finish()?;
        }
        let mut summary = self.order(Request::ImportEnd { import })?;
        if let Some(summary) = summary.as_object_mut() {
            let seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
            summary.insert("seconds".to_owned(), Value::from(seconds));
        }
        let useless = self.rows > 0 && self.invalid.rows == self.rows;
        Ok(if useless { Answer::Bad(summary) } else { Answer::One(summary) })
    }

    /// Sends a stretch; its verdicts are durable when this returns.
    fn send(&mut self, import: u32, rows: Vec<ImportRow>) -> Result<(), Failure> {
        let named: Vec<(u64, String)> = match self.verdicts {
            Some(_) => rows.iter().map(|row| (row.line, row.address.clone())).collect(),
            None => Vec::new(),
        };
        let sent = rows.len();
        let answer = self.order(Request::ImportRows { import, rows })?;
        self.invalid.note(&answer);
        if let Some(verdicts) = &mut self.verdicts {
            verdicts.write(&named, &answer)?;
        }
        self.rows += sent;
        self.bar.set_message(format!("{} rows", self.rows));
        Ok(())
    }

    fn order(&mut self, request: Request) -> Result<Value, Failure> {
        match (self.ask)(request) {
            Answer::One(value) => Ok(value),
            Answer::Failed(failure) => Err(failure),
            Answer::Bad(value) => Err(strange("a bad finding", &value)),
            Answer::Lines(lines) => Err(strange("a list", &Value::from(lines.len()))),
        }
    }
}

fn strange(what: &str, answer: &Value) -> Failure {
    Failure::new(
        70,
        format!("the import was answered by {what}: {answer}"),
        "see whether the daemon is of another version than this command",
    )
}

/// The file of `--verdicts`: line,address,verdict,detail.
struct Verdicts {
    out: csv::Writer<File>,
    path: String,
}

impl Verdicts {
    /// What stands in the file is left alone until the import has begun.
    fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let file = File::options().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|err| unwritten(&name, &err))?;
        Ok(Self { out: csv::Writer::from_writer(file), path: name })
    }

    fn begin(&mut self) -> Result<(), Failure> {
        let file = self.out.get_ref();
        // A pipe or a terminal cannot be emptied.
        let about = file.metadata().map_err(|err| unwritten(&self.path, &err))?;
        if about.is_file() {
            file.set_len(0).map_err(|err| unwritten(&self.path, &err))?;
        }
        self.record(["line", "address", "verdict", "detail"])
    }

    fn write(&mut self, named: &[(u64, String)], answer: &Value) -> Result<(), Failure> {
        let verdicts = answer.get("verdicts").and_then(Value::as_array);
        let verdicts = verdicts.ok_or_else(|| strange("no verdicts", answer))?;
        for verdict in verdicts {
            let part = |n: usize| verdict.get(n).and_then(Value::as_str).unwrap_or_default();
            let line = verdict.get(0).and_then(Value::as_u64).unwrap_or_default();
            // Rows are sent in file order, so their lines are sorted.
            let address = named.binary_search_by_key(&line, |(line, _)| *line).ok();
            let address = address.and_then(|n| named.get(n)).map_or("", |(_, address)| address);
            self.record([&line.to_string(), address, part(1), part(2)])?;
        }
        Ok(())
    }

    fn record(&mut self, fields: [&str; 4]) -> Result<(), Failure> {
        self.out.write_record(fields).map_err(|err| unwritten(&self.path, &err))
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|err| unwritten(&self.path, &err))
    }
}

fn unwritten(path: &str, err: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        73,
        format!("cannot write the verdicts to {path}: {err}"),
        "name a file this user may write; importing again is harmless",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cadence::columns::Cells;
    use crate::cadence::rows::Row;
    use crate::cli::args::{Command, Line};
    use crate::cli::stretch::wanted;
    use clap::Parser;
    use serde_json::json;

    fn row(line: u64) -> io::Result<Row> {
        let mut cells = Cells::default();
        cells.address = format!("a{line}@b.example");
        Ok(Row { line, cells: Ok(cells) })
    }

    fn args(map: &[(&str, &str)]) -> ImportArgs {
        let map = map.iter().map(|(header, field)| format!("--map={header}={field}"));
        let words = ["tradewind", "import"].map(str::to_owned).into_iter().chain(map);
        match Line::parse_from(words).command {
            Command::Import(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_saved_search_becomes_rows() {
        let text =
            "E-Post,姓名,公司,类型,rank,城市\nann@acme.example,Ann,Acme,普通,3,Lyon\nb@c.example\n";
        let rows = rows(text.as_bytes(), &args(&[("E-Post", "email")])).unwrap();
        let rows: Vec<ImportRow> = rows.map(|row| wanted(row.unwrap())).collect();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(rows[0].address, "ann@acme.example");
        assert_eq!(rows[0].kind.as_deref(), Some("ordinary"));
        assert_eq!((rows[0].line, rows[0].rank), (2, Some(3)));
        assert_eq!((rows[0].name.as_str(), rows[0].company.as_str()), ("Ann", "Acme"));
        assert_eq!(rows[0].attributes, [pair("城市", "Lyon")]);
        assert!(rows[1].line == 3 && rows[1].fault.is_some(), "{:?}", rows[1]);
    }

    #[test]
    fn what_is_no_saved_search_is_refused_with_a_fix() {
        for (text, word) in [
            ("", "empty"),
            ("\0\x01\x02\0\0\x03", "binary"),
            ("name,city\nAnn,Lyon\n", "line 1: no column of addresses"),
        ] {
            let failure = rows(text.as_bytes(), &args(&[])).err().unwrap();
            assert_eq!(failure.code, 65, "{text}");
            assert!(failure.message.contains(word), "{}", failure.message);
            assert!(failure.message.starts_with("standard input: ") && !failure.fix.is_empty());
        }
    }

    /// Judges every row `new`, remembers what was asked.
    fn desk(asked: &mut Vec<usize>, request: &Request) -> Answer {
        Answer::One(match request {
            Request::ImportBegin(_) => json!({"import": 7}),
            Request::ImportRows { import: 7, rows } => {
                asked.push(rows.len());
                let verdicts: Vec<Value> =
                    rows.iter().map(|row| json!([row.line, "new", ""])).collect();
                json!({"verdicts": verdicts})
            }
            Request::ImportEnd { import: 7 } => json!({"rows": 4100, "seconds": 99}),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn rows_go_in_stretches_and_every_verdict_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("verdicts.csv");
        let mut asked = Vec::new();
        let mut ask = |request: Request| desk(&mut asked, &request);
        let verdicts = Some(Verdicts::open(&path).unwrap());
        let bar = ProgressBar::hidden();
        let mut course = Course {
            ask: &mut ask,
            verdicts,
            bar: bar.clone(),
            file: String::new(),
            rows: 0,
            invalid: Invalid::default(),
        };
        let answer = course.run(ImportBegin::default(), stretches((2..8102).map(row))).unwrap();
        let Answer::One(summary) = answer else { panic!("{answer:?}") };
        assert!(summary["seconds"].as_f64().unwrap() < 99.0);
        assert_eq!(bar.message(), "8100 rows");
        assert_eq!(asked, [4000, 4000, 100]);
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), 8101);
        assert!(text.starts_with("line,address,verdict,detail\n2,a2@b.example,new,\n"), "{text}");
    }

    #[test]
    fn a_failure_ends_it() {
        let mut ask = |request: Request| match request {
            Request::ImportBegin(_) => Answer::One(json!({"import": 1})),
            _ => Answer::Failed(Failure::new(74, "disk full", "make room")),
        };
        let mut course = Course {
            ask: &mut ask,
            verdicts: None,
            bar: ProgressBar::hidden(),
            file: String::new(),
            rows: 0,
            invalid: Invalid::default(),
        };
        let failure =
            course.run(ImportBegin::default(), stretches(std::iter::once(row(1)))).unwrap_err();
        assert_eq!(failure.code, 74);
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(open(Path::new("no/such.csv")).err().unwrap().code, 66);
        assert!(open(Path::new("/")).err().unwrap().message.contains("directory"));
    }
}
