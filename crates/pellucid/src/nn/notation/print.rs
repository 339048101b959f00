//! Tree to text, in the canonical form: parsing it gives an equal tree.

use std::fmt;

use super::ast::{Argument, Item, Network, Value, Word};

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, item) in self.items.iter().enumerate() {
            if position > 0 {
                out.write_str(" -> ")?;
            }
            item.fmt(out)?;
        }
        Ok(())
    }
}

impl fmt::Display for Item {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.repeat > 1 {
            write!(out, "{} * ", self.repeat)?;
        }
        out.write_str(&self.word)?;
        for (position, branch) in self.branches.iter().enumerate() {
            out.write_str(if position == 0 { "(" } else { ", " })?;
            branch.fmt(out)?;
        }
        if !self.branches.is_empty() {
            out.write_str(")")?;
        }
        for argument in &self.arguments {
            write!(out, " {argument}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(out, "{key}={}", self.value),
            None => self.value.fmt(out),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write_number(out, *number),
            Value::Size(sizes) => {
                for (position, size) in sizes.iter().enumerate() {
                    write!(out, "{}{size}", if position == 0 { "" } else { "x" })?;
                }
                Ok(())
            }
            Value::Word(word) => word.fmt(out),
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)?;
        for number in &self.numbers {
            out.write_str(":")?;
            write_number(out, *number)?;
        }
        Ok(())
    }
}

/// The shortest digits that read back as the same number; an exponent where plain digits would be long.
fn write_number(out: &mut fmt::Formatter<'_>, number: f64) -> fmt::Result {
    let size = number.abs();
    if size == 0.0 || (1e-4..1e15).contains(&size) { write!(out, "{number}") } else { write!(out, "{number:e}") }
}
