//! Every check notices the fault that it is for.

use std::sync::Arc;

use super::*;
use crate::ops::{Attributes, Backward, Forward, Memory, Op, OpError, Reads, Run, Sample, ShapeError, Sizes};

/// y = x², with one thing wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Value,
    Gradient,
    GradientFarFromTheStart,
    ReadsTooLittle,
    AddsToTheGradient,
    InPlace,
    LosesNaN,
    DependsOnThreads,
    DependsOnInference,
    ShapePanics,
    AcceptsAnything,
    LooksAtScratch,
    IsNoView,
    Panics,
    NoReference,
}

impl Op for Fault {
    fn name(&self) -> &'static str {
        "Square"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        match self {
            Fault::ShapePanics => Ok(inputs[0].clone()),
            Fault::AcceptsAnything => Ok(Shape::scalar()),
            _ => ShapeError::expect_inputs::<1>(inputs).map(|[x]| x.clone()),
        }
    }

    fn reads(&self) -> Reads {
        if *self == Fault::ReadsTooLittle { Reads::OUTPUT } else { Reads::INPUT }
    }

    fn memory(&self, _: Sizes, _: bool) -> Memory {
        Memory { forward: 1, ..Memory::default() }
    }

    fn flops(&self, sizes: Sizes) -> u64 {
        sizes.output_elements() as u64
    }

    fn in_place(&self) -> bool {
        true
    }

    fn is_view(&self, _: bool) -> bool {
        *self == Fault::IsNoView
    }

    fn reference(&self, at: &Sample) -> Option<Vec<f64>> {
        (*self != Fault::NoReference).then(|| at.inputs[0].iter().map(|x| x * x).collect())
    }

    fn forward(&self, run: &Run, pass: Forward) {
        let x = pass.inputs[0].data;
        let y = pass.output;
        if !x.is_empty() {
            y.copy_from_slice(x);
        } else if *self == Fault::InPlace {
            return;
        }
        for y in y.iter_mut() {
            *y *= *y;
            match self {
                Fault::Value => *y *= 1.0 + 3.0 * f32::EPSILON,
                Fault::LosesNaN => *y = y.max(0.0),
                Fault::DependsOnThreads if run.device.threads() == 3 => *y = -*y,
                Fault::DependsOnInference if !run.training => *y = -*y,
                Fault::LooksAtScratch => *y += pass.scratch[0],
                Fault::Panics => panic!("at once"),
                _ => {}
            }
        }
    }

    fn backward(&self, _: &Run, pass: Backward) {
        let x = if *self == Fault::ReadsTooLittle { pass.output.data } else { pass.inputs[0].data };
        let x = if x.is_empty() { pass.inputs[0].data } else { x };
        let Some(dx) = &mut pass.dx[0] else { return };
        for i in 0..dx.len() {
            let dy = if pass.dy.is_empty() { dx[i] } else { pass.dy[i] };
            let slope = match self {
                Fault::ReadsTooLittle => 2.0 * x[i].sqrt().copysign(pass.inputs[0].data[i]),
                Fault::Gradient => 2.0001 * x[i],
                Fault::GradientFarFromTheStart if i == dx.len() - 1 && i > 10 => 0.0,
                _ => 2.0 * x[i],
            };
            dx[i] = if *self == Fault::AddsToTheGradient { dx[i] + dy * slope } else { dy * slope };
        }
    }
}

fn case(fault: Fault) -> Case {
    Case::elementwise(fault, Values::Normal(1.0)).within(Bound::ROUNDED, Bound::relative(1.0, "two products"))
}

#[test]
fn a_right_op_passes() {
    assert_eq!(check_op(&case(Fault::None)), Ok(()));
}

#[test]
fn every_fault_is_noticed_by_its_check() {
    for (fault, check) in [
        (Fault::Value, Check::Value),
        (Fault::Gradient, Check::Gradient),
        (Fault::GradientFarFromTheStart, Check::Gradient),
        (Fault::ReadsTooLittle, Check::Reads),
        (Fault::AddsToTheGradient, Check::Gradient),
        (Fault::InPlace, Check::InPlace),
        (Fault::LosesNaN, Check::NotANumber),
        (Fault::DependsOnThreads, Check::Devices),
        (Fault::DependsOnInference, Check::Inference),
        (Fault::ShapePanics, Check::Shape),
        (Fault::AcceptsAnything, Check::Shape),
        (Fault::LooksAtScratch, Check::Value),
        (Fault::IsNoView, Check::View),
        (Fault::Panics, Check::Value),
        (Fault::NoReference, Check::Shape),
    ] {
        let failures = check_op(&case(fault)).expect_err("a fault");
        assert!(failures.iter().any(|failure| failure.check == check), "{fault:?}: {:?}", failures[0]);
    }
}

#[test]
fn what_is_not_refused_with_the_right_words_is_noticed() {
    for shapes in [vec![Shape::batched(&[3])], vec![Shape::scalar(); 2]] {
        let case = case(Fault::None).refuses(shapes, "no such words");
        let failures = check_op(&case).expect_err("not refused, or in other words");
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].check, Check::Shape);
    }
}

#[test]
fn an_entry_with_another_name_or_without_cases_is_noticed() {
    let entry =
        OpEntry { name: "Square", from_attributes: |_| Ok(Arc::new(Fault::None)), cases: || vec![case(Fault::None)] };
    let details = |entry: &OpEntry| -> Vec<String> {
        check_entry(entry).err().unwrap_or_default().into_iter().map(|failure| failure.detail).collect()
    };
    assert_eq!(details(&entry), ["an unknown attribute was taken, and gave None"]);
    fn strict(attributes: &Attributes) -> Result<Arc<dyn Op>, OpError> {
        match attributes.is_empty() {
            true => Ok(Arc::new(Fault::None)),
            false => Err(OpError::Attributes { op: "Square".to_string(), problem: "it takes none".to_string() }),
        }
    }
    let entry = OpEntry { from_attributes: strict, ..entry };
    assert_eq!(details(&entry), [""; 0]);
    assert_eq!(details(&OpEntry { cases: Vec::new, ..entry }), ["there is no case"]);
    assert!(details(&OpEntry { name: "Other", ..entry }).contains(&"the entry is called 'Other'".to_string()));
}

#[test]
fn values_are_drawn_as_asked() {
    let stream = Stream::new(1, 1);
    let dims = [50, 40];
    let normal = Values::Normal(2.0).draw(stream, &dims);
    let mean = normal.iter().map(|&x| f64::from(x)).sum::<f64>() / 2000.0;
    let square = normal.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / 2000.0;
    // Five standard errors: 2 / √2000 of the mean, 4 √(2 / 2000) of the mean square.
    assert!(mean.abs() < 0.224 && (square - 4.0).abs() < 0.633, "{mean} {square}");
    assert!(Values::Uniform(-1.0, 3.0).draw(stream, &dims).iter().all(|x| (-1.0..=3.0).contains(x)));
    assert!(Values::Labels(3).draw(stream, &dims).iter().all(|x| [0.0, 1.0, 2.0].contains(x)));
    assert!(Values::Choice(vec![-1.0, 1.0]).draw(stream, &dims).iter().all(|x| x.abs() == 1.0));
    for row in Values::Probabilities.draw(stream, &dims).chunks(40) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5 && row.iter().all(|&x| x > 0.0));
    }
    let away = Values::AwayFrom { spread: 1.0, kinks: vec![-1.0, 1.0], margin: 0.25 }.draw(stream, &dims);
    assert!(away.iter().all(|x| (x.abs() - 1.0).abs() >= 0.25));
}
