//! `pellucid predict`: rows, pictures or texts in, rows with predictions out, block by block.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use kernels::device::Device;
use pellucid::data::files::{Files, Kind, Tally, is_archive};
use pellucid::data::images::{Unlabelled, Workers};
use pellucid::data::sequences::Sequences;
use pellucid::data::table::Blocks;
use pellucid::data::text::UnlabelledTexts;
use pellucid::data::{Dataset, Features, Table, TableOptions, Task};
use pellucid::model::atomic::write_atomically;
use pellucid::model::{Model, Predictor, Preprocessing};
use pellucid::train::readable;

use crate::args::PredictArgs;
use crate::device::device;
use crate::error::{Failure, Outcome};
use crate::judge::predicted_class;
use crate::prepare::{memory_bytes, picture_input, pixel_rows, table_options};
use crate::run_folder::model_path;
use crate::trained::open_model;

/// Predicts the rows of a file or of standard input.
pub fn run(arguments: &PredictArgs) -> Outcome<()> {
    let model = open_model(&model_path(&arguments.model))?;
    match model.preprocessing {
        Preprocessing::Text { .. } => {
            return Err(Failure::new("the model is one of text: let it write on with pellucid generate"));
        }
        Preprocessing::Series { .. } => {
            return Err(Failure::new("the model is one of a series: let it forecast with pellucid forecast"));
        }
        _ => {}
    }
    let device = device(arguments.input.isa.as_deref(), arguments.input.threads)?;
    let input = input(arguments, &model)?;
    let mut run = Predictions {
        predictor: model.predictor(device.clone())?,
        model,
        device,
        skip_bad: arguments.input.skip_bad,
        notes: Vec::new(),
    };
    let result = match &arguments.out {
        Some(path) => {
            // The closure of the writer gives io errors only; others wait here.
            let mut failure = None;
            let written = write_atomically(path, |file| {
                run.write(input, file).map_err(|error| match error {
                    Stop::Write(error) => error,
                    Stop::Failure(error) => {
                        failure = Some(error);
                        io::Error::other("stopped")
                    }
                })
            });
            match failure {
                Some(failure) => Err(failure),
                None => written.map_err(Failure::from),
            }
        }
        None => {
            let mut out = BufWriter::new(io::stdout().lock());
            match run.write(input, &mut out).and_then(|()| out.flush().map_err(Stop::Write)) {
                Err(Stop::Failure(failure)) => Err(failure),
                // A reader that has gone away (`| head`) is no error.
                Err(Stop::Write(error)) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
                _ => Ok(()),
            }
        }
    };
    if !arguments.quiet {
        run.notes.iter().for_each(|note| eprintln!("note: {note}"));
    }
    result
}

/// What is to be predicted.
enum Input {
    Table(Blocks),
    Pictures(Unlabelled),
    Texts(UnlabelledTexts),
    Sequences(Box<Sequences>),
}

/// Files that are read at a time.
const FILES: usize = 256;

fn input(arguments: &PredictArgs, model: &Model) -> Outcome<Input> {
    let known = match &model.preprocessing {
        Preprocessing::Table { pipeline } => pipeline.table_options(),
        _ => TableOptions::default(),
    };
    let options = table_options(arguments.input.delimiter.as_deref(), arguments.input.header, known)?;
    if let Preprocessing::Sequences { plan } = &model.preprocessing {
        // Lines of a sequence may stand anywhere.
        let table = match arguments.data.as_str() {
            "-" => Table::from_reader("standard input", io::stdin(), &options)?,
            path => Table::read(path, &options)?,
        };
        return Ok(Input::Sequences(Box::new(Sequences::read(&table, &plan.options(false))?)));
    }
    if arguments.data == "-" {
        return Ok(Input::Table(Blocks::from_reader("standard input", io::stdin(), &options)?));
    }
    let path = Path::new(&arguments.data);
    if !path.exists() {
        return Err(Failure::new(format!(
            "there is no file {}; give a CSV or TSV file, a picture or a text, a folder of such, or - for standard input",
            path.display()
        )));
    }
    let are_texts = matches!(model.preprocessing, Preprocessing::Documents { .. });
    let kind = if are_texts { Kind::Texts } else { Kind::Pictures };
    if !(path.is_dir() || is_archive(path) || kind.is_of(&arguments.data)) {
        return Ok(Input::Table(Blocks::open(path, &options)?));
    }
    if !are_texts {
        picture_input(model)?;
    }
    let files = Files::open(path, memory_bytes(arguments.input.memory))?;
    Ok(if are_texts { Input::Texts(UnlabelledTexts::new(files)?) } else { Input::Pictures(Unlabelled::new(files)?) })
}

/// Why the writing ended early.
enum Stop {
    Write(io::Error),
    Failure(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Write(error)
    }
}

struct Predictions {
    predictor: Predictor,
    model: Model,
    device: Arc<Device>,
    /// Leave out files that cannot be read.
    skip_bad: bool,
    /// What was met on the way, each once.
    notes: Vec<String>,
}

impl Predictions {
    fn write(&mut self, input: Input, out: &mut dyn Write) -> Result<(), Stop> {
        match input {
            Input::Table(blocks) => self.write_table(blocks, out),
            Input::Pictures(pictures) => {
                let shown = pictures.notes();
                self.write_files("pictures", pictures.len(), shown, out, |run, range| {
                    let (used, outputs, bad) = run.predict_pictures(&pictures, range)?;
                    Ok((used.into_iter().map(|row| pictures.name(row).to_string()).collect(), outputs, bad))
                })
            }
            Input::Sequences(sequences) => self.write_sequences(&sequences, out),
            Input::Texts(texts) => {
                let shown = texts.notes();
                self.write_files("texts", texts.len(), shown, out, |run, range| run.predict_texts(&texts, range))
            }
        }
    }

    /// Writes a line for each of `count` files, of which `predict` gives some at a time: names of those that can be used, their
    /// outputs, and what is wrong with the others.
    fn write_files(
        &mut self,
        what: &str,
        count: usize,
        notes: Vec<String>,
        out: &mut dyn Write,
        predict: impl Fn(&mut Predictions, Range<usize>) -> Outcome<(Vec<String>, Vec<f32>, Tally)>,
    ) -> Result<(), Stop> {
        let mut line = Line::new(b',');
        self.notes.extend(notes);
        let mut left_out = 0;
        for first in (0..count).step_by(FILES) {
            let range = first..(first + FILES).min(count);
            let (names, outputs, bad) = predict(self, range).map_err(Stop::Failure)?;
            left_out += bad.count;
            if bad.count > 0 && !self.skip_bad {
                let message = format!("{}; leave such {what} out with --skip-bad", bad.first.join("; "));
                return Err(Stop::Failure(Failure::new(message)));
            }
            self.notes.extend(bad.first);
            if first == 0 {
                line.field("file");
                new_columns(&self.model.task, &["file".to_string()]).iter().for_each(|name| line.field(name));
                line.end(out)?;
            }
            for (name, outputs) in names.iter().zip(outputs.chunks_exact(self.model.task.output_width())) {
                line.field(name);
                predictions(&self.model.task, outputs, &mut line);
                line.end(out)?;
            }
        }
        if left_out > 0 {
            self.notes.push(format!("{left_out} {what} that cannot be used are left out"));
        }
        Ok(())
    }

    /// Of the texts in `range`: the names of those that can be used, their outputs, and what is wrong with the others.
    fn predict_texts(
        &mut self,
        texts: &UnlabelledTexts,
        range: Range<usize>,
    ) -> Outcome<(Vec<String>, Vec<f32>, Tally)> {
        let Preprocessing::Documents { plan } = &self.model.preprocessing else {
            return Err(Failure::new("the model does not take texts"));
        };
        let (table, bad) = texts.read(range, &plan.column);
        let names = (0..table.rows()).map(|row| table.cell(row, table.columns() - 1).to_string()).collect();
        Ok((names, self.predict(&table)?, bad))
    }

    fn write_sequences(&mut self, sequences: &Sequences, out: &mut dyn Write) -> Result<(), Stop> {
        let (table, rows) = (&sequences.table, (0..sequences.table.rows() as u32).collect::<Vec<_>>());
        let mut line = Line::new(b',');
        let id = table.names()[0].clone();
        line.field(&id);
        new_columns(&self.model.task, &[id]).iter().for_each(|name| line.field(name));
        let Preprocessing::Sequences { plan } = &self.model.preprocessing else {
            return Err(Stop::Failure(Failure::new("the model does not take sequences")));
        };
        let dataset = plan.dataset(sequences, &rows, false).map_err(|error| Stop::Failure(error.into()))?;
        line.end(out)?;
        let outputs = self.outputs(&dataset);
        for (row, outputs) in outputs.chunks_exact(self.model.task.output_width()).enumerate() {
            line.field(table.cell(row, 0));
            predictions(&self.model.task, outputs, &mut line);
            line.end(out)?;
        }
        Ok(())
    }

    /// Of the pictures in `range`: those that can be used, their outputs, and what is wrong with the others.
    fn predict_pictures(
        &mut self,
        pictures: &Unlabelled,
        range: Range<usize>,
    ) -> Outcome<(Vec<usize>, Vec<f32>, Tally)> {
        let (shape, normalisation) = picture_input(&self.model)?;
        let workers = Workers { threads: self.device.threads(), progress: &|_, _| () };
        let (used, bytes, bad) = pictures.read(range, shape, workers);
        let (scale, shift) = normalisation.of_inputs(shape);
        let dataset = Dataset::new(shape.to_vec(), Features::U8 { bytes, scale, shift }, Vec::new(), 0, None)?;
        let outputs = self.outputs(&dataset);
        Ok((used, outputs, bad))
    }

    fn write_table(&mut self, blocks: Blocks, out: &mut dyn Write) -> Result<(), Stop> {
        let mut first = true;
        for block in blocks {
            let table = block.map_err(|error| Stop::Failure(error.into()))?;
            // Columns are looked at before the first line is written.
            let outputs = self.predict(&table).map_err(Stop::Failure)?;
            let separator = match table.delimiter() {
                b' ' => b',',
                other => other,
            };
            let mut line = Line::new(separator);
            if std::mem::take(&mut first) {
                table.names().iter().for_each(|name| line.field(name));
                new_columns(&self.model.task, table.names()).iter().for_each(|name| line.field(name));
                line.end(out)?;
            }
            let width = self.model.task.output_width();
            for (row, outputs) in outputs.chunks_exact(width).enumerate() {
                (0..table.columns()).for_each(|column| line.field(table.cell(row, column)));
                predictions(&self.model.task, outputs, &mut line);
                line.end(out)?;
            }
        }
        Ok(())
    }

    /// Probabilities or values in units, `[rows, width]`.
    fn predict(&mut self, table: &Table) -> Outcome<Vec<f32>> {
        let rows: Vec<u32> = (0..table.rows() as u32).collect();
        let dataset: Arc<Dataset> = match &self.model.preprocessing {
            Preprocessing::Table { pipeline } => {
                let transformed = pipeline.transform_features(table, &rows)?;
                for note in transformed.notes {
                    // Notes with places differ from block to block; the first of each column is enough.
                    let about = |note: &str| note.split(':').next().unwrap_or_default().to_string();
                    if !self.notes.iter().any(|known| about(known) == about(&note)) {
                        self.notes.push(note);
                    }
                }
                Arc::new(transformed.dataset)
            }
            Preprocessing::Documents { plan } => Arc::new(plan.dataset(table, &rows, false)?),
            _ => pixel_rows(table, &self.model, false)?.data,
        };
        Ok(self.outputs(&dataset))
    }

    /// Probabilities or values in units of all rows, `[rows, width]`; rows are in memory.
    fn outputs(&mut self, dataset: &Dataset) -> Vec<f32> {
        let rows: Vec<u32> = (0..dataset.rows() as u32).collect();
        let mut outputs = vec![0.0; rows.len() * self.predictor.output_width()];
        let fill = |range: Range<usize>, inputs: &mut [f32]| {
            dataset.gather_features(&rows[range], inputs).expect("rows that are in memory");
        };
        match &dataset.lengths {
            Some(steps) => {
                let fill = |rows: &[u32], inputs: &mut [f32]| {
                    dataset.gather_features(rows, inputs).expect("rows that are in memory");
                };
                self.predictor.predict_padded(steps, fill, &mut outputs);
            }
            None => self.predictor.predict_with(rows.len(), fill, &mut outputs),
        }
        readable(&self.device, (&self.model.task, self.model.link), &mut outputs);
        outputs
    }
}

/// Names of the columns that are added; a name that the file has already gets `_2` and so on.
fn new_columns(task: &Task, taken: &[String]) -> Vec<String> {
    let many =
        |prefix: &str, names: Vec<&str>| names.into_iter().map(|name| format!("{prefix}_{name}")).collect::<Vec<_>>();
    let classes: Vec<&str> = task.class_names().iter().map(String::as_str).collect();
    let names: Vec<String> = match task {
        Task::Binary { .. } | Task::Multiclass { .. } => {
            ["prediction".to_string()].into_iter().chain(many("probability", classes)).collect()
        }
        Task::Multilabel { .. } => {
            many("prediction", classes.clone()).into_iter().chain(many("probability", classes)).collect()
        }
        Task::Regression { targets } if targets.len() == 1 => vec!["prediction".to_string()],
        Task::Regression { targets } => many("prediction", targets.iter().map(|target| target.name.as_str()).collect()),
        Task::Tokens { .. } => Vec::new(),
    };
    let free = |name: String| {
        let mut free = name.clone();
        let mut copy = 2;
        while taken.contains(&free) {
            free = format!("{name}_{copy}");
            copy += 1;
        }
        free
    };
    names.into_iter().map(free).collect()
}

fn predictions(task: &Task, outputs: &[f32], line: &mut Line) {
    match task {
        Task::Binary { classes } => {
            let (class, _) = predicted_class(task, outputs);
            line.field(&classes[class]);
            line.field(&written(1.0 - outputs[0]));
            line.field(&written(outputs[0]));
        }
        Task::Multiclass { classes } => {
            let (class, _) = predicted_class(task, outputs);
            line.field(&classes[class]);
            outputs.iter().for_each(|probability| line.field(&written(*probability)));
        }
        Task::Multilabel { .. } => {
            outputs.iter().for_each(|probability| line.field(if *probability >= 0.5 { "1" } else { "0" }));
            outputs.iter().for_each(|probability| line.field(&written(*probability)));
        }
        Task::Regression { .. } => outputs.iter().for_each(|value| line.field(&written(*value))),
        Task::Tokens { .. } => unreachable!("a text is written on, not predicted"),
    }
}

/// The shortest text that gives the same number again; very small and very large ones with an exponent.
pub(super) fn written(value: f32) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-4..1e9).contains(&size) { value.to_string() } else { format!("{value:e}") }
}

/// One line of the output.
pub(super) struct Line {
    text: Vec<u8>,
    separator: u8,
}

impl Line {
    /// Nothing yet.
    pub(super) fn new(separator: u8) -> Line {
        Line { text: Vec::new(), separator }
    }

    /// Adds a field, in quotes where it needs them.
    pub(super) fn field(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push(self.separator);
        }
        let special = |byte: u8| byte == self.separator || matches!(byte, b'"' | b'\n' | b'\r');
        // An empty first field would be mistaken for no field.
        if text.bytes().any(special) || (text.is_empty() && self.text.is_empty()) {
            self.text.push(b'"');
            self.text.extend(text.replace('"', "\"\"").as_bytes());
            self.text.push(b'"');
        } else {
            self.text.extend(text.as_bytes());
        }
    }

    /// Writes the line.
    pub(super) fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.text.push(b'\n');
        out.write_all(&self.text)?;
        self.text.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_need_it() {
        let mut line = Line::new(b',');
        ["", "a,b", "say \"x\"", "", "plain"].iter().for_each(|field| line.field(field));
        let mut out = Vec::new();
        line.end(&mut out).expect("writes");
        assert_eq!(String::from_utf8_lossy(&out), "\"\",\"a,b\",\"say \"\"x\"\"\",,plain\n");
    }

    #[test]
    fn numbers_are_short_and_exact() {
        for (value, text) in [(0.5, "0.5"), (0.0, "0"), (5.25e-11, "5.25e-11"), (-3.0e12, "-3e12"), (22.5, "22.5")] {
            assert_eq!(written(value), text);
            assert_eq!(text.parse(), Ok(value));
        }
        assert_eq!(written(f32::NAN), "NaN");
    }

    #[test]
    fn new_columns_do_not_hide_those_of_the_file() {
        let task = Task::Binary { classes: ["no".to_string(), "yes".to_string()] };
        let taken = ["x".to_string(), "prediction".to_string()];
        assert_eq!(new_columns(&task, &taken), ["prediction_2", "probability_no", "probability_yes"]);
    }
}
