//! What a run leaves behind and says.

use super::{Bench, accuracy, flowers, hash};

#[test]
fn digits_are_learnt_with_no_word_but_their_name() {
    let bench = Bench::new();
    let run = bench.json(&["train", "digits"]);
    assert!(accuracy(&run) >= 0.97, "{run}");
    assert_eq!(run["task"], "multiclass");
    assert_eq!(run["model"], "runs/digits-1/model.safetensors");
    for key in ["network", "parameters", "epochs", "seed", "threads", "isa", "train_seconds", "load_seconds"] {
        assert!(!run[key].is_null(), "{key} is missing in {run}");
    }
    let rows = run["rows"].as_object().expect("rows of each part");
    assert_eq!(rows.values().map(|rows| rows.as_u64().expect("a number")).sum::<u64>(), 1797);
    for name in ["model.safetensors", "history.csv", "config.toml", "report.html", "loss.svg"] {
        assert!(bench.path("runs/digits-1").join(name).metadata().expect(name).len() > 100, "{name}");
    }
    let history = bench.read("runs/digits-1/history.csv");
    assert_eq!(history.lines().count() as u64, 1 + run["epochs"].as_u64().expect("a number"));
    let report = bench.read("runs/digits-1/report.html");
    assert!(report.contains("Wrong examples") && report.contains("data:image/png;base64,"));

    // The test part of the run is known to the model: measured again, it gives the same figures.
    let again = bench.json(&["evaluate", "runs/digits-1", "--data", "digits"]);
    assert_eq!(again["metrics"], run["metrics"]["test"]);
    assert_eq!(hash(&again), hash(&run));

    // A second run has a folder of its own, and its own words.
    let shown = bench.ok(&["train", "digits", "--epochs", "2", "--ascii"]);
    assert!(shown.is_ascii(), "{shown}");
    for part in ["rows", "dense", "macro mean", "accuracy", "true"] {
        assert!(shown.contains(part), "{part} is missing in:\n{shown}");
    }
    assert!(bench.path("runs/digits-2/model.safetensors").exists());
}

#[test]
fn quiet_leaves_the_results_and_json_nothing_but_the_object() {
    let bench = Bench::new();
    let data = bench.write("flowers.csv", &flowers(120));
    let quiet = bench.output(&["train", &data, "--epochs", "3", "--quiet"]);
    assert!(quiet.status.success() && quiet.stderr.is_empty());
    assert!(!quiet.stdout.is_empty());
    let json = bench.output(&["train", &data, "--epochs", "3", "--json", "--quiet"]);
    assert!(json.status.success() && json.stderr.is_empty());
    let loud = bench.output(&["train", &data, "--epochs", "3"]);
    let err = super::text(&loud.stderr);
    assert!(err.contains("epoch 3/3") && err.contains("note: the last column, `kind`, is predicted"), "{err}");
}

#[test]
fn a_folder_with_a_run_is_kept_unless_force_is_used() {
    let bench = Bench::new();
    let train = ["train", "iris", "--epochs", "2", "--out", "run", "-q"];
    bench.ok(&train);
    assert!(bench.fails(&train).contains("run holds a run already"));
    bench.ok(&[&train[..], &["--force", "--seed", "4"]].concat());
    assert!(bench.read("run/config.toml").contains("seed = 4"));
}

#[test]
fn two_classes_may_have_two_outputs_and_lbfgs_all_rows() {
    let bench = Bench::new();
    let two = ["train", "moons", "--net", "dense 16 tanh -> dense 2", "--epochs", "30", "--lr", "0.01", "--out", "two"];
    let run = bench.json(&two);
    assert_eq!((run["task"].as_str(), run["network"].as_str()), (Some("multiclass"), Some("dense 16 tanh -> dense 2")));
    assert!(accuracy(&run) >= 0.9, "{run}");
    let again = bench.json(&["train", "two/config.toml", "--out", "again"]);
    assert_eq!(hash(&again), hash(&run));
    let run = bench.json(&["train", "moons", "--optimizer", "lbfgs", "--epochs", "60", "--out", "lbfgs"]);
    assert!(accuracy(&run) >= 0.97, "{run}");
}

#[test]
fn augmented_pictures_are_learnt_from_shown_and_repeated() {
    let bench = Bench::new();
    let train = ["train", "digits", "--net", "dense 16 relu -> dense", "--epochs", "2"];
    let plain = bench.json(&[&train[..], &["--out", "plain"]].concat());
    assert!(!bench.read("plain/report.html").contains("Augmentation"));
    let augment = ["--augment", "shift 1 , crop 1, mixup 0.2", "--out", "run"];
    let run = bench.json(&[&train[..], &augment].concat());
    assert_ne!(hash(&run), hash(&plain));
    let line = "crop 1, shift 1, mixup 0.2";
    assert!(
        bench.read("run/config.toml").contains(&format!("augment = \"{line}\"")),
        "{}",
        bench.read("run/config.toml")
    );
    let report = bench.read("run/report.html");
    assert!(report.contains("Augmentation</h2>") && report.contains(line));
    assert_eq!(hash(&bench.json(&["train", "run/config.toml", "--out", "again"])), hash(&run));
    let without = bench.json(&["train", "run/config.toml", "--augment", "none", "--out", "without"]);
    assert_eq!(hash(&without), hash(&plain));
}

#[test]
fn every_command_has_help_with_examples() {
    let bench = Bench::new();
    for command in ["train", "evaluate", "predict", "summary", "data"] {
        let help = bench.ok(&[command, "--help"]);
        assert!(help.contains("Examples:") && help.contains(&format!("pellucid {command}")), "{help}");
    }
    assert!(bench.ok(&["--help"]).contains("Examples:"));
    assert!(!bench.ok(&["data", "--help"]).contains("--optimizer"), "settings that mean nothing to it");
}

#[test]
fn summary_and_data_say_what_there_is() {
    let bench = Bench::new();
    let summary = bench.json(&["summary", "dense 128 relu -> dense 10", "--input", "784"]);
    assert_eq!(summary["parameters"], 101_770);
    assert_eq!(summary["layers"].as_array().map(Vec::len), Some(3));
    assert!(bench.ok(&["summary", "dense 128 relu -> dense 10", "--input", "1x28x28"]).contains("101 770"));
    let data = bench.write("flowers.csv", &flowers(90));
    let described = bench.json(&["data", &data, "--target", "kind"]);
    assert_eq!(described["task"], "multiclass");
    assert_eq!(described["inputs"], 5, "two numbers and three colours");
    assert_eq!(described["columns"][2]["column_type"], "category");
    let shown = bench.ok(&["data", &data]);
    assert!(shown.contains("length") && shown.contains("aster") && shown.contains("3 inputs"), "{shown}");
}
