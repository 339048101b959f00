//! Each function against f64 over the whole range, and all instruction sets against the portable code.

use super::ulp::within;
use super::*;
use crate::simd::{Isa, Kernel, LANES, dispatch};

#[derive(Clone, Copy, Debug)]
enum Function {
    Exp,
    Expm1,
    Log,
    Log1p,
    Sigmoid,
    Tanh,
    Erf,
    Sin,
    Cos,
}

use Function::*;

impl Function {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::Float) -> S::Float {
        match self {
            Exp => exp(s, x),
            Expm1 => expm1(s, x),
            Log => log(s, x),
            Log1p => log1p(s, x),
            Sigmoid => sigmoid(s, x),
            Tanh => tanh(s, x),
            Erf => erf(s, x),
            Sin => sin_cos_turns(s, x).0,
            Cos => sin_cos_turns(s, x).1,
        }
    }

    /// The function in f64, and the bound.
    fn truth(self, x: f64) -> (f64, f64) {
        match self {
            Exp => (libm::exp(x), EXP_ULP),
            Expm1 => (libm::expm1(x), EXPM1_ULP),
            Log => (libm::log(x), LOG_ULP),
            Log1p => (libm::log1p(x), LOG1P_ULP),
            Sigmoid if x < 0.0 => (libm::exp(x) / (1.0 + libm::exp(x)), SIGMOID_ULP),
            Sigmoid => (1.0 / (1.0 + libm::exp(-x)), SIGMOID_ULP),
            Tanh => (libm::tanh(x), TANH_ULP),
            Erf => (libm::erf(x), ERF_ULP),
            Sin => (turn(x, 0), SIN_ULP),
            Cos => (turn(x, 1), COS_ULP),
        }
    }
}

/// sin(2π (u + quarters / 4)), reduced exactly before the multiplication.
fn turn(u: f64, quarters: i64) -> f64 {
    let k = (4.0 * u).round_ties_even();
    let angle = std::f64::consts::TAU * (u - k / 4.0);
    match (k.rem_euclid(4.0) as i64 + quarters) % 4 {
        0 => libm::sin(angle),
        1 => libm::cos(angle),
        2 => -libm::sin(angle),
        _ => -libm::cos(angle),
    }
}

struct Lanes<'a>(Function, &'a [f32; LANES]);

impl Kernel for Lanes<'_> {
    type Output = [f32; LANES];
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f32; LANES] {
        s.to_array(self.0.value(s, s.load(self.1)))
    }
}

const SPECIAL: [f32; 16] = [
    0.0,
    -0.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    1e-45,
    -1e-45,
    1e-40,
    1.0,
    -1.0,
    0.5,
    -0.5,
];

/// Compares with f64 and over instruction sets at all `inputs` (and zeros to fill the lanes); returns the largest error.
fn check(function: Function, inputs: impl Iterator<Item = f32>) -> f64 {
    let mut worst = (0.0, 0.0);
    let mut inputs = inputs.peekable();
    while inputs.peek().is_some() {
        let x: [f32; LANES] = std::array::from_fn(|_| inputs.next().unwrap_or(0.0));
        let portable = Lanes(function, &x).run(crate::simd::Scalar);
        for isa in Isa::available() {
            let values = dispatch(isa, Lanes(function, &x));
            for i in 0..LANES {
                let same = values[i].to_bits() == portable[i].to_bits() || (values[i].is_nan() && portable[i].is_nan());
                assert!(same, "{function:?}({:e}) on {isa}: {:e}, not {:e}", x[i], values[i], portable[i]);
            }
        }
        for i in 0..LANES {
            let (expected, bound) = function.truth(f64::from(x[i]));
            match within(portable[i], expected, bound) {
                Ok(error) if error <= worst.0 => (),
                Ok(error) => worst = (error, x[i]),
                Err(message) => panic!("{function:?}({:e} = {:#x}): {message}", x[i], x[i].to_bits()),
            }
        }
    }
    println!("{function:?}: at most {:.3} ULP, at {:e}", worst.0, worst.1);
    worst.0
}

/// Every f32 from one value to the other, both of one sign.
fn all((one, other): (f32, f32)) -> impl Iterator<Item = f32> {
    let (one, other) = (one.to_bits(), other.to_bits());
    (one.min(other)..=one.max(other)).map(f32::from_bits)
}

/// Every 997th f32 of the whole range, and the special ones.
fn whole_range() -> impl Iterator<Item = f32> {
    SPECIAL.into_iter().chain((0..=u32::MAX).step_by(997).map(f32::from_bits))
}

/// The whole range, every f32 of the critical intervals, and the first and last subnormals.
fn check_range(function: Function, critical: &[(f32, f32)]) {
    let subnormal = [(0.0, 1e-42), (-0.0, -1e-42), (1.175e-38, 1.176e-38), (-1.175e-38, -1.176e-38)];
    let whole = check(function, whole_range());
    let close = check(function, critical.iter().chain(&subnormal).copied().flat_map(all));
    // A bound that nothing comes near would hide a fault.
    let bound = function.truth(1.0).1;
    assert!(whole.max(close) > bound / 2.0, "{function:?}: a smaller bound would do");
}

#[test]
fn exp_is_within_its_bound() {
    // The change of k, the first subnormal results, the last ones above 0, the last finite ones.
    check_range(Exp, &[(0.346, 0.347), (-0.3468, -0.3464), (-87.34, -87.33), (-104.0, -103.9), (88.72, 88.73)]);
}

#[test]
fn expm1_is_within_its_bound() {
    check_range(Expm1, &[(0.346, 0.347), (-0.3468, -0.3464), (1.039, 1.04), (-17.33, -17.32), (88.72, 88.73)]);
}

#[test]
fn log_is_within_its_bound() {
    check_range(Log, &[(0.7069, 0.7073), (1.4141, 1.4145), (0.9995, 1.0005), (3.4028e38, f32::MAX)]);
}

#[test]
fn log1p_is_within_its_bound() {
    check_range(
        Log1p,
        &[(0.4141, 0.4145), (-0.2931, -0.2927), (-1.00001, -0.99999), (1.0, 1.005), (3.402e38, f32::MAX)],
    );
}

#[test]
fn sigmoid_is_within_its_bound() {
    check_range(Sigmoid, &[(-0.001, -0.00099), (0.346, 0.347), (-87.34, -87.33), (-104.0, -103.9), (17.0, 17.05)]);
}

#[test]
fn tanh_is_within_its_bound() {
    check_range(Tanh, &[(0.173, 0.1735), (-0.1735, -0.173), (9.0, 9.05), (0.519, 0.52)]);
}

#[test]
fn erf_is_within_its_bound() {
    check_range(Erf, &[(0.899, 0.901), (-0.901, -0.899), (3.9, 3.96)]);
}

#[test]
fn sine_and_cosine_are_within_their_bounds() {
    let turn = || {
        let numbers = (0..1 << 20).map(|i| i as f32 / (1 << 20) as f32);
        let critical = [(0.1249, 0.1251), (0.2499, 0.2501), (0.3749, 0.3751), (0.4999, 0.5001), (0.9999, 1.0)];
        let wide = (1..100_000).map(|i| (i as f32 - 50_000.5) * 20.9);
        numbers.chain(critical.into_iter().flat_map(all)).chain(wide).chain(all((0.0, 1.0)).step_by(997))
    };
    for function in [Sin, Cos] {
        let worst = check(function, turn());
        assert!(worst > function.truth(1.0).1 / 2.0, "{function:?}: a smaller bound would do");
        check(function, [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter());
    }
}

/// Every f32 on the fastest instruction set: minutes in release mode, hence `cargo test --release -- --ignored every_f32`.
#[test]
#[ignore = "takes minutes a function"]
fn every_f32_is_within_the_bounds() {
    let isa = Isa::best();
    for function in [Exp, Expm1, Log, Log1p, Sigmoid, Tanh, Erf] {
        let worst = |part: u32| {
            let mut worst = 0.0f64;
            for first in (part << 28..=(part << 28) + 0xfff_fff0).step_by(LANES) {
                let x = std::array::from_fn(|i| f32::from_bits(first + i as u32));
                let values = dispatch(isa, Lanes(function, &x));
                for i in 0..LANES {
                    let (expected, bound) = function.truth(f64::from(x[i]));
                    worst = worst.max(within(values[i], expected, bound).unwrap_or_else(|e| panic!("{e} at {}", x[i])));
                }
            }
            worst
        };
        println!("{function:?}: at most {:.3} ULP", (0..16).map(worst).fold(0.0, f64::max));
    }
}
