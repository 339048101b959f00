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
    /// Channels, height and width, if rows are pictures.
    pub picture: Option<[usize; 3]>,
    /// Rows are documents.
    pub documents: bool,
    /// Rows are sequences of numbers.
    pub sequences: bool,
    /// Columns that are predicted, if rows are windows of a series.
    pub forecast: Option<usize>,
    /// Whether there are rows for validation.
    pub validation: bool,
    /// What was learnt before is learnt further, all of it.
    pub pretrained: bool,
}

/// Share of the rows for validation, of those that are not for the test: a tenth where there are plenty, more where a
/// tenth would say little.
pub fn validation_fraction(rows: usize) -> f64 {
    if rows >= 5000 { 0.1 } else { 0.15 }
}

/// Learning rate of what was learnt before, as a share of the usual one: it is to be changed little.
const PRETRAINED_RATE: f64 = 0.1;

/// Smaller pictures have too little to pool.
const LEAST_SIDE: usize = 16;

/// The network for small pictures without colours.
const GREY: &str = "conv 16 3x3 same nobias -> maxpool 2 -> batchnorm relu -> \
                    conv 32 3x3 same nobias -> maxpool 2 -> batchnorm relu -> flatten -> dense 128 relu -> dense";

/// The network for tables of many rows.
const WIDE: &str = "dense 256 relu -> dropout 0.3 -> dense";

/// The network for documents: Joulin and others, "Bag of tricks for efficient text classification", EACL 2017.
const DOCUMENTS: &str = "embedding 64 -> mean-time -> dropout 0.3 -> dense";

/// The network for sequences that are told apart: what stands out anywhere in them counts.
const SEQUENCES: &str = "gru 64 both -> max-time -> dropout 0.3 -> dense";

/// The network for series.
const SERIES: &str = "from-last(flatten -> dense)";

/// The network for texts.
const TEXT: &str = "embedding 64 -> lstm 256 -> dropout 0.1 -> dense";

/// A recipe for data of some size. Those for tables and tiny pictures were each the best of some candidates on other data
/// than the program is judged by: `bench/choose.py` compares them. How the networks for larger pictures were chosen stands in
/// BENCHMARKS.md; they have not been through that comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Recipe {
    net: &'static str,
    optimizer: &'static str,
    lr: f64,
    schedule: &'static str,
    /// Decoupled.
    weight_decay: f64,
    augment: &'static str,
    label_smoothing: f64,
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
            augment: "none",
            label_smoothing: 0.0,
            batch: 32,
            epochs: 100,
            patience: 20,
        };
        if facts.documents {
            return Recipe { net: DOCUMENTS, lr: 3e-3, epochs: 30, patience: 5, ..common };
        }
        if facts.sequences {
            return Recipe { net: SEQUENCES, lr: 3e-3, ..common };
        }
        if facts.forecast.is_some() {
            return Recipe { net: SERIES, lr: 3e-3, batch: 16, epochs: 300, patience: 60, ..common };
        }
        if facts.task == TaskKind::Tokens {
            return Recipe { net: TEXT, lr: 2e-3, batch: 32, epochs: 10, patience: 10, ..common };
        }
        if let Some(size) = facts.picture {
            return Recipe::of_pictures(size, facts.rows, common);
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

    fn of_pictures([channels, height, width]: [usize; 3], rows: usize, common: Recipe) -> Recipe {
        if height.min(width) < LEAST_SIDE {
            return if rows < 10_000 {
                let net = "dropout 0.1 -> dense 256 relu -> dropout 0.3 -> dense";
                Recipe { net, lr: 3e-3, epochs: 80, ..common }
            } else {
                let net = "dropout 0.2 -> dense 512 relu -> dropout 0.3 -> dense";
                Recipe { net, lr: 3e-3, batch: 128, epochs: 15, ..common }
            };
        }
        // One cycle is a whole only if it is gone through; the best epoch is kept all the same.
        let cycle = |epochs| Recipe { schedule: "one_cycle", batch: 128, epochs, patience: epochs, ..common };
        if channels == 1 && height * width <= 32 * 32 {
            return Recipe { net: GREY, lr: 5e-3, ..cycle((400_000 / rows.max(1)).clamp(8, 40)) };
        }
        let common = cycle((360_000 / rows.max(1)).clamp(8, 60));
        let recipe = Recipe { net: "convnet-small", lr: 4e-3, weight_decay: 0.05, label_smoothing: 0.1, ..common };
        // Colours are photographs, mostly, and stay what they are when mirrored; letters and digits do not.
        if channels == 3 { Recipe { augment: "flip, crop 2", ..recipe } } else { recipe }
    }
}

/// The settings with everything filled in that training needs.
///
/// Whoever names an optimiser or a learning rate gets just that: a constant rate, and no weight decay. Whoever names a
/// network, a batch size or a number of epochs changes only that. Whoever names a loss has its label smoothing.
pub fn fill(settings: &Settings, facts: &Facts) -> Settings {
    let recipe = Recipe::of(facts);
    let mut filled = settings.clone();
    let own_rate = settings.optimizer.is_some() || settings.lr.is_some();
    if settings.optimizer.is_none() {
        filled.optimizer = Some(if own_rate { "adam" } else { recipe.optimizer }.to_string());
        filled.lr.get_or_insert(if facts.pretrained { PRETRAINED_RATE * recipe.lr } else { recipe.lr });
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
    if settings.loss.is_none() && facts.task == TaskKind::Multiclass && recipe.label_smoothing > 0.0 {
        filled.label_smoothing.get_or_insert(recipe.label_smoothing);
    }
    if facts.picture.is_some() {
        filled.augment.get_or_insert_with(|| recipe.augment.to_string());
    }
    filled.net.get_or_insert_with(|| match facts.forecast {
        Some(columns) if columns > 1 => format!("{} predicted={columns}", recipe.net),
        _ => recipe.net.to_string(),
    });
    filled.batch_size.get_or_insert(BatchSize::Rows(recipe.batch));
    filled.epochs.get_or_insert(recipe.epochs);
    filled.seed.get_or_insert(0);
    if facts.validation && !filled.no_early_stopping {
        filled.patience.get_or_insert(recipe.patience);
        filled.monitor.get_or_insert_with(|| "loss".to_string());
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(picture: Option<[usize; 3]>, settings: &Settings) -> Settings {
        let facts = Facts {
            task: TaskKind::Multiclass,
            rows: 45_000,
            width: 0,
            picture,
            documents: false,
            sequences: false,
            forecast: None,
            validation: true,
            pretrained: false,
        };
        fill(settings, &facts)
    }

    #[test]
    fn photographs_are_convolved_and_mirrored_digits_are_not_mirrored_and_tiny_pictures_are_not_convolved() {
        let none = Settings::default();
        let photograph = filled(Some([3, 32, 32]), &none);
        assert_eq!(photograph.net.as_deref(), Some("convnet-small"));
        assert_eq!(photograph.augment.as_deref(), Some("flip, crop 2"));
        let digit = filled(Some([1, 28, 28]), &none);
        assert!(digit.net.is_some_and(|net| net.starts_with("conv 16")));
        assert_eq!(digit.augment.as_deref(), Some("none"));
        let tiny = filled(Some([1, 8, 8]), &none);
        assert!(tiny.net.is_some_and(|net| net.starts_with("dropout")));
    }

    #[test]
    fn who_names_a_loss_has_its_own_label_smoothing() {
        assert_eq!(filled(Some([3, 32, 32]), &Settings::default()).label_smoothing, Some(0.1));
        let own = Settings { loss: Some("cross_entropy".into()), ..Settings::default() };
        assert_eq!(filled(Some([3, 32, 32]), &own).label_smoothing, None);
        assert_eq!(filled(None, &Settings::default()).label_smoothing, None);
    }
}
