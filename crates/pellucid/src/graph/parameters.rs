//! Parameters in one slab: every value of a network in one slice, so that an optimiser is one pass, a checkpoint one
//! write, and an exchange between machines one call.

use std::fmt::Debug;
use std::ops::Range;

use kernels::buffer::Buffer;
use kernels::device::Device;

use super::Graph;
use crate::tensor::Dims;

/// Segments begin at multiples of this many values: a cache line, and a vector of every instruction set. The gaps
/// stay zero.
const ALIGN: usize = 16;

/// How the values of a new parameter are made.
pub trait Initialise: Debug + Send + Sync {
    /// Fills `values`, which have the sizes `dims`; random numbers depend on `seed` and `index` (the position of the
    /// parameter in its graph) alone.
    fn fill(&self, device: &Device, seed: u64, index: usize, dims: &[usize], values: &mut [f32]);
}

/// What a parameter is for. Weight penalties can leave all but weights out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Multiplies its input.
    Weight,
    /// Is added.
    Bias,
    /// Scale or shift of a normalisation, or the slope of an activation.
    Scale,
    /// What an op notes during training and reads at inference (running mean and variance): always frozen, so that no
    /// optimiser touches it, but saved, restored and summed up with the other parameters.
    Statistic,
}

/// One parameter's part of the slab.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The name, as in a PyTorch state dictionary: `0.weight`.
    pub name: String,
    /// Sizes of the axes.
    pub dims: Dims,
    /// Where its values lie.
    pub range: Range<usize>,
    /// What it is for.
    pub role: Role,
    /// Not trained: its gradient is not computed.
    pub frozen: bool,
}

/// The values of all parameters of a graph, in the graph's order.
#[derive(Clone, Debug)]
pub struct Parameters {
    segments: Vec<Segment>,
    values: Buffer,
}

impl Parameters {
    /// All zeros.
    pub fn zeros(graph: &Graph) -> Parameters {
        let mut end = 0;
        let mut segments = Vec::with_capacity(graph.parameters().len());
        for parameter in graph.parameters() {
            let dims = graph.shape(parameter.value).dims(1);
            let start = end;
            end += dims.iter().product::<usize>();
            segments.push(Segment {
                name: parameter.name.clone(),
                dims,
                range: start..end,
                role: parameter.role,
                frozen: parameter.frozen,
            });
            end = end.next_multiple_of(ALIGN);
        }
        Parameters { segments, values: Buffer::new(end) }
    }

    /// Fresh values from the graph's initialisers: the same for the same seed.
    pub fn initialise(graph: &Graph, device: &Device, seed: u64) -> Parameters {
        let mut parameters = Parameters::zeros(graph);
        for (index, (parameter, segment)) in graph.parameters().iter().zip(&parameters.segments).enumerate() {
            let values = &mut parameters.values[segment.range.clone()];
            parameter.init.fill(device, seed, index, &segment.dims, values);
        }
        parameters
    }

    /// The parts, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The whole slab.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The whole slab, for writing.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The parts, and the whole slab for writing.
    pub fn split_mut(&mut self) -> (&[Segment], &mut [f32]) {
        (&self.segments, &mut self.values)
    }

    /// The values of the parameter `name`.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.segments.iter().find(|segment| segment.name == name).map(|segment| &self.values[segment.range.clone()])
    }

    /// The values of the parameter `name`, for writing.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut [f32]> {
        let segment = self.segments.iter().find(|segment| segment.name == name)?;
        Some(&mut self.values[segment.range.clone()])
    }

    /// How many numbers there are, running statistics left out.
    pub fn count(&self) -> usize {
        let learnt = self.segments.iter().filter(|segment| segment.role != Role::Statistic);
        learnt.map(|segment| segment.range.len()).sum()
    }
}
