//! From a table of text to a data set: everything is learnt from the training rows, and kept with the model.
//!
//! | column | inputs |
//! |---|---|
//! | number | one, standardised: `(x - mean) / std`; where the training values have a skewness beyond ±3 and it helps, of `sign(x) · ln(1 + abs(x))`; missing values get the median |
//! | category | one for each level (0 or 1); levels beyond `max_levels` share one; a missing value has its own where one was missing in training; an unknown level is all zeros |
//! | boolean | one, 0 or 1; missing values get the share of true |
//! | date | year, month, day, weekday (Monday is 0), hour, days since 1970-01-01, each standardised and only if it varies; missing values get the means |
//!
//! Where a number, boolean or date was missing in training, a further input is 1 where it is missing. Left out are
//! columns that are constant or empty in training, texts that are (nearly) all different, and whole numbers, all
//! different, in a column named as an identifier.

mod column;
mod encode;
mod error;
mod pieces;
pub(in crate::data) mod target;

use serde::{Deserialize, Serialize};

pub use column::{ColumnSummary, ColumnType, NumberSummary, summarise};
pub use encode::{DatePart, Encoding, Scaling};
pub use error::PipelineError;

use super::dataset::{Dataset, Features};
use super::table::{Table, TableOptions, parse_number};
use super::task::{Task, TaskKind};
use column::Profile;
use encode::Learnt;
use error::shortened;

/// What is to be learnt from a table.
#[derive(Clone, Debug, PartialEq)]
pub struct FitOptions {
    /// Columns to be predicted, by name or by index (from 0, or negative from the end: -1 is the last).
    pub targets: Vec<String>,
    /// Column of sample weights, by name or index. Its values are finite and not negative.
    pub weights: Option<String>,
    /// Column that says which rows belong together, by name or index: no input.
    pub groups: Option<String>,
    /// The task; inferred from the targets when `None`.
    pub task: Option<TaskKind>,
    /// Most levels of a category that get an input of their own (the last of them stands for all others).
    pub max_levels: usize,
    /// How the other columns become inputs.
    pub inputs: InputColumns,
}

impl Default for FitOptions {
    /// The last column is the target, no weights, no groups, task inferred, at most 100 levels, inputs learnt.
    fn default() -> FitOptions {
        FitOptions {
            targets: vec!["-1".to_string()],
            weights: None,
            groups: None,
            task: None,
            max_levels: 100,
            inputs: InputColumns::Learnt,
        }
    }
}

/// How columns that are not predicted become inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum InputColumns {
    /// As their values in the training rows suggest.
    #[default]
    Learnt,
    /// As they are, all of them: for a network whose inputs are numbers and that says nothing of what they were before.
    AsTheyAre,
    /// As they do in another pipeline, in its order: for a network that was trained with that. Further columns are left out.
    Known(Box<Pipeline>),
}

/// What was learnt from the training rows of a table: how each column becomes inputs, and what the targets mean.
///
/// Stored as JSON it comes back to the bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    columns: Vec<Column>,
    has_header: bool,
    missing: Vec<String>,
    task: Task,
    /// Indices of the target columns, in the order in which they were named.
    targets: Vec<usize>,
    weights: Option<usize>,
    training_rows: usize,
    notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Column {
    summary: ColumnSummary,
    role: Role,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    Input(Encoding),
    LeftOut(String),
    Target,
    Weights,
}

/// What becomes of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnUse<'a> {
    /// Inputs of these names.
    Inputs(Vec<String>),
    /// Nothing, for this reason.
    LeftOut(&'a str),
    /// It is predicted.
    Target,
    /// It says how much a row counts.
    Weights,
}

/// A data set made by a [`Pipeline`], with what was met on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Transformed {
    /// The rows asked for, in their order.
    pub dataset: Dataset,
    /// For the user: unknown categories, values that could not be read, columns that were not used.
    pub notes: Vec<String>,
}

/// The index of the column that `column` names: by its name, else as an index from 0, or negative from the end.
///
/// # Errors
/// When there is no such column.
pub fn find_column(table: &Table, column: &str) -> Result<usize, PipelineError> {
    let columns = table.columns();
    if let Some(index) = table.names().iter().position(|name| name == column) {
        return Ok(index);
    }
    let index = column.trim().parse::<i64>().ok();
    let index = index.and_then(|index| usize::try_from(if index < 0 { index + columns as i64 } else { index }).ok());
    index.filter(|index| *index < columns).ok_or_else(|| PipelineError::NoColumn {
        table: table.name().to_string(),
        column: column.to_string(),
        known: shortened(table.names()),
        columns,
    })
}

/// The rows that have a value in every target column of `options`: those that can be learnt from or scored.
///
/// # Errors
/// When a target column does not exist, or no row has a value in all of them.
pub fn labelled_rows(table: &Table, options: &FitOptions) -> Result<Vec<u32>, PipelineError> {
    let (targets, _) = roles(table, options)?;
    let rows: Vec<u32> = (0..table.rows() as u32).filter(|row| is_labelled(table, &targets, *row)).collect();
    if rows.is_empty() {
        return Err(PipelineError::NoRows { table: table.name().to_string() });
    }
    Ok(rows)
}

/// The class of each of `rows` (which are labelled) for a stratified split; `None` where the task has no classes.
///
/// # Errors
/// When the targets do not fit the task; see [`Pipeline::fit`].
pub fn strata(table: &Table, options: &FitOptions, rows: &[u32]) -> Result<Option<Vec<u32>>, PipelineError> {
    let (targets, _) = roles(table, options)?;
    let task = target::learn(table, &targets, options.task, rows)?;
    match task.kind() {
        TaskKind::Binary | TaskKind::Multiclass => {
            let classes = target::encode(&task, table, &targets, rows)?;
            Ok(Some(classes.into_iter().map(|class| class as u32).collect()))
        }
        TaskKind::Multilabel | TaskKind::Regression | TaskKind::Tokens => Ok(None),
    }
}

fn is_labelled(table: &Table, targets: &[usize], row: u32) -> bool {
    targets.iter().all(|column| !table.is_missing(row as usize, *column))
}

/// Indices of targets and weights, each column in one role only.
fn roles(table: &Table, options: &FitOptions) -> Result<(Vec<usize>, Option<usize>), PipelineError> {
    if options.targets.is_empty() {
        return Err(PipelineError::NoTarget);
    }
    let targets = options.targets.iter().map(|target| find_column(table, target)).collect::<Result<Vec<_>, _>>()?;
    let weights = options.weights.as_ref().map(|weights| find_column(table, weights)).transpose()?;
    let all: Vec<usize> = targets.iter().copied().chain(weights).collect();
    match (1..all.len()).find(|i| all[..*i].contains(&all[*i])) {
        Some(i) => Err(PipelineError::Twice { column: table.names()[all[i]].clone() }),
        None => Ok((targets, weights)),
    }
}

impl Pipeline {
    /// Learns from `rows`, the training rows, and from nothing else. Rows without a target are passed over, with a
    /// note.
    ///
    /// # Errors
    /// When a column named does not exist, targets do not fit the task, or no column is left to predict from; when inputs are to be
    /// as they are and hold no numbers, or are known and not there or to be predicted.
    pub fn fit(table: &Table, options: &FitOptions, rows: &[u32]) -> Result<Pipeline, PipelineError> {
        let (targets, weights) = roles(table, options)?;
        let groups = options.groups.as_ref().map(|groups| find_column(table, groups)).transpose()?;
        let labelled: Vec<u32> = rows.iter().copied().filter(|row| is_labelled(table, &targets, *row)).collect();
        if labelled.is_empty() {
            return Err(PipelineError::NoRows { table: table.name().to_string() });
        }
        let mut notes = table.notes().to_vec();
        if labelled.len() < rows.len() {
            notes.push(format!("{} rows without a target are left out", rows.len() - labelled.len()));
        }
        let task = target::learn(table, &targets, options.task, &labelled)?;
        let known = match &options.inputs {
            InputColumns::Known(known) => known.places(table)?,
            InputColumns::Learnt | InputColumns::AsTheyAre => Vec::new(),
        };
        let mut order: Vec<usize> = (0..table.columns()).collect();
        if !known.is_sorted_by_key(|(place, _)| *place) {
            // Inputs come in the order that a network knows.
            order.sort_by_key(|column| known.iter().position(|(place, _)| place == column).unwrap_or(known.len()));
        }
        let mut columns = Vec::with_capacity(table.columns());
        for &index in &order {
            let name = &table.names()[index];
            let profile = Profile::of(table, index, &labelled);
            let known = known.iter().find(|(place, _)| *place == index).map(|(_, encoding)| *encoding);
            if known.is_some() && (targets.contains(&index) || weights == Some(index)) {
                return Err(PipelineError::KnownInput { table: table.name().to_string(), column: name.clone() });
            }
            let role = if targets.contains(&index) {
                Role::Target
            } else if weights == Some(index) {
                Role::Weights
            } else if groups == Some(index) {
                Role::LeftOut("it says which rows belong together".to_string())
            } else {
                let learnt = match (&options.inputs, known) {
                    (InputColumns::Learnt, _) => encode::learn(name, &profile, options.max_levels),
                    (InputColumns::AsTheyAre, _) => {
                        let raw = encode::raw(&profile).ok_or_else(|| PipelineError::NoNumbers {
                            table: table.name().to_string(),
                            column: name.clone(),
                            found: profile.column_type().name(),
                        })?;
                        Learnt::Encoding(raw, Vec::new())
                    }
                    (InputColumns::Known(_), Some(encoding)) => Learnt::Encoding(encoding.clone(), Vec::new()),
                    (InputColumns::Known(_), None) => {
                        Learnt::LeftOut("it is none of the inputs that were known before".to_string())
                    }
                };
                match learnt {
                    Learnt::Encoding(encoding, more) => {
                        notes.extend(more);
                        Role::Input(encoding)
                    }
                    Learnt::LeftOut(reason) => {
                        notes.push(format!("column `{name}` is left out: {reason}"));
                        Role::LeftOut(reason)
                    }
                }
            };
            columns.push(Column { summary: profile.summary(name), role });
        }
        let number = |column: &&mut Column| matches!(column.role, Role::Input(Encoding::Number { .. }));
        if options.inputs == InputColumns::Learnt && columns.iter_mut().filter(number).count() > pieces::MOST_COLUMNS {
            for column in &mut columns {
                if let Role::Input(Encoding::Number { edges, .. }) = &mut column.role {
                    edges.clear();
                }
            }
        }
        let position = |column: usize| order.iter().position(|at| *at == column).expect("every column is in the order");
        let pipeline = Pipeline {
            columns,
            has_header: table.has_header(),
            missing: table.missing_markers().to_vec(),
            task,
            targets: targets.iter().map(|target| position(*target)).collect(),
            weights: weights.map(position),
            training_rows: labelled.len(),
            notes,
        };
        if pipeline.width() == 0 {
            let reasons = pipeline.columns.iter().filter_map(|column| match &column.role {
                Role::LeftOut(reason) => Some(format!("`{}`: {reason}", column.summary.name)),
                _ => None,
            });
            let reasons: Vec<String> = reasons.collect();
            let reasons = if reasons.is_empty() { "every column is a target".to_string() } else { reasons.join("; ") };
            return Err(PipelineError::NoInputs { table: table.name().to_string(), reasons });
        }
        Ok(pipeline)
    }

    /// Inputs, targets and weights of `rows`, for training and scoring. Columns are matched by name where this table
    /// and the one of training have a header, else by position. Weights are taken where their column is there.
    ///
    /// # Errors
    /// When columns do not match, or a target or weight is missing or makes no sense.
    pub fn transform(&self, table: &Table, rows: &[u32]) -> Result<Transformed, PipelineError> {
        let (places, mut notes) = self.match_columns(table, true)?;
        let features = self.encode(table, rows, &places, &mut notes);
        // Matching has found every target.
        let columns: Vec<usize> = self.targets.iter().filter_map(|target| places[*target]).collect();
        let targets = target::encode(&self.task, table, &columns, rows)?;
        let weights = match self.weights.and_then(|weights| places[weights]) {
            Some(column) => Some(sample_weights(table, column, rows)?),
            None => None,
        };
        let target_width = self.task.target_width();
        let sample_shape = vec![self.width()];
        Ok(Transformed {
            dataset: Dataset { sample_shape, features, targets, target_width, weights, lengths: None },
            notes,
        })
    }

    /// Inputs of `rows` alone, for prediction: the columns of targets and weights may be there or not, and are not
    /// looked at.
    ///
    /// # Errors
    /// When columns do not match.
    pub fn transform_features(&self, table: &Table, rows: &[u32]) -> Result<Transformed, PipelineError> {
        let (places, mut notes) = self.match_columns(table, false)?;
        let features = self.encode(table, rows, &places, &mut notes);
        let sample_shape = vec![self.width()];
        let dataset =
            Dataset { sample_shape, features, targets: Vec::new(), target_width: 0, weights: None, lengths: None };
        Ok(Transformed { dataset, notes })
    }

    /// The rows of another table that have a value in every target column: those that can be scored.
    ///
    /// # Errors
    /// When columns do not match.
    pub fn labelled_rows(&self, table: &Table) -> Result<Vec<u32>, PipelineError> {
        let (places, _) = self.match_columns(table, true)?;
        let targets: Vec<usize> = self.targets.iter().filter_map(|target| places[*target]).collect();
        Ok((0..table.rows() as u32).filter(|row| is_labelled(table, &targets, *row)).collect())
    }

    /// How further files are to be read so that they fit: with the same marks for missing values, and names known.
    pub fn table_options(&self) -> TableOptions {
        let names = self.columns.iter().map(|column| column.summary.name.clone());
        let known_names = if self.has_header { names.collect() } else { Vec::new() };
        TableOptions { missing: self.missing.clone(), known_names, ..TableOptions::default() }
    }

    /// What is predicted.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Number of inputs of the network.
    pub fn width(&self) -> usize {
        self.inputs().map(|(_, encoding)| encoding.width()).sum()
    }

    /// Names of the inputs, `[width]`: `age`, `workclass=Private`, `age missing`, `start weekday`, ….
    pub fn feature_names(&self) -> Vec<String> {
        self.inputs().flat_map(|(column, encoding)| encoding.names(&self.columns[column].summary.name)).collect()
    }

    /// Names of the target columns.
    pub fn target_names(&self) -> Vec<&str> {
        self.targets.iter().map(|target| self.columns[*target].summary.name.as_str()).collect()
    }

    /// Each column of the training table, described over the training rows.
    pub fn summary(&self) -> impl Iterator<Item = &ColumnSummary> {
        self.columns.iter().map(|column| &column.summary)
    }

    /// Each column of the training table with what becomes of it.
    pub fn columns(&self) -> impl Iterator<Item = (&ColumnSummary, ColumnUse<'_>)> {
        self.columns.iter().map(|column| {
            let used = match &column.role {
                Role::Input(encoding) => ColumnUse::Inputs(encoding.names(&column.summary.name)),
                Role::LeftOut(reason) => ColumnUse::LeftOut(reason),
                Role::Target => ColumnUse::Target,
                Role::Weights => ColumnUse::Weights,
            };
            (&column.summary, used)
        })
    }

    /// Each column that becomes inputs, by name, with how it does.
    pub fn encodings(&self) -> impl Iterator<Item = (&str, &Encoding)> {
        self.inputs().map(|(column, encoding)| (self.columns[column].summary.name.as_str(), encoding))
    }

    /// Rows that were learnt from.
    pub fn training_rows(&self) -> usize {
        self.training_rows
    }

    /// For the user: columns left out and why, rows passed over, levels put together.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where in `table` each input is, in their order.
    fn places(&self, table: &Table) -> Result<Vec<(usize, &Encoding)>, PipelineError> {
        let by_name = self.has_header && table.has_header();
        let place = |index: usize| match by_name {
            true => table.names().iter().position(|name| *name == self.columns[index].summary.name),
            false => (index < table.columns()).then_some(index),
        };
        let missing: Vec<&str> =
            self.inputs().filter(|(index, _)| place(*index).is_none()).map(|(index, _)| self.name(index)).collect();
        if missing.is_empty() {
            return Ok(self.inputs().filter_map(|(index, encoding)| Some((place(index)?, encoding))).collect());
        }
        Err(PipelineError::MissingColumns {
            table: table.name().to_string(),
            missing: shortened(&missing),
            found: shortened(table.names()),
        })
    }

    fn name(&self, column: usize) -> &str {
        &self.columns[column].summary.name
    }

    fn inputs(&self) -> impl Iterator<Item = (usize, &Encoding)> {
        self.columns.iter().enumerate().filter_map(|(index, column)| match &column.role {
            Role::Input(encoding) => Some((index, encoding)),
            _ => None,
        })
    }

    fn encode(&self, table: &Table, rows: &[u32], places: &[Option<usize>], notes: &mut Vec<String>) -> Features {
        let width = self.width();
        let mut values = vec![0.0; rows.len() * width];
        let mut offset = 0;
        for (index, encoding) in self.inputs() {
            let name = &self.columns[index].summary.name;
            if let Some(column) = places[index] {
                let surprises = encoding.encode(table, column, rows, &mut values, (width, offset));
                if let Some((text, line)) = surprises.example {
                    let what = match encoding {
                        Encoding::Category { .. } => "categories not seen in training",
                        _ => "values that cannot be read as in training and count as missing",
                    };
                    let count = surprises.unknown;
                    notes.push(format!("column `{name}`: {count} {what}, such as `{text}` in line {line}"));
                }
                if surprises.missing > 0 {
                    let count = surprises.missing;
                    notes.push(format!("column `{name}`: {count} values are missing; none was in training"));
                }
            }
            offset += encoding.width();
        }
        Features::F32(values)
    }

    /// The column of `table` for each column of training, and notes on those without use.
    fn match_columns(
        &self,
        table: &Table,
        with_targets: bool,
    ) -> Result<(Vec<Option<usize>>, Vec<String>), PipelineError> {
        if self.has_header && table.has_header() {
            return self.match_names(table, with_targets);
        }
        let all = self.columns.len();
        let is_target = |index: usize| self.targets.contains(&index);
        let is_weight = |index: usize| self.weights == Some(index);
        // All columns; without the weights; without the targets; without both.
        let kept = [(true, true), (true, false), (false, true), (false, false)]
            .into_iter()
            .filter(|(targets, _)| *targets || !with_targets)
            .map(|(targets, weights)| {
                (0..all).filter(move |index| (targets || !is_target(*index)) && (weights || !is_weight(*index)))
            })
            .map(Iterator::collect::<Vec<usize>>)
            .find(|kept| kept.len() == table.columns());
        let Some(kept) = kept else {
            let inputs = all - self.targets.len() - usize::from(self.weights.is_some());
            let weights = if self.weights.is_some() { ", 1 of sample weights" } else { "" };
            let advice = if with_targets {
                "give the same columns in the same order".to_string()
            } else {
                format!("give the same columns in the same order, or the {inputs} inputs alone")
            };
            return Err(PipelineError::ColumnCount {
                table: table.name().to_string(),
                found: table.columns(),
                expected: all,
                roles: format!("{inputs} inputs, {} to be predicted{weights}", self.targets.len()),
                advice,
            });
        };
        let mut places = vec![None; all];
        for (place, index) in kept.into_iter().enumerate() {
            places[index] = Some(place);
        }
        Ok((places, Vec::new()))
    }

    fn match_names(
        &self,
        table: &Table,
        with_targets: bool,
    ) -> Result<(Vec<Option<usize>>, Vec<String>), PipelineError> {
        let place = |column: &Column| table.names().iter().position(|name| *name == column.summary.name);
        let places: Vec<Option<usize>> = self.columns.iter().map(place).collect();
        let missing: Vec<&str> = self
            .columns
            .iter()
            .zip(&places)
            .filter(|(column, place)| match column.role {
                Role::Input(_) => place.is_none(),
                Role::Target => place.is_none() && with_targets,
                Role::LeftOut(_) | Role::Weights => false,
            })
            .map(|(column, _)| column.summary.name.as_str())
            .collect();
        if !missing.is_empty() {
            return Err(PipelineError::MissingColumns {
                table: table.name().to_string(),
                missing: shortened(&missing),
                found: shortened(table.names()),
            });
        }
        let known = |name: &String| self.columns.iter().any(|column| column.summary.name == *name);
        let further: Vec<&String> = table.names().iter().filter(|name| !known(name)).collect();
        let mut notes = Vec::new();
        if !further.is_empty() {
            notes.push(format!(
                "{} has columns that the model does not know and does not use: {}",
                table.name(),
                shortened(&further)
            ));
        }
        Ok((places, notes))
    }
}

fn sample_weights(table: &Table, column: usize, rows: &[u32]) -> Result<Vec<f32>, PipelineError> {
    let weight = |row: &u32| {
        let text = table.cell(*row as usize, column);
        let weight = parse_number(text, table.decimal_comma()).map(|weight| weight as f32);
        weight.filter(|weight| weight.is_finite() && *weight >= 0.0).ok_or_else(|| PipelineError::Weight {
            table: table.name().to_string(),
            line: table.line(*row as usize),
            column: table.names()[column].clone(),
            text: text.to_string(),
        })
    };
    rows.iter().map(weight).collect()
}

#[cfg(test)]
mod tests;
