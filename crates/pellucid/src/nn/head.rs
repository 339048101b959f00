//! A new head on a network that was trained for something else.

use super::notation::Network;

/// The layers before the last `dense` of the line: what a network for another task begins with. None if there is no `dense`
/// outside of other layers, or nothing before it.
///
/// ```
/// use pellucid::nn::{backbone, notation::Network, with_head};
///
/// let trained = Network::parse("conv 16 3x3 relu -> global-avgpool -> dropout 0.5 -> dense 10 softmax")?;
/// let backbone = backbone(&trained).expect("it ends in a dense layer");
/// let network = with_head(&backbone, &Network::parse("dense 64 relu -> dense 3")?);
/// assert_eq!(
///     network.to_string(),
///     "conv 16 3x3 relu -> global-avgpool -> dropout 0.5 -> dense 64 relu -> dense 3"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn backbone(network: &Network) -> Option<Network> {
    let last = network.items().iter().rposition(|item| item.word() == "dense")?;
    (last > 0).then(|| Network::new(network.items()[..last].to_vec()))
}

/// The layers of `head` behind those of `backbone`, whose parameters keep their names.
pub fn with_head(backbone: &Network, head: &Network) -> Network {
    Network::new(backbone.items().iter().chain(head.items()).cloned().collect())
}
