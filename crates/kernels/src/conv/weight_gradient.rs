//! Gradient of the weights: dw[o, c, k, l] = Σ_{n, i, j} dy[n, o, i, j] · x[n, c, i·stride − padding + k·dilation, …].
//!
//! The order of the sum: images are cut into blocks (by size alone), whose sums are added in the order of the blocks. In a
//! block, images one after the other, and within an image either
//!
//! * *channels in lanes* (see `tap_tile`): one chain over rows and columns of dy, or
//! * *places in lanes* (see `dot_tile`): sixteen chains, one for each column mod 16, added as a fixed tree at the end.
//!
//! A *unit* of work is a block, a group, and a part of its input channels; it copies bands of the image with their padding
//! ([`Planes`]), and turns dy so that the channels of a place lie beside each other. Its sums lie in scratch memory.

use super::Conv;
use super::dot_tile;
use super::planes::Planes;
use super::slots::{MAX_SLOTS, Slots};
use super::tap_tile::{self, MAX_GROUPS};
use crate::device::{Device, Shared};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Multiply-adds below which a second thread does not pay.
const SERIAL: usize = 1 << 20;
/// Units that the work is cut into where the size allows.
const UNITS: usize = 8;
/// Blocks of images at most: what the sums of all blocks take, and their addition, grows with them.
const BLOCKS: usize = 8;
/// Values of the sums of all blocks at most, if there is more than one block.
const SUMS: usize = 1 << 20;
/// Values of a band of x and dy, unless one row has more: a part of the second cache.
const BAND: usize = 1 << 16;
/// What it costs to turn a vector of dy, in multiply-adds of a vector.
const TURN: usize = 6;
/// Values of a task that adds the sums of blocks up.
const COMBINED: usize = 1 << 12;

/// How the work is cut: a function of the sizes alone.
#[derive(Clone, Copy, Debug)]
struct Plan {
    channels_in_lanes: bool,
    blocks: usize,
    images: usize,
    /// Input channels of a part; parts.
    part: usize,
    parts: usize,
    /// Rows of dy of a band.
    band: usize,
    in_place: bool,
    planes: Planes,
    /// Output channels of a group, up to whole vectors.
    channels: usize,
    /// Sums of a group and block.
    sums: usize,
    /// Values of the turned band of dy.
    turned: usize,
    shared: bool,
}

impl Plan {
    fn new(conv: &Conv) -> Plan {
        let &Conv { batch, groups, kernel, output, .. } = conv;
        let (inner, outer) = (conv.in_channels / groups, conv.out_channels / groups);
        let (taps, window) = (conv.taps(), kernel[0] * kernel[1]);
        let (height, width) = (conv.axis(0, true), conv.axis(1, true));
        let by_channel = output[1] * outer.div_ceil(LANES) * (taps + TURN);
        let by_place = outer * taps * (output[1].div_ceil(LANES) * 5 / 4 + 1 + 3 / output[0].max(1));
        let channels_in_lanes = by_channel < by_place;
        let channels = outer.next_multiple_of(LANES);
        let sums = if channels_in_lanes { taps * channels } else { outer * taps * LANES };
        let shared = conv.multiply_adds() >= SERIAL;
        let all = (groups * sums).max(1);
        let most = if shared { BLOCKS.min(SUMS / all) } else { 1 };
        let images = batch.div_ceil(most.clamp(1, batch.max(1))).max(1);
        let blocks = batch.div_ceil(images);
        // Parts repeat the turning of dy: only where there are many taps for it.
        let (mut part, mut parts) = (inner, 1);
        while shared && channels_in_lanes && part > 1 && blocks * groups * parts < UNITS && part * window > 8 * 12 {
            part = part.div_ceil(2);
            parts = inner.div_ceil(part);
        }
        let inside = |i: usize| {
            let last = output[i].saturating_sub(1) * conv.stride[i] + (kernel[i] - 1) * conv.dilation[i];
            conv.padding[i] == 0 && last < conv.input[i]
        };
        let in_place = inside(0) && inside(1) && (channels_in_lanes || conv.stride[1] == 1);
        let planes_of = |band: usize| match in_place {
            true => Planes::in_place(part, height, width),
            false => Planes::new(part, height, width, band, !channels_in_lanes),
        };
        let turned_of = |band: usize| if channels_in_lanes { band * output[1] * channels } else { 0 };
        let mut band = output[0];
        let len = |band: usize| turned_of(band) + if in_place { 0 } else { planes_of(band).len() };
        while band > 1 && len(band) > BAND {
            band = band.div_ceil(2);
        }
        let (planes, turned) = (planes_of(band), turned_of(band).next_multiple_of(LANES));
        Plan { channels_in_lanes, blocks, images, part, parts, band, in_place, planes, channels, sums, turned, shared }
    }

    fn units(&self, groups: usize) -> usize {
        self.blocks * groups * self.parts
    }

    fn slots(&self, groups: usize) -> usize {
        if self.shared { self.units(groups).clamp(1, MAX_SLOTS) } else { 1 }
    }

    fn slot(&self) -> usize {
        self.turned + if self.in_place { 0 } else { self.planes.len().next_multiple_of(LANES) }
    }
}

/// Number of f32 of scratch memory that [`weight_gradient`] may use.
pub(super) fn scratch(conv: &Conv) -> usize {
    let plan = Plan::new(conv);
    let table = conv.taps().next_multiple_of(LANES);
    LANES + table + plan.blocks * conv.groups * plan.sums + plan.slots(conv.groups) * plan.slot()
}

/// Computes dw, overwriting it. Panics when a slice is too short.
pub(super) fn weight_gradient(
    device: &Device,
    conv: &Conv,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    scratch: &mut [f32],
) {
    if x.is_empty() || dy.is_empty() {
        return dw.fill(0.0);
    }
    let plan = Plan::new(conv);
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    let (table, scratch) = scratch[skip..].split_at_mut(conv.taps().next_multiple_of(LANES));
    // Those of the first part; taps of further parts read the same there.
    let table = plan.planes.offsets([(conv.axis(0, true).taps(0), conv.axis(1, true).taps(0))], table);
    let (sums, slots) = scratch.split_at_mut(plan.blocks * conv.groups * plan.sums);
    let units = plan.units(conv.groups);
    let target = Shared(sums.as_mut_ptr());
    let slots = Slots::new(slots, plan.slots(conv.groups), plan.slot());
    // Unshared work is one task, whatever the units; some of several small groups go together.
    let together = if plan.shared { units.div_ceil(MAX_SLOTS).max(1) } else { units };
    device.for_each(units.div_ceil(together), &|task| {
        slots.with(|space| {
            let units = task * together..units.min((task + 1) * together);
            dispatch(device.isa(), Units { conv, plan: &plan, x, dy, table, units, space, sums: target });
        });
    });
    if plan.channels_in_lanes {
        combine(device, conv, &plan, sums, dw);
    } else {
        let (taps, stride) = (conv.taps(), conv.groups * plan.sums);
        let chunk = if plan.shared { (COMBINED / LANES).next_multiple_of(taps) } else { dw.len() };
        device.chunks_mut(chunk.max(1), dw, |start, dw| {
            dispatch(device.isa(), AddLanes { sums, stride, blocks: plan.blocks, start, dw });
        });
    }
}

/// Some units, one after the other.
struct Units<'a> {
    conv: &'a Conv,
    plan: &'a Plan,
    x: &'a [f32],
    dy: &'a [f32],
    table: &'a [u32],
    units: std::ops::Range<usize>,
    space: &'a mut [f32],
    sums: Shared,
}

/// A band of one image, ready to be summed over.
struct Band<'a> {
    /// Input channels.
    channels: usize,
    rows: usize,
    /// What the taps of the first place read, less their offsets.
    source: *const f32,
    /// Output channels of the group, at the band's first row.
    dy: &'a [f32],
    turned: *const f32,
    resume: bool,
}

impl Kernel for Units<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for unit in self.units.clone() {
            let (part, rest) = (unit % self.plan.parts, unit / self.plan.parts);
            let (group, block) = (rest % self.conv.groups, rest / self.conv.groups);
            self.unit(s, block, group, part);
        }
    }
}

impl Units<'_> {
    #[inline(always)]
    fn unit<S: Simd>(&mut self, s: S, block: usize, group: usize, part: usize) {
        let (conv, plan) = (self.conv, self.plan);
        let &Conv { batch, groups, input, output, .. } = conv;
        let (inner, outer) = (conv.in_channels / groups, conv.out_channels / groups);
        let window = conv.kernel[0] * conv.kernel[1];
        let (first, plane_in, plane_out) = (part * plan.part, input[0] * input[1], output[0] * output[1]);
        let channels = plan.part.min(inner - first);
        // A tap's sums of all output channels, or an output channel's sums of all taps, lie beside each other.
        let start = (block * groups + group) * plan.sums;
        let start = start + if plan.channels_in_lanes { first * window * plan.channels } else { 0 };
        // SAFETY: the sums of this block, group and part, which nobody else uses.
        let sums = unsafe { self.sums.at(start) };
        let mut resume = false;
        for image in block * plan.images..batch.min((block + 1) * plan.images) {
            let x = &self.x[((image * groups + group) * inner + first) * plane_in..][..channels * plane_in];
            let dy = &self.dy[(image * groups + group) * outer * plane_out..][..outer * plane_out];
            for row in (0..output[0]).step_by(plan.band) {
                let rows = plan.band.min(output[0] - row);
                let (turned, copy) = self.space.split_at_mut(plan.turned);
                let source = if plan.in_place {
                    x[row * conv.stride[0] * input[1]..].as_ptr()
                } else {
                    let planes = plan.planes.with_channels(channels);
                    planes.copy(s, x, ((row * conv.stride[0]) as isize, 0), copy);
                    copy.as_ptr()
                };
                let dy = &dy[row * output[1]..];
                if plan.channels_in_lanes {
                    turn(s, dy, outer, plane_out, rows * output[1], plan.channels, turned);
                }
                let band = Band { channels, rows, source, dy, turned: turned.as_ptr(), resume };
                // SAFETY: the band is the one that the table of offsets is for; the sums are ours.
                unsafe {
                    if plan.channels_in_lanes {
                        self.by_channels(s, &band, sums);
                    } else {
                        self.by_places(s, &band, sums, outer, plane_out);
                    }
                }
                resume = true;
            }
        }
    }

    /// # Safety
    /// `band` and `sums` must be those of a unit.
    #[inline(always)]
    unsafe fn by_channels<S: Simd>(&self, s: S, band: &Band, sums: *mut f32) {
        let (conv, plan) = (self.conv, self.plan);
        let places = tap_tile::Places {
            rows: band.rows,
            columns: conv.output[1],
            step: conv.stride[1],
            row: conv.stride[0] * plan.planes.row,
            tap: conv.dilation[1],
            dy: band.turned,
            channels: plan.channels,
        };
        // The taps of a kernel's row in threes, and what is left in twos.
        let wide = conv.kernel[1];
        let (threes, twos, ones) = match (wide, wide % 3) {
            (1, _) => (0, 0, 1),
            (_, 0) => (wide / 3, 0, 0),
            (_, 1) => (wide / 3 - 1, 2, 0),
            _ => (wide / 3, 1, 0),
        };
        let kernel_rows = band.channels * conv.kernel[0];
        for (width, in_row, first) in [(3, threes, 0), (2, twos, threes * 3), (1, ones, 0)] {
            let all = kernel_rows * in_row;
            let most = tap_tile::most_groups::<S>(width);
            let mut group = 0;
            while group < all {
                let groups = most.min(all - group);
                let mut taps = [std::ptr::null(); MAX_GROUPS];
                let mut targets = [std::ptr::null_mut(); MAX_GROUPS];
                for g in 0..groups {
                    let (row, i) = ((group + g) / in_row, (group + g) % in_row);
                    let k = row * wide + first + i * width;
                    taps[g] = band.source.wrapping_add(self.table[k] as usize);
                    targets[g] = sums.wrapping_add(k * plan.channels);
                }
                let mut channel = 0;
                while channel < plan.channels {
                    let vectors = S::TILE_VECTORS.min((plan.channels - channel) / LANES);
                    let targets = targets.map(|target| target.wrapping_add(channel));
                    let places = tap_tile::Places { dy: places.dy.wrapping_add(channel), ..places };
                    // SAFETY: the caller's promise.
                    unsafe { tap_tile::tile(s, (groups, width, vectors), &places, &taps, &targets, band.resume) };
                    channel += vectors * LANES;
                }
                group += groups;
            }
        }
    }

    /// # Safety
    /// `band` and `sums` must be those of a unit.
    #[inline(always)]
    unsafe fn by_places<S: Simd>(&self, s: S, band: &Band, sums: *mut f32, outer: usize, plane: usize) {
        let (conv, plan) = (self.conv, self.plan);
        let taps = self.table.len();
        for channel in 0..outer {
            let places = dot_tile::Places {
                rows: band.rows,
                columns: conv.output[1],
                dy: band.dy[channel * plane..].as_ptr(),
                source: band.source,
                row: conv.stride[0] * plan.planes.row,
            };
            let most = dot_tile::most_taps::<S>();
            let step = taps.div_ceil(taps.div_ceil(most).max(1)).max(1);
            for tap in (0..taps).step_by(step) {
                let table = &self.table[tap..taps.min(tap + step)];
                // SAFETY: the caller's promise: sixteen sums a tap, for each channel.
                unsafe {
                    let first = sums.add((channel * taps + tap) * LANES).cast::<[f32; LANES]>();
                    let sums = std::slice::from_raw_parts_mut(first, table.len());
                    dot_tile::tile(s, &places, table, sums, band.resume);
                }
            }
        }
    }
}

/// The first `places` places of `channels` channels of dy, `plane` values apart, place after place: `stride` values each,
/// zeros behind the channels.
#[inline(always)]
fn turn<S: Simd>(s: S, dy: &[f32], channels: usize, plane: usize, places: usize, stride: usize, out: &mut [f32]) {
    for channel in (0..channels).step_by(LANES) {
        let lanes = LANES.min(channels - channel);
        for place in (0..places).step_by(LANES) {
            let count = LANES.min(places - place);
            let mut rows = [s.splat(0.0); LANES];
            if lanes == LANES && count == LANES {
                for l in 0..LANES {
                    rows[l] = s.load(&dy[(channel + l) * plane + place..]);
                }
                let columns = s.transpose(rows);
                for i in 0..LANES {
                    s.store(columns[i], &mut out[(place + i) * stride + channel..]);
                }
            } else {
                for l in 0..lanes {
                    rows[l] = s.load_partial(&dy[(channel + l) * plane + place..][..count]);
                }
                for (i, &column) in s.transpose(rows).iter().enumerate().take(count) {
                    s.store(column, &mut out[(place + i) * stride + channel..]);
                }
            }
        }
    }
}

/// dw = the sums of all blocks, which lie tap after tap.
fn combine(device: &Device, conv: &Conv, plan: &Plan, sums: &[f32], dw: &mut [f32]) {
    let (groups, taps) = (conv.groups, conv.taps());
    let outer = conv.out_channels / groups;
    let panels = outer.div_ceil(LANES);
    let target = Shared(dw.as_mut_ptr());
    // Sixteen output channels of a group, and some taps.
    let depth = if plan.shared { COMBINED / LANES } else { taps };
    let parts = taps.div_ceil(depth);
    let tasks = groups * panels * parts;
    let task = |task: usize| {
        let (part, rest) = (task % parts, task / parts);
        let (panel, group) = (rest % panels, rest / panels);
        let channel = panel * LANES;
        let from = part * depth;
        let add = AddBlocks {
            sums: &sums[group * plan.sums + from * plan.channels + channel..],
            block: groups * plan.sums,
            blocks: plan.blocks,
            stride: plan.channels,
            count: depth.min(taps - from),
            channels: LANES.min(outer - channel),
            // SAFETY: the place is inside dw.
            target: unsafe { target.at((group * outer + channel) * taps + from) },
            row: taps,
        };
        dispatch(device.isa(), add);
    };
    if plan.shared {
        device.for_each(tasks, &task);
    } else {
        (0..tasks).for_each(task);
    }
}

/// Sixteen output channels over some taps: the blocks' sums added in order, and transposed.
struct AddBlocks<'a> {
    sums: &'a [f32],
    block: usize,
    blocks: usize,
    stride: usize,
    count: usize,
    channels: usize,
    target: *mut f32,
    row: usize,
}

impl Kernel for AddBlocks<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let AddBlocks { sums, block, blocks, stride, count, channels, target, row } = self;
        for tap in (0..count).step_by(LANES) {
            let taps = LANES.min(count - tap);
            let mut rows = [s.splat(0.0); LANES];
            for t in 0..taps {
                let mut sum = s.load(&sums[(tap + t) * stride..]);
                for b in 1..blocks {
                    sum = s.add(sum, s.load(&sums[b * block + (tap + t) * stride..]));
                }
                rows[t] = sum;
            }
            for (c, &weights) in s.transpose(rows).iter().enumerate().take(channels) {
                // SAFETY: the maker of this kernel has `channels` rows of `count` weights here for it alone.
                let place = unsafe { std::slice::from_raw_parts_mut(target.add(c * row + tap), taps) };
                s.store_partial(weights, place);
            }
        }
    }
}

/// Weights `start` … of all: sixteen sums each, which are added over the blocks, and then as a tree.
struct AddLanes<'a> {
    sums: &'a [f32],
    stride: usize,
    blocks: usize,
    start: usize,
    dw: &'a mut [f32],
}

impl Kernel for AddLanes<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let AddLanes { sums, stride, blocks, start, dw } = self;
        for (i, dw) in dw.iter_mut().enumerate() {
            let at = (start + i) * LANES;
            let mut sum = s.load(&sums[at..]);
            for b in 1..blocks {
                sum = s.add(sum, s.load(&sums[b * stride + at..]));
            }
            *dw = s.reduce_add(sum);
        }
    }
}
