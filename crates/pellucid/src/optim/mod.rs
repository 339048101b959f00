//! Optimisers, schedules, clipping, weight penalties: flat slices and segment names.
