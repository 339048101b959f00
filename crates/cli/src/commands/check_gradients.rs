//! `pellucid check-gradients`.

use kernels::random::Stream;
use pellucid::explain::{GradientCheckOptions, GradientComparison, check_gradients};
use pellucid::graph::{Graph, Parameters, ValueId};
use pellucid::nn::{Link, Loss, LossLayer};
use pellucid::tensor::Shape;
use pellucid::train::Problem;
use serde_json::json;

use crate::args::CheckArgs;
use crate::device::device;
use crate::error::{Failure, Outcome};
use crate::explain::figure;
use crate::say::Say;
use crate::terminal::{Align, Ink, Screen, Table};
use crate::trained::{Opened, loss_of, open_network};

/// Compares the gradients of a network with differences; fails where they are not the same.
pub fn run(arguments: &CheckArgs) -> Outcome<()> {
    let say = Say::new(arguments.look);
    let device = device(None, None)?;
    let Opened { notation, graph, model } = open_network(&arguments.network, arguments.input.as_deref())?;
    let loss = match (&model, arguments.loss.as_deref()) {
        (Some(model), None) => loss_of(model)?,
        (_, Some(line)) => Loss::parse(line)?,
        (None, None) => Loss::mse(),
    };
    let problem = Problem::new(&graph, &loss, false)?;
    let parameters = match model {
        Some(model) => model.parameters,
        None => Parameters::initialise(&problem.graph, &device, arguments.seed),
    };
    let rows = arguments.rows as usize;
    let inputs =
        [inputs(&problem.graph, problem.input, rows, arguments.seed), targets(&problem, &loss, rows, arguments.seed)];
    let options = GradientCheckOptions {
        places: arguments.places.max(1),
        relative: arguments.tolerance,
        seed: arguments.seed,
        ..GradientCheckOptions::default()
    };
    let found = check_gradients(&problem.graph, problem.loss, &parameters, (rows, &inputs), &device, &options)?;
    if let Some(line) = &notation {
        say.head(&format!("{line}\nloss {loss}, {rows} random rows\n\n"))?;
    }
    say.result(&comparison_table(&found, &say.screen))?;
    say.json(&json!(found.iter().map(line_json).collect::<Vec<_>>()))?;
    let wrong: Vec<&str> = found.iter().filter(|one| !one.agrees).map(|one| one.name.as_str()).collect();
    if !wrong.is_empty() {
        return Err(Failure::new(format!("the gradients of {} are not those of the loss", wrong.join(", "))));
    }
    say.result("\nall agree\n")
}

/// Rows at random: numbers of tokens where the network looks these up, else evenly distributed with a variance of about 1.
fn inputs(graph: &Graph, input: ValueId, rows: usize, seed: u64) -> Vec<f32> {
    let len = graph.shape(input).dims(rows).iter().product();
    let random = Stream::new(seed, 1).at(0);
    let looked_up = graph.nodes().iter().find(|node| node.op.name() == "Embedding" && node.inputs[0] == input);
    match looked_up.map(|node| graph.shape(node.inputs[1]).dims(1)[0]) {
        Some(vocabulary) => (0..len).map(|i| random.below(i as u64, vocabulary as u32) as f32).collect(),
        None => (0..len).map(|i| 3.4 * random.unit_at(i as u64) - 1.7).collect(),
    }
}

/// Answers at random that the loss can be of.
fn targets(problem: &Problem, loss: &Loss, rows: usize, seed: u64) -> Vec<f32> {
    let graph = &problem.graph;
    let (output, target) = (graph.shape(problem.prediction), graph.shape(problem.target));
    let len: usize = target.dims(rows).iter().product();
    let random = Stream::new(seed, 2).at(0);
    let uniform = |i: usize| random.unit_at(i as u64);
    if let Some(classes) = classes(output, target) {
        return (0..len).map(|i| random.below(i as u64, classes as u32) as f32).collect();
    }
    match loss.link() {
        Link::Logits | Link::Probabilities | Link::LogProbabilities => {
            (0..len).map(|i| 0.1 + 0.8 * uniform(i)).collect()
        }
        Link::LogValues => (0..len).map(|i| (4.0 * uniform(i)).floor()).collect(),
        Link::Values => (0..len).map(|i| 2.0 * uniform(i) - 1.0).collect(),
    }
}

/// The number of classes, where a target is one of them.
fn classes(output: &Shape, target: &Shape) -> Option<usize> {
    output.last().filter(|_| target.rank() < output.rank())
}

fn comparison_table(found: &[GradientComparison], screen: &Screen) -> String {
    let mut table = Table::new(&[
        ("layer", Align::Left),
        ("gradient of", Align::Left),
        ("places", Align::Right),
        ("kinks", Align::Right),
        ("backprop", Align::Right),
        ("difference", Align::Right),
        ("off by", Align::Right),
        ("", Align::Left),
    ])
    .cutting(0);
    for one in found {
        let [backpropagated, difference, off] = match one.worst {
            Some(worst) => {
                let off = (worst.backpropagated - worst.difference).abs();
                [figure(worst.backpropagated), figure(worst.difference), format!("{off:.1e}")]
            }
            None => [const { String::new() }; 3],
        };
        let (verdict, ink) = if one.agrees { ("agrees", None) } else { ("WRONG", Some(Ink::Wrong)) };
        let kinks = if one.kinks > 0 { one.kinks.to_string() } else { String::new() };
        let cells =
            [one.layer.clone(), one.name.clone(), one.compared.to_string(), kinks, backpropagated, difference, off];
        table.inked_row(cells.into_iter().chain([verdict.to_string()]).map(|cell| (cell, ink)));
    }
    table.draw(screen)
}

fn line_json(one: &GradientComparison) -> serde_json::Value {
    json!({
        "layer": one.layer,
        "name": one.name,
        "compared": one.compared,
        "kinks": one.kinks,
        "agrees": one.agrees,
        "worst": one.worst.map(|worst| json!({
            "place": worst.place, "backpropagated": worst.backpropagated, "difference": worst.difference,
        })),
    })
}
