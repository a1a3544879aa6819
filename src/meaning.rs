//! From what was typed to what it means: one method per part of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::book::address::Address;
use crate::book::company::Companies;
use crate::book::contact::Day;
use crate::book::tag::{Audience, Series, TagName};
use crate::book::view::Views;
use crate::cadence::calendar::{CadenceMode, Hours, ShortMonth, Window};
use crate::feedback::keyword::Rule;
use crate::feedback::rule::Promote;
use crate::letter::lint;
use crate::letter::template::Template;
use crate::letter::token::MAIL_LEN;
use crate::letter::variant::Templates;
use crate::rulefile;
use crate::spot::{self, ConfigError, Meaning};
use crate::typed::{
    Http, RawCadence, RawClosed, RawCompany, RawMode, RawSeries, RawShortMonth, RawWindow, Sender,
};

/// A local part has 64 octets (RFC 5321 §4.5.3.1.1); `+` and a token want theirs.
const VERP_LOCAL_MAX: usize = 64 - 1 - MAIL_LEN;

fn is_error(finding: &lint::Finding) -> bool {
    finding.level == lint::Level::Error
}

impl Meaning<'_> {
    /// The series' names and cycles.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn series(&self, raw: RawSeries) -> Result<Series, ConfigError> {
        let RawSeries { marketing, reading, marketing_cycle, reading_cycle } = raw;
        let unusable =
            |name: &String| name.trim().is_empty() || name.ends_with(|c: char| c.is_ascii_digit());
        if marketing.is_empty()
            || reading.is_empty()
            || marketing.iter().chain(&reading).any(unusable)
        {
            let fix = "each series needs a name that does not end in a digit, as 营销 and 阅读";
            return Err(self.wrong(
                (&["series"], ""),
                "[series]: a name is empty or ends in a digit",
                fix,
            ));
        }
        if let Some(twice) = marketing.iter().find(|name| reading.contains(name)) {
            let what = format!("[series]: {twice:?} is both series");
            return Err(self.wrong((&["series"], twice), what, "rename one"));
        }
        if !(1..=99).contains(&marketing_cycle) || !(1..=99).contains(&reading_cycle) {
            let fix = "batch numbers have two digits";
            return Err(self.wrong(
                (&["series"], ""),
                "[series]: a cycle must have 1 to 99 batches",
                fix,
            ));
        }
        Ok(Series { marketing, reading, marketing_cycle, reading_cycle })
    }

    /// The days that letters may be carried.
    ///
    /// # Errors
    /// When the state could not remember so long.
    pub fn carry(&self, days: u16) -> Result<u16, ConfigError> {
        /// The state knows for three weeks who was written to in a round, with a week to spare.
        const CARRY_DAYS_MAX: u16 = 14;
        if days > CARRY_DAYS_MAX {
            let fix = "what waits longer goes out in its next round";
            let at = (["cadence", "carry_days_max"].as_slice(), "");
            return Err(self.wrong(at, "cadence.carry_days_max is at most 14", fix));
        }
        Ok(days)
    }

    /// Which batch falls due when.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn mode(&self, raw: &RawCadence) -> Result<CadenceMode, ConfigError> {
        match (raw.mode, raw.epoch) {
            (RawMode::Rolling, Some(epoch)) => {
                Ok(CadenceMode::Rolling { epoch: Day::from_date(epoch) })
            }
            (RawMode::Rolling, None) => Err(self.wrong(
                (&["cadence", "mode"], ""),
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

    /// When readers move.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn promote(&self, text: &str) -> Result<Promote, ConfigError> {
        let hours = text.strip_prefix("after-hours:").map(str::parse);
        match (text, hours) {
            ("next-week", _) => Ok(Promote::NextWeek),
            (_, Some(Ok(hours))) => Ok(Promote::AfterHours(hours)),
            _ => Err(self.wrong(
                (&["cadence", "promote"], ""),
                format!("cadence.promote = {text:?}"),
                "write \"next-week\" or \"after-hours:48\"",
            )),
        }
    }

    /// The hours of the week and the holidays.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn hours(&self, raw: &RawCadence) -> Result<Hours, ConfigError> {
        const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let mut hours = match &raw.window {
            RawWindow::Daily(text) => Hours::daily(self.window(text)?),
            RawWindow::Weekly(days) => {
                let mut hours = Hours::default();
                if let Some(other) = days.keys().find(|day| !DAYS.contains(&day.as_str())) {
                    let fix = "name days mon, tue, wed, thu, fri, sat, sun";
                    let what = format!("cadence.window names {other:?}");
                    return Err(self.wrong((&["cadence", "window"], other), what, fix));
                }
                for (place, name) in hours.week.iter_mut().zip(DAYS) {
                    let text = days.get(name).filter(|text| *text != "closed");
                    *place = text.map(|text| self.window(text)).transpose()?;
                }
                hours
            }
        };
        hours.closed = self.days(&["cadence", "closed_days"], &raw.closed_days)?;
        Ok(hours)
    }

    /// The days on which views are not written to.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn closed(
        &self,
        raw: &[RawClosed],
        views: &Views,
    ) -> Result<Vec<(String, BTreeSet<Day>)>, ConfigError> {
        let one = |closed: &RawClosed| {
            if !views.names().any(|view| view == closed.view) {
                let fix = "declare it under [[views]], or correct the name";
                let what = format!("[[closed]]: no view {:?}", closed.view);
                return Err(self.wrong((&["closed"], &closed.view), what, fix));
            }
            Ok((closed.view.clone(), self.days(&["closed"], &closed.days)?))
        };
        raw.iter().map(one).collect()
    }

    /// Days as `2026-10-01`, or spans of them as `2026-10-01/2026-10-07`.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn days(&self, keys: &[&str], texts: &[String]) -> Result<BTreeSet<Day>, ConfigError> {
        let mut days = BTreeSet::new();
        for text in texts {
            let (first, last) = text.split_once('/').unwrap_or((text, text));
            let day = |text: &str| text.trim().parse().map(Day::from_date);
            let (Ok(first), Ok(last)) = (day(first), day(last)) else {
                let fix = "write a day as 2026-10-01, a span as 2026-10-01/2026-10-07";
                let what = format!("{}: {text:?} is no day", keys.join("."));
                return Err(self.wrong((keys, text), what, fix));
            };
            days.extend((first.0..=last.0).map(Day));
        }
        Ok(days)
    }

    /// The letters a day to each audience.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn audience_limits(
        &self,
        raw: &BTreeMap<String, u32>,
        declared: &[String],
    ) -> Result<Vec<(Audience, u32)>, ConfigError> {
        let one = |(name, most): (&String, &u32)| {
            let audience = Audience::parse(name).filter(|_| declared.contains(name));
            audience.map(|audience| (audience, *most)).ok_or_else(|| {
                let fix = "name one of `audiences`";
                let what = format!("limits.audience_day_max: {name:?} is not declared");
                self.wrong((&["limits", "audience_day_max"], name), what, fix)
            })
        };
        raw.iter().map(one).collect()
    }

    /// The hours of a day.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn window(&self, text: &str) -> Result<Window, ConfigError> {
        let wrong = |why: &str| {
            let what = format!("cadence.window = {text:?}: {why}");
            self.wrong((&["cadence", "window"], text), what, "write it as \"09:00-18:00\"")
        };
        let (opens, closes) =
            text.split_once('-').ok_or_else(|| wrong("no - between two times"))?;
        Window::parse(opens.trim(), closes.trim()).map_err(|error| wrong(&error.to_string()))
    }

    /// The audiences.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn audiences(&self, typed: &[String]) -> Result<Vec<Audience>, ConfigError> {
        let one = |text: &String| {
            Audience::parse(text).ok_or_else(|| {
                self.wrong(
                    (&["audiences"], text),
                    format!("audiences: {text:?} is no audience"),
                    "an audience is {language}-{name}, as 英语-工程设备经销商",
                )
            })
        };
        typed.iter().map(one).collect()
    }

    /// A tag belongs to exactly one group, and batch tags find theirs by their series.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn groups(
        &self,
        groups: &BTreeMap<String, Vec<String>>,
        series: &Series,
    ) -> Result<(), ConfigError> {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (group, tags) in groups {
            for tag in tags {
                if let Some(other) = seen.insert(tag, group) {
                    return Err(self.wrong(
                        (&["tags", "groups", group], tag),
                        format!("tags.groups: {tag:?} is in both {other:?} and {group:?}"),
                        "a tag belongs to one group: take it out of the other",
                    ));
                }
                match TagName::parse(tag, series) {
                    Ok(TagName::Plain(_)) => (),
                    Ok(_) => {
                        let fix = "batch tags find their group by their series: take it out";
                        let what = format!("tags.groups.{group}: {tag:?} is a batch tag");
                        return Err(self.wrong((&["tags", "groups", group], tag), what, fix));
                    }
                    Err(error) => {
                        return Err(self.wrong(
                            (&["tags", "groups", group], tag),
                            format!("tags.groups.{group}: {error}"),
                            "correct the tag's name",
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// How addresses become companies.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn companies(&self, raw: &RawCompany) -> Result<Companies, ConfigError> {
        let aliases: Vec<(String, String)> =
            raw.aliases.iter().map(|(from, to)| (from.clone(), to.clone())).collect();
        Companies::new(&aliases, &raw.free, &raw.not_free).map_err(|error| {
            self.wrong((&["company"], ""), format!("[company]: {error}"), "correct that domain")
        })
    }

    /// All `*.letter` files of the directory.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn templates(&self, dir: &Path, series: &Series) -> Result<Templates, ConfigError> {
        let dir = self.beside(dir);
        let unreadable = |error: std::io::Error| {
            let what = format!("templates: {} cannot be read: {error}", dir.display());
            let fix = "name the directory of the *.letter files, relative to this file";
            self.wrong((&["templates"], ""), what, fix)
        };
        let mut templates = Vec::new();
        for found in fs::read_dir(&dir).map_err(unreadable)? {
            let path = found.map_err(unreadable)?.path();
            if path.extension().is_none_or(|ending| ending != "letter") {
                continue;
            }
            let source = spot::read(&path, "take it away, or let this user read it")?;
            let file = path.display().to_string();
            let template =
                Template::parse(&file, &source, series).map_err(|error| ConfigError {
                    place: format!("{}:{}", error.file, error.line),
                    message: error.what,
                    fix: error.fix,
                })?;
            if let Some(found) = lint::check(&template, None).into_iter().find(is_error) {
                return Err(ConfigError {
                    place: format!("{}:{}", found.file, found.line),
                    message: found.what,
                    fix: found.fix,
                });
            }
            templates.push(template);
        }
        Ok(Templates::new(templates))
    }

    /// The sender identity.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn sender(&self, mut sender: Sender) -> Result<Sender, ConfigError> {
        let own = |key: &str, address: &str| match Address::parse(address) {
            Ok(parsed) => Ok(parsed.address.as_str().to_owned()),
            Err(error) => {
                let what = format!("sender.{key} = {address:?}: {error}");
                Err(self.wrong((&["sender", key], ""), what, "write it as ann@acme.example"))
            }
        };
        sender.address = own("address", &sender.address)?;
        let path = sender.return_path.as_ref().unwrap_or(&sender.address);
        if sender.verp && path.split('@').next().is_none_or(|local| local.len() > VERP_LOCAL_MAX) {
            let fix = "shorten the part before the @ of sender.return_path";
            let what = "sender.verp: no room for `+` and a token within 64 octets";
            return Err(self.wrong((&["sender", "verp"], ""), what, fix));
        }
        sender.return_path =
            sender.return_path.map(|path| own("return_path", &path)).transpose()?;
        sender.unsubscribe_mailto =
            sender.unsubscribe_mailto.map(|to| own("unsubscribe_mailto", &to)).transpose()?;
        Ok(sender)
    }

    /// The rules: the named file's, else those that are shipped.
    ///
    /// # Errors
    /// When the file cannot be read, or says something that cannot be meant.
    pub fn rules(&self, named: Option<&Path>) -> Result<Vec<Rule>, ConfigError> {
        let Some(named) = named else {
            return rulefile::parse(rulefile::SHIPPED).map_err(|why| {
                let what = format!("the shipped rules: {why}");
                self.wrong((&["rules"], ""), what, "this is a fault of tradewind: report it")
            });
        };
        let path = self.beside(named);
        let wrong = |message: String| ConfigError {
            place: path.display().to_string(),
            message,
            fix: "correct that rule; config/rules.toml explains how rules are written".to_owned(),
        };
        let text = spot::read(&path, "name the file of rules, relative to this file")?;
        rulefile::parse(&text).map_err(wrong)
    }

    /// The public endpoint.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn http(&self, http: Http) -> Result<Http, ConfigError> {
        let fix = "write how recipients reach the endpoint, as public_url = \"https://m.example\"";
        if let Some(url) = &http.public_url {
            let sound = ["https://", "http://"].iter().any(|scheme| {
                url.strip_prefix(scheme).is_some_and(|rest| {
                    !rest.is_empty()
                        && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
                })
            });
            if !sound || url.ends_with('/') {
                let what = format!("http.public_url = {url:?} is no address of a site");
                return Err(self.wrong((&["http", "public_url"], ""), what, fix));
            }
        }
        Ok(http)
    }
}
