//! Letters in, verdicts out: which letter goes by which way, and when.
//!
//! One router task owns the queue, the health of the relays and their open sessions; one task per
//! letter carries it ([`crate::net::carry`]). A relay that cannot be reached rests, ever longer,
//! and is then tried with one letter; meanwhile the others take over, or its letters wait. What was
//! never claimed is given back at the end, and sent later.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::feedback::entry::LetterId;
use crate::feedback::verdict::Verdict;
use crate::net::carry::{Ask, End, Held, Job, Office, Way, carry, settle};
use crate::net::direct::{self, Ends, Setup};
use crate::net::lane::{Lane, Limits, Route, choose, lanes};
use crate::net::maildir::Maildir;
use crate::net::place::Place;
use crate::net::relay::Failure;

/// How letters leave.
pub enum Transport {
    /// As files, so many at a time.
    Maildir(Maildir, NonZeroUsize),
    /// Over relays, by weight; one that is down is stood in for by the others.
    Relays(Vec<Route>),
    /// To the hosts of the recipients' domains.
    Direct(Box<Setup>),
}

/// The way in.
pub struct Dispatch {
    jobs: mpsc::Sender<Job>,
    moving: Arc<watch::Sender<usize>>,
    router: JoinHandle<Vec<LetterId>>,
}

impl Dispatch {
    /// Starts the router on the current runtime. On `shutdown` no further letter is begun; letters
    /// in conversation have `limits.drain` to end.
    #[must_use]
    pub fn start(
        transport: Transport,
        limits: Limits,
        desk: mpsc::Sender<Ask>,
        shutdown: CancellationToken,
    ) -> Self {
        let (sender, jobs) = mpsc::channel(limits.queue_max.max(1));
        let moving = Arc::new(watch::Sender::new(0));
        let office = Office { desk, give_up: CancellationToken::new() };
        let lanes = match transport {
            Transport::Direct(setup) => {
                let ends = Ends { jobs, moving: Arc::clone(&moving), office };
                let router = tokio::spawn(direct::route(*setup, ends, shutdown));
                return Self { jobs: sender, moving, router };
            }
            Transport::Maildir(maildir, room) => {
                let way = Way::Maildir(maildir);
                let mut only = Lane::new(way, "maildir".to_owned(), 1, (room, 1));
                only.proven = true;
                vec![only]
            }
            Transport::Relays(routes) => lanes(routes),
        };
        let router = Router {
            lanes,
            limits,
            office,
            jobs,
            moving: Arc::clone(&moving),
            waiting: VecDeque::new(),
            running: JoinSet::new(),
            carried: HashMap::new(),
            farewells: JoinSet::new(),
            drain_until: None,
        };
        Self { jobs: sender, moving, router: tokio::spawn(router.run(shutdown)) }
    }

    /// Queues a letter, waiting for room. Whoever answers the desk must not wait here, but take a
    /// place with [`Self::reserve`].
    ///
    /// # Errors
    /// The job itself, when no more letters are taken.
    pub async fn submit(&self, job: Job) -> Result<(), Job> {
        self.moving.send_modify(|count| *count += 1);
        self.jobs.send(job).await.map_err(|mpsc::error::SendError(job)| {
            self.moving.send_modify(|count| *count -= 1);
            job
        })
    }

    /// Takes a place for a letter that is still to be composed; `None` when there is no room, or
    /// no more letters are taken.
    #[must_use]
    pub fn reserve(&self) -> Option<Place> {
        let permit = self.jobs.clone().try_reserve_owned().ok()?;
        Some(Place::take(permit, Arc::clone(&self.moving)))
    }

    /// How many letters are taken without waiting.
    #[must_use]
    pub fn room(&self) -> usize {
        self.jobs.capacity()
    }

    /// Letters queued or in conversation, their verdicts not recorded yet; 0 when nothing moves.
    #[must_use]
    pub fn in_flight(&self) -> watch::Receiver<usize> {
        self.moving.subscribe()
    }

    /// Takes no more letters, lets those in conversation end, and gives back those that were
    /// queued and never claimed.
    pub async fn join(self) -> Vec<LetterId> {
        drop(self.jobs);
        self.router.await.unwrap_or_default()
    }
}

/// What a task was for, should it die: which lane it holds a place in, and which letter.
struct Errand {
    lane: Option<usize>,
    letter: LetterId,
    attempt: u16,
}

struct Router {
    lanes: Vec<Lane>,
    limits: Limits,
    office: Office,
    jobs: mpsc::Receiver<Job>,
    moving: Arc<watch::Sender<usize>>,
    /// Taken from the queue and not begun, or given back by a lane that could not be reached.
    waiting: VecDeque<Job>,
    running: JoinSet<(Option<Held>, End)>,
    carried: HashMap<Id, Errand>,
    farewells: JoinSet<()>,
    /// Set when no more letters are begun.
    drain_until: Option<Instant>,
}

impl Router {
    async fn run(mut self, shutdown: CancellationToken) -> Vec<LetterId> {
        loop {
            let now = Instant::now();
            self.begin_letters(now);
            self.close_idle(now);
            if self.drain_until.is_some() && self.running.is_empty() {
                break;
            }
            let stopping = self.drain_until.is_some();
            let wants_more = !stopping && self.waiting.is_empty() && self.any_ready(now);
            let wake = self.wake_at(now);
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if !stopping => self.stop(),
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                Some(_) = self.farewells.join_next() => (),
                job = self.jobs.recv(), if wants_more => match job {
                    Some(job) => self.waiting.push_back(job),
                    None => self.stop(),
                },
                () = self.office.desk.closed(), if !stopping => self.stop(),
                () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {
                    if self.drain_until.is_some_and(|until| until <= Instant::now()) {
                        self.office.give_up.cancel();
                    }
                }
            }
        }
        self.close_up().await
    }

    fn any_ready(&self, now: Instant) -> bool {
        self.lanes.iter().any(|lane| lane.ready(now))
    }

    /// Begins as many letters as the lanes have places for.
    fn begin_letters(&mut self, now: Instant) {
        while self.drain_until.is_none() && self.any_ready(now) {
            let next = self.waiting.pop_front().or_else(|| self.jobs.try_recv().ok());
            let Some(job) = next else { return };
            if let Some(at) = choose(&mut self.lanes, now) {
                self.begin(at, job);
            }
        }
    }

    fn begin(&mut self, at: usize, job: Job) {
        let Some(lane) = self.lanes.get_mut(at) else { return };
        lane.busy += 1;
        let held = lane.idle.pop().map(|(held, _)| held);
        let (way, office) = (Arc::clone(&lane.way), self.office.clone());
        let errand = Errand { lane: Some(at), letter: job.letter, attempt: job.attempt };
        let task = self.running.spawn(async move { carry(&way, held, job, &office).await });
        self.carried.insert(task.id(), errand);
    }

    fn ended(&mut self, ended: Result<(Id, (Option<Held>, End)), JoinError>) {
        let (id, done) = match ended {
            Ok((id, done)) => (id, Ok(done)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(errand) = self.carried.remove(&id) else { return };
        if let Some(lane) = errand.lane.and_then(|at| self.lanes.get_mut(at)) {
            lane.busy -= 1;
        }
        match done {
            Ok((held, end)) => {
                self.keep(held, &errand);
                self.took_end(end, &errand);
            }
            Err(error) => {
                // Nobody knows how far it got: only "unknown" is never sent twice.
                let why = format!("the task that carried it died: {error}");
                self.report(errand.letter, errand.attempt, true, Verdict::Unknown { why });
            }
        }
    }

    /// Puts a session back, or closes it when it has carried its share.
    fn keep(&mut self, held: Option<Held>, errand: &Errand) {
        let Some(lane) = errand.lane.and_then(|at| self.lanes.get_mut(at)) else { return };
        match held {
            Some(held) if held.letters < lane.messages_max => {
                lane.idle.push((held, Instant::now()));
            }
            Some(held) => {
                self.farewells.spawn(held.session.quit());
            }
            None => (),
        }
    }

    fn took_end(&mut self, end: End, errand: &Errand) {
        match end {
            End::NoPath(job, failure) => return self.no_path(job, &failure, errand),
            End::Returned(job) => return self.waiting.push_front(job),
            End::Withheld(reason) => {
                tracing::debug!(letter = %errand.letter, reason, "withheld");
            }
            End::Unrecorded => {
                tracing::error!(letter = %errand.letter, "the ledger does not answer; stopping");
                self.stop();
            }
            End::Settled(_) => (),
        }
        if let Some(lane) = errand.lane.and_then(|at| self.lanes.get_mut(at)) {
            lane.reached();
        }
        self.moving.send_modify(|count| *count -= 1);
    }

    /// The relay rests. The letter goes to another one or waits; only when it was the one to find
    /// out, and nobody stands in, is it deferred, so that a dead relay costs one letter a rest.
    fn no_path(&mut self, job: Job, failure: &Failure, errand: &Errand) {
        let now = Instant::now();
        let limits = self.limits;
        let mut first = false;
        if let Some(lane) = errand.lane.and_then(|at| self.lanes.get_mut(at)) {
            first = !lane.rests(now);
            if first {
                lane.unreached(now, &limits);
                tracing::warn!(relay = lane.host, failures = lane.failures, %failure, "unreached");
            }
        }
        let stand_in = self.lanes.iter().any(|lane| !lane.rests(now));
        if first && !stand_in && self.drain_until.is_none() {
            let verdict = Verdict::Deferred { class: failure.class, reply: failure.to_string() };
            self.report(job.letter, job.attempt, false, verdict);
        } else {
            self.waiting.push_front(job);
        }
    }

    /// Hands the desk a verdict that no lane found.
    fn report(&mut self, letter: LetterId, attempt: u16, claimed: bool, verdict: Verdict) {
        let desk = self.office.desk.clone();
        let task = self
            .running
            .spawn(async move { (None, settle(&desk, (letter, attempt), claimed, verdict).await) });
        self.carried.insert(task.id(), Errand { lane: None, letter, attempt });
    }

    fn stop(&mut self) {
        self.jobs.close();
        self.drain_until.get_or_insert_with(|| Instant::now() + self.limits.drain);
    }

    fn close_idle(&mut self, now: Instant) {
        for lane in &mut self.lanes {
            while let Some(since) = lane.idle.first().map(|(_, since)| *since)
                && since + self.limits.idle <= now
            {
                self.farewells.spawn(lane.idle.remove(0).0.session.quit());
            }
        }
    }

    /// When to look again though nothing happened: a rest is over, a session idle for too long, the
    /// drain has lasted long enough.
    fn wake_at(&self, now: Instant) -> Option<Instant> {
        let rests = self.lanes.iter().filter_map(|lane| lane.rests_until);
        let idle =
            self.lanes.iter().filter_map(|lane| Some(lane.idle.first()?.1 + self.limits.idle));
        let drain = self.drain_until.filter(|_| !self.office.give_up.is_cancelled());
        rests.filter(|until| now < *until).chain(idle).chain(drain).min()
    }

    async fn close_up(mut self) -> Vec<LetterId> {
        self.jobs.close();
        for lane in &mut self.lanes {
            for (held, _) in lane.idle.drain(..) {
                self.farewells.spawn(held.session.quit());
            }
        }
        while let Some(job) = self.jobs.recv().await {
            self.waiting.push_back(job);
        }
        while self.farewells.join_next().await.is_some() {}
        self.moving.send_modify(|count| *count -= self.waiting.len());
        self.waiting.iter().map(|job| job.letter).collect()
    }
}
