//! The workloads that other libraries are measured with, on Pellucid.
//!
//! `cargo run --release --bin workloads -- [--data DIR] [--reps N] [--threads N] [--only SUBSTRING]`
//!
//! One line a workload on standard output, `workload<TAB>peer<TAB>median<TAB>unit`; every repetition on standard error.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use pellucid::data::mnist::{MNIST, Place};
use pellucid::data::{Dataset, Task};
use pellucid::graph::{Parameters, PlanOptions, Session};
use pellucid::model::Predictor;
use pellucid::nn::{self, Loss};
use pellucid::optim::{Groups, Optimizer, OptimizerConfig};
use pellucid::train::{BatchSize, Control, Event, Fit, FitOptions, Part, Problem};
use pellucid::{Device, Isa};

struct Settings {
    data: PathBuf,
    reps: usize,
    threads: usize,
    only: String,
}

fn settings() -> Settings {
    let data = std::env::var_os("PELLUCID_DATA")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")), PathBuf::from);
    let mut settings = Settings { data: data.join("mnist"), reps: 5, threads: 2, only: String::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().expect("every option takes a value");
        match name.as_str() {
            "--data" => settings.data = value.into(),
            "--reps" => settings.reps = value.parse().expect("a number of repetitions"),
            "--threads" => settings.threads = value.parse().expect("a number of threads"),
            "--only" => settings.only = value,
            _ => panic!("unknown option {name}"),
        }
    }
    settings
}

impl Settings {
    fn device(&self) -> Arc<Device> {
        Arc::new(Device::new(Isa::best(), self.threads))
    }

    /// Runs `measure` as often as asked and prints the median.
    fn report(&self, workload: &str, unit: &str, mut measure: impl FnMut() -> f64) {
        if !workload.contains(&self.only) {
            return;
        }
        measure();
        let mut values: Vec<f64> = (0..self.reps).map(|_| measure()).collect();
        eprintln!("#   {workload} pellucid: {values:.5?}");
        values.sort_by(f64::total_cmp);
        println!("{workload}\tpellucid\t{:.6}\t{unit}", values[values.len() / 2]);
    }
}

const MLP: &str = "dense 128 relu -> dense 10";
const CNN: &str =
    "conv 32 3x3 same relu -> maxpool 2 -> conv 64 3x3 same relu -> maxpool 2 -> flatten -> dense 128 relu -> dense 10";

fn main() {
    let settings = settings();
    let digits: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
    let task = Task::Multiclass { classes: digits };
    let loaded = MNIST.load(Place::Folder(&settings.data), &mut |_, _, _| ()).expect("the files of MNIST");
    let mnist = loaded.train;
    for (workload, network, optimizer, batch) in [
        ("mlp128_adam_bs32", MLP, "adam", 32),
        ("mlp128_adam_bs128", MLP, "adam", 128),
        ("mlp128_sgd_bs32", MLP, "sgd:lr=0.1", 32),
        ("mlp512x2_adam_bs128", "dense 512 relu -> dense 512 relu -> dense 10", "adam", 128),
    ] {
        settings.report(workload, "s", || epoch(&settings, Part::all(&mnist), &task, network, optimizer, batch));
    }
    let part: Vec<u32> = (0..12_800).collect();
    settings.report("cnn_adam_bs64_12800", "s", || epoch(&settings, Part::of(&mnist, &part), &task, CNN, "adam", 64));
    settings.report("xor_10000", "s", || xor(&settings));
    settings.report("mlp_infer_b1", "us", || infer(&settings, &mnist, MLP, 1, 200_000));
    settings.report("mlp_infer_b256", "rows/s", || 256e6 / infer(&settings, &mnist, MLP, 256, 800));
    settings.report("cnn_infer_b1", "us", || infer(&settings, &mnist, CNN, 1, 5_000));
    settings.report("cnn_infer_b256", "rows/s", || 256e6 / infer(&settings, &mnist, CNN, 256, 50));
    settings.report("mlp_start_to_first_step", "ms", || start(&settings, &mnist, &task));
}

/// Seconds of one epoch of the fit loop.
fn epoch(settings: &Settings, part: Part, task: &Task, network: &str, optimizer: &str, batch: usize) -> f64 {
    let network = nn::network(network, &part.data.sample_shape, Some(10)).expect("a network");
    let options = FitOptions {
        epochs: 1,
        batch_size: BatchSize::Rows(batch),
        optimizer: OptimizerConfig::parse(optimizer).expect("an optimiser"),
        ..FitOptions::default()
    };
    let loss = Loss::cross_entropy();
    let mut fit = Fit::new(&network, &loss, task, part, &options);
    fit.device = settings.device();
    fit.run(&mut pellucid::train::Silent).expect("a run").seconds
}

/// Seconds of 10,000 steps over all four rows.
fn xor(settings: &Settings) -> f64 {
    let network = nn::network("dense 2 sigmoid -> dense 1 sigmoid", &[2], None).expect("a network");
    let problem = Problem::new(&network, &Loss::mse(), false).expect("a loss on it");
    let device = settings.device();
    let parameters = Parameters::initialise(&problem.graph, &device, 1);
    let config = OptimizerConfig::parse("sgd:lr=0.5").expect("an optimiser");
    let mut optimizer = Optimizer::new(&config, parameters.segments(), &Groups::default()).expect("an optimiser");
    let mut session = Session::new(problem.graph.clone(), device.clone(), parameters, 1);
    let options = PlanOptions { batch: 4, loss: Some(problem.loss), ..Default::default() };
    let plan = session.plan(&options).expect("a plan");
    session.input_mut(plan, problem.input).copy_from_slice(&[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
    session.input_mut(plan, problem.target).copy_from_slice(&[0.0, 1.0, 1.0, 0.0]);
    let begun = Instant::now();
    for step in 0..10_000 {
        session.forward(plan, step);
        session.backward(plan, step);
        let (parameters, gradients) = session.parameters_and_gradients();
        optimizer.update(&device, 0.5, parameters.values_mut(), gradients);
    }
    begun.elapsed().as_secs_f64()
}

/// Microseconds of a call for `batch` rows, of which there are `calls`.
fn infer(settings: &Settings, data: &Dataset, network: &str, batch: usize, calls: usize) -> f64 {
    let network = nn::network(network, &data.sample_shape, Some(10)).expect("a network");
    let device = settings.device();
    let parameters = Parameters::initialise(&network, &device, 1);
    let mut predictor = Predictor::new(Arc::new(network), parameters, device).expect("a predictor");
    let mut inputs = vec![0.0; batch * 784];
    let rows: Vec<u32> = (0..batch as u32).collect();
    data.gather_features(&rows, &mut inputs).expect("in memory");
    let mut outputs = vec![0.0; batch * 10];
    let mut sum = 0.0;
    let mut run = |calls: usize| {
        for _ in 0..calls {
            if batch == 1 {
                sum += predictor.predict_row(&inputs)[0];
            } else {
                predictor.predict(&inputs, &mut outputs);
                sum += outputs[0];
            }
        }
    };
    run(calls / 10);
    let begun = Instant::now();
    run(calls);
    let seconds = begun.elapsed().as_secs_f64();
    assert!(sum.is_finite());
    seconds / calls as f64 * 1e6
}

/// Milliseconds from nothing but loaded data to the end of the first training step.
fn start(settings: &Settings, data: &Dataset, task: &Task) -> f64 {
    let begun = Instant::now();
    let network = nn::network("dense 128 relu -> dense 10", &[784], Some(10)).expect("a network");
    let options = FitOptions {
        epochs: 1,
        batch_size: BatchSize::Rows(32),
        optimizer: OptimizerConfig::parse("adam").expect("an optimiser"),
        ..FitOptions::default()
    };
    let loss = Loss::cross_entropy();
    let mut fit = Fit::new(&network, &loss, task, Part::all(data), &options);
    fit.device = settings.device();
    let mut milliseconds = 0.0;
    let mut watcher = |event: Event| {
        if let Event::Step { .. } = event {
            milliseconds = begun.elapsed().as_secs_f64() * 1e3;
            return Control::Stop;
        }
        Control::Continue
    };
    fit.run(&mut watcher).expect("a run");
    milliseconds
}
