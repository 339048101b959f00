//! Forward and input gradient as one computation: target = source correlated with weights, over one or several phases
//! (see [`Axis`]).
//!
//! A *unit* of work is an image, a group, a band of target rows, in one long row a span of it, and a part of the target
//! channels. It copies the band of the source with its padding ([`Planes`]), unless it can read the source where it is, then
//! goes through phases, tiles of channels, grid rows and tiles of places.
//! Which unit is computed where and when changes no bit: every target value is one chain (see [`super::tile`]).

use super::axis::{Axis, Taps};
use super::plan::{Part, Plan};
use super::slots::Slots;
use super::tile::{self, MAX_VECTORS, Operands, Target, TileBuffer, WAITING, channels_in_lanes, places_in_lanes};
use super::weights;
use crate::device::{Device, Shared};
use crate::epilogue::InPlace;
use crate::simd::{Isa, Kernel, LANES, Simd, dispatch};

/// Values that an epilogue gets in one call where channels follow each other without a gap.
const EPILOGUE_VALUES: usize = 1024;

/// Distances in the weights of groups, target channels and source channels; a kernel's values lie row after row.
#[derive(Clone, Copy, Debug)]
pub(super) struct WeightLayout {
    pub group: usize,
    pub target: usize,
    pub source: usize,
}

/// target [batch, groups·target_channels, height.target, width.target] from
/// source [batch, groups·source_channels, height.source, width.source].
#[derive(Clone, Copy, Debug)]
pub(super) struct Correlation {
    pub batch: usize,
    pub groups: usize,
    pub source_channels: usize,
    pub target_channels: usize,
    pub height: Axis,
    pub width: Axis,
    pub weight: WeightLayout,
}

/// One phase of both axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    pub height: Taps,
    pub width: Taps,
    /// First target row and column.
    pub row: usize,
    pub column: usize,
    /// Products in a sum.
    pub depth: usize,
}

impl Correlation {
    /// All phases, heights outermost.
    pub fn phases(&self) -> impl Iterator<Item = Phase> + use<> {
        let (height, width, channels) = (self.height, self.width, self.source_channels);
        (0..height.phases()).flat_map(move |row| {
            (0..width.phases()).map(move |column| {
                let (height, width) = (height.taps(row), width.taps(column));
                Phase { height, width, row, column, depth: channels * height.count * width.count }
            })
        })
    }

    pub fn depths(&self) -> usize {
        self.phases().map(|phase| phase.depth).sum()
    }

    /// Multiply-adds of one image and group.
    pub fn multiply_adds(&self) -> usize {
        let places = |phase: &Phase| phase.height.grid * phase.width.grid;
        self.phases().map(|phase| phase.depth * places(&phase)).sum::<usize>() * self.target_channels
    }

    pub fn panels(&self) -> usize {
        self.groups * self.depths() * self.target_channels.next_multiple_of(LANES)
    }
}

/// Number of f32 of scratch memory that [`correlate`] may use.
pub(super) fn scratch(of: &Correlation) -> usize {
    let plan = Plan::new(of);
    LANES + plan.tables() + plan.panels + plan.slots() * plan.slot()
}

/// What [`correlate`] works on.
pub(super) struct Values<'a> {
    pub source: &'a [f32],
    pub weight: &'a [f32],
    /// The panels of the weights, if they were packed before.
    pub packed: Option<&'a [f32]>,
    /// One value for each target channel.
    pub bias: Option<&'a [f32]>,
    pub epilogue: Option<&'a dyn InPlace>,
}

/// Computes the target, overwriting it. Panics when a slice is too short.
pub(super) fn correlate(device: &Device, of: &Correlation, values: Values, target: &mut [f32], scratch: &mut [f32]) {
    if target.is_empty() {
        return;
    }
    let plan = Plan::new(of);
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    let (tables, scratch) = scratch[skip..].split_at_mut(plan.tables());
    let (table, tail_table) = tables.split_at_mut(plan.depths.next_multiple_of(LANES));
    let taps = || of.phases().map(|phase| (phase.height, phase.width));
    let table = plan.planes.offsets(taps(), table);
    let tail_table = plan.tail.map_or(&[][..], |tail| tail.offsets(taps(), tail_table));
    let (panels, slots) = scratch.split_at_mut(if values.packed.is_some() { 0 } else { plan.panels });
    let panels = match values.packed {
        Some(packed) => packed,
        None => {
            weights::pack(device, of, values.weight, panels);
            &*panels
        }
    };
    assert!(panels.len() >= plan.panels, "the packed weights are those of this convolution");
    let slots = Slots::new(slots, plan.slots(), plan.slot());
    let target = Shared(target.as_mut_ptr());
    device.for_each(plan.tasks(), &|task| {
        slots.with(|band| {
            let first = task * plan.units_of_a_task;
            let units = first..plan.units.min(first + plan.units_of_a_task);
            let isa = device.isa();
            dispatch(
                isa,
                Units { of, plan: &plan, values: &values, table, tail_table, panels, units, band, target, isa },
            );
        });
    });
}

/// Some units, one after the other.
struct Units<'a> {
    of: &'a Correlation,
    plan: &'a Plan,
    values: &'a Values<'a>,
    table: &'a [u32],
    tail_table: &'a [u32],
    panels: &'a [f32],
    units: std::ops::Range<usize>,
    band: &'a mut [f32],
    target: Shared,
    isa: Isa,
}

/// An image and group, target rows, grid places of each, target channels.
struct Unit {
    image: usize,
    group: usize,
    rows: std::ops::Range<usize>,
    places: std::ops::Range<usize>,
    channels: std::ops::Range<usize>,
}

impl Kernel for Units<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let &Plan { band, bands, span, spans, part, parts, .. } = self.plan;
        let &Correlation { groups, target_channels, height, width, .. } = self.of;
        let (mut few, mut many);
        let buffer: &mut TileBuffer = if self.plan.blocks.waiting > 0 {
            many = [[0.0; LANES]; WAITING];
            &mut many
        } else {
            few = [[0.0; LANES]; MAX_VECTORS];
            &mut few
        };
        for unit in self.units.clone() {
            let (part_index, rest) = (unit % parts, unit / parts);
            let (span_index, rest) = (rest % spans, rest / spans);
            let (band_index, image) = (rest % bands, rest / bands);
            let unit = Unit {
                image: image / groups,
                group: image % groups,
                rows: band_index * band..height.target.min((band_index + 1) * band),
                places: span_index * span..width.target.div_ceil(width.spread).min((span_index + 1) * span),
                channels: part_index * part..target_channels.min((part_index + 1) * part),
            };
            self.unit(s, &unit, buffer);
        }
    }
}

impl Units<'_> {
    #[inline(always)]
    fn unit<S: Simd>(&mut self, s: S, unit: &Unit, buffer: &mut TileBuffer) {
        let &Correlation { groups, source_channels, target_channels, height, width, .. } = self.of;
        let source_len = source_channels * height.source * width.source;
        let source = &self.values.source[(unit.image * groups + unit.group) * source_len..][..source_len];
        let first_place = unit.rows.start / height.spread;
        // A closure would not be compiled for the instruction set.
        let row = (first_place * height.step) as isize;
        // Places that are read where the band is; where the others are read, if there are any.
        let (mut whole, mut tail) = (unit.places.clone(), None);
        // Where the first grid row of the band reads from.
        let source = if self.plan.in_place {
            if let Some(planes) = self.plan.tail.filter(|_| !unit.places.end.is_multiple_of(LANES)) {
                whole.end -= unit.places.end % LANES;
                planes.copy(s, source, (row, whole.end as isize), self.band);
                tail = Some((whole.end..unit.places.end, self.band.as_ptr()));
            }
            source[first_place * height.step * width.source..].as_ptr()
        } else {
            self.plan.planes.copy(s, source, (row, 0), self.band);
            self.band.as_ptr()
        };
        let across = target_channels.div_ceil(LANES);
        let plane = height.target * width.target;
        let first_channel = unit.group * target_channels;
        // SAFETY: image, group and channels are inside the target.
        let target = unsafe { self.target.at((unit.image * groups + unit.group) * target_channels * plane) };
        let (mut table, mut weights) = (self.table, &self.panels[unit.group * self.plan.panels / groups..]);
        for phase in self.of.phases() {
            let (taps, rest) = table.split_at(phase.depth);
            let panel = LANES * phase.depth;
            let end = phase.height.grid.min(unit.rows.end.saturating_sub(phase.row).div_ceil(height.spread));
            let joined = tile::scatters::<S>() && self.plan.joined;
            for Part { rows, channels, depth, first_row } in
                self.plan.blocks.parts(first_place..end, joined, &unit.channels, phase.depth)
            {
                let place = rows.start;
                // Sums of another row wait elsewhere.
                let waiting = &mut buffer[(place - first_row) * self.plan.blocks.waiting..];
                let (first, last) = (depth.start == 0, depth.end == phase.depth);
                // SAFETY: the grid row is one of the band's: its taps are inside the copy.
                let source = unsafe { source.add((place - first_place) * height.step * self.plan.planes.row) };
                let row = place * height.spread + phase.row;
                // SAFETY: the row is one of the target's.
                let target = unsafe { target.add(row * width.target + phase.column) };
                let line = |table, source, places: std::ops::Range<usize>| Line {
                    operands: Operands {
                        table,
                        source,
                        weights: weights[depth.start * LANES..].as_ptr(),
                        panel,
                        places: None,
                        first,
                        last,
                    },
                    target: Target {
                        // SAFETY: the places are the row's.
                        data: unsafe { target.add(places.start * width.spread) },
                        channel: plane,
                        spread: width.spread,
                        channels: target_channels,
                        places: places.len(),
                        bias: self.values.bias.map(|bias| &bias[first_channel..first_channel + target_channels]),
                    },
                };
                let places = whole.start..whole.end.min(phase.width.grid);
                // SAFETY: see the parts of the line; `Planes` has room for whole vectors at the end of the copy, and in
                // place the places are whole vectors, unless channels are in lanes.
                let waiting = unsafe {
                    if joined {
                        let distance = height.step * self.plan.planes.row;
                        let line = line(&taps[depth.clone()], source, 0..rows.len() * places.end);
                        line.joined(s, (places.end, distance), channels.clone(), waiting)
                    } else if self.plan.channels_in_lanes {
                        let line = line(&taps[depth.clone()], source.add(places.start), places);
                        line.channels_in_lanes(s, channels.clone(), waiting)
                    } else {
                        let line = line(&taps[depth.clone()], source.add(places.start), places);
                        line.places_in_lanes(s, channels.clone(), waiting)
                    }
                };
                if let Some((places, source)) = tail.clone() {
                    // SAFETY: as before; the copy begins with the first of these places.
                    unsafe {
                        line(&self.tail_table[depth.clone()], source, places).places_in_lanes(s, channels, waiting)
                    };
                }
            }
            table = rest;
            weights = &weights[across * panel..];
        }
        if let Some(epilogue) = self.values.epilogue {
            // Only one long row is cut into spans.
            let len = if self.plan.spans > 1 { unit.places.len() } else { unit.rows.len() * width.target };
            let first = unit.rows.start * width.target + unit.places.start;
            let at_once = if len == plane { (EPILOGUE_VALUES / plane.max(1)).max(1) } else { 1 };
            for channel in unit.channels.clone().step_by(at_once) {
                let channels = at_once.min(unit.channels.end - channel);
                // SAFETY: places and channels of this unit, which nobody else uses; several channels only if whole planes.
                let values = unsafe {
                    let data = target.add(channel * plane + first);
                    std::slice::from_raw_parts_mut(data, channels * len)
                };
                epilogue.apply(self.isa, values);
            }
        }
    }
}

/// One row of the grid.
#[derive(Clone, Copy)]
struct Line<'a> {
    operands: Operands<'a>,
    target: Target<'a>,
}

impl Line<'_> {
    /// From channel `channel` and place `place` on.
    ///
    /// # Safety
    /// They must be inside.
    #[inline(always)]
    unsafe fn from(&self, channel: usize, place: usize) -> (Operands<'_>, Target<'_>) {
        let Line { operands, target } = self;
        // SAFETY: the caller's promise.
        unsafe {
            let weights = operands.weights.add(channel / LANES * operands.panel + channel % LANES);
            let data = target.data.add(channel * target.channel + place * target.spread);
            let operands = Operands { source: operands.source.add(place), weights, ..*operands };
            let (channels, places) = (target.channels - channel, target.places - place);
            (operands, Target { data, channels, places, bias: target.bias.map(|bias| &bias[channel..]), ..*target })
        }
    }

    /// # Safety
    /// As for [`tile::channels_in_lanes`], for all places and these channels.
    #[inline(always)]
    unsafe fn channels_in_lanes<'b, S: Simd>(
        &self,
        s: S,
        channels: std::ops::Range<usize>,
        mut buffer: &'b mut TileBuffer,
    ) -> &'b mut TileBuffer {
        let places = self.target.places;
        let tiles = places.div_ceil(tile::most_rows::<S>());
        let mut channel = channels.start;
        while channel < channels.end {
            let vectors = tile::vectors::<S>(places.div_ceil(tiles.max(1)), (channels.end - channel).div_ceil(LANES));
            for number in 0..tiles {
                let (start, end) = (number * places / tiles, (number + 1) * places / tiles);
                let shape = (end - start, vectors);
                // SAFETY: the caller's promise.
                unsafe {
                    let (operands, target) = self.from(channel, start);
                    channels_in_lanes(s, shape, operands, target, buffer);
                }
                buffer = self.behind(shape, buffer);
            }
            channel += vectors * LANES;
        }
        buffer
    }

    /// As [`Line::channels_in_lanes`], for rows of the grid that follow each other in the target, of `width` places each, and
    /// `distance` apart in the source.
    ///
    /// # Safety
    /// As for [`tile::channels_in_lanes`], for all places and these channels.
    #[inline(always)]
    unsafe fn joined<'b, S: Simd>(
        &self,
        s: S,
        (width, distance): (usize, usize),
        channels: std::ops::Range<usize>,
        mut buffer: &'b mut TileBuffer,
    ) -> &'b mut TileBuffer {
        let places = self.target.places;
        let tiles = places.div_ceil(tile::most_rows::<S>());
        for channel in channels.step_by(LANES) {
            for number in 0..tiles {
                let (start, end) = (number * places / tiles, (number + 1) * places / tiles);
                let source = |r: usize| ((start + r) / width * distance + (start + r) % width) as u32;
                // SAFETY: the caller's promise; the first place is that of the line.
                unsafe {
                    let (operands, target) = self.from(channel, 0);
                    let operands = Operands { places: Some(std::array::from_fn(source)), ..operands };
                    let target = Target { data: target.data.add(start), places: end - start, ..target };
                    channels_in_lanes(s, (end - start, 1), operands, target, buffer);
                }
                buffer = self.behind((end - start, 1), buffer);
            }
        }
        buffer
    }

    /// What is left of the buffer behind a tile whose sums wait there.
    #[inline(always)]
    fn behind<'b>(&self, shape: (usize, usize), buffer: &'b mut TileBuffer) -> &'b mut TileBuffer {
        let whole = self.operands.first && self.operands.last;
        &mut buffer[if whole { 0 } else { shape.0 * shape.1 }..]
    }

    /// # Safety
    /// As for [`tile::places_in_lanes`], for all places and these channels.
    #[inline(always)]
    unsafe fn places_in_lanes<'b, S: Simd>(
        &self,
        s: S,
        channels: std::ops::Range<usize>,
        mut buffer: &'b mut TileBuffer,
    ) -> &'b mut TileBuffer {
        let most = tile::most_rows::<S>();
        let mut channel = channels.start;
        while channel < channels.end {
            // The rows of a tile lie in one panel.
            let left = LANES.min(channels.end - channel);
            let (rows, count) = split(left, most);
            for i in 0..count {
                let first = channel + i * rows;
                let rows = rows.min(channel + left - first);
                let mut place = 0;
                while place < self.target.places {
                    let vectors = tile::vectors::<S>(rows, (self.target.places - place).div_ceil(LANES));
                    // SAFETY: the caller's promise.
                    unsafe {
                        let (operands, target) = self.from(first, place);
                        places_in_lanes(s, (rows, vectors), operands, target, buffer);
                    }
                    buffer = self.behind((rows, vectors), buffer);
                    place += vectors * LANES;
                }
            }
            channel += left;
        }
        buffer
    }
}

/// The length and number of nearly equal parts of at most `most`.
#[inline(always)]
fn split(all: usize, most: usize) -> (usize, usize) {
    let count = all.div_ceil(most).max(1);
    let len = all.div_ceil(count);
    (len, all.div_ceil(len.max(1)))
}
