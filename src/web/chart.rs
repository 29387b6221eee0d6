//! Bar charts made on the server: readable without sight, and the figures behind them one click away.

use askama::{Template, filters::HtmlSafe};

/// Width of a bar with the room to the next, and the height of the whole, in the drawing's own units.
const STEP: usize = 10;
const HEIGHT: i64 = 100;

/// A row of bars over time; `{{ chart }}` draws it.
#[derive(Debug, Clone, Template)]
#[template(path = "kit/chart.html")]
pub struct Chart {
    pub title: String,
    /// What is counted: "Requests".
    pub what: String,
    bars: Vec<Bar>,
    /// The whole in one sentence.
    summary: String,
}

impl HtmlSafe for Chart {}

#[derive(Debug, Clone)]
struct Bar {
    x: usize,
    y: i64,
    height: i64,
    label: String,
    value: String,
}

impl Chart {
    /// `points` from the oldest to the newest, each with its label; `words` writes a value.
    pub fn new(
        title: impl Into<String>,
        what: impl Into<String>,
        points: Vec<(String, i64)>,
        words: fn(i64) -> String,
    ) -> Self {
        let most = points.iter().map(|(_, value)| *value).max().unwrap_or(0);
        let summary = match points.iter().max_by_key(|(_, value)| *value) {
            Some((label, value)) if *value > 0 => {
                let last = points.last().map_or(0, |(_, value)| *value);
                format!("At most {} on {label}; {} today.", words(*value), words(last))
            }
            _ => "Nothing yet.".to_owned(),
        };
        let bars = points.into_iter().enumerate().map(|(place, (label, value))| {
            // What is little is still seen; what is nothing is not.
            let height = if value > 0 { (value.saturating_mul(HEIGHT) / most.max(1)).max(2) } else { 0 };
            Bar { x: place * STEP, y: HEIGHT - height, height, label, value: words(value) }
        });
        Self { title: title.into(), what: what.into(), bars: bars.collect(), summary }
    }

    fn width(&self) -> usize {
        (self.bars.len() * STEP).max(STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::words::grouped;

    #[test]
    fn a_chart_says_in_words_what_it_shows() {
        let points = vec![("20 Nov".into(), 10), ("21 Nov".into(), 5), ("22 Nov".into(), 0)];
        let drawn = Chart::new("Requests by day", "Requests", points, grouped).to_string();
        assert!(drawn.contains("At most 10 on 20 Nov; 0 today."), "{drawn}");
        assert!(drawn.contains("role=\"img\"") && drawn.contains("<th scope=\"row\">21 Nov</th>"), "{drawn}");
        assert!(!drawn.contains("style="), "{drawn}");
        assert!(Chart::new("", "", vec![], grouped).to_string().contains("Nothing yet."));
    }
}
