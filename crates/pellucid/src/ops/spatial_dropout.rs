//! Spatial dropout: in training y = x m / (1 - rate), where m is 0 with probability `rate`, else 1, one for each channel of
//! each sample; at inference y = x, a view.
//!
//! Shapes: x [batch, channels, …] → y as x; neighbours of a picture say nearly the same, so that single values would not be
//! missed. ∂L/∂x = dy m / (1 - rate), with the mask made again from seed, step and node. NaN goes through also where it is
//! dropped.
//!
//! (Tompson et al., "Efficient object localization using convolutional networks", 2015.)

use kernels::random::dropout_stretches;

use super::check::{Bound, Case, Input, Sample};
use super::{Attributes, Backward, Forward, Op, Reads, Run, ShapeError, Sizes, attributes_of, view};
use crate::tensor::Shape;

/// Zeros each channel of each sample with probability `rate` in training.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpatialDropout {
    /// Probability of being dropped, 0 to 1. It is rounded to a multiple of 2⁻¹⁶.
    pub rate: f32,
}

/// Values that are dropped or kept together.
fn span(x: &[usize]) -> usize {
    x[2..].iter().product()
}

impl Op for SpatialDropout {
    fn name(&self) -> &'static str {
        "SpatialDropout"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        ShapeError::expect_setting("rate", self.rate, "a number from 0 to 1", |rate| (0.0..=1.0).contains(&rate))?;
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        let sample = ShapeError::expect_sample(x)?;
        if sample.is_empty() || sample.contains(&0) {
            return Err(ShapeError::size("shape of the input", "[batch, channels, …], no size being 0", x));
        }
        Ok(x.clone())
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

    fn is_random(&self) -> bool {
        self.rate > 0.0
    }

    fn forward(&self, run: &Run, pass: Forward) {
        if self.is_view(run.training) {
            return view::forward(pass);
        }
        let x = pass.inputs[0];
        dropout_stretches(run.device, run.random(), self.rate, span(x.dims), x.data, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        if self.is_view(run.training) {
            return view::backward(pass);
        }
        if let Some(dx) = &mut pass.dx[0] {
            dropout_stretches(run.device, run.random(), self.rate, span(pass.output.dims), pass.dy, dx);
        }
    }
}

/// What the checks run on.
pub(super) fn cases() -> Vec<Case> {
    let bound = Bound::relative(1.5, "1 / (1 - rate) has two roundings, and a product");
    let of = |sample: &[usize], rate: f32| {
        let reference = move |at: &Sample| {
            let span = span(&at.dims[0]);
            let kept = |i: usize| {
                let word = at.random.u32_at((i / span) as u64);
                f64::from(word >> 16) >= (f64::from(rate) * 65536.0).round()
            };
            let scale = 1.0 / (1.0 - f64::from(rate));
            at.inputs[0].iter().enumerate().map(|(i, x)| if kept(i) { x * scale } else { 0.0 }).collect()
        };
        let x = Shape::batched(sample);
        Case::new(SpatialDropout { rate }, [Input::batched(sample)], reference)
            .named(format!("{rate} of {sample:?}"))
            .batches([1, 2, 33])
            .within(bound, bound)
            .differs_at_inference()
            .refuses([x.clone(), x], "takes 1 inputs, got 2")
            .refuses([Shape::fixed(&[2, 3])], "shape of the input")
    };
    vec![of(&[3, 5], 0.0), of(&[4, 3, 7], 0.3), of(&[7], 0.5), of(&[2, 40, 33], 0.5), of(&[2, 3], 1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_that_are_no_probabilities_are_refused() {
        for (rate, found) in [(-0.1, "-0.1"), (1.5, "1.5"), (f32::NAN, "NaN")] {
            let error = SpatialDropout { rate }.output_shape(&[Shape::batched(&[2])]).expect_err("a wrong rate");
            assert_eq!(error.to_string(), format!("rate must be a number from 0 to 1, but it is {found}"));
        }
    }
}
