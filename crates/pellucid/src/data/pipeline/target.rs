//! Targets: which task a column asks for, and its values as the network learns them.

use std::collections::HashMap;

use super::column::{Content, Profile, counted, mean_and_std};
use super::error::{PipelineError, shortened};
use crate::data::table::{Table, parse_boolean, parse_number};
use crate::data::task::{TargetScaling, Task, TaskKind};

/// Whole numbers with at most this many different values are classes …
const MOST_CLASSES: usize = 20;
/// … where each comes at least this often on average (two values always are).
const ROWS_PER_CLASS: usize = 5;

/// Learns the task from the training rows; `kind` where it is set.
pub(in crate::data) fn learn(
    table: &Table,
    columns: &[usize],
    kind: Option<TaskKind>,
    rows: &[u32],
) -> Result<Task, PipelineError> {
    let profiles: Vec<Profile> = columns.iter().map(|column| Profile::of(table, *column, rows)).collect();
    let name = |i: usize| table.names()[columns[i]].clone();
    let kind = match kind {
        Some(kind) => kind,
        None => infer(&profiles),
    };
    let wrong = |i: usize, needed| PipelineError::TargetType {
        column: name(i),
        task: kind.name().to_string(),
        found: describe(&profiles[i]),
        needed,
    };
    match kind {
        TaskKind::Regression => {
            if let Some(i) = profiles.iter().position(|profile| !matches!(profile.content, Content::Numbers { .. })) {
                return Err(wrong(i, "numbers are"));
            }
            let mut targets = Vec::new();
            for (i, profile) in profiles.iter().enumerate() {
                let Content::Numbers { sorted, words } = &profile.content else { continue };
                if let Some((word, line)) = words.first() {
                    return Err(PipelineError::TargetValue {
                        table: table.name().to_string(),
                        line: *line,
                        column: name(i),
                        text: word.to_string(),
                        needed: "a number",
                    });
                }
                let (mean, std) = mean_and_std(sorted.iter().copied());
                let std = if std > 0.0 && std.is_finite() { std } else { 1.0 };
                targets.push(TargetScaling { name: name(i), mean, std, log: false });
            }
            Ok(Task::Regression { targets })
        }
        TaskKind::Tokens => Err(wrong(0, "a text, not a table, is")),
        TaskKind::Multilabel => match profiles.iter().position(|profile| !zero_or_one(profile)) {
            Some(i) => Err(wrong(i, "0 and 1 (or yes and no) are")),
            None => Ok(Task::Multilabel { labels: (0..columns.len()).map(name).collect() }),
        },
        TaskKind::Binary | TaskKind::Multiclass => {
            if columns.len() > 1 {
                return Err(wrong(1, "a single column with the classes is"));
            }
            let distinct = profiles[0].distinct();
            let number = matches!(profiles[0].content, Content::Numbers { .. });
            if !number && distinct > MOST_CLASSES && distinct * 2 > rows.len() {
                return Err(PipelineError::TooManyClasses { column: name(0), distinct, rows: rows.len() });
            }
            let classes = classes(table, columns[0], rows);
            let count = |needed| {
                let shown = shortened(&classes);
                Err(PipelineError::ClassCount { column: name(0), found: classes.len(), classes: shown, needed })
            };
            match (kind, <[String; 2]>::try_from(classes.clone())) {
                (TaskKind::Binary, Ok(classes)) => Ok(Task::Binary { classes }),
                (TaskKind::Binary, Err(_)) => count("two are"),
                _ if classes.len() < 2 => count("at least two are"),
                _ => Ok(Task::Multiclass { classes }),
            }
        }
    }
}

/// Several columns are labels where they hold 0 and 1 only, else numbers. One column holds classes where it has text,
/// truth values, or few different whole numbers; else numbers.
fn infer(profiles: &[Profile]) -> TaskKind {
    if profiles.len() > 1 {
        return if profiles.iter().all(zero_or_one) { TaskKind::Multilabel } else { TaskKind::Regression };
    }
    let profile = &profiles[0];
    let distinct = profile.distinct();
    if let Content::Numbers { sorted, words } = &profile.content {
        let whole = words.is_empty() && sorted.iter().all(|value| value.trunc() == *value);
        let few = distinct == 2 || (distinct <= MOST_CLASSES && distinct * ROWS_PER_CLASS <= profile.present);
        if !(whole && few) {
            return TaskKind::Regression;
        }
    }
    if distinct > 2 { TaskKind::Multiclass } else { TaskKind::Binary }
}

fn zero_or_one(profile: &Profile) -> bool {
    match &profile.content {
        Content::Numbers { sorted, words } => words.is_empty() && sorted.iter().all(|x| *x == 0.0 || *x == 1.0),
        Content::Booleans { .. } => true,
        _ => false,
    }
}

fn describe(profile: &Profile) -> String {
    match &profile.content {
        Content::Empty => "no value".to_string(),
        Content::Numbers { .. } => format!("numbers ({} different)", profile.distinct()),
        Content::Booleans { .. } => "truth values".to_string(),
        Content::Dates { .. } => "dates".to_string(),
        Content::Texts(counts) => {
            let texts: Vec<&str> = counts.iter().take(3).map(|(text, _)| *text).collect();
            format!("text ({})", shortened(&texts))
        }
    }
}

/// The classes of a column: numbers ascending where all are numbers (`1.0` is `1`), else in text order. A label that
/// is another one with a full stop at its end is that one.
fn classes(table: &Table, column: usize, rows: &[u32]) -> Vec<String> {
    let texts = counted(rows.iter().filter_map(|row| table.value(*row as usize, column)));
    let numbers: Option<Vec<f64>> = texts.iter().map(|(text, _)| parse_number(text, table.decimal_comma())).collect();
    if let Some(mut numbers) = numbers {
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        return numbers.into_iter().map(plain).collect();
    }
    let mut labels: Vec<&str> = texts.into_iter().map(|(text, _)| text).collect();
    labels.sort_unstable();
    let merged = labels.iter().filter(|label| {
        let trimmed = label.strip_suffix('.');
        trimmed.is_none_or(|trimmed| labels.binary_search(&trimmed).is_err())
    });
    merged.map(|label| label.to_string()).collect()
}

/// The number as text; -0 is 0.
fn plain(number: f64) -> String {
    if number == 0.0 { "0".to_string() } else { number.to_string() }
}

/// The targets of `rows`, `[rows, target_width]`.
pub(in crate::data) fn encode(
    task: &Task,
    table: &Table,
    columns: &[usize],
    rows: &[u32],
) -> Result<Vec<f32>, PipelineError> {
    let mut targets = Vec::with_capacity(rows.len() * columns.len());
    let known: HashMap<&str, usize> =
        task.class_names().iter().enumerate().map(|(class, name)| (name.as_str(), class)).collect();
    let comma = table.decimal_comma();
    for &row in rows {
        for (i, &column) in columns.iter().enumerate() {
            let place = || (table.name().to_string(), table.line(row as usize), table.names()[column].clone());
            let Some(text) = table.value(row as usize, column) else {
                let (table, line, column) = place();
                return Err(PipelineError::MissingTarget { table, line, column });
            };
            let (target, needed) = match task {
                Task::Binary { .. } | Task::Multiclass { .. } => {
                    let Some(class) = class_of(&known, text, comma) else {
                        let (table, line, column) = place();
                        let (label, known) = (text.to_string(), shortened(task.class_names()));
                        return Err(PipelineError::UnknownClass { table, line, column, label, known });
                    };
                    (Some(class as f32), "a class")
                }
                Task::Multilabel { .. } => (label(text, comma), "0 or 1"),
                Task::Tokens { .. } => (None, "no table"),
                Task::Regression { targets } => {
                    (parse_number(text, comma).map(|number| targets[i].standardise(number)), "a number")
                }
            };
            let Some(target) = target else {
                let (table, line, column) = place();
                return Err(PipelineError::TargetValue { table, line, column, text: text.to_string(), needed });
            };
            targets.push(target);
        }
    }
    Ok(targets)
}

/// The class that `text` names: exactly, as the same number written otherwise, or but for a full stop at the end.
fn class_of(known: &HashMap<&str, usize>, text: &str, comma: bool) -> Option<usize> {
    if let Some(class) = known.get(text) {
        return Some(*class);
    }
    if let Some(class) = parse_number(text, comma).and_then(|number| known.get(plain(number).as_str())) {
        return Some(*class);
    }
    let bare = text.strip_suffix('.').unwrap_or(text);
    known.get(bare).or_else(|| known.get(format!("{bare}.").as_str())).copied()
}

fn label(text: &str, comma: bool) -> Option<f32> {
    match parse_number(text, comma) {
        Some(number) => (number == 0.0 || number == 1.0).then_some(number as f32),
        None => parse_boolean(text).map(|value| f32::from(u8::from(value))),
    }
}
