//! A network's outputs and loss over a whole part of the data.

use super::batch::fill;
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
    /// The first of them fill batches of this plan, each of which goes on where the one before ended if they are carried.
    whole: Option<(PlanId, usize)>,
    /// Rows in whole batches.
    in_whole: usize,
    rest: Option<PlanId>,
    /// Time steps of a row that goes on where another ended; 0 where rows are apart.
    carried_steps: usize,
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
        let mut plan = |batch: usize| {
            let outputs = [problem.prediction, problem.loss];
            session.plan(&PlanOptions { batch, outputs: &outputs, carries, ..Default::default() })
        };
        let whole = if count >= batch { Some((plan(batch)?, batch)) } else { None };
        let in_whole = count / batch * batch;
        let rest = if count == in_whole { None } else { Some(plan(count - in_whole)?) };
        let mut rows = part.rows.to_vec();
        let mut carried_steps = 0;
        if carries {
            let lanes = in_lanes(&rows[..in_whole], batch);
            rows[..in_whole].copy_from_slice(&lanes);
            carried_steps = part.data.sample_shape[0];
        }
        Ok(Evaluator { rows, whole, in_whole, rest, carried_steps })
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
        let mut run = |plan: PlanId, rows: &[u32], past: usize| {
            fill(session, plan, problem, part.data, rows)?;
            session.forward(plan, Moment { step: 0, past });
            take(rows, session.value(plan, problem.prediction));
            let weight = part.weight_of(rows, problem.weight.is_some());
            loss += weight * f64::from(session.value(plan, problem.loss)[0]);
            total += weight;
            Ok(())
        };
        if let Some((plan, batch)) = self.whole {
            for (number, rows) in self.rows[..self.in_whole].chunks_exact(batch).enumerate() {
                run(plan, rows, number * self.carried_steps)?;
            }
        }
        if let Some(plan) = self.rest {
            run(plan, &self.rows[self.in_whole..], 0)?;
        }
        Ok(loss / total)
    }
}
