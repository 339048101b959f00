//! Texts: from files to token numbers, and windows of them to learn from.
//!
//! A tokenizer is learnt from a text, needs nothing to be learnt, or is read from a file of another program; a model holds it. A language model reads a window of
//! tokens and predicts, at each of them, the one that follows.

mod bpe;
mod documents;
mod files;
mod pieces;
mod pretrained;
mod read;
mod tokenizer;
mod windows;

pub use bpe::BytePairs;
pub use documents::{DocumentError, DocumentPlan};
pub use files::{TextFiles, UnlabelledTexts};
pub use pretrained::{PretrainedTokenizer, TokenizerError};
pub use read::read_text;
pub use tokenizer::{TokenKind, TokenSource, Tokenizer, UnknownToken};
pub use windows::token_windows;

/// Why a text cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is no text in UTF-8.
    #[error(
        "{path}: line {line}, byte {column} of it (byte {offset} of the file) is not UTF-8; save the text as UTF-8, or choose bytes as tokens"
    )]
    NotUtf8 {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Byte in its line, from 1.
        column: usize,
        /// Byte in the file, from 0.
        offset: usize,
    },
    /// There is nothing in it.
    #[error("{path} is empty; give a text")]
    Empty {
        /// The file.
        path: String,
    },
    /// The text is too short for a single window.
    #[error("the text has {tokens} tokens, a window of {window} needs {} at least; choose a shorter window or give more text", window + 1)]
    TooShort {
        /// Tokens of the text.
        tokens: usize,
        /// Tokens of a window.
        window: usize,
    },
    /// More tokens than rows can be counted.
    #[error("{tokens} tokens are too many for one text; at most {} are possible", crate::tensor::MAX_ELEMENTS)]
    TooLong {
        /// Tokens of the text.
        tokens: usize,
    },
}
