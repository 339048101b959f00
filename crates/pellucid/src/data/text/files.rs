//! Documents as files of their own, in folders and archives: as rows of a table.

use std::ops::Range;

use super::TextError;
use super::read::text_of;
use crate::data::files::{Files, FilesError, Kind, Layout, Part, Tally, layout};
use crate::data::{Table, Task};

/// The column with the name of a file, below its folder or archive.
const FILE: &str = "file";

/// Texts with the classes of their folders.
#[derive(Clone, Debug)]
pub struct TextFiles {
    /// A row for each text that can be used: the text, its class, the name of its file.
    pub table: Table,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Index of the class of each row.
    pub labels: Vec<u32>,
    /// The part of each row.
    pub parts: Vec<Part>,
    /// For the user: what was left out.
    pub notes: Vec<String>,
}

impl TextFiles {
    /// Reads all texts; `columns` are the names that the columns of texts and of classes get. With `known`, classes are those,
    /// in that order, and no other may occur. `skip_bad` leaves out what cannot be used, and classes without a text, instead of
    /// failing: a text cannot be used that is empty or not UTF-8.
    ///
    /// # Errors
    /// Folders that make no classes; texts that cannot be used, unless they are to be left out; more than `memory` bytes.
    pub fn load(
        mut files: Files,
        columns: [&str; 2],
        known: Option<&[String]>,
        memory: u64,
        skip_bad: bool,
    ) -> Result<TextFiles, FilesError> {
        files.keep(Kind::Texts);
        let Layout { classes, labelled, mut notes } = layout(&files, Kind::Texts, known, skip_bad)?;
        notes.splice(0..0, files.notes(Kind::Texts));
        let all = labelled.len();
        let (mut rows, mut kept, mut bad) = (Vec::with_capacity(all), Vec::with_capacity(all), Tally::default());
        let mut bytes = files.held_bytes();
        for file in labelled {
            match read(&files, file.entry) {
                Ok(text) => {
                    bytes += text.len() as u64;
                    if bytes > memory.min(u64::from(u32::MAX)) {
                        let path = files.root().to_path_buf();
                        return Err(FilesError::Memory { path, memory, compressed: false });
                    }
                    rows.push([text, classes[file.class as usize].clone(), name(&files, file.entry)]);
                    kept.push(file);
                }
                Err(error) => bad.add(error),
            }
        }
        if bad.count > 0 && (!skip_bad || kept.is_empty()) {
            return Err(FilesError::Bad { kind: Kind::Texts, bad, all });
        }
        if bad.count > 0 {
            notes.push(format!("{} texts that cannot be used are left out: {}", bad.count, bad.first.join("; ")));
        }
        let names = [columns[0], columns[1], FILE].map(String::from);
        Ok(TextFiles {
            table: Table::of_files(files.root().display().to_string(), names, rows),
            classes,
            labels: kept.iter().map(|file| file.class).collect(),
            parts: kept.iter().map(|file| file.part).collect(),
            notes,
        })
    }

    /// What is predicted: one of the classes.
    pub fn task(&self) -> Task {
        Task::of_classes(self.classes.clone())
    }
}

/// Texts without classes, some at a time.
#[derive(Debug)]
pub struct UnlabelledTexts {
    files: Files,
}

impl UnlabelledTexts {
    /// All texts among the files, by name.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(mut files: Files) -> Result<UnlabelledTexts, FilesError> {
        files.keep(Kind::Texts);
        if files.entries.is_empty() {
            return Err(FilesError::None { path: files.root().to_path_buf(), kind: Kind::Texts });
        }
        Ok(UnlabelledTexts { files })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.files.entries.len()
    }

    /// Never: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.files.entries.is_empty()
    }

    /// For the user: what was passed over among the files.
    pub fn notes(&self) -> Vec<String> {
        self.files.notes(Kind::Texts)
    }

    /// The texts in `range` that can be used, in a column of the name `column` and with their files in the last one; and what is
    /// wrong with the others.
    pub fn read(&self, range: Range<usize>, column: &str) -> (Table, Tally) {
        let (mut rows, mut bad) = (Vec::new(), Tally::default());
        for entry in range.start as u32..range.end as u32 {
            match read(&self.files, entry) {
                Ok(text) => rows.push([text, name(&self.files, entry)]),
                Err(error) => bad.add(error),
            }
        }
        let names = [column, FILE].map(String::from);
        (Table::of_files(self.files.root().display().to_string(), names, rows), bad)
    }
}

fn name(files: &Files, entry: u32) -> String {
    files.entries[entry as usize].name.clone()
}

/// A text with something in it, or what is wrong with it.
fn read(files: &Files, entry: u32) -> Result<String, String> {
    let bytes = files.read(entry).map_err(|error| error.to_string())?;
    let text = text_of(bytes, || files.place(entry)).map_err(|error| error.to_string())?;
    if text.trim_ascii().is_empty() {
        return Err(TextError::Empty { path: files.place(entry) }.to_string());
    }
    Ok(text)
}
