//! A part of a data set: training, validation or test.

use std::borrow::Cow;

use super::{Problem, TrainError};
use crate::data::Dataset;

/// Chosen rows of a data set.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// The data.
    pub data: &'a Dataset,
    /// The rows, each a position in the data.
    pub rows: Cow<'a, [u32]>,
}

impl<'a> Part<'a> {
    /// All rows.
    pub fn all(data: &'a Dataset) -> Part<'a> {
        Part { data, rows: (0..data.rows() as u32).collect() }
    }

    /// These rows.
    pub fn of(data: &'a Dataset, rows: &'a [u32]) -> Part<'a> {
        Part { data, rows: Cow::Borrowed(rows) }
    }

    /// Sum of the rows' weights, or their number.
    pub(super) fn weight_of(&self, rows: &[u32], weighted: bool) -> f64 {
        match &self.data.weights {
            Some(weights) if weighted => rows.iter().map(|&row| f64::from(weights[row as usize])).sum(),
            _ => rows.len() as f64,
        }
    }

    /// Refuses data that the network does not take.
    pub(super) fn check(&self, problem: &Problem) -> Result<(), TrainError> {
        let graph = &problem.graph;
        let sample = |value| graph.shape(value).sample().unwrap_or_default();
        let input = sample(problem.input);
        if input.iter().product::<usize>() != self.data.width() {
            let (expected, found) = (format!("{input:?}"), format!("{:?}", self.data.sample_shape));
            return Err(TrainError::Data { what: "shape of a row", expected, found });
        }
        let target = sample(problem.target).iter().product::<usize>() / problem.classes.unwrap_or(1);
        if target != self.data.target_width {
            let (expected, found) = (target.to_string(), self.data.target_width.to_string());
            return Err(TrainError::Data { what: "number of targets", expected, found });
        }
        Ok(())
    }
}
