//! The folder of a run: where everything that it leaves behind lies.
//!
//! | file | what |
//! |---|---|
//! | `model.safetensors` | the model |
//! | `history.csv` | metrics of every epoch |
//! | `config.toml` | repeats the run: `pellucid train config.toml` |
//! | `report.html`, `loss.svg` | for people |
//! | `search.db`, `search.html`, `search.toml` | the trials of a search whose best this run is, their page, and what repeats it |
//! | `features.safetensors` | what frozen layers make of the rows, for further runs (`--features`); may be deleted |
//! | `checkpoints/` | the newest two states, for `--resume`; kept when the run ends, may be deleted |

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use pellucid::model::atomic::write_atomically;
use pellucid::model::checkpoint::CheckpointStore;
use pellucid::train::{EpochRecord, History};

use crate::error::{Failure, Outcome};

/// Name of the model in the folder of its run.
pub const MODEL: &str = "model.safetensors";
/// Name of the settings in the folder of their run.
pub const CONFIG: &str = "config.toml";
/// Name of the features of frozen layers in the folder of their run.
pub const FEATURES: &str = "features.safetensors";
/// Name of the trials in the folder of a search.
pub const SEARCH: &str = "search.db";
const CHECKPOINTS: &str = "checkpoints";

/// What to do when the folder holds a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupied {
    /// Refuse.
    Refuse,
    /// Go on with it.
    Resume,
    /// Replace it.
    Replace,
}

impl Occupied {
    /// As the flags `--resume` and `--force` say, which exclude each other.
    pub fn of(resume: bool, force: bool) -> Occupied {
        match (resume, force) {
            (true, _) => Occupied::Resume,
            (false, true) => Occupied::Replace,
            (false, false) => Occupied::Refuse,
        }
    }
}

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder at `path`, created if need be.
    ///
    /// # Errors
    /// It holds a run and that is not wanted, or it cannot be created. (That there is nothing to resume is no error: a run
    /// may be killed before its first checkpoint.)
    pub fn open(path: &Path, occupied: Occupied) -> Outcome<RunFolder> {
        let folder = RunFolder { path: path.to_path_buf() };
        let holds_run = [MODEL, CONFIG, CHECKPOINTS, SEARCH].iter().any(|name| path.join(name).exists());
        match occupied {
            Occupied::Refuse if holds_run => {
                return Err(Failure::new(format!(
                    "{} holds a run already; give another --out, go on with it by --resume, or replace it by --force",
                    path.display()
                )));
            }
            _ => {}
        }
        fs::create_dir_all(path).map_err(|error| cannot("create", path, &error))?;
        if occupied == Occupied::Replace {
            for name in [
                MODEL,
                CONFIG,
                "history.csv",
                "report.html",
                "loss.svg",
                FEATURES,
                SEARCH,
                "search.html",
                "search.toml",
            ] {
                remove(&path.join(name))?;
            }
            CheckpointStore::open(path.join(CHECKPOINTS))?.remove()?;
        }
        Ok(folder)
    }

    /// `runs/NAME-N` with the smallest number N that is not taken.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn numbered(name: &str) -> Outcome<RunFolder> {
        let parent = Path::new("runs");
        fs::create_dir_all(parent).map_err(|error| cannot("create", parent, &error))?;
        for number in 1.. {
            let path = parent.join(format!("{name}-{number}"));
            // Creating is the question whether it is taken: two runs that start together get different folders.
            match fs::create_dir(&path) {
                Ok(()) => return Ok(RunFolder { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot("create", &path, &error)),
            }
        }
        unreachable!("numbers do not end")
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the model lies.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// The checkpoints of the run.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn checkpoints(&self) -> Outcome<CheckpointStore> {
        Ok(CheckpointStore::open(self.path.join(CHECKPOINTS))?)
    }

    /// True when there is a checkpoint.
    pub fn has_checkpoint(&self) -> bool {
        let entries = fs::read_dir(self.path.join(CHECKPOINTS));
        entries.is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Writes a text, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Outcome<()> {
        write_atomically(&self.path.join(name), |file| file.write_all(text.as_bytes()))?;
        Ok(())
    }
}

/// The model that `path` means: itself, or that in the folder of a run.
pub fn model_path(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(MODEL) } else { path.to_path_buf() }
}

fn remove(path: &Path) -> Outcome<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot("remove", path, &error)),
        _ => Ok(()),
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {what} {}: {error}", path.display()))
}

/// The history as CSV: a line for each epoch, columns `train_…` and `validation_…`; empty where a value is missing.
pub fn history_csv(history: &History) -> String {
    let mut names: Vec<(bool, String)> = Vec::new();
    for record in &history.epochs {
        let validation = record.validation.iter().flat_map(|scores| scores.iter()).map(|(name, _)| (true, name));
        for (part, name) in record.train.iter().map(|(name, _)| (false, name)).chain(validation) {
            if !names.iter().any(|(other, known)| *other == part && known == name) {
                names.push((part, name.to_string()));
            }
        }
    }
    names.sort_by_key(|(part, _)| *part);
    let mut out = String::from("epoch,step,learning_rate,seconds");
    for (part, name) in &names {
        out.push_str(&format!(",{}_{name}", if *part { "validation" } else { "train" }));
    }
    out.push('\n');
    for record in &history.epochs {
        out.push_str(&format!("{},{},{},{}", record.epoch, record.step, record.learning_rate, record.seconds));
        for (part, name) in &names {
            let scores = if *part { record.validation.as_ref() } else { Some(&record.train) };
            let value = scores.and_then(|scores| scores.get(name));
            out.push_str(&value.map_or(",".to_string(), |value| format!(",{value}")));
        }
        out.push('\n');
    }
    out
}

/// The history in a file that [`history_csv`] wrote.
///
/// # Errors
/// A file that cannot be read, or a line that is none of it.
pub fn read_history(path: &Path) -> Outcome<History> {
    let text = fs::read_to_string(path).map_err(|error| cannot("read", path, &error))?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let read = |line: &str| -> Option<EpochRecord> {
        let mut record = EpochRecord::default();
        for (name, text) in names.iter().zip(line.split(',')).filter(|(_, text)| !text.is_empty()) {
            match *name {
                "epoch" => record.epoch = text.parse().ok()?,
                "step" => record.step = text.parse().ok()?,
                "learning_rate" => record.learning_rate = text.parse().ok()?,
                "seconds" => record.seconds = text.parse().ok()?,
                name => match name.split_once('_')? {
                    ("train", metric) => record.train.set(metric, text.parse().ok()?),
                    ("validation", metric) => {
                        record.validation.get_or_insert_default().set(metric, text.parse().ok()?);
                    }
                    _ => return None,
                },
            }
        }
        (record.epoch > 0).then_some(record)
    };
    let numbered = lines.enumerate().map(|(number, line)| {
        read(line).ok_or_else(|| Failure::new(format!("{}, line {}: this is no epoch", path.display(), number + 2)))
    });
    Ok(History { epochs: numbered.collect::<Outcome<_>>()? })
}

#[cfg(test)]
mod tests {
    use pellucid::metrics::Scores;

    use super::*;

    #[test]
    fn a_folder_with_a_run_is_not_overwritten_unasked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/run");
        let message = |occupied| RunFolder::open(&path, occupied).unwrap_err().message().to_string();
        let run = RunFolder::open(&path, Occupied::Refuse).expect("a new folder");
        run.write(CONFIG, "seed = 1\n").expect("writes");
        assert!(message(Occupied::Refuse).contains("holds a run already"));
        run.checkpoints().expect("a store");
        RunFolder::open(&path, Occupied::Resume).expect("resumes");
        RunFolder::open(&path, Occupied::Replace).expect("replaces");
        assert!(!path.join(CONFIG).exists());
    }

    #[test]
    fn the_history_has_a_column_for_each_metric_of_each_part() {
        let scores = |entries: &[(&str, f64)]| {
            let mut scores = Scores::new();
            entries.iter().for_each(|(name, value)| scores.set(*name, *value));
            scores
        };
        let record = |epoch, validation| EpochRecord {
            epoch,
            step: 10 * epoch as u64,
            learning_rate: 0.001,
            seconds: 0.5,
            train: scores(&[("loss", 0.25)]),
            validation,
        };
        let with = Some(scores(&[("loss", 0.5), ("accuracy", f64::NAN)]));
        let history = History { epochs: vec![record(1, None), record(2, with)] };
        let expected = "epoch,step,learning_rate,seconds,train_loss,validation_loss,validation_accuracy\n\
                        1,10,0.001,0.5,0.25,,\n2,20,0.001,0.5,0.25,0.5,NaN\n";
        assert_eq!(history_csv(&history), expected);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("history.csv");
        fs::write(&path, expected).expect("writes");
        assert_eq!(history_csv(&read_history(&path).expect("a history")), expected);
        fs::write(&path, format!("{expected}x,1\n")).expect("writes");
        assert!(read_history(&path).expect_err("no epoch").message().contains("line 4: this is no epoch"));
    }
}
