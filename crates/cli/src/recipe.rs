//! From settings to what the fit loop takes: network, loss, options.

use std::collections::BTreeSet;
use std::ops::Range;

use kernels::device::Device;
use pellucid::data::{Augmentation, Task, TaskKind};
use pellucid::graph::{Graph, Parameters, PlanError, Role};
use pellucid::model::Preprocessing;
use pellucid::nn::notation::Network;
use pellucid::nn::{BuiltNetwork, Init, Link, Loss, LossLayer, NetworkOptions};
use pellucid::optim::{Clipping, Group, Groups, OptimizerConfig, ScheduleConfig, fits};
use pellucid::train::{EarlyStopping, FitOptions, Whitening, Windows};

use crate::error::{Failure, Outcome};
use crate::prepare::{Prepared, class_shares};
use crate::settings::{PictureSize, Settings, Validation, YesNo};
use crate::transfer::{Begun, Whole};

/// A run, ready to begin.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The settings, everything filled in.
    pub settings: Settings,
    /// The network in its notation, sizes filled in, if it has one.
    pub notation: Option<String>,
    /// The network for people: its notation, or else where it comes from.
    pub words: String,
    /// The network.
    pub graph: Graph,
    /// The parameters that the run begins with, if some go on with what was trained or follow from the rows; else all follow from
    /// the seed.
    pub initial: Option<Parameters>,
    /// The loss.
    pub loss: Loss,
    /// The rest.
    pub options: FitOptions,
}

impl Recipe {
    /// What `settings`, in which all is filled in, mean for this data, and for what is `begun` with, if it is with something.
    ///
    /// # Errors
    /// A setting that cannot be read, or does not fit the data or another setting.
    pub fn new(settings: Settings, prepared: &Prepared, begun: Option<&Begun>) -> Outcome<Recipe> {
        let task = &prepared.task;
        let none = BTreeSet::new();
        let backbone = begun.map_or(&none, |begun| &begun.backbone);
        let (mut graph, notation, words) = match begun.map(|begun| &begun.network) {
            Some(Whole::Graph { graph, words }) => (graph.clone(), None, words.clone()),
            _ => {
                let line = settings.net.as_deref().unwrap_or_default();
                let BuiltNetwork { layers, graph } = network(line, &settings, prepared, Some(task.output_width()))?;
                let line = layers.to_notation().map_or_else(|| line.to_string(), |network| network.to_string());
                (graph, Some(line.clone()), line)
            }
        };
        if settings.whitens() {
            if settings.from.is_some() {
                return Err(Failure::new("--whiten is for networks that begin anew; drop it, or --from"));
            }
            let whitening = Whitening::of(&graph).map_err(|error| Failure::new(format!("--whiten: {error}")))?;
            graph.freeze(true, |name| name == whitening.parameter());
        }
        for pattern in &settings.freeze {
            let chosen = Frozen::parse(pattern);
            if chosen == Frozen::Backbone && backbone.is_empty() {
                return Err(Failure::new(
                    "--freeze backbone is for what comes --from a model; give a pattern, or numbers",
                ));
            }
            if graph.freeze(true, |name| chosen.fits(name, backbone)) == 0 {
                return Err(fits_none("--freeze", pattern, &graph));
            }
        }
        if !graph.parameters().is_empty() && graph.parameters().iter().all(|parameter| parameter.frozen) {
            return Err(Failure::new("--freeze leaves nothing to train; freeze fewer parameters"));
        }
        if settings.thaw.is_some() && !graph.parameters().iter().any(|one| one.frozen && one.role != Role::Statistic) {
            return Err(Failure::new("--thaw is for what --freeze froze; give --freeze too"));
        }
        let loss = loss(&settings, prepared, &graph)?;
        let mut options = options(&settings, &prepared.task, !prepared.validation.is_empty())?;
        options.groups.groups = rates(&settings.rates, &graph)?;
        if let Some(decay) = settings.rate_decay {
            if !settings.rates.is_empty() {
                return Err(Failure::new("--rates and --rate-decay both say how fast parameters learn; give one"));
            }
            if !(0.0..=1.0).contains(&decay) {
                return Err(Failure::new(format!("--rate-decay is a share from 0 to 1; got {decay}")));
            }
            let learnt = graph.parameters().iter().filter(|parameter| parameter.role != Role::Statistic);
            options.groups.groups = Group::by_depth(learnt.map(|parameter| parameter.name.as_str()), decay);
        }
        if task.kind() == TaskKind::Tokens {
            options.windows = windows(&settings, &graph)?;
        }
        let sample_shape = &prepared.train.data.sample_shape;
        options.augmentation.check(sample_shape).map_err(|error| Failure::new(format!("--augment: {error}")))?;
        let mut settings = settings;
        settings.net = notation.clone();
        settings.loss = Some(loss.to_string());
        // Part of the loss now.
        (settings.class_weights, settings.label_smoothing) = (None, None);
        if settings.augment.is_some() {
            settings.augment = Some(options.augmentation.to_string());
        }
        settings.lr = Some(options.optimizer.learning_rate());
        settings.optimizer = Some(without_rate(&options.optimizer)?);
        settings.task = Some(task.name().to_string());
        settings.target = prepared.targets.clone();
        if let Some([channels, height, width]) = prepared.pictured {
            settings.size = Some(PictureSize([height, width]));
            settings.channels = Some(channels as u8);
        }
        if let Some(divided) = prepared.divided {
            settings.tokens = divided.tokens.map(|kind| kind.to_string());
            settings.window = Some(divided.window);
            if task.kind() == TaskKind::Tokens {
                settings.carry = Some(YesNo(options.windows == Windows::Carried));
            }
        }
        if let Preprocessing::Sequences { plan } = &prepared.preprocessing {
            settings.window = Some(plan.length);
        }
        if let Some(forecasting) = &prepared.forecasting {
            settings.window = Some(forecasting.plan.window);
            settings.horizon = Some(forecasting.plan.horizon);
            settings.season = Some(forecasting.plan.season);
            settings.time = forecasting.plan.time.as_ref().map(|(name, _)| name.clone());
        }
        settings.test_fraction = prepared.shares.test;
        if let Some(share) = prepared.shares.validation {
            settings.validation = Some(Validation::Fraction(share));
        }
        Ok(Recipe { settings, notation, words, graph, initial: None, loss, options })
    }

    /// The parameters that the run begins with.
    pub fn start(&self, device: &Device) -> Parameters {
        let from_seed = || Parameters::initialise(&self.graph, device, self.options.seed);
        self.initial.clone().unwrap_or_else(from_seed)
    }
}

/// The optimiser as text; its learning rate is a setting of its own.
fn without_rate(optimizer: &OptimizerConfig) -> Outcome<String> {
    let usual = OptimizerConfig::named(optimizer.name()).unwrap_or_default();
    let mut optimizer = optimizer.clone();
    optimizer.set("lr", &usual.learning_rate().to_string())?;
    Ok(optimizer.to_string())
}

/// Which parameters a word of `--freeze` means.
#[derive(Clone, Debug, PartialEq)]
enum Frozen<'a> {
    /// All that come from a trained model.
    Backbone,
    /// Those of the layers with these numbers.
    Layers(Range<usize>),
    /// Those whose names fit.
    Pattern(&'a str),
}

impl Frozen<'_> {
    fn parse(text: &str) -> Frozen<'_> {
        let end = |text: &str, open: usize| if text.is_empty() { Some(open) } else { text.parse().ok() };
        let range = text.split_once("..").and_then(|(first, last)| Some(end(first, 0)?..end(last, usize::MAX)?));
        match range {
            Some(range) => Frozen::Layers(range),
            None if text == "backbone" => Frozen::Backbone,
            None => Frozen::Pattern(text),
        }
    }

    fn fits(&self, name: &str, backbone: &BTreeSet<String>) -> bool {
        match self {
            Frozen::Backbone => backbone.contains(name),
            Frozen::Layers(range) => {
                let number = name.split_once('.').and_then(|(number, _)| number.parse::<usize>().ok());
                number.is_some_and(|number| range.contains(&number))
            }
            Frozen::Pattern(pattern) => fits(pattern, name),
        }
    }
}

/// A pattern that names no parameter.
fn fits_none(flag: &str, pattern: &str, graph: &Graph) -> Failure {
    let names: Vec<&str> = graph.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
    Failure::new(format!("{flag} {pattern} fits no parameter; there are {}", names.join(", ")))
}

/// The groups of `PATTERN=FACTOR`.
fn rates(texts: &[String], graph: &Graph) -> Outcome<Vec<Group>> {
    let group = |text: &String| {
        let pair =
            text.rsplit_once('=').and_then(|(pattern, factor)| Some((pattern.trim(), factor.trim().parse().ok()?)));
        let Some((pattern, lr_factor)) = pair.filter(|(_, factor): &(&str, f64)| factor.is_finite() && *factor >= 0.0)
        else {
            let message = "--rates is PATTERN=FACTOR, a factor being 0 or more, such as *.bias=64";
            return Err(Failure::new(format!("{message}; got {text:?}")));
        };
        if !graph.parameters().iter().any(|parameter| fits(pattern, &parameter.name)) {
            return Err(fits_none("--rates", pattern, graph));
        }
        Ok(Group { parameters: pattern.to_string(), lr_factor, ..Group::default() })
    };
    texts.iter().map(group).collect()
}

/// The network of a line for rows of the data, with so many outputs if they are known.
pub fn network(text: &str, settings: &Settings, prepared: &Prepared, outputs: Option<usize>) -> Outcome<BuiltNetwork> {
    let network = Network::parse(text).map_err(|error| Failure::notation(&error))?;
    let options = network_options(settings, prepared, outputs)?;
    options.build(&network, &prepared.train.data.sample_shape).map_err(|error| Failure::network(&error))
}

/// How lines become networks for this data.
pub fn network_options(settings: &Settings, prepared: &Prepared, outputs: Option<usize>) -> Outcome<NetworkOptions> {
    let init = |text: &Option<String>| match text {
        Some(text) => text.parse::<Init>().map_err(Failure::from),
        None => Ok(Init::Default),
    };
    let (vocabulary, padding) = match &prepared.preprocessing {
        Preprocessing::Text { tokenizer, .. } => (Some(tokenizer.vocabulary()), None),
        Preprocessing::Documents { plan } => (Some(plan.vocabulary()), Some(plan.padding())),
        Preprocessing::Sequences { .. } => (None, Some(0)),
        _ => (None, None),
    };
    Ok(NetworkOptions {
        outputs,
        every_step: prepared.task.kind() == TaskKind::Tokens,
        vocabulary,
        padding,
        weight_init: init(&settings.init)?,
        bias_init: init(&settings.bias_init)?,
        ..NetworkOptions::default()
    })
}

/// Windows of a text go on where those before ended if the user says so; else where recurrent layers have a state to go on with,
/// and no layer sees all of its window anew, as attention does, or from its end.
fn windows(settings: &Settings, graph: &Graph) -> Outcome<Windows> {
    let has = |names: &[&str]| graph.nodes().iter().any(|node| names.contains(&node.op.name()));
    let reversed = graph.nodes().iter().find(|node| node.op.reverses_time());
    match (settings.carry, reversed) {
        (Some(YesNo(true)), Some(node)) => {
            let label = node.label.clone();
            Err(Failure::new(format!("--carry yes: {}", PlanError::Reversed { label })))
        }
        (Some(YesNo(true)), None) => Ok(Windows::Carried),
        (None, None) if has(&["RNN", "LSTM", "GRU"]) && !has(&["Attention"]) => Ok(Windows::Carried),
        _ => Ok(Windows::Shifted),
    }
}

/// The loss of the settings; by default that of the task which goes with the end of the network.
fn loss(settings: &Settings, prepared: &Prepared, graph: &Graph) -> Outcome<Loss> {
    let kind = prepared.task.kind();
    let default = match kind {
        TaskKind::Binary | TaskKind::Multilabel => "binary_cross_entropy",
        TaskKind::Multiclass | TaskKind::Tokens => "cross_entropy",
        TaskKind::Regression => "mse",
    };
    let output = graph.outputs()[0];
    let mut text = match &settings.loss {
        Some(text) => text.clone(),
        None => {
            let ends_in = |link: Link| link.check_output(graph, output).is_ok();
            // A network that ends in a sigmoid or softmax gives probabilities.
            let probabilities = kind != TaskKind::Regression && !ends_in(Link::Logits) && ends_in(Link::Probabilities);
            format!("{default}{}", if probabilities { "_probabilities" } else { "" })
        }
    };
    let mut add = |setting: String| {
        text.push(if text.contains(':') { ',' } else { ':' });
        text.push_str(&setting);
    };
    if let Some(share) = settings.label_smoothing {
        if !matches!(kind, TaskKind::Multiclass | TaskKind::Tokens) {
            return Err(Failure::new(format!("--label-smoothing is for several classes; the task is {}", kind.name())));
        }
        add(format!("label_smoothing={share}"));
    }
    if let Some(weights) = &settings.class_weights {
        let weights = class_weights(weights, prepared)?;
        match kind {
            TaskKind::Binary => add(format!("positive_weight={}", weights[1] / weights[0])),
            _ => {
                let weights: Vec<String> = weights.iter().map(f64::to_string).collect();
                add(format!("class_weights={}", weights.join("/")));
            }
        }
    }
    let loss = Loss::parse(&text)?;
    check_task(&loss, kind)?;
    loss.link().check_output(graph, output)?;
    Ok(loss)
}

/// Refuses a loss that cannot learn the targets of the task.
fn check_task(loss: &Loss, kind: TaskKind) -> Outcome<()> {
    let name = loss.name();
    let squared = ["mse", "mae", "huber", "smooth_l1"];
    let known: Vec<&str> = match kind {
        TaskKind::Binary | TaskKind::Multilabel => {
            ["binary_cross_entropy", "binary_cross_entropy_probabilities"].into_iter().chain(squared).collect()
        }
        TaskKind::Multiclass => vec!["cross_entropy", "cross_entropy_probabilities"],
        TaskKind::Tokens => vec!["cross_entropy"],
        TaskKind::Regression => squared.to_vec(),
    };
    if known.contains(&name) {
        return Ok(());
    }
    let message = format!("the loss {name} does not fit the task {}; choose one of {}", kind.name(), known.join(", "));
    Err(Failure::new(message))
}

/// A weight for each class: `balanced`, or `CLASS:WEIGHT,…` with 1 for those not named.
fn class_weights(text: &str, prepared: &Prepared) -> Outcome<Vec<f64>> {
    if !matches!(prepared.task.kind(), TaskKind::Binary | TaskKind::Multiclass) {
        let message = format!("--class-weights is for classes; the task is {}", prepared.task.name());
        return Err(Failure::new(message));
    }
    let shares = class_shares(&prepared.task, &prepared.train);
    if text == "balanced" {
        let all: usize = shares.iter().map(|(_, rows)| rows).sum();
        return Ok(shares.iter().map(|(_, rows)| all as f64 / (shares.len() * rows) as f64).collect());
    }
    let mut weights = vec![1.0; shares.len()];
    for entry in text.split(',') {
        let pair = entry.rsplit_once(':').and_then(|(class, weight)| Some((class, weight.trim().parse::<f64>().ok()?)));
        let Some((class, weight)) = pair.filter(|(_, weight)| weight.is_finite() && *weight > 0.0) else {
            let message = "--class-weights is `balanced` or CLASS:WEIGHT,… with weights above 0";
            return Err(Failure::new(format!("{message}; got {entry:?}")));
        };
        let Some(index) = shares.iter().position(|(name, _)| name == class.trim()) else {
            let names: Vec<&str> = shares.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Failure::new(format!(
                "--class-weights: there is no class {class:?}; there are {}",
                names.join(", ")
            )));
        };
        weights[index] = weight;
    }
    Ok(weights)
}

fn options(settings: &Settings, task: &Task, validation: bool) -> Outcome<FitOptions> {
    let mut optimizer = OptimizerConfig::parse(settings.optimizer.as_deref().unwrap_or("adam"))?;
    if let Some(rate) = settings.lr {
        optimizer.set("lr", &rate.to_string())?;
    }
    let decoupled = optimizer.name() == "adamw";
    let mut groups = Groups { l1: settings.l1.unwrap_or(0.0), ..Groups::default() };
    match settings.weight_decay {
        Some(decay) if decoupled => groups.weight_decay = Some(decay),
        Some(decay) => groups.decoupled_weight_decay = decay,
        None => {}
    }
    match settings.l2 {
        Some(_) if decoupled => {
            return Err(Failure::new(
                "--l2 adds to the gradient, but the decay of adamw is decoupled from it; use adam, or --weight-decay",
            ));
        }
        l2 => groups.weight_decay = groups.weight_decay.or(l2),
    }
    // The optimiser's own weight_decay means all parameters, as in PyTorch; penalties from flags mean weights.
    groups.weights_only = settings.l1.is_some() || settings.l2.is_some() || settings.weight_decay.is_some();
    let clipping = match (settings.clip_norm, settings.clip_value) {
        (Some(limit), _) => Some(Clipping::Norm(limit)),
        (None, Some(limit)) => Some(Clipping::Value(limit)),
        (None, None) => None,
    };
    if let Some(clipping) = clipping {
        clipping.check()?;
    }
    let schedule = ScheduleConfig::parse(settings.schedule.as_deref().unwrap_or("constant"))?;
    let augmentation = Augmentation::parse(settings.augment.as_deref().unwrap_or_default())
        .map_err(|error| Failure::new(format!("--augment: {error}")))?;
    if !validation && (settings.patience.is_some() || settings.monitor.is_some()) {
        let message = "early stopping needs validation rows; give --validation, or drop --patience and --monitor";
        return Err(Failure::new(message));
    }
    let early_stopping = settings.patience.map(|patience| EarlyStopping {
        patience,
        min_delta: 0.0,
        monitor: settings.monitor.clone().unwrap_or_else(|| "loss".to_string()),
    });
    if let Some(stopping) = &early_stopping {
        stopping.check(task)?;
    }
    Ok(FitOptions {
        epochs: settings.epochs.unwrap_or(0),
        batch_size: settings.batch_size.unwrap_or(pellucid::train::BatchSize::Rows(32)),
        seed: settings.seed(),
        augmentation,
        windows: Windows::Apart,
        shuffle: true,
        optimizer,
        schedule,
        groups,
        clipping,
        restore_best: early_stopping.is_some(),
        early_stopping,
        thaw: settings.thaw,
        checkpoint_every: settings.checkpoint_every,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_frozen_is_said_by_numbers_patterns_or_where_it_comes_from() {
        let backbone = BTreeSet::from(["0.weight".to_string()]);
        let names = ["0.weight", "2.0.bias", "3.weight", "10.weight"];
        let frozen = |text| names.map(|name| Frozen::parse(text).fits(name, &backbone));
        assert_eq!(frozen("backbone"), [true, false, false, false]);
        assert_eq!(frozen("0..3"), [true, true, false, false]);
        assert_eq!(frozen("..11"), [true; 4]);
        assert_eq!(frozen("3.."), [false, false, true, true]);
        assert_eq!(frozen("*.bias"), [false, true, false, false]);
        assert_eq!(frozen("0.*"), [true, false, false, false]);
    }
}
