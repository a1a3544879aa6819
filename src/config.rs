//! The configuration file: TOML as typed, then what it means. Every default and limit is here.
//!
//! Nothing else is read from the environment or from anywhere else. An unknown key is an error, and
//! a reload takes a whole new [`Config`] or keeps the old one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::book::company::Companies;
use crate::book::contact::Day;
use crate::book::tag::{Audience, SeriesKind};
use crate::book::view::Views;
use crate::cadence::calendar::{Cadence, Hours, Zone};
use crate::cadence::plan::Limits;
use crate::conditions::Words;
use crate::feedback::keyword::Rule;
use crate::feedback::rule::Promote;
use crate::letter::sign::DkimKey;
use crate::letter::variant::Templates;
use crate::misread::Misread;
use crate::outgoing::{Transport, dkim_keys};
use crate::sources::Sources;
use crate::spot::{self, ConfigError, Meaning};
use crate::typed::{Http, Inbound, OneOrMany, Raw, Sender};

/// A configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// The store's directory.
    pub store: PathBuf,
    /// The one zone that days are counted in.
    pub zone: Zone,
    /// Which batch falls due when.
    pub cadence: Cadence,
    /// When readers move to a reading batch.
    pub promote: Promote,
    /// Days that what was stopped may be carried.
    pub carry_days_max: u16,
    /// Caps and gaps.
    pub limits: Limits,
    /// Letters a day over everything.
    pub day_max: Option<u32>,
    /// Letters a day from the sender identity.
    pub sender_day_max: Option<u32>,
    /// Letters a day to an audience.
    pub audience_day_max: Vec<(Audience, u32)>,
    /// A round of more letters than this waits for `approve`.
    pub approve_above: Option<u32>,
    /// The hours of sending.
    pub hours: Hours,
    /// Views whose contacts are not written to on these days.
    pub closed: Vec<(String, BTreeSet<Day>)>,
    /// Declared audiences.
    pub audiences: Vec<Audience>,
    /// Whether undeclared tags may be used.
    pub allow_new_tags: bool,
    /// Tag names by group, as declared.
    pub groups: BTreeMap<String, Vec<String>>,
    /// The views.
    pub views: Views,
    /// Declared stages; none: any may be named.
    pub stages: Vec<String>,
    /// Days after which an untouched intention contact is overdue.
    pub overdue_days: u16,
    /// Views that silent batches exclude, in order.
    pub exclude_silent: Vec<String>,
    /// Views that reading batches exclude, in order.
    pub exclude_reading: Vec<String>,
    /// Addresses to companies.
    pub companies: Companies,
    /// The letters.
    pub templates: Templates,
    /// Who writes.
    pub sender: Sender,
    /// What letters are signed with; each signs every letter.
    pub dkim: Vec<DkimKey>,
    /// How letters leave.
    pub transport: Transport,
    /// The public endpoint.
    pub http: Http,
    /// What comes back by mail.
    pub inbound: Inbound,
    /// What is done about it, in order.
    pub rules: Vec<Rule>,
    /// Seconds a stop waits for letters in conversation.
    pub drain_seconds: u64,
}

impl Config {
    /// Reads a configuration file and everything it names.
    ///
    /// `store` overrides the file's own; paths in the file start at the file, the mail directory at
    /// the store.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the file, the place and the fix.
    pub fn load(file: &Path, store: Option<&Path>) -> Result<Self, ConfigError> {
        let fix = "name a configuration with --config FILE; config/quickstart.toml is a good start";
        let text = spot::read(file, fix)?;
        let raw: Raw = toml::from_str(&text).map_err(|error| {
            let Misread { line, column, message, fix } = Misread::of(&text, &error);
            ConfigError { place: format!("{}:{line}:{column}", file.display()), message, fix }
        })?;
        Self::of(raw, Meaning { file, text: &text }, store)
    }

    fn of(raw: Raw, mean: Meaning<'_>, store: Option<&Path>) -> Result<Self, ConfigError> {
        let store = match (store, &raw.store) {
            (Some(named), _) => named.to_owned(),
            (None, Some(own)) => mean.beside(own),
            (None, None) => PathBuf::from("/var/lib/tradewind"),
        };
        let transport = Transport::of(&raw, &mean, &store)?;
        let series = mean.series(raw.series)?;
        mean.groups(&raw.tags.groups, &series)?;
        let audiences = mean.audiences(&raw.audiences)?;
        let companies = mean.companies(&raw.company)?;
        let words = Words {
            groups: &raw.tags.groups,
            allow_new: raw.tags.allow_new,
            audiences: &audiences,
            stages: &raw.care.stages,
            series: &series,
            companies: &companies,
        };
        let includes = raw.include.map(OneOrMany::list).unwrap_or_default();
        let sources = Sources::read(&mean, &includes)?;
        let views = sources.views(&words)?;
        let exclude = sources.exclude(raw.exclude, &views)?;
        let templates = mean.templates(&raw.templates, &series)?;
        Ok(Self {
            transport,
            dkim: dkim_keys(&raw.dkim, &raw.sender.address, &mean)?,
            file: mean.file.to_owned(),
            zone: Zone(raw.zone),
            promote: mean.promote(&raw.cadence.promote)?,
            carry_days_max: mean.carry(raw.cadence.carry_days_max)?,
            hours: mean.hours(&raw.cadence)?,
            closed: mean.closed(&raw.closed, &views)?,
            sender_day_max: raw.limits.sender_day_max,
            audience_day_max: mean.audience_limits(&raw.limits.audience_day_max, &raw.audiences)?,
            approve_above: raw.limits.approve_above,
            cadence: Cadence { mode: mean.mode(&raw.cadence)?, series },
            limits: Limits {
                company_per_day_max: raw.limits.company_per_day_max,
                contact_gap_days_min: raw.limits.contact_gap_days_min,
                silent_gap_days_min: raw.limits.silent_gap_days_min,
                ..Limits::default()
            },
            day_max: raw.limits.day_max,
            audiences,
            allow_new_tags: raw.tags.allow_new,
            groups: raw.tags.groups,
            views,
            exclude_silent: exclude.silent,
            exclude_reading: exclude.reading,
            stages: raw.care.stages,
            overdue_days: raw.care.overdue_days,
            companies,
            templates,
            sender: mean.sender(raw.sender)?,
            http: mean.http(raw.http)?,
            inbound: Inbound {
                maildir: raw.inbound.maildir.map(|dir| store.join(dir)),
                ..raw.inbound
            },
            rules: mean.rules(raw.rules.as_deref())?,
            drain_seconds: raw.drain_seconds,
            store,
        })
    }

    /// Views that a series excludes, in order.
    #[must_use]
    pub fn exclusions(&self, kind: SeriesKind) -> &[String] {
        match kind {
            SeriesKind::Marketing => &self.exclude_silent,
            SeriesKind::Reading => &self.exclude_reading,
        }
    }

    /// What conditions may name.
    #[must_use]
    pub fn words(&self) -> Words<'_> {
        Words {
            groups: &self.groups,
            allow_new: self.allow_new_tags,
            audiences: &self.audiences,
            stages: &self.stages,
            series: &self.cadence.series,
            companies: &self.companies,
        }
    }

    /// The limit of an audience's letters a day: its number, and how many; `None` when it has none.
    #[must_use]
    pub fn audience_limit(&self, audience: &Audience) -> Option<(u16, u32)> {
        let mut limits = self.audience_day_max.iter().enumerate();
        let (number, (_, most)) = limits.find(|(_, (of, _))| of == audience)?;
        Some((u16::try_from(number).ok()?, *most))
    }

    /// The group of a plain tag, when it is declared in one.
    #[must_use]
    pub fn group_of(&self, tag: &str) -> Option<&str> {
        let declared = |tags: &Vec<String>| tags.iter().any(|name| name == tag);
        self.groups.iter().find(|(_, tags)| declared(tags)).map(|(group, _)| group.as_str())
    }

    /// Whether letters may leave while a rehearsal clock runs: never to anybody real.
    #[must_use]
    pub fn rehearses(&self) -> bool {
        self.transport.rehearses()
    }
}
