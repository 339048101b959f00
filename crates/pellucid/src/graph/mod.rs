//! The static graph: values and nodes, shape inference, backward walk, memory plan, execution, profile.
