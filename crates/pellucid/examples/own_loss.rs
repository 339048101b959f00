//! A loss of one's own: a formula of one prediction and its target, and its derivative by the prediction. Reductions, row
//! weights and the backward pass come with it.

use std::sync::Arc;

use kernels::device::Device;
use kernels::math::{exp, log1p, tanh};
use kernels::pairwise::Pairwise;
use kernels::simd::{Isa, Simd};
use pellucid::graph::{Parameters, PlanOptions, Session};
use pellucid::nn::{Dense, Init, Sequential};
use pellucid::ops::loss::{ElementLoss, Elementwise};
use pellucid::tensor::Shape;

/// l = ln cosh(p - t), ∂l/∂p = tanh(p - t): a square for small errors, a distance for large ones.
///
/// ln cosh d = |d| + ln(1 + exp(-2 |d|)) - ln 2, where nothing overflows.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
struct LogCosh {}

impl Pairwise for LogCosh {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        let distance = s.abs(s.sub(p, t));
        let curve = log1p(s, exp(s, s.mul(s.splat(-2.0), distance)));
        s.add(distance, s.sub(curve, s.splat(std::f32::consts::LN_2)))
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, p: S::Float, t: S::Float) -> S::Float {
        tanh(s, s.sub(p, t))
    }
}

impl ElementLoss for LogCosh {
    const NAME: &'static str = "LogCoshLoss";
    const FLOPS: u64 = 25;

    fn exact(&self, p: f64, t: f64) -> f64 {
        libm::log(libm::cosh(p - t))
    }
}

/// Fits a constant to numbers of which one is far off: the loss is barely moved by it, unlike the mean.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let constant = Dense { weight_init: Init::Zeros, bias_init: Init::Zeros, ..Dense::default() };
    let mut builder = Sequential::new().then(constant).graph(&[1])?.extend();
    let (x, y) = (builder.graph().inputs()[0].value, builder.graph().outputs()[0]);
    let target = builder.input("target", Shape::batched(&[1]))?;
    let loss = builder.add(Elementwise::from(LogCosh {}), &[y, target])?;
    let graph = Arc::new(builder.finish(&[y]));

    let device = Arc::new(Device::new(Isa::best(), 1));
    let parameters = Parameters::initialise(&graph, &device, 1);
    let mut session = Session::new(graph, device, parameters, 1);
    let plan = session.plan(&PlanOptions { batch: 5, loss: Some(loss), ..PlanOptions::default() })?;
    session.input_mut(plan, x).fill(0.0);
    session.input_mut(plan, target).copy_from_slice(&[1.0, 1.0, 1.0, 1.0, 1001.0]);
    session.forward(plan, 0);
    // At 0: four times ln cosh 1, and 1001 - ln 2.
    let expected = (4.0 * libm::log(libm::cosh(1.0)) + 1001.0 - std::f64::consts::LN_2) / 5.0;
    let start = f64::from(session.value(plan, loss)[0]);
    assert!((start - expected).abs() < 1e-4, "{start} is not {expected}");
    for step in 0..500 {
        session.forward(plan, step);
        session.backward(plan, step);
        let (parameters, gradients) = session.parameters_and_gradients();
        parameters.values_mut().iter_mut().zip(gradients).for_each(|(w, g)| *w -= 0.1 * *g);
    }
    // 4 tanh(c - 1) = 1; the mean would be 201.
    let fitted = session.parameters().get("0.bias").expect("the bias of the layer")[0];
    assert!((fitted - 1.255_413).abs() < 1e-3, "{fitted}");
    Ok(())
}
