//! A trained model, opened for use.

use std::path::Path;

use pellucid::model::Model;
use pellucid::nn::Loss;
use pellucid::ops::OpTable;

use crate::error::{Failure, Outcome};
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
