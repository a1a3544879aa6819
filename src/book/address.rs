//! An address, parsed once: what a cell of a saved search holds becomes a mailbox here or nowhere.
//!
//! The shape is RFC 5321's (4.1.2, 4.5.3.1) with RFC 6531's wider local part; domains become
//! lower-case A-labels (UTS 46). No control character gets in, so none can end a line of an SMTP
//! dialogue or of a header. A broken cell is mended only when it can mean one thing, and the mend
//! is told; whatever could mean two is refused.

use std::fmt;
use std::ops::RangeInclusive;

use crate::book::domain::{self, DomainError};

/// Octets of a whole address (RFC 5321 4.5.3.1.3, the path less its angle brackets).
const ADDRESS_OCTETS_MAX: usize = 254;
/// Octets of a local part (RFC 5321 4.5.3.1.1).
const LOCAL_OCTETS_MAX: usize = 64;
/// Zero-width and direction marks, joiners, soft hyphen, byte order mark.
const UNSEEN: [RangeInclusive<char>; 6] = [
    '\u{AD}'..='\u{AD}',
    '\u{180E}'..='\u{180E}',
    '\u{200B}'..='\u{200F}',
    '\u{202A}'..='\u{202E}',
    '\u{2060}'..='\u{206F}',
    '\u{FEFF}'..='\u{FEFF}',
];
/// Punctuation of Latin-1, of Unicode at large and of CJK; private use; vertical and full-width
/// forms with the replacement character; tags and beyond.
const NO_LETTERS: [RangeInclusive<char>; 7] = [
    '\u{80}'..='\u{BF}',
    '\u{2000}'..='\u{206F}',
    '\u{3000}'..='\u{303F}',
    '\u{E000}'..='\u{F8FF}',
    '\u{FE10}'..='\u{FE6F}',
    '\u{FF00}'..='\u{FFFF}',
    '\u{E0000}'..='\u{10FFFF}',
];

/// A mailbox: local part as typed, domain in lower-case A-labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    text: Box<str>,
    at: usize,
}

impl Address {
    /// Reads one cell: a bare address, or the display form `"Ann" <ann@x.com>`.
    ///
    /// # Errors
    /// An [`AddressError`] when the cell is no address, or could be more than one.
    pub fn parse(typed: &str) -> Result<Parsed, AddressError> {
        match plain(typed) {
            Some(address) => Ok(Parsed { address, name: None, repair: None }),
            None => parse_slowly(typed),
        }
    }

    /// Takes back what [`Address::as_str`] once printed, as our own records hold it: split, not
    /// judged again. `None` without an `@` that has something on both sides.
    #[must_use]
    pub fn stored(text: &str) -> Option<Self> {
        let at = text.rfind('@').filter(|at| *at > 0 && at + 1 < text.len())?;
        Some(Self { text: text.into(), at })
    }

    /// The part before the `@`, as typed.
    #[must_use]
    pub fn local(&self) -> &str {
        self.parts().0
    }

    /// The part after the `@`: lower-case, A-labels, no trailing dot.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.parts().1
    }

    /// `local@domain`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As owned text, to be stored.
    #[must_use]
    pub fn into_string(self) -> String {
        self.text.into_string()
    }

    /// What two spellings of one mailbox share: the whole address in lower case, character by
    /// character (a final sigma is a sigma).
    #[must_use]
    pub fn key(&self) -> String {
        if self.text.is_ascii() {
            return self.text.to_ascii_lowercase();
        }
        let lower = self.text.chars().flat_map(char::to_lowercase);
        lower.map(|c| if c == 'ς' { 'σ' } else { c }).collect()
    }

    fn parts(&self) -> (&str, &str) {
        let (local, rest) = self.text.split_at_checked(self.at).unwrap_or(("", ""));
        (local, rest.strip_prefix('@').unwrap_or(rest))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a cell held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The mailbox.
    pub address: Address,
    /// The name of the display form, without its quotes.
    pub name: Option<String>,
    /// What was mended; `None` when the cell was sound.
    pub repair: Option<Repair>,
}

/// All that was mended in one cell, in order; never empty. Prints as a list to show beside the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair(Vec<Mend>);

impl Repair {
    /// The mends, each kind once.
    #[must_use]
    pub fn mends(&self) -> &[Mend] {
        &self.0
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<_> = self.0.iter().map(|mend| mend.as_str()).collect();
        f.write_str(&told.join(", "))
    }
}

/// One kind of mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mend {
    /// Blanks or invisible characters at an edge or beside the `@`.
    Blanks,
    /// `mailto:` before the address.
    Scheme,
    /// Quotes or brackets around the address.
    Wrapping,
    /// `,` `;` `.` `>` or their Chinese forms at the end.
    Punctuation,
    /// `＠`, `．` and other full-width forms of ASCII; `。` between labels.
    FullWidth,
}

impl Mend {
    /// What was done, for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blanks => "blanks removed",
            Self::Scheme => "mailto: removed",
            Self::Wrapping => "quotes or brackets removed",
            Self::Punctuation => "trailing punctuation removed",
            Self::FullWidth => "full-width characters made plain",
        }
    }
}

/// Why a cell is no address, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing, or nothing but blanks.
    #[error("the address is empty: fill it in or drop the row")]
    Empty,
    /// A line break, NUL or other control character, anywhere in the cell.
    #[error("a line break or control character (U+{:04X}): remove it", u32::from(*.0))]
    Control(char),
    /// No `@`.
    #[error("no @: write local@domain")]
    NoAt,
    /// More than one `@`.
    #[error("more than one @: one address to a cell")]
    ManyAts,
    /// A blank inside.
    #[error("a blank inside the address: remove it, or give a second address its own row")]
    Blank,
    /// `"ann lee"@x.com`.
    #[error("a quoted local part: few mail systems take it, use the person's plain address")]
    Quoted,
    /// Nothing before the `@`.
    #[error("nothing before the @: write local@domain")]
    NoLocal,
    /// The local part is over 64 octets.
    #[error("more than 64 octets before the @: no mailbox has such a name")]
    LocalTooLong,
    /// A dot at an edge of the local part, or two in a row.
    #[error("a dot at the edge of the local part, or two in a row: remove one")]
    Dots,
    /// A character no unquoted local part may hold.
    #[error("{0:?} (U+{code:04X}) cannot stand before the @: correct it", code = u32::from(*.0))]
    Character(char),
    /// What stands after the `@` is no domain.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// The whole is over 254 octets.
    #[error("more than 254 octets: no mail system takes such an address")]
    TooLong,
}

/// The quick way: an ASCII address that needs no mend and no IDNA, in one allocation.
fn plain(typed: &str) -> Option<Address> {
    let bytes = typed.as_bytes();
    if bytes.len() > ADDRESS_OCTETS_MAX {
        return None;
    }
    let at = bytes.iter().position(|b| *b == b'@')?;
    let (local, domain) = (bytes.get(..at)?, bytes.get(at + 1..)?);
    if !is_plain_local(local) || !domain::is_plain(domain) {
        return None;
    }
    if !domain.iter().any(u8::is_ascii_uppercase) {
        return Some(Address { text: typed.into(), at });
    }
    let mut text = String::with_capacity(typed.len());
    text.push_str(typed);
    text.get_mut(at..)?.make_ascii_lowercase();
    Some(Address { text: text.into_boxed_str(), at })
}

fn is_plain_local(local: &[u8]) -> bool {
    let mut after_dot = true;
    for byte in local {
        let dot = *byte == b'.';
        if (dot && after_dot) || !(dot || is_atext(*byte)) {
            return false;
        }
        after_dot = dot;
    }
    !after_dot && local.len() <= LOCAL_OCTETS_MAX
}

/// RFC 5322 3.2.3.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// The thorough way: display forms, mends, IDNA.
fn parse_slowly(typed: &str) -> Result<Parsed, AddressError> {
    if let Some(control) = typed.chars().find(|c| breaks_lines(*c)) {
        return Err(AddressError::Control(control));
    }
    let mut cell = Cell { text: typed, mends: Vec::new() };
    cell.trim();
    let name = cell.take_name()?;
    if cell.text.contains("\"@") || cell.text.contains("\"＠") {
        return Err(AddressError::Quoted);
    }
    cell.unwrap();
    if cell.text.is_empty() {
        return Err(AddressError::Empty);
    }
    let text = cell.make_plain()?;
    let mends = cell.mends;
    let (local, typed_domain) = text.split_once('@').ok_or(AddressError::NoAt)?;
    check_local(local)?;
    let domain = domain::parse(typed_domain)?;
    if local.len() + 1 + domain.len() > ADDRESS_OCTETS_MAX {
        return Err(AddressError::TooLong);
    }
    let address = Address { at: local.len(), text: format!("{local}@{domain}").into_boxed_str() };
    let name = match name {
        Some(name) => name_of(name, &address)?,
        None => None,
    };
    let repair = (!mends.is_empty()).then_some(Repair(mends));
    Ok(Parsed { address, name, repair })
}

/// A cell on its way to being an address, and what was done to it.
struct Cell<'a> {
    text: &'a str,
    mends: Vec<Mend>,
}

impl<'a> Cell<'a> {
    /// Goes on with `text`, and tells of it if that is less than there was.
    fn cut(&mut self, text: &'a str, mend: Mend) -> bool {
        let shorter = text.len() < self.text.len();
        self.text = text;
        if shorter {
            self.told(mend);
        }
        shorter
    }

    fn told(&mut self, mend: Mend) {
        if !self.mends.contains(&mend) {
            self.mends.push(mend);
        }
    }

    fn trim(&mut self) -> bool {
        self.cut(self.text.trim_matches(is_blank), Mend::Blanks)
    }

    /// Splits `name <address>`, goes on with the address, and returns what stood before it.
    fn take_name(&mut self) -> Result<Option<&'a str>, AddressError> {
        let Some((name, rest)) = self.text.rsplit_once(['<', '＜']) else {
            return Ok(None);
        };
        let Some((address, tail)) = rest.split_once(['>', '＞']) else {
            if name.is_empty() {
                return Ok(None);
            }
            self.text = rest;
            self.told(Mend::Wrapping);
            return Ok(Some(name));
        };
        if name.contains(['<', '＜']) || tail.contains(['@', '＠']) {
            return Err(AddressError::ManyAts);
        }
        if !tail.trim_matches(|c| is_blank(c) || is_stop(c)).is_empty() {
            return Err(AddressError::Blank);
        }
        if !tail.is_empty() {
            self.told(Mend::Punctuation);
        }
        self.text = address;
        if name.is_empty() {
            self.told(Mend::Wrapping);
        }
        Ok(Some(name))
    }

    /// Takes off, as long as there is any: blanks, `mailto:`, wrapping, trailing punctuation.
    fn unwrap(&mut self) {
        loop {
            let before = self.text.len();
            self.trim();
            if let Some(rest) = strip_scheme(self.text) {
                // What follows a `?` are headers (RFC 6068); the address itself would say `%3F`.
                let rest = rest.split_once('?').map_or(rest, |(address, _)| address);
                self.cut(rest, Mend::Scheme);
            }
            self.cut(strip_pair(self.text), Mend::Wrapping);
            self.cut(self.text.trim_start_matches(opens), Mend::Wrapping);
            self.cut(self.text.trim_end_matches(is_stop), Mend::Punctuation);
            if !self.text.contains("@[") {
                self.cut(self.text.trim_end_matches(closes), Mend::Wrapping);
            }
            if self.text.len() == before {
                return;
            }
        }
    }

    /// Full-width forms made ASCII, blanks beside the `@` removed; what is left must hold exactly
    /// one `@` and no blank.
    fn make_plain(&mut self) -> Result<String, AddressError> {
        let text: String = self.text.chars().map(narrowed).collect();
        if text != self.text {
            self.told(Mend::FullWidth);
        }
        let (local, domain) = text.split_once('@').ok_or(AddressError::NoAt)?;
        if domain.contains('@') {
            return Err(AddressError::ManyAts);
        }
        let (tight_local, tight_domain) =
            (local.trim_end_matches(is_blank), domain.trim_start_matches(is_blank));
        if tight_local.contains(is_blank) || tight_domain.contains(is_blank) {
            return Err(AddressError::Blank);
        }
        if tight_local.len() + tight_domain.len() < local.len() + domain.len() {
            self.told(Mend::Blanks);
        }
        if tight_domain.contains(['。', '｡']) {
            self.told(Mend::FullWidth);
        }
        Ok(format!("{tight_local}@{tight_domain}"))
    }
}

/// The name that stood before `<address>`: unquoted; `None` if there was none or it only repeats
/// the address.
fn name_of(before: &str, address: &Address) -> Result<Option<String>, AddressError> {
    let trimmed = before.trim_matches(is_blank);
    let bare = strip_pair(trimmed);
    let quoted = bare.len() < trimmed.len();
    let name = if quoted { unescaped(bare) } else { trimmed.to_owned() };
    let name = name.trim_matches(is_blank);
    if name.is_empty() || name.eq_ignore_ascii_case(address.as_str()) {
        return Ok(None);
    }
    if !quoted && name.contains(['@', '＠']) {
        return Err(AddressError::ManyAts);
    }
    Ok(Some(name.to_owned()))
}

/// `\"` and `\\` of a quoted string (RFC 5322 3.2.4) as what they stand for.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    plain
}

fn check_local(local: &str) -> Result<(), AddressError> {
    if local.is_empty() {
        return Err(AddressError::NoLocal);
    }
    if let Some(c) = local.chars().find(|c| *c != '.' && !may_stand_in_local(*c)) {
        return Err(AddressError::Character(c));
    }
    if local.split('.').any(str::is_empty) {
        return Err(AddressError::Dots);
    }
    if local.len() > LOCAL_OCTETS_MAX {
        return Err(AddressError::LocalTooLong);
    }
    Ok(())
}

/// RFC 6531 allows all of Unicode beyond ASCII; what is punctuation, invisible, private or the
/// mark of a wrong decoding is nobody's mailbox.
fn may_stand_in_local(c: char) -> bool {
    match u8::try_from(c) {
        Ok(byte) if byte.is_ascii() => is_atext(byte),
        _ if c.is_alphanumeric() => true,
        _ => !is_blank(c) && !NO_LETTERS.iter().any(|range| range.contains(&c)),
    }
}

/// What could end a line in some reader's eyes, or is a control character.
fn breaks_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Blanks, and what is seen as less: zero-width and direction marks, byte order marks.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || UNSEEN.iter().any(|range| range.contains(&c))
}

fn is_stop(c: char) -> bool {
    ",;.>。；，、．＞｡､".contains(c)
}

/// What opens a quotation or bracket and cannot begin a local part.
fn opens(c: char) -> bool {
    "<([\"“‘«「『《〈【（＜＂".contains(c)
}

fn closes(c: char) -> bool {
    ")]\"”’»」』》〉】）＂".contains(c)
}

/// Without one pair of quotes or brackets that could also stand in a local part, or enclose a name.
fn strip_pair(text: &str) -> &str {
    [('"', '"'), ('\'', '\''), ('`', '`'), ('{', '}'), ('“', '”'), ('‘', '’'), ('＂', '＂')]
        .into_iter()
        .find_map(|(open, close)| text.strip_prefix(open)?.strip_suffix(close))
        .unwrap_or(text)
}

fn strip_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once([':', '：'])?;
    scheme.trim_end().eq_ignore_ascii_case("mailto").then_some(rest)
}

/// Full-width forms of ASCII (U+FF01 to U+FF5E) as ASCII.
fn narrowed(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}
