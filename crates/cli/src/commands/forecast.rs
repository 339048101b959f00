//! `pellucid forecast`: how a series goes on.

use pellucid::data::Table;
use pellucid::data::series::{Series, SeriesPlan};
use pellucid::model::{Predictor, Preprocessing};
use pellucid::train::readable;

use super::predict::{Line, written};
use crate::args::ForecastArgs;
use crate::device::device;
use crate::error::{Failure, Outcome};
use crate::prepare::{known_series, table_options};
use crate::run_folder::model_path;
use crate::say::write_out;
use crate::trained::open_model;

/// Forecasts the steps behind the last one of a file.
pub fn run(arguments: &ForecastArgs) -> Outcome<()> {
    let model = open_model(&model_path(&arguments.model))?;
    let Preprocessing::Series { plan } = &model.preprocessing else {
        let task = model.task.name();
        return Err(Failure::new(format!("the model does not forecast, its task is {task}; train one with --horizon")));
    };
    let device = device(arguments.isa.as_deref(), arguments.threads)?;
    let options = table_options(arguments.delimiter.as_deref(), arguments.header, Default::default())?;
    let series = known_series(&Table::read(&arguments.data, &options)?, plan)?;
    let steps = arguments.steps.unwrap_or(plan.horizon);
    let mut predictor = model.predictor(device.clone())?;
    let to_units = |outputs: &mut [f32]| readable(&device, (&model.task, model.link), outputs);
    let values = forecast(plan, &series, &mut predictor, to_units, steps)?;
    let mut text = Vec::new();
    let mut line = Line::new(b',');
    let time = series.time.as_ref();
    line.field(time.map_or("step", |time| &time.name));
    series.names[..plan.targets].iter().for_each(|name| line.field(name));
    line.end(&mut text)?;
    for (step, values) in values.iter().enumerate() {
        line.field(&time.map_or_else(|| (step + 1).to_string(), |time| time.at(series.steps() + step)));
        values.iter().for_each(|value| line.field(&written(*value as f32)));
        line.end(&mut text)?;
    }
    write_out(arguments.out.as_deref(), &text)
}

/// Values of the predicted columns for so many steps. Beyond the horizon of the model, what it predicted is read again as if it
/// had happened. What is known in advance must be known for all steps.
fn forecast(
    plan: &SeriesPlan,
    series: &Series,
    predictor: &mut Predictor,
    to_units: impl Fn(&mut [f32]),
    steps: usize,
) -> Outcome<Vec<Vec<f64>>> {
    let unknown = (plan.targets..plan.columns.len()).filter(|column| !plan.known.contains(column));
    let others: Vec<&str> = unknown.map(|column| plan.columns[column].name.as_str()).collect();
    if steps > plan.horizon && !others.is_empty() {
        return Err(Failure::new(format!(
            "the model forecasts {} steps; for more it would need to know {} then; choose fewer --steps, or train with a \
             longer --horizon",
            plan.horizon,
            others.join(", ")
        )));
    }
    let mut series = series.clone();
    let mut forecast = Vec::new();
    while forecast.len() < steps {
        let mut outputs = predictor.predict_row(&plan.last_window(&series)?).to_vec();
        if let Some(output) = outputs.iter().find(|output| !output.is_finite()) {
            return Err(Failure::new(format!("the model forecasts {output}; its weights are unusable")));
        }
        to_units(&mut outputs);
        for values in outputs.chunks_exact(plan.targets) {
            let values: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
            series.values.iter_mut().zip(&values).for_each(|(column, value)| column.push(*value));
            forecast.push(values);
        }
    }
    forecast.truncate(steps);
    Ok(forecast)
}
