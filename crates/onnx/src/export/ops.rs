//! Each op as one node of ONNX, or several that say the same.

use pellucid::graph::{Graph, Node, Parameters, Source, ValueId};
use pellucid::ops::Attributes;
use pellucid::tensor::Shape;

use super::{BOOL, Export, FLOAT, INT32, INT64, Setting, Settings};

/// Why a node cannot be written.
type Written<T> = Result<T, String>;

/// A node that is written.
pub(super) struct At<'a> {
    pub graph: &'a Graph,
    pub parameters: &'a Parameters,
    pub node: &'a Node,
    /// Of all values.
    pub names: &'a [String],
    /// Which parameters are written as they are.
    pub plain: &'a mut [bool],
    pub export: &'a mut Export,
}

/// A setting of the op.
fn number(attributes: &Attributes, name: &str) -> f32 {
    attributes.get(name).and_then(|value| value.as_f64()).unwrap_or_default() as f32
}

fn size(attributes: &Attributes, name: &str) -> i64 {
    attributes.get(name).and_then(|value| value.as_i64()).unwrap_or_default()
}

fn sizes(attributes: &Attributes, name: &str) -> Vec<i64> {
    let list = attributes.get(name).and_then(|value| value.as_array());
    list.into_iter().flatten().filter_map(|value| value.as_i64()).collect()
}

fn flag(attributes: &Attributes, name: &str) -> bool {
    attributes.get(name).and_then(|value| value.as_bool()).unwrap_or_default()
}

fn text<'a>(attributes: &'a Attributes, name: &str) -> &'a str {
    attributes.get(name).and_then(|value| value.as_str()).unwrap_or_default()
}

impl At<'_> {
    fn shape(&self, input: usize) -> &Shape {
        self.graph.shape(self.node.inputs[input])
    }

    /// The sizes of an input behind the batch.
    fn sample(&self, input: usize) -> Written<Vec<i64>> {
        let sample = self.shape(input).sample().ok_or("an input without a batch in front")?;
        Ok(sample.iter().map(|&size| size as i64).collect())
    }

    fn output(&self) -> String {
        self.names[self.node.output.index()].clone()
    }

    /// The values of a parameter with their sizes.
    fn values(&self, value: ValueId) -> Option<(Vec<usize>, Vec<f32>)> {
        let Source::Parameter(index) = self.graph.value(value).source else { return None };
        let segment = &self.parameters.segments()[index];
        Some((segment.dims.to_vec(), self.parameters.values()[segment.range.clone()].to_vec()))
    }

    /// The name of a value; a parameter is written if it was not yet.
    pub fn name(&mut self, value: ValueId) -> String {
        let name = self.names[value.index()].clone();
        if let Some((dims, values)) = self.values(value)
            && !std::mem::replace(&mut self.plain[value.index()], true)
        {
            self.export.floats(&name, &dims, &values);
        }
        name
    }

    fn x(&mut self, input: usize) -> String {
        self.name(self.node.inputs[input])
    }

    /// One node on all inputs.
    fn one(&mut self, op: &str, settings: Settings) {
        let inputs: Vec<String> = (0..self.node.inputs.len()).map(|i| self.x(i)).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let output = self.output();
        self.export.node(op, &inputs, &[&output], settings);
    }

    /// The last node of several.
    fn last(&mut self, op: &str, inputs: &[&str], settings: Settings) {
        let output = self.output();
        self.export.node(op, inputs, &[&output], settings);
    }

    /// A value with these sizes behind the batch as the output.
    fn last_reshape(&mut self, x: &str, sample: &[i64]) {
        let sizes = self.export.ints(&[&[0], sample].concat());
        self.last("Reshape", &[x, &sizes], vec![]);
    }

    pub fn write(&mut self) -> Written<()> {
        use Setting::{Float, Int, Ints, Text};
        let settings = self.node.op.attributes();
        let settings = &settings;
        match self.node.op.name() {
            name @ ("Add" | "Sub" | "Mul" | "Relu" | "Sigmoid" | "Tanh" | "Exp" | "Softsign" | "Selu" | "Mish"
            | "HardSwish" | "Identity" | "GlobalAveragePool" | "GlobalMaxPool" | "MatMul") => self.one(name, vec![]),
            name @ ("Elu" | "Celu") => self.one(name, vec![("alpha", Float(number(settings, "alpha")))]),
            "LeakyRelu" => self.one("LeakyRelu", vec![("alpha", Float(number(settings, "negative_slope")))]),
            "Gelu" => self.one("Gelu", vec![]),
            "GeluTanh" => self.one("Gelu", vec![("approximate", Text("tanh"))]),
            "HardSigmoid" => self.one("HardSigmoid", vec![("alpha", Float(1.0 / 6.0)), ("beta", Float(0.5))]),
            "Softmax" => self.one("Softmax", vec![("axis", Int(-1))]),
            "LogSoftmax" => self.one("LogSoftmax", vec![("axis", Int(-1))]),
            "SpatialDropout" | "StochasticDepth" => self.one("Identity", vec![]),
            "Flatten" => self.one("Flatten", vec![("axis", Int(1))]),
            "Concat" => self.one("Concat", vec![("axis", Int(size(settings, "axis")))]),
            "Transpose" => self.one("Transpose", vec![("perm", Ints(sizes(settings, "order")))]),
            "Softplus" if number(settings, "beta") == 1.0 => self.one("Softplus", vec![]),
            "Softplus" => {
                let (x, beta) = (self.x(0), self.export.number(number(settings, "beta")));
                let scaled = self.export.make("Mul", &[&x, &beta], vec![]);
                let soft = self.export.make("Softplus", &[&scaled], vec![]);
                self.last("Div", &[&soft, &beta], vec![]);
            }
            "Swish" => {
                let x = self.x(0);
                let gate = self.export.make("Sigmoid", &[&x], vec![]);
                self.last("Mul", &[&x, &gate], vec![]);
            }
            "Relu6" => {
                let (x, low, high) = (self.x(0), self.export.number(0.0), self.export.number(6.0));
                self.last("Clip", &[&x, &low, &high], vec![]);
            }
            "Glu" => {
                let (x, half) = (self.x(0), self.shape(0).last().unwrap_or(0) as i64 / 2);
                let [a, b] = [0, half].map(|start| self.export.slice(&x, -1, start, start + half));
                let gate = self.export.make("Sigmoid", &[&b], vec![]);
                self.last("Mul", &[&a, &gate], vec![]);
            }
            "Dropout" => {
                let (x, rate) = (self.x(0), self.export.number(number(settings, "rate")));
                self.last("Dropout", &[&x, &rate], vec![]);
            }
            "PRelu" => {
                let x = self.x(0);
                let (_, slopes) = self.values(self.node.inputs[1]).ok_or("slopes that are computed")?;
                let mut dims = vec![1; self.shape(0).rank() - 1];
                if let Some(channels) = dims.first_mut() {
                    *channels = slopes.len();
                }
                let name = self.names[self.node.inputs[1].index()].clone();
                self.export.floats(&name, &dims, &slopes);
                self.last("PRelu", &[&x, &name], vec![]);
            }
            "Slice" => {
                let x = self.x(0);
                let bounds = ["start", "end", "axis"].map(|name| self.export.ints(&[size(settings, name)]));
                self.last("Slice", &[&x, &bounds[0], &bounds[1], &bounds[2]], vec![]);
            }
            "Reshape" => {
                let x = self.x(0);
                self.last_reshape(&x, &sizes(settings, "shape"));
            }
            "Gemm" => self.dense(),
            "Embedding" => {
                let (tokens, table) = (self.x(0), self.x(1));
                let tokens = self.export.cast(&tokens, INT64);
                self.last("Gather", &[&table, &tokens], vec![("axis", Int(0))]);
            }
            "Conv" | "ConvTranspose" => {
                let mut own = vec![
                    ("strides", Ints(sizes(settings, "stride"))),
                    ("pads", Ints(sizes(settings, "padding"))),
                    ("dilations", Ints(sizes(settings, "dilation"))),
                    ("group", Int(size(settings, "groups"))),
                ];
                if self.node.op.name() == "ConvTranspose" {
                    own.push(("output_padding", Ints(sizes(settings, "output_padding"))));
                }
                self.one(self.node.op.name(), own);
            }
            "BatchNormalization" => {
                let momentum = 1.0 - number(settings, "momentum");
                self.one(
                    "BatchNormalization",
                    vec![("epsilon", Float(number(settings, "eps"))), ("momentum", Float(momentum))],
                );
            }
            "LayerNormalization" | "RMSNormalization" => {
                let axis = -(self.shape(1).rank() as i64);
                self.one(self.node.op.name(), vec![("epsilon", Float(number(settings, "eps"))), ("axis", Int(axis))]);
            }
            "GroupNormalization" => {
                let groups = size(settings, "groups");
                self.one(
                    "GroupNormalization",
                    vec![("epsilon", Float(number(settings, "eps"))), ("num_groups", Int(groups))],
                );
            }
            "MaxPool" | "AveragePool" => {
                let padding = sizes(settings, "padding");
                let mut own = vec![
                    ("kernel_shape", Ints(sizes(settings, "kernel"))),
                    ("strides", Ints(sizes(settings, "stride"))),
                    ("pads", Ints([&padding[..], &padding].concat())),
                    ("ceil_mode", Int(i64::from(flag(settings, "ceil_mode")))),
                ];
                if self.node.op.name() == "MaxPool" {
                    own.push(("dilations", Ints(sizes(settings, "dilation"))));
                } else {
                    own.push(("count_include_pad", Int(i64::from(flag(settings, "count_include_pad")))));
                }
                self.one(self.node.op.name(), own);
            }
            name @ ("AdaptiveAveragePool" | "AdaptiveMaxPool") => {
                let (input, output) = (self.sample(0)?[1..].to_vec(), sizes(settings, "output"));
                if input.iter().zip(&output).any(|(input, output)| input % output != 0) {
                    return Err(format!(
                        "{name} of {input:?} to {output:?}, which are no whole parts; ONNX has windows of one size"
                    ));
                }
                let kernel: Vec<i64> = input.iter().zip(&output).map(|(input, output)| input / output).collect();
                let op = if name == "AdaptiveMaxPool" { "MaxPool" } else { "AveragePool" };
                self.one(op, vec![("kernel_shape", Ints(kernel.clone())), ("strides", Ints(kernel))]);
            }
            "Pad" => {
                let x = self.x(0);
                let (before, after) = (sizes(settings, "before"), sizes(settings, "after"));
                let pads = self.export.ints(&[&[0, 0], &before[..], &[0, 0], &after].concat());
                let value = self.export.number(number(settings, "value"));
                let mode = match text(settings, "mode") {
                    "reflect" => "reflect",
                    "replicate" => "edge",
                    _ => "constant",
                };
                self.last("Pad", &[&x, &pads, &value], vec![("mode", Text(mode))]);
            }
            "Upsample" => {
                let x = self.x(0);
                let factors: Vec<f32> = sizes(settings, "factor").iter().map(|&factor| factor as f32).collect();
                let scales = self.export.constant(&[factors.len() + 2], &[&[1.0, 1.0], &factors[..]].concat());
                let own = match text(settings, "mode") {
                    "linear" => vec![("mode", Text("linear")), ("coordinate_transformation_mode", Text("half_pixel"))],
                    _ => vec![
                        ("mode", Text("nearest")),
                        ("coordinate_transformation_mode", Text("asymmetric")),
                        ("nearest_mode", Text("floor")),
                    ],
                };
                self.last("Resize", &[&x, "", &scales], own);
            }
            "ReduceMean" | "ReduceSum" => {
                let (x, axes) = (self.x(0), self.export.ints(&[-1]));
                self.last(self.node.op.name(), &[&x, &axes], vec![("keepdims", Int(0))]);
            }
            "LSTM" | "GRU" | "RNN" => self.recurrent(settings)?,
            "LastStep" | "MeanOverTime" | "MaxOverTime" => self.over_time(flag(settings, "lengths"))?,
            "SequenceLengths" => self.lengths(size(settings, "padding") as f32)?,
            "LearntPositions" => {
                let (x, table) = (self.x(0), self.x(1));
                let steps = self.export.slice(&table, 0, 0, self.sample(0)?[0]);
                self.last("Add", &[&x, &steps], vec![]);
            }
            "SinusoidalPositions" => {
                let (x, sample) = (self.x(0), self.sample(0)?);
                let (time, width) = (sample[0] as usize, sample[1] as usize);
                let value = |i: usize| {
                    let (step, place) = (i / width, i % width);
                    let angle = step as f64 * libm::pow(1e4, -((place / 2 * 2) as f64) / width as f64);
                    (if place % 2 == 0 { libm::sin(angle) } else { libm::cos(angle) }) as f32
                };
                let pattern: Vec<f32> = (0..time * width).map(value).collect();
                let pattern = self.export.constant(&[time, width], &pattern);
                self.last("Add", &[&x, &pattern], vec![]);
            }
            "RotaryEmbedding" => self.rotary(settings)?,
            "Attention" => self.attention(settings)?,
            "Elementwise" => match text(settings, "function") {
                "Truncate" => {
                    let x = self.x(0);
                    let whole = self.export.cast(&x, INT64);
                    self.last("Cast", &[&whole], vec![("to", Int(FLOAT))]);
                }
                function => {
                    let function = function.to_string();
                    self.one(&function, vec![]);
                }
            },
            "Arithmetic" => self.arithmetic(text(settings, "operation"))?,
            "Where" => {
                let [c, a, b] = [0, 1, 2].map(|i| self.x(i));
                let c = self.export.cast(&c, BOOL);
                self.last("Where", &[&c, &a, &b], vec![]);
            }
            "Take" => self.take(settings)?,
            "Reduce" => self.reduce(settings)?,
            "Lookup" => {
                let (x, indices) = (self.x(0), self.x(1));
                let indices = self.export.cast(&indices, INT64);
                let axis = self.export.ints(&[-1]);
                let indices = self.export.make("Unsqueeze", &[&indices, &axis], vec![]);
                self.last("GatherND", &[&x, &indices], vec![("batch_dims", Int(1))]);
            }
            "Spread" => {
                let (x, values) = (self.x(0), self.x(1));
                let rows = self.export.make("Shape", &[&x], vec![("start", Int(0)), ("end", Int(1))]);
                let dims: Vec<i64> = self.shape(1).dims(1).iter().map(|&size| size as i64).collect();
                let dims = self.export.ints(&dims);
                let sizes = self.export.make("Concat", &[&rows, &dims], vec![("axis", Int(0))]);
                self.last("Expand", &[&values, &sizes], vec![]);
            }
            "Top" => {
                let (x, count) = (self.x(0), self.export.ints(&[size(settings, "count")]));
                let [values, places] = [self.export.fresh(), self.export.fresh()];
                let largest = i64::from(flag(settings, "largest"));
                self.export.node("TopK", &[&x, &count], &[&values, &places], vec![("largest", Int(largest))]);
                self.last("Cast", &[&places], vec![("to", Int(FLOAT))]);
            }
            other => return Err(format!("{other} has no counterpart in ONNX")),
        }
        Ok(())
    }

    /// A matrix is one node of ONNX; of more axes the last one is multiplied.
    fn dense(&mut self) {
        use Setting::Int;
        if self.shape(0).rank() == 2 {
            return self.one("Gemm", vec![("transB", Int(1))]);
        }
        let (x, weight) = (self.x(0), self.x(1));
        let turned = self.export.transpose(&weight, &[1, 0]);
        if self.node.inputs.len() == 2 {
            return self.last("MatMul", &[&x, &turned], vec![]);
        }
        let bias = self.x(2);
        let product = self.export.make("MatMul", &[&x, &turned], vec![]);
        self.last("Add", &[&product, &bias], vec![]);
    }

    fn arithmetic(&mut self, operation: &str) -> Written<()> {
        use Setting::Int;
        let [x, y] = [0, 1].map(|i| self.x(i));
        match operation {
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" => self.last(operation, &[&x, &y], vec![]),
            "Remainder" => self.last("Mod", &[&x, &y], vec![("fmod", Int(1))]),
            "Equal" | "Less" | "LessOrEqual" => {
                let truth = self.export.make(operation, &[&x, &y], vec![]);
                self.last("Cast", &[&truth], vec![("to", Int(FLOAT))]);
            }
            "Mod" | "BitAnd" | "BitOr" | "BitXor" => {
                let op = match operation {
                    "Mod" => "Mod",
                    "BitAnd" => "BitwiseAnd",
                    "BitOr" => "BitwiseOr",
                    _ => "BitwiseXor",
                };
                let [x, y] = [x, y].map(|value| self.export.cast(&value, INT64));
                let whole = self.export.make(op, &[&x, &y], vec![]);
                self.last("Cast", &[&whole], vec![("to", Int(FLOAT))]);
            }
            other => return Err(format!("the operation {other} has no counterpart in ONNX")),
        }
        Ok(())
    }

    fn take(&mut self, settings: &Attributes) -> Written<()> {
        use Setting::Int;
        let mut x = self.x(0);
        let axis = size(settings, "axis");
        let mut places = sizes(settings, "places");
        let rank = self.shape(0).rank();
        if places.contains(&-1) {
            // One place more, which holds the value.
            let own = self.sample(0)?[axis as usize - 1];
            let mut pads = vec![0; 2 * rank];
            pads[rank + axis as usize] = 1;
            let (pads, fill) = (self.export.ints(&pads), self.export.number(number(settings, "fill")));
            x = self.export.make("Pad", &[&x, &pads, &fill], vec![]);
            places.iter_mut().filter(|place| **place == -1).for_each(|place| *place = own);
        }
        let places = self.export.ints(&places);
        self.last("Gather", &[&x, &places], vec![("axis", Int(axis))]);
        Ok(())
    }

    fn reduce(&mut self, settings: &Attributes) -> Written<()> {
        use Setting::Int;
        let x = self.x(0);
        let (first, end) = (size(settings, "first"), size(settings, "end"));
        let op = match text(settings, "reduction") {
            "Sum" => "ReduceSum",
            "Mean" => "ReduceMean",
            "Product" => "ReduceProd",
            "Max" => "ReduceMax",
            "Min" => "ReduceMin",
            of_place => {
                if end != first + 1 {
                    return Err("the place of the greatest of several axes".into());
                }
                let op = if of_place == "ArgMax" { "ArgMax" } else { "ArgMin" };
                let place = self.export.make(op, &[&x], vec![("axis", Int(first)), ("keepdims", Int(0))]);
                self.last("Cast", &[&place], vec![("to", Int(FLOAT))]);
                return Ok(());
            }
        };
        let axes = self.export.ints(&(first..end).collect::<Vec<_>>());
        self.last(op, &[&x, &axes], vec![("keepdims", Int(0))]);
        Ok(())
    }

    /// 1 for the real steps of each sequence: [batch, time].
    fn real_steps(&mut self, lengths: &str, time: i64) -> String {
        let lengths = self.export.reshape(lengths, &[-1, 1]);
        let steps: Vec<f32> = (0..time).map(|step| step as f32).collect();
        let steps = self.export.constant(&[1, time as usize], &steps);
        self.export.make("Less", &[&steps, &lengths], vec![])
    }

    fn lengths(&mut self, padding: f32) -> Written<()> {
        use Setting::Int;
        let (mut x, sample) = (self.x(0), self.sample(0)?);
        if let [_, features] = sample[..] {
            x = self.export.slice(&x, 2, features - 1, features);
            x = self.export.reshape(&x, &[0, sample[0]]);
        }
        let padding = self.export.number(padding);
        let same = self.export.make("Equal", &[&x, &padding], vec![]);
        let real = self.export.make("Not", &[&same], vec![]);
        let (zero, numbers) = (self.export.number(0.0), (1..=sample[0]).map(|step| step as f32).collect::<Vec<_>>());
        let numbers = self.export.constant(&[1, numbers.len()], &numbers);
        let marked = self.export.make("Where", &[&real, &numbers, &zero], vec![]);
        let axes = self.export.ints(&[1]);
        let last = self.export.make("ReduceMax", &[&marked, &axes], vec![("keepdims", Int(0))]);
        let one = self.export.number(1.0);
        self.last("Max", &[&last, &one], vec![]);
        Ok(())
    }

    fn over_time(&mut self, padded: bool) -> Written<()> {
        use Setting::Int;
        let (x, sample) = (self.x(0), self.sample(0)?);
        let (time, rest) = (sample[0], &sample[1..]);
        let axes = self.export.ints(&[1]);
        match (self.node.op.name(), padded) {
            ("LastStep", false) => {
                let last = self.export.slice(&x, 1, time - 1, time);
                self.last_reshape(&last, rest);
            }
            ("LastStep", true) => {
                let (lengths, one) = (self.x(1), self.export.number(1.0));
                let last = self.export.make("Sub", &[&lengths, &one], vec![]);
                let last = self.export.cast(&last, INT64);
                let last = self.export.reshape(&last, &[-1, 1]);
                self.last("GatherND", &[&x, &last], vec![("batch_dims", Int(1))]);
            }
            ("MeanOverTime", false) => self.last("ReduceMean", &[&x, &axes], vec![("keepdims", Int(0))]),
            ("MaxOverTime", false) => self.last("ReduceMax", &[&x, &axes], vec![("keepdims", Int(0))]),
            (name, _) => {
                let lengths = self.x(1);
                let real = self.real_steps(&lengths, time);
                let ones = vec![1; rest.len()];
                let real = self.export.reshape(&real, &[&[0, time], &ones[..]].concat());
                let mean = name == "MeanOverTime";
                let other = self.export.number(if mean { 0.0 } else { f32::MIN });
                let kept = self.export.make("Where", &[&real, &x, &other], vec![]);
                if mean {
                    let sum = self.export.make("ReduceSum", &[&kept, &axes], vec![("keepdims", Int(0))]);
                    let lengths = self.export.reshape(&lengths, &[&[-1], &ones[..]].concat());
                    self.last("Div", &[&sum, &lengths], vec![]);
                } else {
                    self.last("ReduceMax", &[&kept, &axes], vec![("keepdims", Int(0))]);
                }
            }
        }
        Ok(())
    }

    /// Weights in the order of the gates of ONNX, behind an axis of directions.
    fn gates(&mut self, input: usize, order: &[usize]) -> Written<(Vec<usize>, Vec<f32>)> {
        let (mut dims, values) = self.values(self.node.inputs[input]).ok_or("weights that are computed")?;
        let part = values.len() / order.len();
        let turned = order.iter().flat_map(|gate| values[gate * part..(gate + 1) * part].to_vec()).collect();
        dims.insert(0, 1);
        Ok((dims, turned))
    }

    fn recurrent(&mut self, settings: &Attributes) -> Written<()> {
        use Setting::{Int, Text, Texts};
        // Where each gate of ONNX stands in Pellucid's order: i o f c, z r h.
        let order: &[usize] = match self.node.op.name() {
            "LSTM" => &[0, 3, 1, 2],
            "GRU" => &[1, 0, 2],
            _ => &[0],
        };
        let x = self.x(0);
        let x = self.export.transpose(&x, &[1, 0, 2]);
        let mut inputs = vec![x];
        for input in [1, 2] {
            let (dims, values) = self.gates(input, order)?;
            let name = self.names[self.node.inputs[input].index()].clone();
            self.export.floats(&name, &dims, &values);
            inputs.push(name);
        }
        let hidden = self.shape(2).last().unwrap_or(0) as i64;
        let mut next = 3;
        if flag(settings, "bias") {
            let ((_, ih), (_, hh)) = (self.gates(3, order)?, self.gates(4, order)?);
            let name = self.names[self.node.inputs[3].index()].clone();
            self.export.floats(&name, &[1, ih.len() + hh.len()], &[ih, hh].concat());
            inputs.push(name);
            next = 5;
        } else {
            inputs.push(String::new());
        }
        if flag(settings, "lengths") {
            let lengths = self.x(next);
            inputs.push(self.export.cast(&lengths, INT32));
            next += 1;
        } else {
            inputs.push(String::new());
        }
        if flag(settings, "initial_state") {
            for state in next..self.node.inputs.len() {
                let state = self.x(state);
                inputs.push(self.export.reshape(&state, &[1, -1, hidden]));
            }
        }
        while inputs.last().is_some_and(String::is_empty) {
            inputs.pop();
        }
        let mut own = vec![("hidden_size", Int(hidden))];
        if flag(settings, "reverse") {
            own.push(("direction", Text("reverse")));
        }
        match self.node.op.name() {
            "GRU" => own.push(("linear_before_reset", Int(1))),
            "RNN" => own.push((
                "activations",
                Texts(vec![if text(settings, "nonlinearity") == "relu" { "Relu" } else { "Tanh" }]),
            )),
            _ => {}
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let y = self.export.make(self.node.op.name(), &inputs, own);
        // [time, 1, batch, units]
        let axes = self.export.ints(&[1]);
        let y = self.export.make("Squeeze", &[&y, &axes], vec![]);
        self.last("Transpose", &[&y], vec![("perm", Setting::Ints(vec![1, 0, 2]))]);
        Ok(())
    }

    fn rotary(&mut self, settings: &Attributes) -> Written<()> {
        use Setting::Int;
        let (x, sample) = (self.x(0), self.sample(0)?);
        let (heads, width, base) = (size(settings, "heads"), size(settings, "size"), number(settings, "base"));
        let (time, values) = (sample[0], sample[1]);
        let half = (width / 2) as usize;
        let turned = self.export.slice(&x, 2, 0, heads * width);
        let turned = self.export.reshape(&turned, &[0, time, heads, width]);
        let angle = |i: usize| (i / half) as f64 * libm::pow(f64::from(base), -2.0 * (i % half) as f64 / width as f64);
        let table = |f: fn(f64) -> f64| -> Vec<f32> { (0..time as usize * half).map(|i| f(angle(i)) as f32).collect() };
        let dims = [1, time as usize, 1, half];
        let (cos, sin) =
            (self.export.constant(&dims, &table(libm::cos)), self.export.constant(&dims, &table(libm::sin)));
        let [a, b] = [0, half as i64].map(|start| self.export.slice(&turned, 3, start, start + half as i64));
        let product = |export: &mut Export, x: &str, y: &str| export.make("Mul", &[x, y], vec![]);
        let [ac, bs, bc, as_] =
            [(&a, &cos), (&b, &sin), (&b, &cos), (&a, &sin)].map(|(x, y)| product(self.export, x, y));
        let first = self.export.make("Sub", &[&ac, &bs], vec![]);
        let second = self.export.make("Add", &[&bc, &as_], vec![]);
        let joined = self.export.make("Concat", &[&first, &second], vec![("axis", Int(3))]);
        if heads * width == values {
            self.last_reshape(&joined, &[time, values]);
            return Ok(());
        }
        let joined = self.export.reshape(&joined, &[0, time, heads * width]);
        let rest = self.export.slice(&x, 2, heads * width, values);
        self.last("Concat", &[&joined, &rest], vec![("axis", Int(2))]);
        Ok(())
    }

    fn attention(&mut self, settings: &Attributes) -> Written<()> {
        use Setting::Int;
        let (x, heads, cross) = (self.x(0), size(settings, "heads"), flag(settings, "cross"));
        let (sample, output) = (self.sample(0)?, self.graph.shape(self.node.output).sample().ok_or("no batch")?);
        let (queries, width) = (sample[0], output[1] as i64);
        let other = if cross { self.x(1) } else { x.clone() };
        let keys = if cross { self.sample(1)?[0] } else { queries };
        let of_keys = if cross { 0 } else { width };
        let part = |at: &mut Self, x: &str, start: i64, time: i64| {
            let part = at.export.slice(x, 2, start, start + width);
            at.export.reshape(&part, &[0, time, heads, width / heads])
        };
        let q = part(self, &x, 0, queries);
        let k = part(self, &other, of_keys, keys);
        let v = part(self, &other, of_keys + width, keys);
        let q = self.export.transpose(&q, &[0, 2, 1, 3]);
        let k = self.export.transpose(&k, &[0, 2, 3, 1]);
        let v = self.export.transpose(&v, &[0, 2, 1, 3]);
        let scores = self.export.make("MatMul", &[&q, &k], vec![]);
        let scale = self.export.number(1.0 / ((width / heads) as f32).sqrt());
        let mut scores = self.export.make("Mul", &[&scores, &scale], vec![]);
        // A query sees a key, or its score counts for nothing.
        let hidden = self.export.number(f32::NEG_INFINITY);
        if let Some(context) = settings.get("context").and_then(|value| value.as_i64()) {
            let seen = |i: i64, j: i64| j <= i && j + context > i;
            let mask: Vec<f32> =
                (0..queries).flat_map(|i| (0..keys).map(move |j| f32::from(u8::from(seen(i, j))))).collect();
            let mask = self.export.constant(&[queries as usize, keys as usize], &mask);
            let mask = self.export.cast(&mask, BOOL);
            scores = self.export.make("Where", &[&mask, &scores, &hidden], vec![]);
        }
        if self.node.inputs.len() > 1 + usize::from(cross) {
            let lengths = self.x(1 + usize::from(cross));
            let real = self.real_steps(&lengths, keys);
            let real = self.export.reshape(&real, &[0, 1, 1, keys]);
            scores = self.export.make("Where", &[&real, &scores, &hidden], vec![]);
        }
        let weights = self.export.make("Softmax", &[&scores], vec![("axis", Int(-1))]);
        let y = self.export.make("MatMul", &[&weights, &v], vec![]);
        let y = self.export.transpose(&y, &[0, 2, 1, 3]);
        self.last_reshape(&y, &[queries, width]);
        Ok(())
    }
}
