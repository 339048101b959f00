//! Model files that are cut, flipped, oversized, foreign or just random: an error or the same content, never a panic.

use std::collections::BTreeMap;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;

use pellucid::model::container::{self, Container, NamedTensor, StoredTensor};
use pellucid::model::document::{ModelDocument, ModelFile, save_model};
use pellucid::model::error::{ContainerError, Fault};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

const WEIGHT: NamedTensor<'_> =
    NamedTensor { name: "0.weight", shape: &[2, 3], data: &[1.0, -2.5, 0.0, -0.0, 1e-40, 3e38] };
const BIAS: NamedTensor<'_> = NamedTensor { name: "0.bias", shape: &[2], data: &[f32::INFINITY, f32::NAN] };

fn small_model() -> Vec<u8> {
    let document = ModelDocument { network: Some("dense 2 \"x\"".into()), ..ModelDocument::default() };
    let metadata = BTreeMap::from([("model".to_string(), document.to_json())]);
    container::to_bytes(&[WEIGHT, BIAS], &metadata).expect("valid")
}

type Reader = fn(&[u8]) -> Result<Container, ContainerError>;

/// Both ways of reading.
const READERS: [Reader; 2] = [Container::from_bytes, Container::from_bytes_any];

#[test]
fn every_cut_is_an_error() {
    let bytes = small_model();
    for length in 0..bytes.len() {
        for read in READERS {
            let error = read(&bytes[..length]).expect_err("cut");
            assert!(error.fault.is_damage(), "{length} bytes: {error}");
        }
        assert!(ModelFile::from_bytes(&bytes[..length]).is_err(), "{length} bytes");
    }
    ModelFile::from_bytes(&bytes).expect("whole");
}

#[test]
fn every_flipped_bit_is_an_error() {
    let bytes = small_model();
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        for read in READERS {
            let error = read(&flipped).expect_err(&format!("bit {} of byte {} was flipped", bit % 8, bit / 8));
            assert!(error.fault.is_damage(), "bit {bit}: {error}");
        }
    }
}

#[test]
fn a_byte_more_is_an_error() {
    for extra in [0u8, b' ', b'}', 0xff] {
        let mut bytes = small_model();
        bytes.push(extra);
        let error = Container::from_bytes(&bytes).expect_err("longer");
        assert!(matches!(error.fault, Fault::TrailingBytes { .. }), "{error}");
    }
}

#[test]
fn an_error_names_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cut.safetensors");
    let bytes = small_model();
    fs::write(&path, &bytes[..bytes.len() - 3]).expect("written");
    let message = ModelFile::open(&path).expect_err("cut").to_string();
    assert!(message.contains("cut.safetensors: the file is cut off"), "{message}");
    assert!(message.contains(&format!("{} bytes expected, {} found", bytes.len(), bytes.len() - 3)), "{message}");

    let message = ModelFile::open(&folder.path().join("none")).expect_err("missing").to_string();
    assert!(message.contains("none: cannot open the file"), "{message}");
    let message = ModelFile::open(folder.path()).expect_err("a folder").to_string();
    assert!(message.contains("a folder or device"), "{message}");
}

#[test]
fn foreign_files_are_recognised() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
    let cases: [(&[u8], &str); 8] = [
        (b"", "only 0 bytes"),
        (png, "PNG"),
        (b"PK\x03\x04\x14\0\0\0\x08\0archive/data.pkl", "torch.save_file"),
        (b"\x80\x02}q\0(X\x06\0\0\0weight", "pickle"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "gzip"),
        (b"sepal,petal,species\n5.1,3.5,setosa\n", "text"),
        (b"{\"model\": \"of another program\"}", "JSON"),
        (&[0; 64], "does not start with a brace"),
    ];
    for (bytes, part) in cases {
        for read in READERS {
            let error = read(bytes).expect_err(part);
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }
    // Any safetensors file is read on request, but is not taken for ours.
    let view = TensorView::new(Dtype::F32, vec![1], &[0, 0, 0x80, 0x3f]).expect("valid");
    let bytes = safetensors::serialize([("w", view)], None).expect("valid");
    assert!(matches!(Container::from_bytes(&bytes).expect_err("not ours").fault, Fault::NotOurs { .. }));
    let container = Container::from_bytes_any(&bytes).expect("whole");
    assert_eq!(container.weights_sha256(), None);
    assert_eq!(container.tensor("w"), Some(&StoredTensor { shape: vec![1], data: vec![1.0] }));
}

/// A file with the given header and as many zero bytes.
fn with_header(json: &str, data_bytes: usize) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.bytes());
    bytes.resize(bytes.len() + data_bytes, 0);
    bytes
}

#[test]
fn oversized_declarations_are_refused() {
    let shapes =
        ["[18446744073709551615]", "[4294967296,4294967296]", "[4611686018427387904]", "[1000000000000]", "[2]"];
    let offsets = ["[0,18446744073709551615]", "[0,4000000000000]", "[18446744073709551614,2]", "[0,0]", "[0,4]"];
    for shape in shapes {
        for offset in offsets {
            for dtype in ["F32", "F64", "F4", "U8"] {
                let json = format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offset}}}}}"#);
                let error = Container::from_bytes_any(&with_header(&json, 4)).expect_err(&json);
                assert!(error.fault.is_damage(), "{json}: {error}");
            }
        }
    }
    // Nesting deeper than the stack, and more dimensions than any tensor has.
    let json = format!(r#"{{"w":{{"dtype":"F32","shape":{}"#, "[".repeat(500_000));
    assert!(Container::from_bytes_any(&with_header(&json, 0)).is_err());
    let json = format!(r#"{{"w":{{"dtype":"F32","shape":[{}9],"data_offsets":[0,4]}}}}"#, "9,".repeat(100_000));
    assert!(matches!(
        Container::from_bytes_any(&with_header(&json, 4)).expect_err("huge").fault,
        Fault::Overflow { .. }
    ));
}

#[test]
fn types_that_are_no_f32_are_converted_or_named() {
    let file = |dtype: Dtype, data: &[u8]| {
        let count = data.len() * 8 / dtype.bitsize();
        let view = TensorView::new(dtype, vec![count], data).expect("valid");
        Container::from_bytes_any(&safetensors::serialize([("w", view)], None).expect("valid"))
    };
    let values = |dtype, data: &[u8]| file(dtype, data).expect("readable").tensor("w").expect("there").data.clone();
    assert_eq!(values(Dtype::F16, &[0, 0x3c, 0, 0xc0]), [1.0, -2.0]);
    assert_eq!(values(Dtype::BF16, &[0x80, 0x3f]), [1.0]);
    assert_eq!(values(Dtype::F64, &0.1f64.to_le_bytes()), [0.1]);
    assert_eq!(values(Dtype::I64, &[7, 0, 0, 0, 0, 0, 0, 0]), [7.0]);
    // The place counts over the blocks in which a tensor is read.
    let mut data = vec![0; 8 * 20_000];
    data[8 * 19_999..].copy_from_slice(&i64::MAX.to_le_bytes());
    let error = file(Dtype::I64, &data).expect_err("too large");
    assert!(matches!(&error.fault, Fault::Inexact { index: 19_999, tensor, .. } if tensor == "w"), "{error}");
    let error = file(Dtype::F8_E4M3, &[1]).expect_err("no f32");
    assert!(matches!(&error.fault, Fault::Dtype { dtype, .. } if dtype == "F8_E4M3"), "{error}");
}

/// SplitMix64 (Steele, Lea & Flood 2014): small, and good enough to stir a test.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn text(&mut self, longest: usize) -> String {
        (0..self.below(longest + 1))
            .map(|_| ['a', '.', '7', 'ß', '"', '\\', '\u{1f600}', '{', ' '][self.below(9)])
            .collect()
    }
}

type Tensors = BTreeMap<String, StoredTensor>;

fn random_content(random: &mut Random) -> (Tensors, BTreeMap<String, String>) {
    let tensors = (0..random.below(6))
        .map(|i| {
            let shape: Vec<usize> = (0..random.below(4)).map(|_| random.below(5)).collect();
            // Any bits: NaN with payload, subnormal, both zeros.
            let data = (0..shape.iter().product()).map(|_| f32::from_bits(random.next() as u32)).collect();
            (format!("{}{i}", random.text(8)), StoredTensor { shape, data })
        })
        .collect();
    let metadata = (0..random.below(4)).map(|_| (random.text(5), random.text(40) + "\n\0")).collect();
    (tensors, metadata)
}

fn named(tensors: &Tensors) -> Vec<NamedTensor<'_>> {
    tensors.iter().map(|(name, tensor)| NamedTensor { name, shape: &tensor.shape, data: &tensor.data }).collect()
}

/// Bits, because NaN does not equal itself.
fn bits(tensors: &Tensors) -> BTreeMap<&str, (&[usize], Vec<u32>)> {
    let one = |tensor: &StoredTensor| tensor.data.iter().map(|value| value.to_bits()).collect();
    tensors.iter().map(|(name, tensor)| (name.as_str(), (&tensor.shape[..], one(tensor)))).collect()
}

#[test]
fn random_content_comes_back_and_the_reference_reader_agrees() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let (tensors, metadata) = random_content(&mut random);
        let mut shuffled = named(&tensors);
        for i in (1..shuffled.len()).rev() {
            shuffled.swap(i, random.below(i + 1));
        }
        let bytes = container::to_bytes(&shuffled, &metadata).expect("valid");
        assert_eq!(bytes, container::to_bytes(&named(&tensors), &metadata).expect("valid"), "seed {seed}");

        // The crate is the reader behind the Python package.
        let reference = SafeTensors::deserialize(&bytes).expect("the reference reads it");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("the reference reads it");
        let found = header.metadata().as_ref().expect("there are metadata");
        assert!(metadata.iter().all(|(key, value)| found.get(key) == Some(value)), "seed {seed}");
        assert_eq!(reference.len(), tensors.len(), "seed {seed}");
        for (name, tensor) in &tensors {
            let view = reference.tensor(name).expect("there");
            let data: Vec<u8> = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(
                (view.dtype(), view.shape(), view.data()),
                (Dtype::F32, &tensor.shape[..], &data[..]),
                "seed {seed}"
            );
        }

        let container = Container::from_bytes(&bytes).expect("ours");
        assert_eq!(container.metadata(), &metadata, "seed {seed}");
        assert_eq!(bits(&container.into_tensors()), bits(&tensors), "seed {seed}");
    }
}

#[test]
fn random_damage_is_never_a_panic_and_never_silent() {
    let mut read_as_before = 0;
    for seed in 0..20_000 {
        let mut random = Random(seed << 32);
        let (tensors, metadata) = random_content(&mut random);
        let bytes = container::to_bytes(&named(&tensors), &metadata).expect("valid");
        let mut damaged = bytes.clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(damaged.len());
            match random.below(6) {
                0 => damaged[at] = random.next() as u8,
                1 => damaged.truncate(at + 1),
                2 => damaged.insert(at, random.next() as u8),
                3 => drop(damaged.remove(at)),
                4 => damaged[at] = [b'9', b'"', b'}', b'[', b'-', b','][random.below(6)],
                // A length that fits, but a little off.
                _ => damaged[0] = damaged[0].wrapping_add(random.next() as u8 % 17),
            }
            if damaged.is_empty() {
                break;
            }
        }
        for read in READERS {
            let outcome = catch_unwind(|| read(&damaged)).unwrap_or_else(|_| panic!("seed {seed} panics"));
            if let Ok(container) = outcome {
                assert_eq!(container.metadata(), &metadata, "seed {seed}");
                assert_eq!(bits(&container.into_tensors()), bits(&tensors), "seed {seed}");
                read_as_before += 1;
            }
        }
    }
    // Some damage hits nothing (a byte replaced by itself, a digit's case in an escape): not the rule.
    assert!(read_as_before < 2_000, "{read_as_before} of 40000 readings saw no damage");
}

#[test]
fn weights_saved_by_pytorch_are_read() {
    let golden = std::env::var_os("GOLDEN_DIR")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden"));
    let path = golden.join("golden.safetensors");
    if !path.exists() {
        eprintln!("SKIPPED weights_saved_by_pytorch_are_read: no {}; set GOLDEN_DIR", path.display());
        return;
    }
    let container = Container::open_any(&path).expect("a safetensors file");
    let bytes = fs::read(&path).expect("readable");
    let reference = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    assert!(reference.len() > 100);
    assert_eq!(container.tensors().len(), reference.len());
    for (name, view) in reference.iter() {
        let tensor = container.tensor(name).expect("the same names");
        assert_eq!(tensor.shape, view.shape(), "{name}");
        let same = match view.dtype() {
            Dtype::F32 => tensor.data.iter().flat_map(|value| value.to_le_bytes()).eq(view.data().iter().copied()),
            Dtype::F64 => view.data().as_chunks::<8>().0.iter().zip(&tensor.data).all(|(bytes, value)| {
                let expected = f64::from_le_bytes(*bytes) as f32;
                expected.to_bits() == value.to_bits() || expected.is_nan() && value.is_nan()
            }),
            Dtype::I64 => view
                .data()
                .as_chunks::<8>()
                .0
                .iter()
                .zip(&tensor.data)
                .all(|(bytes, value)| i64::from_le_bytes(*bytes) as f64 == f64::from(*value)),
            other => panic!("{name} has type {other}: compare it here too"),
        };
        assert!(same, "{name}");
    }
}

#[test]
fn python_opens_a_model() {
    let script = r#"
import sys
from safetensors import safe_open
with safe_open(sys.argv[1], framework="numpy") as file:
    for name in sorted(file.keys()):
        tensor = file.get_tensor(name)
        print(name, tensor.dtype, list(tensor.shape), tensor.astype("<f4").tobytes().hex())
    print(file.metadata()["model"])
"#;
    let importable = Command::new("python3").args(["-c", "import numpy, safetensors"]).output();
    if !importable.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED python_opens_a_model: python3 with numpy and safetensors is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let document = ModelDocument::default();
    save_model(&path, &document, &[WEIGHT, BIAS]).expect("saved");
    let output = Command::new("python3").args(["-c", script]).arg(&path).output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let hexadecimal = |data: &[f32]| -> String {
        data.iter().flat_map(|value| value.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect()
    };
    let expected = format!(
        "0.bias float32 [2] {}\n0.weight float32 [2, 3] {}\n{}\n",
        hexadecimal(BIAS.data),
        hexadecimal(WEIGHT.data),
        document.to_json()
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}
