//! A part of an axis other than the batch: [batch, …, n, …] → [batch, …, end - start, …]. The way back from [`super::Concatenate`].
//!
//! ∂L/∂x is dy at that part and 0 elsewhere.

use super::check::{Bound, Case, Input};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape};

/// Takes the places from `start` on, and before `end`, of an axis. One step of a sequence [batch, time, features] is
/// `Slice { axis: 1, start: t, end: t + 1 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// Of which axis; the batch is axis 0.
    pub axis: usize,
    /// The first place.
    pub start: usize,
    /// The place behind the last.
    pub end: usize,
}

impl Slice {
    /// Rows before the axis; of the values from the axis on, where the part begins and how many it has; how many there are.
    fn layout(self, x: &[usize]) -> (usize, usize, usize, usize) {
        let inner: usize = x[self.axis + 1..].iter().product();
        let rows = x[..self.axis].iter().product();
        (rows, self.start * inner, (self.end - self.start) * inner, x[self.axis] * inner)
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "Slice"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        let Slice { axis, start, end } = *self;
        let Some(&Dim::Fixed(size)) = x.axes().get(axis) else {
            let found = format!("axis {axis} of {x}");
            return Err(ShapeError::size("axis to take a part of", "one that there is, and not the batch", found));
        };
        if start >= end || end > size {
            let expected = format!("a start below an end of at most {size}");
            return Err(ShapeError::size("part of the axis", expected, format!("{start} to {end}")));
        }
        let axes = x.axes().iter().enumerate();
        Ok(Shape::new(axes.map(|(i, &dim)| if i == axis { Dim::Fixed(end - start) } else { dim }))?)
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn ignores_padding(&self, _: usize) -> bool {
        self.axis != 1 || self.end == 1
    }

    fn flops(&self, _: Sizes) -> u64 {
        0
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let inner: usize = at.dims[0][self.axis + 1..].iter().product();
        let rows = at.inputs[0].chunks_exact(at.dims[0][self.axis] * inner);
        Some(rows.flat_map(|x| &x[self.start * inner..self.end * inner]).copied().collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0];
        let (rows, start, part, width) = self.layout(x.dims);
        run.device.split_rows(rows, (8192 / part.max(1)).max(1), (pass.output, part), [], |first, y, []| {
            for (i, y) in y.chunks_exact_mut(part.max(1)).enumerate() {
                y.copy_from_slice(&x.data[(first + i) * width + start..][..part]);
            }
        });
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (rows, start, part, width) = self.layout(pass.inputs[0].dims);
        let Some(dx) = &mut pass.dx[0] else { return };
        run.device.split_rows(rows, (8192 / width.max(1)).max(1), (dx, width), [], |first, dx, []| {
            for (i, dx) in dx.chunks_exact_mut(width.max(1)).enumerate() {
                dx.fill(0.0);
                dx[start..start + part].copy_from_slice(&pass.dy[(first + i) * part..][..part]);
            }
        });
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of = |axis: usize, start: usize, end: usize, sample: &[usize]| {
        Case::new(Slice { axis, start, end }, [Input::batched(sample)])
            .named(format!("{start} to {end} of axis {axis} of {sample:?}"))
            .batches([1, 2, 5, 1000])
            .within(Bound::EXACT, Bound::EXACT)
            .refuses([Shape::batched(&[])], "axis to take a part of")
            .refuses([Shape::batched(&[1; 3])], "part of the axis: expected a start below an end of at most 1")
            .refuses([Shape::batched(sample), Shape::batched(sample)], "takes 1 inputs, got 2")
    };
    vec![of(1, 2, 3, &[4, 3]), of(1, 0, 5, &[5]), of(2, 1, 18, &[2, 20, 3]), of(3, 0, 2, &[2, 1, 7])]
}
