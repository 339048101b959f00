//! Writing on: a network that predicts the next token is asked again and again, each time with the token that was drawn.
//!
//! Ops keep what they need of the tokens before ([`crate::ops::Memory::carried`]), so a token costs one step of the network,
//! however long the text. A network that can look back over a limited number of steps only ([`crate::ops::Op::context`]) reads
//! the last half of them anew when they are full.

mod sampler;

use std::sync::Arc;

use kernels::device::Device;

pub use sampler::{Sampler, SamplerError};

use crate::graph::{Graph, Moment, Parameters, PlanError, PlanId, PlanOptions, Session, ValueId};

/// Steps of the windows in which a prompt is read, the longest first.
const WINDOWS: [usize; 3] = [64, 8, 1];

/// Why a network cannot write on.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// It does not take one step at a time.
    #[error("the network cannot read token by token: {0}")]
    Plan(#[from] PlanError),
    /// It has no outputs for each step.
    #[error("the network gives {found}, writing on needs [batch, time, tokens] for [batch, time]")]
    Outputs {
        /// The shape of its output.
        found: String,
    },
    /// What it gives at a step depends on what comes later, or on more than it keeps.
    #[error(
        "the network gives something else token by token than for all at once: a layer of it looks ahead (`both`, attention without `causal`) or back without keeping what it saw"
    )]
    LooksAhead,
}

/// A network that reads tokens one after the other.
#[derive(Debug)]
pub struct Generator {
    session: Session,
    input: ValueId,
    output: ValueId,
    /// Steps and plan of each window, the longest first.
    plans: Vec<(usize, PlanId)>,
    /// Steps that the network can look back over.
    context: Option<usize>,
    /// The last tokens, as many as the network can look back over.
    recent: Vec<u32>,
    past: usize,
    vocabulary: usize,
}

impl Generator {
    /// A network with the input [batch, time] and the output [batch, time, vocabulary].
    ///
    /// # Errors
    /// A network of another kind, or one that cannot be read step by step.
    pub fn new(graph: Arc<Graph>, parameters: Parameters, device: Arc<Device>) -> Result<Generator, GenerateError> {
        let (input, output) = (graph.inputs()[0].value, graph.outputs()[0]);
        let (takes, gives) = (graph.shape(input), graph.shape(output));
        let vocabulary = match gives.sample().as_deref() {
            Some(&[_, vocabulary]) if takes.rank() == 2 => vocabulary,
            _ => return Err(GenerateError::Outputs { found: gives.to_string() }),
        };
        let context = graph.nodes().iter().filter_map(|node| node.op.context()).min();
        let mut session = Session::new(graph, device, parameters, 0);
        let fits = |steps: &&usize| context.is_none_or(|context| **steps <= context);
        let mut plans = Vec::new();
        for &steps in WINDOWS.iter().filter(fits) {
            let (outputs, length) = ([output], Some(steps));
            let options = PlanOptions { batch: 1, outputs: &outputs, length, carries: true, ..Default::default() };
            plans.push((steps, session.plan(&options)?));
        }
        session.pack();
        let (recent, past) = (Vec::new(), 0);
        let mut generator = Generator { session, input, output, plans, context, recent, past, vocabulary };
        generator.check()?;
        Ok(generator)
    }

    /// How many tokens there are.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Forgets all that was read.
    pub fn begin_anew(&mut self) {
        self.past = 0;
        self.recent.clear();
    }

    /// Reads tokens, behind those that were read before; the logits [vocabulary] of the token that follows. Panics without
    /// any, or for a token beyond the vocabulary.
    pub fn read(&mut self, tokens: &[u32]) -> &[f32] {
        let mut plan = None;
        for &token in tokens {
            assert!((token as usize) < self.vocabulary, "a token of the vocabulary");
        }
        let mut tokens = tokens.to_vec();
        while !tokens.is_empty() {
            if self.context == Some(self.past) {
                let kept = self.recent[self.recent.len() - self.past / 2..].to_vec();
                self.begin_anew();
                tokens.splice(0..0, kept);
            }
            let room = self.context.map_or(usize::MAX, |context| context - self.past).min(tokens.len());
            let &(steps, chosen) = self.plans.iter().find(|(steps, _)| *steps <= room).expect("one step fits");
            self.step(chosen, &tokens[..steps]);
            tokens.drain(..steps);
            plan = Some((steps, chosen));
        }
        let (steps, plan) = plan.expect("a token at least");
        &self.session.value(plan, self.output)[(steps - 1) * self.vocabulary..]
    }

    fn step(&mut self, plan: PlanId, tokens: &[u32]) {
        let inputs = self.session.input_mut(plan, self.input);
        inputs.iter_mut().zip(tokens).for_each(|(input, &token)| *input = token as f32);
        self.session.forward(plan, Moment { step: 0, past: self.past });
        self.past += tokens.len();
        if let Some(context) = self.context {
            self.recent.extend_from_slice(tokens);
            let too_many = self.recent.len().saturating_sub(context);
            self.recent.drain(..too_many);
        }
    }

    /// Some tokens at once and one by one must give the same.
    fn check(&mut self) -> Result<(), GenerateError> {
        let &(steps, plan) = self.plans.iter().rev().nth(1).unwrap_or(&self.plans[0]);
        let tokens: Vec<u32> = (0..steps).map(|i| (i * 7 % self.vocabulary) as u32).collect();
        self.step(plan, &tokens);
        let whole = self.session.value(plan, self.output).to_vec();
        self.begin_anew();
        for (token, expected) in tokens.iter().zip(whole.chunks_exact(self.vocabulary)) {
            let single = self.plans[self.plans.len() - 1].1;
            self.step(single, &[*token]);
            let same =
                self.session.value(single, self.output).iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits());
            if !same {
                return Err(GenerateError::LooksAhead);
            }
        }
        self.begin_anew();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kernels::simd::Isa;

    use super::*;
    use crate::nn::NetworkOptions;

    fn generator(line: &str) -> Result<Generator, GenerateError> {
        let options =
            NetworkOptions { vocabulary: Some(11), outputs: Some(11), every_step: true, ..Default::default() };
        let network = line.parse().expect("notation");
        let graph = Arc::new(options.build(&network, &[16]).expect("a network").graph);
        let device = Arc::new(Device::new(Isa::best(), 2));
        let parameters = Parameters::initialise(&graph, &device, 3);
        Generator::new(graph, parameters, device)
    }

    #[test]
    fn a_prompt_gives_the_same_in_any_pieces() {
        for line in ["embedding 8 -> lstm 9 -> dense", "embedding 8 -> 2 * gru 7 -> dense"] {
            let mut generator = generator(line).expect("can be read token by token");
            let tokens: Vec<u32> = (0..150).map(|i| i * 5 % 11).collect();
            let whole = generator.read(&tokens).to_vec();
            generator.begin_anew();
            for piece in [&tokens[..1], &tokens[1..70], &tokens[70..149]] {
                generator.read(piece);
            }
            assert_eq!(generator.read(&tokens[149..]), whole, "{line}");
            assert_eq!(whole.len(), 11);
            generator.begin_anew();
            assert_ne!(generator.read(&tokens[149..]), whole, "{line}: what came before matters");
        }
    }

    #[test]
    fn a_network_that_looks_ahead_is_refused() {
        // A layer that goes through time backwards is known from its op; attention by what it gives.
        for line in ["embedding 8 -> gru 7 both -> dense", "embedding 8 -> attention heads 2 -> dense"] {
            let error = generator(line).expect_err("it looks ahead").to_string();
            assert!(error.contains("looks ahead"), "{line}: {error}");
        }
    }
}
