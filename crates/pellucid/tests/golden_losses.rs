//! The losses against PyTorch's results: the loss, and the gradient of the prediction, through the whole graph.

mod golden;

use std::sync::Arc;

use golden::{Case, Golden};
use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{Graph, GraphBuilder, Parameters, PlanOptions, Session, ValueId};
use pellucid::nn::{Loss, LossLayer};
use pellucid::tensor::Shape;
use serde_json::{Map, Value};

/// The loss of a case; every setting of its `config` must be one of the loss. `None` when the loss is not known.
fn loss_of(case: &Case) -> Option<Loss> {
    let name = match case.text("loss") {
        "mean_squared_error" => "mse",
        "mean_absolute_error" => "mae",
        "poisson_nll" => "poisson",
        "kl_divergence" => "kl",
        "binary_cross_entropy" => "binary_cross_entropy_probabilities",
        "binary_cross_entropy_with_logits" => "binary_cross_entropy",
        same @ ("huber" | "smooth_l1" | "hinge" | "cross_entropy") => same,
        _ => return None,
    };
    let mut fields = Map::new();
    for (setting, value) in case.field("config").as_object().expect("an object of settings") {
        let setting = if setting == "ignore_index" { "ignored_label" } else { setting };
        fields.insert(setting.to_string(), value.clone());
    }
    fields.insert("name".to_string(), name.into());
    let loss = serde_json::from_value(Value::Object(fields));
    Some(loss.unwrap_or_else(|error| panic!("{}: {error}", case.name)))
}

/// A graph of nothing but a loss, with a weight for each row or without.
struct Bench {
    graph: Arc<Graph>,
    prediction: ValueId,
    target: ValueId,
    weights: Option<ValueId>,
    loss: ValueId,
}

impl Bench {
    fn new(case: &Case, loss: &Loss, weighted: bool) -> Bench {
        let shape = |array: &str| Shape::batched(&case.array(array).dims[1..]);
        let mut graph = GraphBuilder::new();
        let prediction = graph.input("prediction", shape("prediction")).expect("a new name");
        let target = graph.input("target", shape("target")).expect("a new name");
        let weights = weighted.then(|| graph.input("weights", Shape::batched(&[])).expect("a new name"));
        let value = loss.add(&mut graph, prediction, target, weights);
        let loss = value.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        Bench { graph: Arc::new(graph.finish(&[loss])), prediction, target, weights, loss }
    }

    /// The loss and the gradient of the prediction, the rows of the case `times` times over.
    fn run(&self, case: &Case, device: &Arc<Device>, times: usize, weights: &[f32]) -> (f32, Vec<f32>) {
        let mut session = Session::new(self.graph.clone(), device.clone(), Parameters::zeros(&self.graph), 1);
        let batch = case.array("prediction").dims[0] * times;
        let (outputs, gradients_of) = (&[self.loss][..], &[self.prediction][..]);
        let options = PlanOptions { batch, outputs, loss: Some(self.loss), gradients_of, ..Default::default() };
        let plan = session.plan(&options).expect("a plan");
        session.input_mut(plan, self.prediction).copy_from_slice(&case.array("prediction").data.repeat(times));
        session.input_mut(plan, self.target).copy_from_slice(&case.array("target").data.repeat(times));
        if let Some(input) = self.weights {
            session.input_mut(plan, input).copy_from_slice(weights);
        }
        session.forward(plan, 0);
        session.backward(plan, 0);
        let gradient = session.gradient(plan, self.prediction).expect("a gradient").to_vec();
        (session.value(plan, self.loss)[0], gradient)
    }
}

#[test]
fn losses_agree_with_the_reference() {
    let Some(golden) = Golden::load() else { return };
    let devices = [Arc::new(Device::new(Isa::best(), 2)), Arc::new(Device::new(Isa::scalar(), 1))];
    let cases = golden.cases("loss");
    for case in &cases {
        let loss = loss_of(case).unwrap_or_else(|| panic!("{}: the loss is not known", case.name));
        assert_eq!(case.texts("targets"), ["target"], "{}", case.name);
        let rows = case.array("prediction").dims[0];
        for device in &devices {
            let (value, gradient) = Bench::new(case, &loss, false).run(case, device, 1, &[]);
            case.assert_array("loss", &[value]);
            case.assert_array("dprediction", &gradient);
            // Weights of 1 change nothing, and rows of weight 0 are as if they were not there.
            let weighted = Bench::new(case, &loss, true);
            let (value, gradient) = weighted.run(case, device, 1, &vec![1.0; rows]);
            case.assert_array("loss", &[value]);
            case.assert_array("dprediction", &gradient);
            let weights = [vec![1.0; rows], vec![0.0; rows]].concat();
            let (value, gradient) = weighted.run(case, device, 2, &weights);
            case.assert_array("loss", &[value]);
            let (counted, others) = gradient.split_at(gradient.len() / 2);
            case.assert_array("dprediction", counted);
            assert!(others.iter().all(|&slope| slope == 0.0), "{}", case.name);
        }
    }
}

#[test]
fn a_target_shape_is_that_of_the_reference() {
    let Some(golden) = Golden::load() else { return };
    for case in golden.cases("loss").iter().filter(|case| !case.name.ends_with("soft_targets")) {
        let loss = loss_of(case).unwrap_or_else(|| panic!("{}: the loss is not known", case.name));
        let dims = |array: &str| case.array(array).dims;
        let shape = loss.target_shape(&Shape::batched(&dims("prediction")[1..]));
        assert_eq!(shape.dims(dims("prediction")[0]).as_slice(), dims("target"), "{}", case.name);
    }
}
