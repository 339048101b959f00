//! From a line of notation to a graph.

use std::borrow::Cow;
use std::ops::Range;

use super::head::free_scope;
use super::notation::{Item, Network, NotationError, Span};
use super::ready::expand;
use super::table::{LayerTable, lower};
use super::{INPUT, Init, Layer, Sequential};
use crate::graph::{BuildError, BuildProblem, Graph, GraphBuilder, LENGTHS};
use crate::ops::{Flatten, SequenceLengths};
use crate::tensor::{Dim, InvalidShape, Shape};

/// How a line becomes a graph.
#[derive(Clone, Debug, Default)]
pub struct NetworkOptions {
    /// Size of the output that the task needs; unknown by default, then any is right and `dense` needs its units.
    pub outputs: Option<usize>,
    /// Rows are sequences of different lengths, padded to one: the graph has an input [`crate::graph::LENGTHS`] as well.
    pub lengths: bool,
    /// The output has these values for each time step, [batch, time, outputs], and not only once a row, [batch, outputs];
    /// false by default.
    pub every_step: bool,
    /// Number of different tokens, where the data are tokens; unknown by default, then `embedding` needs it written out.
    pub vocabulary: Option<usize>,
    /// The token that fills up the ends of shorter rows, if there is one: the lengths of rows are then found from the tokens.
    pub padding: Option<u32>,
    /// How weights start where the line does not say.
    pub weight_init: Init,
    /// How biases start where the line does not say.
    pub bias_init: Init,
    /// The meaning of the words; [`LayerTable::standard`] by default.
    pub table: LayerTable,
}

/// A network as layers and as a graph.
#[derive(Clone, Debug)]
pub struct BuiltNetwork {
    /// The layers, sizes from the task filled in; [`Sequential::to_notation`] prints them.
    pub layers: Sequential,
    /// Their graph: one input called `input`, one output.
    pub graph: Graph,
}

/// Why a line is no network for this input and this task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// A mistake at a place in the line.
    #[error(transparent)]
    Notation(#[from] NotationError),
    /// The input itself is impossible.
    #[error("shape of the input: {0}")]
    Input(InvalidShape),
}

impl NetworkError {
    /// Several lines without colours: see [`NotationError::render`].
    pub fn render(&self) -> String {
        match self {
            NetworkError::Notation(error) => error.render(),
            NetworkError::Input(_) => format!("error: {self}"),
        }
    }
}

/// The graph of a line of notation for rows of `input_shape` (without the batch), with an output of `outputs` values a row
/// if the task says so. See [`NetworkOptions::build`].
///
/// ```
/// use pellucid::nn::{build, notation::Network};
///
/// let graph = build(&Network::parse("dense 128 relu -> dense")?, &[28, 28], Some(10))?;
/// assert_eq!(graph.shape(graph.outputs()[0]).to_string(), "[batch, 10]");
/// let error = build(&Network::parse("dense 128 relu")?, &[28, 28], Some(10)).unwrap_err();
/// assert!(error.render().contains("add '-> dense 10'"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first layer that is unknown or does not fit, with its place in the line.
pub fn build(notation: &Network, input_shape: &[usize], outputs: Option<usize>) -> Result<Graph, NetworkError> {
    NetworkOptions { outputs, ..NetworkOptions::default() }.build(notation, input_shape).map(|built| built.graph)
}

impl NetworkOptions {
    /// The layers and the graph of a line of notation for rows of `input_shape`, without the batch. The name of a ready
    /// network ([`super::READY`]) stands for its layers.
    ///
    /// Rows of more than one axis (pictures) are flattened without a word where the first layer, `dropout` left aside, is
    /// `dense`; that takes no number in the names of parameters. For a dense layer over the last axis alone, begin with
    /// `identity`.
    ///
    /// # Errors
    /// The first layer that is unknown or does not fit, with its place in the line, the shape there and a suggestion.
    pub fn build(&self, notation: &Network, input_shape: &[usize]) -> Result<BuiltNetwork, NetworkError> {
        let axes = [Dim::Batch].into_iter().chain(input_shape.iter().map(|&size| Dim::Fixed(size)));
        let input = Shape::new(axes).map_err(NetworkError::Input)?;
        let notation = &readable(notation, self.outputs)?;
        let layers = lower(notation, self)?;
        let flatten = input.rank() > 2 && begins_with_dense(notation);
        let graph = graph(&layers, input, self, flatten).map_err(|error| located(notation, error))?;
        if let Some(outputs) = self.outputs {
            self.check_output(notation, &graph, outputs)?;
        }
        Ok(BuiltNetwork { layers, graph })
    }

    /// A network without notation with the layers of `head` behind its output. Their parameters are called `head.0.weight` and so on,
    /// or `head2.0.weight` where there is a head already.
    ///
    /// ```
    /// use pellucid::nn::{NetworkOptions, backbone_graph, network, notation::Network};
    ///
    /// let trained = network("conv 16 3x3 relu -> global-avgpool -> dense 10 softmax", &[3, 8, 8], None)?;
    /// let backbone = backbone_graph(&trained).expect("there are weights at its end");
    /// let options = NetworkOptions { outputs: Some(3), ..NetworkOptions::default() };
    /// let graph = options.build_on(backbone, &Network::parse("dense 64 relu -> dense")?)?;
    /// assert_eq!(graph.shape(graph.outputs()[0]).to_string(), "[batch, 3]");
    /// assert_eq!(graph.parameters().last().expect("a bias").name, "head.2.bias");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`NetworkOptions::build`].
    pub fn build_on(&self, backbone: Graph, head: &Network) -> Result<Graph, NetworkError> {
        let head = &readable(head, self.outputs)?;
        let layers = lower(head, self)?;
        let (x, scope) = (backbone.outputs()[0], free_scope(&backbone));
        let mut builder = backbone.extend();
        let y = builder.scoped(scope, |builder| layers.build(builder, x)).map_err(|error| located(head, error))?;
        let graph = builder.finish(&[y]);
        if let Some(outputs) = self.outputs {
            self.check_output(head, &graph, outputs)?;
        }
        Ok(graph)
    }

    /// Refuses an output that is not [batch, outputs], or [batch, time, outputs] if every step has one.
    fn check_output(&self, notation: &Network, graph: &Graph, outputs: usize) -> Result<(), NotationError> {
        let output = graph.shape(graph.outputs()[0]);
        let time = graph.shape(graph.inputs()[0].value).sample().and_then(|sizes| sizes.first().copied());
        let needed = match time.filter(|_| self.every_step) {
            Some(time) => Shape::batched(&[time, outputs]),
            None => Shape::batched(&[outputs]),
        };
        if *output == needed {
            return Ok(());
        }
        let all = notation.layers();
        let last = all.last().expect("a network has a layer");
        let sized = all.iter().rev().find(|item| item.word() == "dense");
        let is_sequence = all.iter().any(|item| OF_SEQUENCES.contains(&item.word()));
        let (item, advice) = match sized {
            _ if output.rank() != needed.rank() && self.every_step => {
                let one_step = all.iter().find(|item| ["last", "flatten"].contains(&item.word()));
                let advice = match one_step {
                    Some(item) => format!("leave out '{}': an output is needed for each time step", item.word()),
                    None => "begin with 'embedding 64', and keep the steps apart up to the end".to_string(),
                };
                (one_step.unwrap_or(last), advice)
            }
            _ if output.rank() == 3 && needed.rank() == 2 && is_sequence => {
                (last, format!("put 'last ->' before '{last}': one output is needed for a whole sequence"))
            }
            _ if output.rank() != needed.rank() => (last, "put 'flatten ->' before the last layer".to_string()),
            // A hidden layer is the last: what makes the output is missing.
            Some(item) if is_output(item) && std::ptr::eq(*item, *last) => (item, format!("write 'dense {outputs}'")),
            _ => (last, format!("add '-> dense {outputs}'")),
        };
        let message = format!("the network ends in {output}, the task needs {needed}");
        Err(item.error(item.span(), message).suggest(advice))
    }
}

/// A line with the layers of ready networks in it, that errors can point at: a network that was never text is read from its own
/// line.
fn readable(notation: &Network, outputs: Option<usize>) -> Result<Cow<'_, Network>, NotationError> {
    let expanded = expand(notation, outputs)?;
    if expanded.is_none() && notation.items()[0].span() != Span::default() {
        return Ok(Cow::Borrowed(notation));
    }
    Ok(Cow::Owned(Network::parse(&expanded.as_ref().unwrap_or(notation).to_string())?))
}

fn graph(layers: &Sequential, input: Shape, options: &NetworkOptions, flatten: bool) -> Result<Graph, BuildError> {
    let mut builder = GraphBuilder::new();
    let mut x = builder.input(INPUT, input)?;
    if let Some(padding) = options.padding {
        let lengths = builder.scoped("lengths", |builder| builder.add(SequenceLengths { padding }, &[x]))?;
        builder.set_lengths(lengths);
    }
    if options.lengths {
        builder.input(LENGTHS, Shape::batched(&[]))?;
    }
    if flatten {
        x = builder.scoped("flatten", |builder| builder.add(Flatten, &[x]))?;
    }
    let y = layers.build(&mut builder, x)?;
    Ok(builder.finish(&[y]))
}

fn begins_with_dense(notation: &Network) -> bool {
    let layers = notation.layers();
    let first = layers.iter().find(|item| item.word() != "dropout");
    first.is_some_and(|item| {
        item.word() == "dense" || item.word() != "from-last" && item.branches().first().is_some_and(begins_with_dense)
    })
}

/// The error of a layer at its place in the line.
fn located(notation: &Network, error: BuildError) -> NotationError {
    let first = &notation.items()[0];
    let span = error.place.map_or(first.span(), Span::from);
    let message = match *error.problem {
        BuildProblem::Op { op, reason, .. } => format!("{op}: {reason}"),
        problem => problem.to_string(),
    };
    let mut pointed = first.error(span, message);
    if let Some(input) = error.input {
        pointed = pointed.note(format!("shape here: {input}"));
    }
    match error.suggestion {
        Some(suggestion) => pointed.suggest(suggestion),
        None => pointed,
    }
}

/// Words of layers that give something for each time step.
const OF_SEQUENCES: [&str; 7] = ["attention", "embedding", "gru", "lstm", "positions", "rnn", "transformer"];

/// A dense layer that can be the last: without activation, or with one that makes probabilities.
fn is_output(item: &Item) -> bool {
    let words = ["softmax", "log_softmax", "sigmoid", "tanh"];
    let activation = |argument: &super::notation::Argument| match argument.value() {
        super::notation::Value::Word(word) if argument.key().is_none() => Some(word.name().to_string()),
        _ => None,
    };
    item.arguments().iter().filter_map(activation).all(|word| word == "nobias" || words.contains(&word.as_str()))
}

impl From<Span> for Range<usize> {
    fn from(span: Span) -> Range<usize> {
        span.start..span.end
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Span {
        Span { start: range.start, end: range.end }
    }
}
