//! Max pooling before a function that it commutes with: max(f(a), f(b)) = f(max(a, b)) for f = ReLU, which then works on the
//! few pooled values, forwards and backwards, and the many before it need not be kept.

use super::{Graph, Source};

/// `graph` with every [`crate::ops::Op::is_max`] moved before an [`crate::ops::Op::commutes_with_max`] that only it reads.
/// Values keep their ids; the one between the two has another shape. Results are the same, up to the sign of a zero.
pub fn exchange_max(mut graph: Graph) -> Graph {
    let readers = graph.readers();
    for later in 0..graph.nodes.len() {
        let Some(&between) = graph.nodes[later].inputs.first() else { continue };
        let Source::Node(earlier) = graph.value(between).source else { continue };
        let commute = graph.nodes[earlier].op.commutes_with_max() && graph.nodes[later].op.is_max();
        if !commute || readers[between.index()] > 1 {
            continue;
        }
        graph.values[between.index()].shape = graph.shape(graph.nodes[later].output).clone();
        let (before, after) = graph.nodes.split_at_mut(later);
        let (first, second) = (&mut before[earlier], &mut after[0]);
        std::mem::swap(&mut first.op, &mut second.op);
        std::mem::swap(&mut first.label, &mut second.label);
    }
    graph
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernels::device::Device;
    use kernels::simd::Isa;

    use super::*;
    use crate::graph::{Parameters, PlanOptions, Session};
    use crate::nn::{self, Loss, LossLayer};
    use crate::tensor::Shape;

    const NETWORK: &str = "conv 3 3x3 same relu -> maxpool 2 -> conv 4 3x3 same -> relu -> maxpool 3 stride=2 pad=1 -> flatten -> dense 2";

    /// Loss and all gradients of a step.
    fn step(exchange: bool) -> (f32, Vec<f32>) {
        let network = nn::network(NETWORK, &[1, 12, 10], None).expect("a network");
        let (input, prediction) = (network.inputs()[0].value, network.outputs()[0]);
        let mut builder = network.extend();
        let target = builder.input("target", Shape::batched(&[2])).expect("a new name");
        let loss = Loss::mse().add(&mut builder, prediction, target, None).expect("a loss");
        let plain = builder.finish(&[prediction, loss]);
        let names = |graph: &Graph| graph.nodes().iter().map(|node| node.op.name()).collect::<Vec<_>>();
        let order = names(&plain);
        let graph = if exchange { exchange_max(plain) } else { plain };
        assert_eq!(names(&graph) != order, exchange);
        let device = Arc::new(Device::new(Isa::best(), 2));
        let parameters = Parameters::initialise(&graph, &device, 4);
        let mut session = Session::new(Arc::new(graph), device, parameters, 0);
        let plan = session.plan(&PlanOptions { batch: 5, loss: Some(loss), ..Default::default() }).expect("a plan");
        let fill = |values: &mut [f32]| (0..).zip(values).for_each(|(i, x)| *x = (i * 37 % 101) as f32 / 50.0 - 1.0);
        fill(session.input_mut(plan, input));
        fill(session.input_mut(plan, target));
        session.forward(plan, 0);
        session.backward(plan, 0);
        (session.value(plan, loss)[0], session.gradients().to_vec())
    }

    #[test]
    fn loss_and_gradients_are_those_of_the_written_order() {
        let (plain, exchanged) = (step(false), step(true));
        assert!(plain.1.iter().any(|gradient| *gradient != 0.0));
        assert_eq!(plain, exchanged);
    }

    #[test]
    fn what_another_reads_or_does_not_commute_stays() {
        for text in
            ["relu -> concat(maxpool 2, avgpool 2)", "tanh -> maxpool 2", "relu -> avgpool 2", "maxpool 2 -> relu"]
        {
            let graph = nn::network(text, &[2, 6, 6], None).expect("a network");
            let names = |graph: &Graph| graph.nodes().iter().map(|node| node.op.name()).collect::<Vec<_>>();
            assert_eq!(names(&exchange_max(graph.clone())), names(&graph), "{text}");
        }
    }
}
