//! What the user means by DATA: a name or a file.

use std::fs;
use std::path::{Path, PathBuf};

use pellucid::data::files::{Kind, is_archive};
use pellucid::data::sources::{self, SOURCES, Source};
use pellucid::suggest::nearest;

use crate::error::{Failure, Outcome};

/// What a word for data stands for.
#[derive(Clone, Debug)]
pub enum Located {
    /// A data set known by name.
    Source(&'static Source),
    /// A text that exists.
    Text(PathBuf),
    /// A file that exists: a table.
    File(PathBuf),
    /// A folder or an archive that exists, or a picture.
    Files(PathBuf),
}

/// The data that `word` stands for: a known name, else a file. `./iris` is always a file.
///
/// # Errors
/// Neither; with the names that are nearest.
pub fn locate(word: &str) -> Outcome<Located> {
    if let Ok(source) = sources::find(word) {
        return Ok(Located::Source(source));
    }
    let path = Path::new(word);
    if path.is_dir() || (path.exists() && (is_archive(path) || Kind::Pictures.is_of(word))) {
        return Ok(Located::Files(path.to_path_buf()));
    }
    if path.exists() && is_text(path) {
        return Ok(Located::Text(path.to_path_buf()));
    }
    if path.exists() {
        return Ok(Located::File(path.to_path_buf()));
    }
    Err(unknown(word))
}

/// True for the names of plain texts, gzipped or not.
fn is_text(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".txt", ".text", ".md"].iter().any(|ending| name.ends_with(ending))
}

fn unknown(word: &str) -> Failure {
    let path = Path::new(word);
    let names: Vec<&str> = SOURCES.iter().map(|source| source.name).collect();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let wanted = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let near_file = nearest(&wanted, files.iter().map(String::as_str));
    let near_file = near_file.map(|name| path.with_file_name(name).display().to_string());
    let is_path = word.contains(['/', '\\', '.']);
    let near_name = nearest(word, names.iter().copied()).map(str::to_string);
    let near = if is_path { near_file.or(near_name) } else { near_name.or(near_file) };
    let meant = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
    let there_are = if is_path { String::new() } else { format!("; data sets by name: {}", names.join(", ")) };
    Failure::new(format!(
        "there is no file {word}{}{meant}{there_are}",
        if is_path { "" } else { " and no data set of that name" }
    ))
}

/// The file's name without folder and ending, made fit for the name of a folder.
pub(super) fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let plain = |symbol: char| if symbol.is_alphanumeric() || "-_".contains(symbol) { symbol } else { '-' };
    let stem: String = name.chars().map(plain).take(40).collect();
    if stem.trim_matches('-').is_empty() { "data".to_string() } else { stem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nowhere_gets_the_nearest_name() {
        let message = |word| locate(word).unwrap_err().message().to_string();
        assert!(
            message("digit").starts_with("there is no file digit and no data set of that name; did you mean digits?")
        );
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("houses.csv"), "a\n1\n").expect("writes");
        let wrong = folder.path().join("house.csv");
        let message = message(&wrong.display().to_string());
        assert!(message.ends_with("houses.csv?"), "{message}");
        assert!(matches!(locate(&folder.path().display().to_string()), Ok(Located::Files(_))));
    }

    #[test]
    fn names_of_files_become_names_of_folders() {
        for (path, name) in [
            ("a/adult-train.csv", "adult-train"),
            ("x.tsv.gz", "x"),
            ("/tmp/my data (1).csv", "my-data--1-"),
            ("..csv", "data"),
            ("plain", "plain"),
        ] {
            assert_eq!(stem(Path::new(path)), name);
        }
    }
}
