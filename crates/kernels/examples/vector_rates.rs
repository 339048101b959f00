//! Times of random numbers and optimiser updates:
//! `cargo run --release -p pellucid-kernels --example vector_rates [ISA]`

use std::hint::black_box;
use std::time::Instant;

use kernels::device::Device;
use kernels::random::{Stream, dropout, permutation, uniform};
use kernels::simd::{Isa, Simd};
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
            report(&format!("dropout, {len}"), len, || dropout(device, stream, 0.5, &x, black_box(&mut y)));
        }
        let mut order = vec![0; 60_000];
        report("permutation, 60000", 60_000, || permutation(device, stream, black_box(&mut order)));
    }
}
