//! Relays side by side: how much each is asked, which one's turn it is, and who has to rest.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::net::carry::{Held, Way};
use crate::net::relay::Relay;

/// A relay and how much may be asked of it.
#[derive(Clone, Debug)]
pub struct Route {
    /// The relay.
    pub relay: Relay,
    /// Its share of the letters, against the weights of the others.
    pub weight: NonZeroU32,
    /// Conversations at once.
    pub connections: NonZeroUsize,
    /// Letters over one connection before it is closed.
    pub messages_per_connection_max: NonZeroU32,
    /// Letters a second; `None`: as fast as it takes them.
    pub messages_per_second: Option<NonZeroU32>,
}

/// What bounds the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Letters queued, beside those in conversation.
    pub queue_max: usize,
    /// A session with nothing to do is closed after this.
    pub idle: Duration,
    /// How long a relay rests after its first failure to connect; doubled with each further one.
    pub rest_min: Duration,
    /// It never rests longer than this.
    pub rest_max: Duration,
    /// How long a provider is left alone that says "too fast".
    pub stop: Duration,
    /// How long letters in conversation may take to end when the daemon stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_max: 100,
            idle: Duration::from_secs(2),
            rest_min: Duration::from_secs(5),
            rest_max: Duration::from_secs(60),
            stop: Duration::from_secs(600),
            drain: Duration::from_secs(30),
        }
    }
}

/// One way and what is known of it.
pub struct Lane {
    /// By what.
    pub way: Arc<Way>,
    /// For the log.
    pub host: String,
    /// Its share.
    pub weight: i64,
    /// Smooth weighted round robin: grows by the weight, falls when chosen.
    pub credit: i64,
    /// Conversations at once.
    pub room: usize,
    /// Letters over one connection.
    pub messages_max: u32,
    /// Conversations now.
    pub busy: usize,
    /// Sessions with nothing to do, the longest idle first.
    pub idle: Vec<(Held, Instant)>,
    /// Failures to connect since the last success.
    pub failures: u32,
    /// Not asked before.
    pub rests_until: Option<Instant>,
    /// Until it has taken a connection it is tried with one letter at a time.
    pub proven: bool,
}

impl Lane {
    /// A way that nothing is known of yet: its host, weight, conversations at once, and letters over
    /// one connection.
    #[must_use]
    pub fn new(way: Way, host: String, weight: u32, (room, most): (NonZeroUsize, u32)) -> Self {
        Self {
            way: Arc::new(way),
            host,
            weight: i64::from(weight),
            credit: 0,
            room: room.get(),
            messages_max: most,
            busy: 0,
            idle: Vec::new(),
            failures: 0,
            rests_until: None,
            proven: false,
        }
    }

    /// Whether it is not to be asked now.
    #[must_use]
    pub fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// Whether it takes another letter now.
    #[must_use]
    pub fn ready(&self, now: Instant) -> bool {
        !self.rests(now) && self.busy < if self.proven { self.room } else { 1 }
    }

    /// It took a connection.
    pub fn reached(&mut self) {
        self.proven = true;
        self.failures = 0;
        self.rests_until = None;
    }

    /// It took none: it rests, twice as long as before.
    pub fn unreached(&mut self, now: Instant, limits: &Limits) {
        const DOUBLINGS_MAX: u32 = 16;
        let doubled = limits.rest_min.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX));
        self.failures += 1;
        self.proven = false;
        self.rests_until = Some(now + doubled.min(limits.rest_max));
    }
}

/// The lane whose turn it is among those that are ready: smooth weighted round robin, so that a
/// relay that comes back is not made to catch up.
#[must_use]
pub fn choose(lanes: &mut [Lane], now: Instant) -> Option<usize> {
    let (mut best, mut total) = (None, 0);
    let ready = lanes.iter_mut().enumerate().filter(|(_, lane)| lane.ready(now));
    for (at, lane) in ready {
        lane.credit += lane.weight;
        total += lane.weight;
        if best.is_none_or(|(_, credit)| credit < lane.credit) {
            best = Some((at, lane.credit));
        }
    }
    let (at, _) = best?;
    lanes.get_mut(at)?.credit -= total;
    Some(at)
}

/// A lane for each relay.
#[must_use]
pub fn lanes(routes: Vec<Route>) -> Vec<Lane> {
    let lane = |route: Route| {
        let host = format!("{}:{}", route.relay.host, route.relay.port);
        let way = Way::to(route.relay, route.messages_per_second);
        let most = route.messages_per_connection_max.get();
        Lane::new(way, host, route.weight.get(), (route.connections, most))
    };
    routes.into_iter().map(lane).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::relay::{Timeouts, TlsLevel};

    fn route(weight: u32) -> Route {
        Route {
            relay: Relay {
                host: "relay.example".to_owned(),
                port: 25,
                ehlo: "client.example".to_owned(),
                tls: TlsLevel::None,
                login: None,
                timeouts: Timeouts::default(),
            },
            weight: NonZeroU32::new(weight).unwrap(),
            connections: NonZeroUsize::new(9).unwrap(),
            messages_per_connection_max: NonZeroU32::MIN,
            messages_per_second: None,
        }
    }

    #[test]
    fn lanes_share_by_weight_and_nobody_catches_up() {
        let now = Instant::now();
        let limits = Limits::default();
        let mut lanes = lanes(vec![route(3), route(1)]);
        let turns = |lanes: &mut [Lane]| -> Vec<usize> {
            (0..8).filter_map(|_| choose(lanes, now)).collect()
        };
        assert_eq!(turns(&mut lanes), [0, 0, 1, 0, 0, 0, 1, 0]);
        lanes[0].unreached(now, &limits);
        assert_eq!(turns(&mut lanes), [1; 8]);
        lanes[0].reached();
        assert_eq!(turns(&mut lanes), [0, 0, 1, 0, 0, 0, 1, 0]);
        lanes[0].busy = 9;
        lanes[1].busy = 1;
        assert!(turns(&mut lanes).is_empty(), "one is full, the other not proven");
    }

    #[test]
    fn a_rest_doubles_up_to_its_limit() {
        let now = Instant::now();
        let limits = Limits::default();
        let mut lanes = lanes(vec![route(1)]);
        for seconds in [5, 10, 20, 40, 60, 60] {
            lanes[0].unreached(now, &limits);
            assert_eq!(lanes[0].rests_until, Some(now + Duration::from_secs(seconds)));
        }
    }
}
