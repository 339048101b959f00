//! One axis of a correlation: which source index a tap reads for a target index.
//!
//! Forward, output i reads input i·stride − padding + k·dilation. Backward, input i receives from the outputs
//! o = (i + padding − k·dilation) / stride for every k where that is a whole number. So the inputs fall into `stride`
//! *phases* (i mod stride), each with its own taps, and within a phase consecutive targets read consecutive sources.

/// Sizes of a convolution along one axis, and the direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    pub source: usize,
    pub target: usize,
    /// Distance of the sources of consecutive grid places: the stride forward, 1 backward.
    pub step: usize,
    /// Distance of the targets of consecutive grid places, which is the number of phases: 1 forward, the stride backward.
    pub spread: usize,
    pub kernel: usize,
    pub dilation: usize,
    pub padding: usize,
    /// Forward, as opposed to backward: the taps go up with the kernel's places, as opposed to down.
    pub forward: bool,
}

/// The taps of one phase. Grid place i with tap j reads source i·step + first + j·offset_step, and the weight
/// `kernel + j·kernel_step`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Taps {
    /// Targets of the phase: grid place i is target i·spread + phase.
    pub grid: usize,
    pub count: usize,
    pub kernel: usize,
    pub kernel_step: usize,
    pub first: isize,
    pub offset_step: isize,
}

impl Taps {
    pub fn offset(&self, tap: usize) -> isize {
        self.first + tap as isize * self.offset_step
    }
}

impl Axis {
    /// The number of phases that have targets.
    pub fn phases(&self) -> usize {
        self.spread.min(self.target)
    }

    pub fn taps(&self, phase: usize) -> Taps {
        let &Axis { target, spread, kernel, dilation, padding, .. } = self;
        let grid = target.saturating_sub(phase).div_ceil(spread);
        if self.forward {
            let (first, offset_step) = (-(padding as isize), dilation as isize);
            return Taps { grid, count: kernel, kernel: 0, kernel_step: 1, first, offset_step };
        }
        let divides = |k: &usize| (phase as isize + padding as isize - (k * dilation) as isize) % spread as isize == 0;
        let kernel_step = spread / gcd(spread, dilation);
        match (0..kernel.min(kernel_step)).find(divides) {
            Some(k) => Taps {
                grid,
                count: (kernel - k).div_ceil(kernel_step),
                kernel: k,
                kernel_step,
                first: (phase as isize + padding as isize - (k * dilation) as isize) / spread as isize,
                offset_step: -((kernel_step * dilation / spread) as isize),
            },
            None => Taps { grid, count: 0, kernel: 0, kernel_step, first: 0, offset_step: 0 },
        }
    }

    /// The least and the greatest offset of any tap of any phase; (0, 0) when there is none.
    pub fn reach(&self) -> (isize, isize) {
        let taps = (0..self.phases()).map(|phase| self.taps(phase)).filter(|taps| taps.count > 0);
        let ends = taps.map(|taps| {
            let last = taps.offset(taps.count - 1);
            (taps.first.min(last), taps.first.max(last))
        });
        ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((0, 0))
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backward_taps_are_the_forward_ones_seen_from_the_input() {
        for (input, kernel, stride, dilation, padding) in
            [(9, 3, 1, 1, 1), (10, 3, 2, 1, 0), (11, 5, 3, 2, 2), (7, 2, 4, 1, 1), (12, 4, 2, 2, 3), (5, 1, 3, 1, 0)]
        {
            let output = (input + 2 * padding - (kernel - 1) * dilation - 1) / stride + 1;
            let of = |forward| {
                let (source, target) = if forward { (input, output) } else { (output, input) };
                let (step, spread) = if forward { (stride, 1) } else { (1, stride) };
                Axis { source, target, step, spread, kernel, dilation, padding, forward }
            };
            let pairs = |axis: Axis| {
                let mut pairs = Vec::new();
                for phase in 0..axis.phases() {
                    let taps = axis.taps(phase);
                    for (place, tap) in (0..taps.grid).flat_map(|place| (0..taps.count).map(move |tap| (place, tap))) {
                        let target = place * axis.spread + phase;
                        let source = (place * axis.step) as isize + taps.offset(tap);
                        let (low, high) = axis.reach();
                        assert!((low..=high).contains(&taps.offset(tap)));
                        if (0..axis.source as isize).contains(&source) {
                            let k = taps.kernel + tap * taps.kernel_step;
                            let source = source as usize;
                            pairs.push(if axis.forward { (source, target, k) } else { (target, source, k) });
                        }
                    }
                }
                pairs.sort_unstable();
                pairs
            };
            assert_eq!(pairs(of(true)), pairs(of(false)));
            assert!(!pairs(of(true)).is_empty());
        }
    }
}
