//! What is put before and behind the tokens of a document: `[CLS] … [SEP]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A step, as the file has it; of pairs of documents nothing is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(super) enum PostProcessor {
    TemplateProcessing {
        single: Vec<Piece>,
        special_tokens: BTreeMap<String, Special>,
    },
    BertProcessing {
        sep: (String, u32),
        cls: (String, u32),
    },
    RobertaProcessing {
        sep: (String, u32),
        cls: (String, u32),
    },
    /// Concerns places in the text alone.
    ByteLevel {},
    Sequence {
        processors: Vec<PostProcessor>,
    },
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Piece {
    SpecialToken { id: String, type_id: u32 },
    Sequence { id: char, type_id: u32 },
}

/// The numbers that a special token of a template stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Special {
    pub ids: Vec<u32>,
}

/// Tokens before and behind those of a document.
pub(super) type Frame = [Vec<u32>; 2];

impl PostProcessor {
    /// What is put before and behind.
    ///
    /// # Errors
    /// A template without the document, or with more than one.
    pub fn frame(&self) -> Result<Frame, String> {
        match self {
            PostProcessor::BertProcessing { sep, cls } | PostProcessor::RobertaProcessing { sep, cls } => {
                Ok([vec![cls.1], vec![sep.1]])
            }
            PostProcessor::ByteLevel {} => Ok(Frame::default()),
            PostProcessor::Sequence { processors } => {
                processors.iter().try_fold(Frame::default(), |[before, behind], step| {
                    let [first, last] = step.frame()?;
                    Ok([[first, before].concat(), [behind, last].concat()])
                })
            }
            PostProcessor::TemplateProcessing { single, special_tokens } => {
                let (mut frame, mut side) = (Frame::default(), 0);
                for piece in single {
                    match piece {
                        Piece::SpecialToken { id, type_id: 0 } => match special_tokens.get(id) {
                            Some(special) => frame[side].extend(&special.ids),
                            None => return Err(format!("special_tokens lack {id:?} of the template")),
                        },
                        Piece::Sequence { id: 'A', type_id: 0 } if side == 0 => side = 1,
                        _ => return Err("a template of one document, all of segment 0, is known alone".to_string()),
                    }
                }
                if side == 0 { Err("the template has no place for the document".to_string()) } else { Ok(frame) }
            }
        }
    }
}
