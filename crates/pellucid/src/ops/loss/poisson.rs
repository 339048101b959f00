//! Poisson negative log-likelihood of counts t, without the term log t! that depends on t alone.
//!
//! - prediction p = log of the expected count: l = exp(p) - t p, ∂l/∂p = exp(p) - t.
//! - prediction p = the expected count: l = p - t log(p + ε), ∂l/∂p = 1 - t / (p + ε), with ε = 10⁻⁸ against log 0.
//!
//! Nelder and Wedderburn, "Generalized linear models", 1972; ε as in PyTorch.

use kernels::math::{exp, log};
use kernels::pairwise::Pairwise;
use kernels::simd::Simd;

use super::{ElementLoss, SUM_ULP, element_cases};
use crate::ops::check::{Bound, Case, Values};

/// What keeps log 0 and a division by 0 away.
const EPSILON: f32 = 1e-8;

/// For counts: targets are 0 or more.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Poisson {
    /// The prediction is the logarithm of the expected count (the default), not the count itself.
    #[serde(default = "default_log_input")]
    pub log_input: bool,
}

fn default_log_input() -> bool {
    true
}

impl Default for Poisson {
    fn default() -> Poisson {
        Poisson { log_input: default_log_input() }
    }
}

impl Pairwise for Poisson {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        if self.log_input { s.fnma(t, p, exp(s, p)) } else { s.fnma(t, log(s, s.add(p, s.splat(EPSILON))), p) }
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        if self.log_input { s.sub(exp(s, p), t) } else { s.sub(s.splat(1.0), s.div(t, s.add(p, s.splat(EPSILON)))) }
    }
}

impl ElementLoss for Poisson {
    const NAME: &'static str = "PoissonLoss";
    const FLOPS: u64 = 20;
    const FORMULAS: Option<[&'static str; 2]> = Some(["L = mean of exp(p) - t p", "∂L/∂p = (exp(p) - t) / n"]);

    fn exact(&self, p: f64, t: f64) -> f64 {
        if self.log_input { libm::exp(p) - t * p } else { p - t * libm::log(p + 1e-8) }
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let counts = || Values::Choice(vec![0.0, 1.0, 2.0, 3.0, 4.0]);
    let value = Bound::relative(SUM_ULP, "an exponential or a logarithm, a sum").and_absolute(300.0);
    let gradient = Bound::relative(6.0, "an exponential or a quotient; the difference cancels").and_absolute(12.0);
    let mut cases = element_cases(Poisson { log_input: true }, [Values::Normal(1.0), counts()], value, gradient);
    let values = [Values::Uniform(0.1, 5.0), counts()];
    cases.extend(element_cases(Poisson { log_input: false }, values, value, gradient));
    cases
}
