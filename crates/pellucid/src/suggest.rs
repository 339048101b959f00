//! "did you mean …?": the nearest known name to one that nobody knows. For layers, optimisers, datasets, columns, flags.

/// Longer names are not compared: nobody mistypes a word of that length, and the distance costs length × length.
const MAX_LENGTH: usize = 64;

/// The name of `known` that `name` most likely stands for, or `None` if nothing is near.
///
/// Near means: equal but for case and `-` for `_`; or at most a third of the letters (at least one) inserted, dropped,
/// replaced or swapped with a neighbour; or, from three letters on, the beginning of a known name. The nearest wins, the
/// first of equally near ones.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name);
    let length = wanted.chars().count();
    if length == 0 || length > MAX_LENGTH {
        return None;
    }
    let allowed = (length / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in known.into_iter().filter(|candidate| candidate.len() <= MAX_LENGTH) {
        let other = folded(candidate);
        let mut distance = strsim::osa_distance(&wanted, &other);
        if length >= 3 && other.starts_with(&wanted) {
            distance = distance.min(allowed);
        }
        // As many changes as letters would turn any word into any other.
        let near = distance <= allowed && (distance == 0 || distance < length);
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn folded(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 7] = ["dense", "dropout", "conv", "relu", "leaky_relu", "lstm", "selu"];

    #[test]
    fn slips_of_the_finger_find_the_word_that_was_meant() {
        for (typed, meant) in [
            ("dens", "dense"),
            ("desne", "dense"),
            ("Dense", "dense"),
            ("dropuot", "dropout"),
            ("leaky-relu", "leaky_relu"),
            ("leakyrelu", "leaky_relu"),
            ("drop", "dropout"),
            ("leaky", "leaky_relu"),
            ("ltsm", "lstm"),
            ("conv2", "conv"),
        ] {
            assert_eq!(nearest(typed, WORDS), Some(meant), "for {typed}");
        }
    }

    #[test]
    fn words_that_are_far_from_all_find_none() {
        for typed in ["", "x", "transformer", "12", "ü", &"dense".repeat(1000)] {
            assert_eq!(nearest(typed, WORDS), None, "for {typed}");
        }
    }

    #[test]
    fn the_first_of_equally_near_words_wins() {
        assert_eq!(nearest("gelu", WORDS), Some("relu"));
        assert_eq!(nearest("gelu", ["selu", "relu"]), Some("selu"));
    }
}
