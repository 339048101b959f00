//! Going on with what was trained before: models, and weights of PyTorch.

use std::path::{Path, PathBuf};

use pellucid::model::container::Container;

use super::pictures::{put, set};
use super::{Bench, accuracy, hash};

fn values(bench: &Bench, run: &str, name: &str) -> Vec<f32> {
    let path = bench.path(run).join("model.safetensors");
    let container = Container::open(&path).expect("a model");
    container.tensor(name).unwrap_or_else(|| panic!("{name} of {run}")).data.clone()
}

const NET: &str = "conv 8 3x3 same -> batchnorm relu -> maxpool 2 -> flatten -> dense 32 relu -> dropout 0.2 -> dense";

fn trained(bench: &Bench) -> f64 {
    accuracy(&bench.json(&["train", "digits", "--net", NET, "--epochs", "4", "--lr", "3e-3", "--out", "first"]))
}

/// A run that goes on with the first.
fn go_on(bench: &Bench, out: &str, more: &[&str]) -> serde_json::Value {
    let common =
        ["train", "digits", "--from", "first", "--epochs", "4", "--lr", "5e-3", "--augment", "none", "--out", out];
    bench.json(&[&common, more].concat())
}

#[test]
fn a_frozen_backbone_keeps_every_bit_and_a_new_head_learns_on_it() {
    let bench = Bench::new();
    trained(&bench);
    let second = go_on(&bench, "second", &["--freeze", "backbone", "--head", "dense 16 relu -> dense"]);
    assert!(accuracy(&second) > 0.9, "{second}");
    let network = second["network"].as_str().expect("a network");
    assert!(network.ends_with("dense 32 relu -> dropout 0.2 -> dense 16 relu -> dense 10"), "{network}");
    for name in ["0.weight", "0.bias", "1.weight", "1.running_mean", "1.running_var", "5.weight", "5.bias"] {
        assert_eq!(values(&bench, "first", name), values(&bench, "second", name), "{name}");
    }
    // An ordinary model: it is measured and predicts as any other.
    let measured = bench.json(&["evaluate", "second", "--data", "digits"]);
    assert_eq!(hash(&measured), hash(&second));
    bench.ok(&["summary", "second"]);
    // The file of its settings makes it again.
    let again = bench.json(&["train", "second/config.toml", "--out", "again"]);
    assert_eq!(hash(&again), hash(&second));
    // What is kept in memory changes no bit.
    let whole = go_on(&bench, "whole", &["--freeze", "backbone", "--head", "dense 16 relu -> dense", "--memory", "1"]);
    assert_eq!(hash(&whole), hash(&second));
}

#[test]
fn layers_thaw_and_are_changed_the_less_the_further_they_are_from_the_head() {
    let bench = Bench::new();
    trained(&bench);
    let changed = |run: &str, name: &str| values(&bench, "first", name) != values(&bench, run, name);
    go_on(&bench, "thawed", &["--freeze", "backbone", "--thaw", "1"]);
    assert!(changed("thawed", "0.weight") && changed("thawed", "1.running_mean"));
    go_on(&bench, "partly", &["--freeze", "0..2"]);
    assert!(!changed("partly", "0.weight") && !changed("partly", "1.running_mean") && changed("partly", "5.weight"));
    go_on(&bench, "decayed", &["--rate-decay", "0"]);
    assert!(!changed("decayed", "0.weight") && !changed("decayed", "5.weight"));
    go_on(&bench, "kept", &["--head", "keep", "--freeze", "*.weight"]);
    assert!(!changed("kept", "8.weight") && changed("kept", "8.bias"));
}

/// A state dictionary of PyTorch: convolution, batch normalisation, dense layer of three outputs, for 4×4 pictures.
fn network_pt() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pellucid/tests/weights/network.pt")
}

#[test]
fn weights_of_pytorch_become_a_model_by_name_by_rules_or_in_order() {
    let bench = Bench::new();
    put(&bench, "pictures", &set("", 20, 0));
    std::fs::copy(network_pt(), bench.path("network.pt")).expect("copies");
    let train = |out: &str, net: &str, more: &[&str]| {
        let common = ["train", "pictures", "--size", "4", "--channels", "1", "--from", "network.pt", "--epochs", "1"];
        let all = [&common[..], &["--lr", "1e-3", "--net", net, "--out", out], more].concat();
        bench.json(&all)
    };
    let made = |k: usize, i: usize| (((i + 1) * (k + 3) % 17) as f32 - 8.0) / 4.0;
    let net = "conv 2 3x3 same -> batchnorm relu -> flatten -> dense 3";
    let object = train("by-name", net, &["--freeze", "backbone"]);
    assert_eq!(object["network"], "conv 2 3x3 same -> batchnorm relu -> flatten -> dense 3");
    let weight: Vec<f32> = (0..18).map(|i| made(0, i)).collect();
    assert_eq!(values(&bench, "by-name", "0.weight"), weight);
    assert_eq!(values(&bench, "by-name", "1.running_mean"), [made(4, 0), made(4, 1)]);

    let shifted = "identity -> conv 2 3x3 same -> batchnorm relu -> flatten -> dense 3";
    let rules = "0.*=1.*, 1.running_*=2.running_*, 1.weight=2.weight";
    let common = [
        "train",
        "pictures",
        "--size",
        "4",
        "--channels",
        "1",
        "--from",
        "network.pt",
        "--net",
        shifted,
        "--out",
        "no",
    ];
    let message = bench.fails(&common);
    assert!(message.contains("find no values") && message.contains("--lenient"), "{message}");
    let message = bench.fails(&[&common[..], &["--rename", rules]].concat());
    assert!(message.contains("both") || message.contains("find no values"), "{message}");
    train("in-order", shifted, &["--in-order", "--freeze", "backbone"]);
    assert_eq!(values(&bench, "in-order", "1.weight"), weight);
    train(
        "renamed",
        shifted,
        &["--rename", "1.*=2.*, 0.*=1.*", "--freeze", "backbone", "--head", "dense 4 relu -> dense"],
    );
    assert_eq!(values(&bench, "renamed", "1.weight"), weight);
    assert_eq!(values(&bench, "renamed", "2.running_mean"), [made(4, 0), made(4, 1)]);
    train("lenient", shifted, &["--lenient"]);
}

#[test]
fn what_cannot_be_gone_on_with_is_named() {
    let bench = Bench::new();
    bench.write("flowers.csv", &super::flowers(60));
    bench.json(&["train", "digits", "--net", "dense 8 relu -> dense", "--epochs", "1", "--out", "first"]);
    std::fs::copy(network_pt(), bench.path("network.pt")).expect("copies");
    for (arguments, part) in [
        (&["digits", "--head", "dense 3"][..], "give --from"),
        (&["digits", "--freeze", "backbone"], "--from a model"),
        (&["digits", "--from", "none"], "there is no model"),
        (&["digits", "--from", "network.pt"], "say with --net"),
        (&["digits", "--from", "first", "--head", "dens 3"], "did you mean"),
        (&["digits", "--from", "first", "--thaw", "2"], "--freeze too"),
        (&["digits", "--from", "first", "--rate-decay", "2"], "from 0 to 1"),
        (&["digits", "--from", "first", "--rename", "a=b"], "are for weights"),
        (&["flowers.csv", "--from", "first"], "none of the model's kind"),
        (&["digits", "--from", "network.pt", "--net", "dense 8 -> dense", "--in-order"], "in order, tensor 0"),
    ] {
        let message = bench.fails(&[&["train"], arguments, &["--out", "no"]].concat());
        assert!(message.contains(part), "{arguments:?}: {message}");
        assert!(!bench.path("no").exists(), "{arguments:?}");
    }
}
