//! `pellucid export`: a model becomes a network in ONNX.

use std::collections::BTreeMap;

use pellucid_onnx::export;
use pellucid_onnx::front::Front;
use serde_json::json;

use crate::args::ExportArgs;
use crate::error::{Failure, Outcome};
use crate::onnx::{ABOUT, About};
use crate::run_folder::model_path;
use crate::say::Say;
use crate::trained::open_model;

/// Reads the model and writes the network.
pub fn run(arguments: &ExportArgs) -> Outcome<()> {
    let say = Say::new(arguments.look);
    let model = open_model(&model_path(&arguments.model))?;
    let about = About {
        network: model.network.clone(),
        task: model.task.clone(),
        outputs: model.link,
        preprocessing: model.preprocessing.clone(),
        training: model.training.clone(),
    };
    let text = |value: serde_json::Result<String>| value.expect("parts of a model are JSON");
    let mut metadata = BTreeMap::from([(ABOUT.to_string(), text(serde_json::to_string(&about)))]);
    let classes = model.task.class_names();
    if !classes.is_empty() {
        metadata.insert("classes".to_string(), text(serde_json::to_string(&classes)));
    }
    metadata.insert("outputs".to_string(), text(serde_json::to_string(&model.link)).trim_matches('"').to_string());
    let front = Front::of(&model.preprocessing).filter(|_| !arguments.encoded);
    export::save(&arguments.out, &model.graph, &model.parameters, front.as_ref(), &metadata)
        .map_err(|error| Failure::new(format!("{}: {error}", arguments.model.display())))?;
    let shape = |value| model.graph.shape(value).to_string();
    let facts = [
        (
            "input".to_string(),
            front.map_or_else(|| shape(model.graph.inputs()[0].value), |front| front.name.to_string()),
        ),
        ("output".to_string(), shape(model.graph.outputs()[0])),
        ("network".to_string(), arguments.out.display().to_string()),
    ];
    say.result(&say.facts(&facts))?;
    say.json(&json!({ "network": facts[2].1, "input": facts[0].1, "output": facts[1].1 }))
}
