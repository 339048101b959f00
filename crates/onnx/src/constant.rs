//! Values that are known when a network is read: initialisers, attributes, and what follows from them.

use std::sync::Arc;

use crate::error::OnnxError;
use crate::external::Folder;
use crate::proto::Tensor;

/// Values that one known tensor may have: 2²⁹, two gigabytes of f32.
const MAX_VALUES: usize = 1 << 29;

/// What the values of a tensor are. All of them are f32 in a network of Pellucid; this says what arithmetic on them means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers.
    Float,
    /// Whole numbers, of 64 bits (or 32, if the flag is set).
    Int {
        /// Of 32 bits at most.
        narrow: bool,
    },
    /// 1 or 0.
    Bool,
}

impl Kind {
    /// Whole numbers of 64 bits.
    pub const INT: Kind = Kind::Int { narrow: false };

    /// The kind of an element type of ONNX.
    pub fn of(data_type: i32) -> Option<Kind> {
        Some(match data_type {
            1 | 10 | 11 | 16 => Kind::Float,
            2..=6 | 12 => Kind::Int { narrow: true },
            7 | 13 => Kind::INT,
            9 => Kind::Bool,
            _ => return None,
        })
    }

    /// The element type of ONNX.
    pub fn data_type(self) -> i32 {
        match self {
            Kind::Float => 1,
            Kind::Int { narrow: true } => 6,
            Kind::Int { narrow: false } => 7,
            Kind::Bool => 9,
        }
    }
}

/// The values of a known tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers.
    Float(Arc<Vec<f32>>),
    /// Whole numbers; truth is 1.
    Whole(Arc<Vec<i64>>),
}

impl Values {
    /// Are they the very same ones, not only equal?
    pub fn is(&self, other: &Values) -> bool {
        match (self, other) {
            (Values::Float(a), Values::Float(b)) => Arc::ptr_eq(a, b),
            (Values::Whole(a), Values::Whole(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// A tensor that is known when a network is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// What its values are.
    pub kind: Kind,
    /// Sizes of its axes.
    pub dims: Vec<usize>,
    /// Its values.
    pub values: Values,
    /// The initialiser that it is, if its values may be trained.
    pub name: Option<String>,
    /// It depends on the number of rows of the batch, for which a number stands that no size has.
    pub of_batch: bool,
}

impl Constant {
    /// Numbers.
    pub fn floats(dims: &[usize], values: Vec<f32>) -> Constant {
        let values = Values::Float(Arc::new(values));
        Constant { kind: Kind::Float, dims: dims.to_vec(), values, name: None, of_batch: false }
    }

    /// Whole numbers.
    pub fn whole(dims: &[usize], values: Vec<i64>) -> Constant {
        let values = Values::Whole(Arc::new(values));
        Constant { kind: Kind::INT, dims: dims.to_vec(), values, name: None, of_batch: false }
    }

    /// One number of a kind.
    pub fn number(kind: Kind, value: f64) -> Constant {
        Constant::of_wide(kind, &[], vec![value])
    }

    /// Values of a kind, computed in f64.
    pub fn of_wide(kind: Kind, dims: &[usize], values: Vec<f64>) -> Constant {
        let values = match kind {
            Kind::Float => Values::Float(Arc::new(values.into_iter().map(|x| x as f32).collect())),
            _ => Values::Whole(Arc::new(values.into_iter().map(|x| x as i64).collect())),
        };
        Constant { kind, dims: dims.to_vec(), values, name: None, of_batch: false }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Float(values) => values.len(),
            Values::Whole(values) => values.len(),
        }
    }

    /// No values at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values in f64.
    pub fn wide(&self) -> Vec<f64> {
        match &self.values {
            Values::Float(values) => values.iter().map(|&x| f64::from(x)).collect(),
            Values::Whole(values) => values.iter().map(|&x| x as f64).collect(),
        }
    }

    /// The values in f32.
    pub fn narrow(&self) -> Arc<Vec<f32>> {
        match &self.values {
            Values::Float(values) => values.clone(),
            Values::Whole(values) => Arc::new(values.iter().map(|&x| x as f32).collect()),
        }
    }

    /// The values as whole numbers.
    pub fn ints(&self) -> Vec<i64> {
        match &self.values {
            Values::Float(values) => values.iter().map(|&x| x as i64).collect(),
            Values::Whole(values) => values.to_vec(),
        }
    }

    /// Reads a tensor; what lies in another file comes from `folder`.
    ///
    /// # Errors
    /// When type, sizes and bytes do not fit each other, before anything is allocated for the values.
    pub fn read(tensor: &Tensor, folder: &Folder) -> Result<Constant, OnnxError> {
        let name = tensor.name.clone().unwrap_or_default();
        let error = |problem: String| OnnxError::Tensor { name: name.clone(), problem };
        let data_type = tensor.data_type.unwrap_or(0);
        let kind = Kind::of(data_type).ok_or_else(|| error(format!("values of type {data_type} cannot be read")))?;
        let mut dims = Vec::new();
        let mut count = 1usize;
        for &size in &tensor.dims {
            let size =
                usize::try_from(size).map_err(|_| error(format!("its sizes {:?} are impossible", tensor.dims)))?;
            count = count.saturating_mul(size);
            dims.push(size);
        }
        // A size of 0 hides others that would overflow.
        if count > MAX_VALUES || dims.iter().any(|size| *size > MAX_VALUES) || dims.len() > 64 {
            return Err(error(format!("its sizes {:?} are more than can be read", tensor.dims)));
        }
        let external;
        let raw: Option<&[u8]> = if tensor.data_location == Some(1) {
            external = folder.read(&name, &tensor.external_data, count * size_of_type(data_type))?;
            Some(&external)
        } else {
            tensor.raw_data.as_deref()
        };
        let wrong = |found: usize| error(format!("{count} values are due, there are {found}"));
        let values = match raw {
            Some(bytes) => {
                let size = size_of_type(data_type);
                if bytes.len() != count * size {
                    return Err(wrong(bytes.len() / size));
                }
                from_bytes(data_type, bytes)
            }
            None => {
                let values = from_fields(data_type, tensor);
                let found = match &values {
                    Values::Float(values) => values.len(),
                    Values::Whole(values) => values.len(),
                };
                if found != count {
                    return Err(wrong(found));
                }
                values
            }
        };
        Ok(Constant { kind, dims, values, name: None, of_batch: false })
    }
}

/// Bytes of a value.
fn size_of_type(data_type: i32) -> usize {
    match data_type {
        2 | 3 | 9 => 1,
        4 | 5 | 10 | 16 => 2,
        7 | 11 | 13 => 8,
        _ => 4,
    }
}

fn from_bytes(data_type: i32, bytes: &[u8]) -> Values {
    fn each<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Arc<Vec<T>> {
        let parts = bytes.chunks_exact(N);
        Arc::new(parts.map(|part| value(part.try_into().expect("parts of N bytes"))).collect())
    }
    match data_type {
        1 => Values::Float(each(bytes, f32::from_le_bytes)),
        10 => Values::Float(each(bytes, |bytes| half(u16::from_le_bytes(bytes)))),
        11 => Values::Float(each(bytes, |bytes| f64::from_le_bytes(bytes) as f32)),
        16 => Values::Float(each(bytes, |bytes| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16))),
        2 => Values::Whole(each(bytes, |bytes| i64::from(u8::from_le_bytes(bytes)))),
        3 => Values::Whole(each(bytes, |bytes| i64::from(i8::from_le_bytes(bytes)))),
        4 => Values::Whole(each(bytes, |bytes| i64::from(u16::from_le_bytes(bytes)))),
        5 => Values::Whole(each(bytes, |bytes| i64::from(i16::from_le_bytes(bytes)))),
        6 => Values::Whole(each(bytes, |bytes| i64::from(i32::from_le_bytes(bytes)))),
        12 => Values::Whole(each(bytes, |bytes| i64::from(u32::from_le_bytes(bytes)))),
        9 => Values::Whole(each(bytes, |[byte]: [u8; 1]| i64::from(byte != 0))),
        _ => Values::Whole(each(bytes, i64::from_le_bytes)),
    }
}

fn from_fields(data_type: i32, tensor: &Tensor) -> Values {
    let small = || tensor.int32_data.iter();
    match data_type {
        1 => Values::Float(Arc::new(tensor.float_data.clone())),
        10 => Values::Float(Arc::new(small().map(|&x| half(x as u16)).collect())),
        11 => Values::Float(Arc::new(tensor.double_data.iter().map(|&x| x as f32).collect())),
        16 => Values::Float(Arc::new(small().map(|&x| f32::from_bits((x as u32) << 16)).collect())),
        9 => Values::Whole(Arc::new(small().map(|&x| i64::from(x != 0)).collect())),
        7 => Values::Whole(Arc::new(tensor.int64_data.clone())),
        12 | 13 => Values::Whole(Arc::new(tensor.uint64_data.iter().map(|&x| x as i64).collect())),
        _ => Values::Whole(Arc::new(small().map(|&x| i64::from(x)).collect())),
    }
}

/// A number of 16 bits (IEEE 754 binary16) as f32: the exponent is shifted from 15 to 127, and the smallest numbers are multiples
/// of 2⁻²⁴.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 31), u32::from(bits & 1023));
    let magnitude = match exponent {
        0 => (fraction as f32 / 16_777_216.0).to_bits(),
        31 => 255 << 23 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}
