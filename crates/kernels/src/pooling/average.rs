//! The mean of each region.

use super::regions::Span;
use super::{Regions, Windows, average_pairs, load_strided, max_pairs, store_at};
use crate::device::Device;
use crate::reduce::sum_here;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Width from which a row of a region is summed in lanes.
const WIDE: usize = LANES;

/// y = the mean of each region of the planes of `x`, the padding that counts as zeros; 0 for a region in which nothing
/// counts. Panics when the sizes do not fit.
pub fn average_pool(device: &Device, regions: &Regions, x: &[f32], y: &mut [f32]) {
    let planes = regions.planes(x.len(), y.len());
    let (input, output) = (regions.input_len(), regions.output_len());
    device.split_rows(planes, regions.chunk(), (y, output), [], |plane, y, []| {
        let x = &x[plane * input..][..y.len() / output * input];
        match of_pairs(regions) {
            Some(windows) => dispatch(device.isa(), average_pairs::Forward { windows, x, y }),
            None => dispatch(device.isa(), Forward { regions, x, y }),
        }
    });
}

/// dx = Σ dy / count over the regions that hold a place, count being the number of places that count. Panics when the
/// sizes do not fit.
pub fn average_pool_backward(device: &Device, regions: &Regions, dy: &[f32], dx: &mut [f32]) {
    let planes = regions.planes(dx.len(), dy.len());
    let (input, output) = (regions.input_len(), regions.output_len());
    device.split_rows(planes, regions.chunk(), (dx, input), [], |plane, dx, []| {
        let dy = &dy[plane * output..][..dx.len() / input.max(1) * output];
        match of_pairs(regions) {
            Some(windows) => dispatch(device.isa(), average_pairs::Backward { windows, dy, dx }),
            None => dispatch(device.isa(), Backward { regions, dy, dx }),
        }
    });
}

/// The windows, if they are the usual ones, 2×2 side by side.
fn of_pairs(regions: &Regions) -> Option<&Windows> {
    match regions {
        Regions::Windows { windows, .. } => Some(windows).filter(|windows| max_pairs::fits(windows)),
        Regions::Adaptive { .. } => None,
    }
}

struct Forward<'a> {
    regions: &'a Regions,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Forward { regions, x, y } = self;
        let ([height, width], in_width) = (regions.output(), regions.input()[1]);
        // The outputs in the middle of a row, with windows of whole width, are computed in lanes.
        let (quick, kernel, stride, padding) = match regions {
            Regions::Windows { windows, .. } if windows.stride[1] <= 2 => {
                (windows.whole_columns(), windows.kernel[1], windows.stride[1], windows.padding[1])
            }
            _ => (0..0, 1, 1, 0),
        };
        for (plane, x) in x.chunks_exact(regions.input_len()).enumerate() {
            for i in 0..height {
                let rows = regions.span(0, i);
                let y = &mut y[(plane * height + i) * width..][..width];
                for j in (0..quick.start).chain(quick.end..width) {
                    y[j] = mean(s, x, in_width, rows, regions.span(1, j));
                }
                for j in quick.clone().step_by(LANES) {
                    let mut sum = s.splat(0.0);
                    for row in rows.start..rows.end {
                        let start = row * in_width + j * stride - padding;
                        for tap in 0..kernel {
                            sum = s.add(sum, load_strided(s, x, start + tap, stride));
                        }
                    }
                    let count = s.splat((rows.count * kernel).max(1) as f32);
                    store_at(s, s.div(sum, count), y, j, LANES.min(quick.end - j));
                }
            }
        }
    }
}

/// The mean of one region.
#[inline(always)]
fn mean<S: Simd>(s: S, x: &[f32], width: usize, rows: Span, columns: Span) -> f32 {
    let mut sum = 0.0;
    if columns.end - columns.start == width && width * (rows.end - rows.start) >= WIDE {
        // Whole rows lie one behind the other.
        sum = sum_here(s, &x[rows.start * width..rows.end * width]);
    } else if columns.end - columns.start >= WIDE {
        for row in rows.start..rows.end {
            sum += sum_here(s, &x[row * width + columns.start..row * width + columns.end]);
        }
    } else {
        for row in rows.start..rows.end {
            for column in columns.start..columns.end {
                sum += x[row * width + column];
            }
        }
    }
    sum / (rows.count * columns.count).max(1) as f32
}

struct Backward<'a> {
    regions: &'a Regions,
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Backward { regions, dy, dx } = self;
        dx.fill(0.0);
        let ([height, width], in_width) = (regions.output(), regions.input()[1]);
        for (dy, dx) in dy.chunks_exact(height * width).zip(dx.chunks_exact_mut(regions.input_len())) {
            for i in 0..height {
                let rows = regions.span(0, i);
                for j in 0..width {
                    let columns = regions.span(1, j);
                    let part = dy[i * width + j] / (rows.count * columns.count).max(1) as f32;
                    for row in rows.start..rows.end {
                        add_to_all(s, part, &mut dx[row * in_width + columns.start..row * in_width + columns.end]);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn add_to_all<S: Simd>(s: S, part: f32, values: &mut [f32]) {
    let (whole, rest) = values.as_chunks_mut::<LANES>();
    for values in whole {
        s.store(s.add(s.load(values), s.splat(part)), values);
    }
    for value in rest {
        *value += part;
    }
}
