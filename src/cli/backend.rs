//! Who answers a command: the daemon on the store's socket, or the store itself when no daemon runs.
//!
//! The same [`Request`] goes either way, typed: with no daemon nothing is turned into JSON on the
//! way, which is what keeps a large import cheap.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::ProgressBar;

use crate::book::contact::Moment;
use crate::cli::args::Globals;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{Answer, Failure, Request};
use crate::daemon::{self, Options};
use crate::desk::keeper::{self, Keeper, Opener};
use crate::socket::{Client, Peer};
use crate::store::db::Opening;
use crate::store::facts::ClockKind;

/// The socket's name in the store.
pub const SOCKET: &str = "control.sock";

/// Whoever answers.
#[derive(Debug)]
pub enum Backend {
    /// A daemon is running.
    Daemon(Client),
    /// None is: the store is opened for this command.
    Store(Box<Store>),
}

impl Backend {
    /// Finds the daemon of the configured store, or opens the store.
    ///
    /// # Errors
    /// 78 for a configuration or store that is missing or wrong, 75 if somebody holds the store and
    /// does not answer, 77 if this user may not.
    pub fn open(globals: &Globals) -> Result<Self, Failure> {
        match Self::daemon(globals)? {
            Some(client) => {
                if globals.clock.is_some() {
                    tell(&"a daemon runs: its clock holds, --clock is not used");
                }
                Ok(Self::Daemon(client))
            }
            None => Ok(Self::Store(Box::new(Store::open(globals)?))),
        }
    }

    /// The daemon of the configured store, if one runs.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn daemon(globals: &Globals) -> Result<Option<Client>, Failure> {
        Client::connect(&store_dir(globals)?.join(SOCKET))
    }

    /// Asks one thing.
    pub fn ask(&mut self, request: Request) -> Answer {
        match self {
            Self::Daemon(client) => client.ask(&request),
            Self::Store(store) => store.ask(request),
        }
    }
}

/// The configuration in force: the one given, else ./tradewind.toml, else the machine's.
///
/// # Errors
/// 78 if there is none.
pub fn config_file(globals: &Globals) -> Result<PathBuf, Failure> {
    const PLACES: [&str; 2] = ["tradewind.toml", "/etc/tradewind/tradewind.toml"];
    if let Some(path) = &globals.config {
        return Ok(path.clone());
    }
    PLACES.iter().map(Path::new).find(|path| path.exists()).map(Path::to_path_buf).ok_or_else(
        || {
            Failure::new(
                78,
                format!("there is no configuration: neither ./{} nor {}", PLACES[0], PLACES[1]),
                "give one with --config FILE; config/quickstart.toml is one to start from",
            )
        },
    )
}

/// The account this process runs as.
#[must_use]
pub fn account() -> String {
    let own = fs::metadata("/proc/self").map(|process| Peer { uid: process.uid(), pid: None });
    own.map_or_else(|_| String::new(), |own| own.account())
}

/// The store's directory: `--store`, else the configured one.
fn store_dir(globals: &Globals) -> Result<PathBuf, Failure> {
    match &globals.store {
        Some(dir) => Ok(dir.clone()),
        None => Ok(config(globals)?.store),
    }
}

fn config(globals: &Globals) -> Result<Config, Failure> {
    Ok(Config::load(&config_file(globals)?, globals.store.as_deref())?)
}

/// The store, opened by this very command.
pub struct Store {
    /// Empty only while it is opened again.
    keeper: Option<Keeper>,
    globals: Globals,
    clock: Option<Moment>,
    who: String,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({:?})", self.globals.store)
    }
}

impl Store {
    fn open(globals: &Globals) -> Result<Self, Failure> {
        let clock = globals.clock.map(|at| Moment::from_utc(at.to_utc()));
        let keeper = Some(Self::keeper(globals, clock)?);
        Ok(Self { keeper, globals: globals.clone(), clock, who: account() })
    }

    fn keeper(globals: &Globals, clock: Option<Moment>) -> Result<Keeper, Failure> {
        // Indicatif draws on a terminal only, and a short replay is over before it does.
        let bar = ProgressBar::new_spinner().with_message("entries read back from the journal");
        let mut progress = |entries| bar.set_position(entries);
        let opener = Opener {
            config: Arc::new(config(globals)?),
            rehearsal: clock.map(|_| true),
            progress: &mut progress,
        };
        let (keeper, opening) = Keeper::open(opener, &|store| now(store, clock))?;
        bar.finish_and_clear();
        told(&opening);
        Ok(keeper)
    }

    /// Asks; a memory that turns out to be damaged is rebuilt, and asked once more.
    fn ask(&mut self, request: Request) -> Answer {
        let Some(keeper) = &mut self.keeper else {
            let fix = "run the command again";
            return Answer::Failed(Failure::new(74, "the store could not be opened again", fix));
        };
        // What an import brought in, the next command shall not have to read back from the journal.
        let imported = matches!(request, Request::ImportEnd { .. });
        // An import's rows are asked again with their import, by whoever reads them.
        let again = (!matches!(request, Request::ImportRows { .. })).then(|| request.clone());
        let mut answer = keeper.answer(request, &self.who, now(&keeper.store, self.clock));
        if imported && let Err(error) = keeper.store.settle() {
            answer = Answer::Failed(error.into());
        }
        let Some(again) = again.filter(|_| keeper.store.is_condemned()) else { return answer };
        // The old one must let go of the store first.
        self.keeper = None;
        match Self::keeper(&self.globals, self.clock) {
            Ok(keeper) => {
                let now = now(&keeper.store, self.clock);
                self.keeper.insert(keeper).answer(again, &self.who, now)
            }
            Err(failure) => Answer::Failed(failure),
        }
    }
}

/// What an operator should know of how the store was found.
fn told(opening: &Opening) {
    if let Some(torn) = &opening.torn {
        let (segment, bytes, offset) = (torn.segment.display(), torn.bytes, torn.offset);
        tell(&format_args!(
            "{segment}: cut off {bytes} bytes at {offset} that were never answered"
        ));
    }
    if let Some(why) = &opening.rebuilt {
        let replayed = opening.replayed;
        tell(&format_args!("memory rebuilt from the journal, {replayed} entries: {why}"));
    }
}

/// A message beside the answer; nobody is left to tell if it fails.
pub fn tell(message: &dyn fmt::Display) {
    let _ = writeln!(io::stderr(), "tradewind: {message}");
}

/// Creates the store that the configuration names.
///
/// # Errors
/// 73 if it cannot be created, 78 if the configuration is wrong or there is a store already.
pub fn init(globals: &Globals) -> Result<Answer, Failure> {
    let dir = config(globals)?.store;
    keeper::init(&dir, globals.clock.map_or_else(real_now, |at| Moment::from_utc(at.to_utc())))?;
    Ok(Answer::One(serde_json::json!({ "store": dir.display().to_string() })))
}

/// What time it is for a command without a daemon: `--clock`, else a rehearsal's last instant, else
/// the real time.
fn now(store: &crate::store::db::Store, clock: Option<Moment>) -> Moment {
    let state = store.state();
    match (clock, state.clock) {
        (Some(clock), _) => clock,
        (None, ClockKind::Rehearsal) => state.last_at,
        (None, _) => real_now(),
    }
}

fn real_now() -> Moment {
    Clock::real().now()
}

/// Runs the daemon until it is told to stop; `clock_speed` is rehearsal seconds a second.
///
/// # Errors
/// As the daemon says.
pub fn run(globals: &Globals, clock_speed: Option<u32>) -> Result<(), Failure> {
    let clock = globals.clock.map(|at| Moment::from_utc(at.to_utc()));
    let options = Options {
        config: config_file(globals)?,
        store: globals.store.clone(),
        clock: clock.map(|at| (at, clock_speed.unwrap_or(0))),
    };
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_target(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|err| Failure::new(71, format!("no runtime: {err}"), "free some memory"))?;
    runtime.block_on(daemon::run(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_we_are_has_a_name() {
        assert!(!account().is_empty());
    }
}
