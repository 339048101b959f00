//! The part of a graph that a value comes from.

use super::{Graph, Input, Node, Parameter, Source, Value, ValueId};

impl Graph {
    /// The part of the graph that computes `value`, its only output then. All inputs stay; nodes and parameters that it does not
    /// need are left out. Names, labels and the order of the rest are as they were.
    pub fn up_to(&self, value: ValueId) -> Graph {
        let mut needed = vec![false; self.value_count()];
        needed[value.index()] = true;
        for index in (0..self.value_count()).rev() {
            match self.values[index].source {
                Source::Node(node) if needed[index] => {
                    self.nodes[node].inputs.iter().for_each(|input| needed[input.index()] = true);
                }
                Source::Input(_) => needed[index] = true,
                _ => {}
            }
        }
        let mut part = Graph { descriptions: self.descriptions.clone(), ..Graph::default() };
        let mut new = vec![ValueId(0); self.value_count()];
        for (index, Value { shape, source }) in self.values.iter().enumerate().filter(|(index, _)| needed[*index]) {
            let value = ValueId(part.values.len() as u32);
            new[index] = value;
            let source = match *source {
                Source::Input(i) => {
                    part.inputs.push(Input { value, ..self.inputs[i].clone() });
                    Source::Input(part.inputs.len() - 1)
                }
                Source::Parameter(i) => {
                    part.parameters.push(Parameter { value, ..self.parameters[i].clone() });
                    Source::Parameter(part.parameters.len() - 1)
                }
                Source::Node(i) => {
                    let node = self.nodes[i].clone();
                    let inputs = node.inputs.iter().map(|input| new[input.index()]).collect();
                    part.nodes.push(Node { inputs, output: value, ..node });
                    Source::Node(part.nodes.len() - 1)
                }
            };
            part.values.push(Value { shape: shape.clone(), source });
        }
        part.outputs = vec![new[value.index()]];
        part
    }
}

#[cfg(test)]
mod tests {
    use crate::nn;

    #[test]
    fn what_a_value_does_not_need_is_left_out_and_the_rest_keeps_names_and_order() {
        let line = "residual(dense 3, dense 3 relu) -> dense 4 -> dense 2";
        let whole = nn::network(line, &[5], None).expect("a network");
        let hidden = whole.nodes()[whole.nodes().len() - 2].output;
        let part = whole.up_to(hidden);
        let names = |graph: &crate::graph::Graph| -> Vec<String> {
            graph.parameters().iter().map(|parameter| parameter.name.clone()).collect()
        };
        assert_eq!(names(&part), names(&whole)[..names(&whole).len() - 2]);
        assert_eq!(part.shape(part.outputs()[0]).to_string(), "[batch, 4]");
        let ops = |graph: &crate::graph::Graph| -> Vec<String> {
            graph.nodes().iter().map(|node| format!("{} {}", node.label, node.op.name())).collect()
        };
        assert_eq!(ops(&part), ops(&whole)[..ops(&whole).len() - 1]);
        assert_eq!(part.description("1"), Some("dense 4"));
        // Everything, and the input alone.
        assert_eq!(ops(&whole.up_to(whole.outputs()[0])), ops(&whole));
        let nothing = whole.up_to(whole.inputs()[0].value);
        assert_eq!((nothing.nodes().len(), nothing.parameters().len(), nothing.inputs().len()), (0, 0, 1));
    }
}
