//! What the tests of several kernels share: inputs, devices, and how far two results may lie apart.

use crate::device::Device;
use crate::simd::Isa;

/// Around the lane count, the blocks of reductions (1024), and over the lengths where work is split.
pub const LENGTHS: [usize; 16] = [0, 1, 2, 9, 15, 16, 17, 31, 33, 64, 100, 1000, 1025, 5000, 33_000, 140_001];

/// Numbers in [-1, 1), the same for the same seed.
pub fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Every instruction set of the machine with 1, 2 and 3 threads; the first one is the portable code on one thread.
pub fn devices() -> Vec<Device> {
    let mut isas: Vec<Isa> = Isa::available().collect();
    isas.reverse();
    isas.into_iter().flat_map(|isa| [1, 2, 3].map(|threads| Device::new(isa, threads))).collect()
}

/// The bits, with all NaNs made one: their payload is free.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| if x.is_nan() { f32::NAN } else { *x }.to_bits()).collect()
}

/// What `compute` gives on the portable code and one thread, after the check that all other devices give the same bits.
pub fn on_every_device(compute: impl Fn(&Device) -> Vec<f32>) -> Vec<f32> {
    let devices = devices();
    let reference = compute(&devices[0]);
    for device in &devices[1..] {
        assert_eq!(bits(&compute(device)), bits(&reference), "{device:?}");
    }
    reference
}

/// Fails unless each value differs by at most `relative` of the expected magnitude, plus `absolute`. A NaN is only equal
/// to a NaN, an infinity to itself.
#[track_caller]
pub fn assert_close(got: &[f32], expected: &[f64], relative: f64, absolute: f64) {
    assert_eq!(got.len(), expected.len(), "lengths");
    for (i, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let got = f64::from(got);
        let bound = relative * expected.abs() + absolute;
        let same = got == expected || (got.is_nan() && expected.is_nan());
        let near = expected.is_finite() && (got - expected).abs() <= bound;
        assert!(same || near, "value {i}: {got:e} is not within {bound:e} of {expected:e}");
    }
}

#[test]
fn closeness_is_not_given_to_nan_or_infinity() {
    let fails =
        |got: f32, expected: f64| std::panic::catch_unwind(|| assert_close(&[got], &[expected], 0.1, 0.0)).is_err();
    assert!(!fails(1.0, 1.05) && !fails(f32::NAN, f64::NAN) && !fails(f32::INFINITY, f64::INFINITY));
    assert!(!fails(-0.0, 0.0) && fails(1e-30, 0.0) && fails(1.0, 1.2) && fails(f32::NAN, 1.0));
    assert!(fails(1.0, f64::NAN) && fails(f32::MAX, f64::INFINITY) && fails(f32::INFINITY, f64::NEG_INFINITY));
}
