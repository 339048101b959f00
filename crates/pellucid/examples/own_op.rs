//! An op of one's own: a formula and its derivative, written once over the SIMD token, and nothing else. It runs at the
//! speed of the others, is computed in place, fused behind a matrix product, and gives the same bits everywhere.

use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::{Isa, Simd};
use kernels::unary::{Reads, Unary};
use pellucid::graph::{Parameters, PlanOptions, Session};
use pellucid::nn::{Dense, Loss, LossLayer, Sequential};
use pellucid::ops::Activation;
use pellucid::tensor::Shape;

/// Squareplus: y = (x + √(x² + b)) / 2, dy/dx = (1 + x / √(x² + b)) / 2, a smooth ReLU without exp (Barron, 2021).
#[derive(Clone, Copy, Debug)]
struct Squareplus {
    b: f32,
}

impl Unary for Squareplus {
    const READS: Reads = Reads::Input;

    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        let root = s.sqrt(s.fma(x, x, s.splat(self.b)));
        s.mul(s.splat(0.5), s.add(x, root))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::Float, _: S::Float) -> S::Float {
        let root = s.sqrt(s.fma(x, x, s.splat(self.b)));
        s.mul(s.splat(0.5), s.add(s.splat(1.0), s.div(x, root)))
    }
}

impl Activation for Squareplus {
    const NAME: &'static str = "Squareplus";
    const FLOPS: u64 = 5;
}

/// Trains a network with the op on XOR, and holds its gradient against the slope of the loss.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
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
    let loss_at = |session: &mut Session| {
        session.forward(plan, 0);
        f64::from(session.value(plan, loss)[0])
    };

    let before = loss_at(&mut session);
    session.backward(plan, 0);
    let slope = f64::from(session.gradients()[0]);
    const STEP: f32 = 1.0 / 256.0;
    session.parameters_mut().values_mut()[0] += STEP;
    let above = loss_at(&mut session);
    session.parameters_mut().values_mut()[0] -= 2.0 * STEP;
    let below = loss_at(&mut session);
    let quotient = (above - below) / (2.0 * f64::from(STEP));
    assert!((slope - quotient).abs() < 1e-3, "the gradient is {slope}, the slope of the loss {quotient}");

    for step in 0..1000 {
        session.forward(plan, step);
        session.backward(plan, step);
        let (parameters, gradients) = session.parameters_and_gradients();
        parameters.values_mut().iter_mut().zip(gradients).for_each(|(w, g)| *w -= 0.2 * *g);
    }
    let after = loss_at(&mut session);
    assert!(after < before / 100.0, "the loss went from {before} to {after}");
    Ok(())
}
