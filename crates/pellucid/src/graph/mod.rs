//! The static graph: values and nodes, shape inference, backward walk, memory plan, execution.
//!
//! A [`GraphBuilder`] adds inputs, parameters and ops, and refuses what does not fit. The finished [`Graph`] does not
//! change. A [`Plan`] fixes, for one batch size, which passes run in which order and where every value lies; a
//! [`Session`] runs plans.

mod build;
mod exchange;
mod fold;
mod frozen;
mod inference;
mod layout;
mod length;
mod parameters;
mod part;
mod plan;
mod run;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use build::{BuildError, BuildProblem, GraphBuilder, LENGTHS};
pub use exchange::exchange_max;
pub use fold::fold_channels;
pub use parameters::{Initialise, Parameters, Role, Segment};
pub use plan::{Moment, NodeCost, Plan, PlanError, PlanOptions};
pub use run::Event;
pub use session::{PlanId, Session};

use crate::ops::Op;
use crate::tensor::Shape;

/// A value of a graph: an input, a parameter or the output of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ValueId(pub(crate) u32);

impl ValueId {
    /// The position among the values of the graph.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a value comes from: the position among inputs, parameters or nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Data from outside.
    Input(usize),
    /// Learnt values.
    Parameter(usize),
    /// The output of a node.
    Node(usize),
}

/// Shape and origin of a value.
#[derive(Clone, Debug)]
pub struct Value {
    /// Its sizes, the batch open.
    pub shape: Shape,
    /// Where it comes from.
    pub source: Source,
}

/// Data from outside.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// The value that it gives.
    pub value: ValueId,
}

/// Values that are learnt.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name, unique in the graph.
    pub name: String,
    /// The value that it gives.
    pub value: ValueId,
    /// How new values are made.
    pub init: Arc<dyn Initialise>,
    /// What it is for.
    pub role: Role,
    /// Not trained.
    pub frozen: bool,
}

/// One op applied to values.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Arc<dyn Op>,
    /// From which values.
    pub inputs: Vec<ValueId>,
    /// Into which value.
    pub output: ValueId,
    /// The layer that the node belongs to, for people: `0` or `2.0`.
    pub label: String,
}

/// A network as ops on values, in an order in which they can run.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    values: Vec<Value>,
    inputs: Vec<Input>,
    parameters: Vec<Parameter>,
    nodes: Vec<Node>,
    outputs: Vec<ValueId>,
    /// What layers say of themselves, by label.
    descriptions: BTreeMap<String, String>,
}

impl Graph {
    /// The inputs, in order.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The input called `name`.
    pub fn input(&self, name: &str) -> Option<ValueId> {
        self.inputs.iter().find(|input| input.name == name).map(|input| input.value)
    }

    /// The parameters, in the order of the slab.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The nodes, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The values that the graph is for, in order.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// What the layer with this label says of itself, for people: `dense 128`.
    pub fn description(&self, label: &str) -> Option<&str> {
        self.descriptions.get(label).map(String::as_str)
    }

    /// What the layer of a node says of itself; the name of the op in a layer that says nothing.
    pub fn words<'a>(&'a self, node: &'a Node) -> &'a str {
        self.description(&node.label).unwrap_or_else(|| node.op.name())
    }

    /// Number of values.
    pub fn value_count(&self) -> usize {
        self.values.len()
    }

    /// A value's shape and origin.
    pub fn value(&self, value: ValueId) -> &Value {
        &self.values[value.index()]
    }

    /// A value's shape.
    pub fn shape(&self, value: ValueId) -> &Shape {
        &self.values[value.index()].shape
    }

    /// For each value, how often it is read: by nodes, and as an output of the graph.
    fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.value_count()];
        let of_nodes = self.nodes.iter().flat_map(|node| &node.inputs);
        of_nodes.chain(&self.outputs).for_each(|value| readers[value.index()] += 1);
        readers
    }

    /// Goes on building: a loss on a network, a new head.
    pub fn extend(self) -> GraphBuilder {
        GraphBuilder::from(self)
    }

    /// Freezes (or thaws) the parameters that `choose` picks by name; returns how many were picked. Statistics stay frozen.
    pub fn freeze(&mut self, frozen: bool, choose: impl Fn(&str) -> bool) -> usize {
        let mut picked = 0;
        for parameter in self.parameters.iter_mut().filter(|parameter| choose(&parameter.name)) {
            parameter.frozen = frozen || parameter.role == Role::Statistic;
            picked += 1;
        }
        picked
    }
}

#[cfg(test)]
mod tests;
