//! Proves the promise from the journal alone: never twice, never the excluded, never above the cap
//! (DESIGN §1, I1 to I3).
//!
//! It reads the entries once, front to back, and shares no code with what wrote them but the entry
//! reader: an error of the ledger cannot hide itself here. What an exclusion view would have said is
//! not judged, since views are configuration and no entries.
//!
//! Memory: 16 bytes per contact, 12 to 24 per domain and its parents, and the letters under way.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::book::contact::{CompanyNo, ContactId, Day, Moment};
use crate::book::tag::{SeriesKind, TagId};
use crate::feedback::entry::{Entry, LetterId, Target, What};
use crate::store::journal::{JournalError, Reader};

/// So many violations are listed, the rest are counted: a rule set wrong must not fill the memory.
pub const VIOLATIONS_LISTED_MAX: usize = 10_000;
/// Contacts are kept in pages of this many, so that a lone high number costs one page.
const PAGE: u32 = 1024;

/// What is held against the journal, until it says itself by which limits letters were claimed: a
/// cap that is lowered later does not condemn the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Letters claimed per company and day, at most.
    pub company_per_day_max: u32,
    /// Days between two letters, at least: 7 means written on day d, next on d+7.
    pub contact_gap_days_min: u16,
    /// Days between two silent letters, at least.
    pub silent_gap_days_min: u16,
}

/// What the journal shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Entries read.
    pub entries: u64,
    /// Letters: claims of a first attempt.
    pub letters: u64,
    /// What broke the promise, in the order it happened; at most [`VIOLATIONS_LISTED_MAX`].
    pub violations: Vec<Violation>,
    /// Violations beyond those listed.
    pub unlisted: u64,
}

/// One break of the promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The entry that broke it.
    pub seq: u64,
    /// When that was written.
    pub at: Moment,
    /// Which rule: `twice-a-day`, `gap`, `suppressed`, `company-cap`, `day-went-back`,
    /// `two-letters`, `other-letter`, `uncounted`, `claim-unsettled-twice`, `sent-again`,
    /// `unknown-resent`, `accepted-twice`, `settled-twice`, `outcome-without-claim`, `no-such-tag`,
    /// `no-such-contact`, `rehearsal`.
    pub kind: String,
    /// In words.
    pub detail: String,
}

/// Reads the whole journal in `dir` and judges it. A torn tail is no violation and is passed over.
///
/// # Errors
/// A [`JournalError`] when the journal cannot be read to its end: then nothing is proved.
pub fn audit(dir: &Path, rules: Rules) -> Result<Audit, JournalError> {
    let mut judge = Judge::new(rules);
    for item in Reader::open(dir)?.read_from(1)? {
        let (seq, entry) = item?;
        judge.read(seq, &entry);
    }
    Ok(judge.audit)
}

/// How a letter ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// None has ended yet.
    #[default]
    Never,
    Accepted,
    Refused,
    Unknown,
    /// Withdrawn or expired.
    GivenUp,
}

/// What is remembered of a contact. Day 0 (1970) stands for never.
#[derive(Clone, Copy, Debug)]
struct Person {
    /// The domain's number, as [`Domains`] counts; 0 for a contact never imported.
    domain: u32,
    /// Day of the last claim.
    claimed: Day,
    /// Day of the last letter accepted or unknown, and of the last silent one.
    written: Day,
    silent: Day,
    /// The last letter that ended, and how.
    tag: TagId,
    due: Day,
    end: End,
    suppressed: bool,
}

const NOBODY: Person = Person {
    domain: 0,
    claimed: Day(0),
    written: Day(0),
    silent: Day(0),
    tag: TagId(0),
    due: Day(0),
    end: End::Never,
    suppressed: false,
};

/// A letter that has been claimed and has not ended.
#[derive(Clone, Copy, Debug)]
struct Living {
    letter: LetterId,
    /// Day of its last claim, and of the last that counted for the company.
    day: Day,
    counted: Day,
    /// Whether its last claim has no outcome yet.
    unsettled: bool,
}

/// A claim's fields.
#[derive(Clone, Copy)]
struct Claim {
    letter: LetterId,
    day: Day,
    company: CompanyNo,
    attempt: u16,
    counts: bool,
}

struct Judge {
    rules: Rules,
    audit: Audit,
    seq: u64,
    at: Moment,
    tags: HashMap<TagId, Option<SeriesKind>>,
    people: HashMap<u32, Vec<Person>>,
    domains: Domains,
    living: HashMap<ContactId, Living>,
    unknown: HashSet<LetterId>,
    /// The day of the last claim, and how many letters count for each company on it.
    today: Day,
    companies: HashMap<CompanyNo, u32>,
    rehearsal: Option<bool>,
}

impl Judge {
    fn new(rules: Rules) -> Self {
        Self {
            rules,
            audit: Audit::default(),
            seq: 0,
            at: Moment(0),
            tags: HashMap::new(),
            people: HashMap::new(),
            domains: Domains::default(),
            living: HashMap::new(),
            unknown: HashSet::new(),
            today: Day(0),
            companies: HashMap::new(),
            rehearsal: None,
        }
    }

    fn read(&mut self, seq: u64, entry: &Entry) {
        self.audit.entries += 1;
        (self.seq, self.at) = (seq, entry.at);
        match &entry.what {
            What::TagDeclared { tag, batch, .. } => {
                self.tags.insert(*tag, batch.as_ref().map(|(_, kind, ..)| *kind));
            }
            What::Imported { contact, address, .. } => {
                let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
                self.person(*contact).domain = self.domains.number(domain);
            }
            What::Suppressed { target, .. } => self.suppress(target, true),
            What::Unsuppressed { target, .. } => self.suppress(target, false),
            What::Unsubscribed { contact, .. } => self.person(*contact).suppressed = true,
            What::Claimed { letter, day, company, attempt, counts, rehearsal, .. } => {
                let (letter, day, company) = (*letter, *day, *company);
                self.rehearsed(*rehearsal);
                self.claim(Claim { letter, day, company, attempt: *attempt, counts: *counts });
            }
            What::Accepted { letter, .. } => self.settle(*letter, End::Accepted),
            What::Refused { letter, .. } => self.settle(*letter, End::Refused),
            What::Unknown { letter, .. } => self.settle(*letter, End::Unknown),
            What::Withdrawn { letter, .. } => self.withdraw(*letter),
            What::Expired { letter } => self.settle(*letter, End::GivenUp),
            What::Deferred { letter, .. } => self.defer(*letter),
            What::Limited { company_per_day_max, contact_gap_days_min, silent_gap_days_min } => {
                self.rules = Rules {
                    company_per_day_max: *company_per_day_max,
                    contact_gap_days_min: *contact_gap_days_min,
                    silent_gap_days_min: *silent_gap_days_min,
                };
            }
            _ => {}
        }
    }

    fn person(&mut self, contact: ContactId) -> &mut Person {
        let page = self.people.entry(contact.0 / PAGE);
        let page = page.or_insert_with(|| vec![NOBODY; PAGE as usize]);
        page.get_mut((contact.0 % PAGE) as usize).expect("a page holds every remainder")
    }

    fn suppress(&mut self, target: &Target, suppressed: bool) {
        match target {
            Target::Contact(contact) => self.person(*contact).suppressed = suppressed,
            Target::Domain(domain) => self.domains.suppress(domain, suppressed),
        }
    }

    /// A store is either rehearsed in or real, never both.
    fn rehearsed(&mut self, rehearsal: bool) {
        if *self.rehearsal.get_or_insert(rehearsal) != rehearsal {
            self.found("rehearsal", "claims under a rehearsal clock and the real clock".to_owned());
        }
    }

    fn claim(&mut self, claim: Claim) {
        let Claim { letter, day, attempt, .. } = claim;
        if day < self.today {
            let detail = format!("{letter}: claimed for {day} after a claim for {}", self.today);
            self.found("day-went-back", detail);
        }
        self.excluded(letter);
        let before = self.living.get(&letter.contact).copied();
        let same = before.filter(|living| living.letter == letter && attempt > 1);
        match (same, before) {
            (Some(living), _) if living.unsettled => {
                let detail = format!("{letter}: attempt {attempt}, the one before has no outcome");
                self.found("claim-unsettled-twice", detail);
            }
            (None, Some(living)) => {
                let detail = format!("{letter}: claimed while {} is under way", living.letter);
                self.found(if attempt > 1 { "other-letter" } else { "two-letters" }, detail);
            }
            (None, None) if attempt > 1 => {
                let detail = format!("{letter}: attempt {attempt} of no letter under way");
                self.found("other-letter", detail);
            }
            _ => {}
        }
        self.repeated(letter);
        if same.is_none() {
            self.rhythm(letter, day);
        }
        if attempt == 1 {
            self.audit.letters += 1;
        }
        self.count(claim, same.is_some_and(|living| living.counted == day));
        let counted = match same {
            Some(living) if !claim.counts => living.counted,
            _ => day,
        };
        self.living.insert(letter.contact, Living { letter, day, counted, unsettled: true });
        self.person(letter.contact).claimed = day;
    }

    /// I2: the suppressed, and those below a suppressed domain.
    fn excluded(&mut self, letter: LetterId) {
        let Person { domain, suppressed, .. } = *self.person(letter.contact);
        if domain == 0 {
            self.found("no-such-contact", format!("{letter}: claimed for nobody known"));
        }
        if suppressed {
            self.found("suppressed", format!("{letter}: claimed for a suppressed contact"));
        } else if self.domains.suppressed(domain) {
            self.found("suppressed", format!("{letter}: claimed for a suppressed domain"));
        }
    }

    /// I4: what ended in a round is not claimed again in it.
    fn repeated(&mut self, letter: LetterId) {
        let Person { tag, due, end, .. } = *self.person(letter.contact);
        if self.unknown.contains(&letter) {
            self.found("unknown-resent", format!("{letter}: claimed after its end was unknown"));
        } else if (tag, due) == (letter.tag, letter.due)
            && matches!(end, End::Accepted | End::Refused)
        {
            self.found("sent-again", format!("{letter}: claimed after it was {end:?}"));
        }
    }

    /// I1: one letter a day, and the days between two.
    fn rhythm(&mut self, letter: LetterId, day: Day) {
        let Person { claimed, written, silent, .. } = *self.person(letter.contact);
        if claimed == day {
            self.found("twice-a-day", format!("{letter}: another letter was claimed on {day}"));
        }
        let gap = i32::from(self.rules.contact_gap_days_min);
        let silent_gap = i32::from(self.rules.silent_gap_days_min);
        let kind = self.tags.get(&letter.tag).copied();
        if kind.is_none() {
            let detail = format!("{letter}: tag {} was never declared", letter.tag.0);
            self.found("no-such-tag", detail);
        }
        let marketing = kind.flatten() == Some(SeriesKind::Marketing);
        let since = |last: Day| (last > Day(0)).then(|| day.since(last));
        if since(written).is_some_and(|days| days < gap) {
            let detail = format!("{letter}: claimed for {day}, written on {written}, gap {gap}");
            self.found("gap", detail);
        } else if marketing && since(silent).is_some_and(|days| days < silent_gap) {
            let detail =
                format!("{letter}: claimed for {day}, silent letter on {silent}, gap {silent_gap}");
            self.found("gap", detail);
        }
    }

    /// I3: the company's letters of the day. `had`: this letter counts for that day already.
    fn count(&mut self, Claim { letter, day, company, counts, .. }: Claim, had: bool) {
        if !counts && !had {
            let detail = format!("{letter}: claimed for {day} without counting for its company");
            self.found("uncounted", detail);
        }
        if day > self.today {
            self.today = day;
            self.companies.clear();
        }
        if !counts || day < self.today {
            return;
        }
        let letters = self.companies.entry(company).or_default();
        *letters += 1;
        let (letters, max) = (*letters, self.rules.company_per_day_max);
        if letters > max {
            let company = company.0;
            let detail = format!("{letter}: number {letters} of company {company} on {day}, {max}");
            self.found("company-cap", format!("{detail} allowed"));
        }
    }

    fn defer(&mut self, letter: LetterId) {
        match self.living.get_mut(&letter.contact) {
            Some(living) if living.letter == letter && living.unsettled => {
                living.unsettled = false;
            }
            _ => self.unclaimed(letter, None),
        }
    }

    fn settle(&mut self, letter: LetterId, end: End) {
        if end == End::Unknown {
            self.unknown.insert(letter);
        }
        let living = self.living.get(&letter.contact).copied();
        let living = living.filter(|living| living.letter == letter);
        // Between two attempts a letter may be given up, but nothing else can become of it.
        if living.is_none_or(|living| !living.unsettled && end != End::GivenUp) {
            self.unclaimed(letter, Some(end));
        }
        let Some(Living { day, .. }) = living else { return };
        self.living.remove(&letter.contact);
        let marketing = self.tags.get(&letter.tag) == Some(&Some(SeriesKind::Marketing));
        let person = self.person(letter.contact);
        (person.tag, person.due, person.end) = (letter.tag, letter.due, end);
        if matches!(end, End::Accepted | End::Unknown) {
            person.written = person.written.max(day);
            if marketing {
                person.silent = person.silent.max(day);
            }
        }
    }

    /// A planned letter may be withdrawn before any claim, but not after its end.
    fn withdraw(&mut self, letter: LetterId) {
        let under_way = self.living.get(&letter.contact).is_some_and(|one| one.letter == letter);
        let person = self.person(letter.contact);
        let ended =
            person.end != End::Never && (person.tag, person.due) == (letter.tag, letter.due);
        if under_way || ended {
            self.settle(letter, End::GivenUp);
        } else {
            (person.tag, person.due, person.end) = (letter.tag, letter.due, End::GivenUp);
        }
    }

    /// An outcome (`None`: deferred) of a letter that has no attempt under way.
    fn unclaimed(&mut self, letter: LetterId, outcome: Option<End>) {
        let Person { tag, due, end, .. } = *self.person(letter.contact);
        let ended = end != End::Never && (tag, due) == (letter.tag, letter.due);
        let outcome = outcome.map_or("Deferred".to_owned(), |outcome| format!("{outcome:?}"));
        if !ended {
            let detail = format!("{letter}: {outcome}, but no attempt was under way");
            self.found("outcome-without-claim", detail);
        } else if end == End::Accepted && outcome == "Accepted" {
            self.found("accepted-twice", format!("{letter}: accepted a second time"));
        } else {
            self.found("settled-twice", format!("{letter}: {outcome} after it was {end:?}"));
        }
    }

    fn found(&mut self, kind: &str, detail: String) {
        if self.audit.violations.len() >= VIOLATIONS_LISTED_MAX {
            self.audit.unlisted += 1;
            return;
        }
        let (seq, at, kind) = (self.seq, self.at, kind.to_owned());
        self.audit.violations.push(Violation { seq, at, kind, detail });
    }
}

/// Domains by number, from 1, each with the domain above it. Known by a 64-bit hash only: of ten
/// million domains, two share one in three of a million stores.
#[derive(Default)]
struct Domains {
    numbers: HashMap<u64, u32>,
    parents: Vec<u32>,
    suppressed: HashSet<u32>,
}

impl Domains {
    fn number(&mut self, domain: &str) -> u32 {
        let domain = domain.to_ascii_lowercase();
        if let Some(number) = self.numbers.get(&xxh3_64(domain.as_bytes())) {
            return *number;
        }
        let mut above = 0;
        let starts = domain.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]);
        for name in starts.filter_map(|start| domain.get(start..)) {
            above = *self.numbers.entry(xxh3_64(name.as_bytes())).or_insert_with(|| {
                self.parents.push(above);
                u32::try_from(self.parents.len()).unwrap_or(u32::MAX)
            });
        }
        above
    }

    fn suppress(&mut self, domain: &str, suppressed: bool) {
        let number = self.number(domain.trim_start_matches(['@', '.']));
        if suppressed {
            self.suppressed.insert(number);
        } else {
            self.suppressed.remove(&number);
        }
    }

    /// Whether a domain or any domain above it is suppressed.
    fn suppressed(&self, mut number: u32) -> bool {
        while number > 0 && !self.suppressed.contains(&number) {
            let place = number as usize - 1;
            number = self.parents.get(place).copied().unwrap_or(0);
        }
        number > 0
    }
}
