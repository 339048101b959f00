//! Values at any places of a picture, between its own.

use pellucid::ops::{Function, Lookup, Operation};

use super::movement::with_batch;
use super::one;
use super::shapes::places;
use crate::call::Call;
use crate::constant::{Constant, Kind};
use crate::lower::{Lower, Result, Value, count, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    match call.op() {
        "GridSample" => one(sample(l, call)),
        _ => None,
    }
}

/// Weights of the neighbours along an axis: how far each is from the whole part of a position, and what it counts.
fn neighbours(l: &mut Lower, position: &Value, mode: &str) -> Result<(Value, Vec<(f64, Value)>)> {
    if mode == "nearest" {
        let whole = l.function(Function::Round, position)?;
        let one = l.filled(&whole, Kind::Float, 1.0)?;
        return Ok((whole, vec![(0.0, one)]));
    }
    let whole = l.function(Function::Floor, position)?;
    let right = l.sub(position, &whole)?;
    let one: Value = Constant::number(Kind::Float, 1.0).into();
    let left = l.sub(&one, &right)?;
    if mode == "linear" {
        return Ok((whole, vec![(0.0, left), (1.0, right)]));
    }
    // Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -3/4: near by
    // ((a + 2) x - (a + 3)) x² + 1, farther off ((a x - 5a) x + 8a) x - 4a.
    const A: f64 = -0.75;
    let polynomial = |l: &mut Lower, x: &Value, coefficients: [f64; 4]| -> Result<Value> {
        let mut y = l.with(Operation::Mul, x, coefficients[0])?;
        for (i, &coefficient) in coefficients[1..].iter().enumerate() {
            y = l.with(Operation::Add, &y, coefficient)?;
            y = if i < 2 { l.mul(&y, x)? } else { y };
        }
        Ok(y)
    };
    let (near, far) = ([A + 2.0, -(A + 3.0), 0.0, 1.0], [A, -5.0 * A, 8.0 * A, -4.0 * A]);
    let beyond = |l: &mut Lower, x: &Value| l.with(Operation::Add, x, 1.0);
    let (left_far, right_far) = (beyond(l, &right)?, beyond(l, &left)?);
    Ok((
        whole,
        vec![
            (-1.0, polynomial(l, &left_far, far)?),
            (0.0, polynomial(l, &right, near)?),
            (1.0, polynomial(l, &left, near)?),
            (2.0, polynomial(l, &right_far, far)?),
        ],
    ))
}

/// A position mirrored at the ends of an axis until it is inside.
fn mirrored(l: &mut Lower, x: &Value, low: f64, high: f64) -> Result<Value> {
    let width = high - low;
    if width <= 0.0 {
        return l.with(Operation::Mul, x, 0.0);
    }
    let from_low = l.with(Operation::Sub, x, low)?;
    let within = l.with(Operation::Mod, &from_low, 2.0 * width)?;
    let back = l.arithmetic(Operation::Sub, &Constant::number(Kind::Float, 2.0 * width).into(), &within)?;
    let nearer = l.arithmetic(Operation::Min, &within, &back)?;
    l.with(Operation::Add, &nearer, low)
}

fn sample(l: &mut Lower, call: &Call) -> Result<Value> {
    let (x, grid) = (call.x(0)?, call.x(1)?);
    let corners = call.int("align_corners", 0) == 1;
    let mode = match call.text("mode", "linear").as_str() {
        "linear" | "bilinear" => "linear",
        "nearest" => "nearest",
        "cubic" | "bicubic" => "cubic",
        other => return unsupported(format!("mode = '{other}'")),
    };
    let border = call.text("padding_mode", "zeros");
    if !["zeros", "border", "reflection"].contains(&border.as_str()) {
        return unsupported(format!("padding_mode = '{border}'"));
    }
    let (Some(sizes), Some((_, outer))) =
        (x.dims().get(2..).filter(|sizes| !sizes.is_empty()), grid.dims().split_last())
    else {
        return invalid("[batch, channels, …] and a grid are due");
    };
    let (axes, channels, rank) = (sizes.len(), x.dims()[1], outer.len());
    if grid.dims() != [outer, &[axes]].concat()
        || x.batch().is_some_and(|batch| batch != 0)
        || x.batch() != grid.batch()
    {
        return invalid(format!("a grid {:?} for {:?}", grid.dims(), x.dims()));
    }
    // For each axis, the neighbours' places and what they count.
    let mut along: Vec<Vec<(Value, Value)>> = Vec::new();
    for (axis, &size) in sizes.iter().enumerate() {
        // The last number of a place is that of the first axis.
        let position = l.take(grid, rank, vec![(axes - 1 - axis) as i64], 0.0)?;
        let position = l.reshape(&position, outer)?;
        let shifted = l.with(Operation::Add, &position, 1.0)?;
        let length = size as f64;
        let mut position = if corners {
            l.with(Operation::Mul, &shifted, (length - 1.0) / 2.0)?
        } else {
            let scaled = l.with(Operation::Mul, &shifted, length / 2.0)?;
            l.with(Operation::Sub, &scaled, 0.5)?
        };
        let (low, high) = if corners { (0.0, length - 1.0) } else { (-0.5, length - 0.5) };
        let inside = |l: &mut Lower, x: &Value| -> Result<Value> {
            let x = if border == "reflection" { mirrored(l, x, low, high)? } else { x.clone() };
            super::functions::between(l, &x, 0.0, length - 1.0)
        };
        if border != "zeros" && mode != "cubic" {
            position = inside(l, &position)?;
        }
        let (whole, taps) = neighbours(l, &position, mode)?;
        let mut of_axis = Vec::new();
        for (offset, mut weight) in taps {
            let place = l.with(Operation::Add, &whole, offset)?;
            let bounded = inside(l, &place)?;
            if border == "zeros" {
                let there = l.arithmetic(Operation::Equal, &place, &bounded)?;
                weight = l.choose(&there, &weight, &Constant::number(Kind::Float, 0.0).into())?;
            }
            of_axis.push((bounded, weight));
        }
        along.push(of_axis);
    }
    // Rows of the channels' values: [(batch,) places, channels], or those of all pictures one after the other.
    let order: Vec<usize> = [0].into_iter().chain(2..x.rank()).chain([1]).collect();
    let plane = count(sizes);
    let front = l.transpose(x, &order)?;
    let pictures = if x.batch().is_some() { 1 } else { x.dims()[0] };
    let table_dims = with_batch(x, &[pictures * plane, channels]);
    let table = l.reshape(&front, &table_dims)?;
    if pictures * plane > 1 << 24 {
        return unsupported("more places than can be told apart");
    }
    let mut sum: Option<Value> = None;
    for number in 0..along.iter().map(Vec::len).product() {
        let mut rest: usize = number;
        let (mut flat, mut weight): (Value, Option<Value>) = match x.batch() {
            None => {
                let first = places(pictures, 0, rank).of_kind(Kind::Float);
                (l.with(Operation::Mul, &first, plane as f64)?, None)
            }
            Some(_) => (Constant::number(Kind::Float, 0.0).into(), None),
        };
        for (axis, taps) in along.iter().enumerate() {
            let (place, own) = &taps[rest % taps.len()];
            rest /= taps.len();
            let scaled = l.with(Operation::Mul, place, count(&sizes[axis + 1..]) as f64)?;
            flat = l.add(&scaled, &flat)?;
            weight = Some(match weight {
                Some(weight) => l.mul(&weight, own)?,
                None => own.clone(),
            });
        }
        let Some(weight) = weight else { return invalid("a grid without axes") };
        let spread = if x.batch().is_some() { &outer[1..] } else { outer };
        let dims = with_batch(x, &[count(spread)]);
        let flat = l.reshape(&flat, &dims)?;
        let values = l.apply_all(Lookup, &[&table, &flat], Kind::Float)?;
        let dims = [&dims[..], &[1]].concat();
        let weight = l.reshape(&weight, &dims)?;
        let part = l.mul(&values, &weight)?;
        sum = Some(match sum {
            Some(sum) => l.add(&sum, &part)?,
            None => part,
        });
    }
    let Some(sum) = sum else { return invalid("no neighbours") };
    let y = l.reshape(&sum, &[outer, &[channels]].concat())?;
    l.move_axis(&y, rank, 1)
}
