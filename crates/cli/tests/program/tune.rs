//! Searches: the same trials whatever happens, folds, and what a reader gets.

use std::process::Stdio;

use serde_json::Value;

use super::{Bench, flowers};

const CONFIG: &str = "\
data = \"flowers.csv\"
net = \"{layers} * (dense {width} relu) -> dense\"
epochs = 150
[tune]
trials = 18
parallel = 3
pruner = \"asha:2\"
metric = \"log_loss\"
[space]
lr = { low = 1e-4, high = 1, log = true }
layers = { low = 1, high = 2, whole = true }
width = { low = 4, high = 32, log = true, whole = true }
batch-size = { values = [8, 32] }
optimizer = { values = [\"adam\", \"sgd:momentum={momentum}\"] }
momentum = { low = 0, high = 0.95, when = { optimizer = \"sgd:momentum={momentum}\" } }
";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("flowers.csv", &flowers(900));
    bench.write("search.toml", CONFIG);
    bench
}

/// The trials of a search, without the times that they took.
fn trials(object: &Value) -> Vec<Value> {
    object["trials"].as_array().expect("a list").iter().map(|record| record["trial"].clone()).collect()
}

#[test]
fn a_search_killed_ten_times_has_the_same_trials_as_one_that_was_not() {
    let bench = bench();
    let whole = bench.json(&["tune", "search.toml", "--out", "whole"]);
    assert_eq!(trials(&whole).len(), 18);
    let ended =
        |verdict: &str| trials(&whole).iter().filter(|trial| trial["verdict"].to_string().contains(verdict)).count();
    assert!(ended("finished") > 3 && ended("pruned") > 0, "{whole}");

    // Each time a little later, so that kills come at the start, between trials and within them.
    let mut killed = 0;
    for round in 0..60 {
        let arguments = ["tune", "search.toml", "--out", "killed", "--resume", "--threads", "2"];
        if !bench.kill_after(&arguments, 40 + 8 * round) {
            break;
        }
        killed += 1;
        if killed >= 10 && round >= 10 {
            break;
        }
    }
    assert!(killed >= 10, "{killed} kills only: the search is too short");
    let again = bench.json(&["tune", "search.toml", "--out", "killed", "--resume"]);
    assert_eq!(trials(&again), trials(&whole));
    assert_eq!(again["best"], whole["best"]);
    // Each trial is the same as if it had been run with one thread; so is the network that is trained in the end.
    let one = bench.json(&["tune", "search.toml", "--out", "one", "--threads", "1"]);
    assert_eq!(trials(&one), trials(&whole));
    for folder in ["killed", "one"] {
        let of = |folder: &str| std::fs::read(bench.path(&format!("{folder}/model.safetensors"))).expect("a model");
        assert_eq!(of(folder), of("whole"), "{folder}");
    }
}

#[test]
fn processes_share_a_search_and_the_best_can_be_trained_again() {
    let bench = bench();
    let alone = bench.json(&["tune", "search.toml", "--out", "alone"]);
    let arguments = ["tune", "search.toml", "--out", "shared", "--resume", "--json", "--threads", "1"];
    let start = || {
        let mut command = bench.command(&arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts")
    };
    let processes = [start(), start()];
    for process in processes {
        let output = process.wait_with_output().expect("ends");
        assert!(output.status.success(), "{output:?}");
    }
    let shared = bench.json(&["tune", "search.toml", "--out", "shared", "--resume"]);
    assert_eq!(trials(&shared), trials(&alone));

    // The folder is that of a run like any other.
    let again = bench.json(&["train", "shared/config.toml", "--out", "again"]);
    assert_eq!(again["weights_sha256"], alone["trained"]["weights_sha256"]);
    assert!(!bench.read("shared/config.toml").contains("[space]"));
    let page = bench.read("shared/search.html");
    let body = page.strip_prefix("<!DOCTYPE html>\n").expect("a page");
    roxmltree::Document::parse(body).expect("well-formed");
    for part in ["best so far", "What matters", "momentum", "given up after"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn folds_judge_every_row_once_and_a_table_needs_no_space() {
    let bench = bench();
    let arguments = [
        "tune",
        "flowers.csv",
        "--trials",
        "4",
        "--folds",
        "3",
        "--epochs",
        "4",
        "--no-early-stopping",
        "--sampler",
        "random",
    ];
    let found = bench.json(&[&arguments[..], &["--pruner", "none", "--metric", "log_loss", "--out", "folds"]].concat());
    let best = &found["best"]["values"];
    assert!(best["width"].is_number() && best["activation"].is_string(), "{found}");
    // The score is the mean of what `train` says of each fold with these settings.
    let lr = best["lr"].to_string();
    let line = format!(
        "{} * (dense {} {} -> dropout {}) -> dense",
        best["layers"],
        best["width"],
        best["activation"].as_str().expect("a name"),
        best["dropout"]
    );
    let (decay, size) = (best["weight-decay"].to_string(), best["batch-size"].to_string());
    let score = |fold: &str, out: &str| {
        let settings = [
            "--net",
            &line,
            "--lr",
            &lr,
            "--weight-decay",
            &decay,
            "--batch-size",
            &size,
            "--epochs",
            "4",
            "--no-early-stopping",
        ];
        let fixed =
            ["train", "flowers.csv", "--optimizer", "adamw", "--schedule", "cosine", "--fold", fold, "--out", out];
        let run = bench.json(&[&fixed[..], &settings].concat());
        run["metrics"]["validation"]["log_loss"].as_f64().expect("a number")
    };
    let mean = (score("1/3", "a") + score("2/3", "b") + score("3/3", "c")) / 3.0;
    let found = found["best"]["verdict"]["finished"].as_f64().expect("a score");
    assert!((mean - found).abs() < 1e-6, "{mean} is not {found}");
}

#[test]
fn mistakes_in_a_search_are_named_before_it_begins() {
    let bench = bench();
    let fails = |config: &str, flags: &[&str]| {
        bench.write("wrong.toml", config);
        let output = bench.output(&[&["tune", "wrong.toml", "--out", "wrong"], flags].concat());
        assert_eq!(output.status.code(), Some(1), "{config}");
        super::text(&output.stderr)
    };
    let data = "data = \"flowers.csv\"\nepochs = 1\n";
    for (config, part) in [
        ("[space]\nlearning = { low = 1, high = 2 }", "[space] learning: it is no setting"),
        ("[space]\nlr = { low = 1 }", "[space] lr: it needs low and high, or values"),
        ("[space]\nnet = { values = [\"dens 3 -> dense\"] }", "dens"),
        ("[space]\nlr = { values = [-1] }", "lr"),
        ("[tune]\ntrails = 3", "trails"),
        ("[tune]\nmetric = \"acuracy\"", "did you mean accuracy?"),
        ("[tune]\nsampler = \"annealing\"", "unknown variant"),
    ] {
        let shown = fails(&format!("{data}{config}\n"), &[]);
        assert!(shown.contains(part), "{config}: {shown}");
    }
    let shown = fails(&format!("{data}validation = 0\n"), &["--force"]);
    assert!(shown.contains("there are no validation rows to judge by"), "{shown}");
    bench.ok(&["tune", "search.toml", "--trials", "2", "--out", "there", "-q"]);
    let shown = super::text(&bench.output(&["tune", "search.toml", "--trials", "2", "--out", "there"]).stderr);
    assert!(shown.contains("holds a run already"), "{shown}");
    let shown = super::text(&bench.output(&["tune", "search.toml", "--lr", "1", "--out", "there", "--resume"]).stderr);
    assert!(shown.contains("a search with other settings (lr)"), "{shown}");
}
