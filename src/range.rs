//! Ranges of addresses as they are written: `127.0.0.0/8`, or one address.

use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

/// Addresses that share their first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Range {
    first: IpAddr,
    bits: u32,
}

/// Not a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address and no range of addresses, as 127.0.0.0/8")]
pub struct NoRange(String);

impl Range {
    /// Whether the address is one of them.
    #[must_use]
    pub fn holds(&self, ip: IpAddr) -> bool {
        match (self.first, ip.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                first.to_bits() & mask == ip.to_bits() & mask
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                first.to_bits() & mask == ip.to_bits() & mask
            }
            _ => false,
        }
    }

    /// Whether all of them are this machine's own.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.first.is_loopback() && self.bits >= if self.first.is_ipv4() { 8 } else { 128 }
    }
}

impl FromStr for Range {
    type Err = NoRange;

    fn from_str(text: &str) -> Result<Self, NoRange> {
        let wrong = || NoRange(text.to_owned());
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let first: IpAddr = ip.parse().map_err(|_| wrong())?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if bits > most { Err(wrong()) } else { Ok(Self { first, bits }) }
    }
}

impl TryFrom<String> for Range {
    type Error = NoRange;

    fn try_from(text: String) -> Result<Self, NoRange> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_say() {
        for (range, ip, holds) in [
            ("127.0.0.0/8", "127.3.2.1", true),
            ("127.0.0.0/8", "128.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "9.9.9.9", true),
            ("::1", "::1", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "127.0.0.1", false),
        ] {
            assert_eq!(
                Range::from_str(range).unwrap().holds(ip.parse().unwrap()),
                holds,
                "{range}"
            );
        }
        for wrong in ["", "127.0.0.0/33", "a", "127.0.0.1/x", "::/129"] {
            assert!(Range::from_str(wrong).is_err(), "{wrong}");
        }
        assert!(Range::from_str("127.0.0.0/8").unwrap().is_loopback());
        assert!(!Range::from_str("127.0.0.0/4").unwrap().is_loopback());
    }
}
