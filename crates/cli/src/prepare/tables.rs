//! Tables: reading, splitting, and learning how columns become inputs.

use std::path::Path;
use std::sync::Arc;

use pellucid::data::{InputColumns, Pipeline, PipelineError, Table, TableOptions, TaskKind};
use pellucid::model::Preprocessing;
use pellucid::suggest::nearest;

use super::labelled::Labelled;
use super::{Prepared, Rows, column_rows};
use crate::error::{Failure, Outcome};
use crate::format::count;
use crate::settings::{Settings, Validation, YesNo};

/// How files are to be read, from flags; `known` says how a model's files are read.
///
/// # Errors
/// A delimiter of more than one character.
pub fn table_options(delimiter: Option<&str>, header: Option<YesNo>, known: TableOptions) -> Outcome<TableOptions> {
    let delimiter = delimiter.map(delimiter_byte).transpose()?;
    Ok(TableOptions { delimiter, header: header.map(|header| header.0), ..known })
}

fn delimiter_byte(text: &str) -> Outcome<u8> {
    let named = [("tab", b'\t'), ("\\t", b'\t'), ("comma", b','), ("semicolon", b';'), ("space", b' '), ("pipe", b'|')];
    if let Some((_, byte)) = named.iter().find(|(name, _)| *name == text) {
        return Ok(*byte);
    }
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(Failure::new(format!(
            "--delimiter is one ASCII character, or tab, comma, semicolon, space or pipe; got {text:?}"
        ))),
    }
}

/// Reads a file as the settings say.
///
/// # Errors
/// A file that is no table; with its place.
pub fn read_table(path: &Path, settings: &Settings) -> Outcome<Table> {
    let mut known = TableOptions::default();
    if !settings.missing.is_empty() {
        known.missing = settings.missing.clone();
    }
    Ok(Table::read(path, &table_options(settings.delimiter.as_deref(), settings.header, known)?)?)
}

/// The task of that name.
pub(super) fn task_kind(name: &str) -> Outcome<TaskKind> {
    TaskKind::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = TaskKind::ALL.iter().map(|kind| kind.name()).collect();
        let near = nearest(name, names.iter().copied()).map_or(String::new(), |near| format!("; did you mean {near}?"));
        Failure::new(format!("there is no task {name:?}{near}; there are {}", names.join(", ")))
    })
}

/// Refuses settings that only other kinds of data know.
fn refuse_foreign(settings: &Settings) -> Outcome<()> {
    if let Some(flag) = settings.picture_setting() {
        return Err(Failure::new(format!("{flag} is for pictures in folders and archives; this is a table")));
    }
    if settings.data_dir.is_some() {
        return Err(Failure::new(
            "--data-dir is the folder with the files of mnist, fashion-mnist or cifar10; this is a table",
        ));
    }
    Ok(())
}

/// Splits the table and learns from the training part; what columns become is that of a model, if it is known.
pub(super) fn prepare(
    table: Table,
    name: &str,
    description: String,
    settings: &Settings,
    known: Option<&Preprocessing>,
) -> Outcome<Prepared> {
    refuse_foreign(settings)?;
    let mut notes = Vec::new();
    let mut labelled = Labelled::new(&table, settings, "predicted", &mut notes)?;
    labelled.options.inputs = match known {
        Some(Preprocessing::Table { pipeline }) => InputColumns::Known(pipeline.clone()),
        Some(_) => InputColumns::AsTheyAre,
        None => InputColumns::Learnt,
    };
    let pipeline = Pipeline::fit(&table, &labelled.options, &labelled.split.train).map_err(|error| match error {
        PipelineError::NoInputs { .. } => {
            Failure::new(format!("{error}; a column of texts is learnt with --text COLUMN"))
        }
        error => error.into(),
    })?;
    notes.extend(pipeline.notes().iter().cloned());
    notes.extend(labelled.left_out(table.rows()));
    let transformed = pipeline.transform(&table, &labelled.rows)?;
    notes.extend(transformed.notes);
    let [train, mut validation, mut test] = labelled.parts(table, transformed.dataset);
    let mut further = |path: &Path| further_rows(path, settings, &pipeline, &mut notes);
    if let Some(Validation::File(path)) = &settings.validation {
        validation = further(path)?;
    }
    if let Some(path) = &settings.test {
        test = further(path)?;
    }
    let split = labelled.split_words(settings, &validation, &test);
    notes.extend(labelled.too_few(settings, &test));
    let columns = column_rows(&pipeline);
    let targets = pipeline.target_names().into_iter().map(str::to_string).collect();
    let task = pipeline.task().clone();
    Ok(Prepared {
        name: name.to_string(),
        description,
        targets,
        shares: labelled.shares,
        split,
        notes,
        columns,
        ..Prepared::of(task, Preprocessing::Table { pipeline: Box::new(pipeline) }, [train, validation, test])
    })
}

/// The rows of another file that can be scored.
fn further_rows(path: &Path, settings: &Settings, pipeline: &Pipeline, notes: &mut Vec<String>) -> Outcome<Rows> {
    let options = table_options(settings.delimiter.as_deref(), settings.header, pipeline.table_options())?;
    let table = Table::read(path, &options)?;
    scored_rows(table, pipeline, notes)
}

/// The rows of `table` that have an answer, as the pipeline makes them.
///
/// # Errors
/// Columns that do not match, or no row with an answer.
pub fn scored_rows(table: Table, pipeline: &Pipeline, notes: &mut Vec<String>) -> Outcome<Rows> {
    let labelled = pipeline.labelled_rows(&table)?;
    if labelled.is_empty() {
        return Err(Failure::new(format!("{} has no row with a value in every target column", table.name())));
    }
    if labelled.len() < table.rows() {
        let left = count((table.rows() - labelled.len()) as u64);
        notes.push(format!("{}: {left} rows without a target are left out", table.name()));
    }
    transformed(Arc::new(table), pipeline, &labelled, notes)
}

/// These rows of a table, as the pipeline makes them.
///
/// # Errors
/// Columns that do not match, or an answer that makes no sense.
pub fn transformed(table: Arc<Table>, pipeline: &Pipeline, rows: &[u32], notes: &mut Vec<String>) -> Outcome<Rows> {
    let transformed = pipeline.transform(&table, rows)?;
    notes.extend(transformed.notes.into_iter().map(|note| format!("{}: {note}", table.name())));
    let positions = (0..rows.len() as u32).collect();
    Ok(Rows { data: Arc::new(transformed.dataset), rows: positions, cells: Some((table, rows.into())) })
}
