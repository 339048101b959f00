//! Where each pixel comes from: flips, crops, rotation, scale, shear and shift made one affine map.

use super::{Augmentation, Draw, Draws, Size};

/// How pictures are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flip {
    /// `flip`: which pictures are mirrored in the first epoch is random, and from epoch to epoch each is the other way
    /// round, so that any two epochs one after the other show both sides of every picture.
    ///
    /// Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, section 3.6.
    Alternate,
    /// `flip random`: each picture, each time, with a probability of one half.
    Random,
}

impl Flip {
    pub(super) fn draw(self, draws: Draws) -> bool {
        match self {
            Flip::Alternate => {
                let first = Draws { epoch: 0, ..draws }.below(Draw::Flip, 2);
                (first as u64 + draws.epoch) % 2 == 1
            }
            Flip::Random => draws.below(Draw::Flip, 2) == 1,
        }
    }
}

/// From a place (x, y) of the new picture to the one of the old picture that is seen there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Placement {
    /// (x + dx, y + dy), x counted from the right edge if flipped.
    Whole { flip: bool, dx: isize, dy: isize },
    /// (m₀₀ x + m₀₁ y + m₀₂, m₁₀ x + m₁₁ y + m₁₂)
    Affine([[f64; 3]; 2]),
}

/// What is drawn for one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Motion {
    pub flip: bool,
    /// Whole pixels.
    pub crop: [isize; 2],
    /// Degrees.
    pub angle: f64,
    pub scale: f64,
    /// Degrees.
    pub shear: f64,
    /// Pixels.
    pub shift: [f64; 2],
}

impl Motion {
    pub fn draw(settings: &Augmentation, draws: Draws) -> Motion {
        let crop = |draw| draws.below(draw, 2 * settings.crop + 1) as isize - settings.crop as isize;
        let symmetric = |draw, limit| if limit > 0.0 { draws.symmetric(draw, limit) } else { 0.0 };
        let [least, most] = settings.scale.map(libm::log);
        Motion {
            flip: settings.flip.is_some_and(|flip| flip.draw(draws)),
            crop: if settings.crop > 0 { [crop(Draw::CropX), crop(Draw::CropY)] } else { [0; 2] },
            angle: symmetric(Draw::Angle, settings.rotate),
            scale: if settings.scale == [1.0; 2] {
                1.0
            } else {
                libm::exp((least + most) / 2.0 + draws.symmetric(Draw::Scale, (most - least) / 2.0))
            },
            shear: symmetric(Draw::Shear, settings.shear),
            shift: [symmetric(Draw::ShiftX, settings.shift), symmetric(Draw::ShiftY, settings.shift)],
        }
    }

    /// The picture is sheared, then turned about its middle, then scaled and shifted, then flipped:
    /// with p from the middle of the picture, p' = F (s R S p + t), hence p = S⁻¹ R⁻¹ (F p' - t) / s.
    ///
    /// The crop stays a shift by whole pixels of what is seen, so that alone it copies.
    pub fn placement(&self, size: Size, interpolate: bool) -> Placement {
        let Motion { flip, crop: [dx, dy], .. } = *self;
        let still = Motion { flip, crop: self.crop, angle: 0.0, scale: 1.0, shear: 0.0, shift: [0.0; 2] };
        if *self == still && !interpolate {
            return Placement::Whole { flip, dx, dy };
        }
        let radians = self.angle.to_radians();
        let (sin, cos) = (exact(libm::sin(radians)), exact(libm::cos(radians)));
        let lean = exact(libm::tan(self.shear.to_radians()));
        // R⁻¹ = (cos, sin; -sin, cos), S⁻¹ = (1, -lean; 0, 1)
        let inverse = [[cos + lean * sin, sin - lean * cos], [-sin, cos]];
        let middle = [(size.width as f64 - 1.0) / 2.0, (size.height as f64 - 1.0) / 2.0];
        let mirror = if flip { -1.0 } else { 1.0 };
        let moved = [dx as f64, dy as f64];
        Placement::Affine([0, 1].map(|axis| {
            let [a, b] = inverse[axis].map(|factor| factor / self.scale);
            let at_zero =
                middle[axis] + moved[axis] - a * (mirror * middle[0] + self.shift[0]) - b * (middle[1] + self.shift[1]);
            [a * mirror, b, at_zero]
        }))
    }
}

/// A multiple of 2⁻⁴⁰: the cosine of a right angle is 0, not 6 · 10⁻¹⁷, and pixels stay as they are.
fn exact(value: f64) -> f64 {
    const STEPS: f64 = (1u64 << 40) as f64;
    (value * STEPS).round() / STEPS
}
