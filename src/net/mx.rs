//! Where mail for a domain goes: its MX hosts in order, and their addresses (RFC 5321 §5, RFC 7505).
//!
//! What DNS says for good (no such domain, null MX) and what it cannot say now are told apart; the
//! second never hurts a contact. Hosts that did not answer are remembered, so that a dead one costs
//! one time-out and not one a letter.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::feedback::verdict::{Class, Verdict};
use crate::range::Range;

/// A host that took no connection is left alone for so long.
const DEAD_FOR: Duration = Duration::from_secs(120);
/// Dead hosts remembered at most.
const DEAD_MAX: usize = 100_000;

/// How to ask DNS, and where letters may go.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Name servers; none: the machine's own.
    pub servers: Vec<SocketAddr>,
    /// For one answer of one server.
    pub timeout: Duration,
    /// Addresses that are taken for targets although they are not public.
    pub allow: Vec<Range>,
    /// Whether only those are targets: a rehearsal.
    pub only_allowed: bool,
    /// TCP port of the hosts.
    pub port: u16,
    /// Our own name: a host of that name would be a loop.
    pub own_name: String,
}

/// The hosts of a domain, the most preferred first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanges {
    /// Preference and name, in lower case without the last dot.
    pub hosts: Vec<(u16, String)>,
}

/// Why there is no host to go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoWay {
    /// The domain says that it takes no mail.
    NullMx,
    /// There is no such domain, or it has no host for mail.
    NoHost(String),
    /// It cannot be told now, or nothing may be sent there.
    NotNow(String),
}

impl NoWay {
    /// What it means for a letter. That a domain is gone is believed on the second day only, and
    /// by whoever keeps the ledger.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::NullMx => Verdict::Refused {
                class: Class::BadDomain,
                reply: "the domain takes no mail (null MX)".to_owned(),
            },
            Self::NoHost(reply) => Verdict::Deferred { class: Class::BadDomain, reply },
            Self::NotNow(reply) => Verdict::Deferred { class: Class::Network, reply },
        }
    }
}

impl Exchanges {
    /// The same for all domains that share their hosts.
    #[must_use]
    pub fn site(&self) -> String {
        let mut names: Vec<&str> = self.hosts.iter().map(|(_, name)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.join(",")
    }

    /// The names in the order of trying: equals are shuffled, by the seed.
    #[must_use]
    pub fn order(&self, seed: u64) -> Vec<&str> {
        let mut order: Vec<(u16, u64, &str)> = self
            .hosts
            .iter()
            .map(|(preference, name)| {
                (*preference, xxh3_64_with_seed(name.as_bytes(), seed), name.as_str())
            })
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, _, name)| name).collect()
    }
}

/// Asks DNS and remembers who does not answer.
#[derive(Debug)]
pub struct Mx {
    resolver: TokioResolver,
    asking: Asking,
    dead: Mutex<HashMap<IpAddr, Instant>>,
}

impl Mx {
    /// A resolver of its own, with a cache of its own.
    ///
    /// # Errors
    /// When the machine's own configuration cannot be read.
    pub fn new(asking: Asking) -> Result<Self, String> {
        const CACHED_MAX: u64 = 50_000;
        let named = |error: NetError| format!("no DNS resolver: {error}");
        let mut builder = if asking.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(named)?
        } else {
            let servers = asking.servers.iter().map(|server| {
                let mut ways = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                ways.iter_mut().for_each(|way| way.port = server.port());
                NameServerConfig::new(server.ip(), true, ways)
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.timeout = asking.timeout;
        options.attempts = 1;
        options.cache_size = CACHED_MAX;
        options.use_hosts_file = ResolveHosts::Never;
        options.positive_max_ttl = Some(Duration::from_secs(3600));
        options.negative_max_ttl = Some(Duration::from_secs(300));
        let resolver = builder.build().map_err(named)?;
        Ok(Self { resolver, asking, dead: Mutex::default() })
    }

    /// The hosts of a domain; the domain itself when it names none (RFC 5321 §5.1).
    ///
    /// # Errors
    /// When there is none, or none can be found now.
    pub async fn exchanges(&self, domain: &str) -> Result<Exchanges, NoWay> {
        let answer = match self.resolver.mx_lookup(format!("{domain}.")).await {
            Ok(answer) => answer,
            Err(error) if error.is_nx_domain() => {
                return Err(NoWay::NoHost(format!("{domain}: no such domain (NXDOMAIN)")));
            }
            Err(error) if error.is_no_records_found() => return Ok(implicit(domain)),
            Err(error) => return Err(NoWay::NotNow(format!("{domain}: DNS: {error}"))),
        };
        let found = answer.answers().iter().filter_map(|record| match &record.data {
            RData::MX(mx) => {
                let name = mx.exchange.to_ascii().to_ascii_lowercase();
                Some((mx.preference, name.trim_end_matches('.').to_owned()))
            }
            _ => None,
        });
        let mut hosts: Vec<(u16, String)> = found.collect();
        match hosts.as_slice() {
            [] => return Ok(implicit(domain)),
            [(_, only)] if only.is_empty() => return Err(NoWay::NullMx),
            _ => (),
        }
        hosts.retain(|(_, name)| !name.is_empty());
        hosts.sort_unstable();
        // Where we are a host ourselves, what is less preferred than we are would come back to us.
        let own = hosts.iter().position(|(_, name)| *name == self.asking.own_name);
        hosts.truncate(own.unwrap_or(hosts.len()));
        match hosts.is_empty() {
            true => Err(NoWay::NotNow(format!("{domain}: its mail would loop back to us"))),
            false => Ok(Exchanges { hosts }),
        }
    }

    /// Where a host is to be reached, IPv4 first, without addresses that are dead or not to be
    /// written to.
    ///
    /// # Errors
    /// When it has no such address, or none can be found now.
    pub async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, NoWay> {
        let found = match self.resolver.lookup_ip(format!("{host}.")).await {
            Ok(found) => found,
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                return Err(NoWay::NoHost(format!("{host}: the mail host has no address")));
            }
            Err(error) => return Err(NoWay::NotNow(format!("{host}: DNS: {error}"))),
        };
        let all: Vec<IpAddr> = found.iter().collect();
        let mut good: Vec<IpAddr> = all.iter().copied().filter(|ip| self.is_target(*ip)).collect();
        if good.is_empty() {
            return Err(NoWay::NotNow(format!("{host}: {all:?} is no public address")));
        }
        let now = Instant::now();
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        good.retain(|ip| dead.get(ip).is_none_or(|until| *until <= now));
        drop(dead);
        if good.is_empty() {
            return Err(NoWay::NotNow(format!("{host}: did not answer a moment ago")));
        }
        good.sort_by_key(IpAddr::is_ipv6);
        good.dedup();
        Ok(good.into_iter().map(|ip| SocketAddr::new(ip, self.asking.port)).collect())
    }

    /// Remembers that a host takes no connections.
    pub fn is_dead(&self, address: SocketAddr) {
        let now = Instant::now();
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        if dead.len() >= DEAD_MAX {
            dead.retain(|_, until| *until > now);
        }
        if dead.len() < DEAD_MAX {
            dead.insert(address.ip(), now + DEAD_FOR);
        }
    }

    fn is_target(&self, ip: IpAddr) -> bool {
        let allowed = self.asking.allow.iter().any(|range| range.holds(ip));
        allowed || (!self.asking.only_allowed && is_public(ip))
    }
}

fn implicit(domain: &str) -> Exchanges {
    Exchanges { hosts: vec![(0, domain.to_ascii_lowercase())] }
}

/// Whether an address may be a stranger's mail server at all.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_documentation()
                || matches!(ip.octets(), [0 | 240..=255, ..] | [100, 64..=127, ..]))
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.is_multicast()
                || matches!(ip.segments(), [0x2001, 0x0db8, ..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_are_shuffled_and_preference_holds() {
        let host = |preference, name: &str| (preference, name.to_owned());
        let exchanges =
            Exchanges { hosts: vec![host(10, "a"), host(10, "b"), host(10, "c"), host(20, "d")] };
        let mut firsts: Vec<&str> = (0..50).map(|seed| exchanges.order(seed)[0]).collect();
        assert!((0..50).all(|seed| exchanges.order(seed)[3] == "d"));
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts, ["a", "b", "c"]);
        assert_eq!(exchanges.order(7), exchanges.order(7));
    }

    #[test]
    fn only_public_addresses_are_targets() {
        for (ip, public) in [
            ("8.8.8.8", true),
            ("2a00:1450::1", true),
            ("127.0.0.1", false),
            ("127.9.9.9", false),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("192.168.0.1", false),
            ("169.254.1.1", false),
            ("100.64.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("fe80::1", false),
            ("fd00::1", false),
        ] {
            assert_eq!(is_public(ip.parse().unwrap()), public, "{ip}");
        }
    }
}
