//! Copies an operand into panels that the tile loop reads in order: value of lane l at depth k goes to `k·stride + l`.

use super::product::Strided;
use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// One panel: up to `width` (at most sixteen) lanes of the source, over `k` depths.
pub(crate) struct Pack<'a> {
    /// Lane l at depth k is `source[l·lane + k·depth]`.
    pub source: &'a [f32],
    pub lane: usize,
    pub depth: usize,
    /// Lanes that there are; the rest of the width becomes 0.
    pub lanes: usize,
    pub k: usize,
    /// (k − 1)·`stride` + `width` values at least.
    pub target: &'a mut [f32],
    pub width: usize,
    /// Distance of depths in the target, at least the width.
    pub stride: usize,
}

impl Kernel for Pack<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Pack { source, lane, depth, lanes, k, target, width, stride } = self;
        // A vector is stored whole where the next depth, or other packing, puts right what it writes too much.
        let overlap = stride == width || width == LANES;
        if lane == 1 && lanes == width {
            for i in 0..k {
                let from = &source[i * depth..];
                if from.len() >= LANES && target.len() >= i * stride + LANES && overlap {
                    s.store(s.load(from), &mut target[i * stride..]);
                } else {
                    target[i * stride..][..width].copy_from_slice(&from[..width]);
                }
            }
        } else if depth == 1 {
            let mut start = 0;
            if lanes == LANES {
                // Constant numbers of loads and stores keep the vectors in registers.
                while start + LANES <= k {
                    let mut rows = [s.splat(0.0); LANES];
                    for l in 0..LANES {
                        rows[l] = s.load(&source[l * lane + start..]);
                    }
                    let columns = s.transpose(rows);
                    for i in 0..LANES {
                        s.store(columns[i], &mut target[(start + i) * stride..]);
                    }
                    start += LANES;
                }
            }
            for at in (start..k).step_by(LANES) {
                let count = LANES.min(k - at);
                let mut rows = [s.splat(0.0); LANES];
                for l in 0..lanes {
                    let row = &source[l * lane + at..];
                    rows[l] = if count == LANES { s.load(row) } else { s.load_partial(&row[..count]) };
                }
                for (i, &column) in s.transpose(rows).iter().enumerate().take(count) {
                    let place = &mut target[(at + i) * stride..];
                    if place.len() >= LANES && overlap {
                        s.store(column, place);
                    } else {
                        s.store_partial(column, &mut place[..width]);
                    }
                }
            }
        } else {
            for i in 0..k {
                for l in 0..width {
                    target[i * stride + l] = if l < lanes { source[l * lane + i * depth] } else { 0.0 };
                }
            }
        }
    }
}

/// Packs `count` lanes over `k` depths into panels of sixteen, as many as `out` takes.
pub(crate) fn pack_panels(device: &Device, lanes: Strided, count: usize, k: usize, out: &mut [f32]) {
    let mut first = 0;
    if lanes.along == 1 {
        let whole = (count / LANES).min(out.len() / (LANES * k).max(1));
        dispatch(device.isa(), CopyPanels { source: lanes.data, depth: lanes.depth, panels: whole, k, out: &mut *out });
        first = whole;
    }
    for (i, target) in out.chunks_exact_mut(LANES * k).enumerate().skip(first) {
        let lane = i * LANES;
        let (width, stride) = (LANES, LANES);
        let (source, lanes_left) = (lanes.at(lane, 0), LANES.min(count - lane));
        let (lane, depth) = (lanes.along, lanes.depth);
        dispatch(device.isa(), Pack { source, lane, depth, lanes: lanes_left, k, target, width, stride });
    }
}

/// Panels of lanes that lie beside each other. Depth by depth over all panels, because depths may be a page apart.
struct CopyPanels<'a> {
    source: &'a [f32],
    depth: usize,
    panels: usize,
    k: usize,
    out: &'a mut [f32],
}

impl Kernel for CopyPanels<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let CopyPanels { source, depth, panels, k, out } = self;
        if panels == 0 {
            return;
        }
        for i in 0..k {
            let from = &source[i * depth..][..panels * LANES];
            for (panel, values) in from.chunks_exact(LANES).enumerate() {
                s.store(s.load(values), &mut out[(panel * k + i) * LANES..]);
            }
        }
    }
}
