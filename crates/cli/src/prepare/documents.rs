//! Documents to be told apart: tables with a column of text.

use std::path::Path;
use std::sync::Arc;

use pellucid::data::pipeline::labelled_rows;
use pellucid::data::text::{DocumentPlan, TokenKind};
use pellucid::data::{FitOptions, Table};
use pellucid::model::Preprocessing;

use super::labelled::Labelled;
use super::tables::read_table;
use super::{Prepared, Rows, images};
use crate::error::{Failure, Outcome};
use crate::format::count;
use crate::settings::{Settings, Validation};

/// Tokens of a document that are read at most, where nothing is said.
const LENGTH: usize = 256;
/// Words that are known at most, where nothing is said.
const WORDS: usize = 20_000;

/// Reads and splits the table, and learns tokens from the training part.
pub(super) fn load(path: &Path, column: &str, settings: &Settings) -> Outcome<Prepared> {
    let name = path.display().to_string();
    refuse(settings, &name)?;
    let table = read_table(path, settings)?;
    let kind = match &settings.tokens {
        Some(kind) => kind.parse().map_err(|error| Failure::new(format!("--tokens: {error}")))?,
        None => TokenKind::Words(WORDS),
    };
    let mut notes = Vec::new();
    let labelled = Labelled::new(&table, settings, "said of each text", &mut notes)?;
    let learnt = &labelled.split.train;
    let most = settings.window.unwrap_or(LENGTH);
    let plan = DocumentPlan::learn(&table, column, &labelled.options, learnt, (kind, most))?;
    let cut = plan.cut(&table, learnt)?;
    if cut > 0 {
        let (cut, all) = (count(cut as u64), count(learnt.len() as u64));
        notes.push(format!(
            "{cut} of {all} training texts have more than {} tokens and are cut there (--window)",
            plan.length
        ));
    }
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
    let tokens = plan.tokenizer.describe();
    let description = format!("{name}: texts of column {}, {tokens}, {} of each at most", plan.column, plan.length);
    Ok(Prepared {
        name: super::locate::stem(path),
        description,
        task: plan.task.clone(),
        targets: vec![plan.target.clone()],
        divided: Some(super::Divided { tokens: kind, window: plan.length }),
        preprocessing: Preprocessing::Documents { plan },
        train,
        validation,
        test,
        shares: labelled.shares,
        pictured: None,
        forecasting: None,
        split,
        notes,
        columns: Vec::new(),
        seconds: 0.0,
    })
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

fn refuse(settings: &Settings, name: &str) -> Outcome<()> {
    if let Some(flag) = settings.picture_setting() {
        return Err(Failure::new(format!("{flag} is for pictures, not for the texts in {name}")));
    }
    if settings.target.len() > 1 {
        return Err(Failure::new("one --target is said of a text; give one"));
    }
    let given = [("--weights", settings.weights.is_some()), ("--carry", settings.carry.is_some())];
    if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(Failure::new(format!("{flag} does not go with --text; drop it")));
    }
    if settings.window == Some(0) {
        return Err(Failure::new("--window is a number of tokens from 1 on"));
    }
    images::refuse_augmentation(settings)
}
