//! A graph as JSON: its values in order, each an input, a parameter or the output of an op.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::graph::{BuildError, Graph, GraphBuilder, Role, Source, ValueId};
use crate::nn::Init;
use crate::ops::{Attributes, OpError, OpTable};
use crate::tensor::Shape;

/// A graph, as it stands in a model file. A value is named by its position in the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphDocument {
    values: Vec<Entry>,
    outputs: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry {
    Input {
        name: String,
        shape: Shape,
    },
    Parameter {
        name: String,
        shape: Shape,
        role: Role,
        #[serde(default)]
        frozen: bool,
    },
    Node {
        op: String,
        #[serde(default, skip_serializing_if = "Attributes::is_empty")]
        attributes: Attributes,
        inputs: Vec<u32>,
        #[serde(default)]
        label: String,
    },
}

/// Why a document is no graph.
#[derive(Debug, thiserror::Error)]
pub enum GraphDocumentError {
    /// More values than any network has.
    #[error("{found} values are too many; at most {} are read", MAX_VALUES)]
    TooLarge {
        /// How many there are.
        found: usize,
    },
    /// A value that does not come before the one that reads it, or does not exist.
    #[error("value {value} reads value {read}, which does not come before it")]
    Order {
        /// The reader.
        value: usize,
        /// What it reads.
        read: u32,
    },
    /// No outputs, or outputs that do not exist.
    #[error("the outputs {found:?} are not values of the graph")]
    Outputs {
        /// What is given.
        found: Vec<u32>,
    },
    /// An op that the table does not know, or attributes that it does not take.
    #[error("value {value}: {source}")]
    Op {
        /// The value.
        value: usize,
        /// What is wrong.
        source: OpError,
    },
    /// A parameter with a batch.
    #[error("parameter '{name}' has the shape {shape}; a parameter has no batch")]
    Parameter {
        /// Its name.
        name: String,
        /// Its shape, printed.
        shape: String,
    },
    /// Shapes or names that do not fit.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Values that a graph in a file may have.
const MAX_VALUES: usize = 1 << 20;

impl GraphDocument {
    /// The document of `graph`.
    pub fn of(graph: &Graph) -> GraphDocument {
        let numbers = |values: &[ValueId]| values.iter().map(|value| value.0).collect();
        let entry = |index: usize| {
            let value = graph.value(ValueId(index as u32));
            match value.source {
                Source::Input(i) => Entry::Input { name: graph.inputs()[i].name.clone(), shape: value.shape.clone() },
                Source::Parameter(i) => {
                    let parameter = &graph.parameters()[i];
                    let (name, shape) = (parameter.name.clone(), value.shape.clone());
                    Entry::Parameter { name, shape, role: parameter.role, frozen: parameter.frozen }
                }
                Source::Node(i) => {
                    let node = &graph.nodes()[i];
                    Entry::Node {
                        op: node.op.name().to_string(),
                        attributes: node.op.attributes(),
                        inputs: numbers(&node.inputs),
                        label: node.label.clone(),
                    }
                }
            }
        };
        GraphDocument { values: (0..graph.value_count()).map(entry).collect(), outputs: numbers(graph.outputs()) }
    }

    /// Builds the graph again; every shape is checked as if it were built by hand.
    ///
    /// # Errors
    /// [`GraphDocumentError`] for anything that is not a graph of ops of `table`.
    pub fn build(&self, table: &OpTable) -> Result<Graph, GraphDocumentError> {
        if self.values.len() > MAX_VALUES {
            return Err(GraphDocumentError::TooLarge { found: self.values.len() });
        }
        let mut builder = GraphBuilder::new();
        let mut frozen = Vec::new();
        for (index, entry) in self.values.iter().enumerate() {
            match entry {
                Entry::Input { name, shape } => {
                    builder.input(name, shape.clone())?;
                }
                Entry::Parameter { name, shape, role, frozen: is_frozen } => {
                    if shape.axes().contains(&crate::tensor::Dim::Batch) {
                        return Err(GraphDocumentError::Parameter { name: name.clone(), shape: shape.to_string() });
                    }
                    builder.parameter(name, shape.clone(), *role, Arc::new(Init::Zeros))?;
                    if *is_frozen {
                        frozen.push(name.as_str());
                    }
                }
                Entry::Node { op, attributes, inputs, label } => {
                    if let Some(&read) = inputs.iter().find(|&&read| read as usize >= index) {
                        return Err(GraphDocumentError::Order { value: index, read });
                    }
                    let op =
                        table.op(op, attributes).map_err(|source| GraphDocumentError::Op { value: index, source })?;
                    let inputs: Vec<ValueId> = inputs.iter().map(|&value| ValueId(value)).collect();
                    if label.is_empty() {
                        builder.add_shared(op, &inputs)?;
                    } else {
                        builder.scoped(label, |builder| builder.add_shared(op, &inputs))?;
                    }
                }
            }
        }
        if self.outputs.is_empty() || self.outputs.iter().any(|&output| output as usize >= self.values.len()) {
            return Err(GraphDocumentError::Outputs { found: self.outputs.clone() });
        }
        let outputs: Vec<ValueId> = self.outputs.iter().map(|&value| ValueId(value)).collect();
        let mut graph = builder.finish(&outputs);
        graph.freeze(true, |name| frozen.contains(&name));
        Ok(graph)
    }
}
