//! A picture seen at other places: copied by whole pixels, or interpolated between four pixels.

use super::Size;
use super::elastic::Field;

/// What is seen beyond the edge of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Border {
    /// `reflect`: the picture as in a mirror, the pixels of the edge once: cb|abc|ba. No edge is made that is not in the
    /// picture, and it needs no notion of black or of the mean; common for CIFAR since Zagoruyko and Komodakis, "Wide
    /// residual networks", 2016. Farther than the picture is wide, its last pixel.
    #[default]
    Reflect,
    /// `edge`: the pixel of the edge.
    Edge,
    /// `zeros`: 0, before scale and shift of the data set: black.
    Zeros,
}

impl Border {
    /// The pixel of a line of `n` that is seen at `i`; none where there are zeros.
    fn place(self, i: isize, n: usize) -> Option<usize> {
        let last = n as isize - 1;
        match self {
            Border::Zeros if !(0..=last).contains(&i) => None,
            Border::Reflect => Some((last - (last - i.abs()).abs()).max(0) as usize),
            _ => Some(i.clamp(0, last) as usize),
        }
    }
}

/// Writes the picture `source` as numbers, seen at (x + dx, y + dy), x counted from the right edge if `flip`.
#[inline(always)]
pub(super) fn moved<T: Copy + Into<f32>>(
    source: &[T],
    size: Size,
    border: Border,
    flip: bool,
    [dx, dy]: [isize; 2],
    out: &mut [f32],
) {
    let Size { height, width, .. } = size;
    // Where x + dx is within the picture.
    let end = (width as isize - dx).clamp(0, width as isize) as usize;
    let begin = (-dx).clamp(0, end as isize) as usize;
    for (source, out) in source.chunks_exact(size.plane()).zip(out.chunks_exact_mut(size.plane())) {
        for (y, out) in out.chunks_exact_mut(width).enumerate() {
            let Some(y) = border.place(y as isize + dy, height) else {
                out.fill(0.0);
                continue;
            };
            let line = &source[y * width..][..width];
            let inner = if begin < end { &line[(begin as isize + dx) as usize..][..end - begin] } else { &[] };
            if flip {
                for (out, &value) in out[width - end..width - begin].iter_mut().rev().zip(inner) {
                    *out = value.into();
                }
            } else {
                for (out, &value) in out[begin..end].iter_mut().zip(inner) {
                    *out = value.into();
                }
            }
            for x in (0..begin).chain(end..width) {
                let value = border.place(x as isize + dx, width).map_or(0.0, |x| line[x].into());
                out[if flip { width - 1 - x } else { x }] = value;
            }
        }
    }
}

/// Bits behind the point of a place.
pub(super) const FRACTION: u32 = 16;
const ONE: i32 = 1 << FRACTION;

/// Room for one line of places.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The pixel above and left.
    pixel: Vec<u32>,
    /// How far right and below of it, 0 to 1.
    right: Vec<f32>,
    below: Vec<f32>,
    /// How much of the picture is seen; the rest is black.
    seen: Vec<f32>,
}

impl Line {
    pub fn new(width: usize) -> Line {
        Line { pixel: vec![0; width], right: vec![0.0; width], below: vec![0.0; width], seen: vec![1.0; width] }
    }
}

/// Where a place lies on an axis of `n` pixels: the pixel before it, how far it is from there, and how far beyond the
/// edge it was.
#[inline(always)]
fn locate(border: Border, place: i32, n: usize) -> (i32, f32, f32) {
    let last = (n as i32 - 1) << FRACTION;
    let folded = match border {
        Border::Reflect => last - (last - place.abs()).abs(),
        _ => place,
    };
    let within = folded.clamp(0, last);
    let pixel = (within >> FRACTION).min((n as i32 - 2).max(0));
    let scale = 1.0 / ONE as f32;
    (pixel, (within - (pixel << FRACTION)) as f32 * scale, (folded - within).abs() as f32 * scale)
}

/// Writes the picture `source` seen through `map` and, if there is one, a field of displacements; between pixels it is
/// interpolated in both directions, from four pixels.
///
/// Places are whole numbers of 2⁻¹⁶ pixels, so that every machine finds the same ones, whole pixels exactly.
#[inline(always)]
pub(super) fn interpolated(
    source: &[f32],
    size: Size,
    border: Border,
    map: &[[f64; 3]; 2],
    mut field: Option<Field>,
    line: &mut Line,
    out: &mut [f32],
) {
    let Size { height, width, .. } = size;
    let fixed = |value: f64| (value * f64::from(ONE)).round() as i32;
    let plane = size.plane();
    let (step_x, step_y) = (usize::from(width > 1), if height > 1 { width } else { 0 });
    let [slope_x, slope_y] = [fixed(map[0][0]), fixed(map[1][0])];
    for y in 0..height {
        let [start_x, start_y] = [0, 1].map(|axis| fixed(map[axis][1] * y as f64 + map[axis][2]));
        let displaced = field.as_mut().map(|field| field.line(y));
        for x in 0..width {
            let mut place_x = start_x.wrapping_add(slope_x.wrapping_mul(x as i32));
            let mut place_y = start_y.wrapping_add(slope_y.wrapping_mul(x as i32));
            if let Some([dx, dy]) = displaced {
                place_x = place_x.wrapping_add(dx[x]);
                place_y = place_y.wrapping_add(dy[x]);
            }
            let (column, right, beyond_x) = locate(border, place_x, width);
            let (row, below, beyond_y) = locate(border, place_y, height);
            line.pixel[x] = (row * width as i32 + column) as u32;
            (line.right[x], line.below[x]) = (right, below);
            line.seen[x] = (1.0 - beyond_x).max(0.0) * (1.0 - beyond_y).max(0.0);
        }
        for (source, out) in source.chunks_exact(plane).zip(out.chunks_exact_mut(plane)) {
            let out = &mut out[y * width..][..width];
            for x in 0..width {
                let four = &source[line.pixel[x] as usize..][..step_y + step_x + 1];
                let upper = four[0] + line.right[x] * (four[step_x] - four[0]);
                let lower = four[step_y] + line.right[x] * (four[step_y + step_x] - four[step_y]);
                out[x] = upper + line.below[x] * (lower - upper);
            }
            if border == Border::Zeros {
                for x in 0..width {
                    out[x] *= line.seen[x];
                }
            }
        }
    }
}
