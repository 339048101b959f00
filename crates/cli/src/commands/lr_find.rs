//! `pellucid lr-find`.

use pellucid::train::{RatePoint, RateRange, proposed_rate, rate_range};
use serde_json::json;

use crate::args::LrFindArgs;
use crate::device::device;
use crate::error::{Failure, Outcome};
use crate::format::number;
use crate::ready::{ready, resolve};
use crate::say::Say;
use crate::terminal::{Align, Ink, Screen, Table};

/// Lines of the table.
const LINES: usize = 24;
/// Width of a bar.
const BAR: usize = 30;

/// Tries all learning rates in one short run, and proposes one.
pub fn run(arguments: LrFindArgs) -> Outcome<()> {
    let LrFindArgs { data, min_lr, max_lr, steps, settings, look } = arguments;
    let say = Say::new(look);
    let (word, settings) = resolve(&data, settings)?;
    let device = device(settings.isa.as_deref(), settings.threads)?;
    let (prepared, recipe) = ready(word, settings, look.quiet || look.json)?;
    let range = RateRange { from: min_lr, to: max_lr, steps: steps as usize };
    let train = prepared.train.part();
    let (start, options) = (recipe.start(&device), &recipe.options);
    let points = rate_range(&recipe.graph, start, &recipe.loss, &train, options, range, &device)?;
    if points.is_empty() {
        return Err(Failure::new(
            "the loss of the first batch is not finite; look at the data with `pellucid diagnose`",
        ));
    }
    let rate = proposed_rate(&points);
    say.head(&format!("{}\n{}, {} steps\n\n", recipe.words, recipe.options.optimizer.name(), points.len()))?;
    say.result(&curve(&points, rate, &say.screen))?;
    say.result(&match rate {
        Some(rate) => format!("\ntry --lr {rate:.1e}, where the loss falls fastest\n"),
        None => "\nthe loss does not fall at any of these rates; look for other reasons with `pellucid diagnose`\n"
            .to_string(),
    })?;
    let listed: Vec<_> = points
        .iter()
        .map(|point| json!({"rate": point.rate, "loss": point.loss, "smoothed": point.smoothed}))
        .collect();
    say.json(&json!({"proposed": rate, "points": listed}))
}

/// The smoothed loss over the rates, as bars.
fn curve(points: &[RatePoint], proposed: Option<f64>, screen: &Screen) -> String {
    let mut table = Table::new(&[("rate", Align::Right), ("loss", Align::Right), ("", Align::Left), ("", Align::Left)]);
    let shown = points.len().min(LINES);
    let at = |line: usize| line * (points.len() - 1) / (shown - 1).max(1);
    let greatest = points.iter().map(|point| point.smoothed).fold(f64::MIN_POSITIVE, f64::max);
    let near = proposed.map(|rate| {
        let distance = |line: &usize| libm::log(points[at(*line)].rate / rate).abs();
        (0..shown).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
    });
    let block = if screen.unicode { "█" } else { "#" };
    for line in 0..shown {
        let point = &points[at(line)];
        let bar = block.repeat((point.smoothed / greatest * BAR as f64).round().max(1.0) as usize);
        let is_near = near == Some(line);
        let word = if is_near { "proposed" } else { "" };
        let cells = [format!("{:.1e}", point.rate), number(point.smoothed), bar, word.to_string()];
        table.inked_row(cells.map(|cell| (cell, is_near.then_some(Ink::Strong))));
    }
    table.draw(screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_marks_the_proposed_rate() {
        let point = |i: i32| {
            let loss = 1.0 + f64::from((i - 60).pow(2)) / 1000.0;
            RatePoint { rate: libm::pow(10.0, f64::from(i) / 20.0 - 5.0), loss, smoothed: loss }
        };
        let points: Vec<RatePoint> = (0..100).map(point).collect();
        for width in [80, 120] {
            let screen = Screen { width, unicode: false, color: false, terminal: false };
            let shown = curve(&points, Some(1e-3), &screen);
            assert!(shown.lines().count() <= LINES + 2 && shown.lines().all(|line| line.len() <= width), "{shown}");
            let marked: Vec<&str> = shown.lines().filter(|line| line.contains("proposed")).collect();
            assert!(marked.len() == 1 && marked[0].contains("e-3") || marked[0].contains("e-4"), "{shown}");
        }
        assert_eq!(
            curve(&points[..1], None, &Screen { width: 80, unicode: true, color: false, terminal: false })
                .lines()
                .count(),
            2
        );
    }
}
