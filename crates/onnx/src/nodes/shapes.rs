//! Sizes and constants: what a network says of the shapes of its values.

use pellucid::ops::Operation;

use super::one;
use crate::call::{self, Call};
use crate::constant::{Constant, Kind};
use crate::lower::{BATCH, Lower, Result, Value, count, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    one(match call.op() {
        "Constant" => constant(call),
        "ConstantOfShape" => filled(l, call),
        "Shape" => shape(call),
        "Size" => call.x(0).map(|x| of_batch(x, Constant::whole(&[], vec![count(x.dims()) as i64]))),
        "Range" => range(l, call),
        "EyeLike" => eye(call),
        "Reshape" => reshape(l, call),
        "Flatten" => flatten(l, call),
        "Squeeze" => squeeze(l, call),
        "Unsqueeze" => unsqueeze(l, call),
        "Expand" => expand(l, call),
        "NonZero" => non_zero(l, call),
        _ => return None,
    })
}

/// A constant that says something of the sizes of `x`.
fn of_batch(x: &Value, constant: Constant) -> Value {
    let of_batch = x.batch().is_some();
    Constant { of_batch, ..constant }.into()
}

fn constant(call: &Call) -> Result<Value> {
    if let Some(tensor) = call.tensor("value") {
        return Ok(tensor?.into());
    }
    if call.has("value_int") {
        return Ok(Constant::number(Kind::INT, call.int("value_int", 0) as f64).into());
    }
    if call.has("value_float") {
        return Ok(Constant::number(Kind::Float, call.float("value_float", 0.0)).into());
    }
    if let Some(values) = call.ints("value_ints") {
        return Ok(Constant::whole(&[values.len()], values).into());
    }
    if let Some(values) = call.floats("value_floats") {
        return Ok(Constant::floats(&[values.len()], values).into());
    }
    unsupported("a constant of text, or a sparse one")
}

/// Sizes that a known value gives.
pub fn sizes(l: &Lower, value: &Value, what: &str) -> Result<Vec<usize>> {
    let sizes = l.need(value, what)?.ints();
    match sizes.iter().map(|&size| usize::try_from(size).ok()).collect() {
        Some(sizes) => Ok(sizes),
        None => invalid(format!("{what} {sizes:?} must not be negative")),
    }
}

fn filled(l: &mut Lower, call: &Call) -> Result<Value> {
    let dims = sizes(l, call.x(0)?, "the sizes")?;
    let value = call.tensor("value").transpose()?.unwrap_or(Constant::number(Kind::Float, 0.0));
    let wide = value.wide().first().copied().unwrap_or(0.0);
    if let Some(batch) = dims.iter().position(|&size| size == BATCH) {
        let mut dims = dims;
        dims[batch] = 1;
        let one = Constant::of_wide(value.kind, &dims, vec![wide; limited(&dims)?]);
        return l.flowing(&one.into(), Some(batch));
    }
    // Weights of a network may be made so: they are larger than what is computed.
    if value.kind == Kind::Float && count(&dims) <= 1 << 27 {
        return Ok(Constant::floats(&dims, vec![wide as f32; count(&dims)]).into());
    }
    Ok(Constant::of_wide(value.kind, &dims, vec![wide; limited(&dims)?]).into())
}

/// How many values these sizes are, if they may be computed when a network is read.
pub fn limited(dims: &[usize]) -> Result<usize> {
    let values = count(dims);
    if values > 1 << 26 || dims.iter().any(|&size| size > 1 << 31) {
        return unsupported(format!("{dims:?} are too many values to compute when the network is read"));
    }
    Ok(values)
}

fn shape(call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let rank = x.rank() as i64;
    let limit = |given: i64| (if given < 0 { given + rank } else { given }).clamp(0, rank) as usize;
    let (start, end) = (limit(call.int("start", 0)), limit(call.int("end", rank)));
    let sizes: Vec<i64> = x.dims()[start..end.max(start)].iter().map(|&size| size as i64).collect();
    Ok(of_batch(x, Constant::whole(&[sizes.len()], sizes)))
}

fn range(l: &mut Lower, call: &Call) -> Result<Value> {
    call.ignore(&["stash_type"]);
    let kind = call.x(0)?.kind();
    let mut numbers = [0.0; 3];
    let mut of_batch = false;
    for (i, number) in numbers.iter_mut().enumerate() {
        let constant = l.need(call.x(i)?, "start, limit and step")?;
        of_batch |= constant.of_batch;
        *number = constant.wide().first().copied().unwrap_or(0.0);
    }
    let [start, limit, step] = numbers;
    let length = libm::ceil((limit - start) / step).max(0.0);
    if step == 0.0 || !length.is_finite() {
        return invalid(format!("numbers from {start} to {limit} by steps of {step}"));
    }
    let length = limited(&[length as usize])?;
    let values = (0..length).map(|i| start + i as f64 * step).collect();
    Ok(Constant { of_batch, ..Constant::of_wide(kind, &[length], values) }.into())
}

fn eye(call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let &[rows, columns] = x.dims() else { return invalid("a matrix is due") };
    let kind = call.kind("dtype", x.kind())?;
    let shift = call.int("k", 0);
    let values = limited(&[rows, columns])?;
    if x.batch().is_some() {
        return Err(crate::error::Problem::MixesBatch("it makes a matrix of the batch".into()));
    }
    let on = |place: usize| (place % columns) as i64 - (place / columns) as i64 == shift;
    Ok(Constant::of_wide(kind, &[rows, columns], (0..values).map(|place| f64::from(on(place))).collect()).into())
}

/// Sizes in which 0 may stand for the input's and -1 for what is left, as sizes for `x`.
fn target(x: &Value, wanted: &[i64], zero_is_kept: bool) -> Result<Vec<usize>> {
    let own = x.dims();
    let mut dims = Vec::new();
    for (i, &size) in wanted.iter().enumerate() {
        dims.push(match size {
            0 if zero_is_kept => match own.get(i) {
                Some(&size) => size,
                None => return invalid(format!("sizes {wanted:?}: the input has no axis {i}")),
            },
            -1 => usize::MAX,
            _ => match usize::try_from(size) {
                Ok(size) => size,
                Err(_) => return invalid(format!("sizes {wanted:?}")),
            },
        });
    }
    let total = count(own);
    if let Some(open) = dims.iter().position(|&size| size == usize::MAX) {
        let rest: Vec<usize> = dims.iter().copied().filter(|&size| size != usize::MAX).collect();
        let known = count(&rest);
        if known == 0 || rest.len() + 1 != dims.len() || !total.is_multiple_of(known) {
            return invalid(format!("{own:?} values do not become {wanted:?}"));
        }
        dims[open] = total / known;
    } else if x.batch() == Some(0)
        && !dims.contains(&BATCH)
        && !dims.is_empty()
        && count(&dims[1..]) == count(&own[1..])
    {
        // The network was written for a fixed number of rows.
        dims[0] = BATCH;
    }
    Ok(dims)
}

fn reshape(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let wanted = l.need(call.x(1)?, "the new sizes")?.ints();
    let dims = target(x, &wanted, call.int("allowzero", 0) == 0)?;
    l.reshape(x, &dims)
}

fn flatten(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let given = call.int("axis", 1);
    let axis = if given == x.rank() as i64 { x.rank() } else { call::axis(given, x.rank().max(1))? };
    let dims = [count(&x.dims()[..axis]), count(&x.dims()[axis..])];
    l.reshape(x, &dims)
}

/// Axes from input 1, or an attribute in older versions.
pub fn axes_of(l: &Lower, call: &Call) -> Result<Option<Vec<i64>>> {
    match call.opt(1) {
        Some(axes) => Ok(Some(l.need(axes, "the axes")?.ints())),
        None => Ok(call.ints("axes")),
    }
}

fn squeeze(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let axes = match axes_of(l, call)? {
        Some(axes) => call::axes(&axes, x.rank())?,
        None => (0..x.rank()).filter(|&axis| x.dims()[axis] == 1).collect(),
    };
    if let Some(axis) = axes.iter().find(|&&axis| x.dims()[axis] != 1) {
        if x.batch() == Some(*axis) {
            return Err(crate::error::Problem::MixesBatch("it takes the batch away".into()));
        }
        return invalid(format!("axis {axis} of {:?} is not of size 1", x.dims()));
    }
    let dims: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).map(|axis| x.dims()[axis]).collect();
    l.reshape(x, &dims)
}

fn unsqueeze(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let Some(axes) = axes_of(l, call)? else { return invalid("the axes are missing") };
    let rank = x.rank() + axes.len();
    let axes = call::axes(&axes, rank)?;
    let mut old = x.dims().iter().copied();
    let dims: Vec<usize> =
        (0..rank).map(|axis| if axes.contains(&axis) { 1 } else { old.next().unwrap_or(1) }).collect();
    l.reshape(x, &dims)
}

fn expand(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let wanted = sizes(l, call.x(1)?, "the new sizes")?;
    broadcast_to(l, x, &wanted)
}

/// The value broadcast against sizes.
pub fn broadcast_to(l: &mut Lower, x: &Value, wanted: &[usize]) -> Result<Value> {
    let rank = x.rank().max(wanted.len());
    let own = [&vec![1; rank - x.rank()][..], x.dims()].concat();
    let wanted = [&vec![1; rank - wanted.len()][..], wanted].concat();
    let mut y = l.reshape(x, &own)?;
    for axis in 0..rank {
        match (y.dims()[axis], wanted[axis]) {
            (_, 1) => {}
            (a, b) if a == b => {}
            (1, BATCH) if y.known().is_some() => y = l.flowing(&y, Some(axis))?,
            (1, size) => {
                limited(&[size])?;
                y = l.take(&y, axis, vec![0; size], 0.0)?;
            }
            (a, b) => return invalid(format!("axis {axis} of size {a} does not become {b}")),
        }
    }
    Ok(y)
}

fn non_zero(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = l.need(call.x(0)?, "which values are not 0, on which sizes depend,")?;
    let hits: Vec<usize> =
        x.wide().iter().enumerate().filter(|(_, value)| **value != 0.0).map(|(place, _)| place).collect();
    let mut values = Vec::new();
    for axis in 0..x.dims.len() {
        let inner = count(&x.dims[axis + 1..]);
        values.extend(hits.iter().map(|place| (place / inner % x.dims[axis]) as i64));
    }
    let of_batch = x.of_batch;
    Ok(Constant { of_batch, ..Constant::whole(&[x.dims.len(), hits.len()], values) }.into())
}

/// 0, 1, 2, … along `axis` of `rank` axes.
pub fn places(size: usize, axis: usize, rank: usize) -> Value {
    let mut dims = vec![1; rank];
    dims[axis] = size;
    Constant { dims, ..Constant::whole(&[size], (0..size as i64).collect()) }.into()
}

/// Negative numbers of places are counted from the end.
pub fn from_the_end(l: &mut Lower, indices: &Value, size: usize) -> Result<Value> {
    if let Value::Known(constant) = indices {
        let counted = constant.ints().iter().map(|&i| if i < 0 { i + size as i64 } else { i }).collect();
        let values = Constant::whole(&constant.dims, counted);
        return Ok(Constant { of_batch: constant.of_batch, ..values }.into());
    }
    l.with(Operation::Mod, indices, size as f64)
}
