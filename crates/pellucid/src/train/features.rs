//! Features of the frozen part of a network, computed once instead of in each epoch.

use std::sync::Arc;

use kernels::device::Device;

use super::batch::gather_features;
use super::buckets::Buckets;
use super::{FitOptions, Part, TrainError};
use crate::data::{Dataset, Features};
use crate::graph::{Graph, Parameters, PlanId, PlanOptions, Session, ValueId};

/// Rows of a batch.
const ROWS: usize = 64;

/// A network fed behind its frozen part, and what that makes of the rows.
///
/// A run on it gives the bits of a run on the whole network: parameters and random numbers keep their places, and what a row
/// becomes depends on no other row. Padded rows alone come in another order: features have one length, so none are brought
/// together by theirs.
#[derive(Clone, Debug)]
pub struct FrozenFeatures {
    /// The network; its parameters are those of the whole one, those of the frozen part among them.
    pub network: Graph,
    /// The rows of the training part, in its order.
    pub train: Dataset,
    /// The rows of the validation part, in its order.
    pub validation: Option<Dataset>,
}

impl FrozenFeatures {
    /// Computes them, unless they are not the same in each epoch (nothing is frozen before what trains, rows are augmented or
    /// are windows of a sequence, parameters thaw), or take more than `memory` bytes.
    ///
    /// # Errors
    /// A row that cannot be read, or a network too large for a batch.
    pub fn compute(
        network: &Graph,
        parameters: &Parameters,
        (train, validation): (&Part, Option<&Part>),
        options: &FitOptions,
        device: &Arc<Device>,
        memory: u64,
    ) -> Result<Option<FrozenFeatures>, TrainError> {
        let same = options.augmentation.is_none() && options.windows.are_apart() && options.thaw.is_none();
        let graph = Arc::new(network.clone().frozen_at_inference());
        let Some(value) = graph.frozen_features().filter(|_| same) else { return Ok(None) };
        let rows = train.rows.len() + validation.map_or(0, |part| part.rows.len());
        let width: usize = graph.shape(value).sample().map_or(0, |sample| sample.iter().product());
        let bytes = (rows as u64).checked_mul(width as u64).and_then(|values| values.checked_mul(4));
        if bytes.is_none_or(|bytes| bytes > memory) {
            return Ok(None);
        }
        let mut session = Session::new(graph, device.clone(), parameters.clone(), options.seed);
        let mut of = |part: &Part| features(&mut session, value, part);
        let (train, validation) = (of(train)?, validation.map(of).transpose()?);
        Ok(Some(FrozenFeatures { network: network.clone().fed_at(value), train, validation }))
    }
}

fn features(session: &mut Session, value: ValueId, part: &Part) -> Result<Dataset, TrainError> {
    let graph = session.graph().clone();
    let device = session.device().clone();
    let (input, shape) = (graph.inputs()[0].value, graph.shape(value).sample().unwrap_or_default());
    let width: usize = shape.iter().product();
    let mut values = vec![0.0; part.rows.len() * width];
    // Rows of similar length together, cut to the steps that they need; features that have steps themselves are kept whole.
    let buckets = if shape.len() == 1 { Buckets::new(&graph, part.data) } else { Buckets::default() };
    let bucket_of = |place: &usize| buckets.of(part.rows[*place]);
    let mut places: Vec<usize> = (0..part.rows.len()).collect();
    places.sort_by_key(bucket_of);
    // Plans by rows and bucket.
    let mut plans: Vec<((usize, usize), PlanId)> = Vec::new();
    for places in places.chunk_by(|a, b| bucket_of(a) == bucket_of(b)).flat_map(|places| places.chunks(ROWS)) {
        let rows: Vec<u32> = places.iter().map(|place| part.rows[*place]).collect();
        let size = (rows.len(), bucket_of(&places[0]));
        let plan = match plans.iter().find(|(planned, _)| *planned == size) {
            Some((_, plan)) => *plan,
            None => {
                let (batch, length) = (rows.len(), buckets.steps(size.1));
                let plan = session.plan(&PlanOptions { batch, outputs: &[value], length, ..PlanOptions::default() })?;
                plans.push((size, plan));
                plan
            }
        };
        gather_features(&device, part.data, &rows, session.input_mut(plan, input))?;
        session.forward(plan, 0);
        for (place, row) in places.iter().zip(session.value(plan, value).chunks_exact(width.max(1))) {
            values[place * width..][..width].copy_from_slice(row);
        }
    }
    let of_rows = |values: &[f32], width: usize| -> Vec<f32> {
        part.rows.iter().flat_map(|&row| &values[row as usize * width..][..width]).copied().collect()
    };
    let targets = of_rows(&part.data.targets, part.data.target_width);
    let weights = part.data.weights.as_ref().map(|weights| of_rows(weights, 1));
    Ok(Dataset::new(shape.to_vec(), Features::F32(values), targets, part.data.target_width, weights)?)
}
