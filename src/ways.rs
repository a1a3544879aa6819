//! From configuration to ways out: the transport, its bounds, and the public listener.

use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::config::Config;
use crate::control::Failure;
use crate::meaning::Transport as Ways;
use crate::net::dispatch::{Limits, Route, Transport};
use crate::net::maildir::Maildir;
use crate::net::relay::{Login, Relay, Timeouts, TlsLevel};
use crate::secret;
use crate::typed::{RelayConfig, RelayTls};

/// Letters written to the maildir at once.
const MAILDIR_LANES: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");

/// The public listener: systemd's when it hands one over, else our own.
///
/// # Errors
/// When the port is taken or not ours to take.
pub async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(
            73,
            format!("cannot listen on {}: {error}", config.http.listen),
            "free the port, or set http.listen; port 0 takes any",
        )
    };
    match listenfd::ListenFd::from_env().take_tcp_listener(0).map_err(failed)? {
        Some(given) => {
            given.set_nonblocking(true).map_err(failed)?;
            TcpListener::from_std(given).map_err(failed)
        }
        None => TcpListener::bind(config.http.listen).await.map_err(failed),
    }
}

/// Whether a reload may take another configuration: what leaves, and by which way, was opened at
/// the start. To go on by the old way while the file names another would be worse than no reload.
///
/// # Errors
/// 78, and what to do instead.
pub fn reloadable(old: &Config, new: &Config) -> Result<(), Failure> {
    let changed = if old.store != new.store {
        "the store"
    } else if old.transport != new.transport {
        "the transport"
    } else if old.http.listen != new.http.listen {
        "the listener"
    } else {
        return Ok(());
    };
    Err(Failure::usage(
        78,
        format!("a reload cannot change {changed}"),
        "stop the daemon, which lets letters in conversation end, and start it anew",
    ))
}

/// What bounds the dispatcher.
#[must_use]
pub fn bounds(config: &Config, rehearsal: bool) -> Limits {
    let bounds = Limits { drain: Duration::from_secs(config.drain_seconds), ..Limits::default() };
    if rehearsal {
        let (rest_min, rest_max) = (Duration::from_millis(100), Duration::from_millis(500));
        return Limits { rest_min, rest_max, ..bounds };
    }
    bounds
}

/// The configured transport.
///
/// # Errors
/// When a directory cannot be made or a secret not read.
pub fn ways(config: &Config) -> Result<Transport, Failure> {
    match &config.transport {
        Ways::Maildir(path) => {
            let maildir = Maildir::open(path).map_err(|error| {
                Failure::usage(
                    73,
                    format!("{}: {error}", path.display()),
                    "make it writable for this user",
                )
            })?;
            Ok(Transport::Maildir(maildir, MAILDIR_LANES))
        }
        Ways::Relay(relays) => {
            let routes = relays.iter().map(|relay| route(relay, config));
            Ok(Transport::Relays(routes.collect::<Result<_, Failure>>()?))
        }
    }
}

fn route(relay: &RelayConfig, config: &Config) -> Result<Route, Failure> {
    let (_, domain) = config.sender.address.rsplit_once('@').unwrap_or(("", "localhost"));
    let login = match (&relay.user, &relay.secret_file) {
        (Some(user), Some(file)) => {
            // A group that may read it is how root hands a secret to a service.
            let secret = secret::read(file, secret::GROUP_MAY_READ).map_err(|error| {
                Failure::new(78, format!("{}: {error}", file.display()), error.fix(file))
            })?;
            Some(Login { user: user.clone(), secret: secret.trim_end().to_owned() })
        }
        _ => None,
    };
    Ok(Route {
        relay: Relay {
            host: relay.host.clone(),
            port: relay.port,
            ehlo: relay.ehlo.clone().unwrap_or_else(|| domain.to_owned()),
            tls: match relay.tls {
                RelayTls::None => TlsLevel::None,
                RelayTls::Opportunistic => TlsLevel::Opportunistic,
                RelayTls::Required => TlsLevel::Required,
            },
            login,
            timeouts: Timeouts::default(),
        },
        weight: relay.weight,
        connections: NonZeroUsize::try_from(relay.connections).unwrap_or(NonZeroUsize::MIN),
        messages_per_connection_max: relay.messages_per_connection,
        messages_per_second: relay.messages_per_second,
    })
}
