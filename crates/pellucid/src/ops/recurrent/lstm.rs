//! Long short-term memory, with gates in the order i f g o and σ the logistic function:
//!
//! i = σ(a_i), f = σ(a_f), g = tanh(a_g), o = σ(a_o); c' = f·c + i·g; h' = o·tanh(c').
//!
//! With dc' = ∂L/∂c' + ∂L/∂h'·o·(1 - tanh²c'): da_i = dc'·g·i(1 - i), da_f = dc'·c·f(1 - f), da_g = dc'·i·(1 - g²),
//! da_o = ∂L/∂h'·tanh(c')·o(1 - o), ∂L/∂c = dc'·f.
//!
//! Hochreiter and Schmidhuber, "Long short-term memory", 1997; forget gate: Gers, Schmidhuber and Cummins, "Learning to forget",
//! 2000.

use super::{RecurrentCell, cases_of, sigmoid};
use crate::ops::check::Case;

/// The LSTM cell: its state is h and c.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Lstm {}

impl RecurrentCell for Lstm {
    const NAME: &'static str = "LSTM";
    const FLOPS: u64 = 64;
    type Formula = kernels::recurrent::Lstm;

    fn formula(&self) -> kernels::recurrent::Lstm {
        kernels::recurrent::Lstm
    }

    fn exact(&self, x: &[f64], h: &[f64], [_, c]: [f64; 2]) -> [f64; 2] {
        let a = |gate: usize| x[gate] + h[gate];
        let c = sigmoid(a(1)) * c + sigmoid(a(0)) * libm::tanh(a(2));
        [sigmoid(a(3)) * libm::tanh(c), c]
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    cases_of(Lstm {})
}
