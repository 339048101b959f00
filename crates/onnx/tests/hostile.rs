//! Files that are damaged or mean harm: an error each, and no more memory than the file is worth.

use std::collections::BTreeMap;
use std::path::Path;

use kernels::device::Device;
use kernels::random::Stream;
use kernels::simd::Isa;
use pellucid::graph::Parameters;
use pellucid::nn;
use pellucid_onnx::proto::{
    Dimension, Graph, Model, Node, OperatorSet, StringEntry, Tensor, TensorShape, TensorType, Type, ValueInfo,
};
use pellucid_onnx::{Import, export};
use prost::Message;

fn info(name: &str, sizes: &[i64]) -> ValueInfo {
    let dim = sizes.iter().map(|&size| Dimension { dim_value: Some(size), dim_param: None }).collect();
    let tensor_type = Some(TensorType { elem_type: Some(1), shape: Some(TensorShape { dim }) });
    ValueInfo { name: Some(name.into()), r#type: Some(Type { tensor_type }) }
}

fn node(op: &str, inputs: &[&str], output: &str) -> Node {
    Node {
        input: inputs.iter().map(|name| name.to_string()).collect(),
        output: vec![output.into()],
        op_type: Some(op.into()),
        ..Node::default()
    }
}

fn model(nodes: Vec<Node>, tensors: Vec<Tensor>) -> Model {
    Model {
        ir_version: Some(10),
        opset_import: vec![OperatorSet { domain: None, version: Some(21) }],
        graph: Some(Graph {
            node: nodes,
            name: None,
            initializer: tensors,
            input: vec![info("x", &[2, 3])],
            output: vec![info("y", &[2, 3])],
            value_info: vec![],
        }),
        ..Model::default()
    }
}

fn refused(model: &Model) -> String {
    Import::default().from_bytes(model.encode_to_vec()).expect_err("a bad network").to_string()
}

fn tensor(dims: &[i64], floats: usize) -> Tensor {
    Tensor {
        dims: dims.to_vec(),
        data_type: Some(1),
        name: Some("w".into()),
        float_data: vec![0.5; floats],
        ..Tensor::default()
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let add = || vec![node("Add", &["x", "w"], "y")];
    for (model, words) in [
        (
            model(vec![node("Relu", &["z"], "y")], vec![]),
            &["node 0", "'z'", "missing, or the graph goes in a circle"][..],
        ),
        (model(vec![node("Add", &["x", "b"], "a"), node("Relu", &["a"], "b")], vec![]), &["'b'", "circle"]),
        (model(vec![node("Relu", &["x"], "z")], vec![]), &["y", "nothing gives it"]),
        (model(add(), vec![tensor(&[3], 2)]), &["'w'", "3 values are due, there are 2"]),
        (model(add(), vec![tensor(&[-3], 3)]), &["'w'", "[-3] are impossible"]),
        (model(add(), vec![tensor(&[1 << 40, 1 << 40], 3)]), &["'w'", "more than can be read"]),
        (model(add(), vec![tensor(&[0, 1 << 60], 0)]), &["'w'", "more than can be read"]),
        (model(add(), vec![tensor(&[4], 4)]), &["Add", "broadcast"]),
        (
            model(vec![node("Grelu", &["x"], "y"), node("Frob", &["y"], "z")], vec![]),
            &["2 nodes", "Grelu", "Frob", "no such op"],
        ),
    ] {
        let text = refused(&model);
        assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
    }
    let mut old = model(add(), vec![tensor(&[3], 3)]);
    old.opset_import[0].version = Some(400);
    assert!(refused(&old).contains("opset 400"));
    let mut attribute = model(vec![node("Relu", &["x"], "y")], vec![]);
    let odd = pellucid_onnx::proto::Attribute { name: Some("odd".into()), ..Default::default() };
    attribute.graph.as_mut().expect("a graph").node[0].attribute.push(odd);
    assert!(refused(&attribute).contains("attribute 'odd' is not known"));
}

#[test]
fn values_in_other_files_are_read_from_plain_names_beside_the_model_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let outside = folder.path().join("outside.bin");
    let inside = folder.path().join("models");
    std::fs::create_dir(&inside).expect("a folder");
    let bytes: Vec<u8> = [1.0f32, 2.0, 3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(&outside, &bytes).expect("writes");
    std::fs::write(inside.join("plain.bin"), &bytes).expect("writes");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&outside, inside.join("link.bin")).expect("links");
    let open = |location: &str, offset: &str, length: &str| {
        let entry = |key: &str, value: &str| StringEntry { key: Some(key.into()), value: Some(value.into()) };
        let external = Tensor {
            float_data: vec![],
            data_location: Some(1),
            external_data: vec![entry("location", location), entry("offset", offset), entry("length", length)],
            ..tensor(&[3], 0)
        };
        let path = inside.join("net.onnx");
        let bytes = model(vec![node("Add", &["x", "w"], "y")], vec![external]).encode_to_vec();
        std::fs::write(&path, bytes).expect("writes");
        Import::default().open(Path::new(&path)).map_err(|error| error.to_string())
    };
    let read = open("plain.bin", "0", "12").expect("a plain name");
    assert_eq!(read.parameters.get("w").expect("a parameter")[..3], [1.0, 2.0, 3.0]);
    for (location, offset, length, words) in [
        ("../outside.bin", "0", "12", "only a plain file name"),
        ("/etc/passwd", "0", "12", "only a plain file name"),
        ("..", "0", "12", "only a plain file name"),
        ("", "0", "12", "only a plain file name"),
        #[cfg(unix)]
        ("link.bin", "0", "12", "a link"),
        ("plain.bin", "4", "12", "12 bytes are due"),
        ("plain.bin", "18446744073709551615", "12", "12 bytes are due"),
        ("plain.bin", "0", "8", "12 bytes are due"),
        ("plain.bin", "none", "12", "is no number"),
        ("missing.bin", "0", "12", "missing.bin"),
    ] {
        let error = open(location, offset, length).expect_err("refused");
        assert!(error.contains(words), "{location} {offset} {length}: {error}");
    }
}

#[test]
fn a_file_that_is_cut_or_has_other_bits_gives_an_error_or_a_network_but_no_panic() {
    let graph = nn::network(
        "conv 4 3x3 same relu -> maxpool 2 -> flatten -> dense 5 -> layernorm -> dense",
        &[2, 6, 6],
        Some(3),
    );
    let graph = graph.expect("a network");
    let parameters = Parameters::initialise(&graph, &Device::new(Isa::best(), 1), 1);
    let bytes = export::to_bytes(&graph, &parameters, None, &BTreeMap::new()).expect("a model");
    assert!(Import::default().from_bytes(bytes.clone()).is_ok());
    let whole = |length: &usize| Import::default().from_bytes(bytes[..*length].to_vec()).is_ok();
    // Behind the graph come the versions of its ops.
    let readable = (0..bytes.len()).filter(whole).count();
    assert!(readable < 20, "{readable} beginnings of a file are taken for networks");
    let stream = Stream::new(1, 0);
    for trial in 0..4000 {
        let mut changed = bytes.clone();
        let place = stream.below(2 * trial, changed.len() as u32) as usize;
        changed[place] ^= 1 << stream.below(2 * trial + 1, 8);
        let _ = Import::default().from_bytes(changed);
    }
}
