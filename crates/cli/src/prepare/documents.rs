//! Documents to be told apart: tables with a column of text, or folders of texts.

use std::path::Path;
use std::sync::Arc;

use pellucid::data::files::Files;
use pellucid::data::pipeline::labelled_rows;
use pellucid::data::text::{DocumentPlan, TextFiles, TokenKind, TokenSource, Tokenizer};
use pellucid::data::{FitOptions, Table, Task};
use pellucid::model::Preprocessing;

use super::folders::{self, InFolders, scored_part};
use super::labelled::Labelled;
use super::pictures::memory_bytes;
use super::tables::read_table;
use super::texts::kind_of;
use super::{Prepared, Rows, images, texts};
use crate::error::{Failure, Outcome};
use crate::format::count;
use crate::settings::{Memory, Settings, Validation};

/// Tokens of a document that are read at most, where nothing is said.
pub const LENGTH: usize = 256;
/// Words that are known at most, where nothing is said.
const WORDS: usize = 20_000;

/// Names of the columns that files of text are given.
const COLUMNS: [&str; 2] = ["text", "class"];

/// Reads and splits the table, and learns tokens from the training part.
/// Or takes tokens and length that are known.
pub(super) fn load(path: &Path, column: &str, settings: &Settings, known: Option<&Preprocessing>) -> Outcome<Prepared> {
    let name = path.display().to_string();
    if let Some(flag) = settings.picture_setting() {
        return Err(Failure::new(format!("{flag} is for files of pictures or texts; {name} is a table")));
    }
    let (source, most) = tokens(settings, known)?;
    let kind = kind_of(&source);
    if settings.target.len() > 1 {
        return Err(Failure::new("one --target is said of a text; give one"));
    }
    if settings.weights.is_some() {
        return Err(Failure::new("--weights does not go with --text; drop it"));
    }
    let table = read_table(path, settings)?;
    let mut notes = Vec::new();
    let labelled = Labelled::new(&table, settings, "said of each text", &mut notes)?;
    let learnt = &labelled.split.train;
    let mut plan = DocumentPlan::learn(&table, column, &labelled.options, learnt, (source, most))?;
    keep_length(&mut plan, known);
    notes.extend(cut_note(&plan, &table, learnt)?);
    notes.extend(labelled.left_out(table.rows()));
    let data = plan.dataset(&table, &labelled.rows, true)?;
    let [train, mut validation, mut test] = labelled.parts(table, data);
    if let Some(Validation::File(path)) = &settings.validation {
        validation = scored_documents(read_table(path, settings)?, &plan)?;
    }
    if let Some(path) = &settings.test {
        test = scored_documents(read_table(path, settings)?, &plan)?;
    }
    notes.extend(labelled.too_few(settings, &test));
    let split = labelled.split_words(settings, &validation, &test);
    Ok(Prepared {
        name: super::locate::stem(path),
        description: format!("{name}: texts of column {}, {}", plan.column, words(&plan)),
        targets: vec![plan.target.clone()],
        shares: labelled.shares,
        split,
        notes,
        ..prepared(plan, kind, [train, validation, test])
    })
}

/// Reads the texts among the files of a folder or archive, splits them, and learns tokens from the training part.
pub(super) fn load_files(files: Files, settings: &Settings, known: Option<&Preprocessing>) -> Outcome<Prepared> {
    let path = files.root().to_path_buf();
    folders::refuse(settings, &path)?;
    if let Some(flag) = settings.picture_setting().filter(|flag| *flag != "--skip-bad") {
        return Err(Failure::new(format!("{flag} is for pictures, not for the texts in {}", path.display())));
    }
    let (source, most) = tokens(settings, known)?;
    let kind = kind_of(&source);
    let texts = TextFiles::load(files, COLUMNS, None, memory_bytes(settings.memory), settings.skip_bad)?;
    let task = folders::task(&texts.classes, "texts", settings)?;
    let TextFiles { table, classes, labels, parts, mut notes } = texts;
    let name = path.display().to_string();
    let in_folders = InFolders { what: "text", classes: &classes, labels: &labels, parts: &parts, name: &name };
    let divided = in_folders.divide(settings, &mut notes)?;
    let learnt = &divided.split.train;
    let mut plan = DocumentPlan::with_task(&table, [0, 1], task, learnt, (source, most))?;
    keep_length(&mut plan, known);
    notes.extend(cut_note(&plan, &table, learnt)?);
    let all: Vec<u32> = (0..table.rows() as u32).collect();
    let data = Arc::new(plan.dataset(&table, &all, true)?);
    let cells = Some((Arc::new(table), Arc::from(all)));
    let part = |rows: Vec<u32>| Rows { data: data.clone(), rows, cells: cells.clone() };
    let parts = [divided.split.train, divided.split.validation, divided.split.test].map(part);
    Ok(Prepared {
        name: folders::name(&path),
        description: format!("{name}: texts in files, {}", words(&plan)),
        shares: divided.shares,
        split: divided.how,
        notes,
        ..prepared(plan, kind, parts)
    })
}

/// The length of a model, if it is known, however short the documents are.
fn keep_length(plan: &mut DocumentPlan, known: Option<&Preprocessing>) {
    if let Some(Preprocessing::Documents { plan: known }) = known {
        plan.length = known.length;
    }
}

/// What all documents have in common.
fn prepared(plan: DocumentPlan, kind: Option<TokenKind>, parts: [Rows; 3]) -> Prepared {
    let divided = Some(super::Divided { tokens: kind, window: plan.length });
    Prepared { divided, ..Prepared::of(plan.task.clone(), Preprocessing::Documents { plan }, parts) }
}

/// What tokens are and how many are read of each document.
fn words(plan: &DocumentPlan) -> String {
    format!("{}, {} of each at most", plan.tokenizer.describe(), plan.length)
}

/// That training texts are cut, if some are.
fn cut_note(plan: &DocumentPlan, table: &Table, learnt: &[u32]) -> Outcome<Option<String>> {
    let cut = plan.cut(table, learnt)?;
    let (number, all) = (count(cut as u64), count(learnt.len() as u64));
    Ok((cut > 0).then(|| {
        format!("{number} of {all} training texts have more than {} tokens and are cut there (--window)", plan.length)
    }))
}

/// The rows of a table that have an answer, as the model takes them.
///
/// # Errors
/// Columns that are not there, or no row with an answer.
pub fn scored_documents(table: Table, plan: &DocumentPlan) -> Outcome<Rows> {
    let options = FitOptions { targets: vec![plan.target.clone()], ..FitOptions::default() };
    let labelled = labelled_rows(&table, &options)?;
    if labelled.is_empty() {
        return Err(Failure::new(format!("{} has no row with a value in column {}", table.name(), plan.target)));
    }
    let data = Arc::new(plan.dataset(&table, &labelled, true)?);
    let rows = (0..labelled.len() as u32).collect();
    Ok(Rows { data, rows, cells: Some((Arc::new(table), Arc::from(labelled.as_slice()))) })
}

/// The texts of a folder or archive that a model is measured on, and what they are: its test part if it has one.
///
/// # Errors
/// Texts that cannot be read, or classes that the model does not know.
pub fn scored_texts(
    files: Files,
    plan: &DocumentPlan,
    (memory, skip_bad): (Option<Memory>, bool),
    notes: &mut Vec<String>,
) -> Outcome<(String, Rows)> {
    let path = files.root().display().to_string();
    if !matches!(plan.task, Task::Binary { .. } | Task::Multiclass { .. }) {
        let task = plan.task.name();
        return Err(Failure::new(format!("folders are classes, but the task of the model is {task}; give a table")));
    }
    let columns = [plan.column.as_str(), plan.target.as_str()];
    let texts = TextFiles::load(files, columns, Some(plan.task.class_names()), memory_bytes(memory), skip_bad)?;
    notes.extend(texts.notes);
    let (what, rows) = scored_part(&texts.parts);
    let all: Vec<u32> = (0..texts.table.rows() as u32).collect();
    let data = Arc::new(plan.dataset(&texts.table, &all, true)?);
    let cells = Some((Arc::new(texts.table), Arc::from(all)));
    Ok((format!("{what} of {path}"), Rows { data, rows, cells }))
}

/// Where tokens come from, and how many are read of a document at most. Refuses settings that documents do not know.
fn tokens(settings: &Settings, known: Option<&Preprocessing>) -> Outcome<(TokenSource, usize)> {
    if settings.carry.is_some() {
        return Err(Failure::new(
            "--carry is for a text that is written on, not for texts that are told apart; drop it",
        ));
    }
    images::refuse_augmentation(settings)?;
    if let Some(Preprocessing::Documents { plan }) = known {
        return Ok((TokenSource::Known(plan.tokenizer.clone()), plan.length));
    }
    let source = texts::source(settings, TokenKind::Words(WORDS))?;
    let usual = match &source {
        TokenSource::Known(Tokenizer::Pretrained { tokenizer }) => tokenizer.most(),
        _ => None,
    };
    match settings.window {
        Some(0) => Err(Failure::new("--window is a number of tokens from 1 on")),
        window => Ok((source, window.or(usual).unwrap_or(LENGTH))),
    }
}
