//! What the words of the notation mean: one line for each layer.

use std::fmt;
use std::sync::Arc;

use super::layers::{self, ACTIVATIONS, Repeat, Written};
use super::notation::{Item, Network, NotationError, Reader, Value, Word};
use super::{Init, Layer, NetworkOptions, READY, Sequential};

type ReadLayer = dyn for<'a> Fn(&mut Reader<'a>, &Lowering<'a>) -> Result<Arc<dyn Layer>, NotationError> + Send + Sync;
type MakeActivation = dyn Fn(&[f64]) -> Result<Arc<dyn Layer>, String> + Send + Sync;

/// The layers of the notation by their words. A program can add its own:
///
/// ```
/// use pellucid::nn::notation::Network;
/// use pellucid::nn::{Dense, LayerTable, NetworkOptions};
///
/// let table = LayerTable::standard().with("wide", |read, _| {
///     let factor = read.size("factor")?;
///     Ok(Dense { units: 100 * factor, ..Dense::default() })
/// });
/// let options = NetworkOptions { table, outputs: Some(3), ..NetworkOptions::default() };
/// let built = options.build(&"wide 2 -> relu -> dense".parse()?, &[4])?;
/// assert_eq!(built.graph.shape(built.graph.parameters()[0].value).to_string(), "[200, 4]");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LayerTable {
    layers: Vec<(String, Arc<ReadLayer>)>,
    activations: Vec<ActivationEntry>,
}

#[derive(Clone)]
struct ActivationEntry {
    word: String,
    /// Defaults of the numbers behind the word.
    defaults: Vec<f64>,
    make: Arc<MakeActivation>,
}

/// Says of a closure that reader and context share the lifetime of the line, which the compiler does not find out itself.
fn with_one_lifetime<F>(read: F) -> F
where
    F: for<'a> Fn(&mut Reader<'a>, &Lowering<'a>) -> Result<Arc<dyn Layer>, NotationError>,
{
    read
}

impl Default for LayerTable {
    fn default() -> LayerTable {
        LayerTable::standard()
    }
}

impl LayerTable {
    /// All layers and activations of this crate.
    pub fn standard() -> LayerTable {
        let mut table = LayerTable { layers: Vec::new(), activations: Vec::new() };
        for known in ACTIVATIONS {
            let defaults: Vec<f64> = known.settings.iter().map(|(_, default)| *default).collect();
            table = table.with_activation(known.word, &defaults, |numbers| Ok((known.layer)(numbers)));
        }
        table
            .with("adaptive-avgpool", layers::adaptive_average)
            .with("adaptive-maxpool", layers::adaptive_max)
            .with("attention", layers::attention)
            .with("avgpool", layers::average_pool)
            .with("batchnorm", layers::batch_norm)
            .with("concat", layers::concat)
            .with("conv", layers::conv)
            .with("conv1d", layers::conv1d)
            .with("conv1d-transpose", layers::conv1d_transpose)
            .with("conv-transpose", layers::conv_transpose)
            .with("dense", layers::dense)
            .with("depthwise", layers::depthwise)
            .with("dropout", layers::dropout)
            .with("embedding", layers::embedding)
            .with("first", layers::first)
            .with("flatten", layers::flatten)
            .with("from-last", layers::from_last)
            .with("global-avgpool", layers::global_average)
            .with("global-maxpool", layers::global_max)
            .with("groupnorm", layers::group_norm)
            .with("gru", layers::gru)
            .with("identity", layers::identity)
            .with("last", layers::last)
            .with("layernorm", layers::layer_norm)
            .with("lstm", layers::lstm)
            .with("max-time", layers::max_time)
            .with("maxpool", layers::max_pool)
            .with("mean-time", layers::mean_time)
            .with("pad", layers::pad)
            .with("positions", layers::positions)
            .with("reshape", layers::reshape)
            .with("rmsnorm", layers::rms_norm)
            .with("residual", layers::residual)
            .with("rnn", layers::rnn)
            .with("spatial-dropout", layers::spatial_dropout)
            .with("stochastic-depth", layers::stochastic_depth)
            .with("tokens", layers::tokens)
            .with("transformer", layers::transformer)
            .with("upsample", layers::upsample)
    }

    /// With one more layer, in the place of a former one of the same word. `read` takes the arguments that it knows; what it
    /// leaves is an error, which the caller raises.
    ///
    /// # Panics
    /// If `word` is not a name of the grammar.
    pub fn with<L: Layer + 'static>(
        mut self,
        word: &str,
        read: impl for<'a> Fn(&mut Reader<'a>, &Lowering<'a>) -> Result<L, NotationError> + Send + Sync + 'static,
    ) -> LayerTable {
        Word::new(word, &[]);
        self.remove(word);
        let read = with_one_lifetime(move |reader, context| Ok(Arc::new(read(reader, context)?)));
        self.layers.push((word.to_string(), Arc::new(read)));
        self
    }

    /// With one more activation, in the place of a former one of the same word. It can stand alone (`leaky_relu 0.02`) or
    /// behind another layer's arguments (`dense 8 leaky_relu:0.02`); `make` is given as many numbers as there are defaults,
    /// and may say what is wrong with them.
    ///
    /// # Panics
    /// If `word` is not a name of the grammar, or there are more than eight defaults.
    pub fn with_activation(
        mut self,
        word: &str,
        defaults: &[f64],
        make: impl Fn(&[f64]) -> Result<Arc<dyn Layer>, String> + Send + Sync + 'static,
    ) -> LayerTable {
        Word::new(word, defaults);
        self.remove(word);
        self.activations.push(ActivationEntry {
            word: word.to_string(),
            defaults: defaults.to_vec(),
            make: Arc::new(make),
        });
        self
    }

    fn remove(&mut self, word: &str) {
        self.layers.retain(|(known, _)| known != word);
        self.activations.retain(|known| known.word != word);
    }

    /// The words of all layers and activations, sorted.
    pub fn words(&self) -> Vec<&str> {
        let layers = self.layers.iter().map(|(word, _)| word.as_str());
        let mut words: Vec<&str> = layers.chain(self.activations.iter().map(|known| known.word.as_str())).collect();
        words.sort_unstable();
        words
    }

    fn layer(&self, word: &str) -> Option<&Arc<ReadLayer>> {
        self.layers.iter().find(|(known, _)| known == word).map(|(_, read)| read)
    }

    fn activation(&self, word: &str) -> Option<&ActivationEntry> {
        self.activations.iter().find(|known| known.word == word)
    }
}

impl fmt::Debug for LayerTable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("LayerTable").field(&self.words()).finish()
    }
}

/// What a layer may know while it is read: the layers inside others, the size of the output, and how parameters start
/// where the line does not say.
#[derive(Clone, Copy)]
pub struct Lowering<'a> {
    options: &'a NetworkOptions,
    /// All words, and those of the activations.
    words: &'a [&'a str],
    activations: &'a [&'a str],
    /// The layer makes the output of the network.
    last: bool,
    /// How often the layer is repeated.
    repeated: usize,
    /// What stands behind the layer.
    behind: &'a [Item],
}

/// Reads the meaning of a whole line.
pub(super) fn lower(network: &Network, options: &NetworkOptions) -> Result<Sequential, NotationError> {
    let words = options.table.words();
    let activations: Vec<&str> = options.table.activations.iter().map(|known| known.word.as_str()).collect();
    Lowering { options, words: &words, activations: &activations, last: true, repeated: 1, behind: &[] }
        .sequence(network)
}

impl<'a> Lowering<'a> {
    /// The layers of a network in parentheses.
    ///
    /// # Errors
    /// The first word or argument that has no meaning.
    pub fn network(&self, network: &'a Network) -> Result<Sequential, NotationError> {
        Lowering { last: false, ..*self }.sequence(network)
    }

    /// The layers of a network in parentheses that ends where the layer around it ends: its last layer may leave its size to
    /// the data if that layer is the last.
    ///
    /// # Errors
    /// As [`Lowering::network`].
    pub fn last_network(&self, network: &'a Network) -> Result<Sequential, NotationError> {
        self.sequence(network)
    }

    /// The size of the network's output, for the last layer.
    ///
    /// # Errors
    /// If the layer that is read is not the last one, or the size is not known.
    pub fn output_units(&self, read: &Reader<'a>) -> Result<usize, NotationError> {
        let missing = read.error(format!("'{}' needs units, a whole number", read.item().word()));
        match self.options.outputs {
            Some(units) if self.last => Ok(units),
            None if self.last => Err(missing.note("the size of the output is not known from the data here")),
            _ => Err(missing.note("only the last layer takes its size from the data")),
        }
    }

    /// How often the layer is repeated, by `N *` before it and around it.
    pub fn repeated(&self) -> usize {
        self.repeated
    }

    /// The width of the next transformer behind the layer, if there is one.
    pub fn transformer_behind(&self) -> Option<usize> {
        fn width(items: &[Item]) -> Option<usize> {
            items.iter().find_map(|item| match item.arguments().first().map(|argument| argument.value()) {
                _ if item.is_group() => width(item.branches()[0].items()),
                Some(&Value::Number(width)) if item.word() == "transformer" => Some(width as usize),
                _ => None,
            })
        }
        width(self.behind)
    }

    /// The number of tokens in the data.
    ///
    /// # Errors
    /// If the data have no tokens, or it is not known.
    pub fn vocabulary(&self, read: &Reader<'a>) -> Result<usize, NotationError> {
        let word = read.item().word();
        self.options.vocabulary.ok_or_else(|| {
            let error =
                read.error(format!("'{word}' needs the size of the vocabulary, which is not known from the data here"));
            error.suggest(format!("write both sizes, as in {word} 65x64"))
        })
    }

    /// The option `key` as an initialiser of weights, if it is given.
    ///
    /// # Errors
    /// If it names none.
    pub fn init(&self, read: &mut Reader<'a>, key: &'a str) -> Result<Option<Init>, NotationError> {
        let Some(word) = read.option_word(key)? else { return Ok(None) };
        match Init::new(word.name, word.numbers) {
            Ok(init) => Ok(Some(init)),
            Err(super::InitError::Unknown { name, nearest }) => {
                let error = read.error_at(word.span, format!("unknown initialiser '{}'", name.escape_debug()));
                Err(match nearest {
                    Some(name) => error.did_you_mean(Some(name)),
                    None => error.note(format!("known: {}", Init::NAMES.join(", "))),
                })
            }
            Err(error) => Err(read.error_at(word.span, error.to_string())),
        }
    }

    /// The option `key` as an initialiser of biases, if it is given.
    ///
    /// # Errors
    /// If it names none, or one that follows the sizes of a weight.
    pub fn bias_init(&self, read: &mut Reader<'a>, key: &'a str) -> Result<Option<Init>, NotationError> {
        let Some(init) = self.init(read, key)? else { return Ok(None) };
        let span = read.option_word(key)?.map_or(read.item().word_span(), |word| word.span);
        init.check_for_bias().map_err(|error| read.error_at(span, error.to_string()))?;
        Ok(Some(init))
    }

    /// How weights start where the line does not say.
    pub fn default_init(&self) -> Init {
        self.options.weight_init
    }

    /// How biases start where the line does not say.
    pub fn default_bias_init(&self) -> Init {
        self.options.bias_init
    }

    fn sequence(&self, network: &'a Network) -> Result<Sequential, NotationError> {
        let items = network.items();
        let mut sequence = Sequential::new();
        for (position, item) in items.iter().enumerate() {
            let behind = &items[position + 1..];
            let last = self.last && item.repeat() == 1 && behind.iter().all(|item| self.is_activation(item));
            let repeated = self.repeated * item.repeat();
            let context = Lowering { last, repeated, behind, ..*self };
            let body = if item.is_group() { context.sequence(&item.branches()[0])? } else { context.layer(item)? };
            match item.repeat() {
                1 => sequence.append(body),
                times => sequence.push_read(Arc::new(Repeat { times, body }), item.span().into()),
            }
        }
        Ok(sequence)
    }

    fn is_activation(&self, item: &Item) -> bool {
        self.activations.contains(&item.word())
    }

    /// A layer and the activation behind its arguments.
    fn layer(&self, item: &'a Item) -> Result<Sequential, NotationError> {
        let table = &self.options.table;
        let mut sequence = Sequential::new();
        let mut reader = item.reader(self.words);
        let place = || item.span().into();
        if let Some(entry) = table.activation(item.word()) {
            let mut numbers = Vec::new();
            while numbers.len() < entry.defaults.len() {
                match reader.optional_number("number")? {
                    Some(number) => numbers.push(number),
                    None => break,
                }
            }
            let layer = entry.layer(&numbers).map_err(|message| reader.error_at(item.span(), message))?;
            reader.finish()?;
            sequence.push_read(layer, place());
            return Ok(sequence);
        }
        let Some(read) = table.layer(item.word()) else {
            let ready = READY.iter().map(|network| network.name);
            let known: Vec<&str> = self.words.iter().copied().chain(ready).collect();
            let error = item.unknown_layer(&known);
            return Err(match error.suggestion() {
                Some(_) => error,
                None => error.note(format!("known: {}", known.join(", "))),
            });
        };
        let layer = read(&mut reader, self)?;
        let word = if layer.takes_activation() { reader.word("activation", self.activations)? } else { None };
        let activation = match word {
            Some(word) => {
                let entry = table.activation(word.name).expect("a word of the table");
                let most = entry.defaults.len();
                if word.numbers.len() > most {
                    let plural = if most == 1 { "" } else { "s" };
                    let found = word.numbers.len();
                    let message = format!("'{}' takes at most {most} number{plural}, here are {found}", word.name);
                    return Err(reader.error_at(word.span, message));
                }
                let made = entry.layer(word.numbers).map_err(|message| reader.error_at(word.span, message))?;
                Some((made, word))
            }
            None => None,
        };
        reader.finish()?;
        let layer = if layer.to_notation().is_some() {
            layer
        } else {
            let without = |word: &str| activation.as_ref().is_none_or(|(_, taken)| taken.name != word);
            Arc::new(Written::layer(layer, item, without))
        };
        sequence.push_read(layer, place());
        if let Some((made, word)) = activation {
            sequence.push_read(made, word.span.into());
        }
        Ok(sequence)
    }
}

impl ActivationEntry {
    /// The layer with these numbers, the others being defaults.
    fn layer(&self, numbers: &[f64]) -> Result<Arc<dyn Layer>, String> {
        let mut all = self.defaults.clone();
        all[..numbers.len()].copy_from_slice(numbers);
        let layer = (self.make)(&all)?;
        if layer.as_activation().is_some() {
            return Ok(layer);
        }
        Ok(Arc::new(Written::activation(layer, Word::new(self.word.as_str(), numbers))))
    }
}
