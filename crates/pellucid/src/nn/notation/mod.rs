//! The network notation: one line that people can read, type and diff.
//!
//! ```text
//! conv 32 3x3 same relu -> maxpool 2 -> flatten -> dense 128 relu -> dropout 0.5 -> dense 10
//! dense 4 sigmoid nobias -> dense 1 sigmoid nobias
//! dense 64 gelu init=he_normal bias_init=constant:0.1 -> dense 4
//! 3 * residual(dense 64 relu -> dense 64) -> dense 2
//! concat(dense 8 -> relu, dense 4) -> 2 * (dense 16 relu -> dropout 0.1) -> dense 1
//! ```
//!
//! Grammar; white space (line ends too) separates words and means nothing else:
//!
//! ```text
//! network  = item { "->" item }
//! item     = [ count "*" ] ( layer | "(" network ")" )
//! layer    = name [ "(" network { "," network } ")" ] { argument }
//! argument = value | name "=" value
//! value    = number | size | word
//! size     = whole { "x" whole }          two to eight whole numbers: 3x3, 1x28x28
//! word     = name { ":" number }          at most eight numbers: relu, leaky_relu:0.02, uniform:-0.1:0.1
//! name     = letter or "_", then letters, digits, "_" and "-"
//! ```
//!
//! This module knows the form only. Which layers exist and what they take is said by the layers themselves, which read
//! their arguments through a [`Reader`]; whatever they leave unread is an error that points at its place.
//!
//! Text from strangers is safe to parse: the limits below hold, and what goes beyond them is an error like any other.

mod ast;
mod error;
mod parse;
mod print;
mod reader;

pub use ast::{Argument, Item, Network, Value, Word};
pub use error::{NotationError, Span};
pub use reader::{Reader, WordAt};

/// Longest text, in bytes.
pub const MAX_TEXT: usize = 1 << 20;
/// Most layers of one network once every repetition is written out, the layers inside others included.
pub const MAX_LAYERS: usize = 10_000;
/// Deepest nesting of parentheses.
pub const MAX_DEPTH: usize = 64;
/// Most arguments of one layer, and most branches.
pub const MAX_ARGUMENTS: usize = 64;
/// Most numbers in one size (`2x3x4` has three) or behind one word (`uniform:0:1` has two).
pub const MAX_NUMBERS: usize = 8;
/// Largest number of a size: units, channels, window, …
pub const MAX_SIZE: usize = 1 << 31;
