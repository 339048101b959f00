//! What a schedule is to the rest.

use serde::{Deserialize, Serialize};

use crate::optim::OptimError;

/// The formula of a schedule with its settings.
pub(super) trait Formula {
    /// Checks the ranges of the settings.
    fn check(&self) -> Result<(), OptimError>;

    /// The settings that may stand without their names in a line, in order.
    fn bare(&self) -> &'static [&'static str] {
        &[]
    }

    /// The learning rate at a place of the run.
    fn rate(&self, at: &At<'_>) -> f64;

    /// Takes note of the watched metric; `base` is the rate that the schedule begins with.
    fn observe(&self, _base: f64, _: &mut Memory, _metric: f64) {}
}

/// A place of the run.
pub(super) struct At<'a> {
    /// The rate that the schedule begins with.
    pub base: f64,
    /// Updates made since the warm-up.
    pub step: u64,
    /// Updates of the whole run after the warm-up.
    pub total: u64,
    /// Updates of one unit (epoch or step).
    pub unit: u64,
    /// What was observed.
    pub memory: &'a Memory,
}

impl At<'_> {
    /// Whole units gone.
    pub fn units(&self) -> u64 {
        self.step / self.unit
    }

    /// Units gone, the fraction of the current one included.
    pub fn fraction_of_units(&self) -> f64 {
        self.step as f64 / self.unit as f64
    }

    /// The part of `steps` updates (the whole run if not given) that is gone, at most 1.
    pub fn progress(&self, steps: Option<u64>) -> f64 {
        let steps = steps.unwrap_or(self.total);
        if self.step >= steps { 1.0 } else { self.step as f64 / steps as f64 }
    }
}

/// From `start` to `end` along half a cosine, at `progress` in [0, 1].
pub(super) fn half_cosine(start: f64, end: f64, progress: f64) -> f64 {
    end + (start - end) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress))
}

/// What was observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The rate that was come to, if it is no longer the first.
    pub rate: Option<f64>,
    /// The best metric.
    pub best: Option<f64>,
    /// Observations since the best, or since the last reduction.
    pub bad: u64,
    /// Observations left in which nothing counts as bad.
    pub cooldown: u64,
}
