//! From all steps of a sequence to one row: the first step, the last one, the mean, the greatest values.

use crate::graph::{BuildError, Graph, GraphBuilder, Source, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering};
use crate::ops::{Concatenate, Last, MaxOverTime, MeanOverTime, Op, Reshape, Slice};

/// The first step: x [batch, time, …] → [batch, …]. In a transformer it may stand for all of them. Notation: `first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First;

impl Layer for First {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let first = builder.add(Slice { axis: 1, start: 0, end: 1 }, &[x])?;
        let shape = builder.shape(first).sample().and_then(|sizes| Some(sizes.get(1..)?.to_vec())).unwrap_or_default();
        builder.add(Reshape { shape }, &[first])
    }

    fn to_notation(&self) -> Option<Item> {
        Some(Item::new("first"))
    }
}

/// The op as a layer: what the network has come to at the end of each sequence. Features that a recurrent layer computes from
/// the last step to the first are taken at the first, where that direction ends. Notation: `last`, as in
/// `gru 128 both -> last -> dense 3`.
impl Layer for Last {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let (last, lengths) = (Last { lengths: builder.lengths().is_some() }, builder.lengths());
        let inputs: Vec<ValueId> = [x].into_iter().chain(lengths).collect();
        let end = builder.add(last, &inputs)?;
        let directions = directions(builder.graph(), x);
        if directions.iter().all(|(_, reverse)| !reverse) {
            return Ok(end);
        }
        let first = First.build(builder, x)?;
        if let [_] = directions[..] {
            return Ok(first);
        }
        let mut parts = Vec::new();
        let mut start = 0;
        for (width, reverse) in directions {
            let part = Slice { axis: 1, start, end: start + width };
            parts.push(builder.add(part, &[if reverse { first } else { end }])?);
            start += width;
        }
        builder.add(Concatenate { axis: 1 }, &parts)
    }

    fn to_notation(&self) -> Option<Item> {
        Some(Item::new("last"))
    }
}

/// The parts of the features of `x` [batch, time, features]: how many there are, and whether they are computed from the last
/// step to the first.
fn directions(graph: &Graph, x: ValueId) -> Vec<(usize, bool)> {
    let shape = graph.shape(x);
    let whole = vec![(shape.last().unwrap_or(0), false)];
    let Source::Node(node) = graph.value(x).source else { return whole };
    let node = &graph.nodes()[node];
    if node.op.reverses_time() {
        return vec![(whole[0].0, true)];
    }
    if node.op.name() == (Concatenate { axis: 2 }).name() {
        let parts: Vec<(usize, bool)> = node.inputs.iter().flat_map(|&input| directions(graph, input)).collect();
        // Joined along the features, and not along another axis.
        return if parts.iter().map(|(width, _)| width).sum::<usize>() == whole[0].0 { parts } else { whole };
    }
    // What changes each value for itself, such as dropout and activations.
    let each_alone = node.op.is_view(false) || node.op.function().is_some();
    match node.inputs[..] {
        [input] if each_alone && graph.shape(input) == shape => directions(graph, input),
        _ => whole,
    }
}

/// The op as a layer: padding does not count. Notation: `mean-time`.
impl Layer for MeanOverTime {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let lengths = builder.lengths();
        let inputs: Vec<ValueId> = [x].into_iter().chain(lengths).collect();
        builder.add(MeanOverTime { lengths: lengths.is_some() }, &inputs)
    }

    fn to_notation(&self) -> Option<Item> {
        Some(Item::new("mean-time"))
    }
}

/// The op as a layer: padding does not count. Notation: `max-time`.
impl Layer for MaxOverTime {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let lengths = builder.lengths();
        let inputs: Vec<ValueId> = [x].into_iter().chain(lengths).collect();
        builder.add(MaxOverTime { lengths: lengths.is_some() }, &inputs)
    }

    fn to_notation(&self) -> Option<Item> {
        Some(Item::new("max-time"))
    }
}

/// `first`
pub(crate) fn first<'a>(_: &mut Reader<'a>, _: &Lowering<'a>) -> Result<First, NotationError> {
    Ok(First)
}

/// `last`
pub(crate) fn last<'a>(_: &mut Reader<'a>, _: &Lowering<'a>) -> Result<Last, NotationError> {
    Ok(Last::default())
}

/// `mean-time`
pub(crate) fn mean_time<'a>(_: &mut Reader<'a>, _: &Lowering<'a>) -> Result<MeanOverTime, NotationError> {
    Ok(MeanOverTime::default())
}

/// `max-time`
pub(crate) fn max_time<'a>(_: &mut Reader<'a>, _: &Lowering<'a>) -> Result<MaxOverTime, NotationError> {
    Ok(MaxOverTime::default())
}
