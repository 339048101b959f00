//! Where the values of inputs lie for each place of an output: broadcasting and other orders of axes are strides, 0 where an
//! input has one value for a whole axis.

use arrayvec::ArrayVec;
use kernels::device::Device;

use crate::ops::ShapeError;
use crate::tensor::{Dim, MAX_RANK, Shape};

/// Values of a task, about.
const TASK: usize = 8192;

/// The places of an output, axis by axis, and the distance of neighbours along each in `N` inputs. Axes that all inputs go through as
/// through one are one.
#[derive(Clone, Debug)]
pub(super) struct Walk<const N: usize> {
    axes: ArrayVec<(usize, [usize; N]), MAX_RANK>,
}

impl<const N: usize> Walk<N> {
    /// For axes of these sizes and strides.
    fn new(axes: impl IntoIterator<Item = (usize, [usize; N])>) -> Walk<N> {
        let mut merged = ArrayVec::<(usize, [usize; N]), MAX_RANK>::new();
        for (size, strides) in axes {
            match merged.last_mut() {
                Some((outer, outer_strides)) if (0..N).all(|i| outer_strides[i] == strides[i] * size) => {
                    (*outer, *outer_strides) = (*outer * size, strides);
                }
                _ => merged.push((size, strides)),
            }
        }
        Walk { axes: merged }
    }

    /// Inputs of sizes `inputs` broadcast to `output`: aligned at their last axes, where a size is that of the output or 1.
    pub fn broadcast(inputs: [&[usize]; N], output: &[usize]) -> Walk<N> {
        let stride = |dims: &[usize], axis: usize| {
            let missing = output.len() - dims.len();
            match axis.checked_sub(missing) {
                Some(own) if dims[own] == output[axis] => dims[own + 1..].iter().product(),
                _ => 0,
            }
        };
        Walk::new((0..output.len()).map(|axis| (output[axis], inputs.map(|dims| stride(dims, axis)))))
    }

    /// Places of a row, the innermost axis, and their distances in the inputs.
    fn row(&self) -> (usize, [usize; N]) {
        self.axes.last().copied().unwrap_or((1, [0; N]))
    }

    /// Where row `row` begins in each input.
    fn start(&self, mut row: usize) -> [usize; N] {
        let mut start = [0; N];
        for (size, strides) in self.axes.iter().rev().skip(1) {
            let at = row % size;
            row /= size;
            (0..N).for_each(|i| start[i] += at * strides[i]);
        }
        start
    }

    /// Sets every place of `output` to what `value` gives for its places in the inputs.
    pub fn map(&self, device: &Device, output: &mut [f32], value: impl Fn([usize; N]) -> f32 + Sync) {
        let (width, strides) = self.row();
        if output.is_empty() {
            return;
        }
        device.split_rows(output.len() / width, (TASK / width).max(1), (output, width), [], |first, output, []| {
            for (row, output) in output.chunks_exact_mut(width).enumerate() {
                let mut at = self.start(first + row);
                for y in output {
                    *y = value(at);
                    (0..N).for_each(|i| at[i] += strides[i]);
                }
            }
        });
    }

    /// Calls `visit` for every place of an output of `places` values, in order, with its places in the inputs.
    pub fn each(&self, places: usize, mut visit: impl FnMut(usize, [usize; N])) {
        let (width, strides) = self.row();
        for row in 0..places.checked_div(width).unwrap_or(0) {
            let mut at = self.start(row);
            for place in row * width..(row + 1) * width {
                visit(place, at);
                (0..N).for_each(|i| at[i] += strides[i]);
            }
        }
    }
}

impl Walk<1> {
    /// An input of sizes `input` with its axes in another order: axis i of the output is axis `order[i]`.
    pub fn permuted(input: &[usize], order: &[usize]) -> Walk<1> {
        Walk::new(order.iter().map(|&axis| (input[axis], [input[axis + 1..].iter().product()])))
    }
}

/// The shape that these inputs are broadcast to. Those with a batch have as many axes as the output, others fewer.
pub(super) fn broadcast_shape(inputs: &[Shape]) -> Result<Shape, ShapeError> {
    let batched = |shape: &&Shape| shape.axes().contains(&Dim::Batch);
    let rank = inputs.iter().map(Shape::rank).max().unwrap_or(0);
    let has_batch = inputs.iter().any(|shape| batched(&shape));
    let mut axes = vec![Dim::Fixed(1); rank];
    for shape in inputs {
        let fits = if has_batch && !batched(&shape) { shape.rank() < rank } else { !has_batch || shape.rank() == rank };
        if !fits || (batched(&shape) && !shape.is_batched()) {
            let expected = format!("{rank} axes with a batch, or fewer without one");
            return Err(ShapeError::size("shape of an input", expected, shape));
        }
        let missing = rank - shape.rank();
        for (axis, &dim) in axes[missing..].iter_mut().zip(shape.axes()) {
            match (*axis, dim) {
                (a, b) if a == b || b == Dim::Fixed(1) => {}
                (Dim::Fixed(1), b) => *axis = b,
                _ => {
                    let expected = "1 where sizes differ".to_string();
                    let found = inputs.iter().map(Shape::to_string).collect::<Vec<_>>().join(" and ");
                    return Err(ShapeError::Size { what: "sizes to broadcast", expected, found });
                }
            }
        }
    }
    Ok(Shape::new(axes)?)
}

/// The size of `axis`, which is neither the batch nor missing.
pub(super) fn expect_axis(x: &Shape, axis: usize) -> Result<usize, ShapeError> {
    match x.axes().get(axis) {
        Some(&Dim::Fixed(size)) if axis > 0 || !x.is_batched() => Ok(size),
        _ => Err(ShapeError::size("axis", "one that there is, and not the batch", format!("axis {axis} of {x}"))),
    }
}

/// What stands before an axis, its size, and what stands behind it.
pub(super) fn around(dims: &[usize], axis: usize) -> (usize, usize, usize) {
    (dims[..axis].iter().product(), dims[axis], dims[axis + 1..].iter().product())
}
