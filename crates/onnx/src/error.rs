//! What can be wrong with a file, and what a network asks for that is not there.

use std::path::PathBuf;

/// Why an ONNX file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The file itself.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// The bytes are no ONNX model.
    #[error("this is no ONNX model: {0}")]
    Format(String),
    /// A tensor of the file.
    #[error("tensor '{name}': {problem}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The network does something that cannot be had; every such node is listed.
    #[error("{}", list(problems))]
    Nodes {
        /// The nodes.
        problems: Vec<NodeProblem>,
    },
    /// A network of Pellucid cannot be written as ONNX.
    #[error("layer {label}: {problem}")]
    Export {
        /// The layer.
        label: String,
        /// Why not.
        problem: String,
    },
}

/// A node that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeProblem {
    /// Its name, or its number and the value that it gives.
    pub node: String,
    /// Its op.
    pub op: String,
    /// Why not.
    pub problem: Problem,
}

/// Why a node cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The op, or an attribute of it.
    #[error("{0}")]
    Unsupported(String),
    /// Sizes that do not fit, attributes out of range.
    #[error("{0}")]
    Invalid(String),
    /// A value that must be known when the network is built comes from these inputs.
    #[error("{what} must be known when the network is read; give the input{} {} a fixed value", if inputs.len() == 1 { "" } else { "s" }, inputs.join(", "))]
    Needs {
        /// What must be known.
        what: String,
        /// The inputs that it comes from.
        inputs: Vec<String>,
    },
    /// Rows of a batch would meet each other.
    #[error("{0}, which mixes the rows of a batch")]
    MixesBatch(String),
}

fn list(problems: &[NodeProblem]) -> String {
    let count = problems.len();
    let mut text = format!("{count} node{} of this network cannot be had:", if count == 1 { "" } else { "s" });
    for NodeProblem { node, op, problem } in problems {
        text += &format!("\n  {node} ({op}): {problem}");
    }
    text
}
