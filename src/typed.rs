//! The configuration file as typed: what TOML may hold, and every default.
//!
//! What it means is `config`'s; the two steps are kept apart so that a reader of either sees one
//! thing (after ripgrep's low and high arguments).
#![expect(missing_docs, reason = "the keys are documented in config/quickstart.toml, their place")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::book::tag::Series;
use crate::cadence::plan::Limits;
use crate::typedways::{DkimConfig, MxConfig, RelayConfig};

/// The sender identity.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    /// Display name of From.
    pub name: String,
    /// Address of From.
    pub address: String,
    /// Where bounces go; absent: the From address.
    pub return_path: Option<String>,
    /// Whether each letter gets a return path of its own, `local+TOKEN@domain`, by which its bounces
    /// are known for sure (VERP); the mail system must deliver such addresses.
    #[serde(default)]
    pub verp: bool,
    /// A mailbox that takes unsubscribe mails (List-Unsubscribe mailto), if there is one.
    pub unsubscribe_mailto: Option<String>,
    /// Further fields for templates, as `sender.phone`.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// The public endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: std::net::SocketAddr,
    /// How recipients reach it, as https://m.example; absent: the address it listens on.
    pub public_url: Option<String>,
    /// Whether letters carry a pixel.
    pub track_opens: bool,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 8025)),
            public_url: None,
            track_opens: true,
        }
    }
}

/// What comes back by mail.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inbound {
    /// A Maildir that the daemon watches: what is in `new` is taken in and moved to `cur`.
    pub maildir: Option<PathBuf>,
    /// Whom a person's reply stops: `contact` or `company`.
    pub reply_stops: ReplyStops,
}

/// Whom a person's reply stops until somebody decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplyStops {
    /// Whoever wrote.
    #[default]
    Contact,
    /// Everybody of the company.
    Company,
}

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub zone: chrono_tz::Tz,
    pub store: Option<PathBuf>,
    pub audiences: Vec<String>,
    #[serde(default)]
    pub cadence: RawCadence,
    #[serde(default)]
    pub limits: RawLimits,
    #[serde(default)]
    pub series: RawSeries,
    #[serde(default)]
    pub tags: RawTags,
    /// Files with further views, relative to this one.
    pub include: Option<OneOrMany>,
    /// Read by `conditions`, which tells where a mistake stands.
    #[serde(default)]
    pub views: IgnoredAny,
    pub exclude: Option<RawExclude>,
    #[serde(default)]
    pub care: RawCare,
    #[serde(default)]
    pub closed: Vec<RawClosed>,
    #[serde(default)]
    pub company: RawCompany,
    #[serde(default = "default_templates")]
    pub templates: PathBuf,
    pub sender: Sender,
    #[serde(default)]
    pub transport: RawTransport,
    #[serde(default)]
    pub maildir: Option<PathBuf>,
    #[serde(default)]
    pub relay: Vec<RelayConfig>,
    #[serde(default)]
    pub dkim: Vec<DkimConfig>,
    #[serde(default)]
    pub mx: MxConfig,
    #[serde(default)]
    pub http: Http,
    #[serde(default)]
    pub inbound: Inbound,
    pub rules: Option<PathBuf>,
    #[serde(default = "default_drain")]
    pub drain_seconds: u64,
}

fn default_templates() -> PathBuf {
    PathBuf::from("templates")
}

fn default_drain() -> u64 {
    30
}

/// `[cadence]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCadence {
    pub mode: RawMode,
    pub epoch: Option<chrono::NaiveDate>,
    pub short_month: RawShortMonth,
    pub carry_days_max: u16,
    pub promote: String,
    pub window: RawWindow,
    pub closed_days: Vec<String>,
}

/// The hours of every day, or of each weekday.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum RawWindow {
    Daily(String),
    Weekly(BTreeMap<String, String>),
}

/// One of `[[closed]]`: days on which a view's contacts are not written to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawClosed {
    pub view: String,
    pub days: Vec<String>,
}

impl Default for RawCadence {
    fn default() -> Self {
        Self {
            mode: RawMode::Calendar,
            epoch: None,
            short_month: RawShortMonth::Skip,
            carry_days_max: 7,
            promote: "next-week".to_owned(),
            window: RawWindow::Daily("00:00-24:00".to_owned()),
            closed_days: Vec::new(),
        }
    }
}

/// `cadence.mode`.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawMode {
    Calendar,
    Rolling,
}

/// `cadence.short_month`.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RawShortMonth {
    Skip,
    LastDay,
}

/// `[limits]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    pub company_per_day_max: u32,
    pub contact_gap_days_min: u16,
    pub silent_gap_days_min: u16,
    pub day_max: Option<u32>,
    pub sender_day_max: Option<u32>,
    pub audience_day_max: BTreeMap<String, u32>,
    pub approve_above: Option<u32>,
}

impl Default for RawLimits {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            company_per_day_max: limits.company_per_day_max,
            contact_gap_days_min: limits.contact_gap_days_min,
            silent_gap_days_min: limits.silent_gap_days_min,
            day_max: None,
            sender_day_max: None,
            audience_day_max: BTreeMap::new(),
            approve_above: None,
        }
    }
}

/// `[series]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSeries {
    pub marketing: Vec<String>,
    pub reading: Vec<String>,
    pub marketing_cycle: u8,
    pub reading_cycle: u8,
}

impl Default for RawSeries {
    fn default() -> Self {
        let Series { marketing, reading, marketing_cycle, reading_cycle } = Series::default();
        Self { marketing, reading, marketing_cycle, reading_cycle }
    }
}

/// `[tags]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTags {
    pub allow_new: bool,
    pub groups: BTreeMap<String, Vec<String>>,
}

/// One text, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// An included file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawInclude {
    /// Read by `conditions`.
    #[serde(default)]
    pub views: IgnoredAny,
    pub exclude: Option<RawExclude>,
}

/// `[care]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCare {
    /// The stages a contact may be in; none: any.
    pub stages: Vec<String>,
    /// Days after which an intention contact that nobody of ours touched is overdue.
    pub overdue_days: u16,
}

impl Default for RawCare {
    fn default() -> Self {
        Self { stages: Vec::new(), overdue_days: 7 }
    }
}

/// `[exclude]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawExclude {
    pub silent: Vec<String>,
    pub reading: Vec<String>,
}

/// `[company]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCompany {
    pub aliases: BTreeMap<String, String>,
    pub free: Vec<String>,
    pub not_free: Vec<String>,
}

/// `transport`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawTransport {
    #[default]
    Maildir,
    Relay,
    Mx,
}

impl OneOrMany {
    /// As a list.
    #[must_use]
    pub fn list(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}
