//! Residual block: what is learnt is added to what came in.

use crate::graph::{BuildError, BuildProblem, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering, Sequential};
use crate::ops::Add;

/// y = x + f(x), where f gives the shape of x: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR
/// 2016. Notation: `residual(dense 64 relu -> dense 64)`, with an activation of the sum behind it if there is one.
#[derive(Clone, Debug, Default)]
pub struct Residual(
    /// f
    pub Sequential,
);

impl Layer for Residual {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let branch = self.0.build(builder, x)?;
        let (before, after) = (builder.shape(x).clone(), builder.shape(branch).clone());
        if before == after {
            return builder.add(Add, &[x, branch]);
        }
        let message = format!("x + f(x) needs two equal shapes, but x is {before} and f(x) is {after}");
        let error = builder.error(BuildProblem::Layer(message));
        Err(match (before.rank() == after.rank(), before.last()) {
            (true, Some(units)) if before.with_last(1) == after.with_last(1) => {
                error.suggest(format!("end the branch with 'dense {units}'"))
            }
            _ => error.suggest("let the branch end in the shape that it begins with"),
        })
    }

    fn to_notation(&self) -> Option<Item> {
        Some(Item::new("residual").branch(self.0.to_notation()?))
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

/// `residual(NETWORK) [ACTIVATION]`
pub(crate) fn residual<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Residual, NotationError> {
    Ok(Residual(context.network(&read.branches(1..=1)?[0])?))
}
