//! Which parameters have which penalties and learning rate, by their names and roles.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::OptimError;
use super::error::{hint, not_negative};
use super::method::{Penalty, Settings};
use crate::graph::{Role, Segment};

/// Penalties on the parameters, and groups of parameters with settings of their own.
///
/// `weight_decay` is meant as the optimiser means it: the L2 penalty λ/2 Σ w², which adds λ w to the gradient, or, for
/// `adamw`, decoupled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Groups {
    /// λ of the L1 penalty λ Σ |w|, which adds λ sign(w) to the gradient, sign(0) = 0; 0.
    pub l1: f64,
    /// Stands for the optimiser's `weight_decay`, if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// λ of the decoupled weight decay, which multiplies w by 1 - rate · λ; 0. Added to that of `adamw`.
    pub decoupled_weight_decay: f64,
    /// Penalties of all kinds leave out biases and the scales of normalisations, whatever their group says; false.
    pub weights_only: bool,
    /// Parameters with settings of their own: the first group that a name fits holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
}

/// Settings of the parameters whose names fit a pattern. What is not given is as for all parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Names; `*` stands for any characters, `?` for one: `0.*`, `*.bias`. Must fit one parameter at least.
    pub parameters: String,
    /// Multiplies the learning rate; 0 or more; 1.
    pub lr_factor: f64,
    /// See [`Groups::l1`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1: Option<f64>,
    /// See [`Groups::weight_decay`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// See [`Groups::decoupled_weight_decay`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoupled_weight_decay: Option<f64>,
}

impl Default for Group {
    fn default() -> Group {
        Group {
            parameters: "*".to_string(),
            lr_factor: 1.0,
            l1: None,
            weight_decay: None,
            decoupled_weight_decay: None,
        }
    }
}

impl Group {
    /// Discriminative learning rates: the parameters of the last layer have the whole rate, those of each layer before have
    /// `decay` times that of the layer behind it. The layer of a parameter is its name up to the first dot. (Howard and
    /// Ruder, "Universal language model fine-tuning for text classification", ACL 2018, with a decay of 1 / 2.6.)
    pub fn by_depth<'a>(names: impl IntoIterator<Item = &'a str>, decay: f64) -> Vec<Group> {
        let mut layers: Vec<&str> = Vec::new();
        for name in names {
            let layer = name.split_once('.').map_or(name, |(layer, _)| layer);
            if !layers.contains(&layer) {
                layers.push(layer);
            }
        }
        let mut lr_factor = 1.0;
        let group = |layer: &&str| {
            let group = Group { parameters: format!("{layer}.*"), lr_factor, ..Group::default() };
            lr_factor *= decay;
            group
        };
        layers.iter().rev().map(group).collect()
    }
}

/// A stretch of the slab with the same settings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pass {
    pub range: Range<usize>,
    pub lr_factor: f64,
    pub l1: f64,
    pub l2: f64,
    pub decay: f64,
}

impl Pass {
    /// The penalties at a learning rate (with its factor), if there are any.
    #[inline]
    pub fn penalty(&self, rate: f64) -> Option<Penalty> {
        if self.l1 == 0.0 && self.l2 == 0.0 && self.decay == 0.0 {
            return None;
        }
        Some(Penalty { l1: self.l1 as f32, l2: self.l2 as f32, keep: (1.0 - rate * self.decay) as f32 })
    }

    fn continues(&self, before: &Pass) -> bool {
        let gap = before.range.end.next_multiple_of(GAP);
        (self.range.start == before.range.end || self.range.start == gap)
            && Pass { range: 0..0, ..self.clone() } == Pass { range: 0..0, ..before.clone() }
    }
}

/// Segments begin at multiples of this many values; the gaps between them are zeros, which an update leaves zeros.
pub(super) const GAP: usize = 16;

impl Groups {
    /// The stretches of the slab, in order. Adjacent segments with the same settings are one; frozen ones are left out.
    pub(super) fn passes(&self, settings: Settings, segments: &[Segment]) -> Result<Vec<Pass>, OptimError> {
        self.check(segments)?;
        let mut passes: Vec<Pass> = Vec::new();
        for segment in segments.iter().filter(|segment| !segment.frozen) {
            let group = self.groups.iter().find(|group| fits(&group.parameters, &segment.name));
            let of_group = |value: fn(&Group) -> Option<f64>| group.and_then(value);
            let weight_decay =
                of_group(|group| group.weight_decay).or(self.weight_decay).unwrap_or(settings.weight_decay);
            let decay = of_group(|group| group.decoupled_weight_decay).unwrap_or(self.decoupled_weight_decay);
            let mut pass = Pass {
                range: segment.range.clone(),
                lr_factor: group.map_or(1.0, |group| group.lr_factor),
                l1: of_group(|group| group.l1).unwrap_or(self.l1),
                l2: if settings.decoupled { 0.0 } else { weight_decay },
                decay: if settings.decoupled { weight_decay + decay } else { decay },
            };
            if self.weights_only && segment.role != Role::Weight {
                pass = Pass { l1: 0.0, l2: 0.0, decay: 0.0, ..pass };
            }
            match passes.last_mut() {
                Some(before) if pass.continues(before) => before.range.end = pass.range.end,
                _ => passes.push(pass),
            }
        }
        Ok(passes)
    }

    fn check(&self, segments: &[Segment]) -> Result<(), OptimError> {
        not_negative("l1", self.l1)?;
        not_negative("weight_decay", self.weight_decay.unwrap_or(0.0))?;
        not_negative("decoupled_weight_decay", self.decoupled_weight_decay)?;
        for group in &self.groups {
            not_negative("lr_factor", group.lr_factor)?;
            not_negative("l1", group.l1.unwrap_or(0.0))?;
            not_negative("weight_decay", group.weight_decay.unwrap_or(0.0))?;
            not_negative("decoupled_weight_decay", group.decoupled_weight_decay.unwrap_or(0.0))?;
            if !segments.iter().any(|segment| fits(&group.parameters, &segment.name)) {
                let pattern = group.parameters.clone();
                let hint = hint(&pattern, segments.iter().map(|segment| segment.name.as_str()));
                return Err(OptimError::NoParameter { pattern, hint });
            }
        }
        Ok(())
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any bytes and `?` for one.
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // The last star, and how far its stretch of the name goes: the only place worth coming back to.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, end)) = star else { return false };
                star = Some((at, end + 1));
                p = at + 1;
                n = end + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(name: &str, range: Range<usize>, role: Role, frozen: bool) -> Segment {
        Segment { name: name.to_string(), dims: [range.len()].into_iter().collect(), range, role, frozen }
    }

    fn segments() -> Vec<Segment> {
        vec![
            segment("0.weight", 0..20, Role::Weight, false),
            segment("0.bias", 32..37, Role::Bias, false),
            segment("2.weight", 48..64, Role::Weight, false),
            segment("2.bias", 64..65, Role::Bias, false),
        ]
    }

    const PLAIN: Settings = Settings { lr: 0.1, weight_decay: 0.25, decoupled: false };

    fn ranges(passes: &[Pass]) -> Vec<Range<usize>> {
        passes.iter().map(|pass| pass.range.clone()).collect()
    }

    #[test]
    fn equal_neighbours_are_one_pass_and_frozen_ones_part_it() {
        let mut segments = segments();
        let passes = Groups::default().passes(PLAIN, &segments).expect("good groups");
        assert_eq!(passes, [Pass { range: 0..65, lr_factor: 1.0, l1: 0.0, l2: 0.25, decay: 0.0 }]);
        segments[1].frozen = true;
        let passes = Groups::default().passes(PLAIN, &segments).expect("good groups");
        assert_eq!(ranges(&passes), [0..20, 48..65]);
        let all = Groups { weights_only: true, l1: 0.5, ..Groups::default() };
        segments[1].frozen = false;
        let passes = all.passes(PLAIN, &segments).expect("good groups");
        assert_eq!(ranges(&passes), [0..20, 32..37, 48..64, 64..65]);
        assert_eq!(
            passes.iter().map(|pass| (pass.l1, pass.l2)).collect::<Vec<_>>(),
            [(0.5, 0.25), (0.0, 0.0)].repeat(2)
        );
    }

    #[test]
    fn the_first_group_that_fits_holds_and_leaves_the_rest_as_for_all() {
        let first = Group { parameters: "0.*".into(), lr_factor: 0.1, l1: Some(0.0), ..Group::default() };
        let second = Group { parameters: "*.bias".into(), weight_decay: Some(0.0), ..Group::default() };
        let groups = Groups { l1: 2.0, groups: vec![first, second], ..Groups::default() };
        let passes = groups.passes(PLAIN, &segments()).expect("good groups");
        assert_eq!(ranges(&passes), [0..37, 48..64, 64..65]);
        let of = |pass: &Pass| (pass.lr_factor, pass.l1, pass.l2);
        assert_eq!(passes.iter().map(of).collect::<Vec<_>>(), [(0.1, 0.0, 0.25), (1.0, 2.0, 0.25), (1.0, 2.0, 0.0)]);
        let decoupled = Settings { decoupled: true, ..PLAIN };
        let groups = Groups { decoupled_weight_decay: 0.5, ..Groups::default() };
        let passes = groups.passes(decoupled, &segments()).expect("good groups");
        assert_eq!((passes[0].l2, passes[0].decay), (0.0, 0.75));
    }

    #[test]
    fn rates_by_depth_fall_from_the_last_layer_to_the_first() {
        let names = ["0.weight", "0.bias", "2.0.weight", "2.1.weight", "10.weight"];
        let groups = Group::by_depth(names, 0.5);
        let factors: Vec<(&str, f64)> =
            groups.iter().map(|group| (group.parameters.as_str(), group.lr_factor)).collect();
        assert_eq!(factors, [("10.*", 1.0), ("2.*", 0.5), ("0.*", 0.25)]);
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_an_error_with_the_nearest_name() {
        let group = Group { parameters: "0.wieght".into(), ..Group::default() };
        let error = Groups { groups: vec![group], ..Groups::default() }.passes(PLAIN, &segments()).unwrap_err();
        assert_eq!(error.to_string(), "no parameter fits '0.wieght'; did you mean '0.weight'?");
        let group = Group { lr_factor: -1.0, ..Group::default() };
        let error = Groups { groups: vec![group], ..Groups::default() }.passes(PLAIN, &segments()).unwrap_err();
        assert_eq!(error.to_string(), "'lr_factor' must be 0 or more, got -1");
    }

    #[test]
    fn patterns() {
        for (pattern, name, fit) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("0.*", "0.weight", true),
            ("0.*", "10.weight", false),
            ("*.bias", "0.bias", true),
            ("*.bias", "0.bias.x", false),
            ("*a*b*", "xaxaxbx", true),
            ("*ab", "aab", true),
            ("?.weight", "10.weight", false),
            ("??.weight", "10.weight", true),
            ("a?", "a", false),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }
}
