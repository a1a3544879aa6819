//! Who answers a command: the daemon on the store's socket, or the store itself when no daemon runs.
//!
//! The same [`Request`] goes either way, typed: with no daemon nothing is turned into JSON on the
//! way, which is what keeps a large import cheap.

use std::path::{Path, PathBuf};

use crate::cli::args::Globals;
use crate::control::{Answer, Failure, Request};
use crate::socket::Client;

/// The socket's name in the store.
pub const SOCKET: &str = "control.sock";

/// Whoever answers.
#[derive(Debug)]
pub enum Backend {
    /// A daemon is running.
    Daemon(Client),
    /// None is: the store is opened for this command.
    Store(Store),
}

impl Backend {
    /// Finds the daemon of the configured store, or opens the store.
    ///
    /// # Errors
    /// 78 for a configuration or store that is missing or wrong, 75 if somebody holds the store and
    /// does not answer, 77 if this user may not.
    pub fn open(globals: &Globals) -> Result<Self, Failure> {
        match Self::daemon(globals)? {
            Some(client) => Ok(Self::Daemon(client)),
            None => Store::open(globals).map(Self::Store),
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

// ---- SEAM: from here to the foot stands in for config, desk and daemon until they are wired ----

/// The store, opened by this very command.
#[derive(Debug)]
pub struct Store;

impl Store {
    fn open(globals: &Globals) -> Result<Self, Failure> {
        // let config = Config::load(&config_file(globals)?)?; Desk::open(config, globals.clock)
        config_file(globals).map(|_| Self)
    }

    fn ask(&mut self, _request: Request) -> Answer {
        Answer::Failed(not_wired())
    }
}

/// The store's directory: `--store`, else the configured one.
fn store_dir(globals: &Globals) -> Result<PathBuf, Failure> {
    if let Some(dir) = &globals.store {
        return Ok(dir.clone());
    }
    // Config::load(&config_file(globals)?)?.store
    Ok(config_file(globals)?.with_file_name("state"))
}

/// Creates the store that the configuration names.
///
/// # Errors
/// 73 if it cannot be created, 78 if the configuration is wrong or there is a store already.
pub fn init(globals: &Globals) -> Result<Answer, Failure> {
    config_file(globals).and_then(|_| Err(not_wired()))
}

/// Runs the daemon until it is told to stop; `clock_speed` is rehearsal seconds a second.
///
/// # Errors
/// As the daemon says.
pub fn run(globals: &Globals, _clock_speed: Option<u32>) -> Result<(), Failure> {
    config_file(globals).and_then(|_| Err(not_wired()))
}

fn not_wired() -> Failure {
    Failure::new(75, "not wired", "wait for the desk and the daemon")
}
