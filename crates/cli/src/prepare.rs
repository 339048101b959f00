//! From the words of the user to rows for training, validation and test.

mod describe;
mod documents;
mod folders;
mod images;
mod labelled;
mod locate;
mod pictures;
mod sequences;
mod series;
mod tables;
mod texts;

use std::sync::Arc;
use std::time::Instant;

use pellucid::data::files::{Files, Kind};
use pellucid::data::images::Shape;
use pellucid::data::{Dataset, Division, Fractions, Split, Table, Task};
use pellucid::model::Preprocessing;
use pellucid::train::Part;

pub use describe::{class_shares, column_rows, summary_text};
pub use documents::{LENGTH, scored_documents, scored_texts};
pub use images::{image_rows, pixel_rows};
pub use locate::{Located, locate};
pub use pictures::{memory_bytes, picture_input, scored_pictures, with_workers};
pub use sequences::scored_sequences;
pub use series::{Forecasting, all_forecasts, known_series};
pub use tables::{read_table, scored_rows, table_options, transformed};
pub use texts::{Divided, scored_text};

use crate::error::{Failure, Outcome};
use crate::report::ColumnRow;
use crate::settings::{Settings, Validation};

/// Fewer rows than this and all of them are for training: parts of them would say nothing.
pub const FEWEST_TO_SPLIT: usize = 50;
/// Share of the rows that is set apart for the test where there is no test part.
pub const TEST_FRACTION: f64 = 0.2;

/// Rows for one purpose.
#[derive(Clone, Debug)]
pub struct Rows {
    /// What they are rows of.
    pub data: Arc<Dataset>,
    /// Which rows.
    pub rows: Vec<u32>,
    /// The table that they came from, and the row of it for each row of the data.
    pub cells: Option<(Arc<Table>, Arc<[u32]>)>,
}

impl Rows {
    /// As the fit loop takes them.
    pub fn part(&self) -> Part<'_> {
        Part::of(&self.data, &self.rows)
    }

    /// All rows of the data, whatever they are for.
    pub fn all(mut self) -> Rows {
        self.rows = (0..self.data.rows() as u32).collect();
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Shares of rows set apart for validation (of those not for the test) and for the test (of all).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shares {
    /// For validation.
    pub validation: Option<f64>,
    /// For the test.
    pub test: Option<f64>,
}

impl Shares {
    fn fractions(self) -> Fractions {
        let test = self.test.unwrap_or(0.0);
        Fractions { validation: self.validation.unwrap_or(0.0) * (1.0 - test), test }
    }
}

/// Everything that training needs to know about the data.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Short name, for folders: `digits`, `adult-train`.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// What is predicted.
    pub task: Task,
    /// How raw data becomes inputs.
    pub preprocessing: Preprocessing,
    /// Rows to learn from.
    pub train: Rows,
    /// Rows to stop early and to choose by; none if empty.
    pub validation: Rows,
    /// Rows that decide nothing; none if empty.
    pub test: Rows,
    /// The columns that are predicted, by name; none for images.
    pub targets: Vec<String>,
    /// Shares of the rows that were set apart, as settings say them; `None` where a part has its own source.
    pub shares: Shares,
    /// Channels, height and width that files of pictures were made to have, as settings say them.
    pub pictured: Option<Shape>,
    /// How a text was divided, as settings say it.
    pub divided: Option<Divided>,
    /// The series, if the rows are forecasts of one.
    pub forecasting: Option<Forecasting>,
    /// How the parts came about, in a few words.
    pub split: String,
    /// What the user should know.
    pub notes: Vec<String>,
    /// The columns, if it is a table.
    pub columns: Vec<ColumnRow>,
    /// Seconds that reading and preparing took.
    pub seconds: f64,
}

impl Prepared {
    /// Rows for training, validation and test; what else there is to say of them is empty yet.
    fn of(task: Task, preprocessing: Preprocessing, [train, validation, test]: [Rows; 3]) -> Prepared {
        Prepared {
            name: String::new(),
            description: String::new(),
            task,
            preprocessing,
            train,
            validation,
            test,
            targets: Vec::new(),
            shares: Shares::default(),
            pictured: None,
            divided: None,
            forecasting: None,
            split: String::new(),
            notes: Vec::new(),
            columns: Vec::new(),
            seconds: 0.0,
        }
    }

    /// The parts by name, those without rows left out.
    pub fn parts(&self) -> Vec<(&'static str, &Rows)> {
        let all = [("train", &self.train), ("validation", &self.validation), ("test", &self.test)];
        all.into_iter().filter(|(_, rows)| !rows.is_empty()).collect()
    }

    /// Values of one row of inputs.
    pub fn width(&self) -> usize {
        self.train.data.width()
    }

    /// Channels, height and width, if rows are images.
    pub fn image_size(&self) -> Option<Shape> {
        match self.preprocessing {
            Preprocessing::Images { size: [height, width], channels, .. } => Some([channels, height, width]),
            _ => None,
        }
    }
}

/// What a trained model says of its data.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// How raw data becomes its inputs.
    pub preprocessing: &'a Preprocessing,
    /// Sizes of a row of inputs.
    pub input: &'a [usize],
}

impl Known<'_> {
    /// Channels, height and width of the pictures that the model takes, if it says them.
    fn pictured(&self) -> Option<Shape> {
        match (self.preprocessing, self.input) {
            (Preprocessing::Images { size: [height, width], channels, .. }, _) => Some([*channels, *height, *width]),
            (Preprocessing::Numbers, &[channels, height, width]) => Some([channels, height, width]),
            _ => None,
        }
    }

    /// What data the model takes, for people.
    fn words(&self) -> &'static str {
        match self.preprocessing {
            Preprocessing::Numbers => "numbers: pictures, a table, sequences (--id) or a series (--horizon)",
            Preprocessing::Images { .. } => "pictures",
            Preprocessing::Table { .. } => "the rows of a table",
            Preprocessing::Text { .. } => "a text",
            Preprocessing::Documents { .. } => "documents",
            Preprocessing::Sequences { .. } => "sequences (a table with --id)",
            Preprocessing::Series { .. } => "a series (a table with --horizon)",
        }
    }
}

/// Loads the data that `settings` name and splits it. What is `known` from a trained model is not learnt anew: size and
/// normalisation of pictures, tokens of texts, inputs of a table, scales of sequences, windows of a series.
///
/// # Errors
/// Data that cannot be found, read or understood; settings that do not fit it, or data of another kind than is known.
pub fn prepare(data: &str, settings: &Settings, known: Option<Known>, quiet: bool) -> Outcome<Prepared> {
    let begun = Instant::now();
    let located = locate(data)?;
    let files = match &located {
        Located::Files(path) => Some(Files::open(path, memory_bytes(settings.memory))?),
        _ => None,
    };
    let in_texts = files.as_ref().is_some_and(|files| files.kind() == Some(Kind::Texts));
    let is_file = matches!(located, Located::File(_));
    if settings.text.is_some() && !is_file {
        return Err(Failure::new(format!("--text is for tables with a column of text; {data} is none")));
    }
    if settings.id.is_some() && !is_file {
        return Err(Failure::new(format!("--id is for tables whose lines are steps of sequences; {data} is none")));
    }
    let is_text = in_texts
        || matches!(located, Located::Text(_))
        || is_file && (settings.tokens.is_some() || settings.tokenizer.is_some() || settings.text.is_some());
    if is_file && is_text && settings.text.is_none() && !settings.target.is_empty() {
        let message =
            "is read as one text, for it is to be read in tokens; with --text COLUMN each row of it is a document";
        return Err(Failure::new(format!("{data} {message}")));
    }
    let is_series = is_file && !is_text && settings.horizon.is_some();
    if settings.id.is_some() && (is_text || is_series) {
        return Err(Failure::new("--id goes with neither --text, --tokens nor --horizon; drop one"));
    }
    refuse_sequence_settings(data, settings, is_text, is_series)?;
    refuse_table_settings(data, settings, is_file && !is_series && (!is_text || settings.text.is_some()))?;
    let are_documents = in_texts || settings.text.is_some();
    if let Some(known) = known {
        let are_pictures = match &located {
            Located::Files(_) => !in_texts,
            Located::Source(source) => source.origin.has_pictures(),
            _ => false,
        };
        let are_sequences = settings.id.is_some();
        let is_table = !is_text && !are_documents && !are_pictures && !is_series && !are_sequences;
        let same = match known.preprocessing {
            Preprocessing::Images { .. } => are_pictures,
            Preprocessing::Text { .. } => is_text && !are_documents,
            Preprocessing::Documents { .. } => are_documents,
            Preprocessing::Numbers => !is_text && !are_documents,
            Preprocessing::Table { .. } => is_table,
            Preprocessing::Series { .. } => is_series,
            Preprocessing::Sequences { .. } => are_sequences,
        };
        if !same {
            return Err(Failure::new(format!("the model of --from takes {}; {data} is none", known.words())));
        }
    }
    let preprocessing = known.map(|known| known.preprocessing);
    let mut prepared = match located {
        Located::Source(source) => match images::load(source, settings, preprocessing, quiet)? {
            images::Loaded::Images(prepared) => *prepared,
            images::Loaded::Table(text) => {
                let mut settings = settings.clone();
                if settings.target.is_empty() {
                    settings.target = vec![text.target.to_string()];
                }
                let description = source.description.to_string();
                tables::prepare(text.table(source.name)?, source.name, description, &settings, preprocessing)?
            }
        },
        Located::Files(_) => {
            let files = files.expect("opened above");
            if in_texts {
                documents::load_files(files, settings, preprocessing)?
            } else {
                pictures::load(files, settings, known, quiet)?
            }
        }
        Located::Text(path) => texts::load(&path, settings, preprocessing)?,
        Located::File(path) if settings.text.is_some() => {
            documents::load(&path, settings.text.as_deref().unwrap_or_default(), settings, preprocessing)?
        }
        Located::File(path) if is_text => texts::load(&path, settings, preprocessing)?,
        Located::File(path) if settings.id.is_some() => sequences::load(&path, settings, preprocessing)?,
        Located::File(path) if is_series => series::load(&path, settings)?,
        Located::File(path) => {
            let table = read_table(&path, settings)?;
            let stem = locate::stem(&path);
            tables::prepare(table, &stem, path.display().to_string(), settings, preprocessing)?
        }
    };
    prepared.seconds = begun.elapsed().as_secs_f64();
    Ok(prepared)
}

/// Refuses settings of texts and series for what is none.
fn refuse_sequence_settings(data: &str, settings: &Settings, is_text: bool, is_series: bool) -> Outcome<()> {
    let text = settings.text_setting().filter(|_| !is_text).map(|flag| (flag, "texts"));
    let series = settings.series_setting().filter(|_| !is_series).map(|flag| (flag, "series (tables with --horizon)"));
    let has_window = is_text || is_series || settings.id.is_some();
    let window = settings.window.filter(|_| !has_window).map(|_| ("--window", "texts, series and sequences"));
    match text.or(series).or(window) {
        Some((flag, what)) => Err(Failure::new(format!("{flag} is for {what}; {data} is none"))),
        None => Ok(()),
    }
}

/// Refuses settings on how rows of a table are divided for what is none.
fn refuse_table_settings(data: &str, settings: &Settings, is_table: bool) -> Outcome<()> {
    let is_series = settings.horizon.is_some();
    let given = [
        (
            "--groups",
            settings.groups.is_some() && (!is_table || settings.id.is_some()),
            "tables whose rows stand alone",
        ),
        ("--time", settings.time.is_some() && !is_table && !is_series, "tables"),
    ];
    match given.into_iter().find(|(_, wrong, _)| *wrong) {
        Some((flag, _, what)) => Err(Failure::new(format!("{flag} is for {what}; {data} is none"))),
        None => Ok(()),
    }
}

/// How parts came about, in a few words.
fn split_words(validation: bool, test: bool) -> String {
    let apart = [("validation", validation), ("test", test)];
    let apart: Vec<&str> = apart.iter().filter(|(_, apart)| *apart).map(|(name, _)| *name).collect();
    match apart.as_slice() {
        [] => String::new(),
        apart => format!("{} set apart at random, classes in proportion", apart.join(" and ")),
    }
}

/// Rows for each part, as the settings say: at random, classes in proportion.
fn divide(rows: &[u32], classes: &[u32], shares: Shares, settings: &Settings) -> Outcome<Split> {
    let division = Division {
        strata: Some(classes),
        fractions: shares.fractions(),
        fold: settings.fold,
        seed: settings.seed(),
        ..Division::default()
    };
    Ok(Split::new(rows, &division)?)
}

/// The shares to set apart of `rows` rows that may be split.
fn shares(settings: &Settings, rows: usize, test_part: bool) -> Outcome<Shares> {
    let few = rows < FEWEST_TO_SPLIT;
    let test = match settings.test_fraction {
        Some(_) if test_part => {
            let message = "--test-fraction sets test rows apart, but there is a test part already; drop one of them";
            return Err(Failure::new(message));
        }
        Some(share) if !(0.0..1.0).contains(&share) => {
            return Err(Failure::new(format!("--test-fraction is a share of at least 0 and below 1; got {share}")));
        }
        None if test_part => None,
        None => Some(if few { 0.0 } else { TEST_FRACTION }),
        given => given,
    };
    let validation = match settings.validation {
        _ if settings.fold.is_some() => None,
        Some(Validation::Fraction(share)) => Some(share),
        Some(Validation::File(_)) => None,
        None => Some(if few { 0.0 } else { crate::defaults::validation_fraction(rows) }),
    };
    Ok(Shares { validation, test })
}
