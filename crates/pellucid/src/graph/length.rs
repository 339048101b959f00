//! The same network for sequences of another length.

use super::{BuildError, BuildProblem, Graph, Node, Source, ValueId};
use crate::ops::ShapeError;
use crate::tensor::{Dim, Shape};

/// The axis of time, behind the batch.
const TIME: usize = 1;

impl Graph {
    /// The graph for sequences of `length` steps: axis 1 of each input that has the length of the first input is now `length`,
    /// and every shape behind it follows. Values, parameters and nodes keep their ids.
    ///
    /// # Errors
    /// The first layer that does not take sequences of that length.
    pub fn at_length(&self, length: usize) -> Result<Graph, BuildError> {
        let mut graph = self.clone();
        let time = |shape: &Shape| shape.axes().get(TIME).copied();
        let built_for = self.inputs.first().and_then(|input| time(self.shape(input.value)));
        for input in &self.inputs {
            let shape = self.shape(input.value);
            if built_for.is_some() && time(shape) == built_for {
                let axes = shape.axes().iter().enumerate();
                let resized = axes.map(|(i, &axis)| if i == TIME { Dim::Fixed(length) } else { axis });
                graph.values[input.value.index()].shape = Shape::new(resized)
                    .map_err(|reason| problem(String::new(), "input", Vec::new(), ShapeError::Invalid(reason)))?;
            }
        }
        for node in &self.nodes {
            let inputs: Vec<Shape> = node.inputs.iter().map(|&input| graph.shape(input).clone()).collect();
            let shape = match node.op.output_shape(&inputs) {
                Ok(shape) => shape,
                Err(reason) => return Err(problem(node.label.clone(), node.op.name(), inputs, reason)),
            };
            debug_assert!(matches!(graph.value(node.output).source, Source::Node(_)), "a node gives its own value");
            graph.values[node.output.index()].shape = shape;
        }
        Ok(graph)
    }

    /// Steps to which padded sequences can be cut whose real ones are no more, ascending: 16, 32, 64, … and last those that the
    /// graph is built for; these alone where a layer takes no fewer, or does not look away from padding
    /// ([`crate::ops::Op::ignores_padding`]).
    pub fn lengths(&self) -> Vec<usize> {
        const SHORTEST: usize = 16;
        let time = self.inputs.first().and_then(|input| self.shape(input.value).axes().get(TIME).copied());
        let Some(Dim::Fixed(whole)) = time else { return Vec::new() };
        let shorter = std::iter::successors(Some(SHORTEST), |length| Some(2 * length));
        let shorter = shorter.take_while(|length| *length < whole).filter(|length| self.ignores_padding(*length));
        shorter.chain([whole]).collect()
    }

    /// Whether outputs are the same for sequences that are cut to `length` steps, if only padding is cut off.
    fn ignores_padding(&self, length: usize) -> bool {
        let Ok(cut) = self.at_length(length) else { return false };
        let has_time = |value: &ValueId| self.shape(*value) != cut.shape(*value);
        let ignores = |node: &Node| !node.inputs.iter().any(has_time) || node.op.ignores_padding(node.inputs.len());
        !self.outputs.iter().any(has_time) && self.nodes.iter().all(ignores)
    }
}

fn problem(label: String, op: &'static str, inputs: Vec<Shape>, reason: ShapeError) -> BuildError {
    let problem = Box::new(BuildProblem::Op { op, inputs, reason });
    BuildError { label, problem, input: None, suggestion: None, place: None }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernels::device::Device;
    use kernels::simd::Isa;

    use crate::graph::{Graph, GraphBuilder, Moment, Parameters, PlanError, PlanOptions, Session};
    use crate::ops::{Backward, Forward, Memory, Op, Reads, Reshape, Run, ShapeError, Sizes};
    use crate::tensor::Shape;

    /// y_t = x_0 + … + x_t over time, x [batch, time].
    #[derive(Debug)]
    struct SumSoFar;

    impl Op for SumSoFar {
        fn name(&self) -> &'static str {
            "SumSoFar"
        }
        fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
            Ok(inputs[0].clone())
        }
        fn reads(&self) -> Reads {
            Reads::NOTHING
        }
        fn memory(&self, at: Sizes, _: bool) -> Memory {
            Memory { carried: at.output[0], ..Memory::default() }
        }
        fn flops(&self, at: Sizes) -> u64 {
            at.output_elements() as u64
        }
        fn forward(&self, run: &Run, pass: Forward) {
            let time = pass.dims[1];
            for (row, (y, x)) in
                pass.output.chunks_exact_mut(time).zip(pass.inputs[0].data.chunks_exact(time)).enumerate()
            {
                let mut sum = pass.carried.get(row).filter(|_| run.past > 0).copied().unwrap_or(0.0);
                for (y, x) in y.iter_mut().zip(x) {
                    sum += x;
                    *y = sum;
                }
                if let Some(kept) = pass.carried.get_mut(row) {
                    *kept = sum;
                }
            }
        }
        fn backward(&self, _: &Run, _: Backward) {
            unreachable!("nothing is trained here")
        }
    }

    fn graph(time: usize) -> Graph {
        let mut builder = GraphBuilder::new();
        let x = builder.input("input", Shape::batched(&[time])).expect("a new name");
        let once = builder.add(SumSoFar, &[x]).expect("fits");
        let twice = builder.add(SumSoFar, &[once]).expect("fits");
        builder.finish(&[twice])
    }

    #[test]
    fn windows_that_carry_give_what_the_whole_gives_and_begin_anew_at_no_past() {
        let graph = Arc::new(graph(6));
        let device = Arc::new(Device::new(Isa::scalar(), 1));
        let parameters = Parameters::initialise(&graph, &device, 1);
        let (input, output) = (graph.inputs()[0].value, graph.outputs()[0]);
        let mut session = Session::new(graph, device, parameters, 0);
        let plans = [None, Some(1), Some(2), Some(3)].map(|length| {
            let options =
                PlanOptions { batch: 2, outputs: &[output], length, carries: length.is_some(), ..Default::default() };
            session.plan(&options).expect("a plan")
        });
        let rows = [[1.0, 2.0, 4.0, 8.0, 16.0, 32.0], [0.5, 0.25, -1.0, 3.0, 0.0, 7.0]];
        let mut run = |window: usize, from: usize, to: usize| {
            let values = session.input_mut(plans[window], input);
            values.iter_mut().zip(rows.iter().flat_map(|row| &row[from..to])).for_each(|(x, &value)| *x = value);
            session.forward(plans[window], Moment { step: 0, past: from });
            let y = session.value(plans[window], output);
            [y[..to - from].to_vec(), y[to - from..].to_vec()]
        };
        let whole = run(0, 0, 6);
        assert_eq!(whole[0], [1.0, 4.0, 11.0, 26.0, 57.0, 120.0]);
        for lengths in [vec![2, 2, 2], vec![1, 2, 3], vec![3, 1, 1, 1], vec![1; 6]] {
            let mut pieces = [vec![], vec![]];
            for length in &lengths {
                let from = pieces[0].len();
                let piece = run(*length, from, from + length);
                pieces.iter_mut().zip(piece).for_each(|(whole, piece)| whole.extend(piece));
            }
            assert_eq!(pieces, whole, "{lengths:?}");
        }
        assert_eq!(run(2, 0, 2)[1], [0.5, 1.25], "no past: what is kept has no meaning");
    }

    #[test]
    fn a_layer_that_does_not_take_the_length_is_named() {
        let mut builder = graph(6).extend();
        let x = builder.graph().outputs()[0];
        let reshaped = builder.scoped("3", |builder| builder.add(Reshape { shape: vec![2, 3] }, &[x])).expect("fits");
        let graph = builder.finish(&[reshaped]);
        assert_eq!(graph.at_length(6).expect("as it is").shape(reshaped), graph.shape(reshaped));
        let parameters = Parameters::initialise(&graph, &Device::new(Isa::scalar(), 1), 1);
        let mut session = Session::new(Arc::new(graph), Arc::new(Device::new(Isa::scalar(), 1)), parameters, 0);
        let options = PlanOptions { batch: 1, outputs: &[reshaped], length: Some(5), ..Default::default() };
        let error = session.plan(&options).expect_err("five are not two times three");
        assert!(matches!(error, PlanError::Length { length: 5, .. }));
        let text = error.to_string();
        assert!(text.starts_with("sequences of 5 steps do not fit the network: layer 3: Reshape "), "{text}");
    }
}
