//! Normalisation: batch, layer, RMS and group.

use std::sync::Arc;

use super::activation::digits;
use crate::graph::{BuildError, BuildProblem, GraphBuilder, Role, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Init, Layer, Lowering};
use crate::ops;
use crate::tensor::{Dim, Shape};

/// Each channel (axis 1) with mean 0 and variance 1 over the batch, then scaled and shifted.
///
/// Parameters: `weight` (ones) and `bias` (zeros), both a [`Role::Scale`], and, not trained, `running_mean` (zeros) and
/// `running_var` (ones), all [channels]. Notation: `batchnorm`, `batchnorm relu`, `batchnorm momentum=0.01 eps=1e-3 fixed`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchNorm(
    /// Its settings.
    pub ops::BatchNorm,
);

/// Each sample's last axis with mean 0 and variance 1, then scaled and shifted.
///
/// Parameters: `weight` (ones) and `bias` (zeros), a [`Role::Scale`], as long as the last axis. Notation: `layernorm`,
/// `layernorm eps=1e-6`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LayerNorm(
    /// Its setting.
    pub ops::LayerNorm,
);

/// Each sample's last axis with a mean square of 1, then scaled.
///
/// Parameter: `weight` (ones), a [`Role::Scale`], as long as the last axis. Notation: `rmsnorm`, `rmsnorm eps=1e-6`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RmsNorm(
    /// Its setting.
    pub ops::RmsNorm,
);

/// Each sample's groups of channels with mean 0 and variance 1, then scaled and shifted channel by channel.
///
/// Parameters: `weight` (ones) and `bias` (zeros), a [`Role::Scale`], both [channels]. Notation: `groupnorm 8`,
/// `groupnorm 8 eps=1e-6`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm(
    /// Its settings.
    pub ops::GroupNorm,
);

/// Added to a variance where nothing is said.
const EPS: f32 = 1e-5;

/// The number of channels of `x`.
fn channels(builder: &GraphBuilder, x: ValueId, word: &str) -> Result<usize, BuildError> {
    match builder.shape(x).axes().get(1) {
        Some(Dim::Fixed(channels)) => Ok(*channels),
        _ => {
            let message = format!("'{word}' needs an axis of channels behind the batch");
            Err(builder.error(BuildProblem::Layer(message)))
        }
    }
}

/// The length of the last axis of `x`.
fn last_axis(builder: &GraphBuilder, x: ValueId, word: &str) -> Result<usize, BuildError> {
    builder
        .shape(x)
        .last()
        .ok_or_else(|| builder.error(BuildProblem::Layer(format!("'{word}' needs rows with at least one axis"))))
}

/// A parameter of `length` equal values.
fn constant(
    builder: &mut GraphBuilder,
    name: &str,
    length: usize,
    role: Role,
    value: f32,
) -> Result<ValueId, BuildError> {
    builder.parameter(name, Shape::fixed(&[length]), role, Arc::new(Init::Constant(value)))
}

fn with_eps(item: Item, eps: f32, usual: f32) -> Item {
    if eps == usual { item } else { item.option("eps", digits(eps)) }
}

fn read_eps<'a>(read: &mut Reader<'a>, usual: f32) -> Result<f32, NotationError> {
    Ok(read.option_number("eps")?.map_or(usual, |eps| eps as f32))
}

impl Layer for BatchNorm {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let count = channels(builder, x, "batchnorm")?;
        let mut inputs = vec![x];
        for (name, role, value) in [
            ("weight", Role::Scale, 1.0),
            ("bias", Role::Scale, 0.0),
            ("running_mean", Role::Statistic, 0.0),
            ("running_var", Role::Statistic, 1.0),
        ] {
            inputs.push(constant(builder, name, count, role, value)?);
        }
        builder.add(self.0, &inputs)
    }

    fn to_notation(&self) -> Option<Item> {
        let ops::BatchNorm { eps, momentum, fixed } = self.0;
        let mut item = Item::new("batchnorm");
        if fixed {
            item = item.with("fixed");
        }
        if momentum != ops::BatchNorm::default().momentum {
            item = item.option("momentum", digits(momentum));
        }
        Some(with_eps(item, eps, EPS))
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

impl Layer for LayerNorm {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let length = last_axis(builder, x, "layernorm")?;
        let weight = constant(builder, "weight", length, Role::Scale, 1.0)?;
        let bias = constant(builder, "bias", length, Role::Scale, 0.0)?;
        builder.add(self.0, &[x, weight, bias])
    }

    fn to_notation(&self) -> Option<Item> {
        Some(with_eps(Item::new("layernorm"), self.0.eps, EPS))
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

impl Layer for RmsNorm {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let length = last_axis(builder, x, "rmsnorm")?;
        let weight = constant(builder, "weight", length, Role::Scale, 1.0)?;
        builder.add(self.0, &[x, weight])
    }

    fn to_notation(&self) -> Option<Item> {
        Some(with_eps(Item::new("rmsnorm"), self.0.eps, ops::RmsNorm::default().eps))
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

impl Layer for GroupNorm {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let count = channels(builder, x, "groupnorm")?;
        let weight = constant(builder, "weight", count, Role::Scale, 1.0)?;
        let bias = constant(builder, "bias", count, Role::Scale, 0.0)?;
        builder.add(self.0, &[x, weight, bias])
    }

    fn to_notation(&self) -> Option<Item> {
        Some(with_eps(Item::new("groupnorm").with(self.0.groups), self.0.eps, EPS))
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

/// `batchnorm [ACTIVATION] [fixed] [momentum=MOMENTUM] [eps=EPS]`
pub(crate) fn batch_norm<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<BatchNorm, NotationError> {
    let usual = ops::BatchNorm::default();
    Ok(BatchNorm(ops::BatchNorm {
        eps: read_eps(read, EPS)?,
        momentum: read.option_number("momentum")?.map_or(usual.momentum, |momentum| momentum as f32),
        fixed: read.flag("fixed")?,
    }))
}

/// `layernorm [ACTIVATION] [eps=EPS]`
pub(crate) fn layer_norm<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<LayerNorm, NotationError> {
    Ok(LayerNorm(ops::LayerNorm { eps: read_eps(read, EPS)? }))
}

/// `rmsnorm [ACTIVATION] [eps=EPS]`
pub(crate) fn rms_norm<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<RmsNorm, NotationError> {
    Ok(RmsNorm(ops::RmsNorm { eps: read_eps(read, ops::RmsNorm::default().eps)? }))
}

/// `groupnorm GROUPS [ACTIVATION] [eps=EPS]`
pub(crate) fn group_norm<'a>(read: &mut Reader<'a>, _: &Lowering<'a>) -> Result<GroupNorm, NotationError> {
    Ok(GroupNorm(ops::GroupNorm { groups: read.size("groups")?, eps: read_eps(read, EPS)? }))
}
