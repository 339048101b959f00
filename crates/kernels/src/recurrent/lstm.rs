//! Long short-term memory: Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997; with the forget
//! gate of Gers, Schmidhuber and Cummins, "Learning to forget", Neural Computation 12(10), 2000.
//!
//! With σ the logistic function and sums a in the order i f g o:
//!
//! ```text
//! i = σ(a_i)   f = σ(a_f)   g = tanh(a_g)   o = σ(a_o)
//! c' = f·c + i·g            h' = o·tanh(c')
//! ```
//!
//! and back, with dc' = ∂L/∂c' + ∂L/∂h' · o · (1 - tanh²c'):
//!
//! ```text
//! da_i = dc'·g·i(1 - i)   da_f = dc'·c·f(1 - f)   da_g = dc'·i·(1 - g²)   da_o = ∂L/∂h'·tanh(c')·o(1 - o)   ∂L/∂c = dc'·f
//! ```

use super::cell::{Cell, MAX_GATES};
use crate::math::{sigmoid, tanh};
use crate::simd::Simd;

/// The LSTM cell, with gates in the order i f g o and the state h, c.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lstm;

impl Cell for Lstm {
    const GATES: usize = 4;
    const STATES: usize = 2;

    #[inline(always)]
    fn step<S: Simd>(
        self,
        s: S,
        gates: &mut [S::Float; MAX_GATES],
        _: S::Float,
        [_, c]: [S::Float; 2],
    ) -> [S::Float; 2] {
        let [i, f, g, o] = *gates;
        let [i, f, g, o] = [sigmoid(s, i), sigmoid(s, f), tanh(s, g), sigmoid(s, o)];
        *gates = [i, f, g, o];
        let c = s.fma(f, c, s.mul(i, g));
        [s.mul(o, tanh(s, c)), c]
    }

    #[inline(always)]
    fn gradient<S: Simd>(
        self,
        s: S,
        [i, f, g, o]: [S::Float; MAX_GATES],
        _: S::Float,
        [_, c]: [S::Float; 2],
        [dh, dc]: [S::Float; 2],
    ) -> ([S::Float; MAX_GATES], [S::Float; 2]) {
        let one = s.splat(1.0);
        // x·y(1 - y)
        let through_sigmoid = |x: S::Float, y: S::Float| s.mul(x, s.fnma(y, y, y));
        let tanh_c = tanh(s, s.fma(f, c, s.mul(i, g)));
        let dc = s.fma(s.mul(dh, o), s.fnma(tanh_c, tanh_c, one), dc);
        let sums = [
            through_sigmoid(s.mul(dc, g), i),
            through_sigmoid(s.mul(dc, c), f),
            s.mul(s.mul(dc, i), s.fnma(g, g, one)),
            through_sigmoid(s.mul(dh, tanh_c), o),
        ];
        (sums, [s.splat(0.0), s.mul(dc, f)])
    }
}
