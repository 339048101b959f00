//! Functions of each value: arithmetic, comparisons, activations.

use pellucid::ops::{
    Celu, Dropout, Elu, Exp, Function, Gelu, GeluTanh, HardSwish, LeakyRelu, Mish, Operation, Prelu, Reduction, Relu,
    Selu, Sigmoid, Silu, Softplus, Softsign, Tanh,
};

use super::one;
use crate::call::Call;
use crate::constant::{Constant, Kind};
use crate::lower::{Lower, Result, Value, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    if let Some(function) = function(call.op()) {
        return one(call.x(0).and_then(|x| l.function(function, x)));
    }
    if let Some((operation, swapped)) = operation(call.op()) {
        return one(two(l, call, operation, swapped));
    }
    one(match call.op() {
        "Add" | "Sub" | "Mul" | "Div" | "Pow" => arithmetic(l, call),
        "Mod" => modulo(l, call),
        "Xor" => exclusive(l, call),
        "Not" => call.x(0).and_then(|x| l.not(x)),
        "BitwiseNot" => call.x(0).and_then(|x| {
            let ones = Constant::number(x.kind(), -1.0).into();
            l.sub(&ones, x)
        }),
        "BitShift" => shift(l, call),
        "Max" => variadic(l, call, Operation::Max),
        "Min" => variadic(l, call, Operation::Min),
        "Sum" => variadic(l, call, Operation::Add),
        "Mean" => {
            let count = call.inputs.len() as f64;
            variadic(l, call, Operation::Add).and_then(|sum| l.with(Operation::Div, &sum, count))
        }
        "Where" => call.x(0).and_then(|c| l.choose(c, call.x(1)?, call.x(2)?)),
        "Identity" => call.x(0).cloned(),
        "Dropout" => return Some(dropout(l, call)),
        "Cast" => call.x(0).and_then(|x| {
            call.ignore(&["saturate", "round_mode"]);
            let kind = call.kind("to", Kind::Float)?;
            cast(l, x, kind)
        }),
        "CastLike" => call.x(0).and_then(|x| {
            call.ignore(&["saturate", "round_mode"]);
            cast(l, x, call.x(1)?.kind())
        }),
        "Sign" => call.x(0).and_then(|x| {
            let zero = Constant::number(x.kind(), 0.0).into();
            let (above, below) = (l.arithmetic(Operation::Less, &zero, x)?, l.arithmetic(Operation::Less, x, &zero)?);
            l.sub(&above.of_kind(x.kind()), &below.of_kind(x.kind()))
        }),
        "IsNaN" => call.x(0).and_then(|x| {
            let same = l.arithmetic(Operation::Equal, x, x)?;
            l.not(&same)
        }),
        "IsInf" => infinite(l, call),
        "Clip" => clip(l, call),
        "HardSigmoid" => call.x(0).and_then(|x| {
            let scaled = l.with(Operation::Mul, x, call.float("alpha", 0.2))?;
            let shifted = l.with(Operation::Add, &scaled, call.float("beta", 0.5))?;
            between(l, &shifted, 0.0, 1.0)
        }),
        "ThresholdedRelu" => call.x(0).and_then(|x| {
            let alpha = Constant::number(Kind::Float, call.float("alpha", 1.0)).into();
            let above = l.arithmetic(Operation::Less, &alpha, x)?;
            l.choose(&above, x, &Constant::number(Kind::Float, 0.0).into())
        }),
        "Shrink" => shrink(l, call),
        "PRelu" => prelu(l, call),
        "Relu" => call.x(0).and_then(|x| l.apply(Relu, x, x.kind())),
        "Sigmoid" => activation(l, call, Sigmoid),
        "Tanh" => activation(l, call, Tanh),
        "Exp" => activation(l, call, Exp),
        "HardSwish" => activation(l, call, HardSwish),
        "Mish" => activation(l, call, Mish),
        "Softplus" => activation(l, call, Softplus::default()),
        "Softsign" => activation(l, call, Softsign),
        "Elu" => elu(l, call),
        "Celu" => activation(l, call, Celu { alpha: call.float("alpha", 1.0) as f32 }),
        "Selu" => selu(l, call),
        "LeakyRelu" => leaky(l, call),
        "Gelu" => match call.text("approximate", "none").as_str() {
            "none" => activation(l, call, Gelu),
            "tanh" => activation(l, call, GeluTanh),
            other => unsupported(format!("approximate = '{other}'")),
        },
        "Swish" => call.x(0).and_then(|x| swish(l, x, call.float("alpha", 1.0))),
        "Hardmax" => hardmax(l, call),
        _ => return None,
    })
}

fn function(op: &str) -> Option<Function> {
    Some(match op {
        "Abs" => Function::Abs,
        "Neg" => Function::Neg,
        "Reciprocal" => Function::Reciprocal,
        "Sqrt" => Function::Sqrt,
        "Log" => Function::Log,
        "Erf" => Function::Erf,
        "Sin" => Function::Sin,
        "Cos" => Function::Cos,
        "Tan" => Function::Tan,
        "Asin" => Function::Asin,
        "Acos" => Function::Acos,
        "Atan" => Function::Atan,
        "Sinh" => Function::Sinh,
        "Cosh" => Function::Cosh,
        "Asinh" => Function::Asinh,
        "Acosh" => Function::Acosh,
        "Atanh" => Function::Atanh,
        "Floor" => Function::Floor,
        "Ceil" => Function::Ceil,
        "Round" => Function::Round,
        _ => return None,
    })
}

/// Comparisons and logic, and whether the inputs change places.
fn operation(op: &str) -> Option<(Operation, bool)> {
    Some(match op {
        "Equal" => (Operation::Equal, false),
        "Less" => (Operation::Less, false),
        "LessOrEqual" => (Operation::LessOrEqual, false),
        "Greater" => (Operation::Less, true),
        "GreaterOrEqual" => (Operation::LessOrEqual, true),
        "And" => (Operation::Min, false),
        "Or" => (Operation::Max, false),
        "BitwiseAnd" => (Operation::BitAnd, false),
        "BitwiseOr" => (Operation::BitOr, false),
        "BitwiseXor" => (Operation::BitXor, false),
        _ => return None,
    })
}

fn two(l: &mut Lower, call: &Call, operation: Operation, swapped: bool) -> Result<Value> {
    let (x, y) = (call.x(0)?, call.x(1)?);
    if swapped { l.arithmetic(operation, y, x) } else { l.arithmetic(operation, x, y) }
}

fn arithmetic(l: &mut Lower, call: &Call) -> Result<Value> {
    let (x, y) = (call.x(0)?, call.x(1)?);
    let operation = match call.op() {
        "Add" => Operation::Add,
        "Sub" => Operation::Sub,
        "Mul" => Operation::Mul,
        "Div" => Operation::Div,
        _ => Operation::Pow,
    };
    let kind = x.kind();
    let power = l.arithmetic(operation, x, y)?;
    if operation == Operation::Pow && kind != Kind::Float {
        return l.apply(pellucid::ops::Elementwise { function: Function::Truncate }, &power, kind);
    }
    Ok(power)
}

fn modulo(l: &mut Lower, call: &Call) -> Result<Value> {
    let operation = if call.int("fmod", 0) == 1 { Operation::Remainder } else { Operation::Mod };
    l.arithmetic(operation, call.x(0)?, call.x(1)?)
}

fn exclusive(l: &mut Lower, call: &Call) -> Result<Value> {
    let same = l.arithmetic(Operation::Equal, call.x(0)?, call.x(1)?)?;
    l.not(&same)
}

fn shift(l: &mut Lower, call: &Call) -> Result<Value> {
    let (x, y) = (call.x(0)?, call.x(1)?);
    let two = Constant::number(x.kind(), 2.0).into();
    let power = l.arithmetic(Operation::Pow, &two, y)?;
    match call.text("direction", "").as_str() {
        "LEFT" => l.mul(x, &power),
        "RIGHT" => {
            let quotient = l.div(&x.clone().of_kind(Kind::Float), &power.of_kind(Kind::Float))?;
            l.apply(pellucid::ops::Elementwise { function: Function::Floor }, &quotient, x.kind())
        }
        other => invalid(format!("direction = '{other}'")),
    }
}

fn variadic(l: &mut Lower, call: &Call, operation: Operation) -> Result<Value> {
    let all = call.all()?;
    all[1..].iter().try_fold(all[0].clone(), |sum, next| l.arithmetic(operation, &sum, next))
}

/// The value as another kind.
pub fn cast(l: &mut Lower, x: &Value, kind: Kind) -> Result<Value> {
    match (x.kind(), kind) {
        (Kind::Float, Kind::Int { .. }) => {
            l.apply(pellucid::ops::Elementwise { function: Function::Truncate }, x, kind)
        }
        (from, Kind::Bool) if from != Kind::Bool => {
            let zero = l.arithmetic(Operation::Equal, x, &Constant::number(from, 0.0).into())?;
            l.not(&zero)
        }
        (Kind::Float, Kind::Float) => Ok(x.clone()),
        _ => Ok(x.clone().of_kind(kind)),
    }
}

fn infinite(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let is =
        |l: &mut Lower, value: f64| l.arithmetic(Operation::Equal, x, &Constant::number(Kind::Float, value).into());
    match (call.int("detect_positive", 1), call.int("detect_negative", 1)) {
        (0, 0) => l.filled(x, Kind::Bool, 0.0),
        (_, 0) => is(l, f64::INFINITY),
        (0, _) => is(l, f64::NEG_INFINITY),
        _ => {
            let (above, below) = (is(l, f64::INFINITY)?, is(l, f64::NEG_INFINITY)?);
            l.arithmetic(Operation::Max, &above, &below)
        }
    }
}

/// The value, or the nearer of two limits.
pub fn between(l: &mut Lower, x: &Value, low: f64, high: f64) -> Result<Value> {
    let above = l.with(Operation::Max, x, low)?;
    l.with(Operation::Min, &above, high)
}

fn clip(l: &mut Lower, call: &Call) -> Result<Value> {
    let mut x = call.x(0)?.clone();
    if let Some(low) = call.opt(1) {
        x = l.arithmetic(Operation::Max, &x, low)?;
    }
    if let Some(high) = call.opt(2) {
        x = l.arithmetic(Operation::Min, &x, high)?;
    }
    Ok(x)
}

fn shrink(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let (bias, limit) = (call.float("bias", 0.0), call.float("lambd", 0.5));
    let number = |value: f64| Value::from(Constant::number(x.kind(), value));
    let (less, more) = (l.with(Operation::Add, x, bias)?, l.with(Operation::Sub, x, bias)?);
    let below = l.arithmetic(Operation::Less, x, &number(-limit))?;
    let above = l.arithmetic(Operation::Less, &number(limit), x)?;
    let inner = l.choose(&above, &more, &number(0.0))?;
    l.choose(&below, &less, &inner)
}

fn prelu(l: &mut Lower, call: &Call) -> Result<Value> {
    let (x, slope) = (call.x(0)?, call.x(1)?);
    if let (Value::Flow(flow), Some(known)) = (x, slope.known())
        && flow.batch == Some(0)
        && x.kind() == Kind::Float
    {
        let size = known.len();
        // One slope for each channel, or one for all.
        let per_channel =
            x.rank() > 1 && size == x.dims()[1] && known.dims.len() + 1 == x.rank() && known.dims[0] == size;
        if size == 1 || per_channel {
            let id = l.parameter(known, &[size], pellucid::graph::Role::Scale)?;
            return l.flow(std::sync::Arc::new(Prelu), &[flow.id, id], flow.kind, flow.batch, flow.sources);
        }
    }
    let below = l.with(Operation::Less, x, 0.0)?;
    let scaled = l.mul(slope, x)?;
    l.choose(&below, &scaled, x)
}

fn activation(l: &mut Lower, call: &Call, op: impl pellucid::ops::Op + 'static) -> Result<Value> {
    let x = call.x(0)?;
    l.apply(op, x, x.kind())
}

fn elu(l: &mut Lower, call: &Call) -> Result<Value> {
    let alpha = call.float("alpha", 1.0);
    if alpha >= 0.0 {
        return activation(l, call, Elu { alpha: alpha as f32 });
    }
    exponential_below(l, call.x(0)?, alpha)
}

/// x above 0, else alpha · (exp x - 1).
fn exponential_below(l: &mut Lower, x: &Value, alpha: f64) -> Result<Value> {
    let power = l.apply(Exp, x, Kind::Float)?;
    let less = l.with(Operation::Sub, &power, 1.0)?;
    let scaled = l.with(Operation::Mul, &less, alpha)?;
    let below = l.with(Operation::Less, x, 0.0)?;
    l.choose(&below, &scaled, x)
}

fn selu(l: &mut Lower, call: &Call) -> Result<Value> {
    let (alpha, gamma) = (call.float("alpha", 1.673_263_2), call.float("gamma", 1.050_701));
    if alpha as f32 == 1.673_263_2 && gamma as f32 == 1.050_701 {
        return activation(l, call, Selu);
    }
    let x = exponential_below(l, call.x(0)?, alpha)?;
    l.with(Operation::Mul, &x, gamma)
}

fn leaky(l: &mut Lower, call: &Call) -> Result<Value> {
    let alpha = call.float("alpha", 0.01);
    if alpha >= 0.0 {
        return activation(l, call, LeakyRelu { negative_slope: alpha as f32 });
    }
    let x = call.x(0)?;
    let scaled = l.with(Operation::Mul, x, alpha)?;
    let below = l.with(Operation::Less, x, 0.0)?;
    l.choose(&below, &scaled, x)
}

/// x · σ(alpha · x)
pub fn swish(l: &mut Lower, x: &Value, alpha: f64) -> Result<Value> {
    if alpha == 1.0 {
        return l.apply(Silu, x, x.kind());
    }
    let scaled = l.with(Operation::Mul, x, alpha)?;
    let gate = l.apply(Sigmoid, &scaled, x.kind())?;
    l.mul(x, &gate)
}

fn hardmax(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let axis = call.axis("axis", -1, x.rank())?;
    let best = l.reduce_keep(Reduction::ArgMax, x, &[axis])?;
    let size = x.dims()[axis];
    let mut dims = vec![1; x.rank()];
    dims[axis] = size;
    let places = Constant { dims, ..Constant::whole(&[size], (0..size as i64).collect()) };
    let hit = l.arithmetic(Operation::Equal, &best, &places.into())?;
    Ok(hit.of_kind(Kind::Float))
}

fn dropout(l: &mut Lower, call: &Call) -> Result<Vec<Value>> {
    call.ignore(&["seed", "ratio"]);
    let x = call.x(0)?;
    let training = match call.opt(2) {
        Some(value) => l.need(value, "whether it drops")?.ints().first() == Some(&1),
        None => false,
    };
    let rate = match call.opt(1) {
        Some(value) => l.need(value, "the rate")?.narrow().first().copied().unwrap_or(0.5),
        None => call.float("ratio", 0.5) as f32,
    };
    if training && rate > 0.0 {
        return unsupported("training_mode: what is dropped is drawn by another program's numbers");
    }
    let y = match x {
        Value::Flow(_) if (0.0..=1.0).contains(&rate) => l.apply(Dropout { rate }, x, x.kind())?,
        _ => x.clone(),
    };
    let mut outputs = vec![y];
    if call.wants(1) {
        outputs.push(l.filled(x, Kind::Bool, 1.0)?);
    }
    Ok(outputs)
}
