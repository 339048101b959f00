//! Normalisation and softmax.

use std::sync::Arc;

use pellucid::graph::Role;
use pellucid::ops::{
    BatchNorm, Function, GroupNorm, LayerNorm, LogSoftmax, Op, Operation, Reduction, RmsNorm, Softmax,
};

use super::layers::{back, rows};
use super::one;
use crate::call::Call;
use crate::constant::{Constant, Kind};
use crate::error::Problem;
use crate::lower::{Lower, Result, Value, count, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    one(match call.op() {
        "Softmax" => soft(l, call, softmax),
        "LogSoftmax" => soft(l, call, log_softmax),
        "BatchNormalization" => return Some(batch_norm(l, call)),
        "InstanceNormalization" => instance_norm(l, call),
        "GroupNormalization" => group_norm(l, call),
        "LayerNormalization" => return Some(layer_norm(l, call)),
        "RMSNormalization" => rms_norm(l, call),
        "MeanVarianceNormalization" => mean_variance(l, call),
        "LpNormalization" => unit_length(l, call),
        "LRN" => local_response(l, call),
        _ => return None,
    })
}

/// Along an axis; before opset 13, over all axes from one on.
fn soft(l: &mut Lower, call: &Call, of: fn(&mut Lower, &Value, usize) -> Result<Value>) -> Result<Value> {
    let x = call.x(0)?;
    if call.opset >= 13 {
        let axis = call.axis("axis", -1, x.rank())?;
        return of(l, x, axis);
    }
    let axis = call.axis("axis", 1, x.rank())?;
    let flat = last_axes(x, axis)?;
    let rows = l.reshape(x, &flat)?;
    let y = of(l, &rows, axis)?;
    l.reshape(&y, x.dims())
}

/// An op for the last axis along another.
fn along(l: &mut Lower, x: &Value, axis: usize, op: impl pellucid::ops::Op + 'static) -> Result<Value> {
    if x.batch() == Some(axis) {
        return Err(Problem::MixesBatch("it works along the batch".into()));
    }
    let last = l.move_axis(x, axis, x.rank() - 1)?;
    let y = l.apply(op, &last, Kind::Float)?;
    l.move_axis(&y, x.rank() - 1, axis)
}

/// Softmax along an axis.
pub fn softmax(l: &mut Lower, x: &Value, axis: usize) -> Result<Value> {
    along(l, x, axis, Softmax)
}

/// Logarithms of the softmax along an axis.
pub fn log_softmax(l: &mut Lower, x: &Value, axis: usize) -> Result<Value> {
    along(l, x, axis, LogSoftmax)
}

/// Numbers of the channels as [channels, 1, …], for a value [batch, channels, …].
fn per_channel(l: &mut Lower, values: &Value, rank: usize) -> Result<Value> {
    let mut dims = vec![1; rank - 1];
    dims[0] = count(values.dims());
    l.reshape(values, &dims)
}

/// (x - mean) / √(variance + eps)
fn standardised(l: &mut Lower, x: &Value, mean: &Value, variance: &Value, eps: f64) -> Result<Value> {
    let centred = l.sub(x, mean)?;
    let shifted = l.with(Operation::Add, variance, eps)?;
    let spread = l.function(Function::Sqrt, &shifted)?;
    l.div(&centred, &spread)
}

/// Mean and variance along axes, which stay with size 1.
fn moments(l: &mut Lower, x: &Value, axes: &[usize]) -> Result<(Value, Value)> {
    let mean = l.reduce_keep(Reduction::Mean, x, axes)?;
    let centred = l.sub(x, &mean)?;
    let squares = l.mul(&centred, &centred)?;
    Ok((mean, l.reduce_keep(Reduction::Mean, &squares, axes)?))
}

fn batch_norm(l: &mut Lower, call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let eps = call.float("epsilon", 1e-5);
    let momentum = call.float("momentum", 0.9);
    let training = call.int("training_mode", 0) == 1;
    call.ignore(&["spatial"]);
    let known: Option<Vec<Constant>> = (1..5).map(|i| call.opt(i).and_then(|value| value.known().cloned())).collect();
    if let (Some(known), Value::Flow(flow), false) = (known, x, training)
        && flow.batch == Some(0)
        && x.rank() > 1
    {
        let roles = [Role::Scale, Role::Bias, Role::Statistic, Role::Statistic];
        let mut ids = vec![flow.id];
        for (constant, role) in known.iter().zip(roles) {
            ids.push(l.parameter(constant, &constant.dims, role)?);
        }
        let op = BatchNorm { eps: eps as f32, momentum: 1.0 - momentum as f32, fixed: false };
        return Ok(vec![l.flow(Arc::new(op), &ids, flow.kind, flow.batch, flow.sources)?]);
    }
    let [scale, bias, mean, variance] = [1, 2, 3, 4].map(|i| call.x(i).cloned());
    let (mut mean, mut variance) = (mean?, variance?);
    let mut outputs = Vec::new();
    if training {
        let axes: Vec<usize> = (0..x.rank()).filter(|&axis| axis != 1).collect();
        let (of_batch, spread) = moments(l, x, &axes)?;
        let sizes = [count(of_batch.dims())];
        let (of_batch, spread) = (l.reshape(&of_batch, &sizes)?, l.reshape(&spread, &sizes)?);
        for (running, new) in [(&mean, &of_batch), (&variance, &spread)] {
            let (old, new) = (l.with(Operation::Mul, running, momentum)?, l.with(Operation::Mul, new, 1.0 - momentum)?);
            outputs.push(l.add(&old, &new)?);
        }
        (mean, variance) = (of_batch, spread);
    }
    let rank = x.rank();
    let (mean, variance) = (per_channel(l, &mean, rank)?, per_channel(l, &variance, rank)?);
    let (scale, bias) = (per_channel(l, &scale?, rank)?, per_channel(l, &bias?, rank)?);
    let y = standardised(l, x, &mean, &variance, eps)?;
    let y = l.mul(&y, &scale)?;
    outputs.insert(0, l.add(&y, &bias)?);
    Ok(outputs)
}

/// Normalisation of groups of channels with a scale and a shift for each channel, both known.
fn groups(l: &mut Lower, x: &Value, groups: usize, eps: f64, scale: &Value, bias: &Value) -> Result<Value> {
    if let (Some(scale), Some(bias), Value::Flow(_)) = (scale.known(), bias.known(), x)
        && let Ok((rows, gone)) = rows(l, x)
        && let Value::Flow(flow) = &rows
    {
        let ids = [flow.id, l.parameter(scale, &scale.dims, Role::Scale)?, l.parameter(bias, &bias.dims, Role::Bias)?];
        let op = GroupNorm { groups, eps: eps as f32 };
        let y = l.flow(Arc::new(op), &ids, flow.kind, flow.batch, flow.sources)?;
        return back(l, &y, gone);
    }
    let dims = x.dims().to_vec();
    let [n, channels, ..] = dims[..] else { return invalid("[batch, channels, …] is due") };
    if groups == 0 || !channels.is_multiple_of(groups) {
        return invalid(format!("{channels} channels in {groups} groups"));
    }
    let parts = l.reshape(x, &[n, groups, count(&dims[1..]) / groups])?;
    let (mean, variance) = moments(l, &parts, &[2])?;
    let y = standardised(l, &parts, &mean, &variance, eps)?;
    let y = l.reshape(&y, &dims)?;
    let (scale, bias) = (per_channel(l, scale, dims.len())?, per_channel(l, bias, dims.len())?);
    let y = l.mul(&y, &scale)?;
    l.add(&y, &bias)
}

fn instance_norm(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let channels = x.dims().get(1).copied().unwrap_or(1);
    groups(l, x, channels, call.float("epsilon", 1e-5), call.x(1)?, call.x(2)?)
}

fn group_norm(l: &mut Lower, call: &Call) -> Result<Value> {
    call.ignore(&["stash_type"]);
    let x = call.x(0)?;
    let (scale, bias) = (call.x(1)?, call.x(2)?);
    if call.opset < 21 && count(scale.dims()) != x.dims().get(1).copied().unwrap_or(1) {
        return unsupported("a scale for each group, as before opset 21");
    }
    groups(l, x, call.size("num_groups", 1)?, call.float("epsilon", 1e-5), scale, bias)
}

/// Are the axes from `axis` on those of a row, so that they can be one?
fn last_axes(x: &Value, axis: usize) -> Result<Vec<usize>> {
    if x.batch().is_some_and(|batch| batch >= axis) {
        return Err(Problem::MixesBatch("it normalises over the batch".into()));
    }
    Ok([&x.dims()[..axis], &[count(&x.dims()[axis..])]].concat())
}

/// The op applied to x with its last axes as one.
fn on_last_axis(
    l: &mut Lower,
    x: &Value,
    flat: &[usize],
    op: impl Op + 'static,
    (scale, bias): (&Constant, Option<&Constant>),
) -> Result<Value> {
    let rows = l.reshape(x, flat)?;
    let Value::Flow(flow) = &rows else { return invalid("it works on constants") };
    let size = &flat[flat.len() - 1..];
    let mut ids = vec![flow.id, l.parameter(scale, size, Role::Scale)?];
    if let Some(bias) = bias {
        ids.push(l.parameter(bias, size, Role::Bias)?);
    }
    let y = l.flow(Arc::new(op), &ids, flow.kind, flow.batch, flow.sources)?;
    l.reshape(&y, x.dims())
}

fn layer_norm(l: &mut Lower, call: &Call) -> Result<Vec<Value>> {
    call.ignore(&["stash_type"]);
    let (x, scale) = (call.x(0)?, call.x(1)?);
    let axis = call.axis("axis", -1, x.rank())?;
    let eps = call.float("epsilon", 1e-5);
    let flat = last_axes(x, axis)?;
    let size = flat[axis];
    if let (Some(scale), Value::Flow(_), false) = (scale.known(), x, call.wants(1) || call.wants(2))
        && call.opt(2).is_none_or(|bias| bias.known().is_some_and(|bias| bias.len() == size))
        && scale.len() == size
    {
        let bias = call.opt(2).and_then(Value::known);
        return Ok(vec![on_last_axis(l, x, &flat, LayerNorm { eps: eps as f32 }, (scale, bias))?]);
    }
    let axes: Vec<usize> = (axis..x.rank()).collect();
    let (mean, variance) = moments(l, x, &axes)?;
    let mut y = standardised(l, x, &mean, &variance, eps)?;
    y = l.mul(&y, scale)?;
    if let Some(bias) = call.opt(2) {
        y = l.add(&y, bias)?;
    }
    let shifted = l.with(Operation::Add, &variance, eps)?;
    let spread = l.function(Function::Sqrt, &shifted)?;
    let inverse = l.function(Function::Reciprocal, &spread)?;
    Ok(vec![y, mean, inverse])
}

fn rms_norm(l: &mut Lower, call: &Call) -> Result<Value> {
    call.ignore(&["stash_type"]);
    let (x, scale) = (call.x(0)?, call.x(1)?);
    let axis = call.axis("axis", -1, x.rank())?;
    let eps = call.float("epsilon", 1e-5);
    let flat = last_axes(x, axis)?;
    let size = flat[axis];
    if let (Some(scale), Value::Flow(_)) = (scale.known(), x)
        && scale.len() == size
    {
        return on_last_axis(l, x, &flat, RmsNorm { eps: eps as f32 }, (scale, None));
    }
    let axes: Vec<usize> = (axis..x.rank()).collect();
    let squares = l.mul(x, x)?;
    let mean = l.reduce_keep(Reduction::Mean, &squares, &axes)?;
    let shifted = l.with(Operation::Add, &mean, eps)?;
    let spread = l.function(Function::Sqrt, &shifted)?;
    let y = l.div(x, &spread)?;
    l.mul(&y, scale)
}

fn mean_variance(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let axes = crate::call::axes(&call.ints("axes").unwrap_or(vec![0, 2, 3]), x.rank())?;
    let (mean, variance) = moments(l, x, &axes)?;
    let centred = l.sub(x, &mean)?;
    let spread = l.function(Function::Sqrt, &variance)?;
    let spread = l.with(Operation::Add, &spread, 1e-9)?;
    l.div(&centred, &spread)
}

fn unit_length(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let axis = call.axis("axis", -1, x.rank())?;
    let length = match call.int("p", 2) {
        1 => {
            let sizes = l.function(Function::Abs, x)?;
            l.reduce_keep(Reduction::Sum, &sizes, &[axis])?
        }
        2 => {
            let squares = l.mul(x, x)?;
            let sum = l.reduce_keep(Reduction::Sum, &squares, &[axis])?;
            l.function(Function::Sqrt, &sum)?
        }
        other => return unsupported(format!("p = {other}")),
    };
    let none = l.with(Operation::Equal, &length, 0.0)?;
    let length = l.choose(&none, &Constant::number(Kind::Float, 1.0).into(), &length)?;
    l.div(x, &length)
}

fn local_response(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let size = call.size("size", 1)?.max(1);
    let (alpha, beta, bias) = (call.float("alpha", 1e-4), call.float("beta", 0.75), call.float("bias", 1.0));
    let channels = x.dims().get(1).copied().unwrap_or(0) as i64;
    let squares = l.mul(x, x)?;
    let mut sum: Option<Value> = None;
    for shift in -((size as i64 - 1) / 2)..=(size as i64 / 2) {
        let place = |i: i64| if (0..channels).contains(&(i + shift)) { i + shift } else { -1 };
        let shifted = l.take(&squares, 1, (0..channels).map(place).collect(), 0.0)?;
        sum = Some(match sum {
            Some(sum) => l.add(&sum, &shifted)?,
            None => shifted,
        });
    }
    let Some(sum) = sum else { return invalid("size 0") };
    let scaled = l.with(Operation::Mul, &sum, alpha / size as f64)?;
    let shifted = l.with(Operation::Add, &scaled, bias)?;
    let power = l.with(Operation::Pow, &shifted, beta)?;
    l.div(x, &power)
}
