//! Running an op once, on slices that are poisoned where it should not look.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kernels::device::Device;
use kernels::epilogue::InPlace;
use kernels::random::Stream;

use super::super::{Backward, Forward, MAX_INPUTS, Memory, Run, Sample, Sizes};
use super::Case;
use crate::tensor::{Dims, Purpose, Tensor};

/// Circumstances of every run; not zeros, so that nothing is right by chance.
const SEED: u64 = 5;
const STEP: u64 = 7;
const NODE: u32 = 3;

/// One case with a number of rows, and its inputs.
pub(super) struct Trial<'a> {
    pub case: &'a Case,
    pub dims: Vec<Dims>,
    pub output_dims: Dims,
    pub inputs: Vec<Vec<f32>>,
    pub dy: Vec<f32>,
}

/// How a forward pass is run.
#[derive(Clone, Copy, Default)]
pub(super) struct ForwardMode<'a> {
    pub in_place: bool,
    pub inference: bool,
    pub packed: bool,
    pub epilogue: Option<&'a dyn InPlace>,
}

/// What stands in for what [`super::super::Op::reads`] leaves out.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum LeftOut {
    Given,
    Empty,
    Poisoned,
}

/// How a backward pass is run.
#[derive(Clone, Copy)]
pub(super) struct BackwardMode {
    pub in_place: bool,
    pub left_out: LeftOut,
    /// The only input whose gradient is asked for; `None` for all that have one.
    pub only: Option<usize>,
}

/// Output of a forward pass, and what it saved.
pub(super) struct Output {
    pub y: Vec<f32>,
    pub saved: Vec<f32>,
}

fn poison(len: usize) -> Vec<f32> {
    vec![f32::NAN; len]
}

fn caught<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        format!("panicked: {}", text.unwrap_or_default())
    })
}

impl<'a> Trial<'a> {
    /// Draws inputs; fails when the shape rule refuses the case.
    pub fn new(case: &'a Case, batch: usize) -> Result<Trial<'a>, String> {
        let shapes: Vec<_> = case.inputs.iter().map(|input| input.shape.clone()).collect();
        let shape = caught(|| case.op.output_shape(&shapes))?.map_err(|error| error.to_string())?;
        let dims: Vec<Dims> = shapes.iter().map(|shape| shape.dims(batch)).collect();
        let output_dims = shape.dims(batch);
        let stream = |purpose: usize| Stream::new(SEED, purpose as u32).at(batch as u64);
        let inputs = case.inputs.iter().zip(&dims).enumerate();
        let inputs = inputs.map(|(i, (input, dims))| input.values.draw(stream(i), dims)).collect();
        let dy = super::Values::Normal(1.0).draw(stream(MAX_INPUTS), &output_dims);
        let trial = Trial { case, dims, output_dims, inputs, dy };
        let known = caught(|| trial.try_reference(&trial.wide_inputs()))?;
        known.map(|_| trial).ok_or_else(|| "the op has no Op::reference to check it against".to_string())
    }

    /// The inputs, in f64.
    pub fn wide_inputs(&self) -> Vec<Vec<f64>> {
        self.inputs.iter().map(|input| input.iter().map(|&x| f64::from(x)).collect()).collect()
    }

    /// What the reference gives for these inputs.
    pub fn reference(&self, inputs: &[Vec<f64>]) -> Vec<f64> {
        self.try_reference(inputs).expect("Trial::new has looked")
    }

    fn try_reference(&self, inputs: &[Vec<f64>]) -> Option<Vec<f64>> {
        let random = Purpose::Node(NODE as usize).stream(SEED).at(STEP);
        let sample = Sample { inputs, dims: &self.dims, output_dims: &self.output_dims, random };
        self.case.op.reference(&sample)
    }

    fn run<'b>(&self, device: &'b Device, training: bool) -> Run<'b> {
        Run { device, training, seed: SEED, step: STEP, past: 0, node: NODE }
    }

    fn memory(&self, training: bool) -> Memory {
        let inputs: Vec<&[usize]> = self.dims.iter().map(|dims| dims.as_slice()).collect();
        self.case.op.memory(Sizes { inputs: &inputs, output: &self.output_dims }, training)
    }

    fn tensors<'b>(&'b self, data: impl Fn(usize) -> &'b [f32]) -> Vec<Tensor<'b>> {
        self.dims.iter().enumerate().map(|(i, dims)| Tensor { dims, data: data(i) }).collect()
    }

    /// A forward pass on `inputs`.
    pub fn forward(&self, device: &Device, mode: ForwardMode, inputs: &[Vec<f32>]) -> Result<Output, String> {
        let op = &self.case.op;
        caught(|| {
            let memory = self.memory(!mode.inference);
            let mut y = if mode.in_place { inputs[0].clone() } else { poison(self.dy.len()) };
            let mut saved = poison(if mode.inference { 0 } else { memory.saved });
            let mut scratch = poison(memory.forward);
            let given = |i: usize| if mode.in_place && i == 0 { &[][..] } else { inputs[i].as_slice() };
            let tensors = self.tensors(given);
            let packed = if mode.packed { op.pack(device, &tensors) } else { None };
            let pass = Forward {
                inputs: &tensors,
                dims: &self.output_dims,
                output: &mut y,
                saved: &mut saved,
                scratch: &mut scratch,
                carried: &mut [],
                packed: packed.as_ref(),
                epilogue: mode.epilogue,
            };
            op.forward(&self.run(device, !mode.inference), pass);
            Output { y, saved }
        })
    }

    /// A backward pass; the gradient of every input that was asked for.
    pub fn backward(
        &self,
        device: &Device,
        mode: BackwardMode,
        output: &Output,
    ) -> Result<Vec<Option<Vec<f32>>>, String> {
        let op = &self.case.op;
        caught(|| {
            let reads = op.reads();
            let poisoned: Vec<Vec<f32>> = self.inputs.iter().map(|input| poison(input.len())).collect();
            let poisoned_output = poison(output.y.len());
            let given = |is_read: bool, data: &'_ [f32], poisoned: &'_ [f32]| match mode.left_out {
                LeftOut::Given => data.to_vec(),
                _ if is_read => data.to_vec(),
                LeftOut::Empty => Vec::new(),
                LeftOut::Poisoned => poisoned.to_vec(),
            };
            let inputs: Vec<Vec<f32>> =
                (0..self.inputs.len()).map(|i| given(reads.input(i), &self.inputs[i], &poisoned[i])).collect();
            let y = given(reads.output(), &output.y, &poisoned_output);
            let wanted = |i: usize| op.differentiable(i) && mode.only.is_none_or(|only| only == i);
            let mut dx: Vec<Option<Vec<f32>>> =
                (0..self.inputs.len()).map(|i| wanted(i).then(|| poison(self.inputs[i].len()))).collect();
            let in_place = mode.in_place && dx[0].is_some();
            if let Some(dx) = dx[0].as_mut().filter(|_| in_place) {
                dx.copy_from_slice(&self.dy);
            }
            let mut scratch = poison(self.memory(true).backward);
            let tensors = self.tensors(|i| &inputs[i]);
            let mut targets: Vec<Option<&mut [f32]>> = dx.iter_mut().map(|dx| dx.as_deref_mut()).collect();
            let pass = Backward {
                inputs: &tensors,
                output: Tensor { dims: &self.output_dims, data: &y },
                saved: &output.saved,
                dy: if in_place { &[] } else { &self.dy },
                dx: &mut targets,
                scratch: &mut scratch,
            };
            op.backward(&self.run(device, true), pass);
            dx
        })
    }
}

/// Whether the shape rule panics on these shapes.
pub(super) fn shape_rule(case: &Case, shapes: &[crate::tensor::Shape]) -> Result<Result<(), String>, String> {
    caught(|| case.op.output_shape(shapes).map(|_| ()).map_err(|error| error.to_string()))
}
