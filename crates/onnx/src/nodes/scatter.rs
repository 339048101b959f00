//! Values replaced or changed by number.

use pellucid::ops::{Scatter, ScatterMode};

use super::movement::{flat_places, nd_places, restore, table, with_batch};
use super::one;
use crate::call::Call;
use crate::constant::{Constant, Kind};
use crate::lower::{Lower, Result, Value, count, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    one(match call.op() {
        "ScatterElements" | "Scatter" => elements(l, call),
        "ScatterND" => rows(l, call),
        "MaxUnpool" => unpool(l, call),
        "TensorScatter" => cache(l, call),
        _ => return None,
    })
}

fn mode(call: &Call) -> Result<ScatterMode> {
    Ok(match call.text("reduction", "none").as_str() {
        "none" => ScatterMode::Set,
        "add" => ScatterMode::Add,
        "mul" => ScatterMode::Mul,
        "max" => ScatterMode::Max,
        "min" => ScatterMode::Min,
        other => return unsupported(format!("reduction = '{other}'")),
    })
}

fn elements(l: &mut Lower, call: &Call) -> Result<Value> {
    let (x, indices, updates) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let axis = call.axis("axis", 0, x.rank())?;
    let flat = flat_places(l, x, indices, axis)?;
    let (values, updates) = (table(l, x, 1)?, table(l, updates, 1)?);
    let y = l.apply_all(Scatter { mode: mode(call)? }, &[&values, &flat, &updates], x.kind())?;
    restore(l, &y, x.dims(), x.batch())
}

fn rows(l: &mut Lower, call: &Call) -> Result<Value> {
    let (x, indices, updates) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let (flat, width) = nd_places(l, x, indices, 0)?;
    let (values, updates) = (table(l, x, width)?, table(l, updates, width)?);
    let y = l.apply_all(Scatter { mode: mode(call)? }, &[&values, &flat, &updates], x.kind())?;
    restore(l, &y, x.dims(), x.batch())
}

fn unpool(l: &mut Lower, call: &Call) -> Result<Value> {
    let (x, indices) = (call.x(0)?, call.x(1)?);
    let axes = x.rank().saturating_sub(2);
    let kernel = call.sizes("kernel_shape", axes, 1)?;
    let (strides, pads) = (call.sizes("strides", axes, 1)?, call.sizes("pads", 2 * axes, 0)?);
    let mut dims = x.dims().to_vec();
    for axis in 0..axes {
        let full = (dims[axis + 2].max(1) - 1) * strides[axis] + kernel[axis];
        dims[axis + 2] = full.saturating_sub(pads[axis] + pads[axis + axes]);
    }
    if x.batch().is_some() {
        return Err(crate::error::Problem::MixesBatch("its numbers are places of the whole batch".into()));
    }
    super::shapes::limited(&dims)?;
    let zeros: Value = Constant::of_wide(Kind::Float, &[count(&dims), 1], vec![0.0; count(&dims)]).into();
    let (flat, updates) = (l.reshape(indices, &[count(x.dims())])?, table(l, x, 1)?);
    let y = l.apply_all(Scatter { mode: ScatterMode::Set }, &[&zeros, &flat, &updates], Kind::Float)?;
    let mut y = l.reshape(&y, &dims)?;
    // The numbers are places of these sizes; an output that is larger has zeros behind them.
    if let Some(target) = call.opt(2) {
        let target = super::shapes::sizes(l, target, "the sizes of the output")?;
        if dims.len() != target.len() {
            return invalid("the sizes of the output have other axes");
        }
        for (axis, &size) in target.iter().enumerate() {
            super::shapes::limited(&[size])?;
            let place = |i: usize| if i < dims[axis] { i as i64 } else { -1 };
            y = l.take(&y, axis, (0..size).map(place).collect(), 0.0)?;
        }
    }
    Ok(y)
}

/// Steps of a cache replaced from a place on.
fn cache(l: &mut Lower, call: &Call) -> Result<Value> {
    let (past, update) = (call.x(0)?, call.x(1)?);
    let axis = call.axis("axis", -2, past.rank())?;
    let (length, steps) = (past.dims()[axis], update.dims()[axis]);
    let rank = past.rank();
    let mut start = match call.opt(2) {
        Some(start) => start.clone(),
        None => Constant::whole(&[1], vec![0]).into(),
    };
    let mut dims = vec![1; rank];
    dims[0] = start.dims()[0];
    start = l.reshape(&start, &dims)?;
    let mut places = l.add(&start, &super::shapes::places(steps, axis, rank))?;
    match call.text("mode", "linear").as_str() {
        "linear" => {}
        "circular" => places = l.with(pellucid::ops::Operation::Mod, &places, length as f64)?,
        other => return unsupported(format!("mode = '{other}'")),
    }
    let places = super::shapes::broadcast_to(l, &places, update.dims())?;
    let flat = flat_places(l, past, &places, axis)?;
    let (values, updates) = (table(l, past, 1)?, table(l, update, 1)?);
    let dims = with_batch(&values, &[count(&values.dims()[usize::from(values.batch().is_some())..]), 1]);
    let values = l.reshape(&values, &dims)?;
    let y = l.apply_all(Scatter { mode: ScatterMode::Set }, &[&values, &flat, &updates], past.kind())?;
    restore(l, &y, past.dims(), past.batch())
}
