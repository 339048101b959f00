//! RMSprop.
//!
//! ```text
//! s ← α s + (1 - α) g²
//! a ← α a + (1 - α) g, and s - a² instead of s in what follows, if centered
//! b ← μ b + g / (√s + eps)
//! w ← w - lr b
//! ```
//! Tieleman and Hinton, "Lecture 6.5: RMSProp", Coursera, 2012; centered after Graves, "Generating sequences with
//! recurrent neural networks", 2013, equations 38 to 45. The order of root and eps is PyTorch's.

use kernels::simd::Simd;
use kernels::update::Rule;
use serde::{Deserialize, Serialize};

use super::OptimError;
use super::error::{divisor, fraction, not_negative};
use super::method::{Method, Now, Settings, Stretch};

/// RMSprop. Defaults are PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// Learning rate; 0.01.
    pub lr: f64,
    /// α, the rate at which the averages forget, in [0, 1); 0.99.
    pub alpha: f64,
    /// Added to the divisor, more than 0; 1e-8.
    pub eps: f64,
    /// μ, 0 or more; 0 for none.
    pub momentum: f64,
    /// Divides by the standard deviation of the gradient instead of its root mean square; false.
    pub centered: bool,
    /// λ of the L2 penalty λ/2 Σ w²; 0.
    pub weight_decay: f64,
}

impl Default for RmsProp {
    fn default() -> RmsProp {
        RmsProp { lr: 1e-2, alpha: 0.99, eps: 1e-8, momentum: 0.0, centered: false, weight_decay: 0.0 }
    }
}

impl Method for RmsProp {
    fn settings(&self) -> Settings {
        Settings { lr: self.lr, weight_decay: self.weight_decay, decoupled: false }
    }

    fn check(&self) -> Result<(), OptimError> {
        fraction("alpha", self.alpha)?;
        not_negative("momentum", self.momentum)?;
        divisor("eps", self.eps)
    }

    fn slots(&self) -> &'static [&'static str] {
        match (self.centered, self.momentum > 0.0) {
            (false, false) => &["square_avg"],
            (false, true) => &["square_avg", "momentum_buffer"],
            (true, false) => &["square_avg", "grad_avg"],
            (true, true) => &["square_avg", "grad_avg", "momentum_buffer"],
        }
    }

    fn update(&self, now: &Now, stretch: Stretch<'_>) -> bool {
        let step = Step {
            rate: now.rate as f32,
            share: (1.0 - self.alpha) as f32,
            eps: self.eps as f32,
            momentum: self.momentum as f32,
        };
        match (self.centered, self.momentum > 0.0) {
            (false, false) => stretch.apply(Plain(step)),
            (false, true) => stretch.apply(Momentum(step)),
            (true, false) => stretch.apply(Centered(step)),
            (true, true) => stretch.apply(CenteredMomentum(step)),
        }
    }
}

#[derive(Clone, Copy)]
struct Step {
    rate: f32,
    /// 1 - α
    share: f32,
    eps: f32,
    momentum: f32,
}

impl Step {
    /// α average + (1 - α) x
    #[inline(always)]
    fn average<S: Simd>(self, s: S, x: S::Float, average: S::Float) -> S::Float {
        s.fma(s.splat(self.share), s.sub(x, average), average)
    }

    /// g / (√square + eps)
    #[inline(always)]
    fn direction<S: Simd>(self, s: S, g: S::Float, square: S::Float) -> S::Float {
        s.div(g, s.add(s.sqrt(square), s.splat(self.eps)))
    }

    /// square - mean²; rounding can bring it below zero. In this order a NaN is kept.
    #[inline(always)]
    fn variance<S: Simd>(self, s: S, square: S::Float, mean: S::Float) -> S::Float {
        s.max(s.splat(0.0), s.fnma(mean, mean, square))
    }

    #[inline(always)]
    fn move_by<S: Simd>(self, s: S, direction: S::Float, w: S::Float) -> S::Float {
        s.fnma(s.splat(self.rate), direction, w)
    }

    /// μ b + direction
    #[inline(always)]
    fn gather<S: Simd>(self, s: S, direction: S::Float, b: S::Float) -> S::Float {
        s.fma(s.splat(self.momentum), b, direction)
    }
}

#[derive(Clone, Copy)]
struct Plain(Step);

impl Rule<1> for Plain {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::Float, g: S::Float, [square]: [S::Float; 1]) -> (S::Float, [S::Float; 1]) {
        let square = self.0.average(s, s.mul(g, g), square);
        (self.0.move_by(s, self.0.direction(s, g, square), w), [square])
    }
}

#[derive(Clone, Copy)]
struct Momentum(Step);

impl Rule<2> for Momentum {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::Float, g: S::Float, [square, b]: [S::Float; 2]) -> (S::Float, [S::Float; 2]) {
        let square = self.0.average(s, s.mul(g, g), square);
        let b = self.0.gather(s, self.0.direction(s, g, square), b);
        (self.0.move_by(s, b, w), [square, b])
    }
}

#[derive(Clone, Copy)]
struct Centered(Step);

impl Rule<2> for Centered {
    #[inline(always)]
    fn update<S: Simd>(
        self,
        s: S,
        w: S::Float,
        g: S::Float,
        [square, mean]: [S::Float; 2],
    ) -> (S::Float, [S::Float; 2]) {
        let square = self.0.average(s, s.mul(g, g), square);
        let mean = self.0.average(s, g, mean);
        let direction = self.0.direction(s, g, self.0.variance(s, square, mean));
        (self.0.move_by(s, direction, w), [square, mean])
    }
}

#[derive(Clone, Copy)]
struct CenteredMomentum(Step);

impl Rule<3> for CenteredMomentum {
    #[inline(always)]
    fn update<S: Simd>(
        self,
        s: S,
        w: S::Float,
        g: S::Float,
        [square, mean, b]: [S::Float; 3],
    ) -> (S::Float, [S::Float; 3]) {
        let square = self.0.average(s, s.mul(g, g), square);
        let mean = self.0.average(s, g, mean);
        let direction = self.0.direction(s, g, self.0.variance(s, square, mean));
        let b = self.0.gather(s, direction, b);
        (self.0.move_by(s, b, w), [square, mean, b])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::follows;

    #[test]
    fn follows_its_formula() {
        follows("rmsprop:lr=0.01", |_, w, g, [square]| {
            *square = 0.99 * *square + 0.01 * g * g;
            *w -= 0.01 * g / (square.sqrt() + 1e-8);
        });
        follows("rmsprop:lr=0.01,alpha=0.9,momentum=0.5", |_, w, g, [square, b]| {
            *square = 0.9 * *square + 0.1 * g * g;
            *b = 0.5 * *b + g / (square.sqrt() + 1e-8);
            *w -= 0.01 * *b;
        });
        follows("rmsprop:lr=0.01,alpha=0.9,centered", |_, w, g, [square, mean]| {
            *square = 0.9 * *square + 0.1 * g * g;
            *mean = 0.9 * *mean + 0.1 * g;
            *w -= 0.01 * g / ((*square - *mean * *mean).sqrt() + 1e-8);
        });
        follows("rmsprop:lr=0.01,alpha=0.9,centered,momentum=0.5", |_, w, g, [square, mean, b]| {
            *square = 0.9 * *square + 0.1 * g * g;
            *mean = 0.9 * *mean + 0.1 * g;
            *b = 0.5 * *b + g / ((*square - *mean * *mean).sqrt() + 1e-8);
            *w -= 0.01 * *b;
        });
    }
}
