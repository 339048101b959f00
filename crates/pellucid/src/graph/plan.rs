//! The plan: which passes run, in which order, and where every value lies, for one batch size.
//!
//! Everything that can be decided before the first step is decided here: what must be kept for the backward pass, what
//! may be computed in place or becomes the epilogue of the pass before it, which gradients are needed at all, and the
//! place of every value in the arena. `run` only follows.

use std::ops::Range;

use super::layout::{Lifetime, lay_out};
use super::{BuildError, Graph, Node, Parameters, Source, ValueId};
use crate::ops::{Memory, Sizes};
use crate::tensor::Dims;

/// What to plan for.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions<'a> {
    /// Rows of the batch.
    pub batch: usize,
    /// Values that can be read when the pass is over.
    pub outputs: &'a [ValueId],
    /// The loss, a single number: makes it a training plan with a backward pass.
    pub loss: Option<ValueId>,
    /// Values (besides trainable parameters) whose gradients can be read after the backward pass.
    pub gradients_of: &'a [ValueId],
    /// Keep every value and every gradient until the end, fuse nothing: to look inside.
    pub keep_all: bool,
    /// Inputs have no place in the arena and are read where the caller has them (`Session::forward_on`); for inference.
    pub lent_inputs: bool,
    /// Time steps of each sequence, where they are others than those that the graph was built for ([`Graph::at_length`]).
    pub length: Option<usize>,
    /// A batch holds windows of long sequences, one after the other: ops keep what they need of those before
    /// ([`Moment::past`]). All carrying plans of as many rows share that memory, whatever their length.
    pub carries: bool,
}

/// When a pass takes place: what it depends on besides its inputs and the parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The number of the training step, which random numbers depend on.
    pub step: u64,
    /// Time steps of these sequences that came before, for a plan that carries; 0 begins anew.
    pub past: usize,
}

impl From<u64> for Moment {
    fn from(step: u64) -> Moment {
        Moment { step, past: 0 }
    }
}

/// What cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A batch of no rows.
    #[error("the batch must have at least one row")]
    EmptyBatch,
    /// A value would be too large.
    #[error("{label}: {shape} is too large for a batch of {batch}; use a smaller batch")]
    TooLarge {
        /// The layer.
        label: String,
        /// The shape of the value, printed.
        shape: String,
        /// Rows of the batch.
        batch: usize,
    },
    /// The loss is not a single number.
    #[error("a loss is a single number, this value has the shape {shape}")]
    NoScalar {
        /// The shape of the value, printed.
        shape: String,
    },
    /// A plan that carries, of a network that begins at the end.
    #[error(
        "layer {label} goes through time from the last step to the first, so it looks ahead: no window can go on where another \
         ended; leave out `both`, or let windows stand apart"
    )]
    Reversed {
        /// The layer.
        label: String,
    },
    /// The network does not take sequences of that length.
    #[error("sequences of {length} steps do not fit the network: {problem}")]
    Length {
        /// Time steps asked for.
        length: usize,
        /// The layer, and why not.
        problem: Box<BuildError>,
    },
}

/// Where a value lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Parameter(Range<usize>),
    Gradient(Range<usize>),
    Arena(Range<usize>),
    /// The input with this number, which the caller of the pass lends.
    Lent(usize),
}

/// A position in the table of places.
pub(super) type Slot = usize;

/// A value that a pass reads: its sizes, and its slot unless the pass does not look at it.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub dims: Dims,
    pub slot: Option<Slot>,
}

/// One forward pass of a node, and of the functions that follow it at once.
#[derive(Clone, Debug)]
pub(super) struct ForwardStep {
    pub node: usize,
    pub inputs: Vec<Operand>,
    pub dims: Dims,
    pub output: Slot,
    pub saved: Slot,
    pub scratch: Slot,
    /// Where the node keeps what the next window needs; empty unless the plan carries.
    pub carried: Range<usize>,
    /// Nodes whose functions are applied to the output.
    pub epilogue: Vec<usize>,
    /// Inputs of the node that it changes after the pass (in training), and where these parameters lie.
    pub states: Vec<(usize, Range<usize>)>,
}

/// A pass on the way back.
#[derive(Clone, Debug)]
pub(super) enum BackwardStep {
    Node {
        node: usize,
        inputs: Vec<Operand>,
        output: Operand,
        saved: Slot,
        scratch: Slot,
        /// `None`: the gradient of the output lies in the place of the first input's gradient.
        dy: Option<Slot>,
        dx: Vec<Option<Slot>>,
    },
    /// A second contribution to a gradient.
    Add { from: Slot, to: Slot },
    /// A gradient that must lie elsewhere.
    Copy { from: Slot, to: Slot },
}

/// Cost of one node, for `summary` and profiles.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeCost {
    /// Position of the node in its graph.
    pub node: usize,
    /// Floating-point operations of the forward pass.
    pub flops: u64,
    /// Bytes that the forward pass reads and writes at least.
    pub bytes: u64,
    /// Bytes of its output (with what is fused with it) and of what it saves that stay after the forward pass; 0 without a
    /// loss. What is computed over the output of another node counts for the later one.
    pub kept: u64,
}

/// Passes and places for one batch size.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) batch: usize,
    pub(super) training: bool,
    pub(super) forward: Vec<ForwardStep>,
    pub(super) backward: Vec<BackwardStep>,
    pub(super) places: Vec<Place>,
    /// Slot of every value that can be looked at afterwards (all inputs, outputs; every value with `keep_all`).
    pub(super) values: Vec<Option<Slot>>,
    pub(super) gradients: Vec<Option<Slot>>,
    /// Where the gradient of the loss, 1, is put before the backward pass.
    pub(super) seed: Option<Slot>,
    pub(super) arena: usize,
    /// Numbers of f32 of each input of the graph.
    pub(super) inputs: Vec<usize>,
    /// Numbers of f32 that are kept from one window to the next.
    pub(super) carried: usize,
    costs: Vec<NodeCost>,
}

impl Plan {
    /// Plans for `graph`, whose parameters lie as in `parameters`.
    pub fn new(graph: &Graph, parameters: &Parameters, options: &PlanOptions) -> Result<Plan, PlanError> {
        if options.batch == 0 {
            return Err(PlanError::EmptyBatch);
        }
        if let Some(node) = graph.nodes.iter().find(|node| options.carries && node.op.reverses_time()) {
            return Err(PlanError::Reversed { label: node.label.clone() });
        }
        let resized;
        let graph = match options.length {
            Some(length) => {
                let fitted = graph.at_length(length);
                resized = fitted.map_err(|problem| PlanError::Length { length, problem: Box::new(problem) })?;
                &resized
            }
            None => graph,
        };
        for index in 0..graph.value_count() {
            let shape = &graph.values[index].shape;
            if shape.checked_elements(options.batch).is_none() {
                let label = match graph.values[index].source {
                    Source::Input(i) => format!("input {}", graph.inputs[i].name),
                    Source::Parameter(i) => format!("parameter {}", graph.parameters[i].name),
                    Source::Node(i) => format!("layer {} ({})", graph.nodes[i].label, graph.nodes[i].op.name()),
                };
                return Err(PlanError::TooLarge { label, shape: shape.to_string(), batch: options.batch });
            }
        }
        if let Some(loss) = options.loss.filter(|&loss| graph.shape(loss).checked_elements(options.batch) != Some(1)) {
            return Err(PlanError::NoScalar { shape: graph.shape(loss).to_string() });
        }
        let mut planner = Planner::new(graph, parameters, options);
        planner.plan_forward();
        planner.plan_backward();
        Ok(planner.finish())
    }

    /// Rows of the batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Has a backward pass.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// A forward pass changes parameters: statistics of a training plan.
    pub fn changes_parameters(&self) -> bool {
        self.forward.iter().any(|step| !step.states.is_empty())
    }

    /// Numbers of f32 that the ops keep from one window to the next, for a plan that carries.
    pub fn carried(&self) -> usize {
        self.carried
    }

    /// Bytes of the arena that this plan needs.
    pub fn arena_bytes(&self) -> usize {
        self.arena * size_of::<f32>()
    }

    /// Costs of the forward pass, node by node.
    pub fn costs(&self) -> &[NodeCost] {
        &self.costs
    }

    /// Number of passes of a step: forward and backward.
    pub fn passes(&self) -> (usize, usize) {
        (self.forward.len(), self.backward.len())
    }
}

/// Memory of one value or several that share it.
#[derive(Clone, Debug)]
enum Storage {
    Fixed(Place),
    Arena(Lifetime),
}

struct Planner<'a> {
    graph: &'a Graph,
    parameters: &'a Parameters,
    options: &'a PlanOptions<'a>,
    training: bool,
    /// Nodes that an output or the loss depends on.
    live: Vec<bool>,
    /// Values through which a wanted gradient flows.
    flows: Vec<bool>,
    /// Values whose data the backward pass looks at.
    read_backward: Vec<bool>,
    /// Live nodes that read a value, in order.
    consumers: Vec<Vec<usize>>,
    storages: Vec<Storage>,
    /// Storage of each value that has one.
    value_slot: Vec<Option<Slot>>,
    /// Values that share a slot.
    members: Vec<Vec<ValueId>>,
    gradient_slot: Vec<Option<Slot>>,
    saved_slot: Vec<Option<Slot>>,
    forward: Vec<ForwardStep>,
    backward: Vec<BackwardStep>,
    nothing: Slot,
    seed: Option<Slot>,
    time: usize,
    carried: usize,
    /// The time of the last forward pass.
    forward_end: usize,
    costs: Vec<NodeCost>,
}

/// Numbers of f32 in a cache line.
const LINE: usize = 16;

/// Later than every step.
const END: usize = usize::MAX;

impl<'a> Planner<'a> {
    fn new(graph: &'a Graph, parameters: &'a Parameters, options: &'a PlanOptions<'a>) -> Planner<'a> {
        let values = graph.value_count();
        let training = options.loss.is_some();
        let live = live_nodes(graph, options);
        let flows = gradient_flow(graph, options, &live);
        let mut consumers = vec![Vec::new(); values];
        let mut read_backward = vec![false; values];
        for (index, node) in graph.nodes.iter().enumerate().filter(|(index, _)| live[*index]) {
            for (i, input) in node.inputs.iter().enumerate() {
                consumers[input.index()].push(index);
                if flows[node.output.index()] && !node.op.is_view(training) && node.op.reads().input(i) {
                    read_backward[input.index()] = true;
                }
            }
            if flows[node.output.index()] && !node.op.is_view(training) && node.op.reads().output() {
                read_backward[node.output.index()] = true;
            }
        }
        let mut planner = Planner {
            graph,
            parameters,
            options,
            training,
            live,
            flows,
            read_backward,
            consumers,
            storages: Vec::new(),
            value_slot: vec![None; values],
            members: Vec::new(),
            gradient_slot: vec![None; values],
            saved_slot: vec![None; graph.nodes.len()],
            forward: Vec::new(),
            backward: Vec::new(),
            nothing: 0,
            seed: None,
            time: 0,
            carried: 0,
            forward_end: 0,
            costs: Vec::new(),
        };
        planner.nothing = planner.arena_slot(0);
        planner
    }

    fn elements(&self, value: ValueId) -> usize {
        self.graph.shape(value).checked_elements(self.options.batch).expect("sizes were checked first")
    }

    fn dims(&self, value: ValueId) -> Dims {
        self.graph.shape(value).dims(self.options.batch)
    }

    fn new_slot(&mut self, storage: Storage) -> Slot {
        self.storages.push(storage);
        self.members.push(Vec::new());
        self.storages.len() - 1
    }

    /// New memory, in use from now on.
    fn arena_slot(&mut self, size: usize) -> Slot {
        self.new_slot(Storage::Arena(Lifetime { size, first: self.time, last: self.time }))
    }

    /// The memory is in use at `time`.
    fn touch(&mut self, slot: Slot, time: usize) {
        if let Storage::Arena(lifetime) = &mut self.storages[slot] {
            lifetime.last = lifetime.last.max(time);
        }
    }

    fn give(&mut self, value: ValueId, slot: Slot) {
        self.value_slot[value.index()] = Some(slot);
        self.members[slot].push(value);
    }

    fn slot_of(&self, value: ValueId) -> Slot {
        self.value_slot[value.index()].expect("a value is computed before it is read")
    }

    fn is_output(&self, value: ValueId) -> bool {
        self.options.keep_all || self.options.outputs.contains(&value) || self.options.loss == Some(value)
    }

    fn plan_forward(&mut self) {
        for (number, input) in self.graph.inputs.iter().enumerate() {
            if self.may_be_lent(input.value) {
                let slot = self.new_slot(Storage::Fixed(Place::Lent(number)));
                self.give(input.value, slot);
                continue;
            }
            let slot = self.arena_slot(self.elements(input.value));
            // Inputs stay whole, so that a further step on the same rows needs no second filling.
            self.touch(slot, END);
            self.give(input.value, slot);
        }
        for (parameter, segment) in self.graph.parameters.iter().zip(self.parameters.segments()) {
            let slot = self.new_slot(Storage::Fixed(Place::Parameter(segment.range.clone())));
            self.give(parameter.value, slot);
        }
        let mut fused = vec![false; self.graph.nodes.len()];
        for (index, node) in self.graph.nodes.iter().enumerate() {
            if !self.live[index] || fused[index] {
                continue;
            }
            self.time += 1;
            if node.op.is_view(self.training) {
                let slot = self.slot_of(node.inputs[0]);
                self.give(node.output, slot);
            } else {
                self.plan_node(index, node, &mut fused);
            }
        }
        self.forward_end = self.time;
        let outputs = self.options.outputs.iter().chain(self.options.loss.iter());
        for slot in outputs.map(|&value| self.slot_of(value)).collect::<Vec<_>>() {
            self.touch(slot, END);
        }
        if self.options.keep_all {
            (0..self.storages.len()).for_each(|slot| self.touch(slot, END));
        }
    }

    /// What can be looked at after the pass must not be lent, and an output may be a view of the input.
    fn may_be_lent(&self, input: ValueId) -> bool {
        let viewed = |mut value: ValueId| {
            while let Source::Node(node) = self.graph.value(value).source {
                let node = &self.graph.nodes[node];
                if !node.op.is_view(self.training) {
                    break;
                }
                value = node.inputs[0];
            }
            value
        };
        let kept = self.training || self.options.keep_all;
        self.options.lent_inputs && !kept && self.options.outputs.iter().all(|&output| viewed(output) != input)
    }

    fn plan_node(&mut self, index: usize, node: &Node, fused: &mut [bool]) {
        let memory = self.memory(node);
        let (result, epilogue) = self.fuse(node);
        for &follower in &epilogue {
            fused[follower] = true;
        }
        let mut inputs: Vec<Operand> = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            let slot = self.slot_of(input);
            self.touch(slot, self.time);
            inputs.push(Operand { dims: self.dims(input), slot: Some(slot) });
        }
        let output = if self.may_overwrite(index, node) {
            inputs[0].slot.take().expect("every input has a slot")
        } else {
            self.arena_slot(self.elements(result))
        };
        self.give(result, output);
        let scratch = self.arena_slot(memory.forward);
        let saved = if self.training && memory.saved > 0 { self.arena_slot(memory.saved) } else { self.nothing };
        self.saved_slot[index] = Some(saved);
        let carried = if self.options.carries { self.carry(memory.carried) } else { 0..0 };
        let dims = self.dims(node.output);
        for step in std::iter::once(index).chain(epilogue.iter().copied()) {
            self.costs.push(self.cost(step));
        }
        let states = if self.training { self.states(node) } else { Vec::new() };
        self.forward.push(ForwardStep { node: index, inputs, dims, output, saved, scratch, carried, epilogue, states });
    }

    /// A place in what is kept from one window to the next: by the order of the nodes alone, so that all plans of as many
    /// rows find it there.
    fn carry(&mut self, size: usize) -> Range<usize> {
        let begin = self.carried;
        self.carried += size.next_multiple_of(LINE);
        begin..begin + size
    }

    /// Parameters that the node changes itself.
    fn states(&self, node: &Node) -> Vec<(usize, Range<usize>)> {
        let place = |&index: &usize| match self.graph.value(node.inputs[index]).source {
            Source::Parameter(parameter) => Some((index, self.parameters.segments()[parameter].range.clone())),
            _ => None,
        };
        node.op.state().iter().filter_map(place).collect()
    }

    /// The chain of element-wise functions that can be applied to the output of `node` at once: the value at its end,
    /// and the nodes.
    fn fuse(&self, node: &Node) -> (ValueId, Vec<usize>) {
        let mut chain = Vec::new();
        let mut value = node.output;
        while node.op.takes_epilogue() && !self.is_output(value) && !self.read_backward[value.index()] {
            let &[next] = self.consumers[value.index()].as_slice() else { break };
            let follower = &self.graph.nodes[next];
            if follower.op.is_view(self.training) || follower.op.function().is_none() {
                break;
            }
            chain.push(next);
            value = follower.output;
        }
        (value, chain)
    }

    /// May the output of the node be computed over its first input?
    fn may_overwrite(&self, index: usize, node: &Node) -> bool {
        if !node.op.in_place() || self.options.keep_all {
            return false;
        }
        let slot = self.slot_of(node.inputs[0]);
        let Storage::Arena(lifetime) = &self.storages[slot] else { return false };
        let free = self.members[slot].iter().all(|&member| {
            let reads = &self.consumers[member.index()];
            let input = matches!(self.graph.value(member).source, Source::Input(_));
            !input
                && !self.is_output(member)
                && !self.read_backward[member.index()]
                && reads.iter().all(|&reader| reader <= index)
        });
        let once = node.inputs[1..].iter().all(|&input| self.slot_of(input) != slot);
        free && once && lifetime.size == self.elements(node.output)
    }

    fn memory(&self, node: &Node) -> Memory {
        self.with_sizes(node, |sizes| node.op.memory(sizes, self.training))
    }

    fn with_sizes<T>(&self, node: &Node, body: impl FnOnce(Sizes) -> T) -> T {
        let inputs: Vec<Dims> = node.inputs.iter().map(|&input| self.dims(input)).collect();
        let inputs: Vec<&[usize]> = inputs.iter().map(|dims| dims.as_slice()).collect();
        body(Sizes { inputs: &inputs, output: &self.dims(node.output) })
    }

    fn cost(&self, index: usize) -> NodeCost {
        let node = &self.graph.nodes[index];
        let values: usize = node.inputs.iter().chain([&node.output]).map(|&value| self.elements(value)).sum();
        let flops = self.with_sizes(node, |sizes| node.op.flops(sizes));
        NodeCost { node: index, flops, bytes: (values * size_of::<f32>()) as u64, kept: 0 }
    }

    fn plan_backward(&mut self) {
        let Some(loss) = self.options.loss else { return };
        if !self.flows[loss.index()] {
            return;
        }
        self.time += 1;
        let seed = self.arena_slot(1);
        self.seed = Some(seed);
        self.gradient_slot[loss.index()] = Some(seed);
        for index in (0..self.graph.nodes.len()).rev() {
            let node = &self.graph.nodes[index];
            if !self.live[index] || !self.flows[node.output.index()] {
                continue;
            }
            let Some(dy) = self.gradient_slot[node.output.index()] else { continue };
            self.time += 1;
            self.touch(dy, self.time);
            if node.op.is_view(self.training) {
                self.contribute(node.inputs[0], dy);
            } else {
                self.plan_node_backward(index, node, dy);
            }
        }
        let wanted = self.options.gradients_of.iter().filter_map(|value| self.gradient_slot[value.index()]);
        for slot in wanted.collect::<Vec<_>>() {
            self.touch(slot, END);
        }
        if self.options.keep_all {
            (0..self.storages.len()).for_each(|slot| self.touch(slot, END));
        }
    }

    fn plan_node_backward(&mut self, index: usize, node: &Node, dy: Slot) {
        let reads = node.op.reads();
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for (i, &input) in node.inputs.iter().enumerate() {
            let slot = reads.input(i).then(|| self.slot_of(input));
            slot.inspect(|&slot| self.touch(slot, self.time));
            inputs.push(Operand { dims: self.dims(input), slot });
        }
        let output = reads.output().then(|| self.slot_of(node.output));
        output.inspect(|&slot| self.touch(slot, self.time));
        let output = Operand { dims: self.dims(node.output), slot: output };
        let saved = self.saved_slot[index].unwrap_or(self.nothing);
        self.touch(saved, self.time);
        let memory = self.memory(node);
        let scratch = self.arena_slot(memory.backward);

        let mut dx = Vec::with_capacity(node.inputs.len());
        let mut given: Vec<(ValueId, Slot)> = Vec::new();
        let mut over = false;
        for (i, &input) in node.inputs.iter().enumerate() {
            if !self.flows[input.index()] || !node.op.differentiable(i) {
                dx.push(None);
                continue;
            }
            let first = self.gradient_slot[input.index()].is_none() && given.iter().all(|(value, _)| *value != input);
            let slot = match self.gradient_place(input) {
                Some(place) if first => self.new_slot(Storage::Fixed(place)),
                None if i == 0 && self.may_overwrite_gradient(node, dy) => {
                    over = true;
                    dy
                }
                _ => self.arena_slot(self.elements(input)),
            };
            dx.push(Some(slot));
            given.push((input, slot));
        }
        let dy = if over { None } else { Some(dy) };
        self.backward.push(BackwardStep::Node { node: index, inputs, output, saved, scratch, dy, dx });
        for (input, slot) in given {
            self.contribute(input, slot);
        }
    }

    fn may_overwrite_gradient(&self, node: &Node, dy: Slot) -> bool {
        let kept = self.options.keep_all || self.options.gradients_of.contains(&node.output);
        let same_size = self.elements(node.inputs[0]) == self.elements(node.output);
        node.op.in_place() && !kept && same_size && matches!(self.storages[dy], Storage::Arena(_))
    }

    /// Where the gradient of a trainable parameter has to lie.
    fn gradient_place(&self, value: ValueId) -> Option<Place> {
        match self.graph.value(value).source {
            Source::Parameter(i) => Some(Place::Gradient(self.parameters.segments()[i].range.clone())),
            _ => None,
        }
    }

    /// What lies in `slot` belongs to the gradient of `value`.
    fn contribute(&mut self, value: ValueId, slot: Slot) {
        if !self.flows[value.index()] {
            return;
        }
        match (self.gradient_slot[value.index()], self.gradient_place(value)) {
            (Some(sum), _) => {
                self.time += 1;
                self.touch(sum, self.time);
                self.touch(slot, self.time);
                self.backward.push(BackwardStep::Add { from: slot, to: sum });
            }
            (None, Some(place)) if !matches!(&self.storages[slot], Storage::Fixed(fixed) if *fixed == place) => {
                self.time += 1;
                self.touch(slot, self.time);
                let to = self.new_slot(Storage::Fixed(place));
                self.gradient_slot[value.index()] = Some(to);
                self.backward.push(BackwardStep::Copy { from: slot, to });
            }
            (None, _) => self.gradient_slot[value.index()] = Some(slot),
        }
    }

    /// Notes of each node what stays after the forward pass.
    fn count_kept(&mut self) {
        let mut owners = vec![None; self.storages.len()];
        for step in self.forward.iter().filter(|_| self.training) {
            owners[step.output] = Some(step.node);
            owners[step.saved] = Some(step.node);
        }
        let mut kept = vec![0; self.graph.nodes.len()];
        for (storage, owner) in self.storages.iter().zip(owners) {
            if let (Storage::Arena(lifetime), Some(node)) = (storage, owner)
                && lifetime.last > self.forward_end
            {
                kept[node] += (lifetime.size * size_of::<f32>()) as u64;
            }
        }
        self.costs.iter_mut().for_each(|cost| cost.kept = kept[cost.node]);
    }

    fn finish(mut self) -> Plan {
        self.count_kept();
        let lifetimes: Vec<Lifetime> = self
            .storages
            .iter()
            .map(|storage| match storage {
                Storage::Arena(lifetime) => *lifetime,
                Storage::Fixed(_) => Lifetime { size: 0, first: 0, last: 0 },
            })
            .collect();
        let (arena_places, arena) = lay_out(&lifetimes);
        let places = self.storages.into_iter().zip(arena_places).map(|(storage, range)| match storage {
            Storage::Arena(_) => Place::Arena(range),
            Storage::Fixed(place) => place,
        });
        let (options, graph) = (self.options, self.graph);
        let visible = |index: usize| {
            let value = ValueId(index as u32);
            options.keep_all
                || options.outputs.contains(&value)
                || options.loss == Some(value)
                || !matches!(graph.value(value).source, Source::Node(_))
        };
        let values = self.value_slot.iter().enumerate().map(|(i, slot)| slot.filter(|_| visible(i))).collect();
        let wanted = |index: usize| {
            let value = ValueId(index as u32);
            options.keep_all
                || options.gradients_of.contains(&value)
                || matches!(graph.value(value).source, Source::Parameter(_))
        };
        let elements = |value| graph.shape(value).checked_elements(options.batch).expect("sizes were checked first");
        let gradients = self.gradient_slot.iter().enumerate().map(|(i, slot)| slot.filter(|_| wanted(i))).collect();
        Plan {
            batch: options.batch,
            training: self.training,
            forward: self.forward,
            backward: self.backward,
            places: places.collect(),
            values,
            gradients,
            seed: self.seed,
            arena,
            inputs: graph.inputs.iter().map(|input| elements(input.value)).collect(),
            carried: self.carried,
            costs: self.costs,
        }
    }
}

/// Nodes that the outputs or the loss depend on.
fn live_nodes(graph: &Graph, options: &PlanOptions) -> Vec<bool> {
    let mut needed = vec![false; graph.value_count()];
    for value in options.outputs.iter().chain(&options.loss) {
        needed[value.index()] = true;
    }
    let mut live = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if needed[node.output.index()] {
            live[index] = true;
            node.inputs.iter().for_each(|input| needed[input.index()] = true);
        }
    }
    live
}

/// Values on a way from the loss to a trainable parameter or to another wanted gradient.
fn gradient_flow(graph: &Graph, options: &PlanOptions, live: &[bool]) -> Vec<bool> {
    let mut wants = vec![false; graph.value_count()];
    let mut reached = vec![false; graph.value_count()];
    let Some(loss) = options.loss else { return reached };
    for parameter in graph.parameters.iter().filter(|parameter| !parameter.frozen) {
        wants[parameter.value.index()] = true;
    }
    options.gradients_of.iter().for_each(|value| wants[value.index()] = true);
    for (index, node) in graph.nodes.iter().enumerate() {
        let through = |(i, input): (usize, &ValueId)| node.op.differentiable(i) && wants[input.index()];
        wants[node.output.index()] |= live[index] && node.inputs.iter().enumerate().any(through);
    }
    reached[loss.index()] = wants[loss.index()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if live[index] && reached[node.output.index()] {
            for (i, input) in node.inputs.iter().enumerate() {
                reached[input.index()] |= node.op.differentiable(i) && wants[input.index()];
            }
        }
    }
    reached
}
