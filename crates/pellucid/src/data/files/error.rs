//! Why files do not give a data set.

use std::io;
use std::path::PathBuf;

use super::{Kind, Tally};

/// Why a folder or an archive does not give a data set.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
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
    /// Nothing that can be used.
    #[error("{} holds no {} (files that end in {}){}", path.display(), kind.noun(), endings(*kind), hint(*kind))]
    None {
        /// The folder or archive.
        path: PathBuf,
        /// What is missing.
        kind: Kind,
    },
    /// Fewer than two classes.
    #[error(
        "{} has {} in which {noun}s lie; put those of each class into a folder of its name, \
         CLASS/*.{ending} or train/CLASS/*.{ending} and test/CLASS/*.{ending}", path.display(),
        if *found == 0 { "no folder of a class" } else { "one folder of a class only" },
        noun = kind.noun(), ending = kind.endings()[0]
    )]
    Classes {
        /// The folder or archive.
        path: PathBuf,
        /// What is sorted into classes.
        kind: Kind,
        /// Folders of classes that were found.
        found: usize,
    },
    /// No training part, where there are others.
    #[error("{} has a test or validation part, but no folder `train`", path.display())]
    NoTraining {
        /// The folder or archive.
        path: PathBuf,
    },
    /// Folders of classes without a file.
    #[error("no {} lies in {}; remove the folder, or leave it out with --skip-bad", kind.noun(), folders.names())]
    EmptyClass {
        /// What is missing.
        kind: Kind,
        /// The folders.
        folders: Tally,
    },
    /// Two folders whose names differ in capitals alone.
    #[error("folders {first} and {second} differ in capitals alone; rename one, or put their files together")]
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
    /// Files that cannot be used.
    #[error("{} of {all} {}s cannot be used; leave them out with --skip-bad, or mend them:{}", bad.count, kind.noun(), listed(bad))]
    Bad {
        /// What they should be.
        kind: Kind,
        /// Which, and why.
        bad: Tally,
        /// Files there are.
        all: usize,
    },
}

fn endings(kind: Kind) -> String {
    let endings: Vec<String> = kind.endings().iter().map(|ending| format!(".{ending}")).collect();
    match endings.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        all => all.concat(),
    }
}

fn hint(kind: Kind) -> &'static str {
    match kind {
        Kind::Pictures => " and no text (.txt); for a folder with IDX files, give `mnist --data-dir` and the folder",
        Kind::Texts => "",
    }
}

/// `500 MB`, or `2 KB` where there is less than one.
pub(in crate::data) fn size_words(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MB", bytes >> 20) } else { format!("{} KB", bytes >> 10) }
}

fn listed(bad: &Tally) -> String {
    let more = (bad.count > bad.first.len() as u64).then(|| "…".to_string());
    bad.first.iter().cloned().chain(more).map(|line| format!("\n  {line}")).collect()
}
