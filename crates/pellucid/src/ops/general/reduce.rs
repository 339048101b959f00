//! Neighbouring axes to one number: sum, mean, product, greatest, least, or where that stands.
//!
//! With y = f(x_1 … x_n): sum ∂L/∂x_i = dy; mean dy/n; product dy · Π_{j≠i} x_j; greatest and least: dy at the first such value.

use serde::{Deserialize, Serialize};

use crate::ops::check::{Bound, Case, Input};
use crate::ops::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::{Dim, Shape};

/// What becomes of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// Their product.
    Product,
    /// The greatest.
    Max,
    /// The least.
    Min,
    /// The place of the first of the greatest, without a gradient.
    ArgMax,
    /// The place of the first of the least, without a gradient.
    ArgMin,
}

/// The axes from `first` on, and before `end`, become one number and are gone: [batch, …, n, …] → [batch, …, …].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reduce {
    /// What becomes of the values.
    pub reduction: Reduction,
    /// The first axis; the batch is axis 0.
    pub first: usize,
    /// The axis behind the last.
    pub end: usize,
}

impl Reduce {
    /// What stands before the axes, in them, behind them.
    fn layout(self, x: &[usize]) -> (usize, usize, usize) {
        let product = |axes: &[usize]| axes.iter().product();
        (product(&x[..self.first]), product(&x[self.first..self.end]), product(&x[self.end..]))
    }

    /// Is `x` better than the best so far? A NaN is better than anything.
    fn beats(self, x: f32, best: f32) -> bool {
        let better = if matches!(self.reduction, Reduction::Max | Reduction::ArgMax) { x > best } else { x < best };
        better || (x.is_nan() && !best.is_nan())
    }

    /// The first place of the best value among those at `at(0)` … `at(n - 1)`.
    fn best(self, n: usize, at: impl Fn(usize) -> f32) -> usize {
        (1..n).fold(0, |best, i| if self.beats(at(i), at(best)) { i } else { best })
    }
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        "Reduce"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let [x] = ShapeError::expect_inputs::<1>(inputs)?;
        let Reduce { first, end, .. } = *self;
        let inside = x.axes().get(first..end).filter(|axes| !axes.is_empty() && !axes.contains(&Dim::Batch));
        if inside.is_none_or(|axes| axes.contains(&Dim::Fixed(0))) {
            let found = format!("{first} to {end} of {x}");
            return Err(ShapeError::size("axes to reduce", "some with values, and not the batch", found));
        }
        Ok(Shape::new(x.axes()[..first].iter().chain(&x.axes()[end..]).copied())?)
    }

    fn reads(&self) -> Reads {
        match self.reduction {
            Reduction::Sum | Reduction::Mean => Reads::NOTHING,
            _ => Reads::INPUT,
        }
    }

    fn differentiable(&self, _: usize) -> bool {
        !matches!(self.reduction, Reduction::ArgMax | Reduction::ArgMin)
    }

    fn flops(&self, at: Sizes) -> u64 {
        at.input_elements(0) as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        let (outer, n, inner) = self.layout(&at.dims[0]);
        let mut y = Vec::new();
        for (row, column) in (0..outer).flat_map(|row| (0..inner).map(move |column| (row, column))) {
            let values: Vec<f64> = (0..n).map(|i| at.inputs[0][(row * n + i) * inner + column]).collect();
            let first_of = |best: f64| values.iter().position(|x| *x == best).unwrap_or(0) as f64;
            let [greatest, least] =
                [values.iter().copied().fold(f64::MIN, f64::max), values.iter().copied().fold(f64::MAX, f64::min)];
            y.push(match self.reduction {
                Reduction::Sum => values.iter().sum(),
                Reduction::Mean => values.iter().sum::<f64>() / n as f64,
                Reduction::Product => values.iter().product(),
                Reduction::Max => greatest,
                Reduction::Min => least,
                Reduction::ArgMax => first_of(greatest),
                Reduction::ArgMin => first_of(least),
            });
        }
        Some(y)
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0];
        let (_, n, inner) = self.layout(x.dims);
        run.device.chunks_mut((8192 / n.max(1)).max(1), pass.output, |start, y| {
            for (place, y) in y.iter_mut().enumerate() {
                let (row, column) = ((start + place) / inner, (start + place) % inner);
                let at = |i: usize| x.data[(row * n + i) * inner + column];
                *y = match self.reduction {
                    Reduction::Sum => (0..n).map(at).sum(),
                    Reduction::Mean => (0..n).map(at).sum::<f32>() / n as f32,
                    Reduction::Product => (0..n).map(at).product(),
                    Reduction::Max | Reduction::Min => at(self.best(n, at)),
                    Reduction::ArgMax | Reduction::ArgMin => self.best(n, at) as f32,
                };
            }
        });
    }

    fn backward(&self, _: &Run, pass: Backward) {
        let x = pass.inputs[0];
        let (outer, n, inner) = self.layout(x.dims);
        let Some(dx) = &mut pass.dx[0] else { return };
        for (row, column) in (0..outer).flat_map(|row| (0..inner).map(move |column| (row, column))) {
            let dy = pass.dy[row * inner + column];
            let place = |i: usize| (row * n + i) * inner + column;
            let best = match self.reduction {
                Reduction::Max | Reduction::Min => self.best(n, |i| x.data[place(i)]),
                _ => 0,
            };
            for i in 0..n {
                dx[place(i)] = match self.reduction {
                    Reduction::Sum => dy,
                    Reduction::Mean => dy / n as f32,
                    Reduction::Product => {
                        dy * (0..n).filter(|&other| other != i).map(|other| x.data[place(other)]).product::<f32>()
                    }
                    _ if i == best => dy,
                    _ => 0.0,
                };
            }
        }
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |reduction: Reduction, [first, end]: [usize; 2], sample: &[usize]| {
        let bound = match reduction {
            Reduction::Sum | Reduction::Mean => Bound::magnitude(20.0, "half a unit for each term"),
            Reduction::Product => Bound::relative(20.0, "half a unit for each factor"),
            _ => Bound::EXACT,
        };
        let gradient = if reduction == Reduction::Product { bound } else { Bound::ROUNDED };
        Case::new(Reduce { reduction, first, end }, [Input::batched(sample)])
            .named(format!("{reduction:?} of axes {first} to {end} of {sample:?}"))
            .within(bound, gradient)
            .refuses([Shape::batched(&[])], "axes to reduce")
            .refuses([Shape::batched(&[0, 0, 0])], "axes to reduce")
            .refuses([Shape::batched(sample), Shape::batched(sample)], "takes 1 inputs, got 2")
    };
    use Reduction::*;
    let all = |reduction| {
        [of(reduction, [1, 2], &[7]), of(reduction, [2, 3], &[2, 5, 3]), of(reduction, [1, 3], &[3, 4, 19])]
    };
    [Sum, Mean, Product, Max, Min, ArgMax, ArgMin].into_iter().flat_map(all).collect()
}
