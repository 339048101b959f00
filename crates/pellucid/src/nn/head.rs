//! A new head on a network that was trained for something else.

use super::notation::Network;
use crate::graph::{Graph, Role, Source, ValueId};

/// The layers before the last `dense` of the line: what a network for another task begins with. None if there is no `dense`
/// outside of other layers, or nothing before it.
///
/// ```
/// use pellucid::nn::{backbone, notation::Network, with_head};
///
/// let trained = Network::parse("conv 16 3x3 relu -> global-avgpool -> dropout 0.5 -> dense 10 softmax")?;
/// let backbone = backbone(&trained).expect("it ends in a dense layer");
/// let network = with_head(&backbone, &Network::parse("dense 64 relu -> dense 3")?);
/// assert_eq!(
///     network.to_string(),
///     "conv 16 3x3 relu -> global-avgpool -> dropout 0.5 -> dense 64 relu -> dense 3"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn backbone(network: &Network) -> Option<Network> {
    let last = network.items().iter().rposition(|item| item.word() == "dense")?;
    (last > 0).then(|| Network::new(network.items()[..last].to_vec()))
}

/// The layers of `head` behind those of `backbone`, whose parameters keep their names.
pub fn with_head(backbone: &Network, head: &Network) -> Network {
    Network::new(backbone.items().iter().chain(head.items()).cloned().collect())
}

/// The part of a network that has no notation (one of another program) before its last weights, through which its output comes:
/// what a network for another task begins with. None if there are no weights, or nothing before them.
pub fn backbone_graph(graph: &Graph) -> Option<Graph> {
    let whole = graph.up_to(*graph.outputs().first()?);
    let source = |value: &ValueId| whole.value(*value).source;
    let is_weight = |value: &ValueId| match source(value) {
        Source::Parameter(index) => whole.parameters()[index].role == Role::Weight,
        Source::Input(_) | Source::Node(_) => false,
    };
    let last = whole.nodes().iter().rfind(|node| node.inputs.iter().any(is_weight))?;
    let before = last.inputs.iter().find(|input| matches!(source(input), Source::Node(_)))?;
    Some(whole.up_to(*before))
}

/// A name for the layers of a new head: none of a parameter that is there begins with it.
pub(super) fn free_scope(graph: &Graph) -> String {
    let taken = |scope: &str| {
        let own = |name: &str| name.strip_prefix(scope).is_some_and(|rest| rest.starts_with('.'));
        graph.parameters().iter().any(|parameter| own(&parameter.name))
    };
    let mut scopes = ["head".to_string()].into_iter().chain((2..).map(|number| format!("head{number}")));
    scopes.find(|scope| !taken(scope)).expect("there are more numbers than parameters")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{NetworkOptions, network};

    #[test]
    fn a_head_takes_the_place_of_the_last_weights_and_of_all_behind_them_again_and_again() {
        let trained = network("dense 4 relu -> layernorm -> dense 3 softmax", &[2], None).expect("a network");
        let backbone = backbone_graph(&trained).expect("dense 3");
        let last = backbone.nodes().last().expect("a layer");
        assert_eq!((last.label.as_str(), backbone.parameters().len()), ("2", 4));
        let options = NetworkOptions { outputs: Some(1), ..NetworkOptions::default() };
        let head = Network::parse("dense 5 tanh -> dense").expect("a line");
        let first = options.build_on(backbone, &head).expect("fits");
        let again = options.build_on(backbone_graph(&first).expect("the new head's last"), &head).expect("fits");
        let names = |graph: &Graph| -> Vec<String> {
            graph.parameters()[4..].iter().map(|parameter| parameter.name.clone()).collect()
        };
        assert_eq!(names(&first), ["head.0.weight", "head.0.bias", "head.2.weight", "head.2.bias"]);
        let after =
            ["head.0.weight", "head.0.bias", "head2.0.weight", "head2.0.bias", "head2.2.weight", "head2.2.bias"];
        assert_eq!(names(&again), after);
    }

    #[test]
    fn a_head_that_does_not_fit_is_an_error_at_its_place() {
        let trained = network("conv 4 3x3 -> conv 2 1x1 -> global-avgpool", &[3, 5, 5], None).expect("a network");
        let backbone = backbone_graph(&trained).expect("the last convolution");
        let options = NetworkOptions { outputs: Some(2), ..NetworkOptions::default() };
        let refused = |line: &str| {
            let head = Network::parse(line).expect("a line");
            options.build_on(backbone.clone(), &head).expect_err("does not fit").render()
        };
        assert!(refused("flatten -> dense 3").contains("write 'dense 2'"), "{}", refused("flatten -> dense 3"));
        assert!(refused("dense 2").contains("flatten ->"), "{}", refused("dense 2"));
        assert!(backbone_graph(&network("dense 4", &[2], None).expect("a network")).is_none());
    }
}
