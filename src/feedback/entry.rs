//! The one vocabulary of events: everything that must not be lost is an entry, and the state is a
//! fold of entries.
//!
//! An entry carries all that its fold needs (day, company number, batch, due day), so that a replay
//! under another configuration, zone or suffix list gives the same state and the same audit.

use crate::book::contact::{Card, CompanyNo, ContactId, Day, Kind, Moment};
use crate::book::label::LabelKind;
use crate::book::tag::{SeriesKind, TagId};
use crate::cadence::intake::ImportCounts;
use crate::feedback::open::OpenClass;
use crate::feedback::verdict::{AutoKind, Class};

/// A letter is one contact's mail in one round: it needs no table to be found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId {
    /// Whom it is for.
    pub contact: ContactId,
    /// The batch.
    pub tag: TagId,
    /// The round: the day the batch fell due.
    pub due: Day,
}

/// Who or what made a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// A person, by name of the account that asked.
    Person(String),
    /// A rule, by its name.
    Rule(String),
    /// An import, by its number.
    Import(u32),
}

/// Whom a suppression is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One contact.
    Contact(ContactId),
    /// A whole domain and everything below it.
    Domain(String),
}

/// Why somebody is never to be written to again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Asked to be left alone.
    Unsubscribed,
    /// Pressed "spam".
    Complained,
    /// The mailbox or its domain does not exist.
    HardBounce,
    /// The operator said so.
    Operator,
    /// Erased on request.
    Erased,
}

/// How an unsubscribe reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// The RFC 8058 POST of a mail program.
    OneClick,
    /// The button on our page.
    Page,
    /// Mail to the unsubscribe address, or a reply that asks for it.
    Mail,
}

/// One batch of one day's plan, as it stood when it was written: who was in it, by outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundRecord {
    /// The batch.
    pub tag: TagId,
    /// The day the batch fell due (earlier than the plan's day for what is carried).
    pub due: Day,
    /// Outcome (`send`, or a reason as DESIGN §6 spells it) and the contacts it holds for, as
    /// [`crate::book::set::ContactSet::to_bytes`] writes them.
    pub outcomes: Vec<(String, Vec<u8>)>,
}

/// What happened. The order of the variants is the order of a contact's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The store was made.
    StoreCreated {
        /// The id that journal and sled share.
        store: [u8; 16],
    },
    /// A tag was used for the first time.
    TagDeclared {
        /// Its number from now on.
        tag: TagId,
        /// Its whole name.
        name: String,
        /// Its group at that time.
        group: String,
        /// Audience, kind, series name and number, when it is a batch tag.
        batch: Option<(String, SeriesKind, String, u8)>,
    },
    /// An import began.
    ImportBegan {
        /// Its number, from 1.
        import: u32,
        /// Who ran it.
        who: String,
        /// File name, or `-`.
        file: String,
        /// The tag it was asked to give.
        tag: Option<TagId>,
    },
    /// A contact was seen for the first time (or an address known only by its suppression was).
    Imported {
        /// Its number.
        contact: ContactId,
        /// Its address, local part as typed, domain in A-labels.
        address: String,
        /// Its company.
        company: CompanyNo,
        /// The company's key, when this is the company's first contact.
        company_key: Option<String>,
        /// 精准 or 普通.
        kind: Kind,
        /// Its place within (company, kind); 0 for an address known only by its suppression.
        rank: u32,
        /// The day it counts from, in the zone of that time.
        day: Day,
        /// The import (0: none).
        import: u32,
        /// Tags it was given, in order.
        tags: Vec<TagId>,
        /// The other columns.
        card: Card,
    },
    /// A known contact's columns were replaced.
    Updated {
        /// Which contact.
        contact: ContactId,
        /// The import that did it.
        import: u32,
        /// All columns, as they are from now on.
        card: Card,
    },
    /// An import ended (one that was killed has no such entry).
    ImportEnded {
        /// Its number.
        import: u32,
        /// What it did.
        counts: ImportCounts,
    },
    /// A tag was given.
    Tagged {
        /// Whom.
        contact: ContactId,
        /// Which.
        tag: TagId,
        /// The day it counts from.
        day: Day,
        /// By whom.
        by: By,
    },
    /// A correction: the tag no longer counts (the history keeps it).
    Untagged {
        /// Whom.
        contact: ContactId,
        /// Which.
        tag: TagId,
        /// By whom.
        by: By,
        /// Why.
        reason: String,
    },
    /// Never to be written to again.
    Suppressed {
        /// Whom.
        target: Target,
        /// Why.
        cause: Cause,
        /// In the operator's words.
        note: String,
    },
    /// A correction: the suppression no longer counts.
    Unsuppressed {
        /// Whom.
        target: Target,
        /// In the operator's words.
        reason: String,
    },
    /// The daemon lived through (or made up) this day.
    DayOpened {
        /// Which.
        day: Day,
    },
    /// The day's plan when its window opened.
    PlanFrozen {
        /// Which day.
        day: Day,
        /// Its batches.
        rounds: Vec<RoundRecord>,
    },
    /// The day is over: what became of everybody who was not written to.
    DayClosed {
        /// Which day.
        day: Day,
        /// Its batches; carried over is who stopped at a reason that carries.
        rounds: Vec<RoundRecord>,
    },
    /// The durable promise before a letter's final dot: this contact, this day, this company.
    Claimed {
        /// Which letter.
        letter: LetterId,
        /// The day it counts for.
        day: Day,
        /// The company it counts for.
        company: CompanyNo,
        /// 1 for the first attempt.
        attempt: u16,
        /// The day's unit of the company cap is taken by this claim (false for a further attempt
        /// on the same day).
        counts: bool,
        /// Hash of the template's source.
        template: u64,
        /// Whether the clock was a rehearsal clock.
        rehearsal: bool,
    },
    /// The source of a template at its first claim.
    TemplateKept {
        /// Hash of the source.
        hash: u64,
        /// Its file name.
        name: String,
        /// The whole source.
        source: String,
    },
    /// 2yz after the dot.
    Accepted {
        /// Which letter.
        letter: LetterId,
        /// The peer's words.
        reply: String,
    },
    /// 4yz, or cut off before the dot: to be tried again.
    Deferred {
        /// Which letter.
        letter: LetterId,
        /// Not before.
        until: Moment,
        /// What kind of trouble.
        class: Class,
        /// The peer's words.
        reply: String,
    },
    /// 5yz: not to be tried again in this round.
    Refused {
        /// Which letter.
        letter: LetterId,
        /// What kind of refusal.
        class: Class,
        /// The peer's words.
        reply: String,
    },
    /// Cut off after the dot, or a crash between claim and outcome: never sent again in this round.
    Unknown {
        /// Which letter.
        letter: LetterId,
        /// What cut it off.
        why: String,
    },
    /// Excluded between two attempts.
    Withdrawn {
        /// Which letter.
        letter: LetterId,
        /// The reason, as DESIGN §6 spells it.
        reason: String,
    },
    /// Too old for another attempt.
    Expired {
        /// Which letter.
        letter: LetterId,
    },
    /// The pixel was fetched.
    Opened {
        /// Which letter.
        letter: LetterId,
        /// By what.
        class: OpenClass,
        /// Why it was classed so.
        reason: String,
        /// The day it counts for (the week of promotion is that of the open).
        day: Day,
    },
    /// A link was followed.
    Clicked {
        /// Which letter.
        letter: LetterId,
        /// Which link, as numbered in the template.
        link: u16,
        /// By what.
        class: OpenClass,
        /// The day it counts for.
        day: Day,
    },
    /// Asked to be left alone: also suppresses.
    Unsubscribed {
        /// By which contact.
        contact: ContactId,
        /// Of which letter, when it is known.
        letter: Option<LetterId>,
        /// How.
        via: Via,
    },
    /// The machine was told to stop writing (durable).
    Paused {
        /// By whom.
        by: By,
    },
    /// The machine was told to go on.
    Resumed {
        /// By whom.
        by: By,
    },
    /// A batch was stopped until it is released.
    BatchHeld {
        /// Which.
        tag: TagId,
        /// By whom.
        by: By,
        /// Why.
        reason: String,
    },
    /// A batch may go on.
    BatchReleased {
        /// Which.
        tag: TagId,
        /// By whom.
        by: By,
    },
    /// A round above `approve_above` may go out.
    RoundApproved {
        /// Which batch.
        tag: TagId,
        /// The day it falls due.
        due: Day,
        /// By whom.
        by: By,
    },
    /// A person's note on a contact.
    Noted {
        /// Which contact.
        contact: ContactId,
        /// The day it counts for.
        day: Day,
        /// By whom.
        by: By,
        /// The words.
        text: String,
    },
    /// A contact got an owner or a stage, in the place of the one before.
    Labelled {
        /// Which contact.
        contact: ContactId,
        /// Whether owner or stage.
        kind: LabelKind,
        /// The owner's or stage's name; empty for none.
        value: String,
        /// The day it counts for.
        day: Day,
        /// By whom.
        by: By,
    },
    /// A report came that the letter did not arrive; suppresses by an entry of its own.
    Bounced {
        /// Whom it was for.
        contact: ContactId,
        /// Which letter, when our token says so; without it nothing follows.
        letter: Option<LetterId>,
        /// Whether the mailbox is gone for good.
        hard: bool,
        /// The status code, as `5.1.1`.
        status: String,
        /// What kind of trouble.
        class: Class,
        /// The words of the report.
        words: String,
        /// Hash of the message: the same one is taken once.
        mail: u64,
    },
    /// A reader pressed "spam"; suppresses by an entry of its own.
    Complained {
        /// Who.
        contact: ContactId,
        /// About which letter, when our token says so; without it nothing follows.
        letter: Option<LetterId>,
        /// The feedback type (RFC 5965).
        feedback: String,
        /// Hash of the message.
        mail: u64,
    },
    /// A person wrote: no series letter until somebody decides.
    Replied {
        /// Who.
        contact: ContactId,
        /// In answer to which letter, when our token says so.
        letter: Option<LetterId>,
        /// The address it came from.
        from: String,
        /// The subject.
        subject: String,
        /// ISO 639-1, empty when it cannot be told.
        language: String,
        /// The writer's own words, clipped.
        text: String,
        /// Name, media type and size of what was attached.
        files: Vec<(String, String, u64)>,
        /// Hash of the message.
        mail: u64,
        /// The day it counts for.
        day: Day,
    },
    /// A machine answered for a person.
    AutoReplied {
        /// For whom.
        contact: ContactId,
        /// To which letter, when our token says so.
        letter: Option<LetterId>,
        /// What it says.
        kind: AutoKind,
        /// Until when somebody is away, if it says so.
        until: Option<Day>,
        /// Its own words, clipped.
        text: String,
        /// Hash of the message.
        mail: u64,
    },
    /// A colleague wrote, and the whole company waits (`inbound.reply_stops = "company"`).
    StoppedFor {
        /// Who waits.
        contact: ContactId,
        /// Because of whose reply.
        because: ContactId,
    },
    /// A person decided: the waiting is over.
    Decided {
        /// For whom.
        contact: ContactId,
        /// Who decided.
        by: By,
        /// What: `resume`, `tag …` or `suppress`.
        how: String,
    },
    /// From here on letters are claimed within these limits: the past is judged by its own.
    Limited {
        /// Letters claimed per company and day, at most.
        company_per_day_max: u32,
        /// Days between two letters, at least.
        contact_gap_days_min: u16,
        /// Days between two silent letters, at least.
        silent_gap_days_min: u16,
    },
}

/// One thing that happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, by the daemon's one clock.
    pub at: Moment,
    /// What.
    pub what: What,
}
