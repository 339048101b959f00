//! Dense (fully connected): y = x·Wᵀ + b.
//!
//! Shapes: x [rows…, in], W [out, in], b [out] → y [rows…, out]; all axes of x but the last count as rows.
//! With dy = ∂L/∂y [rows, out]:
//!
//! * ∂L/∂x = dy·W          [rows, in]
//! * ∂L/∂W = dyᵀ·x         [out, in]
//! * ∂L/∂b = Σ_rows dy     [out]
//!
//! (Goodfellow, Bengio and Courville, *Deep Learning*, 2016, section 6.5.)

use kernels::device::Device;
use kernels::gemm::{Gemm, GemmPacked, Matrix, PackedMatrix, gemm, gemm_packed, gemm_scratch};
use kernels::reduce::column_sums;

use super::check::{Bound, Case, Input};
use super::{Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes};
use crate::tensor::{Dim, Shape, Tensor};

/// Dense with inputs x, W and, unless there is no bias, b.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Dense;

/// Rows, in and out of the product.
fn sizes(x: &[usize], y: &[usize]) -> (usize, usize, usize) {
    let (rows, inner) = Tensor { dims: x, data: &[] }.as_rows();
    (rows, inner, y.last().copied().unwrap_or(1))
}

impl Op for Dense {
    fn name(&self) -> &'static str {
        "Gemm"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let (x, weight, bias) = match inputs {
            [x, weight] => (x, weight, None),
            [x, weight, bias] => (x, weight, Some(bias)),
            _ => return Err(ShapeError::InputCount { expected: "2 or 3", found: inputs.len() }),
        };
        let &[Dim::Fixed(out), Dim::Fixed(inner)] = weight.axes() else {
            return Err(ShapeError::size("shape of the weight", "[out, in]", weight));
        };
        if x.last() != Some(inner) {
            let found = x.last().map_or(x.to_string(), |size| size.to_string());
            return Err(ShapeError::size("last axis of the input", format!("{inner} (as the weight has)"), found));
        }
        if let Some(bias) = bias.filter(|bias| **bias != Shape::fixed(&[out])) {
            return Err(ShapeError::size("shape of the bias", Shape::fixed(&[out]), bias));
        }
        Ok(x.with_last(out))
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0, 1])
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        let (rows, inner, out) = sizes(at.inputs[0], at.output);
        let backward = gemm_scratch(out, inner, rows).max(gemm_scratch(rows, inner, out));
        Memory {
            saved: 0,
            forward: gemm_scratch(rows, out, inner),
            backward: if training { backward } else { 0 },
            ..Memory::default()
        }
    }

    fn ignores_padding(&self, _: usize) -> bool {
        true
    }

    fn flops(&self, at: Sizes) -> u64 {
        let (rows, inner, out) = sizes(at.inputs[0], at.output);
        2 * rows as u64 * inner as u64 * out as u64
    }

    fn takes_epilogue(&self) -> bool {
        true
    }

    fn pack(&self, device: &Device, inputs: &[Tensor]) -> Option<PackedMatrix> {
        let weight = inputs[1];
        let (out, inner) = weight.as_rows();
        (!weight.data.is_empty())
            .then(|| PackedMatrix::new(device, inner, out, Matrix::row_major(weight.data, inner).transposed()))
    }

    fn folds_channels(&self, output: &Shape) -> bool {
        output.rank() == 2
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        Some(["y = x·Wᵀ + b", "∂L/∂x = dy·W, ∂L/∂W = dyᵀ·x, ∂L/∂b = sum of dy over the rows"])
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let [x, weight] = [&at.inputs[0], &at.inputs[1]];
        let (out, inner) = (at.dims[1][0], at.dims[1][1]);
        let row = |x: &[f64]| -> Vec<f64> {
            let product = |i: usize| (0..inner).map(|k| x[k] * weight[i * inner + k]).sum::<f64>();
            (0..out).map(|i| product(i) + at.inputs.get(2).map_or(0.0, |bias| bias[i])).collect()
        };
        Some(x.chunks(inner).flat_map(row).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [x, weight] = [pass.inputs[0], pass.inputs[1]];
        let bias = pass.inputs.get(2).map(|bias| bias.data);
        let (m, k, n) = sizes(x.dims, pass.dims);
        let a = Matrix::row_major(x.data, k);
        let epilogue = pass.epilogue;
        match pass.packed {
            Some(b) => {
                gemm_packed(run.device, &GemmPacked { m, a, b, bias, accumulate: false, epilogue }, pass.output);
            }
            None => {
                let b = Matrix::row_major(weight.data, k).transposed();
                let product = Gemm { m, n, k, a, b, bias, accumulate: false, epilogue };
                gemm(run.device, &product, pass.output, pass.scratch);
            }
        }
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let [x, weight] = [pass.inputs[0], pass.inputs[1]];
        let (rows, inner, out) = sizes(x.dims, pass.output.dims);
        let product = |m, n, k, a, b| Gemm { m, n, k, a, b, bias: None, accumulate: false, epilogue: None };
        let dy = Matrix::row_major(pass.dy, out);
        if let Some(db) = pass.dx.get_mut(2).and_then(Option::as_mut) {
            column_sums(run.device, pass.dy, db);
        }
        if let Some(dw) = &mut pass.dx[1] {
            let x = Matrix::row_major(x.data, inner);
            gemm(run.device, &product(out, inner, rows, dy.transposed(), x), dw, pass.scratch);
        }
        if let Some(dx) = &mut pass.dx[0] {
            let weight = Matrix::row_major(weight.data, inner);
            gemm(run.device, &product(rows, inner, out, dy, weight), dx, pass.scratch);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let of = |name: &str, sample: &[usize], out: usize, with_bias: bool, batches: &[usize]| {
        let inner = *sample.last().expect("an axis");
        let mut inputs = vec![Input::batched(sample), Input::fixed(&[out, inner])];
        inputs.extend(with_bias.then(|| Input::fixed(&[out])));
        let rows: usize = batches.iter().max().expect("a batch") * sample.iter().rev().skip(1).product::<usize>();
        let longest = rows.max(inner).max(out) as f64;
        let bound = Bound::magnitude(0.5 * (longest + 1.0), "half a unit for each of the terms of a sum");
        let [x, weight, bias] = [Shape::batched(sample), Shape::fixed(&[out, inner]), Shape::fixed(&[out])];
        Case::new(Dense, inputs)
            .named(name)
            .batches(batches.iter().copied())
            .within(bound, bound)
            .refuses([x.clone()], "takes 2 or 3 inputs, got 1")
            .refuses([x.clone(), weight.clone(), bias.clone(), bias.clone()], "takes 2 or 3 inputs, got 4")
            .refuses([x.clone(), bias.clone(), bias.clone()], "shape of the weight: expected [out, in]")
            .refuses([x.with_last(inner + 1), weight.clone()], "last axis of the input")
            .refuses([x.clone(), weight, Shape::fixed(&[out + 1])], "shape of the bias")
    };
    vec![
        of("one number", &[1], 1, true, &[1, 2]),
        of("tails", &[17], 9, true, &[1, 2, 5, 33]),
        of("without bias", &[6], 4, false, &[1, 3]),
        of("rows of rows", &[3, 6], 5, true, &[1, 2]),
        of("several tasks", &[65], 129, true, &[1, 70]),
    ]
}
