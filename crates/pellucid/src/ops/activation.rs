//! Element-wise activations: a formula and its derivative make an op.

use std::fmt::Debug;

use kernels::epilogue::InPlace;
use kernels::unary::{self, Unary};
use serde_json::Value;

use super::check::{Bound, Case, Values};
use super::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes};
use crate::tensor::Shape;

/// An element-wise function of one variable with a name; being one makes it an [`Op`] with one input and an output of
/// the same shape, which can be computed in place and fused behind a matrix product.
pub trait Activation: Unary + Debug + 'static {
    /// The ONNX name, or one in that style.
    const NAME: &'static str;

    /// Floating-point operations for one value, about.
    const FLOPS: u64;

    /// See [`Op::formulas`].
    const FORMULAS: Option<[&'static str; 2]> = None;

    /// See [`Op::commutes_with_max`].
    const COMMUTES_WITH_MAX: bool = false;

    /// What makes this function differ from others of its name: its settings, by [`attributes_of`].
    fn attributes(&self) -> Attributes {
        Attributes::new()
    }

    /// Refuses settings outside their range.
    fn check(&self) -> Result<(), ShapeError> {
        Ok(())
    }

    /// The formula in f64, by plain code: see [`Op::reference`].
    fn exact(&self, x: f64) -> f64;
}

/// Cases of an activation, near zero and far from it; `kinks` are where it has no derivative.
pub fn activation_cases<F: Activation>(activation: F, kinks: &[f32], value: Bound, gradient: Bound) -> Vec<Case> {
    let case = |name: &str, spread: f32| {
        let values = Values::AwayFrom { spread, kinks: kinks.to_vec(), margin: 0.05 };
        Case::elementwise(activation, values)
            .named(format!("{name}, {activation:?}"))
            .within(value, gradient)
            .refuses([Shape::batched(&[2]), Shape::batched(&[2])], "takes 1 inputs, got 2")
    };
    vec![case("near zero", 1.5), case("far from zero", 15.0)]
}

/// The fields of an op as attributes. A number stands there as the shortest text that gives the same f32 again.
pub fn attributes_of(op: &impl serde::Serialize) -> Attributes {
    let Ok(Value::Object(fields)) = serde_json::to_value(op) else { return Attributes::new() };
    fields.into_iter().map(|(name, value)| (name, shortest(value))).collect()
}

fn shortest(value: Value) -> Value {
    let Some(exact) = value.as_f64().filter(|_| value.is_f64()) else { return value };
    let short: f64 = (exact as f32).to_string().parse().expect("the text of a number");
    if f64::from(exact as f32) == exact && short as f32 == exact as f32 { short.into() } else { value }
}

impl<F: Activation> Op for F {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn attributes(&self) -> Attributes {
        Activation::attributes(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        self.check()?;
        ShapeError::expect_inputs::<1>(inputs).map(|[x]| x.clone())
    }

    fn reads(&self) -> Reads {
        F::READS.into()
    }

    fn flops(&self, sizes: Sizes) -> u64 {
        F::FLOPS * sizes.output_elements() as u64
    }

    fn in_place(&self) -> bool {
        true
    }

    fn function(&self) -> Option<&dyn InPlace> {
        Some(self)
    }

    fn takes_epilogue(&self) -> bool {
        true
    }

    fn commutes_with_max(&self) -> bool {
        F::COMMUTES_WITH_MAX
    }

    fn formulas(&self) -> Option<[&'static str; 2]> {
        F::FORMULAS
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(at.inputs[0].iter().map(|&x| self.exact(x)).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let (device, x, y) = (run.device, pass.inputs[0].data, pass.output);
        let Some(epilogue) = pass.epilogue else {
            return if x.is_empty() {
                unary::forward_in_place(device, *self, y)
            } else {
                unary::forward(device, *self, x, y)
            };
        };
        device.chunks_mut(unary::CHUNK, y, |start, y| {
            if !x.is_empty() {
                y.copy_from_slice(&x[start..start + y.len()]);
            }
            self.apply(device.isa(), y);
            epilogue.apply(device.isa(), y);
        });
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (x, y, dy) = (pass.inputs[0].data, pass.output.data, pass.dy);
        let Some(dx) = &mut pass.dx[0] else { return };
        if dy.is_empty() {
            unary::backward_in_place(run.device, *self, x, y, dx);
        } else {
            unary::backward(run.device, *self, x, y, dy, dx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Celu, Elu, LeakyRelu, Softplus};

    #[test]
    fn settings_out_of_range_are_refused() {
        let refuse = |op: &dyn Op, expected: &str| {
            let error = op.output_shape(&[Shape::batched(&[2])]).expect_err("a wrong setting");
            assert_eq!(error.to_string(), expected);
        };
        refuse(&Elu { alpha: -0.5 }, "alpha must be a number of at least 0, but it is -0.5");
        refuse(&Celu { alpha: 0.0 }, "alpha must be a number above 0, but it is 0");
        refuse(&LeakyRelu { negative_slope: f32::NAN }, "negative_slope must be a number of at least 0, but it is NaN");
        refuse(&Softplus { beta: -1.0, threshold: 20.0 }, "beta must be a number above 0, but it is -1");
        refuse(&Softplus { beta: 1.0, threshold: f32::INFINITY }, "threshold must be a number, but it is inf");
    }

    #[test]
    fn numbers_are_written_as_short_as_they_can_be_read() {
        for value in [0.1f32, 0.02, 1.0 / 3.0, 1e-30, f32::MAX, f32::MIN_POSITIVE, 1e-45, 16_777_216.0] {
            let attributes = attributes_of(&Elu { alpha: value });
            let text = serde_json::to_string(&attributes).expect("JSON");
            assert!(text.len() <= r#"{"alpha":}"#.len() + 16, "{text}");
            let back: Elu = serde_json::from_str(&text).expect("the same op");
            assert_eq!(back.alpha.to_bits(), value.to_bits(), "{text}");
        }
    }
}
