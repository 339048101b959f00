//! Padded sequences: batches of similar length give what whole rows give, in less time.

use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::data::{Dataset, Features, Task};
use pellucid::graph::{Graph, Parameters};
use pellucid::model::{CheckpointStore, Predictor};
use pellucid::nn::{Loss, NetworkOptions};
use pellucid::train::{BatchSize, Control, Event, Fit, FitOptions, Fitted, Part, Silent, evaluate};

const VOCABULARY: usize = 9;
const STEPS: usize = 70;
const ROWS: usize = 203;

fn padding() -> u32 {
    VOCABULARY as u32 - 1
}

/// The class is that of the last token but the padding; lengths are from 1 to all steps, most of them short.
fn data() -> Dataset {
    let (mut features, mut targets, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..ROWS {
        let length = if row % 4 == 0 { 1 + row * 31 % STEPS } else { 1 + row * 7 % 20 };
        let token = |step: usize| ((row * 17 + step * 29 + row * step) % (VOCABULARY - 1)) as f32;
        let padded = |step: usize| if step < length { token(step) } else { padding() as f32 };
        features.extend((0..STEPS).map(padded));
        targets.push(token(length - 1) % 3.0);
        lengths.push(length as u32);
    }
    let data = Dataset::new(vec![STEPS], Features::F32(features), targets, 1, None).expect("rows");
    data.padded(lengths).expect("lengths of the rows")
}

fn network(line: &str) -> Graph {
    let options = NetworkOptions {
        outputs: Some(3),
        vocabulary: Some(VOCABULARY),
        padding: Some(padding()),
        ..NetworkOptions::default()
    };
    options.build(&line.parse().expect("notation"), &[STEPS]).expect("a network").graph
}

fn task() -> Task {
    Task::Multiclass { classes: ["a", "b", "c"].map(String::from).to_vec() }
}

fn device(isa: Isa, threads: usize) -> Arc<Device> {
    Arc::new(Device::new(isa, threads))
}

const NETWORKS: [&str; 7] = [
    "embedding 6 -> lstm 9 both layers=2 -> last -> dense",
    "embedding 6 -> gru 17 -> max-time -> dense",
    "embedding 6 -> 2 * gru 8 both -> dropout 0.2 -> mean-time -> dense",
    "embedding 6 -> rnn 20 relu -> layernorm -> dense 5 tanh -> last -> dense",
    "embedding 8 -> positions sinusoidal -> 2 * transformer 8 heads 2 -> mean-time -> dense",
    "tokens -> transformer 16 heads 4 causal -> max-time -> dense",
    "embedding 6 -> residual(dense 6 gelu) -> mean-time -> dense",
];

#[test]
fn rows_cut_to_their_length_have_the_bits_of_whole_rows() {
    let data = data();
    let Features::F32(values) = &data.features else { panic!("numbers") };
    let lengths = data.lengths.as_deref().expect("padded rows");
    for line in NETWORKS {
        let graph = Arc::new(network(line));
        assert_eq!(graph.lengths(), [16, 32, 64, STEPS], "{line}");
        for isa in [Isa::best(), Isa::scalar()] {
            let device = device(isa, 2);
            let parameters = Parameters::initialise(&graph, &device, 5);
            let mut predictor = Predictor::new(graph.clone(), parameters.clone(), device.clone()).expect("small");
            let (mut whole, mut cut) = (vec![0.0; ROWS * 3], vec![0.0; ROWS * 3]);
            predictor.predict(values, &mut whole);
            let fill = |rows: &[u32], inputs: &mut [f32]| data.gather_features(rows, inputs).expect("in memory");
            predictor.predict_padded(lengths, fill, &mut cut);
            assert!(whole == cut, "{line}: predictions");
            assert_ne!(cut[..3], cut[3..6]);
            // In the order of the part, whatever the order in which rows are evaluated.
            let rows: Vec<u32> = (0..ROWS as u32).rev().step_by(2).collect();
            let loss = Loss::cross_entropy();
            let bare = Dataset { lengths: None, ..data.clone() };
            let judge = |data: &Dataset| {
                evaluate(&graph, &parameters, &loss, &task(), &Part::of(data, &rows), &device).expect("scores").1
            };
            let (of_whole, of_cut) = (judge(&bare), judge(&data));
            assert!(of_whole.values == of_cut.values, "{line}: evaluation");
            assert!((of_whole.loss - of_cut.loss).abs() < 1e-6, "{line}");
        }
    }
}

#[test]
fn networks_that_look_at_padding_see_whole_rows() {
    for line in ["embedding 4 -> flatten -> dense", "embedding 4 -> transformer 4 heads 1 -> flatten -> dense"] {
        assert_eq!(network(line).lengths(), [STEPS], "{line}");
    }
    let unmasked = NetworkOptions { outputs: Some(3), vocabulary: Some(VOCABULARY), ..NetworkOptions::default() };
    let lengths =
        |line: &str| unmasked.build(&line.parse().expect("notation"), &[STEPS]).expect("a network").graph.lengths();
    // Without lengths a mean is one of all steps; so is all that comes from the end.
    for line in ["embedding 4 -> mean-time -> dense", "embedding 4 -> gru 3 both -> max-time -> dense"] {
        assert_eq!(lengths(line), [STEPS], "{line}");
    }
}

fn fit<'a>(network: &'a Graph, data: &'a Dataset, loss: &'a Loss, task: &'a Task, options: &'a FitOptions) -> Fit<'a> {
    let rows: Vec<u32> = (0..150).collect();
    let validation = Part { data, rows: (150..ROWS as u32).collect() };
    Fit { validation: Some(validation), ..Fit::new(network, loss, task, Part { data, rows: rows.into() }, options) }
}

fn same(a: &Fitted, b: &Fitted) -> bool {
    let scores = |fitted: &Fitted| {
        let epochs = fitted.history.epochs.iter();
        epochs.map(|epoch| (epoch.train.clone(), epoch.validation.clone())).collect::<Vec<_>>()
    };
    a.parameters.values() == b.parameters.values() && scores(a) == scores(b)
}

#[test]
fn batches_of_similar_length_learn_with_the_same_bits_everywhere_and_after_a_resume_within_an_epoch() {
    let (data, loss, task) = (data(), Loss::cross_entropy(), task());
    let network = network("embedding 6 -> gru 16 both -> dropout 0.1 -> last -> dense");
    let options = FitOptions {
        epochs: 6,
        batch_size: BatchSize::Rows(16),
        seed: 3,
        checkpoint_every: Some(3),
        ..FitOptions::default()
    };
    let run = |device: Arc<Device>| {
        let fit = Fit { device, ..fit(&network, &data, &loss, &task, &options) };
        fit.run(&mut Silent).expect("learns")
    };
    let whole = run(device(Isa::best(), 2));
    assert_eq!(whole.steps, 6 * 150u64.div_ceil(16), "as many steps as of rows of one length");
    let first = whole.history.epochs[0].train.get("loss").expect("a loss");
    let last = whole.history.epochs[5].train.get("loss").expect("a loss");
    assert!(last < first, "{first} to {last}");
    for device in [device(Isa::best(), 1), device(Isa::scalar(), 3)] {
        assert!(same(&run(device), &whole));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let store = || CheckpointStore::open(folder.path()).expect("a store");
    let mut stop = |event: Event| match event {
        Event::Step { step: 14, .. } => Control::Stop,
        _ => Control::Continue,
    };
    let stopped = Fit { checkpoints: Some(store()), ..fit(&network, &data, &loss, &task, &options) };
    stopped.run(&mut stop).expect("stops within the second epoch");
    let loaded = store().load_latest().expect("a store").expect("a checkpoint");
    let resumed = Fit { resume: Some(loaded.checkpoint), ..fit(&network, &data, &loss, &task, &options) };
    assert!(same(&resumed.run(&mut Silent).expect("goes on"), &whole));
}
