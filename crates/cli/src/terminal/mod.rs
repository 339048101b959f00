//! What the program draws and tabulates on a terminal. Everything here gives text back; only the commands print.

mod classes;
mod confusion;
mod curve;
mod scores;
mod screen;
mod table;

pub use classes::class_table;
pub use confusion::confusion_matrix;
pub use curve::{Curve, loss_curve};
pub use scores::scores_table;
pub use screen::{Ink, Screen};
pub use table::{Align, Table};
