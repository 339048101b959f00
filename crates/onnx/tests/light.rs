//! The `light_*` networks of the package `onnx`: ResNet-50, DenseNet-121, Inception and others with weights that are all alike. LIGHT_NETWORKS
//! names their folder, `onnx/backend/test/data/light` in the package.

mod common;

use std::path::PathBuf;

use pellucid_onnx::{Constant, Import};

const NETWORKS: [&str; 9] = [
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
];

#[test]
fn the_light_networks_give_the_expected_outputs() {
    let Some(folder) = std::env::var_os("LIGHT_NETWORKS").map(PathBuf::from) else {
        eprintln!(
            "SKIPPED: the light networks. LIGHT_NETWORKS names the folder onnx/backend/test/data/light of the package onnx."
        );
        return;
    };
    for name in NETWORKS {
        let network = Import::default()
            .open(&folder.join(format!("light_{name}.onnx")))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let dims: Vec<usize> = network.inputs[0].dims.iter().map(|size| size.unwrap_or(1)).collect();
        let count: usize = dims.iter().product();
        // As onnx's own runner feeds them.
        let input = Constant::floats(&dims, (0..count).map(|i| (i as f64 / count as f64) as f32).collect());
        let nodes = network.graph.nodes().len();
        let outputs = common::run(network, &[input]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = common::tensor(&folder.join(format!("light_{name}_output_0.pb"))).expect("a tensor");
        assert_eq!(outputs[0].0.iter().product::<usize>(), expected.len(), "{name}");
        common::compare(&outputs[0].1, &expected.narrow(), 1e-3, 1e-7)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        println!("{name}: {nodes} ops");
    }
}
