//! The one clock. Nothing else in the crate asks what time it is.
//!
//! A rehearsal clock stands still, or runs at a given speed, and is stepped by hand; it rules days,
//! windows, retries, tags and the timing of opens, never network time-outs or pace.

use std::time::{Duration, Instant};

use crate::book::contact::Moment;

/// A difference between wall and monotonic clock that somebody has to look at (DESIGN §1 I3).
const JUMP: Duration = Duration::from_secs(3600);

/// What time it is.
#[derive(Debug)]
pub struct Clock {
    /// `None` is the real clock; else rehearsal seconds that pass in one.
    speed: Option<u32>,
    base: Moment,
    since: Instant,
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn wall() -> Moment {
    Moment::from_utc(chrono::Utc::now())
}

impl Clock {
    /// The real clock.
    #[must_use]
    pub fn real() -> Self {
        Self { speed: None, base: wall(), since: Instant::now() }
    }

    /// A rehearsal clock that shows `at` and runs `speed` seconds a second (0: stands still).
    #[must_use]
    pub fn rehearsal(at: Moment, speed: u32) -> Self {
        Self { speed: Some(speed), base: at, since: Instant::now() }
    }

    /// Whether this is a rehearsal clock.
    #[must_use]
    pub fn is_rehearsal(&self) -> bool {
        self.speed.is_some()
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Moment {
        match self.speed {
            None => wall(),
            Some(speed) => Moment(
                self.base
                    .0
                    .saturating_add(millis(self.since.elapsed()).saturating_mul(i64::from(speed))),
            ),
        }
    }

    /// Sets a rehearsal clock; never back, and never the real one.
    pub fn set(&mut self, at: Moment) {
        if self.speed.is_some() && at > self.now() {
            self.base = at;
            self.since = Instant::now();
        }
    }

    /// How long until the clock shows `at`; `None` when it stands still.
    #[must_use]
    pub fn until(&self, at: Moment) -> Option<Duration> {
        let ahead = u64::try_from(at.0.saturating_sub(self.now().0)).unwrap_or(0);
        match self.speed {
            None => Some(Duration::from_millis(ahead)),
            Some(0) => None,
            Some(speed) => Some(Duration::from_millis(ahead / u64::from(speed))),
        }
    }

    /// Whether the real clock has jumped by more than an hour since this was last asked.
    #[must_use]
    pub fn jumped(&mut self) -> bool {
        if self.speed.is_some() {
            return false;
        }
        let wall = wall();
        let elapsed = millis(self.since.elapsed());
        let drift = wall.0.saturating_sub(self.base.0).saturating_sub(elapsed);
        self.base = wall;
        self.since = Instant::now();
        drift.unsigned_abs() > JUMP.as_secs() * 1000
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_clock_stands_still_and_never_goes_back() {
        let mut clock = Clock::rehearsal(Moment(1_000), 0);
        assert_eq!(clock.now(), Moment(1_000));
        assert_eq!(clock.until(Moment(5_000)), None);
        clock.set(Moment(5_000));
        assert_eq!(clock.now(), Moment(5_000));
        clock.set(Moment(2_000));
        assert_eq!(clock.now(), Moment(5_000));
        assert!(!clock.jumped());
    }
}
