//! A border around planes.

use super::{TASK, planes};
use crate::device::Device;

/// What a border holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Border {
    /// One value.
    Constant(f32),
    /// The plane, mirrored at its outermost places (which are not repeated).
    Reflect,
    /// The outermost places, repeated.
    Replicate,
}

/// Planes and their borders; pairs are height, width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Padding {
    /// Size of the input planes.
    pub input: [usize; 2],
    /// Places of the border before the plane. With [`Border::Reflect`], fewer than the plane has, on both sides.
    pub before: [usize; 2],
    /// Places of the border behind the plane.
    pub after: [usize; 2],
    /// What it holds.
    pub border: Border,
}

impl Padding {
    pub(super) fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.before[axis] + self.input[axis] + self.after[axis])
    }

    /// Where the value of place `index` of the output comes from, along `axis`; `None` for a constant.
    #[inline]
    fn source(&self, axis: usize, index: usize) -> Option<usize> {
        let (size, before) = (self.input[axis] as isize, self.before[axis] as isize);
        let place = index as isize - before;
        let inside = (0..size).contains(&place);
        match self.border {
            _ if inside => Some(place as usize),
            Border::Constant(_) => None,
            Border::Replicate => Some(place.clamp(0, size - 1) as usize),
            Border::Reflect => Some(if place < 0 { -place } else { 2 * (size - 1) - place } as usize),
        }
    }

    fn check(&self, input: usize, output: usize) -> usize {
        if self.border == Border::Reflect {
            let fits = |axis: usize| self.before[axis].max(self.after[axis]) < self.input[axis];
            assert!(fits(0) && fits(1), "a mirrored border is narrower than the plane");
        }
        assert!(self.input[0] > 0 && self.input[1] > 0, "planes of some places");
        planes([self.input, self.output()], input, output)
    }
}

/// y = the planes of `x` with their borders. Panics when the sizes do not fit.
pub fn pad(device: &Device, padding: &Padding, x: &[f32], y: &mut [f32]) {
    let count = padding.check(x.len(), y.len());
    let ([height, width], [in_height, in_width]) = (padding.output(), padding.input);
    let value = if let Border::Constant(value) = padding.border { value } else { 0.0 };
    device.split_rows(count, (TASK / (height * width)).max(1), (y, height * width), [], |plane, y, []| {
        for (row, y) in y.chunks_exact_mut(width).enumerate() {
            let Some(source) = padding.source(0, row % height) else {
                y.fill(value);
                continue;
            };
            let x = &x[((plane + row / height) * in_height + source) * in_width..][..in_width];
            let (before, rest) = y.split_at_mut(padding.before[1]);
            let (inside, after) = rest.split_at_mut(in_width);
            inside.copy_from_slice(x);
            let of = |column: usize| padding.source(1, column).map_or(value, |column| x[column]);
            before.iter_mut().enumerate().for_each(|(column, y)| *y = of(column));
            after.iter_mut().enumerate().for_each(|(column, y)| *y = of(padding.before[1] + in_width + column));
        }
    });
}

/// dx = the sum of dy over the places that hold a value. Panics when the sizes do not fit.
pub fn pad_backward(device: &Device, padding: &Padding, dy: &[f32], dx: &mut [f32]) {
    let count = padding.check(dx.len(), dy.len());
    let ([height, width], [in_height, in_width]) = (padding.output(), padding.input);
    let chunk = (TASK / (height * width)).max(1);
    device.split_rows(count, chunk, (dx, in_height * in_width), [], |plane, dx, []| {
        dx.fill(0.0);
        for (index, dx) in dx.chunks_exact_mut(in_height * in_width).enumerate() {
            for row in 0..height {
                let Some(source) = padding.source(0, row) else { continue };
                let dy = &dy[((plane + index) * height + row) * width..][..width];
                let dx = &mut dx[source * in_width..][..in_width];
                for (column, dy) in dy.iter().enumerate() {
                    if let Some(column) = padding.source(1, column) {
                        dx[column] += dy;
                    }
                }
            }
        }
    });
}
