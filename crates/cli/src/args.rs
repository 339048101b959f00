//! The command line: commands and flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::settings::Settings;
use crate::tune::TuneOptions;

/// Neural networks from scratch: train, evaluate and use them, with the same bits on every machine.
#[derive(Debug, Parser)]
#[command(name = "pellucid", version, max_term_width = 120, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  pellucid train digits
  pellucid train houses.csv --target price
  pellucid predict runs/houses-1/model.safetensors --data new.csv --out predicted.csv";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Learn from data: writes a model, a report and everything needed to repeat the run
    #[command(after_help = TRAIN_EXAMPLES, allow_negative_numbers = true)]
    Train(Box<TrainArgs>),
    /// Measure a model on data whose answers are known
    #[command(after_help = EVALUATE_EXAMPLES)]
    Evaluate(EvaluateArgs),
    /// Add predictions to the rows of a file
    #[command(after_help = PREDICT_EXAMPLES)]
    Predict(PredictArgs),
    /// Forecast how a series goes on, with a model of series
    #[command(after_help = FORECAST_EXAMPLES)]
    Forecast(ForecastArgs),
    /// Write on behind a beginning, with a model of text
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate(GenerateArgs),
    /// Show the layers of a network or model: shapes, parameters, cost, memory
    #[command(after_help = SUMMARY_EXAMPLES)]
    Summary(SummaryArgs),
    /// Follow one training step number by number: forward, backward by the chain rule, update
    #[command(after_help = EXPLAIN_EXAMPLES, allow_negative_numbers = true)]
    Explain(Box<ExplainArgs>),
    /// Look for what is wrong with data, network and run: scales, leaks, dead units, learning rate, overfitting, …
    #[command(after_help = DIAGNOSE_EXAMPLES, allow_negative_numbers = true)]
    Diagnose(Box<DiagnoseArgs>),
    /// Try all learning rates in one short run, and propose one
    #[command(after_help = LR_FIND_EXAMPLES, allow_negative_numbers = true)]
    LrFind(Box<LrFindArgs>),
    /// Search for settings that do well: learning rate, layers, widths, …; then train with the best
    #[command(after_help = TUNE_EXAMPLES, allow_negative_numbers = true)]
    Tune(Box<TuneArgs>),
    /// Runs side by side: what they differ in, what came of it, and whether it may be chance
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Repeat a run up to an update, and go on from there another way
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(ReplayArgs),
    /// Hold backpropagation against differences in double precision, layer by layer
    #[command(after_help = CHECK_EXAMPLES)]
    CheckGradients(CheckArgs),
    /// Show what is in the data, and what training would make of it
    #[command(after_help = DATA_EXAMPLES, allow_negative_numbers = true)]
    Data(Box<DataArgs>),
    /// Make a model of a network in ONNX
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Write a model as a network in ONNX
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Compute a network's outputs for arrays of numbers
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
}

/// How things are shown.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Look {
    /// One JSON object on standard output and nothing else there
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// No progress and no notes; results and errors only
    #[arg(long, short = 'q', help_heading = "Output")]
    pub quiet: bool,
    /// No characters beyond ASCII
    #[arg(long, help_heading = "Output")]
    pub ascii: bool,
}

/// `pellucid train`.
#[derive(Args, Debug)]
pub struct TrainArgs {
    /// A data set's name, a CSV or TSV file or a text (gzipped or not), a folder or tar archive of pictures or texts, or a
    /// run.toml with settings
    #[arg(value_name = "DATA")]
    pub data: String,
    /// Settings.
    #[command(flatten)]
    pub settings: Settings,
    /// Go on with the run in the folder --out from its last checkpoint
    #[arg(long, help_heading = "Run", requires = "out", conflicts_with = "force")]
    pub resume: bool,
    /// Replace the run that is in the folder --out
    #[arg(long, help_heading = "Run")]
    pub force: bool,
    /// How things are shown.
    #[command(flatten)]
    pub look: Look,
}

const TRAIN_EXAMPLES: &str = "\
DATA by name: digits, iris (in the program); mnist, fashion-mnist, cifar10 (downloaded, or from --data-dir);
xor, moons, circles, spiral, blobs, sine (generated).
DATA of pictures: train/CLASS/*.png and test/CLASS/*.png, or CLASS/*.png alone (also jpg, gif, bmp, webp), in a folder,
a .tar or a .tar.gz; the names of the folders are the classes.
DATA of texts to be told apart: the same with .txt (where there are pictures as well, the texts are left out).
A text (.txt, .text, .md, or any file with --tokens) is learnt to be written on: see `pellucid generate`.
With --text each row of a table is a document: its target is learnt from the words of that column.
With --id the lines of a table are steps of sequences, which are told apart by their target: numbers in columns, in time.
With --horizon a table is a series: the future of its target is learnt from the past of all its columns of numbers.
A run.toml has the same names as the flags, one `name = value` a line, and `data`; flags win.

Examples:
  pellucid train digits
  pellucid train adult-train.csv --target -1 --test adult-test.csv
  pellucid train houses.csv --target price --net \"dense 64 relu -> dense 64 relu -> dense\" --lr 3e-3
  pellucid train mnist --data-dir mnist/ --net \"dense 128 relu -> dense 10\" --epochs 10 --batch-size 32
  pellucid train mnist --net mnist-cnn --augment \"rotate 10, shift 2, scale 0.9..1.1\"
  pellucid train pictures/ --size 64
  pellucid train shakespeare.txt
  pellucid train reviews.csv --text review --target stars
  pellucid train mails/
  pellucid train runs.csv --id run --time t --target kind
  pellucid train passengers.csv --target Passengers --horizon 12
  pellucid train sales.csv --target sales --horizon 7 --known price,holiday
  pellucid train pictures.tar.gz --net resnet20
  pellucid train flowers/ --from runs/cifar10-1 --freeze backbone --head \"dense 64 relu -> dense\"
  pellucid train flowers/ --from resnet18.onnx --freeze backbone
  pellucid train flowers/ --from resnet.pt --net resnet20 --rename module. --thaw 5 --freeze backbone --rate-decay 0.8
  pellucid train run.toml --seed 2 --out runs/second
  pellucid train digits --out runs/d --resume";

/// `pellucid evaluate`.
#[derive(Args, Debug)]
pub struct EvaluateArgs {
    /// The model: a model.safetensors, or the folder of a run
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// A CSV or TSV file with the answers, a folder or archive of pictures or texts, or a data set's name (its test part)
    #[arg(long, value_name = "FILE|FOLDER|NAME")]
    pub data: String,
    /// How files are read, and what computes.
    #[command(flatten)]
    pub input: InputArgs,
    /// Rows per class, confusion and the like go to standard output unless --json.
    #[command(flatten)]
    pub look: Look,
}

const EVALUATE_EXAMPLES: &str = "\
Examples:
  pellucid evaluate runs/adult-train-1/model.safetensors --data adult-test.csv
  pellucid evaluate runs/digits-1 --data digits
  pellucid evaluate runs/pictures-1 --data pictures/
  pellucid evaluate runs/mnist-1 --data mnist --data-dir mnist/ --json";

/// `pellucid predict`.
#[derive(Args, Debug)]
pub struct PredictArgs {
    /// The model: a model.safetensors, or the folder of a run
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// A CSV or TSV file with the inputs (answers may be there and are not used), or - for standard input; a picture or a
    /// text (.txt), or a folder or archive of such
    #[arg(long, value_name = "FILE|FOLDER|-")]
    pub data: String,
    /// Where the rows with predictions go [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How files are read, and what computes.
    #[command(flatten)]
    pub input: InputArgs,
    /// No notes; results and errors only
    #[arg(long, short = 'q')]
    pub quiet: bool,
}

const PREDICT_EXAMPLES: &str = "\
Writes the rows of DATA as CSV with a header and further columns: for classes `prediction` and
`probability_CLASS` for each, for labels `prediction_LABEL` and `probability_LABEL`, for numbers
`prediction` in the units of the target (`prediction_TARGET` if there are several).
Sequences (lines of a table with the same id) have a row each, too. Pictures and texts have a row each, with the column `file` in front.

Examples:
  pellucid predict runs/houses-1/model.safetensors --data new.csv --out predicted.csv
  pellucid predict runs/pictures-1 --data picture.png
  pellucid predict runs/pictures-1 --data new-pictures/ --out predicted.csv
  cut -d, -f1-4 flowers.csv | pellucid predict runs/iris-1 --data -";

/// `pellucid forecast`.
#[derive(Args, Debug)]
pub struct ForecastArgs {
    /// The model: a model.safetensors, or the folder of a run
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// A CSV or TSV file with the series so far, the last step in the last line; behind it, lines with columns that are --known in
    /// advance, and what is to be forecast left empty
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Steps to forecast [default: the horizon of the model]; what lies beyond it is forecast from what was forecast
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Where the forecast goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What separates the fields of the file [default: detected]
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<String>,
    /// Whether the first line holds names: yes or no [default: detected]
    #[arg(long, value_name = "YES|NO")]
    pub header: Option<crate::settings::YesNo>,
    /// Threads [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Instruction set: avx512, avx2, neon or scalar [default: the fastest]
    #[arg(long, value_name = "NAME")]
    pub isa: Option<String>,
}

const FORECAST_EXAMPLES: &str = "\
Writes CSV: the time of each step (or its number) and the columns that are forecast.

Examples:
  pellucid forecast runs/passengers-1 --data passengers.csv
  pellucid forecast runs/passengers-1 --data passengers.csv --steps 24 --out next.csv";

/// `pellucid generate`.
#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// The model: a model.safetensors, or the folder of a run
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// What the text begins with [default: a new line]
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Tokens to write
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub length: u64,
    /// Below 1 likely tokens become likelier, above 1 less so; 0 always takes the likeliest
    #[arg(long, value_name = "X", default_value_t = 0.8)]
    pub temperature: f64,
    /// Only the K likeliest tokens are drawn from [default: all]
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Only the fewest likeliest tokens are drawn from that together have this probability
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub top_p: f64,
    /// The same seed writes the same text
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Threads [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Instruction set: avx512, avx2, neon or scalar [default: the fastest]
    #[arg(long, value_name = "NAME")]
    pub isa: Option<String>,
}

const GENERATE_EXAMPLES: &str = "\
Examples:
  pellucid generate runs/shakespeare-1 --prompt \"ROMEO:\" --length 1000
  pellucid generate runs/shakespeare-1 --temperature 1 --top-k 20 --seed 3";

/// How files are read and what computes; for `evaluate` and `predict`.
#[derive(Args, Clone, Debug, Default)]
pub struct InputArgs {
    /// What separates the fields of the file [default: detected]
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<String>,
    /// Whether the first line holds names: yes or no [default: detected]
    #[arg(long, value_name = "YES|NO")]
    pub header: Option<crate::settings::YesNo>,
    /// Folder with the files of mnist, fashion-mnist or cifar10
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Memory for files of pictures or texts, such as 500MB or 8GB [default: 2GB]
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<crate::settings::Memory>,
    /// Leave out pictures and texts that cannot be read
    #[arg(long)]
    pub skip_bad: bool,
    /// Threads [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Instruction set: avx512, avx2, neon or scalar [default: the fastest]
    #[arg(long, value_name = "NAME")]
    pub isa: Option<String>,
}

/// `pellucid summary`.
#[derive(Args, Debug)]
pub struct SummaryArgs {
    /// The notation of a network, a model.safetensors, or the folder of a run
    #[arg(value_name = "NET|MODEL")]
    pub network: String,
    /// Shape of one row: 784, or 1x28x28; a model knows its own
    #[arg(long, value_name = "SHAPE")]
    pub input: Option<String>,
    /// Rows of a batch, for the memory of a training step
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub batch_size: u64,
    /// How things are shown.
    #[command(flatten)]
    pub look: Look,
}

const SUMMARY_EXAMPLES: &str = "\
Examples:
  pellucid summary \"dense 128 relu -> dense 10\" --input 784
  pellucid summary runs/digits-1";

/// How an explanation is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a terminal.
    #[default]
    Text,
    /// A page that needs no network and no script.
    Html,
    /// One object with all numbers.
    Json,
}

/// `pellucid explain`.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// The model: a model.safetensors, or the folder of a run; or else give --net
    #[arg(value_name = "MODEL", required_unless_present = "net", conflicts_with = "net")]
    pub model: Option<PathBuf>,
    /// Rows with known answers, as `evaluate` takes them; with --net a CSV file of numbers, used as they are
    #[arg(long, value_name = "DATA")]
    pub data: String,
    /// Which rows, counted from 0; several make a batch
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [0])]
    pub row: Vec<usize>,
    /// A network that was not trained: its notation, such as "dense 2 sigmoid -> dense 2 sigmoid"
    #[arg(long, value_name = "NOTATION")]
    pub net: Option<String>,
    /// With --net: columns to predict, by name or index [default: the last]
    #[arg(
        long,
        short = 't',
        value_name = "COLUMN",
        value_delimiter = ',',
        allow_hyphen_values = true,
        requires = "net"
    )]
    pub target: Vec<String>,
    /// With --net: what is made small [default: mse]
    #[arg(long, value_name = "LOSS", requires = "net")]
    pub loss: Option<String>,
    /// With --net: seed of the weights that --weights does not give
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Weights in place of those of the model: JSON with arrays by name, such as {"0.bias": [0.35, 0.35]}, safetensors, npz or pt
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Show what one update makes of each weight
    #[arg(long)]
    pub step: bool,
    /// The optimiser of that update, from a fresh state [default: that of the run; sgd with --net]
    #[arg(long, value_name = "NAME[:SETTINGS]")]
    pub optimizer: Option<String>,
    /// Its learning rate [default: that of the run]
    #[arg(long, value_name = "X")]
    pub lr: Option<f64>,
    /// Only this layer, as `summary` numbers them: 2, or 2.0 for a part of it
    #[arg(long, value_name = "N")]
    pub layer: Option<String>,
    /// Only this unit of each layer, counted from 0
    #[arg(long, value_name = "K")]
    pub neuron: Option<usize>,
    /// How many of many numbers are shown: the largest
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub top: usize,
    /// Instead of a row: by how much the answers to all rows of a table get worse when a column is permuted
    #[arg(long, conflicts_with_all = ["net", "row", "step", "layer", "neuron"])]
    pub importance: bool,
    /// Permutations of each column
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub repeats: u16,
    /// How it is written
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where it goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// No characters beyond ASCII
    #[arg(long)]
    pub ascii: bool,
    /// How rows are read.
    #[command(flatten)]
    pub input: InputArgs,
}

const EXPLAIN_EXAMPLES: &str = "\
Small networks are computed in double precision and written out term by term; of large layers
sizes, extremes and the largest contributions are shown. Ops behave as at inference: no dropout.

Examples:
  pellucid explain runs/iris-1 --data iris.csv --row 7 --step
  pellucid explain runs/mnist-1 --data mnist --row 3 --layer 2 --neuron 5
  pellucid explain runs/iris-1 --data iris.csv --format html --out step.html
  pellucid explain runs/adult-1 --data adult-test.csv --importance
  pellucid explain --net \"dense 2 sigmoid -> dense 2 sigmoid\" --weights weights.json \\
    --data example.csv --target o1,o2 --lr 0.5 --step";

/// `pellucid diagnose`.
#[derive(Args, Debug)]
pub struct DiagnoseArgs {
    /// The folder of a run, a run.toml, or data as `train` takes it
    #[arg(value_name = "RUN|CONFIG|DATA")]
    pub data: String,
    /// As for `train`.
    #[command(flatten)]
    pub settings: Settings,
    /// How it is shown.
    #[command(flatten)]
    pub look: Look,
}

const DIAGNOSE_EXAMPLES: &str = "\
Each finding names the layer or column, the number, what helps, and the source of the rule. The
trained network and its epochs are looked at in the folder of a run; `train` does so at its end.

Examples:
  pellucid diagnose runs/people-1
  pellucid diagnose people.csv --target income --net \"dense 64 sigmoid -> dense\"";

/// `pellucid tune`.
#[derive(Args, Debug)]
pub struct TuneArgs {
    /// What to learn from, as `train` takes it: often a run.toml with [tune] and [space]
    #[arg(value_name = "DATA|CONFIG")]
    pub data: String,
    /// How it is searched.
    #[command(flatten)]
    pub tune: TuneOptions,
    /// What stays the same in all trials.
    #[command(flatten)]
    pub settings: Settings,
    /// Go on with the search in the folder --out, or join the processes that do
    #[arg(long, help_heading = "Run", requires = "out", conflicts_with = "force")]
    pub resume: bool,
    /// Replace the search that is in the folder --out
    #[arg(long, help_heading = "Run")]
    pub force: bool,
    /// How it is shown.
    #[command(flatten)]
    pub look: Look,
}

const TUNE_EXAMPLES: &str = "\
Trains many networks and keeps the best; those that are behind are given up early. With --folds the best network learns from all
rows that are not for the test. What is searched stands below [space] in a
run.toml: a setting by its name, or anything that stands in a setting in braces. Without it the usual things are searched.

  data = \"people.csv\"
  net = \"{layers} * (dense {width} {activation} -> dropout {dropout}) -> dense\"
  [tune]
  trials = 100
  folds = 5
  [space]
  lr = { low = 1e-4, high = 0.1, log = true }
  layers = { low = 1, high = 3, whole = true }
  width = { low = 16, high = 256, log = true, whole = true }
  activation = [\"relu\", \"tanh\"]
  dropout = { low = 0, high = 0.5 }
  optimizer = [\"adamw\", \"sgd:momentum={momentum}\"]
  momentum = { low = 0.5, high = 0.99, when = { optimizer = \"sgd:momentum={momentum}\" } }

The same seed tries the same settings with the same results, whatever the number of processes and threads; a search that was
killed goes on with --resume, and several processes with the same --out and --resume share it.

Examples:
  pellucid tune houses.csv --target price --trials 100
  pellucid tune run.toml --budget 20m --out searches/houses
  pellucid tune people.csv --target income --folds 5 --metric roc_auc --pruner none";

/// `pellucid lr-find`.
#[derive(Args, Debug)]
pub struct LrFindArgs {
    /// What to learn from, as `train` takes it
    #[arg(value_name = "DATA")]
    pub data: String,
    /// The first rate
    #[arg(long, value_name = "X", default_value_t = 1e-6)]
    pub min_lr: f64,
    /// The last rate
    #[arg(long, value_name = "X", default_value_t = 10.0)]
    pub max_lr: f64,
    /// Updates, each with a rate of its own
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub steps: u32,
    /// As for `train`.
    #[command(flatten)]
    pub settings: Settings,
    /// How it is shown.
    #[command(flatten)]
    pub look: Look,
}

const LR_FIND_EXAMPLES: &str = "\
A fresh network learns with a rate that grows from update to update, until its loss leaps.

Examples:
  pellucid lr-find people.csv --target income
  pellucid lr-find mnist --net mnist-cnn --optimizer sgd:momentum=0.9 --batch-size 128";

/// `pellucid compare`.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// Folders of finished runs
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// The metric to judge by [default: accuracy, f1_micro, r2, perplexity or loss]
    #[arg(long, value_name = "METRIC")]
    pub metric: Option<String>,
    /// A page with the curves of all losses
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// How it is shown.
    #[command(flatten)]
    pub look: Look,
}

const COMPARE_EXAMPLES: &str = "\
Runs that differ in their seed alone are one group: its mean and standard deviation are shown. Two
groups over the same seeds are compared by a paired t-test.

Examples:
  pellucid compare runs/people-1 runs/people-2 --html compared.html
  pellucid compare runs/wide-* runs/deep-* --metric roc_auc";

/// `pellucid replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Folder of a run
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// The update, counted from 1, up to which all is as the first time
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..))]
    pub to_step: u64,
    /// Settings of `train` from there on, such as lr=1e-4 or clip-norm=1. May be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub change: Vec<String>,
    /// Folder of the new run [default: runs/NAME-N]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How it is shown.
    #[command(flatten)]
    pub look: Look,
}

const REPLAY_EXAMPLES: &str = "\
The first K updates give the same bits as in RUN, and that is checked. Without --change the state is left
as a checkpoint; with it the run goes on to its end, and both are shown side by side.

Examples:
  pellucid replay runs/people-1 --to-step 1200
  pellucid replay runs/people-1 --to-step 1200 --change lr=1e-4 --change weight-decay=0.01";

/// `pellucid check-gradients`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// A network in its notation, a model.safetensors, or the folder of a run
    #[arg(value_name = "NET|MODEL")]
    pub network: String,
    /// Shape of a row, for a network: 784, 3x32x32
    #[arg(long, value_name = "SHAPE")]
    pub input: Option<String>,
    /// The loss of a network [default: mse]; a model has its own
    #[arg(long, value_name = "LOSS")]
    pub loss: Option<String>,
    /// Rows of the batch
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub rows: u32,
    /// Places of each parameter and input that are compared, drawn at random
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub places: usize,
    /// Most that a gradient may be off, in parts of its size
    #[arg(long, value_name = "X", default_value_t = 1e-4)]
    pub tolerance: f64,
    /// Seed of rows, weights and places
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// How it is shown.
    #[command(flatten)]
    pub look: Look,
}

const CHECK_EXAMPLES: &str = "\
The loss of the whole network is computed in f64, by code that has nothing to do with the kernels,
with each place moved up and down. Rows are drawn at random. Places without a derivative (relu at 0)
are counted, not compared. Ends with an error when a gradient is off.

Examples:
  pellucid check-gradients \"conv 4 3x3 -> batchnorm relu -> flatten -> dense 3\" --input 1x8x8 --loss cross_entropy
  pellucid check-gradients runs/iris-1";

/// `pellucid data`.
#[derive(Args, Debug)]
pub struct DataArgs {
    /// A data set's name, a CSV or TSV file (gzipped or not), or a folder or tar archive of pictures or texts
    #[arg(value_name = "DATA")]
    pub data: String,
    /// Those about data count here.
    #[command(flatten)]
    pub settings: Settings,
    /// How things are shown.
    #[command(flatten)]
    pub look: Look,
}

const DATA_EXAMPLES: &str = "\
Examples:
  pellucid data adult-train.csv
  pellucid data houses.csv --target price
  pellucid data mnist --data-dir mnist/
  pellucid data pictures.tar.gz";

/// How the open sizes of a network in ONNX are fixed.
#[derive(Args, Clone, Debug, Default)]
pub struct OnnxInputs {
    /// The size of an axis that has a name and is not the batch, such as --size time=128
    #[arg(long, value_name = "NAME=N")]
    pub size: Vec<String>,
    /// An input that has one value for good, such as --fix shape=shape.npy
    #[arg(long, value_name = "NAME=FILE")]
    pub fix: Vec<String>,
}

/// `pellucid import`.
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// The network: an .onnx file
    #[arg(value_name = "NET")]
    pub network: PathBuf,
    /// The model that is written
    #[arg(long, value_name = "FILE", default_value = "model.safetensors")]
    pub out: PathBuf,
    /// Sizes and inputs that are fixed.
    #[command(flatten)]
    pub inputs: OnnxInputs,
    /// How things are shown.
    #[command(flatten)]
    pub look: Look,
}

const IMPORT_EXAMPLES: &str = "\
The first axis with a name is the batch. What the network does that Pellucid has no way to do is listed, node by node.

Examples:
  pellucid import net.onnx --out model.safetensors
  pellucid import tagger.onnx --size time=64
  pellucid summary model.safetensors";

/// `pellucid export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The model: a model.safetensors, or the folder of a run
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The network that is written
    #[arg(long, value_name = "FILE", default_value = "model.onnx")]
    pub out: PathBuf,
    /// The network alone, without what prepares columns of numbers or the bytes of pictures for it
    #[arg(long)]
    pub encoded: bool,
    /// How things are shown.
    #[command(flatten)]
    pub look: Look,
}

const EXPORT_EXAMPLES: &str = "\
The outputs are those of the network: logits for classes, standardised numbers. Bytes of pictures and rows of a table (a number
for each column; the place of a category among its levels, which the metadata name; NaN for what is missing) are prepared in
the file. Classes, task and preprocessing are in its metadata, with which `pellucid import` makes the same model again.

Examples:
  pellucid export runs/digits-1 --out digits.onnx";

/// `pellucid run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// A model.safetensors, the folder of a run, or an .onnx file
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// An array of numbers (.npy) with the rows of the batch first; NAME=FILE for each of several inputs
    #[arg(long, value_name = "FILE", required = true)]
    pub input: Vec<String>,
    /// Where the outputs go (.npy); further ones beside it, with their names
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Sizes and inputs that are fixed, for an .onnx file.
    #[command(flatten)]
    pub inputs: OnnxInputs,
    /// How things are shown.
    #[command(flatten)]
    pub look: Look,
}

const RUN_EXAMPLES: &str = "\
Examples:
  pellucid run runs/digits-1 --input x.npy --out y.npy
  pellucid run net.onnx --input image=x.npy --input mask=m.npy --out y.npy";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
