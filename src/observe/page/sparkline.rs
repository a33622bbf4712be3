//! A line of the last minute.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::observe::words::rate;

/// Seconds across; a shorter history keeps to the right.
const SECONDS: usize = 60;
/// Of the picture, in its own units; it is stretched to the width of its card.
const HEIGHT: f64 = 28.0;

/// Draws rates, the newest last.
pub fn draw(rates: &[f64]) -> Markup {
    let peak = rates.iter().copied().fold(0.0, f64::max);
    let (Some(last), true) = (rates.last(), peak > 0.0) else {
        return html! { p { "Nothing in the last minute" } };
    };
    let line = line(rates, peak);
    let first = SECONDS.saturating_sub(rates.len());
    let area = format!("{line} {},{HEIGHT} {first},{HEIGHT}", SECONDS - 1);
    let label = format!(
        "Records per second in the last minute: {} now, {} at most",
        rate(*last),
        rate(peak)
    );
    html! {
        svg.spark role="img" aria-label=(label) preserveAspectRatio="none"
            viewBox=(format!("0 0 {} {HEIGHT}", SECONDS - 1)) {
            polygon points=(area) {}
            polyline points=(line) {}
        }
        p { "Peak " strong { (rate(peak)) } " in the last minute" }
    }
}

fn line(rates: &[f64], peak: f64) -> String {
    let mut points = String::new();
    for (at, rate) in (SECONDS.saturating_sub(rates.len())..).zip(rates) {
        // A pixel above, so that the line isn't cut.
        let y = 1.0 + (HEIGHT - 1.0) * (1.0 - rate / peak);
        let _ = write!(points, "{at},{y:.1} ");
    }
    points.truncate(points.trim_end().len());
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_at_the_right_and_the_peak_at_the_top() {
        assert_eq!(line(&[0.0, 50.0, 100.0], 100.0), "57,28.0 58,14.5 59,1.0");
    }

    #[test]
    fn silence_is_said_rather_than_drawn() {
        for rates in [&[][..], &[0.0, 0.0]] {
            assert!(!draw(rates).into_string().contains("svg"));
        }
    }
}
