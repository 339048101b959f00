//! How the values of a tensor lie in bytes, and their way to row-major f32.

use safetensors::Dtype;

use super::error::Problem;
use super::source::{Place, reserve};
use crate::model::element;
use crate::model::header::element_count;

/// Most values of a tensor that repeats those of its storage (`expand` in PyTorch): what a small file can ask for is bounded.
pub(super) const MAX_REPEATED: usize = 1 << 20;

/// Where the values of a tensor are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    pub dtype: Dtype,
    pub big_endian: bool,
    pub place: Place,
    /// Byte of the first value within the place.
    pub start: usize,
    /// Values from one to the next along each axis; row-major if absent.
    pub strides: Option<Vec<usize>>,
}

/// Bytes of a value.
pub(super) fn size_of(dtype: Dtype) -> usize {
    dtype.bitsize() / 8
}

/// The number of values of a tensor all of whose values lie within the first `stored` values behind `offset`, or what is wrong.
pub(super) fn check_strides(shape: &[usize], strides: &[usize], offset: usize, stored: usize) -> Result<usize, String> {
    let impossible = || format!("has the impossible shape {shape:?}");
    let count = element_count(shape).ok_or_else(impossible)?;
    if count == 0 {
        return Ok(0);
    }
    if count > stored.max(MAX_REPEATED) {
        return Err(format!("repeats the {stored} values of its storage {count} times"));
    }
    let reach = shape
        .iter()
        .zip(strides)
        .try_fold(offset, |reach, (&size, &stride)| reach.checked_add((size - 1).checked_mul(stride)?));
    match reach {
        Some(last) if last < stored => Ok(count),
        _ => Err(format!(
            "of shape {shape:?}, strides {strides:?} and offset {offset} reaches beyond its storage of {stored}"
        )),
    }
}

impl Layout {
    /// The values in row-major order. `bytes` are those of the place; sizes were checked when the file was opened.
    pub fn values(&self, name: &str, shape: &[usize], bytes: &[u8]) -> Result<Vec<f32>, Problem> {
        let size = size_of(self.dtype);
        let count: usize = shape.iter().product();
        let mut values = Vec::new();
        reserve(&mut values, count)?;
        let mut append = |bytes: &[u8]| {
            let before = values.len();
            element::append(self.dtype, bytes, &mut values).map_err(|inexact| inexact.fault(name, self.dtype, before))
        };
        if count == 0 {
            return Ok(values);
        }
        let strides = self.strides.as_ref().filter(|strides| !is_row_major(shape, strides));
        if strides.is_none() && !self.big_endian {
            append(&bytes[self.start..self.start + count * size])?;
            return Ok(values);
        }
        let row_major;
        let strides = match strides {
            Some(strides) => strides,
            None => {
                row_major = row_major_strides(shape);
                &row_major
            }
        };
        let (inner, step) = (shape.last().copied().unwrap_or(1), strides.last().copied().unwrap_or(1));
        let mut row = Vec::new();
        reserve(&mut row, inner * size)?;
        let outer = shape.len().saturating_sub(1);
        let mut index = vec![0; outer];
        loop {
            let first: usize = index.iter().zip(strides).map(|(index, stride)| index * stride).sum();
            row.clear();
            for i in 0..inner {
                let at = self.start + (first + i * step) * size;
                row.extend_from_slice(&bytes[at..at + size]);
                if self.big_endian {
                    let end = row.len();
                    row[end - size..].reverse();
                }
            }
            append(&row)?;
            let Some(axis) = (0..outer).rev().find(|axis| index[*axis] + 1 < shape[*axis]) else { break };
            index[axis] += 1;
            index[axis + 1..].fill(0);
        }
        Ok(values)
    }
}

pub(super) fn row_major_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    // The stride of an axis of one means nothing.
    row_major_strides(shape).iter().zip(strides).zip(shape).all(|((a, b), size)| a == b || *size == 1)
}
