//! Images known by name: in the program, from a folder, or from the network.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use pellucid::data::download;
use pellucid::data::mnist::Place;
use pellucid::data::sources::{self, LoadOptions, Source, TableText};
use pellucid::data::{Dataset, Features, Table, Task};
use pellucid::model::{Model, Preprocessing};

use super::{FEWEST_TO_SPLIT, Prepared, Rows, picture_input, pictures, shares};
use crate::error::{Failure, Outcome};
use crate::settings::{Settings, Validation};

/// What a data set known by name turns out to be.
pub(super) enum Loaded {
    /// Images, ready.
    Images(Box<Prepared>),
    /// Text of a table.
    Table(TableText),
}

/// Loads the data set, downloading it if need be, and splits images.
pub(super) fn load(
    source: &'static Source,
    settings: &Settings,
    known: Option<&Preprocessing>,
    quiet: bool,
) -> Outcome<Loaded> {
    match fetch(source, settings, quiet)? {
        sources::Loaded::Table(text) => Ok(Loaded::Table(text)),
        sources::Loaded::Images(images) => {
            refuse_here(settings, source)?;
            let parts = (images.dataset, None);
            let prepared = prepare(source, parts, images.task, images.image_size, settings, known)?;
            Ok(Loaded::Images(Box::new(prepared)))
        }
        sources::Loaded::TrainTest(both) => {
            refuse_here(settings, source)?;
            let parts = (both.train, Some(both.test));
            let mut prepared = prepare(source, parts, both.task, both.image_size, settings, known)?;
            prepared.notes.extend(both.notices);
            Ok(Loaded::Images(Box::new(prepared)))
        }
        sources::Loaded::Pictures(pictures) => {
            refuse_here(settings, source)?;
            let description = source.description.to_string();
            Ok(Loaded::Images(Box::new(pictures::prepare(pictures, source.name, description, settings, known)?)))
        }
    }
}

/// The data set as it is.
pub(super) fn fetch(source: &'static Source, settings: &Settings, quiet: bool) -> Outcome<sources::Loaded> {
    let cache = cache_folder();
    let options = download::Options { proxy: proxy(), ..download::Options::default() };
    let place = match (&settings.data_dir, source.origin) {
        (Some(folder), _) => Some(Place::Folder(folder)),
        (None, origin) if origin.has_files() => match &cache {
            Some(cache) => Some(Place::Cache(cache, &options)),
            None => {
                let message = format!("no home folder to keep {} in; give --data-dir", source.name);
                return Err(Failure::new(message));
            }
        },
        (None, _) => None,
    };
    let load = LoadOptions { rows: settings.rows, noise: settings.noise, seed: settings.seed(), place };
    let mut bar: Option<(String, ProgressBar)> = None;
    let mut progress = |file: &str, bytes: u64, total: Option<u64>| {
        if quiet {
            return;
        }
        if bar.as_ref().is_none_or(|(name, _)| name != file) {
            let new = ProgressBar::new(total.unwrap_or(0));
            let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes}  {eta}");
            new.set_style(style.expect("a template that is right"));
            new.set_message(file.to_string());
            bar = Some((file.to_string(), new));
        }
        if let Some((_, bar)) = &bar {
            bar.set_position(bytes);
        }
    };
    let loaded = source.load(&load, &mut progress);
    if let Some((_, bar)) = bar {
        bar.finish_and_clear();
    }
    Ok(loaded?)
}

/// Where downloads are kept: `$XDG_CACHE_HOME/pellucid`, or the system's usual place.
fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("LOCALAPPDATA"));
    let base = base.or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("pellucid"))
}

/// The way out to the network, as curl and others take it from the environment.
fn proxy() -> Option<String> {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    names.into_iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
}

/// Refuses settings that sets of images known by name do not know.
fn refuse_here(settings: &Settings, source: &Source) -> Outcome<()> {
    if settings.task.as_deref().is_some_and(|task| task != source.task.name()) {
        return Err(Failure::new(format!(
            "--task is for tables and pictures of two classes; {} has more",
            source.name
        )));
    }
    if let Some(flag) = settings.picture_setting() {
        return Err(Failure::new(format!("{flag} is for pictures in folders and archives, not for {}", source.name)));
    }
    refuse_foreign(settings, source.name)
}

/// Refuses augmentation where there are no pictures.
pub(super) fn refuse_augmentation(settings: &Settings) -> Outcome<()> {
    match settings.augment.as_deref().filter(|augment| *augment != "none") {
        Some(_) => Err(Failure::new("--augment is for pictures; drop it")),
        None => Ok(()),
    }
}

/// Refuses settings that only tables know.
pub(super) fn refuse_foreign(settings: &Settings, name: &str) -> Outcome<()> {
    let given = [
        ("--target", !settings.target.is_empty()),
        ("--test", settings.test.is_some()),
        ("--validation with a file", matches!(settings.validation, Some(Validation::File(_)))),
        ("--weights", settings.weights.is_some()),
        ("--delimiter", settings.delimiter.is_some()),
        ("--header", settings.header.is_some()),
        ("--missing", !settings.missing.is_empty()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Failure::new(format!("{flag} is for tables; {name} is none"))),
        None => Ok(()),
    }
}

fn prepare(
    source: &'static Source,
    (mut dataset, mut test): (Dataset, Option<Dataset>),
    task: Task,
    size: [usize; 2],
    settings: &Settings,
    known: Option<&Preprocessing>,
) -> Outcome<Prepared> {
    if let Some(known) = known.filter(|known| **known != Preprocessing::Numbers) {
        let shape = [1, size[0], size[1]];
        let normalisation = pictures::known_normalisation(known, shape, source.name)?;
        for data in [Some(&mut dataset), test.as_mut()].into_iter().flatten() {
            if let Features::U8 { scale, shift, .. } | Features::Read { scale, shift, .. } = &mut data.features {
                (*scale, *shift) = normalisation.of_inputs(shape);
            }
        }
    }
    let rows: Vec<u32> = (0..dataset.rows() as u32).collect();
    let classes: Vec<u32> = dataset.targets.iter().map(|class| *class as u32).collect();
    let shares = shares(settings, rows.len(), test.is_some())?;
    let split = super::divide(&rows, &classes, shares, settings)?;
    let (scale, shift) = match &dataset.features {
        Features::U8 { scale, shift, .. } | Features::Read { scale, shift, .. } => (scale.clone(), shift.clone()),
        Features::F32(_) => (vec![1.0], vec![0.0]),
    };
    let data = Arc::new(dataset);
    let part = |rows: Vec<u32>| Rows { data: data.clone(), rows, cells: None };
    let test_apart = test.is_none() && !split.test.is_empty();
    let (train, validation) = (part(split.train), part(split.validation));
    let test = match test {
        Some(test) => Rows { rows: (0..test.rows() as u32).collect(), data: Arc::new(test), cells: None },
        None => part(split.test),
    };
    let mut notes = Vec::new();
    if rows.len() < FEWEST_TO_SPLIT {
        notes.push(format!("{} rows are too few to set any apart: all are for training", rows.len()));
    }
    let how = super::split_words(!validation.is_empty(), test_apart);
    let preprocessing = Preprocessing::Images { size, channels: 1, scale, shift };
    Ok(Prepared {
        name: source.name.to_string(),
        description: source.description.to_string(),
        shares,
        split: how,
        notes,
        ..Prepared::of(task, preprocessing, [train, validation, test])
    })
}

/// Rows of images for a model of images, after a check of their size, normalised as the model has learnt it.
///
/// # Errors
/// Images of another size, or other classes.
pub fn image_rows(mut rows: Rows, model: &Model, name: &str) -> Outcome<Rows> {
    let expected: usize =
        model.graph.shape(model.graph.inputs()[0].value).sample().map_or(0, |sample| sample.iter().product());
    let found = rows.data.width();
    if found != expected {
        return Err(Failure::new(format!("{name} has {found} values in a row, the model takes {expected}")));
    }
    if rows.data.targets.iter().any(|class| *class as usize >= model.task.class_names().len()) {
        let classes = model.task.class_names().len();
        return Err(Failure::new(format!("{name} has more classes than the {classes} of the model")));
    }
    if matches!(model.preprocessing, Preprocessing::Images { .. }) {
        let (shape, normalisation) = picture_input(model)?;
        if let Features::U8 { scale, shift, .. } | Features::Read { scale, shift, .. } =
            &mut Arc::make_mut(&mut rows.data).features
        {
            (*scale, *shift) = normalisation.of_inputs(shape);
        }
    }
    Ok(rows)
}

/// Rows of a table whose columns are the pixels of images, and the class last if `labelled` (or if there is one column
/// more).
///
/// # Errors
/// Another number of columns, pixels that are no bytes, or classes that the model does not know.
pub fn pixel_rows(table: &Table, model: &Model, labelled: bool) -> Outcome<Rows> {
    if !matches!(model.preprocessing, Preprocessing::Images { .. }) {
        return Err(Failure::new("the model takes rows of numbers, not those of a file"));
    }
    let (shape, normalisation) = picture_input(model)?;
    let [channels, height, width] = shape;
    let pixels = channels * height * width;
    let columns = table.columns();
    if columns != pixels + 1 && (labelled || columns != pixels) {
        let class = if labelled { "and the class" } else { "(and the class, if it is known)" };
        return Err(Failure::new(format!(
            "{} has {columns} columns; the model takes images of {height}×{width} pixels: {pixels} columns of numbers from 0 to 255 {class}",
            table.name()
        )));
    }
    let mut bytes = Vec::with_capacity(table.rows() * pixels);
    let mut targets = Vec::new();
    let place =
        |row: usize, column: usize| format!("{}, line {}, column {}", table.name(), table.line(row), column + 1);
    for row in 0..table.rows() {
        for column in 0..pixels {
            let text = table.cell(row, column);
            let value =
                text.parse::<f64>().ok().filter(|value| value.trunc() == *value && (0.0..=255.0).contains(value));
            let Some(value) = value else {
                let at = place(row, column);
                return Err(Failure::new(format!(
                    "{at}: {text:?} is no pixel; pixels are whole numbers from 0 to 255"
                )));
            };
            bytes.push(value as u8);
        }
        if labelled {
            let text = table.cell(row, pixels);
            let Some(class) = model.task.class_names().iter().position(|name| name == text) else {
                let known = model.task.class_names().join(", ");
                let at = place(row, pixels);
                return Err(Failure::new(format!("{at}: there is no class {text:?}; the model knows {known}")));
            };
            targets.push(class as f32);
        }
    }
    let (scale, shift) = normalisation.of_inputs(shape);
    let features = Features::U8 { bytes, scale, shift };
    let dataset = Dataset::new(shape.to_vec(), features, targets, usize::from(labelled), None)?;
    Ok(Rows { rows: (0..dataset.rows() as u32).collect(), data: Arc::new(dataset), cells: None })
}
