//! What `train` says about a run in words.

use pellucid::data::Task;
use pellucid::model::{Loaded, Origin};
use pellucid::train::{EndReason, Fitted, Windows};

use crate::error::Outcome;
use crate::format::{count, seconds};
use crate::network_table::{memory_words, network_table, training_summary};
use crate::prepare::{Prepared, class_shares};
use crate::recipe::Recipe;
use crate::say::Say;

/// What is to be trained, on what, and what it takes.
pub(super) fn head(prepared: &Prepared, recipe: &Recipe, say: &Say) -> Outcome<String> {
    let rows: Vec<String> =
        prepared.parts().iter().map(|(name, rows)| format!("{} {name}", count(rows.len() as u64))).collect();
    let split = if prepared.split.is_empty() { String::new() } else { format!(" ({})", prepared.split) };
    let counted = training_summary(recipe, prepared.train.len())?;
    let facts = [
        ("data", prepared.description.clone()),
        ("rows", format!("{}{split}", rows.join(", "))),
        ("inputs", count(prepared.width() as u64)),
        ("task", task_words(prepared)),
        ("training", training_words(recipe)),
        ("memory", memory_words(&counted)),
    ];
    let facts = facts.map(|(name, value)| (name.to_string(), value));
    Ok(format!("{}\n{}\n", say.facts(&facts), network_table(&counted, &say.screen)))
}

/// Where the run goes on.
pub(super) fn resumed(loaded: Option<&Loaded>) -> String {
    match loaded {
        None => "there is no checkpoint yet: the run starts from the beginning".to_string(),
        Some(Loaded { checkpoint, origin: Origin::Newest }) => format!("resumed after step {}", checkpoint.step),
        Some(Loaded { checkpoint, origin: Origin::Previous { .. } }) => {
            format!(
                "the newest checkpoint is missing or damaged: resumed from the one before, after step {}",
                checkpoint.step
            )
        }
    }
}

/// `10 classes: 0 (142), 1 (146), …`
pub(super) fn task_words(prepared: &Prepared) -> String {
    const SHOWN: usize = 12;
    let shares = class_shares(&prepared.task, &prepared.train);
    let shown = shares.iter().take(SHOWN).map(|(name, rows)| format!("{name} ({})", count(*rows as u64)));
    let more = (shares.len() > SHOWN).then(|| "…".to_string());
    let named = shown.chain(more).collect::<Vec<_>>().join(", ");
    if let Some(forecasting) = &prepared.forecasting {
        return format!("a forecast: {}", forecasting.words());
    }
    match &prepared.task {
        Task::Binary { .. } => format!("two classes: {named}"),
        Task::Multiclass { classes } => format!("{} classes: {named}", classes.len()),
        Task::Multilabel { labels } => format!("{} labels: {named}", labels.len()),
        Task::Regression { targets } => {
            let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
            format!("regression of {}", names.join(", "))
        }
        Task::Tokens { characters } => format!("the next of {} tokens", count(characters.len() as u64)),
    }
}

/// `cross_entropy, adamw, lr 0.001, cosine; batches of 32, 60 epochs; seed 0`
pub(super) fn training_words(recipe: &Recipe) -> String {
    let options = &recipe.options;
    let optimizer = recipe.settings.optimizer.as_deref().unwrap_or_default();
    let rate = options.optimizer.learning_rate();
    let stopping = match &options.early_stopping {
        Some(stopping) => format!(", ending after {} without a better {}", stopping.patience, stopping.monitor),
        None => String::new(),
    };
    let windows = match options.windows {
        Windows::Apart => "",
        Windows::Shifted => "; windows begin elsewhere in each epoch",
        Windows::Carried => "; each window goes on where the one before ended",
    };
    let augmented = match options.augmentation.is_none() {
        true => String::new(),
        false => format!("; augmented: {}", options.augmentation),
    };
    format!(
        "{}, {optimizer}, lr {rate}, {}; batches of {}, {} epochs{stopping}{augmented}{windows}; seed {}",
        recipe.loss, options.schedule, options.batch_size, options.epochs, options.seed
    )
}

/// How the run ended.
pub(super) fn ended(fitted: &Fitted, epochs: usize) -> String {
    let (run, kept, time) = (fitted.history.epochs.len(), fitted.kept_epoch, seconds(fitted.seconds));
    match fitted.reason {
        EndReason::EarlyStopping => {
            format!("stopped early after {run} of {epochs} epochs, {time}; kept: epoch {kept}, the best")
        }
        EndReason::Converged => format!("at a minimum after {run} epochs, {time}; kept: epoch {kept}"),
        _ if kept != run => format!("{run} epochs, {time}; kept: epoch {kept}, the best"),
        _ => format!("{run} epochs, {time}"),
    }
}
