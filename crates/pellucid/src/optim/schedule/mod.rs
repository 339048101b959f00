//! Schedules of the learning rate: a function of the number of the update.

mod config;
mod curve;

mod constant;
mod cosine;
mod cosine_restarts;
mod exponential;
mod linear;
mod multi_step;
mod one_cycle;
mod polynomial;
mod reduce_on_plateau;
mod step;

pub use config::{Curve, ScheduleConfig, Unit};
pub use constant::Constant;
pub use cosine::Cosine;
pub use cosine_restarts::CosineRestarts;
pub use exponential::Exponential;
pub use linear::Linear;
pub use multi_step::MultiStep;
pub use one_cycle::{Anneal, OneCycle};
pub use polynomial::Polynomial;
pub use reduce_on_plateau::{Mode, ReduceOnPlateau, ThresholdMode};
pub use step::Step;

use serde_json::Value;

use super::OptimError;
use super::error::not_negative;
use curve::{At, Memory};

/// A schedule of one run.
///
/// ```
/// # use pellucid::optim::{OptimError, Schedule, ScheduleConfig};
/// # fn main() -> Result<(), OptimError> {
/// let config = ScheduleConfig::parse("step:30:0.1")?;
/// // Learning rate 0.5, 60 epochs of 100 updates.
/// let schedule = Schedule::new(&config, 0.5, 6000, 100)?;
/// assert_eq!(schedule.rate(2999), 0.5);
/// assert_eq!(schedule.rate(3000), 0.05);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    config: ScheduleConfig,
    base: f64,
    /// Updates after the warm-up.
    total: u64,
    /// Updates of one unit.
    unit: u64,
    memory: Memory,
}

impl Schedule {
    /// The schedule of a run of `total_steps` updates, `steps_per_epoch` of them in an epoch (0 counts as 1), from the
    /// learning rate `base_lr`.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(
        config: &ScheduleConfig,
        base_lr: f64,
        total_steps: u64,
        steps_per_epoch: u64,
    ) -> Result<Schedule, OptimError> {
        not_negative("lr", base_lr)?;
        config.check()?;
        let unit = match config.unit {
            Unit::Epoch => steps_per_epoch.max(1),
            Unit::Step => 1,
        };
        let total = total_steps.saturating_sub(config.warmup);
        Ok(Schedule { config: config.clone(), base: base_lr, total, unit, memory: Memory::default() })
    }

    /// The learning rate of the update after `step` others (0 for the first). Depends on nothing else, but for
    /// `reduce_on_plateau`, where it depends on what was observed.
    #[inline]
    pub fn rate(&self, step: u64) -> f64 {
        let warmup = self.config.warmup;
        let (step, share) = match step.checked_sub(warmup) {
            Some(after) => (after, 1.0),
            None => (0, (step + 1) as f64 / (warmup + 1) as f64),
        };
        let at = At { base: self.base, step, total: self.total, unit: self.unit, memory: &self.memory };
        share * self.config.curve.formula().rate(&at)
    }

    /// Tells the value of the watched metric, once an epoch; only `reduce_on_plateau` minds.
    pub fn observe(&mut self, metric: f64) {
        self.config.curve.formula().observe(self.base, &mut self.memory, metric);
    }

    /// What was observed, as a document whose text gives the same numbers to the last bit.
    pub fn state(&self) -> Value {
        serde_json::to_value(self.memory).expect("finite numbers")
    }

    /// Takes the state of [`Schedule::state`].
    ///
    /// # Errors
    /// If it is no such document; nothing is changed then.
    pub fn restore(&mut self, state: &Value) -> Result<(), OptimError> {
        self.memory = serde::Deserialize::deserialize(state).map_err(|error: serde_json::Error| OptimError::State {
            expected: format!("schedule {}", self.config.curve.name()),
            found: error.to_string(),
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
