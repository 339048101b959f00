//! A trained model, opened for use.

use std::path::Path;

use pellucid::graph::Graph;
use pellucid::model::Model;
use pellucid::nn::notation::Network;
use pellucid::nn::{Loss, NetworkOptions};
use pellucid::ops::OpTable;

use crate::error::{Failure, Outcome};
use crate::run_folder::model_path;
use crate::settings::Settings;

/// Reads a model.
///
/// # Errors
/// No file, or one that is damaged or no model.
pub fn open_model(path: &Path) -> Outcome<Model> {
    if !path.exists() {
        let message =
            format!("there is no model at {}; give a model.safetensors or the folder of a run", path.display());
        return Err(Failure::new(message));
    }
    Ok(Model::open(path, &OpTable::standard())?)
}

/// The loss that the model learnt.
///
/// # Errors
/// The model does not say, or says it in a way of a newer version.
pub fn loss_of(model: &Model) -> Outcome<Loss> {
    let text = model.training["loss"].as_str();
    let text = text.ok_or_else(|| Failure::new("the model does not say what loss it learnt; train it again"))?;
    Ok(Loss::parse(text)?)
}

/// The settings that the model was trained with, if it says so.
pub fn settings_of(model: &Model) -> Option<Settings> {
    serde_json::from_value(model.training["settings"].clone()).ok()
}

/// The graph of a model, its layers called as they are written where its notation gives the same parameters.
pub fn named_layers(model: &Model) -> Graph {
    let graph = &*model.graph;
    let shape = graph.shape(graph.inputs()[0].value).sample().map(|sample| sample.to_vec());
    let network = model.network.as_deref().and_then(|line| Network::parse(line).ok());
    let built = network.zip(shape).and_then(|(network, shape)| NetworkOptions::default().build(&network, &shape).ok());
    let shapes = |graph: &Graph| -> Vec<(String, String)> {
        let shape = |value| graph.shape(value).to_string();
        graph.parameters().iter().map(|parameter| (parameter.name.clone(), shape(parameter.value))).collect()
    };
    built.map(|built| built.graph).filter(|built| shapes(built) == shapes(graph)).unwrap_or_else(|| graph.clone())
}

/// A network with its layers called as they are written.
pub struct Opened {
    /// Its notation, if it has one.
    pub notation: Option<String>,
    /// The network.
    pub graph: Graph,
    /// The model that it is of, if it is of one.
    pub model: Option<Model>,
}

/// The network of a model, if `text` names one (or the folder of a run), or the one that `text` is the notation of, for rows of the
/// shape `input`.
///
/// # Errors
/// A damaged file; a mistake in the line, with its place; a shape that is none.
pub fn open_network(text: &str, input: Option<&str>) -> Outcome<Opened> {
    let path = Path::new(text);
    if text.ends_with(".safetensors") || path.exists() {
        let model = open_model(&model_path(path))?;
        return Ok(Opened { notation: model.network.clone(), graph: named_layers(&model), model: Some(model) });
    }
    let (line, graph) = read_network(text, input)?;
    Ok(Opened { notation: Some(line), graph, model: None })
}

fn read_network(text: &str, input: Option<&str>) -> Outcome<(String, Graph)> {
    let network = Network::parse(text).map_err(|error| Failure::notation(&error))?;
    let Some(input) = input else {
        return Err(Failure::new("the shape of a row is needed: give --input, such as --input 784 or --input 1x28x28"));
    };
    let built =
        NetworkOptions::default().build(&network, &read_shape(input)?).map_err(|error| Failure::network(&error))?;
    let line = built.layers.to_notation().map_or_else(|| text.to_string(), |network| network.to_string());
    Ok((line, built.graph))
}

/// `784`, `1x28x28`, `1,28,28`
fn read_shape(text: &str) -> Outcome<Vec<usize>> {
    let sizes: Option<Vec<usize>> =
        text.split(['x', ',', '×']).map(|size| size.trim().parse().ok().filter(|size| *size > 0)).collect();
    sizes.ok_or_else(|| Failure::new(format!("--input is a shape such as 784 or 1x28x28; got {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_as_people_write_them() {
        assert_eq!(read_shape("784").expect("a shape"), [784]);
        assert_eq!(read_shape("1x28x28").expect("a shape"), [1, 28, 28]);
        assert_eq!(read_shape("3, 4").expect("a shape"), [3, 4]);
        for text in ["", "0", "a", "1x", "-3"] {
            assert!(read_shape(text).is_err(), "{text:?}");
        }
    }
}
