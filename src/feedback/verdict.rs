//! What an SMTP reply means, and when to try again.

/// What kind of trouble a reply tells of (DESIGN §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// No such mailbox.
    InvalidRecipient,
    /// The mailbox exists but is disabled.
    Inactive,
    /// The domain takes no mail (null MX) or does not exist.
    BadDomain,
    /// The mailbox is full.
    Quota,
    /// Too much, too fast: acts on the path.
    Rate,
    /// Greylisting and its like.
    Greylist,
    /// Policy or reputation: acts on the path.
    Policy,
    /// Taken for spam: acts on the path.
    Spam,
    /// SPF, DKIM, DMARC, PTR, TLS: stops the sender identity.
    Auth,
    /// The message itself: size, encoding, content.
    Message,
    /// Network, DNS, TLS, time-outs, cut connections.
    Network,
    /// The peer broke the protocol, or we did.
    Protocol,
    /// Everything else.
    Other,
}
