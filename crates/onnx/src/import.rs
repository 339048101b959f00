//! Reading a network: its nodes become those of a graph, one after the other.
//!
//! The graph needs a batch. It is the axis with the first size that has a name; in a network of fixed sizes the first axis, or the
//! second; and where rows meet each other, the whole network is one row.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use pellucid::graph::{Graph, Parameters, Role};
use pellucid::tensor::{Dim, Shape};
use prost::Message;
use prost::bytes::Bytes;

use crate::call::Call;
use crate::constant::{Constant, Kind};
use crate::error::{NodeProblem, OnnxError, Problem};
use crate::export::NETWORK_INPUT;
use crate::external::Folder;
use crate::lower::{BATCH, Flow, Lower, Result as Lowered, Value};
use crate::nodes;
use crate::proto;

/// Versions of the standard set of ops that are read.
const OPSETS: std::ops::RangeInclusive<i64> = 1..=28;

/// Branches within branches.
const MAX_DEPTH: usize = 16;

/// How to read a network.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// Inputs that have one value for good, by name: sizes and settings that the network asks for.
    pub fixed: BTreeMap<String, Constant>,
    /// Sizes of axes that are open in the network, by their name; the batch needs none.
    pub sizes: BTreeMap<String, usize>,
    /// What Pellucid wrote in front of its network to prepare raw numbers is part of it; without, the network begins behind.
    pub raw: bool,
}

/// A network that was read.
#[derive(Debug)]
pub struct Imported {
    /// The network, which computes all outputs.
    pub graph: Graph,
    /// Its parameters.
    pub parameters: Parameters,
    /// Its inputs, in the order of the graph's.
    pub inputs: Vec<Port>,
    /// Its outputs, in the order of the graph's.
    pub outputs: Vec<Port>,
    /// What the file says besides: `classes` and others.
    pub metadata: BTreeMap<String, String>,
}

/// An input or output as the network has it. The graph has [batch, …].
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// Sizes; `None` for the batch.
    pub dims: Vec<Option<usize>>,
    /// The axis that is the batch; the graph has it first. `None` where the whole value is one row of the graph, or, for an output,
    /// is the same for all rows.
    pub batch: Option<usize>,
    /// An output that no input changes; a parameter of the graph.
    pub constant: bool,
}

impl Port {
    /// The values of a tensor of these sizes as the graph takes them, the rows of the batch first; and how many rows there are.
    pub fn to_rows(&self, dims: &[usize], values: &[f32]) -> (usize, Vec<f32>) {
        let Some(axis) = self.batch else { return (1, values.to_vec()) };
        let (blocks, rows, width) = blocks(dims, axis);
        let part = |row: usize, block: usize| &values[(block * rows + row) * width..][..width];
        (rows, (0..rows).flat_map(|row| (0..blocks).flat_map(move |block| part(row, block).to_vec())).collect())
    }

    /// Sizes and values as the network has them, from `rows` rows of the graph.
    pub fn from_rows(&self, rows: usize, values: &[f32]) -> (Vec<usize>, Vec<f32>) {
        let dims: Vec<usize> = self.dims.iter().map(|size| size.unwrap_or(rows)).collect();
        let Some(axis) = self.batch else { return (dims, values.to_vec()) };
        let (blocks, rows, width) = blocks(&dims, axis);
        let part = |block: usize, row: usize| &values[(row * blocks + block) * width..][..width];
        let values = (0..blocks).flat_map(|block| (0..rows).flat_map(move |row| part(block, row).to_vec())).collect();
        (dims, values)
    }
}

/// What stands before an axis, its size, and what stands behind it.
fn blocks(dims: &[usize], axis: usize) -> (usize, usize, usize) {
    (dims[..axis].iter().product(), dims[axis], dims[axis + 1..].iter().product())
}

/// Where the batch is.
#[derive(Clone, Debug, PartialEq)]
enum Batch {
    /// On axes of this name.
    Named(String),
    /// On this axis, of this size.
    Axis(usize, usize),
    /// Nowhere: the network is one row.
    Whole,
}

/// The size of an axis as a file has it.
#[derive(Clone, Debug, PartialEq)]
enum Size {
    Fixed(usize),
    Named(String),
}

/// An input of a network.
struct Input {
    name: String,
    kind: Kind,
    dims: Vec<Size>,
}

impl Import {
    /// Reads the network in a file.
    ///
    /// # Errors
    /// [`OnnxError`] for a file that is none, or for nodes that cannot be had: all of them.
    pub fn open(&self, path: &Path) -> Result<Imported, OnnxError> {
        let failed = |source| OnnxError::File { path: path.to_path_buf(), source };
        let bytes = std::fs::read(path).map_err(failed)?;
        self.read(bytes, &Folder::of(path))
    }

    /// Reads a network from memory.
    ///
    /// # Errors
    /// As [`Import::open`].
    pub fn from_bytes(&self, bytes: Vec<u8>) -> Result<Imported, OnnxError> {
        self.read(bytes, &Folder::default())
    }

    fn read(&self, bytes: Vec<u8>, folder: &Folder) -> Result<Imported, OnnxError> {
        let model = proto::Model::decode(Bytes::from(bytes)).map_err(|error| OnnxError::Format(error.to_string()))?;
        let standard = |set: &&proto::OperatorSet| matches!(set.domain.as_deref(), None | Some("" | "ai.onnx"));
        let opset = model.opset_import.iter().find(standard).and_then(|set| set.version).unwrap_or(1);
        if !OPSETS.contains(&opset) {
            let (first, last) = (OPSETS.start(), OPSETS.end());
            return Err(OnnxError::Format(format!("it is written for opset {opset}; {first} to {last} can be read")));
        }
        let Some(graph) = model.graph else { return Err(OnnxError::Format("there is no graph in it".into())) };
        let entry = |entry: proto::StringEntry| entry.key.zip(entry.value);
        let metadata: BTreeMap<String, String> = model.metadata_props.into_iter().filter_map(entry).collect();
        let mut graph = match metadata.get(NETWORK_INPUT).filter(|_| !self.raw) {
            Some(name) => without_front(graph, name),
            None => graph,
        };
        leave_out_unread(&mut graph);
        let graph = &graph;
        let mut known = self.fixed.clone();
        for tensor in &graph.initializer {
            let constant = Constant::read(tensor, folder)?;
            let name = tensor.name.clone().unwrap_or_default();
            let learnt = (constant.kind == Kind::Float).then(|| name.clone());
            known.entry(name).or_insert(Constant { name: learnt, ..constant });
        }
        let inputs = inputs(graph, &known)?;
        let mut failures: Vec<OnnxError> = Vec::new();
        for batch in choices(&inputs) {
            let reader = Reader { import: self, opset, folder, known: &known, inputs: &inputs };
            match reader.build(graph, &batch) {
                Ok(mut imported) => {
                    imported.metadata = metadata;
                    return Ok(imported);
                }
                Err(error) => failures.push(error),
            }
        }
        Err(the_clearest(failures))
    }
}

/// The graph from the value `name` on.
fn without_front(mut graph: proto::Graph, name: &str) -> proto::Graph {
    let named = |info: &&proto::ValueInfo| info.name.as_deref() == Some(name);
    let info = graph.value_info.iter().find(named).cloned();
    let last = graph.node.iter().position(|node| node.output.iter().any(|output| output == name));
    if let (Some(info), Some(last)) = (info, last) {
        graph.node.drain(..=last);
        graph.input = vec![info];
    }
    graph
}

/// Leaves out what nodes give besides their first output where nothing reads it, as a file may do itself: exporters ask an LSTM for
/// its last cell state whether a network needs it or not.
fn leave_out_unread(graph: &mut proto::Graph) {
    fn note(graph: &proto::Graph, read: &mut HashSet<String>) {
        read.extend(graph.output.iter().filter_map(|info| info.name.clone()));
        for node in &graph.node {
            read.extend(node.input.iter().cloned());
            node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()).for_each(|branch| note(branch, read));
        }
    }
    let mut read = HashSet::new();
    note(graph, &mut read);
    let further = graph.node.iter_mut().flat_map(|node| node.output.iter_mut().skip(1));
    further.filter(|name| !read.contains(*name)).for_each(String::clear);
}

/// The inputs whose value is not known.
fn inputs(graph: &proto::Graph, known: &BTreeMap<String, Constant>) -> Result<Vec<Input>, OnnxError> {
    let mut inputs = Vec::new();
    for info in &graph.input {
        let name = info.name.clone().unwrap_or_default();
        if known.contains_key(&name) {
            continue;
        }
        let error = |problem: &str| OnnxError::Tensor { name: name.clone(), problem: problem.to_string() };
        let tensor = info.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
        let Some(tensor) = tensor else { return Err(error("an input that is no tensor cannot be read")) };
        let Some(kind) = Kind::of(tensor.elem_type.unwrap_or(0)) else {
            return Err(error("an input of values of that type cannot be read"));
        };
        let Some(shape) = &tensor.shape else { return Err(error("the file does not say how many axes the input has")) };
        let mut dims = Vec::new();
        for (axis, dim) in shape.dim.iter().enumerate() {
            dims.push(match (dim.dim_value, &dim.dim_param) {
                (Some(size), _) => match usize::try_from(size) {
                    Ok(size) if size <= 1 << 31 => Size::Fixed(size),
                    _ => return Err(error("a size of the input is impossible")),
                },
                (None, Some(param)) if !param.is_empty() => Size::Named(param.clone()),
                _ => Size::Named(format!("{name}.{axis}")),
            });
        }
        inputs.push(Input { name, kind, dims });
    }
    Ok(inputs)
}

/// Where the batch may be, the likeliest first.
fn choices(inputs: &[Input]) -> Vec<Batch> {
    let mut choices = Vec::new();
    let named = inputs.iter().flat_map(|input| &input.dims).find_map(|size| match size {
        Size::Named(name) => Some(name.clone()),
        Size::Fixed(_) => None,
    });
    if let Some(name) = named {
        choices.push(Batch::Named(name));
    } else {
        for axis in [0, 1] {
            let size = inputs.iter().find_map(|input| match input.dims.get(axis) {
                Some(Size::Fixed(size)) if *size > 0 => Some(*size),
                _ => None,
            });
            choices.extend(size.map(|size| Batch::Axis(axis, size)));
        }
    }
    choices.push(Batch::Whole);
    choices
}

/// What a network lacks is said first; then which inputs must be known; that its rows meet last.
fn the_clearest(failures: Vec<OnnxError>) -> OnnxError {
    let rank = |error: &OnnxError| match error {
        OnnxError::Nodes { problems } => {
            let has = |test: fn(&Problem) -> bool| problems.iter().any(|problem| test(&problem.problem));
            if has(|problem| matches!(problem, Problem::MixesBatch(_))) {
                3
            } else if has(|problem| matches!(problem, Problem::Needs { .. })) {
                2
            } else {
                1
            }
        }
        _ => 0,
    };
    let best = failures.into_iter().rev().min_by_key(rank);
    best.unwrap_or_else(|| OnnxError::Format("there is nothing in it".into()))
}

/// What is the same for all attempts at a network.
struct Reader<'a> {
    import: &'a Import,
    opset: i64,
    folder: &'a Folder,
    known: &'a BTreeMap<String, Constant>,
    inputs: &'a [Input],
}

/// An attempt: values by name, and what went wrong.
struct Attempt {
    lower: Lower,
    values: HashMap<String, Value>,
    /// Values that a node was to give that cannot be had.
    failed: HashSet<String>,
    problems: Vec<NodeProblem>,
}

impl Reader<'_> {
    fn build(&self, graph: &proto::Graph, batch: &Batch) -> Result<Imported, OnnxError> {
        let values = self.known.iter().map(|(name, constant)| (name.clone(), Value::Known(constant.clone()))).collect();
        let mut attempt = Attempt { lower: Lower::default(), values, failed: HashSet::new(), problems: Vec::new() };
        let mut ports = Vec::new();
        for (number, input) in self.inputs.iter().enumerate() {
            attempt.lower.inputs.push(input.name.clone());
            match self.input(&mut attempt.lower, number, input, batch)? {
                Some(value) => {
                    if let Value::Flow(flow) = &value {
                        ports.push(port(&input.name, &value));
                        attempt.lower.anything.get_or_insert(flow.id);
                    }
                    attempt.values.insert(input.name.clone(), value);
                }
                None => {
                    let (node, op) = (input.name.clone(), "input".to_string());
                    let problem = Problem::Needs { what: "what has no batch".into(), inputs: vec![node.clone()] };
                    attempt.problems.push(NodeProblem { node, op, problem });
                    attempt.failed.insert(input.name.clone());
                }
            }
        }
        self.nodes(&mut attempt, graph, 0)?;
        if !attempt.problems.is_empty() {
            return Err(OnnxError::Nodes { problems: attempt.problems });
        }
        self.finish(attempt, graph, ports)
    }

    /// The value of an input; `None` if it has no batch where all must have one.
    fn input(
        &self,
        lower: &mut Lower,
        number: usize,
        input: &Input,
        batch: &Batch,
    ) -> Result<Option<Value>, OnnxError> {
        let error = |problem: String| OnnxError::Tensor { name: input.name.clone(), problem };
        let place = match batch {
            Batch::Whole => None,
            Batch::Named(name) => input.dims.iter().position(|size| *size == Size::Named(name.clone())),
            Batch::Axis(axis, rows) => {
                let axis = if input.dims.len() == 1 { 0 } else { *axis };
                (input.dims.get(axis) == Some(&Size::Fixed(*rows))).then_some(axis)
            }
        };
        // What has no values is known, and has no rows either.
        let is_empty = input.dims.contains(&Size::Fixed(0));
        let mut dims = Vec::new();
        for (axis, size) in input.dims.iter().enumerate() {
            dims.push(match size {
                _ if place == Some(axis) && !is_empty => BATCH,
                Size::Fixed(size) => *size,
                Size::Named(name) => match (self.import.sizes.get(name), batch) {
                    (Some(size), _) => *size,
                    (None, Batch::Named(rows)) if rows != name => {
                        return Err(error(format!("axis {axis}, '{name}', has no fixed size; say how long it is")));
                    }
                    // A whole network as one row: of one row of its batch.
                    (None, _) => 1,
                },
            });
        }
        if is_empty {
            return Ok(Some(Constant::of_wide(input.kind, &dims, Vec::new()).into()));
        }
        if place.is_none() && *batch != Batch::Whole {
            return Ok(None);
        }
        let row = dims.iter().enumerate().filter(|(axis, _)| place != Some(*axis)).map(|(_, &size)| Dim::Fixed(size));
        let shape = Shape::new([Dim::Batch].into_iter().chain(row)).map_err(|reason| error(reason.to_string()))?;
        let id = lower.builder.input(&input.name, shape).map_err(|reason| error(reason.to_string()))?;
        Ok(Some(Value::Flow(Flow { id, kind: input.kind, batch: place, dims, sources: 1 << (number % 64) })))
    }

    /// The nodes of a graph, or of a branch.
    fn nodes(&self, attempt: &mut Attempt, graph: &proto::Graph, depth: usize) -> Result<(), OnnxError> {
        for (number, node) in graph.node.iter().enumerate() {
            let first = node.output.first().cloned().unwrap_or_default();
            let name = match node.name.as_deref() {
                None | Some("") => format!("node {number}, which gives '{first}'"),
                Some(name) => name.to_string(),
            };
            let op = node.op_type.clone().unwrap_or_default();
            let label = node.name.clone().filter(|name| !name.is_empty()).unwrap_or(first);
            attempt.lower.label.clone_from(&label);
            attempt.lower.builder.set_label(label);
            match self.node(attempt, node, depth) {
                Ok(None) => {}
                Ok(Some(problem)) => {
                    attempt.failed.extend(node.output.iter().cloned());
                    attempt.problems.push(NodeProblem { node: name, op, problem });
                }
                Err(()) => attempt.failed.extend(node.output.iter().cloned()),
            }
        }
        Ok(())
    }

    /// One node: its problem, if it has one; an error if it only reads what cannot be had.
    fn node(&self, attempt: &mut Attempt, node: &proto::Node, depth: usize) -> Result<Option<Problem>, ()> {
        let op = node.op_type.as_deref().unwrap_or_default();
        let domain = node.domain.as_deref().unwrap_or_default();
        let mut inputs = Vec::new();
        let mut failed = false;
        for name in &node.input {
            inputs.push(match attempt.values.get(name) {
                _ if name.is_empty() => None,
                Some(value) => Some(value.clone()),
                None if attempt.failed.contains(name) => {
                    failed = true;
                    None
                }
                None => {
                    let text = format!(
                        "it reads '{name}', which nothing before it gives: it is missing, or the graph goes in a circle"
                    );
                    return Ok(Some(Problem::Invalid(text)));
                }
            });
        }
        let unknown = || {
            Problem::Unsupported(if domain.is_empty() {
                "there is no such op".into()
            } else {
                format!("there is no such op of '{domain}'")
            })
        };
        if !matches!(domain, "" | "ai.onnx") {
            return Ok(Some(unknown()));
        }
        let call = Call::new(node, inputs, self.opset, self.folder);
        if failed {
            // Whether there is such an op at all can still be said.
            let bare = Call::new(node, vec![None; node.input.len()], self.opset, self.folder);
            let known = op == "If" || nodes::lower(&mut Lower::default(), &bare).is_some();
            return if known { Err(()) } else { Ok(Some(unknown())) };
        }
        if op == "If" {
            return Ok(self.branch(attempt, node, &call, depth).err());
        }
        let outputs = match nodes::lower(&mut attempt.lower, &call) {
            None => return Ok(Some(unknown())),
            Some(Err(problem)) => return Ok(Some(problem)),
            Some(Ok(outputs)) => outputs,
        };
        if let Some(attribute) = call.unknown_attribute() {
            return Ok(Some(Problem::Unsupported(format!("attribute '{attribute}' is not known"))));
        }
        for (number, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            match outputs.get(number) {
                Some(value) => attempt.values.insert(name.clone(), value.clone()),
                None => return Ok(Some(Problem::Unsupported(format!("output {number}, '{name}', cannot be had")))),
            };
        }
        Ok(None)
    }

    /// A choice between two graphs that is known when the network is read.
    fn branch(&self, attempt: &mut Attempt, node: &proto::Node, call: &Call, depth: usize) -> Lowered<()> {
        let condition = attempt.lower.need(call.x(0)?, "which branch is taken")?.ints().first().copied().unwrap_or(0);
        let taken = if condition != 0 { call.graph("then_branch") } else { call.graph("else_branch") };
        let (Some(branch), true) = (taken, depth < MAX_DEPTH) else {
            return crate::lower::invalid("its branches are missing, or are too deep within each other");
        };
        for tensor in &branch.initializer {
            let constant = Constant::read(tensor, self.folder).map_err(|error| Problem::Invalid(error.to_string()))?;
            attempt.values.insert(tensor.name.clone().unwrap_or_default(), constant.into());
        }
        self.nodes(attempt, branch, depth + 1).map_err(|error| Problem::Invalid(error.to_string()))?;
        for (output, inner) in node.output.iter().zip(&branch.output) {
            let name = inner.name.as_deref().unwrap_or_default();
            match attempt.values.get(name).cloned() {
                Some(value) => attempt.values.insert(output.clone(), value),
                None => return crate::lower::invalid(format!("its branch does not give '{name}'")),
            };
        }
        Ok(())
    }

    fn finish(&self, mut attempt: Attempt, graph: &proto::Graph, inputs: Vec<Port>) -> Result<Imported, OnnxError> {
        let mut outputs = Vec::new();
        let mut ids = Vec::new();
        for info in &graph.output {
            let name = info.name.clone().unwrap_or_default();
            let fail = |problem: Problem| OnnxError::Nodes {
                problems: vec![NodeProblem { node: name.clone(), op: "output".into(), problem }],
            };
            let Some(value) = attempt.values.get(&name) else {
                return Err(fail(Problem::Invalid("nothing gives it".into())));
            };
            outputs.push(port(&name, value));
            ids.push(match value {
                Value::Flow(flow) => flow.id,
                Value::Known(constant) if constant.is_empty() => continue,
                Value::Known(constant) => {
                    let constant = constant.clone();
                    attempt.lower.parameter(&constant, &constant.dims, Role::Statistic).map_err(fail)?
                }
            });
        }
        if outputs.is_empty() {
            return Err(OnnxError::Format("its graph has no outputs".into()));
        }
        let Lower { builder, given, .. } = attempt.lower;
        let graph = builder.finish(&ids);
        let mut parameters = Parameters::zeros(&graph);
        for (name, values) in given {
            if let Some(place) = parameters.get_mut(&name) {
                place.copy_from_slice(&values);
            }
        }
        Ok(Imported { graph, parameters, inputs, outputs, metadata: BTreeMap::new() })
    }
}

fn port(name: &str, value: &Value) -> Port {
    let batch = value.batch();
    let is_open = |axis: usize| {
        batch == Some(axis) || value.known().is_some_and(|known| known.of_batch && known.dims[axis] == BATCH)
    };
    let dims = value.dims().iter().enumerate().map(|(axis, &size)| (!is_open(axis)).then_some(size)).collect();
    Port { name: name.to_string(), kind: value.kind(), dims, batch, constant: value.known().is_some() }
}
