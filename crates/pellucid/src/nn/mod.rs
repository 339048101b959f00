//! Layers, initialisers and losses: they add nodes to a graph and name parameters.

pub mod notation;
