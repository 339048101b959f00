//! Pictures in folders and archives.

use std::path::Path;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use pellucid::data::files::Files;
use pellucid::data::images::{LoadOptions, Normalisation, Pictures, Shape, USUAL_MEMORY, Workers};
use pellucid::model::{Model, Preprocessing};

use super::folders::{self, InFolders, scored_part};
use super::{Known, Prepared, Rows};
use crate::device::threads;
use crate::error::{Failure, Outcome};
use crate::settings::{Memory, Settings};

/// Bytes that pictures may take in memory.
pub fn memory_bytes(memory: Option<Memory>) -> u64 {
    memory.map_or(USUAL_MEMORY, |memory| memory.0)
}

/// Runs `work` with a bar of pictures on standard error, unless `quiet`.
pub fn with_workers<T>(wanted: Option<usize>, quiet: bool, work: impl FnOnce(Workers<'_>) -> T) -> Outcome<T> {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
    let style = ProgressStyle::with_template("reading pictures {wide_bar} {pos}/{len}  {eta}");
    bar.set_style(style.expect("a template that is right"));
    let progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let result = work(Workers { threads: threads(wanted)?, progress: &progress });
    bar.finish_and_clear();
    Ok(result)
}

/// Loads the pictures among the files of a folder or archive and splits them.
pub(super) fn load(files: Files, settings: &Settings, known: Option<Known>, quiet: bool) -> Outcome<Prepared> {
    let path = files.root().to_path_buf();
    folders::refuse(settings, &path)?;
    if settings.channels == Some(2) {
        return Err(Failure::new("--channels is 1 (grey) or 3 (colour)"));
    }
    let memory = memory_bytes(settings.memory);
    let (mut size, mut channels) = (settings.size.map(|size| size.0), settings.channels.map(usize::from));
    if let Some([known_channels, height, width]) = known.and_then(|known| known.pictured()) {
        let other = size.is_some_and(|size| size != [height, width]);
        if other || channels.is_some_and(|channels| channels != known_channels) {
            let message = "--size and --channels are those of the model with --from; drop them";
            return Err(Failure::new(message));
        }
        if ![1, 3].contains(&known_channels) {
            return Err(Failure::new(format!(
                "the model of --from takes {known_channels} channels of {width}×{height}; pictures have 1 or 3"
            )));
        }
        (size, channels) = (Some([height, width]), Some(known_channels));
    }
    let pictures = with_workers(settings.threads, quiet, |workers| {
        let options = LoadOptions { size, channels, memory, skip_bad: settings.skip_bad, workers };
        Pictures::load(files, None, &options)
    })??;
    prepare(
        pictures,
        &folders::name(&path),
        path.display().to_string(),
        settings,
        known.map(|known| known.preprocessing),
    )
}

/// Splits pictures and normalises them as is known, or by their training rows.
pub(super) fn prepare(
    pictures: Pictures,
    name: &str,
    description: String,
    settings: &Settings,
    known: Option<&Preprocessing>,
) -> Outcome<Prepared> {
    let task = folders::task(&pictures.classes, "pictures", settings)?;
    if !pictures.scalable && settings.picture_setting().is_some_and(|flag| flag != "--skip-bad") {
        return Err(Failure::new(format!(
            "--size and --channels are for files of pictures; {name} has a size of its own"
        )));
    }
    let in_folders = InFolders {
        what: "picture",
        classes: &pictures.classes,
        labels: &pictures.labels,
        parts: &pictures.parts,
        name: &description,
    };
    let mut notes = pictures.notes.clone();
    let divided = in_folders.divide(settings, &mut notes)?;
    let shape = pictures.shape;
    let pictured = pictures.scalable.then_some(shape);
    let normalisation = match known {
        Some(known) if *known != Preprocessing::Numbers => known_normalisation(known, shape, name)?,
        _ => pictures.normalisation(&divided.split.train),
    };
    let data = Arc::new(pictures.into_dataset(&normalisation)?);
    let part = |rows: Vec<u32>| Rows { data: data.clone(), rows, cells: None };
    let Normalisation { scale, shift } = normalisation;
    let [channels, height, width] = shape;
    let preprocessing = Preprocessing::Images { size: [height, width], channels, scale, shift };
    let parts = [part(divided.split.train), part(divided.split.validation), part(divided.split.test)];
    Ok(Prepared {
        name: name.to_string(),
        description,
        shares: divided.shares,
        pictured,
        split: divided.how,
        notes,
        ..Prepared::of(task, preprocessing, parts)
    })
}

/// The normalisation of a model, if its pictures are of this shape.
pub(super) fn known_normalisation(known: &Preprocessing, shape: Shape, name: &str) -> Outcome<Normalisation> {
    let [channels, height, width] = shape;
    match known {
        Preprocessing::Images { size, channels: known, scale, shift }
            if (*size, *known) == ([height, width], channels) =>
        {
            Ok(Normalisation { scale: scale.clone(), shift: shift.clone() })
        }
        Preprocessing::Images { size: [h, w], channels: c, .. } => Err(Failure::new(format!(
            "the model takes pictures of {w}×{h} pixels in {c} channels, {name} has {width}×{height} in {channels}"
        ))),
        _ => Err(Failure::new("the model does not take pictures")),
    }
}

/// Shape and normalisation of the pictures that a model takes.
///
/// # Errors
/// A model of something else, or whose parts do not fit each other.
pub fn picture_input(model: &Model) -> Outcome<(Shape, Normalisation)> {
    let Preprocessing::Images { size: [height, width], channels, scale, shift } = &model.preprocessing else {
        return Err(Failure::new("the model does not take pictures"));
    };
    let sample = model.graph.shape(model.graph.inputs()[0].value).sample();
    let expected: usize = sample.map_or(0, |sample| sample.iter().product());
    let values = channels.checked_mul(*height).and_then(|values| values.checked_mul(*width));
    let fits = values == Some(expected)
        && [1, 3].contains(channels)
        && [scale, shift].iter().all(|one| one.len() == *channels);
    if !fits {
        return Err(Failure::new("the model's words on its pictures do not fit its network"));
    }
    Ok(([*channels, *height, *width], Normalisation { scale: scale.clone(), shift: shift.clone() }))
}

/// The pictures of a folder or archive that a model is measured on, and what they are: its test part if it has one.
///
/// # Errors
/// Pictures that cannot be read, or classes that the model does not know.
pub fn scored_pictures(
    path: &Path,
    model: &Model,
    (memory, skip_bad): (Option<Memory>, bool),
    (threads, quiet): (Option<usize>, bool),
    notes: &mut Vec<String>,
) -> Outcome<(String, Rows)> {
    let (shape, normalisation) = picture_input(model)?;
    let [channels, height, width] = shape;
    let memory = memory_bytes(memory);
    let pictures = with_workers(threads, quiet, |workers| {
        let options = LoadOptions { size: Some([height, width]), channels: Some(channels), memory, skip_bad, workers };
        Pictures::load(Files::open(path, memory)?, Some(model.task.class_names()), &options)
    })??;
    if pictures.shape != shape {
        return Err(Failure::new(format!("{} holds pictures of another size than the model takes", path.display())));
    }
    notes.extend(pictures.notes.iter().cloned());
    let (what, rows) = scored_part(&pictures.parts);
    let data = Arc::new(pictures.into_dataset(&normalisation)?);
    Ok((format!("{what} of {}", path.display()), Rows { data, rows, cells: None }))
}
