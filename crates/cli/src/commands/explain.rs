//! `pellucid explain`.

use std::path::Path;
use std::sync::Arc;

use kernels::device::Device;
use pellucid::data::pipeline::find_column;
use pellucid::data::{Table, TargetScaling, Task};
use pellucid::explain::{IntegratedGradients, Trace, TraceOptions};
use pellucid::graph::{Graph, Parameters};
use pellucid::model::{Model, Preprocessing};
use pellucid::nn::notation::Network;
use pellucid::nn::{Link, Loss, NetworkOptions};
use pellucid::optim::OptimizerConfig;
use pellucid::train::{Problem, readable};
use serde_json::{Value, json};

use super::evaluate::labelled_rows;
use crate::args::{ExplainArgs, Format};
use crate::device::device;
use crate::error::{Failure, Outcome};
use crate::explain::{
    Account, Focus, Names, Section, belongs, column_importance, figure, gallery, input_columns, read_weights,
    row_section, trace_json,
};
use crate::format::{number, shorten};
use crate::judge::predicted_class;
use crate::prepare::{Rows, table_options};
use crate::report::{Picture, Pictures};
use crate::run_folder::model_path;
use crate::say::write_out;
use crate::terminal::Screen;
use crate::trained::{loss_of, named_layers, open_model, settings_of};

/// Columns that are shown at least.
const COLUMNS: usize = 20;

/// What is explained: a network, rows for it, and what one update would be.
struct Subject {
    notation: String,
    network: Graph,
    parameters: Vec<Vec<f64>>,
    loss: Loss,
    /// Of the rows, side by side.
    inputs: Vec<f64>,
    targets: Vec<f64>,
    names: Vec<String>,
    optimizer: OptimizerConfig,
    /// What the rows are, for people.
    facts: Vec<(String, String)>,
    /// What is predicted, if the model says it.
    task: Option<(Task, Link)>,
    /// What counts for the answer to a single row.
    evidence: Evidence,
}

/// What counts for the answer to a row: of a table, its columns; of a picture, its places.
#[derive(Default)]
struct Evidence {
    section: Option<Section>,
    gallery: Vec<(String, Picture)>,
}

/// Shows one training step number by number, or what columns count for.
pub fn run(arguments: &ExplainArgs) -> Outcome<()> {
    let device = device(arguments.input.isa.as_deref(), arguments.input.threads)?;
    let (title, facts, account, json) = match (&arguments.model, &arguments.net) {
        (Some(path), _) if arguments.importance => columns(path, arguments, &device)?,
        (Some(path), _) => step(of_model(path, arguments, &device)?, arguments, &device)?,
        (None, Some(line)) => step(of_network(line, arguments, &device)?, arguments, &device)?,
        (None, None) => return Err(Failure::new("give a model, or a network with --net")),
    };
    let text = match arguments.format {
        Format::Json => format!("{json}\n"),
        Format::Html => account.html(&title, &facts),
        Format::Text => account.text(&facts, &Screen::stdout(arguments.ascii)),
    };
    write_out(arguments.out.as_deref(), text.as_bytes())
}

/// Title, facts, account and document of what is shown.
type Shown = (String, Vec<(String, String)>, Account, Value);

/// One training step.
fn step(mut subject: Subject, arguments: &ExplainArgs, device: &Arc<Device>) -> Outcome<Shown> {
    if let Some(path) = &arguments.weights {
        read_weights(path, &subject.network, &mut subject.parameters)?;
    }
    let problem = Problem::new(&subject.network, &subject.loss, false)?;
    let focus = focus(arguments, &problem.graph)?;
    let inputs = [subject.inputs.clone(), subject.targets.clone()];
    let options = TraceOptions {
        rows: arguments.row.len(),
        inputs: &inputs,
        parameters: &subject.parameters,
        optimizer: &subject.optimizer,
    };
    let trace = Trace::new((*problem.graph).clone(), problem.loss, &options, device)?;
    let facts = facts(&subject, &trace, problem.prediction, device);
    let names = Names { inputs: subject.names, optimizer: rule(&subject.optimizer) };
    let mut account = Account::new(&trace, &names, &focus);
    account.sections.splice(0..0, subject.evidence.section);
    account.gallery = subject.evidence.gallery;
    Ok((format!("One step of {}", subject.notation), facts, account, trace_json(&trace)))
}

/// What the columns of a table count for.
fn columns(path: &Path, arguments: &ExplainArgs, device: &Arc<Device>) -> Outcome<Shown> {
    let model = open_model(&model_path(path))?;
    let Preprocessing::Table { pipeline } = &model.preprocessing else {
        return Err(Failure::new("--importance is of the columns of a table; this model takes none"));
    };
    let mut notes = Vec::new();
    let (part, rows) = labelled_rows(&arguments.data, &model, &arguments.input, true, &mut notes)?;
    let network = (&*model.graph, &model.parameters, &loss_of(&model)?, &model.task);
    let columns = input_columns(pipeline);
    let repeats = (usize::from(arguments.repeats), arguments.seed);
    let found = column_importance(network, &rows, &columns, repeats, device)?;
    let facts = vec![
        ("network".to_string(), model.network.clone().unwrap_or_default()),
        ("data".to_string(), format!("{part}, {} rows", rows.len())),
    ];
    let listed = found.columns.iter().map(
        |(name, importance)| json!({"column": name, "importance": importance.mean, "deviation": importance.deviation}),
    );
    let document = json!({"metric": found.metric, "rows": found.judged[0], "columns": listed.collect::<Vec<_>>()});
    let account = Account { sections: vec![found.section(arguments.top.max(COLUMNS))], gallery: Vec::new() };
    Ok(("What the columns count for".to_string(), facts, account, document))
}

/// What the flags look at; a layer that there is.
fn focus(arguments: &ExplainArgs, graph: &Graph) -> Outcome<Focus> {
    let focus =
        Focus { layer: arguments.layer.clone(), neuron: arguments.neuron, top: arguments.top, step: arguments.step };
    if let Some(layer) = &focus.layer {
        let mut labels: Vec<&str> = graph.nodes().iter().map(|node| node.label.as_str()).collect();
        labels.dedup();
        if !labels.iter().any(|label| belongs(label, layer)) {
            return Err(Failure::new(format!("there is no layer {layer}; there are {}", labels.join(", "))));
        }
    }
    Ok(focus)
}

/// A trained network and rows with known answers.
fn of_model(path: &Path, arguments: &ExplainArgs, device: &Arc<Device>) -> Outcome<Subject> {
    let model = open_model(&model_path(path))?;
    if let Preprocessing::Text { .. } = model.preprocessing {
        return Err(Failure::new(
            "a model of text has no rows with answers; explain takes tables, pictures, documents and series",
        ));
    }
    let (part, rows) = labelled_rows(&arguments.data, &model, &arguments.input, true, &mut Vec::new())?;
    let chosen = chosen(arguments, rows.len())?.into_iter().map(|row| rows.rows[row]).collect::<Vec<u32>>();
    let mut inputs = vec![0.0; chosen.len() * rows.data.width()];
    rows.data.gather_features(&chosen, &mut inputs)?;
    let mut targets = vec![0.0; chosen.len() * rows.data.target_width];
    rows.data.gather_targets(&chosen, &mut targets);
    let is_whole = arguments.layer.is_none() && arguments.neuron.is_none() && arguments.weights.is_none();
    let evidence = match &chosen[..] {
        [row] if is_whole => evidence(&model, &rows, (*row, &inputs), arguments.top.max(COLUMNS), device)?,
        _ => Evidence::default(),
    };
    let settings = settings_of(&model);
    let line = settings.as_ref().and_then(|settings| settings.optimizer.clone());
    let rate = settings.as_ref().and_then(|settings| settings.lr);
    let names = match &model.preprocessing {
        Preprocessing::Table { pipeline } => pipeline.feature_names(),
        _ => Vec::new(),
    };
    let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|value| f64::from(*value)).collect() };
    let parameters = &model.parameters;
    Ok(Subject {
        notation: model.network.clone().unwrap_or_else(|| "a network".to_string()),
        network: named_layers(&model),
        parameters: parameters
            .segments()
            .iter()
            .map(|segment| wide(&parameters.values()[segment.range.clone()]))
            .collect(),
        loss: loss_of(&model)?,
        inputs: wide(&inputs),
        targets: wide(&targets),
        names,
        optimizer: optimizer(arguments, line, rate)?,
        facts: vec![("data".to_string(), format!("{part}, {}", row_words(&arguments.row)))],
        task: Some((model.task.clone(), model.link)),
        evidence,
    })
}

/// What counts for the answer to one row, if its inputs are columns or pixels.
fn evidence(
    model: &Model,
    rows: &Rows,
    (row, inputs): (u32, &[f32]),
    top: usize,
    device: &Arc<Device>,
) -> Outcome<Evidence> {
    if !matches!(model.preprocessing, Preprocessing::Table { .. } | Preprocessing::Images { .. }) {
        return Ok(Evidence::default());
    }
    let mut outputs = model.predictor(device.clone())?.predict_row(inputs).to_vec();
    readable(device, (&model.task, model.link), &mut outputs);
    let (class, answer) = match &model.task {
        Task::Binary { .. } | Task::Multiclass { .. } => {
            let (class, _) = predicted_class(&model.task, &outputs);
            (class, model.task.class_names()[class].clone())
        }
        // The first of several; of a single output, the class 1.
        Task::Multilabel { labels } => (usize::from(labels.len() == 1), labels[0].clone()),
        Task::Regression { targets } => (usize::from(targets.len() == 1), targets[0].name.clone()),
        Task::Tokens { .. } => return Ok(Evidence::default()),
    };
    let mut gradients = IntegratedGradients::new(&model.graph, &model.parameters, device.clone())?;
    let mut found = Evidence::default();
    if let Preprocessing::Table { pipeline } = &model.preprocessing {
        let text = |name: &str| {
            let (table, lines) = rows.cells.as_ref()?;
            let column = table.names().iter().position(|known| known == name)?;
            Some(format!("{name} = {}", shorten(table.cell(lines[row as usize] as usize, column), 30, true)))
        };
        let parts = input_columns(pipeline).into_iter().map(|(name, range)| (text(&name).unwrap_or(name), range));
        let added = gradients.attribute(inputs, &vec![0.0; inputs.len()], class);
        found.section = Some(row_section(&answer, &added, &parts.collect::<Vec<_>>(), top));
    } else if let Some(picture) = Pictures::of(&rows.data).and_then(|pictures| pictures.row(row)) {
        let network = (&*model.graph, &model.parameters);
        found.gallery = gallery(network, &picture, (inputs, class), &mut gradients, device);
    }
    Ok(found)
}

/// A network as it begins, and rows of numbers as they stand in a file.
fn of_network(line: &str, arguments: &ExplainArgs, device: &Device) -> Outcome<Subject> {
    let options = table_options(arguments.input.delimiter.as_deref(), arguments.input.header, Default::default())?;
    let table = Table::read(&arguments.data, &options)?;
    let usual = ["-1".to_string()];
    let targets = if arguments.target.is_empty() { &usual[..] } else { &arguments.target[..] };
    let targets = targets.iter().map(|name| find_column(&table, name)).collect::<Result<Vec<usize>, _>>()?;
    let inputs: Vec<usize> = (0..table.columns()).filter(|column| !targets.contains(column)).collect();
    let rows = chosen(arguments, table.rows())?;
    let numbers = |columns: &[usize]| {
        rows.iter()
            .flat_map(|row| columns.iter().map(move |column| (*row, *column)))
            .map(|(row, column)| cell(&table, row, column))
            .collect::<Outcome<Vec<f64>>>()
    };
    let network = Network::parse(line).map_err(|error| Failure::notation(&error))?;
    let options = NetworkOptions { outputs: Some(targets.len()), ..NetworkOptions::default() };
    let built = options.build(&network, &[inputs.len()]).map_err(|error| Failure::network(&error))?;
    let fresh = Parameters::initialise(&built.graph, device, arguments.seed);
    let of_segment =
        |range: std::ops::Range<usize>| fresh.values()[range].iter().map(|value| f64::from(*value)).collect();
    Ok(Subject {
        notation: line.to_string(),
        parameters: fresh.segments().iter().map(|segment| of_segment(segment.range.clone())).collect(),
        network: built.graph,
        loss: arguments.loss.as_deref().map_or(Ok(Loss::mse()), Loss::parse)?,
        inputs: numbers(&inputs)?,
        targets: numbers(&targets)?,
        names: inputs.iter().map(|column| table.names()[*column].clone()).collect(),
        optimizer: optimizer(arguments, Some("sgd".to_string()), None)?,
        facts: vec![("data".to_string(), format!("{}, {}", arguments.data, row_words(&arguments.row)))],
        task: None,
        evidence: Evidence::default(),
    })
}

fn cell(table: &Table, row: usize, column: usize) -> Outcome<f64> {
    table.number(row, column).ok_or_else(|| {
        let (name, line, text) = (&table.names()[column], table.line(row), table.cell(row, column));
        Failure::new(format!(
            "{}, line {line}, column '{name}': '{text}' is no number; --net takes numbers as they are",
            table.name()
        ))
    })
}

/// The rows that the flags choose of so many.
fn chosen(arguments: &ExplainArgs, rows: usize) -> Outcome<Vec<usize>> {
    match arguments.row.iter().find(|row| **row >= rows) {
        Some(row) => Err(Failure::new(format!("there is no row {row}; the data has {rows} rows, counted from 0"))),
        None => Ok(arguments.row.clone()),
    }
}

fn row_words(rows: &[usize]) -> String {
    let listed: Vec<String> = rows.iter().map(usize::to_string).collect();
    format!("{} {}", if rows.len() == 1 { "row" } else { "rows" }, listed.join(", "))
}

/// The optimiser of the flags, over the one that is usual here.
fn optimizer(arguments: &ExplainArgs, line: Option<String>, rate: Option<f64>) -> Outcome<OptimizerConfig> {
    let own = arguments.optimizer.is_some();
    let mut config = match arguments.optimizer.clone().or(line) {
        Some(line) => OptimizerConfig::parse(&line)?,
        None => OptimizerConfig::default(),
    };
    if let Some(rate) = arguments.lr.or(rate.filter(|_| !own)) {
        config.set("lr", &rate.to_string())?;
    }
    if config.name() == "lbfgs" {
        return Err(Failure::new("lbfgs does not move by one gradient alone; choose another with --optimizer"));
    }
    Ok(config)
}

/// `w ← w - 0.5 ∂L/∂w`, or the optimiser by its name.
fn rule(optimizer: &OptimizerConfig) -> String {
    match optimizer {
        OptimizerConfig::Sgd(sgd) if sgd.is_plain() => format!("w ← w - {} · ∂L/∂w", sgd.lr),
        other => format!("first update of {other}"),
    }
}

fn facts(
    subject: &Subject,
    trace: &Trace,
    prediction: pellucid::graph::ValueId,
    device: &Arc<Device>,
) -> Vec<(String, String)> {
    let mut facts = vec![("network".to_string(), subject.notation.clone())];
    facts.extend(subject.facts.iter().cloned());
    facts.push(("loss".to_string(), format!("{} = {}", subject.loss, figure(trace.value(trace.loss)[0]))));
    if let Some((task, link)) = &subject.task {
        let mut outputs: Vec<f32> = trace.value(prediction).iter().map(|value| *value as f32).collect();
        readable(device, (task, *link), &mut outputs);
        let width = task.output_width();
        let words = outputs
            .chunks(width)
            .zip(subject.targets.chunks(task.target_width()))
            .map(|(outputs, target)| answer(task, outputs, target));
        facts.push(("answer".to_string(), words.collect::<Vec<_>>().join("; ")));
    }
    let precision = if trace.is_double { "double precision" } else { "single precision, as the engine trains" };
    facts.push(("numbers".to_string(), precision.to_string()));
    facts
}

/// What is predicted of a row, and what is true.
fn answer(task: &Task, outputs: &[f32], target: &[f64]) -> String {
    let names = task.class_names();
    match task {
        Task::Binary { .. } | Task::Multiclass { .. } => {
            let (class, probability) = predicted_class(task, outputs);
            let truth = names.get(target[0] as usize).map_or("unknown", String::as_str);
            format!("{} with a probability of {}, true is {truth}", names[class], number(probability))
        }
        Task::Multilabel { .. } => {
            let label = |((name, output), target): ((&String, &f32), &f64)| {
                format!(
                    "{name} with {}, true is {}",
                    number(f64::from(*output)),
                    if *target >= 0.5 { "yes" } else { "no" }
                )
            };
            names.iter().zip(outputs).zip(target).map(label).collect::<Vec<_>>().join(", ")
        }
        Task::Regression { targets } => {
            let value = |((scaling, output), target): ((&TargetScaling, &f32), &f64)| {
                let truth = scaling.to_units(*target as f32);
                format!("{} {}, true is {}", scaling.name, number(f64::from(*output)), number(truth))
            };
            targets.iter().zip(outputs).zip(target).map(value).collect::<Vec<_>>().join(", ")
        }
        Task::Tokens { .. } => unreachable!("models of text were refused"),
    }
}
