//! The matrix product beside that of `faer`, as a Markdown table; in `bench/`:
//! `cargo run --release --features faer --bin gemm_vs_faer`
//!
//! C = A·B in f32, all three row after row. Ours and theirs take turns, and the peak is measured again before each
//! turn; every time is the least of many.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use kernels::device::Device;
use kernels::gemm::{Gemm, Matrix, gemm, gemm_scratch};
use kernels::simd::Isa;
use pellucid_bench::{best_time, peak, round_trip};

/// Times that ours and theirs take turns.
const TURNS: usize = 5;

fn main() {
    let squares = [128, 256, 512, 1024, 2048].map(|size| (size, size, size));
    let others = [(32, 784, 128), (784, 32, 128), (128, 784, 512), (128, 512, 512)];
    println!("Matrix product C [m, n] = A [m, k] · B [k, n], f32, GFLOP/s and share of the peak of multiply-adds.");
    println!();
    println!("| m, k, n | threads | peak | Pellucid | faer | Pellucid / faer |");
    println!("|---|---|---|---|---|---|");
    for threads in [1, 2] {
        let device = Device::new(Isa::best(), threads);
        let par = if threads == 1 { Par::Seq } else { Par::rayon(threads) };
        for (m, k, n) in squares.into_iter().chain(others) {
            let value = |i: usize| (i * 7 % 31) as f32 / 31.0 - 0.5;
            let a: Vec<f32> = (0..m * k).map(value).collect();
            let b: Vec<f32> = (0..k * n).map(value).collect();
            let (mut ours, mut theirs) = (vec![0.0; m * n], vec![0.0; m * n]);
            let mut scratch = vec![0.0; gemm_scratch(m, n, k)];
            let (left, right) = (Matrix::row_major(&a, k), Matrix::row_major(&b, n));
            let product = Gemm { m, n, k, a: left, b: right, bias: None, accumulate: false, epilogue: None };
            let (mut our_time, mut their_time) = (f64::INFINITY, f64::INFINITY);
            let mut most = 0.0f64;
            for _ in 0..TURNS {
                most = most.max(peak(&device));
                our_time = our_time.min(best_time(0.02, || gemm(&device, &product, &mut ours, &mut scratch)));
                their_time = their_time.min(best_time(0.02, || {
                    let a = MatRef::from_row_major_slice(&a, m, k);
                    let b = MatRef::from_row_major_slice(&b, k, n);
                    let c = MatMut::from_row_major_slice_mut(&mut theirs, m, n);
                    matmul(c, Accum::Replace, a, b, 1.0, par);
                }));
            }
            check(&ours, &theirs, k);
            let rate = |time: f64| (2 * m * k * n) as f64 / time / 1e9;
            let cell = |time: f64| format!("{:.0} ({:.0} %)", rate(time), 100.0 * rate(time) / most);
            let ratio = their_time / our_time;
            println!(
                "| {m}, {k}, {n} | {threads} | {most:.0} | {} | {} | {ratio:.2} |",
                cell(our_time),
                cell(their_time)
            );
        }
    }
    println!();
    println!("Message between two threads, to and fro: {:.0} ns.", round_trip());
}

/// Both must have computed the same product, but for rounding: values are below 1/2, so sums of k are below k/4.
fn check(ours: &[f32], theirs: &[f32], k: usize) {
    let bound = k as f32 * k as f32 / 4.0 * f32::EPSILON;
    for (i, (x, y)) in ours.iter().zip(theirs).enumerate() {
        assert!((x - y).abs() <= bound, "value {i}: {x} against {y}, which is more than {bound} apart");
    }
}
