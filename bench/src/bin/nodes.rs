//! Where a network of others spends its time at inference, node by node.
//!
//! `cargo run --release --bin nodes -- THREADS BATCH FILE.onnx…` prints `milliseconds<TAB>GFLOP/s<TAB>op<TAB>output<TAB>label` for each
//! pass, the least of some seconds, the longest first, and their sum.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{Event, PlanOptions, Session, fold_channels};
use pellucid_onnx::Import;

/// Seconds for each network.
const PATIENCE: f64 = 5.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().and_then(|text| text.parse().ok());
    let (threads, batch) = (number().ok_or("THREADS")?, number().ok_or("BATCH")?);
    for path in arguments {
        profile(Path::new(&path), threads, batch)?;
    }
    Ok(())
}

fn profile(path: &Path, threads: usize, batch: usize) -> Result<(), Box<dyn Error>> {
    let network = Import::default().open(path)?;
    let (graph, parameters) = match fold_channels(&network.graph, &network.parameters) {
        Some(folded) => folded,
        None => (network.graph, network.parameters),
    };
    let graph = Arc::new(graph);
    let mut session = Session::new(graph.clone(), Arc::new(Device::new(Isa::best(), threads)), parameters, 0);
    let plan = session.plan(&PlanOptions { batch, outputs: graph.outputs(), ..PlanOptions::default() })?;
    session.pack();
    let mut least = vec![f64::INFINITY; graph.nodes().len()];
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < PATIENCE {
        let mut last = Instant::now();
        session.forward_observed(plan, 0, |event| {
            if let Event::Forward { node, .. } = event {
                least[node] = least[node].min(last.elapsed().as_secs_f64());
                last = Instant::now();
            }
        });
    }
    let costs = session.plan_of(plan).costs();
    let mut passes: Vec<_> = costs.iter().filter(|cost| least[cost.node].is_finite()).collect();
    passes.sort_by(|a, b| least[b.node].total_cmp(&least[a.node]));
    for cost in &passes {
        let (node, seconds) = (&graph.nodes()[cost.node], least[cost.node]);
        let shape = graph.shape(node.output);
        let rate = cost.flops as f64 / seconds / 1e9;
        println!("{:.3}\t{rate:.1}\t{}\t{shape}\t{}", 1e3 * seconds, node.op.name(), node.label);
    }
    let (time, flops) =
        passes.iter().fold((0.0, 0), |(time, flops), cost| (time + least[cost.node], flops + cost.flops));
    println!("{:.3}\t{:.1}\tall of {}", 1e3 * time, flops as f64 / time / 1e9, path.display());
    Ok(())
}
