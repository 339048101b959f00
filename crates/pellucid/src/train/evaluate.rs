//! A network's outputs and loss over a whole part of the data.

use super::batch::fill;
use super::{Part, Problem};
use crate::data::ReadError;
use crate::graph::{PlanError, PlanId, PlanOptions, Session};

/// Rows of an evaluation batch: large enough for full speed, small enough for the cache.
const ROWS: usize = 256;

/// Outputs and loss over some rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// [rows, width of the output]
    pub values: Vec<f32>,
    /// The loss over all rows (for a mean loss; the mean of the batches, by their rows or weights).
    pub loss: f64,
}

/// Evaluates one part of the data again and again.
#[derive(Debug)]
pub(super) struct Evaluator {
    whole: Option<(PlanId, usize)>,
    rest: Option<(PlanId, usize)>,
}

impl Evaluator {
    /// Plans for parts of `rows` rows.
    pub fn new(session: &mut Session, problem: &Problem, rows: usize) -> Result<Evaluator, PlanError> {
        let mut plan = |batch: usize| {
            let outputs = [problem.prediction, problem.loss];
            let options = PlanOptions { batch, outputs: &outputs, ..Default::default() };
            session.plan(&options).map(|plan| (plan, batch))
        };
        let whole = if rows >= ROWS { Some(plan(ROWS)?) } else { None };
        let rest = if rows.is_multiple_of(ROWS) { None } else { Some(plan(rows % ROWS)?) };
        Ok(Evaluator { whole, rest })
    }

    /// Runs the network over `part`, which has as many rows as was planned for.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn run(
        &self,
        session: &mut Session,
        problem: &Problem,
        part: &Part,
        outputs: &mut Outputs,
    ) -> Result<(), ReadError> {
        outputs.values.clear();
        let (mut loss, mut total) = (0.0, 0.0);
        let mut rows = &part.rows[..];
        while !rows.is_empty() {
            let (plan, batch) = [self.whole, self.rest]
                .into_iter()
                .flatten()
                .find(|(_, batch)| *batch <= rows.len())
                .expect("as many rows as was planned for");
            let (now, later) = rows.split_at(batch);
            fill(session, plan, problem, part.data, now)?;
            session.forward(plan, 0);
            outputs.values.extend_from_slice(session.value(plan, problem.prediction));
            let weight = part.weight_of(now, problem.weight.is_some());
            loss += weight * f64::from(session.value(plan, problem.loss)[0]);
            total += weight;
            rows = later;
        }
        outputs.loss = loss / total;
        Ok(())
    }
}
