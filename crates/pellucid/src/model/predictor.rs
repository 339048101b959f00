//! Inference: a network with packed parameters, fed with rows of numbers.

use std::ops::Range;
use std::sync::Arc;

use kernels::buffer::Buffer;
use kernels::device::Device;

use crate::graph::{Graph, Parameters, Plan, PlanError, PlanId, PlanOptions, Session, ValueId, fold_channels};

/// Batch sizes that are planned for. A part of the rows takes the smallest that holds it. The last one is the most.
const BATCHES: [usize; 3] = [1, 16, 256];

/// Bytes of values that the largest batch may take, unless it is no larger than the second: layers read what the one
/// before them wrote, which for images should still be in the cache.
const MOST_BYTES: usize = 4 << 20;

/// Computes a network's outputs, row by row or many rows at a time. The outputs of a row are the same bits either way.
#[derive(Debug)]
pub struct Predictor {
    session: Session,
    output: ValueId,
    input_width: usize,
    output_width: usize,
    /// [`BATCHES`], the last of them halved for a network of large values; and a plan for each.
    batches: [usize; BATCHES.len()],
    plans: [PlanId; BATCHES.len()],
    /// Steps to which padded sequences may be cut, the last of them those of whole rows ([`Graph::lengths`]), and the plans for
    /// each but the last that was needed so far.
    shorter: Vec<(usize, Option<[PlanId; BATCHES.len()]>)>,
    /// Rows that are fewer than a plan takes, or that have to be made: as many as the largest plan takes.
    rows: Buffer,
}

impl Predictor {
    /// A predictor for a graph with one input and one output. Batch normalisation is folded into the weights before it,
    /// so outputs may differ in their last digits from those of the graph as it is.
    ///
    /// # Errors
    /// When the network is too large.
    ///
    /// # Panics
    /// When the graph has no input or no output, or these do not begin with the batch.
    pub fn new(graph: Arc<Graph>, parameters: Parameters, device: Arc<Device>) -> Result<Predictor, PlanError> {
        let (graph, parameters) = match fold_channels(&graph, &parameters) {
            Some((graph, parameters)) => (Arc::new(graph), parameters),
            None => (graph, parameters),
        };
        let (input, output) = (graph.inputs()[0].value, graph.outputs()[0]);
        let width = |value| graph.shape(value).sample().expect("rows of a batch").iter().product();
        let (input_width, output_width) = (width(input), width(output));
        let shorter = graph.lengths().into_iter().map(|steps| (steps, None)).collect();
        let mut session = Session::new(graph, device, parameters, 0);
        let outputs = [output];
        let options = |batch| PlanOptions { batch, outputs: &outputs, lent_inputs: true, ..Default::default() };
        let [one, some, mut many] = BATCHES;
        while many > some
            && Plan::new(session.graph(), session.parameters(), &options(many))?.arena_bytes() > MOST_BYTES
        {
            many /= 2;
        }
        let batches = [one, some, many];
        let mut plan = |batch| session.plan(&options(batch));
        let plans = [plan(one)?, plan(some)?, plan(many)?];
        session.pack();
        let rows = Buffer::new(many * input_width);
        Ok(Predictor { session, output, input_width, output_width, batches, plans, shorter, rows })
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
        self.session.forward_on(plan, &[row]);
        self.session.value(plan, self.output)
    }

    /// The outputs [rows, output width] of `inputs` [rows, input width]. Panics when the lengths do not fit.
    pub fn predict(&mut self, inputs: &[f32], outputs: &mut [f32]) {
        let width = self.input_width;
        let rows = inputs.len() / width.max(1);
        assert_eq!(inputs.len(), rows * width, "whole rows of {width}");
        assert_eq!(outputs.len(), rows * self.output_width, "room for {rows} rows of {}", self.output_width);
        // Whole batches are read where they are.
        let many = self.batches[BATCHES.len() - 1];
        let whole = rows / many * many;
        let plan = self.plans[BATCHES.len() - 1];
        for first in (0..whole).step_by(many) {
            self.session.forward_on(plan, &[&inputs[first * width..(first + many) * width]]);
            let values = self.session.value(plan, self.output);
            outputs[first * self.output_width..][..values.len()].copy_from_slice(values);
        }
        let (inputs, outputs) = (&inputs[whole * width..], &mut outputs[whole * self.output_width..]);
        let fill = |rows: Range<usize>, batch: &mut [f32]| {
            batch.copy_from_slice(&inputs[rows.start * width..rows.end * width]);
        };
        self.predict_with(rows - whole, fill, outputs);
    }

    /// The outputs of `rows` rows, of which `fill(range, inputs)` gives those in `range`.
    pub fn predict_with(&mut self, rows: usize, mut fill: impl FnMut(Range<usize>, &mut [f32]), outputs: &mut [f32]) {
        assert_eq!(outputs.len(), rows * self.output_width, "room for {rows} rows of {}", self.output_width);
        let mut outputs = outputs;
        let mut first = 0;
        while first < rows {
            let (count, values) = self.some(rows - first, (self.plans, self.input_width), |count, inputs| {
                fill(first..first + count, inputs);
            });
            let (now, later) = outputs.split_at_mut(values.len());
            now.copy_from_slice(values);
            outputs = later;
            first += count;
        }
    }

    /// The outputs of padded sequences that have so many real steps each: the same bits as of whole rows, with less work on
    /// padding. `fill(rows, inputs)` gives the inputs [rows, values] of some of the rows, as many values of the beginning of each
    /// as there is room for.
    ///
    /// # Panics
    /// When a row has more steps than the network was built for.
    pub fn predict_padded(&mut self, steps: &[u32], mut fill: impl FnMut(&[u32], &mut [f32]), outputs: &mut [f32]) {
        let width = self.output_width;
        assert_eq!(outputs.len(), steps.len() * width, "room for {} rows of {width}", steps.len());
        let enough = |row: &u32| self.shorter.partition_point(|(length, _)| *length < steps[*row as usize] as usize);
        let mut rows: Vec<(usize, u32)> = (0..steps.len() as u32).map(|row| (enough(&row), row)).collect();
        rows.sort_unstable();
        for same in rows.chunk_by(|a, b| a.0 == b.0) {
            let planned = self.plans_of(same[0].0);
            let same: Vec<u32> = same.iter().map(|(_, row)| *row).collect();
            let mut left = &same[..];
            while !left.is_empty() {
                let (count, values) = self.some(left.len(), planned, |count, inputs| fill(&left[..count], inputs));
                for (row, values) in left.iter().zip(values.chunks_exact(width.max(1))) {
                    outputs[*row as usize * width..][..width].copy_from_slice(values);
                }
                left = &left[count..];
            }
        }
    }

    /// The plans for the length at that place, and the numbers in a row of it.
    fn plans_of(&mut self, place: usize) -> ([PlanId; BATCHES.len()], usize) {
        let whole = self.shorter.len() - 1;
        assert!(place <= whole, "no more steps than the network takes");
        let steps = self.shorter[place].0;
        let width = self.input_width / self.shorter[whole].0 * steps;
        if place == whole {
            return (self.plans, width);
        }
        let plans = self.shorter[place].1.unwrap_or_else(|| {
            self.batches.map(|batch| {
                let (outputs, length) = ([self.output], Some(steps));
                let options = PlanOptions { batch, outputs: &outputs, lent_inputs: true, length, ..Default::default() };
                self.session.plan(&options).expect("less than what was planned for")
            })
        });
        self.shorter[place].1 = Some(plans);
        (plans, width)
    }

    /// The outputs of some of the `left` rows of so many numbers, which `fill(count, inputs)` gives: how many, and their values.
    fn some(
        &mut self,
        left: usize,
        (plans, width): ([PlanId; BATCHES.len()], usize),
        fill: impl FnOnce(usize, &mut [f32]),
    ) -> (usize, &[f32]) {
        let choice = self.batches.iter().position(|batch| *batch >= left).unwrap_or(BATCHES.len() - 1);
        let batch = self.batches[choice];
        let count = batch.min(left);
        let inputs = &mut self.rows[..batch * width];
        let (filled, rest) = inputs.split_at_mut(count * width);
        fill(count, filled);
        // Rows beyond the end are computed too, and thrown away: values of no meaning must not be slow subnormals.
        rest.fill(0.0);
        self.session.forward_on(plans[choice], &[inputs]);
        (count, &self.session.value(plans[choice], self.output)[..count * self.output_width])
    }
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::*;
    use crate::nn;

    #[test]
    fn a_row_has_the_same_outputs_alone_in_a_batch_and_made_on_the_way() {
        // `flatten` alone gives its input, which is never lent then.
        for network in ["dense 7 relu -> dense 3", "relu -> dense 3", "flatten", "dropout 0.5"] {
            let graph = Arc::new(nn::network(network, &[5], None).expect("a network"));
            let device = Arc::new(Device::new(Isa::best(), 2));
            let parameters = Parameters::initialise(&graph, &device, 1);
            let mut predictor = Predictor::new(graph, parameters, device).expect("a small network");
            let rows = 2 * 256 + 19;
            let inputs: Vec<f32> = (0..rows * 5).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
            let alone: Vec<f32> = inputs.chunks(5).flat_map(|row| predictor.predict_row(row).to_vec()).collect();
            let (mut batches, mut made) = (vec![0.0; alone.len()], vec![0.0; alone.len()]);
            predictor.predict(&inputs, &mut batches);
            let fill = |rows: Range<usize>, batch: &mut [f32]| {
                batch.copy_from_slice(&inputs[rows.start * 5..rows.end * 5]);
            };
            predictor.predict_with(rows, fill, &mut made);
            assert!(alone == batches && alone == made, "{network}");
            assert!(alone.iter().any(|x| *x != 0.0), "{network}");
        }
    }
}
