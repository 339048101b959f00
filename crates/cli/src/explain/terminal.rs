//! An account on a terminal.

use super::Account;
use crate::say::wrap;
use crate::terminal::{Ink, Screen};

impl Account {
    /// As wide as the screen: what a line has too many of stands below, indented.
    pub fn text(&self, about: &[(String, String)], screen: &Screen) -> String {
        let mut out = String::new();
        let width = about.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
        for (name, value) in about {
            let lead = format!("{name}{}", " ".repeat(width - name.len()));
            wrapped(&mut out, &lead, width, &shown(value, screen), screen);
        }
        for section in &self.sections {
            out.push_str(&format!("\n{}\n", screen.paint(Ink::Strong, section.heading)));
            for block in &section.blocks {
                out.push_str(&format!("\n{}\n", screen.paint(Ink::Train, &shown(&block.heading, screen))));
                if !block.formula.is_empty() {
                    let formula = shown(&block.formula, screen);
                    let mut lines = String::new();
                    wrapped(&mut lines, "  ", 4, &formula, screen);
                    out.push_str(&screen.paint(Ink::Faint, lines.trim_end_matches('\n')));
                    out.push('\n');
                }
                for line in &block.lines {
                    let indent = line.len() - line.trim_start().len() + 2;
                    wrapped(&mut out, &" ".repeat(indent), indent + 4, &shown(line.trim_start(), screen), screen);
                }
            }
        }
        out
    }
}

/// `text` behind `lead`, in lines of the screen's width; further lines are indented by `indent`.
fn wrapped(out: &mut String, lead: &str, indent: usize, text: &str, screen: &Screen) {
    let room = screen.width.saturating_sub(indent.max(lead.chars().count())).max(20);
    for (number, line) in wrap(text, room).iter().enumerate() {
        if number == 0 {
            out.push_str(&format!("{lead}{line}\n"));
        } else {
            out.push_str(&format!("{}{line}\n", " ".repeat(indent)));
        }
    }
}

/// `text` with characters that the screen has.
fn shown(text: &str, screen: &Screen) -> String {
    const ASCII: &[(&str, &str)] = &[
        ("·", "*"),
        ("→", "->"),
        ("←", "<-"),
        ("ᵀ", "^T"),
        ("Σ", "sum "),
        ("∂", "d"),
        ("²", "^2"),
        ("³", "^3"),
        ("√", "sqrt"),
        ("σ", "sigma"),
        ("Φ", "Phi"),
        ("φ", "phi"),
        ("α", "alpha"),
        ("β", "beta"),
        ("λ", "lambda"),
        ("δ", "delta"),
        ("ε", "eps"),
        ("π", "pi"),
        ("x̂", "xhat"),
        ("≤", "<="),
        ("₁", "1"),
        ("₂", "2"),
        ("×", "x"),
    ];
    if screen.unicode {
        return screen.clean(text);
    }
    let plain = ASCII.iter().fold(text.to_string(), |text, (symbol, ascii)| text.replace(symbol, ascii));
    screen.clean(&plain)
}

#[cfg(test)]
mod tests {
    use super::super::{Block, Section};
    use super::*;

    #[test]
    fn long_lines_are_wrapped_and_symbols_have_names_in_ascii() {
        let block = Block {
            heading: "layer 0: dense 2 (Gemm)".to_string(),
            formula: "y = x·Wᵀ + b".to_string(),
            lines: vec![format!("y[0] = {}", ["0.15 · 0.05"; 12].join(" + ")), "  [1]  2 → 3".to_string()],
        };
        let account =
            Account { sections: vec![Section { heading: "Forward", blocks: vec![block] }], gallery: Vec::new() };
        for width in [40, 80] {
            let screen = Screen { width, unicode: false, color: false, terminal: false };
            let text = account.text(&[("loss".to_string(), "Σ 1".to_string())], &screen);
            assert!(text.is_ascii() && text.lines().all(|line| line.len() <= width), "{text}");
            assert!(text.contains("y = x*W^T + b") && text.contains("    [1]  2 -> 3"), "{text}");
            assert!(text.starts_with("loss  sum  1\n"), "{text}");
        }
    }
}
