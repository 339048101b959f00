//! What a convolutional network looks at, as pictures: the filters of its first layer, and the places that speak for a class.

use pellucid::data::Task;
use pellucid::explain::{GradCam, last_feature_map};
use pellucid::graph::{Graph, Parameters, Source};

use crate::judge::{Judge, Judged, predicted_class};
use crate::prepare::Rows;
use crate::report::{ClassEvidence, ClassMap, Picture, Pictures};

/// The filters of the first convolution, in colours where it sees three channels, grey where it sees one; none in other
/// networks, and none of one pixel. Zero is the middle grey; the greatest weight of all is black or white.
pub fn first_filters(graph: &Graph, parameters: &Parameters) -> Vec<Picture> {
    let Some(node) = graph.nodes().iter().find(|node| node.op.name() == "Conv") else { return Vec::new() };
    let Source::Parameter(weight) = graph.value(node.inputs[1]).source else { return Vec::new() };
    let segment = &parameters.segments()[weight];
    let &[_, channels @ (1 | 3), height, width] = segment.dims.as_slice() else { return Vec::new() };
    let weights = &parameters.values()[segment.range.clone()];
    let greatest = weights.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
    if height * width == 1 || !(greatest > 0.0 && greatest.is_finite()) {
        return Vec::new();
    }
    let byte = |weight: &f32| (127.5 + 127.5 * f64::from(weight / greatest)).round() as u8;
    let filter = |weights: &[f32]| {
        let bytes: Vec<u8> = weights.iter().map(byte).collect();
        Picture::from_planes([channels, height, width], &bytes)
    };
    weights.chunks_exact(channels * height * width).filter_map(filter).collect()
}

/// Maps of `most` pictures that the network got wrong, those first of which it was surest, and of as many that it got right,
/// each of another class where there are so many. None for networks without convolutions and for other tasks than classes.
pub fn class_maps(judge: &Judge, judged: &Judged, rows: &Rows, most: usize) -> Vec<ClassMap> {
    let Judge { graph, parameters, task, device, .. } = judge;
    if !matches!(task, Task::Binary { .. } | Task::Multiclass { .. }) {
        return Vec::new();
    }
    let (Some(pictures), Some(features)) = (Pictures::of(&rows.data), last_feature_map(graph)) else {
        return Vec::new();
    };
    let Ok(mut maps) = GradCam::new(graph, parameters, (*device).clone(), features) else { return Vec::new() };
    let mut inputs = vec![0.0; rows.data.width()];
    let mut map_of = |chosen: &Chosen| {
        let row = rows.rows[chosen.at];
        rows.data.gather_features(&[row], &mut inputs).ok()?;
        let outputs = &judged.readable[chosen.at * task.output_width()..][..task.output_width()];
        let mut evidence = |class: usize| ClassEvidence {
            class: task.class_names()[class].clone(),
            probability: probability(task, outputs, class),
            map: maps.map(&inputs, class),
        };
        let mut classes = vec![evidence(chosen.predicted)];
        if chosen.truth != chosen.predicted {
            classes.push(evidence(chosen.truth));
        }
        Some(ClassMap { picture: pictures.row(row), truth: task.class_names()[chosen.truth].clone(), classes })
    };
    choose(task, judged, rows, most).iter().filter_map(&mut map_of).collect()
}

/// A row to be shown, by its place in the part.
struct Chosen {
    at: usize,
    truth: usize,
    predicted: usize,
    probability: f64,
}

fn choose(task: &Task, judged: &Judged, rows: &Rows, most: usize) -> Vec<Chosen> {
    let outputs = judged.readable.chunks_exact(task.output_width());
    let (right, mut wrong): (Vec<Chosen>, Vec<Chosen>) = outputs
        .zip(&rows.rows)
        .enumerate()
        .map(|(at, (outputs, &row))| {
            let (predicted, probability) = predicted_class(task, outputs);
            Chosen { at, truth: rows.data.targets[row as usize] as usize, predicted, probability }
        })
        .partition(|chosen| chosen.truth == chosen.predicted);
    wrong.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.at.cmp(&b.at)));
    wrong.truncate(most);
    let mut seen = vec![false; task.class_names().len()];
    let (new, again): (Vec<Chosen>, Vec<Chosen>) =
        right.into_iter().partition(|chosen| !std::mem::replace(&mut seen[chosen.truth], true));
    wrong.extend(new.into_iter().chain(again).take(most));
    wrong
}

/// The probability of a class among the readable outputs of one row.
fn probability(task: &Task, outputs: &[f32], class: usize) -> f64 {
    match task {
        Task::Binary { .. } if class == 0 => 1.0 - f64::from(outputs[0]),
        Task::Binary { .. } => f64::from(outputs[0]),
        _ => f64::from(outputs[class]),
    }
}

#[cfg(test)]
mod tests {
    use pellucid::nn;

    use super::*;

    #[test]
    fn filters_are_grey_where_a_weight_is_zero_and_in_colours_behind_three_channels() {
        let of = |line: &str, input: &[usize], weights: &[f32]| {
            let graph = nn::network(line, input, Some(2)).expect("a network");
            let mut parameters = Parameters::zeros(&graph);
            if let Some(values) = parameters.get_mut("0.weight") {
                values.iter_mut().zip(weights).for_each(|(value, weight)| *value = *weight);
            }
            first_filters(&graph, &parameters)
        };
        let grey = of("conv 2 1x2 -> flatten -> dense", &[1, 4, 4], &[0.0, 1.0, -2.0, 2.0]);
        assert_eq!(grey.iter().map(|filter| filter.pixels.as_slice()).collect::<Vec<_>>(), [&[128, 191], &[0, 255]]);
        let colours = of("conv 1 1x2 -> flatten -> dense", &[3, 4, 4], &[1.0, 0.0, 0.0, 1.0, 0.0, -1.0]);
        assert_eq!((colours[0].channels, colours[0].pixels.as_slice()), (3, &[255, 128, 128, 128, 255, 0][..]));
        assert!(of("conv 2 1x1 -> flatten -> dense", &[1, 4, 4], &[1.0, 2.0]).is_empty(), "single pixels");
        assert!(of("conv 2 2x2 -> flatten -> dense", &[1, 4, 4], &[]).is_empty(), "all zero");
        assert!(of("conv 2 2x2 -> flatten -> dense", &[2, 4, 4], &[1.0]).is_empty(), "two channels");
        assert!(of("dense", &[4], &[1.0]).is_empty(), "no convolution");
    }
}
