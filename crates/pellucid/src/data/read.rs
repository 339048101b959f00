//! Rows that are read when they are asked for: more of them than memory holds.

use std::fmt::Debug;
use std::sync::Arc;

/// Where rows of bytes come from: a folder of pictures, an archive, anything that can be asked for a row at any time.
pub trait ReadBytes: Debug + Send + Sync {
    /// How many rows there are.
    fn rows(&self) -> usize;

    /// Bytes of a row.
    fn width(&self) -> usize;

    /// Writes the bytes of `row` into `out` `[width]`: always the same ones. Called by several threads at a time.
    ///
    /// # Errors
    /// When they cannot be had, or are no longer what they were.
    fn read(&self, row: u32, out: &mut [u8]) -> Result<(), ReadError>;
}

/// A row that cannot be had; says which file and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ReadError {
    /// The file, or the file and the member of an archive.
    pub place: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// Rows of bytes from anywhere, shared; equal to itself alone.
#[derive(Clone, Debug)]
pub struct ByteRows(pub Arc<dyn ReadBytes>);

impl PartialEq for ByteRows {
    fn eq(&self, other: &ByteRows) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
