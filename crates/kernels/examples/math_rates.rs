//! Rates of the elementary functions, a thread, from the first-level cache:
//! `cargo run --release -p pellucid-kernels --example math_rates`

use std::hint::black_box;
use std::time::Instant;

use kernels::device::Device;
use kernels::math;
use kernels::simd::{Isa, Simd};
use kernels::unary::{Reads, Unary, forward};

/// Makes a [`Unary`] of a function, to be timed by its driver.
macro_rules! functions {
    ($($name:ident = |$s:ident, $x:ident| $value:expr;)*) => {$(
        #[derive(Clone, Copy)]
        struct $name;
        impl Unary for $name {
            const READS: Reads = Reads::Input;
            #[inline(always)]
            fn value<S: Simd>(self, $s: S, $x: S::Float) -> S::Float {
                $value
            }
            #[inline(always)]
            fn derivative<S: Simd>(self, _: S, x: S::Float, _: S::Float) -> S::Float {
                x
            }
        }
    )*};
}

functions! {
    Copied = |_s, x| x;
    Exp = |s, x| math::exp(s, x);
    Expm1 = |s, x| math::expm1(s, x);
    Log = |s, x| math::log(s, x);
    Log1p = |s, x| math::log1p(s, x);
    Sigmoid = |s, x| math::sigmoid(s, x);
    Tanh = |s, x| math::tanh(s, x);
    Erf = |s, x| math::erf(s, x);
    SinPlusCos = |s, x| { let (sin, cos) = math::sin_cos_turns(s, x); s.add(sin, cos) };
}

/// The least time of a call in nanoseconds, over a tenth of a second.
fn best_time(mut call: impl FnMut()) -> f64 {
    let (begin, mut best) = (Instant::now(), f64::INFINITY);
    while begin.elapsed().as_secs_f64() < 0.1 {
        let start = Instant::now();
        for _ in 0..20 {
            call();
        }
        best = best.min(start.elapsed().as_secs_f64() / 20.0 * 1e9);
    }
    best
}

fn row(name: &str, f: impl Unary) {
    print!("{name:12}");
    for isa in Isa::available() {
        let device = Device::new(isa, 1);
        let x: Vec<f32> = (0..2048).map(|i| i as f32 / 2048.0).collect();
        let mut y = vec![0.0; x.len()];
        let time = best_time(|| forward(&device, f, black_box(&x), black_box(&mut y)));
        let small = best_time(|| forward(&device, f, black_box(&x[..8]), black_box(&mut y[..8])));
        print!("  {:9.1} {small:9.1}", 1000.0 * time / x.len() as f64);
    }
    println!();
}

fn main() {
    print!("{:12}", "");
    Isa::available().for_each(|isa| print!("  {:>19}", isa.name()));
    println!("\nnanoseconds for 1,000 values (in calls of 2,048), and for a call of 8 values");
    row("copy", Copied);
    row("exp", Exp);
    row("expm1", Expm1);
    row("log", Log);
    row("log1p", Log1p);
    row("sigmoid", Sigmoid);
    row("tanh", Tanh);
    row("erf", Erf);
    row("sin + cos", SinPlusCos);
}
