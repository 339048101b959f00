//! The reference cases of kind `metrics`, computed by scikit-learn; and that a stream can be cut anywhere.

mod golden;

use golden::Golden;
use pellucid::metrics::{
    BinaryMetrics, Detail, Metrics, MulticlassMetrics, MultilabelMetrics, RegressionMetrics, Report, binary,
    multiclass, multilabel, regression,
};
use serde_json::Value;

struct Case {
    name: String,
    task: String,
    expected: serde_json::Map<String, Value>,
    relative: f64,
    absolute: f64,
    targets: Vec<f32>,
    scores: Vec<f32>,
}

#[test]
fn every_reference_case_agrees() {
    for case in cases() {
        let width = case.scores.len() / case.targets.len();
        let report = match case.task.as_str() {
            "binary" => binary(&case.targets, &case.scores, None),
            "multiclass" => multiclass(&case.targets, &case.scores, width, None),
            "regression" => regression(&case.targets, &case.scores, 1, None),
            task => panic!("{}: unknown task '{task}'", case.name),
        };
        let report = report.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert!(!case.expected.is_empty(), "{} expects nothing", case.name);
        for (name, expected) in &case.expected {
            let place = format!("{} {name}", case.name);
            let actual = named(&report, name).unwrap_or_else(|| panic!("{place} is not known"));
            compare(&place, &actual, expected, case.relative, case.absolute);
        }
    }
}

#[test]
fn a_stream_cut_anywhere_gives_the_same_bits() {
    for case in cases() {
        let rows = case.targets.len();
        let width = case.scores.len() / rows;
        let start = || -> Box<dyn Metrics> {
            match case.task.as_str() {
                "binary" => Box::new(BinaryMetrics::new(Detail::Full)),
                "multiclass" => Box::new(MulticlassMetrics::new(width, Detail::Full)),
                _ => Box::new(RegressionMetrics::new(1, Detail::Full)),
            }
        };
        let weights: Vec<f32> = (0..rows).map(|row| 0.1 + (row % 7) as f32).collect();
        let judge = |cuts: &[usize]| {
            let mut metrics = start();
            let mut from = 0;
            for &to in cuts.iter().chain([&rows]) {
                let scores = &case.scores[from * width..to * width];
                let fed = metrics.update(&case.targets[from..to], scores, Some(&weights[from..to]));
                assert_eq!(fed, Ok(()), "{}", case.name);
                from = to;
            }
            metrics.report()
        };
        let whole = judge(&[]);
        assert!(whole.scores.iter().all(|(_, value)| value.is_finite()), "{}", case.name);
        for cut in 0..=rows {
            assert_eq!(judge(&[cut]), whole, "{} cut at {cut}", case.name);
        }
        let every_row: Vec<usize> = (1..rows).collect();
        assert_eq!(judge(&every_row), whole, "{} row by row", case.name);
    }
}

/// A row of weight n is n rows: sums differ by rounding only.
const ROUNDING: f64 = 1e-12;

#[test]
fn a_whole_weight_is_a_row_so_many_times() {
    for case in cases() {
        let width = case.scores.len() / case.targets.len();
        let weights: Vec<f32> = (0..case.targets.len()).map(|row| (row * 5 % 4) as f32).collect();
        let (mut targets, mut scores) = (Vec::new(), Vec::new());
        for (row, &weight) in weights.iter().enumerate() {
            for _ in 0..weight as usize {
                targets.push(case.targets[row]);
                scores.extend_from_slice(&case.scores[row * width..(row + 1) * width]);
            }
        }
        let judge = |targets: &[f32], scores: &[f32], weights: Option<&[f32]>| {
            let report = match case.task.as_str() {
                "binary" => binary(targets, scores, weights),
                "multiclass" => multiclass(targets, scores, width, weights),
                _ => regression(targets, scores, 1, weights),
            };
            report.unwrap_or_else(|error| panic!("{}: {error}", case.name))
        };
        let weighted = judge(&case.targets, &case.scores, Some(&weights));
        let repeated = judge(&targets, &scores, None);
        assert_eq!(weighted.confusion, repeated.confusion, "{}", case.name);
        assert_eq!(weighted.scores.iter().count(), repeated.scores.iter().count());
        for (name, value) in repeated.scores.iter() {
            let place = format!("{} {name} with weights", case.name);
            let actual = Value::from(weighted.scores.get(name).expect("the same names"));
            compare(&place, &actual, &Value::from(value), ROUNDING, ROUNDING);
        }
    }
}

/// Columns of a multiclass case as labels: the labels' own numbers are those of the two-class metrics.
#[test]
fn labels_are_two_classes_each() {
    for case in cases().into_iter().filter(|case| case.task == "multiclass") {
        let rows = case.targets.len();
        let labels = case.scores.len() / rows;
        let mut targets = vec![0.0; rows * labels];
        for row in 0..rows {
            targets[row * labels + case.targets[row] as usize] = 1.0;
        }
        // Probabilities of 1/labels are too small to pass one half; spread them over 0 to 1.
        let scores: Vec<f32> = case.scores.iter().map(|score| (score * 2.2).min(1.0)).collect();
        let together = multilabel(&targets, &scores, labels, None).expect("arrays fit");
        let column =
            |values: &[f32], label: usize| -> Vec<f32> { values.iter().skip(label).step_by(labels).copied().collect() };
        let single: Vec<Report> = (0..labels)
            .map(|label| binary(&column(&targets, label), &column(&scores, label), None).expect("arrays fit"))
            .collect();
        let mean = |name: &str| single.iter().filter_map(|report| report.scores.get(name)).sum::<f64>() / labels as f64;
        for (label, report) in single.iter().enumerate() {
            assert_eq!(together.per_class[label], report.per_class[1], "label {label} of {}", case.name);
        }
        for (name, of_single) in [
            ("precision_macro", mean("precision_binary")),
            ("recall_macro", mean("recall_binary")),
            ("f1_macro", mean("f1_binary")),
            ("log_loss", mean("log_loss")),
            ("roc_auc_macro", mean("roc_auc")),
            ("hamming_loss", 1.0 - mean("accuracy")),
        ] {
            let actual = Value::from(together.scores.get(name).expect("a score"));
            compare(&format!("{} {name}", case.name), &actual, &Value::from(of_single), ROUNDING, ROUNDING);
        }
        let mut stream = MultilabelMetrics::new(labels, Detail::Full);
        for row in 0..rows {
            let row = row * labels..(row + 1) * labels;
            stream.update(&targets[row.clone()], &scores[row], None).expect("arrays fit");
        }
        assert_eq!(stream.report(), together, "{}", case.name);
    }
}

/// The number or list that the report has under this name of the reference.
fn named(report: &Report, name: &str) -> Option<Value> {
    if let Some(score) = report.scores.get(name) {
        return Some(Value::from(score));
    }
    let of_classes = |score: fn(&pellucid::metrics::ClassScores) -> f64| -> Option<Value> {
        Some(report.per_class.iter().map(score).collect::<Vec<f64>>().into())
    };
    match name {
        "confusion_matrix" => {
            report.confusion.as_ref().map(|matrix| matrix.rows().map(<[f64]>::to_vec).collect::<Vec<_>>().into())
        }
        "precision_per_class" => of_classes(|class| class.precision),
        "recall_per_class" => of_classes(|class| class.recall),
        "f1_per_class" => of_classes(|class| class.f1),
        "support" => of_classes(|class| class.support),
        _ => None,
    }
}

/// Numbers within the bound, lists of the same form: fails unless the difference is at most the bound, so also for NaN.
fn compare(place: &str, actual: &Value, expected: &Value, relative: f64, absolute: f64) {
    match (actual, expected) {
        (Value::Array(actual), Value::Array(expected)) => {
            assert_eq!(actual.len(), expected.len(), "{place}");
            for (position, (actual, expected)) in actual.iter().zip(expected).enumerate() {
                compare(&format!("{place}[{position}]"), actual, expected, relative, absolute);
            }
        }
        (Value::Number(actual), Value::Number(expected)) => {
            let number = |number: &serde_json::Number| number.as_f64().expect("a double");
            let (actual, expected) = (number(actual), number(expected));
            let bound = absolute + relative * expected.abs();
            assert!((actual - expected).abs() <= bound, "{place}: {actual}, expected {expected} within {bound:e}");
        }
        _ => panic!("{place}: {actual}, expected {expected}"),
    }
}

/// All cases of kind `metrics`; none, and loudly so, if there is no reference at all.
fn cases() -> Vec<Case> {
    let Some(golden) = Golden::load() else { return Vec::new() };
    let case = |case: golden::Case| Case {
        name: case.name.to_string(),
        task: case.text("task").to_string(),
        expected: case.field("expected").as_object().expect("expected numbers").clone(),
        relative: case.relative,
        absolute: case.absolute,
        targets: case.array("target").data,
        scores: case.array("score").data,
    };
    golden.cases("metrics").into_iter().map(case).collect()
}
