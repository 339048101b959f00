//! Choice: y = a where c is not 0, else b, with broadcasting; ∂L/∂a = dy where c is not 0, ∂L/∂b elsewhere, summed where one value
//! counts for many places.

use super::walk::{Walk, broadcast_shape};
use crate::ops::check::{Bound, Case, Input, Values};
use crate::ops::{Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes};
use crate::tensor::Shape;

/// y = a where c is not 0, else b; inputs c, a, b.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Choose;

impl Op for Choose {
    fn name(&self) -> &'static str {
        "Where"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        broadcast_shape(ShapeError::expect_inputs::<3>(inputs)?)
    }

    fn reads(&self) -> Reads {
        Reads::INPUT
    }

    fn differentiable(&self, index: usize) -> bool {
        index > 0
    }

    fn flops(&self, at: Sizes) -> u64 {
        at.output_elements() as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let [c, a, b] = [&at.inputs[0], &at.inputs[1], &at.inputs[2]];
        let mut y = vec![0.0; at.output_dims.iter().product()];
        let places = y.len();
        let walk = Walk::broadcast([&at.dims[0], &at.dims[1], &at.dims[2]], at.output_dims);
        walk.each(places, |place, [i, j, k]| y[place] = if c[i] != 0.0 { a[j] } else { b[k] });
        Some(y)
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [c, a, b] = [pass.inputs[0], pass.inputs[1], pass.inputs[2]];
        let walk = Walk::broadcast([c.dims, a.dims, b.dims], pass.dims);
        walk.map(run.device, pass.output, |[i, j, k]| if c.data[i] != 0.0 { a.data[j] } else { b.data[k] });
    }

    fn backward(&self, _: &Run, pass: Backward) {
        let [c, a, b] = [pass.inputs[0], pass.inputs[1], pass.inputs[2]];
        let walk = Walk::broadcast([c.dims, a.dims, b.dims], pass.output.dims);
        let [_, da, db] = &mut pass.dx[..] else { return };
        for gradient in [&mut *da, &mut *db].into_iter().flatten() {
            gradient.fill(0.0);
        }
        walk.each(pass.dy.len(), |place, [i, j, k]| match (c.data[i] != 0.0, &mut *da, &mut *db) {
            (true, Some(da), _) => da[j] += pass.dy[place],
            (false, _, Some(db)) => db[k] += pass.dy[place],
            _ => {}
        });
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |name: &str, c: Shape, a: Shape, b: Shape| {
        let normal = |shape: Shape| Input::new(shape, Values::Normal(1.0));
        Case::new(Choose, [Input::new(c, Values::Choice(vec![0.0, 1.0])), normal(a), normal(b)])
            .named(name)
            .within(Bound::EXACT, Bound::magnitude(50.0, "half a unit for each place of a sum").and_absolute(20.0))
            .refuses([Shape::batched(&[2]), Shape::batched(&[2])], "takes 3 inputs, got 2")
            .refuses([Shape::batched(&[2]), Shape::batched(&[3]), Shape::batched(&[2])], "sizes to broadcast")
    };
    let x = Shape::batched(&[3, 17]);
    vec![
        of("equal shapes", x.clone(), x.clone(), x.clone()),
        of("a mask for all rows", Shape::fixed(&[3, 17]), x.clone(), Shape::scalar()),
        of("crossed", Shape::batched(&[1, 17]), Shape::batched(&[3, 1]), x),
    ]
}
