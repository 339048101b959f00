//! The mean of windows of 2×2 side by side, the usual ones, in vectors: sixteen windows at a time from two rows. The bits are
//! those of any other windows: values are added in the order of the rows, and to divide by four is exact.

use super::max_pairs::pairs;
use super::{Windows, load_from, store_at};
use crate::simd::{Kernel, LANES, Simd};

pub(super) struct Forward<'a> {
    pub windows: &'a Windows,
    pub x: &'a [f32],
    pub y: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Forward { windows, x, y } = self;
        let ([height, width], [in_height, in_width]) = (windows.output, windows.input);
        for row in 0..y.len() / width {
            let above = (row / height * in_height + row % height * 2) * in_width;
            for j in (0..width).step_by(LANES) {
                let count = LANES.min(width - j);
                let (a, b) = pairs(s, x, above + 2 * j, count);
                let (c, d) = pairs(s, x, above + in_width + 2 * j, count);
                let sum = s.add(s.add(s.add(a, b), c), d);
                store_at(s, s.mul(sum, s.splat(0.25)), y, row * width + j, count);
            }
        }
    }
}

pub(super) struct Backward<'a> {
    pub windows: &'a Windows,
    pub dy: &'a [f32],
    pub dx: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Backward { windows, dy, dx } = self;
        let ([height, width], [in_height, in_width]) = (windows.output, windows.input);
        for row in 0..dy.len() / width {
            let start = (row / height * in_height + row % height * 2) * in_width;
            for j in (0..width).step_by(LANES) {
                let count = LANES.min(width - j);
                let part = s.mul(load_from(s, dy, row * width + j), s.splat(0.25));
                let (first, second) = s.interleave(part, part);
                for below in 0..2 {
                    let start = start + below * in_width + 2 * j;
                    store_at(s, first, dx, start, 2 * count);
                    if 2 * count > LANES {
                        store_at(s, second, dx, start + LANES, 2 * count - LANES);
                    }
                }
            }
            // An odd last column and row belong to no window.
            for below in 0..2 {
                dx[start + below * in_width + 2 * width..start + (below + 1) * in_width].fill(0.0);
            }
            if row % height == height - 1 {
                dx[start + 2 * in_width..(row / height + 1) * in_height * in_width].fill(0.0);
            }
        }
    }
}
