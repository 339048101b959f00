//! Rectangles of a plane, one for each output: windows that slide, or parts that cover the plane evenly.

use super::{TASK, Windows};

/// Which places each output of a plane looks at. All pairs are height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regions {
    /// Windows without dilation, of which the padding counts (as zeros) as far as `counted` reaches.
    Windows {
        /// The windows.
        windows: Windows,
        /// Padding that counts: that of the windows, or none.
        counted: [usize; 2],
    },
    /// Output i of n covers the places ⌊i·in/n⌋ to ⌈(i+1)·in/n⌉ (as PyTorch's adaptive pooling).
    Adaptive {
        /// Size of the input planes.
        input: [usize; 2],
        /// Size of the output planes.
        output: [usize; 2],
    },
}

/// The places of one output along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
    /// Places that count, those of the padding among them.
    pub count: usize,
}

impl Regions {
    pub(super) fn input(&self) -> [usize; 2] {
        match self {
            Regions::Windows { windows, .. } => windows.input,
            Regions::Adaptive { input, .. } => *input,
        }
    }

    pub(super) fn output(&self) -> [usize; 2] {
        match self {
            Regions::Windows { windows, .. } => windows.output,
            Regions::Adaptive { output, .. } => *output,
        }
    }

    pub(super) fn input_len(&self) -> usize {
        self.input().iter().product()
    }

    pub(super) fn output_len(&self) -> usize {
        self.output().iter().product()
    }

    /// Number of planes; panics unless input and output hold as many.
    pub(super) fn planes(&self, input: usize, output: usize) -> usize {
        if let Regions::Windows { windows, .. } = self {
            assert_eq!(windows.dilation, [1, 1], "windows without dilation");
            return windows.planes(input, output);
        }
        let (input_len, output_len) = (self.input_len(), self.output_len());
        let planes = output.checked_div(output_len).unwrap_or(0);
        assert!(planes * output_len == output && planes * input_len == input, "input and output of as many planes");
        planes
    }

    /// Planes of a task.
    pub(super) fn chunk(&self) -> usize {
        (TASK / self.input_len().max(1)).max(1)
    }

    /// The places along `axis` of output `index`.
    #[inline(always)]
    pub(super) fn span(&self, axis: usize, index: usize) -> Span {
        match self {
            Regions::Windows { windows, counted } => {
                let (size, padding) = (windows.input[axis], windows.padding[axis]);
                // Positions count from the beginning of the padding.
                let (start, end) = (index * windows.stride[axis], index * windows.stride[axis] + windows.kernel[axis]);
                let within = |least: usize, most: usize| (start.clamp(least, most), end.clamp(least, most));
                let (first, last) = within(padding, padding + size);
                let (count_from, count_to) = within(padding - counted[axis], padding + size + counted[axis]);
                Span { start: first - padding, end: last - padding, count: count_to - count_from }
            }
            Regions::Adaptive { input, output } => {
                let (start, end) =
                    (index * input[axis] / output[axis], ((index + 1) * input[axis]).div_ceil(output[axis]));
                Span { start, end, count: end - start }
            }
        }
    }
}
