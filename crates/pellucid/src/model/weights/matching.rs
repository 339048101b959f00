//! Which tensor of a file becomes which parameter of a network.
//!
//! Names decide. Those of Pellucid are PyTorch's for an `nn.Sequential`; a network that was written with names of its own is
//! renamed by [`Renaming`]. Where names share nothing, the order can decide ([`Matching::in_order`]), but only if all shapes agree.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::{TensorInfo, Weights, WeightsError};
use crate::graph::Parameters;

/// Rules that make names of a file names of a network, each applied to what the one before it made.
///
/// `FROM=TO` renames what fits FROM, in which each `*` stands for any characters; those of TO are filled with the same
/// characters, in order. A rule without `=` is the beginning of names that is dropped: `module.` means `module.*=*`. Rules are
/// separated by commas.
///
/// ```
/// use pellucid::model::weights::Renaming;
///
/// let renaming: Renaming = "module., features.*=*, classifier.*=9.*".parse()?;
/// assert_eq!(renaming.apply("module.features.0.weight"), "0.weight");
/// assert_eq!(renaming.apply("module.classifier.bias"), "9.bias");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Renaming {
    rules: Vec<(String, String)>,
}

impl FromStr for Renaming {
    type Err = String;

    fn from_str(text: &str) -> Result<Renaming, String> {
        let stars = |text: &str| text.matches('*').count();
        let mut rules = Vec::new();
        for rule in text.split(',').map(str::trim) {
            let (from, to) = match rule.split_once('=') {
                Some((from, to)) => (from.trim().to_string(), to.trim().to_string()),
                None => (format!("{rule}*"), "*".to_string()),
            };
            if rule.is_empty() || from.is_empty() || to.is_empty() || to.contains('=') {
                return Err(format!("{rule:?} is no rule; write FROM=TO, or the beginning of names to drop"));
            }
            if stars(&to) > stars(&from) {
                return Err(format!("{rule:?} has more `*` behind the `=` than before it"));
            }
            rules.push((from, to));
        }
        Ok(Renaming { rules })
    }
}

impl Renaming {
    /// What becomes of a name.
    pub fn apply(&self, name: &str) -> String {
        self.rules.iter().fold(name.to_string(), |name, (from, to)| renamed(from, to, &name).unwrap_or(name))
    }
}

/// The name by the rule, if it fits; each `*` takes as little as it can.
fn renamed(from: &str, to: &str, name: &str) -> Option<String> {
    let mut parts = from.split('*');
    let mut rest = name.strip_prefix(parts.next()?)?;
    let mut taken = Vec::new();
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        let at = if index + 1 == parts.len() {
            rest.len().checked_sub(part.len()).filter(|_| rest.ends_with(part))?
        } else {
            rest.find(part)?
        };
        taken.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(())?;
    let mut new = String::new();
    let mut taken = taken.into_iter();
    for (index, part) in to.split('*').enumerate() {
        if index > 0 {
            new.push_str(taken.next()?);
        }
        new.push_str(part);
    }
    Some(new)
}

/// A parameter and what a file has for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Matched {
    /// Its name.
    pub parameter: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What there is.
    pub outcome: Outcome,
}

/// What a file has for a parameter. Numbers are places in [`Weights::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A tensor of its name and shape.
    Fits(usize),
    /// A tensor of its name, but another shape.
    OtherShape(usize),
    /// No tensor of its name.
    Missing,
}

/// Which tensors become which parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Matching {
    /// All parameters of the network (running statistics too), in its order.
    pub parameters: Vec<Matched>,
    /// Tensors that no parameter takes: places in [`Weights::tensors`].
    pub unused: Vec<usize>,
}

/// Why tensors do not become the parameters of a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// Rules make two names the same.
    #[error("both `{first}` and `{second}` become `{name}`; make the renaming more exact")]
    Ambiguous {
        /// A tensor.
        first: String,
        /// Another.
        second: String,
        /// What both become.
        name: String,
    },
    /// The order of the tensors is not that of the layers.
    #[error(
        "the file has its tensors in the order of their names, not of the layers; match them by name, and rename them"
    )]
    Unordered,
    /// In order, there are more of one than of the other.
    #[error("in order, {tensors} tensors cannot become {parameters} parameters{}", At(*.at, .next))]
    Count {
        /// Tensors of the file, counters left aside.
        tensors: usize,
        /// Parameters of the network.
        parameters: usize,
        /// How many agree.
        at: usize,
        /// The first without a counterpart.
        next: String,
    },
    /// In order, a shape is another.
    #[error(
        "in order, tensor {at}, `{tensor}` of shape {found:?}, would become `{parameter}` of shape {expected:?}: the networks differ"
    )]
    Shape {
        /// Place in the order, from 0.
        at: usize,
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The parameter.
        parameter: String,
        /// Its shape.
        expected: Vec<usize>,
    },
    /// Parameters stay without values.
    #[error("{} of {all} parameters find no values: {}{}", .without.len(), FirstOf(.without), Advice(.unused))]
    Incomplete {
        /// Parameters, with what is wrong.
        without: Vec<String>,
        /// How many parameters there are.
        all: usize,
        /// Tensors that nothing took.
        unused: Vec<String>,
    },
}

struct At<'a>(usize, &'a str);

impl std::fmt::Display for At<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let At(at, next) = self;
        write!(f, "; the first {at} agree, then comes `{next}`")
    }
}

/// The first few of many.
struct FirstOf<'a>(&'a [String]);

impl std::fmt::Display for FirstOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 4;
        let FirstOf(all) = self;
        f.write_str(&all[..all.len().min(SHOWN)].join(", "))?;
        if all.len() > SHOWN { write!(f, " and {} more", all.len() - SHOWN) } else { Ok(()) }
    }
}

struct Advice<'a>(&'a [String]);

impl std::fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Advice(unused) = self;
        if unused.is_empty() {
            return f.write_str("; the file has no other tensors");
        }
        write!(f, "; nothing takes {}: rename them", FirstOf(unused))
    }
}

/// How many batches a batch normalisation has seen: a counter that Pellucid does not keep.
fn is_counter(tensor: &TensorInfo) -> bool {
    tensor.shape.is_empty() && tensor.name.rsplit('.').next() == Some("num_batches_tracked")
}

impl Matching {
    /// Matches by name, those of the file renamed first. Counters of batches (`num_batches_tracked`) are left aside.
    ///
    /// # Errors
    /// Two names that become the same.
    pub fn by_name(weights: &Weights, parameters: &Parameters, renaming: &Renaming) -> Result<Matching, MatchError> {
        let tensors = weights.tensors();
        let mut by_name = BTreeMap::new();
        for (index, tensor) in tensors.iter().enumerate().filter(|(_, tensor)| !is_counter(tensor)) {
            let name = renaming.apply(&tensor.name);
            if let Some(before) = by_name.insert(name.clone(), index) {
                let (first, second) = (tensors[before].name.clone(), tensor.name.clone());
                return Err(MatchError::Ambiguous { first, second, name });
            }
        }
        let matched = parameters.segments().iter().map(|segment| {
            let outcome = match by_name.remove(&segment.name) {
                Some(index) if tensors[index].shape[..] == segment.dims[..] => Outcome::Fits(index),
                Some(index) => Outcome::OtherShape(index),
                None => Outcome::Missing,
            };
            Matched { parameter: segment.name.clone(), shape: segment.dims.to_vec(), outcome }
        });
        let matched = matched.collect();
        let mut unused: Vec<usize> = by_name.into_values().collect();
        unused.sort_unstable();
        Ok(Matching { parameters: matched, unused })
    }

    /// Matches the first tensor with the first parameter and so on, whatever their names.
    ///
    /// # Errors
    /// A file that does not keep the order, another number of tensors, or any that has another shape.
    pub fn in_order(weights: &Weights, parameters: &Parameters) -> Result<Matching, MatchError> {
        if !weights.is_ordered() {
            return Err(MatchError::Unordered);
        }
        let tensors = weights.tensors().iter().enumerate().filter(|(_, tensor)| !is_counter(tensor));
        let tensors: Vec<(usize, &TensorInfo)> = tensors.collect();
        let segments = parameters.segments();
        let mut matched = Vec::new();
        for (at, ((index, tensor), segment)) in tensors.iter().zip(segments).enumerate() {
            let (parameter, shape) = (segment.name.clone(), segment.dims.to_vec());
            if tensor.shape != shape {
                let (tensor, found) = (tensor.name.clone(), tensor.shape.clone());
                return Err(MatchError::Shape { at, tensor, found, parameter, expected: shape });
            }
            matched.push(Matched { parameter, shape, outcome: Outcome::Fits(*index) });
        }
        if tensors.len() != segments.len() {
            let at = matched.len();
            let next = match tensors.get(at) {
                Some((_, tensor)) => tensor.name.clone(),
                None => segments[at].name.clone(),
            };
            return Err(MatchError::Count { tensors: tensors.len(), parameters: segments.len(), at, next });
        }
        Ok(Matching { parameters: matched, unused: Vec::new() })
    }

    /// Refuses parameters that find no values.
    ///
    /// # Errors
    /// All of them, and what of the file is unused.
    pub fn require_all(&self, weights: &Weights) -> Result<(), MatchError> {
        let tensors = weights.tensors();
        let without = self.parameters.iter().filter_map(|matched| match matched.outcome {
            Outcome::Fits(_) => None,
            Outcome::Missing => Some(format!("`{}` {:?} is missing", matched.parameter, matched.shape)),
            Outcome::OtherShape(index) => {
                Some(format!("`{}` {:?} is {:?} in the file", matched.parameter, matched.shape, tensors[index].shape))
            }
        });
        let without: Vec<String> = without.collect();
        if without.is_empty() {
            return Ok(());
        }
        let unused = self.unused.iter().map(|&index| format!("`{}` {:?}", tensors[index].name, tensors[index].shape));
        Err(MatchError::Incomplete { without, all: self.parameters.len(), unused: unused.collect() })
    }

    /// Writes the values of all tensors that fit into `parameters`; those without are left as they are. Returns how many
    /// parameters were written.
    ///
    /// # Errors
    /// Values that cannot be read.
    pub fn load(&self, weights: &mut Weights, parameters: &mut Parameters) -> Result<usize, WeightsError> {
        let mut count = 0;
        for matched in &self.parameters {
            let Outcome::Fits(index) = matched.outcome else { continue };
            let values = weights.read(index)?;
            let Some(target) = parameters.get_mut(&matched.parameter) else { continue };
            target.copy_from_slice(&values);
            count += 1;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(rules: &str, name: &str) -> String {
        rules.parse::<Renaming>().expect("rules").apply(name)
    }

    #[test]
    fn names_are_renamed_by_each_rule_in_turn() {
        assert_eq!(apply("module.", "module.conv1.weight"), "conv1.weight");
        assert_eq!(apply("module.", "conv1.module.weight"), "conv1.module.weight");
        assert_eq!(apply("conv*.weight=*.weight", "conv12.weight"), "12.weight");
        assert_eq!(apply("layer*.*.conv*=*.0.*.conv*", "layer1.0.conv2.weight"), "1.0.0.conv2.weight");
        assert_eq!(apply("a.*=b.*, b.*=c.*", "a.x"), "c.x");
        assert_eq!(apply("fc.weight=9.weight", "fc.weights"), "fc.weights");
        assert_eq!(apply("*.gamma=*.weight", "encoder.norm.gamma"), "encoder.norm.weight");
        assert_eq!(apply("*=network.*", "x"), "network.x");
        assert_eq!(apply("*ä*=*ö*", "xäy"), "xöy");
        assert_eq!(apply("a*a=*", "a"), "a");
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for (text, part) in [
            ("", "is no rule"),
            ("a=,b", "is no rule"),
            ("=b", "is no rule"),
            ("a=b=c", "is no rule"),
            ("a.*=*.*", "more `*`"),
        ] {
            let message = text.parse::<Renaming>().expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
