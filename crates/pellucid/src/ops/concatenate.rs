//! Concatenation along an axis other than the batch: [batch, …, a, …], [batch, …, b, …] → [batch, …, a + b, …].
//!
//! The gradient of each input is its part of that of the output.

use kernels::device::Device;

use super::check::{Bound, Case, Input};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape};

/// Joins up to [`super::MAX_INPUTS`] inputs, which agree in all other axes.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concatenate {
    /// Along which axis; the batch is axis 0.
    pub axis: usize,
}

/// Rows of a task that moves rows of `width` values: some microseconds.
fn rows_of_task(width: usize) -> usize {
    (8192 / width.max(1)).max(1)
}

impl Concatenate {
    /// Number of values from the axis on.
    fn width(self, dims: &[usize]) -> usize {
        dims[self.axis..].iter().product()
    }

    /// Number of places before the axis.
    fn rows(self, dims: &[usize]) -> usize {
        dims[..self.axis].iter().product()
    }
}

impl Op for Concatenate {
    fn name(&self) -> &'static str {
        "Concat"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let Some(first) = inputs.first() else {
            return Err(ShapeError::InputCount { expected: "at least 1", found: 0 });
        };
        let mut total = 0usize;
        for input in inputs {
            let Some(&Dim::Fixed(size)) = input.axes().get(self.axis) else {
                let expected = "one that every input has, and not the batch";
                let found = format!("axis {} of {input}", self.axis);
                return Err(ShapeError::size("axis to concatenate along", expected, found));
            };
            total = total.saturating_add(size);
            let alike = |other: &Shape| {
                let pairs = input.axes().iter().zip(other.axes()).enumerate();
                input.rank() == other.rank() && pairs.into_iter().all(|(axis, (a, b))| axis == self.axis || a == b)
            };
            if !alike(first) {
                let expected = format!("that of {first} but for axis {}", self.axis);
                return Err(ShapeError::size("shape of an input", expected, input));
            }
        }
        let axes = first.axes().iter().enumerate();
        Ok(Shape::new(axes.map(|(axis, &dim)| if axis == self.axis { Dim::Fixed(total) } else { dim }))?)
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn ignores_padding(&self, _: usize) -> bool {
        self.axis != 1
    }

    fn flops(&self, _: Sizes) -> u64 {
        0
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let rows: usize = at.output_dims[..self.axis].iter().product();
        let mut output = Vec::new();
        for row in 0..rows {
            for (input, dims) in at.inputs.iter().zip(at.dims) {
                let part: usize = dims[self.axis..].iter().product();
                output.extend_from_slice(&input[row * part..(row + 1) * part]);
            }
        }
        Some(output)
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (rows, width) = (self.rows(pass.dims), self.width(pass.dims));
        run.device.split_rows(rows, rows_of_task(width), (pass.output, width), [], |first, output, []| {
            for (i, mut output) in output.chunks_exact_mut(width.max(1)).enumerate() {
                for input in pass.inputs {
                    let part = self.width(input.dims);
                    let (target, rest) = output.split_at_mut(part);
                    target.copy_from_slice(&input.data[(first + i) * part..][..part]);
                    output = rest;
                }
            }
        });
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (rows, width) = (self.rows(pass.output.dims), self.width(pass.output.dims));
        let mut start = 0;
        for (input, dx) in pass.inputs.iter().zip(pass.dx) {
            let part = self.width(input.dims);
            if let Some(dx) = dx {
                take_columns(run.device, rows, pass.dy, width, start, (dx, part));
            }
            start += part;
        }
    }
}

/// Copies columns from `start` of `source` [rows, width] into `target` [rows, part].
fn take_columns(
    device: &Device,
    rows: usize,
    source: &[f32],
    width: usize,
    start: usize,
    (target, part): (&mut [f32], usize),
) {
    device.split_rows(rows, rows_of_task(part), (target, part), [], |first, target, []| {
        for (i, target) in target.chunks_exact_mut(part.max(1)).enumerate() {
            target.copy_from_slice(&source[(first + i) * width + start..][..part]);
        }
    });
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of = |axis: usize, samples: &[&[usize]]| {
        let inputs = samples.iter().map(|sample| Input::batched(sample));
        Case::new(Concatenate { axis }, inputs)
            .named(format!("{samples:?} along axis {axis}"))
            .batches([1, 2, 5, 1000])
            .within(Bound::EXACT, Bound::EXACT)
            .refuses([Shape::batched(&[2, 2]), Shape::batched(&[2, 2, 2])], "shape of an input")
            .refuses([Shape::batched(&[]), Shape::batched(&[])], "axis to concatenate along")
    };
    vec![of(1, &[&[2, 3], &[4, 3], &[1, 3]]), of(2, &[&[2, 3], &[2, 16]]), of(1, &[&[5]]), of(1, &[&[1][..]; 16])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_add_up_along_the_axis_and_agree_elsewhere() {
        let along = |axis, shapes: &[Shape]| Concatenate { axis }.output_shape(shapes);
        let [a, b] = [Shape::batched(&[2, 3]), Shape::batched(&[4, 3])];
        assert_eq!(along(1, &[a.clone(), b.clone()]), Ok(Shape::batched(&[6, 3])));
        assert_eq!(along(2, &[a.clone(), a.clone(), a.clone()]), Ok(Shape::batched(&[2, 9])));
        let error = along(2, &[a.clone(), b.clone()]).expect_err("axis 1 differs").to_string();
        assert_eq!(error, "shape of an input: expected that of [batch, 2, 3] but for axis 2, got [batch, 4, 3]");
        let error = along(0, &[a.clone(), a.clone()]).expect_err("the batch").to_string();
        let expected = "expected one that every input has, and not the batch, got axis 0 of [batch, 2, 3]";
        assert_eq!(error, format!("axis to concatenate along: {expected}"));
        assert!(along(3, &[a.clone(), b]).is_err());
        assert!(along(1, &[]).is_err());
        assert!(along(1, &[a, Shape::batched(&[2])]).is_err());
    }
}
