//! A recurrent cell of one's own, from ops on one step at a time: unrolled over the steps, with the same parameters at each.

use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{BuildError, GraphBuilder, Parameters, PlanOptions, Role, Session, ValueId};
use pellucid::nn::{Dense, Init, Layer, Sequential};
use pellucid::ops::{self, Add, Multiply, Reshape, Sigmoid, Slice, Subtract, Tanh};
use pellucid::optim::{Groups, Optimizer, OptimizerConfig};
use pellucid::tensor::{Dim, Shape};

/// The minimal gated unit (Zhou, Wu, Zhang and Zhou, 2016): a gate f = σ(W_f·x + U_f·h + b_f), a candidate
/// n = tanh(W_n·x + U_n·(f·h) + b_n), the new state h' = h + f·(n - h). x [batch, time, features] → the last state [batch, units].
#[derive(Clone, Debug)]
struct MinimalGatedUnit {
    units: usize,
}

impl Layer for MinimalGatedUnit {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let &[_, Dim::Fixed(time), Dim::Fixed(features)] = builder.shape(x).axes() else { panic!("a sequence") };
        let mut parameter = |name: &str, sizes: &[usize]| {
            builder.parameter(name, Shape::fixed(sizes), Role::Weight, Arc::new(Init::XavierUniform { gain: 1.0 }))
        };
        let mut gate = |name: &str| -> Result<[ValueId; 3], BuildError> {
            let of_input = parameter(&format!("weight_i{name}"), &[self.units, features])?;
            let of_state = parameter(&format!("weight_h{name}"), &[self.units, self.units])?;
            Ok([of_input, of_state, parameter(&format!("bias_{name}"), &[self.units])?])
        };
        let (forget, candidate) = (gate("f")?, gate("n")?);
        // W·x + U·h + b; before the first step h is 0.
        let sum = |builder: &mut GraphBuilder, [w, u, b]: [ValueId; 3], x: ValueId, h: Option<ValueId>| {
            let of_input = builder.add(ops::Dense, &[x, w, b])?;
            let Some(h) = h else { return Ok(of_input) };
            let of_state = builder.add(ops::Dense, &[h, u])?;
            builder.add(Add, &[of_input, of_state])
        };
        let mut state: Option<ValueId> = None;
        for t in 0..time {
            let step = builder.add(Slice { axis: 1, start: t, end: t + 1 }, &[x])?;
            let step = builder.add(Reshape { shape: vec![features] }, &[step])?;
            let f = sum(builder, forget, step, state)?;
            let f = builder.add(Sigmoid, &[f])?;
            let kept = state.map(|h| builder.add(Multiply, &[f, h])).transpose()?;
            let n = sum(builder, candidate, step, kept)?;
            let n = builder.add(Tanh, &[n])?;
            state = Some(match state {
                Some(h) => {
                    let change = builder.add(Subtract, &[n, h])?;
                    let change = builder.add(Multiply, &[f, change])?;
                    builder.add(Add, &[h, change])?
                }
                None => builder.add(Multiply, &[f, n])?,
            });
        }
        Ok(state.expect("at least one step"))
    }
}

/// Learns to say the first of six numbers after having seen all; returns the loss before and after.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let network = Sequential::new().then(MinimalGatedUnit { units: 16 }).then(Dense::default());
    let graph = network.graph(&[6, 1])?;
    let (x, y) = (graph.inputs()[0].value, graph.outputs()[0]);
    let mut builder = graph.extend();
    let target = builder.input("target", Shape::batched(&[1]))?;
    let loss = builder.add(ops::loss::Elementwise::<ops::loss::SquaredError>::default(), &[y, target])?;
    let graph = Arc::new(builder.finish(&[y]));

    let device = Arc::new(Device::new(Isa::best(), 1));
    let parameters = Parameters::initialise(&graph, &device, 1);
    let config = OptimizerConfig::named("adam").expect("an optimiser");
    let mut optimizer = Optimizer::new(&config, parameters.segments(), &Groups::default())?;
    let mut session = Session::new(graph.clone(), device.clone(), parameters, 1);
    let outputs = graph.outputs();
    let plan = session.plan(&PlanOptions { batch: 64, outputs, loss: Some(loss), ..PlanOptions::default() })?;

    let mut losses = Vec::new();
    for step in 0..600u64 {
        let number = |place: u64| ((step * 384 + place) as f32 * 0.754_877_7).fract() * 2.0 - 1.0;
        let rows: Vec<f32> = (0..384).map(|place| number(place * place)).collect();
        session.input_mut(plan, x).copy_from_slice(&rows);
        session.input_mut(plan, target).iter_mut().zip(rows.chunks(6)).for_each(|(target, row)| *target = row[0]);
        session.forward(plan, step);
        losses.push(session.value(plan, loss)[0]);
        session.backward(plan, step);
        let (parameters, gradients) = session.parameters_and_gradients();
        optimizer.update(&device, 0.01, parameters.values_mut(), gradients);
    }
    assert!(losses[0] > 0.1 && losses[599] < 0.01, "it remembers: {} to {}", losses[0], losses[599]);
    Ok(())
}
