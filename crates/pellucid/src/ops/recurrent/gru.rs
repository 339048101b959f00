//! Gated recurrent unit, with gates in the order r z n, σ the logistic function, x_n = W_in·x + b_in and h_n = W_hn·h + b_hn:
//!
//! r = σ(a_r), z = σ(a_z), n = tanh(x_n + r·h_n); h' = (1 - z)·n + z·h.
//!
//! With d = ∂L/∂h': dx_n = d·(1 - z)·(1 - n²), dh_n = dx_n·r, da_r = dx_n·h_n·r(1 - r), da_z = d·(h - n)·z(1 - z), and
//! ∂L/∂h = d·z directly.
//!
//! Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014; here, as in PyTorch, the reset gate works on
//! the product with the state.

use super::{RecurrentCell, cases_of, sigmoid};
use crate::ops::check::Case;

/// The GRU cell: its state is h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Gru {}

impl RecurrentCell for Gru {
    const NAME: &'static str = "GRU";
    const FLOPS: u64 = 44;
    type Formula = kernels::recurrent::Gru;

    fn formula(&self) -> kernels::recurrent::Gru {
        kernels::recurrent::Gru
    }

    fn exact(&self, x: &[f64], h: &[f64], [before, _]: [f64; 2]) -> [f64; 2] {
        let (r, z) = (sigmoid(x[0] + h[0]), sigmoid(x[1] + h[1]));
        let n = libm::tanh(x[2] + r * h[2]);
        [(1.0 - z) * n + z * before, 0.0]
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    cases_of(Gru {})
}
