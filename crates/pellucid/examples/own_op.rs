//! An op of one's own: a formula and its derivative, written once over the SIMD token. It runs at the speed of the others,
//! is computed in place, fused behind a matrix product, gives the same bits everywhere, and passes the same checks.

use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::{Isa, Simd};
use kernels::unary::{Reads, Unary};
use pellucid::graph::{Parameters, PlanOptions, Session};
use pellucid::nn::{Dense, Loss, LossLayer, Sequential};
use pellucid::ops::check::{Bound, Case, Values, check_entry};
use pellucid::ops::{Activation, Attributes, OpEntry, attributes_of};
use pellucid::tensor::Shape;

/// Squareplus, a smooth ReLU without exp (Barron, 2021): with the root r = √(x² + b), y = (x + r) / 2 and dy/dx = y / r. For
/// x < 0 it is computed as b / (2 (r - x)), where nothing is cancelled.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Squareplus {
    /// Size of the bend, above 0.
    b: f32,
}

impl Unary for Squareplus {
    const READS: Reads = Reads::Both;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        let root = s.sqrt(s.fma(x, x, s.splat(self.b)));
        let sum = s.add(s.abs(x), root);
        s.select(s.lt(x, s.splat(0.0)), s.div(s.splat(self.b / 2.0), sum), s.mul(s.splat(0.5), sum))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::Float, y: S::Float) -> S::Float {
        s.div(y, s.sqrt(s.fma(x, x, s.splat(self.b))))
    }
}

impl Activation for Squareplus {
    const NAME: &'static str = "Squareplus";
    const FLOPS: u64 = 6;

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn exact(&self, x: f64) -> f64 {
        (x + (x * x + f64::from(self.b)).sqrt()) / 2.0
    }
}

/// What to try the op on, and how far it may be from the formula in f64.
fn cases() -> Vec<Case> {
    let value = Bound::relative(2.0, "a sum of squares, a root, a sum and a quotient");
    let gradient = Bound::relative(3.0, "the value, a root and a quotient");
    vec![Case::elementwise(Squareplus { b: 0.25 }, Values::Normal(2.0)).within(value, gradient)]
}

/// Checks the op as all ops are checked, and trains a network with it on XOR.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let entry = OpEntry::of::<Squareplus>("Squareplus", cases);
    if let Err(failures) = check_entry(&entry) {
        panic!("{}", failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }

    // An element-wise op is a layer as it stands.
    let network = Sequential::new()
        .then(Dense { units: 16, ..Dense::default() })
        .then(Squareplus { b: 0.25 })
        .then(Dense { units: 1, ..Dense::default() });
    let mut builder = network.graph(&[2])?.extend();
    let (x, y) = (builder.graph().inputs()[0].value, builder.graph().outputs()[0]);
    let target = builder.input("target", Shape::batched(&[1]))?;
    let loss = Loss::mse().add(&mut builder, y, target, None)?;
    let graph = Arc::new(builder.finish(&[y]));

    let device = Arc::new(Device::new(Isa::best(), 1));
    let parameters = Parameters::initialise(&graph, &device, 1);
    let mut session = Session::new(graph, device, parameters, 1);
    let plan = session.plan(&PlanOptions { batch: 4, loss: Some(loss), ..PlanOptions::default() })?;
    session.input_mut(plan, x).copy_from_slice(&[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
    session.input_mut(plan, target).copy_from_slice(&[0.0, 1.0, 1.0, 0.0]);
    let mut losses = Vec::new();
    for step in 0..1000 {
        session.forward(plan, step);
        losses.push(session.value(plan, loss)[0]);
        session.backward(plan, step);
        let (parameters, gradients) = session.parameters_and_gradients();
        parameters.values_mut().iter_mut().zip(gradients).for_each(|(w, g)| *w -= 0.2 * *g);
    }
    assert!(losses[999] < losses[0] / 100.0, "the loss went from {} to {}", losses[0], losses[999]);
    Ok(())
}
