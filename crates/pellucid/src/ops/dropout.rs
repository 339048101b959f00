//! Dropout: in training y = x m / (1 - rate), where m is 0 with probability `rate`, else 1; at inference y = x, a view.
//!
//! ∂L/∂x = dy m / (1 - rate). The mask is a function of seed, step, node and place ([`Run::random`]), so the backward
//! pass makes it again, and nothing is saved. NaN and infinities go through also where they are dropped (as NaN).
//!
//! Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: a simple way to prevent neural networks from
//! overfitting", 2014 ("inverted", so that inference needs no factor).

use kernels::random::{dropout, dropout_in_place};

use super::{Attributes, Backward, Forward, Op, Reads, Run, ShapeError, Sizes, attributes_of, view};
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

    fn flops(&self, at: Sizes) -> u64 {
        at.output_elements() as u64
    }

    fn is_view(&self, training: bool) -> bool {
        !training || self.rate == 0.0
    }

    fn in_place(&self) -> bool {
        true
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

    fn backward(&self, run: &Run, mut pass: Backward) {
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
