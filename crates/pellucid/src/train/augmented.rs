//! Filling a batch with augmented pictures.

use std::sync::Mutex;

use kernels::device::Device;
use kernels::gather::gather;

use super::batch::{ROWS_OF_A_TASK, fill_answers, gather_targets, read_rows};
use super::{FitOptions, Problem, TrainError};
use crate::data::augment::{Augmenter, Mixer, Mixture, Scratch};
use crate::data::{Dataset, ReadError};
use crate::graph::{PlanId, Session};

/// Fills batches with augmented rows, on all threads.
pub(super) struct Augmented {
    augmenter: Augmenter,
    /// One for each thread.
    scratch: Mutex<Vec<Scratch>>,
    mixing: Option<Mixing>,
}

/// Rows that wait to be mixed with each other.
struct Mixing {
    mixer: Mixer,
    /// The place in the batch of the row that each is mixed with.
    partners: Vec<u32>,
    /// The row that most of each mixture is from.
    main: Vec<u32>,
    inputs: Vec<f32>,
    targets: Vec<f32>,
    weights: Vec<f32>,
}

impl Augmented {
    /// What `options` ask for, for batches of `batch` rows of `data`; none if they ask for nothing.
    pub fn new(
        options: &FitOptions,
        data: &Dataset,
        problem: &Problem,
        device: &Device,
        batch: usize,
    ) -> Result<Option<Augmented>, TrainError> {
        let FitOptions { augmentation, seed, .. } = options;
        if augmentation.is_none() {
            return Ok(None);
        }
        let augmenter = Augmenter::new(augmentation, &data.sample_shape, *seed, device.isa())?;
        let scratch = Mutex::new((0..device.threads()).map(|_| augmenter.scratch()).collect());
        let targets = data.target_width * problem.classes.unwrap_or(1);
        let mixing = Mixer::new(augmentation, &data.sample_shape, *seed)?.map(|mixer| Mixing {
            mixer,
            partners: vec![0; batch],
            main: vec![0; batch],
            inputs: vec![0.0; batch * data.width()],
            targets: vec![0.0; batch * targets],
            weights: vec![0.0; batch],
        });
        Ok(Some(Augmented { augmenter, scratch, mixing }))
    }

    /// Fills the inputs of `plan` with `rows` of `data` as they are in `epoch`, mixed as in `step`; targets and weights
    /// where the problem has them.
    #[allow(clippy::too_many_arguments)]
    pub fn fill(
        &mut self,
        session: &mut Session,
        plan: PlanId,
        problem: &Problem,
        data: &Dataset,
        rows: &[u32],
        epoch: u64,
        step: u64,
    ) -> Result<(), ReadError> {
        let device = session.device().clone();
        let Augmented { augmenter, scratch, mixing } = self;
        let make = |out: &mut [f32]| pictures(&device, augmenter, scratch, data, rows, epoch, out);
        let Some(mixing) = mixing else {
            make(session.input_mut(plan, problem.input))?;
            fill_answers(session, plan, problem, data, rows);
            return Ok(());
        };
        mixing.resize(rows.len(), data, problem);
        make(&mut mixing.inputs)?;
        gather_targets(&device, data, problem, rows, &mut mixing.targets);
        let mixture = mixing.mixer.draw(&device, step, &mut mixing.partners);
        let pictures = session.input_mut(plan, problem.input);
        mix(&device, &mixing.partners, &mixing.inputs, pictures, |own, other, out| mixture.pictures(own, other, out));
        let numbers = |own: &[f32], other: &[f32], out: &mut [f32]| mixture.numbers(own, other, out);
        mix(&device, &mixing.partners, &mixing.targets, session.input_mut(plan, problem.target), numbers);
        if let (Some(value), Some(weights)) = (problem.weight, &data.weights) {
            gather(&device, 1, weights, rows, &mut mixing.weights);
            mix(&device, &mixing.partners, &mixing.weights, session.input_mut(plan, value), numbers);
        }
        mixing.note_main(&mixture, rows);
        Ok(())
    }

    /// For each of the `rows` that were filled in last, the one that most of it is from: itself unless rows are mixed.
    pub fn main_rows<'a>(&'a self, rows: &'a [u32]) -> &'a [u32] {
        self.mixing.as_ref().map_or(rows, |mixing| &mixing.main)
    }
}

impl Mixing {
    /// Takes the size of a batch of `rows`, at most the one that was made room for.
    fn resize(&mut self, rows: usize, data: &Dataset, problem: &Problem) {
        self.partners.resize(rows, 0);
        self.main.resize(rows, 0);
        self.inputs.resize(rows * data.width(), 0.0);
        self.targets.resize(rows * data.target_width * problem.classes.unwrap_or(1), 0.0);
        self.weights.resize(rows, 0.0);
    }

    fn note_main(&mut self, mixture: &Mixture, rows: &[u32]) {
        for (place, main) in self.main.iter_mut().enumerate() {
            *main = rows[if mixture.is_mostly_other() { self.partners[place] as usize } else { place }];
        }
    }
}

/// Writes the augmented `rows` into `out` [rows, width].
fn pictures(
    device: &Device,
    augmenter: &Augmenter,
    scratch: &Mutex<Vec<Scratch>>,
    data: &Dataset,
    rows: &[u32],
    epoch: u64,
    out: &mut [f32],
) -> Result<(), ReadError> {
    let width = data.width();
    read_rows(device, rows, (out, width), |rows, out| {
        let mut room = scratch.lock().expect("no task panics").pop().expect("room for each thread");
        let mut places = rows.iter().zip(out.chunks_exact_mut(width));
        let made = places.try_for_each(|(&row, out)| augmenter.row(data, row, epoch, &mut room, out));
        scratch.lock().expect("no task panics").push(room);
        made
    })
}

/// Writes each row of `values` mixed with that of its partner into `out`.
fn mix(
    device: &Device,
    partners: &[u32],
    values: &[f32],
    out: &mut [f32],
    mix: impl Fn(&[f32], &[f32], &mut [f32]) + Sync,
) {
    let width = values.len() / partners.len();
    let row = |index: usize| &values[index * width..][..width];
    device.split_rows(partners.len(), ROWS_OF_A_TASK, (out, width), [], |first, out, []| {
        for (place, out) in (first..).zip(out.chunks_exact_mut(width)) {
            mix(row(place), row(partners[place] as usize), out);
        }
    });
}
