//! A domain as the book writes it: lower-case A-labels (UTS 46), two labels or more, never an IP
//! address, no trailing dot.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Octets of a domain in its printed form (RFC 1035 3.1).
const DOMAIN_OCTETS_MAX: usize = 253;
/// Octets of one label (RFC 1035 3.1).
const LABEL_OCTETS_MAX: usize = 63;

/// Why a text is no domain, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Nothing.
    #[error("the domain is missing: write local@domain, as in ann@example.com")]
    Empty,
    /// One label only.
    #[error("the domain has no dot: write it whole, as in example.com")]
    NoDot,
    /// An IP address, or a last label of digits.
    #[error("an IP address or number where a domain belongs: use the domain's name")]
    Number,
    /// An empty or overlong label, an edge hyphen, or a character outside IDNA.
    #[error("the domain is not a valid host name: check its dots, hyphens and characters")]
    Invalid,
}

/// Reads a domain as typed, alone or after an `@`.
///
/// # Errors
/// A [`DomainError`] when it is no full domain name.
pub fn parse(typed: &str) -> Result<String, DomainError> {
    let text = typed.trim_matches(' ');
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Err(DomainError::Empty);
    }
    if is_plain(text.as_bytes()) {
        return Ok(text.to_ascii_lowercase());
    }
    if text.contains(['[', ']']) {
        return Err(DomainError::Number);
    }
    let domain = Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map_err(|_| DomainError::Invalid)?;
    if ends_in_number(domain.as_bytes()) {
        return Err(DomainError::Number);
    }
    if !domain.contains('.') {
        return Err(DomainError::NoDot);
    }
    Ok(domain.into_owned())
}

/// Whether `domain` is sound and needs no IDNA: labels of letters, digits and inner hyphens.
/// Anything that looks like an A-label is left to [`parse`].
#[must_use]
pub fn is_plain(domain: &[u8]) -> bool {
    let (mut dotted, mut len, mut last) = (false, 0, b'-');
    for (n, byte) in domain.iter().enumerate() {
        match byte {
            b'.' if len == 0 || last == b'-' => return false,
            b'.' => (dotted, len) = (true, 0),
            b'-' if len == 0 || (len == 3 && looks_ace(domain, n)) => return false,
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => len += 1,
            _ => return false,
        }
        if len > LABEL_OCTETS_MAX {
            return false;
        }
        last = *byte;
    }
    let ends_well = len > 0 && last != b'-' && !ends_in_number(domain);
    dotted && ends_well && domain.len() <= DOMAIN_OCTETS_MAX
}

/// Whether the label whose fourth octet is at `n` begins with `xn--`.
fn looks_ace(domain: &[u8], n: usize) -> bool {
    domain.get(n - 3..=n).is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"))
}

fn ends_in_number(domain: &[u8]) -> bool {
    let last = domain.rsplit(|b| *b == b'.').next().unwrap_or_default();
    !last.is_empty() && last.iter().all(u8::is_ascii_digit)
}
