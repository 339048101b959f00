//! What each fuzz target does with bytes: it reads them as a file, then uses what was read. An error is an answer; a panic, a
//! sanitizer's report, more memory than the limit of the run and a hang are not.

#[path = "../../crates/pellucid/tests/weights/archive.rs"]
mod archive;

use std::sync::Arc;

use archive::archive;
use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::data::text::PretrainedTokenizer;
use pellucid::data::{Table, TableOptions, images};
use pellucid::graph::{Graph, Parameters, Plan, PlanOptions, Session};
use pellucid::model::{GraphDocument, Model, Weights};
use pellucid::nn;
use pellucid::ops::OpTable;
use pellucid_onnx::Import;

/// Numbers of parameters and activations of the largest network that is run, and floating point operations of its forward pass.
const MOST_RUN: usize = 1 << 20;

/// A network of ONNX: read, and run on zeros if it is small.
pub fn onnx(bytes: &[u8]) {
    if let Ok(network) = Import::default().from_bytes(bytes.to_vec()) {
        run(network.graph, Some(network.parameters));
    }
}

/// Tensors in the format safetensors.
pub fn safetensors(bytes: &[u8]) {
    weights(bytes.to_vec());
}

/// An array of NumPy; the first byte says whether alone or within an archive, and whether that is packed.
pub fn numpy(bytes: &[u8]) {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    match kind % 3 {
        1 => weights(archive(&[("a.npy", bytes)], true)),
        2 => weights(archive(&[("a.npy", bytes), ("b.npy", bytes)], false)),
        // An array, or an archive as it is.
        _ => weights(bytes.to_vec()),
    }
}

/// A state dictionary of PyTorch; the first byte says whether the bytes are the archive or the pickle in it. Checksums would keep
/// all but the first from the reader of pickles.
pub fn pytorch(bytes: &[u8]) {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    if kind % 4 == 0 {
        return weights(bytes.to_vec());
    }
    let storage: Vec<u8> = (0..=255).collect();
    let storages = ["net/data/0", "net/data/1", "net/data/2", "net/data/3"].map(|name| (name, storage.as_slice()));
    let entries = [&[("net/data.pkl", bytes), ("net/byteorder", b"little"), ("net/version", b"3\n")], &storages[..]];
    weights(archive(&entries.concat(), false));
}

/// A tokenizer of others; behind a zero byte, the text that it is to encode.
pub fn tokenizer(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let Ok(tokenizer) = PretrainedTokenizer::parse(&bytes[..end]) else { return };
    let text = String::from_utf8_lossy(&bytes[(end + 1).min(bytes.len())..]);
    for text in [&*text, "Don't  “pay” 12,5 €: ÄÖ e\u{301} 東京 👩\u{200d}🚀\n"] {
        let vocabulary = tokenizer.vocabulary() as u32;
        assert!(tokenizer.encode(text).iter().all(|id| *id < vocabulary), "an id outside the vocabulary");
    }
    tokenizer.bytes();
}

/// A model file; or its network alone, as JSON, which is run on zeros if it is small.
pub fn model(bytes: &[u8]) {
    let table = OpTable::standard();
    let _ = Model::from_bytes("fuzz", bytes, &table);
    if let Some(document) = serde_json::from_slice::<GraphDocument>(bytes).ok()
        && let Ok(graph) = document.build(&table)
    {
        run(graph, None);
    }
}

/// A picture.
pub fn picture(bytes: &[u8]) {
    let _ = images::decode(bytes);
}

/// A table.
pub fn table(bytes: &[u8]) {
    let _ = Table::from_reader("fuzz", bytes, &TableOptions::default());
}

/// A network in its notation.
pub fn notation(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for shape in [&[6][..], &[3, 8, 8]] {
        if let Ok(graph) = nn::network(text, shape, Some(3)) {
            run(graph, None);
        }
    }
}

fn weights(bytes: Vec<u8>) {
    let Ok(mut weights) = Weights::from_bytes(bytes) else { return };
    for tensor in 0..weights.tensors().len() {
        let count: usize = weights.tensors()[tensor].shape.iter().product();
        if let Ok(values) = weights.read(tensor) {
            assert_eq!(values.len(), count, "{:?}", weights.tensors()[tensor]);
        }
    }
}

/// A forward pass on zeros, two rows at once.
fn run(graph: Graph, parameters: Option<Parameters>) {
    let segments = graph.parameters().iter().map(|parameter| graph.shape(parameter.value));
    let numbers = segments.map(|shape| shape.sample().map_or(usize::MAX, |dims| dims.iter().product()));
    if numbers.fold(0, usize::saturating_add) > MOST_RUN {
        return;
    }
    let graph = Arc::new(graph);
    let device = Arc::new(Device::new(Isa::best(), 1));
    let parameters = parameters.unwrap_or_else(|| Parameters::initialise(&graph, &device, 1));
    let options = PlanOptions { batch: 2, outputs: graph.outputs(), ..PlanOptions::default() };
    let Ok(plan) = Plan::new(&graph, &parameters, &options) else { return };
    let flops = plan.costs().iter().map(|cost| cost.flops as usize).fold(0, usize::saturating_add);
    if plan.arena_bytes() / size_of::<f32>() > MOST_RUN || flops > MOST_RUN {
        return;
    }
    let inputs =
        graph.inputs().iter().map(|input| graph.shape(input.value).checked_elements(2).expect("it was planned"));
    let inputs: Vec<Vec<f32>> = inputs.map(|count| vec![0.0; count]).collect();
    let mut session = Session::new(graph.clone(), device, parameters, 0);
    let plan = session.plan(&options).expect("it was planned before");
    session.forward_on(plan, &inputs.iter().map(Vec::as_slice).collect::<Vec<_>>());
}
