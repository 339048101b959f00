//! The header of a safetensors file: eight bytes of length (u64, little-endian), then JSON, padded with spaces.
//!
//! The JSON is one object: `"__metadata__"` maps strings to strings, every other key names a tensor:
//! `{"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}`, offsets counted from the end of the header.
//! Format: <https://github.com/huggingface/safetensors#format>. Types and their sizes come from the `safetensors` crate;
//! the checks are here, because a message should name the tensor, and a duplicate key should be one.

use std::collections::BTreeMap;
use std::fmt;

use safetensors::tensor::TensorInfo;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::error::Fault;

/// The limit of the reference implementation; it keeps a hostile length from becoming an allocation.
pub(super) const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Bytes of the length at the start of the file.
pub(super) const LENGTH_BYTES: usize = 8;

const METADATA: &str = "__metadata__";

/// What the header says.
pub(super) struct Header {
    pub metadata: BTreeMap<String, String>,
    /// Names and layout, in the order of the bytes.
    pub tensors: Vec<(String, TensorInfo)>,
}

impl Header {
    /// Length and JSON, ready to be written: metadata first in the order of their keys, then the tensors as they lie.
    /// The padding aligns the tensors to eight bytes.
    pub fn encode(&self) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; LENGTH_BYTES];
        serde_json::to_writer(&mut bytes, self).expect("strings and whole numbers are JSON, and a vector takes them");
        bytes.resize(bytes.len().next_multiple_of(8), b' ');
        let declared = (bytes.len() - LENGTH_BYTES) as u64;
        if declared > MAX_HEADER_BYTES {
            return Err(Fault::HeaderLength { declared, limit: MAX_HEADER_BYTES });
        }
        bytes[..LENGTH_BYTES].copy_from_slice(&declared.to_le_bytes());
        Ok(bytes)
    }

    /// Reads the JSON part and checks everything that can be checked without the tensors' bytes.
    pub fn parse(json: &[u8]) -> Result<Header, Fault> {
        // The format demands it; serde_json would skip white space.
        if json.first() != Some(&b'{') {
            return Err(Fault::Header { message: "it does not start with a brace".into() });
        }
        let mut header: Header =
            serde_json::from_slice(json).map_err(|error| Fault::Header { message: error.to_string() })?;
        header.tensors.sort_by_key(|(_, info)| info.data_offsets);
        let mut end_of_last = 0;
        for (name, info) in &header.tensors {
            check_name(name)?;
            end_of_last = check_layout(name, info, end_of_last)?;
        }
        Ok(header)
    }

    /// Bytes of all tensors together.
    pub fn data_bytes(&self) -> u64 {
        self.tensors.last().map_or(0, |(_, info)| info.data_offsets.1 as u64)
    }
}

/// Refuses names that would break a message, a listing or the checksum (which ends a name with a zero byte).
pub(super) fn check_name(name: &str) -> Result<(), Fault> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.chars().any(char::is_control) {
        "it contains a control character"
    } else if name == METADATA {
        "the format uses it for the metadata"
    } else {
        return Ok(());
    };
    Err(Fault::Name { tensor: name.to_string(), reason })
}

/// Number of values of a shape, unless it overflows.
pub(super) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |count, &dimension| count.checked_mul(dimension))
}

/// Checks that the tensor starts where the one before it ends and has the bytes of its shape; returns its end.
fn check_layout(name: &str, info: &TensorInfo, expected: usize) -> Result<usize, Fault> {
    let (start, end) = info.data_offsets;
    if start != expected || end < start {
        return Err(Fault::Offsets { tensor: name.to_string(), start, end, expected });
    }
    let bits = element_count(&info.shape).and_then(|count| count.checked_mul(info.dtype.bitsize()));
    let Some(bits) = bits else {
        return Err(Fault::Overflow { tensor: name.to_string(), shape: info.shape.clone() });
    };
    // Types of less than a byte exist, but a tensor ends at a whole one.
    if bits % 8 != 0 || end - start != bits / 8 {
        return Err(Fault::Size {
            tensor: name.to_string(),
            dtype: info.dtype.to_string(),
            shape: info.shape.clone(),
            expected: bits.div_ceil(8),
            found: end - start,
        });
    }
    Ok(end)
}

impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.metadata.is_empty() {
            map.serialize_entry(METADATA, &self.metadata)?;
        }
        for (name, info) in &self.tensors {
            map.serialize_entry(name, info)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Header, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Header, M::Error> {
        let mut metadata = None;
        let mut tensors = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                let Strings(found) =
                    map.next_value().map_err(|error| M::Error::custom(format!("metadata: {error}")))?;
                if metadata.replace(found).is_some() {
                    return Err(M::Error::custom("two sets of metadata"));
                }
                continue;
            }
            let info: TensorInfo =
                map.next_value().map_err(|error| M::Error::custom(format!("tensor {name:?}: {error}")))?;
            if tensors.contains_key(&name) {
                return Err(M::Error::custom(format!("two tensors are named {name:?}")));
            }
            tensors.insert(name, info);
        }
        Ok(Header { metadata: metadata.unwrap_or_default(), tensors: tensors.into_iter().collect() })
    }
}

/// A map of strings that refuses a second value for a key, where serde would silently take the last one.
struct Strings(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Strings, D::Error> {
        deserializer.deserialize_map(StringsVisitor)
    }
}

struct StringsVisitor;

impl<'de> Visitor<'de> for StringsVisitor {
    type Value = Strings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Strings, M::Error> {
        let mut strings = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            if strings.contains_key(&key) {
                return Err(M::Error::custom(format!("two values for {key:?}")));
            }
            strings.insert(key, value);
        }
        Ok(Strings(strings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> Fault {
        Header::parse(json.as_bytes()).err().unwrap_or_else(|| panic!("accepted: {json}"))
    }

    #[track_caller]
    fn check_message(json: &str, part: &str) {
        let message = fault(json).to_string();
        assert!(message.contains(part), "{json}: {message}");
    }

    #[test]
    fn what_the_format_allows_is_read() {
        let json = r#"{"b":{"dtype":"F16","shape":[2,1],"data_offsets":[8,12]},"__metadata__":{"k":"v"},
            "a":{"data_offsets":[0,8],"shape":[],"dtype":"F64"},"z":{"dtype":"F32","shape":[0,9],"data_offsets":[8,8]}}   "#;
        let header = Header::parse(json.as_bytes()).expect("valid");
        assert_eq!(header.metadata, BTreeMap::from([("k".into(), "v".into())]));
        assert_eq!(header.tensors.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "z", "b"]);
        assert_eq!(header.data_bytes(), 12);
        assert_eq!(Header::parse(b"{}").expect("valid").data_bytes(), 0);
    }

    #[test]
    fn malformed_json_is_named() {
        check_message("", "does not start with a brace");
        check_message(" {}", "does not start with a brace");
        check_message("[]", "does not start with a brace");
        check_message("{", "EOF");
        check_message("{} x", "trailing characters");
        check_message("{}{}", "trailing characters");
        check_message(r#"{"w":1}"#, r#"tensor "w""#);
        check_message(r#"{"w":{"dtype":"F33","shape":[],"data_offsets":[0,4]}}"#, "F33");
        check_message(r#"{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, r#"tensor "w""#);
        check_message(r#"{"w":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, r#"tensor "w""#);
        check_message(r#"{"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}"#, r#"tensor "w""#);
        check_message(r#"{"w":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#, r#"tensor "w""#);
        check_message(r#"{"w":{"dtype":"F32","shape":[1]}}"#, "data_offsets");
        check_message(r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, r#"tensor "w""#);
        check_message(r#"{"__metadata__":{"k":1}}"#, "metadata");
        check_message(r#"{"__metadata__":{"k":NaN}}"#, "metadata");
        check_message(r#"{"__metadata__":null}"#, "metadata");
        assert!(matches!(Header::parse(b"{\"\xff\":1}"), Err(Fault::Header { .. })));
    }

    #[test]
    fn duplicates_are_refused() {
        let w = r#""w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
        check_message(&format!("{{{w},{w}}}"), r#"two tensors are named "w""#);
        check_message(r#"{"__metadata__":{},"__metadata__":{}}"#, "two sets");
        check_message(r#"{"__metadata__":{"k":"a","k":"b"}}"#, r#"two values for "k""#);
        check_message(r#"{"w":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}"#, "duplicate field");
    }

    #[test]
    fn offsets_and_sizes_are_checked() {
        let one = |shape: &str, offsets: &str| {
            fault(&format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#))
        };
        assert!(matches!(one("[1]", "[4,8]"), Fault::Offsets { start: 4, expected: 0, .. }));
        assert!(matches!(one("[1]", "[0,8]"), Fault::Size { expected: 4, found: 8, .. }));
        assert!(matches!(one("[2,3]", "[0,20]"), Fault::Size { expected: 24, found: 20, .. }));
        assert!(matches!(one("[9223372036854775807,4]", "[0,4]"), Fault::Overflow { .. }));
        assert!(matches!(one("[4611686018427387904]", "[0,4]"), Fault::Overflow { .. }));

        let two = |first: &str, second: &str| {
            let tensor = |offsets: &str| format!(r#"{{"dtype":"F32","shape":[2],"data_offsets":{offsets}}}"#);
            fault(&format!(r#"{{"a":{},"b":{}}}"#, tensor(first), tensor(second)))
        };
        assert!(matches!(two("[0,8]", "[4,12]"), Fault::Offsets { start: 4, expected: 8, .. }));
        assert!(matches!(two("[0,8]", "[12,20]"), Fault::Offsets { start: 12, expected: 8, .. }));
        assert!(matches!(two("[0,8]", "[0,8]"), Fault::Offsets { start: 0, expected: 8, .. }));
        assert!(matches!(two("[0,8]", "[8,4]"), Fault::Offsets { start: 8, end: 4, .. }));
    }

    #[test]
    fn half_bytes_at_the_end_of_a_tensor_are_refused() {
        let json = r#"{"w":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}"#;
        assert!(matches!(fault(json), Fault::Size { .. }));
    }

    #[test]
    fn names_that_break_messages_are_refused() {
        for name in ["", r"a\u0000b", r"a\nb"] {
            let json = format!(r#"{{"{name}":{{"dtype":"F32","shape":[],"data_offsets":[0,4]}}}}"#);
            assert!(matches!(fault(&json), Fault::Name { .. }), "{name}");
        }
        assert!(check_name(METADATA).is_err());
        check_name("encoder.0.gewicht_ä").expect("an ordinary name");
    }
}
