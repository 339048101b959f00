//! Pictures in folders and archives, which [`files`](super::files) finds.
//!
//! * [`decode`]: from bytes to pixels; [`fit`]: from pixels to a row of one shape.
//! * [`load`]: many at a time, into memory or to be read again; [`normalise`]: mean and deviation of the channels.
//! * [`cifar`]: the binary files of CIFAR-10.

pub(super) mod cifar;
mod decode;
mod error;
mod fit;
mod load;
mod normalise;

use std::ops::Range;
use std::sync::Arc;

pub use decode::{DecodeError, MOST_PIXELS, Raster, decode};
pub use error::ImagesError;
pub use fit::Shape;
pub use load::{LARGEST_CHOSEN, LARGEST_KEPT, Workers};
pub use normalise::Normalisation;

use load::{Outcome, Streamed, choose_shape, decode_entries};
use normalise::Sums;

use super::files::{Files, FilesError, Kind, Layout, Part, Tally, layout, size_words};
use super::{ByteRows, Dataset, DatasetError, Features, Task};

/// How pictures are to be read.
#[derive(Clone, Copy)]
pub struct LoadOptions<'a> {
    /// Height and width; found out if `None`.
    pub size: Option<[usize; 2]>,
    /// 1 (grey) or 3 (red, green, blue); found out if `None`.
    pub channels: Option<usize>,
    /// Bytes that pictures may take in memory. More of them are read again whenever they are asked for; the result is the
    /// same.
    pub memory: u64,
    /// Leave out what cannot be read, and classes without a picture, instead of failing.
    pub skip_bad: bool,
    /// Who decodes.
    pub workers: Workers<'a>,
}

/// Memory that pictures may take unless the user says otherwise: 2 GB.
pub const USUAL_MEMORY: u64 = 2 << 30;

/// Pictures of one shape with their classes, in memory or to be read when asked for.
#[derive(Debug)]
pub struct Pictures {
    /// Channels, height, width.
    pub shape: Shape,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Index of the class of each row.
    pub labels: Vec<u32>,
    /// The part of each row.
    pub parts: Vec<Part>,
    /// For the user: what was left out, and what becomes of sizes.
    pub notes: Vec<String>,
    /// True if the size was found out or given, false where it is that of the files and cannot be chosen.
    pub scalable: bool,
    rows: Rows,
    sums: Vec<Sums>,
}

#[derive(Debug)]
enum Rows {
    Memory(Vec<u8>),
    Streamed { files: Files, entries: Vec<u32> },
}

impl Pictures {
    /// Reads all pictures once. With `known`, classes are those, in that order, and no other may occur.
    ///
    /// # Errors
    /// Folders that make no classes; pictures that cannot be used, unless they are to be left out.
    pub fn load(
        mut files: Files,
        known: Option<&[String]>,
        options: &LoadOptions<'_>,
    ) -> Result<Pictures, ImagesError> {
        if let Some(cifar) = cifar::read(&files)? {
            return Pictures::of_cifar(cifar, known);
        }
        files.keep(Kind::Pictures);
        let Layout { classes, labelled: mut pictures, mut notes } =
            layout(&files, Kind::Pictures, known, options.skip_bad)?;
        notes.splice(0..0, files.notes(Kind::Pictures));
        let entries: Vec<u32> = pictures.iter().map(|picture| picture.entry).collect();
        let (shape, note) = choose_shape(&files, &entries, options.size, options.channels);
        notes.extend(note);
        let width: usize = shape.iter().product();
        let keep = (width as u64 * entries.len() as u64).saturating_add(files.held_bytes()) <= options.memory;
        let (mut bytes, outcomes) = decode_entries(&files, &entries, shape, keep, options.workers);
        let (used, sums, bad) = sort_out(outcomes);
        if bad.count > 0 {
            if !options.skip_bad || used.is_empty() {
                return Err(FilesError::Bad { kind: Kind::Pictures, bad, all: entries.len() }.into());
            }
            notes.push(format!("{} pictures that cannot be used are left out: {}", bad.count, bad.first.join("; ")));
            if keep {
                compact(&mut bytes, &used, width);
            }
            pictures = used.iter().map(|at| pictures[*at]).collect();
        }
        let rows = if keep {
            Rows::Memory(bytes)
        } else {
            notes.push(format!(
                "the pictures take {}, more than the {} of --memory allow: they are decoded again whenever they are used",
                size_words(width as u64 * pictures.len() as u64),
                size_words(options.memory)
            ));
            Rows::Streamed { files, entries: pictures.iter().map(|picture| picture.entry).collect() }
        };
        let labels = pictures.iter().map(|picture| picture.class).collect();
        let parts = pictures.iter().map(|picture| picture.part).collect();
        Ok(Pictures { shape, classes, labels, parts, notes, scalable: true, rows, sums })
    }

    fn of_cifar(cifar: cifar::Cifar, known: Option<&[String]>) -> Result<Pictures, ImagesError> {
        let cifar::Cifar { classes, bytes, labels } = cifar;
        if let Some(known) = known.filter(|known| **known != classes) {
            let mut folders = Tally::default();
            classes.iter().filter(|class| !known.contains(class)).for_each(|class| folders.add(class));
            return Err(FilesError::UnknownClass { folders, known: known.to_vec() }.into());
        }
        let width: usize = cifar::SHAPE.iter().product();
        Ok(Pictures {
            shape: cifar::SHAPE,
            classes,
            sums: bytes.chunks_exact(width).map(|row| Sums::of(row, cifar::SHAPE[0])).collect(),
            parts: labels.iter().map(|(_, part)| *part).collect(),
            labels: labels.iter().map(|(class, _)| *class).collect(),
            notes: Vec::new(),
            scalable: false,
            rows: Rows::Memory(bytes),
        })
    }

    /// The rows of a part, ascending.
    pub fn rows_of(&self, part: Part) -> Vec<u32> {
        (0..self.parts.len() as u32).filter(|row| self.parts[*row as usize] == part).collect()
    }

    /// The normalisation that makes the pixels of these rows have mean 0 and deviation 1 in each channel.
    pub fn normalisation(&self, rows: &[u32]) -> Normalisation {
        Normalisation::of(rows.iter().map(|row| &self.sums[*row as usize]), self.shape)
    }

    /// What is predicted.
    pub fn task(&self) -> Task {
        Task::of_classes(self.classes.clone())
    }

    /// The data set of all rows.
    ///
    /// # Errors
    /// More rows than are counted.
    pub fn into_dataset(self, normalisation: &Normalisation) -> Result<Dataset, DatasetError> {
        let (scale, shift) = normalisation.of_inputs(self.shape);
        let features = match self.rows {
            Rows::Memory(bytes) => Features::U8 { bytes, scale, shift },
            Rows::Streamed { files, entries } => {
                let streamed = Streamed { files, entries, shape: self.shape, sums: self.sums };
                Features::Read { rows: ByteRows(Arc::new(streamed)), scale, shift }
            }
        };
        let targets = self.labels.iter().map(|label| *label as f32).collect();
        Dataset::new(self.shape.to_vec(), features, targets, 1, None)
    }
}

/// Pictures without classes, some at a time.
#[derive(Debug)]
pub struct Unlabelled {
    files: Files,
    entries: Vec<u32>,
}

impl Unlabelled {
    /// All pictures among the files, by name.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(mut files: Files) -> Result<Unlabelled, ImagesError> {
        files.keep(Kind::Pictures);
        let pictures = files.entries.iter().enumerate().filter(|(_, entry)| Kind::Pictures.is_of(&entry.name));
        let entries: Vec<u32> = pictures.map(|(index, _)| index as u32).collect();
        if entries.is_empty() {
            return Err(FilesError::None { path: files.root().to_path_buf(), kind: Kind::Pictures }.into());
        }
        Ok(Unlabelled { files, entries })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Never: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// For the user: what was passed over among the files.
    pub fn notes(&self) -> Vec<String> {
        self.files.notes(Kind::Pictures)
    }

    /// The name of a picture below the folder or archive.
    pub fn name(&self, row: usize) -> &str {
        &self.files.entries[self.entries[row] as usize].name
    }

    /// The pictures in `range` that can be used, with their bytes `[used, channels, height, width]`; and what is wrong with
    /// the others.
    pub fn read(&self, range: Range<usize>, shape: Shape, workers: Workers<'_>) -> (Vec<usize>, Vec<u8>, Tally) {
        let first = range.start;
        let (mut bytes, outcomes) = decode_entries(&self.files, &self.entries[range], shape, true, workers);
        let (used, _, bad) = sort_out(outcomes);
        compact(&mut bytes, &used, shape.iter().product());
        (used.into_iter().map(|at| first + at).collect(), bytes, bad)
    }
}

/// Places of the pictures that can be used, their sums, and what is wrong with the others.
fn sort_out(outcomes: Vec<Outcome>) -> (Vec<usize>, Vec<Sums>, Tally) {
    let (mut used, mut sums, mut bad) = (Vec::with_capacity(outcomes.len()), Vec::new(), Tally::default());
    for (at, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(own) => {
                used.push(at);
                sums.push(own);
            }
            Err(error) => bad.add(error.to_string()),
        }
    }
    (used, sums, bad)
}

/// Moves the rows `used`, which ascend, to the front and drops the others.
fn compact(bytes: &mut Vec<u8>, used: &[usize], width: usize) {
    for (to, from) in used.iter().enumerate() {
        bytes.copy_within(from * width..(from + 1) * width, to * width);
    }
    bytes.truncate(used.len() * width);
}
