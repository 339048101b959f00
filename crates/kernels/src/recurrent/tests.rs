//! The passes against plain loops in f64, and the bits over devices, over pieces of a sequence, and of packed weights.

use super::*;
use crate::math::tanh;
use crate::simd::Simd;
use crate::testing::{assert_close, bits, on_every_device, values};
use crate::unary::{Reads, Unary};

#[derive(Clone, Copy)]
struct Tanh;

impl Unary for Tanh {
    const READS: Reads = Reads::Output;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        tanh(s, x)
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, _: S::Float, y: S::Float) -> S::Float {
        s.fnma(y, y, s.splat(1.0))
    }
}

/// One step of a cell in f64: from the input's and the recurrent parts of the sums of a unit, and its state.
type PlainStep = fn(&[f64], &[f64], [f64; 2]) -> [f64; 2];

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

fn lstm(x: &[f64], h: &[f64], [_, c]: [f64; 2]) -> [f64; 2] {
    let a = |gate: usize| x[gate] + h[gate];
    let c = sigmoid(a(1)) * c + sigmoid(a(0)) * libm::tanh(a(2));
    [sigmoid(a(3)) * libm::tanh(c), c]
}

fn gru(x: &[f64], h: &[f64], [before, _]: [f64; 2]) -> [f64; 2] {
    let (r, z) = (sigmoid(x[0] + h[0]), sigmoid(x[1] + h[1]));
    let n = libm::tanh(x[2] + r * h[2]);
    [(1.0 - z) * n + z * before, 0.0]
}

fn simple(x: &[f64], h: &[f64], _: [f64; 2]) -> [f64; 2] {
    [libm::tanh(x[0] + h[0]), 0.0]
}

/// Inputs of a layer.
struct Inputs {
    x: Vec<f32>,
    ih: Vec<f32>,
    hh: Vec<f32>,
    bias_ih: Vec<f32>,
    bias_hh: Vec<f32>,
    lengths: Vec<f32>,
    state: Vec<f32>,
    dy: Vec<f32>,
}

impl Inputs {
    fn new<C: Cell>(of: &Recurrent<C>, with_lengths: bool) -> Inputs {
        let rows = C::GATES * of.hidden;
        let scaled = |seed: u64, len: usize, scale: f32| -> Vec<f32> {
            values(seed, len).into_iter().map(|value| value * scale).collect()
        };
        let scale = (3.0 / of.hidden as f32).sqrt().min(1.0);
        let lengths = (0..of.batch).map(|row| (1 + (row * 7 + 2) % of.time) as f32);
        Inputs {
            x: values(1, of.batch * of.time * of.input),
            ih: values(2, rows * of.input),
            hh: scaled(3, rows * of.hidden, scale),
            bias_ih: values(4, rows),
            bias_hh: values(5, rows),
            lengths: if with_lengths { lengths.collect() } else { Vec::new() },
            state: values(6, of.state()),
            dy: values(7, of.batch * of.time * of.hidden),
        }
    }

    /// Output, state after the last step, and what was saved.
    fn forward<C: Cell>(&self, of: &Recurrent<C>, device: &Device, saves: bool, packs: bool) -> [Vec<f32>; 3] {
        let mut y = vec![f32::NAN; of.batch * of.time * of.hidden];
        let mut state = self.state.clone();
        let mut saved = vec![f32::NAN; if saves { of.saved() } else { 0 }];
        let mut scratch = vec![f32::NAN; of.forward_scratch(saves, packs)];
        let packed = of.pack(device, &self.ih, &self.hh);
        let weights = if packs { Weights::Packed(&packed) } else { Weights::Plain { ih: &self.ih, hh: &self.hh } };
        let pass = Forward {
            x: &self.x,
            weights,
            bias_ih: &self.bias_ih,
            bias_hh: &self.bias_hh,
            lengths: &self.lengths,
            state: &mut state,
            y: &mut y,
            saved: &mut saved,
            scratch: &mut scratch,
        };
        of.forward(device, pass);
        [y, state, saved]
    }

    /// All gradients, one behind the other.
    fn backward<C: Cell>(&self, of: &Recurrent<C>, device: &Device, saved: &[f32]) -> Vec<f32> {
        let mut gradients =
            [&self.x, &self.ih, &self.hh, &self.bias_ih, &self.bias_hh].map(|of| vec![f32::NAN; of.len()]);
        let mut dstate = vec![f32::NAN; of.state()];
        let mut scratch = vec![f32::NAN; of.backward_scratch()];
        let [dx, dih, dhh, dbias_ih, dbias_hh] = gradients.each_mut().map(|gradient| Some(gradient.as_mut_slice()));
        let mut states = dstate.chunks_exact_mut(of.batch * of.hidden);
        let pass = Backward {
            x: &self.x,
            weight_ih: &self.ih,
            weight_hh: &self.hh,
            lengths: &self.lengths,
            saved,
            dy: &self.dy,
            dx,
            dweight_ih: dih,
            dweight_hh: dhh,
            dbias_ih,
            dbias_hh,
            dstate: [states.next(), states.next()],
            scratch: &mut scratch,
        };
        of.backward(device, pass);
        let all: Vec<f32> = gradients.into_iter().flatten().chain(dstate).collect();
        assert!(all.iter().all(|value| value.is_finite()), "every gradient is written");
        all
    }

    /// Output and last state in f64, by plain loops.
    fn reference<C: Cell>(&self, of: &Recurrent<C>, step: PlainStep) -> [Vec<f64>; 2] {
        let Recurrent { batch, time, input, hidden, reverse, .. } = *of;
        let mut y = vec![0.0; batch * time * hidden];
        let mut state: Vec<f64> = self.state.iter().map(|&value| f64::from(value)).collect();
        for row in 0..batch {
            let length = self.lengths.get(row).map_or(time, |&length| length as usize);
            for n in 0..length {
                let t = if reverse { length - 1 - n } else { n };
                let x = &self.x[(row * time + t) * input..][..input];
                let at = |state: usize, unit: usize| (state * batch + row) * hidden + unit;
                let h: Vec<f64> = (0..hidden).map(|unit| state[at(0, unit)]).collect();
                for unit in 0..hidden {
                    let dot = |weight: &[f32], values: &[f64]| -> f64 {
                        weight.iter().zip(values).map(|(&weight, value)| f64::from(weight) * value).sum()
                    };
                    let x: Vec<f64> = x.iter().map(|&value| f64::from(value)).collect();
                    let rows = (0..C::GATES).map(|gate| gate * hidden + unit);
                    let of_x: Vec<f64> = rows
                        .clone()
                        .map(|row| dot(&self.ih[row * input..][..input], &x) + f64::from(self.bias_ih[row]))
                        .collect();
                    let of_h: Vec<f64> = rows
                        .map(|row| dot(&self.hh[row * hidden..][..hidden], &h) + f64::from(self.bias_hh[row]))
                        .collect();
                    let c = if C::STATES > 1 { state[at(1, unit)] } else { 0.0 };
                    let after = step(&of_x, &of_h, [h[unit], c]);
                    for (i, after) in after.into_iter().take(C::STATES).enumerate() {
                        state[at(i, unit)] = after;
                    }
                    y[(row * time + t) * hidden + unit] = after[0];
                }
            }
        }
        [y, state]
    }
}

/// Sizes around the vectors and the rows of a task, and with shared units: [batch, time, input, hidden].
const SIZES: [[usize; 4]; 7] =
    [[1, 1, 1, 1], [2, 3, 5, 7], [1, 4, 2, 16], [17, 3, 3, 33], [33, 2, 20, 32], [5, 3, 4, 350], [12, 2, 9, 256]];

fn check<C: Cell>(cell: C, step: PlainStep) {
    for [batch, time, input, hidden] in SIZES {
        for (reverse, with_lengths) in [(false, false), (true, false), (false, true), (true, true)] {
            let of = Recurrent { cell, batch, time, input, hidden, reverse };
            let inputs = Inputs::new(&of, with_lengths);
            let all = on_every_device(|device| {
                let [y, state, saved] = inputs.forward(&of, device, true, false);
                let gradients = inputs.backward(&of, device, &saved);
                [y, state, gradients].concat()
            });
            let (y, rest) = all.split_at(batch * time * hidden);
            let state = &rest[..of.state()];
            let [expected_y, expected_state] = inputs.reference(&of, step);
            assert_close(y, &expected_y, 1e-5, 2e-5);
            assert_close(state, &expected_state, 1e-5, 2e-5);
            let device = Device::new(crate::simd::Isa::best(), 2);
            for packs in [false, true] {
                let [other_y, other_state, _] = inputs.forward(&of, &device, false, packs);
                assert_eq!((bits(&other_y), bits(&other_state)), (bits(y), bits(state)), "packed: {packs}");
            }
        }
    }
}

#[test]
fn an_lstm_is_that_of_plain_loops_on_every_device() {
    check(Lstm, lstm);
}

#[test]
fn a_gru_is_that_of_plain_loops_on_every_device() {
    check(Gru, gru);
}

#[test]
fn a_simple_network_is_that_of_plain_loops_on_every_device() {
    check(Rnn(Tanh), simple);
}

/// The gradients are those of Σ y · dy + the state's, by differences of the f64 loops.
fn check_gradients<C: Cell>(cell: C, step: PlainStep) {
    for (reverse, with_lengths) in [(false, false), (true, true)] {
        let of = Recurrent { cell, batch: 3, time: 4, input: 2, hidden: 5, reverse };
        let mut inputs = Inputs::new(&of, with_lengths);
        let device = Device::new(crate::simd::Isa::best(), 2);
        let [_, _, saved] = inputs.forward(&of, &device, true, false);
        let gradients = inputs.backward(&of, &device, &saved);
        let mut expected = Vec::new();
        for input in 0..6 {
            let len = inputs.part(input).len();
            for place in 0..len {
                let mut loss = |change: f32| {
                    let value = inputs.part(input)[place];
                    inputs.part(input)[place] = value + change;
                    let taken = f64::from(inputs.part(input)[place]);
                    let [y, _] = inputs.reference(&of, step);
                    inputs.part(input)[place] = value;
                    (taken, y.iter().zip(&inputs.dy).map(|(y, &dy)| y * f64::from(dy)).sum::<f64>())
                };
                let ((low, below), (high, above)) = (loss(-1e-3), loss(1e-3));
                expected.push((above - below) / (high - low));
            }
        }
        assert_close(&gradients, &expected, 1e-4, 1e-5);
    }
}

impl Inputs {
    /// In the order of [`Inputs::backward`].
    fn part(&mut self, input: usize) -> &mut Vec<f32> {
        [&mut self.x, &mut self.ih, &mut self.hh, &mut self.bias_ih, &mut self.bias_hh, &mut self.state]
            .into_iter()
            .nth(input)
            .expect("one of six")
    }
}

#[test]
fn gradients_are_those_of_differences() {
    check_gradients(Lstm, lstm);
    check_gradients(Gru, gru);
    check_gradients(Rnn(Tanh), simple);
}

#[test]
fn a_sequence_in_pieces_that_hand_on_their_state_has_the_same_bits() {
    fn check<C: Cell>(cell: C) {
        let [batch, time, input, hidden] = [3, 7, 4, 21];
        let of = Recurrent { cell, batch, time, input, hidden, reverse: false };
        let mut inputs = Inputs::new(&of, false);
        let device = Device::new(crate::simd::Isa::best(), 2);
        let [whole, last, _] = inputs.forward(&of, &device, true, false);
        let x = inputs.x.clone();
        let steps = |values: &[f32], width: usize, range: Range<usize>| -> Vec<f32> {
            let rows = values.chunks_exact(time * width);
            rows.flat_map(|row| &row[range.start * width..range.end * width]).copied().collect()
        };
        for range in [0..1, 1..4, 4..7] {
            inputs.x = steps(&x, input, range.clone());
            let [y, state, _] = inputs.forward(&Recurrent { time: range.len(), ..of }, &device, false, true);
            assert_eq!(bits(&y), bits(&steps(&whole, hidden, range)));
            inputs.state = state;
        }
        assert_eq!(bits(&inputs.state), bits(&last));
    }
    check(Lstm);
    check(Gru);
    check(Rnn(Tanh));
}
