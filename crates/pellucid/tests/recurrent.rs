//! Recurrent layers in the notation: shapes and parameters, printing, mistakes with their place; the ends of sequences, padding,
//! windows that follow each other; a cell unrolled by hand; a network of them that learns.

use std::sync::Arc;

use kernels::device::Device;
use kernels::random;
use kernels::simd::Isa;
use pellucid::graph::{Graph, GraphBuilder, Moment, Parameters, PlanOptions, Role, Session, ValueId};
use pellucid::model::Predictor;
use pellucid::nn::notation::Network;
use pellucid::nn::{Init, Loss, NetworkOptions, Summary, SummaryOptions, network};
use pellucid::ops::{self, Add, Concatenate, Multiply, Reshape, Sigmoid, Slice, Tanh};
use pellucid::optim::{Groups, Optimizer, OptimizerConfig};
use pellucid::tensor::{Purpose, Shape};
use pellucid::train::Problem;

fn built(line: &str, input: &[usize]) -> Graph {
    network(line, input, None).unwrap_or_else(|error| panic!("{line}: {}", error.render()))
}

/// The graph with an input of lengths.
fn padded(line: &str, input: &[usize]) -> Graph {
    let options = NetworkOptions { lengths: true, ..NetworkOptions::default() };
    options.build(&Network::parse(line).expect("a line"), input).expect("a network").graph
}

fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut values = vec![0.0; len];
    random::normal(&Device::new(Isa::scalar(), 1), Purpose::Parameter(0).stream(seed), 0.0, 1.0, &mut values);
    values
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn device() -> Arc<Device> {
    Arc::new(Device::new(Isa::best(), 2))
}

/// The first output for these inputs, in the order of the graph's.
fn output(graph: &Graph, parameters: &Parameters, batch: usize, inputs: &[&[f32]]) -> Vec<f32> {
    let graph = Arc::new(graph.clone());
    let mut session = Session::new(graph.clone(), device(), parameters.clone(), 1);
    let plan = session.plan(&PlanOptions { batch, outputs: graph.outputs(), ..Default::default() }).expect("a plan");
    session.forward_on(plan, inputs);
    session.value(plan, graph.outputs()[0]).to_vec()
}

#[test]
fn shapes_and_parameters_are_those_of_the_layers() {
    for (line, output, names) in [
        ("rnn 8", "[batch, 10, 8]", "0.weight_ih_l0[8, 3] 0.weight_hh_l0[8, 8] 0.bias_ih_l0[8] 0.bias_hh_l0[8]"),
        ("gru 8 nobias", "[batch, 10, 8]", "0.weight_ih_l0[24, 3] 0.weight_hh_l0[24, 8]"),
        (
            "lstm 4 both nobias layers=2",
            "[batch, 10, 8]",
            "0.weight_ih_l0[16, 3] 0.weight_hh_l0[16, 4] 0.weight_ih_l0_reverse[16, 3] 0.weight_hh_l0_reverse[16, 4] \
             0.weight_ih_l1[16, 8] 0.weight_hh_l1[16, 4] 0.weight_ih_l1_reverse[16, 8] 0.weight_hh_l1_reverse[16, 4]",
        ),
        (
            "2 * gru 5 nobias -> last -> dense 2 nobias",
            "[batch, 2]",
            "0.weight_ih_l0[15, 3] 0.weight_hh_l0[15, 5] 1.weight_ih_l0[15, 5] 1.weight_hh_l0[15, 5] 3.weight[2, 5]",
        ),
        ("mean-time", "[batch, 3]", ""),
        ("max-time", "[batch, 3]", ""),
    ] {
        let graph = built(line, &[10, 3]);
        assert_eq!(graph.shape(graph.outputs()[0]).to_string(), output, "{line}");
        let of = graph.parameters().iter().map(|one| format!("{}{}", one.name, graph.shape(one.value)));
        assert_eq!(of.collect::<Vec<String>>().join(" "), names, "{line}");
        let summary = Summary::new(&graph, &SummaryOptions { batch: 4, ..Default::default() }).expect("a plan");
        let parameters: usize =
            graph.parameters().iter().map(|one| graph.shape(one.value).checked_elements(1).expect("small")).sum();
        assert_eq!(summary.parameters, parameters, "{line}");
    }
    let summary = Summary::new(&built("lstm 256", &[64, 64]), &SummaryOptions::default()).expect("a plan");
    assert_eq!(summary.rows.len(), 1);
    assert_eq!(summary.rows[0].description, "lstm 256");
    let sums = 2 * 4 * 256 * (64 + 256) * 64;
    assert!((sums..sums + sums / 20).contains(&summary.flops), "{} {sums}", summary.flops);
}

#[test]
fn parameters_start_as_in_pytorch() {
    let graph = built("lstm 25 both", &[4, 3]);
    let parameters = Parameters::initialise(&graph, &device(), 7);
    for parameter in graph.parameters() {
        let values = parameters.get(&parameter.name).expect("a parameter");
        let most = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        assert!(most <= 0.2 && most > 0.18, "{}: uniform within 1/√25, not {most}", parameter.name);
        assert_eq!(parameter.role == Role::Bias, parameter.name.contains("bias"), "{}", parameter.name);
    }
}

#[test]
fn a_line_comes_back_as_it_was_written() {
    for line in [
        "rnn 64 relu -> last -> dense 3",
        "lstm 25 both layers=2 dropout=0.2 -> mean-time",
        "2 * gru 12 both -> last -> dense 3",
        "gru 8 nobias init=orthogonal -> max-time",
        "lstm 8 init=xavier_uniform bias_init=zeros -> dropout 0.5 -> rnn 4 -> last",
    ] {
        let built =
            NetworkOptions::default().build(&Network::parse(line).expect("a line"), &[5, 2]).expect("a network");
        let printed = built.layers.to_notation().expect("every layer has a word").to_string();
        assert_eq!(printed, line);
    }
    let tanh =
        NetworkOptions::default().build(&Network::parse("rnn 4 tanh").expect("a line"), &[5, 2]).expect("a network");
    assert_eq!(tanh.layers.to_notation().expect("words").to_string(), "rnn 4");
}

#[test]
fn mistakes_are_named_with_advice() {
    for (line, input, texts) in [
        (
            "lstm 8",
            &[20][..],
            &["'lstm' needs sequences [batch, time, features], here is [batch, 20]", "reshape 20x1"][..],
        ),
        ("gru", &[5, 2], &["'gru' needs units, a whole number"]),
        ("gru 8 -> last -> rnn 4", &[5, 2], &["'rnn' needs sequences", "shape here: [batch, 8]"]),
        ("lstm 8 dropout=0.2", &[5, 2], &["stands between its layers, here is one", "-> dropout 0.2"]),
        ("lstm 8 layers=2 dropout=2", &[5, 2], &["dropout of 'lstm' must be from 0 to 1"]),
        ("lstm 8 bth", &[5, 2], &["did you mean 'both'?"]),
        ("lstm 8 layers=0", &[5, 2], &["layers of 'lstm' must be a whole number from 1"]),
        ("lstm 8 relu", &[5, 2], &["'relu'"]),
        ("rnn 8 tanh relu", &[5, 2], &["'rnn' takes one nonlinearity, here are 'tanh' and 'relu'"]),
        ("gru 8 nobias bias_init=zeros", &[5, 2], &["'nobias' leaves nothing"]),
        ("gru 2147483648", &[5, 2], &["has more than"]),
    ] {
        let rendered = network(line, input, None).expect_err(line).render();
        for text in texts {
            assert!(rendered.contains(text), "{rendered}\nlacks {text}");
        }
    }
}

#[test]
fn the_last_step_of_both_directions_is_where_each_ends() {
    let (time, units) = (5, 3);
    let all = built("gru 3 both", &[time, 2]);
    let parameters = Parameters::initialise(&all, &device(), 3);
    let x = values(1, 2 * time * 2);
    let steps = output(&all, &parameters, 2, &[&x]);
    let at = |row: usize, t: usize| &steps[(row * time + t) * 2 * units..][..2 * units];
    for line in ["gru 3 both -> last", "gru 3 both -> dropout 0.3 -> last", "gru 3 both -> identity -> last"] {
        let graph = built(line, &[time, 2]);
        let end = output(&graph, &parameters, 2, &[&x]);
        for (row, end) in end.chunks(2 * units).enumerate() {
            assert_eq!(end[..units], at(row, time - 1)[..units], "{line}: forward");
            assert_eq!(end[units..], at(row, 0)[units..], "{line}: backward");
        }
    }
}

#[test]
fn a_padded_batch_gives_each_row_what_it_gives_alone() {
    for line in [
        "lstm 9 both layers=2 -> last",
        "gru 7 -> mean-time",
        "rnn 17 both -> max-time",
        "rnn 5 relu -> last",
        "gru 6 both",
    ] {
        let (time, lengths) = (6, [3, 6, 1]);
        let graph = padded(line, &[time, 2]);
        let parameters = Parameters::initialise(&graph, &device(), 3);
        let mut x = values(1, lengths.len() * time * 2);
        let together =
            |x: &[f32]| output(&graph, &parameters, lengths.len(), &[x, &lengths.map(|length| length as f32)]);
        let outputs = together(&x);
        for (row, &length) in lengths.iter().enumerate() {
            let alone = built(line, &[length, 2]);
            let expected = output(&alone, &parameters, 1, &[&x[row * time * 2..][..length * 2]]);
            let got = &outputs[row * outputs.len() / lengths.len()..][..expected.len()];
            assert_eq!(bits(got), bits(&expected), "{line}, {length} steps");
            // What stands in the padding does not matter.
            x[(row * time + length) * 2..(row + 1) * time * 2].fill(7.0);
        }
        assert_eq!(bits(&together(&x)), bits(&outputs), "{line}");
    }
}

#[test]
fn the_gradient_of_a_padded_batch_is_that_of_its_rows() {
    let (time, lengths) = (5, [2, 5, 4]);
    let x = values(1, lengths.len() * time * 2);
    let gradients = |graph: &Graph, rows: usize, inputs: &[&[f32]]| -> Vec<f32> {
        let problem = Problem::new(graph, &Loss::sum_of_squares(), false).expect("a loss on it");
        let parameters = Parameters::initialise(&problem.graph, &device(), 3);
        let mut session = Session::new(problem.graph.clone(), device(), parameters, 1);
        let plan =
            session.plan(&PlanOptions { batch: rows, loss: Some(problem.loss), ..Default::default() }).expect("a plan");
        for (input, data) in problem.graph.inputs().to_vec().iter().zip(inputs) {
            session.input_mut(plan, input.value).copy_from_slice(data);
        }
        session.input_mut(plan, problem.target).fill(0.3);
        session.forward(plan, 0);
        session.backward(plan, 0);
        session.gradients().to_vec()
    };
    let line = "lstm 4 both -> gru 3 both -> last -> dense 1";
    let together = gradients(&padded(line, &[time, 2]), lengths.len(), &[&x, &lengths.map(|length| length as f32)]);
    let mut alone = vec![0.0f32; together.len()];
    for (row, &length) in lengths.iter().enumerate() {
        let of_row = gradients(&built(line, &[length, 2]), 1, &[&x[row * time * 2..][..length * 2]]);
        alone.iter_mut().zip(of_row).for_each(|(sum, gradient)| *sum += gradient);
    }
    for (together, alone) in together.iter().zip(&alone) {
        assert!((together - alone).abs() <= 1e-5 * (1.0 + alone.abs()), "{together} {alone}");
    }
}

#[test]
fn windows_that_carry_have_the_bits_of_the_whole() {
    let time = 7;
    for line in ["lstm 5 -> dense 2", "gru 17 layers=2 -> rnn 3"] {
        let graph = Arc::new(built(line, &[time, 2]));
        let parameters = Parameters::initialise(&graph, &device(), 3);
        let x = values(1, 2 * time * 2);
        let whole = output(&graph, &parameters, 2, &[&x]);
        let (input, out) = (graph.inputs()[0].value, graph.outputs()[0]);
        let width = whole.len() / (2 * time);
        let mut session = Session::new(graph, device(), parameters, 1);
        // As in training and as in prediction; the second round shows that no past begins anew.
        for _ in 0..2 {
            let mut past = 0;
            for length in [2, 1, 4] {
                let options = PlanOptions {
                    batch: 2,
                    outputs: &[out],
                    length: Some(length),
                    carries: true,
                    ..Default::default()
                };
                let plan = session.plan(&options).expect("a plan");
                let steps = |values: &[f32], width: usize| -> Vec<f32> {
                    let rows = values.chunks_exact(time * width);
                    rows.flat_map(|row| &row[past * width..(past + length) * width]).copied().collect()
                };
                session.input_mut(plan, input).copy_from_slice(&steps(&x, 2));
                session.forward(plan, Moment { step: 0, past });
                assert_eq!(
                    bits(session.value(plan, out)),
                    bits(&steps(&whole, width)),
                    "{line}: {length} steps after {past}"
                );
                past += length;
            }
        }
    }
}

/// An LSTM from ops on one step at a time, on the parameters of the fused op.
fn unrolled(builder: &mut GraphBuilder, x: ValueId, parameters: &[ValueId; 4], time: usize, units: usize) -> ValueId {
    let [weight_ih, weight_hh, bias_ih, bias_hh] = *parameters;
    let features = builder.shape(x).last().expect("features");
    let mut add = |op: Arc<dyn ops::Op>, inputs: &[ValueId]| builder.add_shared(op, inputs).expect("it fits");
    let (mut state, mut steps): (Option<[ValueId; 2]>, Vec<ValueId>) = (None, Vec::new());
    for t in 0..time {
        let step = add(Arc::new(Slice { axis: 1, start: t, end: t + 1 }), &[x]);
        let step = add(Arc::new(Reshape { shape: vec![features] }), &[step]);
        let of_input = add(Arc::new(ops::Dense), &[step, weight_ih, bias_ih]);
        // Before the first step the state is 0: x - x.
        let h = state.map_or_else(
            || {
                let part = add(Arc::new(Slice { axis: 1, start: 0, end: units }), &[of_input]);
                add(Arc::new(ops::Subtract), &[part, part])
            },
            |[h, _]| h,
        );
        let of_state = add(Arc::new(ops::Dense), &[h, weight_hh, bias_hh]);
        let sums = add(Arc::new(Add), &[of_input, of_state]);
        let mut gate = |number: usize, function: Arc<dyn ops::Op>| {
            let sum = add(Arc::new(Slice { axis: 1, start: number * units, end: (number + 1) * units }), &[sums]);
            add(function, &[sum])
        };
        let [i, f] = [gate(0, Arc::new(Sigmoid)), gate(1, Arc::new(Sigmoid))];
        let [g, o] = [gate(2, Arc::new(Tanh)), gate(3, Arc::new(Sigmoid))];
        let new = add(Arc::new(Multiply), &[i, g]);
        let c = match state {
            Some([_, c]) => {
                let kept = add(Arc::new(Multiply), &[f, c]);
                add(Arc::new(Add), &[kept, new])
            }
            None => new,
        };
        let shown = add(Arc::new(Tanh), &[c]);
        let h = add(Arc::new(Multiply), &[o, shown]);
        state = Some([h, c]);
        steps.push(add(Arc::new(Reshape { shape: vec![1, units] }), &[h]));
    }
    add(Arc::new(Concatenate { axis: 1 }), &steps)
}

#[test]
fn an_lstm_unrolled_by_hand_agrees_with_the_fused_op() {
    let (batch, time, features, units) = (3, 6, 4, 5);
    let mut results: Vec<(Vec<f32>, Vec<f32>, Vec<f32>)> = Vec::new();
    for fused in [true, false] {
        let mut builder = GraphBuilder::new();
        let x = builder.input("x", Shape::batched(&[time, features])).expect("a new name");
        let parameters = [
            ("a", vec![4 * units, features]),
            ("b", vec![4 * units, units]),
            ("c", vec![4 * units]),
            ("d", vec![4 * units]),
        ]
        .map(|(name, dims)| {
            let init = Arc::new(Init::Normal { mean: 0.0, std: 0.4 });
            builder.parameter(name, Shape::fixed(&dims), Role::Weight, init).expect("a new name")
        });
        let y = if fused {
            let inputs: Vec<ValueId> = [x].into_iter().chain(parameters).collect();
            builder.add(ops::Recurrent::<ops::Lstm>::default(), &inputs).expect("it fits")
        } else {
            unrolled(&mut builder, x, &parameters, time, units)
        };
        let dy = builder.input("target", Shape::batched(&[time, units])).expect("a new name");
        let loss =
            builder.add(ops::loss::Elementwise::<ops::loss::SquaredError>::default(), &[y, dy]).expect("it fits");
        let graph = Arc::new(builder.finish(&[y]));
        let start = Parameters::initialise(&graph, &device(), 5);
        let mut session = Session::new(graph.clone(), device(), start, 1);
        let options = PlanOptions { batch, outputs: &[y], loss: Some(loss), gradients_of: &[x], ..Default::default() };
        let plan = session.plan(&options).expect("a plan");
        session.input_mut(plan, x).copy_from_slice(&values(1, batch * time * features));
        session.input_mut(plan, dy).copy_from_slice(&values(2, batch * time * units));
        session.forward(plan, 0);
        session.backward(plan, 0);
        let dx = session.gradient(plan, x).expect("a gradient").to_vec();
        results.push((session.value(plan, y).to_vec(), dx, session.gradients().to_vec()));
    }
    let [(y, dx, gradients), (other_y, other_dx, other_gradients)] = &results[..] else { panic!("two results") };
    for (got, expected) in [(y, other_y), (dx, other_dx), (gradients, other_gradients)] {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() <= 2e-6, "{got} {expected}");
        }
    }
}

#[test]
fn a_recurrent_network_learns_with_the_same_bits_everywhere() {
    // Which of two numbers of a sequence came first.
    let (time, rows) = (8, 32);
    let mut x = vec![0.0; rows * time];
    let mut target = vec![0.0; rows];
    for row in 0..rows {
        let (a, b) = (row % 4, 4 + row / 4 % 4);
        let first_is_one = row % 2 == row / 16;
        x[row * time + a] = if first_is_one { 1.0 } else { -1.0 };
        x[row * time + b] = if first_is_one { -1.0 } else { 1.0 };
        target[row] = f32::from(first_is_one);
    }
    let mut expected: Option<Vec<u32>> = None;
    for device in [Device::new(Isa::best(), 2), Device::new(Isa::scalar(), 1)].map(Arc::new) {
        let graph = built("lstm 12 -> gru 9 both -> last -> dense 2", &[time, 1]);
        let problem = Problem::new(&graph, &Loss::cross_entropy(), false).expect("a loss on it");
        let parameters = Parameters::initialise(&problem.graph, &device, 3);
        let config = OptimizerConfig::parse("adam:lr=0.02").expect("an optimiser");
        let mut optimizer = Optimizer::new(&config, parameters.segments(), &Groups::default()).expect("an optimiser");
        let mut session = Session::new(problem.graph.clone(), device.clone(), parameters, 1);
        let options = PlanOptions { batch: rows, loss: Some(problem.loss), ..Default::default() };
        let plan = session.plan(&options).expect("a plan");
        session.input_mut(plan, problem.input).copy_from_slice(&x);
        session.input_mut(plan, problem.target).copy_from_slice(&target);
        let mut losses = Vec::new();
        for step in 0..60 {
            session.forward(plan, step);
            losses.push(session.value(plan, problem.loss)[0]);
            session.backward(plan, step);
            let (parameters, gradients) = session.parameters_and_gradients();
            assert!(optimizer.update(&device, 0.02, parameters.values_mut(), gradients));
        }
        assert!(losses[0] > 0.6 && losses[59] < 0.05, "{losses:?}");
        let parameters = session.into_parameters();
        let got = bits(parameters.values());
        assert_eq!(*expected.get_or_insert_with(|| got.clone()), got, "the same bits on {device:?}");
        // Packed weights, one row or many: the same classes and bits.
        let mut predictor = Predictor::new(Arc::new(graph), parameters, device).expect("a predictor");
        let mut outputs = vec![0.0; 2 * rows];
        predictor.predict(&x, &mut outputs);
        for (row, (outputs, class)) in outputs.chunks(2).zip(&target).enumerate() {
            assert_eq!(outputs[1] > outputs[0], *class == 1.0, "row {row}");
            assert_eq!(predictor.predict_row(&x[row * time..][..time]), outputs);
        }
    }
}
