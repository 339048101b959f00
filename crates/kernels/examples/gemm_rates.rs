//! Rates of the matrix product against the measured peak of multiply-adds:
//! `cargo run --release -p pellucid-kernels --example gemm_rates [ISA]`

use std::hint::black_box;
use std::time::Instant;

use kernels::device::Device;
use kernels::gemm::{Gemm, GemmPacked, Matrix, PackedMatrix, gemm, gemm_packed, gemm_scratch};
use kernels::simd::{Isa, Kernel, LANES, Simd, dispatch};

/// Multiply-adds in registers alone: twelve independent chains hide the latency.
struct Peak;

const ROUNDS: usize = 200_000;
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

/// The least time of a call in seconds, in half a second of calls.
fn best_time(mut call: impl FnMut()) -> f64 {
    call();
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    let mut calls = 1;
    while begin.elapsed().as_secs_f64() < 0.5 {
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

fn main() {
    let isa = std::env::args().nth(1).map_or(Isa::best(), |name| name.parse().expect("an instruction set"));
    let flops = (2 * ROUNDS * CHAINS * LANES) as f64;
    for threads in [1, 2] {
        let device = Device::new(isa, threads);
        let time = best_time(|| {
            device.for_each(threads, &|_| {
                black_box(dispatch(isa, Peak));
            })
        });
        let peak = threads as f64 * flops / time / 1e9;
        println!("{isa}, {threads} thread(s): peak {peak:.1} GFLOP/s");
        let squares = [128, 256, 512, 1024, 2048].map(|size| (size, size, size));
        let others = [(32, 784, 128), (784, 32, 128), (128, 784, 512), (128, 512, 512), (1, 784, 128)];
        for (m, k, n) in squares.into_iter().chain(others) {
            let (a, b) = (vec![0.5; m * k], vec![0.25; k * n]);
            let mut c = vec![0.0; m * n];
            let mut scratch = vec![0.0; gemm_scratch(m, n, k)];
            let flops = (2 * m * n * k) as f64 / 1e9;
            print!("  m {m:4}  k {k:4}  n {n:4} ");
            let plain = (Matrix::row_major(&a, k), Matrix::row_major(&b, n));
            let right = (plain.0, Matrix::row_major(&b, k).transposed());
            let left = (Matrix::row_major(&a, m).transposed(), plain.1);
            for (name, (a, b)) in [("A·B", plain), ("A·Bᵀ", right), ("Aᵀ·B", left)] {
                let product = Gemm { m, n, k, a, b, bias: None, accumulate: false, epilogue: None };
                let time = best_time(|| gemm(&device, &product, &mut c, &mut scratch));
                let rate = flops / time;
                print!("  {name} {rate:6.1} ({:3.0} %, {:8.2} µs)", 100.0 * rate / peak, 1e6 * time);
            }
            let b = &PackedMatrix::new(&device, k, n, right.1);
            let product = GemmPacked { m, a: plain.0, b, bias: None, accumulate: false, epilogue: None };
            let time = best_time(|| gemm_packed(&device, &product, &mut c));
            println!("  packed {:6.1} ({:3.0} %, {:8.2} µs)", flops / time, 100.0 * flops / time / peak, 1e6 * time);
        }
        let (a, b, mut c) = ([0.5; 8], [0.25; 8], [0.0; 16]);
        let (a, b) = (Matrix::row_major(&a, 2), Matrix::row_major(&b, 2).transposed());
        let product = Gemm { m: 4, n: 2, k: 2, a, b, bias: Some(&[0.5; 2]), accumulate: false, epilogue: None };
        let time = best_time(|| gemm(&device, black_box(&product), &mut c[..8], &mut []));
        println!("  4x2x2: {:.1} ns", 1e9 * time);
        let time = best_time(|| device.for_each(2, &|task| assert!(black_box(task) < 2)));
        println!("  fork and join: {:.2} µs", 1e6 * time);
    }
}
