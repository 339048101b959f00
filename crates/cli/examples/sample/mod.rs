//! Made-up but plausible figures for the samples: the same every time.
#![allow(dead_code, reason = "each sample uses its part")]

use pellucid::metrics::Scores;
use pellucid::train::{EpochRecord, History};
use pellucid_cli::classes::{ClassScores, Confusion};
use pellucid_cli::plot::{CalibrationBin, Residuals, RocCurve};
use pellucid_cli::report::{ColumnRow, LayerRow, Mistake, Picture, Report};

/// A number in 0…1 that looks random (the mixing steps of SplitMix64).
pub fn noise(index: usize) -> f64 {
    let mut bits = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
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

fn pairs(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    entries.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn layer(layer: &str, output: &str, parameters: u64, flops: u64) -> LayerRow {
    LayerRow { layer: layer.to_string(), output: output.to_string(), parameters, flops, ..LayerRow::default() }
}

/// A ring or a bar, blurred: something that looks like a digit.
fn picture(index: usize) -> Picture {
    let pixel = |at: usize| {
        let (x, y) = ((at % 28) as f64 - 13.5, (at / 28) as f64 - 13.5);
        let turned = x + y * (noise(index) - 0.5);
        let ring = libm::fabs(libm::sqrt(turned * turned * 1.8 + y * y) - 8.0);
        let bar = libm::fabs(turned) + (libm::fabs(y) - 9.0).max(0.0);
        let distance = if index.is_multiple_of(2) { ring } else { bar };
        (255.0 * (1.8 - distance * 0.7).clamp(0.0, 1.0)) as u8
    };
    Picture { width: 28, height: 28, channels: 1, pixels: (0..784).map(pixel).collect() }
}

pub fn image_report() -> Report {
    let matrix = confusion(10);
    let mistake = |index: usize| Mistake {
        picture: Some(picture(index)),
        text: String::new(),
        truth: matrix.names()[index % 10].clone(),
        predicted: matrix.names()[(index * 7 + 3) % 10].clone(),
        probability: Some(0.999 - 0.02 * index as f64),
    };
    let bin = |at: usize| CalibrationBin {
        confidence: at as f64 / 10.0 + 0.055,
        accuracy: (at as f64 / 10.0 + 0.055 + 0.12 * (noise(at) - 0.7)).clamp(0.0, 1.0),
        count: if at == 9 { 8700.0 } else { (at * at) as f64 * 9.0 },
    };
    let curve = |name: &str, power: f64| RocCurve {
        name: name.to_string(),
        points: (0..=100).map(|at| (f64::from(at) / 100.0, libm::pow(f64::from(at) / 100.0, power))).collect(),
        auc: 1.0 / (1.0 + power),
    };
    Report {
        title: "MNIST: 10 classes from 28×28 images".to_string(),
        facts: pairs(&[
            ("task", "classification"),
            ("epochs", "20 of 20"),
            ("best epoch", "16"),
            ("training time", "2.2 s"),
            ("seed", "1"),
            ("threads", "2"),
            ("instruction set", "avx512"),
            ("parameters", "101 770"),
            ("optimizer", "adam, lr 1e-3, cosine"),
            ("batch size", "128"),
            ("weights sha256", "9f86d081884c7d65…"),
            ("pellucid", "0.1.0"),
        ]),
        warnings: vec!["Validation loss has risen since epoch 16: the weights of epoch 16 were kept.".to_string()],
        metrics: parts(),
        history: history(20),
        best_epoch: Some(16),
        judged_part: "test".to_string(),
        classes: class_scores(&matrix),
        calibration: (2..10).map(bin).collect(),
        roc: vec![curve("zero", 0.02), curve("eight", 0.09)],
        network: "flatten -> dense 128 relu -> dense 10".to_string(),
        layers: vec![
            layer("flatten", "[batch, 784]", 0, 0),
            layer("dense 128 relu", "[batch, 128]", 100_480, 200_832),
            layer("dense 10", "[batch, 10]", 1290, 2570),
        ],
        data_facts: pairs(&[("training rows", "54 000"), ("validation rows", "6 000"), ("test rows", "10 000")]),
        mistakes: (0..14).map(mistake).collect(),
        config: "[data]\nsource = \"mnist\"\n\n[train]\nepochs = 20\nbatch_size = 128\nlr = 1e-3\n".to_string(),
        confusion: Some(matrix),
        ..Report::default()
    }
}

pub fn regression_report() -> Report {
    let target: Vec<f64> = (0..4000).map(|at| 50_000.0 + 450_000.0 * noise(at) * noise(at + 13)).collect();
    let error = |at: usize| (noise(at + 3) + noise(at + 5) + noise(at + 11) - 1.5) * 70_000.0;
    let predicted = target.iter().enumerate().map(|(at, value)| value + error(at)).collect();
    let column = |name: &str, kind: &str, missing: u64, summary: &str| ColumnRow {
        name: name.to_string(),
        kind: kind.to_string(),
        missing,
        summary: summary.to_string(),
    };
    let mut history = history(60);
    for record in &mut history.epochs {
        let loss = record.train.get("loss").unwrap_or(f64::NAN) * 0.1 + 0.2;
        record.train = scores(&[("loss", loss), ("rmse", 115_000.0 * libm::sqrt(loss))]);
        record.validation = Some(scores(&[("loss", loss + 0.03), ("rmse", 115_000.0 * libm::sqrt(loss + 0.03))]));
        record.learning_rate = 1e-3;
    }
    Report {
        title: "housing.csv: median_house_value".to_string(),
        facts: pairs(&[("task", "regression"), ("epochs", "60"), ("seed", "1"), ("training time", "4.1 s")]),
        metrics: vec![
            ("train".to_string(), scores(&[("loss", 0.2013), ("rmse", 51_627.4), ("mae", 34_018.0), ("r2", 0.7991)])),
            ("test".to_string(), scores(&[("loss", 0.2302), ("rmse", 55_211.9), ("mae", 36_874.2), ("r2", 0.7703)])),
        ],
        history,
        best_epoch: Some(57),
        judged_part: "test".to_string(),
        residuals: Some(Residuals { target_name: "median_house_value".to_string(), predicted, target }),
        network: "dense 64 relu -> dense 64 relu -> dense 1".to_string(),
        layers: vec![layer("dense 64 relu", "[batch, 64]", 896, 1728), layer("dense 1", "[batch, 1]", 65, 129)],
        columns: vec![
            column("longitude", "number", 0, "-119.6 ± 2.0, -124.3…-114.3"),
            column("total_bedrooms", "number", 207, "537.9 ± 421.4, 1…6 445"),
            column("ocean_proximity", "category", 0, "5 values, most often <1H OCEAN (44.3 %)"),
            column("median_house_value", "target", 0, "206 856 ± 115 396, 14 999…500 001"),
        ],
        config: "[data]\nsource = \"housing.csv\"\ntarget = \"median_house_value\"\n".to_string(),
        ..Report::default()
    }
}

pub fn hundred_classes_report() -> Report {
    let matrix = confusion(100);
    Report {
        title: "A hundred classes".to_string(),
        metrics: parts(),
        history: history(3),
        classes: class_scores(&matrix),
        confusion: Some(matrix),
        ..Report::default()
    }
}
