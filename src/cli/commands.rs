//! What each command means: the request it becomes, and how its answer is printed.
//!
//! With `--json`, standard output holds the answer and nothing else, failed commands included; a
//! reader who went away is no failure.

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use clap::Parser;
use serde_json::Value;

use crate::cli::args::{
    Command, ForecastArgs, Globals, Line, ReportArgs, SuppressArgs, SuppressWhat,
};
use crate::cli::backend::{self, Backend};
use crate::cli::import;
use crate::cli::inbound;
use crate::cli::keygen;
use crate::cli::quickstart;
use crate::cli::render::{self, Face};
use crate::cli::stage;
use crate::cli::whom::{
    ContactsArgs, LabelArgs, PoolsArgs, TagArgs, TagsArgs, UntagArgs, ViewArgs, WhomArgs,
};
use crate::control::{Answer, Failure, Request};

/// Addresses sent in one request at most.
const STRETCH: usize = 10_000;
/// Addresses named on standard input at most: more is an import.
const NAMED_MAX: usize = 5_000_000;

/// Runs one command line, from its words to its exit code.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    let line = match Line::try_parse_from(&words) {
        Ok(line) => line,
        Err(err) => return misread(&err, words.iter().any(|word| word == "--json")),
    };
    let style = Style::of(&line);
    let answer = run(line).unwrap_or_else(Answer::Failed);
    let code = answer.exit_code();
    match print(style, answer) {
        Err(err) if err.kind() != io::ErrorKind::BrokenPipe => {
            let failure = Failure::new(
                74,
                format!("cannot write the answer: {err}"),
                "see where standard output goes",
            );
            // Nobody is left to tell if this fails as well.
            let _ = complain(&failure);
            ExitCode::from(failure.code)
        }
        _ => ExitCode::from(code),
    }
}

/// Help and version are answers; anything else is a usage error.
fn misread(err: &clap::Error, json: bool) -> ExitCode {
    if !err.use_stderr() {
        // Only a reader who went away can fail it.
        let _ = err.print();
        return ExitCode::SUCCESS;
    }
    let told = if json {
        let text = err.to_string();
        let message = text.trim_start_matches("error: ").lines().next().unwrap_or_default();
        let fix = "run it with --help for what it takes";
        say(&format!("{}\n", Failure::new(64, message, fix).to_json()))
    } else {
        err.print()
    };
    let _ = told;
    ExitCode::from(64)
}

/// How an answer is to be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// As JSON, one object per line.
    Json,
    /// For people.
    Human(Face),
}

impl Style {
    fn of(line: &Line) -> Self {
        let export = |args: &SuppressArgs| matches!(args.what, Some(SuppressWhat::Export));
        match &line.command {
            _ if line.globals.json => Self::Json,
            Command::Suppress(args) if export(args) => Self::Json,
            Command::Plan(args) if !args.list => Self::Human(Face::Plan),
            Command::Show(_) => Self::Human(Face::Show),
            Command::Why(_) => Self::Human(Face::Why),
            Command::Audit => Self::Human(Face::Audit),
            Command::Report(_) => Self::Human(Face::Report),
            Command::Tags(_) => Self::Human(Face::Tags),
            Command::Forecast(_) => Self::Human(Face::Forecast),
            _ => Self::Human(Face::Plain),
        }
    }
}

fn print(style: Style, answer: Answer) -> io::Result<()> {
    match (style, answer) {
        (Style::Json, Answer::Failed(failure)) => say(&format!("{}\n", failure.to_json())),
        (Style::Human(_), Answer::Failed(failure)) => complain(&failure),
        // A command that speaks for itself (`run`, `quickstart`) has nothing left to say.
        (_, Answer::One(Value::Null) | Answer::Bad(Value::Null)) => Ok(()),
        (Style::Json, Answer::One(value) | Answer::Bad(value)) => say(&format!("{value}\n")),
        (Style::Json, Answer::Lines(values)) => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            values.iter().try_for_each(|value| writeln!(out, "{value}"))?;
            out.flush()
        }
        (Style::Human(face), Answer::One(value) | Answer::Bad(value)) => {
            say(&render::one(face, &value))
        }
        (Style::Human(_), Answer::Lines(values)) => say(&render::lines(&values)),
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn complain(failure: &Failure) -> io::Result<()> {
    let mut err = io::stderr().lock();
    writeln!(err, "tradewind: {}", failure.message)?;
    if failure.fix.is_empty() { Ok(()) } else { writeln!(err, "  fix: {}", failure.fix) }
}

fn run(line: Line) -> Result<Answer, Failure> {
    let globals = line.globals;
    match line.command {
        Command::Init => backend::init(&globals),
        Command::Run(args) if args.clock_speed.is_some() && globals.clock.is_none() => {
            Err(Failure::new(64, "--clock-speed speeds up no real clock", "give --clock TIME too"))
        }
        Command::Run(args) => {
            backend::run(&globals, args.clock_speed).map(|()| Answer::One(Value::Null))
        }
        Command::Quickstart(args) => quickstart::run(args.keep, globals.json),
        Command::Keygen(args) => keygen::run(&args),
        Command::Sink(args) => {
            stage::keep_letters(&args.dir, args.port).map(|()| Answer::One(Value::Null))
        }
        Command::Import(args) => {
            import::refuse_rash(&args)?;
            import::run(&mut Backend::open(&globals)?, &args)
        }
        Command::Tag(TagArgs { words, whom }) => {
            let WhomArgs { view, condition } = whom.clone();
            by_address(&globals, words, &whom, |addresses, tag| {
                let (view, condition) = (view.clone(), condition.clone());
                Request::Tag { addresses, view, condition, tag }
            })
        }
        Command::Untag(UntagArgs { words, whom, reason }) => {
            let WhomArgs { view, condition } = whom.clone();
            by_address(&globals, words, &whom, |addresses, tag| {
                let (view, condition, reason) = (view.clone(), condition.clone(), reason.clone());
                Request::Untag { addresses, view, condition, tag, reason }
            })
        }
        Command::Assign(LabelArgs { words, whom }) => {
            let WhomArgs { view, condition } = whom.clone();
            by_address(&globals, words, &whom, |addresses, owner| {
                let (view, condition) = (view.clone(), condition.clone());
                Request::Assign { addresses, view, condition, owner }
            })
        }
        Command::Stage(LabelArgs { words, whom }) => {
            let WhomArgs { view, condition } = whom.clone();
            by_address(&globals, words, &whom, |addresses, stage| {
                let (view, condition) = (view.clone(), condition.clone());
                Request::Stage { addresses, view, condition, stage }
            })
        }
        Command::Suppress(args) => suppress(&globals, args),
        Command::Mail(command) => inbound::run(&globals, command),
        Command::Reload => reload(&globals),
        other => {
            let request = request(other)?;
            Ok(Backend::open(&globals)?.ask(request))
        }
    }
}

/// The request of a command that is one request and no more.
fn request(command: Command) -> Result<Request, Failure> {
    Ok(match command {
        Command::Imports => Request::Imports {},
        Command::Plan(args) => Request::Plan { date: args.date, list: args.list },
        Command::Status => Request::Status {},
        Command::Show(args) => Request::Show { address: args.address },
        Command::Why(args) => Request::Why { address: args.address, date: args.date },
        Command::Report(args) => report(&args)?,
        Command::Audit => Request::Audit {},
        Command::Tags(TagsArgs { unused, similar }) => Request::Tags { unused, similar },
        Command::View(ViewArgs { name, list, explain }) => Request::View { name, list, explain },
        Command::Pools(PoolsArgs { overdue }) => Request::Pools { overdue },
        Command::Contacts(ContactsArgs { view, tag, condition, list }) => {
            Request::Contacts { view, tag, condition, list }
        }
        Command::Note(args) => Request::Note { address: args.address, text: args.text.join(" ") },
        Command::Pause => Request::Pause {},
        Command::Resume => Request::Resume {},
        Command::Check => Request::Check {},
        Command::Hold(args) => Request::Hold { batch: args.batch, reason: args.reason },
        Command::Release(args) => Request::Release { batch: args.batch },
        Command::Approve(args) => Request::Approve { batch: args.batch, date: args.date },
        Command::Forecast(ForecastArgs { days, opens, replies, seed }) => {
            Request::Forecast { days, opens, replies, seed }
        }
        Command::Clock(args) => Request::Clock { to: args.to },
        more => {
            let message = format!("{more:?} is more than one request");
            return Err(Failure::new(70, message, "this is a fault of tradewind: report it"));
        }
    })
}

fn report(args: &ReportArgs) -> Result<Request, Failure> {
    let (from, to) = (args.from.or(args.date), args.to.or(args.date));
    match (from, to) {
        (Some(from), Some(to)) if to < from => Err(Failure::new(
            64,
            format!("--to {to} lies before --from {from}"),
            "give the earlier day with --from",
        )),
        (from, to) => Ok(Request::Report { from, to }),
    }
}

fn suppress(globals: &Globals, args: SuppressArgs) -> Result<Answer, Failure> {
    match args.what {
        Some(SuppressWhat::List | SuppressWhat::Export) => {
            Ok(Backend::open(globals)?.ask(Request::SuppressList {}))
        }
        Some(SuppressWhat::Remove { targets, reason }) => each(globals, &targets, |targets| {
            Request::SuppressRemove { targets, reason: reason.clone() }
        }),
        None => {
            let reason = args.reason.unwrap_or_default();
            each(globals, &args.targets, |targets| Request::Suppress {
                targets,
                reason: reason.clone(),
            })
        }
    }
}

/// An order about addresses, a view or a condition: its last word says what is given.
fn by_address(
    globals: &Globals,
    mut words: Vec<String>,
    whom: &WhomArgs,
    request: impl Fn(Vec<String>, String) -> Request,
) -> Result<Answer, Failure> {
    let given = words.pop().unwrap_or_default();
    let chosen = whom.view.is_some() || whom.condition.is_some();
    match (words.is_empty(), chosen) {
        (false, false) => each(globals, &words, |addresses| request(addresses, given.clone())),
        (true, true) => Ok(Backend::open(globals)?.ask(request(Vec::new(), given))),
        (true, false) => Err(Failure::new(
            64,
            format!("{given:?} is given to nobody"),
            "name an address before it, - for standard input, --view or --where",
        )),
        (false, true) => Err(Failure::new(
            64,
            "both an address and --view or --where are given",
            "give one of them",
        )),
    }
}

/// Only a daemon has anything to reload.
fn reload(globals: &Globals) -> Result<Answer, Failure> {
    match Backend::daemon(globals)? {
        Some(mut client) => Ok(client.ask(&Request::Reload {})),
        None => Err(Failure::new(
            75,
            "no daemon runs on this store",
            "nothing to do: every command reads the configuration anew",
        )),
    }
}

/// One request per stretch of addresses, their counts added up; `-` stands for standard input.
fn each(
    globals: &Globals,
    words: &[String],
    request: impl Fn(Vec<String>) -> Request,
) -> Result<Answer, Failure> {
    let named = named(words, &mut io::stdin().lock())?;
    let mut backend = Backend::open(globals)?;
    let mut sum = Value::Null;
    for stretch in named.chunks(STRETCH) {
        match backend.ask(request(stretch.to_vec())) {
            Answer::One(value) => sum = added(sum, value),
            other => return Ok(other),
        }
    }
    Ok(Answer::One(sum))
}

fn named(words: &[String], stdin: &mut dyn BufRead) -> Result<Vec<String>, Failure> {
    let mut named = Vec::new();
    for word in words {
        if word != "-" {
            named.push(word.clone());
            continue;
        }
        for line in stdin.lines() {
            let line = line.map_err(|err| {
                Failure::new(
                    65,
                    format!("standard input, line {}: {err}", named.len() + 1),
                    "pipe in one address per line, as UTF-8",
                )
            })?;
            let line = line.trim().trim_start_matches('\u{feff}');
            if !line.is_empty() {
                named.push(line.to_owned());
            }
            if named.len() > NAMED_MAX {
                return Err(Failure::new(
                    65,
                    format!("more than {NAMED_MAX} addresses"),
                    "pipe them in piece by piece",
                ));
            }
        }
    }
    match named.is_empty() {
        true => Err(Failure::new(65, "no address was given", "pipe in one address per line")),
        false => Ok(named),
    }
}

/// Two answers of one shape as one: numbers added, lists joined, all else as it came last.
fn added(sum: Value, next: Value) -> Value {
    match (sum, next) {
        (Value::Object(mut sum), Value::Object(next)) => {
            for (key, value) in next {
                let before = sum.remove(&key).unwrap_or_default();
                sum.insert(key, added(before, value));
            }
            Value::Object(sum)
        }
        (Value::Array(mut sum), Value::Array(next)) => {
            sum.extend(next);
            Value::Array(sum)
        }
        (Value::Number(sum), Value::Number(next)) => match (sum.as_u64(), next.as_u64()) {
            (Some(a), Some(b)) => Value::from(a.saturating_add(b)),
            _ => Value::Number(next),
        },
        (_, next) => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn addresses_come_by_word_and_by_pipe() {
        let words = ["x@y.example".to_owned(), "-".to_owned()];
        let mut pipe = io::Cursor::new("\u{feff}a@b.example\n\n  c@d.example \r\n");
        let named = named(&words, &mut pipe).unwrap();
        assert_eq!(named, ["x@y.example", "a@b.example", "c@d.example"]);
        let mut binary = io::Cursor::new(b"a@b.example\n\xff\xfe\n");
        assert_eq!(super::named(&["-".to_owned()], &mut binary).unwrap_err().code, 65);
        assert_eq!(super::named(&["-".to_owned()], &mut io::empty()).unwrap_err().code, 65);
    }

    #[test]
    fn stretches_add_up() {
        let first = json!({"tagged": 3, "unknown": ["a@b.example"], "tag": "同行"});
        let second = json!({"tagged": 4, "unknown": ["c@d.example"], "tag": "同行"});
        assert_eq!(
            added(added(Value::Null, first), second),
            json!({"tagged": 7, "unknown": ["a@b.example", "c@d.example"], "tag": "同行"})
        );
    }

    #[test]
    fn a_report_runs_forward() {
        let day = |text: &str| text.parse().ok();
        let args = |date, from, to| ReportArgs { date, from, to };
        let asked = report(&args(day("2024-09-05"), None, None)).unwrap();
        assert!(matches!(asked, Request::Report { from: Some(a), to: Some(b) } if a == b));
        assert!(report(&args(None, day("2024-09-05"), day("2024-09-04"))).is_err());
        assert!(report(&args(None, day("2024-09-05"), None)).is_ok());
    }
}
