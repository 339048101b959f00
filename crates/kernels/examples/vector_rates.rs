//! Times of random numbers, optimiser updates, reductions, softmax and batches:
//! `cargo run --release -p pellucid-kernels --example vector_rates [ISA]`

use std::hint::black_box;
use std::time::Instant;

use kernels::device::Device;
use kernels::gather::{Affine, gather_bytes};
use kernels::random::{Stream, dropout, normal, permutation, uniform};
use kernels::reduce::{argmax_rows, column_sums, norm, row_sums, sum};
use kernels::simd::{Isa, Simd};
use kernels::softmax::{CrossEntropy, Targets, softmax};
use kernels::update::{Rule, apply};

/// Adam without a schedule; the step's bias corrections are in `rate` and `root`.
#[derive(Clone, Copy)]
struct Adam {
    rate: f32,
    root: f32,
}

impl Rule<2> for Adam {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, p: S::Float, g: S::Float, [m, v]: [S::Float; 2]) -> (S::Float, [S::Float; 2]) {
        let m = s.fma(s.splat(0.1), s.sub(g, m), m);
        let v = s.fma(s.splat(0.001), s.sub(s.mul(g, g), v), v);
        let size = s.fma(s.sqrt(v), s.splat(self.root), s.splat(1e-8));
        (s.fnma(s.splat(self.rate), s.div(m, size), p), [m, v])
    }
}

#[derive(Clone, Copy)]
struct Sgd(f32);

impl Rule<0> for Sgd {
    #[inline(always)]
    fn update<S: Simd>(self, s: S, p: S::Float, g: S::Float, _: [S::Float; 0]) -> (S::Float, [S::Float; 0]) {
        (s.fnma(s.splat(self.0), g, p), [])
    }
}

/// Prints the least time of a call, in a third of a second of calls, and that of one of its `values`.
fn report(name: &str, values: usize, mut call: impl FnMut()) {
    call();
    let begin = Instant::now();
    let (mut best, mut calls) = (f64::INFINITY, 1);
    while begin.elapsed().as_secs_f64() < 0.3 {
        let start = Instant::now();
        for _ in 0..calls {
            call();
        }
        let time = start.elapsed().as_secs_f64() / calls as f64;
        best = best.min(time);
        // Batches of some ten microseconds: long against the clock, short against interruptions.
        calls = ((3e-5 / time) as usize).clamp(1, 10_000);
    }
    println!("  {name:44} {:10.3} µs  {:8.3} ns a value", 1e6 * best, 1e9 * best / values as f64);
}

fn main() {
    let isa = std::env::args().nth(1).map_or(Isa::best(), |name| name.parse().expect("an instruction set"));
    for threads in [1, 2] {
        let device = &Device::new(isa, threads);
        println!("{isa}, {threads} thread(s)");
        for len in [9, 101_770, 669_706] {
            let (mut p, mut m, mut v) = (vec![0.5; len], vec![0.0; len], vec![0.0; len]);
            let g = vec![0.01; len];
            report(&format!("SGD, {len} parameters"), len, || {
                black_box(apply(device, Sgd(1e-3), black_box(&mut p), &g, []));
            });
            report(&format!("Adam, {len} parameters"), len, || {
                black_box(apply(device, Adam { rate: 1e-3, root: 1.0 }, black_box(&mut p), &g, [&mut m, &mut v]));
            });
        }
        let stream = Stream::new(1, 2);
        for len in [32 * 128, 128 * 512] {
            let (x, mut y) = (vec![1.0; len], vec![0.0; len]);
            report(&format!("uniform, {len}"), len, || uniform(device, stream, 0.0, 1.0, black_box(&mut y)));
            report(&format!("normal, {len}"), len, || normal(device, stream, 0.0, 1.0, black_box(&mut y)));
            report(&format!("dropout, {len}"), len, || dropout(device, stream, 0.5, &x, black_box(&mut y)));
        }
        for len in [16, 1000, 101_770, 669_706] {
            let x = vec![0.5; len];
            report(&format!("sum, {len}"), len, || {
                black_box(sum(device, black_box(&x)));
            });
            report(&format!("norm, {len}"), len, || {
                black_box(norm(device, black_box(&x)));
            });
        }
        for (rows, n) in [(4, 2), (32, 10), (32, 128), (128, 512), (100_000, 10)] {
            let (x, mut columns, mut per_row) = (vec![0.5; rows * n], vec![0.0; n], vec![0.0; rows]);
            report(&format!("column sums, {rows} x {n}"), rows * n, || {
                column_sums(device, &x, black_box(&mut columns))
            });
            report(&format!("row sums, {rows} x {n}"), rows * n, || row_sums(device, n, &x, black_box(&mut per_row)));
            report(&format!("argmax, {rows} x {n}"), rows * n, || argmax_rows(device, n, &x, black_box(&mut per_row)));
        }
        for (rows, n) in [(1, 10), (4, 2), (32, 10), (128, 10), (128, 65), (32, 1000)] {
            let (x, mut y, mut losses) = (vec![0.5; rows * n], vec![0.0; rows * n], vec![0.0; rows]);
            let labels = vec![1.0; rows];
            let ce = CrossEntropy {
                n,
                targets: Targets::Labels { labels: &labels, ignored: None },
                class_weights: None,
                label_smoothing: 0.0,
                row_weights: None,
            };
            report(&format!("softmax, {rows} x {n}"), rows * n, || softmax(device, n, &x, black_box(&mut y)));
            report(&format!("cross-entropy, losses, {rows} x {n}"), rows * n, || {
                ce.losses(device, &x, black_box(&mut losses));
            });
            report(&format!("cross-entropy, losses and gradient, {rows} x {n}"), rows * n, || {
                ce.losses_and_gradient(device, &x, black_box(&mut losses), 1.0, black_box(&mut y));
            });
        }
        // As large as MNIST, and a new batch each time: most rows are not in the cache.
        let (bytes, mut order) = (vec![7; 60_000 * 784], vec![0; 60_000]);
        permutation(device, stream, &mut order);
        for rows in [32, 128] {
            let (mut out, mut batches) = (vec![0.0; rows * 784], order.chunks_exact(rows).cycle());
            report(&format!("batch of bytes, {rows} x 784"), rows * 784, || {
                let index = batches.next().expect("an endless sequence");
                gather_bytes(device, 784, &bytes, Affine::All { scale: 1.0 / 255.0, shift: 0.0 }, index, &mut out);
            });
        }
        report("permutation, 60000", 60_000, || permutation(device, stream, black_box(&mut order)));
    }
}
