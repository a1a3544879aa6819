//! The small part of the state (everything but columns, sets and rounds) as bytes.
//!
//! Written beside the pages in the same batch, so that a start reads it instead of the journal. It
//! may change its form freely: another [`FORM`](crate::store::pages) is rebuilt from the journal.

use crate::book::contact::{CompanyNo, ContactId, Day, Moment};
use crate::book::label::Label;
use crate::book::set::ContactSet;
use crate::book::tag::TagId;
use crate::feedback::entry::{Entry, Target, What};
use crate::store::facts::{ClockKind, Counts, Living, RoundState, Today};
use crate::store::record::{self, Field, RecordError};
use crate::store::state::State;

/// Writes the small part of the state.
#[must_use]
pub fn save(state: &State) -> Vec<u8> {
    let mut out = Vec::new();
    let entries = as_entries(state);
    entries.len().put(&mut out);
    for what in entries {
        record::encode(&Entry { at: state.last_at, what }, &mut out);
    }
    (state.contacts.len(), state.companies.len()).put(&mut out);
    state.imports.len().put(&mut out);
    for import in &state.imports {
        import.at.put(&mut out);
        import.who.put(&mut out);
        import.file.put(&mut out);
        import.tag.put(&mut out);
        import.counts.put(&mut out);
    }
    state.living.len().put(&mut out);
    for living in state.living.values() {
        put_living(living, &mut out);
    }
    put_today(&state.today, &mut out);
    state.pending.len().put(&mut out);
    for ((contact, tag), (day, at)) in &state.pending {
        (*contact, *tag, *day, *at).put(&mut out);
    }
    state.labels.len().put(&mut out);
    for label in &state.labels {
        label.kind.put(&mut out);
        label.value.put(&mut out);
    }
    state.opened.put(&mut out);
    clock_code(state.clock).put(&mut out);
    state.last_at.put(&mut out);
    out
}

/// What is told best by the entries that made it.
fn as_entries(state: &State) -> Vec<What> {
    let mut entries = vec![What::StoreCreated { store: state.store }];
    entries.extend(state.tags.iter().map(|tag| What::TagDeclared {
        tag: tag.id,
        name: tag.name.clone(),
        group: tag.group.clone(),
        batch: tag.batch.as_ref().map(|batch| {
            (batch.audience.as_str().to_owned(), batch.kind, batch.series.clone(), batch.no)
        }),
    }));
    entries.extend(state.domains.iter().map(|(domain, note)| What::Suppressed {
        target: Target::Domain(domain.clone()),
        cause: crate::feedback::entry::Cause::Operator,
        note: note.clone(),
    }));
    entries.extend(state.templates.iter().map(|(hash, (name, source))| What::TemplateKept {
        hash: *hash,
        name: name.clone(),
        source: source.clone(),
    }));
    let closed = state.closed.clone();
    entries.extend(closed.map(|(day, rounds)| What::DayClosed { day, rounds }));
    let frozen = state.frozen.clone();
    entries.extend(frozen.map(|(day, rounds)| What::PlanFrozen { day, rounds }));
    entries.extend(state.in_force.map(|limits| What::Limited {
        company_per_day_max: limits.company_per_day_max,
        contact_gap_days_min: limits.contact_gap_days_min,
        silent_gap_days_min: limits.silent_gap_days_min,
    }));
    let by = || crate::feedback::entry::By::Rule("snapshot".to_owned());
    if state.paused {
        entries.push(What::Paused { by: by() });
    }
    let reason = String::new();
    entries.extend(state.held.iter().map(|tag| What::BatchHeld {
        tag: *tag,
        by: by(),
        reason: reason.clone(),
    }));
    entries.extend(state.approved.iter().map(|(due, tag)| What::RoundApproved {
        tag: *tag,
        due: *due,
        by: by(),
    }));
    entries
}

/// Reads [`save`] into a state that has nothing but its columns, sets and rounds.
///
/// # Errors
/// When the bytes are not what [`save`] wrote.
pub fn load(mut from: &[u8], state: &mut State) -> Result<(), RecordError> {
    let from = &mut from;
    for _ in 0..usize::get(from)? {
        state.apply(&record::decode(from)?);
    }
    let (contacts, companies) = Field::get(from)?;
    state.contacts.reserve(contacts);
    state.companies.reserve(companies);
    for _ in 0..usize::get(from)? {
        state.imports.push(crate::store::facts::ImportState {
            at: Field::get(from)?,
            who: Field::get(from)?,
            file: Field::get(from)?,
            tag: Field::get(from)?,
            counts: Field::get(from)?,
        });
    }
    for _ in 0..usize::get(from)? {
        let living = get_living(from)?;
        state.living.insert(living.letter.contact, living);
    }
    state.today = get_today(from)?;
    for _ in 0..usize::get(from)? {
        let (contact, tag, day, at) = <(ContactId, TagId, Day, Moment)>::get(from)?;
        state.pending.insert((contact, tag), (day, at));
    }
    for _ in 0..usize::get(from)? {
        let (kind, value) = (Field::get(from)?, Field::get(from)?);
        state.labels.push(Label { kind, value, members: ContactSet::new() });
    }
    state.opened = Field::get(from)?;
    state.clock = clock_kind(u8::get(from)?)?;
    state.last_at = Field::get(from)?;
    Ok(())
}

/// Writes one round.
#[must_use]
pub fn save_round(round: &RoundState) -> Vec<u8> {
    let mut out = Vec::new();
    put_counts(&round.counts, &mut out);
    for set in [&round.done, &round.readers, &round.machines, &round.promoted] {
        set.to_bytes().put(&mut out);
    }
    out
}

/// Reads [`save_round`].
///
/// # Errors
/// When the bytes are not what [`save_round`] wrote.
pub fn load_round(mut from: &[u8]) -> Result<RoundState, RecordError> {
    let from = &mut from;
    Ok(RoundState {
        counts: get_counts(from)?,
        done: set(&Vec::get(from)?)?,
        readers: set(&Vec::get(from)?)?,
        machines: set(&Vec::get(from)?)?,
        promoted: set(&Vec::get(from)?)?,
    })
}

fn set(bytes: &[u8]) -> Result<ContactSet, RecordError> {
    ContactSet::from_bytes(bytes).ok_or(RecordError::Short)
}

fn put_living(living: &Living, out: &mut Vec<u8>) {
    living.letter.put(out);
    living.first_at.put(out);
    living.attempts.put(out);
    living.until.put(out);
    living.day.put(out);
    living.template.put(out);
}

fn get_living(from: &mut &[u8]) -> Result<Living, RecordError> {
    Ok(Living {
        letter: Field::get(from)?,
        first_at: Field::get(from)?,
        attempts: Field::get(from)?,
        until: Field::get(from)?,
        day: Field::get(from)?,
        template: Field::get(from)?,
    })
}

fn put_today(today: &Today, out: &mut Vec<u8>) {
    today.day.put(out);
    today.claimed.to_bytes().put(out);
    let mut companies: Vec<(CompanyNo, u32)> =
        today.by_company.iter().map(|(company, count)| (*company, *count)).collect();
    companies.sort_unstable();
    companies.put(out);
    put_counts(&today.settled, out);
}

fn get_today(from: &mut &[u8]) -> Result<Today, RecordError> {
    Ok(Today {
        day: Field::get(from)?,
        claimed: set(&Vec::get(from)?)?,
        by_company: Vec::<(CompanyNo, u32)>::get(from)?.into_iter().collect(),
        settled: get_counts(from)?,
    })
}

fn put_counts(counts: &Counts, out: &mut Vec<u8>) {
    let Counts {
        claimed,
        accepted,
        deferred,
        refused,
        unknown,
        withdrawn,
        expired,
        unsubscribed,
        clicked,
    } = counts;
    for count in
        [claimed, accepted, deferred, refused, unknown, withdrawn, expired, unsubscribed, clicked]
    {
        count.put(out);
    }
}

fn get_counts(from: &mut &[u8]) -> Result<Counts, RecordError> {
    Ok(Counts {
        claimed: Field::get(from)?,
        accepted: Field::get(from)?,
        deferred: Field::get(from)?,
        refused: Field::get(from)?,
        unknown: Field::get(from)?,
        withdrawn: Field::get(from)?,
        expired: Field::get(from)?,
        unsubscribed: Field::get(from)?,
        clicked: Field::get(from)?,
    })
}

fn clock_code(clock: ClockKind) -> u8 {
    match clock {
        ClockKind::Unset => 0,
        ClockKind::Real => 1,
        ClockKind::Rehearsal => 2,
    }
}

fn clock_kind(code: u8) -> Result<ClockKind, RecordError> {
    match code {
        0 => Ok(ClockKind::Unset),
        1 => Ok(ClockKind::Real),
        2 => Ok(ClockKind::Rehearsal),
        code => Err(RecordError::Code { what: "clock", code }),
    }
}
