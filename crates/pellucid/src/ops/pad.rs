//! Padding: a border around the last one or two axes.
//!
//! Shapes: x [batch, channels, length] or [batch, channels, height, width] → y with `before` and `after` more places along
//! each axis behind the channels. The border is a constant, the input mirrored at its outermost places (`reflect`), or
//! these repeated (`replicate`), as in PyTorch. ∂L/∂xₚ = Σ dy over the places that hold xₚ.

use kernels::resample::{Border, Padding, pad, pad_backward};

use super::check::{Bound, Case, Input};
use super::window::{batched, expect_planes};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::Shape;

/// What the border holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PadMode {
    /// The value of [`Pad::value`].
    #[default]
    Constant,
    /// The input, mirrored; the border is narrower than the input.
    Reflect,
    /// The outermost places of the input.
    Replicate,
}

/// A border; one number for each axis (one or two) behind the channels.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// Places before the input.
    pub before: Vec<usize>,
    /// Places behind the input.
    pub after: Vec<usize>,
    /// What the border holds.
    pub mode: PadMode,
    /// The value of a constant border.
    pub value: f32,
}

impl Pad {
    fn padding(&self, x: &[usize]) -> Padding {
        let pair = |sizes: &[usize], else_: usize| match sizes {
            [one] => [else_, *one],
            _ => [sizes[0], sizes[1]],
        };
        let border = match self.mode {
            PadMode::Constant => Border::Constant(self.value),
            PadMode::Reflect => Border::Reflect,
            PadMode::Replicate => Border::Replicate,
        };
        Padding { input: pair(&x[2..], 1), before: pair(&self.before, 0), after: pair(&self.after, 0), border }
    }
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        ShapeError::expect_setting("value", self.value, "a finite number", |_| true)?;
        for (name, sizes) in [("before", &self.before), ("after", &self.after)] {
            let count = (1..=2).contains(&sizes.len()) && sizes.len() == self.before.len();
            if !count || !sizes.iter().all(|size| *size <= 1 << 24) {
                let expected = "one number or two, from 0 to 16777216".to_string();
                return Err(ShapeError::Setting { name, expected, found: format!("{sizes:?}") });
            }
        }
        let mut sample = expect_planes(x, self.before.len())?;
        for (axis, size) in sample[1..].iter_mut().enumerate() {
            let widest = self.before[axis].max(self.after[axis]);
            if self.mode == PadMode::Reflect && widest >= *size {
                return Err(ShapeError::size(
                    "size of an axis that is mirrored",
                    format!("more than the border's {widest}"),
                    *size,
                ));
            }
            *size += self.before[axis] + self.after[axis];
        }
        batched(&sample)
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn flops(&self, _: Sizes) -> u64 {
        0
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let Padding { input, before, after, .. } = self.padding(&at.dims[0]);
        let place = |axis: usize, index: usize| {
            let (size, place) = (input[axis] as isize, index as isize - before[axis] as isize);
            match self.mode {
                PadMode::Constant => (0..size).contains(&place).then_some(place as usize),
                PadMode::Replicate => Some(place.clamp(0, size - 1) as usize),
                PadMode::Reflect if place < 0 => Some(-place as usize),
                PadMode::Reflect if place >= size => Some((2 * size - 2 - place) as usize),
                PadMode::Reflect => Some(place as usize),
            }
        };
        let size = |axis: usize| before[axis] + input[axis] + after[axis];
        let mut y = Vec::new();
        for plane in at.inputs[0].chunks(input[0] * input[1]) {
            for (i, j) in (0..size(0)).flat_map(|i| (0..size(1)).map(move |j| (i, j))) {
                let source = place(0, i).zip(place(1, j));
                y.push(source.map_or(f64::from(self.value), |(row, column)| plane[row * input[1] + column]));
            }
        }
        Some(y)
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0];
        pad(run.device, &self.padding(x.dims), x.data, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        if let Some(dx) = &mut pass.dx[0] {
            pad_backward(run.device, &self.padding(pass.inputs[0].dims), pass.dy, dx);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let gradient = Bound::relative(10.0, "a sum over the places of the border that hold a value").and_absolute(10.0);
    let of = |sample: &[usize], before: &[usize], after: &[usize], mode: PadMode| {
        let op = Pad { before: before.to_vec(), after: after.to_vec(), mode, value: 0.5 };
        let other = if sample.len() == 2 { Shape::batched(&[4, 8, 8]) } else { Shape::batched(&[4, 8]) };
        Case::new(op, [Input::batched(sample)])
            .named(format!("{mode:?} of {sample:?}"))
            .within(Bound::EXACT, gradient)
            .refuses([other.clone(), other.clone()], "takes 1 inputs, got 2")
            .refuses([other], "shape of the input: expected [batch, channels,")
    };
    vec![
        of(&[2, 3, 5], &[1, 2], &[0, 3], PadMode::Constant),
        of(&[3, 4, 5], &[1, 2], &[3, 4], PadMode::Reflect),
        of(&[2, 1, 35], &[2, 0], &[0, 3], PadMode::Replicate),
        of(&[3, 17], &[4], &[1], PadMode::Constant),
        of(&[3, 17], &[0], &[16], PadMode::Reflect),
        of(&[1, 2], &[3], &[3], PadMode::Replicate),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_borders_are_refused_with_both_values() {
        let refused = |op: Pad| op.output_shape(&[Shape::batched(&[3, 4])]).expect_err("impossible").to_string();
        let op = Pad { before: vec![4], after: vec![0], mode: PadMode::Reflect, value: 0.0 };
        assert!(refused(op.clone()).ends_with("expected more than the border's 4, got 4"));
        assert!(refused(Pad { after: vec![0, 0], ..op.clone() }).starts_with("after must be one number or two"));
        assert!(refused(Pad { value: f32::NAN, ..op }).starts_with("value must be a finite number"));
    }
}
