//! What the configuration means for letters on their way out: how they leave, and the keys they are
//! signed with.

use std::path::{Path, PathBuf};

use crate::letter::sign::DkimKey;
use crate::meaning::{ConfigError, Meaning};
use crate::secret;
use crate::typed::{DkimConfig, Raw, RawTransport, RelayConfig};

/// How letters leave.
#[derive(Clone, Debug)]
pub enum Transport {
    /// As files: nothing leaves by accident.
    Maildir(PathBuf),
    /// Over these smarthosts.
    Relay(Vec<RelayConfig>),
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
                "transport = \"relay\" without a [[relay]]",
                "add [[relay]] with host = \"…\"",
            )),
            RawTransport::Relay => Ok(Self::Relay(raw.relay.clone())),
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
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
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
    let pem = secret::read(key_file, base)
        .map_err(|error| mean.wrong(format!("{at}: {error}"), error.fix()))?;
    let key = DkimKey::parse(domain, selector, &pem).map_err(|error| {
        let fix = "make a key with `tradewind keygen`";
        mean.wrong(format!("{at}: {}: {error}", key_file.display()), fix)
    })?;
    if !key.signs_for(&from.to_ascii_lowercase()) {
        let fix = "sign by the domain of sender.address: receivers ask for that (DMARC)";
        return Err(mean.wrong(format!("{at} does not sign for {from}"), fix));
    }
    Ok(key)
}
