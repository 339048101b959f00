//! Up-sampling: the last one or two axes become longer by whole factors.
//!
//! Shapes: x [batch, channels, length] or [batch, channels, height, width] → y [batch, channels, factor · size…]. `nearest`
//! repeats each value; `linear` goes over from the centre of one place to that of the next in a straight line (PyTorch's
//! `linear` and `bilinear` with `align_corners=False`): output i lies at (i + ½) / factor - ½, and at the outermost places
//! where that is beyond their centres. Both are linear in x; the gradient is the transposed map.

use kernels::resample::{Upsampling, upsample, upsample_backward};

use super::check::{Bound, Case, Input};
use super::window::{batched, expect_planes};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::Shape;

/// What lies between two values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpsampleMode {
    /// The nearer one.
    #[default]
    Nearest,
    /// A straight line.
    Linear,
}

/// Up-sampling; one factor for each axis (one or two) behind the channels.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upsample {
    /// How many times as long each axis becomes, 1 or more.
    pub factor: Vec<usize>,
    /// What lies between two values.
    pub mode: UpsampleMode,
}

impl Upsample {
    fn sizing(&self, x: &[usize]) -> Upsampling {
        let pair = |sizes: &[usize]| match sizes {
            [one] => [1, *one],
            _ => [sizes[0], sizes[1]],
        };
        Upsampling { input: pair(&x[2..]), factor: pair(&self.factor), linear: self.mode == UpsampleMode::Linear }
    }
}

impl Op for Upsample {
    fn name(&self) -> &'static str {
        "Upsample"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        if !(1..=2).contains(&self.factor.len()) || !self.factor.iter().all(|factor| (1..=1 << 16).contains(factor)) {
            let expected = "one whole number or two, from 1 to 65536".to_string();
            return Err(ShapeError::Setting { name: "factor", expected, found: format!("{:?}", self.factor) });
        }
        let mut sample = expect_planes(x, self.factor.len())?;
        sample[1..].iter_mut().zip(&self.factor).for_each(|(size, factor)| *size *= factor);
        batched(&sample)
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn flops(&self, at: Sizes) -> u64 {
        if self.mode == UpsampleMode::Linear { 7 * at.output_elements() as u64 } else { 0 }
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let Upsampling { input, factor, linear } = self.sizing(&at.dims[0]);
        let sources = |axis: usize, index: usize| -> [(usize, f64); 2] {
            if !linear {
                return [(index / factor[axis], 1.0), (0, 0.0)];
            }
            let position = ((index as f64 + 0.5) / factor[axis] as f64 - 0.5).max(0.0);
            let first = position as usize;
            let share = position - first as f64;
            [(first, 1.0 - share), ((first + 1).min(input[axis] - 1), share)]
        };
        let size = |axis: usize| input[axis] * factor[axis];
        let mut y = Vec::new();
        for plane in at.inputs[0].chunks(input[0] * input[1]) {
            for (i, j) in (0..size(0)).flat_map(|i| (0..size(1)).map(move |j| (i, j))) {
                let mut value = 0.0;
                for (row, of_row) in sources(0, i) {
                    for (column, of_column) in sources(1, j) {
                        value += of_row * of_column * plane[row * input[1] + column];
                    }
                }
                y.push(value);
            }
        }
        Some(y)
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0];
        upsample(run.device, &self.sizing(x.dims), x.data, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        if let Some(dx) = &mut pass.dx[0] {
            upsample_backward(run.device, &self.sizing(pass.inputs[0].dims), pass.dy, dx);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::magnitude(4.0, "shares of four values, each of some roundings");
    let gradient = Bound::magnitude(20.0, "a sum of shares over the places that a value reaches");
    let of = |sample: &[usize], factor: &[usize], mode: UpsampleMode| {
        let op = Upsample { factor: factor.to_vec(), mode };
        let other = if sample.len() == 2 { Shape::batched(&[4, 8, 8]) } else { Shape::batched(&[4, 8]) };
        Case::new(op, [Input::batched(sample)])
            .named(format!("{mode:?} of {sample:?}"))
            .within(value, gradient)
            .refuses([other.clone(), other.clone()], "takes 1 inputs, got 2")
            .refuses([other], "shape of the input: expected [batch, channels,")
    };
    vec![
        of(&[2, 3, 5], &[2, 2], UpsampleMode::Nearest),
        of(&[3, 4, 5], &[2, 3], UpsampleMode::Linear),
        of(&[2, 1, 1], &[3, 2], UpsampleMode::Linear),
        of(&[3, 17], &[3], UpsampleMode::Nearest),
        of(&[3, 17], &[4], UpsampleMode::Linear),
        of(&[1, 5, 4], &[1, 1], UpsampleMode::Linear),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_of_nothing_are_refused() {
        for factor in [vec![], vec![0], vec![1 << 20], vec![2; 3]] {
            let op = Upsample { factor, mode: UpsampleMode::Nearest };
            let error = op.output_shape(&[Shape::batched(&[3, 4])]).expect_err("impossible").to_string();
            assert!(error.starts_with("factor must be one whole number or two, from 1 to 65536"), "{error}");
        }
    }
}
