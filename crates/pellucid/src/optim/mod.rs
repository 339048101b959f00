//! Optimisers, schedules of the learning rate, clipping and weight penalties, over flat slices and segment names.
//!
//! Three numbers make an update: the rate that a [`Schedule`] gives for the step, the gradients after [`Clipping`], and
//! what [`Groups`] say of each parameter. [`Optimizer::update`] then is one pass over parameters, gradients and state.

mod clip;
mod config;
mod error;
mod groups;
mod method;
mod optimizer;
mod schedule;
mod text;

mod adadelta;
mod adagrad;
mod adam;
mod adamax;
mod adamw;
mod lbfgs;
mod nadam;
mod radam;
mod rmsprop;
mod sgd;

pub use adadelta::Adadelta;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamax::Adamax;
pub use adamw::AdamW;
pub use clip::{Clipping, clip_norm, clip_value};
pub use config::OptimizerConfig;
pub use error::OptimError;
pub use groups::{Group, Groups, fits};
pub use lbfgs::{Evaluate, Lbfgs, LbfgsOutcome, LbfgsStep, Minimiser};
pub use nadam::NAdam;
pub use optimizer::Optimizer;
pub use radam::RAdam;
pub use rmsprop::RmsProp;
pub use schedule::{
    Anneal, Constant, Cosine, CosineRestarts, Curve, Exponential, Linear, Mode, MultiStep, OneCycle, Polynomial,
    ReduceOnPlateau, Schedule, ScheduleConfig, Step, ThresholdMode, Unit,
};
pub use sgd::Sgd;

#[cfg(test)]
mod tests;
