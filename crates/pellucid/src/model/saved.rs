//! A trained network with all that is needed to use it, and its file.

use std::path::Path;
use std::sync::Arc;

use kernels::device::Device;
use serde::{Deserialize, Deserializer, Serialize};

use super::container::{NamedTensor, weights_sha256};
use super::document::{ModelDocument, ModelFile, save_model};
use super::error::ContainerError;
use super::graph_document::{GraphDocument, GraphDocumentError};
use super::predictor::Predictor;
use crate::data::sequences::SequencePlan;
use crate::data::series::SeriesPlan;
use crate::data::text::{DocumentPlan, Tokenizer};
use crate::data::{Pipeline, Task};
use crate::graph::{Graph, Parameters, PlanError};
use crate::nn::Link;
use crate::ops::OpTable;

/// How raw data becomes inputs of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Preprocessing {
    /// Rows of numbers as they are.
    Numbers,
    /// Columns of a table.
    Table {
        /// What was learnt about them.
        pipeline: Box<Pipeline>,
    },
    /// Pictures of one size; an input is `byte · scale + shift`.
    Images {
        /// Height and width.
        size: [usize; 2],
        /// 1 (grey) or 3 (red, green, blue).
        #[serde(default = "grey")]
        channels: usize,
        /// Factor of a byte, `[channels]`.
        #[serde(deserialize_with = "one_or_many")]
        scale: Vec<f32>,
        /// Offset, `[channels]`.
        #[serde(deserialize_with = "one_or_many")]
        shift: Vec<f32>,
    },
    /// Windows of a text.
    Text {
        /// What its tokens are.
        tokenizer: Tokenizer,
        /// Tokens of a window.
        window: usize,
    },
    /// Documents: rows of a table, or files.
    Documents {
        /// What was learnt about them.
        plan: DocumentPlan,
    },
    /// Sequences of a table in long form.
    Sequences {
        /// What was learnt about them.
        plan: SequencePlan,
    },
    /// Windows of a series.
    Series {
        /// What was learnt about it.
        plan: SeriesPlan,
    },
}

/// Models of grey pictures alone did not say it.
fn grey() -> usize {
    1
}

/// Models of grey pictures alone had one number.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(f32),
        Many(Vec<f32>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::One(value) => vec![value],
        Written::Many(values) => values,
    })
}

/// A network, its parameters, what it predicts and how raw data becomes its inputs.
#[derive(Clone, Debug)]
pub struct Model {
    /// The network in its notation, if it has one.
    pub network: Option<String>,
    /// The network.
    pub graph: Arc<Graph>,
    /// Its parameters.
    pub parameters: Parameters,
    /// What it predicts.
    pub task: Task,
    /// What its outputs are.
    pub link: Link,
    /// How raw data becomes its inputs.
    pub preprocessing: Preprocessing,
    /// How it came about; for people.
    pub training: serde_json::Value,
}

/// The task, and what the outputs of the network are.
#[derive(Serialize, Deserialize)]
struct TaskPart {
    #[serde(flatten)]
    task: Task,
    outputs: Link,
}

/// Why a model could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A part of the document.
    #[error("{path}: the {part} of the model cannot be read: {message}")]
    Part {
        /// The file.
        path: String,
        /// Which part.
        part: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The graph.
    #[error("{path}: {source}")]
    Graph {
        /// The file.
        path: String,
        /// What is wrong.
        source: Box<GraphDocumentError>,
    },
    /// A parameter of the graph is not in the file, or has another shape there.
    #[error("{path}: parameter '{name}' should have the shape {expected:?}, {}", Found(found))]
    Parameter {
        /// The file.
        path: String,
        /// Name of the parameter.
        name: String,
        /// The graph's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Option<Vec<usize>>,
    },
    /// The network does not give what the task needs.
    #[error("{path}: the network has {found} outputs, a task with {expected} needs as many")]
    Outputs {
        /// The file.
        path: String,
        /// What the task needs.
        expected: usize,
        /// What the network gives.
        found: usize,
    },
}

struct Found<'a>(&'a Option<Vec<usize>>);

impl std::fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(shape) => write!(f, "the file has {shape:?}"),
            None => f.write_str("but the file does not have it"),
        }
    }
}

impl Model {
    /// Writes the model to `path`, whole or not at all; returns the checksum over names, shapes and bytes of all
    /// parameters.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<String, ModelError> {
        let document = ModelDocument {
            network: self.network.clone(),
            graph: json(&GraphDocument::of(&self.graph)),
            task: json(&TaskPart { task: self.task.clone(), outputs: self.link }),
            preprocessing: json(&self.preprocessing),
            training: self.training.clone(),
            ..ModelDocument::default()
        };
        Ok(save_model(path, &document, &tensors(&self.parameters))?)
    }

    /// Reads a model whose ops are all in `table`.
    ///
    /// # Errors
    /// When the file is damaged, foreign or of a newer version, or its parts do not fit each other.
    pub fn open(path: &Path, table: &OpTable) -> Result<Model, ModelError> {
        let file = ModelFile::open(path)?;
        Model::from_file(file, &path.display().to_string(), table)
    }

    /// As [`Model::open`], from memory: a model that is part of a program (`include_bytes!`). Errors name `name` as the file.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(name: &str, bytes: &[u8], table: &OpTable) -> Result<Model, ModelError> {
        Model::from_file(ModelFile::from_bytes(bytes)?, name, table)
    }

    fn from_file(file: ModelFile, path: &str, table: &OpTable) -> Result<Model, ModelError> {
        let document = file.document;
        let graph: GraphDocument = part(path, "graph", document.graph)?;
        let TaskPart { task, outputs: link } = part(path, "task", document.task)?;
        let preprocessing: Preprocessing = part(path, "preprocessing", document.preprocessing)?;
        if let Preprocessing::Series { plan } = &preprocessing
            && let Some(message) = plan.fault()
        {
            return Err(ModelError::Part { path: path.to_string(), part: "preprocessing", message });
        }
        let graph = graph
            .build(table)
            .map_err(|source| ModelError::Graph { path: path.to_string(), source: Box::new(source) })?;
        let mut parameters = Parameters::zeros(&graph);
        let (segments, values) = parameters.split_mut();
        for segment in segments {
            let stored = file.tensors.get(&segment.name);
            match stored.filter(|tensor| tensor.shape == segment.dims.as_slice()) {
                Some(tensor) => values[segment.range.clone()].copy_from_slice(&tensor.data),
                None => {
                    let (name, expected) = (segment.name.clone(), segment.dims.to_vec());
                    let found = stored.map(|tensor| tensor.shape.clone());
                    return Err(ModelError::Parameter { path: path.to_string(), name, expected, found });
                }
            }
        }
        let output = graph.shape(graph.outputs()[0]);
        let found = match &task {
            Task::Tokens { .. } => output.last().unwrap_or(0),
            _ => output.sample().map_or(0, |sample| sample.iter().product()),
        };
        if found != task.output_width() {
            return Err(ModelError::Outputs { path: path.to_string(), expected: task.output_width(), found });
        }
        let graph = Arc::new(graph);
        let (network, training) = (document.network, document.training);
        Ok(Model { network, graph, parameters, task, link, preprocessing, training })
    }

    /// The checksum over names, shapes and bytes of all parameters.
    pub fn weights_sha256(&self) -> String {
        weights_sha256(&tensors(&self.parameters))
    }

    /// Ready to predict on `device`.
    ///
    /// # Errors
    /// When the network is too large for a batch of one.
    pub fn predictor(&self, device: Arc<Device>) -> Result<Predictor, PlanError> {
        Predictor::new(self.graph.clone(), self.parameters.clone(), device)
    }
}

fn tensors(parameters: &Parameters) -> Vec<NamedTensor<'_>> {
    let tensor = |segment: &'_ crate::graph::Segment| segment.range.clone();
    parameters
        .segments()
        .iter()
        .map(|segment| NamedTensor {
            name: &segment.name,
            shape: &segment.dims,
            data: &parameters.values()[tensor(segment)],
        })
        .collect()
}

fn json<T: Serialize>(part: &T) -> serde_json::Value {
    serde_json::to_value(part).expect("parts of a model are JSON")
}

fn part<T: for<'de> Deserialize<'de>>(
    path: &str,
    part: &'static str,
    value: serde_json::Value,
) -> Result<T, ModelError> {
    serde_json::from_value(value).map_err(|error| ModelError::Part {
        path: path.to_string(),
        part,
        message: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::*;
    use crate::nn;

    fn model() -> Model {
        let line = "3 * residual(dense 4 gelu -> dense 4) -> dropout 0.2 -> dense 3";
        let graph = Arc::new(nn::network(line, &[4], Some(3)).expect("a network"));
        let device = Device::new(Isa::scalar(), 1);
        Model {
            network: Some(line.to_string()),
            parameters: Parameters::initialise(&graph, &device, 4),
            graph,
            task: Task::Multiclass { classes: ["a", "b", "ä\n"].map(String::from).to_vec() },
            link: Link::Logits,
            preprocessing: Preprocessing::Images {
                size: [2, 2],
                channels: 3,
                scale: vec![1.0 / 255.0, 0.1, 0.2],
                shift: vec![-0.5, 0.0, 1.5],
            },
            training: serde_json::json!({"epochs": 3}),
        }
    }

    #[test]
    fn a_model_comes_back_and_predicts_the_same_bits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        let model = model();
        let hash = model.save(&path).expect("saved");
        let back = Model::open(&path, &OpTable::standard()).expect("the same file");
        assert_eq!(hash, model.weights_sha256());
        assert_eq!(hash, back.weights_sha256());
        assert_eq!((&back.task, back.link, &back.preprocessing), (&model.task, model.link, &model.preprocessing));
        assert_eq!((&back.network, &back.training), (&model.network, &model.training));
        assert_eq!(GraphDocument::of(&back.graph), GraphDocument::of(&model.graph));
        let inputs: Vec<f32> = (0..40).map(|i| i as f32 / 7.0 - 2.0).collect();
        let predict = |model: &Model| {
            let mut outputs = vec![0.0; 30];
            let device = Arc::new(Device::new(Isa::best(), 1));
            let mut predictor = model.predictor(device).expect("a small network");
            predictor.predict(&inputs, &mut outputs);
            let row = predictor.predict_row(&inputs[4..8]).to_vec();
            assert_eq!(row, outputs[3..6], "one row and many give the same bits");
            outputs
        };
        assert_eq!(predict(&model), predict(&back));
    }

    #[test]
    fn pictures_of_models_before_colour_are_grey() {
        let old = r#"{"kind":"images","size":[28,28],"scale":0.5,"shift":-0.25}"#;
        let read: Preprocessing = serde_json::from_str(old).expect("reads");
        let (scale, shift) = (vec![0.5], vec![-0.25]);
        assert_eq!(read, Preprocessing::Images { size: [28, 28], channels: 1, scale, shift });
    }

    #[test]
    fn parts_that_do_not_fit_are_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        let refused = |change: &dyn Fn(&mut ModelDocument, &mut Vec<NamedTensor>)| {
            let model = model();
            let mut document = ModelDocument {
                graph: json(&GraphDocument::of(&model.graph)),
                task: json(&TaskPart { task: model.task.clone(), outputs: model.link }),
                preprocessing: json(&model.preprocessing),
                ..ModelDocument::default()
            };
            let mut tensors = tensors(&model.parameters);
            change(&mut document, &mut tensors);
            save_model(&path, &document, &tensors).expect("any parts can be saved");
            Model::open(&path, &OpTable::standard()).map(|_| ()).expect_err("parts that do not fit").to_string()
        };
        let missing = refused(&|_, tensors| tensors.truncate(tensors.len() - 1));
        assert!(missing.contains("the file does not have it"), "{missing}");
        let shape = refused(&|_, tensors| tensors[0].shape = &[2, 8]);
        assert!(shape.contains("[4, 4], the file has [2, 8]"), "{shape}");
        let task = Task::Binary { classes: ["n".to_string(), "y".to_string()] };
        let part = TaskPart { task, outputs: Link::Logits };
        let outputs = refused(&|document, _| document.task = json(&part));
        assert!(outputs.contains("the network has 3 outputs"), "{outputs}");
        let op = refused(&|document, _| document.graph["values"][3]["node"]["op"] = "Gem".into());
        assert!(op.contains("Gem") && op.contains("Gemm"), "{op}");
        let order = refused(&|document, _| document.graph["values"][3]["node"]["inputs"][0] = 7.into());
        assert!(order.contains("does not come before"), "{order}");
        let nothing = refused(&|document, _| document.graph = serde_json::Value::Null);
        assert!(nothing.contains("graph"), "{nothing}");
    }
}
