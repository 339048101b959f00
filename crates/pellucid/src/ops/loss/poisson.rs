//! Poisson negative log-likelihood of counts t, without the term log t! that depends on t alone.
//!
//! - prediction p = log of the expected count: l = exp(p) - t p, ∂l/∂p = exp(p) - t.
//! - prediction p = the expected count: l = p - t log(p + ε), ∂l/∂p = 1 - t / (p + ε), with ε = 10⁻⁸ against log 0.
//!
//! Nelder and Wedderburn, "Generalized linear models", 1972; ε as in PyTorch.

use kernels::math::{exp, log};
use kernels::pairwise::Pairwise;
use kernels::simd::Simd;

use super::ElementLoss;

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
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, pairs};
    use super::*;

    #[test]
    fn formula_and_derivative() {
        let counts = |f: fn(f32) -> f32| -> Vec<(f32, f32)> {
            pairs().iter().enumerate().map(|(i, &(p, _))| (f(p), (i % 5) as f32)).collect()
        };
        check(Poisson { log_input: true }, |p, t| libm::exp(p) - t * p, &counts(|p| p));
        check(Poisson { log_input: false }, |p, t| p - t * libm::log(p + 1e-8), &counts(|p| p.abs() + 0.1));
    }
}
