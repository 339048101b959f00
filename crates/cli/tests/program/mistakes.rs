//! Wrong words, wrong files, wrong numbers: an error that says what, where and what to do, and no panic.

use super::{Bench, flowers};

#[test]
fn each_mistake_has_its_message() {
    let bench = Bench::new();
    for (name, text) in [
        ("empty.csv", ""),
        ("head.csv", "a,b\n"),
        ("ragged.csv", "a,b\n1,2\n3,4,5\n"),
        ("open.csv", "a,b\n1,2\n3,\"4\n5,6\n"),
        ("one.csv", "x,y\n1,a\n2,a\n3,a\n4,a\n"),
        ("unknown.toml", "data = \"iris\"\nepoch = 3\n"),
        ("nothing.toml", "seed = 1\n"),
        ("broken.toml", "data = \"iris\nseed = 1\n"),
        ("foreign.safetensors", "no model"),
    ] {
        bench.write(name, text);
    }
    std::fs::write(bench.path("latin.csv"), b"a,b\n1,2\n3,\xfc\n").expect("writes");
    bench.write("flowers.csv", &flowers(100));
    let review = |row: usize| format!("the {row}th word of many,{}\n", ["bad", "good"][row % 2]);
    bench.write("reviews.csv", &format!("review,kind\n{}", (0..200).map(review).collect::<String>()));
    bench.ok(&["train", "iris", "--epochs", "1", "--out", "run", "-q"]);
    let cases: &[(&[&str], &str)] = &[
        // Data.
        (&["train", "digit"], "no data set of that name; did you mean digits?"),
        (&["train", "flower.csv"], "there is no file flower.csv; did you mean flowers.csv?"),
        (&["train", "."], ". holds no picture"),
        (&["train", "empty.csv"], "empty.csv is empty"),
        (&["train", "head.csv"], "head.csv holds a header but no rows"),
        (&["train", "ragged.csv"], "ragged.csv, line 3, column 3"),
        (&["train", "open.csv"], "open.csv, line 3, column 2: the quote opened here is never closed"),
        (&["train", "latin.csv"], "latin.csv, line 3, column 2: byte 0xFC is not valid UTF-8"),
        (&["train", "one.csv"], "column `y` has 1 classes (`a`)"),
        (&["train", "reviews.csv"], "a column of texts is learnt with --text COLUMN"),
        (&["train", "reviews.csv", "--tokens", "words", "--target", "kind"], "with --text COLUMN each row of it is"),
        (&["train", "iris", "--target", "specie"], "iris has no column \"specie\""),
        (&["train", "iris", "--target", "5"], "or an index from -5 to 4"),
        (&["train", "iris", "--target", "-6"], "or an index from -5 to 4"),
        (&["train", "iris", "--test", "none.csv"], "none.csv"),
        (&["train", "iris", "--test", "flowers.csv"], "flowers.csv lacks the column(s) `sepal_length`"),
        (&["train", "iris", "--task", "regression"], "column `species` cannot be the target of regression"),
        (&["train", "iris", "--task", "clustering"], "there is no task \"clustering\""),
        (&["train", "flowers.csv", "--delimiter", ",,"], "--delimiter is one ASCII character"),
        (&["train", "digits", "--target", "3"], "--target is for tables"),
        (&["train", "digits", "--rows", "9"], "digits is not generated, so its rows cannot be set"),
        (&["train", "mnist", "--data-dir", "."], "holds no file train-images"),
        (&["train", "iris", "--test-fraction", "1"], "--test-fraction is a share"),
        (&["train", "iris", "--test-fraction", "0.6", "--validation", "-1"], "a share is at least 0 and below 1"),
        // Files of settings.
        (&["train", "unknown.toml"], "did you mean epochs?"),
        (&["train", "nothing.toml"], "there is no `data`"),
        (&["train", "broken.toml"], "line 1"),
        (&["train", "none.toml"], "there is no file none.toml"),
        // Augmentation.
        (&["train", "digits", "--augment", "flip, rotat 15"], "--augment: augmentation 2, 'rotat 15': there is no"),
        (&["train", "digits", "--augment", "crop"], "augmentation 1, 'crop': write crop and a whole number of pixels"),
        (&["train", "digits", "--augment", "crop 8"], "pictures of 8 × 8 pixels are too small"),
        (&["train", "iris", "--augment", "flip"], "augmentation is for pictures"),
        // Networks.
        (&["train", "iris", "--net", "dens 10 relu"], "  dens 10 relu\n  ^^^^ did you mean 'dense'?"),
        (&["train", "iris", "--net", "dense 8 relu -> dense 4"], "the task needs [batch, 3]"),
        (&["train", "iris", "--net", ""], "^"),
        (&["train", "iris", "--net", "dense 3 softmax", "--loss", "cross_entropy"], "applies its own softmax"),
        (&["train", "iris", "--freeze", "9.*"], "--freeze 9.* fits no parameter"),
        (&["train", "iris", "--freeze", "*"], "leaves nothing to train"),
        (&["train", "iris", "--init", "he_norml"], "he_norm"),
        (&["train", "iris", "--whiten", "yes"], "--whiten: the network begins with 'dense"),
        (&["train", "digits", "--whiten", "yes", "--net", "conv 9 2x2 -> flatten -> dense"], "write 8 or fewer"),
        (&["train", "iris", "--rates", "9.*=2"], "--rates 9.* fits no parameter"),
        (&["train", "iris", "--rates", "*.bias"], "--rates is PATTERN=FACTOR"),
        (&["train", "iris", "--rates", "*.bias=-1"], "--rates is PATTERN=FACTOR"),
        // Training.
        (&["train", "iris", "--loss", "mse"], "does not fit the task multiclass; choose one of cross_entropy"),
        (&["train", "iris", "--loss", "cros_entropy"], "did you mean 'cross_entropy'?"),
        (&["train", "iris", "--optimizer", "adm"], "did you mean 'adam'?"),
        (&["train", "iris", "--schedule", "cosin"], "did you mean 'cosine'?"),
        (&["train", "iris", "--lr", "-1"], "lr"),
        (&["train", "iris", "--batch-size", "0"], "a batch size is a number from 1 or 'full'"),
        (&["train", "iris", "--optimizer", "adamw", "--l2", "0.1"], "--weight-decay"),
        (&["train", "iris", "--clip-norm", "1", "--clip-value", "1"], "cannot be used with"),
        (&["train", "iris", "--clip-norm", "0"], "norm"),
        (&["train", "iris", "--patience", "3", "--no-early-stopping"], "cannot be used with"),
        (&["train", "iris", "--patience", "3", "--validation", "0"], "early stopping needs validation rows"),
        (&["train", "iris", "--monitor", "shape"], "there is no metric 'shape' to watch; there are: loss, accuracy, "),
        (&["train", "iris", "--resume"], "--out"),
        (&["train", "iris", "--isa", "mmx"], "'mmx' is not an instruction set; available here:"),
        (&["train", "iris", "--threads", "0"], "--threads is from 1"),
        (&["train", "iris", "--epoch", "3"], "--epochs"),
        (&["train", "iris", "--epohcs", "3"], "--epochs"),
        (&["train", "iris", "--out", "flowers.csv/run"], "cannot create"),
        // Models.
        (&["evaluate", "none", "--data", "iris"], "there is no model at none"),
        (&["evaluate", "foreign.safetensors", "--data", "iris"], "foreign.safetensors"),
        (&["evaluate", "run", "--data", "digits"], "the model takes a table, but digits is images"),
        (&["evaluate", "run", "--data", "flowers.csv"], "flowers.csv lacks the column(s)"),
        (&["predict", "run", "--data", "none.csv"], "there is no file none.csv"),
        (&["predict", "run", "--data", "flowers.csv", "--out", "p.csv"], "flowers.csv lacks the column(s)"),
        (&["summary", "dense 10"], "give --input"),
        (&["summary", "dense 10", "--input", "many"], "--input is a shape"),
        (&["summary", "dens 10", "--input", "3"], "did you mean 'dense'?"),
        (&["summary", "dense 10 -> dropout 2", "--input", "4"], "dropout 2"),
        (&["data", "none.csv"], "there is no file none.csv"),
    ];
    let mut wrong = Vec::new();
    for (arguments, expected) in cases {
        let message = bench.fails(arguments);
        if !message.contains(expected) {
            wrong.push(format!("{arguments:?} should say {expected:?}, and says:\n{message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!bench.path("p.csv").exists(), "nothing is left of predictions that failed");
    // Mistakes that are found before anything is computed leave no folder behind.
    assert!(!bench.path("runs").exists());
}

#[test]
fn numbers_that_go_bad_end_the_run_with_layer_and_step() {
    let bench = Bench::new();
    let arguments = ["train", "digits", "--lr", "1e9", "--optimizer", "sgd", "-q", "--out", "run"];
    let message = bench.fails(&arguments);
    assert!(message.contains("at step ") && message.contains("in layer ") && message.contains("smaller learning rate"));
    assert!(!bench.path("run/model.safetensors").exists());
}

#[test]
fn a_pipe_that_is_closed_is_no_error() {
    let bench = Bench::new();
    let data = bench.write("flowers.csv", &flowers(60_000));
    bench.ok(&["train", &data, "--epochs", "1", "--out", "run", "-q"]);
    let mut command = bench.command(&["predict", "run", "--data", &data]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", super::text(&output.stderr));
}
