//! Shapes and views of values. Everything is f32 in flat slices, row after row; class labels and token numbers are
//! whole numbers in f32, exact up to 2²⁴.

mod random;
mod shape;

pub use random::Purpose;
pub use shape::{Dim, Dims, InvalidShape, MAX_ELEMENTS, MAX_RANK, Shape};

/// Values with their sizes, for reading. `data` is empty where a pass does not look at the values.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// Sizes of the axes, outermost first.
    pub dims: &'a [usize],
    /// The values, the last axis running fastest.
    pub data: &'a [f32],
}

impl Tensor<'_> {
    /// Number of values that the sizes mean.
    #[inline]
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// The sizes as a matrix: all axes but the last as rows, and the last.
    #[inline]
    pub fn as_rows(&self) -> (usize, usize) {
        match self.dims.split_last() {
            Some((&last, rest)) => (rest.iter().product(), last),
            None => (1, 1),
        }
    }
}
