//! Tokens: how a pixel, a link, an unsubscribe address or a return path names its letter to the
//! public without a table, and without letting anybody name a letter they did not get.
//!
//! 22 bytes: key id (1), letter id (8), kind (1), and the first 96 bits of HMAC-SHA256 over those
//! ten (RFC 2104 §5 allows truncation to no less than half of the tag or 80 bits; DESIGN §7 asks
//! for 80). In URLs this is base64url (30 characters), in mail addresses lower-case base32 (36),
//! because mail systems may change the case of a local part. Keys rotate: the newest signs, all
//! that are configured verify.

use std::fmt;

use data_encoding::{BASE32_NOPAD_NOCASE, BASE64URL_NOPAD, Encoding};
use ring::hmac;

/// Length of a token in URLs, in characters.
pub const WEB_LEN: usize = 30;
/// Length of a token in mail addresses, in characters.
pub const MAIL_LEN: usize = 36;

const SIGNED_LEN: usize = 10;
const MAC_LEN: usize = 12;
const RAW_LEN: usize = SIGNED_LEN + MAC_LEN;

/// What a token is good for: a token of one kind never passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// The pixel.
    Open,
    /// A wrapped link.
    Click,
    /// The unsubscribe page and address.
    Unsubscribe,
    /// The return path (VERP).
    Bounce,
}

impl TokenKind {
    /// The number on the wire; never reused.
    fn code(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Click => 2,
            Self::Unsubscribe => 3,
            Self::Bounce => 4,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Open),
            2 => Some(Self::Click),
            3 => Some(Self::Unsubscribe),
            4 => Some(Self::Bounce),
            _ => None,
        }
    }
}

/// What is wrong with a list of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// No key at all.
    #[error("no token key is given: at least one is needed to sign with")]
    None,
    /// Two keys of one id.
    #[error("token key id {0} is given twice: give every key an id of its own")]
    Twice(u8),
}

/// The keys of a store. Holds secrets: its `Debug` shows ids only.
///
/// ```
/// use tradewind::letter::token::{Keys, TokenKind};
/// let keys = Keys::new(vec![(1, [7; 32])])?;
/// let token = keys.sign(TokenKind::Open, *b"a letter");
/// assert_eq!(keys.verify(&token), Some((TokenKind::Open, *b"a letter")));
/// # Ok::<(), tradewind::letter::token::KeysError>(())
/// ```
pub struct Keys {
    newest: (u8, hmac::Key),
    older: Vec<(u8, hmac::Key)>,
}

impl Keys {
    /// Takes keys by id, from the oldest to the newest: the last one signs.
    ///
    /// # Errors
    /// When there is none, or two have one id.
    pub fn new(keys: Vec<(u8, [u8; 32])>) -> Result<Self, KeysError> {
        let mut older: Vec<(u8, hmac::Key)> = Vec::with_capacity(keys.len());
        for (id, secret) in keys {
            if older.iter().any(|(known, _)| *known == id) {
                return Err(KeysError::Twice(id));
            }
            older.push((id, hmac::Key::new(hmac::HMAC_SHA256, &secret)));
        }
        let newest = older.pop().ok_or(KeysError::None)?;
        Ok(Self { newest, older })
    }

    /// A token for URLs: [`WEB_LEN`] characters of the base64url alphabet.
    #[must_use]
    pub fn sign(&self, kind: TokenKind, letter: [u8; 8]) -> String {
        BASE64URL_NOPAD.encode(&self.seal(kind, letter))
    }

    /// Reads a token of [`Self::sign`]; `None` for everything else, without saying why.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<(TokenKind, [u8; 8])> {
        if token.len() != WEB_LEN {
            return None;
        }
        self.open(&BASE64URL_NOPAD, token)
    }

    /// A token for mail addresses (`bounce+TOKEN@…`): [`MAIL_LEN`] characters of `a-z2-7`.
    #[must_use]
    pub fn sign_mail(&self, kind: TokenKind, letter: [u8; 8]) -> String {
        let mut token = BASE32_NOPAD_NOCASE.encode(&self.seal(kind, letter));
        token.make_ascii_lowercase();
        token
    }

    /// Reads a token of [`Self::sign_mail`] in any case; `None` for everything else.
    #[must_use]
    pub fn verify_mail(&self, token: &str) -> Option<(TokenKind, [u8; 8])> {
        if token.len() != MAIL_LEN {
            return None;
        }
        self.open(&BASE32_NOPAD_NOCASE, token)
    }

    fn seal(&self, kind: TokenKind, letter: [u8; 8]) -> [u8; RAW_LEN] {
        let (id, key) = &self.newest;
        let [a, b, c, d, e, f, g, h] = letter;
        let signed = [*id, a, b, c, d, e, f, g, h, kind.code()];
        let mut raw = [0; RAW_LEN];
        let bytes = signed.into_iter().chain(mac(key, &signed));
        raw.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        raw
    }

    /// Both encodings are strict about trailing bits, so a letter has one token per key and kind.
    fn open(&self, encoding: &Encoding, token: &str) -> Option<(TokenKind, [u8; 8])> {
        let mut raw = [0; RAW_LEN];
        if encoding.decode_len(token.len()).ok()? != RAW_LEN {
            return None;
        }
        encoding.decode_mut(token.as_bytes(), &mut raw).ok()?;
        let (signed, given) = raw.split_first_chunk::<SIGNED_LEN>()?;
        let [id, a, b, c, d, e, f, g, h, kind] = *signed;
        if !same(&mac(self.key(id)?, signed), given) {
            return None;
        }
        Some((TokenKind::from_code(kind)?, [a, b, c, d, e, f, g, h]))
    }

    fn key(&self, id: u8) -> Option<&hmac::Key> {
        let mut all = std::iter::once(&self.newest).chain(&self.older);
        all.find(|(known, _)| *known == id).map(|(_, key)| key)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let older = self.older.iter().map(|(id, _)| id);
        f.debug_list().entry(&self.newest.0).entries(older).finish()
    }
}

fn mac(key: &hmac::Key, signed: &[u8; SIGNED_LEN]) -> [u8; MAC_LEN] {
    let tag = hmac::sign(key, signed);
    *tag.as_ref().first_chunk().expect("a SHA-256 tag has 32 bytes")
}

/// Compares without stopping at the first difference. ring compares whole tags only, and has
/// deprecated its comparison of slices; `black_box` keeps the loop from being cut short.
fn same(computed: &[u8; MAC_LEN], given: &[u8]) -> bool {
    let differ = |sum, (a, b): (&u8, &u8)| std::hint::black_box(sum | (a ^ b));
    computed.len() == given.len() && computed.iter().zip(given).fold(0u8, differ) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof};
    use proptest::proptest;

    use super::{Keys, KeysError, MAIL_LEN, TokenKind, WEB_LEN};

    fn kinds() -> impl Strategy<Value = TokenKind> {
        prop_oneof![
            Just(TokenKind::Open),
            Just(TokenKind::Click),
            Just(TokenKind::Unsubscribe),
            Just(TokenKind::Bounce)
        ]
    }

    fn keys() -> Keys {
        Keys::new(vec![(3, [1; 32]), (9, [2; 32])]).unwrap()
    }

    proptest! {
        #[test]
        fn what_was_signed_verifies_as_what_it_was(kind in kinds(), letter: [u8; 8]) {
            let (web, mail) = (keys().sign(kind, letter), keys().sign_mail(kind, letter));
            prop_assert_eq!((web.len(), mail.len()), (WEB_LEN, MAIL_LEN));
            prop_assert_eq!(keys().verify(&web), Some((kind, letter)));
            prop_assert_eq!(keys().verify_mail(&mail), Some((kind, letter)));
            prop_assert_eq!(keys().verify_mail(&mail.to_ascii_uppercase()), Some((kind, letter)));
            prop_assert!(mail.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
            prop_assert_eq!((keys().verify(&mail), keys().verify_mail(&web)), (None, None));
        }

        #[test]
        fn any_flipped_bit_is_refused(kind in kinds(), letter: [u8; 8]) {
            let token = keys().sign(kind, letter);
            for (at, bit) in (0..WEB_LEN).flat_map(|at| (0..7).map(move |bit| (at, bit))) {
                let mut bent = token.clone().into_bytes();
                bent[at] ^= 1 << bit;
                let bent = String::from_utf8(bent).unwrap();
                prop_assert_eq!(keys().verify(&bent), None, "{} for {}", bent, token);
            }
            let token = keys().sign_mail(kind, letter);
            for (at, bit) in (0..MAIL_LEN).flat_map(|at| (0..7).map(move |bit| (at, bit))) {
                let mut bent = token.clone().into_bytes();
                bent[at] ^= 1 << bit;
                let bent = String::from_utf8(bent).unwrap();
                if !bent.eq_ignore_ascii_case(&token) {
                    prop_assert_eq!(keys().verify_mail(&bent), None, "{} for {}", bent, token);
                }
            }
        }

        #[test]
        fn nonsense_is_refused_and_never_panics(text in any::<String>(), short in "[A-Za-z0-9_-]{0,40}") {
            for text in [&text, &short] {
                prop_assert_eq!((keys().verify(text), keys().verify_mail(text)), (None, None));
            }
        }
    }

    #[test]
    fn old_keys_verify_and_dropped_or_foreign_ones_do_not() {
        let old = Keys::new(vec![(3, [1; 32])]).unwrap();
        let (foreign, dropped) = (Keys::new(vec![(9, [5; 32])]), Keys::new(vec![(9, [2; 32])]));
        let letter = [1, 2, 3, 4, 5, 6, 7, 8];
        let first = old.sign(TokenKind::Click, letter);
        let second = keys().sign(TokenKind::Click, letter);
        assert_eq!(keys().verify(&first), Some((TokenKind::Click, letter)));
        assert_ne!(first, second);
        assert_eq!(old.verify(&second), None);
        assert_eq!(foreign.unwrap().verify(&second), None);
        let dropped = dropped.unwrap();
        assert_eq!(dropped.verify(&second), Some((TokenKind::Click, letter)));
        assert_eq!(dropped.verify(&first), None);
    }

    /// Letters are in the field for years: the bytes may never change by accident.
    #[test]
    fn the_form_is_fixed() {
        let keys = Keys::new(vec![(1, *b"0123456789abcdef0123456789abcdef")]).unwrap();
        let letter = [0, 0, 0, 18, 0, 3, 0x4e, 0x01];
        assert_eq!(keys.sign(TokenKind::Open, letter), "AQAAABIAA04BAQmSXt0-SwbPpKNsKQ");
        assert_eq!(
            keys.sign_mail(TokenKind::Bounce, letter),
            "aeaaaaasaabu4aie2mzoea67ytqkxbvtqzqa"
        );
    }

    #[test]
    fn lists_of_keys_are_checked_and_secrets_stay_out_of_debug() {
        assert_eq!(Keys::new(vec![]).unwrap_err(), KeysError::None);
        assert_eq!(Keys::new(vec![(1, [0; 32]), (1, [1; 32])]).unwrap_err(), KeysError::Twice(1));
        assert_eq!(format!("{:?}", keys()), "[9, 3]");
    }
}
