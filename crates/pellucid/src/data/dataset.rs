//! The form in which data is trained on: inputs, targets and weights of all rows, each in one slice, or inputs that are read
//! when they are asked for.

use super::{ByteRows, ReadError};

/// Inputs of all rows, row after row, in the form in which they are stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Features {
    /// Values as they enter the network, `[rows, width]`.
    F32(Vec<f32>),
    /// Bytes as they lie in a file of images, `[rows, width]`; a value is `byte · scale + shift`.
    ///
    /// A quarter of the memory; rows are converted as they are gathered into a batch. Multiplication and addition are
    /// rounded separately, so that every machine gives the same bits.
    U8 {
        /// The bytes, `[rows, width]`.
        bytes: Vec<u8>,
        /// Factor: one for all, or one for each of the `width` inputs.
        scale: Vec<f32>,
        /// Offset: one for all, or one for each of the `width` inputs.
        shift: Vec<f32>,
    },
    /// The same, but bytes are read row by row when they are asked for.
    Read {
        /// Where they come from.
        rows: ByteRows,
        /// Factor: one for all, or one for each of the `width` inputs.
        scale: Vec<f32>,
        /// Offset: one for all, or one for each of the `width` inputs.
        shift: Vec<f32>,
    },
}

impl Features {
    /// How many values there are: rows · width.
    pub fn len(&self) -> usize {
        match self {
            Features::F32(values) => values.len(),
            Features::U8 { bytes, .. } => bytes.len(),
            Features::Read { rows, .. } => rows.0.rows() * rows.0.width(),
        }
    }

    /// True when there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Rows of inputs with what is to be predicted from them.
///
/// Targets are f32, `[rows, target_width]`. For two classes a target is 0 or 1; for several classes the index of the
/// class (`target_width` 1); for several labels at once a 0 or 1 for each; for regression the standardised value.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Shape of the inputs of one row, without the batch: `[784]`, or `[1, 28, 28]` for images (channels first).
    pub sample_shape: Vec<usize>,
    /// Inputs, `[rows, width]`, where width is the product of `sample_shape`.
    pub features: Features,
    /// Targets, `[rows, target_width]`. Empty, with a width of 0, where nothing is known about the answer (prediction).
    pub targets: Vec<f32>,
    /// Target values in one row.
    pub target_width: usize,
    /// Weight of each row in the loss and in metrics; all rows count the same when absent.
    pub weights: Option<Vec<f32>>,
    /// Steps (along the first axis of a row) of each row before its padding, where rows are sequences that are padded: a network
    /// may be given less of the padding.
    pub lengths: Option<Vec<u32>>,
}

/// Why parts do not make a data set, or a row cannot be had from it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DatasetError {
    /// A sample shape without any value.
    #[error("a sample of shape {shape:?} holds no value; every dimension must be at least 1")]
    EmptySample {
        /// The shape given.
        shape: Vec<usize>,
    },
    /// The inputs are no whole number of rows.
    #[error(
        "{values} input values are no whole number of rows of {width} (sample shape {shape:?}); \
         give the shape that the data has"
    )]
    Features {
        /// Input values given.
        values: usize,
        /// Values in one row.
        width: usize,
        /// The sample shape given.
        shape: Vec<usize>,
    },
    /// Scale or shift of bytes is neither one value nor one for each input.
    #[error("{part} of the bytes has {found} values; give 1, or one for each of the {width} inputs")]
    Scaling {
        /// `scale` or `shift`.
        part: &'static str,
        /// Values given.
        found: usize,
        /// Inputs in one row.
        width: usize,
    },
    /// Targets for another number of rows.
    #[error("{rows} rows with {target_width} targets each need {expected} target values, but there are {found}")]
    Targets {
        /// Rows of inputs.
        rows: usize,
        /// Targets in one row.
        target_width: usize,
        /// Values needed.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// Weights for another number of rows.
    #[error("{rows} rows need {rows} sample weights, but there are {found}")]
    Weights {
        /// Rows of inputs.
        rows: usize,
        /// Weights given.
        found: usize,
    },
    /// Lengths of padded rows that are not those of the rows.
    #[error("{rows} padded rows need as many lengths, each from 1 to the {steps} steps of a row")]
    Lengths {
        /// Rows of inputs.
        rows: usize,
        /// Steps of a row with its padding.
        steps: usize,
    },
    /// Rows that are read have another width than the sample shape.
    #[error("rows that are read have {found} bytes, the sample shape {shape:?} needs {width}")]
    Width {
        /// Bytes of a row that is read.
        found: usize,
        /// Values in one row.
        width: usize,
        /// The sample shape given.
        shape: Vec<usize>,
    },
    /// A weight that is negative, infinite or not a number.
    #[error("the sample weight of row {row} is {value}; weights must be finite and not negative")]
    Weight {
        /// Row, counted from 0.
        row: usize,
        /// The weight given.
        value: f32,
    },
    /// More rows than an index can name.
    #[error("{rows} rows are too many; rows are counted in 32 bits (at most {})", u32::MAX)]
    TooManyRows {
        /// Rows given.
        rows: usize,
    },
}

impl Dataset {
    /// Puts the parts together after checking that their lengths agree.
    ///
    /// `targets` may be empty with `target_width` 0: a data set for prediction.
    ///
    /// # Errors
    /// When lengths disagree with `sample_shape` and with each other, or a weight is negative or not finite.
    pub fn new(
        sample_shape: Vec<usize>,
        features: Features,
        targets: Vec<f32>,
        target_width: usize,
        weights: Option<Vec<f32>>,
    ) -> Result<Dataset, DatasetError> {
        let dataset = Dataset { sample_shape, features, targets, target_width, weights, lengths: None };
        dataset.check()?;
        Ok(dataset)
    }

    /// The same rows as sequences that are padded behind these steps.
    ///
    /// # Errors
    /// When rows are not in memory as numbers, or have other lengths.
    pub fn padded(self, lengths: Vec<u32>) -> Result<Dataset, DatasetError> {
        let dataset = Dataset { lengths: Some(lengths), ..self };
        dataset.check()?;
        Ok(dataset)
    }

    /// Checks what [`Dataset::new`] promises, for parts that were put together by hand.
    ///
    /// # Errors
    /// See [`Dataset::new`].
    pub fn check(&self) -> Result<(), DatasetError> {
        let width = self.width();
        if width == 0 {
            return Err(DatasetError::EmptySample { shape: self.sample_shape.clone() });
        }
        if let Features::Read { rows, .. } = &self.features
            && rows.0.width() != width
        {
            return Err(DatasetError::Width { found: rows.0.width(), width, shape: self.sample_shape.clone() });
        }
        let values = self.features.len();
        if !values.is_multiple_of(width) {
            return Err(DatasetError::Features { values, width, shape: self.sample_shape.clone() });
        }
        let rows = values / width;
        if u32::try_from(rows).is_err() {
            return Err(DatasetError::TooManyRows { rows });
        }
        if let Features::U8 { scale, shift, .. } | Features::Read { scale, shift, .. } = &self.features {
            for (part, values) in [("scale", scale), ("shift", shift)] {
                if values.len() != 1 && values.len() != width {
                    return Err(DatasetError::Scaling { part, found: values.len(), width });
                }
            }
        }
        if rows * self.target_width != self.targets.len() {
            return Err(DatasetError::Targets {
                rows,
                target_width: self.target_width,
                expected: rows * self.target_width,
                found: self.targets.len(),
            });
        }
        if let Some(weights) = &self.weights {
            if weights.len() != rows {
                return Err(DatasetError::Weights { rows, found: weights.len() });
            }
            if let Some(row) = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
                return Err(DatasetError::Weight { row, value: weights[row] });
            }
        }
        if let Some(lengths) = &self.lengths {
            let steps = self.sample_shape[0];
            let fits = |length: &u32| (1..=steps).contains(&(*length as usize));
            if lengths.len() != rows || !lengths.iter().all(fits) || !matches!(self.features, Features::F32(_)) {
                return Err(DatasetError::Lengths { rows, steps });
            }
        }
        Ok(())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.features.len().checked_div(self.width()).unwrap_or(0)
    }

    /// Input values in one row: the product of `sample_shape`.
    pub fn width(&self) -> usize {
        self.sample_shape.iter().product()
    }

    /// Writes the inputs of `rows`, in that order, into `out` `[rows, width]`; of padded rows it may be less of each: the values of
    /// its first steps.
    ///
    /// # Errors
    /// When a row that is read when it is asked for cannot be had.
    ///
    /// # Panics
    /// When `out` has another length, or a row is not in the data set.
    pub fn gather_features(&self, rows: &[u32], out: &mut [f32]) -> Result<(), ReadError> {
        let width = self.width();
        let taken = out.len().checked_div(rows.len()).unwrap_or(width);
        let fits = taken == width || self.lengths.is_some() && taken < width && taken > 0;
        assert!(fits && out.len() == rows.len() * taken, "room for {} rows of {width}", rows.len());
        let mut read = Vec::new();
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(taken)) {
            let start = row as usize * width;
            match &self.features {
                Features::F32(values) => out.copy_from_slice(&values[start..start + taken]),
                Features::U8 { bytes, scale, shift } => convert(&bytes[start..start + width], scale, shift, out),
                Features::Read { rows, scale, shift } => {
                    read.resize(width, 0);
                    rows.0.read(row, &mut read)?;
                    convert(&read, scale, shift, out);
                }
            }
        }
        Ok(())
    }

    /// Writes the bytes of `row`, before scale and shift, into `out` `[width]`; true where rows are bytes.
    ///
    /// # Errors
    /// When a row that is read when it is asked for cannot be had.
    ///
    /// # Panics
    /// When `out` has another length, or the row is not in the data set.
    pub fn read_bytes(&self, row: u32, out: &mut [u8]) -> Result<bool, ReadError> {
        match &self.features {
            Features::F32(_) => return Ok(false),
            Features::U8 { bytes, .. } => out.copy_from_slice(&bytes[row as usize * self.width()..][..self.width()]),
            Features::Read { rows, .. } => rows.0.read(row, out)?,
        }
        Ok(true)
    }

    /// Writes the targets of `rows`, in that order, into `out` `[rows, target_width]`.
    ///
    /// # Panics
    /// When `out` has another length, or a row is not in the data set.
    pub fn gather_targets(&self, rows: &[u32], out: &mut [f32]) {
        let width = self.target_width;
        assert_eq!(out.len(), rows.len() * width, "room for {} rows of {width}", rows.len());
        if width == 1 {
            for (&row, out) in rows.iter().zip(out) {
                *out = self.targets[row as usize];
            }
        } else if width > 1 {
            for (&row, out) in rows.iter().zip(out.chunks_exact_mut(width)) {
                let start = row as usize * width;
                out.copy_from_slice(&self.targets[start..start + width]);
            }
        }
    }

    /// Writes the sample weights of `rows`, in that order, into `out` `[rows]`; 1 where the data set has no weights.
    ///
    /// # Panics
    /// When `out` has another length, or a row is not in the data set.
    pub fn gather_weights(&self, rows: &[u32], out: &mut [f32]) {
        assert_eq!(out.len(), rows.len(), "room for {} weights", rows.len());
        match &self.weights {
            None => out.fill(1.0),
            Some(weights) => {
                for (&row, out) in rows.iter().zip(out) {
                    *out = weights[row as usize];
                }
            }
        }
    }

    /// A copy of `rows`, in that order. Training and scoring do without: they gather batches by row number.
    ///
    /// Rows that are read when they are asked for are read now and kept.
    ///
    /// # Errors
    /// When such a row cannot be had.
    ///
    /// # Panics
    /// When a row is not in the data set.
    pub fn select(&self, rows: &[u32]) -> Result<Dataset, ReadError> {
        let width = self.width();
        let features = match &self.features {
            Features::F32(values) => Features::F32(select_rows(values, width, rows)),
            Features::U8 { bytes, scale, shift } => {
                Features::U8 { bytes: select_rows(bytes, width, rows), scale: scale.clone(), shift: shift.clone() }
            }
            Features::Read { rows: source, scale, shift } => {
                let mut bytes = vec![0; rows.len() * width];
                for (&row, out) in rows.iter().zip(bytes.chunks_exact_mut(width)) {
                    source.0.read(row, out)?;
                }
                Features::U8 { bytes, scale: scale.clone(), shift: shift.clone() }
            }
        };
        Ok(Dataset {
            sample_shape: self.sample_shape.clone(),
            features,
            targets: select_rows(&self.targets, self.target_width, rows),
            target_width: self.target_width,
            weights: self.weights.as_ref().map(|weights| select_rows(weights, 1, rows)),
            lengths: self.lengths.as_ref().map(|lengths| select_rows(lengths, 1, rows)),
        })
    }
}

fn select_rows<T: Copy>(values: &[T], width: usize, rows: &[u32]) -> Vec<T> {
    let mut selected = Vec::with_capacity(rows.len() * width);
    for &row in rows {
        let start = row as usize * width;
        selected.extend_from_slice(&values[start..start + width]);
    }
    selected
}

fn convert(bytes: &[u8], scale: &[f32], shift: &[f32], out: &mut [f32]) {
    if let ([scale], [shift]) = (scale, shift) {
        for (out, &byte) in out.iter_mut().zip(bytes) {
            *out = f32::from(byte) * scale + shift;
        }
        return;
    }
    let of = |values: &[f32], i: usize| if values.len() == 1 { values[0] } else { values[i] };
    for i in 0..bytes.len() {
        out[i] = f32::from(bytes[i]) * of(scale, i) + of(shift, i);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::ReadBytes;

    fn bytes(scale: Vec<f32>, shift: Vec<f32>) -> Features {
        Features::U8 { bytes: vec![0, 10, 255, 1, 2, 3], scale, shift }
    }

    #[test]
    fn bytes_become_numbers_as_they_are_gathered() {
        let dataset =
            Dataset::new(vec![1, 3], bytes(vec![0.5], vec![-1.0]), vec![1.0, 0.0], 1, None).expect("consistent");
        assert_eq!((dataset.rows(), dataset.width()), (2, 3));
        let mut out = [f32::NAN; 9];
        dataset.gather_features(&[1, 0, 1], &mut out).expect("in memory");
        assert_eq!(out, [-0.5, 0.0, 0.5, -1.0, 4.0, 126.5, -0.5, 0.0, 0.5]);

        let dataset =
            Dataset::new(vec![3], bytes(vec![1.0, 2.0, 3.0], vec![7.0]), vec![], 0, None).expect("consistent");
        let mut out = [f32::NAN; 3];
        dataset.gather_features(&[1], &mut out).expect("in memory");
        assert_eq!(out, [8.0, 11.0, 16.0]);
        dataset.gather_targets(&[1, 0], &mut []);
    }

    #[test]
    fn a_selection_holds_the_rows_asked_for_in_their_order() {
        let dataset = Dataset::new(
            vec![2],
            Features::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            vec![10.0, 11.0, 20.0, 21.0, 30.0, 31.0],
            2,
            Some(vec![0.0, 1.0, 2.5]),
        )
        .expect("consistent");
        let selected = dataset.select(&[2, 0]).expect("in memory");
        selected.check().expect("still consistent");
        assert_eq!(selected.features, Features::F32(vec![5.0, 6.0, 1.0, 2.0]));
        assert_eq!(selected.targets, [30.0, 31.0, 10.0, 11.0]);
        assert_eq!(selected.weights, Some(vec![2.5, 0.0]));

        let (mut targets, mut weights) = ([0.0; 4], [0.0; 2]);
        dataset.gather_targets(&[2, 0], &mut targets);
        dataset.gather_weights(&[2, 0], &mut weights);
        assert_eq!((targets, weights), ([30.0, 31.0, 10.0, 11.0], [2.5, 0.0]));
    }

    /// Row r is r, r + 1; the last cannot be read.
    #[derive(Debug)]
    struct Counting;

    impl ReadBytes for Counting {
        fn rows(&self) -> usize {
            4
        }
        fn width(&self) -> usize {
            2
        }
        fn read(&self, row: u32, out: &mut [u8]) -> Result<(), ReadError> {
            if row == 3 {
                return Err(ReadError { place: "3.png".to_string(), reason: "is gone".to_string() });
            }
            out.copy_from_slice(&[row as u8, row as u8 + 1]);
            Ok(())
        }
    }

    #[test]
    fn rows_are_read_when_they_are_asked_for() {
        let rows = ByteRows(Arc::new(Counting));
        let features = Features::Read { rows: rows.clone(), scale: vec![2.0], shift: vec![0.5] };
        let dataset = Dataset::new(vec![2], features.clone(), vec![0.0; 4], 1, None).expect("consistent");
        assert_eq!(dataset.rows(), 4);
        let mut out = [0.0; 4];
        dataset.gather_features(&[2, 0], &mut out).expect("there");
        assert_eq!(out, [4.5, 6.5, 0.5, 2.5]);
        let mut bytes = [0; 2];
        assert_eq!((dataset.read_bytes(1, &mut bytes), bytes), (Ok(true), [1, 2]));
        let kept = dataset.select(&[1]).expect("there");
        assert_eq!(kept.features, Features::U8 { bytes: vec![1, 2], scale: vec![2.0], shift: vec![0.5] });
        let error = dataset.gather_features(&[0, 3], &mut out).expect_err("gone");
        assert_eq!(error.to_string(), "3.png: is gone");
        assert_eq!(dataset.select(&[3]), Err(error));
        let wide = Dataset::new(vec![3], features, vec![], 0, None).expect_err("another width");
        assert_eq!(wide, DatasetError::Width { found: 2, width: 3, shape: vec![3] });
    }

    #[test]
    fn parts_that_do_not_fit_are_refused_with_both_lengths() {
        let new = |shape: &[usize], features, targets: usize, width, weights| {
            Dataset::new(shape.to_vec(), features, vec![0.0; targets], width, weights).expect_err("inconsistent")
        };
        let six = || Features::F32(vec![0.0; 6]);
        assert_eq!(new(&[2, 0], six(), 0, 0, None), DatasetError::EmptySample { shape: vec![2, 0] });
        assert_eq!(new(&[4], six(), 0, 0, None), DatasetError::Features { values: 6, width: 4, shape: vec![4] });
        let scaling = DatasetError::Scaling { part: "shift", found: 2, width: 3 };
        assert_eq!(new(&[3], bytes(vec![1.0], vec![0.0; 2]), 2, 1, None), scaling);
        let targets = DatasetError::Targets { rows: 2, target_width: 2, expected: 4, found: 2 };
        assert_eq!(new(&[3], six(), 2, 2, None), targets);
        assert_eq!(new(&[3], six(), 2, 1, Some(vec![1.0])), DatasetError::Weights { rows: 2, found: 1 });
        let weight = new(&[3], six(), 2, 1, Some(vec![1.0, -0.5]));
        assert_eq!(weight, DatasetError::Weight { row: 1, value: -0.5 });
        assert!(matches!(new(&[3], six(), 2, 1, Some(vec![f32::NAN, 1.0])), DatasetError::Weight { row: 0, .. }));
    }
}
