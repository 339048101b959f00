//! `pellucid replay`: a run once more up to some update, and from there another way.

use std::path::Path;

use pellucid::train::{Control, Event, Fit, Fitted, History};

use super::compare;
use super::train::{Start, finish};
use crate::args::{CompareArgs, ReplayArgs};
use crate::device::device;
use crate::error::{Failure, Outcome};
use crate::ready::{fit_of, frozen_features, ready, resolve};
use crate::run_folder::{CONFIG, Occupied, RunFolder, history_csv, read_history};
use crate::say::Say;
use crate::settings::Settings;

/// Repeats a run up to an update, checks that it is the same, and goes on with what was changed.
pub fn run(arguments: &ReplayArgs) -> Outcome<()> {
    let ReplayArgs { run, to_step, change, out, look } = arguments;
    let say = Say::new(*look);
    let config = run.join(CONFIG);
    if !config.is_file() {
        return Err(Failure::new(format!("{} is no folder of a run: it has no {CONFIG}", run.display())));
    }
    let before = read_history(&run.join("history.csv"))?;
    let quiet = look.quiet || look.json;
    let (word, settings) = resolve(&config.to_string_lossy(), Settings::default())?;
    let changed = change.iter().try_fold(settings.clone(), |settings, change| settings.changed(change))?;
    let device = device(settings.isa.as_deref(), settings.threads)?;
    let (prepared, recipe) = ready(word.clone(), settings, quiet)?;
    let folder = match out {
        Some(path) => RunFolder::open(path, Occupied::Refuse)?,
        None => RunFolder::numbered(&prepared.name)?,
    };

    let features = frozen_features(&prepared, &recipe, recipe.settings.features.as_deref(), &device)?;
    let features = features.map(|(features, _)| features);
    let fit =
        Fit { checkpoints: Some(folder.checkpoints()?), ..fit_of(&prepared, &recipe, features.as_ref(), &device) };
    let mut watch = |event: Event<'_>| match event {
        Event::Step { step, .. } if step >= *to_step => Control::Stop,
        _ => Control::Continue,
    };
    let repeated = fit.run(&mut watch)?;
    same_as_before(&repeated, &before, run)?;
    let (steps, epochs) = (repeated.steps, repeated.history.epochs.len());
    say.result(&format!("{steps} updates as the first time; {epochs} epochs have the same losses to the bit\n"))?;
    if change.is_empty() {
        folder.write(CONFIG, &changed.to_toml())?;
        say.result(&format!("the state is in {}/checkpoints\n", folder.path().display()))?;
        return say.json(&serde_json::json!({"steps": steps, "epochs": epochs, "folder": folder.path()}));
    }
    say.result(&format!("from there with {}\n\n", change.join(", ")))?;
    let checkpoint = folder.checkpoints()?.load_latest()?.map(|loaded| loaded.checkpoint);
    let (prepared, recipe) = ready(word, changed, quiet)?;
    say.json(&finish((&prepared, &recipe), &folder, Start { checkpoint, branches: true }, &device, *look)?)?;
    say.result("\n")?;
    if look.json {
        return Ok(());
    }
    let runs = vec![run.clone(), folder.path().to_path_buf()];
    compare::run(&CompareArgs { runs, metric: None, html: None, look: *look })
}

/// Refuses a run that is not the one of the first time: other data, or a version that gives other bits.
fn same_as_before(repeated: &Fitted, before: &History, run: &Path) -> Outcome<()> {
    // All but the time that it took.
    let line = |history: &History, index: usize| {
        let mut record = history.epochs[index].clone();
        record.seconds = 0.0;
        history_csv(&History { epochs: vec![record] })
    };
    let both = repeated.history.epochs.len().min(before.epochs.len());
    match (0..both).find(|index| line(&repeated.history, *index) != line(before, *index)) {
        None => Ok(()),
        Some(index) => Err(Failure::new(format!(
            "epoch {} of {} does not come out as the first time: the data are others, or the version of pellucid is",
            index + 1,
            run.display()
        ))),
    }
}
