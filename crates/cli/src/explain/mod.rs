//! What is to be seen of a network: one training step with its numbers, and pictures of what convolutions look at.
//!
//! A [`pellucid::explain::Trace`] becomes an [`Account`] (sections of lines, for terminal and page) or a JSON document.

mod account;
mod attribution;
mod figures;
mod json;
mod page;
mod pictures;
mod terminal;
mod weights;

pub use account::{Account, Block, Focus, Names, Section, belongs};
pub use attribution::{ColumnImportance, column_importance, gallery, input_columns, row_section};
pub use figures::figure;
pub use json::trace_json;
pub use pictures::{class_maps, first_filters};
pub use weights::read_weights;
