//! Exponential function: y = exp x = dy/dx; ∞ above 88.7.

use kernels::math::exp;
use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::Activation;

/// y = exp x
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Exp;

impl Unary for Exp {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        exp(s, x)
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
        let _ = s;
        y
    }
}

impl Activation for Exp {
    const NAME: &'static str = "Exp";
    const FLOPS: u64 = 10;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::points::*;

    #[test]
    fn special_points() {
        assert_eq!(at(Exp, 0.0), (1.0, 1.0));
        assert_eq!(at(Exp, f32::INFINITY), (f32::INFINITY, f32::INFINITY));
        assert_eq!(at(Exp, f32::NEG_INFINITY), (0.0, 0.0));
        nan_goes_through(Exp);
    }
}
