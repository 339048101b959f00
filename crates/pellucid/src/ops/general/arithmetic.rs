//! Arithmetic and comparisons with broadcasting: z = f(x, y); ∂L/∂x = dz · ∂f/∂x, summed where one value of x counts for many places,
//! and so for y. Truth is 1 and falsehood 0.
//!
//! [`crate::ops::Add`], [`crate::ops::Subtract`] and [`crate::ops::Multiply`] are faster, where they fit.

use serde::{Deserialize, Serialize};

use super::walk::{Walk, broadcast_shape};
use crate::ops::check::{Bound, Case, Input, Values};
use crate::ops::{
    Attributes, Backward, ChannelAffine, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of,
};
use crate::tensor::{Shape, Tensor};

/// A function of two variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// x + y
    Add,
    /// x - y
    Sub,
    /// x · y
    Mul,
    /// x / y
    Div,
    /// x to the power of y
    Pow,
    /// The smaller one.
    Min,
    /// The greater one.
    Max,
    /// What is left of x after whole multiples of y, with the sign of y. Like all that follow, it has no gradient.
    Mod,
    /// The same with the sign of x.
    Remainder,
    /// x = y
    Equal,
    /// x < y
    Less,
    /// x ≤ y
    LessOrEqual,
    /// Bits of both of two whole numbers.
    BitAnd,
    /// Bits of either.
    BitOr,
    /// Bits of one alone.
    BitXor,
}

impl Operation {
    /// All functions.
    pub const ALL: [Operation; 15] = {
        use Operation::*;
        [Add, Sub, Mul, Div, Pow, Min, Max, Mod, Remainder, Equal, Less, LessOrEqual, BitAnd, BitOr, BitXor]
    };

    /// The value in f64.
    fn wide(self, x: f64, y: f64) -> f64 {
        let bits = |f: fn(i64, i64) -> i64| f(x as i64, y as i64) as f64;
        match self {
            Operation::Add => x + y,
            Operation::Sub => x - y,
            Operation::Mul => x * y,
            Operation::Div => x / y,
            Operation::Pow => libm::pow(x, y),
            Operation::Min => {
                if x <= y || x.is_nan() {
                    x
                } else {
                    y
                }
            }
            Operation::Max => {
                if x >= y || x.is_nan() {
                    x
                } else {
                    y
                }
            }
            Operation::Mod => {
                let left = libm::fmod(x, y);
                if left != 0.0 && (left < 0.0) != (y < 0.0) { left + y } else { left }
            }
            Operation::Remainder => libm::fmod(x, y),
            Operation::Equal => f64::from(x == y),
            Operation::Less => f64::from(x < y),
            Operation::LessOrEqual => f64::from(x <= y),
            Operation::BitAnd => bits(|x, y| x & y),
            Operation::BitOr => bits(|x, y| x | y),
            Operation::BitXor => bits(|x, y| x ^ y),
        }
    }

    /// The value; what has a correctly rounded instruction takes it.
    #[inline(always)]
    fn value(self, x: f32, y: f32) -> f32 {
        match self {
            Operation::Add => x + y,
            Operation::Sub => x - y,
            Operation::Mul => x * y,
            Operation::Div => x / y,
            Operation::Pow if y == 2.0 => x * x,
            _ => self.wide(f64::from(x), f64::from(y)) as f32,
        }
    }

    /// ∂f/∂x and ∂f/∂y.
    #[inline(always)]
    fn derivatives(self, x: f32, y: f32) -> (f32, f32) {
        match self {
            Operation::Add => (1.0, 1.0),
            Operation::Sub => (1.0, -1.0),
            Operation::Mul => (y, x),
            Operation::Div => (1.0 / y, -x / (y * y)),
            Operation::Pow => {
                let (x, y) = (f64::from(x), f64::from(y));
                let by_y = if x > 0.0 { libm::pow(x, y) * libm::log(x) } else { 0.0 };
                ((y * libm::pow(x, y - 1.0)) as f32, by_y as f32)
            }
            Operation::Min => {
                if x <= y {
                    (1.0, 0.0)
                } else {
                    (0.0, 1.0)
                }
            }
            Operation::Max => {
                if x >= y {
                    (1.0, 0.0)
                } else {
                    (0.0, 1.0)
                }
            }
            _ => (0.0, 0.0),
        }
    }

    /// Has a derivative.
    fn is_smooth(self) -> bool {
        use Operation::*;
        matches!(self, Add | Sub | Mul | Div | Pow | Min | Max)
    }
}

/// z = f(x, y)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arithmetic {
    /// f
    pub operation: Operation,
}

impl Op for Arithmetic {
    fn name(&self) -> &'static str {
        "Arithmetic"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        broadcast_shape(ShapeError::expect_inputs::<2>(inputs)?)
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[0, 1])
    }

    fn differentiable(&self, _: usize) -> bool {
        self.operation.is_smooth()
    }

    fn ignores_padding(&self, _: usize) -> bool {
        true
    }

    fn flops(&self, at: Sizes) -> u64 {
        at.output_elements() as u64
    }

    /// Where y is a parameter with one value for each channel of x.
    fn channel_affine(&self, inputs: &[Tensor]) -> Option<ChannelAffine> {
        let [x, y] = inputs else { return None };
        let channels = *x.dims.get(1)?;
        // Axes of y count from the last one.
        let axis = (y.dims.len() + 1).checked_sub(x.dims.len())?;
        if y.data.len() != channels || y.dims.get(axis) != Some(&channels) {
            return None;
        }
        let (values, all) = (|| y.data.to_vec(), |value: f32| vec![value; channels]);
        let (scale, shift) = match self.operation {
            Operation::Mul => (values(), all(0.0)),
            Operation::Add => (all(1.0), values()),
            Operation::Sub => (all(1.0), y.data.iter().map(|value| -value).collect()),
            _ => return None,
        };
        Some(ChannelAffine { scale, shift })
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let [x, y] = [&at.inputs[0], &at.inputs[1]];
        let mut z = vec![0.0; at.output_dims.iter().product()];
        let places = z.len();
        let walk = Walk::broadcast([&at.dims[0], &at.dims[1]], at.output_dims);
        walk.each(places, |place, [i, j]| z[place] = self.operation.wide(x[i], y[j]));
        Some(z)
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let [x, y] = [pass.inputs[0], pass.inputs[1]];
        let walk = Walk::broadcast([x.dims, y.dims], pass.dims);
        // A loop of its own for the usual ones, in which nothing is decided.
        macro_rules! by {
            ($($operation:ident),*) => {
                match self.operation {
                    $(Operation::$operation => {
                        walk.map(run.device, pass.output, |[i, j]| Operation::$operation.value(x.data[i], y.data[j]))
                    })*
                    other => walk.map(run.device, pass.output, |[i, j]| other.value(x.data[i], y.data[j])),
                }
            };
        }
        by!(Add, Sub, Mul, Div, Pow);
    }

    fn backward(&self, _: &Run, pass: Backward) {
        let [x, y] = [pass.inputs[0], pass.inputs[1]];
        let walk = Walk::broadcast([x.dims, y.dims], pass.output.dims);
        let [dx, dy] = &mut pass.dx[..] else { return };
        for gradient in [&mut *dx, &mut *dy].into_iter().flatten() {
            gradient.fill(0.0);
        }
        walk.each(pass.dy.len(), |place, [i, j]| {
            let (by_x, by_y) = self.operation.derivatives(x.data[i], y.data[j]);
            if let Some(dx) = dx {
                dx[i] += pass.dy[place] * by_x;
            }
            if let Some(dy) = dy {
                dy[j] += pass.dy[place] * by_y;
            }
        });
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |operation: Operation, name: &str, x: Shape, y: Shape| {
        let [first, second] = match operation {
            Operation::Pow => [Values::Uniform(0.5, 2.0), Values::Uniform(-2.0, 2.0)],
            // Apart, so that differences do not step over equality.
            Operation::Min | Operation::Max => {
                [Values::Choice(vec![-1.5, -0.5, 0.5, 1.5]), Values::Choice(vec![-2.0, -1.0, 0.0, 1.0, 2.0])]
            }
            Operation::Div | Operation::Mod | Operation::Remainder => [Values::Normal(3.0), Values::Uniform(0.5, 2.0)],
            Operation::BitAnd | Operation::BitOr | Operation::BitXor => [Values::Labels(200), Values::Labels(200)],
            _ => [Values::Normal(1.0), Values::Normal(1.0)],
        };
        let gradient = Bound::relative(4.0, "sums over rows").and_absolute(600.0);
        Case::new(Arithmetic { operation }, [Input::new(x, first), Input::new(y, second)])
            .named(format!("{operation:?}, {name}"))
            .within(Bound::relative(0.51, "one rounding"), gradient)
            .refuses([Shape::batched(&[2])], "takes 2 inputs, got 1")
            .refuses([Shape::batched(&[2]), Shape::batched(&[3])], "sizes to broadcast")
            .refuses([Shape::batched(&[2]), Shape::fixed(&[1, 2])], "fewer without one")
    };
    let both = |operation| {
        let (x, row) = (Shape::batched(&[2, 17]), Shape::fixed(&[17]));
        [of(operation, "equal shapes", x.clone(), x.clone()), of(operation, "a row for all", x, row)]
    };
    let crossed = |operation| {
        [
            of(operation, "crossed", Shape::batched(&[3, 1, 5]), Shape::batched(&[1, 4, 5])),
            of(operation, "a number on the left", Shape::scalar(), Shape::batched(&[2, 3])),
            of(operation, "several tasks", Shape::batched(&[2, 1]), Shape::batched(&[1, 20])).batches([1000]),
        ]
    };
    let wide = [Operation::Sub, Operation::Div].into_iter().flat_map(crossed);
    Operation::ALL.into_iter().flat_map(both).chain(wide).collect()
}
