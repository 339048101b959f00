//! Curves over the epochs of a run.

use pellucid::metrics::Scores;
use pellucid::train::{EpochRecord, History};

use super::axis::Axis;
use super::chart::{Panel, Series};
use super::svg::Svg;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
/// In a page two panels stand side by side.
const HALF: f64 = 516.0;

/// `loss.svg`: training and validation loss over the epochs, below it the main metric if the history has one.
///
/// `best_epoch` is marked; `metric` defaults to [`main_metric`].
pub fn loss_svg(history: &History, metric: Option<&str>, best_epoch: Option<usize>) -> String {
    let panels = panels(history, metric);
    let mut svg = Svg::new(WIDTH, HEIGHT * panels.len() as f64, "loss and main metric over epochs");
    for (index, (name, series)) in panels.iter().enumerate() {
        epochs_panel(&mut svg, name, (0.0, HEIGHT * index as f64), WIDTH, series, best_epoch);
    }
    svg.document()
}

/// The panels of [`loss_svg`], each a part of a page that holds [`STYLE`](super::STYLE).
pub fn run_curves(history: &History, metric: Option<&str>, best_epoch: Option<usize>) -> Vec<String> {
    let draw = |(name, series): &(String, Vec<Series>)| {
        let mut svg = Svg::new(HALF, HEIGHT, &format!("{name} over epochs"));
        epochs_panel(&mut svg, name, (0.0, 0.0), HALF, series, best_epoch);
        svg.fragment()
    };
    panels(history, metric).iter().map(draw).collect()
}

/// Name and curves of the loss, and of the main metric if there is one.
fn panels(history: &History, metric: Option<&str>) -> Vec<(String, Vec<Series>)> {
    let epoch = |record: &EpochRecord| record.epoch as f64;
    let metric =
        metric.or_else(|| main_metric(history)).map(|name| (name.to_string(), both_parts(history, name, &epoch)));
    let loss = ("loss".to_string(), both_parts(history, "loss", &epoch));
    [loss].into_iter().chain(metric.filter(|(_, series)| !series.is_empty())).collect()
}

/// The first metric of the history beside the loss: `accuracy`, `rmse`, …
pub fn main_metric(history: &History) -> Option<&str> {
    let scores = history.epochs.iter().flat_map(|record| record.validation.iter().chain([&record.train]));
    scores.flat_map(Scores::iter).map(|(name, _)| name).find(|name| *name != "loss")
}

/// The learning rate over the epochs; `None` while there are no epochs.
pub fn learning_rate(history: &History) -> Option<String> {
    if history.epochs.is_empty() {
        return None;
    }
    let points = history.epochs.iter().map(|record| (record.epoch as f64, record.learning_rate)).collect();
    let series = [Series { name: "learning rate".to_string(), class: "c".to_string(), points, dots: true }];
    let mut svg = Svg::new(HALF, HEIGHT, "learning rate over epochs");
    epochs_panel(&mut svg, "learning rate", (0.0, 0.0), HALF, &series, None);
    Some(svg.fragment())
}

/// Runs of so many seconds are drawn over minutes.
const LONG: f64 = 180.0;

/// The loss over the time that the run took, in seconds or minutes; `None` before there are two epochs.
pub fn loss_over_time(history: &History) -> Option<String> {
    let (x_label, unit) = if history.epochs.last()?.seconds < LONG { ("seconds", 1.0) } else { ("minutes", 60.0) };
    let time = |record: &EpochRecord| record.seconds / unit;
    let (first, last) = (history.epochs.first().map(time)?, history.epochs.last().map(time)?);
    let series = both_parts(history, "loss", &time);
    let mut svg = Svg::new(HALF, HEIGHT, "loss over time");
    let y = Axis::fit(series.iter().flat_map(|one| &one.points).map(|point| point.1), 5);
    let y_label = if y.log { "loss (log scale)" } else { "loss" };
    let x = Axis::linear(0.0, last, 10);
    let (corner, size) = ((0.0, 0.0), (HALF, HEIGHT));
    let panel = Panel { title: "loss over time", x_label, y_label, x, y, corner, size };
    panel.frame(&mut svg);
    series.iter().for_each(|one| panel.curve(&mut svg, one));
    if series.len() > 1 {
        panel.legend(&mut svg, &series);
    }
    (last > first).then(|| svg.fragment())
}

/// Training and validation losses of several runs, each a curve of its own colour, by name; a part that no run has is left out.
pub fn overlaid_losses(runs: &[(String, &History)]) -> Vec<String> {
    let panels = [
        overlaid("training loss", runs, &|record| record.train.get("loss")),
        overlaid("validation loss", runs, &|record| record.validation.as_ref()?.get("loss")),
    ];
    panels.into_iter().flatten().collect()
}

fn overlaid(title: &str, runs: &[(String, &History)], loss: &dyn Fn(&EpochRecord) -> Option<f64>) -> Option<String> {
    const COLOURS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let curve = |(index, (name, history)): (usize, &(String, &History))| {
        let point = |record: &EpochRecord| Some((record.epoch as f64, loss(record)?));
        let points: Vec<(f64, f64)> = history.epochs.iter().filter_map(point).collect();
        let dash = if index / COLOURS.len() % 2 == 1 { " dash" } else { "" };
        let class = format!("{}{dash}", COLOURS[index % COLOURS.len()]);
        (!points.is_empty()).then(|| Series { name: name.clone(), class, points, dots: false })
    };
    let series: Vec<Series> = runs.iter().enumerate().filter_map(curve).collect();
    let points = || series.iter().flat_map(|one| &one.points);
    let last = points().map(|point| point.0).reduce(f64::max)?;
    let mut svg = Svg::new(HALF, HEIGHT, title);
    let y = Axis::fit(points().map(|point| point.1), 5);
    let y_label = if y.log { "loss (log scale)" } else { "loss" };
    let x = Axis::whole(1.0, last.max(2.0), 10);
    let panel = Panel { title, x_label: "epoch", y_label, x, y, corner: (0.0, 0.0), size: (HALF, HEIGHT) };
    panel.frame(&mut svg);
    series.iter().for_each(|one| panel.curve(&mut svg, one));
    panel.legend(&mut svg, &series);
    Some(svg.fragment())
}

/// Training and validation curve of one score over what `x` gives; a part that never has it is left out.
fn both_parts(history: &History, name: &str, x: &dyn Fn(&EpochRecord) -> f64) -> Vec<Series> {
    let curve = |label: &str, class: &str, value: &dyn Fn(&EpochRecord) -> Option<f64>| {
        let points: Vec<_> =
            history.epochs.iter().map(|record| (x(record), value(record).unwrap_or(f64::NAN))).collect();
        let seen = history.epochs.iter().any(|record| value(record).is_some());
        seen.then(|| Series { name: label.to_string(), class: class.to_string(), points, dots: true })
    };
    let train = curve("training", "a", &|record| record.train.get(name));
    let validation = curve("validation", "b dash", &|record| record.validation.as_ref()?.get(name));
    train.into_iter().chain(validation).collect()
}

fn epochs_panel(
    svg: &mut Svg,
    name: &str,
    corner: (f64, f64),
    width: f64,
    series: &[Series],
    best_epoch: Option<usize>,
) {
    let points = || series.iter().flat_map(|one| one.points.iter());
    // Every series has a point for each epoch, in order.
    let (first, last) = (points().next().map_or(1.0, |point| point.0), points().last().map_or(1.0, |point| point.0));
    let y = Axis::fit(points().map(|point| point.1), 5);
    let y_label = if y.log { format!("{name} (log scale)") } else { name.to_string() };
    let x = Axis::whole(first, last, 10);
    let panel = Panel { title: name, x_label: "epoch", y_label: &y_label, x, y, corner, size: (width, HEIGHT) };
    panel.frame(svg);
    if let Some(epoch) = best_epoch.filter(|_| last > first) {
        panel.mark(svg, epoch as f64, "best");
    }
    for one in series {
        panel.curve(svg, one);
    }
    if series.len() > 1 {
        panel.legend(svg, series);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: usize, loss: f64, validation: Option<f64>) -> EpochRecord {
        let mut train = Scores::new();
        train.set("loss", loss);
        train.set("accuracy", 0.9);
        let validation = validation.map(|loss| {
            let mut scores = Scores::new();
            scores.set("loss", loss);
            scores
        });
        EpochRecord { epoch, step: epoch as u64 * 10, learning_rate: 0.1, seconds: 0.1, train, validation }
    }

    fn paths(svg: &str) -> Vec<String> {
        let document = roxmltree::Document::parse(svg).expect("well-formed SVG");
        let nodes = document.descendants().filter(|node| node.tag_name().name() == "path");
        nodes.map(|node| node.attribute("d").unwrap_or_default().to_string()).collect()
    }

    #[test]
    fn the_loss_picture_has_a_curve_for_each_part_and_metric() {
        let epochs = (1..=5).map(|epoch| record(epoch, 2.0 / epoch as f64, Some(1.0))).collect();
        let history = History { epochs };
        assert_eq!(main_metric(&history), Some("accuracy"));
        let svg = loss_svg(&history, None, Some(4));
        assert_eq!(paths(&svg).len(), 3, "loss twice, accuracy of the training part");
        for text in [">training<", ">validation<", ">best<", ">accuracy<", ">epoch<", ">5<"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        // Falling loss: the curve goes down the page, so y grows from the first point to the last.
        let first = paths(&svg)[0].clone();
        let ys: Vec<f64> =
            first[1..].split('L').map(|p| p.split_once(' ').expect("x y").1.parse().expect("y")).collect();
        assert_eq!(ys.len(), 5);
        assert!(ys.windows(2).all(|pair| pair[0] < pair[1]), "{ys:?}");
    }

    #[test]
    fn a_loss_over_decades_gets_a_logarithmic_axis_and_nan_a_gap() {
        let mut epochs: Vec<_> = (1..=9).map(|epoch| record(epoch, libm::exp(-(epoch as f64)), None)).collect();
        epochs[4] = record(5, f64::NAN, None);
        let svg = loss_svg(&History { epochs }, None, None);
        assert!(svg.contains("loss (log scale)"));
        assert_eq!(paths(&svg)[0].matches('M').count(), 2, "one gap, so two strokes");
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn one_epoch_and_none_are_drawn_too() {
        let svg = loss_svg(&History { epochs: vec![record(1, 0.5, Some(0.6))] }, None, Some(1));
        assert!(svg.matches("<circle").count() >= 3, "points instead of lines");
        roxmltree::Document::parse(&loss_svg(&History::default(), None, None)).expect("well-formed");
        assert_eq!(learning_rate(&History::default()), None);
    }
}
