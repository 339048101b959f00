//! Data augmentation: pictures that are changed a little, at random, whenever they are learnt from.
//!
//! A picture is moved first: by whole pixels, or by one affine map and an elastic field, all of it in one interpolation.
//! Then its light is changed, then it is scaled as the data set says, then a square is cut out of it. That is done row by
//! row ([`Augmenter`]). At last the rows of a batch may be mixed with each other ([`Mixer`]).
//!
//! Every random number is a function of the seed, the epoch (for mixing: the step) and the row's place in the data set. It
//! does not matter which thread makes a picture, where it is read from, or whether the run was interrupted.

mod augmenter;
mod cutout;
mod elastic;
mod error;
mod geometry;
mod light;
mod mixing;
mod sample;
mod text;

#[cfg(test)]
mod tests;

pub use augmenter::{Augmenter, Scratch};
pub use error::AugmentError;
pub use geometry::Flip;
pub use mixing::{Mixer, Mixture};
pub use sample::Border;

use kernels::random::Stream;

use crate::tensor::Purpose;

/// What is done to pictures; nothing by default. As text `flip, crop 4, rotate 15` ([`Augmentation::parse`]).
///
/// Limits are those of uniform random numbers unless something else is said. Lengths are in pixels of the picture as it
/// enters the network.
///
/// ```
/// use pellucid::data::Augmentation;
///
/// let augmentation = Augmentation::parse("flip, crop 4, scale 0.9..1.1")?;
/// assert_eq!((augmentation.crop, augmentation.scale), (4, [0.9, 1.1]));
/// assert_eq!(augmentation.to_string(), "flip, crop 4, scale 0.9..1.1");
/// let error = Augmentation::parse("flip, rotat 15").unwrap_err();
/// assert_eq!(error.to_string(), "augmentation 2, 'rotat 15': there is no augmentation 'rotat'; did you mean 'rotate'?");
/// # Ok::<(), pellucid::data::AugmentError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Augmentation {
    /// `flip`: half of the pictures are mirrored, left for right.
    pub flip: Option<Flip>,
    /// `crop 4`: shifted by up to so many whole pixels in each direction, as by padding and a random crop.
    pub crop: usize,
    /// `rotate 15`: by up to so many degrees to either side, at most 180.
    pub rotate: f64,
    /// `scale 0.9..1.1`: times a factor between these, whose logarithm is uniform; each from 0.25 to 4.
    pub scale: [f64; 2],
    /// `shear 5`: vertical lines lean by up to so many degrees to either side, at most 60.
    pub shear: f64,
    /// `shift 2`: by up to so many pixels in each direction, any fraction of a pixel.
    pub shift: f64,
    /// `elastic 1.5`: smooth displacements, so many pixels in the root of the mean square, at most 64.
    pub elastic: f64,
    /// `border zeros`: what is seen beyond the edge of the picture.
    pub border: Border,
    /// `brightness 0.2`: all pixels times 1 ± so much, at most 1.
    pub brightness: f64,
    /// `contrast 0.2`: what pixels differ by from the mean of the picture times 1 ± so much, at most 1.
    pub contrast: f64,
    /// `cutout 8`: a square of so many pixels is made the mean of the data (0 after scaling). Its centre is a pixel of the
    /// picture, beyond whose edge it may reach.
    ///
    /// DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.
    pub cutout: usize,
    /// `mixup 0.2`: pictures and targets become λ times their own and 1 - λ times those of another row of the batch, with
    /// λ from the beta distribution of (α, α); α up to 100. See [`Mixer`].
    pub mixup: f64,
    /// `cutmix 1`: a rectangle comes from another row of the batch, with an area of 1 - λ of the picture, and the targets
    /// are mixed in that proportion. With `mixup`, too, each is done to half of the batches.
    pub cutmix: f64,
}

impl Default for Augmentation {
    /// None.
    fn default() -> Augmentation {
        Augmentation {
            flip: None,
            crop: 0,
            rotate: 0.0,
            scale: [1.0; 2],
            shear: 0.0,
            shift: 0.0,
            elastic: 0.0,
            border: Border::default(),
            brightness: 0.0,
            contrast: 0.0,
            cutout: 0,
            mixup: 0.0,
            cutmix: 0.0,
        }
    }
}

impl Augmentation {
    /// True when nothing is done.
    pub fn is_none(&self) -> bool {
        *self == Augmentation { border: self.border, ..Augmentation::default() }
    }

    /// Refuses rows of `sample_shape` that are no pictures ([channels, height, width]), or too small for what is to be
    /// done to them.
    ///
    /// # Errors
    /// Says which shape, or which length.
    pub fn check(&self, sample_shape: &[usize]) -> Result<(), AugmentError> {
        if self.is_none() {
            return Ok(());
        }
        let Size { width, height, .. } = Size::of(sample_shape)?;
        let side = width.min(height);
        for (name, length, most) in [("crop", self.crop, side - 1), ("cutout", self.cutout, 2 * side)] {
            if length > most {
                return Err(AugmentError::Length { name, length, width, height, most });
            }
        }
        Ok(())
    }

    /// True when rows of a batch are mixed, which makes a mixture of their targets.
    pub fn mixes(&self) -> bool {
        self.mixup > 0.0 || self.cutmix > 0.0
    }
}

/// Channels, height and width of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    channels: usize,
    height: usize,
    width: usize,
}

/// The longest side in pixels: then sixteen bits before the point hold every place that a map may lead to.
const LONGEST_SIDE: usize = 1 << 11;

impl Size {
    fn of(sample_shape: &[usize]) -> Result<Size, AugmentError> {
        match *sample_shape {
            [channels, height, width] if height.max(width) <= LONGEST_SIDE => Ok(Size { channels, height, width }),
            _ => Err(AugmentError::Shape { shape: sample_shape.to_vec() }),
        }
    }

    fn plane(self) -> usize {
        self.height * self.width
    }

    fn values(self) -> usize {
        self.channels * self.plane()
    }
}

/// The random numbers of one row in one epoch.
#[derive(Clone, Copy, Debug)]
struct Draws {
    seed: u64,
    epoch: u64,
    row: u32,
}

/// What a random number is for.
#[derive(Clone, Copy, Debug)]
enum Draw {
    Flip,
    CropX,
    CropY,
    Angle,
    Scale,
    Shear,
    ShiftX,
    ShiftY,
    Brightness,
    Contrast,
    CutoutX,
    CutoutY,
    Elastic(usize),
}

impl Draw {
    fn stream(self, seed: u64) -> Stream {
        let position = match self {
            Draw::Flip => 0,
            Draw::CropX => 1,
            Draw::CropY => 2,
            Draw::Angle => 3,
            Draw::Scale => 4,
            Draw::Shear => 5,
            Draw::ShiftX => 6,
            Draw::ShiftY => 7,
            Draw::Brightness => 8,
            Draw::Contrast => 9,
            Draw::CutoutX => 10,
            Draw::CutoutY => 11,
            Draw::Elastic(index) => 1024 + index,
        };
        Purpose::Augment(position).stream(seed)
    }
}

impl Draws {
    /// Uniform in [-limit, limit).
    fn symmetric(self, draw: Draw, limit: f64) -> f64 {
        limit * (2.0 * f64::from(draw.stream(self.seed).at(self.epoch).unit_at(u64::from(self.row))) - 1.0)
    }

    /// A whole number below `bound`.
    fn below(self, draw: Draw, bound: usize) -> usize {
        draw.stream(self.seed).at(self.epoch).below(u64::from(self.row), bound as u32) as usize
    }
}
