//! Why pictures cannot be had.

use crate::data::files::FilesError;

/// Why a folder or an archive does not give a data set of pictures.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A folder or archive of CIFAR-10's binary files that are not whole.
    #[error("{place}: {reason}")]
    Cifar {
        /// The file.
        place: String,
        /// What is wrong.
        reason: String,
    },
}
