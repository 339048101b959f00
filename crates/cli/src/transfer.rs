//! What a run begins with instead of random numbers: a trained model, weights that another program saved, or an encoder of
//! texts that others trained.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use kernels::device::Device;
use pellucid::graph::{Graph, Parameters};
use pellucid::model::weights::{Matching, Outcome as Match, Renaming, Weights};
use pellucid::model::{Encoder, Model, Pooling, Preprocessing};
use pellucid::nn::notation::Network;
use pellucid::nn::{BuiltNetwork, backbone, backbone_graph, with_head};

use crate::error::{Failure, Outcome};
use crate::onnx::open_onnx;
use crate::prepare::{Known, LENGTH, Prepared};
use crate::recipe::{Recipe, network, network_options};
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
    /// Sizes of a row of inputs of the model, if it is one.
    input: Vec<usize>,
}

enum Origin {
    Model(Box<Model>),
    /// Weights for the network of `--net`.
    Weights(Box<Weights>),
    /// An encoder of texts, and how it makes one row of its steps.
    Encoder(Box<Encoder>, Pooling),
}

/// The network of a run that begins with something.
pub struct Begun {
    /// The whole network: what it begins with, and its head.
    pub network: Whole,
    /// Names of the parameters that come from the model or the weights, running statistics too.
    pub backbone: BTreeSet<String>,
    /// The network that the model or the weights are of.
    source: Graph,
}

/// A network with its head.
pub enum Whole {
    /// In its notation.
    Line(String),
    /// One of another program has none.
    Graph {
        /// The network.
        graph: Graph,
        /// What it is, for people.
        words: String,
    },
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
        let is_encoder = path.is_dir() && Encoder::is_at(path);
        if settings.pooling.is_some() && !is_encoder {
            let message = format!("--pooling is for encoders of texts; {} is no folder of one", path.display());
            return Err(Failure::new(message));
        }
        let path = if is_encoder { path.clone() } else { model_path(path) };
        let origin = if is_encoder {
            let encoder = Encoder::open(&path)?;
            if let Some(flag) = settings.weights_setting().or(settings.net.as_ref().map(|_| "--net")) {
                return Err(Failure::new(format!("{flag} is for weights alone; {} says its network", path.display())));
            }
            let pooling = settings.pooling.as_deref().map(str::parse).transpose();
            let pooling = pooling.map_err(|error| Failure::new(format!("--pooling: {error}")))?;
            let pooling = pooling.unwrap_or(encoder.pooling());
            Origin::Encoder(Box::new(encoder), pooling)
        } else if path.extension().is_some_and(|extension| extension == "onnx") {
            if let Some(flag) = settings.weights_setting().or(settings.net.as_ref().map(|_| "--net")) {
                return Err(Failure::new(format!(
                    "{flag} is for weights alone; {} is a whole network",
                    path.display()
                )));
            }
            Origin::Model(Box::new(open_onnx(&path)?))
        } else if settings.net.is_some() {
            Origin::Weights(Box::new(Weights::open(&path)?))
        } else {
            let advice = "if it has the weights of another program, say with --net what network they are of";
            let model = open_model(&path);
            let model = model.map_err(|error| Failure::new(format!("{}; {advice}", error.message())))?;
            if let Some(flag) = settings.weights_setting() {
                return Err(Failure::new(format!("{flag} is for weights with --net; a model has its own network")));
            }
            Origin::Model(Box::new(model))
        };
        let input = match &origin {
            Origin::Model(model) => {
                model.graph.shape(model.graph.inputs()[0].value).sample().unwrap_or_default().to_vec()
            }
            Origin::Weights(_) | Origin::Encoder(..) => Vec::new(),
        };
        Ok(Some(Transfer { path, origin, input }))
    }

    /// What is known of the data, and not learnt anew.
    pub fn known(&self) -> Option<Known<'_>> {
        match &self.origin {
            Origin::Model(model) => Some(Known { preprocessing: &model.preprocessing, input: &self.input }),
            Origin::Weights(_) | Origin::Encoder(..) => None,
        }
    }

    /// The settings with what they leave open about the data, as the model wants it: columns and steps of its sequences, windows
    /// of its series; the tokenizer of an encoder, and how many tokens are read of a document.
    pub fn for_data(&self, settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        match &self.origin {
            Origin::Model(model) => match &model.preprocessing {
                Preprocessing::Series { plan } => {
                    settings.window.get_or_insert(plan.window);
                    settings.horizon.get_or_insert(plan.horizon);
                }
                Preprocessing::Sequences { plan } => {
                    settings.id.get_or_insert_with(|| plan.id.clone());
                    settings.time = settings.time.or_else(|| plan.time.clone());
                    settings.window.get_or_insert(plan.length);
                }
                Preprocessing::Numbers if settings.horizon.is_some() || settings.id.is_some() => {
                    settings.window = settings.window.or(self.input.first().copied());
                }
                _ => {}
            },
            Origin::Encoder(encoder, _) => {
                if settings.tokens.is_none() {
                    settings.tokenizer.get_or_insert_with(|| encoder.tokenizer().to_path_buf());
                }
                let positions = encoder.positions();
                let most = encoder.most().or((positions < LENGTH).then_some(positions));
                settings.window = settings.window.or(most.map(|most| most.min(positions)));
            }
            Origin::Weights(_) => {}
        }
        settings
    }

    /// The network: the layers before the last dense one, and the head.
    ///
    /// # Errors
    /// A network without a line or without a dense layer at its end, a head that cannot be read.
    pub fn begin(&self, settings: &Settings, prepared: &Prepared) -> Outcome<Begun> {
        let names = |graph: &Graph| graph.parameters().iter().map(|parameter| parameter.name.clone()).collect();
        let head = settings.head.as_deref().unwrap_or(HEAD);
        let source = match &self.origin {
            Origin::Encoder(encoder, pooling) => {
                let line = encoder_line(encoder, *pooling, prepared, &self.path.display())?;
                if head == KEEP {
                    return Err(Failure::new("--head keep is for models; an encoder has no head yet"));
                }
                let source = network(&line, settings, prepared, None)?;
                let kept = source.layers.to_notation().expect("an encoder is a line of notation");
                let head = Network::parse(head).map_err(|error| Failure::notation(&error))?;
                let network = Whole::Line(with_head(&kept, &head).to_string());
                return Ok(Begun { network, backbone: names(&source.graph), source: source.graph });
            }
            Origin::Model(model) => match &model.network {
                Some(line) => line,
                None => return self.begin_graph(&model.graph, settings, prepared),
            },
            Origin::Weights(_) => settings.net.as_deref().unwrap_or_default(),
        };
        // Its last layer may be sized as the weights are, or left to the data.
        let built = network(source, settings, prepared, None)
            .or_else(|_| network(source, settings, prepared, Some(prepared.task.output_width())))?;
        let BuiltNetwork { layers, graph: source, .. } = built;
        let line =
            layers.to_notation().ok_or_else(|| Failure::new("the network has no line of notation to go on with"))?;
        if head == KEEP {
            return Ok(Begun { network: Whole::Line(line.to_string()), backbone: names(&source), source });
        }
        let Some(kept) = backbone(&line) else {
            let message = format!("there is no dense layer at the end of '{line}' that --head could stand for");
            return Err(Failure::new(format!("{message}; give --head keep")));
        };
        let head = Network::parse(head).map_err(|error| Failure::notation(&error))?;
        let graph = network(&kept.to_string(), settings, prepared, None)?.graph;
        let network = Whole::Line(with_head(&kept, &head).to_string());
        Ok(Begun { network, backbone: names(&graph), source })
    }

    /// A network without notation: what comes before its last weights, and the head.
    fn begin_graph(&self, source: &Graph, settings: &Settings, prepared: &Prepared) -> Outcome<Begun> {
        let (path, found) = (self.path.display(), &prepared.train.data.sample_shape);
        if let [_, further, ..] = source.inputs() {
            let message = "one that is the same for all rows can be fixed: pellucid import --fix";
            return Err(Failure::new(format!("{path} has a second input, {}; {message}", further.name)));
        }
        if self.input != *found {
            let shape = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
            let (wanted, found) = (shape(&self.input), shape(found));
            return Err(Failure::new(format!("{path} takes rows of {wanted} numbers, the data has rows of {found}")));
        }
        let names = |graph: &Graph| graph.parameters().iter().map(|parameter| parameter.name.clone()).collect();
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy();
        if settings.head.as_deref() == Some(KEEP) {
            let graph = source.up_to(source.outputs()[0]);
            let backbone = names(&graph);
            let network = Whole::Graph { graph, words: name.into_owned() };
            return Ok(Begun { network, backbone, source: source.clone() });
        }
        let Some(backbone) = backbone_graph(source) else {
            let message = "has no layer with weights at its end that --head could stand for";
            return Err(Failure::new(format!("{path} {message}; give --head keep")));
        };
        let usual = match backbone.shape(backbone.outputs()[0]).rank() {
            4 => "global-avgpool -> dense",
            3 => "flatten -> dense",
            _ => HEAD,
        };
        let head = settings.head.as_deref().unwrap_or(usual);
        let outputs = prepared.task.output_width();
        let line = Network::parse(head).map_err(|error| Failure::notation(&error))?;
        let kept = names(&backbone);
        let graph = network_options(settings, prepared, Some(outputs))?.build_on(backbone, &line);
        let graph = graph.map_err(|error| Failure::network(&error))?;
        let words = format!("{name}, and {head} in the place of its last layer");
        Ok(Begun { network: Whole::Graph { graph, words }, backbone: kept, source: source.clone() })
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
            Origin::Encoder(encoder, _) => {
                let mut known = Parameters::zeros(&begun.source);
                encoder.load(&mut known)?;
                (known, begun.backbone.clone())
            }
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

/// The network of an encoder for documents.
fn encoder_line(
    encoder: &Encoder,
    pooling: Pooling,
    prepared: &Prepared,
    path: &std::path::Display,
) -> Outcome<String> {
    let Preprocessing::Documents { plan } = &prepared.preprocessing else {
        let message = "is an encoder of texts: give documents, a table with --text or a folder of texts";
        return Err(Failure::new(format!("--from {path} {message}")));
    };
    let (tokens, known) = (plan.tokenizer.vocabulary(), encoder.vocabulary());
    if tokens > known {
        let message = format!("the tokenizer has {tokens} tokens, but {path} knows {known}; give that of the encoder");
        return Err(Failure::new(message));
    }
    Ok(encoder.line(plan.vocabulary(), pooling))
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
