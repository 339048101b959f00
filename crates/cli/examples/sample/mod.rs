//! Made-up but plausible figures for the samples: the same every time.
#![allow(dead_code, reason = "each sample uses its part")]

use pellucid::metrics::Scores;
use pellucid::train::{EpochRecord, History};
use pellucid_cli::classes::{ClassScores, Confusion};

/// A number in 0…1 that looks random: the fractional part of multiples of the golden ratio, folded once more.
pub fn noise(index: usize) -> f64 {
    let first = (index as f64 * 0.618_033_988_749_895).fract();
    (first * 997.0 + index as f64 * 0.754_877_666).fract()
}

pub fn scores(entries: &[(&str, f64)]) -> Scores {
    let mut scores = Scores::new();
    entries.iter().for_each(|(name, value)| scores.set(*name, *value));
    scores
}

pub fn history(epochs: usize) -> History {
    let record = |epoch: usize| {
        let t = epoch as f64;
        let train = 1.9 * libm::exp(-t * 0.55) + 0.26 * libm::exp(-t * 0.12) + 0.004;
        let validation = 1.2 * libm::exp(-t * 0.6) + 0.085 + 0.0012 * t + 0.006 * noise(epoch);
        EpochRecord {
            epoch,
            step: epoch as u64 * 422,
            learning_rate: 0.0005 * (1.0 + libm::cos(t / epochs as f64 * std::f64::consts::PI)),
            seconds: t * 0.11,
            train: scores(&[("loss", train), ("accuracy", 1.0 - train * 0.3)]),
            validation: Some(scores(&[("loss", validation), ("accuracy", 0.985 - validation * 0.1)])),
        }
    };
    History { epochs: (1..=epochs).map(record).collect() }
}

pub fn parts() -> Vec<(String, Scores)> {
    let part = |loss: f64, accuracy: f64| {
        scores(&[("loss", loss), ("accuracy", accuracy), ("f1_macro", accuracy - 0.0004), ("roc_auc", 0.9998)])
    };
    let parts =
        [("train", part(0.00412, 0.99967)), ("validation", part(0.0881, 0.9791)), ("test", part(0.0793, 0.9803))];
    parts.map(|(name, scores)| (name.to_string(), scores)).to_vec()
}

pub fn confusion(classes: usize) -> Confusion {
    let mut counts = vec![0.0; classes * classes];
    for at in 0..classes * classes {
        let wrong = if noise(at) > 0.6 { (noise(at + 7) * noise(at + 7) * 14.0).floor() } else { 0.0 };
        counts[at] = if at % (classes + 1) == 0 { 900.0 + (noise(at) * 120.0).floor() } else { wrong };
    }
    let digits = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let name = |class: usize| if classes == 10 { digits[class].to_string() } else { format!("class {class}") };
    Confusion::new((0..classes).map(name).collect(), counts)
}

pub fn class_scores(matrix: &Confusion) -> Vec<ClassScores> {
    let of = |class: usize| {
        let predicted: f64 = (0..matrix.classes()).map(|truth| matrix.count(truth, class)).sum();
        let (right, support) = (matrix.count(class, class), matrix.support(class));
        let (precision, recall) = (right / predicted, right / support);
        let f1 = 2.0 * precision * recall / (precision + recall);
        ClassScores { name: matrix.names()[class].clone(), precision, recall, f1, support }
    };
    (0..matrix.classes()).map(of).collect()
}
