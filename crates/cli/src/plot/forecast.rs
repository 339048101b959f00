//! Forecasts against what happened.

use super::axis::Axis;
use super::chart::{Panel, Series};
use super::svg::Svg;

const WIDTH: f64 = 1046.0;
const HEIGHT: f64 = 320.0;

/// The end of a series, and forecasts of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForecastPlot {
    /// Name of the column.
    pub name: String,
    /// Step and value of what happened.
    pub truth: Vec<(f64, f64)>,
    /// Steps and values of each forecast, one after the other.
    pub forecasts: Vec<Vec<(f64, f64)>>,
}

/// A part of a page that holds [`STYLE`](super::STYLE).
pub fn forecast_plot(plot: &ForecastPlot) -> String {
    let ForecastPlot { name, truth, forecasts } = plot;
    let title = format!("{name}: forecast and truth");
    let mut svg = Svg::new(WIDTH, HEIGHT, &title);
    let points = || truth.iter().chain(forecasts.iter().flatten());
    let (first, last) = (truth.first().map_or(0.0, |point| point.0), truth.last().map_or(1.0, |point| point.0));
    let y = Axis::fit_linear(points().map(|point| point.1), 6);
    let x = Axis::linear(first, last, 12);
    let (corner, size) = ((0.0, 0.0), (WIDTH, HEIGHT));
    let panel = Panel { title: &title, x_label: "step", y_label: name, x, y, corner, size };
    panel.frame(&mut svg);
    let curve = |name: &str, class: &str, points: Vec<(f64, f64)>| Series {
        name: name.to_string(),
        class: class.to_string(),
        points,
        dots: true,
    };
    // A point that is not finite breaks the line between two forecasts.
    let broken = forecasts.iter().flat_map(|one| one.iter().copied().chain([(f64::NAN, f64::NAN)])).collect();
    let series = [curve("truth", "a", truth.clone()), curve("forecast", "b", broken)];
    series.iter().for_each(|one| panel.curve(&mut svg, one));
    panel.legend(&mut svg, &series);
    svg.fragment()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forecasts_do_not_run_into_each_other() {
        let truth: Vec<(f64, f64)> = (0..8).map(|step| (f64::from(step), f64::from(step * step))).collect();
        let forecasts = vec![vec![(4.0, 15.0), (5.0, 26.0)], vec![(6.0, 35.0), (7.0, 50.0)]];
        let svg = forecast_plot(&ForecastPlot { name: "a<b".to_string(), truth, forecasts });
        let document = roxmltree::Document::parse(&svg).expect("well-formed");
        let lines = document.descendants().filter_map(|node| node.attribute("d"));
        let begun: Vec<usize> = lines.map(|line| line.matches('M').count()).collect();
        assert!(begun.contains(&1) && begun.contains(&2), "the truth, and two forecasts: {svg}");
        assert!(svg.contains("a&lt;b"));
        forecast_plot(&ForecastPlot::default());
    }
}
