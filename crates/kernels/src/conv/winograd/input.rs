//! V = Bᵀ d B, with tiles in lanes: Bᵀ d for whole rows of an image at once, then every other column of it is a lane.

use super::{Layout, POINTS};
use crate::conv::correlate::Correlation;
use crate::simd::{LANES, Simd};

/// Some tiles of one row of tiles of an image: from `column` on, beginning at a lane of the unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strip {
    pub image: usize,
    pub row: usize,
    pub column: usize,
    pub count: usize,
    pub lane: usize,
}

/// Transforms the tiles of a strip, of the channel that `source` and `input` begin with. Whole vectors are stored: those
/// behind the strip are put right by the strips that follow.
#[inline(always)]
pub(super) fn transform<S: Simd>(
    s: S,
    of: &Correlation,
    source: &[f32],
    strip: &Strip,
    layout: &Layout,
    input: &mut [f32],
    rows: &mut [f32],
) {
    let (height, width) = (of.height.source, of.width.source);
    // The first row and column that the tiles see; what is outside of the image is 0.
    let row = 2 * strip.row as isize + layout.low.0;
    let column = 2 * strip.column as isize + layout.low.1;
    let (left, first) = ((-column).max(0) as usize, column.max(0) as usize);
    let seen = 2 * strip.count + 2;
    let count = seen.saturating_sub(left).min(width.saturating_sub(first));
    for at in (0..left.min(seen)).step_by(LANES) {
        for i in 0..4 {
            s.store(s.splat(0.0), &mut rows[i * layout.row + at..]);
        }
    }
    for at in (0..count).step_by(LANES) {
        let mut d = [s.splat(0.0); 4];
        for i in 0..4 {
            let row = row + i as isize;
            if (0..height as isize).contains(&row) {
                // What is loaded from behind the row is put right below.
                let values = &source[row as usize * width + first + at..];
                d[i] = if values.len() >= LANES { s.load(values) } else { s.load_partial(values) };
            }
        }
        let d = combine(s, d);
        for i in 0..4 {
            s.store(d[i], &mut rows[i * layout.row + left + at..]);
        }
    }
    for at in (left + count..seen).step_by(LANES) {
        for i in 0..4 {
            s.store(s.splat(0.0), &mut rows[i * layout.row + at..]);
        }
    }
    for tile in (0..strip.count).step_by(LANES) {
        let at = strip.lane + tile;
        assert!(at + (POINTS - 1) * layout.input_point + LANES <= input.len(), "room for all points");
        let first = input[at..].as_mut_ptr();
        for i in 0..4 {
            let row = &rows[i * layout.row + 2 * tile..][..2 * LANES + 2];
            let (d0, d1) = s.even_odd(s.load(row), s.load(&row[LANES..]));
            let (d2, d3) = s.even_odd(s.load(&row[2..]), s.load(&row[LANES + 2..]));
            let v = combine(s, [d0, d1, d2, d3]);
            for j in 0..4 {
                // SAFETY: the vector is inside the input, even that of the last point.
                let place =
                    unsafe { std::slice::from_raw_parts_mut(first.add((4 * i + j) * layout.input_point), LANES) };
                s.store(v[j], place);
            }
        }
    }
}

/// Bᵀ d
#[inline(always)]
fn combine<S: Simd>(s: S, d: [S::Float; 4]) -> [S::Float; 4] {
    [s.sub(d[0], d[2]), s.add(d[1], d[2]), s.sub(d[2], d[1]), s.sub(d[1], d[3])]
}
