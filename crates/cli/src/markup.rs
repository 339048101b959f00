//! Text inside SVG and HTML.

use std::borrow::Cow;

use crate::format::is_unsafe_to_show;

/// `text` for use in element content and in quoted attributes of HTML and SVG: the five characters of markup become
/// entities; what cannot be shown safely (see [`is_unsafe_to_show`]) becomes U+FFFD, except line breaks and tabs.
///
/// Every text that does not stand in this program's source passes through here.
pub fn escape(text: &str) -> Cow<'_, str> {
    let harmless = |symbol: char| !matches!(symbol, '&' | '<' | '>' | '"' | '\'') && !replaced(symbol);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for symbol in text.chars() {
        match symbol {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            symbol if replaced(symbol) => out.push('\u{fffd}'),
            symbol => out.push(symbol),
        }
    }
    Cow::Owned(out)
}

fn replaced(symbol: char) -> bool {
    is_unsafe_to_show(symbol) && !matches!(symbol, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_become_harmless() {
        assert_eq!(escape("plain ü"), "plain ü");
        assert!(matches!(escape("plain"), Cow::Borrowed(_)));
        assert_eq!(escape(r#"<a b="c" d='e'>&"#), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
        assert_eq!(escape("a\0b\x1b[31mc\u{202e}d\u{ffff}"), "a\u{fffd}b\u{fffd}[31mc\u{fffd}d\u{fffd}");
        assert_eq!(escape("two\n\tlines\r"), "two\n\tlines\u{fffd}");
    }
}
