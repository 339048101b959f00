//! Checksums of what a file holds.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::container::NamedTensor;

/// SHA-256 over names, shapes and values, as 64 lower-case hexadecimal digits.
///
/// For each tensor, in ascending order of the names' UTF-8 bytes, these bytes are hashed:
/// the name; one zero byte; the number of dimensions and then each dimension as u64, little-endian; the values in
/// row-major order as IEEE 754 binary32, little-endian. The order in which the tensors are handed in does not matter.
///
/// Two sets of tensors have the same sum exactly when every bit of every value is the same (-0 and 0 differ).
pub fn weights_sha256(tensors: &[NamedTensor<'_>]) -> String {
    let mut sorted: Vec<&NamedTensor<'_>> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(b.name));
    let mut hash = Sha256::new();
    for tensor in sorted {
        hash.update(tensor.name.as_bytes());
        hash.update([0]);
        hash.update((tensor.shape.len() as u64).to_le_bytes());
        for &dimension in tensor.shape {
            hash.update((dimension as u64).to_le_bytes());
        }
        for_each_block(tensor.data, |bytes| hash.update(bytes));
    }
    hexadecimal(hash)
}

/// SHA-256 over a map of strings: for each entry, in ascending order of the keys' bytes, the length of the key (u64,
/// little-endian), the key, the length of the value, the value.
pub(super) fn metadata_sha256<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let sorted: BTreeMap<&str, &str> = entries.into_iter().collect();
    let mut hash = Sha256::new();
    for part in sorted.into_iter().flat_map(|(key, value)| [key, value]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hexadecimal(hash)
}

/// Hands `data` over as little-endian bytes, block by block: no copy of the whole is made.
pub(super) fn for_each_block(data: &[f32], mut visit: impl FnMut(&[u8])) {
    let mut block = [0; 4 * BLOCK];
    for values in data.chunks(BLOCK) {
        let bytes = &mut block[..4 * values.len()];
        for (bytes, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
            *bytes = value.to_le_bytes();
        }
        visit(bytes);
    }
}

/// Values per block; 16 KiB stay in the first-level cache between conversion and use.
const BLOCK: usize = 4096;

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_documented_one() {
        // The bytes written out by hand, in the order of the definition.
        let bytes: Vec<u8> = [
            &b"0.bias\0"[..],
            &1u64.to_le_bytes(),
            &2u64.to_le_bytes(),
            &[0, 0, 0x80, 0x3f, 0, 0, 0, 0x80], // 1.0, -0.0
            b"0.weight\0",
            &2u64.to_le_bytes(),
            &1u64.to_le_bytes(),
            &3u64.to_le_bytes(),
            &[0, 0, 0, 0xc0, 0, 0, 0xc0, 0x7f, 1, 0, 0, 0], // -2.0, NaN, the smallest subnormal
        ]
        .concat();
        let weight = NamedTensor {
            name: "0.weight",
            shape: &[1, 3],
            data: &[-2.0, f32::from_bits(0x7fc0_0000), f32::from_bits(1)],
        };
        let bias = NamedTensor { name: "0.bias", shape: &[2], data: &[1.0, -0.0] };
        let expected = hexadecimal(Sha256::new_with_prefix(&bytes));
        assert_eq!(weights_sha256(&[weight, bias]), expected);
        assert_eq!(weights_sha256(&[bias, weight]), expected);
    }

    #[test]
    fn no_tensors_give_the_sum_of_nothing() {
        // The published SHA-256 of the empty message.
        assert_eq!(weights_sha256(&[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn every_part_counts() {
        let data: Vec<f32> = (0..2 * BLOCK + 7).map(|i| i as f32).collect();
        let base = NamedTensor { name: "w", shape: &[data.len()], data: &data };
        let sum = weights_sha256(&[base]);
        assert_ne!(sum, weights_sha256(&[NamedTensor { name: "v", ..base }]));
        assert_ne!(sum, weights_sha256(&[NamedTensor { shape: &[1, data.len()], ..base }]));
        for place in [0, BLOCK - 1, BLOCK, data.len() - 1] {
            let mut changed = data.clone();
            changed[place] = f32::from_bits(changed[place].to_bits() ^ 1);
            assert_ne!(sum, weights_sha256(&[NamedTensor { data: &changed, ..base }]), "place {place}");
        }
    }

    #[test]
    fn the_border_between_key_and_value_counts() {
        assert_ne!(metadata_sha256([("ab", "c")]), metadata_sha256([("a", "bc")]));
        assert_ne!(metadata_sha256([("a", "b"), ("c", "")]), metadata_sha256([("a", "b")]));
        assert_eq!(metadata_sha256([("a", "1"), ("b", "2")]), metadata_sha256([("b", "2"), ("a", "1")]));
    }
}
