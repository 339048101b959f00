//! Other numbers of places along an axis: each place of the output is a weighted sum of places of the input, the same along every axis, so
//! a resize is a choice of places (nearest) or a product with a matrix for each axis.

use super::one;
use super::shapes::limited;
use crate::call::{self, Call};
use crate::constant::{Constant, Kind};
use crate::error::Problem;
use crate::lower::{BATCH, Lower, Result, Value, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    match call.op() {
        "Resize" => one(resize(l, call)),
        "Upsample" => one(upsample(l, call)),
        _ => None,
    }
}

/// How one axis is resized.
struct Axis<'a> {
    input: usize,
    output: usize,
    scale: f64,
    roi: [f64; 2],
    mode: &'a str,
    nearest: &'a str,
    coordinates: &'a str,
    cubic: f64,
    antialias: bool,
    exclude_outside: bool,
}

impl Axis<'_> {
    /// Where in the input output place `i` lies.
    fn position(&self, i: usize) -> Result<f64> {
        let (i, size, length) = (i as f64, self.input as f64, self.scale * self.input as f64);
        Ok(match self.coordinates {
            "half_pixel" => (i + 0.5) / self.scale - 0.5,
            "pytorch_half_pixel" => {
                if length == 1.0 {
                    -0.5
                } else {
                    (i + 0.5) / self.scale - 0.5
                }
            }
            "asymmetric" => i / self.scale,
            "align_corners" => {
                if length == 1.0 {
                    0.0
                } else {
                    i * (size - 1.0) / (length - 1.0)
                }
            }
            "half_pixel_symmetric" => {
                let offset = size / 2.0 * (1.0 - self.output as f64 / length);
                offset + (i + 0.5) / self.scale - 0.5
            }
            "tf_crop_and_resize" => {
                let width = (self.roi[1] - self.roi[0]) * (size - 1.0);
                self.roi[0] * (size - 1.0) + if length == 1.0 { width / 2.0 } else { i * width / (length - 1.0) }
            }
            other => return unsupported(format!("coordinate_transformation_mode = '{other}'")),
        })
    }

    /// Outside of the input, where a fixed value stands.
    fn is_outside(&self, position: f64) -> bool {
        self.coordinates == "tf_crop_and_resize" && !(0.0..=self.input as f64 - 1.0).contains(&position)
    }

    /// The nearest place.
    fn nearest(&self, position: f64) -> Result<i64> {
        let place = match self.nearest {
            "round_prefer_floor" => libm::ceil(position - 0.5),
            "round_prefer_ceil" => libm::floor(position + 0.5),
            "floor" => libm::floor(position),
            "ceil" => libm::ceil(position),
            other => return unsupported(format!("nearest_mode = '{other}'")),
        };
        Ok((place as i64).clamp(0, self.input as i64 - 1))
    }

    /// The weight of a place at this distance, in places of the (stretched) filter.
    fn weight(&self, distance: f64) -> f64 {
        let (x, a) = (distance.abs(), self.cubic);
        match self.mode {
            "linear" => (1.0 - x).max(0.0),
            _ if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
            _ if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
            _ => 0.0,
        }
    }

    /// Weights of the input's places for a place of the output.
    fn row(&self, position: f64) -> Vec<f64> {
        let mut row = vec![0.0; self.input];
        let scale = if self.antialias { self.scale.min(1.0) } else { 1.0 };
        let reach = if self.mode == "linear" { 1.0 } else { 2.0 } / scale;
        let (first, last) = (libm::floor(position - reach) as i64, libm::ceil(position + reach) as i64);
        let mut sum = 0.0;
        for place in first..=last {
            let inside = (0..self.input as i64).contains(&place);
            if inside || !self.exclude_outside {
                let weight = self.weight((place as f64 - position) * scale);
                row[place.clamp(0, self.input as i64 - 1) as usize] += weight;
                sum += weight;
            }
        }
        row.iter_mut().for_each(|weight| *weight /= sum);
        row
    }

    /// The axis of `x` resized.
    fn apply(&self, l: &mut Lower, x: &Value, axis: usize, outside: f64) -> Result<Value> {
        limited(&[self.input, self.output])?;
        let positions: Vec<f64> = (0..self.output).map(|i| self.position(i)).collect::<Result<_>>()?;
        if self.mode == "nearest" {
            let place = |&position: &f64| if self.is_outside(position) { Ok(-1) } else { self.nearest(position) };
            let taken = positions.iter().map(place).collect::<Result<_>>()?;
            return l.take(x, axis, taken, outside as f32);
        }
        if x.batch() == Some(axis) {
            return Err(Problem::MixesBatch("it resizes the batch".into()));
        }
        // [input, output], and what is added where a place lies outside.
        let mut matrix = vec![0.0; self.input * self.output];
        let mut added = vec![0.0; self.output];
        for (i, &position) in positions.iter().enumerate() {
            if self.is_outside(position) {
                added[i] = outside;
                continue;
            }
            self.row(position)
                .into_iter()
                .enumerate()
                .for_each(|(place, weight)| matrix[place * self.output + i] = weight);
        }
        let last = l.move_axis(x, axis, x.rank() - 1)?;
        let matrix = Constant::of_wide(Kind::Float, &[self.input, self.output], matrix).into();
        let mut y = l.matmul(&last, &matrix)?;
        if added.iter().any(|&value| value != 0.0) {
            y = l.add(&y, &Constant::of_wide(Kind::Float, &[self.output], added).into())?;
        }
        l.move_axis(&y, x.rank() - 1, axis)
    }
}

fn resize(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let axes = match call.ints("axes") {
        Some(axes) => axes.iter().map(|&one| call::axis(one, x.rank())).collect::<Result<Vec<usize>>>()?,
        None => (0..x.rank()).collect(),
    };
    let mode = call.text("mode", "nearest");
    if !["nearest", "linear", "cubic"].contains(&mode.as_str()) {
        return unsupported(format!("mode = '{mode}'"));
    }
    let coordinates = call.text("coordinate_transformation_mode", "half_pixel");
    let nearest = call.text("nearest_mode", "round_prefer_floor");
    let policy = call.text("keep_aspect_ratio_policy", "stretch");
    let outside = call.float("extrapolation_value", 0.0);
    let (antialias, exclude_outside) = (call.int("antialias", 0) == 1, call.int("exclude_outside", 0) == 1);
    let cubic = call.float("cubic_coeff_a", -0.75);
    let numbers = |index: usize, what: &str| match call.opt(index) {
        Some(value) => l.need(value, what).map(|constant| constant.wide()),
        None => Ok(vec![]),
    };
    let roi = if coordinates == "tf_crop_and_resize" { numbers(1, "the region")? } else { vec![] };
    let (scales, sizes) = (numbers(2, "the scales")?, numbers(3, "the sizes")?);
    let mut y = x.clone();
    let own = |axis: usize| x.dims()[axis] as f64;
    let mut targets = Vec::new();
    for (i, &axis) in axes.iter().enumerate() {
        targets.push(match (scales.get(i), sizes.get(i)) {
            (Some(&scale), _) => (libm::floor(own(axis) * scale), scale),
            (None, Some(&size)) => (size, size / own(axis)),
            _ => return invalid(format!("scales or sizes for {} axes", axes.len())),
        });
    }
    if scales.is_empty() && policy != "stretch" {
        let all = targets.iter().map(|(_, scale)| *scale);
        let scale = if policy == "not_larger" { all.fold(f64::INFINITY, f64::min) } else { all.fold(0.0, f64::max) };
        for (target, &axis) in targets.iter_mut().zip(&axes) {
            *target = (libm::floor(own(axis) * scale + 0.5), scale);
        }
    }
    for (i, (&axis, &(size, scale))) in axes.iter().zip(&targets).enumerate() {
        let input = x.dims()[axis];
        let region = [roi.get(i).copied().unwrap_or(0.0), roi.get(i + axes.len()).copied().unwrap_or(1.0)];
        let whole = coordinates != "tf_crop_and_resize" || region == [0.0, 1.0];
        if (scale == 1.0 || size == BATCH as f64 && input == BATCH) && whole {
            continue;
        }
        if scale <= 0.0 || !scale.is_finite() || size < 1.0 {
            return invalid(format!("axis {axis} of size {input} becomes {size}, {scale} times as long"));
        }
        let resized = Axis {
            input,
            output: limited(&[size as usize])?,
            scale,
            roi: region,
            mode: &mode,
            nearest: &nearest,
            coordinates: &coordinates,
            cubic,
            antialias,
            exclude_outside,
        };
        y = resized.apply(l, &y, axis, outside)?;
    }
    Ok(y)
}

/// The older op: places `i / scale`.
fn upsample(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let mode = call.text("mode", "nearest");
    let scales = match call.opt(1) {
        Some(scales) => l.need(scales, "the scales")?.wide(),
        None => call.floats("scales").unwrap_or_default().into_iter().map(f64::from).collect(),
    };
    if scales.len() != x.rank() || !["nearest", "linear"].contains(&mode.as_str()) {
        return invalid(format!("{} scales for {} axes, mode = '{mode}'", scales.len(), x.rank()));
    }
    let mut y = x.clone();
    for (axis, &scale) in scales.iter().enumerate().filter(|(_, scale)| **scale != 1.0) {
        let input = x.dims()[axis];
        if scale <= 0.0 || !scale.is_finite() {
            return invalid(format!("a scale of {scale}"));
        }
        let resized = Axis {
            input,
            output: limited(&[(input as f64 * scale) as usize])?,
            scale,
            roi: [0.0, 1.0],
            mode: &mode,
            nearest: "floor",
            coordinates: "asymmetric",
            cubic: -0.75,
            antialias: false,
            exclude_outside: false,
        };
        y = resized.apply(l, &y, axis, 0.0)?;
    }
    Ok(y)
}
