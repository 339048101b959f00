//! Gated recurrent unit: Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014, arXiv:1406.1078; in
//! the form of PyTorch and cuDNN, whose reset gate works on the product with the state instead of on the state.
//!
//! With σ the logistic function, sums a_r, a_z, the input's part x_n and the recurrent part h_n of the third gate:
//!
//! ```text
//! r = σ(a_r)   z = σ(a_z)   n = tanh(x_n + r·h_n)   h' = (1 - z)·n + z·h
//! ```
//!
//! and back, with d = ∂L/∂h':
//!
//! ```text
//! dx_n = d·(1 - z)·(1 - n²)   dh_n = dx_n·r   da_r = dx_n·h_n·r(1 - r)   da_z = d·(h - n)·z(1 - z)   ∂L/∂h directly = d·z
//! ```

use super::cell::{Cell, MAX_GATES};
use crate::math::{sigmoid, tanh};
use crate::simd::Simd;

/// The GRU cell, with gates in the order r z n.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gru;

impl Cell for Gru {
    const GATES: usize = 3;
    const STATES: usize = 1;
    const APART: usize = 1;

    #[inline(always)]
    fn step<S: Simd>(
        self,
        s: S,
        gates: &mut [S::Float; MAX_GATES],
        apart: S::Float,
        [h, rest]: [S::Float; 2],
    ) -> [S::Float; 2] {
        let [r, z] = [sigmoid(s, gates[0]), sigmoid(s, gates[1])];
        let n = tanh(s, s.fma(r, apart, gates[2]));
        [gates[0], gates[1], gates[2]] = [r, z, n];
        [s.fma(z, s.sub(h, n), n), rest]
    }

    #[inline(always)]
    fn gradient<S: Simd>(
        self,
        s: S,
        [r, z, n, _]: [S::Float; MAX_GATES],
        apart: S::Float,
        [h, _]: [S::Float; 2],
        [dh, rest]: [S::Float; 2],
    ) -> ([S::Float; MAX_GATES], [S::Float; 2]) {
        let one = s.splat(1.0);
        let through_sigmoid = |x: S::Float, y: S::Float| s.mul(x, s.fnma(y, y, y));
        let dn = s.mul(s.mul(dh, s.sub(one, z)), s.fnma(n, n, one));
        let dr = through_sigmoid(s.mul(dn, apart), r);
        let dz = through_sigmoid(s.mul(dh, s.sub(h, n)), z);
        ([dn, dr, dz, s.mul(dn, r)], [s.mul(dh, z), rest])
    }
}
