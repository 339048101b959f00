//! A small language model of transformer blocks: a training step, and one generated token.
//!
//! `cargo run --release --bin transformer -- [THREADS] [REPETITIONS]`, beside `python bench/transformer.py`.
//!
//! Lines are `workload<TAB>peer<TAB>value<TAB>unit`.

use std::sync::Arc;
use std::time::Instant;

use pellucid::graph::{Graph, Moment, Parameters, PlanOptions, Session};
use pellucid::nn::notation::Network;
use pellucid::nn::{Loss, NetworkOptions};
use pellucid::optim::{Groups, Optimizer, OptimizerConfig};
use pellucid::train::Problem;
use pellucid::{Device, Isa};
use pellucid_bench::peak;

const NETWORK: &str = "tokens 128 -> 4 * transformer 128 heads 4 causal -> layernorm -> dense";
const VOCABULARY: usize = 65;
const TIME: usize = 128;
const BATCH: usize = 32;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse().expect("a number"));
    let (threads, repetitions) = (numbers.next().unwrap_or(2), numbers.next().unwrap_or(10));
    let device = Arc::new(Device::new(Isa::best(), threads));
    let options = NetworkOptions {
        outputs: Some(VOCABULARY),
        every_step: true,
        vocabulary: Some(VOCABULARY),
        ..NetworkOptions::default()
    };
    let network = options.build(&Network::parse(NETWORK).expect("a line"), &[TIME]).expect("a network").graph;
    let (seconds, flops) = step(&network, &device, repetitions);
    let peak = peak(&device);
    println!("gpt_small_train\tpellucid\t{:.0}\ttokens/s", (BATCH * TIME) as f64 / seconds);
    println!("gpt_small_step\tpellucid\t{:.1}\tms", 1e3 * seconds);
    println!("gpt_small_share_of_peak\tpellucid\t{:.1}\t%", 100.0 * flops / seconds / (1e9 * peak));
    println!("gpt_small_token\tpellucid\t{:.0}\tus", 1e6 * token(network, &device, 4 * repetitions));
}

/// The least time of a training step with AdamW in seconds, and its floating-point operations.
fn step(network: &Graph, device: &Arc<Device>, repetitions: usize) -> (f64, f64) {
    let problem = Problem::new(network, &Loss::cross_entropy(), false).expect("a loss on it");
    let parameters = Parameters::initialise(&problem.graph, device, 1);
    let config = OptimizerConfig::parse("adamw:lr=0.001").expect("an optimiser");
    let mut optimizer = Optimizer::new(&config, parameters.segments(), &Groups::default()).expect("an optimiser");
    let mut session = Session::new(problem.graph.clone(), device.clone(), parameters, 1);
    let options = PlanOptions { batch: BATCH, loss: Some(problem.loss), ..Default::default() };
    let plan = session.plan(&options).expect("a plan");
    let tokens: Vec<f32> = (0..BATCH * TIME).map(|i| (i * i % VOCABULARY) as f32).collect();
    session.input_mut(plan, problem.input).copy_from_slice(&tokens);
    session.input_mut(plan, problem.target).copy_from_slice(&tokens);
    let mut best = f64::INFINITY;
    for step in 0..repetitions as u64 + 1 {
        let begun = Instant::now();
        session.forward(plan, step);
        session.backward(plan, step);
        let (parameters, gradients) = session.parameters_and_gradients();
        optimizer.update(device, 0.001, parameters.values_mut(), gradients);
        best = best.min(begun.elapsed().as_secs_f64());
    }
    let forward: u64 = session.plan_of(plan).costs().iter().map(|cost| cost.flops).sum();
    // The backward pass computes two products for each of the forward pass.
    (best, 3.0 * forward as f64)
}

/// Seconds of one token behind 100 others, whose keys and values are kept.
fn token(network: Graph, device: &Arc<Device>, repetitions: usize) -> f64 {
    let network = Arc::new(network);
    let (input, output) = (network.inputs()[0].value, network.outputs()[0]);
    let parameters = Parameters::initialise(&network, device, 1);
    let mut session = Session::new(network, device.clone(), parameters, 1);
    let mut plan = |length| {
        let options =
            PlanOptions { batch: 1, outputs: &[output], length: Some(length), carries: true, ..Default::default() };
        session.plan(&options).expect("a plan")
    };
    let (prompt, one) = (plan(100), plan(1));
    session.pack();
    session.input_mut(prompt, input).fill(1.0);
    session.forward(prompt, Moment { step: 0, past: 0 });
    let mut best = f64::INFINITY;
    for repetition in 0..repetitions {
        let begun = Instant::now();
        session.input_mut(one, input).fill((repetition % VOCABULARY) as f32);
        session.forward(one, Moment { step: 0, past: 100 + repetition % 20 });
        assert!(session.value(one, output)[0].is_finite());
        best = best.min(begun.elapsed().as_secs_f64());
    }
    best
}
