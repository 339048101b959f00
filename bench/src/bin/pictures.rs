//! A training step on pictures of CIFAR's size: time, share of the FMA peak, and the memory of the process.
//!
//! `cargo run --release --bin pictures -- [NETWORK] [BATCH] [THREADS] [STEPS]`, by default resnet20, 128, 2, 20; beside it
//! `python bench/pictures.py` for PyTorch's ResNet-20. Lines are `workload<TAB>peer<TAB>value<TAB>unit`.

use std::sync::Arc;

use pellucid::data::{Dataset, Features, Task};
use pellucid::nn::{self, Loss, Summary, SummaryOptions};
use pellucid::optim::OptimizerConfig;
use pellucid::train::{BatchSize, Fit, FitOptions, Part, Silent};
use pellucid::{Device, Isa};
use pellucid_bench::peak;

const SHAPE: [usize; 3] = [3, 32, 32];
const CLASSES: usize = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual: usize| arguments.get(at).map_or(usual, |text| text.parse().expect("a number"));
    let line = arguments.first().map_or("resnet20", String::as_str);
    let (batch, threads, steps) = (number(1, 128), number(2, 2), number(3, 20));
    let device = Arc::new(Device::new(Isa::best(), threads));
    let network = nn::network(line, &SHAPE, Some(CLASSES)).expect("a network");
    let summary = Summary::new(&network, &SummaryOptions { batch, ..SummaryOptions::default() }).expect("a summary");

    let data = noise(batch * steps);
    let task = Task::Multiclass { classes: (0..CLASSES).map(|class| class.to_string()).collect() };
    let options = FitOptions {
        epochs: 1,
        batch_size: BatchSize::Rows(batch),
        optimizer: OptimizerConfig::parse("sgd:lr=0.1,momentum=0.9,nesterov=true").expect("an optimiser"),
        ..FitOptions::default()
    };
    let loss = Loss::cross_entropy();
    let epoch = || {
        let mut fit = Fit::new(&network, &loss, &task, Part::all(&data), &options);
        fit.device = device.clone();
        fit.run(&mut Silent).expect("a run").seconds
    };
    epoch();
    let mut seconds: Vec<f64> = (0..5).map(|_| epoch() / steps as f64).collect();
    eprintln!("#   {line} pellucid: {seconds:.5?}");
    seconds.sort_by(f64::total_cmp);
    let step = seconds[seconds.len() / 2];
    // Forward, gradient of the inputs, gradient of the weights.
    let rate = 3.0 * summary.flops as f64 / step / 1e9;
    let peak = peak(&device);
    println!("{line}_step_b{batch}\tpellucid\t{:.2}\tms", 1e3 * step);
    println!("{line}_images\tpellucid\t{:.0}\timages/s", batch as f64 / step);
    println!("{line}_rate\tpellucid\t{rate:.0}\tGFLOP/s ({:.0} % of the FMA peak of {peak:.0})", 100.0 * rate / peak);
    if let Some(memory) = peak_memory() {
        println!("{line}_peak_memory\tpellucid\t{memory:.0}\tMiB");
    }
}

/// Pictures of nothing: `rows` of them.
fn noise(rows: usize) -> Dataset {
    let width: usize = SHAPE.iter().product();
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let bytes = (0..rows * width).map(|_| next()).collect();
    let targets = (0..rows).map(|row| (row % CLASSES) as f32).collect();
    let features = Features::U8 { bytes, scale: vec![1.0 / 64.0], shift: vec![-2.0] };
    Dataset::new(SHAPE.to_vec(), features, targets, 1, None).expect("consistent")
}

/// The most memory that this process has held, in MiB; where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
