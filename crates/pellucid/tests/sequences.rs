//! Windows of one sequence: apart, begun elsewhere, or carried from one to the next.

use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::data::text::token_windows;
use pellucid::data::{Dataset, Task};
use pellucid::graph::{Graph, Parameters, PlanOptions, Session};
use pellucid::model::{Model, Preprocessing};
use pellucid::nn::{Link, Loss, NetworkOptions};
use pellucid::ops::OpTable;
use pellucid::train::{BatchSize, Fit, FitOptions, Fitted, Part, Silent, TrainError, Windows, evaluate_windows};

const VOCABULARY: usize = 7;

/// A token follows from the two before it: a network that sees one alone cannot know.
fn tokens(count: usize) -> Vec<u32> {
    let mut tokens = vec![1u32, 3];
    while tokens.len() < count {
        let [.., before, last] = tokens[..] else { unreachable!("two at least") };
        tokens.push((before * 3 + last * 2 + 1) % VOCABULARY as u32);
    }
    tokens
}

fn network(line: &str, window: usize) -> Graph {
    let options = NetworkOptions {
        outputs: Some(VOCABULARY),
        vocabulary: Some(VOCABULARY),
        every_step: true,
        ..NetworkOptions::default()
    };
    options.build(&line.parse().expect("notation"), &[window]).expect("a network").graph
}

fn task() -> Task {
    Task::Tokens { characters: vec![1; VOCABULARY] }
}

fn device(isa: Isa, threads: usize) -> Arc<Device> {
    Arc::new(Device::new(isa, threads))
}

fn train(data: &Dataset, windows: Windows, device: Arc<Device>) -> Result<Fitted, TrainError> {
    let network = network("embedding 6 -> gru 12 -> dense", data.sample_shape[0]);
    let options = FitOptions { epochs: 5, batch_size: BatchSize::Rows(4), seed: 3, windows, ..FitOptions::default() };
    let (loss, task) = (Loss::cross_entropy(), task());
    Fit { device, ..Fit::new(&network, &loss, &task, Part::all(data), &options) }.run(&mut Silent)
}

#[test]
fn windows_that_carry_are_judged_as_longer_ones_are() {
    let tokens = tokens(64 * 8 + 1);
    let line = "embedding 5 -> lstm 9 -> dense";
    let graph = network(line, 8);
    let device = device(Isa::best(), 2);
    let parameters = Parameters::initialise(&graph, &device, 4);
    let scores = |window: usize, windows: Windows| {
        let data = token_windows(&tokens, window).expect("windows");
        let (graph, loss, part) = (network(line, window), Loss::cross_entropy(), Part::all(&data));
        let (report, outputs) =
            evaluate_windows(&graph, &parameters, &loss, &task(), &part, windows, &device).expect("evaluates");
        assert!(outputs.values.is_empty(), "tokens are too many to be kept");
        (outputs.loss, report.scores.get("perplexity").expect("a score"))
    };
    // 64 windows of 8 go in 32 lanes of two: as 32 windows of 16.
    let (carried, whole, apart) =
        (scores(8, Windows::Carried), scores(16, Windows::Shifted), scores(8, Windows::Shifted));
    assert!((carried.0 - whole.0).abs() < 1e-6 && (carried.1 - whole.1).abs() < 1e-5, "{carried:?} {whole:?}");
    assert!((apart.0 - whole.0).abs() > 1e-5, "{apart:?} {whole:?}");
    assert!((whole.1 - libm::exp(whole.0)).abs() < 1e-5, "perplexity is the exponential of the loss: {whole:?}");
}

#[test]
fn every_way_through_the_windows_learns_and_gives_the_same_bits_everywhere() {
    let data = token_windows(&tokens(900), 8).expect("windows");
    let mut weights = Vec::new();
    for windows in [Windows::Apart, Windows::Shifted, Windows::Carried] {
        let fitted = train(&data, windows, device(Isa::best(), 2)).expect("trains");
        let losses: Vec<f64> = fitted.history.epochs.iter().filter_map(|epoch| epoch.train.get("loss")).collect();
        assert!(losses.last() < losses.first(), "{windows:?}: {losses:?}");
        for (isa, threads) in [(Isa::scalar(), 1), (Isa::best(), 3)] {
            let again = train(&data, windows, device(isa, threads)).expect("trains");
            assert_eq!(again.parameters.values(), fitted.parameters.values(), "{windows:?} {threads}");
        }
        weights.push(fitted.parameters.values().to_vec());
    }
    assert!(weights[0] != weights[1] && weights[1] != weights[2] && weights[0] != weights[2]);
}

#[test]
fn windows_need_a_sequence_of_targets() {
    let data = token_windows(&tokens(17), 16).expect("a window");
    let error = train(&data, Windows::Shifted, device(Isa::best(), 1)).expect_err("one window").to_string();
    assert_eq!(error, "windows of one sequence must be two at least; choose shorter ones");
}

#[test]
fn windows_do_not_carry_through_a_layer_that_begins_at_their_end() {
    let graph = Arc::new(network("embedding 5 -> gru 4 both -> dense", 8));
    let device = device(Isa::best(), 1);
    let parameters = Parameters::initialise(&graph, &device, 1);
    let output = graph.outputs()[0];
    let mut session = Session::new(graph, device.clone(), parameters, 0);
    let mut plan = |carries| session.plan(&PlanOptions { batch: 2, outputs: &[output], carries, ..Default::default() });
    assert!(plan(false).is_ok());
    let error = plan(true).expect_err("refused");
    assert!(error.to_string().starts_with("layer 1 goes through time from the last step to the first"), "{error}");

    let data = token_windows(&tokens(200), 8).expect("windows");
    let network = network("embedding 5 -> gru 4 both -> dense", 8);
    let options = FitOptions { windows: Windows::Carried, ..FitOptions::default() };
    let (loss, task) = (Loss::cross_entropy(), task());
    let fit = Fit { device, ..Fit::new(&network, &loss, &task, Part::all(&data), &options) };
    let error = fit.run(&mut Silent).expect_err("refused");
    assert!(error.to_string().contains("from the last step to the first"), "{error}");
}

#[test]
fn models_of_padded_sequences_predict_the_same_bits_when_they_are_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let device = device(Isa::best(), 2);
    for (i, line) in [
        "embedding 6 -> lstm 9 -> last -> dropout 0.2 -> dense",
        "embedding 6 -> 2 * gru 16 both -> last -> dense",
        "embedding 6 -> rnn 8 layers=2 dropout=0.1 -> mean-time -> dense",
        "embedding 8 -> positions learnt -> 2 * transformer 8 heads 2 -> mean-time -> dense",
        "tokens -> 2 * transformer 16 heads 4 causal -> max-time -> dense",
    ]
    .into_iter()
    .enumerate()
    {
        let padding = VOCABULARY as u32 - 1;
        let options = NetworkOptions {
            outputs: Some(3),
            vocabulary: Some(VOCABULARY),
            padding: Some(padding),
            ..NetworkOptions::default()
        };
        let graph = options.build(&line.parse().expect("notation"), &[12]).expect("a network").graph;
        let model = Model {
            network: Some(line.to_string()),
            parameters: Parameters::initialise(&graph, &device, 4),
            graph: Arc::new(graph),
            task: Task::Multiclass { classes: ["a", "b", "c"].map(String::from).to_vec() },
            link: Link::Logits,
            preprocessing: Preprocessing::Numbers,
            training: serde_json::Value::Null,
        };
        let path = folder.path().join(format!("{i}.safetensors"));
        model.save(&path).expect("saved");
        let back = Model::open(&path, &OpTable::standard()).expect("the same file");
        let tokens = tokens(30 * 12);
        let real = |row: usize, step: usize| step == 0 || step < row * 7 % 13;
        let inputs: Vec<f32> = tokens
            .iter()
            .enumerate()
            .map(|(at, token)| if real(at / 12, at % 12) { (token % padding) as f32 } else { padding as f32 })
            .collect();
        let predict = |model: &Model| {
            let mut outputs = vec![0.0; 30 * 3];
            model.predictor(device.clone()).expect("a small network").predict(&inputs, &mut outputs);
            outputs
        };
        let (there, again) = (predict(&model), predict(&back));
        assert_eq!(there, again, "{line}");
        assert_ne!(there[..3], there[3..6], "{line}");
    }
}
