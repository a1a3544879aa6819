//! A mail server to hand letters to, and how to speak to it.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::feedback::verdict::Class;

/// A mail server to hand letters to, and how to speak to it.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Host name or address literal.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The name we give in EHLO; its address record should be ours.
    pub ehlo: String,
    /// How much TLS is asked for.
    pub tls: TlsLevel,
    /// What to log in with.
    pub login: Option<Login>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// How much TLS is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsLevel {
    /// Clear text.
    None,
    /// STARTTLS when offered, whatever the certificate says: better than clear text.
    Opportunistic,
    /// STARTTLS and a certificate that the machine's own roots vouch for, or nothing.
    Required,
}

/// A user and the secret that goes with it; the secret is never printed.
#[derive(Clone)]
pub struct Login {
    /// Account name.
    pub user: String,
    /// Password.
    pub secret: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// How long to wait, by stage (RFC 5321 §4.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a TCP connection.
    pub connect: Duration,
    /// For the greeting and the reply to any command.
    pub command: Duration,
    /// For the peer to take the body from us.
    pub body: Duration,
    /// For the reply to the final dot: too short a wait makes unknown letters.
    pub dot: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            command: Duration::from_secs(300),
            body: Duration::from_secs(180),
            dot: Duration::from_secs(600),
        }
    }
}

/// Why there is no session. It is about the path, never about a letter or a contact.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{host}: {reply}")]
pub struct Failure {
    /// Host and port.
    pub host: String,
    /// What kind of trouble.
    pub class: Class,
    /// The peer's words, or what went wrong.
    pub reply: String,
}
