//! What is chosen where the user says nothing: network, optimiser, schedule, batch, epochs, early stopping. One place.
//!
//! The choices follow from the task and the size of the training part alone.

use pellucid::data::TaskKind;
use pellucid::train::BatchSize;

use crate::settings::Settings;

/// What the choices follow from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facts {
    /// The task.
    pub task: TaskKind,
    /// Training rows.
    pub rows: usize,
    /// Inputs of a row.
    pub width: usize,
    /// Whether rows are images.
    pub images: bool,
    /// Whether there are rows for validation.
    pub validation: bool,
}

/// Share of the rows for validation, of those that are not for the test: a tenth where there are plenty, more where a
/// tenth would say little.
pub fn validation_fraction(rows: usize) -> f64 {
    if rows >= 5000 { 0.1 } else { 0.15 }
}

/// The network for tables of many rows.
const WIDE: &str = "dense 256 relu -> dropout 0.3 -> dense";

/// A recipe for data of some size. Each was the best of some candidates on other data than the program is judged by:
/// `bench/choose.py` compares them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Recipe {
    net: &'static str,
    optimizer: &'static str,
    lr: f64,
    schedule: &'static str,
    weight_decay: f64,
    batch: usize,
    epochs: usize,
    patience: usize,
}

impl Recipe {
    fn of(facts: &Facts) -> Recipe {
        let common = Recipe {
            net: "",
            optimizer: "adamw",
            lr: 1e-3,
            schedule: "cosine",
            weight_decay: 0.01,
            batch: 32,
            epochs: 100,
            patience: 20,
        };
        if facts.images && facts.rows < 10_000 {
            let net = "dropout 0.1 -> dense 256 relu -> dropout 0.3 -> dense";
            return Recipe { net, lr: 3e-3, epochs: 80, ..common };
        }
        if facts.images {
            let net = "dropout 0.2 -> dense 512 relu -> dropout 0.3 -> dense";
            return Recipe { net, lr: 3e-3, batch: 128, epochs: 15, ..common };
        }
        let few = Recipe { epochs: 200, patience: 50, batch: 16, ..common };
        match facts.rows {
            0..50 => Recipe {
                net: "dense 16 tanh -> dense",
                lr: 1e-2,
                weight_decay: 0.0,
                schedule: "constant",
                epochs: 1000,
                ..common
            },
            // Few rows tell little about bends: smooth units do better.
            50..2_000 if facts.task == TaskKind::Regression => {
                Recipe { net: "dense 64 gelu -> dense 32 gelu -> dense", ..few }
            }
            50..2_000 => Recipe { net: "dense 64 tanh -> dense", lr: 3e-3, ..few },
            2_000..20_000 => Recipe { net: WIDE, lr: 3e-4, batch: 64, epochs: 100, ..common },
            _ => Recipe { net: WIDE, lr: 3e-3, batch: 256, epochs: 20, patience: 5, ..common },
        }
    }
}

/// The settings with everything filled in that training needs.
///
/// Whoever names an optimiser or a learning rate gets just that: a constant rate, and no weight decay. Whoever names a
/// network, a batch size or a number of epochs changes only that.
pub fn fill(settings: &Settings, facts: &Facts) -> Settings {
    let recipe = Recipe::of(facts);
    let mut filled = settings.clone();
    let own_rate = settings.optimizer.is_some() || settings.lr.is_some();
    if settings.optimizer.is_none() {
        filled.optimizer = Some(if own_rate { "adam" } else { recipe.optimizer }.to_string());
        filled.lr.get_or_insert(recipe.lr);
    }
    // L-BFGS takes all rows at once, and the same loss whenever it asks: no dropout.
    if settings.optimizer.as_deref().is_some_and(|optimizer| optimizer.starts_with("lbfgs")) {
        filled.batch_size.get_or_insert(BatchSize::Full);
        filled.net.get_or_insert_with(|| "dense 32 tanh -> dense".to_string());
    }
    let schedule = if own_rate { "constant" } else { recipe.schedule };
    filled.schedule.get_or_insert_with(|| schedule.to_string());
    if !own_rate {
        filled.weight_decay.get_or_insert(recipe.weight_decay);
    }
    filled.net.get_or_insert_with(|| recipe.net.to_string());
    filled.batch_size.get_or_insert(BatchSize::Rows(recipe.batch));
    filled.epochs.get_or_insert(recipe.epochs);
    filled.seed.get_or_insert(0);
    if facts.validation && !filled.no_early_stopping {
        filled.patience.get_or_insert(recipe.patience);
        filled.monitor.get_or_insert_with(|| "loss".to_string());
    }
    filled
}
