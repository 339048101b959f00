//! What initialisers promise: mean, deviation, limits, right angles, and the same bits everywhere.

use kernels::simd::Isa;

use super::*;

const DIMS: [usize; 2] = [400, 600];

fn filled(init: Init, seed: u64, dims: &[usize]) -> Vec<f32> {
    let mut values = vec![f32::NAN; dims.iter().product()];
    init.fill(&Device::new(Isa::best(), 1), seed, 3, dims, &mut values);
    values
}

/// Number, mean and standard deviation.
fn moments(values: &[f32]) -> (f64, f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let variance = values.iter().map(|&x| (f64::from(x) - mean) * (f64::from(x) - mean)).sum::<f64>() / count;
    (count, mean, variance.sqrt())
}

/// Each initialiser with mean and deviation that the formulas give for fan_in 600 and fan_out 400, and the limits.
fn promised() -> Vec<(Init, f64, f64, f64)> {
    let none = f64::INFINITY;
    // ∫ x² φ(x) over ±2, divided by the probability of ±2.
    let truncated = 0.879_626;
    vec![
        (Init::Default, 0.0, (1.0f64 / 1800.0).sqrt(), (1.0f64 / 600.0).sqrt()),
        (Init::Uniform { low: -0.5, high: 1.5 }, 0.5, 2.0 / 12f64.sqrt(), 1.0),
        (Init::Normal { mean: 1.0, std: 0.25 }, 1.0, 0.25, none),
        (Init::TruncatedNormal { mean: -1.0, std: 0.5 }, -1.0, 0.5 * truncated, 1.0),
        (Init::XavierUniform { gain: 1.0 }, 0.0, 0.002f64.sqrt(), 0.006f64.sqrt()),
        (Init::XavierUniform { gain: 3.0 }, 0.0, 3.0 * 0.002f64.sqrt(), 3.0 * 0.006f64.sqrt()),
        (Init::XavierNormal { gain: 1.0 }, 0.0, 0.002f64.sqrt(), none),
        (Init::XavierNormal { gain: 0.5 }, 0.0, 0.5 * 0.002f64.sqrt(), none),
        (Init::HeUniform, 0.0, (2.0f64 / 600.0).sqrt(), (6.0f64 / 600.0).sqrt()),
        (Init::HeNormal, 0.0, (2.0f64 / 600.0).sqrt(), none),
        (Init::LecunUniform, 0.0, (1.0f64 / 600.0).sqrt(), (3.0f64 / 600.0).sqrt()),
        (Init::LecunNormal, 0.0, (1.0f64 / 600.0).sqrt(), none),
    ]
}

#[test]
fn mean_deviation_and_limits_are_those_of_the_formulas() {
    for (init, mean, std, limit) in promised() {
        let values = filled(init, 5, &DIMS);
        let (count, found_mean, found_std) = moments(&values);
        // Five standard errors; that of the deviation is largest for the normal distribution: σ / √(2n).
        assert!((found_mean - mean).abs() < 5.0 * std / count.sqrt(), "{init}: mean {found_mean}");
        assert!((found_std - std).abs() < 5.0 * std / (2.0 * count).sqrt(), "{init}: deviation {found_std}, not {std}");
        let farthest = values.iter().map(|&x| (f64::from(x) - mean).abs()).fold(0.0, f64::max);
        assert!(farthest <= limit * (1.0 + 1e-6), "{init}: {farthest} is beyond {limit}");
        if limit.is_finite() {
            assert!(farthest > 0.999 * limit, "{init}: limits are reached, but {farthest} is the farthest");
        } else {
            assert!(farthest > 4.0 * std, "{init}: a normal distribution has tails, but {farthest} is the farthest");
        }
    }
}

#[test]
fn constants_are_constant() {
    assert!(filled(Init::Zeros, 1, &[3, 5]).iter().all(|x| x.to_bits() == 0));
    assert!(filled(Init::Constant(0.1), 1, &[7]).iter().all(|&x| x == 0.1));
}

#[test]
fn orthogonal_rows_or_columns_are_at_right_angles() {
    for (dims, gain) in [(vec![30, 70], 1.0), (vec![70, 30], 2.0), (vec![40, 40], 1.0), (vec![8, 3, 3, 3], 0.5)] {
        let values = filled(Init::Orthogonal { gain }, 2, &dims);
        let (high, wide) = (dims[0], values.len() / dims[0]);
        let (count, length) = (high.min(wide), high.max(wide));
        let vector =
            |i: usize, j: usize| f64::from(if high <= wide { values[i * wide + j] } else { values[j * wide + i] });
        for i in 0..count {
            for k in 0..=i {
                let product: f64 = (0..length).map(|j| vector(i, j) * vector(k, j)).sum();
                let expected = if i == k { f64::from(gain * gain) } else { 0.0 };
                // Coordinates are rounded to f32: 2⁻²⁴ of length gain each.
                assert!((product - expected).abs() < 2e-7 * f64::from(gain * gain), "{dims:?}: {i}·{k} = {product}");
            }
        }
        assert_ne!(values, filled(Init::Orthogonal { gain }, 3, &dims));
    }
}

#[test]
fn orthogonal_of_one_row_is_a_direction_and_empty_ones_are_nothing() {
    assert!(filled(Init::Orthogonal { gain: 1.0 }, 2, &[1, 1])[0].abs() == 1.0);
    let row = filled(Init::Orthogonal { gain: 3.0 }, 2, &[1, 50]);
    let length: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    assert!((length - 3.0).abs() < 1e-6, "{length}");
    assert!(filled(Init::Orthogonal { gain: 1.0 }, 2, &[0, 5]).is_empty());
}

#[test]
fn units_of_a_dirac_pass_a_channel_on_and_the_rest_begin_by_default() {
    let drawn = filled(Init::Default, 4, &[3, 2, 3, 3]);
    let values = filled(Init::Dirac, 4, &[3, 2, 3, 3]);
    let mut expected = drawn;
    expected[..36].fill(0.0);
    (expected[4], expected[18 + 9 + 4]) = (1.0, 1.0);
    assert_eq!(values, expected);
    // More channels than units, a window without a middle, one axis.
    assert_eq!(filled(Init::Dirac, 4, &[1, 2, 2, 2]), [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(filled(Init::Dirac, 4, &[2, 2, 3]), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    // No window: the identity.
    assert_eq!(filled(Init::Dirac, 4, &[2, 3]), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert!(filled(Init::Dirac, 4, &[2, 0, 3, 3]).is_empty());
}

#[test]
fn bits_do_not_depend_on_threads_or_instruction_set() {
    let all = promised().into_iter().map(|(init, ..)| init).chain([Init::Orthogonal { gain: 1.0 }, Init::Dirac]);
    for init in all {
        let dims = [129, 257];
        let expected = filled(init, 9, &dims);
        for isa in Isa::available() {
            for threads in 1..=3 {
                let mut values = vec![f32::NAN; expected.len()];
                init.fill(&Device::new(isa, threads), 9, 3, &dims, &mut values);
                assert!(
                    values.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()),
                    "{init}, {isa}, {threads}"
                );
            }
        }
    }
}

#[test]
fn seeds_and_positions_give_other_numbers() {
    let first = filled(Init::HeNormal, 1, &DIMS);
    assert_eq!(first, filled(Init::HeNormal, 1, &DIMS));
    assert_ne!(first, filled(Init::HeNormal, 2, &DIMS));
    let mut other = vec![0.0; first.len()];
    Init::HeNormal.fill(&Device::new(Isa::best(), 1), 1, 4, &DIMS, &mut other);
    assert_ne!(first, other);
}

#[test]
fn fans_count_the_window_of_a_kernel() {
    assert_eq!(Fans::of(&[128, 784]), Fans { fan_in: 784, fan_out: 128 });
    assert_eq!(Fans::of(&[64, 32, 3, 5]), Fans { fan_in: 480, fan_out: 960 });
    assert_eq!(Fans::of(&[7]), Fans { fan_in: 7, fan_out: 1 });
    assert_eq!(Fans::of(&[]), Fans { fan_in: 1, fan_out: 1 });
}

#[test]
fn a_bias_follows_the_fan_of_its_weight_or_is_refused() {
    let fans = Fans { fan_in: 16, fan_out: 4 };
    assert_eq!(Init::Default.of_bias(fans), Ok(Init::Uniform { low: -0.25, high: 0.25 }));
    assert_eq!(Init::Constant(0.5).of_bias(fans), Ok(Init::Constant(0.5)));
    let error = Init::HeNormal.of_bias(fans).expect_err("there is no fan");
    assert!(error.to_string().starts_with("'he_normal' follows the sizes of a weight"), "{error}");
    assert_eq!(Init::Dirac.of_bias(fans), Err(InitError::NotForBias { init: Init::Dirac }));
}

#[test]
fn texts_read_back_as_they_were_printed() {
    for text in [
        "default",
        "zeros",
        "constant:0.1",
        "uniform:-0.5:0.5",
        "normal:0:0.02",
        "truncated_normal:0:1e-9",
        "xavier_uniform",
        "xavier_uniform:1.6666666",
        "xavier_normal:0.1",
        "he_uniform",
        "he_normal",
        "lecun_uniform",
        "lecun_normal",
        "orthogonal",
        "orthogonal:1.4142135",
        "dirac",
    ] {
        let init: Init = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(init.to_string().parse(), Ok(init), "{text}");
        let word = init.to_word();
        assert_eq!(Init::new(word.name(), word.numbers()), Ok(init), "{text}");
        let json = serde_json::to_string(&init).expect("a string");
        assert_eq!(serde_json::from_str::<Init>(&json).expect("the same text"), init, "{text}");
    }
    assert_eq!("kaiming-uniform".parse(), Ok(Init::HeUniform));
    assert_eq!("glorot_normal:2".parse(), Ok(Init::XavierNormal { gain: 2.0 }));
    assert_eq!(Init::Uniform { low: -0.5, high: 0.1 }.to_word().to_string(), "uniform:-0.5:0.1");
}

#[test]
fn other_texts_are_refused_with_advice() {
    for (text, message) in [
        ("he_norml", "unknown initialiser 'he_norml': did you mean 'he_normal'?"),
        ("kaiming_norml", "unknown initialiser 'kaiming_norml': did you mean 'kaiming_normal'?"),
        ("uniform:1", "'uniform' takes two numbers, the limits, got 1: as in uniform:-0.5:0.5"),
        ("he_normal:2", "'he_normal' takes no number, got 1: as in he_normal"),
        ("constant", "'constant' takes one number, the value, got 0: as in constant:0.1"),
        ("uniform:2:1", "'uniform:2:1': the lower limit comes first"),
        ("uniform:-3e38:3e38", "the limits are too far apart"),
        ("normal:0:-1", "'normal:0:-1': a standard deviation is at least 0"),
        ("constant:x", "'x': not a number"),
        ("constant:1e99", "its numbers must be finite in 32 bits"),
        ("constant:nan", "its numbers must be finite in 32 bits"),
        ("", "unknown initialiser ''; known: default, zeros,"),
    ] {
        let error = text.parse::<Init>().expect_err(text).to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}
