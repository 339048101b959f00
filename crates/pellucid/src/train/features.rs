//! Features of the frozen part of a network, computed once instead of in each epoch.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kernels::device::Device;
use sha2::{Digest, Sha256};

use super::batch::gather_features;
use super::buckets::Buckets;
use super::{FitOptions, Part, TrainError};
use crate::data::{Dataset, Features};
use crate::graph::{Graph, Parameters, PlanId, PlanOptions, Session, ValueId};
use crate::model::container::{Container, NamedTensor, save};

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
        let Some(place) = Place::of(network, (train, validation), options, memory) else { return Ok(None) };
        place.features(parameters, (train, validation), options, device).map(Some)
    }

    /// The same from a file, if it has those of this network and these rows; else they are computed, and kept there. Whether they
    /// were read is said too.
    ///
    /// # Errors
    /// As [`FrozenFeatures::compute`], and a file that cannot be written. One that is damaged or of other rows is replaced.
    pub fn kept(
        path: &Path,
        network: &Graph,
        parameters: &Parameters,
        (train, validation): (&Part, Option<&Part>),
        options: &FitOptions,
        device: &Arc<Device>,
        memory: u64,
    ) -> Result<Option<(FrozenFeatures, bool)>, TrainError> {
        let Some(place) = Place::of(network, (train, validation), options, memory) else { return Ok(None) };
        let parts: Vec<&Part> = [train].into_iter().chain(validation).collect();
        let origin = place.origin(parameters, &parts, device)?;
        if let Some(mut values) = stored(path, &origin, &place.shape(), &parts) {
            let mut next = |part: &Part| dataset(part, &place.shape(), values.remove(0));
            let (train, validation) = (next(train)?, validation.map(next).transpose()?);
            return Ok(Some((FrozenFeatures { network: place.network, train, validation }, true)));
        }
        let found = place.features(parameters, (train, validation), options, device)?;
        store(path, &origin, [Some(&found.train), found.validation.as_ref()])?;
        Ok(Some((found, false)))
    }
}

/// Where a network is fed with features.
struct Place {
    /// The network at inference.
    graph: Arc<Graph>,
    /// The features in it.
    value: ValueId,
    /// The network that is fed there.
    network: Graph,
}

impl Place {
    /// If features are the same in each epoch and have room.
    fn of(
        network: &Graph,
        (train, validation): (&Part, Option<&Part>),
        options: &FitOptions,
        memory: u64,
    ) -> Option<Place> {
        let same = options.augmentation.is_none() && options.windows.are_apart() && options.thaw.is_none();
        let graph = Arc::new(network.clone().frozen_at_inference());
        let value = graph.frozen_features().filter(|_| same)?;
        let place = Place { graph, value, network: network.clone().fed_at(value) };
        let rows = train.rows.len() + validation.map_or(0, |part| part.rows.len());
        let width: usize = place.shape().iter().product();
        let bytes = (rows as u64).checked_mul(width as u64).and_then(|values| values.checked_mul(4));
        bytes.is_some_and(|bytes| bytes <= memory).then_some(place)
    }

    /// Sizes of the features of a row.
    fn shape(&self) -> Vec<usize> {
        self.graph.shape(self.value).sample().unwrap_or_default().to_vec()
    }

    fn features(
        self,
        parameters: &Parameters,
        (train, validation): (&Part, Option<&Part>),
        options: &FitOptions,
        device: &Arc<Device>,
    ) -> Result<FrozenFeatures, TrainError> {
        let Place { graph, value, network } = self;
        let mut session = Session::new(graph, device.clone(), parameters.clone(), options.seed);
        let mut of = |part: &Part| features(&mut session, value, part);
        let (train, validation) = (of(train)?, validation.map(of).transpose()?);
        Ok(FrozenFeatures { network, train, validation })
    }

    /// A checksum of all that features depend on: this version, the ops before them with their parameters, and the rows.
    fn origin(&self, parameters: &Parameters, parts: &[&Part], device: &Arc<Device>) -> Result<String, TrainError> {
        let Place { graph, value, .. } = self;
        let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
        let mut hash = Sha256::new();
        hash.update(env!("CARGO_PKG_VERSION"));
        for node in graph.nodes().iter().take_while(|node| node.output.index() <= value.index()) {
            hash.update(format!("{} {:?} {:?} {:?};", node.op.name(), node.op.attributes(), node.inputs, node.output));
            for input in &node.inputs {
                let parameter = graph.parameters().iter().find(|parameter| parameter.value == *input);
                if let Some(values) = parameter.and_then(|parameter| parameters.get(&parameter.name)) {
                    hash.update(bytes(values));
                }
            }
        }
        for part in parts {
            let width = part.data.width();
            hash.update(format!("{} rows of {:?};", part.rows.len(), part.data.sample_shape));
            let mut values = vec![0.0; ROWS * width];
            for rows in part.rows.chunks(ROWS) {
                let values = &mut values[..rows.len() * width];
                gather_features(device, part.data, rows, values)?;
                hash.update(bytes(values));
            }
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Names of the parts in a file.
const PARTS: [&str; 2] = ["train", "validation"];
/// Where a file says what its features come from.
const ORIGIN: &str = "origin";

/// The values of each part, if the file has them.
fn stored(path: &Path, origin: &str, shape: &[usize], parts: &[&Part]) -> Option<Vec<Vec<f32>>> {
    let file = Container::open(path).ok().filter(|file| file.metadata().get(ORIGIN).is_some_and(|at| at == origin))?;
    let mut tensors = file.into_tensors();
    let of_part = |(name, part): (&&str, &&Part)| {
        let dims: Vec<usize> = [part.rows.len()].into_iter().chain(shape.iter().copied()).collect();
        tensors.remove(*name).filter(|tensor| tensor.shape == dims).map(|tensor| tensor.data)
    };
    PARTS.iter().zip(parts).map(of_part).collect()
}

fn store(path: &Path, origin: &str, parts: [Option<&Dataset>; 2]) -> Result<(), TrainError> {
    let dims = parts.map(|part| {
        part.map_or(Vec::new(), |part| [part.rows()].into_iter().chain(part.sample_shape.iter().copied()).collect())
    });
    let mut tensors = Vec::new();
    for ((name, part), shape) in PARTS.iter().zip(parts).zip(&dims) {
        if let Some(Dataset { features: Features::F32(data), .. }) = part {
            tensors.push(NamedTensor { name, shape, data });
        }
    }
    save(path, &tensors, &BTreeMap::from([(ORIGIN.to_string(), origin.to_string())]))?;
    Ok(())
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
    dataset(part, &shape, values)
}

/// The rows of a part with these features in the place of theirs.
fn dataset(part: &Part, shape: &[usize], values: Vec<f32>) -> Result<Dataset, TrainError> {
    let of_rows = |values: &[f32], width: usize| -> Vec<f32> {
        part.rows.iter().flat_map(|&row| &values[row as usize * width..][..width]).copied().collect()
    };
    let targets = of_rows(&part.data.targets, part.data.target_width);
    let weights = part.data.weights.as_ref().map(|weights| of_rows(weights, 1));
    Ok(Dataset::new(shape.to_vec(), Features::F32(values), targets, part.data.target_width, weights)?)
}
