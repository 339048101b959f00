//! `pellucid train`.

mod report;
mod watch;
mod words;

use std::sync::Arc;
use std::time::Duration;

use kernels::device::Device;
use pellucid::model::{Checkpoint, Model};
use pellucid::nn::LossLayer;
use pellucid::train::{Fit, Fitted};
use serde_json::{Value, json};

use crate::args::{Look, TrainArgs};
use crate::device::device;
use crate::diagnosis::{run_findings, sentence};
use crate::error::Outcome;
use crate::forecasts::Forecasts;
use crate::judge::{Judge, Judged, metrics_json, results};
use crate::plot::loss_svg;
use crate::prepare::Prepared;
use crate::ready::{fit_of, frozen_features, ready, resolve, settings_that_count, settings_that_repeat};
use crate::recipe::Recipe;
use crate::run_folder::{CONFIG, FEATURES, Occupied, RunFolder, history_csv};
use crate::say::Say;
use crate::settings::Settings;
use crate::terminal::loss_curve;

/// Work that a kill may cost, so that runs with short epochs need not wait for the disk after each.
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(500);

/// A finished run.
struct Run<'a> {
    prepared: &'a Prepared,
    recipe: &'a Recipe,
    fitted: &'a Fitted,
    judged: &'a [Judged],
    /// Beside simpler ones, if the rows are forecasts of a series.
    forecasts: Option<&'a Forecasts>,
    /// What is wrong with it, in sentences.
    warnings: Vec<String>,
    device: &'a Device,
}

/// Trains, judges, and writes everything down.
pub fn run(arguments: TrainArgs) -> Outcome<()> {
    let TrainArgs { data, settings, resume, force, look } = arguments;
    let say = Say::new(look);
    let (data, settings) = resolve(&data, settings)?;
    let device = device(settings.isa.as_deref(), settings.threads)?;
    let out = settings.out.clone();
    let (prepared, recipe) = ready(data, settings, look.quiet || look.json)?;

    let folder = match &out {
        Some(path) => RunFolder::open(path, Occupied::of(resume, force))?,
        None => RunFolder::numbered(&prepared.name)?,
    };
    say.head(&words::head(&prepared, &recipe, &say)?)?;
    say.notes(&prepared.notes);
    let loaded = if resume { folder.checkpoints()?.load_latest()? } else { None };
    if resume {
        say.notes(&[words::resumed(loaded.as_ref())]);
    }
    let from = Start { checkpoint: loaded.map(|loaded| loaded.checkpoint), branches: false };
    say.json(&finish((&prepared, &recipe), &folder, from, &device, look)?)
}

/// Where a run begins.
pub(super) struct Start {
    /// What it goes on from; `None` begins anew.
    pub checkpoint: Option<Checkpoint>,
    /// It goes on with other settings than those of the checkpoint.
    pub branches: bool,
}

/// Trains to the end, judges, and writes everything down; gives the object of `--json`.
pub(super) fn finish(
    (prepared, recipe): (&Prepared, &Recipe),
    folder: &RunFolder,
    from: Start,
    device: &Arc<Device>,
    look: Look,
) -> Outcome<Value> {
    let say = Say::new(look);
    let config = settings_that_repeat(&recipe.settings);
    let config = Settings { tune: None, space: None, ..config }.to_toml();
    folder.write(CONFIG, &config)?;
    let file = recipe.settings.features.clone().unwrap_or_else(|| folder.path().join(FEATURES));
    let features = frozen_features(prepared, recipe, Some(&file), device)?;
    if let Some((features, were_there)) = &features {
        let (width, file) = (features.train.width(), file.display());
        say.notes(&[match were_there {
            true => format!("frozen layers compute nothing: their {width} features a row are in {file}"),
            false => format!("frozen layers compute once: {width} features a row, kept in {file}"),
        }]);
    }
    let features = features.map(|(features, _)| features);
    let fit = Fit {
        checkpoints: Some(folder.checkpoints()?),
        checkpoint_pause: CHECKPOINT_PAUSE,
        resume: from.checkpoint,
        branches: from.branches,
        ..fit_of(prepared, recipe, features.as_ref(), device)
    };
    let fitted = watch::fit(fit, recipe, folder, look)?;

    let judge = Judge {
        graph: &recipe.graph,
        parameters: &fitted.parameters,
        loss: &recipe.loss,
        task: &prepared.task,
        windows: recipe.options.windows,
        device,
    };
    let parts = prepared.parts();
    let judged = parts.iter().map(|(name, rows)| judge.judge(name, rows)).collect::<Outcome<Vec<_>>>()?;
    let forecasts = match (&prepared.forecasting, judged.last(), parts.last()) {
        (Some(forecasting), Some(last), Some((_, rows))) => Some(Forecasts::new(forecasting, last, rows)),
        _ => None,
    };
    let (judged, forecasts) = (&judged[..], forecasts.as_ref());
    let mut run = Run { prepared, recipe, fitted: &fitted, judged, forecasts, warnings: Vec::new(), device };
    let hash = run.model().save(&folder.model())?;
    folder.write("history.csv", &history_csv(&fitted.history))?;
    let findings = run_findings(prepared, recipe, (&fitted.parameters, &fitted.history), device)?;
    run.warnings = findings.iter().map(sentence).collect();
    folder.write("loss.svg", &loss_svg(&fitted.history, None, run.best_epoch()))?;
    folder.write("report.html", &run.report(&judge, &hash, config).html())?;

    say.result(&format!("{}\n", loss_curve(&fitted.history, run.best_epoch(), &say.screen)))?;
    say.result(&format!("{}\n\n", words::ended(&fitted, recipe.options.epochs)))?;
    say.result(&results(judged, &prepared.task, &say.screen))?;
    say.notes(&run.warnings);
    if let Some(forecasts) = forecasts {
        say.result(&forecasts.table(&say.screen))?;
    }
    let path = folder.path().display();
    say.result(&format!("\nmodel, history, settings and report are in {path}; look at {path}/report.html\n"))?;
    Ok(run.json(&hash, folder))
}

impl Run<'_> {
    /// The epoch whose weights were kept, if it is not simply the last.
    fn best_epoch(&self) -> Option<usize> {
        self.recipe.options.restore_best.then_some(self.fitted.kept_epoch)
    }

    fn model(&self) -> Model {
        let Run { prepared, recipe, fitted, judged, .. } = self;
        Model {
            network: recipe.notation.clone(),
            graph: Arc::new(recipe.graph.clone()),
            parameters: fitted.parameters.clone(),
            task: prepared.task.clone(),
            link: recipe.loss.link(),
            preprocessing: prepared.preprocessing.clone(),
            training: json!({
                "settings": settings_that_count(&recipe.settings),
                "loss": recipe.loss.to_string(),
                "epochs": fitted.history.epochs.len(),
                "kept_epoch": fitted.kept_epoch,
                "metrics": metrics_json(judged),
            }),
        }
    }

    /// The object of `--json`.
    fn json(&self, hash: &str, folder: &RunFolder) -> Value {
        let Run { prepared, recipe, fitted, judged, forecasts, device, warnings } = self;
        let rows = prepared.parts().into_iter().map(|(name, rows)| (name.to_string(), json!(rows.len())));
        json!({
            "task": prepared.task.name(),
            "network": recipe.words,
            "parameters": fitted.parameters.count(),
            "epochs": fitted.history.epochs.len(),
            "best_epoch": fitted.kept_epoch,
            "steps": fitted.steps,
            "ended": fitted.reason,
            "seed": recipe.options.seed,
            "threads": device.threads(),
            "isa": device.isa().name(),
            "train_seconds": fitted.seconds,
            "load_seconds": prepared.seconds,
            "rows": Value::Object(rows.collect()),
            "metrics": metrics_json(judged),
            "warnings": warnings,
            "forecasts": forecasts.map(|forecasts| forecasts.json()),
            "weights_sha256": hash,
            "model": folder.model(),
        })
    }
}
