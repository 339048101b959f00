//! `pellucid evaluate`.

use std::path::Path;

use serde_json::json;

use pellucid::data::files::Files;
use pellucid::data::sources::Origin;
use pellucid::data::{Table, TableOptions};
use pellucid::model::{Model, Preprocessing};
use pellucid::train::Windows;

use crate::args::{EvaluateArgs, InputArgs};
use crate::device::device;
use crate::error::{Failure, Outcome};
use crate::judge::{Judge, results};
use crate::prepare::{
    Located, Prepared, Rows, all_forecasts, image_rows, known_series, locate, memory_bytes, pixel_rows, prepare,
    scored_documents, scored_pictures, scored_rows, scored_sequences, scored_text, scored_texts, table_options,
};
use crate::run_folder::model_path;
use crate::say::Say;
use crate::settings::{Settings, YesNo};
use crate::trained::{loss_of, open_model, settings_of};

/// Measures a model.
pub fn run(arguments: &EvaluateArgs) -> Outcome<()> {
    let say = Say::new(arguments.look);
    let path = model_path(&arguments.model);
    let model = open_model(&path)?;
    let loss = loss_of(&model)?;
    let device = device(arguments.input.isa.as_deref(), arguments.input.threads)?;
    let mut notes = Vec::new();
    let quiet = arguments.look.quiet || arguments.look.json;
    let (part, rows) = labelled_rows(&arguments.data, &model, &arguments.input, quiet, &mut notes)?;
    let judge = Judge {
        graph: &model.graph,
        parameters: &model.parameters,
        loss: &loss,
        task: &model.task,
        windows: windows(&model),
        device: &device,
    };
    let judged = judge.judge("data", &rows)?;
    say.notes(&notes);
    say.head(&format!("{} rows: {part}\n\n", rows.len()))?;
    say.result(&results(std::slice::from_ref(&judged), &model.task, &say.screen))?;
    say.json(&json!({
        "task": model.task.name(),
        "network": model.network,
        "parameters": model.parameters.count(),
        "rows": rows.len(),
        "threads": device.threads(),
        "isa": device.isa().name(),
        "metrics": judged.scores(),
        "weights_sha256": model.weights_sha256(),
        "model": path,
    }))
}

/// As the model learnt.
fn windows(model: &Model) -> Windows {
    match settings_of(model).and_then(|settings| settings.carry) {
        Some(YesNo(true)) => Windows::Carried,
        Some(YesNo(false)) => Windows::Shifted,
        None => Windows::Apart,
    }
}

/// The rows with known answers that `word` names for `model`, and what they are.
pub(super) fn labelled_rows(
    word: &str,
    model: &Model,
    input: &InputArgs,
    quiet: bool,
    notes: &mut Vec<String>,
) -> Outcome<(String, Rows)> {
    let read = |path: &Path, known: TableOptions| -> Outcome<Table> {
        Ok(Table::read(path, &table_options(input.delimiter.as_deref(), input.header, known)?)?)
    };
    match (locate(word)?, &model.preprocessing) {
        (Located::Text(path) | Located::File(path), Preprocessing::Text { tokenizer, window }) => {
            Ok((format!("windows of {}", path.display()), scored_text(&path, tokenizer, *window)?))
        }
        (_, Preprocessing::Text { .. }) => Err(Failure::new(format!("the model takes a text, {word} is none"))),
        (Located::File(path), Preprocessing::Series { plan }) => {
            let series = known_series(&read(&path, TableOptions::default())?, plan)?;
            Ok((format!("forecasts of {}", path.display()), all_forecasts(plan, &series)?))
        }
        (Located::File(path), Preprocessing::Documents { plan }) => {
            let table = read(&path, TableOptions::default())?;
            Ok((format!("texts of {}", path.display()), scored_documents(table, plan)?))
        }
        (Located::Files(path), Preprocessing::Documents { plan }) => {
            let files = Files::open(&path, memory_bytes(input.memory))?;
            scored_texts(files, plan, (input.memory, input.skip_bad), notes)
        }
        (_, Preprocessing::Documents { .. }) => {
            let takes = "a table with a column of text, or folders of texts";
            Err(Failure::new(format!("the model takes {takes}, {word} is neither")))
        }
        (Located::File(path), Preprocessing::Sequences { plan }) => {
            let table = read(&path, TableOptions::default())?;
            Ok((format!("sequences of {}", path.display()), scored_sequences(&table, plan)?))
        }
        (_, Preprocessing::Sequences { .. }) => {
            Err(Failure::new(format!("the model takes a table whose lines are steps of sequences, {word} is none")))
        }
        (_, Preprocessing::Series { .. }) => Err(Failure::new(format!("the model takes a series, {word} is none"))),
        (Located::Text(path), _) => Err(Failure::new(format!("the model takes no text, {} is one", path.display()))),
        (Located::Source(source), preprocessing) => {
            // The split of the run, so that the test part is the one that the model has not seen.
            let learnt = settings_of(model).filter(|learnt| learnt.data.as_deref() == Some(source.name));
            let seen = learnt.is_some();
            let is_table = matches!(source.origin, Origin::Table(_) | Origin::Generated(_));
            if is_table != matches!(preprocessing, Preprocessing::Table { .. }) {
                let (model, data) = if is_table { ("images", "a table") } else { ("a table", "images") };
                return Err(Failure::new(format!("the model takes {model}, but {word} is {data}")));
            }
            let mut settings = Settings { data_dir: input.data_dir.clone(), ..learnt.unwrap_or_default() };
            if let Preprocessing::Table { pipeline } = preprocessing {
                settings.target = pipeline.target_names().into_iter().map(str::to_string).collect();
            }
            let Prepared { train, test, .. } = prepare(word, &settings, None, quiet)?;
            let own_test = source.test_rows > 0;
            let (what, rows) = if (seen || own_test) && !test.is_empty() {
                drop(train);
                (format!("the test part of {word}"), test)
            } else {
                (format!("all of {word}"), train.all())
            };
            let rows = match preprocessing {
                Preprocessing::Table { pipeline } => match &rows.cells {
                    Some((table, lines)) => {
                        let lines: Vec<u32> = rows.rows.iter().map(|row| lines[*row as usize]).collect();
                        crate::prepare::transformed(table.clone(), pipeline, &lines, notes)?
                    }
                    None => return Err(Failure::new(format!("the model takes a table, {word} holds images"))),
                },
                _ => image_rows(rows, model, word)?,
            };
            Ok((what, rows))
        }
        (Located::Files(path), Preprocessing::Images { .. }) => {
            scored_pictures(&path, model, (input.memory, input.skip_bad), (input.threads, quiet), notes)
        }
        (Located::Files(path), _) => {
            Err(Failure::new(format!("the model does not take pictures, but {} is one or holds them", path.display())))
        }
        (Located::File(path), Preprocessing::Table { pipeline }) => {
            let table = read(&path, pipeline.table_options())?;
            Ok((path.display().to_string(), scored_rows(table, pipeline, notes)?))
        }
        (Located::File(path), _) => {
            let table = read(&path, TableOptions::default())?;
            Ok((path.display().to_string(), pixel_rows(&table, model, true)?))
        }
    }
}
