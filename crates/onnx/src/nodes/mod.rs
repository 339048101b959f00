//! What each op of ONNX is in Pellucid, by kinds of ops.

mod attention;
mod functions;
mod layers;
mod losses;
mod movement;
mod normalise;
mod pooling;
mod recurrent;
mod reductions;
mod resize;
mod sample;
mod scatter;
mod shapes;
mod signal;

use crate::call::Call;
use crate::lower::{Lower, Result, Value};

/// The outputs of a node; `None` for an op that is not known.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    let kinds = [
        functions::lower,
        shapes::lower,
        movement::lower,
        scatter::lower,
        reductions::lower,
        layers::lower,
        normalise::lower,
        pooling::lower,
        recurrent::lower,
        resize::lower,
        sample::lower,
        attention::lower,
        losses::lower,
        signal::lower,
    ];
    kinds.into_iter().find_map(|kind| kind(l, call))
}

/// One output.
fn one(value: Result<Value>) -> Option<Result<Vec<Value>>> {
    Some(value.map(|value| vec![value]))
}
