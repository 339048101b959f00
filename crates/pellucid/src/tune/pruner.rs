//! When to give a trial up: successive halving, asynchronously.
//!
//! A trial reports its score after each unit of its budget (an epoch). At the rungs r, r η, r η², … it goes on only if it is among the
//! best 1/η of all trials that have reached that rung so far. (Li et al., "A system for massively parallel hyperparameter tuning", 2020;
//! Jamieson and Talwalkar, "Non-stochastic best arm identification", 2016.) Hyperband gives every trial one of some first rungs in turn,
//! so that slow starters are not all given up. (Li et al., "Hyperband", 2018.)

use serde::{Deserialize, Serialize};

/// Part of the trials of a rung that goes on: one of so many.
const ETA: usize = 3;

/// What gives trials up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pruner {
    /// Nothing: every trial runs to its end.
    #[default]
    None,
    /// Successive halving with this first rung.
    Asha {
        /// Units of budget before the first rung; at least 1.
        first: usize,
    },
    /// Successive halving, the first rung being `first`, `first` · 3, `first` · 9, … in turn, up to `most`.
    Hyperband {
        /// The least first rung; at least 1.
        first: usize,
        /// Units of budget of a whole trial.
        most: usize,
    },
}

impl Pruner {
    /// Whether trial `number` is to be given up after `spent` units with this `score` (the smaller, the better); `others` are the scores
    /// of the trials before it with the same first rung, after as many units.
    pub(super) fn gives_up(self, number: usize, spent: usize, score: f64, others: impl Fn(usize) -> Vec<f64>) -> bool {
        let Some(first) = self.first_rung(number) else { return false };
        let mut rung = first;
        while rung < spent {
            rung *= ETA;
        }
        if rung != spent {
            return false;
        }
        let scores = others(spent);
        let better = scores.iter().filter(|other| **other < score).count();
        // Of the first few, the best alone goes on; a score that is no number never does.
        score.is_nan() || better >= (scores.len() + 1).div_ceil(ETA)
    }

    /// The first rung of a trial.
    pub(super) fn first_rung(self, number: usize) -> Option<usize> {
        match self {
            Pruner::None => None,
            Pruner::Asha { first } => Some(first.max(1)),
            Pruner::Hyperband { first, most } => {
                let mut rungs = vec![first.max(1)];
                while rungs[rungs.len() - 1] * ETA <= most {
                    rungs.push(rungs[rungs.len() - 1] * ETA);
                }
                Some(rungs[number % rungs.len()])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_third_of_a_rung_goes_on() {
        let asha = Pruner::Asha { first: 2 };
        let others = |scores: &[f64]| {
            let scores = scores.to_vec();
            move |_: usize| scores.clone()
        };
        assert!(!asha.gives_up(0, 2, 5.0, others(&[])), "the first of all goes on");
        assert!(asha.gives_up(3, 2, 5.0, others(&[1.0, 2.0])));
        assert!(!asha.gives_up(3, 2, 1.5, others(&[1.0, 2.0, 3.0])), "two of four");
        assert!(asha.gives_up(3, 2, 2.5, others(&[1.0, 2.0, 3.0])));
        assert!(!asha.gives_up(3, 3, 9.0, others(&[1.0, 2.0])), "3 is no rung");
        assert!(asha.gives_up(3, 6, 9.0, others(&[1.0, 2.0])));
        assert!(asha.gives_up(3, 2, f64::NAN, others(&[])));
        assert!(!Pruner::None.gives_up(3, 2, 9.0, others(&[1.0, 2.0])));
    }

    #[test]
    fn hyperband_begins_with_one_of_some_rungs() {
        let hyperband = Pruner::Hyperband { first: 1, most: 10 };
        let rungs: Vec<_> = (0..4).map(|number| hyperband.first_rung(number)).collect();
        assert_eq!(rungs, [Some(1), Some(3), Some(9), Some(1)]);
    }
}
