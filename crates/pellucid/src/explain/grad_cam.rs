//! Grad-CAM: which places of a picture speak for a class.
//!
//! With A_k [height, width] the channels of a feature map and s_c the score of class c before softmax or sigmoid:
//!
//! * α_k = mean over the places p of ∂s_c/∂A_k\[p\]
//! * map = relu(Σ_k α_k A_k), enlarged to the size of the picture.
//!
//! Where the feature map goes through a global average pooling and a dense layer with weights w_ck, α_k = w_ck / places, and
//! the map is the class-activation map of Zhou et al. ("Learning deep features for discriminative localization", 2016) divided
//! by the number of places, negative values cut. (Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
//! gradient-based localization", 2017.)

use std::sync::Arc;

use kernels::device::Device;

use super::score::{ScoreGraph, choose, scores};
use crate::graph::{Graph, Parameters, PlanError, PlanId, PlanOptions, Session, ValueId};

/// Makes maps of one network, row by row.
#[derive(Debug)]
pub struct GradCam {
    session: Session,
    plan: PlanId,
    input: ValueId,
    /// What each score counts in the number that is differentiated.
    chosen: ValueId,
    features: ValueId,
    /// Height and width of the feature map.
    size: [usize; 2],
    /// Height and width of the picture.
    picture: [usize; 2],
}

/// Why a network has no such maps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GradCamError {
    /// Rows or the feature map are no pictures.
    #[error("the {what} must have the shape [batch, channels, height, width], but it has {shape}")]
    NoPicture {
        /// `rows` or `feature map`.
        what: &'static str,
        /// The shape, printed.
        shape: String,
    },
    /// The output is not one score for each class.
    #[error("the scores must have the shape [batch, classes], but they have {shape}")]
    NoScores {
        /// The shape, printed.
        shape: String,
    },
    /// The scores do not depend on the feature map.
    #[error("no gradient flows from the scores to this feature map; choose one on the way to the output")]
    Unrelated,
    /// The network is too large.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// The value that maps are usually made of: the last of shape [batch, channels, height, width], larger than one place, that a
/// convolution and what follows it give, before it is pooled or flattened. `None` in networks without one.
pub fn last_feature_map(graph: &Graph) -> Option<ValueId> {
    let first = graph.nodes().iter().position(|node| node.op.name() == "Conv")?;
    let size = |value: ValueId| graph.shape(value).sample().filter(|sample| sample.len() == 3).map(|s| [s[1], s[2]]);
    let is_map = |node: &&crate::graph::Node| {
        let output = size(node.output).filter(|[height, width]| height * width > 1);
        output.is_some() && (node.op.name() == "Conv" || size(node.inputs[0]) == output)
    };
    graph.nodes()[first..].iter().rev().find(is_map).map(|node| node.output)
}

impl GradCam {
    /// For the scores that `graph` gives first (what goes into its softmax or sigmoid, if it ends in one), and the feature map
    /// `features`: [`last_feature_map`], or another value on the way to them. Ops behave as at inference.
    ///
    /// # Errors
    /// When rows are no pictures, `features` is no feature map, or the scores do not depend on it.
    pub fn new(
        graph: &Graph,
        parameters: &Parameters,
        device: Arc<Device>,
        features: ValueId,
    ) -> Result<GradCam, GradCamError> {
        let size = |what: &'static str, value: ValueId| match graph.shape(value).sample().as_deref() {
            Some(&[_, height, width]) => Ok([height, width]),
            _ => Err(GradCamError::NoPicture { what, shape: graph.shape(value).to_string() }),
        };
        let (input, (scores, classes)) = (graph.inputs()[0].value, scores(graph));
        let (picture, size) = (size("rows", input)?, size("feature map", features)?);
        if classes.len() != 1 {
            return Err(GradCamError::NoScores { shape: graph.shape(scores).to_string() });
        }
        let ScoreGraph { graph, chosen, score } = ScoreGraph::new(graph);
        let mut session = Session::new(graph, device, parameters.clone(), 0);
        let plan = session.plan(&PlanOptions {
            batch: 1,
            outputs: &[features],
            loss: Some(score),
            gradients_of: &[features],
            ..PlanOptions::default()
        })?;
        if session.gradient(plan, features).is_none() {
            return Err(GradCamError::Unrelated);
        }
        Ok(GradCam { session, plan, input, chosen, features, size, picture })
    }

    /// How much each place of `row` (inputs of the network, `[channels, height, width]`) speaks for `class`: numbers from 0
    /// on, `[height, width]`, whose scale is that of scores times features. A single score counts for class 1, and negative
    /// for class 0.
    ///
    /// # Panics
    /// When the row has another width, or there is no such class.
    pub fn map(&mut self, row: &[f32], class: usize) -> Vec<f32> {
        let weights = self.weighted_map(row, class);
        enlarge(&weights, self.size, self.picture)
    }

    /// relu(Σ_k α_k A_k), `[height, width]` of the feature map.
    fn weighted_map(&mut self, row: &[f32], class: usize) -> Vec<f64> {
        self.session.input_mut(self.plan, self.input).copy_from_slice(row);
        choose(self.session.input_mut(self.plan, self.chosen), class);
        self.session.forward(self.plan, 0);
        self.session.backward(self.plan, 0);
        let features = self.session.value(self.plan, self.features);
        let gradient = self.session.gradient(self.plan, self.features).expect("checked when it was planned");
        let places = self.size[0] * self.size[1];
        let mut map = vec![0.0; places];
        for (feature, gradient) in features.chunks_exact(places).zip(gradient.chunks_exact(places)) {
            let alpha = gradient.iter().map(|value| f64::from(*value)).sum::<f64>() / places as f64;
            map.iter_mut().zip(feature).for_each(|(sum, feature)| *sum += alpha * f64::from(*feature));
        }
        map.iter_mut().filter(|sum| **sum < 0.0).for_each(|sum| *sum = 0.0);
        map
    }
}

/// `map` [height, width] at another size: between the centres of places, values go over into each other in straight lines.
fn enlarge(map: &[f64], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    // Two neighbours and the share of the second, for each place along an axis.
    let between = |axis: usize| {
        let (from, to) = (from[axis], to[axis]);
        (0..to).map(move |place| {
            let centre = (place as f64 + 0.5) * from as f64 / to as f64 - 0.5;
            let centre = centre.clamp(0.0, (from - 1) as f64);
            let first = centre as usize;
            (first, (first + 1).min(from - 1), centre - first as f64)
        })
    };
    let mut enlarged = Vec::with_capacity(to[0] * to[1]);
    for (above, below, down) in between(0) {
        for (left, right, across) in between(1) {
            let row = |row: usize| (1.0 - across) * map[row * from[1] + left] + across * map[row * from[1] + right];
            enlarged.push(((1.0 - down) * row(above) + down * row(below)) as f32);
        }
    }
    enlarged
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::*;
    use crate::model::Predictor;
    use crate::nn;

    fn device() -> Arc<Device> {
        Arc::new(Device::new(Isa::best(), 2))
    }

    fn initialised(line: &str, shape: &[usize], classes: usize) -> (Graph, Parameters) {
        let graph = nn::network(line, shape, Some(classes)).expect("a network");
        let mut parameters = Parameters::initialise(&graph, &device(), 3);
        // Statistics and biases begin with values that would hide mistakes.
        let (segments, values) = parameters.split_mut();
        for segment in segments.iter().filter(|segment| segment.dims.len() == 1) {
            let own = values[segment.range.clone()].iter_mut().enumerate();
            own.for_each(|(i, value)| *value = 0.5 + (i * 7 % 5) as f32 / 4.0);
        }
        (graph, parameters)
    }

    fn picture(values: usize) -> Vec<f32> {
        (0..values).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect()
    }

    fn grad_cam(graph: &Graph, parameters: &Parameters) -> GradCam {
        let features = last_feature_map(graph).expect("a feature map");
        GradCam::new(graph, parameters, device(), features).expect("a convolutional network")
    }

    #[test]
    fn the_map_of_a_small_network_is_the_one_computed_by_hand() {
        let graph = nn::network("conv 2 1x1 nobias -> flatten -> dense 2", &[1, 2, 2], None).expect("a network");
        let mut parameters = Parameters::zeros(&graph);
        // A_1 = x, A_2 = 2 x.
        parameters.get_mut("0.weight").expect("the convolution").copy_from_slice(&[1.0, 2.0]);
        // ∂s_0/∂A_1 = [1, 2, 3, 4], of mean 2.5; ∂s_0/∂A_2 = -1: the map is 2.5 x - 1 · 2 x = x / 2. That of s_1 is negative.
        let dense = [1.0, 2.0, 3.0, 4.0, -1.0, -1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -1.0, -2.0];
        parameters.get_mut("2.weight").expect("the dense layer").copy_from_slice(&dense);
        let mut maps = grad_cam(&graph, &parameters);
        assert_eq!(maps.map(&[1.0, 2.0, 3.0, -4.0], 0), [0.5, 1.0, 1.5, 0.0]);
        assert_eq!(maps.map(&[1.0, 2.0, 3.0, 4.0], 1), [0.0; 4]);
        assert_eq!(maps.map(&[1.0, 2.0, 3.0, -4.0], 1), [0.0, 0.0, 0.0, 12.0]);
    }

    #[test]
    fn behind_global_average_pooling_the_map_is_the_class_activation_map() {
        let line =
            "conv 3 3x3 same relu -> conv 4 3x3 stride=2 pad=1 nobias -> batchnorm relu -> global-avgpool -> dense";
        for (line, classes) in [(line, 3), (line, 1), (&format!("{line} 3 softmax"), 3)] {
            let (graph, parameters) = initialised(line, &[2, 6, 10], classes);
            let row = picture(120);
            let features = last_feature_map(&graph).expect("a feature map");
            let mut maps = GradCam::new(&graph, &parameters, device(), features).expect("a convolutional network");
            let mut session = Session::new(Arc::new(graph.clone()), device(), parameters.clone(), 0);
            let options = PlanOptions { batch: 1, outputs: &[features], ..PlanOptions::default() };
            let plan = session.plan(&options).expect("a plan");
            session.forward_on(plan, &[&row]);
            let features = session.value(plan, features);
            assert!(features.iter().any(|value| *value > 0.0));
            let places = 3 * 5;
            for class in 0..classes.max(2) {
                let (weight, sign) = match classes {
                    1 => (0, if class == 0 { -1.0 } else { 1.0 }),
                    _ => (class, 1.0),
                };
                let dense = parameters.segments().iter().rfind(|segment| segment.dims.len() == 2);
                let dense = dense.expect("the weights of the dense layer").range.clone();
                let weights = &parameters.values()[dense][weight * 4..][..4];
                let found = maps.weighted_map(&row, class);
                for place in 0..places {
                    let each = (0..4).map(|k| sign * f64::from(weights[k]) * f64::from(features[k * places + place]));
                    let expected = each.sum::<f64>().max(0.0);
                    let found = found[place] * places as f64;
                    assert!((found - expected).abs() <= 1e-6 * (1.0 + expected), "{line}: {found}, {expected}");
                }
            }
        }
    }

    #[test]
    fn the_weights_of_channels_agree_with_finite_differences_of_the_rest_of_the_network() {
        // Dropout is off and batch normalisation uses its running values, as at inference.
        let rest =
            "batchnorm tanh -> spatial-dropout 0.5 -> maxpool 2 -> flatten -> dropout 0.5 -> dense 5 tanh -> dense";
        let (graph, parameters) = initialised(&format!("conv 4 3x3 same -> {rest}"), &[1, 6, 4], 3);
        let convolution = graph.nodes().iter().find(|node| node.op.name() == "Conv").expect("a convolution").output;
        let row = picture(24);
        let mut maps = GradCam::new(&graph, &parameters, device(), convolution).expect("a convolutional network");

        let head = Arc::new(nn::network(rest, &[4, 6, 4], Some(3)).expect("a network"));
        let mut of_head = Parameters::zeros(&head);
        let names: Vec<String> = head.parameters().iter().map(|parameter| parameter.name.clone()).collect();
        let whole = graph.parameters().iter().skip(graph.parameters().len() - names.len());
        for (name, from) in names.iter().zip(whole) {
            let from = parameters.get(&from.name).expect("the same parameter");
            of_head.get_mut(name).expect("a parameter").copy_from_slice(from);
        }
        let mut predictor = Predictor::new(head, of_head, device()).expect("a small network");
        let mut session = Session::new(Arc::new(graph), device(), parameters, 0);
        let options = PlanOptions { batch: 1, outputs: &[convolution], ..PlanOptions::default() };
        let plan = session.plan(&options).expect("a plan");
        session.forward_on(plan, &[&row]);
        let features = session.value(plan, convolution).to_vec();

        let (places, step) = (24, 1e-2);
        for class in 0..3 {
            let mut expected = vec![0.0; places];
            for channel in features.chunks_exact(places).enumerate() {
                // The sum of the gradients at all places is the derivative along a step of all of them.
                let mut score = |step: f32| {
                    let mut moved = features.clone();
                    moved[channel.0 * places..][..places].iter_mut().for_each(|value| *value += step);
                    f64::from(predictor.predict_row(&moved)[class])
                };
                let alpha = (score(step) - score(-step)) / (2.0 * f64::from(step)) / places as f64;
                expected.iter_mut().zip(channel.1).for_each(|(sum, value)| *sum += alpha * f64::from(*value));
            }
            let greatest = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
            let found = maps.weighted_map(&row, class);
            assert!(greatest > 1e-4);
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected.max(0.0)).abs() < 2e-3 * greatest, "{found}, {expected}");
            }
        }
    }

    #[test]
    fn threads_and_instruction_sets_change_no_bit() {
        let (graph, parameters) = initialised("resnet8", &[3, 16, 12], 4);
        let features = last_feature_map(&graph).expect("a feature map");
        let row = picture(3 * 16 * 12);
        let map = |isa: Isa, threads: usize| {
            let device = Arc::new(Device::new(isa, threads));
            let mut maps = GradCam::new(&graph, &parameters, device, features).expect("a convolutional network");
            (0..4).flat_map(|class| maps.map(&row, class)).collect::<Vec<f32>>()
        };
        let first = map(Isa::best(), 1);
        assert!(first.len() == 4 * 16 * 12 && first.iter().any(|value| *value > 0.0));
        for isa in Isa::available() {
            for threads in [1, 3] {
                assert!(map(isa, threads) == first, "{} on {threads} threads", isa.name());
            }
        }
    }

    #[test]
    fn the_feature_map_is_the_last_before_pooling_and_networks_without_one_have_none() {
        let shape = |line: &str, input: &[usize]| {
            let graph = nn::network(line, input, Some(10)).expect("a network");
            last_feature_map(&graph).map(|value| graph.shape(value).to_string())
        };
        assert_eq!(shape("mnist-cnn", &[1, 28, 28]).as_deref(), Some("[batch, 64, 14, 14]"));
        assert_eq!(shape("lenet5", &[1, 28, 28]).as_deref(), Some("[batch, 16, 10, 10]"));
        assert_eq!(shape("resnet8", &[3, 32, 32]).as_deref(), Some("[batch, 64, 8, 8]"));
        assert_eq!(shape("batchnorm -> flatten -> dense", &[3, 8, 8]), None);
        assert_eq!(shape("dense 8 relu -> dense", &[3, 8, 8]), None);
    }

    #[test]
    fn what_has_no_map_is_an_error_that_says_why() {
        let (graph, parameters) = initialised("conv 2 3x3 relu -> flatten -> dense", &[1, 5, 5], 3);
        let refused =
            |features: ValueId| GradCam::new(&graph, &parameters, device(), features).expect_err("no map").to_string();
        let flat = refused(graph.outputs()[0]);
        assert!(flat.contains("feature map must have the shape") && flat.contains("[batch, 3]"), "{flat}");
        let (dense, weights) = initialised("dense", &[4], 3);
        let table =
            GradCam::new(&dense, &weights, device(), dense.inputs()[0].value).expect_err("no picture").to_string();
        assert!(table.contains("rows must have the shape"), "{table}");
        let (open, weights) = initialised("conv 2 3x3 relu -> conv 3 3x3 -> flatten -> dense", &[1, 5, 5], 3);
        let mut builder = open.clone().extend();
        let aside = builder.add(crate::ops::Relu, &[open.inputs()[0].value]).expect("shapes that fit");
        let open = builder.finish(&[open.outputs()[0]]);
        let unrelated = GradCam::new(&open, &weights, device(), aside).expect_err("not on the way");
        assert_eq!(unrelated, GradCamError::Unrelated);
    }

    #[test]
    fn maps_are_enlarged_between_the_centres_of_places() {
        assert_eq!(enlarge(&[0.0, 1.0], [1, 2], [2, 4]), [0.0, 0.25, 0.75, 1.0, 0.0, 0.25, 0.75, 1.0]);
        assert_eq!(enlarge(&[2.0; 9], [3, 3], [7, 4]), [2.0; 28]);
        assert_eq!(enlarge(&[1.0, 2.0, 3.0, 4.0], [2, 2], [2, 2]), [1.0, 2.0, 3.0, 4.0]);
    }
}
