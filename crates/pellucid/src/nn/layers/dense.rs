//! Dense (fully connected): every unit sees every feature.

use std::sync::Arc;

use crate::graph::{BuildError, BuildProblem, GraphBuilder, Role, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Fans, Init, Layer, Lowering};
use crate::ops;

/// y = x·Wᵀ + b: x [batch, …, in] → y [batch, …, units]; all axes but the last count as rows.
///
/// Parameters: `weight` [units, in] and, unless there is none, `bias` of length `units`. Notation: `dense 128`, `dense 10 nobias`,
/// `dense 64 init=he_normal bias_init=constant:0.1`; `dense` alone as the last layer takes its units from the task.
#[derive(Clone, Debug)]
pub struct Dense {
    /// Size of the output, at least 1.
    pub units: usize,
    /// Adds a bias; true by default.
    pub bias: bool,
    /// Start of the weights; uniform within ±1/√in by default, as in PyTorch.
    pub weight_init: Init,
    /// Start of the bias; uniform within ±1/√in by default, as in PyTorch.
    pub bias_init: Init,
}

impl Default for Dense {
    /// One unit.
    fn default() -> Dense {
        Dense { units: 1, bias: true, weight_init: Init::Default, bias_init: Init::Default }
    }
}

impl Layer for Dense {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let Dense { units, bias, weight_init, bias_init } = self;
        let Some(features) = builder.shape(x).last() else {
            return Err(builder.error(BuildProblem::Layer("dense needs rows with at least one axis".to_string())));
        };
        let dims = [*units, features];
        let weight = builder.sized_parameter("weight", &dims, Role::Weight, Arc::new(*weight_init))?;
        if !bias {
            return builder.add(ops::Dense, &[x, weight]);
        }
        let init = match bias_init.of_bias(Fans::of(&dims)) {
            Ok(init) => Arc::new(init),
            Err(error) => return Err(builder.error(BuildProblem::Layer(error.to_string()))),
        };
        let bias = builder.sized_parameter("bias", &[*units], Role::Bias, init)?;
        builder.add(ops::Dense, &[x, weight, bias])
    }

    fn to_notation(&self) -> Option<Item> {
        let mut item = Item::new("dense").with(self.units);
        if !self.bias {
            item = item.with("nobias");
        }
        if self.weight_init != Init::Default {
            item = item.option("init", self.weight_init.to_word());
        }
        if self.bias && self.bias_init != Init::Default {
            item = item.option("bias_init", self.bias_init.to_word());
        }
        Some(item)
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

/// `dense [UNITS] [ACTIVATION] [nobias] [init=INIT] [bias_init=INIT]`
pub(crate) fn dense<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Dense, NotationError> {
    let units = match read.optional_size("units")? {
        Some(units) => units,
        None => context.output_units(read)?,
    };
    let bias = !read.flag("nobias")?;
    let weight_init = context.init(read, "init")?.unwrap_or(context.default_init());
    let bias_init = match context.bias_init(read, "bias_init")? {
        Some(_) if !bias => return Err(read.error("'nobias' leaves nothing that bias_init could start")),
        given => given.unwrap_or(context.default_bias_init()),
    };
    Ok(Dense { units, bias, weight_init, bias_init })
}
