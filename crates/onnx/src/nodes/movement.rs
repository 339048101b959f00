//! Values that move: other orders, parts, repetition, borders, rows by number.

use pellucid::graph::Role;
use pellucid::ops::{Embedding, Lookup, Operation, Reduction};

use super::one;
use super::shapes::{from_the_end, limited, places, sizes};
use crate::call::{self, Call};
use crate::constant::{Constant, Kind};
use crate::error::Problem;
use crate::lower::{BATCH, Lower, Result, Value, count, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    one(match call.op() {
        "Transpose" => transpose(l, call),
        "Concat" => concatenate(l, call),
        "Split" => return Some(split(l, call)),
        "Slice" => slice(l, call),
        "Gather" => call.x(0).and_then(|x| {
            let axis = call.axis("axis", 0, x.rank())?;
            gather(l, x, call.x(1)?, axis)
        }),
        "GatherElements" => call.x(0).and_then(|x| {
            let axis = call.axis("axis", 0, x.rank())?;
            gather_elements(l, x, call.x(1)?, axis)
        }),
        "GatherND" => gather_nd(l, call),
        "Tile" => tile(l, call),
        "Pad" => pad(l, call),
        "DepthToSpace" => depth_to_space(l, call),
        "SpaceToDepth" => space_to_depth(l, call),
        "Trilu" => triangle(l, call),
        "ReverseSequence" => reverse_sequence(l, call),
        "CenterCropPad" => centre(l, call),
        "Compress" => compress(l, call),
        "OneHot" => one_hot(l, call),
        _ => return None,
    })
}

fn transpose(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let order = match call.ints("perm") {
        Some(order) => order.iter().map(|&one| call::axis(one, x.rank())).collect::<Result<Vec<usize>>>()?,
        None => (0..x.rank()).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..x.rank()) {
        return invalid(format!("perm {order:?} of {} axes", x.rank()));
    }
    l.transpose(x, &order)
}

fn concatenate(l: &mut Lower, call: &Call) -> Result<Value> {
    let all: Vec<Value> = call.all()?.into_iter().cloned().collect();
    let axis = call.axis("axis", 0, all[0].rank())?;
    l.concatenate(&all, axis)
}

fn split(l: &mut Lower, call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let axis = call.axis("axis", 0, x.rank())?;
    let size = x.dims()[axis];
    let parts = match call.opt(1) {
        Some(parts) => sizes(l, parts, "the parts")?,
        None => {
            let count = call.size("num_outputs", call.node.output.len())?.max(1);
            let part = size.div_ceil(count);
            (0..count).map(|i| part.min(size.saturating_sub(i * part))).collect()
        }
    };
    if parts.iter().try_fold(0usize, |sum, &part| sum.checked_add(part)) != Some(size) {
        return invalid(format!("parts of {parts:?} of an axis of size {size}"));
    }
    if x.batch() == Some(axis) {
        return Err(Problem::MixesBatch("it cuts the batch in parts".into()));
    }
    let mut start = 0;
    let mut outputs = Vec::new();
    for part in parts {
        outputs.push(l.take(x, axis, (start as i64..(start + part) as i64).collect(), 0.0)?);
        start += part;
    }
    Ok(outputs)
}

fn slice(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let list = |index: usize, what: &str| match call.opt(index) {
        Some(value) => l.need(value, what).map(|constant| Some(constant.ints())),
        None => Ok(None),
    };
    let (starts, ends) = (list(1, "the starts")?.unwrap_or_default(), list(2, "the ends")?.unwrap_or_default());
    let axes = list(3, "the axes")?.unwrap_or((0..starts.len() as i64).collect());
    let steps = list(4, "the steps")?.unwrap_or(vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return invalid("starts, ends, axes and steps are not as many");
    }
    let mut y = x.clone();
    for i in 0..starts.len() {
        let axis = call::axis(axes[i], x.rank())?;
        let size = y.dims()[axis] as i64;
        let (start, end, step) = (starts[i], ends[i], steps[i]);
        let from_the_end = |place: i64| if place < 0 { place.saturating_add(size) } else { place };
        let (start, end) = match step {
            0 => return invalid("a step of 0"),
            1.. => (from_the_end(start).clamp(0, size), from_the_end(end).clamp(0, size)),
            _ => (from_the_end(start).clamp(-1, size - 1), from_the_end(end).clamp(-1, size - 1)),
        };
        if step == 1 && start == 0 && end == size {
            continue;
        }
        if y.batch() == Some(axis) {
            return Err(Problem::MixesBatch("it takes some rows of the batch".into()));
        }
        let mut taken = Vec::new();
        let mut place = start;
        while (step > 0 && place < end) || (step < 0 && place > end) {
            taken.push(place);
            place += step;
        }
        y = l.take(&y, axis, taken, 0.0)?;
    }
    Ok(y)
}

/// Positions along an axis by number.
pub fn gather(l: &mut Lower, x: &Value, indices: &Value, axis: usize) -> Result<Value> {
    let size = x.dims()[axis];
    let dims = [&x.dims()[..axis], indices.dims(), &x.dims()[axis + 1..]].concat();
    if let Value::Known(constant) = indices {
        let wrap = |i: i64| if i < 0 { i + size as i64 } else { i };
        let taken: Vec<i64> = constant.ints().into_iter().map(wrap).collect();
        if let Some(wrong) = taken.iter().find(|place| !(0..size as i64).contains(place)) {
            return invalid(format!("place {wrong} of an axis of size {size}"));
        }
        let taken = l.take(x, axis, taken, 0.0)?;
        return l.reshape(&taken, &dims);
    }
    if x.batch().is_some() {
        return Err(Problem::MixesBatch("rows take parts of all rows".into()));
    }
    // The axis in front, everything else a row of the table.
    let front = l.move_axis(x, axis, 0)?;
    let rest = front.dims()[1..].to_vec();
    let table = l.reshape(&front, &[size, count(&rest)])?;
    let rows = match &table {
        Value::Known(constant) => {
            let Value::Flow(flow) = indices else { return invalid("places") };
            let weight = l.parameter(constant, &constant.dims, Role::Weight)?;
            l.flow(std::sync::Arc::new(Embedding), &[flow.id, weight], x.kind(), flow.batch, flow.sources)?
        }
        Value::Flow(_) => {
            let indices = from_the_end(l, indices, size)?;
            l.apply_all(Lookup, &[&table, &indices], x.kind())?
        }
    };
    let place = indices.rank();
    let rows = l.reshape(&rows, &[indices.dims(), &rest].concat())?;
    // The axes of the numbers go where the axis was.
    let order: Vec<usize> = (place..place + axis).chain(0..place).chain(place + axis..rows.rank()).collect();
    l.transpose(&rows, &order)
}

/// A value whose batch is its first axis, if it has one.
fn batch_first(l: &mut Lower, x: &Value) -> Result<Value> {
    match x.batch() {
        Some(batch) => l.move_axis(x, batch, 0),
        None => Ok(x.clone()),
    }
}

/// Sizes of a row: all axes but the batch.
fn row_dims(dims: &[usize], batch: Option<usize>) -> Vec<usize> {
    dims.iter().enumerate().filter(|(i, _)| Some(*i) != batch).map(|(_, &size)| size).collect()
}

/// `dims` of a row with the batch in front, if there is one.
pub fn with_batch(x: &Value, dims: &[usize]) -> Vec<usize> {
    if x.batch().is_some() { [&[BATCH], dims].concat() } else { dims.to_vec() }
}

/// Places of elements in a row of `x`, from numbers along `axis`: [m].
pub fn flat_places(l: &mut Lower, x: &Value, indices: &Value, axis: usize) -> Result<Value> {
    if indices.rank() != x.rank() || indices.batch() != x.batch() && indices.known().is_none() && x.known().is_none() {
        return Err(Problem::MixesBatch("numbers and values have their rows along different axes".into()));
    }
    if x.batch() == Some(axis) {
        return Err(Problem::MixesBatch("it takes values of other rows".into()));
    }
    let batch = x.batch().or(indices.batch());
    let wrapped = from_the_end(l, indices, x.dims()[axis])?;
    let row = row_dims(x.dims(), batch);
    exact(count(&row))?;
    let mut offset = vec![0i64; limited(&row_dims(indices.dims(), batch))?];
    let own = row_dims(indices.dims(), batch);
    let axis_in_row = axis - usize::from(batch.is_some_and(|batch| batch < axis));
    for other in (0..row.len()).filter(|&other| other != axis_in_row) {
        let (inner, stride) = (count(&own[other + 1..]), count(&row[other + 1..]) as i64);
        offset
            .iter_mut()
            .enumerate()
            .for_each(|(place, offset)| *offset += (place / inner % own[other]) as i64 * stride);
    }
    let scaled = l.with(Operation::Mul, &wrapped, count(&row[axis_in_row + 1..]) as f64)?;
    let mut dims = indices.dims().to_vec();
    if let Some(batch) = batch {
        dims[batch] = 1;
    }
    let flat = l.add(&scaled, &Constant { dims, ..Constant::whole(&[], offset) }.into())?;
    let flat = batch_first(l, &flat)?;
    let dims = with_batch(&flat, &[count(&own)]);
    l.reshape(&flat, &dims)
}

/// Places are exact in f32 only up to 2²⁴.
fn exact(places: usize) -> Result<()> {
    if places > 1 << 24 { unsupported(format!("{places} places are more than can be told apart")) } else { Ok(()) }
}

/// x as rows of `width` values: [(batch,) n, width].
pub fn table(l: &mut Lower, x: &Value, width: usize) -> Result<Value> {
    let front = batch_first(l, x)?;
    let row = row_dims(x.dims(), x.batch());
    let dims = with_batch(&front, &[count(&row) / width.max(1), width]);
    l.reshape(&front, &dims)
}

/// One element for each number.
pub fn gather_elements(l: &mut Lower, x: &Value, indices: &Value, axis: usize) -> Result<Value> {
    let flat = flat_places(l, x, indices, axis)?;
    let values = table(l, x, 1)?;
    let taken = l.apply_all(Lookup, &[&values, &flat], x.kind())?;
    restore(l, &taken, indices.dims(), indices.batch().or(x.batch()))
}

/// The values in sizes that have their batch where it was.
pub fn restore(l: &mut Lower, x: &Value, dims: &[usize], batch: Option<usize>) -> Result<Value> {
    let Some(batch) = batch.filter(|_| x.batch().is_some()) else { return l.reshape(x, dims) };
    let front = l.reshape(x, &[&[BATCH], &row_dims(dims, Some(batch))[..]].concat())?;
    l.move_axis(&front, 0, batch)
}

/// Rows of `x` by several numbers each: places [(batch,) m], and the width of a row.
pub fn nd_places(l: &mut Lower, x: &Value, indices: &Value, leading: usize) -> Result<(Value, usize)> {
    let Some((&depth, outer)) = indices.dims().split_last() else { return invalid("numbers without axes") };
    if depth == 0 || leading + depth > x.rank() || leading > outer.len() {
        return invalid(format!("{depth} numbers and {leading} batch axes for {} axes", x.rank()));
    }
    if indices.batch() != x.batch() || x.batch().is_some_and(|batch| batch != 0 || leading == 0) {
        return Err(Problem::MixesBatch("rows take parts of all rows".into()));
    }
    let sizes = &x.dims()[leading..leading + depth];
    let vector = |values: Vec<i64>| Value::from(Constant::whole(&[depth], values));
    let wrapped = l.arithmetic(Operation::Mod, indices, &vector(sizes.iter().map(|&size| size as i64).collect()))?;
    let strides = (0..depth).map(|i| count(&sizes[i + 1..]) as i64).collect();
    let scaled = l.mul(&wrapped, &vector(strides))?;
    let mut flat = l.reduce(Reduction::Sum, &scaled, &[outer.len()])?;
    // Leading axes that are no batch of the graph count too.
    let mut stride = count(sizes);
    for axis in (0..leading).rev().filter(|&axis| x.batch() != Some(axis)) {
        let size = x.dims()[axis];
        let offset = l.with(Operation::Mul, &places(size, axis, outer.len()), stride as f64)?;
        flat = l.add(&flat, &offset)?;
        stride *= size;
    }
    let width = count(&x.dims()[leading + depth..]);
    exact(stride)?;
    let own = count(&row_dims(outer, x.batch()));
    let dims = with_batch(&flat, &[own]);
    Ok((l.reshape(&flat, &dims)?, width))
}

fn gather_nd(l: &mut Lower, call: &Call) -> Result<Value> {
    let (x, indices) = (call.x(0)?, call.x(1)?);
    let leading = call.size("batch_dims", 0)?;
    let (flat, width) = nd_places(l, x, indices, leading)?;
    let rows = table(l, x, width)?;
    let taken = l.apply_all(Lookup, &[&rows, &flat], x.kind())?;
    let depth = indices.dims()[indices.rank() - 1];
    let dims = [&indices.dims()[..indices.rank() - 1], &x.dims()[leading + depth..]].concat();
    l.reshape(&taken, &dims)
}

fn tile(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let repeats = sizes(l, call.x(1)?, "the repeats")?;
    if repeats.len() != x.rank() {
        return invalid(format!("{} repeats for {} axes", repeats.len(), x.rank()));
    }
    let mut y = x.clone();
    for (axis, &repeat) in repeats.iter().enumerate().filter(|(_, repeat)| **repeat != 1) {
        let size = y.dims()[axis];
        let total = limited(&[size, repeat])?;
        y = l.take(&y, axis, (0..total).map(|place| (place % size) as i64).collect(), 0.0)?;
    }
    Ok(y)
}

fn pad(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let pads = l.need(call.x(1)?, "the border")?.ints();
    let axes = match call.opt(3) {
        Some(axes) => {
            let axes = l.need(axes, "the axes")?.ints();
            axes.iter().map(|&one| call::axis(one, x.rank())).collect::<Result<Vec<usize>>>()?
        }
        None => (0..x.rank()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return invalid(format!("{} borders for {} axes", pads.len(), axes.len()));
    }
    let fill = match call.opt(2) {
        Some(value) => l.need(value, "the value of the border")?.narrow().first().copied().unwrap_or(0.0),
        None => 0.0,
    };
    let mode = call.text("mode", "constant");
    let mut y = x.clone();
    for (i, &axis) in axes.iter().enumerate() {
        let (before, after) = (pads[i], pads[i + axes.len()]);
        if before == 0 && after == 0 {
            continue;
        }
        let size = y.dims()[axis] as i64;
        limited(&[(size + before.max(0)).max(0) as usize, 1])?;
        limited(&[(size + after.max(0)).max(0) as usize, 1])?;
        let place = |place: i64| -> Option<i64> {
            if (0..size).contains(&place) {
                return Some(place);
            }
            Some(match mode.as_str() {
                "constant" => -1,
                "edge" => place.clamp(0, size - 1),
                "wrap" => place.rem_euclid(size.max(1)),
                "reflect" if size > 1 => {
                    let period = 2 * (size - 1);
                    let within = place.rem_euclid(period);
                    within.min(period - within)
                }
                _ => return None,
            })
        };
        let Some(taken) = (-before..size + after).map(place).collect() else {
            return unsupported(format!("mode = '{mode}' of an axis of size {size}"));
        };
        y = l.take(&y, axis, taken, fill)?;
    }
    Ok(y)
}

fn depth_to_space(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let block = call.size("blocksize", 1)?.max(1);
    let &[n, c, h, w] = x.dims() else { return invalid("[batch, channels, height, width] is due") };
    let inner = c / (block * block).max(1);
    let (dims, order) = match call.text("mode", "DCR").as_str() {
        "DCR" => ([n, block, block, inner, h, w], [0, 3, 4, 1, 5, 2]),
        "CRD" => ([n, inner, block, block, h, w], [0, 1, 4, 2, 5, 3]),
        other => return unsupported(format!("mode = '{other}'")),
    };
    let parts = l.reshape(x, &dims)?;
    let moved = l.transpose(&parts, &order)?;
    l.reshape(&moved, &[n, inner, h * block, w * block])
}

fn space_to_depth(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let block = call.size("blocksize", 1)?.max(1);
    let &[n, c, h, w] = x.dims() else { return invalid("[batch, channels, height, width] is due") };
    let parts = l.reshape(x, &[n, c, h / block, block, w / block, block])?;
    let order = match call.text("mode", "DCR").as_str() {
        "DCR" => [0, 3, 5, 1, 2, 4],
        "CRD" => [0, 1, 3, 5, 2, 4],
        other => return unsupported(format!("mode = '{other}'")),
    };
    let moved = l.transpose(&parts, &order)?;
    l.reshape(&moved, &[n, c * block * block, h / block, w / block])
}

/// 1 where row and column of [rows, columns] fulfil `holds`.
pub fn mask(rows: usize, columns: usize, holds: impl Fn(i64, i64) -> bool) -> Result<Value> {
    let values = limited(&[rows, columns])?;
    let on = |place: usize| holds((place / columns) as i64, (place % columns) as i64);
    Ok(Constant::of_wide(Kind::Bool, &[rows, columns], (0..values).map(|place| f64::from(on(place))).collect()).into())
}

fn triangle(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let shift = match call.opt(1) {
        Some(value) => l.need(value, "the diagonal")?.ints().first().copied().unwrap_or(0),
        None => 0,
    };
    let [.., rows, columns] = *x.dims() else { return invalid("a matrix is due") };
    if x.batch().is_some_and(|batch| batch + 2 >= x.rank()) {
        return Err(Problem::MixesBatch("it takes a triangle of the batch".into()));
    }
    let upper = call.int("upper", 1) != 0;
    let mask = mask(rows, columns, |i, j| if upper { j - i >= shift } else { j - i <= shift })?;
    if x.dims().contains(&0) {
        return Ok(x.clone());
    }
    l.choose(&mask, x, &Constant::number(x.kind(), 0.0).into())
}

fn reverse_sequence(l: &mut Lower, call: &Call) -> Result<Value> {
    let (x, lengths) = (call.x(0)?, call.x(1)?);
    let (batch, time) = (call.axis("batch_axis", 1, x.rank())?, call.axis("time_axis", 0, x.rank())?);
    let mut dims = vec![1; x.rank()];
    dims[batch] = x.dims()[batch];
    let lengths = l.reshape(lengths, &dims)?;
    let steps = places(x.dims()[time], time, x.rank());
    let within = l.arithmetic(Operation::Less, &steps, &lengths)?;
    let last = l.with(Operation::Sub, &lengths, 1.0)?;
    let mirrored = l.sub(&last, &steps)?;
    let taken = l.choose(&within, &mirrored, &steps)?;
    let taken = super::shapes::broadcast_to(l, &taken, x.dims())?;
    gather_elements(l, x, &taken, time)
}

fn centre(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let wanted = sizes(l, call.x(1)?, "the new sizes")?;
    let axes = match call.ints("axes") {
        Some(axes) => axes.iter().map(|&one| call::axis(one, x.rank())).collect::<Result<Vec<usize>>>()?,
        None => (0..x.rank()).collect(),
    };
    if wanted.len() != axes.len() {
        return invalid(format!("{} sizes for {} axes", wanted.len(), axes.len()));
    }
    let mut y = x.clone();
    for (&axis, &size) in axes.iter().zip(&wanted) {
        limited(&[size])?;
        let (own, size) = (y.dims()[axis] as i64, size as i64);
        let start = if size < own { (own - size) / 2 } else { -((size - own) / 2) };
        let place = |i: i64| if (0..own).contains(&(start + i)) { start + i } else { -1 };
        y = l.take(&y, axis, (0..size).map(place).collect(), 0.0)?;
    }
    Ok(y)
}

fn compress(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let kept = l.need(call.x(1)?, "which values are kept, on which sizes depend,")?.ints();
    let (x, axis) = match call.has("axis") {
        true => (x.clone(), call.axis("axis", 0, x.rank())?),
        false => (l.reshape(x, &[count(x.dims())])?, 0),
    };
    let size = x.dims()[axis];
    let taken =
        kept.iter().take(size).enumerate().filter(|(_, kept)| **kept != 0).map(|(place, _)| place as i64).collect();
    l.take(&x, axis, taken, 0.0)
}

fn one_hot(l: &mut Lower, call: &Call) -> Result<Value> {
    let (indices, values) = (call.x(0)?, call.x(2)?);
    let depth = l.need(call.x(1)?, "the depth")?.ints().first().copied().unwrap_or(0);
    let depth = limited(&[usize::try_from(depth).or_else(|_| invalid("a negative depth"))?])?;
    let rank = indices.rank() + 1;
    let axis = call.axis("axis", -1, rank)?;
    let mut dims = indices.dims().to_vec();
    dims.insert(axis, 1);
    let numbers = l.reshape(indices, &dims)?.of_kind(Kind::INT);
    let steps = places(depth, axis, rank);
    let from_the_end = l.with(Operation::Sub, &steps, depth as f64)?;
    let (hit, back) =
        (l.arithmetic(Operation::Equal, &numbers, &steps)?, l.arithmetic(Operation::Equal, &numbers, &from_the_end)?);
    let hit = l.arithmetic(Operation::Max, &hit, &back)?;
    let [off, on] = [0, 1].map(|place| l.take(values, 0, vec![place], 0.0).and_then(|one| l.reshape(&one, &[])));
    l.choose(&hit, &on?, &off?)
}
