//! A batch mailer that remembers people.
//!
//! # Bird's-eye view
//!
//! Who ([`book`]) is written to when ([`cadence`]), with what ([`letter`]), what came back and
//! what it means ([`feedback`], [`inbound`]); all of it remembered in [`store`], carried over
//! [`net`], and operated through [`control`] and [`cli`].
//!
//! # The law of the land
//!
//! Modules are declared below in reading order. **A file may name only files declared above it.**
//! Everything up to and including [`inbound`] is pure: no clock, no disk, no socket, no async.
//! `tests/tidy.rs` checks both.

/// Who: domains, addresses, companies, tags, contacts, and the sets that views make of them.
pub mod book {
    pub mod domain;
    pub mod address;
    pub mod company;
    pub mod tag;
    pub mod language;
    pub mod spelling;
    pub mod contact;
    pub mod set;
    pub mod label;
    pub mod condition;
    pub mod leaf;
    pub mod view;
}

/// When: the calendar, the reading and placing of newcomers, the plan of a day.
pub mod cadence {
    pub mod calendar;
    pub mod fault;
    pub mod decode;
    pub mod records;
    pub mod columns;
    pub mod json;
    pub mod sheet;
    pub mod rows;
    pub mod intake;
    pub mod reason;
    pub mod plan;
}

/// What: templates, their faults and variants, tracking tokens, composed messages.
pub mod letter {
    pub mod name;
    pub mod template_file;
    pub mod template;
    pub mod speech;
    pub mod lint;
    pub mod variant;
    pub mod token;
    pub mod compose;
    pub mod sign;
}

/// And then: what replies mean, who opened, the one vocabulary of events, rules.
pub mod feedback {
    pub mod verdict;
    pub mod open;
    pub mod entry;
    pub mod letter_id;
    pub mod timeline;
    pub mod rule;
    pub mod keyword;
}

/// What came in by mail: opened, understood, and whose letter it is about.
pub mod inbound {
    pub mod report;
    pub mod quote;
    pub mod mail;
    pub mod phrases;
    pub mod cause;
    pub mod notice;
    pub mod lines;
    pub mod bounce;
    pub mod date;
    pub mod away;
    pub mod autoreply;
    pub mod wish;
    pub mod tongue;
    pub mod clue;
    pub mod reading;
}

pub mod range;
pub mod misread;
pub mod typedways;
pub mod typed;
pub mod rulefile;
pub mod values;
pub mod conditions;
pub mod spot;
pub mod secret;
pub mod meaning;
pub mod sources;
pub mod outgoing;
pub mod config;

/// What is remembered: the journal that is the truth, and the memory we query.
pub mod store {
    pub mod record;
    pub mod segment;
    pub mod journal;
    pub mod audit;
    pub mod names;
    pub mod columns;
    pub mod acts;
    pub mod facts;
    pub mod state;
    pub mod dealings;
    pub mod snapshot;
    pub mod pages;
    pub mod site;
    pub mod bundle;
    pub mod fresh;
    pub mod writer;
    pub mod load;
    pub mod watch;
    pub mod db;
    pub mod past;
    pub mod seen;
    pub mod ledger;
}

/// How it travels: one SMTP conversation, pacing, dispatch, and the public HTTP endpoint.
pub mod net {
    pub mod relay;
    pub mod wire;
    pub mod smtp;
    pub mod mx;
    pub mod provider;
    pub mod ladder;
    pub mod crowd;
    pub mod sink;
    pub mod maildir;
    pub mod throttle;
    pub mod carry;
    pub mod place;
    pub mod direct;
    pub mod lane;
    pub mod dispatch;
    pub mod page;
    pub mod http;
}

pub mod control;
pub mod socket;

/// What is done about a request: imports, the day, and the answers.
pub mod desk {
    pub mod dayplan;
    pub mod importing;
    pub mod keeper;
    pub mod sight;
    pub mod care;
    pub mod judge;
    pub mod day;
    pub mod draft;
    pub mod letters;
    pub mod imports;
    pub mod orders;
    pub mod world;
    pub mod ahead;
    pub mod rounds;
    pub mod tell;
    pub mod incoming;
    pub mod effects;
    pub mod inbox;
    pub mod answers;
}

pub mod ways;
pub mod postbox;
pub mod clock;
pub mod office;
pub mod press;
pub mod ears;
pub mod daemon;

/// The face: arguments, commands, and what they print.
pub mod cli {
    pub mod keygen;
    pub mod examples;
    pub mod mailargs;
    pub mod whom;
    pub mod args;
    pub mod render;
    pub mod backend;
    pub mod stretch;
    pub mod import;
    pub mod stage;
    pub mod inbound;
    pub mod quickstart;
    pub mod commands;
}
