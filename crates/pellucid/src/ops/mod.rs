//! One op = one file: formula, shape rule, forward, backward, what backward needs, its cases.
