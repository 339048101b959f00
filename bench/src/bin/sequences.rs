//! Training recurrent networks over characters: steps a second, and the share of the FMA peak.
//!
//! `cargo run --release --bin sequences -- [THREADS] [STEPS] [REPETITIONS]`, by default 2, 20, 5; beside it
//! `python bench/sequences.py` for PyTorch's. A step is one of Adam on 32 sequences of 64 characters; lines are
//! `workload<TAB>peer<TAB>median<TAB>unit`.

use std::sync::Arc;
use std::time::Instant;

use pellucid::graph::{Parameters, PlanOptions, Session};
use pellucid::nn::{self, Loss, Summary, SummaryOptions};
use pellucid::optim::{Groups, Optimizer, OptimizerConfig};
use pellucid::train::Problem;
use pellucid::{Device, Isa};
use pellucid_bench::peak;

const BATCH: usize = 32;
const TIME: usize = 64;
const CHARACTERS: usize = 65;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual: usize| arguments.get(at).map_or(usual, |text| text.parse().expect("a number"));
    let (threads, steps, repetitions) = (number(0, 2), number(1, 20), number(2, 5));
    let device = Arc::new(Device::new(Isa::best(), threads));
    let peak = peak(&device);
    for word in ["lstm", "gru", "rnn"] {
        let workload = format!("{word}256_train");
        let line = format!("embedding {CHARACTERS}x64 -> {word} 256 -> dense {CHARACTERS}");
        let network = nn::network(&line, &[TIME], None).expect("a network");
        let summary = Summary::new(&network, &SummaryOptions { batch: BATCH, ..SummaryOptions::default() });
        let problem = Problem::new(&network, &Loss::cross_entropy(), false).expect("a loss on it");
        let parameters = Parameters::initialise(&problem.graph, &device, 1);
        let config = OptimizerConfig::parse("adam").expect("an optimiser");
        let mut optimizer = Optimizer::new(&config, parameters.segments(), &Groups::default()).expect("an optimiser");
        let mut session = Session::new(problem.graph.clone(), device.clone(), parameters, 1);
        let options = PlanOptions { batch: BATCH, loss: Some(problem.loss), ..PlanOptions::default() };
        let plan = session.plan(&options).expect("a plan");
        let text: Vec<f32> = (0..BATCH * TIME).map(|place| (place * place % CHARACTERS) as f32).collect();
        let mut run = |steps: usize| {
            let begun = Instant::now();
            for step in 0..steps as u64 {
                session.input_mut(plan, problem.input).copy_from_slice(&text);
                session.input_mut(plan, problem.target).copy_from_slice(&text);
                session.forward(plan, step);
                session.backward(plan, step);
                let (parameters, gradients) = session.parameters_and_gradients();
                optimizer.update(&device, 1e-3, parameters.values_mut(), gradients);
            }
            begun.elapsed().as_secs_f64() / steps as f64
        };
        run(steps / 4 + 1);
        let mut seconds: Vec<f64> = (0..repetitions.max(1)).map(|_| run(steps)).collect();
        eprintln!("#   {workload} pellucid: {seconds:.5?}");
        seconds.sort_by(f64::total_cmp);
        let step = seconds[seconds.len() / 2];
        // Forward, gradient of the inputs, gradient of the weights.
        let rate = 3.0 * summary.expect("a summary").flops as f64 / step / 1e9;
        println!("{workload}\tpellucid\t{:.0}\ttok/s", (BATCH * TIME) as f64 / step);
        println!(
            "{workload}_rate\tpellucid\t{rate:.0}\tGFLOP/s ({:.0} % of the FMA peak of {peak:.0})",
            100.0 * rate / peak
        );
    }
}
