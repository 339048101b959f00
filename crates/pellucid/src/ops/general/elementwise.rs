//! Functions of one variable that no activation needs: y = f(x), ∂L/∂x = dy · f'(x).

use serde::{Deserialize, Serialize};

use crate::ops::check::{Bound, Case, Values};
use crate::ops::{Attributes, Backward, Forward, Op, Reads, Run, Sample, ShapeError, Sizes, attributes_of};
use crate::tensor::Shape;

/// A function of one variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Function {
    /// |x|
    Abs,
    /// -x
    Neg,
    /// 1 / x
    Reciprocal,
    /// √x
    Sqrt,
    /// Natural logarithm.
    Log,
    /// The error function, 2/√π ∫₀ˣ exp(-t²) dt.
    Erf,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Tangent.
    Tan,
    /// Inverse sine.
    Asin,
    /// Inverse cosine.
    Acos,
    /// Inverse tangent.
    Atan,
    /// Hyperbolic sine.
    Sinh,
    /// Hyperbolic cosine.
    Cosh,
    /// Inverse hyperbolic sine.
    Asinh,
    /// Inverse hyperbolic cosine.
    Acosh,
    /// Inverse hyperbolic tangent.
    Atanh,
    /// The greatest whole number that is not above x. Like all that follow, it has no gradient.
    Floor,
    /// The least whole number that is not below x.
    Ceil,
    /// The nearest whole number, the even one of two.
    Round,
    /// Without the part behind the point.
    Truncate,
}

impl Function {
    /// All functions.
    pub const ALL: [Function; 21] = {
        use Function::*;
        [
            Abs, Neg, Reciprocal, Sqrt, Log, Erf, Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Asinh, Acosh, Atanh,
            Floor, Ceil, Round, Truncate,
        ]
    };

    /// The value at x.
    pub fn value(self, x: f64) -> f64 {
        match self {
            Function::Abs => x.abs(),
            Function::Neg => -x,
            Function::Reciprocal => 1.0 / x,
            Function::Sqrt => libm::sqrt(x),
            Function::Log => libm::log(x),
            Function::Erf => libm::erf(x),
            Function::Sin => libm::sin(x),
            Function::Cos => libm::cos(x),
            Function::Tan => libm::tan(x),
            Function::Asin => libm::asin(x),
            Function::Acos => libm::acos(x),
            Function::Atan => libm::atan(x),
            Function::Sinh => libm::sinh(x),
            Function::Cosh => libm::cosh(x),
            Function::Asinh => libm::asinh(x),
            Function::Acosh => libm::acosh(x),
            Function::Atanh => libm::atanh(x),
            Function::Floor => libm::floor(x),
            Function::Ceil => libm::ceil(x),
            Function::Round => libm::rint(x),
            Function::Truncate => libm::trunc(x),
        }
    }

    /// The derivative at x; `None` for a function of steps.
    fn derivative(self, x: f64) -> Option<f64> {
        Some(match self {
            Function::Abs => {
                if x == 0.0 {
                    0.0
                } else {
                    1.0f64.copysign(x)
                }
            }
            Function::Neg => -1.0,
            Function::Reciprocal => -1.0 / (x * x),
            Function::Sqrt => 0.5 / libm::sqrt(x),
            Function::Log => 1.0 / x,
            Function::Erf => std::f64::consts::FRAC_2_SQRT_PI * libm::exp(-x * x),
            Function::Sin => libm::cos(x),
            Function::Cos => -libm::sin(x),
            Function::Tan => 1.0 / (libm::cos(x) * libm::cos(x)),
            Function::Asin => 1.0 / libm::sqrt(1.0 - x * x),
            Function::Acos => -1.0 / libm::sqrt(1.0 - x * x),
            Function::Atan => 1.0 / (1.0 + x * x),
            Function::Sinh => libm::cosh(x),
            Function::Cosh => libm::sinh(x),
            Function::Asinh => 1.0 / libm::sqrt(x * x + 1.0),
            Function::Acosh => 1.0 / libm::sqrt(x * x - 1.0),
            Function::Atanh => 1.0 / (1.0 - x * x),
            Function::Floor | Function::Ceil | Function::Round | Function::Truncate => return None,
        })
    }

    /// Where the checks look, away from where there is no derivative.
    fn values(self) -> Values {
        match self {
            Function::Sqrt | Function::Log | Function::Reciprocal => Values::Uniform(0.5, 4.0),
            Function::Asin | Function::Acos | Function::Atanh | Function::Tan => Values::Uniform(-0.9, 0.9),
            Function::Acosh => Values::Uniform(1.5, 5.0),
            _ => Values::AwayFrom { spread: 1.5, kinks: vec![0.0], margin: 0.05 },
        }
    }
}

/// y = f(x), computed in f64 and rounded once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elementwise {
    /// f
    pub function: Function,
}

impl Op for Elementwise {
    fn name(&self) -> &'static str {
        "Elementwise"
    }

    fn attributes(&self) -> Attributes {
        attributes_of(self)
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        ShapeError::expect_inputs::<1>(inputs).map(|[x]| x.clone())
    }

    fn reads(&self) -> Reads {
        Reads::INPUT
    }

    fn differentiable(&self, _: usize) -> bool {
        self.function.derivative(1.0).is_some()
    }

    fn ignores_padding(&self, _: usize) -> bool {
        true
    }

    fn flops(&self, at: Sizes) -> u64 {
        10 * at.output_elements() as u64
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        Some(at.inputs[0].iter().map(|&x| self.function.value(x)).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0].data;
        run.device.chunks_mut(1024, pass.output, |start, y| {
            for (y, &x) in y.iter_mut().zip(&x[start..]) {
                *y = self.function.value(f64::from(x)) as f32;
            }
        });
    }

    fn backward(&self, run: &Run, pass: Backward) {
        let (x, dy) = (pass.inputs[0].data, pass.dy);
        let Some(dx) = &mut pass.dx[0] else { return };
        run.device.chunks_mut(1024, dx, |start, dx| {
            for ((dx, &x), &dy) in dx.iter_mut().zip(&x[start..]).zip(&dy[start..]) {
                *dx = (self.function.derivative(f64::from(x)).unwrap_or(0.0) * f64::from(dy)) as f32;
            }
        });
    }
}

/// What the checks run on.
pub(in crate::ops) fn cases() -> Vec<Case> {
    let of = |function: Function| {
        Case::elementwise(Elementwise { function }, function.values())
            .named(format!("{function:?}"))
            .within(Bound::relative(0.51, "one rounding"), Bound::relative(0.51, "one rounding"))
            .refuses([Shape::batched(&[2]), Shape::batched(&[2])], "takes 1 inputs, got 2")
    };
    Function::ALL.into_iter().map(of).collect()
}
