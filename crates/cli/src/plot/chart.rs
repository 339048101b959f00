//! A panel: two axes with grid, ticks and labels, a legend, and lines, dots or bars in it.

use super::axis::Axis;
use super::svg::{Anchor, Svg, text_width};
use crate::format::shorten;

/// One curve of a panel.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Style class: `a` to `f`, with ` dash` behind it for a dashed line.
    pub class: String,
    /// Points in order of x; one that is not finite breaks the line.
    pub points: Vec<(f64, f64)>,
    /// Draw single dots too where there are few points.
    pub dots: bool,
}

/// Where a panel stands and what its axes are.
pub struct Panel<'a> {
    /// Heading, in the top left corner.
    pub title: &'a str,
    /// Name of the x axis.
    pub x_label: &'a str,
    /// Name of the y axis.
    pub y_label: &'a str,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Top left corner.
    pub corner: (f64, f64),
    /// Width and height with all labels.
    pub size: (f64, f64),
}

/// Points of a line beyond which neighbours fall on the same pixel.
const MOST_POINTS: usize = 1200;

impl Panel<'_> {
    fn left(&self) -> f64 {
        // Room for five digits at least, so that panels below each other start at the same place as a rule.
        let widest = self.y.ticks.iter().map(|tick| text_width(&tick.label)).fold(text_width("00000"), f64::max);
        self.corner.0 + widest + 34.0
    }

    fn right(&self) -> f64 {
        // Half of the last label hangs over the end of the axis.
        let label = self.x.ticks.last().map_or(0.0, |tick| text_width(&tick.label));
        self.corner.0 + self.size.0 - (label / 2.0 + 4.0).max(14.0)
    }

    fn top(&self) -> f64 {
        self.corner.1 + 40.0
    }

    fn bottom(&self) -> f64 {
        self.corner.1 + self.size.1 - 42.0
    }

    /// The pixel of a data point; `None` if it is not finite.
    pub fn place(&self, point: (f64, f64)) -> Option<(f64, f64)> {
        let (x, y) = (self.x.position(point.0), self.y.position(point.1));
        let inside = (self.left() + x * (self.right() - self.left()), self.bottom() - y * (self.bottom() - self.top()));
        (!x.is_nan() && !y.is_nan()).then_some(inside)
    }

    /// Draws heading, grid, ticks and axis labels.
    pub fn frame(&self, svg: &mut Svg) {
        let (left, right, top, bottom) = (self.left(), self.right(), self.top(), self.bottom());
        for tick in &self.y.ticks {
            let y = bottom - self.y.position(tick.value) * (bottom - top);
            svg.line("grid", (left, y), (right, y));
            svg.text("", (left - 8.0, y + 4.0), Anchor::End, &tick.label);
        }
        for tick in &self.x.ticks {
            let x = left + self.x.position(tick.value) * (right - left);
            svg.line("axis", (x, bottom), (x, bottom + 5.0));
            svg.text("", (x, bottom + 19.0), Anchor::Middle, &tick.label);
        }
        svg.line("axis", (left, bottom), (right, bottom));
        svg.text("title", (self.corner.0 + 12.0, self.corner.1 + 18.0), Anchor::Start, self.title);
        svg.text("note", ((left + right) / 2.0, bottom + 36.0), Anchor::Middle, self.x_label);
        let middle = (top + bottom) / 2.0;
        svg.text_turned("note", (self.corner.0 + 18.0, middle), Anchor::Middle, -90.0, self.y_label);
    }

    /// Draws the legend right of the heading, as many names as fit.
    pub fn legend(&self, svg: &mut Svg, series: &[Series]) {
        let y = self.corner.1 + 14.0;
        let mut end = self.right();
        let room_from = self.corner.0 + 12.0 + text_width(self.title) * 1.15 + 24.0;
        for one in series.iter().rev() {
            let name = shorten(&one.name, 34, true);
            let start = end - text_width(&name) - 30.0;
            if start < room_from {
                break;
            }
            svg.line(&format!("line {}", one.class), (start, y), (start + 24.0, y));
            svg.text("", (start + 30.0, y + 4.0), Anchor::Start, &name);
            end = start - 16.0;
        }
    }

    /// Draws the legend in the lower right corner of the panel, one name a line.
    pub fn legend_inside(&self, svg: &mut Svg, series: &[Series]) {
        let widest = series.iter().map(|one| text_width(&one.name)).fold(0.0, f64::max);
        for (index, one) in series.iter().enumerate() {
            let y = self.bottom() - 14.0 - 18.0 * (series.len() - 1 - index) as f64;
            let x = self.right() - 12.0 - widest;
            svg.line(&format!("line {}", one.class), (x - 30.0, y), (x - 6.0, y));
            svg.text("", (x, y + 4.0), Anchor::Start, &one.name);
        }
    }

    /// Draws one curve.
    pub fn curve(&self, svg: &mut Svg, series: &Series) {
        let points: Vec<_> = thinned(&series.points).into_iter().map(|point| self.place(point)).collect();
        let lone = |index: usize| {
            let gap = |at: Option<usize>| at.and_then(|at| points.get(at)).copied().flatten().is_none();
            gap(index.checked_sub(1)) && gap(Some(index + 1))
        };
        svg.path(&format!("line {}", series.class), points.iter().copied());
        let hue = series.class.split(' ').next().unwrap_or("a");
        for (index, point) in points.iter().enumerate() {
            // A point without neighbours would leave no trace as a line.
            if let Some(centre) = point.filter(|_| (series.dots && points.len() <= 30) || lone(index)) {
                svg.circle(&format!("fill {hue}"), centre, 3.0);
            }
        }
    }

    /// Draws a straight guide between two data points.
    pub fn guide(&self, svg: &mut Svg, from: (f64, f64), to: (f64, f64)) {
        if let (Some(from), Some(to)) = (self.place(from), self.place(to)) {
            svg.line("guide", from, to);
        }
    }

    /// Draws a vertical guide at `x` with a word above it.
    pub fn mark(&self, svg: &mut Svg, x: f64, word: &str) {
        if let Some((x, _)) = self.place((x, self.y.low)) {
            svg.line("guide", (x, self.top()), (x, self.bottom()));
            let half = text_width(word) / 2.0;
            let middle = x.clamp(self.left() + half, self.right() - half);
            svg.text("note", (middle, self.top() - 4.0), Anchor::Middle, word);
        }
    }

    /// Draws a bar from the foot of the panel to `height`, between two x.
    pub fn bar(&self, svg: &mut Svg, class: &str, x: (f64, f64), height: f64, note: &str) {
        if let (Some(from), Some(to)) = (self.place((x.0, height)), self.place((x.1, height))) {
            let size = ((to.0 - from.0 - 1.0).max(0.5), self.bottom() - from.1);
            svg.rect_noted(class, (from.0 + 0.5, from.1), size, 1.0, note);
        }
    }
}

/// At most about [`MOST_POINTS`] of `points`: of each group of neighbours the lowest and the highest, so that no peak is
/// lost, and a break where the group holds one.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let group = points.len().div_ceil(MOST_POINTS / 2);
    let mut out = Vec::with_capacity(MOST_POINTS);
    for part in points.chunks(group) {
        let finite = || part.iter().enumerate().filter(|(_, point)| point.1.is_finite());
        let low = finite().min_by(|a, b| a.1.1.total_cmp(&b.1.1)).map(|(index, _)| index);
        let high = finite().max_by(|a, b| a.1.1.total_cmp(&b.1.1)).map(|(index, _)| index);
        match (low, high) {
            (Some(low), Some(high)) => {
                out.push(part[low.min(high)]);
                if low != high {
                    out.push(part[low.max(high)]);
                }
            }
            _ => out.push(part[0]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_order_peaks_and_breaks() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|x| (f64::from(x), 1.0)).collect();
        points[54_321].1 = 9.0;
        points[70_000..71_000].iter_mut().for_each(|point| point.1 = f64::NAN);
        let thin = thinned(&points);
        assert!(thin.len() <= MOST_POINTS);
        assert!(thin.contains(&(54_321.0, 9.0)));
        assert!(thin.iter().any(|point| point.1.is_nan()));
        assert!(thin.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
