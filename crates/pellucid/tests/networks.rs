//! Lines of notation as graphs: names, shapes, and what a wrong line is told.

use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{BuildError, Graph, GraphBuilder, Parameters, ValueId};
use pellucid::nn::notation::{Item, Network};
use pellucid::nn::{BuiltNetwork, Dense, Init, Layer, LayerTable, NetworkOptions, Sequential, build};
use pellucid::ops::Relu;
use pellucid::tensor::Dim;

fn built(line: &str, input_shape: &[usize], outputs: Option<usize>) -> BuiltNetwork {
    let network = Network::parse(line).unwrap_or_else(|error| panic!("{}", error.render()));
    NetworkOptions { outputs, ..NetworkOptions::default() }
        .build(&network, input_shape)
        .unwrap_or_else(|error| panic!("{}", error.render()))
}

fn names(graph: &Graph) -> Vec<&str> {
    graph.parameters().iter().map(|parameter| parameter.name.as_str()).collect()
}

#[test]
fn parameters_are_named_as_in_pytorch() {
    for (line, expected) in [
        ("dense 16 relu -> dense 3", &["0.weight", "0.bias", "2.weight", "2.bias"][..]),
        ("dense 16 -> dense 3", &["0.weight", "0.bias", "1.weight", "1.bias"]),
        ("dense 4 relu nobias -> dense 1 relu nobias", &["0.weight", "2.weight"]),
        ("2 * (dense 4 relu) -> dense 1 nobias", &["0.weight", "0.bias", "2.weight", "2.bias", "4.weight"]),
        (
            "dense 4 -> residual(dense 4 relu -> dense 4) relu -> dense 1 nobias",
            &["0.weight", "0.bias", "1.0.weight", "1.0.bias", "1.2.weight", "1.2.bias", "3.weight"],
        ),
        ("2 * residual(2 * dense 8 nobias)", &["0.0.weight", "0.1.weight", "1.0.weight", "1.1.weight"]),
        (
            "concat(relu -> dense 4 nobias, dense 2 nobias) -> dense 1",
            &["0.0.1.weight", "0.1.0.weight", "1.weight", "1.bias"],
        ),
        ("dense 4 prelu nobias -> dropout 0.1 -> flatten -> dense 1 nobias", &["0.weight", "1.weight", "4.weight"]),
        ("relu -> (dense 4 -> (relu -> dense 2 nobias))", &["1.weight", "1.bias", "3.weight"]),
        (
            "batchnorm relu -> layernorm -> dense 1 nobias",
            &["0.weight", "0.bias", "0.running_mean", "0.running_var", "2.weight", "2.bias", "3.weight"],
        ),
        ("residual(dense 4 nobias, dense 4 nobias) -> rmsnorm", &["0.0.weight", "0.shortcut.0.weight", "1.weight"]),
    ] {
        assert_eq!(names(&built(line, &[8], None).graph), expected, "for {line}");
    }
}

/// The line of the layers: sizes from the task filled in, an activation behind its layer.
#[test]
fn layers_print_the_canonical_line() {
    for (line, canonical) in [
        ("dense 16 relu -> dense", "dense 16 relu -> dense 3"),
        ("dense 16 -> relu -> dense softsign", "dense 16 relu -> dense 3 softsign"),
        (
            "dense 8 leaky_relu -> dense 8 leaky_relu:0.01 -> dense -> leaky_relu 0.02",
            "dense 8 leaky_relu -> dense 8 leaky_relu -> dense 3 leaky_relu:0.02",
        ),
        (
            "dense 8 -> softplus 1 20 -> softplus 2 -> softplus 1 3 -> dense 3",
            "dense 8 softplus -> softplus 2 -> softplus 1 3 -> dense 3",
        ),
        (
            "dense 8 nobias init=kaiming_normal -> dense bias_init=constant:0.1",
            "dense 8 nobias init=he_normal -> dense 3 bias_init=constant:0.1",
        ),
        ("2 * (dense 4 -> relu) -> (3 * dense 4) -> dense", "2 * dense 4 relu -> 3 * dense 4 -> dense 3"),
        ("2 * (dense 4 -> dense 5 tanh) -> dense 3", "2 * (dense 4 -> dense 5 tanh) -> dense 3"),
        (
            "dropout -> reshape 05x1 -> flatten -> dense prelu:0.25",
            "dropout 0.5 -> reshape 5x1 -> flatten -> dense 3 prelu",
        ),
        ("concat(identity, dense 2 -> tanh) -> sigmoid -> dense", "concat(identity, dense 2 tanh) sigmoid -> dense 3"),
        (
            "residual(dense 9 -> prelu 0.1 -> dense 5) -> channel_prelu -> dropout 0.1 -> dense",
            "residual(dense 9 prelu:0.1 -> dense 5) channel_prelu -> dropout 0.1 -> dense 3",
        ),
        ("dense 3 relu -> relu -> dense 3", "dense 3 relu -> relu -> dense 3"),
    ] {
        let layers = built(line, &[5], Some(3)).layers;
        let printed = layers.to_notation().expect("every layer has a word");
        assert_eq!(printed.to_string(), canonical);
        // Again, the canonical line is itself, and the same network.
        let again = built(canonical, &[5], Some(3));
        assert_eq!(again.layers.to_notation().expect("words"), printed);
        assert_eq!(names(&again.graph), names(&built(line, &[5], Some(3)).graph));
    }
}

/// The same for layers that work on pictures, here of two channels of 6×6.
#[test]
fn layers_of_pictures_print_the_canonical_line() {
    for (line, canonical) in [
        ("maxpool 2x2 -> flatten -> dense", "maxpool 2 -> flatten -> dense 3"),
        (
            "maxpool relu 3 ceil pad=1 stride=2x2 -> global-avgpool -> dense",
            "maxpool 3 stride=2 pad=1 ceil relu -> global-avgpool -> dense 3",
        ),
        (
            "maxpool 2x3 stride=2x3 -> maxpool 2x1 dilation=2x1 -> flatten -> dense",
            "maxpool 2x3 -> maxpool 2x1 dilation=2x1 -> flatten -> dense 3",
        ),
        (
            "avgpool 3x3 ceil nopadcount stride=2 pad=1 -> flatten -> dense",
            "avgpool 3 stride=2 pad=1 nopadcount ceil -> flatten -> dense 3",
        ),
        (
            "adaptive-avgpool 3x2 -> adaptive-maxpool 2x2 -> flatten -> dense",
            "adaptive-avgpool 3x2 -> adaptive-maxpool 2 -> flatten -> dense 3",
        ),
        (
            "batchnorm -> relu -> batchnorm eps=1e-3 momentum=0.01 fixed -> global-maxpool -> dense",
            "batchnorm relu -> batchnorm fixed momentum=0.01 eps=0.001 -> global-maxpool -> dense 3",
        ),
        (
            "layernorm eps=1e-5 -> rmsnorm eps=1e-6 -> groupnorm 2 silu -> flatten -> dense",
            "layernorm -> rmsnorm eps=1e-6 -> groupnorm 2 silu -> flatten -> dense 3",
        ),
        (
            "pad 1x1 -> pad 1x2 reflect -> pad 2 replicate -> pad 1 value=0.5 -> flatten -> dense",
            "pad 1 -> pad 1x2 reflect -> pad 2 replicate -> pad 1 value=0.5 -> flatten -> dense 3",
        ),
        (
            "upsample 2x2 -> upsample 2x1 linear -> spatial-dropout 0.2 -> flatten -> dense",
            "upsample 2 -> upsample 2x1 linear -> spatial-dropout 0.2 -> flatten -> dense 3",
        ),
        (
            "residual(identity -> stochastic-depth 0.5, identity) -> relu -> flatten -> dense",
            "residual(identity -> stochastic-depth 0.5, identity) relu -> flatten -> dense 3",
        ),
    ] {
        let layers = built(line, &[2, 6, 6], Some(3)).layers;
        let printed = layers.to_notation().expect("every layer has a word");
        assert_eq!(printed.to_string(), canonical);
        let again = built(canonical, &[2, 6, 6], Some(3));
        assert_eq!(again.layers.to_notation().expect("words"), printed);
    }
}

#[test]
fn sizes_of_pictures_are_those_of_the_layers() {
    for (line, input, output) in [
        ("maxpool 2", &[3, 28, 28][..], "[batch, 3, 14, 14]"),
        ("maxpool 2 ceil", &[3, 7, 9], "[batch, 3, 4, 5]"),
        ("maxpool 3", &[3, 10], "[batch, 3, 3]"),
        ("avgpool 3 stride=2 pad=1", &[3, 9, 8], "[batch, 3, 5, 4]"),
        ("adaptive-avgpool 3x2", &[3, 9, 8], "[batch, 3, 3, 2]"),
        ("global-avgpool", &[3, 9, 8], "[batch, 3]"),
        ("global-maxpool", &[3, 9], "[batch, 3]"),
        ("pad 1x2", &[3, 9, 8], "[batch, 3, 11, 12]"),
        ("upsample 2x3", &[3, 9, 8], "[batch, 3, 18, 24]"),
        ("batchnorm -> groupnorm 3 -> layernorm -> rmsnorm", &[3, 9, 8], "[batch, 3, 9, 8]"),
    ] {
        let graph = built(line, input, None).graph;
        assert_eq!(graph.shape(graph.outputs()[0]).to_string(), output, "{line}");
    }
}

/// What is said of a wrong line, for rows of eight numbers and three classes.
#[test]
fn a_wrong_line_is_told_where_and_what_would_be_right() {
    for rendered in [
        "error: unknown layer 'dens'\n  dense 8 relu -> dens 3\n                  ^^^^ did you mean 'dense'?",
        "error: the network ends in [batch, 5], the task needs [batch, 3]\n  dense 16 relu -> dense 5\n                   ^^^^^^^ write 'dense 3'",
        "error: the network ends in [batch, 16], the task needs [batch, 3]\n  dense 16 relu\n  ^^^^^^^^^^^^^ add '-> dense 3'",
        "error: 'dense' needs units, a whole number\n  dense relu -> dense 3\n  ^^^^^\n  only the last layer takes its size from the data",
        "error: 'dense' needs units, a whole number\n  2 * dense\n      ^^^^^\n  only the last layer takes its size from the data",
        "error: 'relu' is a layer of its own\n  tanh relu -> dense 3\n       ^^^^ '->' is missing before it",
        "error: 'dense' takes one activation, here are 'relu' and 'tanh'\n  dense 8 relu tanh -> dense 3\n               ^^^^",
        "error: unknown activation 'rellu' for 'dense'\n  dense 8 rellu -> dense 3\n          ^^^^^ did you mean 'relu'?",
        "error: unknown initialiser 'he_norml'\n  dense 8 init=he_norml -> dense 3\n               ^^^^^^^^ did you mean 'he_normal'?",
        "error: 'uniform' takes two numbers, the limits, got 1: as in uniform:-0.5:0.5\n  dense 8 init=uniform:1 -> dense 3\n               ^^^^^^^^^",
        "error: 'he_normal' follows the sizes of a weight; a bias takes default, zeros, constant, uniform, normal or truncated_normal\n  dense 8 bias_init=he_normal -> dense 3\n                    ^^^^^^^^^",
        "error: rate of 'dropout' must be from 0 to 1: the share of values that become 0\n  dropout 50 -> dense 3\n          ^^ did you mean '0.5'?",
        "error: Reshape: values of a sample: expected as many as [batch, 3, 3] has, got 8 ([batch, 8])\n  relu -> reshape 3x3 -> dense 3\n          ^^^^^^^^^^^\n  shape here: [batch, 8]",
        "error: x + f(x) needs two equal shapes, but x is [batch, 16] and f(x) is [batch, 4]\n  dense 16 relu -> residual(dense 8 relu -> dense 4) -> dense 3\n                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ end the branch with 'dense 16'\n  shape here: [batch, 16]",
        "error: Glu: last axis of the input: expected an even size, got 5\n  2 * residual(dense 5 glu) -> dense 3\n                       ^^^\n  shape here: [batch, 5]",
        "error: 'concat' takes 2 to 16 networks in parentheses, here are 1\n  concat(dense 8) -> dense 3\n  ^^^^^^",
        "error: Concat: shape of an input: expected that of [batch, 2, 4] but for axis 2, got [batch, 4, 2]\n  concat(reshape 2x4, reshape 4x2) -> flatten -> dense 3\n  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  shape here: [batch, 8]",
        "error: the network ends in [batch, 2, 3], the task needs [batch, 3]\n  reshape 2x4 -> dense 3\n                 ^^^^^^^ put 'flatten ->' before the last layer",
        "error: 'maxpool' needs [batch, channels, length] or [batch, channels, height, width]\n  maxpool 2 -> dense 3\n  ^^^^^^^^^\n  shape here: [batch, 8]",
        "error: MaxPool: size of an axis, for a window to fit in: expected 5 or more, got 4\n  reshape 2x4 -> maxpool 5 -> dense 3\n                 ^^^^^^^^^\n  shape here: [batch, 2, 4]",
        "error: 'maxpool' works along one axis here, but a size has 2 numbers\n  reshape 2x4 -> maxpool 2x2 -> dense 3\n                 ^^^^^^^^^^^\n  shape here: [batch, 2, 4]",
        "error: GroupNormalization: groups must be a divisor of the 8 channels, but it is 3\n  groupnorm 3 -> dense 3\n  ^^^^^^^^^^^\n  shape here: [batch, 8]",
        "error: rate of 'stochastic-depth' must be from 0 to 1: the probability of being dropped\n  residual(stochastic-depth 20) -> dense 3\n           ^^^^^^^^^^^^^^^^",
        "error: g(x) + f(x) needs two equal shapes, but g(x) is [batch, 5] and f(x) is [batch, 4]\n  residual(dense 4, dense 5) -> dense 3\n  ^^^^^^^^^^^^^^^^^^^^^^^^^^ let both branches end in the same shape\n  shape here: [batch, 8]",
        "error: LeakyRelu: negative_slope must be a number of at least 0, but it is -1\n  dense 3 -> leaky_relu -1\n             ^^^^^^^^^^^^^\n  shape here: [batch, 3]",
        "error: 'nobias' leaves nothing that bias_init could start\n  dense 8 nobias bias_init=zeros -> dense 3\n  ^^^^^",
        "error: 'leaky_relu' takes no further number, here is '3'\n  dense 8 -> leaky_relu 0.1 3 -> dense 3\n                            ^",
        "error: 'leaky_relu' takes at most 1 number, here are 2\n  dense 8 leaky_relu:0.1:3 -> dense 3\n          ^^^^^^^^^^^^^^^^",
        "error: 0.weight: [2147483648, 8] has more than 2147483648 values\n  dense 2147483648 -> dense 3\n  ^^^^^^^^^^^^^^^^\n  shape here: [batch, 8]",
    ] {
        let line = rendered.lines().nth(1).expect("the line").trim();
        let network = Network::parse(line).unwrap_or_else(|error| panic!("{}", error.render()));
        match build(&network, &[8], Some(3)) {
            Ok(_) => panic!("{line} was built"),
            Err(error) => assert_eq!(error.render(), rendered),
        }
    }
}

#[test]
fn pictures_are_flattened_before_a_dense_layer() {
    for line in
        ["dense 3", "dropout 0.2 -> dense 3 relu -> dense 3", "residual(dense 784) -> dense 3", "flatten -> dense"]
    {
        let graph = built(line, &[28, 28], Some(3)).graph;
        assert_eq!(graph.shape(graph.parameters()[0].value).axes().last(), Some(&Dim::Fixed(784)), "{line}");
    }
    // The flattening is none of the layers, so it has no number.
    assert_eq!(names(&built("dense 8 relu -> dense 3", &[1, 8, 8], Some(3)).graph)[2], "2.weight");
    let rows = built("identity -> dense 3", &[28, 28], None).graph;
    assert_eq!(rows.shape(rows.outputs()[0]).to_string(), "[batch, 28, 3]");
}

#[test]
fn an_embedding_takes_the_vocabulary_from_the_line_or_from_the_data() {
    let parsed = |line: &str| Network::parse(line).expect("a line");
    let options = NetworkOptions { vocabulary: Some(65), ..NetworkOptions::default() };
    for (line, canonical, sizes) in [
        ("embedding 8", "embedding 65x8", "[65, 8]"),
        ("embedding 11x8 init=normal:0:1", "embedding 11x8", "[11, 8]"),
        ("embedding 8 init=normal:0:0.02", "embedding 65x8 init=normal:0:0.02", "[65, 8]"),
    ] {
        let built = options.build(&parsed(line), &[20]).expect("a network");
        assert_eq!(built.layers.to_notation().expect("a word").to_string(), canonical);
        assert_eq!(names(&built.graph), ["0.weight"]);
        assert_eq!(built.graph.shape(built.graph.parameters()[0].value).to_string(), sizes);
        assert_eq!(built.graph.shape(built.graph.outputs()[0]).to_string(), "[batch, 20, 8]");
    }
    let error = build(&parsed("embedding 64 -> flatten -> dense"), &[20], Some(3)).expect_err("no vocabulary");
    assert_eq!(
        error.render(),
        "error: 'embedding' needs the size of the vocabulary, which is not known from the data here\n  \
         embedding 64 -> flatten -> dense\n  ^^^^^^^^^ write both sizes, as in embedding 65x64"
    );
    let error = build(&parsed("embedding 2x3x4"), &[20], None).expect_err("too many sizes");
    assert!(error.render().contains("here are 3 sizes"), "{}", error.render());
}

/// One output for a whole sequence, or one for each of its steps: the advice names what is missing.
#[test]
fn the_task_says_whether_every_time_step_has_an_output() {
    let build = |line: &str, every_step: bool| {
        let options = NetworkOptions { outputs: Some(3), every_step, ..NetworkOptions::default() };
        options.build(&Network::parse(line).expect("a line"), &[20]).map(|built| built.graph)
    };
    let graph = build("embedding 65x8 -> dense", true).expect("a network");
    assert_eq!(graph.shape(graph.outputs()[0]).to_string(), "[batch, 20, 3]");
    for (line, every_step, message, advice) in [
        (
            "embedding 65x8 -> dense",
            false,
            "the network ends in [batch, 20, 3], the task needs [batch, 3]",
            "put 'last ->' before 'dense': one output is needed for a whole sequence",
        ),
        (
            "embedding 65x8 -> flatten -> dense",
            true,
            "the network ends in [batch, 3], the task needs [batch, 20, 3]",
            "leave out 'flatten': an output is needed for each time step",
        ),
        (
            "dense 8 relu -> dense",
            true,
            "the network ends in [batch, 3], the task needs [batch, 20, 3]",
            "begin with 'embedding 64', and keep the steps apart up to the end",
        ),
        (
            "embedding 65x8 -> dense 4",
            true,
            "the network ends in [batch, 20, 4], the task needs [batch, 20, 3]",
            "write 'dense 3'",
        ),
        (
            "embedding 65x8 -> dense 4 relu",
            true,
            "the network ends in [batch, 20, 4], the task needs [batch, 20, 3]",
            "add '-> dense 3'",
        ),
    ] {
        let error = build(line, every_step).expect_err("another output").render();
        assert!(error.contains(message) && error.ends_with(advice), "{error}");
    }
}

#[test]
fn a_network_that_was_never_text_is_built_and_shown_as_it_would_print() {
    let network = Network::new(vec![Item::new("dense").with(4usize).with("relu"), Item::new("dens").with(3usize)]);
    let error = build(&network, &[8], Some(3)).expect_err("there is no 'dens'");
    assert_eq!(
        error.render(),
        "error: unknown layer 'dens'\n  dense 4 relu -> dens 3\n                  ^^^^ did you mean 'dense'?"
    );
    let network = Network::new(vec![Item::new("dense").with(4usize).with("relu").repeated(2), Item::new("dense")]);
    assert_eq!(names(&build(&network, &[8], Some(3)).expect("a network")).len(), 6);
}

#[test]
fn impossible_inputs_are_errors() {
    let network = Network::parse("dense 3").expect("a line");
    for input_shape in [&[1usize; 9][..], &[1 << 20, 1 << 20]] {
        let error = build(&network, input_shape, Some(3)).expect_err("no such input");
        assert!(error.render().starts_with("error: shape of the input: "), "{}", error.render());
    }
    let error = build(&network, &[], Some(3)).expect_err("no features");
    assert!(error.to_string().starts_with("dense needs rows with at least one axis"), "{error}");
}

#[test]
fn defaults_of_initialisers_hold_where_the_line_does_not_say() {
    let network = Network::parse("dense 4 -> dense 4 init=zeros bias_init=constant:2 -> dense 3").expect("a line");
    let options =
        NetworkOptions { weight_init: Init::Constant(0.5), bias_init: Init::Zeros, ..NetworkOptions::default() };
    let graph = options.build(&network, &[4]).expect("a network").graph;
    let parameters = Parameters::initialise(&graph, &Device::new(Isa::best(), 1), 1);
    for (name, value) in [("0.weight", 0.5), ("0.bias", 0.0), ("1.weight", 0.0), ("1.bias", 2.0), ("2.weight", 0.5)] {
        assert!(parameters.get(name).expect("a parameter").iter().all(|&x| x == value), "{name}");
    }
}

#[test]
fn an_initialiser_that_does_not_suit_a_bias_is_refused_from_rust_too() {
    let layers = Sequential::new().then(Dense { bias_init: Init::HeNormal, ..Dense::default() });
    let error = layers.graph(&[2]).expect_err("no fan");
    assert!(error.to_string().starts_with("layer 0: 'he_normal' follows the sizes"), "{error}");
}

/// A user's own layer: in the notation, repeated, with an activation behind it, and printed again.
#[test]
fn own_words_are_words_like_any_other() {
    #[derive(Debug)]
    struct Halve;
    impl Layer for Halve {
        fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
            let units = builder.shape(x).last().unwrap_or(2) / 2;
            Dense { units, ..Dense::default() }.build(builder, x)
        }
        fn takes_activation(&self) -> bool {
            true
        }
    }
    let table = LayerTable::standard().with("halve", |read, _| read.flag("now").map(|_| Halve)).with_activation(
        "twice",
        &[2.0],
        |numbers| match numbers[0] {
            2.0 => Ok(Arc::new(Relu)),
            other => Err(format!("'twice' is 2, not {other}")),
        },
    );
    let options = NetworkOptions { table, outputs: Some(3), ..NetworkOptions::default() };
    let parsed = |line: &str| Network::parse(line).expect("a line");
    let built =
        options.build(&parsed("2 * halve relu now -> twice -> halve -> twice -> dense"), &[16]).expect("a network");
    assert_eq!(names(&built.graph)[4..], ["5.weight", "5.bias", "7.weight", "7.bias"]);
    let printed = built.layers.to_notation().expect("words").to_string();
    assert_eq!(printed, "2 * halve now relu -> relu -> halve relu -> dense 3");
    let error = options.build(&parsed("halve twice:3 -> dense"), &[16]).expect_err("no such number");
    assert_eq!(error.render(), "error: 'twice' is 2, not 3\n  halve twice:3 -> dense\n        ^^^^^^^");
    let error = options.build(&parsed("halv -> dense"), &[16]).expect_err("a slip");
    assert!(error.render().ends_with("did you mean 'halve'?"));
}

#[test]
fn the_first_network_of_the_reference_runs_has_its_names() {
    // Case run/mlp_sgd: dense 8->16, tanh, dense 16->3.
    let graph = built("dense 16 tanh -> dense 3", &[8], Some(3)).graph;
    assert_eq!(names(&graph), ["0.weight", "0.bias", "2.weight", "2.bias"]);
    let sizes = |index: usize| graph.shape(graph.parameters()[index].value).to_string();
    assert_eq!([sizes(0), sizes(1), sizes(2), sizes(3)], ["[16, 8]", "[16]", "[3, 16]", "[3]"]);
}
