//! PyTorch's state dictionaries: a zip archive with a pickle, `NAME/data.pkl`, and the bytes of each storage, `NAME/data/KEY`.
//! (<https://pytorch.org/docs/stable/notes/serialization.html>)

use std::collections::BTreeSet;

use super::Found;
use super::archive::Archive;
use super::error::Problem;
use super::pickle::{self, MAX_PICKLE, Objects, Value};
use super::source::Place;
use super::tensor::{Layout, size_of};
use crate::model::error::Fault;
use crate::model::header::check_name;

/// The name of the pickle, behind that of the archive.
const PICKLE: &str = "data.pkl";

/// Keys under which checkpoints of training keep the state of the network, beside those of optimisers and counters.
const NETWORKS: [&str; 8] =
    ["state_dict", "model_state_dict", "model", "net", "network", "module", "params", "weights"];

/// Deepest nesting of dictionaries, and longest name of a tensor in bytes.
const MAX_DEPTH: usize = 16;
const MAX_NAME: usize = 1024;

/// The entry that is the pickle, if this is an archive of PyTorch.
pub(super) fn pickle_of(archive: &Archive) -> Option<usize> {
    archive.entries().iter().position(|entry| entry.name == PICKLE || entry.name.ends_with(&format!("/{PICKLE}")))
}

/// The tensors of an archive, the `source`-th of the weights, in the order of the dictionary.
pub(super) fn tensors(archive: &Archive, pickle: usize, source: usize) -> Result<Vec<Found>, Problem> {
    let entry = &archive.entries()[pickle];
    let prefix = entry.name.strip_suffix(PICKLE).unwrap_or_default();
    if archive.entries().iter().any(|entry| entry.name.starts_with(&format!("{prefix}code/"))) {
        let found = "a TorchScript archive, which is a program; in PyTorch, save its tensors alone: \
                     torch.save(torch.jit.load(path).state_dict(), \"weights.pt\")";
        return Err(Problem::Foreign { found: found.to_string() });
    }
    if !entry.stored || entry.size > MAX_PICKLE as u64 {
        let message = format!("has a pickle of {} bytes that is no state dictionary's", entry.size);
        return Err(Problem::Archive { message });
    }
    let big_endian = match archive.find(&format!("{prefix}byteorder")) {
        Some(order) => archive.read(order)? == b"big",
        None => false,
    };
    let bytes = archive.read(pickle)?;
    let (objects, root) = pickle::read(&bytes)?;
    let (named, keys) = named_tensors(&objects, root)?;
    if named.is_empty() {
        let keys = if keys.is_empty() { "nothing by name".to_string() } else { keys.join(", ") };
        let found = format!("no tensor, but {keys}; save model.state_dict()");
        return Err(Problem::Foreign { found });
    }
    let mut found = Vec::with_capacity(named.len());
    let mut names = BTreeSet::new();
    for (name, tensor) in named {
        check_name(&name)?;
        let tensor = &objects.tensors[tensor];
        let storage = &objects.storages[tensor.storage];
        let wrong = |message: String| Problem::Tensor { tensor: name.clone(), message };
        if !names.insert(name.clone()) {
            return Err(Fault::DuplicateTensor { tensor: name }.into());
        }
        let file = format!("{prefix}data/{}", storage.key);
        let Some(place) = archive.find(&file) else {
            return Err(wrong(format!("has its values in `{file}`, which is not in the archive; copy the file again")));
        };
        let (stored, size) = (&archive.entries()[place], size_of(storage.dtype));
        if !stored.stored {
            return Err(wrong(format!(
                "has packed values in `{file}`, which PyTorch does not write; save it with torch.save"
            )));
        }
        if (storage.count as u64).checked_mul(size as u64) != Some(stored.size) {
            let count = storage.count;
            return Err(wrong(format!(
                "has {count} values of {size} bytes in `{file}`, which has {} bytes; the file is damaged",
                stored.size
            )));
        }
        let layout = Layout {
            dtype: storage.dtype,
            big_endian,
            place: Place::Entry { source, entry: place },
            start: tensor.offset * size,
            strides: Some(tensor.strides.clone()),
        };
        found.push(Found { name, shape: tensor.shape.clone(), layout });
    }
    Ok(found)
}

/// A name, and which of the tensors has it.
type Named = (String, usize);

/// The tensors of the network with their names, and, for messages, the keys of what was looked through.
fn named_tensors<'a>(objects: &Objects<'a>, root: Value<'a>) -> Result<(Vec<Named>, Vec<String>), Problem> {
    let mut at = root;
    let mut all = under(objects, at)?;
    // A checkpoint has the network's state under a key of its own, perhaps within another.
    for _ in 0..MAX_DEPTH {
        let Value::Dict(dict) = at else { break };
        let pairs = &objects.dicts[dict];
        if pairs.iter().any(|(_, value)| matches!(value, Value::Tensor(_))) {
            break;
        }
        let of_network = NETWORKS.iter().find_map(|name| {
            let value = pairs.iter().find(|(key, _)| *key == Value::Text(name))?.1;
            under(objects, value).ok().filter(|tensors| !tensors.is_empty()).map(|tensors| (value, tensors))
        });
        let Some((value, tensors)) = of_network else { break };
        (at, all) = (value, tensors);
    }
    let keys = match at {
        Value::Dict(dict) => objects.dicts[dict].iter().take(20).filter_map(|(key, _)| key_text(*key)).collect(),
        _ => Vec::new(),
    };
    Ok((all, keys))
}

fn key_text(key: Value<'_>) -> Option<String> {
    match key {
        Value::Text(text) => Some(text.chars().take(MAX_NAME + 1).collect()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// All tensors under `value`, their keys joined by dots. Each dictionary is looked through once, so a cycle ends.
fn under<'a>(objects: &Objects<'a>, value: Value<'a>) -> Result<Vec<Named>, Problem> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    walk(objects, value, &mut String::new(), 0, &mut seen, &mut found)?;
    Ok(found)
}

fn walk<'a>(
    objects: &Objects<'a>,
    value: Value<'a>,
    path: &mut String,
    depth: usize,
    seen: &mut BTreeSet<(bool, usize)>,
    found: &mut Vec<Named>,
) -> Result<(), Problem> {
    if path.len() > MAX_NAME {
        let tensor = path.chars().take(60).collect::<String>() + "…";
        return Err(Fault::Name { tensor, reason: "it has more than 1024 bytes" }.into());
    }
    let first_time = match value {
        Value::Tensor(index) => {
            found.push((if path.is_empty() { "tensor".to_string() } else { path.clone() }, index));
            false
        }
        Value::Dict(index) => seen.insert((true, index)),
        Value::Sequence(index) => seen.insert((false, index)),
        _ => false,
    };
    if !first_time || depth == MAX_DEPTH {
        return Ok(());
    }
    let mut step = |key: &str, value| {
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(key);
        let outcome = walk(objects, value, path, depth + 1, seen, found);
        path.truncate(length);
        outcome
    };
    match value {
        Value::Dict(index) => {
            for (key, value) in &objects.dicts[index] {
                if let Some(key) = key_text(*key) {
                    step(&key, *value)?;
                }
            }
        }
        Value::Sequence(index) => {
            for (place, value) in objects.sequences[index].iter().enumerate() {
                step(&place.to_string(), *value)?;
            }
        }
        _ => {}
    }
    Ok(())
}
