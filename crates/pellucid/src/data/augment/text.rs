//! The one-line form: `flip, crop 4, rotate 15, scale 0.9..1.1`; `none` for none.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AugmentError, Augmentation, Border, Flip, LONGEST_SIDE};

/// Names, and how each is written.
const TABLE: [(&str, &str); 13] = [
    ("flip", "flip, or flip random"),
    ("crop", "crop and a whole number of pixels: crop 4"),
    ("rotate", "rotate and degrees from 0 to 180: rotate 15"),
    ("scale", "scale and two factors from 0.25 to 4, the smaller one first: scale 0.9..1.1"),
    ("shear", "shear and degrees from 0 to 60: shear 5"),
    ("shift", "shift and a number of pixels: shift 2"),
    ("elastic", "elastic and a number of pixels, at most 64: elastic 1.5"),
    ("border", "border and one of reflect, edge, zeros"),
    ("brightness", "brightness and a share from 0 to 1: brightness 0.2"),
    ("contrast", "contrast and a share from 0 to 1: contrast 0.2"),
    ("cutout", "cutout and a whole number of pixels: cutout 8"),
    ("mixup", "mixup and a number above 0, at most 100: mixup 0.2"),
    ("cutmix", "cutmix and a number above 0, at most 100: cutmix 1"),
];

const BORDERS: [(&str, Border); 3] = [("reflect", Border::Reflect), ("edge", Border::Edge), ("zeros", Border::Zeros)];

const NONE: &str = "none";

fn one<'a>(values: &[&'a str]) -> Option<&'a str> {
    if let [value] = *values { Some(value) } else { None }
}

fn number(values: &[&str], range: RangeInclusive<f64>) -> Option<f64> {
    one(values)?.parse().ok().filter(|value| range.contains(value))
}

fn pixels(values: &[&str]) -> Option<usize> {
    one(values)?.parse().ok().filter(|value| *value <= LONGEST_SIDE)
}

fn factors(values: &[&str]) -> Option<[f64; 2]> {
    let (least, most) = one(values)?.split_once("..")?;
    let factor = |text: &str| number(&[text], 0.25..=4.0);
    Some([factor(least)?, factor(most)?]).filter(|[least, most]| least <= most)
}

impl Augmentation {
    /// Reads what is to be done, with commas between: names, each with its values. `none`, and nothing, are none.
    ///
    /// # Errors
    /// Names the one that is not known, with the nearest known name, or says how it is written.
    pub fn parse(text: &str) -> Result<Augmentation, AugmentError> {
        let mut augmentation = Augmentation::default();
        if text.trim().is_empty() || text.trim() == NONE {
            return Ok(augmentation);
        }
        let mut seen = Vec::new();
        for (index, item) in text.split(',').enumerate() {
            let (place, item) = (index + 1, item.trim().to_string());
            let mut words = item.split_whitespace();
            let name = words.next().unwrap_or_default();
            let Some(&(name, usage)) = TABLE.iter().find(|(known, _)| *known == name) else {
                let known = TABLE.iter().map(|(name, _)| *name).collect();
                return Err(AugmentError::UnknownName { place, name: name.to_string(), item, known });
            };
            if augmentation.set(name, &words.collect::<Vec<_>>()).is_none() {
                return Err(AugmentError::Value { place, item, usage });
            }
            if seen.contains(&name) {
                return Err(AugmentError::Repeated { place, item, name });
            }
            seen.push(name);
        }
        Ok(augmentation)
    }

    /// Takes the values of one name; nothing if they do not fit.
    fn set(&mut self, name: &str, values: &[&str]) -> Option<()> {
        let side = LONGEST_SIDE as f64;
        match name {
            "flip" => self.flip = Some(flip(values)?),
            "crop" => self.crop = pixels(values)?,
            "rotate" => self.rotate = number(values, 0.0..=180.0)?,
            "scale" => self.scale = factors(values)?,
            "shear" => self.shear = number(values, 0.0..=60.0)?,
            "shift" => self.shift = number(values, 0.0..=side)?,
            "elastic" => self.elastic = number(values, 0.0..=64.0)?,
            "border" => self.border = BORDERS.iter().find(|(word, _)| Some(*word) == one(values))?.1,
            "brightness" => self.brightness = number(values, 0.0..=1.0)?,
            "contrast" => self.contrast = number(values, 0.0..=1.0)?,
            "cutout" => self.cutout = pixels(values)?,
            "mixup" => self.mixup = number(values, 1e-3..=100.0)?,
            "cutmix" => self.cutmix = number(values, 1e-3..=100.0)?,
            _ => unreachable!("a name of the table"),
        }
        Some(())
    }

    /// The values of one name as they are written; nothing at the default.
    fn written(&self, name: &str) -> Option<String> {
        let number = |value: f64| (value != 0.0).then(|| format!("{name} {value}"));
        match name {
            "flip" => self.flip.map(|flip| if flip == Flip::Random { "flip random" } else { "flip" }.to_string()),
            "crop" => number(self.crop as f64),
            "rotate" => number(self.rotate),
            "scale" => (self.scale != [1.0; 2]).then(|| format!("scale {}..{}", self.scale[0], self.scale[1])),
            "shear" => number(self.shear),
            "shift" => number(self.shift),
            "elastic" => number(self.elastic),
            "border" => {
                let (word, _) = BORDERS.iter().find(|(_, border)| *border == self.border)?;
                (self.border != Border::default()).then(|| format!("border {word}"))
            }
            "brightness" => number(self.brightness),
            "contrast" => number(self.contrast),
            "cutout" => number(self.cutout as f64),
            "mixup" => number(self.mixup),
            "cutmix" => number(self.cutmix),
            _ => unreachable!("a name of the table"),
        }
    }
}

fn flip(values: &[&str]) -> Option<Flip> {
    match values {
        [] | ["alternate"] => Some(Flip::Alternate),
        ["random"] => Some(Flip::Random),
        _ => None,
    }
}

impl fmt::Display for Augmentation {
    /// The line that [`Augmentation::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<String> = TABLE.iter().filter_map(|(name, _)| self.written(name)).collect();
        f.write_str(if items.is_empty() { NONE.to_string() } else { items.join(", ") }.as_str())
    }
}

impl FromStr for Augmentation {
    type Err = AugmentError;
    fn from_str(text: &str) -> Result<Augmentation, AugmentError> {
        Augmentation::parse(text)
    }
}

impl Serialize for Augmentation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Augmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Augmentation, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_augmentation_comes_back_from_its_line() {
        for text in [
            "none",
            "flip",
            "flip random, crop 4",
            "rotate 15, scale 0.9..1.1, shear 5.5, shift 2, elastic 1.5, border zeros",
            "brightness 0.2, contrast 0.3, cutout 8, mixup 0.2, cutmix 1",
        ] {
            let augmentation = Augmentation::parse(text).expect(text);
            assert_eq!(augmentation.to_string(), text);
            let json = serde_json::to_string(&augmentation).expect("a string");
            assert_eq!(serde_json::from_str::<Augmentation>(&json).expect("the same"), augmentation);
        }
        assert_eq!(Augmentation::parse(" "), Ok(Augmentation::default()));
        assert_eq!(Augmentation::parse("flip alternate , border reflect"), Augmentation::parse("flip"));
        assert!(Augmentation::parse("border edge").expect("a border").is_none());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_a_way_out() {
        for (text, parts) in [
            ("flip, rotat 15", ["augmentation 2, 'rotat 15'", "did you mean 'rotate'?"]),
            ("blur 3", ["no augmentation 'blur'", "there are flip, crop, rotate"]),
            ("flip,", ["augmentation 2, ''", "there are flip"]),
            ("flip vertically", ["'flip vertically'", "write flip, or flip random"]),
            ("crop", ["'crop'", "crop 4"]),
            ("crop -1", ["'crop -1'", "a whole number of pixels"]),
            ("crop 2.5", ["'crop 2.5'", "a whole number of pixels"]),
            ("crop 4 4", ["'crop 4 4'", "crop 4"]),
            ("rotate 200", ["'rotate 200'", "degrees from 0 to 180"]),
            ("rotate nan", ["'rotate nan'", "degrees from 0 to 180"]),
            ("scale 0.9", ["'scale 0.9'", "scale 0.9..1.1"]),
            ("scale 1.1..0.9", ["'scale 1.1..0.9'", "the smaller one first"]),
            ("scale 0..2", ["'scale 0..2'", "from 0.25 to 4"]),
            ("border mirror", ["'border mirror'", "reflect, edge, zeros"]),
            ("brightness 2", ["'brightness 2'", "from 0 to 1"]),
            ("mixup 0", ["'mixup 0'", "above 0"]),
            ("cutmix inf", ["'cutmix inf'", "above 0"]),
            ("crop 99999999999", ["'crop 99999999999'", "a whole number"]),
            ("none, flip", ["augmentation 1, 'none'", "no augmentation 'none'"]),
            ("crop 4, flip, crop 2", ["augmentation 3, 'crop 2'", "crop is there twice"]),
        ] {
            let message = Augmentation::parse(text).expect_err(text).to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
        }
    }
}
