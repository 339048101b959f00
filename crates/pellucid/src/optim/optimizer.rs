//! The optimiser at work: its state, laid out like the parameters, and its updates.

use kernels::buffer::Buffer;
use kernels::device::Device;
use kernels::reduce;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::groups::{GAP, Pass};
use super::method::{Counters, Now, Stretch};
use super::{Groups, OptimError, OptimizerConfig};
use crate::graph::Segment;

/// An optimiser for the parameters of one network.
///
/// ```
/// # use kernels::device::Device;
/// # use kernels::simd::Isa;
/// # use pellucid::graph::{Role, Segment};
/// # use pellucid::optim::{Groups, OptimError, Optimizer, OptimizerConfig};
/// # fn main() -> Result<(), OptimError> {
/// # let dims = [2].into_iter().collect();
/// # let segments = [Segment { name: "0.weight".to_string(), dims, range: 0..2, role: Role::Weight, frozen: false }];
/// # let device = Device::new(Isa::best(), 1);
/// let config = OptimizerConfig::parse("sgd:lr=0.5")?;
/// let mut optimizer = Optimizer::new(&config, &segments, &Groups::default())?;
/// let mut parameters = [1.0, 2.0];
/// assert!(optimizer.update(&device, config.learning_rate(), &mut parameters, &[0.5, -1.0]));
/// assert_eq!(parameters, [0.75, 2.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    passes: Vec<Pass>,
    slots: Vec<Buffer>,
    counters: Counters,
}

/// Counters in a stored state, with the name of the optimiser that they belong to.
#[derive(Serialize, Deserialize)]
struct Stored {
    optimizer: String,
    #[serde(flatten)]
    counters: Counters,
}

impl Optimizer {
    /// A fresh optimiser for the parameters `segments`, which lie in a slab in this order.
    ///
    /// # Errors
    /// If a setting is out of its range, the pattern of a group fits no parameter, or the optimiser is one for full
    /// batches.
    pub fn new(config: &OptimizerConfig, segments: &[Segment], groups: &Groups) -> Result<Optimizer, OptimError> {
        config.check()?;
        let method = config.method();
        if method.full_batch() {
            return Err(OptimError::FullBatch);
        }
        let passes = groups.passes(method.settings(), segments)?;
        let len = segments.iter().map(|segment| segment.range.end).max().unwrap_or(0).next_multiple_of(GAP);
        let slot = || {
            let mut slot = Buffer::new(len);
            slot.fill(method.initial());
            slot
        };
        let slots = method.slots().iter().map(|_| slot()).collect();
        Ok(Optimizer { config: config.clone(), passes, slots, counters: Counters::default() })
    }

    /// One update with this learning rate (times the factor of each group): one pass over each stretch of parameters
    /// with the same settings. Frozen parameters are left as they are; nothing is allocated.
    ///
    /// False when a gradient was NaN or infinite, parameters frozen apart: the parameters and the state are then
    /// already spoilt by it. The gaps between segments must hold zeros. Panics when a slice is shorter than the segments
    /// say.
    pub fn update(&mut self, device: &Device, learning_rate: f64, parameters: &mut [f32], gradients: &[f32]) -> bool {
        let method = self.config.method();
        self.counters.step += 1;
        method.advance(&mut self.counters);
        let mut finite = true;
        for pass in &self.passes {
            let now = Now { rate: learning_rate * pass.lr_factor, counters: self.counters };
            finite &= method.update(
                &now,
                Stretch {
                    device,
                    parameters: &mut parameters[pass.range.clone()],
                    gradients: &gradients[pass.range.clone()],
                    slots: &mut self.slots,
                    range: pass.range.clone(),
                    penalty: pass.penalty(now.rate),
                },
            );
        }
        finite
    }

    /// Σ λ₁ |w| + λ₂/2 w² over the parameters that are not frozen: what the penalties add to the loss whose gradient is
    /// followed. Decoupled weight decay is no part of a loss.
    pub fn penalty(&self, device: &Device, parameters: &[f32]) -> f64 {
        penalty(&self.passes, device, parameters)
    }

    /// The settings.
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// Updates made.
    pub fn steps(&self) -> u64 {
        self.counters.step
    }

    /// Bytes of state.
    pub fn bytes(&self) -> usize {
        self.slots.iter().map(|slot| size_of_val(&slot[..])).sum()
    }

    /// All that the next update depends on, besides the settings: named slabs, laid out like the parameters, and a
    /// document of counters, whose text gives the same numbers to the last bit.
    pub fn state(&self) -> (Vec<(&'static str, &[f32])>, Value) {
        let names = self.config.method().slots();
        let slabs = names.iter().zip(&self.slots).map(|(name, slot)| (*name, &slot[..])).collect();
        let stored = Stored { optimizer: self.config.name().to_string(), counters: self.counters };
        (slabs, serde_json::to_value(stored).expect("counters are finite numbers"))
    }

    /// Takes the state of [`Optimizer::state`]: `fill(name, slab)` writes each slab. Further updates are then the same
    /// bits as those of the optimiser that the state is of.
    ///
    /// # Errors
    /// If `counters` is no document of this optimiser (nothing is changed then), or the first error of `fill`.
    pub fn restore<E: From<OptimError>>(
        &mut self,
        counters: &Value,
        mut fill: impl FnMut(&'static str, &mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let wrong = |found| OptimError::State { expected: format!("optimizer {}", self.config.name()), found };
        let stored: Stored = serde::Deserialize::deserialize(counters).map_err(|error| wrong(format!("{error}")))?;
        if stored.optimizer != self.config.name() {
            return Err(wrong(format!("it is one of optimizer {}", stored.optimizer)).into());
        }
        for (name, slot) in self.config.method().slots().iter().zip(&mut self.slots) {
            fill(name, slot)?;
        }
        self.counters = stored.counters;
        Ok(())
    }
}

/// See [`Optimizer::penalty`].
pub(super) fn penalty(passes: &[Pass], device: &Device, parameters: &[f32]) -> f64 {
    let mut sum = 0.0;
    for pass in passes {
        let values = &parameters[pass.range.clone()];
        if pass.l1 != 0.0 {
            sum += pass.l1 * f64::from(reduce::sum_of_magnitudes(device, values));
        }
        if pass.l2 != 0.0 {
            sum += 0.5 * pass.l2 * f64::from(reduce::sum_of_squares(device, values));
        }
    }
    sum
}
