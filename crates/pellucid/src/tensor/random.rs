//! Which random numbers are whose: every user of random numbers in a run has a stream of its own.

use kernels::random::Stream;

/// What random numbers are for. Different purposes never share numbers, whatever the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The initial values of the parameter with this position in its graph.
    Parameter(usize),
    /// A node with random behaviour (dropout) at this position in its graph; the step is that of the training.
    Node(usize),
    /// The order of the rows in an epoch, which is the step.
    Shuffle,
    /// Which rows are for training, validation and test.
    Split,
    /// The points of a generated data set.
    Generate,
    /// Augmentation of pictures: one number for each thing that is drawn; the step is the epoch, or that of the training
    /// where the rows of a batch are mixed.
    Augment(usize),
    /// Where in a text the windows of an epoch, which is the step, begin.
    Shift,
    /// The order of batches of padded sequences in an epoch, which is the step.
    Batches,
    /// Which token follows when a text is written; the step is its position.
    Sample,
}

impl Purpose {
    /// The stream of this purpose under `seed`.
    pub fn stream(self, seed: u64) -> Stream {
        // The upper bits tell the purposes apart, the lower ones the positions.
        const POSITIONS: usize = 1 << 28;
        let (kind, position) = match self {
            Purpose::Parameter(index) => (1, index),
            Purpose::Node(index) => (2, index),
            Purpose::Shuffle => (3, 0),
            Purpose::Split => (4, 0),
            Purpose::Generate => (5, 0),
            Purpose::Augment(index) => (6, index),
            Purpose::Shift => (7, 0),
            Purpose::Sample => (8, 0),
            Purpose::Batches => (9, 0),
        };
        assert!(position < POSITIONS, "positions below 2^28");
        Stream::new(seed, (kind * POSITIONS + position) as u32)
    }
}
