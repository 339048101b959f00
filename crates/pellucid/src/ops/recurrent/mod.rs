//! Recurrent networks: a cell that goes through the steps of a sequence and keeps a state; the steps of one layer in one
//! direction are one op.
//!
//! Shapes, with G gates of H units: x [batch, time, in], W_ih [G·H, in], W_hh [G·H, H]; unless there is no bias, b_ih and b_hh
//! [G·H]; then the lengths [batch] of the sequences, if they differ; then the state before the first step, if it is given: h
//! [batch, H], and for an LSTM c [batch, H]. → y [batch, time, H], the state h after every step.
//!
//! A step computes h', c' from the sums a = W_ih·x + b_ih + W_hh·h + b_hh by the formula of its cell (`lstm`, `gru`, `rnn`).
//! Gradients, with da_t that of the sums at step t, as the formula of the cell gives it from ∂L/∂h_t:
//!
//! * ∂L/∂h_t = dy_t + da_{t+1}·W_hh (+ what the cell hands on directly)
//! * ∂L/∂x_t = da_t·W_ih, ∂L/∂W_ih = Σ_t da_tᵀ·x_t, ∂L/∂W_hh = Σ_t da_tᵀ·h_{t-1}, ∂L/∂b = Σ_t da_t
//!
//! (backpropagation through time: Werbos, Proceedings of the IEEE 78(10), 1990). Steps from a row's length on are padding: the
//! state stays as it is there, y is 0. A layer in the other direction begins at the last step.
//!
//! Where windows of a long sequence follow each other ([`Run::past`]), the op begins with the state after the window before;
//! no gradient flows there (truncated backpropagation). A layer in the other direction begins each window anew.

mod gru;
mod lstm;
mod rnn;

use std::fmt::Debug;

use kernels::device::Device;
use kernels::gemm::PackedMatrix;
use kernels::recurrent::{self as kernel, Cell, Weights};
use serde::{Deserialize, Serialize};

pub use gru::Gru;
pub(super) use gru::cases as gru_cases;
pub use lstm::Lstm;
pub(super) use lstm::cases as lstm_cases;
pub(super) use rnn::cases as rnn_cases;
pub use rnn::{Nonlinearity, Rnn};

use super::check::{Bound, Case, Input, Values};
use super::{Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape, Tensor};

/// A cell with a name; a [`Recurrent`] of one is an [`Op`].
pub trait RecurrentCell: Debug + Copy + Default + Send + Sync + Serialize + 'static {
    /// The ONNX name.
    const NAME: &'static str;

    /// Floating-point operations of a unit and step behind its sums, about.
    const FLOPS: u64;

    /// The formula.
    type Formula: Cell;

    /// The formula with its settings.
    fn formula(&self) -> Self::Formula;

    /// A step of a unit in f64, by plain code: the state after it, from the input's and the recurrent parts of its sums and the
    /// state before.
    fn exact(&self, x: &[f64], h: &[f64], state: [f64; 2]) -> [f64; 2];
}

/// All steps of one layer in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: RecurrentCell + Deserialize<'de>"), deny_unknown_fields)]
pub struct Recurrent<K> {
    /// The cell and its settings.
    #[serde(flatten)]
    pub cell: K,
    /// There are inputs b_ih and b_hh; true by default.
    pub bias: bool,
    /// From the last step to the first; false by default.
    pub reverse: bool,
    /// There is an input of lengths; false by default.
    pub lengths: bool,
    /// There are inputs of the state before the first step; false by default.
    pub initial_state: bool,
}

impl<K: RecurrentCell> Default for Recurrent<K> {
    fn default() -> Recurrent<K> {
        Recurrent { cell: K::default(), bias: true, reverse: false, lengths: false, initial_state: false }
    }
}

/// Input numbers.
const X: usize = 0;
const WEIGHT_IH: usize = 1;
const WEIGHT_HH: usize = 2;
const BIAS_IH: usize = 3;
const BIAS_HH: usize = 4;

impl<K: RecurrentCell> Recurrent<K> {
    const STATES: usize = K::Formula::STATES;

    /// The number of the input of lengths, if there is one.
    fn lengths_input(&self) -> Option<usize> {
        self.lengths.then_some(if self.bias { 5 } else { 3 })
    }

    /// The number of the first input of the state, if there is one.
    fn state_input(&self) -> Option<usize> {
        self.initial_state.then_some(3 + 2 * usize::from(self.bias) + usize::from(self.lengths))
    }

    fn input_count(&self) -> usize {
        let states = if self.initial_state { Self::STATES } else { 0 };
        3 + 2 * usize::from(self.bias) + usize::from(self.lengths) + states
    }

    fn layer(&self, x: &[usize], y: &[usize]) -> kernel::Recurrent<K::Formula> {
        let (cell, reverse) = (self.cell.formula(), self.reverse);
        kernel::Recurrent { cell, batch: x[0], time: x[1], input: x[2], hidden: y[2], reverse }
    }

    fn lengths_of<'a>(&self, inputs: &[Tensor<'a>]) -> &'a [f32] {
        self.lengths_input().map_or(&[], |index| inputs[index].data)
    }
}

impl<K: RecurrentCell> Op for Recurrent<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        const COUNTS: [&str; 9] = ["0", "1", "2", "3", "4", "5", "6", "7", "8"];
        if inputs.len() != self.input_count() {
            return Err(ShapeError::InputCount { expected: COUNTS[self.input_count()], found: inputs.len() });
        }
        let x = &inputs[X];
        let &[Dim::Batch, Dim::Fixed(time), Dim::Fixed(input)] = x.axes() else {
            return Err(ShapeError::size("shape of the input", "[batch, time, features]", x));
        };
        if time == 0 || input == 0 {
            return Err(ShapeError::size("shape of the input", "a step and a feature at least", x));
        }
        let &[Dim::Fixed(rows), Dim::Fixed(hidden)] = inputs[WEIGHT_HH].axes() else {
            return Err(ShapeError::size("shape of W_hh", "[gates · units, units]", &inputs[WEIGHT_HH]));
        };
        if hidden == 0 || rows != K::Formula::GATES * hidden {
            let expected = format!("[{0} · units, units]", K::Formula::GATES);
            return Err(ShapeError::size("shape of W_hh", expected, &inputs[WEIGHT_HH]));
        }
        let expect = |index: usize, what: &'static str, expected: Shape| {
            let fits = inputs[index] == expected;
            if fits { Ok(()) } else { Err(ShapeError::size(what, expected, &inputs[index])) }
        };
        expect(WEIGHT_IH, "shape of W_ih", Shape::new([Dim::Fixed(rows), Dim::Fixed(input)])?)?;
        if self.bias {
            expect(BIAS_IH, "shape of b_ih", Shape::fixed(&[rows]))?;
            expect(BIAS_HH, "shape of b_hh", Shape::fixed(&[rows]))?;
        }
        if let Some(index) = self.lengths_input() {
            expect(index, "shape of the lengths", Shape::batched(&[]))?;
        }
        if let Some(index) = self.state_input() {
            for state in 0..Self::STATES {
                expect(index + state, "shape of the first state", Shape::batched(&[hidden]))?;
            }
        }
        Ok(Shape::new([Dim::Batch, Dim::Fixed(time), Dim::Fixed(hidden)])?)
    }

    fn reads(&self) -> Reads {
        match self.lengths_input() {
            Some(index) => Reads::inputs(&[X, WEIGHT_IH, WEIGHT_HH, index]),
            None => Reads::inputs(&[X, WEIGHT_IH, WEIGHT_HH]),
        }
    }

    fn differentiable(&self, index: usize) -> bool {
        self.lengths_input() != Some(index)
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        let layer = self.layer(at.inputs[X], at.output);
        Memory {
            saved: if training { layer.saved() } else { 0 },
            forward: layer.state() + layer.forward_scratch(training, false),
            backward: if training { layer.backward_scratch() } else { 0 },
            carried: if self.reverse { 0 } else { layer.state() },
        }
    }

    fn ignores_padding(&self, _: usize) -> bool {
        self.lengths || !self.reverse
    }

    fn flops(&self, at: Sizes) -> u64 {
        let [x, y] = [at.inputs[X], at.output];
        let sums = 2 * K::Formula::GATES as u64 * (x[2] + y[2]) as u64;
        at.output_elements() as u64 * (sums + K::FLOPS)
    }

    fn pack(&self, device: &Device, inputs: &[Tensor]) -> Option<PackedMatrix> {
        let [ih, hh] = [inputs[WEIGHT_IH], inputs[WEIGHT_HH]];
        let layer = self.layer(&[1, 1, ih.dims[1]], &[1, 1, hh.dims[1]]);
        (!ih.data.is_empty() && !hh.data.is_empty()).then(|| layer.pack(device, ih.data, hh.data))
    }

    fn reverses_time(&self) -> bool {
        self.reverse
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(reference(self, at))
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let layer = self.layer(pass.inputs[X].dims, pass.dims);
        let data = |index: usize| pass.inputs[index].data;
        let (own, scratch) = pass.scratch.split_at_mut(layer.state());
        let goes_on = run.past > 0 && !self.reverse && !pass.carried.is_empty();
        let state = if pass.carried.is_empty() { own } else { pass.carried };
        if !goes_on {
            match self.state_input() {
                Some(first) => {
                    for (state, index) in state.chunks_exact_mut(layer.batch * layer.hidden).zip(first..) {
                        state.copy_from_slice(data(index));
                    }
                }
                None => state.fill(0.0),
            }
        }
        let weights = match pass.packed {
            Some(packed) => Weights::Packed(packed),
            None => Weights::Plain { ih: data(WEIGHT_IH), hh: data(WEIGHT_HH) },
        };
        let [bias_ih, bias_hh] = if self.bias { [data(BIAS_IH), data(BIAS_HH)] } else { [&[][..]; 2] };
        let (lengths, y) = (self.lengths_of(pass.inputs), pass.output);
        let (x, saved) = (data(X), pass.saved);
        layer.forward(run.device, kernel::Forward { x, weights, bias_ih, bias_hh, lengths, state, y, saved, scratch });
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let layer = self.layer(pass.inputs[X].dims, pass.output.dims);
        let data = |index: usize| pass.inputs[index].data;
        let dx = pass.dx;
        let mut wanted = |index: usize| dx.get_mut(index).and_then(Option::take);
        let mut state = |state: usize| {
            let index = self.state_input().filter(|_| state < Self::STATES)?;
            let target = wanted(index + state)?;
            if run.past == 0 || self.reverse {
                return Some(target);
            }
            // The window began with what the one before left.
            target.fill(0.0);
            None
        };
        let dstate = [state(0), state(1)];
        let [dbias_ih, dbias_hh] = if self.bias { [wanted(BIAS_IH), wanted(BIAS_HH)] } else { [None, None] };
        let (x, weight_ih, weight_hh, lengths) =
            (data(X), data(WEIGHT_IH), data(WEIGHT_HH), self.lengths_of(pass.inputs));
        let (dx, dweight_ih, dweight_hh) = (wanted(X), wanted(WEIGHT_IH), wanted(WEIGHT_HH));
        let (saved, dy, scratch) = (pass.saved, pass.dy, pass.scratch);
        layer.backward(
            run.device,
            kernel::Backward {
                x,
                weight_ih,
                weight_hh,
                lengths,
                saved,
                dy,
                dx,
                dweight_ih,
                dweight_hh,
                dbias_ih,
                dbias_hh,
                dstate,
                scratch,
            },
        );
    }
}

/// The cases of a cell.
fn cases_of<K: RecurrentCell>(cell: K) -> Vec<Case> {
    let plain = Recurrent { cell, ..Recurrent::default() };
    let of = |name: &str, op: Recurrent<K>, [time, input, hidden]: [usize; 3]| {
        let rows = K::Formula::GATES * hidden;
        let spread = |shape: Shape, spread: f32| Input::new(shape, Values::Normal(spread));
        let weight = |columns: usize| spread(Shape::fixed(&[rows, columns]), 0.7 / (columns as f32).sqrt());
        let mut inputs = vec![Input::batched(&[time, input]), weight(input), weight(hidden)];
        if op.bias {
            inputs.extend([spread(Shape::fixed(&[rows]), 0.3), spread(Shape::fixed(&[rows]), 0.3)]);
        }
        if op.lengths {
            let lengths = (1..=time).map(|length| length as f32).collect();
            inputs.push(Input::new(Shape::batched(&[]), Values::Choice(lengths)));
        }
        if op.initial_state {
            inputs.extend((0..K::Formula::STATES).map(|_| spread(Shape::batched(&[hidden]), 0.5)));
        }
        let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape.clone()).collect();
        let with = |index: usize, shape: Shape| {
            let mut shapes = shapes.clone();
            shapes[index] = shape;
            shapes
        };
        // A sum of in + H + 2 terms of size 1 is off by half a unit for each, and hands it on.
        let terms = (input + hidden) as f64;
        let value = Bound::relative(4.0, "the functions' own").and_absolute(2.0 * terms.sqrt() + 4.0);
        let gradient = Bound::relative(8.0, "as the value").and_absolute(8.0 * terms + 8.0 * time as f64);
        Case::new(op, inputs.clone())
            .named(name)
            .batches([1, 2, 5])
            .within(value, gradient)
            .refuses(shapes[..2].to_vec(), "inputs, got 2")
            .refuses(with(0, Shape::batched(&[input])), "expected [batch, time, features]")
            .refuses(with(0, Shape::batched(&[0, input])), "a step and a feature at least")
            .refuses(with(1, Shape::fixed(&[rows, input + 1])), "shape of W_ih")
            .refuses(with(2, Shape::fixed(&[rows + 1, hidden])), "shape of W_hh")
    };
    vec![
        of("one of everything", plain, [1, 1, 1]),
        of("odd sizes", plain, [5, 3, 7]),
        of("reverse", Recurrent { reverse: true, ..plain }, [4, 2, 17]),
        of("without bias", Recurrent { bias: false, ..plain }, [3, 2, 5]),
        of("padded", Recurrent { lengths: true, ..plain }, [5, 2, 4]),
        of("padded, reverse", Recurrent { lengths: true, reverse: true, ..plain }, [5, 2, 4]),
        of("from a state", Recurrent { initial_state: true, ..plain }, [4, 3, 6]),
        of(
            "everything, without bias",
            Recurrent { bias: false, lengths: true, reverse: true, initial_state: true, ..plain },
            [4, 3, 16],
        ),
        of("several tasks", plain, [3, 4, 33]).batches([1, 35]),
    ]
}

/// The output in f64, by plain loops.
fn reference<K: RecurrentCell>(op: &Recurrent<K>, at: &Sample) -> Vec<f64> {
    let [batch, time, hidden] = [at.output_dims[0], at.output_dims[1], at.output_dims[2]];
    let input = at.dims[X][2];
    let sums = |weight: usize, bias: usize, values: &[f64]| -> Vec<f64> {
        let rows = at.inputs[weight].chunks_exact(values.len()).enumerate();
        let bias = |row: usize| if op.bias { at.inputs[bias][row] } else { 0.0 };
        rows.map(|(row, weight)| weight.iter().zip(values).map(|(w, x)| w * x).sum::<f64>() + bias(row)).collect()
    };
    let mut y = vec![0.0; batch * time * hidden];
    for row in 0..batch {
        let length = op.lengths_input().map_or(time, |index| at.inputs[index][row] as usize);
        let first = |state: usize, unit: usize| match op.state_input() {
            Some(index) if state < K::Formula::STATES => at.inputs[index + state][row * hidden + unit],
            _ => 0.0,
        };
        let mut states: Vec<[f64; 2]> = (0..hidden).map(|unit| [first(0, unit), first(1, unit)]).collect();
        for n in 0..length {
            let t = if op.reverse { length - 1 - n } else { n };
            let x = sums(WEIGHT_IH, BIAS_IH, &at.inputs[X][(row * time + t) * input..][..input]);
            let h: Vec<f64> = states.iter().map(|state| state[0]).collect();
            let h = sums(WEIGHT_HH, BIAS_HH, &h);
            for (unit, state) in states.iter_mut().enumerate() {
                let gates = |sums: &[f64]| -> Vec<f64> { sums.iter().skip(unit).step_by(hidden).copied().collect() };
                *state = op.cell.exact(&gates(&x), &gates(&h), *state);
                y[(row * time + t) * hidden + unit] = state[0];
            }
        }
    }
    y
}

/// 1 / (1 + exp(-x))
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}
