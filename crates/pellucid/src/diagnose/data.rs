//! Rules over rows and columns.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Finding, Rule};
use crate::data::{ReadError, Task};
use crate::train::Part;

/// Rows that are looked at, at most: the first of each part.
const ROWS: usize = 20_000;
/// Standard deviations and means that an input should be within.
const DEVIATION: [f64; 2] = [0.05, 20.0];
const MEAN: f64 = 10.0;
/// How many times as frequent the most frequent class may be.
const IMBALANCE: f64 = 10.0;
/// Share of the answers that a single column may give: beyond it, it is too good to be true.
const LEAK: f64 = 0.995;
/// The same for the correlation with a number.
const LEAK_CORRELATION: f64 = 0.999;
/// Groups of equal size that the values of a column are divided into.
const GROUPS: usize = 32;
/// Share of the rows of a held-out part that may be in the training part too, and how many.
const DUPLICATES: (f64, usize) = (0.01, 3);

/// Data to look at.
#[derive(Clone, Copy, Debug)]
pub struct DataView<'a> {
    /// Rows to learn from.
    pub train: &'a Part<'a>,
    /// Rows that are held out, with the name of their part.
    pub held_out: &'a [(&'a str, Part<'a>)],
    /// What is predicted.
    pub task: &'a Task,
    /// Names of the inputs; empty where they have none, as pixels.
    pub names: &'a [String],
}

/// What the data does wrong.
///
/// # Errors
/// Rows that cannot be read.
pub fn of_data(view: &DataView) -> Result<Vec<Finding>, ReadError> {
    let rows = &view.train.rows[..view.train.rows.len().min(ROWS)];
    let width = view.train.data.width();
    let mut inputs = vec![0.0; rows.len() * width];
    view.train.data.gather_features(rows, &mut inputs)?;
    let columns = Columns { inputs: &inputs, width };
    let classes = class_counts(view);
    let mut findings = Vec::new();
    findings.extend(unscaled(view, &columns));
    findings.extend(imbalance(view, &classes));
    findings.extend(leaks(view, &columns, rows, &classes));
    findings.extend(duplicates(view)?);
    Ok(findings)
}

struct Columns<'a> {
    inputs: &'a [f32],
    width: usize,
}

impl Columns<'_> {
    fn column(&self, index: usize) -> impl Iterator<Item = f64> + Clone + '_ {
        self.inputs.iter().skip(index).step_by(self.width.max(1)).map(|value| f64::from(*value))
    }
}

fn name(view: &DataView, column: usize) -> String {
    match view.names.get(column) {
        Some(name) => format!("column {name}"),
        None => format!("input {column}"),
    }
}

fn mean_and_deviation(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, libm::sqrt(values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count))
}

/// Numbers whose spread or mean is far from those of the others; pixels share theirs, so all are one column.
fn unscaled(view: &DataView, columns: &Columns) -> Vec<Finding> {
    let is_off = |mean: f64, deviation: f64| {
        deviation > 0.0 && (!(DEVIATION[0]..=DEVIATION[1]).contains(&deviation) || mean.abs() > MEAN)
    };
    let finding = |place: String, mean: f64, deviation: f64| {
        let message = format!(
            "mean {mean:.4}, standard deviation {deviation:.4}; about 0 and 1 let all weights learn at the same rate"
        );
        Finding::new(Rule::UnscaledInput, place, deviation, message)
    };
    if view.names.is_empty() {
        let (mean, deviation) = mean_and_deviation(columns.inputs.iter().map(|value| f64::from(*value)));
        return if is_off(mean, deviation) { vec![finding("all inputs".to_string(), mean, deviation)] } else { vec![] };
    }
    let each = (0..columns.width).map(|column| (column, mean_and_deviation(columns.column(column))));
    // What is within 0 and 1, as levels of a category and pieces of a range are, may be rare by its nature.
    let is_flag = |column: usize| columns.column(column).all(|value| (0.0..=1.0).contains(&value));
    let off = each.filter(|(column, (mean, deviation))| is_off(*mean, *deviation) && !is_flag(*column));
    off.map(|(column, (mean, deviation))| finding(name(view, column), mean, deviation)).collect()
}

/// How often each class is the answer; none where the answer is no class.
fn class_counts(view: &DataView) -> Vec<usize> {
    if !is_of_classes(view.task) {
        return Vec::new();
    }
    let names = view.task.class_names();
    let mut counts = vec![0; names.len()];
    for row in view.train.rows.iter() {
        let class = view.train.data.targets[*row as usize * view.train.data.target_width];
        if let Some(count) = counts.get_mut(class as usize) {
            *count += 1;
        }
    }
    counts
}

fn is_of_classes(task: &Task) -> bool {
    matches!(task, Task::Binary { .. } | Task::Multiclass { .. })
}

fn imbalance(view: &DataView, counts: &[usize]) -> Option<Finding> {
    let (most, least) = (counts.iter().max()?, counts.iter().min()?);
    let rarest = counts.iter().position(|count| count == least)?;
    let ratio = *most as f64 / (*least).max(1) as f64;
    let message = format!(
        "{least} of {} training rows; the most frequent class has {ratio:.1} times as many, so accuracy hides it",
        counts.iter().sum::<usize>()
    );
    (ratio > IMBALANCE).then(|| {
        Finding::new(Rule::ClassImbalance, format!("class {}", view.task.class_names()[rarest]), ratio, message)
    })
}

/// Inputs from each of which alone the answer follows.
fn leaks(view: &DataView, columns: &Columns, rows: &[u32], classes: &[usize]) -> Vec<Finding> {
    const FEWEST: usize = 100;
    if rows.len() < FEWEST || view.names.is_empty() {
        return Vec::new();
    }
    let width = view.train.data.target_width;
    let target: Vec<f64> = rows.iter().map(|row| f64::from(view.train.data.targets[*row as usize * width])).collect();
    let usual = classes.iter().max().map_or(0.0, |most| *most as f64 / view.train.rows.len() as f64);
    let found = |column: usize| match view.task {
        Task::Regression { .. } => {
            let correlation = correlation(columns.column(column), &target);
            let message = format!("its correlation with the answer is {correlation:.4}");
            (correlation.abs() > LEAK_CORRELATION).then_some((correlation, message))
        }
        task if is_of_classes(task) => {
            let share = share_known(columns.column(column), &target, task.class_names().len());
            let message = format!("from it alone {:.1} % of the answers follow", 100.0 * share);
            // Where one class is nearly all, any column seems to know.
            (share > LEAK && usual < LEAK - 0.02).then_some((share, message))
        }
        _ => None,
    };
    let findings = (0..columns.width).filter_map(|column| Some((column, found(column)?)));
    findings
        .map(|(column, (number, message))| Finding::new(Rule::TargetLeak, name(view, column), number, message))
        .collect()
}

fn correlation(x: impl Iterator<Item = f64> + Clone, y: &[f64]) -> f64 {
    let ((mean_x, deviation_x), (mean_y, deviation_y)) =
        (mean_and_deviation(x.clone()), mean_and_deviation(y.iter().copied()));
    let sum: f64 = x.zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let scale = deviation_x * deviation_y * y.len() as f64;
    if scale > 0.0 { sum / scale } else { 0.0 }
}

/// The share of rows whose class is the most frequent of their group, for groups of neighbouring values.
fn share_known(x: impl Iterator<Item = f64>, classes: &[f64], count: usize) -> f64 {
    let mut pairs: Vec<(f64, usize)> = x.zip(classes).map(|(x, class)| (x, *class as usize)).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = pairs.len().div_ceil(GROUPS);
    let (mut known, mut first) = (0, 0);
    while first < pairs.len() {
        let mut end = (first + size).min(pairs.len());
        // Equal values stay together.
        while end < pairs.len() && pairs[end].0 == pairs[end - 1].0 {
            end += 1;
        }
        let mut counts = vec![0; count];
        pairs[first..end].iter().for_each(|(_, class)| counts[(*class).min(count - 1)] += 1);
        known += counts.iter().max().copied().unwrap_or(0);
        first = end;
    }
    known as f64 / pairs.len().max(1) as f64
}

/// Rows of held-out parts that stand in the training part with the same inputs.
fn duplicates(view: &DataView) -> Result<Vec<Finding>, ReadError> {
    if view.held_out.is_empty() {
        return Ok(Vec::new());
    }
    let seen: HashSet<u64> = hashes(view.train, view.train.rows.len())?.into_iter().collect();
    let mut findings = Vec::new();
    for (name, part) in view.held_out {
        findings.extend(repeated(name, &hashes(part, ROWS)?, &seen));
    }
    Ok(findings)
}

fn repeated(part_name: &str, held_out: &[u64], seen: &HashSet<u64>) -> Option<Finding> {
    let count = held_out.iter().filter(|hash| seen.contains(hash)).count();
    let share = count as f64 / held_out.len().max(1) as f64;
    let message =
        format!("{count} of {} rows ({:.1} %) have the same inputs as a training row", held_out.len(), 100.0 * share);
    let is_much = share > DUPLICATES.0 && count >= DUPLICATES.1;
    is_much.then(|| Finding::new(Rule::DuplicateRows, format!("the {part_name} part"), share, message))
}

/// A hash of the inputs of each row, of the first `most`.
fn hashes(part: &Part, most: usize) -> Result<Vec<u64>, ReadError> {
    const AT_ONCE: usize = 256;
    let rows = &part.rows[..part.rows.len().min(most)];
    let width = part.data.width();
    let mut found = Vec::with_capacity(rows.len());
    let mut inputs = vec![0.0; AT_ONCE * width];
    for rows in rows.chunks(AT_ONCE) {
        let inputs = &mut inputs[..rows.len() * width];
        part.data.gather_features(rows, inputs)?;
        for row in inputs.chunks(width.max(1)) {
            let mut hasher = DefaultHasher::new();
            row.iter().for_each(|value| value.to_bits().hash(&mut hasher));
            found.push(hasher.finish());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dataset, Features, TargetScaling};

    /// 300 rows of two inputs, made by `row`, and a target.
    fn dataset(row: impl Fn(usize) -> ([f32; 2], f32)) -> Dataset {
        let rows: Vec<([f32; 2], f32)> = (0..300).map(row).collect();
        let inputs = Features::F32(rows.iter().flat_map(|(inputs, _)| *inputs).collect());
        Dataset::new(vec![2], inputs, rows.iter().map(|(_, target)| *target).collect(), 1, None).expect("lengths agree")
    }

    fn noise(i: usize) -> f32 {
        ((i as u32).wrapping_mul(0x9e37_79b9) >> 16) as f32 / 32768.0 - 1.0
    }

    fn classes() -> Task {
        Task::Binary { classes: ["no".to_string(), "yes".to_string()] }
    }

    fn rules(data: &Dataset, task: &Task, held_out: Option<&Dataset>) -> Vec<(Rule, String)> {
        let train = Part::all(data);
        let held_out: Vec<(&str, Part)> = held_out.map(|data| ("test", Part::all(data))).into_iter().collect();
        let names = ["a".to_string(), "b".to_string()];
        let view = DataView { train: &train, held_out: &held_out, task, names: &names };
        of_data(&view).expect("rows in memory").into_iter().map(|finding| (finding.rule, finding.place)).collect()
    }

    #[test]
    fn inputs_without_a_scale_are_found_and_standardised_ones_are_not() {
        let scaled = dataset(|i| ([noise(i), noise(i + 1000)], (i % 2) as f32));
        assert_eq!(rules(&scaled, &classes(), None), []);
        let wide = dataset(|i| ([noise(i), 40_000.0 + 9000.0 * noise(i + 1000)], (i % 2) as f32));
        assert_eq!(rules(&wide, &classes(), None), [(Rule::UnscaledInput, "column b".to_string())]);
        let rare_level = dataset(|i| ([noise(i), f32::from(i % 150 == 0)], (i % 2) as f32));
        assert_eq!(rules(&rare_level, &classes(), None), []);
    }

    #[test]
    fn a_rare_class_is_found_and_one_of_a_fifth_is_not() {
        let of = |every: usize| dataset(move |i| ([noise(i), noise(i + 1000)], f32::from(i % every == 0)));
        assert_eq!(rules(&of(5), &classes(), None), []);
        assert_eq!(rules(&of(20), &classes(), None), [(Rule::ClassImbalance, "class yes".to_string())]);
    }

    #[test]
    fn a_column_that_gives_the_answer_away_is_found_and_a_good_one_is_not() {
        let leak = dataset(|i| ([noise(i), (i % 2) as f32 + 0.1 * noise(i + 1000)], (i % 2) as f32));
        assert_eq!(rules(&leak, &classes(), None), [(Rule::TargetLeak, "column b".to_string())]);
        let good = dataset(|i| ([noise(i), (i % 2) as f32 + 0.8 * noise(i + 1000)], (i % 2) as f32));
        assert_eq!(rules(&good, &classes(), None), []);
        let targets = vec![TargetScaling { name: "y".to_string(), mean: 0.0, std: 1.0, log: false }];
        let task = Task::Regression { targets };
        let leak = dataset(|i| ([noise(i), noise(i + 1000)], 3.0 * noise(i) + 1.0));
        assert_eq!(rules(&leak, &task, None), [(Rule::TargetLeak, "column a".to_string())]);
        let good = dataset(|i| ([noise(i), noise(i + 1000)], noise(i) + 0.2 * noise(i + 1000)));
        assert_eq!(rules(&good, &task, None), []);
    }

    #[test]
    fn rows_on_both_sides_of_a_split_are_found_and_one_by_chance_is_not() {
        let train = dataset(|i| ([noise(i), noise(i + 1000)], (i % 2) as f32));
        let one = dataset(|i| ([noise(i + usize::from(i > 0) * 5000), noise(i + 1000)], (i % 2) as f32));
        assert_eq!(rules(&train, &classes(), Some(&one)), []);
        let some = dataset(|i| ([noise(i + usize::from(i > 30) * 5000), noise(i + 1000)], (i % 2) as f32));
        assert_eq!(rules(&train, &classes(), Some(&some)), [(Rule::DuplicateRows, "the test part".to_string())]);
    }
}
