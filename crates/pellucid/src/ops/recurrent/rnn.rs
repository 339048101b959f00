//! The simple recurrent network: h' = f(a), with f the hyperbolic tangent or ReLU; da = ∂L/∂h'·f'(a).
//!
//! Elman, "Finding structure in time", 1990; with ReLU: Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of
//! rectified linear units", 2015.

use kernels::simd::Simd;
use kernels::unary::{Reads, Unary};

use super::{RecurrentCell, cases_of};
use crate::ops::check::Case;
use crate::ops::{Activation, Relu, Tanh};

/// What a simple network does with its sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nonlinearity {
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// max(a, 0)
    Relu,
}

impl Unary for Nonlinearity {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        match self {
            Nonlinearity::Tanh => Tanh.value(s, x),
            Nonlinearity::Relu => Relu.value(s, x),
        }
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::Float, y: S::Float) -> S::Float {
        match self {
            Nonlinearity::Tanh => Tanh.derivative(s, x, y),
            Nonlinearity::Relu => Relu.derivative(s, x, y),
        }
    }
}

/// The simple cell: its state is h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rnn {
    /// f
    pub nonlinearity: Nonlinearity,
}

impl RecurrentCell for Rnn {
    const NAME: &'static str = "RNN";
    const FLOPS: u64 = 12;
    type Formula = kernels::recurrent::Rnn<Nonlinearity>;

    fn formula(&self) -> kernels::recurrent::Rnn<Nonlinearity> {
        kernels::recurrent::Rnn(self.nonlinearity)
    }

    fn exact(&self, x: &[f64], h: &[f64], _: [f64; 2]) -> [f64; 2] {
        let sum = x[0] + h[0];
        let value = match self.nonlinearity {
            Nonlinearity::Tanh => Tanh.exact(sum),
            Nonlinearity::Relu => Relu.exact(sum),
        };
        [value, 0.0]
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let mut cases = cases_of(Rnn::default());
    let relu = cases_of(Rnn { nonlinearity: Nonlinearity::Relu });
    // Of very many values some are so near to the kink that differences step over it.
    let few = |case: &Case| case.batches.iter().copied().filter(|&rows| rows <= 5).collect::<Vec<usize>>();
    cases.extend(relu.into_iter().map(|case| Case {
        name: format!("ReLU, {}", case.name),
        batches: few(&case),
        ..case
    }));
    cases
}
