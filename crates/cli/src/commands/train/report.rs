//! The page about a finished run.

use pellucid::data::Task;
use pellucid::generate::Sampler;
use pellucid::model::{Model, Preprocessing};

use super::Run;
use super::watch::metric_shown;
use super::words::{task_words, training_words};
use crate::commands::generate::Writer;
use crate::explain::{ColumnImportance, class_maps, column_importance, first_filters, input_columns};
use crate::format::{count, seconds};
use crate::judge::Judge;
use crate::network_table::{layer_rows, training_summary};
use crate::prepare::{Prepared, Rows};
use crate::report::{Report, augmented};

/// Rows with mistakes that the report shows.
const MISTAKES: usize = 24;
/// Rows with maps of what speaks for their class: as many wrong ones, and as many right ones.
const CLASS_MAPS: usize = 6;
/// Permutations of each column of a table.
const PERMUTATIONS: usize = 3;
/// Tokens of the text that the report shows.
const WRITTEN_TOKENS: u64 = 800;
/// How freely they are drawn.
const WRITTEN_TEMPERATURE: f64 = 0.8;

impl Run<'_> {
    /// Everything about the run; `config` is the text that repeats it.
    pub(super) fn report(&self, judge: &Judge, hash: &str, config: String) -> Report {
        let Run { prepared, recipe, fitted, judged, forecasts, warnings, device } = self;
        let is_text = matches!(prepared.preprocessing, Preprocessing::Text { .. });
        let augmentation = augmented(&recipe.options, &prepared.train.part(), device);
        let mut report = Report {
            title: format!("{}: {}", prepared.name, title_words(prepared)),
            facts: self.facts(hash),
            warnings: warnings.to_vec(),
            metrics: judged.iter().map(|one| (one.part.to_string(), one.scores().clone())).collect(),
            history: fitted.history.clone(),
            main_metric: Some(metric_shown(prepared.task.kind(), recipe)),
            best_epoch: self.best_epoch(),
            augmentation: augmentation.map(|picture| (recipe.options.augmentation.to_string(), picture)),
            network: recipe.words.clone(),
            layers: training_summary(recipe, prepared.train.len())
                .map_or_else(|_| Vec::new(), |counted| layer_rows(&counted)),
            filters: first_filters(judge.graph, judge.parameters),
            data_facts: data_facts(prepared),
            columns: prepared.columns.clone(),
            config,
            forecasts: forecasts.cloned(),
            // The model is a copy of all parameters: not where nothing can be written.
            written: is_text.then(|| written(&self.model(), judge)).flatten(),
            ..Report::default()
        };
        if let (Some(last), Some((_, rows))) = (judged.last(), prepared.parts().last()) {
            report.judge(last.part, &last.measured, prepared.task.class_names());
            report.residuals = last.residuals(&prepared.task, rows);
            report.mistakes = last.mistakes(&prepared.task, rows, MISTAKES);
            report.class_maps = class_maps(judge, last, rows, CLASS_MAPS);
            report.importance = self.importance(judge, rows);
        }
        report
    }

    /// What the columns of a table count for.
    fn importance(&self, judge: &Judge, rows: &Rows) -> Option<ColumnImportance> {
        let Preprocessing::Table { pipeline } = &self.prepared.preprocessing else { return None };
        let network = (judge.graph, judge.parameters, judge.loss, judge.task);
        let repeats = (PERMUTATIONS, self.recipe.options.seed);
        column_importance(network, rows, &input_columns(pipeline), repeats, judge.device).ok()
    }

    fn facts(&self, hash: &str) -> Vec<(String, String)> {
        let Run { prepared, recipe, fitted, device, .. } = self;
        let epochs = format!("{} of {}", fitted.history.epochs.len(), recipe.options.epochs);
        let best = self.best_epoch().map(|epoch| ("kept epoch", format!("{epoch}, the best on the validation part")));
        let before = [("task", task_words(prepared)), ("training", training_words(recipe)), ("epochs", epochs)];
        let after = [
            ("training time", seconds(fitted.seconds)),
            ("parameters", count(fitted.parameters.count() as u64)),
            ("computed with", format!("{} threads, {}", device.threads(), device.isa())),
            ("weights sha256", hash.to_string()),
            ("pellucid", env!("CARGO_PKG_VERSION").to_string()),
        ];
        before.into_iter().chain(best).chain(after).map(|(name, value)| (name.to_string(), value)).collect()
    }
}

/// What a model of text writes, if its network can.
fn written(model: &Model, judge: &Judge) -> Option<String> {
    let mut writer = Writer::new(model, judge.device.clone(), None).ok()?;
    let mut bytes = Vec::new();
    let sampler = Sampler { temperature: WRITTEN_TEMPERATURE, ..Sampler::default() };
    let take = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    writer.write(&sampler, WRITTEN_TOKENS, take).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn data_facts(prepared: &Prepared) -> Vec<(String, String)> {
    let mut facts = vec![("data".to_string(), prepared.description.clone())];
    let parts = prepared.parts();
    facts.extend(parts.iter().map(|(name, rows)| (format!("{name} rows"), count(rows.len() as u64))));
    facts.push(("inputs of the network".to_string(), count(prepared.width() as u64)));
    if !prepared.split.is_empty() {
        facts.push(("split".to_string(), prepared.split.clone()));
    }
    facts.extend(prepared.notes.iter().map(|note| ("note".to_string(), note.clone())));
    facts
}

fn title_words(prepared: &Prepared) -> String {
    if let Some(forecasting) = &prepared.forecasting {
        return forecasting.words();
    }
    match &prepared.task {
        Task::Binary { classes } => classes.join(" or "),
        Task::Multiclass { classes } => format!("{} classes", classes.len()),
        Task::Multilabel { labels } => format!("{} labels", labels.len()),
        Task::Regression { targets } => {
            targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ")
        }
        Task::Tokens { .. } => "writing on".to_string(),
    }
}
