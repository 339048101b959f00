//! Where the greatest values of the last axis stand, the greatest first: [batch, …, n] → [batch, …, k], whole numbers below n. Equal values in the
//! order in which they stand. No gradient flows through places; the values at them are found with [`super::Lookup`].

use serde::{Deserialize, Serialize};

use crate::ops::check::{Bound, Case, Input};
use crate::ops::{Attributes, Backward, Forward, Memory, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::Shape;

/// The places of the `count` greatest values, or of the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Top {
    /// How many, from 1 to n.
    pub count: usize,
    /// The greatest; else the least.
    pub largest: bool,
}

impl Top {
    fn order(self, x: &[f64]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_by(|&i, &j| if self.largest { x[j].total_cmp(&x[i]) } else { x[i].total_cmp(&x[j]) });
        order
    }
}

impl Op for Top {
    fn name(&self) -> &'static str {
        "Top"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        let size = ShapeError::expect_last_axis(x)?;
        if self.count == 0 || self.count > size {
            let expected = format!("from 1 to {size}, the size of the last axis");
            return Err(ShapeError::Setting { name: "count", expected, found: self.count.to_string() });
        }
        Ok(x.with_last(self.count))
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn differentiable(&self, _: usize) -> bool {
        false
    }

    fn memory(&self, at: Sizes, _: bool) -> Memory {
        Memory { forward: at.inputs[0].last().copied().unwrap_or(0), ..Memory::default() }
    }

    fn flops(&self, at: Sizes) -> u64 {
        at.input_elements(0) as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let n = at.dims[0].last().copied().unwrap_or(1);
        let rows = at.inputs[0].chunks_exact(n.max(1));
        Some(rows.flat_map(|x| self.order(x).into_iter().take(self.count).map(|place| place as f64)).collect())
    }

    fn forward(&self, _: &Run, pass: Forward) {
        let x = pass.inputs[0];
        let n = x.dims.last().copied().unwrap_or(1);
        for (x, y) in x.data.chunks_exact(n).zip(pass.output.chunks_exact_mut(self.count)) {
            let order = &mut pass.scratch[..n];
            order.iter_mut().enumerate().for_each(|(place, order)| *order = place as f32);
            order.sort_unstable_by(|&i, &j| {
                let [a, b] = [x[i as usize], x[j as usize]];
                let by_value = if self.largest { b.total_cmp(&a) } else { a.total_cmp(&b) };
                by_value.then(i.total_cmp(&j))
            });
            y.copy_from_slice(&order[..self.count]);
        }
    }

    fn backward(&self, _: &Run, _: Backward) {}
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |count: usize, largest: bool, sample: &[usize]| {
        Case::new(Top { count, largest }, [Input::batched(sample)])
            .named(format!("{count} of {sample:?}"))
            .within(Bound::EXACT, Bound::EXACT)
            .refuses([Shape::batched(&[0])], "shape of the input")
            .refuses([Shape::batched(sample), Shape::batched(sample)], "takes 1 inputs, got 2")
    };
    vec![of(3, true, &[17]), of(1, false, &[2, 5]), of(4, false, &[4])]
}
