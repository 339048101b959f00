//! Dropout of stretches: in training y = x m / (1 - rate), where m is 0 with probability `rate`, else 1, one for all values
//! that share their places along the first axes; at inference y = x, a view. Two ops are made of it:
//!
//! * *Spatial dropout*: one m for each channel of each sample of x [batch, channels, …]; neighbours of a picture say nearly
//!   the same, so that single values would not be missed. (Tompson et al., "Efficient object localization using convolutional
//!   networks", 2015.)
//! * *Stochastic depth*: one m for each sample of x [batch, …]; at the end of the branch of a residual block the sample skips
//!   the block. (Huang, Sun, Liu, Sedra and Weinberger, "Deep networks with stochastic depth", 2016.)
//!
//! Shapes: x → y as x. ∂L/∂x = dy m / (1 - rate), with the mask made again from seed, step and node. NaN goes through also
//! where it is dropped.

use kernels::random::dropout_stretches;

use super::check::{Bound, Case, Input};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of, view};
use crate::tensor::Shape;

/// Zeros each channel of each sample with probability `rate` in training.
pub type SpatialDropout = StretchDropout<2>;

/// Zeros each sample with probability `rate` in training: at the end of a branch of a residual block.
pub type StochasticDepth = StretchDropout<1>;

/// Zeros each stretch of values that share their places along the first `AXES` axes, the batch counted, with probability
/// `rate` in training.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StretchDropout<const AXES: usize> {
    /// Probability of being dropped, 0 to 1. It is rounded to a multiple of 2⁻¹⁶.
    pub rate: f32,
}

impl<const AXES: usize> StretchDropout<AXES> {
    /// Name, and form of the input.
    const WORDS: (&'static str, &'static str) = match AXES {
        1 => ("StochasticDepth", "[batch, …], no size being 0"),
        2 => ("SpatialDropout", "[batch, channels, …], no size being 0"),
        _ => panic!("stretches are samples or channels"),
    };

    /// Values that are dropped or kept together.
    fn span(x: &[usize]) -> usize {
        x[AXES..].iter().product()
    }
}

impl<const AXES: usize> Op for StretchDropout<AXES> {
    fn name(&self) -> &'static str {
        Self::WORDS.0
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        ShapeError::expect_setting("rate", self.rate, "a number from 0 to 1", |rate| (0.0..=1.0).contains(&rate))?;
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        let sample = ShapeError::expect_sample(x)?;
        if sample.len() + 1 < AXES || sample.contains(&0) {
            return Err(ShapeError::size("shape of the input", Self::WORDS.1, x));
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

    fn at_inference(&self) -> Option<Box<dyn Op>> {
        Some(Box::new(StretchDropout::<AXES> { rate: 0.0 }))
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let span = Self::span(&at.dims[0]);
        let kept = |i: usize| {
            let word = at.random.u32_at((i / span) as u64);
            f64::from(word >> 16) >= (f64::from(self.rate) * 65536.0).round()
        };
        let scale = 1.0 / (1.0 - f64::from(self.rate));
        Some(at.inputs[0].iter().enumerate().map(|(i, x)| if kept(i) { x * scale } else { 0.0 }).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        if self.is_view(run.training) {
            return view::forward(pass);
        }
        let x = pass.inputs[0];
        dropout_stretches(run.device, run.random(), self.rate, Self::span(x.dims), x.data, pass.output);
    }

    fn backward(&self, run: &Run, pass: Backward) {
        if self.is_view(run.training) {
            return view::backward(pass);
        }
        if let Some(dx) = &mut pass.dx[0] {
            dropout_stretches(run.device, run.random(), self.rate, Self::span(pass.output.dims), pass.dy, dx);
        }
    }
}

/// What the checks run on.
pub(super) fn cases<const AXES: usize>() -> Vec<Case> {
    let bound = Bound::relative(1.5, "1 / (1 - rate) has two roundings, and a product");
    let of = |sample: &[usize], rate: f32| {
        let x = Shape::batched(sample);
        Case::new(StretchDropout::<AXES> { rate }, [Input::batched(sample)])
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
            let x = [Shape::batched(&[2])];
            for refused in [SpatialDropout { rate }.output_shape(&x), StochasticDepth { rate }.output_shape(&x)] {
                let error = refused.expect_err("a wrong rate");
                assert_eq!(error.to_string(), format!("rate must be a number from 0 to 1, but it is {found}"));
            }
        }
    }

    #[test]
    fn each_has_its_name_and_form() {
        let rows = [Shape::batched(&[])];
        assert_eq!((SpatialDropout { rate: 0.5 }).name(), "SpatialDropout");
        assert_eq!((StochasticDepth { rate: 0.5 }).name(), "StochasticDepth");
        let error = SpatialDropout { rate: 0.5 }.output_shape(&rows).expect_err("no channels");
        assert!(error.to_string().contains("[batch, channels, …], no size being 0"), "{error}");
        assert_eq!(StochasticDepth { rate: 0.5 }.output_shape(&rows).expect("samples"), rows[0]);
    }
}
