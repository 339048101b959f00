//! Recurrent layers: the op of all steps where it says the same, else step by step.
//!
//! ONNX has its gates in the orders i o f c (LSTM) and z r h (GRU), Pellucid as PyTorch does: i f g o and r z n.

use std::sync::Arc;

use pellucid::graph::Role;
use pellucid::ops::{Gru, Lstm, Nonlinearity, Op, Operation, Recurrent, Relu, Rnn, Sigmoid, Softplus, Softsign, Tanh};

use super::functions::between;
use super::layers::flow_of;
use crate::call::Call;
use crate::constant::{Constant, Kind};
use crate::error::Problem;
use crate::lower::{BATCH, Lower, Result, Value, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    match call.op() {
        "LSTM" | "GRU" | "RNN" => Some(layer(l, call)),
        _ => None,
    }
}

/// The gates of a layer in the order of ONNX, by their number in the order of Pellucid.
fn order(op: &str) -> &'static [usize] {
    match op {
        "LSTM" => &[0, 2, 3, 1],
        "GRU" => &[1, 0, 2],
        _ => &[0],
    }
}

/// What a direction computes with: [gates · units, …] each, in the order of ONNX.
struct Weights {
    input: Value,
    state: Value,
    bias: Option<Value>,
    peepholes: Option<Value>,
    h: Option<Value>,
    c: Option<Value>,
}

/// Sizes of a layer, and how its values lie.
struct Layout {
    /// [batch, steps, …] in the network, else [steps, batch, …].
    batch_first: bool,
    steps: usize,
    hidden: usize,
    /// The batch is that of the graph; else there is one row.
    open: bool,
}

impl Layout {
    /// [batch, …] for the graph's batch, without it for one row.
    fn row(&self, dims: &[usize]) -> Vec<usize> {
        if self.open { [&[BATCH], dims].concat() } else { dims.to_vec() }
    }

    /// A state of one direction, [1, batch, units] or [batch, 1, units], as [(batch,) units].
    fn state(&self, l: &mut Lower, x: &Value) -> Result<Value> {
        let dims = self.row(&[self.hidden]);
        match x {
            Value::Known(constant) if self.open => {
                let first = constant.narrow().first().copied().unwrap_or(0.0);
                if constant.narrow().iter().any(|&x| x != first) {
                    return Err(Problem::MixesBatch("a first state for each row is a constant".into()));
                }
                let one = Constant::floats(&[1, self.hidden], vec![first; self.hidden]);
                l.flowing(&one.into(), Some(0))
            }
            _ => l.reshape(x, &dims),
        }
    }

    /// [(batch,) steps, units] of one direction as the network has it, with an axis for the directions.
    fn sequence(&self, l: &mut Lower, y: &Value) -> Result<Value> {
        let (steps, hidden) = (self.steps, self.hidden);
        match (self.open, self.batch_first) {
            (true, true) => l.reshape(y, &[BATCH, steps, 1, hidden]),
            (true, false) => {
                let turned = l.transpose(y, &[1, 0, 2])?;
                l.reshape(&turned, &[steps, 1, BATCH, hidden])
            }
            (false, true) => l.reshape(y, &[1, steps, 1, hidden]),
            (false, false) => l.reshape(y, &[steps, 1, 1, hidden]),
        }
    }

    /// [(batch,) units] as the network has a state.
    fn last(&self, l: &mut Lower, y: &Value) -> Result<Value> {
        let batch = if self.open { BATCH } else { 1 };
        l.reshape(y, &if self.batch_first { [batch, 1, self.hidden] } else { [1, batch, self.hidden] })
    }
}

fn layer(l: &mut Lower, call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let batch_first = call.int("layout", 0) == 1;
    let gates = order(call.op()).len();
    let weight = l.need(call.x(1)?, "the weight")?.clone();
    let recurrent = l.need(call.x(2)?, "the recurrent weight")?.clone();
    let &[directions, rows, _] = &weight.dims[..] else {
        return invalid("the weight has the axes [directions, gates, inputs]");
    };
    let hidden = rows / gates;
    if recurrent.dims != [directions, rows, hidden] || x.rank() != 3 {
        return invalid(format!("a recurrent weight {:?} beside a weight {:?}", recurrent.dims, weight.dims));
    }
    call.ignore(&["hidden_size"]);
    let [batch_axis, time_axis] = if batch_first { [0, 1] } else { [1, 0] };
    let open = match (x.batch(), x.dims()[batch_axis]) {
        (Some(batch), _) if batch == batch_axis => true,
        (None, 1) => false,
        _ => return Err(Problem::MixesBatch("its rows are not those of the batch".into())),
    };
    let layout = Layout { batch_first, steps: x.dims()[time_axis], hidden, open };
    let width = x.dims()[2];
    // [(batch,) steps, width]
    let front = if batch_first { x.clone() } else { l.transpose(x, &[1, 0, 2])? };
    let rows_of = layout.row(&[layout.steps, width]);
    let input = l.reshape(&front, &rows_of)?;
    let lengths = match call.opt(4) {
        Some(lengths) => match lengths.known() {
            Some(known) if known.ints().iter().all(|&length| length == layout.steps as i64) => None,
            _ => Some(l.reshape(lengths, &layout.row(&[]))?),
        },
        None => None,
    };
    let direction = call.text("direction", "forward");
    let reversed: &[bool] = match direction.as_str() {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return invalid(format!("direction = '{other}'")),
    };
    if reversed.len() != directions {
        return invalid(format!("{directions} directions in the weight, '{direction}'"));
    }
    let (mut all, mut last_h, mut last_c) = (vec![], vec![], vec![]);
    for (number, &reverse) in reversed.iter().enumerate() {
        let of = |l: &mut Lower, index: usize, axis: usize| -> Result<Option<Value>> {
            let Some(value) = call.opt(index) else { return Ok(None) };
            let taken = l.take(value, axis, vec![number as i64], 0.0)?;
            let dims: Vec<usize> =
                (0..taken.rank()).filter(|&other| other != axis).map(|other| taken.dims()[other]).collect();
            let name = value.known().and_then(|known| known.name.clone());
            let one = if axis == 0 && index < 5 || index == 7 { l.reshape(&taken, &dims)? } else { taken };
            Ok(Some(match (one, name) {
                (Value::Known(constant), Some(name)) => {
                    let name = if directions == 1 { name } else { format!("{name}.{number}") };
                    Constant { name: Some(name), ..constant }.into()
                }
                (one, _) => one,
            }))
        };
        let state_axis = usize::from(batch_first);
        let [h, c] = [of(l, 5, state_axis)?, if call.op() == "LSTM" { of(l, 6, state_axis)? } else { None }];
        let peepholes = if call.op() == "LSTM" { of(l, 7, 0)? } else { None };
        let Some(weights) = of(l, 1, 0)?.zip(of(l, 2, 0)?) else { return invalid("its weights are missing") };
        let h = h.map(|h| layout.state(l, &h)).transpose()?;
        let c = c.map(|c| layout.state(l, &c)).transpose()?;
        let weights = Weights { input: weights.0, state: weights.1, bias: of(l, 3, 0)?, peepholes, h, c };
        let plain = is_plain(call, number, directions) && weights.peepholes.is_none() && !call.wants(2);
        let (y, h, c) = match plain {
            true => fused(l, call, &layout, &input, weights, lengths.as_ref(), reverse)?,
            false => unrolled(l, call, &layout, &input, weights, lengths.as_ref(), (number, reverse))?,
        };
        all.push(layout.sequence(l, &y)?);
        last_h.push(layout.last(l, &h)?);
        last_c.extend(c.map(|c| layout.last(l, &c)).transpose()?);
    }
    let [sequence_axis, state_axis] = if batch_first { [2, 1] } else { [1, 0] };
    let mut outputs = vec![l.concatenate(&all, sequence_axis)?, l.concatenate(&last_h, state_axis)?];
    if !last_c.is_empty() {
        outputs.push(l.concatenate(&last_c, state_axis)?);
    }
    Ok(outputs)
}

/// Names of the functions of a direction.
fn functions(call: &Call, number: usize, directions: usize) -> Vec<String> {
    let defaults: &[&str] = match call.op() {
        "LSTM" => &["Sigmoid", "Tanh", "Tanh"],
        "GRU" => &["Sigmoid", "Tanh"],
        _ => &["Tanh"],
    };
    match call.texts("activations").filter(|texts| texts.len() == defaults.len() * directions) {
        Some(texts) => texts[number * defaults.len()..][..defaults.len()].to_vec(),
        None => defaults.iter().map(|name| name.to_string()).collect(),
    }
}

/// Does the op of all steps compute this?
fn is_plain(call: &Call, number: usize, directions: usize) -> bool {
    let functions: Vec<String> = functions(call, number, directions).iter().map(|name| name.to_lowercase()).collect();
    let functions: Vec<&str> = functions.iter().map(String::as_str).collect();
    let usual = match call.op() {
        "LSTM" => functions == ["sigmoid", "tanh", "tanh"] && call.int("input_forget", 0) == 0,
        "GRU" => functions == ["sigmoid", "tanh"] && call.int("linear_before_reset", 0) != 0,
        _ => functions == ["tanh"] || functions == ["relu"],
    };
    usual && !call.has("clip")
}

/// Gates in the order of Pellucid: [gates · units, …].
fn reordered(l: &mut Lower, x: &Value, op: &str, hidden: usize) -> Result<Constant> {
    let constant = l.need(x, "a weight")?;
    let name = constant.name.clone();
    let taken = order(op).iter().flat_map(|gate| (0..hidden).map(move |unit| (gate * hidden + unit) as i64)).collect();
    match l.take(x, 0, taken, 0.0)? {
        Value::Known(known) => Ok(Constant { name, ..known }),
        Value::Flow(_) => invalid("its weights are not known"),
    }
}

type Outputs = (Value, Value, Option<Value>);

fn fused(
    l: &mut Lower,
    call: &Call,
    layout: &Layout,
    input: &Value,
    weights: Weights,
    lengths: Option<&Value>,
    reverse: bool,
) -> Result<Outputs> {
    let hidden = layout.hidden;
    let flow = flow_of(l, input)?;
    let mut ids = vec![flow.id];
    for weight in [&weights.input, &weights.state] {
        let constant = reordered(l, weight, call.op(), hidden)?;
        ids.push(l.parameter(&constant, &constant.dims, Role::Weight)?);
    }
    if let Some(bias) = &weights.bias {
        let half = bias.dims()[0] / 2;
        for part in 0..2 {
            let own = l.take(bias, 0, (part * half as i64..(part + 1) * half as i64).collect(), 0.0)?;
            let name = bias
                .known()
                .and_then(|known| known.name.clone())
                .map(|name| format!("{name}.{}", ["ih", "hh"][part as usize]));
            let constant = Constant { name, ..reordered(l, &own, call.op(), hidden)? };
            ids.push(l.parameter(&constant, &constant.dims, Role::Bias)?);
        }
    }
    let mut sources = flow.sources;
    if let Some(lengths) = lengths {
        let lengths = flow_of(l, lengths)?;
        sources |= lengths.sources;
        ids.push(lengths.id);
    }
    let states: Vec<Option<Value>> = match call.op() {
        "LSTM" => vec![weights.h, weights.c],
        _ => vec![weights.h],
    };
    let initial_state = states.iter().any(Option::is_some);
    if initial_state {
        for state in states {
            let state = match state {
                Some(state) => state,
                None => {
                    let zeros = Constant::floats(&[1, hidden], vec![0.0; hidden]);
                    let zeros = if layout.open { zeros } else { Constant { dims: vec![hidden], ..zeros } };
                    l.flowing(&zeros.into(), flow.batch)?
                }
            };
            let state = flow_of(l, &state)?;
            sources |= state.sources;
            ids.push(state.id);
        }
    }
    fn op<K: pellucid::ops::RecurrentCell>(
        cell: K,
        bias: bool,
        reverse: bool,
        lengths: bool,
        initial_state: bool,
    ) -> Arc<dyn Op> {
        Arc::new(Recurrent { cell, bias, reverse, lengths, initial_state })
    }
    let (bias, padded) = (weights.bias.is_some(), lengths.is_some());
    let op = match call.op() {
        "LSTM" => op(Lstm {}, bias, reverse, padded, initial_state),
        "GRU" => op(Gru {}, bias, reverse, padded, initial_state),
        _ => {
            let relu = functions(call, 0, 1)[0].eq_ignore_ascii_case("relu");
            let nonlinearity = if relu { Nonlinearity::Relu } else { Nonlinearity::Tanh };
            op(Rnn { nonlinearity }, bias, reverse, padded, initial_state)
        }
    };
    let y = l.flow(op, &ids, Kind::Float, flow.batch, sources)?;
    let last = last_step(l, layout, &y, lengths, reverse)?;
    Ok((y, last, None))
}

/// The state after the last step of each row.
fn last_step(l: &mut Lower, layout: &Layout, y: &Value, lengths: Option<&Value>, reverse: bool) -> Result<Value> {
    let time = usize::from(layout.open);
    let dims = layout.row(&[layout.hidden]);
    match lengths {
        Some(lengths) if !reverse => {
            let last = l.with(Operation::Sub, lengths, 1.0)?;
            let last = l.reshape(&last, &layout.row(&[1, 1]))?;
            let last = super::shapes::broadcast_to(l, &last, &layout.row(&[1, layout.hidden]))?;
            let taken = super::movement::gather_elements(l, y, &last, time)?;
            l.reshape(&taken, &dims)
        }
        _ => {
            let place = if reverse { 0 } else { layout.steps as i64 - 1 };
            let taken = l.take(y, time, vec![place], 0.0)?;
            l.reshape(&taken, &dims)
        }
    }
}

/// A function by its name.
fn activate(l: &mut Lower, x: &Value, name: &str) -> Result<Value> {
    match name.to_lowercase().as_str() {
        "sigmoid" => l.apply(Sigmoid, x, Kind::Float),
        "tanh" => l.apply(Tanh, x, Kind::Float),
        "relu" => l.apply(Relu, x, Kind::Float),
        "softsign" => l.apply(Softsign, x, Kind::Float),
        "softplus" => l.apply(Softplus::default(), x, Kind::Float),
        "hardsigmoid" => {
            let scaled = l.with(Operation::Mul, x, 0.2)?;
            let shifted = l.with(Operation::Add, &scaled, 0.5)?;
            between(l, &shifted, 0.0, 1.0)
        }
        _ => unsupported(format!("activations = '{name}'")),
    }
}

fn unrolled(
    l: &mut Lower,
    call: &Call,
    layout: &Layout,
    input: &Value,
    weights: Weights,
    lengths: Option<&Value>,
    (number, reverse): (usize, bool),
) -> Result<Outputs> {
    if call.has("activation_alpha") || call.has("activation_beta") {
        return unsupported("activation_alpha and activation_beta");
    }
    let hidden = layout.hidden;
    let directions = call.x(1)?.dims()[0];
    let functions = functions(call, number, directions);
    let limit = call.has("clip").then(|| call.float("clip", 0.0));
    let time = usize::from(layout.open);
    let gates = order(call.op()).len();
    let last = |dims: usize| dims - 1;
    let zeros = |l: &mut Lower, like: &Value| l.filled(like, Kind::Float, 0.0);
    // [(batch,) steps, gates · units]
    let all = l.dense(input, &weights.input, None)?;
    let bias = match &weights.bias {
        None => [None, None],
        Some(bias) => {
            let half = (gates * hidden) as i64;
            let [a, b] =
                [l.take(bias, 0, (0..half).collect(), 0.0)?, l.take(bias, 0, (half..2 * half).collect(), 0.0)?];
            [Some(a), Some(b)]
        }
    };
    let part = |l: &mut Lower, x: &Value, gate: usize| {
        let axis = last(x.rank());
        l.take(x, axis, ((gate * hidden) as i64..((gate + 1) * hidden) as i64).collect(), 0.0)
    };
    let bounded = |l: &mut Lower, x: Value| match limit {
        Some(limit) => between(l, &x, -limit, limit),
        None => Ok(x),
    };
    let mut steps: Vec<Option<Value>> = vec![None; layout.steps];
    let (mut h, mut c) = (weights.h.clone(), weights.c.clone());
    for n in 0..layout.steps {
        let t = if reverse { layout.steps - 1 - n } else { n };
        let x = l.take(&all, time, vec![t as i64], 0.0)?;
        let x = l.reshape(&x, &layout.row(&[gates * hidden]))?;
        let before = match &h {
            Some(h) => h.clone(),
            None => {
                let gate = part(l, &x, 0)?;
                zeros(l, &gate)?
            }
        };
        let x = match &bias[0] {
            Some(bias) => l.add(&x, bias)?,
            None => x,
        };
        let product = l.dense(&before, &weights.state, None)?;
        let product = match &bias[1] {
            Some(bias) => l.add(&product, bias)?,
            None => product,
        };
        let (new_h, new_c) = match call.op() {
            "LSTM" => {
                let state = match &c {
                    Some(c) => c.clone(),
                    None => zeros(l, &before)?,
                };
                let sums = l.add(&x, &product)?;
                let peep = |l: &mut Lower, sum: Value, number: i64, state: &Value| match &weights.peepholes {
                    None => Ok(sum),
                    Some(peepholes) => {
                        let size = hidden as i64;
                        let own = l.take(peepholes, 0, (number * size..(number + 1) * size).collect(), 0.0)?;
                        let more = l.mul(state, &own)?;
                        l.add(&sum, &more)
                    }
                };
                let [i, o, f, g] = [0, 1, 2, 3].map(|gate| part(l, &sums, gate));
                let i = peep(l, i?, 0, &state)?;
                let i = bounded(l, i)?;
                let i = activate(l, &i, &functions[0])?;
                let f = if call.int("input_forget", 0) == 1 {
                    l.arithmetic(Operation::Sub, &Constant::number(Kind::Float, 1.0).into(), &i)?
                } else {
                    let f = peep(l, f?, 2, &state)?;
                    let f = bounded(l, f)?;
                    activate(l, &f, &functions[0])?
                };
                let g = bounded(l, g?)?;
                let g = activate(l, &g, &functions[1])?;
                let (kept, new) = (l.mul(&f, &state)?, l.mul(&i, &g)?);
                let state = l.add(&kept, &new)?;
                let o = peep(l, o?, 1, &state)?;
                let o = bounded(l, o)?;
                let o = activate(l, &o, &functions[0])?;
                let shown = activate(l, &state, &functions[2])?;
                (l.mul(&o, &shown)?, Some(state))
            }
            "GRU" => {
                let gate = |l: &mut Lower, number: usize| {
                    let (x, h) = (part(l, &x, number)?, part(l, &product, number)?);
                    let sum = l.add(&x, &h)?;
                    let sum = bounded(l, sum)?;
                    activate(l, &sum, &functions[0])
                };
                let (z, r) = (gate(l, 0)?, gate(l, 1)?);
                let own = part(l, &x, 2)?;
                let recurrent = if call.int("linear_before_reset", 0) != 0 {
                    let h = part(l, &product, 2)?;
                    l.mul(&r, &h)?
                } else {
                    let reset = l.mul(&r, &before)?;
                    let rows = ((2 * hidden) as i64..(3 * hidden) as i64).collect::<Vec<_>>();
                    let weight = l.take(&weights.state, 0, rows.clone(), 0.0)?;
                    let product = l.dense(&reset, &weight, None)?;
                    match &bias[1] {
                        Some(bias) => {
                            let own = l.take(bias, 0, rows, 0.0)?;
                            l.add(&product, &own)?
                        }
                        None => product,
                    }
                };
                let sum = l.add(&own, &recurrent)?;
                let sum = bounded(l, sum)?;
                let new = activate(l, &sum, &functions[1])?;
                // (1 - z)·n + z·h = n + z·(h - n)
                let difference = l.sub(&before, &new)?;
                let step = l.mul(&z, &difference)?;
                (l.add(&new, &step)?, None)
            }
            _ => {
                let sum = l.add(&x, &product)?;
                let sum = bounded(l, sum)?;
                (activate(l, &sum, &functions[0])?, None)
            }
        };
        let (shown, new_h, new_c) = match lengths {
            None => (new_h.clone(), new_h, new_c),
            Some(lengths) => {
                let lengths = l.reshape(lengths, &layout.row(&[1]))?;
                let real = l.arithmetic(Operation::Less, &Constant::number(Kind::INT, t as f64).into(), &lengths)?;
                let zero = Constant::number(Kind::Float, 0.0).into();
                let shown = l.choose(&real, &new_h, &zero)?;
                let new_c = match (new_c, &c) {
                    (Some(new), Some(old)) => Some(l.choose(&real, &new, old)?),
                    (Some(new), None) => Some(l.choose(&real, &new, &zero)?),
                    (None, _) => None,
                };
                (shown, l.choose(&real, &new_h, &before)?, new_c)
            }
        };
        steps[t] = Some(l.reshape(&shown, &layout.row(&[1, hidden]))?);
        (h, c) = (Some(new_h), new_c);
    }
    let steps: Vec<Value> = steps.into_iter().flatten().collect();
    let (Some(h), false) = (h, steps.is_empty()) else { return invalid("no steps") };
    Ok((l.concatenate(&steps, time)?, h, c))
}
