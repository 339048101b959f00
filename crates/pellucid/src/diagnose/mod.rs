//! What is wrong with a run: rules over its data, its network before and after training, and its history.
//!
//! A rule looks at one number, says which layer or column it is of, and what can be done. Every rule has a source, a case in its
//! tests that it must find and one that it must not.
//!
//! * [`of_data`]: inputs without a scale, rare classes, columns that give the answer away, rows on both sides of a split.
//! * [`of_network`]: loss at the start, an end that does not go with the loss, dead and saturated units, gradients that vanish or
//!   explode, the size of updates. [`cannot_fit`]: a batch that cannot be learnt by heart.
//! * [`of_history`]: learning rate, standstill, over- and underfitting.

mod data;
mod history;
mod network;

pub use data::{DataView, of_data};
pub use history::of_history;
pub use network::{NetworkView, cannot_fit, of_network};

use serde::Serialize;

/// Writes the type of all rules from one table: what they are called, where they come from, and what helps.
macro_rules! rules {
    ($($rule:ident $name:literal, $source:literal, $remedy:literal;)*) => {
        /// A rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Rule { $(#[doc = $name] $rule,)* }

        impl Rule {
            /// All rules.
            pub const ALL: &'static [Rule] = &[$(Rule::$rule),*];

            /// What it is called.
            pub fn name(self) -> &'static str {
                match self { $(Rule::$rule => $name,)* }
            }
            /// Where it comes from.
            pub fn source(self) -> &'static str {
                match self { $(Rule::$rule => $source,)* }
            }
            /// What helps.
            pub fn remedy(self) -> &'static str {
                match self { $(Rule::$rule => $remedy,)* }
            }
        }
    };
}

rules! {
    UnscaledInput "input without a scale",
        "LeCun, Bottou, Orr and Müller, \"Efficient BackProp\", 1998, section 4.3",
        "standardise it: subtract the mean and divide by the standard deviation, both of the training rows";
    ClassImbalance "rare class",
        "He and Garcia, \"Learning from imbalanced data\", 2009",
        "judge by F1 or average precision instead of accuracy; weigh the loss with --class-weights balanced";
    TargetLeak "column that gives the answer away",
        "Kaufman, Rosset and Perlich, \"Leakage in data mining\", 2012",
        "leave it out, unless it is really known before the answer is";
    DuplicateRows "rows on both sides of the split",
        "Barz and Denzler, \"Do we train on test data?\", 2020",
        "remove duplicates before splitting; scores on such rows are too good";
    OutputMismatch "end that does not go with the loss",
        "Goodfellow, Bengio and Courville, \"Deep Learning\", 2016, section 6.2.2",
        "change the last activation or the loss";
    InitialLoss "loss at the start",
        "Karpathy, \"A recipe for training neural networks\", 2019",
        "scale the inputs; begin the last layer with smaller weights";
    CannotFit "batch that cannot be learnt by heart",
        "Goodfellow, Bengio and Courville, \"Deep Learning\", 2016, section 11.5",
        "look for rows that are alike with different answers; widen the network; try another learning rate";
    DeadUnits "dead units",
        "Lu, Shin, Su and Karniadakis, \"Dying ReLU and initialization\", 2019",
        "lower the learning rate; use leaky_relu or gelu; normalise before the activation";
    SaturatedUnits "saturated units",
        "Glorot and Bengio, \"Understanding the difficulty of training deep feedforward neural networks\", 2010",
        "scale the inputs; begin with smaller weights; use relu or gelu, or normalise before the activation";
    VanishingGradient "vanishing gradient",
        "Bengio, Simard and Frasconi, \"Learning long-term dependencies with gradient descent is difficult\", 1994",
        "use relu or gelu with he_normal weights, normalisation, or residual blocks; fewer layers";
    ExplodingGradient "exploding gradient",
        "Pascanu, Mikolov and Bengio, \"On the difficulty of training recurrent neural networks\", 2013",
        "clip it with --clip-norm 1; begin with smaller weights; normalise";
    LargeUpdate "update that is large for its weights",
        "Karpathy, \"CS231n: Convolutional neural networks for visual recognition\", notes on learning, 2015",
        "lower the learning rate; about a thousandth of the weights at a time is usual";
    SmallUpdate "update that is small for its weights",
        "Karpathy, \"CS231n: Convolutional neural networks for visual recognition\", notes on learning, 2015",
        "raise the learning rate; about a thousandth of the weights at a time is usual";
    RateTooHigh "learning rate too high",
        "Goodfellow, Bengio and Courville, \"Deep Learning\", 2016, section 8.3.1",
        "divide it by three or ten, or let it rise slowly at the start (--schedule one_cycle)";
    RateTooLow "learning rate too low",
        "Smith, \"Cyclical learning rates for training neural networks\", 2017",
        "multiply it by three or ten; `pellucid lr-find` looks for the largest that still learns";
    Plateau "standstill",
        "Bengio, \"Practical recommendations for gradient-based training of deep architectures\", 2012, section 3.1",
        "lower the learning rate towards the end (--schedule cosine), or stop earlier";
    Overfitting "overfitting",
        "Prechelt, \"Early stopping - but when?\", 1998",
        "stop at the best epoch (--patience), add dropout, weight decay or augmentation, or take more rows";
    Underfitting "underfitting",
        "Goodfellow, Bengio and Courville, \"Deep Learning\", 2016, section 5.2",
        "train longer, widen the network, raise the learning rate, or take less dropout and weight decay";
}

/// Something that a rule found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The layer, column, class or part: `layer 2: relu`, `column income`.
    pub place: String,
    /// The number that the rule looks at.
    pub number: f64,
    /// What the number is, and what it should be.
    pub message: String,
}

impl Finding {
    fn new(rule: Rule, place: impl Into<String>, number: f64, message: impl Into<String>) -> Finding {
        Finding { rule, place: place.into(), number, message: message.into() }
    }
}
