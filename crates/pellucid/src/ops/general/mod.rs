//! Ops that know nothing of layers: functions and arithmetic with broadcasting, reductions, movement of values. What other programs
//! write as many small steps is built from these; where a layer's own op says the same, it is faster.
//!
//! Values are [batch, …]; what has no batch (a parameter) has fewer axes than the output and counts for every row.

mod arithmetic;
mod choose;
mod elementwise;
mod lookup;
mod matmul;
mod reduce;
mod scatter;
mod spread;
mod take;
mod top;
mod transpose;
mod walk;

pub use arithmetic::{Arithmetic, Operation};
pub use choose::Choose;
pub use elementwise::{Elementwise, Function};
pub use lookup::Lookup;
pub use matmul::MatMul;
pub use reduce::{Reduce, Reduction};
pub use scatter::{Scatter, ScatterMode};
pub use spread::Spread;
pub use take::Take;
pub use top::Top;
pub use transpose::Transpose;

pub(super) use arithmetic::cases as arithmetic_cases;
pub(super) use choose::cases as choose_cases;
pub(super) use elementwise::cases as elementwise_cases;
pub(super) use lookup::cases as lookup_cases;
pub(super) use matmul::cases as matmul_cases;
pub(super) use reduce::cases as reduce_cases;
pub(super) use scatter::cases as scatter_cases;
pub(super) use spread::cases as spread_cases;
pub(super) use take::cases as take_cases;
pub(super) use top::cases as top_cases;
pub(super) use transpose::cases as transpose_cases;
