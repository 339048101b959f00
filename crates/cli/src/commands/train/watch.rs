//! The fit loop, watched: progress, and an end in good order when the user interrupts it.

use std::sync::atomic::Ordering;

use pellucid::data::TaskKind;
use pellucid::train::{Control, EndReason, Event, Fit, Fitted, TrainError};

use crate::args::Look;
use crate::error::{Failure, Outcome};
use crate::interrupt::interrupted;
use crate::judge::usual_metric;
use crate::progress::{Plan, Progress};
use crate::recipe::Recipe;
use crate::run_folder::{CONFIG, RunFolder};
use crate::terminal::Screen;

/// Runs the loop to its end.
///
/// # Errors
/// What the loop says; an interruption, with how to go on.
pub(super) fn fit(fit: Fit<'_>, recipe: &Recipe, folder: &RunFolder, look: Look) -> Outcome<Fitted> {
    let stop = interrupted()?;
    let metric = metric_shown(fit.task.kind(), recipe);
    let mut progress = Progress::stderr(look.quiet, Screen::stderr(look.ascii));
    let mut watch = |event: Event<'_>| {
        match event {
            Event::Begin { epochs, finished_epochs, steps_per_epoch, rows_per_epoch } => {
                let metric = Some(metric.clone());
                progress.begin(Plan { epochs, finished_epochs, steps_per_epoch, rows_per_epoch, metric });
            }
            Event::Step { loss, .. } => progress.step(loss),
            Event::Epoch { record, .. } => progress.epoch_end(record),
            Event::End { .. } => progress.finish(),
            Event::Checkpoint { .. } => {}
        }
        if stop.load(Ordering::Relaxed) { Control::Stop } else { Control::Continue }
    };
    let fitted = fit.run(&mut watch).map_err(|error| {
        progress.finish();
        explain(&error, folder)
    })?;
    if fitted.reason == EndReason::Watcher {
        let (path, step) = (folder.path().display(), fitted.steps);
        return Err(Failure::interrupted(format!(
            "interrupted after step {step}; go on with: pellucid train {path}/{CONFIG} --out {path} --resume"
        )));
    }
    Ok(fitted)
}

fn explain(error: &TrainError, folder: &RunFolder) -> Failure {
    let kept = match error {
        TrainError::NotFinite { .. } if folder.has_checkpoint() => {
            format!("; the last good state is in {}/checkpoints", folder.path().display())
        }
        _ => String::new(),
    };
    Failure::new(format!("{error}{kept}"))
}

/// The metric beside the loss that people want to watch.
pub(super) fn metric_shown(kind: TaskKind, recipe: &Recipe) -> String {
    let watched = recipe.options.early_stopping.as_ref().map(|stopping| stopping.monitor.clone());
    // Errors in units are easier to follow while they fall.
    let usual = if kind == TaskKind::Regression { "rmse" } else { usual_metric(kind) };
    watched.filter(|name| name != "loss").unwrap_or_else(|| usual.to_string())
}
