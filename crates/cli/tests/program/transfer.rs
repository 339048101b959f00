//! Going on with what was trained before: models, and weights of PyTorch.

use std::path::{Path, PathBuf};

use pellucid::model::Weights;
use pellucid::model::container::Container;

use super::pictures::{put, set};
use super::{Bench, accuracy, hash};

/// A parameter of the model that a run left.
pub(super) fn values(bench: &Bench, run: &str, name: &str) -> Vec<f32> {
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
fn features_are_kept_for_further_heads_and_made_anew_where_they_are_of_others() {
    let bench = Bench::new();
    trained(&bench);
    let frozen = ["--freeze", "backbone", "--head", "dense 16 relu -> dense"];
    go_on(&bench, "second", &frozen);
    let file = bench.path("second/features.safetensors");
    let kept = std::fs::read(&file).expect("features are kept");
    // Another head on the same features: the bits of a run that makes its own.
    let said = |out: &str, more: &[&str]| {
        let common =
            ["train", "digits", "--from", "first", "--epochs", "2", "--augment", "none", "--freeze", "backbone"];
        let output = bench.output(&[&common[..], &["--out", out], more].concat());
        assert!(output.status.success(), "{output:?}");
        super::text(&output.stderr)
    };
    let shared = ["--features", "second/features.safetensors"];
    assert!(said("shared", &shared).contains("frozen layers compute nothing"));
    assert!(said("own", &[]).contains("frozen layers compute once"));
    for name in ["8.weight", "8.bias"] {
        assert_eq!(values(&bench, "shared", name), values(&bench, "own", name), "{name}");
    }
    assert_eq!(std::fs::read(&file).expect("still there"), kept);
    // Of other rows, and damaged: made anew.
    assert!(said("others", &[&shared[..], &["--seed", "7"]].concat()).contains("frozen layers compute once"));
    std::fs::write(&file, &kept[..kept.len() / 2]).expect("writes");
    assert!(said("damaged", &shared).contains("frozen layers compute once"));
    assert_eq!(std::fs::read(&file).expect("whole again"), kept);
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
    go_on(&bench, "at-rates", &["--head", "keep", "--rates", "5.*=0, *.bias=2"]);
    assert!(!changed("at-rates", "5.bias") && changed("at-rates", "8.bias") && changed("at-rates", "8.weight"));
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
        (&["digits", "--from", "first", "--rate-decay", "0.5", "--rates", "*.bias=2"], "give one"),
        (&["digits", "--from", "first", "--whiten", "yes"], "drop it, or --from"),
        (&["digits", "--from", "first", "--rename", "a=b"], "--rename is for weights with --net"),
        (&["flowers.csv", "--from", "first"], "takes pictures; flowers.csv is none"),
        (&["digits", "--from", "network.pt", "--net", "dense 8 -> dense", "--in-order"], "in order, tensor 0"),
    ] {
        let message = bench.fails(&[&["train"], arguments, &["--out", "no"]].concat());
        assert!(message.contains(part), "{arguments:?}: {message}");
        assert!(!bench.path("no").exists(), "{arguments:?}");
    }
}

/// The folder of a small encoder of texts, copied to `name`.
fn encoder(bench: &Bench, name: &str) {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pellucid/tests/weights/encoder");
    std::fs::create_dir_all(bench.path(name)).expect("a folder");
    for file in ["config.json", "model.safetensors", "vocab.txt"] {
        std::fs::copy(made.join(file), bench.path(name).join(file)).expect("copies");
    }
}

/// Short reviews, told by a word in them.
fn reviews(rows: usize) -> String {
    let mut table = String::from("review,kind\n");
    for i in 0..rows {
        let (subject, other) =
            (["the dog", "a film", "the bird"][i % 3], ["and a cat", "the walk", "the play"][i / 3 % 3]);
        let word = ["good", "bad"][i % 2];
        table.push_str(&format!("{subject} was {word} {other},{word}\n"));
    }
    table
}

#[test]
fn an_encoder_of_others_is_a_backbone_with_its_tokenizer_inside() {
    let bench = Bench::new();
    bench.write("reviews.csv", &reviews(120));
    encoder(&bench, "bert");
    let common = ["train", "reviews.csv", "--text", "review", "--target", "kind", "--from", "bert"];
    let train = |out: &str, more: &[&str]| {
        bench.json(&[&common[..], &["--no-early-stopping", "--batch-size", "8", "--out", out], more].concat())
    };
    // The small encoder has random weights, so its features say little at a glance.
    let on_features = ["--freeze", "backbone", "--head", "dense 8 tanh -> dense", "--epochs", "300", "--lr", "0.03"];
    let frozen = train("frozen", &on_features);
    assert!(accuracy(&frozen) > 0.9, "{frozen}");
    let network = frozen["network"].as_str().expect("a network");
    assert!(network.starts_with("tokens 30x16 context=20 -> layernorm eps="), "{network}");
    assert!(network.ends_with("-> mean-time -> dense 8 tanh -> dense 1"), "{network}");
    let mut weights = Weights::open(&bench.path("bert/model.safetensors")).expect("weights");
    let mut theirs = |name: &str| {
        let place = weights.tensors().iter().position(|tensor| tensor.name == name);
        weights.read(place.unwrap_or_else(|| panic!("{name}"))).expect("values")
    };
    assert_eq!(values(&bench, "frozen", "0.embedding.weight"), theirs("bert.embeddings.word_embeddings.weight"));
    assert_eq!(
        values(&bench, "frozen", "4.linear2.weight"),
        theirs("bert.encoder.layer.1.output.dense.weight"),
        "what is frozen stays"
    );
    let again = bench.json(&["train", "frozen/config.toml", "--out", "again"]);
    assert_eq!(hash(&again), hash(&frozen));
    let whole = train("whole", &[&on_features[..], &["--memory", "1"]].concat());
    assert_eq!(hash(&whole), hash(&frozen), "features in memory change no bit");
    let first = train("first", &["--freeze", "backbone", "--pooling", "first", "--epochs", "1"]);
    assert!(first["network"].as_str().is_some_and(|network| network.contains("-> first -> dense")), "{first}");
    let tuned = train("tuned", &["--epochs", "20", "--lr", "3e-3"]);
    assert!(accuracy(&tuned) > 0.9, "{tuned}");
    assert_ne!(values(&bench, "tuned", "0.embedding.weight"), theirs("bert.embeddings.word_embeddings.weight"));

    let refused = |arguments: &[&str], message: &str| {
        let error = bench.fails(arguments);
        assert!(error.contains(message), "{error}");
    };
    refused(&[&common[..], &["--head", "keep"]].concat(), "an encoder has no head yet");
    refused(&[&common[..], &["--pooling", "sum"]].concat(), "pooling is mean, first or max, got 'sum'");
    refused(&[&common[..], &["--rename", "a.=b."]].concat(), "--rename is for weights alone");
    refused(&[&common[..], &["--net", "dense"]].concat(), "--net is for weights alone");
    refused(&["train", "digits", "--from", "bert"], "is for texts");
    refused(&["train", "reviews.csv", "--text", "review", "--pooling", "first"], "give --from");
    refused(
        &["train", "reviews.csv", "--text", "review", "--from", "frozen", "--pooling", "first"],
        "--pooling is for encoders",
    );
    bench.write("vocab.txt", &format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n{}", "x\n".repeat(41)));
    refused(&[&common[..], &["--tokenizer", "vocab.txt"]].concat(), "the tokenizer has 45 tokens, but bert knows 30");
    std::fs::write(bench.path("bert/config.json"), "{\"model_type\": \"t5\"}").expect("writes");
    refused(&common, "config.json: missing field");

    // All that is needed is in the model.
    std::fs::remove_dir_all(bench.path("bert")).expect("removes");
    let measured = bench.json(&["evaluate", "frozen", "--data", "reviews.csv"]);
    assert_eq!(hash(&measured), hash(&frozen));
    bench.write("new.csv", "review\n\"A BAD film, walked the dog\"\n");
    let predicted = bench.ok(&["predict", "frozen", "--data", "new.csv", "--header", "yes"]);
    assert!(predicted.lines().nth(1).is_some_and(|line| line.contains(",bad,")), "{predicted}");
}
