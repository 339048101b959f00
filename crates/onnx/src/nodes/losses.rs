//! Losses.

use pellucid::ops::{Function, Operation, Reduction};

use super::movement::{gather, gather_elements};
use super::normalise::log_softmax;
use super::one;
use crate::call::Call;
use crate::constant::{Constant, Kind};
use crate::lower::{Lower, Result, Value, invalid, unsupported};

/// The outputs of a node of this kind.
pub fn lower(l: &mut Lower, call: &Call) -> Option<Result<Vec<Value>>> {
    match call.op() {
        "NegativeLogLikelihoodLoss" => one(call.x(0).and_then(|x| likelihood(l, call, x))),
        "SoftmaxCrossEntropyLoss" => Some(cross_entropy(l, call)),
        _ => None,
    }
}

fn cross_entropy(l: &mut Lower, call: &Call) -> Result<Vec<Value>> {
    let logarithms = log_softmax(l, call.x(0)?, 1)?;
    Ok(vec![likelihood(l, call, &logarithms)?, logarithms])
}

/// -x at the class of each target, weighted.
fn likelihood(l: &mut Lower, call: &Call, x: &Value) -> Result<Value> {
    let labels = call.x(1)?;
    let mut dims = labels.dims().to_vec();
    if dims.is_empty() || x.rank() != dims.len() + 1 {
        return invalid(format!("labels {dims:?} of scores {:?}", x.dims()));
    }
    let ignored = call.has("ignore_index").then(|| call.int("ignore_index", 0));
    let mut safe = labels.clone();
    let mut weight = None;
    if let Some(ignored) = ignored {
        let is_ignored = l.with(Operation::Equal, labels, ignored as f64)?;
        safe = l.choose(&is_ignored, &Constant::number(labels.kind(), 0.0).into(), labels)?;
        weight = Some(l.not(&is_ignored)?.of_kind(Kind::Float));
    }
    if let Some(weights) = call.opt(2) {
        let own = gather(l, weights, &safe, 0)?;
        weight = Some(match weight {
            Some(weight) => l.mul(&weight, &own)?,
            None => own,
        });
    }
    dims.insert(1, 1);
    let numbers = l.reshape(&safe, &dims)?;
    let picked = gather_elements(l, x, &numbers, 1)?;
    let picked = l.reshape(&picked, labels.dims())?;
    let mut loss = l.function(Function::Neg, &picked)?;
    if let Some(weight) = &weight {
        loss = l.mul(&loss, weight)?;
    }
    let axes: Vec<usize> = (0..labels.rank()).collect();
    match (call.text("reduction", "mean").as_str(), weight) {
        ("none", _) => Ok(loss),
        ("sum", _) => l.reduce(Reduction::Sum, &loss, &axes),
        ("mean", None) => l.reduce(Reduction::Mean, &loss, &axes),
        ("mean", Some(weight)) => {
            let (sum, all) = (l.reduce(Reduction::Sum, &loss, &axes)?, l.reduce(Reduction::Sum, &weight, &axes)?);
            l.div(&sum, &all)
        }
        (other, _) => unsupported(format!("reduction = '{other}'")),
    }
}
