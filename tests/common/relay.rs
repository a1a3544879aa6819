//! A relay on the loopback, spoken to with the shipped patience.

use std::net::SocketAddr;

use tradewind::net::relay::{Relay, Timeouts, TlsLevel};

/// The relay at an address.
pub(crate) fn relay(addr: SocketAddr) -> Relay {
    Relay {
        host: addr.ip().to_string(),
        port: addr.port(),
        ehlo: "client.example".to_owned(),
        tls: TlsLevel::Opportunistic,
        login: None,
        timeouts: Timeouts::default(),
    }
}
