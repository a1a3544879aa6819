//! A place in the dispatcher's queue, taken before the letter that will fill it is composed: so the
//! queue is never outrun, and nobody thinks that nothing moves while a letter is being made.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::net::carry::Job;

/// A place in the queue. Dropped unfilled, it is free again and nothing moves for it any more.
pub struct Place {
    permit: Option<mpsc::OwnedPermit<Job>>,
    moving: Arc<watch::Sender<usize>>,
}

impl Place {
    /// Takes a place, and counts its letter as moving.
    #[must_use]
    pub fn take(permit: mpsc::OwnedPermit<Job>, moving: Arc<watch::Sender<usize>>) -> Self {
        moving.send_modify(|count| *count += 1);
        Self { permit: Some(permit), moving }
    }

    /// Queues the letter.
    pub fn fill(mut self, job: Job) {
        if let Some(permit) = self.permit.take() {
            permit.send(job);
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("taken", &self.permit.is_some()).finish_non_exhaustive()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.permit.take().is_some() {
            self.moving.send_modify(|count| *count -= 1);
        }
    }
}
