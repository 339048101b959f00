//! A tile of the weight gradient with output channels in lanes: dwᵀ[tap, channel] += Σ_place x[place, tap] · dy[place, channel].
//!
//! Rows are taps, whose values are broadcast from the image where they are; dy lies place after place, sixteen channels
//! beside each other. The taps of a row of the kernel are a fixed distance apart, so up to three of them share a pointer.
//! Each sum is one chain of fused multiply-adds over places, rows of places outermost.

use crate::simd::{LANES, Simd};

/// Most pointers of a tile.
pub(super) const MAX_GROUPS: usize = 8;

/// Rows of places, `columns` each, and how to walk over them.
#[derive(Clone, Copy)]
pub(super) struct Places {
    pub rows: usize,
    pub columns: usize,
    /// Distance in the image of the next place of a row, and of the next row's first place from this row's.
    pub step: usize,
    pub row: usize,
    /// Distance of the taps of a group.
    pub tap: usize,
    /// dy, place after place.
    pub dy: *const f32,
    /// Distance of places in dy, and of taps in the sums: the channels, up to whole vectors.
    pub channels: usize,
}

/// Rows of a tile for taps in groups of `width`: how many groups.
#[inline(always)]
pub(super) fn most_groups<S: Simd>(width: usize) -> usize {
    let rows = S::TILE_ROWS;
    match width {
        1 => rows.min(MAX_GROUPS),
        width => (rows / width).max(1),
    }
}

/// Adds to the sums of `groups` groups of `width` taps and `vectors` vectors of channels; they begin at 0 unless `resume`.
/// Group g reads its first tap at `taps[g]` for the first place, and has its sums from `sums[g]` on.
///
/// # Safety
/// The image must be valid for all taps and places, dy for all places and vectors, the sums for all taps and vectors, and
/// nobody else may use them meanwhile.
#[inline(always)]
pub(super) unsafe fn tile<S: Simd>(
    s: S,
    (groups, width, vectors): (usize, usize, usize),
    places: &Places,
    taps: &[*const f32; MAX_GROUPS],
    sums: &[*mut f32; MAX_GROUPS],
    resume: bool,
) {
    macro_rules! shapes {
        ($(($g:literal, $w:literal, $v:literal) $(if $has:expr)?),* $(,)?) => {
            match (groups, width, vectors) {
                // SAFETY: the caller's promise.
                $(($g, $w, $v) $(if $has)? => unsafe { sized::<S, $g, $w, $v>(s, places, taps, sums, resume) },)*
                _ => unreachable!("no tile has this shape"),
            }
        };
    }
    shapes!(
        (4, 3, 2) if S::TILE_ROWS >= 12, (4, 3, 1) if S::TILE_ROWS >= 12,
        (3, 3, 2) if S::TILE_ROWS >= 12, (3, 3, 1) if S::TILE_ROWS >= 12,
        (2, 3, 2) if S::TILE_VECTORS >= 2, (2, 3, 1) if S::TILE_ROWS >= 6,
        (1, 3, 2) if S::TILE_VECTORS >= 2, (1, 3, 1),
        (6, 2, 2) if S::TILE_ROWS >= 12, (6, 2, 1) if S::TILE_ROWS >= 12,
        (5, 2, 2) if S::TILE_ROWS >= 12, (5, 2, 1) if S::TILE_ROWS >= 12,
        (4, 2, 2) if S::TILE_ROWS >= 12, (4, 2, 1) if S::TILE_ROWS >= 12,
        (3, 2, 2) if S::TILE_VECTORS >= 2, (3, 2, 1) if S::TILE_ROWS >= 6,
        (2, 2, 2) if S::TILE_VECTORS >= 2, (2, 2, 1),
        (1, 2, 2) if S::TILE_VECTORS >= 2, (1, 2, 1),
        (8, 1, 2) if S::TILE_ROWS >= 12, (8, 1, 1) if S::TILE_ROWS >= 12,
        (7, 1, 2) if S::TILE_ROWS >= 12, (7, 1, 1) if S::TILE_ROWS >= 12,
        (6, 1, 2) if S::TILE_VECTORS >= 2, (6, 1, 1) if S::TILE_ROWS >= 6,
        (5, 1, 2) if S::TILE_VECTORS >= 2, (5, 1, 1) if S::TILE_ROWS >= 6,
        (4, 1, 2) if S::TILE_VECTORS >= 2, (4, 1, 1),
        (3, 1, 2) if S::TILE_VECTORS >= 2, (3, 1, 1),
        (2, 1, 2) if S::TILE_VECTORS >= 2, (2, 1, 1),
        (1, 1, 2) if S::TILE_VECTORS >= 2, (1, 1, 1),
    )
}

/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn sized<S: Simd, const G: usize, const W: usize, const V: usize>(
    s: S,
    places: &Places,
    taps: &[*const f32; MAX_GROUPS],
    sums: &[*mut f32; MAX_GROUPS],
    resume: bool,
) {
    let &Places { rows, columns, step, row, tap, dy, channels } = places;
    let mut values = [[[s.splat(0.0); V]; W]; G];
    if resume {
        for g in 0..G {
            for w in 0..W {
                for v in 0..V {
                    // SAFETY: the caller's promise.
                    values[g][w][v] =
                        s.load(unsafe { std::slice::from_raw_parts(sums[g].add(w * channels + v * LANES), LANES) });
                }
            }
        }
    }
    let mut taps: [*const f32; G] = std::array::from_fn(|g| taps[g]);
    let mut dy = dy;
    let next_row = row.wrapping_sub(columns * step);
    for _ in 0..rows {
        for _ in 0..columns {
            let mut vectors = [s.splat(0.0); V];
            for v in 0..V {
                // SAFETY: the caller's promise.
                vectors[v] = s.load(unsafe { std::slice::from_raw_parts(dy.add(v * LANES), LANES) });
            }
            for g in 0..G {
                for w in 0..W {
                    // SAFETY: the caller's promise.
                    let value = s.splat(unsafe { *taps[g].add(w * tap) });
                    for v in 0..V {
                        values[g][w][v] = s.fma(value, vectors[v], values[g][w][v]);
                    }
                }
                taps[g] = taps[g].wrapping_add(step);
            }
            dy = dy.wrapping_add(channels);
        }
        for g in 0..G {
            taps[g] = taps[g].wrapping_add(next_row);
        }
    }
    for g in 0..G {
        for w in 0..W {
            for v in 0..V {
                // SAFETY: the caller's promise.
                let place = unsafe { std::slice::from_raw_parts_mut(sums[g].add(w * channels + v * LANES), LANES) };
                s.store(values[g][w][v], place);
            }
        }
    }
}
