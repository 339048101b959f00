//! A training step allocates nothing: an allocator that counts is asked.

use std::alloc::System;

use pellucid::data::{Dataset, Features, Task};
use pellucid::nn::{self, Loss};
use pellucid::optim::OptimizerConfig;
use pellucid::train::{BatchSize, Control, Event, Fit, FitOptions, Part};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations between the first and the last step of an epoch.
fn allocations_of_steps(network: &str, optimizer: &str, rows: usize) -> usize {
    let x: Vec<f32> = (0..rows * 20).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
    let y: Vec<f32> = (0..rows).map(|i| (i % 4) as f32).collect();
    let data = Dataset::new(vec![20], Features::F32(x), y, 1, None).expect("rows of twenty numbers");
    let network = nn::network(network, &[20], Some(4)).expect("a network");
    let task = Task::Multiclass { classes: ["a", "b", "c", "d"].map(String::from).to_vec() };
    let options = FitOptions {
        epochs: 1,
        batch_size: BatchSize::Rows(32),
        optimizer: OptimizerConfig::parse(optimizer).expect("an optimiser"),
        ..FitOptions::default()
    };
    let (mut first, mut last) = (None, 0);
    let mut watcher = |event: Event| {
        if let Event::Step { .. } = event {
            let stats = COUNTING.stats();
            last = stats.allocations + stats.reallocations;
            first.get_or_insert(last);
        }
        Control::Continue
    };
    let loss = Loss::cross_entropy();
    let fit = Fit::new(&network, &loss, &task, Part::all(&data), &options);
    let fitted = fit.run(&mut watcher).expect("a run");
    assert!(fitted.steps > 10);
    last - first.expect("steps")
}

#[test]
fn a_training_step_allocates_nothing() {
    // The last batch is smaller, so both plans are used.
    for network in ["dense", "dense 64 relu -> dropout 0.2 -> dense 32 gelu -> dense", "dense 300 tanh -> dense"] {
        for optimizer in ["sgd:momentum=0.9", "adam", "adamw"] {
            assert_eq!(allocations_of_steps(network, optimizer, 1000), 0, "{network}, {optimizer}");
        }
    }
}
