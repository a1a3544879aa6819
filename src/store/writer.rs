//! Writes the memory beside the keeper: packing and sled take a thread of their own, one batch at a
//! time, so that a large import need not wait for them.
//!
//! Nothing hangs on when it is done: the journal has it all. Until then what is being written stays
//! readable in front of sled, and sled takes it whole or not at all.

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::store::fresh::{Blob, Fresh, Kept};
use crate::store::pages::{Changes, Pages, PagesError};

/// The writing end of the memory.
#[derive(Debug)]
pub struct Writer {
    pages: Pages,
    under_way: Option<Batch>,
}

#[derive(Debug)]
struct Batch {
    fresh: Arc<Fresh>,
    thread: JoinHandle<Result<(), PagesError>>,
}

impl Writer {
    /// Writes into `pages`.
    #[must_use]
    pub fn new(pages: Pages) -> Self {
        Self { pages, under_way: None }
    }

    /// What there is beneath the fresh changes.
    #[must_use]
    pub fn kept(&self) -> Kept<'_> {
        let leaving = self.under_way.as_ref().map(|batch| &*batch.fresh);
        Kept { leaving, pages: &self.pages }
    }

    /// Begins to write changes up to sequence `seq`, after those before them are written.
    ///
    /// # Errors
    /// What went wrong with those before them.
    pub fn begin(&mut self, fresh: Fresh, blobs: Vec<Blob>, seq: u64) -> Result<(), PagesError> {
        self.finish()?;
        let (pages, fresh) = (self.pages.clone(), Arc::new(fresh));
        let held = Arc::clone(&fresh);
        let write = move || {
            let mut changes = Changes::default();
            held.put_into(&mut changes, seq);
            blobs.iter().for_each(|(name, payload)| changes.put(name, payload));
            pages.write(changes, seq)
        };
        let thread = std::thread::Builder::new().name("memory".to_owned()).spawn(write);
        let thread = thread.map_err(PagesError::Thread)?;
        self.under_way = Some(Batch { fresh, thread });
        Ok(())
    }

    /// Lets go of changes that have been written by now.
    ///
    /// # Errors
    /// What went wrong with them.
    pub fn look(&mut self) -> Result<(), PagesError> {
        let done = self.under_way.as_ref().is_some_and(|batch| batch.thread.is_finished());
        if done { self.finish() } else { Ok(()) }
    }

    /// Waits until nothing is being written.
    ///
    /// # Errors
    /// What went wrong.
    pub fn finish(&mut self) -> Result<(), PagesError> {
        let Some(batch) = self.under_way.take() else { return Ok(()) };
        let lost = |_| Err(PagesError::Panicked("the thread that writes the memory".to_owned()));
        batch.thread.join().unwrap_or_else(lost)
    }

    /// Waits until everything is written and sled has handed it to the disk.
    ///
    /// # Errors
    /// When sled cannot write.
    pub fn flush(&mut self) -> Result<(), PagesError> {
        self.finish()?;
        self.pages.flush()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The journal has what could not be written; whoever opens the store next replays it.
        let _ = self.finish();
    }
}
