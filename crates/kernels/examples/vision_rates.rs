//! Times of pooling and normalisation:
//! `cargo run --release -p pellucid-kernels --example vision_rates [ISA]`

use std::hint::black_box;
use std::time::Instant;

use kernels::device::Device;
use kernels::normalise::normalise_rows_backward;
use kernels::normalise::{BatchNorm, RowNorm, Statistics, batch_norm, batch_norm_backward, normalise_rows};
use kernels::pooling::{Regions, Windows, average_pool, average_pool_backward, max_pool, max_pool_backward};
use kernels::simd::Isa;

/// Prints the least time of a call, in a fifth of a second of calls, and the rate of the `bytes` that it reads and writes.
fn report(name: &str, bytes: usize, mut call: impl FnMut()) {
    call();
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed().as_secs_f64() < 0.2 {
        let start = Instant::now();
        call();
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("  {name:56} {:10.1} µs  {:7.1} GB/s", 1e6 * best, bytes as f64 / best / 1e9);
}

fn windows(size: usize, kernel: usize, stride: usize, padding: usize) -> Windows {
    let output = (size + 2 * padding - kernel) / stride + 1;
    Windows {
        input: [size; 2],
        output: [output; 2],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        dilation: [1; 2],
    }
}

fn main() {
    let isa = std::env::args().nth(1).map_or(Isa::best(), |name| name.parse().expect("an instruction set"));
    for threads in [1, 2] {
        let device = &Device::new(isa, threads);
        println!("{isa}, {threads} thread(s)");
        for (planes, size, kernel, stride, padding) in
            [(64 * 32, 28, 2, 2, 0), (64 * 64, 14, 2, 2, 0), (128 * 64, 32, 2, 2, 0), (64 * 32, 28, 3, 2, 1)]
        {
            let windows = windows(size, kernel, stride, padding);
            let (input, output) = (planes * size * size, planes * windows.output[0] * windows.output[1]);
            let x: Vec<f32> = (0..input).map(|i| ((i * 7919) % 1013) as f32).collect();
            let (mut y, mut places, mut dx) = (vec![0.0; output], vec![0.0; output], vec![0.0; input]);
            let title = format!("max {kernel}x{kernel} stride {stride}, {planes} planes of {size}x{size}");
            report(&format!("{title}, inference"), 4 * (input + output), || {
                max_pool(device, &windows, &x, black_box(&mut y), &mut []);
            });
            report(&format!("{title}, training"), 4 * (input + 2 * output), || {
                max_pool(device, &windows, &x, black_box(&mut y), &mut places);
            });
            report(&format!("{title}, backward"), 4 * (input + 2 * output), || {
                max_pool_backward(device, &windows, &places, &y, black_box(&mut dx));
            });
            let regions = Regions::Windows { windows, counted: windows.padding };
            report("  average, forward", 4 * (input + output), || {
                average_pool(device, &regions, &x, black_box(&mut y));
            });
            report("  average, backward", 4 * (input + output), || {
                average_pool_backward(device, &regions, &y, black_box(&mut dx));
            });
        }
        for (batch, channels, span) in [(128, 16, 1024), (128, 32, 256), (128, 64, 64), (128, 512, 1)] {
            let len = batch * channels * span;
            let x: Vec<f32> = (0..len).map(|i| ((i * 7919) % 1013) as f32 / 500.0 - 1.0).collect();
            let (weight, bias) = (vec![1.0; channels], vec![0.0; channels]);
            let (mut mean, mut variance, mut sums) =
                (vec![0.0; channels], vec![1.0; channels], vec![0.0; 2 * channels]);
            let (mut y, mut dx) = (vec![0.0; len], vec![0.0; len]);
            let norm = BatchNorm { batch, channels, span, eps: 1e-5, weight: &weight, bias: &bias };
            report(&format!("batch norm {batch}x{channels}x{span}, training"), 8 * len, || {
                let statistics = Statistics::OfBatch { mean: &mut mean, variance: &mut variance };
                batch_norm(device, &norm, statistics, &x, black_box(&mut y), None);
            });
            report(&format!("batch norm {batch}x{channels}x{span}, backward"), 12 * len, || {
                let statistics = [&mean[..], &variance[..]];
                batch_norm_backward(device, &norm, true, statistics, &x, &y, black_box(&mut dx), &mut sums);
            });
        }
        for (rows, n) in [(2048, 256), (128, 4096)] {
            let len = rows * n;
            let x: Vec<f32> = (0..len).map(|i| ((i * 7919) % 1013) as f32 / 500.0 - 1.0).collect();
            let (weight, bias) = (vec![1.0; n], vec![0.0; n]);
            let (mut y, mut dx, mut parts) = (vec![0.0; len], vec![0.0; len], vec![0.0; len]);
            let norm = RowNorm { n, groups: 1, span: 1, eps: 1e-5, centred: true };
            report(&format!("layer norm {rows}x{n}, forward"), 8 * len, || {
                normalise_rows(device, &norm, &x, &weight, &bias, black_box(&mut y));
            });
            report(&format!("layer norm {rows}x{n}, backward"), 16 * len, || {
                normalise_rows_backward(device, &norm, &x, &weight, &y, black_box(&mut dx), &mut parts);
            });
        }
    }
}
