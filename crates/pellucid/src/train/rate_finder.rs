//! The range test for learning rates: a short run whose rate grows from step to step, until the loss leaps.
//!
//! rate of step i = from · (to / from)^(i / (steps - 1)). The loss is smoothed, s ← 0.9 s + 0.1 loss, and divided by 1 - 0.9ⁱ; the run
//! ends where it is above four times its least. What is proposed is the rate at which the smoothed loss falls fastest for a factor of the
//! rate, before its least. (Smith, "Cyclical learning rates for training neural networks", 2017, section 3.3; Gugger, "How do you find a
//! good learning rate", 2018.)

use std::sync::Arc;

use kernels::device::Device;

use super::batch::fill;
use super::buckets::Buckets;
use super::order::Order;
use super::{FitOptions, Part, Problem, TrainError};
use crate::graph::{Graph, Parameters, PlanOptions, Session};
use crate::nn::LossLayer;
use crate::optim::Optimizer;

/// Part of the smoothed loss that stays from step to step.
const SMOOTHING: f64 = 0.9;
/// The loss has leapt where it is so many times its least.
const LEAP: f64 = 4.0;
/// Steps over which the fall of the loss is taken.
const WINDOW: usize = 10;
/// Steps at the start that may not end the test: their loss is not smooth yet.
const FIRST: usize = 10;

/// The rates to go through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateRange {
    /// The first; above 0. 1e-6 by default.
    pub from: f64,
    /// The last. 10 by default.
    pub to: f64,
    /// Steps; 200 by default.
    pub steps: usize,
}

impl Default for RateRange {
    fn default() -> RateRange {
        RateRange { from: 1e-6, to: 10.0, steps: 200 }
    }
}

/// What came of a learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatePoint {
    /// The rate.
    pub rate: f64,
    /// Loss of the batch before the update with it.
    pub loss: f64,
    /// The loss, smoothed over the steps so far.
    pub smoothed: f64,
}

/// Trains `network`, which begins with `parameters`, through `range` as `options` say (batch size, order, seed, optimiser, groups,
/// clipping; no augmentation and no validation). At least one point, unless the first loss is not finite.
///
/// # Errors
/// Data or settings that do not fit the network, or an optimiser that has no rate.
pub fn rate_range(
    network: &Graph,
    parameters: Parameters,
    loss: &dyn LossLayer,
    train: &Part,
    options: &FitOptions,
    range: RateRange,
    device: &Arc<Device>,
) -> Result<Vec<RatePoint>, TrainError> {
    let is_range = range.from > 0.0 && range.to > range.from && range.to.is_finite() && range.steps >= 2;
    if !is_range {
        return Err(TrainError::Settings(
            "the rates go from one above 0 to a larger one, in 2 steps or more".to_string(),
        ));
    }
    if train.rows.is_empty() {
        return Err(TrainError::NoRows);
    }
    let problem = Problem::new(network, loss, train.data.weights.is_some())?;
    train.check(&problem)?;
    let batch = options.batch_size.rows(train.rows.len());
    let mut optimizer = Optimizer::new(&options.optimizer, parameters.segments(), &options.groups)?;
    let mut session = Session::new(problem.graph.clone(), device.clone(), parameters, options.seed);
    let outputs = [problem.loss];
    let plan =
        session.plan(&PlanOptions { batch, outputs: &outputs, loss: Some(problem.loss), ..PlanOptions::default() })?;
    let mut order = Order::new(&train.rows, options.shuffle, options.seed);
    let batches = train.rows.len() / batch;
    let (mut points, mut least, mut sum) = (Vec::new(), f64::INFINITY, 0.0);
    for step in 0..range.steps {
        let (epoch, number) = (step / batches, step % batches);
        let rows = &order.of_epoch(device, epoch as u64, (&Buckets::default(), batch))[number * batch..][..batch];
        fill(&mut session, plan, &problem, train.data, rows)?;
        session.forward(plan, step as u64);
        let loss = f64::from(session.value(plan, problem.loss)[0]);
        sum = SMOOTHING * sum + (1.0 - SMOOTHING) * loss;
        let smoothed = sum / (1.0 - libm::pow(SMOOTHING, (step + 1) as f64));
        if !smoothed.is_finite() || (step >= FIRST && smoothed > LEAP * least) {
            break;
        }
        least = least.min(smoothed);
        let rate = range.from * libm::pow(range.to / range.from, step as f64 / (range.steps - 1) as f64);
        points.push(RatePoint { rate, loss, smoothed });
        session.backward(plan, step as u64);
        let (parameters, gradients) = session.parameters_and_gradients();
        if let Some(clipping) = &options.clipping {
            clipping.apply(device, gradients);
        }
        if !optimizer.update(device, rate, parameters.values_mut(), gradients) {
            break;
        }
    }
    Ok(points)
}

/// The rate to begin with: the middle of the [`WINDOW`] steps before the least smoothed loss over which it falls most. `None` where
/// there are fewer, or the loss never fell by a hundredth.
pub fn proposed_rate(points: &[RatePoint]) -> Option<f64> {
    let (least, point) = points.iter().enumerate().min_by(|a, b| a.1.smoothed.total_cmp(&b.1.smoothed))?;
    if point.smoothed > 0.99 * points[0].smoothed {
        return None;
    }
    let fall = |pair: &[RatePoint]| pair[0].smoothed - pair[WINDOW].smoothed;
    let steepest = points[..=least].windows(WINDOW + 1).max_by(|a, b| fall(a).total_cmp(&fall(b)))?;
    Some(steepest[WINDOW / 2].rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dataset, Features};
    use crate::nn::{self, Loss};
    use crate::optim::OptimizerConfig;
    use crate::train::BatchSize;

    /// y = 2 x and noise of 64 rows, one weight: gradient descent on the mean square x² converges below a rate of 1 / mean x².
    fn quadratic(scale: f32) -> Vec<RatePoint> {
        let inputs: Vec<f32> = (0..64).map(|i| scale * if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        // Without noise, the weight would stay right at any rate once it is.
        let targets = inputs.iter().enumerate().map(|(i, x)| 2.0 * x + 0.3 * scale * ((i % 3) as f32 - 1.0)).collect();
        let data = Dataset::new(vec![1], Features::F32(inputs), targets, 1, None).expect("lengths agree");
        let network = nn::network("dense 1 nobias", &[1], None).expect("a network");
        let options = FitOptions {
            batch_size: BatchSize::Rows(16),
            optimizer: OptimizerConfig::parse("sgd").expect("an optimiser"),
            ..FitOptions::default()
        };
        let device = Arc::new(Device::best());
        let range = RateRange { from: 1e-4, to: 100.0, steps: 120 };
        let start = Parameters::initialise(&network, &device, 0);
        rate_range(&network, start, &Loss::mse(), &Part::all(&data), &options, range, &device)
            .expect("a network for the data")
    }

    #[test]
    fn the_loss_falls_and_then_leaps_where_the_rate_is_beyond_the_curvature() {
        for (scale, limit) in [(1.0, 1.0), (4.0, 1.0 / 16.0)] {
            let points = quadratic(scale);
            assert!(points.len() < 120, "the test ends before the last rate");
            assert!(points.windows(2).all(|pair| pair[1].rate > pair[0].rate));
            // (It takes some steps beyond the limit to undo what was learnt.)
            let end = points[points.len() - 1].rate;
            assert!((0.5 * limit..20.0 * limit).contains(&end), "scale {scale}: it ends at {end}");
            let rate = proposed_rate(&points).expect("the loss falls");
            assert!((0.005 * limit..limit).contains(&rate), "scale {scale}: {rate} is proposed");
        }
        assert_eq!(quadratic(1.0), quadratic(1.0));
    }

    #[test]
    fn nothing_is_proposed_where_nothing_is_learnt_and_wrong_ranges_are_refused() {
        let point = |rate: f64| RatePoint { rate, loss: 1.0, smoothed: 1.0 };
        assert_eq!(proposed_rate(&[point(0.1), point(1.0)]), None);
        assert_eq!(proposed_rate(&[]), None);
        let data = Dataset::new(vec![1], Features::F32(vec![1.0]), vec![1.0], 1, None).expect("lengths agree");
        let network = nn::network("dense 1", &[1], None).expect("a network");
        let device = Arc::new(Device::best());
        for range in [RateRange { from: 0.0, ..RateRange::default() }, RateRange { to: 1e-9, ..RateRange::default() }] {
            let (start, options) = (Parameters::zeros(&network), FitOptions::default());
            let found = rate_range(&network, start, &Loss::mse(), &Part::all(&data), &options, range, &device);
            assert!(matches!(found, Err(TrainError::Settings(_))));
        }
    }
}
