//! What the pooling layers share: sizes for one axis or two, where one number stands for each axis.

use crate::graph::{BuildError, BuildProblem, GraphBuilder, ValueId};
use crate::nn::notation::Item;

/// `sizes` for each of `axes` axes: one number stands for all. `None` if there are others.
pub(super) fn spread(sizes: &[usize], axes: usize) -> Option<Vec<usize>> {
    match sizes {
        [one] => Some(vec![*one; axes]),
        _ => (sizes.len() == axes).then(|| sizes.to_vec()),
    }
}

/// [`spread`] over the axes behind the channels of `x`; an error of the layer `word` where the numbers do not fit.
pub(super) fn spread_over(
    builder: &GraphBuilder,
    x: ValueId,
    word: &str,
    lists: &[&[usize]],
) -> Result<Vec<Vec<usize>>, BuildError> {
    let rank = builder.shape(x).rank();
    if !(3..=4).contains(&rank) {
        let message = format!("'{word}' needs [batch, channels, length] or [batch, channels, height, width]");
        return Err(builder.error(BuildProblem::Layer(message)));
    }
    let axes = rank - 2;
    let fitted = lists.iter().map(|sizes| spread(sizes, axes)).collect::<Option<Vec<_>>>();
    fitted.ok_or_else(|| {
        let found = lists.iter().map(|sizes| sizes.len()).find(|&len| len != 1 && len != axes).unwrap_or(0);
        let along = if axes == 1 { "one axis" } else { "two axes" };
        let message = format!("'{word}' works along {along} here, but a size has {found} numbers");
        builder.error(BuildProblem::Layer(message))
    })
}

/// The size, written as one number where all are equal.
pub(super) fn written(sizes: &[usize]) -> &[usize] {
    match sizes {
        [first, ..] if sizes.iter().all(|size| size == first) => &sizes[..1],
        _ => sizes,
    }
}

/// `item` with the option `key`, unless the sizes are `usual`.
pub(super) fn option_unless(item: Item, key: &str, sizes: &[usize], usual: &[usize]) -> Item {
    if written(sizes) == written(usual) { item } else { item.option(key, written(sizes)) }
}
