use super::*;
use crate::testing::{assert_close, on_every_device, values};

/// y · dy = x · dx for a linear map without a constant, so `backward` is its transpose; checked place by place.
fn assert_transpose(
    input: usize,
    output: usize,
    planes: usize,
    forward: impl Fn(&crate::device::Device, &[f32], &mut [f32]),
    backward: impl Fn(&crate::device::Device, &[f32], &mut [f32]),
) {
    let dy = values(2, planes * output);
    let dx = on_every_device(|device| {
        let mut dx = vec![f32::NAN; planes * input];
        backward(device, &dy, &mut dx);
        dx
    });
    let device = &crate::testing::devices()[0];
    let mut expected = vec![0.0; planes * input];
    for place in 0..input {
        let mut x = vec![0.0; planes * input];
        (0..planes).for_each(|plane| x[plane * input + place] = 1.0);
        let mut y = vec![f32::NAN; planes * output];
        forward(device, &x, &mut y);
        for plane in 0..planes {
            let range = plane * output..(plane + 1) * output;
            let products = y[range.clone()].iter().zip(&dy[range]).map(|(y, dy)| f64::from(*y) * f64::from(*dy));
            expected[plane * input + place] = products.sum();
        }
    }
    assert_close(&dx, &expected, 0.0, 20.0 * f64::from(f32::EPSILON));
}

#[test]
fn borders_hold_what_they_should() {
    for border in [Border::Constant(0.0), Border::Constant(7.0), Border::Reflect, Border::Replicate] {
        for (input, before, after) in [([3, 4], [1, 2], [2, 3]), ([1, 20], [0, 5], [0, 0]), ([5, 2], [0, 0], [4, 1])] {
            let padding = Padding { input, before, after, border };
            let [height, width] = padding.output();
            let planes = 2 * TASK / (height * width) + 3;
            let x = values(1, planes * input[0] * input[1]);
            let y = on_every_device(|device| {
                let mut y = vec![f32::NAN; planes * height * width];
                pad(device, &padding, &x, &mut y);
                y
            });
            // Walks from the border towards the plane, as a mirror or a repetition does.
            let walk = |axis: usize, place: usize| -> Option<usize> {
                let (size, mut at) = (input[axis] as isize, place as isize - before[axis] as isize);
                while !(0..size).contains(&at) {
                    at = match border {
                        Border::Constant(_) => return None,
                        Border::Reflect if at < 0 => -at,
                        Border::Reflect => 2 * size - 2 - at,
                        Border::Replicate => at - at.signum(),
                    };
                }
                Some(at as usize)
            };
            for (i, y) in y.iter().enumerate() {
                let (plane, row, column) = (i / (height * width), i / width % height, i % width);
                let expected = match (walk(0, row), walk(1, column), border) {
                    (Some(row), Some(column), _) => x[(plane * input[0] + row) * input[1] + column],
                    (_, _, Border::Constant(value)) => value,
                    _ => unreachable!("every place has a source"),
                };
                assert_eq!(*y, expected, "{padding:?} place {i}");
            }
            if border != Border::Constant(7.0) {
                let (input, output) = (input[0] * input[1], height * width);
                let forward = |device: &_, x: &[f32], y: &mut [f32]| pad(device, &padding, x, y);
                let backward = |device: &_, dy: &[f32], dx: &mut [f32]| pad_backward(device, &padding, dy, dx);
                assert_transpose(input, output, 3, forward, backward);
            }
        }
    }
}

#[test]
fn larger_planes_are_those_of_the_formula() {
    for linear in [false, true] {
        for (input, factor) in [([3, 4], [2, 2]), ([1, 17], [1, 3]), ([5, 2], [4, 1]), ([1, 1], [3, 5])] {
            let up = Upsampling { input, factor, linear };
            let [height, width] = up.output();
            let planes = 2 * TASK / (height * width) + 3;
            let x = values(1, planes * input[0] * input[1]);
            let y = on_every_device(|device| {
                let mut y = vec![f32::NAN; planes * height * width];
                upsample(device, &up, &x, &mut y);
                y
            });
            // The places and shares along an axis, in f64.
            let sources = |axis: usize, index: usize| -> [(usize, f64); 2] {
                let position = ((index as f64 + 0.5) / factor[axis] as f64 - 0.5).max(0.0);
                let first = if linear { position.floor() as usize } else { index / factor[axis] };
                let share = if linear { position - first as f64 } else { 0.0 };
                [(first, 1.0 - share), ((first + 1).min(input[axis] - 1), share)]
            };
            let mut expected = Vec::new();
            for plane in 0..planes {
                for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
                    let mut value = 0.0;
                    for (i, of_row) in sources(0, row) {
                        for (j, of_column) in sources(1, column) {
                            value += of_row * of_column * f64::from(x[(plane * input[0] + i) * input[1] + j]);
                        }
                    }
                    expected.push(value);
                }
            }
            let bound = if linear { 4.0 * f64::from(f32::EPSILON) } else { 0.0 };
            assert_close(&y, &expected, bound, bound);
            let forward = |device: &_, x: &[f32], y: &mut [f32]| upsample(device, &up, x, y);
            let backward = |device: &_, dy: &[f32], dx: &mut [f32]| upsample_backward(device, &up, dy, dx);
            assert_transpose(input[0] * input[1], height * width, 3, forward, backward);
        }
    }
}

#[test]
#[should_panic(expected = "narrower than the plane")]
fn a_mirrored_border_as_wide_as_the_plane_is_refused() {
    let padding = Padding { input: [1, 3], before: [0, 3], after: [0, 0], border: Border::Reflect };
    pad(&crate::testing::devices()[0], &padding, &[0.0; 3], &mut [0.0; 6]);
}
