//! Axes in another order, the batch in front: y[b, i, j, …] = x[b, …]. The gradient goes the way back.

use super::walk::Walk;
use crate::ops::check::{Bound, Case, Input};
use crate::ops::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::Shape;

/// Axis i of the output is axis `order[i]` of the input.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transpose {
    /// Every axis once; the batch, 0, stays the first.
    pub order: Vec<usize>,
}

impl Transpose {
    fn back(&self) -> Vec<usize> {
        let mut back = vec![0; self.order.len()];
        self.order.iter().enumerate().for_each(|(to, &from)| back[from] = to);
        back
    }
}

impl Op for Transpose {
    fn name(&self) -> &'static str {
        "Transpose"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..x.rank()) || (x.is_batched() && self.order.first() != Some(&0)) {
            let expected = format!("every axis of {x} once, the batch in front");
            return Err(ShapeError::Setting { name: "order", expected, found: format!("{:?}", self.order) });
        }
        Ok(Shape::new(self.order.iter().map(|&axis| x.axes()[axis]))?)
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn flops(&self, _: Sizes) -> u64 {
        0
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let mut y = vec![0.0; at.inputs[0].len()];
        let places = y.len();
        Walk::permuted(&at.dims[0], &self.order).each(places, |place, [i]| y[place] = at.inputs[0][i]);
        Some(y)
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0];
        Walk::permuted(x.dims, &self.order).map(run.device, pass.output, |[i]| x.data[i]);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let Some(dx) = &mut pass.dx[0] else { return };
        Walk::permuted(pass.output.dims, &self.back()).map(run.device, dx, |[i]| pass.dy[i]);
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |order: &[usize], sample: &[usize]| {
        Case::new(Transpose { order: order.to_vec() }, [Input::batched(sample)])
            .named(format!("{order:?} of {sample:?}"))
            .within(Bound::EXACT, Bound::EXACT)
            .refuses([Shape::batched(&[])], "order must be every axis")
            .refuses([Shape::batched(sample), Shape::batched(sample)], "takes 1 inputs, got 2")
    };
    vec![
        of(&[0, 2, 1], &[3, 5]),
        of(&[0, 3, 1, 2], &[4, 5, 3]),
        of(&[0, 1, 3, 2], &[2, 3, 1]),
        of(&[0, 2, 1, 3], &[70, 3, 60]),
    ]
}
