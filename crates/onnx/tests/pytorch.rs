//! Networks of PyTorch (`pytorch/make.py` makes the files) from their weights and from ONNX: outputs, loss and the gradient of
//! every parameter are those of PyTorch's autograd.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{Graph, Parameters, PlanId, PlanOptions, Session, ValueId};
use pellucid::model::weights::{Matching, Weights};
use pellucid::model::{Encoder, Pooling};
use pellucid::nn::{self, Loss, LossLayer, NetworkOptions};
use pellucid::optim::{Groups, Optimizer, OptimizerConfig};
use pellucid_onnx::{Import, Imported};

/// Tokens of a sequence in the files; the exported networks leave it open.
const TIME: usize = 7;

/// How far from PyTorch's a value may be, in parts of the greatest of its tensor: some tens of roundings of f32, as PyTorch's own
/// values in float32 are as far from those in float64, which the files hold.
const TOLERANCE: f32 = 1e-5;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch").join(name)
}

/// Name, sizes and values of a tensor.
type Tensor = (String, Vec<usize>, Vec<f32>);

fn tensors(name: &str) -> Vec<Tensor> {
    let mut weights = Weights::open(&file(name)).expect(name);
    (0..weights.tensors().len())
        .map(|index| {
            let values = weights.read(index).expect(name);
            let tensor = &weights.tensors()[index];
            (tensor.name.clone(), tensor.shape.clone(), values)
        })
        .collect()
}

/// A network of PyTorch.
struct Expected {
    name: &'static str,
    /// Its parameters and statistics.
    state: BTreeMap<String, Vec<f32>>,
    inputs: BTreeMap<String, Vec<f32>>,
    rows: usize,
    targets: Vec<f32>,
    output: Vec<f32>,
    loss: f32,
    /// Of all its parameters.
    gradients: BTreeMap<String, Vec<f32>>,
}

impl Expected {
    fn of(name: &'static str) -> Expected {
        let all = tensors(&format!("{name}.expected.safetensors"));
        let below = |prefix: &str| -> BTreeMap<String, Vec<f32>> {
            let named = |(name, _, values): &Tensor| Some((name.strip_prefix(prefix)?.to_string(), values.clone()));
            all.iter().filter_map(named).collect()
        };
        let one = |name: &str| all.iter().find(|tensor| tensor.0 == name).expect(name).clone();
        let state = tensors(&format!("{name}.safetensors"));
        Expected {
            name,
            state: state.into_iter().map(|(name, _, values)| (name, values)).collect(),
            inputs: below("input."),
            rows: one("targets").1[0],
            targets: one("targets").2,
            output: one("output").2,
            loss: one("loss").2[0],
            gradients: below("gradient."),
        }
    }

    /// What a gradient counts at least: one that is 0 but for rounding (attention's keys have a bias to no avail) has no size of its
    /// own.
    fn least(&self) -> f32 {
        0.01 * self.gradients.values().map(|gradient| greatest(gradient)).fold(0.0, f32::max)
    }
}

/// A network with a loss on what it predicts, and a plan to train it.
struct Training {
    session: Session,
    plan: PlanId,
    loss: ValueId,
}

impl Training {
    /// With cross-entropy, on the data of `expected`.
    fn new(graph: Graph, parameters: Parameters, expected: &Expected) -> Training {
        let prediction = graph.outputs()[0];
        let names: Vec<String> = graph.inputs().iter().map(|input| input.name.clone()).collect();
        let mut builder = graph.extend();
        let shape = Loss::cross_entropy().target_shape(builder.shape(prediction));
        let target = builder.input("target", shape).expect("a new name");
        let loss = Loss::cross_entropy().add(&mut builder, prediction, target, None).expect("classes");
        let graph = Arc::new(builder.finish(&[prediction]));
        let device = Arc::new(Device::new(Isa::best(), 2));
        let mut session = Session::new(graph.clone(), device, parameters, 3);
        let options =
            PlanOptions { batch: expected.rows, outputs: &[prediction], loss: Some(loss), ..PlanOptions::default() };
        let plan = session.plan(&options).expect("a small batch");
        for (input, name) in graph.inputs().iter().zip(&names) {
            // A network of our own has one input, whatever its name.
            let mut values = expected.inputs.get(name).into_iter().chain(expected.inputs.values());
            session.input_mut(plan, input.value).copy_from_slice(values.next().expect("an input"));
        }
        session.input_mut(plan, target).copy_from_slice(&expected.targets);
        Training { session, plan, loss }
    }

    /// Loss and gradients at the parameters.
    fn step(&mut self, step: u64) -> f32 {
        self.session.forward(self.plan, step);
        self.session.backward(self.plan, step);
        self.session.value(self.plan, self.loss)[0]
    }
}

/// A network at its first step, as it is at inference.
struct Found {
    parameters: Parameters,
    /// Laid out like the parameters.
    gradients: Vec<f32>,
}

impl Found {
    /// Its output and loss are checked.
    fn of(graph: &Graph, parameters: &Parameters, expected: &Expected) -> Found {
        let prediction = graph.outputs()[0];
        let mut training = Training::new(graph.clone().at_inference(), parameters.clone(), expected);
        let loss = training.step(0);
        let output = training.session.value(training.plan, prediction);
        let name = expected.name;
        let apart = [
            difference(&format!("{name}: output"), output, &expected.output, 0.0),
            difference(&format!("{name}: loss"), &[loss], &[expected.loss], 0.0),
        ];
        println!("{name}: output {:.1e}, loss {:.1e} apart", apart[0], apart[1]);
        Found { gradients: training.session.gradients().to_vec(), parameters: parameters.clone() }
    }

    /// The gradient of the parameter with these values, or of a part of one: layers are joined and have other names here.
    fn gradient(&self, values: &[f32]) -> Option<&[f32]> {
        let start = self.parameters.values().windows(values.len()).position(|window| window == values)?;
        Some(&self.gradients[start..start + values.len()])
    }

    fn gradient_of(&self, name: &str) -> &[f32] {
        let segment = self.parameters.segments().iter().find(|segment| segment.name == name);
        &self.gradients[segment.unwrap_or_else(|| panic!("no parameter {name}")).range.clone()]
    }

    /// Holds the gradients of all parameters against those of PyTorch but for these.
    fn check(&self, expected: &Expected, but: &[&str]) {
        let mut worst = (0.0, "");
        for (name, gradient) in expected.gradients.iter().filter(|(name, _)| !but.contains(&name.as_str())) {
            let found =
                self.gradient(&expected.state[name]).unwrap_or_else(|| panic!("nothing has the values of {name}"));
            let apart = difference(&format!("{}: {name}", expected.name), found, gradient, expected.least());
            if apart >= worst.0 {
                worst = (apart, name);
            }
        }
        println!("{}: gradients {:.1e} apart at most, {}", expected.name, worst.0, worst.1);
    }
}

fn greatest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

/// The greatest difference, in parts of the greatest value and at least of `least`.
#[track_caller]
fn difference(what: &str, found: &[f32], expected: &[f32], least: f32) -> f32 {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = greatest(expected).max(least);
    assert!(scale > 0.0, "{what}: nothing to compare with");
    let apart = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs() / scale);
    // A NaN is apart from everything.
    let apart = apart.fold(0.0, |most: f32, apart| if apart <= most { most } else { apart });
    assert!(apart <= TOLERANCE, "{what}: {apart:e} apart");
    apart
}

fn import(name: &str) -> Imported {
    let import = Import { sizes: [("time".to_string(), TIME)].into(), ..Import::default() };
    import.open(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The network in a file of ONNX, at its first step.
fn imported(name: &str, expected: &Expected) -> Found {
    let network = import(name);
    Found::of(&network.graph, &network.parameters, expected)
}

#[test]
fn a_residual_network_from_onnx_has_the_gradients_of_pytorch() {
    let expected = Expected::of("resnet");
    imported("resnet.torchscript.onnx", &expected).check(&expected, &[]);
}

/// Today's exporter multiplies the scale s = γ / √(v + ε) of batch normalisation into the weights before it, W' = s·W, with the
/// bias b' = β - s·m. So, by the chain rule for each channel, ∂L/∂W = s·∂L/∂W', ∂L/∂β = ∂L/∂b' and
/// ∂L/∂γ = (Σ ∂L/∂W'·W - ∂L/∂b'·m) / √(v + ε).
#[test]
fn a_residual_network_from_onnx_whose_normalisation_was_folded_has_the_gradients_of_pytorch() {
    let expected = Expected::of("resnet");
    let found = imported("resnet.onnx", &expected);
    let (mut compared, mut worst) = (0, 0.0);
    let mut compare = |name: &str, found: &[f32]| {
        compared += 1;
        worst = f32::max(worst, difference(name, found, &expected.gradients[name], expected.least()));
    };
    for (weight, values) in expected.state.iter().filter(|(name, _)| name.ends_with(".weight")) {
        let norm = weight.trim_end_matches(".weight").replace("conv", "bn").replace("downsample.0", "downsample.1");
        if !(weight.contains("conv") || weight.contains("downsample.0")) {
            continue;
        }
        let of = |part: &str| &expected.state[&format!("{norm}.{part}")];
        let (scale, mean, variance) = (of("weight"), of("running_mean"), of("running_var"));
        let [weight_gradient, bias_gradient] = ["", "_bias"].map(|end| found.gradient_of(&format!("{weight}{end}")));
        let inner = values.len() / scale.len();
        let (mut weights, mut scales) = (Vec::new(), Vec::new());
        for channel in 0..scale.len() {
            let spread = (variance[channel] + 1e-5).sqrt();
            let own = channel * inner..(channel + 1) * inner;
            weights.extend(weight_gradient[own.clone()].iter().map(|gradient| gradient * scale[channel] / spread));
            let sum: f32 =
                weight_gradient[own.clone()].iter().zip(&values[own]).map(|(gradient, w)| gradient * w).sum();
            scales.push((sum - bias_gradient[channel] * mean[channel]) / spread);
        }
        compare(weight, &weights);
        compare(&format!("{norm}.weight"), &scales);
        compare(&format!("{norm}.bias"), bias_gradient);
    }
    compare("fc.weight", found.gradient_of("fc.weight"));
    compare("fc.bias", found.gradient_of("fc.bias"));
    assert_eq!(compared, expected.gradients.len());
    println!("resnet: gradients {worst:.1e} apart at most");
}

#[test]
fn a_bert_from_onnx_has_the_gradients_of_pytorch() {
    let expected = Expected::of("bert");
    let (positions, width) = ("bert.embeddings.position_embeddings.weight", 16);
    for file in ["bert.onnx", "bert.torchscript.onnx"] {
        let found = imported(file, &expected);
        found.check(&expected, &[positions]);
        // The file is read for sequences of a length; positions behind are no part of the network.
        let (seen, behind) = expected.gradients[positions].split_at(TIME * width);
        let gradient = found.gradient(&expected.state[positions][..TIME * width]).expect("the positions");
        difference(positions, gradient, seen, expected.least());
        assert!(greatest(seen) > 0.0 && greatest(behind) == 0.0);
    }
}

#[test]
fn an_lstm_from_onnx_has_the_gradients_of_pytorch() {
    let expected = Expected::of("tagger");
    for file in ["tagger.onnx", "tagger.torchscript.onnx"] {
        imported(file, &expected).check(&expected, &[]);
    }
}

/// The network of `line` with the weights in a file, their names renamed.
fn loaded(name: &str, line: &str, shape: &[usize], rules: &str) -> (Graph, Parameters) {
    let mut weights = Weights::open(&file(name)).expect(name);
    let graph = nn::network(line, shape, None).expect("a network");
    let mut parameters = Parameters::zeros(&graph);
    let matching = Matching::by_name(&weights, &parameters, &rules.parse().expect("rules")).expect("names");
    matching.require_all(&weights).expect("all parameters");
    assert!(matching.unused.is_empty(), "{:?}", matching.unused);
    matching.load(&mut weights, &mut parameters).expect("values");
    (graph, parameters)
}

#[test]
fn a_residual_network_with_the_weights_of_pytorch_has_its_gradients() {
    let block = |width: usize| {
        format!(
            "residual(conv {width} 3x3 same nobias -> batchnorm relu -> conv {width} 3x3 same nobias -> batchnorm) relu"
        )
    };
    let narrowing = |width: usize| {
        format!(
            "residual(conv {width} 3x3 stride=2 pad=1 nobias -> batchnorm relu -> conv {width} 3x3 same nobias -> batchnorm, \
             conv {width} 1x1 stride=2 nobias -> batchnorm) relu"
        )
    };
    let stages = [4, 4, 8].map(|width| format!("{} -> {}", narrowing(width), block(width))).join(" -> ");
    let line = format!(
        "conv 4 7x7 stride=2 pad=3 nobias -> batchnorm relu -> maxpool 3 stride=2 pad=1 -> 2 * {} -> {stages} -> \
         global-avgpool -> dense 3",
        block(4)
    );
    let mut rules = vec!["conv1.*=0.*".to_string(), "bn1.*=1.*".to_string(), "fc.*=21.*".to_string()];
    rules.extend((0..8).map(|block| format!("layer{}.{}.*={}.*", block / 2 + 1, block % 2, 4 + 2 * block)));
    let inside =
        ["*.conv1.*=*.0.*", "*.bn1.*=*.1.*", "*.conv2.*=*.3.*", "*.bn2.*=*.4.*", "*.downsample.*=*.shortcut.*"];
    rules.extend(inside.map(String::from));
    let expected = Expected::of("resnet");
    for file in ["resnet.safetensors", "resnet.pt"] {
        let (graph, parameters) = loaded(file, &line, &[3, 40, 28], &rules.join(","));
        Found::of(&graph, &parameters, &expected).check(&expected, &[]);
    }
}

#[test]
fn an_lstm_with_the_weights_of_pytorch_has_its_gradients() {
    let expected = Expected::of("tagger");
    let line = "embedding 12x6 -> lstm 5 layers=2 both -> dense 4";
    for file in ["tagger.safetensors", "tagger.pt"] {
        let (graph, parameters) = loaded(file, line, &[TIME], "embedding.*=0.*, lstm.*=1.*, fc.*=2.*");
        Found::of(&graph, &parameters, &expected).check(&expected, &[]);
    }
}

/// A folder of an encoder with its weights in the file `to`.
fn folder(from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (from, to) in [("bert.json", "config.json"), (from, to)] {
        fs::copy(file(from), folder.path().join(to)).expect("copies");
    }
    fs::write(folder.path().join("vocab.txt"), "[PAD]\n").expect("writes");
    folder
}

#[test]
fn a_bert_with_the_weights_of_pytorch_has_its_gradients() {
    let mut expected = Expected::of("bert");
    // Lengths are found from the padding here, and all is the first segment.
    expected.inputs.retain(|name, _| name == "input_ids");
    let at = |part: &str| format!("bert.embeddings.{part}_embeddings.weight");
    let (positions, segments) = (&at("position"), &at("token_type"));
    for (from, to) in [("bert.safetensors", "model.safetensors"), ("bert.pt", "pytorch_model.bin")] {
        let folder = folder(from, to);
        let mut encoder = Encoder::open(folder.path()).expect("an encoder");
        let line = format!("{} -> dense 3", encoder.line(encoder.vocabulary(), Pooling::Mean));
        let vocabulary = Some(encoder.vocabulary());
        let options = NetworkOptions { vocabulary, padding: Some(0), ..NetworkOptions::default() };
        let graph = options.build(&line.parse().expect("notation"), &[TIME]).expect("a network").graph;
        let mut parameters = Parameters::zeros(&graph);
        encoder.load(&mut parameters).expect("weights");
        let last: Vec<String> =
            parameters.segments().iter().rev().take(2).map(|segment| segment.name.clone()).collect();
        for (name, part) in last.iter().rev().zip(["weight", "bias"]) {
            let values = &expected.state[&format!("classifier.{part}")];
            parameters.get_mut(name).expect("a parameter").copy_from_slice(values);
        }
        let found = Found::of(&graph, &parameters, &expected);
        found.check(&expected, &[positions, segments]);
        // The one segment is added to the positions, so its gradient is the sum of theirs.
        let gradient = found.gradient_of("0.positions.weight");
        difference(positions, gradient, &expected.gradients[positions], expected.least());
        let [segment, other] = [0, 1].map(|row| &expected.gradients[segments][row * 16..][..16]);
        let sum: Vec<f32> = (0..16).map(|unit| gradient.iter().skip(unit).step_by(16).sum()).collect();
        difference(segments, &sum, segment, expected.least());
        assert_eq!(greatest(other), 0.0);
    }
}

#[test]
fn what_pytorch_trained_and_nothing_else_is_trained_on() {
    for (name, rate) in [("resnet", 0.05), ("bert", 0.05), ("tagger", 0.5)] {
        let expected = Expected::of(name);
        let sizes = |test: &dyn Fn(&str) -> bool| -> usize {
            let chosen = expected.gradients.iter().filter(|(name, _)| test(name));
            chosen.map(|(_, gradient)| gradient.len()).sum()
        };
        for file in [format!("{name}.onnx"), format!("{name}.torchscript.onnx")] {
            let Imported { graph, parameters, .. } = import(&file);
            let gone = match file.as_str() {
                // The scales of batch normalisation are in the weights.
                "resnet.onnx" => {
                    sizes(&|name| name.ends_with(".weight") && (name.contains("bn") || name.contains("downsample.1")))
                }
                // Positions behind the length that the file is read for.
                "bert.onnx" | "bert.torchscript.onnx" => (12 - TIME) * 16,
                _ => 0,
            };
            assert_eq!(parameters.count(), sizes(&|_| true) - gone, "{file}");
            let config = OptimizerConfig::named("sgd").expect("an optimiser");
            let mut optimizer = Optimizer::new(&config, parameters.segments(), &Groups::default()).expect("settings");
            let mut training = Training::new(graph, parameters, &expected);
            let mut losses = Vec::new();
            for step in 0..20 {
                losses.push(training.step(step));
                let device = training.session.device().clone();
                let (parameters, gradients) = training.session.parameters_and_gradients();
                assert!(optimizer.update(&device, rate, parameters.values_mut(), gradients), "{file}: step {step}");
            }
            println!("{file}: loss {} at first, {} at last", losses[0], losses[19]);
            assert!(losses[19] < 0.9 * losses[0], "{file}: {losses:?}");
        }
    }
}
