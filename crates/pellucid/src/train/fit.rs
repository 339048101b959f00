//! The fit loop: epochs of mini-batches, each forward, backward and update; validation, early stopping, checkpoints.
//!
//! What happens is a function of data, settings and seed alone. A run that is resumed from a checkpoint goes through
//! the same steps with the same numbers as one that was never interrupted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kernels::device::Device;

use super::augmented::Augmented;
use super::batch::{fill, fill_windows};
use super::buckets::Buckets;
use super::evaluate::{Evaluator, Outputs};
use super::order::{Order, in_lanes};
use super::score::{Judge, epoch_scores};
use super::state::{Identity, Running, State};
use super::updater::Updater;
use super::{
    Control, EarlyStopping, EndReason, EpochRecord, Event, FitOptions, History, Part, Problem, TrainError, Watcher,
    Windows,
};
use crate::data::{Features, Task};
use crate::graph::{Graph, Moment, Parameters, PlanId, PlanOptions, Session, exchange_max};
use crate::metrics::{Detail, Scores};
use crate::model::{Checkpoint, CheckpointStore, NamedTensor};
use crate::nn::LossLayer;
use crate::optim::{LbfgsOutcome, Schedule};
use crate::tensor::Purpose;

/// A run: what is trained, on what, and how.
pub struct Fit<'a> {
    /// The network, without a loss. Frozen parameters stay as they are, and what is frozen behaves as at inference
    /// ([`Graph::frozen_at_inference`]).
    pub network: &'a Graph,
    /// Initial values; fresh ones from the seed if absent.
    pub parameters: Option<Parameters>,
    /// The loss.
    pub loss: &'a dyn LossLayer,
    /// What is predicted: decides on metrics.
    pub task: &'a Task,
    /// Rows to learn from.
    pub train: Part<'a>,
    /// Rows to judge by.
    pub validation: Option<Part<'a>>,
    /// Settings.
    pub options: &'a FitOptions,
    /// Instruction set and threads.
    pub device: Arc<Device>,
    /// Where checkpoints go, if anywhere.
    pub checkpoints: Option<CheckpointStore>,
    /// Least time between checkpoints at the end of an epoch: writing one takes milliseconds, which may be longer than an
    /// epoch. The end of the run always has one. Zero by default: one after each epoch.
    pub checkpoint_pause: Duration,
    /// Go on from this checkpoint.
    pub resume: Option<Checkpoint>,
    /// The checkpoint may be of a run with other settings, from which this one branches off: another rate, penalty, batch size. The
    /// network, the data and the kind of optimiser stay the same.
    pub branches: bool,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The kept parameters.
    pub parameters: Parameters,
    /// Epoch by epoch.
    pub history: History,
    /// Why it ended.
    pub reason: EndReason,
    /// The epoch whose parameters are kept.
    pub kept_epoch: usize,
    /// Updates made.
    pub steps: u64,
    /// Seconds in the fit loop, validation and checkpoints included; those before a resume too.
    pub seconds: f64,
}

impl<'a> Fit<'a> {
    /// A run on the rows of `train` with default settings for the rest: no validation, no checkpoints, the fastest
    /// instruction set, all cores.
    pub fn new(
        network: &'a Graph,
        loss: &'a dyn LossLayer,
        task: &'a Task,
        train: Part<'a>,
        options: &'a FitOptions,
    ) -> Fit<'a> {
        Fit {
            network,
            parameters: None,
            loss,
            task,
            train,
            validation: None,
            options,
            device: Arc::new(Device::best()),
            checkpoints: None,
            checkpoint_pause: Duration::ZERO,
            resume: None,
            branches: false,
        }
    }

    /// Runs it. The watcher hears of every step.
    ///
    /// # Errors
    /// [`TrainError`]. After [`TrainError::NotFinite`] the last checkpoint is as it was before the bad step.
    pub fn run(self, watcher: &mut dyn Watcher) -> Result<Fitted, TrainError> {
        Loop::new(self)?.run(watcher)
    }
}

/// What computes, for a network in which some parameters are frozen and some are not.
struct Engine {
    problem: Problem,
    session: Session,
    updater: Updater,
    augmented: Option<Augmented>,
    /// Of whole batches, and of the last of an epoch.
    buckets: Buckets,
    plans: Plans,
    validation: Option<(Evaluator, Outputs)>,
}

/// For each bucket the plans of a whole batch and of a smaller one, where there are rows for it.
type Plans = Vec<[Option<PlanId>; 2]>;

impl Engine {
    /// For an epoch of the rows `ordered`. Fresh parameters from the seed if there are none.
    fn new(fit: &Fit, network: &Graph, parameters: Option<Parameters>, ordered: &[u32]) -> Result<Engine, TrainError> {
        let (options, rows) = (fit.options, ordered.len());
        let weighted = fit.train.data.weights.is_some();
        let mut problem = if options.augmentation.mixes() {
            Problem::of_mixtures(network, fit.loss, weighted)?
        } else {
            Problem::new(network, fit.loss, weighted)?
        };
        problem.graph = Arc::new(exchange_max(Arc::unwrap_or_clone(problem.graph).frozen_at_inference()));
        fit.train.check(&problem)?;
        let device = fit.device.clone();
        let parameters = match parameters {
            Some(parameters) => parameters,
            None => Parameters::initialise(&problem.graph, &device, options.seed),
        };
        let batch = options.batch_size.rows(rows);
        let carries = options.windows == Windows::Carried;
        let augmented = Augmented::new(options, fit.train.data, &problem, &device, batch)?;
        let updater = Updater::new(options, &problem.graph, parameters.segments(), batch == rows)?;
        let mut session = Session::new(problem.graph.clone(), device, parameters, options.seed);
        let buckets = match options.windows.are_apart() && options.augmentation.is_none() {
            true => Buckets::new(&problem.graph, fit.train.data),
            false => Buckets::default(),
        };
        let mut plan = |batch: usize, length: Option<usize>| {
            let outputs = [problem.prediction, problem.loss];
            let loss = Some(problem.loss);
            let options = PlanOptions { batch, outputs: &outputs, loss, carries, length, ..Default::default() };
            (batch > 0).then(|| session.plan(&options)).transpose()
        };
        let mut plans: Plans = vec![[None, None]; buckets.count()];
        for &row in ordered {
            let bucket = buckets.of(row);
            if plans[bucket][0].is_none() {
                let steps = buckets.steps(bucket);
                plans[bucket] = [plan(batch, steps)?, plan(rows % batch, steps)?];
            }
        }
        let validation = match fit.validation.as_ref().filter(|part| !part.rows.is_empty()) {
            Some(part) => {
                part.check(&problem)?;
                Some((Evaluator::new(&mut session, &problem, part, options.windows)?, Outputs::default()))
            }
            None => None,
        };
        Ok(Engine { problem, session, updater, augmented, buckets, plans, validation })
    }
}

/// The state of a run in progress.
struct Loop<'a> {
    fit: Fit<'a>,
    problem: Problem,
    session: Session,
    updater: Updater,
    schedule: Schedule,
    order: Order,
    augmented: Option<Augmented>,
    batch: usize,
    buckets: Buckets,
    plans: Plans,
    validation: Option<(Evaluator, Outputs)>,
    /// Nothing is frozen any more ([`FitOptions::thaw`]).
    thawed: bool,
    best: Option<Parameters>,
    state: State,
    stopping: EarlyStopping,
    /// Every batch has the same rows in the same order, and nothing else uses the memory of the inputs.
    rows_stay: bool,
    /// They lie there already.
    filled: bool,
    /// When the last checkpoint was written, or the run began.
    saved_at: Instant,
    /// Nothing was done since.
    saved: bool,
}

impl<'a> Loop<'a> {
    fn new(mut fit: Fit<'a>) -> Result<Loop<'a>, TrainError> {
        let options = fit.options;
        if fit.train.rows.is_empty() {
            return Err(TrainError::NoRows);
        }
        if options.restore_best && fit.validation.as_ref().is_none_or(|part| part.rows.is_empty()) {
            let message = "keeping the best epoch needs a validation part";
            return Err(TrainError::Settings(message.to_string()));
        }
        let ordered = in_order(&fit.train, options)?;
        let rows = ordered.len();
        let batch = options.batch_size.rows(rows);
        let carries = options.windows == Windows::Carried;
        let steps_per_epoch = rows.div_ceil(batch) as u64;
        let rate = options.optimizer.learning_rate();
        let schedule =
            Schedule::new(&options.schedule, rate, steps_per_epoch * options.epochs as u64, steps_per_epoch)?;
        let parameters = fit.parameters.take();
        let engine = Engine::new(&fit, fit.network, parameters, &ordered)?;
        let shuffle = options.shuffle && batch < rows && !carries;
        let order = Order::new(&ordered, shuffle, options.seed);
        let rows_stay = !shuffle && batch == rows && engine.validation.is_none() && options.windows.are_apart();
        let identity = Identity::of(&engine.problem.graph, &fit.train, options);
        let state = State { identity, ..State::default() };
        let stopping = options.early_stopping.clone().unwrap_or_default();
        stopping.check(fit.task)?;
        let Engine { problem, session, updater, augmented, buckets, plans, validation } = engine;
        let mut run = Loop {
            fit,
            problem,
            session,
            updater,
            schedule,
            order,
            augmented,
            batch,
            buckets,
            plans,
            validation,
            thawed: false,
            best: None,
            state,
            stopping,
            rows_stay,
            filled: false,
            saved_at: Instant::now(),
            saved: true,
        };
        if let Some(checkpoint) = run.fit.resume.take() {
            run.restore(checkpoint)?;
        }
        Ok(run)
    }

    fn run(mut self, watcher: &mut dyn Watcher) -> Result<Fitted, TrainError> {
        let begun = Instant::now();
        let before = self.state.seconds;
        let rows = self.order.current().len();
        watcher.on(Event::Begin {
            epochs: self.fit.options.epochs,
            finished_epochs: self.state.epochs,
            steps_per_epoch: rows.div_ceil(self.batch),
            rows_per_epoch: rows,
        });
        let mut reason = EndReason::Epochs;
        while self.state.epochs < self.fit.options.epochs {
            if self.should_stop() {
                reason = EndReason::EarlyStopping;
                break;
            }
            if self.state.converged {
                reason = EndReason::Converged;
                break;
            }
            self.thaw_if_due(self.state.epochs)?;
            let mut control = self.epoch(watcher)?;
            self.state.seconds = before + begun.elapsed().as_secs_f64();
            if control == Control::Continue {
                control = self.end_of_epoch(watcher)?;
            }
            if control == Control::Stop {
                reason = EndReason::Watcher;
                break;
            }
        }
        self.state.seconds = before + begun.elapsed().as_secs_f64();
        if !self.saved {
            self.checkpoint(watcher)?;
            self.state.seconds = before + begun.elapsed().as_secs_f64();
        }
        let kept_epoch = match (&self.best, self.state.best.best()) {
            (Some(_), Some((epoch, _))) => epoch,
            _ => self.state.epochs,
        };
        watcher.on(Event::End { reason, kept_epoch });
        Ok(Fitted {
            parameters: self.best.unwrap_or_else(|| self.session.into_parameters()),
            history: History { epochs: self.state.history },
            reason,
            kept_epoch,
            steps: self.state.step,
            seconds: self.state.seconds,
        })
    }

    /// From the epoch on that the options say, all parameters are trained; moments of the optimiser go on.
    fn thaw_if_due(&mut self, epochs: usize) -> Result<(), TrainError> {
        if self.thawed || self.fit.options.thaw.is_none_or(|thaw| epochs < thaw) {
            return Ok(());
        }
        let mut network = self.fit.network.clone();
        network.freeze(false, |_| true);
        // The places are the same; which of them are frozen is another matter.
        let mut parameters = Parameters::zeros(&network);
        parameters.values_mut().copy_from_slice(self.session.parameters().values());
        let mut engine = Engine::new(&self.fit, &network, Some(parameters), self.order.current())?;
        if matches!(self.updater, Updater::Batches(_)) {
            let (slabs, counters) = self.updater.state();
            engine.updater.restore(&counters, |name, slab| -> Result<(), TrainError> {
                let (_, before) = slabs.iter().find(|(before, _)| *before == name).expect("the same optimiser");
                slab.copy_from_slice(before);
                Ok(())
            })?;
        }
        let Engine { problem, session, updater, augmented, buckets, plans, validation } = engine;
        (self.problem, self.session, self.updater, self.augmented) = (problem, session, updater, augmented);
        (self.buckets, self.plans, self.validation) = (buckets, plans, validation);
        (self.thawed, self.filled) = (true, false);
        Ok(())
    }

    fn should_stop(&self) -> bool {
        self.fit.options.early_stopping.is_some()
            && self.validation.is_some()
            && self.state.best.exhausted(&self.stopping)
    }

    /// The batches of an epoch, from where the run stands.
    fn epoch(&mut self, watcher: &mut dyn Watcher) -> Result<Control, TrainError> {
        let device = self.fit.device.clone();
        let epoch = self.state.epochs as u64;
        let rows = self.order.current().len();
        self.order.of_epoch(&device, epoch, (&self.buckets, self.batch));
        let every = self.fit.options.checkpoint_every.filter(|every| *every > 0);
        while self.state.batches * self.batch < rows {
            let first = self.state.batches * self.batch;
            let loss = self.step(first..rows.min(first + self.batch))?;
            self.state.batches += 1;
            if watcher.on(Event::Step { step: self.state.step, loss }) == Control::Stop {
                return Ok(Control::Stop);
            }
            let unfinished = self.state.batches * self.batch < rows;
            if unfinished && every.is_some_and(|every| self.state.step.is_multiple_of(every)) {
                self.checkpoint(watcher)?;
            }
        }
        Ok(Control::Continue)
    }

    /// One update, with the rows at `range` of the epoch's order; the loss before it.
    fn step(&mut self, range: std::ops::Range<usize>) -> Result<f64, TrainError> {
        let rows = &self.order.current()[range];
        let plans = self.plans[self.buckets.of_batch(rows)];
        let plan = plans[usize::from(rows.len() < self.batch)].expect("a plan for every size of a batch");
        let step = self.state.step;
        if let Some(augmented) = &mut self.augmented {
            let epoch = self.state.epochs as u64;
            augmented.fill(&mut self.session, plan, &self.problem, self.fit.train.data, rows, epoch, step)?;
        } else if !self.fit.options.windows.are_apart() {
            let shift = self.shift();
            fill_windows(&mut self.session, plan, &self.problem, self.fit.train.data, rows, shift);
        } else if !self.filled {
            fill(&mut self.session, plan, &self.problem, self.fit.train.data, rows)?;
            self.filled = self.rows_stay;
        }
        if matches!(self.updater, Updater::Whole { .. }) {
            return self.whole_step(plan);
        }
        let moment = Moment { step, past: self.past() };
        self.session.forward(plan, moment);
        let loss = self.session.value(plan, self.problem.loss)[0];
        if !loss.is_finite() {
            return Err(self.not_finite_loss(plan, loss));
        }
        let outputs = self.session.value(plan, self.problem.prediction);
        let classes = (self.fit.task, self.fit.loss.link());
        // Of a mixture, the row that most of it is from.
        let judged = self.augmented.as_ref().map_or(rows, |augmented| augmented.main_rows(rows));
        self.state.running.add(classes, &self.fit.train, judged, outputs, f64::from(loss));
        self.session.backward(plan, moment);
        let rate = self.schedule.rate(step);
        let (parameters, gradients) = self.session.parameters_and_gradients();
        if let Some(clipping) = &self.fit.options.clipping {
            clipping.apply(&self.fit.device, gradients);
        }
        if let Updater::Batches(optimizer) = &mut self.updater
            && !optimizer.update(&self.fit.device, rate, parameters.values_mut(), gradients)
        {
            return Err(self.not_finite_gradient());
        }
        self.state.step += 1;
        self.saved = false;
        Ok(f64::from(loss))
    }

    /// By how many time steps the windows of this epoch begin later than the first one did.
    fn shift(&self) -> usize {
        let stream = Purpose::Shift.stream(self.fit.options.seed).at(self.state.epochs as u64);
        stream.below(0, self.fit.train.data.sample_shape[0] as u32) as usize
    }

    /// Time steps of the batches before this one, if its rows go on where theirs ended.
    fn past(&self) -> usize {
        match self.fit.options.windows {
            Windows::Carried => self.state.batches * self.fit.train.data.sample_shape[0],
            Windows::Apart | Windows::Shifted => 0,
        }
    }

    /// One update of L-BFGS on the rows that are filled in; the loss after it.
    fn whole_step(&mut self, plan: PlanId) -> Result<f64, TrainError> {
        let step = self.state.step;
        let rate = self.schedule.rate(step);
        let (session, problem) = (&mut self.session, &self.problem);
        let Updater::Whole { minimiser, parameters } = &mut self.updater else { unreachable!("L-BFGS") };
        parameters.clear();
        parameters.extend_from_slice(session.parameters().values());
        let update = minimiser.minimise_step(&self.fit.device, rate, parameters, &mut |at, gradient| {
            session.parameters_mut().values_mut()[..at.len()].copy_from_slice(at);
            session.forward(plan, step);
            session.backward(plan, step);
            gradient.copy_from_slice(&session.gradients()[..gradient.len()]);
            session.value(plan, problem.loss)[0]
        });
        // What was tried last is not what was kept.
        session.parameters_mut().values_mut().copy_from_slice(parameters);
        session.forward(plan, step);
        let loss = session.value(plan, problem.loss)[0];
        if !loss.is_finite() {
            return Err(self.not_finite_loss(plan, loss));
        }
        match update.outcome {
            LbfgsOutcome::NotFinite => {
                session.backward(plan, step);
                return Err(self.not_finite_gradient());
            }
            LbfgsOutcome::Converged | LbfgsOutcome::Stuck => self.state.converged = true,
            LbfgsOutcome::Moved => {}
        }
        let outputs = session.value(plan, problem.prediction);
        let rows = self.order.current();
        let classes = (self.fit.task, self.fit.loss.link());
        self.state.running.add(classes, &self.fit.train, rows, outputs, f64::from(loss));
        self.state.step += 1;
        self.saved = false;
        Ok(f64::from(loss))
    }

    /// Records the epoch, judges it, saves a checkpoint.
    fn end_of_epoch(&mut self, watcher: &mut dyn Watcher) -> Result<Control, TrainError> {
        let begun = Instant::now();
        let options = self.fit.options;
        let epoch = self.state.epochs + 1;
        let validation = self.validate()?;
        let mut best = false;
        if let Some(scores) = &validation {
            let value = scores.get(&self.stopping.monitor).expect("checked before the run began");
            best = self.state.best.observe(epoch, value, &self.stopping);
            self.schedule.observe(value);
            if best && options.restore_best {
                let current = self.session.parameters();
                match &mut self.best {
                    Some(kept) => kept.values_mut().copy_from_slice(current.values()),
                    None => self.best = Some(current.clone()),
                }
            }
        }
        self.state.seconds += begun.elapsed().as_secs_f64();
        let record = EpochRecord {
            epoch,
            step: self.state.step,
            learning_rate: self.schedule.rate(self.state.step.saturating_sub(1)),
            seconds: self.state.seconds,
            train: self.state.running.scores(self.fit.task),
            validation,
        };
        self.state.epochs = epoch;
        self.state.batches = 0;
        self.state.running = Running::default();
        let control = watcher.on(Event::Epoch { record: &record, best });
        self.state.history.push(record);
        if self.saved_at.elapsed() >= self.fit.checkpoint_pause {
            self.checkpoint(watcher)?;
        }
        Ok(control)
    }

    fn validate(&mut self) -> Result<Option<Scores>, TrainError> {
        let (Some((evaluator, outputs)), Some(part)) = (&mut self.validation, &self.fit.validation) else {
            return Ok(None);
        };
        let judge = Judge { task: self.fit.task, link: self.fit.loss.link(), part, detail: Detail::Running };
        let monitor = &self.stopping.monitor;
        epoch_scores(judge, evaluator, &mut self.session, &self.problem, outputs, monitor).map(Some)
    }

    fn checkpoint(&mut self, watcher: &mut dyn Watcher) -> Result<(), TrainError> {
        let Some(store) = &mut self.fit.checkpoints else { return Ok(()) };
        let (slabs, counters) = self.updater.state();
        self.state.optimizer = counters;
        self.state.schedule = self.schedule.state();
        let parameters = self.session.parameters();
        let whole = [parameters.values().len()];
        let mut tensors = vec![NamedTensor { name: PARAMETERS, shape: &whole, data: parameters.values() }];
        let names: Vec<String> = slabs.iter().map(|(name, _)| format!("{MOMENTS}{name}")).collect();
        let shapes: Vec<[usize; 1]> = slabs.iter().map(|(_, slab)| [slab.len()]).collect();
        for (((_, data), name), shape) in slabs.iter().zip(&names).zip(&shapes) {
            tensors.push(NamedTensor { name, shape, data });
        }
        if let Some(best) = &self.best {
            tensors.push(NamedTensor { name: BEST, shape: &whole, data: best.values() });
        }
        let carried = [self.session.carried().len()];
        if self.state.batches > 0 && carried[0] > 0 {
            tensors.push(NamedTensor { name: CARRIED, shape: &carried, data: self.session.carried() });
        }
        store.save(self.state.step, &tensors, &self.state)?;
        (self.saved, self.saved_at) = (true, Instant::now());
        watcher.on(Event::Checkpoint { folder: store.folder(), step: self.state.step });
        Ok(())
    }

    fn restore(&mut self, checkpoint: Checkpoint) -> Result<(), TrainError> {
        let mut state: State = checkpoint.state()?;
        let own = std::mem::take(&mut self.state.identity);
        if self.fit.branches {
            if state.batches > 0 && state.identity.settings["batch_size"] != own.settings["batch_size"] {
                let message = "another batch size can only begin with an epoch; branch off where one ends";
                return Err(TrainError::Settings(message.to_string()));
            }
            state.identity.settings = own.settings.clone();
        }
        own.check(&state.identity)?;
        self.thaw_if_due(state.epochs)?;
        let take = |name: &str, target: &mut [f32]| match checkpoint.tensors.get(name) {
            Some(tensor) if tensor.data.len() == target.len() => {
                target.copy_from_slice(&tensor.data);
                Ok(())
            }
            found => Err(TrainError::OtherRun {
                what: "the number of values",
                expected: target.len().to_string(),
                found: found.map_or("none".to_string(), |tensor| tensor.data.len().to_string()),
            }),
        };
        take(PARAMETERS, self.session.parameters_mut().values_mut())?;
        if checkpoint.tensors.contains_key(BEST) {
            let mut best = self.session.parameters().clone();
            take(BEST, best.values_mut())?;
            self.best = Some(best);
        }
        if checkpoint.tensors.contains_key(CARRIED) {
            take(CARRIED, self.session.carried_mut())?;
        }
        self.updater.restore(&state.optimizer, |name, slab| take(&format!("{MOMENTS}{name}"), slab))?;
        self.schedule.restore(&state.schedule)?;
        self.state = state;
        Ok(())
    }

    /// Finds the first pass whose output is not finite, by running the same step again.
    fn not_finite_loss(&mut self, plan: PlanId, value: f32) -> TrainError {
        let mut first = None;
        let moment = Moment { step: self.state.step, past: self.past() };
        self.session.forward_observed(plan, moment, |event| {
            if let crate::graph::Event::Forward { node, output } = event
                && first.is_none()
                && !output.iter().all(|x| x.is_finite())
            {
                first = Some(node);
            }
        });
        let nodes = self.problem.graph.nodes();
        let layer =
            first.map_or("loss".to_string(), |node| format!("{} ({})", nodes[node].label, nodes[node].op.name()));
        self.not_finite("the loss", value, layer)
    }

    /// Finds the parameter nearest to the loss whose gradient is not finite.
    fn not_finite_gradient(&self) -> TrainError {
        let gradients = self.session.gradients();
        let bad = |range: std::ops::Range<usize>| gradients[range].iter().copied().find(|x| !x.is_finite());
        let segments = self.session.parameters().segments();
        let found = segments.iter().rev().find_map(|segment| Some((&segment.name, bad(segment.range.clone())?)));
        let (layer, value) = found.map_or(("?".to_string(), f32::NAN), |(name, value)| (name.clone(), value));
        self.not_finite("a gradient", value, layer)
    }

    fn not_finite(&self, what: &'static str, value: f32, layer: String) -> TrainError {
        let advice = "try a smaller learning rate, gradient clipping, or scaled inputs";
        TrainError::NotFinite { what, value, step: self.state.step + 1, epoch: self.state.epochs + 1, layer, advice }
    }
}

const PARAMETERS: &str = "parameters";
const BEST: &str = "best";
const CARRIED: &str = "carried";
const MOMENTS: &str = "optimizer.";

/// The rows of an epoch before they are shuffled: of windows of a sequence all but the last, behind which a shifted one would
/// end, and in lanes where each goes on where another ended.
fn in_order(train: &Part, options: &FitOptions) -> Result<Vec<u32>, TrainError> {
    if options.windows.are_apart() {
        return Ok(train.rows.to_vec());
    }
    let refuse = |message: &str| Err(TrainError::Settings(format!("windows of one sequence {message}")));
    let data = train.data;
    let steps = data.sample_shape.first().copied().unwrap_or(0);
    if !matches!(data.features, Features::F32(_)) || steps == 0 || !data.target_width.is_multiple_of(steps) {
        return refuse("need values in memory, and targets for every step");
    }
    if data.weights.is_some() || !options.augmentation.is_none() {
        return refuse("take neither row weights nor augmentation");
    }
    let rows = &train.rows[..train.rows.len() - 1];
    if rows.is_empty() {
        return refuse("must be two at least; choose shorter ones");
    }
    Ok(match options.windows {
        Windows::Carried => in_lanes(rows, options.batch_size.rows(rows.len())),
        Windows::Apart | Windows::Shifted => rows.to_vec(),
    })
}
