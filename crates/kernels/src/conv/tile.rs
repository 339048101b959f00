//! The innermost loop: a tile of the result kept in registers while the sum over (channel, kernel row, kernel column)
//! runs.
//!
//! A target value is Σ_k weight[k, target channel] · source[place + table[k]]. One of the two operands is broadcast value
//! by value (its index is a *row* of the tile), the other lies in vectors of sixteen *lanes*; both have consecutive
//! values beside each other, so a tile of R rows and V vectors needs two pointers a step:
//!
//! * *channels in lanes*: rows are places along the width, which are broadcast from the image; the result is transposed
//!   when it is stored;
//! * *places in lanes*: rows are target channels, whose weights are broadcast; the image is loaded in vectors.
//!
//! Each value is one chain of fused multiply-adds over k in ascending order, starting from 0, and then the bias, in
//! either way: so the bits do not depend on which one is taken, nor on the shape of tiles.

use crate::simd::{LANES, Simd};

/// Most rows of a tile, where there are registers for two vectors each.
pub(super) const MAX_ROWS: usize = 14;
/// Vectors of the largest tile.
pub(super) const MAX_VECTORS: usize = 28;
/// Vectors of sums that can wait for the rest of their products.
pub(super) const WAITING: usize = 256;

/// What is summed over: `table[k]` is the distance of tap k in the source, and `weights` holds panels of sixteen target
/// channels, `panel` values apart, each with sixteen values a k.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub table: &'a [u32],
    pub source: *const f32,
    pub weights: *const f32,
    pub panel: usize,
    /// Where the rows of a tile of places are in the source, if they are not one behind the other.
    pub places: Option<[u32; MAX_ROWS]>,
    /// Do sums begin here, and do they end here? If not, they wait in the tile's buffer for the products before and behind.
    pub first: bool,
    pub last: bool,
}

/// Where a tile goes: the value of channel c and place i is at `data + c·channel + i·spread`.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub data: *mut f32,
    pub channel: usize,
    pub spread: usize,
    /// Channels and places that there are.
    pub channels: usize,
    pub places: usize,
    /// One for each of those channels.
    pub bias: Option<&'a [f32]>,
}

/// Where the sums of a tile wait to be transposed, or for the rest of their products: rows, and the vectors of each.
pub(super) type TileBuffer = [[f32; LANES]];

/// Most rows of a tile of one or two vectors.
#[inline(always)]
pub(super) fn most_rows<S: Simd>() -> usize {
    if S::TILE_ROWS >= 12 { MAX_ROWS } else { S::TILE_ROWS }
}

/// Can the rows of a tile be places that are not beside each other? With few registers for sums there are some for their places;
/// with many, a short row of places takes more vectors instead.
#[inline(always)]
pub(super) const fn scatters<S: Simd>() -> bool {
    S::TILE_ROWS < 12
}

/// Vectors of a tile with `rows` rows, if `left` are left. Few rows take more vectors: eight chains of multiply-adds hide
/// their latency.
#[inline(always)]
pub(super) fn vectors<S: Simd>(rows: usize, left: usize) -> usize {
    let most = match rows {
        1 => 8,
        2 | 3 => 4,
        4..=7 if S::TILE_ROWS >= 12 => 4,
        _ => S::TILE_VECTORS,
    };
    match most.min(left) {
        8.. => 8,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// The tile with channels in lanes: `rows` places, `vectors` panels.
///
/// # Safety
/// The source must be valid at every tap for `rows` values, the weights for `vectors` panels, the target for the channels
/// and places that it says, of which there are at least `rows` places; nobody else uses it meanwhile.
#[inline(always)]
pub(super) unsafe fn channels_in_lanes<S: Simd>(
    s: S,
    (rows, vectors): (usize, usize),
    operands: Operands,
    target: Target,
    buffer: &mut TileBuffer,
) {
    // SAFETY: the caller's promise.
    unsafe { any_tile::<S, true>(s, (rows, vectors), operands, target, buffer) };
    if !operands.last {
        return;
    }
    for v in 0..vectors {
        let channels = LANES.min(target.channels - v * LANES);
        // No closure: it would not be compiled for the instruction set. A sum with -0 is what it was.
        let bias = match target.bias {
            Some(bias) => s.load_partial(&bias[v * LANES..][..channels]),
            None => s.splat(-0.0),
        };
        let mut values = [s.splat(0.0); LANES];
        for r in 0..rows {
            let sums = s.load(&buffer[r * vectors + v]);
            values[r] = s.add(sums, bias);
        }
        let values = s.transpose(values);
        for (c, &places) in values.iter().enumerate().take(channels) {
            // SAFETY: the caller's promise.
            unsafe { store(s, places, target.data.add((v * LANES + c) * target.channel), rows, target.spread) };
        }
    }
}

/// The tile with places in lanes: `rows` channels, `vectors` vectors of places.
///
/// # Safety
/// The source must be valid at every tap for `vectors` whole vectors, the weights for `rows` channels of one panel, the
/// target for the channels and places that it says, of which there are at least `rows` channels; nobody else uses it
/// meanwhile.
#[inline(always)]
pub(super) unsafe fn places_in_lanes<S: Simd>(
    s: S,
    shape: (usize, usize),
    operands: Operands,
    target: Target,
    buffer: &mut TileBuffer,
) {
    // SAFETY: the caller's promise.
    unsafe { any_tile::<S, false>(s, shape, operands, target, buffer) };
    let (rows, vectors) = shape;
    if !operands.last || target.spread == 1 && target.places >= vectors * LANES {
        return;
    }
    for r in 0..rows {
        for v in 0..vectors {
            let left = LANES.min(target.places - v * LANES);
            // SAFETY: the caller's promise.
            unsafe {
                let data = target.data.add(r * target.channel + v * LANES * target.spread);
                store(s, s.load(&buffer[r * vectors + v]), data, left, target.spread);
            }
        }
    }
}

/// Stores the first `count` lanes, `spread` apart.
///
/// # Safety
/// These places must be valid.
#[inline(always)]
unsafe fn store<S: Simd>(s: S, value: S::Float, data: *mut f32, count: usize, spread: usize) {
    if spread == 1 {
        // SAFETY: the caller's promise.
        let places = unsafe { std::slice::from_raw_parts_mut(data, count.min(LANES)) };
        if count >= LANES { s.store(value, places) } else { s.store_partial(value, places) }
    } else {
        for (lane, value) in s.to_array(value).into_iter().enumerate().take(count) {
            // SAFETY: the caller's promise.
            unsafe { *data.add(lane * spread) = value };
        }
    }
}

/// The sums of R rows and V vectors: into the target, if that takes whole vectors of places, else into the buffer; with
/// the bias, if rows are channels.
///
/// # Safety
/// As for [`channels_in_lanes`] or [`places_in_lanes`].
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize, const CHANNELS: bool, const SCATTERED: bool>(
    s: S,
    operands: Operands,
    target: Target,
    buffer: &mut TileBuffer,
) {
    let Operands { table, source, weights, panel, places, first, last } = operands;
    let places = places.unwrap_or([0; MAX_ROWS]);
    let mut sums = [[s.splat(0.0); V]; R];
    if !first {
        for r in 0..R {
            for v in 0..V {
                sums[r][v] = s.load(&buffer[r * V + v]);
            }
        }
    }
    let mut weights = weights;
    for &offset in table {
        let place = source.wrapping_add(offset as usize);
        let (rows, lanes, next) = if CHANNELS { (place, weights, panel) } else { (weights, place, LANES) };
        let mut vectors = [s.splat(0.0); V];
        for v in 0..V {
            // SAFETY: the caller's promise.
            vectors[v] = s.load(unsafe { std::slice::from_raw_parts(lanes.add(v * next), LANES) });
        }
        for r in 0..R {
            // SAFETY: the caller's promise.
            let value = s.splat(unsafe { *rows.add(if SCATTERED { places[r] as usize } else { r }) });
            for v in 0..V {
                sums[r][v] = s.fma(value, vectors[v], sums[r][v]);
            }
        }
        weights = weights.wrapping_add(LANES);
    }
    let whole = !CHANNELS && last && target.places >= V * LANES && target.spread == 1;
    if !CHANNELS
        && last
        && let Some(bias) = target.bias
    {
        let bias: &[f32; R] = bias.first_chunk().expect("one bias a channel");
        for r in 0..R {
            for v in 0..V {
                sums[r][v] = s.add(sums[r][v], s.splat(bias[r]));
            }
        }
    }
    for r in 0..R {
        for v in 0..V {
            let place = if whole {
                // SAFETY: the caller's promise; these are whole vectors of places.
                unsafe { std::slice::from_raw_parts_mut(target.data.add(r * target.channel + v * LANES), LANES) }
            } else {
                &mut buffer[r * V + v][..]
            };
            s.store(sums[r][v], place);
        }
    }
}

/// The tile of `shape` rows and vectors.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn any_tile<S: Simd, const CHANNELS: bool>(
    s: S,
    shape: (usize, usize),
    x: Operands,
    y: Target,
    buffer: &mut TileBuffer,
) {
    // Only the instruction sets that have such tiles compile them.
    macro_rules! shapes {
        ($(($r:literal, $v:literal) $(if $has:expr)?),* $(,)?) => {
            match shape {
                // SAFETY: the caller's promise.
                $(($r, $v) $(if $has)? => unsafe {
                    if scatters::<S>() && CHANNELS && x.places.is_some() {
                        tile::<S, $r, $v, CHANNELS, true>(s, x, y, buffer)
                    } else {
                        tile::<S, $r, $v, CHANNELS, false>(s, x, y, buffer)
                    }
                },)*
                _ => unreachable!("no tile has this shape"),
            }
        };
    }
    shapes!(
        (14, 2) if S::TILE_ROWS >= 12, (14, 1) if S::TILE_ROWS >= 12,
        (13, 2) if S::TILE_ROWS >= 12, (13, 1) if S::TILE_ROWS >= 12,
        (12, 2) if S::TILE_ROWS >= 12, (12, 1) if S::TILE_ROWS >= 12,
        (11, 2) if S::TILE_ROWS >= 12, (11, 1) if S::TILE_ROWS >= 12,
        (10, 2) if S::TILE_ROWS >= 12, (10, 1) if S::TILE_ROWS >= 12,
        (9, 2) if S::TILE_ROWS >= 12, (9, 1) if S::TILE_ROWS >= 12,
        (8, 2) if S::TILE_ROWS >= 12, (8, 1) if S::TILE_ROWS >= 12,
        (7, 4) if S::TILE_ROWS >= 12, (7, 2) if S::TILE_ROWS >= 12, (7, 1) if S::TILE_ROWS >= 12,
        (6, 4) if S::TILE_ROWS >= 12, (6, 2) if S::TILE_VECTORS >= 2, (6, 1) if S::TILE_ROWS >= 6,
        (5, 4) if S::TILE_ROWS >= 12, (5, 2) if S::TILE_VECTORS >= 2, (5, 1) if S::TILE_ROWS >= 6,
        (4, 4) if S::TILE_ROWS >= 12, (4, 2) if S::TILE_VECTORS >= 2, (4, 1),
        (3, 4), (3, 2), (3, 1),
        (2, 4), (2, 2), (2, 1),
        (1, 8), (1, 4), (1, 2), (1, 1),
    )
}
