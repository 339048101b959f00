//! What counts: each input of one row for a score, and each column of a table for the answers to all rows.

use std::ops::Range;
use std::sync::Arc;

use kernels::device::Device;
use pellucid::data::pipeline::ColumnUse;
use pellucid::data::{Features, Pipeline, Task};
use pellucid::explain::{
    Attribution, GradCam, Importance, IntegratedGradients, last_feature_map, permutation_importance,
};
use pellucid::graph::{Graph, Parameters};
use pellucid::nn::Loss;
use pellucid::train::{Part, Windows, evaluate_windows};

use super::figures::{Figures, largest};
use super::{Block, Section};
use crate::error::Outcome;
use crate::format::number;
use crate::prepare::Rows;
use crate::report::{Picture, over};

/// Rows that columns are judged on at most: more would hardly change what is said.
const JUDGED: usize = 2000;
/// Width of a bar, in characters.
const BAR: usize = 20;

/// The columns of a table that are inputs, and which values of a row each of them is.
pub fn input_columns(pipeline: &Pipeline) -> Vec<(String, Range<usize>)> {
    let mut end = 0;
    let mut columns = Vec::new();
    for (summary, used) in pipeline.columns() {
        let ColumnUse::Inputs(names) = used else { continue };
        columns.push((summary.name.clone(), end..end + names.len()));
        end += names.len();
    }
    columns
}

/// What columns count for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnImportance {
    /// What falls: `accuracy`, `r2`.
    pub metric: String,
    /// Rows that were judged, and permutations of each column.
    pub judged: [usize; 2],
    /// Name of each column, and by how much the metric falls when it is permuted; the greatest first.
    pub columns: Vec<(String, Importance)>,
}

/// How much worse a network does on `rows` with each of `columns` permuted.
///
/// # Errors
/// Data that does not fit the network.
pub fn column_importance(
    (graph, parameters, loss, task): (&Graph, &Parameters, &Loss, &Task),
    rows: &Rows,
    columns: &[(String, Range<usize>)],
    (repeats, seed): (usize, u64),
    device: &Arc<Device>,
) -> Outcome<ColumnImportance> {
    let judged = &rows.rows[..rows.len().min(JUDGED)];
    let mut data = rows.data.select(judged)?;
    let metric = if matches!(task, Task::Regression { .. }) { "r2" } else { "accuracy" };
    let mut inputs = vec![0.0; judged.len() * data.width()];
    let width = data.width();
    data.gather_features(&(0..judged.len() as u32).collect::<Vec<_>>(), &mut inputs)?;
    let mut failure = None;
    let score = |inputs: &[f32]| {
        data.features = Features::F32(inputs.to_vec());
        match evaluate_windows(graph, parameters, loss, task, &Part::all(&data), Windows::Apart, device) {
            Ok((measured, _)) => measured.scores.get(metric).unwrap_or(f64::NAN),
            Err(error) => {
                failure.get_or_insert(error);
                f64::NAN
            }
        }
    };
    let ranges: Vec<Range<usize>> = columns.iter().map(|(_, range)| range.clone()).collect();
    let found = permutation_importance((&inputs, width), &ranges, (repeats, seed), score);
    if let Some(error) = failure {
        return Err(error.into());
    }
    let mut columns: Vec<(String, Importance)> = columns.iter().map(|(name, _)| name.clone()).zip(found).collect();
    columns.sort_by(|a, b| b.1.mean.total_cmp(&a.1.mean));
    Ok(ColumnImportance { metric: metric.to_string(), judged: [judged.len(), repeats], columns })
}

impl ColumnImportance {
    /// As a part of an account.
    pub fn section(&self, top: usize) -> Section {
        let [rows, repeats] = self.judged;
        let greatest = self.columns.first().map_or(0.0, |(_, importance)| importance.mean);
        let shown = &self.columns[..self.columns.len().min(top)];
        let width = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let line = |(name, importance): &(String, Importance)| {
            let value = format!("{} ± {}", number(importance.mean), number(importance.deviation));
            format!("{name:width$}  {value:<22}{}", bar(importance.mean, greatest)).trim_end().to_string()
        };
        let mut lines: Vec<String> = shown.iter().map(line).collect();
        if self.columns.len() > shown.len() {
            lines.push(format!("and {} columns more, which count less", self.columns.len() - shown.len()));
        }
        let heading = format!("by how much {} falls on {rows} rows when a column is permuted", self.metric);
        let formula =
            format!("mean ± deviation of {repeats} permutations; of columns that say the same, each may count little");
        Section { heading: "Columns", blocks: vec![Block { heading, formula, lines }] }
    }
}

/// What a row's values add to the score of an answer; `parts` are columns with their text in the row, and the values that they are.
pub fn row_section(answer: &str, found: &Attribution, parts: &[(String, Range<usize>)], top: usize) -> Section {
    let figures = Figures::new(false);
    let of_part = |(_, range): &(String, Range<usize>)| found.inputs[range.clone()].iter().sum::<f64>();
    let sums: Vec<f64> = parts.iter().map(of_part).collect();
    let shown = largest(&sums, top);
    let greatest = shown.first().map_or(0.0, |place| sums[*place].abs());
    let width = shown.iter().map(|place| parts[*place].0.chars().count()).max().unwrap_or(0);
    let line = |place: usize| {
        let sign = if sums[place] > 0.0 { "+" } else { "" };
        let value = format!("{sign}{}", number(sums[place]));
        format!("{:width$}  {value:<11}{}", parts[place].0, bar(sums[place].abs(), greatest)).trim_end().to_string()
    };
    let mut lines = vec![format!(
        "the score is {}, that of the mean row {}; the parts below add up to the difference but for {} (of {} steps)",
        number(found.score),
        number(found.baseline),
        figures.one(found.error.abs()),
        found.steps
    )];
    lines.extend(shown.iter().map(|place| line(*place)));
    let others = parts.len() - shown.len();
    if others > 0 {
        let rest: f64 = sums.iter().sum::<f64>() - shown.iter().map(|place| sums[*place]).sum::<f64>();
        lines.push(format!("all {others} others  {}", number(rest)));
    }
    let block = Block {
        heading: format!("what adds to the score of {answer}: integrated gradients"),
        formula: "IG = (x - x') · mean of ∂s/∂x on the way from the mean row x' to x".to_string(),
        lines,
    };
    Section { heading: "Attribution", blocks: vec![block] }
}

/// A picture, and maps of what in it speaks for `class`: how much a small change of each pixel moves the score, what the pixel
/// adds to it beyond the mean picture, and where the last feature map speaks for it. Maps that a network has not are left out.
pub fn gallery(
    (graph, parameters): (&Graph, &Parameters),
    picture: &Picture,
    (inputs, class): (&[f32], usize),
    gradients: &mut IntegratedGradients,
    device: &Arc<Device>,
) -> Vec<(String, Picture)> {
    let pixels = picture.width as usize * picture.height as usize;
    let of_pixel = |values: &[f64], join: fn(f64, f64) -> f64| -> Vec<f32> {
        (0..pixels)
            .map(|pixel| values.iter().skip(pixel).step_by(pixels).copied().fold(0.0, join).max(0.0) as f32)
            .collect()
    };
    let slopes: Vec<f64> = gradients.gradient(inputs, class).iter().map(|slope| f64::from(slope.abs())).collect();
    let added = gradients.attribute(inputs, &vec![0.0; inputs.len()], class).inputs;
    let mut maps = vec![
        ("saliency: how much a small change of each pixel moves the score", of_pixel(&slopes, f64::max)),
        ("integrated gradients: what each pixel adds to the score", of_pixel(&added, |a, b| a + b)),
    ];
    let cam = last_feature_map(graph).and_then(|map| GradCam::new(graph, parameters, device.clone(), map).ok());
    maps.extend(cam.map(|mut cam| ("Grad-CAM: where the last feature map speaks for it", cam.map(inputs, class))));
    // A map in which nothing speaks for the class shows nothing.
    maps.retain(|(_, map)| map.iter().any(|value| *value > 0.0));
    let over = |(caption, map): (&str, Vec<f32>)| Some((caption.to_string(), over(picture, &map)?));
    [("the picture".to_string(), picture.clone())].into_iter().chain(maps.into_iter().filter_map(over)).collect()
}

/// A bar as long as the share of `greatest`.
fn bar(value: f64, greatest: f64) -> String {
    let share = if greatest > 0.0 { (value / greatest).clamp(0.0, 1.0) } else { 0.0 };
    "█".repeat((share * BAR as f64).round() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_adds_most_stands_first_and_all_adds_up() {
        let found =
            Attribution { inputs: vec![0.5, -2.0, 0.25, 0.25], score: 1.0, baseline: 2.0, error: 0.0, steps: 32 };
        let parts = [("a".to_string(), 0..1), ("bb = x".to_string(), 1..2), ("c".to_string(), 2..4)];
        let section = row_section("yes", &found, &parts, 2);
        let lines = &section.blocks[0].lines;
        assert!(lines[1].starts_with("bb = x  -2") && lines[1].ends_with(&"█".repeat(20)), "{lines:?}");
        assert!(lines[2].starts_with("a       +0.5"), "{lines:?}");
        assert_eq!(lines[3], "all 1 others  0.5000");
    }
}
