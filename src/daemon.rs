//! The daemon: one loop over one closed enum of events; signals, listeners, shutdown.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::book::contact::Moment;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{Answer, Failure, Request};
use crate::desk::keeper::{Keeper, Opener};
use crate::ears::{BEAT_MAX, Ears, Event, Signals};
use crate::net::carry::Ask as DeskAsk;
use crate::net::dispatch::Dispatch;
use crate::net::http::{self, Endpoint};
use crate::office::{Errand, Office};
use crate::postbox;
use crate::press::Press;
use crate::socket::{self, Ask, Call};
use crate::ways::{Outlook, listen, reloadable, ways};

/// Events that wait at most, of each kind.
const EVENTS_MAX: usize = 1_024;
/// On a rehearsal clock: after so long without any movement, nothing more will move.
const STEP_PATIENCE: Duration = Duration::from_secs(5);

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// The store, in place of the configured one.
    pub store: Option<PathBuf>,
    /// A rehearsal clock that begins here, and its speed.
    pub clock: Option<(Moment, u32)>,
}

/// A rehearsal clock on its way.
struct Step {
    target: Moment,
    reply: oneshot::Sender<Answer>,
    /// When anything moved last.
    moved: Instant,
}

struct Daemon {
    options: Options,
    config: Arc<Config>,
    clock: Clock,
    office: Office,
    dispatch: Dispatch,
    press: Press,
    outlook: Outlook,
    moving: watch::Receiver<usize>,
    next: Moment,
    step: Option<Step>,
    /// Imports begun by a session of the control socket.
    imports: HashMap<u64, Vec<u32>>,
}

/// Runs until it is told to stop.
///
/// # Errors
/// When configuration or store cannot be used, or the store fails while running.
pub async fn run(options: Options) -> Result<(), Failure> {
    let config = Arc::new(Config::load(&options.config, options.store.as_deref())?);
    let rehearsal = options.clock.is_some();
    if rehearsal && !config.rehearses() {
        return Err(Failure::new(
            78,
            "a rehearsal clock never writes to anybody real: the transport is refused",
            "use the maildir, or relays on loopback that say sink = true",
        ));
    }
    let (clock, mut keeper) = open(&options, &config)?;
    let (calls, call_box) = mpsc::channel(EVENTS_MAX);
    let (desk, desk_box) = mpsc::channel(EVENTS_MAX);
    let (hits, hit_box) = mpsc::channel(EVENTS_MAX);
    let (unfit, unfit_box) = mpsc::unbounded_channel();
    let quit = CancellationToken::new();

    let listener = listen(&config).await?;
    keeper.http = listener.local_addr().ok();
    let path = config.store.join("control.sock");
    let control = socket::bind(&path)?;
    let endpoint = Endpoint::new(Arc::clone(&keeper.keys), hits, http::Limits::default());
    let public = tokio::spawn(http::serve(listener, Arc::new(endpoint), quit.clone()));
    postbox::start(config.inbound.maildir.as_deref(), &calls, &quit);
    let operators = tokio::spawn(socket::serve(control, calls, quit.clone()));

    let stop_letters = CancellationToken::new();
    let outlook = Outlook::of(&config, rehearsal);
    let dispatch =
        Dispatch::start(ways(&config, &outlook)?, outlook.limits, desk, stop_letters.clone());
    let moving = dispatch.in_flight();
    let http = keeper.http;
    let office = Office::start(keeper)
        .map_err(|error| Failure::new(71, format!("no thread: {error}"), "free some memory"))?;
    let next = clock.now();
    let mut daemon = Daemon {
        options,
        config,
        clock,
        office,
        dispatch,
        press: Press::new(unfit),
        outlook,
        moving: moving.clone(),
        next,
        step: None,
        imports: HashMap::new(),
    };
    let mut ears = Ears {
        calls: call_box,
        desk: desk_box,
        hits: hit_box,
        unfit: unfit_box,
        moving,
        signals: Signals::new()?,
    };
    info!(http = %http.map(|at| at.to_string()).unwrap_or_default(), socket = %path.display(), "ready");
    notify(&[sd_notify::NotifyState::Ready]);
    let watchdog = sd_notify::watchdog_enabled();
    let result = daemon.serve(&mut ears, watchdog).await;
    notify(&[sd_notify::NotifyState::Stopping]);
    stop_letters.cancel();
    let result = result.and(daemon.drain(&mut ears, [public, operators], quit).await);
    let _ = std::fs::remove_file(&path);
    result
}

/// Opens the store, on the clock asked for.
fn open(options: &Options, config: &Arc<Config>) -> Result<(Clock, Keeper), Failure> {
    let opener = Opener {
        config: Arc::clone(config),
        rehearsal: Some(options.clock.is_some()),
        progress: &mut |entries| info!(entries, "replaying the journal"),
    };
    let mut clock = Clock::real();
    let (keeper, opening) = Keeper::open(opener, &|store| match options.clock {
        Some((at, _)) => at.max(store.state().last_at),
        None => clock.now(),
    })?;
    if let Some((at, speed)) = options.clock {
        clock = Clock::rehearsal(at.max(keeper.store.state().last_at), speed);
    }
    if let Some(torn) = &opening.torn {
        warn!(segment = %torn.segment.display(), bytes = torn.bytes, "cut off a torn tail");
    }
    if let Some(why) = &opening.rebuilt {
        warn!(why, entries = opening.replayed, "rebuilt the memory from the journal");
    }
    Ok((clock, keeper))
}

fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "systemd was not told");
    }
}

impl Daemon {
    async fn serve(&mut self, ears: &mut Ears, watchdog: Option<Duration>) -> Result<(), Failure> {
        self.tick().await?;
        loop {
            if watchdog.is_some() && self.office.works() {
                notify(&[sd_notify::NotifyState::Watchdog]);
            }
            let wake = self.wake(watchdog);
            let event = ears.hear(wake).await;
            if !self.office.works() {
                error!("nothing more is sent");
                return Ok(());
            }
            let tick = matches!(event, Event::Moved | Event::Due | Event::Reload | Event::Call(_));
            match event {
                Event::Stop => return Ok(()),
                event => self.handle(event).await,
            }
            if tick {
                self.tick().await?;
                self.step_on().await?;
            }
        }
    }

    /// When to look again if nothing happens.
    fn wake(&self, watchdog: Option<Duration>) -> Option<Instant> {
        let mut beat = watchdog.map_or(BEAT_MAX, |limit| (limit / 3).min(BEAT_MAX));
        if self.step.is_some() {
            beat = beat.min(Duration::from_millis(50));
        }
        let due = self.clock.until(self.next).unwrap_or(beat);
        Some(Instant::now() + due.min(beat))
    }

    async fn handle(&mut self, event: Event) {
        // Before anything is claimed by such a clock.
        if self.clock.jumped() {
            error!("the clock jumped by more than an hour: paused until `tradewind resume`");
            self.ask(Request::Pause {}, "clock").await;
        }
        match event {
            Event::Desk(ask) => self.forward(ask),
            Event::Hit(hit) => drop(self.office.send(self.clock.now(), Errand::Hit(hit))),
            Event::Call(Call::Ask(ask)) => self.asked(ask).await,
            Event::Call(Call::Ended { session }) => {
                if let Some(imports) = self.imports.remove(&session) {
                    self.office.send(self.clock.now(), Errand::Forget(imports));
                }
            }
            Event::Reload => {
                notify_reloading();
                match self.reload().await {
                    Ok(()) => info!("configuration reloaded"),
                    Err(failure) => error!(message = failure.message, "kept the old configuration"),
                }
                notify(&[sd_notify::NotifyState::Ready]);
            }
            Event::Report => match self.ask(Request::Status {}, "signal").await {
                Answer::One(status) => info!(%status, "status"),
                answer => error!(?answer, "no status"),
            },
            Event::Toggle => {
                let paused = match self.ask(Request::Status {}, "signal").await {
                    Answer::One(status) => status.get("state") == Some(&json!("paused")),
                    _ => false,
                };
                let order = if paused { Request::Resume {} } else { Request::Pause {} };
                match self.ask(order, "signal").await {
                    Answer::One(state) => info!(%state, "USR2"),
                    answer => error!(?answer, "USR2"),
                }
            }
            Event::Unfit(unfit) => unfit.record(&self.office, self.clock.now()),
            Event::Moved | Event::Due | Event::Stop => (),
        }
    }

    /// A claim or a verdict goes to the keeper, who answers whoever carries the letter.
    fn forward(&self, ask: DeskAsk) {
        self.office.send(self.clock.now(), Errand::from(ask));
    }

    async fn ask(&self, request: Request, who: &str) -> Answer {
        let (reply, answer) = oneshot::channel();
        let errand = Errand::Ask { request, who: who.to_owned(), reply };
        self.office.send(self.clock.now(), errand);
        answer.await.unwrap_or_else(|_| {
            Answer::Failed(Failure::new(75, "the store has failed", "see the daemon's log"))
        })
    }

    /// An operator's request over the socket.
    async fn asked(&mut self, ask: Ask) {
        let Ask { request, peer, session, reply } = ask;
        let who = format!("uid {}", peer.uid);
        let answer = match request {
            Request::Clock { to: None } => {
                let now = self.clock.now().utc().with_timezone(&self.config.zone.0);
                Answer::One(json!({
                    "now": now.to_rfc3339(),
                    "rehearsal": self.clock.is_rehearsal(),
                }))
            }
            Request::Clock { to: Some(to) } => {
                self.begin_step(Moment::from_utc(to.to_utc()), reply);
                return;
            }
            Request::Reload {} => match self.reload().await {
                Ok(()) => Answer::One(json!({ "reloaded": true })),
                Err(failure) => Answer::Failed(failure),
            },
            Request::ImportBegin(begin) => {
                let answer = self.ask(Request::ImportBegin(begin), &who).await;
                if let Answer::One(value) = &answer {
                    let number = value.get("import").and_then(serde_json::Value::as_u64);
                    let number = number.and_then(|number| u32::try_from(number).ok());
                    self.imports.entry(session).or_default().extend(number);
                }
                answer
            }
            request => {
                // The keeper answers by itself: a long list must not hold up the loop.
                self.office.send(self.clock.now(), Errand::Ask { request, who, reply });
                return;
            }
        };
        // A client that went away needs no answer.
        let _ = reply.send(answer);
    }

    fn begin_step(&mut self, target: Moment, reply: oneshot::Sender<Answer>) {
        let refused = match (self.clock.is_rehearsal(), &self.step) {
            (false, _) => Some("the real clock cannot be set"),
            (true, Some(_)) => Some("the clock is being stepped already"),
            (true, None) if target < self.clock.now() => Some("the clock never goes back"),
            _ => None,
        };
        match refused {
            Some(why) => {
                let fix = "run with --clock, and step forward with clock --to";
                let _ = reply.send(Answer::Failed(Failure::new(64, why, fix)));
            }
            None => self.step = Some(Step { target, reply, moved: Instant::now() }),
        }
    }

    /// Fires what is due on the way of a stepped clock, one timer after the other; each is waited
    /// for until nothing moves any more.
    async fn step_on(&mut self) -> Result<(), Failure> {
        // A keeper that has failed moves no timer any more.
        while let Some(step) = self.step.as_mut().filter(|_| self.office.works()) {
            if self.moving.has_changed().unwrap_or(false) {
                step.moved = Instant::now();
            }
            let quiet = *self.moving.borrow_and_update() == 0;
            if !quiet && step.moved.elapsed() < STEP_PATIENCE {
                return Ok(());
            }
            let now = self.clock.now();
            if now >= step.target {
                if let Some(step) = self.step.take() {
                    let now = now.utc().with_timezone(&self.config.zone.0).to_rfc3339();
                    let _ = step.reply.send(Answer::One(json!({ "now": now, "rehearsal": true })));
                }
                return Ok(());
            }
            step.moved = Instant::now();
            let to = self.next.max(now).min(step.target);
            self.clock.set(to);
            self.tick().await?;
        }
        Ok(())
    }

    async fn reload(&mut self) -> Result<(), Failure> {
        let (file, store) = (self.options.config.clone(), self.options.store.clone());
        let loading = tokio::task::spawn_blocking(move || Config::load(&file, store.as_deref()));
        let config =
            loading.await.map_err(|error| Failure::new(70, error.to_string(), "report it"))??;
        reloadable(&self.config, &config)?;
        let config = Arc::new(config);
        let (reply, taken) = oneshot::channel();
        let errand = Errand::Reconfigure { config: Arc::clone(&config), reply };
        self.office.send(self.clock.now(), errand);
        taken.await.map_err(|_| Failure::new(75, "the store has failed", "see the log"))??;
        self.outlook.reload(&config);
        self.config = config;
        Ok(())
    }

    /// Does what is due, and hands letters to the dispatcher while it has room and there are any.
    async fn tick(&mut self) -> Result<(), Failure> {
        loop {
            let room = self.dispatch.room();
            let (reply, letters) = oneshot::channel();
            self.office.send(
                self.clock.now(),
                Errand::Tick { room, crowd: Arc::clone(&self.outlook.crowd), reply },
            );
            let Ok((letters, next)) = letters.await else { return Ok(()) };
            self.next = next;
            let none = letters.is_empty();
            for draft in letters {
                match self.dispatch.reserve() {
                    Some(place) => self.press.print(draft, place),
                    None => {
                        let back = Errand::GiveBack(vec![draft.letter]);
                        self.office.send(self.clock.now(), back);
                    }
                }
            }
            if none || room == 0 {
                return Ok(());
            }
        }
    }

    /// Lets letters in conversation end, takes back the rest, closes the doors, writes the memory.
    async fn drain(
        self,
        ears: &mut Ears,
        doors: [JoinHandle<()>; 2],
        quit: CancellationToken,
    ) -> Result<(), Failure> {
        let Self { office, dispatch, clock, config, step, .. } = self;
        // The doors would wait for whoever waits for the clock.
        drop(step);
        let mut joining = tokio::spawn(dispatch.join());
        let back = loop {
            tokio::select! {
                ended = &mut joining => break ended.unwrap_or_default(),
                Some(ask) = ears.desk.recv() => {
                    office.send(clock.now(), Errand::from(ask));
                }
                Some(unfit) = ears.unfit.recv() => unfit.record(&office, clock.now()),
                Some(hit) = ears.hits.recv() => drop(office.send(clock.now(), Errand::Hit(hit))),
            }
        };
        office.send(clock.now(), Errand::GiveBack(back));
        quit.cancel();
        ears.calls.close();
        let closing = async {
            for door in doors {
                let _ = door.await;
            }
        };
        let serving = async {
            while let Some(hit) = ears.hits.recv().await {
                office.send(clock.now(), Errand::Hit(hit));
            }
        };
        let patience = Duration::from_secs(config.drain_seconds.min(15));
        let _ = timeout(patience, async { tokio::join!(closing, serving) }).await;
        let stopping = tokio::task::spawn_blocking(move || office.stop());
        stopping.await.map_err(|error| Failure::new(70, error.to_string(), "report it"))?
    }
}

fn notify_reloading() {
    let stamp = sd_notify::NotifyState::monotonic_usec_now();
    match stamp {
        Ok(stamp) => notify(&[sd_notify::NotifyState::Reloading, stamp]),
        Err(error) => warn!(%error, "systemd was not told"),
    }
}
