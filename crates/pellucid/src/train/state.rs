//! What a checkpoint holds besides parameters and moments.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::score::class_of;
use super::stopping::BestSoFar;
use super::{EpochRecord, FitOptions, Part, TrainError};
use crate::data::{Task, TaskKind};
use crate::graph::Graph;
use crate::metrics::Scores;
use crate::nn::Link;

/// Where a run stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Settings and sizes that must be the same when the run goes on.
    pub identity: Identity,
    /// Finished epochs.
    pub epochs: usize,
    /// Updates made in the epoch that is not finished.
    pub batches: usize,
    /// Updates made in all.
    pub step: u64,
    /// Sums over the batches of the epoch that is not finished.
    pub running: Running,
    /// The best epoch so far.
    pub best: BestSoFar,
    /// Finished epochs.
    #[serde(with = "as_text")]
    pub history: Vec<EpochRecord>,
    /// Seconds in the fit loop.
    pub seconds: f64,
    /// The optimiser has found that nothing better is near.
    #[serde(default)]
    pub converged: bool,
    /// Counters of the optimiser.
    pub optimizer: serde_json::Value,
    /// State of the schedule.
    pub schedule: serde_json::Value,
}

/// A JSON value forgets the order of its keys, a text does not, and metrics have an order.
mod as_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::EpochRecord;

    pub fn serialize<S: Serializer>(history: &[EpochRecord], serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::to_string(history).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<EpochRecord>, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// What makes a run the same run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Names and shapes of the parameters.
    pub network: String,
    /// Rows and sample shape of the training part, and a checksum of which rows.
    pub data: String,
    /// Settings, but for the number of epochs.
    pub settings: serde_json::Value,
}

impl Identity {
    /// Settings that change what a step does.
    pub fn settings(options: &FitOptions) -> serde_json::Value {
        let mut settings = serde_json::to_value(options).unwrap_or_default();
        if let Some(settings) = settings.as_object_mut() {
            settings.remove("checkpoint_every");
            // A run may go on for longer than was planned. (A schedule that ends with the run then goes on as planned
            // anew.)
            settings.remove("epochs");
        }
        settings
    }
}

/// Sums over the batches of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Running {
    /// Σ weight · loss
    pub loss: f64,
    /// Σ weight
    pub weight: f64,
    /// Weight of rows whose class was right.
    pub correct: f64,
}

impl Identity {
    /// The identity of a run.
    pub fn of(graph: &Graph, train: &Part, options: &FitOptions) -> Identity {
        let shapes: Vec<String> = graph
            .parameters()
            .iter()
            .map(|parameter| format!("{} {}", parameter.name, graph.shape(parameter.value)))
            .collect();
        let mut hash = Sha256::new();
        for row in train.rows.iter() {
            hash.update(row.to_le_bytes());
        }
        let checksum: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let data = format!("{} rows of {:?} ({checksum})", train.rows.len(), train.data.sample_shape);
        Identity { network: shapes.join(", "), data, settings: Identity::settings(options) }
    }

    /// Refuses a checkpoint of another run.
    pub fn check(&self, found: &Identity) -> Result<(), TrainError> {
        let other = |what, expected: &dyn ToString, found: &dyn ToString| {
            Err(TrainError::OtherRun { what, expected: expected.to_string(), found: found.to_string() })
        };
        if self.network != found.network {
            return other("the network", &self.network, &found.network);
        }
        if self.data != found.data {
            return other("the training data", &self.data, &found.data);
        }
        if self.settings != found.settings {
            return other("the settings", &self.settings, &found.settings);
        }
        Ok(())
    }
}

impl Running {
    /// Takes note of a batch: its rows, the outputs of the network and the loss.
    pub fn add(&mut self, (task, link): (&Task, Link), train: &Part, rows: &[u32], outputs: &[f32], loss: f64) {
        let weighted = train.data.weights.is_some();
        let weight = train.weight_of(rows, weighted);
        self.loss += weight * loss;
        self.weight += weight;
        if !matches!(task.kind(), TaskKind::Binary | TaskKind::Multiclass) {
            return;
        }
        for (row, outputs) in rows.iter().zip(outputs.chunks_exact(task.output_width())) {
            let target = train.data.targets[*row as usize];
            if class_of(task, link, outputs).is_some_and(|class| class as f32 == target) {
                self.correct += train.data.weights.as_ref().map_or(1.0, |weights| f64::from(weights[*row as usize]));
            }
        }
    }

    /// The scores of the epoch.
    pub fn scores(&self, task: &Task) -> Scores {
        let mut scores = Scores::new();
        scores.set("loss", self.loss / self.weight);
        if matches!(task.kind(), TaskKind::Binary | TaskKind::Multiclass) {
            scores.set("accuracy", self.correct / self.weight);
        }
        scores
    }
}
