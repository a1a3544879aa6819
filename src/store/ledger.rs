//! The last word before a letter leaves: whether it may be claimed, in the same step that writes
//! the claim.
//!
//! The plan was made earlier, by another thread of thought; between plan and claim somebody may have
//! unsubscribed, been tagged, been written to, or the day may have turned. Nothing is sent that does
//! not pass here (DESIGN §1 I1 to I3, §8).

use crate::book::contact::{ContactId, Day, Moment};
use crate::book::tag::SeriesKind;
use crate::cadence::plan::Limits;
use crate::cadence::reason::Reason;
use crate::feedback::entry::{LetterId, What};
use crate::store::state::State;

/// Why a letter may not be claimed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// For one of the plan's reasons.
    Reason(Reason),
    /// The clock or the zone shows an earlier day than the last claim's.
    DayWentBack,
    /// The machine was told to stop writing.
    Paused,
    /// The letter has ended, or the contact no longer has the batch's tag.
    NotLiving,
}

impl Refusal {
    /// The reason, as it is shown.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Reason(reason) => reason.to_string(),
            Self::DayWentBack => "day-went-back".to_owned(),
            Self::Paused => "held".to_owned(),
            Self::NotLiving => "ended".to_owned(),
        }
    }

    /// Whether the letter ends here: excluded for good, not merely stopped for now.
    #[must_use]
    pub fn ends(&self) -> bool {
        matches!(
            self,
            Self::Reason(
                Reason::Suppressed | Reason::Waiting | Reason::View(_) | Reason::NoTemplate
            )
        )
    }
}

/// What a claim is judged by, beside the state.
pub struct Claiming<'a> {
    /// The moment of the claim.
    pub now: Moment,
    /// The day it would count for.
    pub day: Day,
    /// Caps and gaps.
    pub limits: &'a Limits,
    /// The first exclusion view of the letter's series that holds the contact, if any.
    pub excluded: Option<String>,
    /// Whether the hours of sending last.
    pub open: bool,
    /// Whether somebody holds the batch.
    pub held: bool,
    /// Hash of the template's source.
    pub template: u64,
    /// Whether a rehearsal clock runs.
    pub rehearsal: bool,
}

/// The claim of a letter's next attempt, if it may be made.
///
/// # Errors
/// The first [`Refusal`] that holds.
pub fn claim(state: &State, letter: LetterId, by: &Claiming<'_>) -> Result<What, Refusal> {
    let contact = letter.contact;
    if state.paused {
        return Err(Refusal::Paused);
    }
    if state.today.day.is_some_and(|today| by.day < today) {
        return Err(Refusal::DayWentBack);
    }
    if state.suppressed.contains(contact) {
        return Err(Refusal::Reason(Reason::Suppressed));
    }
    if state.waiting.contains(contact) {
        return Err(Refusal::Reason(Reason::Waiting));
    }
    if let Some(view) = &by.excluded {
        return Err(Refusal::Reason(Reason::View(view.clone())));
    }
    if !state.members(letter.tag).is_some_and(|members| members.contains(contact)) {
        return Err(Refusal::NotLiving);
    }
    if by.held {
        return Err(Refusal::Reason(Reason::Held));
    }
    if !by.open {
        return Err(Refusal::Reason(Reason::Window));
    }
    let attempt = attempt(state, letter, by.now)?;
    let today = state.today.day == Some(by.day);
    let claimed_today = today && state.today.claimed.contains(contact);
    let again_today = attempt > 1 && claimed_today;
    if claimed_today && attempt == 1 {
        return Err(Refusal::Reason(Reason::AlreadyToday));
    }
    if attempt == 1 && too_soon(state, letter, by) {
        return Err(Refusal::Reason(Reason::Gap));
    }
    let Some(row) = state.contacts.row(contact) else { return Err(Refusal::NotLiving) };
    let taken = if today { state.today.by_company.get(&row.company).copied() } else { None };
    if !again_today && taken.unwrap_or(0) >= by.limits.company_per_day_max {
        return Err(Refusal::Reason(Reason::CompanyCap));
    }
    Ok(What::Claimed {
        letter,
        day: by.day,
        company: row.company,
        attempt,
        counts: !again_today,
        template: by.template,
        rehearsal: by.rehearsal,
    })
}

/// Which attempt this would be; a contact has at most one living letter, tried when its time comes.
fn attempt(state: &State, letter: LetterId, now: Moment) -> Result<u16, Refusal> {
    let done = state
        .rounds
        .get(&(letter.due, letter.tag))
        .is_some_and(|round| round.done.contains(letter.contact));
    match state.living.get(&letter.contact) {
        Some(living)
            if living.letter == letter && living.until.is_some_and(|until| until <= now) =>
        {
            Ok(living.attempts.saturating_add(1))
        }
        Some(_) => Err(Refusal::Reason(Reason::InFlight)),
        None if done => Err(Refusal::NotLiving),
        None => Ok(1),
    }
}

fn too_soon(state: &State, letter: LetterId, by: &Claiming<'_>) -> bool {
    let (last, last_silent) = state.contacts.lasts(letter.contact);
    let within =
        |last: u16, gap: u16| last != 0 && u32::from(by.day.0) < u32::from(last) + u32::from(gap);
    let silent = state
        .tag(letter.tag)
        .and_then(|tag| tag.batch.as_ref())
        .is_some_and(|batch| batch.kind == SeriesKind::Marketing);
    within(last, by.limits.contact_gap_days_min)
        || (silent && within(last_silent, by.limits.silent_gap_days_min))
}

/// Letters whose claim has no end: after a crash, nobody knows whether they arrived.
#[must_use]
pub fn in_doubt(state: &State) -> Vec<LetterId> {
    let open = state.living.values().filter(|living| living.until.is_none());
    open.map(|living| living.letter).collect()
}

/// Everybody with a living letter, for the planner.
#[must_use]
pub fn in_flight(state: &State) -> crate::book::set::ContactSet {
    state.living.keys().copied().collect::<Vec<ContactId>>().into_iter().collect()
}
