//! Planes that are larger by whole factors.

use super::{TASK, planes};
use crate::device::Device;

/// Planes and what they become; pairs are height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upsampling {
    /// Size of the input planes.
    pub input: [usize; 2],
    /// How many times as high and wide the output is, 1 or more.
    pub factor: [usize; 2],
    /// Between the centres of two places, values go over into each other in a straight line; without it, each value is
    /// repeated. (PyTorch's `bilinear` with `align_corners=False`, and `nearest`.)
    pub linear: bool,
}

/// Where an output comes from along one axis: a share of each of two places.
#[derive(Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    /// That of the second.
    share: f32,
}

impl Upsampling {
    pub(super) fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.input[axis] * self.factor[axis])
    }

    #[inline]
    fn between(&self, axis: usize, index: usize) -> Between {
        let factor = self.factor[axis];
        if !self.linear {
            return Between { first: index / factor, second: index / factor, share: 0.0 };
        }
        // (index + 1/2) / factor - 1/2 in units of 1 / (2 · factor), not before the first centre.
        let place = (2 * index + 1).saturating_sub(factor);
        let (first, rest) = (place / (2 * factor), place % (2 * factor));
        Between { first, second: (first + 1).min(self.input[axis] - 1), share: rest as f32 / (2 * factor) as f32 }
    }

    fn check(&self, input: usize, output: usize) -> usize {
        assert!(self.factor[0] > 0 && self.factor[1] > 0, "factors of 1 or more");
        assert!(self.input[0] > 0 && self.input[1] > 0, "planes of some places");
        planes([self.input, self.output()], input, output)
    }
}

/// y = the planes of `x`, larger. Panics when the sizes do not fit.
pub fn upsample(device: &Device, up: &Upsampling, x: &[f32], y: &mut [f32]) {
    let count = up.check(x.len(), y.len());
    let ([height, width], [in_height, in_width]) = (up.output(), up.input);
    device.split_rows(count, (TASK / (height * width)).max(1), (y, height * width), [], |plane, y, []| {
        for (row, y) in y.chunks_exact_mut(width).enumerate() {
            let x = &x[(plane + row / height) * in_height * in_width..][..in_height * in_width];
            let rows = up.between(0, row % height);
            let (above, below) = (&x[rows.first * in_width..][..in_width], &x[rows.second * in_width..][..in_width]);
            if !up.linear {
                for (values, value) in y.chunks_exact_mut(up.factor[1]).zip(above) {
                    values.fill(*value);
                }
                continue;
            }
            for (column, y) in y.iter_mut().enumerate() {
                let Between { first, second, share } = up.between(1, column);
                let across = |x: &[f32]| (1.0 - share) * x[first] + share * x[second];
                *y = (1.0 - rows.share) * across(above) + rows.share * across(below);
            }
        }
    });
}

/// dx = the sum of the shares of dy. Panics when the sizes do not fit.
pub fn upsample_backward(device: &Device, up: &Upsampling, dy: &[f32], dx: &mut [f32]) {
    let count = up.check(dx.len(), dy.len());
    let ([height, width], [in_height, in_width]) = (up.output(), up.input);
    let chunk = (TASK / (height * width)).max(1);
    device.split_rows(count, chunk, (dx, in_height * in_width), [], |plane, dx, []| {
        dx.fill(0.0);
        for (index, dx) in dx.chunks_exact_mut(in_height * in_width).enumerate() {
            for row in 0..height {
                let rows = up.between(0, row);
                let dy = &dy[((plane + index) * height + row) * width..][..width];
                for (column, dy) in dy.iter().enumerate() {
                    let Between { first, second, share } = up.between(1, column);
                    for (row, of_row) in [(rows.first, 1.0 - rows.share), (rows.second, rows.share)] {
                        let dx = &mut dx[row * in_width..][..in_width];
                        dx[first] += of_row * (1.0 - share) * dy;
                        dx[second] += of_row * share * dy;
                        if !up.linear {
                            break;
                        }
                    }
                }
            }
        }
    });
}
