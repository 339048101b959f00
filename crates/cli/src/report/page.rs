//! The pieces of HTML that the sections are made of. The page is well-formed XML too, so that a test can read it.

use std::fmt::Write;

use crate::markup::escape;
use crate::plot::STYLE;

const PAGE_STYLE: &str = include_str!("page.css");

/// A page in the making.
pub struct Page {
    title: String,
    head: String,
    body: String,
    /// Address and heading of each section so far.
    sections: Vec<(&'static str, String)>,
}

/// A cell of a table.
pub enum Cell {
    /// Left-aligned.
    Text(String),
    /// Right-aligned.
    Number(String),
}

impl Page {
    pub fn new(title: &str) -> Page {
        Page { title: title.to_string(), head: String::new(), body: String::new(), sections: Vec::new() }
    }

    /// Markup above the first section.
    pub fn head(&mut self, html: &str) {
        self.head.push_str(html);
    }

    /// Begins a section; `id` is its address in the page.
    pub fn section(&mut self, id: &'static str, heading: &str) {
        let _ = writeln!(self.body, r#"<h2 id="{id}">{}</h2>"#, escape(heading));
        self.sections.push((id, heading.to_string()));
    }

    /// A sentence below a heading.
    pub fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", escape(text));
    }

    /// Markup as it is.
    pub fn raw(&mut self, html: &str) {
        self.body.push_str(html);
        self.body.push('\n');
    }

    /// Plots or tables in frames, side by side where there is room.
    pub fn cards(&mut self, contents: &[String]) {
        let class = if contents.len() > 1 { r#"<div class="cards">"# } else { "<div>" };
        self.body.push_str(class);
        for content in contents {
            let _ = writeln!(self.body, r#"<div class="card">{content}</div>"#);
        }
        self.body.push_str("</div>\n");
    }

    /// The whole document.
    pub fn finish(self) -> String {
        let title = escape(&self.title);
        let links: Vec<String> =
            self.sections.iter().map(|(id, heading)| format!("<a href=\"#{id}\">{}</a>", escape(heading))).collect();
        format!(
            "<!DOCTYPE html>\n\
             <html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <meta name=\"generator\" content=\"pellucid {version}\"/>\n\
             <title>{title}</title>\n<style>\n{PAGE_STYLE}{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n{head}<nav>{links}</nav>\n{body}\
             <footer>Made by pellucid {version}. This page needs no network and runs no script.</footer>\n\
             </main>\n</body>\n</html>\n",
            version = env!("CARGO_PKG_VERSION"),
            head = self.head,
            links = links.join(""),
            body = self.body,
        )
    }
}

/// A table; the first cell of each row is its heading. `totals` stand below a rule.
pub fn table(heads: &[Cell], rows: &[Vec<Cell>], totals: &[Vec<Cell>]) -> String {
    let mut out = String::from("<table><thead><tr>");
    heads.iter().for_each(|head| cell(&mut out, head, true));
    out.push_str("</tr></thead>\n");
    for (tag, rows) in [("tbody", rows), ("tfoot", totals)] {
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(out, "<{tag}>");
        for row in rows {
            out.push_str("<tr>");
            for (index, content) in row.iter().enumerate() {
                cell(&mut out, content, index == 0);
            }
            out.push_str("</tr>\n");
        }
        let _ = writeln!(out, "</{tag}>");
    }
    out + "</table>"
}

fn cell(out: &mut String, content: &Cell, heading: bool) {
    let tag = if heading { "th" } else { "td" };
    let (class, text) = match content {
        Cell::Text(text) => ("", text),
        Cell::Number(text) => (r#" class="n""#, text),
    };
    let _ = write!(out, "<{tag}{class}>{}</{tag}>", escape(text));
}

/// Longer values of facts, in characters, take a whole line.
const LONG_FACT: usize = 22;

/// Names and values in columns.
pub fn facts(entries: &[(String, String)]) -> String {
    let mut out = String::from(r#"<dl class="facts">"#);
    // What would not fit beside its name in a column gets a line of its own, below the others.
    let is_long = |value: &str| value.chars().count() > LONG_FACT;
    for long in [false, true] {
        let class = if long { r#" class="long""# } else { "" };
        for (name, value) in entries.iter().filter(|(_, value)| is_long(value) == long) {
            let _ = write!(out, "<div{class}><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
        }
    }
    out + "</dl>\n"
}
