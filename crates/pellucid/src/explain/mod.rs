//! Why a network says what it says: looks into trained networks, computed by ordinary plans.
//!
//! * [`Trace`]: every number of one training step, for people who follow it by hand.
//! * [`check_gradients`]: backpropagation against central differences in double precision.
//! * [`IntegratedGradients`], [`permutation_importance`]: what inputs of a row, and columns of a table, count for.
//! * [`GradCam`]: which places of a picture speak for a class.
//! * [`Double`]: what the first two are computed with.

mod double;
mod grad_cam;
mod gradient_check;
mod integrated_gradients;
mod permutation;
mod score;
mod trace;

pub use double::{Double, NoReference};
pub use grad_cam::{GradCam, GradCamError, last_feature_map};
pub use gradient_check::{GradientAt, GradientCheckError, GradientCheckOptions, GradientComparison, check_gradients};
pub use integrated_gradients::{Attribution, AttributionError, IntegratedGradients};
pub use permutation::{Importance, permutation_importance};
pub use trace::{Trace, TraceError, TraceOptions};

use crate::graph::{Graph, Role, ValueId};

/// Values from outside that an op has a gradient for: parameters that are no statistics, and inputs.
fn differentiable(graph: &Graph) -> Vec<ValueId> {
    let flows = |value: ValueId| {
        graph
            .nodes()
            .iter()
            .any(|node| node.inputs.iter().enumerate().any(|(i, input)| *input == value && node.op.differentiable(i)))
    };
    let learnt = graph.parameters().iter().filter(|parameter| parameter.role != Role::Statistic);
    let inputs = graph.inputs().iter().map(|input| input.value);
    learnt.map(|parameter| parameter.value).chain(inputs).filter(|value| flows(*value)).collect()
}
