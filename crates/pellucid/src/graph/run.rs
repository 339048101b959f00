//! Running a plan: a short loop over its passes. Nothing is decided here, and nothing allocated.

use arrayvec::ArrayVec;
use kernels::arena::{Arena, Loans};
use kernels::device::Device;
use kernels::epilogue::InPlace;
use kernels::gemm::PackedMatrix;
use kernels::simd::Isa;

use super::plan::{BackwardStep, ForwardStep, Operand, Place, Plan, Slot};
use super::{Graph, Moment, Node};
use crate::ops::{Backward, Forward, MAX_INPUTS, Run};
use crate::tensor::Tensor;

/// A pass that has just run.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Forward through a node (and those fused with it).
    Forward {
        /// Position of the node in its graph.
        node: usize,
        /// The output, after all that was fused.
        output: &'a [f32],
    },
    /// Backward through a node.
    Backward {
        /// Position of the node in its graph.
        node: usize,
    },
}

/// What a pass depends on besides the plan.
#[derive(Clone, Copy)]
pub(super) struct Circumstances<'a> {
    pub graph: &'a Graph,
    pub device: &'a Device,
    pub parameters: &'a [f32],
    /// The inputs, where the plan has no place for them.
    pub lent: &'a [&'a [f32]],
    pub packed: &'a [Option<PackedMatrix>],
    pub seed: u64,
    pub moment: Moment,
}

impl Circumstances<'_> {
    fn run(&self, plan: &Plan, node: usize) -> Run<'_> {
        let Moment { step, past } = self.moment;
        Run { device: self.device, training: plan.training, seed: self.seed, step, past, node: node as u32 }
    }
}

/// The functions of some nodes, one after the other.
struct Chain<'a> {
    nodes: &'a [Node],
    chain: &'a [usize],
}

impl InPlace for Chain<'_> {
    fn apply(&self, isa: Isa, values: &mut [f32]) {
        for &node in self.chain {
            self.nodes[node].op.function().expect("only functions are fused").apply(isa, values);
        }
    }
}

impl Plan {
    /// `parameters` are written only where a node notes statistics.
    pub(super) fn run_forward(
        &self,
        with: Circumstances,
        parameters: &mut [f32],
        arena: &mut Arena,
        carried: &mut [f32],
        mut observe: impl FnMut(Event),
    ) {
        for step in &self.forward {
            let kept = &mut carried[step.carried.clone()];
            self.forward_step(step, Circumstances { parameters, ..with }, arena, kept, &mut observe);
            for (index, range) in &step.states {
                let mut loans = arena.lend();
                let saved = self.read(step.saved, with, &mut loans);
                let op = &with.graph.nodes[step.node].op;
                op.update_state(*index, &step.inputs[0].dims, saved, &mut parameters[range.clone()]);
            }
        }
    }

    #[inline]
    fn forward_step(
        &self,
        step: &ForwardStep,
        with: Circumstances,
        arena: &mut Arena,
        carried: &mut [f32],
        observe: &mut impl FnMut(Event),
    ) {
        {
            let mut loans = arena.lend();
            let output = self.write_arena(step.output, &mut loans);
            let saved = self.write_arena(step.saved, &mut loans);
            let scratch = self.write_arena(step.scratch, &mut loans);
            // Filled in place: collecting would move the whole array.
            let mut inputs: ArrayVec<Tensor, MAX_INPUTS> = ArrayVec::new();
            for operand in &step.inputs {
                inputs.push(self.tensor(operand, with, &mut loans));
            }
            let nodes = &with.graph.nodes;
            let chain = Chain { nodes, chain: &step.epilogue };
            let epilogue = (!step.epilogue.is_empty()).then_some(&chain as &dyn InPlace);
            let packed = with.packed.get(step.node).and_then(Option::as_ref);
            let (inputs, dims) = (&inputs[..], &step.dims[..]);
            let pass = Forward { inputs, dims, output, saved, scratch, carried, packed, epilogue };
            nodes[step.node].op.forward(&with.run(self, step.node), pass);
        }
        if let Place::Arena(range) = &self.places[step.output] {
            observe(Event::Forward { node: step.node, output: &arena.as_slice()[range.clone()] });
        }
    }

    pub(super) fn run_backward(
        &self,
        with: Circumstances,
        arena: &mut Arena,
        gradients: &mut Arena,
        mut observe: impl FnMut(Event),
    ) {
        let Some(seed) = self.seed else { return };
        self.write_arena(seed, &mut arena.lend()).fill(1.0);
        for step in &self.backward {
            self.backward_step(step, with, arena, gradients);
            if let BackwardStep::Node { node, .. } = step {
                observe(Event::Backward { node: *node });
            }
        }
    }

    #[inline]
    fn backward_step(&self, step: &BackwardStep, with: Circumstances, arena: &mut Arena, gradients: &mut Arena) {
        let (mut loans, mut gradient_loans) = (arena.lend(), gradients.lend());
        match step {
            BackwardStep::Node { node, inputs, output, saved, scratch, dy, dx } => {
                let mut targets: ArrayVec<Option<&mut [f32]>, MAX_INPUTS> = ArrayVec::new();
                for slot in dx {
                    targets.push(slot.map(|slot| match &self.places[slot] {
                        Place::Gradient(range) => gradient_loans.write(range.clone()),
                        _ => self.write_arena(slot, &mut loans),
                    }));
                }
                let scratch = self.write_arena(*scratch, &mut loans);
                let mut tensors: ArrayVec<Tensor, MAX_INPUTS> = ArrayVec::new();
                for operand in inputs {
                    tensors.push(self.tensor(operand, with, &mut loans));
                }
                let pass = Backward {
                    inputs: &tensors,
                    output: self.tensor(output, with, &mut loans),
                    saved: self.read(*saved, with, &mut loans),
                    dy: dy.map_or(&[], |slot| self.read(slot, with, &mut loans)),
                    dx: &mut targets,
                    scratch,
                };
                with.graph.nodes[*node].op.backward(&with.run(self, *node), pass);
            }
            BackwardStep::Add { from, to } => {
                let source = self.read(*from, with, &mut loans);
                let target = match &self.places[*to] {
                    Place::Gradient(range) => gradient_loans.write(range.clone()),
                    _ => self.write_arena(*to, &mut loans),
                };
                kernels::binary::add_assign(with.device, target, source);
            }
            BackwardStep::Copy { from, to } => {
                let source = self.read(*from, with, &mut loans);
                if let Place::Gradient(range) = &self.places[*to] {
                    gradient_loans.write(range.clone()).copy_from_slice(source);
                }
            }
        }
    }

    fn tensor<'a>(&self, operand: &'a Operand, with: Circumstances<'a>, loans: &mut Loans<'a>) -> Tensor<'a> {
        let data = operand.slot.map_or(&[][..], |slot| self.read(slot, with, loans));
        Tensor { dims: &operand.dims, data }
    }

    #[inline]
    fn read<'a>(&self, slot: Slot, with: Circumstances<'a>, loans: &mut Loans<'a>) -> &'a [f32] {
        match &self.places[slot] {
            Place::Arena(range) => loans.read(range.clone()),
            Place::Parameter(range) => &with.parameters[range.clone()],
            Place::Lent(number) => with.lent[*number],
            Place::Gradient(_) => unreachable!("gradients of parameters are only written by a plan"),
        }
    }

    #[inline]
    fn write_arena<'a>(&self, slot: Slot, loans: &mut Loans<'a>) -> &'a mut [f32] {
        match &self.places[slot] {
            Place::Arena(range) => loans.write(range.clone()),
            other => unreachable!("{other:?} is not in the arena"),
        }
    }
}
