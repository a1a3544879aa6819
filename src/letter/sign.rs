//! DKIM signatures (RFC 6376): RSA with SHA-256, and Ed25519 (RFC 8463), relaxed/relaxed.
//!
//! The same letter gives the same bytes: the time in a signature is the letter's own, and neither
//! algorithm is random. Never `l=`: what follows the signed length could be anybody's. The headers
//! that make a letter ours are named once more than they are there, so that none can be added.

use std::fmt;

use data_encoding::{BASE64, BASE64_MIME_PERMISSIVE};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};

/// What a signature covers, each once more than it is there: what receivers show or act upon.
const COVERED: [&str; 11] = [
    "From",
    "Subject",
    "To",
    "Date",
    "Message-ID",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
    "Feedback-ID",
    "MIME-Version",
    "Content-Type",
];
/// A line of a signature's base64; receivers take any folding.
const LINE_BYTES: usize = 72;
/// A string within a TXT record (RFC 1035 §3.3.14).
const TXT_BYTES_MAX: usize = 255;

/// A private key, and where its public half is found: `selector._domainkey.domain`.
pub struct DkimKey {
    domain: String,
    selector: String,
    secret: Secret,
}

enum Secret {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM, or not a private key.
    #[error("is no private key in PEM (PKCS#8 or PKCS#1)")]
    NotAKey,
    /// RSA below 2048 bits, or damaged.
    #[error("is no sound RSA key of 2048 to 4096 bits, nor an Ed25519 key")]
    Unsound,
    /// A selector or domain with characters that DNS names of keys do not have.
    #[error("selector and domain are made of letters, digits, hyphens and dots")]
    Name,
}

/// Why a message was not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The system gave no randomness to blind the RSA computation with.
    #[error("the key could not sign: the system gives no random numbers")]
    Failed,
}

impl fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DkimKey").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl DkimKey {
    /// Reads a private key: PKCS#8 (`PRIVATE KEY`) of either kind, or PKCS#1 (`RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// When it is none, is too weak, or selector or domain cannot stand in a DNS name.
    pub fn parse(domain: &str, selector: &str, pem: &str) -> Result<Self, KeyError> {
        if ![domain, selector].into_iter().all(is_name) {
            return Err(KeyError::Name);
        }
        let rsa = |pair: Result<RsaKeyPair, _>| pair.map(|pair| Secret::Rsa(Box::new(pair)));
        let secret = match body(pem) {
            Some(("PRIVATE KEY", der)) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
                .map(Secret::Ed25519)
                .or_else(|_| rsa(RsaKeyPair::from_pkcs8(&der))),
            Some(("RSA PRIVATE KEY", der)) => rsa(RsaKeyPair::from_der(&der)),
            _ => return Err(KeyError::NotAKey),
        };
        Ok(Self {
            domain: domain.to_ascii_lowercase(),
            selector: selector.to_ascii_lowercase(),
            secret: secret.map_err(|_| KeyError::Unsound)?,
        })
    }

    /// The domain that signs.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The name of the TXT record that holds the public key.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// What the TXT record must hold.
    #[must_use]
    pub fn record(&self) -> String {
        match &self.secret {
            Secret::Rsa(pair) => {
                let spki = rsa_spki(pair.public_key().as_ref());
                format!("v=DKIM1; k=rsa; p={}", BASE64.encode(&spki))
            }
            Secret::Ed25519(pair) => {
                format!("v=DKIM1; k=ed25519; p={}", BASE64.encode(pair.public_key().as_ref()))
            }
        }
    }

    /// Whether mail from `address` passes DMARC by this key: its domain is ours or below ours.
    #[must_use]
    pub fn signs_for(&self, address: &str) -> bool {
        let (_, domain) = address.rsplit_once('@').unwrap_or_default();
        let above = domain.strip_suffix(self.domain.as_str());
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }

    fn algorithm(&self) -> &'static str {
        match self.secret {
            Secret::Rsa(_) => "rsa-sha256",
            Secret::Ed25519(_) => "ed25519-sha256",
        }
    }

    fn sign(&self, text: &[u8]) -> Result<String, SignError> {
        match &self.secret {
            Secret::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let blinding = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &blinding, text, &mut signature)
                    .map_err(|_| SignError::Failed)?;
                Ok(BASE64.encode(&signature))
            }
            // RFC 8463 §3: Ed25519 signs the hash.
            Secret::Ed25519(pair) => {
                Ok(BASE64.encode(pair.sign(digest(&SHA256, text).as_ref()).as_ref()))
            }
        }
    }
}

/// The strings of a TXT record as a zone file wants them: `"v=DKIM1; …" "…"`.
#[must_use]
pub fn zone_text(record: &str) -> String {
    let strings = record.as_bytes().chunks(TXT_BYTES_MAX);
    let quoted = strings.map(|bytes| format!("\"{}\"", String::from_utf8_lossy(bytes)));
    quoted.collect::<Vec<_>>().join(" ")
}

/// The message with a signature by every key before it. `seconds` is the letter's date since 1970.
///
/// # Errors
/// When the system gives no random numbers.
pub fn sign(keys: &[&DkimKey], message: &[u8], seconds: i64) -> Result<Vec<u8>, SignError> {
    let (header, body) = split(message);
    let fields = fields(header);
    let body_hash = BASE64.encode(digest(&SHA256, &relaxed_body(body)).as_ref());
    let mut names = String::new();
    let mut covered = Vec::with_capacity(header.len());
    for name in COVERED {
        // Of several headers of a name the last is meant first (RFC 6376 §5.4.2).
        let own = fields.iter().rev().filter(|field| field.0.eq_ignore_ascii_case(name.as_bytes()));
        for field in own {
            relax_field(field, &mut covered);
            covered.extend_from_slice(b"\r\n");
            push_name(&mut names, name);
        }
        push_name(&mut names, name);
    }
    let mut signed = Vec::with_capacity(message.len() + keys.len() * 1024);
    for key in keys {
        let (algorithm, domain, selector) = (key.algorithm(), &key.domain, &key.selector);
        let value = format!(
            " v=1; a={algorithm}; c=relaxed/relaxed; t={seconds};\r\n\td={domain};\r\n\ts={selector};\r\n\th={names};\r\n\tbh={body_hash};\r\n\tb="
        );
        let mut text = covered.clone();
        relax_field(&(b"DKIM-Signature", value.as_bytes()), &mut text);
        let signature = key.sign(&text)?;
        signed.extend_from_slice(b"DKIM-Signature:");
        signed.extend_from_slice(value.as_bytes());
        for line in signature.as_bytes().chunks(LINE_BYTES) {
            signed.extend_from_slice(b"\r\n\t");
            signed.extend_from_slice(line);
        }
        signed.extend_from_slice(b"\r\n");
    }
    signed.extend_from_slice(message);
    Ok(signed)
}

/// One more name in `h=`, on a new line when this one is full.
fn push_name(names: &mut String, name: &str) {
    if !names.is_empty() {
        names.push(':');
        let line = names.rsplit('\t').next().map_or(0, str::len);
        if line + name.len() > LINE_BYTES {
            names.push_str("\r\n\t");
        }
    }
    names.push_str(name);
}

/// A header's name and its value, as they stand, folds and all.
type Field<'a> = (&'a [u8], &'a [u8]);

/// The header with its last CRLF, and the body after the empty line.
fn split(message: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = message.strip_prefix(b"\r\n") {
        return (&[], body);
    }
    let end = message.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let cut = end.and_then(|end| message.split_at_checked(end + 2));
    cut.map_or((message, &[]), |(header, rest)| (header, rest.get(2..).unwrap_or_default()))
}

/// The headers in order; a line that begins with a blank goes on with the one before it.
fn fields(header: &[u8]) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    let mut rest = header;
    while !rest.is_empty() {
        let ends = rest.windows(3).position(
            |bytes| matches!(bytes, [b'\r', b'\n', next] if !matches!(next, b' ' | b'\t')),
        );
        let (field, after) = match ends.and_then(|end| rest.split_at_checked(end)) {
            Some((field, after)) => (field, after.get(2..).unwrap_or_default()),
            None => (rest.strip_suffix(b"\r\n").unwrap_or(rest), &[] as &[u8]),
        };
        if let Some(colon) = field.iter().position(|byte| *byte == b':')
            && let Some((name, value)) = field.split_at_checked(colon)
        {
            fields.push((name, value.get(1..).unwrap_or_default()));
        }
        rest = after;
    }
    fields
}

/// RFC 6376 §3.4.2: the name in small letters, the value on one line, one blank for many.
fn relax_field((name, value): &Field<'_>, out: &mut Vec<u8>) {
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let words = value.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    for (n, word) in words.filter(|word| !word.is_empty()).enumerate() {
        if n > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// RFC 6376 §3.4.4: one blank for many, none at the ends of lines, no empty lines at the end; a body
/// of nothing else is empty.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 2);
    let mut empty = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut blank = false;
        let start = out.len();
        for &byte in line {
            if matches!(byte, b' ' | b'\t') {
                blank = true;
                continue;
            }
            if start == out.len() {
                (0..empty).for_each(|_| out.extend_from_slice(b"\r\n"));
                empty = 0;
            }
            if std::mem::take(&mut blank) {
                out.push(b' ');
            }
            out.push(byte);
        }
        if start == out.len() {
            empty += 1;
        } else {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// A selector or a domain: labels of DNS, without the quoting that a tag's value would need.
fn is_name(name: &str) -> bool {
    const BYTES_MAX: usize = 190;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.len() <= BYTES_MAX && name.split('.').all(label)
}

/// The kind and the bytes of the first PEM block.
fn body(pem: &str) -> Option<(&str, Vec<u8>)> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (kind, rest) = rest.split_once("-----")?;
    let (text, _) = rest.split_once("-----END ")?;
    Some((kind, BASE64_MIME_PERMISSIVE.decode(text.trim().as_bytes()).ok()?))
}

/// The public key as DNS wants it: a `SubjectPublicKeyInfo` around the bare key (RFC 3279 §2.3.1).
fn rsa_spki(key: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: [u8; 15] =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let mut bits = vec![0];
    bits.extend_from_slice(key);
    let mut inner = RSA_ENCRYPTION.to_vec();
    inner.extend(der(0x03, &bits));
    der(0x30, &inner)
}

/// Tag, length, value.
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let significant = length.iter().skip_while(|byte| **byte == 0).copied().collect::<Vec<u8>>();
    let mut out = vec![tag];
    match (value.len(), u8::try_from(significant.len())) {
        (0..=127, _) | (_, Err(_)) => out.push(significant.first().copied().unwrap_or(0)),
        (_, Ok(bytes)) => {
            out.push(0x80 | bytes);
            out.extend(significant);
        }
    }
    out.extend_from_slice(value);
    out
}
