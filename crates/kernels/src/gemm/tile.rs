//! The innermost loop: a tile of the result kept in registers while k runs.
//!
//! The result is a sum over k of (a column of one operand) × (a row of the other). The values of the one are broadcast,
//! one *row* of the tile each; the values of the other lie in vectors of sixteen *lanes*. A tile of R rows and V
//! vectors needs R·V accumulators, and does R·V multiply-adds for R broadcasts and V loads.

use crate::simd::{Kernel, LANES, Simd};

/// The operand that is broadcast: row r, depth k is at `data + r·row + k·depth`.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub data: *const f32,
    pub row: usize,
    pub depth: usize,
}

/// The operand in lanes: vector v, depth k begins at `data + v·vector + k·depth`.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    pub data: *const f32,
    pub vector: usize,
    pub depth: usize,
}

/// The result: row r, lane l is at `data + r·row + l·lane`; one of the two strides is 1.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub data: *mut f32,
    pub row: usize,
    pub lane: usize,
}

/// Most rows of a tile.
pub(super) const MAX_ROWS: usize = 12;
/// The largest tile: twelve rows of two vectors; one row of eight vectors is smaller.
const MAX_TILE: usize = MAX_ROWS * 2 * LANES;

/// Rows of the next tile, when `left` rows are left: the tile of the instruction set, then smaller ones.
#[inline(always)]
pub(super) fn rows_step(tile_rows: usize, left: usize) -> usize {
    match left {
        _ if left >= tile_rows => tile_rows,
        8.. => 8,
        6.. => 6,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// Vectors of the next tile, when it has `rows` rows and `left` vectors are left. Few rows take more vectors: four
/// chains of multiply-adds at least are needed to hide its latency.
#[inline(always)]
fn vectors_step<S: Simd>(rows: usize, left: usize) -> usize {
    let most = match rows {
        1 => 8,
        2 => 4,
        _ => S::TILE_VECTORS,
    };
    match most.min(left) {
        8.. => 8,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// Adds `k` products to a tile: row r begins at `c + r·c_row`. It starts from what is there if `resume`, else from 0.
///
/// # Safety
/// R rows and V vectors of `rows`, `lanes` and `c` must be inside their allocations for all depths below `k`.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize>(
    s: S,
    k: usize,
    rows: Rows,
    lanes: Lanes,
    c: Target,
    resume: bool,
) {
    // SAFETY: only called below, on vectors that the caller promised.
    let load = |from: *const f32| s.load(unsafe { std::slice::from_raw_parts(from, LANES) });
    let mut sums = [[s.splat(0.0); V]; R];
    if resume {
        for r in 0..R {
            for v in 0..V {
                // SAFETY: the caller's promise.
                sums[r][v] = load(unsafe { c.data.add(r * c.row + v * LANES) });
            }
        }
    }
    // The pointers run past the end after the last depth, hence the wrapping additions.
    let (mut x, mut y) = (rows.data, lanes.data);
    for _ in 0..k {
        let mut vectors = [s.splat(0.0); V];
        for v in 0..V {
            // SAFETY: the caller's promise, at a depth below `k`.
            vectors[v] = load(unsafe { y.add(v * lanes.vector) });
        }
        for r in 0..R {
            // SAFETY: the caller's promise, at a depth below `k`.
            let value = s.splat(unsafe { *x.add(r * rows.row) });
            for v in 0..V {
                sums[r][v] = s.fma(value, vectors[v], sums[r][v]);
            }
        }
        x = x.wrapping_add(rows.depth);
        y = y.wrapping_add(lanes.depth);
    }
    for r in 0..R {
        for v in 0..V {
            // SAFETY: the caller's promise.
            let place = unsafe { std::slice::from_raw_parts_mut(c.data.add(r * c.row + v * LANES), LANES) };
            s.store(sums[r][v], place);
        }
    }
}

/// A rectangle of the result over one range of k: `rows` × `lanes` values, tile after tile.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub k: usize,
    pub rows: usize,
    pub lanes: usize,
    pub row_operand: RowOperand,
    pub lane_operand: Lanes,
    /// The last vector, when the lanes end within it and the operand is not packed: reading it whole would leave the
    /// matrix.
    pub last_lanes: Option<Lanes>,
    pub c: Target,
    /// The sums go on from what is in the result.
    pub resume: bool,
}

/// How the row operand of a block is laid out.
#[derive(Clone, Copy)]
pub(super) enum RowOperand {
    /// In place, with any strides.
    Plain(Rows),
    /// Panels of the tiles' rows (see [`rows_step`]), the panel of row i at `data + i·panel_depth`.
    Packed { data: *const f32, panel_depth: usize },
}

impl Block {
    /// Computes the block.
    ///
    /// # Safety
    /// The operands must hold `rows` rows and `lanes` lanes (whole vectors, but for the last when `last_lanes` has it)
    /// at depths below `k`; the result must be valid for them, and nobody else may use it meanwhile.
    #[inline(always)]
    unsafe fn compute<S: Simd>(self, s: S) {
        let mut buffer = [0.0; MAX_TILE];
        let vectors = self.lanes.div_ceil(LANES);
        let whole = if self.last_lanes.is_some() { vectors - 1 } else { vectors };
        let mut row = 0;
        while row < self.rows {
            let r = rows_step(S::TILE_ROWS, self.rows - row);
            // SAFETY: here and below, rows and vectors are fewer than the caller promised.
            let rows = unsafe {
                match self.row_operand {
                    RowOperand::Plain(rows) => Rows { data: rows.data.add(row * rows.row), ..rows },
                    RowOperand::Packed { data, panel_depth } => {
                        Rows { data: data.add(row * panel_depth), row: 1, depth: r }
                    }
                }
            };
            let mut vector = 0;
            while vector < vectors {
                let (v, lanes) = match self.last_lanes {
                    Some(last) if vector == whole => (1, last),
                    _ => {
                        // SAFETY: as above.
                        let data = unsafe { self.lane_operand.data.add(vector * self.lane_operand.vector) };
                        (vectors_step::<S>(r, whole - vector), Lanes { data, ..self.lane_operand })
                    }
                };
                let width = (v * LANES).min(self.lanes - vector * LANES);
                // SAFETY: as above.
                unsafe {
                    let data = self.c.data.add(row * self.c.row + vector * LANES * self.c.lane);
                    let c = Target { data, ..self.c };
                    if c.lane == 1 && width == v * LANES {
                        any_tile(s, (r, v), self.k, rows, lanes, c, self.resume);
                    } else {
                        let local = Target { data: buffer.as_mut_ptr(), row: v * LANES, lane: 1 };
                        if self.resume {
                            copy_in(c, local, r, width);
                        }
                        any_tile(s, (r, v), self.k, rows, lanes, local, self.resume);
                        copy_out(s, local, c, r, width);
                    }
                }
                vector += v;
            }
            row += r;
        }
    }
}

impl Kernel for Block {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: whoever makes a block keeps the promises of `compute`; blocks are made in the parent module only.
        unsafe { self.compute(s) }
    }
}

/// The tile of `shape` rows and vectors.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn any_tile<S: Simd>(s: S, shape: (usize, usize), k: usize, x: Rows, y: Lanes, c: Target, resume: bool) {
    // SAFETY: the caller's promise.
    unsafe {
        match shape {
            // Only the instruction sets that have such tiles compile them.
            (12, 2) if S::TILE_ROWS >= 12 => tile::<S, 12, 2>(s, k, x, y, c, resume),
            (12, 1) if S::TILE_ROWS >= 12 => tile::<S, 12, 1>(s, k, x, y, c, resume),
            (8, 2) if S::TILE_ROWS >= 8 => tile::<S, 8, 2>(s, k, x, y, c, resume),
            (8, 1) if S::TILE_ROWS >= 8 => tile::<S, 8, 1>(s, k, x, y, c, resume),
            (6, 2) if S::TILE_VECTORS >= 2 => tile::<S, 6, 2>(s, k, x, y, c, resume),
            (6, 1) => tile::<S, 6, 1>(s, k, x, y, c, resume),
            (4, 2) if S::TILE_VECTORS >= 2 => tile::<S, 4, 2>(s, k, x, y, c, resume),
            (4, 1) => tile::<S, 4, 1>(s, k, x, y, c, resume),
            (2, 4) => tile::<S, 2, 4>(s, k, x, y, c, resume),
            (2, 2) => tile::<S, 2, 2>(s, k, x, y, c, resume),
            (2, 1) => tile::<S, 2, 1>(s, k, x, y, c, resume),
            (1, 8) => tile::<S, 1, 8>(s, k, x, y, c, resume),
            (1, 4) => tile::<S, 1, 4>(s, k, x, y, c, resume),
            (1, 2) => tile::<S, 1, 2>(s, k, x, y, c, resume),
            (1, 1) => tile::<S, 1, 1>(s, k, x, y, c, resume),
            _ => unreachable!("no tile has this shape"),
        }
    }
}

/// Copies `rows` × `width` values of the result to a local tile.
///
/// # Safety
/// Both must hold that many.
#[inline(always)]
unsafe fn copy_in(c: Target, local: Target, rows: usize, width: usize) {
    for row in 0..rows {
        for lane in 0..width {
            // SAFETY: the caller's promise.
            unsafe { *local.data.add(row * local.row + lane) = *c.data.add(row * c.row + lane * c.lane) }
        }
    }
}

/// Copies `rows` × `width` values of a local tile to the result.
///
/// # Safety
/// Both must hold that many, and the local tile `rows` × `local.row`, a whole number of vectors.
#[inline(always)]
unsafe fn copy_out<S: Simd>(s: S, local: Target, c: Target, rows: usize, width: usize) {
    if c.lane == 1 {
        for row in 0..rows {
            // SAFETY: the caller's promise.
            unsafe { std::ptr::copy_nonoverlapping(local.data.add(row * local.row), c.data.add(row * c.row), width) }
        }
        return;
    }
    for lane in (0..width).step_by(LANES) {
        let mut vectors = [s.splat(0.0); LANES];
        for row in 0..rows {
            // SAFETY: the caller's promise; a row of the local tile is whole vectors.
            vectors[row] = s.load(unsafe { std::slice::from_raw_parts(local.data.add(row * local.row + lane), LANES) });
        }
        let vectors = s.transpose(vectors);
        for (i, &column) in vectors.iter().enumerate().take(width - lane) {
            // SAFETY: the caller's promise; the rows of the tile are consecutive values in the result.
            let place = unsafe { std::slice::from_raw_parts_mut(c.data.add((lane + i) * c.lane), rows) };
            s.store_partial(column, place);
        }
    }
}
