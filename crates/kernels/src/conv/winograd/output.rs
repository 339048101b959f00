//! Y = Aᵀ m A + bias, with tiles in lanes.

use super::POINTS;
use crate::simd::{LANES, Simd};

/// The outputs of one channel: `results` [2, 2·lanes] from the sums of all points, `point` values apart.
#[inline(always)]
pub(super) fn transform<S: Simd>(s: S, sums: &[f32], point: usize, vectors: usize, bias: f32, results: &mut [f32]) {
    let bias = s.splat(bias);
    let (above, below) = results.split_at_mut(results.len() / 2);
    assert!((POINTS - 1) * point + vectors * LANES <= sums.len(), "sums of all points");
    for vector in 0..vectors {
        let (mut first, mut second) = ([s.splat(0.0); 4], [s.splat(0.0); 4]);
        for j in 0..4 {
            let mut m = [s.splat(0.0); 4];
            for i in 0..4 {
                // SAFETY: the vector is inside the sums, even that of the last point.
                m[i] = s.load(unsafe {
                    let first = sums.as_ptr().add((4 * i + j) * point + vector * LANES);
                    std::slice::from_raw_parts(first, LANES)
                });
            }
            [first[j], second[j]] = combine(s, m);
        }
        for (columns, results) in [(first, &mut *above), (second, &mut *below)] {
            let [even, odd] = combine(s, columns);
            let (low, high) = s.interleave(s.add(even, bias), s.add(odd, bias));
            let pair = &mut results[2 * vector * LANES..][..2 * LANES];
            s.store(low, pair);
            s.store(high, &mut pair[LANES..]);
        }
    }
}

/// Aᵀ m
#[inline(always)]
fn combine<S: Simd>(s: S, m: [S::Float; 4]) -> [S::Float; 2] {
    [s.add(s.add(m[0], m[1]), m[2]), s.sub(s.sub(m[1], m[2]), m[3])]
}
