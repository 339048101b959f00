//! A network that behaves as at inference in training plans too, so that gradients of what it predicts can be had.

use std::sync::Arc;

use super::Graph;

impl Graph {
    /// The graph with each op that behaves otherwise in training ([`crate::ops::Op::at_inference`]) replaced by one that does
    /// not: no dropout, batch normalisation by its running values, which stay as they are. Values keep their ids.
    pub fn at_inference(mut self) -> Graph {
        for node in &mut self.nodes {
            if let Some(op) = node.op.at_inference() {
                node.op = Arc::from(op);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use kernels::device::Device;
    use kernels::simd::Isa;

    use super::*;
    use crate::graph::{Parameters, PlanOptions, Session};
    use crate::nn::{self, Loss, LossLayer};
    use crate::tensor::Shape;

    #[test]
    fn a_training_step_then_computes_what_inference_does_and_changes_no_statistic() {
        let line = "conv 3 3x3 -> batchnorm relu -> spatial-dropout 0.5 -> \
                    residual(conv 3 1x1 -> stochastic-depth 0.5) -> flatten -> dropout 0.5 -> dense 2";
        let network = nn::network(line, &[1, 6, 5], None).expect("a network");
        let (input, prediction) = (network.inputs()[0].value, network.outputs()[0]);
        let device = Arc::new(Device::new(Isa::best(), 2));
        let run = |graph: Graph, training: bool| {
            let mut builder = graph.extend();
            let target = builder.input("target", Shape::batched(&[2])).expect("a new name");
            let loss = Loss::mse().add(&mut builder, prediction, target, None).expect("a loss");
            let graph = Arc::new(builder.finish(&[prediction, loss]));
            let parameters = Parameters::initialise(&graph, &device, 4);
            let before = parameters.values().to_vec();
            let mut session = Session::new(graph, device.clone(), parameters, 7);
            let loss = training.then_some(loss);
            let options = PlanOptions { batch: 4, outputs: &[prediction], loss, ..PlanOptions::default() };
            let plan = session.plan(&options).expect("a plan");
            let values = session.input_mut(plan, input);
            (0..).zip(values).for_each(|(i, x)| *x = (i * 37 % 101) as f32 / 50.0 - 1.0);
            if training {
                session.input_mut(plan, target).fill(0.0);
            }
            session.forward(plan, 1);
            let outputs = session.value(plan, prediction).to_vec();
            (outputs, session.parameters().values() == before)
        };
        let inferred = run(network.clone(), false).0;
        assert_eq!(run(network.clone().at_inference(), true), (inferred.clone(), true));
        let (trained, kept) = run(network, true);
        assert!(trained != inferred && !kept, "in training the network behaves otherwise");
    }
}
