//! What is kept under which name in the memory.

use crate::book::contact::{Act, Day, Moment};
use crate::book::tag::TagId;
use crate::book::view::COUNT_DAYS_MAX;

/// The day that an event's page is filed under.
#[must_use]
pub fn utc_day(at: Moment) -> u16 {
    u16::try_from(at.0.div_euclid(86_400_000).max(0)).unwrap_or(u16::MAX)
}

/// The name of page or chunk `number` of a kind.
#[must_use]
pub fn name(kind: u8, number: u32) -> Vec<u8> {
    let mut name = vec![kind];
    name.extend_from_slice(&number.to_be_bytes());
    name
}

/// The name of who did something on a day.
#[must_use]
pub fn act_name(day: Day, act: Act) -> Vec<u8> {
    let mut name = vec![b'a'];
    name.extend_from_slice(&day.0.to_be_bytes());
    name.push(act_code(act));
    name
}

/// The name before which stand acts of days that no count reaches back to once `day` is open.
#[must_use]
pub fn acts_before(day: Day) -> Vec<u8> {
    act_name(day.plus(-i32::from(COUNT_DAYS_MAX)), Act::Letter)
}

fn act_code(act: Act) -> u8 {
    match act {
        Act::Letter => 1,
        Act::Open => 2,
        Act::Click => 3,
        Act::Reply => 4,
        Act::Touch => 5,
    }
}

/// Reads what [`act_name`] ends in.
#[must_use]
pub fn act_of(code: u8) -> Option<Act> {
    Act::ALL.into_iter().find(|act| act_code(*act) == code)
}

/// The name of a closed day.
#[must_use]
pub fn day_name(day: Day) -> Vec<u8> {
    let mut name = vec![b'd'];
    name.extend_from_slice(&day.0.to_be_bytes());
    name
}

/// The name of a chunk of a set.
#[must_use]
pub fn set_name(code: u16, chunk: u32) -> Vec<u8> {
    let mut name = vec![b'b'];
    name.extend_from_slice(&code.to_be_bytes());
    name.extend_from_slice(&chunk.to_be_bytes());
    name
}

/// The beginning of the names of who was tagged on a day.
#[must_use]
pub fn day_of_tags(day: Day) -> Vec<u8> {
    let mut name = vec![b'q'];
    name.extend_from_slice(&day.0.to_be_bytes());
    name
}

/// The name of a chunk of who was given a tag on a day.
#[must_use]
pub fn recent_name(day: Day, tag: TagId, chunk: u32) -> Vec<u8> {
    let mut name = day_of_tags(day);
    name.extend_from_slice(&tag.0.to_be_bytes());
    name.extend_from_slice(&chunk.to_be_bytes());
    name
}

/// The name of a chunk of a leaf's set.
#[must_use]
pub fn leaf_name(hash: u64, chunk: u32) -> Vec<u8> {
    let mut name = vec![b'l'];
    name.extend_from_slice(&hash.to_be_bytes());
    name.extend_from_slice(&chunk.to_be_bytes());
    name
}
