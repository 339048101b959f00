//! Places of an axis by a list: y[…, i, …] = x[…, places[i], …], a fixed value where a place is none. Slices with steps, borders, repetition,
//! reversal and the nearest neighbour are all of that kind. ∂L/∂x sums dy over the places that took a value.

use super::walk::{around, expect_axis};
use crate::ops::check::{Bound, Case, Input};
use crate::ops::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape};

/// Output place i of an axis is input place `places[i]`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// Of which axis; the batch is axis 0.
    pub axis: usize,
    /// Places of the input; -1 for `fill`.
    pub places: Vec<i64>,
    /// What stands where there is none; finite.
    pub fill: f32,
}

impl Op for Take {
    fn name(&self) -> &'static str {
        "Take"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        ShapeError::expect_setting("fill", self.fill, "a finite number", |_| true)?;
        let size = expect_axis(x, self.axis)?;
        if let Some(&wrong) = self.places.iter().find(|&&place| place < -1 || place >= size as i64) {
            return Err(ShapeError::size("place of the axis", format!("-1 to {}", size as i64 - 1), wrong));
        }
        let axes = x.axes().iter().enumerate();
        Ok(Shape::new(axes.map(|(i, &dim)| if i == self.axis { Dim::Fixed(self.places.len()) } else { dim }))?)
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn flops(&self, _: Sizes) -> u64 {
        0
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let (outer, size, inner) = around(&at.dims[0], self.axis);
        let mut y = Vec::new();
        for row in 0..outer {
            for &place in &self.places {
                let value = |i: usize| match usize::try_from(place) {
                    Ok(place) => at.inputs[0][(row * size + place) * inner + i],
                    Err(_) => f64::from(self.fill),
                };
                y.extend((0..inner).map(value));
            }
        }
        Some(y)
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0];
        let (outer, size, inner) = around(x.dims, self.axis);
        let width = self.places.len() * inner;
        if width == 0 {
            return;
        }
        run.device.split_rows(outer, (8192 / width).max(1), (pass.output, width), [], |first, y, []| {
            for (row, y) in y.chunks_exact_mut(width).enumerate() {
                let x = &x.data[(first + row) * size * inner..][..size * inner];
                for (y, &place) in y.chunks_exact_mut(inner).zip(&self.places) {
                    match usize::try_from(place) {
                        Ok(place) => y.copy_from_slice(&x[place * inner..][..inner]),
                        Err(_) => y.fill(self.fill),
                    }
                }
            }
        });
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let Some(dx) = &mut pass.dx[0] else { return };
        let (outer, size, inner) = around(pass.inputs[0].dims, self.axis);
        let width = self.places.len() * inner;
        let row_of_dx = (size * inner).max(1);
        run.device.split_rows(outer, (8192 / row_of_dx).max(1), (dx, size * inner), [], |first, dx, []| {
            for (row, dx) in dx.chunks_exact_mut(row_of_dx).enumerate() {
                dx.fill(0.0);
                let dy = &pass.dy[(first + row) * width..][..width];
                for (dy, &place) in dy.chunks_exact(inner.max(1)).zip(&self.places) {
                    if let Ok(place) = usize::try_from(place) {
                        dx[place * inner..][..inner].iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
                    }
                }
            }
        });
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |axis: usize, places: &[i64], sample: &[usize]| {
        Case::new(Take { axis, places: places.to_vec(), fill: 0.5 }, [Input::batched(sample)])
            .named(format!("{places:?} of axis {axis} of {sample:?}"))
            .within(Bound::EXACT, Bound::magnitude(4.0, "a sum over some places").and_absolute(4.0))
            .refuses([Shape::batched(&[])], "axis: expected one that there is")
            .refuses([Shape::batched(&[1, 1, 1])], "place of the axis: expected -1 to 0")
            .refuses([Shape::batched(sample), Shape::batched(sample)], "takes 1 inputs, got 2")
    };
    vec![
        of(1, &[3, 2, 1, 0], &[4, 3]),
        of(2, &[-1, 0, 1, 1, 0, -1, -1], &[2, 3, 5]),
        of(3, &[0, 2], &[2, 1, 3]),
        of(1, &[2; 40], &[3, 50]).batches([1, 20]),
    ]
}
