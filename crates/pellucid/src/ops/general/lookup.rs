//! Rows of a value by number: y[b, …, :] = x[b, i[b, …], :], 0 for a number that is none; ∂L/∂x sums dy over the places that took a row. Where one
//! table serves all rows of the batch, it is an [`crate::ops::Embedding`].

use crate::ops::check::{Bound, Case, Input, Values};
use crate::ops::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes};
use crate::tensor::{Dim, Shape};

/// x [batch, n, width] and whole numbers i [batch, …] below n → y [batch, …, width].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Lookup;

/// Where row `place` of the output comes from, if from anywhere.
pub(super) fn row(indices: &[f32], place: usize, rows: usize, [batch, n]: [usize; 2]) -> Option<usize> {
    let index = indices[place];
    let sample = place / (rows / batch.max(1)).max(1);
    (index >= 0.0 && index < n as f32).then(|| sample * n + index as usize)
}

impl Op for Lookup {
    fn name(&self) -> &'static str {
        "Lookup"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x, indices] = ShapeError::expect_inputs::<2>(inputs)?;
        let &[Dim::Batch, Dim::Fixed(1..), width @ Dim::Fixed(1..)] = x.axes() else {
            return Err(ShapeError::size("shape of the input", "[batch, n, width]", x));
        };
        ShapeError::expect_sample(indices)?;
        Ok(Shape::new(indices.axes().iter().copied().chain([width]))?)
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[1])
    }

    fn differentiable(&self, index: usize) -> bool {
        index == 0
    }

    fn flops(&self, _: Sizes) -> u64 {
        0
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let (rows, [n, width]) = (at.inputs[1].len(), [at.dims[0][1], at.dims[0][2]]);
        let each = rows / at.dims[0][0].max(1);
        let mut y = Vec::new();
        for (place, &index) in at.inputs[1].iter().enumerate() {
            let known = (0.0..n as f64).contains(&index);
            let start = (place / each.max(1) * n + index as usize) * width;
            y.extend((0..width).map(|i| if known { at.inputs[0][start + i] } else { 0.0 }));
        }
        Some(y)
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [x, indices] = [pass.inputs[0], pass.inputs[1]];
        let (rows, width) = (indices.data.len(), x.dims[2]);
        run.device.split_rows(rows, (8192 / width).max(1), (pass.output, width), [], |first, y, []| {
            for (i, y) in y.chunks_exact_mut(width).enumerate() {
                match row(indices.data, first + i, rows, [x.dims[0], x.dims[1]]) {
                    Some(row) => y.copy_from_slice(&x.data[row * width..][..width]),
                    None => y.fill(0.0),
                }
            }
        });
    }

    fn backward(&self, _: &Run, pass: Backward) {
        let [x, indices] = [pass.inputs[0], pass.inputs[1]];
        let (rows, width) = (indices.data.len(), x.dims[2]);
        let Some(dx) = &mut pass.dx[0] else { return };
        dx.fill(0.0);
        for (place, dy) in pass.dy.chunks_exact(width).enumerate() {
            if let Some(row) = row(indices.data, place, rows, [x.dims[0], x.dims[1]]) {
                dx[row * width..][..width].iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
            }
        }
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |[n, width]: [usize; 2], indices: &[usize]| {
        let numbers = Input::new(Shape::batched(indices), Values::Labels(n as u32 + 1));
        Case::new(Lookup, [Input::batched(&[n, width]), numbers])
            .named(format!("{indices:?} of {n} rows of {width}"))
            .within(Bound::EXACT, Bound::magnitude(8.0, "a sum over places").and_absolute(8.0))
            .refuses([Shape::batched(&[2]), Shape::batched(&[2])], "expected [batch, n, width]")
            .refuses([Shape::batched(&[2, 2]), Shape::fixed(&[2])], "expected [batch, …]")
            .refuses([Shape::batched(&[2, 2])], "takes 2 inputs, got 1")
    };
    vec![of([5, 3], &[4]), of([2, 17], &[2, 3]), of([3, 1], &[]), of([6, 40], &[300])]
}
