//! The newest and the previous state of a run, so that a kill or a damaged file costs no more than one interval.
//!
//! A checkpoint is a [`container`] with any tensors (parameters, moments, best weights, …) and one JSON
//! document (metadata key `checkpoint`): the step and whatever else the run needs. Saving writes the new file whole
//! under a temporary name, then renames the newest to the previous, then the new file to the newest: at every moment at
//! least one whole checkpoint has its name.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use thiserror::Error;

use super::atomic::{remove_leftovers, sync_folder};
use super::container::{self, Container, NamedTensor, StoredTensor};
use super::document::parse_versioned;
use super::error::{ContainerError, Fault};

/// Newest version of the checkpoint document that can be read, and the one that is written.
pub const CHECKPOINT_VERSION: u32 = 1;

/// Name of the newest checkpoint in its folder.
pub const NEWEST: &str = "checkpoint.safetensors";

/// Name of the checkpoint before it.
pub const PREVIOUS: &str = "checkpoint.previous.safetensors";

const DOCUMENT: &str = "checkpoint";

/// Why a checkpoint could not be saved, loaded or removed. What was there before is still there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] ContainerError),
    /// There are checkpoints, but none is whole.
    #[error("no checkpoint can be used; {newest}; {previous}; start the run anew")]
    AllBroken {
        /// What is wrong with the newest.
        newest: Box<ContainerError>,
        /// What is wrong with the previous.
        previous: Box<ContainerError>,
    },
    /// The folder, or a file in it, could not be created, renamed or removed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Folder {
        /// The step that failed.
        doing: &'static str,
        /// Folder or file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The state cannot be written as JSON, or not be read into the type that was asked for.
    #[error("the state of the run cannot be {doing}: {source}")]
    State {
        /// `saved` or `restored`.
        doing: &'static str,
        /// What does not fit.
        source: serde_json::Error,
    },
}

/// One checkpoint, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The step at which it was saved.
    pub step: u64,
    /// Version of the program that saved it.
    pub pellucid_version: String,
    /// The JSON document of the run; see [`Checkpoint::state`].
    pub state: Value,
    /// The tensors by name.
    pub tensors: BTreeMap<String, StoredTensor>,
}

impl Checkpoint {
    /// Reads the state into the type that was saved.
    ///
    /// # Errors
    /// [`CheckpointError::State`] names the field that does not fit.
    pub fn state<S: DeserializeOwned>(&self) -> Result<S, CheckpointError> {
        S::deserialize(&self.state).map_err(|source| CheckpointError::State { doing: "restored", source })
    }

    fn open(path: &Path) -> Result<Checkpoint, ContainerError> {
        Checkpoint::from_container(Container::open(path)?).map_err(ContainerError::at(path))
    }

    fn from_container(container: Container) -> Result<Checkpoint, Fault> {
        let text = container.document(DOCUMENT)?;
        let Document::<Value> { step, pellucid_version, state, .. } =
            parse_versioned(text, DOCUMENT, CHECKPOINT_VERSION)?;
        Ok(Checkpoint { step, pellucid_version, state, tensors: container.into_tensors() })
    }
}

/// The checkpoint to go on from, and which one it is.
#[derive(Debug)]
pub struct Loaded {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Where it was found; anything but the newest should be told to the user.
    pub origin: Origin,
}

/// Which of the two checkpoints was loaded.
#[derive(Debug)]
pub enum Origin {
    /// The newest, as always unless something went wrong.
    Newest,
    /// The previous one. Nothing is lost if the newest is missing: a save was interrupted before it was complete.
    Previous {
        /// What is wrong with the newest; none if it is missing.
        newest: Option<Box<ContainerError>>,
    },
}

#[derive(Serialize, Deserialize)]
struct Document<S> {
    format_version: u32,
    pellucid_version: String,
    step: u64,
    state: S,
}

/// What is known about the newest file.
#[derive(Clone, Copy, PartialEq)]
enum Newest {
    Unknown,
    /// Missing counts as whole: there is nothing to protect the previous one from.
    Whole,
    Broken,
}

/// The two checkpoints of one run, in a folder that no other process writes to at the same time.
pub struct CheckpointStore {
    folder: PathBuf,
    newest: Newest,
}

impl CheckpointStore {
    /// Opens the folder, creates it if it is missing, and removes temporary files that a killed run has left.
    ///
    /// # Errors
    /// [`CheckpointError::Folder`].
    pub fn open(folder: impl Into<PathBuf>) -> Result<CheckpointStore, CheckpointError> {
        let folder = folder.into();
        let failed = |doing| {
            let path = folder.clone();
            move |source| CheckpointError::Folder { doing, path, source }
        };
        fs::create_dir_all(&folder).map_err(failed("create the folder"))?;
        remove_leftovers(&folder.join(NEWEST)).map_err(failed("clean up the folder"))?;
        Ok(CheckpointStore { folder, newest: Newest::Unknown })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Saves the state at `step`; the checkpoint that was the newest becomes the previous one. When this returns, the
    /// checkpoint survives a kill and a power loss. The tensors are streamed to the file, not copied.
    ///
    /// `state` is anything that serde writes as JSON: u64 and finite f64 come back exactly. A plain f64 that is NaN or
    /// infinite would become null, so fields that may be either are [`ExactF64`].
    ///
    /// # Errors
    /// [`CheckpointError`]; both earlier checkpoints are then still whole (possibly one place further back).
    pub fn save<S: Serialize>(
        &mut self,
        step: u64,
        tensors: &[NamedTensor<'_>],
        state: &S,
    ) -> Result<(), CheckpointError> {
        let document = Document {
            format_version: CHECKPOINT_VERSION,
            pellucid_version: env!("CARGO_PKG_VERSION").to_string(),
            step,
            state,
        };
        let text =
            serde_json::to_string(&document).map_err(|source| CheckpointError::State { doing: "saved", source })?;
        let (newest, previous) = (self.folder.join(NEWEST), self.folder.join(PREVIOUS));
        let (staged, _) = container::stage(&newest, tensors, &BTreeMap::from([(DOCUMENT.to_string(), text)]))?;
        if self.newest_is_whole()? {
            match fs::rename(&newest, &previous) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                outcome => outcome.map_err(|source| CheckpointError::Folder {
                    doing: "keep the previous checkpoint as",
                    path: previous,
                    source,
                })?,
            }
        }
        staged.replace().map_err(|error| ContainerError::at(&newest)(error.into()))?;
        self.newest = Newest::Whole;
        Ok(())
    }

    /// A damaged newest file must not take the place of a whole previous one. Read at most once per store.
    fn newest_is_whole(&mut self) -> Result<bool, CheckpointError> {
        if self.newest == Newest::Unknown {
            self.newest = match Checkpoint::open(&self.folder.join(NEWEST)) {
                Ok(_) => Newest::Whole,
                Err(error) if is_missing(&error) => Newest::Whole,
                Err(error) if error.fault.is_damage() => Newest::Broken,
                // Perhaps whole, but not ours to judge, and so not ours to overwrite.
                Err(error) => return Err(error.into()),
            };
        }
        Ok(self.newest == Newest::Whole)
    }

    /// Loads the newest checkpoint, or the previous one if the newest is missing or damaged; none if there is neither.
    ///
    /// # Errors
    /// [`CheckpointError::AllBroken`] if there are files but no whole one. A newest file that may be whole but cannot be
    /// read (no permission, a newer version) is an error and not passed over, because going on from the previous one
    /// would overwrite it.
    pub fn load_latest(&mut self) -> Result<Option<Loaded>, CheckpointError> {
        let broken = match Checkpoint::open(&self.folder.join(NEWEST)) {
            Ok(checkpoint) => {
                self.newest = Newest::Whole;
                return Ok(Some(Loaded { checkpoint, origin: Origin::Newest }));
            }
            Err(error) if is_missing(&error) => None,
            Err(error) if error.fault.is_damage() => Some(Box::new(error)),
            Err(error) => return Err(error.into()),
        };
        self.newest = if broken.is_some() { Newest::Broken } else { Newest::Whole };
        match (Checkpoint::open(&self.folder.join(PREVIOUS)), broken) {
            (Ok(checkpoint), newest) => Ok(Some(Loaded { checkpoint, origin: Origin::Previous { newest } })),
            (Err(error), None) if is_missing(&error) => Ok(None),
            (Err(error), None) => Err(error.into()),
            (Err(error), Some(newest)) => Err(CheckpointError::AllBroken { newest, previous: Box::new(error) }),
        }
    }

    /// Removes both checkpoints, for a run that is finished or starts anew. The folder and other files stay.
    ///
    /// # Errors
    /// [`CheckpointError::Folder`].
    pub fn remove(&mut self) -> Result<(), CheckpointError> {
        // The newest last: interrupted, the removal leaves the one that counts.
        for name in [PREVIOUS, NEWEST] {
            let path = self.folder.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                outcome => outcome.map_err(|source| CheckpointError::Folder { doing: "remove", path, source })?,
            }
        }
        self.newest = Newest::Whole;
        sync_folder(&self.folder).map_err(|source| CheckpointError::Folder {
            doing: "sync",
            path: self.folder.clone(),
            source,
        })
    }
}

fn is_missing(error: &ContainerError) -> bool {
    matches!(&error.fault, Fault::Io { source, .. } if source.kind() == ErrorKind::NotFound)
}

/// An f64 that JSON gives back exactly: a finite one as a number, else the text `NaN`, `inf` or `-inf`
/// (the payload of a NaN is not kept).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExactF64(pub f64);

impl Serialize for ExactF64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            serializer.serialize_f64(self.0)
        } else if self.0.is_nan() {
            serializer.serialize_str("NaN")
        } else {
            serializer.serialize_str(if self.0 > 0.0 { "inf" } else { "-inf" })
        }
    }
}

impl<'de> Deserialize<'de> for ExactF64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ExactF64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum NumberOrText {
            Number(f64),
            Text(String),
        }
        match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Number(number) => Ok(ExactF64(number)),
            NumberOrText::Text(text) => match &*text {
                "NaN" => Ok(ExactF64(f64::NAN)),
                "inf" => Ok(ExactF64(f64::INFINITY)),
                "-inf" => Ok(ExactF64(f64::NEG_INFINITY)),
                _ => Err(D::Error::custom(format!("expected a number, NaN, inf or -inf, found {text:?}"))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct State {
        updates: u64,
        best: ExactF64,
        losses: Vec<ExactF64>,
        rate: f64,
    }

    fn state(updates: u64) -> State {
        State { updates, best: ExactF64(f64::INFINITY), losses: vec![ExactF64(0.1), ExactF64(-0.0)], rate: 1.0 / 3.0 }
    }

    fn save(store: &mut CheckpointStore, step: u64) {
        let data = [step as f32; 5];
        let tensor = NamedTensor { name: "0.weight", shape: &[5], data: &data };
        store.save(step, &[tensor], &state(step)).expect("saved");
    }

    fn load(store: &mut CheckpointStore) -> Loaded {
        let loaded = store.load_latest().expect("readable").expect("there is one");
        let step = loaded.checkpoint.step;
        assert_eq!(loaded.checkpoint.state::<State>().expect("ours"), state(step));
        assert_eq!(loaded.checkpoint.tensors["0.weight"].data, [step as f32; 5]);
        loaded
    }

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("the folder exists")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn store() -> (tempfile::TempDir, CheckpointStore) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = CheckpointStore::open(folder.path().join("run")).expect("created");
        (folder, store)
    }

    #[test]
    fn the_newest_is_loaded_and_the_previous_kept_until_both_are_removed() {
        let (_folder, mut store) = store();
        assert!(store.load_latest().expect("nothing is no error").is_none());
        for step in 1..=3 {
            save(&mut store, step);
            let loaded = load(&mut store);
            assert_eq!(loaded.checkpoint.step, step);
            assert!(matches!(loaded.origin, Origin::Newest));
        }
        assert_eq!(Checkpoint::open(&store.folder.join(PREVIOUS)).expect("whole").step, 2);
        assert_eq!(files(&store.folder), [PREVIOUS, NEWEST]);
        store.remove().expect("removed");
        store.remove().expect("nothing to remove is no error");
        assert_eq!(files(&store.folder), [""; 0]);
        assert!(store.load_latest().expect("nothing is no error").is_none());
        save(&mut store, 9);
        assert_eq!(load(&mut store).checkpoint.step, 9);
    }

    #[test]
    fn a_cut_file_costs_one_interval_and_never_the_previous_one() {
        let (_folder, mut store) = store();
        save(&mut store, 1);
        save(&mut store, 2);
        let newest = store.folder.join(NEWEST);
        let whole = fs::read(&newest).expect("readable");
        for length in 0..whole.len() {
            fs::write(&newest, &whole[..length]).expect("written");
            let loaded = load(&mut CheckpointStore::open(&store.folder).expect("opened"));
            assert_eq!(loaded.checkpoint.step, 1, "cut to {length} bytes");
            assert!(matches!(loaded.origin, Origin::Previous { newest: Some(_) }), "cut to {length} bytes");
        }
        // Whether the damage was seen in loading or only in saving: the good one stays until a newer one is in place.
        for load_first in [true, false] {
            fs::write(&newest, &whole[..whole.len() - 1]).expect("written");
            let mut store = CheckpointStore::open(&store.folder).expect("opened");
            if load_first {
                load(&mut store);
            }
            save(&mut store, 3);
            assert_eq!(load(&mut store).checkpoint.step, 3);
            assert_eq!(Checkpoint::open(&store.folder.join(PREVIOUS)).expect("whole").step, 1);
        }
    }

    #[test]
    fn every_state_between_two_steps_of_a_save_can_be_resumed() {
        let (_folder, mut store) = store();
        save(&mut store, 1);
        save(&mut store, 2);
        let (newest, previous) = (store.folder.join(NEWEST), store.folder.join(PREVIOUS));
        let leftover = store.folder.join(format!(".{NEWEST}.AbCdEf.tmp"));
        let whole = fs::read(&newest).expect("readable");

        // Killed while the temporary file was being written.
        fs::write(&leftover, &whole[..whole.len() / 2]).expect("written");
        let mut reopened = CheckpointStore::open(&store.folder).expect("opened");
        assert_eq!(load(&mut reopened).checkpoint.step, 2);
        assert_eq!(files(&store.folder), [PREVIOUS, NEWEST]);

        // Killed between the two renames.
        fs::rename(&newest, &previous).expect("renamed");
        fs::write(&leftover, &whole).expect("written");
        let mut reopened = CheckpointStore::open(&store.folder).expect("opened");
        let loaded = load(&mut reopened);
        assert_eq!(loaded.checkpoint.step, 2);
        assert!(matches!(loaded.origin, Origin::Previous { newest: None }));
        save(&mut reopened, 3);
        assert_eq!(load(&mut reopened).checkpoint.step, 3);
        assert_eq!(Checkpoint::open(&previous).expect("whole").step, 2);
    }

    #[test]
    fn two_broken_files_are_both_named() {
        let (_folder, mut store) = store();
        for name in [NEWEST, PREVIOUS] {
            fs::write(store.folder.join(name), b"broken").expect("written");
        }
        let message = store.load_latest().expect_err("broken").to_string();
        assert!(message.contains(NEWEST) && message.contains(PREVIOUS), "{message}");
        save(&mut store, 4);
        assert_eq!(load(&mut store).checkpoint.step, 4);
    }

    #[test]
    fn a_checkpoint_of_a_newer_program_is_neither_passed_over_nor_overwritten() {
        let (_folder, mut store) = store();
        save(&mut store, 1);
        save(&mut store, 2);
        let newest = store.folder.join(NEWEST);
        let document = json!({"format_version": 2}).to_string();
        container::save(&newest, &[], &BTreeMap::from([(DOCUMENT.to_string(), document)])).expect("saved");
        let newer = fs::read(&newest).expect("readable");
        let mut store = CheckpointStore::open(&store.folder).expect("opened");
        assert!(store.save(3, &[], &()).is_err());
        let message = store.load_latest().expect_err("newer").to_string();
        assert!(message.contains("update Pellucid"), "{message}");
        assert_eq!(fs::read(&newest).expect("readable"), newer);
        assert_eq!(files(&store.folder), [PREVIOUS, NEWEST]);
    }

    #[test]
    fn a_failed_save_leaves_both_checkpoints() {
        let (_folder, mut store) = store();
        save(&mut store, 1);
        save(&mut store, 2);
        let wrong = NamedTensor { name: "w", shape: &[2], data: &[0.0] };
        assert!(store.save(3, &[wrong], &()).is_err());
        let keys_must_be_strings = BTreeMap::from([((1, 2), 3)]);
        let error = store.save(3, &[], &keys_must_be_strings).expect_err("no JSON");
        assert!(matches!(error, CheckpointError::State { doing: "saved", .. }), "{error}");
        assert_eq!(load(&mut store).checkpoint.step, 2);
        assert_eq!(files(&store.folder), [PREVIOUS, NEWEST]);
    }

    #[test]
    fn a_state_of_another_shape_is_an_error() {
        let (_folder, mut store) = store();
        store.save(1, &[], &json!({"updates": "many"})).expect("saved");
        let loaded = store.load_latest().expect("readable").expect("there is one");
        let message = loaded.checkpoint.state::<State>().expect_err("another").to_string();
        assert!(message.contains("restored"), "{message}");
    }

    #[test]
    fn numbers_come_back_exactly() {
        let (_folder, mut store) = store();
        let floats: Vec<f64> = [0, 1, 1 << 63, f64::MAX.to_bits(), f64::MIN_POSITIVE.to_bits(), 0x3fb9_9999_9999_999a]
            .into_iter()
            // A fixed walk through all exponents.
            .chain((0..4000u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .map(f64::from_bits)
            .chain([f64::NAN, f64::INFINITY, f64::NEG_INFINITY])
            .collect();
        let whole = vec![0, 1, u64::MAX, u64::MAX - 1, (1 << 53) + 1];
        let exact: Vec<ExactF64> = floats.iter().copied().map(ExactF64).collect();
        store.save(u64::MAX, &[], &(exact, whole.clone())).expect("saved");
        let checkpoint = store.load_latest().expect("readable").expect("there is one").checkpoint;
        assert_eq!(checkpoint.step, u64::MAX);
        let (found, found_whole) = checkpoint.state::<(Vec<ExactF64>, Vec<u64>)>().expect("ours");
        assert_eq!(found_whole, whole);
        assert_eq!(found.len(), floats.len());
        for (found, expected) in found.iter().zip(&floats) {
            let same = found.0.to_bits() == expected.to_bits() || found.0.is_nan() && expected.is_nan();
            assert!(same, "{} instead of {expected}", found.0);
        }
        assert!(serde_json::from_str::<ExactF64>(r#""nan""#).is_err());
        assert!(serde_json::from_str::<ExactF64>("null").is_err());
    }
}
