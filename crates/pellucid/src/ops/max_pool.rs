//! Max pooling: each window gives its greatest value, yₒ = max over the places p of window o of xₚ.
//!
//! Shapes: x [batch, channels, length] or [batch, channels, height, width] → y with the sizes of the formula in
//! `ops/window.rs`. ∂L/∂xₚ = Σ dyₒ over the windows o in which xₚ is the greatest value: the first of equal ones (in the
//! order of the rows), so that exactly one place of a window has its gradient. A NaN in a window gives NaN. Padding never
//! wins.

use kernels::pooling::{max_pool, max_pool_backward};

use super::check::{Bound, Case, Input};
use super::window::{Window, looked_at};
use super::{Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::Shape;

/// The greatest value of each window; one number for each axis (one or two) of what slides.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool {
    /// Size of a window.
    pub kernel: Vec<usize>,
    /// From one window to the next.
    pub stride: Vec<usize>,
    /// Places before and behind the input that windows may cover, at most half of the kernel.
    pub padding: Vec<usize>,
    /// From one place of a window to the next.
    pub dilation: Vec<usize>,
    /// A last window that is cut off counts too.
    pub ceil_mode: bool,
}

impl MaxPool {
    /// Windows of the sizes `kernel` side by side, without padding.
    pub fn new(kernel: &[usize]) -> MaxPool {
        MaxPool {
            kernel: kernel.to_vec(),
            stride: kernel.to_vec(),
            padding: vec![0; kernel.len()],
            dilation: vec![1; kernel.len()],
            ceil_mode: false,
        }
    }

    fn window(&self) -> Window<'_> {
        let MaxPool { kernel, stride, padding, dilation, ceil_mode } = self;
        Window { kernel, stride, padding, dilation, ceil_mode: *ceil_mode }
    }
}

impl Op for MaxPool {
    fn name(&self) -> &'static str {
        "MaxPool"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        self.window().output_shape(inputs)
    }

    fn is_max(&self) -> bool {
        true
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        // The place of the greatest value within its window.
        Memory { saved: if training { at.output_elements() } else { 0 }, ..Memory::default() }
    }

    fn flops(&self, at: Sizes) -> u64 {
        (at.output_elements() * self.window().taps()) as u64
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["y = greatest x of each window", "∂L/∂x = dy at the place of the greatest, else 0"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let windows = self.window().windows(&at.dims[0]);
        let planes = at.inputs[0].chunks(windows.input.iter().product());
        let greatest = |x: &[f64], places: &[usize]| places.iter().map(|&place| x[place]).fold(f64::MIN, f64::max);
        let of_plane = |x| looked_at(&windows).iter().map(|places| greatest(x, places)).collect::<Vec<_>>();
        Some(planes.flat_map(of_plane).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0];
        max_pool(run.device, &self.window().windows(x.dims), x.data, pass.output, pass.saved);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        if let Some(dx) = &mut pass.dx[0] {
            max_pool_backward(run.device, &self.window().windows(pass.inputs[0].dims), pass.saved, pass.dy, dx);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let gradient = Bound::relative(2.0, "a sum over the windows of a value, of a few terms").and_absolute(2.0);
    let of = |name: &str, sample: &[usize], op: MaxPool| {
        let axes = op.kernel.len();
        let other = if axes == 1 { Shape::batched(&[4, 8, 8]) } else { Shape::batched(&[4, 8]) };
        Case::new(op, [Input::batched(sample)])
            .named(name)
            .within(Bound::EXACT, gradient)
            .refuses([other.clone(), other.clone()], "takes 1 inputs, got 2")
            .refuses([other], "shape of the input: expected [batch, channels,")
            .refuses(
                [Shape::batched(&[4; 3][..axes + 1]).with_last(0)],
                "shape of the input: expected [batch, channels,",
            )
    };
    let square = |kernel: usize| MaxPool::new(&[kernel, kernel]);
    vec![
        of("2x2", &[3, 6, 10], square(2)),
        of("2x2, odd", &[2, 7, 35], square(2)),
        of("2x2, several tasks", &[40, 28, 28], square(2)).batches([1, 2]),
        of("3x3 stride 2 pad 1", &[3, 9, 8], MaxPool { stride: vec![2; 2], padding: vec![1; 2], ..square(3) }),
        of("3x3 stride 1", &[2, 5, 21], MaxPool { stride: vec![1; 2], ..square(3) }),
        of("ceil", &[2, 6, 8], MaxPool { stride: vec![2; 2], ceil_mode: true, ..square(3) }),
        of("2x3, dilated", &[2, 8, 9], MaxPool { dilation: vec![3, 2], stride: vec![1, 3], ..MaxPool::new(&[2, 3]) }),
        of("gaps", &[1, 7, 11], MaxPool { stride: vec![3, 4], ..square(2) }),
        of("whole", &[5, 4, 4], square(4)),
        of("1-D", &[3, 13], MaxPool::new(&[2])),
        of("1-D, pad", &[2, 40], MaxPool { stride: vec![2], padding: vec![1], ..MaxPool::new(&[3]) }),
        of("1-D, stride 3, ceil", &[2, 12], MaxPool { stride: vec![3], ceil_mode: true, ..MaxPool::new(&[4]) }),
    ]
}
