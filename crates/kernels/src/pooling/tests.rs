use super::*;
use crate::testing::{bits, on_every_device, values};

/// Windows with the output size of the formula, rounded down.
fn windows(
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
) -> Windows {
    let size =
        |axis: usize| (input[axis] + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis] + 1;
    Windows { input, output: [size(0), size(1)], kernel, stride, padding, dilation }
}

/// Sizes around the lane count, odd ones, overlapping, dilated and padded windows, and windows with gaps.
fn cases() -> Vec<Windows> {
    let mut cases = Vec::new();
    for input in [[2, 2], [5, 7], [4, 30], [3, 31], [2, 32], [7, 34], [6, 67]] {
        cases.push(windows(input, [2, 2], [2, 2], [0, 0], [1, 1]));
    }
    for input in [[5, 5], [7, 18], [6, 40], [9, 71]] {
        cases.push(windows(input, [3, 3], [2, 2], [1, 1], [1, 1]));
        cases.push(windows(input, [3, 3], [1, 1], [0, 0], [1, 1]));
        cases.push(windows(input, [2, 3], [3, 1], [1, 1], [2, 2]));
        cases.push(windows(input, [3, 2], [1, 3], [1, 0], [1, 3]));
        cases.push(windows(input, [1, 4], [1, 2], [0, 2], [1, 1]));
    }
    cases.push(windows([1, 50], [1, 2], [1, 2], [0, 0], [1, 1]));
    // A last window that is cut off (ceil mode), and one that is outside altogether.
    cases.push(Windows { output: [3, 18], ..windows([5, 35], [2, 2], [2, 2], [0, 0], [1, 1]) });
    cases.push(Windows { output: [1, 3], ..windows([1, 4], [1, 2], [1, 2], [0, 0], [1, 1]) });
    cases
}

/// Places of input and kernel that output (i, j) looks at, row after row.
fn places(windows: &Windows, i: usize, j: usize) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    for a in 0..windows.kernel[0] {
        for b in 0..windows.kernel[1] {
            let at = |axis: usize, output: usize, tap: usize| {
                let place = (output * windows.stride[axis] + tap * windows.dilation[axis])
                    .checked_sub(windows.padding[axis])?;
                (place < windows.input[axis]).then_some(place)
            };
            if let (Some(row), Some(column)) = (at(0, i, a), at(1, j, b)) {
                places.push((row * windows.input[1] + column, a * windows.kernel[1] + b));
            }
        }
    }
    places
}

/// Few different values, so that many are equal; with infinities and NaN.
fn uneven(seed: u64, len: usize) -> Vec<f32> {
    let mut x: Vec<f32> = values(seed, len).iter().map(|x| (4.0 * x).round()).collect();
    for i in (0..len).step_by(7) {
        x[i] = f32::NEG_INFINITY;
    }
    for i in (5..len).step_by(67) {
        x[i] = if i % 2 == 0 { f32::NAN } else { f32::INFINITY };
    }
    x
}

#[test]
fn the_first_greatest_value_of_a_window_wins_on_every_device() {
    for windows in cases() {
        for planes in [1, 3, 2 * windows.chunk() + 1] {
            let (input, output) = (windows.input_len(), windows.output_len());
            let x = uneven(1, planes * input);
            let both = on_every_device(|device| {
                let (mut y, mut places) = (vec![f32::NAN; planes * output], vec![f32::NAN; planes * output]);
                max_pool(device, &windows, &x, &mut y, &mut places);
                let mut alone = vec![f32::NAN; planes * output];
                max_pool(device, &windows, &x, &mut alone, &mut []);
                assert_eq!(bits(&alone), bits(&y), "{windows:?} without places");
                y.extend(places);
                y
            });
            let (y, numbers) = both.split_at(planes * output);
            for plane in 0..planes {
                let x = &x[plane * input..];
                for at in 0..output {
                    let (mut best, mut number) = (f32::NEG_INFINITY, -1.0);
                    for (place, tap) in places(&windows, at / windows.output[1], at % windows.output[1]) {
                        if number < 0.0 || x[place] > best || (x[place].is_nan() && !best.is_nan()) {
                            (best, number) = (x[place], tap as f32);
                        }
                    }
                    let found = (y[plane * output + at], numbers[plane * output + at]);
                    assert_eq!(
                        bits(&[found.0, found.1]),
                        bits(&[best, number]),
                        "{windows:?} plane {plane} output {at}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_gradient_goes_to_the_place_of_each_window() {
    for windows in cases() {
        for planes in [1, 3, 2 * windows.chunk() + 1] {
            let (input, output) = (windows.input_len(), windows.output_len());
            let x = values(2, planes * input);
            // Whole numbers, so that the order of a sum does not matter here.
            let dy: Vec<f32> = values(3, planes * output).iter().map(|dy| (64.0 * dy).round()).collect();
            let dx = on_every_device(|device| {
                let (mut y, mut numbers) = (vec![f32::NAN; planes * output], vec![f32::NAN; planes * output]);
                max_pool(device, &windows, &x, &mut y, &mut numbers);
                let mut dx = vec![f32::NAN; planes * input];
                max_pool_backward(device, &windows, &numbers, &dy, &mut dx);
                dx
            });
            let mut expected = vec![0.0; planes * input];
            for plane in 0..planes {
                for at in 0..output {
                    let of_window = places(&windows, at / windows.output[1], at % windows.output[1]);
                    let value = |place: usize| x[plane * input + place];
                    let best = of_window
                        .iter()
                        .map(|&(place, _)| place)
                        .reduce(|a, b| if value(b) > value(a) { b } else { a });
                    if let Some(best) = best {
                        expected[plane * input + best] += dy[plane * output + at];
                    }
                }
            }
            assert_eq!(dx, expected, "{windows:?}");
        }
    }
}

/// Regions of all kinds.
fn regions() -> Vec<Regions> {
    let undilated = cases().into_iter().filter(|windows| windows.dilation == [1, 1]);
    let mut regions: Vec<Regions> = undilated
        .flat_map(|windows| [windows.padding, [0, 0]].map(|counted| Regions::Windows { windows, counted }))
        .collect();
    for (input, output) in [
        ([1, 1], [1, 1]),
        ([7, 7], [1, 1]),
        ([9, 8], [3, 2]),
        ([10, 50], [3, 7]),
        ([5, 70], [2, 3]),
        ([28, 28], [1, 1]),
        ([1, 35], [1, 35]),
    ] {
        regions.push(Regions::Adaptive { input, output });
    }
    regions
}

/// The places of every output, and how many places count.
fn places_of(regions: &Regions) -> Vec<(Vec<usize>, usize)> {
    let ([height, width], input) = (regions.output(), regions.input());
    let along = |axis: usize, index: usize| -> (Vec<usize>, usize) {
        match regions {
            Regions::Adaptive { input, output } => {
                let inside = |place: &usize| {
                    let (place, size, parts) = (*place as f64, input[axis] as f64, output[axis] as f64);
                    // Any part of the place lies within the output's share of the axis.
                    place + 1.0 > index as f64 * size / parts && place < (index + 1) as f64 * size / parts
                };
                let places: Vec<usize> = (0..input[axis]).filter(inside).collect();
                let count = places.len();
                (places, count)
            }
            Regions::Windows { windows, counted } => {
                let all = (0..windows.kernel[axis])
                    .map(|tap| (index * windows.stride[axis] + tap) as isize - windows.padding[axis] as isize);
                let (size, counted) = (windows.input[axis] as isize, counted[axis] as isize);
                let count = all.clone().filter(|&place| place >= -counted && place < size + counted).count();
                let places = all.filter(|&place| place >= 0 && place < size).map(|place| place as usize).collect();
                (places, count)
            }
        }
    };
    let mut all = Vec::new();
    for i in 0..height {
        for j in 0..width {
            let ((rows, row_count), (columns, column_count)) = (along(0, i), along(1, j));
            let places = rows.iter().flat_map(|row| columns.iter().map(move |column| row * input[1] + column));
            all.push((places.collect(), row_count * column_count));
        }
    }
    all
}

#[test]
fn means_and_their_gradients_are_near_those_in_f64_and_the_same_on_every_device() {
    for regions in regions() {
        let of_output = places_of(&regions);
        for planes in [1, 3, 2 * regions.chunk() + 1] {
            let (input, output) = (regions.input_len(), regions.output_len());
            let (x, dy) = (values(4, planes * input), values(5, planes * output));
            let both = on_every_device(|device| {
                let (mut y, mut dx) = (vec![f32::NAN; planes * output], vec![f32::NAN; planes * input]);
                average_pool(device, &regions, &x, &mut y);
                average_pool_backward(device, &regions, &dy, &mut dx);
                y.extend(dx);
                y
            });
            let (mut means, mut gradient) = (Vec::new(), vec![0.0; planes * input]);
            for plane in 0..planes {
                for (at, (places, count)) in of_output.iter().enumerate() {
                    let divisor = (*count).max(1) as f64;
                    let sum: f64 = places.iter().map(|place| f64::from(x[plane * input + place])).sum();
                    means.push(sum / divisor);
                    for place in places {
                        gradient[plane * input + place] += f64::from(dy[plane * output + at]) / divisor;
                    }
                }
            }
            // Values are below 1; sums of up to 25 terms in a chain, or in lanes.
            let bound = 13.0 * f64::from(f32::EPSILON);
            crate::testing::assert_close(&both[..planes * output], &means, bound, bound);
            crate::testing::assert_close(&both[planes * output..], &gradient, bound, bound);
        }
    }
}

#[test]
fn the_greatest_value_of_even_parts_and_its_gradient() {
    for regions in regions().into_iter().filter(|regions| matches!(regions, Regions::Adaptive { .. })) {
        let of_output = places_of(&regions);
        for planes in [1, 2 * regions.chunk() + 1] {
            let (input, output) = (regions.input_len(), regions.output_len());
            let x = uneven(6, planes * input);
            let dy: Vec<f32> = (0..planes * output).map(|i| (i % 17) as f32 - 8.0).collect();
            let all = on_every_device(|device| {
                let (mut y, mut numbers) = (vec![f32::NAN; planes * output], vec![f32::NAN; planes * output]);
                adaptive_max_pool(device, &regions, &x, &mut y, &mut numbers);
                let mut alone = vec![f32::NAN; planes * output];
                adaptive_max_pool(device, &regions, &x, &mut alone, &mut []);
                assert_eq!(bits(&alone), bits(&y), "{regions:?} without places");
                let mut dx = vec![f32::NAN; planes * input];
                adaptive_max_pool_backward(device, &regions, &numbers, &dy, &mut dx);
                y.extend(dx);
                y
            });
            let (mut greatest, mut gradient) = (Vec::new(), vec![0.0; planes * input]);
            for plane in 0..planes {
                for (at, (places, _)) in of_output.iter().enumerate() {
                    let x = |place: usize| x[plane * input + place];
                    let wins = |a: usize, b: usize| x(b) > x(a) || (x(b).is_nan() && !x(a).is_nan());
                    let best = places.iter().copied().reduce(|a, b| if wins(a, b) { b } else { a }).expect("a place");
                    greatest.push(x(best));
                    gradient[plane * input + best] += dy[plane * output + at];
                }
            }
            assert_eq!(bits(&all[..planes * output]), bits(&greatest), "{regions:?}");
            assert_eq!(all[planes * output..], gradient, "{regions:?}");
        }
    }
}

#[test]
#[should_panic(expected = "as many planes")]
fn planes_that_do_not_fit_are_refused() {
    let windows = windows([4, 4], [2, 2], [2, 2], [0, 0], [1, 1]);
    max_pool(&crate::testing::devices()[0], &windows, &[0.0; 32], &mut [0.0; 4], &mut []);
}
