//! The fit loop on small data: it learns, its bits depend on nothing but data, settings and seed, it can be
//! interrupted anywhere, and it stops when numbers go bad.

use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::data::{Dataset, Features, Task};
use pellucid::graph::{Graph, Parameters, PlanOptions, Session};
use pellucid::model::{CheckpointStore, Predictor};
use pellucid::nn::{self, Loss};
use pellucid::optim::OptimizerConfig;
use pellucid::train::{
    BatchSize, Control, EarlyStopping, EndReason, Event, Fit, FitOptions, Fitted, FrozenFeatures, Part, Silent,
    TrainError, Watcher,
};

/// Three classes of points on the arms of a spiral, a little noisy, always the same.
fn spiral(rows: usize) -> Dataset {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for i in 0..rows {
        let (class, t) = (i % 3, i as f64 / rows as f64);
        let noise = f64::from((i as u32).wrapping_mul(0x9e37_79b9) >> 16) / 65536.0 - 0.5;
        let angle = 4.0 * t + 2.0944 * class as f64 + 0.3 * noise;
        x.extend([(t * libm::cos(angle)) as f32, (t * libm::sin(angle)) as f32]);
        y.push(class as f32);
    }
    Dataset::new(vec![2], Features::F32(x), y, 1, None).expect("rows of two numbers")
}

fn three_classes() -> Task {
    Task::Multiclass { classes: ["a", "b", "c"].map(String::from).to_vec() }
}

fn options(epochs: usize) -> FitOptions {
    FitOptions {
        epochs,
        batch_size: BatchSize::Rows(32),
        optimizer: OptimizerConfig::parse("adam:lr=0.01").expect("an optimiser"),
        seed: 3,
        ..FitOptions::default()
    }
}

fn network() -> Graph {
    nn::network("dense 24 relu -> dropout 0.1 -> dense 16 tanh -> dense", &[2], Some(3)).expect("a network")
}

/// A network that notes running statistics.
fn normalised() -> Graph {
    let text = "dense 24 nobias -> batchnorm relu -> dense 16 -> layernorm tanh -> groupnorm 4 -> batchnorm -> dense";
    nn::network(text, &[2], Some(3)).expect("a network")
}

struct Setup {
    data: Dataset,
    network: Graph,
    task: Task,
    loss: Loss,
    options: FitOptions,
    device: Arc<Device>,
}

impl Setup {
    fn new(epochs: usize) -> Setup {
        let device = Arc::new(Device::new(Isa::best(), 2));
        Setup {
            data: spiral(250),
            network: network(),
            task: three_classes(),
            loss: Loss::cross_entropy(),
            options: options(epochs),
            device,
        }
    }

    fn fit(&self) -> Fit<'_> {
        let (train, validation): (Vec<u32>, Vec<u32>) = (0..250).partition(|row| row % 5 != 0);
        let part = |rows: Vec<u32>| Part { data: &self.data, rows: rows.into() };
        let mut fit = Fit::new(&self.network, &self.loss, &self.task, part(train), &self.options);
        fit.validation = Some(part(validation));
        fit.device = self.device.clone();
        fit
    }

    fn run(&self, watcher: &mut dyn Watcher) -> Fitted {
        self.fit().run(watcher).expect("a run")
    }
}

fn bits(fitted: &Fitted) -> Vec<u32> {
    fitted.parameters.values().iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_spiral_is_learnt() {
    let fitted = Setup::new(60).run(&mut Silent);
    let (first, last) = (&fitted.history.epochs[0], &fitted.history.epochs[59]);
    let accuracy = |scores: &pellucid::metrics::Scores| scores.get("accuracy").expect("a classification");
    assert!(accuracy(last.validation.as_ref().expect("a validation part")) > 0.9, "{last:?}");
    assert!(last.train.get("loss") < first.train.get("loss"));
    assert_eq!((fitted.reason, fitted.kept_epoch, fitted.steps), (EndReason::Epochs, 60, 60 * 7));
}

#[test]
fn threads_and_instruction_sets_change_no_bit() {
    for network in [network(), normalised()] {
        let setup = |device: Arc<Device>| Setup { device, network: network.clone(), ..Setup::new(4) };
        let reference = bits(&setup(Arc::new(Device::new(Isa::best(), 2))).run(&mut Silent));
        for isa in Isa::available() {
            for threads in [1, 2, 3, 8] {
                let fitted = setup(Arc::new(Device::new(isa, threads))).run(&mut Silent);
                assert!(bits(&fitted) == reference, "{isa}, {threads} threads");
            }
        }
    }
}

#[test]
fn running_statistics_are_noted_but_not_trained() {
    let mut setup = Setup { network: normalised(), ..Setup::new(30) };
    setup.options.groups.decoupled_weight_decay = 0.5;
    let fitted = setup.run(&mut Silent);
    let get = |name: &str| fitted.parameters.get(name).expect("a parameter");
    // Of 30 epochs of 7 batches nothing is left of the start, and weight decay would have made them small.
    assert!(get("1.running_mean").iter().any(|mean| mean.abs() > 0.01));
    assert!(get("1.running_var").iter().all(|variance| *variance > 0.0 && (variance - 1.0).abs() > 1e-3));
    // The last one sees values with a variance near 1: those of the group normalisation.
    let last: f32 = get("7.running_var").iter().sum::<f32>() / 16.0;
    assert!((0.2..3.0).contains(&last), "{last}");
    let accuracy = fitted.history.epochs[29].validation.as_ref().and_then(|scores| scores.get("accuracy"));
    assert!(accuracy > Some(0.8), "validation reads the running statistics: {accuracy:?}");
    // Prediction with the normalisation folded into the weights is that of the graph.
    let graph = Arc::new(normalised());
    let mut predictor =
        Predictor::new(graph.clone(), fitted.parameters.clone(), setup.device.clone()).expect("a small network");
    let mut session = Session::new(graph.clone(), setup.device.clone(), fitted.parameters, 0);
    let (input, output) = (graph.inputs()[0].value, graph.outputs()[0]);
    let plan = session.plan(&PlanOptions { batch: 1, outputs: &[output], ..Default::default() }).expect("a plan");
    let row = [0.3, -0.2];
    session.input_mut(plan, input).copy_from_slice(&row);
    session.forward(plan, 0);
    for (folded, plain) in predictor.predict_row(&row).iter().zip(session.value(plan, output)) {
        assert!((folded - plain).abs() <= 1e-4 * (1.0 + plain.abs()), "{folded} {plain}");
    }
}

#[test]
fn another_seed_gives_other_weights() {
    let mut other = Setup::new(2);
    other.options.seed = 4;
    assert_ne!(bits(&other.run(&mut Silent)), bits(&Setup::new(2).run(&mut Silent)));
}

#[test]
fn a_run_that_is_interrupted_anywhere_ends_in_the_same_bits() {
    for network in [network(), normalised()] {
        interrupt_anywhere(Setup { network, ..Setup::new(6) });
    }
}

fn interrupt_anywhere(mut setup: Setup) {
    setup.options.checkpoint_every = Some(3);
    setup.options.restore_best = true;
    setup.options.optimizer = OptimizerConfig::parse("adamw:lr=0.01").expect("an optimiser");
    let whole = setup.run(&mut Silent);
    for stop_at in [1, 3, 4, 7, 8, 20, 33, 41] {
        let (folder, killed) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let mut fit = setup.fit();
        fit.checkpoints = Some(CheckpointStore::open(folder.path()).expect("a store"));
        // What a kill at that step leaves behind; a stop writes a checkpoint of its own.
        let mut watcher = |event: Event| match event {
            Event::Step { step, .. } if step >= stop_at => {
                copy_files(folder.path(), killed.path());
                Control::Stop
            }
            _ => Control::Continue,
        };
        let part = fit.run(&mut watcher).expect("a run");
        assert_eq!(part.reason, EndReason::Watcher);
        let mut store = CheckpointStore::open(killed.path()).expect("a store");
        let mut fit = setup.fit();
        fit.resume = store.load_latest().expect("a readable store").map(|loaded| loaded.checkpoint);
        assert_eq!(fit.resume.is_some(), stop_at > 3, "a checkpoint after step 3");
        fit.checkpoints = Some(store);
        let resumed = fit.run(&mut Silent).expect("a run");
        assert!(bits(&resumed) == bits(&whole), "stopped at step {stop_at}");
        let scores = |fitted: &Fitted| {
            fitted
                .history
                .epochs
                .iter()
                .map(|epoch| (epoch.train.clone(), epoch.validation.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(scores(&resumed), scores(&whole));
        assert_eq!(resumed.kept_epoch, whole.kept_epoch);
    }
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copies");
    }
}

#[test]
fn a_stop_and_the_end_have_a_checkpoint_and_a_pause_spares_the_others() {
    let setup = Setup::new(6);
    let whole = setup.run(&mut Silent);
    let folder = tempfile::tempdir().expect("a folder");
    let run = |stop_at: u64, resume: bool| {
        let mut saved = Vec::new();
        let mut watcher = |event: Event| match event {
            Event::Checkpoint { step, .. } => {
                saved.push(step);
                Control::Continue
            }
            Event::Step { step, .. } if step == stop_at => Control::Stop,
            _ => Control::Continue,
        };
        let mut store = CheckpointStore::open(folder.path()).expect("a store");
        let mut fit = setup.fit();
        if resume {
            fit.resume = store.load_latest().expect("a readable store").map(|loaded| loaded.checkpoint);
        }
        fit.checkpoints = Some(store);
        fit.checkpoint_pause = std::time::Duration::from_secs(3600);
        let fitted = fit.run(&mut watcher).expect("a run");
        (fitted, saved)
    };
    // Batches of 32 of 200 rows: seven steps in an epoch.
    assert_eq!(run(18, false).1, [18]);
    let (resumed, saved) = run(0, true);
    assert_eq!(saved, [42]);
    assert!(bits(&resumed) == bits(&whole));
    let (again, saved) = run(0, true);
    assert_eq!(saved, [0; 0], "nothing is left to do");
    assert!(bits(&again) == bits(&whole));
}

#[test]
fn lbfgs_learns_from_all_rows_at_once_and_goes_on_where_it_was_stopped() {
    let mut setup = Setup::new(60);
    setup.network = nn::network("dense 16 tanh -> dense", &[2], Some(3)).expect("a network");
    setup.options.optimizer = OptimizerConfig::parse("lbfgs").expect("an optimiser");
    setup.options.batch_size = BatchSize::Full;
    let whole = setup.run(&mut Silent);
    let losses: Vec<f64> = whole.history.epochs.iter().map(|epoch| epoch.train.get("loss").expect("a loss")).collect();
    assert!(losses.windows(2).all(|pair| pair[1] <= pair[0] + 1e-6), "the loss never rises: {losses:?}");
    assert!(losses.last() < Some(&0.2), "{losses:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let mut fit = setup.fit();
    fit.checkpoints = Some(CheckpointStore::open(folder.path()).expect("a store"));
    let mut stop = |event: Event| match event {
        Event::Step { step: 23, .. } => Control::Stop,
        _ => Control::Continue,
    };
    fit.run(&mut stop).expect("a run");
    let mut store = CheckpointStore::open(folder.path()).expect("a store");
    let mut fit = setup.fit();
    fit.resume = store.load_latest().expect("a readable store").map(|loaded| loaded.checkpoint);
    assert!(bits(&fit.run(&mut Silent).expect("a run")) == bits(&whole));

    // A line through points is found in a few updates; then the run is over.
    setup.task = Task::Regression {
        targets: vec![pellucid::data::TargetScaling { name: "y".to_string(), mean: 0.0, std: 1.0, log: false }],
    };
    setup.loss = Loss::mse();
    setup.network = nn::network("dense", &[2], Some(1)).expect("a network");
    let line = setup.run(&mut Silent);
    assert_eq!(line.reason, EndReason::Converged);
    assert!(line.history.epochs.len() < 40, "{} updates", line.history.epochs.len());

    setup.options.batch_size = BatchSize::Rows(32);
    let error = setup.fit().run(&mut Silent).unwrap_err().to_string();
    assert!(error.contains("lbfgs needs all rows in every update"), "{error}");
    setup.options.batch_size = BatchSize::Full;
    setup.network = nn::network("dropout 0.1 -> dense", &[2], Some(1)).expect("a network");
    let error = setup.fit().run(&mut Silent).unwrap_err().to_string();
    assert!(error.contains("dropout"), "{error}");
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = Setup::new(1);
    let mut fit = setup.fit();
    fit.checkpoints = Some(CheckpointStore::open(folder.path()).expect("a store"));
    fit.run(&mut Silent).expect("a run");
    let resume = |setup: &Setup| {
        let mut store = CheckpointStore::open(folder.path()).expect("a store");
        let mut fit = setup.fit();
        fit.resume = store.load_latest().expect("a readable store").map(|loaded| loaded.checkpoint);
        fit.run(&mut Silent)
    };
    let mut other = Setup::new(2);
    other.options.seed = 9;
    let error = resume(&other).expect_err("another seed");
    assert!(matches!(error, TrainError::OtherRun { what: "the settings", .. }), "{error}");
    let network = nn::network("dense 8 -> dense", &[2], Some(3)).expect("a network");
    let error = resume(&Setup { network, ..Setup::new(2) }).expect_err("another network");
    assert!(matches!(error, TrainError::OtherRun { what: "the network", .. }), "{error}");
    // More epochs are no other run.
    assert_eq!(resume(&Setup::new(3)).expect("goes on").steps, 21);
}

#[test]
fn a_run_that_gets_no_better_ends_and_keeps_the_best() {
    for network in [network(), normalised()] {
        stop_early(Setup { network, ..Setup::new(200) });
    }
}

fn stop_early(mut setup: Setup) {
    setup.options.early_stopping = Some(EarlyStopping { patience: 5, ..EarlyStopping::default() });
    setup.options.restore_best = true;
    setup.options.optimizer = OptimizerConfig::parse("adam:lr=0.1").expect("an optimiser");
    let fitted = setup.run(&mut Silent);
    assert_eq!(fitted.reason, EndReason::EarlyStopping);
    assert_eq!(fitted.history.epochs.len(), fitted.kept_epoch + 5);
    // The kept parameters are those of that epoch.
    setup.options.epochs = fitted.kept_epoch;
    setup.options.early_stopping = None;
    setup.options.restore_best = false;
    assert_eq!(bits(&setup.run(&mut Silent)), bits(&fitted));
}

#[test]
fn a_metric_that_does_not_exist_is_refused_before_the_first_step() {
    let mut setup = Setup::new(2);
    setup.options.early_stopping = Some(EarlyStopping { monitor: "r2".to_string(), ..EarlyStopping::default() });
    let mut steps = 0;
    let mut watcher = |event: Event| {
        steps += usize::from(matches!(event, Event::Step { .. }));
        Control::Continue
    };
    let error = setup.fit().run(&mut watcher).expect_err("classes have no r2").to_string();
    assert!(error.contains("there is no metric 'r2' to watch; there are: loss, accuracy, "), "{error}");
    assert_eq!(steps, 0);
}

#[test]
fn numbers_that_go_bad_stop_the_run_with_their_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut setup = Setup::new(50);
    setup.network = nn::network("dense 24 relu -> dense 16 relu -> dense", &[2], Some(3)).expect("a network");
    setup.options.optimizer = OptimizerConfig::parse("sgd:lr=1e20").expect("an optimiser");
    setup.options.checkpoint_every = Some(1);
    let mut fit = setup.fit();
    fit.checkpoints = Some(CheckpointStore::open(folder.path()).expect("a store"));
    let error = fit.run(&mut Silent).map(|_| ()).expect_err("such steps lead nowhere");
    let TrainError::NotFinite { step, epoch: 1, layer, .. } = &error else { panic!("{error}") };
    assert!(*step > 1 && !layer.is_empty(), "{error}");
    let loaded = CheckpointStore::open(folder.path()).and_then(|mut store| store.load_latest()).expect("a store");
    let checkpoint = loaded.expect("the last good checkpoint").checkpoint;
    assert_eq!(checkpoint.step, step - 1);
    assert!(checkpoint.tensors["parameters"].data.iter().all(|value| value.is_finite()));
}

#[test]
fn data_that_does_not_fit_is_an_error() {
    let setup = Setup::new(1);
    let narrow = Dataset::new(vec![1], Features::F32(vec![0.0; 4]), vec![0.0; 4], 1, None).expect("rows of one number");
    let fit = |data| Fit::new(&setup.network, &setup.loss, &setup.task, Part::all(data), &setup.options);
    let error = fit(&narrow).run(&mut Silent).expect_err("one number, not two");
    assert!(matches!(error, TrainError::Data { what: "shape of a row", .. }), "{error}");
    let mut nothing = fit(&setup.data);
    nothing.train.rows = vec![].into();
    assert!(matches!(nothing.run(&mut Silent).expect_err("no rows"), TrainError::NoRows));
}

/// The network with the parameters of its first layers frozen.
fn frozen(mut network: Graph, layers: usize) -> Graph {
    let number = |name: &str| name.split('.').next().and_then(|number| number.parse::<usize>().ok());
    network.freeze(true, |name| number(name).is_some_and(|number| number < layers));
    network
}

#[test]
fn frozen_layers_keep_every_bit_their_statistics_too_until_they_thaw() {
    let mut setup = Setup { network: frozen(normalised(), 2), ..Setup::new(4) };
    let initial = Parameters::initialise(&setup.network, &setup.device, setup.options.seed);
    let changed = |fitted: &Fitted| {
        let names = ["0.weight", "1.weight", "1.running_mean", "1.running_var", "3.weight", "7.running_mean"];
        names.map(|name| fitted.parameters.get(name) != initial.get(name))
    };
    assert_eq!(changed(&setup.run(&mut Silent)), [false, false, false, false, true, true]);
    setup.options.thaw = Some(4);
    assert_eq!(changed(&setup.run(&mut Silent)), [false, false, false, false, true, true], "no epoch is left");
    setup.options.thaw = Some(3);
    assert_eq!(changed(&setup.run(&mut Silent)), [true; 6]);
}

#[test]
fn a_run_that_is_interrupted_before_or_after_its_layers_thaw_ends_in_the_same_bits() {
    let mut setup = Setup { network: frozen(normalised(), 5), ..Setup::new(6) };
    setup.options.thaw = Some(3);
    interrupt_anywhere(setup);
}

#[test]
fn features_of_frozen_layers_that_are_computed_once_give_the_bits_of_the_whole_network() {
    let line =
        "dense 24 nobias -> batchnorm relu -> dropout 0.5 -> dense 16 tanh -> dropout 0.2 -> dense 8 relu -> dense";
    let network = nn::network(line, &[2], Some(3)).expect("a network");
    let mut setup = Setup { network: frozen(network, 5), ..Setup::new(5) };
    setup.data.weights = Some((0..250).map(|row| 0.5 + (row % 4) as f32).collect());
    let initial = Parameters::initialise(&setup.network, &setup.device, setup.options.seed);
    let whole = setup.run(&mut Silent);
    let fit = setup.fit();
    let compute = |options: &FitOptions, memory: u64| {
        let parts = (&fit.train, fit.validation.as_ref());
        FrozenFeatures::compute(&setup.network, &initial, parts, options, &setup.device, memory).expect("features")
    };
    let features = compute(&setup.options, 250 * 16 * 4).expect("they fit");
    assert_eq!((features.train.rows(), features.train.width()), (200, 16));
    let mut short = Fit::new(&features.network, &setup.loss, &setup.task, Part::all(&features.train), &setup.options);
    short.validation = features.validation.as_ref().map(Part::all);
    short.device = setup.device.clone();
    short.parameters = Some(initial.clone());
    let short = short.run(&mut Silent).expect("a run");
    assert!(bits(&short) == bits(&whole));
    for (short, whole) in short.history.epochs.iter().zip(&whole.history.epochs) {
        assert_eq!((&short.train, &short.validation), (&whole.train, &whole.validation));
    }
    assert!(compute(&setup.options, 250 * 16 * 4 - 1).is_none(), "a byte too many");
    assert!(compute(&FitOptions { thaw: Some(2), ..setup.options.clone() }, u64::MAX).is_none());
}
