//! The judge of a saved search: what becomes of each row, its rank, and the batch it goes into.
//!
//! Ranks are counted within (company, kind) over all audiences (seed, "邮箱序号"): a known address
//! keeps its rank, an unknown one takes the next before the cap is applied, and what the cap turns
//! away is kept nowhere, so the same file with a higher cap takes exactly what was turned away. The
//! caller answers for the book; what one run of a file must remember is in [`Run`], so that it does
//! not matter whether rows judged before have reached the book yet.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use crate::book::contact::{Card, Kind};
use crate::book::language::language_agrees;

/// What an import does with addresses it knows and does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// 仅新增: known ones are left alone.
    #[default]
    New,
    /// 仅更新: unknown ones are left out.
    Update,
    /// Both: known ones updated, unknown ones added.
    Upsert,
}

impl Mode {
    /// Reads `new`, `update`, `upsert` or the words users know from elsewhere.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.trim() {
            "new" | "仅新增" | "仅新增数据" => Some(Self::New),
            "update" | "仅更新" | "仅更新数据" => Some(Self::Update),
            "upsert" | "新增和更新" | "新增并更新" | "新增及更新" => {
                Some(Self::Upsert)
            }
            _ => None,
        }
    }

    /// What is done with the tags of known addresses when nothing is said.
    #[must_use]
    pub fn default_tags(self) -> TagsMode {
        match self {
            Self::New => TagsMode::Keep,
            Self::Update | Self::Upsert => TagsMode::Append,
        }
    }
}

/// What an import does with the tags of addresses it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagsMode {
    /// 无操作.
    Keep,
    /// 追加.
    Append,
    /// 替换: a correction, history stays.
    Replace,
}

impl TagsMode {
    /// Reads `keep`, `append`, `replace` or the words users know from elsewhere.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.trim() {
            "keep" | "无操作" => Some(Self::Keep),
            "append" | "追加" => Some(Self::Append),
            "replace" | "替换" => Some(Self::Replace),
            _ => None,
        }
    }
}

/// The batch tag an import aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its number, from 1.
    pub no: u8,
    /// Batches in a cycle of its series.
    pub cycle: u8,
}

/// How one import is to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What becomes of known and unknown addresses.
    pub mode: Mode,
    /// What becomes of the tags of known ones.
    pub tags: TagsMode,
    /// Most of one company and kind; `None`: lifted. See [`Settings::cap`].
    pub cap: Option<u32>,
    /// Fill the batches after the first too (`--spread`); needs `start` and `cap`.
    pub spread: bool,
    /// Where to begin, when the import's tag is a batch.
    pub start: Option<Start>,
    /// The language of that tag's audience; empty when it has none.
    pub language: String,
    /// Take rows in another language too.
    pub force: bool,
}

impl Settings {
    /// The cap of a batch tag when none is given (DESIGN §4).
    pub const CAP: u32 = 10;

    /// What `--cap` means: 0 lifts it; not given, it is 10 for a batch tag and lifted for any other.
    #[must_use]
    pub fn cap(given: Option<u32>, batch: bool) -> Option<u32> {
        given.or(batch.then_some(Self::CAP)).filter(|cap| *cap > 0)
    }
}

/// One row, its address parsed and its company found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newcomer<'a> {
    /// Hash of the address' key.
    pub key: u64,
    /// Hash of the company's key.
    pub company: u64,
    /// 精准 or 普通.
    pub kind: Kind,
    /// The row's rank, if it gives one.
    pub rank: Option<u32>,
    /// The row's language; empty if it gives none.
    pub language: &'a str,
}

/// What the book says about a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The address, or its whole domain, is suppressed.
    pub suppressed: bool,
    /// What is known of the address; `None` too when only its suppression is.
    pub known: Option<Known>,
    /// The highest rank held in the row's company and kind; 0 for none.
    pub highest: u32,
}

/// What the book says about a known address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its rank.
    pub rank: u32,
    /// The row's card would change it ([`merged`] gives something); asked for by update and upsert.
    pub differs: bool,
    /// It lacks one of the row's own tags.
    pub lacks_row_tag: bool,
    /// It has the import's tag.
    pub has_tag: bool,
    /// It has any batch of the import's audience and series.
    pub has_batch: bool,
    /// It has tags that [`TagsChange::Replace`] would take away.
    pub has_others: bool,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Unknown until now, taken.
    New,
    /// Known, and nothing to change.
    Known,
    /// Known, and changed.
    Updated,
    /// Beyond the cap: kept nowhere.
    OverCap,
    /// On the suppression list: left alone.
    Suppressed,
    /// The address stood in this file before.
    Duplicate,
    /// Cannot be taken, and why.
    Invalid(String),
}

impl Verdict {
    /// Its word; why a row is invalid is told apart.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Known => "known",
            Self::Updated => "updated",
            Self::OverCap => "over-cap",
            Self::Suppressed => "suppressed",
            Self::Duplicate => "duplicate-in-file",
            Self::Invalid(_) => "invalid",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(reason) => write!(f, "invalid({reason})"),
            plain => f.write_str(plain.word()),
        }
    }
}

/// What to do with the tags of a row that was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagsChange {
    /// Nothing.
    None,
    /// Add the row's tags and, where placed, the import's.
    Add,
    /// The same, and take away all others; with spread, a batch of this series held before stays.
    Replace,
}

/// Where the import's tag goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere.
    None,
    /// The import's tag, which is no batch, as it is.
    Tag,
    /// Batch `no` of the import's audience and series.
    Batch(u8),
}

/// A row, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What became of it.
    pub verdict: Verdict,
    /// The rank a new contact is to have, a known one has; 0 for all others.
    pub rank: u32,
    /// Where the import's tag goes.
    pub place: Place,
    /// What becomes of tags.
    pub tags: TagsChange,
    /// The row's card is to be merged into the book's.
    pub card: bool,
}

/// How many rows came to which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// All of them.
    pub rows: u64,
    /// [`Verdict::New`].
    pub new: u64,
    /// [`Verdict::Known`].
    pub known: u64,
    /// [`Verdict::Updated`].
    pub updated: u64,
    /// [`Verdict::OverCap`].
    pub over_cap: u64,
    /// [`Verdict::Suppressed`].
    pub suppressed: u64,
    /// [`Verdict::Duplicate`].
    pub duplicate: u64,
    /// [`Verdict::Invalid`].
    pub invalid: u64,
}

impl ImportCounts {
    /// Counts one more.
    pub fn add(&mut self, verdict: &Verdict) {
        self.rows += 1;
        let count = match verdict {
            Verdict::New => &mut self.new,
            Verdict::Known => &mut self.known,
            Verdict::Updated => &mut self.updated,
            Verdict::OverCap => &mut self.over_cap,
            Verdict::Suppressed => &mut self.suppressed,
            Verdict::Duplicate => &mut self.duplicate,
            Verdict::Invalid(_) => &mut self.invalid,
        };
        *count += 1;
    }
}

/// One import under way: what must be remembered from row to row.
pub struct Run {
    settings: Settings,
    seen: HashSet<u64, BuildHasherDefault<Hashed>>,
    groups: HashMap<u64, Group, BuildHasherDefault<Hashed>>,
    /// The last language asked about, and the answer: most rows have the same.
    language: (String, bool),
}

/// What this run did in one company and kind.
#[derive(Clone, Copy, Default)]
struct Group {
    /// Highest rank given.
    highest: u32,
    /// Places used. Without spread: rows within the cap, of `cap` places. With it: `cap` places of
    /// each batch, laid end to end around the cycle, those found taken passed over.
    used: u32,
}

impl Run {
    /// Begins to judge a file.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let (seen, groups) = (HashSet::default(), HashMap::default());
        Self { settings, seen, groups, language: (String::new(), true) }
    }

    /// What becomes of a row. `names` gives the code of a language; `standing` is asked only when
    /// the row's own text does not decide; `room` is asked, with spread, how many of the row's
    /// company and kind a batch holds. Neither answer depends on whether it counts the rows that
    /// this run judged before.
    pub fn judge(
        &mut self,
        row: &Newcomer<'_>,
        names: &dyn Fn(&str) -> Option<String>,
        standing: impl FnOnce() -> Standing,
        room: impl FnMut(u8) -> u32,
    ) -> Judged {
        if !self.settings.force && !self.speaks(row.language, names) {
            return plain(Verdict::Invalid("language".to_owned()));
        }
        if !self.seen.insert(row.key) {
            return plain(Verdict::Duplicate);
        }
        let standing = standing();
        if standing.suppressed {
            return plain(Verdict::Suppressed);
        }
        match standing.known.filter(|known| known.rank > 0) {
            Some(known) => self.known(row, known, room),
            None => self.unknown(row, standing.highest, room),
        }
    }

    fn speaks(&mut self, language: &str, names: &dyn Fn(&str) -> Option<String>) -> bool {
        if self.language.0 != language {
            let agrees = language_agrees(language, &self.settings.language, names);
            self.language = (language.to_owned(), agrees);
        }
        self.language.1
    }

    fn unknown(&mut self, row: &Newcomer<'_>, highest: u32, room: impl FnMut(u8) -> u32) -> Judged {
        if self.settings.mode == Mode::Update {
            return plain(Verdict::Invalid("unknown, and --mode update adds nobody".to_owned()));
        }
        let mut group = self.group(row);
        let next = group.highest.max(highest).saturating_add(1);
        let rank = row.rank.unwrap_or(next);
        let Some(place) = self.place(rank, &mut group, room) else {
            self.keep(row, group);
            return plain(Verdict::OverCap);
        };
        group.highest = group.highest.max(rank);
        self.keep(row, group);
        Judged { verdict: Verdict::New, rank, place, tags: TagsChange::Add, card: true }
    }

    /// The place of a newcomer; `None` when there is none left.
    fn place(&self, rank: u32, group: &mut Group, room: impl FnMut(u8) -> u32) -> Option<Place> {
        let (start, cap) = (self.settings.start, self.settings.cap);
        match (start, cap) {
            (Some(start), Some(cap)) if self.settings.spread => {
                spread(start, cap, group, room).map(Place::Batch)
            }
            (_, Some(cap)) => {
                // Where a file gives one rank twice, the first rows of the file go before.
                let within = rank <= cap && group.used < cap;
                group.used += u32::from(within);
                within.then(|| self.aim())
            }
            (_, None) => Some(self.aim()),
        }
    }

    /// The import's own tag.
    fn aim(&self) -> Place {
        self.settings.start.map_or(Place::Tag, |start| Place::Batch(start.no))
    }

    fn known(&mut self, row: &Newcomer<'_>, known: Known, room: impl FnMut(u8) -> u32) -> Judged {
        let Settings { mode, tags, cap, spread, .. } = self.settings;
        let mut group = self.group(row);
        if !spread && cap.is_some_and(|cap| known.rank <= cap) {
            group.used = group.used.saturating_add(1);
        }
        let fills = spread && cap.is_some() && self.settings.start.is_some();
        let place = match tags {
            TagsMode::Keep => Place::None,
            // Who has a batch of this series already is not moved on by being imported again.
            _ if fills && known.has_batch => Place::None,
            _ if fills => self.place(known.rank, &mut group, room).unwrap_or(Place::None),
            _ => self.aim(),
        };
        self.keep(row, group);
        let adds = known.lacks_row_tag || (place != Place::None && !known.has_tag);
        let tags = match tags {
            TagsMode::Append if adds => TagsChange::Add,
            TagsMode::Replace if adds || known.has_others => TagsChange::Replace,
            _ => TagsChange::None,
        };
        let card = mode != Mode::New && known.differs;
        let changed = card || tags != TagsChange::None;
        let verdict = if changed { Verdict::Updated } else { Verdict::Known };
        Judged { verdict, rank: known.rank, place, tags, card }
    }

    fn group(&self, row: &Newcomer<'_>) -> Group {
        self.groups.get(&group_key(row)).copied().unwrap_or_default()
    }

    fn keep(&mut self, row: &Newcomer<'_>, group: Group) {
        self.groups.insert(group_key(row), group);
    }
}

/// The first batch with room, each once around the cycle. A batch is asked about once, when it is
/// reached: nobody of this run is in it before.
fn spread(
    start: Start,
    cap: u32,
    group: &mut Group,
    mut room: impl FnMut(u8) -> u32,
) -> Option<u8> {
    let cap = cap.min(PLACES_MAX);
    let cycle = start.cycle.max(1);
    while group.used < cap * u32::from(cycle) {
        let passed = u8::try_from(group.used / cap).unwrap_or(u8::MAX);
        let before = (u32::from(start.no.saturating_sub(1)) + u32::from(passed)) % u32::from(cycle);
        let no = u8::try_from(before + 1).unwrap_or(u8::MAX);
        if group.used.is_multiple_of(cap) {
            let held = room(no).min(cap);
            group.used += held;
            if held == cap {
                continue;
            }
        }
        group.used += 1;
        return Some(no);
    }
    None
}

/// A larger cap than this is this, so that a cycle's places can be counted in 32 bits.
const PLACES_MAX: u32 = 1_000_000;

/// The book's card with the row's non-empty fields written over it; `None` if nothing changes.
#[must_use]
pub fn merged(book: &Card, row: &Card) -> Option<Card> {
    let mut card = book.clone();
    for (old, new) in [
        (&mut card.name, &row.name),
        (&mut card.company, &row.company),
        (&mut card.country, &row.country),
        (&mut card.language, &row.language),
        (&mut card.title, &row.title),
        (&mut card.source, &row.source),
    ] {
        if !new.is_empty() {
            old.clone_from(new);
        }
    }
    for (name, value) in &row.attributes {
        match card.attributes.iter_mut().find(|(held, _)| held == name) {
            Some((_, held)) => held.clone_from(value),
            None => card.attributes.push((name.clone(), value.clone())),
        }
    }
    (card != *book).then_some(card)
}

fn plain(verdict: Verdict) -> Judged {
    Judged { verdict, rank: 0, place: Place::None, tags: TagsChange::None, card: false }
}

/// 精准 and 普通 are counted apart.
fn group_key(row: &Newcomer<'_>) -> u64 {
    match row.kind {
        Kind::Precise => row.company,
        Kind::Ordinary => row.company.rotate_left(32) ^ 0x9E37_79B9_7F4A_7C15,
    }
}

/// Keys are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
