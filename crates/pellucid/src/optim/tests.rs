//! What the tests of all optimisers share, and tests of what no single optimiser is about.

use kernels::device::Device;
use kernels::simd::Isa;
use serde_json::Value;

use super::*;
use crate::graph::{Role, Segment};

/// Long enough that an update is split between threads.
const LEN: usize = 40_001;
const UPDATES: usize = 12;

pub(super) fn segment(name: &str, range: std::ops::Range<usize>, role: Role) -> Segment {
    Segment { name: name.to_string(), dims: [range.len()].into_iter().collect(), range, role, frozen: false }
}

/// Numbers in [-1, 1), the same for the same seed.
pub(super) fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Every instruction set of the machine with 1, 2 and 3 threads.
pub(super) fn devices() -> Vec<Device> {
    Isa::available().flat_map(|isa| [1, 2, 3].map(|threads| Device::new(isa, threads))).collect()
}

pub(super) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn optimizer(text: &str) -> Optimizer {
    let config = OptimizerConfig::parse(text).expect("an optimizer");
    Optimizer::new(&config, &[segment("0.weight", 0..LEN, Role::Weight)], &Groups::default()).expect("good settings")
}

fn gradients() -> Vec<Vec<f32>> {
    (0..UPDATES).map(|update| values(10 + update as u64, LEN)).collect()
}

/// Twelve updates of the optimiser `text`: near `formula` in f64, the same bits on every device, and the same when the
/// state is stored and restored between any two of them.
///
/// `formula(t, w, g, state)` is the update number `t` of one parameter, whose state begins at zero.
#[track_caller]
pub(super) fn follows<const N: usize>(text: &str, formula: impl Fn(i32, &mut f64, f64, &mut [f64; N])) {
    let (start, gradients) = (values(1, LEN), gradients());
    let run = |device: &Device, optimizer: &mut Optimizer, parameters: &mut [f32], updates: &[Vec<f32>]| {
        let rate = optimizer.config().learning_rate();
        for gradients in updates {
            assert!(optimizer.update(device, rate, parameters, gradients));
        }
    };
    let devices = devices();
    let mut end = start.clone();
    run(&devices[0], &mut optimizer(text), &mut end, &gradients);
    for i in 0..LEN {
        let (mut w, mut state) = (f64::from(start[i]), [0.0; N]);
        for (t, gradients) in gradients.iter().enumerate() {
            formula(t as i32 + 1, &mut w, f64::from(gradients[i]), &mut state);
        }
        // The bounds of the reference cases.
        let bound = 2e-5 * w.abs() + 2e-6;
        assert!((f64::from(end[i]) - w).abs() <= bound, "{text}: parameter {i} is {} but should be {w}", end[i]);
    }
    for device in &devices[1..] {
        let mut other = start.clone();
        run(device, &mut optimizer(text), &mut other, &gradients);
        assert!(bits(&other) == bits(&end), "{text} on {device:?}");
    }
    for cut in 0..UPDATES {
        let (mut first, mut parameters) = (optimizer(text), start.clone());
        run(&devices[1], &mut first, &mut parameters, &gradients[..cut]);
        let (slabs, counters) = first.state();
        let counters: Value = serde_json::from_str(&counters.to_string()).expect("JSON");
        let mut second = optimizer(text);
        let fill = |name: &str, slab: &mut [f32]| {
            let (_, stored) = slabs.iter().find(|(stored, _)| *stored == name).expect("a slab of that name");
            slab.copy_from_slice(stored);
            Ok::<(), OptimError>(())
        };
        second.restore(&counters, fill).expect("its own state");
        assert_eq!(second.steps(), cut as u64);
        run(&devices[1], &mut second, &mut parameters, &gradients[cut..]);
        assert!(bits(&parameters) == bits(&end), "{text} restored after {cut} updates");
    }
}

/// base^exponent, without the platform's `powi`.
pub(super) fn power(base: f64, exponent: i32) -> f64 {
    (0..exponent).fold(1.0, |product, _| product * base)
}

#[test]
fn text_and_documents_round_trip_for_every_optimizer() {
    let mut texts: Vec<String> = OptimizerConfig::NAMES.iter().map(|name| name.to_string()).collect();
    texts
        .extend(["sgd:momentum=0.9,nesterov", "adam:lr=3e-4,betas=0.9:0.99", "adamw:weight_decay=0"].map(String::from));
    for text in texts {
        let config = OptimizerConfig::parse(&text).expect("an optimizer");
        assert_eq!(config.to_string().split(':').next(), Some(config.name()));
        assert_eq!(OptimizerConfig::parse(&config.to_string()), Ok(config.clone()), "{config}");
        let json = serde_json::to_string(&config).expect("JSON");
        assert_eq!(serde_json::from_str::<OptimizerConfig>(&json).expect("an optimizer"), config, "{json}");
        let document = toml::to_string(&config).expect("TOML");
        assert_eq!(toml::from_str::<OptimizerConfig>(&document).expect("an optimizer"), config, "{document}");
    }
    let config = OptimizerConfig::parse("sgd: momentum = 0.90 , nesterov").expect("an optimizer");
    assert_eq!(config.to_string(), "sgd:momentum=0.9,nesterov");
    assert_eq!(OptimizerConfig::parse("adam:3e-4").expect("an optimizer").learning_rate(), 3e-4);
    let short: OptimizerConfig = toml::from_str("name = 'adam'\nlr = 1").expect("an optimizer");
    assert_eq!(short.to_string(), "adam:lr=1");
}

#[test]
fn mistakes_are_named() {
    for (text, message) in [
        ("adma", "there is no optimizer 'adma'; did you mean 'adam'?"),
        ("sgd:momentun=0.9", "sgd has no setting 'momentun'; did you mean 'momentum'?"),
        ("sgd:name=adam", "sgd has no setting 'name'; there are: dampening, lr, momentum, nesterov, weight_decay"),
        ("sgd:nesterov=maybe", "'nesterov' must be true or false, got 'maybe'"),
        ("sgd:lr=fast", "'lr' must be a number, got 'fast'"),
        ("sgd:lr=inf", "'lr' must be a number, got 'inf'"),
        ("sgd:lr=-0.5", "'lr' must be 0 or more, got -0.5"),
    ] {
        assert_eq!(OptimizerConfig::parse(text).unwrap_err().to_string(), message);
    }
    let mut config = OptimizerConfig::default();
    assert!(config.set("lr", "-1").is_err());
    assert_eq!(config, OptimizerConfig::default());
    config.set("lr", "0.5").expect("a learning rate");
    assert_eq!(config.learning_rate(), 0.5);
    let typo = serde_json::from_str::<OptimizerConfig>(r#"{"name":"adam","epsilon":1e-8}"#).unwrap_err().to_string();
    assert!(typo.contains("epsilon"), "{typo}");
}

fn three() -> Vec<Segment> {
    vec![
        segment("0.weight", 0..5, Role::Weight),
        segment("0.bias", 16..19, Role::Bias),
        segment("2.weight", 32..36, Role::Weight),
    ]
}

fn slab(seed: u64) -> Vec<f32> {
    let mut slab = vec![0.0; 48];
    for segment in three() {
        slab[segment.range.clone()].copy_from_slice(&values(seed, segment.range.len()));
    }
    slab
}

#[test]
fn penalties_add_their_gradients_and_their_value_and_gaps_stay_zero() {
    let device = Device::new(Isa::best(), 1);
    let mut start = slab(1);
    start[2] = 0.0;
    start[3] = -0.0;
    let gradients = slab(2);
    let group =
        Group { parameters: "2.*".into(), lr_factor: 0.5, decoupled_weight_decay: Some(0.5), ..Group::default() };
    let groups = Groups { l1: 0.25, weights_only: true, groups: vec![group], ..Groups::default() };
    let config = OptimizerConfig::parse("sgd:lr=0.1,weight_decay=0.125").expect("an optimizer");
    let mut optimizer = Optimizer::new(&config, &three(), &groups).expect("good groups");
    let mut parameters = start.clone();
    assert!(optimizer.update(&device, 0.1, &mut parameters, &gradients));
    let mut penalty = 0.0;
    for i in 0..48 {
        let (w, g) = (f64::from(start[i]), f64::from(gradients[i]));
        let sign = if w == 0.0 { 0.0 } else { w.signum() };
        let expected = match i {
            0..5 => w - 0.1 * (g + 0.125 * w + 0.25 * sign),
            16..19 => w - 0.1 * g,
            32..36 => w * (1.0 - 0.05 * 0.5) - 0.05 * (g + 0.125 * w + 0.25 * sign),
            _ => 0.0,
        };
        assert!((f64::from(parameters[i]) - expected).abs() <= 1e-7, "{i}: {} {expected}", parameters[i]);
        if !(16..19).contains(&i) {
            penalty += 0.25 * w.abs() + 0.5 * 0.125 * w * w;
        }
    }
    assert!((optimizer.penalty(&device, &start) - penalty).abs() < 1e-6 * penalty);
}

#[test]
fn frozen_parameters_stay_and_their_gradients_do_not_count() {
    let device = Device::new(Isa::best(), 1);
    for name in OptimizerConfig::NAMES.iter().filter(|name| **name != "lbfgs") {
        let config = OptimizerConfig::named(name).expect("an optimizer");
        let mut segments = three();
        segments[1].frozen = true;
        let groups = Groups { l1: 0.1, decoupled_weight_decay: 0.1, ..Groups::default() };
        let mut optimizer = Optimizer::new(&config, &segments, &groups).expect("good settings");
        let (start, mut gradients) = (slab(1), slab(2));
        gradients[17] = f32::NAN;
        let mut parameters = start.clone();
        assert!(optimizer.update(&device, 0.1, &mut parameters, &gradients), "{name}");
        assert_eq!(parameters[16..19], start[16..19]);
        assert!((0..48).all(|i| start[i] == 0.0 || (16..19).contains(&i) || parameters[i] != start[i]), "{name}");
        assert!((0..48).all(|i| start[i] != 0.0 || parameters[i] == 0.0), "{name}: the gaps");
        gradients[33] = f32::INFINITY;
        assert!(!optimizer.update(&device, 0.1, &mut parameters, &gradients), "{name}");
    }
}

#[test]
fn a_state_of_another_optimizer_is_refused() {
    let mut adam = optimizer("adam");
    let (_, counters) = optimizer("sgd").state();
    let error = adam.restore(&counters, |_, _| Ok::<(), OptimError>(())).unwrap_err();
    assert_eq!(error.to_string(), "the stored state is not one of optimizer adam: it is one of optimizer sgd");
    assert!(adam.restore(&Value::Null, |_, _| Ok::<(), OptimError>(())).is_err());
    assert!(adam.restore(&serde_json::json!({"optimizer": "adam"}), |_, _| Ok::<(), OptimError>(())).is_err());
}
