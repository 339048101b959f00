//! What convolution and transposed convolution share: settings for one axis or two, their checks, and the sizes that
//! kernels take (an axis alone is the width of images of height 1).

use kernels::conv::{Algorithm, Conv};

use super::ShapeError;
use crate::tensor::{Dim, Shape};

/// Largest number of a setting: sums of products of sizes stay below 2^64.
const MOST: usize = 1 << 31;

/// The settings, by reference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings<'a> {
    pub stride: &'a [usize],
    /// Before each axis, then behind each.
    pub padding: &'a [usize],
    pub dilation: &'a [usize],
    pub groups: usize,
}

/// Sizes of the inputs, after the checks that both ops make.
pub(super) struct Inputs {
    /// Channels of x.
    pub channels: usize,
    /// What slides over it.
    pub size: Vec<usize>,
    /// First and second size of the weight.
    pub weight: [usize; 2],
    pub kernel: Vec<usize>,
}

const NAMES: [&str; 2] = ["height", "width"];

impl Settings<'_> {
    pub fn axes(&self) -> usize {
        self.stride.len()
    }

    /// The name of an axis, for messages.
    pub fn axis_name(&self, axis: usize) -> &'static str {
        if self.axes() == 1 { "length" } else { NAMES[axis] }
    }

    fn check(&self) -> Result<(), ShapeError> {
        let axes = self.axes();
        let counted = |name, values: &[usize], count: usize, least: usize| {
            let expected = format!("{count} whole numbers from {least} to {MOST}, as it slides over {axes} axes");
            let right = values.len() == count && values.iter().all(|value| (least..=MOST).contains(value));
            let found = format!("{values:?}");
            if right { Ok(()) } else { Err(ShapeError::Setting { name, expected, found }) }
        };
        if !(1..=2).contains(&axes) {
            let (expected, found) =
                ("one number an axis, for one axis or two".to_string(), format!("{:?}", self.stride));
            return Err(ShapeError::Setting { name: "stride", expected, found });
        }
        counted("stride", self.stride, axes, 1)?;
        counted("padding", self.padding, 2 * axes, 0)?;
        counted("dilation", self.dilation, axes, 1)?;
        counted("groups", &[self.groups], 1, 1)
    }

    /// The sizes of x [batch, channels, …] and weight [a, b, …]; the bias, if there is one, has `outputs(a, b)` values.
    pub fn inputs(
        &self,
        inputs: &[Shape],
        weight_form: &'static str,
        outputs: impl Fn(usize, usize) -> usize,
    ) -> Result<Inputs, ShapeError> {
        self.check()?;
        let (x, weight, bias) = match inputs {
            [x, weight] => (x, weight, None),
            [x, weight, bias] => (x, weight, Some(bias)),
            _ => return Err(ShapeError::InputCount { expected: "2 or 3", found: inputs.len() }),
        };
        let form = if self.axes() == 1 { "[batch, channels, length]" } else { "[batch, channels, height, width]" };
        let sample = x.sample().filter(|sample| sample.len() == self.axes() + 1 && sample.iter().all(|&size| size > 0));
        let Some(sample) = sample else {
            return Err(ShapeError::size("shape of the input", format!("{form} with sizes of 1 or more"), x));
        };
        let sizes = |shape: &Shape| -> Option<Vec<usize>> {
            let size =
                |axis: &Dim| if let Dim::Fixed(size) = axis { Some(*size).filter(|&size| size > 0) } else { None };
            shape.axes().iter().map(size).collect()
        };
        let Some(sized) = sizes(weight).filter(|sizes| sizes.len() == self.axes() + 2) else {
            return Err(ShapeError::size("shape of the weight", format!("{weight_form} of 1 or more"), weight));
        };
        let weight = [sized[0], sized[1]];
        let outputs = outputs(weight[0], weight[1]);
        if let Some(bias) = bias.filter(|bias| **bias != Shape::fixed(&[outputs])) {
            return Err(ShapeError::size("shape of the bias", Shape::fixed(&[outputs]), bias));
        }
        Ok(Inputs { channels: sample[0], size: sample[1..].to_vec(), weight, kernel: sized[2..].to_vec() })
    }

    /// Size of y along an axis, where the kernel fits.
    pub fn output_size(&self, axis: usize, input: usize, kernel: usize) -> usize {
        let padded = input + self.padding[axis] + self.padding[axis + self.axes()];
        (padded - self.dilation[axis] * (kernel - 1) - 1) / self.stride[axis] + 1
    }

    /// The convolution that leads from x to y, both [batch, channels, …], with a weight [out, in/groups, …].
    pub fn conv(&self, x: &[usize], weight: &[usize], y: &[usize]) -> Conv {
        let pair = |values: &[usize], alone: usize| match values {
            [height, width, ..] => [*height, *width],
            [width] => [alone, *width],
            [] => [alone; 2],
        };
        Conv {
            batch: x[0],
            groups: self.groups,
            in_channels: x[1],
            out_channels: y[1],
            input: pair(&x[2..], 1),
            output: pair(&y[2..], 1),
            kernel: pair(&weight[2..], 1),
            stride: pair(self.stride, 1),
            dilation: pair(self.dilation, 1),
            padding: pair(&self.padding[..self.axes()], 0),
            algorithm: Algorithm::BySize,
        }
    }
}

/// [batch, channels, sizes…], if that is possible.
pub(super) fn output(channels: usize, sizes: &[usize]) -> Result<Shape, ShapeError> {
    let fixed = [channels].into_iter().chain(sizes.iter().copied()).map(Dim::Fixed);
    Ok(Shape::new([Dim::Batch].into_iter().chain(fixed))?)
}
