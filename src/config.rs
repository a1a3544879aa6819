//! The configuration file: TOML as typed, then what it means. Every default and limit is here.
//!
//! Nothing else is read from the environment or from anywhere else. An unknown key is an error, and
//! a reload takes a whole new [`Config`] or keeps the old one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::book::address::Address;
use crate::book::company::Companies;
use crate::book::contact::Day;
use crate::book::tag::{Audience, Series, SeriesKind, TagName};
use crate::book::view::Views;
use crate::cadence::calendar::{Cadence, CadenceMode, ShortMonth, Window, Zone};
use crate::cadence::plan::Limits;
use crate::conditions::Words;
use crate::feedback::rule::Promote;
use crate::letter::lint;
use crate::letter::template::Template;
use crate::letter::variant::Templates;
use crate::sources::{ConfigError, Source, Sources};
use crate::typed::{
    Http, OneOrMany, Raw, RawCadence, RawCompany, RawMode, RawSeries, RawShortMonth, RawTransport,
    RelayConfig, Sender,
};

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
    /// The hours of sending.
    pub window: Window,
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
    /// How letters leave.
    pub transport: Transport,
    /// The public endpoint.
    pub http: Http,
    /// Seconds a stop waits for letters in conversation.
    pub drain_seconds: u64,
}

/// How letters leave.
#[derive(Clone, Debug)]
pub enum Transport {
    /// As files: nothing leaves by accident.
    Maildir(PathBuf),
    /// Over these smarthosts.
    Relay(Vec<RelayConfig>),
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
        let text = fs::read_to_string(file).map_err(|error| ConfigError {
            file: file.display().to_string(),
            message: format!("cannot be read: {error}"),
            fix: "name a configuration with --config FILE; config/quickstart.toml is a good start"
                .to_owned(),
        })?;
        let raw: Raw = toml::from_str(&text).map_err(|error| ConfigError {
            file: file.display().to_string(),
            message: error.to_string().trim_end().to_owned(),
            fix: "correct that line; keys are spelt as in config/quickstart.toml".to_owned(),
        })?;
        Meaning { file }.of(text, raw, store)
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

    /// The group of a plain tag, when it is declared in one.
    #[must_use]
    pub fn group_of(&self, tag: &str) -> Option<&str> {
        let declared = |tags: &Vec<String>| tags.iter().any(|name| name == tag);
        self.groups.iter().find(|(_, tags)| declared(tags)).map(|(group, _)| group.as_str())
    }

    /// Whether letters may leave while a rehearsal clock runs: never to anybody real.
    #[must_use]
    pub fn rehearses(&self) -> bool {
        match &self.transport {
            Transport::Maildir(_) => true,
            Transport::Relay(relays) => {
                relays.iter().all(|relay| relay.sink && is_loopback(&relay.host))
            }
        }
    }
}

fn is_error(finding: &lint::Finding) -> bool {
    finding.level == lint::Level::Error
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// From what was typed to what it means.
struct Meaning<'a> {
    file: &'a Path,
}

impl Meaning<'_> {
    fn wrong(&self, message: impl std::fmt::Display, fix: &str) -> ConfigError {
        ConfigError {
            file: self.file.display().to_string(),
            message: message.to_string(),
            fix: fix.to_owned(),
        }
    }

    fn beside(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    fn of(&self, text: String, raw: Raw, store: Option<&Path>) -> Result<Config, ConfigError> {
        let store = match (store, &raw.store) {
            (Some(named), _) => named.to_owned(),
            (None, Some(own)) => self.beside(own),
            (None, None) => PathBuf::from("/var/lib/tradewind"),
        };
        let series = self.series(raw.series)?;
        self.groups(&raw.tags.groups, &series)?;
        let audiences = self.audiences(&raw.audiences)?;
        let companies = self.companies(&raw.company)?;
        let words = Words {
            groups: &raw.tags.groups,
            allow_new: raw.tags.allow_new,
            audiences: &audiences,
            stages: &raw.care.stages,
            series: &series,
            companies: &companies,
        };
        let sources = self.sources(text, raw.include.map(OneOrMany::list).unwrap_or_default())?;
        let views = sources.views(&words)?;
        let exclude = sources.exclude(raw.exclude, &views)?;
        let templates = self.templates(&raw.templates, &series)?;
        Ok(Config {
            file: self.file.to_owned(),
            zone: Zone(raw.zone),
            promote: self.promote(&raw.cadence.promote)?,
            carry_days_max: raw.cadence.carry_days_max,
            window: self.window(&raw.cadence.window)?,
            cadence: Cadence { mode: self.mode(&raw.cadence)?, series },
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
            transport: self.transport(raw.transport, raw.maildir, raw.relay, &store)?,
            sender: self.sender(raw.sender)?,
            http: self.http(raw.http)?,
            drain_seconds: raw.drain_seconds,
            store,
        })
    }
}

impl Meaning<'_> {
    fn series(&self, raw: RawSeries) -> Result<Series, ConfigError> {
        let RawSeries { marketing, reading, marketing_cycle, reading_cycle } = raw;
        let unusable =
            |name: &String| name.trim().is_empty() || name.ends_with(|c: char| c.is_ascii_digit());
        if marketing.is_empty()
            || reading.is_empty()
            || marketing.iter().chain(&reading).any(unusable)
        {
            let fix = "each series needs a name that does not end in a digit, as 营销 and 阅读";
            return Err(self.wrong("[series]: a name is empty or ends in a digit", fix));
        }
        if let Some(twice) = marketing.iter().find(|name| reading.contains(name)) {
            return Err(self.wrong(format!("[series]: {twice:?} is both series"), "rename one"));
        }
        if !(1..=99).contains(&marketing_cycle) || !(1..=99).contains(&reading_cycle) {
            let fix = "batch numbers have two digits";
            return Err(self.wrong("[series]: a cycle must have 1 to 99 batches", fix));
        }
        Ok(Series { marketing, reading, marketing_cycle, reading_cycle })
    }

    fn mode(&self, raw: &RawCadence) -> Result<CadenceMode, ConfigError> {
        match (raw.mode, raw.epoch) {
            (RawMode::Rolling, Some(epoch)) => {
                Ok(CadenceMode::Rolling { epoch: Day::from_date(epoch) })
            }
            (RawMode::Rolling, None) => Err(self.wrong(
                "cadence.mode = \"rolling\" needs cadence.epoch",
                "name the first day of a cycle, as epoch = \"2026-01-01\"",
            )),
            (RawMode::Calendar, _) => Ok(CadenceMode::Calendar {
                short_month: match raw.short_month {
                    RawShortMonth::Skip => ShortMonth::Skip,
                    RawShortMonth::LastDay => ShortMonth::LastDay,
                },
            }),
        }
    }

    fn promote(&self, text: &str) -> Result<Promote, ConfigError> {
        let hours = text.strip_prefix("after-hours:").map(str::parse);
        match (text, hours) {
            ("next-week", _) => Ok(Promote::NextWeek),
            (_, Some(Ok(hours))) => Ok(Promote::AfterHours(hours)),
            _ => Err(self.wrong(
                format!("cadence.promote = {text:?}"),
                "write \"next-week\" or \"after-hours:48\"",
            )),
        }
    }

    fn window(&self, text: &str) -> Result<Window, ConfigError> {
        let fix = "write it as \"09:00-18:00\"";
        let (opens, closes) = text
            .split_once('-')
            .ok_or_else(|| self.wrong(format!("cadence.window = {text:?}"), fix))?;
        Window::parse(opens.trim(), closes.trim())
            .map_err(|error| self.wrong(format!("cadence.window = {text:?}: {error}"), fix))
    }

    fn audiences(&self, typed: &[String]) -> Result<Vec<Audience>, ConfigError> {
        let one = |text: &String| {
            Audience::parse(text).ok_or_else(|| {
                self.wrong(
                    format!("audiences: {text:?}"),
                    "an audience is {language}-{name}, as 英语-工程设备经销商",
                )
            })
        };
        typed.iter().map(one).collect()
    }

    /// A tag belongs to exactly one group, and batch tags find theirs by their series.
    fn groups(
        &self,
        groups: &BTreeMap<String, Vec<String>>,
        series: &Series,
    ) -> Result<(), ConfigError> {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (group, tags) in groups {
            for tag in tags {
                if let Some(other) = seen.insert(tag, group) {
                    return Err(self.wrong(
                        format!("tags.groups: {tag:?} is in both {other:?} and {group:?}"),
                        "a tag belongs to one group: take it out of the other",
                    ));
                }
                match TagName::parse(tag, series) {
                    Ok(TagName::Plain(_)) => (),
                    Ok(_) => {
                        let fix = "batch tags find their group by their series: take it out";
                        return Err(self.wrong(format!("tags.groups.{group}: {tag:?}"), fix));
                    }
                    Err(error) => {
                        return Err(self.wrong(
                            format!("tags.groups.{group}: {error}"),
                            "correct the tag's name",
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// This file and those it includes, in the order in which their views count.
    fn sources(&self, text: String, includes: Vec<String>) -> Result<Sources, ConfigError> {
        let mut files = Vec::new();
        for name in includes {
            let path = self.beside(Path::new(&name));
            let text = fs::read_to_string(&path).map_err(|error| {
                self.wrong(
                    format!("include = {name:?}: {error}"),
                    "name a file with [[views]] and [exclude], relative to the configuration",
                )
            })?;
            files.push(Source { file: path, text });
        }
        files.push(Source { file: self.file.to_owned(), text });
        Ok(Sources { files })
    }

    fn companies(&self, raw: &RawCompany) -> Result<Companies, ConfigError> {
        let aliases: Vec<(String, String)> =
            raw.aliases.iter().map(|(from, to)| (from.clone(), to.clone())).collect();
        Companies::new(&aliases, &raw.free, &raw.not_free)
            .map_err(|error| self.wrong(format!("[company]: {error}"), "correct that domain"))
    }

    /// All `*.letter` files of the directory.
    fn templates(&self, dir: &Path, series: &Series) -> Result<Templates, ConfigError> {
        let dir = self.beside(dir);
        let unreadable = |error: std::io::Error| ConfigError {
            file: dir.display().to_string(),
            message: format!("templates cannot be read: {error}"),
            fix: "name their directory with templates = \"…\", relative to the configuration"
                .to_owned(),
        };
        let mut templates = Vec::new();
        for found in fs::read_dir(&dir).map_err(unreadable)? {
            let path = found.map_err(unreadable)?.path();
            if path.extension().is_none_or(|ending| ending != "letter") {
                continue;
            }
            let source = fs::read_to_string(&path).map_err(unreadable)?;
            let file = path.display().to_string();
            let template =
                Template::parse(&file, &source, series).map_err(|error| ConfigError {
                    file: file.clone(),
                    message: error.to_string(),
                    fix: "correct the template; `tradewind check` looks at all of them".to_owned(),
                })?;
            if let Some(found) = lint::check(&template, None).into_iter().find(is_error) {
                return Err(ConfigError {
                    file: format!("{}:{}", found.file, found.line),
                    message: found.what,
                    fix: found.fix,
                });
            }
            templates.push(template);
        }
        Ok(Templates::new(templates))
    }

    fn transport(
        &self,
        raw: RawTransport,
        maildir: Option<PathBuf>,
        relays: Vec<RelayConfig>,
        store: &Path,
    ) -> Result<Transport, ConfigError> {
        match raw {
            RawTransport::Maildir => {
                Ok(Transport::Maildir(store.join(maildir.unwrap_or_else(|| "maildir".into()))))
            }
            RawTransport::Relay if relays.is_empty() => Err(self.wrong(
                "transport = \"relay\" without a [[relay]]",
                "add [[relay]] with host = \"…\"",
            )),
            RawTransport::Relay => Ok(Transport::Relay(relays)),
        }
    }

    fn sender(&self, mut sender: Sender) -> Result<Sender, ConfigError> {
        let own = |key: &str, address: &str| match Address::parse(address) {
            Ok(parsed) => Ok(parsed.address.as_str().to_owned()),
            Err(error) => {
                Err(self.wrong(format!("sender.{key} = {address:?}: {error}"), "correct it"))
            }
        };
        sender.address = own("address", &sender.address)?;
        sender.return_path =
            sender.return_path.map(|path| own("return_path", &path)).transpose()?;
        sender.unsubscribe_mailto =
            sender.unsubscribe_mailto.map(|to| own("unsubscribe_mailto", &to)).transpose()?;
        Ok(sender)
    }

    fn http(&self, http: Http) -> Result<Http, ConfigError> {
        let fix = "write how recipients reach the endpoint, as public_url = \"https://m.example\"";
        if let Some(url) = &http.public_url {
            let sound = ["https://", "http://"].iter().any(|scheme| {
                url.strip_prefix(scheme).is_some_and(|rest| {
                    !rest.is_empty()
                        && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
                })
            });
            if !sound || url.ends_with('/') {
                return Err(self.wrong(format!("http.public_url = {url:?}"), fix));
            }
        }
        Ok(http)
    }
}
