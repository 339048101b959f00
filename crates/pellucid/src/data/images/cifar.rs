//! CIFAR-10 as its author publishes it: binary files of 32×32 pictures in colour.
//!
//! A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. A record is the class (1 byte) and the
//! red, green and blue values (1024 bytes each). `data_batch_1.bin` to `data_batch_5.bin` are for training, `test_batch.bin`
//! for the test; `batches.meta.txt` names the classes, a line each.

use std::path::PathBuf;

use super::error::ImagesError;
use super::fit::Shape;
use super::{Pictures, USUAL_MEMORY};
use crate::data::TaskKind;
use crate::data::download::{self, Checksum};
use crate::data::files::{Files, Part};
use crate::data::mnist::Place;
use crate::data::sources::{Origin, Source, SourceError};

/// Shape of a picture.
pub const SHAPE: Shape = [3, 32, 32];
const RECORD: usize = 1 + 3 * 32 * 32;
/// The classes, where no file names them.
const CLASSES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

pub(crate) const SOURCE: Source = Source {
    name: "cifar10",
    description: "photographs of ten kinds of things, 32×32 pixels in colour (downloaded)",
    rows: 50_000,
    test_rows: 10_000,
    task: TaskKind::Multiclass,
    origin: Origin::Cifar10,
};

/// The archive as it is published.
const ARCHIVE: &str = "cifar-10-binary.tar.gz";
const MIRRORS: [&str; 1] = ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"];
const MD5: &str = "c32a1d4ab5d03f1284b67883e8d87530";
/// The archive takes 163 MB.
const MOST_ARCHIVE_BYTES: u64 = 256 << 20;

/// Reads the set from a folder that holds the files or the archive, or from the cache, which is filled by download.
///
/// `progress` hears of downloads: the file's name, the bytes so far, and the total where announced.
///
/// # Errors
/// Files that are not there, not whole, or cannot be fetched.
pub(crate) fn load(
    place: Place<'_>,
    progress: &mut dyn FnMut(&str, u64, Option<u64>),
) -> Result<Pictures, SourceError> {
    let path: PathBuf = match place {
        Place::Folder(folder) => {
            Some(folder.join(ARCHIVE)).filter(|path| path.is_file()).unwrap_or(folder.to_path_buf())
        }
        Place::Cache(cache, options) => {
            let request = download::Request {
                file_name: ARCHIVE,
                mirrors: &MIRRORS.map(String::from),
                checksum: Some(Checksum::Md5(MD5)),
                max_bytes: MOST_ARCHIVE_BYTES,
            };
            let mut progress = |received, total| progress(ARCHIVE, received, total);
            download::fetch(&request, &cache.join(SOURCE.name), options, &mut progress)?
        }
    };
    let cifar = read(&Files::open(&path, USUAL_MEMORY).map_err(ImagesError::from)?)?;
    let missing = || ImagesError::Cifar {
        place: path.display().to_string(),
        reason: format!(
            "neither data_batch_1.bin nor {ARCHIVE} is there; give the folder with the binary files of CIFAR-10"
        ),
    };
    Ok(Pictures::of_cifar(cifar.ok_or_else(missing)?, None)?)
}

fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

/// The part that a file of records is for.
fn part(name: &str) -> Option<Part> {
    let stem = file_name(name).strip_suffix(".bin")?;
    if stem == "test_batch" { Some(Part::Test) } else { stem.strip_prefix("data_batch_").map(|_| Part::Train) }
}

/// Whether a file of that name holds records of the set.
pub(in crate::data) fn is_record(name: &str) -> bool {
    part(name).is_some()
}

/// Whether a file of that name belongs to the set.
pub(in crate::data) fn is_part(name: &str) -> bool {
    is_record(name) || file_name(name) == "batches.meta.txt"
}

/// What the files hold.
#[derive(Debug)]
pub(super) struct Cifar {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// `[rows, 3072]`.
    pub bytes: Vec<u8>,
    /// Class and part of each row.
    pub labels: Vec<(u32, Part)>,
}

/// Reads the set, if there is one among the files.
pub(super) fn read(files: &Files) -> Result<Option<Cifar>, ImagesError> {
    if !files.entries.iter().any(|entry| part(&entry.name) == Some(Part::Train)) {
        return Ok(None);
    }
    let mut cifar = Cifar {
        classes: CLASSES.iter().map(|class| class.to_string()).collect(),
        bytes: Vec::new(),
        labels: Vec::new(),
    };
    for (index, entry) in files.entries.iter().enumerate().filter(|(_, entry)| is_part(&entry.name)) {
        let failed = |reason: String| ImagesError::Cifar { place: files.place(index as u32), reason };
        let bytes = files.read(index as u32).map_err(|error| failed(error.reason))?;
        let Some(part) = part(&entry.name) else {
            let text = String::from_utf8_lossy(&bytes);
            let classes: Vec<String> =
                text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
            if classes.len() != CLASSES.len() {
                return Err(failed(format!("{} names of classes, not {}", classes.len(), CLASSES.len())));
            }
            cifar.classes = classes;
            continue;
        };
        if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) {
            return Err(failed(format!("{} bytes are no whole number of records of {RECORD}: cut off?", bytes.len())));
        }
        for (row, record) in bytes.chunks_exact(RECORD).enumerate() {
            if usize::from(record[0]) >= CLASSES.len() {
                return Err(failed(format!("picture {row} is of class {}; there are 0 to 9", record[0])));
            }
            cifar.labels.push((u32::from(record[0]), part));
            cifar.bytes.extend_from_slice(&record[1..]);
        }
    }
    Ok(Some(cifar))
}
