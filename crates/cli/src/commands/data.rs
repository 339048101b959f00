//! `pellucid data`.

use pellucid::data::pipeline::ColumnUse;
use pellucid::model::Preprocessing;
use serde_json::{Value, json};

use crate::args::DataArgs;
use crate::error::Outcome;
use crate::format::{count, percent};
use crate::prepare::{Prepared, class_shares, prepare, summary_text};
use crate::say::Say;
use crate::terminal::{Align, Ink, Table};

/// Shows what the data holds, and what training would make of it.
pub fn run(arguments: &DataArgs) -> Outcome<()> {
    let say = Say::new(arguments.look);
    let prepared = prepare(&arguments.data, &arguments.settings, None, arguments.look.quiet || arguments.look.json)?;
    let rows: Vec<String> =
        prepared.parts().iter().map(|(name, rows)| format!("{} {name}", count(rows.len() as u64))).collect();
    let split = if prepared.split.is_empty() { String::new() } else { format!(" ({})", prepared.split) };
    let mut facts = vec![
        ("data".to_string(), prepared.description.clone()),
        ("rows".to_string(), format!("{}{split}", rows.join(", "))),
        ("task".to_string(), prepared.task.name().to_string()),
        ("inputs".to_string(), inputs_words(&prepared)),
    ];
    if let Some([channels, height, width]) = prepared.image_size() {
        let colours = if channels == 1 { "grey" } else { "red, green, blue" };
        facts.push(("images".to_string(), format!("{width}×{height} pixels, {colours}")));
    }
    say.result(&format!("{}\n", say.facts(&facts)))?;
    if !prepared.columns.is_empty() {
        say.result(&format!("{}\n", columns_table(&prepared, &say)))?;
    }
    let shares = class_shares(&prepared.task, &prepared.train);
    if !shares.is_empty() {
        say.result(&classes_table(&shares, prepared.train.len(), &say))?;
    }
    say.notes(&prepared.notes);
    say.json(&object(&prepared, &shares))
}

fn inputs_words(prepared: &Prepared) -> String {
    let width = count(prepared.width() as u64);
    match &prepared.preprocessing {
        Preprocessing::Table { pipeline } => {
            let used = pipeline.columns().filter(|(_, used)| matches!(used, ColumnUse::Inputs(_))).count();
            format!("{width} from {used} column{}", if used == 1 { "" } else { "s" })
        }
        _ => width,
    }
}

/// What becomes of a column, in a few words.
fn use_words(used: &ColumnUse<'_>) -> String {
    match used {
        ColumnUse::Inputs(names) if names.len() == 1 => "1 input".to_string(),
        ColumnUse::Inputs(names) => format!("{} inputs", names.len()),
        ColumnUse::LeftOut(reason) => format!("left out: {reason}"),
        ColumnUse::Target => "target".to_string(),
        ColumnUse::Weights => "row weights".to_string(),
    }
}

fn columns_table(prepared: &Prepared, say: &Say) -> String {
    let heads = [
        ("column", Align::Left),
        ("type", Align::Left),
        ("missing", Align::Right),
        ("values (training rows)", Align::Left),
        ("use", Align::Left),
    ];
    let mut table = Table::new(&heads).cutting(3);
    let Preprocessing::Table { pipeline } = &prepared.preprocessing else { return String::new() };
    for (summary, used) in pipeline.columns() {
        let missing = if summary.missing == 0 { "-".to_string() } else { count(summary.missing as u64) };
        let ink = match used {
            ColumnUse::Target | ColumnUse::Weights => Some(Ink::Strong),
            ColumnUse::LeftOut(_) => Some(Ink::Faint),
            ColumnUse::Inputs(_) => None,
        };
        let cells = [
            summary.name.clone(),
            summary.column_type.name().to_string(),
            missing,
            summary_text(summary, pipeline.training_rows()),
            use_words(&used),
        ];
        table.inked_row(cells.map(|cell| (cell, ink)));
    }
    table.draw(&say.screen)
}

fn classes_table(shares: &[(String, usize)], rows: usize, say: &Say) -> String {
    const MOST: usize = 40;
    let mut table = Table::new(&[("class", Align::Left), ("training rows", Align::Right), ("share", Align::Right)]);
    for (name, class_rows) in shares.iter().take(MOST) {
        let share = percent(*class_rows as f64 / rows.max(1) as f64);
        table.row([name.clone(), count(*class_rows as u64), share]);
    }
    let mut out = table.draw(&say.screen);
    if shares.len() > MOST {
        out.push_str(&format!("and {} further classes\n", shares.len() - MOST));
    }
    out
}

fn object(prepared: &Prepared, shares: &[(String, usize)]) -> Value {
    let rows = prepared.parts().into_iter().map(|(name, rows)| (name.to_string(), json!(rows.len())));
    let columns: Vec<Value> = match &prepared.preprocessing {
        Preprocessing::Table { pipeline } => pipeline
            .columns()
            .map(|(summary, used)| {
                let mut column = json!(summary);
                column["use"] = json!(use_words(&used));
                if let ColumnUse::Inputs(names) = used {
                    column["inputs"] = json!(names);
                }
                column
            })
            .collect(),
        _ => Vec::new(),
    };
    let classes = shares.iter().map(|(name, rows)| (name.clone(), json!(rows)));
    json!({
        "data": prepared.description,
        "task": prepared.task.name(),
        "rows": Value::Object(rows.collect()),
        "inputs": prepared.width(),
        "image_size": prepared.image_size().map(|[_, height, width]| [height, width]),
        "channels": prepared.image_size().map(|[channels, ..]| channels),
        "columns": columns,
        "classes": Value::Object(classes.collect()),
        "notes": prepared.notes,
        "load_seconds": prepared.seconds,
    })
}
