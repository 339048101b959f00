//! What pictures and texts in folders of their classes have in common.

use std::path::Path;

use pellucid::data::files::Part;
use pellucid::data::{Split, Task, TaskKind};

use super::{FEWEST_TO_SPLIT, Shares, images, shares};
use crate::error::{Failure, Outcome};
use crate::settings::{Settings, Validation};

/// Rows with the classes and parts of their folders.
pub(super) struct InFolders<'a> {
    /// `picture` or `text`.
    pub what: &'static str,
    /// Names of the classes.
    pub classes: &'a [String],
    /// Index of the class of each row.
    pub labels: &'a [u32],
    /// The part of each row.
    pub parts: &'a [Part],
    /// The folder or archive, for people.
    pub name: &'a str,
}

/// Which rows are for what.
pub(super) struct Divided {
    /// The rows of each part.
    pub split: Split,
    /// The shares that were set apart.
    pub shares: Shares,
    /// How the parts came about, in a few words.
    pub how: String,
}

impl InFolders<'_> {
    /// Parts that have folders are those; the others are set apart from the training part.
    ///
    /// # Errors
    /// Nothing to learn from, or settings that set a part apart which is there.
    pub fn divide(&self, settings: &Settings, notes: &mut Vec<String>) -> Outcome<Divided> {
        let [train, validation, test] =
            [Part::Train, Part::Validation, Part::Test].map(|part| rows_of(self.parts, part));
        if train.is_empty() {
            let (name, what) = (self.name, self.what);
            return Err(Failure::new(format!("{name} has no {what} to learn from; see the folder train")));
        }
        let classes: Vec<u32> = train.iter().map(|row| self.labels[*row as usize]).collect();
        let mut shares = shares(settings, train.len(), !test.is_empty())?;
        if !validation.is_empty() {
            let given = [
                ("--validation", matches!(settings.validation, Some(Validation::Fraction(_)))),
                ("--fold", settings.fold.is_some()),
            ];
            if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
                return Err(Failure::new(format!(
                    "{flag} sets rows apart, but there is a validation part already; drop one of them"
                )));
            }
            shares.validation = None;
        }
        let mut split = super::divide(&train, &classes, shares, settings)?;
        notes.extend(self.absent_classes(&split.train));
        if train.len() < FEWEST_TO_SPLIT && (validation.is_empty() || test.is_empty()) {
            notes.push(format!("{} rows are too few to set any apart: all are for training", train.len()));
        }
        let how = super::split_words(!split.validation.is_empty(), !split.test.is_empty());
        for (own, part) in [(validation, &mut split.validation), (test, &mut split.test)] {
            if !own.is_empty() {
                *part = own;
            }
        }
        Ok(Divided { split, shares, how })
    }

    /// A word on classes of which nothing is learnt.
    fn absent_classes(&self, train: &[u32]) -> Option<String> {
        let mut there = vec![false; self.classes.len()];
        train.iter().for_each(|row| there[self.labels[*row as usize] as usize] = true);
        let absent: Vec<&str> =
            (0..there.len()).filter(|class| !there[*class]).map(|class| self.classes[class].as_str()).collect();
        (!absent.is_empty()).then(|| format!("no {} to learn from in: {}", self.what, absent.join(", ")))
    }
}

fn rows_of(parts: &[Part], part: Part) -> Vec<u32> {
    (0..parts.len() as u32).filter(|row| parts[*row as usize] == part).collect()
}

/// The rows that a model is measured on, and what they are: the test part if there is one.
pub(super) fn scored_part(parts: &[Part]) -> (&'static str, Vec<u32>) {
    let test = rows_of(parts, Part::Test);
    if test.is_empty() { ("all", (0..parts.len() as u32).collect()) } else { ("the test part", test) }
}

/// The task: two classes are binary unless the user says otherwise.
pub(super) fn task(classes: &[String], what: &str, settings: &Settings) -> Outcome<Task> {
    let task = Task::of_classes(classes.to_vec());
    match settings.task.as_deref() {
        Some(name) if name == TaskKind::Multiclass.name() => Ok(Task::Multiclass { classes: classes.to_vec() }),
        Some(name) if name != task.name() => {
            Err(Failure::new(format!("--task {name} does not fit {} classes of {what}", classes.len())))
        }
        _ => Ok(task),
    }
}

/// Refuses settings that folders and archives do not know.
pub(super) fn refuse(settings: &Settings, path: &Path) -> Outcome<()> {
    images::refuse_foreign(settings, &path.display().to_string())?;
    if settings.data_dir.is_some() {
        return Err(Failure::new(format!(
            "--data-dir is for data sets known by name; {} is a folder or file",
            path.display()
        )));
    }
    Ok(())
}

/// A name for the folder of a run.
pub(super) fn name(path: &Path) -> String {
    super::locate::stem(&std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()))
}
