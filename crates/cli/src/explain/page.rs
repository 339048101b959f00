//! An account on a page of its own.

use std::fmt::Write;

use super::Account;
use crate::markup::escape;
use crate::report::Picture;
use crate::report::page::{Page, facts};

/// Side of a picture, in pixels of the page.
const PICTURE_SIDE: u32 = 160;

impl Account {
    /// A page that needs no network and no script.
    pub fn html(&self, title: &str, about: &[(String, String)]) -> String {
        let mut page = Page::new(title);
        page.head(&facts(about));
        if !self.gallery.is_empty() {
            page.section("Pictures", "What speaks for the answer");
            let figure = |(caption, picture): &(String, Picture)| {
                let image = picture.element(caption, PICTURE_SIDE).unwrap_or_default();
                format!("<figure>{image}<figcaption>{}</figcaption></figure>", escape(caption))
            };
            let figures: String = self.gallery.iter().map(figure).collect();
            page.raw(&format!("<div class=\"gallery\">{figures}</div>"));
        }
        for section in &self.sections {
            page.section(section.heading, section.heading);
            for block in &section.blocks {
                let mut html = String::new();
                let _ = write!(html, "<h3>{}</h3>", escape(&block.heading));
                if !block.formula.is_empty() {
                    let _ = write!(html, "<p><code>{}</code></p>", escape(&block.formula));
                }
                let _ = write!(html, "<pre class=\"text\">{}</pre>", escape(&block.lines.join("\n")));
                page.raw(&html);
            }
        }
        page.finish()
    }
}
