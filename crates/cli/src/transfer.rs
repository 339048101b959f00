//! What a run begins with instead of random numbers: a trained model, or weights that another program saved.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use kernels::device::Device;
use pellucid::graph::{Graph, Parameters};
use pellucid::model::weights::{Matching, Outcome as Match, Renaming, Weights};
use pellucid::model::{Model, Preprocessing};
use pellucid::nn::notation::Network;
use pellucid::nn::{BuiltNetwork, backbone, with_head};

use crate::error::{Failure, Outcome};
use crate::prepare::Prepared;
use crate::recipe::{Recipe, network};
use crate::run_folder::model_path;
use crate::settings::Settings;
use crate::trained::open_model;

/// The word of `--head` for all layers of the model.
const KEEP: &str = "keep";
/// The head where nothing is said: one dense layer for the task.
const HEAD: &str = "dense";

/// What `--from` names.
pub struct Transfer {
    path: PathBuf,
    origin: Origin,
}

enum Origin {
    Model(Box<Model>),
    /// Weights for the network of `--net`.
    Weights(Box<Weights>),
}

/// The network of a run that begins with something.
pub struct Begun {
    /// The whole network: what it begins with, and its head.
    pub line: String,
    /// Names of the parameters that come from the model or the weights, running statistics too.
    pub backbone: BTreeSet<String>,
    /// The network that the model or the weights are of.
    source: Graph,
}

impl Transfer {
    /// Opens what the settings name, if they name something.
    ///
    /// # Errors
    /// A file that is neither, or settings that go without `--from`.
    pub fn open(settings: &Settings) -> Outcome<Option<Transfer>> {
        let Some(path) = &settings.from else {
            return match settings.transfer_setting() {
                Some(flag) => {
                    Err(Failure::new(format!("{flag} is for runs that begin with a model or weights; give --from")))
                }
                None => Ok(None),
            };
        };
        let path = model_path(path);
        let origin = if settings.net.is_some() {
            Origin::Weights(Box::new(Weights::open(&path)?))
        } else {
            let advice = "if it has the weights of another program, say with --net what network they are of";
            let model = open_model(&path);
            let model = model.map_err(|error| Failure::new(format!("{}; {advice}", error.message())))?;
            if settings.rename.is_some() || settings.in_order || settings.lenient {
                let message =
                    "--rename, --in-order and --lenient are for weights with --net; a model has its own network";
                return Err(Failure::new(message));
            }
            Origin::Model(Box::new(model))
        };
        Ok(Some(Transfer { path, origin }))
    }

    /// What is known of the data, and not learnt anew.
    pub fn preprocessing(&self) -> Option<&Preprocessing> {
        match &self.origin {
            Origin::Model(model) => Some(&model.preprocessing),
            Origin::Weights(_) => None,
        }
    }

    /// The network: the layers before the last dense one, and the head.
    ///
    /// # Errors
    /// A network without a line or without a dense layer at its end, a head that cannot be read.
    pub fn begin(&self, settings: &Settings, prepared: &Prepared) -> Outcome<Begun> {
        let source = match &self.origin {
            Origin::Model(model) => {
                let line = model.network.as_deref();
                line.ok_or_else(|| {
                    Failure::new(format!("{} has no line of notation to go on with", self.path.display()))
                })?
            }
            Origin::Weights(_) => settings.net.as_deref().unwrap_or_default(),
        };
        // Its last layer may be sized as the weights are, or left to the data.
        let built = network(source, settings, prepared, None)
            .or_else(|_| network(source, settings, prepared, Some(prepared.task.output_width())))?;
        let BuiltNetwork { layers, graph: source, .. } = built;
        let line =
            layers.to_notation().ok_or_else(|| Failure::new("the network has no line of notation to go on with"))?;
        let names = |graph: &Graph| graph.parameters().iter().map(|parameter| parameter.name.clone()).collect();
        let head = settings.head.as_deref().unwrap_or(HEAD);
        if head == KEEP {
            return Ok(Begun { line: line.to_string(), backbone: names(&source), source });
        }
        let Some(kept) = backbone(&line) else {
            let message = format!("there is no dense layer at the end of '{line}' that --head could stand for");
            return Err(Failure::new(format!("{message}; give --head keep")));
        };
        let head = Network::parse(head).map_err(|error| Failure::notation(&error))?;
        let graph = network(&kept.to_string(), settings, prepared, None)?.graph;
        Ok(Begun { line: with_head(&kept, &head).to_string(), backbone: names(&graph), source })
    }

    /// The parameters that the run begins with, those of the head from the seed; and what the user should know.
    ///
    /// # Errors
    /// Parameters that find no weights, unless that is allowed.
    pub fn parameters(
        &mut self,
        begun: &Begun,
        recipe: &Recipe,
        settings: &Settings,
        device: &Arc<Device>,
    ) -> Outcome<(Parameters, Vec<String>)> {
        let mut parameters = Parameters::initialise(&recipe.graph, device, recipe.options.seed);
        let path = self.path.display();
        let mut notes = Vec::new();
        let (known, found) = match &mut self.origin {
            Origin::Model(model) => (model.parameters.clone(), begun.backbone.clone()),
            Origin::Weights(weights) => {
                let mut known = Parameters::zeros(&begun.source);
                let mut matching = if settings.in_order {
                    Matching::in_order(weights, &known)
                } else {
                    let renaming = settings.rename.as_deref().map(str::parse::<Renaming>).transpose();
                    let renaming = renaming.map_err(|error| Failure::new(format!("--rename: {error}")))?;
                    Matching::by_name(weights, &known, &renaming.unwrap_or_default())
                }
                .map_err(|error| Failure::new(format!("{path}: {error}")))?;
                matching.parameters.retain(|matched| begun.backbone.contains(&matched.parameter));
                if let Err(error) = matching.require_all(weights) {
                    if !settings.lenient {
                        return Err(Failure::new(format!("{path}: {error}; or allow it with --lenient")));
                    }
                    notes.push(error.to_string());
                }
                matching.load(weights, &mut known)?;
                let fits = |outcome| matches!(outcome, Match::Fits(_));
                let found = matching.parameters.iter().filter(|matched| fits(matched.outcome));
                let found: BTreeSet<String> = found.map(|matched| matched.parameter.clone()).collect();
                notes.extend(unused(weights, &matching));
                (known, found)
            }
        };
        for segment in known.segments().iter().filter(|segment| found.contains(&segment.name)) {
            let target = parameters.get_mut(&segment.name).filter(|target| target.len() == segment.range.len());
            let Some(target) = target else {
                let (name, dims) = (&segment.name, &segment.dims);
                return Err(Failure::new(format!(
                    "{path}: the parameter {name} of shape {dims:?} does not fit this data"
                )));
            };
            target.copy_from_slice(&known.values()[segment.range.clone()]);
        }
        notes.insert(0, format!("{} of {} parameters come from {path}", found.len(), parameters.segments().len()));
        Ok((parameters, notes))
    }
}

/// A word on the tensors that no parameter took.
fn unused(weights: &Weights, matching: &Matching) -> Option<String> {
    const SHOWN: usize = 6;
    let shown = matching.unused.iter().take(SHOWN).map(|&index| {
        let tensor = &weights.tensors()[index];
        format!("{} {:?}", tensor.name, tensor.shape)
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    let more = matching.unused.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!shown.is_empty()).then(|| format!("not used: {shown}{more}"))
}
