//! `pellucid tune`.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, available_parallelism, sleep};
use std::time::{Duration, Instant};

use pellucid::data::Fold;
use pellucid::metrics::is_error;
use pellucid::tune::{Direction, Search, SearchOptions, Trial, Verdict};
use serde_json::{Value, json};

use super::train::{Start, finish};
use crate::args::{Look, TuneArgs};
use crate::device::device;
use crate::error::{Failure, Outcome};
use crate::format::{number, seconds};
use crate::interrupt::interrupted;
use crate::judge::usual_metric;
use crate::prepare::Prepared;
use crate::ready::{data_of, facts, ready, resolve, settings_that_repeat};
use crate::run_folder::{Occupied, RunFolder};
use crate::say::Say;
use crate::settings::{Settings, Validation};
use crate::terminal::{Align, Ink, Screen, Table};
use crate::tune::{
    Bench, Claim, Found, Importance, Plan, Record, Score, Store, TuneOptions, end_text, importance, page, values_text,
};

/// The settings of a search, in its folder.
const CONFIG: &str = "search.toml";
/// Its page.
const PAGE: &str = "search.html";
/// Whoever holds a lock on it trains the best network.
const LOCK: &str = "search.lock";
/// Lines of the table of the best.
const SHOWN: usize = 10;
/// How often a process that has nothing to do looks again.
const PAUSE: Duration = Duration::from_millis(50);

/// A search, ready to begin.
struct Task<'a> {
    plan: Plan,
    data: &'a str,
    folds: Vec<Prepared>,
    metric: String,
    options: SearchOptions,
    limit: usize,
    deadline: Option<Instant>,
}

impl Task<'_> {
    /// All that trials depend on.
    fn identity(&self) -> Value {
        let settings = settings_that_repeat(&self.plan.settings);
        json!({
            "settings": settings,
            "space": format!("{:?}", self.plan.space),
            "search": self.options,
            "folds": self.folds.len(),
            "metric": self.metric,
        })
    }

    fn search(&self, trials: Vec<Trial>) -> Outcome<Search> {
        Ok(Search::resume(self.plan.space.clone(), self.options, trials)?)
    }
}

/// Searches, and trains the best network that was found.
pub fn run(arguments: TuneArgs) -> Outcome<()> {
    let TuneArgs { data, tune, settings, resume, force, look } = arguments;
    let say = Say::new(look);
    let (word, mut settings) = resolve(&data, settings)?;
    let tune = tune.over(settings.tune.take().unwrap_or_default());
    settings.tune = Some(tune.clone());
    let task = task(&word, &settings, &tune, look)?;
    let folder = match &settings.out {
        Some(path) => RunFolder::open(path, Occupied::of(resume, force))?,
        None => RunFolder::numbered(&format!("{}-search", task.folds[0].name))?,
    };
    let store = Store::open(folder.path(), &task.identity())?;
    folder
        .write(CONFIG, &settings_that_repeat(&Settings { data: Some(word.clone()), ..settings.clone() }).to_toml())?;
    say.head(&head(&task, &tune, &say))?;
    let begun = Instant::now();
    search(&task, &store, &settings, look)?;

    let records = store.records()?;
    let trials: Vec<&Trial> = records.iter().map(|record| &record.trial).collect();
    let finished = task.search(trials.iter().map(|trial| (*trial).clone()).collect())?;
    let shares = importance(&task.plan.space, &trials);
    let found = Found {
        title: task.folds[0].name.clone(),
        space: &task.plan.space,
        records: &records,
        best: finished.best(),
        importance: &shares,
        metric: &task.metric,
        direction: task.options.direction,
    };
    folder.write(PAGE, &page(&found))?;
    say.result(&results(&found, &say.screen))?;
    let path = folder.path().display();
    let Some(best) = found.best else {
        return Err(Failure::new(format!("no trial came to its end; look at {path}/{PAGE}")));
    };
    let took = seconds(begun.elapsed().as_secs_f64());
    say.result(&format!("\n{} trials in {took}; the page of the search is {path}/{PAGE}\n\n", records.len()))?;
    let trained = train_best(&task, best, &folder, &settings, look)?;
    let mut object = summary(&found, best, &folder);
    object["trained"] = trained;
    say.json(&object)
}

/// What is searched, and by what.
fn task<'a>(word: &'a str, settings: &Settings, tune: &TuneOptions, look: Look) -> Outcome<Task<'a>> {
    let quiet = look.quiet || look.json;
    let plain = Settings { net: settings.net.clone().filter(|net| !net.contains('{')), ..settings.clone() };
    let of = tune.folds();
    let fold = |number: usize| -> Outcome<Prepared> {
        let fold = (of > 1).then_some(Fold { number, of });
        if fold.is_some() && (settings.validation.is_some() || settings.fold.is_some()) {
            return Err(Failure::new("--folds makes validation parts of its own; drop --validation or --fold"));
        }
        data_of(word, &Settings { fold: fold.or(settings.fold), ..plain.clone() }, quiet)
    };
    let folds = (1..=of).map(fold).collect::<Outcome<Vec<_>>>()?;
    if folds[0].validation.is_empty() {
        let message = "there are no validation rows to judge by";
        return Err(Failure::new(format!("{message}; give --validation, or --folds for cross-validation")));
    }
    let plan = Plan::new(settings, &facts(&folds[0]), of)?;
    let metric = metric(&folds[0], tune.metric.as_deref())?;
    // The epochs that a trial has, for the rungs of what gives it up.
    let epochs = crate::defaults::fill(&plain, &facts(&folds[0])).epochs.unwrap_or(1);
    let direction = if is_error(&metric) { Direction::Minimise } else { Direction::Maximise };
    let options = SearchOptions {
        sampler: tune.sampler.unwrap_or_default(),
        pruner: tune.pruner(epochs),
        direction,
        seed: settings.seed(),
        lanes: tune.lanes(),
    };
    let deadline = tune.budget.map(|budget| Instant::now() + budget.duration());
    Ok(Task { plan, data: word, folds, metric, options, limit: tune.limit(), deadline })
}

/// The metric to search by: the one asked for, or the usual one.
fn metric(prepared: &Prepared, asked: Option<&str>) -> Outcome<String> {
    let names = pellucid::train::metric_names(&prepared.task);
    let name = asked.unwrap_or(usual_metric(prepared.task.kind()));
    if names.iter().any(|known| known == name) {
        return Ok(name.to_string());
    }
    let near = pellucid::suggest::nearest(name, names.iter().map(String::as_str));
    let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
    Err(Failure::new(format!("--metric: there is no {name} for this task{near}; there are {}", names.join(", "))))
}

/// Runs trials until there are no more.
fn search(task: &Task<'_>, store: &Store, settings: &Settings, look: Look) -> Outcome<()> {
    let stop = interrupted()?;
    let threads = settings.threads.unwrap_or_else(|| available_parallelism().map_or(1, usize::from)).max(1);
    let workers = task.options.lanes.min(threads).min(task.limit);
    let (sender, ended) = channel::<Record>();
    // A mistake in one trial ends the others too.
    let broken = AtomicBool::new(false);
    let done = thread::scope(|scope| {
        let mut running = Vec::new();
        for _ in 0..workers {
            let bench = Bench {
                data: task.data,
                folds: &task.folds,
                metric: &task.metric,
                direction: task.options.direction,
                device: device(settings.isa.as_deref(), Some((threads / workers).max(1)))?,
                stop,
            };
            let (store, sender, broken) = (store.another()?, sender.clone(), &broken);
            running.push(scope.spawn(move || {
                let done = work(task, store, &bench, &sender, broken);
                broken.fetch_or(done.is_err(), Ordering::Relaxed);
                done
            }));
        }
        drop(sender);
        let mut lines = Lines::new(task, look);
        ended.iter().for_each(|record| lines.show(&record));
        running.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    });
    done?;
    if stop.load(Ordering::Relaxed) {
        let path = store.folder().display();
        return Err(Failure::interrupted(format!(
            "interrupted; go on with: pellucid tune {path}/{CONFIG} --out {path} --resume"
        )));
    }
    Ok(())
}

/// One thread: trial after trial.
fn work(
    task: &Task<'_>,
    mut store: Store,
    bench: &Bench<'_>,
    ended: &Sender<Record>,
    broken: &AtomicBool,
) -> Outcome<()> {
    let is_over = || bench.stop.load(Ordering::Relaxed) || broken.load(Ordering::Relaxed);
    while !is_over() && task.deadline.is_none_or(|deadline| Instant::now() < deadline) {
        let (mut trial, mut search) = match store.claim(task.limit, |trials| task.search(trials))? {
            Claim::Trial(claimed) => *claimed,
            Claim::Wait => {
                sleep(PAUSE);
                continue;
            }
            Claim::End => break,
        };
        let begun = Instant::now();
        let settings = task.plan.settings_of(&trial.values);
        let mut report = |score: f64| search.report(&mut trial, score);
        let ran = settings.and_then(|settings| bench.run(&settings, &mut report));
        let (verdict, problem) = match ran {
            Ok(Score::Ended(verdict, problem)) => (verdict, problem),
            Ok(Score::Stopped) => return store.give_back(&trial),
            // Values that do not go together are part of a search; but if the very first do not, the space is wrong.
            Err(failure) if trial.number > 0 => (Verdict::Failed, Some(failure.message().to_string())),
            Err(failure) => {
                store.give_back(&trial)?;
                return Err(failure);
            }
        };
        let seconds = begun.elapsed().as_secs_f64();
        store.finish(&trial, verdict, problem.as_deref(), seconds)?;
        let trial = Trial { verdict: Some(verdict), ..trial };
        // Nobody listens any more when the program ends.
        let _ = ended.send(Record { trial, problem, seconds: Some(seconds) });
    }
    Ok(())
}

/// A line for each trial that has ended.
struct Lines<'a> {
    task: &'a Task<'a>,
    quiet: bool,
    screen: Screen,
    best: Option<f64>,
}

impl<'a> Lines<'a> {
    fn new(task: &'a Task<'a>, look: Look) -> Lines<'a> {
        Lines { task, quiet: look.quiet || look.json, screen: Screen::stderr(look.ascii), best: None }
    }

    fn show(&mut self, record: &Record) {
        let score = record.trial.value();
        let is_best = score.is_some_and(|score| self.task.options.direction.improves(score, self.best));
        if is_best {
            self.best = score;
        }
        if self.quiet {
            return;
        }
        let what = match score {
            Some(score) => format!("{} {}", self.task.metric, number(score)),
            None => end_text(record),
        };
        let line = format!("trial {:<4} {what:<24} {}", record.trial.number, values_text(&record.trial, "  "));
        let line = crate::format::shorten(&self.screen.clean(&line), self.screen.width, self.screen.unicode);
        eprintln!("{}", if is_best { self.screen.paint(Ink::Strong, &line) } else { line });
    }
}

fn head(task: &Task<'_>, tune: &TuneOptions, say: &Say) -> String {
    let folds = match task.folds.len() {
        1 => "the validation part".to_string(),
        folds => format!("the mean of {folds} folds"),
    };
    let names: Vec<&str> = task.plan.space.dimensions().iter().map(|one| one.name.as_str()).collect();
    let ends = match (tune.trials, tune.budget) {
        (None, Some(budget)) => format!("for {}", seconds(budget.duration().as_secs_f64())),
        (Some(trials), Some(budget)) => {
            format!("{trials} trials, at most {}", seconds(budget.duration().as_secs_f64()))
        }
        _ => format!("{} trials", task.limit),
    };
    let sampler = serde_json::to_value(task.options.sampler).ok().and_then(|name| Some(name.as_str()?.to_string()));
    let facts = [
        ("data", task.folds[0].description.clone()),
        ("searched", names.join(", ")),
        ("score", format!("{} on {folds}", task.metric)),
        ("search", format!("{}, {ends}, {} at a time", sampler.unwrap_or_default(), task.options.lanes)),
    ];
    format!("{}\n", say.facts(&facts.map(|(name, value)| (name.to_string(), value))))
}

/// The best trials, and what matters.
fn results(found: &Found<'_>, screen: &Screen) -> String {
    let mut table =
        Table::new(&[("trial", Align::Right), (found.metric, Align::Right), ("values", Align::Left)]).cutting(2);
    for (trial, score) in found.ranking().into_iter().take(SHOWN) {
        table.row([trial.number.to_string(), number(score), values_text(trial, ", ")]);
    }
    let share = |one: &Importance| format!("{} {:.0} %", one.name, 100.0 * one.share);
    let shares: Vec<String> = found.importance.iter().map(share).collect();
    let matters = if shares.is_empty() { String::new() } else { format!("\nwhat matters: {}\n", shares.join(", ")) };
    format!("\n{}{matters}", table.draw(screen))
}

/// Trains a network with the best settings, as `train` would: unless another process of this search does.
fn train_best(task: &Task<'_>, best: &Trial, folder: &RunFolder, settings: &Settings, look: Look) -> Outcome<Value> {
    let path = folder.path().join(LOCK);
    let lock =
        File::create(&path).map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    if lock.try_lock().is_err() {
        Say::new(look).result("another process of this search trains the best network\n")?;
        return Ok(Value::Null);
    }
    let mut chosen = task.plan.settings_of(&best.values)?;
    if task.folds.len() > 1 && chosen.no_early_stopping {
        // Nothing is chosen by rows that are held out: all may be learnt from.
        chosen.validation = Some(Validation::Fraction(0.0));
    }
    let device = device(settings.isa.as_deref(), settings.threads)?;
    let (prepared, recipe) = ready(task.data.to_string(), chosen, true)?;
    let start = Start { checkpoint: None, branches: false };
    finish((&prepared, &recipe), folder, start, &device, look)
}

fn summary(found: &Found<'_>, best: &Trial, folder: &RunFolder) -> Value {
    let trials: Vec<Value> = found
        .records
        .iter()
        .map(|record| json!({"trial": record.trial, "problem": record.problem, "seconds": record.seconds}))
        .collect();
    let shares: Vec<Value> = found
        .importance
        .iter()
        .map(|one| json!({"name": one.name, "share": one.share, "deviation": one.deviation}))
        .collect();
    json!({
        "metric": found.metric,
        "best": best,
        "importance": shares,
        "trials": trials,
        "model": folder.model(),
        "page": Path::new(folder.path()).join(PAGE),
    })
}
