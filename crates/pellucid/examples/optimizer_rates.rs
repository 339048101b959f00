//! Times one update of each optimiser: nine parameters on one thread (the network for XOR), and 101,770 (784-128-10) on
//! one and two. Best of many runs.
//!
//! `cargo run --release -p pellucid --example optimizer_rates`

use std::hint::black_box;
use std::time::Instant;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{Role, Segment};
use pellucid::optim::{Clipping, Groups, OptimError, Optimizer, OptimizerConfig};

fn segments(sizes: &[usize]) -> Vec<Segment> {
    let mut end: usize = 0;
    let mut segments = Vec::new();
    for (i, size) in sizes.iter().enumerate() {
        let start = end.next_multiple_of(16);
        end = start + size;
        let role = if i % 2 == 0 { Role::Weight } else { Role::Bias };
        let dims = [*size].into_iter().collect();
        segments.push(Segment { name: format!("{i}"), dims, range: start..end, role, frozen: false });
    }
    segments
}

/// Nanoseconds of one call, the best of many batches of calls.
fn time(calls: u32, mut call: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..200 {
        let begun = Instant::now();
        for _ in 0..calls {
            call();
        }
        best = best.min(begun.elapsed().as_secs_f64() / f64::from(calls));
    }
    best * 1e9
}

fn main() -> Result<(), OptimError> {
    let networks: [(&[usize], u32); 2] = [(&[4, 2, 2, 1], 1000), (&[784 * 128, 128, 128 * 10, 10], 20)];
    println!("{:<40} {:>12} {:>14} {:>14}", Isa::best().name(), "9 x1", "101770 x1", "101770 x2");
    let mut rows: Vec<String> = OptimizerConfig::NAMES.iter().map(|name| name.to_string()).collect();
    rows.retain(|name| name != "lbfgs");
    rows.extend(["sgd:momentum=0.9", "adam:weight_decay=0.01", "adamw:weight_decay=0.01"].map(String::from));
    for text in rows {
        print!("{text:<40}");
        for (network, threads) in [(0, 1), (1, 1), (1, 2)] {
            let (sizes, calls) = networks[network];
            let segments = segments(sizes);
            let len = segments.last().map_or(0, |segment| segment.range.end).next_multiple_of(16);
            let device = Device::new(Isa::best(), threads);
            let config = OptimizerConfig::parse(&text)?;
            let mut optimizer = Optimizer::new(&config, &segments, &Groups::default())?;
            let (mut parameters, mut gradients) = (vec![0.0f32; len], vec![0.0f32; len]);
            for segment in &segments {
                for i in segment.range.clone() {
                    (parameters[i], gradients[i]) = ((i % 13) as f32 * 0.1, ((i * 7) % 11) as f32 * 0.01 - 0.05);
                }
            }
            let nanoseconds = time(calls, || {
                black_box(optimizer.update(&device, 1e-6, black_box(&mut parameters), black_box(&gradients)));
            });
            print!("{:>11.1} {}", if network == 0 { nanoseconds } else { nanoseconds / 1e3 }, ["ns ", "µs "][network]);
        }
        println!();
    }
    let mut gradients = vec![0.01f32; 101_776];
    for threads in [1, 2] {
        let device = Device::new(Isa::best(), threads);
        let clip = time(20, || Clipping::Norm(1e9).apply(&device, black_box(&mut gradients)));
        println!("norm of 101,776 gradients, {threads} threads: {:.1} µs", clip / 1e3);
    }
    Ok(())
}
