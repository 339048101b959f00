//! `report.html`: everything about a run on one page that needs no network and no script.

mod heat;
pub(crate) mod page;
mod picture;
mod samples;

use std::fmt::Write;

use pellucid::metrics;
use pellucid::metrics::Scores;
use pellucid::train::History;

pub use heat::over;
pub use picture::{Picture, Pictures};
pub use samples::augmented;

use crate::classes::{ClassScores, Confusion};
use crate::explain::ColumnImportance;
use crate::forecasts::Forecasts;
use crate::format::{count, number, numbers, percent, rows, short};
use crate::markup::escape;
use crate::network_table::bytes;
use crate::plot;
use crate::plot::{CalibrationBin, Histogram, Residuals, RocCurve};
use page::{Cell, Page, facts, table};

/// What the report shows. Parts that are empty are left out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Heading: what was trained on what.
    pub title: String,
    /// Facts about the run: task, seed, threads, instruction set, seconds, date, …
    pub facts: Vec<(String, String)>,
    /// What went wrong or may mislead, in sentences.
    pub warnings: Vec<String>,
    /// Metrics of each part of the data, by its name (`train`, `validation`, `test`).
    pub metrics: Vec<(String, Scores)>,
    /// The metric for tiles and curves; by default the first beside the loss.
    pub main_metric: Option<String>,
    /// The epochs.
    pub history: History,
    /// The epoch whose weights were kept.
    pub best_epoch: Option<usize>,
    /// The part of the data that everything below is about: `test`.
    pub judged_part: String,
    /// True against predicted classes.
    pub confusion: Option<Confusion>,
    /// Scores of each class.
    pub classes: Vec<ClassScores>,
    /// How often predicted probabilities came true.
    pub calibration: Vec<CalibrationBin>,
    /// Receiver operating characteristics.
    pub roc: Vec<RocCurve>,
    /// Predictions and targets of a regression.
    pub residuals: Option<Residuals>,
    /// Distribution of predicted - target; computed from `residuals` if it is `None`.
    pub residual_histogram: Option<Histogram>,
    /// What was done to training pictures at random, in words, and some of them with what became of them.
    pub augmentation: Option<(String, Picture)>,
    /// The network in one line of notation.
    pub network: String,
    /// Its layers.
    pub layers: Vec<LayerRow>,
    /// Filters of its first convolution: grey where a weight is zero.
    pub filters: Vec<Picture>,
    /// Pictures with the places that speak for a class.
    pub class_maps: Vec<ClassMap>,
    /// Facts about the data: rows of each part, where it came from, …
    pub data_facts: Vec<(String, String)>,
    /// Its columns.
    pub columns: Vec<ColumnRow>,
    /// What its columns count for.
    pub importance: Option<ColumnImportance>,
    /// Rows that the model got wrong, the surest first.
    pub mistakes: Vec<Mistake>,
    /// Forecasts of a series, beside simpler ones.
    pub forecasts: Option<Forecasts>,
    /// A text that the model has written.
    pub written: Option<String>,
    /// The configuration that repeats the run, as TOML.
    pub config: String,
}

/// A table of scores: a line for each metric, a column for each named set of them.
fn scores_of(columns: &[(String, Scores)]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in columns.iter().flat_map(|(_, scores)| scores.iter()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let parts = columns.iter().map(|(part, _)| Cell::Number(part.clone()));
    let heads: Vec<Cell> = [Cell::Text("metric".to_string())].into_iter().chain(parts).collect();
    let line = |name: &&str| {
        let values: Vec<Option<f64>> = columns.iter().map(|(_, scores)| scores.get(name)).collect();
        let mut texts = numbers(&values.iter().flatten().copied().collect::<Vec<_>>()).into_iter();
        let cells = values.iter().map(|value| match value {
            Some(_) => Cell::Number(texts.next().unwrap_or_default()),
            None => Cell::Number("–".to_string()),
        });
        [Cell::Text(name.to_string())].into_iter().chain(cells).collect()
    };
    table(&heads, &names.iter().map(line).collect::<Vec<_>>(), &[])
}

/// A line of the network table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerRow {
    /// What it is: `dense 128 relu`.
    pub layer: String,
    /// Shape of its output, the batch first: `[batch, 128]`.
    pub output: String,
    /// Trainable numbers.
    pub parameters: u64,
    /// Floating-point operations of the forward pass for one row.
    pub flops: u64,
    /// Bytes of its output for one row.
    pub values: u64,
    /// Bytes that a training step keeps of it for the backward pass, for one row.
    pub kept: u64,
}

/// A picture, and how much each of its places speaks for classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassMap {
    /// The picture.
    pub picture: Option<Picture>,
    /// The true class.
    pub truth: String,
    /// For the predicted class and, if that is another, for the true one.
    pub classes: Vec<ClassEvidence>,
}

/// What speaks for a class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassEvidence {
    /// The class.
    pub class: String,
    /// Its predicted probability, 0…1.
    pub probability: f64,
    /// Numbers from 0 on, one for each pixel of the picture.
    pub map: Vec<f32>,
}

/// A line of the data table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnRow {
    /// Name of the column.
    pub name: String,
    /// What it holds and is used for: `number`, `category`, `target`, …
    pub kind: String,
    /// Rows without a value.
    pub missing: u64,
    /// Its values in a few words: `38.6 ± 13.6, 17…90`, `9 values, most often Private (69.7 %)`.
    pub summary: String,
}

/// A row that the model got wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mistake {
    /// Its picture, if rows are images.
    pub picture: Option<Picture>,
    /// The row in words, if they are not: `age = 39, workclass = Private`.
    pub text: String,
    /// The true class or value.
    pub truth: String,
    /// What was predicted.
    pub predicted: String,
    /// Probability of the prediction, 0…1.
    pub probability: Option<f64>,
}

/// Columns whose importance is shown.
const IMPORTANT_COLUMNS: usize = 30;
/// Pixels of the screen that a small picture is enlarged to, and a filter.
const PICTURE_SIDE: u32 = 112;
const FILTER_SIDE: u32 = 48;
/// The same for augmented pictures side by side.
const SAMPLES_SIDE: u32 = 720;

/// More rows than this make a table that nobody reads; the rest is counted below it.
const MOST_ROWS: usize = 200;

impl Report {
    /// The page. All text of the report is escaped: names of classes and columns come from files and may be hostile.
    pub fn html(&self) -> String {
        let mut page = Page::new(&self.title);
        self.head(&mut page);
        self.metrics_section(&mut page);
        self.curves_section(&mut page);
        self.forecasts_section(&mut page);
        self.written_section(&mut page);
        self.augmentation_section(&mut page);
        self.classes_section(&mut page);
        self.trust_section(&mut page);
        self.mistakes_section(&mut page);
        self.importance_section(&mut page);
        self.class_maps_section(&mut page);
        self.network_section(&mut page);
        self.filters_section(&mut page);
        self.data_section(&mut page);
        if !self.config.is_empty() {
            page.section("configuration", "Configuration");
            page.paragraph("Saved as config.toml, it repeats this run.");
            page.raw(&format!("<pre>{}</pre>", escape(&self.config)));
        }
        page.finish()
    }

    /// Takes over what was measured on `part`: confusion matrix, scores of the classes, calibration, ROC curve and residuals.
    /// `classes` are the names of the classes or labels; of two classes the last is the positive one.
    pub fn judge(&mut self, part: &str, measured: &metrics::Report, classes: &[String]) {
        self.judged_part = part.to_string();
        self.confusion = measured.confusion.as_ref().map(|matrix| Confusion::named(matrix, classes));
        self.classes = ClassScores::named(&measured.per_class, classes);
        self.calibration = measured.calibration.iter().flat_map(|one| &one.bins).map(CalibrationBin::from).collect();
        let points = measured.roc.iter().map(|point| (point.false_positive_rate, point.true_positive_rate));
        let curve = || RocCurve {
            name: classes.last().cloned().unwrap_or_default(),
            points: points.collect(),
            auc: measured.scores.get("roc_auc").unwrap_or(f64::NAN),
        };
        self.roc = if measured.roc.is_empty() { Vec::new() } else { vec![curve()] };
        self.residual_histogram = measured.residuals.as_ref().map(Histogram::from);
    }

    fn main_metric(&self) -> Option<&str> {
        let first = || self.metrics.iter().flat_map(|(_, scores)| scores.iter()).map(|(name, _)| name);
        self.main_metric.as_deref().or_else(|| first().find(|name| *name != "loss"))
    }

    fn head(&self, page: &mut Page) {
        if !self.network.is_empty() {
            page.head(&format!("<p class=\"network\"><code>{}</code></p>\n", escape(&self.network)));
        }
        if let Some(name) = self.main_metric() {
            let mut tiles = String::new();
            // What was measured on data held out comes first.
            for (part, scores) in self.metrics.iter().rev() {
                if let Some(value) = scores.get(name) {
                    let label = escape(part);
                    let name = escape(name);
                    let _ = write!(
                        tiles,
                        r#"<div class="tile"><b>{}</b><span>{name}, {label}</span></div>"#,
                        number(value)
                    );
                }
            }
            if !tiles.is_empty() {
                page.head(&format!("<div class=\"tiles\">{tiles}</div>\n"));
            }
        }
        if !self.warnings.is_empty() {
            let items: String = self.warnings.iter().map(|text| format!("<li>{}</li>", escape(text))).collect();
            page.head(&format!("<div class=\"warnings\"><ul>{items}</ul></div>\n"));
        }
        if !self.facts.is_empty() {
            page.head(&format!("<div class=\"card\">{}</div>\n", facts(&self.facts)));
        }
    }

    fn metrics_section(&self, page: &mut Page) {
        if self.metrics.iter().all(|(_, scores)| scores.is_empty()) {
            return;
        }
        page.section("metrics", "Metrics");
        page.cards(&[scores_of(&self.metrics)]);
    }

    fn curves_section(&self, page: &mut Page) {
        if self.history.epochs.is_empty() {
            return;
        }
        page.section("training", "Training");
        let mut plots = plot::run_curves(&self.history, self.main_metric(), self.best_epoch);
        plots.extend(plot::loss_over_time(&self.history));
        // A rate that never changes is a fact, not a curve.
        let rates = || self.history.epochs.iter().map(|record| record.learning_rate);
        if rates().any(|rate| Some(rate) != rates().next()) {
            plots.extend(plot::learning_rate(&self.history));
        }
        page.cards(&plots);
    }

    fn forecasts_section(&self, page: &mut Page) {
        let Some(forecasts) = &self.forecasts else { return };
        page.section("forecasts", "Forecasts");
        let part = self.part_words();
        page.paragraph(&format!(
            "Steps {part}as they were forecast, each forecast from where the one before ended. A mase below 1 is better than \
             what repeats the last season was over the steps to learn from."
        ));
        page.cards(&forecasts.plots.iter().map(plot::forecast_plot).collect::<Vec<_>>());
        page.cards(&[scores_of(&forecasts.scores)]);
    }

    fn written_section(&self, page: &mut Page) {
        let Some(text) = &self.written else { return };
        page.section("written", "What it writes");
        page.paragraph("Without a beginning, at temperature 0.8; `pellucid generate` writes more.");
        page.raw(&format!("<pre class=\"text\">{}</pre>", escape(text)));
    }

    fn augmentation_section(&self, page: &mut Page) {
        let Some((words, picture)) = &self.augmentation else { return };
        let Some(element) = picture.element("augmented pictures", SAMPLES_SIDE) else { return };
        page.section("augmentation", "Augmentation");
        page.paragraph(&format!(
            "{words}. On the left training pictures as they are stored, beside them what was learnt from in the first epochs."
        ));
        page.cards(&[format!("<figure>{element}</figure>")]);
    }

    fn classes_section(&self, page: &mut Page) {
        if self.confusion.is_none() && self.classes.is_empty() {
            return;
        }
        page.section("classes", "Classes");
        if let Some(matrix) = &self.confusion {
            let wrong = matrix.total() - matrix.correct();
            let total = matrix.total();
            let share = percent(wrong / total.max(1.0));
            let part = self.part_words();
            page.paragraph(&format!("{} of {} rows {part}are wrong ({share}).", rows(wrong), rows(total)));
            page.cards(&[plot::confusion_map(matrix)]);
            let mixups = matrix.mixups(if matrix.classes() > 20 { 20 } else { 8 });
            if matrix.classes() > 2 && !mixups.is_empty() {
                page.raw("<h3>Most frequent mistakes</h3>");
                let name = |class: usize| Cell::Text(matrix.names()[class].clone());
                let heads = ["true", "predicted"].map(|head| Cell::Text(head.to_string()));
                let more = ["rows", "of the true class"].map(|head| Cell::Number(head.to_string()));
                let heads: Vec<Cell> = heads.into_iter().chain(more).collect();
                let line = |mixup: &crate::classes::Mixup| {
                    let figures = [rows(mixup.count), percent(mixup.share)].map(Cell::Number);
                    [name(mixup.truth), name(mixup.predicted)].into_iter().chain(figures).collect()
                };
                page.cards(&[table(&heads, &mixups.iter().map(line).collect::<Vec<_>>(), &[])]);
            }
        }
        if !self.classes.is_empty() {
            page.raw("<h3>Per class</h3>");
            let heads = ["precision", "recall", "f1", "support"].map(|head| Cell::Number(head.to_string()));
            let heads: Vec<Cell> = [Cell::Text("class".to_string())].into_iter().chain(heads).collect();
            let score = |value: f64| if value.is_nan() { "–".to_string() } else { format!("{value:.4}") };
            let line = |class: &ClassScores| {
                let scores = [class.precision, class.recall, class.f1].map(score);
                let figures = scores.into_iter().chain([rows(class.support)]).map(Cell::Number);
                [Cell::Text(class.name.clone())].into_iter().chain(figures).collect()
            };
            let lines: Vec<_> = self.classes.iter().take(MOST_ROWS).map(line).collect();
            page.cards(&[table(&heads, &lines, &[])]);
            self.count_rest(page, self.classes.len(), "classes");
        }
    }

    fn trust_section(&self, page: &mut Page) {
        let mut plots = Vec::new();
        if self.calibration.iter().any(|bin| bin.count > 0.0) {
            plots.push(plot::calibration(&self.calibration));
        }
        if !self.roc.is_empty() {
            plots.push(plot::roc(&self.roc));
        }
        if !plots.is_empty() {
            page.section("probabilities", "Probabilities");
            if self.calibration.iter().any(|bin| bin.count > 0.0) {
                page.paragraph("Calibrated probabilities lie on the diagonal: what is predicted with 80 % is right in 80 of 100 cases.");
            }
            page.cards(&plots);
        }
        let residuals = self.residuals.as_ref();
        let computed = residuals.and_then(Residuals::histogram);
        if let Some(histogram) = self.residual_histogram.as_ref().or(computed.as_ref()) {
            page.section("residuals", "Residuals");
            let name = residuals.map_or("", |residuals| residuals.target_name.as_str());
            let mut plots: Vec<String> = residuals.map(plot::residual_scatter).into_iter().collect();
            plots.push(plot::residual_histogram(name, histogram));
            page.cards(&plots);
        }
    }

    fn mistakes_section(&self, page: &mut Page) {
        if self.mistakes.is_empty() {
            return;
        }
        page.section("mistakes", "Wrong examples");
        let part = self.part_words();
        page.paragraph(&if self.residuals.is_some() {
            format!("Rows {part}whose values are furthest from those predicted.")
        } else {
            format!("Rows {part}that the model got wrong, those first of which it was surest.")
        });
        let mut out = String::from(r#"<div class="gallery">"#);
        for mistake in &self.mistakes {
            out.push_str("<figure>");
            if let Some(picture) = &mistake.picture {
                out.extend(picture.element(&mistake.truth, PICTURE_SIDE));
            }
            let sure = mistake.probability.map_or(String::new(), |share| format!(" ({})", percent(share)));
            let (predicted, truth) = (escape(&mistake.predicted), escape(&mistake.truth));
            let _ = write!(out, "<figcaption>predicted <em>{predicted}</em>{sure}<br/>true <b>{truth}</b>");
            if !mistake.text.is_empty() {
                let _ = write!(out, "<br/>{}", escape(&mistake.text));
            }
            out.push_str("</figcaption></figure>\n");
        }
        page.raw(&(out + "</div>"));
    }

    fn importance_section(&self, page: &mut Page) {
        let Some(found) = self.importance.as_ref().filter(|found| !found.columns.is_empty()) else { return };
        page.section("importance", "What the columns count for");
        page.paragraph(&format!(
            "By how much {} falls on {} rows {}when a column is permuted, and so says nothing: mean and standard deviation of {} \
             permutations. Of columns that say the same, each may count little.",
            found.metric,
            count(found.judged[0] as u64),
            self.part_words(),
            found.judged[1]
        ));
        let greatest = found.columns[0].1.mean.max(f64::MIN_POSITIVE);
        let mut out = String::from("<div class=\"card bars\">");
        for (name, importance) in found.columns.iter().take(IMPORTANT_COLUMNS) {
            let share = (importance.mean / greatest).clamp(0.0, 1.0) * 100.0;
            let _ = write!(
                out,
                r#"<div><span>{}</span><i style="width:{share:.1}%"></i><b>{} ± {}</b></div>"#,
                escape(name),
                number(importance.mean),
                number(importance.deviation)
            );
        }
        page.raw(&(out + "</div>"));
        if found.columns.len() > IMPORTANT_COLUMNS {
            let more = found.columns.len() - IMPORTANT_COLUMNS;
            page.paragraph(&format!("And {more} columns more, which count less."));
        }
    }

    fn class_maps_section(&self, page: &mut Page) {
        if self.class_maps.is_empty() {
            return;
        }
        page.section("class-maps", "Where it looks");
        let part = self.part_words();
        page.paragraph(&format!(
            "Which places of some pictures {part}speak for a class (Grad-CAM on the last feature map): yellow the most, violet \
             not at all. Beside a picture that was mistaken stands also what speaks for its true class."
        ));
        let mut out = String::from(r#"<div class="gallery maps">"#);
        for entry in &self.class_maps {
            let Some(picture) = &entry.picture else { continue };
            let truth = escape(&entry.truth);
            let _ = write!(
                out,
                r#"<figure><div><span>{}"#,
                picture.element(&entry.truth, PICTURE_SIDE).unwrap_or_default()
            );
            let _ = write!(out, "true <b>{truth}</b></span>");
            for evidence in &entry.classes {
                let class = escape(&evidence.class);
                let shown =
                    heat::over(picture, &evidence.map).and_then(|map| map.element(&evidence.class, PICTURE_SIDE));
                let tag = if evidence.class == entry.truth { "b" } else { "em" };
                let share = percent(evidence.probability);
                let _ = write!(out, "<span>{}<{tag}>{class}</{tag}> {share}</span>", shown.unwrap_or_default());
            }
            out.push_str("</div></figure>\n");
        }
        page.raw(&(out + "</div>"));
    }

    fn filters_section(&self, page: &mut Page) {
        if self.filters.is_empty() {
            return;
        }
        page.section("filters", "First filters");
        let colours = self.filters.iter().any(|filter| filter.channels == 3);
        let reading = if colours {
            "Grey is a weight of zero. Where a tile has a colour, that colour in a picture raises the output of the filter, and \
             the opposite colour lowers it."
        } else {
            "Grey is a weight of zero. Where a tile is lighter, bright pixels raise the output of the filter; where it is \
             darker, they lower it."
        };
        page.paragraph(&format!(
            "Each tile is a filter of the first convolution. {reading} All have one scale, so filters that are grey all over \
             do little."
        ));
        let mut out = String::from(r#"<div class="card tiny">"#);
        for (number, filter) in self.filters.iter().take(MOST_ROWS).enumerate() {
            out.extend(filter.element(&format!("filter {number}"), FILTER_SIDE));
        }
        page.raw(&(out + "</div>"));
        self.count_rest(page, self.filters.len(), "filters");
    }

    fn network_section(&self, page: &mut Page) {
        if self.layers.is_empty() {
            return;
        }
        page.section("network", "Network");
        let heads = ["layer", "output"].map(|head| Cell::Text(head.to_string()));
        let heads = heads
            .into_iter()
            .chain(["parameters", "FLOPs", "values", "kept"].map(|head| Cell::Number(head.to_string())));
        let line = |row: &LayerRow| {
            let figures = [count(row.parameters), short(row.flops as f64)];
            let memory = [row.values, row.kept].map(|value| bytes(value as usize));
            let texts = [row.layer.clone(), row.output.clone()].map(Cell::Text);
            texts.into_iter().chain(figures.into_iter().chain(memory).map(Cell::Number)).collect::<Vec<_>>()
        };
        let lines: Vec<_> = self.layers.iter().map(line).collect();
        let sum = |part: fn(&LayerRow) -> u64| self.layers.iter().map(part).sum();
        let total = line(&LayerRow {
            layer: "total".to_string(),
            output: String::new(),
            parameters: sum(|row| row.parameters),
            flops: sum(|row| row.flops),
            values: sum(|row| row.values),
            kept: sum(|row| row.kept),
        });
        page.paragraph(
            "FLOPs of the forward pass, the values of the output and what is kept of them for the backward pass are those of one \
             row.",
        );
        page.cards(&[table(&heads.collect::<Vec<_>>(), &lines, &[total])]);
    }

    fn data_section(&self, page: &mut Page) {
        if self.data_facts.is_empty() && self.columns.is_empty() {
            return;
        }
        page.section("data", "Data");
        if !self.data_facts.is_empty() {
            page.cards(&[facts(&self.data_facts)]);
        }
        if !self.columns.is_empty() {
            page.raw("<h3>Columns</h3>");
            let text = |text: &str| Cell::Text(text.to_string());
            let heads = [text("column"), text("kind"), Cell::Number("missing".to_string()), text("values")];
            let line = |column: &ColumnRow| {
                let missing = if column.missing == 0 { "–".to_string() } else { count(column.missing) };
                vec![text(&column.name), text(&column.kind), Cell::Number(missing), text(&column.summary)]
            };
            let lines: Vec<_> = self.columns.iter().take(MOST_ROWS).map(line).collect();
            page.cards(&[table(&heads, &lines, &[])]);
            self.count_rest(page, self.columns.len(), "columns");
        }
    }

    fn count_rest(&self, page: &mut Page, all: usize, what: &str) {
        if all > MOST_ROWS {
            page.paragraph(&format!("The first {MOST_ROWS} of {} {what}.", count(all as u64)));
        }
    }

    /// `of the test part `, or nothing if the part is not named.
    fn part_words(&self) -> String {
        if self.judged_part.is_empty() { String::new() } else { format!("of the {} part ", self.judged_part) }
    }
}

#[cfg(test)]
mod tests {
    use pellucid::train::EpochRecord;

    use pellucid::explain::Importance;

    use super::*;

    const HOSTILE: &str = "</td><script>alert(\"1\")</script>'&<!--\0\u{202e}";

    /// A report in which every text is hostile.
    fn hostile() -> Report {
        let text = || HOSTILE.to_string();
        let mut scores = Scores::new();
        scores.set("loss", 0.123_456);
        scores.set(HOSTILE, 0.971_234);
        let record = |epoch: usize| EpochRecord {
            epoch,
            step: epoch as u64,
            learning_rate: 0.1 / epoch as f64,
            seconds: 1.0,
            train: scores.clone(),
            validation: Some(scores.clone()),
        };
        let class = || ClassScores { name: text(), precision: 0.8123, recall: f64::NAN, f1: 0.5, support: 1234.0 };
        let picture = Picture { width: 2, height: 1, channels: 1, pixels: vec![0, 255] };
        let evidence = || ClassEvidence { class: text(), probability: 0.625, map: vec![0.0, 1.0] };
        Report {
            title: text(),
            facts: vec![(text(), text())],
            warnings: vec![text()],
            metrics: vec![(text(), scores.clone())],
            main_metric: None,
            history: History { epochs: vec![record(1), record(2)] },
            best_epoch: Some(2),
            judged_part: text(),
            confusion: Some(Confusion::new(
                vec![text(), text(), text()],
                vec![7.0, 2.0, 0.0, 3.5, 8.0, 0.0, 0.0, 0.0, 1.0],
            )),
            classes: vec![class(), class()],
            calibration: vec![CalibrationBin { confidence: 0.5, accuracy: 0.6, count: 10.0 }],
            roc: vec![RocCurve { name: text(), points: vec![(0.0, 0.0), (1.0, 1.0)], auc: 0.5 }],
            residuals: Some(Residuals { target_name: text(), predicted: vec![1.0, 2.0], target: vec![1.5, 2.0] }),
            residual_histogram: None,
            augmentation: Some((text(), picture.clone())),
            forecasts: Some(Forecasts {
                part: "test",
                scores: vec![(text(), Scores::new())],
                plots: vec![plot::ForecastPlot { name: text(), ..Default::default() }],
            }),
            written: Some(text()),
            network: text(),
            layers: vec![LayerRow {
                layer: text(),
                output: text(),
                parameters: 100_480,
                flops: 200_832,
                values: 512,
                kept: 1024,
            }],
            filters: vec![picture.clone(), Picture { channels: 3, pixels: vec![9; 6], ..picture.clone() }],
            class_maps: vec![ClassMap {
                picture: Some(picture.clone()),
                truth: text(),
                classes: vec![evidence(), ClassEvidence { map: vec![1.0], ..evidence() }],
            }],
            data_facts: vec![(text(), text())],
            columns: vec![ColumnRow { name: text(), kind: text(), missing: 3, summary: text() }],
            importance: Some(ColumnImportance {
                metric: "accuracy".to_string(),
                judged: [100, 5],
                columns: vec![
                    (text(), Importance { mean: 0.25, deviation: 0.01 }),
                    (text(), Importance { mean: -0.01, deviation: 0.0 }),
                ],
            }),
            mistakes: vec![Mistake {
                picture: Some(picture),
                text: text(),
                truth: text(),
                predicted: text(),
                probability: Some(0.97),
            }],
            config: text(),
        }
    }

    fn parsed(html: &str, check: impl Fn(&roxmltree::Document)) {
        let body = html.strip_prefix("<!DOCTYPE html>\n").expect("a document type");
        check(&roxmltree::Document::parse(body).expect("the page is well-formed XML"));
    }

    #[test]
    fn hostile_texts_stay_texts_and_all_of_them_are_shown() {
        let html = hostile().html();
        assert!(!html.contains("<script") && !html.contains("<!--"));
        let shown = "</td><script>alert(\"1\")</script>'&<!--\u{fffd}\u{fffd}";
        parsed(&html, |document| {
            let texts: Vec<&str> = document.descendants().filter_map(|node| node.text()).collect();
            // Title twice, network, facts, warning, table heads and cells, figure, configuration, …
            assert!(texts.iter().filter(|text| **text == shown).count() >= 20, "{texts:?}");
            for figure in ["0.1235", "0.9712", "0.8123", "1 234", "100 480", "201k", "(97.0 %)", "3.500", "62.5 %"] {
                assert!(texts.iter().any(|text| text.contains(figure)), "{figure} is missing");
            }
        });
    }

    #[test]
    fn the_page_stands_alone() {
        let html = hostile().html();
        parsed(&html, |document| {
            for node in document.descendants() {
                assert!(!matches!(node.tag_name().name(), "script" | "link" | "iframe" | "object"));
                for attribute in node.attributes() {
                    let (name, value) = (attribute.name(), attribute.value());
                    assert!(!name.starts_with("on"), "{name}");
                    let inside = value.starts_with('#') || value.starts_with("data:image/png;base64,");
                    assert!(!matches!(name, "src" | "href") || inside, "{name}={value}");
                }
            }
            let count = |tag: &str| document.descendants().filter(|node| node.tag_name().name() == tag).count();
            assert_eq!(
                count("svg"),
                9,
                "loss, metric, rate, a forecast, confusion, calibration, ROC, two of residuals"
            );
            assert_eq!(
                count("img"),
                6,
                "augmented ones, a mistake, a picture with the only map that fits it, two filters"
            );
            assert_eq!(count("style"), 1, "the plots have no style sheets of their own");
            let ids: Vec<_> = document.descendants().filter_map(|node| node.attribute("id")).collect();
            for link in document.descendants().filter_map(|node| node.attribute("href")) {
                assert!(ids.contains(&&link[1..]), "{link} leads nowhere");
            }
        });
        assert!(!html.contains("url(") && !html.contains("@import"));
    }

    #[test]
    fn what_was_measured_is_taken_over() {
        use pellucid::metrics::{BinaryMetrics, Metrics};
        use pellucid::metrics::{Detail, MulticlassMetrics, RegressionMetrics};

        let names = ["no".to_string(), "yes".to_string()];
        let mut two = BinaryMetrics::new(Detail::Full);
        two.update(&[0.0, 1.0, 1.0, 0.0], &[0.1, 0.9, 0.3, 0.2], None).expect("shapes fit");
        let mut report = Report::default();
        report.judge("test", &two.report(), &names);
        let matrix = report.confusion.as_ref().expect("a matrix");
        assert_eq!((matrix.count(1, 0), matrix.count(1, 1), matrix.total()), (1.0, 1.0, 4.0));
        assert_eq!(report.classes.iter().map(|class| class.name.as_str()).collect::<Vec<_>>(), ["no", "yes"]);
        assert_eq!((report.roc[0].name.as_str(), report.roc[0].auc), ("yes", 1.0));
        assert_eq!(report.calibration.iter().map(|bin| bin.count).sum::<f64>(), 4.0);
        parsed(&report.html(), |_| {});

        let mut three = MulticlassMetrics::new(3, Detail::Full);
        three.update(&[2.0], &[0.2, 0.7, 0.1], None).expect("shapes fit");
        report.judge("test", &three.report(), &names);
        let matrix = report.confusion.as_ref().expect("a matrix");
        assert_eq!((matrix.names()[2].as_str(), matrix.count(2, 1)), ("2", 1.0));
        assert!(report.roc.is_empty());

        let mut numbers = RegressionMetrics::new(1, Detail::Full);
        numbers.update(&[1.0, 2.0], &[1.5, 2.0], None).expect("shapes fit");
        report.judge("test", &numbers.report(), &[]);
        assert!(report.confusion.is_none());
        assert_eq!(report.residual_histogram.as_ref().expect("residuals").counts.iter().sum::<f64>(), 2.0);
        assert!(report.html().contains("histogram of residuals"));
    }

    #[test]
    fn what_is_not_there_has_no_section() {
        let html = Report { title: "empty".to_string(), ..Report::default() }.html();
        parsed(&html, |document| {
            assert_eq!(document.descendants().filter(|node| node.tag_name().name() == "h2").count(), 0);
        });
    }
}
