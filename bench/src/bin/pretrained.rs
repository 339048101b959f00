//! Networks of others at inference: ONNX files, and encoders of texts in the usual folder.
//!
//! `cargo run --release --bin pretrained -- THREADS FILE.onnx|FOLDER…` prints `network<TAB>batch<TAB>milliseconds<TAB>rows/s`, the
//! best of some seconds; `bench/pretrained.py` does the same with onnxruntime and PyTorch.

use std::path::Path;
use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{Graph, Parameters, PlanOptions, Session, fold_channels};
use pellucid::model::{Encoder, Pooling};
use pellucid::nn::NetworkOptions;
use pellucid_bench::best_time;
use pellucid_onnx::Import;

/// Seconds for each network and batch.
const PATIENCE: f64 = 4.0;
/// Tokens of a text.
const LENGTH: usize = 64;
/// Tokens that are known: as many as the usual English vocabulary has.
const VOCABULARY: usize = 30_522;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let threads = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(2);
    for argument in arguments {
        let path = Path::new(&argument);
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (graph, parameters) = if path.is_dir() { encoder(path)? } else { imported(path)? };
        let (graph, parameters) = match fold_channels(&graph, &parameters) {
            Some((graph, parameters)) => (Arc::new(graph), parameters),
            None => (graph, parameters),
        };
        for batch in if path.is_dir() { [1, 32] } else { [1, 8] } {
            let device = Arc::new(Device::new(Isa::best(), threads));
            let mut session = Session::new(graph.clone(), device, parameters.clone(), 0);
            let outputs = [graph.outputs()[0]];
            let options = PlanOptions { batch, outputs: &outputs, lent_inputs: true, ..PlanOptions::default() };
            let plan = session.plan(&options)?;
            session.pack();
            let width: usize =
                graph.shape(graph.inputs()[0].value).sample().map_or(0, |sample| sample.iter().product());
            let value =
                |i: usize| if path.is_dir() { (1000 + i * 37 % 20_000) as f32 } else { (i % 251) as f32 / 251.0 };
            let input: Vec<f32> = (0..batch * width).map(value).collect();
            let best = best_time(PATIENCE, || session.forward_on(plan, &[&input]));
            println!("{name}\t{batch}\t{:.2}\t{:.1}", 1e3 * best, batch as f64 / best);
        }
    }
    Ok(())
}

fn imported(path: &Path) -> Result<(Arc<Graph>, Parameters), Box<dyn std::error::Error>> {
    let network = Import::default().open(path)?;
    Ok((Arc::new(network.graph), network.parameters))
}

/// The encoder alone, without what makes tokens of texts.
fn encoder(path: &Path) -> Result<(Arc<Graph>, Parameters), Box<dyn std::error::Error>> {
    let mut encoder = Encoder::open(path)?;
    let line = encoder.line(VOCABULARY, Pooling::Mean);
    let options = NetworkOptions {
        vocabulary: Some(VOCABULARY),
        padding: Some(VOCABULARY as u32 - 1),
        ..NetworkOptions::default()
    };
    let graph = options.build(&line.parse()?, &[LENGTH])?.graph;
    let mut parameters = Parameters::zeros(&graph);
    encoder.load(&mut parameters)?;
    Ok((Arc::new(graph), parameters))
}
