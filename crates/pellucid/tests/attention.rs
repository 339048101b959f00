//! Attention and what is built of it: blocks against PyTorch's, windows that carry, padded batches, the notation.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::data::Task;
use pellucid::graph::{Graph, GraphBuilder, Moment, Parameters, PlanOptions, Session, ValueId};
use pellucid::model::{Model, Preprocessing};
use pellucid::nn::notation::Network;
use pellucid::nn::{Block, BuiltNetwork, Layer, Link, NetworkOptions, Transformer, TransformerDecoder};
use pellucid::ops::OpTable;
use pellucid::ops::loss::{Elementwise, Reduction, SquaredError};
use pellucid::tensor::Shape;

/// Outputs and gradients of PyTorch 2's `nn.TransformerEncoderLayer` and `nn.TransformerDecoderLayer` in f64, causal, with
/// d_model 8, 2 heads, dim_feedforward 16, `gelu`, on `series(0.3)` and, as the memory, `series(1.1)`; the gradients are those
/// of the sum of squared differences from `series(2.0)`.
const REFERENCE: &str = include_str!("transformer.json");

/// sin(0.37 i (1 + 0.01 i) + phase)
fn series(len: usize, phase: f64) -> Vec<f32> {
    (0..len).map(|i| libm::sin(0.37 * i as f64 * (1.0 + 0.01 * i as f64) + phase) as f32).collect()
}

/// Parameter number `index` of PyTorch's module: 0.4 sin(1.7 i + 0.9 index), from value `first` on.
fn fill(index: usize, first: usize, values: &mut [f32]) {
    for (i, value) in values.iter_mut().enumerate() {
        *value = (0.4 * libm::sin(1.7 * (first + i) as f64 + 0.9 * index as f64)) as f32;
    }
}

fn device() -> Arc<Device> {
    Arc::new(Device::new(Isa::best(), 2))
}

fn network(line: &str, options: NetworkOptions, input: &[usize]) -> BuiltNetwork {
    let parsed = Network::parse(line).unwrap_or_else(|error| panic!("{}", error.render()));
    options.build(&parsed, input).unwrap_or_else(|error| panic!("{}", error.render()))
}

/// A language model over 11 tokens.
fn language_model(line: &str, time: usize) -> BuiltNetwork {
    let options = NetworkOptions { outputs: Some(11), every_step: true, vocabulary: Some(11), ..Default::default() };
    network(line, options, &[time])
}

#[test]
fn blocks_agree_with_those_of_pytorch() {
    let reference: BTreeMap<String, BTreeMap<String, Vec<f64>>> = serde_json::from_str(REFERENCE).expect("JSON");
    for (name, expected) in &reference {
        let is_decoder = name.starts_with("decoder");
        let block = Block { mlp: Some(16), postnorm: name.ends_with("postnorm"), ..Block::default() };
        let mut builder = GraphBuilder::new();
        let x = builder.input("x", Shape::batched(&[3, 8])).expect("a name");
        let memory = builder.input("memory", Shape::batched(&[4, 8])).expect("a name");
        let y = if is_decoder {
            TransformerDecoder { block, ..TransformerDecoder::new(2) }.build(&mut builder, x, memory, None)
        } else {
            let mut layer = Transformer { block, ..Transformer::new(8, 2) };
            layer.attention.causal = true;
            layer.build(&mut builder, x)
        };
        let y = y.expect("a block");
        let target = builder.input("target", Shape::batched(&[3, 8])).expect("a name");
        let squares = Elementwise { reduction: Reduction::Sum, ..Elementwise::from(SquaredError {}) };
        let loss = builder.add(squares, &[y, target]).expect("equal shapes");
        let graph = Arc::new(builder.finish(&[y]));
        let mut parameters = Parameters::zeros(&graph);
        // PyTorch has the three projections of the second attention in one.
        let parts = ["q_proj_weight", "kv_proj_weight", "q_proj_bias", "kv_proj_bias"];
        let whole = |name: &str| {
            parts.iter().fold(name.to_string(), |name, part| {
                let stacked = format!("in{}", part.trim_start_matches("kv").trim_start_matches('q'));
                name.replace(&format!("multihead_attn.{part}"), &format!("multihead_attn.{stacked}"))
            })
        };
        let mut numbers: Vec<String> = Vec::new();
        for parameter in graph.parameters() {
            let stacked = whole(&parameter.name);
            if !numbers.contains(&stacked) {
                numbers.push(stacked);
            }
        }
        // Normalisations come last there.
        numbers.sort_by_key(|name| {
            let order = ["self_attn", "multihead_attn", "linear1", "linear2", "norm1", "norm2", "norm3"];
            let part = order.iter().position(|part| name.starts_with(part)).expect("a known part");
            let within = ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias", "weight", "bias"];
            (part, within.iter().position(|part| name.ends_with(part)).expect("a known parameter"))
        });
        for parameter in graph.parameters() {
            let index = numbers.iter().position(|name| *name == whole(&parameter.name)).expect("numbered");
            let first = match parameter.name.rsplit('.').next() {
                Some("kv_proj_weight") => 64,
                Some("kv_proj_bias") => 8,
                _ => 0,
            };
            fill(index, first, parameters.get_mut(&parameter.name).expect("a parameter"));
        }
        let mut session = Session::new(graph, device(), parameters, 1);
        let wanted = if is_decoder { &[x, memory][..] } else { &[x] };
        let options =
            PlanOptions { batch: 2, outputs: &[y], loss: Some(loss), gradients_of: wanted, ..Default::default() };
        let plan = session.plan(&options).expect("a plan");
        session.input_mut(plan, x).copy_from_slice(&series(48, 0.3));
        if is_decoder {
            session.input_mut(plan, memory).copy_from_slice(&series(64, 1.1));
        }
        session.input_mut(plan, target).copy_from_slice(&series(48, 2.0));
        session.forward(plan, 0);
        session.backward(plan, 0);
        assert_close(name, session.value(plan, y), &expected["y"]);
        assert_close(name, session.gradient(plan, x).expect("a gradient"), &expected["dx"]);
        if is_decoder {
            assert_close(name, session.gradient(plan, memory).expect("a gradient"), &expected["dmemory"]);
        }
    }
    assert_eq!(reference.len(), 4);
}

fn assert_close(what: &str, got: &[f32], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let bound = 2e-5 * (1.0 + expected.abs());
        assert!((f64::from(*got) - expected).abs() <= bound, "{what}, value {i}: {got}, expected {expected}");
    }
}

/// What a network gives for these tokens, `rows` of `time`, with `lengths` if it takes them.
fn run(
    session: &mut Session,
    plan: pellucid::graph::PlanId,
    moment: Moment,
    tokens: &[f32],
    output: ValueId,
) -> Vec<f32> {
    let input = session.graph().inputs()[0].value;
    session.input_mut(plan, input).copy_from_slice(tokens);
    session.forward(plan, moment);
    session.value(plan, output).to_vec()
}

fn tokens(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * i + 3 * i) % 11) as f32).collect()
}

fn session_of(graph: &Arc<Graph>) -> Session {
    let mut parameters = Parameters::initialise(graph, &device(), 5);
    // Started as they are, weights of 0.02 would let little of an attention be seen.
    parameters.values_mut().iter_mut().for_each(|value| *value *= 5.0);
    Session::new(graph.clone(), device(), parameters, 1)
}

#[test]
fn a_causal_network_in_windows_that_carry_gives_the_bits_of_the_whole() {
    for line in [
        "tokens -> 2 * transformer 16 heads 2 causal -> dense",
        "embedding 16 -> positions sinusoidal -> transformer 16 heads 4 causal context=9 postnorm -> dense",
        "embedding 16 -> attention heads=2 causal rotary context=100 -> dense",
        "embedding 16 -> 2 * transformer 16 heads 1 causal rotary -> layernorm -> dense",
    ] {
        let (batch, time, width) = (3, 70, 11);
        let graph = Arc::new(language_model(line, time).graph);
        let output = graph.outputs()[0];
        let mut session = session_of(&graph);
        let plan = |session: &mut Session, length: usize| {
            let length = Some(length);
            let options = PlanOptions { batch, outputs: &[output], length, carries: true, ..Default::default() };
            session.plan(&options).expect("a plan")
        };
        let rows: Vec<Vec<f32>> = (0..batch).map(|row| tokens(time + row)[row..].to_vec()).collect();
        let whole_plan = {
            let options = PlanOptions { batch, outputs: &[output], ..Default::default() };
            session.plan(&options).expect("a plan")
        };
        let whole = run(&mut session, whole_plan, Moment::default(), &rows.concat(), output);
        assert!(whole.iter().all(|value| value.is_finite()), "{line}");
        for windows in [&[70][..], &[1; 70], &[64, 6], &[3, 60, 1, 1, 5], &[35, 35]] {
            let mut past = 0;
            for &steps in windows {
                let window = plan(&mut session, steps);
                let part: Vec<f32> = rows.iter().flat_map(|row| row[past..past + steps].to_vec()).collect();
                let got = run(&mut session, window, Moment { step: 0, past }, &part, output);
                for row in 0..batch {
                    let expected = &whole[(row * time + past) * width..][..steps * width];
                    let got = &got[row * steps * width..][..steps * width];
                    let same = got.iter().zip(expected).all(|(got, expected)| got.to_bits() == expected.to_bits());
                    assert!(same, "{line}: windows {windows:?}, {past} steps before, row {row}");
                }
                past += steps;
            }
        }
    }
}

#[test]
fn a_padded_batch_gives_each_row_what_it_gives_alone() {
    for line in
        ["tokens -> 2 * transformer 16 heads 2 -> dense", "tokens -> transformer 16 heads 4 causal postnorm -> dense"]
    {
        let (time, width) = (20, 11);
        let options = NetworkOptions {
            outputs: Some(11),
            every_step: true,
            lengths: true,
            vocabulary: Some(11),
            ..Default::default()
        };
        let graph = Arc::new(network(line, options, &[time]).graph);
        let (output, lengths) = (graph.outputs()[0], graph.input("lengths").expect("an input"));
        let mut session = session_of(&graph);
        let real = [20, 7, 1];
        let plan = session.plan(&PlanOptions { batch: 3, outputs: &[output], ..Default::default() }).expect("a plan");
        session.input_mut(plan, lengths).copy_from_slice(&real.map(|length| length as f32));
        let rows: Vec<f32> = tokens(3 * time);
        let together = run(&mut session, plan, Moment::default(), &rows, output);
        for (row, length) in real.into_iter().enumerate() {
            let options = PlanOptions { batch: 1, outputs: &[output], length: Some(length), ..Default::default() };
            let alone = session.plan(&options).expect("a plan");
            session.input_mut(alone, lengths).copy_from_slice(&[length as f32]);
            let got = run(&mut session, alone, Moment::default(), &rows[row * time..][..length], output);
            assert_eq!(got, together[row * time * width..][..length * width], "{line}: row {row}");
        }
    }
}

#[test]
fn lines_of_transformers_print_as_they_are_read_and_name_their_parameters_as_pytorch() {
    for (line, canonical) in [
        (
            "tokens -> 4 * transformer 16 heads 4 causal -> dense",
            "tokens 11x16 -> 4 * transformer 16 heads 4 causal -> dense 11",
        ),
        (
            "tokens 7x16 context=64 -> (transformer 16 mlp=20 dropout=0.1 postnorm rotary causal heads=2) -> dense",
            "tokens 7x16 context=64 -> transformer 16 heads 2 causal rotary postnorm mlp=20 dropout=0.1 -> dense 11",
        ),
        (
            "embedding 16 -> positions learnt -> attention heads 2 -> transformer 16 heads 2 mlp=64 -> dense",
            "embedding 11x16 -> positions learnt -> attention heads 2 -> transformer 16 heads 2 -> dense 11",
        ),
        (
            "embedding 16 -> positions learnt context=99 -> attention causal context=5 heads=4 -> dense",
            "embedding 11x16 -> positions learnt context=99 -> attention heads 4 causal context=5 -> dense 11",
        ),
        (
            "embedding 16 -> positions sinusoidal -> residual(attention heads=1) -> dense",
            "embedding 11x16 -> positions sinusoidal -> residual(attention heads 1) -> dense 11",
        ),
    ] {
        let built = language_model(line, 30);
        let printed = built.layers.to_notation().expect("every layer has a word").to_string();
        assert_eq!(printed, canonical);
        let again = language_model(canonical, 30);
        assert_eq!(again.layers.to_notation().expect("words").to_string(), canonical);
        let names = |graph: &Graph| -> Vec<String> {
            graph.parameters().iter().map(|parameter| parameter.name.clone()).collect()
        };
        assert_eq!(names(&again.graph), names(&built.graph));
    }
    let graph = language_model("tokens -> transformer 8 heads 2 -> dense", 5).graph;
    let names: Vec<&str> = graph.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
    let expected = [
        "0.embedding.weight",
        "0.positions.weight",
        "1.norm1.weight",
        "1.norm1.bias",
        "1.self_attn.in_proj_weight",
        "1.self_attn.in_proj_bias",
        "1.self_attn.out_proj.weight",
        "1.self_attn.out_proj.bias",
        "1.norm2.weight",
        "1.norm2.bias",
        "1.linear1.weight",
        "1.linear1.bias",
        "1.linear2.weight",
        "1.linear2.bias",
        "2.weight",
        "2.bias",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_transformer_goes_through_its_model_file() {
    let line =
        "tokens -> 2 * transformer 16 heads 4 causal rotary context=9 -> positions sinusoidal -> flatten -> dense";
    let options = NetworkOptions { outputs: Some(3), vocabulary: Some(11), ..Default::default() };
    let BuiltNetwork { layers, graph } = network(line, options, &[12]);
    let graph = Arc::new(graph);
    let parameters = session_of(&graph).into_parameters();
    let classes = ["a", "b", "c"].map(str::to_string).to_vec();
    let model = Model {
        network: layers.to_notation().map(|line| line.to_string()),
        graph,
        parameters,
        task: Task::Multiclass { classes },
        link: Link::Logits,
        preprocessing: Preprocessing::Numbers,
        training: serde_json::Value::Null,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    model.save(&path).expect("saved");
    let read = Model::open(&path, &OpTable::standard()).expect("the same model");
    assert_eq!(read.network, model.network);
    let predict = |model: &Model| model.predictor(device()).expect("a predictor").predict_row(&tokens(12)).to_vec();
    assert_eq!(predict(&read), predict(&model));
    // The line alone makes the same network, the vocabulary being in it.
    let again = network(&model.network.expect("a line"), NetworkOptions::default(), &[12]);
    assert_eq!(again.graph.nodes().len(), model.graph.nodes().len());
    assert_eq!(again.graph.parameters().len(), model.graph.parameters().len());
}

#[test]
fn the_depth_of_a_network_makes_what_blocks_add_smaller() {
    let deviation = |line: &str, name: &str| {
        let graph = language_model(line, 6).graph;
        let parameters = Parameters::initialise(&graph, &device(), 3);
        let values = parameters.get(name).expect("a parameter");
        let squares: f64 = values.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        (squares / values.len() as f64).sqrt()
    };
    let one = "tokens -> transformer 64 heads 4 -> dense";
    let eight = "tokens -> 2 * (4 * transformer 64 heads 4) -> dense";
    for (line, name, expected) in [
        (one, "0.embedding.weight", 0.02),
        (one, "1.linear1.weight", 0.02),
        (one, "1.linear2.weight", 0.02 / 2f64.sqrt()),
        (eight, "8.self_attn.in_proj_weight", 0.02),
        (eight, "8.self_attn.out_proj.weight", 0.005),
        (eight, "3.linear2.weight", 0.005),
    ] {
        let got = deviation(line, name);
        assert!((got / expected - 1.0).abs() < 0.1, "{name} of {line}: {got}, expected {expected}");
    }
}

#[test]
fn mistakes_in_lines_of_transformers_are_told_what_would_be_right() {
    for (line, message, advice) in [
        (
            "tokens 16 -> transformer 16 -> dense",
            "'transformer' needs a number of heads",
            "as in transformer 128 heads 4",
        ),
        ("tokens 16 -> attention -> dense", "'attention' needs a number of heads", "as in attention heads 4"),
        ("tokens 16 -> attention heads -> dense", "'heads' needs a number behind it", "as in heads 4"),
        ("tokens 16 -> attention heads 2 heads=2 -> dense", "'heads' is given twice", ""),
        ("tokens -> dense", "'tokens' needs a width, unless a transformer behind it has one", "as in tokens 128"),
        (
            "tokens 16 -> transformer 32 heads 4 -> dense",
            "a transformer of width 32 needs sequences, [batch, time, 32], not [batch, 30, 16]",
            "write 'transformer 16', or put 'dense 32 ->' before it",
        ),
        ("transformer 16 heads 4 -> dense", "needs sequences", "put 'tokens ->' before it for tokens"),
        (
            "tokens 16 -> transformer 16 heads 3 -> dense",
            "attention of 3 heads needs a width that they divide, but it is 16",
            "",
        ),
        (
            "tokens 16 -> attention heads 2 context=4 -> dense",
            "limits how far 'causal' attention looks back",
            "add 'causal'",
        ),
        (
            "tokens 16 -> positions -> dense",
            "'positions' needs a kind",
            "write 'positions learnt' or 'positions sinusoidal'",
        ),
        ("tokens 16 context=20 -> dense", "time steps: expected at most 20, for which there are positions, got 30", ""),
        (
            "tokens 16 -> attention heads 2 rotary -> transformer 16 heads 16 rotary -> dense",
            "size of a head must be an even number",
            "",
        ),
    ] {
        let options =
            NetworkOptions { outputs: Some(11), every_step: true, vocabulary: Some(11), ..Default::default() };
        let error = options.build(&Network::parse(line).expect("a line"), &[30]).expect_err(line).render();
        assert!(error.contains(message) && error.contains(advice), "{line}: {error}");
    }
}
