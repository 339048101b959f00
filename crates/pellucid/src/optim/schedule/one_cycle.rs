//! Up to a high rate and down to a very low one.
//!
//! Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018, in the
//! two phases of PyTorch's OneCycleLR.

use serde::{Deserialize, Serialize};

use super::curve::{At, Formula, half_cosine};
use crate::optim::OptimError;
use crate::optim::error::{check, positive};

/// The rate goes from `max_lr` / `div_factor` up to `max_lr` and then down to the first divided by `final_div_factor`,
/// update by update. `one_cycle:max_lr=0.01`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneCycle {
    /// The highest rate, more than 0; the optimiser's learning rate, which otherwise counts for nothing here.
    pub max_lr: Option<f64>,
    /// Updates of the cycle; the whole run.
    pub steps: Option<u64>,
    /// The part of the cycle in which the rate rises, in [0, 1]; 0.3.
    pub pct_start: f64,
    /// `max_lr` divided by this is the first rate; more than 0; 25.
    pub div_factor: f64,
    /// The first rate divided by this is the last; more than 0; 10,000.
    pub final_div_factor: f64,
    /// Along half a cosine, or evenly; `cos`.
    pub anneal: Anneal,
}

/// How a phase goes from one rate to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anneal {
    /// Along half a cosine.
    #[default]
    Cos,
    /// Evenly.
    Linear,
}

impl Default for OneCycle {
    fn default() -> OneCycle {
        OneCycle {
            max_lr: None,
            steps: None,
            pct_start: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
            anneal: Anneal::Cos,
        }
    }
}

impl Formula for OneCycle {
    fn check(&self) -> Result<(), OptimError> {
        if let Some(max_lr) = self.max_lr {
            positive("max_lr", max_lr)?;
        }
        check("pct_start", self.pct_start, (0.0..=1.0).contains(&self.pct_start), "from 0 to 1")?;
        positive("div_factor", self.div_factor)?;
        positive("final_div_factor", self.final_div_factor)
    }

    fn bare(&self) -> &'static [&'static str] {
        &["max_lr"]
    }

    fn rate(&self, at: &At<'_>) -> f64 {
        let highest = self.max_lr.unwrap_or(at.base);
        let first = highest / self.div_factor;
        let last = first / self.final_div_factor;
        let steps = self.steps.unwrap_or(at.total) as f64;
        let step = at.step as f64;
        // The update with the highest rate, and the last one.
        let (top, end) = (self.pct_start * steps - 1.0, steps - 1.0);
        let (from, to, progress) = if step < top {
            (first, highest, step / top)
        } else if step < end {
            (highest, last, (step - top) / (end - top))
        } else {
            (highest, last, 1.0)
        };
        match self.anneal {
            Anneal::Cos => half_cosine(from, to, progress),
            Anneal::Linear => from + (to - from) * progress,
        }
    }
}
