//! Reading patches: a band of rows of one image, copied with the zeros of its padding around it.
//!
//! All taps of a convolution then are the same block of memory, begun at another place: the tile reads its patches from
//! there, and nothing like the matrix of all patches ever exists. With a stride along the width, a row is stored phase by
//! phase (columns 0, s, 2s, …, then 1, s + 1, …), so that consecutive targets always read consecutive values.

use super::axis::{Axis, Taps};
use crate::simd::{LANES, Simd};

/// Where the values of a band lie: channel c, row r, column j is at `c·plane + r·row + (j mod step)·phase + j / step`,
/// rows and columns counted from the first ones that a tap reaches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes {
    pub channels: usize,
    pub rows: usize,
    pub row: usize,
    pub phase: usize,
    pub plane: usize,
    step: usize,
    columns: usize,
    low: (isize, isize),
    source: (usize, usize),
}

impl Planes {
    /// For `places` grid rows of the axes; rows are stored phase by phase, if `by_phase`, else as they are.
    pub fn new(channels: usize, height: Axis, width: Axis, places: usize, by_phase: bool) -> Planes {
        let ((low_h, high_h), (low_w, high_w)) = (height.reach(), width.reach());
        let extent = |places: usize, step: usize, reach: isize| (places.max(1) - 1) * step + reach as usize + 1;
        let rows = extent(places, height.step, high_h - low_h);
        let columns = extent(width.target.div_ceil(width.spread), width.step, high_w - low_w);
        let step = if by_phase { width.step } else { 1 };
        let phase = columns.div_ceil(step);
        let row = phase * step;
        let source = (height.source, width.source);
        Planes { channels, rows, row, phase, plane: rows * row, step, columns, low: (low_h, low_w), source }
    }

    /// For a source that is read where it is: no tap leaves it.
    pub fn in_place(channels: usize, height: Axis, width: Axis) -> Planes {
        let source = (height.source, width.source);
        let (rows, row) = source;
        Planes { channels, rows, row, phase: row, plane: rows * row, step: 1, columns: row, low: (0, 0), source }
    }

    /// The same for fewer channels.
    pub fn with_channels(self, channels: usize) -> Planes {
        Planes { channels, ..self }
    }

    /// Values that a copy takes, and one vector: the last values of a row are loaded by sixteen.
    pub fn len(&self) -> usize {
        self.channels * self.plane + LANES
    }

    /// Distance of what a tap with these offsets reads from what the first row and column of the grid begin with.
    fn offset(&self, channel: usize, row: isize, column: isize) -> usize {
        let (row, column) = ((row - self.low.0) as usize, (column - self.low.1) as usize);
        channel * self.plane + row * self.row + column % self.step * self.phase + column / self.step
    }

    /// How far from its first value each tap reads, of all channels, for one phase of the axes after the other. `scratch` has
    /// room for a number each.
    pub fn offsets<'a>(&self, phases: impl IntoIterator<Item = (Taps, Taps)>, scratch: &'a mut [f32]) -> &'a [u32] {
        // SAFETY: u32 has the size and the alignment of f32, and any bits are a value of either; the slice is ours.
        let table = unsafe { std::slice::from_raw_parts_mut(scratch.as_mut_ptr().cast::<u32>(), scratch.len()) };
        let mut k = 0;
        for (height, width) in phases {
            for c in 0..self.channels {
                for i in 0..height.count {
                    for j in 0..width.count {
                        let offset = self.offset(c, height.offset(i), width.offset(j));
                        table[k] = u32::try_from(offset).expect("an image has fewer than 2^32 values");
                        k += 1;
                    }
                }
            }
        }
        &table[..k]
    }

    /// Copies the band whose first grid row and column read from source row `first` and column `column` on (padding counted);
    /// `source` is [channels, height, width].
    #[inline(always)]
    pub fn copy<S: Simd>(&self, s: S, source: &[f32], (first, column): (isize, isize), target: &mut [f32]) {
        let (height, width) = self.source;
        let left = (-self.low.1 - column).max(0) as usize;
        let from = (self.low.1 + column).max(0) as usize;
        let count = self.columns.saturating_sub(left).min(width.saturating_sub(from));
        let first = first + self.low.0;
        for c in 0..self.channels {
            for r in 0..self.rows {
                let start = c * self.plane + r * self.row;
                let at = first + r as isize;
                if count == 0 || !(0..height as isize).contains(&at) {
                    zero(s, &mut target[start..], self.row);
                    continue;
                }
                let values = &source[c * height * width + at as usize * width + from..][..count];
                if self.step == 1 {
                    // Whole vectors are stored: what they write too much is put right by what comes next, the row or
                    // its padding, and after the last row there is room for one vector.
                    if left > 0 {
                        zero(s, &mut target[start..], left);
                    }
                    let row = &mut target[start + left..];
                    let mut i = 0;
                    while i < count {
                        let vector =
                            if i + LANES <= count { s.load(&values[i..]) } else { s.load_partial(&values[i..]) };
                        s.store(vector, &mut row[i..]);
                        i += LANES;
                    }
                    if left + i < self.row {
                        zero(s, &mut row[i..], self.row - left - i);
                    }
                } else {
                    zero(s, &mut target[start..], self.row);
                    for phase in 0..self.step {
                        // The first place of this phase that is not of the padding.
                        let index = left.saturating_sub(phase).div_ceil(self.step);
                        let row = &mut target[start + phase * self.phase + index..][..self.phase - index];
                        let values = values.iter().skip(index * self.step + phase - left).step_by(self.step);
                        row.iter_mut().zip(values).for_each(|(place, value)| *place = *value);
                    }
                }
            }
        }
    }
}

/// Zeros in `count` places, and perhaps in the rest of the last vector.
#[inline(always)]
fn zero<S: Simd>(s: S, target: &mut [f32], count: usize) {
    for i in (0..count).step_by(LANES) {
        s.store(s.splat(0.0), &mut target[i..]);
    }
}
