//! The index of a model in several safetensors files: `{"weight_map": {"layer.weight": "model-00001-of-00002.safetensors", …}}`.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::Deserialize;

use super::error::Problem;
use super::source::Bytes;
use crate::model::header::MAX_HEADER_BYTES;

/// Most files of one model.
const MAX_FILES: usize = 1000;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The files, all beside the index, and the tensors that should be in each.
pub(super) fn parse(bytes: &Bytes) -> Result<BTreeMap<String, Vec<String>>, Problem> {
    let wrong = |message: String| Problem::Index { message };
    if bytes.length > MAX_HEADER_BYTES {
        return Err(wrong(format!("has {} bytes; that is no index of tensors", bytes.length)));
    }
    let json = bytes.first(bytes.length as usize)?;
    let index: Index = serde_json::from_slice(&json).map_err(|error| {
        wrong(format!("is not the JSON that it should be ({error}); open a .safetensors or its index"))
    })?;
    let mut files = BTreeMap::<String, Vec<String>>::new();
    for (tensor, file) in index.weight_map {
        if !is_plain(&file) {
            return Err(wrong(format!(
                "has the tensor `{tensor}` in {file:?}; only a file beside it is opened, named without folders"
            )));
        }
        files.entry(file).or_default().push(tensor);
    }
    if files.is_empty() || files.len() > MAX_FILES {
        return Err(wrong(format!("names {} files; from 1 to {MAX_FILES} are read", files.len())));
    }
    Ok(files)
}

/// True for the name of a file without any folder, on every system.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let one = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    one && !name.contains(['/', '\\', ':']) && !name.chars().any(char::is_control)
}
