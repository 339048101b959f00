//! Bytes of files and of entries in archives, read where they are asked for.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rawzip::{FileReader, ReaderAt};

use super::archive::Archive;
use super::error::Problem;
use crate::model::error::Fault;

/// A file, or its bytes.
pub(super) struct Bytes {
    reader: Box<dyn ReaderAt + Send + Sync>,
    /// How many there are.
    pub length: u64,
}

impl Bytes {
    pub fn open(path: &Path) -> Result<Bytes, Problem> {
        let failed = |source| Fault::Io { doing: "open", source };
        // Asked before opening: to open a pipe would wait for its other end.
        if !fs::metadata(path).map_err(failed)?.is_file() {
            return Err(Fault::NotAFile.into());
        }
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        Ok(Bytes { reader: Box::new(FileReader::from(file)), length })
    }

    pub fn in_memory(bytes: Vec<u8>) -> Bytes {
        Bytes { length: bytes.len() as u64, reader: Box::new(bytes) }
    }

    /// The bytes at `start..start + length`; at most what is there is allocated.
    pub fn read(&self, start: u64, length: usize) -> Result<Vec<u8>, Problem> {
        let ended = || Fault::Io { doing: "read", source: io::ErrorKind::UnexpectedEof.into() };
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(ended().into());
        }
        let mut bytes = Vec::new();
        reserve(&mut bytes, length)?;
        bytes.resize(length, 0);
        self.reader.read_exact_at(&mut bytes, start).map_err(|source| Fault::Io { doing: "read", source })?;
        Ok(bytes)
    }

    /// As many of the first bytes as there are, up to `length`.
    pub fn first(&self, length: usize) -> Result<Vec<u8>, Problem> {
        self.read(0, self.length.min(length as u64) as usize)
    }
}

impl ReaderAt for Bytes {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reader.read_at(buffer, offset)
    }
}

/// Room for `count` values more, or the error that there is none.
pub(super) fn reserve<T>(values: &mut Vec<T>, count: usize) -> Result<(), Problem> {
    values.try_reserve_exact(count).map_err(|_| {
        let bytes = count.saturating_mul(size_of::<T>());
        Fault::Io { doing: "hold", source: io::Error::other(format!("{bytes} bytes of memory are not available")) }
            .into()
    })
}

/// A file that tensors lie in.
pub(super) enum Source {
    /// The bytes themselves.
    Plain(Bytes),
    /// The entries of a zip archive.
    Archive(Archive),
}

/// A stretch of bytes that is read as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Of a plain file.
    Stretch {
        /// Which of the sources.
        source: usize,
        start: u64,
        length: usize,
    },
    /// A whole entry of an archive.
    Entry {
        /// Which of the sources.
        source: usize,
        /// Which of its entries.
        entry: usize,
    },
}

impl Place {
    pub fn read(self, sources: &[Source]) -> Result<Vec<u8>, Problem> {
        match self {
            Place::Stretch { source, start, length } => match &sources[source] {
                Source::Plain(bytes) => bytes.read(start, length),
                Source::Archive(_) => unreachable!("an archive has entries"),
            },
            Place::Entry { source, entry } => match &sources[source] {
                Source::Archive(archive) => archive.read(entry),
                Source::Plain(_) => unreachable!("a plain file has no entries"),
            },
        }
    }
}
