//! Residual block: what is learnt is added to what came in.

use crate::graph::{BuildError, BuildProblem, GraphBuilder, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Layer, Lowering, Sequential};
use crate::ops::Add;

/// y = g(x) + f(x), where g, the shortcut, is x itself unless there is a projection for another shape: He, Zhang, Ren and
/// Sun, "Deep residual learning for image recognition", CVPR 2016.
///
/// Notation: `residual(dense 64 relu -> dense 64)`, and with a projection as a second branch
/// `residual(dense 32 relu -> dense 32, dense 32)`, with an activation of the sum behind it if there is one. Parameters of the
/// projection are called `shortcut.…` within the layer.
#[derive(Clone, Debug, Default)]
pub struct Residual {
    /// f
    pub branch: Sequential,
    /// g; x itself by default.
    pub shortcut: Option<Sequential>,
}

impl Residual {
    /// A block whose branch gives the shape that it is given.
    pub fn new(branch: Sequential) -> Residual {
        Residual { branch, shortcut: None }
    }
}

impl Layer for Residual {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let branch = self.branch.build(builder, x)?;
        let straight = match &self.shortcut {
            Some(shortcut) => builder.scoped("shortcut", |builder| shortcut.build(builder, x))?,
            None => x,
        };
        let (before, after) = (builder.shape(straight).clone(), builder.shape(branch).clone());
        if before == after {
            return builder.add(Add, &[straight, branch]);
        }
        let name = if self.shortcut.is_some() { "g(x)" } else { "x" };
        let message = format!("{name} + f(x) needs two equal shapes, but {name} is {before} and f(x) is {after}");
        let error = builder.error(BuildProblem::Layer(message));
        Err(match (before.rank() == after.rank(), before.last()) {
            _ if self.shortcut.is_some() => error.suggest("let both branches end in the same shape"),
            (true, Some(units)) if before.with_last(1) == after.with_last(1) => {
                error.suggest(format!("end the branch with 'dense {units}'"))
            }
            _ => error.suggest("let the branch end in the shape that it begins with"),
        })
    }

    fn to_notation(&self) -> Option<Item> {
        let item = Item::new("residual").branch(self.branch.to_notation()?);
        Some(match &self.shortcut {
            Some(shortcut) => item.branch(shortcut.to_notation()?),
            None => item,
        })
    }

    fn takes_activation(&self) -> bool {
        true
    }
}

/// `residual(NETWORK[, PROJECTION]) [ACTIVATION]`
pub(crate) fn residual<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Residual, NotationError> {
    let branches = read.branches(1..=2)?;
    let shortcut = branches.get(1).map(|network| context.network(network)).transpose()?;
    Ok(Residual { branch: context.network(&branches[0])?, shortcut })
}
