//! The innermost loop: a tile of the result kept in registers while k runs.
//!
//! The result is a sum over k of (a column of one operand) × (a row of the other). The values of the one are broadcast,
//! one *row* of the tile each; the values of the other lie in vectors of sixteen *lanes*. A tile of R rows and V
//! vectors needs R·V accumulators, and does R·V multiply-adds for R broadcasts and V loads.

use std::mem::MaybeUninit;

use super::pack::Pack;
use super::product::{Strided, even_depth};
use crate::simd::{Kernel, LANES, Simd};

/// The operand that is broadcast: row r, depth k is at `data + r·row + k·depth`.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub data: *const f32,
    pub row: usize,
    pub depth: usize,
}

/// The operand in lanes: vector v, depth k begins at `data + v·vector + k·depth`.
#[derive(Clone, Copy)]
pub(crate) struct Lanes {
    pub data: *const f32,
    pub vector: usize,
    pub depth: usize,
}

/// The result: row r, lane l is at `data + r·row + l·lane`; one of the two strides is 1.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub data: *mut f32,
    pub row: usize,
    pub lane: usize,
}

/// Most rows of a tile.
pub(crate) const MAX_ROWS: usize = 12;
/// The largest tile: twelve rows of two vectors; one row of eight vectors is smaller.
const MAX_TILE: usize = MAX_ROWS * 2 * LANES;

/// The tiles that some rows are cut into: as few as possible, and as equal as possible, because a tile of few rows keeps
/// the arithmetic less busy.
#[derive(Clone, Copy)]
pub(crate) struct RowTiles {
    pub count: usize,
    least: usize,
    larger: usize,
}

impl RowTiles {
    #[inline(always)]
    pub fn new(tile_rows: usize, rows: usize) -> RowTiles {
        let count = rows.div_ceil(tile_rows);
        if count <= 1 {
            return RowTiles { count, least: rows, larger: 0 };
        }
        RowTiles { count, least: rows / count, larger: rows % count }
    }

    /// First row and number of rows of tile `i`.
    #[inline(always)]
    pub fn get(self, i: usize) -> (usize, usize) {
        (i * self.least + i.min(self.larger), self.least + usize::from(i < self.larger))
    }
}

/// Vectors of a tile with `rows` rows. Few rows take more vectors: eight chains of multiply-adds hide their latency.
#[inline(always)]
pub(crate) fn tile_vectors<S: Simd>(rows: usize) -> usize {
    match rows {
        1 => 8,
        2 | 3 => 4,
        _ => S::TILE_VECTORS,
    }
}

/// Vectors of the next tile, when it may have `most` and `left` are left.
#[inline(always)]
pub(crate) fn vectors_step(most: usize, left: usize) -> usize {
    match most.min(left) {
        8.. => 8,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// Rows of a tile that share a pointer: as many as one address computation can tell apart.
const GROUP: usize = 3;

/// The same pointer, but the compiler cannot see that.
#[inline(always)]
fn opaque(pointer: *const f32) -> *const f32 {
    #[allow(unused_mut)]
    let mut pointer = pointer;
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: no instruction at all.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) pointer, options(pure, readonly, nostack, preserves_flags))
    };
    pointer
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
    // Each group of rows has its own pointer, and the compiler may not know how they are related: it would compute each
    // address from the one before, a chain that takes longer than the arithmetic.
    let mut groups = [rows.data; MAX_ROWS.div_ceil(GROUP)];
    for g in 1..R.div_ceil(GROUP) {
        groups[g] = opaque(rows.data.wrapping_add(g * GROUP * rows.row));
    }
    // The pointers run past the end after the last depth, hence the wrapping additions.
    let mut y = lanes.data;
    for _ in 0..k {
        let mut vectors = [s.splat(0.0); V];
        for v in 0..V {
            // SAFETY: the caller's promise, at a depth below `k`.
            vectors[v] = load(unsafe { y.add(v * lanes.vector) });
        }
        for r in 0..R {
            // SAFETY: the caller's promise, at a depth below `k`.
            let value = s.splat(unsafe { *groups[r / GROUP].add(r % GROUP * rows.row) });
            for v in 0..V {
                sums[r][v] = s.fma(value, vectors[v], sums[r][v]);
            }
        }
        for g in 0..R.div_ceil(GROUP) {
            groups[g] = groups[g].wrapping_add(rows.depth);
        }
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

/// Values of a strip that a block packs: 64 KiB, on the stack of the thread that computes the block.
pub(super) const STRIP: usize = 1 << 14;

/// Where a block packs strips.
#[repr(align(64))]
pub(super) struct StripBuffer(pub [MaybeUninit<f32>; STRIP]);

/// A rectangle of the result over a range of k: `rows` × `lanes` values.
///
/// Block of k after block of k, it goes along the rows, tile after tile: the rows of a tile stay in the first cache, the
/// lanes come from the second. Lanes that have to be packed first are taken strip by strip instead (some vectors wide).
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub k: usize,
    /// Most depth of a block of k.
    pub depth: usize,
    pub rows: usize,
    pub lanes: usize,
    pub row_operand: Rows,
    pub lane_operand: LaneOperand<'a>,
    pub c: Target,
    /// The sums go on from what is in the result.
    pub resume: bool,
    /// [`STRIP`] values for the use of this block alone, if it [packs](Block::packs).
    pub strip: *mut f32,
}

/// How the lane operand of a block is laid out.
#[derive(Clone, Copy)]
pub(crate) enum LaneOperand<'a> {
    /// Panels of sixteen lanes, `panel` values apart.
    Panels { data: *const f32, panel: usize },
    /// In place, lane beside lane.
    InPlace(Strided<'a>),
    /// With any strides, to be packed strip by strip.
    Pack(Strided<'a>),
}

impl Block<'_> {
    /// Does it need a strip buffer? If the lanes are not packed, a vector at their end cannot be read whole.
    pub fn packs(&self) -> bool {
        match self.lane_operand {
            LaneOperand::Panels { .. } => false,
            LaneOperand::InPlace(_) => !self.lanes.is_multiple_of(LANES),
            LaneOperand::Pack(_) => true,
        }
    }

    /// Computes the block.
    ///
    /// # Safety
    /// The operands must hold `rows` rows and `lanes` lanes (panels whole vectors) at depths below `k`; the result must
    /// be valid for them, and nobody else may use it meanwhile; the strip buffer as it says.
    #[inline(always)]
    unsafe fn compute<S: Simd>(self, s: S) {
        let mut buffer = [0.0; MAX_TILE];
        let vectors = self.lanes.div_ceil(LANES);
        let most_vectors = tile_vectors::<S>(self.rows.div_ceil(self.rows.div_ceil(S::TILE_ROWS)));
        let mut most_depth = self.depth;
        match self.lane_operand {
            LaneOperand::Pack(_) => most_depth = most_depth.min(STRIP / (LANES * most_vectors)),
            _ if self.packs() => most_depth = most_depth.min(STRIP / LANES),
            _ => (),
        }
        let depth = even_depth(self.k, most_depth);
        let tiles = RowTiles::new(S::TILE_ROWS, self.rows);
        let mut from = 0;
        loop {
            let k = depth.min(self.k - from);
            let part = Part { block: self, from, k, resume: self.resume || from > 0 };
            // SAFETY: the caller's promise.
            unsafe {
                if let LaneOperand::Pack(_) = self.lane_operand {
                    let mut vector = 0;
                    while vector < vectors {
                        let (v, lanes) = part.lanes(s, vector, most_vectors);
                        for i in 0..tiles.count {
                            part.tile(s, tiles.get(i), (vector, v), lanes, &mut buffer);
                        }
                        vector += v;
                    }
                } else {
                    for i in 0..tiles.count {
                        let mut vector = 0;
                        while vector < vectors {
                            let (v, lanes) = part.lanes(s, vector, most_vectors);
                            part.tile(s, tiles.get(i), (vector, v), lanes, &mut buffer);
                            vector += v;
                        }
                    }
                }
            }
            from += k;
            if from >= self.k {
                break;
            }
        }
    }
}

/// A block over one range of k: `k` depths from `from`.
#[derive(Clone, Copy)]
struct Part<'a> {
    block: Block<'a>,
    from: usize,
    k: usize,
    resume: bool,
}

impl Part<'_> {
    /// The lanes from `vector` on, at most `most` vectors of them, and how many there are; packed now if need be.
    ///
    /// # Safety
    /// As for [`Block::compute`].
    #[inline(always)]
    unsafe fn lanes<S: Simd>(&self, s: S, vector: usize, most: usize) -> (usize, Lanes) {
        let &Part { block, from, k, .. } = self;
        let (vectors, whole) = (block.lanes.div_ceil(LANES), block.lanes / LANES);
        let v = vectors_step(most, vectors - vector);
        match block.lane_operand {
            LaneOperand::Panels { data, panel } => {
                let data = data.wrapping_add(vector * panel + from * LANES);
                (v, Lanes { data, vector: panel, depth: LANES })
            }
            LaneOperand::InPlace(lanes) if vector < whole => {
                let v = vectors_step(most, whole - vector);
                (v, Lanes { data: lanes.at(vector * LANES, from).as_ptr(), vector: LANES, depth: lanes.depth })
            }
            LaneOperand::InPlace(lanes) | LaneOperand::Pack(lanes) => {
                let width = v * LANES;
                // SAFETY: the strip buffer is ours, and large enough for these vectors and depths.
                let target = unsafe { std::slice::from_raw_parts_mut(block.strip, width * k) };
                pack_strip(s, lanes.from(vector * LANES, from), block.lanes - vector * LANES, k, v, target);
                (v, Lanes { data: block.strip, vector: LANES, depth: width })
            }
        }
    }

    /// The tile of `r` rows from `row` and `v` vectors from `vector`.
    ///
    /// # Safety
    /// As for [`Block::compute`].
    #[inline(always)]
    unsafe fn tile<S: Simd>(
        &self,
        s: S,
        (row, r): (usize, usize),
        (vector, v): (usize, usize),
        lanes: Lanes,
        buffer: &mut [f32; MAX_TILE],
    ) {
        let &Part { block, from, k, resume } = self;
        let width = (v * LANES).min(block.lanes - vector * LANES);
        // SAFETY: rows and vectors are fewer than the caller promised.
        unsafe {
            let rows = block.row_operand;
            let rows = Rows { data: rows.data.add(row * rows.row + from * rows.depth), ..rows };
            let data = block.c.data.add(row * block.c.row + vector * LANES * block.c.lane);
            let c = Target { data, ..block.c };
            if c.lane == 1 && width == v * LANES {
                any_tile(s, (r, v), k, rows, lanes, c, resume);
            } else {
                let local = Target { data: buffer.as_mut_ptr(), row: v * LANES, lane: 1 };
                if resume {
                    copy_in(c, local, r, width);
                }
                any_tile(s, (r, v), k, rows, lanes, local, resume);
                copy_out(s, local, c, r, width);
            }
        }
    }
}

/// Packs up to `vectors` vectors of `lanes`, of which there are `left`, over `k` depths: vector beside vector.
#[inline(always)]
fn pack_strip<S: Simd>(s: S, lanes: Strided, left: usize, k: usize, vectors: usize, target: &mut [f32]) {
    let stride = vectors * LANES;
    for vector in 0..vectors {
        let lane = vector * LANES;
        let pack = Pack {
            source: lanes.at(lane, 0),
            lane: lanes.along,
            depth: lanes.depth,
            lanes: LANES.min(left - lane),
            k,
            target: &mut target[(lane).min(k * stride)..],
            width: LANES,
            stride,
        };
        pack.run(s);
    }
}

impl Kernel for Block<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: whoever makes a block keeps the promises of `compute`; none is made outside of this crate.
        unsafe { self.compute(s) }
    }
}

/// The tile of `shape` rows and vectors.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
pub(crate) unsafe fn any_tile<S: Simd>(
    s: S,
    shape: (usize, usize),
    k: usize,
    x: Rows,
    y: Lanes,
    c: Target,
    resume: bool,
) {
    // Only the instruction sets that have such tiles compile them.
    macro_rules! shapes {
        ($(($r:literal, $v:literal) $(if $has:expr)?),* $(,)?) => {
            match shape {
                // SAFETY: the caller's promise.
                $(($r, $v) $(if $has)? => unsafe { tile::<S, $r, $v>(s, k, x, y, c, resume) },)*
                _ => unreachable!("no tile has this shape"),
            }
        };
    }
    shapes!(
        (12, 2) if S::TILE_ROWS >= 12, (12, 1) if S::TILE_ROWS >= 12,
        (11, 2) if S::TILE_ROWS >= 12, (11, 1) if S::TILE_ROWS >= 12,
        (10, 2) if S::TILE_ROWS >= 12, (10, 1) if S::TILE_ROWS >= 12,
        (9, 2) if S::TILE_ROWS >= 12, (9, 1) if S::TILE_ROWS >= 12,
        (8, 2) if S::TILE_ROWS >= 12, (8, 1) if S::TILE_ROWS >= 12,
        (7, 2) if S::TILE_ROWS >= 12, (7, 1) if S::TILE_ROWS >= 12,
        (6, 2) if S::TILE_VECTORS >= 2, (6, 1) if S::TILE_ROWS >= 6,
        (5, 2) if S::TILE_VECTORS >= 2, (5, 1) if S::TILE_ROWS >= 6,
        (4, 2) if S::TILE_VECTORS >= 2, (4, 1),
        (3, 4), (3, 2), (3, 1),
        (2, 4), (2, 2), (2, 1),
        (1, 8), (1, 4), (1, 2), (1, 1),
    )
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
