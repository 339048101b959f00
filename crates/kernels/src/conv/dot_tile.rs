//! A tile of the weight gradient with places in lanes: sixteen sums for each weight, one for each column mod 16, each a
//! chain of fused multiply-adds over (row, column / 16). For few output channels a group, or few taps: nothing is
//! transposed, and every load is of whole vectors.

use crate::simd::{LANES, Simd};

/// Most taps of a tile.
pub(super) const MAX_TAPS: usize = 9;

/// Rows of places: what of them lies where.
#[derive(Clone, Copy)]
pub(super) struct Places {
    pub rows: usize,
    pub columns: usize,
    /// One channel of dy, row after row without gaps.
    pub dy: *const f32,
    /// What the first tap of the first place reads, and the distance of rows.
    pub source: *const f32,
    pub row: usize,
}

/// Taps of a tile at most.
#[inline(always)]
pub(super) fn most_taps<S: Simd>() -> usize {
    if S::TILE_ROWS >= 12 { MAX_TAPS } else { S::TILE_ROWS.min(MAX_TAPS) }
}

/// Adds to the sixteen sums of each tap in `table` (distances in the source); they begin at 0 unless `resume`.
///
/// # Safety
/// The source must be valid at every tap and place, dy at every place; there are as many sums as taps.
#[inline(always)]
pub(super) unsafe fn tile<S: Simd>(s: S, places: &Places, table: &[u32], sums: &mut [[f32; LANES]], resume: bool) {
    macro_rules! shapes {
        ($($t:literal $(if $has:expr)?),* $(,)?) => {
            match table.len() {
                // SAFETY: the caller's promise.
                $($t $(if $has)? => unsafe { sized::<S, $t>(s, places, table, sums, resume) },)*
                _ => unreachable!("no tile has so many taps"),
            }
        };
    }
    shapes!(
        9 if S::TILE_ROWS >= 12,
        8 if S::TILE_ROWS >= 12,
        7 if S::TILE_ROWS >= 12,
        6 if S::TILE_ROWS >= 6,
        5 if S::TILE_ROWS >= 6,
        4,
        3,
        2,
        1,
    )
}

/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn sized<S: Simd, const T: usize>(
    s: S,
    places: &Places,
    table: &[u32],
    sums: &mut [[f32; LANES]],
    resume: bool,
) {
    let &Places { rows, columns, dy, source, row } = places;
    let table: [usize; T] = std::array::from_fn(|t| table[t] as usize);
    let mut values = [s.splat(0.0); T];
    if resume {
        for t in 0..T {
            values[t] = s.load(&sums[t]);
        }
    }
    let whole = columns / LANES * LANES;
    for r in 0..rows {
        let (dy, source) = (dy.wrapping_add(r * columns), source.wrapping_add(r * row));
        for column in (0..whole).step_by(LANES) {
            // SAFETY: the caller's promise; these columns are whole vectors.
            unsafe {
                let gradient = s.load(std::slice::from_raw_parts(dy.add(column), LANES));
                let place = source.add(column);
                for t in 0..T {
                    let x = s.load(std::slice::from_raw_parts(place.add(table[t]), LANES));
                    values[t] = s.fma(x, gradient, values[t]);
                }
            }
        }
        if whole < columns {
            // SAFETY: the caller's promise. What is beyond the last column is no place, and may be anything.
            unsafe {
                let count = columns - whole;
                let gradient = s.load_partial(std::slice::from_raw_parts(dy.add(whole), count));
                let place = source.add(whole);
                for t in 0..T {
                    let x = s.load_partial(std::slice::from_raw_parts(place.add(table[t]), count));
                    values[t] = s.fma(x, gradient, values[t]);
                }
            }
        }
    }
    for t in 0..T {
        s.store(values[t], &mut sums[t]);
    }
}
