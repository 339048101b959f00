//! ONNX for Pellucid: a network that another program wrote becomes an ordinary graph, which runs, trains, is explained and saved like any
//! other; and a trained one is handed over.
//!
//! * [`import`] reads a model, [`mod@export`] writes one, with [`front`] before it: what prepares raw numbers.
//! * [`constant`]: tensors that are known when a network is read; [`external`]: those in files beside it.
//! * [`lower`]: values of the network as values of the graph, wherever their batch is; `nodes`: what each op is.
//! * [`proto`]: the messages of the format.
//!
//! All values of Pellucid are f32: whole numbers and truth values too, exact up to 2²⁴. The kind that the network gives them is tracked
//! when it is read, and decides what arithmetic means.
#![forbid(unsafe_code)]

pub mod call;
pub mod constant;
pub mod error;
pub mod export;
pub mod external;
pub mod front;
pub mod import;
pub mod lower;
mod nodes;
pub mod proto;

pub use constant::{Constant, Kind};
pub use error::{NodeProblem, OnnxError, Problem};
pub use import::{Import, Imported, Port};
