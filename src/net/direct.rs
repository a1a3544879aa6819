//! Letters straight to the hosts of their domains: a queue and a pace for every provider, so that
//! one who is slow, capped or dead delays nobody else.
//!
//! One router task looks domains up, puts letters into the lane of their provider, and begins them
//! as the lane's pace and ladder allow ([`crate::net::ladder`]). A domain whose lane is long goes to
//! the [`Crowd`]: its letters wait in the plan.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::feedback::entry::LetterId;
use crate::feedback::verdict::{Class, Verdict};
use crate::net::carry::{Direct, End, Held, Job, Office, Way, carry, settle};
use crate::net::crowd::Crowd;
use crate::net::ladder::Ladder;
use crate::net::mx::{Exchanges, Mx, NoWay};
use crate::net::provider::provider_of;
use crate::net::relay::Relay;
use crate::net::throttle::Pacer;
use crate::typedways::{Pace, ProvidersFile};

/// Letters queued for one provider before its domains are crowded; they are back at half of it.
const LANE_MAX: usize = 100;
/// Domains looked up at once.
const LOOKUPS_MAX: usize = 256;
/// How often rests, idle sessions and empty lanes are looked after.
const SWEEP: Duration = Duration::from_millis(200);

/// How to deliver.
pub struct Setup {
    /// Who asks DNS.
    pub mx: Arc<Mx>,
    /// How to speak to any host; its name is a host's in turn.
    pub manner: Relay,
    /// Conversations at once, over everything.
    pub connections: usize,
    /// Providers and their pace, as last read.
    pub providers: watch::Receiver<Arc<ProvidersFile>>,
    /// Whose letters are not to be handed out.
    pub crowd: Arc<Crowd>,
    /// A session with nothing to do is closed after this.
    pub idle: Duration,
    /// How long a provider is left alone that says "too fast".
    pub stop: Duration,
    /// How long letters in conversation may take to end when the daemon stops.
    pub drain: Duration,
    /// Letters queued, beside those in conversation.
    pub queue_max: usize,
}

/// Where jobs come from and where their end is told.
pub struct Ends {
    /// The queue.
    pub jobs: mpsc::Receiver<Job>,
    /// Letters whose verdict is not recorded yet.
    pub moving: Arc<watch::Sender<usize>>,
    /// The desk.
    pub office: Office,
}

/// One provider.
struct Lane {
    pace: Pace,
    direct: Arc<Direct>,
    ladder: Ladder,
    queue: VecDeque<(Job, Arc<Exchanges>)>,
    busy: usize,
    idle: Vec<(Held, Instant, Arc<Exchanges>)>,
    /// Domains of letters in the queue, once it is long.
    crowded: HashSet<String>,
}

impl Lane {
    fn room(&self, now: Instant) -> usize {
        let configured = usize::try_from(self.pace.connections.get()).unwrap_or(usize::MAX);
        self.ladder.allows(configured, now).saturating_sub(self.busy)
    }

    fn is_over(&self, now: Instant) -> bool {
        self.queue.is_empty()
            && self.busy == 0
            && self.idle.is_empty()
            && self.ladder == Ladder::new()
            && self.ladder.stopped_until(now).is_none()
    }
}

/// What a task was for, should it die.
struct Errand {
    lane: Option<Arc<str>>,
    exchanges: Option<Arc<Exchanges>>,
    letter: LetterId,
    attempt: u16,
}

struct Router {
    setup: Setup,
    ends: Ends,
    lanes: HashMap<Arc<str>, Lane>,
    /// Lanes that may have something to begin, each once.
    ready: VecDeque<Arc<str>>,
    looking: JoinSet<(Job, Result<Exchanges, NoWay>)>,
    running: JoinSet<(Option<Held>, End)>,
    carried: HashMap<Id, Errand>,
    farewells: JoinSet<()>,
    /// Letters queued in lanes.
    queued: usize,
    sweep_at: Instant,
    drain_until: Option<Instant>,
}

/// Routes letters until told to stop; gives back those that were never claimed.
pub async fn route(setup: Setup, ends: Ends, shutdown: CancellationToken) -> Vec<LetterId> {
    let router = Router {
        setup,
        ends,
        lanes: HashMap::new(),
        ready: VecDeque::new(),
        looking: JoinSet::new(),
        running: JoinSet::new(),
        carried: HashMap::new(),
        farewells: JoinSet::new(),
        queued: 0,
        sweep_at: Instant::now() + SWEEP,
        drain_until: None,
    };
    router.run(shutdown).await
}

impl Router {
    async fn run(mut self, shutdown: CancellationToken) -> Vec<LetterId> {
        loop {
            self.begin_letters(Instant::now());
            let stopping = self.drain_until.is_some();
            if stopping && self.running.is_empty() && self.looking.is_empty() {
                break;
            }
            let waiting = self.queued + self.looking.len();
            let wants_more =
                !stopping && waiting < self.setup.queue_max && self.looking.len() < LOOKUPS_MAX;
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if !stopping => self.stop(),
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                Some(found) = self.looking.join_next() => self.found(found),
                Some(_) = self.farewells.join_next() => (),
                job = self.ends.jobs.recv(), if wants_more => match job {
                    Some(job) => self.look_up(job),
                    None => self.stop(),
                },
                Ok(()) = self.setup.providers.changed() => self.reshape(),
                () = self.ends.office.desk.closed(), if !stopping => self.stop(),
                () = sleep_until(self.sweep_at) => self.sweep(Instant::now()),
            }
        }
        self.close_up().await
    }

    fn look_up(&mut self, job: Job) {
        let mx = Arc::clone(&self.setup.mx);
        self.looking.spawn(async move {
            let (_, domain) = job.envelope.to.rsplit_once('@').unwrap_or_default();
            let found = mx.exchanges(domain).await;
            (job, found)
        });
    }

    fn found(&mut self, found: Result<(Job, Result<Exchanges, NoWay>), JoinError>) {
        match found {
            Ok((job, Ok(exchanges))) => self.line_up(job, Arc::new(exchanges)),
            Ok((job, Err(no_way))) => {
                self.report(job.letter, job.attempt, false, no_way.verdict());
            }
            Err(error) => {
                tracing::error!(%error, "a look-up died; its letter waits for a restart");
                self.ends.moving.send_modify(|count| *count -= 1);
            }
        }
    }

    /// Puts a letter into the lane of its provider.
    fn line_up(&mut self, job: Job, exchanges: Arc<Exchanges>) {
        let file = Arc::clone(&self.setup.providers.borrow());
        let (name, pace) = provider_of(&file, &exchanges);
        let name: Arc<str> = name.into();
        if !self.lanes.contains_key(&name) {
            let lane = Lane {
                pace: *pace,
                direct: self.direct(pace),
                ladder: Ladder::new(),
                queue: VecDeque::new(),
                busy: 0,
                idle: Vec::new(),
                crowded: HashSet::new(),
            };
            self.lanes.insert(Arc::clone(&name), lane);
        }
        let Some(lane) = self.lanes.get_mut(&name) else { return };
        if lane.queue.len() >= LANE_MAX {
            let (_, domain) = job.envelope.to.rsplit_once('@').unwrap_or_default();
            self.setup.crowd.add(domain);
            lane.crowded.insert(domain.to_owned());
        }
        lane.queue.push_back((job, exchanges));
        self.queued += 1;
        self.list(name);
    }

    fn direct(&self, pace: &Pace) -> Arc<Direct> {
        Arc::new(Direct {
            mx: Arc::clone(&self.setup.mx),
            manner: self.setup.manner.clone(),
            messages: Pacer::new(pace.messages_per_second),
            connects: Pacer::per_minute(pace.connects_per_minute),
        })
    }

    fn list(&mut self, name: Arc<str>) {
        if !self.ready.contains(&name) {
            self.ready.push_back(name);
        }
    }

    /// Begins a letter of each ready lane in turn, as long as there is room.
    fn begin_letters(&mut self, now: Instant) {
        while self.drain_until.is_none() && self.running.len() < self.setup.connections {
            let Some(name) = self.ready.pop_front() else { return };
            let Some(lane) = self.lanes.get_mut(&name) else { continue };
            if lane.room(now) == 0 {
                continue;
            }
            let Some((job, exchanges)) = lane.queue.pop_front() else { continue };
            self.queued -= 1;
            lane.busy += 1;
            if lane.queue.len() <= LANE_MAX / 2 && !lane.crowded.is_empty() {
                self.setup.crowd.remove(lane.crowded.iter().map(String::as_str));
                lane.crowded.clear();
            }
            let same = lane.idle.iter().rposition(|(_, _, site)| *site == exchanges);
            let held = same.map(|at| lane.idle.swap_remove(at).0);
            let configured = usize::try_from(lane.pace.connections.get()).unwrap_or(usize::MAX);
            if held.is_none() && lane.busy + lane.idle.len() > configured && !lane.idle.is_empty() {
                self.farewells.spawn(lane.idle.swap_remove(0).0.session.quit());
            }
            let way = Way::Mx(Arc::clone(&lane.direct), Arc::clone(&exchanges));
            let office = self.ends.office.clone();
            let errand = Errand {
                lane: Some(Arc::clone(&name)),
                exchanges: Some(exchanges),
                letter: job.letter,
                attempt: job.attempt,
            };
            if !lane.queue.is_empty() {
                self.ready.push_back(name);
            }
            let task = self.running.spawn(async move { carry(&way, held, job, &office).await });
            self.carried.insert(task.id(), errand);
        }
    }

    fn ended(&mut self, ended: Result<(Id, (Option<Held>, End)), JoinError>) {
        let (id, done) = match ended {
            Ok((id, done)) => (id, Ok(done)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(errand) = self.carried.remove(&id) else { return };
        if let Some(name) = &errand.lane {
            if let Some(lane) = self.lanes.get_mut(name) {
                lane.busy -= 1;
            }
            self.list(Arc::clone(name));
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
        let lane = errand.lane.as_ref().and_then(|name| self.lanes.get_mut(name));
        let (Some(lane), Some(held), Some(site)) = (lane, held, &errand.exchanges) else { return };
        if held.letters < lane.pace.messages_per_connection.get() {
            lane.idle.push((held, Instant::now(), Arc::clone(site)));
        } else {
            self.farewells.spawn(held.session.quit());
        }
    }

    fn took_end(&mut self, end: End, errand: &Errand) {
        match end {
            End::NoPath(job, failure) => {
                // What the hosts of one domain do says nothing of the next letter's.
                self.judge(errand, Some(failure.class));
                let reply = failure.to_string();
                let verdict = Verdict::Deferred { class: failure.class, reply };
                return self.report(job.letter, job.attempt, false, verdict);
            }
            End::Returned(job) => {
                let lane = errand.lane.as_ref().and_then(|name| self.lanes.get_mut(name));
                if let (Some(lane), Some(site)) = (lane, &errand.exchanges) {
                    lane.queue.push_front((job, Arc::clone(site)));
                    self.queued += 1;
                }
                return;
            }
            End::Withheld(reason) => {
                tracing::debug!(letter = %errand.letter, reason, "withheld");
            }
            End::Unrecorded => {
                tracing::error!(letter = %errand.letter, "the ledger does not answer; stopping");
                self.stop();
            }
            End::Settled(trouble) => self.judge(errand, trouble),
        }
        self.ends.moving.send_modify(|count| *count -= 1);
    }

    /// What a letter's end means for its provider.
    fn judge(&mut self, errand: &Errand, trouble: Option<Class>) {
        let now = Instant::now();
        let Some(name) = &errand.lane else { return };
        let Some(lane) = self.lanes.get_mut(name) else { return };
        match trouble {
            None => {
                lane.ladder
                    .took(usize::try_from(lane.pace.connections.get()).unwrap_or(usize::MAX));
            }
            Some(class) => {
                let before = lane.ladder.stopped_until(now);
                if lane.ladder.refused(class, now, self.setup.stop) && before.is_none() {
                    tracing::warn!(provider = %name, ?class, "stopped; then one connection at first");
                    for (held, _, _) in lane.idle.drain(..) {
                        self.farewells.spawn(held.session.quit());
                    }
                }
            }
        }
    }

    /// Hands the desk a verdict that no conversation found.
    fn report(&mut self, letter: LetterId, attempt: u16, claimed: bool, verdict: Verdict) {
        let desk = self.ends.office.desk.clone();
        let task = self
            .running
            .spawn(async move { (None, settle(&desk, (letter, attempt), claimed, verdict).await) });
        self.carried.insert(task.id(), Errand { lane: None, exchanges: None, letter, attempt });
    }

    /// Takes the providers' new pace for what is begun from now on.
    fn reshape(&mut self) {
        let file = Arc::clone(&self.setup.providers.borrow());
        let names: Vec<Arc<str>> = self.lanes.keys().map(Arc::clone).collect();
        for name in names {
            let known = file.provider.iter().find(|provider| *provider.name == *name);
            let pace = known.map_or(file.other, |provider| provider.pace);
            let direct = self.direct(&pace);
            if let Some(lane) = self.lanes.get_mut(&name).filter(|lane| lane.pace != pace) {
                (lane.pace, lane.direct) = (pace, direct);
            }
            self.list(name);
        }
    }

    /// Closes idle sessions, lets rested lanes begin again, forgets empty ones.
    fn sweep(&mut self, now: Instant) {
        self.sweep_at = now + SWEEP;
        if self.drain_until.is_some_and(|until| until <= now) {
            self.ends.office.give_up.cancel();
        }
        let mut rested = Vec::new();
        for (name, lane) in &mut self.lanes {
            let mut kept = Vec::with_capacity(lane.idle.len());
            for (held, since, site) in lane.idle.drain(..) {
                if since + self.setup.idle <= now {
                    self.farewells.spawn(held.session.quit());
                } else {
                    kept.push((held, since, site));
                }
            }
            lane.idle = kept;
            if !lane.queue.is_empty() && lane.room(now) > 0 {
                rested.push(Arc::clone(name));
            }
        }
        rested.into_iter().for_each(|name| self.list(name));
        self.lanes.retain(|_, lane| !lane.is_over(now));
    }

    fn stop(&mut self) {
        self.ends.jobs.close();
        self.drain_until.get_or_insert_with(|| Instant::now() + self.setup.drain);
    }

    async fn close_up(mut self) -> Vec<LetterId> {
        self.ends.jobs.close();
        let mut back: Vec<LetterId> = Vec::new();
        for lane in self.lanes.values_mut() {
            for (held, _, _) in lane.idle.drain(..) {
                self.farewells.spawn(held.session.quit());
            }
            back.extend(lane.queue.drain(..).map(|(job, _)| job.letter));
        }
        while let Some(job) = self.ends.jobs.recv().await {
            back.push(job.letter);
        }
        while self.farewells.join_next().await.is_some() {}
        self.ends.moving.send_modify(|count| *count -= back.len());
        back
    }
}
