//! Plans against plans: what is fused, overwritten or laid over each other must not change a bit.

use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;

use super::*;
use crate::ops::{Backward, Dense, Forward, Reads, Relu, Run, ShapeError, Sizes};
use crate::tensor::Shape;

/// z = x + y, in place over x; the test's own.
#[derive(Debug)]
struct Plus;

impl Op for Plus {
    fn name(&self) -> &'static str {
        "Plus"
    }
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x, y] = ShapeError::expect_inputs::<2>(inputs)?;
        if x == y { Ok(x.clone()) } else { Err(ShapeError::size("shape of the second input", x, y)) }
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
    fn flops(&self, sizes: Sizes) -> u64 {
        sizes.output_elements() as u64
    }
    fn in_place(&self) -> bool {
        true
    }
    fn forward(&self, _: &Run, pass: Forward) {
        let [x, y] = [pass.inputs[0].data, pass.inputs[1].data];
        if !x.is_empty() {
            pass.output.copy_from_slice(x);
        }
        pass.output.iter_mut().zip(y).for_each(|(z, y)| *z += y);
    }
    fn backward(&self, _: &Run, pass: Backward) {
        let (first, rest) = pass.dx.split_at_mut(1);
        let dy: &[f32] = match &first[0] {
            Some(dx) if pass.dy.is_empty() => dx,
            _ => pass.dy,
        };
        if let Some(dx) = &mut rest[0] {
            dx.copy_from_slice(dy);
        }
        if let Some(dx) = first[0].as_mut().filter(|_| !pass.dy.is_empty()) {
            dx.copy_from_slice(pass.dy);
        }
    }
}

/// L = Σ x² / 2
#[derive(Debug)]
struct HalfSquares;

impl Op for HalfSquares {
    fn name(&self) -> &'static str {
        "HalfSquares"
    }
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        ShapeError::expect_inputs::<1>(inputs).map(|_| Shape::scalar())
    }
    fn reads(&self) -> Reads {
        Reads::INPUT
    }
    fn flops(&self, sizes: Sizes) -> u64 {
        2 * sizes.input_elements(0) as u64
    }
    fn forward(&self, _: &Run, pass: Forward) {
        pass.output[0] = pass.inputs[0].data.iter().map(|x| x * x / 2.0).sum();
    }
    fn backward(&self, _: &Run, pass: Backward) {
        if let Some(dx) = &mut pass.dx[0] {
            dx.iter_mut().zip(pass.inputs[0].data).for_each(|(dx, x)| *dx = x * pass.dy[0]);
        }
    }
}

/// The same values in another shape.
#[derive(Debug)]
struct Flat;

impl Op for Flat {
    fn name(&self) -> &'static str {
        "Flat"
    }
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        Ok(Shape::batched(&[inputs[0].sample().expect("a batch").iter().product()]))
    }
    fn reads(&self) -> Reads {
        Reads::NOTHING
    }
    fn flops(&self, _: Sizes) -> u64 {
        0
    }
    fn is_view(&self, _: bool) -> bool {
        true
    }
    fn forward(&self, _: &Run, _: Forward) {
        unreachable!("a view is not run")
    }
    fn backward(&self, _: &Run, _: Backward) {
        unreachable!("a view is not run")
    }
}

/// Values that depend on the name of the parameter's position only.
#[derive(Debug)]
struct Pattern;

impl Initialise for Pattern {
    fn fill(&self, _: &Device, seed: u64, index: usize, _: &[usize], values: &mut [f32]) {
        for (i, value) in values.iter_mut().enumerate() {
            let word = (seed + 31 * index as u64 + 17 * i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            *value = word as f32 / (1 << 23) as f32 - 1.0;
        }
    }
}

fn dense(builder: &mut GraphBuilder, name: &str, x: ValueId, inner: usize, out: usize) -> ValueId {
    builder.scoped(name, |builder| {
        let weight = builder.parameter("weight", Shape::fixed(&[out, inner]), Role::Weight, Arc::new(Pattern));
        let bias = builder.parameter("bias", Shape::fixed(&[out]), Role::Bias, Arc::new(Pattern));
        builder.add(Dense, &[x, weight.expect("a new name"), bias.expect("a new name")]).expect("sizes that fit")
    })
}

/// Skips, a shared layer, a value used twice by one op, a view in the middle, two inputs.
fn tangled() -> (Graph, ValueId) {
    let mut b = GraphBuilder::new();
    let x = b.input("x", Shape::batched(&[3, 2])).expect("a new name");
    let other = b.input("other", Shape::batched(&[8])).expect("a new name");
    let flat = b.add(Flat, &[x]).expect("a view");
    let first = dense(&mut b, "first", flat, 6, 8);
    let hidden = b.add(Relu, &[first]).expect("any shape");
    let twice = b.add(Plus, &[hidden, hidden]).expect("equal shapes");
    let with_other = b.add(Plus, &[twice, other]).expect("equal shapes");
    let weight = b.parameter("shared", Shape::fixed(&[8, 8]), Role::Weight, Arc::new(Pattern)).expect("a new name");
    let second = b.add(Dense, &[with_other, weight]).expect("sizes that fit");
    let second = b.add(Relu, &[second]).expect("any shape");
    let third = b.add(Dense, &[second, weight]).expect("sizes that fit");
    let view = b.add(Flat, &[third]).expect("a view");
    let skip = b.add(Plus, &[view, hidden]).expect("equal shapes");
    let out = dense(&mut b, "last", skip, 8, 5);
    let out = b.add(Relu, &[out]).expect("any shape");
    let loss = b.add(HalfSquares, &[out]).expect("any shape");
    (b.finish(&[out]), loss)
}

/// Loss, output and all gradients of one step.
fn step(graph: &Graph, loss: ValueId, batch: usize, keep_all: bool, threads: usize) -> Vec<Vec<f32>> {
    let device = Arc::new(Device::new(Isa::best(), threads));
    let parameters = Parameters::initialise(graph, &device, 3);
    let inputs: Vec<ValueId> = graph.inputs().iter().map(|input| input.value).collect();
    let mut session = Session::new(Arc::new(graph.clone()), device.clone(), parameters, 0);
    let outputs = graph.outputs().to_vec();
    let options = PlanOptions {
        batch,
        outputs: &outputs,
        loss: Some(loss),
        gradients_of: &inputs,
        keep_all,
        ..Default::default()
    };
    let plan = session.plan(&options).expect("a plan");
    let mut results = Vec::new();
    for round in 0..2 {
        for (i, &input) in inputs.iter().enumerate() {
            Pattern.fill(&device, 9, i, &[], session.input_mut(plan, input));
        }
        session.forward(plan, round);
        session.backward(plan, round);
        let values = outputs.iter().chain([&loss]).map(|&value| session.value(plan, value).to_vec());
        let gradients = inputs.iter().chain(graph.parameters().iter().map(|parameter| &parameter.value));
        let gradients = gradients.map(|&value| session.gradient(plan, value).unwrap_or(&[]).to_vec());
        let all: Vec<Vec<f32>> = values.chain(gradients).collect();
        assert!(round == 0 || all == results, "a second step on the same inputs gives the same bits");
        results = all;
    }
    results
}

#[test]
fn planning_changes_no_bit() {
    let (graph, loss) = tangled();
    for batch in [1, 2, 7, 33] {
        let plain = step(&graph, loss, batch, true, 1);
        assert!(plain.iter().flatten().all(|x| x.is_finite()) && plain[1][0] > 0.0);
        assert!(plain[2..].iter().all(|gradient| gradient.iter().any(|&x| x != 0.0)), "every gradient is there");
        assert_eq!(plain, step(&graph, loss, batch, false, 1), "batch {batch}");
        assert_eq!(plain, step(&graph, loss, batch, false, 3), "batch {batch}");
    }
}

#[test]
fn gradients_are_slopes_of_the_loss() {
    let (graph, loss) = tangled();
    let device = Arc::new(Device::new(Isa::best(), 1));
    let parameters = Parameters::initialise(&graph, &device, 3);
    let slopes = step(&graph, loss, 2, false, 1);
    let mut session = Session::new(Arc::new(graph.clone()), device.clone(), parameters, 0);
    let plan = session.plan(&PlanOptions { batch: 2, loss: Some(loss), ..Default::default() }).expect("a plan");
    for (i, input) in graph.inputs().iter().enumerate() {
        Pattern.fill(&device, 9, i, &[], session.input_mut(plan, input.value));
    }
    let mut loss_with = |name: &str, index: usize, delta: f32| {
        let value = &mut session.parameters_mut().get_mut(name).expect("a parameter")[index];
        let old = *value;
        *value += delta;
        session.forward(plan, 0);
        session.parameters_mut().get_mut(name).expect("a parameter")[index] = old;
        f64::from(session.value(plan, loss)[0])
    };
    let skip = 2 + graph.inputs().len();
    for (parameter, gradient) in graph.parameters().iter().zip(&slopes[skip..]) {
        for index in [0, gradient.len() / 2, gradient.len() - 1] {
            const STEP: f32 = 1.0 / 256.0;
            let slope = (loss_with(&parameter.name, index, STEP) - loss_with(&parameter.name, index, -STEP))
                / (2.0 * f64::from(STEP));
            // The loss is some tens, in f32: its rounding over the step gives about 1e-2, curvature and kinks the rest.
            let bound = 0.05 * (1.0 + slope.abs());
            let got = f64::from(gradient[index]);
            assert!((got - slope).abs() <= bound, "{} [{index}]: {got}, slope {slope}", parameter.name);
        }
    }
}

#[test]
fn frozen_parameters_cost_nothing_and_change_no_other_gradient() {
    let (graph, loss) = tangled();
    let mut frozen = graph.clone();
    assert_eq!(frozen.freeze(true, |name| name.starts_with("first") || name == "shared"), 3);
    let device = Device::new(Isa::best(), 1);
    let parameters = Parameters::initialise(&graph, &device, 3);
    let plan = |graph: &Graph| {
        Plan::new(graph, &parameters, &PlanOptions { batch: 4, loss: Some(loss), ..Default::default() })
            .expect("a plan")
    };
    let (all, few) = (plan(&graph), plan(&frozen));
    // Only the last layer, its activation and the loss are left.
    assert_eq!(few.passes().1, 3);
    assert!(all.passes().1 > few.passes().1 && all.passes().0 == few.passes().0);
    let full = step(&graph, loss, 4, false, 1);
    let part = step(&frozen, loss, 4, false, 1);
    for (i, parameter) in graph.parameters().iter().enumerate() {
        if parameter.name.starts_with("last") {
            assert_eq!(full[4 + i], part[4 + i]);
        }
    }
}

#[test]
fn relu_becomes_the_epilogue_of_the_product() {
    let (graph, loss) = tangled();
    let device = Device::new(Isa::best(), 1);
    let parameters = Parameters::zeros(&graph);
    let options = PlanOptions { batch: 4, loss: Some(loss), ..Default::default() };
    let fused = Plan::new(&graph, &parameters, &options).expect("a plan");
    let plain = Plan::new(&graph, &parameters, &PlanOptions { keep_all: true, ..options }).expect("a plan");
    assert_eq!(plain.passes().0 - fused.passes().0, 3);
    assert!(fused.arena_bytes() < plain.arena_bytes());
    assert_eq!(device.threads(), 1);
}

#[test]
fn what_does_not_fit_is_refused_with_its_layer_and_shapes() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", Shape::batched(&[3])).expect("a new name");
    let weight = b.parameter("w", Shape::fixed(&[4, 5]), Role::Weight, Arc::new(Pattern)).expect("a new name");
    let error = b.scoped("block", |b| b.scoped(1, |b| b.add(Dense, &[x, weight]))).expect_err("3 is not 5");
    let text = error.to_string();
    for part in ["block.1", "Gemm", "5 (as the weight has)", "got 3", "[batch, 3], [4, 5]"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(b.input("x", Shape::scalar()).is_err() && b.add(Dense, &[x]).is_err());
    let relu = b.add(Relu, &[x]).expect("any shape");
    let graph = b.finish(&[relu]);
    let parameters = Parameters::zeros(&graph);
    let plan = |batch, loss| Plan::new(&graph, &parameters, &PlanOptions { batch, loss, ..Default::default() });
    assert_eq!(plan(0, None).expect_err("no rows"), PlanError::EmptyBatch);
    assert!(matches!(plan(1 << 30, None).expect_err("too many values"), PlanError::TooLarge { .. }));
    assert!(matches!(plan(4, Some(relu)).expect_err("no single number"), PlanError::NoScalar { .. }));
}
