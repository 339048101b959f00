//! The greatest value of windows of 2×2 side by side, the usual ones, in vectors: sixteen windows at a time from two rows.
//!
//! The backward pass goes by the places that were saved: a quarter of the input's number of values to read, where finding the
//! greatest values again would read input and output (five quarters) and keep both until then.

use super::max::greater;
use super::{Windows, load_from, store_at};
use crate::reduce::greater_lanes;
use crate::simd::{Kernel, LANES, Simd};

/// Whether the windows are 2×2, side by side, and inside of the plane.
pub(super) fn fits(windows: &Windows) -> bool {
    let Windows { input, output, kernel, stride, padding, dilation } = windows;
    let inside = (0..2).all(|axis| 2 * output[axis] <= input[axis]);
    *kernel == [2, 2] && *stride == [2, 2] && *padding == [0, 0] && *dilation == [1, 1] && inside
}

pub(super) struct Forward<'a> {
    pub windows: &'a Windows,
    pub x: &'a [f32],
    pub y: &'a mut [f32],
    pub places: &'a mut [f32],
}

/// The values at even and odd places from `start`, for `count` windows.
#[inline(always)]
pub(super) fn pairs<S: Simd>(s: S, x: &[f32], start: usize, count: usize) -> (S::Float, S::Float) {
    let first = load_from(s, x, start);
    // Half a vector of windows needs one vector only; the other half is not stored.
    let second = if count > LANES / 2 { load_from(s, x, start + LANES) } else { first };
    s.even_odd(first, second)
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Forward { windows, x, y, places } = self;
        let ([height, width], [in_height, in_width]) = (windows.output, windows.input);
        for row in 0..y.len() / width {
            let above = (row / height * in_height + row % height * 2) * in_width;
            for j in (0..width).step_by(LANES) {
                let (at, count) = (row * width + j, LANES.min(width - j));
                let (a, b) = pairs(s, x, above + 2 * j, count);
                let (c, d) = pairs(s, x, above + in_width + 2 * j, count);
                if places.is_empty() {
                    let best = greater_lanes(s, greater_lanes(s, a, b), greater_lanes(s, c, d));
                    store_at(s, best, y, at, count);
                } else {
                    let (best, place) = greater(s, a, s.splat(0.0), b, s.splat(1.0));
                    let (below, below_place) = greater(s, c, s.splat(2.0), d, s.splat(3.0));
                    let (best, place) = greater(s, best, place, below, below_place);
                    store_at(s, best, y, at, count);
                    store_at(s, place, places, at, count);
                }
            }
        }
    }
}

pub(super) struct Backward<'a> {
    pub windows: &'a Windows,
    pub places: &'a [f32],
    pub dy: &'a [f32],
    pub dx: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Backward { windows, places, dy, dx } = self;
        let ([height, width], [in_height, in_width]) = (windows.output, windows.input);
        for row in 0..dy.len() / width {
            let start = (row / height * in_height + row % height * 2) * in_width;
            for j in (0..width).step_by(LANES) {
                let (at, count) = (row * width + j, LANES.min(width - j));
                let (gradient, place) = (load_from(s, dy, at), load_from(s, places, at));
                for below in 0..2 {
                    let part = |number: usize| {
                        s.select(s.eq(place, s.splat((2 * below + number) as f32)), gradient, s.splat(0.0))
                    };
                    let (first, second) = s.interleave(part(0), part(1));
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
