//! Choosing hyper-parameters: a space, trials in it, what to try next, and when to give a trial up.
//!
//! * [`Space`]: numbers (also over powers of ten), whole numbers and choices; some only where another has a value.
//! * [`Sampler`]: at random, on a grid, or where good trials were dense and bad ones were not (TPE).
//! * [`Pruner`]: gives trials up that are behind others at the same epoch (successive halving, asynchronously; Hyperband).
//! * [`Search`]: the loop. A trial is a function of its values; what is tried next is a function of seed, number and the trials before
//!   (with several at a time: of those so many before), so that a search goes on from its trials as if it had never been interrupted.
//!
//! ```
//! use pellucid::tune::{Direction, Next, Sampler, Search, SearchOptions, Space, Verdict};
//!
//! let space = Space::parse(r#"{"x": {"low": -5, "high": 5}, "kind": {"values": ["flat", "bowl"]}}"#)?;
//! let options = SearchOptions { sampler: Sampler::Tpe, direction: Direction::Minimise, ..SearchOptions::default() };
//! let mut search = Search::new(space, options);
//! for _ in 0..40 {
//!     let Next::Trial(trial) = search.next_trial() else { break };
//!     let x = trial.number("x").unwrap_or(0.0);
//!     let value = if trial.text("kind") == Some("bowl") { (x - 1.0) * (x - 1.0) } else { 9.0 };
//!     search.finish(trial, Verdict::Finished(value));
//! }
//! assert!(search.best().and_then(|trial| trial.value()).is_some_and(|value| value < 0.5));
//! # Ok::<(), pellucid::tune::SpaceError>(())
//! ```

mod pruner;
mod sampler;
mod search;
mod space;
mod tpe;

pub use pruner::Pruner;
pub use sampler::Sampler;
pub use search::{Direction, Next, Search, SearchOptions, Trial, Verdict};
pub use space::{Assignment, Condition, Dimension, Domain, Space, SpaceError};
