//! Bytes in, UTF-8 out: finds the encoding of an input and decodes it block by block.
//!
//! What cannot be decoded becomes a byte that no UTF-8 text holds, so that the row it stands in,
//! and only that row, is refused later. The encoding is judged once, by the first block: a later
//! block that disagrees is a fault of its rows, never a new guess.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult};

/// How much is read at once, and what the encoding is judged by: 64 KiB.
const BLOCK: usize = 64 * 1024;
/// Stands for what could not be decoded.
const UNDECODABLE: u8 = 0xFF;

/// A text read in blocks: a window of decoded bytes that grows at its end and is eaten at its
/// beginning.
pub struct Text<R> {
    input: R,
    encoding: Encoding,
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    ended: bool,
    failed: Option<io::Error>,
}

impl<R: Read> Text<R> {
    /// Goes on reading `input` after `first`, its beginning; `None` if that is no text at all.
    #[must_use]
    pub fn new(first: &[u8], input: R) -> Option<Self> {
        let encoding = Encoding::of(first);
        let decoder = encoding.table().map(encoding_rs::Encoding::new_decoder_with_bom_removal);
        let raw = Vec::with_capacity(BLOCK);
        let (text, at, ended, failed) = (Vec::new(), 0, false, None);
        let mut new = Self { input, encoding, decoder, raw, text, at, ended, failed };
        new.append(first.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(first), false);
        (!mostly_controls(&new.text)).then_some(new)
    }

    /// What has been decoded and not been consumed.
    #[must_use]
    pub fn window(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes `bytes` off the beginning of the window.
    pub fn consume(&mut self, bytes: usize) {
        self.at = self.text.len().min(self.at + bytes);
    }

    /// Makes the window longer; false at the end of the input.
    ///
    /// # Errors
    /// Those of the input, after all that was read before.
    pub fn fill(&mut self) -> io::Result<bool> {
        if let Some(err) = self.failed.take() {
            return Err(err);
        }
        if self.ended {
            return Ok(false);
        }
        self.text.drain(..self.at);
        self.at = 0;
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        self.failed = read_block(&mut self.input, &mut raw).err();
        self.ended = raw.is_empty() && self.failed.is_none();
        self.append(&raw, self.ended);
        self.raw = raw;
        Ok(true)
    }

    /// Ends the last line, which the input left open.
    pub fn end_line(&mut self) {
        self.text.push(b'\n');
    }

    /// The name of the encoding, as `iconv` knows it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        self.encoding.name()
    }

    fn append(&mut self, mut raw: &[u8], last: bool) {
        let Some(decoder) = &mut self.decoder else {
            self.text.extend_from_slice(raw);
            return;
        };
        loop {
            let room = decoder.max_utf8_buffer_length_without_replacement(raw.len());
            let start = self.text.len();
            self.text.resize(start + room.unwrap_or(4 * raw.len() + 16), 0);
            let space = self.text.get_mut(start..).unwrap_or_default();
            let (result, read, written) =
                decoder.decode_to_utf8_without_replacement(raw, space, last);
            self.text.truncate(start + written);
            raw = raw.get(read..).unwrap_or_default();
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => (),
                DecoderResult::Malformed(..) => self.text.push(UNDECODABLE),
            }
        }
    }
}

/// Appends one block, or what is left of the input.
///
/// # Errors
/// Those of the input.
pub fn read_block(input: &mut impl Read, block: &mut Vec<u8>) -> io::Result<()> {
    input.by_ref().take(BLOCK as u64).read_to_end(block).map(|_| ())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    Gb18030,
}

impl Encoding {
    fn of(first: &[u8]) -> Self {
        if first.starts_with(b"\xFF\xFE") {
            return Self::Utf16Le;
        }
        if first.starts_with(b"\xFE\xFF") {
            return Self::Utf16Be;
        }
        if first.starts_with(b"\xEF\xBB\xBF") {
            return Self::Utf8;
        }
        [Self::Utf16Le, Self::Utf16Be]
            .into_iter()
            .find(|&encoding| looks_utf16(first, encoding))
            .unwrap_or(if looks_gb18030(first) { Self::Gb18030 } else { Self::Utf8 })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Gb18030 => "GB18030",
        }
    }

    fn table(self) -> Option<&'static encoding_rs::Encoding> {
        match self {
            Self::Utf8 => None,
            Self::Utf16Le => Some(encoding_rs::UTF_16LE),
            Self::Utf16Be => Some(encoding_rs::UTF_16BE),
            Self::Gb18030 => Some(encoding_rs::GB18030),
        }
    }
}

/// Addresses, delimiters and line ends are ASCII, so in UTF-16 every fifth unit at least has a zero
/// for its high byte, and next to none for its low byte.
fn looks_utf16(first: &[u8], encoding: Encoding) -> bool {
    let zeros = |at: usize| first.iter().skip(at).step_by(2).filter(|b| **b == 0).count();
    let (high, low) = match encoding {
        Encoding::Utf16Le => (zeros(1), zeros(0)),
        _ => (zeros(0), zeros(1)),
    };
    high > 0 && high * 5 >= first.len() / 2 && low * 20 <= high && decodes(first, encoding)
}

/// GB18030 is guessed only when the text is more often wrong than right as UTF-8, entirely valid
/// as GB18030, and most of its pairs lie where Chinese is written (both bytes from 0xA1, the GB 2312
/// plane). Western accents in Latin-1 are valid GB18030 too, but pair with ASCII letters.
fn looks_gb18030(first: &[u8]) -> bool {
    let (mut right, mut wrong) = (0_usize, 0_usize);
    for chunk in first.utf8_chunks() {
        right += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        wrong += usize::from(!chunk.invalid().is_empty());
    }
    if wrong <= right {
        return false;
    }
    let (mut pairs, mut chinese) = (0_usize, 0_usize);
    let mut bytes = first.iter();
    while let Some(byte) = bytes.next() {
        if *byte >= 0x80
            && let Some(next) = bytes.next()
        {
            pairs += 1;
            chinese += usize::from(*byte >= 0xA1 && *next >= 0xA1);
        }
    }
    chinese * 2 >= pairs && pairs > 0 && decodes(first, Encoding::Gb18030)
}

/// Whether the whole block (but for a character cut at its end) is valid in that encoding.
fn decodes(block: &[u8], encoding: Encoding) -> bool {
    let Some(table) = encoding.table() else { return std::str::from_utf8(block).is_ok() };
    let mut decoder = table.new_decoder_without_bom_handling();
    let mut out = vec![0; 4 * block.len() + 16];
    let (result, _, _) = decoder.decode_to_utf8_without_replacement(block, &mut out, false);
    result == DecoderResult::InputEmpty
}

/// More than one byte in a hundred is a control character that no text needs.
fn mostly_controls(text: &[u8]) -> bool {
    let odd = |b: &&u8| matches!(b, 0..=8 | 0x0B | 0x0E..=0x19 | 0x1C..=0x1F | 0x7F);
    text.iter().filter(odd).count() * 100 > text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_of_a_first_block() {
        let text = "邮箱,姓名\nann@acme.example,安\n";
        let utf16 = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(bytes).collect()
        };
        let gb = encoding_rs::GB18030.encode(text).0.into_owned();
        for (bytes, expected) in [
            (text.as_bytes().to_vec(), Encoding::Utf8),
            (b"email\nann@acme.example\n".to_vec(), Encoding::Utf8),
            (utf16(u16::to_le_bytes), Encoding::Utf16Le),
            (utf16(u16::to_be_bytes), Encoding::Utf16Be),
            (gb, Encoding::Gb18030),
            (
                "email,name\na@b.example,Jos\u{e9}".chars().map(|c| c as u8).collect(),
                Encoding::Utf8,
            ),
            ([text.as_bytes(), b"\xE9t\xE9\n"].concat(), Encoding::Utf8),
            (text.as_bytes()[..2].to_vec(), Encoding::Utf8),
            (Vec::new(), Encoding::Utf8),
        ] {
            assert_eq!(Encoding::of(&bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn blocks_cut_anywhere_decode_alike() {
        let text = "邮箱,姓名\n".repeat(50_000);
        let gb = encoding_rs::GB18030.encode(&text).0.into_owned();
        let (first, rest) = gb.split_at(777);
        let mut read = Text::new(first, rest).unwrap();
        while read.fill().unwrap() {}
        assert_eq!(read.window(), text.as_bytes());
    }
}
