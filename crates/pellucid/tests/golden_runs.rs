//! Whole training runs against PyTorch's: network, loss and optimiser together, step by step.

mod golden;

use std::sync::Arc;

use golden::{Case, Golden};
use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::graph::{Graph, Parameters, PlanOptions, Role, Session, ValueId};
use pellucid::nn::notation::Network;
use pellucid::nn::{Loss, LossLayer, build};
use pellucid::optim::{Groups, Optimizer, OptimizerConfig};
use serde_json::Value;

/// The network of a case in our notation; `None` when a word is not known.
fn network_of(case: &Case) -> Option<String> {
    let mut layers: Vec<String> = Vec::new();
    for layer in case.texts("network") {
        match layer.split_once(' ') {
            Some(("dense", sizes)) => layers.push(format!("dense {}", sizes.split_once("->")?.1)),
            Some(("conv2d", settings)) => {
                let mut settings = settings.split(' ');
                let channels = settings.next()?.split_once("->")?.1;
                let mut conv = format!("conv {channels}");
                for setting in settings {
                    match setting.split_at(1) {
                        ("k", kernel) => conv.push_str(&format!(" {kernel}x{kernel}")),
                        ("p", padding) => conv.push_str(&format!(" pad={padding}")),
                        _ => return None,
                    }
                }
                layers.push(conv);
            }
            Some(("batch_norm", _)) => layers.push("batchnorm".to_string()),
            Some((word @ ("rnn" | "lstm" | "gru"), sizes)) => {
                layers.push(format!("{word} {}", sizes.split_once("->")?.1));
            }
            Some(("last", "time step")) => layers.push("last".to_string()),
            Some(("max_pool2d", kernel)) => layers.push(format!("maxpool {kernel}")),
            None if layer == "flatten" => layers.push(layer.to_string()),
            None if ["relu", "tanh", "sigmoid"].contains(&layer) => layers.last_mut()?.push_str(&format!(" {layer}")),
            _ => return None,
        }
    }
    Some(layers.join(" -> "))
}

fn loss_of(case: &Case) -> Loss {
    match case.text("loss") {
        "cross_entropy mean" => Loss::cross_entropy(),
        "mean_squared_error mean" => Loss::mse(),
        "mean_squared_error sum" => Loss::sum_of_squares(),
        other => panic!("{}: the loss '{other}' is not known", case.name),
    }
}

/// The optimiser with all settings that the case has; one that ours does not know is an error.
fn optimizer_of(case: &Case) -> OptimizerConfig {
    let settings = case.field("optimizer").as_object().expect("an object");
    let name = settings["name"].as_str().expect("a name");
    let mut config = OptimizerConfig::named(name).unwrap_or_else(|| panic!("{}: no optimiser '{name}'", case.name));
    for (setting, value) in settings.iter().filter(|(setting, _)| *setting != "name") {
        let Value::Number(number) = value else { panic!("{}: {setting} is {value}", case.name) };
        config.set(setting, &number.to_string()).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    }
    config
}

/// A network with its loss.
struct Problem {
    graph: Arc<Graph>,
    input: ValueId,
    target: ValueId,
    loss: ValueId,
}

fn problem_of(case: &Case, network: &str) -> Problem {
    let fail = |error: &dyn std::fmt::Display| -> ! { panic!("{}: {error}", case.name) };
    let notation = Network::parse(network).unwrap_or_else(|error| fail(&error));
    let network = build(&notation, &case.array("x0").dims[1..], None).unwrap_or_else(|error| fail(&error));
    let (input, prediction) = (network.inputs()[0].value, network.outputs()[0]);
    let loss = loss_of(case);
    assert_eq!(loss.link().check_output(&network, prediction), Ok(()));
    let shape = loss.target_shape(network.shape(prediction));
    let mut builder = network.extend();
    let target = builder.input("target", shape).expect("a new name");
    let loss = loss.add(&mut builder, prediction, target, None).unwrap_or_else(|error| fail(&error));
    Problem { graph: Arc::new(builder.finish(&[loss])), input, target, loss }
}

/// The names of the parameters as we have them: modules that are called by a name there have the number of their layer here.
fn own_names(case: &Case) -> Vec<String> {
    let numbered = |name: &&str| name.replace("rnn.", "0.").replace("head.", "2.");
    case.texts("params").iter().map(numbered).collect()
}

/// The losses of all steps, and the parameters after them.
fn train(case: &Case, problem: &Problem, device: &Arc<Device>) -> (Vec<f32>, Parameters) {
    let mut parameters = Parameters::zeros(&problem.graph);
    let trained = problem.graph.parameters().iter().filter(|parameter| parameter.role != Role::Statistic);
    let names: Vec<&str> = trained.map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(names, own_names(case), "{}", case.name);
    for (name, own) in case.texts("params").iter().zip(own_names(case)) {
        parameters.get_mut(&own).expect("a parameter").copy_from_slice(&case.array(&format!("initial.{name}")).data);
    }
    let count = |field: &str| case.field(field).as_u64().expect("a whole number") as usize;
    let batches: Vec<_> =
        (0..count("batches")).map(|i| (case.array(&format!("x{i}")), case.array(&format!("t{i}")))).collect();
    let config = optimizer_of(case);
    let mut optimizer = Optimizer::new(&config, parameters.segments(), &Groups::default()).expect("an optimiser");
    let mut session = Session::new(problem.graph.clone(), device.clone(), parameters, 1);
    let batch = batches[0].0.dims[0];
    let options = PlanOptions {
        batch,
        outputs: &[problem.loss],
        loss: Some(problem.loss),
        gradients_of: &[],
        ..Default::default()
    };
    let plan = session.plan(&options).expect("a plan");
    let mut losses = Vec::new();
    for step in 0..count("steps") {
        let (x, t) = &batches[step % batches.len()];
        session.input_mut(plan, problem.input).copy_from_slice(&x.data);
        session.input_mut(plan, problem.target).copy_from_slice(&t.data);
        session.forward(plan, step as u64);
        losses.push(session.value(plan, problem.loss)[0]);
        session.backward(plan, step as u64);
        let (parameters, gradients) = session.parameters_and_gradients();
        let finite = optimizer.update(device, config.learning_rate(), parameters.values_mut(), gradients);
        assert!(finite, "{}: the gradients of step {step}", case.name);
    }
    (losses, session.into_parameters())
}

#[test]
fn training_runs_agree_with_the_reference() {
    let Some(golden) = Golden::load() else { return };
    let devices = [Arc::new(Device::new(Isa::best(), 2)), Arc::new(Device::new(Isa::scalar(), 1))];
    let mut checked = 0;
    for case in golden.cases("training_run") {
        let network = network_of(&case).unwrap_or_else(|| panic!("{}: {:?}", case.name, case.texts("network")));
        let problem = problem_of(&case, &network);
        let mut bits: Option<Vec<u32>> = None;
        for device in &devices {
            let (losses, parameters) = train(&case, &problem, device);
            case.assert_array("losses", &losses);
            for (name, own) in case.texts("params").iter().zip(own_names(&case)) {
                case.assert_array(&format!("final.{name}"), parameters.get(&own).expect("a parameter"));
            }
            let got: Vec<u32> = parameters.values().iter().map(|value| value.to_bits()).collect();
            assert_eq!(*bits.get_or_insert_with(|| got.clone()), got, "{}: the same bits on {device:?}", case.name);
        }
        checked += 1;
    }
    assert!(checked > 0, "not one run was checked");
}
