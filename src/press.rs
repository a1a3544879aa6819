//! The press: letters composed and signed ahead of their connections, on as many threads as there
//! are cores. A signature takes a millisecond of one of them; neither the keeper nor a peer waits.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;

use crate::book::contact::Moment;
use crate::desk::draft::{Draft, Ready};
use crate::feedback::entry::LetterId;
use crate::net::carry::Job;
use crate::net::place::Place;
use crate::net::smtp::Envelope;
use crate::office::{Errand, Office};

/// Makes drafts into letters.
#[derive(Clone, Debug)]
pub struct Press {
    turns: Arc<Semaphore>,
    unfit: mpsc::UnboundedSender<Unfit>,
}

/// A letter that could not be composed. Its place is held until that is recorded.
#[derive(Debug)]
pub struct Unfit {
    /// Which.
    pub letter: LetterId,
    /// Why.
    pub why: String,
    /// To be dropped when it is recorded.
    pub place: Place,
}

impl Press {
    /// A press that tells of letters it cannot make; there are no more of these than places.
    #[must_use]
    pub fn new(unfit: mpsc::UnboundedSender<Unfit>) -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        Self { turns: Arc::new(Semaphore::new(cores)), unfit }
    }

    /// Composes and signs a draft when a core is free, and fills its place with it.
    pub fn print(&self, draft: Draft, place: Place) {
        let Self { turns, unfit } = self.clone();
        tokio::spawn(async move {
            let letter = draft.letter;
            // The semaphore is never closed.
            let turn = turns.acquire_owned().await;
            let made = spawn_blocking(move || {
                let made = draft.compose();
                drop(turn);
                made
            });
            let made = made.await.unwrap_or_else(|error| Err(format!("composing failed: {error}")));
            match made {
                Ok(ready) => place.fill(job(ready)),
                // With nobody left to tell, the letter stays planned.
                Err(why) => drop(unfit.send(Unfit { letter, why, place })),
            }
        });
    }
}

impl Unfit {
    /// Has the keeper write it down; the letter moves until that is done.
    pub fn record(self, office: &Office, now: Moment) {
        let Self { letter, why, place } = self;
        let (reply, recorded) = oneshot::channel();
        office.send(now, Errand::Unfit { letter, why, reply });
        tokio::spawn(async move {
            // A keeper that has failed records nothing, and the daemon ends.
            let _ = recorded.await;
            drop(place);
        });
    }
}

fn job(ready: Ready) -> Job {
    Job {
        letter: ready.letter,
        attempt: ready.attempt,
        envelope: Envelope { from: ready.return_path, to: ready.to },
        message: ready.message,
    }
}
