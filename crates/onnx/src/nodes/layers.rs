//! Matrix products and convolutions.

use std::sync::Arc;

use pellucid::graph::Role;
use pellucid::ops::{Conv, ConvTranspose, Op, Operation};

use super::one;
use crate::call::Call;
use crate::constant::Constant;
use crate::error::Problem;
use crate::lower::{Flow, Lower, Result, Value, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    one(match call.op() {
        "MatMul" => call.x(0).and_then(|a| l.matmul(a, call.x(1)?)),
        "Gemm" => gemm(l, call),
        "Conv" => conv(l, call),
        "ConvTranspose" => conv_transpose(l, call),
        "CausalConvWithState" => return Some(causal_conv(l, call)),
        _ => return None,
    })
}

fn gemm(l: &mut Lower, call: &Call) -> Result<Value> {
    let (alpha, beta) = (call.float("alpha", 1.0), call.float("beta", 1.0));
    let (turn_a, turn_b) = (call.int("transA", 0) != 0, call.int("transB", 0) != 0);
    let turned = |l: &mut Lower, x: &Value, turn: bool| if turn { l.transpose(x, &[1, 0]) } else { Ok(x.clone()) };
    if call.x(0)?.rank() != 2 || call.x(1)?.rank() != 2 {
        return invalid("matrices are due");
    }
    let a = turned(l, call.x(0)?, turn_a)?;
    let bias = call.opt(2).filter(|_| beta != 0.0);
    let plain_bias = bias.is_none_or(|bias| {
        let units = call.x(1).map_or(0, |b| b.dims()[usize::from(!turn_b)]);
        bias.known().is_some_and(|known| known.len() == units && known.dims.last() == Some(&units))
    });
    if let (Value::Flow(flow), Some(_), true) = (&a, call.x(1)?.known(), alpha == 1.0 && beta == 1.0 && plain_bias)
        && flow.batch != Some(1)
    {
        let weight = turned(l, call.x(1)?, !turn_b)?;
        return l.dense(&a, &weight, bias);
    }
    let b = turned(l, call.x(1)?, turn_b)?;
    let mut y = l.matmul(&a, &b)?;
    if alpha != 1.0 {
        y = l.with(Operation::Mul, &y, alpha)?;
    }
    match bias {
        None => Ok(y),
        Some(bias) if beta == 1.0 => l.add(&y, bias),
        Some(bias) => {
            let bias = l.with(Operation::Mul, bias, beta)?;
            l.add(&y, &bias)
        }
    }
}

/// x [n, …] as rows of the graph: as it is where its batch is its first axis, without that axis where it has one row. Says
/// whether the axis is gone.
pub fn rows(l: &mut Lower, x: &Value) -> Result<(Value, bool)> {
    match (x.batch(), x.dims().first()) {
        (Some(0), _) => Ok((x.clone(), false)),
        (None, Some(1)) => Ok((l.reshape(x, &x.dims()[1..])?, true)),
        _ => Err(Problem::MixesBatch("its rows are not those of the batch".into())),
    }
}

/// The way back from [`rows`].
pub fn back(l: &mut Lower, y: &Value, gone: bool) -> Result<Value> {
    if gone { l.reshape(y, &[&[1], y.dims()].concat()) } else { Ok(y.clone()) }
}

/// The flow of rows; a network does not work on constants alone.
pub fn flow_of(l: &mut Lower, x: &Value) -> Result<Flow> {
    match x {
        Value::Flow(flow) => Ok(flow.clone()),
        Value::Known(_) => match l.flowing(x, None)? {
            Value::Flow(flow) => Ok(flow),
            Value::Known(_) => invalid("it works on constants"),
        },
    }
}

/// What goes around the input: before each axis, then behind each, from `pads` or `auto_pad`.
pub fn padding(call: &Call, input: &[usize], reach: &[usize], stride: &[usize]) -> Result<Vec<usize>> {
    let axes = input.len();
    let auto = call.text("auto_pad", "NOTSET");
    let given = call.sizes("pads", 2 * axes, 0)?;
    match auto.as_str() {
        "NOTSET" | "" => Ok(given),
        "VALID" => Ok(vec![0; 2 * axes]),
        "SAME_UPPER" | "SAME_LOWER" => {
            let mut padding = vec![0; 2 * axes];
            for axis in 0..axes {
                let output = input[axis].div_ceil(stride[axis].max(1));
                let covered = output.saturating_sub(1) * stride[axis] + reach[axis];
                let total = covered.saturating_sub(input[axis]);
                let (less, more) = (total / 2, total - total / 2);
                (padding[axis], padding[axis + axes]) = if auto == "SAME_UPPER" { (less, more) } else { (more, less) };
            }
            Ok(padding)
        }
        other => unsupported(format!("auto_pad = '{other}'")),
    }
}

/// The op applied to x with its weight, and with input 2 of the call as its bias, if there is one.
fn convolved(l: &mut Lower, call: &Call, op: impl Op + 'static, x: &Value, weight: &Constant) -> Result<Value> {
    let (x, gone) = rows(l, x)?;
    let flow = flow_of(l, &x)?;
    let mut ids = vec![flow.id, l.parameter(weight, &weight.dims, Role::Weight)?];
    if let Some(bias) = call.opt(2) {
        let bias = l.need(bias, "the bias")?.clone();
        ids.push(l.parameter(&bias, &bias.dims, Role::Bias)?);
    }
    let y = l.flow(Arc::new(op), &ids, flow.kind, flow.batch, flow.sources)?;
    back(l, &y, gone)
}

fn conv(l: &mut Lower, call: &Call) -> Result<Value> {
    let (x, weight) = (call.x(0)?, l.need(call.x(1)?, "the weight")?.clone());
    let axes = x.rank().saturating_sub(2);
    if weight.dims.len() != x.rank() || !(1..=2).contains(&axes) {
        return unsupported(format!(
            "a convolution of {:?} with {:?}: one or two axes behind the channels",
            x.dims(),
            weight.dims
        ));
    }
    let kernel = call.sizes("kernel_shape", axes, 0)?;
    if kernel.iter().any(|&size| size > 0) && kernel[..] != weight.dims[2..] {
        return invalid(format!("kernel_shape {kernel:?} of a weight {:?}", weight.dims));
    }
    let (stride, dilation) = (call.sizes("strides", axes, 1)?, call.sizes("dilations", axes, 1)?);
    let reach: Vec<usize> =
        (0..axes).map(|axis| dilation[axis] * weight.dims[axis + 2].saturating_sub(1) + 1).collect();
    let padding = padding(call, &x.dims()[2..], &reach, &stride)?;
    let op = Conv { stride, padding, dilation, groups: call.size("group", 1)? };
    convolved(l, call, op, x, &weight)
}

fn conv_transpose(l: &mut Lower, call: &Call) -> Result<Value> {
    let (x, weight) = (call.x(0)?, l.need(call.x(1)?, "the weight")?.clone());
    let axes = x.rank().saturating_sub(2);
    if weight.dims.len() != x.rank() || !(1..=2).contains(&axes) {
        return unsupported(format!("a transposed convolution of {:?}: one or two axes behind the channels", x.dims()));
    }
    call.ignore(&["kernel_shape"]);
    let (stride, dilation) = (call.sizes("strides", axes, 1)?, call.sizes("dilations", axes, 1)?);
    let mut output_padding = call.sizes("output_padding", axes, 0)?;
    let mut padding = call.sizes("pads", 2 * axes, 0)?;
    let full = |axis: usize, output_padding: &[usize]| {
        let reach = dilation[axis] * weight.dims[axis + 2].saturating_sub(1) + 1;
        stride[axis] * (x.dims()[axis + 2].max(1) - 1) + output_padding[axis] + reach
    };
    let auto = call.text("auto_pad", "NOTSET");
    let wanted = match call.ints("output_shape") {
        Some(shape) => Some(shape.iter().rev().take(axes).rev().map(|&size| size.max(0) as usize).collect::<Vec<_>>()),
        None if auto.starts_with("SAME") => Some((0..axes).map(|axis| x.dims()[axis + 2] * stride[axis]).collect()),
        None => None,
    };
    if let Some(wanted) = wanted.filter(|wanted| wanted.len() == axes) {
        for axis in 0..axes {
            let size = full(axis, &output_padding);
            output_padding[axis] += wanted[axis].saturating_sub(size);
            let total = size.saturating_sub(wanted[axis]);
            let (less, more) = (total / 2, total - total / 2);
            (padding[axis], padding[axis + axes]) = if auto == "SAME_UPPER" { (less, more) } else { (more, less) };
        }
    }
    // What an op cannot add behind the output, zeros behind the input's last patch, is cut off less.
    let op = ConvTranspose { stride, padding, output_padding, dilation, groups: call.size("group", 1)? };
    convolved(l, call, op, x, &weight)
}

/// A convolution of each channel that looks back only, behind the last steps of the window before.
fn causal_conv(l: &mut Lower, call: &Call) -> Result<Vec<Value>> {
    let (x, weight) = (call.x(0)?, l.need(call.x(1)?, "the weight")?.clone());
    let (&[_, channels, _], &[_, _, kernel]) = (x.dims(), &weight.dims[..]) else {
        return invalid("[batch, channels, steps] and a weight [channels, 1, kernel] are due");
    };
    let activation = call.text("activation", "none");
    if !["none", "silu", "swish"].contains(&activation.as_str()) {
        return unsupported(format!("activation = '{activation}'"));
    }
    let padded = match call.opt(3) {
        Some(past) => l.concatenate(&[past.clone(), x.clone()], 2)?,
        None => {
            let before = -(kernel as i64 - 1)..x.dims()[2] as i64;
            l.take(x, 2, before.map(|place| place.max(-1)).collect(), 0.0)?
        }
    };
    let length = padded.dims()[2] as i64;
    let state = l.take(&padded, 2, (length - kernel as i64 + 1..length).collect(), 0.0)?;
    let op = Conv { stride: vec![1], padding: vec![0, 0], dilation: vec![1], groups: channels };
    let mut y = convolved(l, call, op, &padded, &weight)?;
    if activation != "none" {
        y = super::functions::swish(l, &y, 1.0)?;
    }
    Ok(vec![y, state])
}
