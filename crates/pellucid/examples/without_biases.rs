//! A network without biases, 3-4-1, step by step: all rows at once, the sum of squares, learning rate 1.
//!
//! The loop is written out over a [`Session`], as the fit loop does it: forward, backward, update.
//!
//! `cargo run --release --example without_biases -p pellucid`

use std::sync::Arc;

use pellucid::Device;
use pellucid::graph::{Parameters, PlanOptions, Session};
use pellucid::nn::{self, Loss};
use pellucid::optim::{Groups, Optimizer, OptimizerConfig};
use pellucid::train::Problem;

/// The loss of each of 1,500 steps, and the predictions at the end.
pub fn learn(seed: u64) -> (Vec<f32>, Vec<f32>) {
    let inputs = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0];
    let targets = [0.0, 1.0, 1.0, 0.0];

    let network =
        nn::network("dense 4 sigmoid nobias init=uniform:-1:1 -> dense 1 sigmoid nobias init=uniform:-1:1", &[3], None)
            .expect("a network");
    let problem = Problem::new(&network, &Loss::sum_of_squares(), false).expect("a loss on it");
    let device = Arc::new(Device::best());
    let parameters = Parameters::initialise(&problem.graph, &device, seed);
    let config = OptimizerConfig::parse("sgd:lr=1").expect("an optimiser");
    let mut optimizer = Optimizer::new(&config, parameters.segments(), &Groups::default()).expect("an optimiser");
    let mut session = Session::new(problem.graph.clone(), device.clone(), parameters, seed);
    let outputs = [problem.prediction];
    let options = PlanOptions { batch: 4, outputs: &outputs, loss: Some(problem.loss), ..Default::default() };
    let plan = session.plan(&options).expect("a plan");
    session.input_mut(plan, problem.input).copy_from_slice(&inputs);
    session.input_mut(plan, problem.target).copy_from_slice(&targets);

    let mut losses = Vec::new();
    for step in 0..1500 {
        session.forward(plan, step);
        losses.push(session.value(plan, problem.loss)[0]);
        session.backward(plan, step);
        let (parameters, gradients) = session.parameters_and_gradients();
        optimizer.update(&device, 1.0, parameters.values_mut(), gradients);
    }
    session.forward(plan, 1500);
    (losses, session.value(plan, problem.prediction).to_vec())
}

/// Runs the example.
pub fn main() {
    let (losses, predictions) = learn(1);
    for step in [0, 1, 10, 100, 500, 1000, 1499] {
        println!("step {step:4}: sum of squares {:.6}", losses[step]);
    }
    println!("predictions {predictions:.4?} for the targets [0, 1, 1, 0]");
}
