//! Shapes: sizes of axes, the batch left open until a plan is made.

use std::fmt;

use arrayvec::ArrayVec;

/// Axes that a shape can have.
pub const MAX_RANK: usize = 8;

/// Values in one array at most: positions stay exact in 32 bits, and products of sizes cannot overflow.
pub const MAX_ELEMENTS: usize = 1 << 31;

/// Sizes of all axes, batch included, once the batch is known.
pub type Dims = ArrayVec<usize, MAX_RANK>;

/// The size of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dim {
    /// As many as there are rows in the batch.
    Batch,
    /// A number known when the graph is built.
    #[serde(untagged)]
    Fixed(usize),
}

/// Sizes of the axes of a value, outermost first; no axes at all for a single number.
#[derive(Clone, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Vec<Dim>", into = "Vec<Dim>")]
pub struct Shape(ArrayVec<Dim, MAX_RANK>);

/// A shape has too many axes or values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShape {
    /// More axes than [`MAX_RANK`].
    #[error("{found} axes; at most {MAX_RANK} are possible")]
    Rank {
        /// The number of axes asked for.
        found: usize,
    },
    /// More values than [`MAX_ELEMENTS`].
    #[error("{shape} has more than {MAX_ELEMENTS} values")]
    TooLarge {
        /// The shape, printed.
        shape: String,
    },
}

impl Shape {
    /// A single number.
    pub fn scalar() -> Shape {
        Shape::default()
    }

    /// A shape without batch. Panics when it is not valid; see [`Shape::new`] for sizes that come from outside.
    pub fn fixed(sizes: &[usize]) -> Shape {
        Shape::new(sizes.iter().map(|&size| Dim::Fixed(size))).expect("a valid shape")
    }

    /// The batch, followed by `sizes`. Panics when it is not valid; see [`Shape::new`].
    pub fn batched(sizes: &[usize]) -> Shape {
        Shape::new([Dim::Batch].into_iter().chain(sizes.iter().map(|&size| Dim::Fixed(size)))).expect("a valid shape")
    }

    /// A shape with these axes, checked against [`MAX_RANK`] and (for a batch of one) [`MAX_ELEMENTS`].
    pub fn new(axes: impl IntoIterator<Item = Dim>) -> Result<Shape, InvalidShape> {
        let axes: Vec<Dim> = axes.into_iter().take(1000).collect();
        let rank = axes.len();
        let shape = Shape(axes.into_iter().take(MAX_RANK).collect());
        if rank > MAX_RANK {
            return Err(InvalidShape::Rank { found: rank });
        }
        match shape.checked_elements(1) {
            Some(_) => Ok(shape),
            None => Err(InvalidShape::TooLarge { shape: shape.to_string() }),
        }
    }

    /// The axes, outermost first.
    pub fn axes(&self) -> &[Dim] {
        &self.0
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The size of the last axis, if it is known.
    pub fn last(&self) -> Option<usize> {
        match self.0.last() {
            Some(&Dim::Fixed(size)) => Some(size),
            _ => None,
        }
    }

    /// True when the first axis is the batch.
    pub fn is_batched(&self) -> bool {
        self.0.first() == Some(&Dim::Batch)
    }

    /// The sizes after the batch, for a shape that begins with it and has no further open axis.
    pub fn sample(&self) -> Option<Dims> {
        let (first, rest) = self.0.split_first()?;
        if *first != Dim::Batch {
            return None;
        }
        rest.iter().map(|axis| if let Dim::Fixed(size) = axis { Some(*size) } else { None }).collect()
    }

    /// Sizes for a batch of `batch` rows.
    pub fn dims(&self, batch: usize) -> Dims {
        self.0.iter().map(|axis| axis.size(batch)).collect()
    }

    /// Number of values for a batch of `batch` rows; `None` beyond [`MAX_ELEMENTS`].
    pub fn checked_elements(&self, batch: usize) -> Option<usize> {
        let mut elements = 1usize;
        for axis in &self.0 {
            elements = elements.checked_mul(axis.size(batch))?;
        }
        (elements <= MAX_ELEMENTS).then_some(elements)
    }

    /// The same shape with another last axis.
    pub fn with_last(&self, size: usize) -> Shape {
        let mut shape = self.clone();
        if let Some(last) = shape.0.last_mut() {
            *last = Dim::Fixed(size);
        }
        shape
    }
}

impl Dim {
    /// The size for a batch of `batch` rows.
    pub fn size(self, batch: usize) -> usize {
        match self {
            Dim::Batch => batch,
            Dim::Fixed(size) => size,
        }
    }
}

impl TryFrom<Vec<Dim>> for Shape {
    type Error = InvalidShape;
    fn try_from(axes: Vec<Dim>) -> Result<Shape, InvalidShape> {
        Shape::new(axes)
    }
}

impl From<Shape> for Vec<Dim> {
    fn from(shape: Shape) -> Vec<Dim> {
        shape.0.to_vec()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, axis) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            match axis {
                Dim::Batch => write!(f, "{separator}batch")?,
                Dim::Fixed(size) => write!(f, "{separator}{size}")?,
            }
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_with_an_open_batch() {
        let shape = Shape::batched(&[3, 4]);
        assert_eq!(shape.to_string(), "[batch, 3, 4]");
        assert_eq!(shape.checked_elements(5), Some(60));
        assert_eq!(shape.dims(5).as_slice(), [5, 3, 4]);
        assert_eq!(shape.sample().as_deref(), Some(&[3, 4][..]));
        assert_eq!(shape.with_last(7), Shape::batched(&[3, 7]));
        assert_eq!(Shape::scalar().checked_elements(9), Some(1));
        assert_eq!(Shape::fixed(&[2]).sample(), None);
    }

    #[test]
    fn impossible_shapes_are_errors() {
        assert_eq!(Shape::new([Dim::Fixed(1); 9]), Err(InvalidShape::Rank { found: 9 }));
        let error = Shape::new([Dim::Batch, Dim::Fixed(usize::MAX), Dim::Fixed(2)]).expect_err("too many values");
        assert!(error.to_string().contains("more than"), "{error}");
        assert_eq!(Shape::batched(&[1 << 30]).checked_elements(3), None);
    }

    #[test]
    fn a_shape_goes_through_json() {
        let shape = Shape::batched(&[1, 28]);
        let text = serde_json::to_string(&shape).expect("a list");
        assert_eq!(text, r#"["batch",1,28]"#);
        assert_eq!(serde_json::from_str::<Shape>(&text).expect("the same list"), shape);
        assert!(serde_json::from_str::<Shape>("[1,1,1,1,1,1,1,1,1]").is_err());
    }
}
