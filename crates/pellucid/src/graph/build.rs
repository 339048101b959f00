//! Building a graph: every op is checked against the shapes of its inputs when it is added.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::{Graph, Initialise, Input, Node, Parameter, Role, Source, Value, ValueId};
use crate::ops::{MAX_INPUTS, Op, ShapeError};
use crate::tensor::{Dim, InvalidShape, Shape};

/// Collects inputs, parameters and nodes. Names of parameters and labels of nodes begin with the current scope.
#[derive(Clone, Debug, Default)]
pub struct GraphBuilder {
    graph: Graph,
    scope: Vec<String>,
    /// What nodes are called instead of their scope.
    label: Option<String>,
    /// Lengths of the sequences, if rows differ in them.
    lengths: Option<ValueId>,
}

/// The input that says how many steps of each sequence are real: [batch], whole numbers from 1.
pub const LENGTHS: &str = "lengths";

/// An op or a name that does not fit the graph so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// The layer, as a dotted path.
    pub label: String,
    /// What does not fit.
    pub problem: Box<BuildProblem>,
    /// The shape that reached the layer.
    pub input: Option<Box<Shape>>,
    /// What would fit, as advice: `end the branch with 'dense 64'`.
    pub suggestion: Option<String>,
    /// Where the layer stands in the text that it was read from, in bytes.
    pub place: Option<Range<usize>>,
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildProblem {
    /// The inputs of an op.
    #[error("{op} {reason} (inputs: {})", Shapes(inputs))]
    Op {
        /// Name of the op.
        op: &'static str,
        /// Shapes of its inputs.
        inputs: Vec<Shape>,
        /// Why they do not fit.
        reason: ShapeError,
    },
    /// More inputs than an op can have.
    #[error("an op takes at most {MAX_INPUTS} inputs, got {found}")]
    TooManyInputs {
        /// How many there are.
        found: usize,
    },
    /// A parameter or input of this name is there already.
    #[error("the name '{name}' is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The shape of a parameter.
    #[error("{name}: {reason}")]
    Parameter {
        /// Name of the parameter.
        name: String,
        /// What is wrong with it.
        reason: InvalidShape,
    },
    /// What a layer says of its own settings.
    #[error("{0}")]
    Layer(String),
}

struct Shapes<'a>(&'a [Shape]);

impl fmt::Display for Shapes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, shape) in self.0.iter().enumerate() {
            write!(f, "{}{shape}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.label.is_empty() {
            write!(f, "layer {}: ", self.label)?;
        }
        self.problem.fmt(f)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; {suggestion}"),
            None => Ok(()),
        }
    }
}

impl BuildError {
    /// With advice.
    pub fn suggest(mut self, suggestion: impl Into<String>) -> BuildError {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// With the shape that reached the layer and the layer's place in a text, unless a layer inside has given its own.
    pub fn at(mut self, input: &Shape, place: Option<Range<usize>>) -> BuildError {
        if self.input.is_none() {
            self.input = Some(Box::new(input.clone()));
            self.place = place;
        }
        self
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.problem)
    }
}

impl From<Graph> for GraphBuilder {
    fn from(graph: Graph) -> GraphBuilder {
        GraphBuilder { graph, scope: Vec::new(), label: None, lengths: None }
    }
}

impl GraphBuilder {
    /// Nothing yet.
    pub fn new() -> GraphBuilder {
        GraphBuilder::default()
    }

    /// The graph so far.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The shape of a value.
    pub fn shape(&self, value: ValueId) -> &Shape {
        self.graph.shape(value)
    }

    /// How many steps of each sequence of the batch are real, the others being padding, if rows differ in that: [batch].
    pub fn lengths(&self) -> Option<ValueId> {
        self.lengths.or_else(|| self.graph.input(LENGTHS))
    }

    /// Says what [`GraphBuilder::lengths`] gives from now on, where that is no input: [batch], computed from the data.
    pub fn set_lengths(&mut self, lengths: ValueId) {
        self.lengths = Some(lengths);
    }

    /// Calls the nodes from now on `label`, whatever the scope; names of parameters are as they would be.
    pub fn set_label(&mut self, label: impl Into<String>) {
        self.label = Some(label.into());
    }

    /// Data from outside.
    pub fn input(&mut self, name: &str, shape: Shape) -> Result<ValueId, BuildError> {
        if self.graph.input(name).is_some() {
            return Err(self.error(BuildProblem::NameTaken { name: name.to_string() }));
        }
        let value = self.value(shape, Source::Input(self.graph.inputs.len()));
        self.graph.inputs.push(Input { name: name.to_string(), value });
        Ok(value)
    }

    /// Values to be learnt, called `name` within the scope, of sizes that come from outside: they may be impossible.
    pub fn sized_parameter(
        &mut self,
        name: &str,
        sizes: &[usize],
        role: Role,
        init: Arc<dyn Initialise>,
    ) -> Result<ValueId, BuildError> {
        match Shape::new(sizes.iter().map(|&size| Dim::Fixed(size))) {
            Ok(shape) => self.parameter(name, shape, role, init),
            Err(reason) => Err(self.error(BuildProblem::Parameter { name: self.path(name), reason })),
        }
    }

    /// Values to be learnt, called `name` within the scope. The shape has no batch. A [`Role::Statistic`] is frozen.
    pub fn parameter(
        &mut self,
        name: &str,
        shape: Shape,
        role: Role,
        init: Arc<dyn Initialise>,
    ) -> Result<ValueId, BuildError> {
        let name = self.path(name);
        if self.graph.parameters.iter().any(|parameter| parameter.name == name) {
            return Err(self.error(BuildProblem::NameTaken { name }));
        }
        let value = self.value(shape, Source::Parameter(self.graph.parameters.len()));
        self.graph.parameters.push(Parameter { name, value, init, role, frozen: role == Role::Statistic });
        Ok(value)
    }

    /// The output of `op` on `inputs`.
    pub fn add(&mut self, op: impl Op + 'static, inputs: &[ValueId]) -> Result<ValueId, BuildError> {
        self.add_shared(Arc::new(op), inputs)
    }

    /// [`GraphBuilder::add`] for an op behind a pointer.
    pub fn add_shared(&mut self, op: Arc<dyn Op>, inputs: &[ValueId]) -> Result<ValueId, BuildError> {
        if inputs.len() > MAX_INPUTS {
            return Err(self.error(BuildProblem::TooManyInputs { found: inputs.len() }));
        }
        let shapes: Vec<Shape> = inputs.iter().map(|&input| self.shape(input).clone()).collect();
        let shape = match op.output_shape(&shapes) {
            Ok(shape) => shape,
            Err(reason) => return Err(self.error(BuildProblem::Op { op: op.name(), inputs: shapes, reason })),
        };
        let output = self.value(shape, Source::Node(self.graph.nodes.len()));
        let node = Node { op, inputs: inputs.to_vec(), output, label: self.here() };
        self.graph.nodes.push(node);
        Ok(output)
    }

    /// Runs `body` with `name` as the innermost scope.
    pub fn scoped<T>(&mut self, name: impl ToString, body: impl FnOnce(&mut GraphBuilder) -> T) -> T {
        self.scope.push(name.to_string());
        let result = body(self);
        self.scope.pop();
        result
    }

    /// Says what the layer is in whose scope this is, for people.
    pub fn describe(&mut self, description: impl Into<String>) {
        self.graph.descriptions.insert(self.scope.join("."), description.into());
    }

    /// An error of the layer in whose scope this is.
    pub fn error(&self, problem: BuildProblem) -> BuildError {
        let label = self.here();
        BuildError { label, problem: Box::new(problem), input: None, suggestion: None, place: None }
    }

    /// The finished graph, which computes `outputs`.
    pub fn finish(mut self, outputs: &[ValueId]) -> Graph {
        self.graph.outputs = outputs.to_vec();
        self.graph
    }

    fn here(&self) -> String {
        self.label.clone().unwrap_or_else(|| self.scope.join("."))
    }

    fn path(&self, name: &str) -> String {
        let mut path = self.scope.join(".");
        if !path.is_empty() {
            path.push('.');
        }
        path + name
    }

    fn value(&mut self, shape: Shape, source: Source) -> ValueId {
        let id = ValueId(u32::try_from(self.graph.values.len()).expect("fewer than 2^32 values"));
        self.graph.values.push(Value { shape, source });
        id
    }
}
