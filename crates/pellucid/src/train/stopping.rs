//! The best epoch so far, and when to give up.

use serde::{Deserialize, Serialize};

use super::EarlyStopping;
use crate::metrics::is_error;
use crate::model::ExactF64;

/// Follows one validation metric over the epochs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct BestSoFar {
    /// Epoch (from 1) and value of the best.
    best: Option<(usize, ExactF64)>,
    /// Value that the next improvement is measured against.
    reference: Option<ExactF64>,
    /// Epochs without improvement.
    since: usize,
}

impl BestSoFar {
    /// Takes note of the value of an epoch; true when it is the best so far. A NaN is never the best.
    pub fn observe(&mut self, epoch: usize, value: f64, options: &EarlyStopping) -> bool {
        let sign = if is_error(&options.monitor) { -1.0 } else { 1.0 };
        let best = !value.is_nan() && self.best.is_none_or(|(_, best)| sign * value > sign * best.0);
        if best {
            self.best = Some((epoch, ExactF64(value)));
        }
        let improved =
            !value.is_nan() && self.reference.is_none_or(|reference| sign * (value - reference.0) > options.min_delta);
        if improved {
            self.reference = Some(ExactF64(value));
            self.since = 0;
        } else {
            self.since += 1;
        }
        best
    }

    /// Epoch (from 1) and value of the best.
    pub fn best(&self) -> Option<(usize, f64)> {
        self.best.map(|(epoch, value)| (epoch, value.0))
    }

    /// Is it time to end the run?
    pub fn exhausted(&self, options: &EarlyStopping) -> bool {
        self.since >= options.patience.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(monitor: &str, min_delta: f64, patience: usize, values: &[f64]) -> (BestSoFar, Option<usize>) {
        let options = EarlyStopping { patience, min_delta, monitor: monitor.to_string() };
        let mut follow = BestSoFar::default();
        let mut ended = None;
        for (i, &value) in values.iter().enumerate() {
            follow.observe(i + 1, value, &options);
            if follow.exhausted(&options) {
                ended = ended.or(Some(i + 1));
            }
        }
        (follow, ended)
    }

    #[test]
    fn a_loss_should_fall_and_an_accuracy_rise() {
        let (follow, ended) = run("loss", 0.0, 2, &[1.0, 0.5, 0.6, 0.55, 0.4]);
        assert_eq!((follow.best(), ended), (Some((5, 0.4)), Some(4)));
        let (follow, ended) = run("accuracy", 0.0, 2, &[0.5, 0.9, 0.8, 0.9]);
        assert_eq!((follow.best(), ended), (Some((2, 0.9)), Some(4)));
    }

    #[test]
    fn small_steps_are_the_best_but_no_improvement() {
        let (follow, ended) = run("loss", 0.1, 3, &[1.0, 0.95, 0.92, 0.91]);
        assert_eq!((follow.best(), ended), (Some((4, 0.91)), Some(4)));
        let (_, ended) = run("loss", 0.1, 3, &[1.0, 0.95, 0.89, 0.85]);
        assert_eq!(ended, None);
    }

    #[test]
    fn not_a_number_is_never_the_best() {
        let (follow, ended) = run("loss", 0.0, 2, &[f64::NAN, 0.5, f64::NAN, f64::NAN]);
        assert_eq!((follow.best(), ended), (Some((2, 0.5)), Some(4)));
    }
}
