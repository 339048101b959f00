//! The data sets known by name: what they are, and how to get them.
//!
//! A new one is a file in `builtin/` and a line in [`SOURCES`].

use std::path::Path;

use super::builtin::{blobs, circles, digits, iris, moons, sine, spiral, xor};
use super::download::DownloadError;
use super::generate::{Generator, GeneratorError, Points};
use super::images::{ImagesError, Pictures, cifar};
use super::mnist::{self, IdxSource, IdxSourceError, Place, TrainTest};
use super::{Dataset, Table, TableError, TableOptions, Task, TaskKind};
use crate::suggest::nearest;

/// All data sets known by name, in the order in which they are shown.
pub const SOURCES: &[Source] = &[
    digits::SOURCE,
    iris::SOURCE,
    mnist::MNIST_SOURCE,
    mnist::FASHION_MNIST_SOURCE,
    cifar::SOURCE,
    xor::SOURCE,
    moons::SOURCE,
    circles::SOURCE,
    spiral::SOURCE,
    blobs::SOURCE,
    sine::SOURCE,
];

/// A data set known by name.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Name, as the user writes it.
    pub name: &'static str,
    /// One line: what the rows are.
    pub description: &'static str,
    /// Rows to learn from; of a generated set, how many are made when nothing is said.
    pub rows: usize,
    /// Rows set apart by the publisher for the final test; 0 where there are none.
    pub test_rows: usize,
    /// What is to be predicted.
    pub task: TaskKind,
    /// How it is had.
    pub origin: Origin,
}

/// How a data set is had.
#[derive(Clone, Copy, Debug)]
pub enum Origin {
    /// A table in the program, as text.
    Table(fn() -> TableText),
    /// Images in the program.
    Images(fn() -> Images),
    /// Four IDX files in a folder, or from the network.
    Files(&'static IdxSource),
    /// The binary files of CIFAR-10 in a folder, or from the network.
    Cifar10,
    /// Points made from a seed.
    Generated(Generator),
}

impl Origin {
    /// Whether files have to be found, or fetched over the network.
    pub fn has_files(&self) -> bool {
        matches!(self, Origin::Files(_) | Origin::Cifar10)
    }

    /// Whether the rows are pictures.
    pub fn has_pictures(&self) -> bool {
        matches!(self, Origin::Images(_) | Origin::Files(_) | Origin::Cifar10)
    }
}

/// A table as CSV text with a header, to be read like a file of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableText {
    /// Name of the column to predict.
    pub target: &'static str,
    /// The text, lines ending in `\n`.
    pub csv: String,
}

impl TableText {
    /// The cells, as of a file that was read; `name` stands for it in messages.
    ///
    /// # Errors
    /// [`TableError`] for a text that is no table; the texts of all sources here are one.
    pub fn table(&self, name: &str) -> Result<Table, TableError> {
        let options = TableOptions { delimiter: Some(b','), header: Some(true), ..TableOptions::default() };
        Table::from_reader(name, self.csv.as_bytes(), &options)
    }
}

/// Images of one channel with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    /// The rows; inputs have the shape `[height · width]`.
    pub dataset: Dataset,
    /// What is to be predicted.
    pub task: Task,
    /// Height and width, in pixels.
    pub image_size: [usize; 2],
}

/// What a source gives.
#[derive(Debug)]
pub enum Loaded {
    /// A table for the ordinary way of tables: types, preprocessing, split.
    Table(TableText),
    /// Images to be split.
    Images(Images),
    /// Images with a test part of their own.
    TrainTest(TrainTest),
    /// Pictures in colour, each for its part.
    Pictures(Pictures),
}

/// What can be said about the loading of a source.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'a> {
    /// Rows of a generated set. Default: [`Source::rows`].
    pub rows: Option<usize>,
    /// Noise of a generated set, in the sense of its generator. Default: the generator's.
    pub noise: Option<f64>,
    /// Seed of a generated set.
    pub seed: u64,
    /// Where the files are, for sources that have files.
    pub place: Option<Place<'a>>,
}

/// A name that no data set has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no data set is called {name:?}{}; there are {}", did_you_mean(*.nearest), names())]
pub struct UnknownSource {
    /// The name given.
    pub name: String,
    /// The known name most like it, if one is.
    pub nearest: Option<&'static str>,
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}

fn names() -> String {
    SOURCES.iter().map(|source| source.name).collect::<Vec<_>>().join(", ")
}

/// Why a source could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Rows or noise of a set that is not generated.
    #[error("{name} is not generated, so its {option} cannot be set")]
    NotGenerated {
        /// The data set.
        name: &'static str,
        /// `rows` or `noise`.
        option: &'static str,
    },
    /// A generator that cannot work with its settings.
    #[error("{name}: {source}")]
    Generator {
        /// The data set.
        name: &'static str,
        /// What is wrong.
        source: GeneratorError,
    },
    /// A set of files, and no word about where they are.
    #[error("{name} is not part of the program: give the folder with its files, or one to download them to")]
    NoPlace {
        /// The data set.
        name: &'static str,
    },
    /// A folder of files for a set that has none.
    #[error("{name} is part of the program and reads no files, so {} cannot be used", folder.display())]
    NoFiles {
        /// The data set.
        name: &'static str,
        /// The folder given.
        folder: std::path::PathBuf,
    },
    /// The files could not be read or fetched.
    #[error(transparent)]
    Files(#[from] IdxSourceError),
    /// Pictures could not be read.
    #[error(transparent)]
    Pictures(#[from] ImagesError),
    /// An archive could not be fetched.
    #[error(transparent)]
    Download(#[from] DownloadError),
}

/// The source of that name.
///
/// # Errors
/// [`UnknownSource`] with the nearest name and the list.
pub fn find(name: &str) -> Result<&'static Source, UnknownSource> {
    SOURCES.iter().find(|source| source.name == name).ok_or_else(|| UnknownSource {
        name: name.to_string(),
        nearest: nearest(name, SOURCES.iter().map(|source| source.name)),
    })
}

impl Source {
    /// Gets the data. `progress` hears of downloads: the file's name, bytes so far, and the total where announced.
    ///
    /// # Errors
    /// [`SourceError`]: options that do not apply, or files that cannot be had.
    pub fn load(
        &self,
        options: &LoadOptions<'_>,
        progress: &mut dyn FnMut(&str, u64, Option<u64>),
    ) -> Result<Loaded, SourceError> {
        if !matches!(self.origin, Origin::Generated(_)) {
            for (given, option) in [(options.rows.is_some(), "rows"), (options.noise.is_some(), "noise")] {
                if given {
                    return Err(SourceError::NotGenerated { name: self.name, option });
                }
            }
        }
        if let (false, Some(Place::Folder(folder))) = (self.origin.has_files(), options.place) {
            return Err(SourceError::NoFiles { name: self.name, folder: Path::to_path_buf(folder) });
        }
        match self.origin {
            Origin::Table(text) => Ok(Loaded::Table(text())),
            Origin::Images(images) => Ok(Loaded::Images(images())),
            Origin::Files(files) => {
                let place = options.place.ok_or(SourceError::NoPlace { name: self.name })?;
                Ok(Loaded::TrainTest(files.load(place, progress)?))
            }
            Origin::Cifar10 => {
                let place = options.place.ok_or(SourceError::NoPlace { name: self.name })?;
                Ok(Loaded::Pictures(cifar::load(place, progress)?))
            }
            Origin::Generated(generator) => {
                let points = self.generate(&generator, options)?;
                Ok(Loaded::Table(TableText { target: generator.target, csv: points.to_csv() }))
            }
        }
    }

    fn generate(&self, generator: &Generator, options: &LoadOptions<'_>) -> Result<Points, SourceError> {
        let noise = options.noise.unwrap_or(generator.noise);
        generator
            .points(options.rows.unwrap_or(self.rows), noise, options.seed)
            .map_err(|source| SourceError::Generator { name: self.name, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, options: &LoadOptions<'_>) -> Result<Loaded, SourceError> {
        find(name).unwrap().load(options, &mut |_, _, _| panic!("nothing is to be downloaded"))
    }

    #[test]
    fn every_source_keeps_what_the_table_says() {
        for (index, source) in SOURCES.iter().enumerate() {
            assert_eq!(SOURCES.iter().position(|other| other.name == source.name), Some(index), "names are unique");
            if source.origin.has_files() {
                continue;
            }
            match load(source.name, &LoadOptions::default()).unwrap() {
                Loaded::Images(images) => {
                    images.dataset.check().unwrap();
                    assert_eq!((images.dataset.rows(), images.task.kind()), (source.rows, source.task));
                    assert_eq!(images.dataset.width(), images.image_size.iter().product::<usize>());
                }
                Loaded::Table(table) => {
                    let read = table.table(source.name).unwrap();
                    assert_eq!(read.names().last().unwrap(), table.target, "{}", source.name);
                    assert_eq!((read.rows(), read.notes()), (source.rows, &[][..]), "{}", source.name);
                    // What is found out about the text without being told is the same.
                    let found =
                        Table::from_reader(source.name, table.csv.as_bytes(), &TableOptions::default()).unwrap();
                    assert_eq!((found.names(), found.rows()), (read.names(), read.rows()), "{}", source.name);
                    let rows = read.rows();
                    let mut answers: Vec<&str> = (0..rows).map(|row| read.cell(row, read.columns() - 1)).collect();
                    answers.sort();
                    answers.dedup();
                    match source.task {
                        TaskKind::Binary => assert_eq!(answers.len(), 2),
                        TaskKind::Multiclass => assert_eq!(answers.len(), 3),
                        _ => assert!(answers.len() > rows / 2),
                    }
                }
                Loaded::TrainTest(_) | Loaded::Pictures(_) => unreachable!("only files have a test part"),
            }
        }
    }

    #[test]
    fn an_unknown_name_gets_the_list_and_the_nearest() {
        let message = find("mnits").unwrap_err().to_string();
        assert!(message.starts_with("no data set is called \"mnits\"; did you mean mnist?; there are "), "{message}");
        assert!(SOURCES.iter().all(|source| message.contains(source.name)), "{message}");
        assert_eq!(find("fashion_mnist").unwrap_err().nearest, Some("fashion-mnist"));
        assert_eq!(find("titanic").unwrap_err().nearest, None);
    }

    #[test]
    fn options_that_do_not_apply_are_refused() {
        let error = |name, options: LoadOptions<'_>| load(name, &options).unwrap_err().to_string();
        let default = LoadOptions::default();
        let rows = LoadOptions { rows: Some(5), ..default };
        assert_eq!(error("iris", rows), "iris is not generated, so its rows cannot be set");
        let noise = LoadOptions { noise: Some(0.5), ..default };
        assert_eq!(error("mnist", noise), "mnist is not generated, so its noise cannot be set");
        assert!(error("mnist", default).starts_with("mnist is not part of the program"));
        let folder = LoadOptions { place: Some(Place::Folder(Path::new("here"))), ..default };
        assert!(error("digits", folder).contains("reads no files, so here cannot be used"));
        let none = LoadOptions { rows: Some(0), ..default };
        assert!(error("moons", none).starts_with("moons: "));
    }
}
