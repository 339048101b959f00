//! A graph that is no chain: two inputs, a layer used for both, and a skip around the hidden layers.
//!
//! ```text
//! left  ──► embed ──┐                    ┌───────────────────┐
//!                   ├──► concatenate ────┤                   ▼
//! right ──► embed ──┘                    └─► dense ─► relu ─► add ──► dense ──► output
//! ```

use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{BuildError, GraphBuilder, Parameters, PlanOptions, Role, Session};
use pellucid::nn::{Dense, Init, Layer, Loss, LossLayer};
use pellucid::ops::{self, Add, Concatenate, Relu};
use pellucid::tensor::Shape;

const BATCH: usize = 16;

/// Learns the product of two numbers that stand in two inputs, and checks that it does.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = GraphBuilder::new();
    let left = builder.input("left", Shape::batched(&[2]))?;
    let right = builder.input("right", Shape::batched(&[2]))?;
    let target = builder.input("target", Shape::batched(&[1]))?;

    // One weight for both inputs: its gradient is the sum of both.
    let weight = builder.parameter("embed.weight", Shape::fixed(&[8, 2]), Role::Weight, Arc::new(Init::HeNormal))?;
    let embedded = [builder.add(ops::Dense, &[left, weight])?, builder.add(ops::Dense, &[right, weight])?];
    let joined = builder.add(Concatenate { axis: 1 }, &embedded)?;

    // Layers do in a scope what they do in a sequence: name parameters and check shapes.
    let hidden = builder.scoped("hidden", |builder| -> Result<_, BuildError> {
        let x = Dense { units: 16, weight_init: Init::HeNormal, ..Dense::default() }.build(builder, joined)?;
        builder.add(Relu, &[x])
    })?;
    let skip = builder.add(Add, &[joined, hidden])?;
    let skip = builder.add(Relu, &[skip])?;
    let output = builder.scoped("head", |builder| Dense::default().build(builder, skip))?;

    let loss = Loss::mse().add(&mut builder, output, target, None)?;
    let graph = Arc::new(builder.finish(&[output]));

    let device = Arc::new(Device::new(Isa::best(), 1));
    let parameters = Parameters::initialise(&graph, &device, 1);
    let names: Vec<&str> = parameters.segments().iter().map(|segment| segment.name.as_str()).collect();
    assert_eq!(names, ["embed.weight", "hidden.weight", "hidden.bias", "head.weight", "head.bias"]);

    let mut session = Session::new(graph.clone(), device, parameters, 1);
    let plan = session.plan(&PlanOptions { batch: BATCH, loss: Some(loss), ..PlanOptions::default() })?;
    for row in 0..BATCH {
        let (a, b) = ((row / 4) as f32 / 2.0 - 0.75, (row % 4) as f32 / 2.0 - 0.75);
        session.input_mut(plan, left)[2 * row..][..2].copy_from_slice(&[a, 1.0]);
        session.input_mut(plan, right)[2 * row..][..2].copy_from_slice(&[b, -1.0]);
        session.input_mut(plan, target)[row] = a * b;
    }
    let mut losses = Vec::new();
    for step in 0..500 {
        session.forward(plan, step);
        losses.push(session.value(plan, loss)[0]);
        session.backward(plan, step);
        let (parameters, gradients) = session.parameters_and_gradients();
        parameters.values_mut().iter_mut().zip(gradients).for_each(|(w, g)| *w -= 0.05 * *g);
    }
    assert!(losses[499] < losses[0] / 50.0, "the loss fell from {} to {} only", losses[0], losses[499]);
    Ok(())
}
