//! Pace: so many letters a second to one relay, by governor.
//!
//! Only pace lives here. Counts that must survive a restart (the company cap, daily quotas) are
//! facts of the ledger: governor forgets, and lets twice its quota through in the first period.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Gives leave to send, one letter at a time.
pub struct Pacer {
    limiter: Option<DefaultDirectRateLimiter>,
    clock: DefaultClock,
}

impl Pacer {
    /// At most so many letters a second, evenly but for a tenth of a second's worth; `None`: any.
    #[must_use]
    pub fn new(per_second: Option<NonZeroU32>) -> Self {
        let limiter = per_second.map(|rate| {
            let burst = NonZeroU32::new(rate.get() / 10).unwrap_or(NonZeroU32::MIN);
            RateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
        });
        Self { limiter, clock: DefaultClock::default() }
    }

    /// At most so many a minute, ten seconds' worth at once; `None`: any.
    #[must_use]
    pub fn per_minute(rate: Option<NonZeroU32>) -> Self {
        let limiter = rate.map(|rate| {
            let burst = NonZeroU32::new(rate.get() / 6).unwrap_or(NonZeroU32::MIN);
            RateLimiter::direct(Quota::per_minute(rate).allow_burst(burst))
        });
        Self { limiter, clock: DefaultClock::default() }
    }

    /// How long the next letter has to wait; zero takes its turn.
    #[must_use]
    pub fn wait(&self) -> Duration {
        let turn = self.limiter.as_ref().map_or(Ok(()), |limiter| limiter.check());
        turn.map_or_else(|not_yet| not_yet.wait_time_from(self.clock.now()), |()| Duration::ZERO)
    }

    /// Waits for the next letter's turn, on tokio's clock rather than on a thread of governor's.
    pub async fn ready(&self) {
        loop {
            match self.wait() {
                Duration::ZERO => return,
                wait => tokio::time::sleep(wait).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_and_no_rate_never_waits() {
        for (rate, at_once) in [(1, 1), (10, 1), (20, 2), (50, 5)] {
            let pacer = Pacer::new(NonZeroU32::new(rate));
            let granted = (0..1000).take_while(|_| pacer.wait() == Duration::ZERO).count();
            assert!((at_once..at_once + 20).contains(&granted), "{granted} at once of {rate}/s");
            assert!(pacer.wait() <= Duration::from_secs(1) / rate);
        }
        let free = Pacer::new(None);
        assert!((0..10_000).all(|_| free.wait() == Duration::ZERO));
    }
}
