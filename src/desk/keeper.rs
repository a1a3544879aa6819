//! The keeper: the one who holds store, configuration and the day in work, and does what is asked.
//!
//! Synchronous and single: with a daemon it lives on a thread of its own, without one inside the
//! command. `now` is always an argument.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::book::contact::{ContactId, Day, Moment};
use crate::book::set::ContactSet;
use crate::book::spelling;
use crate::book::tag::{SeriesKind, TagId, TagName};
use crate::config::Config;
use crate::control::Failure;
use crate::desk::dayplan::DayPlan;
use crate::desk::importing::Running;
use crate::feedback::entry::{LetterId, What};
use crate::feedback::open::OpenRules;
use crate::letter::template::Template;
use crate::letter::token::Keys;
use crate::secret::{self, SecretError};
use crate::spot::ConfigError;
use crate::store::db::{Opening, Store};
use crate::store::facts::ClockKind;
use crate::store::ledger;
use crate::store::site::{self, StoreError};

/// Holds everything there is to hold.
pub struct Keeper {
    /// What is remembered.
    pub store: Store,
    /// What is configured.
    pub config: Arc<Config>,
    /// What letters' tokens are signed with.
    pub keys: Arc<Keys>,
    /// Whether the clock is a rehearsal clock.
    pub rehearsal: bool,
    /// The day in work, once its plan is frozen.
    pub day: Option<DayPlan>,
    /// Something happened that may change the day's plan.
    pub stale: bool,
    /// Where the public endpoint is bound, with a daemon.
    pub http: Option<std::net::SocketAddr>,
    /// Imports under way, by their number.
    pub running: HashMap<u32, Running>,
    /// Who an open was by.
    pub open_rules: OpenRules,
    /// When letters were accepted lately, to tell scanners by their haste.
    pub accepted_at: HashMap<LetterId, Moment>,
    /// Letters handed out for a further attempt and not settled yet.
    pub retrying: HashSet<LetterId>,
    /// Letters whose further attempt was refused for this day: not asked about again before the
    /// next day, other limits or a `resume`.
    pub resting: HashSet<LetterId>,
    /// What letters handed out for the first time were composed with: template and Date.
    pub composed: HashMap<LetterId, (u64, Moment)>,
    /// Templates that are kept by the store but no longer configured.
    pub old_templates: HashMap<u64, Arc<Template>>,
}

/// What to open a keeper with.
pub struct Opener<'a> {
    /// The configuration.
    pub config: Arc<Config>,
    /// Whether the clock is a rehearsal clock; `None`: whatever the store has seen.
    pub rehearsal: Option<bool>,
    /// Told how many entries were replayed.
    pub progress: &'a mut dyn FnMut(u64),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { code: error.code(), message: error.to_string(), fix: error.fix() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let fix = error.fix.clone();
        Self { code: 78, message: error.to_string(), fix }
    }
}

impl Keeper {
    /// Opens the store. A letter that was claimed when its daemon died becomes unknown.
    ///
    /// `now` is asked once the store is there, because a store of a rehearsal tells the time.
    ///
    /// # Errors
    /// Everything that [`Store::open`] refuses, and the wrong kind of clock (78).
    pub fn open(
        opener: Opener<'_>,
        now: &dyn Fn(&Store) -> Moment,
    ) -> Result<(Self, Opening), Failure> {
        let config = opener.config;
        let leaves = config.views.leaves().cloned().collect();
        let (store, opening) = Store::open(&config.store, leaves, opener.progress)?;
        let rehearsal = match (store.state().clock, opener.rehearsal) {
            (ClockKind::Real, Some(true)) => {
                return Err(Failure::new(
                    78,
                    "this store has letters of the real clock: a rehearsal clock is refused",
                    "rehearse on another store: --store DIR",
                ));
            }
            (ClockKind::Rehearsal, Some(false)) => {
                return Err(Failure::new(
                    78,
                    "this store has letters of a rehearsal: the real clock is refused",
                    "go on rehearsing with --clock, or make a new store with init",
                ));
            }
            (kind, None) => kind == ClockKind::Rehearsal,
            (_, Some(rehearsal)) => rehearsal,
        };
        let keys = Arc::new(read_keys(store.dir())?);
        let mut keeper = Self {
            store,
            config,
            keys,
            rehearsal,
            day: None,
            stale: true,
            http: None,
            running: HashMap::new(),
            open_rules: OpenRules::shipped(),
            accepted_at: HashMap::new(),
            retrying: HashSet::new(),
            resting: HashSet::new(),
            composed: HashMap::new(),
            old_templates: HashMap::new(),
        };
        let now = now(&keeper.store);
        keeper.settle_doubt(now)?;
        Ok((keeper, opening))
    }

    fn settle_doubt(&mut self, now: Moment) -> Result<(), Failure> {
        for letter in ledger::in_doubt(self.store.state()) {
            let why = "the daemon stopped between claim and outcome".to_owned();
            self.store.record(now, What::Unknown { letter, why })?;
        }
        Ok(self.store.commit()?)
    }

    /// Takes another configuration in the place of the old one.
    ///
    /// # Errors
    /// When the book cannot be read for the views' new conditions.
    pub fn reconfigure(&mut self, config: Arc<Config>) -> Result<(), Failure> {
        self.store.watch(config.views.leaves().cloned().collect())?;
        self.config = config;
        self.stale = true;
        self.resting.clear();
        Ok(())
    }

    /// The calendar day of a moment.
    #[must_use]
    pub fn day_of(&self, now: Moment) -> Day {
        self.config.zone.day_of(now)
    }

    /// Who of `within` is in each of the views that a series excludes.
    ///
    /// # Errors
    /// When a view cannot be evaluated: nobody is guessed to be outside it.
    pub fn exclusions(
        &self,
        kind: SeriesKind,
        within: &ContactSet,
        today: Day,
    ) -> Result<Vec<(String, ContactSet)>, Failure> {
        let names = self.config.exclusions(kind);
        let each = names.iter().map(|name| Ok((name.clone(), self.view(name, within, today)?)));
        each.collect()
    }

    /// The first view of a series that holds a contact.
    ///
    /// # Errors
    /// As [`Self::exclusions`].
    pub fn excluded(
        &self,
        kind: SeriesKind,
        id: ContactId,
        today: Day,
    ) -> Result<Option<String>, Failure> {
        let only: ContactSet = std::iter::once(id).collect();
        for name in self.config.exclusions(kind) {
            if self.view(name, &only, today)?.contains(id) {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }

    /// The number of a tag as typed; declared at its first use.
    ///
    /// # Errors
    /// When it is no tag, or not declared in the configuration.
    pub fn tag(&mut self, typed: &str, now: Moment) -> Result<TagId, Failure> {
        let parsed = TagName::parse(typed, &self.config.cadence.series).map_err(|error| {
            Failure::new(65, error.to_string(), "write the tag as `tradewind tags` shows tags")
        })?;
        let parsed = match parsed {
            TagName::BatchOfToday(batch) => {
                let no = self.config.cadence.batch_of_today(self.day_of(now), batch.kind);
                TagName::Batch(batch.with_no(no))
            }
            other => other,
        };
        let name = match &parsed {
            TagName::Batch(batch) | TagName::BatchOfToday(batch) => batch.to_string(),
            TagName::Plain(name) => name.clone(),
        };
        if let Some(known) = self.store.state().tag_names.get(&name) {
            return Ok(*known);
        }
        let (group, batch) = match parsed {
            TagName::Batch(batch) | TagName::BatchOfToday(batch) => {
                self.declared_audience(&batch.audience)?;
                let group = batch.kind.group();
                let parts =
                    (batch.audience.as_str().to_owned(), batch.kind, batch.series, batch.no);
                (group.to_owned(), Some(parts))
            }
            TagName::Plain(name) => (self.declared_group(&name)?, None),
        };
        let count = self.store.state().tags.len();
        let tag = u16::try_from(count).ok().filter(|id| *id < crate::store::fresh::LABELS);
        let tag = tag
            .map(TagId)
            .ok_or_else(|| Failure::new(65, "there are 61,000 tags already", "use one of them"))?;
        self.store.record(now, What::TagDeclared { tag, name, group, batch })?;
        Ok(tag)
    }

    fn declared_audience(&self, audience: &crate::book::tag::Audience) -> Result<(), Failure> {
        if self.config.audiences.contains(audience) {
            return Ok(());
        }
        let declared: Vec<&str> = self.config.audiences.iter().map(|one| one.as_str()).collect();
        Err(Failure::new(
            65,
            format!("audience {audience} is not declared; declared are: {}", declared.join(", ")),
            "correct the tag, or add the audience to `audiences` in the configuration",
        ))
    }

    fn declared_group(&self, name: &str) -> Result<String, Failure> {
        if let Some(group) = self.config.group_of(name) {
            return Ok(group.to_owned());
        }
        if self.config.allow_new_tags {
            return Ok("other".to_owned());
        }
        let like = self.like(name);
        let hint = like.map_or_else(String::new, |like| format!("; did you mean {like:?}?"));
        Err(Failure::new(
            65,
            format!("tag {name:?} is not declared{hint}"),
            "declare it in a group under [tags.groups], or set tags.allow_new = true",
        ))
    }

    /// A declared tag that is spelt nearly so.
    fn like(&self, name: &str) -> Option<&str> {
        spelling::like(name, self.config.groups.values().flatten().map(String::as_str))
    }
}

/// Makes a store with an identity and keys of its own.
///
/// # Errors
/// When there is one already, or the directory cannot be written.
pub fn init(dir: &Path, now: Moment) -> Result<(), Failure> {
    let mut id = [0; 16];
    let mut key = [0; 32];
    let random = ring::rand::SystemRandom::new();
    for bytes in [id.as_mut_slice(), key.as_mut_slice()] {
        ring::rand::SecureRandom::fill(&random, bytes).map_err(|_| {
            Failure::new(74, "the system gives no random numbers", "check /dev/urandom")
        })?;
    }
    let path = dir.join("token-keys");
    let text = format!("1 {}\n", data_encoding::HEXLOWER.encode(&key));
    let furnish = || write_secret(&path, &text).map_err(|error| site::at(&path, error));
    Ok(Store::init(dir, now, id, furnish)?)
}

fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The store's token keys: a line each, `ID HEX`, oldest first; the last one signs.
fn read_keys(dir: &Path) -> Result<Keys, Failure> {
    let path = dir.join("token-keys");
    let wrong = |why: &str| {
        Failure::new(
            78,
            format!("{}: {why}", path.display()),
            "restore the file from a backup: without it old letters' links no longer work",
        )
    };
    let text = match secret::read(&path, secret::OWNERS_ONLY) {
        Err(SecretError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(wrong("is missing"));
        }
        read => read.map_err(|error| {
            Failure::new(78, format!("{}: {error}", path.display()), error.fix(&path))
        })?,
    };
    let mut keys = Vec::new();
    for line in text.lines() {
        let key = line.split_once(' ').and_then(|(id, hex)| {
            let bytes = data_encoding::HEXLOWER.decode(hex.trim().as_bytes()).ok()?;
            Some((id.parse().ok()?, bytes.try_into().ok()?))
        });
        keys.push(key.ok_or_else(|| wrong("a line is not `ID HEX`"))?);
    }
    Keys::new(keys).map_err(|error| wrong(&error.to_string()))
}
