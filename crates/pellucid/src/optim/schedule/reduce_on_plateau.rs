//! A lower rate when a metric gets no better; PyTorch's ReduceLROnPlateau.

use serde::{Deserialize, Serialize};

use super::curve::{At, Formula, Memory};
use crate::optim::OptimError;
use crate::optim::error::{check, not_negative};

/// The rate times `factor` when the observed metric got no better for more than `patience` observations in a row.
///
/// A metric that is NaN or infinite counts as no better. `reduce_on_plateau:patience=5`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReduceOnPlateau {
    /// The factor, more than 0 and less than 1; 0.1.
    pub factor: f64,
    /// Observations (one an epoch) without improvement that are put up with; 10.
    pub patience: u64,
    /// How much better counts as better, 0 or more; 0.0001.
    pub threshold: f64,
    /// Whether the threshold is a part of the best metric or a difference; `rel`.
    pub threshold_mode: ThresholdMode,
    /// Whether smaller or larger is better; `min`.
    pub mode: Mode,
    /// Observations after a reduction in which nothing counts as bad; 0.
    pub cooldown: u64,
    /// The rate does not fall below this; 0.
    pub min_lr: f64,
    /// A change of the rate by less than this is not made; 1e-8.
    pub eps: f64,
}

/// Which metric is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The smaller.
    #[default]
    Min,
    /// The larger.
    Max,
}

/// What the threshold is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdMode {
    /// A part of the best metric.
    #[default]
    Rel,
    /// A difference.
    Abs,
}

impl Default for ReduceOnPlateau {
    fn default() -> ReduceOnPlateau {
        ReduceOnPlateau {
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            threshold_mode: ThresholdMode::Rel,
            mode: Mode::Min,
            cooldown: 0,
            min_lr: 0.0,
            eps: 1e-8,
        }
    }
}

impl ReduceOnPlateau {
    fn better(&self, metric: f64, best: f64) -> bool {
        match (self.mode, self.threshold_mode) {
            (Mode::Min, ThresholdMode::Rel) => metric < best * (1.0 - self.threshold),
            (Mode::Min, ThresholdMode::Abs) => metric < best - self.threshold,
            (Mode::Max, ThresholdMode::Rel) => metric > best * (1.0 + self.threshold),
            (Mode::Max, ThresholdMode::Abs) => metric > best + self.threshold,
        }
    }
}

impl Formula for ReduceOnPlateau {
    fn check(&self) -> Result<(), OptimError> {
        check("factor", self.factor, self.factor > 0.0 && self.factor < 1.0, "more than 0 and less than 1")?;
        not_negative("threshold", self.threshold)?;
        not_negative("min_lr", self.min_lr)?;
        not_negative("eps", self.eps)
    }

    fn rate(&self, at: &At<'_>) -> f64 {
        at.memory.rate.unwrap_or(at.base)
    }

    fn observe(&self, base: f64, memory: &mut Memory, metric: f64) {
        if metric.is_finite() && memory.best.is_none_or(|best| self.better(metric, best)) {
            memory.best = Some(metric);
            memory.bad = 0;
        } else {
            memory.bad += 1;
        }
        if memory.cooldown > 0 {
            memory.cooldown -= 1;
            memory.bad = 0;
        }
        if memory.bad > self.patience {
            let rate = memory.rate.unwrap_or(base);
            let lower = (rate * self.factor).max(self.min_lr);
            if rate - lower > self.eps {
                memory.rate = Some(lower);
            }
            memory.cooldown = self.cooldown;
            memory.bad = 0;
        }
    }
}
