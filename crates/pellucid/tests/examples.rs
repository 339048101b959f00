//! The examples are run, and what they show is checked.

#[path = "../examples/choose_rate.rs"]
mod choose_rate;
#[path = "../examples/functional.rs"]
mod functional;
#[path = "../examples/own_layer.rs"]
mod own_layer;
#[path = "../examples/own_loss.rs"]
mod own_loss;
#[path = "../examples/own_op.rs"]
mod own_op;
#[path = "../examples/own_recurrent_cell.rs"]
mod own_recurrent_cell;
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

#[test]
fn functional_graphs() {
    functional::main().expect("the example runs");
}

#[test]
fn own_layers() {
    own_layer::main().expect("the example runs");
}

#[test]
fn own_losses() {
    own_loss::main().expect("the example runs");
}

#[test]
fn own_ops() {
    own_op::main().expect("the example runs");
}

#[test]
fn own_recurrent_cells() {
    own_recurrent_cell::main().expect("the example runs");
}

#[test]
fn a_search_finds_a_network_that_learns_and_gives_up_those_that_do_not() {
    let search = choose_rate::search(30, 1).expect("a search");
    let best = search.best().and_then(|trial| trial.value()).expect("some were finished");
    assert!(best < 0.2, "{best}");
    let epochs: usize = search.trials().map(|trial| trial.reports.len()).sum();
    assert!(epochs < 30 * 81 / 2, "{epochs} epochs: nothing was given up");
    assert!(search.trials().eq(choose_rate::search(30, 1).expect("a search").trials()), "the same trials again");
    choose_rate::main().expect("it runs");
}
