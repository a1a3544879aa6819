//! Days to come: the plan of one, and the forecast of many.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::book::contact::{Day, Moment};
use crate::cadence::plan::Plan;
use crate::control::Failure;
use crate::desk::keeper::Keeper;
use crate::desk::world::{Shares, World};

/// Days that a plan or forecast looks ahead at most: ten years.
const DAYS_MAX: u16 = 3_660;

impl Keeper {
    /// The plan of any day by its calendar: today's as things stand, a later one after the days
    /// between, all accepted and nobody opening; of a past day today's book, nothing carried.
    ///
    /// # Errors
    /// When a view cannot be evaluated, or the day is too far away.
    pub fn plan_ahead(&self, day: Day, now: Moment) -> Result<Plan, Failure> {
        let today = self.day_of(now);
        if day < today {
            return World::past(self, day).plan();
        }
        if day.since(today) > i32::from(DAYS_MAX) {
            let fix = "ask for a day within the next ten years";
            return Err(Failure::new(64, format!("{day} is too far ahead"), fix));
        }
        let mut world = World::new(self, now, Shares::default());
        while world.day() < day {
            world.step()?;
        }
        world.plan()
    }

    /// A line per simulated day: letters, why the others have none, and the pools afterwards.
    ///
    /// # Errors
    /// When a view cannot be evaluated, or too many days are asked for.
    pub fn forecast(&self, days: u16, shares: Shares, now: Moment) -> Result<Value, Failure> {
        if days == 0 || days > DAYS_MAX {
            let fix = "ask for 1 to 3660 days";
            return Err(Failure::new(64, format!("--days {days}"), fix));
        }
        let mut world = World::new(self, now, shares);
        let mut lines = Vec::with_capacity(usize::from(days));
        let mut letters = 0_u64;
        for _ in 0..days {
            let day = world.day();
            let plan = world.step()?;
            let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
            let mut carried = 0_u64;
            for (reason, who) in plan.rounds.iter().flat_map(|round| &round.outcomes) {
                *reasons.entry(reason.to_string()).or_default() += who.len();
                if reason.carries() {
                    carried += who.len();
                }
            }
            let send = plan.order.len() as u64;
            letters += send;
            let reading = world.group("reading");
            let silent = world.group("marketing").minus(&reading);
            lines.push(json!({
                "date": day.to_string(),
                "send": send,
                "carried": carried,
                "reasons": reasons,
                "silent": silent.len(),
                "reading": reading.minus(world.waiting()).len(),
                "waiting": world.waiting().len(),
            }));
        }
        Ok(json!({
            "from": self.day_of(now).to_string(),
            "days": lines,
            "letters": letters,
            "opens_per_thousand": shares.opens,
            "replies_per_thousand": shares.replies,
            "seed": shares.seed,
        }))
    }
}
