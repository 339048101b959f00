//! Sequences to be told apart: tables in long form.

use std::path::Path;
use std::sync::Arc;

use pellucid::data::Table;
use pellucid::data::sequences::{SequenceOptions, SequencePlan, Sequences};
use pellucid::model::Preprocessing;

use super::labelled::Labelled;
use super::tables::read_table;
use super::{Prepared, Rows, images};
use crate::error::{Failure, Outcome};
use crate::format::count;
use crate::settings::{Settings, Validation};

/// Steps of a sequence that are read at most, where nothing is said.
const LENGTH: usize = 512;

/// Reads and splits the sequences of a table, and learns scales from the training part; or takes columns, scales and length of a
/// model, if they are known.
pub(super) fn load(path: &Path, settings: &Settings, known: Option<&Preprocessing>) -> Outcome<Prepared> {
    let name = path.display().to_string();
    refuse(settings, &name)?;
    let table = read_table(path, settings)?;
    let mut notes = Vec::new();
    let target = settings.target.first().cloned().unwrap_or_else(|| {
        let last = table.names()[table.columns() - 1].clone();
        notes.push(format!("the last column, `{last}`, is said of each sequence (--target chooses another)"));
        last
    });
    let known = match known {
        Some(Preprocessing::Sequences { plan }) => Some(plan),
        _ => None,
    };
    let columns = known.map_or(Vec::new(), |known| known.options(false).columns);
    let id = settings.id.clone().unwrap_or_default();
    let options = SequenceOptions { id, time: settings.time.clone(), target: Some(target), columns };
    let sequences = Sequences::read(&table, &options)?;
    if !sequences.left_out.is_empty() {
        notes.push(format!("columns that hold no numbers are left out: {}", sequences.left_out.join(", ")));
    }
    let answers = Settings { target: vec![sequences.table.names()[1].clone()], time: None, ..settings.clone() };
    let labelled = Labelled::new(&sequences.table, &answers, "", &mut notes)?;
    let learnt = &labelled.split.train;
    let most = settings.window.unwrap_or(LENGTH);
    let mut plan = SequencePlan::learn(&sequences, &labelled.options, learnt, most)?;
    if let Some(known) = known {
        if known.columns.iter().any(|column| column.name == plan.target) {
            let message = "is an input of the model of --from, so it cannot be predicted; give another --target";
            return Err(Failure::new(format!("column {} {message}", plan.target)));
        }
        plan = SequencePlan { columns: known.columns.clone(), length: known.length, ..plan };
    }
    let cut = plan.cut(&sequences, learnt);
    if cut > 0 {
        let (cut, all) = (count(cut as u64), count(learnt.len() as u64));
        let length = plan.length;
        notes.push(format!(
            "{cut} of {all} training sequences have more than {length} steps and are cut there (--window)"
        ));
    }
    notes.extend(labelled.left_out(sequences.table.rows()));
    let data = plan.dataset(&sequences, &labelled.rows, true)?;
    let [train, mut validation, mut test] = labelled.parts(sequences.table, data);
    if let Some(Validation::File(path)) = &settings.validation {
        validation = scored_sequences(&read_table(path, settings)?, &plan)?;
    }
    if let Some(path) = &settings.test {
        test = scored_sequences(&read_table(path, settings)?, &plan)?;
    }
    notes.extend(labelled.too_few(settings, &test));
    let split = labelled.split_words(settings, &validation, &test);
    let (columns, length) = (plan.columns.len(), plan.length);
    let values = if columns == 1 { "value".to_string() } else { format!("{columns} values") };
    Ok(Prepared {
        name: super::locate::stem(path),
        description: format!("{name}: sequences of column {}, {values} a step, {length} steps at most", plan.id),
        targets: vec![plan.target.clone()],
        shares: labelled.shares,
        split,
        notes,
        ..Prepared::of(plan.task.clone(), Preprocessing::Sequences { plan }, [train, validation, test])
    })
}

/// The sequences of a table that have an answer, as the model takes them.
///
/// # Errors
/// Columns that are not there, or no sequence with an answer.
pub fn scored_sequences(table: &Table, plan: &SequencePlan) -> Outcome<Rows> {
    let sequences = Sequences::read(table, &plan.options(true))?;
    let answered: Vec<u32> =
        (0..sequences.table.rows() as u32).filter(|row| !sequences.table.is_missing(*row as usize, 1)).collect();
    if answered.is_empty() {
        return Err(Failure::new(format!("{} has no sequence with a value in column {}", table.name(), plan.target)));
    }
    let data = Arc::new(plan.dataset(&sequences, &answered, true)?);
    let rows = (0..answered.len() as u32).collect();
    Ok(Rows { data, rows, cells: Some((Arc::new(sequences.table), Arc::from(answered))) })
}

fn refuse(settings: &Settings, name: &str) -> Outcome<()> {
    if let Some(flag) = settings.picture_setting() {
        return Err(Failure::new(format!("{flag} is for files of pictures or texts; {name} is a table")));
    }
    if settings.target.len() > 1 {
        return Err(Failure::new("one --target is said of a sequence; give one"));
    }
    if settings.weights.is_some() {
        return Err(Failure::new("--weights does not go with --id; drop it"));
    }
    if settings.window == Some(0) {
        return Err(Failure::new("--window is a number of steps from 1 on"));
    }
    images::refuse_augmentation(settings)
}
