//! A small SVG writer: elements by class, coordinates to a tenth, every text escaped.
//!
//! Colours come from one style sheet ([`STYLE`]), which follows the reader's light or dark setting; a picture that is a
//! file of its own carries it inside, a report carries it once. It names colours directly, without CSS variables, because
//! several SVG viewers outside browsers do not know these.

use std::fmt::Write;

use crate::markup::escape;

/// The style sheet of all plots, everything below the class `plot`. The hues are those of Okabe and Ito, distinguishable
/// with any colour vision; the second curve is dashed as well, for paper.
pub const STYLE: &str = "\
.plot{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif}
.plot text{fill:#4a5560}.plot .title{fill:#1b232b;font-weight:600;font-size:13px}.plot .note{fill:#6b7680}
.plot .strong{fill:#1b232b}.plot .onfill{fill:#fff}
.plot .back{fill:#fff}.plot .grid{stroke:#e4e8ec;fill:none}.plot .axis{stroke:#98a2ac;fill:none}
.plot .guide{stroke:#98a2ac;fill:none;stroke-dasharray:2 4}
.plot .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.plot .dash{stroke-dasharray:6 4}
.plot .line.a{stroke:#0072b2}.plot .line.b{stroke:#d55e00}.plot .line.c{stroke:#009e73}.plot .line.d{stroke:#b0578d}
.plot .line.e{stroke:#8a6d00}.plot .line.f{stroke:#3d7fb8}
.plot .fill.a{fill:#0072b2}.plot .fill.b{fill:#d55e00}.plot .fill.c{fill:#009e73}.plot .soft{fill:#0072b2;fill-opacity:.35}
@media screen and (prefers-color-scheme:dark){
.plot text{fill:#aab4be}.plot .title,.plot .strong{fill:#e8edf2}.plot .note{fill:#8b96a1}.plot .onfill{fill:#fff}
.plot .back{fill:#171c21}.plot .grid{stroke:#2a323a}.plot .axis,.plot .guide{stroke:#66717c}
.plot .line.a{stroke:#56b4e9}.plot .line.b{stroke:#f0883e}.plot .line.c{stroke:#2fc79a}.plot .line.d{stroke:#d98fbd}
.plot .line.e{stroke:#d8b94a}.plot .line.f{stroke:#8fb8dc}
.plot .fill.a{fill:#2a86c4}.plot .fill.b{fill:#e5702a}.plot .fill.c{fill:#2fc79a}.plot .soft{fill:#56b4e9;fill-opacity:.4}
}
";

/// Which end of a text stands at its x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Anchor {
    /// The text begins there.
    Start,
    /// The text is centred there.
    Middle,
    /// The text ends there.
    End,
}

/// A picture in the making. Coordinates are in pixels from the top left corner.
#[derive(Clone, Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    label: String,
    body: String,
}

impl Svg {
    /// An empty picture; `label` says what it shows to those who do not see it.
    pub fn new(width: f64, height: f64, label: &str) -> Svg {
        Svg { width, height, label: label.to_string(), body: String::new() }
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let (x1, y1, x2, y2) = (tenth(from.0), tenth(from.1), tenth(to.0), tenth(to.1));
        let _ = writeln!(self.body, r#"<line class="{class}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>"#);
    }

    /// A filled rectangle, its opacity 0…1.
    pub fn rect(&mut self, class: &str, corner: (f64, f64), size: (f64, f64), opacity: f64) {
        self.open_rect(class, corner, size, opacity);
        self.body.push_str("/>\n");
    }

    /// A filled rectangle that says `note` when pointed at.
    pub fn rect_noted(&mut self, class: &str, corner: (f64, f64), size: (f64, f64), opacity: f64, note: &str) {
        self.open_rect(class, corner, size, opacity);
        let _ = writeln!(self.body, "><title>{}</title></rect>", escape(note));
    }

    fn open_rect(&mut self, class: &str, corner: (f64, f64), size: (f64, f64), opacity: f64) {
        let (x, y, width, height) = (tenth(corner.0), tenth(corner.1), tenth(size.0), tenth(size.1));
        let _ = write!(self.body, r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}""#);
        if opacity < 1.0 {
            let _ = write!(self.body, r#" fill-opacity="{:.3}""#, opacity.max(0.0));
        }
    }

    /// A filled circle.
    pub fn circle(&mut self, class: &str, centre: (f64, f64), radius: f64) {
        let (x, y, radius) = (tenth(centre.0), tenth(centre.1), tenth(radius));
        let _ = writeln!(self.body, r#"<circle class="{class}" cx="{x}" cy="{y}" r="{radius}"/>"#);
    }

    /// A line through `points`; `None` lifts the pen.
    pub fn path(&mut self, class: &str, points: impl IntoIterator<Item = Option<(f64, f64)>>) {
        let mut data = String::new();
        let mut down = false;
        for point in points {
            if let Some((x, y)) = point {
                let _ = write!(data, "{}{} {}", if down { 'L' } else { 'M' }, tenth(x), tenth(y));
            }
            down = point.is_some();
        }
        if !data.is_empty() {
            let _ = writeln!(self.body, r#"<path class="{class}" d="{data}"/>"#);
        }
    }

    /// A line of text on the base line `at.1`.
    pub fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        self.text_turned(class, at, anchor, 0.0, text);
    }

    /// A line of text, turned clockwise by `degrees` about `at`.
    pub fn text_turned(&mut self, class: &str, at: (f64, f64), anchor: Anchor, degrees: f64, text: &str) {
        let (x, y) = (tenth(at.0), tenth(at.1));
        let _ = write!(self.body, r#"<text x="{x}" y="{y}""#);
        if !class.is_empty() {
            let _ = write!(self.body, r#" class="{class}""#);
        }
        match anchor {
            Anchor::Start => {}
            Anchor::Middle => self.body.push_str(r#" text-anchor="middle""#),
            Anchor::End => self.body.push_str(r#" text-anchor="end""#),
        }
        if degrees != 0.0 {
            let _ = write!(self.body, r#" transform="rotate({degrees} {x} {y})""#);
        }
        let _ = writeln!(self.body, ">{}</text>", escape(text));
    }

    /// The picture as part of an HTML page that holds [`STYLE`].
    pub fn fragment(&self) -> String {
        format!("{}\n{}</svg>\n", self.head(), self.body)
    }

    /// The picture as a file of its own: with its style sheet and a background.
    pub fn document(&self) -> String {
        let head = self.head();
        let background = r#"<rect class="back" width="100%" height="100%"/>"#;
        let body = &self.body;
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{head}\n<style>{STYLE}</style>\n{background}\n{body}</svg>\n"
        )
    }

    fn head(&self) -> String {
        let (width, height) = (tenth(self.width), tenth(self.height));
        let label = escape(&self.label);
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="plot" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">"#
        )
    }
}

/// A coordinate to a tenth of a pixel, in as few characters as it takes.
fn tenth(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    // `+ 0.0` turns -0 into 0.
    format!("{}", rounded + 0.0)
}

/// An estimate of the width of `text` in pixels at 12 px: the writer has no font to measure with.
pub fn text_width(text: &str) -> f64 {
    console::measure_text_width(text) as f64 * 6.6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_well_formed_whatever_its_texts_say() {
        let mut svg = Svg::new(100.0, 50.0, "a \"label\" & more");
        svg.text("", (1.0, 2.0), Anchor::Start, "</text><script>alert(1)</script>\0");
        svg.rect_noted("soft", (0.0, 0.0), (9.99, 5.0), 0.5, "<title>");
        svg.path("line a", [Some((0.0, 0.0)), None, Some((1.0, -0.04)), Some((2.0, 2.25))]);
        svg.path("line a", [None, None]);
        for text in [svg.fragment(), svg.document()] {
            let document = roxmltree::Document::parse(&text).expect("well-formed");
            let all = |tag: &'static str| document.descendants().filter(move |node| node.tag_name().name() == tag);
            assert_eq!(all("script").count(), 0);
            let texts: Vec<_> = all("text").filter_map(|node| node.text()).collect();
            assert_eq!(texts, ["</text><script>alert(1)</script>\u{fffd}"]);
            let paths: Vec<_> = all("path").collect();
            assert_eq!(paths.len(), 1, "a path without points is left out");
            assert_eq!(paths[0].attribute("d"), Some("M0 0M1 0L2 2.3"));
        }
        assert!(!svg.fragment().contains("<style"));
    }
}
