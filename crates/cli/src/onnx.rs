//! Files in ONNX: a network of another program becomes a model.

use std::path::Path;
use std::sync::Arc;

use pellucid::data::{TargetScaling, Task};
use pellucid::model::weights::Weights;
use pellucid::model::{Model, Preprocessing};
use pellucid::nn::Link;
use pellucid_onnx::{Constant, Import, Imported, OnnxError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::args::OnnxInputs;
use crate::error::{Failure, Outcome};

/// The key in the metadata of an ONNX file under which a model says what it is.
pub const ABOUT: &str = "pellucid";

/// What a model is besides its graph and parameters.
#[derive(Serialize, Deserialize)]
pub struct About {
    /// The network in its notation.
    pub network: Option<String>,
    /// What it predicts.
    pub task: Task,
    /// What its outputs are.
    pub outputs: Link,
    /// How raw data becomes its inputs.
    pub preprocessing: Preprocessing,
    /// How it came about.
    pub training: serde_json::Value,
}

/// Most numbers of a row of outputs that a model of other programs may have.
const MOST_OUTPUTS: usize = 1 << 16;

/// Reads a network, with sizes and inputs fixed as `fixed` says; `raw` as in [`Import::raw`].
///
/// # Errors
/// What is wrong with the file, and every node that cannot be had.
pub fn open(path: &Path, fixed: &OnnxInputs, raw: bool) -> Outcome<Imported> {
    let mut import = Import { raw, ..Import::default() };
    for text in &fixed.size {
        let size = text.split_once('=').and_then(|(name, size)| Some((name.to_string(), size.trim().parse().ok()?)));
        let Some((name, size)) = size else { return Err(Failure::new(format!("--size is NAME=N; got {text:?}"))) };
        import.sizes.insert(name, size);
    }
    for text in &fixed.fix {
        let Some((name, file)) = text.split_once('=') else {
            return Err(Failure::new(format!("--fix is NAME=FILE; got {text:?}")));
        };
        let (dims, values, whole) = array(Path::new(file))?;
        let constant = match whole {
            true => Constant::whole(&dims, values.iter().map(|&value| value as i64).collect()),
            false => Constant::floats(&dims, values),
        };
        import.fixed.insert(name.to_string(), constant);
    }
    import.open(path).map_err(|error| match error {
        // It names the file itself.
        OnnxError::File { .. } => Failure::new(error),
        error => Failure::new(format!("{}: {error}", path.display())),
    })
}

/// Sizes and values of the array in a file, and whether they are whole numbers there.
///
/// # Errors
/// When there is no single array in it.
pub fn array(path: &Path) -> Outcome<(Vec<usize>, Vec<f32>, bool)> {
    let mut arrays = Weights::open(path)?;
    let [info] = arrays.tensors() else {
        return Err(Failure::new(format!(
            "{} holds {} arrays; give a .npy with one",
            path.display(),
            arrays.tensors().len()
        )));
    };
    let (shape, whole) = (info.shape.clone(), !info.dtype.to_ascii_uppercase().starts_with(['F', 'B']));
    Ok((shape, arrays.read(0)?, whole))
}

/// The model in an ONNX file.
///
/// # Errors
/// As [`open`], and a network that is none for rows.
pub fn open_onnx(path: &Path) -> Outcome<Model> {
    model(open(path, &OnnxInputs::default(), false)?, &path.display().to_string())
}

/// The model of a network: what it was, if it was one; else numbers in and numbers out, or the classes that the file names.
///
/// # Errors
/// A network whose output no input changes, or with more outputs than any model has.
pub fn model(imported: Imported, name: &str) -> Outcome<Model> {
    let Imported { graph, parameters, metadata, .. } = imported;
    if graph.inputs().is_empty() || graph.shape(graph.outputs()[0]).sample().is_none() {
        return Err(Failure::new(format!(
            "{name}: the network gives the same whatever goes in, so there is no model to make of it"
        )));
    }
    if let Some(about) = metadata.get(ABOUT).and_then(|text| serde_json::from_str::<About>(text).ok()) {
        let About { network, task, outputs, preprocessing, training } = about;
        return Ok(Model { network, graph: Arc::new(graph), parameters, task, link: outputs, preprocessing, training });
    }
    let width: usize = graph.shape(graph.outputs()[0]).sample().map_or(0, |sample| sample.iter().product());
    if width > MOST_OUTPUTS {
        let advice = "run it as it is with pellucid run";
        return Err(Failure::new(format!(
            "{name}: a row has {width} outputs, a model at most {MOST_OUTPUTS}; {advice}"
        )));
    }
    let classes = metadata.get("classes").and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
    let ends_in_softmax = graph.nodes().last().is_some_and(|node| node.op.name() == "Softmax");
    let (task, link) = match classes.filter(|classes| classes.len() == width && width > 1) {
        Some(classes) if ends_in_softmax => (Task::Multiclass { classes }, Link::Probabilities),
        Some(classes) => (Task::Multiclass { classes }, Link::Logits),
        None => {
            let target = |i: usize| TargetScaling { name: format!("output {i}"), mean: 0.0, std: 1.0, log: false };
            (Task::Regression { targets: (0..width).map(target).collect() }, Link::Values)
        }
    };
    Ok(Model {
        network: None,
        graph: Arc::new(graph),
        parameters,
        task,
        link,
        preprocessing: Preprocessing::Numbers,
        training: json!({ "imported": name }),
    })
}
