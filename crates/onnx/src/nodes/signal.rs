//! Signals: windows, the Fourier transform, grids.

use super::one;
use super::shapes::{limited, sizes};
use crate::call::{self, Call};
use crate::constant::{Constant, Kind};
use crate::lower::{Lower, Result, Value, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    one(match call.op() {
        "HannWindow" => window(l, call, [0.5, 0.5, 0.0]),
        "HammingWindow" => window(l, call, [25.0 / 46.0, 21.0 / 46.0, 0.0]),
        "BlackmanWindow" => window(l, call, [0.42, 0.5, 0.08]),
        "DFT" => fourier(l, call),
        "AffineGrid" => grid(l, call),
        _ => return None,
    })
}

/// a₀ - a₁ cos(2π i / n) + a₂ cos(4π i / n)
fn window(l: &Lower, call: &Call, [a, b, c]: [f64; 3]) -> Result<Value> {
    let size = l.need(call.x(0)?, "the size of the window")?.ints().first().copied().unwrap_or(0);
    let Ok(size) = usize::try_from(size) else { return invalid(format!("a window of {size}")) };
    let kind = call.kind("output_datatype", Kind::Float)?;
    let period = if call.int("periodic", 1) == 1 { size as f64 } else { size as f64 - 1.0 };
    let value = |i: usize| {
        let angle = std::f64::consts::TAU * i as f64 / period;
        a - b * libm::cos(angle) + c * libm::cos(2.0 * angle)
    };
    Ok(Constant::of_wide(kind, &[size], (0..limited(&[size])?).map(value).collect()).into())
}

/// Σ x_i · exp(∓2π√-1 · i · k / n), as products with matrices of cosines and sines. The last axis holds the real part, and the
/// imaginary one if there is any.
fn fourier(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let (inverse, onesided) = (call.int("inverse", 0) == 1, call.int("onesided", 0) == 1);
    let number = |index: usize, what: &str| match call.opt(index) {
        Some(value) => l.need(value, what).map(|constant| constant.ints().first().copied()),
        None => Ok(None),
    };
    let axis = match number(2, "the axis")? {
        Some(axis) => call::axis(axis, x.rank())?,
        None => call.axis("axis", if call.opset < 20 { 1 } else { -2 }, x.rank())?,
    };
    let parts = x.dims().last().copied().unwrap_or(0);
    if inverse && onesided || !(1..=2).contains(&parts) || axis + 1 >= x.rank() {
        return unsupported("a transform of half a spectrum, or of a value without parts");
    }
    let size = x.dims()[axis];
    let length = number(1, "the length")?.map_or(size, |length| length.max(1) as usize);
    let place = |i: usize| if i < size { i as i64 } else { -1 };
    let x = l.take(x, axis, (0..limited(&[length])?).map(place).collect(), 0.0)?;
    let count = if onesided { length / 2 + 1 } else { length };
    let scale = if inverse { 1.0 / length as f64 } else { 1.0 };
    limited(&[length, count])?;
    let matrix = |f: fn(f64) -> f64, sign: f64| -> Value {
        let value = |place: usize| {
            let turns = (place / count * (place % count) % length) as f64 / length as f64;
            sign * scale * f(std::f64::consts::TAU * turns)
        };
        Constant::of_wide(Kind::Float, &[length, count], (0..length * count).map(value).collect()).into()
    };
    let sign = if inverse { 1.0 } else { -1.0 };
    let (cos, sin, minus_sin) = (matrix(libm::cos, 1.0), matrix(libm::sin, sign), matrix(libm::sin, -sign));
    // [.., parts, signal]
    let last = x.rank() - 1;
    let turned = l.move_axis(&x, axis, last)?;
    let part = |l: &mut Lower, number: i64| l.take(&turned, last - 1, vec![number], 0.0);
    let real = part(l, 0)?;
    let (mut y_real, mut y_imaginary) = (l.matmul(&real, &cos)?, l.matmul(&real, &sin)?);
    if parts == 2 {
        let imaginary = part(l, 1)?;
        let (a, b) = (l.matmul(&imaginary, &minus_sin)?, l.matmul(&imaginary, &cos)?);
        (y_real, y_imaginary) = (l.add(&y_real, &a)?, l.add(&y_imaginary, &b)?);
    }
    let joined = l.concatenate(&[y_real, y_imaginary], last - 1)?;
    l.move_axis(&joined, last, axis)
}

/// Where each place of an output lies in the input, -1 to 1, under an affine map [batch, 2, 3] (or [batch, 3, 4]).
fn grid(l: &mut Lower, call: &Call) -> Result<Value> {
    let theta = call.x(0)?;
    let size = sizes(l, call.x(1)?, "the size of the output")?;
    let corners = call.int("align_corners", 0) == 1;
    let Some(axes) = size.get(2..).filter(|axes| (2..=3).contains(&axes.len())) else {
        return invalid(format!("an output of {size:?}"));
    };
    let total = limited(axes)?;
    let along = |i: usize, n: usize| match (corners, n) {
        (true, 1) => 0.0,
        (true, _) => -1.0 + 2.0 * i as f64 / (n as f64 - 1.0),
        (false, _) => -1.0 + (2.0 * i as f64 + 1.0) / n as f64,
    };
    // x, y, (z,) 1 of each place: the last axis is x.
    let mut base = Vec::new();
    for place in 0..total {
        let mut rest = place;
        for &n in axes.iter().rev() {
            base.push(along(rest % n, n));
            rest /= n;
        }
        base.push(1.0);
    }
    let base = Constant::of_wide(Kind::Float, &[total, axes.len() + 1], base).into();
    let turned = l.transpose(theta, &[0, 2, 1])?;
    let places = l.matmul(&base, &turned)?;
    let dims = [&theta.dims()[..1], axes, &[axes.len()]].concat();
    l.reshape(&places, &dims)
}
