//! What a model file says besides its weights.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::container::{self, Container, NamedTensor, StoredTensor};
use super::error::{ContainerError, Fault};

/// Newest version of [`ModelDocument`] that can be read, and the one that is written.
pub const MODEL_VERSION: u32 = 1;

/// Key of the document in the metadata.
const DOCUMENT: &str = "model";

/// Everything that makes weights a model, as one JSON document in the metadata of its file (key `model`).
///
/// The parts are kept as JSON: the modules that own them read and write their own. A newer `format_version` is refused,
/// because its meaning may have changed; fields that this version does not know are ignored, so that a later version can
/// add what an older program may do without. Parts that are missing are null.
///
/// JSON has no NaN and no infinity; numbers that may be either are stored with [`super::checkpoint::ExactF64`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelDocument {
    /// [`MODEL_VERSION`] of the program that wrote it.
    pub format_version: u32,
    /// Version of that program, such as `0.1.0`; for information only.
    #[serde(default)]
    pub pellucid_version: String,
    /// The network in its one-line notation, if it has one.
    #[serde(default)]
    pub network: Option<String>,
    /// Nodes and values of the graph.
    #[serde(default)]
    pub graph: Value,
    /// What is predicted: kind of task, class names, scale of the targets.
    #[serde(default)]
    pub task: Value,
    /// How raw columns, images or text become inputs.
    #[serde(default)]
    pub preprocessing: Value,
    /// How the weights came about: epochs, seed, metrics, name of the data, …
    #[serde(default)]
    pub training: Value,
}

impl Default for ModelDocument {
    /// An empty document of this version.
    fn default() -> ModelDocument {
        ModelDocument {
            format_version: MODEL_VERSION,
            pellucid_version: env!("CARGO_PKG_VERSION").to_string(),
            network: None,
            graph: Value::Null,
            task: Value::Null,
            preprocessing: Value::Null,
            training: Value::Null,
        }
    }
}

impl ModelDocument {
    /// Reads the JSON text.
    ///
    /// # Errors
    /// [`Fault::Version`] for a newer version, [`Fault::Document`] for anything that is not such a document.
    pub fn from_json(text: &str) -> Result<ModelDocument, Fault> {
        parse_versioned(text, DOCUMENT, MODEL_VERSION)
    }

    /// The JSON text; equal documents give equal text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and JSON values are JSON")
    }
}

/// Reads a document after its `format_version`: that one decides whether the rest can be understood.
pub(super) fn parse_versioned<T: for<'de> Deserialize<'de>>(
    text: &str,
    document: &'static str,
    supported: u32,
) -> Result<T, Fault> {
    #[derive(Deserialize)]
    struct Version {
        format_version: u64,
    }
    let failed = |error: serde_json::Error| Fault::Document { document, message: error.to_string() };
    let Version { format_version } = serde_json::from_str(text).map_err(failed)?;
    if format_version > u64::from(supported) {
        return Err(Fault::Version { what: document, found: format_version.to_string(), supported });
    }
    serde_json::from_str(text).map_err(failed)
}

/// The content of a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// Everything but the weights.
    pub document: ModelDocument,
    /// Parameters and buffers by name.
    pub tensors: BTreeMap<String, StoredTensor>,
    /// [`container::weights_sha256`] of the tensors, checked.
    pub weights_sha256: String,
}

impl ModelFile {
    /// Opens and checks a model file.
    ///
    /// # Errors
    /// [`ContainerError`] for everything but a whole model file of a version that this program knows.
    pub fn open(path: &Path) -> Result<ModelFile, ContainerError> {
        ModelFile::from_container(Container::open(path)?).map_err(ContainerError::at(path))
    }

    /// As [`ModelFile::open`], from memory.
    ///
    /// # Errors
    /// As [`ModelFile::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<ModelFile, ContainerError> {
        ModelFile::from_container(Container::from_bytes(bytes)?).map_err(ContainerError::in_memory)
    }

    fn from_container(container: Container) -> Result<ModelFile, Fault> {
        let document = ModelDocument::from_json(container.document(DOCUMENT)?)?;
        let weights_sha256 = container.weights_sha256().expect("an opened container has its sum").to_string();
        Ok(ModelFile { document, tensors: container.into_tensors(), weights_sha256 })
    }
}

/// Writes a model file atomically and returns the [`container::weights_sha256`] of its tensors.
///
/// # Errors
/// As [`container::save`].
pub fn save_model(
    path: &Path,
    document: &ModelDocument,
    tensors: &[NamedTensor<'_>],
) -> Result<String, ContainerError> {
    container::save(path, tensors, &BTreeMap::from([(DOCUMENT.to_string(), document.to_json())]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn example() -> ModelDocument {
        ModelDocument {
            network: Some("dense 10".into()),
            task: json!({"classes": ["a", "ä", "\u{0}\n\""]}),
            training: json!({"seed": u64::MAX, "loss": 0.1, "smallest": f64::from_bits(1), "zero": -0.0}),
            ..ModelDocument::default()
        }
    }

    #[test]
    fn a_model_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        let bias = NamedTensor { name: "0.bias", shape: &[2], data: &[1.0, 2.0] };
        let sum = save_model(&path, &example(), &[bias]).expect("saved");
        let model = ModelFile::open(&path).expect("opened");
        assert_eq!(model.document, example());
        assert_eq!(model.document.training["smallest"].as_f64().map(f64::to_bits), Some(1));
        assert_eq!(model.weights_sha256, sum);
        assert_eq!(model.tensors["0.bias"], StoredTensor { shape: vec![2], data: vec![1.0, 2.0] });
        assert_eq!(ModelFile::from_bytes(&std::fs::read(&path).expect("readable")).expect("the same"), model);
    }

    #[test]
    fn fields_of_later_versions_are_ignored_and_missing_parts_are_null() {
        let document = ModelDocument::from_json(r#"{"later":[1],"format_version":1,"task":{"x":1}}"#).expect("valid");
        assert_eq!(document.task, json!({"x": 1}));
        assert_eq!((document.network, document.graph), (None, Value::Null));
    }

    #[test]
    fn a_newer_version_is_refused_whatever_else_it_says() {
        let fault =
            ModelDocument::from_json(r#"{"network":{"now":"an object"},"format_version":2}"#).expect_err("newer");
        assert!(matches!(&fault, Fault::Version { found, supported: 1, .. } if found == "2"), "{fault}");
    }

    #[test]
    fn what_is_no_document_is_named() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"format_version":-1}"#,
            r#"{"format_version":1,"training":NaN}"#,
            r#"{"format_version":1,"network":5}"#,
        ] {
            let fault = ModelDocument::from_json(text).expect_err(text);
            assert!(matches!(fault, Fault::Document { document: "model", .. }), "{text}: {fault}");
        }
        // Deep nesting must not exhaust the stack.
        let deep = format!(r#"{{"format_version":1,"graph":{}"#, "[".repeat(1_000_000));
        assert!(matches!(ModelDocument::from_json(&deep), Err(Fault::Document { .. })));
    }

    #[test]
    fn another_kind_of_file_is_named() {
        let metadata = BTreeMap::from([("checkpoint".to_string(), "{}".to_string())]);
        let bytes = container::to_bytes(&[], &metadata).expect("valid");
        let message = ModelFile::from_bytes(&bytes).expect_err("a checkpoint").to_string();
        assert!(message.contains("no model file") && message.contains("checkpoint"), "{message}");
    }
}
