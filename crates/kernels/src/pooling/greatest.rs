//! The greatest value of each region.

use super::Regions;
use crate::device::Device;

/// y = the greatest value of each region of the planes of `x`, which must be [`Regions::Adaptive`]. Unless it is empty,
/// `places` takes the place of that value in its plane, for [`adaptive_max_pool_backward`]: the first of equal ones, and
/// the first NaN over all numbers.
///
/// Panics when the sizes do not fit, or a plane has more than 2²⁴ values.
pub fn adaptive_max_pool(device: &Device, regions: &Regions, x: &[f32], y: &mut [f32], places: &mut [f32]) {
    let planes = regions.planes(x.len(), y.len());
    let (input, output) = (regions.input_len(), regions.output_len());
    assert!(matches!(regions, Regions::Adaptive { .. }), "regions that hold a place each");
    assert!(input <= 1 << 24, "places are exact up to 2²⁴, but a plane has {input}");
    assert!(places.is_empty() || places.len() == y.len(), "a place for each output");
    let wanted = if places.is_empty() { 0 } else { output };
    device.split_rows(planes, regions.chunk(), (y, output), [(places, wanted)], |plane, y, [places]| {
        for (at, y) in y.iter_mut().enumerate() {
            let x = &x[(plane + at / output) * input..][..input];
            let place = greatest(regions, x, at % output);
            *y = x[place];
            if let Some(target) = places.get_mut(at) {
                *target = place as f32;
            }
        }
    });
}

/// dx = the sum of dy over the regions in which the value was the greatest, from the `places` of [`adaptive_max_pool`].
///
/// Panics when the sizes do not fit.
pub fn adaptive_max_pool_backward(device: &Device, regions: &Regions, places: &[f32], dy: &[f32], dx: &mut [f32]) {
    let planes = regions.planes(dx.len(), dy.len());
    assert_eq!(places.len(), dy.len(), "a place for each output");
    let (input, output) = (regions.input_len(), regions.output_len());
    device.split_rows(planes, regions.chunk(), (dx, input), [], |plane, dx, []| {
        dx.fill(0.0);
        for (at, dx) in dx.chunks_exact_mut(input).enumerate() {
            let range = (plane + at) * output..(plane + at + 1) * output;
            for (place, dy) in places[range.clone()].iter().zip(&dy[range]) {
                dx[*place as usize] += dy;
            }
        }
    });
}

fn greatest(regions: &Regions, x: &[f32], output: usize) -> usize {
    let [_, out_width] = regions.output();
    let (rows, columns) = (regions.span(0, output / out_width), regions.span(1, output % out_width));
    let width = regions.input()[1];
    let mut best = rows.start * width + columns.start;
    for row in rows.start..rows.end {
        for place in row * width + columns.start..row * width + columns.end {
            if x[place] > x[best] || (x[place].is_nan() && !x[best].is_nan()) {
                best = place;
            }
        }
    }
    best
}
