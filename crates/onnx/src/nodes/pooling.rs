//! Pooling. What is symmetrical and has one or two axes is an op of its own; everything else goes through the places of a window one
//! after the other.

use std::sync::Arc;

use pellucid::ops::{
    AveragePool, Elementwise, Function, GlobalAveragePool, GlobalMaxPool, MaxPool, Op, Operation, Reduction,
};

use super::layers::{back, padding, rows};
use super::one;
use crate::call::Call;
use crate::constant::{Constant, Kind};
use crate::lower::{Lower, Result, Value, count, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    match call.op() {
        "MaxPool" => Some(max_pool(l, call)),
        "AveragePool" => one(average_pool(l, call)),
        "LpPool" => one(power_pool(l, call)),
        "GlobalAveragePool" => one(global(l, call, Arc::new(GlobalAveragePool), Reduction::Mean)),
        "GlobalMaxPool" => one(global(l, call, Arc::new(GlobalMaxPool), Reduction::Max)),
        "GlobalLpPool" => one(global_power(l, call)),
        _ => None,
    }
}

/// A window that goes over the axes behind the channels.
struct Window {
    input: Vec<usize>,
    kernel: Vec<usize>,
    stride: Vec<usize>,
    dilation: Vec<usize>,
    padding: Vec<usize>,
    output: Vec<usize>,
    ceil: bool,
}

impl Window {
    fn of(call: &Call, x: &Value) -> Result<Window> {
        let Some(axes) = x.rank().checked_sub(2).filter(|axes| *axes > 0) else {
            return invalid("[batch, channels, …] is due");
        };
        let input = x.dims()[2..].to_vec();
        let kernel = call.sizes("kernel_shape", axes, 1)?;
        let (stride, dilation) = (call.sizes("strides", axes, 1)?, call.sizes("dilations", axes, 1)?);
        if kernel.iter().chain(&stride).chain(&dilation).any(|&size| size == 0) {
            return invalid("a window, a stride or a dilation of 0");
        }
        let reach: Vec<usize> = (0..axes).map(|axis| dilation[axis] * (kernel[axis] - 1) + 1).collect();
        let padding = padding(call, &input, &reach, &stride)?;
        let ceil = call.int("ceil_mode", 0) == 1;
        let mut output = Vec::new();
        for axis in 0..axes {
            let padded = input[axis] + padding[axis] + padding[axis + axes];
            let Some(left) = padded.checked_sub(reach[axis]) else {
                return invalid("a window is larger than the input");
            };
            let mut size = if ceil { left.div_ceil(stride[axis]) } else { left / stride[axis] } + 1;
            // No window begins behind the input.
            if ceil && (size - 1) * stride[axis] >= input[axis] + padding[axis] {
                size -= 1;
            }
            output.push(size);
        }
        Ok(Window { input, kernel, stride, dilation, padding, output, ceil })
    }

    /// One number for before and behind, if an op takes that.
    fn symmetrical(&self) -> Option<Vec<usize>> {
        let axes = self.input.len();
        let (before, behind) = self.padding.split_at(axes);
        let narrow = before.iter().zip(&self.kernel).all(|(padding, kernel)| 2 * padding <= *kernel);
        (before == behind && narrow && axes <= 2).then(|| before.to_vec())
    }

    /// The places of the window, axis by axis.
    fn offsets(&self) -> Result<Vec<Vec<usize>>> {
        let total = count(&self.kernel);
        if total > 1 << 10 {
            return unsupported(format!("a window of {total} places"));
        }
        let place = |mut number: usize| {
            let mut offset = vec![0; self.kernel.len()];
            for axis in (0..self.kernel.len()).rev() {
                offset[axis] = number % self.kernel[axis];
                number /= self.kernel[axis];
            }
            offset
        };
        Ok((0..total).map(place).collect())
    }

    /// The input's place for output `i` along an axis, negative or too large within the border.
    fn place(&self, axis: usize, offset: usize, i: usize) -> i64 {
        (i * self.stride[axis] + offset * self.dilation[axis]) as i64 - self.padding[axis] as i64
    }

    /// The values at one place of the window, `fill` in the border.
    fn values(&self, l: &mut Lower, x: &Value, offset: &[usize], fill: f32) -> Result<Value> {
        let mut y = x.clone();
        for (axis, &offset) in offset.iter().enumerate() {
            let inside = |place: i64| if (0..self.input[axis] as i64).contains(&place) { place } else { -1 };
            let taken = (0..self.output[axis]).map(|i| inside(self.place(axis, offset, i))).collect();
            y = l.take(&y, axis + 2, taken, fill)?;
        }
        Ok(y)
    }

    /// For each output, how many places of the window hold a value (or border that was asked for).
    fn counts(&self, border: bool) -> Constant {
        let along = |axis: usize| -> Vec<f64> {
            let (low, high) = match border {
                true => {
                    (-(self.padding[axis] as i64), (self.input[axis] + self.padding[axis + self.input.len()]) as i64)
                }
                false => (0, self.input[axis] as i64),
            };
            let inside =
                |i: usize| (0..self.kernel[axis]).filter(|&k| (low..high).contains(&self.place(axis, k, i))).count();
            (0..self.output[axis]).map(|i| inside(i) as f64).collect()
        };
        let mut counts = vec![1.0];
        for axis in 0..self.input.len() {
            let along = along(axis);
            counts = counts.iter().flat_map(|outer| along.iter().map(move |inner| outer * inner)).collect();
        }
        Constant::of_wide(Kind::Float, &[&[1], &self.output[..]].concat(), counts)
    }

    /// An op on the rows of x.
    fn op(l: &mut Lower, x: &Value, op: impl Op + 'static) -> Result<Value> {
        let (rows, gone) = rows(l, x)?;
        let y = l.apply(op, &rows, x.kind())?;
        back(l, &y, gone)
    }
}

fn max_pool(l: &mut Lower, call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let by_columns = call.int("storage_order", 0) == 1;
    let window = Window::of(call, x)?;
    let indices = call.wants(1);
    if let (Some(padding), false, Value::Flow(_)) = (window.symmetrical(), indices, x)
        && rows(l, x).is_ok()
    {
        let Window { kernel, stride, dilation, ceil, .. } = window;
        return Ok(vec![Window::op(l, x, MaxPool { kernel, stride, padding, dilation, ceil_mode: ceil })?]);
    }
    let mut best: Option<(Value, Option<Value>)> = None;
    let places = if indices { Some(places(x, &window, by_columns)?) } else { None };
    for offset in window.offsets()? {
        let values = window.values(l, x, &offset, f32::MIN)?;
        let there = match &places {
            Some(places) => Some(window.values(l, places, &offset, 0.0)?),
            None => None,
        };
        best = Some(match best {
            None => (values, there),
            Some((most, None)) => (l.arithmetic(Operation::Max, &most, &values)?, None),
            Some((most, Some(place))) => {
                let better = l.arithmetic(Operation::Less, &most, &values)?;
                let there = there.unwrap_or(place.clone());
                (l.choose(&better, &values, &most)?, Some(l.choose(&better, &there, &place)?))
            }
        });
    }
    let Some((most, place)) = best else { return invalid("a window of no places") };
    Ok([Some(most), place].into_iter().flatten().collect())
}

/// For each value of x, its place in the whole tensor.
fn places(x: &Value, window: &Window, by_columns: bool) -> Result<Value> {
    if x.batch().is_some() {
        return Err(crate::error::Problem::MixesBatch("its indices are places of the whole batch".into()));
    }
    let plane = count(&window.input);
    let values = super::shapes::limited(x.dims())?;
    let place = |place: usize| {
        let (outer, mut inner) = (place / plane, place % plane);
        if by_columns {
            let mut turned = 0;
            let mut stride = plane;
            for &size in window.input.iter().rev() {
                stride /= size;
                turned += inner % size * stride;
                inner /= size;
            }
            return (outer * plane + turned) as i64;
        }
        place as i64
    };
    Ok(Constant::whole(x.dims(), (0..values).map(place).collect()).into())
}

fn sum_of_window(l: &mut Lower, x: &Value, window: &Window) -> Result<Value> {
    let mut sum: Option<Value> = None;
    for offset in window.offsets()? {
        let values = window.values(l, x, &offset, 0.0)?;
        sum = Some(match sum {
            Some(sum) => l.add(&sum, &values)?,
            None => values,
        });
    }
    sum.map_or_else(|| invalid("a window of no places"), Ok)
}

fn average_pool(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let border = call.int("count_include_pad", 0) == 1;
    let window = Window::of(call, x)?;
    if let (Some(padding), Value::Flow(_)) = (window.symmetrical(), x)
        && window.dilation.iter().all(|&step| step == 1)
        && rows(l, x).is_ok()
    {
        let Window { kernel, stride, ceil, .. } = window;
        return Window::op(l, x, AveragePool { kernel, stride, padding, ceil_mode: ceil, count_include_pad: border });
    }
    let sum = sum_of_window(l, x, &window)?;
    l.div(&sum, &window.counts(border).into())
}

fn power_pool(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let p = call.int("p", 2) as f64;
    let window = Window::of(call, x)?;
    let sizes = l.function(Function::Abs, x)?;
    let powers = l.with(Operation::Pow, &sizes, p)?;
    let sum = sum_of_window(l, &powers, &window)?;
    l.with(Operation::Pow, &sum, 1.0 / p)
}

fn global(l: &mut Lower, call: &Call, op: Arc<dyn Op>, reduction: Reduction) -> Result<Value> {
    let x = call.x(0)?;
    if (3..=4).contains(&x.rank())
        && let Value::Flow(_) = x
        && let Ok((rows, gone)) = rows(l, x)
        && let Value::Flow(flow) = &rows
    {
        let pooled = l.flow(op, &[flow.id], flow.kind, flow.batch, flow.sources)?;
        let dims = [&pooled.dims()[..rows.dims().len() - (x.rank() - 2)], &vec![1; x.rank() - 2][..]].concat();
        let y = l.reshape(&pooled, &dims)?;
        return back(l, &y, gone);
    }
    let axes: Vec<usize> = (2..x.rank()).collect();
    l.reduce_keep(reduction, x, &axes)
}

fn global_power(l: &mut Lower, call: &Call) -> Result<Value> {
    let x = call.x(0)?;
    let p = call.int("p", 2) as f64;
    let sizes = l.apply(Elementwise { function: Function::Abs }, x, x.kind())?;
    let powers = l.with(Operation::Pow, &sizes, p)?;
    let axes: Vec<usize> = (2..x.rank()).collect();
    let sum = l.reduce_keep(Reduction::Sum, &powers, &axes)?;
    l.with(Operation::Pow, &sum, 1.0 / p)
}
