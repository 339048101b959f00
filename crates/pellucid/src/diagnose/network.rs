//! Rules over a network with its loss, on some rows: before training, and after.

use std::sync::Arc;

use kernels::device::Device;

use super::{Finding, Rule};
use crate::data::Task;
use crate::graph::{Graph, GraphBuilder, Node, Parameters, PlanId, PlanOptions, Role, Session, Source, ValueId};
use crate::nn::LossLayer;
use crate::optim::{Groups, Optimizer, OptimizerConfig};
use crate::train::{BatchSize, Control, Event, Fit, FitOptions, Part, Problem, TrainError, fill_batch};

/// Rows that values and gradients are looked at on, and fewer than which say nothing of units.
const ROWS: usize = 256;
const FEWEST: usize = 32;
/// Share of the units of a layer that may be 0 for all rows.
const DEAD: f64 = 0.4;
/// Share of values beyond which a function is flat, and how flat: within a hundredth of its limits.
const SATURATED: (f64, f32) = (0.5, 0.01);
/// How much smaller or larger the gradient of the first layer's outputs may be than that of the last.
const VANISHED: f64 = 1e-4;
const EXPLODED: f64 = 1e3;
/// What an update may be, in parts of the weights.
const UPDATE: [f64; 2] = [1e-6, 0.3];
/// How many times as large as that of knowing nothing the loss at the start may be.
const INITIAL_LOSS: f64 = 1.5;
/// Rows to be learnt by heart, steps for it, and the part of the loss that may be left.
const BY_HEART: (usize, usize, f64) = (32, 1000, 0.1);

/// A network to look at.
#[derive(Clone, Copy, Debug)]
pub struct NetworkView<'a> {
    /// The network, without a loss.
    pub network: &'a Graph,
    /// The loss.
    pub loss: &'a dyn LossLayer,
    /// What is predicted.
    pub task: &'a Task,
    /// The parameters: fresh ones, or trained.
    pub parameters: &'a Parameters,
    /// Nothing was learnt yet: what is said of the start holds.
    pub is_fresh: bool,
    /// Rows to learn from.
    pub train: &'a Part<'a>,
    /// What updates the parameters.
    pub optimizer: &'a OptimizerConfig,
    /// Instruction set and threads.
    pub device: &'a Arc<Device>,
}

/// What the network does wrong on the first rows of the training part.
///
/// # Errors
/// Data that does not fit the network.
pub fn of_network(view: &NetworkView) -> Result<Vec<Finding>, TrainError> {
    let problem = Problem::new(view.network, view.loss, false)?;
    let mut findings = Vec::new();
    if let Err(mismatch) = view.loss.link().check_output(view.network, view.network.outputs()[0]) {
        findings.push(Finding::new(Rule::OutputMismatch, "the last layer", 0.0, mismatch.to_string()));
    }
    let rows = &view.train.rows[..view.train.rows.len().min(ROWS)];
    let mut session = Session::new(problem.graph.clone(), view.device.clone(), view.parameters.clone(), 0);
    let loss = Some(problem.loss);
    let plan = session.plan(&PlanOptions { batch: rows.len(), loss, keep_all: true, ..PlanOptions::default() })?;
    fill_batch(&mut session, plan, &problem, view.train.data, rows)?;
    session.forward(plan, 0);
    let loss = f64::from(session.value(plan, problem.loss)[0]);
    session.backward(plan, 0);
    let seen = Seen { graph: &problem.graph, session: &session, plan, prediction: problem.prediction };
    if view.is_fresh {
        findings.extend(initial_loss(view, session.value(plan, problem.target), rows.len(), loss)?);
    }
    if rows.len() >= FEWEST {
        findings.extend(seen.units());
    }
    findings.extend(seen.gradients());
    if view.is_fresh && loss.is_finite() {
        findings.extend(updates(view, &mut session));
    }
    Ok(findings)
}

/// A forward and a backward pass, all values kept.
struct Seen<'a> {
    graph: &'a Graph,
    session: &'a Session,
    plan: PlanId,
    prediction: ValueId,
}

impl Seen<'_> {
    fn place(&self, node: &Node) -> String {
        format!("layer {}: {}", node.label, self.graph.words(node))
    }

    /// Units that are dead or saturated, layer by layer.
    fn units(&self) -> Vec<Finding> {
        self.graph.nodes().iter().filter_map(|node| self.dead(node).or_else(|| self.saturated(node))).collect()
    }

    /// Units (features, or channels of pictures) that are 0 for every row and place.
    fn dead(&self, node: &Node) -> Option<Finding> {
        if !matches!(node.op.name(), "Relu" | "Relu6") {
            return None;
        }
        let sample = self.graph.shape(node.output).sample()?;
        // [channels, height, width], or features in the last axis.
        let (units, span) = match sample.as_slice() {
            [channels, height, width] => (*channels, height * width),
            sample => (*sample.last()?, 1),
        };
        let mut alive = vec![false; units];
        for (i, value) in self.session.value(self.plan, node.output).iter().enumerate() {
            alive[i / span % units] |= *value != 0.0;
        }
        let dead = alive.iter().filter(|alive| !**alive).count();
        let share = dead as f64 / units as f64;
        let message = format!("{dead} of {units} units are 0 for all rows, and so learn nothing");
        (share > DEAD).then(|| Finding::new(Rule::DeadUnits, self.place(node), share, message))
    }

    fn saturated(&self, node: &Node) -> Option<Finding> {
        let limits = match node.op.name() {
            "Tanh" => [-1.0, 1.0],
            "Sigmoid" => [0.0, 1.0],
            _ => return None,
        };
        // At the end of a network that is sure of its answers, that is as it should be.
        if node.output == self.prediction {
            return None;
        }
        let values = self.session.value(self.plan, node.output);
        let is_flat =
            |value: f32| limits.iter().any(|limit| (value - limit).abs() < SATURATED.1 * (limits[1] - limits[0]));
        let share = values.iter().filter(|value| is_flat(**value)).count() as f64 / values.len().max(1) as f64;
        let message = format!("{:.0} % of its values are at the limits, where the slope is next to 0", 100.0 * share);
        (share > SATURATED.0).then(|| Finding::new(Rule::SaturatedUnits, self.place(node), share, message))
    }

    /// How the size of the gradient changes from the last layer with weights to the first.
    fn gradients(&self) -> Option<Finding> {
        let has_weights = |node: &&Node| {
            node.inputs.iter().any(|input| match self.graph.value(*input).source {
                Source::Parameter(index) => self.graph.parameters()[index].role == Role::Weight,
                _ => false,
            })
        };
        let size = |node: &Node| Some(root_mean_square(self.session.gradient(self.plan, node.output)?));
        let weighted = self.graph.nodes().iter().filter(has_weights);
        let sizes: Vec<(&Node, f64)> = weighted.filter_map(|node| Some((node, size(node)?))).collect();
        let ((first, of_first), (_, of_last)) = (sizes.first()?, sizes.last()?);
        if sizes.len() < 2 || *of_last == 0.0 || !of_last.is_finite() {
            return None;
        }
        let ratio = of_first / of_last;
        let message =
            |word: &str| format!("the gradient of its outputs is {ratio:.1e} times that of the last layer: it {word}");
        let found = |rule: Rule, word: &str| Some(Finding::new(rule, self.place(first), ratio, message(word)));
        match ratio {
            ratio if ratio < VANISHED => found(Rule::VanishingGradient, "hardly learns"),
            ratio if ratio > EXPLODED => found(Rule::ExplodingGradient, "leaps"),
            _ => None,
        }
    }
}

fn root_mean_square(values: &[f32]) -> f64 {
    let squares: f64 = values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
    libm::sqrt(squares / values.len().max(1) as f64)
}

/// A network that knows nothing gives outputs near 0, and has their loss: ln of the number of classes, the variance of values.
fn initial_loss(view: &NetworkView, target: &[f32], rows: usize, found: f64) -> Result<Option<Finding>, TrainError> {
    let output = view.network.shape(view.network.outputs()[0]).clone();
    let mut builder = GraphBuilder::new();
    let prediction = builder.input("prediction", output.clone())?;
    let answer = builder.input("target", view.loss.target_shape(&output))?;
    let loss = view.loss.add(&mut builder, prediction, answer, None)?;
    let graph = Arc::new(builder.finish(&[loss]));
    let mut session = Session::new(graph.clone(), view.device.clone(), Parameters::zeros(&graph), 0);
    let plan = session.plan(&PlanOptions { batch: rows, outputs: &[loss], ..PlanOptions::default() })?;
    session.input_mut(plan, prediction).fill(0.0);
    session.input_mut(plan, answer).copy_from_slice(target);
    session.forward(plan, 0);
    let expected = f64::from(session.value(plan, loss)[0]);
    let message = format!("it begins at {found:.3}; outputs of 0, which know nothing, have {expected:.3}");
    let is_off = expected.is_finite() && (found > INITIAL_LOSS * expected || found.is_nan());
    Ok(is_off.then(|| Finding::new(Rule::InitialLoss, "the loss", found, message)))
}

/// How large the first update is for the weights that it changes.
fn updates(view: &NetworkView, session: &mut Session) -> Option<Finding> {
    let segments = session.parameters().segments().to_vec();
    let mut optimizer = Optimizer::new(view.optimizer, &segments, &Groups::default()).ok()?;
    let before = session.parameters().values().to_vec();
    let (parameters, gradients) = session.parameters_and_gradients();
    optimizer.update(view.device, view.optimizer.learning_rate(), parameters.values_mut(), gradients);
    let after = session.parameters().values();
    let of_weight = segments.iter().filter(|segment| segment.role == Role::Weight && !segment.frozen);
    let ratio = |segment: &&crate::graph::Segment| {
        let range = segment.range.clone();
        let change: Vec<f32> =
            after[range.clone()].iter().zip(&before[range.clone()]).map(|(new, old)| new - old).collect();
        let size = root_mean_square(&before[range]);
        (size > 0.0).then(|| root_mean_square(&change) / size)
    };
    let ratios = of_weight.filter_map(|segment| Some((segment, ratio(&segment)?)));
    let (segment, ratio) = ratios.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let message = format!("the first update changes it by {ratio:.1e} of its size");
    let found = |rule: Rule| Some(Finding::new(rule, format!("parameter {}", segment.name), ratio, message));
    match ratio {
        ratio if ratio > UPDATE[1] => found(Rule::LargeUpdate),
        // The largest of all is small: nothing moves.
        ratio if ratio < UPDATE[0] => found(Rule::SmallUpdate),
        _ => None,
    }
}

/// A few rows that the network, begun anew from `seed` and without dropout, cannot learn by heart; `None` if it can.
///
/// # Errors
/// Data that does not fit the network. (That the loss is not finite is a finding.)
pub fn cannot_fit(view: &NetworkView, seed: u64) -> Result<Option<Finding>, TrainError> {
    let (rows, steps, left) = BY_HEART;
    let few = Part::of(view.train.data, &view.train.rows[..view.train.rows.len().min(rows)]);
    let network = view.network.clone().at_inference();
    let options = FitOptions {
        epochs: steps,
        batch_size: BatchSize::Full,
        seed,
        optimizer: view.optimizer.clone(),
        ..FitOptions::default()
    };
    let rows = few.rows.len();
    let fit = Fit { device: view.device.clone(), ..Fit::new(&network, view.loss, view.task, few, &options) };
    let (mut first, mut last) = (None, f64::NAN);
    let mut watch = |event: Event<'_>| {
        let Event::Step { loss, .. } = event else { return Control::Continue };
        last = loss;
        let first = *first.get_or_insert(loss);
        if loss <= left * first { Control::Stop } else { Control::Continue }
    };
    match fit.run(&mut watch) {
        Err(TrainError::NotFinite { .. }) | Ok(_) => {}
        Err(error) => return Err(error),
    }
    let first = first.unwrap_or(f64::NAN);
    let message = format!(
        "{rows} rows alone: the loss went from {first:.4} to {last:.4} in {steps} steps, and should come near 0"
    );
    let can = last <= left * first;
    Ok((!can).then(|| Finding::new(Rule::CannotFit, "the network", last, message)))
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::*;
    use crate::data::{Dataset, Features};
    use crate::nn::{self, Loss};

    fn noise(i: usize) -> f32 {
        ((i as u32).wrapping_mul(0x9e37_79b9) >> 16) as f32 / 32768.0 - 1.0
    }

    /// 128 rows of eight numbers of this size in four classes.
    fn rows(scale: f32) -> Dataset {
        let inputs = Features::F32((0..128 * 8).map(|i| scale * noise(i)).collect());
        let targets =
            (0..128).map(|row| ((noise(row * 8) > 0.0) as usize * 2 + (noise(row * 8 + 1) > 0.0) as usize) as f32);
        Dataset::new(vec![8], inputs, targets.collect(), 1, None).expect("lengths agree")
    }

    fn task() -> Task {
        Task::Multiclass { classes: ["a", "b", "c", "d"].map(String::from).to_vec() }
    }

    struct Setting<'a> {
        line: &'a str,
        loss: &'a str,
        optimizer: &'a str,
        scale: f32,
        /// Changes the fresh parameters.
        change: fn(&mut Parameters),
    }

    const HEALTHY: Setting = Setting {
        line: "dense 32 relu -> dense 32 relu -> dense 4",
        loss: "cross_entropy",
        optimizer: "adam:lr=1e-3",
        scale: 1.0,
        change: |_| (),
    };

    fn rules(setting: &Setting) -> Vec<Rule> {
        let data = rows(setting.scale);
        let network = nn::network(setting.line, &[8], Some(4)).expect("a network");
        let device = Arc::new(Device::new(Isa::best(), 2));
        let mut parameters = Parameters::initialise(&network, &device, 1);
        (setting.change)(&mut parameters);
        let (loss, optimizer) = (Loss::parse(setting.loss).expect("a loss"), OptimizerConfig::parse(setting.optimizer));
        let view = NetworkView {
            network: &network,
            loss: &loss,
            task: &task(),
            parameters: &parameters,
            is_fresh: true,
            train: &Part::all(&data),
            optimizer: &optimizer.expect("an optimiser"),
            device: &device,
        };
        let mut findings = of_network(&view).expect("rows that fit");
        findings.extend(cannot_fit(&view, 1).expect("rows that fit"));
        findings.iter().for_each(|finding| assert!(!finding.message.is_empty() && !finding.place.is_empty()));
        findings.into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_healthy_network_has_no_findings() {
        assert_eq!(rules(&HEALTHY), []);
        assert_eq!(rules(&Setting { line: "dense 32 tanh -> dropout 0.5 -> dense 4", ..HEALTHY }), []);
        let residual = "dense 32 -> 6 * residual(layernorm -> dense 32 gelu) -> dense 4";
        assert_eq!(rules(&Setting { line: residual, ..HEALTHY }), []);
    }

    #[test]
    fn inputs_without_a_scale_begin_with_a_large_loss() {
        assert!(rules(&Setting { scale: 300.0, ..HEALTHY }).contains(&Rule::InitialLoss));
    }

    #[test]
    fn a_softmax_before_a_loss_that_has_one_is_found() {
        let found = rules(&Setting { line: "dense 32 relu -> dense 4 softmax", ..HEALTHY });
        assert!(found.contains(&Rule::OutputMismatch), "{found:?}");
    }

    #[test]
    fn units_that_a_bias_holds_below_zero_are_dead() {
        let change = |parameters: &mut Parameters| parameters.get_mut("0.bias").expect("a bias").fill(-50.0);
        let found = rules(&Setting { change, ..HEALTHY });
        assert!(found.contains(&Rule::DeadUnits), "{found:?}");
    }

    #[test]
    fn units_of_large_sums_are_saturated() {
        let change = |parameters: &mut Parameters| {
            parameters.get_mut("0.weight").expect("weights").iter_mut().for_each(|weight| *weight *= 100.0);
        };
        for line in ["dense 32 tanh -> dense 4", "dense 32 sigmoid -> dense 4"] {
            let found = rules(&Setting { line, change, ..HEALTHY });
            assert!(found.contains(&Rule::SaturatedUnits), "{line}: {found:?}");
        }
    }

    #[test]
    fn a_gradient_through_many_sigmoids_vanishes() {
        let found = rules(&Setting { line: "8 * dense 16 sigmoid -> dense 4", ..HEALTHY });
        assert!(found.contains(&Rule::VanishingGradient), "{found:?}");
    }

    #[test]
    fn a_gradient_through_many_large_weights_explodes() {
        let change = |parameters: &mut Parameters| parameters.values_mut().iter_mut().for_each(|weight| *weight *= 6.0);
        let found = rules(&Setting { line: "8 * dense 16 -> dense 4", change, ..HEALTHY });
        assert!(found.contains(&Rule::ExplodingGradient), "{found:?}");
    }

    #[test]
    fn rates_far_from_the_size_of_the_weights_are_found() {
        let found = rules(&Setting { optimizer: "adam:lr=0.5", ..HEALTHY });
        assert!(found.contains(&Rule::LargeUpdate), "{found:?}");
        let found = rules(&Setting { optimizer: "adam:lr=1e-9", ..HEALTHY });
        assert!(found.contains(&Rule::SmallUpdate) && found.contains(&Rule::CannotFit), "{found:?}");
    }

    #[test]
    fn a_network_that_sees_too_little_cannot_learn_a_batch_by_heart() {
        let found = rules(&Setting { line: "dense 1 relu -> dense 4", ..HEALTHY });
        assert!(found.contains(&Rule::CannotFit), "{found:?}");
    }
}
