//! Curves over the epochs of a run.

use pellucid::metrics::Scores;
use pellucid::train::{EpochRecord, History};

use super::axis::Axis;
use super::chart::{Panel, Series};
use super::svg::Svg;

const WIDTH: f64 = 760.0;
const PANEL: f64 = 300.0;

/// `loss.svg`: training and validation loss over the epochs, below it the main metric if the history has one.
///
/// `best_epoch` is marked; `metric` defaults to [`main_metric`].
pub fn loss_svg(history: &History, metric: Option<&str>, best_epoch: Option<usize>) -> String {
    draw(history, metric, best_epoch).document()
}

/// The picture of [`loss_svg`] as a part of a page that holds [`STYLE`](super::STYLE).
pub fn run_curves(history: &History, metric: Option<&str>, best_epoch: Option<usize>) -> String {
    draw(history, metric, best_epoch).fragment()
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
    let mut svg = Svg::new(WIDTH, 220.0, "learning rate over epochs");
    epochs_panel(&mut svg, history, "Learning rate", "learning rate", 0.0, 220.0, &series, None);
    Some(svg.fragment())
}

fn draw(history: &History, metric: Option<&str>, best_epoch: Option<usize>) -> Svg {
    let loss = both_parts(history, "loss");
    let metric = metric.or_else(|| main_metric(history)).map(|name| (name, both_parts(history, name)));
    let metric = metric.filter(|(_, series)| !series.is_empty());
    let height = if metric.is_some() { 2.0 * PANEL } else { PANEL };
    let mut svg = Svg::new(WIDTH, height, "loss and main metric over epochs");
    epochs_panel(&mut svg, history, "Loss", "loss", 0.0, PANEL, &loss, best_epoch);
    if let Some((name, series)) = metric {
        epochs_panel(&mut svg, history, name, name, PANEL, PANEL, &series, best_epoch);
    }
    svg
}

/// Training and validation curve of one score; a part that never has it is left out.
fn both_parts(history: &History, name: &str) -> Vec<Series> {
    let curve = |label: &str, class: &str, value: &dyn Fn(&EpochRecord) -> Option<f64>| {
        let points: Vec<_> =
            history.epochs.iter().map(|record| (record.epoch as f64, value(record).unwrap_or(f64::NAN))).collect();
        let seen = history.epochs.iter().any(|record| value(record).is_some());
        seen.then(|| Series { name: label.to_string(), class: class.to_string(), points, dots: true })
    };
    let train = curve("training", "a", &|record| record.train.get(name));
    let validation = curve("validation", "b dash", &|record| record.validation.as_ref()?.get(name));
    train.into_iter().chain(validation).collect()
}

#[expect(clippy::too_many_arguments, reason = "private; place and content of one panel")]
fn epochs_panel(
    svg: &mut Svg,
    history: &History,
    title: &str,
    y_label: &str,
    top: f64,
    height: f64,
    series: &[Series],
    best_epoch: Option<usize>,
) {
    let first = history.epochs.first().map_or(1, |record| record.epoch) as f64;
    let last = history.epochs.last().map_or(1, |record| record.epoch) as f64;
    let y = Axis::fit(series.iter().flat_map(|one| one.points.iter().map(|point| point.1)), 5);
    let y_label = if y.log { format!("{y_label} (log scale)") } else { y_label.to_string() };
    let x = Axis::whole(first, last, 10);
    let corner = (0.0, top);
    let panel = Panel { title, x_label: "epoch", y_label: &y_label, x, y, corner, size: (WIDTH, height) };
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
