//! The simple recurrent cell: Elman, "Finding structure in time", Cognitive Science 14(2), 1990.
//!
//! h' = f(a), and back, da = ∂L/∂h' · f'(a), where f' is told from h'.

use super::cell::{Cell, MAX_GATES};
use crate::simd::Simd;
use crate::unary::{Reads, Unary};

/// The simple cell with the function f, whose derivative looks at its output.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rnn<F>(pub F);

impl<F: Unary> Cell for Rnn<F> {
    const GATES: usize = {
        assert!(matches!(F::READS, Reads::Output), "a derivative that looks at the output");
        1
    };
    const STATES: usize = 1;

    #[inline(always)]
    fn step<S: Simd>(
        self,
        s: S,
        gates: &mut [S::Float; MAX_GATES],
        _: S::Float,
        [_, rest]: [S::Float; 2],
    ) -> [S::Float; 2] {
        gates[0] = self.0.value(s, gates[0]);
        [gates[0], rest]
    }

    #[inline(always)]
    fn gradient<S: Simd>(
        self,
        s: S,
        gates: [S::Float; MAX_GATES],
        _: S::Float,
        _: [S::Float; 2],
        [dh, rest]: [S::Float; 2],
    ) -> ([S::Float; MAX_GATES], [S::Float; 2]) {
        let zero = s.splat(0.0);
        let da = s.mul(dh, self.0.derivative(s, gates[0], gates[0]));
        ([da, zero, zero, zero], [zero, rest])
    }
}
