//! What the daemon hears: everything that can happen to it, as one closed enum of events.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::control::Failure;
use crate::net::carry::Ask as DeskAsk;
use crate::net::http::Hit;
use crate::press::Unfit;
use crate::socket::Call;

/// The loop looks at the clock at least so often: a suspended machine wakes late.
pub const BEAT_MAX: Duration = Duration::from_secs(20);

/// All that can happen to the daemon.
pub enum Event {
    /// An operator asks, or goes.
    Call(Call),
    /// A carrier asks for a claim, or brings a verdict.
    Desk(DeskAsk),
    /// A reader came by.
    Hit(Hit),
    /// A letter could not be composed.
    Unfit(Unfit),
    /// The number of letters on their way has changed.
    Moved,
    /// HUP.
    Reload,
    /// TERM or INT.
    Stop,
    /// USR1.
    Report,
    /// USR2.
    Toggle,
    /// Time has passed.
    Due,
}

/// What the loop listens to.
pub struct Ears {
    /// Operators.
    pub calls: mpsc::Receiver<Call>,
    /// Carriers.
    pub desk: mpsc::Receiver<DeskAsk>,
    /// Readers.
    pub hits: mpsc::Receiver<Hit>,
    /// The press.
    pub unfit: mpsc::UnboundedReceiver<Unfit>,
    /// Letters on their way.
    pub moving: watch::Receiver<usize>,
    /// Signals.
    pub signals: Signals,
}

/// The signals that mean something.
pub struct Signals {
    hangup: Signal,
    term: Signal,
    int: Signal,
    usr1: Signal,
    usr2: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system gives no handler.
    pub fn new() -> Result<Self, Failure> {
        let on = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(71, format!("no signal handler: {error}"), "report it")
            })
        };
        Ok(Self {
            hangup: on(SignalKind::hangup())?,
            term: on(SignalKind::terminate())?,
            int: on(SignalKind::interrupt())?,
            usr1: on(SignalKind::user_defined1())?,
            usr2: on(SignalKind::user_defined2())?,
        })
    }

    async fn hear(&mut self) -> Event {
        tokio::select! {
            Some(()) = self.hangup.recv() => Event::Reload,
            Some(()) = self.term.recv() => Event::Stop,
            Some(()) = self.int.recv() => Event::Stop,
            Some(()) = self.usr1.recv() => Event::Report,
            Some(()) = self.usr2.recv() => Event::Toggle,
        }
    }
}

impl Ears {
    /// What happens next; [`Event::Due`] when nothing does until `wake`.
    pub async fn hear(&mut self, wake: Option<Instant>) -> Event {
        let wake = wake.unwrap_or_else(|| Instant::now() + BEAT_MAX);
        tokio::select! {
            Some(ask) = self.desk.recv() => Event::Desk(ask),
            Some(hit) = self.hits.recv() => Event::Hit(hit),
            Some(unfit) = self.unfit.recv() => Event::Unfit(unfit),
            Some(call) = self.calls.recv() => Event::Call(call),
            Ok(()) = self.moving.changed() => Event::Moved,
            event = self.signals.hear() => event,
            () = sleep_until(wake) => Event::Due,
        }
    }
}
