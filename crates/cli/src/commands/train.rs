//! `pellucid train`.

mod report;
mod watch;
mod words;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kernels::device::Device;
use pellucid::data::TaskKind;
use pellucid::model::{Checkpoint, Model, Preprocessing};
use pellucid::nn::notation::Network;
use pellucid::nn::{LossLayer, NetworkOptions};
use pellucid::train::{Fit, Fitted, FrozenFeatures, Part};
use serde_json::{Value, json};

use crate::args::{Look, TrainArgs};
use crate::defaults::{self, Facts};
use crate::device::device;
use crate::diagnosis::{run_findings, sentence};
use crate::error::{Failure, Outcome};
use crate::forecasts::Forecasts;
use crate::judge::{Judge, Judged, metrics_json, results};
use crate::plot::loss_svg;
use crate::prepare::{Prepared, memory_bytes, prepare};
use crate::recipe::Recipe;
use crate::recipes;
use crate::run_folder::{CONFIG, Occupied, RunFolder, history_csv};
use crate::say::Say;
use crate::settings::{Settings, Validation};
use crate::terminal::loss_curve;
use crate::transfer::Transfer;

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
    warnings: &'a [String],
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
        Some(path) if resume => RunFolder::open(path, Occupied::Resume)?,
        Some(path) => RunFolder::open(path, if force { Occupied::Replace } else { Occupied::Refuse })?,
        None => RunFolder::numbered(&prepared.name)?,
    };
    say.head(&words::head(&prepared, &recipe, &say)?)?;
    say.notes(&prepared.notes);
    let loaded = if resume { folder.checkpoints()?.load_latest()? } else { None };
    if resume {
        say.notes(&[words::resumed(loaded.as_ref())]);
    }
    let from = Start { checkpoint: loaded.map(|loaded| loaded.checkpoint), branches: false };
    finish((&prepared, &recipe), &folder, from, &device, look)
}

/// Where a run begins.
pub(super) struct Start {
    /// What it goes on from; `None` begins anew.
    pub checkpoint: Option<Checkpoint>,
    /// It goes on with other settings than those of the checkpoint.
    pub branches: bool,
}

/// Trains to the end, judges, and writes everything down.
pub(super) fn finish(
    (prepared, recipe): (&Prepared, &Recipe),
    folder: &RunFolder,
    from: Start,
    device: &Arc<Device>,
    look: Look,
) -> Outcome<()> {
    let say = Say::new(look);
    let config = config(&recipe.settings).to_toml();
    folder.write(CONFIG, &config)?;
    let features = frozen_features(prepared, recipe, device)?;
    if let Some(features) = &features {
        say.notes(&[format!("frozen layers compute once: {} features a row", features.train.width())]);
    }
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
    let findings = run_findings(prepared, recipe, (&fitted.parameters, &fitted.history), device)?;
    let warnings: Vec<String> = findings.iter().map(sentence).collect();
    let (judged, forecasts) = (&judged[..], forecasts.as_ref());
    let run = Run { prepared, recipe, fitted: &fitted, judged, forecasts, warnings: &warnings, device };
    let hash = run.model().save(&folder.model())?;
    folder.write("history.csv", &history_csv(&fitted.history))?;
    folder.write("loss.svg", &loss_svg(&fitted.history, None, run.best_epoch()))?;
    folder.write("report.html", &run.report(&judge, &hash, config).html())?;

    say.result(&format!("{}\n", loss_curve(&fitted.history, run.best_epoch(), &say.screen)))?;
    say.result(&format!("{}\n\n", words::ended(&fitted, recipe.options.epochs)))?;
    say.result(&results(judged, &prepared.task, &say.screen))?;
    say.notes(&warnings);
    if let Some(forecasts) = forecasts {
        say.result(&forecasts.table(&say.screen))?;
    }
    let path = folder.path().display();
    say.result(&format!("\nmodel, history, settings and report are in {path}; look at {path}/report.html\n"))?;
    say.json(&run.json(&hash, folder))
}

/// The features of frozen layers, where they are the same in each epoch and have room.
pub(super) fn frozen_features(
    prepared: &Prepared,
    recipe: &Recipe,
    device: &Arc<Device>,
) -> Outcome<Option<FrozenFeatures>> {
    let Some(initial) = &recipe.initial else { return Ok(None) };
    let (train, validation) = (prepared.train.part(), validation_part(prepared));
    let (parts, memory) = ((&train, validation.as_ref()), memory_bytes(recipe.settings.memory));
    Ok(FrozenFeatures::compute(&recipe.graph, initial, parts, &recipe.options, device, memory)?)
}

/// What is fitted: the network to the rows, or what comes behind its frozen layers to their features.
pub(super) fn fit_of<'a>(
    prepared: &'a Prepared,
    recipe: &'a Recipe,
    features: Option<&'a FrozenFeatures>,
    device: &Arc<Device>,
) -> Fit<'a> {
    let (network, train, validation) = match features {
        Some(features) => (&features.network, Part::all(&features.train), features.validation.as_ref().map(Part::all)),
        None => (&recipe.graph, prepared.train.part(), validation_part(prepared)),
    };
    Fit {
        parameters: recipe.initial.clone(),
        validation,
        device: device.clone(),
        ..Fit::new(network, &recipe.loss, &prepared.task, train, &recipe.options)
    }
}

fn validation_part(prepared: &Prepared) -> Option<Part<'_>> {
    Some(&prepared.validation).filter(|rows| !rows.is_empty()).map(|rows| rows.part())
}

/// Loads the data, and settles what the settings leave open.
pub(super) fn ready(data: String, settings: Settings, quiet: bool) -> Outcome<(Prepared, Recipe)> {
    let mut settings = settings;
    let mut transfer = Transfer::open(&settings)?;
    let known = transfer.as_ref().and_then(Transfer::preprocessing).cloned();
    let mut prepared = prepare(&data, &settings, known.as_ref(), quiet)?;
    if transfer.is_none() && wants_two_outputs(&settings, &prepared) {
        settings.task = Some(TaskKind::Multiclass.name().to_string());
        prepared = prepare(&data, &settings, None, quiet)?;
        prepared
            .notes
            .push("the network has an output for each of the two classes: the task is multiclass".to_string());
    }
    let begun = transfer.as_ref().map(|transfer| transfer.begin(&settings, &prepared)).transpose()?;
    let pretrained = begun.is_some() && settings.freeze.is_empty();
    let mut filled = defaults::fill(&settings, &Facts { pretrained, ..facts(&prepared) });
    let mut backbone = &BTreeSet::new();
    if let Some(begun) = &begun {
        filled.net = Some(begun.line.clone());
        backbone = &begun.backbone;
    }
    let mut recipe = Recipe::new(Settings { data: Some(data), ..filled }, &prepared, backbone)?;
    if let (Some(transfer), Some(begun)) = (&mut transfer, &begun) {
        // The line is made anew from what the run begins with.
        recipe.settings.net = settings.net.clone();
        let device = device(settings.isa.as_deref(), settings.threads)?;
        let (initial, notes) = transfer.parameters(begun, &recipe, &settings, &device)?;
        prepared.notes.extend(notes);
        recipe.initial = Some(initial);
    }
    Ok((prepared, recipe))
}

/// The data and the settings: from the flags, over those of a `run.toml` if DATA is one, over those of a recipe.
pub(super) fn resolve(data: &str, flags: Settings) -> Outcome<(String, Settings)> {
    let (data, mut settings) = with_file(data, flags)?;
    if let Some(name) = settings.recipe.take() {
        settings = settings.over(recipes::find(&name)?);
    }
    Ok((data, settings))
}

fn with_file(data: &str, flags: Settings) -> Outcome<(String, Settings)> {
    let path = Path::new(data);
    if path.extension().is_none_or(|extension| extension != "toml") || !path.is_file() {
        return Ok((data.to_string(), flags));
    }
    let settings = flags.over(Settings::read(path)?);
    match &settings.data {
        Some(data) => Ok((data.clone(), settings)),
        None => {
            let message = format!("{}: there is no `data`; add a line such as data = \"digits\"", path.display());
            Err(Failure::new(message))
        }
    }
}

/// True when two classes were found, and the user's network has two outputs where one would do.
fn wants_two_outputs(settings: &Settings, prepared: &Prepared) -> bool {
    let Some(line) = settings.net.as_deref().filter(|_| settings.task.is_none()) else { return false };
    let shape = &prepared.train.data.sample_shape;
    let outputs = |outputs| {
        let options = NetworkOptions { outputs: Some(outputs), ..NetworkOptions::default() };
        Network::parse(line).is_ok_and(|network| options.build(&network, shape).is_ok())
    };
    prepared.task.kind() == TaskKind::Binary && !outputs(1) && outputs(2)
}

fn facts(prepared: &Prepared) -> Facts {
    Facts {
        task: prepared.task.kind(),
        rows: prepared.train.len(),
        width: prepared.width(),
        picture: prepared.image_size(),
        documents: matches!(prepared.preprocessing, Preprocessing::Documents { .. }),
        sequences: matches!(prepared.preprocessing, Preprocessing::Sequences { .. }),
        forecast: prepared.forecasting.as_ref().map(|forecasting| forecasting.plan.targets),
        validation: !prepared.validation.is_empty(),
        pretrained: false,
    }
}

/// The settings that repeat the run from any folder: paths are whole, and what does not change the result is left out.
fn config(settings: &Settings) -> Settings {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut config = settings.clone();
    (config.out, config.threads, config.isa, config.memory) = (None, None, None, None);
    if let Some(data) = config.data.as_mut().filter(|data| pellucid::data::sources::find(data).is_err()) {
        *data = whole(Path::new(&*data)).to_string_lossy().into_owned();
    }
    for path in [&mut config.test, &mut config.data_dir, &mut config.from].into_iter().flatten() {
        *path = whole(path);
    }
    if let Some(Validation::File(path)) = &mut config.validation {
        *path = whole(path);
    }
    config
}

impl Run<'_> {
    /// The epoch whose weights were kept, if it is not simply the last.
    fn best_epoch(&self) -> Option<usize> {
        self.recipe.options.restore_best.then_some(self.fitted.kept_epoch)
    }

    fn model(&self) -> Model {
        let Run { prepared, recipe, fitted, judged, .. } = self;
        Model {
            network: Some(recipe.notation.clone()),
            graph: Arc::new(recipe.graph.clone()),
            parameters: fitted.parameters.clone(),
            task: prepared.task.clone(),
            link: recipe.loss.link(),
            preprocessing: prepared.preprocessing.clone(),
            training: json!({
                "settings": recipe.settings,
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
            "network": recipe.notation,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_says_what_flags_leave_open() {
        let flags = Settings { recipe: Some("mnist-fast".into()), epochs: Some(1), ..Settings::default() };
        let (data, settings) = resolve("mnist", flags).expect("a recipe");
        let recipe = recipes::find("mnist-fast").expect("a recipe");
        assert_eq!((data.as_str(), settings.recipe, settings.epochs), ("mnist", None, Some(1)));
        assert_eq!((settings.lr, settings.net), (recipe.lr, recipe.net));
    }
}
