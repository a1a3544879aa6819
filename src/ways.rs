//! From configuration to ways out: the transport, its bounds, and the public listener.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Config;
use crate::control::Failure;
use crate::net::crowd::Crowd;
use crate::net::direct::Setup;
use crate::net::dispatch::Transport;
use crate::net::lane::{Limits, Route};
use crate::net::maildir::Maildir;
use crate::net::mx::{Asking, Mx};
use crate::net::relay::{Login, Relay, Timeouts, TlsLevel};
use crate::outgoing::Transport as Ways;
use crate::secret;
use crate::typedways::{MxConfig, Pace, ProvidersFile, RelayConfig, RelayTls};

/// Letters written to the maildir at once.
const MAILDIR_LANES: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");

/// Letters queued for all providers together, beside those in conversation.
const MX_QUEUE_MAX: usize = 2_000;
/// No limits but one connection: what holds until a configuration with providers is read.
const FREE: Pace = Pace {
    connections: NonZeroU32::MIN,
    messages_per_connection: NonZeroU32::MAX,
    messages_per_second: None,
    connects_per_minute: None,
};

/// The public listener: systemd's when it hands one over, else our own.
///
/// # Errors
/// When the port is taken or not ours to take.
pub async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(
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
    } else if !old.transport.is_same_way(&new.transport) {
        "the transport"
    } else if old.http.listen != new.http.listen {
        "the listener"
    } else {
        return Ok(());
    };
    Err(Failure::new(
        78,
        format!("a reload cannot change {changed}"),
        "stop the daemon, which lets letters in conversation end, and start it anew",
    ))
}

/// What bounds the dispatcher.
#[must_use]
fn bounds(config: &Config, rehearsal: bool) -> Limits {
    let bounds = Limits { drain: Duration::from_secs(config.drain_seconds), ..Limits::default() };
    if rehearsal {
        let (rest_min, rest_max) = (Duration::from_millis(100), Duration::from_millis(500));
        let stop = Duration::from_millis(300);
        return Limits { rest_min, rest_max, stop, ..bounds };
    }
    bounds
}

/// The configured transport.
///
/// # Errors
/// When a directory cannot be made or a secret not read.
pub fn ways(config: &Config, outlook: &Outlook) -> Result<Transport, Failure> {
    match &config.transport {
        Ways::Maildir(path) => {
            let maildir = Maildir::open(path).map_err(|error| {
                Failure::new(
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
        Ways::Mx(mx, providers) => {
            outlook.providers.send_replace(Arc::clone(providers));
            Ok(Transport::Direct(Box::new(direct(mx, config, outlook)?)))
        }
    }
}

/// What the dispatcher and the rest of the daemon tell each other.
#[derive(Debug)]
pub struct Outlook {
    /// Providers and their pace, as last read.
    pub providers: watch::Sender<Arc<ProvidersFile>>,
    /// Domains whose letters wait in the plan.
    pub crowd: Arc<Crowd>,
    /// What bounds the dispatcher.
    pub limits: Limits,
}

impl Outlook {
    /// Of a configuration.
    #[must_use]
    pub fn of(config: &Config, rehearsal: bool) -> Self {
        let none = ProvidersFile { other: FREE, provider: Vec::new() };
        let limits = bounds(config, rehearsal);
        Self { providers: watch::Sender::new(Arc::new(none)), crowd: Arc::default(), limits }
    }

    /// Takes the providers of another configuration.
    pub fn reload(&self, config: &Config) {
        if let Ways::Mx(_, providers) = &config.transport {
            self.providers.send_replace(Arc::clone(providers));
        }
    }
}

fn direct(mx: &MxConfig, config: &Config, outlook: &Outlook) -> Result<Setup, Failure> {
    let ehlo = mx.ehlo.clone().unwrap_or_else(|| sender_domain(config).to_owned());
    let asking = Asking {
        servers: mx.servers.clone(),
        timeout: Duration::from_secs(5),
        allow: mx.allow.clone(),
        only_allowed: mx.sink,
        port: mx.port,
        own_name: ehlo.to_ascii_lowercase(),
    };
    let fix = "name DNS servers under [mx], as servers = [\"192.0.2.53:53\"]";
    let asker = Mx::new(asking).map_err(|error| Failure::new(78, error, fix))?;
    Ok(Setup {
        mx: Arc::new(asker),
        manner: Relay {
            host: String::new(),
            port: mx.port,
            ehlo,
            tls: level(mx.tls),
            login: None,
            timeouts: Timeouts::default(),
        },
        connections: usize::try_from(mx.connections.get()).unwrap_or(usize::MAX),
        providers: outlook.providers.subscribe(),
        crowd: Arc::clone(&outlook.crowd),
        idle: outlook.limits.idle,
        stop: outlook.limits.stop,
        drain: outlook.limits.drain,
        queue_max: MX_QUEUE_MAX,
    })
}

fn level(tls: RelayTls) -> TlsLevel {
    match tls {
        RelayTls::None => TlsLevel::None,
        RelayTls::Opportunistic => TlsLevel::Opportunistic,
        RelayTls::Required => TlsLevel::Required,
    }
}

fn sender_domain(config: &Config) -> &str {
    config.sender.address.rsplit_once('@').map_or("localhost", |(_, domain)| domain)
}

fn route(relay: &RelayConfig, config: &Config) -> Result<Route, Failure> {
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
            ehlo: relay.ehlo.clone().unwrap_or_else(|| sender_domain(config).to_owned()),
            tls: level(relay.tls),
            login,
            timeouts: Timeouts::default(),
        },
        weight: relay.weight,
        connections: NonZeroUsize::try_from(relay.connections).unwrap_or(NonZeroUsize::MIN),
        messages_per_connection_max: relay.messages_per_connection,
        messages_per_second: relay.messages_per_second,
    })
}
