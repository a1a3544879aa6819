//! Whose a mail host is, and what that provider is sent at most.

use crate::net::mx::Exchanges;
use crate::typedways::{Pace, ProvidersFile};

/// The provider of a domain with these hosts: by the end of the first host's name; else whoever
/// shares the whole set of hosts. Limits are the provider's, routes each domain's own.
#[must_use]
pub fn provider_of<'a>(file: &'a ProvidersFile, exchanges: &Exchanges) -> (String, &'a Pace) {
    let first = exchanges.hosts.first().map_or("", |(_, name)| name.as_str());
    let known = file.provider.iter().find(|provider| {
        provider.mx.iter().any(|end| {
            let whole = end.trim_start_matches('.');
            first.strip_suffix(whole).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    });
    match known {
        Some(provider) => (provider.name.clone(), &provider.pace),
        None => (exchanges.site(), &file.other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_told_by_its_hosts() {
        let file: ProvidersFile =
            toml::from_str(include_str!("../../config/providers.toml")).unwrap();
        let of = |hosts: &[&str]| {
            let hosts = hosts.iter().map(|name| (10, (*name).to_owned())).collect();
            let (name, pace) = provider_of(&file, &Exchanges { hosts });
            (name, pace.messages_per_second.map_or(0, std::num::NonZeroU32::get))
        };
        for (hosts, name, rate) in [
            (&["aspmx.l.google.com", "alt1.aspmx.l.google.com"][..], "google", 20),
            (&["outlook-com.olc.protection.outlook.com"], "outlook", 5),
            (&["acme-de.mail.protection.outlook.com"], "microsoft365", 10),
            (&["mxbiz1.qq.com"], "tencent", 1),
            (&["mx1.qiye.aliyun.com"], "alibaba", 1),
            (&["163mx01.mxmail.netease.com"], "netease", 1),
            (&["xqq.com"], "xqq.com", 5),
            (&["mx2.acme.example", "mx1.acme.example"], "mx1.acme.example,mx2.acme.example", 5),
        ] {
            assert_eq!(of(hosts), (name.to_owned(), rate), "{hosts:?}");
        }
    }
}
