//! Documents with an answer each: rows of a table that have a column of text. (Files of text are made such a table.)
//!
//! A document becomes its tokens, as many as the longest document to be learnt from has, up to a limit; a longer one is cut at
//! its end, a shorter one filled with padding. A document without any token is read as one of padding. The frame that another
//! program's tokenizer puts around a document (`[CLS] … [SEP]`) stays whole.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{TextError, TokenSource, Tokenizer};
use crate::data::pipeline::{PipelineError, find_column, target};
use crate::data::{Dataset, Features, FitOptions, Table, Task};

/// How documents become inputs of a network, and what it says of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentPlan {
    /// The column of text.
    pub column: String,
    /// The column of answers.
    pub target: String,
    /// What tokens are; where they were learnt here, of texts in lower case, white space left out if they are words.
    pub tokenizer: Tokenizer,
    /// Tokens of a row.
    pub length: usize,
    /// What is said of a document.
    pub task: Task,
}

/// Why a table holds no documents.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The columns.
    #[error(transparent)]
    Column(#[from] PipelineError),
    /// The texts.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The same column twice.
    #[error("column `{0}` cannot be both the text and what is to be said of it; give another --target")]
    Twice(String),
    /// A character that the model does not know.
    #[error("{place}: {error}")]
    Unknown {
        /// The file, and the line of a table.
        place: String,
        /// The character.
        error: super::UnknownToken,
    },
    /// No room beside the frame.
    #[error("{most} tokens of a document are too few beside the {frame} that the tokenizer puts around it; allow more")]
    Frame {
        /// Tokens of a document.
        most: usize,
        /// Those of the frame.
        frame: usize,
    },
    /// No text to learn tokens from.
    #[error("{table}: column `{column}` is empty in all rows to learn from")]
    Empty {
        /// The file.
        table: String,
        /// The column.
        column: String,
    },
}

impl DocumentPlan {
    /// Learns tokens and answers from `rows` of a table; rows get `most` tokens at most.
    ///
    /// # Errors
    /// A column that is not there, answers that make no task, texts without a token.
    pub fn learn(
        table: &Table,
        column: &str,
        options: &FitOptions,
        rows: &[u32],
        (source, most): (TokenSource, usize),
    ) -> Result<DocumentPlan, DocumentError> {
        let text = find_column(table, column)?;
        let target = match options.targets.first() {
            Some(target) => find_column(table, target)?,
            None => table.columns() - 1,
        };
        if text == target {
            return Err(DocumentError::Twice(table.names()[text].clone()));
        }
        let task = target::learn(table, &[target], options.task, rows)?;
        DocumentPlan::with_task(table, [text, target], task, rows, (source, most))
    }

    /// The same where it is known what is said of a document; `columns` are those of texts and answers.
    ///
    /// # Errors
    /// Texts without a token.
    pub fn with_task(
        table: &Table,
        [text, target]: [usize; 2],
        task: Task,
        rows: &[u32],
        (source, most): (TokenSource, usize),
    ) -> Result<DocumentPlan, DocumentError> {
        let all = || rows.iter().map(|row| table.cell(*row as usize, text).to_lowercase() + "\n").collect();
        let tokenizer = source.tokenizer(all);
        let [column, target] = [text, target].map(|index| table.names()[index].clone());
        let mut plan = DocumentPlan { column, target, tokenizer, length: most, task };
        let longest = plan.tokens(table, rows)?.iter().map(Vec::len).max().unwrap_or(0);
        if longest == 0 {
            return Err(DocumentError::Empty { table: table.name().to_string(), column: plan.column });
        }
        let frame = plan.frame();
        if most <= frame {
            return Err(DocumentError::Frame { most, frame });
        }
        plan.length = (longest + frame).min(most);
        Ok(plan)
    }

    /// How many tokens there are, with that of padding.
    pub fn vocabulary(&self) -> usize {
        self.tokenizer.vocabulary().max(self.padding() as usize + 1)
    }

    /// The token of padding: the tokenizer's own, or else one behind all others.
    pub fn padding(&self) -> u32 {
        self.tokenizer.padding().unwrap_or(self.tokenizer.vocabulary() as u32)
    }

    /// Tokens around each document.
    fn frame(&self) -> usize {
        self.tokenizer.frame().iter().map(|side| side.len()).sum()
    }

    /// The inputs of `rows`, with their answers if they are `answered`.
    ///
    /// # Errors
    /// A column that is not there, an unknown character or answer.
    pub fn dataset(&self, table: &Table, rows: &[u32], answered: bool) -> Result<Dataset, DocumentError> {
        let mut features = Vec::with_capacity(rows.len() * self.length);
        let mut lengths = Vec::with_capacity(rows.len());
        let ([before, behind], room) = (self.tokenizer.frame(), self.length.saturating_sub(self.frame()));
        for tokens in self.tokens(table, rows)? {
            let tokens = &tokens[..tokens.len().min(room)];
            lengths.push((tokens.len() + self.frame()).clamp(1, self.length) as u32);
            let framed = before.iter().chain(tokens).chain(behind).map(|token| *token as f32);
            features.extend(framed.chain(std::iter::repeat(self.padding() as f32)).take(self.length));
        }
        let (targets, width) = match answered {
            true => {
                let column = find_column(table, &self.target)?;
                (target::encode(&self.task, table, &[column], rows)?, self.task.target_width())
            }
            false => (Vec::new(), 0),
        };
        let data = Dataset::new(vec![self.length], Features::F32(features), targets, width, None);
        Ok(data.and_then(|data| data.padded(lengths)).expect("lengths agree"))
    }

    /// How many of `rows` are longer than what is read of them.
    ///
    /// # Errors
    /// As [`DocumentPlan::dataset`].
    pub fn cut(&self, table: &Table, rows: &[u32]) -> Result<usize, DocumentError> {
        Ok(self.tokens(table, rows)?.iter().filter(|tokens| tokens.len() + self.frame() > self.length).count())
    }

    fn tokens(&self, table: &Table, rows: &[u32]) -> Result<Vec<Vec<u32>>, DocumentError> {
        let column = find_column(table, &self.column)?;
        let blank: Vec<bool> = match &self.tokenizer {
            Tokenizer::Words { vocabulary } => vocabulary.iter().map(|word| word.trim().is_empty()).collect(),
            tokenizer => vec![false; tokenizer.vocabulary()],
        };
        let document = |row: &u32| {
            let tokens = self
                .tokenizer
                .encode(&self.text(table, *row, column))
                .map_err(|error| DocumentError::Unknown { place: table.place(*row as usize), error })?;
            Ok(tokens.into_iter().filter(|token| !blank[*token as usize]).collect())
        };
        rows.iter().map(document).collect()
    }

    /// A document as the tokenizer takes it.
    fn text<'a>(&self, table: &'a Table, row: u32, column: usize) -> Cow<'a, str> {
        let text = table.cell(row as usize, column);
        match self.tokenizer {
            Tokenizer::Pretrained { .. } => Cow::Borrowed(text),
            _ => Cow::Owned(text.to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TableOptions;
    use crate::data::text::TokenKind;

    #[test]
    fn documents_are_padded_and_cut() {
        let text = "review,kind\nGood  good film!,yes\nbad,no\n\"\",no\nGood,yes\nso bad so bad so bad so bad,no\n";
        let table = Table::from_reader("r.csv", text.as_bytes(), &TableOptions::default()).expect("a table");
        let rows: Vec<u32> = (0..5).collect();
        let learn = |column: &str, most: usize| {
            DocumentPlan::learn(
                &table,
                column,
                &FitOptions::default(),
                &rows,
                (TokenSource::Learnt(TokenKind::Words(100)), most),
            )
        };
        let plan = learn("review", 5).expect("documents");
        assert_eq!((plan.length, plan.target.as_str()), (5, "kind"));
        let data = plan.dataset(&table, &rows, true).expect("documents");
        let Features::F32(values) = &data.features else { panic!("tokens") };
        let padding = plan.padding() as f32;
        assert_eq!(values[0], values[1]);
        assert_eq!(values[4..10], [padding, values[5], padding, padding, padding, padding]);
        assert_eq!(values[10..15], [padding; 5]);
        assert_eq!(values[15], values[0], "upper and lower case are one");
        assert_eq!(data.targets, [1.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(data.lengths.as_deref(), Some(&[4, 1, 1, 1, 5][..]));
        let mut beginnings = [0.0; 4];
        data.gather_features(&[4, 0], &mut beginnings).expect("in memory");
        assert_eq!(beginnings[..2], values[20..22]);
        assert_eq!(beginnings[2..], values[..2]);
        assert_eq!(plan.cut(&table, &rows).expect("documents"), 1);
        assert_eq!(learn("review", 100).expect("documents").length, 8);
        let unseen = plan.dataset(&table, &rows[..1], false).expect("documents");
        assert_eq!((unseen.targets.len(), unseen.target_width), (0, 0));
        assert!(learn("kind", 5).expect_err("refused").to_string().contains("cannot be both"));
        assert!(learn("text", 5).expect_err("refused").to_string().contains("no column \"text\""));
    }
}
