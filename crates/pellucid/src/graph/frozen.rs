//! The part of a network that does not learn: what it does in training, and where what learns begins.

use std::sync::Arc;

use super::{Graph, Input, Role, Source, Value, ValueId};

impl Graph {
    /// The graph with its frozen parts at inference in training plans too, as [`Graph::at_inference`] makes them: the nodes that
    /// lead to a frozen parameter and depend on no trained one, and each node (a batch normalisation) all of whose learnt
    /// parameters are frozen. What comes behind the last frozen parameter, as the dropout of a new head, is left as it is. Values
    /// keep their ids.
    pub fn frozen_at_inference(mut self) -> Graph {
        let leads = self.leads_to_frozen(&self.trained_values());
        for (index, leads) in leads.into_iter().enumerate() {
            if (leads || self.has_only_frozen(index))
                && let Some(op) = self.nodes[index].op.at_inference()
            {
                self.nodes[index].op = Arc::from(op);
            }
        }
        self
    }

    /// The *features* of the frozen part: the last value in which no trained parameter and nothing random has a part, if all
    /// that trains sees the data through it alone; it is the same in each epoch. None where nothing is frozen before what
    /// trains. Meant for a graph that is [`Graph::frozen_at_inference`].
    pub fn frozen_features(&self) -> Option<ValueId> {
        let trained = self.trained_values();
        let leads = self.leads_to_frozen(&trained);
        let mut inside = vec![false; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            let changes = node.op.is_random() || !node.op.state().is_empty() || trained[node.output.index()];
            let sources = || node.inputs.iter().map(|input| self.value(*input).source);
            let goes_on = sources().any(|source| matches!(source, Source::Node(before) if inside[before]));
            let from_outside = sources().any(|source| matches!(source, Source::Node(before) if !inside[before]));
            inside[index] = !changes && (leads[index] || goes_on && !from_outside);
        }
        let outside = self.nodes.iter().enumerate().filter(|(index, _)| !inside[*index]);
        let read = outside.flat_map(|(_, node)| &node.inputs).chain(&self.outputs);
        let mut features = None;
        for value in read {
            let crosses = match self.value(*value).source {
                Source::Node(before) => inside[before],
                // Data that go past the frozen part.
                Source::Input(_) => return None,
                Source::Parameter(_) => false,
            };
            if crosses && features.replace(*value).is_some_and(|other| other != *value) {
                return None;
            }
        }
        features
    }

    /// The graph with `value`, the output of a node, as its first input, called `features`: what comes before it is not
    /// computed. Values, nodes and parameters keep their places, so parameters and random numbers are those of this graph.
    pub fn fed_at(mut self, value: ValueId) -> Graph {
        let Source::Node(node) = self.value(value).source else { return self };
        let shape = self.shape(value).clone();
        let unused = ValueId(self.values.len() as u32);
        self.values.push(Value { shape, source: Source::Node(node) });
        self.nodes[node].output = unused;
        self.inputs.insert(0, Input { name: "features".to_string(), value });
        for (index, input) in self.inputs.iter().enumerate() {
            self.values[input.value.index()].source = Source::Input(index);
        }
        self
    }

    /// For each parameter that the node reads: its role, and whether it is frozen.
    fn own_parameters(&self, node: usize) -> impl Iterator<Item = (Role, bool)> {
        self.nodes[node].inputs.iter().filter_map(move |input| match self.value(*input).source {
            Source::Parameter(index) => Some((self.parameters[index].role, self.parameters[index].frozen)),
            _ => None,
        })
    }

    /// Whether the node has learnt parameters, all of which are frozen.
    fn has_only_frozen(&self, node: usize) -> bool {
        let mut learnt = self.own_parameters(node).filter(|(role, _)| *role != Role::Statistic).peekable();
        learnt.peek().is_some() && learnt.all(|(_, frozen)| frozen)
    }

    /// For each value, whether a trained parameter has a part in it.
    fn trained_values(&self) -> Vec<bool> {
        let mut trained = vec![false; self.value_count()];
        for parameter in self.parameters.iter().filter(|parameter| !parameter.frozen) {
            trained[parameter.value.index()] = true;
        }
        for node in &self.nodes {
            trained[node.output.index()] = node.inputs.iter().any(|input| trained[input.index()]);
        }
        trained
    }

    /// For each node, whether it has a frozen parameter or leads to one, and no trained parameter has a part in it.
    fn leads_to_frozen(&self, trained: &[bool]) -> Vec<bool> {
        let mut wanted = vec![false; self.value_count()];
        let mut leads = vec![false; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().rev() {
            leads[index] =
                !trained[node.output.index()] && (self.has_only_frozen(index) || wanted[node.output.index()]);
            if leads[index] {
                node.inputs.iter().for_each(|input| wanted[input.index()] = true);
            }
        }
        leads
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Node;
    use crate::nn;

    const LINE: &str = "dropout 0.2 -> conv 3 3x3 -> batchnorm relu -> spatial-dropout 0.5 -> conv 4 3x3 -> batchnorm -> relu -> \
                        global-avgpool -> dropout 0.5 -> dense 5 relu -> dropout 0.1 -> dense 2";

    fn frozen(line: &str, choose: impl Fn(usize) -> bool) -> Graph {
        let mut graph = nn::network(line, &[2, 8, 8], None).expect("a network");
        graph.freeze(true, |name| {
            choose(name.split('.').next().and_then(|number| number.parse().ok()).expect("a number"))
        });
        graph.frozen_at_inference()
    }

    /// Layers that are random or follow their batches in training.
    fn lively(graph: &Graph) -> Vec<&str> {
        let lively = |node: &&Node| node.op.is_random() || !node.op.state().is_empty();
        graph.nodes().iter().filter(lively).map(|node| node.label.as_str()).collect()
    }

    #[test]
    fn what_leads_to_frozen_parameters_is_at_inference_and_what_comes_behind_is_not() {
        // 0 dropout, 1 conv, 2 batchnorm, 3 relu, 4 dropout, 5 conv, 6 batchnorm, 7 relu, 8 pool, 9 dropout, 10 dense, …
        assert_eq!(lively(&frozen(LINE, |_| false)), ["0", "2", "4", "6", "9", "12"]);
        assert_eq!(lively(&frozen(LINE, |number| number < 3)), ["4", "6", "9", "12"]);
        assert_eq!(lively(&frozen(LINE, |number| number < 7)), ["9", "12"]);
        // Frozen behind what trains: what comes before is as it was, the batch normalisation keeps what it knew.
        assert_eq!(lively(&frozen(LINE, |number| number == 6)), ["0", "2", "4", "9", "12"]);
    }

    #[test]
    fn features_are_what_all_that_trains_sees_the_data_through() {
        let shape = |line: &str, below: usize| {
            let graph = frozen(line, |number| number < below);
            graph.frozen_features().map(|features| graph.shape(features).to_string())
        };
        assert_eq!(shape(LINE, 0), None);
        assert_eq!(shape(LINE, 3).as_deref(), Some("[batch, 3, 6, 6]"));
        assert_eq!(shape(LINE, 7).as_deref(), Some("[batch, 4]"), "pooled before they are kept");
        assert_eq!(shape(LINE, 11).as_deref(), Some("[batch, 5]"));
        let block = "residual(conv 2 3x3 same -> batchnorm) -> flatten -> dense 2";
        assert_eq!(shape(block, 1).as_deref(), Some("[batch, 128]"));
        assert_eq!(shape("concat(conv 3 3x3 same, conv 3 3x3 same) -> flatten -> dense 2", 0), None);
    }

    #[test]
    fn data_that_go_past_the_frozen_part_have_no_features() {
        let line = "residual(conv 2 3x3 same -> conv 2 3x3 same) -> flatten -> dense 2";
        let mut graph = nn::network(line, &[2, 8, 8], None).expect("a network");
        assert_eq!(graph.freeze(true, |name| name.starts_with("0.0.")), 2);
        assert_eq!(graph.frozen_at_inference().frozen_features(), None);
    }
}
