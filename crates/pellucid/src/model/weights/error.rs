//! What can be wrong with a file of weights.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::error::Fault;

/// A problem and the file it was found in.
#[derive(Debug)]
pub struct WeightsError {
    /// The file, unless the bytes came from memory.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub problem: Problem,
}

impl WeightsError {
    pub(super) fn at(file: Option<&Path>) -> impl Fn(Problem) -> WeightsError {
        move |problem| WeightsError { file: file.map(Path::to_path_buf), problem }
    }
}

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: {}", file.display(), self.problem),
            None => self.problem.fmt(f),
        }
    }
}

impl std::error::Error for WeightsError {}

/// What is wrong with a file of weights.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read, or is a damaged safetensors file, or a tensor's values do not fit f32.
    #[error(transparent)]
    File(#[from] Fault),
    /// Another kind of file.
    #[error("no weights: {found}")]
    Foreign {
        /// What it is, and what to do.
        found: String,
    },
    /// A zip archive (`.npz`, `.pt`) that is damaged, or that unpacks to far more than it is.
    #[error("the zip archive {message}")]
    Archive {
        /// What is wrong.
        message: String,
    },
    /// A NumPy array that cannot be used.
    #[error("the array `{array}` {message}")]
    Array {
        /// Its name.
        array: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A pickle that is damaged, or says what no state dictionary says.
    #[error("byte {at} of the pickle `data.pkl`: {message}")]
    Pickle {
        /// Place in the pickle.
        at: usize,
        /// What is wrong.
        message: String,
    },
    /// A pickle that asks for code. Nothing is run from a file of weights.
    #[error(
        "byte {at} of the pickle `data.pkl` wants to run `{wanted}`, and nothing is run from a file; \
         in PyTorch, save tensors alone: torch.save(model.state_dict(), \"weights.pt\")"
    )]
    Code {
        /// Place in the pickle.
        at: usize,
        /// What it wants to run, with its module.
        wanted: String,
    },
    /// A tensor that its storage cannot hold, or whose storage is not there.
    #[error("the tensor `{tensor}` {message}")]
    Tensor {
        /// Its name.
        tensor: String,
        /// What is wrong.
        message: String,
    },
    /// The index of several files.
    #[error("the index {message}")]
    Index {
        /// What is wrong, and what to do.
        message: String,
    },
}
