//! Why pictures cannot be had.

use std::io;
use std::path::PathBuf;

use super::files::Tally;

/// Why a folder or an archive does not give a data set.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// A file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// An archive that is cut or damaged.
    #[error("{}: the archive is cut or damaged: {source}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// More than the memory allowed.
    #[error(
        "{} takes more than the {} of memory allowed; {}", path.display(), size_words(*memory),
        if *compressed { "raise --memory, or decompress it: a .tar is read in place" } else { "raise --memory" }
    )]
    Memory {
        /// The archive.
        path: PathBuf,
        /// Bytes allowed.
        memory: u64,
        /// Whether it had to be read as a whole.
        compressed: bool,
    },
    /// No picture at all.
    #[error(
        "{} holds no picture (files that end in .png, .jpg, .jpeg, .gif, .bmp or .webp); \
         for a folder with IDX files, give `mnist --data-dir` and the folder", path.display()
    )]
    NoPictures {
        /// The folder or archive.
        path: PathBuf,
    },
    /// Fewer than two classes.
    #[error(
        "{} has {} in which pictures lie; put those of each class into a folder of its name, \
         CLASS/*.png or train/CLASS/*.png and test/CLASS/*.png", path.display(),
        if *found == 0 { "no folder of a class".to_string() } else { "one folder of a class only".to_string() }
    )]
    Classes {
        /// The folder or archive.
        path: PathBuf,
        /// Folders of classes that were found.
        found: usize,
    },
    /// No training part, where there are others.
    #[error("{} has a test or validation part, but no folder `train`", path.display())]
    NoTraining {
        /// The folder or archive.
        path: PathBuf,
    },
    /// Folders of classes without a picture.
    #[error("no picture lies in {}; remove the folder, or leave it out with --skip-bad", folders.names())]
    EmptyClass {
        /// The folders.
        folders: Tally,
    },
    /// Two folders whose names differ in capitals alone.
    #[error("folders {first} and {second} differ in capitals alone; rename one, or put their pictures together")]
    Twins {
        /// A folder.
        first: String,
        /// Another one.
        second: String,
    },
    /// The name of a class cannot be written.
    #[error("the name of the folder {name} is no UTF-8 text, so no class can be named after it; rename it")]
    ClassName {
        /// The name, with marks for the bytes that are no text.
        name: String,
    },
    /// A class that was not there in training.
    #[error("{} is not among the classes that are learnt: {}", folders.names(), known.join(", "))]
    UnknownClass {
        /// Its folders.
        folders: Tally,
        /// The classes known.
        known: Vec<String>,
    },
    /// Pictures that cannot be used.
    #[error("{} of {all} pictures cannot be used; leave them out with --skip-bad, or mend them:{}", bad.count, listed(bad))]
    Bad {
        /// Which, and why.
        bad: Tally,
        /// Pictures there are.
        all: usize,
    },
    /// A folder or archive of CIFAR-10's binary files that are not whole.
    #[error("{place}: {reason}")]
    Cifar {
        /// The file.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

/// `500 MB`, or `2 KB` where there is less than one.
pub(super) fn size_words(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MB", bytes >> 20) } else { format!("{} KB", bytes >> 10) }
}

fn listed(bad: &Tally) -> String {
    let more = (bad.count > bad.first.len() as u64).then(|| "…".to_string());
    bad.first.iter().cloned().chain(more).map(|line| format!("\n  {line}")).collect()
}
