//! One training step in words and numbers: forward, backward by the chain rule, and what an update makes of each parameter.
//!
//! Within a layer x is its input, y its output and dy = ∂L/∂y; elements are counted from 0. Where a layer is small, each number
//! stands with the formula that it comes from; where it is large, what is said of it are sizes, extremes and the largest
//! contributions.

use pellucid::explain::Trace;
use pellucid::graph::{Node, Source, ValueId};

use super::figures::{Figures, LISTED, largest};
use crate::report::Picture;

/// Inputs and units up to which a dense layer is written out term by term.
const WRITTEN_OUT: usize = 8;
/// Rows up to which values stand row by row.
const ROWS: usize = 4;

/// What the numbers are of, for people.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Names of the inputs of a row, if they have any.
    pub inputs: Vec<String>,
    /// The optimiser: `sgd, rate 0.5`.
    pub optimizer: String,
}

/// What is to be seen closely.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Focus {
    /// Only the layer with this label, and what is in it.
    pub layer: Option<String>,
    /// Only this value of each output of the layer: a unit, or a place in [channels, height, width].
    pub neuron: Option<usize>,
    /// How many of many values are shown.
    pub top: usize,
    /// Whether the update is shown.
    pub step: bool,
}

/// A step, ready to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Forward, backward, update.
    pub sections: Vec<Section>,
    /// The picture, and what in it speaks for the answer, with captions; only a page shows them.
    pub gallery: Vec<(String, Picture)>,
}

/// A part of the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its name.
    pub heading: &'static str,
    /// Its layers, in the order in which they are computed.
    pub blocks: Vec<Block>,
}

/// What happens in one op.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The layer and the op: `layer 0: dense 2`.
    pub heading: String,
    /// The formula.
    pub formula: String,
    /// The numbers.
    pub lines: Vec<String>,
}

struct Writer<'a> {
    trace: &'a Trace,
    names: &'a Names,
    focus: &'a Focus,
    figures: Figures,
}

impl Account {
    /// Tells `trace`.
    pub fn new(trace: &Trace, names: &Names, focus: &Focus) -> Account {
        let writer = Writer { trace, names, focus, figures: Figures::new(trace.is_double) };
        let nodes: Vec<&Node> = trace.graph.nodes().iter().filter(|node| writer.is_shown(node)).collect();
        let forward = nodes.iter().map(|node| writer.forward(node)).collect();
        let backward = nodes.iter().rev().filter_map(|node| writer.backward(node)).collect();
        let mut sections =
            vec![Section { heading: "Forward", blocks: forward }, Section { heading: "Backward", blocks: backward }];
        if focus.step {
            sections.push(Section { heading: "Update", blocks: writer.update() });
        }
        Account { sections, gallery: Vec::new() }
    }
}

impl Writer<'_> {
    fn is_shown(&self, node: &Node) -> bool {
        match &self.focus.layer {
            Some(layer) => belongs(&node.label, layer),
            None => true,
        }
    }

    fn one(&self, value: f64) -> String {
        self.figures.one(value)
    }

    fn values(&self, value: ValueId) -> &[f64] {
        self.trace.value(value)
    }

    /// `layer 0: dense 2 sigmoid, Sigmoid`
    fn heading(&self, node: &Node) -> String {
        let op = node.op.name();
        match self.trace.graph.description(&node.label) {
            Some(description) => format!("layer {}: {description} ({op})", node.label),
            None => format!("{}: {op}", if node.label.is_empty() { "network" } else { &node.label }),
        }
    }

    fn forward(&self, node: &Node) -> Block {
        let formula = node.op.formulas().map_or(String::new(), |[forward, _]| forward.to_string());
        let mut lines = Vec::new();
        if let Some(dense) = self.dense(node) {
            lines.extend(dense.sums(self));
        } else {
            for (i, input) in node.inputs.iter().enumerate().filter(|(_, input)| self.is_from_outside(**input)) {
                lines.extend(self.listed(&self.name_of(node, i), *input));
            }
            match self.filled_in(node, &formula) {
                Some(filled) => lines.extend(filled),
                None => lines.extend(self.listed(if node.output == self.trace.loss { "L" } else { "y" }, node.output)),
            }
        }
        Block { heading: self.heading(node), formula, lines }
    }

    /// Of a small element-wise function: its formula with each value in the place of x.
    fn filled_in(&self, node: &Node, formula: &str) -> Option<Vec<String>> {
        let of_x = formula.strip_prefix("y = ")?;
        let (x, y) = (self.values(node.inputs[0]), self.values(node.output));
        if node.op.function().is_none() || y.len() > LISTED {
            return None;
        }
        let line = |place: usize| {
            let of_number = with_number(of_x, &self.factor(x[place]));
            format!("y[{}] = {of_number} = {}", self.place(node.output, place), self.one(y[place]))
        };
        Some((0..y.len()).filter(|place| self.is_chosen(node.output, *place)).map(line).collect())
    }

    /// What flows back through a node; `None` where nothing does.
    fn backward(&self, node: &Node) -> Option<Block> {
        let dy = self.trace.gradient(node.output)?;
        let formula = node.op.formulas().map_or(String::new(), |[_, backward]| backward.to_string());
        let mut lines = Vec::new();
        if let Some(dense) = self.dense(node) {
            lines.extend(dense.gradients(self, dy));
        } else if let Some(slopes) = self.slopes(node, dy) {
            lines.extend(slopes);
        } else {
            if node.output != self.trace.loss {
                lines.extend(self.named("dy", dy, node.output));
            }
            for (i, input) in node.inputs.iter().enumerate().filter(|(i, _)| node.op.differentiable(*i)) {
                if let Some(gradient) = self.trace.gradient(*input) {
                    lines.extend(self.named(&format!("∂L/∂{}", self.name_of(node, i)), gradient, *input));
                }
            }
        }
        (!lines.is_empty()).then(|| Block { heading: self.heading(node), formula, lines })
    }

    /// Of a small element-wise function: the slope of each value.
    fn slopes(&self, node: &Node, dy: &[f64]) -> Option<Vec<String>> {
        let only_reader =
            self.trace.graph.nodes().iter().filter(|other| other.inputs.contains(&node.inputs[0])).count() == 1;
        let dx = self.trace.gradient(node.inputs[0])?;
        if node.op.function().is_none() || dy.len() > LISTED || !only_reader {
            return None;
        }
        let line = |place: usize| {
            let (dy, dx) = (dy[place], dx[place]);
            let slope =
                if dy == 0.0 { String::new() } else { format!("{} · {} = ", self.factor(dy), self.factor(dx / dy)) };
            format!("∂L/∂x[{}] = {slope}{}", self.place(node.output, place), self.one(dx))
        };
        Some((0..dy.len()).filter(|place| self.is_chosen(node.output, *place)).map(line).collect())
    }

    fn factor(&self, value: f64) -> String {
        self.figures.factor(value)
    }

    /// A small or closely seen dense layer.
    fn dense<'a>(&'a self, node: &'a Node) -> Option<DenseLayer<'a>> {
        let graph = &self.trace.graph;
        if node.op.name() != "Gemm" {
            return None;
        }
        let weight = graph.shape(node.inputs[1]).dims(1);
        let [units, inner] = [weight[0], weight[1]];
        let single = self.trace.rows == 1 && self.values(node.output).len() == units;
        let is_small = units <= WRITTEN_OUT && inner <= WRITTEN_OUT;
        let closely = self.focus.neuron.is_some_and(|neuron| neuron < units);
        (single && (is_small || closely)).then_some(DenseLayer { node, units, inner })
    }

    fn is_from_outside(&self, value: ValueId) -> bool {
        matches!(self.trace.graph.value(value).source, Source::Input(_))
    }

    /// How the formulas call an input of a node, or the input of the graph by its name.
    fn name_of(&self, node: &Node, index: usize) -> String {
        match self.trace.graph.value(node.inputs[index]).source {
            Source::Parameter(parameter) => self.trace.graph.parameters()[parameter].name.clone(),
            Source::Input(input) if self.trace.graph.inputs()[input].name == "target" => "target".to_string(),
            _ if node.output == self.trace.loss && index == 0 => "p".to_string(),
            _ if self.computed_inputs(node) == 1 => "x".to_string(),
            _ => format!("x{}", index + 1),
        }
    }

    /// How many inputs of a node are no parameters.
    fn computed_inputs(&self, node: &Node) -> usize {
        let is_parameter = |value: &ValueId| matches!(self.trace.graph.value(*value).source, Source::Parameter(_));
        node.inputs.iter().filter(|value| !is_parameter(value)).count()
    }

    fn listed(&self, name: &str, value: ValueId) -> Vec<String> {
        self.named(name, self.values(value), value)
    }

    /// `y = 0.59, 0.6`, row by row where there are some.
    fn named(&self, name: &str, numbers: &[f64], value: ValueId) -> Vec<String> {
        if let (Some(neuron), true) = (self.focus.neuron, self.has_rows(value)) {
            let width = numbers.len() / self.trace.rows.max(1);
            let of_row = |(row, values): (usize, &[f64])| {
                let value = values.get(neuron)?;
                Some(format!("{name}[{}] = {}", self.index(row, neuron), self.one(*value)))
            };
            return numbers.chunks(width.max(1)).enumerate().filter_map(of_row).collect();
        }
        let width = if self.has_rows(value) { numbers.len() / self.trace.rows.max(1) } else { numbers.len() };
        let by_row = self.trace.rows > 1 && self.trace.rows <= ROWS && width <= LISTED && self.has_rows(value);
        if by_row {
            let row = |(row, values): (usize, &[f64])| {
                format!(
                    "{name}[{row}] = {}",
                    self.figures.several(values, self.focus.top, |place| place.to_string()).join("; ")
                )
            };
            return numbers.chunks(width.max(1)).enumerate().map(row).collect();
        }
        let dims = self.trace.graph.shape(value).dims(self.trace.rows);
        // The number of the row says nothing where there is but one.
        let skipped = usize::from(self.has_rows(value) && self.trace.rows == 1);
        let index = |place: usize| subscript(&dims[skipped.min(dims.len().saturating_sub(1))..], place);
        let mut lines = self.figures.several(numbers, self.focus.top, index);
        if let Some(first) = lines.first_mut() {
            *first = if numbers.len() <= LISTED { format!("{name} = {first}") } else { format!("{name}: {first}") };
        }
        lines.iter_mut().skip(1).for_each(|line| line.insert_str(0, "  "));
        lines
    }

    fn has_rows(&self, value: ValueId) -> bool {
        self.trace.graph.shape(value).sample().is_some()
    }

    fn is_chosen(&self, value: ValueId, place: usize) -> bool {
        let width = self.values(value).len() / self.trace.rows.max(1);
        self.focus.neuron.is_none_or(|neuron| place % width.max(1) == neuron)
    }

    /// `3` in one row, `1,3` where there are several.
    fn place(&self, value: ValueId, place: usize) -> String {
        let width = (self.values(value).len() / self.trace.rows.max(1)).max(1);
        self.index(place / width, place % width)
    }

    fn index(&self, row: usize, column: usize) -> String {
        if self.trace.rows > 1 { format!("{row},{column}") } else { column.to_string() }
    }

    fn update(&self) -> Vec<Block> {
        let graph = &self.trace.graph;
        let mut blocks = Vec::new();
        for (index, parameter) in graph.parameters().iter().enumerate() {
            let layer = parameter.name.rsplit_once('.').map_or("", |(layer, _)| layer);
            if self.focus.layer.as_ref().is_some_and(|focus| !belongs(layer, focus)) {
                continue;
            }
            let Some(new) = self.trace.updated(index) else { continue };
            let (old, gradient) =
                (self.values(parameter.value), self.trace.gradient(parameter.value).unwrap_or_default());
            let dims = graph.shape(parameter.value).dims(1);
            let rows = dims.first().copied().unwrap_or(1);
            let of_unit =
                |place: usize| self.focus.neuron.is_none_or(|neuron| place / (old.len() / rows).max(1) == neuron);
            let mut places: Vec<usize> = (0..old.len()).filter(|place| of_unit(*place)).collect();
            let change: Vec<f64> = new.iter().zip(old).map(|(new, old)| new - old).collect();
            let mut lines = Vec::new();
            if places.len() > WRITTEN_OUT * WRITTEN_OUT {
                let norm = |values: &[f64]| libm::sqrt(values.iter().map(|value| value * value).sum());
                let (size, moved) = (norm(old), norm(&change));
                let share = if size > 0.0 {
                    format!(", {} of it", Figures::new(false).one(moved / size))
                } else {
                    String::new()
                };
                lines.push(format!("norm {}, changed by {}{share}", self.one(size), self.one(moved)));
                places = largest(&change, self.focus.top);
                lines.push(format!("the {} that change most:", places.len()));
            }
            lines.extend(places.into_iter().map(|place| {
                let gradient = gradient.get(place).map_or(String::new(), |g| format!("   (gradient {})", self.one(*g)));
                format!("[{}]  {} → {}{gradient}", subscript(&dims, place), self.one(old[place]), self.one(new[place]))
            }));
            blocks.push(Block { heading: parameter.name.clone(), formula: self.names.optimizer.clone(), lines });
        }
        blocks
    }
}

/// One row through a dense layer.
struct DenseLayer<'a> {
    node: &'a Node,
    units: usize,
    inner: usize,
}

impl DenseLayer<'_> {
    fn chosen(&self, writer: &Writer) -> Vec<usize> {
        (0..self.units).filter(|unit| writer.focus.neuron.is_none_or(|neuron| neuron == *unit)).collect()
    }

    /// `y[0] = 0.15 · 0.05 + 0.2 · 0.1 + 0.35 = 0.3775`; of many terms the largest.
    fn sums(&self, writer: &Writer) -> Vec<String> {
        let [x, weight] = [self.node.inputs[0], self.node.inputs[1]].map(|value| writer.values(value));
        let (y, bias) = (writer.values(self.node.output), self.node.inputs.get(2).map(|bias| writer.values(*bias)));
        let mut lines = Vec::new();
        if writer.is_from_outside(self.node.inputs[0]) && self.inner <= LISTED {
            let named = (0..self.inner).map(|i| match writer.names.inputs.get(i) {
                Some(name) => format!("{name} {}", writer.one(x[i])),
                None => writer.one(x[i]),
            });
            lines.push(format!("x = {}", named.collect::<Vec<_>>().join(", ")));
        }
        for unit in self.chosen(writer) {
            let weights = &weight[unit * self.inner..][..self.inner];
            if self.inner <= WRITTEN_OUT {
                let mut terms: Vec<String> = weights
                    .iter()
                    .zip(x)
                    .map(|(w, x)| format!("{} · {}", writer.factor(*w), writer.factor(*x)))
                    .collect();
                terms.extend(bias.map(|bias| writer.factor(bias[unit])));
                lines.push(format!("y[{unit}] = {} = {}", terms.join(" + "), writer.one(y[unit])));
                continue;
            }
            let products: Vec<f64> = weights.iter().zip(x).map(|(w, x)| w * x).collect();
            let sum: f64 = products.iter().sum();
            let bias = bias.map_or(String::new(), |bias| format!(" + bias {}", writer.factor(bias[unit])));
            lines.push(format!("y[{unit}] = {}{bias} = {}", writer.one(sum), writer.one(y[unit])));
            lines.push(format!("the largest of its {} terms W[{unit},i] · x[i]:", self.inner));
            for i in largest(&products, writer.focus.top) {
                let name = if writer.is_from_outside(self.node.inputs[0]) { writer.names.inputs.get(i) } else { None };
                let name = name.map_or(String::new(), |name| format!("   {name}"));
                let term = format!("{} · {}", writer.factor(weights[i]), writer.factor(x[i]));
                lines.push(format!("  [{i}]  {term} = {}{name}", writer.one(products[i])));
            }
        }
        lines
    }

    fn gradients(&self, writer: &Writer, dy: &[f64]) -> Vec<String> {
        let [x, weight] = [self.node.inputs[0], self.node.inputs[1]].map(|value| writer.values(value));
        let mut lines = vec![];
        let small = self.inner <= WRITTEN_OUT && self.units <= WRITTEN_OUT;
        let gradient = |index: usize| self.node.inputs.get(index).and_then(|value| writer.trace.gradient(*value));
        for unit in self.chosen(writer) {
            lines.push(format!("dy[{unit}] = {}", writer.one(dy[unit])));
            let Some(dw) = gradient(1) else { continue };
            let dw = &dw[unit * self.inner..][..self.inner];
            let places = if small { (0..self.inner).collect() } else { largest(dw, writer.focus.top) };
            for i in places {
                let product = format!("{} · {}", writer.factor(dy[unit]), writer.factor(x[i]));
                lines.push(format!("∂L/∂W[{unit},{i}] = dy[{unit}] · x[{i}] = {product} = {}", writer.one(dw[i])));
            }
            if let Some(db) = gradient(2) {
                lines.push(format!("∂L/∂b[{unit}] = dy[{unit}] = {}", writer.one(db[unit])));
            }
        }
        if let (Some(dx), true, None) = (gradient(0), small, writer.focus.neuron) {
            for (i, dx) in dx.iter().enumerate() {
                let terms = (0..self.units).map(|unit| {
                    format!("{} · {}", writer.factor(dy[unit]), writer.factor(weight[unit * self.inner + i]))
                });
                lines.push(format!("∂L/∂x[{i}] = {} = {}", terms.collect::<Vec<_>>().join(" + "), writer.one(*dx)));
            }
        }
        lines
    }
}

/// A formula of x with a number in the place of each x that stands alone.
fn with_number(formula: &str, number: &str) -> String {
    let symbols: Vec<char> = formula.chars().collect();
    let stands_alone = |at: usize| {
        let neighbours = [at.checked_sub(1), Some(at + 1)];
        symbols[at] == 'x'
            && neighbours.iter().flatten().filter_map(|at| symbols.get(*at)).all(|symbol| !symbol.is_alphanumeric())
    };
    let part = |at: usize| if stands_alone(at) { number.to_string() } else { symbols[at].to_string() };
    (0..symbols.len()).map(part).collect()
}

/// Whether the layer `label` is `layer`, or in it.
pub fn belongs(label: &str, layer: &str) -> bool {
    label.strip_prefix(layer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The indices of a place along the axes: `1,0`.
fn subscript(dims: &[usize], place: usize) -> String {
    let mut rest = place;
    let mut indices: Vec<String> = Vec::new();
    for size in dims.iter().rev() {
        indices.push((rest % size).to_string());
        rest /= size;
    }
    indices.reverse();
    indices.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_in_formulas_where_x_stood() {
        assert_eq!(with_number("1 / (1 + exp(-x))", "(-0.5)"), "1 / (1 + exp(-(-0.5)))");
        assert_eq!(with_number("min(max(x, 0), 6)", "2"), "min(max(2, 0), 6)");
        assert_eq!(with_number("x for x > 0, else α (exp(x/α) - 1)", "3"), "3 for 3 > 0, else α (exp(3/α) - 1)");
    }

    #[test]
    fn places_and_layers_are_found() {
        assert_eq!(subscript(&[2, 3], 5), "1,2");
        assert_eq!(subscript(&[4], 3), "3");
        assert!(belongs("2.0", "2") && belongs("2", "2") && !belongs("20", "2") && !belongs("1", "2"));
    }
}
