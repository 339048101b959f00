//! Element-wise activations: a formula and its derivative make an op.

use std::fmt::Debug;

use kernels::epilogue::InPlace;
use kernels::unary::{self, Unary};
use serde_json::Value;

use super::{Attributes, Backward, Forward, Op, Reads, Run, ShapeError, Sizes};
use crate::tensor::Shape;

/// An element-wise function of one variable with a name; being one makes it an [`Op`] with one input and an output of
/// the same shape, which can be computed in place and fused behind a matrix product.
pub trait Activation: Unary + Debug + 'static {
    /// The ONNX name, or one in that style.
    const NAME: &'static str;

    /// Floating-point operations for one value, about.
    const FLOPS: u64;

    /// What makes this function differ from others of its name: its settings, by [`attributes_of`].
    fn attributes(&self) -> Attributes {
        Attributes::new()
    }

    /// Refuses settings outside their range.
    fn check(&self) -> Result<(), ShapeError> {
        Ok(())
    }
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

    fn backward(&self, run: &Run, mut pass: Backward) {
        let (x, y, dy) = (pass.inputs[0].data, pass.output.data, pass.dy);
        let Some(dx) = &mut pass.dx[0] else { return };
        if dy.is_empty() {
            unary::backward_in_place(run.device, *self, x, y, dx);
        } else {
            unary::backward(run.device, *self, x, y, dy, dx);
        }
    }
}
