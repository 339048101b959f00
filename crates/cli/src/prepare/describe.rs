//! Columns and classes in a few words.

use pellucid::data::Task;
use pellucid::data::pipeline::{ColumnSummary, ColumnUse, Pipeline};

use super::Rows;
use crate::format::{count, number, percent, shorten};
use crate::report::ColumnRow;

/// A line for each column of a table: what it holds in the training rows, and what is made of it.
pub fn column_rows(pipeline: &Pipeline) -> Vec<ColumnRow> {
    let rows = pipeline.training_rows();
    let line = |(summary, used): (&ColumnSummary, ColumnUse<'_>)| ColumnRow {
        name: summary.name.clone(),
        kind: match used {
            ColumnUse::Inputs(_) => summary.column_type.name().to_string(),
            ColumnUse::LeftOut(_) => format!("{} (left out)", summary.column_type.name()),
            ColumnUse::Target => "target".to_string(),
            ColumnUse::Weights => "weights".to_string(),
        },
        missing: summary.missing as u64,
        summary: summary_text(summary, rows),
    };
    pipeline.columns().map(line).collect()
}

/// `38.58 ± 13.64, 17…90`, `9 values, most often Private (69.7 %)`, `2019-01-01…2023-12-31`.
pub fn summary_text(summary: &ColumnSummary, rows: usize) -> String {
    if let Some(figures) = &summary.numbers {
        let range = format!("{}…{}", plain(figures.min), plain(figures.max));
        return format!("{} ± {}, {range}", number(figures.mean), number(figures.std));
    }
    if let Some((first, last)) = &summary.dates {
        return format!("{first}…{last}");
    }
    let Some((value, times)) = summary.top.first() else { return "no value".to_string() };
    let share = *times as f64 / rows.saturating_sub(summary.missing).max(1) as f64;
    let often = format!("most often {} ({})", shorten(value, 24, true), percent(share));
    format!("{} value{}, {often}", count(summary.distinct as u64), if summary.distinct == 1 { "" } else { "s" })
}

/// A value as it stands in the file, if it is whole or short.
fn plain(value: f64) -> String {
    let short = value.to_string();
    if short.len() <= 8 { short } else { number(value) }
}

/// Rows of each class or label in a part of the data; nothing for regression.
pub fn class_shares(task: &Task, rows: &Rows) -> Vec<(String, usize)> {
    let names = task.class_names();
    let mut counts = vec![0; names.len()];
    let width = task.target_width();
    for &row in &rows.rows {
        let targets = &rows.data.targets[row as usize * width..][..width];
        match task {
            Task::Binary { .. } | Task::Multiclass { .. } => counts[targets[0] as usize] += 1,
            Task::Multilabel { .. } => {
                counts.iter_mut().zip(targets).for_each(|(count, target)| *count += usize::from(*target == 1.0));
            }
            Task::Regression { .. } | Task::Tokens { .. } => {}
        }
    }
    names.iter().cloned().zip(counts).collect()
}
