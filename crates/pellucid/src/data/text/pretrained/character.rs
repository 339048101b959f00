//! Classes of characters, as the tokenizers of others know them.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Letters, marks, decimal digits, what joins words, and the two joiners.
pub(super) fn is_word(symbol: char) -> bool {
    symbol.is_alphabetic()
        || matches!(symbol, '\u{200c}' | '\u{200d}')
        || symbol.general_category_group() == GeneralCategoryGroup::Mark
        || matches!(symbol.general_category(), GeneralCategory::DecimalNumber | GeneralCategory::ConnectorPunctuation)
}

/// Punctuation, ASCII's symbols included.
pub(super) fn is_punctuation(symbol: char) -> bool {
    symbol.is_ascii_punctuation() || symbol.general_category_group() == GeneralCategoryGroup::Punctuation
}

/// Characters that are not seen and are no white space; those that Unicode has not assigned are kept.
pub(super) fn is_control(symbol: char) -> bool {
    !matches!(symbol, '\t' | '\n' | '\r')
        && matches!(
            symbol.general_category(),
            GeneralCategory::Control | GeneralCategory::Format | GeneralCategory::PrivateUse
        )
}

/// An accent, once it is a character of its own.
pub(super) fn is_accent(symbol: char) -> bool {
    symbol.general_category() == GeneralCategory::NonspacingMark
}

/// Any mark: of an accent, a vowel, or around a character.
pub(super) fn is_mark(symbol: char) -> bool {
    symbol.general_category_group() == GeneralCategoryGroup::Mark
}

/// Ideographs that BERT's tokenizer takes one by one.
pub(super) fn is_ideograph(symbol: char) -> bool {
    matches!(
        u32::from(symbol),
        0x3400..=0x4dbf
            | 0x4e00..=0x9fff
            | 0xf900..=0xfaff
            | 0x20000..=0x2a6df
            | 0x2a700..=0x2b81f
            | 0x2b920..=0x2ceaf
            | 0x2f800..=0x2fa1f
    )
}

/// The names of the general categories, in Unicode's own order.
const CATEGORIES: [&str; 30] = [
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
    "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
];

/// True for the name of a general category, or of a group of them.
pub(super) fn is_category(name: &str) -> bool {
    !name.is_empty() && CATEGORIES.iter().any(|known| known.starts_with(name))
}

/// The name of the general category of a character: `Lu`, `Nd`, …
pub(super) fn abbreviation(symbol: char) -> &'static str {
    use GeneralCategory as Of;
    let place = match symbol.general_category() {
        Of::UppercaseLetter => 0,
        Of::LowercaseLetter => 1,
        Of::TitlecaseLetter => 2,
        Of::ModifierLetter => 3,
        Of::OtherLetter => 4,
        Of::NonspacingMark => 5,
        Of::SpacingMark => 6,
        Of::EnclosingMark => 7,
        Of::DecimalNumber => 8,
        Of::LetterNumber => 9,
        Of::OtherNumber => 10,
        Of::ConnectorPunctuation => 11,
        Of::DashPunctuation => 12,
        Of::OpenPunctuation => 13,
        Of::ClosePunctuation => 14,
        Of::InitialPunctuation => 15,
        Of::FinalPunctuation => 16,
        Of::OtherPunctuation => 17,
        Of::MathSymbol => 18,
        Of::CurrencySymbol => 19,
        Of::ModifierSymbol => 20,
        Of::OtherSymbol => 21,
        Of::SpaceSeparator => 22,
        Of::LineSeparator => 23,
        Of::ParagraphSeparator => 24,
        Of::Control => 25,
        Of::Format => 26,
        Of::Surrogate => 27,
        Of::PrivateUse => 28,
        Of::Unassigned => 29,
    };
    CATEGORIES[place]
}
