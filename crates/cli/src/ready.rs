//! From words and flags to a run that is ready to begin: data, settings with all filled in, network.

use std::path::Path;
use std::sync::Arc;

use kernels::device::Device;
use pellucid::data::TaskKind;
use pellucid::model::Preprocessing;
use pellucid::nn::NetworkOptions;
use pellucid::nn::notation::Network;
use pellucid::train::{Fit, FrozenFeatures, Part, Whitening};

use crate::defaults::{self, Facts};
use crate::device::device;
use crate::error::{Failure, Outcome};
use crate::prepare::{Prepared, memory_bytes, prepare};
use crate::recipe::Recipe;
use crate::recipes;
use crate::settings::{Settings, Validation};
use crate::transfer::{Transfer, Whole};

/// The features of frozen layers, where they are the same in each epoch and have room; from the file that keeps them, if there is
/// one, and whether they were in it.
///
/// # Errors
/// Rows that cannot be read, or a file that cannot be written.
pub fn frozen_features(
    prepared: &Prepared,
    recipe: &Recipe,
    file: Option<&Path>,
    device: &Arc<Device>,
) -> Outcome<Option<(FrozenFeatures, bool)>> {
    let Some(initial) = &recipe.initial else { return Ok(None) };
    let (train, validation) = (prepared.train.part(), validation_part(prepared));
    let (parts, memory) = ((&train, validation.as_ref()), memory_bytes(recipe.settings.memory));
    Ok(match file {
        Some(file) => FrozenFeatures::kept(file, &recipe.graph, initial, parts, &recipe.options, device, memory)?,
        None => FrozenFeatures::compute(&recipe.graph, initial, parts, &recipe.options, device, memory)?
            .map(|features| (features, false)),
    })
}

/// What is fitted: the network to the rows, or what comes behind its frozen layers to their features.
pub fn fit_of<'a>(
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
///
/// # Errors
/// Data that cannot be read, or settings that make no network for it.
pub fn ready(data: String, settings: Settings, quiet: bool) -> Outcome<(Prepared, Recipe)> {
    let transfer = Transfer::open(&settings)?;
    let mut prepared = load(&data, &settings, transfer.as_ref(), quiet)?;
    let recipe = settle(data, &settings, &mut prepared, transfer)?;
    Ok((prepared, recipe))
}

/// The rows alone, as a run with these settings has them.
///
/// # Errors
/// Data that cannot be read.
pub fn data_of(data: &str, settings: &Settings, quiet: bool) -> Outcome<Prepared> {
    load(data, settings, Transfer::open(settings)?.as_ref(), quiet)
}

fn load(data: &str, settings: &Settings, transfer: Option<&Transfer>, quiet: bool) -> Outcome<Prepared> {
    let settings = &transfer.map_or_else(|| settings.clone(), |transfer| transfer.for_data(settings));
    let known = transfer.and_then(Transfer::known);
    let mut prepared = prepare(data, settings, known, quiet)?;
    if transfer.is_none() && wants_two_outputs(settings, &prepared) {
        let settings = Settings { task: Some(TaskKind::Multiclass.name().to_string()), ..settings.clone() };
        prepared = prepare(data, &settings, None, quiet)?;
        prepared
            .notes
            .push("the network has an output for each of the two classes: the task is multiclass".to_string());
    }
    Ok(prepared)
}

/// What the settings mean for rows that are there already.
///
/// # Errors
/// Settings that make no network for this data.
pub fn recipe_of(data: String, settings: &Settings, prepared: &mut Prepared) -> Outcome<Recipe> {
    settle(data, settings, prepared, Transfer::open(settings)?)
}

fn settle(
    data: String,
    settings: &Settings,
    prepared: &mut Prepared,
    mut transfer: Option<Transfer>,
) -> Outcome<Recipe> {
    let begun = transfer.as_ref().map(|transfer| transfer.begin(settings, prepared)).transpose()?;
    let pretrained = begun.is_some() && settings.freeze.is_empty();
    let mut filled = defaults::fill(settings, &Facts { pretrained, ..facts(prepared) });
    if let Some(Whole::Line(line)) = begun.as_ref().map(|begun| &begun.network) {
        filled.net = Some(line.clone());
    }
    let mut recipe = Recipe::new(Settings { data: Some(data), ..filled }, prepared, begun.as_ref())?;
    if let (Some(transfer), Some(begun)) = (&mut transfer, &begun) {
        // The line is made anew from what the run begins with.
        recipe.settings.net = settings.net.clone();
        let device = device(settings.isa.as_deref(), settings.threads)?;
        let (initial, notes) = transfer.parameters(begun, &recipe, settings, &device)?;
        prepared.notes.extend(notes);
        recipe.initial = Some(initial);
    }
    if recipe.settings.whitens() {
        let device = device(settings.isa.as_deref(), settings.threads)?;
        let mut initial = recipe.start(&device);
        Whitening::of(&recipe.graph)?.fill(&prepared.train.part(), &mut initial)?;
        recipe.initial = Some(initial);
    }
    Ok(recipe)
}

/// The data and the settings: from the flags, over those of a `run.toml` if DATA is one, over those of a recipe.
pub fn resolve(data: &str, flags: Settings) -> Outcome<(String, Settings)> {
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

/// What defaults follow from.
pub fn facts(prepared: &Prepared) -> Facts {
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

/// The settings without those that do not change the result.
pub fn settings_that_count(settings: &Settings) -> Settings {
    Settings { out: None, threads: None, isa: None, memory: None, features: None, ..settings.clone() }
}

/// The settings that repeat the run from any folder: paths are whole, and what does not change the result is left out.
pub fn settings_that_repeat(settings: &Settings) -> Settings {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut config = settings_that_count(settings);
    if let Some(data) = config.data.as_mut().filter(|data| pellucid::data::sources::find(data).is_err()) {
        *data = whole(Path::new(&*data)).to_string_lossy().into_owned();
    }
    for path in [&mut config.test, &mut config.data_dir, &mut config.tokenizer, &mut config.from].into_iter().flatten()
    {
        *path = whole(path);
    }
    if let Some(Validation::File(path)) = &mut config.validation {
        *path = whole(path);
    }
    config
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
