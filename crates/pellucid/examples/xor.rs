//! The first example of every textbook: exclusive or, learnt by a network with one hidden layer of sigmoids.
//!
//! `cargo run --release --example xor -p pellucid`

use pellucid::data::{Dataset, Features, Task};
use pellucid::graph::Graph;
use pellucid::nn::{self, Loss};
use pellucid::optim::OptimizerConfig;
use pellucid::train::{BatchSize, Fit, FitOptions, Part, Silent, evaluate};

/// Loss and predictions after 10,000 steps over all four rows at once.
fn learn(network: &str, seed: u64) -> (f64, Vec<f32>) {
    let inputs = vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
    let data = Dataset::new(vec![2], Features::F32(inputs), vec![0.0, 1.0, 1.0, 0.0], 1, None).expect("four rows");
    let network: Graph = nn::network(network, &[2], Some(1)).expect("a network");
    let task = Task::Binary { classes: ["0".to_string(), "1".to_string()] };
    let options = FitOptions {
        epochs: 10_000,
        batch_size: BatchSize::Full,
        optimizer: OptimizerConfig::parse("sgd:lr=0.1").expect("an optimiser"),
        seed,
        ..FitOptions::default()
    };
    let loss = Loss::sum_of_squares();
    let fit = Fit::new(&network, &loss, &task, Part::all(&data), &options);
    let device = fit.device.clone();
    let fitted = fit.run(&mut Silent).expect("a run");
    let part = Part::all(&data);
    let (_, outputs) =
        evaluate(&network, &fitted.parameters, &loss, &task, &part, &device).expect("the same network and data");
    (outputs.loss, outputs.values)
}

/// Seeds (of the first `seeds`) whose predictions end on the right side of one half, row for row.
pub fn solved(network: &str, seeds: u64) -> Vec<u64> {
    let right = |outputs: &[f32]| outputs.iter().zip([0.0, 1.0, 1.0, 0.0]).all(|(y, t): (_, f32)| (y - t).abs() < 0.5);
    (0..seeds).filter(|&seed| right(&learn(network, seed).1)).collect()
}

/// Runs the example.
pub fn main() {
    let (loss, outputs) = learn("dense 4 sigmoid -> dense 1 sigmoid", 1);
    println!("2-4-1, seed 1: sum of squares {loss:.5}, predictions {outputs:.3?} (0 1 1 0 is right)");
    for network in [
        "dense 2 sigmoid init=uniform:-1:1 -> dense 1 sigmoid init=uniform:-1:1",
        "dense 2 tanh init=xavier_uniform -> dense 1 sigmoid init=xavier_uniform",
        "dense 4 sigmoid init=uniform:-1:1 -> dense 1 sigmoid init=uniform:-1:1",
    ] {
        let solved = solved(network, 20);
        println!("{network}\n  solved from {} of 20 starts: seeds {solved:?}", solved.len());
    }
}
