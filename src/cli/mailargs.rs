//! The commands about what comes back and about people: `inbound`, `inbox`, `rules`, `note`, as they
//! may be typed.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{ArgGroup, Args, Subcommand};

/// One of them.
#[derive(Debug, Subcommand)]
pub enum MailCommand {
    /// Take in what comes back by mail: bounces, complaints, auto-replies, replies
    #[command(after_long_help = INBOUND)]
    Inbound(InboundArgs),
    /// Show whose reply waits for a person, and decide what becomes of them
    #[command(after_long_help = INBOX)]
    Inbox(InboxArgs),
    /// Try the rules: on one message, or on what came in since a day
    #[command(after_long_help = RULES)]
    Rules(RulesArgs),
}

const INBOUND: &str = "\
Examples:
  tradewind inbound < message                       from a pipe of Postfix, procmail, fetchmail
  tradewind inbound --maildir /var/mail/bounces     takes what is in new/, moves it to cur/
  tradewind inbound --explain --json message.eml    says what it is, stores nothing

Exit codes: 0 understood or harmless, 75 deliver it again later, 65 not a message at all.";

const INBOX: &str = "\
Examples:
  tradewind inbox
  tradewind inbox show ann@acme.example
  tradewind inbox done ann@acme.example --tag 询盘     she is a customer now: no more series
  tradewind inbox done ann@acme.example --resume      a false alarm: the series go on
  tradewind inbox done ann@acme.example --suppress    she wants no more mail

Nothing else ends the waiting: until then she gets no series letter.";

const RULES: &str = "\
Examples:
  tradewind rules test < message
  tradewind rules dry-run --from 2024-09-01";

/// `inbound`.
#[derive(Args, Debug)]
pub struct InboundArgs {
    /// Messages; `-` or none reads one from standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Take every message of a Maildir
    #[arg(long, value_name = "DIR", conflicts_with_all = ["files", "mbox"])]
    pub maildir: Option<PathBuf>,
    /// Take every message of an mbox file
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    pub mbox: Option<PathBuf>,
    /// Only say what each message is and whom it is about: nothing is stored or moved
    #[arg(long)]
    pub explain: bool,
}

/// `inbox`.
#[derive(Args, Debug)]
pub struct InboxArgs {
    /// Something else than listing
    #[command(subcommand)]
    pub what: Option<InboxWhat>,
}

/// What else can be done with the inbox.
#[derive(Debug, Subcommand)]
pub enum InboxWhat {
    /// Show who waits, the urgent first
    List,
    /// Show what somebody wrote
    Show {
        /// Whom
        address: String,
    },
    /// Decide what becomes of somebody who waits
    Done(DoneArgs),
}

/// `inbox done`.
#[derive(Args, Debug)]
#[group(skip)]
#[command(group(ArgGroup::new("decision").required(true)))]
pub struct DoneArgs {
    /// Whom
    pub address: String,
    /// The series go on as before
    #[arg(long, group = "decision")]
    pub resume: bool,
    /// Give a tag
    #[arg(long, value_name = "TAG", group = "decision")]
    pub tag: Option<String>,
    /// Never write again
    #[arg(long, group = "decision")]
    pub suppress: bool,
}

/// `rules`.
#[derive(Args, Debug)]
pub struct RulesArgs {
    /// What to try them on
    #[command(subcommand)]
    pub what: RulesWhat,
}

/// What rules can be tried on.
#[derive(Debug, Subcommand)]
pub enum RulesWhat {
    /// One message from standard input: nothing is stored
    Test,
    /// What came in since a day: what the rules as they are now would do, stored nowhere
    DryRun {
        /// The first day [default: the store's first]
        #[arg(long, value_name = "DATE")]
        from: Option<NaiveDate>,
    },
}

/// `note`.
#[derive(Args, Debug)]
pub struct NoteArgs {
    /// Whom
    pub address: String,
    /// The words; all that follows, joined by spaces
    #[arg(required = true)]
    pub text: Vec<String>,
}
