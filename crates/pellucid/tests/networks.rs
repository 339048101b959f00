//! Lines of notation as graphs: names, shapes, and what a wrong line is told.

use pellucid::graph::Graph;
use pellucid::nn::notation::Network;
use pellucid::nn::{BuiltNetwork, NetworkOptions, build};

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
        ("relu -> (dense 4 -> (relu -> dense 2 nobias))", &["1.weight", "1.bias", "3.weight"]),
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
