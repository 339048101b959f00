//! The values of an ONNX network as values of a Pellucid graph, and what is done to them.
//!
//! A value is known when the network is read (a [`Constant`]), or flows through the graph. What flows is [batch, …] there, wherever the
//! network has its batch: a [`Flow`] remembers the axis. A network in which rows meet each other has none: every value of it, with all
//! its axes, is one row then. Ops on constants alone are computed at once, in f64 by their reference.

use std::collections::HashSet;
use std::sync::Arc;

use kernels::random::Stream;
use pellucid::graph::{BuildError, GraphBuilder, Role, ValueId};
use pellucid::nn::Init;
use pellucid::ops::{
    Arithmetic, Choose, Concatenate, Elementwise, Function, MatMul, Multiply, Op, Operation, Reduce, Reduction,
    Reshape, Sample, Slice, Spread, Subtract, Take, Transpose,
};
use pellucid::tensor::{Dim, Dims, MAX_RANK, Shape};

use crate::constant::{Constant, Kind, Values};
use crate::error::Problem;

/// Stands for the number of rows of the batch in sizes that are computed: a prime that no size of a network is a multiple of.
pub const BATCH: usize = 1_000_003;

/// Values that may be computed when a network is read.
const MAX_COMPUTED: usize = 1 << 26;

/// What a node's work gives.
pub type Result<T> = std::result::Result<T, Problem>;

/// A value of the network.
#[derive(Clone, Debug)]
pub enum Value {
    /// It is known.
    Known(Constant),
    /// It flows through the graph.
    Flow(Flow),
}

/// A value of the graph.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Which.
    pub id: ValueId,
    /// What its values are.
    pub kind: Kind,
    /// The axis of the network's value that is the batch; the graph has it first. `None` where all axes are within a row.
    pub batch: Option<usize>,
    /// Sizes as the network has them, [`BATCH`] at the batch.
    pub dims: Vec<usize>,
    /// Inputs of the network that it depends on, a bit each.
    pub sources: u64,
}

impl Value {
    /// What its values are.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Known(constant) => constant.kind,
            Value::Flow(flow) => flow.kind,
        }
    }

    /// Sizes as the network has them, [`BATCH`] at the batch.
    pub fn dims(&self) -> &[usize] {
        match self {
            Value::Known(constant) => &constant.dims,
            Value::Flow(flow) => &flow.dims,
        }
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.dims().len()
    }

    /// The axis that is the batch, if there is one.
    pub fn batch(&self) -> Option<usize> {
        match self {
            Value::Known(_) => None,
            Value::Flow(flow) => flow.batch,
        }
    }

    /// The same values, called another kind.
    pub fn of_kind(self, kind: Kind) -> Value {
        match self {
            Value::Known(constant) if constant.kind == kind => Value::Known(constant),
            Value::Known(constant) => {
                let of_batch = constant.of_batch;
                Value::Known(Constant { of_batch, ..Constant::of_wide(kind, &constant.dims, constant.wide()) })
            }
            Value::Flow(flow) => Value::Flow(Flow { kind, ..flow }),
        }
    }

    /// The constant, if it is known.
    pub fn known(&self) -> Option<&Constant> {
        match self {
            Value::Known(constant) => Some(constant),
            Value::Flow(_) => None,
        }
    }
}

impl From<Constant> for Value {
    fn from(constant: Constant) -> Value {
        Value::Known(constant)
    }
}

/// Refuses what the network says of its own sizes.
pub fn invalid<T>(text: impl Into<String>) -> Result<T> {
    Err(Problem::Invalid(text.into()))
}

/// Refuses what Pellucid has no way to compute.
pub fn unsupported<T>(text: impl Into<String>) -> Result<T> {
    Err(Problem::Unsupported(text.into()))
}

impl From<BuildError> for Problem {
    fn from(error: BuildError) -> Problem {
        Problem::Invalid(error.to_string())
    }
}

/// Values of a parameter to be.
type Given = (String, Arc<Vec<f32>>);

/// A constant that is a parameter.
#[derive(Debug)]
struct Made {
    name: Option<String>,
    dims: Vec<usize>,
    values: Values,
    id: ValueId,
}

/// Builds the graph.
#[derive(Debug, Default)]
pub struct Lower {
    /// The graph so far.
    pub builder: GraphBuilder,
    /// Values of its parameters, by name.
    pub given: Vec<Given>,
    /// Names of the network's inputs.
    pub inputs: Vec<String>,
    /// Some value of the graph with a batch.
    pub anything: Option<ValueId>,
    /// Constants that are parameters.
    made: Vec<Made>,
    taken: HashSet<String>,
    /// What the node is called that is looked at.
    pub label: String,
}

/// Sizes with a batch in front, as the graph has a value whose axes are all within a row.
fn row_shape(dims: &[usize]) -> Result<Shape> {
    if dims.len() >= MAX_RANK {
        return unsupported(format!("{} axes; at most {} are possible", dims.len(), MAX_RANK - 1));
    }
    let axes = [Dim::Batch].into_iter().chain(dims.iter().map(|&size| Dim::Fixed(size)));
    Shape::new(axes).map_err(|error| Problem::Invalid(error.to_string()))
}

/// Number of values of these sizes.
pub fn count(dims: &[usize]) -> usize {
    dims.iter().try_fold(1usize, |product, &size| product.checked_mul(size)).unwrap_or(usize::MAX)
}

impl Lower {
    /// The axis in the graph of axis `axis` of the value.
    pub fn axis(&self, x: &Value, axis: usize) -> Result<usize> {
        match x.batch() {
            Some(batch) if batch == axis => Err(Problem::MixesBatch(format!("it works along axis {axis}, the batch"))),
            Some(batch) if axis > batch => Ok(axis),
            _ => Ok(axis + 1),
        }
    }

    /// The constant; an error that says which inputs it comes from if it flows.
    pub fn need<'a>(&self, x: &'a Value, what: &str) -> Result<&'a Constant> {
        match x {
            Value::Known(constant) => Ok(constant),
            Value::Flow(flow) => Err(self.needs(flow, what)),
        }
    }

    fn needs(&self, flow: &Flow, what: &str) -> Problem {
        let chosen = self.inputs.iter().enumerate().filter(|(i, _)| flow.sources >> (i % 64) & 1 == 1);
        Problem::Needs { what: what.to_string(), inputs: chosen.map(|(_, name)| name.clone()).collect() }
    }

    /// A parameter of the graph with the values of `constant` and these sizes; a [`Role::Statistic`] stays as it is.
    pub fn parameter(&mut self, constant: &Constant, dims: &[usize], role: Role) -> Result<ValueId> {
        if constant.of_batch {
            return Err(Problem::MixesBatch("it computes with the number of rows".into()));
        }
        let same = |made: &&Made| match (&constant.name, &made.name) {
            (Some(name), Some(other)) => name == other && made.dims == dims && made.values == constant.values,
            (None, None) => made.dims == dims && made.values.is(&constant.values),
            _ => false,
        };
        if let Some(made) = self.made.iter().find(same) {
            return Ok(made.id);
        }
        let part = match role {
            Role::Weight => "weight",
            Role::Bias => "bias",
            Role::Scale => "scale",
            Role::Statistic => "constant",
        };
        let wanted = constant.name.clone().unwrap_or_else(|| format!("{}.{part}", self.label));
        let numbered = |i: usize| if i == 0 { wanted.clone() } else { format!("{wanted}.{i}") };
        let name = (0..).map(numbered).find(|name| !self.taken.contains(name)).expect("numbers go on");
        let id = self.builder.sized_parameter(&name, dims, role, Arc::new(Init::Default))?;
        self.taken.insert(name.clone());
        self.given.push((name, constant.narrow()));
        let (name, values) = (constant.name.clone(), constant.values.clone());
        self.made.push(Made { name, dims: dims.to_vec(), values, id });
        Ok(id)
    }

    /// The flow of a new node whose network value has its batch at `batch`.
    pub fn flow(
        &mut self,
        op: Arc<dyn Op>,
        ids: &[ValueId],
        kind: Kind,
        batch: Option<usize>,
        sources: u64,
    ) -> Result<Value> {
        let id = self.builder.add_shared(op, ids)?;
        let Some(sample) = self.builder.shape(id).sample() else { return invalid("the batch is lost") };
        let mut dims: Vec<usize> = sample.to_vec();
        if let Some(batch) = batch {
            if batch > dims.len() {
                return Err(Problem::MixesBatch("it moves the batch".into()));
            }
            dims.insert(batch, BATCH);
        }
        if dims.contains(&0) {
            return Ok(Constant { of_batch: batch.is_some(), ..Constant::of_wide(kind, &dims, Vec::new()) }.into());
        }
        Ok(Value::Flow(Flow { id, kind, batch, dims, sources }))
    }

    /// What an op gives for values that are all known, in f64.
    fn compute(&mut self, op: &dyn Op, inputs: &[&Constant], kind: Kind) -> Result<Constant> {
        let mut dims: Vec<Dims> = Vec::new();
        let mut shapes = Vec::new();
        for input in inputs {
            let shape = row_shape(&input.dims)?;
            dims.push(shape.dims(1));
            shapes.push(shape);
        }
        let shape = op.output_shape(&shapes).map_err(|error| Problem::Invalid(error.to_string()))?;
        let output_dims = shape.dims(1);
        let sample = &output_dims[1..];
        if count(sample) > MAX_COMPUTED {
            return unsupported(format!("{sample:?} values of a constant are too many to compute"));
        }
        let of_batch = inputs.iter().any(|input| input.of_batch);
        if sample.contains(&0) {
            return Ok(Constant { of_batch, ..Constant::of_wide(kind, sample, Vec::new()) });
        }
        let wide: Vec<Vec<f64>> = inputs.iter().map(|input| input.wide()).collect();
        let at = Sample { inputs: &wide, dims: &dims, output_dims: &output_dims, random: Stream::new(0, 0) };
        let Some(values) = op.reference(&at) else {
            return unsupported("it cannot be computed when the network is read");
        };
        Ok(Constant { of_batch, ..Constant::of_wide(kind, sample, values) })
    }

    /// An op on one value, which leaves the batch where it is. The op is for the axes of the graph.
    pub fn apply(&mut self, op: impl Op + 'static, x: &Value, kind: Kind) -> Result<Value> {
        match x {
            Value::Known(constant) => Ok(self.compute(&op, &[constant], kind)?.into()),
            Value::Flow(flow) => self.flow(Arc::new(op), &[flow.id], kind, flow.batch, flow.sources),
        }
    }

    /// An op on values with their batches at the same axis, or none; constants are spread over the rows.
    pub fn apply_all(&mut self, op: impl Op + 'static, inputs: &[&Value], kind: Kind) -> Result<Value> {
        let constants: Vec<&Constant> = inputs.iter().filter_map(|value| value.known()).collect();
        if constants.len() == inputs.len() {
            return Ok(self.compute(&op, &constants, kind)?.into());
        }
        let batch = inputs
            .iter()
            .find_map(|value| if let Value::Flow(flow) = value { Some(flow.batch) } else { None })
            .flatten();
        let (mut ids, mut sources) = (Vec::new(), 0);
        for value in inputs {
            let Value::Flow(flow) = self.flowing(value, batch)? else { return invalid("it has no values") };
            ids.push(flow.id);
            sources |= flow.sources;
        }
        self.flow(Arc::new(op), &ids, kind, batch, sources)
    }

    /// The value as one that flows, with its batch at `batch`.
    pub fn flowing(&mut self, x: &Value, batch: Option<usize>) -> Result<Value> {
        match x {
            Value::Flow(flow) if flow.batch == batch => Ok(x.clone()),
            Value::Flow(_) => Err(Problem::MixesBatch("values have their rows along different axes".into())),
            Value::Known(constant) => {
                let mut dims = constant.dims.clone();
                if let Some(batch) = batch {
                    if dims.get(batch) != Some(&1) {
                        return Err(Problem::MixesBatch("a constant says something of each row".into()));
                    }
                    dims.remove(batch);
                }
                let Some(like) = self.anything else { return unsupported("a network without an input") };
                let values = self.parameter(constant, &dims, role_of(constant, &dims))?;
                self.flow(Arc::new(Spread), &[like, values], constant.kind, batch, 0)
            }
        }
    }

    /// Values broadcast against each other: their ids in the graph, where the result has its batch, and its sources. All have as
    /// many axes as the result, or are parameters.
    fn aligned(&mut self, inputs: &[&Value]) -> Result<(Vec<ValueId>, Option<usize>, u64)> {
        let rank = inputs.iter().map(|value| value.rank()).max().unwrap_or(0);
        let mut place = None;
        let mut sources = 0;
        for value in inputs {
            if let Value::Flow(flow) = value {
                sources |= flow.sources;
                let own = flow.batch.map(|batch| batch + rank - flow.dims.len());
                if *place.get_or_insert(own) != own {
                    return Err(Problem::MixesBatch("values have their rows along different axes".into()));
                }
            }
        }
        let batch: Option<usize> = place.flatten();
        let mut ids = Vec::new();
        for value in inputs {
            let mut dims = [&vec![1; rank - value.rank()], value.dims()].concat();
            let at_batch = batch.map(|batch| dims.remove(batch));
            ids.push(match value {
                Value::Known(constant) => {
                    if at_batch.is_some_and(|size| size != 1) {
                        return Err(Problem::MixesBatch("a constant says something of each row".into()));
                    }
                    let own = constant.dims.len().min(dims.len());
                    let skipped = dims.len() - own;
                    self.parameter(constant, &dims[skipped..], role_of(constant, &dims[skipped..]))?
                }
                Value::Flow(flow) if flow.dims.len() == rank => flow.id,
                Value::Flow(flow) => self.builder.add(Reshape { shape: dims }, &[flow.id])?,
            });
        }
        Ok((ids, batch, sources))
    }

    /// An op with broadcasting.
    fn broadcast(&mut self, op: Arc<dyn Op>, inputs: &[&Value], kind: Kind) -> Result<Value> {
        let constants: Vec<&Constant> = inputs.iter().filter_map(|value| value.known()).collect();
        if constants.len() == inputs.len() {
            let rank = inputs.iter().map(|value| value.rank()).max().unwrap_or(0);
            let padded: Vec<Constant> = constants.into_iter().map(|constant| padded(constant, rank)).collect();
            return Ok(self.compute(&*op, &padded.iter().collect::<Vec<_>>(), kind)?.into());
        }
        if inputs.iter().any(|value| value.dims().contains(&0)) {
            return invalid("a value without elements meets others");
        }
        let (ids, batch, sources) = self.aligned(inputs)?;
        self.flow(op, &ids, kind, batch, sources)
    }

    /// f(x, y) with broadcasting. Whole numbers are divided without what is left.
    pub fn arithmetic(&mut self, operation: Operation, x: &Value, y: &Value) -> Result<Value> {
        use Operation::*;
        let kind = if matches!(operation, Equal | Less | LessOrEqual) { Kind::Bool } else { x.kind() };
        if operation == Div && kind != Kind::Float {
            let quotient = self.broadcast(Arc::new(Arithmetic { operation }), &[x, y], Kind::Float)?;
            return self.apply(Elementwise { function: Function::Truncate }, &quotient, kind);
        }
        // A single number that is added may be the bias of one unit; any other is a setting, such as the scale of attention.
        let setting = |x: &Value| match x {
            Value::Known(number) if number.len() == 1 && !matches!(operation, Add | Sub) => {
                Constant { name: None, ..number.clone() }.into()
            }
            _ => x.clone(),
        };
        let (x, y) = (&setting(x), &setting(y));
        let fast: Option<(Arc<dyn Op>, bool)> = match operation {
            Add => Some((Arc::new(pellucid::ops::Add), true)),
            Mul => Some((Arc::new(Multiply), true)),
            Sub => Some((Arc::new(Subtract), false)),
            _ => None,
        };
        if let Some((op, commutes)) = fast
            && (x.known().is_none() || y.known().is_none())
            && !x.dims().contains(&0)
            && !y.dims().contains(&0)
        {
            let (ids, batch, sources) = self.aligned(&[x, y])?;
            let swapped = [ids[1], ids[0]];
            for order in [&ids[..], &swapped].into_iter().take(if commutes { 2 } else { 1 }) {
                let shapes: Vec<Shape> = order.iter().map(|&id| self.builder.shape(id).clone()).collect();
                if shapes[0].is_batched() && op.output_shape(&shapes).is_ok() {
                    return self.flow(op, order, kind, batch, sources);
                }
            }
        }
        self.broadcast(Arc::new(Arithmetic { operation }), &[x, y], kind)
    }

    /// x + y
    pub fn add(&mut self, x: &Value, y: &Value) -> Result<Value> {
        self.arithmetic(Operation::Add, x, y)
    }

    /// x - y
    pub fn sub(&mut self, x: &Value, y: &Value) -> Result<Value> {
        self.arithmetic(Operation::Sub, x, y)
    }

    /// x · y
    pub fn mul(&mut self, x: &Value, y: &Value) -> Result<Value> {
        self.arithmetic(Operation::Mul, x, y)
    }

    /// x / y
    pub fn div(&mut self, x: &Value, y: &Value) -> Result<Value> {
        self.arithmetic(Operation::Div, x, y)
    }

    /// f(x, y) for a number y, of the kind of x.
    pub fn with(&mut self, operation: Operation, x: &Value, y: f64) -> Result<Value> {
        self.arithmetic(operation, x, &Constant::number(x.kind(), y).into())
    }

    /// f(x)
    pub fn function(&mut self, function: Function, x: &Value) -> Result<Value> {
        self.apply(Elementwise { function }, x, x.kind())
    }

    /// 1 - x for truth values.
    pub fn not(&mut self, x: &Value) -> Result<Value> {
        let one = Constant::number(Kind::Bool, 1.0).into();
        Ok(self.arithmetic(Operation::Sub, &one, x)?.of_kind(Kind::Bool))
    }

    /// a where c holds, else b.
    pub fn choose(&mut self, c: &Value, a: &Value, b: &Value) -> Result<Value> {
        self.broadcast(Arc::new(Choose), &[c, a, b], a.kind())
    }

    /// One number in the sizes of x.
    pub fn filled(&mut self, x: &Value, kind: Kind, value: f64) -> Result<Value> {
        let dims: Vec<usize> =
            x.dims().iter().enumerate().map(|(i, &size)| if x.batch() == Some(i) { 1 } else { size }).collect();
        let values = vec![value; count(&dims)];
        let constant: Value = Constant::of_wide(kind, &dims, values).into();
        if x.known().is_some() { Ok(constant) } else { self.flowing(&constant, x.batch()) }
    }

    /// Other sizes for the same values in the same order.
    pub fn reshape(&mut self, x: &Value, dims: &[usize]) -> Result<Value> {
        let flow = match x {
            Value::Known(constant) => {
                if count(&constant.dims) != count(dims) {
                    return invalid(format!("{:?} values do not become {dims:?}", constant.dims));
                }
                return Ok(Constant { dims: dims.to_vec(), ..constant.clone() }.into());
            }
            Value::Flow(flow) if flow.dims == dims => return Ok(x.clone()),
            Value::Flow(flow) => flow,
        };
        if count(&flow.dims) != count(dims) {
            return invalid(format!("{:?} values do not become {dims:?}", flow.dims));
        }
        let mut sample = dims.to_vec();
        let mut batch = None;
        if let Some(before) = flow.batch {
            let Some(after) = dims.iter().position(|&size| size == BATCH) else {
                return Err(Problem::MixesBatch(format!("it makes {dims:?} of {:?}", flow.dims)));
            };
            if count(&flow.dims[..before]) != count(&dims[..after]) {
                return Err(Problem::MixesBatch("it moves values between rows".into()));
            }
            sample.remove(after);
            batch = Some(after);
        }
        let (id, kind, sources) = (flow.id, flow.kind, flow.sources);
        self.flow(Arc::new(Reshape { shape: sample }), &[id], kind, batch, sources)
    }

    /// Axis i of the result is axis `order[i]`.
    pub fn transpose(&mut self, x: &Value, order: &[usize]) -> Result<Value> {
        if order.iter().copied().eq(0..order.len()) {
            return Ok(x.clone());
        }
        match x {
            Value::Known(constant) => {
                let order = [0].into_iter().chain(order.iter().map(|axis| axis + 1)).collect();
                let computed = self.compute(&Transpose { order }, &[constant], constant.kind)?;
                Ok(Constant { name: constant.name.clone(), ..computed }.into())
            }
            Value::Flow(flow) => {
                let (id, kind, sources) = (flow.id, flow.kind, flow.sources);
                let batch = flow.batch.and_then(|batch| order.iter().position(|&axis| axis == batch));
                let mut inner = vec![0];
                for &axis in order.iter().filter(|axis| Some(**axis) != flow.batch) {
                    inner.push(self.axis(x, axis)?);
                }
                if inner.iter().copied().eq(0..inner.len()) {
                    let dims = order.iter().map(|&axis| flow.dims[axis]).collect();
                    return Ok(Value::Flow(Flow { dims, batch, ..flow.clone() }));
                }
                self.flow(Arc::new(Transpose { order: inner }), &[id], kind, batch, sources)
            }
        }
    }

    /// Axis `from` moved to place `to` of the result.
    pub fn move_axis(&mut self, x: &Value, from: usize, to: usize) -> Result<Value> {
        let mut order: Vec<usize> = (0..x.rank()).filter(|&axis| axis != from).collect();
        order.insert(to, from);
        self.transpose(x, &order)
    }

    /// Places of an axis by a list; -1 for `fill`.
    pub fn take(&mut self, x: &Value, axis: usize, places: Vec<i64>, fill: f32) -> Result<Value> {
        let size = x.dims()[axis];
        if places.iter().copied().eq(0..size as i64) {
            return Ok(x.clone());
        }
        if places.contains(&-1) && !fill.is_finite() {
            // A place more, which holds the value.
            let dims: Vec<usize> =
                (0..x.rank()).map(|i| if i == axis || x.batch() == Some(i) { 1 } else { x.dims()[i] }).collect();
            let more = Constant::of_wide(x.kind(), &dims, vec![f64::from(fill); count(&dims)]).into();
            let longer = self.concatenate(&[x.clone(), more], axis)?;
            let places = places.into_iter().map(|place| if place == -1 { size as i64 } else { place }).collect();
            return self.take(&longer, axis, places, 0.0);
        }
        let inner = self.axis(x, axis)?;
        let consecutive =
            places.first().is_some_and(|first| *first >= 0) && places.windows(2).all(|two| two[0] + 1 == two[1]);
        if consecutive {
            let start = places[0] as usize;
            let part = self.apply(Slice { axis: inner, start, end: start + places.len() }, x, x.kind())?;
            // A part of what may be trained may be trained.
            return Ok(match (part, x) {
                (Value::Known(part), Value::Known(whole)) => Constant { name: whole.name.clone(), ..part }.into(),
                (part, _) => part,
            });
        }
        self.apply(Take { axis: inner, places, fill }, x, x.kind())
    }

    /// Values one behind the other along an axis.
    pub fn concatenate(&mut self, inputs: &[Value], axis: usize) -> Result<Value> {
        let some: Vec<&Value> = inputs.iter().filter(|value| value.dims().get(axis) != Some(&0)).collect();
        match some[..] {
            [] => return inputs.first().cloned().map_or_else(|| invalid("there is nothing to join"), Ok),
            [one] => return Ok(one.clone()),
            _ => {}
        }
        let layout = some.iter().find(|value| value.known().is_none()).unwrap_or(&some[0]);
        let (inner, kind) = (self.axis(layout, axis)?, layout.kind());
        let mut joined = Vec::new();
        // An op takes no more than this many inputs.
        for part in some.chunks(pellucid::ops::MAX_INPUTS) {
            joined.push(self.apply_all(Concatenate { axis: inner }, part, kind)?);
        }
        match joined.len() {
            1 => Ok(joined.remove(0)),
            _ => self.concatenate(&joined, axis),
        }
    }

    /// The axes become one number each and are gone.
    pub fn reduce(&mut self, reduction: Reduction, x: &Value, axes: &[usize]) -> Result<Value> {
        let kind = if matches!(reduction, Reduction::ArgMax | Reduction::ArgMin) { Kind::INT } else { x.kind() };
        if axes.is_empty() {
            return Ok(x.clone());
        }
        let kept: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
        if x.dims().contains(&0) {
            let value = match reduction {
                Reduction::Sum => 0.0,
                Reduction::Product => 1.0,
                Reduction::Max => {
                    if kind == Kind::Float {
                        f64::NEG_INFINITY
                    } else {
                        0.0
                    }
                }
                Reduction::Min => {
                    if kind == Kind::Float {
                        f64::INFINITY
                    } else {
                        1.0
                    }
                }
                Reduction::Mean => f64::NAN,
                _ => return invalid("no value is the greatest of none"),
            };
            let dims: Vec<usize> = kept.iter().map(|&axis| x.dims()[axis]).collect();
            let values = vec![value; count(&dims)];
            return Ok(Constant::of_wide(kind, &dims, values).into());
        }
        if let Some(batch) = x.batch().filter(|batch| axes.contains(batch)) {
            return Err(Problem::MixesBatch(format!("it reduces axis {batch}, the batch")));
        }
        let mut inner: Vec<usize> = axes.iter().map(|&axis| self.axis(x, axis)).collect::<Result<_>>()?;
        inner.sort_unstable();
        if inner.windows(2).all(|two| two[0] + 1 == two[1]) {
            let (first, end) = (inner[0], inner[inner.len() - 1] + 1);
            let op = Reduce { reduction, first, end };
            return match x {
                Value::Known(constant) => Ok(self.compute(&op, &[constant], kind)?.into()),
                Value::Flow(flow) => {
                    let batch = flow.batch.map(|batch| batch - axes.iter().filter(|axis| **axis < batch).count());
                    self.flow(Arc::new(op), &[flow.id], kind, batch, flow.sources)
                }
            };
        }
        let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
        let moved = self.transpose(x, &order)?;
        let last: Vec<usize> = (kept.len()..order.len()).collect();
        self.reduce(reduction, &moved, &last)
    }

    /// [`Lower::reduce`] with axes of size 1 where there were others.
    pub fn reduce_keep(&mut self, reduction: Reduction, x: &Value, axes: &[usize]) -> Result<Value> {
        let dims: Vec<usize> =
            (0..x.rank()).map(|axis| if axes.contains(&axis) { 1 } else { x.dims()[axis] }).collect();
        let reduced = self.reduce(reduction, x, axes)?;
        self.reshape(&reduced, &dims)
    }

    /// Matrix products of the last two axes.
    pub fn matmul(&mut self, a: &Value, b: &Value) -> Result<Value> {
        let (rank_a, rank_b) = (a.rank(), b.rank());
        if rank_a == 0 || rank_b == 0 {
            return invalid("a number is no matrix");
        }
        // A vector on the left is a row, one on the right a column; its axis is gone from the result.
        let a = if rank_a == 1 { self.reshape(a, &[1, a.dims()[0]])? } else { a.clone() };
        let b = if rank_b == 1 { self.reshape(b, &[b.dims()[0], 1])? } else { b.clone() };
        let product = self.matrices(&a, &b)?;
        let mut dims = product.dims().to_vec();
        if rank_b == 1 {
            dims.pop();
        }
        if rank_a == 1 {
            dims.remove(dims.len() - 1 - usize::from(rank_b > 1));
        }
        self.reshape(&product, &dims)
    }

    fn matrices(&mut self, a: &Value, b: &Value) -> Result<Value> {
        if let (Value::Flow(flow), Value::Known(weight)) = (a, b)
            && weight.dims.len() == 2
            && flow.batch != Some(flow.dims.len() - 1)
            && !weight.of_batch
        {
            let weight = self.transpose(b, &[1, 0])?;
            return self.dense(a, &weight, None);
        }
        let ends = |value: &Value| value.batch().is_some_and(|batch| batch + 2 >= value.rank());
        // Rows of the batch may be the rows of the first matrix: each is a matrix of its own then.
        if let (Some(batch), Value::Known(_)) = (a.batch(), b)
            && batch + 2 == a.rank()
            && b.rank() == 2
        {
            let mut dims = a.dims().to_vec();
            dims.insert(batch + 1, 1);
            let rows = self.reshape(a, &dims)?;
            let product = self.matrices(&rows, b)?;
            let mut dims = product.dims().to_vec();
            dims.remove(batch + 1);
            return self.reshape(&product, &dims);
        }
        if ends(a) || ends(b) {
            return Err(Problem::MixesBatch("a matrix has its rows or columns along the batch".into()));
        }
        self.broadcast(Arc::new(MatMul), &[a, b], a.kind())
    }

    /// x·Wᵀ (+ b) with weights W [out, in] that are known.
    pub fn dense(&mut self, x: &Value, weight: &Value, bias: Option<&Value>) -> Result<Value> {
        let Value::Flow(flow) = x else { return invalid("a product of constants") };
        let (id, kind, batch, sources) = (flow.id, flow.kind, flow.batch, flow.sources);
        let mut ids = vec![id];
        let weight = self.need(weight, "the weight")?.clone();
        ids.push(self.parameter(&weight, &weight.dims, Role::Weight)?);
        if let Some(bias) = bias {
            let bias = self.need(bias, "the bias")?.clone();
            ids.push(self.parameter(&bias, &[count(&bias.dims)], Role::Bias)?);
        }
        self.flow(Arc::new(pellucid::ops::Dense), &ids, kind, batch, sources)
    }
}

/// What a parameter is for that no layer takes: an initialiser may be learnt, other constants stay what they are.
pub fn role_of(constant: &Constant, dims: &[usize]) -> Role {
    match dims.len() {
        _ if constant.name.is_none() => Role::Statistic,
        0 => Role::Statistic,
        1 => Role::Bias,
        _ => Role::Weight,
    }
}

/// The constant with axes of size 1 in front.
fn padded(constant: &Constant, rank: usize) -> Constant {
    let dims = [&vec![1; rank - constant.dims.len()][..], &constant.dims].concat();
    Constant { dims, ..constant.clone() }
}
