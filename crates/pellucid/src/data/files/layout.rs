//! Which file belongs to which class and part, from the folders that it lies in.
//!
//! `train/CLASS/…`, and `test/CLASS/…` and `validation/CLASS/…` beside it; or `CLASS/…` alone. Folders around all that are
//! taken off. Files in folders below a class belong to the class. Classes are in the order of their names.

use std::collections::BTreeMap;

use super::{Files, FilesError, Kind, Tally};

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// To learn from; also where there are no parts.
    Train,
    /// To stop early and choose by.
    Validation,
    /// To judge by, once.
    Test,
}

impl Part {
    /// The part that a folder is for, by its name.
    fn of_folder(name: &str) -> Option<Part> {
        match name.to_lowercase().as_str() {
            "train" | "training" => Some(Part::Train),
            "val" | "valid" | "validation" => Some(Part::Validation),
            "test" | "testing" => Some(Part::Test),
            _ => None,
        }
    }
}

/// A file with its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) struct Labelled {
    /// Number of its entry among the files.
    pub entry: u32,
    /// Index of its class.
    pub class: u32,
    /// Its part.
    pub part: Part,
}

/// The files of a folder or archive, with classes.
#[derive(Debug, Default)]
pub(in crate::data) struct Layout {
    /// Names of the classes, in the order of their indices.
    pub classes: Vec<String>,
    /// Files, sorted by part, class and name.
    pub labelled: Vec<Labelled>,
    /// For the user.
    pub notes: Vec<String>,
}

/// A place below the folders around all.
struct Below<'a> {
    parts: Vec<&'a str>,
    entry: u32,
    is_utf8: bool,
}

/// Sorts files of a kind into classes and parts. With `known`, the classes are those, in that order.
pub(in crate::data) fn layout(
    files: &Files,
    kind: Kind,
    known: Option<&[String]>,
    skip_bad: bool,
) -> Result<Layout, FilesError> {
    let root = || files.root().to_path_buf();
    let mut below: Vec<Below<'_>> = Vec::new();
    for (index, entry) in files.entries.iter().enumerate().filter(|(_, entry)| kind.is_of(&entry.name)) {
        below.push(Below { parts: entry.name.split('/').collect(), entry: index as u32, is_utf8: entry.is_utf8 });
    }
    if below.is_empty() {
        return Err(FilesError::None { path: root(), kind });
    }
    let mut folders: Vec<Vec<&str>> = files.folders.iter().map(|folder| folder.split('/').collect()).collect();
    while let Some(around) = folder_around_all(&below) {
        below.iter_mut().for_each(|file| drop(file.parts.drain(..1)));
        folders.retain(|folder| folder[0] == around && folder.len() > 1);
        folders.iter_mut().for_each(|folder| drop(folder.drain(..1)));
    }
    // A folder of a part has folders of classes in it, a class that is called `test` has not.
    let is_part = |name: &str| {
        let mut inside = below.iter().filter(|file| file.parts[0] == name);
        Part::of_folder(name).is_some() && inside.all(|file| file.parts.len() >= 3)
    };
    let has_parts = below.iter().any(|file| file.parts.len() >= 3 && is_part(file.parts[0]));
    let depth = usize::from(has_parts);
    let part_of = |parts: &[&str]| if has_parts { Part::of_folder(parts[0]) } else { Some(Part::Train) };

    let mut astray = Tally::default();
    // Names of classes in each part, and the below in them.
    let mut found: BTreeMap<(Part, &str), Vec<u32>> = BTreeMap::new();
    for Below { parts, entry, is_utf8 } in &below {
        match part_of(parts).filter(|_| parts.len() >= depth + 2) {
            None => astray.add(parts.join("/")),
            Some(_) if !is_utf8 && parts[depth].contains(char::REPLACEMENT_CHARACTER) => {
                return Err(FilesError::ClassName { name: parts[depth].to_string() });
            }
            Some(part) => found.entry((part, parts[depth])).or_default().push(*entry),
        }
    }
    let mut notes = Vec::new();
    if astray.count > 0 {
        notes.push(format!("{}s in no folder of a class are left out: {}", kind.noun(), astray.names()));
    }
    let mut empty = Tally::default();
    for folder in folders.iter().filter(|folder| folder.len() == depth + 1) {
        if part_of(folder).is_some_and(|part| !found.contains_key(&(part, folder[depth]))) {
            empty.add(folder.join("/"));
        }
    }
    if empty.count > 0 && !skip_bad {
        return Err(FilesError::EmptyClass { kind, folders: empty });
    }
    if empty.count > 0 {
        notes.push(format!("folders without a {} are left out: {}", kind.noun(), empty.names()));
    }
    check_twins(found.keys().map(|(_, class)| *class))?;
    let classes: Vec<String> = match known {
        Some(known) => known.to_vec(),
        None => found.keys().filter(|(part, _)| *part == Part::Train).map(|(_, class)| class.to_string()).collect(),
    };
    if known.is_none() && classes.is_empty() && has_parts {
        return Err(FilesError::NoTraining { path: root() });
    }
    if known.is_none() && classes.len() < 2 {
        return Err(FilesError::Classes { path: root(), kind, found: classes.len() });
    }
    let mut unknown = Tally::default();
    let mut labelled = Vec::with_capacity(below.len());
    for ((part, class), entries) in found {
        match classes.iter().position(|known| known == class) {
            Some(index) => {
                labelled.extend(entries.iter().map(|&entry| Labelled { entry, class: index as u32, part }));
            }
            None => unknown.add(class),
        }
    }
    if unknown.count > 0 {
        return Err(FilesError::UnknownClass { folders: unknown, known: classes });
    }
    if labelled.is_empty() {
        return Err(FilesError::Classes { path: root(), kind, found: 0 });
    }
    Ok(Layout { classes, labelled, notes })
}

/// The one folder that all files lie in, if the folders of classes are further in.
fn folder_around_all<'a>(below: &[Below<'a>]) -> Option<&'a str> {
    let first = below[0].parts[0];
    let all = below.iter().all(|file| file.parts.len() >= 3 && file.parts[0] == first);
    (all && Part::of_folder(first).is_none()).then_some(first)
}

fn check_twins<'a>(classes: impl Iterator<Item = &'a str>) -> Result<(), FilesError> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for class in classes {
        match seen.insert(class.to_lowercase(), class) {
            Some(other) if other != class => {
                return Err(FilesError::Twins { first: other.to_string(), second: class.to_string() });
            }
            _ => {}
        }
    }
    Ok(())
}
