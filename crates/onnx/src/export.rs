//! Writing a network as a file: its inputs, outputs and parameters, and the nodes that [`ops`] makes of it.

mod ops;

use std::collections::BTreeMap;
use std::path::Path;

use pellucid::graph::{Graph, Parameters, Source};
use pellucid::model::atomic::write_atomically;
use pellucid::tensor::{Dim, Shape};
use prost::Message;

use crate::error::OnnxError;
use crate::front::Front;
use crate::proto::{self, attribute_type};
use ops::At;

/// The version of the standard ops that is written. RMSNormalization came with it.
const OPSET: i64 = 23;

/// The version of the file format that belongs to it.
const IR_VERSION: i64 = 10;

/// Types of values, by the format's numbers.
const FLOAT: i64 = 1;
const INT32: i64 = 6;
const INT64: i64 = 7;
const BOOL: i64 = 9;

/// Name of the batch axis.
const BATCH: &str = "batch";

/// A model in the making.
#[derive(Debug, Default)]
pub(crate) struct Export {
    nodes: Vec<proto::Node>,
    tensors: Vec<proto::Tensor>,
    /// Values that were made on the way.
    made: usize,
}

/// Attributes of a node.
#[derive(Clone, Debug)]
pub(crate) enum Setting<'a> {
    Int(i64),
    Float(f32),
    Ints(Vec<i64>),
    Text(&'a str),
    Texts(Vec<&'a str>),
}

pub(crate) type Settings<'a> = Vec<(&'static str, Setting<'a>)>;

/// The metadata under which a file says at which value the network begins, behind what prepares raw numbers for it.
pub const NETWORK_INPUT: &str = "network_input";

/// Writes `graph` with these parameters to a file, whole or not at all. `front` prepares raw numbers, `metadata` is kept in the file:
/// `classes` and whatever else helps to use it.
///
/// # Errors
/// When an op has no counterpart in ONNX, or the file cannot be written.
pub fn save(
    path: &Path,
    graph: &Graph,
    parameters: &Parameters,
    front: Option<&Front>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), OnnxError> {
    let bytes = to_bytes(graph, parameters, front, metadata)?;
    write_atomically(path, |file| file.write_all(&bytes)).map_err(|source| OnnxError::File {
        path: path.to_path_buf(),
        source: std::io::Error::other(source.to_string()),
    })
}

/// `graph` with these parameters as the bytes of a file.
///
/// # Errors
/// When an op has no counterpart in ONNX.
pub fn to_bytes(
    graph: &Graph,
    parameters: &Parameters,
    front: Option<&Front>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, OnnxError> {
    let mut export = Export::default();
    let mut names: Vec<String> = (0..graph.value_count()).map(|i| format!("value_{i}")).collect();
    for input in graph.inputs() {
        names[input.value.index()] = input.name.clone();
    }
    for parameter in graph.parameters() {
        names[parameter.value.index()] = parameter.name.clone();
    }
    for (i, &output) in graph.outputs().iter().enumerate() {
        if matches!(graph.value(output).source, Source::Node(_)) {
            names[output.index()] = if i == 0 { "output".to_string() } else { format!("output_{i}") };
        }
    }
    let begin = graph.inputs().first().map(|input| (input.name.clone(), graph.shape(input.value).clone()));
    let front = front.zip(begin.as_ref().filter(|_| graph.inputs().len() == 1));
    if let Some((front, (name, _))) = front {
        front.write(&mut export, name);
    }
    // A parameter is written as the ops want it; once for those that take it as it is.
    let mut plain = vec![false; graph.value_count()];
    for (number, node) in graph.nodes().iter().enumerate() {
        let mut at = At { graph, parameters, node, names: &names, plain: &mut plain, export: &mut export };
        at.write().map_err(|problem| OnnxError::Export {
            label: if node.label.is_empty() { number.to_string() } else { node.label.clone() },
            problem,
        })?;
    }
    for &output in graph.outputs() {
        if let Source::Parameter(_) = graph.value(output).source {
            let mut at = At {
                graph,
                parameters,
                node: &graph.nodes()[0],
                names: &names,
                plain: &mut plain,
                export: &mut export,
            };
            at.name(output);
        }
    }
    let (mut metadata, mut inside) = (metadata.clone(), Vec::new());
    let inputs = match front {
        None => graph.inputs().iter().map(|input| info(&input.name, graph.shape(input.value))).collect(),
        Some((front, (name, shape))) => {
            metadata.insert(NETWORK_INPUT.into(), name.clone());
            metadata.extend(front.about.clone().map(|about| ("columns".to_string(), about)));
            inside.push(info(name, shape));
            let raw = front.sizes.as_ref().map_or(shape.clone(), |sizes| Shape::batched(sizes));
            vec![info(front.name, &raw)]
        }
    };
    let model = proto::Model {
        ir_version: Some(IR_VERSION),
        producer_name: Some("pellucid".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        graph: Some(proto::Graph {
            node: export.nodes,
            name: Some("network".into()),
            initializer: export.tensors,
            input: inputs,
            output: graph.outputs().iter().map(|&output| info(&names[output.index()], graph.shape(output))).collect(),
            value_info: inside,
        }),
        opset_import: vec![proto::OperatorSet { domain: Some(String::new()), version: Some(OPSET) }],
        metadata_props: metadata
            .iter()
            .map(|(key, value)| proto::StringEntry { key: Some(key.clone()), value: Some(value.clone()) })
            .collect(),
    };
    Ok(model.encode_to_vec())
}

/// Name, type and sizes of an input or output.
fn info(name: &str, shape: &Shape) -> proto::ValueInfo {
    let dim = |axis: &Dim| match axis {
        Dim::Batch => proto::Dimension { dim_value: None, dim_param: Some(BATCH.into()) },
        Dim::Fixed(size) => proto::Dimension { dim_value: Some(*size as i64), dim_param: None },
    };
    let shape = proto::TensorShape { dim: shape.axes().iter().map(dim).collect() };
    let tensor_type = proto::TensorType { elem_type: Some(FLOAT as i32), shape: Some(shape) };
    proto::ValueInfo { name: Some(name.into()), r#type: Some(proto::Type { tensor_type: Some(tensor_type) }) }
}

impl Export {
    fn fresh(&mut self) -> String {
        self.made += 1;
        format!("made_{}", self.made)
    }

    fn tensor<const N: usize>(
        &mut self,
        name: &str,
        dims: &[usize],
        data_type: i64,
        bytes: impl Iterator<Item = [u8; N]>,
    ) {
        self.tensors.push(proto::Tensor {
            dims: dims.iter().map(|&size| size as i64).collect(),
            data_type: Some(data_type as i32),
            name: Some(name.into()),
            raw_data: Some(bytes.flatten().collect::<Vec<u8>>().into()),
            ..proto::Tensor::default()
        });
    }

    fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        self.tensor(name, dims, FLOAT, values.iter().map(|value| value.to_le_bytes()));
    }

    /// Numbers that are no parameter.
    pub(crate) fn constant(&mut self, dims: &[usize], values: &[f32]) -> String {
        let name = self.fresh();
        self.floats(&name, dims, values);
        name
    }

    pub(crate) fn number(&mut self, value: f32) -> String {
        self.constant(&[], &[value])
    }

    fn ints(&mut self, values: &[i64]) -> String {
        self.whole(&[values.len()], values)
    }

    fn whole(&mut self, dims: &[usize], values: &[i64]) -> String {
        let name = self.fresh();
        self.tensor(&name, dims, INT64, values.iter().map(|value| value.to_le_bytes()));
        name
    }

    pub(crate) fn node(&mut self, op: &str, inputs: &[&str], outputs: &[&str], settings: Settings) {
        let attribute = settings.into_iter().map(|(name, setting)| {
            let mut attribute = proto::Attribute { name: Some(name.into()), ..proto::Attribute::default() };
            let kind = match setting {
                Setting::Int(value) => {
                    attribute.i = Some(value);
                    attribute_type::INT
                }
                Setting::Float(value) => {
                    attribute.f = Some(value);
                    attribute_type::FLOAT
                }
                Setting::Ints(values) => {
                    attribute.ints = values;
                    attribute_type::INTS
                }
                Setting::Text(text) => {
                    attribute.s = Some(text.into());
                    attribute_type::STRING
                }
                Setting::Texts(texts) => {
                    attribute.strings = texts.into_iter().map(Vec::from).collect();
                    attribute_type::STRINGS
                }
            };
            attribute.r#type = Some(kind);
            attribute
        });
        self.nodes.push(proto::Node {
            input: inputs.iter().map(|name| name.to_string()).collect(),
            output: outputs.iter().map(|name| name.to_string()).collect(),
            name: Some(format!("node_{}", self.nodes.len())),
            op_type: Some(op.into()),
            attribute: attribute.collect(),
            domain: None,
        });
    }

    /// A node with one output that is made on the way.
    pub(crate) fn make(&mut self, op: &str, inputs: &[&str], settings: Settings) -> String {
        let name = self.fresh();
        self.node(op, inputs, &[&name], settings);
        name
    }

    pub(crate) fn cast(&mut self, x: &str, data_type: i64) -> String {
        self.make("Cast", &[x], vec![("to", Setting::Int(data_type))])
    }

    fn reshape(&mut self, x: &str, sizes: &[i64]) -> String {
        let sizes = self.ints(sizes);
        self.make("Reshape", &[x, &sizes], vec![])
    }

    fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        self.make("Transpose", &[x], vec![("perm", Setting::Ints(order.to_vec()))])
    }

    /// The places from `start` on, and before `end`, of an axis.
    pub(crate) fn slice(&mut self, x: &str, axis: i64, start: i64, end: i64) -> String {
        let [start, end, axis] = [start, end, axis].map(|value| self.ints(&[value]));
        self.make("Slice", &[x, &start, &end, &axis], vec![])
    }
}
