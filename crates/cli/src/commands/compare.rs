//! `pellucid compare`: runs side by side, and two ways of training over the same seeds.

use std::collections::BTreeMap;
use std::path::Path;

use pellucid::data::TaskKind;
use pellucid::metrics::{PairedTest, mean_and_deviation, paired_test};
use pellucid::train::History;
use serde_json::{Value, json};

use crate::args::CompareArgs;
use crate::error::{Failure, Outcome};
use crate::format::number;
use crate::judge::usual_metric;
use crate::plot::overlaid_losses;
use crate::report::page::{Cell, Page, table as html_table};
use crate::run_folder::{CONFIG, MODEL, read_history};
use crate::say::{Say, write_out};
use crate::settings::Settings;
use crate::terminal::{Align, Screen, Table};
use crate::trained::open_model;

/// A finished run.
struct Finished {
    name: String,
    /// Settings as text, by name.
    settings: BTreeMap<String, String>,
    history: History,
    /// Metrics of the part that was held out longest.
    metrics: BTreeMap<String, f64>,
    part: String,
}

/// Runs that differ in nothing but their seed.
struct Group {
    /// The settings in which groups differ: `lr 0.001, optimizer adam`.
    words: String,
    /// Metric by seed.
    values: BTreeMap<String, f64>,
}

impl Group {
    /// Mean and standard deviation over the seeds.
    fn spread(&self) -> (f64, f64) {
        mean_and_deviation(&self.values.values().copied().collect::<Vec<_>>())
    }
}

/// Shows what runs differ in, and what came of it.
pub fn run(arguments: &CompareArgs) -> Outcome<()> {
    let say = Say::new(arguments.look);
    if arguments.runs.len() < 2 {
        return Err(Failure::new("give the folders of two runs or more"));
    }
    let runs = arguments.runs.iter().map(|path| finished(path)).collect::<Outcome<Vec<_>>>()?;
    let differing = differing(&runs);
    let metric = metric(&runs, arguments.metric.as_deref())?;
    let groups = groups(&runs, &differing, &metric);
    let tested = test_of(&groups);
    let rows = rows(&runs, &differing, &metric);
    say.result(&text_table(&rows, &say.screen))?;
    if groups.iter().any(|group| group.values.len() > 1) {
        say.result(&format!("\n{}", groups_table(&groups, &metric, &say.screen)))?;
    }
    if let Some(words) = tested.as_ref().map(test_words) {
        say.result(&format!("{words}\n"))?;
    }
    if let Some(path) = &arguments.html {
        let page = page(&runs, &rows, tested.as_ref());
        write_out(Some(path), page.as_bytes())?;
        say.result(&format!("\ncurves of the losses are in {}\n", path.display()))?;
    }
    say.json(&json!({
        "metric": metric,
        "runs": runs.iter().map(|run| json!({
            "name": run.name, "settings": run.settings, "part": run.part, "metrics": run.metrics,
            "epochs": run.history.epochs.len(),
        })).collect::<Vec<_>>(),
        "groups": groups.iter().map(|group| {
            let (mean, deviation) = group.spread();
            json!({"settings": group.words, "values": group.values, "mean": mean, "deviation": deviation})
        }).collect::<Vec<_>>(),
        "paired_test": tested.map(|test| json!({"difference": test.difference, "deviation": test.deviation, "t": test.t, "p": test.p})),
    }))
}

fn finished(path: &Path) -> Outcome<Finished> {
    if !path.join(CONFIG).is_file() || !path.join(MODEL).is_file() {
        return Err(Failure::new(format!("{} is no folder of a finished run", path.display())));
    }
    let settings = Settings::read(&path.join(CONFIG))?;
    let Value::Object(fields) = serde_json::to_value(&settings)? else { unreachable!("settings are an object") };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let model = open_model(&path.join(MODEL))?;
    let metrics = |part: &str| model.training["metrics"][part].as_object().filter(|scores| !scores.is_empty()).cloned();
    let judged = ["test", "validation", "train"].into_iter().find_map(|part| Some((part, metrics(part)?)));
    let (part, scores) = judged.unwrap_or_default();
    Ok(Finished {
        name: path.display().to_string(),
        settings: fields.into_iter().map(|(name, value)| (name, text(value))).collect(),
        history: read_history(&path.join("history.csv"))?,
        metrics: scores.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect(),
        part: part.to_string(),
    })
}

/// Names of the settings that are not the same in all runs.
fn differing(runs: &[Finished]) -> Vec<String> {
    let mut names: Vec<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&&String| runs.iter().any(|run| run.settings.get(**name) != runs[0].settings.get(**name));
    names.iter().filter(differs).map(|name| name.to_string()).collect()
}

/// The metric to judge by: the one asked for, or the usual one of the first run.
fn metric(runs: &[Finished], asked: Option<&str>) -> Outcome<String> {
    let known = &runs[0].metrics;
    let usual = || TaskKind::ALL.into_iter().map(usual_metric).find(|name| known.contains_key(*name)).unwrap_or("loss");
    let name = asked.unwrap_or_else(usual);
    match runs.iter().find(|run| !run.metrics.contains_key(name)) {
        None => Ok(name.to_string()),
        Some(run) => {
            let names = run.metrics.keys().cloned().collect::<Vec<_>>().join(", ");
            Err(Failure::new(format!("{} has no metric {name}; it has {names}", run.name)))
        }
    }
}

fn groups(runs: &[Finished], differing: &[String], metric: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for run in runs {
        let others = differing.iter().filter(|name| *name != "seed");
        let words: Vec<String> =
            others.map(|name| format!("{name} {}", run.settings.get(name).map_or("-", String::as_str))).collect();
        let words = words.join(", ");
        let seed = run.settings.get("seed").cloned().unwrap_or_default();
        let value = run.metrics[metric];
        match groups.iter_mut().find(|group| group.words == words) {
            Some(group) => {
                group.values.insert(seed, value);
            }
            None => groups.push(Group { words, values: BTreeMap::from([(seed, value)]) }),
        }
    }
    groups
}

/// Two groups over the seeds that both have.
fn test_of(groups: &[Group]) -> Option<PairedTest> {
    let [first, second] = groups else { return None };
    let both = first.values.iter().filter_map(|(seed, value)| Some((*value, *second.values.get(seed)?)));
    let (first, second): (Vec<f64>, Vec<f64>) = both.unzip();
    paired_test(&first, &second)
}

fn test_words(test: &PairedTest) -> String {
    let verdict = if test.p < 0.05 { "unlikely to be chance" } else { "may be chance" };
    format!(
        "second - first: {} ± {} over the same seeds, t = {:.2}, p = {}: {verdict}",
        number(test.difference),
        number(test.deviation),
        test.t,
        number(test.p)
    )
}

/// Heads and lines: what differs, and what came of it, a column for each run.
fn rows(runs: &[Finished], differing: &[String], metric: &str) -> Vec<Vec<String>> {
    let line = |name: &str, of: &dyn Fn(&Finished) -> String| -> Vec<String> {
        [name.to_string()].into_iter().chain(runs.iter().map(of)).collect()
    };
    let mut rows = vec![line("run", &|run| run.name.clone())];
    for name in differing {
        rows.push(line(name, &|run| run.settings.get(name).cloned().unwrap_or_else(|| "-".to_string())));
    }
    rows.push(line("epochs", &|run| run.history.epochs.len().to_string()));
    rows.push(line("seconds", &|run| run.history.epochs.last().map_or_else(String::new, |last| number(last.seconds))));
    let least = |run: &Finished| {
        let losses = run.history.epochs.iter().filter_map(|record| record.validation.as_ref()?.get("loss"));
        losses.reduce(f64::min).map_or_else(|| "-".to_string(), number)
    };
    rows.push(line("least validation loss", &least));
    let parts: Vec<&str> = runs.iter().map(|run| run.part.as_str()).collect();
    let part = if parts.iter().all(|part| part == &parts[0]) { parts[0] } else { "held-out" };
    let names = [metric.to_string()].into_iter().chain(runs[0].metrics.keys().filter(|name| *name != metric).cloned());
    for name in names.take(6) {
        let value = |run: &Finished| run.metrics.get(&name).map_or_else(|| "-".to_string(), |value| number(*value));
        rows.push(line(&format!("{part} {name}"), &value));
    }
    rows
}

fn text_table(rows: &[Vec<String>], screen: &Screen) -> String {
    let heads: Vec<(&str, Align)> = rows[0]
        .iter()
        .enumerate()
        .map(|(i, head)| (head.as_str(), if i == 0 { Align::Left } else { Align::Right }))
        .collect();
    let mut table = Table::new(&heads).cutting(rows[0].len() - 1);
    rows[1..].iter().for_each(|row| table.row(row.clone()));
    table.draw(screen)
}

fn groups_table(groups: &[Group], metric: &str, screen: &Screen) -> String {
    let mut table =
        Table::new(&[("settings", Align::Left), ("seeds", Align::Right), (metric, Align::Right)]).cutting(0);
    for group in groups {
        let (mean, deviation) = group.spread();
        let words = if group.words.is_empty() { "all".to_string() } else { group.words.clone() };
        table.row([words, group.values.len().to_string(), format!("{} ± {}", number(mean), number(deviation))]);
    }
    table.draw(screen)
}

fn page(runs: &[Finished], rows: &[Vec<String>], tested: Option<&PairedTest>) -> String {
    let mut page = Page::new("Runs side by side");
    let cells = |row: &Vec<String>| -> Vec<Cell> {
        row.iter()
            .enumerate()
            .map(|(i, text)| if i == 0 { Cell::Text(text.clone()) } else { Cell::Number(text.clone()) })
            .collect()
    };
    page.section("table", "What differs, and what came of it");
    page.cards(&[html_table(&cells(&rows[0]), &rows[1..].iter().map(cells).collect::<Vec<_>>(), &[])]);
    if let Some(test) = tested {
        page.paragraph(&test_words(test));
    }
    page.section("curves", "Losses");
    let histories: Vec<(String, &History)> = runs.iter().map(|run| (run.name.clone(), &run.history)).collect();
    page.cards(&overlaid_losses(&histories));
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(lr: &str, seed: &str, accuracy: f64) -> Finished {
        let settings = [("lr", lr), ("seed", seed), ("net", "dense 8 -> dense")];
        Finished {
            name: format!("runs/{lr}-{seed}"),
            settings: settings.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            history: History::default(),
            metrics: BTreeMap::from([("accuracy".to_string(), accuracy), ("loss".to_string(), 1.0 - accuracy)]),
            part: "test".to_string(),
        }
    }

    #[test]
    fn runs_are_grouped_by_all_but_their_seed_and_compared_in_pairs() {
        let runs = [
            run_of("0.1", "0", 0.80),
            run_of("0.1", "1", 0.82),
            run_of("0.1", "2", 0.81),
            run_of("0.01", "0", 0.90),
            run_of("0.01", "1", 0.93),
            run_of("0.01", "2", 0.91),
        ];
        assert_eq!(differing(&runs), ["lr", "seed"]);
        let metric = metric(&runs, None).expect("a metric");
        let groups = groups(&runs, &differing(&runs), &metric);
        let words: Vec<&str> = groups.iter().map(|group| group.words.as_str()).collect();
        assert_eq!((metric.as_str(), words), ("accuracy", vec!["lr 0.1", "lr 0.01"]));
        assert!((groups[0].spread().0 - 0.81).abs() < 1e-12);
        let test = test_of(&groups).expect("three pairs");
        assert!((test.difference - 0.103_333).abs() < 1e-5 && test.p < 0.01, "{test:?}");
        let screen = Screen { width: 80, unicode: true, color: false, terminal: false };
        let shown = text_table(&rows(&runs, &differing(&runs), &metric), &screen);
        assert!(shown.contains("test accuracy") && shown.contains("0.9300"), "{shown}");
        assert!(super::metric(&runs, Some("recall")).is_err());
    }
}
