//! Weights in place of those of a network: written down by a person as JSON,
//! `{"0.weight": [[0.15, 0.2], [0.25, 0.3]], "0.bias": [0.35, 0.35]}`, or saved by a program.

use std::fs;
use std::path::Path;

use pellucid::graph::Graph;
use pellucid::model::Weights;
use pellucid::suggest::nearest;
use serde_json::Value;

use crate::error::{Failure, Outcome};

/// Puts the values that the file at `path` has, by the names of parameters, in the place of those in `parameters`: JSON, or what
/// [`Weights::open`] reads.
///
/// # Errors
/// A file that cannot be read, a name that is no parameter, another shape, or what is no number; with name and shapes.
pub fn read_weights(path: &Path, graph: &Graph, parameters: &mut [Vec<f64>]) -> Outcome<()> {
    let fail = |message: String| Failure::new(format!("{}: {message}", path.display()));
    let mut put = |name: &str, shape: Option<&[usize]>, numbers: Vec<f64>| {
        let index = parameter(graph, name).map_err(fail)?;
        let expected = graph.shape(graph.parameters()[index].value).dims(1);
        if shape != Some(expected.as_slice()) || numbers.len() != parameters[index].len() {
            let found = match shape {
                None | Some([]) => "a single value, or none".to_string(),
                Some(shape) => format!("an array like {shape:?}"),
            };
            let expected = expected.as_slice();
            return Err(fail(format!("'{name}' should be numbers of the shape {expected:?}, it is {found}")));
        }
        parameters[index] = numbers;
        Ok(())
    };
    if path.extension().is_none_or(|extension| extension != "json") {
        let mut weights = Weights::open(path)?;
        for (index, tensor) in weights.tensors().to_vec().iter().enumerate() {
            let numbers = weights.read(index)?.into_iter().map(f64::from).collect();
            put(&tensor.name, Some(&tensor.shape), numbers)?;
        }
        return Ok(());
    }
    let text = fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let document: Value = serde_json::from_str(&text).map_err(|error| fail(format!("this is no JSON: {error}")))?;
    let Value::Object(entries) = &document else {
        return Err(fail("weights are an object of names and arrays, such as {\"0.bias\": [0.35, 0.35]}".to_string()));
    };
    for (name, value) in entries {
        let (mut shape, mut numbers) = (Vec::new(), Vec::new());
        let is_even = flatten(value, 0, &mut shape, &mut numbers);
        put(name, is_even.then_some(&shape), numbers)?;
    }
    Ok(())
}

/// The position of the parameter `name`, or what there is.
fn parameter(graph: &Graph, name: &str) -> Result<usize, String> {
    let names = || graph.parameters().iter().map(|parameter| parameter.name.as_str());
    names().position(|known| known == name).ok_or_else(|| {
        let near = nearest(name, names()).map_or(String::new(), |near| format!("; did you mean {near}?"));
        format!("the network has no parameter '{name}'{near} It has {}", names().collect::<Vec<_>>().join(", "))
    })
}

/// The numbers of nested arrays, and the sizes along the first of each; false where they are uneven or no numbers.
fn flatten(value: &Value, depth: usize, sizes: &mut Vec<usize>, numbers: &mut Vec<f64>) -> bool {
    match value {
        Value::Array(items) => {
            if sizes.len() == depth {
                sizes.push(items.len());
            }
            sizes[depth] == items.len() && items.iter().all(|item| flatten(item, depth + 1, sizes, numbers))
        }
        Value::Number(number) => {
            numbers.extend(number.as_f64());
            depth == sizes.len() && number.as_f64().is_some_and(f64::is_finite)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use pellucid::nn;

    use super::*;

    #[test]
    fn weights_are_read_and_mistakes_named_with_both_shapes() {
        let graph = nn::network("dense 2 -> dense 1", &[3], None).expect("a network");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("weights.json");
        let fresh = || vec![vec![0.0; 6], vec![0.0; 2], vec![0.0; 2], vec![0.0]];
        let read = |text: &str| {
            fs::write(&path, text).expect("writes");
            let mut parameters = fresh();
            read_weights(&path, &graph, &mut parameters)
                .map(|()| parameters)
                .map_err(|error| error.message().to_string())
        };
        let parameters = read(r#"{"0.weight": [[1, 2, 3], [4, 5, 0.1]], "1.bias": [-1e-3]}"#).expect("weights");
        assert_eq!(parameters, [vec![1.0, 2.0, 3.0, 4.0, 5.0, 0.1], vec![0.0; 2], vec![0.0; 2], vec![-1e-3]]);
        for (text, part) in [
            ("[1]", "an object of names and arrays"),
            ("{", "this is no JSON"),
            (r#"{"0.wieght": []}"#, "did you mean 0.weight?"),
            (r#"{"0.weight": [[1, 2], [3, 4]]}"#, "the shape [2, 3], it is an array like [2, 2]"),
            (r#"{"0.weight": [[1, 2, 3], [3, 4]]}"#, "the shape [2, 3]"),
            (r#"{"0.bias": 1}"#, "the shape [2], it is a single value, or none"),
            (r#"{"0.bias": [1, "2"]}"#, "the shape [2]"),
            (r#"{"0.bias": [[1], 2]}"#, "the shape [2]"),
        ] {
            let message = read(text).expect_err(text);
            assert!(message.contains(part) && message.contains("weights.json"), "{message}");
        }
        // What a model file holds stands in for the weights of the network.
        let model = folder.path().join("weights.npy");
        fs::write(&model, b"no array").expect("writes");
        assert!(read_weights(&model, &graph, &mut fresh()).is_err());
    }
}
