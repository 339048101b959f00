//! Sequences with an answer each, from a table in long form: a line for each step, and a column that says which sequence the step
//! belongs to.
//!
//! A sequence becomes as many steps as the longest one to be learnt from has, up to a limit; a longer one is cut at its end, a
//! shorter one padded. A step is its standardised values and, last, a 1, which padding has not: all of padding is 0.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::pipeline::{PipelineError, find_column, target};
use super::series::{ColumnScale, SeriesError, check_order, has_number, numbers};
use super::{Dataset, Features, FitOptions, Table, Task};

/// Which columns are what.
#[derive(Clone, Debug, Default)]
pub struct SequenceOptions {
    /// The column that says which sequence a line belongs to, by name or index.
    pub id: String,
    /// The column of times, by name or index, if there is one: the lines of a sequence must be in their order.
    pub time: Option<String>,
    /// The column of answers, by name or index; none if no answers are known.
    pub target: Option<String>,
    /// The columns of values; all others that hold numbers if none is given.
    pub columns: Vec<String>,
}

/// Why a table holds no sequences.
#[derive(Debug, thiserror::Error)]
pub enum SequencesError {
    /// The columns.
    #[error(transparent)]
    Column(#[from] PipelineError),
    /// Values and times.
    #[error(transparent)]
    Steps(#[from] SeriesError),
    /// One column for two things.
    #[error("column `{0}` cannot be both {1} and {2}; give another one")]
    Twice(String, &'static str, &'static str),
    /// A line without a sequence.
    #[error("{place}: column {column} is empty; say which sequence the line belongs to")]
    NoId {
        /// The file and the line.
        place: String,
        /// The column.
        column: String,
    },
    /// Two answers for one sequence.
    #[error("{place}: {column} is {found:?}, but {first} of the same sequence; a sequence has one answer")]
    Answers {
        /// The file and the line.
        place: String,
        /// The column of answers.
        column: String,
        /// What stands there.
        found: String,
        /// The first answer and its line: `"up" in line 2`.
        first: String,
    },
    /// Nothing to see.
    #[error("{table} has no column of numbers besides {others}")]
    NoValues {
        /// The file.
        table: String,
        /// The columns of sequences, times and answers.
        others: String,
    },
}

/// Sequences, in the order in which they begin.
#[derive(Clone, Debug)]
pub struct Sequences {
    /// A row for each sequence, which is on the line where it begins: its id, and its answer, empty where it is not known.
    pub table: Table,
    /// Name of the column of times, if there is one.
    pub time: Option<String>,
    /// Names of the columns of values.
    pub columns: Vec<String>,
    /// Columns that hold no numbers, and are left out.
    pub left_out: Vec<String>,
    /// The values of each column, line by line.
    values: Vec<Vec<f64>>,
    /// The rows of each sequence in the table that it came from.
    rows: Vec<Vec<u32>>,
}

impl Sequences {
    /// Gathers the lines of each sequence. They keep their order, and need not stand together.
    ///
    /// # Errors
    /// Columns that are not there, values that are missing or no numbers, times that do not grow, several answers for a sequence.
    pub fn read(table: &Table, options: &SequenceOptions) -> Result<Sequences, SequencesError> {
        let id = find_column(table, &options.id)?;
        let time = options.time.as_deref().map(|name| find_column(table, name)).transpose()?;
        let target = options.target.as_deref().map(|name| find_column(table, name)).transpose()?;
        let name = |column: usize| table.names()[column].clone();
        let roles = [(Some(id), "that of the sequences"), (time, "that of times"), (target, "that of answers")];
        for [a, b] in [[0, 1], [0, 2], [1, 2]].map(|pair| pair.map(|role| roles[role])) {
            if let Some(column) = a.0.filter(|_| a.0 == b.0) {
                return Err(SequencesError::Twice(name(column), a.1, b.1));
            }
        }
        let mut rows: Vec<Vec<u32>> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for row in 0..table.rows() {
            let Some(text) = table.value(row, id) else {
                return Err(SequencesError::NoId { place: table.place(row), column: name(id) });
            };
            let place = *places.entry(text).or_insert(rows.len());
            if place == rows.len() {
                rows.push(Vec::new());
            }
            rows[place].push(row as u32);
        }
        if let Some(time) = time {
            check_order(table, time, &rows)?;
        }
        let (mut columns, mut left_out, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let others = (0..table.columns()).filter(|column| ![Some(id), time, target].contains(&Some(*column)));
        let wanted: Vec<usize> = match &options.columns[..] {
            [] => others.collect(),
            names => names.iter().map(|name| find_column(table, name)).collect::<Result<_, _>>()?,
        };
        for column in wanted {
            if options.columns.is_empty() && !has_number(table, column) {
                left_out.push(name(column));
                continue;
            }
            values.push(numbers(table, column, 0..table.rows())?);
            columns.push(name(column));
        }
        let target_name = target.map_or(String::new(), name);
        if columns.is_empty() {
            let others: Vec<String> = [Some(id), time, target].into_iter().flatten().map(name).collect();
            let (table, others) = (table.name().to_string(), others.join(", "));
            return Err(SequencesError::NoValues { table, others });
        }
        let mut sequences = Vec::with_capacity(rows.len());
        for rows in &rows {
            let answer = target.map_or(Ok(""), |target| answer(table, target, rows))?;
            let first = rows[0] as usize;
            sequences.push((table.line(first), [table.cell(first, id).to_string(), answer.to_string()]));
        }
        let (time_name, names) = (time.map(name), [name(id), target_name]);
        let table = table.with_rows(names, sequences);
        Ok(Sequences { table, time: time_name, columns, left_out, values, rows })
    }

    /// How many steps the longest of some sequences has.
    fn longest(&self, sequences: &[u32]) -> usize {
        sequences.iter().map(|row| self.rows[*row as usize].len()).max().unwrap_or(0)
    }
}

/// What its lines say of a sequence; not all of them need to.
fn answer<'a>(table: &'a Table, target: usize, rows: &[u32]) -> Result<&'a str, SequencesError> {
    let mut said = rows.iter().filter_map(|row| Some((*row as usize, table.value(*row as usize, target)?)));
    let Some((first_row, first)) = said.next() else { return Ok("") };
    match said.find(|(_, found)| *found != first) {
        None => Ok(first),
        Some((row, found)) => Err(SequencesError::Answers {
            place: table.place(row),
            column: table.names()[target].clone(),
            found: found.to_string(),
            first: format!("{first:?} in line {}", table.line(first_row)),
        }),
    }
}

/// How sequences become inputs of a network, and what it says of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SequencePlan {
    /// The column of sequences.
    pub id: String,
    /// The column of times, if there is one.
    pub time: Option<String>,
    /// The column of answers.
    pub target: String,
    /// The columns of values, with what they are divided by.
    pub columns: Vec<ColumnScale>,
    /// Steps of a row.
    pub length: usize,
    /// What is said of a sequence.
    pub task: Task,
}

impl SequencePlan {
    /// Learns scales and answers from some of the sequences, of which `most` steps are read at most; `fit` says what task it is, if
    /// that is known.
    ///
    /// # Errors
    /// Answers that make no task.
    pub fn learn(
        sequences: &Sequences,
        fit: &FitOptions,
        learnt: &[u32],
        most: usize,
    ) -> Result<SequencePlan, SequencesError> {
        let task = target::learn(&sequences.table, &[1], fit.task, learnt)?;
        let length = sequences.longest(learnt).min(most);
        let scale = |(name, values): (&String, &Vec<f64>)| {
            let rows = learnt.iter().flat_map(|row| sequences.rows[*row as usize].iter().take(length));
            let seen: Vec<f64> = rows.map(|row| values[*row as usize]).collect();
            ColumnScale::of(name, &seen, false)
        };
        let columns = sequences.columns.iter().zip(&sequences.values).map(scale).collect();
        let [id, target] = [0, 1].map(|column| sequences.table.names()[column].clone());
        Ok(SequencePlan { id, time: sequences.time.clone(), target, columns, length, task })
    }

    /// What to read of other tables; without the answers, unless they are needed.
    pub fn options(&self, answered: bool) -> SequenceOptions {
        SequenceOptions {
            id: self.id.clone(),
            time: self.time.clone(),
            target: answered.then(|| self.target.clone()),
            columns: self.columns.iter().map(|column| column.name.clone()).collect(),
        }
    }

    /// The inputs of some sequences [length, columns + 1], with their answers if they are `answered`.
    ///
    /// # Errors
    /// An unknown answer.
    pub fn dataset(&self, sequences: &Sequences, rows: &[u32], answered: bool) -> Result<Dataset, SequencesError> {
        let width = self.columns.len() + 1;
        let mut features = vec![0.0; rows.len() * self.length * width];
        let mut lengths = Vec::with_capacity(rows.len());
        for (row, out) in rows.iter().zip(features.chunks_exact_mut(self.length * width)) {
            let steps = &sequences.rows[*row as usize];
            lengths.push(steps.len().min(self.length) as u32);
            for (step, out) in steps.iter().zip(out.chunks_exact_mut(width)) {
                for ((scale, values), out) in self.columns.iter().zip(&sequences.values).zip(out.iter_mut()) {
                    *out = scale.standardise(values[*step as usize]);
                }
                out[width - 1] = 1.0;
            }
        }
        let (targets, target_width) = match answered {
            true => (target::encode(&self.task, &sequences.table, &[1], rows)?, self.task.target_width()),
            false => (Vec::new(), 0),
        };
        let shape = vec![self.length, width];
        let data = Dataset::new(shape, Features::F32(features), targets, target_width, None);
        Ok(data.and_then(|data| data.padded(lengths)).expect("lengths agree"))
    }

    /// How many of the sequences are longer than what is read of them.
    pub fn cut(&self, sequences: &Sequences, rows: &[u32]) -> usize {
        rows.iter().filter(|row| sequences.rows[**row as usize].len() > self.length).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TableOptions;

    const RUNS: &str =
        "run,t,x,kind,place,y\na,1,1,up,n,5\nb,1,3,,s,5\na,2,5,up,n,5\nb,5,3,down,s,5\na,3,9,up,n,5\nc,1,7,down,n,5\n";

    fn options(target: Option<&str>) -> SequenceOptions {
        SequenceOptions {
            id: "run".to_string(),
            time: Some("t".to_string()),
            target: target.map(String::from),
            columns: Vec::new(),
        }
    }

    fn read(text: &str, options: &SequenceOptions) -> Result<Sequences, SequencesError> {
        Sequences::read(
            &Table::from_reader("r.csv", text.as_bytes(), &TableOptions::default()).expect("a table"),
            options,
        )
    }

    #[test]
    fn lines_of_a_sequence_are_gathered_scaled_padded_and_cut() {
        let sequences = read(RUNS, &options(Some("kind"))).expect("sequences");
        assert_eq!(
            (sequences.columns.join(" "), sequences.left_out.join(" ")),
            ("x y".to_string(), "place".to_string())
        );
        assert_eq!((sequences.table.cell(1, 0), sequences.table.cell(1, 1), sequences.table.line(1)), ("b", "down", 3));
        let plan = SequencePlan::learn(&sequences, &FitOptions::default(), &[0, 1], 2);
        let plan = plan.expect("two kinds");
        assert_eq!((plan.length, plan.task.class_names()), (2, &["down".to_string(), "up".to_string()][..]));
        assert_eq!((plan.cut(&sequences, &[0, 1, 2]), plan.columns[0].mean), (1, 3.0));
        let data = plan.dataset(&sequences, &[2, 0], true).expect("rows");
        assert_eq!((data.sample_shape.as_slice(), data.targets.as_slice()), (&[2, 3][..], &[0.0, 1.0][..]));
        assert_eq!(data.lengths.as_deref(), Some(&[1, 2][..]));
        let Features::F32(values) = &data.features else { panic!("numbers") };
        // Of 1, 5, 3 and 3 the deviation is √2; a column that never changes gives 0.
        let one = std::f32::consts::SQRT_2;
        let expected = [2.0 * one, 0.0, 1.0, 0.0, 0.0, 0.0, -one, 0.0, 1.0, one, 0.0, 1.0];
        assert!(values.iter().zip(expected).all(|(value, expected)| (value - expected).abs() < 1e-6), "{values:?}");
        // Without answers, and with other columns.
        let others = read("x,y,t,run\n3,5,0,z\n", &plan.options(false)).expect("sequences");
        let data = plan.dataset(&others, &[0], false).expect("rows");
        assert_eq!((data.rows(), data.target_width), (1, 0));
    }

    #[test]
    fn what_is_wrong_has_its_lines() {
        let error = |text: &str, target| read(text, &options(target)).expect_err("no sequences").to_string();
        let answers = error("run,t,x,k\na,1,1,p\nb,1,1,q\na,2,1,q\n", Some("k"));
        assert!(answers.contains("r.csv: line 4: k is \"q\", but \"p\" in line 2 of the same sequence"), "{answers}");
        let order = error("run,t,x,k\na,2,1,p\nb,1,1,q\na,2,1,p\n", Some("k"));
        assert!(order.contains("line 4: 2 does not come after 2"), "{order}");
        let missing = error("run,t,x,k\na,1,1,p\nb,1,,q\n", Some("k"));
        assert!(missing.contains("line 3: x is \"\", a series needs a number"), "{missing}");
        let id = error("run,t,x,k\na,1,1,p\n,1,2,q\n", Some("k"));
        assert!(id.contains("r.csv: line 3: column run is empty"), "{id}");
        assert!(error("run,t,k\na,1,p\n", Some("k")).contains("no column of numbers besides run, t, k"));
        assert!(error(RUNS, Some("run")).contains("both that of the sequences and that of answers"));
        assert!(error(RUNS, Some("z")).contains("no column \"z\""));
    }
}
