//! Copies an operand into panels that the tile loop reads in order: value of lane l at depth k goes to `k·width + l`.

use crate::simd::{Kernel, LANES, Simd};

/// One panel: up to `width` (at most sixteen) lanes of the source, over `k` depths.
pub(super) struct Pack<'a> {
    /// Lane l at depth k is `source[l·lane + k·depth]`.
    pub source: &'a [f32],
    pub lane: usize,
    pub depth: usize,
    /// Lanes that there are; the rest of the width becomes 0.
    pub lanes: usize,
    pub k: usize,
    /// `k·width` values.
    pub target: &'a mut [f32],
    pub width: usize,
}

impl Kernel for Pack<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Pack { source, lane, depth, lanes, k, target, width } = self;
        if lane == 1 && lanes == width {
            for i in 0..k {
                let from = &source[i * depth..];
                // A whole vector where there is room; what it writes too much, the next depth puts right.
                if from.len() >= LANES && target.len() >= i * width + LANES {
                    s.store(s.load(from), &mut target[i * width..]);
                } else {
                    target[i * width..][..width].copy_from_slice(&from[..width]);
                }
            }
        } else if depth == 1 {
            for at in (0..k).step_by(LANES) {
                let count = LANES.min(k - at);
                let mut rows = [s.splat(0.0); LANES];
                for l in 0..lanes {
                    let row = &source[l * lane + at..];
                    rows[l] = if count == LANES { s.load(row) } else { s.load_partial(&row[..count]) };
                }
                for (i, &column) in s.transpose(rows).iter().enumerate().take(count) {
                    let place = &mut target[(at + i) * width..];
                    // As above.
                    if place.len() >= LANES {
                        s.store(column, place);
                    } else {
                        s.store_partial(column, &mut place[..width]);
                    }
                }
            }
        } else {
            for i in 0..k {
                for l in 0..width {
                    target[i * width + l] = if l < lanes { source[l * lane + i * depth] } else { 0.0 };
                }
            }
        }
    }
}
