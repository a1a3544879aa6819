//! How one entry looks on disk: written by hand, so that the bytes are ours and stay readable for
//! ever.
//!
//! A record is `length, kind, moment, fields`. The length makes it self-delimiting, so that a kind
//! this version does not know can be named instead of misread. Whole numbers are LEB128 varints,
//! signed ones zigzag first, texts and lists carry their length before them. The tables below *are*
//! the format: a number, once given, is never given again, and a kind whose fields change gets a new
//! number beside the old one.

use crate::book::contact::{Card, CompanyNo, ContactId, Day, Kind, Moment};
use crate::book::label::LabelKind;
use crate::book::tag::{SeriesKind, TagId};
use crate::cadence::intake::ImportCounts;
use crate::feedback::entry::{By, Cause, Entry, LetterId, RoundRecord, Target, Via, What};
use crate::feedback::open::OpenClass;
use crate::feedback::verdict::{AutoKind, Class};

/// A list reserves room for at most this many items before they are seen, so that a wrong count
/// cannot ask for the whole memory.
const RESERVED_ITEMS_MAX: usize = 1024;

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A kind that this version does not know.
    #[error("entry kind {0} is not known: written by a newer tradewind, use that one")]
    Newer(u8),
    /// A code that this version does not know.
    #[error("{what} code {code} is not known: written by a newer tradewind, use that one")]
    Code {
        /// Which table.
        what: &'static str,
        /// What was found.
        code: u8,
    },
    /// The bytes end before the record does.
    #[error("the record ends too early")]
    Short,
    /// The record is longer than its fields.
    #[error("entry kind {kind} has {bytes} bytes too many: written by a newer tradewind, use that")]
    Long {
        /// The kind.
        kind: u8,
        /// What is left.
        bytes: usize,
    },
    /// A number does not fit its field.
    #[error("a number is too large for its field")]
    Range,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
}

/// Appends the record of `entry` to `out`.
pub fn encode(entry: &Entry, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(0);
    put_entry(entry, out);
    let body = out.len() - start - 1;
    match u8::try_from(body) {
        Ok(short) if short < 0x80 => {
            if let Some(length) = out.get_mut(start) {
                *length = short;
            }
        }
        _ => {
            let mut length = Vec::with_capacity(5);
            put_varint(body as u64, &mut length);
            let end = out.len();
            out.resize(end + length.len() - 1, 0);
            out.copy_within(start + 1..end, start + length.len());
            if let Some(place) = out.get_mut(start..start + length.len()) {
                place.copy_from_slice(&length);
            }
        }
    }
}

/// Takes one record off the front of `bytes`, which stays as it was on an error.
///
/// # Errors
/// A [`RecordError`] when the front is no whole record that this version knows; never a panic,
/// whatever the bytes.
pub fn decode(bytes: &mut &[u8]) -> Result<Entry, RecordError> {
    let mut rest = *bytes;
    let length = usize::get(&mut rest)?;
    let (mut body, rest) = rest.split_at_checked(length).ok_or(RecordError::Short)?;
    let kind = u8::get(&mut body)?;
    let entry = get_entry(kind, &mut body)?;
    if !body.is_empty() {
        return Err(RecordError::Long { kind, bytes: body.len() });
    }
    *bytes = rest;
    Ok(entry)
}

/// Passes over one record at the front of `bytes`; `None` when there is no whole one.
#[must_use]
pub fn skip(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    let length = usize::get(&mut rest).ok()?;
    rest.get(length..)
}

/// Something that knows its bytes; the store's pages are made of the same parts as its entries.
pub trait Field: Sized {
    /// Appends the bytes.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes the bytes off the front.
    ///
    /// # Errors
    /// A [`RecordError`] when the front is no such thing.
    fn get(from: &mut &[u8]) -> Result<Self, RecordError>;

    /// Many in a row, without their count: bytes have a quicker way.
    fn put_all(items: &[Self], out: &mut Vec<u8>) {
        items.iter().for_each(|item| item.put(out));
    }

    /// Takes `count` of them off the front.
    ///
    /// # Errors
    /// As [`Self::get`].
    fn get_all(count: usize, from: &mut &[u8]) -> Result<Vec<Self>, RecordError> {
        let mut items = Vec::with_capacity(count.min(from.len()).min(RESERVED_ITEMS_MAX));
        for _ in 0..count {
            items.push(Self::get(from)?);
        }
        Ok(items)
    }
}

/// The kinds of entries, and their fields in the order in which they are written.
macro_rules! kinds {
    ($($code:literal $variant:ident { $($field:ident)* })*) => {
        fn put_entry(entry: &Entry, out: &mut Vec<u8>) {
            match &entry.what {
                $(What::$variant { $($field),* } => {
                    out.push($code);
                    entry.at.put(out);
                    $($field.put(out);)*
                })*
            }
        }

        fn get_entry(kind: u8, from: &mut &[u8]) -> Result<Entry, RecordError> {
            match kind {
                $($code => {
                    let at = Field::get(from)?;
                    let what = What::$variant { $($field: Field::get(from)?),* };
                    Ok(Entry { at, what })
                })*
                newer => Err(RecordError::Newer(newer)),
            }
        }
    };
}

kinds! {
    1 StoreCreated { store }
    2 TagDeclared { tag name group batch }
    3 ImportBegan { import who file tag }
    4 Imported { contact address company company_key kind rank day import tags card }
    5 Updated { contact import card }
    6 ImportEnded { import counts }
    7 Tagged { contact tag day by }
    8 Untagged { contact tag by reason }
    9 Suppressed { target cause note }
    10 Unsuppressed { target reason }
    11 DayOpened { day }
    12 PlanFrozen { day rounds }
    13 DayClosed { day rounds }
    14 Claimed { letter day company attempt counts template rehearsal }
    15 TemplateKept { hash name source }
    16 Accepted { letter reply }
    17 Deferred { letter until class reply }
    18 Refused { letter class reply }
    19 Unknown { letter why }
    20 Withdrawn { letter reason }
    21 Expired { letter }
    22 Opened { letter class reason day }
    23 Clicked { letter link class day }
    24 Unsubscribed { contact letter via }
    25 Paused { by }
    26 Resumed { by }
    27 Noted { contact day by text }
    28 BatchHeld { tag by reason }
    29 BatchReleased { tag by }
    30 RoundApproved { tag due by }
    31 Limited { company_per_day_max contact_gap_days_min silent_gap_days_min }
    32 Labelled { contact kind value day by }
    40 Bounced { contact letter hard status class words mail }
    41 Complained { contact letter feedback mail }
    42 Replied { contact letter from subject language text files mail day }
    43 AutoReplied { contact letter kind until text mail }
    44 StoppedFor { contact because }
    45 Decided { contact by how }
}

/// Closed lists of words: one byte each.
macro_rules! codes {
    ($($type:ident $what:literal { $($code:literal $variant:ident)* })*) => { $(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(match self { $(Self::$variant => $code),* });
            }

            fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
                match u8::get(from)? {
                    $($code => Ok(Self::$variant),)*
                    code => Err(RecordError::Code { what: $what, code }),
                }
            }
        }
    )* };
}

codes! {
    Kind "address kind" { 1 Precise 2 Ordinary }
    LabelKind "label" { 1 Owner 2 Stage }
    SeriesKind "series kind" { 1 Marketing 2 Reading }
    Cause "suppression cause" { 1 Unsubscribed 2 Complained 3 HardBounce 4 Operator 5 Erased }
    Via "unsubscribe" { 1 OneClick 2 Page 3 Mail }
    AutoKind "auto-reply kind" { 1 Vacation 2 Left 3 Ticket 4 Other }
    OpenClass "open class" { 1 Human 2 ProxyHuman 3 Prefetch 4 Machine 5 Unknown }
    Class "verdict class" {
        1 InvalidRecipient 2 Inactive 3 BadDomain 4 Quota 5 Rate 6 Greylist 7 Policy 8 Spam 9 Auth
        10 Message 11 Network 12 Protocol 13 Other
    }
}

/// Closed lists of words that each carry one thing: a byte, then the thing.
macro_rules! carriers {
    ($($type:ident $what:literal { $($code:literal $variant:ident)* })*) => { $(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant(thing) => {
                        out.push($code);
                        thing.put(out);
                    })*
                }
            }

            fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
                match u8::get(from)? {
                    $($code => Field::get(from).map(Self::$variant),)*
                    code => Err(RecordError::Code { what: $what, code }),
                }
            }
        }
    )* };
}

carriers! {
    By "author" { 1 Person 2 Rule 3 Import }
    Target "suppression target" { 1 Contact 2 Domain }
}

/// Structs: their fields in this order.
macro_rules! shapes {
    ($($type:ident { $($field:tt)* })*) => { $(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }

            fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
                Ok(Self { $($field: Field::get(from)?),* })
            }
        }
    )* };
}

shapes! {
    ContactId { 0 }
    CompanyNo { 0 }
    TagId { 0 }
    Day { 0 }
    Moment { 0 }
    LetterId { contact tag due }
    ImportCounts { rows new known updated over_cap suppressed duplicate invalid }
    RoundRecord { tag due outcomes }
    Card { name company country language title source attributes }
}

impl Field for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
        let (first, rest) = from.split_first().ok_or(RecordError::Short)?;
        *from = rest;
        Ok(*first)
    }

    fn put_all(items: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(items);
    }

    fn get_all(count: usize, from: &mut &[u8]) -> Result<Vec<Self>, RecordError> {
        take(count, from).map(<[u8]>::to_vec)
    }
}

/// Unsigned numbers wider than a byte.
macro_rules! varints {
    ($($type:ident)*) => { $(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                put_varint(*self as u64, out);
            }

            fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
                Self::try_from(get_varint(from)?).map_err(|_| RecordError::Range)
            }
        }
    )* };
}

varints! { u16 u32 u64 usize }

impl Field for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(((self << 1) ^ (self >> 63)).cast_unsigned(), out);
    }

    fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
        let folded = get_varint(from)?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }
}

impl Field for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
        match u8::get(from)? {
            0 => Ok(false),
            1 => Ok(true),
            code => Err(RecordError::Code { what: "yes or no", code }),
        }
    }
}

impl Field for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
        let length = usize::get(from)?;
        let text = std::str::from_utf8(take(length, from)?).map_err(|_| RecordError::Text)?;
        Ok(text.to_owned())
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        T::put_all(self, out);
    }

    fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
        let count = usize::get(from)?;
        T::get_all(count, from)
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        self.iter().for_each(|thing| thing.put(out));
    }

    fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
        if bool::get(from)? { T::get(from).map(Some) } else { Ok(None) }
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
        Ok((A::get(from)?, B::get(from)?))
    }
}

impl<A: Field, B: Field, C: Field> Field for (A, B, C) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }

    fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
        Ok((A::get(from)?, B::get(from)?, C::get(from)?))
    }
}

impl<A: Field, B: Field, C: Field, D: Field> Field for (A, B, C, D) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
        self.3.put(out);
    }

    fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
        Ok((A::get(from)?, B::get(from)?, C::get(from)?, D::get(from)?))
    }
}

impl<const N: usize> Field for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn get(from: &mut &[u8]) -> Result<Self, RecordError> {
        take(N, from)?.try_into().map_err(|_| RecordError::Short)
    }
}

fn take<'a>(count: usize, from: &mut &'a [u8]) -> Result<&'a [u8], RecordError> {
    let (taken, rest) = from.split_at_checked(count).ok_or(RecordError::Short)?;
    *from = rest;
    Ok(taken)
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        let [low, ..] = value.to_le_bytes();
        out.push(low | 0x80);
        value >>= 7;
    }
    let [low, ..] = value.to_le_bytes();
    out.push(low);
}

fn get_varint(from: &mut &[u8]) -> Result<u64, RecordError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = u8::get(from)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(RecordError::Range);
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(RecordError::Range)
}
