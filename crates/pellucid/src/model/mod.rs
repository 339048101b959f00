//! The model file and the checkpoint: tensors and JSON documents in one checked safetensors file.
//!
//! * [`atomic`]: a file is replaced whole or not at all.
//! * [`container`]: named f32 tensors and string metadata, checksummed; the layout that every safetensors reader knows.
//! * [`document`]: what the metadata of a model says.
//! * [`weights`]: tensors that other programs saved, and which parameters they become.
//! * [`Encoder`]: encoders of texts that others trained.
//! * [`checkpoint`]: the newest and the previous state of a run; a kill at any moment loses neither.

pub mod atomic;
pub mod checkpoint;
mod checksum;
pub mod container;
pub mod document;
mod element;
mod encoder;
pub mod error;
mod header;
pub mod weights;

mod graph_document;
mod predictor;
mod saved;

pub use checkpoint::{Checkpoint, CheckpointError, CheckpointStore, ExactF64, Loaded, Origin};
pub use container::{Container, NamedTensor, StoredTensor, weights_sha256};
pub use encoder::{Encoder, EncoderError, Pooling};
pub use error::ContainerError;
pub use graph_document::{GraphDocument, GraphDocumentError};
pub use predictor::Predictor;
pub use saved::{Model, ModelError, Preprocessing};
pub use weights::{Weights, WeightsError};
