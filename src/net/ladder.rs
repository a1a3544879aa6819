//! The cool-down ladder: a provider that says "too fast" is left alone, then tried with one
//! connection, then with one more for every letter it takes (Google asks for just that).

use std::time::Duration;

use tokio::time::Instant;

use crate::feedback::verdict::Class;

/// Policy and spam replies in a row that mean the path and not the letter.
const GRUDGES_MAX: u32 = 5;

/// How much a provider may be asked of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// Nothing is begun before.
    stopped_until: Option<Instant>,
    /// Connections allowed while climbing; `None`: as many as configured.
    rung: Option<usize>,
    grudges: u32,
}

impl Default for Ladder {
    fn default() -> Self {
        Self::new()
    }
}

impl Ladder {
    /// All that is configured may be asked.
    #[must_use]
    pub const fn new() -> Self {
        Self { stopped_until: None, rung: None, grudges: 0 }
    }

    /// How many connections may be open now, of so many configured.
    #[must_use]
    pub fn allows(&self, configured: usize, now: Instant) -> usize {
        match (self.stopped_until, self.rung) {
            (Some(until), _) if now < until => 0,
            (_, Some(rung)) => rung.min(configured),
            (_, None) => configured,
        }
    }

    /// Until when nothing is begun.
    #[must_use]
    pub fn stopped_until(&self, now: Instant) -> Option<Instant> {
        self.stopped_until.filter(|until| now < *until)
    }

    /// A letter was taken: one connection more, until all are there again.
    pub fn took(&mut self, configured: usize) {
        self.grudges = 0;
        if let Some(rung) = self.rung {
            self.rung = Some(rung + 1).filter(|rung| *rung < configured);
        }
    }

    /// A letter was not taken; true when that stops the provider.
    pub fn refused(&mut self, class: Class, now: Instant, stop: Duration) -> bool {
        let stops = match class {
            Class::Rate => true,
            Class::Policy | Class::Spam => {
                self.grudges += 1;
                self.grudges >= GRUDGES_MAX
            }
            _ => false,
        };
        // Letters that were under way already say nothing new.
        if stops && self.stopped_until(now).is_none() {
            *self = Self { stopped_until: Some(now + stop), rung: Some(1), grudges: 0 };
        }
        stops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: Duration = Duration::from_secs(600);

    #[test]
    fn stop_then_one_then_one_more_at_a_time() {
        let mut now = Instant::now();
        let mut ladder = Ladder::new();
        assert_eq!(ladder.allows(4, now), 4);
        assert!(ladder.refused(Class::Rate, now, STOP));
        assert_eq!(ladder.allows(4, now + STOP - Duration::from_secs(1)), 0);
        now += STOP;
        for allowed in [1, 2, 3, 4, 4] {
            assert_eq!(ladder.allows(4, now), allowed);
            ladder.took(4);
        }
        assert!(ladder.refused(Class::Rate, now, STOP));
        now += STOP;
        assert_eq!(ladder.allows(4, now), 1);
        assert!(ladder.refused(Class::Rate, now, STOP), "again: another ten minutes");
        assert_eq!(ladder.allows(4, now), 0);
    }

    #[test]
    fn one_refused_letter_is_not_the_path() {
        let now = Instant::now();
        let mut ladder = Ladder::new();
        for class in [Class::InvalidRecipient, Class::Greylist, Class::Quota, Class::Network] {
            assert!(!ladder.refused(class, now, STOP), "{class:?}");
        }
        for _ in 1..GRUDGES_MAX {
            assert!(!ladder.refused(Class::Policy, now, STOP));
        }
        ladder.took(4);
        assert!(!ladder.refused(Class::Policy, now, STOP), "one was taken between");
        for n in 2..=GRUDGES_MAX {
            assert_eq!(ladder.refused(Class::Spam, now, STOP), n == GRUDGES_MAX);
        }
    }
}
