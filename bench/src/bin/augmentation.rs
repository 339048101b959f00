//! What augmentation costs: epochs over the same pictures with and without it, in turn.
//!
//! `cargo run --release --bin augmentation -- [--reps N] [--threads N] [--only SUBSTRING]`
//!
//! One line for each network and augmentation on standard output: `network<TAB>augmentation<TAB>seconds of an epoch<TAB>
//! slowdown`, medians; the slowdown is the median of the ratios to the epoch without augmentation just before.

use std::sync::Arc;

use pellucid::data::{Augmentation, Dataset, Features, Task};
use pellucid::nn::{self, Loss};
use pellucid::optim::OptimizerConfig;
use pellucid::train::{BatchSize, Fit, FitOptions, Part, Silent};
use pellucid::{Device, Isa};

const AUGMENTATIONS: [&str; 5] = [
    "flip, crop 4",
    "flip, crop 4, cutout 8",
    "flip, crop 4, brightness 0.2, contrast 0.2, mixup 0.2",
    "rotate 15, scale 0.9..1.1, shear 5, shift 2",
    "rotate 15, scale 0.9..1.1, shift 2, elastic 1.5",
];

struct Settings {
    reps: usize,
    threads: usize,
    only: String,
}

fn settings() -> Settings {
    let mut settings = Settings { reps: 5, threads: 2, only: String::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().expect("every option takes a value");
        match name.as_str() {
            "--reps" => settings.reps = value.parse().expect("a number of repetitions"),
            "--threads" => settings.threads = value.parse().expect("a number of threads"),
            "--only" => settings.only = value,
            _ => panic!("unknown option {name}"),
        }
    }
    settings
}

fn main() {
    let settings = settings();
    let device = Arc::new(Device::new(Isa::best(), settings.threads));
    for (network, shape, batch, rows) in [("mnist-cnn", [1, 28, 28], 64, 6400), ("resnet8", [3, 32, 32], 128, 2560)] {
        let data = pictures(shape, rows);
        for augmentation in
            AUGMENTATIONS.into_iter().filter(|text| format!("{network} {text}").contains(&settings.only))
        {
            let (mut seconds, mut ratios) = (Vec::new(), Vec::new());
            for rep in 0..=settings.reps {
                let without = epoch(&device, &data, network, batch, "none");
                let with = epoch(&device, &data, network, batch, augmentation);
                // The first round only warms up.
                if rep > 0 {
                    seconds.push(with);
                    ratios.push(with / without);
                }
            }
            eprintln!("#   {network}, {augmentation}: {ratios:.4?}");
            let slower = 100.0 * (median(ratios) - 1.0);
            println!("{network}\t{augmentation}\t{:.4}\t{slower:+.1} %", median(seconds));
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Pictures of noise: what they show does not change the time.
fn pictures(shape: [usize; 3], rows: usize) -> Dataset {
    let count = rows * shape.iter().product::<usize>();
    let bytes = (0..count as u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    let features = Features::U8 { bytes, scale: vec![1.0 / 64.0], shift: vec![-2.0] };
    let targets = (0..rows).map(|row| (row % 10) as f32).collect();
    Dataset::new(shape.to_vec(), features, targets, 1, None).expect("pictures")
}

/// Seconds of one epoch of the fit loop.
fn epoch(device: &Arc<Device>, data: &Dataset, network: &str, batch: usize, augmentation: &str) -> f64 {
    let network = nn::network(network, &data.sample_shape, Some(10)).expect("a network");
    let options = FitOptions {
        epochs: 1,
        batch_size: BatchSize::Rows(batch),
        optimizer: OptimizerConfig::parse("sgd:lr=0.001,momentum=0.9").expect("an optimiser"),
        augmentation: Augmentation::parse(augmentation).expect("an augmentation"),
        ..FitOptions::default()
    };
    let task = Task::Multiclass { classes: (0..10).map(|class| class.to_string()).collect() };
    let loss = Loss::cross_entropy();
    let mut fit = Fit::new(&network, &loss, &task, Part::all(data), &options);
    fit.device = device.clone();
    fit.run(&mut Silent).expect("a run").seconds
}
