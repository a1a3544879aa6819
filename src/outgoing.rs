//! What the configuration means for letters on their way out: the keys they are signed with.

use std::path::Path;

use crate::letter::sign::DkimKey;
use crate::secret;
use crate::typed::DkimConfig;

/// What is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: &'static str,
}

/// Reads a key that signs mail from `from`; paths begin at `base`.
///
/// # Errors
/// When the file is not secret or holds no key, or the key is another domain's.
pub fn dkim_key(typed: &DkimConfig, from: &str, base: &Path) -> Result<DkimKey, Wrong> {
    let DkimConfig { domain, selector, key_file } = typed;
    let at = format!("[[dkim]] {selector}._domainkey.{domain}");
    let pem = secret::read(key_file, base)
        .map_err(|error| Wrong { message: format!("{at}: {error}"), fix: error.fix() })?;
    let key = DkimKey::parse(domain, selector, &pem).map_err(|error| Wrong {
        message: format!("{at}: {}: {error}", key_file.display()),
        fix: "make a key with `tradewind keygen`",
    })?;
    if !key.signs_for(&from.to_ascii_lowercase()) {
        return Err(Wrong {
            message: format!("{at} does not sign for {from}"),
            fix: "sign by the domain of sender.address: receivers ask for that (DMARC)",
        });
    }
    Ok(key)
}
