//! The contract of an op: shape rule, forward, backward, and what backward looks at.

use std::fmt::Debug;

use kernels::device::Device;
use kernels::epilogue::InPlace;
use kernels::gemm::PackedMatrix;
use kernels::random::Stream;

use crate::tensor::{Dims, Purpose, Shape, Tensor};

/// Inputs that an op can have.
pub const MAX_INPUTS: usize = 16;

/// Attributes of an op as they stand in a model file: a JSON object.
pub type Attributes = serde_json::Map<String, serde_json::Value>;

/// One kind of computation with its attributes. It knows nothing of names, files, threads or other nodes of a graph.
///
/// Slices that an op is given have exactly the lengths that the shapes mean, except that what [`Op::reads`] leaves out
/// is empty in the backward pass, and that in place the first input is empty.
pub trait Op: Debug + Send + Sync {
    /// The ONNX name where there is one (`Relu`, `Gemm`), else a name in that style.
    fn name(&self) -> &'static str;

    /// What makes this op differ from others of its name; read back through the op table.
    fn attributes(&self) -> Attributes {
        Attributes::new()
    }

    /// The shape of the output, or why these inputs do not fit.
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError>;

    /// What [`Op::backward`] looks at besides the gradient of the output: the memory plan keeps only that.
    fn reads(&self) -> Reads;

    /// Whether a gradient can flow to input `index` (labels, targets and row weights have none).
    fn differentiable(&self, index: usize) -> bool {
        let _ = index;
        true
    }

    /// Memory needed beside inputs and output, for a training step or for inference.
    fn memory(&self, sizes: Sizes, training: bool) -> Memory {
        let _ = (sizes, training);
        Memory::default()
    }

    /// Floating-point operations of the forward pass, a fused multiply-add counted as two. Backward is taken to cost
    /// as much again for each input with a gradient.
    fn flops(&self, sizes: Sizes) -> u64;

    /// Output and input 0 hold the same values in the same order (flatten, reshape; dropout at inference): no pass is
    /// run, and they share memory. The same then holds of their gradients.
    fn is_view(&self, training: bool) -> bool {
        let _ = training;
        false
    }

    /// The output may be computed over input 0, and the gradient of input 0 over that of the output.
    fn in_place(&self) -> bool {
        false
    }

    /// The op as an element-wise function of its only input without further state, which can become part of the pass
    /// before it. `Some` implies [`Op::in_place`].
    fn function(&self) -> Option<&dyn InPlace> {
        None
    }

    /// [`Op::forward`] applies [`Forward::epilogue`].
    fn takes_epilogue(&self) -> bool {
        false
    }

    /// An input that does not change at inference, in the form in which [`Op::forward`] reads it quickest
    /// ([`Forward::packed`]); `inputs` has data where an input is a parameter.
    fn pack(&self, device: &Device, inputs: &[Tensor]) -> Option<PackedMatrix> {
        let _ = (device, inputs);
        None
    }

    /// Time steps that the op can look back over at most, the present one included, if there is a limit: it can be given no
    /// more than these in all ([`Run::past`] and the window).
    fn context(&self) -> Option<usize> {
        None
    }

    /// Inputs that the op itself changes after the forward pass of a training step: parameters that are not trained, such
    /// as running statistics.
    fn state(&self) -> &'static [usize] {
        &[]
    }

    /// Changes the `values` of input `index`, one of [`Op::state`], by what the forward pass of a training step saved; `x` are
    /// the sizes of input 0.
    fn update_state(&self, index: usize, x: &[usize], saved: &[f32], values: &mut [f32]) {
        let _ = (index, x, saved, values);
    }

    /// An element-wise function f with max(f(a), f(b)) = f(max(a, b)) that passes no gradient where different a and b give
    /// equal values: it may as well be applied behind an op that [`Op::is_max`].
    fn commutes_with_max(&self) -> bool {
        false
    }

    /// Each value of the output is the greatest, or the first of the greatest, of some of the input.
    fn is_max(&self) -> bool {
        false
    }

    /// The op goes through time (axis 1) from the last step to the first: what it comes to stands at the first.
    fn reverses_time(&self) -> bool {
        false
    }

    /// With so many inputs: what comes out of sequences (along axis 1) depends on nothing that stands behind their end, neither on
    /// padding nor on how much of it there is. It may be cut off, then.
    fn ignores_padding(&self, inputs: usize) -> bool {
        let _ = inputs;
        self.function().is_some()
    }

    /// The op takes random numbers in training: the same inputs give another output at the next step.
    fn is_random(&self) -> bool {
        false
    }

    /// The op that does in training too what this one does at inference; `None` where this one does.
    fn at_inference(&self) -> Option<Box<dyn Op>> {
        None
    }

    /// At inference the op does no more than to multiply each channel (axis 1) by a factor and to add a shift, which depend
    /// on parameters alone: these. `inputs` has data where an input is a parameter.
    fn channel_affine(&self, inputs: &[Tensor]) -> Option<ChannelAffine> {
        let _ = inputs;
        None
    }

    /// Axis 1 of an output of this shape are channels, for each of which input 1 (along its first axis) has the factors, and
    /// input 2, if there is one, a summand: what [`Op::channel_affine`] of an op behind it gives can be folded into them.
    fn folds_channels(&self, output: &Shape) -> bool {
        let _ = output;
        false
    }

    /// The formulas of output and gradients as people read them, one line each: y of x, W, b, … and ∂L/∂x of dy = ∂L/∂y.
    fn formulas(&self) -> Option<[&'static str; 2]> {
        None
    }

    /// The output of a training step in f64, by the plainest code there is, with functions of `libm`: what [`Op::forward`] is
    /// checked against, and what networks are explained with. `None` where nobody has written it.
    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let _ = at;
        None
    }

    /// Computes the output from the inputs.
    fn forward(&self, run: &Run, pass: Forward);

    /// Computes the gradient of each input that is asked for (vector-Jacobian product), overwriting what is there.
    fn backward(&self, run: &Run, pass: Backward);
}

/// What a reference computes from.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The inputs.
    pub inputs: &'a [Vec<f64>],
    /// Sizes of each input.
    pub dims: &'a [Dims],
    /// Sizes of the output.
    pub output_dims: &'a [usize],
    /// The random numbers that the op gets from [`Run::random`].
    pub random: Stream,
}

/// A factor and a shift for each channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelAffine {
    /// What each channel is multiplied by.
    pub scale: Vec<f32>,
    /// What is added to it then.
    pub shift: Vec<f32>,
}

/// Sizes of inputs and output, batch included.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// Sizes of each input.
    pub inputs: &'a [&'a [usize]],
    /// Sizes of the output.
    pub output: &'a [usize],
}

impl Sizes<'_> {
    /// Number of values of input `index`.
    pub fn input_elements(&self, index: usize) -> usize {
        self.inputs[index].iter().product()
    }

    /// Number of values of the output.
    pub fn output_elements(&self) -> usize {
        self.output.iter().product()
    }
}

/// Numbers of f32 that an op needs beside inputs and output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Kept from the forward to the backward pass.
    pub saved: usize,
    /// Scratch memory of the forward pass.
    pub forward: usize,
    /// Scratch memory of the backward pass.
    pub backward: usize,
    /// Kept from one window of a long sequence to the next ([`Forward::carried`]). It depends on the batch, never on the length
    /// of the window.
    pub carried: usize,
}

/// What a backward pass looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    inputs: u32,
    output: bool,
}

impl Reads {
    /// Neither inputs nor output.
    pub const NOTHING: Reads = Reads { inputs: 0, output: false };
    /// The output.
    pub const OUTPUT: Reads = Reads { inputs: 0, output: true };
    /// The first input.
    pub const INPUT: Reads = Reads::inputs(&[0]);

    /// The inputs with these indices.
    pub const fn inputs(indices: &[usize]) -> Reads {
        let mut inputs = 0;
        let mut i = 0;
        while i < indices.len() {
            inputs |= 1 << indices[i];
            i += 1;
        }
        Reads { inputs, output: false }
    }

    /// The output as well.
    pub const fn and_output(self) -> Reads {
        Reads { inputs: self.inputs, output: true }
    }

    /// Is input `index` looked at?
    pub const fn input(self, index: usize) -> bool {
        self.inputs >> index & 1 == 1
    }

    /// Is the output looked at?
    pub const fn output(self) -> bool {
        self.output
    }
}

impl From<kernels::unary::Reads> for Reads {
    fn from(reads: kernels::unary::Reads) -> Reads {
        match reads {
            kernels::unary::Reads::Input => Reads::INPUT,
            kernels::unary::Reads::Output => Reads::OUTPUT,
            kernels::unary::Reads::Both => Reads::INPUT.and_output(),
        }
    }
}

/// The circumstances of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Instruction set and threads.
    pub device: &'a Device,
    /// A training step, as opposed to inference.
    pub training: bool,
    /// Seed of the random numbers of the run.
    pub seed: u64,
    /// Number of the training step: with `seed` and `node`, what random numbers depend on. Forward and backward of a
    /// step see the same.
    pub step: u64,
    /// Time steps of the same sequences that came in windows before this one, for a plan that carries; 0 begins anew.
    pub past: usize,
    /// Number of the node in its graph.
    pub node: u32,
}

impl Run<'_> {
    /// The random numbers of this node at this step.
    pub fn random(&self) -> Stream {
        Purpose::Node(self.node as usize).stream(self.seed).at(self.step)
    }
}

/// What a forward pass works on.
pub struct Forward<'a> {
    /// The inputs; in place, the data of input 0 are empty and `output` holds them.
    pub inputs: &'a [Tensor<'a>],
    /// Sizes of the output.
    pub dims: &'a [usize],
    /// Overwritten with the output.
    pub output: &'a mut [f32],
    /// [`Memory::saved`] values for the backward pass; empty at inference.
    pub saved: &'a mut [f32],
    /// [`Memory::forward`] values of no meaning.
    pub scratch: &'a mut [f32],
    /// [`Memory::carried`] values as the window before this one left them, to be left so for the next; of no meaning at the
    /// beginning ([`Run::past`] is 0), and empty unless the plan carries.
    pub carried: &'a mut [f32],
    /// What [`Op::pack`] gave for this node, if it was asked.
    pub packed: Option<&'a PackedMatrix>,
    /// Applied to the finished output; only for an op that [`Op::takes_epilogue`].
    pub epilogue: Option<&'a dyn InPlace>,
}

/// What a backward pass works on.
pub struct Backward<'a, 'g> {
    /// The inputs; the data are empty where [`Op::reads`] leaves them out.
    pub inputs: &'a [Tensor<'a>],
    /// The output, if [`Op::reads`] it.
    pub output: Tensor<'a>,
    /// What the forward pass saved.
    pub saved: &'a [f32],
    /// Gradient of the loss with respect to the output; in place it is empty and `dx[0]` holds it.
    pub dy: &'a [f32],
    /// For each input, where its gradient goes, if it is asked for.
    pub dx: &'a mut [Option<&'g mut [f32]>],
    /// [`Memory::backward`] values of no meaning.
    pub scratch: &'a mut [f32],
}

/// Why inputs do not fit an op. Whoever knows the node adds its name and the shapes of its inputs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Another number of inputs.
    #[error("takes {expected} inputs, got {found}")]
    InputCount {
        /// How many the op takes, as text (`2`, `2 or 3`).
        expected: &'static str,
        /// How many there are.
        found: usize,
    },
    /// The sizes of two axes should agree.
    #[error("{what}: expected {expected}, got {found}")]
    Size {
        /// Which sizes.
        what: &'static str,
        /// What the op needs.
        expected: String,
        /// What there is.
        found: String,
    },
    /// A setting of the op is out of its range.
    #[error("{name} must be {expected}, but it is {found}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The result is no valid shape.
    #[error(transparent)]
    Invalid(#[from] crate::tensor::InvalidShape),
}

impl ShapeError {
    /// An error about `what`, with both values.
    pub fn size(what: &'static str, expected: impl ToString, found: impl ToString) -> ShapeError {
        ShapeError::Size { what, expected: expected.to_string(), found: found.to_string() }
    }

    /// Refuses a setting that is not finite or for which `is_right` does not hold; `expected` says it in words.
    pub fn expect_setting(
        name: &'static str,
        value: f32,
        expected: &str,
        is_right: impl Fn(f32) -> bool,
    ) -> Result<(), ShapeError> {
        if value.is_finite() && is_right(value) {
            return Ok(());
        }
        Err(ShapeError::Setting { name, expected: expected.to_string(), found: value.to_string() })
    }

    /// The size of the last axis; refuses a shape without axes, and one whose last axis is the batch or empty.
    pub fn expect_last_axis(x: &Shape) -> Result<usize, ShapeError> {
        let size = x.last().filter(|&size| size > 0);
        size.ok_or_else(|| ShapeError::size("shape of the input", "an axis after the batch, of size 1 or more", x))
    }

    /// The sizes after the batch; refuses a shape that does not begin with it, or has it elsewhere.
    pub fn expect_sample(x: &Shape) -> Result<Dims, ShapeError> {
        x.sample().ok_or_else(|| ShapeError::size("shape of the input", "[batch, …]", x))
    }

    /// Refuses another number of inputs than `N`.
    pub fn expect_inputs<const N: usize>(inputs: &[Shape]) -> Result<&[Shape; N], ShapeError> {
        const COUNTS: [&str; 6] = ["0", "1", "2", "3", "4", "5"];
        let expected = COUNTS.get(N).copied().unwrap_or("more");
        inputs.try_into().map_err(|_| ShapeError::InputCount { expected, found: inputs.len() })
    }
}
