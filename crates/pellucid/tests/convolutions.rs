//! Convolution layers in the notation: shapes and parameters, printing, mistakes with their place; and a network of them
//! that learns.

use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{Graph, Parameters, PlanOptions, Session, fold_channels};
use pellucid::model::Predictor;
use pellucid::nn::notation::Network;
use pellucid::nn::{Loss, NetworkOptions, network};
use pellucid::optim::{Groups, Optimizer, OptimizerConfig};
use pellucid::train::Problem;

const CNN: &str =
    "conv 32 3x3 same relu -> maxpool 2 -> conv 64 3x3 same relu -> maxpool 2 -> flatten -> dense 128 relu -> dense 10";

fn built(line: &str, input: &[usize]) -> Graph {
    network(line, input, None).unwrap_or_else(|error| panic!("{line}: {}", error.render()))
}

#[test]
fn shapes_and_parameters_are_those_of_the_layers() {
    for (line, input, output, weight) in [
        ("conv 8 3x3", &[3, 10, 12][..], "[batch, 8, 8, 10]", "[8, 3, 3, 3]"),
        ("conv 8 3 same", &[3, 10, 12], "[batch, 8, 10, 12]", "[8, 3, 3, 3]"),
        ("conv 8 3x3 same stride=2", &[3, 9, 12], "[batch, 8, 5, 6]", "[8, 3, 3, 3]"),
        ("conv 8 2x4 same", &[3, 9, 12], "[batch, 8, 9, 12]", "[8, 3, 2, 4]"),
        ("conv 8 3x3 same dilation=2", &[3, 9, 12], "[batch, 8, 9, 12]", "[8, 3, 3, 3]"),
        ("conv 8 5x3 stride=2x1 pad=2x1", &[3, 9, 12], "[batch, 8, 5, 12]", "[8, 3, 5, 3]"),
        ("conv 8 3x3 pad=0x1x2x3", &[3, 9, 12], "[batch, 8, 9, 14]", "[8, 3, 3, 3]"),
        ("conv 8 3x3 groups=2", &[4, 9, 12], "[batch, 8, 7, 10]", "[8, 2, 3, 3]"),
        ("conv1d 8 5 stride=2 pad=1x2", &[4, 20], "[batch, 8, 10]", "[8, 4, 5]"),
        ("depthwise 3x3 same", &[4, 9, 12], "[batch, 4, 9, 12]", "[4, 1, 3, 3]"),
        ("depthwise 3x3 multiplier=3 stride=2", &[4, 9, 12], "[batch, 12, 4, 5]", "[12, 1, 3, 3]"),
        ("conv-transpose 8 2x2 stride=2", &[4, 9, 12], "[batch, 8, 18, 24]", "[4, 8, 2, 2]"),
        ("conv-transpose 8 3x3 stride=2 pad=1 output_pad=1", &[4, 9, 12], "[batch, 8, 18, 24]", "[4, 8, 3, 3]"),
        ("conv1d-transpose 8 4 stride=2 groups=2", &[4, 9], "[batch, 8, 20]", "[4, 4, 4]"),
    ] {
        let graph = built(line, input);
        assert_eq!(graph.shape(graph.outputs()[0]).to_string(), output, "{line}");
        let names: Vec<&str> = graph.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
        assert_eq!(names, ["0.weight", "0.bias"], "{line}");
        assert_eq!(graph.shape(graph.parameters()[0].value).to_string(), weight, "{line}");
        let without = built(&format!("{line} relu nobias"), input);
        assert_eq!((without.parameters().len(), without.nodes().len()), (1, 2), "{line}");
    }
}

#[test]
fn a_line_comes_back_as_it_was_written() {
    for (line, input) in [
        (CNN, &[1, 28, 28][..]),
        ("conv 8 3x3 same init=he_normal bias_init=zeros -> relu", &[3, 9, 9]),
        ("conv 8 5x5 stride=2 pad=1x2x1x2 dilation=2 groups=4 nobias", &[4, 29, 29]),
        ("conv1d 8 5 pad=2 tanh -> conv1d-transpose 4 4 stride=2 pad=1x0 output_pad=1", &[4, 29]),
        ("depthwise 3x5 stride=2x1 multiplier=2 nobias -> conv 3 1x1 relu", &[4, 29, 29]),
        ("conv-transpose 8 2x2 stride=2 groups=2 -> leaky_relu 0.2", &[4, 5, 5]),
        ("2 * residual(conv 4 3x3 same relu -> conv 4 3x3 same)", &[4, 5, 5]),
    ] {
        let built = NetworkOptions::default().build(&Network::parse(line).expect("a line"), input).expect("a network");
        let printed = built.layers.to_notation().expect("every layer has a word").to_string();
        let again =
            NetworkOptions::default().build(&Network::parse(&printed).expect("a line"), input).expect("it again");
        assert_eq!(again.layers.to_notation().map(|network| network.to_string()), Some(printed.clone()));
        let spread = |text: &str| text.replace(" -> relu", " relu").replace(" -> leaky_relu 0.2", " leaky_relu:0.2");
        assert_eq!(spread(&printed), spread(line));
        let shapes = |graph: &Graph| -> Vec<String> {
            graph.parameters().iter().map(|parameter| graph.shape(parameter.value).to_string()).collect()
        };
        assert_eq!(shapes(&again.graph), shapes(&built.graph));
    }
}

#[test]
fn mistakes_name_both_sizes_and_point_at_their_place() {
    for (line, input, marked, texts) in [
        (
            "conv 8 3x3",
            &[784][..],
            "conv 8 3x3",
            &["'conv' needs [batch, channels, height, width], here is [batch, 784]", "put a 'reshape' before it"][..],
        ),
        ("conv 8 3", &[4, 30], "conv 8 3", &["here is [batch, 4, 30]", "write 'conv1d'"]),
        ("conv1d 8 3", &[4, 30, 30], "conv1d 8 3", &["write 'conv'"]),
        (
            "conv 4 2x2 -> conv 8 5x5",
            &[1, 5, 9],
            "conv 8 5x5",
            &["a height of at most 4", "got 5 (weight [8, 4, 5, 5]", "shape here: [batch, 4, 4, 8]"],
        ),
        (
            "conv 8 3x3 groups=3",
            &[4, 9, 9],
            "conv 8 3x3 groups=3",
            &["3 groups needs multiples of that: 4 channels come in, 8 go out"],
        ),
        ("conv 8", &[1, 9, 9], "conv", &["'conv' needs kernel, a size like"]),
        ("conv 8 3x3x3", &[1, 9, 9], "conv 8 3x3x3", &["kernel of 'conv' has 3 numbers, it slides over 2"]),
        ("conv 8 3x3 pad=1x2x3", &[1, 9, 9], "conv 8 3x3 pad=1x2x3", &["padding of 'conv' has 3 numbers"]),
        ("conv 8 3x3 stride=0", &[1, 9, 9], "0", &["stride of 'conv' must be a whole number from 1"]),
        ("conv 8 3x3 same pad=1", &[1, 9, 9], "conv", &["'same' and 'pad' both say"]),
        ("conv 8 3x3 strid=2", &[1, 9, 9], "strid", &["'conv' has no option 'strid'", "did you mean 'stride'?"]),
        ("conv 8 3x3 saem", &[1, 9, 9], "saem", &["did you mean 'same'?"]),
        ("conv-transpose 8 3x3 same", &[1, 9, 9], "conv-transpose 8 3x3 same", &["takes no 'same'"]),
        (
            "conv-transpose 8 3x3 output_pad=1",
            &[1, 9, 9],
            "conv-transpose 8 3x3 output_pad=1",
            &["output_padding must be 2 whole numbers, each less than"],
        ),
        ("conv 2147483648 3x3", &[1, 9, 9], "conv 2147483648 3x3", &["has more than"]),
    ] {
        let error = network(line, input, None).expect_err(line);
        let rendered = error.render();
        let marks = rendered.lines().find(|mark| mark.trim_start().starts_with('^')).expect("a mark");
        let marks = marks.trim_start().chars().take_while(|mark| *mark == '^').count();
        assert_eq!(marks, marked.len(), "{rendered}");
        for text in texts {
            assert!(rendered.contains(text), "{rendered}\nlacks {text}");
        }
    }
}

#[test]
fn pictures_reach_convolutions_as_channels_and_dense_layers_as_rows() {
    let graph = built("dense 5 -> dense 2", &[1, 28, 28]);
    assert_eq!(graph.shape(graph.parameters()[0].value).to_string(), "[5, 784]");
    let graph = built(CNN, &[1, 28, 28]);
    let names: Vec<&str> = graph.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(names, ["0.weight", "0.bias", "3.weight", "3.bias", "7.weight", "7.bias", "9.weight", "9.bias"]);
}

/// Bars of two directions, two rows of each.
fn bars() -> (Vec<f32>, Vec<f32>) {
    let (mut x, mut t) = (Vec::new(), Vec::new());
    for row in 0..16 {
        let (upright, at) = (row % 2 == 0, row / 2);
        x.extend((0..64).map(|i| if (if upright { i % 8 } else { i / 8 }) == at { 1.0 } else { 0.0 }));
        t.push(if upright { 1.0 } else { 0.0 });
    }
    (x, t)
}

#[test]
fn a_convolutional_network_learns_with_the_same_bits_everywhere() {
    let line = "conv 6 3x3 same relu -> depthwise 3x3 same -> maxpool 2 -> conv 4 3x3 relu -> flatten -> dense 2";
    let (x, t) = bars();
    let mut bits: Option<Vec<u32>> = None;
    for device in [Device::new(Isa::best(), 2), Device::new(Isa::scalar(), 1)].map(Arc::new) {
        let graph = built(line, &[1, 8, 8]);
        let problem = Problem::new(&graph, &Loss::cross_entropy(), false).expect("a loss on it");
        let parameters = Parameters::initialise(&problem.graph, &device, 3);
        let config = OptimizerConfig::parse("adam:lr=0.01").expect("an optimiser");
        let mut optimizer = Optimizer::new(&config, parameters.segments(), &Groups::default()).expect("an optimiser");
        let mut session = Session::new(problem.graph.clone(), device.clone(), parameters, 1);
        let options = PlanOptions { batch: 16, loss: Some(problem.loss), ..Default::default() };
        let plan = session.plan(&options).expect("a plan");
        session.input_mut(plan, problem.input).copy_from_slice(&x);
        session.input_mut(plan, problem.target).copy_from_slice(&t);
        let mut losses = Vec::new();
        for step in 0..60 {
            session.forward(plan, step);
            losses.push(session.value(plan, problem.loss)[0]);
            session.backward(plan, step);
            let (parameters, gradients) = session.parameters_and_gradients();
            assert!(optimizer.update(&device, 0.01, parameters.values_mut(), gradients));
        }
        assert!(losses[0] > 0.5 && losses[59] < 0.05, "{losses:?}");
        let parameters = session.into_parameters();
        let got: Vec<u32> = parameters.values().iter().map(|value| value.to_bits()).collect();
        assert_eq!(*bits.get_or_insert_with(|| got.clone()), got, "the same bits on {device:?}");
        // Packed weights, one row or many: the same classes and bits.
        let mut predictor = Predictor::new(Arc::new(graph), parameters, device).expect("a predictor");
        let mut outputs = vec![0.0; 32];
        predictor.predict(&x, &mut outputs);
        for (row, (outputs, class)) in outputs.chunks(2).zip(&t).enumerate() {
            assert_eq!(outputs[1] > outputs[0], *class == 1.0, "row {row}");
            assert_eq!(predictor.predict_row(&x[row * 64..][..64]), outputs);
        }
    }
}

#[test]
fn batch_normalisation_is_folded_into_the_convolution_before_it() {
    let device = Arc::new(Device::new(Isa::best(), 2));
    for line in ["conv 5 3x3 same -> batchnorm relu", "conv 6 3x3 groups=2 nobias -> batchnorm"] {
        let graph = built(line, &[4, 6, 7]);
        let mut parameters = Parameters::initialise(&graph, &device, 3);
        for (i, value) in parameters.values_mut().iter_mut().enumerate() {
            *value += (i * 29 % 17) as f32 / 40.0;
        }
        let (folded, folded_parameters) = fold_channels(&graph, &parameters).expect("something to fold");
        assert_eq!(folded.nodes().len(), graph.nodes().len() - 1, "{line}");
        let x: Vec<f32> = (0..2 * 4 * 6 * 7).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let outputs = |graph: &Graph, parameters: &Parameters| {
            let (graph, output) = (Arc::new(graph.clone()), graph.outputs()[0]);
            let mut session = Session::new(graph.clone(), device.clone(), parameters.clone(), 1);
            let options = PlanOptions { batch: 2, outputs: &[output], ..Default::default() };
            let plan = session.plan(&options).expect("a plan");
            session.input_mut(plan, graph.inputs()[0].value).copy_from_slice(&x);
            session.forward(plan, 0);
            session.value(plan, output).to_vec()
        };
        let (plain, folded) = (outputs(&graph, &parameters), outputs(&folded, &folded_parameters));
        let largest = plain.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        for (plain, folded) in plain.iter().zip(&folded) {
            assert!((plain - folded).abs() <= 1e-5 * largest, "{line}: {plain} {folded}");
        }
    }
}
