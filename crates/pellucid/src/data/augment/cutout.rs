//! Squares that are cut out.

use super::{Draw, Draws, Size};

/// A part of a picture: columns and lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rectangle {
    pub columns: std::ops::Range<usize>,
    pub lines: std::ops::Range<usize>,
}

impl Rectangle {
    /// `width` by `height` pixels around the pixel (x, y), as far as they are in the picture.
    pub fn around([x, y]: [usize; 2], [width, height]: [usize; 2], size: Size) -> Rectangle {
        let range = |centre: usize, length: usize, n: usize| {
            let begin = centre.saturating_sub(length / 2);
            begin..(centre + length - length / 2).min(n).max(begin)
        };
        Rectangle { columns: range(x, width, size.width), lines: range(y, height, size.height) }
    }

    pub fn area(&self) -> usize {
        self.columns.len() * self.lines.len()
    }

    /// Calls `body` with the place of each of its lines in a picture of `size`, in all channels.
    #[inline(always)]
    pub fn for_lines(&self, size: Size, mut body: impl FnMut(std::ops::Range<usize>)) {
        for channel in 0..size.channels {
            for y in self.lines.clone() {
                let begin = channel * size.plane() + y * size.width;
                body(begin + self.columns.start..begin + self.columns.end);
            }
        }
    }
}

/// The square of `side` pixels to be cut out of a picture.
pub(super) fn square(side: usize, size: Size, draws: Draws) -> Rectangle {
    let centre = [draws.below(Draw::CutoutX, size.width), draws.below(Draw::CutoutY, size.height)];
    Rectangle::around(centre, [side; 2], size)
}
