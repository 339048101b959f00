//! L-BFGS: a quasi-Newton method for full batches.
//!
//! ```text
//! d = -H g, H from the last pairs s = w' - w, y = g' - g (two loops, H₀ = sᵀy / yᵀy of the last pair)
//! w ← w + α d, α by a line search for the strong Wolfe conditions
//! ```
//! Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989; Nocedal and Wright,
//! "Numerical optimization", 2006, algorithms 7.4 and 7.5. All sums are those of `kernels::reduce`, so the path is the
//! same on every machine if that of the loss is.

mod history;
mod line_search;
mod minimiser;

pub use minimiser::{Evaluate, LbfgsOutcome, LbfgsStep, Minimiser};

use serde::{Deserialize, Serialize};

use super::OptimError;
use super::error::{check, not_negative};
use super::method::{Method, Now, Settings, Stretch};

/// L-BFGS, run by a [`Minimiser`]. Defaults are PyTorch's, but for the history (10 pairs instead of 100: Nocedal and Wright
/// advise 3 to 20) and the line search, which PyTorch leaves out unless told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lbfgs {
    /// The step length that is tried first; 1.
    pub lr: f64,
    /// Pairs that are remembered, 1 to 1000; 10.
    pub history: usize,
    /// Evaluations of the loss in one update, 2 or more; 25.
    pub max_evaluations: u32,
    /// The end is reached when no gradient is larger; 0 or more; 1e-7.
    pub tolerance_grad: f64,
    /// λ of the L2 penalty λ/2 Σ w²; 0.
    pub weight_decay: f64,
}

impl Default for Lbfgs {
    fn default() -> Lbfgs {
        Lbfgs { lr: 1.0, history: 10, max_evaluations: 25, tolerance_grad: 1e-7, weight_decay: 0.0 }
    }
}

impl Method for Lbfgs {
    fn settings(&self) -> Settings {
        Settings { lr: self.lr, weight_decay: self.weight_decay, decoupled: false }
    }

    fn check(&self) -> Result<(), OptimError> {
        check("lr", self.lr, self.lr > 0.0, "more than 0")?;
        check("history", self.history as f64, (1..=1000).contains(&self.history), "from 1 to 1000")?;
        check("max_evaluations", f64::from(self.max_evaluations), self.max_evaluations >= 2, "2 or more")?;
        not_negative("tolerance_grad", self.tolerance_grad)
    }

    fn full_batch(&self) -> bool {
        true
    }

    fn slots(&self) -> &'static [&'static str] {
        &[]
    }

    fn update(&self, _: &Now, _: Stretch<'_>) -> bool {
        unreachable!("an optimizer for full batches makes no single update")
    }
}
