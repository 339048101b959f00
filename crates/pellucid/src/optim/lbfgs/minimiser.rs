//! L-BFGS at work.

use std::ops::Range;

use kernels::buffer::Buffer;
use kernels::device::Device;
use kernels::reduce;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Lbfgs;
use super::history::{History, Ring, add_scaled, dot};
use super::line_search::{Line, Probe, search};
use crate::graph::Segment;
use crate::optim::groups::{GAP, Pass};
use crate::optim::method::Method;
use crate::optim::optimizer::penalty;
use crate::optim::{Groups, OptimError, OptimizerConfig};

/// The loss of all rows: writes the gradient at the parameters (both laid out like the slab) and returns the loss.
pub type Evaluate<'a> = dyn FnMut(&[f32], &mut [f32]) -> f32 + 'a;

/// L-BFGS for the parameters of one network.
///
/// ```
/// # use kernels::device::Device;
/// # use kernels::simd::Isa;
/// # use pellucid::graph::{Role, Segment};
/// # use pellucid::optim::{Groups, Lbfgs, Minimiser, OptimError};
/// # fn main() -> Result<(), OptimError> {
/// # let dims = [1].into_iter().collect();
/// # let segments = [Segment { name: "0.weight".to_string(), dims, range: 0..1, role: Role::Weight, frozen: false }];
/// # let device = Device::new(Isa::best(), 1);
/// let mut minimiser = Minimiser::new(&Lbfgs::default(), &segments, &Groups::default())?;
/// let mut parameters = [0.0];
/// for _ in 0..3 {
///     minimiser.minimise_step(&device, 1.0, &mut parameters, &mut |w, gradient| {
///         gradient[0] = 2.0 * (w[0] - 3.0);
///         (w[0] - 3.0) * (w[0] - 3.0)
///     });
/// }
/// assert!((parameters[0] - 3.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Minimiser {
    config: Lbfgs,
    len: usize,
    passes: Vec<Pass>,
    frozen: Vec<Range<usize>>,
    history: History,
    /// Where the gradient is known, if it is.
    point: Buffer,
    gradient: Buffer,
    loss: Option<f64>,
    steps: u64,
    scratch: Scratch,
}

/// The line and what was found on it.
#[derive(Debug)]
struct Scratch {
    direction: Buffer,
    /// The last probe.
    trial: Buffer,
    trial_gradient: Buffer,
    /// The gradient of the best probe.
    best_gradient: Buffer,
}

/// What came of one update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LbfgsStep {
    /// The loss at the parameters as they are now, with the L2 penalty.
    pub loss: f64,
    /// How often the loss was evaluated.
    pub evaluations: u32,
    /// Whether and why not the parameters were changed.
    pub outcome: LbfgsOutcome,
}

/// How an update of L-BFGS ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LbfgsOutcome {
    /// With a lower loss (or, near the minimum, one that is the same but for the rounding of f32).
    Moved,
    /// No gradient is larger than the tolerance; nothing was changed.
    Converged,
    /// No lower loss was found along the line, as happens where f32 cannot tell losses apart; nothing was changed.
    Stuck,
    /// The loss or its gradient was NaN or infinite where the parameters are; nothing was changed.
    NotFinite,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    optimizer: String,
    step: u64,
    loss: Option<f64>,
    ring: Ring,
}

/// Names of the slabs of a state; the first two hold all pairs.
const SLABS: [&str; 4] = ["s", "y", "point", "gradient"];

impl Minimiser {
    /// A fresh minimiser for the parameters `segments`, which lie in a slab in this order.
    ///
    /// # Errors
    /// If a setting is out of its range, or the groups ask for more than L2 penalties.
    pub fn new(config: &Lbfgs, segments: &[Segment], groups: &Groups) -> Result<Minimiser, OptimError> {
        OptimizerConfig::Lbfgs(config.clone()).check()?;
        let passes = groups.passes(config.settings(), segments)?;
        for pass in &passes {
            let unknown = [
                ("l1", pass.l1 != 0.0),
                ("decoupled_weight_decay", pass.decay != 0.0),
                ("lr_factor", pass.lr_factor != 1.0),
            ];
            if let Some((setting, _)) = unknown.into_iter().find(|(_, set)| *set) {
                return Err(OptimError::NotWithLbfgs { setting });
            }
        }
        let frozen = segments.iter().filter(|segment| segment.frozen).map(|segment| segment.range.clone()).collect();
        let len = segments.iter().map(|segment| segment.range.end).max().unwrap_or(0).next_multiple_of(GAP);
        let slab = || Buffer::new(len);
        let scratch = Scratch { direction: slab(), trial: slab(), trial_gradient: slab(), best_gradient: slab() };
        Ok(Minimiser {
            config: config.clone(),
            len,
            passes,
            frozen,
            history: History::new(config.history, len),
            point: slab(),
            gradient: slab(),
            loss: None,
            steps: 0,
            scratch,
        })
    }

    /// One update: a direction, and a step along it whose first length is `learning_rate`. Nothing is allocated.
    ///
    /// `evaluate` must be the same function each time: the full batch, without dropout. The gradient that was found at
    /// the end of an update is used by the next one, unless the parameters were changed in between. Gradients of frozen
    /// parameters do not count; the gaps between segments must hold zeros. Panics when `parameters` is shorter than the
    /// segments say.
    pub fn minimise_step(
        &mut self,
        device: &Device,
        learning_rate: f64,
        parameters: &mut [f32],
        evaluate: &mut Evaluate<'_>,
    ) -> LbfgsStep {
        let end = self.len.min(parameters.len());
        let mut evaluations = 0;
        let loss = match self.loss.filter(|_| self.point[..end] == parameters[..end]) {
            Some(loss) => loss,
            None => {
                self.point[..end].copy_from_slice(&parameters[..end]);
                evaluations = 1;
                let mut objective = Objective { device, passes: &self.passes, frozen: &self.frozen, end, evaluate };
                objective.at(&self.point, &mut self.gradient)
            }
        };
        let step = |loss, evaluations, outcome| LbfgsStep { loss, evaluations, outcome };
        if !loss.is_finite() || !reduce::all_finite(device, &self.gradient) {
            self.loss = None;
            return step(loss, evaluations, LbfgsOutcome::NotFinite);
        }
        self.loss = Some(loss);
        let largest = reduce::max(device, &self.gradient).max(-reduce::min(device, &self.gradient));
        if f64::from(largest) <= self.config.tolerance_grad {
            return step(loss, evaluations, LbfgsOutcome::Converged);
        }
        loop {
            let (found, probes) = self.along_the_line(device, learning_rate, loss, end, evaluate);
            evaluations += probes;
            if found.step > 0.0 {
                parameters[..end].copy_from_slice(&self.point[..end]);
                self.steps += 1;
                self.loss = Some(found.value);
                return step(found.value, evaluations, LbfgsOutcome::Moved);
            }
            if self.history.is_empty() {
                return step(loss, evaluations, LbfgsOutcome::Stuck);
            }
            // The pairs mislead; once more along the gradient.
            self.history.clear();
        }
    }

    /// Searches along -H g; moves the point and its gradient and remembers the pair if a lower loss was found.
    fn along_the_line(
        &mut self,
        device: &Device,
        learning_rate: f64,
        loss: f64,
        end: usize,
        evaluate: &mut Evaluate<'_>,
    ) -> (Probe, u32) {
        let Minimiser { passes, frozen, history, point, gradient, scratch, config, .. } = self;
        scratch.direction.copy_from_slice(gradient);
        let first = if history.is_empty() {
            // The gradient has a direction but no scale; PyTorch's first step.
            learning_rate * (1.0 / f64::from(reduce::sum_of_magnitudes(device, gradient))).min(1.0)
        } else {
            learning_rate
        };
        history.turn(device, &mut scratch.direction);
        let start = Probe { step: 0.0, value: loss, slope: dot(device, gradient, &scratch.direction) };
        let downhill = start.slope < 0.0 && start.slope.is_finite() && first > 0.0;
        if !downhill {
            return (start, 0);
        }
        let mut line = Ray { device, point, scratch, objective: Objective { device, passes, frozen, end, evaluate } };
        let (found, probes) = search(&mut line, start, first, config.max_evaluations);
        if found.step > 0.0 {
            // The same operations as in the probe, so the same bits.
            scratch.trial.copy_from_slice(point);
            add_scaled(device, found.step, &scratch.direction, &mut scratch.trial);
            history.push(device, (point, gradient), (&scratch.trial, &scratch.best_gradient));
            std::mem::swap(point, &mut scratch.trial);
            std::mem::swap(gradient, &mut scratch.best_gradient);
        }
        (found, probes)
    }

    /// Updates that changed the parameters.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// All that the next update depends on, besides the settings and the loss; see `Optimizer::state`. The slabs `s` and
    /// `y` hold all pairs one after the other.
    pub fn state(&self) -> (Vec<(&'static str, &[f32])>, Value) {
        let slabs: [&[f32]; 4] = [&self.history.s, &self.history.y, &self.point, &self.gradient];
        let stored =
            Stored { optimizer: NAME.to_string(), step: self.steps, loss: self.loss, ring: self.history.ring.clone() };
        let document = serde_json::to_value(stored).expect("finite numbers");
        (SLABS.into_iter().zip(slabs).collect(), document)
    }

    /// Takes the state of [`Minimiser::state`]: `fill(name, slab)` writes each slab.
    ///
    /// # Errors
    /// If `counters` is no document of such a minimiser (nothing is changed then), or the first error of `fill`.
    pub fn restore<E: From<OptimError>>(
        &mut self,
        counters: &Value,
        mut fill: impl FnMut(&'static str, &mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let wrong = |found| OptimError::State { expected: format!("optimizer {NAME}"), found };
        let stored: Stored = Deserialize::deserialize(counters).map_err(|error| wrong(format!("{error}")))?;
        if stored.optimizer != NAME {
            return Err(wrong(format!("it is one of optimizer {}", stored.optimizer)).into());
        }
        let (pairs, room) = (stored.ring.sy.len(), self.config.history);
        if pairs != room {
            return Err(wrong(format!("it has room for {pairs} pairs, not {room}")).into());
        }
        let slabs = [&mut self.history.s, &mut self.history.y, &mut self.point, &mut self.gradient];
        for (name, slab) in SLABS.into_iter().zip(slabs) {
            fill(name, slab)?;
        }
        self.history.ring = stored.ring;
        self.loss = stored.loss;
        self.steps = stored.step;
        Ok(())
    }
}

const NAME: &str = "lbfgs";

/// The loss with its penalties.
struct Objective<'a, 'b> {
    device: &'a Device,
    passes: &'a [Pass],
    frozen: &'a [Range<usize>],
    end: usize,
    evaluate: &'a mut Evaluate<'b>,
}

impl Objective<'_, '_> {
    fn at(&mut self, parameters: &[f32], gradient: &mut [f32]) -> f64 {
        let loss = (self.evaluate)(&parameters[..self.end], &mut gradient[..self.end]);
        for range in self.frozen {
            gradient[range.clone()].fill(0.0);
        }
        for pass in self.passes.iter().filter(|pass| pass.l2 != 0.0) {
            add_scaled(self.device, pass.l2, &parameters[pass.range.clone()], &mut gradient[pass.range.clone()]);
        }
        f64::from(loss) + penalty(self.passes, self.device, parameters)
    }
}

/// The objective from a point along a direction.
struct Ray<'a, 'b> {
    device: &'a Device,
    point: &'a [f32],
    scratch: &'a mut Scratch,
    objective: Objective<'a, 'b>,
}

impl Line for Ray<'_, '_> {
    fn probe(&mut self, step: f64) -> (f64, f64) {
        let Scratch { direction, trial, trial_gradient, .. } = &mut *self.scratch;
        trial.copy_from_slice(self.point);
        add_scaled(self.device, step, direction, trial);
        let value = self.objective.at(trial, trial_gradient);
        (value, dot(self.device, trial_gradient, direction))
    }

    fn keep(&mut self) {
        std::mem::swap(&mut self.scratch.trial_gradient, &mut self.scratch.best_gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Role;
    use crate::optim::tests::{bits, devices, segment, values};

    fn minimiser(text: &str, segments: &[Segment], groups: &Groups) -> Minimiser {
        let OptimizerConfig::Lbfgs(config) = OptimizerConfig::parse(text).expect("settings") else { panic!("{text}") };
        Minimiser::new(&config, segments, groups).expect("good settings")
    }

    /// Rosenbrock, "An automatic method for finding the greatest or least value of a function", 1960.
    fn rosenbrock(w: &[f32], gradient: &mut [f32]) -> f32 {
        let (x, y) = (f64::from(w[0]), f64::from(w[1]));
        gradient[0] = (-2.0 * (1.0 - x) - 400.0 * x * (y - x * x)) as f32;
        gradient[1] = (200.0 * (y - x * x)) as f32;
        ((1.0 - x) * (1.0 - x) + 100.0 * (y - x * x) * (y - x * x)) as f32
    }

    #[test]
    fn rosenbrocks_valley_is_followed_to_its_end() {
        let device = &devices()[0];
        let mut minimiser = minimiser("lbfgs", &[segment("w", 0..2, Role::Weight)], &Groups::default());
        let mut w = [-1.2, 1.0];
        let (mut evaluations, mut last) = (0, f64::INFINITY);
        for _ in 0..60 {
            let step = minimiser.minimise_step(device, 1.0, &mut w, &mut rosenbrock);
            evaluations += step.evaluations;
            assert!(step.loss <= last, "the loss never rises");
            last = step.loss;
        }
        assert!((w[0] - 1.0).abs() < 1e-4 && (w[1] - 1.0).abs() < 2e-4, "{w:?}");
        // 37 and 46 when this was written: a worse line search shows.
        assert!(minimiser.steps() <= 40 && evaluations <= 50, "{} steps, {evaluations} evaluations", minimiser.steps());
    }

    const QUADRATIC: usize = 20_000;

    /// Σ c (w - t)² / 2 with c from 1 to 50, and an L2 penalty of λ = 0.5 by the settings: w = c t / (c + λ) is best.
    fn quadratic(w: &[f32], gradient: &mut [f32]) -> f32 {
        let targets = values(3, QUADRATIC);
        let mut loss = 0.0;
        for i in 0..QUADRATIC {
            let c = 1.0 + 49.0 * (i as f64 / QUADRATIC as f64);
            let difference = f64::from(w[i]) - f64::from(targets[i]);
            gradient[i] = (c * difference) as f32;
            loss += 0.5 * c * difference * difference;
        }
        loss as f32
    }

    #[test]
    fn a_quadratic_ends_at_its_minimum_with_the_same_bits_everywhere_and_after_a_restored_state() {
        let text = "lbfgs:weight_decay=0.5,history=5,tolerance_grad=1e-5";
        let segments = [segment("w", 0..QUADRATIC, Role::Weight)];
        let start = values(7, QUADRATIC);
        let steps = 40;
        let mut reference: Vec<u32> = vec![];
        for device in devices() {
            let mut minimiser = minimiser(text, &segments, &Groups::default());
            let mut w = start.clone();
            for _ in 0..steps {
                minimiser.minimise_step(&device, 1.0, &mut w, &mut quadratic);
            }
            if reference.is_empty() {
                let targets = values(3, QUADRATIC);
                for i in 0..QUADRATIC {
                    let c = 1.0 + 49.0 * (i as f64 / QUADRATIC as f64);
                    let best = c * f64::from(targets[i]) / (c + 0.5);
                    assert!((f64::from(w[i]) - best).abs() < 1e-4, "{i}: {} {best}", w[i]);
                }
                reference = bits(&w);
            }
            assert!(bits(&w) == reference, "{device:?}");
        }
        let device = &devices()[0];
        for cut in [0, 1, 3, 9] {
            let mut first = minimiser(text, &segments, &Groups::default());
            let mut w = start.clone();
            for _ in 0..cut {
                first.minimise_step(device, 1.0, &mut w, &mut quadratic);
            }
            let (slabs, counters) = first.state();
            let counters = serde_json::from_str(&counters.to_string()).expect("JSON");
            let mut second = minimiser(text, &segments, &Groups::default());
            let fill = |name: &str, slab: &mut [f32]| {
                slab.copy_from_slice(slabs.iter().find(|(stored, _)| *stored == name).expect("a slab").1);
                Ok::<(), OptimError>(())
            };
            second.restore(&counters, fill).expect("its own state");
            for _ in cut..steps {
                second.minimise_step(device, 1.0, &mut w, &mut quadratic);
            }
            assert!(bits(&w) == reference, "restored after {cut}");
        }
    }

    #[test]
    fn frozen_parameters_stay_and_changed_parameters_are_noticed() {
        let device = &devices()[0];
        let mut segments = [segment("a", 0..1, Role::Weight), segment("b", 16..17, Role::Weight)];
        segments[1].frozen = true;
        let mut minimiser = minimiser("lbfgs", &segments, &Groups::default());
        let mut evaluate = |w: &[f32], gradient: &mut [f32]| {
            (gradient[0], gradient[16]) = (2.0 * (w[0] - w[16]), 2.0 * (w[16] - w[0]));
            (w[0] - w[16]) * (w[0] - w[16])
        };
        let mut w = [0.0; 32];
        w[16] = 4.0;
        for _ in 0..4 {
            minimiser.minimise_step(device, 1.0, &mut w, &mut evaluate);
        }
        assert!((w[0] - 4.0).abs() < 1e-6 && w[16] == 4.0, "{w:?}");
        let end = minimiser.minimise_step(device, 1.0, &mut w, &mut evaluate);
        assert_eq!((end.outcome, end.evaluations), (LbfgsOutcome::Converged, 0));
        w[0] = 9.0;
        let again = minimiser.minimise_step(device, 1.0, &mut w, &mut evaluate);
        assert!(again.outcome == LbfgsOutcome::Moved && again.evaluations > 1);
        assert!((w[0] - 4.0).abs() < 5.0);
    }

    #[test]
    fn a_loss_that_is_no_number_changes_nothing() {
        let device = &devices()[0];
        let mut minimiser = minimiser("lbfgs", &[segment("w", 0..1, Role::Weight)], &Groups::default());
        let mut w = [1.0];
        for bad in [f32::NAN, f32::INFINITY] {
            for (loss, slope) in [(bad, 1.0), (1.0, bad)] {
                let step = minimiser.minimise_step(device, 1.0, &mut w, &mut |_, gradient| {
                    gradient[0] = slope;
                    loss
                });
                assert_eq!((step.outcome, w), (LbfgsOutcome::NotFinite, [1.0]));
            }
        }
        let stuck = minimiser.minimise_step(device, 1.0, &mut w, &mut |w, gradient| {
            gradient[0] = 1.0;
            if w[0] == 1.0 { 0.0 } else { 1.0 }
        });
        assert_eq!((stuck.outcome, w), (LbfgsOutcome::Stuck, [1.0]));
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        let segments = [segment("w", 0..2, Role::Weight)];
        let refused = |groups: Groups| Minimiser::new(&Lbfgs::default(), &segments, &groups).unwrap_err().to_string();
        assert!(refused(Groups { l1: 0.1, ..Groups::default() }).contains("but not l1"));
        let decay = Groups { decoupled_weight_decay: 0.1, ..Groups::default() };
        assert!(refused(decay).contains("but not decoupled_weight_decay"));
        let error = OptimizerConfig::parse("lbfgs:history=0").unwrap_err().to_string();
        assert_eq!(error, "'history' must be from 1 to 1000, got 0");
        let config = OptimizerConfig::parse("lbfgs").expect("settings");
        let error = crate::optim::Optimizer::new(&config, &segments, &Groups::default()).unwrap_err();
        assert_eq!(error, OptimError::FullBatch);
    }
}
