//! A graph with its parameters, memory and plans: what a training loop or a program that predicts holds.

use std::sync::Arc;

use kernels::arena::Arena;
use kernels::device::Device;
use kernels::gemm::PackedMatrix;

use super::plan::Place;
use super::run::{Circumstances, Event};
use super::{Graph, Moment, Parameters, Plan, PlanError, PlanOptions, Source, ValueId};
use crate::tensor::Tensor;

/// A plan of a [`Session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanId(usize);

/// Runs plans of one graph. Plans share one arena (as large as the largest of them), so values are there until the next
/// pass of any plan.
#[derive(Debug)]
pub struct Session {
    graph: Arc<Graph>,
    device: Arc<Device>,
    parameters: Parameters,
    gradients: Arena,
    arena: Arena,
    /// What ops keep from one window of long sequences to the next.
    carried: Vec<f32>,
    plans: Vec<Plan>,
    packed: Vec<Option<PackedMatrix>>,
    seed: u64,
}

impl Session {
    /// A session on `graph` with these parameters; `seed` is for random numbers during training (dropout).
    ///
    /// Panics when the parameters are not of this graph.
    pub fn new(graph: Arc<Graph>, device: Arc<Device>, parameters: Parameters, seed: u64) -> Session {
        assert_eq!(graph.parameters().len(), parameters.segments().len(), "parameters of this graph");
        let (gradients, arena) = (Arena::new(0), Arena::new(0));
        Session { graph, device, parameters, gradients, arena, carried: vec![], plans: vec![], packed: vec![], seed }
    }

    /// Makes a plan, and room for it.
    pub fn plan(&mut self, options: &PlanOptions) -> Result<PlanId, PlanError> {
        let plan = Plan::new(&self.graph, &self.parameters, options)?;
        if plan.arena > self.arena.len() {
            self.arena = Arena::new(plan.arena);
        }
        if plan.carried > self.carried.len() {
            self.carried.resize(plan.carried, 0.0);
        }
        if plan.training && self.gradients.is_empty() {
            self.gradients = Arena::new(self.parameters.values().len());
        }
        self.plans.push(plan);
        Ok(PlanId(self.plans.len() - 1))
    }

    /// The graph.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// Instruction set and threads.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// The plan's passes and memory.
    pub fn plan_of(&self, plan: PlanId) -> &Plan {
        &self.plans[plan.0]
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The parameters, for writing. What was packed for inference is forgotten.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        self.packed.clear();
        &mut self.parameters
    }

    /// The parameters for writing, and their gradients: what an optimiser needs.
    pub fn parameters_and_gradients(&mut self) -> (&mut Parameters, &mut [f32]) {
        self.packed.clear();
        (&mut self.parameters, self.gradients.as_mut_slice())
    }

    /// The gradients of all parameters, laid out like these.
    pub fn gradients(&self) -> &[f32] {
        self.gradients.as_slice()
    }

    /// What the ops of carrying plans have kept of the windows so far: with it, a copy of the session goes on where this one
    /// stands.
    pub fn carried(&self) -> &[f32] {
        &self.carried
    }

    /// [`Session::carried`], for putting back what it was.
    pub fn carried_mut(&mut self) -> &mut [f32] {
        &mut self.carried
    }

    /// Gives the session up for its parameters.
    pub fn into_parameters(self) -> Parameters {
        self.parameters
    }

    /// Prepares the parameters for many forward passes without a change in between.
    pub fn pack(&mut self) {
        let values = self.parameters.values();
        let pack = |node: &super::Node| {
            let dims: Vec<_> = node.inputs.iter().map(|&input| self.graph.shape(input).dims(1)).collect();
            let tensors: Vec<Tensor> = node
                .inputs
                .iter()
                .zip(&dims)
                .map(|(&input, dims)| {
                    let data = match self.graph.value(input).source {
                        Source::Parameter(i) => &values[self.parameters.segments()[i].range.clone()],
                        _ => &[],
                    };
                    Tensor { dims, data }
                })
                .collect();
            node.op.pack(&self.device, &tensors)
        };
        self.packed = self.graph.nodes().iter().map(pack).collect();
    }

    /// The place of an input in the arena, to be filled before a pass. Panics when `value` is no input.
    #[inline]
    pub fn input_mut(&mut self, plan: PlanId, value: ValueId) -> &mut [f32] {
        let plan = &self.plans[plan.0];
        match plan.values[value.index()].map(|slot| &plan.places[slot]) {
            Some(Place::Arena(range)) => &mut self.arena.as_mut_slice()[range.clone()],
            other => panic!("value {} is no input: {other:?}", value.index()),
        }
    }

    /// Computes outputs and loss from the inputs. `moment` is what random numbers depend on: the number of the step, or a
    /// [`Moment`] where windows follow each other. With a training plan, what ops note about the batch (running statistics)
    /// is changed.
    #[inline]
    pub fn forward(&mut self, plan: PlanId, moment: impl Into<Moment>) {
        self.forward_observed(plan, moment, |_| ());
    }

    /// [`Session::forward`] on these inputs, in the order of [`Graph::inputs`], read where they lie if the plan was made
    /// with [`PlanOptions::lent_inputs`] and copied if not. Panics when a length is wrong.
    #[inline]
    pub fn forward_on(&mut self, plan_id: PlanId, inputs: &[&[f32]]) {
        let plan = &self.plans[plan_id.0];
        assert_eq!(inputs.len(), self.graph.inputs().len(), "all inputs of the graph");
        for ((input, data), &elements) in self.graph.inputs().iter().zip(inputs).zip(&plan.inputs) {
            assert_eq!(data.len(), elements, "values of input '{}' for {} rows", input.name, plan.batch);
            if let Some(Place::Arena(range)) = plan.values[input.value.index()].map(|slot| &plan.places[slot]) {
                self.arena.as_mut_slice()[range.clone()].copy_from_slice(data);
            }
        }
        self.run_forward(plan_id, Moment::default(), inputs, |_| ());
    }

    /// [`Session::forward`], with a look at every pass.
    #[inline]
    pub fn forward_observed(&mut self, plan: PlanId, moment: impl Into<Moment>, observe: impl FnMut(Event)) {
        self.run_forward(plan, moment.into(), &[], observe);
    }

    #[inline]
    fn run_forward(&mut self, plan: PlanId, moment: Moment, lent: &[&[f32]], observe: impl FnMut(Event)) {
        let plan = &self.plans[plan.0];
        if plan.changes_parameters() {
            self.packed.clear();
        }
        let packed = if plan.training { &[][..] } else { &self.packed };
        let (graph, device) = (&self.graph, &self.device);
        let with = Circumstances { graph, device, parameters: &[], lent, packed, seed: self.seed, moment };
        plan.run_forward(with, self.parameters.values_mut(), &mut self.arena, &mut self.carried, observe);
    }

    /// Computes all wanted gradients; after [`Session::forward`] of the same plan and moment, with nothing in between.
    #[inline]
    pub fn backward(&mut self, plan: PlanId, moment: impl Into<Moment>) {
        self.backward_observed(plan, moment, |_| ());
    }

    /// [`Session::backward`], with a look at every pass.
    #[inline]
    pub fn backward_observed(&mut self, plan: PlanId, moment: impl Into<Moment>, observe: impl FnMut(Event)) {
        let plan = &self.plans[plan.0];
        let parameters = self.parameters.values();
        let (graph, device) = (&self.graph, &self.device);
        let moment = moment.into();
        let with = Circumstances { graph, device, parameters, lent: &[], packed: &[], seed: self.seed, moment };
        plan.run_backward(with, &mut self.arena, &mut self.gradients, observe);
    }

    /// A value after a forward pass. Panics unless it is an input, a parameter or an output of the plan (or the plan
    /// keeps all).
    #[inline]
    pub fn value(&self, plan: PlanId, value: ValueId) -> &[f32] {
        let plan = &self.plans[plan.0];
        let slot = plan.values[value.index()].expect("the plan keeps the value");
        self.read(&plan.places[slot])
    }

    /// A gradient after a backward pass: of a parameter, or of a value that the plan was asked for. `None` where the
    /// loss does not depend on the value or the plan did not compute it.
    pub fn gradient(&self, plan: PlanId, value: ValueId) -> Option<&[f32]> {
        let plan = &self.plans[plan.0];
        plan.gradients[value.index()].map(|slot| self.read(&plan.places[slot]))
    }

    fn read(&self, place: &Place) -> &[f32] {
        match place {
            Place::Arena(range) => &self.arena.as_slice()[range.clone()],
            Place::Parameter(range) => &self.parameters.values()[range.clone()],
            Place::Gradient(range) => &self.gradients.as_slice()[range.clone()],
            Place::Lent(_) => panic!("a lent input is the caller's"),
        }
    }
}
