//! Rows of pictures, augmented.

use kernels::simd::{Isa, Kernel, Simd, dispatch};

use super::cutout::square;
use super::elastic::{Elastic, Field, FieldRoom};
use super::geometry::{Motion, Placement};
use super::light::Light;
use super::sample::{self, Line};
use super::{AugmentError, Augmentation, Draws, Size};
use crate::data::{Dataset, Features, ReadError};

/// Makes augmented rows of pictures of one size.
#[derive(Clone, Debug)]
pub struct Augmenter {
    settings: Augmentation,
    seed: u64,
    size: Size,
    elastic: Option<Elastic>,
    isa: Isa,
}

/// Room for the making of one row; each thread needs one of its own.
#[derive(Clone, Debug)]
pub struct Scratch {
    bytes: Vec<u8>,
    picture: Vec<f32>,
    line: Line,
    field: Option<FieldRoom>,
}

impl Augmenter {
    /// What `settings` ask for, for rows of `sample_shape`: channels, height and width.
    ///
    /// # Errors
    /// When rows are no pictures, or too small.
    pub fn new(
        settings: &Augmentation,
        sample_shape: &[usize],
        seed: u64,
        isa: Isa,
    ) -> Result<Augmenter, AugmentError> {
        settings.check(sample_shape)?;
        let size = Size::of(sample_shape)?;
        let elastic = (settings.elastic > 0.0).then(|| Elastic::new(size, settings.elastic));
        Ok(Augmenter { settings: settings.clone(), seed, size, elastic, isa })
    }

    /// Room that [`Augmenter::row`] needs.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            bytes: vec![0; self.size.values()],
            picture: vec![0.0; self.size.values()],
            line: Line::new(self.size.width),
            field: self.elastic.as_ref().map(Elastic::room),
        }
    }

    /// Writes the inputs of `row` of `data`, as they enter the network in `epoch` (from 0), into `out` [width].
    ///
    /// Without augmentation they are those of [`Dataset::gather_features`], to the bit.
    ///
    /// # Errors
    /// When a row that is read when it is asked for cannot be had.
    ///
    /// # Panics
    /// When `out` or the row is not of the size that was asked for, or the row is not in the data set.
    pub fn row(
        &self,
        data: &Dataset,
        row: u32,
        epoch: u64,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ReadError> {
        let values = self.size.values();
        assert!(out.len() == values && data.width() == values, "a picture of {values} values");
        let Scratch { bytes, picture, line, field } = scratch;
        let start = row as usize * values;
        let (source, scaling) = match &data.features {
            Features::F32(values) => (Source::Numbers(&values[start..][..out.len()]), None),
            Features::U8 { bytes, scale, shift } => {
                (Source::Bytes(&bytes[start..][..out.len()]), Some((&scale[..], &shift[..])))
            }
            Features::Read { rows, scale, shift } => {
                rows.0.read(row, bytes)?;
                (Source::Bytes(bytes), Some((&scale[..], &shift[..])))
            }
        };
        let draws = Draws { seed: self.seed, epoch, row };
        let motion = Motion::draw(&self.settings, draws);
        let placement = motion.placement(self.size, self.elastic.is_some());
        let field = self.elastic.as_ref().zip(field.as_mut()).map(|(elastic, room)| elastic.field(draws, room));
        dispatch(self.isa, Picture { augmenter: self, draws, source, scaling, placement, field, picture, line, out });
        Ok(())
    }
}

/// A picture as it is stored.
#[derive(Clone, Copy)]
enum Source<'a> {
    Bytes(&'a [u8]),
    Numbers(&'a [f32]),
}

/// The making of one picture. The loops are left to the compiler, which has the instruction set at hand.
struct Picture<'a> {
    augmenter: &'a Augmenter,
    draws: Draws,
    source: Source<'a>,
    scaling: Option<(&'a [f32], &'a [f32])>,
    placement: Placement,
    field: Option<Field<'a>>,
    picture: &'a mut [f32],
    line: &'a mut Line,
    out: &'a mut [f32],
}

impl Kernel for Picture<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Picture { augmenter, draws, source, scaling, placement, field, picture, line, out } = self;
        let Augmenter { settings, size, .. } = augmenter;
        let (size, border) = (*size, settings.border);
        match placement {
            Placement::Whole { flip, dx, dy } => match source {
                Source::Bytes(bytes) => sample::moved(bytes, size, border, flip, [dx, dy], out),
                Source::Numbers(numbers) => sample::moved(numbers, size, border, flip, [dx, dy], out),
            },
            Placement::Affine(map) => {
                let source = match source {
                    Source::Bytes(bytes) => {
                        for (value, &byte) in picture.iter_mut().zip(bytes) {
                            *value = f32::from(byte);
                        }
                        &*picture
                    }
                    Source::Numbers(numbers) => numbers,
                };
                sample::interpolated(source, size, border, &map, field, line, out);
            }
        }
        if let Some(light) = Light::draw(settings, draws) {
            let most = if scaling.is_some() { f32::from(u8::MAX) } else { f32::INFINITY };
            light.apply(out, most);
        }
        // Two roundings, as in `kernels::gather`.
        match scaling {
            None => {}
            Some((&[scale], &[shift])) => out.iter_mut().for_each(|value| *value = *value * scale + shift),
            Some((scale, shift)) => {
                for ((value, scale), shift) in out.iter_mut().zip(scale).zip(shift) {
                    *value = *value * scale + shift;
                }
            }
        }
        if settings.cutout > 0 {
            square(settings.cutout, size, draws).for_lines(size, |line| out[line].fill(0.0));
        }
    }
}
