//! Matrix products: C = A·B for each of the leading axes, which are broadcast. A [batch, …, m, k], B [batch, …, k, n], one of which may have no
//! batch → C [batch, …, m, n]. ∂L/∂A = dC·Bᵀ, ∂L/∂B = Aᵀ·dC, summed where one matrix counts for many places.
//!
//! Where B is one matrix of weights, [`crate::ops::Dense`] is one product for all rows.

use kernels::gemm::{Gemm, Matrix, gemm, gemm_scratch};

use super::walk::{Walk, broadcast_shape};
use crate::ops::check::{Bound, Case, Input};
use crate::ops::{Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes};
use crate::tensor::{Dim, Shape};

/// C = A·B
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MatMul;

/// Rows, inner size and columns of the matrices.
fn sizes(a: &[usize], b: &[usize]) -> (usize, usize, usize) {
    (a[a.len() - 2], a[a.len() - 1], b[b.len() - 1])
}

/// Which matrices of a and b make each matrix of c.
fn walk(a: &[usize], b: &[usize], c: &[usize]) -> (Walk<2>, usize) {
    let leading = |dims: &'_ [usize]| dims.len() - 2;
    let places = c[..leading(c)].iter().product();
    (Walk::broadcast([&a[..leading(a)], &b[..leading(b)]], &c[..leading(c)]), places)
}

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "MatMul"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [a, b] = ShapeError::expect_inputs::<2>(inputs)?;
        let split = |shape: &Shape| match *shape.axes() {
            [ref leading @ .., Dim::Fixed(rows), Dim::Fixed(columns)] => Some((leading.to_vec(), rows, columns)),
            _ => None,
        };
        let (Some((left, m, inner)), Some((right, k, n))) = (split(a), split(b)) else {
            return Err(ShapeError::size("shape of an input", "[batch, …, rows, columns]", format!("{a} and {b}")));
        };
        if inner != k {
            return Err(ShapeError::size("rows of the second matrix", format!("{inner} (columns of {a})"), b));
        }
        let leading = broadcast_shape(&[Shape::new(left)?, Shape::new(right)?])?;
        Ok(Shape::new(leading.axes().iter().copied().chain([Dim::Fixed(m), Dim::Fixed(n)]))?)
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0, 1])
    }

    fn memory(&self, at: Sizes, training: bool) -> Memory {
        let (m, k, n) = sizes(at.inputs[0], at.inputs[1]);
        let backward = if training { gemm_scratch(m, k, n).max(gemm_scratch(k, n, m)) } else { 0 };
        Memory { forward: gemm_scratch(m, n, k), backward, ..Memory::default() }
    }

    fn flops(&self, at: Sizes) -> u64 {
        2 * at.output_elements() as u64 * sizes(at.inputs[0], at.inputs[1]).1 as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let (m, k, n) = sizes(&at.dims[0], &at.dims[1]);
        let (walk, places) = walk(&at.dims[0], &at.dims[1], at.output_dims);
        let mut c = Vec::new();
        walk.each(places, |_, [a, b]| {
            let (a, b) = (&at.inputs[0][a * m * k..][..m * k], &at.inputs[1][b * k * n..][..k * n]);
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                c.push((0..k).map(|l| a[i * k + l] * b[l * n + j]).sum());
            }
        });
        Some(c)
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [a, b] = [pass.inputs[0], pass.inputs[1]];
        let (m, k, n) = sizes(a.dims, b.dims);
        let (walk, places) = walk(a.dims, b.dims, pass.dims);
        walk.each(places, |place, [i, j]| {
            let a = Matrix::row_major(&a.data[i * m * k..][..m * k], k);
            let b = Matrix::row_major(&b.data[j * k * n..][..k * n], n);
            let product = Gemm { m, n, k, a, b, bias: None, accumulate: false, epilogue: None };
            gemm(run.device, &product, &mut pass.output[place * m * n..][..m * n], pass.scratch);
        });
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let [a, b] = [pass.inputs[0], pass.inputs[1]];
        let (m, k, n) = sizes(a.dims, b.dims);
        let (walk, places) = walk(a.dims, b.dims, pass.output.dims);
        let [da, db] = &mut pass.dx[..] else { return };
        for gradient in [&mut *da, &mut *db].into_iter().flatten() {
            gradient.fill(0.0);
        }
        walk.each(places, |place, [i, j]| {
            let dc = Matrix::row_major(&pass.dy[place * m * n..][..m * n], n);
            if let Some(da) = da {
                let b = Matrix::row_major(&b.data[j * k * n..][..k * n], n).transposed();
                let product = Gemm { m, n: k, k: n, a: dc, b, bias: None, accumulate: true, epilogue: None };
                gemm(run.device, &product, &mut da[i * m * k..][..m * k], pass.scratch);
            }
            if let Some(db) = db {
                let a = Matrix::row_major(&a.data[i * m * k..][..m * k], k).transposed();
                let product = Gemm { m: k, n, k: m, a, b: dc, bias: None, accumulate: true, epilogue: None };
                gemm(run.device, &product, &mut db[j * k * n..][..k * n], pass.scratch);
            }
        });
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |name: &str, a: Input, b: Input, k: f64| {
        let bound = Bound::magnitude(0.5 * k + 1.0, "half a unit for each term of a chain");
        Case::new(MatMul, [a, b])
            .named(name)
            .within(bound, Bound::magnitude(60.0, "chains over rows, columns and the batch"))
            .refuses([Shape::batched(&[2, 3]), Shape::batched(&[4, 5])], "rows of the second matrix")
            .refuses([Shape::batched(&[2]), Shape::batched(&[2, 2])], "shape of an input")
            .refuses([Shape::batched(&[2, 2])], "takes 2 inputs, got 1")
    };
    vec![
        of("one each", Input::batched(&[3, 5]), Input::batched(&[5, 4]), 5.0),
        of("heads", Input::batched(&[2, 7, 17]), Input::batched(&[2, 17, 9]), 17.0),
        of("broadcast", Input::batched(&[3, 1, 2, 4]), Input::batched(&[1, 2, 4, 3]), 4.0),
        of("a matrix for all", Input::batched(&[2, 3, 8]), Input::fixed(&[8, 5]), 8.0),
        of("a matrix in front", Input::fixed(&[5, 8]), Input::batched(&[2, 8, 3]), 8.0),
    ]
}
