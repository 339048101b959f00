//! Gated linear unit over the last axis: x is two halves, a and b, and y = a σ(b), σ the logistic function.
//!
//! Shapes: x [rows…, 2n] → y [rows…, n]. ∂L/∂a = dy σ(b), ∂L/∂b = dy a σ(b) (1 - σ(b)).
//!
//! Dauphin, Fan, Auli and Grangier, "Language modeling with gated convolutional networks", 2017.

use kernels::binary::{self, Binary, Mul};
use kernels::math::{SIGMOID_ULP, sigmoid};
use kernels::simd::Simd;

use super::check::{Bound, Case, Input, Values};
use super::gate::{GATE_ULP, gate};
use super::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes};
use crate::tensor::Shape;

/// y = a σ(b), a and b the halves of the last axis
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Glu;

/// Rows of `n` results of a task: some microseconds.
fn rows_of_task(n: usize) -> usize {
    (4096 / n).max(1)
}

impl Op for Glu {
    fn name(&self) -> &'static str {
        "Glu"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        let size = ShapeError::expect_last_axis(x)?;
        if !size.is_multiple_of(2) {
            return Err(ShapeError::size("last axis of the input", "an even size", size));
        }
        Ok(x.with_last(size / 2))
    }

    fn reads(&self) -> Reads {
        Reads::INPUT
    }

    fn flops(&self, at: Sizes) -> u64 {
        11 * at.output_elements() as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let row = |x: &[f64]| -> Vec<f64> {
            let (a, b) = x.split_at(x.len() / 2);
            a.iter().zip(b).map(|(a, b)| a / (1.0 + libm::exp(-b))).collect()
        };
        Some(at.inputs[0].chunks(*at.dims[0].last()?).flat_map(row).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (rows, width) = pass.inputs[0].as_rows();
        let (n, x) = (width / 2, pass.inputs[0].data);
        run.device.split_rows(rows, rows_of_task(n), (pass.output, n), [], |first, y, []| {
            for (y, x) in y.chunks_exact_mut(n).zip(x[first * width..].chunks_exact(width)) {
                let (a, b) = x.split_at(n);
                binary::zip(run.device, Gated, a, b, y);
            }
        });
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (rows, width) = pass.inputs[0].as_rows();
        let (n, x, dy) = (width / 2, pass.inputs[0].data, pass.dy);
        let Some(dx) = &mut pass.dx[0] else { return };
        run.device.split_rows(rows, rows_of_task(n), (dx, width), [], |first, dx, []| {
            let inputs = x[first * width..].chunks_exact(width).zip(dy[first * n..].chunks_exact(n));
            for (dx, (x, dy)) in dx.chunks_exact_mut(width).zip(inputs) {
                let ((a, b), (da, db)) = (x.split_at(n), dx.split_at_mut(n));
                binary::zip(run.device, Gated, dy, b, da);
                binary::zip(run.device, GateSlope, a, b, db);
                binary::zip_in_place(run.device, Mul, db, dy);
            }
        });
    }
}

/// a σ(b); -∞ · 0 and the like are NaN
#[derive(Clone, Copy)]
struct Gated;

impl Binary for Gated {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, a: S::Float, b: S::Float) -> S::Float {
        s.mul(a, sigmoid(s, b))
    }
}

/// a σ(b) (1 - σ(b))
#[derive(Clone, Copy)]
struct GateSlope;

impl Binary for GateSlope {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, a: S::Float, b: S::Float) -> S::Float {
        let (gate, rest) = gate(s, b);
        s.mul(a, s.mul(gate, rest))
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let value = Bound::relative(SIGMOID_ULP + 0.5, "the logistic function's own, and one product");
    let gradient = Bound::relative(2.0 * GATE_ULP + 1.5, "two gates and three products");
    let of = |sample: &[usize]| {
        let width = *sample.last().expect("an axis");
        let input = Input::new(Shape::batched(sample), Values::Normal(3.0));
        Case::new(Glu, [input])
            .named(format!("{sample:?}"))
            .batches([0, 1, 2, 5, 10_000 / width])
            .within(value, gradient)
            .refuses([Shape::batched(&[3])], "last axis of the input: expected an even size, got 3")
            .refuses([Shape::batched(&[])], "an axis after the batch")
            .refuses([Shape::batched(&[2]), Shape::batched(&[2])], "takes 1 inputs, got 2")
    };
    vec![of(&[2]), of(&[3, 18]), of(&[64])]
}
