//! Rates of the matrix product against the measured peak of multiply-adds, for squares and for the products of a
//! training step: `cargo run --release -p pellucid-kernels --example gemm_rates [ISA] [PART OF A NAME]`
//!
//! The peak is measured again before every line, and every time is the least of many short runs, so that other work on
//! the machine changes little.

use std::hint::black_box;
use std::time::Instant;

use kernels::device::Device;
use kernels::gemm::{Gemm, GemmPacked, Matrix, PackedMatrix, gemm, gemm_packed, gemm_scratch};
use kernels::simd::{Isa, Kernel, LANES, Simd, dispatch};

/// Multiply-adds in registers alone: twelve independent chains hide the latency.
struct Peak;

const ROUNDS: usize = 20_000;
const CHAINS: usize = 12;

impl Kernel for Peak {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let mut sums = [s.splat(black_box(0.5)); CHAINS];
        let (x, y) = (s.splat(black_box(0.999)), s.splat(black_box(0.001)));
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = s.fma(*sum, x, y);
            }
        }
        sums.into_iter().map(|sum| s.reduce_add(sum)).sum()
    }
}

/// The peak of all threads of the device in GFLOP/s.
fn peak(device: &Device) -> f64 {
    let threads = device.threads();
    let time = best_time(0.05, || {
        device.for_each(4 * threads, &|_| {
            black_box(dispatch(device.isa(), Peak));
        })
    });
    4.0 * threads as f64 * (2 * ROUNDS * CHAINS * LANES) as f64 / time / 1e9
}

/// The least time of a call in seconds, in `budget` seconds of calls.
fn best_time(budget: f64, mut call: impl FnMut()) -> f64 {
    call();
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    let mut calls = 1;
    while begin.elapsed().as_secs_f64() < budget {
        let start = Instant::now();
        for _ in 0..calls {
            call();
        }
        let time = start.elapsed().as_secs_f64() / calls as f64;
        best = best.min(time);
        // Batches of some ten microseconds: long against the clock, short against interruptions.
        calls = ((3e-5 / time) as usize).clamp(1, 10_000);
    }
    best
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    RightTransposed,
    LeftTransposed,
    Packed,
}

use Form::{LeftTransposed, Packed, Plain, RightTransposed};

const ALL: [Form; 4] = [Plain, RightTransposed, LeftTransposed, Packed];

/// Name, m, k, n, forms.
fn products() -> Vec<(String, usize, usize, usize, Vec<Form>)> {
    let squares = [128, 256, 512, 1024, 2048].map(|size| (size, size, size));
    let others = [(32, 784, 128), (784, 32, 128), (128, 784, 512), (128, 512, 512), (1, 784, 128), (1, 128, 10)];
    let named = squares.into_iter().chain(others);
    let mut products: Vec<_> = named.map(|(m, k, n)| ("product".to_string(), m, k, n, ALL.to_vec())).collect();
    for batch in [32, 64, 128] {
        for (input, output) in [(784, 128), (784, 512), (512, 512), (128, 10)] {
            products.push(("forward x·Wᵀ".into(), batch, input, output, vec![RightTransposed]));
            products.push(("weight gradient dyᵀ·x".into(), output, batch, input, vec![LeftTransposed]));
            products.push(("input gradient dy·W".into(), batch, output, input, vec![Plain]));
        }
    }
    products
}

fn main() {
    let isa = std::env::args().nth(1).map_or(Isa::best(), |name| name.parse().expect("an instruction set"));
    let filter = std::env::args().nth(2).unwrap_or_default();
    let devices = [1, 2].map(|threads| Device::new(isa, threads));
    println!("{isa}; GFLOP/s (share of the peak, µs), one and two threads; A [m, k] · B [k, n]");
    for (name, m, k, n, forms) in products() {
        let name = format!("{name} m {m} k {k} n {n}");
        if !name.contains(&filter) {
            continue;
        }
        let (a, b) = (vec![0.5; m * k], vec![0.25; k * n]);
        let mut c = vec![0.0; m * n];
        let mut scratch = vec![0.0; gemm_scratch(m, n, k)];
        let flops = (2 * m * n * k) as f64 / 1e9;
        let plain = (Matrix::row_major(&a, k), Matrix::row_major(&b, n));
        let right = (plain.0, Matrix::row_major(&b, k).transposed());
        let left = (Matrix::row_major(&a, m).transposed(), plain.1);
        for form in forms {
            let (form_name, (a, b)) = match form {
                Plain => ("A·B", plain),
                RightTransposed => ("A·Bᵀ", right),
                LeftTransposed => ("Aᵀ·B", left),
                Packed => ("packed", right),
            };
            print!("{name:40} {form_name:6}");
            for device in &devices {
                let peak = peak(device);
                let time = if form == Packed {
                    let b = &PackedMatrix::new(device, k, n, b);
                    let product = GemmPacked { m, a, b, bias: None, accumulate: false, epilogue: None };
                    best_time(0.15, || gemm_packed(device, &product, &mut c))
                } else {
                    let product = Gemm { m, n, k, a, b, bias: None, accumulate: false, epilogue: None };
                    best_time(0.15, || gemm(device, &product, &mut c, &mut scratch))
                };
                let rate = flops / time;
                print!("  {rate:6.1} ({:3.0} %, {:8.2} µs)", 100.0 * rate / peak, 1e6 * time);
            }
            println!();
        }
    }
    let (a, b, mut c) = ([0.5; 8], [0.25; 8], [0.0; 16]);
    let (a, b) = (Matrix::row_major(&a, 2), Matrix::row_major(&b, 2).transposed());
    let product = Gemm { m: 4, n: 2, k: 2, a, b, bias: Some(&[0.5; 2]), accumulate: false, epilogue: None };
    let time = best_time(0.1, || gemm(&devices[0], black_box(&product), &mut c[..8], &mut []));
    println!("4x2x2: {:.1} ns", 1e9 * time);
}
