//! What the configuration means for letters on their way out: how they leave, and the keys they are
//! signed with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::letter::sign::DkimKey;
use crate::range::Range;
use crate::secret;
use crate::spot::{ConfigError, Meaning};
use crate::typed::{Raw, RawTransport};
use crate::typedways::{DkimConfig, MxConfig, ProvidersFile, RelayConfig};

/// How letters leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As files: nothing leaves by accident.
    Maildir(PathBuf),
    /// Over these smarthosts.
    Relay(Vec<RelayConfig>),
    /// To the hosts of the recipients' domains, at the pace of their providers.
    Mx(Box<MxConfig>, Arc<ProvidersFile>),
}

impl Transport {
    /// Reads how letters leave; the mail directory begins at the store.
    ///
    /// # Errors
    /// When it says something that cannot be meant.
    pub fn of(raw: &Raw, mean: &Meaning<'_>, store: &Path) -> Result<Self, ConfigError> {
        match raw.transport {
            RawTransport::Maildir => {
                let dir = raw.maildir.as_deref().unwrap_or(Path::new("maildir"));
                Ok(Self::Maildir(store.join(dir)))
            }
            RawTransport::Relay if raw.relay.is_empty() => Err(mean.wrong(
                (&["transport"], ""),
                "transport = \"relay\" without a [[relay]]",
                "add [[relay]] with host = \"…\"",
            )),
            RawTransport::Relay => {
                let relays = raw.relay.iter().cloned().map(|one| relay(one, mean));
                Ok(Self::Relay(relays.collect::<Result<_, _>>()?))
            }
            RawTransport::Mx => {
                let mx = &raw.mx;
                if mx.sink && mx.allow.is_empty() {
                    let fix = "name the addresses of the sink, as allow = [\"127.0.0.0/8\"]";
                    return Err(mean.wrong(
                        (&["mx", "sink"], ""),
                        "[mx] sink = true without allow",
                        fix,
                    ));
                }
                let file = mx.providers.as_deref();
                Ok(Self::Mx(Box::new(mx.clone()), Arc::new(providers(file, mean)?)))
            }
        }
    }

    /// Whether letters leave the same way by another configuration; the pace of providers may change.
    #[must_use]
    pub fn is_same_way(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mx(one, _), Self::Mx(other, _)) => one == other,
            _ => self == other,
        }
    }

    /// Whether letters may leave while a rehearsal clock runs: never to anybody real.
    #[must_use]
    pub fn rehearses(&self) -> bool {
        match self {
            Self::Maildir(_) => true,
            Self::Relay(relays) => {
                relays.iter().all(|relay| relay.sink && is_loopback(&relay.host))
            }
            Self::Mx(mx, _) => {
                mx.sink
                    && !mx.servers.is_empty()
                    && mx.servers.iter().all(|server| server.ip().is_loopback())
                    && mx.allow.iter().all(Range::is_loopback)
            }
        }
    }
}

fn relay(mut relay: RelayConfig, mean: &Meaning<'_>) -> Result<RelayConfig, ConfigError> {
    if relay.user.is_some() != relay.secret_file.is_some() {
        let what = "relay: user without secret_file, or the reverse";
        return Err(mean.wrong((&["relay"], &relay.host), what, "give both, or neither"));
    }
    let base = mean.file.parent().unwrap_or(Path::new(""));
    relay.secret_file = relay.secret_file.map(|file| secret::locate(&file, base));
    Ok(relay)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Reads the file of providers, or takes the one we ship.
fn providers(file: Option<&Path>, mean: &Meaning<'_>) -> Result<ProvidersFile, ConfigError> {
    const SHIPPED: &str = include_str!("../config/providers.toml");
    let fix = "write it as config/providers.toml is written";
    let Some(file) = file else {
        return toml::from_str(SHIPPED).map_err(|error| mean.wrong((&["mx"], ""), error, fix));
    };
    let path = mean.beside(file);
    let wrong = |error: &dyn std::fmt::Display| {
        let what = format!("{}: {}", path.display(), error.to_string().trim_end());
        mean.wrong((&["mx", "providers"], ""), what, fix)
    };
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(&error))?;
    toml::from_str(&text).map_err(|error| wrong(&error))
}

/// Reads the keys that sign mail from `from`, all at once: a reload that cannot read one changes
/// nothing.
///
/// # Errors
/// When a file is not secret or holds no key, or a key is another domain's.
pub fn dkim_keys(
    typed: &[DkimConfig],
    from: &str,
    mean: &Meaning<'_>,
) -> Result<Vec<DkimKey>, ConfigError> {
    typed.iter().map(|key| dkim_key(key, from, mean)).collect()
}

fn dkim_key(typed: &DkimConfig, from: &str, mean: &Meaning<'_>) -> Result<DkimKey, ConfigError> {
    let DkimConfig { domain, selector, key_file } = typed;
    let at = format!("[[dkim]] {selector}._domainkey.{domain}");
    let base = mean.file.parent().unwrap_or(Path::new(""));
    let spot: (&[&str], &str) = (&["dkim"], selector);
    let path = secret::locate(key_file, base);
    let pem = secret::read(&path, secret::GROUP_MAY_READ).map_err(|error| {
        mean.wrong(spot, format!("{at}: {}: {error}", path.display()), &error.fix(&path))
    })?;
    let key = DkimKey::parse(domain, selector, &pem).map_err(|error| {
        let fix = "make a key with `tradewind keygen`";
        mean.wrong(spot, format!("{at}: {}: {error}", key_file.display()), fix)
    })?;
    if !key.signs_for(&from.to_ascii_lowercase()) {
        let fix = "sign by the domain of sender.address: receivers ask for that (DMARC)";
        return Err(mean.wrong(spot, format!("{at} does not sign for {from}"), fix));
    }
    Ok(key)
}
