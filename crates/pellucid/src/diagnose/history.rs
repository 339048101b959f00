//! Rules over the epochs of a run.

use super::{Finding, Rule};
use crate::train::History;

/// Epochs from which on a history says something.
const EPOCHS: usize = 5;
/// Rise of the training loss over its least so far that counts as a step back, and the share of epochs with one that is too much.
const STEP_BACK: (f64, f64) = (1.25, 0.25);
/// Least fall of the loss, in parts of it, within the last third of the epochs.
const STANDSTILL: f64 = 0.002;
/// Fall of the loss in all, in parts of it, below which a loss that falls in every epoch falls too slowly.
const SLOW: f64 = 0.15;
/// How much more than its least the validation loss may be at the end.
const OVERFIT: f64 = 1.15;
/// Share of the loss without a network that may be left of the training loss.
const UNDERFIT: f64 = 0.8;

/// What the history of a run tells. `without` is the training loss of an answer that is always the same (the entropy of the classes,
/// the variance of the values), if it is known; `keeps_best` says that the best epoch on the validation part is kept, so that what comes
/// after it does no harm.
pub fn of_history(history: &History, without: Option<f64>, keeps_best: bool) -> Vec<Finding> {
    let loss = |record: &crate::train::EpochRecord| record.train.get("loss").filter(|loss| loss.is_finite());
    let losses: Vec<f64> = history.epochs.iter().filter_map(loss).collect();
    if losses.len() < EPOCHS {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let too_high = too_high(&losses, without);
    findings.extend(too_high.clone());
    if too_high.is_none() {
        findings.extend(too_low(&losses).or_else(|| plateau(&losses)));
        findings.extend(underfitting(&losses, without));
    }
    findings.extend(overfitting(history).filter(|_| !keeps_best));
    findings
}

/// The loss leaps up again and again, or ends above that of no network at all.
fn too_high(losses: &[f64], without: Option<f64>) -> Option<Finding> {
    let mut least = losses[0];
    let mut steps_back = 0;
    for loss in &losses[1..] {
        steps_back += usize::from(*loss > STEP_BACK.0 * least);
        least = least.min(*loss);
    }
    let share = steps_back as f64 / (losses.len() - 1) as f64;
    let last = losses[losses.len() - 1];
    if share > STEP_BACK.1 {
        let message = format!(
            "in {steps_back} of {} epochs the training loss was a quarter or more above its least so far",
            losses.len() - 1
        );
        return Some(Finding::new(Rule::RateTooHigh, "the training loss", share, message));
    }
    let without = without.filter(|without| last > 1.1 * without)?;
    let message = format!("it ended at {last:.4}, above the {without:.4} of always giving the same answer");
    Some(Finding::new(Rule::RateTooHigh, "the training loss", last, message))
}

/// The loss falls in every epoch, but hardly.
fn too_low(losses: &[f64]) -> Option<Finding> {
    let falls = losses.windows(2).all(|pair| pair[1] < pair[0]);
    let fall = 1.0 - losses[losses.len() - 1] / losses[0];
    // What still falls evenly: the second half as much as a third of the first.
    let middle = losses[losses.len() / 2];
    let is_even = middle - losses[losses.len() - 1] > (losses[0] - middle) / 3.0;
    (falls && is_even && fall < SLOW).then(|| {
        let message = format!("it fell in every epoch, but by {:.1} % in {} epochs", 100.0 * fall, losses.len());
        Finding::new(Rule::RateTooLow, "the training loss", fall, message)
    })
}

/// Nothing moves in the last third of the epochs.
fn plateau(losses: &[f64]) -> Option<Finding> {
    let from = losses.len() - (losses.len() / 3).max(EPOCHS - 1);
    let least = |losses: &[f64]| losses.iter().copied().fold(f64::INFINITY, f64::min);
    let (before, after) = (least(&losses[..from]), least(&losses[from..]));
    let fall = 1.0 - after / before;
    (before > 1e-6 && fall < STANDSTILL).then(|| {
        let message =
            format!("no more than {:.2} % better in the last {} epochs", 100.0 * fall.max(0.0), losses.len() - from);
        Finding::new(Rule::Plateau, "the training loss", fall, message)
    })
}

fn underfitting(losses: &[f64], without: Option<f64>) -> Option<Finding> {
    let last = losses[losses.len() - 1];
    let without = without.filter(|without| last > UNDERFIT * without)?;
    let message = format!("it ended at {last:.4}; always giving the same answer has {without:.4}");
    Some(Finding::new(Rule::Underfitting, "the training loss", last / without, message))
}

/// The validation loss rises while the training loss goes on falling.
fn overfitting(history: &History) -> Option<Finding> {
    let of = |scores: &crate::metrics::Scores| scores.get("loss").filter(|loss| loss.is_finite());
    let pairs: Vec<(f64, f64)> = history
        .epochs
        .iter()
        .filter_map(|record| Some((of(&record.train)?, of(record.validation.as_ref()?)?)))
        .collect();
    let (best, (train_then, least)) = pairs.iter().copied().enumerate().min_by(|a, b| a.1.1.total_cmp(&b.1.1))?;
    let (train_now, now) = *pairs.last()?;
    (now > OVERFIT * least && train_now < train_then).then(|| {
        let message = format!(
            "it ended at {now:.4}, {:.0} % above its {least:.4} of epoch {}, while the training loss went from {train_then:.4} to \
             {train_now:.4}",
            100.0 * (now / least - 1.0),
            best + 1
        );
        Finding::new(Rule::Overfitting, "the validation loss", now / least, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Scores;
    use crate::train::EpochRecord;

    /// Losses of the training and validation part, epoch by epoch.
    fn history(losses: &[(f64, f64)]) -> History {
        let scores = |loss: f64| {
            let mut scores = Scores::new();
            scores.set("loss", loss);
            scores
        };
        let record = |(i, (train, validation)): (usize, &(f64, f64))| EpochRecord {
            epoch: i + 1,
            step: i as u64 + 1,
            learning_rate: 0.1,
            seconds: 0.0,
            train: scores(*train),
            validation: Some(scores(*validation)),
        };
        History { epochs: losses.iter().enumerate().map(record).collect() }
    }

    fn rules(losses: &[(f64, f64)], without: f64) -> Vec<Rule> {
        of_history(&history(losses), Some(without), false).into_iter().map(|finding| finding.rule).collect()
    }

    /// A healthy run: from 1 down to 0.2, the validation loss a little above.
    fn healthy() -> Vec<(f64, f64)> {
        (0..12).map(|i| 0.2 + 0.8 * libm::exp(-0.25 * f64::from(i))).map(|loss| (loss, loss + 0.02)).collect()
    }

    #[test]
    fn a_healthy_run_and_a_short_one_have_no_findings() {
        assert_eq!(rules(&healthy(), 1.1), []);
        assert_eq!(rules(&healthy()[..4], 0.1), []);
    }

    #[test]
    fn a_rate_that_is_too_high_leaps_or_ends_above_no_network() {
        let leaping: Vec<(f64, f64)> = (0..12).map(|i| if i % 2 == 0 { (0.4, 0.4) } else { (0.9, 0.9) }).collect();
        assert_eq!(rules(&leaping, 1.1), [Rule::RateTooHigh]);
        let above: Vec<(f64, f64)> = healthy().iter().map(|(a, b)| (a + 3.0, b + 3.0)).collect();
        assert_eq!(rules(&above, 1.1), [Rule::RateTooHigh]);
        // One step back is none.
        let mut once = healthy();
        once[6] = (0.9, 0.9);
        assert_eq!(rules(&once, 1.1), []);
    }

    #[test]
    fn a_rate_that_is_too_low_creeps() {
        let creeping: Vec<(f64, f64)> = (0..12).map(|i| 1.0 - 0.005 * f64::from(i)).map(|loss| (loss, loss)).collect();
        assert!(rules(&creeping, 5.0).contains(&Rule::RateTooLow));
        assert!(!rules(&healthy(), 5.0).contains(&Rule::RateTooLow));
    }

    #[test]
    fn a_standstill_is_found_where_nothing_moves() {
        let still: Vec<(f64, f64)> =
            (0..20).map(|i| 0.3 + 0.7 * libm::exp(-2.0 * f64::from(i))).map(|loss| (loss, loss)).collect();
        assert_eq!(rules(&still, 1.1), [Rule::Plateau]);
        assert!(!rules(&healthy(), 1.1).contains(&Rule::Plateau));
    }

    #[test]
    fn overfitting_is_a_validation_loss_that_rises_while_the_other_falls() {
        let over: Vec<(f64, f64)> =
            healthy().iter().enumerate().map(|(i, (a, _))| (*a, 0.5 + 0.05 * i as f64)).collect();
        assert_eq!(rules(&over, 1.1), [Rule::Overfitting]);
        assert_eq!(of_history(&history(&over), Some(1.1), true), [], "the best epoch is kept");
    }

    #[test]
    fn underfitting_is_a_training_loss_near_that_of_no_network() {
        let under: Vec<(f64, f64)> = healthy().iter().map(|(a, b)| (0.75 + 0.25 * a, 0.75 + 0.25 * b)).collect();
        assert!(rules(&under, 0.95).contains(&Rule::Underfitting));
        assert!(!rules(&under, 2.0).contains(&Rule::Underfitting));
    }
}
