//! Weights that PyTorch and NumPy saved (`weights/make.py` makes the files), and files that mean harm.

#[path = "weights/archive.rs"]
mod archive;

use std::fs;
use std::io::Read;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use archive::archive;
use pellucid::graph::Parameters;
use pellucid::model::container::{self, NamedTensor};
use pellucid::model::weights::{MatchError, Matching, Outcome, Problem, Renaming, Weights};
use pellucid::nn;
use rawzip::ZipArchive;

/// Most values of a tensor that repeats those of a smaller file.
const MAX_REPEATED: usize = 1 << 20;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weights").join(name)
}

fn bytes_of(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).expect("a file of the tests")
}

/// The values that `make.py` gives the `k`-th tensor.
fn made(k: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| (((i + 1) * (k + 3) % 17) as f32 - 8.0) / 4.0).collect()
}

/// Name, shape and values of a tensor.
type Content = (String, Vec<usize>, Vec<f32>);

fn content(weights: &mut Weights) -> Result<Vec<Content>, String> {
    (0..weights.tensors().len())
        .map(|index| {
            let values = weights.read(index).map_err(|error| error.to_string())?;
            let tensor = &weights.tensors()[index];
            Ok((tensor.name.clone(), tensor.shape.clone(), values))
        })
        .collect()
}

fn open(name: &str) -> Vec<Content> {
    content(&mut Weights::open(&fixture(name)).expect(name)).expect(name)
}

fn refused(name: &str) -> String {
    Weights::open(&fixture(name)).expect_err(name).to_string()
}

#[track_caller]
fn check(found: &[Content], name: &str, shape: &[usize], values: &[f32]) {
    let found = found.iter().find(|(found, _, _)| found == name).unwrap_or_else(|| panic!("there is no {name}"));
    assert_eq!((&found.1[..], &found.2[..]), (shape, values), "{name}");
}

#[test]
fn a_state_dictionary_of_pytorch_is_read_in_the_order_of_its_layers() {
    let found = open("network.pt");
    let names: Vec<&str> = found.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names[..4], ["0.weight", "0.bias", "1.weight", "1.bias"]);
    assert_eq!(names[4..], ["1.running_mean", "1.running_var", "1.num_batches_tracked", "4.weight", "4.bias"]);
    for (k, name, shape) in [(0, "0.weight", &[2, 1, 3, 3][..]), (1, "0.bias", &[2]), (4, "1.running_mean", &[2])] {
        check(&found, name, shape, &made(k, shape.iter().product()));
    }
    let variance: Vec<f32> = made(4, 2).iter().map(|value| value.abs() + 1.0).collect();
    check(&found, "1.running_var", &[2], &variance);
    check(&found, "1.num_batches_tracked", &[], &[0.0]);
    check(&found, "4.weight", &[3, 32], &made(7, 96));
}

#[test]
fn a_checkpoint_is_searched_for_the_state_of_its_network_and_every_type_and_stride_is_read() {
    let found = open("checkpoint.pth");
    check(&found, "half", &[2, 3], &made(0, 6));
    check(&found, "brain", &[5], &made(1, 5));
    check(&found, "double", &[2, 2], &made(2, 4));
    let wide = made(3, 24);
    let turned: Vec<f32> = (0..24).map(|i| wide[i % 4 * 6 + i / 4]).collect();
    check(&found, "turned", &[6, 4], &turned);
    check(&found, "corner", &[2, 2], &[wide[8], wide[11], wide[14], wide[17]]);
    check(&found, "tied", &[3, 2], &made(4, 6));
    check(&found, "tied_again", &[3, 2], &made(4, 6));
    check(&found, "spread", &[3, 2], &made(5, 2).repeat(3));
    check(&found, "whole", &[2], &[-3.0, 1_099_511_627_776.0]);
    check(&found, "truth", &[2], &[1.0, 0.0]);
    check(&found, "one", &[], &[2.5]);
    check(&found, "none", &[0, 4], &[]);
    assert_eq!(found.len(), 12, "the optimiser's state is none of the network's");
}

#[test]
fn arrays_of_numpy_are_read_stored_and_packed() {
    for name in ["arrays.npz", "packed.npz"] {
        let found = open(name);
        check(&found, "encoder.weight", &[2, 3], &made(0, 6));
        check(&found, "half", &[4], &made(1, 4));
        check(&found, "double", &[2, 2], &made(2, 4));
        check(&found, "big", &[3, 2], &made(3, 6));
        check(&found, "columns", &[2, 3, 4], &made(4, 24));
        check(&found, "whole", &[1, 2], &[-3.0, 5.0]);
        check(&found, "one", &[], &[2.5]);
        assert_eq!(found.len(), 7);
    }
    check(&open("array.npy"), "array", &[3, 5], &made(7, 15));
}

#[test]
fn safetensors_are_read_from_one_file_or_several_with_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let none = Default::default();
    let tensor = |name, data| NamedTensor { name, shape: &[2], data };
    container::save(&path("m-1.safetensors"), &[tensor("a", &[1.0, 2.0]), tensor("b", &[3.0, 4.0])], &none)
        .expect("saved");
    container::save(&path("m-2.safetensors"), &[tensor("c", &[5.0, 6.0])], &none).expect("saved");
    let index = path("m.safetensors.index.json");
    let with_index = |json: &str| {
        fs::write(&index, json).expect("written");
        Weights::open(&index)
    };
    let json = r#"{"metadata":{"total_size":24},"weight_map":{"a":"m-1.safetensors","b":"m-1.safetensors","c":"m-2.safetensors"}}"#;
    let found = content(&mut with_index(json).expect("an index")).expect("values");
    for (name, values) in [("a", [1.0, 2.0]), ("b", [3.0, 4.0]), ("c", [5.0, 6.0])] {
        check(&found, name, &[2], &values);
    }
    check(
        &content(&mut Weights::open(&path("m-2.safetensors")).expect("a file")).expect("values"),
        "c",
        &[2],
        &[5.0, 6.0],
    );

    let message = |json: &str| with_index(json).expect_err(json).to_string();
    for file in ["../m-1.safetensors", "/etc/passwd", "x/m-1.safetensors", "..", "", "C:m", "x\\\\m"] {
        let message = message(&format!(r#"{{"weight_map":{{"a":"{file}"}}}}"#));
        assert!(message.contains("without folders"), "{file}: {message}");
    }
    let missing = message(r#"{"weight_map":{"z":"m-1.safetensors"}}"#);
    assert!(missing.contains("m-1.safetensors: the tensor `z` is not in this file"), "{missing}");
    assert!(message(r#"{"weight_map":{"a":"m-3.safetensors"}}"#).contains("cannot open the file"));
    assert!(message(r#"{"weight_map":{}}"#).contains("names 0 files"));
    assert!(message(r#"{"weights":{}}"#).contains("weight_map"));
    container::save(&path("m-2.safetensors"), &[tensor("a", &[5.0, 6.0])], &none).expect("saved");
    let twice = message(r#"{"weight_map":{"b":"m-1.safetensors","a":"m-2.safetensors"}}"#);
    assert!(twice.contains("m-2.safetensors: two tensors are named `a`"), "{twice}");
}

#[test]
fn files_that_are_no_weights_say_what_they_are_and_what_to_do() {
    for (name, parts) in [
        ("before_1_6.pt", &["before version 1.6", "torch.save(torch.load(path), path)"][..]),
        ("module.pt", &["wants to run `torch.nn.modules.linear.Linear`", "model.state_dict()"]),
        ("script.pt", &["TorchScript", "torch.jit.load"]),
        ("command.pt", &["wants to run `posix.system`"]),
        ("objects.npy", &["the array `objects` holds Python objects"]),
        ("make.py", &["looks like text"]),
        ("none.pt", &["cannot open the file"]),
    ] {
        let message = refused(name);
        assert!(message.contains(name), "{message}");
        for part in parts {
            assert!(message.contains(part), "{name}: {message}");
        }
    }
    assert!(!Path::new("/tmp/this-was-run").exists());
}

fn entries_of(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let archive = ZipArchive::from_slice(bytes).expect("an archive");
    let mut entries = archive.entries();
    let mut all = Vec::new();
    while let Some(entry) = entries.next_entry().expect("an entry") {
        let name = String::from_utf8(entry.file_path().as_ref().to_vec()).expect("a name");
        let place = archive.get_entry(entry.wayfinder()).expect("an entry");
        let mut content = Vec::new();
        place.verifying_reader(place.data()).read_to_end(&mut content).expect("stored");
        all.push((name, content));
    }
    all
}

/// Opens bytes and reads all that is there; holds what is asked of any bytes.
fn any(bytes: Vec<u8>) -> Result<Vec<Content>, String> {
    let length = bytes.len();
    let outcome = catch_unwind(|| {
        let mut weights = Weights::from_bytes(bytes).map_err(|error| error.to_string())?;
        for tensor in weights.tensors() {
            let count: usize = tensor.shape.iter().product();
            assert!(count <= MAX_REPEATED.max(20 * length), "{tensor:?} of {length} bytes");
        }
        content(&mut weights)
    });
    outcome.expect("no bytes may make it panic")
}

const FORMATS: [&str; 5] = ["network.pt", "checkpoint.pth", "arrays.npz", "packed.npz", "array.npy"];

#[test]
fn every_cut_is_an_error() {
    for name in FORMATS {
        let bytes = bytes_of(name);
        for length in 0..bytes.len() {
            any(bytes[..length].to_vec()).expect_err(&format!("{name} cut to {length}"));
        }
    }
}

#[test]
fn no_flipped_bit_makes_a_panic_and_none_changes_a_state_dictionary() {
    for name in FORMATS {
        let bytes = bytes_of(name);
        let whole = any(bytes.clone()).expect(name);
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let outcome = any(flipped);
            // Arrays of NumPy have no checksum, and their names in an archive neither.
            if name.ends_with(".pt") || name.ends_with(".pth") {
                assert!(outcome.is_err() || outcome.as_ref() == Ok(&whole), "{name}: bit {bit}");
            }
        }
    }
}

#[test]
fn no_flipped_bit_or_cut_of_a_pickle_makes_a_panic_though_its_checksum_is_right() {
    for name in ["network.pt", "checkpoint.pth"] {
        let entries = entries_of(&bytes_of(name));
        let pickle = entries.iter().position(|(name, _)| name.ends_with("/data.pkl")).expect("a pickle");
        let with = |pickled: Vec<u8>| {
            let mut entries = entries.clone();
            entries[pickle].1 = pickled;
            any(archive(&entries, false))
        };
        let pickled = &entries[pickle].1;
        assert!(with(pickled.clone()).is_ok());
        for length in 0..pickled.len() {
            with(pickled[..length].to_vec()).expect_err(&format!("{name} cut to {length}"));
        }
        let mut errors = 0;
        for bit in 0..8 * pickled.len() {
            let mut flipped = pickled.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            errors += usize::from(with(flipped).is_err());
        }
        assert!(errors > 4 * pickled.len(), "{name}: {errors} of {} are errors", 8 * pickled.len());
    }
}

#[test]
fn a_zip_bomb_is_refused_before_it_is_unpacked() {
    let values = 1 << 22;
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({values},), }}");
    let head = [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    let zeros = [head, vec![0; 4 * values]].concat();
    let bomb = |count: usize| {
        let entries: Vec<_> = (0..count).map(|k| (format!("{k}.npy"), zeros.clone())).collect();
        Weights::from_bytes(archive(&entries, true))
    };
    // Zeros alone are no bomb: 48 MiB of them.
    assert_eq!(bomb(3).expect("zeros").tensors().len(), 3);
    let error = bomb(5).expect_err("a bomb");
    assert!(matches!(error.problem, Problem::Archive { .. }), "{error}");
    assert!(error.to_string().contains("a zip bomb?"), "{error}");
}

#[test]
fn a_packed_entry_that_lies_about_its_size_is_an_error() {
    let array = &bytes_of("array.npy");
    let mut bytes = archive(&[("a.npy".to_string(), [&array[..], &[0; 4]].concat())], true);
    // Both sizes that the directory says are those of a whole array; the stream has four bytes more.
    let directory = bytes.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").expect("a directory");
    bytes[directory + 24..directory + 28].copy_from_slice(&(array.len() as u32).to_le_bytes());
    let message = any(bytes).expect_err("more than it says");
    assert!(message.contains("`a`") || message.contains("a.npy"), "{message}");
}

#[test]
fn storages_that_are_not_what_the_pickle_says_are_named() {
    let entries = entries_of(&bytes_of("network.pt"));
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut entries = entries.clone();
        let entry = entries.iter_mut().find(|(found, _)| found.ends_with(name)).expect("an entry");
        change(&mut entry.1);
        any(archive(&entries, false))
    };
    let short = changed("/data/1", &|bytes| bytes.truncate(4)).expect_err("too short");
    assert!(short.contains("`0.bias` has 2 values of 4 bytes") && short.contains("which has 4 bytes"), "{short}");
    let mut fewer = entries.clone();
    fewer.retain(|(name, _)| !name.ends_with("/data/7"));
    let missing = any(archive(&fewer, false)).expect_err("not there");
    assert!(missing.contains("`4.weight`") && missing.contains("not in the archive"), "{missing}");
    let mut packed = archive(&entries, true);
    let message = any(std::mem::take(&mut packed)).expect_err("packed");
    assert!(message.contains("no state dictionary"), "{message}");
    let big = changed("/byteorder", &|bytes| *bytes = b"big".to_vec()).expect("other bytes are other numbers");
    assert_eq!(big[1].2[0].to_bits(), made(1, 2)[0].to_bits().swap_bytes());
}

const NETWORK: &str = "conv 2 3x3 same -> batchnorm relu -> flatten -> dense 3";

fn parameters(line: &str) -> Parameters {
    Parameters::zeros(&nn::network(line, &[1, 4, 4], None).expect("a network"))
}

#[test]
fn weights_of_pytorch_go_into_the_same_network_by_name() {
    let mut weights = Weights::open(&fixture("network.pt")).expect("weights");
    let mut parameters = parameters(NETWORK);
    let matching = Matching::by_name(&weights, &parameters, &Renaming::default()).expect("names");
    matching.require_all(&weights).expect("all");
    assert!(matching.unused.is_empty());
    assert_eq!(matching.load(&mut weights, &mut parameters).expect("values"), 8);
    assert_eq!(parameters.get("0.weight"), Some(&made(0, 18)[..]));
    assert_eq!(parameters.get("1.running_mean"), Some(&made(4, 2)[..]));
    assert_eq!(parameters.get("4.weight"), Some(&made(7, 96)[..]));
}

#[test]
fn what_does_not_match_is_listed_and_the_rest_still_loads() {
    let mut weights = Weights::open(&fixture("network.pt")).expect("weights");
    let mut parameters = parameters("conv 2 3x3 same -> batchnorm relu -> flatten -> dense 5 nobias");
    let rename = "4.bias=head.bias".parse().expect("a rule");
    let matching = Matching::by_name(&weights, &parameters, &rename).expect("names");
    let place = |name: &str| weights.tensors().iter().position(|tensor| tensor.name == name).expect("a tensor");
    let last = matching.parameters.last().expect("parameters");
    assert_eq!((last.parameter.as_str(), last.outcome), ("4.weight", Outcome::OtherShape(place("4.weight"))));
    assert_eq!(matching.unused, [place("4.bias")]);
    let message = matching.require_all(&weights).expect_err("another shape").to_string();
    assert_eq!(
        message,
        "1 of 7 parameters find no values: `4.weight` [5, 32] is [3, 32] in the file; nothing takes `4.bias` [3]: rename them"
    );
    assert_eq!(matching.load(&mut weights, &mut parameters).expect("values"), 6);
    assert_eq!(parameters.get("0.bias"), Some(&made(1, 2)[..]));
    assert!(parameters.get("4.weight").expect("a parameter").iter().all(|value| *value == 0.0));
    let both = Matching::by_name(&weights, &parameters, &"0.*=x, 1.*=x".parse().expect("rules"));
    assert!(matches!(both, Err(MatchError::Ambiguous { name, .. }) if name == "x"));
}

#[test]
fn where_names_share_nothing_the_order_decides_if_all_shapes_agree() {
    let mut weights = Weights::open(&fixture("network.pt")).expect("weights");
    let line = "identity -> conv 2 3x3 same -> batchnorm -> relu -> flatten -> dropout 0.5 -> dense 3";
    let mut found = parameters(line);
    let by_name = Matching::by_name(&weights, &found, &Renaming::default()).expect("names");
    assert!(by_name.require_all(&weights).is_err());
    let matching = Matching::in_order(&weights, &found).expect("the same layers");
    matching.load(&mut weights, &mut found).expect("values");
    assert_eq!(found.get("6.weight"), Some(&made(7, 96)[..]));

    let other = parameters("conv 2 3x3 same -> batchnorm -> flatten -> dense 4");
    let message = Matching::in_order(&weights, &other).expect_err("another shape").to_string();
    assert!(
        message.contains("tensor 6, `4.weight` of shape [3, 32], would become `3.weight` of shape [4, 32]"),
        "{message}"
    );
    let fewer = parameters("conv 2 3x3 same -> batchnorm -> flatten");
    let message = Matching::in_order(&weights, &fewer).expect_err("fewer").to_string();
    assert_eq!(message, "in order, 8 tensors cannot become 6 parameters; the first 6 agree, then comes `4.weight`");

    let bytes = container::to_bytes(&[NamedTensor { name: "a", shape: &[1], data: &[0.0] }], &Default::default());
    let unordered = Weights::from_bytes(bytes.expect("a file")).expect("weights");
    assert_eq!(Matching::in_order(&unordered, &other), Err(MatchError::Unordered));
}
