//! Attention and what belongs to it, from matrix products and a softmax.

use pellucid::ops::{Operation, Reduction, Tanh};

use super::functions::{cast, swish};
use super::movement::gather;
use super::normalise::softmax;
use super::one;
use super::shapes::places;
use crate::call::Call;
use crate::constant::{Constant, Kind};
use crate::lower::{Lower, Result, Value, count, invalid};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    match call.op() {
        "Attention" => Some(attention(l, call)),
        "RotaryEmbedding" => one(rotary(l, call)),
        "SwiGLU" => one(call.x(0).and_then(|a| {
            let gate = swish(l, a, call.float("alpha", 1.0))?;
            l.mul(&gate, call.x(1)?)
        })),
        _ => None,
    }
}

/// [batch, steps, heads · size] → [batch, heads, steps, size]
fn heads(l: &mut Lower, x: &Value, heads: usize) -> Result<Value> {
    if x.rank() == 4 {
        return Ok(x.clone());
    }
    let &[batch, steps, width] = x.dims() else { return invalid("[batch, steps, width] is due") };
    if heads == 0 || !width.is_multiple_of(heads) {
        return invalid(format!("{heads} heads of a width of {width}"));
    }
    let parts = l.reshape(x, &[batch, steps, heads, width / heads])?;
    l.transpose(&parts, &[0, 2, 1, 3])
}

/// 0 where `allowed` holds, else -∞.
fn bias_of(l: &mut Lower, allowed: &Value) -> Result<Value> {
    let number = |value: f64| Value::from(Constant::number(Kind::Float, value));
    l.choose(allowed, &number(0.0), &number(f64::NEG_INFINITY))
}

fn joined(l: &mut Lower, bias: Option<Value>, more: Value) -> Result<Option<Value>> {
    Ok(Some(match bias {
        Some(bias) => l.add(&bias, &more)?,
        None => more,
    }))
}

fn attention(l: &mut Lower, call: &Call) -> Result<Vec<Value>> {
    call.ignore(&["softmax_precision"]);
    let (query_heads, key_heads) = (call.size("q_num_heads", 0)?, call.size("kv_num_heads", 0)?);
    let flat = call.x(0)?.rank() == 3;
    let q = heads(l, call.x(0)?, query_heads)?;
    let (mut k, mut v) = (heads(l, call.x(1)?, key_heads)?, heads(l, call.x(2)?, key_heads)?);
    let mut offset: Value = Constant::whole(&[], vec![0]).into();
    if let (Some(past_k), Some(past_v)) = (call.opt(4), call.opt(5)) {
        offset = Constant::whole(&[], vec![past_k.dims()[2] as i64]).into();
        k = l.concatenate(&[past_k.clone(), k], 2)?;
        v = l.concatenate(&[past_v.clone(), v], 2)?;
    }
    let present = [k.clone(), v.clone()];
    let (&[_, _, queries, size], &[_, _, keys, _]) = (q.dims(), k.dims()) else {
        return invalid("[batch, heads, steps, size] is due");
    };
    let scale = if call.has("scale") { call.float("scale", 1.0) } else { 1.0 / (size as f64).sqrt() };

    let mut bias = None;
    let lengths = match call.opt(6) {
        Some(lengths) => Some(l.reshape(lengths, &[lengths.dims()[0], 1, 1, 1])?),
        None => None,
    };
    if let Some(mask) = call.opt(3) {
        let mut mask = if mask.kind() == Kind::Bool { bias_of(l, mask)? } else { mask.clone() };
        let own = mask.dims().last().copied().unwrap_or(1);
        if own > 1 && own < keys {
            let mut dims = mask.dims().to_vec();
            dims[mask.rank() - 1] = keys - own;
            if let Some(batch) = mask.batch() {
                dims[batch] = 1;
            }
            let none: Value = Constant::of_wide(Kind::Float, &dims, vec![f64::NEG_INFINITY; count(&dims)]).into();
            mask = l.concatenate(&[mask.clone(), none], mask.rank() - 1)?;
        }
        bias = joined(l, bias, mask)?;
    }
    if let Some(lengths) = &lengths {
        offset = l.with(Operation::Sub, lengths, queries as f64)?;
    }
    let (left, right) = (call.int("left_window_size", -1), call.int("right_window_size", -1));
    let causal = call.int("is_causal", 0) == 1;
    if causal || left >= 0 || right >= 0 {
        // How far a query is behind a key, in steps.
        let own = l.add(&places(queries, 0, 2), &offset)?;
        let ahead = l.sub(&own, &places(keys, 1, 2))?;
        let mut limits = Vec::new();
        if causal {
            limits.push((0.0, true));
        }
        if right >= 0 {
            limits.push((-right as f64, true));
        }
        if left >= 0 {
            limits.push((left as f64, false));
        }
        for (limit, least) in limits {
            let limit = Constant::number(Kind::INT, limit).into();
            let allowed = if least {
                l.arithmetic(Operation::LessOrEqual, &limit, &ahead)?
            } else {
                l.arithmetic(Operation::LessOrEqual, &ahead, &limit)?
            };
            let more = bias_of(l, &allowed)?;
            bias = joined(l, bias, more)?;
        }
    }
    if let Some(lengths) = &lengths {
        let real = l.arithmetic(Operation::Less, &places(keys, 3, 4), lengths)?;
        let more = bias_of(l, &real)?;
        bias = joined(l, bias, more)?;
    }
    let (queries_of, keys_of) = (q.dims()[1], k.dims()[1]);
    if queries_of != keys_of && keys_of > 0 && queries_of.is_multiple_of(keys_of) {
        let repeat = queries_of / keys_of;
        let taken: Vec<i64> = (0..queries_of).map(|head| (head / repeat) as i64).collect();
        k = l.take(&k, 1, taken.clone(), 0.0)?;
        v = l.take(&v, 1, taken, 0.0)?;
    }
    let q = l.with(Operation::Mul, &q, scale)?;
    let turned = l.transpose(&k, &[0, 1, 3, 2])?;
    let mut scores = l.matmul(&q, &turned)?;
    let mode = call.int("qk_matmul_output_mode", 0);
    let mut shown = scores.clone();
    let cap = call.float("softcap", 0.0);
    if cap > 0.0 {
        let scaled = l.with(Operation::Div, &scores, cap)?;
        let capped = l.apply(Tanh, &scaled, Kind::Float)?;
        scores = l.with(Operation::Mul, &capped, cap)?;
        shown = if mode == 0 { shown } else { scores.clone() };
    }
    let mut weights = match &bias {
        None => softmax(l, &scores, 3)?,
        Some(bias) => {
            let biased = l.add(&scores, bias)?;
            if mode == 2 {
                shown = biased.clone();
            }
            // A query without any key has no weights; a softmax would give NaN.
            let most = l.reduce_keep(Reduction::Max, bias, &[bias.rank() - 1])?;
            let none = l.with(Operation::Equal, &most, f64::NEG_INFINITY)?;
            let zero = Constant::number(Kind::Float, 0.0).into();
            let weights = softmax(l, &biased, 3)?;
            l.choose(&none, &zero, &weights)?
        }
    };
    if mode == 3 {
        shown = weights.clone();
    }
    weights = cast(l, &weights, Kind::Float)?;
    let mut y = l.matmul(&weights, &v)?;
    if flat {
        let turned = l.transpose(&y, &[0, 2, 1, 3])?;
        let &[batch, steps, heads, size] = turned.dims() else { return invalid("[batch, steps, heads, size] is due") };
        y = l.reshape(&turned, &[batch, steps, heads * size])?;
    }
    let [k, v] = present;
    Ok(vec![y, k, v, shown])
}

fn rotary(l: &mut Lower, call: &Call) -> Result<Value> {
    let original = call.x(0)?;
    let heads = call.size("num_heads", 0)?;
    // [batch, steps, heads, size]
    let x = match *original.dims() {
        [_, _, _, _] => l.transpose(original, &[0, 2, 1, 3])?,
        [batch, steps, width] if heads > 0 => l.reshape(original, &[batch, steps, heads, width / heads])?,
        _ => return invalid("[batch, heads, steps, size] is due, or num_heads"),
    };
    let size = x.dims()[3];
    let turned = match call.size("rotary_embedding_dim", 0)? {
        0 => size,
        turned if turned <= size => turned,
        turned => return invalid(format!("{turned} of {size} values are turned")),
    };
    let half = turned / 2;
    let interleaved = call.int("interleaved", 0) == 1;
    let pair = |second: usize| -> Vec<i64> {
        (0..half).map(|i| if interleaved { 2 * i + second } else { i + second * half } as i64).collect()
    };
    let (x1, x2) = (l.take(&x, 3, pair(0), 0.0)?, l.take(&x, 3, pair(1), 0.0)?);
    let mut angles = Vec::new();
    for i in [1, 2] {
        let mut table = call.x(i)?.clone();
        if let Some(positions) = call.opt(3) {
            table = gather(l, &table, positions, 0)?;
        }
        let mut dims = table.dims().to_vec();
        dims.insert(dims.len() - 1, 1);
        angles.push(l.reshape(&table, &dims)?);
    }
    let [cos, sin] = [&angles[0], &angles[1]];
    let [a, b, c, d] = [l.mul(&x1, cos)?, l.mul(&x2, sin)?, l.mul(&x1, sin)?, l.mul(&x2, cos)?];
    let (real, imaginary) = (l.sub(&a, &b)?, l.add(&c, &d)?);
    let mut parts = vec![real, imaginary];
    if turned < size {
        parts.push(l.take(&x, 3, (turned as i64..size as i64).collect(), 0.0)?);
    }
    let mut y = l.concatenate(&parts, 3)?;
    if interleaved {
        let order = (0..size).map(|i| if i < turned { i % 2 * half + i / 2 } else { i } as i64).collect();
        y = l.take(&y, 3, order, 0.0)?;
    }
    if original.rank() == 4 { l.transpose(&y, &[0, 2, 1, 3]) } else { l.reshape(&y, original.dims()) }
}
