//! The command line exactly as it may be typed; what it means is decided in `commands`.

use std::path::PathBuf;

use chrono::{DateTime, FixedOffset, NaiveDate};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::examples::{
    ASSIGN, CONTACTS, FIRST_STEPS, FORECAST, IMPORT, KEYGEN, PLAN, REPORT, RUN, SINK, STAGE,
    SUPPRESS, TAG, VIEW,
};
use crate::cli::keygen::KeygenArgs;
use crate::cli::mailargs::{MailCommand, NoteArgs};
use crate::cli::whom::{
    ContactsArgs, LabelArgs, PoolsArgs, TagArgs, TagsArgs, UntagArgs, ViewArgs,
};

/// Writes to companies in steady rotation, never too often, never to the wrong one, and remembers
/// everything that happened.
#[derive(Debug, Parser)]
#[command(name = "tradewind", version, max_term_width = 100, after_help = FIRST_STEPS)]
pub struct Line {
    /// What holds for every command.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that may stand before or after any command.
#[derive(Args, Clone, Debug, Default)]
pub struct Globals {
    /// The configuration [default: ./tradewind.toml, else /etc/tradewind/tradewind.toml]
    #[arg(long, global = true, value_name = "FILE", env = "TRADEWIND_CONFIG")]
    pub config: Option<PathBuf>,
    /// The store's directory, instead of the one the configuration names
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Answer in JSON: one object, or one per line for lists; messages go to stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Rehearse: take this instant for now (never with a transport that reaches strangers)
    #[arg(long, global = true, value_name = "TIME", value_parser = instant)]
    pub clock: Option<DateTime<FixedOffset>>,
}

/// One command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create the store that the configuration names
    #[command(
        after_long_help = "Example:\n  tradewind init --config /etc/tradewind/tradewind.toml"
    )]
    Init,
    /// Run the daemon in the foreground
    #[command(after_long_help = RUN)]
    Run(RunArgs),
    /// Take in a saved search: CSV, TSV, JSON lines, XLSX or bare addresses
    #[command(after_long_help = IMPORT)]
    Import(ImportArgs),
    /// List the imports so far
    #[command(after_long_help = "Example:\n  tradewind imports --json")]
    Imports,
    /// Show who is written to on a day, and why the others are not
    #[command(after_long_help = PLAN)]
    Plan(PlanArgs),
    /// Show the state of the daemon and of today's letters
    #[command(after_long_help = "Example:\n  tradewind status --json")]
    Status,
    /// Show one contact with everything that happened to it
    #[command(after_long_help = "Example:\n  tradewind show ann@acme.example")]
    Show(AddressArg),
    /// Say why a contact was, is or was not written to on a day
    #[command(after_long_help = "Example:\n  tradewind why ann@acme.example --date 2024-09-05")]
    Why(WhyArgs),
    /// Count what happened, by batch
    #[command(after_long_help = REPORT)]
    Report(ReportArgs),
    /// Prove from the journal alone that nobody was written to who must not have been
    #[command(after_long_help = "Example:\n  tradewind audit || echo 'look at the violations'")]
    Audit,
    /// Stop a batch until it is released, across restarts
    #[command(
        after_long_help = "Example:\n  tradewind hold 英语-工程设备经销商-营销05 --reason 'wrong price'"
    )]
    Hold(HoldArgs),
    /// Let a held batch go on
    #[command(after_long_help = "Example:\n  tradewind release 英语-工程设备经销商-营销05")]
    Release(BatchArg),
    /// Let a round go out that is larger than limits.approve_above
    #[command(
        after_long_help = "Example:\n  tradewind approve 英语-工程设备经销商-营销05 --date 2024-09-05"
    )]
    Approve(ApproveArgs),
    /// Simulate the days to come: letters, pools, what the caps hold back
    #[command(after_long_help = FORECAST)]
    Forecast(ForecastArgs),
    /// Give contacts a tag
    #[command(after_long_help = TAG)]
    Tag(TagArgs),
    /// Take a tag back, as a correction that history keeps
    #[command(
        after_long_help = "Examples:\n  tradewind untag ann@acme.example 同行 --reason 'mixed up'\n  \
                           tradewind untag --view 风险客户 同行 --reason 'list was wrong'"
    )]
    Untag(UntagArgs),
    /// Give contacts an owner of ours, in the place of the one before
    #[command(after_long_help = ASSIGN)]
    Assign(LabelArgs),
    /// Set how far contacts have come
    #[command(after_long_help = STAGE)]
    Stage(LabelArgs),
    /// List all tags with their counts
    #[command(after_long_help = "Examples:\n  tradewind tags\n  tradewind tags --unused\n  \
                                 tradewind tags --similar")]
    Tags(TagsArgs),
    /// List the views with their sizes; count, list or explain one
    #[command(after_long_help = VIEW)]
    View(ViewArgs),
    /// Show the five pools with today's movement
    #[command(after_long_help = "Examples:\n  tradewind pools\n  tradewind pools --overdue")]
    Pools(PoolsArgs),
    /// Count or list the contacts of a view, a tag, or any condition
    #[command(after_long_help = CONTACTS)]
    Contacts(ContactsArgs),
    /// Never write to an address or a whole domain again; list, export or remove such entries
    #[command(after_long_help = SUPPRESS, subcommand_negates_reqs = true)]
    Suppress(SuppressArgs),
    /// Write a note on a contact
    #[command(after_long_help = "Example:\n  tradewind note ann@acme.example 'met at the fair'")]
    Note(NoteArgs),
    /// About what comes back by mail.
    #[command(flatten)]
    Mail(MailCommand),
    /// Stop writing until `resume`, across restarts
    #[command(after_long_help = "Example:\n  tradewind pause")]
    Pause,
    /// Go on writing
    #[command(after_long_help = "Example:\n  tradewind resume")]
    Resume,
    /// Look over configuration, templates and store
    #[command(after_long_help = "Example:\n  tradewind check --config tradewind.toml")]
    Check,
    /// Tell the clock, or step a rehearsal clock and fire everything due on the way
    #[command(after_long_help = "Example:\n  tradewind clock --to 2024-09-05T10:00:00+08:00")]
    Clock(ClockArgs),
    /// Have the daemon read its configuration again, all or nothing
    #[command(after_long_help = "Example:\n  tradewind reload")]
    Reload,
    /// Make a key to sign letters with (DKIM), and print its DNS record
    #[command(after_long_help = KEYGEN)]
    Keygen(KeygenArgs),
    /// Watch a few days of Tradewind happen, in a throw-away directory, without a network
    #[command(after_long_help = "Examples:\n  tradewind quickstart\n  tradewind quickstart --keep")]
    Quickstart(QuickstartArgs),
    /// Be a mail server on the loopback that keeps letters as files and sends nothing
    #[command(after_long_help = SINK)]
    Sink(SinkArgs),
}

/// `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// How many seconds of the rehearsal clock pass in one (needs --clock)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub clock_speed: Option<u32>,
}

/// `import`.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// The file; `-` or none reads standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
    /// The tag to give; a batch tag without a number means today's batch
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// Contacts of one company and kind at most; 0 lifts it [default: 10 for batch tags]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub cap: Option<u32>,
    /// Fill the batches from the tag's on by room, instead of one batch
    #[arg(long, requires = "tag")]
    pub spread: bool,
    /// Which addresses to take
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// What to do with the tags of known addresses [default: keep with new, else append]
    #[arg(long, value_enum)]
    pub tags: Option<TagMode>,
    /// Write line,address,verdict,detail of every row to a file
    #[arg(long, value_name = "FILE")]
    pub verdicts: Option<PathBuf>,
    /// Read the column HEADER as FIELD (email, name, first_name, last_name, company, domain, country,
    /// language, title, kind, rank, source, tags)
    #[arg(long, value_name = "HEADER=FIELD", value_parser = mapping)]
    pub map: Vec<(String, String)>,
    /// Take rows whose language column contradicts their tag
    #[arg(long)]
    pub force: bool,
    /// Do what cannot be taken back (`--tags replace`)
    #[arg(long)]
    pub yes: bool,
}

/// Which addresses an import takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Unknown ones are added, known ones left alone (仅新增)
    #[default]
    New,
    /// Known ones are updated, unknown ones ignored (仅更新)
    Update,
    /// Both
    Upsert,
}

/// What an import does to the tags of known addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TagMode {
    /// Nothing (无操作)
    Keep,
    /// Adds the new tag (追加)
    Append,
    /// Puts the new tag in place of the others, as a correction (替换)
    Replace,
}

/// `plan`.
#[derive(Args, Debug)]
pub struct PlanArgs {
    /// The day [default: today]
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub date: Option<NaiveDate>,
    /// One line per contact of every due batch
    #[arg(long)]
    pub list: bool,
}

/// One contact.
#[derive(Args, Debug)]
pub struct AddressArg {
    /// Whom
    pub address: String,
}

/// `why`.
#[derive(Args, Debug)]
pub struct WhyArgs {
    /// Whom
    pub address: String,
    /// The day [default: today]
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub date: Option<NaiveDate>,
}

/// `report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// One day [default: today]
    #[arg(long, value_name = "DATE", value_parser = date, conflicts_with_all = ["from", "to"])]
    pub date: Option<NaiveDate>,
    /// First day
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub from: Option<NaiveDate>,
    /// Last day
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub to: Option<NaiveDate>,
}

/// `suppress`.
#[derive(Args, Debug)]
pub struct SuppressArgs {
    /// Something else than adding
    #[command(subcommand)]
    pub what: Option<SuppressWhat>,
    /// Addresses, @DOMAIN for a whole domain, or `-` for standard input
    #[arg(required = true, value_name = "ADDRESS|@DOMAIN|-")]
    pub targets: Vec<String>,
    /// Why, for the history
    #[arg(long, required = true)]
    pub reason: Option<String>,
}

/// What else can be done with the suppression list.
#[derive(Debug, Subcommand)]
pub enum SuppressWhat {
    /// Show the list
    List,
    /// Print the list as JSON lines, for another tool
    Export,
    /// Take entries back, as a correction that history keeps
    Remove {
        /// Addresses, @DOMAIN, or `-` for standard input
        #[arg(required = true, value_name = "ADDRESS|@DOMAIN|-")]
        targets: Vec<String>,
        /// Why, for the history
        #[arg(long)]
        reason: String,
    },
}

/// `hold`.
#[derive(Clone, Debug, Args)]
pub struct HoldArgs {
    /// The batch tag
    #[arg(value_name = "BATCH")]
    pub batch: String,
    /// Why, for those who ask later
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// `release`.
#[derive(Clone, Debug, Args)]
pub struct BatchArg {
    /// The batch tag
    #[arg(value_name = "BATCH")]
    pub batch: String,
}

/// `approve`.
#[derive(Clone, Debug, Args)]
pub struct ApproveArgs {
    /// The batch tag
    #[arg(value_name = "BATCH")]
    pub batch: String,
    /// The day it falls due (today when not given)
    #[arg(long, value_name = "DATE")]
    pub date: Option<NaiveDate>,
}

/// `forecast`.
#[derive(Clone, Debug, Args)]
pub struct ForecastArgs {
    /// How many days, today included
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub days: u16,
    /// Of a thousand letters, how many are opened by people (as so far, when not given)
    #[arg(long, value_name = "PER_THOUSAND")]
    pub opens: Option<u32>,
    /// Of a thousand letters, how many are answered
    #[arg(long, value_name = "PER_THOUSAND", default_value_t = 0)]
    pub replies: u32,
    /// Another number gives other draws
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
}

/// `clock`.
#[derive(Args, Debug)]
pub struct ClockArgs {
    /// Step to this instant
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub to: Option<DateTime<FixedOffset>>,
}

/// `quickstart`.
#[derive(Args, Debug)]
pub struct QuickstartArgs {
    /// Leave the directory and the daemon where they are, to look around
    #[arg(long)]
    pub keep: bool,
}

/// `sink`.
#[derive(Args, Debug)]
pub struct SinkArgs {
    /// Where to keep the letters
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Which port of 127.0.0.1 to listen on; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t, allow_negative_numbers = true)]
    pub port: u16,
}

fn date(text: &str) -> Result<NaiveDate, String> {
    text.parse().map_err(|err| format!("{err}; write a day as YYYY-MM-DD, as 2024-09-05"))
}

fn instant(text: &str) -> Result<DateTime<FixedOffset>, String> {
    DateTime::parse_from_rfc3339(text).map_err(|err| {
        format!("{err}; write an RFC 3339 time with its offset, as 2024-09-05T09:00:00+08:00")
    })
}

fn mapping(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((header, field)) if !header.trim().is_empty() && !field.trim().is_empty() => {
            Ok((header.trim().to_owned(), field.trim().to_owned()))
        }
        _ => Err("write HEADER=FIELD, as 'E-Mail der Firma=email'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Line, clap::Error> {
        Line::try_parse_from(std::iter::once("tradewind").chain(line.split_whitespace()))
    }

    #[test]
    fn clap_finds_no_fault_with_it() {
        Line::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_or_after_the_command() {
        for line in [
            "--json --store s --config c status",
            "status --json --store s --config c",
            "--json suppress --store s list --config c",
            "suppress list --json --store s --config c",
            "--config c suppress a@b.example --json --reason r --store s",
        ] {
            let globals = parse(line).unwrap().globals;
            assert!(globals.json, "{line}");
            assert_eq!(globals.store, Some(PathBuf::from("s")), "{line}");
            assert_eq!(globals.config, Some(PathBuf::from("c")), "{line}");
        }
    }

    #[test]
    fn what_is_good_is_taken() {
        for line in [
            "import",
            "import - --tag 英语-工程设备经销商-营销05 --cap 0 --spread --mode upsert --tags append",
            "import a.csv --map E-Mail=email --map x=y=name --verdicts v.csv --force --yes",
            "run --clock 2024-09-05T09:00:00+08:00 --clock-speed 60",
            "--clock 2024-09-05T09:00:00+08:00 plan --date 2024-09-05 --list",
            "report --from 2024-09-01 --to 2024-09-30",
            "contacts --view 不发邮箱 --list",
            "contacts --view a --tag b --where view='c'",
            "suppress remove a@b.example @c.example --reason r",
            "suppress - --reason r",
            "tag --view 风险客户 同行",
            "assign - wang",
            "stage a@b.example quoted",
            "view 不发邮箱 --explain",
            "pools --overdue",
            "note a@b.example met at the fair",
            "quickstart --keep --json",
        ] {
            if let Err(err) = parse(line) {
                panic!("{line}: {err}");
            }
        }
    }

    #[test]
    fn what_is_not_is_refused_with_a_hint() {
        for (line, word) in [
            ("", "Usage"),
            ("imprt", "import"),
            ("plan --dat 2024-09-05", "--date"),
            ("plan --date 2024-02-30", "YYYY-MM-DD"),
            ("import --cap -1", "'-1' for '--cap <N>'"),
            ("clock --to yesterday", "RFC 3339"),
            ("import --spread", "--tag"),
            ("import --mode nw", "new"),
            ("import --map email", "HEADER=FIELD"),
            ("report --date 2024-09-05 --from 2024-09-01", "cannot be used"),
            ("contacts", "--view"),
            ("suppress a@b.example", "--reason"),
            ("suppress", "ADDRESS"),
            ("untag a@b.example 同行", "--reason"),
            ("view --explain", "NAME"),
            ("tag", "ADDRESS"),
        ] {
            let err = parse(line).map(|_| line).unwrap_err().to_string();
            assert!(err.contains(word), "{line}: {err}");
        }
    }

    #[test]
    fn every_command_shows_examples() {
        let mut line = Line::command();
        line.build();
        for command in line.get_subcommands().filter(|command| command.get_name() != "help") {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "{}", command.get_name());
        }
    }
}
