//! Sources, typed columns, preprocessing, splits, batches.
