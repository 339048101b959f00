//! A plane in even parts: what adaptive and global pooling share.
//!
//! Output i of n covers the places ⌊i·in/n⌋ to ⌈(i+1)·in/n⌉ of an axis (as in PyTorch), so parts may overlap by one place.

use kernels::pooling::Regions;

use super::window::{batched, expect_planes};
use super::{ShapeError, Sizes};
use crate::tensor::Shape;

/// The shape of the output of `output` places along each axis behind the channels.
pub(super) fn output_shape(output: &[usize], inputs: &[Shape]) -> Result<Shape, ShapeError> {
    let [x] = ShapeError::expect_inputs::<1>(inputs)?;
    if !(1..=2).contains(&output.len()) || !output.iter().all(|size| (1..=1 << 24).contains(size)) {
        let expected = "one size or two, from 1 to 16777216".to_string();
        return Err(ShapeError::Setting { name: "output", expected, found: format!("{output:?}") });
    }
    let mut sample = expect_planes(x, output.len())?;
    if sample[1..].iter().product::<usize>() > 1 << 24 {
        return Err(ShapeError::size("values of a channel", "at most 16777216", x));
    }
    sample[1..].copy_from_slice(output);
    batched(&sample)
}

/// The shape of the output of one place for each channel of x [batch, channels, length] or [batch, channels, height, width].
pub(super) fn global_shape(inputs: &[Shape]) -> Result<Shape, ShapeError> {
    let [x] = ShapeError::expect_inputs::<1>(inputs)?;
    output_shape(if x.rank() == 3 { &[1] } else { &[1, 1] }, inputs)
}

/// The parts of planes of sizes `x`, for an output of sizes `y` (batch and channels included).
pub(super) fn regions(x: &[usize], y: &[usize]) -> Regions {
    let pair = |dims: &[usize]| match dims {
        [_, _, length] => [1, *length],
        _ => [dims[2], dims[3]],
    };
    Regions::Adaptive { input: pair(x), output: pair(y) }
}

/// One operation for each value that is read, overlaps left out.
pub(super) fn flops(at: Sizes) -> u64 {
    at.input_elements(0) as u64
}

/// For the references of the checks: `fold` of the values of each part.
pub(super) fn each_part(x: &[f64], x_dims: &[usize], y_dims: &[usize], fold: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let Regions::Adaptive { input, output } = regions(x_dims, y_dims) else { unreachable!("parts are even") };
    let range = |axis: usize, i: usize| i * input[axis] / output[axis]..((i + 1) * input[axis]).div_ceil(output[axis]);
    let mut all = Vec::new();
    for plane in x.chunks(input[0] * input[1]) {
        for i in 0..output[0] {
            for j in 0..output[1] {
                let row = |row: usize| range(1, j).map(move |column| plane[row * input[1] + column]);
                all.push(fold(&range(0, i).flat_map(row).collect::<Vec<_>>()));
            }
        }
    }
    all
}
