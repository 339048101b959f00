//! A node of the network with its inputs: how what it says of itself is read.

use std::cell::RefCell;
use std::collections::HashSet;

use crate::constant::{Constant, Kind};
use crate::error::Problem;
use crate::external::Folder;
use crate::lower::{Result, Value, invalid, unsupported};
use crate::proto::{Attribute, Graph, Node};

/// A node whose inputs are known or flow.
#[derive(Debug)]
pub struct Call<'a> {
    /// The node.
    pub node: &'a Node,
    /// Its inputs; `None` where one is left out.
    pub inputs: Vec<Option<Value>>,
    /// Version of the standard set of ops.
    pub opset: i64,
    /// Where other files lie.
    pub folder: &'a Folder,
    asked: RefCell<HashSet<&'static str>>,
}

impl<'a> Call<'a> {
    /// A call of `node`.
    pub fn new(node: &'a Node, inputs: Vec<Option<Value>>, opset: i64, folder: &'a Folder) -> Call<'a> {
        Call { node, inputs, opset, folder, asked: RefCell::default() }
    }

    /// The op.
    pub fn op(&self) -> &str {
        self.node.op_type.as_deref().unwrap_or_default()
    }

    /// Input `index`, which must be there.
    pub fn x(&self, index: usize) -> Result<&Value> {
        match self.opt(index) {
            Some(value) => Ok(value),
            None => invalid(format!("input {index} is missing")),
        }
    }

    /// Input `index`, if it is there.
    pub fn opt(&self, index: usize) -> Option<&Value> {
        self.inputs.get(index).and_then(Option::as_ref)
    }

    /// All inputs, none of which may be missing.
    pub fn all(&self) -> Result<Vec<&Value>> {
        if self.inputs.is_empty() {
            return invalid("it has no inputs");
        }
        (0..self.inputs.len()).map(|index| self.x(index)).collect()
    }

    /// Is output `index` asked for?
    pub fn wants(&self, index: usize) -> bool {
        self.node.output.get(index).is_some_and(|name| !name.is_empty())
    }

    fn attribute(&self, name: &'static str) -> Option<&'a Attribute> {
        self.asked.borrow_mut().insert(name);
        self.node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))
    }

    /// An attribute that is there and that nobody has asked for.
    pub fn unknown_attribute(&self) -> Option<&'a str> {
        let names = self.node.attribute.iter().filter_map(|attribute| attribute.name.as_deref());
        names.into_iter().find(|name| !self.asked.borrow().contains(name))
    }

    /// Attributes that change nothing here.
    pub fn ignore(&self, names: &[&'static str]) {
        self.asked.borrow_mut().extend(names);
    }

    /// Is there an attribute of this name?
    pub fn has(&self, name: &'static str) -> bool {
        self.attribute(name).is_some()
    }

    /// A whole number.
    pub fn int(&self, name: &'static str, otherwise: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.i).unwrap_or(otherwise)
    }

    /// A whole number from 0 on.
    pub fn size(&self, name: &'static str, otherwise: usize) -> Result<usize> {
        let value = self.int(name, otherwise as i64);
        usize::try_from(value).or_else(|_| invalid(format!("{name} is {value}, it must not be negative")))
    }

    /// A number.
    pub fn float(&self, name: &'static str, otherwise: f32) -> f64 {
        f64::from(self.attribute(name).and_then(|attribute| attribute.f).unwrap_or(otherwise))
    }

    /// Numbers.
    pub fn floats(&self, name: &'static str) -> Option<Vec<f32>> {
        self.attribute(name).map(|attribute| attribute.floats.clone())
    }

    /// Whole numbers.
    pub fn ints(&self, name: &'static str) -> Option<Vec<i64>> {
        self.attribute(name).map(|attribute| attribute.ints.clone())
    }

    /// Whole numbers from 0 on; all `otherwise`, if there are none. There are `count`.
    pub fn sizes(&self, name: &'static str, count: usize, otherwise: usize) -> Result<Vec<usize>> {
        let Some(values) = self.ints(name).filter(|values| !values.is_empty()) else {
            return Ok(vec![otherwise; count]);
        };
        if values.len() != count {
            return invalid(format!("{name} has {} numbers, {count} are due", values.len()));
        }
        let size = |value: &i64| usize::try_from(*value).ok().filter(|size| *size <= 1 << 24);
        match values.iter().map(size).collect() {
            Some(sizes) => Ok(sizes),
            None => invalid(format!("{name} is {values:?}, numbers from 0 to 16777216 are due")),
        }
    }

    /// A text.
    pub fn text(&self, name: &'static str, otherwise: &str) -> String {
        let text = self.attribute(name).and_then(|attribute| attribute.s.as_deref());
        text.map_or(otherwise.to_string(), |text| String::from_utf8_lossy(text).into_owned())
    }

    /// Texts.
    pub fn texts(&self, name: &'static str) -> Option<Vec<String>> {
        let attribute = self.attribute(name)?;
        Some(attribute.strings.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
    }

    /// A tensor.
    pub fn tensor(&self, name: &'static str) -> Option<Result<Constant>> {
        let tensor = self.attribute(name)?.t.as_ref()?;
        Some(Constant::read(tensor, self.folder).map_err(|error| Problem::Invalid(error.to_string())))
    }

    /// A graph.
    pub fn graph(&self, name: &'static str) -> Option<&'a Graph> {
        self.attribute(name)?.g.as_ref()
    }

    /// An axis of a value with `rank` axes.
    pub fn axis(&self, name: &'static str, otherwise: i64, rank: usize) -> Result<usize> {
        axis(self.int(name, otherwise), rank)
    }

    /// The element type that attribute `name` names.
    pub fn kind(&self, name: &'static str, otherwise: Kind) -> Result<Kind> {
        match self.int(name, 0) {
            0 => Ok(otherwise),
            data_type => match Kind::of(data_type as i32) {
                Some(kind) => Ok(kind),
                None => unsupported(format!("values of type {data_type}")),
            },
        }
    }
}

/// An axis, counted from the end if it is negative.
pub fn axis(axis: i64, rank: usize) -> Result<usize> {
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    match usize::try_from(counted) {
        Ok(counted) if counted < rank => Ok(counted),
        _ => invalid(format!("axis {axis} of a value with {rank} axes")),
    }
}

/// Axes, each once.
pub fn axes(given: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut axes: Vec<usize> = given.iter().map(|&one| axis(one, rank)).collect::<Result<_>>()?;
    axes.sort_unstable();
    axes.dedup();
    if axes.len() < given.len() {
        return invalid(format!("axes {given:?} name one twice"));
    }
    Ok(axes)
}
