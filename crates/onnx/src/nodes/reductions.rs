//! Many values to one, and what runs along an axis.

use pellucid::ops::{Exp, Function, Operation, Reduction, Top};

use super::movement::{gather_elements, mask};
use super::one;
use super::shapes::axes_of;
use crate::call::{self, Call};
use crate::constant::{Constant, Kind};
use crate::lower::{Lower, Result, Value, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    one(match call.op() {
        "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2"
        | "ReduceSumSquare" | "ReduceLogSum" | "ReduceLogSumExp" => reduce(l, call),
        "ArgMax" => place(l, call, Reduction::ArgMax),
        "ArgMin" => place(l, call, Reduction::ArgMin),
        "CumSum" => running(l, call),
        "CumProd" => running_product(l, call),
        "TopK" => return Some(top(l, call)),
        _ => return None,
    })
}

fn reduce(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let given = axes_of(l, call)?.unwrap_or_default();
    let noop = call.int("noop_with_empty_axes", 0) == 1;
    let keep = call.int("keepdims", 1) == 1;
    let axes = match given.is_empty() {
        true if noop => vec![],
        true => (0..x.rank()).collect(),
        false => call::axes(&given, x.rank())?,
    };
    let all = |l: &mut Lower, reduction: Reduction, x: &Value| {
        if keep { l.reduce_keep(reduction, x, &axes) } else { l.reduce(reduction, x, &axes) }
    };
    match call.op() {
        "ReduceSum" => all(l, Reduction::Sum, x),
        "ReduceMean" => all(l, Reduction::Mean, x),
        "ReduceMax" => all(l, Reduction::Max, x),
        "ReduceMin" => all(l, Reduction::Min, x),
        "ReduceProd" => all(l, Reduction::Product, x),
        "ReduceL1" => {
            let sizes = l.function(Function::Abs, x)?;
            all(l, Reduction::Sum, &sizes)
        }
        "ReduceLogSum" => {
            let sum = all(l, Reduction::Sum, x)?;
            l.function(Function::Log, &sum)
        }
        "ReduceLogSumExp" => {
            // exp of differences from the greatest value does not overflow.
            let most = l.reduce_keep(Reduction::Max, x, &axes)?;
            let bounded = super::functions::between(l, &most, f64::from(f32::MIN), f64::from(f32::MAX))?;
            let less = l.sub(x, &bounded)?;
            let powers = l.apply(Exp, &less, Kind::Float)?;
            let sum = l.reduce_keep(Reduction::Sum, &powers, &axes)?;
            let logarithm = l.function(Function::Log, &sum)?;
            let y = l.add(&logarithm, &bounded)?;
            if keep {
                return Ok(y);
            }
            let dims: Vec<usize> =
                (0..x.rank()).filter(|axis| !axes.contains(axis)).map(|axis| y.dims()[axis]).collect();
            l.reshape(&y, &dims)
        }
        _ => {
            let squares = l.mul(x, x)?;
            let sum = all(l, Reduction::Sum, &squares)?;
            if call.op() == "ReduceL2" { l.function(Function::Sqrt, &sum) } else { Ok(sum) }
        }
    }
}

fn place(l: &mut Lower, call: &Call, reduction: Reduction) -> Result<Value> {
    let x = call.x(0)?;
    let axis = call.axis("axis", 0, x.rank())?;
    let size = x.dims()[axis];
    let keep = call.int("keepdims", 1) == 1;
    let last = call.int("select_last_index", 0) == 1;
    let turned = if last { l.take(x, axis, (0..size as i64).rev().collect(), 0.0)? } else { x.clone() };
    let found = if keep { l.reduce_keep(reduction, &turned, &[axis])? } else { l.reduce(reduction, &turned, &[axis])? };
    if last {
        l.arithmetic(Operation::Sub, &Constant::number(Kind::INT, size as f64 - 1.0).into(), &found)
    } else {
        Ok(found)
    }
}

/// Sums along an axis so far: a product with a triangle of ones.
fn running(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let axis = l.need(call.x(1)?, "the axis")?.ints().first().copied().unwrap_or(0);
    let axis = call::axis(axis, x.rank())?;
    let (exclusive, reverse) = (call.int("exclusive", 0) == 1, call.int("reverse", 0) == 1);
    let size = x.dims()[axis];
    if size > 1 << 12 {
        return unsupported(format!("{size} sums along one axis"));
    }
    let ones = mask(size, size, |from, to| {
        let (from, to) = if reverse { (to, from) } else { (from, to) };
        from < to || (!exclusive && from == to)
    })?;
    let kind = x.kind();
    let last = l.move_axis(x, axis, x.rank() - 1)?;
    let sums = l.matmul(&last.of_kind(Kind::Float), &ones.of_kind(Kind::Float))?;
    Ok(l.move_axis(&sums, x.rank() - 1, axis)?.of_kind(kind))
}

/// Products along an axis so far, one after the other.
fn running_product(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let axis = l.need(call.x(1)?, "the axis")?.ints().first().copied().unwrap_or(0);
    let axis = call::axis(axis, x.rank())?;
    let (exclusive, reverse) = (call.int("exclusive", 0) == 1, call.int("reverse", 0) == 1);
    let size = x.dims()[axis];
    if size > 1 << 8 {
        return unsupported(format!("{size} products along one axis"));
    }
    let mut steps: Vec<Value> = Vec::new();
    for n in 0..size {
        let place = if reverse { size - 1 - n } else { n } as i64;
        let before = if reverse { place + 1 } else { place - 1 };
        let own = match (exclusive, n) {
            (true, 0) => {
                let any = l.take(x, axis, vec![place], 0.0)?;
                l.filled(&any, x.kind(), 1.0)?
            }
            (true, _) => l.take(x, axis, vec![before], 0.0)?,
            (false, _) => l.take(x, axis, vec![place], 0.0)?,
        };
        steps.push(match steps.last() {
            Some(product) => l.mul(product, &own)?,
            None => own,
        });
    }
    if reverse {
        steps.reverse();
    }
    l.concatenate(&steps, axis)
}

fn top(l: &mut Lower, call: &Call) -> Result<Vec<Value>> {
    call.ignore(&["sorted"]);
    let x = call.x(0)?;
    let count = l.need(call.x(1)?, "how many are taken")?.ints().first().copied().unwrap_or(0);
    let Ok(count) = usize::try_from(count) else { return invalid(format!("the {count} greatest values")) };
    let axis = call.axis("axis", -1, x.rank())?;
    if count == 0 {
        let none = l.take(x, axis, vec![], 0.0)?;
        return Ok(vec![none.clone(), none.of_kind(Kind::INT)]);
    }
    if x.batch() == Some(axis) {
        return Err(crate::error::Problem::MixesBatch("it compares rows".into()));
    }
    let last = l.move_axis(x, axis, x.rank() - 1)?;
    let places = l.apply(Top { count, largest: call.int("largest", 1) == 1 }, &last, Kind::INT)?;
    let values = gather_elements(l, &last, &places, x.rank() - 1)?;
    [values, places].into_iter().map(|y| l.move_axis(&y, x.rank() - 1, axis)).collect()
}
