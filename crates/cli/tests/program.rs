//! The program, run as a user runs it: real files, wrong files, kills.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

fn pellucid(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pellucid"));
    command.args(arguments).current_dir(folder).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The object that `--json` prints, and nothing else.
fn json(folder: &Path, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json", "--quiet"]].concat();
    let output = pellucid(folder, &arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// What a wrong call says; the exit code is not 0, nothing is printed as a result, and nobody panicked.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = pellucid(folder, arguments);
    let message = text(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} should fail: {}", text(&output.stdout));
    assert!(output.stdout.is_empty() && !message.contains("panicked"), "{arguments:?}: {message}");
    message
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A table of two overlapping classes, `x,y,colour,label`, with a missing value now and then.
fn table(folder: &Path, name: &str, rows: usize) -> PathBuf {
    let path = folder.join(name);
    let mut file = fs::File::create(&path).expect("a file");
    writeln!(file, "x,y,colour,label").expect("written");
    for i in 0..rows {
        let noise = |k: u32| f64::from((i as u32 * 7 + k).wrapping_mul(0x9e37_79b9) >> 16) / 65536.0;
        let label = i % 2 == 0;
        let x = noise(1) + if label { 0.6 } else { 0.0 };
        let y = if i % 17 == 3 { "?".to_string() } else { format!("{:.4}", noise(2)) };
        writeln!(file, "{x:.4},{y},{},{}", ["red", "green", "blue"][i % 3], if label { "yes" } else { "no" })
            .expect("written");
    }
    path
}

fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PELLUCID_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = root.join(name);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there; set PELLUCID_DATA", path.display());
        return None;
    }
    Some(fs::canonicalize(path).expect("a path"))
}

#[test]
fn digits_are_learnt_with_no_flag_at_all() {
    let folder = folder();
    let output = pellucid(folder.path(), &["train", "digits"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = folder.path().join("runs/digits-1");
    for file in ["model.safetensors", "history.csv", "config.toml", "report.html", "loss.svg"] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let result = json(folder.path(), &["evaluate", "runs/digits-1/model.safetensors", "--data", "digits"]);
    assert!(result["metrics"].to_string().contains("accuracy"), "{result}");
    let result = json(folder.path(), &["train", "digits", "--out", "again"]);
    let accuracy = result["metrics"]["test"]["accuracy"].as_f64().expect("a number");
    assert!(accuracy >= 0.97, "{accuracy}");
    for key in
        ["task", "network", "parameters", "epochs", "seed", "threads", "isa", "train_seconds", "load_seconds", "model"]
    {
        assert!(!result[key].is_null(), "{key} in {result}");
    }
    assert_eq!(result["weights_sha256"].as_str().map(str::len), Some(64));
    // The settings in the folder repeat the run to the bit.
    let repeated = json(folder.path(), &["train", "again/config.toml", "--out", "repeated"]);
    assert_eq!(repeated["weights_sha256"], result["weights_sha256"]);
}

#[test]
fn a_table_is_trained_on_evaluated_and_predicted() {
    let folder = folder();
    let path = table(folder.path(), "points.csv", 600);
    let result = json(folder.path(), &["train", "points.csv", "--target", "label", "--out", "run"]);
    assert_eq!(result["task"], "binary");
    assert!(result["metrics"]["test"]["roc_auc"].as_f64().expect("a number") > 0.85, "{result}");
    let model = "run/model.safetensors";
    let judged = json(folder.path(), &["evaluate", model, "--data", "points.csv"]);
    assert!(judged.to_string().contains("roc_auc"), "{judged}");
    let output = pellucid(folder.path(), &["predict", model, "--data", "points.csv", "--out", "predictions.csv"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let predictions = fs::read_to_string(folder.path().join("predictions.csv")).expect("a file");
    assert_eq!(predictions.lines().count(), 601);
    let header = predictions.lines().next().expect("a header");
    for column in ["x", "colour", "prediction", "yes", "no"] {
        assert!(header.contains(column), "{header}");
    }
    // Standard input, without the target, gives the same predictions.
    let without: String = fs::read_to_string(&path)
        .expect("the table")
        .lines()
        .map(|line| format!("{}\n", line.rsplit_once(',').expect("columns").0))
        .collect();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pellucid"))
        .args(["predict", model, "--data", "-"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(without.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let last = |line: &str| line.rsplit(',').take(3).map(str::to_string).collect::<Vec<_>>();
    let streamed: Vec<_> = text(&output.stdout).lines().map(last).collect();
    assert_eq!(streamed, predictions.lines().map(last).collect::<Vec<_>>());
}

#[test]
fn numbers_are_predicted_in_their_units() {
    let Some(housing) = data("tables/housing.csv") else { return };
    let folder = folder();
    let result = json(folder.path(), &["train", housing.to_str().expect("text"), "--target", "-1", "--out", "run"]);
    assert_eq!(result["task"], "regression");
    let test = &result["metrics"]["test"];
    assert!(test["r2"].as_f64().expect("a number") > 0.7 && test["rmse"].as_f64().expect("a number") < 6.0, "{test}");
}

#[test]
fn threads_and_instruction_sets_change_no_bit() {
    let folder = folder();
    table(folder.path(), "points.csv", 300);
    let run = |flags: &[&str]| {
        let arguments =
            [&["train", "points.csv", "--target", "label", "--epochs", "3", "--out", "run", "--force"], flags].concat();
        json(folder.path(), &arguments)["weights_sha256"].clone()
    };
    let reference = run(&[]);
    for threads in ["1", "2", "3", "8"] {
        assert_eq!(run(&["--threads", threads]), reference, "{threads} threads");
    }
    for isa in kernels_available() {
        assert_eq!(run(&["--isa", &isa]), reference, "{isa}");
    }
}

/// Names of the instruction sets of this machine, from the message for a wrong one.
fn kernels_available() -> Vec<String> {
    let message = refused(&std::env::temp_dir(), &["train", "digits", "--isa", "sse9"]);
    let names: Vec<String> = ["avx512", "avx2", "neon", "scalar"]
        .into_iter()
        .filter(|name| message.contains(name))
        .map(String::from)
        .collect();
    assert!(names.contains(&"scalar".to_string()), "{message}");
    names
}

#[test]
fn a_run_killed_at_any_moment_goes_on_to_the_same_bits() {
    let folder = folder();
    let arguments =
        ["train", "digits", "--epochs", "40", "--no-early-stopping", "--checkpoint-every", "10", "--seed", "5"];
    let whole = json(folder.path(), &[&arguments[..], &["--out", "whole"]].concat());
    let mut kills = 0;
    for moment in 0..20 {
        let out = format!("run-{moment}");
        let mut arguments = [&arguments[..], &["--out", &out, "--quiet"]].concat();
        // From before the first checkpoint to the last epochs, some twice in one run.
        for round in 0..=(moment % 2) {
            if round > 0 {
                arguments.push("--resume");
            }
            let mut child = Command::new(env!("CARGO_BIN_EXE_pellucid"))
                .args(&arguments)
                .current_dir(folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program starts");
            std::thread::sleep(Duration::from_millis(20 + 37 * moment));
            kills += u64::from(child.try_wait().expect("a child").is_none());
            child.kill().expect("killed, or ended before");
            child.wait().expect("a child");
        }
        let resumed =
            if folder.path().join(&out).is_dir() { vec!["--out", &out, "--resume"] } else { vec!["--out", &out] };
        let arguments = [
            &["train", "digits", "--epochs", "40", "--no-early-stopping", "--checkpoint-every", "10", "--seed", "5"],
            &resumed[..],
        ]
        .concat();
        let resumed = json(folder.path(), &arguments);
        assert_eq!(resumed["weights_sha256"], whole["weights_sha256"], "moment {moment}");
    }
    assert!(kills >= 5, "too few runs were still going when they were killed: {kills}");
}

#[test]
fn wrong_calls_say_what_is_wrong_where_and_what_to_do() {
    let folder = folder();
    table(folder.path(), "points.csv", 100);
    fs::write(folder.path().join("ragged.csv"), "a,b,c\n1,2,x\n3,4,y\n5,6\n7,8,x\n").expect("written");
    fs::write(folder.path().join("empty.csv"), "").expect("written");
    fs::write(folder.path().join("one.csv"), "a,b\n1,x\n2,x\n3,x\n4,x\n").expect("written");
    fs::write(folder.path().join("noise.safetensors"), [7u8; 300]).expect("written");
    let cases: &[(&[&str], &[&str])] = &[
        (&["train", "digitz"], &["digitz", "digits"]),
        (&["train", "missing.csv"], &["missing.csv"]),
        (&["train", "digits", "--epohcs", "3"], &["--epohcs", "--epochs"]),
        (&["train", "ragged.csv", "--target", "c"], &["ragged.csv", "line 4"]),
        (&["train", "empty.csv"], &["empty.csv"]),
        (&["train", "one.csv", "--target", "b"], &["b"]),
        (&["train", "points.csv", "--target", "labl"], &["labl", "label"]),
        (&["train", "points.csv", "--target", "9"], &["9", "4"]),
        (&["train", "digits", "--net", "dens 10"], &["dens 10", "^^^^", "did you mean 'dense'"]),
        (&["train", "digits", "--net", "dense 20 relu -> dense 7"], &["10"]),
        (&["train", "digits", "--optimizer", "adm"], &["adm", "adam"]),
        (&["train", "digits", "--loss", "mes"], &["mes", "mse"]),
        (&["train", "digits", "--batch-size", "0"], &["batch"]),
        (&["evaluate", "noise.safetensors", "--data", "digits"], &["noise.safetensors"]),
        (&["predict", "nothing.safetensors", "--data", "points.csv"], &["nothing.safetensors"]),
        (&["summary", "dense 10 -> dropout 2", "--input", "4"], &["dropout 2"]),
    ];
    for (arguments, parts) in cases {
        let message = refused(folder.path(), arguments);
        for part in *parts {
            assert!(message.contains(part), "{arguments:?} should say '{part}': {message}");
        }
    }
    let rate = [
        "train",
        "digits",
        "--optimizer",
        "sgd",
        "--lr",
        "1e20",
        "--net",
        "dense 30 relu -> dense 20 relu -> dense 10",
    ];
    let message = refused(folder.path(), &[&rate[..], &["--quiet"]].concat());
    for part in ["step", "layer", "learning rate"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn summary_and_data_describe() {
    let folder = folder();
    let output = pellucid(folder.path(), &["summary", "dense 128 relu -> dense 10", "--input", "784"]);
    let shown = text(&output.stdout);
    assert!(output.status.success() && shown.contains("[batch, 128]"), "{shown}{}", text(&output.stderr));
    assert!(shown.replace([' ', '\u{202f}', ',', '\u{a0}'], "").contains("101770"), "{shown}");
    table(folder.path(), "points.csv", 100);
    let output = pellucid(folder.path(), &["data", "points.csv"]);
    let shown = text(&output.stdout);
    assert!(output.status.success() && shown.contains("colour"), "{shown}{}", text(&output.stderr));
    for command in ["train", "evaluate", "predict", "summary", "data"] {
        let output = pellucid(folder.path(), &[command, "--help"]);
        assert!(output.status.success() && text(&output.stdout).contains("pellucid "), "{command}");
    }
}
