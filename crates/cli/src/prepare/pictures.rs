//! Pictures in folders and archives.

use std::path::Path;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use pellucid::data::images::{Files, LoadOptions, Normalisation, Part, Pictures, Shape, USUAL_MEMORY, Workers};
use pellucid::data::{Split, Task, TaskKind};
use pellucid::model::{Model, Preprocessing};

use super::{FEWEST_TO_SPLIT, Prepared, Rows, images, shares};
use crate::device::threads;
use crate::error::{Failure, Outcome};
use crate::settings::{Memory, Settings, Validation};

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

/// Loads the pictures of a folder or archive and splits them.
pub(super) fn load(path: &Path, settings: &Settings, quiet: bool) -> Outcome<Prepared> {
    images::refuse_foreign(settings, &path.display().to_string())?;
    if settings.data_dir.is_some() {
        return Err(Failure::new(format!(
            "--data-dir is for data sets known by name; {} is a folder or file",
            path.display()
        )));
    }
    if settings.channels == Some(2) {
        return Err(Failure::new("--channels is 1 (grey) or 3 (colour)"));
    }
    let memory = memory_bytes(settings.memory);
    let pictures = with_workers(settings.threads, quiet, |workers| {
        let options = LoadOptions {
            size: settings.size.map(|size| size.0),
            channels: settings.channels.map(usize::from),
            memory,
            skip_bad: settings.skip_bad,
            workers,
        };
        Pictures::load(Files::open(path, memory)?, None, &options)
    })??;
    let name = super::locate::stem(&std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
    prepare(pictures, &name, path.display().to_string(), settings)
}

/// Splits pictures and normalises them by their training rows.
pub(super) fn prepare(pictures: Pictures, name: &str, description: String, settings: &Settings) -> Outcome<Prepared> {
    let task = task(&pictures, settings)?;
    let [train, validation, test] = [Part::Train, Part::Validation, Part::Test].map(|part| pictures.rows_of(part));
    if train.is_empty() {
        return Err(Failure::new(format!("{description} has no picture to learn from; see the folder train")));
    }
    if !pictures.scalable && settings.picture_setting().is_some_and(|flag| flag != "--skip-bad") {
        return Err(Failure::new(format!(
            "--size and --channels are for files of pictures; {name} has a size of its own"
        )));
    }
    let classes: Vec<u32> = train.iter().map(|row| pictures.labels[*row as usize]).collect();
    let mut shares = shares(settings, train.len(), !test.is_empty())?;
    if !validation.is_empty() {
        if matches!(settings.validation, Some(Validation::Fraction(_))) {
            let message = "--validation sets rows apart, but there is a validation part already; drop one of them";
            return Err(Failure::new(message));
        }
        shares.validation = None;
    }
    let split = Split::new(&train, Some(&classes), shares.fractions(), settings.seed())?;
    let mut notes = pictures.notes.clone();
    notes.extend(absent_classes(&pictures, &split.train));
    if train.len() < FEWEST_TO_SPLIT && (validation.is_empty() || test.is_empty()) {
        notes.push(format!("{} rows are too few to set any apart: all are for training", train.len()));
    }
    let how = super::split_words(!split.validation.is_empty(), !split.test.is_empty());
    let shape = pictures.shape;
    let pictured = pictures.scalable.then_some(shape);
    let normalisation = pictures.normalisation(&split.train);
    let data = Arc::new(pictures.into_dataset(&normalisation)?);
    let part = |own: Vec<u32>, split: Vec<u32>| {
        let rows = if own.is_empty() { split } else { own };
        Rows { data: data.clone(), rows, cells: None }
    };
    let Normalisation { scale, shift } = normalisation;
    let [channels, height, width] = shape;
    Ok(Prepared {
        name: name.to_string(),
        description,
        task,
        preprocessing: Preprocessing::Images { size: [height, width], channels, scale, shift },
        train: Rows { data: data.clone(), rows: split.train, cells: None },
        validation: part(validation, split.validation),
        test: part(test, split.test),
        targets: Vec::new(),
        shares,
        pictured,
        divided: None,
        forecasting: None,
        split: how,
        notes,
        columns: Vec::new(),
        seconds: 0.0,
    })
}

/// The task: two classes are binary unless the user says otherwise.
fn task(pictures: &Pictures, settings: &Settings) -> Outcome<Task> {
    let task = pictures.task();
    match settings.task.as_deref() {
        Some(name) if name == TaskKind::Multiclass.name() => Ok(Task::Multiclass { classes: pictures.classes.clone() }),
        Some(name) if name != task.name() => {
            Err(Failure::new(format!("--task {name} does not fit {} classes of pictures", pictures.classes.len())))
        }
        _ => Ok(task),
    }
}

/// A word on classes of which nothing is learnt.
fn absent_classes(pictures: &Pictures, train: &[u32]) -> Option<String> {
    let mut there = vec![false; pictures.classes.len()];
    train.iter().for_each(|row| there[pictures.labels[*row as usize] as usize] = true);
    let absent: Vec<&str> =
        (0..there.len()).filter(|class| !there[*class]).map(|class| pictures.classes[class].as_str()).collect();
    (!absent.is_empty()).then(|| format!("no picture to learn from in: {}", absent.join(", ")))
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
    let test = pictures.rows_of(Part::Test);
    let (what, rows) =
        if test.is_empty() { ("all", (0..pictures.labels.len() as u32).collect()) } else { ("the test part", test) };
    let data = Arc::new(pictures.into_dataset(&normalisation)?);
    Ok((format!("{what} of {}", path.display()), Rows { data, rows, cells: None }))
}
