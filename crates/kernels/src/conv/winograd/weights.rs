//! U = G g Gᵀ, in the order in which the product reads it: panels of sixteen target channels, and in each point after point,
//! source channel after source channel.

use super::POINTS;
use crate::conv::correlate::Correlation;
use crate::device::Device;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Values below which one thread does it all.
const SERIAL: usize = 1 << 14;

/// Transforms all weights; lanes without a channel become 0.
pub(in super::super) fn transform(device: &Device, of: &Correlation, weight: &[f32], panels: &mut [f32]) {
    let panel = LANES * POINTS * of.source_channels;
    let panels = &mut panels[..super::panels(of)];
    let chunk = if panels.len() < SERIAL { panels.len() } else { panel };
    device.chunks_mut(chunk.max(1), panels, |start, part| {
        for (i, panel_of) in part.chunks_exact_mut(panel).enumerate() {
            dispatch(device.isa(), Panel { of, weight, first: (start / panel + i) * LANES, panel: panel_of });
        }
    });
}

/// The panel of sixteen target channels from `first` on.
struct Panel<'a> {
    of: &'a Correlation,
    weight: &'a [f32],
    first: usize,
    panel: &'a mut [f32],
}

impl Kernel for Panel<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Panel { of, weight, first, panel } = self;
        let lanes = LANES.min(of.target_channels - first);
        // Backward, a window sees the kernel turned round.
        let backward = !of.height.forward;
        for c in 0..of.source_channels {
            let mut g = [[0.0; LANES]; 9];
            for lane in 0..lanes {
                let at = (first + lane) * of.weight.target + c * of.weight.source;
                let kernel: &[f32; 9] = weight[at..].first_chunk().expect("a kernel has nine values");
                for (place, &value) in kernel.iter().enumerate() {
                    g[if backward { 8 - place } else { place }][lane] = value;
                }
            }
            let mut columns = [[s.splat(0.0); 4]; 3];
            for j in 0..3 {
                columns[j] = combine(s, [s.load(&g[j]), s.load(&g[3 + j]), s.load(&g[6 + j])]);
            }
            for i in 0..4 {
                let u = combine(s, [columns[0][i], columns[1][i], columns[2][i]]);
                for j in 0..4 {
                    s.store(u[j], &mut panel[((4 * i + j) * of.source_channels + c) * LANES..]);
                }
            }
        }
    }
}

/// G g
#[inline(always)]
fn combine<S: Simd>(s: S, g: [S::Float; 3]) -> [S::Float; 4] {
    let half = s.splat(0.5);
    let ends = s.add(g[0], g[2]);
    [g[0], s.mul(s.add(ends, g[1]), half), s.mul(s.sub(ends, g[1]), half), g[2]]
}
