//! Inference: a network with packed parameters, fed with rows of numbers.

use std::sync::Arc;

use kernels::device::Device;

use crate::graph::{Graph, Parameters, PlanError, PlanId, PlanOptions, Session, ValueId};

/// Batch sizes that are planned for. A part of the rows takes the smallest that holds it.
const BATCHES: [usize; 3] = [1, 16, 256];

/// Values of a task that copies: some microseconds.
const COPIED_AT_A_TIME: usize = 1 << 15;

/// Computes a network's outputs, row by row or many rows at a time. The outputs of a row are the same bits either way.
#[derive(Debug)]
pub struct Predictor {
    session: Session,
    input: ValueId,
    output: ValueId,
    input_width: usize,
    output_width: usize,
    /// One for each of [`BATCHES`].
    plans: [PlanId; BATCHES.len()],
}

impl Predictor {
    /// A predictor for a graph with one input and one output.
    ///
    /// # Errors
    /// When the network is too large.
    ///
    /// # Panics
    /// When the graph has no input or no output, or these do not begin with the batch.
    pub fn new(graph: Arc<Graph>, parameters: Parameters, device: Arc<Device>) -> Result<Predictor, PlanError> {
        let (input, output) = (graph.inputs()[0].value, graph.outputs()[0]);
        let width = |value| graph.shape(value).sample().expect("rows of a batch").iter().product();
        let (input_width, output_width) = (width(input), width(output));
        let mut session = Session::new(graph, device, parameters, 0);
        let outputs = [output];
        let mut plan = |batch| session.plan(&PlanOptions { batch, outputs: &outputs, ..Default::default() });
        let [one, some, many] = BATCHES;
        let plans = [plan(one)?, plan(some)?, plan(many)?];
        session.pack();
        Ok(Predictor { session, input, output, input_width, output_width, plans })
    }

    /// Numbers in a row of inputs.
    pub fn input_width(&self) -> usize {
        self.input_width
    }

    /// Numbers in a row of outputs.
    pub fn output_width(&self) -> usize {
        self.output_width
    }

    /// The outputs of one row (logits for classes); valid until the next call. Panics when `row` has another width.
    #[inline]
    pub fn predict_row(&mut self, row: &[f32]) -> &[f32] {
        let plan = self.plans[0];
        self.session.input_mut(plan, self.input).copy_from_slice(row);
        self.session.forward(plan, 0);
        self.session.value(plan, self.output)
    }

    /// The outputs [rows, output width] of `inputs` [rows, input width]. Panics when the lengths do not fit.
    pub fn predict(&mut self, inputs: &[f32], outputs: &mut [f32]) {
        let rows = inputs.len() / self.input_width.max(1);
        assert_eq!(inputs.len(), rows * self.input_width, "whole rows of {}", self.input_width);
        let width = self.input_width;
        let device = self.session.device().clone();
        // On all threads: for a wide input and a small network copying is a good part of the work.
        let fill = |rows: std::ops::Range<usize>, batch: &mut [f32]| {
            let inputs = &inputs[rows.start * width..rows.end * width];
            device.chunks_mut(COPIED_AT_A_TIME, batch, |start, part| {
                part.copy_from_slice(&inputs[start..start + part.len()]);
            });
        };
        self.predict_with(rows, fill, outputs);
    }

    /// The outputs of `rows` rows, of which `fill(range, inputs)` gives those in `range`.
    pub fn predict_with(
        &mut self,
        rows: usize,
        mut fill: impl FnMut(std::ops::Range<usize>, &mut [f32]),
        outputs: &mut [f32],
    ) {
        assert_eq!(outputs.len(), rows * self.output_width, "room for {rows} rows of {}", self.output_width);
        let mut outputs = outputs;
        let mut first = 0;
        while first < rows {
            let left = rows - first;
            let choice = BATCHES.iter().position(|batch| *batch >= left).unwrap_or(BATCHES.len() - 1);
            let plan = self.plans[choice];
            let count = BATCHES[choice].min(left);
            let inputs = self.session.input_mut(plan, self.input);
            let (inputs, rest) = inputs.split_at_mut(count * self.input_width);
            fill(first..first + count, inputs);
            // Rows beyond the end are computed too, and thrown away: values of no meaning must not be slow subnormals.
            rest.fill(0.0);
            self.session.forward(plan, 0);
            let values = &self.session.value(plan, self.output)[..count * self.output_width];
            let (now, later) = outputs.split_at_mut(values.len());
            now.copy_from_slice(values);
            outputs = later;
            first += count;
        }
    }
}
