//! A plane in even parts: what adaptive and global pooling share.
//!
//! Output i of n covers the places ⌊i·in/n⌋ to ⌈(i+1)·in/n⌉ of an axis (as in PyTorch), so parts may overlap by one place.

use kernels::pooling::Regions;

use super::check::{Bound, Case, Input};
use super::window::{batched, expect_planes};
use super::{Op, Sample, ShapeError, Sizes};
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

/// `fold` of the values of each part.
fn each_part(at: &Sample, fold: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let Regions::Adaptive { input, output } = regions(&at.dims[0], at.output_dims) else {
        unreachable!("parts are even")
    };
    let range = |axis: usize, i: usize| i * input[axis] / output[axis]..((i + 1) * input[axis]).div_ceil(output[axis]);
    let mut all = Vec::new();
    for plane in at.inputs[0].chunks(input[0] * input[1]) {
        for i in 0..output[0] {
            for j in 0..output[1] {
                let row = |row: usize| range(1, j).map(move |column| plane[row * input[1] + column]);
                all.push(fold(&range(0, i).flat_map(row).collect::<Vec<_>>()));
            }
        }
    }
    all
}

/// The mean of each part: see [`Op::reference`].
pub(super) fn means(at: &Sample) -> Vec<f64> {
    each_part(at, |part| part.iter().sum::<f64>() / part.len() as f64)
}

/// The greatest value of each part.
pub(super) fn greatest(at: &Sample) -> Vec<f64> {
    each_part(at, |part| part.iter().copied().fold(f64::MIN, f64::max))
}

/// How closely the checks of a pooling hold it to its reference.
#[derive(Clone, Copy)]
pub(super) struct Closeness {
    value: Bound,
    gradient: Bound,
}

impl Closeness {
    /// For means.
    pub fn of_means() -> Closeness {
        let bound = Bound::magnitude(
            60.0,
            "half a unit for each of the terms of a chain, up to 15 without lanes; a few parts overlap",
        );
        Closeness { value: bound, gradient: bound }
    }

    /// For greatest values.
    pub fn of_greatest() -> Closeness {
        let gradient =
            Bound::relative(2.0, "a sum over the parts that hold a value, of up to four terms").and_absolute(2.0);
        Closeness { value: Bound::EXACT, gradient }
    }

    fn case(self, op: impl Op + 'static, sample: &[usize]) -> Case {
        Case::new(op, [Input::batched(sample)]).within(self.value, self.gradient)
    }

    /// Cases of a pooling to the sizes that `op` is made with.
    pub fn adaptive_cases<O: Op + 'static>(self, op: impl Fn(Vec<usize>) -> O) -> Vec<Case> {
        let of = |sample: &[usize], output: &[usize]| {
            let other = if output.len() == 1 { Shape::batched(&[4, 8, 8]) } else { Shape::batched(&[4, 8]) };
            self.case(op(output.to_vec()), sample)
                .named(format!("{sample:?} to {output:?}"))
                .refuses([other.clone()], "shape of the input: expected [batch, channels,")
                .refuses([other.clone(), other], "takes 1 inputs, got 2")
        };
        vec![
            of(&[3, 9, 8], &[3, 2]),
            of(&[2, 10, 50], &[3, 7]),
            of(&[2, 5, 70], &[2, 3]),
            of(&[1, 4, 4], &[4, 4]),
            of(&[1, 3, 2], &[5, 4]),
            of(&[2, 6, 6], &[1, 1]),
            of(&[3, 35], &[4]),
        ]
    }

    /// Cases of a pooling to one place for each channel.
    pub fn global_cases(self, op: impl Op + Copy + 'static) -> Vec<Case> {
        let of = |sample: &[usize]| {
            self.case(op, sample)
                .named(format!("{sample:?}"))
                .refuses(
                    [Shape::batched(&[4])],
                    "shape of the input: expected [batch, channels, height, width], got [batch, 4]",
                )
                .refuses([Shape::batched(sample), Shape::batched(sample)], "takes 1 inputs, got 2")
                .refuses([Shape::batched(sample).with_last(0)], "shape of the input: expected [batch, channels,")
        };
        vec![of(&[3, 1, 1]), of(&[2, 7, 7]), of(&[5, 28, 27]), of(&[3, 4, 50]), of(&[2, 9]), of(&[3, 70])]
    }
}
