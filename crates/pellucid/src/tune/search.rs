//! The loop of a search.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Assignment, Pruner, Sampler, Space, SpaceError};

/// Whether a score is to be small or large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The smaller, the better: a loss.
    #[default]
    Minimise,
    /// The larger, the better: an accuracy.
    Maximise,
}

impl Direction {
    /// The score, turned so that the smaller is the better.
    pub fn cost(self, score: f64) -> f64 {
        if self == Direction::Maximise { -score } else { score }
    }

    /// Whether a score is better than another, or than none.
    pub fn improves(self, score: f64, best: Option<f64>) -> bool {
        best.is_none_or(|best| self.cost(score) < self.cost(best))
    }
}

/// Settings of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchOptions {
    /// What is tried next.
    pub sampler: Sampler,
    /// What is given up.
    pub pruner: Pruner,
    /// What is better.
    pub direction: Direction,
    /// Seed of all that is drawn.
    pub seed: u64,
    /// Trials that may run at the same time, at least 1. A trial is chosen, and given up, by what is known of the trials that are so many
    /// or more before it, and by nothing else: which of the others ended sooner changes nothing.
    pub lanes: usize,
}

impl Default for SearchOptions {
    /// TPE, nothing is given up, the smaller score is better, seed 0, one trial at a time.
    fn default() -> SearchOptions {
        let (sampler, pruner, direction) = Default::default();
        SearchOptions { sampler, pruner, direction, seed: 0, lanes: 1 }
    }
}

/// One try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number, from 0.
    pub number: usize,
    /// What was chosen.
    pub values: Assignment,
    /// Its score after each unit of budget so far.
    pub reports: Vec<f64>,
    /// How it ended; `None` while it runs.
    pub verdict: Option<Verdict>,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// With this score.
    Finished(f64),
    /// Given up, as it was behind others.
    Pruned,
    /// It could not be run: a loss that was not finite, values that do not fit each other.
    Failed,
}

impl Trial {
    /// The value of a dimension, if it counts and is a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.values.get(name)?.as_f64()
    }

    /// The value of a dimension, if it counts and is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_str()
    }

    /// The score, if it was run to its end.
    pub fn value(&self) -> Option<f64> {
        match self.verdict {
            Some(Verdict::Finished(value)) => Some(value),
            _ => None,
        }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// This trial, for [`Search::finish`].
    Trial(Trial),
    /// Nothing, until a trial that runs has come to its end.
    Wait,
    /// Nothing: the grid has no more.
    End,
}

/// A search with its trials.
#[derive(Clone, Debug)]
pub struct Search {
    space: Space,
    options: SearchOptions,
    /// By number; those that run have no verdict.
    trials: BTreeMap<usize, Trial>,
}

impl Search {
    /// A new search.
    pub fn new(space: Space, options: SearchOptions) -> Search {
        Search { space, options, trials: BTreeMap::new() }
    }

    /// Goes on with a search that has these trials, in any order. Those without a verdict run elsewhere: what is to be begun anew is
    /// left out.
    ///
    /// # Errors
    /// If a trial has a dimension that the space has not.
    pub fn resume(
        space: Space,
        options: SearchOptions,
        trials: impl IntoIterator<Item = Trial>,
    ) -> Result<Search, SpaceError> {
        let trials: BTreeMap<usize, Trial> = trials.into_iter().map(|trial| (trial.number, trial)).collect();
        let known = |name: &&String| space.dimensions().iter().any(|dimension| dimension.name == **name);
        if let Some(name) = trials.values().flat_map(|trial| trial.values.keys()).find(|name| !known(name)) {
            let problem =
                "a trial has a value for it, but the space has no such dimension; search in a space of its own"
                    .to_string();
            return Err(SpaceError { name: name.clone(), problem });
        }
        Ok(Search { space, options, trials })
    }

    /// The trial with the least number that is not there yet, once all that it may know of have come to their end.
    pub fn next_trial(&mut self) -> Next {
        let number = (0..).find(|number| !self.trials.contains_key(number)).expect("numbers do not end");
        let known = self.known_to(number);
        if self.trials.range(..known).any(|(_, trial)| trial.verdict.is_none()) {
            return Next::Wait;
        }
        let before = self.trials.range(..known).map(|(_, trial)| trial);
        let seen: Vec<(&Assignment, f64)> =
            before.filter_map(|trial| Some((&trial.values, self.rank(trial)?))).collect();
        let Some(values) = self.options.sampler.suggest(&self.space, number, &seen, self.options.seed) else {
            return Next::End;
        };
        let trial = Trial { number, values, reports: Vec::new(), verdict: None };
        self.trials.insert(number, trial.clone());
        Next::Trial(trial)
    }

    /// Notes the score of a trial after one more unit of budget; true when it should be given up.
    pub fn report(&mut self, trial: &mut Trial, score: f64) -> bool {
        trial.reports.push(score);
        self.trials.insert(trial.number, trial.clone());
        let pruner = self.options.pruner;
        let first = pruner.first_rung(trial.number);
        let others = |spent: usize| -> Vec<f64> {
            let before = self.trials.range(..self.known_to(trial.number)).map(|(_, other)| other);
            let same = before.filter(|other| pruner.first_rung(other.number) == first);
            same.filter_map(|other| other.reports.get(spent - 1))
                .map(|score| self.options.direction.cost(*score))
                .collect()
        };
        pruner.gives_up(trial.number, trial.reports.len(), self.options.direction.cost(score), others)
    }

    /// Ends a trial.
    pub fn finish(&mut self, trial: Trial, verdict: Verdict) {
        self.trials.insert(trial.number, Trial { verdict: Some(verdict), ..trial });
    }

    /// All trials so far, by number.
    pub fn trials(&self) -> impl ExactSizeIterator<Item = &Trial> {
        self.trials.values()
    }

    /// The space.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The best of the trials that were run to their end; of equal ones the first.
    pub fn best(&self) -> Option<&Trial> {
        let finished = self.trials().filter_map(|trial| Some((trial, self.options.direction.cost(trial.value()?))));
        finished.filter(|(_, cost)| !cost.is_nan()).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(trial, _)| trial)
    }

    /// A trial knows of those with smaller numbers than this.
    fn known_to(&self, number: usize) -> usize {
        (number + 1).saturating_sub(self.options.lanes.max(1))
    }

    /// What the sampler learns from a trial; what was given up is worse than all that was not.
    fn rank(&self, trial: &Trial) -> Option<f64> {
        match trial.verdict? {
            Verdict::Finished(value) if !value.is_nan() => Some(self.options.direction.cost(value)),
            _ => Some(f64::INFINITY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(search: &mut Search) -> Trial {
        match search.next_trial() {
            Next::Trial(trial) => trial,
            other => panic!("{other:?}"),
        }
    }

    /// The best score of so many trials.
    fn best(text: &str, sampler: Sampler, seed: u64, trials: usize, score: Score) -> f64 {
        let space = Space::parse(text).expect("a space");
        let mut search = Search::new(space, SearchOptions { sampler, seed, ..SearchOptions::default() });
        for _ in 0..trials {
            let trial = next(&mut search);
            let value = score(&trial);
            search.finish(trial, Verdict::Finished(value));
        }
        search.best().and_then(Trial::value).expect("some finished")
    }

    fn branin(trial: &Trial) -> f64 {
        let pi = std::f64::consts::PI;
        let (x, y) = (trial.number("x").expect("x"), trial.number("y").expect("y"));
        let inner = y - 5.1 / (4.0 * pi * pi) * x * x + 5.0 / pi * x - 6.0;
        inner * inner + 10.0 * (1.0 - 1.0 / (8.0 * pi)) * libm::cos(x) + 10.0
    }

    fn bowl_of_six(trial: &Trial) -> f64 {
        (0..6).map(|i| trial.number(&format!("x{i}")).expect("a value") - 0.1 * f64::from(i)).map(|x| x * x).sum()
    }

    /// As rates are: over powers of ten, and another best momentum for one optimiser alone.
    fn rates(trial: &Trial) -> f64 {
        let rate = libm::log10(trial.number("lr").expect("a rate"));
        let (best, floor) = if trial.text("optimizer") == Some("sgd") { (-1.0, 0.2) } else { (-2.5, 0.1) };
        let momentum = trial.number("momentum").map_or(0.0, |momentum| (momentum - 0.9) * (momentum - 0.9));
        floor + 0.3 * (rate - best) * (rate - best) + momentum
    }

    type Score = fn(&Trial) -> f64;

    const TASKS: [(&str, Score); 3] = [
        (r#"{"x": {"low": -5, "high": 10}, "y": {"low": 0, "high": 15}}"#, branin),
        (
            r#"{"x0": {"low": -1, "high": 1}, "x1": {"low": -1, "high": 1}, "x2": {"low": -1, "high": 1},
                "x3": {"low": -1, "high": 1}, "x4": {"low": -1, "high": 1}, "x5": {"low": -1, "high": 1}}"#,
            bowl_of_six,
        ),
        (
            r#"{"lr": {"low": 1e-6, "high": 10, "log": true}, "optimizer": {"values": ["sgd", "adam", "rmsprop"]},
                "momentum": {"low": 0, "high": 0.99, "when": {"optimizer": "sgd"}}}"#,
            rates,
        ),
    ];

    #[test]
    fn tpe_finds_better_values_than_chance_with_as_many_trials() {
        for (text, score) in TASKS {
            let mean = |sampler: Sampler| (0..20).map(|seed| best(text, sampler, seed, 60, score)).sum::<f64>() / 20.0;
            let (tpe, random) = (mean(Sampler::Tpe), mean(Sampler::Random));
            assert!(tpe < random, "{text}: {tpe} beside {random}");
        }
    }

    /// A trial whose score falls from 1 towards its own end, of which `quick` say early how they end.
    fn curve(trial: &Trial, epoch: usize) -> f64 {
        let end = bowl_of_six(trial);
        end + (1.0 - end) * libm::exp(-(epoch as f64) / 4.0)
    }

    #[test]
    fn halving_finds_better_values_than_chance_with_as_many_epochs() {
        const EPOCHS: usize = 27;
        let run = |pruner: Pruner, seed: u64| {
            let space = Space::parse(TASKS[1].0).expect("a space");
            let options = SearchOptions { sampler: Sampler::Random, pruner, seed, ..SearchOptions::default() };
            let mut search = Search::new(space, options);
            let mut budget = 20 * EPOCHS;
            while budget >= EPOCHS {
                let mut trial = next(&mut search);
                let mut verdict = Verdict::Pruned;
                for epoch in 1..=EPOCHS {
                    budget -= 1;
                    let score = curve(&trial, epoch);
                    if epoch == EPOCHS {
                        verdict = Verdict::Finished(score);
                    } else if search.report(&mut trial, score) {
                        break;
                    }
                }
                search.finish(trial, verdict);
            }
            search.best().and_then(Trial::value).expect("some finished")
        };
        let mean = |pruner: Pruner| (0..20).map(|seed| run(pruner, seed)).sum::<f64>() / 20.0;
        let whole = mean(Pruner::None);
        for pruner in [Pruner::Asha { first: 1 }, Pruner::Hyperband { first: 1, most: EPOCHS }] {
            let pruned = mean(pruner);
            assert!(pruned < whole, "{pruner:?}: {pruned} beside {whole}");
        }
    }

    /// Runs trials, so many at a time, until there are `until`; the one that began last ends first.
    fn go_on(search: &mut Search, score: Score, until: usize) {
        let mut running: Vec<Trial> = Vec::new();
        loop {
            let next = if search.trials().len() < until { search.next_trial() } else { Next::Wait };
            match (next, running.pop()) {
                (Next::Trial(trial), last) => running.extend(last.into_iter().chain([trial])),
                (_, Some(mut trial)) => {
                    let value = score(&trial);
                    let verdict =
                        if search.report(&mut trial, value) { Verdict::Pruned } else { Verdict::Finished(value) };
                    search.finish(trial, verdict);
                }
                (_, None) => return,
            }
        }
    }

    #[test]
    fn a_search_goes_on_from_its_trials_as_if_it_had_never_been_interrupted() {
        let (text, score) = TASKS[2];
        let space = || Space::parse(text).expect("a space");
        for lanes in [1, 3] {
            let options =
                SearchOptions { seed: 5, lanes, pruner: Pruner::Asha { first: 1 }, ..SearchOptions::default() };
            let mut whole = Search::new(space(), options);
            go_on(&mut whole, score, 40);
            assert!(whole.trials().any(|trial| trial.verdict == Some(Verdict::Pruned)));
            for stop in [0, 7, 23] {
                let mut first = Search::new(space(), options);
                go_on(&mut first, score, stop);
                // Some were running when the search was killed, and the last of them had ended; all was written and read.
                let running: Vec<Next> = (0..lanes).map(|_| first.next_trial()).collect();
                if let (Some(Next::Trial(last)), true) = (running.last(), lanes > 1) {
                    let mut last = last.clone();
                    let value = score(&last);
                    let verdict =
                        if first.report(&mut last, value) { Verdict::Pruned } else { Verdict::Finished(value) };
                    first.finish(last, verdict);
                }
                let ended: Vec<&Trial> = first.trials().filter(|trial| trial.verdict.is_some()).collect();
                let written = serde_json::to_string(&ended).expect("JSON");
                let read: Vec<Trial> = serde_json::from_str(&written).expect("the same");
                let mut second = Search::resume(space(), options, read).expect("the same space");
                go_on(&mut second, score, 40);
                assert!(second.trials().eq(whole.trials()), "stopped after {stop}");
            }
            let other = Space::parse(r#"{"x": {"low": 0, "high": 1}}"#).expect("a space");
            assert!(Search::resume(other, options, whole.trials().cloned()).is_err());
        }
    }

    #[test]
    fn a_trial_waits_for_those_that_it_may_know_of() {
        let space = Space::parse(r#"{"x": {"low": 0, "high": 1}}"#).expect("a space");
        let mut search = Search::new(space, SearchOptions { lanes: 2, ..SearchOptions::default() });
        let (first, second) = (next(&mut search), next(&mut search));
        assert_eq!((first.number, second.number, search.next_trial()), (0, 1, Next::Wait));
        search.finish(second, Verdict::Finished(1.0));
        assert_eq!(search.next_trial(), Next::Wait, "the first one still runs");
        search.finish(first, Verdict::Finished(1.0));
        assert_eq!(next(&mut search).number, 2);
    }

    #[test]
    fn the_best_is_the_largest_where_that_is_better_and_never_no_number() {
        let space = Space::parse(r#"{"x": {"low": 0, "high": 1}}"#).expect("a space");
        let options = SearchOptions { direction: Direction::Maximise, ..SearchOptions::default() };
        let mut search = Search::new(space, options);
        for verdict in [
            Verdict::Finished(0.5),
            Verdict::Finished(f64::NAN),
            Verdict::Finished(0.75),
            Verdict::Failed,
            Verdict::Pruned,
        ] {
            let trial = next(&mut search);
            search.finish(trial, verdict);
        }
        assert_eq!(search.best().map(|trial| trial.number), Some(2));
    }
}
