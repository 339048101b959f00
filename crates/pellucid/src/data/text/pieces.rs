//! Cutting a text where no token crosses: words, what stands between them, and white space.

/// Consecutive parts of `text` that together are all of it: runs of letters and digits, runs of white space, and single
/// other characters. With `joined`, a single space before a word or a run of other characters belongs to it.
pub(super) fn pieces(text: &str, joined: bool) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let space = if joined && first == ' ' { first.len_utf8() } else { 0 };
        let length = match rest[space..].chars().next() {
            Some(next) if space > 0 && !next.is_whitespace() => space + run(&rest[space..], true),
            _ => run(rest, joined),
        };
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        Some(piece)
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Word,
    Space,
    Other,
}

fn class(symbol: char) -> Class {
    match symbol {
        symbol if symbol.is_alphanumeric() => Class::Word,
        symbol if symbol.is_whitespace() => Class::Space,
        _ => Class::Other,
    }
}

/// Bytes of the run that `text` begins with. Of white space before something that takes a space along, the last space is
/// left to it.
fn run(text: &str, joined: bool) -> usize {
    let mut symbols = text.char_indices();
    let Some((_, first)) = symbols.next() else { return 0 };
    let kind = class(first);
    if kind == Class::Other && !joined {
        return first.len_utf8();
    }
    let end = symbols.find(|(_, symbol)| class(*symbol) != kind).map(|(at, _)| at);
    match end {
        Some(end) if joined && kind == Class::Space && end > 1 && text[..end].ends_with(' ') => end - 1,
        Some(end) => end,
        None => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_words_white_space_and_the_rest_and_nothing_is_lost() {
        let text = "To be,  or not\n\nto -- bé?! ";
        let words: Vec<&str> = pieces(text, false).collect();
        let expected =
            ["To", " ", "be", ",", "  ", "or", " ", "not", "\n\n", "to", " ", "-", "-", " ", "bé", "?", "!", " "];
        assert_eq!(words, expected);
        let joined: Vec<&str> = pieces(text, true).collect();
        assert_eq!(joined, ["To", " be", ",", " ", " or", " not", "\n\n", "to", " --", " bé", "?!", " "]);
        for text in ["", " ", "   ", "\n", "a", "é", " \n x", "…"] {
            for joined in [false, true] {
                assert_eq!(pieces(text, joined).collect::<String>(), text);
                assert!(pieces(text, joined).all(|piece| !piece.is_empty()));
            }
        }
    }
}
