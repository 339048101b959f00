//! Elastic distortion: a smooth random displacement of every pixel.
//!
//! Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual document analysis",
//! ICDAR 2003, smooth a random number for each pixel with a Gaussian. Here random numbers sit on a grid, a quarter of the
//! smaller side apart, and cubic B-splines between them are the smoothing (Rueckert et al., "Nonrigid registration using
//! free-form deformations", 1999): for digits of 28 pixels a Gaussian of 4 pixels, as theirs, for a hundredth of the work.

use super::sample::FRACTION;
use super::{Draw, Draws, Size};

/// Cells of the grid along the smaller side.
const CELLS: usize = 4;

/// Σ over the grid of the square of a cubic B-spline, the mean over all places: ∫ B² = 151 / 315.
const SQUARES: f64 = 151.0 / 315.0;

/// The grid for pictures of one size.
#[derive(Clone, Debug)]
pub(super) struct Elastic {
    across: Axis,
    down: Axis,
    /// The largest displacement of a point of the grid, in the units of places.
    limit: f32,
}

/// Where the pixels of one axis lie between the points of the grid.
#[derive(Clone, Debug)]
struct Axis {
    /// Points of the grid.
    points: usize,
    /// For each pixel the first of its four points, and their shares.
    shares: Vec<(u32, [f32; 4])>,
}

impl Axis {
    fn new(pixels: usize, cell: f64) -> Axis {
        let shares: Vec<(u32, [f32; 4])> = (0..pixels)
            .map(|pixel| {
                let place = pixel as f64 / cell;
                let t = place - place.floor();
                let u = 1.0 - t;
                // The four pieces of the uniform cubic B-spline.
                let pieces =
                    [u * u * u, 3.0 * t * t * t - 6.0 * t * t + 4.0, 3.0 * u * u * u - 6.0 * u * u + 4.0, t * t * t];
                (place.floor() as u32, pieces.map(|piece| (piece / 6.0) as f32))
            })
            .collect();
        let points = shares.last().map_or(0, |(first, _)| *first as usize + 4);
        Axis { points, shares }
    }
}

impl Elastic {
    /// Displacements whose mean square, in either direction, is `pixels`².
    pub fn new(size: Size, pixels: f64) -> Elastic {
        let cell = (size.height.min(size.width) as f64 / CELLS as f64).max(1.0);
        // A uniform number in [-1, 1) has a mean square of 1/3.
        let limit = pixels / (libm::sqrt(1.0 / 3.0) * SQUARES);
        Elastic {
            across: Axis::new(size.width, cell),
            down: Axis::new(size.height, cell),
            limit: (limit * f64::from(1u32 << FRACTION)) as f32,
        }
    }

    pub fn room(&self) -> FieldRoom {
        let points = self.across.points;
        FieldRoom {
            grid: vec![0.0; 2 * self.down.points * points],
            points: [vec![0.0; points], vec![0.0; points]],
            line: [vec![0; self.across.shares.len()], vec![0; self.across.shares.len()]],
        }
    }

    /// The field of one picture.
    pub fn field<'a>(&'a self, draws: Draws, room: &'a mut FieldRoom) -> Field<'a> {
        for (index, point) in room.grid.iter_mut().enumerate() {
            *point = draws.symmetric(Draw::Elastic(index), f64::from(self.limit)) as f32;
        }
        Field { elastic: self, room }
    }
}

/// Room for one field.
#[derive(Clone, Debug)]
pub(super) struct FieldRoom {
    /// Displacements right and down of the points of the grid: [2, points down, points across].
    grid: Vec<f32>,
    /// Both for the points across, for one line of the picture.
    points: [Vec<f32>; 2],
    /// Both for the pixels of that line.
    line: [Vec<i32>; 2],
}

/// The displacements of one picture.
pub(super) struct Field<'a> {
    elastic: &'a Elastic,
    room: &'a mut FieldRoom,
}

impl Field<'_> {
    /// Displacements right and down of the pixels of line `y`, in the units of places.
    #[inline(always)]
    pub fn line(&mut self, y: usize) -> [&[i32]; 2] {
        let Elastic { across, down, .. } = self.elastic;
        let (first, shares) = down.shares[y];
        let n = across.points;
        for direction in 0..2 {
            let rows = &self.room.grid[(direction * down.points + first as usize) * n..][..4 * n];
            let points = &mut self.room.points[direction][..n];
            for i in 0..n {
                points[i] = shares[0] * rows[i]
                    + shares[1] * rows[n + i]
                    + shares[2] * rows[2 * n + i]
                    + shares[3] * rows[3 * n + i];
            }
            for (out, (first, shares)) in self.room.line[direction].iter_mut().zip(&across.shares) {
                let four = &points[*first as usize..][..4];
                *out = (shares[0] * four[0] + shares[1] * four[1] + shares[2] * four[2] + shares[3] * four[3]) as i32;
            }
        }
        self.room.line.each_ref().map(|line| &line[..])
    }
}
