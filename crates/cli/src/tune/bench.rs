//! One trial: a network trained with its settings on the rows of each fold, and judged by those held out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kernels::device::Device;
use pellucid::train::{Control, EndReason, Event, Fit, Fitted, TrainError};
use pellucid::tune::{Direction, Verdict};

use crate::error::{Failure, Outcome};
use crate::prepare::Prepared;
use crate::ready::{fit_of, frozen_features, recipe_of};
use crate::settings::Settings;

/// Where trials are run.
#[derive(Clone)]
pub struct Bench<'a> {
    /// The word for the data.
    pub data: &'a str,
    /// The rows of each fold.
    pub folds: &'a [Prepared],
    /// The validation metric that scores are.
    pub metric: &'a str,
    /// Whether more or less of it is better.
    pub direction: Direction,
    /// What computes.
    pub device: Arc<Device>,
    /// The user wants to end.
    pub stop: &'a AtomicBool,
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq)]
pub enum Score {
    /// It came to an end, or was given up; a failure with its reason.
    Ended(Verdict, Option<String>),
    /// The user ended the program.
    Stopped,
}

impl Bench<'_> {
    /// Trains and judges. `report` hears the score after each epoch (with several folds: after each fold, their mean so far), and
    /// says whether to give up.
    ///
    /// # Errors
    /// Settings that make no network for this data.
    pub fn run(&self, settings: &Settings, report: &mut dyn FnMut(f64) -> bool) -> Outcome<Score> {
        let mut sum = 0.0;
        for (index, prepared) in self.folds.iter().enumerate() {
            let by_epoch = self.folds.len() == 1;
            let (fitted, given_up) = match self.fit(settings, prepared, by_epoch, report)? {
                Ok(fitted) => fitted,
                Err(problem) => return Ok(Score::Ended(Verdict::Failed, Some(problem))),
            };
            if fitted.reason == EndReason::Watcher {
                return Ok(if given_up { Score::Ended(Verdict::Pruned, None) } else { Score::Stopped });
            }
            let score = fitted
                .history
                .epochs
                .get(fitted.kept_epoch.saturating_sub(1))
                .and_then(|record| record.validation.as_ref()?.get(self.metric).filter(|value| value.is_finite()));
            let Some(score) = score else {
                let problem = format!("there is no finite {} on the validation rows", self.metric);
                return Ok(Score::Ended(Verdict::Failed, Some(problem)));
            };
            sum += score;
            let mean = sum / (index + 1) as f64;
            if !by_epoch && index + 1 < self.folds.len() && report(mean) {
                return Ok(Score::Ended(Verdict::Pruned, None));
            }
        }
        Ok(Score::Ended(Verdict::Finished(sum / self.folds.len() as f64), None))
    }

    /// The network trained on one fold, and whether it was given up; or why it cannot be trained.
    fn fit(
        &self,
        settings: &Settings,
        prepared: &Prepared,
        by_epoch: bool,
        report: &mut dyn FnMut(f64) -> bool,
    ) -> Outcome<Result<(Fitted, bool), String>> {
        let mut prepared = prepared.clone();
        let recipe = recipe_of(self.data.to_string(), settings, &mut prepared)?;
        let file = settings.features.as_deref();
        let features = frozen_features(&prepared, &recipe, file, &self.device)?.map(|(features, _)| features);
        let fit: Fit = fit_of(&prepared, &recipe, features.as_ref(), &self.device);
        let (mut best, mut given_up) = (None::<f64>, false);
        let epochs = recipe.options.epochs;
        let mut watch = |event: Event<'_>| {
            if let Event::Epoch { record, .. } = event
                && by_epoch
                && record.epoch < epochs
            {
                let value = record.validation.as_ref().and_then(|scores| scores.get(self.metric)).unwrap_or(f64::NAN);
                if value.is_finite() && self.direction.improves(value, best) {
                    best = Some(value);
                }
                given_up = best.is_some_and(&mut *report);
            }
            if given_up || self.stop.load(Ordering::Relaxed) { Control::Stop } else { Control::Continue }
        };
        match fit.run(&mut watch) {
            Ok(fitted) => Ok(Ok((fitted, given_up))),
            Err(error @ TrainError::NotFinite { .. }) => Ok(Err(error.to_string())),
            Err(error) => Err(Failure::from(error)),
        }
    }
}
