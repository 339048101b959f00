//! What can be wrong with a file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::atomic::WriteError;

/// A fault and the file it was found in.
#[derive(Debug)]
pub struct ContainerError {
    /// The file, unless the bytes came from memory.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub fault: Fault,
}

impl ContainerError {
    /// Names the file of a fault.
    pub(super) fn at(path: &Path) -> impl Fn(Fault) -> ContainerError {
        move |fault| ContainerError { file: Some(path.to_path_buf()), fault }
    }

    /// A fault of bytes in memory.
    pub(super) fn in_memory(fault: Fault) -> ContainerError {
        ContainerError { file: None, fault }
    }
}

impl fmt::Display for ContainerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            // An error of writing names its path by itself.
            Some(file) if !matches!(self.fault, Fault::Write(_)) => write!(f, "{}: {}", file.display(), self.fault),
            _ => self.fault.fmt(f),
        }
    }
}

impl std::error::Error for ContainerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.fault.source()
    }
}

/// What is wrong with a file, or with what should become one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The operating system reported an error.
    #[error("cannot {doing} the file: {source}")]
    Io {
        /// `open` or `read`.
        doing: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
    /// A folder, device or pipe.
    #[error("a folder or device, not a file; name the file itself")]
    NotAFile,
    /// The first bytes belong to something else.
    #[error("not a safetensors file: {found}")]
    NotSafetensors {
        /// What it looks like, and what to do.
        found: String,
    },
    /// The header is longer than the file or than any sensible header.
    #[error(
        "the header should have {declared} bytes, but {limit} are the most it can have here; the file is damaged or no safetensors file"
    )]
    HeaderLength {
        /// Length in the first eight bytes.
        declared: u64,
        /// What the file or the format allows.
        limit: u64,
    },
    /// The header is not the JSON that the format asks for.
    #[error("the header is malformed ({message}); the file is damaged or no safetensors file")]
    Header {
        /// What is wrong, with tensor or column.
        message: String,
    },
    /// The file ends too early.
    #[error("the file is cut off: {expected} bytes expected, {found} found; copy it again, or use an older one")]
    Truncated {
        /// Length according to the header.
        expected: u64,
        /// Length of the file.
        found: u64,
    },
    /// The file goes on after its last tensor.
    #[error("{} bytes follow the last tensor: {expected} expected, {found} found; the file is damaged", found - expected)]
    TrailingBytes {
        /// Length according to the header.
        expected: u64,
        /// Length of the file.
        found: u64,
    },
    /// Tensors overlap, or leave a gap, or end before they start.
    #[error(
        "tensor `{tensor}` lies at bytes {start}..{end}, but should start at {expected}: tensors overlap or leave a gap; the file is damaged"
    )]
    Offsets {
        /// Name of the tensor.
        tensor: String,
        /// Declared start.
        start: usize,
        /// Declared end.
        end: usize,
        /// End of the tensor before it.
        expected: usize,
    },
    /// Shape and number of bytes contradict each other.
    #[error(
        "tensor `{tensor}` of type {dtype} and shape {shape:?} should have {expected} bytes, found {found}; the file is damaged"
    )]
    Size {
        /// Name of the tensor.
        tensor: String,
        /// Type in the file.
        dtype: String,
        /// Declared shape.
        shape: Vec<usize>,
        /// Bytes that type and shape ask for.
        expected: usize,
        /// Bytes between the declared offsets.
        found: usize,
    },
    /// The shape stands for more values than memory can address.
    #[error("tensor `{tensor}` has the impossible shape {shape:?}; the file is damaged")]
    Overflow {
        /// Name of the tensor.
        tensor: String,
        /// Declared shape.
        shape: Vec<usize>,
    },
    /// A type that holds no f32 values.
    #[error("tensor `{tensor}` has type {dtype}, which cannot be read as f32; save it as F32, F16, BF16 or F64")]
    Dtype {
        /// Name of the tensor.
        tensor: String,
        /// Type in the file.
        dtype: String,
    },
    /// A whole number that f32 does not hold, or a float outside its range.
    #[error("tensor `{tensor}`, value {index}: the {dtype} {value} cannot be held by f32; save it as F32")]
    Inexact {
        /// Name of the tensor.
        tensor: String,
        /// Type in the file.
        dtype: String,
        /// Place in row-major order.
        index: usize,
        /// The value.
        value: String,
    },
    /// A name that a tensor cannot have.
    #[error("{tensor:?} cannot name a tensor: {reason}")]
    Name {
        /// The name.
        tensor: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two tensors of one name.
    #[error("two tensors are named `{tensor}`; names must differ")]
    DuplicateTensor {
        /// The name.
        tensor: String,
    },
    /// Writing: the shape does not fit the data.
    #[error("tensor `{tensor}` of shape {shape:?} does not fit its {found} values")]
    DataLength {
        /// Name of the tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Number of values.
        found: usize,
    },
    /// Writing: a metadata key that the container keeps for itself.
    #[error("metadata key `{key}` is reserved: keys with the prefix `pellucid.` are set by the container itself")]
    ReservedKey {
        /// The key.
        key: String,
    },
    /// There is not enough memory for the tensors.
    #[error("tensor `{tensor}` needs {bytes} bytes of memory, which are not available")]
    Memory {
        /// Name of the tensor.
        tensor: String,
        /// Bytes asked for.
        bytes: usize,
    },
    /// A field that every file of ours has is missing.
    #[error("the metadata lack `{field}`: the file was not written by Pellucid, or is damaged")]
    NotOurs {
        /// The missing field.
        field: &'static str,
    },
    /// Written by a newer program.
    #[error("the {what} has format version {found}, this program reads up to {supported}; update Pellucid")]
    Version {
        /// File or document.
        what: &'static str,
        /// Version in the file.
        found: String,
        /// Newest version that can be read.
        supported: u32,
    },
    /// Names, shapes or values are not those that were written.
    #[error(
        "the tensors are damaged: checksum {expected} expected, {found} found; copy the file again, or use an older one"
    )]
    WeightsChecksum {
        /// The sum in the file.
        expected: String,
        /// The sum of what is there.
        found: String,
    },
    /// The metadata are not those that were written.
    #[error(
        "the metadata are damaged: checksum {expected} expected, {found} found; copy the file again, or use an older one"
    )]
    MetadataChecksum {
        /// The sum in the file.
        expected: String,
        /// The sum of what is there.
        found: String,
    },
    /// A whole file, but of another kind.
    #[error("no {document} file: its metadata have {found:?}, not `{document}`")]
    MissingDocument {
        /// The document that was looked for.
        document: &'static str,
        /// The documents that are there.
        found: Vec<String>,
    },
    /// A document that is not the JSON it should be.
    #[error("the document `{document}` cannot be used: {message}")]
    Document {
        /// The document.
        document: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Fault {
    /// True when the content of the file is broken: cut off, flipped, not what was written. False when the file may be
    /// whole but cannot be read now or here: no permission, a newer version, no memory, another kind of file.
    pub fn is_damage(&self) -> bool {
        match self {
            Fault::NotSafetensors { .. }
            | Fault::HeaderLength { .. }
            | Fault::Header { .. }
            | Fault::Truncated { .. }
            | Fault::TrailingBytes { .. }
            | Fault::Offsets { .. }
            | Fault::Size { .. }
            | Fault::Overflow { .. }
            | Fault::Inexact { .. }
            | Fault::Name { .. }
            | Fault::DuplicateTensor { .. }
            | Fault::NotOurs { .. }
            | Fault::WeightsChecksum { .. }
            | Fault::MetadataChecksum { .. }
            | Fault::Document { .. } => true,
            Fault::Io { .. }
            | Fault::NotAFile
            | Fault::Dtype { .. }
            | Fault::DataLength { .. }
            | Fault::ReservedKey { .. }
            | Fault::Memory { .. }
            | Fault::Version { .. }
            | Fault::MissingDocument { .. }
            | Fault::Write(_) => false,
        }
    }
}
