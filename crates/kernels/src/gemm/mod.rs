//! Matrix product: C = f(A·B (+ C) (+ bias)), A [m, k], B [k, n], C [m, n]; A and B with any strides, hence transposed
//! too; f an epilogue, an activation say.
//!
//! Every element of C is one chain of fused multiply-adds over k in ascending order, starting from 0 (or from C), then
//! the bias, then the epilogue. Tiles, blocks, packing, threads and instruction sets change who computes an element and when, never this
//! chain (a block of k stores its sums to C and the next goes on from there, which is exact); so the bits are the same
//! for all of them.
//!
//! One operand is broadcast value by value (its index is a *row* of the tile), the other lies in vectors of sixteen
//! *lanes* (see `tile`). Lanes along n is the ordinary way. A small batch times a large transposed weight matrix,
//! x [batch, in] · W [out, in]ᵀ, is better the other way round, with lanes along the batch: then only the small x
//! must be packed, and W is read where it is, along its rows. The cheaper way is chosen by size and strides.

mod pack;
mod packed;
mod tile;
mod tiny;

pub use packed::{GemmPacked, PackedMatrix, gemm_packed};

use crate::device::{Device, Shared};
use crate::epilogue::InPlace;
use crate::simd::{Isa, Kernel, LANES, Simd, dispatch};
use pack::Pack;
use tile::{Block, Lanes, MAX_ROWS, RowOperand, Rows, Target, rows_step};
use tiny::Tiny;

/// A matrix somewhere in a slice: element (i, j) is `data[i·row_stride + j·column_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// The values.
    pub data: &'a [f32],
    /// Distance of consecutive rows.
    pub row_stride: usize,
    /// Distance of consecutive columns.
    pub column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix with `columns` columns, row after row.
    #[inline]
    pub fn row_major(data: &'a [f32], columns: usize) -> Matrix<'a> {
        Matrix { data, row_stride: columns, column_stride: 1 }
    }

    /// The same values as the transposed matrix.
    #[inline]
    pub fn transposed(self) -> Matrix<'a> {
        Matrix { data: self.data, row_stride: self.column_stride, column_stride: self.row_stride }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// The product C = A·B (+ C) (+ bias), with an epilogue.
#[derive(Clone, Copy)]
pub struct Gemm<'a> {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// [m, k]
    pub a: Matrix<'a>,
    /// [k, n]
    pub b: Matrix<'a>,
    /// [n], added to every row of the finished sums.
    pub bias: Option<&'a [f32]>,
    /// The sums start from C instead of 0.
    pub accumulate: bool,
    /// Applied to the finished values, bias included, while they are in the cache.
    pub epilogue: Option<&'a dyn InPlace>,
}

/// Multiply-adds up to which plain loops are the quickest.
const TINY: usize = 256;
/// Multiply-adds below which a second thread does not pay: some ten microseconds.
const SERIAL: usize = 1 << 20;
/// Multiply-adds that a task should have at least.
const TASK: usize = 1 << 18;
/// Packed values below which packing is not shared between threads.
const SERIAL_PACK: usize = 1 << 15;
/// Rows of a block: a multiple of the tile rows of every instruction set.
const BLOCK_ROWS: usize = 96;
/// Vectors of a block: with the depth below, its lane panels take 256 KiB of the second cache.
const BLOCK_VECTORS: usize = 16;
/// Rows or lanes that are packed at a time: bounds the scratch memory. A multiple of both blocks.
const PACKED_AT_A_TIME: usize = 3072;
/// Depth of a block of k where both m and n are large: a panel of twelve rows takes 12 KiB of the first cache.
const DEPTH: usize = 256;
/// The depth where one of them is small: fewer passes over C are worth more than the first cache.
const DEPTH_SKINNY: usize = 1024;
/// See `DEPTH_SKINNY`.
const SKINNY: usize = 64;

/// Values that an epilogue gets in one call where rows follow each other without a gap: a part of the first cache.
const EPILOGUE_VALUES: usize = 1024;

/// The range of k in one block, for the result [m, n] in either orientation.
fn block_depth(m: usize, n: usize, k: usize) -> usize {
    let most = if m.min(n) <= SKINNY { DEPTH_SKINNY } else { DEPTH };
    k.div_ceil(k.div_ceil(most).max(1))
}

/// Number of f32 of scratch memory that [`gemm`] may use for these sizes.
pub fn gemm_scratch(m: usize, n: usize, k: usize) -> usize {
    if m * n * k <= TINY {
        return 0;
    }
    let side = |size: usize| size.min(PACKED_AT_A_TIME).next_multiple_of(LANES);
    // One vector more, to start on a cache line.
    block_depth(m, n, k) * (side(m) + side(n)) + LANES
}

/// Computes `gemm` into `c` [m, n], row after row. `scratch` has at least [`gemm_scratch`] values; what is in it before
/// and after is of no meaning.
///
/// Panics when a matrix, the bias, `c` or `scratch` is too short.
pub fn gemm(device: &Device, gemm: &Gemm, c: &mut [f32], scratch: &mut [f32]) {
    let Gemm { m, n, k, a, b, bias, accumulate, epilogue } = *gemm;
    assert!(a.holds(m, k) && b.holds(k, n) && c.len() == m * n, "matrices hold [m, k], [k, n], [m, n]");
    assert!(bias.is_none_or(|bias| bias.len() == n), "one bias a column");
    if m == 0 || n == 0 {
        return;
    }
    if m * n * k <= TINY {
        dispatch(device.isa(), Tiny { gemm, c: &mut *c });
        if let Some(epilogue) = epilogue {
            epilogue.apply(device.isa(), c);
        }
        return;
    }
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    let scratch = &mut scratch[skip..];
    let swapped = swap_is_cheaper(gemm);
    let product = if swapped {
        let rows = Strided { data: b.data, along: b.column_stride, depth: b.row_stride };
        let lanes = Strided { data: a.data, along: a.row_stride, depth: a.column_stride };
        Product { p: n, q: m, k, rows, lanes: LaneSource::Strided(lanes), swapped, n, bias, accumulate, epilogue }
    } else {
        let rows = Strided { data: a.data, along: a.row_stride, depth: a.column_stride };
        let lanes = Strided { data: b.data, along: b.column_stride, depth: b.row_stride };
        Product { p: m, q: n, k, rows, lanes: LaneSource::Strided(lanes), swapped, n, bias, accumulate, epilogue }
    };
    product.compute(device, c, scratch);
}

/// Is the product cheaper with lanes along m? Costs in multiply-adds of a vector.
fn swap_is_cheaper(gemm: &Gemm) -> bool {
    let Gemm { m, n, k, a, b, .. } = *gemm;
    let cost = |rows: usize, lanes: usize, lane_stride: usize| {
        let packing = if lane_stride == 1 { 0 } else { lanes * k / 2 };
        rows * lanes.div_ceil(LANES) * k + packing
    };
    // The transposed store of the result comes on top.
    cost(n, m, a.row_stride) + m * n < cost(m, n, b.column_stride)
}

/// An operand where it is: `along` is the distance of rows or lanes, `depth` that of values along k.
#[derive(Clone, Copy)]
struct Strided<'a> {
    data: &'a [f32],
    along: usize,
    depth: usize,
}

impl<'a> Strided<'a> {
    /// The part that begins at row or lane `index` and depth `k`.
    fn at(self, index: usize, k: usize) -> &'a [f32] {
        &self.data[index * self.along + k * self.depth..]
    }
}

/// Where the lanes come from.
#[derive(Clone, Copy)]
enum LaneSource<'a> {
    Strided(Strided<'a>),
    /// Panels of sixteen lanes over all of k, one after the other.
    Panels(&'a [f32]),
}

/// A product with its orientation: `p` rows and `q` lanes.
struct Product<'a> {
    p: usize,
    q: usize,
    k: usize,
    rows: Strided<'a>,
    lanes: LaneSource<'a>,
    /// Rows are columns of C, and lanes are rows of C.
    swapped: bool,
    /// Columns of C.
    n: usize,
    bias: Option<&'a [f32]>,
    accumulate: bool,
    epilogue: Option<&'a dyn InPlace>,
}

impl Product<'_> {
    fn compute(&self, device: &Device, c: &mut [f32], scratch: &mut [f32]) {
        let &Product { p, q, k, .. } = self;
        let depth = block_depth(p, q, k);
        for lane in (0..q).step_by(PACKED_AT_A_TIME) {
            let q = PACKED_AT_A_TIME.min(q - lane);
            for from in (0..k.max(1)).step_by(depth.max(1)) {
                let depth = depth.min(k - from);
                let mut packed_lanes = false;
                for row in (0..p).step_by(PACKED_AT_A_TIME) {
                    let p = PACKED_AT_A_TIME.min(p - row);
                    let pass = Pass { product: self, row, p, lane, q, from, depth };
                    pass.compute(device, c, scratch, &mut packed_lanes);
                }
            }
        }
    }

    fn pack_rows(&self) -> bool {
        if let LaneSource::Panels(_) = self.lanes {
            return false;
        }
        // Strides of whole pages put the rows of a tile into the same few places of the first cache.
        let clash = self.p > 4 && self.rows.along.is_multiple_of(1024);
        self.q > 512 || (clash && self.q > 64)
    }

    /// Vectors of the lane operand that are packed: all, those that a whole vector cannot be read from, or none.
    fn pack_lanes(&self) -> PackLanes {
        match self.lanes {
            LaneSource::Panels(_) => PackLanes::None,
            LaneSource::Strided(lanes) if lanes.along != 1 => PackLanes::All,
            LaneSource::Strided(_) if self.p > 96 && self.k > 64 => PackLanes::All,
            LaneSource::Strided(_) if !self.q.is_multiple_of(LANES) => PackLanes::Last,
            LaneSource::Strided(_) => PackLanes::None,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum PackLanes {
    All,
    Last,
    None,
}

/// The packed parts of the operands of a pass.
#[derive(Clone, Copy)]
struct Packed<'a> {
    which: PackLanes,
    lanes: &'a [f32],
    rows: Option<&'a [f32]>,
}

/// A part of a product that is packed at once: `p` rows from `row`, `q` lanes from `lane`, `depth` values from `from`.
struct Pass<'a, 'b> {
    product: &'a Product<'b>,
    row: usize,
    p: usize,
    lane: usize,
    q: usize,
    from: usize,
    depth: usize,
}

impl Pass<'_, '_> {
    fn compute(&self, device: &Device, c: &mut [f32], scratch: &mut [f32], packed_lanes: &mut bool) {
        let &Pass { product, p, q, depth, .. } = self;
        let pack_rows = product.pack_rows();
        let pack_lanes = product.pack_lanes();
        let vectors = q.div_ceil(LANES);
        let panel = LANES * depth;
        let lane_space = if pack_lanes == PackLanes::None { 0 } else { vectors * panel };
        let row_space = if pack_rows { p * depth } else { 0 };
        let (lane_scratch, row_scratch) = scratch.split_at_mut(lane_space);
        let row_scratch = &mut row_scratch[..row_space];

        let first = match pack_lanes {
            _ if *packed_lanes => vectors,
            PackLanes::All => 0,
            PackLanes::Last if self.lane + q == product.q => vectors - 1,
            _ => vectors,
        };
        *packed_lanes = true;
        // Tasks of about SERIAL_PACK / 2 values.
        let chunk = (SERIAL_PACK / 2 / panel.max(1)).max(1);
        let shared = p * q * depth >= SERIAL;
        let for_parts = |count: usize, out: &mut [f32], body: &(dyn Fn(usize, &mut [f32]) + Sync)| {
            if shared && out.len() >= SERIAL_PACK {
                device.chunks_mut(count, out, body);
            } else if !out.is_empty() {
                body(0, out);
            }
        };
        for_parts(chunk * panel, &mut lane_scratch[(first * panel).min(lane_space)..], &|start, part| {
            self.pack_lane_panels(device, first + start / panel, part);
        });
        for_parts(BLOCK_ROWS * depth, row_scratch, &|start, part| {
            self.pack_row_panels(device, start / depth, part);
        });

        let (mut rows_step, mut vectors_step) = (BLOCK_ROWS, BLOCK_VECTORS);
        let tasks = |rows: usize, vectors_step: usize| p.div_ceil(rows) * vectors.div_ceil(vectors_step);
        if !shared {
            (rows_step, vectors_step) = (p, vectors);
        } else {
            while tasks(rows_step, vectors_step) < 16 && rows_step * vectors_step * LANES * depth > 2 * TASK {
                if vectors_step * LANES > rows_step {
                    vectors_step /= 2;
                } else {
                    rows_step /= 2;
                }
            }
            rows_step = rows_step.next_multiple_of(MAX_ROWS);
        }
        let c = Shared(c.as_mut_ptr());
        let row_blocks = p.div_ceil(rows_step);
        let packed = Packed { which: pack_lanes, lanes: lane_scratch, rows: pack_rows.then_some(&*row_scratch) };
        device.for_each(tasks(rows_step, vectors_step), &|task| {
            let (row, vector) = (task % row_blocks * rows_step, task / row_blocks * vectors_step);
            let rows = row..p.min(row + rows_step);
            let vectors = vector..vectors.min(vector + vectors_step);
            self.block(device, c, rows, vectors, packed);
        });
    }

    /// Packs the lane panels from vector `first` on.
    fn pack_lane_panels(&self, device: &Device, first: usize, out: &mut [f32]) {
        let LaneSource::Strided(lanes) = self.product.lanes else { return };
        let first = first * LANES;
        let lanes = Strided { data: lanes.at(self.lane + first, self.from), ..lanes };
        pack_panels(device, lanes, self.q - first, self.depth, out);
    }

    /// Packs the row panels from row `first` on.
    fn pack_row_panels(&self, device: &Device, first: usize, out: &mut [f32]) {
        let rows = self.product.rows;
        let mut row = first;
        let mut out = out;
        let tile_rows = tile_rows(device);
        while !out.is_empty() {
            let width = rows_step(tile_rows, self.p - row);
            let (target, rest) = out.split_at_mut(width * self.depth);
            let source = rows.at(self.row + row, self.from);
            let pack = Pack { source, lane: rows.along, depth: rows.depth, lanes: width, k: self.depth, target, width };
            dispatch(device.isa(), pack);
            out = rest;
            row += width;
        }
    }

    /// Computes `rows` × `vectors` of this pass, and finishes that part of C in the last one.
    fn block(
        &self,
        device: &Device,
        c: Shared,
        rows: std::ops::Range<usize>,
        vectors: std::ops::Range<usize>,
        packed: Packed,
    ) {
        let &Pass { product, row, lane, q, from, depth, .. } = self;
        let panel = LANES * depth;
        let first_lane = vectors.start * LANES;
        let lanes = q.min(vectors.end * LANES) - first_lane;
        let panels =
            |vector: usize| Lanes { data: packed.lanes[vector * panel..].as_ptr(), vector: panel, depth: LANES };
        let mut last_lanes = None;
        let lane_operand = match product.lanes {
            LaneSource::Panels(panels) => {
                let all = LANES * product.k;
                let data = panels[(lane / LANES + vectors.start) * all + from * LANES..].as_ptr();
                Lanes { data, vector: all, depth: LANES }
            }
            LaneSource::Strided(_) if packed.which == PackLanes::All => panels(vectors.start),
            LaneSource::Strided(strided) => {
                if !lanes.is_multiple_of(LANES) {
                    last_lanes = Some(panels(vectors.end - 1));
                }
                let data = strided.at(lane + first_lane, from).as_ptr();
                Lanes { data, vector: LANES, depth: strided.depth }
            }
        };
        let row_operand = match packed.rows {
            Some(rows_packed) => {
                RowOperand::Packed { data: rows_packed[rows.start * depth..].as_ptr(), panel_depth: depth }
            }
            None => {
                let data = product.rows.at(row + rows.start, from).as_ptr();
                RowOperand::Plain(Rows { data, row: product.rows.along, depth: product.rows.depth })
            }
        };
        let (i, j) =
            if product.swapped { (lane + first_lane, row + rows.start) } else { (row + rows.start, lane + first_lane) };
        let n = product.n;
        // SAFETY: (i, j) is inside C.
        let data = unsafe { c.at(i * n + j) };
        let (c_row, c_lane) = if product.swapped { (1, n) } else { (n, 1) };
        let block = Block {
            k: depth,
            rows: rows.len(),
            lanes,
            row_operand,
            lane_operand,
            last_lanes,
            c: Target { data, row: c_row, lane: c_lane },
            resume: product.accumulate || from > 0,
        };
        dispatch(device.isa(), block);
        if from + depth == product.k && (product.bias.is_some() || product.epilogue.is_some()) {
            let (height, width) = if product.swapped { (lanes, rows.len()) } else { (rows.len(), lanes) };
            let bias = product.bias.map(|bias| &bias[j..j + width]);
            let (isa, epilogue) = (device.isa(), product.epilogue);
            dispatch(isa, Finish { c: data, stride: n, rows: height, columns: width, bias, epilogue, isa });
        }
    }
}

/// Packs `count` lanes over `k` depths into panels of sixteen, as many as `out` takes.
fn pack_panels(device: &Device, lanes: Strided, count: usize, k: usize, out: &mut [f32]) {
    for (i, target) in out.chunks_exact_mut(LANES * k).enumerate() {
        let lane = i * LANES;
        let source = lanes.at(lane, 0);
        let lanes_left = LANES.min(count - lane);
        let pack = Pack { source, lane: lanes.along, depth: lanes.depth, lanes: lanes_left, k, target, width: LANES };
        dispatch(device.isa(), pack);
    }
}

fn tile_rows(device: &Device) -> usize {
    struct Ask;
    impl Kernel for Ask {
        type Output = usize;
        #[inline(always)]
        fn run<S: Simd>(self, _: S) -> usize {
            S::TILE_ROWS
        }
    }
    dispatch(device.isa(), Ask)
}

/// What comes after the sums, for a rectangle of C: the bias, then the epilogue.
struct Finish<'a> {
    c: *mut f32,
    stride: usize,
    rows: usize,
    columns: usize,
    bias: Option<&'a [f32]>,
    epilogue: Option<&'a dyn InPlace>,
    isa: Isa,
}

impl Kernel for Finish<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // An epilogue has a cost a call: where the rows follow each other without a gap, it gets several at once.
        let at_once = if self.columns == self.stride { (EPILOGUE_VALUES / self.columns).max(1) } else { 1 };
        for first in (0..self.rows).step_by(at_once) {
            let rows = at_once.min(self.rows - first);
            let len = (rows - 1) * self.stride + self.columns;
            // SAFETY: the maker of this kernel points it to `rows` × `columns` values of C that it alone may use; there
            // are values of others between two rows only if this is a single row.
            let values = unsafe { std::slice::from_raw_parts_mut(self.c.add(first * self.stride), len) };
            if let Some(bias) = self.bias {
                for row in values.chunks_exact_mut(self.columns) {
                    add(s, row, bias);
                }
            }
            if let Some(epilogue) = self.epilogue {
                epilogue.apply(self.isa, values);
            }
        }
    }
}

/// `row` += `bias`
#[inline(always)]
fn add<S: Simd>(s: S, row: &mut [f32], bias: &[f32]) {
    let (row, row_rest) = row.as_chunks_mut::<LANES>();
    let (bias, bias_rest) = bias.as_chunks::<LANES>();
    for (c, bias) in row.iter_mut().zip(bias) {
        s.store(s.add(s.load(c), s.load(bias)), c);
    }
    if !row_rest.is_empty() {
        s.store_partial(s.add(s.load_partial(row_rest), s.load_partial(bias_rest)), row_rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Isa;

    /// Numbers of both signs and many magnitudes, the same each time.
    fn values(seed: u64, len: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    #[derive(Clone, Copy, Debug)]
    struct Case {
        m: usize,
        n: usize,
        k: usize,
        transposed_a: bool,
        transposed_b: bool,
        bias: bool,
        accumulate: bool,
        epilogue: bool,
    }

    /// Not linear, not idempotent: shows when it is left out, applied twice, or applied before the bias.
    struct Epilogue;

    impl Epilogue {
        fn value(x: f32) -> f32 {
            x * x - 3.0
        }
    }

    impl InPlace for Epilogue {
        fn apply(&self, _: Isa, values: &mut [f32]) {
            values.iter_mut().for_each(|x| *x = Epilogue::value(*x));
        }
    }

    fn cases() -> Vec<Case> {
        let mut shapes = Vec::new();
        let sizes = [0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 65, 100];
        for (i, &m) in sizes.iter().enumerate() {
            for (j, &n) in sizes.iter().enumerate() {
                shapes.extend([(m, n, sizes[(i + j) % sizes.len()]), (m, n, sizes[(3 * i + 5 * j + 1) % sizes.len()])]);
            }
        }
        shapes.extend([(1, 130, 784), (32, 128, 784), (128, 784, 32), (10, 128, 40), (3, 1100, 20), (130, 530, 300)]);
        let mut cases = Vec::new();
        for (i, (m, n, k)) in shapes.into_iter().enumerate() {
            for variant in 0..4 {
                let (transposed_a, transposed_b) = (variant & 1 == 1, variant & 2 == 2);
                let (bias, accumulate) = ((i + variant) % 2 == 0, (i / 2 + variant) % 3 == 0);
                let epilogue = (i + variant / 2) % 3 == 1;
                cases.push(Case { m, n, k, transposed_a, transposed_b, bias, accumulate, epilogue });
            }
        }
        cases
    }

    /// The operands of a case, and what is in C before.
    struct Inputs {
        case: Case,
        a: Vec<f32>,
        b: Vec<f32>,
        bias: Vec<f32>,
        c: Vec<f32>,
    }

    impl Inputs {
        fn new(case: Case) -> Inputs {
            let Case { m, n, k, .. } = case;
            Inputs {
                case,
                a: values(1, m * k),
                b: values(2, k * n),
                bias: values(3, n),
                // NaN must not shine through when the product does not accumulate.
                c: if case.accumulate { values(4, m * n) } else { vec![f32::NAN; m * n] },
            }
        }

        fn gemm(&self) -> Gemm<'_> {
            let Case { m, n, k, transposed_a, transposed_b, bias, accumulate, epilogue } = self.case;
            let matrix = |data, rows, columns, transposed| match transposed {
                true => Matrix::row_major(data, rows).transposed(),
                false => Matrix::row_major(data, columns),
            };
            let a = matrix(&self.a, m, k, transposed_a);
            let b = matrix(&self.b, k, n, transposed_b);
            let epilogue = epilogue.then_some(&Epilogue as &dyn InPlace);
            Gemm { m, n, k, a, b, bias: bias.then_some(&self.bias), accumulate, epilogue }
        }

        /// The result by the definition, without the epilogue: f32 with the chain of the module's description, and f64
        /// with its bound.
        fn expected(&self) -> (Vec<f32>, Vec<(f64, f64)>) {
            let Gemm { m, n, k, a, b, bias, accumulate, .. } = self.gemm();
            let (mut chains, mut wide) = (Vec::new(), Vec::new());
            for i in 0..m {
                for j in 0..n {
                    let start = if accumulate { self.c[i * n + j] } else { 0.0 };
                    let (mut sum, mut exact, mut size) = (start, f64::from(start), f64::from(start.abs()));
                    for l in 0..k {
                        let x = a.data[i * a.row_stride + l * a.column_stride];
                        let y = b.data[l * b.row_stride + j * b.column_stride];
                        sum = x.mul_add(y, sum);
                        exact += f64::from(x) * f64::from(y);
                        size += (f64::from(x) * f64::from(y)).abs();
                    }
                    let bias = bias.map_or(0.0, |bias| bias[j]);
                    chains.push(if self.case.bias { sum + bias } else { sum });
                    wide.push((exact + f64::from(bias), size + f64::from(bias.abs())));
                }
            }
            (chains, wide)
        }
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|x| x.to_bits()).collect()
    }

    fn devices() -> Vec<Device> {
        Isa::available().flat_map(|isa| [1, 2, 3, 8].map(|threads| Device::new(isa, threads))).collect()
    }

    /// Each of k + 2 roundings errs by half a unit in the last place of a partial sum, which the sum of magnitudes bounds.
    fn bound(k: usize, size: f64) -> f64 {
        0.5 * (k as f64 + 2.0) * f64::from(f32::EPSILON) * size
    }

    #[test]
    fn every_size_transpose_thread_count_and_instruction_set_gives_the_bits_of_the_chain() {
        let devices = devices();
        for case in cases() {
            let inputs = Inputs::new(case);
            let (mut chains, wide) = inputs.expected();
            for (&got, &(exact, size)) in chains.iter().zip(&wide) {
                assert!((f64::from(got) - exact).abs() <= bound(case.k, size), "{case:?}: {got} against {exact}");
            }
            if case.epilogue {
                chains.iter_mut().for_each(|x| *x = Epilogue::value(*x));
            }
            for device in &devices {
                let mut c = inputs.c.clone();
                let mut scratch = vec![f32::NAN; gemm_scratch(case.m, case.n, case.k)];
                gemm(device, &inputs.gemm(), &mut c, &mut scratch);
                assert_eq!(bits(&c), bits(&chains), "{case:?} on {device:?}");

                let Gemm { m, n, k, a, b, bias, accumulate, epilogue } = inputs.gemm();
                let packed = PackedMatrix::new(device, k, n, b);
                let mut c = inputs.c.clone();
                gemm_packed(device, &GemmPacked { m, a, b: &packed, bias, accumulate, epilogue }, &mut c);
                assert_eq!(bits(&c), bits(&chains), "packed {case:?} on {device:?}");
            }
        }
    }

    #[test]
    fn blocks_larger_than_what_is_packed_at_a_time() {
        for (m, n, k) in [(3200, 40, 70), (40, 3200, 70), (3100, 100, 300)] {
            let (transposed_a, transposed_b) = (true, false);
            let case = Case { m, n, k, transposed_a, transposed_b, bias: true, accumulate: false, epilogue: true };
            let inputs = Inputs::new(case);
            let (mut chains, _) = inputs.expected();
            chains.iter_mut().for_each(|x| *x = Epilogue::value(*x));
            let device = Device::new(Isa::best(), 2);
            let mut c = inputs.c.clone();
            gemm(&device, &inputs.gemm(), &mut c, &mut vec![0.0; gemm_scratch(m, n, k)]);
            assert_eq!(bits(&c), bits(&chains), "{case:?}");
        }
    }

    #[test]
    fn strides_with_gaps_and_operands_that_overlap() {
        // A Toeplitz matrix and a matrix with every second column: what a convolution or a slice may hand in.
        let (m, n, k) = (40, 50, 60);
        let (a, b) = (values(5, m + k), values(6, k * n * 2));
        let a = Matrix { data: &a, row_stride: 1, column_stride: 1 };
        let b = Matrix { data: &b, row_stride: 2 * n, column_stride: 2 };
        for device in devices() {
            let mut c = vec![0.0; m * n];
            let product = Gemm { m, n, k, a, b, bias: None, accumulate: false, epilogue: None };
            gemm(&device, &product, &mut c, &mut vec![0.0; gemm_scratch(m, n, k)]);
            for i in 0..m {
                for j in 0..n {
                    let chain = (0..k).fold(0.0, |sum: f32, l| a.data[i + l].mul_add(b.data[(l * n + j) * 2], sum));
                    assert_eq!(c[i * n + j].to_bits(), chain.to_bits());
                }
            }
        }
    }

    #[test]
    fn a_nan_stays_in_its_row() {
        let (m, n, k) = (33, 20, 17);
        let mut a = values(7, m * k);
        a[5 * k + 3] = f32::NAN;
        let b = values(8, k * n);
        for device in devices() {
            let mut c = vec![0.0; m * n];
            let (a, b) = (Matrix::row_major(&a, k), Matrix::row_major(&b, n));
            let product = Gemm { m, n, k, a, b, bias: None, accumulate: false, epilogue: None };
            gemm(&device, &product, &mut c, &mut vec![f32::NAN; gemm_scratch(m, n, k)]);
            assert!(c.iter().enumerate().all(|(i, x)| x.is_nan() == (i / n == 5)));
        }
    }

    #[test]
    #[should_panic(expected = "matrices hold")]
    fn short_data_are_refused() {
        let device = Device::new(Isa::scalar(), 1);
        let (a, b) = (Matrix::row_major(&[0.0; 5], 3), Matrix::row_major(&[0.0; 6], 2));
        gemm(
            &device,
            &Gemm { m: 2, n: 2, k: 3, a, b, bias: None, accumulate: false, epilogue: None },
            &mut [0.0; 4],
            &mut [],
        );
    }
}
