//! What a run tells whoever watches it.

use std::path::Path;

use super::EpochRecord;

/// Something that happened in the fit loop.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The loop begins, or goes on after `finished_epochs`.
    Begin {
        /// Epochs at most.
        epochs: usize,
        /// Epochs that were finished before.
        finished_epochs: usize,
        /// Updates in an epoch.
        steps_per_epoch: usize,
        /// Training rows in an epoch.
        rows_per_epoch: usize,
    },
    /// An update was made.
    Step {
        /// Number of the update, from 1.
        step: u64,
        /// Loss of its batch.
        loss: f64,
    },
    /// An epoch was finished.
    Epoch {
        /// What was recorded.
        record: &'a EpochRecord,
        /// It is the best so far on the validation part.
        best: bool,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Its folder.
        folder: &'a Path,
        /// Updates made so far.
        step: u64,
    },
    /// The loop is over.
    End {
        /// Why.
        reason: EndReason,
        /// The epoch whose parameters are kept.
        kept_epoch: usize,
    },
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// All epochs were run.
    Epochs,
    /// The validation part got no better.
    EarlyStopping,
    /// The optimiser found nothing better near: L-BFGS at a minimum.
    Converged,
    /// The watcher asked for it.
    Watcher,
}

/// What to do after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// End the run after the current epoch or step, keeping what was learnt, with a checkpoint if there are any.
    Stop,
}

/// Watches a run. Closures `FnMut(Event) -> Control` are watchers.
pub trait Watcher {
    /// Called for every event, on the thread of the loop.
    fn on(&mut self, event: Event) -> Control;
}

impl<F: FnMut(Event) -> Control> Watcher for F {
    fn on(&mut self, event: Event) -> Control {
        self(event)
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Watcher for Silent {
    #[inline]
    fn on(&mut self, _: Event) -> Control {
        Control::Continue
    }
}
