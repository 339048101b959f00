//! How far probabilities and predictions can be trusted: calibration, ROC, residuals.

use pellucid::metrics;

use super::axis::Axis;
use super::chart::{Panel, Series};
use super::svg::Svg;
use crate::format::{number, rows};

/// Rows whose predicted probability fell into one interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationBin {
    /// Mean predicted probability, 0…1.
    pub confidence: f64,
    /// Share of the rows that were right, 0…1.
    pub accuracy: f64,
    /// Rows, or their weight.
    pub count: f64,
}

/// One receiver operating characteristic.
#[derive(Clone, Debug, PartialEq)]
pub struct RocCurve {
    /// What the legend calls it: a class, or "all".
    pub name: String,
    /// (false positive rate, true positive rate), from (0, 0) to (1, 1).
    pub points: Vec<(f64, f64)>,
    /// Area under the curve.
    pub auc: f64,
}

impl From<&metrics::CalibrationBin> for CalibrationBin {
    fn from(bin: &metrics::CalibrationBin) -> CalibrationBin {
        CalibrationBin { confidence: bin.mean_probability(), accuracy: bin.frequency(), count: bin.weight }
    }
}

impl From<&metrics::Histogram> for Histogram {
    fn from(histogram: &metrics::Histogram) -> Histogram {
        Histogram { low: histogram.low, high: histogram.high, counts: histogram.counts.clone() }
    }
}

/// Predictions beside targets, row by row, in the units of the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Residuals {
    /// Name of the target.
    pub target_name: String,
    /// What was predicted.
    pub predicted: Vec<f64>,
    /// What was true; as many.
    pub target: Vec<f64>,
}

/// Rows in equal intervals from `low` to `high`.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Start of the first interval.
    pub low: f64,
    /// End of the last interval.
    pub high: f64,
    /// Rows, or their weight, in each.
    pub counts: Vec<f64>,
}

const SIDE: f64 = 420.0;
/// More dots than this only make the picture heavy; rows are then taken at even distances.
const MOST_DOTS: usize = 1500;

/// Share of right predictions over predicted probability, with the rows per interval as bars below.
pub fn calibration(bins: &[CalibrationBin]) -> String {
    let mut svg = Svg::new(SIDE, SIDE + 110.0, "calibration curve");
    let unit = || Axis::linear(0.0, 1.0, 5);
    let panel = Panel {
        title: "Calibration",
        x_label: "predicted probability",
        y_label: "share that was right",
        x: unit(),
        y: unit(),
        corner: (0.0, 0.0),
        size: (SIDE, SIDE),
    };
    panel.frame(&mut svg);
    panel.guide(&mut svg, (0.0, 0.0), (1.0, 1.0));
    let filled: Vec<_> = bins.iter().filter(|bin| bin.count > 0.0).collect();
    let points = filled.iter().map(|bin| (bin.confidence, bin.accuracy)).collect();
    panel.curve(&mut svg, &Series { name: String::new(), class: "a".to_string(), points, dots: true });

    let most = filled.iter().map(|bin| bin.count).fold(0.0, f64::max);
    let below = Panel {
        title: "",
        x_label: "",
        y_label: "rows",
        x: unit(),
        y: Axis::linear(0.0, most, 2),
        corner: (0.0, SIDE - 16.0),
        size: (SIDE, 126.0),
    };
    below.frame(&mut svg);
    for bin in filled {
        let note = format!("{} rows, right {}", rows(bin.count), number(bin.accuracy));
        below.bar(&mut svg, "soft", (bin.confidence - 0.015, bin.confidence + 0.015), bin.count, &note);
    }
    svg.fragment()
}

/// True positive rate over false positive rate, at most six curves.
pub fn roc(curves: &[RocCurve]) -> String {
    let mut svg = Svg::new(SIDE, SIDE, "ROC curve");
    let unit = || Axis::linear(0.0, 1.0, 5);
    let panel = Panel {
        title: "ROC",
        x_label: "false positive rate",
        y_label: "true positive rate",
        x: unit(),
        y: unit(),
        corner: (0.0, 0.0),
        size: (SIDE, SIDE),
    };
    panel.frame(&mut svg);
    panel.guide(&mut svg, (0.0, 0.0), (1.0, 1.0));
    let shown = curves.iter().zip(["a", "b", "c", "d", "e", "f"]);
    let series: Vec<_> = shown
        .map(|(curve, class)| Series {
            name: format!("{} (AUC {})", crate::format::shorten(&curve.name, 20, true), number(curve.auc)),
            class: class.to_string(),
            points: curve.points.clone(),
            dots: false,
        })
        .collect();
    for one in &series {
        panel.curve(&mut svg, one);
    }
    // The lower right half of a ROC plot is free of curves that are any good.
    panel.legend_inside(&mut svg, &series);
    svg.fragment()
}

/// Predicted over true values, with the line on which both are equal.
pub fn residual_scatter(residuals: &Residuals) -> String {
    let mut svg = Svg::new(SIDE, SIDE, "predicted against true values");
    let both = || residuals.predicted.iter().chain(&residuals.target).copied();
    let axis = Axis::fit_linear(both(), 5);
    let panel = Panel {
        title: "Predicted against true",
        x_label: &format!("true {}", residuals.target_name),
        y_label: &format!("predicted {}", residuals.target_name),
        x: axis.clone(),
        y: axis.clone(),
        corner: (0.0, 0.0),
        size: (SIDE, SIDE),
    };
    panel.frame(&mut svg);
    let pairs = residuals.predicted.len().min(residuals.target.len());
    for row in (0..pairs).step_by(pairs.div_ceil(MOST_DOTS).max(1)) {
        if let Some(centre) = panel.place((residuals.target[row], residuals.predicted[row])) {
            svg.circle("soft", centre, 2.5);
        }
    }
    panel.guide(&mut svg, (axis.low, axis.low), (axis.high, axis.high));
    svg.fragment()
}

/// How often the prediction was off by how much; empty intervals have no bar.
pub fn residual_histogram(target_name: &str, histogram: &Histogram) -> String {
    let Histogram { low, high, counts } = histogram;
    let x = Axis::linear(*low, *high, 6);
    let y = Axis::linear(0.0, counts.iter().copied().fold(1.0, f64::max), 5);
    let width = (high - low) / counts.len().max(1) as f64;
    let x_label = format!("predicted − true {target_name}");
    let mut svg = Svg::new(SIDE, SIDE, "histogram of residuals");
    let size = (SIDE, SIDE);
    let panel = Panel { title: "Residuals", x_label: &x_label, y_label: "rows", corner: (0.0, 0.0), size, x, y };
    panel.frame(&mut svg);
    for (bin, held) in counts.iter().enumerate().filter(|(_, held)| **held > 0.0) {
        let from = low + width * bin as f64;
        let note = format!("{} to {}: {} rows", number(from), number(from + width), rows(*held));
        panel.bar(&mut svg, "fill a", (from, from + width), *held, &note);
    }
    if panel.x.low < 0.0 && panel.x.high > 0.0 {
        panel.guide(&mut svg, (0.0, panel.y.low), (0.0, panel.y.high));
    }
    svg.fragment()
}

impl Residuals {
    /// The distribution of predicted - true. Of 500 rows and more the outermost percent on each side is gathered into the
    /// end bars, so that a few wild rows do not squeeze the rest into one. `None` without a finite residual.
    pub fn histogram(&self) -> Option<Histogram> {
        let pairs = self.predicted.iter().zip(&self.target);
        let mut errors: Vec<f64> = pairs.map(|(p, t)| p - t).filter(|error| error.is_finite()).collect();
        errors.sort_by(f64::total_cmp);
        let last = errors.len().checked_sub(1)?;
        let cut = if errors.len() >= 500 { 0.01 } else { 0.0 };
        let at = |share: f64| errors[(last as f64 * share) as usize];
        // Ends on round numbers, so that the bars fill the axis.
        let Axis { low, high, .. } = Axis::linear(at(cut), at(1.0 - cut), 6);
        let bins = (libm::sqrt(errors.len() as f64).ceil() as usize).clamp(5, 30);
        let mut counts = vec![0.0; bins];
        for error in &errors {
            let share = ((error - low) / (high - low)).clamp(0.0, 1.0);
            counts[((share * bins as f64) as usize).min(bins - 1)] += 1.0;
        }
        Some(Histogram { low, high, counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_of(svg: &str, tag: &str) -> usize {
        let document = roxmltree::Document::parse(svg).expect("well-formed SVG");
        document.descendants().filter(|node| node.tag_name().name() == tag).count()
    }

    #[test]
    fn empty_intervals_are_left_out_of_the_calibration() {
        let bin = |confidence, accuracy, count| CalibrationBin { confidence, accuracy, count };
        let svg = calibration(&[bin(0.05, f64::NAN, 0.0), bin(0.5, 0.4, 10.0), bin(0.95, 0.9, 400.0)]);
        assert_eq!(count_of(&svg, "circle"), 2);
        assert_eq!(count_of(&svg, "rect"), 2);
        assert!(svg.contains("400 rows, right 0.9000"));
        assert_eq!(count_of(&calibration(&[]), "circle"), 0);
    }

    #[test]
    fn the_roc_legend_names_class_and_area() {
        let curve = RocCurve { name: "<yes>".to_string(), points: vec![(0.0, 0.0), (0.1, 0.8), (1.0, 1.0)], auc: 0.91 };
        let svg = roc(&[curve]);
        assert_eq!(count_of(&svg, "path"), 1);
        assert!(svg.contains("&lt;yes&gt; (AUC 0.9100)"));
    }

    #[test]
    fn every_finite_residual_is_counted_once() {
        let target: Vec<f64> = (0..1000).map(f64::from).collect();
        let mut predicted: Vec<f64> = target.iter().map(|t| t + libm::sin(*t)).collect();
        predicted[7] = 1e9;
        predicted[8] = f64::NAN;
        let residuals = Residuals { target_name: "price".to_string(), predicted, target };
        let svg = residual_histogram("price", &residuals.histogram().expect("finite residuals"));
        let document = roxmltree::Document::parse(&svg).expect("well-formed SVG");
        let notes = document.descendants().filter(|node| node.tag_name().name() == "title");
        let rows = notes.filter_map(|node| node.text()?.rsplit(' ').nth(1)?.parse::<u64>().ok());
        assert_eq!(rows.sum::<u64>(), 999);
        assert_eq!(count_of(&residual_scatter(&residuals), "circle"), 999);
        assert_eq!(Residuals::default().histogram(), None);
    }
}
