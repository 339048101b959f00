//! Plots as SVG: the curves of a run, and what a model gets right and wrong.

mod axis;
mod chart;
mod curves;
mod forecast;
mod heatmap;
mod quality;
mod svg;

pub use axis::{Axis, Tick};
pub use chart::{Panel, Series};
pub use curves::{learning_rate, loss_over_time, loss_svg, main_metric, overlaid_losses, run_curves};
pub use forecast::{ForecastPlot, forecast_plot};
pub use heatmap::confusion_map;
pub use quality::{
    CalibrationBin, Histogram, Residuals, RocCurve, calibration, residual_histogram, residual_scatter, roc,
};
pub use svg::{Anchor, STYLE, Svg};
