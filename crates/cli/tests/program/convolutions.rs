//! Convolutional networks with batch normalisation: model files, resume and report work as for dense ones.

use super::transfer::values;
use super::{Bench, accuracy, hash};

const NET: &str = "conv 8 3x3 same nobias -> batchnorm relu -> maxpool 2 -> \
                   residual(conv 8 3x3 same nobias -> batchnorm) relu -> spatial-dropout 0.1 -> flatten -> dense";

#[test]
fn a_convolutional_network_is_saved_with_its_statistics_and_shown_in_the_report() {
    let bench = Bench::new();
    let run = bench.json(&["train", "digits", "--net", NET, "--epochs", "6", "--seed", "3", "--out", "run"]);
    assert!(accuracy(&run) >= 0.9, "{run}");
    let again = bench.json(&["evaluate", "run", "--data", "digits"]);
    assert_eq!((hash(&again), &again["metrics"]), (hash(&run), &run["metrics"]["test"]));
    let repeated = bench.json(&["train", "run/config.toml", "--out", "again", "--threads", "1"]);
    assert_eq!((hash(&repeated), &repeated["metrics"]), (hash(&run), &run["metrics"]));

    let report = bench.read("run/report.html");
    for part in ["Wrong examples", "Where it looks", "First filters", "kept"] {
        assert!(report.contains(part), "{part} is missing");
    }
    let pictures = report.matches("data:image/png;base64,").count();
    // Eight filters, six right pictures with a map each; the wrong ones come on top.
    assert!(pictures >= 8 + 6 * 2, "{pictures} pictures");
    let dense = bench.json(&["train", "digits", "--net", "dense 16 relu -> dense", "--epochs", "1", "--out", "dense"]);
    assert_eq!(dense["epochs"], 1);
    let report = bench.read("dense/report.html");
    assert!(
        report.contains("Wrong examples") && !report.contains("Where it looks") && !report.contains("First filters")
    );

    // Flattened on the way in, the summary of the file counts what was trained, statistics left out.
    let summary = bench.json(&["summary", "run", "--batch-size", "32"]);
    assert_eq!(summary["parameters"], 72 + 16 + 576 + 16 + 8 * 16 * 10 + 10);
    let kept = |layer: usize| summary["layers"][layer]["kept_bytes"].as_u64().expect("a number");
    assert_eq!(kept(0), 32 * 4 * 8 * 64, "batch normalisation looks at what the convolution gives");
    let training = summary["training_arena_bytes"].as_u64().expect("a number");
    assert!(training > summary["arena_bytes"].as_u64().expect("a number") && training > kept(0) + kept(1));
}

#[test]
fn a_convolutional_run_that_is_killed_and_resumed_ends_in_the_same_bits() {
    let bench = Bench::new();
    let base = [
        "train",
        "digits",
        "--net",
        NET,
        "--epochs",
        "8",
        "--no-early-stopping",
        "--checkpoint-every",
        "5",
        "--seed",
        "2",
        "--whiten",
        "yes",
        "--rates",
        "*.bias=4",
    ];
    let whole = bench.json(&[&base[..], &["--out", "whole"]].concat());
    let resumed = [&base[..], &["--out", "killed", "--resume"]].concat();
    let mut kills = 0;
    for kill in 0..4u64 {
        kills += u32::from(bench.kill_after(&resumed, 150 + 170 * kill));
    }
    assert!(kills > 0, "every run had ended when it was to be killed");
    let run = bench.json(&resumed);
    assert_eq!((hash(&run), &run["metrics"], &run["epochs"]), (hash(&whole), &whole["metrics"], &whole["epochs"]));
}

#[test]
fn a_first_convolution_that_whitens_stays_as_the_rows_make_it() {
    let bench = Bench::new();
    let net = "conv 8 2x2 nobias gelu -> conv 8 3x3 same nobias init=dirac -> batchnorm gelu -> flatten -> dense";
    let train = |out: &str, more: &[&str]| {
        bench.json(&[&["train", "digits", "--net", net, "--whiten", "yes", "--out", out], more].concat())
    };
    let run = train("run", &["--epochs", "8", "--lr", "3e-3"]);
    assert!(accuracy(&run) >= 0.9, "{run}");
    let filters = values(&bench, "run", "0.weight");
    assert!(filters[..16].iter().zip(&filters[16..]).all(|(a, b)| *a == -*b), "{filters:?}");
    // They follow from the rows alone: not from what is learnt.
    train("short", &["--epochs", "1"]);
    assert_eq!(values(&bench, "short", "0.weight"), filters);
    // The file of its settings makes the run again.
    let again = bench.json(&["train", "run/config.toml", "--out", "again", "--threads", "1"]);
    assert_eq!(hash(&again), hash(&run));
    // Thawed, they are learnt too.
    train("thawed", &["--epochs", "2", "--thaw", "1"]);
    assert_ne!(values(&bench, "thawed", "0.weight"), filters);
    // Other layers begin as without it.
    let first_of = |out: &str, whiten: &str| {
        bench.json(&["train", "digits", "--net", net, "--whiten", whiten, "--epochs", "1", "--lr", "0", "--out", out]);
        values(&bench, out, "2.weight")
    };
    assert_eq!(first_of("with", "yes"), first_of("without", "no"));
}
