//! Networks of Pellucid as ONNX and back: the same bits; and in onnxruntime, if ONNX_PYTHON names a Python with `onnx` and
//! `onnxruntime`: the same outputs within 10⁻⁴.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use kernels::device::Device;
use kernels::random::Stream;
use kernels::simd::Isa;
use pellucid::graph::{Graph, Parameters, PlanOptions, Session};
use pellucid::nn::{NetworkOptions, READY};
use pellucid_onnx::{Import, export};

/// Networks with the shape of a row, the size of the output, and of how many kinds the tokens are (0 for numbers).
fn networks() -> Vec<(String, Vec<usize>, Option<usize>, usize)> {
    let mut all: Vec<(String, Vec<usize>, Option<usize>, usize)> = [
        ("dense 16 relu -> dropout 0.2 -> dense 8 tanh -> dense", &[7][..], Some(3), 0),
        ("dense 9 gelu -> layernorm -> dense 6 silu -> rmsnorm -> dense 4 mish -> batchnorm -> dense", &[5], Some(2), 0),
        ("residual(dense 5 elu -> dense 5 selu) -> concat(dense 3 softplus, dense 4 hard_swish) -> dense", &[5], Some(1), 0),
        ("conv1d 4 3 pad=1 relu -> maxpool 2 -> conv1d 6 3 stride=2 leaky_relu:0.1 -> global-avgpool -> dense", &[2, 20], Some(3), 0),
        ("conv 6 3x3 pad=1 nobias -> groupnorm 2 relu6 -> avgpool 2 -> conv 6 3x3 groups=6 prelu -> flatten -> dense", &[3, 12, 10], Some(4), 0),
        ("conv-transpose 4 2x2 stride=2 sigmoid -> upsample 2 -> pad 1 reflect -> maxpool 3 -> flatten -> dense", &[2, 5, 4], Some(2), 0),
        ("lstm 6 -> last -> dense", &[9, 3], Some(2), 0),
        ("2 * gru 5 -> last -> dense", &[7, 4], Some(3), 0),
        ("rnn 5 relu both -> mean-time -> dense", &[6, 3], Some(3), 0),
        ("embedding 8 -> lstm 7 both -> max-time -> dense", &[11], Some(3), 12),
        ("embedding 16 -> positions sinusoidal -> transformer 16 heads 4 causal context=9 postnorm -> mean-time -> dense", &[9], Some(12), 12),
        ("tokens -> 2 * transformer 16 heads 2 causal -> last -> dense", &[10], Some(13), 13),
        ("embedding 16 -> transformer 16 heads 2 rotary -> mean-time -> dense", &[8], Some(5), 10),
    ]
    .into_iter()
    .map(|(line, shape, output, tokens)| (line.to_string(), shape.to_vec(), output, tokens))
    .collect();
    all.extend(READY.iter().map(|ready| (ready.name.to_string(), picture(ready.name), Some(10), 0)));
    all
}

fn picture(name: &str) -> Vec<usize> {
    if name.contains("mnist") || name.contains("lenet") { vec![1, 28, 28] } else { vec![3, 32, 32] }
}

fn inputs(graph: &Graph, rows: usize, tokens: usize) -> Vec<f32> {
    let width: usize = graph.shape(graph.inputs()[0].value).dims(rows).iter().product();
    let stream = Stream::new(3, 0);
    let value = |i: usize| match tokens {
        0 => 2.0 * stream.unit_at(i as u64) - 1.0,
        kinds => stream.below(i as u64, kinds as u32) as f32,
    };
    (0..width).map(value).collect()
}

fn outputs(graph: &Graph, parameters: &Parameters, inputs: &[f32], rows: usize) -> Vec<f32> {
    let graph = Arc::new(graph.clone());
    let mut session = Session::new(graph.clone(), Arc::new(Device::new(Isa::best(), 2)), parameters.clone(), 0);
    let plan =
        session.plan(&PlanOptions { batch: rows, outputs: graph.outputs(), ..Default::default() }).expect("a plan");
    session.forward_on(plan, &[inputs]);
    session.value(plan, graph.outputs()[0]).to_vec()
}

/// The network with parameters that are not those of its beginning, statistics included.
fn network(line: &str, shape: &[usize], output: Option<usize>, tokens: usize) -> (Graph, Parameters) {
    let vocabulary = (tokens > 0).then_some(tokens);
    let options =
        NetworkOptions { outputs: output, vocabulary, padding: vocabulary.map(|_| 0), ..NetworkOptions::default() };
    let built = line.parse().map(|network| options.build(&network, shape));
    let graph = match built {
        Ok(Ok(built)) => built.graph,
        Ok(Err(error)) => panic!("{line}: {}", error.render()),
        Err(error) => panic!("{line}: {error}"),
    };
    let mut parameters = Parameters::initialise(&graph, &Device::new(Isa::best(), 1), 5);
    let stream = Stream::new(9, 0);
    for (i, value) in parameters.values_mut().iter_mut().enumerate() {
        *value += 0.2 * (stream.unit_at(i as u64) - 0.5);
    }
    (graph, parameters)
}

#[test]
fn a_network_comes_back_and_gives_the_same_bits() {
    for (line, shape, output, tokens) in networks() {
        let (graph, parameters) = network(&line, &shape, output, tokens);
        let bytes = export::to_bytes(&graph, &parameters, None, &BTreeMap::new())
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let back = Import::default().from_bytes(bytes).unwrap_or_else(|error| panic!("{line}: {error}"));
        let inputs = inputs(&graph, 3, tokens);
        let (before, after) =
            (outputs(&graph, &parameters, &inputs, 3), outputs(&back.graph, &back.parameters, &inputs, 3));
        if let Err(difference) = common::compare(&after, &before, 0.0, 0.0) {
            // Positions, rotation and attention are written as what they consist of, and are rounded otherwise.
            let fine = ["transformer", "positions"].iter().any(|word| line.contains(word));
            let near = common::compare(&after, &before, 1e-5, 1e-5);
            assert!(fine && near.is_ok(), "{line}: {difference}");
        }
    }
}

#[test]
fn onnxruntime_gives_the_same_outputs() {
    let Some(python) = std::env::var_os("ONNX_PYTHON") else {
        eprintln!("SKIPPED: comparison with onnxruntime. ONNX_PYTHON names a Python with onnx and onnxruntime.");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compare.py");
    let write = |name: String, values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(folder.path().join(name), bytes).expect("writes");
    };
    const ROWS: usize = 1000;
    for (number, (line, shape, output, tokens)) in networks().into_iter().enumerate() {
        let (graph, parameters) = network(&line, &shape, output, tokens);
        let rows = if shape.len() == 3 { 64 } else { ROWS };
        let inputs = inputs(&graph, rows, tokens);
        export::save(&folder.path().join(format!("{number}.onnx")), &graph, &parameters, None, &BTreeMap::new())
            .expect("saved");
        write(format!("{number}.output"), &outputs(&graph, &parameters, &inputs, rows));
        write(format!("{number}.input"), &inputs);
        std::fs::write(folder.path().join(format!("{number}.txt")), &line).expect("writes");
    }
    let result = Command::new(python).arg(script).arg(folder.path()).output().expect("Python runs");
    let said = format!("{}{}", String::from_utf8_lossy(&result.stdout), String::from_utf8_lossy(&result.stderr));
    println!("{said}");
    assert!(result.status.success(), "{said}");
}
