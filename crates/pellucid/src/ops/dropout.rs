//! Dropout: in training y = x m / (1 - rate), where m is 0 with probability `rate`, else 1; at inference y = x, a view.
//!
//! ∂L/∂x = dy m / (1 - rate). The mask is a function of seed, step, node and place ([`Run::random`]), so the backward
//! pass makes it again, and nothing is saved. NaN and infinities go through also where they are dropped (as NaN).
//!
//! Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent neural networks from
//! overfitting", 2014 ("inverted", so that inference needs no factor).

use kernels::random::{dropout, dropout_in_place};

use super::check::{Bound, Case, Input};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of, view};
use crate::tensor::Shape;

/// Zeros each value with probability `rate` in training.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dropout {
    /// Probability that a value is dropped, 0 to 1; 0.5 by default. It is rounded to a multiple of 2⁻¹⁶.
    pub rate: f32,
}

impl Default for Dropout {
    fn default() -> Dropout {
        Dropout { rate: 0.5 }
    }
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "Dropout"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        ShapeError::expect_setting("rate", self.rate, "a number from 0 to 1", |rate| (0.0..=1.0).contains(&rate))?;
        ShapeError::expect_inputs::<1>(inputs).map(|[x]| x.clone())
    }

    fn reads(&self) -> Reads {
        Reads::NOTHING
    }

    fn ignores_padding(&self, _: usize) -> bool {
        true
    }

    fn flops(&self, at: Sizes) -> u64 {
        at.output_elements() as u64
    }

    fn is_view(&self, training: bool) -> bool {
        !training || self.rate == 0.0
    }

    fn in_place(&self) -> bool {
        true
    }

    fn is_random(&self) -> bool {
        self.rate > 0.0
    }

    fn at_inference(&self) -> Option<Box<dyn Op>> {
        Some(Box::new(Dropout { rate: 0.0 }))
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        // Of each 128 values, eight vectors of 16 lanes: those with an even number have the low halves of the words.
        let kept = |i: usize| {
            let (group, vector, lane) = (i / 128, i % 128 / 16, i % 16);
            let word = at.random.u32_at((group * 64 + vector / 2 * 16 + lane) as u64);
            f64::from(word >> (vector % 2 * 16) & 0xffff) >= (f64::from(self.rate) * 65536.0).round()
        };
        let scale = 1.0 / (1.0 - f64::from(self.rate));
        Some(at.inputs[0].iter().enumerate().map(|(i, x)| if kept(i) { x * scale } else { 0.0 }).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0].data;
        if self.is_view(run.training) {
            view::forward(pass);
        } else if x.is_empty() {
            dropout_in_place(run.device, run.random(), self.rate, pass.output);
        } else {
            dropout(run.device, run.random(), self.rate, x, pass.output);
        }
    }

    fn backward(&self, run: &Run, pass: Backward) {
        if self.is_view(run.training) {
            return view::backward(pass);
        }
        let Some(dx) = &mut pass.dx[0] else { return };
        if pass.dy.is_empty() {
            dropout_in_place(run.device, run.random(), self.rate, dx);
        } else {
            dropout(run.device, run.random(), self.rate, pass.dy, dx);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let bound = Bound::relative(1.5, "1 / (1 - rate) has two roundings, and a product");
    let of = |rate: f32| {
        Case::new(Dropout { rate }, [Input::batched(&[])])
            .named(rate)
            .batches((0..=33).chain([127, 129, 300, 40_001]))
            .within(bound, bound)
            .differs_at_inference()
            .refuses([Shape::scalar(), Shape::scalar()], "takes 1 inputs, got 2")
    };
    vec![of(0.0), of(0.1), of(0.5), of(0.9), of(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_that_are_no_probabilities_are_refused() {
        for (rate, found) in [(-0.1, "-0.1"), (1.5, "1.5"), (f32::NAN, "NaN")] {
            let error = Dropout { rate }.output_shape(&[Shape::batched(&[2])]).expect_err("a wrong rate");
            assert_eq!(error.to_string(), format!("rate must be a number from 0 to 1, but it is {found}"));
        }
    }
}
