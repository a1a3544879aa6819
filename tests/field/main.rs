//! The rules of the field guide and the promises of DESIGN §1, played with the real binary on the
//! shipped configuration: a rehearsal clock, letters as files, pixels and unsubscribes over HTTP.
//! One file per behaviour; `stage` sets the scene.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

mod batches;
mod calendar;
mod cap;
mod changes;
mod clocks;
mod contract;
mod exclusion;
mod missed;
mod placing;
mod post;
mod reading;
mod relay;
mod signals;
mod stage;
