//! The layers against PyTorch's results: output, and gradient of every input and parameter, through the whole graph.

mod golden;

use std::sync::Arc;

use golden::{Case, Golden};
use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{GraphBuilder, Initialise, Parameters, PlanOptions, Role, Session, ValueId};
use pellucid::nn::{Layer, MultiHeadAttention, Recurrent, RecurrentKind};
use pellucid::ops::{
    AdaptiveAveragePool, AveragePool, Backward, BatchNorm, Celu, Conv, ConvTranspose, Dense, Elu, Embedding, Forward,
    Gelu, GeluTanh, GlobalAveragePool, Glu, GroupNorm, HardSigmoid, HardSwish, LayerNorm, LeakyRelu, LogSoftmax,
    MaxPool, Mish, Nonlinearity, Op, Prelu, Reads, Relu, Relu6, RmsNorm, Run, Selu, ShapeError, Sigmoid, Silu, Sizes,
    Softmax, Softplus, Softsign, Tanh,
};
use pellucid::tensor::Shape;

/// The buffers of the case that a layer has here: PyTorch's counter of batches is not one of them.
fn statistics<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a str> {
    case.texts("buffers").into_iter().filter(|name| *name != "num_batches_tracked")
}

/// Adds the layer of the case.
fn add_layer(case: &Case, graph: &mut GraphBuilder, x: ValueId) -> ValueId {
    if case.text("layer") == "multi_head_attention" {
        let causal = *case.setting("causal") == true;
        let layer = MultiHeadAttention { causal, ..MultiHeadAttention::new(case.number("heads") as usize) };
        return graph.scoped("m", |graph| layer.build(graph, x)).expect("a layer");
    }
    if let Some(layer) = recurrent(case) {
        return layer.build(graph, x).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    }
    let mut inputs = vec![x];
    for name in case.texts("params") {
        let role = match (name, case.text("layer")) {
            ("bias", _) => Role::Bias,
            (_, "prelu") => Role::Scale,
            _ => Role::Weight,
        };
        let shape = Shape::fixed(&case.array(name).dims);
        inputs.push(graph.parameter(name, shape, role, Arc::new(GivenLater)).expect("a new name"));
    }
    for name in statistics(case) {
        let shape = Shape::fixed(&case.array(&format!("{name}.before")).dims);
        inputs.push(graph.parameter(name, shape, Role::Statistic, Arc::new(GivenLater)).expect("a new name"));
    }
    let op: Arc<dyn Op> = match case.text("layer") {
        "dense" => Arc::new(Dense),
        "embedding" => Arc::new(Embedding),
        "sigmoid" => Arc::new(Sigmoid),
        "tanh" => Arc::new(Tanh),
        "relu" => Arc::new(Relu),
        "relu6" => Arc::new(Relu6),
        "leaky_relu" => Arc::new(LeakyRelu { negative_slope: case.number("negative_slope") }),
        "elu" => Arc::new(Elu { alpha: case.number("alpha") }),
        "celu" => Arc::new(Celu { alpha: case.number("alpha") }),
        "selu" => Arc::new(Selu),
        "gelu" => Arc::new(Gelu),
        "gelu_tanh" => Arc::new(GeluTanh),
        "silu" => Arc::new(Silu),
        "mish" => Arc::new(Mish),
        "softplus" => Arc::new(Softplus { beta: case.number("beta"), threshold: case.number("threshold") }),
        "softsign" => Arc::new(Softsign),
        "hard_sigmoid" => Arc::new(HardSigmoid),
        "hard_swish" => Arc::new(HardSwish),
        "softmax" if case.setting("axis") == -1 => Arc::new(Softmax),
        "log_softmax" if case.setting("axis") == -1 => Arc::new(LogSoftmax),
        "glu" if case.setting("axis") == -1 => Arc::new(Glu),
        "prelu" => Arc::new(Prelu),
        "batch_norm" => Arc::new(BatchNorm {
            eps: case.number("eps"),
            momentum: case.number("momentum"),
            fixed: *case.field("training") == false,
        }),
        "layer_norm" => Arc::new(LayerNorm { eps: case.number("eps") }),
        "rms_norm" => Arc::new(RmsNorm { eps: case.number("eps") }),
        "group_norm" => Arc::new(GroupNorm { groups: case.number("groups") as usize, eps: case.number("eps") }),
        "conv1d" => Arc::new(conv(case, 1)),
        "conv2d" => Arc::new(conv(case, 2)),
        "conv1d_transpose" => Arc::new(conv_transpose(case, 1)),
        "conv2d_transpose" => Arc::new(conv_transpose(case, 2)),
        "max_pool1d" => Arc::new(max_pool(case, 1)),
        "max_pool2d" => Arc::new(max_pool(case, 2)),
        "avg_pool2d" => Arc::new(average_pool(case)),
        "adaptive_avg_pool2d" => Arc::new(AdaptiveAveragePool { output: sizes(case, "output") }),
        "global_avg_pool2d" => Arc::new(GlobalAveragePool),
        layer => panic!("{}: layer '{layer}' is not known", case.name),
    };
    graph.add_shared(op, &inputs).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

/// The recurrent layer of the case, which makes its parameters itself.
fn recurrent(case: &Case) -> Option<Recurrent> {
    let kind = match case.text("layer") {
        "rnn" if case.setting("nonlinearity") == "relu" => RecurrentKind::Rnn(Nonlinearity::Relu),
        "rnn" => RecurrentKind::Rnn(Nonlinearity::Tanh),
        "lstm" => RecurrentKind::Lstm,
        "gru" => RecurrentKind::Gru,
        _ => return None,
    };
    let layers = case.setting("num_layers").as_u64().unwrap_or(1) as usize;
    let both = *case.setting("bidirectional") == true;
    Some(Recurrent { layers, both, ..Recurrent::new(kind, case.number("hidden") as usize) })
}

/// A setting that is one number for each of `axes` axes, or one that stands for all.
fn each_axis(case: &Case, name: &str, axes: usize) -> Vec<usize> {
    match case.setting(name).as_array() {
        Some(numbers) => numbers.iter().map(|number| number.as_u64().expect("a whole number") as usize).collect(),
        None => vec![case.number(name) as usize; axes],
    }
}

fn conv(case: &Case, axes: usize) -> Conv {
    Conv {
        stride: each_axis(case, "stride", axes),
        padding: each_axis(case, "padding", axes).repeat(2),
        dilation: each_axis(case, "dilation", axes),
        groups: case.number("groups") as usize,
    }
}

fn conv_transpose(case: &Case, axes: usize) -> ConvTranspose {
    let Conv { stride, padding, dilation, groups } = conv(case, axes);
    ConvTranspose { stride, padding, dilation, groups, output_padding: each_axis(case, "output_padding", axes) }
}

fn max_pool(case: &Case, axes: usize) -> MaxPool {
    MaxPool {
        stride: each_axis(case, "stride", axes),
        padding: each_axis(case, "padding", axes),
        ceil_mode: *case.setting("ceil_mode") == true,
        ..MaxPool::new(&each_axis(case, "kernel", axes))
    }
}

fn average_pool(case: &Case) -> AveragePool {
    AveragePool {
        stride: each_axis(case, "stride", 2),
        padding: each_axis(case, "padding", 2),
        count_include_pad: *case.setting("count_include_pad") != false,
        ..AveragePool::new(&each_axis(case, "kernel", 2))
    }
}

/// A setting that is a list of sizes.
fn sizes(case: &Case, name: &str) -> Vec<usize> {
    let list = case.setting(name).as_array().unwrap_or_else(|| panic!("{}: '{name}' is no list", case.name));
    list.iter().map(|size| size.as_u64().expect("a size") as usize).collect()
}

#[test]
fn layers_agree_with_the_reference() {
    let Some(golden) = Golden::load() else { return };
    let devices = [Arc::new(Device::new(Isa::best(), 2)), Arc::new(Device::new(Isa::scalar(), 1))];
    let mut checked = 0;
    for case in golden.cases("layer") {
        let mut graph = GraphBuilder::new();
        let dims = case.array("x").dims;
        let x = graph.input("x", Shape::batched(&dims[1..])).expect("a new name");
        let y = add_layer(&case, &mut graph, x);
        assert_eq!(case.texts("inputs"), ["x"], "{}", case.name);
        let y_dims = case.array("y").dims;
        assert_eq!(graph.shape(y).dims(dims[0]).as_slice(), y_dims, "{}", case.name);
        let dy = graph.input("dy", Shape::batched(&y_dims[1..])).expect("a new name");
        let loss = graph.add(Contraction, &[y, dy]).expect("equal shapes");
        let graph = Arc::new(graph.finish(&[y]));
        // Tokens have no gradient.
        let dx = case.find_array("dx");
        let inputs = if dx.is_some() { &[x][..] } else { &[] };
        for device in &devices {
            for keep_all in [false, true] {
                let mut parameters = Parameters::zeros(&graph);
                for name in case.texts("params") {
                    parameters.get_mut(name).expect("a parameter").copy_from_slice(&case.array(name).data);
                }
                for name in statistics(&case) {
                    let before = case.array(&format!("{name}.before")).data;
                    parameters.get_mut(name).expect("a parameter").copy_from_slice(&before);
                }
                let mut session = Session::new(graph.clone(), device.clone(), parameters, 1);
                let options = PlanOptions {
                    batch: dims[0],
                    outputs: &[y],
                    loss: Some(loss),
                    gradients_of: inputs,
                    keep_all,
                    ..Default::default()
                };
                let plan = session.plan(&options).expect("a plan");
                session.input_mut(plan, x).copy_from_slice(&case.array("x").data);
                session.input_mut(plan, dy).copy_from_slice(&case.array("dy").data);
                session.forward(plan, 0);
                session.backward(plan, 0);
                for name in statistics(&case) {
                    case.assert_array(&format!("{name}.after"), session.parameters().get(name).expect("a parameter"));
                }
                case.assert_array("y", session.value(plan, y));
                if dx.is_some() {
                    case.assert_array("dx", session.gradient(plan, x).expect("a gradient"));
                }
                for (name, parameter) in case.texts("params").iter().zip(graph.parameters()) {
                    let gradient = session.gradient(plan, parameter.value).expect("a gradient");
                    case.assert_array(&format!("d{name}"), gradient);
                }
            }
        }
        checked += 1;
    }
    assert!(checked > 0, "not one case was checked");
}

/// Σ y · dy, whose gradient with respect to y is dy.
#[derive(Debug)]
struct Contraction;

impl Op for Contraction {
    fn name(&self) -> &'static str {
        "Contraction"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        ShapeError::expect_inputs::<2>(inputs).map(|_| Shape::scalar())
    }

    fn reads(&self) -> Reads {
        Reads::inputs(&[1])
    }

    fn differentiable(&self, index: usize) -> bool {
        index == 0
    }

    fn flops(&self, sizes: Sizes) -> u64 {
        2 * sizes.input_elements(0) as u64
    }

    fn forward(&self, _: &Run, pass: Forward) {
        let [y, dy] = [pass.inputs[0].data, pass.inputs[1].data];
        pass.output[0] = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
    }

    fn backward(&self, _: &Run, pass: Backward) {
        let dy = pass.inputs[1].data;
        let Some(dx) = &mut pass.dx[0] else { return };
        dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy * pass.dy[0]);
    }
}

/// The test fills the parameters itself.
#[derive(Debug)]
struct GivenLater;

impl Initialise for GivenLater {
    fn fill(&self, _: &Device, _: u64, _: usize, _: &[usize], _: &mut [f32]) {}
}
