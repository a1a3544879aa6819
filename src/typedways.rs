//! What the configuration may hold about ways out, as typed: relays, providers, keys.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;

use crate::range::Range;

/// One smarthost.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// Host name or address.
    pub host: String,
    /// Port.
    #[serde(default = "default_smtp_port")]
    pub port: u16,
    /// `none`, `opportunistic` or `required`.
    #[serde(default)]
    pub tls: RelayTls,
    /// User name for AUTH.
    pub user: Option<String>,
    /// File that holds the password, readable by the daemon only, or `credential:NAME`.
    pub secret_file: Option<PathBuf>,
    /// Connections at once.
    #[serde(default = "default_connections")]
    pub connections: NonZeroU32,
    /// Letters per connection.
    #[serde(default = "default_letters_per_connection")]
    pub messages_per_connection: NonZeroU32,
    /// Letters per second.
    pub messages_per_second: Option<NonZeroU32>,
    /// Share among several relays.
    #[serde(default = "default_weight")]
    pub weight: NonZeroU32,
    /// Says that what arrives there goes no further; a rehearsal clock needs it.
    #[serde(default)]
    pub sink: bool,
    /// EHLO name; absent: the domain of the From address.
    pub ehlo: Option<String>,
}

/// `[mx]`: direct delivery.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MxConfig {
    /// Name servers; none: the machine's own.
    pub servers: Vec<std::net::SocketAddr>,
    /// EHLO name; absent: the domain of the From address. Its address should be ours, and back.
    pub ehlo: Option<String>,
    /// `opportunistic`, `required` or `none`.
    pub tls: RelayTls,
    /// Port of the mail hosts.
    pub port: u16,
    /// Addresses that may be written to although they are not public.
    pub allow: Vec<Range>,
    /// File of providers and their pace; absent: config/providers.toml as shipped.
    pub providers: Option<PathBuf>,
    /// Connections at once, over everything.
    pub connections: NonZeroU32,
    /// Says that only `allow` is written to, and what arrives goes no further: a rehearsal.
    pub sink: bool,
}

impl Default for MxConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            ehlo: None,
            tls: RelayTls::default(),
            port: default_smtp_port(),
            allow: Vec::new(),
            providers: None,
            connections: const { NonZeroU32::new(500).expect("not zero") },
            sink: false,
        }
    }
}

/// What a provider is sent at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// Connections at once.
    pub connections: NonZeroU32,
    /// Letters per connection.
    pub messages_per_connection: NonZeroU32,
    /// Letters a second.
    pub messages_per_second: Option<NonZeroU32>,
    /// Connections begun a minute.
    pub connects_per_minute: Option<NonZeroU32>,
}

/// One provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProviderConfig {
    /// Its name, for people.
    pub name: String,
    /// How the names of its MX hosts end.
    pub mx: Vec<String>,
    /// Its pace.
    #[serde(flatten)]
    pub pace: Pace,
}

/// The file of providers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvidersFile {
    /// The pace of hosts that are no known provider's.
    pub other: Pace,
    /// The providers.
    #[serde(default)]
    pub provider: Vec<ProviderConfig>,
}

/// A key that letters are signed with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkimConfig {
    /// The domain that signs: the From address's own, or one above it.
    pub domain: String,
    /// Where in DNS the public key is: `selector._domainkey.domain`.
    pub selector: String,
    /// File with the private key in PEM, or `credential:NAME`.
    pub key_file: PathBuf,
}

/// How a relay is to be encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayTls {
    /// Never.
    None,
    /// When offered, whatever the certificate.
    #[default]
    Opportunistic,
    /// Always, with a certificate that verifies.
    Required,
}

fn default_smtp_port() -> u16 {
    25
}

fn default_connections() -> NonZeroU32 {
    const { NonZeroU32::new(4).expect("not zero") }
}

fn default_letters_per_connection() -> NonZeroU32 {
    const { NonZeroU32::new(100).expect("not zero") }
}

fn default_weight() -> NonZeroU32 {
    NonZeroU32::MIN
}
