//! The page of a search: the best so far, what matters, what each hyper-parameter does, all trials.

use pellucid::tune::{Dimension, Direction, Domain, Space, Trial, Verdict};
use serde_json::Value;

use super::{Importance, Record};
use crate::format::{number, seconds, shorten};
use crate::plot::{Anchor, Axis, Panel, Series, Svg};
use crate::report::page::{Cell, Page, facts, table};

/// What a search has found.
pub struct Found<'a> {
    /// What was searched: the data, for people.
    pub title: String,
    /// The space.
    pub space: &'a Space,
    /// All trials.
    pub records: &'a [Record],
    /// The best of them.
    pub best: Option<&'a Trial>,
    /// What matters.
    pub importance: &'a [Importance],
    /// The metric that scores are.
    pub metric: &'a str,
    /// Whether more or less of it is better.
    pub direction: Direction,
}

impl Found<'_> {
    /// Trials that were run to a finite score, with it: the best first.
    pub fn ranking(&self) -> Vec<(&Trial, f64)> {
        let mut order = scored(self);
        order.sort_by(|a, b| self.direction.cost(a.1).total_cmp(&self.direction.cost(b.1)));
        order
    }
}

const WIDE: f64 = 860.0;
const HALF: f64 = 425.0;
const HEIGHT: f64 = 280.0;
/// Heads of lines in the parallel coordinates.
const TICKS: usize = 5;

/// The page.
pub fn page(found: &Found<'_>) -> String {
    let mut page = Page::new(&format!("Search: {}", found.title));
    page.head(&facts(&heads(found)));
    page.section("best", "Best so far");
    page.cards(&[best_so_far(found)]);
    if !found.importance.is_empty() {
        page.section("importance", "What matters");
        page.paragraph(
            "Share of the variance of the scores that each hyper-parameter explains alone (fANOVA over a forest); the rest is \
             noise, and what several do together.",
        );
        page.cards(&[bars(found.importance)]);
    }
    let scored = scored(found);
    if scored.len() > 1 {
        page.section("slices", "What each does");
        page.paragraph("Each dot is a trial that was run to its end; the best one is marked.");
        let slices: Vec<String> = found.space.dimensions().iter().map(|dimension| slice(found, dimension)).collect();
        page.cards(&slices);
        page.section("together", "All together");
        page.paragraph("Each line is a trial, from its values to its score; the best tenth is strong.");
        page.cards(&[parallel(found, &scored)]);
    }
    page.section("trials", "Trials");
    page.cards(&[trials(found)]);
    page.finish()
}

fn heads(found: &Found<'_>) -> Vec<(String, String)> {
    let count = |is: fn(&Verdict) -> bool| {
        found.records.iter().filter(|record| record.trial.verdict.as_ref().is_some_and(is)).count().to_string()
    };
    let mut heads = vec![
        (
            "metric".to_string(),
            format!(
                "{} ({} is better)",
                found.metric,
                if found.direction == Direction::Maximise { "more" } else { "less" }
            ),
        ),
        ("run to the end".to_string(), count(|verdict| matches!(verdict, Verdict::Finished(_)))),
        ("given up".to_string(), count(|verdict| matches!(verdict, Verdict::Pruned))),
        ("failed".to_string(), count(|verdict| matches!(verdict, Verdict::Failed))),
        ("time of all trials".to_string(), seconds(found.records.iter().filter_map(|record| record.seconds).sum())),
    ];
    if let Some(best) = found.best {
        heads.push((
            "best".to_string(),
            format!("{} in trial {}", number(best.value().unwrap_or(f64::NAN)), best.number),
        ));
        heads.extend(best.values.iter().map(|(name, value)| (name.clone(), value_text(value))));
    }
    heads
}

/// A value as people write it.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(value) if value.is_f64() => number(value.as_f64().unwrap_or(f64::NAN)),
        other => other.to_string(),
    }
}

/// What was chosen for a trial: `lr 0.01, width 32`.
pub fn values_text(trial: &Trial, between: &str) -> String {
    let values = trial.values.iter().map(|(name, value)| format!("{name} {}", value_text(value)));
    values.collect::<Vec<_>>().join(between)
}

/// Trials with finite scores.
fn scored<'a>(found: &Found<'a>) -> Vec<(&'a Trial, f64)> {
    let value = |record: &'a Record| Some((&record.trial, record.trial.value().filter(|value| value.is_finite())?));
    found.records.iter().filter_map(value).collect()
}

/// A range for scores that is not stretched by the few worst.
fn score_axis(found: &Found<'_>, scores: &[f64]) -> Axis {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| found.direction.cost(*a).total_cmp(&found.direction.cost(*b)));
    let keep = (sorted.len() * 9).div_ceil(10);
    Axis::fit_linear(sorted.into_iter().take(keep), 5)
}

fn best_so_far(found: &Found<'_>) -> String {
    let scored = scored(found);
    let scores: Vec<f64> = scored.iter().map(|(_, score)| *score).collect();
    let last = found.records.last().map_or(1.0, |record| record.trial.number as f64);
    let mut svg = Svg::new(WIDE, HEIGHT, "scores of the trials, and the best so far");
    let (x, y) = (Axis::whole(0.0, last.max(1.0), 10), score_axis(found, &scores));
    let title = "scores and the best so far";
    let panel =
        Panel { title, x_label: "trial", y_label: found.metric, x, y, corner: (0.0, 0.0), size: (WIDE, HEIGHT) };
    panel.frame(&mut svg);
    let (mut best, mut line) = (None::<f64>, Vec::new());
    for (trial, score) in &scored {
        let at = trial.number as f64;
        let better = found.direction.improves(*score, best);
        if let (true, Some(before)) = (better, best) {
            line.push((at, before));
        }
        if better {
            best = Some(*score);
            line.push((at, *score));
        }
    }
    line.extend(best.map(|best| (last, best)));
    panel.curve(
        &mut svg,
        &Series { name: "best so far".to_string(), class: "a".to_string(), points: line, dots: false },
    );
    for (trial, score) in &scored {
        if let Some(centre) = panel.place((trial.number as f64, *score)) {
            svg.circle("soft", centre, 3.5);
        }
    }
    svg.fragment()
}

fn bars(shares: &[Importance]) -> String {
    const LINE: f64 = 26.0;
    const NAMES: f64 = 150.0;
    let height = 20.0 + LINE * shares.len() as f64;
    let mut svg = Svg::new(WIDE, height, "importance of each hyper-parameter");
    let room = WIDE - NAMES - 150.0;
    for (index, one) in shares.iter().enumerate() {
        let y = 10.0 + LINE * index as f64;
        svg.text("strong", (NAMES - 10.0, y + 15.0), Anchor::End, &shorten(&one.name, 22, true));
        svg.rect("fill a", (NAMES, y + 3.0), ((one.share * room).max(1.0), LINE - 9.0), 1.0);
        let text = format!("{:.0} % ± {:.0}", 100.0 * one.share, 100.0 * one.deviation);
        svg.text("", (NAMES + one.share * room + 8.0, y + 15.0), Anchor::Start, &text);
    }
    svg.fragment()
}

/// Scores over the values of one hyper-parameter.
fn slice(found: &Found<'_>, dimension: &Dimension) -> String {
    let scored: Vec<(&Trial, f64, f64)> = scored(found)
        .into_iter()
        .filter_map(|(trial, score)| Some((trial, axis_value(dimension, trial)?, score)))
        .collect();
    let x = value_axis(dimension);
    let scores: Vec<f64> = scored.iter().map(|(_, _, score)| *score).collect();
    let y = score_axis(found, &scores);
    let mut svg = Svg::new(HALF, HEIGHT, &format!("{} over {}", found.metric, dimension.name));
    let title = dimension.name.as_str();
    let panel = Panel { title, x_label: "", y_label: found.metric, x, y, corner: (0.0, 0.0), size: (HALF, HEIGHT) };
    panel.frame(&mut svg);
    for (trial, value, score) in &scored {
        if let Some(centre) = panel.place((*value, *score)) {
            let is_best = found.best.is_some_and(|best| best.number == trial.number);
            svg.circle(if is_best { "fill b" } else { "soft" }, centre, if is_best { 5.0 } else { 3.5 });
        }
    }
    svg.fragment()
}

/// Where a trial stands on the axis of a hyper-parameter; choices stand at their numbers.
fn axis_value(dimension: &Dimension, trial: &Trial) -> Option<f64> {
    let value = trial.values.get(&dimension.name)?;
    match &dimension.domain {
        Domain::Choice(values) => values.iter().position(|known| known == value).map(|index| index as f64),
        _ => value.as_f64(),
    }
}

fn value_axis(dimension: &Dimension) -> Axis {
    match &dimension.domain {
        Domain::Choice(values) => {
            let mut axis = Axis::whole(0.0, (values.len() - 1) as f64, values.len().max(2));
            let room = (60 / values.len()).max(4);
            axis.ticks = values
                .iter()
                .enumerate()
                .map(|(index, value)| crate::plot::Tick {
                    value: index as f64,
                    label: shorten(&value_text(value), room, true),
                })
                .collect();
            // Half a place at the ends, so that labels have room.
            (axis.low, axis.high) = (-0.5, values.len() as f64 - 0.5);
            axis
        }
        Domain::Real { low, high, log } => range(*low, *high, *log),
        Domain::Whole { low, high, log: true } => range(*low as f64, *high as f64, true),
        Domain::Whole { low, high, log: false } => Axis::whole(*low as f64, *high as f64, 5),
    }
}

fn range(low: f64, high: f64, log: bool) -> Axis {
    if log { Axis::fit([low, high], 5) } else { Axis::fit_linear([low, high], 5) }
}

/// Each trial as a line over an upright axis for each hyper-parameter, and one for the score.
fn parallel(found: &Found<'_>, scored: &[(&Trial, f64)]) -> String {
    const TOP: f64 = 46.0;
    const BOTTOM: f64 = 24.0;
    const SIDE: f64 = 60.0;
    let height = 360.0;
    let scores: Vec<f64> = scored.iter().map(|(_, score)| *score).collect();
    let mut axes: Vec<(String, Axis)> =
        found.space.dimensions().iter().map(|one| (one.name.clone(), value_axis(one))).collect();
    axes.push((found.metric.to_string(), score_axis(found, &scores)));
    let x = |index: usize| SIDE + (WIDE - 2.0 * SIDE) * index as f64 / (axes.len() - 1) as f64;
    let y = |place: f64| height - BOTTOM - place * (height - TOP - BOTTOM);
    let mut svg = Svg::new(WIDE, height, "trials as lines over all hyper-parameters");
    let best_tenth = found.ranking().into_iter().take(scored.len().div_ceil(10));
    let strong: Vec<usize> = best_tenth.map(|(trial, _)| trial.number).collect();
    // The best are drawn last, above the others.
    for is_strong in [false, true] {
        for (trial, score) in scored.iter().filter(|(trial, _)| strong.contains(&trial.number) == is_strong) {
            let values = found.space.dimensions().iter().map(|dimension| axis_value(dimension, trial));
            let points = values.chain([Some(*score)]).enumerate().map(|(index, value)| {
                let place = axes[index].1.position(value?);
                (!place.is_nan()).then(|| (x(index), y(place)))
            });
            svg.path(if is_strong { "line b" } else { "axis" }, points);
        }
    }
    for (index, (name, axis)) in axes.iter().enumerate() {
        svg.line("axis", (x(index), TOP), (x(index), height - BOTTOM));
        // Neighbours' names at two heights, so that long ones have room.
        let above = if index % 2 == 0 { 16.0 } else { 32.0 };
        svg.text("strong", (x(index), above), Anchor::Middle, &shorten(name, 18, true));
        let every = axis.ticks.len().div_ceil(TICKS).max(1);
        for tick in axis.ticks.iter().step_by(every) {
            let label = shorten(&tick.label, 14, true);
            svg.text("", (x(index) + 4.0, y(axis.position(tick.value)) + 4.0), Anchor::Start, &label);
        }
    }
    svg.fragment()
}

fn trials(found: &Found<'_>) -> String {
    // Numbers stand to the right, and are not broken.
    let cell = |dimension: &Dimension, text: String| match dimension.domain {
        Domain::Choice(_) => Cell::Text(text),
        _ => Cell::Number(text),
    };
    let dimensions = found.space.dimensions();
    let mut heads = vec![Cell::Number("trial".to_string()), Cell::Number(found.metric.to_string())];
    heads.extend(dimensions.iter().map(|dimension| cell(dimension, dimension.name.clone())));
    heads.extend([Cell::Number("time".to_string()), Cell::Text("end".to_string())]);
    let row = |record: &Record| -> Vec<Cell> {
        let trial = &record.trial;
        let score = trial.value().or(trial.reports.last().copied()).map_or(String::new(), number);
        let value = |dimension: &Dimension| trial.values.get(&dimension.name).map_or(String::new(), value_text);
        let mut cells = vec![Cell::Number(trial.number.to_string()), Cell::Number(score)];
        cells.extend(dimensions.iter().map(|dimension| cell(dimension, value(dimension))));
        cells.push(Cell::Number(record.seconds.map_or(String::new(), seconds)));
        cells.push(Cell::Text(end_text(record)));
        cells
    };
    table(&heads, &found.records.iter().map(row).collect::<Vec<_>>(), &[])
}

/// How a trial ended, in a few words.
pub fn end_text(record: &Record) -> String {
    match record.trial.verdict {
        None => "runs".to_string(),
        Some(Verdict::Finished(_)) => String::new(),
        Some(Verdict::Pruned) => format!("given up after {}", record.trial.reports.len()),
        Some(Verdict::Failed) => format!("failed: {}", record.problem.as_deref().unwrap_or("for no known reason")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::importance;

    #[test]
    fn the_page_is_well_formed_and_has_every_trial() {
        let space = Space::parse(
            r#"{"lr": {"low": 1e-4, "high": 0.1, "log": true}, "net": {"values": ["<b>", "dense 8 -> dense"]},
                "width": {"low": 1, "high": 9, "whole": true}, "momentum": {"low": 0, "high": 1, "when": {"net": "<b>"}}}"#,
        )
        .expect("a space");
        let record = |number: usize| {
            let place = number as f64 / 19.0;
            let mut values: pellucid::tune::Assignment = space
                .dimensions()
                .iter()
                .map(|dimension| (dimension.name.clone(), dimension.domain.at(place)))
                .collect();
            if number >= 10 {
                values.remove("momentum");
            }
            let verdict = match number {
                3 => None,
                4 => Some(Verdict::Pruned),
                5 => Some(Verdict::Failed),
                _ => Some(Verdict::Finished(place * place)),
            };
            let trial = Trial { number, values, reports: vec![0.5], verdict };
            Record { trial, problem: (number == 5).then(|| "a <bad> network".to_string()), seconds: Some(1.0) }
        };
        let records: Vec<Record> = (0..20).map(record).collect();
        let all: Vec<&Trial> = records.iter().map(|record| &record.trial).collect();
        let importance = importance(&space, &all);
        for (records, best) in [(&records[..], Some(&records[19].trial)), (&records[..1], None), (&[], None)] {
            let found = Found {
                title: "people.csv".to_string(),
                space: &space,
                records,
                best,
                importance: &importance,
                metric: "accuracy",
                direction: Direction::Maximise,
            };
            let page = page(&found);
            let body = page.strip_prefix("<!DOCTYPE html>\n").expect("a page");
            let document = roxmltree::Document::parse(body).expect("well-formed");
            let rows = document.descendants().filter(|node| node.tag_name().name() == "tr").count();
            assert_eq!(rows, records.len() + 1);
        }
    }
}
