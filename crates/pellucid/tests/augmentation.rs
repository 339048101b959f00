//! Training on augmented pictures: the same bits wherever rows come from, on any number of threads, and after an
//! interruption; mixed targets; and what is refused.

use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::data::{Augmentation, ByteRows, Dataset, Features, ReadBytes, ReadError, Task};
use pellucid::graph::Graph;
use pellucid::model::CheckpointStore;
use pellucid::nn::{self, Loss};
use pellucid::optim::OptimizerConfig;
use pellucid::train::{BatchSize, Control, Event, Fit, FitOptions, Fitted, Part, Silent, TrainError};

const SHAPE: [usize; 3] = [2, 9, 11];
const WIDTH: usize = 2 * 9 * 11;
const ROWS: usize = 75;
const SCALE: f32 = 1.0 / 255.0;

const GEOMETRY: &str =
    "flip, crop 2, rotate 20, scale 0.8..1.2, shear 5, shift 1, elastic 0.5, brightness 0.2, contrast 0.2, cutout 3";

/// The pixel `i` of a row: a bright line, upright or lying or both, and something of its own.
fn byte(row: usize, i: usize) -> u8 {
    let (y, x) = (i % 99 / 11, i % 11);
    let lit = [x == 5, y == 4, x == 5 || y == 4][row % 3];
    let noise = ((row * WIDTH + i) as u32).wrapping_mul(0x9e37_79b9) >> 26;
    if lit { 190 + noise as u8 } else { noise as u8 }
}

/// Rows that are made when they are asked for; from `bad` on they cannot be had.
#[derive(Debug)]
struct Made {
    bad: u32,
}

impl ReadBytes for Made {
    fn rows(&self) -> usize {
        ROWS
    }

    fn width(&self) -> usize {
        WIDTH
    }

    fn read(&self, row: u32, out: &mut [u8]) -> Result<(), ReadError> {
        if row >= self.bad {
            return Err(ReadError { place: format!("row {row}"), reason: "it is gone".to_string() });
        }
        for (i, out) in out.iter_mut().enumerate() {
            *out = byte(row as usize, i);
        }
        Ok(())
    }
}

fn dataset(features: Features, weighted: bool) -> Dataset {
    let targets = (0..ROWS).map(|row| (row % 3) as f32).collect();
    let weights = weighted.then(|| (0..ROWS).map(|row| 1.0 + (row % 4) as f32 / 4.0).collect());
    Dataset::new(SHAPE.to_vec(), features, targets, 1, weights).expect("pictures")
}

fn in_memory() -> Features {
    let bytes = (0..ROWS).flat_map(|row| (0..WIDTH).map(move |i| byte(row, i))).collect();
    Features::U8 { bytes, scale: vec![SCALE], shift: vec![-0.2] }
}

fn read(bad: u32) -> Features {
    Features::Read { rows: ByteRows(Arc::new(Made { bad })), scale: vec![SCALE], shift: vec![-0.2] }
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
    fn new(augmentation: &str) -> Setup {
        Setup {
            data: dataset(in_memory(), false),
            network: nn::network("conv 6 3x3 relu -> maxpool 2 -> flatten -> dense", &SHAPE, Some(3))
                .expect("a network"),
            task: Task::Multiclass { classes: ["a", "b", "c"].map(String::from).to_vec() },
            loss: Loss::cross_entropy(),
            options: FitOptions {
                epochs: 3,
                batch_size: BatchSize::Rows(16),
                optimizer: OptimizerConfig::parse("adam:lr=0.01").expect("an optimiser"),
                augmentation: Augmentation::parse(augmentation).expect("an augmentation"),
                seed: 3,
                ..FitOptions::default()
            },
            device: Arc::new(Device::new(Isa::best(), 2)),
        }
    }

    fn fit(&self) -> Fit<'_> {
        let (train, validation): (Vec<u32>, Vec<u32>) = (0..ROWS as u32).partition(|row| row % 5 != 0);
        let part = |rows: Vec<u32>| Part { data: &self.data, rows: rows.into() };
        let mut fit = Fit::new(&self.network, &self.loss, &self.task, part(train), &self.options);
        fit.validation = Some(part(validation));
        fit.device = self.device.clone();
        fit
    }

    fn run(&self) -> Fitted {
        self.fit().run(&mut Silent).expect("a run")
    }
}

fn bits(fitted: &Fitted) -> Vec<u32> {
    fitted.parameters.values().iter().map(|value| value.to_bits()).collect()
}

#[test]
fn threads_instruction_sets_and_where_rows_come_from_change_no_bit() {
    for augmentation in [GEOMETRY.to_string(), "flip, crop 1".to_string(), format!("{GEOMETRY}, mixup 0.4, cutmix 1")] {
        let reference = bits(&Setup::new(&augmentation).run());
        assert_ne!(reference, bits(&Setup::new("none").run()), "{augmentation} does something");
        for isa in Isa::available() {
            for threads in [1, 2, 3, 5] {
                let device = Arc::new(Device::new(isa, threads));
                let fitted = Setup { device, ..Setup::new(&augmentation) }.run();
                assert!(bits(&fitted) == reference, "{augmentation}: {isa}, {threads} threads");
            }
        }
        let streamed = Setup { data: dataset(read(u32::MAX), false), ..Setup::new(&augmentation) };
        assert!(bits(&streamed.run()) == reference, "{augmentation}: rows that are read");
    }
}

#[test]
fn a_run_that_is_interrupted_in_an_epoch_goes_on_with_the_same_pictures() {
    for augmentation in [GEOMETRY, "flip, mixup 0.4, cutmix 1"] {
        let mut setup = Setup::new(augmentation);
        setup.options.checkpoint_every = Some(1);
        let whole = setup.run();
        for stop_at in [1, 3, 4, 6] {
            let folder = tempfile::tempdir().expect("a folder");
            let mut fit = setup.fit();
            fit.checkpoints = Some(CheckpointStore::open(folder.path()).expect("a store"));
            let mut stop = |event: Event| match event {
                Event::Step { step, .. } if step == stop_at => Control::Stop,
                _ => Control::Continue,
            };
            fit.run(&mut stop).expect("a run");
            let resume = |setup: &Setup| {
                let mut store = CheckpointStore::open(folder.path()).expect("a store");
                let mut fit = setup.fit();
                fit.resume = store.load_latest().expect("a readable store").map(|loaded| loaded.checkpoint);
                fit.run(&mut Silent)
            };
            let error = resume(&Setup::new("flip")).expect_err("other pictures");
            assert!(matches!(error, TrainError::OtherRun { what: "the settings", .. }), "{error}");
            let resumed = resume(&setup).expect("a run");
            assert!(bits(&resumed) == bits(&whole), "{augmentation}, stopped at step {stop_at}");
            let scores =
                |fitted: &Fitted| fitted.history.epochs.iter().map(|epoch| epoch.train.clone()).collect::<Vec<_>>();
            assert_eq!(scores(&resumed), scores(&whole));
        }
    }
}

#[test]
fn mixed_targets_are_learnt_and_judged_by_the_class_that_most_is_of() {
    for weighted in [false, true] {
        for augmentation in ["mixup 0.2", "cutmix 0.2, crop 1"] {
            let mut setup = Setup::new(augmentation);
            setup.data = dataset(in_memory(), weighted);
            setup.options.epochs = 60;
            let fitted = setup.run();
            let last = fitted.history.epochs.last().expect("epochs");
            let accuracy = last.train.get("accuracy").expect("classes");
            assert!(accuracy > 0.85, "{augmentation}, {weighted}: {accuracy}");
            let validation = last.validation.as_ref().and_then(|scores| scores.get("accuracy"));
            assert!(validation > Some(0.9), "{augmentation}, {weighted}: {validation:?}");
        }
    }
    // The loss over probabilities that are 0 and 1 is the one over labels, so validation means the same.
    let [plain, mixed] = ["crop 1", "crop 1, mixup 0.001"].map(|text| {
        let mut setup = Setup::new(text);
        (setup.options.epochs, setup.options.optimizer) =
            (1, OptimizerConfig::parse("sgd:lr=0").expect("an optimiser"));
        setup.run().history.epochs[0].validation.as_ref().and_then(|scores| scores.get("loss")).expect("a loss")
    });
    assert!((plain - mixed).abs() < 1e-6 * plain, "{plain} {mixed}");
}

#[test]
fn targets_of_every_task_can_be_mixed() {
    let mut setup = Setup::new("mixup 0.4, cutmix 1");
    setup.data.targets.iter_mut().for_each(|target| *target = target.min(1.0));
    setup.task = Task::Binary { classes: ["no", "yes"].map(String::from) };
    setup.network = nn::network("flatten -> dense 8 relu -> dense", &SHAPE, Some(1)).expect("a network");
    setup.loss = Loss::binary_cross_entropy();
    assert!(setup.run().history.epochs[2].train.get("loss").is_some_and(f64::is_finite));
    setup.loss = Loss::mse();
    assert!(setup.run().history.epochs[2].train.get("loss").is_some_and(f64::is_finite));
    let mut setup = Setup::new("mixup 0.4");
    setup.loss = Loss::parse("cross_entropy_probabilities").expect("a loss");
    setup.network = nn::network("flatten -> dense 8 relu -> dense softmax", &SHAPE, Some(3)).expect("a network");
    assert!(setup.run().history.epochs[2].train.get("loss").is_some_and(f64::is_finite));
    // A label that is no class is noticed as without mixing.
    setup.data.targets[1] = 3.0;
    assert!(matches!(setup.fit().run(&mut Silent), Err(TrainError::NotFinite { .. })));
}

#[test]
fn what_cannot_be_augmented_or_read_is_an_error() {
    let refused = |setup: &Setup| setup.fit().run(&mut Silent).expect_err("it does not fit").to_string();
    let mut setup = Setup::new("flip");
    setup.data.sample_shape = vec![WIDTH];
    let message = refused(&setup);
    assert!(message.contains("augmentation is for pictures") && message.contains("[198]"), "{message}");
    assert!(refused(&Setup::new("crop 9")).contains("the most is 8"));
    let mut setup = Setup::new("flip");
    setup.options.optimizer = OptimizerConfig::parse("lbfgs").expect("an optimiser");
    setup.options.batch_size = BatchSize::Full;
    assert!(refused(&setup).contains("augmentation"));
    for augmentation in ["none", "flip", GEOMETRY, "mixup 1"] {
        let setup = Setup { data: dataset(read(40), false), ..Setup::new(augmentation) };
        assert!(matches!(setup.fit().run(&mut Silent), Err(TrainError::Read(error)) if error.reason == "it is gone"));
    }
}
