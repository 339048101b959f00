//! Ready networks for pictures, by name: each is a line of notation.

use super::notation::{Item, Network, NotationError};

/// A network under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyNetwork {
    /// The word that stands for it in a line.
    pub name: &'static str,
    /// What it is, and whose.
    pub about: &'static str,
    /// The line; its last layer takes the size of the output from the task.
    pub line: &'static str,
}

/// All of them. Names of parameters and shapes are those of the lines.
pub const READY: &[ReadyNetwork] = &[
    ReadyNetwork {
        name: "lenet5",
        about: "LeCun, Bottou, Bengio and Haffner, \"Gradient-based learning applied to document recognition\", 1998, for \
                28×28 pictures",
        line: "conv 6 5x5 pad=2 tanh -> avgpool 2 -> conv 16 5x5 tanh -> avgpool 2 -> flatten -> dense 120 tanh -> \
               dense 84 tanh -> dense",
    },
    ReadyNetwork {
        name: "mnist-cnn",
        about: "two convolutions and a dense layer, enough for MNIST",
        line: "conv 32 3x3 same relu -> maxpool 2 -> conv 64 3x3 same relu -> maxpool 2 -> flatten -> dense 128 relu -> \
               dense",
    },
    ReadyNetwork {
        name: "resnet8",
        about: "as resnet20, with one block of each width",
        line: "conv 16 3x3 same nobias -> batchnorm relu -> \
               residual(conv 16 3x3 same nobias -> batchnorm relu -> conv 16 3x3 same nobias -> batchnorm) relu -> \
               residual(conv 32 3x3 stride=2 pad=1 nobias -> batchnorm relu -> conv 32 3x3 same nobias -> batchnorm, \
               conv 32 1x1 stride=2 nobias -> batchnorm) relu -> \
               residual(conv 64 3x3 stride=2 pad=1 nobias -> batchnorm relu -> conv 64 3x3 same nobias -> batchnorm, \
               conv 64 1x1 stride=2 nobias -> batchnorm) relu -> \
               global-avgpool -> dense",
    },
    ReadyNetwork {
        name: "resnet20",
        about: "He, Zhang, Ren and Sun, \"Deep residual learning for image recognition\", 2016, section 4.2, with \
                projections where the width changes",
        line: "conv 16 3x3 same nobias -> batchnorm relu -> \
               3 * residual(conv 16 3x3 same nobias -> batchnorm relu -> conv 16 3x3 same nobias -> batchnorm) relu -> \
               residual(conv 32 3x3 stride=2 pad=1 nobias -> batchnorm relu -> conv 32 3x3 same nobias -> batchnorm, \
               conv 32 1x1 stride=2 nobias -> batchnorm) relu -> \
               2 * residual(conv 32 3x3 same nobias -> batchnorm relu -> conv 32 3x3 same nobias -> batchnorm) relu -> \
               residual(conv 64 3x3 stride=2 pad=1 nobias -> batchnorm relu -> conv 64 3x3 same nobias -> batchnorm, \
               conv 64 1x1 stride=2 nobias -> batchnorm) relu -> \
               2 * residual(conv 64 3x3 same nobias -> batchnorm relu -> conv 64 3x3 same nobias -> batchnorm) relu -> \
               global-avgpool -> dense",
    },
    ReadyNetwork {
        name: "convnet-small",
        about: "as convnet, half as wide",
        line: "conv 16 3x3 same nobias -> batchnorm relu -> \
               conv 32 3x3 same nobias -> maxpool 2 -> batchnorm relu -> conv 32 3x3 same nobias -> batchnorm relu -> \
               conv 64 3x3 same nobias -> maxpool 2 -> batchnorm relu -> conv 64 3x3 same nobias -> batchnorm relu -> \
               conv 128 3x3 same nobias -> maxpool 2 -> batchnorm relu -> conv 128 3x3 same nobias -> batchnorm relu -> \
               global-maxpool -> dense",
    },
    ReadyNetwork {
        name: "convnet",
        about: "after Jordan, \"94% on CIFAR-10 in 3.29 seconds on a single GPU\", 2024: three stages, each pooled right after \
                its first convolution",
        line: "conv 32 3x3 same nobias -> batchnorm relu -> \
               conv 64 3x3 same nobias -> maxpool 2 -> batchnorm relu -> conv 64 3x3 same nobias -> batchnorm relu -> \
               conv 128 3x3 same nobias -> maxpool 2 -> batchnorm relu -> conv 128 3x3 same nobias -> batchnorm relu -> \
               conv 256 3x3 same nobias -> maxpool 2 -> batchnorm relu -> conv 256 3x3 same nobias -> batchnorm relu -> \
               global-maxpool -> dense",
    },
    ReadyNetwork {
        name: "vgg-small",
        about: "after Simonyan and Zisserman, \"Very deep convolutional networks for large-scale image recognition\", 2015: \
                pairs of convolutions, with batch normalisation",
        line: "2 * (conv 64 3x3 same nobias -> batchnorm relu) -> maxpool 2 -> \
               2 * (conv 128 3x3 same nobias -> batchnorm relu) -> maxpool 2 -> \
               2 * (conv 256 3x3 same nobias -> batchnorm relu) -> maxpool 2 -> \
               flatten -> dense 256 relu -> dropout 0.5 -> dense",
    },
    ReadyNetwork {
        name: "mobilenet-small",
        about: "after Howard et al., \"MobileNets\", 2017: each channel alone, then all channels of each place",
        line: "conv 32 3x3 same nobias -> batchnorm relu -> \
               conv 32 3x3 same groups=32 nobias -> batchnorm relu -> conv 64 1x1 nobias -> batchnorm relu -> \
               conv 64 3x3 stride=2 pad=1 groups=64 nobias -> batchnorm relu -> conv 128 1x1 nobias -> batchnorm relu -> \
               conv 128 3x3 same groups=128 nobias -> batchnorm relu -> conv 128 1x1 nobias -> batchnorm relu -> \
               conv 128 3x3 stride=2 pad=1 groups=128 nobias -> batchnorm relu -> conv 256 1x1 nobias -> batchnorm relu -> \
               conv 256 3x3 same groups=256 nobias -> batchnorm relu -> conv 256 1x1 nobias -> batchnorm relu -> \
               global-avgpool -> dense",
    },
];

/// The size of the output where no task gives it: the classes of MNIST and CIFAR-10.
const CLASSES: usize = 10;

/// The ready network called `name`.
pub fn ready(name: &str) -> Option<&'static ReadyNetwork> {
    READY.iter().find(|network| network.name == name)
}

/// `network` with the layers of ready networks in the place of their names; `None` when it has none. A last layer of unknown
/// size gets `outputs` units, or ten.
pub(super) fn expand(network: &Network, outputs: Option<usize>) -> Result<Option<Network>, NotationError> {
    let is_ready =
        |item: &Item| item.arguments().is_empty() && item.branches().is_empty() && ready(item.word()).is_some();
    if !network.items().iter().any(is_ready) {
        return Ok(None);
    }
    let mut items = Vec::new();
    for item in network.items() {
        let Some(known) = ready(item.word()).filter(|_| is_ready(item)) else {
            items.push(item.clone());
            continue;
        };
        for _ in 0..item.repeat() {
            let mut layers = Network::parse(known.line)?.items().to_vec();
            if layers.last().is_some_and(|last| last.arguments().is_empty() && last.word() == "dense") {
                layers.pop();
                layers.push(Item::new("dense").with(outputs.unwrap_or(CLASSES)));
            }
            items.extend(layers);
        }
    }
    Ok(Some(Network::new(items)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{NetworkOptions, Summary, SummaryOptions};

    fn build(line: &str, input: &[usize], outputs: Option<usize>) -> crate::nn::BuiltNetwork {
        let options = NetworkOptions { outputs, ..NetworkOptions::default() };
        options
            .build(&Network::parse(line).expect("a line"), input)
            .unwrap_or_else(|error| panic!("{}", error.render()))
    }

    #[test]
    fn every_ready_network_builds_and_prints_its_layers() {
        for known in READY {
            for (input, outputs) in [(&[1, 28, 28][..], Some(10)), (&[3, 32, 32], Some(7)), (&[3, 32, 32], None)] {
                let built = build(known.name, input, outputs);
                let output = built.graph.shape(built.graph.outputs()[0]).to_string();
                assert_eq!(output, format!("[batch, {}]", outputs.unwrap_or(10)), "{}", known.name);
                let printed = built.layers.to_notation().expect("words").to_string();
                assert!(printed.starts_with("conv") || printed.starts_with("2 * (conv"), "{printed}");
                // The printed line is the same network.
                let again = build(&printed, input, outputs);
                assert_eq!(again.layers.to_notation().expect("words").to_string(), printed);
            }
        }
    }

    #[test]
    fn parameters_are_as_many_as_the_papers_say() {
        let count = |name: &str, input: &[usize]| {
            let graph = build(name, input, Some(10)).graph;
            let summary = Summary::new(&graph, &SummaryOptions::default()).expect("a small network");
            assert_eq!(crate::graph::Parameters::zeros(&graph).count(), summary.parameters);
            summary.parameters
        };
        // The paper's 0.27 M, and 2,752 of two projections with their normalisation.
        assert_eq!(count("resnet20", &[3, 32, 32]), 269_722 + 16 * 32 + 64 + 32 * 64 + 128);
        assert_eq!(count("lenet5", &[1, 28, 28]), 61_706);
        assert_eq!(count("mnist-cnn", &[1, 28, 28]), 421_642);
    }

    #[test]
    fn a_ready_network_may_be_a_part_of_a_line() {
        let built = build("lenet5 -> relu -> dense 3", &[1, 28, 28], Some(3));
        let printed = built.layers.to_notation().expect("words").to_string();
        assert!(printed.ends_with("dense 3 relu -> dense 3"), "{printed}");
    }
}
