//! A training step allocates nothing: an allocator that counts is asked.
//!
//! It counts for the whole process, so nothing else may go on: there is no test harness, whose threads allocate, and the
//! threads of the pool have begun (which allocates) before anything is counted.

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kernels::device::Device;
use kernels::simd::Isa;

use pellucid::data::{Augmentation, Dataset, Features, Task};
use pellucid::nn::{self, Loss};
use pellucid::optim::OptimizerConfig;
use pellucid::train::{BatchSize, Control, Event, Fit, FitOptions, Part};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A device all of whose threads are at work.
fn begun_device(threads: usize) -> Arc<Device> {
    let device = Device::new(Isa::best(), threads);
    let met = AtomicUsize::new(0);
    // Each task waits for all the others, so every thread takes one.
    device.for_each(threads, &|_| {
        met.fetch_add(1, Ordering::SeqCst);
        while met.load(Ordering::SeqCst) < threads {
            thread::yield_now();
        }
    });
    Arc::new(device)
}

const ROWS: usize = 1000;

fn targets() -> Vec<f32> {
    (0..ROWS).map(|i| (i % 4) as f32).collect()
}

fn numbers() -> Dataset {
    let x: Vec<f32> = (0..ROWS * 20).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
    Dataset::new(vec![20], Features::F32(x), targets(), 1, None).expect("rows of twenty numbers")
}

fn pictures() -> Dataset {
    let bytes = (0..ROWS * 3 * 8 * 9).map(|i| ((i * 37) % 251) as u8).collect();
    let features = Features::U8 { bytes, scale: vec![1.0 / 255.0], shift: vec![-0.5] };
    Dataset::new(vec![3, 8, 9], features, targets(), 1, Some(vec![1.5; ROWS])).expect("small pictures")
}

/// Allocations between the first and the last step of an epoch.
fn allocations_of_steps(
    device: &Arc<Device>,
    data: &Dataset,
    network: &str,
    optimizer: &str,
    augmentation: &str,
) -> usize {
    let network = nn::network(network, &data.sample_shape, Some(4)).expect("a network");
    let task = Task::Multiclass { classes: ["a", "b", "c", "d"].map(String::from).to_vec() };
    let options = FitOptions {
        epochs: 1,
        batch_size: BatchSize::Rows(32),
        optimizer: OptimizerConfig::parse(optimizer).expect("an optimiser"),
        augmentation: Augmentation::parse(augmentation).expect("an augmentation"),
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
    let fit = Fit { device: device.clone(), ..Fit::new(&network, &loss, &task, Part::all(data), &options) };
    let fitted = fit.run(&mut watcher).expect("a run");
    assert!(fitted.steps > 10);
    last - first.expect("steps")
}

fn main() {
    for threads in [1, 2, 3] {
        let device = begun_device(threads);
        let (numbers, pictures) = (numbers(), pictures());
        // The last batch is smaller, so both plans are used.
        for network in [
            "dense",
            "dense 64 relu -> dropout 0.2 -> dense 32 gelu -> dense",
            "dense 300 tanh -> dense",
            "dense 40 -> batchnorm relu -> layernorm -> groupnorm 4 -> rmsnorm -> stochastic-depth 0.1 -> dense",
            "reshape 1x4x5 -> pad 1 reflect -> maxpool 2 -> upsample 2 linear -> batchnorm -> avgpool 2 -> flatten -> dense",
            "reshape 4x5 -> spatial-dropout 0.2 -> maxpool 3 stride=1 pad=1 -> global-avgpool -> dense",
        ] {
            for optimizer in ["sgd:momentum=0.9", "adam", "adamw"] {
                let count = allocations_of_steps(&device, &numbers, network, optimizer, "none");
                assert_eq!(count, 0, "{network}, {optimizer}, {threads} threads");
            }
        }
        for augmentation in [
            "flip, crop 2",
            "flip, rotate 10, elastic 1, shift 2, brightness 0.1, contrast 0.2, cutout 3, border zeros",
            "crop 1, mixup 0.2, cutmix 1",
        ] {
            let count =
                allocations_of_steps(&device, &pictures, "conv 4 3x3 relu -> flatten -> dense", "adam", augmentation);
            assert_eq!(count, 0, "{augmentation}, {threads} threads");
        }
    }
    println!("a training step allocates nothing: ok");
}
