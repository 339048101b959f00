//! How a correlation is cut into units of work, and in which way its tiles lie.

use std::ops::Range;

use super::axis::Axis;
use super::correlate::Correlation;
use super::planes::Planes;
use super::slots::MAX_SLOTS;
use super::tile::{MAX_ROWS, WAITING};
use crate::simd::LANES;

/// Multiply-adds below which a second thread does not pay: some ten microseconds.
const SERIAL: usize = 1 << 20;
/// Multiply-adds that a task should have at least.
const TASK: usize = 1 << 18;
/// Tasks that the work is cut into where the size allows.
const TASKS: usize = 8;
/// Values of a band, unless one row has more, and of the span of one long row that a unit reads: a part of the second cache.
const BAND: usize = 1 << 16;
/// Vectors of channels, and products of their sums, whose weights stay in the first cache.
const TOGETHER: usize = 2;
const BLOCK: usize = 128;
/// Products of a sum from which on weights do not stay in the second cache from row to row.
const DEEP: usize = 4096;
/// Places of a row that is joined with others, at most.
const SHORT: usize = 32;
/// Places of a span, at least.
const SPAN: usize = 4 * LANES;
/// What a vector of places costs that has been transposed, in multiply-adds of a vector.
const TRANSPOSED_STORE: usize = 10;
/// What it costs to store a vector as it is.
const STORE: usize = 2;

/// How the work is cut, and in which way tiles lie: a function of the sizes alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub channels_in_lanes: bool,
    pub in_place: bool,
    pub planes: Planes,
    /// What is copied of a row that is read in place: behind its whole vectors.
    pub tail: Option<Planes>,
    /// Target rows of a band, a multiple of the spread; bands of an image.
    pub band: usize,
    pub bands: usize,
    /// Grid places of a span, a multiple of the lanes unless there is one; spans of a row.
    pub span: usize,
    pub spans: usize,
    /// Target channels of a part, a multiple of the lanes; parts.
    pub part: usize,
    pub parts: usize,
    pub blocks: Blocks,
    /// Rows of the grid can be joined to one: they are short, and follow each other in the target.
    pub joined: bool,
    pub units: usize,
    pub units_of_a_task: usize,
    pub depths: usize,
    pub panels: usize,
}

/// In which order a unit is gone through. Where its weights are many, the sums of `channels` channels in `rows` grid rows are all
/// taken through `depth` products before the next `depth`, and wait in between; so weights come from the memory once for these
/// rows. The order of a sum's products, and so its bits, are the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    pub rows: usize,
    pub channels: usize,
    pub depth: usize,
    /// Vectors in which the sums of a row wait.
    pub waiting: usize,
}

/// Grid rows, channels, products; and the first of the grid rows that these products are done for.
pub(super) struct Part {
    pub rows: Range<usize>,
    pub channels: Range<usize>,
    pub depth: Range<usize>,
    pub first_row: usize,
}

impl Blocks {
    /// For sums of `depth` products, of which those of one row and sixteen channels take `waiting` vectors.
    fn new(depth: usize, channels: usize, waiting: usize) -> Blocks {
        let waiting = waiting * TOGETHER;
        let rows = WAITING / waiting.max(1);
        if depth < DEEP || rows == 0 {
            return Blocks { rows: usize::MAX, channels, depth: usize::MAX, waiting: 0 };
        }
        Blocks { rows, channels: TOGETHER * LANES, depth: BLOCK, waiting }
    }

    pub fn parts<'a>(
        &self,
        rows: Range<usize>,
        joined: bool,
        channels: &'a Range<usize>,
        depth: usize,
    ) -> impl Iterator<Item = Part> + use<'a> {
        let this = *self;
        let cut = |range: Range<usize>, by: usize| {
            let end = range.end;
            range.step_by(by).map(move |start| start..end.min(start.saturating_add(by)))
        };
        cut(rows, this.rows).flat_map(move |rows| {
            cut(channels.clone(), this.channels).flat_map(move |channels| {
                let (rows, channels) = (rows.clone(), channels.clone());
                // A sum of nothing is one, too.
                cut(0..depth.max(1), this.depth).flat_map(move |block| {
                    let (rows, channels) = (rows.clone(), channels.clone());
                    let depth = block.start.min(depth)..block.end.min(depth);
                    cut(rows.clone(), if joined { usize::MAX } else { 1 }).map(move |some| Part {
                        rows: some,
                        channels: channels.clone(),
                        depth: depth.clone(),
                        first_row: rows.start,
                    })
                })
            })
        })
    }
}

impl Plan {
    pub fn new(of: &Correlation) -> Plan {
        let &Correlation { batch, groups, source_channels, target_channels, height, width, .. } = of;
        let depths = of.depths();
        let channels_in_lanes = channels_are_cheaper(of);
        // Rows are as long as the source's own, and no tap leaves it.
        let ((low_h, high_h), (low_w, high_w)) = (height.reach(), width.reach());
        let inside = |axis: Axis, low: isize, high: isize| {
            let last = (axis.target.div_ceil(axis.spread).max(1) - 1) * axis.step;
            low >= 0 && last as isize + high < axis.source as isize
        };
        let inside = inside(height, low_h, high_h) && inside(width, low_w, high_w);
        // One long row of single places: it can be cut anywhere.
        let single = depths == source_channels && height.target == 1 && width.source == width.target;
        let whole = channels_in_lanes || width.target.is_multiple_of(LANES);
        let in_place = inside && (whole || single) && width.step == 1 && width.spread == 1;
        let tail = (in_place && !whole).then(|| {
            let rest = Axis { target: width.target % LANES, ..width };
            Planes::new(source_channels, height, rest, 1, true)
        });
        let planes_of = |rows: usize| {
            let places = rows.div_ceil(height.spread);
            if in_place {
                Planes::in_place(source_channels, height, width)
            } else {
                Planes::new(source_channels, height, width, places, true)
            }
        };
        let mut band = height.target.next_multiple_of(height.spread);
        while !in_place && planes_of(band).len() > BAND && band > height.spread {
            band = (band / 2).next_multiple_of(height.spread).min(band - height.spread);
        }
        let images = batch * groups;
        let total = images * of.multiply_adds();
        let mut part = target_channels.next_multiple_of(LANES).max(LANES);
        let grid = width.target.div_ceil(width.spread);
        let cut_evenly = |parts: usize| grid.div_ceil(parts).next_multiple_of(LANES);
        let can_be_cut = single && in_place;
        let mut span = grid;
        if can_be_cut {
            span = cut_evenly((grid * depths).div_ceil(BAND).clamp(1, grid.div_ceil(SPAN).max(1)));
        }
        let cut = |band: usize, span: usize, part: usize| {
            (height.target.div_ceil(band.max(1)), grid.div_ceil(span.max(1)), target_channels.div_ceil(part))
        };
        let enough = |(bands, spans, parts): (usize, usize, usize)| {
            let units = images * bands * spans * parts;
            total < SERIAL || units >= TASKS || total / units.max(1) < 2 * TASK
        };
        while !enough(cut(band, span, part)) {
            let (_, spans, parts) = cut(band, span, part);
            if part >= 4 * LANES && (parts == 1 || single) {
                part = (part / 2).next_multiple_of(LANES);
            } else if can_be_cut && span >= 2 * SPAN {
                span = cut_evenly(2 * spans);
            } else if band > height.spread {
                band = band.div_ceil(2).next_multiple_of(height.spread).min(band - height.spread);
            } else if part > LANES {
                part = (part / 2).next_multiple_of(LANES);
            } else {
                break;
            }
        }
        let (bands, spans, parts) = cut(band, span, part);
        let units = images * bands * spans * parts;
        let units_of_a_task = if total < SERIAL { units } else { (TASK * units).div_ceil(total) };
        let (planes, panels) = (planes_of(band), of.panels());
        let units_of_a_task = units_of_a_task.max(1);
        let places = grid.min(span);
        let joined =
            channels_in_lanes && width.spread == 1 && height.spread == 1 && height.target > 1 && places <= SHORT;
        let waiting = if channels_in_lanes { places } else { LANES * (places.div_ceil(LANES) + 1) };
        let blocks = Blocks::new(depths / of.phases().count().max(1), part, waiting);
        Plan {
            channels_in_lanes,
            in_place,
            planes,
            tail,
            band,
            bands,
            span,
            spans,
            part,
            parts,
            blocks,
            joined,
            units,
            units_of_a_task,
            depths,
            panels,
        }
    }

    pub fn tasks(&self) -> usize {
        self.units.div_ceil(self.units_of_a_task)
    }

    /// Distances that the taps read at: of the planes, and of what is copied of a row that is read in place.
    pub fn tables(&self) -> usize {
        (1 + usize::from(self.tail.is_some())) * self.depths.next_multiple_of(LANES)
    }

    pub fn slots(&self) -> usize {
        self.tasks().clamp(1, MAX_SLOTS)
    }

    pub fn slot(&self) -> usize {
        let copied = if self.in_place { self.tail } else { Some(self.planes) };
        copied.map_or(0, |planes| planes.len().next_multiple_of(LANES))
    }
}

/// Are tiles with channels in lanes cheaper than those with places in lanes? By the vectors that one row of the grid takes
/// in either way, and what it costs to store them.
fn channels_are_cheaper(of: &Correlation) -> bool {
    let depth = of.depths().div_ceil(of.phases().count().max(1));
    let (places, channels) = (of.width.target.div_ceil(of.width.spread), of.target_channels);
    // A tile of few rows loads more than it multiplies.
    let slowness = |rows: usize| match rows {
        1 => 2 * depth,
        2 | 3 => depth + depth / 3,
        _ => depth,
    };
    let transposed =
        places * channels.div_ceil(LANES) * slowness(places) + channels * places.div_ceil(MAX_ROWS) * TRANSPOSED_STORE;
    let direct = channels * places.div_ceil(LANES) * (slowness(channels) + STORE);
    transposed < direct
}
