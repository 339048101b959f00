//! The examples are run, and what they show is checked.

#[path = "../examples/without_biases.rs"]
mod without_biases;
#[path = "../examples/xor.rs"]
mod xor;

#[test]
fn xor_runs() {
    xor::main();
}

#[test]
fn two_hidden_sigmoids_learn_xor_from_some_starts() {
    let solved = xor::solved("dense 2 sigmoid init=uniform:-1:1 -> dense 1 sigmoid init=uniform:-1:1", 20);
    assert!(solved.len() >= 10 && solved.len() < 20, "known to get stuck from some starts: {solved:?}");
}

#[test]
fn four_hidden_sigmoids_learn_xor_from_every_start() {
    let solved = xor::solved("dense 4 sigmoid init=uniform:-1:1 -> dense 1 sigmoid init=uniform:-1:1", 20);
    assert_eq!(solved.len(), 20, "{solved:?}");
}

#[test]
fn the_network_without_biases_falls_at_every_step() {
    without_biases::main();
    let (losses, predictions) = without_biases::learn(1);
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "the loss falls at every step");
    for (prediction, target) in predictions.iter().zip([0.0, 1.0, 1.0, 0.0]) {
        assert!((prediction - target).abs() <= 0.05, "{predictions:?}");
    }
}
