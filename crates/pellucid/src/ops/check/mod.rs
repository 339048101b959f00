//! The checks that every op must pass, also one of your own.
//!
//! [`check_op`] runs a [`Case`] in every way in which a graph may run the op: each instruction set of the machine on
//! one, two and three threads, in place or not, fused or not, with everything given or only what [`super::Op::reads`] asks for;
//! and compares values with a reference in f64, gradients with differences of that reference.

mod case;
mod trial;

use std::fmt;

use kernels::device::Device;
use kernels::random::Stream;
use kernels::simd::Isa;

pub use case::{Bound, Case, Input, Values};
use trial::{BackwardMode, ForwardMode, LeftOut, Output, Trial, shape_rule};

use super::compare::{compare, compare_bits};
use super::{MAX_INPUTS, OpEntry, Tanh};
use crate::tensor::{Dim, MAX_RANK, Shape};

/// Distance of the points between which differences are taken, in f64: the five-point formula is off by about STEP⁴,
/// rounding by about 10⁻¹⁶ / STEP.
pub const STEP: f64 = 2e-4;

/// Places of an input where its gradient is compared; all, if there are no more. (Every difference costs four runs of
/// the reference.)
const PLACES: usize = 24;

/// Places of an input that become NaN, one after the other.
const NAN_PLACES: usize = 5;

/// What was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The shape rule accepts the case, and refuses what it should, without a panic.
    Shape,
    /// The output is that of the reference.
    Value,
    /// The gradients are those of the reference.
    Gradient,
    /// A gradient alone is the same as with the others.
    SingleGradient,
    /// Nothing is read that [`super::Op::reads`] leaves out.
    Reads,
    /// In place gives the same bits.
    InPlace,
    /// [`super::Op::function`], an epilogue, a packed input give the same bits.
    Fusion,
    /// Every instruction set and number of threads gives the same bits.
    Devices,
    /// A view holds the same values.
    View,
    /// Inference gives what training gives.
    Inference,
    /// A NaN reaches every output that depends on it.
    NotANumber,
    /// Attributes can be written and read.
    Attributes,
}

/// A check that did not pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Name of op and case.
    pub case: String,
    /// The check.
    pub check: Check,
    /// Number of rows.
    pub batch: usize,
    /// What was found.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} rows, {:?}: {}", self.case, self.batch, self.check, self.detail)
    }
}

/// Runs all checks on one case.
pub fn check_op(case: &Case) -> Result<(), Vec<Failure>> {
    let mut checker = Checker { case, devices: devices(), failures: Vec::new(), batch: 0 };
    checker.refusals();
    checker.attributes();
    for &batch in &case.batches {
        checker.batch = batch;
        match Trial::new(case, batch) {
            Ok(trial) => checker.trial(&trial),
            Err(error) => checker.fail(Check::Shape, error),
        }
    }
    if checker.failures.is_empty() { Ok(()) } else { Err(checker.failures) }
}

/// Runs all checks on all cases of an entry of the op table; and that attributes give the op back, and no others are
/// taken.
pub fn check_entry(entry: &OpEntry) -> Result<(), Vec<Failure>> {
    let cases = (entry.cases)();
    let mut failures = Vec::new();
    let fail =
        |case: &str, detail: String| Failure { case: case.to_string(), check: Check::Attributes, batch: 0, detail };
    if cases.is_empty() {
        failures.push(fail(entry.name, "there is no case".to_string()));
    }
    for case in &cases {
        failures.extend(check_op(case).err().unwrap_or_default());
        let attributes = case.op.attributes();
        if case.op.name() != entry.name {
            failures.push(fail(&case.title(), format!("the entry is called '{}'", entry.name)));
        }
        match (entry.from_attributes)(&attributes) {
            Ok(op) if op.name() == entry.name && op.attributes() == attributes => {}
            Ok(op) => failures.push(fail(&case.title(), format!("{attributes:?} read as {op:?}"))),
            Err(error) => failures.push(fail(&case.title(), error.to_string())),
        }
        let mut unknown = attributes;
        unknown.insert("no such attribute".to_string(), 1.into());
        if let Ok(op) = (entry.from_attributes)(&unknown) {
            failures.push(fail(&case.title(), format!("an unknown attribute was taken, and gave {op:?}")));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// The portable code on one thread first.
fn devices() -> Vec<Device> {
    let mut isas: Vec<Isa> = vec![Isa::scalar()];
    isas.extend(Isa::available().filter(|isa| isa.name() != Isa::scalar().name()));
    isas.into_iter().flat_map(|isa| [1, 2, 3].map(|threads| Device::new(isa, threads))).collect()
}

struct Checker<'a> {
    case: &'a Case,
    devices: Vec<Device>,
    failures: Vec<Failure>,
    batch: usize,
}

type Gradients = Vec<Option<Vec<f32>>>;

impl Checker<'_> {
    fn fail(&mut self, check: Check, detail: impl ToString) {
        let (case, batch, detail) = (self.case.title(), self.batch, detail.to_string());
        self.failures.push(Failure { case, check, batch, detail });
    }

    fn expect(&mut self, check: Check, what: &str, result: Result<(), impl ToString>) {
        if let Err(detail) = result {
            self.fail(check, format!("{what}: {}", detail.to_string()));
        }
    }

    /// Shapes that do not fit are refused with words; nothing panics.
    fn refusals(&mut self) {
        let shapes: Vec<Shape> = self.case.inputs.iter().map(|input| input.shape.clone()).collect();
        for (shapes, text) in &self.case.refused {
            match shape_rule(self.case, shapes) {
                Ok(Err(error)) if error.contains(text) => {}
                Ok(Err(error)) => self.fail(Check::Shape, format!("{shapes:?}: '{error}' does not hold '{text}'")),
                Ok(Ok(())) => self.fail(Check::Shape, format!("{shapes:?} was not refused")),
                Err(panic) => self.fail(Check::Shape, format!("{shapes:?}: {panic}")),
            }
        }
        match shape_rule(self.case, &[]) {
            Ok(Err(_)) => {}
            Ok(Ok(())) => self.fail(Check::Shape, "no input at all was not refused"),
            Err(panic) => self.fail(Check::Shape, format!("no input: {panic}")),
        }
        for wrong in wrong_shapes(&shapes) {
            match shape_rule(self.case, &wrong) {
                Ok(Err(error)) if error.is_empty() => {
                    self.fail(Check::Shape, format!("{wrong:?} refused without a word"))
                }
                Ok(_) => {}
                Err(panic) => self.fail(Check::Shape, format!("{wrong:?}: {panic}")),
            }
        }
    }

    fn attributes(&mut self) {
        let attributes = self.case.op.attributes();
        let text = serde_json::to_string(&attributes).unwrap_or_default();
        if serde_json::from_str(&text).ok().as_ref() != Some(&attributes) {
            self.fail(Check::Attributes, format!("{text} is not read back as it was written"));
        }
    }

    fn trial(&mut self, trial: &Trial) {
        let plain = match trial.forward(&self.devices[0], ForwardMode::default(), &trial.inputs) {
            Ok(output) => output,
            Err(panic) => return self.fail(Check::Value, panic),
        };
        let all = BackwardMode { in_place: false, left_out: LeftOut::Given, only: None };
        let gradients = match trial.backward(&self.devices[0], all, &plain) {
            Ok(gradients) => gradients,
            Err(panic) => return self.fail(Check::Gradient, panic),
        };
        let wide = Wide::new(trial);
        self.value(trial, &plain, &wide);
        self.gradient(trial, &gradients, &wide);
        self.single_gradients(trial, &plain, &gradients);
        self.reads(trial, &plain, &gradients);
        self.in_place(trial, &plain, &gradients);
        self.fusion(trial, &plain);
        self.other_devices(trial, &plain, &gradients);
        self.views(trial, &plain, &gradients);
        self.inference(trial, &plain);
        self.not_a_number(trial, &wide);
    }

    fn value(&mut self, trial: &Trial, plain: &Output, wide: &Wide) {
        let expected = trial.reference(&wide.inputs);
        let magnitudes =
            if self.case.value.magnitude > 0.0 { trial.reference(&wide.magnitudes) } else { vec![0.0; expected.len()] };
        let bound = |i: usize| self.case.value.at(expected[i], 1.0, magnitudes[i]);
        let result = compare(&trial.output_dims, &plain.y, &expected, bound);
        self.expect(Check::Value, self.case.value.reason, result);
    }

    fn gradient(&mut self, trial: &Trial, gradients: &Gradients, wide: &Wide) {
        let scale = wide.dy.iter().fold(0.0f64, |most, dy| most.max(dy.abs()));
        let steep: Vec<f64> = wide.dy.iter().map(|dy| dy.abs()).collect();
        for (input, gradient) in gradients.iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            let places = places(gradient.len(), PLACES);
            let got: Vec<f32> = places.iter().map(|&place| gradient[place]).collect();
            let of = |inputs: &[Vec<f64>], dy: &[f64]| -> Vec<f64> {
                places.iter().map(|&place| difference(trial, inputs, dy, input, place)).collect()
            };
            let expected = of(&wide.inputs, &wide.dy);
            let magnitudes = if self.case.gradient.magnitude > 0.0 {
                of(&wide.magnitudes, &steep)
            } else {
                vec![0.0; expected.len()]
            };
            // Differences of functions of size 1 know nothing below this.
            let noise = DIFFERENCE_NOISE * scale;
            let bound = |i: usize| self.case.gradient.at(expected[i], scale, magnitudes[i].abs()) + noise;
            let result = compare(&[places.len()], &got, &expected, bound);
            let what = format!(
                "input {input} {:?} at the places {places:?} ({})",
                trial.dims[input], self.case.gradient.reason
            );
            self.expect(Check::Gradient, &what, result);
            // The other places are at least finite, as the reference is.
            let missing = gradient.iter().filter(|value| !value.is_finite()).count();
            if missing > 0 {
                self.fail(Check::Gradient, format!("input {input}: {missing} values are not finite"));
            }
        }
    }

    fn compare_gradients(
        &mut self,
        check: Check,
        what: &str,
        trial: &Trial,
        got: Result<Gradients, String>,
        expected: &Gradients,
    ) {
        match got {
            Err(panic) => self.fail(check, format!("{what}: {panic}")),
            Ok(got) => {
                for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
                    if let (Some(got), Some(expected)) = (got, expected) {
                        let result = compare_bits(&trial.dims[i], got, expected);
                        self.expect(check, &format!("{what}, gradient of input {i}"), result);
                    }
                }
            }
        }
    }

    fn compare_output(
        &mut self,
        check: Check,
        what: &str,
        trial: &Trial,
        got: Result<Output, String>,
        expected: &[f32],
    ) {
        let result = match got {
            Ok(got) => compare_bits(&trial.output_dims, &got.y, expected).map_err(|mismatch| mismatch.to_string()),
            Err(panic) => Err(panic),
        };
        self.expect(check, what, result);
    }

    fn single_gradients(&mut self, trial: &Trial, plain: &Output, gradients: &Gradients) {
        if gradients.iter().flatten().count() < 2 {
            return;
        }
        for input in (0..gradients.len()).filter(|&input| gradients[input].is_some()) {
            for in_place in [false, true] {
                let in_place = in_place && self.overwrites(trial);
                let mode = BackwardMode { in_place, left_out: LeftOut::Empty, only: Some(input) };
                let got = trial.backward(&self.devices[0], mode, plain);
                self.compare_gradients(Check::SingleGradient, "alone", trial, got, gradients);
            }
        }
    }

    fn reads(&mut self, trial: &Trial, plain: &Output, gradients: &Gradients) {
        for (left_out, what) in [(LeftOut::Empty, "left out"), (LeftOut::Poisoned, "with NaN for what is left out")] {
            let mode = BackwardMode { in_place: false, left_out, only: None };
            let got = trial.backward(&self.devices[0], mode, plain);
            self.compare_gradients(Check::Reads, what, trial, got, gradients);
        }
    }

    fn overwrites(&self, trial: &Trial) -> bool {
        self.case.op.in_place() && trial.inputs[0].len() == trial.dy.len()
    }

    fn in_place(&mut self, trial: &Trial, plain: &Output, gradients: &Gradients) {
        if !self.overwrites(trial) {
            return;
        }
        let mode = ForwardMode { in_place: true, ..ForwardMode::default() };
        let got = trial.forward(&self.devices[0], mode, &trial.inputs);
        // A view is not asked: it shares the memory.
        self.compare_output(Check::InPlace, "forward", trial, got, &plain.y);
        let mode = BackwardMode { in_place: true, left_out: LeftOut::Empty, only: None };
        let got = trial.backward(&self.devices[0], mode, plain);
        self.compare_gradients(Check::InPlace, "backward", trial, got, gradients);
    }

    fn fusion(&mut self, trial: &Trial, plain: &Output) {
        let op = &self.case.op;
        if let Some(function) = op.function() {
            if !op.in_place() {
                self.fail(Check::Fusion, "an op with a function can be computed in place");
            }
            for isa in Isa::available() {
                let mut y = trial.inputs[0].clone();
                let (left, right) = y.split_at_mut(trial.inputs[0].len() / 3);
                function.apply(isa, left);
                function.apply(isa, right);
                let result = compare_bits(&trial.output_dims, &y, &plain.y);
                self.expect(Check::Fusion, &format!("as a function on {}", isa.name()), result);
            }
        }
        if op.takes_epilogue() {
            let mut expected = plain.y.clone();
            kernels::epilogue::InPlace::apply(&Tanh, Isa::scalar(), &mut expected);
            for in_place in [false, self.overwrites(trial)] {
                for device in 0..self.devices.len() {
                    let mode = ForwardMode { in_place, epilogue: Some(&Tanh), ..ForwardMode::default() };
                    let got = trial.forward(&self.devices[device], mode, &trial.inputs);
                    let what = format!("with an epilogue on {:?}", self.devices[device]);
                    self.compare_output(Check::Fusion, &what, trial, got, &expected);
                }
            }
        }
        for device in 0..self.devices.len() {
            let mode = ForwardMode { packed: true, inference: true, ..ForwardMode::default() };
            if self.case.same_at_inference {
                let got = trial.forward(&self.devices[device], mode, &trial.inputs);
                let what = format!("packed on {:?}", self.devices[device]);
                self.compare_output(Check::Fusion, &what, trial, got, &plain.y);
            }
        }
    }

    fn other_devices(&mut self, trial: &Trial, plain: &Output, gradients: &Gradients) {
        for device in 1..self.devices.len() {
            let what = format!("{:?}", self.devices[device]);
            let got = match trial.forward(&self.devices[device], ForwardMode::default(), &trial.inputs) {
                Ok(got) => got,
                Err(panic) => {
                    self.fail(Check::Devices, format!("{what}: {panic}"));
                    continue;
                }
            };
            let result = compare_bits(&trial.output_dims, &got.y, &plain.y);
            self.expect(Check::Devices, &format!("output on {what}"), result);
            let mode = BackwardMode { in_place: false, left_out: LeftOut::Given, only: None };
            let got = trial.backward(&self.devices[device], mode, &got);
            self.compare_gradients(Check::Devices, &what, trial, got, gradients);
        }
    }

    fn views(&mut self, trial: &Trial, plain: &Output, gradients: &Gradients) {
        let op = &self.case.op;
        if op.is_view(true) {
            let result = compare_bits(&trial.output_dims, &plain.y, &trial.inputs[0]);
            self.expect(Check::View, "output of a view", result);
            if let Some(dx) = &gradients[0] {
                self.expect(Check::View, "gradient of a view", compare_bits(&trial.dims[0], dx, &trial.dy));
            }
        }
        if op.is_view(false) {
            let mode = ForwardMode { inference: true, ..ForwardMode::default() };
            let got = trial.forward(&self.devices[0], mode, &trial.inputs);
            self.compare_output(Check::View, "output of a view at inference", trial, got, &trial.inputs[0]);
        }
    }

    fn inference(&mut self, trial: &Trial, plain: &Output) {
        if !self.case.same_at_inference {
            return;
        }
        for in_place in [false, self.overwrites(trial)] {
            let mode = ForwardMode { inference: true, in_place, ..ForwardMode::default() };
            let got = trial.forward(&self.devices[0], mode, &trial.inputs);
            self.compare_output(Check::Inference, "output", trial, got, &plain.y);
        }
    }

    /// A NaN in an input makes every output NaN that changes when that value changes.
    fn not_a_number(&mut self, trial: &Trial, wide: &Wide) {
        let before = trial.reference(&wide.inputs);
        for input in (0..trial.inputs.len()).filter(|&input| self.case.op.differentiable(input)) {
            for place in places(trial.inputs[input].len(), NAN_PLACES) {
                let mut depends = vec![false; before.len()];
                let mut wide = wide.inputs.clone();
                let x = wide[input][place];
                for other in [x + STEP, x - STEP, x + 1.0, x - 1.0] {
                    wide[input][place] = other;
                    let after = trial.reference(&wide);
                    depends.iter_mut().zip(before.iter().zip(&after)).for_each(|(depends, (a, b))| *depends |= a != b);
                }
                let mut inputs = trial.inputs.clone();
                inputs[input][place] = f32::NAN;
                let output = trial.forward(&self.devices[0], ForwardMode::default(), &inputs);
                let result = output.and_then(|output| {
                    let lost = (0..before.len()).find(|&i| depends[i] && !output.y[i].is_nan());
                    lost.map_or(Ok(()), |i| Err(format!("output {i} depends on it, but is {}", output.y[i])))
                });
                self.expect(Check::NotANumber, &format!("NaN in input {input} at {place}"), result);
            }
        }
    }
}

/// What rounding leaves of a difference over [`STEP`], for functions of a size of some units.
const DIFFERENCE_NOISE: f64 = 1e-10;

/// Inputs and gradient of the output in f64.
struct Wide {
    inputs: Vec<Vec<f64>>,
    magnitudes: Vec<Vec<f64>>,
    dy: Vec<f64>,
}

impl Wide {
    fn new(trial: &Trial) -> Wide {
        let wide = |values: &Vec<f32>| -> Vec<f64> { values.iter().map(|&value| f64::from(value)).collect() };
        let inputs = trial.wide_inputs();
        let magnitudes = inputs.iter().map(|input| input.iter().map(|value| value.abs()).collect()).collect();
        Wide { inputs, magnitudes, dy: wide(&trial.dy) }
    }
}

/// ∂(Σ dy · reference)/∂x at one place, by the five-point formula. Differences are taken of each output, before they are
/// summed.
fn difference(trial: &Trial, inputs: &[Vec<f64>], dy: &[f64], input: usize, place: usize) -> f64 {
    let mut inputs = inputs.to_vec();
    let x = inputs[input][place];
    let mut at = |steps: f64| {
        inputs[input][place] = x + steps * STEP;
        trial.reference(&inputs)
    };
    let [far_below, below, above, far_above] = [at(-2.0), at(-1.0), at(1.0), at(2.0)];
    let slope = |i: usize| (8.0 * (above[i] - below[i]) - (far_above[i] - far_below[i])) / (12.0 * STEP);
    (0..dy.len()).map(|i| dy[i] * slope(i)).sum()
}

/// `count` places of `len`, the first and the last among them; all, if there are no more.
fn places(len: usize, count: usize) -> Vec<usize> {
    if len <= count {
        return (0..len).collect();
    }
    let between = (1..count - 1).map(|i| Stream::new(1, 0).below(i as u64, len as u32) as usize);
    let mut places: Vec<usize> = [0, len - 1].into_iter().chain(between).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// Inputs that fit, changed: one more, one less, too many, other sizes, other ranks. Some may still fit.
fn wrong_shapes(shapes: &[Shape]) -> Vec<Vec<Shape>> {
    let mut wrong = vec![shapes[..shapes.len().saturating_sub(1)].to_vec(), vec![Shape::scalar(); MAX_INPUTS + 1]];
    wrong.push(shapes.iter().cloned().chain([Shape::scalar()]).collect());
    for i in 0..shapes.len() {
        let mut change = |axes: Vec<Dim>| {
            if let Ok(shape) = Shape::new(axes) {
                let mut shapes = shapes.to_vec();
                shapes[i] = shape;
                wrong.push(shapes);
            }
        };
        let axes = shapes[i].axes();
        change(vec![]);
        change(axes.iter().copied().chain([Dim::Fixed(3)]).collect());
        change(axes.iter().copied().chain([Dim::Batch]).collect());
        change([Dim::Batch].into_iter().chain(axes.iter().copied()).collect());
        change(axes.iter().skip(1).copied().collect());
        change(vec![Dim::Fixed(0); axes.len()]);
        change(vec![Dim::Batch; axes.len()]);
        change(vec![Dim::Fixed(1); MAX_RANK]);
        for axis in 0..axes.len() {
            let size = if let Dim::Fixed(size) = axes[axis] { size + 1 } else { 7 };
            let mut axes = axes.to_vec();
            axes[axis] = Dim::Fixed(size);
            change(axes);
        }
    }
    wrong
}

#[cfg(test)]
mod tests;
