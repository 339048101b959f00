//! Average pooling: each window gives its mean, yₒ = Σ xₚ / countₒ over the places p of window o.
//!
//! Shapes: x [batch, channels, length] or [batch, channels, height, width] → y with the sizes of the formula in
//! `ops/window.rs`. Padding counts as zeros, or not at all; what a last window of `ceil_mode` covers beyond the padding never
//! counts (as in PyTorch). ∂L/∂xₚ = Σ dyₒ / countₒ over the windows o that hold p.

use kernels::pooling::{Regions, average_pool, average_pool_backward};

use super::check::{Bound, Case, Input};
use super::window::{Window, looked_at};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::Shape;

/// The mean of each window; one number for each axis (one or two) of what slides.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AveragePool {
    /// Size of a window.
    pub kernel: Vec<usize>,
    /// From one window to the next.
    pub stride: Vec<usize>,
    /// Places before and behind the input that windows may cover, at most half of the kernel.
    pub padding: Vec<usize>,
    /// A last window that is cut off counts too.
    pub ceil_mode: bool,
    /// Padding counts as zeros.
    pub count_include_pad: bool,
}

impl AveragePool {
    /// Windows of the sizes `kernel` side by side, without padding, which would count.
    pub fn new(kernel: &[usize]) -> AveragePool {
        AveragePool {
            kernel: kernel.to_vec(),
            stride: kernel.to_vec(),
            padding: vec![0; kernel.len()],
            ceil_mode: false,
            count_include_pad: true,
        }
    }

    fn window(&self) -> Window<'_> {
        let AveragePool { kernel, stride, padding, ceil_mode, .. } = self;
        let dilation = &[1, 1][..kernel.len().min(2)];
        Window { kernel, stride, padding, dilation, ceil_mode: *ceil_mode }
    }

    fn regions(&self, x: &[usize]) -> Regions {
        let windows = self.window().windows(x);
        Regions::Windows { windows, counted: if self.count_include_pad { windows.padding } else { [0, 0] } }
    }
}

impl Op for AveragePool {
    fn name(&self) -> &'static str {
        "AveragePool"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        self.window().output_shape(inputs)
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn flops(&self, at: Sizes) -> u64 {
        (at.output_elements() * self.window().taps()) as u64
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["y = mean x of each window", "∂L/∂x = dy / size, summed over the windows"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let windows = self.window().windows(&at.dims[0]);
        // Places of a window that lie within the input and its padding, along one axis.
        let along = |axis: usize, output: usize| {
            let end = windows.input[axis] + 2 * windows.padding[axis];
            (0..windows.kernel[axis]).filter(|tap| output * windows.stride[axis] + tap < end).count()
        };
        let count = |output: usize, places: &[usize]| {
            let (i, j) = (output / windows.output[1], output % windows.output[1]);
            if self.count_include_pad { along(0, i) * along(1, j) } else { places.len() }
        };
        let planes = at.inputs[0].chunks(windows.input.iter().product());
        let mean = |x: &[f64], (output, places): (usize, &Vec<usize>)| {
            places.iter().map(|&place| x[place]).sum::<f64>() / count(output, places) as f64
        };
        let means = |x: &[f64]| looked_at(&windows).iter().enumerate().map(|at| mean(x, at)).collect::<Vec<_>>();
        Some(planes.flat_map(means).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0];
        average_pool(run.device, &self.regions(x.dims), x.data, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        if let Some(dx) = &mut pass.dx[0] {
            average_pool_backward(run.device, &self.regions(pass.inputs[0].dims), pass.dy, dx);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let bound = Bound::magnitude(5.0, "half a unit for each of up to nine terms, and a quotient");
    let of = |name: &str, sample: &[usize], op: AveragePool| {
        let axes = op.kernel.len();
        let other = if axes == 1 { Shape::batched(&[4, 8, 8]) } else { Shape::batched(&[4, 8]) };
        Case::new(op, [Input::batched(sample)])
            .named(name)
            .within(bound, bound)
            .refuses([other.clone(), other.clone()], "takes 1 inputs, got 2")
            .refuses([other], "shape of the input: expected [batch, channels,")
    };
    let square = |kernel: usize| AveragePool::new(&[kernel, kernel]);
    let padded = AveragePool { stride: vec![2; 2], padding: vec![1; 2], ..square(3) };
    vec![
        of("2x2", &[3, 6, 10], square(2)),
        of("2x2, odd", &[2, 7, 41], square(2)),
        of("3x3 stride 2 pad 1", &[3, 9, 8], padded.clone()),
        of("padding not counted", &[3, 8, 36], AveragePool { count_include_pad: false, ..padded.clone() }),
        of("ceil", &[2, 8, 10], AveragePool { ceil_mode: true, ..padded }),
        of("2x3, stride 3x1", &[2, 8, 9], AveragePool { stride: vec![3, 1], ..AveragePool::new(&[2, 3]) }),
        of("1-D", &[3, 13], AveragePool::new(&[2])),
        of("1-D, pad, stride 3", &[2, 40], AveragePool { stride: vec![3], padding: vec![1], ..AveragePool::new(&[3]) }),
    ]
}
