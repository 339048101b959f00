//! Progress of a run on the standard error stream: a bar for people, plain lines for files, or nothing.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pellucid::train::EpochRecord;

use crate::format::{number, seconds, short};
use crate::terminal::{Ink, Screen};

/// What is known of a run before its first step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Epochs of the whole run, at most (early stopping may end it sooner).
    pub epochs: usize,
    /// Epochs that were finished before (a run that is resumed).
    pub finished_epochs: usize,
    /// Updates in an epoch.
    pub steps_per_epoch: usize,
    /// Training rows in an epoch.
    pub rows_per_epoch: usize,
    /// Metric to show beside the loss.
    pub metric: Option<String>,
}

/// Shows how a run goes on: [`begin`](Progress::begin), [`step`](Progress::step) after each update,
/// [`epoch_end`](Progress::epoch_end), [`finish`](Progress::finish).
///
/// A step costs an addition and a comparison: the clock is read only every so many steps (as many as take about 20 ms),
/// and the stream is written about ten times a second at most.
pub struct Progress {
    output: Output,
    screen: Screen,
    clock: Box<dyn Fn() -> Duration + Send>,
    plan: Plan,
    /// Finished epochs, those before a resume included.
    epoch: usize,
    step: usize,
    loss_sum: f64,
    /// Steps until the clock is read again, and how many there were in all since it was read.
    countdown: usize,
    stride: usize,
    read_at: Duration,
    begun_at: Duration,
    drawn: Mark,
    rate: Option<f64>,
    last: Option<Shown>,
    last_is_shown: bool,
}

/// What is shown of a finished epoch: numbers only, so that keeping them costs nothing in a run of many short epochs.
#[derive(Clone, Copy)]
struct Shown {
    epoch: usize,
    loss: Option<f64>,
    validation: Option<f64>,
    /// The plan's metric, on the validation part if there is one.
    metric: Option<f64>,
}

enum Output {
    Bar(ProgressBar),
    Lines(Box<dyn Write + Send>),
    Quiet,
}

/// Where a run was when it was last shown.
#[derive(Clone, Copy, Default)]
struct Mark {
    at: Duration,
    steps: usize,
}

const REDRAW: Duration = Duration::from_millis(100);
/// The clock is read about this often; a step that suddenly takes longer delays a redraw by that much longer.
const READ: Duration = Duration::from_millis(20);
/// Lines for epochs: about this many evenly over the run, and one when none came for [`SILENCE`].
const LINES: usize = 30;
const SILENCE: Duration = Duration::from_secs(10);
/// Epochs that take longer than this report from within.
const WITHIN_EPOCH: Duration = Duration::from_secs(30);

impl Progress {
    /// Progress on the standard error stream: a bar if it is a terminal, lines if not, nothing if `quiet`.
    pub fn stderr(quiet: bool, screen: Screen) -> Progress {
        let output = if quiet {
            Output::Quiet
        } else if screen.terminal {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {msg}").expect("a template that is right");
            bar.set_style(style.progress_chars(if screen.unicode { "━╸ " } else { "#> " }));
            Output::Bar(bar)
        } else {
            Output::Lines(Box::new(std::io::stderr()))
        };
        let start = Instant::now();
        Progress::new(output, screen, Box::new(move || start.elapsed()))
    }

    /// Plain lines into `sink`, whatever it is.
    pub fn lines(sink: impl Write + Send + 'static, screen: Screen) -> Progress {
        let start = Instant::now();
        Progress::new(Output::Lines(Box::new(sink)), screen, Box::new(move || start.elapsed()))
    }

    fn new(output: Output, screen: Screen, clock: Box<dyn Fn() -> Duration + Send>) -> Progress {
        Progress {
            output,
            screen,
            clock,
            plan: Plan::default(),
            epoch: 0,
            step: 0,
            loss_sum: 0.0,
            countdown: 1,
            stride: 1,
            read_at: Duration::ZERO,
            begun_at: Duration::ZERO,
            drawn: Mark::default(),
            rate: None,
            last: None,
            last_is_shown: true,
        }
    }

    /// The run starts.
    pub fn begin(&mut self, plan: Plan) {
        self.epoch = plan.finished_epochs;
        self.plan = plan;
        (self.step, self.loss_sum, self.rate, self.last, self.last_is_shown) = (0, 0.0, None, None, true);
        (self.countdown, self.stride) = (1, 1);
        self.begun_at = (self.clock)();
        self.read_at = self.begun_at;
        self.drawn = Mark { at: self.begun_at, steps: self.steps() };
        if let Output::Bar(bar) = &self.output {
            bar.set_length((self.plan.epochs * self.plan.steps_per_epoch) as u64);
            bar.set_position(self.steps() as u64);
        }
        self.draw_bar();
    }

    /// One update was made; `loss` is that of its batch.
    pub fn step(&mut self, loss: f64) {
        self.step += 1;
        self.loss_sum += loss;
        self.countdown -= 1;
        if self.countdown == 0 {
            self.look_at_the_clock();
        }
    }

    /// An epoch is finished.
    pub fn epoch_end(&mut self, record: &EpochRecord) {
        self.epoch = record.epoch;
        (self.step, self.loss_sum) = (0, 0.0);
        if matches!(self.output, Output::Quiet) {
            return;
        }
        let validation = record.validation.as_ref();
        let metric = self.plan.metric.as_deref();
        self.last = Some(Shown {
            epoch: record.epoch,
            loss: record.train.get("loss"),
            validation: validation.and_then(|scores| scores.get("loss")),
            metric: metric.and_then(|name| validation.unwrap_or(&record.train).get(name)),
        });
        self.last_is_shown = false;
        let now = self.begun_at.max((self.clock)());
        match self.output {
            Output::Lines(_) => {
                let every = self.plan.epochs.div_ceil(LINES).max(1);
                let due = record.epoch.is_multiple_of(every) || record.epoch == 1 || now - self.drawn.at >= SILENCE;
                if due {
                    self.print_epoch(now);
                }
            }
            Output::Bar(_) if now - self.drawn.at >= REDRAW => self.draw_bar(),
            _ => {}
        }
        // Validation lies between the last step and here; the rate of training starts anew.
        self.drawn.steps = self.steps();
        if matches!(self.output, Output::Bar(_)) {
            self.drawn.at = now;
        }
    }

    /// The run is over: the bar goes away and leaves one line, lines end with the last epoch and the same line.
    pub fn finish(&mut self) {
        let now = (self.clock)();
        if !self.last_is_shown && matches!(self.output, Output::Lines(_)) {
            self.print_epoch(now);
        }
        let epochs = self.epoch - self.plan.finished_epochs;
        let took = (now - self.begun_at).as_secs_f64();
        let rows = epochs * self.plan.rows_per_epoch;
        let mut line = format!("{epochs} epoch{} in {}", if epochs == 1 { "" } else { "s" }, seconds(took));
        if rows > 0 && took > 0.0 {
            line.push_str(&format!(", {} rows/s with validation", short(rows as f64 / took)));
        }
        match &mut self.output {
            Output::Bar(bar) => {
                bar.finish_and_clear();
                eprintln!("{}", self.screen.paint(Ink::Faint, &line));
            }
            Output::Lines(sink) => say(sink, &line),
            Output::Quiet => {}
        }
    }

    /// Says `message` without disturbing the bar: warnings on the way. Silent if quiet.
    pub fn note(&mut self, message: &str) {
        let message = self.screen.clean(message);
        match &mut self.output {
            Output::Bar(bar) => bar.suspend(|| eprintln!("{message}")),
            Output::Lines(sink) => say(sink, &message),
            Output::Quiet => {}
        }
    }

    /// Steps since the start of the whole run.
    fn steps(&self) -> usize {
        self.epoch * self.plan.steps_per_epoch + self.step
    }

    fn look_at_the_clock(&mut self) {
        if matches!(self.output, Output::Quiet) {
            self.countdown = usize::MAX;
            return;
        }
        let now = (self.clock)();
        let passed = (now - self.read_at).as_secs_f64().max(1e-9);
        // At most twice as many as before: one slow reading, or one fast, must not decide for long.
        let wanted = self.stride as f64 * READ.as_secs_f64() / passed;
        self.stride = (wanted as usize).clamp(1, self.stride * 2);
        self.countdown = self.stride;
        self.read_at = now;
        let wait = if matches!(self.output, Output::Bar(_)) { REDRAW } else { WITHIN_EPOCH };
        if now - self.drawn.at >= wait {
            self.update_rate(now);
            if matches!(self.output, Output::Bar(_)) {
                self.draw_bar();
            } else {
                let share = 100 * self.step / self.plan.steps_per_epoch.max(1);
                let line = format!("{}  {share:>3} %  {}", self.prefix(self.epoch + 1), self.within_epoch(now, 200));
                self.print(&line);
            }
            self.drawn = Mark { at: now, steps: self.steps() };
        }
    }

    /// Rows a second, smoothed over about a second.
    fn update_rate(&mut self, now: Duration) {
        let passed = (now - self.drawn.at).as_secs_f64();
        let rows_per_step = self.plan.rows_per_epoch as f64 / self.plan.steps_per_epoch.max(1) as f64;
        let rate = self.steps().saturating_sub(self.drawn.steps) as f64 * rows_per_step / passed.max(1e-9);
        self.rate = Some(self.rate.map_or(rate, |old| 0.8 * old + 0.2 * rate));
    }

    fn draw_bar(&mut self) {
        if !matches!(self.output, Output::Bar(_)) {
            return;
        }
        let now = (self.clock)();
        // The bar is at least a dozen columns wide.
        let prefix = self.prefix((self.epoch + 1).min(self.plan.epochs.max(1)));
        let text = self.within_epoch(now, self.screen.width.saturating_sub(prefix.len() + 14));
        if let Output::Bar(bar) = &self.output {
            bar.set_prefix(prefix);
            bar.set_message(text);
            bar.set_position(self.steps() as u64);
        }
    }

    fn prefix(&self, epoch: usize) -> String {
        let width = self.plan.epochs.to_string().len();
        format!("epoch {epoch:>width$}/{}", self.plan.epochs)
    }

    /// Mean loss of this epoch so far, the last validation, rows a second and time left: as many as fit into `width`,
    /// which are those in front.
    fn within_epoch(&self, now: Duration, width: usize) -> String {
        let mut parts = Vec::new();
        if self.step > 0 {
            parts.push(format!("loss {}", number(self.loss_sum / self.step as f64)));
        } else if let Some(loss) = self.last.and_then(|last| last.loss) {
            parts.push(format!("loss {}", number(loss)));
        }
        parts.extend(self.last.and_then(|last| self.metric_text(last)));
        if let Some(left) = self.left(now) {
            parts.push(format!("{} left", seconds(left)));
        }
        if let Some(rate) = self.rate {
            parts.push(format!("{} rows/s", short(rate)));
        }
        let mut out = String::new();
        for part in parts {
            let gap = if out.is_empty() { 0 } else { 2 };
            if out.len() + gap + part.len() <= width {
                out.push_str(&" ".repeat(gap));
                out.push_str(&part);
            }
        }
        out
    }

    /// Seconds until all epochs are done, at the mean pace so far, validation included.
    fn left(&self, now: Duration) -> Option<f64> {
        let done = self.steps() - self.plan.finished_epochs * self.plan.steps_per_epoch;
        let all = self.plan.epochs * self.plan.steps_per_epoch;
        let passed = (now - self.begun_at).as_secs_f64();
        (done > 0).then(|| passed / done as f64 * all.saturating_sub(self.steps()) as f64)
    }

    fn metric_text(&self, last: Shown) -> Option<String> {
        Some(format!("{} {}", self.plan.metric.as_deref()?, number(last.metric?)))
    }

    fn print_epoch(&mut self, now: Duration) {
        let Some(last) = self.last else { return };
        let named = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {}", number(value)));
        let parts = [named("loss", last.loss), named("validation", last.validation), self.metric_text(last)];
        let mut line = self.prefix(last.epoch);
        for part in parts.into_iter().flatten() {
            line.push_str("  ");
            line.push_str(&part);
        }
        let took = (now - self.begun_at).as_secs_f64();
        let rows = (last.epoch - self.plan.finished_epochs) * self.plan.rows_per_epoch;
        if took > 0.0 && rows > 0 {
            line.push_str(&format!("  {} rows/s", short(rows as f64 / took)));
        }
        if let Some(left) = self.left(now).filter(|_| last.epoch < self.plan.epochs) {
            line.push_str(&format!("  {} left", seconds(left)));
        }
        self.last_is_shown = true;
        self.print(&line);
        self.drawn = Mark { at: now, steps: self.steps() };
    }

    fn print(&mut self, line: &str) {
        if let Output::Lines(sink) = &mut self.output {
            say(sink, line);
        }
    }
}

/// A line that cannot be written (a closed pipe) must not end a run.
fn say(sink: &mut dyn Write, line: &str) {
    let _ = writeln!(sink, "{line}");
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use pellucid::metrics::Scores;

    use super::*;

    const SCREEN: Screen = Screen { width: 80, unicode: true, color: false, terminal: false };

    /// A clock that the test moves, counting how often it is read, and a sink that the test reads.
    #[derive(Clone, Default)]
    struct Bench {
        micros: Arc<AtomicU64>,
        readings: Arc<AtomicU64>,
        text: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Bench {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.text.lock().expect("no panic while locked").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Bench {
        fn progress(&self, output: Output) -> Progress {
            let bench = self.clone();
            let clock = move || {
                bench.readings.fetch_add(1, Ordering::Relaxed);
                Duration::from_micros(bench.micros.load(Ordering::Relaxed))
            };
            Progress::new(output, SCREEN, Box::new(clock))
        }

        fn run(&self, mut progress: Progress, epochs: usize, steps: usize, micros_per_step: u64) -> String {
            let metric = Some("accuracy".to_string());
            let plan = Plan { epochs, steps_per_epoch: steps, rows_per_epoch: steps * 32, metric, finished_epochs: 0 };
            progress.begin(plan);
            for epoch in 1..=epochs {
                for _ in 0..steps {
                    self.micros.fetch_add(micros_per_step, Ordering::Relaxed);
                    progress.step(0.25);
                }
                progress.epoch_end(&record(epoch));
            }
            progress.finish();
            String::from_utf8(self.text.lock().expect("no panic while locked").clone()).expect("text")
        }
    }

    fn record(epoch: usize) -> EpochRecord {
        let (mut train, mut validation) = (Scores::new(), Scores::new());
        train.set("loss", 0.25);
        validation.set("loss", 0.5);
        validation.set("accuracy", 0.9);
        EpochRecord { epoch, step: 0, learning_rate: 0.1, seconds: 0.0, train, validation: Some(validation) }
    }

    #[test]
    fn every_epoch_of_a_short_run_has_its_line() {
        let bench = Bench::default();
        let text = bench.run(bench.progress(Output::Lines(Box::new(bench.clone()))), 10, 100, 1000);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 11, "{text}");
        let first = "epoch  1/10  loss 0.2500  validation 0.5000  accuracy 0.9000  32.0k rows/s  900.0 ms left";
        assert_eq!(lines[0], first);
        assert_eq!(lines[10], "10 epochs in 1.0 s, 32.0k rows/s with validation");
    }

    #[test]
    fn many_epochs_do_not_flood_and_slow_ones_are_not_silent() {
        let bench = Bench::default();
        let text = bench.run(bench.progress(Output::Lines(Box::new(bench.clone()))), 10_000, 1, 10);
        assert!((LINES..LINES + 4).contains(&text.lines().count()), "{text}");
        assert!(text.contains("epoch 10000/10000"), "the last epoch is shown");

        let bench = Bench::default();
        // Two epochs of 100 s: one line each, and from within every 30 s.
        let text = bench.run(bench.progress(Output::Lines(Box::new(bench.clone()))), 2, 1000, 100_000);
        assert_eq!(text.lines().count(), 2 + 2 * 3 + 1, "{text}");
        assert!(text.contains("epoch 1/2   60 %  loss 0.2500  2 min 20 s left  320 rows/s"), "{text}");
    }

    #[test]
    fn fast_steps_seldom_read_the_clock_and_quiet_ones_never() {
        let bench = Bench::default();
        let text = bench.run(bench.progress(Output::Lines(Box::new(bench.clone()))), 1, 1_000_000, 1);
        // A second at 20 ms a reading, and the doublings at the start.
        assert!(bench.readings.load(Ordering::Relaxed) < 90, "{:?}", bench.readings);
        assert!(text.contains("epoch 1/1"));

        let bench = Bench::default();
        assert_eq!(bench.run(bench.progress(Output::Quiet), 3, 1000, 1000), "");
        assert_eq!(bench.readings.load(Ordering::Relaxed), 2, "begin and finish");
    }

    #[test]
    fn a_resumed_run_counts_only_its_own_epochs() {
        let bench = Bench::default();
        let mut progress = bench.progress(Output::Lines(Box::new(bench.clone())));
        let plan = Plan { epochs: 10, finished_epochs: 8, steps_per_epoch: 1, rows_per_epoch: 50, metric: None };
        progress.begin(plan);
        for epoch in [9, 10] {
            bench.micros.fetch_add(1_000_000, Ordering::Relaxed);
            progress.step(1.0);
            progress.epoch_end(&record(epoch));
        }
        progress.finish();
        let text = String::from_utf8(bench.text.lock().expect("unlocked").clone()).expect("text");
        assert!(text.contains("epoch  9/10  loss 0.2500  validation 0.5000  50 rows/s  1.0 s left"), "{text}");
        assert!(text.ends_with("2 epochs in 2.0 s, 50 rows/s with validation\n"), "{text}");
    }

    #[test]
    fn the_bar_shows_what_fits() {
        let bench = Bench::default();
        let hidden = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let mut progress = bench.progress(Output::Bar(hidden.clone()));
        let metric = Some("accuracy".to_string());
        progress.begin(Plan { epochs: 5, steps_per_epoch: 10, rows_per_epoch: 320, metric, finished_epochs: 0 });
        for _ in 0..10 {
            progress.step(0.25);
            bench.micros.fetch_add(200_000, Ordering::Relaxed);
        }
        progress.epoch_end(&record(1));
        bench.micros.fetch_add(200_000, Ordering::Relaxed);
        progress.step(0.5);
        assert_eq!(hidden.length(), Some(50));
        assert_eq!(hidden.position(), 11);
        assert_eq!(hidden.prefix(), "epoch 2/5");
        assert!(hidden.message().starts_with("loss 0.5000  accuracy 0.9000  "), "{}", hidden.message());
        assert!(hidden.message().contains(" left"));
        assert!(hidden.message().len() <= SCREEN.width - 9 - 14);
    }
}
