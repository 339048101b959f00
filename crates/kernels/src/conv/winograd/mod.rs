//! Convolution with a 3×3 kernel by fewer multiplications: F(2×2, 3×3).
//!
//! Two outputs side by side of a filter g of three values take six multiplications, or four: Aᵀ [(G g) ⊙ (Bᵀ d)], where d
//! are the four values that they see, and
//!
//! ```text
//!      ⎡1  0 −1  0⎤       ⎡1  0  0⎤
//! Bᵀ = ⎢0  1  1  0⎥   G = ⎢½  ½  ½⎥   Aᵀ = ⎡1  1  1  0⎤
//!      ⎢0 −1  1  0⎥       ⎢½ −½  ½⎥        ⎣0  1 −1 −1⎦
//!      ⎣0  1  0 −1⎦       ⎣0  0  1⎦
//! ```
//!
//! Along both axes, a *tile* of 2×2 outputs from 4×4 values d of every channel c: U = G g Gᵀ, V = Bᵀ d B, Y = Aᵀ [Σ_c U ⊙ V] A.
//! That is sixteen multiplications a tile and pair of channels instead of thirty-six, and sixteen matrix products over c,
//! one for each place of the 4×4.
//!
//! What decides the bits: U and V are computed along the height first, then along the width ([`weights`], [`input`]); each of
//! the sixteen sums is one chain of fused multiply-adds over c in ascending order, starting from 0; Y is computed along the
//! height, then along the width ([`output`]); then comes the bias, then the epilogue.
//!
//! Rounding: a product of U and V passes 4 roundings of U, 2 of V, at most (channels) of the chain, 4 of Y and one of the
//! bias, so |error| ≤ ε/2 · (channels + 11) · M to first order, M = |A|ᵀ [Σ_c (|G| |g| |G|ᵀ) ⊙ (|B|ᵀ |d| |B|)] |A|. Where all
//! magnitudes are alike, M is 64/9 of Σ |g| |d|, whose chain of 9·channels has a bound of ε/2 · 9·channels: nearly as exact.
//! But a tile is computed as a whole: a large value, an infinity or a NaN is felt in all four outputs of the tile that sees
//! it.
//!
//! A *unit* of work is some consecutive tiles, images one after the other, and a part of the target channels. It transforms
//! the input, with tiles in lanes, into scratch memory that fits the second cache; then, for some channels at a time, comes
//! the product into the first cache, and from there the output.
//!
//! (Winograd, *Arithmetic complexity of computations*, 1980; Lavin and Gray, *Fast algorithms for convolutional neural
//! networks*, CVPR 2016, arXiv:1509.09308.)

mod input;
mod output;
#[cfg(test)]
mod tests;
mod weights;

use std::ops::Range;

use super::correlate::{Correlation, Values};
use super::slots::{MAX_SLOTS, Slots};
use crate::device::{Device, Shared};
use crate::gemm::tile::{self, MAX_ROWS};
use crate::simd::{Isa, Kernel, LANES, Simd, dispatch};
use input::Strip;

pub(super) use weights::transform;

/// Values of a transformed tile, of one channel.
pub(super) const POINTS: usize = 16;
/// Multiply-adds below which a second thread does not pay: some ten microseconds.
const SERIAL: usize = 1 << 20;
/// Multiply-adds that a task should have at least: parts of the channels transform the same input again.
const TASK: usize = 1 << 19;
/// Tasks that the work is cut into where the size allows.
const TASKS: usize = 8;
/// Values of the transformed input of a unit, unless the fewest lanes take more: a part of the second cache.
const TRANSFORMED: usize = 1 << 16;
/// Fewest lanes of a unit: vectors of two tiles of a product.
const LEAST_LANES: usize = 2 * LANES;
/// Most lanes of a unit.
const MOST_LANES: usize = 8 * LANES;

/// Is it a convolution that this computes?
pub(super) fn applies(of: &Correlation) -> bool {
    let plain = |axis: super::axis::Axis| (axis.kernel, axis.step, axis.spread, axis.dilation) == (3, 1, 1, 1);
    of.groups == 1 && plain(of.height) && plain(of.width)
}

/// Is that quicker than the direct way? A function of the layer's sizes alone, as it decides the bits.
///
/// Measured on one core with AVX2, forward, time of the direct way over time of this one: 16 channels in and out at 32×32
/// 1.2, 32 at 16×16 1.35, 64 at 8×8 1.65, at 7×7 1.3, 64 to 256 at 32×32 to 8×8 1.65 to 1.85; but 8 channels on one side or
/// both 0.85 to 1.05. Where the tiles of an image do not fill a vector, a batch may gain (64 at 4×4 1.25), but one image
/// alone loses much (64 at 5×5 0.7, 256 at 4×4 0.4), and it must have the bits that it has in a batch.
pub(super) fn pays(of: &Correlation) -> bool {
    let tiles = of.height.target.div_ceil(2) * of.width.target.div_ceil(2);
    // At least three quarters of what the tiles compute is wanted.
    let whole = 3 * 4 * tiles <= 4 * of.height.target * of.width.target;
    of.source_channels >= 16 && of.target_channels >= 16 && tiles >= LANES && whole
}

/// How the work is cut: a function of the sizes alone.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Tiles of an image along the height and the width, and of all images.
    rows: usize,
    columns: usize,
    tiles: usize,
    /// Tiles of a unit, whole vectors; units of tiles.
    lanes: usize,
    units: usize,
    /// Target channels of a part, a multiple of the lanes of a vector; parts.
    part: usize,
    parts: usize,
    layout: Layout,
}

/// Distances in the scratch memory of a task.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Of channels, and of points, of the transformed input: a vector more than the lanes, for stores of whole vectors at the
    /// end; and one more, lest the same lane of all points falls into one set of a cache.
    channel: usize,
    input_point: usize,
    /// Of points of the sums.
    sums_point: usize,
    /// Of rows that are being transformed.
    row: usize,
    /// What the first tile sees first, in rows and columns of the source.
    low: (isize, isize),
}

impl Plan {
    fn new(of: &Correlation) -> Plan {
        let &Correlation { batch, source_channels, target_channels, height, width, .. } = of;
        let (rows, columns) = (height.target.div_ceil(2), width.target.div_ceil(2));
        let tiles = batch * rows * columns;
        let work = |lanes: usize, channels: usize| POINTS * lanes * source_channels * channels;
        let most = (TRANSFORMED / (POINTS * source_channels.max(1))).clamp(LEAST_LANES, MOST_LANES);
        let even = |units: usize| tiles.div_ceil(units.max(1)).next_multiple_of(LEAST_LANES);
        let mut lanes = even(tiles.div_ceil(most));
        let mut part = target_channels.next_multiple_of(LANES).max(LANES);
        let tasks = |lanes: usize, part: usize| tiles.div_ceil(lanes.max(1)) * target_channels.div_ceil(part);
        while work(tiles, target_channels) >= SERIAL && tasks(lanes, part) < TASKS && work(lanes, part) > 2 * TASK {
            if lanes > LEAST_LANES {
                lanes = (lanes / 2).next_multiple_of(LEAST_LANES);
            } else if part > LANES {
                part = (part / 2).next_multiple_of(LANES);
            } else {
                break;
            }
        }
        let channel = lanes + LANES;
        let layout = Layout {
            channel,
            input_point: source_channels * channel + LANES,
            sums_point: MAX_ROWS * lanes + LANES,
            row: (2 * columns.min(lanes)).next_multiple_of(2 * LANES) + 2 * LANES,
            low: (height.reach().0, width.reach().0),
        };
        let (units, parts) = (tiles.div_ceil(lanes.max(1)), target_channels.div_ceil(part));
        Plan { rows, columns, tiles, lanes, units, part, parts, layout }
    }

    /// Tasks, and units and parts in each: a small piece of work is one task.
    fn tasks(&self, of: &Correlation) -> (usize, usize) {
        let all = self.units * self.parts;
        let work = POINTS * self.tiles * of.source_channels * of.target_channels;
        if work < SERIAL { (1, all) } else { (all, 1) }
    }

    fn slot(&self) -> usize {
        let Layout { input_point, sums_point, row, .. } = self.layout;
        POINTS * (input_point + sums_point) + MAX_ROWS * 4 * self.lanes + 4 * row
    }
}

/// Number of f32 of the transformed weights.
pub(super) fn panels(of: &Correlation) -> usize {
    POINTS * of.source_channels * of.target_channels.next_multiple_of(LANES)
}

/// Number of f32 of scratch memory that [`correlate`] may use.
pub(super) fn scratch(of: &Correlation) -> usize {
    let plan = Plan::new(of);
    LANES + panels(of) + plan.tasks(of).0.clamp(1, MAX_SLOTS) * plan.slot()
}

/// Computes the target, overwriting it. Panics when a slice is too short.
pub(super) fn correlate(device: &Device, of: &Correlation, values: Values, target: &mut [f32], scratch: &mut [f32]) {
    if target.is_empty() {
        return;
    }
    let plan = Plan::new(of);
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    let (panels, slots) = scratch[skip..].split_at_mut(if values.packed.is_some() { 0 } else { panels(of) });
    let panels = match values.packed {
        Some(packed) => packed,
        None => {
            transform(device, of, values.weight, panels);
            &*panels
        }
    };
    assert!(panels.len() >= self::panels(of), "the packed weights are those of this convolution");
    let (tasks, together) = plan.tasks(of);
    let slots = Slots::new(slots, tasks.clamp(1, MAX_SLOTS), plan.slot());
    let target = Shared(target.as_mut_ptr());
    device.for_each(tasks, &|task| {
        slots.with(|slot| {
            for index in task * together..(task + 1) * together {
                let (unit, part) = (index / plan.parts, index % plan.parts);
                let tiles = unit * plan.lanes..plan.tiles.min((unit + 1) * plan.lanes);
                let channels = part * plan.part..of.target_channels.min((part + 1) * plan.part);
                let isa = device.isa();
                let unit = Unit { of, plan: &plan, values: &values, panels, tiles, channels, slot, target, isa };
                dispatch(isa, unit);
            }
        });
    });
}

/// Some tiles and target channels.
struct Unit<'a> {
    of: &'a Correlation,
    plan: &'a Plan,
    values: &'a Values<'a>,
    panels: &'a [f32],
    tiles: Range<usize>,
    channels: Range<usize>,
    slot: &'a mut [f32],
    target: Shared,
    isa: Isa,
}

impl Kernel for Unit<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Unit { of, plan, values, panels, ref tiles, channels, slot, target, isa } = self;
        let layout = plan.layout;
        let depth = of.source_channels;
        let (input, rest) = slot.split_at_mut(POINTS * layout.input_point);
        let (sums, rest) = rest.split_at_mut(POINTS * layout.sums_point);
        let (results, rows) = rest.split_at_mut(MAX_ROWS * 4 * plan.lanes);
        let vectors = tiles.len().div_ceil(LANES);
        // Channel after channel: what one of them writes stays in the first cache.
        for channel in 0..depth {
            let input = &mut input[channel * layout.channel..];
            for strip in strips(plan, tiles) {
                let plane = (strip.image * depth + channel) * of.height.source * of.width.source;
                input::transform(s, of, &values.source[plane..], &strip, &layout, input, rows);
            }
        }
        let mut channel = channels.start;
        while channel < channels.end {
            // As many rows as a tile of the product has, of one panel.
            let in_panel = channel % LANES;
            let left = (LANES - in_panel).min(channels.end - channel);
            let count = left.min(even(LANES, S::TILE_ROWS));
            let panel = &panels[(channel - in_panel) * POINTS * depth..][..LANES * POINTS * depth];
            for point in 0..POINTS {
                let rows = tile::Rows {
                    data: panel.as_ptr().wrapping_add(point * depth * LANES + in_panel),
                    row: 1,
                    depth: LANES,
                };
                let (lanes, sums) = (&input[point * layout.input_point..], &mut sums[point * layout.sums_point..]);
                let most = tile::tile_vectors::<S>(count);
                let mut vector = 0;
                while vector < vectors {
                    let step = tile::vectors_step(most, vectors - vector);
                    let lanes =
                        tile::Lanes { data: lanes[vector * LANES..].as_ptr(), vector: LANES, depth: layout.channel };
                    let c = tile::Target { data: sums[vector * LANES..].as_mut_ptr(), row: plan.lanes, lane: 1 };
                    // SAFETY: a panel has sixteen values at each depth; the transformed input has a channel's lanes at
                    // each, and the sums have MAX_ROWS times the lanes, whole vectors, for this point.
                    unsafe { tile::any_tile(s, (count, step), depth, rows, lanes, c, false) };
                    vector += step;
                }
            }
            for row in 0..count {
                let bias = values.bias.map_or(0.0, |bias| bias[channel + row]);
                let sums = &sums[row * plan.lanes..];
                let results = &mut results[row * 4 * plan.lanes..][..4 * plan.lanes];
                output::transform(s, sums, layout.sums_point, vectors, bias, results);
            }
            let results = &mut results[..count * 4 * plan.lanes];
            if let Some(epilogue) = values.epilogue {
                epilogue.apply(isa, results);
            }
            for strip in strips(plan, tiles) {
                for row in 0..count {
                    let results = &results[row * 4 * plan.lanes..][..4 * plan.lanes];
                    let (height, width) = (of.height.target, of.width.target);
                    let plane = (strip.image * of.target_channels + channel + row) * height * width;
                    let columns = (2 * strip.count).min(width - 2 * strip.column);
                    for i in 0..2.min(height - 2 * strip.row) {
                        let from = &results[i * 2 * plan.lanes + 2 * strip.lane..][..columns];
                        let at = plane + (2 * strip.row + i) * width + 2 * strip.column;
                        // SAFETY: the place is inside the target, and these tiles and channels are this unit's alone.
                        unsafe { std::slice::from_raw_parts_mut(target.at(at), columns) }.copy_from_slice(from);
                    }
                }
            }
            channel += count;
        }
    }
}

/// The length of equal parts of `all`, of at most `most`.
#[inline(always)]
fn even(all: usize, most: usize) -> usize {
    all.div_ceil(all.div_ceil(most))
}

/// The rows of tiles, or parts of them, that `tiles` are.
#[inline(always)]
fn strips<'a>(plan: &'a Plan, tiles: &'a Range<usize>) -> impl Iterator<Item = Strip> + use<'a> {
    let (row, column) = (tiles.start / plan.columns, tiles.start % plan.columns);
    let mut next = Strip { image: row / plan.rows, row: row % plan.rows, column, count: 0, lane: 0 };
    std::iter::from_fn(move || {
        let count = (plan.columns - next.column).min(tiles.len() - next.lane);
        let strip = Strip { count, ..next };
        next = Strip { column: next.column + count, lane: next.lane + count, ..next };
        if next.column == plan.columns {
            next = Strip { column: 0, row: next.row + 1, ..next };
        }
        if next.row == plan.rows {
            next = Strip { row: 0, image: next.image + 1, ..next };
        }
        (count > 0).then_some(strip)
    })
}
