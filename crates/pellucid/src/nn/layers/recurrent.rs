//! Recurrent layers: simple, LSTM, GRU.

use std::sync::Arc;

use kernels::recurrent::Cell;

use super::activation::digits;
use crate::graph::{BuildError, BuildProblem, GraphBuilder, Role, ValueId};
use crate::nn::notation::{Item, NotationError, Reader};
use crate::nn::{Fans, Init, Layer, Lowering};
use crate::ops::{self, Concatenate, Dropout, Nonlinearity, RecurrentCell};

/// The cell of a [`Recurrent`] layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecurrentKind {
    /// A simple network with this function.
    Rnn(Nonlinearity),
    /// Long short-term memory.
    Lstm,
    /// Gated recurrent units.
    Gru,
}

/// A recurrent network over the steps of each row: x [batch, time, in] → the state of the last layer after every step, [batch,
/// time, units], or [batch, time, 2 · units] in both directions: first the forward one's, then the backward one's.
///
/// Parameters of layer l: `weight_ih_l{l}` [gates · units, in], `weight_hh_l{l}` [gates · units, units] and, unless there are
/// none, `bias_ih_l{l}` and `bias_hh_l{l}` [gates · units], those of the backward direction with `_reverse` behind: as in PyTorch,
/// whose order of gates it is (i f g o, r z n). Where rows differ in length, padding leaves the state as it is.
///
/// Notation: `lstm 256`, `rnn 64 relu`, `gru 128 both`, `lstm 256 layers=2 dropout=0.2 nobias init=orthogonal bias_init=zeros`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recurrent {
    /// The cell.
    pub kind: RecurrentKind,
    /// Units of each layer and direction, at least 1.
    pub units: usize,
    /// Layers, one behind the other; 1 by default.
    pub layers: usize,
    /// Both directions; one by default.
    pub both: bool,
    /// Rate of the dropout between two layers; 0 by default.
    pub dropout: f32,
    /// Adds biases; true by default.
    pub bias: bool,
    /// Start of the weights; uniform within ±1/√units by default, as in PyTorch.
    pub weight_init: Init,
    /// Start of the biases; uniform within ±1/√units by default, as in PyTorch.
    pub bias_init: Init,
}

impl Recurrent {
    /// One layer in one direction.
    pub fn new(kind: RecurrentKind, units: usize) -> Recurrent {
        let (weight_init, bias_init) = (Init::Default, Init::Default);
        Recurrent { kind, units, layers: 1, both: false, dropout: 0.0, bias: true, weight_init, bias_init }
    }

    fn word(&self) -> &'static str {
        match self.kind {
            RecurrentKind::Rnn(_) => "rnn",
            RecurrentKind::Lstm => "lstm",
            RecurrentKind::Gru => "gru",
        }
    }

    /// One layer in one direction; names of parameters end in `suffix`.
    fn direction<K: RecurrentCell>(
        &self,
        builder: &mut GraphBuilder,
        cell: K,
        x: ValueId,
        reverse: bool,
        suffix: &str,
    ) -> Result<ValueId, BuildError> {
        let features = builder.shape(x).last().unwrap_or(0);
        let rows = K::Formula::GATES.saturating_mul(self.units);
        // The fan-in of units whose state is what they read most.
        let fans = Fans { fan_in: self.units, fan_out: rows };
        let start = |init: Init| if init == Init::Default { init.of_bias(fans) } else { Ok(init) };
        let fail =
            |builder: &GraphBuilder, error: crate::nn::InitError| builder.error(BuildProblem::Layer(error.to_string()));
        let weight_init = Arc::new(start(self.weight_init).map_err(|error| fail(builder, error))?);
        let bias_init = Arc::new(self.bias_init.of_bias(fans).map_err(|error| fail(builder, error))?);
        let mut inputs = vec![x];
        for (name, columns) in [("weight_ih", features), ("weight_hh", self.units)] {
            let (name, dims) = (format!("{name}{suffix}"), [rows, columns]);
            inputs.push(builder.sized_parameter(&name, &dims, Role::Weight, weight_init.clone())?);
        }
        for name in ["bias_ih", "bias_hh"].iter().filter(|_| self.bias) {
            let name = format!("{name}{suffix}");
            inputs.push(builder.sized_parameter(&name, &[rows], Role::Bias, bias_init.clone())?);
        }
        let lengths = builder.lengths();
        inputs.extend(lengths);
        let (bias, lengths) = (self.bias, lengths.is_some());
        builder.add(ops::Recurrent { cell, bias, reverse, lengths, initial_state: false }, &inputs)
    }
}

impl Layer for Recurrent {
    fn build(&self, builder: &mut GraphBuilder, x: ValueId) -> Result<ValueId, BuildError> {
        let shape = builder.shape(x);
        if shape.rank() != 3 {
            let message = format!("'{}' needs sequences [batch, time, features], here is {shape}", self.word());
            let error = builder.error(BuildProblem::Layer(message));
            return Err(match shape.sample().as_deref() {
                Some([values]) => error.suggest(format!("put a 'reshape' before it, as in reshape {values}x1")),
                _ => error,
            });
        }
        let mut x = x;
        for layer in 0..self.layers {
            if layer > 0 && self.dropout > 0.0 {
                x = builder.add(Dropout { rate: self.dropout }, &[x])?;
            }
            let mut outputs = Vec::new();
            for (reverse, suffix) in [(false, format!("_l{layer}")), (true, format!("_l{layer}_reverse"))] {
                if reverse && !self.both {
                    continue;
                }
                outputs.push(match self.kind {
                    RecurrentKind::Rnn(nonlinearity) => {
                        self.direction(builder, ops::Rnn { nonlinearity }, x, reverse, &suffix)?
                    }
                    RecurrentKind::Lstm => self.direction(builder, ops::Lstm {}, x, reverse, &suffix)?,
                    RecurrentKind::Gru => self.direction(builder, ops::Gru {}, x, reverse, &suffix)?,
                });
            }
            x = match outputs[..] {
                [only] => only,
                _ => builder.add(Concatenate { axis: 2 }, &outputs)?,
            };
        }
        Ok(x)
    }

    fn to_notation(&self) -> Option<Item> {
        let mut item = Item::new(self.word()).with(self.units);
        if self.kind == RecurrentKind::Rnn(Nonlinearity::Relu) {
            item = item.with("relu");
        }
        if self.both {
            item = item.with("both");
        }
        if !self.bias {
            item = item.with("nobias");
        }
        if self.layers != 1 {
            item = item.option("layers", self.layers);
        }
        if self.dropout != 0.0 {
            item = item.option("dropout", digits(self.dropout));
        }
        if self.weight_init != Init::Default {
            item = item.option("init", self.weight_init.to_word());
        }
        if self.bias && self.bias_init != Init::Default {
            item = item.option("bias_init", self.bias_init.to_word());
        }
        Some(item)
    }
}

/// `[both] [nobias] [layers=LAYERS] [dropout=RATE] [init=INIT] [bias_init=INIT]` behind the units.
fn read_rest<'a>(
    read: &mut Reader<'a>,
    context: &Lowering<'a>,
    kind: RecurrentKind,
    units: usize,
) -> Result<Recurrent, NotationError> {
    let both = read.flag("both")?;
    let bias = !read.flag("nobias")?;
    let layers = read.option_size("layers", 1)?.unwrap_or(1);
    let dropout = read.option_number("dropout")?.unwrap_or(0.0);
    let word = read.item().word();
    if !(0.0..=1.0).contains(&dropout) {
        return Err(read.error(format!("dropout of '{word}' must be from 0 to 1: the share of values that become 0")));
    }
    if dropout > 0.0 && layers == 1 {
        let error = read.error(format!("dropout of '{word}' stands between its layers, here is one"));
        return Err(error.suggest(format!("write '-> dropout {dropout}' behind it, or layers=2")));
    }
    let weight_init = context.init(read, "init")?.unwrap_or(context.default_init());
    let bias_init = match context.bias_init(read, "bias_init")? {
        Some(_) if !bias => return Err(read.error("'nobias' leaves nothing that bias_init could start")),
        given => given.unwrap_or(context.default_bias_init()),
    };
    Ok(Recurrent { kind, units, layers, both, dropout: dropout as f32, bias, weight_init, bias_init })
}

/// `rnn UNITS [tanh | relu]` and what [`read_rest`] reads.
pub(crate) fn rnn<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Recurrent, NotationError> {
    let units = read.size("units")?;
    let nonlinearity = match read.word("nonlinearity", &["tanh", "relu"])? {
        Some(word) if !word.numbers.is_empty() => {
            return Err(read.error_at(word.span, format!("'{}' takes no number here", word.name)));
        }
        Some(word) if word.name == "relu" => Nonlinearity::Relu,
        _ => Nonlinearity::Tanh,
    };
    read_rest(read, context, RecurrentKind::Rnn(nonlinearity), units)
}

/// `lstm UNITS` and what [`read_rest`] reads.
pub(crate) fn lstm<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Recurrent, NotationError> {
    let units = read.size("units")?;
    read_rest(read, context, RecurrentKind::Lstm, units)
}

/// `gru UNITS` and what [`read_rest`] reads.
pub(crate) fn gru<'a>(read: &mut Reader<'a>, context: &Lowering<'a>) -> Result<Recurrent, NotationError> {
    let units = read.size("units")?;
    read_rest(read, context, RecurrentKind::Gru, units)
}
