//! Windows that slide over the last one or two axes: what pooling ops share.
//!
//! Shapes: x [batch, channels, length] or [batch, channels, height, width]. Along each axis the output has
//! ⌊(in + 2·padding - dilation·(kernel - 1) - 1) / stride⌋ + 1 places; with `ceil_mode` the quotient is rounded up, but no
//! window begins beyond the input and its first padding (as in PyTorch).

use kernels::pooling::Windows;

use super::ShapeError;
use crate::tensor::{Dim, Dims, Shape};

/// Sizes that a setting can have: positions within a window stay exact in f32.
const LARGEST: usize = 1 << 24;

/// The settings of an op with windows; one number for each axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'a> {
    pub kernel: &'a [usize],
    pub stride: &'a [usize],
    pub padding: &'a [usize],
    pub dilation: &'a [usize],
    pub ceil_mode: bool,
}

impl Window<'_> {
    /// The shape of the output, or why the settings or the input are not possible.
    pub fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        self.check_settings()?;
        let mut sample = expect_planes(x, self.kernel.len())?;
        for (axis, size) in sample[1..].iter_mut().enumerate() {
            let reach = self.reach(axis);
            let least = reach.saturating_sub(2 * self.padding[axis]).max(1);
            if *size < least {
                return Err(ShapeError::size(
                    "size of an axis, for a window to fit in",
                    format!("{least} or more"),
                    *size,
                ));
            }
            *size = self.output_size(axis, *size);
        }
        batched(&sample)
    }

    /// The windows for an input of sizes `x` (channels and batch included) that [`Window::output_shape`] took.
    pub fn windows(&self, x: &[usize]) -> Windows {
        let pair = |of: &dyn Fn(usize) -> usize, else_: usize| match self.kernel.len() {
            1 => [else_, of(0)],
            _ => [of(0), of(1)],
        };
        Windows {
            input: pair(&|axis| x[2 + axis], 1),
            output: pair(&|axis| self.output_size(axis, x[2 + axis]), 1),
            kernel: pair(&|axis| self.kernel[axis], 1),
            stride: pair(&|axis| self.stride[axis], 1),
            padding: pair(&|axis| self.padding[axis], 0),
            dilation: pair(&|axis| self.dilation[axis], 1),
        }
    }

    /// Places that a window looks at.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Places from the first to the last one of a window, both included.
    fn reach(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }

    fn output_size(&self, axis: usize, input: usize) -> usize {
        let (stride, padding) = (self.stride[axis], self.padding[axis]);
        let span = input + 2 * padding - self.reach(axis);
        if !self.ceil_mode {
            return span / stride + 1;
        }
        let last = span.div_ceil(stride);
        if last * stride >= input + padding { last } else { last + 1 }
    }

    fn check_settings(&self) -> Result<(), ShapeError> {
        let axes = self.kernel.len();
        if !(1..=2).contains(&axes) {
            return Err(wrong("kernel", "one size or two", self.kernel));
        }
        let lists = [("kernel", self.kernel, 1), ("stride", self.stride, 1), ("padding", self.padding, 0)];
        for (name, sizes, least) in lists.into_iter().chain([("dilation", self.dilation, 1)]) {
            if sizes.len() != axes || !sizes.iter().all(|size| (least..=LARGEST).contains(size)) {
                return Err(wrong(name, &format!("{axes} whole number(s) from {least} to {LARGEST}"), sizes));
            }
        }
        if self.taps() > LARGEST {
            return Err(wrong("kernel", &format!("of at most {LARGEST} places"), self.kernel));
        }
        if (0..axes).any(|axis| 2 * self.padding[axis] > self.kernel[axis]) {
            let most = format!("at most half of the kernel {:?}", self.kernel);
            return Err(wrong("padding", &most, self.padding));
        }
        Ok(())
    }
}

/// The batch, followed by `sizes`, which may be too many or too large.
pub(super) fn batched(sizes: &[usize]) -> Result<Shape, ShapeError> {
    let axes = sizes.iter().map(|&size| Dim::Fixed(size));
    Ok(Shape::new([Dim::Batch].into_iter().chain(axes))?)
}

fn wrong(name: &'static str, expected: &str, found: &[usize]) -> ShapeError {
    ShapeError::Setting { name, expected: expected.to_string(), found: format!("{found:?}") }
}

/// The sizes after the batch of [batch, channels, …] with `axes` further axes; refuses any other shape, and empty axes.
pub(super) fn expect_planes(x: &Shape, axes: usize) -> Result<Dims, ShapeError> {
    let expected = if axes == 1 { "[batch, channels, length]" } else { "[batch, channels, height, width]" };
    let sample = x.sample().filter(|sample| sample.len() == axes + 1 && sample.iter().all(|&size| size > 0));
    sample.ok_or_else(|| ShapeError::size("shape of the input", expected, x))
}

/// Every window of a plane: the places that it looks at, row after row, for the references of the checks.
pub(super) fn looked_at(windows: &Windows) -> Vec<Vec<usize>> {
    let place = |axis: usize, output: usize, tap: usize| {
        let place = (output * windows.stride[axis] + tap * windows.dilation[axis]).checked_sub(windows.padding[axis]);
        place.filter(|&place| place < windows.input[axis])
    };
    let mut all = Vec::new();
    for i in 0..windows.output[0] {
        for j in 0..windows.output[1] {
            let mut places = Vec::new();
            for row in (0..windows.kernel[0]).filter_map(|tap| place(0, i, tap)) {
                let columns = (0..windows.kernel[1]).filter_map(|tap| place(1, j, tap));
                places.extend(columns.map(|column| row * windows.input[1] + column));
            }
            all.push(places);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window<'a>(kernel: &'a [usize], stride: &'a [usize], padding: &'a [usize], dilation: &'a [usize]) -> Window<'a> {
        Window { kernel, stride, padding, dilation, ceil_mode: false }
    }

    #[test]
    fn sizes_are_those_of_the_formula() {
        let size = |window: Window, input: usize| {
            window.output_shape(&[Shape::batched(&[3, input])]).map(|shape| shape.last().expect("an axis"))
        };
        assert_eq!(size(window(&[2], &[2], &[0], &[1]), 7), Ok(3));
        assert_eq!(size(Window { ceil_mode: true, ..window(&[2], &[2], &[0], &[1]) }, 7), Ok(4));
        assert_eq!(size(window(&[3], &[2], &[1], &[1]), 8), Ok(4));
        // A further window would begin in the padding at the end.
        assert_eq!(size(Window { ceil_mode: true, ..window(&[3], &[2], &[1], &[1]) }, 7), Ok(4));
        assert_eq!(size(window(&[3], &[1], &[0], &[2]), 9), Ok(5));
        assert_eq!(size(window(&[1], &[5], &[0], &[1]), 4), Ok(1));
    }

    #[test]
    fn impossible_settings_and_sizes_are_refused_with_both_values() {
        let refused = |window: Window, sample: &[usize]| {
            window.output_shape(&[Shape::batched(sample)]).expect_err("impossible").to_string()
        };
        for (window, sample, message) in [
            (window(&[], &[], &[], &[]), &[3, 8][..], "kernel must be one size or two, but it is []"),
            (window(&[2; 3], &[2; 3], &[0; 3], &[1; 3]), &[3, 8, 8, 8], "but it is [2, 2, 2]"),
            (
                window(&[2], &[0], &[0], &[1]),
                &[3, 8],
                "stride must be 1 whole number(s) from 1 to 16777216, but it is [0]",
            ),
            (window(&[2, 2], &[2], &[0; 2], &[1; 2]), &[3, 8, 8], "stride must be 2 whole number(s)"),
            (window(&[usize::MAX], &[1], &[0], &[1]), &[3, 8], "kernel must be 1 whole number(s)"),
            (window(&[3], &[1], &[2], &[1]), &[3, 8], "padding must be at most half of the kernel [3], but it is [2]"),
            (window(&[3, 3], &[1; 2], &[0; 2], &[1; 2]), &[3, 8, 2], "expected 3 or more, got 2"),
            (window(&[3, 3], &[1; 2], &[1; 2], &[3; 2]), &[3, 8, 4], "expected 5 or more, got 4"),
            (
                window(&[2, 2], &[2; 2], &[0; 2], &[1; 2]),
                &[3, 8],
                "[batch, channels, height, width], got [batch, 3, 8]",
            ),
            (window(&[2], &[2], &[0], &[1]), &[3, 8, 8], "expected [batch, channels, length], got [batch, 3, 8, 8]"),
            (window(&[2], &[2], &[0], &[1]), &[0, 8], "expected [batch, channels, length], got [batch, 0, 8]"),
        ] {
            let found = refused(window, sample);
            assert!(found.contains(message), "'{found}' does not hold '{message}'");
        }
    }
}
