//! A network's outputs and loss over a whole part of the data.

use std::ops::Range;

use super::batch::fill;
use super::buckets::Buckets;
use super::order::in_lanes;
use super::{Part, Problem, Windows};
use crate::data::ReadError;
use crate::graph::{Moment, PlanError, PlanId, PlanOptions, Session};

/// Rows of an evaluation batch: large enough for full speed, small enough for the cache.
const ROWS: usize = 256;
/// The same for windows of a sequence, each of which has many steps.
const WINDOWS: usize = 32;

/// Outputs and loss over some rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// [rows, width of the output]; empty for tokens, of which there are too many.
    pub values: Vec<f32>,
    /// The loss over all rows (for a mean loss; the mean of the batches, by their rows or weights).
    pub loss: f64,
}

/// Evaluates one part of the data again and again.
#[derive(Debug)]
pub(super) struct Evaluator {
    /// All rows, in the order in which they are evaluated.
    rows: Vec<u32>,
    /// The place in the part of each of them, where the order is another one.
    places: Vec<u32>,
    batches: Vec<Batch>,
}

/// Rows that are evaluated together.
#[derive(Debug)]
struct Batch {
    /// Places among the rows of the evaluator.
    rows: Range<usize>,
    plan: PlanId,
    /// Time steps that came before, where windows go on where others ended.
    past: usize,
}

impl Evaluator {
    /// Plans for a part of the data.
    pub fn new(
        session: &mut Session,
        problem: &Problem,
        part: &Part,
        windows: Windows,
    ) -> Result<Evaluator, PlanError> {
        let carries = windows == Windows::Carried;
        let count = part.rows.len();
        let batch = if windows.are_apart() { ROWS } else { WINDOWS };
        let mut rows = part.rows.to_vec();
        let (mut places, mut buckets) = (Vec::new(), Buckets::default());
        if carries {
            let in_whole = count / batch * batch;
            let lanes = in_lanes(&rows[..in_whole], batch);
            rows[..in_whole].copy_from_slice(&lanes);
        } else if windows.are_apart() {
            buckets = Buckets::new(&problem.graph, part.data);
        }
        if buckets.count() > 1 {
            places = (0..count as u32).collect();
            places.sort_by_key(|place| buckets.of(part.rows[*place as usize]));
            rows = places.iter().map(|place| part.rows[*place as usize]).collect();
        }
        let mut batches: Vec<Batch> = Vec::new();
        // Plans by rows and bucket.
        let mut plans: Vec<((usize, usize), PlanId)> = Vec::new();
        for rows in rows.chunk_by(|a, b| buckets.of(*a) == buckets.of(*b)) {
            let bucket = buckets.of(rows[0]);
            for (number, rows) in rows.chunks(batch).enumerate() {
                let size = (rows.len(), bucket);
                let plan = match plans.iter().find(|(planned, _)| *planned == size) {
                    Some((_, plan)) => *plan,
                    None => {
                        let outputs = [problem.prediction, problem.loss];
                        let length = buckets.steps(bucket);
                        let (batch, outputs) = (rows.len(), &outputs);
                        let options = PlanOptions { batch, outputs, carries, length, ..Default::default() };
                        let plan = session.plan(&options)?;
                        plans.push((size, plan));
                        plan
                    }
                };
                let first = batches.last().map_or(0, |batch| batch.rows.end);
                let goes_on = carries && rows.len() == batch;
                let past = if goes_on { number * part.data.sample_shape[0] } else { 0 };
                batches.push(Batch { rows: first..first + rows.len(), plan, past });
            }
        }
        Ok(Evaluator { rows, places, batches })
    }

    /// Runs the network over `part`, which is the one that was planned for. `take` is given the rows of each batch and the
    /// outputs for them; the loss over all rows.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn run(
        &self,
        session: &mut Session,
        problem: &Problem,
        part: &Part,
        mut take: impl FnMut(&[u32], &[f32]),
    ) -> Result<f64, ReadError> {
        let (mut loss, mut total) = (0.0, 0.0);
        for Batch { rows, plan, past } in &self.batches {
            let (rows, plan) = (&self.rows[rows.clone()], *plan);
            fill(session, plan, problem, part.data, rows)?;
            session.forward(plan, Moment { step: 0, past: *past });
            take(rows, session.value(plan, problem.prediction));
            let weight = part.weight_of(rows, problem.weight.is_some());
            loss += weight * f64::from(session.value(plan, problem.loss)[0]);
            total += weight;
        }
        Ok(loss / total)
    }

    /// Brings values of all rows that were taken batch by batch into the order of the part.
    pub fn in_order(&self, values: &mut [f32]) {
        let Some(width) = values.len().checked_div(self.places.len()) else { return };
        let taken = values.to_vec();
        for (place, row) in self.places.iter().zip(taken.chunks_exact(width.max(1))) {
            values[*place as usize * width..][..width].copy_from_slice(row);
        }
    }
}
