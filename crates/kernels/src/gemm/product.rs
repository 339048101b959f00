//! A product in one orientation: what of it is packed, and how it is cut into tasks.
//!
//! Rows are read where they are: the tile takes them value by value, so any strides will do. Lanes have to be packed
//! when they do not lie beside each other. What moves between cores decides the rate of two threads: cores that share
//! no cache read what the other has just written at 7 GB/s. So a task packs what it needs for itself (twice at most in
//! all), and where packing is shared, the ranges of the pool bring most panels back to the core that packed them. Small
//! products gain most: x [128, 784] · W [512, 784]ᵀ went from 46 to 91 % of two cores' peak.

use super::finish::Finish;
use super::pack::pack_panels;
use super::tile::{Block, LaneOperand, Rows, STRIP, StripBuffer, Target};
use crate::device::{Device, Shared};
use crate::epilogue::InPlace;
use crate::simd::{LANES, dispatch};

/// Multiply-adds below which a second thread does not pay: some ten microseconds.
const SERIAL: usize = 1 << 20;
/// Multiply-adds that a task should have at least.
const TASK: usize = 1 << 18;
/// Tasks that a product is cut into where the size allows: enough to share out evenly.
const TASKS: usize = 16;
/// Most rows of a task: with the depth below, they take 192 KiB of the second cache.
const TASK_ROWS: usize = 192;
/// Most vectors of a task: with the depth below, 256 KiB of the second cache.
const TASK_VECTORS: usize = 16;
/// Fewest rows of a task that packs its lanes by transposing, which costs as much as the arithmetic of six rows.
const TRANSPOSING_ROWS: usize = 64;
/// Packed values below which packing is not shared between threads.
const SERIAL_PACK: usize = 1 << 13;
/// Lanes that are packed at a time: bounds the scratch memory. A multiple of the lanes of a task.
const PACKED_AT_A_TIME: usize = 3072;
/// Values that are packed at a time, unless that were less than the depth below.
const PACKED: usize = 1 << 19;
/// Depth of a block of k where both m and n are large: the rows of a tile take 12 KiB of the first cache.
const DEPTH: usize = 256;
/// The depth where one of them is small, or C is stored transposed: fewer passes over C are worth more than that.
const DEPTH_SKINNY: usize = 1024;
/// See `DEPTH_SKINNY`.
const SKINNY: usize = 64;
/// Rows and depth above which lanes are packed though they lie beside each other: in place, the vectors of a tile are a
/// row of the matrix apart. Packing gains 3 % at 1024³, loses 3 % at 512³, and 8 % at 128 rows.
const COPYING: (usize, usize) = (512, 128);

/// Depth of a pass over a long product whose rows lie side by side, as in the gradient of a weight, dyᵀ·x: what a pass reads of
/// both operands stays in the second cache for all tasks, which else would read each of them all of it again in steps of a row.
/// Gradients of [512, 128] over 4096 rows went from 49 to 69 % of the peak of two cores (Zen 1).
const LONG_PASS: usize = 256;
/// Depth from which on a product is long.
const LONG: usize = 4 * LONG_PASS;
/// Rows above which long products of that kind have their lanes packed, all tasks reading them.
const LONG_ROWS: usize = 64;

/// The range of k that is packed at once, of `q` lanes.
fn pass_depth(q: usize, k: usize) -> usize {
    even_depth(k, (PACKED / q.clamp(1, PACKED_AT_A_TIME)).max(DEPTH))
}

/// The depth of equal blocks of k of at most `most`.
pub(super) fn even_depth(k: usize, most: usize) -> usize {
    k.div_ceil(k.div_ceil(most).max(1))
}

/// Number of f32 of scratch memory that a product of these sizes may need: lanes are along either side.
pub(super) fn scratch(m: usize, n: usize, k: usize) -> usize {
    let side = |q: usize| pass_depth(q, k) * q.min(PACKED_AT_A_TIME).next_multiple_of(LANES);
    // One vector more, to start on a cache line.
    side(m).max(side(n)) + LANES
}

/// An operand where it is: `along` is the distance of rows or lanes, `depth` that of values along k.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    pub data: &'a [f32],
    pub along: usize,
    pub depth: usize,
}

impl<'a> Strided<'a> {
    /// The part that begins at row or lane `index` and depth `k`.
    #[inline(always)]
    pub fn at(self, index: usize, k: usize) -> &'a [f32] {
        &self.data[index * self.along + k * self.depth..]
    }

    #[inline(always)]
    pub fn from(self, index: usize, k: usize) -> Strided<'a> {
        Strided { data: self.at(index, k), ..self }
    }
}

/// Where the lanes come from.
#[derive(Clone, Copy)]
pub(super) enum LaneSource<'a> {
    Strided(Strided<'a>),
    /// Panels of sixteen lanes over all of k, one after the other.
    Panels(&'a [f32]),
}

/// A product with its orientation: `p` rows and `q` lanes.
pub(super) struct Product<'a> {
    pub p: usize,
    pub q: usize,
    pub k: usize,
    pub rows: Strided<'a>,
    pub lanes: LaneSource<'a>,
    /// Rows are columns of C, and lanes are rows of C.
    pub swapped: bool,
    /// Columns of C.
    pub n: usize,
    pub bias: Option<&'a [f32]>,
    pub accumulate: bool,
    pub epilogue: Option<&'a dyn InPlace>,
}

/// Who packs the lanes.
#[derive(Clone, Copy, PartialEq)]
enum PackLanes {
    /// They are read where they are.
    Nobody,
    /// Each task what it needs, just before it needs it: no thread waits for another, nothing moves between cores.
    Task,
    /// All threads, before the tasks.
    Shared,
}

/// How a product is computed: a function of sizes and strides alone.
struct Plan {
    pack_lanes: PackLanes,
    /// Is the work worth more than one thread?
    shared: bool,
    /// Rows and vectors of a task.
    rows_step: usize,
    vectors_step: usize,
    /// Depth of what is packed at a time.
    pass_depth: usize,
    /// Most depth of a block of k within a task.
    depth: usize,
}

impl Plan {
    fn new(product: &Product) -> Plan {
        let &Product { p, q, k, lanes, swapped, .. } = product;
        let vectors = q.div_ceil(LANES);
        let shared = p * q * k >= SERIAL;
        let transposes = matches!(lanes, LaneSource::Strided(lanes) if lanes.along != 1);
        let is_long = shared && product.rows.along == 1 && k >= LONG;
        let copied_rows = if is_long { LONG_ROWS } else { COPYING.0 };
        let copies = matches!(lanes, LaneSource::Strided(_)) && !transposes && p > copied_rows && k > COPYING.1;
        let (mut rows_step, mut vectors_step) = (p, vectors);
        if shared {
            rows_step = p.div_ceil(p.div_ceil(TASK_ROWS)).next_multiple_of(4);
            vectors_step = vectors.div_ceil(vectors.div_ceil(TASK_VECTORS)).next_multiple_of(2);
            let least_rows = if transposes { TRANSPOSING_ROWS } else { 8 };
            let tasks = |rows: usize, vectors_step: usize| p.div_ceil(rows) * vectors.div_ceil(vectors_step);
            while tasks(rows_step, vectors_step) < TASKS && rows_step * vectors_step * LANES * k > 2 * TASK {
                if vectors_step > 2 && (transposes || vectors_step * LANES > rows_step) {
                    vectors_step = (vectors_step / 2).next_multiple_of(2);
                } else if rows_step > least_rows {
                    rows_step = (rows_step / 2).next_multiple_of(4);
                } else {
                    break;
                }
            }
        }
        let pack_lanes = match () {
            _ if transposes && p <= 2 * rows_step => PackLanes::Task,
            _ if transposes || copies => PackLanes::Shared,
            _ => PackLanes::Nobody,
        };
        let pass_depth = if pack_lanes == PackLanes::Shared { pass_depth(q, k) } else { k };
        let pass_depth = if is_long { even_depth(k, LONG_PASS.min(pass_depth)) } else { pass_depth };
        let depth = if p.min(q) <= SKINNY || swapped { DEPTH_SKINNY } else { DEPTH };
        Plan { pack_lanes, shared, rows_step, vectors_step, pass_depth, depth }
    }
}

impl Product<'_> {
    pub fn compute(&self, device: &Device, c: &mut [f32], scratch: &mut [f32]) {
        let plan = Plan::new(self);
        let at_a_time = if plan.pack_lanes == PackLanes::Shared { PACKED_AT_A_TIME } else { self.q };
        for lane in (0..self.q).step_by(at_a_time) {
            let q = at_a_time.min(self.q - lane);
            for from in (0..self.k.max(1)).step_by(plan.pass_depth.max(1)) {
                let depth = plan.pass_depth.min(self.k - from);
                Pass { product: self, plan: &plan, lane, q, from, depth }.compute(device, c, scratch);
            }
        }
    }
}

/// A part of a product that is packed at once: all rows, `q` lanes from `lane`, `depth` values from `from`.
struct Pass<'a, 'b> {
    product: &'a Product<'b>,
    plan: &'a Plan,
    lane: usize,
    q: usize,
    from: usize,
    depth: usize,
}

impl Pass<'_, '_> {
    fn compute(&self, device: &Device, c: &mut [f32], scratch: &mut [f32]) {
        let &Pass { product, plan, lane, q, from, depth } = self;
        let vectors = q.div_ceil(LANES);
        let panel = LANES * depth;
        let packed = match (plan.pack_lanes, product.lanes) {
            (PackLanes::Shared, LaneSource::Strided(lanes)) => {
                let packed = &mut scratch[..vectors * panel];
                // Whole panels, and of many small ones some together.
                let chunk = if plan.shared { (SERIAL_PACK / panel.max(1)).max(1) } else { vectors } * panel;
                device.chunks_mut(chunk.max(1), packed, |start, part| {
                    let first = start / panel * LANES;
                    pack_panels(device, lanes.from(lane + first, from), q - first, depth, part);
                });
                &*packed
            }
            _ => &[],
        };
        let c = Shared(c.as_mut_ptr());
        let row_blocks = product.p.div_ceil(plan.rows_step);
        // Task after task through the same lanes: then a thread uses mostly the panels that it packed.
        device.for_each(row_blocks * vectors.div_ceil(plan.vectors_step), &|task| {
            let (row, vector) = (task % row_blocks * plan.rows_step, task / row_blocks * plan.vectors_step);
            let rows = row..product.p.min(row + plan.rows_step);
            let lanes = vector * LANES..q.min((vector + plan.vectors_step) * LANES);
            self.block(device, c, rows, lanes, packed);
        });
    }

    /// Computes `rows` × `lanes` of this pass, and finishes that part of C in the last one.
    fn block(
        &self,
        device: &Device,
        c: Shared,
        rows: std::ops::Range<usize>,
        lanes: std::ops::Range<usize>,
        packed_lanes: &[f32],
    ) {
        let &Pass { product, plan, lane, from, depth, .. } = self;
        let first_vector = lanes.start / LANES;
        let lane_operand = match product.lanes {
            LaneSource::Panels(panels) => {
                let panel = LANES * product.k;
                let first = (lane / LANES + first_vector) * panel + from * LANES;
                LaneOperand::Panels { data: panels[first..].as_ptr(), panel }
            }
            LaneSource::Strided(strided) => match plan.pack_lanes {
                PackLanes::Shared => {
                    let panel = LANES * depth;
                    LaneOperand::Panels { data: packed_lanes[first_vector * panel..].as_ptr(), panel }
                }
                PackLanes::Task => LaneOperand::Pack(strided.from(lane + lanes.start, from)),
                PackLanes::Nobody => LaneOperand::InPlace(strided.from(lane + lanes.start, from)),
            },
        };
        let data = product.rows.at(rows.start, from).as_ptr();
        let row_operand = Rows { data, row: product.rows.along, depth: product.rows.depth };
        let (i, j) = match product.swapped {
            true => (lane + lanes.start, rows.start),
            false => (rows.start, lane + lanes.start),
        };
        let n = product.n;
        // SAFETY: (i, j) is inside C.
        let data = unsafe { c.at(i * n + j) };
        let (c_row, c_lane) = if product.swapped { (1, n) } else { (n, 1) };
        let block = Block {
            k: depth,
            depth: plan.depth,
            rows: rows.len(),
            lanes: lanes.len(),
            row_operand,
            lane_operand,
            c: Target { data, row: c_row, lane: c_lane },
            resume: product.accumulate || from > 0,
            strip: std::ptr::null_mut(),
        };
        if block.packs() {
            with_strip(device, block);
        } else {
            dispatch(device.isa(), block);
        }
        if from + depth == product.k && (product.bias.is_some() || product.epilogue.is_some()) {
            let (height, width) = if product.swapped { (lanes.len(), rows.len()) } else { (rows.len(), lanes.len()) };
            let bias = product.bias.map(|bias| &bias[j..j + width]);
            let (isa, epilogue) = (device.isa(), product.epilogue);
            dispatch(isa, Finish { c: data, stride: n, rows: height, columns: width, bias, epilogue, isa });
        }
    }
}

/// Computes a block that packs. A function of its own, so that only such blocks pay for the large stack frame.
#[inline(never)]
fn with_strip(device: &Device, block: Block) {
    let mut strip = StripBuffer([const { std::mem::MaybeUninit::uninit() }; STRIP]);
    dispatch(device.isa(), Block { strip: strip.0.as_mut_ptr().cast(), ..block });
}
