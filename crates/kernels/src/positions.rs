//! Positions in a sequence as angles, and vectors that are turned by them.

use crate::device::Device;
use crate::math::sin_cos_turns;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Values of a task: some microseconds.
const TASK: usize = 1 << 13;

/// Sines and cosines of the angles at the positions from `first` on, both [positions, pairs]; as many positions as there are
/// rows. A pair is turned by so many turns from each position to the next as `frequency` says. Angles are reduced to a turn in
/// f64, so that far positions are as exact as near ones.
///
/// Panics when the sizes do not fit.
pub fn angles(
    device: &Device,
    pairs: usize,
    frequency: impl Fn(usize) -> f64 + Sync,
    first: usize,
    sines: &mut [f32],
    cosines: &mut [f32],
) {
    assert!(pairs > 0, "pairs of values");
    let (rows, chunk) = (sines.len() / pairs, (TASK / pairs).max(1));
    device.split_rows(rows, chunk, (sines, pairs), [(cosines, pairs)], |row, sines, [cosines]| {
        for pair in 0..pairs {
            let frequency = frequency(pair);
            for (i, sine) in sines.iter_mut().skip(pair).step_by(pairs).enumerate() {
                let turns = (first + row + i) as f64 * frequency;
                *sine = (turns - turns.round()) as f32;
            }
        }
        dispatch(device.isa(), SinesAndCosines { sines, cosines });
    });
}

/// Sines and cosines of fractions of a turn, which are given in the place of the sines.
struct SinesAndCosines<'a> {
    sines: &'a mut [f32],
    cosines: &'a mut [f32],
}

impl Kernel for SinesAndCosines<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (sines, cosines) in self.sines.chunks_mut(LANES).zip(self.cosines.chunks_mut(LANES)) {
            let (sine, cosine) = sin_cos_turns(s, s.load_partial(sines));
            s.store_partial(sine, sines);
            s.store_partial(cosine, cosines);
        }
    }
}

/// What [`turn`] turns: at each step the first `heads` vectors of `size` values; those behind them stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Values of a step.
    pub width: usize,
    /// Vectors of a step that are turned.
    pub heads: usize,
    /// Values of a vector, an even number: value i and value i + size / 2 are a pair.
    pub size: usize,
    /// Turn back.
    pub back: bool,
}

/// Turns the pairs of `x` [sequences, steps, width] by the angles of their steps, whose `sines` and `cosines` are
/// [steps, size / 2]: (a, b) becomes (a cos - b sin, b cos + a sin).
///
/// Panics when the sizes do not fit.
pub fn turn(device: &Device, turn: Turn, sines: &[f32], cosines: &[f32], x: &mut [f32]) {
    let Turn { width, heads, size, .. } = turn;
    assert!(size > 0 && size.is_multiple_of(2) && heads * size <= width, "pairs of values within a step");
    assert!(sines.len() == cosines.len() && sines.len().is_multiple_of(size / 2), "angles of whole steps");
    let steps = sines.len() / (size / 2);
    assert!(x.is_empty() || steps > 0 && x.len().is_multiple_of(steps * width), "whole sequences of {steps} steps");
    device.split_rows(x.len() / width, (TASK / width).max(1), (x, width), [], |row, x, []| {
        for (i, x) in x.chunks_exact_mut(width).enumerate() {
            let at = (row + i) % steps * (size / 2);
            let (sines, cosines) = (&sines[at..][..size / 2], &cosines[at..][..size / 2]);
            dispatch(device.isa(), TurnStep { turn, sines, cosines, x: &mut x[..heads * size] });
        }
    });
}

struct TurnStep<'a> {
    turn: Turn,
    sines: &'a [f32],
    cosines: &'a [f32],
    x: &'a mut [f32],
}

impl Kernel for TurnStep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let TurnStep { turn, sines, cosines, x } = self;
        for vector in x.chunks_exact_mut(turn.size) {
            let (first, second) = vector.split_at_mut(turn.size / 2);
            let pairs = first.chunks_mut(LANES).zip(second.chunks_mut(LANES));
            for ((a, b), (sine, cosine)) in pairs.zip(sines.chunks(LANES).zip(cosines.chunks(LANES))) {
                let (x, y, cosine) = (s.load_partial(a), s.load_partial(b), s.load_partial(cosine));
                let sine = s.load_partial(sine);
                let sine = if turn.back { s.neg(sine) } else { sine };
                s.store_partial(s.fnma(y, sine, s.mul(x, cosine)), a);
                s.store_partial(s.fma(x, sine, s.mul(y, cosine)), b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, devices, on_every_device, values};

    fn frequency(pairs: usize, pair: usize) -> f64 {
        libm::pow(1e4, -(pair as f64) / pairs as f64) / std::f64::consts::TAU
    }

    /// The angles of the positions from `first` on, in f64.
    fn expected(pairs: usize, first: usize, steps: usize) -> Vec<f64> {
        let angle = |i: usize| (first + i / pairs) as f64 * libm::pow(1e4, -((i % pairs) as f64) / pairs as f64);
        (0..steps * pairs).map(angle).collect()
    }

    #[test]
    fn sines_and_cosines_are_exact_far_away_too() {
        for (pairs, first, steps) in [(1, 0, 1), (16, 0, 40), (7, 3, 20), (32, 1_000_000, 3), (64, 5000, 300)] {
            let both = on_every_device(|device| {
                let (mut sines, mut cosines) = (vec![f32::NAN; steps * pairs], vec![f32::NAN; steps * pairs]);
                angles(device, pairs, |pair| frequency(pairs, pair), first, &mut sines, &mut cosines);
                [sines, cosines].concat()
            });
            let angles = expected(pairs, first, steps);
            let sines = angles.iter().map(|&angle| libm::sin(angle));
            let reference: Vec<f64> = sines.chain(angles.iter().map(|&angle| libm::cos(angle))).collect();
            assert_close(&both, &reference, 1e-6, 4e-7);
        }
    }

    #[test]
    fn pairs_are_turned_and_turned_back() {
        for (sequences, steps, heads, size, rest) in
            [(1, 1, 1, 2, 0), (2, 3, 3, 6, 5), (1, 40, 2, 64, 64), (3, 7, 4, 34, 0)]
        {
            let (pairs, width) = (size / 2, heads * size + rest);
            let x = values(1, sequences * steps * width);
            let mut both = [vec![0.0; steps * pairs], vec![0.0; steps * pairs]];
            let [sines, cosines] = &mut both;
            angles(&devices()[0], pairs, |pair| frequency(pairs, pair), 2, sines, cosines);
            let of = |back: bool, x: &[f32]| {
                on_every_device(|device| {
                    let mut y = x.to_vec();
                    turn(device, Turn { width, heads, size, back }, &both[0], &both[1], &mut y);
                    y
                })
            };
            let turned = of(false, &x);
            let angles = expected(pairs, 2, steps);
            let reference: Vec<f64> = (0..x.len())
                .map(|i| {
                    let (step, value) = (i / width % steps, i % width);
                    if value >= heads * size {
                        return f64::from(x[i]);
                    }
                    let (angle, first) = (angles[step * pairs + value % pairs], value % size < pairs);
                    let other = f64::from(if first { -x[i + pairs] } else { x[i - pairs] });
                    f64::from(x[i]) * libm::cos(angle) + other * libm::sin(angle)
                })
                .collect();
            assert_close(&turned, &reference, 1e-6, 1e-6);
            let again: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            assert_close(&of(true, &turned), &again, 1e-6, 1e-6);
        }
    }

    #[test]
    #[should_panic(expected = "whole sequences of 2 steps")]
    fn other_steps_than_those_of_the_angles_are_refused() {
        let of = Turn { width: 2, heads: 1, size: 2, back: false };
        turn(&devices()[0], of, &[0.0; 2], &[1.0; 2], &mut [0.0; 6]);
    }
}
