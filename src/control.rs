//! What an operator can ask: requests and answers, as JSON over a unix socket or straight at the
//! store when no daemon runs.
//!
//! One request is one HTTP/1.1 `POST /v1/ask` with a JSON object that names its command; the answer
//! is one JSON object, or one per line for lists. The same shapes serve the CLI, scripts and
//! `curl --unix-socket`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One question or order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Begins an import; answers `{"import": number}`.
    ImportBegin(ImportBegin),
    /// A stretch of rows of a begun import, in file order; answers `{"verdicts": [[line, verdict,
    /// detail]]}` once they are durable.
    ImportRows {
        /// The import's number.
        import: u32,
        /// The rows.
        rows: Vec<ImportRow>,
    },
    /// Ends an import; answers its summary.
    ImportEnd {
        /// The import's number.
        import: u32,
    },
    /// All imports so far.
    Imports {},
    /// The plan of a day (today when absent).
    Plan {
        /// Which day.
        date: Option<chrono::NaiveDate>,
        /// One line per contact of every due batch instead of the summary.
        #[serde(default)]
        list: bool,
    },
    /// Counts and state of the day.
    Status {},
    /// One contact with its timeline.
    Show {
        /// Whom.
        address: String,
    },
    /// Why a contact was, is or was not written to on a day.
    Why {
        /// Whom.
        address: String,
        /// Which day (today when absent).
        date: Option<chrono::NaiveDate>,
    },
    /// Counts by batch over a span of days (today when both ends are absent).
    Report {
        /// First day.
        from: Option<chrono::NaiveDate>,
        /// Last day.
        to: Option<chrono::NaiveDate>,
    },
    /// Proof of the invariants from the journal alone.
    Audit {},
    /// Gives a tag.
    Tag {
        /// Whom.
        addresses: Vec<String>,
        /// Also those of a view.
        #[serde(default)]
        view: Option<String>,
        /// Also those for whom a condition holds, as TOML.
        #[serde(default, rename = "where")]
        condition: Option<String>,
        /// Which.
        tag: String,
    },
    /// Takes a tag back, as a correction.
    Untag {
        /// Whom.
        addresses: Vec<String>,
        /// Also those of a view.
        #[serde(default)]
        view: Option<String>,
        /// Also those for whom a condition holds, as TOML.
        #[serde(default, rename = "where")]
        condition: Option<String>,
        /// Which.
        tag: String,
        /// Why.
        reason: String,
    },
    /// Gives an owner, or none.
    Assign {
        /// Whom.
        addresses: Vec<String>,
        /// Also those of a view.
        #[serde(default)]
        view: Option<String>,
        /// Also those for whom a condition holds, as TOML.
        #[serde(default, rename = "where")]
        condition: Option<String>,
        /// Who looks after them from now on; empty: nobody.
        owner: String,
    },
    /// Sets how far contacts have come.
    Stage {
        /// Whom.
        addresses: Vec<String>,
        /// Also those of a view.
        #[serde(default)]
        view: Option<String>,
        /// Also those for whom a condition holds, as TOML.
        #[serde(default, rename = "where")]
        condition: Option<String>,
        /// The stage; empty: none.
        stage: String,
    },
    /// All tags with their counts.
    Tags {
        /// Only those that nobody has.
        #[serde(default)]
        unused: bool,
        /// Only pairs that are spelt nearly alike.
        #[serde(default)]
        similar: bool,
    },
    /// All views with their sizes, or one of them.
    View {
        /// Which.
        name: Option<String>,
        /// One line per contact.
        #[serde(default)]
        list: bool,
        /// What it is made of, and how many each part holds.
        #[serde(default)]
        explain: bool,
    },
    /// The five pools with today's movement.
    Pools {
        /// One line per intention contact that nobody of ours touched for too long.
        #[serde(default)]
        overdue: bool,
    },
    /// Contacts of a view or tag: how many, or one line each.
    Contacts {
        /// A view's name.
        view: Option<String>,
        /// A tag's name.
        tag: Option<String>,
        /// A condition in the language of views, as TOML.
        #[serde(default, rename = "where")]
        condition: Option<String>,
        /// One line per contact instead of the count.
        #[serde(default)]
        list: bool,
    },
    /// Never write to these again.
    Suppress {
        /// Addresses, or `@domain`.
        targets: Vec<String>,
        /// In the operator's words.
        reason: String,
    },
    /// The suppression list, one line each.
    SuppressList {},
    /// Takes suppressions back, as a correction.
    SuppressRemove {
        /// Addresses, or `@domain`.
        targets: Vec<String>,
        /// In the operator's words.
        reason: String,
    },
    /// Writes a person's note on a contact.
    Note {
        /// Whom.
        address: String,
        /// The words.
        text: String,
    },
    /// A message that came in, understood; durable before it is answered, unless only explained.
    Inbound {
        /// Where it is, as the answer names it.
        file: String,
        /// Its bytes in base64.
        mail: String,
        /// What to do with it.
        #[serde(default)]
        how: Taking,
    },
    /// Whose reply waits for a person: one line each; or all about one of them.
    Inbox {
        /// Whom.
        address: Option<String>,
    },
    /// A person's decision on somebody who waits.
    InboxDone {
        /// Whom.
        address: String,
        /// A tag to give.
        tag: Option<String>,
        /// Never write again. With neither the series go on.
        #[serde(default)]
        suppress: bool,
    },
    /// What the rules as they are now would do about what came in.
    RulesDryRun {
        /// Since which day; absent: the first.
        from: Option<chrono::NaiveDate>,
    },
    /// Stops writing until `resume` (durable).
    Pause {},
    /// Goes on writing.
    Resume {},
    /// Configuration, templates and store, looked over.
    Check {},
    /// Steps the rehearsal clock to an instant, firing everything due on the way.
    Clock {
        /// The instant; absent: only tells the clock.
        to: Option<chrono::DateTime<chrono::FixedOffset>>,
    },
    /// Stops a batch until it is released.
    Hold {
        /// Which.
        batch: String,
        /// In the operator's words.
        #[serde(default)]
        reason: String,
    },
    /// Lets a batch go on.
    Release {
        /// Which.
        batch: String,
    },
    /// Lets a round go out that is larger than `limits.approve_above`.
    Approve {
        /// Which batch.
        batch: String,
        /// The day it falls due (today when absent).
        date: Option<chrono::NaiveDate>,
    },
    /// The days to come, simulated.
    Forecast {
        /// How many days, today included.
        days: u16,
        /// Of a thousand letters, how many are opened by people; absent: as so far.
        opens: Option<u32>,
        /// Of a thousand letters, how many are answered.
        #[serde(default)]
        replies: u32,
        /// What the draws depend on.
        #[serde(default)]
        seed: u64,
    },
    /// Reads the configuration again.
    Reload {},
}

/// What to do with a message that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taking {
    /// Store what follows from it.
    #[default]
    Take,
    /// Only say what it is.
    Explain,
    /// Only say what the rules would do.
    Rules,
}

/// How an import is to be done (DESIGN §4).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportBegin {
    /// File name, or `-`.
    pub file: String,
    /// Who asks.
    pub who: String,
    /// The tag to give; a batch tag without number means the batch of today.
    pub tag: Option<String>,
    /// Contacts of one company and kind at most (absent: 10 for batch tags; 0 lifts it).
    pub cap: Option<u32>,
    /// Fill batches from the tag's on by room.
    pub spread: bool,
    /// `new` (default), `update` or `upsert`.
    pub mode: Option<String>,
    /// `keep`, `append` or `replace`.
    pub tags: Option<String>,
    /// Take rows whose language column contradicts their tag.
    pub force: bool,
    /// Answer the verdicts of invalid rows only: of the others the counts at the end are enough.
    pub quiet: bool,
}

/// One row of an import, as read from the file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Why the row could not be read; everything else is empty then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The address cell.
    pub address: String,
    /// `precise` or `ordinary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The rank column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// The tags column.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The person's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The company's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub company: String,
    /// The country column.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub country: String,
    /// The language column.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// The job title.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The source column.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Every other column, in file order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(String, String)>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// One object.
    One(Value),
    /// One object per line.
    Lines(Vec<Value>),
    /// It was understood, and the finding is a bad one (violations found): exit 1.
    Bad(Value),
    /// It failed.
    Failed(Failure),
}

/// A failure as people and scripts see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The exit code, as sysexits(3) names them: 64 usage, 65 bad data, 66 no such thing, 73 cannot
    /// create, 74 I/O, 75 try later, 77 not permitted, 78 configuration or store.
    pub code: u8,
    /// What went wrong, naming file, line and field where there are such.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Failure {
    /// A failure with its exit code, what went wrong, and what to do about it.
    pub fn new(code: u8, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code, message: message.into(), fix: fix.into() }
    }

    /// As scripts see it: `{"error":{"code","message","fix"}}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::json!({
            "error": { "code": self.code, "message": self.message, "fix": self.fix }
        })
    }

    /// Reads [`Self::to_json`]; `None` for anything else.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        Self::deserialize(value.get("error")?).ok()
    }
}

impl Answer {
    /// The exit code it ends a command with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::One(_) | Self::Lines(_) => 0,
            Self::Bad(_) => 1,
            Self::Failed(failure) => failure.code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_by_its_command() {
        let request: Request = serde_json::from_str(r#"{"command":"status"}"#).unwrap();
        assert!(matches!(request, Request::Status {}));
        let plan = Request::Plan { date: None, list: true };
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(text, r#"{"command":"plan","date":null,"list":true}"#);
        assert!(serde_json::from_str::<Request>(r#"{"command":"plan","dat":1}"#).is_err());
    }

    #[test]
    fn a_failure_survives_its_json() {
        let failure = Failure::new(78, "no store at state", "run `tradewind init`");
        assert_eq!(Failure::from_json(&failure.to_json()), Some(failure));
        assert_eq!(Failure::from_json(&serde_json::json!({"rows": 1})), None);
    }
}
