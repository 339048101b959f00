//! The same bits again: from the saved settings, on any threads and instruction set, after interruptions and kills.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Bench, flowers, hash};

#[test]
fn the_saved_settings_repeat_the_run() {
    let bench = Bench::new();
    let data = bench.write("flowers.csv", &flowers(300));
    let test = bench.write("test.csv", &flowers(60));
    let runs: [&[&str]; 4] = [
        &["train", "digits", "--epochs", "3", "--seed", "5"],
        &["train", &data, "--test", &test, "--epochs", "4", "--missing", "?,-"],
        &[
            "train",
            "moons",
            "--rows",
            "300",
            "--noise",
            "0.2",
            "--epochs",
            "4",
            "--optimizer",
            "sgd:momentum=0.9",
            "--lr",
            "0.05",
        ],
        &[
            "train",
            "iris",
            "--net",
            "dense 8 tanh -> dense",
            "--init",
            "he_normal",
            "--l1",
            "1e-4",
            "--batch-size",
            "full",
            "--epochs",
            "5",
            "--validation",
            "0.3",
            "--clip-norm",
            "1",
            "--label-smoothing",
            "0.1",
        ],
    ];
    for (number, arguments) in runs.iter().enumerate() {
        let (first, second) = (format!("a{number}"), format!("b{number}"));
        let run = bench.json(&[arguments, &["--out", first.as_str()][..]].concat());
        // From another folder: paths in the file are whole.
        let config = bench.path(&first).join("config.toml").display().to_string();
        let elsewhere = Bench::new();
        let again = elsewhere.json(&["train", &config, "--out", &second]);
        assert_eq!(hash(&again), hash(&run), "{arguments:?}");
        assert_eq!(again["metrics"], run["metrics"]);
        let settings = |bench: &Bench, folder: &str| bench.read(&format!("{folder}/config.toml"));
        assert_eq!(settings(&elsewhere, &second), settings(&bench, &first), "nothing is added or lost");
        let other = elsewhere.json(&["train", &config, "--seed", "77", "--out", "other"]);
        assert_ne!(hash(&other), hash(&run), "a flag wins over the file");
    }
}

#[test]
fn threads_and_instruction_sets_change_no_bit() {
    let bench = Bench::new();
    let isas: Vec<String> = kernels::simd::Isa::available().map(|isa| isa.name().to_string()).collect();
    let mut hashes = Vec::new();
    let mut run = |threads: &str, isa: &str| {
        let run = bench.json(&[
            "train",
            "digits",
            "--epochs",
            "2",
            "--threads",
            threads,
            "--isa",
            isa,
            "--out",
            "run",
            "--force",
        ]);
        assert_eq!((run["threads"].to_string(), run["isa"].as_str()), (threads.to_string(), Some(isa)));
        hashes.push((hash(&run), run["metrics"].clone()));
    };
    for threads in ["1", "2", "3", "8"] {
        run(threads, &isas[0]);
    }
    for isa in &isas[1..] {
        run("2", isa);
    }
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}");
}

const LONG: [&str; 9] =
    ["train", "digits", "--epochs", "120", "--no-early-stopping", "--batch-size", "16", "--checkpoint-every", "7"];

#[test]
fn a_run_that_is_killed_and_resumed_ends_in_the_same_bits() {
    let bench = Bench::new();
    let whole = bench.json(&[&LONG[..], &["--out", "whole"]].concat());
    let resumed = [&LONG[..], &["--out", "killed", "--resume"]].concat();
    for kill in 0..4u64 {
        // Moments that fall anywhere: before the first checkpoint, within one, between two.
        bench.kill_after(&resumed, 60 + 97 * kill * kill);
    }
    let run = bench.json(&resumed);
    assert_eq!(hash(&run), hash(&whole));
    assert_eq!(run["metrics"], whole["metrics"]);
    assert_eq!(run["epochs"], whole["epochs"]);
    // Resumed once more, there is nothing left to do, and the result is the same.
    assert_eq!(hash(&bench.json(&resumed)), hash(&whole));
    // Other settings are another run.
    let message = bench.fails(&[&resumed[..], &["--seed", "9", "-q"]].concat());
    assert!(message.contains("the checkpoint belongs to another run"), "{message}");
}

#[test]
fn a_kill_at_any_of_twenty_moments_loses_nothing() {
    let bench = Bench::new();
    let base = ["train", "digits", "--epochs", "40", "--no-early-stopping", "--checkpoint-every", "10", "--seed", "5"];
    let whole = bench.json(&[&base[..], &["--out", "whole"]].concat());
    let mut kills = 0;
    for moment in 0..20 {
        let out = format!("run-{moment}");
        let arguments = [&base[..], &["--out", &out, "--resume"]].concat();
        // From before the first checkpoint to the last epochs; every other run is killed twice.
        for _ in 0..=(moment % 2) {
            kills += u64::from(bench.kill_after(&arguments, 20 + 37 * moment));
        }
        assert_eq!(hash(&bench.json(&arguments)), hash(&whole), "moment {moment}");
    }
    assert!(kills >= 5, "too few runs were still going when they were killed: {kills}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let bench = Bench::new();
    let arguments = [&LONG[..], &["--out", "run"]].concat();
    let mut command = bench.command(&arguments);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let begun = Instant::now();
    // The first checkpoint shows that the loop runs, and with it the watch for Ctrl-C.
    while !bench.path("run/checkpoints/checkpoint.safetensors").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint");
        sleep(Duration::from_millis(5));
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    let output = child.wait_with_output().expect("ends");
    let err = super::text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("go on with: pellucid train run/config.toml --out run --resume"), "{err}");
    assert!(!bench.path("run/model.safetensors").exists());
    let resumed = bench.json(&["train", "run/config.toml", "--out", "run", "--resume"]);
    let whole = bench.json(&[&LONG[..], &["--out", "whole"]].concat());
    assert_eq!(hash(&resumed), hash(&whole));
}
