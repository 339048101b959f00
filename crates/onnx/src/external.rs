//! Values that lie in another file beside the model: only under a plain name, never through a path or a link.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::OnnxError;
use crate::proto::StringEntry;

/// The folder of a model, or none for one from memory.
#[derive(Clone, Debug, Default)]
pub struct Folder(Option<PathBuf>);

impl Folder {
    /// The folder in which the file `model` lies.
    pub fn of(model: &Path) -> Folder {
        let parent = model.parent().filter(|parent| !parent.as_os_str().is_empty());
        Folder(Some(parent.unwrap_or(Path::new(".")).to_path_buf()))
    }

    /// The `bytes` bytes of tensor `name` that `entries` describe.
    pub fn read(&self, name: &str, entries: &[StringEntry], bytes: usize) -> Result<Vec<u8>, OnnxError> {
        let error = |problem: String| OnnxError::Tensor { name: name.to_string(), problem };
        let entry = |key: &str| {
            let found = entries.iter().find(|entry| entry.key.as_deref() == Some(key));
            found.and_then(|entry| entry.value.as_deref())
        };
        let Some(folder) = &self.0 else {
            return Err(error("its values lie in another file; read the model from its folder".into()));
        };
        let location = entry("location").unwrap_or_default();
        let plain =
            !location.is_empty() && !location.contains(['/', '\\', ':', '\0']) && location != "." && location != "..";
        if !plain {
            return Err(error(format!(
                "its values lie in '{location}'; only a plain file name beside the model is read"
            )));
        }
        let path = folder.join(location);
        let failed = |source| OnnxError::File { path: path.clone(), source };
        let found = std::fs::symlink_metadata(&path).map_err(failed)?;
        if !found.is_file() {
            return Err(error(format!("'{location}' is a link or no file; put the file itself beside the model")));
        }
        let number = |key: &str, otherwise: u64| match entry(key) {
            Some(text) => text.parse::<u64>().map_err(|_| error(format!("its {key} '{text}' is no number"))),
            None => Ok(otherwise),
        };
        let offset = number("offset", 0)?;
        let length = number("length", bytes as u64)?;
        if length != bytes as u64 || offset.checked_add(length).is_none_or(|end| end > found.len()) {
            let (size, end) = (found.len(), offset.saturating_add(length));
            return Err(error(format!(
                "{bytes} bytes are due, '{location}' has {size} and {offset} to {end} are named"
            )));
        }
        let mut file = File::open(&path).map_err(failed)?;
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut values = vec![0; bytes];
        file.read_exact(&mut values).map_err(failed)?;
        Ok(values)
    }
}
