//! Bytes written as visible characters, as byte-level tokenizers do: those that are visible in Latin-1 as themselves, the others,
//! in their order, from U+0100 on (Radford et al., "Language models are unsupervised multitask learners", 2019).

use std::sync::LazyLock;

/// True for bytes that stand for themselves.
fn is_visible(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

/// The character of each byte.
static CHARACTERS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut others = (0x100..).filter_map(char::from_u32);
    std::array::from_fn(|byte| match byte as u8 {
        byte if is_visible(byte) => char::from(byte),
        _ => others.next().expect("there are more than 256"),
    })
});

/// The bytes of a text, a character for each.
pub(super) fn in_characters(text: &str) -> String {
    text.bytes().map(|byte| CHARACTERS[usize::from(byte)]).collect()
}

/// The bytes that a text of such characters stands for; `None` if there are others in it.
pub(super) fn from_characters(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|symbol| CHARACTERS.iter().position(|known| *known == symbol).map(|byte| byte as u8)).collect()
}

/// The byte that a token such as `<0x0A>` stands for.
pub(super) fn of_name(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// The name of a byte as a token.
pub(super) fn name(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_characters_and_back() {
        assert_eq!(in_characters(" a\né"), "ĠaĊÃ©");
        let all: String = CHARACTERS.iter().collect();
        assert_eq!(from_characters(&all), Some((0..=u8::MAX).collect()));
        assert_eq!((from_characters("a b"), of_name("<0x0A>"), of_name("<0xA>")), (None, Some(10), None));
        assert_eq!(name(10), "<0x0A>");
    }
}
