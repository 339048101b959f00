//! The greatest value of each window.

use super::{Taps, Windows, load_from, load_strided, max_pairs, store_at};
use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// What stands in `places` for a window without any place inside of the plane.
const NOWHERE: f32 = -1.0;

/// y = the greatest value of each window of the planes of `x`; -∞ for a window that lies outside of its plane.
///
/// A NaN in a window gives NaN. Unless it is empty, `places` (as long as `y`) takes the number of the value within its
/// window, row after row, for [`max_pool_backward`]: the first of equal ones, and the first NaN over all numbers.
///
/// Panics when the sizes do not fit.
pub fn max_pool(device: &Device, windows: &Windows, x: &[f32], y: &mut [f32], places: &mut [f32]) {
    let planes = windows.planes(x.len(), y.len());
    assert!(places.is_empty() || places.len() == y.len(), "a place for each output");
    let (input, output) = (windows.input_len(), windows.output_len());
    let wanted = if places.is_empty() { 0 } else { output };
    let chunk = windows.chunk();
    device.split_rows(planes, chunk, (y, output), [(places, wanted)], |plane, y, [places]| {
        let x = &x[plane * input..][..y.len() / output * input];
        if max_pairs::fits(windows) {
            dispatch(device.isa(), max_pairs::Forward { windows, x, y, places });
        } else if places.is_empty() {
            dispatch(device.isa(), Forward::<false> { windows, x, y, places });
        } else {
            dispatch(device.isa(), Forward::<true> { windows, x, y, places });
        }
    });
}

/// dx = the sum of dy over the windows in which the value was the greatest, from the `places` of [`max_pool`].
///
/// Panics when the sizes do not fit.
pub fn max_pool_backward(device: &Device, windows: &Windows, places: &[f32], dy: &[f32], dx: &mut [f32]) {
    let planes = windows.planes(dx.len(), dy.len());
    assert_eq!(places.len(), dy.len(), "a place for each output");
    let (input, output) = (windows.input_len(), windows.output_len());
    device.split_rows(planes, windows.chunk(), (dx, input), [], |plane, dx, []| {
        let start = plane * output;
        let end = start + dx.len() / input.max(1) * output;
        let (places, dy) = (&places[start..end], &dy[start..end]);
        if max_pairs::fits(windows) {
            dispatch(device.isa(), max_pairs::Backward { windows, places, dy, dx });
        } else {
            backward(windows, places, dy, dx);
        }
    });
}

/// `PLACES`: they are wanted.
struct Forward<'a, const PLACES: bool> {
    windows: &'a Windows,
    x: &'a [f32],
    y: &'a mut [f32],
    places: &'a mut [f32],
}

impl<const PLACES: bool> Kernel for Forward<'_, PLACES> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Forward { windows, x, y, places } = self;
        let [height, width] = windows.output;
        let quick = if windows.stride[1] <= 2 { windows.whole_columns() } else { 0..0 };
        for (plane, x) in x.chunks_exact(windows.input_len()).enumerate() {
            for i in 0..height {
                let rows = windows.taps(0, i);
                let start = (plane * height + i) * width;
                let y = &mut y[start..start + width];
                let places = if PLACES { &mut places[start..start + width] } else { &mut [] };
                for j in (0..quick.start).chain(quick.end..width) {
                    let (value, place) = greatest(windows, x, rows, windows.taps(1, j));
                    y[j] = value;
                    if PLACES {
                        places[j] = place;
                    }
                }
                for j in quick.clone().step_by(LANES) {
                    let count = LANES.min(quick.end - j);
                    let (value, place) = greatest_lanes(s, windows, x, rows, j);
                    store_at(s, value, y, j, count);
                    if PLACES {
                        store_at(s, place, places, j, count);
                    }
                }
            }
        }
    }
}

/// The greatest value of one window, and its place.
#[inline(always)]
fn greatest(windows: &Windows, x: &[f32], rows: Taps, columns: Taps) -> (f32, f32) {
    let (mut best, mut place) = (f32::NEG_INFINITY, NOWHERE);
    for a in rows.first..rows.end {
        let row = rows.at(a, windows.dilation[0]) * windows.input[1];
        for b in columns.first..columns.end {
            let value = x[row + columns.at(b, windows.dilation[1])];
            if place == NOWHERE || value > best || (value.is_nan() && !best.is_nan()) {
                best = value;
                place = (a * windows.kernel[1] + b) as f32;
            }
        }
    }
    (best, place)
}

/// The greatest values of sixteen windows from column `j` on, which are inside of the columns, and their places.
#[inline(always)]
fn greatest_lanes<S: Simd>(s: S, windows: &Windows, x: &[f32], rows: Taps, j: usize) -> (S::Float, S::Float) {
    let (mut best, mut place) = (s.splat(f32::NEG_INFINITY), s.splat(NOWHERE));
    let column = j * windows.stride[1] - windows.padding[1];
    // Of thirty-two values, those at odd places are the next tap's.
    let both = windows.stride[1] == 2 && windows.dilation[1] == 1;
    for a in rows.first..rows.end {
        let start = rows.at(a, windows.dilation[0]) * windows.input[1] + column;
        let mut next = s.splat(0.0);
        for b in 0..windows.kernel[1] {
            let at = start + b * windows.dilation[1];
            let value = if !both {
                load_strided(s, x, at, windows.stride[1])
            } else if b % 2 == 0 {
                let (even, odd) = s.even_odd(load_from(s, x, at), load_from(s, x, at + LANES));
                next = odd;
                even
            } else {
                next
            };
            let number = s.splat((a * windows.kernel[1] + b) as f32);
            if a == rows.first && b == 0 {
                (best, place) = (value, number);
            } else {
                (best, place) = greater(s, best, place, value, number);
            }
        }
    }
    (best, place)
}

/// The second value and its place where it is greater or the only NaN, else the first.
#[inline(always)]
pub(super) fn greater<S: Simd>(
    s: S,
    best: S::Float,
    place: S::Float,
    value: S::Float,
    number: S::Float,
) -> (S::Float, S::Float) {
    let (keep, replaceable) = (s.le(value, best), s.eq(best, best));
    let place = s.select(keep, place, s.select(replaceable, number, place));
    (s.select(keep, best, s.select(replaceable, value, best)), place)
}

fn backward(windows: &Windows, places: &[f32], dy: &[f32], dx: &mut [f32]) {
    dx.fill(0.0);
    let [height, width] = windows.output;
    let planes = places.chunks_exact(windows.output_len()).zip(dy.chunks_exact(windows.output_len()));
    for ((places, dy), dx) in planes.zip(dx.chunks_exact_mut(windows.input_len())) {
        for i in 0..height {
            let rows = windows.taps(0, i);
            for j in 0..width {
                let place = places[i * width + j];
                if place == NOWHERE {
                    continue;
                }
                let (a, b) = (place as usize / windows.kernel[1], place as usize % windows.kernel[1]);
                let row = rows.at(a, windows.dilation[0]) * windows.input[1];
                dx[row + windows.taps(1, j).at(b, windows.dilation[1])] += dy[i * width + j];
            }
        }
    }
}
